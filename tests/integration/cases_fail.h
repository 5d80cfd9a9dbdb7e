/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Refusals: who was refused what.  The user sees EADDRINUSE, EADDRNOTAVAIL,
 * EAGAIN (UDP without a bind) or EACCES; the event carries what the user saw.
 */
#ifndef PORTLIFE_TEST_CASES_FAIL_H
#define PORTLIFE_TEST_CASES_FAIL_H

#include <grp.h>
#include "cases_udp.h"
#include "cases_tcp.h"

static void fail_connect_range_full(void)
{
	int l = listener_at(LO, SERVER), c, late = tcp4();

	port_range(41300, 41300);
	c = client_to(LO, SERVER);
	HELD(TCP, .port = 41300, .kind = "connect");
	MUST_FAIL(EADDRNOTAVAIL, try_connect(late, LO, SERVER));
	REFUSED(TCP, .err = "EADDRNOTAVAIL", .kind = "connect", MINE);
	HELD(TCP, .port = 41300, .kind = "connect", .rport = SERVER);
	close(late);
	close_rst(c);
	ENDED(TCP, .port = 41300, .kind = "connect");
	close(l);
}

static void fail_connect_range_full_v6(void)
{
	int l, c, late;

	if (!have_ipv6())
		skip("no IPv6 here");
	l = listener_at("::1", SERVER);
	late = tcp6();
	port_range(41301, 41301);
	c = client_to("::1", SERVER);
	MUST_FAIL(EADDRNOTAVAIL, try_connect(late, "::1", SERVER));
	REFUSED(TCP, .err = "EADDRNOTAVAIL", .kind = "connect", MINE);
	close(late);
	close_rst(c);
	ENDED(TCP, .port = 41301, .kind = "connect");
	close(l);
}

static void refused_bind(struct kid *up, void *arg)
{
	int s = new_socket(AF_INET, *(int *)arg);

	MUST_FAIL(EADDRINUSE, try_bind(s, LO, 45201));
	say(up, 0);
	hear(up);
}

/* Another process is refused; the holder stays. */
static void fail_bind_in_use(void)
{
	int types[] = { SOCK_STREAM, SOCK_DGRAM };

	for (int i = 0; i < 2; i++) {
		const char *proto = i ? "udp" : "tcp";
		int s = new_socket(AF_INET, types[i]);
		struct kid k;

		bound(s, LO, 45201);
		k = kid_start(refused_bind, &types[i]);
		hear(&k);
		REFUSED(.proto = proto, .port = 45201, .err = "EADDRINUSE", .kind = "bind", .pid = k.pid);
		HELD(.proto = proto, .port = 45201, MINE, .kind = "bind");
		say(&k, 0);
		kid_wait(&k);
		close(s);
		ENDED(.proto = proto, .port = 45201, MINE);
	}
}

static void fail_bind0_range_full(void)
{
	int types[] = { SOCK_STREAM, SOCK_DGRAM };

	port_range(41302, 41302);
	for (int i = 0; i < 2; i++) {
		const char *proto = i ? "udp" : "tcp";
		int s = new_socket(AF_INET, types[i]), late = new_socket(AF_INET, types[i]);

		bound(s, LO, 0);
		HELD(.proto = proto, .port = 41302, .kind = "bind0");
		MUST_FAIL(EADDRINUSE, try_bind(late, LO, 0));
		REFUSED(.proto = proto, .err = "EADDRINUSE", .kind = "bind0", MINE);
		close(late);
		close(s);
		ENDED(.proto = proto, .port = 41302, .kind = "bind0");
	}
}

static void fail_udp_connect_eagain(void)
{
	int s = udp4(), late = udp4();

	port_range(41303, 41303);
	MUST(try_connect(s, LO, PEER));
	HELD(UDP, .port = 41303, .kind = "connect");
	MUST_FAIL(EAGAIN, try_connect(late, LO, PEER));
	REFUSED(UDP, .err = "EAGAIN", .kind = "connect", MINE);
	close(late);
	close(s);
	ENDED(UDP, .port = 41303, .kind = "connect");
}

static void fail_udp_sendto_eagain(void)
{
	int s = udp4(), late = udp4();

	port_range(41304, 41304);
	MUST(try_sendto(s, LO, PEER, 0));
	HELD(UDP, .port = 41304, .kind = "send");
	MUST_FAIL(EAGAIN, try_sendto(late, LO, PEER, 0));
	if (self.tier == 'c') {
		fence(__LINE__);
		sleep_ms(500);
		if (!count_fails(&(const struct want){ UDP, .err = "EAGAIN", MINE }))
			skip("known miss of tier c: the refusal of sendto");
	}
	REFUSED(UDP, .err = "EAGAIN", .kind = "send", MINE);
	close(late);
	close(s);
	ENDED(UDP, .port = 41304, .kind = "send");
}

static void fail_listen_range_full(void)
{
	int s = tcp4(), late = tcp4();

	port_range(41305, 41305);
	bound(s, "0.0.0.0", 41305);
	MUST_FAIL(EADDRINUSE, listen(late, 4));
	REFUSED(TCP, .err = "EADDRINUSE", .kind = "listen", MINE);
	close(late);
	close(s);
	ENDED(TCP, .port = 41305, .kind = "bind");
}

/* Bound with SO_REUSEADDR by two, but only one may listen. */
static void fail_listen_in_use(void)
{
	int a = tcp4(), b = tcp4();

	set_opt(a, SOL_SOCKET, SO_REUSEADDR, 1);
	set_opt(b, SOL_SOCKET, SO_REUSEADDR, 1);
	bound(a, LO, 45202);
	bound(b, LO, 45202);
	MUST(listen(a, 4));
	MUST_FAIL(EADDRINUSE, listen(b, 4));
	REFUSED(TCP, .err = "EADDRINUSE", .kind = "listen", MINE);
	HELD(TCP, .port = 45202, .n = 2, .kind = "bind");
	close(b);
	HELD(TCP, .port = 45202, .kind = "bind");
	close(a);
	ENDED(TCP, .port = 45202, .n = 2);
}

static void drop_root(uid_t uid)
{
	MUST(setgroups(0, NULL));
	MUST(setresgid(uid, uid, uid));
	MUST(setresuid(uid, uid, uid));
	/* Was cleared with the change of identity. */
	prctl(PR_SET_PDEATHSIG, SIGKILL);
}

static void unprivileged_bind(struct kid *up, void *arg)
{
	int t = tcp4(), u = udp4();

	drop_root(65534);
	MUST_FAIL(EACCES, try_bind(t, LO, 80));
	MUST_FAIL(EACCES, try_bind(u, LO, 53));
	say(up, 0);
	hear(up);
}

static void fail_privileged_port(void)
{
	struct kid k;

	sysctl_try("ipv4/ip_unprivileged_port_start", "1024");
	k = kid_start(unprivileged_bind, NULL);
	hear(&k);
	REFUSED(TCP, .port = 80, .err = "EACCES", .kind = "bind", .pid = k.pid);
	REFUSED(UDP, .port = 53, .err = "EACCES", .kind = "bind", .pid = k.pid);
	NOTHING(TCP, .port = 80);
	NOTHING(UDP, .port = 53);
	say(&k, 0);
	kid_wait(&k);
}

/* The failed attempts of a busy retry loop are told one by one. */
static void fail_many(void)
{
	int s = tcp4(), late = tcp4();

	bound(s, LO, 45203);
	for (int i = 0; i < 100; i++)
		MUST_FAIL(EADDRINUSE, try_bind(late, LO, 45203));
	REFUSED(TCP, .port = 45203, .err = "EADDRINUSE", .kind = "bind", .n = 100, MINE);
	close(s);
	MUST(try_bind(late, LO, 45203));
	HELD(TCP, .port = 45203, MINE);
	close(late);
	ENDED(TCP, .port = 45203, .n = 2);
}

/* What is refused for other reasons is nothing about ports. */
static void fail_for_other_reasons(void)
{
	int s = tcp4();
	uint16_t p;

	MUST_FAIL(ENETUNREACH, try_connect(s, "192.0.2.1", 80));
	p = bound(s, LO, 0);
	MUST_FAIL(EINVAL, try_bind(s, LO, 0));
	MUST_FAIL(EINVAL, try_bind(s, LO, 45204));
	HELD(TCP, .port = p, .kind = "bind0", MINE);
	NOTHING(TCP, .port = 45204);
	CHECK(count_fails(&(const struct want){ TCP }) == 0, "%d failures were told", count_fails(&(const struct want){ TCP }));
	close(s);
	ENDED(TCP, .port = p);
}

#endif
