// SPDX-License-Identifier: GPL-2.0
/* The columns of a live stream; see stream_table.h. */
#include "out/stream_table.h"

#include <inttypes.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>

#include "base/str.h"
#include "base/timex.h"

typedef void (*cell_fn)(const struct stream_table *t, struct strbuf *out, const struct event *ev);

static void put_known(struct strbuf *out, uint32_t number)
{
	if (number)
		strbuf_put_uint(out, number);
	else
		strbuf_putc(out, '-');
}

/* Of HH:MM:SS.mmm. */
#define CLOCK_SECONDS 8
#define CLOCK_MS 12

static void put_clock(const struct stream_table *t, struct strbuf *out, int64_t ns)
{
	char buf[TIMEX_BUF];

	if (!ns)
		strbuf_putc(out, '-');
	else
		strbuf_put(out, timex_clock(ns, t->utc, buf), t->narrow ? CLOCK_SECONDS : CLOCK_MS);
}

static void cell_time(const struct stream_table *t, struct strbuf *out, const struct event *ev)
{
	put_clock(t, out, ev->ts);
}

/* The wire name behind its dot. */
static void cell_event(const struct stream_table *t, struct strbuf *out, const struct event *ev)
{
	strbuf_puts(out, strchr(event_name(ev->kind), '.') + 1);
}

static void cell_proto(const struct stream_table *t, struct strbuf *out, const struct event *ev)
{
	strbuf_puts(out, event_proto_name(ev->lease.proto));
}

static void put_address(struct strbuf *out, unsigned int family, const __u32 addr[4], unsigned int port)
{
	char buf[INET6_ADDRSTRLEN];

	strbuf_printf(out, family == AF_INET6 ? "[%s]:" : "%s:", event_addr(family, addr, buf));
	if (port)
		strbuf_put_uint(out, port);
	else
		strbuf_putc(out, '*');
}

static void cell_local(const struct stream_table *t, struct strbuf *out, const struct event *ev)
{
	put_address(out, ev->lease.family, ev->lease.laddr, ev->lease.lport);
}

static void cell_remote(const struct stream_table *t, struct strbuf *out, const struct event *ev)
{
	if (event_has_remote(ev))
		put_address(out, ev->lease.family, ev->lease.raddr, ev->lease.rport);
	else
		strbuf_putc(out, '-');
}

static void cell_pid(const struct stream_table *t, struct strbuf *out, const struct event *ev)
{
	put_known(out, ev->lease.tgid);
}

static void cell_comm(const struct stream_table *t, struct strbuf *out, const struct event *ev)
{
	if (ev->lease.tgid && ev->lease.comm[0])
		str_name(out, ev->lease.comm);
	else
		strbuf_putc(out, '-');
}

static void cell_kind(const struct stream_table *t, struct strbuf *out, const struct event *ev)
{
	strbuf_puts(out, event_kind_name(ev->lease.kind));
}

/* Of a release the whole life, of a TIME_WAIT the life of the connection. */
static void cell_lifetime(const struct stream_table *t, struct strbuf *out, const struct event *ev)
{
	int64_t end = ev->kind == EV_TIMEWAIT ? ev->closed : ev->end;
	int64_t start = ev->lease.flags & PL_F_SNAPSHOT ? 0 : ev->start;
	char buf[TIMEX_BUF];

	strbuf_puts(out, start && end >= start ? timex_span(end - start, buf) : "-");
}

static void put_note(struct strbuf *out, const char *note)
{
	if (!note)
		return;
	if (out->len)
		strbuf_puts(out, ", ");
	strbuf_puts(out, note);
}

/* Why it ended or failed, and how far the owner beside it can be trusted. */
static void cell_reason(const struct stream_table *t, struct strbuf *out, const struct event *ev)
{
	static const char *const trust[] = {
		[PL_OWNER_LISTENER] = "listener's owner", [PL_OWNER_KERNEL] = "kernel socket",
		[PL_OWNER_SNAPSHOT] = "first holder found",
	};
	unsigned int src = ev->lease.owner_src;

	if (ev->kind == EV_FAIL)
		put_note(out, event_errno_name(ev->err));
	put_note(out, event_reason_name(ev->reason));
	if (ev->evidence == EVIDENCE_RESYNC)
		put_note(out, "inferred");
	if (ev->lease.tgid && src < sizeof(trust) / sizeof(trust[0]))
		put_note(out, trust[src]);
}

#define COL_EVENT 1
#define COL_REMOTE 4

/* Sums to 92 with a short reason; narrow to 80 with the longest one that is common. */
static const struct {
	const char *title;
	unsigned int width, narrow, max;
	cell_fn put;
} columns[STREAM_TABLE_COLS] = {
	{ "TIME", 12, 8, 12, cell_time },      { "EVENT", 8, 8, 8, cell_event },       { "PROTO", 5, 5, 7, cell_proto },
	{ "LOCAL", 15, 15, 24, cell_local },   { "REMOTE", 15, 0, 24, cell_remote },   { "PID", 6, 5, 10, cell_pid },
	{ "COMM", 8, 7, 16, cell_comm },       { "KIND", 7, 7, 7, cell_kind },	       { "LIFETIME", 8, 8, 12, cell_lifetime },
	{ "REASON", 0, 0, 0, cell_reason },
};

void stream_table_init(struct stream_table *t)
{
	for (unsigned int i = 0; i < STREAM_TABLE_COLS; i++)
		t->widths[i] = t->narrow ? columns[i].narrow : columns[i].width;
	t->day[0] = '\0';
}

static bool is_hidden(const struct stream_table *t, unsigned int col)
{
	return (t->leases && col == COL_EVENT) || (t->narrow && col == COL_REMOTE);
}

static void trim_row(struct strbuf *out)
{
	size_t len = out->len;

	while (len && out->data[len - 1] == ' ')
		len--;
	strbuf_truncate(out, len);
	strbuf_putc(out, '\n');
}

void stream_table_titles(struct stream_table *t, struct strbuf *out)
{
	for (unsigned int i = 0; i < STREAM_TABLE_COLS; i++) {
		if (is_hidden(t, i))
			continue;
		strbuf_puts(out, columns[i].title);
		strbuf_pad(out, ' ', 1 + (t->widths[i] > strlen(columns[i].title) ?
					  t->widths[i] - strlen(columns[i].title) : 0));
	}
	trim_row(out);
}

static void put_day(struct stream_table *t, struct strbuf *out, int64_t ts)
{
	char day[TIMEX_BUF];

	if (!ts || !strcmp(timex_date(ts, t->utc, day), t->day))
		return;
	if (t->day[0] && t->header)
		strbuf_printf(out, "%s\n", day);
	memcpy(t->day, day, sizeof(t->day) - 1);
	t->day[sizeof(t->day) - 1] = '\0';
}

static const char *event_color(enum event_kind kind)
{
	static const char *const colors[] = {
		[EV_ALLOC] = "\033[32m", [EV_OWNER] = "\033[36m", [EV_TIMEWAIT] = "\033[33m", [EV_RELEASE] = "\033[34m",
		[EV_FAIL] = "\033[31m",	 [EV_OPEN] = "\033[2m",	  [EV_SUMMARY] = "\033[1m",   [EV_GAP] = "\033[35m",
	};

	return colors[kind];
}

static void put_cell(struct stream_table *t, struct strbuf *out, unsigned int col, const struct strbuf *cell,
		     const char *color)
{
	size_t width = str_width(strbuf_str(cell), cell->len);

	if (width > t->widths[col])
		t->widths[col] = width < columns[col].max ? (unsigned int)width : columns[col].max;
	if (color)
		strbuf_puts(out, color);
	strbuf_put(out, strbuf_str(cell), cell->len);
	if (color)
		strbuf_puts(out, "\033[0m");
	strbuf_pad(out, ' ', 1 + (t->widths[col] > width ? t->widths[col] - width : 0));
}

static void put_cells(struct stream_table *t, struct strbuf *out, const struct event *ev, unsigned int count)
{
	struct strbuf cell = STRBUF_INIT;

	for (unsigned int i = 0; i < count; i++) {
		if (is_hidden(t, i) && (i != COL_EVENT || ev->kind == EV_RELEASE))
			continue;
		strbuf_reset(&cell);
		columns[i].put(t, &cell, ev);
		put_cell(t, out, i, &cell, t->color && i == COL_EVENT ? event_color(ev->kind) : NULL);
		if (cell.err && !out->err)
			out->err = cell.err;
	}
	strbuf_free(&cell);
}

static void put_gap(const struct stream_table *t, struct strbuf *out, const struct gap *gap)
{
	if (!gap)
		return;
	if (gap->lost >= 0)
		strbuf_printf(out, "%" PRId64 " events lost", gap->lost);
	else
		strbuf_puts(out, "events lost, how many is not known");
	strbuf_printf(out, " (%s), from ", event_gap_name(gap->cause));
	put_clock(t, out, gap->from);
	strbuf_puts(out, " to ");
	put_clock(t, out, gap->to);
	if (!gap->flood_lost)
		return;
	strbuf_printf(out, ", %" PRIu64 " of ", gap->flood_lost);
	if (gap->flood_cgroup)
		str_name(out, gap->flood_cgroup);
	else
		strbuf_puts(out, "an unknown cgroup");
	if (gap->flood_comm) {
		strbuf_puts(out, " (");
		str_name(out, gap->flood_comm);
		strbuf_printf(out, ", pid %" PRIu32 ")", gap->flood_pid);
	}
}

static void put_summary(struct strbuf *out, const struct summary *s)
{
	uint64_t allocs = 0, fails = 0;

	if (!s)
		return;
	for (unsigned int i = 0; i < PL_KINDS; i++)
		allocs += s->allocs[i];
	for (unsigned int i = 0; i < PL_ERRNOS; i++)
		fails += s->fails[i];
	strbuf_printf(out, "allocs %" PRIu64 ", releases %" PRIu64 ", fails %" PRIu64 ", live %" PRIu64
		      ", time_wait %" PRIu64 ", lost %" PRIu64, allocs, s->releases, fails, s->live, s->time_wait, s->lost);
}

void stream_table_row(struct stream_table *t, struct strbuf *out, const struct event *ev)
{
	bool whole = ev->kind != EV_GAP && ev->kind != EV_SUMMARY;

	put_day(t, out, ev->ts);
	put_cells(t, out, ev, whole ? STREAM_TABLE_COLS : COL_EVENT + 1);
	if (ev->kind == EV_GAP)
		put_gap(t, out, ev->gap);
	else if (ev->kind == EV_SUMMARY)
		put_summary(out, ev->summary);
	trim_row(out);
}
