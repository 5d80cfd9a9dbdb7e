// SPDX-License-Identifier: GPL-2.0
/*
 * Reading the minute roll-ups, of evicted files and of those that are there;
 * history.h.
 */
#include "store/history_priv.h"

#include <errno.h>
#include <stdlib.h>

#include "base/log.h"

#define NETNS_MAX 4096

struct minute_reader {
	sqlite3 *db;
	sqlite3_stmt *minute, *netns;
	struct summary_netns space[NETNS_MAX];
};

static int read_netns(struct minute_reader *r, int64_t minute, struct summary *sum)
{
	int err = 0;

	sqlite3_bind_int64(r->netns, 1, minute);
	while (sum->n_netns < NETNS_MAX && (err = db_step(r->db, r->netns)) > 0) {
		struct summary_netns *n = &r->space[sum->n_netns++];

		n->netns = (uint32_t)sqlite3_column_int64(r->netns, 0);
		n->range_lo = (uint32_t)sqlite3_column_int64(r->netns, 1);
		n->range_hi = (uint32_t)sqlite3_column_int64(r->netns, 2);
		n->reserved = (uint32_t)sqlite3_column_int64(r->netns, 3);
		n->used_odd = (uint32_t)sqlite3_column_int64(r->netns, 4);
		n->used_even = (uint32_t)sqlite3_column_int64(r->netns, 5);
	}
	sqlite3_reset(r->netns);
	sum->netns = r->space;
	return err < 0 ? err : 0;
}

static int read_minute(struct minute_reader *r, struct event *ev, struct summary *sum)
{
	int i = 2;

	*sum = (struct summary){ 0 };
	*ev = (struct event){ .kind = EV_SUMMARY, .ts = sqlite3_column_int64(r->minute, 1), .summary = sum };
	for (int k = 0; k < PL_KINDS; k++)
		sum->allocs[k] = (uint64_t)sqlite3_column_int64(r->minute, i++);
	sum->releases = (uint64_t)sqlite3_column_int64(r->minute, i++);
	for (int e = 0; e < PL_ERRNOS; e++)
		sum->fails[e] = (uint64_t)sqlite3_column_int64(r->minute, i++);
	sum->live = (uint64_t)sqlite3_column_int64(r->minute, i++);
	sum->time_wait = (uint64_t)sqlite3_column_int64(r->minute, i++);
	sum->lost = (uint64_t)sqlite3_column_int64(r->minute, i++);
	return read_netns(r, sqlite3_column_int64(r->minute, 0), sum);
}

static int each_minute(sqlite3 *db, int64_t since, int64_t until, history_fn fn, void *arg)
{
	struct minute_reader *r = calloc(1, sizeof(*r));
	int err;

	if (!r)
		return -ENOMEM;
	r->db = db;
	err = db_prepare(db, "SELECT * FROM minute WHERE at BETWEEN ? AND ? ORDER BY id", &r->minute);
	if (!err)
		err = db_prepare(db, "SELECT netns,range_lo,range_hi,reserved,used_odd,used_even FROM minute_netns WHERE minute=?",
				 &r->netns);
	if (!err) {
		sqlite3_bind_int64(r->minute, 1, since);
		sqlite3_bind_int64(r->minute, 2, until);
	}
	while (!err && (err = db_step(db, r->minute)) > 0) {
		struct summary sum;
		struct event ev;

		err = read_minute(r, &ev, &sum);
		if (!err)
			err = fn(arg, &ev);
	}
	sqlite3_finalize(r->minute);
	sqlite3_finalize(r->netns);
	free(r);
	return err;
}

static int old_minutes(struct history *h, const struct dir_file *file, int64_t since, int64_t until, history_fn fn, void *arg)
{
	sqlite3 *db = NULL;
	int err = dir_check(h->dir, file->name, NULL);

	if (!err)
		err = db_open(h->dir, file->name, DB_LIVE, &db);
	if (!err)
		err = db_check(db, DIR_MINUTES);
	if (!err)
		err = each_minute(db, since, until, fn, arg);
	db_close(db);
	if (!history_is_damage(err))
		return err;
	log_warn("history file '%s/%s' is passed over: %s", h->dir->path, file->name, db_strerror(err));
	return 0;
}

int history_minutes(struct history *h, int64_t since, int64_t until, history_fn fn, void *arg)
{
	int err = since > until ? -EINVAL : 0;

	for (size_t i = 0; !err && i < h->n_minutes; i++)
		err = old_minutes(h, &h->minutes[i], since, until, fn, arg);
	for (size_t i = 0; !err && i < h->count; i++) {
		int64_t from, to;
		struct hfile *f;

		history_span(h, i, &from, &to);
		if (!span_overlaps(time_sub_sat(from, HISTORY_LATE_NS), to, since, until) || !(f = history_file(h, i)))
			continue;
		err = each_minute(file_db(f), since, until, fn, arg);
		if (history_is_damage(err)) {
			history_spoil(h, i, err);
			err = 0;
		}
	}
	return err;
}
