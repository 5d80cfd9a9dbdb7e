/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Who holds what: each lease is filed under a port of a namespace and, when it
 * is a connection of ours, under a destination.  A lease remembers where it was
 * filed, because an event that ends it may know more than the one that began it.
 */
#include "model/pressure.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "model/pressure_priv.h"

#define DEFAULT_LEASES (1u << 20)
#define DEFAULT_DESTS (1u << 16)
#define DEFAULT_SPACES 1024u
#define MOST_SPACES 8191u

/* idslot.place: space << 3 | protocol << 1 | bound */
#define PLACE(space, proto, bound) ((uint16_t)((space) << 3 | (proto) << 1 | (bound)))
#define PLACE_SPACE(place) ((place) >> 3)
#define PLACE_PROTO(place) ((place) >> 1 & 3)
#define PLACE_BOUND(place) ((place) & 1)

static const uint8_t protos[PRESSURE_PROTOS] = { IPPROTO_TCP, IPPROTO_UDP, IPPROTO_UDPLITE };

uint8_t pressure_proto(unsigned int ix)
{
	return protos[ix];
}

static uint32_t limit(uint32_t asked, uint32_t normal, uint32_t most)
{
	return !asked ? normal : asked > most ? most : asked;
}

int pressure_new(const struct pressure_limits *limits, struct pressure **ret)
{
	struct pressure *p = calloc(1, sizeof(*p));

	if (!p)
		return -ENOMEM;
	p->max.leases = limit(limits->leases, DEFAULT_LEASES, UINT32_MAX - 1);
	p->max.dests = limit(limits->dests, DEFAULT_DESTS, UINT32_MAX - 1);
	p->max.spaces = limit(limits->spaces, DEFAULT_SPACES, MOST_SPACES);
	p->free_dest = PRESSURE_NONE;
	*ret = p;
	return 0;
}

static void use_clear(struct use *u)
{
	for (size_t i = 0; i < 256; i++)
		free(u->pages[i]);
	memset(u, 0, sizeof(*u));
}

static void space_free(struct space *s)
{
	for (size_t i = 0; s && i < PRESSURE_PROTOS; i++)
		use_clear(&s->use[i]);
	free(s);
}

void pressure_free(struct pressure *p)
{
	if (!p)
		return;
	for (uint32_t i = 0; i < p->n_spaces; i++)
		space_free(p->spaces[i]);
	free(p->spaces);
	free(p->dests);
	free(p->buckets);
	idslots_free(&p->slots);
	free(p);
}

/* ---- ports of a namespace ---- */

static bool counts(const struct space *s, uint16_t port)
{
	return s->known && port >= s->lo && port <= s->hi && !ports_has(&s->reserved, port);
}

static uint32_t space_find(const struct pressure *p, uint32_t netns)
{
	for (uint32_t i = 0; i < p->n_spaces; i++)
		if (p->spaces[i] && p->spaces[i]->netns == netns)
			return i;
	return PRESSURE_NONE;
}

static int space_get(struct pressure *p, uint32_t netns, uint32_t *ret)
{
	struct space **grown;
	uint32_t i;

	*ret = p->last_space;
	if (*ret < p->n_spaces && p->spaces[*ret] && p->spaces[*ret]->netns == netns)
		return 0;
	*ret = p->last_space = space_find(p, netns);
	if (*ret != PRESSURE_NONE)
		return 0;
	for (i = 0; i < p->n_spaces && p->spaces[i] && p->spaces[i]->leases; i++)
		;
	if (i == p->max.spaces)
		return -ENOSPC;
	if (i == p->n_spaces) {
		grown = realloc(p->spaces, (i + 1) * sizeof(*grown));
		if (!grown)
			return -ENOMEM;
		p->spaces = grown;
		p->spaces[p->n_spaces++] = NULL;
	}
	space_free(p->spaces[i]);
	p->spaces[i] = calloc(1, sizeof(**p->spaces));
	if (!p->spaces[i])
		return -ENOMEM;
	p->spaces[i]->netns = netns;
	*ret = i;
	return 0;
}

/* Not at once: a program that opens one connection after the other empties its namespace each time. */
void pressure_spaces_sweep(struct pressure *p)
{
	for (uint32_t i = 0; i < p->n_spaces; i++) {
		struct space *s = p->spaces[i];

		if (s && !s->leases && s->idle) {
			space_free(s);
			p->spaces[i] = NULL;
		} else if (s) {
			s->idle = !s->leases;
		}
	}
}

static struct page *use_page(struct use *u, uint16_t port)
{
	struct page **page = &u->pages[port >> 8];

	if (!*page)
		*page = calloc(1, sizeof(**page));
	return *page;
}

/* One holder more (`by` 1) or less (-1) of a port whose page is there. */
static void use_count(struct space *s, unsigned int proto, uint16_t port, bool bound, int by)
{
	struct use *u = &s->use[proto];
	struct page *page = u->pages[port >> 8];
	uint32_t *any = &page->any[port & 255], *held = &page->bound[port & 255];
	uint32_t any_then = *any, held_then = *held;

	*any += (uint32_t)by;
	*held += bound ? (uint32_t)by : 0;
	u->leases += (uint32_t)by;
	s->leases += (uint32_t)by;
	if (!counts(s, port))
		return;
	if (!any_then != !*any)
		u->used[port & 1] += (uint32_t)by;
	if (!held_then != !*held)
		u->bound[port & 1] += (uint32_t)by;
}

/* ---- destinations ---- */

static uint64_t dest_hash(const struct dest_key *k)
{
	uint64_t words[sizeof(*k) / 8], h = 0;

	_Static_assert(sizeof(*k) % 8 == 0, "hashed in words");
	memcpy(words, k, sizeof(words));
	for (size_t i = 0; i < sizeof(*k) / 8; i++) {
		h = (h ^ words[i]) * 0x9e3779b97f4a7c15ULL;
		h ^= h >> 32;
	}
	return h;
}

static bool is_mapped(uint8_t family, const uint32_t addr[4])
{
	return family == AF_INET6 && !addr[0] && !addr[1] && addr[2] == htonl(0xffff);
}

static void dest_key_make(struct dest_key *k, uint32_t space, unsigned int proto, const struct pl_lease *l)
{
	bool mapped = is_mapped(l->family, l->raddr);

	memset(k, 0, sizeof(*k));
	k->space = space;
	k->proto = (uint8_t)proto;
	k->family = mapped ? AF_INET : l->family;
	k->rport = l->rport;
	if (mapped) {
		k->raddr[0] = l->raddr[3];
		k->laddr[0] = l->laddr[3];
		return;
	}
	memcpy(k->raddr, l->raddr, sizeof(k->raddr));
	memcpy(k->laddr, l->laddr, sizeof(k->laddr));
}

static void buckets_fill(struct pressure *p)
{
	memset(p->buckets, 0xff, p->n_buckets * sizeof(*p->buckets));
	for (uint32_t i = 0; i < p->n_dests; i++) {
		uint32_t *head = &p->buckets[dest_hash(&p->dests[i].key) & (p->n_buckets - 1)];

		if (!p->dests[i].leases)
			continue;
		p->dests[i].next = *head;
		*head = i;
	}
}

/* Room for one more; called when no slot is free. */
static int dests_grow(struct pressure *p)
{
	uint32_t cap = p->cap_dests ? p->cap_dests * 2 : 64;
	uint32_t *buckets;
	struct dest *dests;

	if (p->n_dests >= p->max.dests)
		return -ENOSPC;
	if (p->n_dests < p->cap_dests)
		return 0;
	buckets = malloc(cap * sizeof(*buckets));
	dests = buckets ? realloc(p->dests, cap * sizeof(*dests)) : NULL;
	if (!dests) {
		free(buckets);
		return -ENOMEM;
	}
	free(p->buckets);
	p->buckets = buckets;
	p->n_buckets = cap;
	p->dests = dests;
	p->cap_dests = cap;
	buckets_fill(p);
	return 0;
}

static uint32_t dest_find(const struct pressure *p, const struct dest_key *k)
{
	uint32_t i = p->n_buckets ? p->buckets[dest_hash(k) & (p->n_buckets - 1)] : PRESSURE_NONE;

	while (i != PRESSURE_NONE && memcmp(&p->dests[i].key, k, sizeof(*k)))
		i = p->dests[i].next;
	return i;
}

static int dest_get(struct pressure *p, const struct dest_key *k, uint32_t *ret)
{
	uint32_t i = dest_find(p, k), *head;
	int err;

	*ret = i;
	if (i != PRESSURE_NONE)
		return 0;
	err = p->free_dest == PRESSURE_NONE ? dests_grow(p) : 0;
	if (err)
		return err;
	i = p->free_dest;
	if (i != PRESSURE_NONE)
		p->free_dest = p->dests[i].next;
	else
		i = p->n_dests++;
	head = &p->buckets[dest_hash(k) & (p->n_buckets - 1)];
	p->dests[i] = (struct dest){ .key = *k, .next = *head };
	*head = i;
	p->live_dests++;
	*ret = i;
	return 0;
}

static void dest_put(struct pressure *p, uint32_t i)
{
	struct dest *d = &p->dests[i];
	uint32_t *at = &p->buckets[dest_hash(&d->key) & (p->n_buckets - 1)];

	if (d->leases)
		return;
	while (*at != i)
		at = &p->dests[*at].next;
	*at = d->next;
	d->next = p->free_dest;
	p->free_dest = i;
	p->live_dests--;
}

static void dest_count(struct pressure *p, uint32_t i, uint16_t port, bool bound, int by)
{
	struct dest *d = &p->dests[i];

	d->leases += (uint32_t)by;
	if (!counts(p->spaces[d->key.space], port))
		return;
	d->used[port & 1] += (uint32_t)by;
	d->bound += bound ? (uint32_t)by : 0;
}

/* ---- leases ---- */

static int proto_ix(uint8_t proto)
{
	for (int i = 0; i < PRESSURE_PROTOS; i++)
		if (protos[i] == proto)
			return i;
	return -1;
}

/* May connect() give the port to somebody else as well?  Unknown beginnings with a remote end look like connects. */
static bool lease_bound(const struct pl_lease *l)
{
	return l->kind != PL_KIND_CONNECT && !(l->kind == PL_KIND_UNKNOWN && l->rport && !(l->flags & PL_F_LISTEN));
}

static void lease_forget(struct pressure *p, struct idslot *slot)
{
	uint32_t space = PLACE_SPACE(slot->place);

	if (slot->dest != PRESSURE_NONE) {
		dest_count(p, slot->dest, slot->port, PLACE_BOUND(slot->place), -1);
		dest_put(p, slot->dest);
	}
	use_count(p->spaces[space], PLACE_PROTO(slot->place), slot->port, PLACE_BOUND(slot->place), -1);
}

/* Only connections of ours use up ports towards a destination. */
static uint32_t lease_dest(struct pressure *p, uint32_t space, unsigned int proto, const struct pl_lease *l)
{
	struct dest_key key;
	uint32_t dest = PRESSURE_NONE;

	if (!l->rport || l->kind == PL_KIND_ACCEPT)
		return PRESSURE_NONE;
	dest_key_make(&key, space, proto, l);
	if (dest_get(p, &key, &dest))
		p->lost.dests++;
	return dest;
}

/* Files the lease; the slot is new or forgotten. */
static int lease_file(struct pressure *p, struct idslot *slot, unsigned int proto, const struct pl_lease *l)
{
	bool bound = lease_bound(l);
	uint32_t space;
	int err = space_get(p, l->netns, &space);

	if (err)
		return err;
	if (!use_page(&p->spaces[space]->use[proto], l->lport))
		return -ENOMEM;
	slot->port = l->lport;
	slot->place = PLACE(space, proto, bound);
	use_count(p->spaces[space], proto, l->lport, bound, 1);
	slot->dest = lease_dest(p, space, proto, l);
	if (slot->dest != PRESSURE_NONE)
		dest_count(p, slot->dest, l->lport, bound, 1);
	return 0;
}

static int lease_tell(struct pressure *p, const struct pl_lease *l)
{
	struct idslot *slot = idslots_find(&p->slots, l->id);
	int proto = proto_ix(l->proto), err = 0;

	if (proto < 0 || !l->id || !l->lport)
		return 0;
	if (slot)
		lease_forget(p, slot);
	else if (p->slots.used >= p->max.leases)
		err = -ENOSPC;
	else if (!(slot = idslots_add(&p->slots, l->id)))
		err = -ENOMEM;
	if (!err)
		err = lease_file(p, slot, (unsigned int)proto, l);
	if (!err)
		return 0;
	p->lost.leases++;
	if (slot)
		idslots_del(&p->slots, slot);
	return err == -ENOMEM ? err : 0;
}

static void lease_end(struct pressure *p, uint64_t id)
{
	struct idslot *slot = idslots_find(&p->slots, id);

	if (!slot)
		return;		/* one that found no room */
	lease_forget(p, slot);
	idslots_del(&p->slots, slot);
}

int pressure_event(struct pressure *p, const struct event *ev)
{
	switch (ev->kind) {
	case EV_ALLOC:
	case EV_OPEN:
	case EV_TIMEWAIT:
		return lease_tell(p, &ev->lease);
	case EV_OWNER:	/* of a child, whose connection it now knows */
		return idslots_find(&p->slots, ev->lease.id) ? lease_tell(p, &ev->lease) : 0;
	case EV_RELEASE:
		lease_end(p, ev->lease.id);
		return 0;
	default:
		return 0;
	}
}

/* ---- the range ---- */

/* Everything that depends on the range, anew. */
static void space_recount(struct pressure *p, uint32_t space)
{
	struct space *s = p->spaces[space];

	s->cap[0] = s->cap[1] = 0;
	for (unsigned int i = 0; i < PRESSURE_PROTOS; i++) {
		memset(s->use[i].used, 0, sizeof(s->use[i].used));
		memset(s->use[i].bound, 0, sizeof(s->use[i].bound));
	}
	for (uint32_t port = s->lo; port <= s->hi; port++) {
		if (!counts(s, (uint16_t)port))
			continue;
		s->cap[port & 1]++;
		for (unsigned int i = 0; i < PRESSURE_PROTOS; i++) {
			const struct page *page = s->use[i].pages[port >> 8];

			s->use[i].used[port & 1] += page && page->any[port & 255];
			s->use[i].bound[port & 1] += page && page->bound[port & 255];
		}
	}
	for (uint32_t i = 0; i < p->n_dests; i++)
		if (p->dests[i].leases && p->dests[i].key.space == space)
			p->dests[i].used[0] = p->dests[i].used[1] = p->dests[i].bound = 0;
	for (size_t i = 0; i < p->slots.cap; i++) {
		const struct idslot *slot = &p->slots.at[i];

		if (!slot->id || slot->dest == PRESSURE_NONE || PLACE_SPACE(slot->place) != space || !counts(s, slot->port))
			continue;
		p->dests[slot->dest].used[slot->port & 1]++;
		p->dests[slot->dest].bound += PLACE_BOUND(slot->place);
	}
}

static bool same_ports(const struct ports *a, const struct ports *b)
{
	return a->count == b->count && !memcmp(a->bits, b->bits, sizeof(a->bits));
}

int pressure_range(struct pressure *p, uint32_t netns, uint16_t lo, uint16_t hi, const struct ports *reserved)
{
	static const struct ports none;
	uint32_t i = space_find(p, netns);
	struct space *s;

	if (i == PRESSURE_NONE || !p->spaces[i]->leases)
		return -ENOENT;
	s = p->spaces[i];
	if (s->known && s->lo == lo && s->hi == hi && same_ports(&s->reserved, reserved ? reserved : &none))
		return 0;
	s->known = lo && lo <= hi;
	s->lo = s->known ? lo : 0;
	s->hi = s->known ? hi : 0;
	s->reserved = reserved ? *reserved : none;
	space_recount(p, i);
	return 0;
}

int pressure_each_netns(struct pressure *p, int (*fn)(void *ctx, uint32_t netns), void *ctx)
{
	int err = 0;

	for (uint32_t i = 0; !err && i < p->n_spaces; i++)
		if (p->spaces[i] && p->spaces[i]->leases)
			err = fn(ctx, p->spaces[i]->netns);
	return err;
}
