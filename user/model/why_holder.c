/* SPDX-License-Identifier: GPL-2.0 */
/* What a holder is, from what its lease tells. */
#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "model/why.h"

/* TCP states as the kernel numbers them, where they decide. */
#define STATE_SYN_SENT 2
#define STATE_CLOSE 7
#define STATE_LISTEN 10

/* TCP's bind to port 0 fails with EADDRINUSE when nothing is left, connect() with EADDRNOTAVAIL, UDP with EAGAIN. */
enum why_cause why_cause(const struct event *fail)
{
	const struct pl_lease *l = &fail->lease;

	if (fail->err == EACCES)
		return WHY_ACCESS;
	if (fail->err == EADDRNOTAVAIL && (l->kind == PL_KIND_BIND || l->kind == PL_KIND_BIND0))
		return WHY_ADDRESS;
	if (!l->lport)
		return WHY_EXHAUSTED;
	return fail->err == EADDRNOTAVAIL ? WHY_SAME : WHY_HELD;
}

const char *why_role_name(enum why_role role)
{
	static const char *const names[] = {
		[WHY_LISTENING] = "listening", [WHY_BOUND] = "bound", [WHY_OUTGOING] = "outgoing", [WHY_ACCEPTED] = "accepted",
		[WHY_UNACCEPTED] = "unaccepted", [WHY_CONNECTED] = "connected", [WHY_CLOSING] = "closing",
		[WHY_TIME_WAIT] = "time_wait", [WHY_UDP] = "udp", [WHY_KERNEL] = "kernel",
	};

	return names[role];
}

static bool waits(const struct event *ev, int64_t at)
{
	if (!(ev->lease.flags & PL_F_TIME_WAIT) && !ev->closed)
		return false;
	return !at || !ev->closed || ev->closed <= at;
}

static bool listens(const struct pl_lease *l)
{
	return l->state ? l->state == STATE_LISTEN : (l->flags & PL_F_LISTEN) && !l->rport;
}

/* A TCP socket with a remote end. */
static enum why_role connected_role(const struct pl_lease *l)
{
	if (l->sock & PL_S_ORPHAN)
		return WHY_CLOSING;
	if (l->sock & PL_S_QUEUED)
		return WHY_UNACCEPTED;
	if (l->kind == PL_KIND_ACCEPT)
		return l->owner_src == PL_OWNER_LISTENER ? WHY_UNACCEPTED : WHY_ACCEPTED;
	if (l->kind != PL_KIND_UNKNOWN || (l->sock & (PL_S_LOCKED | PL_S_CONNECT)) || l->state == STATE_SYN_SENT)
		return WHY_OUTGOING;
	return l->flags & PL_F_IN_RANGE ? WHY_CONNECTED : WHY_ACCEPTED;
}

enum why_role why_role(const struct event *ev, int64_t at)
{
	const struct pl_lease *l = &ev->lease;

	if (l->owner_src == PL_OWNER_KERNEL)
		return WHY_KERNEL;
	if (waits(ev, at))
		return WHY_TIME_WAIT;
	if (l->proto != IPPROTO_TCP)
		return WHY_UDP;
	if (listens(l))
		return WHY_LISTENING;
	return l->rport && l->state != STATE_CLOSE ? connected_role(l) : WHY_BOUND;
}

void why_sock_of(const struct event *ev, int64_t at, struct why_sock *ret)
{
	const struct pl_lease *l = &ev->lease;

	*ret = (struct why_sock){ .proto = l->proto, .family = l->family, .opts = l->sock, .uid = l->uid,
				  .listening = listens(l), .time_wait = waits(ev, at) };
	memcpy(ret->addr, l->laddr, sizeof(ret->addr));
}

void why_sock_asking(const struct event *fail, struct why_sock *ret)
{
	const struct pl_lease *l = &fail->lease;

	*ret = (struct why_sock){ .proto = l->proto, .family = l->family, .opts = l->sock, .uid = l->uid };
	memcpy(ret->addr, l->laddr, sizeof(ret->addr));
}

/* With options unknown the holder is judged as if none was set, and nothing is said of remedies. */
void why_judge(struct why_holder *h, const struct why_sock *want, int64_t at)
{
	struct why_sock held;

	why_sock_of(&h->ev, at, &held);
	held.dev = h->dev;
	if (h->uid_known)
		held.uid = h->uid;
	h->role = why_role(&h->ev, at);
	h->opts_known = (h->ev.lease.sock & PL_S_KNOWN) && (want->opts & PL_S_KNOWN);
	h->in_the_way = why_conflicts(want, &held);
	h->remedies = h->opts_known ? why_remedies(want, &held) : 0;
}

/* The count begins five minutes before it overflows 32 bits, at boot. */
unsigned int why_hz(uint64_t jiffies, uint64_t monotonic_ns)
{
	static const unsigned int usual[] = { 100, 250, 300, 1000 };
	double seconds = (double)monotonic_ns / 1e9, best_off = 5;
	unsigned int best = 0;

	for (size_t i = 0; i < sizeof(usual) / sizeof(usual[0]); i++) {
		double off = ((double)jiffies - 4294967296.0) / usual[i] - (seconds - 300);

		off = off < 0 ? -off : off;
		if (off < best_off) {
			best = usual[i];
			best_off = off;
		}
	}
	return best;
}
