/* SPDX-License-Identifier: GPL-2.0 */
/* What a holder is, what a refusal means, what is left of a range. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>

#include "base/str.h"
#include "cmd/why.h"
#include "model/why.h"
#include "out/why_answer.h"

static struct event lease(uint8_t proto, unsigned int kind, uint16_t port, const char *to, uint16_t rport)
{
	struct event ev = { .kind = EV_OPEN, .lease = { .proto = proto, .family = AF_INET, .kind = (uint8_t)kind, .lport = port,
							.netns = 7, .tgid = 11, .rport = rport, .owner_src = PL_OWNER_PROCESS } };

	inet_pton(AF_INET, "10.0.0.1", ev.lease.laddr);
	if (to)
		inet_pton(AF_INET, to, ev.lease.raddr);
	return ev;
}

static void test_roles(void **state)
{
	static const struct {
		struct pl_lease l;
		int64_t closed, at;
		enum why_role want;
	} cases[] = {
		{ { .proto = 6, .state = 10, .flags = PL_F_LISTEN }, 0, 0, WHY_LISTENING },
		{ { .proto = 6, .flags = PL_F_LISTEN, .kind = PL_KIND_BIND }, 0, 50, WHY_LISTENING },
		{ { .proto = 6, .state = 7, .flags = PL_F_LISTEN }, 0, 0, WHY_BOUND },	/* it was a listener */
		{ { .proto = 6, .state = 7, .rport = 5 }, 0, 0, WHY_BOUND },		/* the peer of old */
		{ { .proto = 6, .kind = PL_KIND_BIND }, 0, 50, WHY_BOUND },
		{ { .proto = 6, .kind = PL_KIND_CONNECT, .rport = 5, .state = 1 }, 0, 0, WHY_OUTGOING },
		{ { .proto = 6, .kind = PL_KIND_BIND0, .rport = 5 }, 0, 50, WHY_OUTGOING },
		{ { .proto = 6, .sock = PL_S_LOCKED, .rport = 5, .state = 1 }, 0, 0, WHY_OUTGOING },
		{ { .proto = 6, .sock = PL_S_CONNECT, .rport = 5, .state = 1, .flags = PL_F_IN_RANGE }, 0, 0, WHY_OUTGOING },
		{ { .proto = 6, .rport = 5, .state = 2, .flags = PL_F_IN_RANGE }, 0, 0, WHY_OUTGOING },	/* SYN_SENT */
		{ { .proto = 6, .rport = 5, .state = 1, .flags = PL_F_IN_RANGE }, 0, 0, WHY_CONNECTED },
		{ { .proto = 6, .rport = 5, .state = 1 }, 0, 0, WHY_ACCEPTED },	/* connect() would not choose that number */
		{ { .proto = 6, .kind = PL_KIND_ACCEPT, .rport = 5, .owner_src = PL_OWNER_ACCEPT }, 0, 50, WHY_ACCEPTED },
		{ { .proto = 6, .kind = PL_KIND_ACCEPT, .rport = 5, .owner_src = PL_OWNER_LISTENER }, 0, 50, WHY_UNACCEPTED },
		{ { .proto = 6, .sock = PL_S_QUEUED, .rport = 5, .state = 1 }, 0, 0, WHY_UNACCEPTED },
		{ { .proto = 6, .sock = PL_S_ORPHAN, .rport = 5, .state = 4, .kind = PL_KIND_CONNECT }, 0, 0, WHY_CLOSING },
		{ { .proto = 6, .flags = PL_F_TIME_WAIT, .state = 6, .rport = 5 }, 0, 0, WHY_TIME_WAIT },
		{ { .proto = 6, .flags = PL_F_TIME_WAIT, .kind = PL_KIND_CONNECT, .rport = 5 }, 40, 50, WHY_TIME_WAIT },
		{ { .proto = 6, .flags = PL_F_TIME_WAIT, .kind = PL_KIND_CONNECT, .rport = 5 }, 60, 50, WHY_OUTGOING },	/* not yet */
		{ { .proto = 17, .rport = 5 }, 0, 0, WHY_UDP },
		{ { .proto = 17, .owner_src = PL_OWNER_KERNEL }, 0, 0, WHY_KERNEL },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct event ev = { .lease = cases[i].l, .closed = cases[i].closed };

		if (why_role(&ev, cases[i].at) != cases[i].want)
			fail_msg("case %zu is %s, not %s", i, why_role_name(why_role(&ev, cases[i].at)), why_role_name(cases[i].want));
	}
}

static void test_causes(void **state)
{
	struct event ev = lease(6, PL_KIND_BIND, 8080, NULL, 0);

	ev.err = EADDRINUSE;
	assert_int_equal(why_cause(&ev), WHY_HELD);
	ev.err = EADDRNOTAVAIL;
	assert_int_equal(why_cause(&ev), WHY_ADDRESS);
	ev.err = EACCES;
	assert_int_equal(why_cause(&ev), WHY_ACCESS);
	ev = lease(6, PL_KIND_BIND0, 0, NULL, 0);
	ev.err = EADDRINUSE;
	assert_int_equal(why_cause(&ev), WHY_EXHAUSTED);
	ev.err = EADDRNOTAVAIL;
	assert_int_equal(why_cause(&ev), WHY_ADDRESS);
	ev = lease(6, PL_KIND_CONNECT, 0, "10.0.0.2", 443);
	ev.err = EADDRNOTAVAIL;
	assert_int_equal(why_cause(&ev), WHY_EXHAUSTED);
	ev.lease.lport = 5000;
	assert_int_equal(why_cause(&ev), WHY_SAME);
	ev = lease(17, PL_KIND_SEND, 0, NULL, 0);
	ev.err = EAGAIN;
	assert_int_equal(why_cause(&ev), WHY_EXHAUSTED);
}

static void test_judge(void **state)
{
	struct why_holder h = { .ev = lease(6, PL_KIND_BIND, 8080, NULL, 0) };
	struct event fail = h.ev;
	struct why_sock want;

	why_sock_asking(&fail, &want);
	why_judge(&h, &want, 1);
	assert_true(h.in_the_way && !h.opts_known && !h.remedies);	/* options never read: nothing is said of them */
	h.ev.lease.sock = PL_S_KNOWN | PL_S_REUSEADDR;
	want.opts = PL_S_KNOWN;
	why_judge(&h, &want, 1);
	assert_true(h.opts_known);
	assert_int_equal(h.remedies, WHY_WANT_REUSEADDR | WHY_BOTH_REUSEPORT);
	h.ev.lease.flags = PL_F_LISTEN;
	why_judge(&h, &want, 1);
	assert_int_equal(h.remedies, WHY_BOTH_REUSEPORT);
	h.uid_known = true;
	h.uid = 1000;		/* the socket's user counts, not its present owner's */
	why_judge(&h, &want, 1);
	assert_int_equal(h.remedies, 0);
	inet_pton(AF_INET, "10.0.0.2", h.ev.lease.laddr);
	why_judge(&h, &want, 1);
	assert_false(h.in_the_way);
}

static struct why_sock sock_at(uint8_t family, const char *addr, uint8_t opts, uint32_t dev)
{
	struct why_sock s = { .proto = IPPROTO_TCP, .family = family, .opts = opts, .dev = dev };

	assert_int_equal(inet_pton(family, addr, s.addr), 1);
	return s;
}

static void test_devices(void **state)
{
	struct why_sock none = sock_at(AF_INET, "0.0.0.0", 0, 0), one = sock_at(AF_INET, "0.0.0.0", 0, 1);
	struct why_sock two = sock_at(AF_INET, "0.0.0.0", 0, 2);

	assert_false(why_conflicts(&one, &two));	/* each on an interface of its own */
	assert_true(why_conflicts(&one, &one));
	assert_true(why_conflicts(&none, &one) && why_conflicts(&one, &none));
}

static void test_remedies(void **state)
{
	struct why_sock four = sock_at(AF_INET, "0.0.0.0", 0, 0), six = sock_at(AF_INET6, "::", 0, 0);
	struct why_sock with = sock_at(AF_INET, "0.0.0.0", PL_S_REUSEADDR | PL_S_REUSEPORT, 0);
	struct why_sock other = sock_at(AF_INET, "10.0.0.1", 0, 0), here = sock_at(AF_INET, "10.0.0.2", 0, 0);

	assert_int_equal(why_remedies(&four, &four), WHY_BOTH_REUSEADDR | WHY_BOTH_REUSEPORT);
	assert_int_equal(why_remedies(&four, &with), WHY_WANT_REUSEADDR | WHY_WANT_REUSEPORT);
	assert_int_equal(why_remedies(&six, &four), WHY_BOTH_REUSEADDR | WHY_BOTH_REUSEPORT | WHY_WANT_V6ONLY);
	/* There the asker's IPV6_V6ONLY would change nothing. */
	assert_int_equal(why_remedies(&four, &six), WHY_BOTH_REUSEADDR | WHY_BOTH_REUSEPORT);
	assert_int_equal(why_remedies(&six, &six), WHY_BOTH_REUSEADDR | WHY_BOTH_REUSEPORT);
	assert_int_equal(why_remedies(&other, &here), 0);	/* nothing to mend */
	four.listening = true;
	assert_int_equal(why_remedies(&other, &four), WHY_BOTH_REUSEPORT);
}

static struct why_range *range_of(unsigned int kind, uint8_t proto, uint16_t lo, uint16_t hi)
{
	struct event fail = lease(proto, kind, 0, kind == PL_KIND_CONNECT ? "10.0.0.2" : NULL, kind == PL_KIND_CONNECT ? 443 : 0);
	struct ports reserved = { .count = 0 };
	struct why_range *r;

	ports_add(&reserved, 40002, 40003);
	assert_int_equal(why_range_new(&fail, lo, hi, &reserved, &r), 0);
	return r;
}

static void add(struct why_range *r, struct event ev, uint32_t pid)
{
	ev.lease.tgid = pid;
	assert_int_equal(why_range_add(r, &ev, 1), 0);
}

static void test_range_connect(void **state)
{
	struct why_range *r = range_of(PL_KIND_CONNECT, 6, 40000, 40007);
	struct why_top tops[WHY_TOPS];
	struct event other = lease(6, PL_KIND_BIND, 40007, NULL, 0), six = lease(6, PL_KIND_CONNECT, 40006, NULL, 443);
	struct event listener = lease(6, PL_KIND_UNKNOWN, 40007, NULL, 0);
	struct why_use u;

	six.lease.family = AF_INET6;	/* to the same place, by an IPv6 socket */
	inet_pton(AF_INET6, "::ffff:10.0.0.1", six.lease.laddr);
	inet_pton(AF_INET6, "::ffff:10.0.0.2", six.lease.raddr);
	add(r, six, 3);

	add(r, lease(6, PL_KIND_CONNECT, 40000, "10.0.0.2", 443), 1);
	add(r, lease(6, PL_KIND_CONNECT, 40004, "10.0.0.3", 443), 1);	/* elsewhere: can be shared */
	add(r, lease(6, PL_KIND_BIND, 40005, NULL, 0), 2);		/* bound: cannot */
	add(r, lease(6, PL_KIND_ACCEPT, 40005, "10.0.0.9", 5), 2);	/* and is counted once */
	add(r, lease(6, PL_KIND_BIND, 40001, NULL, 0), 2);
	add(r, lease(6, PL_KIND_BIND, 40002, NULL, 0), 2);		/* reserved */
	add(r, lease(6, PL_KIND_BIND, 40008, NULL, 0), 2);		/* outside */
	add(r, lease(6, PL_KIND_BIND, 39999, NULL, 0), 2);
	add(r, lease(17, PL_KIND_BIND, 40007, NULL, 0), 2);
	add(r, lease(6, PL_KIND_CONNECT, 40000, "10.0.0.2", 443), 4);	/* there already: shared with its TIME_WAIT */
	listener.lease.flags = PL_F_LISTEN;
	add(r, listener, 5);
	add(r, lease(6, PL_KIND_UNKNOWN, 40004, "10.0.0.3", 443), 5);	/* looks like a connection to elsewhere */
	other.lease.netns = 8;
	add(r, other, 2);
	why_range_use(r, &u);
	assert_int_equal(u.reserved, 2);
	assert_int_equal(u.capacity[0], 3);
	assert_int_equal(u.capacity[1], 3);
	assert_int_equal(u.taken[0], 2);
	assert_int_equal(u.taken[1], 3);
	assert_int_equal(u.here[0] + u.here[1], 2);
	assert_int_equal(why_range_tops(r, tops), 4);
	assert_int_equal(tops[0].ev.lease.tgid, 2);
	assert_int_equal(tops[0].ports, 2);
	why_range_free(r);
}

static void test_range_tops(void **state)
{
	struct why_range *r = range_of(PL_KIND_CONNECT, 6, 40000, 40007);
	struct event tw = lease(6, PL_KIND_CONNECT, 40004, "10.0.0.2", 443), later = lease(6, PL_KIND_BIND, 40006, NULL, 0);
	struct why_top tops[WHY_TOPS];

	tw.lease.flags = PL_F_TIME_WAIT;
	tw.closed = 1;
	add(r, lease(6, PL_KIND_BIND, 40000, NULL, 0), 1);
	add(r, tw, 1);
	later.lease.proc_start = 9;	/* another process of the same number */
	add(r, later, 1);
	assert_int_equal(why_range_tops(r, tops), 2);
	assert_int_equal(tops[0].ports, 2);
	assert_int_equal(tops[0].time_wait, 1);
	assert_int_equal(tops[1].ev.lease.proc_start, 9);
	assert_int_equal(tops[1].ports, 1);
	assert_int_equal(tops[1].time_wait, 0);
	why_range_free(r);
}

static void test_range_others(void **state)
{
	struct why_range *r = range_of(PL_KIND_BIND0, 6, 40000, 40007);
	struct event away = lease(6, PL_KIND_BIND, 40004, NULL, 0), fail;
	struct why_use u;

	add(r, lease(6, PL_KIND_CONNECT, 40000, "10.0.0.2", 443), 1);	/* bind shares with nobody */
	inet_pton(AF_INET, "10.0.0.77", away.lease.laddr);
	add(r, away, 1);						/* but at its own address only */
	why_range_use(r, &u);
	assert_int_equal(u.taken[0] + u.taken[1], 1);
	why_range_free(r);
	fail = lease(6, PL_KIND_BIND0, 0, NULL, 0);
	fail.lease.sock = away.lease.sock = PL_S_KNOWN | PL_S_REUSEADDR;
	inet_pton(AF_INET, "10.0.0.1", away.lease.laddr);
	assert_int_equal(why_range_new(&fail, 40000, 40007, NULL, &r), 0);
	add(r, away, 1);						/* nor where both allow it */
	why_range_use(r, &u);
	assert_int_equal(u.taken[0], 1);
	why_range_free(r);
	away = lease(17, PL_KIND_BIND, 40004, NULL, 0);
	inet_pton(AF_INET, "10.0.0.77", away.lease.laddr);
	r = range_of(PL_KIND_CONNECT, 17, 40000, 40007);
	add(r, away, 1);						/* UDP chooses the number first */
	why_range_use(r, &u);
	assert_int_equal(u.taken[0], 1);
	why_range_free(r);
	fail = lease(17, PL_KIND_BIND0, 0, NULL, 0);
	fail.lease.sock = away.lease.sock = PL_S_KNOWN | PL_S_REUSEADDR;
	inet_pton(AF_INET, "10.0.0.1", away.lease.laddr);
	assert_int_equal(why_range_new(&fail, 40000, 40007, NULL, &r), 0);
	add(r, away, 1);						/* its search shares what both allow to be shared */
	away.lease.lport = 40005;
	away.lease.sock = PL_S_KNOWN;
	add(r, away, 1);
	why_range_use(r, &u);
	assert_int_equal(u.taken[0], 0);
	assert_int_equal(u.taken[1], 1);
	why_range_free(r);
}

static void test_range_clip(void **state)
{
	struct event fail = lease(6, PL_KIND_BIND0, 0, NULL, 0);
	struct why_range *r;
	struct why_use u;

	fail.lease.cancelled = 40003u << 16 | 40002;
	assert_int_equal(why_range_new(&fail, 40000, 40007, NULL, &r), 0);
	why_range_use(r, &u);
	assert_true(u.clipped && u.lo == 40002 && u.hi == 40003 && u.capacity[0] == 1 && u.capacity[1] == 1);
	why_range_free(r);
	fail.lease.cancelled = 50000;	/* outside the namespace's range it does not count */
	assert_int_equal(why_range_new(&fail, 40000, 40007, NULL, &r), 0);
	why_range_use(r, &u);
	assert_true(!u.clipped && u.lo == 40000 && u.hi == 40007);
	why_range_free(r);
	fail.lease.cancelled = 50000u << 16 | 40002;
	assert_int_equal(why_range_new(&fail, 40000, 40007, NULL, &r), 0);
	why_range_use(r, &u);
	assert_true(u.clipped && u.lo == 40002 && u.hi == 40007);
	why_range_free(r);
	assert_int_equal(why_range_new(&fail, 0, 0, NULL, &r), 0);
	why_range_use(r, &u);
	assert_false(u.known);
	why_range_free(r);
}

static void test_hz(void **state)
{
	static const unsigned int usual[] = { 100, 250, 300, 1000 };

	for (size_t i = 0; i < 4; i++) {
		for (uint64_t s = 1; s < 40000000; s = s * 3 + 7) {
			uint64_t jiffies = 4294967296ULL - 300ULL * usual[i] + s * usual[i];

			if (s != 300)
				assert_int_equal(why_hz(jiffies, s * 1000000000ULL), usual[i]);
		}
	}
	assert_int_equal(why_hz(12345, 5000000000ULL), 0);
}

static void check_action(const char *unit, const char *cgroup, const char *want)
{
	struct why_holder h = { .role = WHY_LISTENING, .ev = lease(6, PL_KIND_BIND, 8080, NULL, 0) };
	struct strbuf out = STRBUF_INIT;

	h.ev.lease.tgid = 4711;
	h.ev.where.unit = unit;
	h.ev.where.cgroup = cgroup;
	assert_true(why_holder_action(&out, &h, &(struct why_netns){ 0 }, true));
	assert_string_equal(strbuf_str(&out), want);
	strbuf_free(&out);
}

/* Below a manager of his own a user may call his unit as one of the system's. */
static void test_action_names_no_units_of_users(void **state)
{
	check_action("nginx.service", "/system.slice/nginx.service", "to free it: systemctl stop nginx.service");
	check_action("sshd.service", "/user.slice/user-1000.slice/user@1000.service/app.slice/sshd.service", "to free it: kill 4711");
	check_action("session-3.scope", "/user.slice/user-1000.slice/session-3.scope", "to free it: kill 4711");
	check_action(NULL, NULL, "to free it: kill 4711");
}

/* A listener as one recorder tells it: begun, or found, at `start`. */
static struct event told(uint64_t id, int64_t start, bool found, uint32_t pid, uint64_t cookie)
{
	struct event ev = lease(6, found ? PL_KIND_UNKNOWN : PL_KIND_BIND, 8080, NULL, 0);

	ev.lease.id = id;
	ev.lease.start = (uint64_t)start;
	ev.lease.tgid = pid;
	ev.lease.cookie = cookie;
	ev.lease.flags = found ? PL_F_SNAPSHOT | PL_F_LISTEN : 0;
	ev.start = found ? 0 : start;
	return ev;
}

static void check_lives(size_t want, const struct event *evs, size_t n)
{
	struct event fail = lease(6, PL_KIND_BIND, 8080, NULL, 0);
	struct why_explain x;

	fail.err = EADDRINUSE;
	fail.ts = 9000000000;
	assert_int_equal(why_explain_begin(&x, &fail, &(struct why_netns){ 0 }), 0);
	for (size_t i = 0; i < n; i++)
		assert_int_equal(why_explain_lease(&x, &evs[i]), 0);
	why_explain_end(&x);
	assert_int_equal(x.r.n, want);
	if (want == 1) {
		assert_int_equal(x.holders.at[0].ev.start, 1000000000);
		assert_int_equal(x.holders.at[0].ev.lease.flags & PL_F_SNAPSHOT, 0);
	}
	why_explain_free(&x);
}

/* Several recorders tell of one socket; the one that saw it begin counts, whichever comes first. */
static void test_one_life(void **state)
{
	const struct event begun = told(1, 1000000000, false, 11, 0), again = told(2, 1000000900, false, 11, 0);
	const struct event found = told(3, 5000000000, true, 12, 0), before = told(4, 500000000, true, 11, 0);
	const struct event other = told(5, 6000000000, true, 13, 0);

	check_lives(1, (const struct event[]){ begun, again }, 2);
	check_lives(1, (const struct event[]){ begun, found }, 2);
	check_lives(1, (const struct event[]){ found, begun, again }, 3);
	/* One that was found before another began is not that other. */
	check_lives(2, (const struct event[]){ before, begun }, 2);
	/* Nor are those whose cookies differ, or that two processes hold. */
	check_lives(2, (const struct event[]){ told(1, 1000000000, false, 11, 77), told(3, 5000000000, true, 11, 78) }, 2);
	check_lives(2, (const struct event[]){ found, other }, 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_one_life),
		cmocka_unit_test(test_roles), cmocka_unit_test(test_causes), cmocka_unit_test(test_judge),
		cmocka_unit_test(test_devices), cmocka_unit_test(test_remedies), cmocka_unit_test(test_range_connect),
		cmocka_unit_test(test_range_tops), cmocka_unit_test(test_range_others), cmocka_unit_test(test_range_clip),
		cmocka_unit_test(test_hz), cmocka_unit_test(test_action_names_no_units_of_users),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
