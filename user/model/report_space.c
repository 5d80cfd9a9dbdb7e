// SPDX-License-Identifier: GPL-2.0
/* Ports over time; see report_space.h. */
#include "model/report_space.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

/* ---- the grid ---- */

int64_t report_grid_instant(const struct report_grid *g, size_t i)
{
	return g->since + g->width * (int64_t)i + g->width / 2;
}

size_t report_grid_bin(const struct report_grid *g, int64_t at)
{
	int64_t i = at <= g->since ? 0 : (at - g->since) / g->width;

	return i < REPORT_INSTANTS ? (size_t)i : REPORT_INSTANTS - 1;
}

/* The first instant at or after `at`. */
static size_t instant_from(const struct report_grid *g, int64_t at)
{
	int64_t after;

	if (at <= report_grid_instant(g, 0))
		return 0;
	if (at > report_grid_instant(g, REPORT_INSTANTS - 1))
		return REPORT_INSTANTS;
	after = at - report_grid_instant(g, 0);
	return (size_t)((after + g->width - 1) / g->width);
}

void report_grid_covered(const struct report_grid *g, int64_t start, int64_t end, size_t *first, size_t *last)
{
	*first = instant_from(g, start);
	*last = end == INT64_MAX ? REPORT_INSTANTS : instant_from(g, end);
}

/* ---- spaces ---- */

int report_spaces_init(struct report_spaces *s)
{
	memset(s, 0, sizeof(*s));
	s->at = calloc(REPORT_SPACES_SEEN, sizeof(*s->at));
	s->names = calloc(REPORT_NAMES, sizeof(*s->names));
	s->n_names = 1;
	return s->at && s->names ? 0 : -ENOMEM;
}

void report_spaces_free(struct report_spaces *s)
{
	for (size_t i = 0; i < s->n; i++) {
		free(s->at[i].lanes[REPORT_TCP]);
		free(s->at[i].lanes[REPORT_UDP]);
		free(s->at[i].map);
	}
	free(s->at);
	free(s->names);
	memset(s, 0, sizeof(*s));
}

struct report_space *report_space_get(struct report_spaces *s, uint32_t netns)
{
	for (size_t i = 0; i < s->n; i++)
		if (s->at[i].netns == netns)
			return &s->at[i];
	if (s->n == (s->chosen ? REPORT_SPACES : REPORT_SPACES_SEEN))
		return NULL;
	s->at[s->n] = (struct report_space){ .netns = netns };
	return &s->at[s->n++];
}

static uint32_t used(const struct report_minute *m)
{
	return m->used_even + m->used_odd;
}

/* The highest use of the range, as a part of it; 0 where the range is not known. */
static double space_fullest(const struct report_space *sp)
{
	uint32_t size = sp->range_at && sp->hi - sp->lo + 1 > sp->reserved ? sp->hi - sp->lo + 1 - sp->reserved : 0;
	uint32_t most = used(&sp->peak);

	for (size_t k = 0; k < REPORT_LANES; k++)
		for (size_t i = 0; sp->lanes[k] && i < REPORT_INSTANTS; i++) {
			const uint32_t *held = sp->lanes[k]->in_range[i];

			most = held[0] + held[1] > most ? held[0] + held[1] : most;
		}
	return size ? (double)most / size : 0;
}

static int compare_spaces(const void *a, const void *b)
{
	const struct report_space *x = a, *y = b;
	double x_full = space_fullest(x), y_full = space_fullest(y);

	if (x_full < y_full || x_full > y_full)
		return x_full < y_full ? 1 : -1;
	if (x->leases != y->leases)
		return x->leases < y->leases ? 1 : -1;
	return x->netns < y->netns ? -1 : x->netns > y->netns;
}

static void spaces_choose(struct report_spaces *s)
{
	if (s->n)
		qsort(s->at, s->n, sizeof(*s->at), compare_spaces);
	s->n = s->n < REPORT_SPACES ? s->n : REPORT_SPACES;
	s->chosen = true;
}

struct report_space *report_space_keep(struct report_spaces *s, uint32_t netns)
{
	if (!s->chosen)
		spaces_choose(s);
	return report_space_get(s, netns);
}

static uint16_t name_of(struct report_spaces *s, const struct event *ev)
{
	char name[PL_COMM_LEN] = "";

	if (!ev->lease.tgid)
		return 0;
	memcpy(name, ev->lease.comm, strnlen(ev->lease.comm, PL_COMM_LEN - 1));
	for (size_t i = 1; i < s->n_names; i++)
		if (!memcmp(s->names[i], name, sizeof(name)))
			return (uint16_t)i;
	if (s->n_names == REPORT_NAMES)
		return REPORT_NAMES - 1;
	if (s->n_names == REPORT_NAMES - 1)
		memcpy(name, "others", 7);
	memcpy(s->names[s->n_names], name, sizeof(name));
	return (uint16_t)s->n_names++;
}

/* ---- lives of a port ---- */

/* Newer than all of the run: what lies between is an interval. */
static void run_append(struct report_run *run, int64_t start, int64_t end, bool found, report_reuse_fn reuse, void *ctx)
{
	if (!found)
		reuse(ctx, start - run->last);
	run->last = end;
}

/* The run is complete: the newer one, told before it, comes next. */
static void run_close(const struct report_run *run, report_reuse_fn reuse, void *ctx)
{
	if (run->newer && run->last && run->newer >= run->last)
		reuse(ctx, run->newer - run->last);
}

static void run_add(struct report_run *run, int64_t start, int64_t end, bool found, report_reuse_fn reuse, void *ctx)
{
	if (!run->last) {
		*run = (struct report_run){ .first = start, .last = end, .first_found = found };
	} else if (start >= run->last) {
		run_append(run, start, end, found, reuse, ctx);
	} else if (end <= run->first) {
		run_close(run, reuse, ctx);
		*run = (struct report_run){ .first = start, .last = end, .first_found = found,
					    .newer = run->first_found ? 0 : run->first };
	} else {
		if (start < run->first) {
			run->first = start;
			run->first_found = found;
		}
		run->last = end > run->last ? end : run->last;
	}
}

/* ---- the map ---- */

/* Boyer and Moore's vote, weighted by time: right whenever somebody had more than half of the cell. */
static void cell_vote(struct report_cell *c, uint16_t name, double ns)
{
	c->held += ns;
	if (c->name == name) {
		c->votes += ns;
	} else if (ns > c->votes) {
		c->name = name;
		c->votes = ns - c->votes;
	} else {
		c->votes -= ns;
	}
}

static void map_lease(struct report_map *map, const struct report_grid *g, uint16_t port, uint16_t name, int64_t start,
		      int64_t end)
{
	struct report_cell *row = map->cells[port / REPORT_ROW_PORTS];
	size_t last;

	start = start < g->since ? g->since : start;
	end = end > g->until ? g->until : end;
	last = report_grid_bin(g, end);
	for (size_t i = report_grid_bin(g, start); i <= last; i++) {
		int64_t lo = g->since + g->width * (int64_t)i, hi = i + 1 < REPORT_INSTANTS ? lo + g->width : g->until;

		lo = start > lo ? start : lo;
		hi = end < hi ? end : hi;
		/* A life too short to measure still shows. */
		cell_vote(&row[i], name, hi > lo ? (double)(hi - lo) : 1);
	}
}

int report_space_lease(struct report_spaces *s, struct report_space *sp, const struct report_grid *g, const struct event *ev,
		       int64_t end, bool map, report_reuse_fn reuse, void *ctx)
{
	struct report_lane **lane = &sp->lanes[ev->lease.proto == IPPROTO_TCP ? REPORT_TCP : REPORT_UDP];
	uint16_t port = ev->lease.lport;
	size_t first, last;

	if (!*lane)
		*lane = calloc(1, sizeof(**lane));
	if (map && !sp->map)
		sp->map = calloc(1, sizeof(*sp->map));
	if (!*lane || (map && !sp->map))
		return -ENOMEM;
	sp->leases++;
	(*lane)->leases++;
	report_grid_covered(g, ev->start, end, &first, &last);
	for (size_t i = first; i < last; i++)
		(*lane)->bits[port][i / 8] |= (unsigned char)(1u << i % 8);
	run_add(&(*lane)->run[port], ev->start, end, ev->lease.flags & PL_F_SNAPSHOT, reuse, ctx);
	if (map)
		map_lease(sp->map, g, port, name_of(s, ev), ev->start, end);
	return 0;
}

/* ---- minutes ---- */

void report_space_minute(struct report_space *sp, const struct report_grid *g, int64_t at, const struct summary_netns *n)
{
	struct report_minute m = { .at = at, .used_even = n->used_even, .used_odd = n->used_odd };
	struct report_minute *bin = &sp->minutes[report_grid_bin(g, at)];

	if (!bin->at || used(&m) > used(bin))
		*bin = m;
	if (!sp->peak.at || used(&m) > used(&sp->peak))
		sp->peak = m;
	if (!n->range_hi)
		return;
	sp->range_changed |= sp->range_at && (sp->lo != n->range_lo || sp->hi != n->range_hi || sp->reserved != n->reserved);
	if (at < sp->range_at)
		return;
	sp->range_at = at;
	sp->lo = n->range_lo;
	sp->hi = n->range_hi;
	sp->reserved = n->reserved;
}

/* ---- the end ---- */

static void lane_count(struct report_lane *lane, const struct report_space *sp)
{
	for (uint32_t port = 0; port < 65536; port++)
		for (size_t byte = 0; byte < REPORT_INSTANTS / 8; byte++) {
			unsigned char bits = lane->bits[port][byte];

			for (size_t i = byte * 8; bits; i++, bits >>= 1) {
				lane->held[i][port & 1] += bits & 1;
				if (sp->range_at && port >= sp->lo && port <= sp->hi)
					lane->in_range[i][port & 1] += bits & 1;
			}
		}
}

void report_spaces_finish(struct report_spaces *s, report_reuse_fn reuse, void *ctx)
{
	for (size_t i = 0; i < s->n; i++)
		for (size_t k = 0; k < REPORT_LANES; k++) {
			struct report_lane *lane = s->at[i].lanes[k];

			if (!lane)
				continue;
			lane_count(lane, &s->at[i]);
			for (uint32_t port = 0; port < 65536; port++)
				run_close(&lane->run[port], reuse, ctx);
		}
	spaces_choose(s);
}
