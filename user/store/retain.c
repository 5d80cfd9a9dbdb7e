// SPDX-License-Identifier: GPL-2.0
/*
 * Retention: whole sealed files go, oldest first; see seal.h.
 *
 * Before a file goes, its minutes and gaps move to minutes-YYYY.db, so that
 * "how full was the range last spring" has an answer when "who had port P" has
 * none any more.
 */
#include "store/seal.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/log.h"

#define NS_PER_SEC 1000000000LL
#define MINUTES_SHARE 8		/* the roll-ups may take this part of the space, 1/8 */

static int year_of(int64_t ns)
{
	time_t t = ns / NS_PER_SEC;
	struct tm tm;

	return gmtime_r(&t, &tm) ? tm.tm_year + 1900 : 1970;
}

/* Made when it is missing. */
static int open_minutes(const struct store_dir *dir, const char *name, sqlite3 **ret)
{
	char tmp[DIR_NAME_MAX + 8];
	int err = dir_check(dir, name, NULL);

	if (err == -ENOENT) {
		snprintf(tmp, sizeof(tmp), ".tmp-%s", name);
		err = db_create(dir, tmp, DIR_MINUTES);
		if (!err)
			err = dir_publish(dir, tmp, name);
	}
	if (!err)
		err = db_open(dir, name, DB_WRITE, ret);
	if (!err)
		err = db_check(*ret, DIR_MINUTES);
	return err;
}

static int attach_sealed(const struct store_dir *dir, sqlite3 *db, const char *name)
{
	char *uri = db_uri(dir, name, "?mode=ro&immutable=1");
	sqlite3_stmt *stmt = NULL;
	int err = uri ? db_prepare(db, "ATTACH ? AS old", &stmt) : -ENOMEM;

	if (!err) {
		db_bind_text(stmt, 1, uri);
		err = db_run(db, stmt);
	}
	sqlite3_finalize(stmt);
	free(uri);
	return err;
}

/* Once a file: if we are stopped between this and the unlink, it is not done again. */
static int copy_minutes(const struct store_dir *dir, const struct dir_file *file, const char *name)
{
	static const char sql[] =
		"BEGIN;"
		"CREATE TEMP TABLE shift AS SELECT (SELECT coalesce(max(id),0) FROM main.minute) AS by,"
		" (SELECT seq FROM old.meta) AS seq WHERE (SELECT seq FROM old.meta) NOT IN (SELECT seq FROM main.evicted);"
		"INSERT INTO main.minute SELECT m.id+s.by,at,unknown,connect,bind0,bind,listen,send,accept,releases,eaddrinuse,"
		" eaddrnotavail,eacces,eagain,live,time_wait,lost FROM old.minute m,shift s;"
		"INSERT INTO main.minute_netns SELECT n.minute+s.by,netns,range_lo,range_hi,reserved,used_odd,used_even"
		" FROM old.minute_netns n,shift s;"
		"INSERT INTO main.gap SELECT NULL,g.since,g.until,g.lost,g.cause FROM old.gap g,shift s;"
		"INSERT INTO main.evicted SELECT m.seq,m.since,m.until,m.leases FROM old.meta m,shift s;"
		"COMMIT";
	sqlite3 *db = NULL;
	int err = open_minutes(dir, name, &db);

	if (!err)
		err = attach_sealed(dir, db, file->name);
	if (!err)
		err = db_exec(db, sql);
	db_close(db);
	return err;
}

/* The roll-ups themselves, as opposed to the file that goes. */
static bool is_damaged(const struct store_dir *dir, const char *name)
{
	sqlite3 *db = NULL;
	int err = open_minutes(dir, name, &db);

	if (!err)
		err = db_check_pages(db);
	db_close(db);
	return err == -EBADMSG;
}

static int keep_minutes(const struct store_dir *dir, const struct dir_file *file)
{
	char name[DIR_NAME_MAX];
	int err;

	snprintf(name, sizeof(name), "minutes-%04d.db", year_of(file->from));
	err = copy_minutes(dir, file, name);
	if (err == -EBADMSG && is_damaged(dir, name) && !dir_set_aside(dir, name)) {
		log_err("history file '%s/%s' is damaged: set aside as '%s.corrupt'; a new one is begun", dir->path, name, name);
		err = copy_minutes(dir, file, name);
	}
	/* Of what SQLite maps or grows on a full disk it only knows that it failed. */
	return err == -EIO && dir_is_full(dir) ? -ENOSPC : err;
}

/* Of the host, not of the file: the next look may find it gone. */
static bool is_passing(int err)
{
	return err == -EBUSY || err == -EIO || err == -EROFS || err == -ENOMEM || err == -EMFILE || err == -ENFILE;
}

static int evict(const struct store_dir *dir, const struct dir_file *file)
{
	struct hfile *f = NULL;
	int err = file_open(dir, file, &f);
	char hot[DIR_NAME_MAX];
	int stays;

	file_close(f);
	/* Not ours after all, whatever its name: never removed.  Nor is what cannot be looked at just now. */
	if (err == -ELOOP || err == -EINVAL || err == -EPERM || err == -EPROTO || err == -ENOMEM || err == -EMFILE || err == -ENFILE)
		return err;
	/* Its hot twin, where it could not be removed when it was sealed: it would come to light again. */
	dir_name_hot(file->seq, hot);
	stays = dir_unlink(dir, hot);
	if (stays)
		return stays;
	if (!err)
		err = keep_minutes(dir, file);
	if (is_passing(err))
		return err;
	/* A full disk must not keep the old file alive: its minutes go with it then. */
	if (err && err != -ENOSPC)
		log_warn("history file '%s': its minutes could not be kept: %s", file->name, db_strerror(err));
	return dir_unlink(dir, file->name);
}

int retain_one(const struct store_dir *dir)
{
	struct dir_list list;
	bool gone = false;
	int err = 0;

	dir_list(dir, &list);	/* empty where it cannot be read */
	for (size_t i = 0; !gone && !is_passing(err) && i < list.count; i++) {
		err = list.files[i].kind == DIR_SEALED ? evict(dir, &list.files[i]) : -ENOENT;
		gone = !err;
	}
	dir_list_free(&list);
	return gone ? 0 : -ENOENT;
}

/* The roll-ups have their own bound: the oldest year goes, never the only one. */
static void retain_minutes(const struct store_dir *dir, const struct dir_list *list, uint64_t limit, uint64_t *total)
{
	uint64_t bytes = 0;

	for (size_t i = 0; i < list->count; i++)
		if (list->files[i].kind == DIR_MINUTES)
			bytes += list->files[i].bytes;
	for (size_t i = 0; bytes > limit && i + 1 < list->count; i++)
		if (list->files[i].kind == DIR_MINUTES && !dir_unlink(dir, list->files[i].name)) {
			bytes -= list->files[i].bytes;
			*total -= list->files[i].bytes;
		}
}

int retain_run(const struct store_dir *dir, const struct retain_opts *opts, int64_t now, struct retain_result *ret)
{
	struct dir_list list;
	int err = dir_list(dir, &list);

	*ret = (struct retain_result){ 0 };
	if (err)
		return err;
	for (size_t i = 0; i < list.count; i++)
		ret->bytes += list.files[i].bytes;
	retain_minutes(dir, &list, opts->bytes / MINUTES_SHARE, &ret->bytes);
	for (size_t i = 0; i < list.count && list.files[i].kind != DIR_MINUTES; i++) {
		const struct dir_file *file = &list.files[i];
		bool old = now && opts->age >= 0 && file->to < now - opts->age;
		bool due = old || ret->bytes > opts->bytes;

		if (file->kind != DIR_SEALED)
			continue;
		/* None goes while an older one stays that could go. */
		err = due && !ret->err ? evict(dir, file) : -EAGAIN;
		if (is_passing(err))
			ret->err = err;
		if (!err) {
			ret->bytes -= file->bytes;
			ret->evicted++;
		} else if (!ret->oldest) {
			ret->oldest = file->from;
		}
	}
	dir_list_free(&list);
	return 0;
}
