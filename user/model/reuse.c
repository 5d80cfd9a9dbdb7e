// SPDX-License-Identifier: GPL-2.0
/* Blocks of 512 neighbouring ports of one namespace and protocol, behind a small hash; see reuse.h. */
#include "model/reuse.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define BLOCK_PORTS 512
#define BLOCKS_MAX (REUSE_PORTS_MAX / BLOCK_PORTS)
#define BUCKETS 1024

struct block {
	struct block *next;		/* of its bucket */
	uint64_t key;			/* netns, protocol, port / BLOCK_PORTS */
	uint64_t released[BLOCK_PORTS];	/* 0: not known */
};

struct reuse {
	struct block *buckets[BUCKETS];
	struct block *blocks[BLOCKS_MAX];	/* a ring, in the order in which they were made */
	unsigned int n, oldest;
};

static uint64_t block_key(uint32_t netns, unsigned int proto, uint16_t port)
{
	return (uint64_t)netns << 32 | (uint64_t)(proto & 0xff) << 16 | port / BLOCK_PORTS;
}

static unsigned int block_bucket(uint64_t key)
{
	key *= 0x9e3779b97f4a7c15ULL;
	return (unsigned int)(key >> 40) % BUCKETS;
}

static struct block *block_find(const struct reuse *r, uint64_t key)
{
	struct block *b = r->buckets[block_bucket(key)];

	while (b && b->key != key)
		b = b->next;
	return b;
}

static void block_unlink(struct reuse *r, const struct block *b)
{
	struct block **at = &r->buckets[block_bucket(b->key)];

	while (*at != b)
		at = &(*at)->next;
	*at = b->next;
}

/* A new block, or the oldest one emptied. */
static struct block *block_take(struct reuse *r)
{
	struct block *b;

	if (r->n < BLOCKS_MAX) {
		b = malloc(sizeof(*b));
		if (b)
			r->blocks[r->n++] = b;
		return b;
	}
	b = r->blocks[r->oldest];
	r->oldest = (r->oldest + 1) % BLOCKS_MAX;
	block_unlink(r, b);
	return b;
}

static struct block *block_make(struct reuse *r, uint64_t key)
{
	struct block *b = block_take(r);

	if (!b)
		return NULL;
	memset(b, 0, sizeof(*b));
	b->key = key;
	b->next = r->buckets[block_bucket(key)];
	r->buckets[block_bucket(key)] = b;
	return b;
}

int reuse_new(struct reuse **ret)
{
	*ret = calloc(1, sizeof(**ret));
	return *ret ? 0 : -ENOMEM;
}

void reuse_free(struct reuse *r)
{
	if (!r)
		return;
	for (unsigned int i = 0; i < r->n; i++)
		free(r->blocks[i]);
	free(r);
}

void reuse_released(struct reuse *r, uint32_t netns, unsigned int proto, uint16_t port, uint64_t at)
{
	uint64_t key = block_key(netns, proto, port);
	struct block *b = block_find(r, key);

	if (!b)
		b = block_make(r, key);
	if (b)
		b->released[port % BLOCK_PORTS] = at;
}

int64_t reuse_taken(struct reuse *r, uint32_t netns, unsigned int proto, uint16_t port, uint64_t at)
{
	struct block *b = block_find(r, block_key(netns, proto, port));
	uint64_t *released = b ? &b->released[port % BLOCK_PORTS] : NULL, then;

	if (!released || !*released)
		return -1;
	then = *released;
	*released = 0;
	return at > then ? (int64_t)(at - then) : 0;
}
