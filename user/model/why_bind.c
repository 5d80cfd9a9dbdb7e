/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The kernel's own rules, in its own order: inet_rcv_saddr_equal(),
 * inet_csk_bind_conflict() as bind() calls it (relax and reuseport allowed),
 * udp_lib_lport_inuse().  The integration test why-bind holds them against the
 * running kernel, all combinations.
 */
#include "model/why.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>

enum addr_type { ADDR_ANY, ADDR_MAPPED, ADDR_OTHER };

static bool is_any(const uint32_t a[4])
{
	return !(a[0] | a[1] | a[2] | a[3]);
}

/* An IPv4 socket's address counts as a mapped one. */
static enum addr_type addr_type(const struct why_sock *s)
{
	if (s->family == AF_INET)
		return ADDR_MAPPED;
	if (is_any(s->addr))
		return ADDR_ANY;
	return !s->addr[0] && !s->addr[1] && s->addr[2] == htonl(0xffff) ? ADDR_MAPPED : ADDR_OTHER;
}

/* sk_rcv_saddr: what an IPv6 socket shows to IPv4; 127.0.0.6 stands for an address that has no such face. */
static uint32_t addr4(const struct why_sock *s)
{
	if (s->family == AF_INET)
		return s->addr[0];
	switch (addr_type(s)) {
	case ADDR_ANY:
		return 0;
	case ADDR_MAPPED:
		return s->addr[3];
	default:
		return htonl(0x7f000006);
	}
}

/* bind() to one IPv6 address has made the holder one for IPv6 only; for who asks that changes nothing. */
static bool v6only(const struct why_sock *s)
{
	return s->family == AF_INET6 && (s->opts & PL_S_V6ONLY);
}

static bool meet4(const struct why_sock *a, const struct why_sock *b)
{
	return !v6only(b) && (addr4(a) == addr4(b) || !addr4(a) || !addr4(b));
}

static bool meet6(const struct why_sock *a, const struct why_sock *b)
{
	enum addr_type ta = addr_type(a), tb = addr_type(b);

	if (ta == ADDR_MAPPED && tb == ADDR_MAPPED)
		return meet4(a, b);
	if (ta == ADDR_ANY && tb == ADDR_ANY)
		return true;
	if (tb == ADDR_ANY && !(v6only(b) && ta == ADDR_MAPPED))
		return true;
	if (ta == ADDR_ANY && !(v6only(a) && tb == ADDR_MAPPED))
		return true;
	return b->family == AF_INET6 && !memcmp(a->addr, b->addr, sizeof(a->addr));
}

/* inet_rcv_saddr_equal(want, held, true) */
static bool addresses_meet(const struct why_sock *want, const struct why_sock *held)
{
	return want->family == AF_INET6 ? meet6(want, held) : meet4(want, held);
}

static bool both(const struct why_sock *a, const struct why_sock *b, uint8_t opt)
{
	return (a->opts & opt) && (b->opts & opt);
}

static bool tcp_conflicts(const struct why_sock *want, const struct why_sock *held)
{
	if (both(want, held, PL_S_REUSEADDR) && !held->listening)
		return false;
	return !both(want, held, PL_S_REUSEPORT) || (!held->time_wait && want->uid != held->uid);
}

static bool udp_conflicts(const struct why_sock *want, const struct why_sock *held)
{
	return !both(want, held, PL_S_REUSEADDR) && !(both(want, held, PL_S_REUSEPORT) && want->uid == held->uid);
}

bool why_conflicts(const struct why_sock *want, const struct why_sock *held)
{
	if (want->dev && held->dev && want->dev != held->dev)
		return false;
	if (!addresses_meet(want, held))
		return false;
	return want->proto == IPPROTO_TCP ? tcp_conflicts(want, held) : udp_conflicts(want, held);
}

static bool would(const struct why_sock *want, const struct why_sock *held, uint8_t mine, uint8_t theirs)
{
	struct why_sock w = *want, h = *held;

	w.opts |= mine;
	h.opts |= theirs;
	return !why_conflicts(&w, &h);
}

unsigned int why_remedies(const struct why_sock *want, const struct why_sock *held)
{
	unsigned int r = 0;

	if (!why_conflicts(want, held))
		return 0;
	if (would(want, held, PL_S_REUSEADDR, 0))
		r |= WHY_WANT_REUSEADDR;
	else if (would(want, held, PL_S_REUSEADDR, PL_S_REUSEADDR))
		r |= WHY_BOTH_REUSEADDR;
	if (would(want, held, PL_S_REUSEPORT, 0))
		r |= WHY_WANT_REUSEPORT;
	else if (would(want, held, PL_S_REUSEPORT, PL_S_REUSEPORT))
		r |= WHY_BOTH_REUSEPORT;
	if (want->family == AF_INET6 && would(want, held, PL_S_V6ONLY, 0))
		r |= WHY_WANT_V6ONLY;
	return r;
}
