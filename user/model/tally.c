/* SPDX-License-Identifier: GPL-2.0 */
/*
 * One walk over the open leases with three hash tables beside it: ports seen
 * (so that a port counts once), namespaces, and whoever holds them.
 */
#include "model/tally.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

/* A port of a namespace, and by which protocols it is held. */
struct port_seen {
	uint32_t netns;		/* 0: empty slot */
	uint16_t port;
	uint16_t protos;	/* bits, 1 << PL_IX_* */
};

struct counts {
	struct tally_count *items;
	uint32_t *index;	/* item number + 1, 0: empty */
	size_t n, cap, index_size;
};

struct look {
	const struct tally_opts *opts;
	struct tally *ret;
	size_t cap_netns;
	struct port_seen *ports;
	size_t ports_mask;
	struct counts spaces, procs, workloads;
};

static size_t mix(uint64_t a, uint64_t b)
{
	uint64_t h = (a ^ (b * 0x9e3779b97f4a7c15ULL)) * 0xbf58476d1ce4e5b9ULL;

	h = (h ^ (h >> 29)) * 0x94d049bb133111ebULL;
	return (size_t)(h ^ (h >> 32));
}

static int counts_grow(struct counts *c)
{
	size_t cap = c->cap ? c->cap * 2 : 64;
	struct tally_count *items = realloc(c->items, cap * sizeof(*items));
	uint32_t *index;

	if (!items)
		return -ENOMEM;
	c->items = items;
	index = calloc(cap * 2, sizeof(*index));
	if (!index)
		return -ENOMEM;
	free(c->index);
	c->index = index;
	c->cap = cap;
	c->index_size = cap * 2;
	for (size_t i = 0; i < c->n; i++) {
		size_t at = mix(items[i].key[0], items[i].key[1]) & (c->index_size - 1);

		while (index[at])
			at = (at + 1) & (c->index_size - 1);
		index[at] = (uint32_t)i + 1;
	}
	return 0;
}

/* The item of the key, made at its first lease, through `ret`; it stays until the next call. */
static int counts_add(struct counts *c, uint64_t a, uint64_t b, const struct pl_lease *l, size_t *ret)
{
	int err = c->n == c->cap ? counts_grow(c) : 0;
	size_t at;

	if (err)
		return err;
	for (at = mix(a, b) & (c->index_size - 1); c->index[at]; at = (at + 1) & (c->index_size - 1)) {
		struct tally_count *item = &c->items[c->index[at] - 1];

		if (item->key[0] != a || item->key[1] != b)
			continue;
		item->leases++;
		*ret = c->index[at] - 1;
		return 0;
	}
	c->items[c->n] = (struct tally_count){ .key = { a, b }, .leases = 1, .sample = *l };
	*ret = c->n;
	c->index[at] = (uint32_t)++c->n;
	return 0;
}

static int counts_order(const void *a, const void *b)
{
	const struct tally_count *x = a, *y = b;

	if (x->leases != y->leases)
		return x->leases < y->leases ? 1 : -1;
	return x->key[0] < y->key[0] ? -1 : x->key[0] > y->key[0];
}

/* Hands the items over, most first. */
static void counts_take(struct counts *c, struct tally_count **items, size_t *n)
{
	if (c->n)
		qsort(c->items, c->n, sizeof(*c->items), counts_order);
	*items = c->items;
	*n = c->n;
	c->items = NULL;
}

/* Namespaces are counted like owners; what is known of each lies beside, under the same number. */
static int look_netns(struct look *k, const struct pl_lease *l, struct summary_netns **ret)
{
	struct tally *t = k->ret;
	size_t at;
	int err = counts_add(&k->spaces, l->netns, 0, l, &at);

	if (err)
		return err;
	if (at == k->cap_netns) {
		size_t cap = k->cap_netns ? k->cap_netns * 2 : 8;
		struct summary_netns *grown = realloc(t->netns, cap * sizeof(*grown));

		if (!grown)
			return -ENOMEM;
		t->netns = grown;
		k->cap_netns = cap;
	}
	if (at == t->n_netns) {
		t->netns[at] = (struct summary_netns){ .netns = l->netns };
		k->opts->range(k->opts->ctx, &t->netns[at]);
		t->n_netns++;
	}
	*ret = &t->netns[at];
	return 0;
}

static unsigned int proto_ix(unsigned int proto)
{
	return proto == IPPROTO_TCP ? PL_IX_TCP : proto == IPPROTO_UDP ? PL_IX_UDP : PL_IX_UDPLITE;
}

static void look_port(struct look *k, struct summary_netns *n, const struct pl_lease *l)
{
	size_t at = mix(l->netns, l->lport) & k->ports_mask;
	uint16_t bit = (uint16_t)(1 << proto_ix(l->proto));
	struct port_seen *p;

	while (k->ports[at].netns && (k->ports[at].netns != l->netns || k->ports[at].port != l->lport))
		at = (at + 1) & k->ports_mask;
	p = &k->ports[at];
	if (!p->protos && l->lport >= n->range_lo && l->lport <= n->range_hi)
		++*(l->lport & 1 ? &n->used_odd : &n->used_even);
	if (!(p->protos & bit))
		n->in_use[proto_ix(l->proto)]++;
	*p = (struct port_seen){ .netns = l->netns, .port = l->lport, .protos = p->protos | bit };
}

static int look_lease(struct look *k, const struct pl_lease *l)
{
	struct summary_netns *n;
	size_t at;
	int err = look_netns(k, l, &n);

	if (err)
		return err;
	k->ret->live++;
	if (l->flags & PL_F_TIME_WAIT) {
		k->ret->time_wait++;
		n->time_wait++;
	}
	if (l->netns)
		look_port(k, n, l);
	if (l->tgid)
		err = counts_add(&k->procs, l->tgid, l->proc_start, l, &at);
	if (!err && k->opts->workloads)
		err = counts_add(&k->workloads, l->cgroup, 0, l, &at);
	return err;
}

static int netns_order(const void *a, const void *b)
{
	const struct summary_netns *x = a, *y = b;
	uint32_t used_x = x->used_odd + x->used_even, used_y = y->used_odd + y->used_even;

	if (used_x != used_y)
		return used_x < used_y ? 1 : -1;
	return x->netns < y->netns ? -1 : x->netns > y->netns;
}

static int look_all(struct look *k, const struct lease_table *live)
{
	const struct pl_lease own = { .netns = k->opts->own };
	struct summary_netns *n;
	const struct lease_entry *e;
	size_t size = 64;
	int err;

	while (size < 2 * lease_table_count(live))
		size *= 2;
	k->ports = calloc(size, sizeof(*k->ports));
	k->ports_mask = size - 1;
	err = !k->ports ? -ENOMEM : own.netns ? look_netns(k, &own, &n) : 0;
	lease_table_for_each(live, i, e) {
		if (err)
			break;
		err = look_lease(k, &e->lease);
	}
	return err;
}

int tally_look(const struct tally_opts *opts, const struct lease_table *live, struct tally *ret)
{
	struct look k = { .opts = opts, .ret = ret };
	int err;

	memset(ret, 0, sizeof(*ret));
	err = look_all(&k, live);
	if (ret->n_netns)
		qsort(ret->netns, ret->n_netns, sizeof(*ret->netns), netns_order);
	counts_take(&k.procs, &ret->procs, &ret->n_procs);
	counts_take(&k.workloads, &ret->workloads, &ret->n_workloads);
	free(k.ports);
	free(k.spaces.items);
	free(k.spaces.index);
	free(k.procs.index);
	free(k.workloads.index);
	if (err)
		tally_free(ret);
	return err;
}

void tally_free(struct tally *t)
{
	if (!t)
		return;
	free(t->netns);
	free(t->procs);
	free(t->workloads);
	memset(t, 0, sizeof(*t));
}
