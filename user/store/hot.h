/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The hot file: the one file that is written, by its one connection.
 *
 * Private to store/, used by the writing thread alone.  Rows are appended
 * inside a transaction that the caller begins and ends; after a rollback the
 * dictionaries are as they were.  Refuses to sort, to index and to update rows.
 */
#ifndef PORTLIFE_STORE_HOT_H
#define PORTLIFE_STORE_HOT_H

#include "store/batch.h"
#include "store/db.h"

struct hot;

/* What a new file is told about itself. */
struct hot_birth {
	const char *host, *boot_id, *version;
	int64_t since;		/* unix ns: it answers from here on */
	int64_t recorded_since;	/* the first file ever in this directory began */
	int64_t clock;		/* unix ns - boot ns */
};

int hot_create(const struct store_dir *dir, uint32_t seq, const struct hot_birth *birth, struct hot **ret);
/* An existing one; said by nobody. */
int hot_open(const struct store_dir *dir, const char *name, struct hot **ret);
/* `still`: it will never be written again, and is left for the sealer as it is. */
void hot_close(struct hot *h, bool still);

sqlite3 *hot_db(struct hot *h);
const char *hot_name(const struct hot *h);
uint32_t hot_seq(const struct hot *h);
uint64_t hot_leases(const struct hot *h);
int64_t hot_clock(const struct hot *h);
/* Written by an older version: it can be ended in order, what is new has no place in it. */
bool hot_is_old(const struct hot *h);
/* Copied; "" when unknown. */
const char *hot_boot_id(const struct hot *h);
int64_t hot_since(const struct hot *h);
int64_t hot_recorded_since(const struct hot *h);

int hot_begin(struct hot *h);
int hot_commit(struct hot *h);
void hot_rollback(struct hot *h);

/* The number of the owner in this file, through `ret`. */
int hot_put_owner(struct hot *h, const struct msg_owner *owner, uint32_t *ret);
/* `open`: the end is not known.  `owner` from hot_put_owner(), 0: unknown. */
int hot_put_lease(struct hot *h, const struct row *row, uint32_t owner, bool open);
int hot_put_fail(struct hot *h, const struct row *row, uint32_t owner);
int hot_put_gap(struct hot *h, const struct gap *gap);
int hot_put_step(struct hot *h, int64_t at, int64_t clock);
int hot_put_minute(struct hot *h, int64_t at, const struct summary *sum, const struct summary_netns *netns);

/*
 * Sessions: a start, then maybe an end.  `until`: what began or ended before is in the history, whatever happened after.
 * The numbers are those of the file.
 */
enum session_end { SESSION_OPEN = 0, SESSION_STOPPED = 1, SESSION_ROTATED = 2 /* goes on in the next file */ };
int hot_session_begin(struct hot *h, int64_t since, int64_t until, int pid, const char *version);
int hot_session_update(struct hot *h, int64_t until, enum session_end end);
/* The last one in the file; -ENOENT when there is none. */
int hot_session_last(struct hot *h, int64_t *since, int64_t *until, enum session_end *end);
/* The file answers up to here. */
int hot_end(struct hot *h, int64_t until);

#endif
