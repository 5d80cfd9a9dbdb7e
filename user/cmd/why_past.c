/* SPDX-License-Identifier: GPL-2.0 */
/*
 * why: the refusals in the history, oldest first.  Those that differ in nothing
 * but the moment are told once a minute, explained at the last of them.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/timex.h"
#include "cmd/cmd.h"
#include "cmd/why.h"
#include "model/event_list.h"
#include "store/history.h"

#define MINUTE_NS 60000000000LL
#define GROUPS_MAX (1u << 17)		/* minutes of refusals kept; more are counted */
#define RECENT_NS (2 * MINUTE_NS)	/* a summary so near tells of the range */
#define AT_NS 1000000000LL
#define BATCH 32		/* refusals explained by one reading of a range */

struct group {
	struct event ev;	/* the last, strings of its own */
	int64_t first;
	uint64_t count;
	uint32_t next;		/* of the same bucket, + 1 */
};

struct past {
	const struct why_opts *o;
	struct history *h;
	bool recording, waited;
	struct group *groups;
	size_t n, cap;
	uint32_t buckets[4096];
	uint64_t dropped;	/* refusals that found no room */
	struct gap *gaps;
	size_t n_gaps;
	struct why_spaces spaces;
	struct pl_lease *peers;	/* what recorders have on record now, by port */
	size_t n_peers, cap_peers;
	bool looked, unread;	/* unread: there is such a recorder, but it could not be asked */
	struct why_explain batch[BATCH];	/* those at work, oldest first */
	size_t n_batch;
	struct why_explain *x;	/* the one at work */
	int64_t boot_to_unix;
	struct why_sink sink;
};

/* ---- which ---- */

static uint32_t *bucket_of(struct past *p, const struct event *ev)
{
	const struct pl_lease *l = &ev->lease;
	uint64_t h = (uint64_t)(ev->ts / MINUTE_NS) * 31 + l->lport;

	h = (h * 31 + l->tgid) * 31 + l->netns + l->rport * 7u + l->raddr[0] + l->raddr[3] + l->laddr[0];
	return &p->buckets[(h * 0x9e3779b97f4a7c15ULL) >> 52];
}

static struct group *group_find(struct past *p, const struct event *ev)
{
	for (uint32_t i = *bucket_of(p, ev); i; i = p->groups[i - 1].next)
		if (p->groups[i - 1].ev.ts / MINUTE_NS == ev->ts / MINUTE_NS && why_same_refusal(&p->groups[i - 1].ev, ev))
			return &p->groups[i - 1];
	return NULL;
}

static int group_add(struct past *p, const struct event *ev)
{
	uint32_t *bucket = bucket_of(p, ev);
	struct group *g;

	if (p->n == GROUPS_MAX) {
		p->dropped++;
		return 0;
	}
	if (p->n == p->cap) {
		size_t cap = p->cap ? p->cap * 2 : 64;

		g = realloc(p->groups, cap * sizeof(*g));
		if (!g)
			return -ENOMEM;
		p->groups = g;
		p->cap = cap;
	}
	g = &p->groups[p->n];
	*g = (struct group){ .first = ev->ts, .count = 1, .next = *bucket };
	if (event_copy(ev, &g->ev))
		return -ENOMEM;
	*bucket = (uint32_t)++p->n;
	return 0;
}

/* Within a file they come oldest first, but files come newest first. */
static int past_fail(void *arg, const struct event *ev)
{
	struct past *p = arg;
	struct group *g = group_find(p, ev);

	if (!g)
		return group_add(p, ev);
	g->count++;
	if (ev->ts < g->first)
		g->first = ev->ts;
	if (ev->ts > g->ev.ts)
		g->ev.ts = ev->ts;
	return 0;
}

static int past_gap(void *arg, const struct gap *gap)
{
	struct past *p = arg;
	struct gap *grown = realloc(p->gaps, (p->n_gaps + 1) * sizeof(*grown));

	if (!grown)
		return -ENOMEM;
	p->gaps = grown;
	p->gaps[p->n_gaps++] = *gap;
	return 0;
}

/* ---- why ---- */

static int past_lease(void *arg, const struct event *ev)
{
	return why_explain_lease(((struct past *)arg)->x, ev);
}

static int by_port(const void *a, const void *b)
{
	const struct pl_lease *x = a, *y = b;

	return (x->lport > y->lport) - (x->lport < y->lport);
}

static int peer_keep(void *arg, const struct pl_lease *l)
{
	struct past *p = arg;

	if (p->n_peers == p->cap_peers) {
		size_t cap = p->cap_peers ? p->cap_peers * 2 : 1024;
		struct pl_lease *grown = realloc(p->peers, cap * sizeof(*grown));

		if (!grown)
			return -ENOMEM;
		p->peers = grown;
		p->cap_peers = cap;
	}
	p->peers[p->n_peers++] = *l;
	return 0;
}

/* All that recorders which run have on record, once. */
static int peers_load(struct past *p)
{
	int err;

	if (p->looked || !p->recording)
		return 0;
	p->looked = true;
	err = source_peers(0, 65535, peer_keep, p);
	if (p->n_peers)
		qsort(p->peers, p->n_peers, sizeof(*p->peers), by_port);
	p->unread = err == -EPERM || err == -ENOENT;
	return p->unread ? 0 : err;
}

static int past_peer(struct past *p, const struct pl_lease *l)
{
	struct pl_rec rec = { .hdr = { .ts = l->start, .size = sizeof(rec), .kind = PL_REC_OPEN }, .lease = *l };
	struct event ev;

	if (event_decode(&rec, p->boot_to_unix, &ev) || ev.start > p->x->r.ev.ts)
		return 0;
	return why_explain_fresh(p->x, &ev);
}

/* Those on the ports that are held now, and were at the instant asked about. */
static int past_peers(struct past *p, uint16_t lo, uint16_t hi)
{
	size_t from = 0, to;
	int err = peers_load(p);

	for (to = p->n_peers; from < to;) {
		size_t mid = (from + to) / 2;

		if (p->peers[mid].lport < lo)
			from = mid + 1;
		else
			to = mid;
	}
	for (; !err && from < p->n_peers && p->peers[from].lport <= hi; from++)
		err = past_peer(p, &p->peers[from]);
	return err;
}

/* Of one that could not be asked, what it held at that instant may not have reached the history. */
static void past_unread(const struct past *p, struct why_explain *x)
{
	if (p->unread && x->r.ev.ts > p->o->now - CMD_OPEN_LATE_NS)
		x->r.unsure = x->r.unread = true;
}

/* The leases that held the number asked for. */
static int past_holders(struct past *p)
{
	const struct event *fail = &p->x->r.ev;
	struct history_query q = { .port_lo = fail->lease.lport, .port_hi = fail->lease.lport, .proto = fail->lease.proto,
				   .netns = fail->lease.netns, .since = fail->ts, .until = fail->ts, .unordered = true };
	struct history_coverage cover;
	int err = history_leases(p->h, &q, past_lease, p, &cover);

	p->x->r.unsure = !err && history_incomplete(&cover);
	if (!err)
		err = past_peers(p, q.port_lo, q.port_hi);
	if (!why_holders_sort(&p->x->holders))
		past_unread(p, p->x);
	return err;
}

/* A lease of the batch's span and range: held at its start, and no more at its end. */
static int batch_lease(void *arg, const struct event *ev)
{
	struct past *p = arg;
	int err = 0;

	for (size_t i = 0; !err && i < p->n_batch; i++) {
		int64_t ts = p->batch[i].r.ev.ts;

		if (p->batch[i].range && ts >= ev->start && (!ev->end || ts < ev->end))
			err = why_explain_lease(&p->batch[i], ev);
	}
	return err;
}

/* What is known of the instant at all; one port serves, since it is not its rows that are asked for. */
static int past_cover(struct past *p, struct why_explain *x)
{
	struct history_query q = { .port_lo = 1, .port_hi = 1, .since = x->r.ev.ts, .until = x->r.ev.ts, .limit = 1 };
	struct history_coverage cover;
	int err = history_leases(p->h, &q, past_lease, p, &cover);

	x->r.unsure = !err && history_incomplete(&cover);
	return err;
}

/* One reading of all ranges for all of the batch that found nothing left. */
static int batch_ranges(struct past *p)
{
	struct history_query q = { .port_lo = UINT16_MAX, .until = INT64_MIN, .since = INT64_MAX, .unordered = true };
	int err = 0;

	for (size_t i = 0; !err && i < p->n_batch; i++) {
		const struct why_refusal *r = &p->batch[i].r;

		if (!p->batch[i].range)
			continue;
		p->x = &p->batch[i];
		err = past_cover(p, p->x);
		if (!r->ns.known)
			continue;
		q.port_lo = r->ns.lo < q.port_lo ? r->ns.lo : q.port_lo;
		q.port_hi = r->ns.hi > q.port_hi ? r->ns.hi : q.port_hi;
		q.since = r->ev.ts < q.since ? r->ev.ts : q.since;
		q.until = r->ev.ts > q.until ? r->ev.ts : q.until;
		if (!err)
			err = past_peers(p, r->ns.lo, r->ns.hi);
		past_unread(p, p->x);
	}
	return err || q.since > q.until ? err : history_leases(p->h, &q, batch_lease, p, NULL);
}

/* The summary nearest to the refusal that tells of its namespace. */
struct nearest {
	uint32_t netns;
	int64_t ts, off;	/* off: INT64_MAX none yet */
	struct summary_netns found;
};

static int nearest_minute(void *arg, const struct event *ev)
{
	struct nearest *n = arg;
	int64_t off = ev->ts < n->ts ? n->ts - ev->ts : ev->ts - n->ts;

	for (unsigned int i = 0; off < n->off && i < ev->summary->n_netns; i++) {
		if (ev->summary->netns[i].netns != n->netns || !ev->summary->netns[i].range_lo)
			continue;
		n->found = ev->summary->netns[i];
		n->off = off;
	}
	return 0;
}

/* The range as a summary of that time has it, unless what the kernel says now is nearer to that time. */
static int past_netns(struct past *p, const struct event *fail, struct why_netns *ns)
{
	struct nearest n = { .netns = fail->lease.netns, .ts = fail->ts, .off = INT64_MAX };
	int err;

	why_spaces_get(&p->spaces, fail->lease.netns, true, ns);
	if (why_cause(fail) != WHY_EXHAUSTED)
		return 0;
	err = history_minutes(p->h, fail->ts - RECENT_NS, fail->ts + RECENT_NS, nearest_minute, &n);
	if (err || n.off == INT64_MAX || (ns->known && n.off > p->o->now - fail->ts) ||
	    (ns->known && ns->lo == n.found.range_lo && ns->hi == n.found.range_hi))
		return err;
	ns->known = true;
	ns->lo = (uint16_t)n.found.range_lo;
	ns->hi = (uint16_t)n.found.range_hi;
	ns->reserved = NULL;
	ns->reserved_then = n.found.reserved;
	return 0;
}

/* An end reaches the history about a second later, and the recorder forgets it at once: look again, once. */
static int past_look_again(struct past *p)
{
	int err;

	if (p->x->r.cause != WHY_HELD || !p->recording || p->waited || why_holders_sort(&p->x->holders))
		return 0;
	p->waited = true;
	err = history_wait(p->h, clock_unix_ns());
	return err ? err : past_holders(p);
}

static int batch_begin(struct past *p, const struct group *g)
{
	struct why_explain *x = &p->batch[p->n_batch];
	struct why_netns ns;
	int err = past_netns(p, &g->ev, &ns);

	if (err)
		return err;
	p->n_batch++;
	err = why_explain_begin(x, &g->ev, &ns);
	x->r.count = g->count;
	x->r.first = g->first;
	return err;
}

static int batch_tell(struct past *p, struct why_explain *x)
{
	int err = 0;

	p->x = x;
	if (x->r.cause == WHY_HELD || x->r.cause == WHY_SAME)
		err = past_holders(p);
	if (!err)
		err = past_look_again(p);
	if (err)
		return err;
	why_explain_end(x);
	return why_sink_put(&p->sink, &x->r);
}

static int past_batch(struct past *p, const struct group *g, size_t n)
{
	int err = 0;

	if (p->spaces.n > BATCH)	/* none may be forgotten while the batch refers to it */
		why_spaces_free(&p->spaces);
	p->n_batch = 0;
	for (size_t i = 0; !err && i < n; i++)
		err = batch_begin(p, &g[i]);
	if (!err)
		err = batch_ranges(p);
	for (size_t i = 0; !err && i < p->n_batch; i++)
		err = batch_tell(p, &p->batch[i]);
	for (size_t i = 0; i < p->n_batch; i++)
		why_explain_free(&p->batch[i]);
	return err;
}

static int oldest_first(const void *a, const void *b)
{
	const struct group *x = a, *y = b;

	return x->ev.ts < y->ev.ts ? -1 : x->ev.ts > y->ev.ts;
}

static int past_tell(struct past *p)
{
	size_t from = p->o->limit && p->n > p->o->limit ? p->n - p->o->limit : 0;
	int err = 0;

	if (p->n)
		qsort(p->groups, p->n, sizeof(*p->groups), oldest_first);
	if (from || p->dropped)
		log_info("%zu older refusals are not shown; --limit 0 shows all%s", from, p->dropped ? ", and some found no room" : "");
	for (size_t i = from; !err && i < p->n; i += BATCH)
		err = past_batch(p, &p->groups[i], p->n - i < BATCH ? p->n - i : BATCH);
	return err;
}

/* ---- the whole ---- */

static void past_span(const struct past *p, const struct history_info *info, struct history_query *q)
{
	const struct why_opts *o = p->o;

	*q = (struct history_query){ .port_hi = 65535, .proto = (uint8_t)o->proto, .netns = o->netns };
	q->since = o->at ? o->at - AT_NS : o->since;
	q->until = o->at ? o->at + AT_NS : o->until ? o->until : o->now;
	if (!o->at && !o->since)
		q->since = info->recorded_since;
	if (q->since > q->until)
		q->since = q->until;
}

/* Without a span asked for, when nobody recorded is no part of the question; what was lost is. */
static bool past_incomplete(const struct past *p, const struct history_coverage *c)
{
	if (p->sink.unsure || p->dropped || c->skipped)
		return true;
	if (p->o->at || p->o->since || p->o->until)
		return history_incomplete(c);
	for (size_t i = 0; i < p->n_gaps; i++)
		if (p->gaps[i].cause != GAP_STOPPED && p->gaps[i].cause != GAP_BOOT)
			return true;
	return false;
}

static int past_ask(struct past *p)
{
	struct history_coverage cover = { 0 };
	struct history_query q;
	struct history_info info;
	bool incomplete;
	int err;

	history_info(p->h, &info);
	p->recording = info.live;
	past_span(p, &info, &q);
	err = cmd_check_time(p->o->at ? "--at" : "--since", p->o->at ? p->o->at : p->o->since, p->o->now, info.youngest);
	/* A refusal of just now is on its way there. */
	if (!err && info.live && !info.behind && q.until > info.recorded_until) {
		err = history_wait(p->h, q.until);
		history_info(p->h, &info);
		p->waited = info.behind;
	}
	if (!err)
		err = why_sink_begin(&p->sink);
	if (!err)
		err = history_fails(p->h, &q, past_fail, p, &cover);
	if (!err)
		err = history_gaps(p->h, q.since, q.until, past_gap, p);
	if (!err)
		err = past_tell(p);
	if (err)
		return err;
	incomplete = past_incomplete(p, &cover);
	err = why_sink_end(&p->sink, incomplete ? "incomplete" : p->n ? "found" : "nothing", p->gaps, p->n_gaps);
	if (!p->n)
		log_info("no refusal is on record%s", incomplete ? ", but not all of that time is" : "");
	else if (incomplete && p->unread)
		log_info("the recorder that runs may not be asked by this user: of the last minutes not all is known");
	else if (incomplete)
		log_info("events were lost, or nobody recorded, in part of that time: there may have been more");
	return err ? err : incomplete ? EXIT_INCOMPLETE : p->n ? EXIT_OK : EXIT_NOTHING;
}

static void past_free(struct past *p)
{
	for (size_t i = 0; i < p->n; i++)
		event_strings_free(&p->groups[i].ev);
	free(p->groups);
	free(p->gaps);
	free(p->peers);
	why_spaces_free(&p->spaces);
	history_close(p->h);
	free(p);
}

int why_past(const struct why_opts *o)
{
	struct past *p = calloc(1, sizeof(*p));
	int err;

	if (!p)
		return -ENOMEM;
	p->o = o;
	p->sink.common = &o->common;
	p->boot_to_unix = clock_boot_to_unix();
	err = cmd_history_open(o->common.state_dir, &p->h);
	if (!err)
		err = past_ask(p);
	else if (err == -ENODATA)
		err = cmd_history_none(o->common.state_dir);
	past_free(p);
	return err;
}
