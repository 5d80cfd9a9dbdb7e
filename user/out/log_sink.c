// SPDX-License-Identifier: GPL-2.0
/*
 * The queue and the thread behind it; see log_sink.h.
 *
 * The lock is held to link or unlink a message, never while writing.  poll(2)
 * comes before each write, because stderr is shared with others and must not be
 * made non-blocking; a sink that blocks all the same holds up this thread alone.
 */
#include "out/log_sink.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/str.h"
#include "base/timex.h"
#include "out/facts.h"
#include "out/log_journal.h"
#include "out/log_text.h"

#define QUEUE_BYTES (256 * 1024)
#define LINE_TRIES 5		/* of 200 ms each, then the line is given up */

struct message {
	struct message *next;
	size_t size;
	int64_t at;
	enum log_level level;
	const char *json;	/* behind the text, "" for none */
	char text[];
};

/* Where lines go, and in which form. */
struct target {
	enum log_form form;
	bool journal;		/* native fields; the message is the human line */
	bool priority;		/* lines begin with "<N>" */
	char *path;		/* NULL: stderr */
	bool utc;
	int fd;
};

struct log_sink {
	struct target to;	/* the thread's; others read what decides on the JSON under the lock */
	bool torn;		/* the last line is not whole */
	size_t queue_max;
	pthread_t thread;
	pthread_mutex_t lock;	/* guards what follows */
	pthread_cond_t more;
	struct message *first, **last;
	size_t queued;
	bool stop, reopen;
	struct log_sink_opts *change;	/* NULL: as before */
	uint64_t dropped, told;	/* dropped is atomic; told: in a line that got through */
};

/* ---- in ---- */

static void sink_drop(struct log_sink *s)
{
	__atomic_add_fetch(&s->dropped, 1, __ATOMIC_RELAXED);
}

uint64_t log_sink_dropped(const struct log_sink *s)
{
	return __atomic_load_n(&s->dropped, __ATOMIC_RELAXED);
}

/* Whether a message may be put; `*json` tells whether its event is wanted too. */
static bool sink_has_room(struct log_sink *s, bool *json)
{
	bool room;

	pthread_mutex_lock(&s->lock);
	room = s->queued < s->queue_max;
	*json = s->to.form != LOG_FORM_HUMAN || s->to.journal;
	pthread_mutex_unlock(&s->lock);
	return room;
}

static void sink_put(struct log_sink *s, enum log_level level, const char *text, const char *json)
{
	size_t text_len = strlen(text) + 1, json_len = strlen(json) + 1;
	struct message *m = malloc(sizeof(*m) + text_len + json_len);

	if (!m) {
		sink_drop(s);
		return;
	}
	*m = (struct message){ .size = sizeof(*m) + text_len + json_len, .at = clock_unix_ns(), .level = level };
	memcpy(m->text, text, text_len);
	m->json = memcpy(m->text + text_len, json, json_len);
	pthread_mutex_lock(&s->lock);
	*s->last = m;
	s->last = &m->next;
	s->queued += m->size;
	pthread_cond_signal(&s->more);
	pthread_mutex_unlock(&s->lock);
}

void log_sink_text(void *ctx, enum log_level level, const char *text)
{
	struct log_sink *s = ctx;
	bool json;

	if (sink_has_room(s, &json))
		sink_put(s, level, text, "");
	else
		sink_drop(s);
}

void log_sink_event(struct log_sink *s, enum log_level level, const struct event *ev)
{
	struct strbuf text = STRBUF_INIT, json = STRBUF_INIT;
	bool with_json;

	if (!sink_has_room(s, &with_json)) {
		sink_drop(s);	/* before the work of wording it */
		return;
	}
	log_text_event(&text, ev);
	if (with_json)
		facts_json(&json, ev);
	if (strbuf_err(&text) || strbuf_err(&json))
		sink_drop(s);
	else
		sink_put(s, level, strbuf_str(&text), strbuf_str(&json));
	strbuf_free(&text);
	strbuf_free(&json);
}

static void opts_free(struct log_sink_opts *o)
{
	if (o)
		free((char *)o->file);
	free(o);
}

static int opts_copy(const struct log_sink_opts *opts, struct log_sink_opts **ret)
{
	struct log_sink_opts *o = malloc(sizeof(*o));

	if (!o)
		return -ENOMEM;
	*o = *opts;
	o->file = opts->file ? strdup(opts->file) : NULL;
	if (opts->file && !o->file) {
		free(o);
		return -ENOMEM;
	}
	*ret = o;
	return 0;
}

int log_sink_reopen(struct log_sink *s, const struct log_sink_opts *opts)
{
	struct log_sink_opts *change = NULL;
	int err = opts ? opts_copy(opts, &change) : 0;

	if (err)
		return err;
	pthread_mutex_lock(&s->lock);
	if (change) {
		opts_free(s->change);
		s->change = change;
	}
	s->reopen = true;
	pthread_cond_signal(&s->more);
	pthread_mutex_unlock(&s->lock);
	return 0;
}

/* ---- out, in the thread ---- */

/* $JOURNAL_STREAM is "DEVICE:INODE" of what a service manager connected to the journal. */
static bool stderr_is_journal(void)
{
	const char *env = getenv("JOURNAL_STREAM");
	unsigned long long dev, ino;
	struct stat st;

	return env && sscanf(env, "%llu:%llu", &dev, &ino) == 2 && !fstat(STDERR_FILENO, &st) && st.st_dev == dev &&
	       st.st_ino == ino;
}

static int target_open(const struct log_sink_opts *opts, struct target *ret)
{
	struct target t = { .form = opts->form, .utc = opts->utc, .fd = STDERR_FILENO };

	if (opts->file) {
		t.path = strdup(opts->file);
		if (!t.path)
			return -ENOMEM;
		t.fd = open(t.path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOCTTY | O_NONBLOCK | O_NOFOLLOW, 0640);
		if (t.fd < 0) {
			free(t.path);
			return -errno;
		}
	} else if (stderr_is_journal()) {
		t.journal = !opts->form_given && log_journal_works();
		t.priority = !t.journal;
	}
	*ret = t;
	return 0;
}

static void target_close(struct target *t)
{
	if (t->path)
		close(t->fd);
	free(t->path);
}

static bool sink_stopping(struct log_sink *s)
{
	bool stop;

	pthread_mutex_lock(&s->lock);
	stop = s->stop;
	pthread_mutex_unlock(&s->lock);
	return stop;
}

/* 0, or a negative errno when not all of it got through. */
static int sink_write(struct log_sink *s, const char *line, size_t len)
{
	struct pollfd pfd = { .fd = s->to.fd, .events = POLLOUT };
	int tries = 0;

	while (len) {
		size_t piece = len < 4096 ? len : 4096;	/* PIPE_BUF: poll promises room for that much */
		ssize_t n = poll(&pfd, 1, 200) > 0 ? write(s->to.fd, line, piece) : 0;

		if (n < 0 && errno != EINTR && errno != EAGAIN)
			return -errno;
		if (n <= 0 && (++tries >= LINE_TRIES || sink_stopping(s)))
			return -ETIMEDOUT;
		line += n > 0 ? n : 0;
		len -= n > 0 ? (size_t)n : 0;
		s->torn = len;
	}
	return 0;
}

static int sink_line(struct log_sink *s, enum log_level level, int64_t at, const char *text, const char *json)
{
	struct strbuf line = STRBUF_INIT;
	char stamp[TIMEX_BUF], zone[TIMEX_BUF];
	int err;

	if (s->torn)
		strbuf_putc(&line, '\n');
	if (s->to.priority)
		strbuf_printf(&line, "<%d>", log_text_priority(level));
	/* The journal and who reads stderr know when a line came; a file does not. */
	if (s->to.path && s->to.form == LOG_FORM_HUMAN)
		strbuf_printf(&line, "%s%s ", timex_stamp(at, s->to.utc, stamp), timex_offset(at, s->to.utc, zone));
	log_text_line(&line, s->to.form, level, at, text, json);
	err = strbuf_err(&line);
	if (!err)
		err = sink_write(s, strbuf_str(&line), line.len);
	strbuf_free(&line);
	return err;
}

static int sink_send(struct log_sink *s, enum log_level level, int64_t at, const char *text, const char *json)
{
	return s->to.journal ? log_journal_send(level, text, json) : sink_line(s, level, at, text, json);
}

static void sink_tell_dropped(struct log_sink *s)
{
	uint64_t dropped = log_sink_dropped(s);
	char text[96];

	if (dropped == s->told)
		return;
	snprintf(text, sizeof(text), "%llu log messages were lost: the log did not take them",
		 (unsigned long long)(dropped - s->told));
	if (!sink_send(s, LOG_LEVEL_WARN, clock_unix_ns(), text, ""))
		s->told = dropped;
}

static void sink_out(struct log_sink *s, const struct message *m)
{
	sink_tell_dropped(s);
	if (sink_send(s, m->level, m->at, m->text, m->json))
		sink_drop(s);
}

static void sink_do_reopen(struct log_sink *s, struct log_sink_opts *change)
{
	struct log_sink_opts same = { .form = s->to.form, .file = s->to.path, .utc = s->to.utc };
	const struct log_sink_opts *opts = change ? change : &same;
	struct target now, old = s->to;
	int err = change || same.file ? target_open(opts, &now) : -EALREADY;
	char text[512];

	if (!err) {
		pthread_mutex_lock(&s->lock);
		s->to = now;
		pthread_mutex_unlock(&s->lock);
		target_close(&old);
		s->torn = false;
	} else if (err != -EALREADY) {
		snprintf(text, sizeof(text), "cannot open the log file '%s': %s; the old one stays in use", opts->file, strerror(-err));
		sink_send(s, LOG_LEVEL_ERR, clock_unix_ns(), text, "");
	}
	opts_free(change);
}

/* The next message, NULL at the end; `*reopen` tells that the target is to be opened first. */
static struct message *sink_next(struct log_sink *s, bool *reopen, struct log_sink_opts **change)
{
	struct message *m;

	pthread_mutex_lock(&s->lock);
	while (!s->first && !s->stop && !s->reopen)
		pthread_cond_wait(&s->more, &s->lock);
	*reopen = s->reopen;
	*change = s->change;
	s->reopen = false;
	s->change = NULL;
	m = *reopen ? NULL : s->first;
	if (m) {
		s->first = m->next;
		if (!s->first)
			s->last = &s->first;
		s->queued -= m->size;
	}
	pthread_mutex_unlock(&s->lock);
	return m;
}

static void *sink_thread(void *arg)
{
	struct log_sink *s = arg;
	struct log_sink_opts *change;
	struct message *m;
	bool reopen;

	while ((m = sink_next(s, &reopen, &change)) || reopen) {
		if (reopen)
			sink_do_reopen(s, change);
		else
			sink_out(s, m);
		free(m);
	}
	sink_tell_dropped(s);
	return NULL;
}

/* ---- life ---- */

static int sink_start(struct log_sink *s)
{
	sigset_t all, old;
	int err;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	err = -pthread_create(&s->thread, NULL, sink_thread, s);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	return err;
}

static void sink_free(struct log_sink *s)
{
	struct message *m, *next;

	for (m = s->first; m; m = next) {
		next = m->next;
		free(m);
	}
	opts_free(s->change);
	target_close(&s->to);
	pthread_cond_destroy(&s->more);
	pthread_mutex_destroy(&s->lock);
	free(s);
}

int log_sink_open(const struct log_sink_opts *opts, struct log_sink **ret)
{
	struct log_sink *s = calloc(1, sizeof(*s));
	int err = s ? target_open(opts, &s->to) : -ENOMEM;

	if (err) {
		log_err("cannot open the log%s%s%s: %s", opts->file ? " file '" : "", opts->file ? opts->file : "",
			opts->file ? "'" : "", strerror(-err));
		free(s);
		return err;
	}
	s->last = &s->first;
	s->queue_max = opts->queue_bytes ? opts->queue_bytes : QUEUE_BYTES;
	pthread_mutex_init(&s->lock, NULL);
	pthread_cond_init(&s->more, NULL);
	err = sink_start(s);
	if (err)
		sink_free(s);
	else
		*ret = s;
	return err;
}

void log_sink_close(struct log_sink *s, int ms)
{
	struct timespec until;

	if (!s)
		return;
	pthread_mutex_lock(&s->lock);
	s->stop = true;
	pthread_cond_signal(&s->more);
	pthread_mutex_unlock(&s->lock);
	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += ms / 1000;
	until.tv_nsec += ms % 1000 * 1000000L;
	if (until.tv_nsec >= 1000000000L) {
		until.tv_nsec -= 1000000000L;
		until.tv_sec++;
	}
	/* Stuck in the sink: it ends with the process, and what it uses is left to it. */
	if (!pthread_timedjoin_np(s->thread, NULL, &until))
		sink_free(s);
}
