/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What a span of history amounts to: lifetimes, reuse, use of the range, who
 * took most, what looks forgotten.
 *
 * Fed with one event at a time, in the order in which history.h tells them
 * (newest file first, within a file by port and start, or by end) or in which
 * they happen; nothing is kept of an event but sums and a few rows, so memory
 * is bounded however many there are.  What that costs in truth is said here:
 *
 *  - counts, sums, min, max and the classes of times are exact; quantiles are
 *    off by at most 1.6 %, those of groups by 3.1 %;
 *  - of processes, executables, units, containers and destinations the
 *    REPORT_GROUPS with most leases are kept; group_set.missed bounds what the
 *    counts of the others and of late comers lack (0: all are exact);
 *  - use of the range is exact at REPORT_INSTANTS evenly spaced instants, and
 *    what the recorder noted each minute; between those nobody looked;
 *  - reuse intervals are exact while a port has one lease at a time; where
 *    leases of one port overlap, one may be counted that another lease covered.
 *
 * Pure: no I/O, no clock.  The struct is read by out/, written here alone.
 */
#ifndef PORTLIFE_MODEL_REPORT_H
#define PORTLIFE_MODEL_REPORT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/hist.h"
#include "model/event.h"
#include "model/report_group.h"
#include "model/report_space.h"

#define REPORT_KEEP 100		/* single leases, and gaps, that are kept */
#define REPORT_STEPS 37		/* classes of times, the last without an end */
#define REPORT_ERRNOS 16

extern const int64_t report_steps[REPORT_STEPS - 1];	/* ns, inclusive upper ends, rising */

struct report_times {
	struct hist hist;
	uint64_t steps[REPORT_STEPS];
};

struct report_fails {
	int err;		/* positive errno */
	uint8_t proto;
	uint64_t count;
};

/* The leases that rank highest, unsorted until report_finish(). */
struct report_top {
	struct event *at;	/* with strings of their own */
	int64_t *rank;
	size_t n, keep;
	uint64_t seen;		/* candidates, also those that were not kept */
};

struct report_opts {
	int64_t since, until;	/* unix ns, 0 < since < until */
	bool by[REPORT_BYS];	/* groups to make; REPORT_PROCESS and REPORT_REFUSED always are */
	bool map;		/* who lived where */
	uint64_t seed;		/* secret, so that no name can be made to collide */
	int64_t idle;		/* a bound socket is suspect from this age on */
};

struct report {
	struct report_opts opts;
	struct report_grid grid;
	uint64_t leases, ended, open;
	uint64_t held_before;		/* among leases: their start is not known */
	uint64_t unmeasured;		/* among ended: a start or an end was not seen */
	uint64_t kinds[PL_KINDS], protos[PL_PROTOS], families[2];
	struct report_times active;	/* measured ones: to the end or to TIME_WAIT */
	struct report_times time_wait;	/* those that had one */
	struct report_times held;	/* both together */
	struct report_times reuse;	/* from the end of a port's lease to its next one */
	struct report_spaces spaces;
	uint64_t starts[REPORT_INSTANTS], fails_at[REPORT_INSTANTS];	/* by bin of the grid */
	uint64_t fails;
	struct report_fails fails_by[REPORT_ERRNOS];
	size_t n_fails_by;
	struct report_groups by[REPORT_BYS];
	struct report_top longest, idle;
	struct gap gaps[REPORT_KEEP];
	uint64_t n_gaps;		/* also those that were not kept */
	int64_t gap_ns;			/* sum of the gaps, as far as they lie in the span */
	uint64_t minutes;		/* roll-ups seen */
};

/* 0 or -ENOMEM. */
int report_new(const struct report_opts *opts, struct report **ret);
void report_free(struct report *r);

/* EV_RELEASE: ended; EV_OPEN: held to the end of the span.  One that lies outside the span does nothing.  0 or -ENOMEM. */
int report_lease(struct report *r, const struct event *ev);
/* EV_FAIL. */
int report_fail(struct report *r, const struct event *ev);
void report_gap(struct report *r, const struct gap *gap);
/* EV_SUMMARY: what was in use in each namespace at that minute. */
int report_minute(struct report *r, const struct event *ev);
/* Once, when all is told: sorts what is shown.  0 or -ENOMEM. */
int report_finish(struct report *r);

/* Whether something was found at all. */
bool report_is_empty(const struct report *r);

/* Which class of times. */
size_t report_step(int64_t ns);
/* "process", "exe", ...; REPORT_BYS for a word that is none. */
const char *report_by_name(enum report_by by);

/* A group whose number of held ports only ever rose, and by much. */
bool report_is_rising(const struct report_group *g);

#endif
