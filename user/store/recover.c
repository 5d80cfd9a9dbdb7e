// SPDX-License-Identifier: GPL-2.0
/*
 * What a new session finds: the file of the last one, how that ended, what it
 * left open; see writer.h.
 *
 * The same boot goes on in the same file.  Another boot ends what is open as it
 * was last seen, and leaves the file to be sealed.  A damaged file is set
 * aside; one that is not ours to touch is left where it is.
 */
#include "store/writer.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"

#define STEP_NS 1000000000LL
#define OLDER_NS 60000000000LL	/* a file this young may not have all open leases yet */

/* A crash can leave pages that do not fit together, so then all are looked at. */
static int open_last(struct writer *w, const struct dir_file *file, enum session_end *end)
{
	int64_t since = 0;
	int err = hot_open(w->dir, file->name, &w->hot);

	if (err)
		return err;
	err = hot_session_last(w->hot, &since, &w->prev_end, end);
	if (err == -ENOENT) {
		w->prev_end = hot_since(w->hot);
		*end = SESSION_OPEN;
		err = 0;
	}
	return !err && *end != SESSION_STOPPED ? db_check_pages(hot_db(w->hot)) : err;
}

/* All that the last session wrote is lost with its file. */
static void pulse_of_last(struct writer *w)
{
	struct dir_pulse pulse;
	bool alive;

	dir_pulse(w->dir, &pulse, &alive);
	w->prev_end = w->recorded_since = pulse.session;
}

static void set_aside(struct writer *w, const char *name)
{
	int err = dir_set_aside(w->dir, name);

	if (err)
		log_err("history file '%s/%s' is damaged and cannot be set aside: %s", w->dir->path, name, strerror(-err));
	else
		log_err("history file '%s/%s' is damaged: set aside as '%s.corrupt'; a new one is begun", w->dir->path, name,
			name);
	w->stats.set_aside++;
}

/* The file before, if it is of this boot; NULL else. */
static struct hfile *open_older(struct writer *w, const struct dir_list *list, size_t last)
{
	struct hfile *f = NULL;

	if (!last || w->prev_end - hot_since(w->hot) > OLDER_NS || file_open(w->dir, &list->files[last - 1], &f))
		return NULL;
	if (strcmp(file_meta(f)->boot_id, w->boot_id)) {
		file_close(f);
		return NULL;
	}
	return f;
}

static int load_open(struct writer *w, struct carry *carry, const struct dir_list *list, size_t last)
{
	struct hfile *f = NULL, *older = open_older(w, list, last);
	int err = file_open(w->dir, &list->files[last], &f);

	if (!err && file_is_partial(f))
		err = -EIO;
	if (!err)
		err = carry_load(carry, f, older);
	file_close(older);
	file_close(f);
	return err;
}

/* Another boot: nothing of it is left. */
static int end_boot(struct writer *w, const struct dir_list *list, size_t last)
{
	struct carry *carry = NULL;
	int err = carry_new(&carry);

	if (!err)
		err = load_open(w, carry, list, last);
	if (!err)
		err = hot_begin(w->hot);
	if (!err)
		err = writer_end_waiting(w->hot, carry, w->prev_end);
	if (!err)
		err = hot_session_update(w->hot, w->prev_end, SESSION_OPEN);
	if (!err)
		err = hot_end(w->hot, w->prev_end);
	if (!err)
		err = hot_commit(w->hot);
	carry_free(carry);
	hot_close(w->hot, false);
	w->hot = NULL;
	return err;
}

/* What comes later goes into a new file with a later number. */
static int leave_to_sealer(struct writer *w)
{
	hot_close(w->hot, true);
	w->hot = NULL;
	w->reopen[0] = '\0';
	return 0;
}

/* The wall clock was set meanwhile: the file's times stay those of the old one. */
static bool follow_clock(struct writer *w, int64_t clock)
{
	int64_t moved = time_sub(clock_boot_to_unix(), clock);

	if (moved < STEP_NS && moved > -STEP_NS)
		return false;
	writer_shift(w, moved);
	w->stepped = true;
	return true;
}

static int take_hot(struct writer *w, const struct dir_list *list, size_t last, enum gap_cause *cause)
{
	enum session_end end = SESSION_OPEN;
	int err = open_last(w, &list->files[last], &end);

	if (err)
		return err;
	w->recorded_since = hot_recorded_since(w->hot);
	*cause = end == SESSION_STOPPED ? GAP_STOPPED : GAP_CRASH;
	if (!strcmp(hot_boot_id(w->hot), w->boot_id)) {
		snprintf(w->reopen, sizeof(w->reopen), "%s", hot_name(w->hot));
		err = load_open(w, w->carry, list, last);
		return err ? err : follow_clock(w, hot_clock(w->hot)) || hot_is_old(w->hot) ? leave_to_sealer(w) : 0;
	}
	*cause = GAP_BOOT;
	return end_boot(w, list, last);
}

/* Stopped between a rotation and the next file, or the hot file is gone. */
static int take_sealed(struct writer *w, const struct dir_file *file, enum gap_cause *cause)
{
	struct hfile *f = NULL;
	int err = file_open(w->dir, file, &f);

	if (err)
		return err;
	w->recorded_since = file_meta(f)->recorded_since;
	w->prev_end = file_meta(f)->until;
	*cause = strcmp(file_meta(f)->boot_id, w->boot_id) ? GAP_BOOT : GAP_CRASH;
	err = *cause == GAP_CRASH ? carry_load(w->carry, f, NULL) : 0;
	if (!err && *cause == GAP_CRASH)
		follow_clock(w, file_meta(f)->clock);
	file_close(f);
	return err;
}

static void forget(struct writer *w)
{
	hot_close(w->hot, true);
	w->hot = NULL;
	w->reopen[0] = '\0';
	w->prev_end = w->recorded_since = 0;
	w->stepped = false;
	carry_free(w->carry);
	w->carry = NULL;
}

/* From the youngest file back to the first that can be used. */
static int take_last(struct writer *w, const struct dir_list *list, enum gap_cause *cause)
{
	bool damaged = false;

	for (size_t i = list->count; i-- > 0;) {
		const struct dir_file *file = &list->files[i];
		int err = w->carry ? 0 : carry_new(&w->carry);

		if (err)
			return err;
		if (file->kind == DIR_MINUTES)
			continue;
		err = file->kind == DIR_HOT ? take_hot(w, list, i, cause) : take_sealed(w, file, cause);
		if (!err && damaged && w->hot)
			leave_to_sealer(w);
		if (!err)
			return 0;
		if (err == -EBADMSG && file->kind == DIR_HOT)
			set_aside(w, file->name);
		else if (err == -ENOSPC || err == -EROFS || err == -EIO || err == -ENOMEM || err == -EBUSY || err == -EMFILE ||
			 err == -ENFILE)
			return err;	/* of the host, not of the file */
		else
			log_warn("history file '%s/%s' is left alone: %s", w->dir->path, file->name, db_strerror(err));
		damaged = true;
		/* What it was taken up as far as must not be gone on with. */
		forget(w);
	}
	if (damaged)
		pulse_of_last(w);
	*cause = GAP_CRASH;
	return w->carry ? 0 : carry_new(&w->carry);
}

static int recover(struct writer *w)
{
	struct dir_list list;
	int err = dir_list(w->dir, &list);

	if (err)
		return err;
	w->gap_cause = GAP_CRASH;
	err = take_last(w, &list, &w->gap_cause);
	dir_list_free(&list);
	return err;
}

/* Of what SQLite maps or grows on a full disk it only knows that it failed. */
static int name_error(struct writer *w, int err)
{
	return err == -EIO && dir_is_full(w->dir) ? -ENOSPC : err;
}

int writer_recover(struct writer *w)
{
	int err = w->recovered ? 0 : recover(w);

	w->recovered = !err;
	if (!err)
		return 0;
	forget(w);
	return name_error(w, err);
}

/* ---- the new session ---- */

static void plan_gap(struct writer *w, int64_t now)
{
	w->next_since = w->prev_end && w->prev_end < now ? w->prev_end : now;
	if (!w->recorded_since)
		w->recorded_since = w->next_since;
	if (w->prev_end)
		w->pending_gap = (struct gap){ .lost = -1, .from = w->next_since, .to = now, .cause = w->gap_cause };
}

/* Both or nothing: a session without its gap would be taken for one that had none before it. */
static int write_session(struct writer *w)
{
	int err = hot_begin(w->hot);

	if (!err)
		err = hot_session_begin(w->hot, w->pulse.session, w->pulse.session, w->pulse.pid, w->version);
	if (!err && w->pending_gap.to)
		err = hot_put_gap(w->hot, &w->pending_gap);
	if (!err && w->stepped)
		err = hot_put_step(w->hot, w->pulse.session, clock_boot_to_unix());
	if (!err)
		err = hot_commit(w->hot);
	return err;
}

static void note_begun(struct writer *w)
{
	w->begun = true;
	w->pending_gap.to = 0;
	pthread_mutex_lock(&w->stats_lock);
	w->stats.carried = carry_count(w->carry);
	w->stats.oldest = w->recorded_since;
	pthread_mutex_unlock(&w->stats_lock);
}

int writer_begin_session(struct writer *w)
{
	int err;

	if (w->begun)
		return 0;
	plan_gap(w, w->pulse.session);
	err = writer_ensure_hot(w);
	if (!err) {
		sealer_kick(&w->sealer, hot_seq(w->hot));
		err = write_session(w);
	}
	if (!err) {
		note_begun(w);
		return 0;
	}
	hot_close(w->hot, true);
	w->hot = NULL;
	return name_error(w, err);
}
