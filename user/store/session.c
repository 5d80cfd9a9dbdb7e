// SPDX-License-Identifier: GPL-2.0
/*
 * The sessions of a hot file: when a recorder began to write it, until when it
 * had written all, and whether it ended as it should; see hot.h.
 */
#include "store/hot.h"

#include <errno.h>

int hot_session_begin(struct hot *h, int64_t since, int64_t until, int pid, const char *version)
{
	sqlite3_stmt *stmt = NULL;
	int err = db_prepare(hot_db(h), "INSERT INTO session VALUES(NULL,?,?,0,?,?)", &stmt);

	if (!err) {
		sqlite3_bind_int64(stmt, 1, since);
		sqlite3_bind_int64(stmt, 2, until);
		sqlite3_bind_int(stmt, 3, pid);
		db_bind_text(stmt, 4, version);
		err = db_run(hot_db(h), stmt);
	}
	sqlite3_finalize(stmt);
	return err;
}

int hot_session_update(struct hot *h, int64_t until, enum session_end end)
{
	sqlite3_stmt *stmt = NULL;
	int err = db_prepare(hot_db(h), "UPDATE session SET until=?,ended=? WHERE id=(SELECT max(id) FROM session)", &stmt);

	if (!err) {
		sqlite3_bind_int64(stmt, 1, until);
		sqlite3_bind_int(stmt, 2, end);
		err = db_run(hot_db(h), stmt);
	}
	sqlite3_finalize(stmt);
	return err;
}

int hot_session_last(struct hot *h, int64_t *since, int64_t *until, enum session_end *end)
{
	sqlite3_stmt *stmt = NULL;
	int err = db_prepare(hot_db(h), "SELECT since,until,ended FROM session ORDER BY id DESC LIMIT 1", &stmt);

	if (!err)
		err = db_step(hot_db(h), stmt);
	if (err > 0) {
		*since = sqlite3_column_int64(stmt, 0);
		*until = sqlite3_column_int64(stmt, 1);
		*end = sqlite3_column_int(stmt, 2);
	}
	sqlite3_finalize(stmt);
	return err > 0 ? 0 : err ? err : -ENOENT;
}

int hot_end(struct hot *h, int64_t until)
{
	sqlite3_stmt *stmt = NULL;
	int err = db_prepare(hot_db(h), "UPDATE meta SET until=?", &stmt);

	if (!err) {
		sqlite3_bind_int64(stmt, 1, until);
		err = db_run(hot_db(h), stmt);
	}
	sqlite3_finalize(stmt);
	return err;
}
