// SPDX-License-Identifier: GPL-2.0
/*
 * One history file: its queries and its opening; see file.h.
 */
#include "store/file_priv.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define HOT_COLUMNS "id,port,mark,start,duration,active,process,shape,peer,cookie"
#define SEALED_COLUMNS "id,?2,mark,start,duration,active,process,shape,peer,cookie"

#define OWNER_QUERY(cmdline) \
	"SELECT o.pid,o.tid,o.ppid,o.uid,o.comm,o.start,o.boot_start,e.inode,w.cgroup_id,e.path,w.cgroup,w.unit," \
	"w.container_id,w.pod_uid," cmdline " FROM process o LEFT JOIN exe e ON e.id=o.exe " \
	"LEFT JOIN workload w ON w.id=o.workload WHERE o.id=?1"

static const char *query_text(const struct hfile *f, int query)
{
	bool hot = f->kind == DIR_HOT;

	switch (query) {
	case FQ_ROW:
		return hot ? "SELECT " HOT_COLUMNS " FROM lease WHERE id=?1" :
			     "SELECT " SEALED_COLUMNS " FROM lease WHERE id=?1";
	case FQ_ROWS:
		return hot ? "SELECT " HOT_COLUMNS " FROM lease" :
			     "SELECT " SEALED_COLUMNS " FROM lease WHERE id BETWEEN ?1 AND ?3";
	case FQ_START:
		return "SELECT start FROM lease WHERE id=?1";
	case FQ_PORT:
		return "SELECT port,first,count,longest,lives FROM port WHERE port BETWEEN ?1 AND ?2";
	case FQ_PORTS:
		return "SELECT min(first),sum(count) FROM port WHERE port BETWEEN ?1 AND ?2";
	case FQ_LONG:
		return "SELECT lease,port FROM long WHERE port BETWEEN ?1 AND ?2";
	case FQ_RUN:
		return "SELECT first,ports FROM run";
	case FQ_SHAPE:
		return "SELECT id,netns,proto,family,laddr,kind,flags,owner,reason,evidence FROM shape";
	case FQ_OWNER:
		return f->version < 2 ? OWNER_QUERY("NULL") : OWNER_QUERY("o.cmdline");
	case FQ_PEER:
		return "SELECT raddr,rport FROM peer WHERE id=?1";
	case FQ_FAIL:
		return "SELECT at,port,errno,process,shape,peer FROM fail";
	default:
		return "SELECT since,until,lost,cause FROM gap WHERE since<=?2 AND until>=?1";
	}
}

sqlite3_stmt *file_stmt(struct hfile *f, int query, int *err)
{
	if (!f->stmts[query])
		*err = db_prepare(f->db, query_text(f, query), &f->stmts[query]);
	else
		*err = 0;
	return *err ? NULL : f->stmts[query];
}

/* ---- opening ---- */

static void copy_text(char *to, size_t size, sqlite3_stmt *stmt, int column)
{
	const unsigned char *text = sqlite3_column_text(stmt, column);

	snprintf(to, size, "%s", text ? (const char *)text : "");
}

static int read_meta(struct hfile *f)
{
	sqlite3_stmt *stmt = NULL;
	int err = db_prepare(f->db, "SELECT host,boot_id,base,clock,since,until,recorded_since FROM meta", &stmt);

	if (!err)
		err = db_step(f->db, stmt);
	if (err > 0) {
		copy_text(f->meta.host, sizeof(f->meta.host), stmt, 0);
		copy_text(f->meta.boot_id, sizeof(f->meta.boot_id), stmt, 1);
		f->meta.base = sqlite3_column_int64(stmt, 2);
		f->meta.clock = sqlite3_column_int64(stmt, 3);
		f->meta.since = sqlite3_column_int64(stmt, 4);
		f->meta.until = sqlite3_column_int64(stmt, 5);
		f->meta.recorded_since = sqlite3_column_int64(stmt, 6);
		err = 0;
	} else if (!err) {
		err = -EBADMSG;
	}
	sqlite3_finalize(stmt);
	return err;
}

static int open_checked(const struct store_dir *dir, const struct dir_file *file, enum db_mode mode, sqlite3 **ret)
{
	int err = db_open(dir, file->name, mode, ret);

	if (!err)
		err = db_check(*ret, file->kind);
	if (err) {
		db_close(*ret);
		*ret = NULL;
	}
	return err;
}

/*
 * A hot file without -wal was closed in order and nobody writes it, so it needs
 * neither locks nor a -shm.  One with a -wal needs both; where they cannot be
 * had (a copy on a read-only medium) the -wal is read without them.  Where that
 * is not ours to read either, what the file itself holds is better than nothing.
 */
static int open_hot(const struct store_dir *dir, const struct dir_file *file, struct hfile *f)
{
	char wal[DIR_NAME_MAX + 8];
	int err;

	snprintf(wal, sizeof(wal), "%s-wal", file->name);
	err = dir_check(dir, wal, NULL);
	if (err == -ENOENT)
		return open_checked(dir, file, DB_STILL, &f->db);
	if (!err)
		err = open_checked(dir, file, DB_LIVE, &f->db);
	if (!err || err == -EPROTO || dir_check(dir, file->name, NULL))
		return err;
	if (!dir_check(dir, wal, NULL) && !open_checked(dir, file, DB_APART, &f->db))
		return 0;
	f->partial = true;
	return open_checked(dir, file, DB_STILL, &f->db);
}

int file_open(const struct store_dir *dir, const struct dir_file *file, struct hfile **ret)
{
	struct hfile *f = calloc(1, sizeof(*f));
	uint64_t bytes = 0;
	int err = f ? dir_check(dir, file->name, &bytes) : -ENOMEM;

	if (!err && !bytes)
		err = -EBADMSG;
	if (!err) {
		f->kind = file->kind;
		err = f->kind == DIR_HOT ? open_hot(dir, file, f) : open_checked(dir, file, DB_STILL, &f->db);
	}
	if (!err) {
		f->version = db_version(f->db);
		err = read_meta(f);
	}
	if (err) {
		file_close(f);
		return err;
	}
	*ret = f;
	return 0;
}

void file_close(struct hfile *f)
{
	if (!f)
		return;
	for (int i = 0; i < FILE_QUERIES; i++)
		sqlite3_finalize(f->stmts[i]);
	for (int i = 0; f->owners && i < FILE_OWNERS; i++)
		if (f->owners[i].id)
			file_owner_clear(&f->owners[i]);
	free(f->owners);
	free(f->peers);
	free(f->shapes);
	db_close(f->db);
	free(f);
}

const struct file_meta *file_meta(const struct hfile *f)
{
	return &f->meta;
}

enum dir_kind file_kind(const struct hfile *f)
{
	return f->kind;
}

bool file_is_partial(const struct hfile *f)
{
	return f->partial;
}

sqlite3 *file_db(struct hfile *f)
{
	return f->db;
}
