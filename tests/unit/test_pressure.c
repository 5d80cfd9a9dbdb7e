/* SPDX-License-Identifier: GPL-2.0 */
/* Pressure: what counts for whom, thresholds, growth, bounds, and against a naive count. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <arpa/inet.h>
#include <errno.h>
#include <math.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include "model/idslots.h"
#include "model/pressure.h"

#define S 1000000000LL

static struct event lease(uint64_t id, uint8_t proto, unsigned int kind, uint16_t port, const char *to, uint16_t rport)
{
	struct event ev = { .kind = EV_ALLOC, .lease = { .id = id, .proto = proto, .kind = kind, .lport = port, .netns = 7 } };

	ev.lease.family = to && strchr(to, ':') ? AF_INET6 : AF_INET;
	inet_pton(AF_INET, "10.0.0.1", ev.lease.laddr);
	if (ev.lease.family == AF_INET6)
		inet_pton(AF_INET6, "::ffff:10.0.0.1", ev.lease.laddr);
	if (to) {
		assert_int_equal(inet_pton(ev.lease.family, to, ev.lease.raddr), 1);
		ev.lease.rport = rport;
	}
	return ev;
}

static void tell(struct pressure *p, struct event ev, enum event_kind kind)
{
	ev.kind = kind;
	assert_int_equal(pressure_event(p, &ev), 0);
}

static struct pressure *fresh(uint32_t leases, uint32_t dests, uint32_t spaces)
{
	struct pressure_limits limits = { leases, dests, spaces };
	struct pressure *p;

	assert_int_equal(pressure_new(&limits, &p), 0);
	return p;
}

static int keep(void *ctx, const struct pressure_use *u)
{
	*(struct pressure_use *)ctx = *u;
	return 0;
}

static int keep_netns(void *ctx, uint32_t netns)
{
	*(uint32_t *)ctx = netns;
	return 0;
}

static int never_netns(void *ctx, uint32_t netns)
{
	return -EINVAL;
}

static struct pressure_use space(struct pressure *p)
{
	struct pressure_use u = { 0 };

	assert_int_equal(pressure_each_space(p, keep, &u), 0);
	return u;
}

static struct pressure_use dest(struct pressure *p)
{
	struct pressure_use u = { 0 };

	assert_int_equal(pressure_worst(p, 0, &u, 1), 1);
	return u;
}

static void test_parity_and_reserved(void **state)
{
	struct pressure *p = fresh(0, 0, 0);
	struct ports reserved = { .count = 0 };
	struct pressure_use u;

	ports_add(&reserved, 40001, 40002);
	tell(p, lease(1, 6, PL_KIND_BIND0, 40000, NULL, 0), EV_ALLOC);
	tell(p, lease(2, 6, PL_KIND_BIND, 40001, NULL, 0), EV_ALLOC);	/* reserved: not of the range */
	tell(p, lease(3, 6, PL_KIND_BIND, 50000, NULL, 0), EV_ALLOC);	/* outside */
	tell(p, lease(4, 6, PL_KIND_BIND, 40003, NULL, 0), EV_OPEN);
	tell(p, lease(5, 6, PL_KIND_ACCEPT, 40003, "10.0.0.9", 5), EV_ALLOC);	/* one port, two holders */
	assert_false(space(p).known);
	assert_int_equal(pressure_range(p, 7, 40000, 40009, &reserved), 0);
	u = space(p);
	assert_true(u.known);
	assert_int_equal(u.capacity[0], 4);
	assert_int_equal(u.capacity[1], 4);
	assert_int_equal(u.used[0], 1);
	assert_int_equal(u.used[1], 1);
	assert_true(u.ratio == 0.25);
	tell(p, lease(4, 6, PL_KIND_BIND, 40003, NULL, 0), EV_RELEASE);
	assert_int_equal(space(p).used[1], 1);	/* the child holds it still */
	tell(p, lease(5, 6, PL_KIND_ACCEPT, 40003, NULL, 0), EV_RELEASE);
	assert_int_equal(space(p).used[1], 0);
	assert_int_equal(pressure_range(p, 8, 1, 2, NULL), -ENOENT);
	/* The range changes: what lay outside lies inside. */
	assert_int_equal(pressure_range(p, 7, 49999, 50000, NULL), 0);
	assert_int_equal(space(p).used[0], 1);
	assert_int_equal(space(p).capacity[0] + space(p).capacity[1], 2);
	pressure_free(p);
}

static void test_destinations(void **state)
{
	struct pressure *p = fresh(0, 0, 0);
	struct pressure_use u;

	tell(p, lease(1, 6, PL_KIND_CONNECT, 40000, "10.0.0.9", 443), EV_ALLOC);
	tell(p, lease(2, 6, PL_KIND_CONNECT, 40000, "10.0.0.8", 443), EV_ALLOC);	/* the same port, elsewhere */
	tell(p, lease(3, 6, PL_KIND_CONNECT, 40002, "::ffff:10.0.0.9", 443), EV_ALLOC);
	pressure_range(p, 7, 40000, 40009, NULL);
	u = dest(p);
	assert_true(u.dest);
	assert_int_equal(u.family, AF_INET);
	assert_int_equal(u.used[0], 2);
	assert_int_equal(u.blocked, 0);
	assert_true(u.ratio == 0.2);
	assert_int_equal(space(p).used[0], 2);
	/* A bound socket keeps its port from every destination, a connection only from its own. */
	tell(p, lease(4, 6, PL_KIND_BIND0, 40001, NULL, 0), EV_ALLOC);
	u = dest(p);
	assert_int_equal(u.blocked, 1);
	assert_true(u.ratio == 0.3);
	/* It becomes a connection to that destination: counted once. */
	tell(p, lease(4, 6, PL_KIND_BIND0, 40001, "10.0.0.9", 443), EV_TIMEWAIT);
	u = dest(p);
	assert_int_equal(u.used[1], 1);
	assert_int_equal(u.blocked, 0);
	assert_true(u.ratio == 0.3);
	for (uint64_t id = 1; id <= 4; id++)
		tell(p, lease(id, 6, PL_KIND_CONNECT, 1, NULL, 0), EV_RELEASE);
	assert_int_equal(pressure_worst(p, 0, &u, 1), 0);
	assert_int_equal(pressure_each_space(p, keep, &u), 0);
	pressure_free(p);
}

/* A change of the range or of its reserved ports counts anew, also what is bound. */
static void test_range_changes(void **state)
{
	struct pressure *p = fresh(0, 0, 0);
	struct ports reserved = { .count = 0 };

	tell(p, lease(1, 6, PL_KIND_UNKNOWN, 40000, "10.0.0.9", 443), EV_OPEN);	/* found: a connection, as it looks */
	tell(p, lease(2, 6, PL_KIND_BIND0, 40001, NULL, 0), EV_ALLOC);
	tell(p, lease(3, 6, PL_KIND_UNKNOWN, 40003, NULL, 0), EV_OPEN);	/* found: bound */
	for (int i = 0; i < 2; i++) {
		pressure_range(p, 7, 40000, (uint16_t)(40009 + i), NULL);
		assert_int_equal(dest(p).used[0] + dest(p).used[1], 1);
		assert_int_equal(dest(p).blocked, 2);
	}
	ports_add(&reserved, 40001, 40001);
	pressure_range(p, 7, 40000, 40010, &reserved);
	assert_int_equal(dest(p).blocked, 1);
	ports_add(&reserved, 40005, 40005);
	pressure_range(p, 7, 40000, 40010, &reserved);
	assert_int_equal(space(p).capacity[1], 3);
	pressure_range(p, 7, 40000, 40010, NULL);
	assert_int_equal(space(p).capacity[1], 5);
	assert_int_equal(dest(p).blocked, 2);
	pressure_free(p);
}

static void test_udp_shares_nothing(void **state)
{
	struct pressure *p = fresh(0, 0, 0);
	struct pressure_use u[3];

	tell(p, lease(1, 17, PL_KIND_CONNECT, 40000, "10.0.0.9", 53), EV_ALLOC);
	tell(p, lease(2, 17, PL_KIND_CONNECT, 40001, "10.0.0.8", 53), EV_ALLOC);
	tell(p, lease(3, 6, PL_KIND_CONNECT, 40001, "10.0.0.8", 53), EV_ALLOC);
	pressure_range(p, 7, 40000, 40003, NULL);
	assert_int_equal(pressure_worst(p, 0, u, 3), 3);
	assert_int_equal(pressure_worst(p, 17, u, 3), 2);
	assert_int_equal(u[0].blocked, 1);
	assert_true(u[0].ratio == 0.5 && u[1].ratio == 0.5);
	assert_int_equal(pressure_worst(p, 6, u, 3), 1);
	assert_true(u[0].ratio == 0.25);
	pressure_free(p);
}

struct changes {
	int n;
	struct pressure_use last;
};

static int changed(void *ctx, const struct pressure_use *u)
{
	struct changes *c = ctx;

	c->n++;
	c->last = *u;
	return 0;
}

static void fill(struct pressure *p, unsigned int from, unsigned int to, enum event_kind kind)
{
	for (unsigned int i = from; i < to; i++)
		tell(p, lease(i + 1, 17, PL_KIND_BIND0, (uint16_t)(40000 + i), NULL, 0), kind);
}

static void test_levels(void **state)
{
	struct pressure *p = fresh(0, 0, 0);
	struct changes c = { 0 };
	int64_t now = 100 * S;

	fill(p, 0, 49, EV_ALLOC);
	pressure_range(p, 7, 40000, 40099, NULL);
	pressure_tick(p, now += S, changed, &c);
	assert_int_equal(c.n, 0);
	fill(p, 49, 50, EV_ALLOC);
	pressure_tick(p, now + S / 2, changed, &c);	/* too early to look */
	assert_int_equal(c.n, 0);
	pressure_tick(p, now += S, changed, &c);
	assert_int_equal(c.n, 1);
	assert_int_equal(c.last.level, PRESSURE_HALF);
	/* Around the threshold nothing is told again. */
	fill(p, 46, 50, EV_RELEASE);
	pressure_tick(p, now += S, changed, &c);
	fill(p, 46, 50, EV_ALLOC);
	pressure_tick(p, now += S, changed, &c);
	assert_int_equal(c.n, 1);
	fill(p, 50, 95, EV_ALLOC);
	pressure_tick(p, now += S, changed, &c);
	assert_int_equal(c.n, 2);
	assert_int_equal(c.last.level, PRESSURE_NEAR);
	fill(p, 10, 95, EV_RELEASE);
	pressure_tick(p, now += S, changed, &c);
	assert_int_equal(c.n, 3);
	assert_int_equal(c.last.level, PRESSURE_LOW);
	pressure_free(p);
}

static void test_growth(void **state)
{
	struct pressure *p = fresh(0, 0, 0);
	int64_t now = 100 * S;

	fill(p, 0, 10, EV_ALLOC);
	pressure_range(p, 7, 40000, 40999, NULL);
	pressure_tick(p, now += S, NULL, NULL);
	assert_true(isinf(space(p).eta_s));	/* what was there before says nothing of growth */
	for (unsigned int i = 10; i < 500; i += 2) {
		fill(p, i, i + 2, EV_ALLOC);
		pressure_tick(p, now += S, NULL, NULL);
	}
	assert_true(fabs(space(p).per_s - 2) < 0.01);
	assert_true(fabs(space(p).eta_s - 250) < 3);
	fill(p, 100, 500, EV_RELEASE);
	for (int i = 0; i < 5; i++)
		pressure_tick(p, now += S, NULL, NULL);
	assert_true(space(p).per_s < 0 && isinf(space(p).eta_s));
	fill(p, 100, 1000, EV_ALLOC);
	assert_true(space(p).eta_s == 0);
	pressure_free(p);
}

static void test_bounds(void **state)
{
	struct pressure *p = fresh(3, 1, 1);
	struct pressure_lost lost;
	struct event other = lease(9, 6, PL_KIND_CONNECT, 40009, "10.0.0.9", 443);

	tell(p, lease(1, 6, PL_KIND_CONNECT, 40000, "10.0.0.9", 443), EV_ALLOC);
	tell(p, lease(2, 6, PL_KIND_CONNECT, 40000, "10.0.0.8", 443), EV_ALLOC);	/* no room for its destination */
	other.lease.netns = 8;
	tell(p, other, EV_ALLOC);				/* nor for its namespace */
	tell(p, lease(3, 6, PL_KIND_BIND, 40003, NULL, 0), EV_ALLOC);
	tell(p, lease(4, 6, PL_KIND_BIND, 40004, NULL, 0), EV_ALLOC);	/* nor for itself */
	pressure_lost(p, &lost);
	assert_int_equal(lost.leases, 2);
	assert_int_equal(lost.dests, 1);
	tell(p, lease(4, 6, PL_KIND_BIND, 40004, NULL, 0), EV_RELEASE);	/* does no harm */
	tell(p, lease(1, 6, PL_KIND_BIND, 40004, NULL, 0), EV_RELEASE);
	tell(p, lease(5, 6, PL_KIND_CONNECT, 40004, "10.0.0.7", 1), EV_ALLOC);
	pressure_range(p, 7, 40000, 40009, NULL);
	assert_int_equal(space(p).used[0] + space(p).used[1], 3);
	assert_int_equal(dest(p).rport, 1);
	pressure_free(p);
}

/* A life of random events against a count that remembers every lease. */
#define N 400
static void test_against_naive(void **state)
{
	struct pressure *p = fresh(0, 0, 0);
	struct event live[N] = { 0 };
	uint64_t id = 0;

	srand(11);
	for (int round = 0; round < 20000; round++) {
		static const char *const to[] = { NULL, "10.0.0.9", "10.0.0.8", "::ffff:10.0.0.9" };
		size_t at = (size_t)rand() % N;
		struct pressure_use u;

		if (live[at].lease.id) {
			tell(p, live[at], EV_RELEASE);
			live[at].lease.id = 0;
		} else {
			live[at] = lease(++id << 10, 6, rand() % 2 ? PL_KIND_CONNECT : PL_KIND_BIND0,
					 (uint16_t)(40000 + rand() % 300), to[rand() % 4], 443);
			tell(p, live[at], EV_ALLOC);
		}
		if (round % 500 == 250)
			pressure_range(p, 7, (uint16_t)(40000 + rand() % 50), (uint16_t)(40100 + rand() % 100), NULL);
		if (round % 100 || round < 300)
			continue;
		u = space(p);
		for (int odd = 0; odd < 2; odd++) {
			static uint8_t held[65536];
			uint32_t used = 0;

			memset(held, 0, sizeof(held));
			for (int i = 0; i < N; i++)
				held[live[i].lease.lport] |= live[i].lease.id != 0;
			for (uint32_t port = u.lo; port <= u.hi; port++)
				used += held[port] && (port & 1) == (unsigned int)odd;
			assert_int_equal(u.used[odd], used);
		}
	}
	for (int i = 0; i < N; i++)
		if (live[i].lease.id)
			tell(p, live[i], EV_RELEASE);
	pressure_tick(p, 1000000000, NULL, NULL);
	pressure_tick(p, 2000000000, NULL, NULL);
	assert_true(pressure_bytes(p) < 64 * 1024);	/* nothing is kept of what is gone */
	pressure_free(p);
}

/* A namespace that is empty for a moment keeps what is known of it; one that stays so is forgotten. */
static void test_empty_for_a_moment(void **state)
{
	struct pressure *p = fresh(0, 0, 0);
	int64_t now = 1000000000;
	uint32_t netns = 0;

	tell(p, lease(1, 6, PL_KIND_BIND0, 40000, NULL, 0), EV_ALLOC);
	assert_int_equal(pressure_range(p, 7, 40000, 40009, NULL), 0);
	assert_int_equal(pressure_each_netns(p, keep_netns, &netns), 0);
	tell(p, lease(1, 6, PL_KIND_BIND0, 40000, NULL, 0), EV_RELEASE);
	assert_int_equal(pressure_range(p, 7, 40000, 40009, NULL), -ENOENT);
	pressure_tick(p, now, NULL, NULL);
	assert_int_equal(pressure_each_netns(p, never_netns, NULL), 0);
	assert_int_equal(netns, 7);
	tell(p, lease(2, 6, PL_KIND_BIND0, 40001, NULL, 0), EV_ALLOC);
	assert_true(space(p).known);
	assert_int_equal(space(p).used[0], 0);
	assert_int_equal(space(p).used[1], 1);
	tell(p, lease(2, 6, PL_KIND_BIND0, 40001, NULL, 0), EV_RELEASE);
	pressure_tick(p, now += 1000000000, NULL, NULL);
	pressure_tick(p, now += 1000000000, NULL, NULL);
	tell(p, lease(3, 6, PL_KIND_BIND0, 40002, NULL, 0), EV_ALLOC);
	assert_false(space(p).known);
	pressure_free(p);
}

static void test_idslots(void **state)
{
	struct idslots s = { .at = NULL };
	static uint8_t there[5000];

	srand(5);
	for (int i = 0; i < 200000; i++) {
		uint64_t id = 1 + (uint64_t)rand() % 4999;
		struct idslot *slot = idslots_find(&s, id);

		assert_int_equal(slot != NULL, there[id]);
		if (slot) {
			assert_int_equal(slot->port, id);
			idslots_del(&s, slot);
		} else {
			idslots_add(&s, id)->port = (uint16_t)id;
		}
		there[id] = !slot;
	}
	idslots_free(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_parity_and_reserved), cmocka_unit_test(test_destinations),
		cmocka_unit_test(test_range_changes), cmocka_unit_test(test_udp_shares_nothing), cmocka_unit_test(test_levels),
		cmocka_unit_test(test_growth), cmocka_unit_test(test_bounds), cmocka_unit_test(test_against_naive), cmocka_unit_test(test_empty_for_a_moment),
		cmocka_unit_test(test_idslots),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
