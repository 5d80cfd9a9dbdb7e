/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The fields of a summary that were added to the format later: read where they
 * are there, left 0 where an older recording lacks them.  Internal to out/.
 */
#ifndef PORTLIFE_OUT_JSONL_SUMMARY_H
#define PORTLIFE_OUT_JSONL_SUMMARY_H

#include "model/event.h"
#include "out/jsonl_field.h"

void jsonl_summary_added(struct fields *f, const cJSON *root, struct summary *s);
/* Of one entry of "netns". */
void jsonl_summary_netns_added(struct fields *f, const cJSON *item, struct summary_netns *n);

#endif
