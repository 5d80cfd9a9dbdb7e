// SPDX-License-Identifier: GPL-2.0
/*
 * Reading, sorting and handing out the keys of a hot file; see seal_keys.h.
 */
#include "store/seal_keys.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "store/dict.h"

#define LATE_NS 2000000000LL	/* what began longer ago than this was told as open before the file was begun */

/* ---- reading the keys ---- */

static int keys_alloc(struct seal_keys *s, struct hfile *hot)
{
	int64_t rows = db_int(file_db(hot), "SELECT count(*) FROM lease", -1);

	if (rows < 0 || rows > INT32_MAX)
		return -EBADMSG;
	s->begun = s->since;
	s->all = malloc(((size_t)rows + 1) * sizeof(*s->all));
	s->count = 0;
	return s->all ? 0 : -ENOMEM;
}

/*
 * The span must cover what this file alone knows: leases that ended before it
 * began, or had just begun, and were still on their way.  Those that it first
 * tells as open are in the file before too.
 */
static void span_add(struct seal_keys *s, int64_t start, int64_t end)
{
	if (end < s->since || (start < s->since && time_sub(s->begun, start) < LATE_NS))
		s->since = start < end ? start : end;
	if (end > s->until)
		s->until = end;
}

static uint16_t key_bits(const struct lease_row *r)
{
	int64_t duration = r->open ? 0 : time_sub(r->end, r->start);

	if (r->open)
		return KEY_OPEN | KEY_LONG;
	if (duration > FILE_LONG_NS)
		return KEY_LONG;
	return (uint16_t)((duration + KEY_UNIT - 1) / KEY_UNIT);
}

static int keys_add(struct seal_keys *s, const struct lease_row *r, struct idmap *open)
{
	struct seal_key *k = &s->all[s->count];
	const uint64_t *before;

	if (r->rowid < 1 || r->rowid > INT32_MAX)
		return -EBADMSG;
	*k = (struct seal_key){ .start = r->start, .rowid = (uint32_t)r->rowid, .port = r->port, .bits = key_bits(r) };
	before = idmap_get(open, r->id);
	if (before)
		s->all[*before].bits |= KEY_DEAD;
	if (r->open && r->id && idmap_put(open, r->id, s->count) < 0)
		return -ENOMEM;
	if (!r->open) {
		idmap_del(open, r->id);
		if (!before)
			span_add(s, r->start, r->end);
		else if (r->end > s->until)
			s->until = r->end;
	}
	s->count++;
	return 0;
}

/* ---- sorting ---- */

static int compare_start(const void *a, const void *b)
{
	const struct seal_key *x = a, *y = b;

	if (x->start != y->start)
		return x->start < y->start ? -1 : 1;
	return x->rowid < y->rowid ? -1 : x->rowid > y->rowid;
}

/* Into buckets by port in place (each element moves once), then each bucket by start. */
static int sort_by_port(struct seal_key *keys, size_t count)
{
	uint32_t *next = calloc(65537, sizeof(*next)), *end = calloc(65537, sizeof(*end));
	uint32_t at = 0;

	if (!next || !end) {
		free(next);
		free(end);
		return -ENOMEM;
	}
	for (size_t i = 0; i < count; i++)
		end[keys[i].port]++;
	for (uint32_t p = 0; p < 65536; p++) {
		next[p] = at;
		at = end[p] += at;
	}
	for (uint32_t p = 0; p < 65536; p++)
		while (next[p] < end[p]) {
			struct seal_key *k = &keys[next[p]], moved = *k;

			if (moved.port == p) {
				next[p]++;
				continue;
			}
			*k = keys[next[moved.port]];
			keys[next[moved.port]++] = moved;
		}
	for (uint32_t p = 0, first = 0; p < 65536; first = end[p++])
		if (end[p] - first > 1)
			qsort(keys + first, end[p] - first, sizeof(*keys), compare_start);
	free(next);
	free(end);
	return 0;
}

static void drop_dead(struct seal_keys *s)
{
	size_t kept = 0;

	for (size_t i = 0; i < s->count; i++)
		if (!(s->all[i].bits & KEY_DEAD))
			s->all[kept++] = s->all[i];
	s->count = kept;
}

static int keys_sort(struct seal_keys *s)
{
	drop_dead(s);
	return sort_by_port(s->all, s->count);
}

int keys_read(struct seal_keys *s, struct hfile *hot)
{
	struct idmap open = { 0 };
	sqlite3_stmt *stmt = NULL;
	size_t room;
	int err = keys_alloc(s, hot);

	room = err ? 0 : (size_t)db_int(file_db(hot), "SELECT count(*) FROM lease", 0);
	if (!err)
		err = db_prepare(file_db(hot), "SELECT id,port,mark,start,duration,NULL,0,0,0,0 FROM lease", &stmt);
	while (!err && (err = db_step(file_db(hot), stmt)) > 0) {
		struct lease_row r;

		file_read_row(hot, stmt, &r);
		err = s->count < room ? keys_add(s, &r, &open) : -EBADMSG;
	}
	sqlite3_finalize(stmt);
	idmap_clear(&open);
	if (!err)
		err = keys_sort(s);
	return err;
}

void keys_free(struct seal_keys *k)
{
	free(k->all);
	k->all = NULL;
}

/* ---- the table `sorted` ---- */

struct sorted_table {
	sqlite3_vtab base;
	const struct seal_keys *keys;
};

struct sorted_cursor {
	sqlite3_vtab_cursor base;
	size_t at;
};

static int sorted_connect(sqlite3 *db, void *keys, int argc, const char *const *argv, sqlite3_vtab **ret, char **error)
{
	struct sorted_table *t = sqlite3_malloc(sizeof(*t));

	if (!t)
		return SQLITE_NOMEM;
	memset(t, 0, sizeof(*t));
	t->keys = keys;
	*ret = &t->base;
	return sqlite3_declare_vtab(db, "CREATE TABLE sorted(number INTEGER,row INTEGER)");
}

static int sorted_disconnect(sqlite3_vtab *t)
{
	sqlite3_free(t);
	return SQLITE_OK;
}

static int sorted_best_index(sqlite3_vtab *t, sqlite3_index_info *info)
{
	info->estimatedCost = (double)((struct sorted_table *)t)->keys->count;
	return SQLITE_OK;
}

static int sorted_open(sqlite3_vtab *t, sqlite3_vtab_cursor **ret)
{
	struct sorted_cursor *c = sqlite3_malloc(sizeof(*c));

	if (!c)
		return SQLITE_NOMEM;
	memset(c, 0, sizeof(*c));
	*ret = &c->base;
	return SQLITE_OK;
}

static int sorted_close(sqlite3_vtab_cursor *c)
{
	sqlite3_free(c);
	return SQLITE_OK;
}

static int sorted_filter(sqlite3_vtab_cursor *c, int index, const char *name, int argc, sqlite3_value **argv)
{
	((struct sorted_cursor *)c)->at = 0;
	return SQLITE_OK;
}

static int sorted_next(sqlite3_vtab_cursor *c)
{
	((struct sorted_cursor *)c)->at++;
	return SQLITE_OK;
}

static int sorted_eof(sqlite3_vtab_cursor *c)
{
	return ((struct sorted_cursor *)c)->at >= ((struct sorted_table *)c->pVtab)->keys->count;
}

static int sorted_column(sqlite3_vtab_cursor *c, sqlite3_context *out, int column)
{
	size_t at = ((struct sorted_cursor *)c)->at;

	sqlite3_result_int64(out, column ? ((struct sorted_table *)c->pVtab)->keys->all[at].rowid : (int64_t)at + 1);
	return SQLITE_OK;
}

static int sorted_rowid(sqlite3_vtab_cursor *c, sqlite3_int64 *ret)
{
	*ret = (sqlite3_int64)((struct sorted_cursor *)c)->at + 1;
	return SQLITE_OK;
}

int keys_attach(const struct seal_keys *k, sqlite3 *db)
{
	static const sqlite3_module module = {
		.xConnect = sorted_connect, .xBestIndex = sorted_best_index, .xDisconnect = sorted_disconnect,
		.xOpen = sorted_open, .xClose = sorted_close, .xFilter = sorted_filter, .xNext = sorted_next,
		.xEof = sorted_eof, .xColumn = sorted_column, .xRowid = sorted_rowid,
	};

	return sqlite3_create_module(db, "sorted", &module, (void *)(uintptr_t)k) ? db_errno(db) : 0;
}
