/* SPDX-License-Identifier: GPL-2.0 */
/* The inside of a pressure, shared by pressure.c (who holds what) and pressure_view.c (what it means). */
#ifndef PORTLIFE_MODEL_PRESSURE_PRIV_H
#define PORTLIFE_MODEL_PRESSURE_PRIV_H

#include "model/idslots.h"
#include "model/pressure.h"

#define PRESSURE_PROTOS 3
#define PRESSURE_NONE UINT32_MAX	/* no destination, no space */

struct trend {
	double rate;		/* ports a second, smoothed */
	uint32_t last;
	bool primed;
	uint8_t level;		/* enum pressure_level */
};

/* Leases per port, for 256 ports. */
struct page {
	uint32_t any[256];
	uint32_t bound[256];	/* those that connect() cannot share */
};

/* One protocol in one namespace. */
struct use {
	struct page *pages[256];
	uint32_t used[2], bound[2];	/* ports of the range held, by parity */
	uint32_t leases;
	struct trend trend;
};

/* One namespace. */
struct space {
	uint32_t netns;
	uint32_t leases;	/* 0: the slot may be used for another */
	bool idle;		/* without a lease at the last sweep */
	bool known;
	uint16_t lo, hi;
	uint32_t cap[2];
	struct ports reserved;
	struct use use[PRESSURE_PROTOS];
};

struct dest_key {
	uint32_t space;
	uint32_t laddr[4], raddr[4];
	uint16_t rport;
	uint8_t proto;		/* index, not number */
	uint8_t family;
};

struct dest {
	struct dest_key key;
	uint32_t next;		/* of the same bucket, or of the free list */
	uint32_t leases;	/* 0: the slot is free */
	uint32_t used[2], bound;	/* leases on ports of the range; those of bound sockets */
	struct trend trend;
};

struct pressure {
	struct pressure_limits max;
	struct idslots slots;
	struct space **spaces;
	uint32_t n_spaces, last_space;
	struct dest *dests;
	uint32_t n_dests, cap_dests, free_dest, live_dests;
	uint32_t *buckets;
	uint32_t n_buckets;	/* a power of two, or 0 */
	struct pressure_lost lost;
	int64_t ticked;
};

/* Lets go of the namespaces that had no lease at the last call either. */
void pressure_spaces_sweep(struct pressure *p);
/* IPPROTO_* of an index. */
uint8_t pressure_proto(unsigned int ix);

#endif
