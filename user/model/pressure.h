/* SPDX-License-Identifier: GPL-2.0 */
/*
 * How near each ephemeral range is to its end, before it gets there.
 *
 * Fed with the events of leases as they come, with the range of each network
 * namespace whenever it is known or changes, and with the time now and then.
 * Kept apart: what a namespace and protocol have in use (what bind to port 0,
 * and UDP, can still get), and what one destination has in use (what connect()
 * to it can still get), the latter per namespace, protocol, source address,
 * destination address and destination port.
 *
 * Pure, bounded and exact up to its bounds: what found no room is counted.
 */
#ifndef PORTLIFE_MODEL_PRESSURE_H
#define PORTLIFE_MODEL_PRESSURE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/ports.h"
#include "model/event.h"

struct pressure;

/* Each level is entered at its threshold and left 5 % below it. */
enum pressure_level { PRESSURE_LOW, PRESSURE_HALF, PRESSURE_NEAR };	/* from 50 %, from 90 % */

struct pressure_use {
	uint32_t netns;
	uint8_t proto;			/* IPPROTO_* */
	bool dest;			/* of one destination: the addresses below are set */
	uint8_t family;			/* v4-mapped addresses count as AF_INET */
	uint32_t laddr[4], raddr[4];	/* as in struct pl_lease */
	uint16_t rport;
	bool known;			/* the range is; else lo, hi and capacity are 0 */
	uint16_t lo, hi;		/* inclusive */
	uint32_t capacity[2];		/* unreserved ports of the range: even, odd */
	uint32_t used[2];		/* of those held, even and odd; a port with several holders once */
	/*
	 * Of a destination: ports that others keep from it.  TCP's connect() shares
	 * a port with other connects but not with a bound socket; UDP shares none.
	 */
	uint32_t blocked;
	double ratio;			/* (used + blocked) / capacity; 0 when that is not known */
	double per_s;			/* how fast used + blocked grows, over about half a minute */
	double eta_s;			/* until nothing is left; INFINITY: not approaching within a day */
	enum pressure_level level;
};

struct pressure_limits {
	uint32_t leases, dests, spaces;	/* 0: 1 M, 64 k, 1024; at most 2^32 - 2, 2^32 - 2, 8191 */
};

/* What could not be kept for want of room, ever. */
struct pressure_lost {
	uint64_t leases;		/* counted nowhere */
	uint64_t dests;			/* leases counted for their namespace but not for their destination */
};

/* 0 or -ENOMEM. */
int pressure_new(const struct pressure_limits *limits, struct pressure **ret);
void pressure_free(struct pressure *p);

/*
 * EV_ALLOC, EV_OPEN, EV_OWNER, EV_TIMEWAIT and EV_RELEASE; others do nothing.
 * Telling a lease again moves it where it belongs now.  0 or -ENOMEM, then the
 * lease is among the lost.
 */
int pressure_event(struct pressure *p, const struct event *ev);

/*
 * The range of a namespace, both ends inclusive; `reserved` may be NULL.  Until
 * it is told, and again after a namespace held no port for a while, nothing is
 * known of that namespace.  0, -ENOMEM, or -ENOENT when it holds no lease.
 */
int pressure_range(struct pressure *p, uint32_t netns, uint16_t lo, uint16_t hi, const struct ports *reserved);
/* Each namespace that holds a lease: whose range is worth asking for. */
int pressure_each_netns(struct pressure *p, int (*fn)(void *ctx, uint32_t netns), void *ctx);

/* `use` lives until the call returns; a return other than 0 ends the round and is passed on. */
typedef int (*pressure_fn)(void *ctx, const struct pressure_use *use);

/*
 * Time goes on: updates growth and level, at most once a second.  `fn` (may be
 * NULL) gets each one whose level changed.  `now` is CLOCK_BOOTTIME ns.
 */
int pressure_tick(struct pressure *p, int64_t now, pressure_fn fn, void *ctx);

/* Every namespace and protocol that holds a lease. */
int pressure_each_space(struct pressure *p, pressure_fn fn, void *ctx);
/* The destinations nearest to exhaustion, worst first, of one protocol or (0) of all; their number, at most `n`. */
size_t pressure_worst(struct pressure *p, uint8_t proto, struct pressure_use *ret, size_t n);

void pressure_lost(const struct pressure *p, struct pressure_lost *ret);
/* Bytes held, for tests and the metrics. */
size_t pressure_bytes(const struct pressure *p);

#endif
