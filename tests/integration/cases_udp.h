/* SPDX-License-Identifier: GPL-2.0 */
/*
 * UDP and UDP-Lite: bind, the two ways to get a port without asking, and the
 * disconnect that gives it back with the descriptor open.
 */
#ifndef PORTLIFE_TEST_CASES_UDP_H
#define PORTLIFE_TEST_CASES_UDP_H

#include "expect.h"

#define PEER 45100	/* UDP needs nobody there */

static void udp_bind0(void)
{
	int s = udp4();
	uint16_t p = bound(s, LO, 0);

	HELD(UDP, .port = p, MINE, .tid = getpid(), .kind = "bind0", .ephemeral = YES, .laddr = LO, .owner_src = "process",
	     .family = "ipv4");
	close(s);
	ENDED(UDP, .port = p, .kind = "bind0", .reason = "close", .evidence = "event", MINE);
}

static void udp_bind_port(void)
{
	int s = udp4();

	bound(s, "0.0.0.0", 45101);
	HELD(UDP, .port = 45101, MINE, .kind = "bind", .ephemeral = NO, .laddr = "0.0.0.0");
	MUST(try_connect(s, LO, PEER));
	MUST(try_connect(s, LO, PEER + 1));
	HELD(UDP, .port = 45101, MINE, .kind = "bind");
	close(s);
	ENDED(UDP, .port = 45101, .kind = "bind", .reason = "close");
}

static void udp_connect(void)
{
	int s = udp4();
	uint16_t p;

	MUST(try_connect(s, LO, PEER));
	p = port_of(s);
	HELD(UDP, .port = p, MINE, .kind = "connect", .ephemeral = YES, .owner_src = "process");
	/* Another peer, the same port. */
	MUST(try_connect(s, LO, PEER + 1));
	HELD(UDP, .port = p, MINE, .kind = "connect");
	close(s);
	ENDED(UDP, .port = p, .kind = "connect", .reason = "close", .evidence = "event");
}

static void udp_sendto(void)
{
	int s = udp4();
	uint16_t p;

	MUST(try_sendto(s, LO, PEER, 0));
	p = port_of(s);
	HELD(UDP, .port = p, MINE, .kind = "send", .ephemeral = YES, .owner_src = "process");
	MUST(try_sendto(s, LO, PEER + 1, 0));
	MUST(try_connect(s, LO, PEER));
	HELD(UDP, .port = p, MINE, .kind = "send");
	close(s);
	ENDED(UDP, .port = p, .kind = "send", .reason = "close");
}

static void udp_v6(void)
{
	static const char *const kinds[] = { "bind0", "connect", "send" };
	uint16_t p;
	int s;

	if (!have_ipv6())
		skip("no IPv6 here");
	for (int i = 0; i < 3; i++) {
		s = udp6();
		if (i == 0)
			MUST(try_bind(s, "::1", 0));
		else if (i == 1)
			MUST(try_connect(s, "::1", PEER));
		else
			MUST(try_sendto(s, "::1", PEER, 0));
		p = port_of(s);
		HELD(UDP, .port = p, MINE, .kind = kinds[i], .family = "ipv6", .ephemeral = YES);
		close(s);
		ENDED(UDP, .port = p, .kind = kinds[i], .family = "ipv6");
	}
}

static void udp_v4_mapped(void)
{
	static const char *const kinds[] = { "bind0", "connect", "send" };
	uint16_t p;
	int s;

	if (!have_ipv6())
		skip("no IPv6 here");
	for (int i = 0; i < 3; i++) {
		s = udp6();
		if (i == 0)
			MUST(try_bind(s, "::ffff:127.0.0.1", 0));
		else if (i == 1)
			MUST(try_connect(s, "::ffff:127.0.0.1", PEER));
		else
			MUST(try_sendto(s, "::ffff:127.0.0.1", PEER, 0));
		p = port_of(s);
		HELD(UDP, .port = p, MINE, .kind = kinds[i], .ephemeral = YES);
		close(s);
		ENDED(UDP, .port = p, .kind = kinds[i]);
	}
}

static void udp_dual_stack(void)
{
	int six, four = udp4();

	if (!have_ipv6())
		skip("no IPv6 here");
	six = udp6();
	bound(six, "::", 45102);
	HELD(UDP, .port = 45102, .laddr = "::", .family = "ipv6", MINE);
	MUST_FAIL(EADDRINUSE, try_bind(four, "0.0.0.0", 45102));
	REFUSED(UDP, .port = 45102, .err = "EADDRINUSE", .kind = "bind", MINE);
	close(six);
	ENDED(UDP, .port = 45102);
	close(four);
}

static void udp_reuse(void)
{
	int port_a = udp4(), port_b = udp4(), addr_a = udp4(), addr_b = udp4();

	set_opt(port_a, SOL_SOCKET, SO_REUSEPORT, 1);
	set_opt(port_b, SOL_SOCKET, SO_REUSEPORT, 1);
	set_opt(addr_a, SOL_SOCKET, SO_REUSEADDR, 1);
	set_opt(addr_b, SOL_SOCKET, SO_REUSEADDR, 1);
	bound(port_a, LO, 45103);
	bound(port_b, LO, 45103);
	bound(addr_a, LO, 45104);
	bound(addr_b, LO, 45104);
	HELD(UDP, .port = 45103, .n = 2, MINE);
	HELD(UDP, .port = 45104, .n = 2, MINE);
	close(port_a);
	close(addr_b);
	HELD(UDP, .port = 45103, MINE);
	HELD(UDP, .port = 45104, MINE);
	close(port_b);
	close(addr_a);
	ENDED(UDP, .port = 45103, .n = 2);
	ENDED(UDP, .port = 45104, .n = 2);
}

static void udp_lite(void)
{
	static const char *const kinds[] = { "bind0", "bind", "connect", "send" };
	uint16_t p;
	int s;

	for (int i = 0; i < 4; i++) {
		s = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, IPPROTO_UDPLITE);
		if (s < 0)
			skip("no UDP-Lite: %s", strerror(errno));
		if (i == 2)
			MUST(try_connect(s, LO, PEER));
		else if (i == 3)
			MUST(try_sendto(s, LO, PEER, 0));
		else
			MUST(try_bind(s, LO, i ? 45105 : 0));
		p = port_of(s);
		HELD(.proto = "udplite", .port = p, MINE, .kind = kinds[i], .ephemeral = i == 1 ? NO : YES);
		close(s);
		ENDED(.proto = "udplite", .port = p, .kind = kinds[i], .reason = "close");
	}
	NOTHING(UDP);
}

/* Trap 1: the kernel may inline the function that everybody hooks. */
static void udp_disconnect_bind0(void)
{
	int s = udp4();
	uint16_t p = bound(s, LO, 0);

	MUST(try_connect(s, LO, PEER));
	HELD(UDP, .port = p, MINE, .kind = "bind0");
	MUST(disconnect(s));
	ENDED(UDP, .port = p, MINE, .kind = "bind0", .reason = "disconnect");
	/* And again: another lease, another port perhaps. */
	MUST(try_sendto(s, LO, PEER, 0));
	HELD(UDP, .port = port_of(s), MINE, .kind = "send");
	close(s);
	ENDED(UDP, MINE, .kind = "send", .reason = "close");
}

static void udp_disconnect_connect(void)
{
	int s = udp4();
	uint16_t p;

	MUST(try_connect(s, LO, PEER));
	p = port_of(s);
	HELD(UDP, .port = p, MINE, .kind = "connect");
	MUST(disconnect(s));
	ENDED(UDP, .port = p, MINE, .kind = "connect", .reason = "disconnect");
	MUST(try_connect(s, LO, PEER));
	HELD(UDP, .port = port_of(s), MINE, .kind = "connect");
	close(s);
	ENDED(UDP, MINE, .kind = "connect", .n = 2);
}

static void udp_disconnect_bind_port(void)
{
	int s = udp4();

	bound(s, LO, 45106);
	MUST(try_connect(s, LO, PEER));
	MUST(disconnect(s));
	HELD(UDP, .port = 45106, MINE, .kind = "bind");
	close(s);
	ENDED(UDP, .port = 45106, MINE, .reason = "close");
}

static void udp_disconnect_v6(void)
{
	int s;
	uint16_t p;

	if (!have_ipv6())
		skip("no IPv6 here");
	s = udp6();
	p = bound(s, "::1", 0);
	MUST(try_connect(s, "::1", PEER));
	HELD(UDP, .port = p, MINE);
	MUST(disconnect(s));
	ENDED(UDP, .port = p, MINE);
	close(s);
}

static void udp_thousand_sockets(void)
{
	for (int i = 0; i < 1000; i++) {
		int s = udp4();

		MUST(try_connect(s, LO, PEER));
		close(s);
	}
	ENDED(UDP, .kind = "connect", .n = 1000, MINE);
}

/* What was asked for, and no port given for it, is not what the port that comes later was asked for by. */
static void udp_asked_before(void)
{
	int no_port = udp4(), off = udp4();
	uint16_t p;

	set_opt(no_port, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, 1);
	MUST(try_bind(no_port, LO, 0));
	MUST(try_sendto(no_port, LO, PEER, 0));
	p = port_of(no_port);
	HELD(UDP, .port = p, MINE, .kind = "send", .ephemeral = YES);
	MUST(disconnect(no_port));
	ENDED(UDP, .port = p, MINE, .kind = "send", .reason = "disconnect");
	close(no_port);
	MUST(disconnect(off));
	MUST(try_sendto(off, LO, PEER, 0));
	p = port_of(off);
	HELD(UDP, .port = p, MINE, .kind = "send", .ephemeral = YES);
	close(off);
	ENDED(UDP, .port = p, MINE, .kind = "send", .reason = "close");
}

/* A socket without a port ever. */
static void udp_unused(void)
{
	int s = udp4();

	MUST(disconnect(s));
	close(s);
	EMPTY();
}

/* Things that look like ports to a naive reader of struct sock: trap 16. */
static void no_ports_at_all(void)
{
	int raw_udp = (int)MUST(socket(AF_INET, SOCK_RAW | SOCK_CLOEXEC, IPPROTO_UDP));
	int raw_icmp = (int)MUST(socket(AF_INET, SOCK_RAW | SOCK_CLOEXEC, IPPROTO_ICMP));
	int ping_bound, ping_sent, pair[2];
	struct { uint8_t type, code; uint16_t sum, id, seq; } echo = { .type = 8 };
	union addr to = addr_of(AF_INET, LO, 0);

	MUST(try_bind(raw_udp, LO, 45107));
	MUST(try_connect(raw_icmp, LO, 0));
	sysctl_set("ipv4/ping_group_range", "0 0");
	ping_bound = (int)MUST(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, IPPROTO_ICMP));
	ping_sent = (int)MUST(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, IPPROTO_ICMP));
	MUST(try_bind(ping_bound, LO, 0));
	MUST(sendto(ping_sent, &echo, sizeof(echo), 0, &to.sa, sizeof(to.v4)));
	MUST(socketpair(AF_UNIX, SOCK_STREAM, 0, pair));
	EMPTY();
	close(ping_bound);
	close(ping_sent);
	close(raw_udp);
	close(raw_icmp);
	EMPTY();
}

#endif
