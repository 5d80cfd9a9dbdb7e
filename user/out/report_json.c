// SPDX-License-Identifier: GPL-2.0
/* A report as one JSON document; also the data of the page. */
#include "out/report.h"

#include <inttypes.h>
#include <math.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

#include "base/json.h"
#include "base/str.h"
#include "out/facts.h"

#define US(ns) ((ns) < 0 ? -1 : (ns) / 1000)

bool report_is_incomplete(const struct report_view *v)
{
	return v->before || v->evicted || v->skipped || v->partial || v->lost || v->r->n_gaps;
}

static void key_int(struct json *j, const char *key, int64_t v)
{
	json_key(j, key);
	json_int(j, v);
}

static void key_uint(struct json *j, const char *key, uint64_t v)
{
	json_key(j, key);
	json_uint(j, v);
}

/* -1: null. */
static void key_us(struct json *j, const char *key, int64_t ns)
{
	json_key(j, key);
	if (ns < 0)
		json_null(j);
	else
		json_int(j, US(ns));
}

static void key_time(struct json *j, const char *key, int64_t ns)
{
	json_key(j, key);
	json_time(j, ns);
}

static void key_str(struct json *j, const char *key, const char *s)
{
	json_key(j, key);
	json_str(j, s);
}

static void key_bool(struct json *j, const char *key, bool v)
{
	json_key(j, key);
	json_bool(j, v);
}

/* ---- what it is worth ---- */

static void put_gaps(struct json *j, const struct report_view *v)
{
	size_t n = v->r->n_gaps < REPORT_KEEP ? (size_t)v->r->n_gaps : REPORT_KEEP;

	key_uint(j, "gap_count", v->r->n_gaps);
	key_us(j, "gap_us", v->r->gap_ns);
	json_key(j, "gaps");
	json_array(j);
	for (size_t i = 0; i < n; i++) {
		const struct gap *g = &v->r->gaps[i];

		json_object(j);
		key_time(j, "from", g->from);
		key_time(j, "to", g->to == INT64_MAX ? 0 : g->to);
		key_str(j, "cause", event_gap_name(g->cause));
		json_key(j, "lost");
		if (g->lost < 0)
			json_null(j);
		else
			json_int(j, g->lost);
		json_object_end(j);
	}
	json_array_end(j);
}

static void put_head(struct json *j, const struct report_view *v)
{
	key_int(j, "v", 1);
	key_str(j, "host", v->host);
	key_str(j, "version", v->version);
	key_time(j, "made", v->made);
	key_time(j, "since", v->r->opts.since);
	key_time(j, "until", v->r->opts.until);
	key_bool(j, "live", v->live);
	key_str(j, "status", report_is_incomplete(v) ? "incomplete" : report_is_empty(v->r) ? "nothing" : "complete");
	key_bool(j, "partial", v->partial);
	key_bool(j, "before_recording", v->before);
	key_bool(j, "evicted", v->evicted);
	key_bool(j, "files_skipped", v->skipped);
	key_time(j, "recorded_since", v->recorded_since);
	json_key(j, "lost");
	if (v->lost < 0)
		json_null(j);
	else
		json_int(j, v->lost);
	put_gaps(j, v);
}

/* ---- sums ---- */

static void put_leases(struct json *j, const struct report *r)
{
	static const char *const protos[] = { "tcp", "udp", "udplite" };

	json_key(j, "leases");
	json_object(j);
	key_uint(j, "count", r->leases);
	key_uint(j, "ended", r->ended);
	key_uint(j, "open", r->open);
	key_uint(j, "held_before", r->held_before);
	key_uint(j, "unmeasured", r->unmeasured);
	json_key(j, "kinds");
	json_object(j);
	for (unsigned int i = 0; i < PL_KINDS; i++)
		key_uint(j, event_kind_name(i), r->kinds[i]);
	json_object_end(j);
	json_key(j, "protos");
	json_object(j);
	for (size_t i = 0; i < PL_PROTOS; i++)
		key_uint(j, protos[i], r->protos[i]);
	json_object_end(j);
	json_key(j, "families");
	json_object(j);
	key_uint(j, "ipv4", r->families[0]);
	key_uint(j, "ipv6", r->families[1]);
	json_object_end(j);
	json_object_end(j);
}

/* [upper end in us or null, count], ... without the empty classes at both ends. */
static void put_steps(struct json *j, const struct report_times *t)
{
	size_t lo = 0, hi = REPORT_STEPS;

	while (lo < hi && !t->steps[lo])
		lo++;
	while (hi > lo && !t->steps[hi - 1])
		hi--;
	json_key(j, "steps");
	json_array(j);
	for (size_t i = lo; i < hi; i++) {
		json_array(j);
		if (i < REPORT_STEPS - 1)
			json_int(j, report_steps[i] / 1000);
		else
			json_null(j);
		json_uint(j, t->steps[i]);
		json_array_end(j);
	}
	json_array_end(j);
}

static void put_times(struct json *j, const char *key, const struct report_times *t)
{
	const struct hist *h = &t->hist;

	json_key(j, key);
	json_object(j);
	key_uint(j, "count", h->count);
	key_us(j, "min_us", h->count ? h->min : -1);
	key_us(j, "p50_us", hist_quantile(h, 0.5));
	key_us(j, "p90_us", hist_quantile(h, 0.9));
	key_us(j, "p99_us", hist_quantile(h, 0.99));
	key_us(j, "max_us", h->count ? h->max : -1);
	key_us(j, "mean_us", h->count ? hist_mean(h) : -1);
	put_steps(j, t);
	json_object_end(j);
}

static void put_sparse(struct json *j, const char *key, const struct report_sparse *s)
{
	json_key(j, key);
	if (!s->count) {
		json_null(j);
		return;
	}
	json_object(j);
	key_uint(j, "count", s->count);
	key_us(j, "min_us", s->min);
	key_us(j, "p50_us", report_sparse_quantile(s, 0.5));
	key_us(j, "p90_us", report_sparse_quantile(s, 0.9));
	key_us(j, "p99_us", report_sparse_quantile(s, 0.99));
	key_us(j, "max_us", s->max);
	key_us(j, "mean_us", (int64_t)(s->sum_s * 1e9 / (double)s->count));
	json_object_end(j);
}

static void put_fails(struct json *j, const struct report *r)
{
	key_uint(j, "fails", r->fails);
	json_key(j, "fails_by");
	json_array(j);
	for (size_t i = 0; i < r->n_fails_by; i++) {
		json_object(j);
		key_str(j, "errno", event_errno_name(r->fails_by[i].err));
		key_str(j, "proto", event_proto_name(r->fails_by[i].proto));
		key_uint(j, "count", r->fails_by[i].count);
		json_object_end(j);
	}
	json_array_end(j);
}

/* ---- groups ---- */

static void put_group_id(struct json *j, enum report_by by, const struct report_group *g)
{
	if (by == REPORT_PROCESS) {
		json_key(j, "pid");
		if (g->tgid)
			json_uint(j, g->tgid);
		else
			json_null(j);
		key_time(j, "proc_start", g->proc_start);
	}
	if (by == REPORT_PORT || by == REPORT_REFUSED || (by == REPORT_DEST && g->label)) {
		key_uint(j, "port", g->port);
		key_str(j, "proto", event_proto_name(g->proto));
	}
	if (by == REPORT_REFUSED)
		key_str(j, "errno", event_errno_name(g->err));
}

static void put_group(struct json *j, enum report_by by, const struct report_group *g)
{
	json_object(j);
	key_str(j, "name", g->label);
	put_group_id(j, by, g);
	if (by != REPORT_REFUSED) {
		key_uint(j, "leases", g->leases);
		key_uint(j, "open", g->open);
		json_key(j, "held_s");
		json_real(j, g->held_s, 6);
		put_sparse(j, "active", &g->active);
		put_sparse(j, "time_wait", &g->time_wait);
	}
	key_uint(j, "fails", g->fails);
	key_time(j, "last", g->last);
	key_uint(j, "missed_at_most", g->missed);
	json_object_end(j);
}

static void put_groups(struct json *j, const struct report_groups *set, size_t rows)
{
	json_key(j, report_by_name(set->by));
	json_object(j);
	key_uint(j, "groups", set->n);
	key_uint(j, "dropped", set->dropped);
	key_uint(j, "missed_at_most", set->missed);
	json_key(j, "rows");
	json_array(j);
	for (size_t i = 0; i < set->n && i < rows; i++)
		put_group(j, set->by, set->sorted[i]);
	json_array_end(j);
	json_object_end(j);
}

/* ---- use of the range ---- */

static void put_series(struct json *j, const char *key, const uint32_t held[REPORT_INSTANTS][2])
{
	json_key(j, key);
	json_array(j);
	for (size_t i = 0; i < REPORT_INSTANTS; i++) {
		json_array(j);
		json_uint(j, held[i][0]);
		json_uint(j, held[i][1]);
		json_array_end(j);
	}
	json_array_end(j);
}

static void put_lane(struct json *j, const struct report *r, const struct report_space *sp, size_t k)
{
	static const char *const names[] = { "tcp", "udp" };
	const struct report_lane *lane = sp->lanes[k];
	struct report_use use;

	json_key(j, names[k]);
	if (!lane) {
		json_null(j);
		return;
	}
	report_use_of(r, sp, lane, &use);
	json_object(j);
	key_uint(j, "leases", lane->leases);
	key_bool(j, "in_range_only", use.known);
	key_uint(j, "peak_even", use.peak[0]);
	key_uint(j, "peak_odd", use.peak[1]);
	key_time(j, "peak_at", report_grid_instant(&r->grid, use.peak_i));
	key_uint(j, "end_even", use.now[0]);
	key_uint(j, "end_odd", use.now[1]);
	json_key(j, "growth_per_s");
	json_real(j, use.per_s, 6);
	json_key(j, "exhausted_in_s");
	json_real(j, use.eta_s, 0);
	put_series(j, "held", lane->held);
	json_object_end(j);
}

static void put_minutes(struct json *j, const struct report_space *sp)
{
	json_key(j, "fullest_minute");
	if (sp->peak.at) {
		json_object(j);
		key_time(j, "at", sp->peak.at);
		key_uint(j, "even", sp->peak.used_even);
		key_uint(j, "odd", sp->peak.used_odd);
		json_object_end(j);
	} else {
		json_null(j);
	}
}

static void put_map(struct json *j, const struct report *r, const struct report_space *sp)
{
	json_key(j, "map");
	json_array(j);
	for (size_t row = 0; sp->map && row < REPORT_ROWS; row++)
		for (size_t i = 0; i < REPORT_INSTANTS; i++) {
			const struct report_cell *c = &sp->map->cells[row][i];

			if (!(c->held > 0))
				continue;
			json_array(j);
			json_uint(j, row);
			json_uint(j, i);
			json_uint(j, c->name);
			json_real(j, c->held / (double)r->grid.width / REPORT_ROW_PORTS * 100, 3);
			json_array_end(j);
		}
	json_array_end(j);
}

static void put_space(struct json *j, const struct report *r, const struct report_space *sp)
{
	json_object(j);
	json_key(j, "netns");
	json_id(j, sp->netns);
	key_uint(j, "leases", sp->leases);
	json_key(j, "range");
	if (sp->range_at) {
		json_array(j);
		json_uint(j, sp->lo);
		json_uint(j, sp->hi);
		json_array_end(j);
	} else {
		json_null(j);
	}
	key_uint(j, "reserved", sp->reserved);
	key_bool(j, "range_changed", sp->range_changed);
	put_minutes(j, sp);
	put_lane(j, r, sp, REPORT_TCP);
	put_lane(j, r, sp, REPORT_UDP);
	if (r->opts.map)
		put_map(j, r, sp);
	json_object_end(j);
}

static void put_range(struct json *j, const struct report *r)
{
	key_us(j, "bin_us", r->grid.width);
	key_time(j, "first_instant", report_grid_instant(&r->grid, 0));
	json_key(j, "starts");
	json_array(j);
	for (size_t i = 0; i < REPORT_INSTANTS; i++)
		json_uint(j, r->starts[i]);
	json_array_end(j);
	json_key(j, "fails_over_time");
	json_array(j);
	for (size_t i = 0; i < REPORT_INSTANTS; i++)
		json_uint(j, r->fails_at[i]);
	json_array_end(j);
	key_uint(j, "netns_omitted_leases", r->spaces.omitted);
	json_key(j, "netns");
	json_array(j);
	for (size_t i = 0; i < r->spaces.n; i++)
		put_space(j, r, &r->spaces.at[i]);
	json_array_end(j);
	if (!r->opts.map)
		return;
	json_key(j, "map_row_ports");
	json_uint(j, REPORT_ROW_PORTS);
	json_key(j, "names");
	json_array(j);
	for (size_t i = 0; i < r->spaces.n_names; i++)
		json_str(j, i ? r->spaces.names[i] : NULL);
	json_array_end(j);
}

static void put_pressure(struct json *j, const struct report_view *v)
{
	static const char *const levels[] = { "low", "half", "near" };
	char addr[64];

	json_key(j, "destinations");
	json_array(j);
	for (size_t i = 0; i < v->n_pressure; i++) {
		const struct pressure_use *u = &v->pressure[i];

		json_object(j);
		json_key(j, "netns");
		json_id(j, u->netns);
		key_str(j, "proto", event_proto_name(u->proto));
		key_str(j, "laddr", event_addr(u->family, u->laddr, addr));
		key_str(j, "raddr", event_addr(u->family, u->raddr, addr));
		key_uint(j, "rport", u->rport);
		key_uint(j, "used_even", u->used[0]);
		key_uint(j, "used_odd", u->used[1]);
		key_uint(j, "blocked", u->blocked);
		json_key(j, "capacity");
		if (u->known)
			json_uint(j, u->capacity[0] + u->capacity[1]);
		else
			json_null(j);
		json_key(j, "ratio");
		json_real(j, u->known ? u->ratio : NAN, 4);
		json_key(j, "exhausted_in_s");
		json_real(j, u->known && u->per_s > 0 ? u->eta_s : NAN, 0);
		key_str(j, "level", levels[u->level]);
		json_object_end(j);
	}
	json_array_end(j);
}

/* ---- single leases ---- */

static void put_top(struct json *j, const char *key, const struct report_top *t, size_t rows)
{
	json_key(j, key);
	json_array(j);
	for (size_t i = 0; i < t->n && i < rows; i++) {
		json_object(j);
		key_us(j, "held_us", t->rank[i]);
		facts_json_fields(j, &t->at[i]);
		json_object_end(j);
	}
	json_array_end(j);
}

static void put_rising(struct json *j, const struct report *r, size_t rows)
{
	const struct report_groups *set = &r->by[REPORT_PROCESS];

	json_key(j, "rising");
	json_array(j);
	for (size_t i = 0; i < set->n && rows; i++) {
		const struct report_group *g = set->sorted[i];

		if (!report_is_rising(g))
			continue;
		rows--;
		json_object(j);
		key_str(j, "name", g->label);
		put_group_id(j, REPORT_PROCESS, g);
		key_uint(j, "open", g->open);
		json_key(j, "trend");
		json_array(j);
		for (size_t k = 0; k < REPORT_TREND; k++)
			json_uint(j, g->trend[k]);
		json_array_end(j);
		json_object_end(j);
	}
	json_array_end(j);
}

static void put_suspects(struct json *j, const struct report *r, size_t rows)
{
	json_key(j, "suspects");
	json_object(j);
	key_us(j, "idle_from_us", r->opts.idle);
	key_uint(j, "idle_count", r->idle.seen);
	put_top(j, "idle", &r->idle, rows);
	put_rising(j, r, rows);
	json_object_end(j);
}

void report_json_fields(struct json *j, const struct report_view *v, size_t rows)
{
	const struct report *r = v->r;

	put_head(j, v);
	put_leases(j, r);
	put_times(j, "active", &r->active);
	put_times(j, "time_wait", &r->time_wait);
	put_times(j, "held", &r->held);
	put_times(j, "reuse", &r->reuse);
	put_fails(j, r);
	key_str(j, "by", report_by_name(v->by));
	json_key(j, "groups");
	json_object(j);
	for (size_t i = 0; i < REPORT_BYS; i++)
		if (r->by[i].wanted)
			put_groups(j, &r->by[i], rows);
	json_object_end(j);
	put_top(j, "longest", &r->longest, rows);
	put_suspects(j, r, rows);
	put_pressure(j, v);
	put_range(j, r);
}

void report_json(struct strbuf *out, const struct report_view *v)
{
	struct json j;

	json_init(&j, out);
	json_object(&j);
	report_json_fields(&j, v, v->limit);
	json_object_end(&j);
	strbuf_putc(out, '\n');
}

void report_jsonl(struct strbuf *out, const struct report_view *v)
{
	const struct report_groups *set = &v->r->by[v->by];

	for (size_t i = 0; i < set->n && i < v->limit; i++) {
		struct json j;

		json_init(&j, out);
		put_group(&j, v->by, set->sorted[i]);
		strbuf_putc(out, '\n');
	}
}
