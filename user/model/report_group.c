// SPDX-License-Identifier: GPL-2.0
/* Groups of leases by key; see report_group.h. */
#include "model/report_group.h"

#include <arpa/inet.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/hist.h"

#define KEY_MAX 4200
#define FIRST_CAP 256

/* What makes two events one group, and how it is called. */
struct key {
	size_t len;
	const char *label;
	char bytes[KEY_MAX], text[INET6_ADDRSTRLEN + 16];
};

static void key_put(struct key *k, const void *bytes, size_t len)
{
	if (len > sizeof(k->bytes) - k->len)
		len = sizeof(k->bytes) - k->len;
	memcpy(k->bytes + k->len, bytes, len);
	k->len += len;
}

/* A text is its own key; none is the empty one. */
static void key_text(struct key *k, const char *text)
{
	k->label = text && text[0] ? text : NULL;
	if (k->label)
		key_put(k, text, strlen(text));
}

static void key_process(struct key *k, const struct pl_lease *l)
{
	if (!l->tgid)
		return;
	key_put(k, &l->tgid, sizeof(l->tgid));
	key_put(k, &l->proc_start, sizeof(l->proc_start));
	k->label = l->comm;
}

static void key_dest(struct key *k, const struct pl_lease *l)
{
	char addr[INET6_ADDRSTRLEN];

	if (!l->rport)
		return;
	key_put(k, l->raddr, l->family == AF_INET6 ? 16 : 4);
	key_put(k, &l->rport, sizeof(l->rport));
	key_put(k, &l->proto, sizeof(l->proto));
	event_addr(l->family, l->raddr, addr);
	snprintf(k->text, sizeof(k->text), strchr(addr, ':') ? "[%s]:%u" : "%s:%u", addr, l->rport);
	k->label = k->text;
}

static void key_port(struct key *k, const struct pl_lease *l)
{
	key_put(k, &l->lport, sizeof(l->lport));
	key_put(k, &l->proto, sizeof(l->proto));
	snprintf(k->text, sizeof(k->text), "%u", l->lport);
	k->label = k->text;
}

static void key_refused(struct key *k, const struct event *ev)
{
	key_put(k, &ev->err, sizeof(ev->err));
	key_put(k, &ev->lease.lport, sizeof(ev->lease.lport));
	key_put(k, &ev->lease.proto, sizeof(ev->lease.proto));
	key_put(k, ev->lease.comm, strnlen(ev->lease.comm, PL_COMM_LEN));
	k->label = ev->lease.tgid ? ev->lease.comm : NULL;
}

static void key_of(struct key *k, enum report_by by, const struct event *ev)
{
	k->len = 0;
	k->label = NULL;
	switch (by) {
	case REPORT_PROCESS:
		return key_process(k, &ev->lease);
	case REPORT_EXE:
		return key_text(k, ev->exe);
	case REPORT_UNIT:
		return key_text(k, ev->where.unit);
	case REPORT_CONTAINER:
		return key_text(k, ev->where.container_id);
	case REPORT_PORT:
		return key_port(k, &ev->lease);
	case REPORT_DEST:
		return key_dest(k, &ev->lease);
	case REPORT_REFUSED:
		return key_refused(k, ev);
	case REPORT_BYS:
		break;
	}
}

static uint64_t mix(uint64_t h)
{
	h ^= h >> 32;
	h *= 0xd6e8feb86659fd93ULL;
	h ^= h >> 29;
	h *= 0x9e3779b97f4a7c15ULL;
	return h ^ h >> 32;
}

static uint64_t hash_of(uint64_t seed, const char *bytes, size_t len)
{
	uint64_t h = mix(seed ^ len), word = 0;

	for (; len >= 8; bytes += 8, len -= 8) {
		memcpy(&word, bytes, 8);
		h = mix(h ^ word) + seed;
	}
	word = 0;
	memcpy(&word, bytes, len);
	return mix(h ^ word);
}

/* ---- times of a group ---- */

int report_sparse_add(struct report_sparse *s, int64_t ns)
{
	uint32_t index = (uint32_t)(hist_index(ns) / 2), lo = 0, hi = s->n;

	while (lo < hi) {
		uint32_t mid = lo + (hi - lo) / 2;

		if (s->at[mid].index < index)
			lo = mid + 1;
		else
			hi = mid;
	}
	if (lo == s->n || s->at[lo].index != index) {
		if (s->n == s->cap) {
			uint32_t cap = s->cap ? s->cap * 2 : 4;
			struct report_bucket *at = realloc(s->at, cap * sizeof(*at));

			if (!at)
				return -ENOMEM;
			s->at = at;
			s->cap = cap;
		}
		memmove(s->at + lo + 1, s->at + lo, (s->n - lo) * sizeof(*s->at));
		s->at[lo] = (struct report_bucket){ .index = index };
		s->n++;
	}
	if (s->at[lo].count < UINT32_MAX)
		s->at[lo].count++;
	s->min = !s->count || ns < s->min ? ns : s->min;
	s->max = !s->count || ns > s->max ? ns : s->max;
	s->count++;
	s->sum_s += (double)ns / 1e9;
	return 0;
}

int64_t report_sparse_quantile(const struct report_sparse *s, double q)
{
	uint64_t rank = (uint64_t)ceil(q * (double)s->count - 1e-9), seen = 0;

	if (!s->count)
		return -1;
	if (rank <= 1)
		return s->min;
	if (rank >= s->count)
		return s->max;
	for (uint32_t i = 0; i < s->n; i++) {
		seen += s->at[i].count;
		if (seen >= rank) {
			int64_t lo = hist_lower(2 * s->at[i].index), hi = hist_upper(2 * s->at[i].index + 1);
			int64_t v = lo + (hi - lo) / 2;

			return v < s->min ? s->min : v > s->max ? s->max : v;
		}
	}
	return s->max;
}

/* ---- the set ---- */

void report_groups_init(struct report_groups *g, enum report_by by, bool wanted, uint64_t seed)
{
	*g = (struct report_groups){ .by = by, .wanted = wanted, .seed = seed,
				     .max = by == REPORT_PORT ? SIZE_MAX : REPORT_GROUPS };
}

static void group_free(struct report_group *g)
{
	if (!g)
		return;
	free(g->active.at);
	free(g->time_wait.at);
	free(g);
}

void report_groups_free(struct report_groups *g)
{
	for (size_t i = 0; i < g->cap; i++)
		group_free(g->slots[i]);
	free(g->slots);
	free(g->sorted);
	*g = (struct report_groups){ 0 };
}

static uint64_t weight(const struct report_group *g)
{
	return g->leases + g->fails;
}

static void place(struct report_group **slots, size_t cap, struct report_group *g)
{
	size_t i = g->hash & (cap - 1);

	while (slots[i])
		i = (i + 1) & (cap - 1);
	slots[i] = g;
}

/* Into a table of `cap`, without those of `drop` leases or fewer. */
static int rebuild(struct report_groups *g, size_t cap, uint64_t drop)
{
	struct report_group **slots = cap ? calloc(cap, sizeof(struct report_group *)) : NULL;

	if (!slots)
		return -ENOMEM;
	for (size_t i = 0; i < g->cap; i++) {
		struct report_group *one = g->slots[i];

		if (one && weight(one) <= drop) {
			group_free(one);
			g->n--;
			g->dropped++;
		} else if (one) {
			place(slots, cap, one);
		}
	}
	free(g->slots);
	g->slots = slots;
	g->cap = cap;
	return 0;
}

static int compare_weight(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

/* Full: the smaller half goes, and what it counted is what any group may lack from now on. */
static int prune(struct report_groups *g)
{
	uint64_t *weights = malloc(g->n * sizeof(*weights)), median;
	size_t n = 0;
	int err;

	if (!weights)
		return -ENOMEM;
	for (size_t i = 0; i < g->cap; i++)
		if (g->slots[i])
			weights[n++] = weight(g->slots[i]);
	qsort(weights, n, sizeof(*weights), compare_weight);
	median = weights[n / 2];
	free(weights);
	err = rebuild(g, g->cap, median);
	if (!err)
		g->missed += median;
	return err;
}

static int make_room(struct report_groups *g)
{
	int err = 0;

	if (g->n >= g->max)
		err = prune(g);
	if (!err && (g->n + 1) * 2 > g->cap)
		err = rebuild(g, g->cap ? g->cap * 2 : FIRST_CAP, 0);
	return err;
}

static struct report_group *group_new(struct report_groups *g, const struct key *k, uint64_t hash, const struct event *ev)
{
	size_t label = k->label ? strlen(k->label) + 1 : 0;
	struct report_group *one = make_room(g) ? NULL : calloc(1, sizeof(*one) + k->len + label);

	if (!one)
		return NULL;
	one->hash = hash;
	one->key_len = k->len;
	one->missed = g->missed;
	memcpy(one->key, k->bytes, k->len);
	if (k->label)
		one->label = memcpy(one->key + k->len, k->label, label);
	one->tgid = g->by == REPORT_PROCESS ? ev->lease.tgid : 0;
	one->proc_start = g->by == REPORT_PROCESS ? ev->proc_start : 0;
	one->port = g->by == REPORT_DEST ? ev->lease.rport : ev->lease.lport;
	one->proto = ev->lease.proto;
	one->err = g->by == REPORT_REFUSED ? ev->err : 0;
	place(g->slots, g->cap, one);
	g->n++;
	return one;
}

struct report_group *report_groups_get(struct report_groups *g, const struct event *ev)
{
	struct key k;
	uint64_t hash;

	key_of(&k, g->by, ev);
	hash = hash_of(g->seed, k.bytes, k.len);
	for (size_t i = hash & (g->cap - 1); g->cap && g->slots[i]; i = (i + 1) & (g->cap - 1)) {
		struct report_group *one = g->slots[i];

		if (one->hash == hash && one->key_len == k.len && !memcmp(one->key, k.bytes, k.len))
			return one;
	}
	return group_new(g, &k, hash, ev);
}

/* Most leases first; then by name, so that equal histories read equal. */
static int compare_groups(const void *a, const void *b)
{
	const struct report_group *x = *(struct report_group *const *)a, *y = *(struct report_group *const *)b;
	int by_name;

	if (x->leases != y->leases)
		return x->leases < y->leases ? 1 : -1;
	if (x->fails != y->fails)
		return x->fails < y->fails ? 1 : -1;
	if (x->port != y->port)
		return x->port < y->port ? -1 : 1;
	by_name = strcmp(x->label ? x->label : "", y->label ? y->label : "");
	if (by_name)
		return by_name;
	if (x->tgid != y->tgid)
		return x->tgid < y->tgid ? -1 : 1;
	return x->key_len == y->key_len ? memcmp(x->key, y->key, x->key_len) : x->key_len < y->key_len ? -1 : 1;
}

int report_groups_sort(struct report_groups *g)
{
	size_t n = 0;

	free(g->sorted);
	g->sorted = calloc(g->n + 1, sizeof(struct report_group *));
	if (!g->sorted)
		return -ENOMEM;
	for (size_t i = 0; i < g->cap; i++)
		if (g->slots[i])
			g->sorted[n++] = g->slots[i];
	qsort(g->sorted, n, sizeof(struct report_group *), compare_groups);
	return 0;
}
