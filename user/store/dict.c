// SPDX-License-Identifier: GPL-2.0
/*
 * Two entries a bucket, the younger first; see dict.h.
 */
#include "store/dict.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

struct dict {
	size_t key_len, entry_len, buckets;
	uint32_t gen;		/* entries of another generation are empty */
	unsigned char *entries;
};

struct dict_entry {
	uint32_t gen, value;
	unsigned char key[];
};

static uint64_t mix(uint64_t a, uint64_t b)
{
	unsigned __int128 p = (unsigned __int128)a * b;

	return (uint64_t)p ^ (uint64_t)(p >> 64);
}

static uint64_t secret(void)
{
	static uint64_t value;
	uint64_t v = __atomic_load_n(&value, __ATOMIC_RELAXED);

	if (v)
		return v;
	if (getrandom(&v, sizeof(v), GRND_NONBLOCK) != sizeof(v))
		v = (uintptr_t)&value;
	v |= 1;
	__atomic_store_n(&value, v, __ATOMIC_RELAXED);
	return v;
}

uint64_t dict_hash(uint64_t seed, const void *bytes, size_t len)
{
	const unsigned char *p = bytes;
	uint64_t h = secret() ^ mix(seed ^ 0x9e3779b97f4a7c15, len ^ 0xbf58476d1ce4e5b9), word;

	for (; len >= 8; p += 8, len -= 8) {
		memcpy(&word, p, 8);
		h = mix(h ^ word, 0x94d049bb133111eb);
	}
	word = 0;
	memcpy(&word, p, len);
	return mix(h ^ word, 0xe7037ed1a0b428db);
}

int dict_new(size_t key_len, unsigned int order, struct dict **ret)
{
	struct dict *d = calloc(1, sizeof(*d));

	if (!d)
		return -ENOMEM;
	d->key_len = key_len;
	d->entry_len = sizeof(struct dict_entry) + key_len;
	d->buckets = (size_t)1 << (order - 1);
	d->gen = 1;
	d->entries = calloc(d->buckets, 2 * d->entry_len);
	if (!d->entries) {
		dict_free(d);
		return -ENOMEM;
	}
	*ret = d;
	return 0;
}

void dict_free(struct dict *d)
{
	if (!d)
		return;
	free(d->entries);
	free(d);
}

void dict_clear(struct dict *d)
{
	if (++d->gen)
		return;
	memset(d->entries, 0, d->buckets * 2 * d->entry_len);
	d->gen = 1;
}

static struct dict_entry *bucket_of(const struct dict *d, const void *key)
{
	size_t i = dict_hash(0, key, d->key_len) & (d->buckets - 1);

	return (struct dict_entry *)(d->entries + i * 2 * d->entry_len);
}

static struct dict_entry *second(const struct dict *d, struct dict_entry *e)
{
	return (struct dict_entry *)((unsigned char *)e + d->entry_len);
}

static int holds(const struct dict *d, const struct dict_entry *e, const void *key)
{
	return e->gen == d->gen && !memcmp(e->key, key, d->key_len);
}

uint32_t dict_get(const struct dict *d, const void *key)
{
	struct dict_entry *e = bucket_of(d, key);

	if (holds(d, e, key))
		return e->value;
	e = second(d, e);
	return holds(d, e, key) ? e->value : 0;
}

void dict_put(struct dict *d, const void *key, uint32_t value)
{
	struct dict_entry *e = bucket_of(d, key);

	if (e->gen == d->gen && !holds(d, e, key))
		memcpy(second(d, e), e, d->entry_len);
	e->gen = d->gen;
	e->value = value;
	memcpy(e->key, key, d->key_len);
}

/* ---- ids ---- */

static size_t home_of(const struct idmap *m, uint64_t id)
{
	return mix(id ^ secret(), 0x9e3779b97f4a7c15) & (m->cap - 1);
}

static size_t slot_of(const struct idmap *m, uint64_t id)
{
	size_t i = home_of(m, id);

	while (m->slots[i].id && m->slots[i].id != id)
		i = (i + 1) & (m->cap - 1);
	return i;
}

static int idmap_grow(struct idmap *m)
{
	struct idmap more = { .cap = m->cap ? m->cap * 2 : 256, .used = m->used };

	more.slots = calloc(more.cap, sizeof(*more.slots));
	if (!more.slots)
		return -ENOMEM;
	for (size_t i = 0; i < m->cap; i++)
		if (m->slots[i].id)
			more.slots[slot_of(&more, m->slots[i].id)] = m->slots[i];
	free(m->slots);
	*m = more;
	return 0;
}

int idmap_put(struct idmap *m, uint64_t id, uint64_t value)
{
	size_t i;
	int added;

	if (m->used * 3 >= m->cap * 2 && idmap_grow(m))
		return -ENOMEM;
	i = slot_of(m, id);
	added = !m->slots[i].id;
	m->slots[i] = (struct idmap_slot){ id, value };
	m->used += (size_t)added;
	return added;
}

const uint64_t *idmap_get(const struct idmap *m, uint64_t id)
{
	size_t i;

	if (!m->used)
		return NULL;
	i = slot_of(m, id);
	return m->slots[i].id ? &m->slots[i].value : NULL;
}

/* Linear probing without tombstones: what follows the hole moves up. */
void idmap_del(struct idmap *m, uint64_t id)
{
	size_t mask = m->cap - 1, hole;

	if (!m->used || !m->slots[hole = slot_of(m, id)].id)
		return;
	for (size_t i = (hole + 1) & mask; m->slots[i].id; i = (i + 1) & mask) {
		if (((i - home_of(m, m->slots[i].id)) & mask) < ((i - hole) & mask))
			continue;
		m->slots[hole] = m->slots[i];
		hole = i;
	}
	m->slots[hole].id = 0;
	m->used--;
}

void idmap_clear(struct idmap *m)
{
	free(m->slots);
	*m = (struct idmap){ 0 };
}
