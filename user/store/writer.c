// SPDX-License-Identifier: GPL-2.0
/*
 * The writing thread: batch by batch, each one transaction; see writer.h.
 *
 * A batch stays at the head of the queue until it is committed.  What can be
 * mended (a full disk, a lost or damaged file) is mended and the same batch
 * tried again; nothing is ever half written.
 */
#include "store/writer.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"

#define NS_PER_SEC 1000000000LL
#define RETRY_MS 1000
#define BEAT_MS 1000
#define GIVE_UP 2		/* attempts once we are told to stop */

/* ---- the hot file ---- */

int writer_ensure_hot(struct writer *w)
{
	struct hot_birth birth = { .host = w->host, .boot_id = w->boot_id, .version = w->version,
				   .since = w->next_since, .recorded_since = w->recorded_since,
				   .clock = clock_boot_to_unix() };
	int err;

	if (w->hot)
		return 0;
	if (w->reopen[0])
		return hot_open(w->dir, w->reopen, &w->hot);
	err = hot_create(w->dir, dir_last_seq(w->dir) + 1, &birth, &w->hot);
	if (!err) {
		snprintf(w->reopen, sizeof(w->reopen), "%s", hot_name(w->hot));
		sealer_kick(&w->sealer, hot_seq(w->hot));
	}
	return err;
}

/* A new file in the middle of a session: of a rotation, or because the old one is gone. */
static int begin_file(struct writer *w)
{
	int err = writer_ensure_hot(w);

	if (!err)
		err = hot_session_begin(w->hot, w->pulse.session, w->complete > w->next_since ? w->complete : w->next_since,
					w->pulse.pid, w->version);
	if (!err && w->pending_gap.to)
		err = hot_put_gap(w->hot, &w->pending_gap);
	if (err) {
		hot_close(w->hot, true);
		w->hot = NULL;
		return err;
	}
	w->pending_gap.to = 0;
	return 0;
}

static void drop_file(struct writer *w, bool lost)
{
	if (lost) {
		int64_t since = w->hot ? hot_since(w->hot) : w->next_since;

		/* What it held is unknown now: the next file says so for that span. */
		w->pending_gap = (struct gap){ .lost = -1, .from = since, .to = w->unix_now(), .cause = GAP_STORE };
		w->next_since = since;
		w->complete = 0;
		w->reopen[0] = '\0';
		atomic_fetch_add(&w->epoch, 1);
	}
	hot_close(w->hot, true);
	w->hot = NULL;
}

void writer_shift(struct writer *w, int64_t moved)
{
	int64_t *const times[] = { &w->prev_end, &w->merged_at, &w->pulse.session };

	for (size_t i = 0; i < sizeof(times) / sizeof(*times); i++)
		if (*times[i])
			*times[i] = time_add_sat(*times[i], moved);
	if (moved)
		w->complete = 0;	/* the next file says */
	carry_shift(w->carry, moved);
}

/* Also one that was let go of after a failure; of one that is lost there is nothing to end. */
static int end_file(struct writer *w, int64_t until)
{
	int err = w->hot || !w->reopen[0] ? 0 : writer_ensure_hot(w);

	if (err || !w->hot)
		return err;
	err = hot_session_update(w->hot, until, SESSION_ROTATED);
	return err ? err : hot_end(w->hot, until);
}

/* The border is where the draining thread drew it, however late we are. */
static int rotate(struct writer *w, int64_t until, int64_t since)
{
	int err = w->rotated ? 0 : end_file(w, until);

	if (err)
		return err;
	if (!w->rotated) {
		/* What a lost file held is unknown up to here, by the clock of the next one. */
		w->next_since = w->hot ? since : time_add_sat(w->next_since, since - until);
		if (w->pending_gap.to)
			w->pending_gap = (struct gap){ .lost = -1, .from = w->next_since, .to = since, .cause = GAP_STORE };
		writer_shift(w, since - until);
		drop_file(w, false);
		w->reopen[0] = '\0';
		w->rotated = true;
	}
	err = begin_file(w);
	if (!err)
		w->rotated = false;
	return err;
}

/* ---- batches ---- */

static int write_batch(struct writer *w, const struct batch *b)
{
	const struct msg *m = NULL;
	int err = w->hot ? 0 : begin_file(w);

	memset(&w->batch, 0, sizeof(w->batch));
	w->batch_complete = w->complete;
	w->n_owners = 0;
	if (!err)
		err = hot_begin(w->hot);
	while (!err && (m = batch_next(b, m)))
		err = writer_apply(w, m);
	if (!err)
		err = hot_commit(w->hot);
	if (!err) {
		carry_commit(w->carry);
		w->complete = w->batch_complete;
		return 0;
	}
	carry_rollback(w->carry);
	if (w->hot)
		hot_rollback(w->hot);
	return err;
}

/* ---- failures ---- */

static void count_done(struct writer *w)
{
	bool mended;

	w->set_aside = false;
	pthread_mutex_lock(&w->stats_lock);
	w->stats.leases += w->batch.leases;
	w->stats.opens += w->batch.opens;
	w->stats.fails += w->batch.fails;
	w->stats.gaps += w->batch.gaps;
	w->stats.minutes += w->batch.minutes;
	w->stats.carried = carry_count(w->carry);
	mended = w->stats.last_error;
	w->stats.last_error = 0;
	pthread_mutex_unlock(&w->stats_lock);
	if (mended)
		log_info("history in '%s' is written again", w->dir->path);
}

/* Said once an outage, not once a second, and never under the lock that the drain may want. */
static void count_failure(struct writer *w, int err)
{
	bool news;

	pthread_mutex_lock(&w->stats_lock);
	news = w->stats.last_error != err;
	w->stats.write_errors++;
	w->stats.last_error = err;
	pthread_mutex_unlock(&w->stats_lock);
	if (news && err != -EBADMSG)
		log_err("history in '%s' cannot be written: %s; recording goes on in memory", w->dir->path, db_strerror(err));
}

static bool is_full(int err)
{
	return err == -ENOSPC || err == -EDQUOT;
}

/* Whether to try again at once. */
static bool mend(struct writer *w, int err)
{
	bool again;

	if (is_full(err))
		return !retain_one(w->dir);
	switch (-err) {
	case EBADMSG:
	case EPROTO:
		if (w->reopen[0] && !dir_set_aside(w->dir, w->reopen))
			log_err("history file '%s/%s' is damaged: set aside as '%s.corrupt'; a new one is begun",
				w->dir->path, w->reopen, w->reopen);
		pthread_mutex_lock(&w->stats_lock);
		w->stats.set_aside++;
		pthread_mutex_unlock(&w->stats_lock);
		drop_file(w, true);
		/* Where the next one is damaged, too, it is not the file. */
		again = !w->set_aside;
		w->set_aside = true;
		return again;
	case ENOENT:
		drop_file(w, true);
		return false;
	case EBUSY:
	case ENOMEM:
		return false;
	default:
		/* The connection may be in any state after an I/O error. */
		drop_file(w, false);
		return false;
	}
}

static void say_alive(struct writer *w)
{
	w->pulse.alive = w->behind ? 0 : w->unix_now();
	w->pulse.beat = clock_boot_ns();
	w->pulse.written = queue_written(&w->queue);
	dir_beat(w->lock_fd, &w->pulse);
}

static void beat(struct writer *w)
{
	say_alive(w);
	if (w->hot && dir_check(w->dir, hot_name(w->hot), NULL) == -ENOENT) {
		log_err("history file '%s/%s' was removed: a new one is begun", w->dir->path, hot_name(w->hot));
		drop_file(w, true);
	}
}

static void pause_ms(struct writer *w, int ms)
{
	struct timespec t = { ms / 1000, ms % 1000 * 1000000L };
	bool stop;

	pthread_mutex_lock(&w->queue.lock);
	stop = w->queue.stop;
	pthread_mutex_unlock(&w->queue.lock);
	if (stop)
		t = (struct timespec){ 0, 100000000L };
	nanosleep(&t, NULL);
}

/* One attempt, of the start as a whole or of a batch. */
static int try_once(struct writer *w, const struct batch *b)
{
	int err = writer_recover(w);

	if (!err)
		err = writer_begin_session(w);
	if (err || !b)
		return err;
	return b->rotate ? rotate(w, b->first, b->last) : write_batch(w, b);
}

/* True when the batch is done with; NULL: only the start is due. */
static bool try_batch(struct writer *w, const struct batch *b)
{
	int err = try_once(w, b);

	if (w->behind != !!err) {	/* who reads the history is to know at once */
		w->behind = err;
		beat(w);
	}
	if (!err) {
		if (!b || !b->rotate)
			count_done(w);
		return true;
	}
	count_failure(w, err);
	if (!(w->begun ? mend(w, err) : is_full(err) && !retain_one(w->dir)))
		pause_ms(w, RETRY_MS);
	return false;
}

/* Told to stop, and the disk is slow: whoever told us does not wait for ever. */
static bool is_late(struct writer *w)
{
	if (clock_boot_ns() >= w->give_up_at)
		w->late = true;
	return w->late;
}

static void give_up(struct writer *w, const struct batch *b)
{
	w->gave_up = true;
	pthread_mutex_lock(&w->stats_lock);
	w->stats.lost += b->rows;
	pthread_mutex_unlock(&w->stats_lock);
}

static void *writer_main(void *arg)
{
	struct writer *w = arg;
	int attempts = 0;
	bool stop = false;

	for (;;) {
		struct batch *b = queue_peek(&w->queue, BEAT_MS, &stop);

		if (clock_boot_ns() - w->last_look >= BEAT_MS * 1000000LL) {
			w->last_look = clock_boot_ns();
			beat(w);
		}
		if (!b && stop)
			return NULL;
		if (!b) {
			if (!w->begun)
				try_batch(w, NULL);
			continue;
		}
		if (!(stop && is_late(w)) && try_batch(w, b)) {
			attempts = 0;
			queue_commit(&w->queue);
			say_alive(w);	/* somebody may be waiting for it */
		} else if (stop && (w->late || ++attempts > GIVE_UP)) {
			give_up(w, b);
		} else {
			continue;
		}
		queue_drop(&w->queue);
	}
}

/* ---- life ---- */

/*
 * A disk that is full is no reason not to count: what is old goes first, and if that is not enough we begin in memory
 * and try again once a second.
 */
static int try_or_wait(struct writer *w, int (*step)(struct writer *w))
{
	int err;

	do
		err = step(w);
	while (is_full(err) && !retain_one(w->dir));
	if (is_full(err)) {
		count_failure(w, err);
		return 0;
	}
	if (err)
		log_err("history in '%s' cannot be opened: %s", w->dir->path, db_strerror(err));
	return err;
}

static char *dup_or_null(const char *s)
{
	return s ? strdup(s) : NULL;
}

/* What the last one said is not said of us, who do not write yet; when its session began recovery may need to know. */
static void take_over_pulse(struct writer *w)
{
	bool alive;

	dir_pulse(w->dir, &w->pulse, &alive);
	if (!w->pulse.beat && !w->pulse.alive)
		return;		/* nobody ever wrote here */
	w->pulse = (struct dir_pulse){ .session = w->pulse.session, .beat = clock_boot_ns(), .pid = (int)getpid() };
	dir_beat(w->lock_fd, &w->pulse);
}

int writer_open(struct writer *w, const struct store_opts *opts)
{
	struct retain_opts retain = {
		.bytes = opts->retain_bytes ? opts->retain_bytes : 1ULL << 30,
		.age = opts->retain_age ? opts->retain_age : 30LL * 24 * 3600 * NS_PER_SEC,
	};
	int err;

	w->lock_fd = -1;
	w->unix_now = opts->unix_now ? opts->unix_now : clock_unix_ns;
	w->host = dup_or_null(opts->host);
	w->boot_id = strdup(opts->boot_id ? opts->boot_id : "");
	w->version = dup_or_null(opts->version);
	pthread_mutex_init(&w->stats_lock, NULL);
	queue_init(&w->queue, opts->queue_bytes ? opts->queue_bytes : 32u << 20);
	err = w->boot_id ? dir_open(opts->dir, true, &w->dir) : -ENOMEM;
	if (!err)
		err = dir_lock(w->dir, &w->lock_fd);
	if (err)
		return err;
	take_over_pulse(w);
	err = sealer_start(&w->sealer, w->dir, &retain);
	if (!err) {
		dir_sweep(w->dir);
		err = try_or_wait(w, writer_recover);
	}
	return err;
}

int writer_start(struct writer *w)
{
	int err;

	w->pulse = (struct dir_pulse){ .session = w->unix_now(), .pid = (int)getpid() };
	queue_reach(&w->queue, clock_boot_ns());
	err = w->recovered ? try_or_wait(w, writer_begin_session) : 0;
	if (err)
		return err;
	w->behind = !w->begun;
	say_alive(w);
	err = -pthread_create(&w->thread, NULL, writer_main, w);
	w->running = !err;
	return err;
}

static int say_missing(const struct writer *w, const struct gap *lost)
{
	uint64_t rows = w->stats.lost + (lost->lost > 0 ? (uint64_t)lost->lost : 0);
	const char *why = w->stats.last_error ? db_strerror(w->stats.last_error) :
			  w->late ? "the disk is too slow" : "no room in memory";

	log_err("history in '%s' is not complete: %llu leases and refusals could not be written (%s); the next recorder tells of a gap",
		w->dir->path, (unsigned long long)rows, why);
	return -EIO;
}

int writer_close(struct writer *w, const struct gap *lost)
{
	bool missing;
	int err = 0;

	if (w->running) {
		queue_stop(&w->queue);
		pthread_join(w->thread, NULL);
	}
	sealer_stop(&w->sealer);
	missing = w->running && (w->gave_up || lost->to);
	/* Where something is missing, the next session's gap must reach back to it. */
	if (missing)
		err = say_missing(w, lost);
	else if (w->hot && w->running)
		hot_session_update(w->hot, w->unix_now(), SESSION_STOPPED);
	hot_close(w->hot, w->late);	/* nor is there time to tidy up */
	carry_free(w->carry);
	queue_destroy(&w->queue);
	pthread_mutex_destroy(&w->stats_lock);
	if (w->lock_fd >= 0) {
		if (!w->running)
			dir_leave_unused(w->dir, w->lock_fd);
		close(w->lock_fd);
	}
	dir_close(w->dir);
	free(w->owners);
	free(w->owner_ids);
	free(w->host);
	free(w->boot_id);
	free(w->version);
	return err;
}
