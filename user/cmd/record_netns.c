/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What happened in each network namespace, from the kernel's own counters, for
 * metrics whose labels are bounded: what a namespace did before it had a name, or
 * does without one, is counted with the others, and stays there.
 */
#include "cmd/record.h"

#include <stdlib.h>
#include <string.h>

#define QUIET_LOOKS 60	/* some minutes: after that a name may go to another */

struct netns_account {
	uint32_t netns;			/* 0: those that the kernel does not count apart */
	bool named;
	unsigned int busy, quiet;	/* looks at which something had happened; and since then, nothing */
	struct netns_counts seen, told;	/* the kernel's count; what is told under its name */
};

struct netns_look {
	struct record_netns *a;
	const struct tally *held;
};

static struct netns_account *account_of(struct record_netns *a, uint32_t netns)
{
	struct netns_account *grown;

	for (size_t i = 0; i < a->n; i++)
		if (a->accounts[i].netns == netns)
			return &a->accounts[i];
	grown = realloc(a->accounts, (a->n + 1) * sizeof(*grown));
	if (!grown)
		return NULL;
	a->accounts = grown;
	grown[a->n] = (struct netns_account){ .netns = netns };
	return &grown[a->n++];
}

static bool netns_held(const struct tally *held, uint32_t netns)
{
	for (size_t i = 0; i < held->n_netns; i++)
		if (held->netns[i].netns == netns)
			return true;
	return false;
}

/* A name is free, or can be had from one that has long done nothing and holds nothing. */
static bool name_free(struct record_netns *a, const struct tally *held)
{
	if (a->named < PROM_NETNS_MAX)
		return true;
	for (size_t i = 0; i < a->n; i++) {
		struct netns_account *e = &a->accounts[i];

		if (!e->named || e->quiet < QUIET_LOOKS || netns_held(held, e->netns))
			continue;
		e->named = false;
		memset(&e->told, 0, sizeof(e->told));
		a->named--;
		return true;
	}
	return false;
}

/* Not to one that comes and goes between two looks: there may be thousands of them. */
static void name_give(struct record_netns *a, struct netns_account *e, const struct tally *held)
{
	if (e->named || !e->netns || (e->busy < 2 && !netns_held(held, e->netns)) || !name_free(a, held))
		return;
	e->named = true;
	a->named++;
}

static void counts_add(struct netns_counts *to, const struct netns_counts *n)
{
	for (int p = 0; p < PL_PROTOS; p++) {
		to->allocs[p] += n->allocs[p];
		to->releases[p] += n->releases[p];
		to->fails[p] += n->fails[p];
	}
}

/* since = now - then; whether that is anything. */
static bool counts_since(struct netns_counts *since, const struct netns_counts *now, const struct netns_counts *then)
{
	uint64_t any = 0;

	for (int p = 0; p < PL_PROTOS; p++) {
		any |= since->allocs[p] = now->allocs[p] - then->allocs[p];
		any |= since->releases[p] = now->releases[p] - then->releases[p];
		any |= since->fails[p] = now->fails[p] - then->fails[p];
	}
	return any;
}

static int netns_look(void *ctx, const struct source_netns *now)
{
	const struct netns_look *look = ctx;
	struct netns_account *e = account_of(look->a, now->netns);
	struct netns_counts since;

	if (!e)
		return 0;	/* short of memory it is counted at a later look */
	if (!counts_since(&since, &now->counts, &e->seen)) {
		e->quiet++;
		return 0;
	}
	e->quiet = 0;
	e->busy++;
	name_give(look->a, e, look->held);
	counts_add(e->named ? &e->told : &look->a->others, &since);
	e->seen = now->counts;
	return 0;
}

int record_netns_look(struct record_netns *a, struct source *s, const struct tally *held)
{
	struct netns_look look = { a, held };

	return source_netns_each(s, netns_look, &look);
}

size_t record_netns_get(const struct record_netns *a, struct prom_counts to[PROM_NETNS_MAX + 1])
{
	size_t n = 0;

	for (size_t i = 0; i < a->n; i++)
		if (a->accounts[i].named)
			to[n++] = (struct prom_counts){ .netns = a->accounts[i].netns, .counts = a->accounts[i].told };
	to[n++] = (struct prom_counts){ .counts = a->others };
	return n;
}

void record_netns_free(struct record_netns *a)
{
	free(a->accounts);
	memset(a, 0, sizeof(*a));
}
