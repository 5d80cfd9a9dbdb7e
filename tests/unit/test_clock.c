// SPDX-License-Identifier: GPL-2.0
/* The two clocks agree with each other and with the kernel. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include <time.h>

#include "base/clock.h"

#define MS 1000000

static void test_clocks_run(void **state)
{
	int64_t boot = clock_boot_ns(), wall = clock_unix_ns();

	assert_true(boot > 0);
	assert_in_range(wall / 1000000000, time(NULL) - 2, time(NULL) + 2);
	assert_true(clock_boot_ns() >= boot);
}

static void test_offset(void **state)
{
	int64_t offset = clock_boot_to_unix();
	int64_t error = clock_boot_ns() + offset - clock_unix_ns();

	assert_true(llabs(error) < 50 * MS);	/* a busy machine may preempt between the two */
	assert_true(llabs(clock_boot_to_unix() - offset) < 5 * MS);
}

static void test_boot_id(void **state)
{
	char id[CLOCK_BOOT_ID_LEN], again[CLOCK_BOOT_ID_LEN];

	assert_int_equal(clock_boot_id(id), 0);
	assert_int_equal(strlen(id), 36);
	assert_int_equal(strspn(id, "0123456789abcdef-"), 36);
	assert_true(id[8] == '-' && id[13] == '-' && id[18] == '-' && id[23] == '-');
	assert_int_equal(clock_boot_id(again), 0);
	assert_string_equal(id, again);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_clocks_run), cmocka_unit_test(test_offset), cmocka_unit_test(test_boot_id),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
