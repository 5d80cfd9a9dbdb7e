// SPDX-License-Identifier: GPL-2.0
/*
 * A stream of events as text; see stream.h.
 *
 * Lines gather in a strbuf and leave by write(2): stdio would hide how much of
 * a failed write arrived, and would try it again at exit.
 */
#include "out/stream.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/str.h"
#include "out/facts.h"
#include "out/stream_table.h"

#define STREAM_FULL (64 * 1024)
#define STREAM_WIDE 96			/* columns of a terminal, for a table with all of its own */
#define STREAM_SAY_EVERY (5 * 1000000000LL)

struct stream {
	struct stream_opts opts;
	struct stream_table table;
	struct strbuf buf;
	int err;	/* the first failure; nothing is written after it */
	bool any;	/* an element of the JSON array was written */
	bool live;
	size_t sent;		/* bytes at the head of buf that are written already */
	struct strbuf ends;	/* where in buf each event ends, as size_t: not every line is one */
	int patience;		/* ms left until the next flush */
	uint64_t unwritten, said;
	int64_t say_at;		/* boot clock: not before */
};

static void stream_begin(struct stream *s)
{
	const struct stream_opts *o = &s->opts;

	if (o->format == OUT_JSON)
		strbuf_putc(&s->buf, '[');
	else if (o->format == OUT_CSV && o->header)
		facts_csv_header(&s->buf);
	else if (o->format == OUT_TABLE && o->header)
		stream_table_titles(&s->table, &s->buf);
}

/* A regular file takes all or fails, and so does what has no descriptor. */
static bool stream_may_wait(FILE *file)
{
	struct stat st;

	return fileno(file) >= 0 && !fstat(fileno(file), &st) && !S_ISREG(st.st_mode);
}

int stream_new(const struct stream_opts *opts, struct stream **ret)
{
	struct stream *s = calloc(1, sizeof(*s));

	if (!s)
		return -ENOMEM;
	s->opts = *opts;
	s->table = (struct stream_table){
		.utc = opts->utc, .color = opts->color, .header = opts->header, .leases = opts->leases,
		.narrow = opts->width && opts->width < STREAM_WIDE,
	};
	s->live = opts->live && stream_may_wait(opts->file);
	s->patience = STREAM_PATIENCE_MS;
	stream_table_init(&s->table);
	stream_begin(s);
	*ret = s;
	return 0;
}

void stream_free(struct stream *s)
{
	if (!s)
		return;
	strbuf_free(&s->buf);
	strbuf_free(&s->ends);
	free(s);
}

static int stream_write_fd(int fd, const char *bytes, size_t len)
{
	struct pollfd pfd = { .fd = fd, .events = POLLOUT };
	ssize_t n;

	while (len) {
		n = write(fd, bytes, len);
		if (n < 0 && errno == EAGAIN) {
			poll(&pfd, 1, -1);	/* somebody made our stdout non-blocking */
			continue;
		}
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		bytes += n;
		len -= (size_t)n;
	}
	return 0;
}

/* `file` may hold lines of the caller, which come first, and need not have a descriptor. */
static int stream_write(FILE *file, const char *bytes, size_t len)
{
	int fd = fileno(file);

	errno = 0;
	if (fd < 0 && fwrite(bytes, 1, len, file) != len)
		return errno ? -errno : -EIO;
	if (fflush(file))
		return errno ? -errno : -EIO;
	return fd < 0 ? 0 : stream_write_fd(fd, bytes, len);
}

static size_t stream_waiting(const struct stream *s)
{
	return s->buf.len - s->sent;
}

/* How many events are not written to their end; `forget`: the others, as if buf began behind what is written. */
static uint64_t stream_events_waiting(struct stream *s, bool forget)
{
	size_t *at = (size_t *)s->ends.data, n = s->ends.len / sizeof(*at), waiting = 0;

	for (size_t i = 0; i < n; i++) {
		if (at[i] <= s->sent)
			continue;
		if (forget)
			at[waiting] = at[i] - s->sent;
		waiting++;
	}
	if (forget)
		strbuf_truncate(&s->ends, waiting * sizeof(*at));
	return waiting;
}

/* What was written already makes room, but not for each few bytes. */
static void stream_close_up(struct stream *s)
{
	size_t rest = stream_waiting(s);

	if (rest && s->sent < rest)
		return;
	stream_events_waiting(s, true);
	if (!rest && s->buf.cap > STREAM_HELD / 8) {
		strbuf_free(&s->buf);	/* a large one was for a reader that has come back */
		s->buf = (struct strbuf)STRBUF_INIT;
	}
	if (rest)
		memmove(s->buf.data, s->buf.data + s->sent, rest);
	strbuf_truncate(&s->buf, rest);
	s->sent = 0;
}

/* Whether the reader takes something, waiting for that as long as patience allows. */
static bool stream_takes(struct stream *s, int fd)
{
	struct pollfd pfd = { .fd = fd, .events = POLLOUT };
	int64_t before = clock_boot_ns();
	int n = poll(&pfd, 1, s->patience);

	s->patience -= (int)((clock_boot_ns() - before) / 1000000);
	if (s->patience < 0)
		s->patience = 0;
	return n > 0;
}

/* A pipe that poll(2) calls writable takes PIPE_BUF bytes at once. */
static int stream_write_live(struct stream *s)
{
	int fd = fileno(s->opts.file), err = 0;

	while (!err && stream_waiting(s) && stream_takes(s, fd)) {
		size_t len = stream_waiting(s) < PIPE_BUF ? stream_waiting(s) : PIPE_BUF;
		ssize_t n = write(fd, s->buf.data + s->sent, len);

		if (n >= 0)
			s->sent += (size_t)n;
		else if (errno != EAGAIN && errno != EINTR)
			err = -errno;
	}
	stream_close_up(s);
	return err;
}

static int stream_write_out(struct stream *s)
{
	int err;

	if (s->live) {
		if (fflush(s->opts.file))
			return errno ? -errno : -EIO;
		return stream_write_live(s);
	}
	err = stream_write(s->opts.file, strbuf_str(&s->buf), s->buf.len);
	strbuf_reset(&s->buf);
	return err;
}

static void stream_drop(struct stream *s)
{
	strbuf_reset(&s->buf);
	strbuf_reset(&s->ends);
	s->sent = 0;
}

static int stream_push(struct stream *s)
{
	if (!s->err)
		s->err = strbuf_err(&s->buf) ? strbuf_err(&s->buf) : strbuf_err(&s->ends);
	if (!s->err && stream_waiting(s))
		s->err = stream_write_out(s);
	if (s->err)
		stream_drop(s);
	return s->err;
}

static void stream_say(struct stream *s, int64_t now)
{
	log_warn("%llu events were left out of the output: its reader was too slow",
		 (unsigned long long)(s->unwritten - s->said));
	s->said = s->unwritten;
	s->say_at = now + STREAM_SAY_EVERY;
}

int stream_flush(struct stream *s)
{
	s->patience = STREAM_PATIENCE_MS;
	stream_push(s);
	if (s->unwritten > s->said && clock_boot_ns() >= s->say_at)
		stream_say(s, clock_boot_ns());
	return s->err;
}

/* The last wait is longer; what is not taken by then never was. */
static int stream_drain(struct stream *s)
{
	s->patience = STREAM_LAST_MS;
	stream_push(s);
	s->unwritten += stream_events_waiting(s, false);
	stream_drop(s);
	s->say_at = 0;
	return stream_flush(s);
}

uint64_t stream_unwritten(const struct stream *s)
{
	return s->unwritten;
}

static void stream_put(struct stream *s, const struct event *ev)
{
	switch (s->opts.format) {
	case OUT_TABLE:
		stream_table_row(&s->table, &s->buf, ev);
		break;
	case OUT_CSV:
		facts_csv(&s->buf, ev);
		break;
	case OUT_JSONL:
		facts_json(&s->buf, ev);
		strbuf_putc(&s->buf, '\n');
		break;
	case OUT_JSON:
		strbuf_puts(&s->buf, s->any ? ",\n" : "\n");
		facts_json(&s->buf, ev);
		s->any = true;
		break;
	}
}

int stream_event(struct stream *s, const struct event *ev)
{
	if (s->err)
		return s->err;
	if (s->opts.leases && ev->kind != EV_RELEASE && ev->kind != EV_GAP)
		return 0;
	if (s->live && stream_waiting(s) >= STREAM_HELD && !stream_push(s) && stream_waiting(s) >= STREAM_HELD) {
		s->unwritten++;
		return 0;
	}
	stream_put(s, ev);
	if (s->live)
		strbuf_put(&s->ends, (const char *)&s->buf.len, sizeof(s->buf.len));
	if (strbuf_err(&s->buf) || strbuf_err(&s->ends) || (stream_waiting(s) >= STREAM_FULL && (!s->live || s->patience)))
		return stream_push(s);
	return s->err;
}

int stream_finish(struct stream *s)
{
	if (s->opts.format == OUT_JSON)
		strbuf_puts(&s->buf, s->any ? "\n]\n" : "]\n");
	return s->live ? stream_drain(s) : stream_flush(s);
}
