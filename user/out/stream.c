// SPDX-License-Identifier: GPL-2.0
/*
 * A stream of events as text; see stream.h.
 *
 * Lines gather in a strbuf and leave by write(2): stdio would hide how much of
 * a failed write arrived, and would try it again at exit.
 */
#include "out/stream.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/str.h"
#include "out/facts.h"
#include "out/stream_table.h"

#define STREAM_FULL (64 * 1024)

struct stream {
	struct stream_opts opts;
	struct stream_table table;
	struct strbuf buf;
	int err;	/* the first failure; nothing is written after it */
	bool any;	/* an element of the JSON array was written */
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

int stream_new(const struct stream_opts *opts, struct stream **ret)
{
	struct stream *s = calloc(1, sizeof(*s));

	if (!s)
		return -ENOMEM;
	s->opts = *opts;
	s->table = (struct stream_table){
		.utc = opts->utc, .color = opts->color, .header = opts->header, .leases = opts->leases,
	};
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

int stream_flush(struct stream *s)
{
	if (!s->err)
		s->err = strbuf_err(&s->buf);
	if (!s->err && s->buf.len)
		s->err = stream_write(s->opts.file, strbuf_str(&s->buf), s->buf.len);
	strbuf_reset(&s->buf);
	return s->err;
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
	stream_put(s, ev);
	if (strbuf_err(&s->buf) || s->buf.len >= STREAM_FULL)
		return stream_flush(s);
	return 0;
}

int stream_finish(struct stream *s)
{
	if (s->opts.format == OUT_JSON)
		strbuf_puts(&s->buf, s->any ? "\n]\n" : "]\n");
	return stream_flush(s);
}
