/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Cases that make their sockets before the recorder starts: what is held then
 * shows as port.open, and its end as one release; calls that block across the
 * start are not lost.
 */
#ifndef PORTLIFE_TEST_CASES_EARLY_H
#define PORTLIFE_TEST_CASES_EARLY_H

#include "cases_owner.h"
#include "cases_tw.h"

#define OPEN .kind = "unknown", .owner_src = "snapshot"

static void early_udp(void)
{
	int chosen = udp4(), named = udp4(), connected = udp4();
	uint16_t p = bound(chosen, LO, 0), c;

	bound(named, "0.0.0.0", 45401);
	MUST(try_connect(connected, LO, PEER));
	c = port_of(connected);
	recorder_runs();
	HELD(UDP, .port = p, OPEN, MINE, .laddr = LO);
	HELD(UDP, .port = 45401, OPEN, MINE, .laddr = "0.0.0.0");
	HELD(UDP, .port = c, OPEN, MINE, .raddr = LO, .rport = PEER);
	close(chosen);
	close(named);
	MUST(disconnect(connected));
	ENDED(UDP, .port = p, MINE);
	ENDED(UDP, .port = 45401, MINE);
	ENDED(UDP, .port = c, MINE);
	close(connected);
}

/* On its way from one process to another, or the kernel's: no file tells of it, whatever else there is. */
static void early_udp_no_file(void)
{
	int open = udp4(), sent = udp4(), pair[2];
	uint16_t p = bound(open, LO, 0), q = bound(sent, LO, 0);
	struct kid mail = { 0 };

	MUST(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair));
	mail.fd = pair[0];
	send_fd(&mail, sent);
	close(sent);
	recorder_runs();
	HELD(UDP, .port = p, OPEN, MINE);
	HELD(UDP, .port = q, .kind = "unknown", .pid = NOBODY, .owner_src = NULL_STRING);
	close(pair[1]);
	close(open);
	ENDED(UDP, .port = p, MINE);
	ENDED(UDP, .port = q);
	close(pair[0]);
}

/* Bound and idle: in no table of the kernel's, only among the open files. */
static void early_tcp_idle(void)
{
	int chosen = tcp4(), named = tcp4(), l;
	uint16_t p = bound(chosen, LO, 0);

	bound(named, LO, 45402);
	recorder_runs();
	HELD(TCP, .port = p, OPEN, MINE, .laddr = LO);
	HELD(TCP, .port = 45402, OPEN, MINE);
	/* What goes on from here is the same lease. */
	l = listener_at(LO, SERVER);
	MUST(try_connect(chosen, LO, SERVER));
	MUST(listen(named, 4));
	HELD(TCP, .port = p, OPEN, MINE);
	HELD(TCP, .port = 45402, OPEN, MINE);
	close_rst(chosen);
	close(named);
	ENDED(TCP, .port = p, MINE);
	ENDED(TCP, .port = 45402, MINE);
	close(l);
}

static void early_tcp_connection(void)
{
	int l = listener_at(LO, SERVER), c = client_to(LO, SERVER), s = accept_one(l), waiting = client_to(LO, SERVER);
	uint16_t p = port_of(c), w = port_of(waiting);

	recorder_runs();
	HELD(TCP, .port = p, OPEN, MINE, .raddr = LO, .rport = SERVER);
	HELD(TCP, .port = w, OPEN, MINE, .rport = SERVER);
	HELD(TCP, .port = SERVER, .n = 3, .kind = "unknown");
	HELD(TCP, .port = SERVER, .total = 3, OPEN, MINE, .rport = p);
	close_rst(c);
	HELD(TCP, .port = SERVER, .n = 2, .kind = "unknown");
	ENDED(TCP, .port = p, MINE);
	close(s);
	close(l);
	ENDED(TCP, .port = SERVER, .n = 3);
	close(waiting);
	ENDED(TCP, .port = w, MINE);
}

static void early_v6(void)
{
	int u, t, l, c;
	uint16_t p, q, r;

	if (!have_ipv6())
		skip("no IPv6 here");
	u = udp6();
	t = tcp6();
	p = bound(u, "::1", 0);
	q = bound(t, "::1", 0);
	l = listener_at("::1", SERVER);
	c = client_to("::1", SERVER);
	r = port_of(c);
	recorder_runs();
	HELD(UDP, .port = p, OPEN, MINE, .family = "ipv6", .laddr = "::1");
	HELD(TCP, .port = q, OPEN, MINE, .family = "ipv6", .laddr = "::1");
	HELD(TCP, .port = r, OPEN, MINE, .family = "ipv6", .raddr = "::1");
	close(u);
	close(t);
	close_rst(c);
	close(l);
	ENDED(UDP, .port = p);
	ENDED(TCP, .port = q);
	ENDED(TCP, .port = r);
	ENDED(TCP, .port = SERVER, .n = 2);
}

/* Whose it was cannot be known any more; that it is held can. */
static void early_time_wait(void)
{
	int l = listener_at(LO, SERVER), c = client_to(LO, SERVER), s = accept_one(l);
	uint16_t p = port_of(c);

	close(c);
	read_eof(s);
	close(s);
	close(l);
	recorder_runs();
	HELD(TCP, .port = p, .kind = "unknown", .pid = NOBODY, .owner_src = NULL_STRING);
}

static void early_time_wait_minute(void)
{
	int l = listener_at(LO, SERVER), c = client_to(LO, SERVER), s = accept_one(l);
	uint16_t p = port_of(c);
	int64_t began, left;

	close(c);
	began = now_ns(CLOCK_MONOTONIC);
	read_eof(s);
	close(s);
	close(l);
	recorder_runs();
	HELD(TCP, .port = p, .kind = "unknown", .pid = NOBODY);
	/* An emulated machine may need a good part of the minute to start the recorder. */
	left = 50000 - (now_ns(CLOCK_MONOTONIC) - began) / 1000000;
	if (left > 0) {
		sleep_ms((int)left);
		HELD(TCP, .port = p, .kind = "unknown", .pid = NOBODY);
	}
	ENDED(TCP, .port = p, .reason = "time_wait", .patience_s = 20 + MINUTE_PATIENCE);
}

/* One socket in two processes is one lease. */
static void early_shared_socket(void)
{
	int s = tcp4();
	uint16_t p = bound(s, LO, 0);
	struct kid k = kid_start_sharing(hold_inherited, NULL);

	recorder_runs();
	HELD(TCP, .port = p, OPEN);
	close(s);
	HELD(TCP, .port = p, OPEN);
	say(&k, 0);
	kid_wait(&k);
	ENDED(TCP, .port = p);
}

/* The port is given back and taken again after the start: a life before, a life since. */
static void early_then_again(void)
{
	int s = tcp4(), u = udp4();

	bound(s, LO, 45403);
	bound(u, LO, 45403);
	recorder_runs();
	close(s);
	close(u);
	FREE(TCP, .port = 45403);
	FREE(UDP, .port = 45403);
	s = tcp4();
	u = udp4();
	bound(s, LO, 45403);
	bound(u, LO, 45403);
	HELD(TCP, .port = 45403, .kind = "bind", MINE);
	HELD(UDP, .port = 45403, .kind = "bind", MINE);
	close(s);
	close(u);
	ENDED(TCP, .port = 45403, .n = 2);
	ENDED(UDP, .port = 45403, .n = 2);
}

/* Trap 10: a call entered before the hooks were there ends after. */
static void early_blocked_accept(void)
{
	struct kid k = kid_start(accepting_worker, NULL);
	int l = listener_at(LO, SERVER), c;

	send_fd(&k, l);
	hear(&k);
	recorder_runs();
	c = client_to(LO, SERVER);
	hear(&k);
	HELD(TCP, .port = SERVER, .kind = "accept", .total = 2, .pid = k.pid, .owner_src = "accept", .accepted = YES);
	say(&k, 0);
	kid_wait(&k);
	close(c);
	close(l);
	ENDED(TCP, .port = SERVER, .n = 2);
}

/* In the backlog when the recorder started, accepted later. */
static void early_backlog(void)
{
	struct kid k = kid_start(accepting_worker, NULL);
	int l = listener_at(LO, SERVER), c = client_to(LO, SERVER);

	recorder_runs();
	HELD(TCP, .port = SERVER, .n = 2, .kind = "unknown");
	send_fd(&k, l);
	hear(&k);
	hear(&k);
	HELD(TCP, .port = SERVER, .total = 2, .kind = "unknown", .pid = k.pid, .owner_src = "accept", .accepted = YES);
	say(&k, 0);
	kid_wait(&k);
	close(c);
	close(l);
	ENDED(TCP, .port = SERVER, .n = 2);
}

/* Trap 16, found by looking: the number of a raw socket is its protocol. */
static void early_no_ports(void)
{
	int raw_udp = (int)MUST(socket(AF_INET, SOCK_RAW | SOCK_CLOEXEC, IPPROTO_UDP));
	int raw_tcp = (int)MUST(socket(AF_INET6, SOCK_RAW | SOCK_CLOEXEC, IPPROTO_TCP));

	recorder_runs();
	MUST(try_connect(raw_udp, LO, 0));
	EMPTY();
	close(raw_udp);
	close(raw_tcp);
	EMPTY();
}

#endif
