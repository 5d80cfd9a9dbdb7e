// SPDX-License-Identifier: GPL-2.0
/* Numbers and sizes: the whole text or nothing, and the edges of every range. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

#include <errno.h>

#include "base/parse.h"

static void test_u64(void **state)
{
	uint64_t v = 7;

	assert_int_equal(parse_u64("18446744073709551615", 0, UINT64_MAX, &v), 0);
	assert_true(v == UINT64_MAX);
	assert_int_equal(parse_u64("18446744073709551616", 0, UINT64_MAX, &v), -ERANGE);
	assert_int_equal(parse_u64("99999999999999999999999", 0, UINT64_MAX, &v), -ERANGE);
	assert_int_equal(parse_u64("0007", 0, 9, &v), 0);
	assert_int_equal(v, 7);
	assert_int_equal(parse_u64("10", 1, 9, &v), -ERANGE);
	assert_int_equal(parse_u64("0", 1, 9, &v), -ERANGE);
	assert_int_equal(v, 7);
}

static void test_refuses(void **state)
{
	static const char *const wrong[] = { "", " ", " 1", "1 ", "+1", "-1", "0x10", "1e3", "1.0", "one", "1\n", "\xc2\xb2" };
	uint64_t v = 7;
	uint32_t w = 7;

	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		assert_int_equal(parse_u64(wrong[i], 0, UINT64_MAX, &v), -EINVAL);
		assert_int_equal(parse_u32(wrong[i], 0, UINT32_MAX, &w), -EINVAL);
		assert_int_equal(parse_size(wrong[i], &v), -EINVAL);
	}
	assert_int_equal(v, 7);
	assert_int_equal(w, 7);
	assert_int_equal(parse_u32("4294967296", 0, UINT32_MAX, &w), -ERANGE);
	assert_int_equal(parse_u32("4294967295", 0, UINT32_MAX, &w), 0);
	assert_true(w == UINT32_MAX);
}

static void test_size(void **state)
{
	static const struct { const char *text; uint64_t want; } right[] = {
		{ "0", 0 }, { "512", 512 }, { "256K", 262144 }, { "256k", 262144 }, { "16M", 16777216 },
		{ "3G", 3221225472 }, { "1t", 1099511627776 },
	};
	uint64_t v;

	for (size_t i = 0; i < sizeof(right) / sizeof(right[0]); i++) {
		assert_int_equal(parse_size(right[i].text, &v), 0);
		assert_true(v == right[i].want);
	}
	assert_int_equal(parse_size("K", &v), -EINVAL);
	assert_int_equal(parse_size("1KB", &v), -EINVAL);
	assert_int_equal(parse_size("1 K", &v), -EINVAL);
	assert_int_equal(parse_size("1P", &v), -EINVAL);
	assert_int_equal(parse_size("99999999999T", &v), -ERANGE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_u64), cmocka_unit_test(test_refuses), cmocka_unit_test(test_size),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
