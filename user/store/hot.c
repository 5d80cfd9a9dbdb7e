// SPDX-License-Identifier: GPL-2.0
/*
 * The hot file: its life, its transactions, its rows; see hot.h.
 */
#include "store/hot_priv.h"

#include <endian.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>


static const char *const sqls[STATEMENTS] = {
	[ST_LEASE] = "INSERT INTO lease VALUES(?,?,?,?,?,?,?,?,?,?)",
	[ST_RUN] = "INSERT INTO run VALUES(?,?)",
	[ST_OWNER] = "INSERT INTO process VALUES(?,?,?,?,?,?,?,?,?,?,?)",
	[ST_EXE] = "INSERT INTO exe VALUES(?,?,?)",
	[ST_WORKLOAD] = "INSERT INTO workload VALUES(?,?,?,?,?,?)",
	[ST_SHAPE] = "INSERT INTO shape VALUES(?,?,?,?,?,?,?,?,?,?)",
	[ST_PEER] = "INSERT INTO peer VALUES(?,?,?)",
	[ST_FAIL] = "INSERT INTO fail VALUES(NULL,?,?,?,?,?,?)",
	[ST_GAP] = "INSERT INTO gap VALUES(NULL,?,?,?,?)",
	[ST_STEP] = "INSERT INTO step VALUES(NULL,?,?)",
	[ST_MINUTE] = "INSERT INTO minute VALUES(NULL,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)",
	[ST_MINUTE_NETNS] = "INSERT OR REPLACE INTO minute_netns VALUES(?,?,?,?,?,?,?)",
};

sqlite3 *hot_db(struct hot *h)
{
	return h->db;
}

const char *hot_name(const struct hot *h)
{
	return h->name;
}

uint32_t hot_seq(const struct hot *h)
{
	return h->seq;
}

uint64_t hot_leases(const struct hot *h)
{
	return h->ids[ID_LEASE];
}

int64_t hot_clock(const struct hot *h)
{
	return h->clock;
}

bool hot_is_old(const struct hot *h)
{
	return h->version < DB_VERSION;
}

const char *hot_boot_id(const struct hot *h)
{
	return h->boot_id;
}

int64_t hot_since(const struct hot *h)
{
	return h->since;
}

int64_t hot_recorded_since(const struct hot *h)
{
	return h->recorded_since;
}

/* ---- opening and closing ---- */

static const char *statement_text(const struct hot *h, int statement)
{
	return statement == ST_OWNER && h->version < 2 ? "INSERT INTO process VALUES(?,?,?,?,?,?,?,?,?,?)" : sqls[statement];
}

static int hot_prepare(struct hot *h)
{
	static const struct { size_t key; unsigned int order; } sizes[DICTS] = {
		[DICT_OWNER] = { sizeof(struct owner_key), 12 }, [DICT_EXE] = { sizeof(struct text_key), 9 },
		[DICT_WORKLOAD] = { sizeof(struct text_key), 9 }, [DICT_SHAPE] = { sizeof(struct shape_key), 10 },
		[DICT_PEER] = { sizeof(struct peer_key), 13 },
	};
	int err = 0;

	for (int i = 0; !err && i < STATEMENTS; i++)
		err = db_prepare(h->db, statement_text(h, i), &h->stmts[i]);
	for (int i = 0; !err && i < DICTS; i++)
		err = dict_new(sizes[i].key, sizes[i].order, &h->dicts[i]);
	return err;
}

static int hot_read_meta(struct hot *h)
{
	sqlite3_stmt *stmt = NULL;
	int err = db_prepare(h->db, "SELECT base,clock,since,recorded_since,boot_id FROM meta", &stmt);

	if (!err)
		err = db_step(h->db, stmt);
	if (err > 0) {
		h->base = sqlite3_column_int64(stmt, 0);
		h->clock = sqlite3_column_int64(stmt, 1);
		h->since = sqlite3_column_int64(stmt, 2);
		h->recorded_since = sqlite3_column_int64(stmt, 3);
		snprintf(h->boot_id, sizeof(h->boot_id), "%s", (const char *)sqlite3_column_text(stmt, 4) ?: "");
		err = 0;
	} else if (!err) {
		err = -EBADMSG;
	}
	sqlite3_finalize(stmt);
	return err;
}

static int hot_read_ids(struct hot *h)
{
	static const char *const last[IDS] = {
		[ID_LEASE] = "SELECT coalesce(max(id),0) FROM lease", [ID_OWNER] = "SELECT coalesce(max(id),0) FROM process",
		[ID_EXE] = "SELECT coalesce(max(id),0) FROM exe", [ID_WORKLOAD] = "SELECT coalesce(max(id),0) FROM workload",
		[ID_SHAPE] = "SELECT coalesce(max(id),0) FROM shape", [ID_PEER] = "SELECT coalesce(max(id),0) FROM peer",
	};

	for (int i = 0; i < IDS; i++) {
		int64_t id = db_int(h->db, last[i], -1);

		if (id < 0 || id > INT32_MAX)
			return -EBADMSG;
		h->ids[i] = (uint32_t)id;
	}
	return 0;
}

int hot_open(const struct store_dir *dir, const char *name, struct hot **ret)
{
	struct hot *h = calloc(1, sizeof(*h));
	struct dir_file file;
	int err = h ? dir_check(dir, name, NULL) : -ENOMEM;

	if (!err)
		err = dir_check_wal(dir, name);
	if (!err)
		err = db_open(dir, name, DB_WRITE, &h->db);
	if (!err)
		err = db_check(h->db, DIR_HOT);
	if (!err)
		h->version = db_version(h->db);
	if (!err)
		err = hot_read_meta(h);
	if (!err)
		err = hot_read_ids(h);
	if (!err)
		err = hot_prepare(h);
	if (err) {
		hot_close(h, true);
		return err;
	}
	dir_name_parse(name, &file);
	h->seq = file.seq;
	snprintf(h->name, sizeof(h->name), "%s", name);
	*ret = h;
	return 0;
}

static int write_meta(const struct store_dir *dir, const char *name, uint32_t seq, const struct hot_birth *b)
{
	sqlite3_stmt *stmt = NULL;
	sqlite3 *db = NULL;
	int err = db_open(dir, name, DB_WRITE, &db);

	if (!err)
		err = db_prepare(db, "INSERT INTO meta VALUES(?,?,?,?,?,?,?,?,NULL,NULL)", &stmt);
	if (!err) {
		sqlite3_bind_int64(stmt, 1, seq);
		db_bind_text(stmt, 2, b->host);
		db_bind_text(stmt, 3, b->boot_id);
		db_bind_text(stmt, 4, b->version);
		sqlite3_bind_int64(stmt, 5, b->since);
		sqlite3_bind_int64(stmt, 6, b->clock);
		sqlite3_bind_int64(stmt, 7, b->recorded_since);
		sqlite3_bind_int64(stmt, 8, b->since);
		err = db_run(db, stmt);
	}
	sqlite3_finalize(stmt);
	db_close(db);
	return err;
}

/* Built under another name: a reader finds it whole or not at all. */
int hot_create(const struct store_dir *dir, uint32_t seq, const struct hot_birth *birth, struct hot **ret)
{
	char tmp[DIR_NAME_MAX], name[DIR_NAME_MAX];
	int err;

	snprintf(tmp, sizeof(tmp), ".tmp-hot-%06u.db", seq);
	dir_name_hot(seq, name);
	err = db_create(dir, tmp, DIR_HOT);
	if (!err)
		err = write_meta(dir, tmp, seq, birth);
	if (!err)
		err = dir_publish(dir, tmp, name);
	if (!err)
		err = hot_open(dir, name, ret);
	if (err)
		dir_unlink(dir, tmp);
	return err;
}

void hot_close(struct hot *h, bool still)
{
	if (!h)
		return;
	for (int i = 0; i < STATEMENTS; i++)
		sqlite3_finalize(h->stmts[i]);
	for (int i = 0; i < DICTS; i++)
		dict_free(h->dicts[i]);
	if (h->db && still)
		sqlite3_db_config(h->db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
	db_close(h->db);
	free(h->run);
	free(h);
}

/* ---- transactions ---- */

int hot_begin(struct hot *h)
{
	memcpy(h->ids_before, h->ids, sizeof(h->ids));
	h->run_first = h->ids[ID_LEASE] + 1;
	h->run_len = 0;
	return db_exec(h->db, "BEGIN IMMEDIATE");
}

static int hot_write_run(struct hot *h)
{
	sqlite3_stmt *stmt = h->stmts[ST_RUN];

	if (!h->run_len)
		return 0;
	for (size_t i = 0; i < h->run_len; i++)
		h->run[i] = htole16(h->run[i]);
	sqlite3_bind_int64(stmt, 1, h->run_first);
	sqlite3_bind_blob(stmt, 2, h->run, (int)(h->run_len * sizeof(*h->run)), SQLITE_STATIC);
	return db_run(h->db, stmt);
}

int hot_commit(struct hot *h)
{
	int err = hot_write_run(h);

	return err ? err : db_exec(h->db, "COMMIT");
}

void hot_rollback(struct hot *h)
{
	if (!sqlite3_get_autocommit(h->db))
		db_exec(h->db, "ROLLBACK");
	memcpy(h->ids, h->ids_before, sizeof(h->ids));
	for (int i = 0; i < DICTS; i++)
		dict_clear(h->dicts[i]);
}

/* ---- rows ---- */

static int run_add(struct hot *h, uint16_t port)
{
	if (h->run_len == h->run_cap) {
		size_t cap = h->run_cap ? h->run_cap * 2 : 8192;
		uint16_t *run = realloc(h->run, cap * sizeof(*run));

		if (!run)
			return -ENOMEM;
		h->run = run;
		h->run_cap = cap;
	}
	h->run[h->run_len++] = port;
	return 0;
}

int hot_put_lease(struct hot *h, const struct row *r, uint32_t owner, bool open)
{
	sqlite3_stmt *stmt = h->stmts[ST_LEASE];
	uint32_t shape, peer;
	int err = hot_put_shape(h, r, &shape);

	if (!err)
		err = hot_put_peer(h, r, &peer);
	if (!err)
		err = run_add(h, r->lport);
	if (err)
		return err;
	sqlite3_bind_int64(stmt, 1, h->ids[ID_LEASE] + 1);
	sqlite3_bind_int(stmt, 2, r->lport);
	/* The kernel makes ids from its clock: what is left of one is a few bits. */
	sqlite3_bind_int64(stmt, 3, (int64_t)(r->id - ((uint64_t)(r->start - h->clock) << 10)));
	sqlite3_bind_int64(stmt, 4, r->start - h->base);
	if (open)
		sqlite3_bind_null(stmt, 5);
	else
		sqlite3_bind_int64(stmt, 5, r->end - r->start);
	if (r->closed)
		sqlite3_bind_int64(stmt, 6, r->closed - r->start);
	else
		sqlite3_bind_null(stmt, 6);
	db_bind_known(stmt, 7, owner);
	sqlite3_bind_int64(stmt, 8, shape);
	db_bind_known(stmt, 9, peer);
	db_bind_known(stmt, 10, (int64_t)r->cookie);
	err = db_run(h->db, stmt);
	if (!err)
		h->ids[ID_LEASE]++;
	return err;
}

int hot_put_fail(struct hot *h, const struct row *r, uint32_t owner)
{
	sqlite3_stmt *stmt = h->stmts[ST_FAIL];
	uint32_t shape, peer;
	int err = hot_put_shape(h, r, &shape);

	if (!err)
		err = hot_put_peer(h, r, &peer);
	if (err)
		return err;
	sqlite3_bind_int64(stmt, 1, r->start - h->base);
	sqlite3_bind_int(stmt, 2, r->lport);
	db_bind_text(stmt, 3, event_errno_name(r->err));
	db_bind_known(stmt, 4, owner);
	sqlite3_bind_int64(stmt, 5, shape);
	db_bind_known(stmt, 6, peer);
	return db_run(h->db, stmt);
}

int hot_put_gap(struct hot *h, const struct gap *gap)
{
	sqlite3_stmt *stmt = h->stmts[ST_GAP];

	sqlite3_bind_int64(stmt, 1, gap->from);
	sqlite3_bind_int64(stmt, 2, gap->to);
	if (gap->lost < 0)
		sqlite3_bind_null(stmt, 3);
	else
		sqlite3_bind_int64(stmt, 3, gap->lost);
	db_bind_text(stmt, 4, event_gap_name(gap->cause));
	return db_run(h->db, stmt);
}

int hot_put_step(struct hot *h, int64_t at, int64_t clock)
{
	sqlite3_bind_int64(h->stmts[ST_STEP], 1, at);
	sqlite3_bind_int64(h->stmts[ST_STEP], 2, clock);
	return db_run(h->db, h->stmts[ST_STEP]);
}

static int put_minute_netns(struct hot *h, int64_t minute, const struct summary_netns *n)
{
	sqlite3_stmt *stmt = h->stmts[ST_MINUTE_NETNS];
	const uint32_t values[] = { n->netns, n->range_lo, n->range_hi, n->reserved, n->used_odd, n->used_even };

	sqlite3_bind_int64(stmt, 1, minute);
	for (int i = 0; i < 6; i++)
		sqlite3_bind_int64(stmt, 2 + i, values[i]);
	return db_run(h->db, stmt);
}

int hot_put_minute(struct hot *h, int64_t at, const struct summary *s, const struct summary_netns *netns)
{
	sqlite3_stmt *stmt = h->stmts[ST_MINUTE];
	int i = 1, err;

	sqlite3_bind_int64(stmt, i++, at);
	for (int k = 0; k < PL_KINDS; k++)
		sqlite3_bind_int64(stmt, i++, (int64_t)s->allocs[k]);
	sqlite3_bind_int64(stmt, i++, (int64_t)s->releases);
	for (int e = 0; e < PL_ERRNOS; e++)
		sqlite3_bind_int64(stmt, i++, (int64_t)s->fails[e]);
	sqlite3_bind_int64(stmt, i++, (int64_t)s->live);
	sqlite3_bind_int64(stmt, i++, (int64_t)s->time_wait);
	sqlite3_bind_int64(stmt, i++, (int64_t)s->lost);
	err = db_run(h->db, stmt);
	for (unsigned int n = 0; !err && n < s->n_netns; n++)
		err = put_minute_netns(h, sqlite3_last_insert_rowid(h->db), &netns[n]);
	return err;
}
