/* SPDX-License-Identifier: GPL-2.0 */
/*
 * From a lease id to a few bytes about it: open addressing, 16 bytes a slot,
 * deletions leave no tombstones.  For pressure.c.
 */
#ifndef PORTLIFE_MODEL_IDSLOTS_H
#define PORTLIFE_MODEL_IDSLOTS_H

#include <stddef.h>
#include <stdint.h>

struct idslot {
	uint64_t id;	/* 0: free */
	uint32_t dest;
	uint16_t port;
	uint16_t place;
};

struct idslots {
	struct idslot *at;
	size_t cap;	/* a power of two, or 0 */
	size_t used;
};

struct idslot *idslots_find(const struct idslots *s, uint64_t id);
/* A new, zeroed slot for an id (not 0) that is not there; NULL: no memory.  Moves the others. */
struct idslot *idslots_add(struct idslots *s, uint64_t id);
/* Moves others too. */
void idslots_del(struct idslots *s, struct idslot *slot);
void idslots_free(struct idslots *s);

#endif
