// SPDX-License-Identifier: GPL-2.0
/*
 * Finding rows in one history file; see file.h.
 *
 * Sealed: the rows of a port lie together, ordered by start.  What is held at a
 * time T began before T, and not earlier than the longest lease of that port
 * before T; the few that last longer than FILE_LONG_NS, which would spoil that
 * bound, are listed apart.
 * Hot: each batch left the ports of its rows in one blob, so that a search
 * reads two bytes a lease and then only the rows of its port.
 */
#include "store/file_priv.h"

#include <endian.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "store/dict.h"

#define FEW 64		/* rows that are read faster than searched */
#define MANY_PORTS 2048	/* from here on the whole hot file is read */

static bool overlaps(const struct lease_row *r, const struct file_span *span)
{
	return r->start <= span->until && (r->open || r->end > span->since || r->start >= span->since);
}

/* ---- hot ---- */

/* What is told as open is held back until it is sure that no later row ends it. */
struct hot_scan {
	struct hfile *f;
	const struct file_span *span;
	file_row_fn fn;
	void *arg;
	struct idmap open;	/* id -> rowid */
};

static int hot_row(struct hot_scan *scan, const struct lease_row *r)
{
	if (r->open)
		return r->id && idmap_put(&scan->open, r->id, (uint64_t)r->rowid) < 0 ? -ENOMEM : 0;
	idmap_del(&scan->open, r->id);
	return overlaps(r, scan->span) ? scan->fn(scan->arg, scan->f, r) : 0;
}

static int hot_flush(struct hot_scan *scan)
{
	int err = 0;

	for (size_t i = 0; !err && i < scan->open.cap; i++) {
		struct lease_row r;

		if (!scan->open.slots[i].id)
			continue;
		err = file_get_row(scan->f, (int64_t)scan->open.slots[i].value, 0, &r);
		if (err > 0)
			err = overlaps(&r, scan->span) ? scan->fn(scan->arg, scan->f, &r) : 0;
	}
	return err;
}

static int hot_scan_all(struct hot_scan *scan)
{
	int err;
	sqlite3_stmt *stmt = file_stmt(scan->f, FQ_ROWS, &err);

	while (!err && (err = db_step(scan->f->db, stmt)) > 0) {
		struct lease_row r;

		file_read_row(scan->f, stmt, &r);
		err = r.port < scan->span->lo || r.port > scan->span->hi ? 0 : hot_row(scan, &r);
	}
	sqlite3_reset(stmt);
	return err;
}

static int hot_scan_run(struct hot_scan *scan, int64_t first, const unsigned char *ports, size_t n)
{
	uint16_t width = (uint16_t)(scan->span->hi - scan->span->lo);
	int err = 0;

	for (size_t i = 0; !err && i < n; i++) {
		struct lease_row r;
		uint16_t port;

		memcpy(&port, ports + 2 * i, 2);
		if ((uint16_t)(le16toh(port) - scan->span->lo) > width)
			continue;
		err = file_get_row(scan->f, time_add(first, (int64_t)i), 0, &r);
		if (err > 0)
			err = r.port < scan->span->lo || r.port > scan->span->hi ? -EBADMSG : hot_row(scan, &r);
	}
	return err;
}

static int hot_scan_ports(struct hot_scan *scan)
{
	int err;
	sqlite3_stmt *stmt = file_stmt(scan->f, FQ_RUN, &err);

	while (!err && (err = db_step(scan->f->db, stmt)) > 0) {
		const void *ports = sqlite3_column_blob(stmt, 1);

		err = hot_scan_run(scan, sqlite3_column_int64(stmt, 0), ports, (size_t)sqlite3_column_bytes(stmt, 1) / 2);
	}
	sqlite3_reset(stmt);
	return err;
}

static int hot_each_row(struct hfile *f, const struct file_span *span, file_row_fn fn, void *arg)
{
	struct hot_scan scan = { .f = f, .span = span, .fn = fn, .arg = arg };
	int err = span->hi - span->lo >= MANY_PORTS ? hot_scan_all(&scan) : hot_scan_ports(&scan);

	if (!err)
		err = hot_flush(&scan);
	idmap_clear(&scan.open);
	return err;
}

/* ---- sealed ---- */

struct port_rows {
	uint16_t port;
	int64_t first, count, longest;
};

static int start_of(struct hfile *f, int64_t rowid, int64_t *ret)
{
	int err;
	sqlite3_stmt *stmt = file_stmt(f, FQ_START, &err);

	if (!stmt)
		return err;
	sqlite3_bind_int64(stmt, 1, rowid);
	err = db_step(f->db, stmt);
	if (err > 0)
		*ret = time_add(f->meta.base, sqlite3_column_int64(stmt, 0));
	sqlite3_reset(stmt);
	return err > 0 ? 0 : err ? err : -EBADMSG;
}

/* The number of the first row of the port that starts at or after `since`. */
static int search_start(struct hfile *f, const struct port_rows *p, int64_t since, int64_t *ret)
{
	int64_t lo = 0, hi = p->count, start = 0;
	int err = 0;

	while (!err && lo < hi) {
		int64_t mid = lo + (hi - lo) / 2;

		err = start_of(f, p->first + mid, &start);
		if (start < since)
			lo = mid + 1;
		else
			hi = mid;
	}
	*ret = p->first + lo;
	return err;
}

/* Rows from..last of a port; with `short_only` those that `long` lists are left to it. */
static int sealed_range(struct hfile *f, const struct port_rows *p, int64_t from, bool short_only,
			const struct file_span *span, file_row_fn fn, void *arg)
{
	int err;
	sqlite3_stmt *stmt = file_stmt(f, FQ_ROWS, &err);

	if (!stmt)
		return err;
	sqlite3_bind_int64(stmt, 1, from);
	sqlite3_bind_int(stmt, 2, p->port);
	sqlite3_bind_int64(stmt, 3, p->first + p->count - 1);
	while (!err && (err = db_step(f->db, stmt)) > 0) {
		struct lease_row r;

		file_read_row(f, stmt, &r);
		err = 0;
		if (r.start > span->until)
			break;
		if (overlaps(&r, span) && !(short_only && (r.open || time_sub(r.end, r.start) > FILE_LONG_NS)))
			err = fn(arg, f, &r);
	}
	sqlite3_reset(stmt);
	return err;
}

static int sealed_long(struct hfile *f, const struct port_rows *p, const struct file_span *span, file_row_fn fn, void *arg)
{
	int err;
	sqlite3_stmt *stmt = file_stmt(f, FQ_LONG, &err);

	if (!stmt)
		return err;
	sqlite3_bind_int(stmt, 1, p->port);
	sqlite3_bind_int(stmt, 2, p->port);
	while (!err && (err = db_step(f->db, stmt)) > 0) {
		int64_t rowid = sqlite3_column_int64(stmt, 0);
		struct lease_row r;

		err = rowid < p->first || rowid >= p->first + p->count ? -EBADMSG : file_get_row(f, rowid, p->port, &r);
		if (err > 0)
			err = overlaps(&r, span) ? fn(arg, f, &r) : 0;
	}
	sqlite3_reset(stmt);
	return err;
}

static int sealed_port(struct hfile *f, const struct port_rows *p, const struct file_span *span, file_row_fn fn, void *arg)
{
	int64_t from;
	int err;

	if (p->count <= FEW || span->since == INT64_MIN)
		return sealed_range(f, p, p->first, false, span, fn, arg);
	err = search_start(f, p, time_sub_sat(span->since, p->longest), &from);
	if (!err)
		err = sealed_range(f, p, from, true, span, fn, arg);
	if (!err)
		err = sealed_long(f, p, span, fn, arg);
	return err;
}

/* Ports come in order, and so must their rows: a file that says otherwise could make us read it for ever. */
static int read_port(sqlite3_stmt *stmt, int64_t *next, struct port_rows *p)
{
	p->port = (uint16_t)sqlite3_column_int(stmt, 0);
	p->first = sqlite3_column_int64(stmt, 1);
	p->count = sqlite3_column_int64(stmt, 2);
	p->longest = sqlite3_column_int64(stmt, 3);
	if (p->first < *next || p->count < 0 || p->count > INT32_MAX || p->first > INT32_MAX || p->longest < 0)
		return -EBADMSG;
	*next = p->first + p->count;
	return 0;
}

static int sealed_each_row(struct hfile *f, const struct file_span *span, file_row_fn fn, void *arg)
{
	int64_t next = 0;
	int err;
	sqlite3_stmt *stmt = file_stmt(f, FQ_PORT, &err);

	if (!stmt)
		return err;
	sqlite3_bind_int(stmt, 1, span->lo);
	sqlite3_bind_int(stmt, 2, span->hi);
	while (!err && (err = db_step(f->db, stmt)) > 0) {
		struct port_rows p;

		err = read_port(stmt, &next, &p);
		if (!err)
			err = sealed_port(f, &p, span, fn, arg);
	}
	sqlite3_reset(stmt);
	return err;
}

/* ---- both ---- */

int file_each_row(struct hfile *f, const struct file_span *span, file_row_fn fn, void *arg)
{
	return f->kind == DIR_HOT ? hot_each_row(f, span, fn, arg) : sealed_each_row(f, span, fn, arg);
}

struct open_filter {
	file_row_fn fn;
	void *arg;
};

static int only_open(void *arg, struct hfile *f, const struct lease_row *row)
{
	const struct open_filter *o = arg;

	return row->open ? o->fn(o->arg, f, row) : 0;
}

static int sealed_each_open(struct hfile *f, file_row_fn fn, void *arg)
{
	int err;
	sqlite3_stmt *stmt = file_stmt(f, FQ_LONG, &err);

	if (!stmt)
		return err;
	sqlite3_bind_int(stmt, 1, 0);
	sqlite3_bind_int(stmt, 2, UINT16_MAX);
	while (!err && (err = db_step(f->db, stmt)) > 0) {
		struct lease_row r;

		err = file_get_row(f, sqlite3_column_int64(stmt, 0), (uint16_t)sqlite3_column_int(stmt, 1), &r);
		if (err > 0)
			err = r.open ? fn(arg, f, &r) : 0;
	}
	sqlite3_reset(stmt);
	return err;
}

int file_each_open(struct hfile *f, file_row_fn fn, void *arg)
{
	struct open_filter o = { fn, arg };

	return f->kind == DIR_SEALED ? sealed_each_open(f, fn, arg) :
	       file_each_row(f, &(struct file_span){ 0, UINT16_MAX, INT64_MIN, INT64_MAX }, only_open, &o);
}

int file_ports(struct hfile *f, uint16_t lo, uint16_t hi, int64_t *first, int64_t *count)
{
	int err;
	sqlite3_stmt *stmt = file_stmt(f, FQ_PORTS, &err);

	if (!stmt)
		return err;
	sqlite3_bind_int(stmt, 1, lo);
	sqlite3_bind_int(stmt, 2, hi);
	err = db_step(f->db, stmt);
	*first = err > 0 ? sqlite3_column_int64(stmt, 0) : 0;
	*count = err > 0 ? sqlite3_column_int64(stmt, 1) : 0;
	sqlite3_reset(stmt);
	if (*first < 0 || *first > INT32_MAX || *count < 0 || *count > INT32_MAX)
		return -EBADMSG;
	return err < 0 ? err : 0;
}

struct end_search {
	uint64_t id;
	struct lease_row *ret;
};

static int is_end(void *arg, struct hfile *f, const struct lease_row *row)
{
	struct end_search *s = arg;

	if (row->id != s->id)
		return 0;
	*s->ret = *row;
	return 1;
}

int file_find_end(struct hfile *f, uint16_t port, uint64_t id, int64_t start, struct lease_row *ret)
{
	struct end_search s = { id, ret };
	struct file_span at = { port, port, start, start };
	int found = file_each_row(f, &at, is_end, &s);

	/* The wall clock may have been set since: then its start reads differently. */
	if (!found) {
		at.since = INT64_MIN;
		at.until = INT64_MAX;
		found = file_each_row(f, &at, is_end, &s);
	}
	return found;
}
