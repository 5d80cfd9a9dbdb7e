// SPDX-License-Identifier: GPL-2.0
/*
 * Memory fails wherever the accounts of leases ask for some, one place after the other: the tracker and the tally say so, crash
 * nowhere, and no end is told twice.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include "unit/faulty.h"

#include "model/tally.h"
#include "model/tracker.h"

#define LEASES 400
#define EARLY 70000	/* ends before their beginning: more than are remembered */

static unsigned char begun[EARLY + LEASES + 1], ended[EARLY + LEASES + 1];
static int err;
static struct tally tally;

static int tell(void *ctx, struct event *ev)
{
	if (ev->kind == EV_RELEASE)
		ended[ev->lease.id]++;
	else if (ev->kind == EV_ALLOC || ev->kind == EV_OPEN)
		begun[ev->lease.id]++;
	return 0;
}

static struct pl_rec record(int kind, uint64_t id, uint64_t ts)
{
	return (struct pl_rec){
		.hdr = { .ts = ts, .size = sizeof(struct pl_rec), .kind = (uint16_t)kind },
		.lease = { .id = id, .start = 10, .lport = (uint16_t)(1000 + id), .proto = 6, .family = 2, .kind = PL_KIND_BIND,
			   .tgid = (uint32_t)id, .netns = (uint32_t)(1 + id % 30), .cgroup = id % 200, .proc_start = 1 },
	};
}

static void feed(struct tracker *t, int kind, uint64_t id, uint64_t ts)
{
	struct pl_rec r = record(kind, id, ts);

	if (!err)
		err = tracker_record(t, &r);
}

static void range(void *ctx, struct summary_netns *n)
{
	n->range_lo = 1;
	n->range_hi = 65535;
}

static void account(void)
{
	struct tally_opts opts = { .own = 5, .workloads = true, .range = range };
	struct tracker *t = NULL;

	memset(&tally, 0, sizeof(tally));
	err = tracker_new(tell, NULL, &t);
	if (err)
		return;
	for (uint64_t id = 1; id <= LEASES; id++)
		feed(t, PL_REC_ALLOC, id, id);
	/* Found by a snapshot, and ended before that is told; of some the owner was told as well. */
	tracker_snapshot_begin(t);
	for (uint64_t id = 1; id <= 60; id++) {
		struct pl_rec r = record(id <= 20 ? PL_REC_OWNER : PL_REC_RELEASE, LEASES + 1 + (id + 19) % 40, 500);

		r.lease.flags |= PL_F_SNAPSHOT;
		if (!err)
			err = tracker_record(t, &r);
	}
	feed(t, PL_REC_OPEN, LEASES + 1, 501);
	if (!err)
		err = tracker_snapshot_end(t);
	for (uint64_t id = LEASES + 50; id < EARLY && !err; id++)
		feed(t, PL_REC_RELEASE, id, 600);
	if (!err)
		err = tracker_repair_begin(t, 700);
	for (uint64_t id = 1; id <= 300 && !err; id++) {
		struct pl_rec held = record(PL_REC_OPEN, id + 100, 10);

		err = tracker_repair_held(t, &held.lease);
	}
	if (!err)
		err = tracker_repair_end(t);
	if (!err)
		err = tally_look(&opts, tracker_leases(t), &tally);
	tally_free(&tally);
	tally_free(NULL);
	tracker_free(t);
}

static void nothing_yet(void)
{
	memset(begun, 0, sizeof(begun));
	memset(ended, 0, sizeof(ended));
}

static void judge(void)
{
	faulty_check(err == 0 || err == -ENOMEM);
	for (size_t i = 0; i < sizeof(ended); i++) {
		faulty_check(ended[i] <= 1);
		faulty_check(begun[i] <= 1);
	}
}

static void test_memory(void **state)
{
	const int none[] = { 0 };

	nothing_yet();
	account();
	assert_int_equal(err, 0);
	faulty_each(nothing_yet, account, judge, none);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_memory) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
