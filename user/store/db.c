// SPDX-License-Identifier: GPL-2.0
/*
 * Opening and checking SQLite files; see db.h.
 *
 * Files may come from another host, so SQLite's defences are on: no functions
 * or virtual tables out of a schema, cells checked, symbolic links refused.
 */
#include "store/db.h"

#include <ctype.h>
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/str.h"

#define BUSY_MS 2000
#define LENGTH_MAX (64 << 20)	/* no text or blob of ours comes near */

const char *db_strerror(int err)
{
	switch (-err) {
	case EBADMSG:
		return "not a history file, or a damaged one";
	case EPROTO:
		return "written by a newer version of portlife";
	default:
		return dir_strerror(err);
	}
}

static int system_errno(sqlite3 *db, int otherwise)
{
	int err = sqlite3_system_errno(db);

	return err == ENOSPC || err == EDQUOT || err == EROFS || err == EIO || err == EACCES || err == ENOENT ||
			       err == ENOMEM || err == EMFILE || err == ENFILE ? -err : otherwise;
}

int db_errno(sqlite3 *db)
{
	if (!db)
		return -ENOMEM;
	switch (sqlite3_extended_errcode(db)) {
	case SQLITE_CANTOPEN_SYMLINK:
		return -ELOOP;
	case SQLITE_IOERR_SHORT_READ:
		return -EBADMSG;
	case SQLITE_IOERR_NOMEM:
		return -ENOMEM;
	default:
		break;
	}
	switch (sqlite3_errcode(db)) {
	case SQLITE_FULL:
		return -ENOSPC;
	case SQLITE_CORRUPT:
	case SQLITE_NOTADB:
		return -EBADMSG;
	case SQLITE_BUSY:
	case SQLITE_LOCKED:
		return -EBUSY;
	case SQLITE_NOMEM:
		return -ENOMEM;
	case SQLITE_READONLY:
		return -EROFS;
	case SQLITE_ERROR:	/* no such table: a schema that is not ours */
		return -EBADMSG;
	default:
		return system_errno(db, -EIO);
	}
}

/* Every byte of the path that could mean something is escaped. */
char *db_uri(const struct store_dir *dir, const char *name, const char *query)
{
	struct strbuf uri = STRBUF_INIT;

	strbuf_puts(&uri, "file:");
	for (const char *part = dir->path; part; part = part == name ? NULL : name) {
		for (const unsigned char *p = (const unsigned char *)part; *p; p++)
			strbuf_printf(&uri, isalnum(*p) || strchr("/-_.", *p) ? "%c" : "%%%02X", *p);
		if (part != name)
			strbuf_putc(&uri, '/');
	}
	strbuf_puts(&uri, query);
	if (strbuf_err(&uri)) {
		strbuf_free(&uri);
		return NULL;
	}
	return uri.data;
}

#define READER_PRAGMAS "PRAGMA query_only=1;PRAGMA cell_size_check=1;PRAGMA cache_size=-1024"

static int configure_reader(sqlite3 *db, enum db_mode mode)
{
	sqlite3_db_config(db, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
	sqlite3_db_config(db, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, NULL);
	sqlite3_db_config(db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
	sqlite3_limit(db, SQLITE_LIMIT_LENGTH, LENGTH_MAX);
	return db_exec(db, mode == DB_APART ? "PRAGMA locking_mode=EXCLUSIVE;" READER_PRAGMAS : READER_PRAGMAS);
}

/*
 * NORMAL: a commit outlives the process, a checkpoint outlives the power.  The
 * size limit gives the log's space back after a burst.
 */
static int configure_writer(sqlite3 *db)
{
	sqlite3_db_config(db, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
	sqlite3_db_config(db, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, NULL);
	return db_exec(db, "PRAGMA synchronous=NORMAL;PRAGMA cache_size=-1024;PRAGMA wal_autocheckpoint=1000;"
			   "PRAGMA journal_size_limit=8388608;PRAGMA secure_delete=0");
}

/* The account of memory that nobody asks for is a lock that readers of many files would wait for. */
static void db_init(void)
{
	sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0);
}

/*
 * An exclusive connection keeps the index of a -wal in its own memory; the exclusive lock that this takes can only be
 * had on a file that is open for reading if locks are none.
 */
static const char *const modes[] = {
	[DB_WRITE] = "?mode=rw", [DB_LIVE] = "?mode=ro", [DB_APART] = "?mode=ro&vfs=unix-none",
	[DB_STILL] = "?mode=ro&immutable=1",
};

int db_open(const struct store_dir *dir, const char *name, enum db_mode mode, sqlite3 **ret)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	char *uri = db_uri(dir, name, modes[mode]);
	sqlite3 *db = NULL;
	int err;

	pthread_once(&once, db_init);
	if (!uri)
		return -ENOMEM;
	err = sqlite3_open_v2(uri, &db, (mode == DB_WRITE ? SQLITE_OPEN_READWRITE : SQLITE_OPEN_READONLY) |
			      SQLITE_OPEN_URI | SQLITE_OPEN_NOFOLLOW | SQLITE_OPEN_NOMUTEX, NULL) ? db_errno(db) : 0;
	free(uri);
	if (!err) {
		sqlite3_extended_result_codes(db, 1);
		sqlite3_busy_timeout(db, BUSY_MS);
		err = mode == DB_WRITE ? configure_writer(db) : configure_reader(db, mode);
	}
	if (err) {
		db_close(db);
		return err;
	}
	*ret = db;
	return 0;
}

void db_close(sqlite3 *db)
{
	sqlite3_close_v2(db);
}

static int create_tables(sqlite3 *db, enum dir_kind kind)
{
	char sql[96];
	int err;

	snprintf(sql, sizeof(sql), "PRAGMA auto_vacuum=0;PRAGMA application_id=%d;PRAGMA user_version=%d", DB_APPLICATION_ID,
		 DB_VERSION);
	err = db_exec(db, "PRAGMA page_size=4096;PRAGMA journal_mode=MEMORY;PRAGMA synchronous=OFF");
	if (!err)
		err = db_exec(db, sql);
	if (!err)
		err = db_exec(db, "BEGIN");
	for (const char *const *s = schema_of(kind, DB_VERSION); !err && *s; s++)
		err = db_exec(db, *s);
	if (!err)
		err = db_exec(db, "COMMIT");
	return err;
}

int db_create(const struct store_dir *dir, const char *name, enum dir_kind kind)
{
	sqlite3 *db = NULL;
	int err = dir_create(dir, name);

	if (!err)
		err = db_open(dir, name, DB_WRITE, &db);
	if (!err)
		err = create_tables(db, kind);
	/* The mode is kept in the file; a sealed one must open where no -wal can be made. */
	if (!err && kind == DIR_HOT)
		err = db_exec(db, "PRAGMA journal_mode=WAL");
	db_close(db);
	return err;
}

static bool schema_knows(const char *const *schema, const char *sql)
{
	for (const char *const *s = schema; *s; s++)
		if (sql && !strcmp(*s, sql))
			return true;
	return false;
}

static int check_tables(sqlite3 *db, const char *const *schema)
{
	sqlite3_stmt *stmt = NULL;
	int want = 0, have = 0, err;

	while (schema[want])
		want++;
	/* Automatic indexes have no text. */
	err = db_prepare(db, "SELECT sql FROM sqlite_schema WHERE sql IS NOT NULL", &stmt);
	while (!err && (err = db_step(db, stmt)) > 0) {
		err = schema_knows(schema, (const char *)sqlite3_column_text(stmt, 0)) ? 0 : -EBADMSG;
		have++;
	}
	sqlite3_finalize(stmt);
	return err ? err : have == want ? 0 : -EBADMSG;
}

int db_check(sqlite3 *db, enum dir_kind kind)
{
	int64_t id = db_int(db, "PRAGMA application_id", -1);
	const char *const *schema;
	int version;

	if (id != DB_APPLICATION_ID)
		return id < 0 && db_errno(db) != -EBADMSG && sqlite3_errcode(db) != SQLITE_OK &&
		       sqlite3_errcode(db) != SQLITE_DONE ? db_errno(db) : -EBADMSG;
	version = db_version(db);
	schema = schema_of(kind, version);
	return schema ? check_tables(db, schema) : version > DB_VERSION ? -EPROTO : -EBADMSG;
}

int db_version(sqlite3 *db)
{
	return (int)db_int(db, "PRAGMA user_version", -1);
}

int db_check_pages(sqlite3 *db)
{
	sqlite3_stmt *stmt = NULL;
	int err = db_prepare(db, "PRAGMA quick_check(1)", &stmt);

	if (!err)
		err = db_step(db, stmt);
	if (err > 0)
		err = strcmp((const char *)sqlite3_column_text(stmt, 0) ?: "", "ok") ? -EBADMSG : 0;
	sqlite3_finalize(stmt);
	return err;
}

int db_exec(sqlite3 *db, const char *sql)
{
	return sqlite3_exec(db, sql, NULL, NULL, NULL) ? db_errno(db) : 0;
}

int db_prepare(sqlite3 *db, const char *sql, sqlite3_stmt **ret)
{
	return sqlite3_prepare_v3(db, sql, -1, SQLITE_PREPARE_PERSISTENT, ret, NULL) ? db_errno(db) : 0;
}

int db_step(sqlite3 *db, sqlite3_stmt *stmt)
{
	int rc = sqlite3_step(stmt);

	return rc == SQLITE_ROW ? 1 : rc == SQLITE_DONE ? 0 : db_errno(db);
}

int db_run(sqlite3 *db, sqlite3_stmt *stmt)
{
	int err = sqlite3_step(stmt) == SQLITE_DONE ? 0 : db_errno(db);

	sqlite3_reset(stmt);
	return err;
}

int64_t db_int(sqlite3 *db, const char *sql, int64_t otherwise)
{
	sqlite3_stmt *stmt = NULL;
	int64_t value = otherwise;

	if (!db_prepare(db, sql, &stmt) && db_step(db, stmt) > 0 && sqlite3_column_type(stmt, 0) == SQLITE_INTEGER)
		value = sqlite3_column_int64(stmt, 0);
	sqlite3_finalize(stmt);
	return value;
}

void db_bind_text(sqlite3_stmt *stmt, int i, const char *text)
{
	if (text)
		sqlite3_bind_text(stmt, i, text, -1, SQLITE_STATIC);
	else
		sqlite3_bind_null(stmt, i);
}

void db_bind_known(sqlite3_stmt *stmt, int i, int64_t value)
{
	if (value)
		sqlite3_bind_int64(stmt, i, value);
	else
		sqlite3_bind_null(stmt, i);
}
