/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Why somebody could not have a port: the kernel's rules for two sockets that
 * want the same number, what a holder is, and what is left of a range.  Pure.
 */
#ifndef PORTLIFE_MODEL_WHY_H
#define PORTLIFE_MODEL_WHY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/ports.h"
#include "model/event.h"

/* ---- two sockets ---- */

/* One side.  A mapped address and :: are AF_INET6 as the socket has them. */
struct why_sock {
	uint8_t proto, family;
	uint8_t opts;		/* PL_S_REUSEADDR, _REUSEPORT, _V6ONLY */
	bool listening, time_wait;
	uint32_t addr[4];	/* all 0: the wildcard */
	uint32_t dev;		/* interface it is bound to, 0: none */
	uint32_t uid;		/* its user */
};

/*
 * Whether bind() of `want` to the number that `held` has is refused on its
 * account: inet_csk_bind_conflict() and udp_lib_lport_inuse(), same namespace
 * and protocol.  The order in which UDP looks at several holders can make one
 * of them hide another; here each is judged alone.
 */
bool why_conflicts(const struct why_sock *want, const struct why_sock *held);

/* What would have allowed it; each alone is enough. */
#define WHY_WANT_REUSEADDR	0x01	/* the holder has set it: the one who asks needs to */
#define WHY_WANT_REUSEPORT	0x02
#define WHY_WANT_V6ONLY		0x04	/* the one who asks could do without IPv4 */
#define WHY_BOTH_REUSEADDR	0x08	/* both would have to set it */
#define WHY_BOTH_REUSEPORT	0x10
unsigned int why_remedies(const struct why_sock *want, const struct why_sock *held);

/* ---- a refusal ---- */

enum why_cause {
	WHY_HELD,		/* the number asked for is held */
	WHY_EXHAUSTED,		/* none was asked for, and none was left */
	WHY_ADDRESS,		/* bind() to an address that the namespace does not have */
	WHY_SAME,		/* connect() between two ends that are connected already */
	WHY_ACCESS,		/* EACCES */
};
enum why_cause why_cause(const struct event *fail);

/* ---- a holder ---- */

enum why_role {
	WHY_LISTENING,
	WHY_BOUND,		/* TCP: bound, neither listening nor connected (if `fresh` or ended) */
	WHY_OUTGOING,		/* a connection of its own */
	WHY_ACCEPTED,		/* a connection accepted at this port */
	WHY_UNACCEPTED,		/* the same, still in the listener's queue */
	WHY_CONNECTED,		/* a connection, made or accepted: not known */
	WHY_CLOSING,		/* no process has it open; the connection is being finished */
	WHY_TIME_WAIT,
	WHY_UDP,		/* a UDP or UDP-Lite socket */
	WHY_KERNEL,		/* the kernel's own */
};

struct why_holder {
	struct event ev;	/* EV_OPEN or EV_RELEASE */
	enum why_role role;
	bool opts_known;	/* else `remedies` says nothing */
	bool fresh;		/* the lease is as the kernel has it, not as it began; set by the caller */
	bool in_the_way;
	unsigned int remedies;	/* WHY_* */
	uint32_t dev;		/* 0: none, or not known */
	bool uid_known;		/* of the socket; else its owner's is taken for it */
	uint32_t uid;
	int64_t tw_left;	/* ns that TIME_WAIT lasts on, -1: not known or not in it */
};

/* "outgoing", "listening", …: words for JSON. */
const char *why_role_name(enum why_role role);

/*
 * How the lease held its port at `at` (unix ns, 0: now, as the snapshot found
 * it).  A connection on a port outside the range whose origin is unknown was
 * accepted: connect() would not have chosen it.
 */
enum why_role why_role(const struct event *ev, int64_t at);
/* The holder's side of a conflict; what a lease does not tell (dev, uid of the socket) is the owner's or 0. */
void why_sock_of(const struct event *ev, int64_t at, struct why_sock *ret);
/* The side of one who was refused. */
void why_sock_asking(const struct event *fail, struct why_sock *ret);

/* Sets role, in_the_way, remedies and opts_known of a holder whose event is filled in. */
void why_judge(struct why_holder *h, const struct why_sock *want, int64_t at);

/* How many jiffies a second, found from their count and the time since boot; 0: cannot tell. */
unsigned int why_hz(uint64_t jiffies, uint64_t monotonic_ns);

/* ---- a range ---- */

/* What an attempt without a number could have had. */
struct why_use {
	bool known;			/* the range of the namespace is */
	bool clipped;			/* by the socket's own IP_LOCAL_PORT_RANGE */
	uint16_t lo, hi;		/* the effective range, inclusive */
	uint32_t reserved;		/* ports of it that are reserved */
	uint32_t capacity[2];		/* the others, even and odd */
	uint32_t taken[2];		/* of those, not to be had by this source for this destination */
	uint32_t here[2];		/* of those taken, by connections to this very destination */
};

struct why_top {
	struct event ev;		/* one lease of the process; its strings are the range's */
	uint32_t ports;			/* of the range, held by it */
	uint32_t time_wait;		/* of those in TIME_WAIT */
};
#define WHY_TOPS 5

struct why_range;

/*
 * For a refused attempt (connect, bind to port 0, first send) in a namespace
 * whose range is lo-hi (lo 0: not known).  The fail is copied.  0 or -ENOMEM.
 */
int why_range_new(const struct event *fail, uint16_t lo, uint16_t hi, const struct ports *reserved, struct why_range **ret);
void why_range_free(struct why_range *r);
/* A lease that was held at that instant; of another namespace or protocol it changes nothing.  0 or -ENOMEM. */
int why_range_add(struct why_range *r, const struct event *lease, int64_t at);
void why_range_use(const struct why_range *r, struct why_use *ret);
/*
 * The processes that hold most, first the greatest; the number of them, at most
 * WHY_TOPS.  They borrow from the range.
 */
size_t why_range_tops(struct why_range *r, struct why_top ret[WHY_TOPS]);

#endif
