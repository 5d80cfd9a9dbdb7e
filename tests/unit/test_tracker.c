/* SPDX-License-Identifier: GPL-2.0 */
/* The tracker: what is told once, and what a repair finds after a loss. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

#include "model/tracker.h"

#define MAX_TOLD 32

struct told {
	struct event ev[MAX_TOLD];
	int n, fail_at;
};

static int tell(void *ctx, struct event *ev)
{
	struct told *told = ctx;

	assert_true(told->n < MAX_TOLD);
	told->ev[told->n++] = *ev;
	return told->fail_at == told->n ? -5 : 0;
}

static struct pl_rec record(int kind, uint64_t id, uint64_t start, uint64_t ts)
{
	struct pl_rec r = {
		.hdr = { .ts = ts, .size = sizeof(r), .kind = kind },
		.lease = { .id = id, .start = start, .lport = 40000, .proto = 6, .family = 2, .kind = PL_KIND_BIND },
	};

	return r;
}

static void feed(struct tracker *t, int kind, uint64_t id, uint64_t start, uint64_t ts)
{
	struct pl_rec r = record(kind, id, start, ts);

	assert_int_equal(tracker_record(t, &r), 0);
}

static void test_life(void **state)
{
	struct told told = { .n = 0 };
	struct tracker *t;

	assert_int_equal(tracker_new(tell, &told, &t), 0);
	tracker_set_offset(t, 1000);
	feed(t, PL_REC_ALLOC, 1, 10, 10);
	assert_int_equal(tracker_live(t), 1);
	feed(t, PL_REC_TIMEWAIT, 1, 10, 20);
	feed(t, PL_REC_RELEASE, 1, 10, 30);
	assert_int_equal(tracker_live(t), 0);
	assert_int_equal(told.n, 3);
	assert_int_equal(told.ev[0].kind, EV_ALLOC);
	assert_int_equal(told.ev[2].kind, EV_RELEASE);
	assert_int_equal(told.ev[2].start, 1010);
	assert_int_equal(told.ev[2].end, 1030);
	tracker_free(t);
}

static void test_told_once(void **state)
{
	struct told told = { .n = 0 };
	struct tracker *t;

	assert_int_equal(tracker_new(tell, &told, &t), 0);
	feed(t, PL_REC_ALLOC, 1, 10, 10);
	feed(t, PL_REC_OPEN, 1, 10, 10);
	assert_int_equal(told.n, 1);
	assert_int_equal(tracker_live(t), 1);
	tracker_free(t);
}

/* A release whose beginning was lost is whole in itself. */
static void test_end_without_beginning(void **state)
{
	struct told told = { .n = 0 };
	struct tracker *t;

	assert_int_equal(tracker_new(tell, &told, &t), 0);
	feed(t, PL_REC_RELEASE, 7, 10, 30);
	assert_int_equal(told.n, 1);
	assert_int_equal(told.ev[0].start, 10);
	assert_int_equal(tracker_live(t), 0);
	tracker_free(t);
}

/* accept() and the peer's reset meet: who accepted is told after the end. */
static void test_owner_after_the_end(void **state)
{
	struct told told = { .n = 0 };
	struct tracker *t;

	assert_int_equal(tracker_new(tell, &told, &t), 0);
	feed(t, PL_REC_ALLOC, 1, 10, 10);
	feed(t, PL_REC_RELEASE, 1, 10, 20);
	feed(t, PL_REC_OWNER, 1, 10, 19);
	assert_int_equal(told.n, 2);
	assert_int_equal(tracker_live(t), 0);
	tracker_free(t);
}

static void hold(struct tracker *t, uint64_t id, uint64_t start)
{
	struct pl_rec r = record(PL_REC_OPEN, id, start, start);

	assert_int_equal(tracker_repair_held(t, &r.lease), 0);
}

static void test_repair(void **state)
{
	struct pl_rec accepted = record(PL_REC_ALLOC, 6, 12, 12);
	struct told told = { .n = 0 };
	struct tracker *t;

	assert_int_equal(tracker_new(tell, &told, &t), 0);
	feed(t, PL_REC_ALLOC, 1, 10, 10);	/* goes on */
	feed(t, PL_REC_ALLOC, 2, 11, 11);	/* its end is lost */
	feed(t, PL_REC_ALLOC, 6, 12, 12);	/* so is that it was accepted */
	told.n = 0;
	assert_int_equal(tracker_repair_begin(t, 100), 0);
	hold(t, 1, 10);
	accepted.lease.tgid = 77;
	assert_int_equal(tracker_repair_held(t, &accepted.lease), 0);
	hold(t, 3, 50);				/* its beginning was lost */
	hold(t, 4, 60);				/* ends while the table is read */
	feed(t, PL_REC_RELEASE, 4, 60, 101);
	feed(t, PL_REC_ALLOC, 5, 102, 102);	/* begins meanwhile: not in the table that was read */
	assert_int_equal(told.n, 2);
	assert_int_equal(tracker_repair_end(t), 0);
	assert_int_equal(told.n, 4);
	assert_int_equal(told.ev[2].kind, EV_ALLOC);
	assert_int_equal(told.ev[2].lease.id, 3);
	assert_int_equal(told.ev[2].evidence, EVIDENCE_RESYNC);
	assert_int_equal(told.ev[3].kind, EV_RELEASE);
	assert_int_equal(told.ev[3].lease.id, 2);
	assert_int_equal(told.ev[3].reason, PL_REASON_LOST);
	assert_int_equal(told.ev[3].evidence, EVIDENCE_RESYNC);
	assert_int_equal(told.ev[3].end, 100);
	assert_int_equal(tracker_live(t), 4);
	assert_int_equal(lease_table_find(tracker_leases(t), 6)->lease.tgid, 77);
	tracker_free(t);
}

/* Its entry goes from one place of the kernel's table to another while that is read. */
static void test_repair_meets_time_wait(void **state)
{
	struct told told = { .n = 0 };
	struct tracker *t;

	assert_int_equal(tracker_new(tell, &told, &t), 0);
	feed(t, PL_REC_ALLOC, 1, 10, 10);
	assert_int_equal(tracker_repair_begin(t, 100), 0);
	feed(t, PL_REC_TIMEWAIT, 1, 10, 101);
	assert_int_equal(tracker_repair_end(t), 0);
	assert_int_equal(tracker_live(t), 1);
	/* What tells of it is lost: it is told to end, and again to begin, and when it ends that is the end. */
	assert_int_equal(tracker_repair_begin(t, 200), 0);
	assert_int_equal(tracker_repair_end(t), 0);
	assert_int_equal(tracker_live(t), 0);
	assert_int_equal(tracker_repair_begin(t, 300), 0);
	hold(t, 1, 10);
	assert_int_equal(tracker_repair_end(t), 0);
	assert_int_equal(tracker_live(t), 1);
	told.n = 0;
	feed(t, PL_REC_RELEASE, 1, 10, 400);
	assert_int_equal(tracker_live(t), 0);
	assert_int_equal(told.n, 1);
	tracker_free(t);
}

static void test_repair_many(void **state)
{
	struct told told = { .n = 0 };
	struct tracker *t;

	assert_int_equal(tracker_new(tell, &told, &t), 0);
	for (uint64_t id = 1; id <= 20; id++) {
		feed(t, PL_REC_ALLOC, id, id, id);
		told.n = 0;
	}
	assert_int_equal(tracker_repair_begin(t, 1000), 0);
	for (uint64_t id = 1; id <= 20; id += 2)
		hold(t, id, id);
	assert_int_equal(tracker_repair_end(t), 0);
	assert_int_equal(told.n, 10);
	for (int i = 0; i < told.n; i++)
		assert_int_equal(told.ev[i].lease.id % 2, 0);
	assert_int_equal(tracker_live(t), 10);
	tracker_free(t);
}

static void test_errors_pass(void **state)
{
	struct told told = { .n = 0, .fail_at = 1 };
	struct pl_rec r = record(PL_REC_ALLOC, 1, 10, 10), bad = record(99, 2, 10, 10);
	struct tracker *t;

	assert_int_equal(tracker_new(tell, &told, &t), 0);
	assert_int_equal(tracker_record(t, &r), -5);
	assert_true(tracker_record(t, &bad) < 0);
	tracker_free(t);
	tracker_free(NULL);
}

/* The kernel deletes, then tells: a repair can come between the two. */
static void test_release_after_repair(void **state)
{
	struct told told = { .n = 0 };
	struct tracker *t;

	assert_int_equal(tracker_new(tell, &told, &t), 0);
	feed(t, PL_REC_ALLOC, 1, 10, 10);
	assert_int_equal(tracker_repair_begin(t, 50), 0);
	assert_int_equal(tracker_repair_end(t), 0);
	assert_int_equal(told.n, 2);
	assert_int_equal(told.ev[1].evidence, EVIDENCE_RESYNC);
	feed(t, PL_REC_RELEASE, 1, 10, 49);
	assert_int_equal(told.n, 2);
	assert_int_equal(tracker_repeated(t, EV_RELEASE), 1);
	assert_int_equal(tracker_live(t), 0);
	tracker_free(t);
}

/* The end on another CPU was faster than the beginning. */
static void test_release_before_alloc(void **state)
{
	struct told told = { .n = 0 };
	struct tracker *t;

	assert_int_equal(tracker_new(tell, &told, &t), 0);
	feed(t, PL_REC_RELEASE, 1, 10, 11);
	feed(t, PL_REC_ALLOC, 1, 10, 10);
	assert_int_equal(told.n, 2);
	assert_int_equal(tracker_live(t), 0);
	tracker_free(t);
}

/* A snapshot tells what it found a chunk at a time; an end through the ring may come first. */
static void test_release_before_open(void **state)
{
	struct pl_rec end = record(PL_REC_RELEASE, 1, 10, 12), open = record(PL_REC_OPEN, 1, 10, 10);
	struct told told = { .n = 0 };
	struct tracker *t;

	end.lease.flags = open.lease.flags = PL_F_SNAPSHOT;
	assert_int_equal(tracker_new(tell, &told, &t), 0);
	assert_int_equal(tracker_record(t, &end), 0);
	assert_int_equal(told.n, 0);
	assert_int_equal(tracker_record(t, &open), 0);
	assert_int_equal(told.n, 2);
	assert_int_equal(told.ev[0].kind, EV_OPEN);
	assert_int_equal(told.ev[1].kind, EV_RELEASE);
	assert_int_equal(tracker_live(t), 0);
	tracker_free(t);
}

static void feed_found(struct tracker *t, int kind, uint64_t id, uint64_t ts)
{
	struct pl_rec r = record(kind, id, 10, ts);

	r.lease.flags = PL_F_SNAPSHOT;
	assert_int_equal(tracker_record(t, &r), 0);
}

/* So may its owner and its TIME_WAIT.  What came in the wrong order of two CPUs is no news, and waits for nobody. */
static void test_changes_before_open(void **state)
{
	static const struct { enum event_kind kind; uint64_t id; } want[] = {
		{ EV_OPEN, 1 }, { EV_OWNER, 1 }, { EV_TIMEWAIT, 1 }, { EV_RELEASE, 1 }, { EV_OPEN, 2 }, { EV_OWNER, 2 },
		{ EV_OPEN, 3 }, { EV_RELEASE, 3 }, { EV_OPEN, 4 }, { EV_OPEN, 5 },
	};
	struct told told = { .n = 0 };
	struct tracker *t;

	assert_int_equal(tracker_new(tell, &told, &t), 0);
	tracker_snapshot_begin(t);
	feed_found(t, PL_REC_OWNER, 2, 11);
	feed_found(t, PL_REC_OWNER, 1, 11);
	feed_found(t, PL_REC_TIMEWAIT, 1, 12);
	feed_found(t, PL_REC_RELEASE, 3, 13);
	feed_found(t, PL_REC_OWNER, 3, 12);
	feed_found(t, PL_REC_OWNER, 4, 12);
	feed_found(t, PL_REC_RELEASE, 1, 13);
	assert_int_equal(told.n, 0);
	for (uint64_t id = 1; id <= 3; id++)
		feed_found(t, PL_REC_OPEN, id, 10);
	assert_int_equal(tracker_snapshot_end(t), 0);
	/* Outside of a snapshot nothing is still to come. */
	feed_found(t, PL_REC_OWNER, 5, 14);
	feed_found(t, PL_REC_OPEN, 4, 10);
	feed_found(t, PL_REC_OPEN, 5, 10);
	assert_int_equal(told.n, sizeof(want) / sizeof(want[0]));
	for (int i = 0; i < told.n; i++) {
		assert_int_equal(told.ev[i].kind, want[i].kind);
		assert_int_equal(told.ev[i].lease.id, want[i].id);
	}
	assert_int_equal(tracker_live(t), 3);
	tracker_free(t);
}

/* A snapshot that fails half-way found leases that it never told, and some of them have ended. */
static void test_snapshot_fails(void **state)
{
	struct told told = { .n = 0, .fail_at = 6 };
	struct tracker *t;

	assert_int_equal(tracker_new(tell, &told, &t), 0);
	assert_int_equal(tracker_snapshot_end(t), 0);
	for (uint64_t id = 1; id <= 3; id++) {
		struct pl_rec end = record(PL_REC_RELEASE, id, 0, 12);

		end.hdr.reason = PL_REASON_CLOSE;
		end.lease.flags = PL_F_SNAPSHOT;
		assert_int_equal(tracker_record(t, &end), 0);
	}
	assert_int_equal(told.n, 0);
	assert_int_equal(tracker_snapshot_end(t), -5);	/* the callback's own error at the last end is passed on */
	assert_int_equal(told.n, 6);
	for (int i = 0; i < 6; i++) {
		assert_int_equal(told.ev[i].kind, i % 2 ? EV_RELEASE : EV_OPEN);
		assert_int_equal(told.ev[i].lease.id, told.ev[i & ~1].lease.id);
		assert_int_equal(told.ev[i].reason, i % 2 ? PL_REASON_CLOSE : PL_REASON_NONE);
	}
	assert_int_equal(tracker_live(t), 0);
	assert_int_equal(tracker_snapshot_end(t), 0);
	assert_int_equal(told.n, 6);
	tracker_free(t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_release_after_repair), cmocka_unit_test(test_release_before_alloc), cmocka_unit_test(test_release_before_open),
		cmocka_unit_test(test_changes_before_open), cmocka_unit_test(test_snapshot_fails), cmocka_unit_test(test_life),
		cmocka_unit_test(test_told_once),
		cmocka_unit_test(test_end_without_beginning),
		cmocka_unit_test(test_owner_after_the_end),
		cmocka_unit_test(test_repair),
		cmocka_unit_test(test_repair_meets_time_wait), cmocka_unit_test(test_repair_many),
		cmocka_unit_test(test_errors_pass),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
