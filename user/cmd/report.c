/* SPDX-License-Identifier: GPL-2.0 */
/*
 * portlife report: what a span of history, or a span traced from now on,
 * amounts to.
 *
 * Options, wiring, progress and the exit code; the sums are made in
 * model/report.c and shown by out/report*.c.
 */
#include <errno.h>
#include <langinfo.h>
#include <locale.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include <portlife/config.h>
#include "base/clock.h"
#include "base/log.h"
#include "base/opt.h"
#include "base/str.h"
#include "base/timex.h"
#include "cmd/cmd.h"
#include "kern/host.h"
#include "kern/recorder.h"
#include "model/pressure.h"
#include "model/report.h"
#include "model/tally.h"
#include "out/report.h"
#include "store/history.h"

#define LOOK_EVERY 8192		/* rows between two looks at the clock and at Ctrl-C */
#define SHOW_NS 200000000LL	/* progress is shown this often */
#define DESTINATIONS 100

struct report_cmd {
	struct common_opts common;
	enum report_by by;
	uint32_t limit;
	int64_t since, until, live, idle, now;
	const char *html;
	bool ascii, scope_all, progress;
	enum tier tier;
	int stop_fd;
	struct report *report;
	struct pressure *pressure;
	struct report_view view;
	struct pressure_use worst[DESTINATIONS];
	uint64_t rows;
	int64_t shown;			/* boot clock */
	char host[256];
};

/* ---- both ways ---- */

static int report_start(struct report_cmd *c, int64_t since, int64_t until)
{
	struct report_opts opts = { .since = since, .until = until > since ? until : since + 1, .map = c->html, .idle = c->idle };
	int err;

	for (enum report_by by = 0; by < REPORT_BYS; by++)
		opts.by[by] = c->html || by == c->by || by == REPORT_PORT;
	/* Where it fails the names can be made to collide, which is slow and not wrong. */
	if (getrandom(&opts.seed, sizeof(opts.seed), GRND_NONBLOCK) < 0)
		opts.seed = (uint64_t)clock_boot_ns();
	err = report_new(&opts, &c->report);
	return err ? err : pressure_new(&(struct pressure_limits){ 0 }, &c->pressure);
}

/* The range of each namespace as it was last noted, for the use of the destinations. */
static int report_ranges(struct report_cmd *c)
{
	const struct report_spaces *s = &c->report->spaces;
	int err = 0;

	for (size_t i = 0; !err && i < s->n; i++)
		if (s->at[i].range_at && s->at[i].lo && s->at[i].hi <= UINT16_MAX)
			err = pressure_range(c->pressure, s->at[i].netns, (uint16_t)s->at[i].lo, (uint16_t)s->at[i].hi, NULL);
	return err == -ENOENT ? 0 : err;
}

static bool report_stopped(const struct report_cmd *c)
{
	struct pollfd p = { .fd = c->stop_fd, .events = POLLIN };

	return c->stop_fd >= 0 && poll(&p, 1, 0) > 0;
}

/* ---- history ---- */

static void show_progress(struct report_cmd *c)
{
	int64_t now = clock_boot_ns();

	if (!c->progress || now - c->shown < SHOW_NS)
		return;
	c->shown = now;
	fprintf(stderr, "\r%llu leases read (Ctrl-C: show what there is)", (unsigned long long)c->rows);
	fflush(stderr);
}

static void end_progress(const struct report_cmd *c)
{
	if (c->progress && c->shown)
		fputs("\r\033[K", stderr);
}

/* A positive return ends the iteration. */
static int report_look(struct report_cmd *c)
{
	if (++c->rows % LOOK_EVERY)
		return 0;
	show_progress(c);
	c->view.partial = report_stopped(c);
	return c->view.partial;
}

static int take_lease(void *arg, const struct event *ev)
{
	struct report_cmd *c = arg;
	int err = report_lease(c->report, ev);

	if (!c->host[0] && ev->host)
		snprintf(c->host, sizeof(c->host), "%s", ev->host);
	if (!err && ev->kind == EV_OPEN)
		err = pressure_event(c->pressure, ev);
	return err ? err : report_look(c);
}

static int take_fail(void *arg, const struct event *ev)
{
	struct report_cmd *c = arg;
	int err = report_fail(c->report, ev);

	return err ? err : report_look(c);
}

static int take_gap(void *arg, const struct gap *gap)
{
	report_gap(((struct report_cmd *)arg)->report, gap);
	return 0;
}

static int take_minute(void *arg, const struct event *ev)
{
	return report_minute(((struct report_cmd *)arg)->report, ev);
}

static void take_coverage(struct report_cmd *c, const struct history_coverage *cover)
{
	c->view.before = cover->before;
	c->view.evicted = cover->evicted;
	c->view.skipped = cover->skipped;
	c->view.lost = cover->lost;
}

/* Without a span: all that is there, and what is not there is no part of it. */
static void history_default_span(const struct report_cmd *c, const struct history_info *info, int64_t *since, int64_t *until)
{
	int64_t begin = info->evicted_before ? info->evicted_before : info->recorded_since;

	*since = c->since ? c->since : begin ? begin : 1;
	*until = c->until ? c->until : info->behind || !info->recorded_until ? c->now : info->recorded_until;
	if (*until >= *since)
		return;
	if (c->until)
		*since = *until;	/* asked for: it lies before all that is there */
	else
		*until = *since;
}

/* Fails, gaps and minutes are few: what stops is the reading of leases, which comes last. */
static int history_read(struct report_cmd *c, struct history *h)
{
	struct history_query q = { .port_hi = UINT16_MAX, .unordered = true };
	struct history_coverage cover = { 0 };
	struct history_info info;
	int err;

	history_info(h, &info);
	c->view.recorded_since = info.recorded_since;
	history_default_span(c, &info, &q.since, &q.until);
	err = report_start(c, q.since, q.until);
	if (!err)
		err = history_gaps(h, q.since, q.until, take_gap, c);
	if (!err)
		err = history_minutes(h, q.since, q.until, take_minute, c);
	if (!err)
		err = history_fails(h, &q, take_fail, c, &cover);
	take_coverage(c, &cover);
	if (!err)
		err = history_leases(h, &q, take_lease, c, &cover);
	if (!err)
		take_coverage(c, &cover);
	end_progress(c);
	return err > 0 ? 0 : err;	/* stopped: what there is, is shown */
}

static int report_history(struct report_cmd *c)
{
	struct history *h = NULL;
	struct history_info info;
	int err = cmd_history_open(c->common.state_dir, &h);

	if (err)
		return err == -ENODATA ? cmd_history_none(c->common.state_dir) : err;
	c->progress = isatty(STDERR_FILENO);
	history_info(h, &info);
	err = cmd_check_time("--since", c->since, c->now, info.youngest);
	/* To the end of a span that was asked for; else to the end of what there is. */
	if (!err && info.live && !info.behind && c->until > info.recorded_until)
		err = history_wait(h, c->until);
	if (!err)
		err = history_read(c, h);
	history_close(h);
	return err;
}

/* ---- live ---- */

static int live_event(void *ctx, struct event *ev)
{
	struct report_cmd *c = ctx;
	int err = 0;

	if (ev->kind == EV_GAP)
		report_gap(c->report, ev->gap);
	else if (ev->kind == EV_FAIL)
		err = report_fail(c->report, ev);
	else if (ev->kind == EV_RELEASE)
		err = report_lease(c->report, ev);
	return err ? err : pressure_event(c->pressure, ev);
}

static int live_open(void *ctx, struct event *ev)
{
	return report_lease(((struct report_cmd *)ctx)->report, ev);
}

static void live_range(void *ctx, struct summary_netns *n)
{
	struct host_ports ports;

	if (host_netns_ports(n->netns, &ports))
		return;		/* gone, or not allowed to look: its range is not known */
	n->range_lo = ports.lo;
	n->range_hi = ports.hi;
	for (uint32_t port = ports.lo; port <= ports.hi; port++)
		n->reserved += ports_has(&ports.reserved, (uint16_t)port);
}

/* What the recorder would note each minute, noted once, when the span ends. */
static int live_minute(struct report_cmd *c, struct recorder *r)
{
	const struct tally_opts opts = { .own = host_netns(), .range = live_range };
	struct summary sum = { 0 };
	struct event ev = { .kind = EV_SUMMARY, .ts = c->report->opts.until, .summary = &sum };
	struct tally held;
	int err = tally_look(&opts, tracker_leases(recorder_tracker(r)), &held);

	if (err)
		return err;
	sum.netns = held.netns;
	sum.n_netns = (unsigned int)held.n_netns;
	err = report_minute(c->report, &ev);
	tally_free(&held);
	return err;
}

static int live_loop(struct report_cmd *c, struct recorder *r, int64_t deadline)
{
	int err = 0;

	while (!err) {
		int stop = recorder_wait(r, c->stop_fd, deadline);

		err = recorder_drain(r);
		if (!err)
			err = pressure_tick(c->pressure, clock_boot_ns(), NULL, NULL);
		c->view.partial = stop;
		if (stop || clock_boot_ns() >= deadline)
			break;
	}
	return err;
}

/* What is held when the span ends is told last; the span is what was traced. */
static int live_end(struct report_cmd *c, struct recorder *r)
{
	struct recorder_totals n;
	int err = recorder_finish(r);

	if (!err)
		err = live_minute(c, r);
	if (!err)
		err = recorder_each_open(r, live_open, c);
	if (!err)
		err = recorder_totals(r, &n);
	if (!err)
		c->view.lost = (int64_t)n.lost;
	return err;
}

static int report_live(struct report_cmd *c)
{
	struct source_opts opts = { .tier = c->tier, .scope_all = c->scope_all, .ring_size = PL_RING_DEFAULT };
	int64_t since = clock_unix_ns(), deadline;
	struct recorder *r = NULL;
	int err = report_start(c, since, since + c->live);

	if (err)
		return err;
	err = recorder_open(&opts, live_event, c, &r);
	if (err)
		return cmd_open_exit(err);
	deadline = clock_boot_ns() + c->live;
	err = recorder_snapshot(r);
	if (!err)
		err = live_loop(c, r, deadline);
	if (!err)
		err = live_end(c, r);
	err = cmd_recorder_exit(r, err);
	recorder_close(r);
	return err;
}

/* ---- the answer ---- */

static void view_finish(struct report_cmd *c)
{
	c->view.r = c->report;
	c->view.by = c->by;
	c->view.limit = c->limit;
	c->view.utc = c->common.utc;
	c->view.width = opt_width(stdout);
	c->view.ascii = c->ascii || strcmp(nl_langinfo(CODESET), "UTF-8");
	c->view.live = c->live;
	c->view.host = c->host[0] ? c->host : NULL;
	c->view.version = PORTLIFE_VERSION;
	c->view.made = clock_unix_ns();
	c->view.n_pressure = pressure_worst(c->pressure, 0, c->worst, DESTINATIONS);
	c->view.pressure = c->worst;
}

/* The page, and for who waits at a terminal a word about it. */
static int write_page(const struct report_cmd *c, struct strbuf *out)
{
	int err;

	report_html(out, &c->view);
	err = strbuf_err(out);
	if (err)
		return err;
	if (report_html_write(c->html, out))
		return EXIT_STORE;	/* said */
	log_info("%zu KiB written to '%s'", out->len / 1024, c->html);
	return 0;
}

static int print_answer(const struct report_cmd *c, struct strbuf *out)
{
	int err;

	if (c->common.output == OUT_JSON)
		report_json(out, &c->view);
	else if (c->common.output == OUT_CSV)
		report_csv(out, &c->view, c->common.header);
	else if (c->common.output == OUT_JSONL)
		report_jsonl(out, &c->view);
	else
		report_text(out, &c->view);
	err = strbuf_err(out);
	errno = 0;
	if (!err && (fwrite(strbuf_str(out), 1, out->len, stdout) != out->len || fflush(stdout)))
		err = errno ? -errno : -EIO;
	return err;
}

static int report_answer(struct report_cmd *c)
{
	struct strbuf out = STRBUF_INIT;
	int err = report_ranges(c);

	if (!err && c->live)
		err = pressure_tick(c->pressure, clock_boot_ns(), NULL, NULL);
	if (!err)
		err = report_finish(c->report);
	if (!err) {
		view_finish(c);
		err = c->html ? write_page(c, &out) : print_answer(c, &out);
	}
	strbuf_free(&out);
	if (err)
		return err;
	return report_is_incomplete(&c->view) ? EXIT_INCOMPLETE : report_is_empty(c->report) ? EXIT_NOTHING : EXIT_OK;
}

/* -EINVAL, said. */
static int report_check(const struct report_cmd *c)
{
	if (c->live && (c->since || c->until)) {
		log_err("--live traces from now on; --since and --until ask the history");
		return -EINVAL;
	}
	if (c->html && !c->html[0]) {
		log_err("--html needs the name of a file");
		return -EINVAL;
	}
	if (c->since && c->until && c->since > c->until) {
		log_err("--since lies after --until");
		return -EINVAL;
	}
	return 0;
}

int cmd_report(int argc, char **argv)
{
	static const struct opt_word by_words[] = {
		{ "process", REPORT_PROCESS }, { "exe", REPORT_EXE }, { "unit", REPORT_UNIT }, { "container", REPORT_CONTAINER },
		{ "port", REPORT_PORT }, { "dest", REPORT_DEST }, { NULL, 0 },
	};
	static struct report_cmd c;
	int scope = false, err;
	const struct opt opts[] = {
		OPT_TIME("since", &c.since, "from this time on [the beginning of the history]"),
		OPT_TIME("until", &c.until, "up to this time [now]"),
		OPT_SPAN_SOME("live", &c.live, "trace for this span from now on and report that; needs no history"),
		OPT_WORD("by", &c.by, by_words, "whose lifetimes to show side by side [exe]"),
		OPT_U32("limit", "N", &c.limit, 1, 100000, "most rows of a table [10]"),
		OPT_SPAN("idle", &c.idle, "a bound socket that nobody uses is suspect from this age on [1h]"),
		OPT_STR("html", "FILE", &c.html, "write one self-contained page with plots to this file instead"),
		OPT_FLAG("ascii", &c.ascii, "draw with ASCII characters [where the locale is not UTF-8]"),
		OPT_WORD("tier", &c.tier, cmd_words_tier, "hooks to use with --live [auto]"),
		OPT_WORD("scope", &scope, cmd_words_scope, "with --live, all: also accepted connections outside the ephemeral range [default]"),
		OPT_COMMON(&c.common),
		OPT_END
	};
	const struct opt_cmd cmd = {
		.name = "report", .about = "lifetimes, reuse, use of the range and suspects over a span", .opts = opts,
		.more = "csv and jsonl give the rows of --by; json gives everything.\n",
	};

	c = (struct report_cmd){ .common = COMMON_OPTS_INIT, .by = REPORT_EXE, .limit = 10, .idle = 3600 * TIMEX_NS_PER_SEC,
				 .stop_fd = -1 };
	setlocale(LC_CTYPE, "");
	err = opt_parse(&cmd, &argc, argv);
	if (err)
		return cmd_opt_exit(err);
	c.now = clock_unix_ns();
	c.scope_all = scope;
	if (report_check(&c))
		return EXIT_USAGE;
	c.stop_fd = cmd_signals();
	err = c.live ? report_live(&c) : report_history(&c);
	if (!err)
		err = report_answer(&c);
	if (c.stop_fd >= 0)
		close(c.stop_fd);
	report_free(c.report);
	pressure_free(c.pressure);
	return cmd_exit(err);
}
