// SPDX-License-Identifier: GPL-2.0
/*
 * From a hot file to a sealed one; see seal.h.
 *
 * The rows are sorted by their keys alone, then copied in that order, so that a
 * million of them take 16 MB and no temporary file.  The new file is written
 * without a journal on disk: until it is renamed it is nothing.
 */
#include "store/seal.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "store/seal_keys.h"

struct sealer {
	const struct store_dir *dir;
	sqlite3 *out;
	struct seal_keys keys;
	int version;		/* of the hot file */
};

/* ---- writing ---- */

/* One port at a time: its sum is written when the next one begins. */
struct port_sum {
	uint16_t port;
	int64_t first, count, lives, longest;
};

struct summer {
	sqlite3 *out;
	sqlite3_stmt *port, *listed;
	struct port_sum sum;
};

static int put_sum(struct summer *c)
{
	const struct port_sum *sum = &c->sum;

	if (!sum->count)
		return 0;
	sqlite3_bind_int(c->port, 1, sum->port);
	sqlite3_bind_int64(c->port, 2, sum->first);
	sqlite3_bind_int64(c->port, 3, sum->count);
	sqlite3_bind_int64(c->port, 4, sum->lives);
	sqlite3_bind_int64(c->port, 5, sum->longest);
	return db_run(c->out, c->port);
}

static int put_long(struct summer *c, uint16_t port, int64_t number)
{
	sqlite3_bind_int(c->listed, 1, port);
	sqlite3_bind_int64(c->listed, 2, number);
	return db_run(c->out, c->listed);
}

static void sum_add(struct port_sum *sum, const struct seal_key *k)
{
	int64_t duration = (k->bits & KEY_DURATION) * KEY_UNIT;

	sum->count++;
	sum->lives += !(k->bits & KEY_OPEN);
	if (!(k->bits & KEY_LONG) && duration > sum->longest)
		sum->longest = duration;
}

static int sum_key(struct summer *c, const struct seal_key *k, int64_t number)
{
	int err = 0;

	if (!c->sum.count || c->sum.port != k->port) {
		err = put_sum(c);
		c->sum = (struct port_sum){ .port = k->port, .first = number };
	}
	if (!err && (k->bits & KEY_LONG))
		err = put_long(c, k->port, number);
	sum_add(&c->sum, k);
	return err;
}

static int sum_ports(struct sealer *s)
{
	struct summer c = { .out = s->out };
	int err = db_prepare(c.out, "INSERT INTO port VALUES(?,?,?,?,?)", &c.port);

	if (!err)
		err = db_prepare(c.out, "INSERT INTO long VALUES(?,?)", &c.listed);
	for (size_t i = 0; !err && i < s->keys.count; i++)
		err = sum_key(&c, &s->keys.all[i], (int64_t)i + 1);
	if (!err)
		err = put_sum(&c);
	sqlite3_finalize(c.port);
	sqlite3_finalize(c.listed);
	return err;
}

/* One statement for all rows: a statement a row would cost twice as much. */
static int copy_leases(struct sealer *s)
{
	int err = keys_attach(&s->keys, s->out);

	if (!err)
		err = db_exec(s->out, "INSERT INTO lease SELECT k.number,l.mark,l.start,l.duration,l.active,l.process,l.shape,"
				      "l.peer,l.cookie FROM sorted k CROSS JOIN hot.lease l ON l.id=k.row");
	/* A row that could be read a moment ago and cannot now. */
	if (!err && db_int(s->out, "SELECT coalesce(max(id),0) FROM lease", -1) != (int64_t)s->keys.count)
		err = -EBADMSG;
	return err ? err : sum_ports(s);
}

static int copy_tables(struct sealer *s)
{
	static const char *const sqls[] = {
		"INSERT INTO meta SELECT * FROM hot.meta",
		"INSERT INTO session SELECT * FROM hot.session",
		"INSERT INTO gap SELECT * FROM hot.gap",
		"INSERT INTO step SELECT * FROM hot.step",
		"INSERT INTO exe SELECT * FROM hot.exe",
		"INSERT INTO workload SELECT * FROM hot.workload",
		"INSERT INTO shape SELECT * FROM hot.shape",
		"INSERT INTO peer SELECT * FROM hot.peer",
		"INSERT INTO fail SELECT * FROM hot.fail",
		"INSERT INTO minute SELECT * FROM hot.minute",
		"INSERT INTO minute_netns SELECT * FROM hot.minute_netns",
	};
	int err = 0;

	for (size_t i = 0; !err && i < sizeof(sqls) / sizeof(*sqls); i++)
		err = db_exec(s->out, sqls[i]);
	if (!err)
		err = db_exec(s->out, s->version < 2 ? "INSERT INTO process SELECT *,NULL FROM hot.process" :
						       "INSERT INTO process SELECT * FROM hot.process");
	return err;
}

/* Where the span is wider than the file's own, gaps and sessions say so. */
static void span_widen(struct sealer *s)
{
	int64_t gap = db_int(s->out, "SELECT min(since) FROM gap", s->keys.since);
	int64_t seen = db_int(s->out, "SELECT max(until) FROM session", s->keys.until);

	if (gap < s->keys.since)
		s->keys.since = gap;
	if (seen > s->keys.until)
		s->keys.until = seen;
}

static int update_meta(struct sealer *s)
{
	sqlite3_stmt *stmt = NULL;
	int err = db_prepare(s->out, "UPDATE meta SET since=?,until=?,leases=?", &stmt);

	if (!err) {
		sqlite3_bind_int64(stmt, 1, s->keys.since);
		sqlite3_bind_int64(stmt, 2, s->keys.until);
		sqlite3_bind_int64(stmt, 3, (int64_t)s->keys.count);
		err = db_run(s->out, stmt);
	}
	sqlite3_finalize(stmt);
	return err;
}

/* ---- one file ---- */

static int attach_hot(struct sealer *s, const char *name)
{
	char *uri = db_uri(s->dir, name, "?mode=ro");
	sqlite3_stmt *stmt = NULL;
	int err = uri ? db_prepare(s->out, "ATTACH ? AS hot", &stmt) : -ENOMEM;

	if (!err) {
		db_bind_text(stmt, 1, uri);
		err = db_run(s->out, stmt);
	}
	sqlite3_finalize(stmt);
	free(uri);
	/* Rows are fetched out of order: a map of the file spares a copy of its page for each. */
	return err ? err : db_exec(s->out, "PRAGMA hot.mmap_size=1073741824");
}

static int write_sealed(struct sealer *s, const char *hot_name, const char *tmp)
{
	int err = db_create(s->dir, tmp, DIR_SEALED);

	if (!err)
		err = db_open(s->dir, tmp, DB_WRITE, &s->out);
	if (!err)
		err = db_exec(s->out, "PRAGMA journal_mode=MEMORY;PRAGMA synchronous=OFF");
	if (!err)
		err = attach_hot(s, hot_name);
	if (!err)
		err = db_exec(s->out, "BEGIN");
	if (!err)
		err = copy_tables(s);
	if (!err)
		err = copy_leases(s);
	if (!err) {
		span_widen(s);
		err = update_meta(s);
	}
	if (!err)
		err = db_exec(s->out, "COMMIT");
	db_close(s->out);
	s->out = NULL;
	return err;
}

static int read_hot(struct sealer *s, const struct dir_file *hot)
{
	struct hfile *f = NULL;
	int err = file_open(s->dir, hot, &f);

	/* Its -wal cannot be read now: what lies there must not be left behind. */
	if (!err && file_is_partial(f))
		err = -EIO;
	if (err) {
		file_close(f);
		return err;
	}
	s->version = db_version(file_db(f));
	s->keys.since = file_meta(f)->since;
	s->keys.until = file_meta(f)->until;
	err = keys_read(&s->keys, f);
	file_close(f);
	return err;
}

int seal_file(const struct store_dir *dir, const struct dir_file *hot, char name[DIR_NAME_MAX])
{
	struct sealer s = { .dir = dir };
	char tmp[DIR_NAME_MAX];
	int err = read_hot(&s, hot);

	snprintf(tmp, sizeof(tmp), ".tmp-lease-%06u.db", hot->seq);
	if (!err)
		err = write_sealed(&s, hot->name, tmp);
	if (!err) {
		dir_name_sealed(hot->seq, s.keys.since, s.keys.until, name);
		err = dir_publish(dir, tmp, name);
	}
	dir_unlink(dir, err ? tmp : hot->name);
	keys_free(&s.keys);
	if (err == -EBADMSG && !dir_set_aside(dir, hot->name))
		log_err("history file '%s/%s' is damaged: set aside as '%s.corrupt'", dir->path, hot->name, hot->name);
	return err;
}
