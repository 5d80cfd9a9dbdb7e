// SPDX-License-Identifier: GPL-2.0
/* Summaries: what is held, what happened in between, and that nothing is counted twice or not at all. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include <errno.h>
#include <netinet/in.h>

#include "model/meter.h"
#include "model/reuse.h"
#include "model/tally.h"

#define OWN 5
#define SEC 1000000000LL

static void range(void *ctx, struct summary_netns *n)
{
	++*(int *)ctx;
	n->range_lo = 40000;
	n->range_hi = 40009;
	n->reserved = 1;
}

static void hold(struct lease_table *t, uint64_t id, uint32_t netns, uint16_t port, uint8_t proto, uint32_t tgid, uint8_t flags)
{
	struct pl_lease l = {
		.id = id, .netns = netns, .lport = port, .proto = proto, .tgid = tgid, .flags = flags, .cgroup = tgid % 2 + 1,
		.proc_start = tgid,
	};

	snprintf(l.comm, sizeof(l.comm), "p%u", tgid);
	assert_int_equal(lease_table_put(t, &l, NULL), 0);
}

static void test_tally(void **state)
{
	int asked = 0;
	struct tally_opts opts = { .own = OWN, .workloads = true, .range = range, .ctx = &asked };
	struct lease_table *live;
	struct tally t;

	assert_int_equal(lease_table_new(&live), 0);
	hold(live, 1, OWN, 40001, IPPROTO_TCP, 10, 0);
	hold(live, 2, OWN, 40001, IPPROTO_TCP, 11, 0);	/* the same port: in use once */
	hold(live, 3, OWN, 40001, IPPROTO_UDP, 10, 0);
	hold(live, 4, OWN, 40002, IPPROTO_TCP, 10, PL_F_TIME_WAIT);
	hold(live, 5, OWN, 39999, IPPROTO_UDP, 0, 0);	/* outside the range, owner not known */
	hold(live, 6, 6, 40001, IPPROTO_TCP, 10, 0);	/* another account */
	assert_int_equal(tally_look(&opts, live, &t), 0);
	assert_int_equal(asked, 2);
	assert_int_equal(t.live, 6);
	assert_int_equal(t.time_wait, 1);
	assert_int_equal(t.n_netns, 2);
	assert_int_equal(t.netns[0].netns, OWN);
	assert_int_equal(t.netns[0].used_odd, 1);
	assert_int_equal(t.netns[0].used_even, 1);
	assert_int_equal(t.netns[0].in_use[PL_IX_TCP], 2);
	assert_int_equal(t.netns[0].in_use[PL_IX_UDP], 2);
	assert_int_equal(t.netns[0].time_wait, 1);
	assert_int_equal(t.netns[1].used_odd, 1);
	assert_int_equal(t.n_procs, 2);
	assert_int_equal(t.procs[0].sample.tgid, 10);
	assert_int_equal(t.procs[0].leases, 4);
	assert_int_equal(t.n_workloads, 2);
	assert_int_equal(t.workloads[0].leases, 5);	/* cgroup 1: the even and the unknown ones */
	tally_free(&t);
	lease_table_free(live);
}

static void test_tally_is_large(void **state)
{
	int asked = 0;
	struct tally_opts opts = { .own = OWN, .range = range, .ctx = &asked };
	struct lease_table *live;
	struct tally t;

	assert_int_equal(lease_table_new(&live), 0);
	assert_int_equal(tally_look(&opts, live, &t), 0);
	assert_int_equal(t.n_netns, 1);		/* our own, though nothing is held */
	assert_int_equal(t.live, 0);
	tally_free(&t);
	for (uint32_t i = 1; i <= 30000; i++)
		hold(live, i, 1 + i % 300, (uint16_t)(1024 + i % 7000), IPPROTO_TCP, 1 + i % 1000, 0);
	assert_int_equal(tally_look(&opts, live, &t), 0);
	assert_int_equal(t.live, 30000);
	assert_int_equal(t.n_netns, 300);
	assert_int_equal(t.n_procs, 1000);
	assert_int_equal(t.procs[999].leases, 30);
	tally_free(&t);
	lease_table_free(live);
}

static struct event began(uint64_t id, uint16_t port, uint32_t tgid, uint64_t start)
{
	struct event ev = {
		.kind = EV_ALLOC, .start = (int64_t)start + 1000,
		.lease = { .id = id, .start = start, .lport = port, .tgid = tgid, .proc_start = tgid, .netns = OWN, .proto = IPPROTO_TCP },
	};

	snprintf(ev.lease.comm, sizeof(ev.lease.comm), "p%u", tgid);
	return ev;
}

static void life(struct meter *m, uint64_t id, uint16_t port, uint32_t tgid, uint64_t start, int64_t ns)
{
	struct event ev = began(id, port, tgid, start);

	meter_event(m, &ev, 1);
	ev.kind = EV_RELEASE;
	ev.end = ev.start + ns;
	meter_event(m, &ev, 0);
}

static void take(struct meter *m, uint64_t *id, uint16_t port, uint32_t tgid)
{
	++*id;
	life(m, *id, port, tgid, *id * 1000, 10);
}

static void test_lifetimes_and_reuse(void **state)
{
	struct event ev = began(9, 40009, 7, 900 * SEC);
	struct tally none = { 0 };
	uint64_t stats[PL_STATS] = { 0 };
	struct summary sum;
	struct meter *m;

	assert_int_equal(meter_new(10 * SEC, &m), 0);
	life(m, 1, 40001, 7, 1 * SEC, SEC / 100);
	life(m, 2, 40001, 7, 2 * SEC, 60 * SEC + 1);	/* free for 0.99 s in between */
	assert_int_equal(meter_lifetimes(m)->count, 2);
	assert_int_equal(meter_lifetimes(m)->min, SEC / 100);
	assert_int_equal(meter_lifetimes(m)->max, 60 * SEC + 1);
	assert_int_equal(meter_reuse(m)->count, 1);
	assert_int_equal(meter_reuse(m)->max, SEC - SEC / 100);
	/* What a snapshot found has no lifetime, what a repair ended neither. */
	ev.kind = EV_RELEASE;
	ev.end = ev.start + SEC;
	ev.lease.flags = PL_F_SNAPSHOT;
	meter_event(m, &ev, 0);
	ev.lease.flags = 0;
	ev.evidence = EVIDENCE_RESYNC;
	meter_event(m, &ev, 0);
	assert_int_equal(meter_lifetimes(m)->count, 2);
	meter_summary(m, stats, &none, 70 * SEC, &sum);
	assert_int_equal(sum.span, 60 * SEC);
	assert_int_equal(sum.lives, 2);
	assert_true(sum.p50_us >= 9800 && sum.p50_us <= 10200);
	assert_true(sum.p99_us >= 59000000 && sum.p99_us <= 61000000);
	assert_int_equal(sum.peak, 1);
	meter_summary(m, stats, &none, 80 * SEC, &sum);
	assert_int_equal(sum.lives, 0);
	assert_int_equal(sum.peak, 0);
	meter_free(m);
}

/* Whatever happens when: all summaries together are the counters. */
static void test_sums_are_exact(void **state)
{
	uint64_t stats[PL_STATS] = { 0 }, sums[8] = { 0 };
	struct tally none = { 0 };
	struct summary sum;
	struct meter *m;

	assert_int_equal(meter_new(0, &m), 0);
	srand(1);
	for (int round = 0; round < 50; round++) {
		for (int i = 0; i < 1000; i++)
			stats[(size_t)rand() % PL_STATS]++;
		meter_event(m, &(struct event){ .kind = EV_FAIL, .err = EADDRINUSE, .lease.kind = PL_KIND_BIND }, 0);
		meter_summary(m, stats, &none, round, &sum);
		for (int k = 0; k < PL_KINDS; k++)
			sums[0] += sum.allocs[k];
		for (int p = 0; p < PL_PROTOS; p++) {
			sums[1] += sum.allocs_by[p];
			sums[2] += sum.releases_by[p];
			for (int e = 0; e < PL_ERRNOS; e++)
				sums[3] += sum.fails_by[p][e];
		}
		sums[4] += sum.releases;
		for (int e = 0; e < PL_ERRNOS; e++)
			sums[5] += sum.fails[e];
		sums[6] += sum.lost;
		for (int k = 0; k < PL_KINDS; k++)
			sums[7] += sum.fails_kind[k] - (k == PL_KIND_BIND);
	}
	for (int i = 0; i < PL_STAT_RELEASE_0; i++)
		sums[0] -= stats[i], sums[1] -= stats[i];
	for (int i = PL_STAT_RELEASE_0; i < PL_STAT_FAIL_0; i++)
		sums[2] -= stats[i], sums[4] -= stats[i];
	for (int i = PL_STAT_FAIL_0; i < PL_STAT_RING_0; i++)
		sums[3] -= stats[i], sums[5] -= stats[i];
	for (int i = 0; i < PL_REC_KINDS; i++)
		sums[6] -= i == PL_REC_PATH ? 0 : stats[PL_STAT_RING(i)];
	sums[6] -= stats[PL_STAT_TABLE];
	for (int i = 0; i < 8; i++)
		assert_int_equal(sums[i], 0);
	meter_free(m);
}

/* One process among thousands of short ones is still found. */
static void test_top_takers(void **state)
{
	uint64_t stats[PL_STATS] = { 0 };
	struct tally none = { 0 };
	struct summary sum;
	struct meter *m;
	uint64_t id = 1;

	assert_int_equal(meter_new(0, &m), 0);
	for (uint32_t pid = 100; pid < 20100; pid++) {
		take(m, &id, 40001, pid);
		if (pid % 10 == 0)
			take(m, &id, 40002, 7);
	}
	meter_summary(m, stats, &none, 1, &sum);
	assert_int_equal(sum.taken[0].pid, 7);
	assert_string_equal(sum.taken[0].comm, "p7");
	assert_true(sum.taken[0].ports > 1900 && sum.taken[0].ports <= 2000);
	meter_summary(m, stats, &none, 2, &sum);
	assert_int_equal(sum.taken[0].ports, 0);
	for (uint32_t pid = 1; pid <= 6; pid++)
		for (uint32_t i = 0; i < pid; i++)
			take(m, &id, 40001, pid);
	meter_summary(m, stats, &none, 3, &sum);
	for (uint32_t i = 0; i < SUMMARY_TOP; i++) {
		assert_int_equal(sum.taken[i].pid, 6 - i);
		assert_int_equal(sum.taken[i].ports, 6 - i);
	}
	meter_free(m);
}

/* What is held now is told as it was counted; of more namespaces or processes than there is room for, how many more. */
static void test_held_in_summary(void **state)
{
	int asked = 0;
	struct tally_opts opts = { .own = OWN, .range = range, .ctx = &asked };
	uint64_t stats[PL_STATS] = { 0 };
	struct lease_table *live;
	struct event gap = { .kind = EV_GAP, .gap = &(struct gap){ .cause = GAP_TABLE } }, refused = { .kind = EV_FAIL };
	struct summary sum;
	struct meter *m;
	struct tally t;

	assert_int_equal(lease_table_new(&live), 0);
	assert_int_equal(meter_new(0, &m), 0);
	for (uint32_t i = 1; i <= 40; i++)	/* process 1 has 1, process 2 has 2, ... */
		for (uint32_t n = 0; n < (i > 6 ? 1 : i); n++)
			hold(live, i * 100 + n, i + OWN, (uint16_t)(40000 + n), IPPROTO_TCP, i > 6 ? 0 : i, i == 1 ? PL_F_TIME_WAIT : 0);
	assert_int_equal(tally_look(&opts, live, &t), 0);
	refused.lease.kind = PL_KIND_BIND;
	meter_event(m, &gap, 60);
	meter_event(m, &refused, 60);
	meter_summary(m, stats, &t, 1, &sum);
	assert_int_equal(sum.live, 55);
	assert_int_equal(sum.peak, 60);
	assert_int_equal(sum.time_wait, 1);
	assert_int_equal(sum.n_netns, SUMMARY_NETNS_MAX);
	assert_int_equal(sum.netns_more, 41 - SUMMARY_NETNS_MAX);	/* and our own, where nothing is held */
	for (uint32_t i = 0; i < SUMMARY_TOP; i++) {
		char name[8];

		snprintf(name, sizeof(name), "p%u", 6 - i);
		assert_int_equal(sum.held[i].pid, 6 - i);
		assert_int_equal(sum.held[i].ports, 6 - i);
		assert_string_equal(sum.held[i].comm, name);
	}
	assert_int_equal(sum.fails_kind[PL_KIND_BIND], 1);
	assert_int_equal(meter_gaps(m)[GAP_TABLE], 1);
	meter_summary(m, stats, &t, 2, &sum);
	assert_int_equal(sum.peak, 55);		/* what is held is held in this span, too */
	assert_int_equal(sum.fails_kind[PL_KIND_BIND], 0);
	tally_free(&t);
	lease_table_free(live);
	meter_free(m);
}

static void test_reuse_is_bounded(void **state)
{
	struct reuse *r;

	assert_int_equal(reuse_new(&r), 0);
	for (uint32_t netns = 1; netns <= 2000; netns++)
		reuse_released(r, netns, IPPROTO_TCP, 40000, 100);
	assert_int_equal(reuse_taken(r, 2000, IPPROTO_TCP, 40000, 150), 50);
	assert_int_equal(reuse_taken(r, 2000, IPPROTO_TCP, 40000, 150), -1);	/* told once */
	assert_int_equal(reuse_taken(r, 2000, IPPROTO_UDP, 40000, 150), -1);
	assert_int_equal(reuse_taken(r, 1, IPPROTO_TCP, 40000, 150), -1);	/* forgotten */
	assert_int_equal(reuse_taken(r, 1999, IPPROTO_TCP, 40000, 90), 0);	/* two CPUs: never negative */
	reuse_free(r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_tally), cmocka_unit_test(test_tally_is_large), cmocka_unit_test(test_lifetimes_and_reuse),
		cmocka_unit_test(test_sums_are_exact), cmocka_unit_test(test_held_in_summary), cmocka_unit_test(test_top_takers),
		cmocka_unit_test(test_reuse_is_bounded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
