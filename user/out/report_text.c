// SPDX-License-Identifier: GPL-2.0
/*
 * A report for people, within 80 columns or those of the terminal.  Names of
 * other people are escaped and cut; bars and sparklines fall back to ASCII.
 */
#include "out/report.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/str.h"
#include "base/timex.h"
#include "out/report_draw.h"

#define WIDTH 80		/* of all but the names, which take what a terminal has beyond it */
#define NAME_WIDTH 30
#define NAME_MAX_WIDTH 120
#define SPARK 60

static size_t name_width(const struct report_view *v)
{
	size_t more = v->width > WIDTH ? v->width - WIDTH : 0;

	return NAME_WIDTH + more < NAME_MAX_WIDTH ? NAME_WIDTH + more : NAME_MAX_WIDTH;
}

/* ---- what it is worth ---- */

static void say_gaps(struct strbuf *out, const struct report *r)
{
	unsigned int n[GAP_CAUSES] = { 0 };
	char span[TIMEX_BUF];
	const char *sep = "";

	for (size_t i = 0; i < r->n_gaps && i < REPORT_KEEP; i++)
		n[r->gaps[i].cause]++;
	strbuf_printf(out, "  %" PRIu64 " gap%s, %s in all (", r->n_gaps, r->n_gaps == 1 ? "" : "s", timex_span(r->gap_ns, span));
	for (enum gap_cause c = 0; c < GAP_CAUSES; c++) {
		if (!n[c])
			continue;
		strbuf_printf(out, "%s%s %u", sep, event_gap_name(c), n[c]);
		sep = ", ";
	}
	strbuf_puts(out, r->n_gaps > REPORT_KEEP ? ", ...)\n" : ")\n");
}

static void say_worth(struct strbuf *out, const struct report_view *v)
{
	char stamp[TIMEX_BUF];

	if (!report_is_incomplete(v))
		return;
	strbuf_puts(out, v->partial ? "PARTIAL: stopped before all was read; these are the sums until then\n" :
				      "INCOMPLETE: the numbers are of what was seen\n");
	if (v->r->n_gaps)
		say_gaps(out, v->r);
	if (v->lost > 0)
		strbuf_printf(out, "  %" PRId64 " events lost\n", v->lost);
	else if (v->lost < 0)
		strbuf_puts(out, "  events lost; how many is not known\n");
	if (v->evicted)
		strbuf_puts(out, "  the span begins in history that retention removed\n");
	if (v->before && v->recorded_since)
		strbuf_printf(out, "  recording began at %s\n", timex_stamp(v->recorded_since, v->utc, stamp));
	if (v->skipped)
		strbuf_puts(out, "  history files that could not be read are left out\n");
}

static void say_head(struct strbuf *out, const struct report_view *v)
{
	char from[TIMEX_BUF], to[TIMEX_BUF], span[TIMEX_BUF], zone[TIMEX_BUF];
	const struct report_opts *o = &v->r->opts;

	strbuf_printf(out, "%s %s - %s%s (%s)\n", v->live ? "traced" : "history", timex_stamp(o->since, v->utc, from),
		      timex_stamp(o->until, v->utc, to), timex_offset(o->until, v->utc, zone), timex_span(o->until - o->since, span));
	say_worth(out, v);
}

/* ---- sums ---- */

/* "  kind       connect 12, bind 3", folded at 80 columns. */
struct list {
	struct strbuf *out;
	size_t col;
	bool any;
};

static void list_begin(struct list *l, struct strbuf *out, const char *title)
{
	*l = (struct list){ .out = out, .col = 14 };
	strbuf_printf(out, "  %-12s", title);
}

static void list_item(struct list *l, const char *name, uint64_t count)
{
	char text[64];
	size_t len = (size_t)snprintf(text, sizeof(text), "%s %" PRIu64, name, count);

	if (!count)
		return;
	if (l->any)
		strbuf_putc(l->out, ',');
	if (l->any && l->col + len + 3 > 80) {
		strbuf_printf(l->out, "\n%14s", "");
		l->col = 14;
	} else if (l->any) {
		strbuf_putc(l->out, ' ');
	}
	strbuf_puts(l->out, text);
	l->col += len + 2;
	l->any = true;
}

static void list_end(struct list *l)
{
	strbuf_puts(l->out, l->any ? "\n" : "none\n");
}

static void say_fails(struct strbuf *out, const struct report *r)
{
	struct list l;
	char name[48];

	list_begin(&l, out, "refused");
	for (size_t i = 0; i < r->n_fails_by; i++) {
		snprintf(name, sizeof(name), "%s/%s", event_errno_name(r->fails_by[i].err), event_proto_name(r->fails_by[i].proto));
		list_item(&l, name, r->fails_by[i].count);
	}
	list_end(&l);
}

static void say_leases(struct strbuf *out, const struct report *r)
{
	static const char *const protos[] = { "tcp", "udp", "udplite" };
	struct list l;

	strbuf_printf(out, "\n%" PRIu64 " leases: %" PRIu64 " ended, %" PRIu64 " still held\n", r->leases, r->ended, r->open);
	list_begin(&l, out, "kind");
	for (unsigned int i = 1; i <= PL_KINDS; i++)	/* unknown is the last word */
		list_item(&l, event_kind_name(i % PL_KINDS), r->kinds[i % PL_KINDS]);
	list_end(&l);
	list_begin(&l, out, "protocol");
	for (size_t i = 0; i < PL_PROTOS; i++)
		list_item(&l, protos[i], r->protos[i]);
	list_end(&l);
	list_begin(&l, out, "family");
	list_item(&l, "ipv4", r->families[0]);
	list_item(&l, "ipv6", r->families[1]);
	list_end(&l);
	say_fails(out, r);
}

static void say_times_row(struct strbuf *out, const char *name, const struct hist *h)
{
	const int64_t values[] = { hist_quantile(h, 0.5), hist_quantile(h, 0.9), hist_quantile(h, 0.99), h->max, hist_mean(h) };
	char buf[DRAW_SPAN];

	strbuf_printf(out, "  %-22s%10" PRIu64, name, h->count);
	for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++)
		strbuf_printf(out, " %8s", h->count ? draw_span(values[i], buf) : "-");
	strbuf_putc(out, '\n');
}

static void say_times(struct strbuf *out, const struct report *r)
{
	strbuf_printf(out, "\n%-24s%10s %8s %8s %8s %8s %8s\n", "TIMES", "COUNT", "P50", "P90", "P99", "MAX", "MEAN");
	say_times_row(out, "active", &r->active.hist);
	say_times_row(out, "TIME_WAIT", &r->time_wait.hist);
	say_times_row(out, "held: both together", &r->held.hist);
	say_times_row(out, "free until used again", &r->reuse.hist);
	if (r->unmeasured)
		strbuf_printf(out, "  of %" PRIu64 " ended leases a start or an end was not seen: they are not measured\n", r->unmeasured);
}

/* The classes in use: those from `*lo` on, below `*hi`; the few lives below `*lo` go with its first. */
static uint64_t used_steps(const struct report_times *t, size_t *lo, size_t *hi)
{
	uint64_t below = 0;

	*lo = 0;
	*hi = REPORT_STEPS;
	while (*lo < *hi && (below + t->steps[*lo]) * 1000 < t->hist.count)
		below += t->steps[(*lo)++];
	while (*hi > *lo && !t->steps[*hi - 1])
		--*hi;
	return below;
}

static void say_steps(struct strbuf *out, const struct report_view *v, const char *title, const struct report_times *t)
{
	uint64_t below, most = 0;
	char buf[DRAW_SPAN];
	size_t lo, hi;

	if (!t->hist.count)
		return;
	below = used_steps(t, &lo, &hi);
	for (size_t i = lo; i < hi; i++)
		most = t->steps[i] + (i == lo ? below : 0) > most ? t->steps[i] + (i == lo ? below : 0) : most;
	strbuf_printf(out, "\n%s\n", title);
	for (size_t i = lo; i < hi; i++) {
		uint64_t n = t->steps[i] + (i == lo ? below : 0);
		bool above = i == REPORT_STEPS - 1;

		strbuf_printf(out, "  %s %7s  ", above ? " >" : "<=", draw_span(report_steps[above ? i - 1 : i], buf));
		draw_bar(out, n, most, 44, v->ascii);
		strbuf_printf(out, " %10" PRIu64 " %5.1f %%\n", n, 100.0 * (double)n / (double)t->hist.count);
	}
}

/* ---- groups ---- */

/* "curl (4711)", "/usr/bin/curl", "no unit" */
static void say_name(struct strbuf *out, const struct report_view *v, enum report_by by, const struct report_group *g)
{
	static const char *const none[] = {
		[REPORT_PROCESS] = "unknown", [REPORT_EXE] = "unknown", [REPORT_UNIT] = "no unit", [REPORT_CONTAINER] = "no container",
		[REPORT_DEST] = "no destination", [REPORT_PORT] = "",
	};
	char after[32] = "";

	if (!g->label) {
		draw_cell(out, none[by], name_width(v), v->ascii);
		return;
	}
	if (by == REPORT_PROCESS)
		snprintf(after, sizeof(after), " (%" PRIu32 ")", g->tgid);
	else if (by == REPORT_PORT || by == REPORT_DEST)
		snprintf(after, sizeof(after), "/%s", event_proto_name(g->proto));
	draw_name(out, g->label, after, name_width(v), v->ascii);
}

static void say_row(struct strbuf *out, const struct report_view *v, enum report_by by, const struct report_group *g)
{
	const struct report_sparse *a = &g->active, *tw = &g->time_wait;
	char buf[DRAW_SPAN];

	strbuf_puts(out, "  ");
	say_name(out, v, by, g);
	strbuf_printf(out, " %8" PRIu64 " %6" PRIu64, g->leases, g->open);
	strbuf_printf(out, " %7s", a->count ? draw_span(report_sparse_quantile(a, 0.5), buf) : "-");
	strbuf_printf(out, " %7s", a->count ? draw_span(report_sparse_quantile(a, 0.99), buf) : "-");
	strbuf_printf(out, " %7s", a->count ? draw_span(a->max, buf) : "-");
	strbuf_printf(out, " %6s\n", tw->count ? draw_span(report_sparse_quantile(tw, 0.5), buf) : "-");
}

static void say_groups(struct strbuf *out, const struct report_view *v, enum report_by by)
{
	static const char *const titles[] = {
		[REPORT_PROCESS] = "BY PROCESS", [REPORT_EXE] = "BY EXECUTABLE", [REPORT_UNIT] = "BY UNIT",
		[REPORT_CONTAINER] = "BY CONTAINER", [REPORT_PORT] = "BUSIEST PORTS", [REPORT_DEST] = "BY DESTINATION",
	};
	const struct report_groups *set = &v->r->by[by];
	size_t n = set->n < v->limit ? set->n : v->limit;

	if (!n)
		return;
	strbuf_printf(out, "\n%-*s %8s %6s %7s %7s %7s %6s\n", (int)name_width(v) + 2, titles[by], "LEASES", "NOW", "P50", "P99", "MAX", "WAIT");
	for (size_t i = 0; i < n; i++)
		say_row(out, v, by, set->sorted[i]);
	if (set->n > n || set->dropped)
		strbuf_printf(out, "  and %" PRIu64 " others (--limit)\n", (uint64_t)(set->n - n) + set->dropped);
	if (set->missed)
		strbuf_printf(out, "  estimates: too many to keep apart; each count may be %" PRIu64 " too low\n", set->missed);
}

/* ---- use of the range ---- */

static double share(uint32_t n, uint32_t of)
{
	return of ? 100.0 * n / of : 0;
}

static void say_growth(struct strbuf *out, const struct report_use *u)
{
	char span[DRAW_SPAN];

	strbuf_printf(out, "       at the end %u", u->now[0] + u->now[1]);
	if (u->known && isfinite(u->eta_s))
		strbuf_printf(out, ", growing by %.3g an hour: exhausted in %s", u->per_s * 3600,
			      draw_span((int64_t)(u->eta_s * 1e9), span));
	strbuf_putc(out, '\n');
}

static void say_lane(struct strbuf *out, const struct report_view *v, const struct report_space *sp, size_t k)
{
	static const char *const names[] = { "tcp", "udp" };
	const struct report_lane *lane = sp->lanes[k];
	uint64_t values[REPORT_INSTANTS];
	char stamp[TIMEX_BUF];
	struct report_use u;

	if (!lane)
		return;
	report_use_of(v->r, sp, lane, &u);
	for (size_t i = 0; i < REPORT_INSTANTS; i++)
		values[i] = u.known ? lane->in_range[i][0] + lane->in_range[i][1] : lane->held[i][0] + lane->held[i][1];
	strbuf_printf(out, "  %s  ", names[k]);
	draw_spark(out, values, REPORT_INSTANTS, SPARK, v->ascii);
	strbuf_printf(out, "\n       most %u at %s", u.peak[0] + u.peak[1],
		      timex_stamp(report_grid_instant(&v->r->grid, u.peak_i), v->utc, stamp));
	if (u.known)
		strbuf_printf(out, "\n       %.1f %% of the range: even %.1f %%, odd %.1f %% (%u, %u)",
			      share(u.peak[0] + u.peak[1], u.capacity[0] + u.capacity[1]), share(u.peak[0], u.capacity[0]),
			      share(u.peak[1], u.capacity[1]), u.peak[0], u.peak[1]);
	strbuf_putc(out, '\n');
	if (u.known && k == REPORT_TCP && 2 * (u.peak[0] + u.peak[1]) >= u.capacity[0] + u.capacity[1])
		strbuf_puts(out, "       WARNING: over half full, where TCP's search for a free port gets slow\n");
	say_growth(out, &u);
}

static void say_space(struct strbuf *out, const struct report_view *v, const struct report_space *sp)
{
	char stamp[TIMEX_BUF];

	strbuf_printf(out, "\nPORTS IN USE, netns %u", sp->netns);
	if (sp->range_at)
		strbuf_printf(out, ", range %u-%u, %u reserved%s", sp->lo, sp->hi, sp->reserved,
			      sp->range_changed ? " (changed)" : "");
	strbuf_putc(out, '\n');
	say_lane(out, v, sp, REPORT_TCP);
	say_lane(out, v, sp, REPORT_UDP);
	if (sp->peak.at)
		strbuf_printf(out, "  fullest minute: %u of the range (even %u, odd %u) at %s\n",
			      sp->peak.used_even + sp->peak.used_odd, sp->peak.used_even, sp->peak.used_odd,
			      timex_stamp(sp->peak.at, v->utc, stamp));
}

static void say_range(struct strbuf *out, const struct report_view *v)
{
	const struct report *r = v->r;
	char width[TIMEX_BUF];

	for (size_t i = 0; i < r->spaces.n; i++)
		if (r->spaces.at[i].leases)
			say_space(out, v, &r->spaces.at[i]);
	if (r->spaces.omitted)
		strbuf_printf(out, "  %" PRIu64 " leases are in further namespaces\n", r->spaces.omitted);
	if (r->spaces.n)
		strbuf_printf(out, "  looked at every %s; a peak between is seen in the minutes only\n", timex_span(r->grid.width, width));
}

static void say_pressure(struct strbuf *out, const struct report_view *v)
{
	char addr[64], text[160];
	bool any = false;

	for (size_t i = 0; i < v->n_pressure && i < v->limit; i++) {
		const struct pressure_use *u = &v->pressure[i];

		if (!u->known || u->used[0] + u->used[1] < 2)
			continue;
		if (!any)
			strbuf_printf(out, "\n%-45s %8s %8s %7s\n", "FULLEST DESTINATIONS, AT THE END", "IN USE", "OF", "FULL");
		any = true;
		event_addr(u->family, u->raddr, addr);
		snprintf(text, sizeof(text), strchr(addr, ':') ? "[%s]:%u/%s" : "%s:%u/%s", addr, u->rport, event_proto_name(u->proto));
		strbuf_puts(out, "  ");
		draw_cell(out, text, 43, v->ascii);
		strbuf_printf(out, " %8u %8u %5.1f %%%s\n", u->used[0] + u->used[1] + u->blocked, u->capacity[0] + u->capacity[1],
			      100 * u->ratio, u->level ? " !" : "");
	}
}

/* ---- single leases ---- */

static void say_top(struct strbuf *out, const struct report_view *v, const char *title, const struct report_top *t)
{
	char span[DRAW_SPAN], since[TIMEX_BUF], text[64];

	if (!t->n)
		return;
	strbuf_printf(out, "\n%-14s %8s  %-23s %7s %-8s%s\n", title, "HELD", "SINCE", "PID", "KIND", "COMM");
	for (size_t i = 0; i < t->n && i < v->limit; i++) {
		const struct event *ev = &t->at[i];

		snprintf(text, sizeof(text), "%u/%s", ev->lease.lport, event_proto_name(ev->lease.proto));
		strbuf_printf(out, "  %-12s %8s%c %-23s ", text, draw_span(t->rank[i], span), ev->kind == EV_OPEN ? '+' : ' ',
			      ev->lease.flags & PL_F_SNAPSHOT ? "before recording" : timex_stamp(ev->start, v->utc, since));
		if (ev->lease.tgid)
			snprintf(text, sizeof(text), "%u", ev->lease.tgid);
		strbuf_printf(out, "%7s %-7s ", ev->lease.tgid ? text : "-", event_kind_name(ev->lease.kind));
		draw_last(out, ev->lease.tgid ? ev->lease.comm : "-", name_width(v) - 15, v->ascii);
		strbuf_putc(out, '\n');
	}
	if (t->seen > v->limit && t == &v->r->idle)
		strbuf_printf(out, "  and %" PRIu64 " others (--limit)\n", t->seen - v->limit);
}

static void say_rising(struct strbuf *out, const struct report_view *v)
{
	const struct report_groups *set = &v->r->by[REPORT_PROCESS];
	size_t told = 0;

	for (size_t i = 0; i < set->n && told < v->limit; i++) {
		const struct report_group *g = set->sorted[i];

		if (!report_is_rising(g))
			continue;
		if (!told++)
			strbuf_puts(out, "\nHOLDS MORE AND MORE PORTS\n");
		strbuf_puts(out, "  ");
		say_name(out, v, REPORT_PROCESS, g);
		for (size_t k = 0; k < REPORT_TREND; k++)
			strbuf_printf(out, " %u", g->trend[k]);
		strbuf_putc(out, '\n');
	}
}

static void say_refused(struct strbuf *out, const struct report_view *v)
{
	const struct report_groups *set = &v->r->by[REPORT_REFUSED];
	char stamp[TIMEX_BUF], port[32];

	if (!set->n)
		return;
	strbuf_printf(out, "\n%-16s %-12s %8s  %-23s %s\n", "REFUSED", "PORT", "COUNT", "LAST", "COMM");
	for (size_t i = 0; i < set->n && i < v->limit; i++) {
		const struct report_group *g = set->sorted[i];

		if (g->port)
			snprintf(port, sizeof(port), "%u/%s", g->port, event_proto_name(g->proto));
		else
			snprintf(port, sizeof(port), "any/%s", event_proto_name(g->proto));
		strbuf_printf(out, "  %-14s %-12s %8" PRIu64 "  %-23s ", event_errno_name(g->err), port, g->fails,
			      timex_stamp(g->last, v->utc, stamp));
		draw_last(out, g->label ? g->label : "-", name_width(v) - 14, v->ascii);
		strbuf_putc(out, '\n');
	}
}

void report_text(struct strbuf *out, const struct report_view *v)
{
	const struct report *r = v->r;

	say_head(out, v);
	if (report_is_empty(r)) {
		strbuf_puts(out, "nothing was recorded in this span\n");
		return;
	}
	say_leases(out, r);
	say_times(out, r);
	say_steps(out, v, "ACTIVE TIME", &r->active);
	say_steps(out, v, "FREE UNTIL USED AGAIN", &r->reuse);
	say_range(out, v);
	say_pressure(out, v);
	say_groups(out, v, v->by);
	if (v->by != REPORT_PORT)
		say_groups(out, v, REPORT_PORT);
	say_top(out, v, "LONGEST HELD", &r->longest);
	say_top(out, v, "BOUND, IDLE", &r->idle);
	say_rising(out, v);
	say_refused(out, v);
}
