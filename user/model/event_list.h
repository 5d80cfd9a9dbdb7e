/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Events kept beyond the callback that told them: with strings of their own.
 * Gap and summary are not kept.
 */
#ifndef PORTLIFE_MODEL_EVENT_LIST_H
#define PORTLIFE_MODEL_EVENT_LIST_H

#include <stddef.h>
#include "model/event.h"

struct event_list {
	struct event *at;	/* may move with each addition */
	size_t n, cap;
};

/* Copies `ev` with its strings; `ret` is what event_strings_free() undoes.  0 or -ENOMEM with `ret` without strings. */
int event_copy(const struct event *ev, struct event *ret);
void event_strings_free(struct event *ev);

/* 0 or -ENOMEM. */
int event_list_add(struct event_list *list, const struct event *ev);
void event_list_free(struct event_list *list);

#endif
