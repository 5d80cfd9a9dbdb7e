/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the counts mean: ratio, growth, time left, level.  Growth is smoothed
 * with a time constant of half a minute, so that a burst neither raises nor
 * hides an alarm.
 */
#include "model/pressure.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "model/pressure_priv.h"

#define TICK_NS 1000000000LL
#define SMOOTH_S 30.0
#define ETA_MAX_S 86400.0

static const struct {
	double enter, leave;
} levels[] = { [PRESSURE_HALF] = { 0.50, 0.45 }, [PRESSURE_NEAR] = { 0.90, 0.85 } };

static double trend_eta(const struct trend *t, uint32_t left)
{
	double eta = t->rate > 0 ? left / t->rate : INFINITY;

	return !left ? 0 : eta > ETA_MAX_S ? INFINITY : eta;
}

static uint32_t taken(const struct pressure_use *u)
{
	return u->used[0] + u->used[1] + u->blocked;
}

/* What follows from capacity, used and blocked. */
static void view_conclude(struct pressure_use *u, const struct trend *t)
{
	uint32_t cap = u->capacity[0] + u->capacity[1], now = taken(u);

	u->ratio = cap ? (double)now / cap : u->known ? 1 : 0;
	u->per_s = t->rate;
	u->eta_s = u->known ? trend_eta(t, now < cap ? cap - now : 0) : INFINITY;
	u->level = t->level;
}

static void view_space(const struct space *s, unsigned int proto, struct pressure_use *u)
{
	memset(u, 0, sizeof(*u));
	u->netns = s->netns;
	u->proto = pressure_proto(proto);
	u->known = s->known;
	u->lo = s->lo;
	u->hi = s->hi;
	memcpy(u->capacity, s->cap, sizeof(u->capacity));
	memcpy(u->used, s->use[proto].used, sizeof(u->used));
	view_conclude(u, &s->use[proto].trend);
}

static void view_dest(const struct pressure *p, const struct dest *d, struct pressure_use *u)
{
	const struct space *s = p->spaces[d->key.space];
	const struct use *all = &s->use[d->key.proto];
	uint32_t held, own;

	view_space(s, d->key.proto, u);
	u->dest = true;
	u->family = d->key.family;
	u->rport = d->key.rport;
	memcpy(u->laddr, d->key.laddr, sizeof(u->laddr));
	memcpy(u->raddr, d->key.raddr, sizeof(u->raddr));
	memcpy(u->used, d->used, sizeof(u->used));
	/* Several sockets may hold one port for one destination (SO_REUSEPORT): then fewer are blocked than held. */
	held = d->key.proto ? all->used[0] + all->used[1] : all->bound[0] + all->bound[1];
	own = d->key.proto ? d->used[0] + d->used[1] : d->bound;
	u->blocked = held > own ? held - own : 0;
	view_conclude(u, &d->trend);
}

/* True when the level changed. */
static bool trend_update(struct trend *t, const struct pressure_use *u, double seconds)
{
	enum pressure_level level = t->level;
	double weight = 1 - exp(-seconds / SMOOTH_S), rate;
	uint32_t now = taken(u);

	rate = t->primed ? ((double)now - t->last) / seconds : 0;
	t->rate = t->primed ? t->rate + weight * (rate - t->rate) : 0;
	t->primed = true;
	t->last = now;
	while (level < PRESSURE_NEAR && u->known && u->ratio >= levels[level + 1].enter)
		level++;
	while (level > PRESSURE_LOW && (!u->known || u->ratio < levels[level].leave))
		level--;
	if (level == t->level)
		return false;
	t->level = level;
	return true;
}

static int tick_space(const struct space *s, unsigned int proto, struct trend *t, double seconds, pressure_fn fn, void *ctx)
{
	struct pressure_use u;

	view_space(s, proto, &u);
	if (!trend_update(t, &u, seconds) || !fn)
		return 0;
	view_space(s, proto, &u);
	return fn(ctx, &u);
}

static int tick_dest(const struct pressure *p, struct dest *d, double seconds, pressure_fn fn, void *ctx)
{
	struct pressure_use u;

	view_dest(p, d, &u);
	if (!trend_update(&d->trend, &u, seconds) || !fn)
		return 0;
	view_dest(p, d, &u);
	return fn(ctx, &u);
}

int pressure_tick(struct pressure *p, int64_t now, pressure_fn fn, void *ctx)
{
	double seconds = p->ticked ? (double)(now - p->ticked) / TICK_NS : 1;
	int err = 0;

	if (p->ticked && now - p->ticked < TICK_NS)
		return 0;
	p->ticked = now;
	pressure_spaces_sweep(p);
	for (uint32_t i = 0; !err && i < p->n_spaces; i++)
		for (unsigned int proto = 0; !err && p->spaces[i] && proto < PRESSURE_PROTOS; proto++)
			err = tick_space(p->spaces[i], proto, &p->spaces[i]->use[proto].trend, seconds, fn, ctx);
	for (uint32_t i = 0; !err && i < p->n_dests; i++)
		if (p->dests[i].leases)
			err = tick_dest(p, &p->dests[i], seconds, fn, ctx);
	return err;
}

int pressure_each_space(struct pressure *p, pressure_fn fn, void *ctx)
{
	struct pressure_use u;
	int err = 0;

	for (uint32_t i = 0; !err && i < p->n_spaces; i++) {
		for (unsigned int proto = 0; !err && p->spaces[i] && proto < PRESSURE_PROTOS; proto++) {
			if (!p->spaces[i]->use[proto].leases)
				continue;
			view_space(p->spaces[i], proto, &u);
			err = fn(ctx, &u);
		}
	}
	return err;
}

/* Worse first; of equal ones that which holds more itself. */
static bool worse(const struct pressure_use *a, const struct pressure_use *b)
{
	if (a->ratio != b->ratio)
		return a->ratio > b->ratio;
	return a->used[0] + a->used[1] > b->used[0] + b->used[1];
}

size_t pressure_worst(struct pressure *p, uint8_t proto, struct pressure_use *ret, size_t n)
{
	struct pressure_use u;
	size_t have = 0;

	for (uint32_t i = 0; n && i < p->n_dests; i++) {
		size_t at;

		if (!p->dests[i].leases || (proto && pressure_proto(p->dests[i].key.proto) != proto))
			continue;
		view_dest(p, &p->dests[i], &u);
		if (have == n && !worse(&u, &ret[n - 1]))
			continue;
		at = have < n ? have++ : n - 1;
		for (; at && worse(&u, &ret[at - 1]); at--)
			ret[at] = ret[at - 1];
		ret[at] = u;
	}
	return have;
}

void pressure_lost(const struct pressure *p, struct pressure_lost *ret)
{
	*ret = p->lost;
}

size_t pressure_bytes(const struct pressure *p)
{
	size_t bytes = sizeof(*p) + p->slots.cap * sizeof(*p->slots.at) + p->n_spaces * sizeof(*p->spaces) +
		       p->cap_dests * sizeof(*p->dests) + p->n_buckets * sizeof(*p->buckets);

	for (uint32_t i = 0; i < p->n_spaces; i++)
		for (unsigned int proto = 0; p->spaces[i] && proto < PRESSURE_PROTOS; proto++) {
			bytes += proto ? 0 : sizeof(struct space);
			for (size_t page = 0; page < 256; page++)
				bytes += p->spaces[i]->use[proto].pages[page] ? sizeof(struct page) : 0;
		}
	return bytes;
}
