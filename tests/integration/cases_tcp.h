/* SPDX-License-Identifier: GPL-2.0 */
/*
 * TCP: every way to get a port and every way to lose it, TIME_WAIT apart.
 * Which close frees and which does not is what the kernel does, not what one
 * would think: a port that the program named stays with the descriptor.
 */
#ifndef PORTLIFE_TEST_CASES_TCP_H
#define PORTLIFE_TEST_CASES_TCP_H

#include "expect.h"

#define SERVER 45000	/* where the case's listener is */
#define NOBODY_LISTENS 45999

static void tcp_connect(void)
{
	int l = listener_at(LO, SERVER), c;
	uint16_t p;

	HELD(TCP, .port = SERVER, MINE, .kind = "bind", .ephemeral = NO, .owner_src = "process", .family = "ipv4");
	c = client_to(LO, SERVER);
	p = port_of(c);
	HELD(TCP, .port = p, MINE, .tid = getpid(), .kind = "connect", .ephemeral = YES, .owner_src = "process",
	     .raddr = LO, .rport = SERVER, .laddr = LO, .family = "ipv4", .evidence = "event");
	HELD(TCP, .port = SERVER, .kind = "accept", .rport = p, .total = 2, .ephemeral = NO);
	close_rst(c);
	ENDED(TCP, .port = p, .kind = "connect", .time_wait = NO, .evidence = "event");
	HELD(TCP, .port = SERVER, .kind = "bind");
	close(l);
	ENDED(TCP, .port = SERVER, .n = 2);
}

static void tcp_connect_refused(void)
{
	int l = listener_at(LO, SERVER), c = tcp4();
	uint16_t stale;

	MUST_FAIL(ECONNREFUSED, try_connect(c, LO, NOBODY_LISTENS));
	stale = port_of(c);
	ENDED(TCP, .port = stale, MINE, .kind = "connect", .ephemeral = YES, .rport = NOBODY_LISTENS);
	/* The same socket once more: a second lease. */
	MUST(try_connect(c, LO, SERVER));
	HELD(TCP, .port = port_of(c), MINE, .kind = "connect", .rport = SERVER);
	close_rst(c);
	ENDED(TCP, .kind = "connect", .n = 2, MINE);
	close(l);
}

static void tcp_reset_by_peer(void)
{
	int l = listener_at(LO, SERVER), c = client_to(LO, SERVER);
	int s = accept_one(l);
	uint16_t p = port_of(c);
	char byte;

	HELD(TCP, .port = p, MINE);
	close_rst(s);
	MUST_FAIL(ECONNRESET, read(c, &byte, 1));
	ENDED(TCP, .port = p, .reason = "reset", MINE);
	close(c);
	ENDED(TCP, .port = p);
	close(l);
}

/* A full accept queue drops the second SYN: the client stays in SYN_SENT. */
static void tcp_syn_sent_close(void)
{
	int l = tcp4(), first, c = new_socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK);
	uint16_t p;

	bound(l, LO, SERVER);
	MUST(listen(l, 0));
	first = client_to(LO, SERVER);
	MUST_FAIL(EINPROGRESS, try_connect(c, LO, SERVER));
	p = port_of(c);
	HELD(TCP, .port = p, MINE, .kind = "connect", .rport = SERVER);
	close(c);
	ENDED(TCP, .port = p, MINE);
	close_rst(first);
	close(l);
	FREE(TCP, .port = SERVER);
}

static void tcp_nonblocking_connect(void)
{
	int l = listener_at(LO, SERVER), c = new_socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK);

	MUST_FAIL(EINPROGRESS, try_connect(c, LO, SERVER));
	HELD(TCP, .port = port_of(c), MINE, .kind = "connect");
	MUST(try_connect(c, LO, SERVER));
	HELD(TCP, .port = port_of(c), MINE, .kind = "connect");
	close_rst(c);
	ENDED(TCP, .kind = "connect", MINE);
	close(l);
}

static void tcp_bind0(void)
{
	int s = tcp4();
	uint16_t p = bound(s, LO, 0);

	HELD(TCP, .port = p, MINE, .kind = "bind0", .ephemeral = YES, .laddr = LO, .owner_src = "process");
	close(s);
	ENDED(TCP, .port = p, .kind = "bind0", .reason = "close");
}

static void tcp_bind_port(void)
{
	int in = tcp4(), below = tcp4();

	bound(in, LO, 45001);
	bound(below, "0.0.0.0", 1234);
	HELD(TCP, .port = 45001, MINE, .kind = "bind", .ephemeral = NO, .laddr = LO);
	HELD(TCP, .port = 1234, MINE, .kind = "bind", .ephemeral = NO, .laddr = "0.0.0.0");
	close(in);
	ENDED(TCP, .port = 45001, .reason = "close");
	HELD(TCP, .port = 1234);
	close(below);
	ENDED(TCP, .port = 1234, .reason = "close");
}

static void tcp_bind0_connect(void)
{
	int l = listener_at(LO, SERVER), c = tcp4();
	uint16_t p = bound(c, LO, 0);

	HELD(TCP, .port = p, MINE, .kind = "bind0");
	MUST(try_connect(c, LO, SERVER));
	HELD(TCP, .port = p, MINE, .kind = "bind0", .ephemeral = YES);
	close_rst(c);
	ENDED(TCP, .port = p, .kind = "bind0");
	close(l);
}

/* Trap 8: the same failure, opposite results. */
static void tcp_bind_refused(void)
{
	int named = tcp4(), chosen = tcp4();
	uint16_t p = bound(chosen, LO, 0);

	bound(named, LO, 45003);
	HELD(TCP, .port = p, .kind = "bind0");
	MUST_FAIL(ECONNREFUSED, try_connect(chosen, LO, NOBODY_LISTENS));
	MUST_FAIL(ECONNREFUSED, try_connect(named, LO, NOBODY_LISTENS));
	ENDED(TCP, .port = p, .kind = "bind0", MINE);
	HELD(TCP, .port = 45003, .kind = "bind", MINE);
	MUST_FAIL(ECONNREFUSED, try_connect(named, LO, NOBODY_LISTENS));
	HELD(TCP, .port = 45003, .kind = "bind", MINE);
	close(named);
	close(chosen);
	ENDED(TCP, .port = 45003, .kind = "bind", MINE);
	ENDED(TCP, .port = p);
}

static void tcp_bind_no_port(void)
{
	int l = listener_at(LO, SERVER), c = tcp4();

	set_opt(c, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, 1);
	bound(c, "127.0.0.2", 0);
	NOTHING(TCP, .laddr = "127.0.0.2");
	MUST(try_connect(c, LO, SERVER));
	HELD(TCP, .port = port_of(c), MINE, .kind = "connect", .ephemeral = YES, .laddr = "127.0.0.2");
	close_rst(c);
	ENDED(TCP, .kind = "connect", MINE);
	close(l);
}

/* Bound with the option and never connected: there never was a port. */
static void tcp_bind_no_port_close(void)
{
	int c = tcp4();

	set_opt(c, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, 1);
	bound(c, LO, 0);
	close(c);
	EMPTY();
}

static void tcp_listen_after_bind(void)
{
	int s = tcp4();
	uint16_t p = bound(s, LO, 0);

	HELD(TCP, .port = p, .kind = "bind0");
	MUST(listen(s, 4));
	HELD(TCP, .port = p, .kind = "bind0", MINE);
	MUST(listen(s, 8));
	HELD(TCP, .port = p, .kind = "bind0", MINE);
	close(s);
	ENDED(TCP, .port = p, .kind = "bind0");
}

static void tcp_listen_unbound(void)
{
	int s = tcp4();
	uint16_t p;

	MUST(listen(s, 4));
	p = port_of(s);
	HELD(TCP, .port = p, MINE, .kind = "listen", .ephemeral = YES, .owner_src = "process", .laddr = "0.0.0.0");
	close(s);
	ENDED(TCP, .port = p, .kind = "listen");
}

static void tcp_listen_shutdown(void)
{
	int named = tcp4(), chosen = tcp4(), unbound = tcp4();
	uint16_t p = bound(chosen, LO, 0), q;

	bound(named, LO, 45004);
	MUST(listen(named, 4));
	MUST(listen(chosen, 4));
	MUST(listen(unbound, 4));
	q = port_of(unbound);
	HELD(TCP, .port = p);
	HELD(TCP, .port = q);
	MUST(shutdown(named, SHUT_RDWR));
	MUST(shutdown(chosen, SHUT_RDWR));
	MUST(shutdown(unbound, SHUT_RDWR));
	HELD(TCP, .port = 45004, .kind = "bind", MINE);
	ENDED(TCP, .port = p, .kind = "bind0", MINE);
	ENDED(TCP, .port = q, .kind = "listen", MINE);
	MUST(listen(named, 4));
	MUST(listen(unbound, 4));
	HELD(TCP, .port = 45004, .kind = "bind", MINE);
	HELD(TCP, .port = port_of(unbound), .kind = "listen", MINE);
	close(named);
	close(unbound);
	close(chosen);
	ENDED(TCP, .port = 45004, .kind = "bind");
	ENDED(TCP, .kind = "listen", .n = 2);
}

/* Nobody's before accept: it shows its listener's owner, and goes with the listener. */
static void tcp_unaccepted_child(void)
{
	int l = listener_at(LO, SERVER), c[5];

	for (int i = 0; i < 5; i++)
		c[i] = client_to(LO, SERVER);
	HELD(TCP, .port = SERVER, .kind = "accept", .n = 5, .total = 6, .owner_src = for_tier('c', "null", "listener"),
	     .pid = self.tier == 'c' ? NOBODY : getpid());
	close(l);
	ENDED(TCP, .port = SERVER, .n = 6);
	ENDED(TCP, .port = SERVER, .kind = "accept", .n = 5, .total = 6, .reason = "reset");
	ENDED(TCP, .kind = "connect", .rport = SERVER, .n = 5, .reason = "reset");
	for (int i = 0; i < 5; i++)
		close(c[i]);
}

static void tcp_child_outlives_listener(void)
{
	int l = listener_at(LO, SERVER), c = client_to(LO, SERVER);
	int s = accept_one(l);

	HELD(TCP, .port = SERVER, .kind = "accept", .total = 2, MINE, .owner_src = "accept", .accepted = YES,
	     .rport = port_of(c));
	close(l);
	HELD(TCP, .port = SERVER, .kind = "accept", MINE);
	close_rst(s);
	ENDED(TCP, .port = SERVER, .n = 2, MINE);
	close(c);
}

/* The third ACK alone makes no child: a request holds nothing. */
static void tcp_defer_accept(void)
{
	int l = tcp4(), c, s;

	bound(l, LO, SERVER);
	set_opt(l, IPPROTO_TCP, TCP_DEFER_ACCEPT, 30);
	MUST(listen(l, 8));
	c = client_to(LO, SERVER);
	HELD(TCP, .port = SERVER, .kind = "bind");
	MUST(send(c, "x", 1, 0));
	s = accept_one(l);
	HELD(TCP, .port = SERVER, .kind = "accept", .total = 2, MINE);
	close_rst(s);
	HELD(TCP, .port = SERVER, .kind = "bind");
	close(c);
	close(l);
	ENDED(TCP, .port = SERVER, .n = 2);
}

static void tcp_reuseport(void)
{
	int s[3];

	for (int i = 0; i < 3; i++) {
		s[i] = tcp4();
		set_opt(s[i], SOL_SOCKET, SO_REUSEPORT, 1);
		bound(s[i], LO, 45005);
		MUST(listen(s[i], 4));
		HELD(TCP, .port = 45005, .n = i + 1, MINE, .kind = "bind");
	}
	for (int i = 0; i < 3; i++) {
		close(s[i]);
		if (i < 2)
			HELD(TCP, .port = 45005, .n = 2 - i, MINE);
	}
	ENDED(TCP, .port = 45005, .n = 3);
}

/* Trap 14: one ephemeral port, two destinations, no option set. */
static void tcp_shared_ephemeral(void)
{
	int l1 = listener_at(LO, SERVER), l2 = listener_at(LO, SERVER + 1), c1, c2;

	port_range(41400, 41400);
	c1 = client_to(LO, SERVER);
	c2 = client_to(LO, SERVER + 1);
	CHECK(port_of(c1) == 41400 && port_of(c2) == 41400, "the kernel gave %u and %u", port_of(c1), port_of(c2));
	HELD(TCP, .port = 41400, .kind = "connect", .n = 2, MINE);
	close_rst(c1);
	HELD(TCP, .port = 41400, .kind = "connect", .rport = SERVER + 1, MINE);
	close_rst(c2);
	ENDED(TCP, .port = 41400, .kind = "connect", .n = 2);
	close(l1);
	close(l2);
}

static void tcp_address_sharing(void)
{
	int a = tcp4(), b = tcp4();

	bound(a, LO, 45006);
	bound(b, "127.0.0.2", 45006);
	HELD(TCP, .port = 45006, .n = 2, MINE);
	HELD(TCP, .port = 45006, .total = 2, .laddr = "127.0.0.2");
	close(a);
	HELD(TCP, .port = 45006, .laddr = "127.0.0.2");
	close(b);
	ENDED(TCP, .port = 45006, .n = 2);
}

/* The port is bound twice, the second connect to the same peer fails: both keep it. */
static void tcp_four_tuple_clash(void)
{
	int l = listener_at(LO, SERVER), a = tcp4(), b = tcp4();

	set_opt(a, SOL_SOCKET, SO_REUSEADDR, 1);
	set_opt(b, SOL_SOCKET, SO_REUSEADDR, 1);
	bound(a, LO, 45007);
	bound(b, LO, 45007);
	MUST(try_connect(a, LO, SERVER));
	MUST_FAIL(EADDRNOTAVAIL, try_connect(b, LO, SERVER));
	HELD(TCP, .port = 45007, .n = 2, .kind = "bind", MINE);
	close(b);
	HELD(TCP, .port = 45007, .kind = "bind", MINE);
	close_rst(a);
	ENDED(TCP, .port = 45007, .n = 2);
	close(l);
}

static void tcp_disconnect_unspec(void)
{
	int l = listener_at(LO, SERVER), c = client_to(LO, SERVER), named = tcp4();
	uint16_t p = port_of(c);

	bound(named, LO, 45008);
	MUST(try_connect(named, LO, SERVER));
	HELD(TCP, .port = p, MINE);
	MUST(disconnect(c));
	MUST(disconnect(named));
	ENDED(TCP, .port = p, .reason = "disconnect", MINE);
	HELD(TCP, .port = 45008, .kind = "bind", MINE);
	/* Both live on: the one gets a new port, the other keeps its own. */
	MUST(try_connect(c, LO, SERVER));
	MUST(try_connect(named, LO, SERVER));
	HELD(TCP, .port = port_of(c), .kind = "connect", MINE);
	HELD(TCP, .port = 45008, .kind = "bind", MINE);
	close_rst(c);
	close_rst(named);
	ENDED(TCP, .port = 45008, .kind = "bind");
	ENDED(TCP, .kind = "connect", .n = 2, MINE);
	close(l);
}

/* Peer closes first: CLOSE_WAIT and LAST_ACK hold, then the client's port is free at once. */
static void tcp_close_wait(void)
{
	int l = listener_at(LO, SERVER), c = tcp4(), s;

	bound(c, LO, 45009);
	MUST(try_connect(c, LO, SERVER));
	s = accept_one(l);
	close(s);
	read_eof(c);
	HELD(TCP, .port = 45009, .kind = "bind", MINE);
	close(c);
	ENDED(TCP, .port = 45009, .kind = "bind", .time_wait = NO, MINE);
	/* Trap 21: the passive side paid nothing, the listener's port waits. */
	HELD(TCP, .port = SERVER, .kind = "accept", .total = 2, .time_wait = YES, MINE);
	close(l);
	HELD(TCP, .port = SERVER, .kind = "accept", .time_wait = YES, MINE);
}

static void tcp_close_unread(void)
{
	int l = listener_at(LO, SERVER), c = client_to(LO, SERVER);
	int s = accept_one(l);
	uint16_t p = port_of(c);

	MUST(send(s, "unread", 6, 0));
	HELD(TCP, .port = p);
	close(c);
	ENDED(TCP, .port = p, .time_wait = NO);
	close(s);
	close(l);
	ENDED(TCP, .port = SERVER, .n = 2);
}

/* A one-port range makes the socket connect to itself. */
static void tcp_self_connect(void)
{
	int named = tcp4(), c = tcp4();

	bound(named, LO, 45010);
	MUST(try_connect(named, LO, 45010));
	HELD(TCP, .port = 45010, .kind = "bind", MINE);
	close_rst(named);
	ENDED(TCP, .port = 45010, .rport = 45010);
	port_range(41600, 41600);
	MUST(try_connect(c, LO, 41600));
	HELD(TCP, .port = 41600, .kind = "connect", .rport = 41600, MINE);
	close_rst(c);
	ENDED(TCP, .port = 41600);
}

static void tcp_v6(void)
{
	int l, c, s;

	if (!have_ipv6())
		skip("no IPv6 here");
	l = listener_at("::1", SERVER);
	c = client_to("::1", SERVER);
	HELD(TCP, .port = port_of(c), .family = "ipv6", .kind = "connect", .raddr = "::1", .laddr = "::1", .rport = SERVER, MINE);
	s = accept_one(l);
	HELD(TCP, .port = SERVER, .kind = "accept", .total = 2, .family = "ipv6", .rport = port_of(c), MINE);
	close_rst(c);
	close(s);
	close(l);
	ENDED(TCP, .port = SERVER, .n = 2, .family = "ipv6");
	ENDED(TCP, .kind = "connect", .family = "ipv6");
}

static void tcp_v4_mapped(void)
{
	int l = listener_at(LO, SERVER), c, b;
	uint16_t p;

	if (!have_ipv6())
		skip("no IPv6 here");
	c = client_to("::ffff:127.0.0.1", SERVER);
	p = port_of(c);
	HELD(TCP, .port = p, .kind = "connect", .rport = SERVER, MINE, .ephemeral = YES);
	close_rst(c);
	ENDED(TCP, .port = p);
	b = tcp6();
	p = bound(b, "::ffff:127.0.0.1", 0);
	HELD(TCP, .port = p, .kind = "bind0", MINE);
	close(b);
	ENDED(TCP, .port = p);
	close(l);
}

static void tcp_dual_stack(void)
{
	int l, four, six, s[2];

	if (!have_ipv6())
		skip("no IPv6 here");
	l = listener_at("::", SERVER);
	HELD(TCP, .port = SERVER, .kind = "bind", .laddr = "::", .family = "ipv6", MINE);
	four = client_to(LO, SERVER);
	six = client_to("::1", SERVER);
	s[0] = accept_one(l);
	s[1] = accept_one(l);
	HELD(TCP, .port = SERVER, .kind = "accept", .n = 2, .total = 3, .owner_src = "accept", MINE);
	HELD(TCP, .port = SERVER, .kind = "accept", .total = 3, .rport = port_of(four));
	close_rst(four);
	close_rst(six);
	close(s[0]);
	close(s[1]);
	HELD(TCP, .port = SERVER, .kind = "bind");
	close(l);
	ENDED(TCP, .port = SERVER, .n = 3);
}

static void tcp_v6only_beside_v4(void)
{
	int four = tcp4(), six;

	if (!have_ipv6())
		skip("no IPv6 here");
	six = tcp6();
	set_opt(six, IPPROTO_IPV6, IPV6_V6ONLY, 1);
	bound(four, "0.0.0.0", 45011);
	bound(six, "::", 45011);
	HELD(TCP, .port = 45011, .n = 2, MINE);
	HELD(TCP, .port = 45011, .family = "ipv6", .total = 2);
	close(four);
	HELD(TCP, .port = 45011, .family = "ipv6");
	close(six);
	ENDED(TCP, .port = 45011, .n = 2);
}

static void tcp_fast_open(void)
{
	int l, c = tcp4();
	uint16_t p;

	if (!sysctl_try("ipv4/tcp_fastopen", "3"))
		skip("no TCP fast open in a network namespace");
	l = listener_at(LO, SERVER);
	set_opt(l, IPPROTO_TCP, TCP_FASTOPEN, 16);
	for (int i = 0; i < 2; i++) {
		/* The first one asks for the cookie, the second sends with the SYN. */
		if (i)
			c = tcp4();
		MUST(try_sendto(c, LO, SERVER, MSG_FASTOPEN));
		p = port_of(c);
		HELD(TCP, .port = p, .kind = "connect", .ephemeral = YES, .rport = SERVER, MINE);
		close_rst(c);
		ENDED(TCP, .port = p, .kind = "connect");
	}
	close(l);
	ENDED(TCP, .port = SERVER, .n = 3);
}

/* Trap 17: kernel pointers come back within milliseconds, ids must not. */
static void tcp_thousand_sockets(void)
{
	for (int i = 0; i < 1000; i++) {
		int s = tcp4();

		bound(s, LO, 0);
		close(s);
	}
	ENDED(TCP, .kind = "bind0", .n = 1000, MINE);
}

static void tcp_local_port_range(void)
{
	uint32_t range = 41500u << 16 | 41500;
	int l = listener_at(LO, SERVER), s = tcp4(), c = tcp4(), late = tcp4();

	if (setsockopt(s, IPPROTO_IP, IP_LOCAL_PORT_RANGE, &range, sizeof(range)))
		skip("no IP_LOCAL_PORT_RANGE: %s", strerror(errno));
	set_opt(late, IPPROTO_IP, IP_LOCAL_PORT_RANGE, (int)range);
	set_opt(c, IPPROTO_IP, IP_LOCAL_PORT_RANGE, (int)range);
	CHECK(bound(s, LO, 0) == 41500, "the kernel gave %u", port_of(s));
	HELD(TCP, .port = 41500, .kind = "bind0", .ephemeral = YES, MINE);
	MUST_FAIL(EADDRINUSE, try_bind(late, LO, 0));
	REFUSED(TCP, .err = "EADDRINUSE", .kind = "bind0", MINE);
	close(s);
	MUST(try_connect(c, LO, SERVER));
	HELD(TCP, .port = 41500, .kind = "connect", .ephemeral = YES, MINE);
	MUST_FAIL(EADDRNOTAVAIL, try_connect(late, LO, SERVER));
	REFUSED(TCP, .err = "EADDRNOTAVAIL", .kind = "connect", MINE);
	close_rst(c);
	ENDED(TCP, .port = 41500, .n = 2);
	close(late);
	close(l);
}

/* The times of a lease are the wall clock's, and say what happened. */
static void tcp_times(void)
{
	const int64_t slack = 500 * 1000000LL;
	int64_t before = now_ns(CLOCK_REALTIME), after;
	int s = tcp4();
	uint16_t p = bound(s, LO, 0);
	struct lease l;

	sleep_ms(300);
	close(s);
	after = now_ns(CLOCK_REALTIME);
	ENDED(TCP, .port = p);
	l = LEASE(TCP, .port = p);
	CHECK(l.start > before - slack && l.start < after + slack, "start is %lld ms off", (long long)(l.start - before) / 1000000);
	CHECK(l.end > before - slack && l.end < after + slack, "end is %lld ms off", (long long)(l.end - after) / 1000000);
	CHECK(l.duration_us >= 300000 && l.duration_us <= (after - before) / 1000, "%lld us for a lease of 300 ms", (long long)l.duration_us);
}

#endif
