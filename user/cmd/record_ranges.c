/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The ephemeral ranges, remembered: they change at run time, but to ask another
 * namespace means to search for it and to enter it, so that happens at most
 * every ten seconds for each, and takes at most a hundredth of the time.
 */
#include "cmd/record.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "kern/host.h"

#define ASK_EVERY 1000000000LL
#define ASK_COST 100
#define ASK_WHILE 5000000LL	/* more than one at a time when that is quick */
#define ASK_AGAIN (10 * 1000000000LL)

struct range_known {
	uint32_t netns;
	bool held, known;
	int64_t asked;		/* boot clock, 0: never */
	uint16_t lo, hi;
	uint32_t reserved;	/* of the range */
};

static struct range_known *range_of(struct record_ranges *g, uint32_t netns)
{
	for (size_t i = 0; i < g->n; i++)
		if (g->known[i].netns == netns)
			return &g->known[i];
	return NULL;
}

static int range_held(void *ctx, uint32_t netns)
{
	struct record_ranges *g = ctx;
	struct range_known *k = range_of(g, netns), *grown;

	if (!k) {
		grown = realloc(g->known, (g->n + 1) * sizeof(*grown));
		if (!grown)
			return 0;	/* its range stays unknown for now */
		g->known = grown;
		k = &g->known[g->n++];
		*k = (struct range_known){ .netns = netns };
	}
	k->held = true;
	return 0;
}

static void ranges_forget(struct record_ranges *g)
{
	size_t kept = 0;

	for (size_t i = 0; i < g->n; i++) {
		if (!g->known[i].held)
			continue;
		g->known[kept] = g->known[i];
		g->known[kept++].held = false;
	}
	g->n = kept;
}

static void range_ask(struct range_known *k, struct pressure *p, int64_t now)
{
	struct host_ports *ports = malloc(sizeof(*ports));

	k->asked = now;
	k->known = ports && !host_netns_ports(k->netns, ports);
	if (k->known) {
		k->lo = ports->lo;
		k->hi = ports->hi;
		k->reserved = 0;
		for (uint32_t port = k->lo; port <= k->hi; port++)
			k->reserved += ports_has(&ports->reserved, (uint16_t)port);
		pressure_range(p, k->netns, k->lo, k->hi, &ports->reserved);
	}
	free(ports);
}

/* The one of the others whose turn it is: those that were never asked first.  */
static struct range_known *range_next(const struct record_ranges *g, int64_t now)
{
	struct range_known *oldest = NULL;

	for (size_t i = 0; i < g->n; i++)
		if (g->known[i].netns != g->own && (!oldest || g->known[i].asked < oldest->asked))
			oldest = &g->known[i];
	return oldest && (!oldest->asked || now - oldest->asked >= ASK_AGAIN) ? oldest : NULL;
}

void record_ranges_look(struct record_ranges *g, struct pressure *p, int64_t now)
{
	struct range_known *own, *next;
	int64_t done = now;

	pressure_each_netns(p, range_held, g);
	range_held(g, g->own);
	own = range_of(g, g->own);
	if (own)
		range_ask(own, p, now);
	ranges_forget(g);
	if (now < g->ask_at)
		return;
	do {
		next = range_next(g, now);
		if (next)
			range_ask(next, p, now);
		done = clock_boot_ns();
	} while (next && done - now < ASK_WHILE);
	g->ask_at = done + (ASK_COST * (done - now) > ASK_EVERY ? ASK_COST * (done - now) : ASK_EVERY);
}

void record_ranges_get(void *ctx, struct summary_netns *n)
{
	const struct range_known *k = range_of(ctx, n->netns);

	n->range_lo = k && k->known ? k->lo : 0;
	n->range_hi = k && k->known ? k->hi : 0;
	n->reserved = k && k->known ? k->reserved : 0;
}

void record_ranges_free(struct record_ranges *g)
{
	free(g->known);
	g->known = NULL;
	g->n = 0;
}
