/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What many lines of JSON have in common: the facts of the recorder, those of a
 * process, and those of few values, as bytes that were written before.  Few
 * processes make most events, and their names are a third of what a line costs.
 *
 * One store a thread, of fixed size.
 */
#ifndef PORTLIFE_OUT_FACTS_KEPT_H
#define PORTLIFE_OUT_FACTS_KEPT_H

#include <stddef.h>
#include "model/event.h"

/* Facts side by side in the list that are made of nothing else. */
enum facts_run {
	RUN_NONE,
	RUN_HOST,	/* host, boot_id */
	RUN_PROCESS,	/* the process of the lease and where it runs */
	RUN_HOW,	/* reason, errno, evidence and what else has few values */
};

/* The bytes of the run for this event, as facts_kept_put() got them; NULL: not at hand. */
const char *facts_kept_find(enum facts_run run, const struct event *ev, size_t *len);
/* Keeps them, unless they are too long. */
void facts_kept_put(enum facts_run run, const struct event *ev, const char *bytes, size_t len);

#endif
