// SPDX-License-Identifier: GPL-2.0
/*
 * The table of open leases; see lease.h.
 *
 * Entries lie dense in chunks, so growing copies none of them and deleting
 * moves one: the last fills the hole.  The index holds entry number + 1, 0 for
 * a free slot, and the hash of the id, so that only the entry that is meant is
 * looked at; it is probed linearly and deleted by shifting back, so that there are
 * no tombstones and a table that was once large becomes small again.
 */
#include "model/lease.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>

#define CHUNK 256	/* entries, 40 KiB */
#define INDEX_MIN 64

struct slot {
	uint32_t at, hash;
};

struct lease_table {
	struct lease_entry **chunks;
	struct slot *index;
	size_t index_size;	/* a power of two */
	size_t n_chunks, chunks_cap;
	size_t count;
};

_Static_assert(sizeof(struct lease_entry) == 160, "an entry is what a lease costs");

/* Ids are counters; the mix spreads them over all bits (splitmix64). */
static uint32_t lease_hash(uint64_t id)
{
	id = (id ^ (id >> 30)) * 0xbf58476d1ce4e5b9ULL;
	id = (id ^ (id >> 27)) * 0x94d049bb133111ebULL;
	return (uint32_t)(id ^ (id >> 31));
}

int lease_table_new(struct lease_table **ret)
{
	struct lease_table *t = calloc(1, sizeof(*t));

	if (!t)
		return -ENOMEM;
	t->index = calloc(INDEX_MIN, sizeof(*t->index));
	if (!t->index) {
		free(t);
		return -ENOMEM;
	}
	t->index_size = INDEX_MIN;
	*ret = t;
	return 0;
}

void lease_table_free(struct lease_table *t)
{
	if (!t)
		return;
	for (size_t i = 0; i < t->n_chunks; i++)
		free(t->chunks[i]);
	free(t->chunks);
	free(t->index);
	free(t);
}

size_t lease_table_count(const struct lease_table *t)
{
	return t->count;
}

struct lease_entry *lease_table_at(const struct lease_table *t, size_t i)
{
	return i < t->count ? &t->chunks[i / CHUNK][i % CHUNK] : NULL;
}

size_t lease_table_bytes(const struct lease_table *t)
{
	return sizeof(*t) + t->index_size * sizeof(*t->index) + t->chunks_cap * sizeof(*t->chunks) +
	       t->n_chunks * CHUNK * sizeof(struct lease_entry);
}

/* The slot that holds `id`, or the free slot where it belongs; `hash` is that of the id. */
static size_t index_probe(const struct lease_table *t, uint64_t id, uint32_t hash)
{
	size_t mask = t->index_size - 1, slot = hash & mask;

	while (t->index[slot].at && (t->index[slot].hash != hash || lease_table_at(t, t->index[slot].at - 1)->lease.id != id))
		slot = (slot + 1) & mask;
	return slot;
}

static int index_resize(struct lease_table *t, size_t size)
{
	struct slot *index = calloc(size, sizeof(*index));

	if (!index)
		return -ENOMEM;
	for (size_t i = 0; i < t->index_size; i++) {
		size_t slot = t->index[i].hash & (size - 1);

		if (!t->index[i].at)
			continue;
		while (index[slot].at)
			slot = (slot + 1) & (size - 1);
		index[slot] = t->index[i];
	}
	free(t->index);
	t->index = index;
	t->index_size = size;
	return 0;
}

/* Closes the hole at `hole` with what was pushed past it. */
static void index_remove(struct lease_table *t, size_t hole)
{
	size_t mask = t->index_size - 1;

	for (size_t slot = (hole + 1) & mask; t->index[slot].at; slot = (slot + 1) & mask) {
		size_t home = t->index[slot].hash & mask;

		if (((slot - home) & mask) < ((slot - hole) & mask))
			continue;	/* its home lies behind the hole */
		t->index[hole] = t->index[slot];
		hole = slot;
	}
	t->index[hole].at = 0;
}

static int chunks_add(struct lease_table *t)
{
	struct lease_entry *chunk, **chunks;
	size_t cap = t->chunks_cap ? t->chunks_cap * 2 : 8;

	if (t->n_chunks == t->chunks_cap) {
		chunks = realloc(t->chunks, cap * sizeof(*chunks));
		if (!chunks)
			return -ENOMEM;
		t->chunks = chunks;
		t->chunks_cap = cap;
	}
	chunk = malloc(CHUNK * sizeof(*chunk));
	if (!chunk)
		return -ENOMEM;
	t->chunks[t->n_chunks++] = chunk;
	return 0;
}

/* Room for one more entry and its slot, at most three slots of four taken. */
static int lease_table_reserve(struct lease_table *t)
{
	int err;

	if (t->count >= UINT32_MAX - 1)
		return -ENOSPC;
	if ((t->count + 1) * 4 > t->index_size * 3) {
		err = index_resize(t, t->index_size * 2);
		if (err)
			return err;
	}
	return t->count == t->n_chunks * CHUNK ? chunks_add(t) : 0;
}

/* Keeps one spare chunk, so that a table at a boundary does not flap. */
static void lease_table_shrink(struct lease_table *t)
{
	while (t->count + 2 * CHUNK <= t->n_chunks * CHUNK)
		free(t->chunks[--t->n_chunks]);
	if (t->index_size > INDEX_MIN && t->count * 5 < t->index_size)
		index_resize(t, t->index_size / 2);	/* no memory to become smaller: stay */
}

struct lease_entry *lease_table_find(const struct lease_table *t, uint64_t id)
{
	uint32_t at = t->index[index_probe(t, id, lease_hash(id))].at;

	return at ? lease_table_at(t, at - 1) : NULL;
}

int lease_table_put(struct lease_table *t, const struct pl_lease *lease, struct lease_entry **ret)
{
	uint32_t hash = lease_hash(lease->id);
	struct lease_entry *e;
	int err;

	if (!lease->id)
		return -EINVAL;
	e = lease_table_find(t, lease->id);
	if (e) {
		e->lease = *lease;
	} else {
		err = lease_table_reserve(t);
		if (err)
			return err;
		t->index[index_probe(t, lease->id, hash)] = (struct slot){ .at = (uint32_t)t->count + 1, .hash = hash };
		t->count++;
		e = lease_table_at(t, t->count - 1);
		*e = (struct lease_entry){ .lease = *lease };
	}
	if (ret)
		*ret = e;
	return 0;
}

int lease_table_del(struct lease_table *t, uint64_t id, struct lease_entry *ret)
{
	size_t slot = index_probe(t, id, lease_hash(id)), last = t->count - 1;
	struct lease_entry *e;
	uint32_t at = t->index[slot].at;

	if (!at)
		return -ENOENT;
	e = lease_table_at(t, at - 1);
	if (ret)
		*ret = *e;
	index_remove(t, slot);
	if (at - 1 != last) {
		const struct lease_entry *moved = lease_table_at(t, last);

		t->index[index_probe(t, moved->lease.id, lease_hash(moved->lease.id))].at = at;
		*e = *moved;
	}
	t->count--;
	lease_table_shrink(t);
	return 0;
}
