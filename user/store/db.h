/* SPDX-License-Identifier: GPL-2.0 */
/*
 * SQLite as the rest of store/ uses it: opening, checking, errors as errno.
 *
 * Private to store/.  Every statement is prepared, every value bound; nothing
 * here ever builds SQL from data.
 */
#ifndef PORTLIFE_STORE_DB_H
#define PORTLIFE_STORE_DB_H

#include <sqlite3.h>
#include <stdbool.h>
#include <stdint.h>
#include "store/dir.h"

#define DB_APPLICATION_ID 0x706f6c66	/* "polf" */
#define DB_VERSION 2	/* written; every one from 1 on is read */

enum db_mode {
	DB_WRITE,	/* the one read-write connection to a file */
	DB_LIVE,	/* read only, of a file that somebody may be writing */
	DB_APART,	/* read only, with its -wal, where nothing can be written: neither locks nor a -shm */
	DB_STILL,	/* read only, of a file that nobody changes any more */
};

/* Makes an empty database of a kind under `name`; synced only by dir_publish(). */
int db_create(const struct store_dir *dir, const char *name, enum dir_kind kind);
/* Opens a file that dir_check() found good.  Says nothing. */
int db_open(const struct store_dir *dir, const char *name, enum db_mode mode, sqlite3 **ret);
void db_close(sqlite3 *db);
/* "file:PATH" and `query` ("?mode=ro"), allocated; NULL without memory. */
char *db_uri(const struct store_dir *dir, const char *name, const char *query);

/*
 * Is this ours, of a version that we know, with exactly its tables?  -EBADMSG: no
 * database or not ours; -EPROTO: ours, but of a version to come.
 */
int db_check(sqlite3 *db, enum dir_kind kind);
/* The version of a file that db_check() found good. */
int db_version(sqlite3 *db);
/* The whole file page by page; slow. */
int db_check_pages(sqlite3 *db);
const char *db_strerror(int err);

/* The errno for the last failure of `db`. */
int db_errno(sqlite3 *db);
int db_exec(sqlite3 *db, const char *sql);
int db_prepare(sqlite3 *db, const char *sql, sqlite3_stmt **ret);
/* Runs a statement that returns no row and resets it. */
int db_run(sqlite3 *db, sqlite3_stmt *stmt);
/* 1: a row, 0: done, else a negative errno.  The caller resets. */
int db_step(sqlite3 *db, sqlite3_stmt *stmt);
/* One integer of one row, `otherwise` when there is none or on failure. */
int64_t db_int(sqlite3 *db, const char *sql, int64_t otherwise);

void db_bind_text(sqlite3_stmt *stmt, int i, const char *text);	/* NULL: NULL */
void db_bind_known(sqlite3_stmt *stmt, int i, int64_t value);		/* 0: NULL */

/* The tables of a kind of file, statement by statement, ended by NULL; NULL: no such version. */
const char *const *schema_of(enum dir_kind kind, int version);

#endif
