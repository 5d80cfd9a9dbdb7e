// SPDX-License-Identifier: GPL-2.0
/*
 * The sealing thread: looks what there is to seal, seals it, then lets
 * retention have its way; see writer.h.
 */
#include "store/writer.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "base/log.h"

#define NS_PER_SEC 1000000000LL
#define LOOK_S 60		/* retention by age, and files that could not be sealed */
#define TRUST_AFTER_NS (600 * NS_PER_SEC)
#define STEP_NS (3600 * NS_PER_SEC)
#define STANDS_NS (60 * NS_PER_SEC)	/* less is a clock that is put right in small steps */

static struct timespec in_seconds(int s)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	t.tv_sec += s;
	return t;
}

/* Whether the wall clock has been what it is now for so long that it was set on purpose. */
static bool has_stood(struct sealer_thread *s, int64_t clock, int64_t boot)
{
	int64_t moved = clock - s->stands;

	if (!s->stands_since || moved > STANDS_NS || moved < -STANDS_NS) {
		s->stands = clock;
		s->stands_since = boot;
	}
	return boot - s->stands_since >= TRUST_AFTER_NS;
}

/*
 * The wall clock as far as age may rely on it: not while the machine may still
 * be waiting for its time server, and ahead of what has passed since only where
 * it stays so.
 */
static int64_t trusted_now(struct sealer_thread *s)
{
	int64_t boot = clock_boot_ns(), now = clock_unix_ns(), passed = boot - s->session_boot;
	bool stood = has_stood(s, now - boot, boot);

	if (passed < TRUST_AFTER_NS)
		return 0;
	if (stood)
		s->session_unix = now - passed;
	return now - (s->session_unix + passed) > STEP_NS ? s->session_unix + passed : now;
}

static void note(struct sealer_thread *s, int err, const char *name)
{
	bool news;

	pthread_mutex_lock(&s->lock);
	news = err && s->last_error != err;
	s->sealed += !err;
	s->errors += err != 0;
	s->set_aside += err == -EBADMSG;
	s->last_error = err == -EBADMSG ? 0 : err;
	pthread_mutex_unlock(&s->lock);
	if (news && err != -EBADMSG)
		log_err("history file '%s' cannot be sealed: %s; it is kept as it is", name, db_strerror(err));
}

static void seal_waiting(struct sealer_thread *s, uint32_t limit)
{
	struct dir_list list;

	if (dir_list(s->dir, &list))
		return;
	for (size_t i = 0; i < list.count; i++) {
		char name[DIR_NAME_MAX];
		int err;

		if (list.files[i].kind != DIR_HOT || list.files[i].seq >= limit || dir_check(s->dir, list.files[i].name, NULL))
			continue;
		err = seal_file(s->dir, &list.files[i], name);
		if (err == -ENOSPC && !retain_one(s->dir))
			err = seal_file(s->dir, &list.files[i], name);
		note(s, err, list.files[i].name);
	}
	dir_list_free(&list);
}

/* A sealed file was renamed and the hot one not yet removed when we were killed. */
static void remove_sealed_hot(const struct store_dir *dir, uint32_t limit)
{
	struct dir_list list;
	char hot[DIR_NAME_MAX];

	if (dir_list(dir, &list))
		return;
	for (size_t i = 0; i < list.count; i++) {
		if (list.files[i].kind != DIR_SEALED || list.files[i].seq >= limit)
			continue;
		dir_name_hot(list.files[i].seq, hot);
		if (!dir_check(dir, hot, NULL))
			dir_unlink(dir, hot);
	}
	dir_list_free(&list);
}

static void look(struct sealer_thread *s, uint32_t limit)
{
	struct retain_result kept;

	seal_waiting(s, limit);
	if (retain_run(s->dir, &s->retain, trusted_now(s), &kept))
		return;
	if (kept.err && kept.err != s->retain_error)
		log_err("history in '%s': what is to be removed stays for now: %s", s->dir->path, db_strerror(kept.err));
	s->retain_error = kept.err;
	pthread_mutex_lock(&s->lock);
	s->evicted += kept.evicted;
	s->bytes = kept.bytes;
	s->oldest = kept.oldest;
	pthread_mutex_unlock(&s->lock);
}

static void *sealer_main(void *arg)
{
	struct sealer_thread *s = arg;
	uint32_t done = 0;

	pthread_mutex_lock(&s->lock);
	while (!s->stop) {
		uint32_t limit = s->limit;
		struct timespec until = in_seconds(LOOK_S);

		pthread_mutex_unlock(&s->lock);
		if (!done)
			remove_sealed_hot(s->dir, limit);
		look(s, limit);
		pthread_mutex_lock(&s->lock);
		done = limit;
		s->busy = s->limit != done;
		if (!s->busy)
			pthread_cond_broadcast(&s->idle);
		while (!s->stop && s->limit == done && !pthread_cond_timedwait(&s->wake, &s->lock, &until))
			;
	}
	s->busy = false;
	pthread_cond_broadcast(&s->idle);
	pthread_mutex_unlock(&s->lock);
	return NULL;
}

int sealer_start(struct sealer_thread *s, const struct store_dir *dir, const struct retain_opts *retain)
{
	pthread_condattr_t attr;

	s->dir = dir;
	s->retain = *retain;
	s->session_unix = clock_unix_ns();
	s->session_boot = clock_boot_ns();
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_mutex_init(&s->lock, NULL);
	pthread_cond_init(&s->wake, &attr);
	pthread_cond_init(&s->idle, &attr);
	pthread_condattr_destroy(&attr);
	return 0;
}

/* The thread starts with the first file there is, so that it finds a recovered directory. */
void sealer_kick(struct sealer_thread *s, uint32_t limit)
{
	bool news;

	pthread_mutex_lock(&s->lock);
	news = s->limit != limit;
	s->limit = limit;
	if (!s->running) {
		s->busy = s->running = !pthread_create(&s->thread, NULL, sealer_main, s);
	} else if (news) {	/* told the same again, it would never become idle */
		s->busy = true;
		pthread_cond_signal(&s->wake);
	}
	pthread_mutex_unlock(&s->lock);
}

bool sealer_wait(struct sealer_thread *s, int ms)
{
	struct timespec until = in_seconds(ms / 1000 + 1);
	int rc = 0;
	bool idle;

	pthread_mutex_lock(&s->lock);
	while (s->busy && !rc)
		rc = pthread_cond_timedwait(&s->idle, &s->lock, &until);
	idle = !s->busy;
	pthread_mutex_unlock(&s->lock);
	return idle;
}

void sealer_stop(struct sealer_thread *s)
{
	if (!s->dir)
		return;
	pthread_mutex_lock(&s->lock);
	s->stop = true;
	pthread_cond_signal(&s->wake);
	pthread_mutex_unlock(&s->lock);
	if (s->running)
		pthread_join(s->thread, NULL);
	pthread_cond_destroy(&s->wake);
	pthread_cond_destroy(&s->idle);
	pthread_mutex_destroy(&s->lock);
}
