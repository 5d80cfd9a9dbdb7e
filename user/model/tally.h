/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What is held now, counted from the table of open leases: by network
 * namespace, by process and by workload.  Pure.
 *
 * A port held by several leases, or by TCP and UDP both, is in use once.  A
 * look costs some 50 ns a lease; how often to look is the caller's affair.
 */
#ifndef PORTLIFE_MODEL_TALLY_H
#define PORTLIFE_MODEL_TALLY_H

#include <stddef.h>
#include "model/event.h"
#include "model/lease.h"

/* How many leases, and how many different ports, belong to one process or cgroup. */
struct tally_count {
	uint64_t key[2];		/* a process: tgid and start; a workload: cgroup id and 0 */
	uint64_t leases;
	struct pl_lease sample;		/* one of them, for the names */
};

struct tally {
	uint64_t live, time_wait;
	struct summary_netns *netns;	/* most used first; our own is always there */
	size_t n_netns;
	struct tally_count *procs;	/* most leases first; owners that are not known are left out */
	size_t n_procs;
	struct tally_count *workloads;	/* the same by cgroup; only when asked for */
	size_t n_workloads;
};

/*
 * Sets range_lo, range_hi and reserved of the namespace n->netns; zeros when it
 * cannot be known.  Called once for each namespace.
 */
typedef void (*tally_range_fn)(void *ctx, struct summary_netns *n);

struct tally_opts {
	uint32_t own;			/* our own network namespace */
	bool workloads;
	tally_range_fn range;
	void *ctx;
};

/* Fills `*ret`, to be freed with tally_free().  0 or -ENOMEM with nothing to free. */
int tally_look(const struct tally_opts *opts, const struct lease_table *live, struct tally *ret);
void tally_free(struct tally *t);

#endif
