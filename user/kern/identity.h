/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Names behind the ids of a lease: executable by process, path by cgroup.
 *
 * The kernel side tells each name once, before the first lease that needs it.
 * Bounded: when the dictionaries are full the oldest names go.  What is not
 * known is NULL, never a guess.
 */
#ifndef PORTLIFE_KERN_IDENTITY_H
#define PORTLIFE_KERN_IDENTITY_H

#include <linux/types.h>
#include <stdbool.h>
#include <stddef.h>
#include <portlife/event.h>
#include "model/event.h"

struct identity;

#define IDENTITY_SLOTS		16384
#define IDENTITY_SLOTS_LOOK	1024	/* where each name is used at once and not again */

/*
 * `slots`: of each dictionary at most, a power of two, at least 256.  `with_cmdline`: also remember the
 * arguments of each process; they can hold secrets.
 */
int identity_new(size_t slots, bool with_cmdline, struct identity **ret);
void identity_free(struct identity *id);

/* Learns a name.  0 or -ENOMEM; a malformed record is -EINVAL and learns nothing. */
int identity_learn(struct identity *id, const struct pl_path_rec *rec);

/*
 * Sets ev->exe, ev->cmdline and ev->where of an event whose lease is filled in.  The strings
 * live until the next call of identity_learn or identity_fill.
 */
void identity_fill(struct identity *id, struct event *ev);

/* The path of the cgroup, or NULL; lives as long as the strings above. */
const char *identity_cgroup(struct identity *id, uint64_t cgroup);

#endif
