// SPDX-License-Identifier: GPL-2.0
/*
 * Retention by age, on clocks that the test sets: whole files go once all in them
 * is too old, not in the first ten minutes of a session, and not for a wall clock
 * that jumps ahead, unless it stays there.
 */
#include "unit/store_fixture.h"

#define DAY (86400 * SEC)
#define MINUTE (60 * SEC)

static int64_t boot_now, unix_now;

int64_t __wrap_clock_boot_ns(void);
int64_t __wrap_clock_unix_ns(void);
int64_t __wrap_clock_boot_to_unix(void);

int64_t __wrap_clock_boot_ns(void)
{
	return __atomic_load_n(&boot_now, __ATOMIC_SEQ_CST);
}

int64_t __wrap_clock_unix_ns(void)
{
	return __atomic_load_n(&unix_now, __ATOMIC_SEQ_CST);
}

int64_t __wrap_clock_boot_to_unix(void)
{
	return __wrap_clock_unix_ns() - __wrap_clock_boot_ns();
}

/* Time passes; the wall clock is also set ahead by `step`. */
static void pass(int64_t span, int64_t step)
{
	__atomic_add_fetch(&boot_now, span, __ATOMIC_SEQ_CST);
	__atomic_add_fetch(&unix_now, span + step, __ATOMIC_SEQ_CST);
}

static int setup_clocks(void **state)
{
	boot_now = 1000 * SEC;
	unix_now = 1790000000 * SEC;
	return setup(state);
}

static struct store *begin(void)
{
	struct store_opts opts = { .dir = dir, .host = "web-1", .boot_id = BOOT_A, .version = "test", .retain_age = DAY };
	struct store *st = NULL;

	assert_int_equal(store_open_writer(&opts, &st), 0);
	return st;
}

/* A sealed file with one lease that ends now; what is sealed is followed by a look at what is too old. */
static void seal(struct store *st, uint64_t id)
{
	put(st, id, (uint16_t)(6000 + id), unix_now - SEC, unix_now);
	assert_int_equal(store_rotate(st), 0);
	assert_int_equal(store_settle(st, WAIT_MS), 0);
}

static void check_kept(unsigned int from, unsigned int to)
{
	struct found f;

	assert_int_equal(files_with("lease-", ".db"), to - from + 1);
	for (unsigned int id = 1; id <= to; id++) {
		ask((uint16_t)(6000 + id), 0, INT64_MAX - 1, &f, NULL);
		assert_int_equal(f.count, id >= from);
	}
}

static void test_old_files_go(void **state)
{
	struct store *st = begin();

	pass(MINUTE, 0);
	seal(st, 1);
	pass(DAY / 2, 0);
	seal(st, 2);
	check_kept(1, 2);
	pass(DAY / 2 + MINUTE, 0);
	seal(st, 3);
	check_kept(2, 3);
	store_close(st);
}

static void test_not_in_the_first_minutes(void **state)
{
	struct store *st = begin();

	pass(MINUTE, 0);
	seal(st, 1);
	store_close(st);
	pass(3 * DAY, 0);
	st = begin();
	pass(9 * MINUTE, 0);
	seal(st, 2);
	check_kept(1, 2);
	pass(2 * MINUTE, 0);
	seal(st, 3);
	check_kept(2, 3);
	store_close(st);
}

static void test_not_for_a_clock_that_jumps(void **state)
{
	struct store *st = begin();

	pass(MINUTE, 0);
	seal(st, 1);
	pass(20 * MINUTE, 10 * DAY);
	seal(st, 2);
	check_kept(1, 2);
	pass(DAY, 0);
	seal(st, 3);
	assert_int_equal(files_with("lease-000001", ".db"), 0);
	store_close(st);
}

/* No clock of its own: the machine begins in 1970, and the time server answers a minute later. */
static void test_begun_in_1970(void **state)
{
	struct store *st;

	unix_now = 100 * SEC;
	st = begin();
	pass(MINUTE, 1790000000 * SEC);
	seal(st, 1);
	pass(9 * MINUTE, 0);
	seal(st, 2);
	check_kept(1, 2);
	pass(2 * MINUTE, 0);
	seal(st, 3);
	check_kept(1, 3);
	pass(DAY, 0);
	seal(st, 4);
	check_kept(3, 4);
	store_close(st);
}

/* What a repair finds began within the last two looks, also where the boot clock has outgrown the room that an id has for it. */
static void test_found_after_a_year(void **state)
{
	struct store *st;
	struct event ev;

	boot_now = 400 * DAY;
	st = begin();
	pass(MINUTE, 0);
	store_merged(st);
	pass(60 * MINUTE, 0);
	ev = lease_of((uint64_t)boot_now << 10, 6001, unix_now, 0);
	ev.lease.flags |= PL_F_SNAPSHOT;
	ev.evidence = EVIDENCE_RESYNC;
	ev.start = 0;
	assert_int_equal(store_open_lease(st, &ev), 0);
	assert_int_equal(store_flush(st, WAIT_MS), 0);
	store_close(st);
	assert_int_equal(held_at(6001, unix_now), 1);
	assert_int_equal(held_at(6001, unix_now - 10 * MINUTE), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_found_after_a_year, setup_clocks, teardown),
		cmocka_unit_test_setup_teardown(test_old_files_go, setup_clocks, teardown),
		cmocka_unit_test_setup_teardown(test_not_in_the_first_minutes, setup_clocks, teardown),
		cmocka_unit_test_setup_teardown(test_not_for_a_clock_that_jumps, setup_clocks, teardown),
		cmocka_unit_test_setup_teardown(test_begun_in_1970, setup_clocks, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
