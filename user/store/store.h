/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The writer of the history: one object, one directory, one instance.
 *
 * Every call but store_stats() comes from one thread, the one that drains; none
 * of them waits for the disk except store_open_writer(), store_flush() and
 * store_close().  A second thread writes and commits, a third seals and
 * removes.  What cannot be written waits in bounded memory; what does not fit
 * is counted, and a gap says so in the history once it can be written again.
 *
 * Times are unix ns.  All but the directory is borrowed for the call only.
 */
#ifndef PORTLIFE_STORE_STORE_H
#define PORTLIFE_STORE_STORE_H

#include <stddef.h>
#include "model/event.h"

struct store;

struct store_opts {
	const char *dir;
	const char *host, *boot_id;	/* as in the events */
	const char *version;		/* of the recorder */
	uint64_t retain_bytes;		/* 0: 1 GiB */
	int64_t retain_age;		/* ns, 0: 30 days; negative: for ever */
	/* For tests and odd hosts; 0 means the default in brackets. */
	uint64_t rotate_leases;		/* ended ones and fails [1 million, or what takes a quarter of retain_bytes] */
	int64_t rotate_age;		/* ns [1 h] */
	int64_t commit_age;		/* ns [0.75 s], so that what is a second old can be read */
	int64_t open_age;		/* ns between two looks at what is open [1 min] */
	size_t queue_bytes;		/* [32 MiB] */
	int64_t close_age;		/* ns that the end may take for what is not written yet [20 s: systemd waits for 30] */
	/*
	 * Calls store_open_lease() for each lease that is held now.  Asked for from
	 * store_tick() when it is time and around a rotation.  May be NULL: then a
	 * crash loses what is open, and files answer for ended leases only.
	 */
	void (*each_open)(void *arg, struct store *st);
	void *each_open_arg;
	int64_t (*unix_now)(void);	/* from any thread; NULL: the wall clock */
	bool begin_later;		/* the session begins with store_begin() */
};

struct store_stats {
	uint64_t leases, opens, fails, gaps, minutes;	/* committed */
	uint64_t lost;			/* leases and fails that memory had no room for */
	uint64_t write_errors;		/* failed attempts to commit, rotate or seal */
	int last_error;			/* negative errno while writing fails, else 0 */
	uint64_t sealed, evicted, set_aside;	/* files */
	uint64_t carried;		/* leases of the last session that go on and are still held */
	uint64_t bytes;			/* on disk, as of the last look (after each seal, once a minute) */
	int64_t oldest;			/* the history begins here, 0: empty */
	uint64_t queue_bytes;
};

/*
 * Opens the directory (makes it, 0750, if only the last part is missing), takes
 * its lock, repairs what a crash left, records the gap since the last session
 * and starts the threads.  Says on stderr what is wrong.  Where the disk is full
 * and retention has nothing left to remove, that is said and all of this but
 * the lock is done as soon as there is room.
 * -EBUSY: another instance writes (its pid is said); -ELOOP, -EPERM, -ENOTDIR,
 * -EROFS, ...: the directory cannot be used.
 */
int store_open_writer(const struct store_opts *opts, struct store **ret);

/*
 * From now on nothing is missed (the hooks are attached): the session begins, and the gap before it ends.  Only, and
 * once, with begin_later, before the first event.  Errors as those of store_open_writer().
 */
int store_begin(struct store *st);

/*
 * Writes what is waiting (for at most some seconds when the disk refuses, `close_age` when it is slow), ends the session.  0, or
 * -EIO: not all could be written, said with how many; a gap of the next session will tell.  NULL is fine.
 */
int store_close(struct store *st);

/* A finished lease (EV_RELEASE).  0, or -ENOBUFS: counted as lost. */
int store_lease(struct store *st, const struct event *ev);

/*
 * A lease that is held: each EV_OPEN of the first snapshot, and what each_open
 * reports.  Written once a file.  A lease with PL_F_SNAPSHOT that the last
 * session of this boot left open goes on under its old id, start and owner.
 * 0, or -ENOBUFS: counted as lost.
 */
int store_open_lease(struct store *st, const struct event *ev);

/*
 * The first snapshot is complete: what the last session left open and nobody
 * found has ended meanwhile; it is closed as seen last, reason lost.
 */
void store_merged(struct store *st);

/* 0, or -ENOBUFS: a refusal is counted as lost, a gap told later; the counts of a summary are missing in the history. */
int store_fail(struct store *st, const struct event *ev);		/* EV_FAIL */
int store_gap(struct store *st, const struct gap *gap);
int store_minute(struct store *st, const struct event *ev);		/* EV_SUMMARY */

/* Does what is due: commit, look at what is open, rotation.  Cheap; call at every drain, at least every 0.25 s. */
void store_tick(struct store *st);

/*
 * The wall clock was set: what comes is told by unix ns - boot ns = `clock`, what each_open reports during this call
 * still by the old one.  From a second on the file ends and the step is noted in the next: the times of a file are of
 * one clock.
 */
void store_clock(struct store *st, int64_t clock);

/* Hands over what is waiting, now. */
void store_commit(struct store *st);
/* Ends the hot file and begins another; the old one is sealed behind our back. */
int store_rotate(struct store *st);
/* All that has happened was told: commits and waits until it is on disk.  -ETIMEDOUT after `ms`. */
int store_flush(struct store *st, int ms);
/* Waits until no file waits to be sealed.  For tests and the end. */
int store_settle(struct store *st, int ms);

/* From any thread. */
void store_stats(struct store *st, struct store_stats *ret);

#endif
