/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The writing side behind store.h: the thread that owns the hot file, and the
 * thread that seals and removes.
 *
 * Private to store/.  writer_open() runs in the caller before the threads do;
 * afterwards hot, carry and owners belong to the writing thread.
 */
#ifndef PORTLIFE_STORE_WRITER_H
#define PORTLIFE_STORE_WRITER_H

#include <stdatomic.h>
#include "store/carry.h"
#include "store/hot.h"
#include "store/seal.h"
#include "store/store.h"

/* Seals and removes. */
struct sealer_thread {
	const struct store_dir *dir;
	struct retain_opts retain;
	pthread_t thread;
	bool running;
	pthread_mutex_t lock;
	pthread_cond_t wake, idle;
	bool stop, busy;
	uint32_t limit;			/* hot files below this number wait to be sealed */
	int64_t session_unix, session_boot;	/* to tell a wall clock that was set */
	int64_t stands, stands_since;	/* unix - boot ns, and the boot ns at which it was first seen so */
	/* Read by store_stats(). */
	uint64_t sealed, evicted, errors, bytes, set_aside;
	int64_t oldest;
	int last_error;
	int retain_error;	/* said already */
};

int sealer_start(struct sealer_thread *s, const struct store_dir *dir, const struct retain_opts *retain);
void sealer_stop(struct sealer_thread *s);
/* Hot files with a number below `limit` are nobody's any more. */
void sealer_kick(struct sealer_thread *s, uint32_t limit);
bool sealer_wait(struct sealer_thread *s, int ms);

struct writer {
	struct store_dir *dir;
	int lock_fd;
	struct dir_pulse pulse;
	char *host, *boot_id, *version;
	int64_t (*unix_now)(void);
	struct queue queue;
	struct sealer_thread sealer;
	pthread_t thread;
	bool running;

	bool recovered, begun;		/* writer_recover(), writer_begin_session() are done: later, on a full disk */
	enum gap_cause gap_cause;	/* why the session before ended */
	struct hot *hot;		/* NULL: to be opened or made */
	char reopen[DIR_NAME_MAX];	/* the one to be opened again, "": a new one */
	int64_t next_since;		/* of a new one */
	struct gap pending_gap;		/* goes into it; `to` 0: none */
	bool rotated;
	bool stepped;			/* the clock was set since the session before */
	struct carry *carry;
	int64_t complete;		/* until then this one has, committed */
	bool behind;			/* the last attempt to write failed */
	bool gave_up;			/* something could not be written before the end */
	bool late;			/* because the disk is slow */
	int64_t give_up_at;		/* boot ns, once the queue is stopped */
	bool set_aside;			/* the last attempt ended with a damaged file */
	int64_t prev_end;		/* until then the session before wrote all, 0: none */
	int64_t recorded_since;
	const struct msg_owner **owners;	/* of the batch at hand, with their numbers in the file */
	uint32_t *owner_ids, owners_cap, n_owners;
	int64_t last_look;
	struct store_stats batch;	/* what the transaction at hand adds */
	int64_t batch_complete;
	int64_t merged_at;		/* the first snapshot was complete, 0: not yet */

	pthread_mutex_t stats_lock;
	struct store_stats stats;
	atomic_uint epoch;		/* changes when open leases must be told again */
};

/* Directory, lock, recovery; no thread and no session yet. */
int writer_open(struct writer *w, const struct store_opts *opts);
/* The session begins, and the gap before it ends. */
int writer_start(struct writer *w);
/*
 * Stops the threads, ends the session (`lost`, if its `to` is set, came to nobody:
 * not as one that wrote all), lets go of everything; a zeroed one with lock_fd -1
 * is fine.  0, or -EIO: something is missing, said.
 */
int writer_close(struct writer *w, const struct gap *lost);

/*
 * Finds the last session and takes up its file; then writes that this one began (recover.c).  Each is done once, and
 * may be tried again after a failure: nothing of it is left but what is on disk.
 */
int writer_recover(struct writer *w);
int writer_begin_session(struct writer *w);
/* The wall clock was set by `moved` ns: what is kept of the time before, by the new one. */
void writer_shift(struct writer *w, int64_t moved);
/* Opens or makes the hot file if there is none. */
int writer_ensure_hot(struct writer *w);
/* Writes one message, in an open transaction (apply.c). */
int writer_apply(struct writer *w, const struct msg *m);
/* Ends what the last session left open and nobody found, in an open transaction. */
int writer_end_waiting(struct hot *hot, struct carry *carry, int64_t end);

#endif
