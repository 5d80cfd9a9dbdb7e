/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A source and a tracker at work: events with their names, gaps, repairs and
 * totals.  What `trace`, `record`, `top` and `doctor --verify` share.
 *
 * One thread.  The caller waits, drains and writes in its own loop:
 *
 *	while (!done) {
 *		recorder_wait(r, signal_fd, deadline);
 *		recorder_drain(r);
 *		flush what the callback wrote
 *	}
 */
#ifndef PORTLIFE_KERN_RECORDER_H
#define PORTLIFE_KERN_RECORDER_H

#include "kern/source.h"
#include "model/tracker.h"

struct recorder;

struct recorder_totals {
	uint64_t allocs;	/* seen to begin, by hook */
	uint64_t opens;		/* found held by a snapshot */
	uint64_t releases;
	uint64_t fails;
	uint64_t live;		/* allocs + opens - releases */
	uint64_t lost;		/* records that did not reach the reader, and leases that did not fit the table */
	uint64_t lost_ring, lost_table;
	uint64_t skipped;	/* accepted out of scope: counted only */
	uint64_t stale;		/* ends that no hook saw */
};

/*
 * Attaches.  `fn` gets each event with names, host, boot_id and seq set; what it
 * returns below 0 ends the call, is passed on and is the caller's to say.  Every
 * other failure, of this and of all that follows, is a negative errno that has been
 * said, and nothing goes on after it.  Errors as source_open().
 */
int recorder_open(const struct source_opts *opts, tracker_fn fn, void *ctx, struct recorder **ret);
void recorder_close(struct recorder *r);

/*
 * Told when the wall clock moved against the boot clock: what unix ns - boot ns is from now on.  Before the first event
 * by the new one, so recorder_each_open() still tells times by the old one.
 */
typedef void (*recorder_clock_fn)(void *ctx, int64_t boot_to_unix);
void recorder_on_clock(struct recorder *r, recorder_clock_fn fn, void *ctx);

/* Whether a call failed otherwise than by what `fn` returned. */
bool recorder_failed(const struct recorder *r);

/* EV_OPEN for what is held already. */
int recorder_snapshot(struct recorder *r);

/*
 * Sleeps until a drain is due, or until `fd` (-1: none) is readable, or the
 * boot clock reaches `deadline` (0: none).  Never wakes for a single event.
 * Returns 1 when `fd` is readable, else 0.
 */
int recorder_wait(struct recorder *r, int fd, int64_t deadline);

/*
 * Hands over what has come; from time to time also sweeps, looks for losses,
 * tells them as EV_GAP and repairs.
 */
int recorder_drain(struct recorder *r);

/*
 * The last sweep and drain: everything the kernel has told until now.  What happens later
 * is neither told nor counted (source_freeze), so that totals, stream and table
 * agree.
 */
int recorder_finish(struct recorder *r);

/* EV_OPEN for each lease that is open now, with names; a negative return of `fn` ends it and is passed on. */
int recorder_each_open(struct recorder *r, tracker_fn fn, void *ctx);

/* Gives an event that the caller made (a summary) host, boot_id, names and the next sequence number. */
void recorder_sign(struct recorder *r, struct event *ev);
/* Sets ev->exe and ev->where for the lease in `ev`; borrowed until the next event. */
void recorder_name(struct recorder *r, struct event *ev);

int recorder_totals(struct recorder *r, struct recorder_totals *t);
/* Leases in the kernel's table, counted one by one: what `live` must be. */
int recorder_held(struct recorder *r, uint64_t *held);
/* Raw counters, indexed with PL_STAT_*. */
int recorder_stats(struct recorder *r, uint64_t stats[PL_STATS]);
struct source *recorder_source(struct recorder *r);
const struct tracker *recorder_tracker(const struct recorder *r);

#endif
