// SPDX-License-Identifier: GPL-2.0
/* The sums of a span; see report.h. */
#include "model/report.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include "model/event_list.h"

#define US 1000LL
#define MS 1000000LL
#define S 1000000000LL
#define MINUTE (60 * S)
#define HOUR (3600 * S)
#define DAY (24 * HOUR)

/* As people say times, so that a class reads as they think of it; 60 s is TIME_WAIT. */
const int64_t report_steps[REPORT_STEPS - 1] = {
	1 * US, 2 * US, 5 * US, 10 * US, 20 * US, 50 * US, 100 * US, 200 * US, 500 * US,
	1 * MS, 2 * MS, 5 * MS, 10 * MS, 20 * MS, 50 * MS, 100 * MS, 200 * MS, 500 * MS,
	1 * S, 2 * S, 5 * S, 10 * S, 20 * S, 30 * S, MINUTE, 2 * MINUTE, 5 * MINUTE, 10 * MINUTE, 30 * MINUTE,
	HOUR, 3 * HOUR, 6 * HOUR, 12 * HOUR, DAY, 7 * DAY, 30 * DAY,
};

static const char *const by_names[] = {
	[REPORT_PROCESS] = "process", [REPORT_EXE] = "exe", [REPORT_UNIT] = "unit", [REPORT_CONTAINER] = "container",
	[REPORT_PORT] = "port", [REPORT_DEST] = "dest", [REPORT_REFUSED] = "refused",
};

const char *report_by_name(enum report_by by)
{
	return by_names[by];
}

size_t report_step(int64_t ns)
{
	size_t lo = 0, hi = REPORT_STEPS - 1;

	while (lo < hi) {
		size_t mid = (lo + hi) / 2;

		if (report_steps[mid] < ns)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

static void times_add(struct report_times *t, int64_t ns)
{
	hist_add(&t->hist, ns);
	t->steps[report_step(ns)]++;
}

static void reuse_add(void *ctx, int64_t ns)
{
	times_add(&((struct report *)ctx)->reuse, ns);
}

/* ---- the highest ranked ---- */

static int top_init(struct report_top *t, size_t keep)
{
	t->at = calloc(keep, sizeof(*t->at));
	t->rank = calloc(keep, sizeof(*t->rank));
	t->keep = keep;
	return t->at && t->rank ? 0 : -ENOMEM;
}

static void top_free(struct report_top *t)
{
	for (size_t i = 0; i < t->n; i++)
		event_strings_free(&t->at[i]);
	free(t->at);
	free(t->rank);
}

static size_t top_lowest(const struct report_top *t)
{
	size_t low = 0;

	for (size_t i = 1; i < t->n; i++)
		if (t->rank[i] < t->rank[low])
			low = i;
	return low;
}

/* The lowest rank stands first once it is full, so that most are refused at once. */
static int top_add(struct report_top *t, const struct event *ev, int64_t rank)
{
	struct event copy;
	size_t i = t->n;

	t->seen++;
	if (t->n == t->keep && rank <= t->rank[0])
		return 0;
	if (event_copy(ev, &copy))
		return -ENOMEM;
	if (t->n == t->keep)
		event_strings_free(&t->at[i = 0]);
	else
		t->n++;
	t->at[i] = copy;
	t->rank[i] = rank;
	i = t->n == t->keep ? top_lowest(t) : 0;
	if (i) {
		struct event ev0 = t->at[0];
		int64_t rank0 = t->rank[0];

		t->at[0] = t->at[i];
		t->rank[0] = t->rank[i];
		t->at[i] = ev0;
		t->rank[i] = rank0;
	}
	return 0;
}

static int before(const struct report_top *t, size_t a, size_t b)
{
	if (t->rank[a] != t->rank[b])
		return t->rank[a] > t->rank[b];
	return t->at[a].lease.lport < t->at[b].lease.lport;
}

/* Few: the simplest sort. */
static void top_sort(struct report_top *t)
{
	for (size_t i = 1; i < t->n; i++)
		for (size_t k = i; k && before(t, k, k - 1); k--) {
			struct event ev = t->at[k];
			int64_t rank = t->rank[k];

			t->at[k] = t->at[k - 1];
			t->rank[k] = t->rank[k - 1];
			t->at[k - 1] = ev;
			t->rank[k - 1] = rank;
		}
}

/* ---- leases ---- */

int report_new(const struct report_opts *opts, struct report **ret)
{
	struct report *r = calloc(1, sizeof(*r));
	int err;

	if (!r)
		return -ENOMEM;
	r->opts = *opts;
	r->grid = (struct report_grid){ opts->since, opts->until, (opts->until - opts->since) / REPORT_INSTANTS };
	if (r->grid.width < 1)
		r->grid.width = 1;
	for (enum report_by by = 0; by < REPORT_BYS; by++)
		report_groups_init(&r->by[by], by, opts->by[by] || by == REPORT_PROCESS || by == REPORT_REFUSED, opts->seed);
	err = report_spaces_init(&r->spaces);
	if (!err)
		err = top_init(&r->longest, REPORT_KEEP);
	if (!err)
		err = top_init(&r->idle, REPORT_KEEP);
	if (err) {
		report_free(r);
		return err;
	}
	*ret = r;
	return 0;
}

void report_free(struct report *r)
{
	if (!r)
		return;
	for (size_t i = 0; i < REPORT_BYS; i++)
		report_groups_free(&r->by[i]);
	report_spaces_free(&r->spaces);
	top_free(&r->longest);
	top_free(&r->idle);
	free(r);
}

static bool is_measured(const struct event *ev)
{
	return ev->kind == EV_RELEASE && !(ev->lease.flags & PL_F_SNAPSHOT) && ev->reason != PL_REASON_LOST;
}

/* ns to the end or to TIME_WAIT, and of the latter; negative clocks of a damaged file become 0. */
static void measure(const struct event *ev, int64_t *active, int64_t *time_wait)
{
	int64_t closed = ev->closed ? ev->closed : ev->end;

	*active = closed > ev->start ? closed - ev->start : 0;
	*time_wait = ev->closed ? (ev->end > ev->closed ? ev->end - ev->closed : 0) : -1;
}

static void count_lease(struct report *r, const struct event *ev)
{
	const struct pl_lease *l = &ev->lease;
	int64_t active, time_wait;

	r->leases++;
	r->kinds[l->kind < PL_KINDS ? l->kind : PL_KIND_UNKNOWN]++;
	r->protos[l->proto == IPPROTO_TCP ? PL_IX_TCP : l->proto == IPPROTO_UDP ? PL_IX_UDP : PL_IX_UDPLITE]++;
	r->families[l->family == AF_INET6]++;
	r->held_before += !!(l->flags & PL_F_SNAPSHOT);
	if (ev->kind == EV_RELEASE)
		r->ended++;
	else
		r->open++;
	if (ev->kind == EV_RELEASE && !is_measured(ev))
		r->unmeasured++;
	if (ev->start >= r->opts.since && !(l->flags & PL_F_SNAPSHOT))
		r->starts[report_grid_bin(&r->grid, ev->start)]++;
	if (!is_measured(ev))
		return;
	measure(ev, &active, &time_wait);
	times_add(&r->active, active);
	if (time_wait >= 0)
		times_add(&r->time_wait, time_wait);
	times_add(&r->held, ev->end > ev->start ? ev->end - ev->start : 0);
}

/* The ports of a group at REPORT_TREND instants, the last one the end of the span. */
static void group_trend(struct report_group *g, const struct report *r, int64_t start, int64_t end)
{
	int64_t step = (r->opts.until - r->opts.since) / REPORT_TREND;

	for (size_t i = 0; i < REPORT_TREND; i++) {
		int64_t at = i + 1 < REPORT_TREND ? r->opts.since + step * (int64_t)(i + 1) : r->opts.until;

		g->trend[i] += start <= at && end > at;
	}
}

static int group_lease(struct report *r, struct report_group *g, const struct event *ev, int64_t end)
{
	int64_t lo = ev->start > r->opts.since ? ev->start : r->opts.since, hi = end < r->opts.until ? end : r->opts.until;
	int64_t active, time_wait;
	int err = 0;

	g->leases++;
	g->open += ev->kind == EV_OPEN;
	g->held_s += hi > lo ? (double)(hi - lo) / 1e9 : 0;
	g->last = ev->start > g->last ? ev->start : g->last;
	group_trend(g, r, ev->start, end);
	if (!is_measured(ev))
		return 0;
	measure(ev, &active, &time_wait);
	err = report_sparse_add(&g->active, active);
	if (!err && time_wait >= 0)
		err = report_sparse_add(&g->time_wait, time_wait);
	return err;
}

/*
 * Open, neither listening nor talking to anybody: of use to nobody that we
 * could see.  A UDP socket that asked for its number is a server, though.
 */
static bool is_idle(const struct event *ev)
{
	const struct pl_lease *l = &ev->lease;

	if (ev->kind != EV_OPEN || l->rport || l->flags & (PL_F_LISTEN | PL_F_TIME_WAIT))
		return false;
	return l->kind != PL_KIND_LISTEN && l->kind != PL_KIND_ACCEPT && (l->proto == IPPROTO_TCP || l->flags & PL_F_CHOSEN);
}

static int keep_lease(struct report *r, const struct event *ev, int64_t end)
{
	int64_t held = (end == INT64_MAX ? r->opts.until : end) - ev->start;
	int err = top_add(&r->longest, ev, held);

	if (!err && is_idle(ev) && held >= r->opts.idle)
		err = top_add(&r->idle, ev, held);
	return err;
}

static int space_lease(struct report *r, const struct event *ev, int64_t end)
{
	struct report_space *sp = report_space_keep(&r->spaces, ev->lease.netns);

	r->spaces.omitted += !sp;
	return sp ? report_space_lease(&r->spaces, sp, &r->grid, ev, end, r->opts.map, reuse_add, r) : 0;
}

/* Of one that was found held the start is the earliest that can be: it held its port then for all we know. */
static int lease_from(struct report *r, const struct event *ev)
{
	struct event found = *ev;

	found.start = ev->not_before ? ev->not_before : r->opts.since;
	return report_lease(r, &found);
}

int report_lease(struct report *r, const struct event *ev)
{
	int64_t end = ev->kind == EV_OPEN ? INT64_MAX : ev->end > ev->start ? ev->end : ev->start;
	int err = 0;

	if (!ev->start)
		return lease_from(r, ev);
	if ((ev->kind != EV_OPEN && ev->kind != EV_RELEASE) || ev->start > r->opts.until || end < r->opts.since)
		return 0;
	count_lease(r, ev);
	for (size_t i = 0; !err && i < REPORT_REFUSED; i++) {
		struct report_group *g = r->by[i].wanted ? report_groups_get(&r->by[i], ev) : NULL;

		if (r->by[i].wanted)
			err = g ? group_lease(r, g, ev, end) : -ENOMEM;
	}
	if (!err)
		err = space_lease(r, ev, end);
	return err ? err : keep_lease(r, ev, end);
}

/* ---- the rest ---- */

static void count_fail(struct report *r, const struct event *ev)
{
	size_t i = 0;

	while (i < r->n_fails_by && (r->fails_by[i].err != ev->err || r->fails_by[i].proto != ev->lease.proto))
		i++;
	if (i >= REPORT_ERRNOS - 1) {	/* no kernel has so many; a file may: the rest is of unknown errno */
		i = REPORT_ERRNOS - 1;
		r->n_fails_by = REPORT_ERRNOS;
	} else if (i == r->n_fails_by) {
		r->fails_by[r->n_fails_by++] = (struct report_fails){ .err = ev->err, .proto = ev->lease.proto };
	}
	r->fails_by[i].count++;
}

int report_fail(struct report *r, const struct event *ev)
{
	if (ev->kind != EV_FAIL || ev->ts < r->opts.since || ev->ts > r->opts.until)
		return 0;
	r->fails++;
	r->fails_at[report_grid_bin(&r->grid, ev->ts)]++;
	count_fail(r, ev);
	for (size_t i = 0; i < REPORT_BYS; i++) {
		struct report_group *g;

		if (!r->by[i].wanted || (i == REPORT_PORT && !ev->lease.lport))
			continue;
		g = report_groups_get(&r->by[i], ev);
		if (!g)
			return -ENOMEM;
		g->fails++;
		g->last = ev->ts > g->last ? ev->ts : g->last;
	}
	return 0;
}

void report_gap(struct report *r, const struct gap *gap)
{
	int64_t from = gap->from > r->opts.since ? gap->from : r->opts.since;
	int64_t to = gap->to < r->opts.until ? gap->to : r->opts.until;

	if (r->n_gaps < REPORT_KEEP)
		r->gaps[r->n_gaps] = *gap;
	r->n_gaps++;
	r->gap_ns += to > from ? to - from : 0;
}

int report_minute(struct report *r, const struct event *ev)
{
	if (ev->kind != EV_SUMMARY || ev->ts < r->opts.since || ev->ts > r->opts.until)
		return 0;
	r->minutes++;
	for (unsigned int i = 0; i < ev->summary->n_netns; i++) {
		struct report_space *sp = report_space_get(&r->spaces, ev->summary->netns[i].netns);

		if (sp)
			report_space_minute(sp, &r->grid, ev->ts, &ev->summary->netns[i]);
	}
	return 0;
}

static int compare_fails(const void *a, const void *b)
{
	const struct report_fails *x = a, *y = b;

	return x->count < y->count ? 1 : x->count > y->count ? -1 : x->err - y->err;
}

int report_finish(struct report *r)
{
	int err = 0;

	report_spaces_finish(&r->spaces, reuse_add, r);
	top_sort(&r->longest);
	top_sort(&r->idle);
	qsort(r->fails_by, r->n_fails_by, sizeof(r->fails_by[0]), compare_fails);
	for (size_t i = 0; !err && i < REPORT_BYS; i++)
		err = report_groups_sort(&r->by[i]);
	return err;
}

bool report_is_empty(const struct report *r)
{
	return !r->leases && !r->fails;
}

bool report_is_rising(const struct report_group *g)
{
	for (size_t i = 1; i < REPORT_TREND; i++)
		if (g->trend[i] < g->trend[i - 1])
			return false;
	return g->trend[REPORT_TREND - 1] >= 10 && g->trend[REPORT_TREND - 1] >= 2 * g->trend[0] &&
	       g->trend[REPORT_TREND - 1] > g->trend[REPORT_TREND / 2 - 1];
}
