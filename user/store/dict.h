/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A cache from fixed-size keys to small numbers: which dictionary row of the
 * file at hand says this already.
 *
 * Bounded and forgetful on purpose: when it forgets, a dictionary row is
 * written twice, which is legal, so that a host with a million processes costs
 * disk and never memory.  Not thread safe.
 */
#ifndef PORTLIFE_STORE_DICT_H
#define PORTLIFE_STORE_DICT_H

#include <stddef.h>
#include <stdint.h>

struct dict;

/* `key_len` is a multiple of 4; 2^`order` entries.  0 or -ENOMEM. */
int dict_new(size_t key_len, unsigned int order, struct dict **ret);
void dict_free(struct dict *d);
void dict_clear(struct dict *d);
/* 0 when it is not known (any more). */
uint32_t dict_get(const struct dict *d, const void *key);
void dict_put(struct dict *d, const void *key, uint32_t value);

/* Mixed with a secret of this process, so that no name can be made to collide. */
uint64_t dict_hash(uint64_t seed, const void *bytes, size_t len);

/* ---- a growing map from ids to numbers ---- */

struct idmap_slot {
	uint64_t id;	/* 0: free */
	uint64_t value;
};

struct idmap {
	struct idmap_slot *slots;
	size_t cap, used;
};

/* Adds or replaces.  1: added, 0: was there, -ENOMEM.  `id` is not 0. */
int idmap_put(struct idmap *m, uint64_t id, uint64_t value);
/* NULL when it is not there. */
const uint64_t *idmap_get(const struct idmap *m, uint64_t id);
void idmap_del(struct idmap *m, uint64_t id);
/* Empties it and frees its memory. */
void idmap_clear(struct idmap *m);

#endif
