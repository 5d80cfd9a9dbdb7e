/* SPDX-License-Identifier: GPL-2.0 */
/*
 * TIME_WAIT and the FIN_WAIT2 orphans that the kernel keeps in its place: the
 * port is taken although no process has it.  The slow cases live through the
 * whole 60 s; the others let the namespace's end free the port.
 */
#ifndef PORTLIFE_TEST_CASES_TW_H
#define PORTLIFE_TEST_CASES_TW_H

#include "cases_tcp.h"

#define MINUTE_PATIENCE 30	/* after 58 s; the timer wheel is coarse */

static void check_minute(const struct lease *l)
{
	int64_t s = l->time_wait_us / 1000000;

	CHECK(s >= 57 && s <= 80, "time_wait_us is %lld", (long long)l->time_wait_us);
	CHECK(l->timewaits == 1, "%u port.timewait events", l->timewaits);
}

/* Connects, closes first when told to, and is gone. */
static void client_closing_first(struct kid *up, void *arg)
{
	int c = client_to(LO, SERVER);

	say(up, port_of(c));
	hear(up);
	close(c);
}

/* The client ends, the server's FIN comes later; `s` is the accepted child. */
static uint16_t leave_client_tw(int l, pid_t *client)
{
	struct kid k = kid_start(client_closing_first, NULL);
	uint16_t p = (uint16_t)hear(&k);
	int s = accept_one(l);

	HELD(TCP, .port = p, .pid = k.pid, .kind = "connect", .owner_src = "process");
	*client = k.pid;
	say(&k, 0);
	kid_wait(&k);
	/* FIN_WAIT2 orphan: nobody's socket any more, the owner stays. */
	HELD(TCP, .port = p, .pid = *client, .time_wait = YES, .kind = "connect");
	sleep_ms(200);
	close(s);
	HELD(TCP, .port = p, .pid = *client, .time_wait = YES, .kind = "connect");
	return p;
}

/*
 * The counterexample: client and server on one host, one port number in both
 * their sockets.  Who had it is the client, until TIME_WAIT ended.
 */
static void tw_client_minute(void)
{
	int l = listener_at(LO, SERVER);
	struct lease lease;
	pid_t client;
	uint16_t p = leave_client_tw(l, &client);

	HELD(TCP, .port = SERVER, .kind = "bind");
	sleep_ms(55000);
	HELD(TCP, .port = p, .pid = client, .time_wait = YES);
	ENDED(TCP, .port = p, .pid = client, .reason = "time_wait", .kind = "connect", .patience_s = MINUTE_PATIENCE);
	lease = LEASE(TCP, .port = p);
	check_minute(&lease);
	CHECK(!strcmp(lease.raddr, LO) && lease.rport == SERVER, "it went to %s:%u", lease.raddr, lease.rport);
	CHECK(!strcmp(lease.comm, "lifecycle"), "comm is \"%s\"", lease.comm);
	close(l);
}

/* The server closes first: its child's TIME_WAIT holds the listener's port past everybody. */
static void tw_server_minute(void)
{
	int l = listener_at(LO, SERVER), c = client_to(LO, SERVER), s = accept_one(l), again, l2;
	uint16_t p = port_of(c);
	struct lease lease;

	close(s);
	read_eof(c);
	close(c);
	ENDED(TCP, .port = p, .time_wait = NO, MINE);
	close(l);
	HELD(TCP, .port = SERVER, .kind = "accept", .time_wait = YES, MINE, .owner_src = "accept");
	again = tcp4();
	MUST_FAIL(EADDRINUSE, try_bind(again, LO, SERVER));
	REFUSED(TCP, .port = SERVER, .err = "EADDRINUSE", .kind = "bind", MINE);
	/* SO_REUSEADDR: a second holder beside it. */
	l2 = listener_at(LO, SERVER);
	HELD(TCP, .port = SERVER, .kind = "bind", .total = 2, .time_wait = NO);
	close(l2);
	HELD(TCP, .port = SERVER, .kind = "accept", .time_wait = YES);
	sleep_ms(54000);
	HELD(TCP, .port = SERVER, .kind = "accept", .time_wait = YES);
	ENDED(TCP, .port = SERVER, .n = 3, .patience_s = MINUTE_PATIENCE);
	lease = LEASE(TCP, .port = SERVER, .kind = "accept");
	check_minute(&lease);
	CHECK(!strcmp(lease.reason, "time_wait"), "reason is %s", lease.reason);
	MUST(try_bind(again, LO, SERVER));
	HELD(TCP, .port = SERVER, .kind = "bind", MINE);
	close(again);
	FREE(TCP, .port = SERVER);
}

/*
 * A named port whose connection went into TIME_WAIT while its descriptor is
 * open is held twice, by the socket and by TIME_WAIT: one lease until both go.
 */
static void tw_named_port_minute(void)
{
	int l = listener_at(LO, SERVER), early = tcp4(), late = tcp4(), s[2];
	struct lease lease;

	bound(early, LO, 45020);
	bound(late, LO, 45021);
	MUST(try_connect(early, LO, SERVER));
	s[0] = accept_one(l);
	MUST(try_connect(late, LO, SERVER));
	s[1] = accept_one(l);
	MUST(shutdown(early, SHUT_WR));
	MUST(shutdown(late, SHUT_WR));
	read_eof(s[0]);
	read_eof(s[1]);
	MUST(shutdown(s[0], SHUT_WR));
	MUST(shutdown(s[1], SHUT_WR));
	HELD(TCP, .port = 45020, .kind = "bind", MINE, .time_wait = YES);
	HELD(TCP, .port = 45021, .kind = "bind", MINE, .time_wait = YES);
	close(early);
	close(s[0]);
	close(s[1]);
	HELD(TCP, .port = 45020, .kind = "bind", MINE, .time_wait = YES);
	sleep_ms(54000);
	HELD(TCP, .port = 45020, .kind = "bind", MINE, .time_wait = YES);
	HELD(TCP, .port = 45021, .kind = "bind", MINE);
	ENDED(TCP, .port = 45020, .kind = "bind", .patience_s = MINUTE_PATIENCE);
	lease = LEASE(TCP, .port = 45020);
	check_minute(&lease);
	/* Its TIME_WAIT is over as well by now, the descriptor is not. */
	sleep_ms(4000);
	HELD(TCP, .port = 45021, .kind = "bind", MINE);
	close(late);
	ENDED(TCP, .port = 45021, .kind = "bind", MINE);
	close(l);
}

/* Not slow: the same as above up to the end, which the namespace brings. */
static void tw_named_port_open(void)
{
	int l = listener_at(LO, SERVER), c = tcp4(), s;

	bound(c, LO, 45022);
	MUST(try_connect(c, LO, SERVER));
	s = accept_one(l);
	MUST(shutdown(c, SHUT_WR));
	read_eof(s);
	MUST(shutdown(s, SHUT_WR));
	HELD(TCP, .port = 45022, .kind = "bind", MINE, .time_wait = YES);
	close(s);
	close(c);
	HELD(TCP, .port = 45022, .kind = "bind", MINE, .time_wait = YES);
	close(l);
}

static void tw_owner_outlives_process(void)
{
	int l = listener_at(LO, SERVER);
	pid_t client;
	uint16_t p = leave_client_tw(l, &client);
	struct lease lease = LEASE(TCP, .port = p);

	CHECK(lease.timewaits == 1 && lease.pid == client && !strcmp(lease.owner_src, "process"), "owner %d by %s", lease.pid, lease.owner_src);
	close(l);
	HELD(TCP, .port = p, .pid = client, .time_wait = YES);
}

static void tw_v6(void)
{
	int l, c, s;

	if (!have_ipv6())
		skip("no IPv6 here");
	l = listener_at("::1", SERVER);
	c = client_to("::1", SERVER);
	s = accept_one(l);
	close(s);
	read_eof(c);
	close(c);
	close(l);
	HELD(TCP, .port = SERVER, .kind = "accept", .family = "ipv6", .time_wait = YES, MINE);
	FREE(TCP, .kind = "connect");
}

/* tcp_fin_timeout: an orphan whose peer never closes. */
static void fin_wait2_expires(void)
{
	int l, c, s;
	uint16_t p;

	sysctl_set("ipv4/tcp_fin_timeout", "2");
	l = listener_at(LO, SERVER);
	c = client_to(LO, SERVER);
	s = accept_one(l);
	p = port_of(c);
	close(c);
	read_eof(s);
	HELD(TCP, .port = p, MINE, .time_wait = YES);
	ENDED(TCP, .port = p, MINE, .reason = "time_wait", .patience_s = 15);
	HELD(TCP, .port = SERVER, .kind = "accept", .total = 2);
	close_rst(s);
	close(l);
	ENDED(TCP, .port = SERVER, .n = 2);
}

/* Trap 5: FIN_WAIT2 turned TIME_WAIT stops and starts the timer; the port is held throughout. */
static void fin_wait2_rearmed(void)
{
	int l, c, s;
	struct lease lease;
	uint16_t p;

	sysctl_set("ipv4/tcp_fin_timeout", "10");
	l = listener_at(LO, SERVER);
	c = client_to(LO, SERVER);
	s = accept_one(l);
	p = port_of(c);
	close(c);
	read_eof(s);
	HELD(TCP, .port = p, MINE, .time_wait = YES);
	sleep_ms(2000);
	close(s);
	HELD(TCP, .port = p, MINE, .time_wait = YES);
	sleep_ms(14000);
	HELD(TCP, .port = p, MINE, .time_wait = YES);
	lease = LEASE(TCP, .port = p);
	CHECK(lease.timewaits == 1, "%u port.timewait events", lease.timewaits);
	close(l);
}

/* A connection to the listener through the only port there is, its TIME_WAIT, and a new connection that takes it over. */
static int take_over_time_wait(int l, uint16_t port)
{
	int64_t deadline;
	int c, s;

	sysctl_set("ipv4/tcp_tw_reuse", "1");
	port_range(port, port);
	c = client_to(LO, SERVER);
	s = accept_one(l);
	close(c);
	read_eof(s);
	close(s);
	HELD(TCP, .port = port, .kind = "connect", .time_wait = YES, MINE);
	sleep_ms(2200);
	deadline = now_ns(CLOCK_MONOTONIC) + self.patience_ms * 1000000;
	c = tcp4();
	while (try_connect(c, LO, SERVER)) {
		if (errno != EADDRNOTAVAIL || passed_by(deadline))
			broken("tcp_tw_reuse");
	}
	return c;
}

/* What one CPU's allocator takes back it gives out again next. */
static void stay_on_one_cpu(void)
{
	cpu_set_t one;

	CPU_ZERO(&one);
	CPU_SET(0, &one);
	MUST(sched_setaffinity(0, sizeof(one), &one));
}

/* Trap 4: the new connection takes the port over from its predecessor. */
static void tw_reuse(void)
{
	int l = listener_at(LO, SERVER), c = take_over_time_wait(l, 41200), s;

	HELD(TCP, .port = 41200, .kind = "connect", .time_wait = NO, MINE, .rport = SERVER);
	CHECK(LEASE(TCP, .port = 41200, .time_wait = YES).releases == 1, "the old lease lives");
	s = accept_one(l);
	close_rst(c);
	ENDED(TCP, .port = 41200, .n = 2);
	close(s);
	close(l);
}

/*
 * A connection takes the port over, ends at once, and its own TIME_WAIT gets the
 * memory of its predecessor's: two lives at one address with the same ports at
 * both ends within a millisecond, told apart all the same.
 */
static void tw_reuse_same_memory(void)
{
	int l, c, s;

	stay_on_one_cpu();
	l = listener_at(LO, SERVER);
	c = take_over_time_wait(l, 41210);
	close(c);
	s = accept_one(l);
	read_eof(s);
	close(s);
	HELD(TCP, .port = 41210, .kind = "connect", .time_wait = YES, MINE);
	CHECK(count_leases(&(struct want){ TCP, .port = 41210, .time_wait = YES }).all_match == 2, "not two lives with a TIME_WAIT each");
	close(l);
}

/* A RST that hits TIME_WAIT ends it. */
static void tw_reset(void)
{
	int l, c, s;
	uint16_t p;

	if (!sysctl_try("ipv4/tcp_rfc1337", "0"))
		skip("no tcp_rfc1337 in a network namespace");
	l = listener_at(LO, SERVER);
	c = client_to(LO, SERVER);
	s = accept_one(l);
	p = port_of(c);
	close(c);
	read_eof(s);
	HELD(TCP, .port = p, .time_wait = YES, MINE);
	close_rst(s);
	ENDED(TCP, .port = p, MINE);
	close(l);
	ENDED(TCP, .port = SERVER, .n = 2);
}

/* The kernel's own table. */
static bool kernel_has_time_wait(uint16_t port)
{
	FILE *f = fopen("/proc/thread-self/net/tcp", "re");
	unsigned int lport, state;
	bool found = false;
	char line[256];

	while (f && fgets(line, sizeof(line), f)) {
		if (sscanf(line, "%*d: %*x:%x %*x:%*x %x", &lport, &state) == 2)
			found |= lport == port && state == TCP_TIME_WAIT;
	}
	if (f)
		fclose(f);
	return found;
}

/* Trap 17 again: what TIME_WAIT frees, the next TIME_WAIT gets, at the same address and at once. */
static void tw_memory_reused(void)
{
	int l;

	stay_on_one_cpu();
	if (!sysctl_try("ipv4/tcp_rfc1337", "0"))
		skip("no tcp_rfc1337 in a network namespace");
	l = listener_at(LO, SERVER);
	for (int i = 0; i < 10; i++) {
		int a = client_to(LO, SERVER), sa = accept_one(l), b = client_to(LO, SERVER), sb = accept_one(l);
		uint16_t first = port_of(a), second = port_of(b);

		close(a);
		HELD(TCP, .port = first, .kind = "connect", .time_wait = YES, MINE);
		/* The FIN of `sb` brings TIME_WAIT, the acknowledgement being delayed. */
		close(b);
		read_eof(sb);
		close_rst(sa);
		close(sb);
		for (int wait = 0; wait < 500 && !kernel_has_time_wait(second); wait++)
			sleep_ms(10);
		CHECK(kernel_has_time_wait(second), "port %u is not in TIME_WAIT", second);
		HELD(TCP, .port = second, .kind = "connect", .time_wait = YES, MINE);
		ENDED(TCP, .port = first, .kind = "connect", .time_wait = YES, MINE);
	}
	close(l);
}

static void netns_of_tw(struct kid *up, void *arg)
{
	uint32_t inum;
	int l, c, s;

	close(netns_enter_new(&inum));
	say(up, (int)inum);
	l = listener_at(LO, SERVER);
	c = client_to(LO, SERVER);
	s = accept_one(l);
	say(up, port_of(c));
	close(c);
	read_eof(s);
	close(s);
	close(l);
	say(up, 0);
	hear(up);
}

/* The end of the namespace frees what only its TIME_WAIT held. */
static void tw_netns_purge(void)
{
	struct kid k = kid_start(netns_of_tw, NULL);
	uint32_t inum = (uint32_t)hear(&k);
	uint16_t p = (uint16_t)hear(&k);

	hear(&k);
	HELD(TCP, .netns = inum, .port = p, .pid = k.pid, .time_wait = YES);
	say(&k, 0);
	kid_wait(&k);
	ENDED(TCP, .netns = inum, .pid = k.pid, .n = 3, .patience_s = 15);
}

#endif
