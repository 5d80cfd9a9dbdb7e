/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Reading the history: of this host while it is written, or of any directory,
 * also one copied from another host or on a read-only medium.
 *
 * Nothing is ever changed there, no transaction is held over a callback's
 * return, and what is damaged or not ours is passed over, said once on stderr
 * and counted in the coverage.  Ended leases, fails and gaps are found about a
 * second after they happened, and the recorder says until when it has written
 * them: what is asked of the time since is answered with a gap (history_wait()).
 * A lease that is still open is found when the recorder next looked at what is
 * open, within a minute, so "now" and the last minute need the kernel's own word
 * too.  Times are unix ns.  One thread at a time.
 *
 * An answer is two things: the rows, and the coverage, which tells what the
 * rows cannot: that we were not looking, lost something, or threw it away.
 */
#ifndef PORTLIFE_STORE_HISTORY_H
#define PORTLIFE_STORE_HISTORY_H

#include "model/event.h"

struct history;

/*
 * -ENODATA, unsaid: no history in it.  Else says on stderr what is wrong.  -ENOENT: no
 * such directory; -EPERM: somebody else's; -ELOOP, -ENOTDIR, -EACCES.
 */
int history_open(const char *dir, struct history **ret);
void history_close(struct history *h);

/* The facts of the directory as a whole, as of history_open() or history_wait(). */
struct history_info {
	int64_t recorded_since;		/* the recorder ran first, 0: unknown */
	int64_t evicted_before;		/* retention removed what ended before, 0: nothing */
	int64_t recorded_until;		/* all until then is there; when `live`, but for what was held since `held_until` */
	int64_t held_until;		/* what was held then is there, also where its end is not */
	int64_t youngest;		/* files answer up to then: after recorded_until where the clock was set back since */
	bool live;			/* a recorder is writing */
	bool behind;			/* it is alive, but what it has recorded is not on disk in time */
	int pid;			/* of that one, 0: unknown */
	unsigned int files, skipped;	/* skipped: damaged or not ours, found so far */
	uint64_t bytes;
};
void history_info(const struct history *h, struct history_info *ret);

/*
 * Waits until a live recorder has written what happened until `at` (up to now), at most two seconds, and looks anew at
 * what there is.  Where it has not by then, it counts as `behind`.  0, or a negative errno.
 */
int history_wait(struct history *h, int64_t at);

struct history_query {
	uint16_t port_lo, port_hi;	/* inclusive */
	uint8_t proto;			/* IPPROTO_*, 0: any */
	uint32_t netns;			/* inode number, 0: any */
	/*
	 * With `by_addr` the lease must hold the port at this address: bound to it,
	 * or to all of its family.  As ask_meets() (model/ask.h).
	 */
	bool by_addr;
	uint8_t family;
	uint32_t laddr[4];		/* as in struct pl_lease */
	int64_t since, until;		/* inclusive; the same: at that time */
	uint64_t limit;			/* rows, 0: all */
	bool unordered;			/* of leases: in any order, but in little memory however many there are */
};

/* What was not seen of the asked span; what an answer of few or no rows is worth. */
struct history_coverage {
	bool before;		/* begins before recording did */
	bool evicted;		/* begins in what retention removed */
	bool gap;		/* a gap overlaps it (also: recording ended before `until`) */
	int64_t lost;		/* events lost in it, -1: some, number unknown */
	unsigned int skipped;	/* files that could not be read */
	int64_t seen_from, seen_to;	/* the part of the span that files answer for; 0: none */
};

enum history_verdict {
	HISTORY_HELD,		/* there were rows */
	HISTORY_NOBODY,		/* and we saw all */
	HISTORY_LOST,		/* nobody that we saw, but a gap or a damaged file */
	HISTORY_BEFORE,		/* recording had not begun */
	HISTORY_EVICTED,	/* retention removed it */
};
/* One word for an answer of `rows` rows.  With rows, see the coverage for completeness. */
enum history_verdict history_verdict(const struct history_coverage *c, uint64_t rows);
/* Whether the rows may not be all (exit code 3). */
bool history_incomplete(const struct history_coverage *c);

/* 0: go on; a positive number ends the iteration, which returns it.  Pointers live until then. */
typedef int (*history_fn)(void *arg, const struct event *ev);

/*
 * Leases held at any time of the span, each once: EV_OPEN when no end is known
 * (held when last seen), else EV_RELEASE.  Newest first: those without an end,
 * then by end.  A lease is held at its start and no more at its end.
 * `coverage` may be NULL.  Returns 0, what `fn` returned, or a negative errno
 * (no memory; damage is coverage).
 */
int history_leases(struct history *h, const struct history_query *q, history_fn fn, void *arg,
		   struct history_coverage *coverage);

/* EV_FAIL of the ports, protocol and netns asked for, files newest first, within a file oldest first. */
int history_fails(struct history *h, const struct history_query *q, history_fn fn, void *arg,
		  struct history_coverage *coverage);

/*
 * Gaps that overlap since..until, newest file first.  One that lasts (nobody
 * records) is told first, with `to` INT64_MAX.
 */
int history_gaps(struct history *h, int64_t since, int64_t until, int (*fn)(void *arg, const struct gap *gap), void *arg);

/* How often a port lived in all that is recorded. */
struct history_lives {
	uint64_t lives;			/* ended leases and those that are open */
	int64_t median;			/* ns, of the ended ones; -1: none */
	bool sampled;			/* there were many: the numbers are estimates */
};
/* `last` (may be NULL) gets the lease that ended last or is open.  Of the query since, until and limit are ignored. */
int history_lives(struct history *h, const struct history_query *q, struct history_lives *ret, history_fn last, void *arg);

/* Minutes of since..until, EV_SUMMARY with ts its time, oldest first, also of evicted files. */
int history_minutes(struct history *h, int64_t since, int64_t until, history_fn fn, void *arg);

#endif
