/* SPDX-License-Identifier: GPL-2.0 */
/*
 * See meter.h.  Who took the most ports is kept by the method of Misra and
 * Gries: when all places are taken, everybody loses one, so that whoever took
 * more than one port in a thousand stays; counts can then be too low.
 */
#include "model/meter.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "model/reuse.h"

#define TAKERS 1024	/* processes counted at once */
#define SLOTS (2 * TAKERS)

struct taker {
	uint64_t start;		/* of the process */
	uint64_t ports;
	uint32_t tgid;		/* 0: free slot */
	char comm[PL_COMM_LEN];
};

struct meter {
	struct hist lifetimes, reuse_times;
	struct hist lives;	/* since the last summary */
	struct reuse *reuse;
	struct taker takers[SLOTS];
	unsigned int n_takers;
	uint64_t gaps[GAP_CAUSES];
	uint64_t fails_kind[PL_KINDS];	/* since the last summary */
	uint64_t peak;
	uint64_t then[PL_STATS];	/* counters at the last summary */
	int64_t then_boot;
};

int meter_new(int64_t boot_now, struct meter **ret)
{
	struct meter *m = calloc(1, sizeof(*m));
	int err = m ? reuse_new(&m->reuse) : -ENOMEM;

	if (!err)
		m->then_boot = boot_now;
	if (err)
		meter_free(m);
	else
		*ret = m;
	return err;
}

void meter_free(struct meter *m)
{
	if (!m)
		return;
	reuse_free(m->reuse);
	free(m);
}

/* ---- who takes ---- */

static struct taker *taker_slot(struct meter *m, uint32_t tgid, uint64_t start)
{
	uint64_t at = (start ^ tgid * 0x9e3779b97f4a7c15ULL) * 0xbf58476d1ce4e5b9ULL >> 32;

	while (m->takers[at % SLOTS].tgid &&
	       (m->takers[at % SLOTS].tgid != tgid || m->takers[at % SLOTS].start != start))
		at++;
	return &m->takers[at % SLOTS];
}

static void takers_put(struct meter *m, const struct taker *t)
{
	*taker_slot(m, t->tgid, t->start) = *t;
	m->n_takers++;
}

/* Everybody loses as many as the last has, so that at least one place becomes free. */
static void takers_make_room(struct meter *m)
{
	struct taker old[SLOTS];
	uint64_t least = UINT64_MAX;

	memcpy(old, m->takers, sizeof(old));
	memset(m->takers, 0, sizeof(m->takers));
	m->n_takers = 0;
	for (int i = 0; i < SLOTS; i++)
		if (old[i].tgid && old[i].ports < least)
			least = old[i].ports;
	for (int i = 0; i < SLOTS; i++) {
		old[i].ports -= old[i].tgid ? least : 0;
		if (old[i].ports)
			takers_put(m, &old[i]);
	}
}

static void taker_count(struct meter *m, const struct pl_lease *l)
{
	struct taker *t = taker_slot(m, l->tgid, l->proc_start);

	if (!t->tgid && m->n_takers == TAKERS) {
		takers_make_room(m);
		t = taker_slot(m, l->tgid, l->proc_start);
	}
	if (!t->tgid) {
		*t = (struct taker){ .tgid = l->tgid, .start = l->proc_start };
		memcpy(t->comm, l->comm, sizeof(t->comm));
		m->n_takers++;
	}
	t->ports++;
}

/* The first few of them, most first. */
static void takers_top(const struct meter *m, struct summary_proc top[SUMMARY_TOP])
{
	for (int i = 0; i < SLOTS; i++) {
		const struct taker *t = &m->takers[i];
		int at = SUMMARY_TOP;

		while (t->ports && at > 0 && top[at - 1].ports < t->ports) {
			if (at < SUMMARY_TOP)
				top[at] = top[at - 1];
			at--;
		}
		if (at == SUMMARY_TOP)
			continue;
		top[at] = (struct summary_proc){ .ports = t->ports, .pid = t->tgid };
		memcpy(top[at].comm, t->comm, sizeof(top[at].comm));
	}
}

/* ---- events ---- */

static void meter_began(struct meter *m, const struct event *ev)
{
	const struct pl_lease *l = &ev->lease;
	int64_t free_for = reuse_taken(m->reuse, l->netns, l->proto, l->lport, l->start);

	if (ev->kind != EV_ALLOC)
		return;
	if (free_for >= 0)
		hist_add(&m->reuse_times, free_for);
	if (l->tgid)
		taker_count(m, l);
}

/* Only what was seen at both ends has a lifetime. */
static void meter_ended(struct meter *m, const struct event *ev)
{
	const struct pl_lease *l = &ev->lease;
	int64_t life = ev->end - ev->start;

	if (ev->evidence == EVIDENCE_RESYNC || !ev->start || life < 0)
		return;
	reuse_released(m->reuse, l->netns, l->proto, l->lport, l->start + (uint64_t)life);
	if (l->flags & PL_F_SNAPSHOT)
		return;
	hist_add(&m->lifetimes, life);
	hist_add(&m->lives, life);
}

void meter_event(struct meter *m, const struct event *ev, uint64_t live)
{
	if (live > m->peak)
		m->peak = live;
	if (ev->kind == EV_ALLOC || ev->kind == EV_OPEN)
		meter_began(m, ev);
	else if (ev->kind == EV_RELEASE)
		meter_ended(m, ev);
	else if (ev->kind == EV_FAIL && ev->lease.kind < PL_KINDS)
		m->fails_kind[ev->lease.kind]++;
	else if (ev->kind == EV_GAP && ev->gap && ev->gap->cause < GAP_CAUSES)
		m->gaps[ev->gap->cause]++;
}

/* ---- summaries ---- */

static void summary_counts(const struct meter *m, const uint64_t *now, struct summary *ret)
{
	const uint64_t *then = m->then;

	for (int p = 0; p < PL_PROTOS; p++) {
		for (int v6 = 0; v6 < 2; v6++) {
			for (int k = 0; k < PL_KINDS; k++) {
				uint64_t n = now[PL_STAT_ALLOC(p, v6, k)] - then[PL_STAT_ALLOC(p, v6, k)];

				ret->allocs[k] += n;
				ret->allocs_by[p] += n;
			}
			ret->releases_by[p] += now[PL_STAT_RELEASE(p, v6)] - then[PL_STAT_RELEASE(p, v6)];
		}
		ret->releases += ret->releases_by[p];
		for (int e = 0; e < PL_ERRNOS; e++) {
			ret->fails_by[p][e] = now[PL_STAT_FAIL(p, e)] - then[PL_STAT_FAIL(p, e)];
			ret->fails[e] += ret->fails_by[p][e];
		}
	}
	for (int k = 0; k < PL_REC_KINDS; k++)
		if (k != PL_REC_PATH)
			ret->lost += now[PL_STAT_RING(k)] - then[PL_STAT_RING(k)];
	ret->lost += now[PL_STAT_TABLE] - then[PL_STAT_TABLE];
}

static void summary_held(const struct tally *held, struct summary *ret)
{
	ret->live = held->live;
	ret->time_wait = held->time_wait;
	ret->netns = held->netns;
	ret->n_netns = (unsigned int)(held->n_netns < SUMMARY_NETNS_MAX ? held->n_netns : SUMMARY_NETNS_MAX);
	ret->netns_more = (unsigned int)held->n_netns - ret->n_netns;
	for (size_t i = 0; i < SUMMARY_TOP && i < held->n_procs; i++) {
		ret->held[i] = (struct summary_proc){ .ports = held->procs[i].leases, .pid = held->procs[i].sample.tgid };
		memcpy(ret->held[i].comm, held->procs[i].sample.comm, sizeof(ret->held[i].comm));
	}
}

void meter_summary(struct meter *m, const uint64_t *stats, const struct tally *held, int64_t boot_now,
		   struct summary *ret)
{
	memset(ret, 0, sizeof(*ret));
	summary_counts(m, stats, ret);
	summary_held(held, ret);
	takers_top(m, ret->taken);
	memcpy(ret->fails_kind, m->fails_kind, sizeof(ret->fails_kind));
	memset(m->fails_kind, 0, sizeof(m->fails_kind));
	ret->span = boot_now - m->then_boot;
	ret->peak = m->peak > held->live ? m->peak : held->live;
	ret->lives = m->lives.count;
	ret->p50_us = m->lives.count ? hist_quantile(&m->lives, 0.5) / 1000 : 0;
	ret->p99_us = m->lives.count ? hist_quantile(&m->lives, 0.99) / 1000 : 0;
	memset(&m->lives, 0, sizeof(m->lives));
	memset(m->takers, 0, sizeof(m->takers));
	m->n_takers = 0;
	m->peak = held->live;
	memcpy(m->then, stats, sizeof(m->then));
	m->then_boot = boot_now;
}

const struct hist *meter_lifetimes(const struct meter *m)
{
	return &m->lifetimes;
}

const struct hist *meter_reuse(const struct meter *m)
{
	return &m->reuse_times;
}

const uint64_t *meter_gaps(const struct meter *m)
{
	return m->gaps;
}
