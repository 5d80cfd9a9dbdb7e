// SPDX-License-Identifier: GPL-2.0
/* The histogram: its buckets leave no hole, its quantiles are near the exact ones, merging is adding. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "base/hist.h"

#define SEC 1000000000LL
#define VALUES 20000

static uint64_t rnd(void)
{
	static uint64_t x = 88172645463325252ULL;

	x ^= x << 13;
	x ^= x >> 7;
	return x ^= x << 17;
}

/* Any size, from nanoseconds to centuries. */
static int64_t any(void)
{
	return (int64_t)(rnd() >> (1 + rnd() % 62));
}

static void test_buckets_without_holes(void **state)
{
	for (size_t i = 0; i < HIST_BUCKETS; i++) {
		int64_t lo = hist_lower(i), hi = hist_upper(i), mid = hist_middle(i);

		assert_true(lo <= mid && mid <= hi);
		assert_int_equal(hist_index(lo), i);
		assert_int_equal(hist_index(hi), i);
		if (i + 1 < HIST_BUCKETS)
			assert_int_equal(hist_lower(i + 1), hi + 1);
		assert_true((double)(hi - mid) <= 0.016 * (double)lo && (double)(mid - lo) <= 0.016 * (double)lo);
	}
	assert_int_equal(hist_lower(0), 0);
	assert_int_equal(hist_upper(HIST_BUCKETS - 1), INT64_MAX);
	assert_int_equal(hist_index(-5), 0);
}

static int compare(const void *a, const void *b)
{
	int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

	return x < y ? -1 : x > y;
}

static void test_quantiles(void **state)
{
	static const double shares[] = { 0, 0.001, 0.1, 0.5, 0.9, 0.99, 0.999, 1 };
	static int64_t all[VALUES];
	static struct hist h;
	double sum = 0;

	memset(&h, 0, sizeof(h));
	for (size_t i = 0; i < VALUES; i++) {
		all[i] = any();
		sum += (double)all[i] / 1e9;
		hist_add(&h, all[i]);
	}
	qsort(all, VALUES, sizeof(*all), compare);
	assert_int_equal(h.count, VALUES);
	assert_int_equal(h.min, all[0]);
	assert_int_equal(h.max, all[VALUES - 1]);
	assert_true(fabs(hist_sum_seconds(&h) - sum) <= 1e-9 * sum);
	assert_true(fabs((double)hist_mean(&h) / 1e9 - sum / VALUES) <= 1e-6 * sum / VALUES);
	for (size_t i = 0; i < sizeof(shares) / sizeof(shares[0]); i++) {
		size_t rank = (size_t)ceil(shares[i] * VALUES);
		double exact = (double)all[rank ? rank - 1 : 0], got = (double)hist_quantile(&h, shares[i]);

		assert_true(fabs(got - exact) <= 0.016 * exact);
	}
}

static void test_few(void **state)
{
	struct hist h = { 0 };

	assert_int_equal(hist_quantile(&h, 0.5), -1);
	assert_int_equal(hist_mean(&h), 0);
	assert_int_equal(hist_count_le(&h, INT64_MAX), 0);
	hist_add(&h, 1234567);
	assert_int_equal(hist_quantile(&h, 0.5), 1234567);	/* the ends are exact */
	hist_add(&h, -3);
	assert_int_equal(h.min, 0);
	assert_int_equal(hist_quantile(&h, 0.5), 0);
	assert_int_equal(hist_quantile(&h, 0.51), 1234567);
	memset(&h, 0, sizeof(h));
	for (int i = 1; i <= 10; i++)
		hist_add(&h, i);
	assert_int_equal(hist_quantile(&h, 0.9), 9);
	assert_int_equal(hist_quantile(&h, 0.5), 5);
	assert_int_equal(hist_quantile(&h, 0.99), 10);
}

static void test_count_le(void **state)
{
	static const int64_t bounds[] = { 0, 1, 63, 64, 1000, 1000000, SEC, 3600 * SEC, INT64_MAX };
	static struct hist h;
	uint64_t before = 0;

	memset(&h, 0, sizeof(h));
	for (size_t i = 0; i < VALUES; i++)
		hist_add(&h, any());
	assert_int_equal(hist_count_le(&h, -1), 0);
	for (size_t i = 0; i < sizeof(bounds) / sizeof(bounds[0]); i++) {
		uint64_t n = hist_count_le(&h, bounds[i]);

		assert_true(n >= before && n <= VALUES);
		before = n;
	}
	assert_int_equal(before, VALUES);
	memset(&h, 0, sizeof(h));
	hist_add(&h, 40);
	hist_add(&h, 41);
	hist_add(&h, hist_upper(700));
	hist_add(&h, hist_upper(700) + 1);
	assert_int_equal(hist_count_le(&h, 40), 1);
	assert_int_equal(hist_count_le(&h, 41), 2);
	assert_int_equal(hist_count_le(&h, hist_upper(700)), 3);
	assert_int_equal(hist_count_le(&h, hist_upper(700) - 1), 2);
	assert_int_equal(hist_count_le(&h, hist_upper(700) + 1), 4);
}

static void test_many_is_adding(void **state)
{
	static struct hist many, each;

	memset(&many, 0, sizeof(many));
	memset(&each, 0, sizeof(each));
	for (size_t i = 0; i < VALUES; i++) {
		int64_t v = any(), n = (int64_t)(rnd() % 3);

		hist_add_many(&many, v, (uint64_t)n);
		while (n-- > 0)
			hist_add(&each, v);
	}
	assert_memory_equal(&many, &each, sizeof(many));
}

/* 292 years a thousand times: more than 64 bits of nanoseconds. */
static void test_sum_does_not_wrap(void **state)
{
	struct hist h = { 0 };

	hist_add_many(&h, INT64_MAX, 1000);
	assert_true(fabs(hist_sum_seconds(&h) - 9223372036854.775807) < 1e-3);
	assert_true(fabs((double)hist_mean(&h) - (double)INT64_MAX) < 1e6);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_buckets_without_holes), cmocka_unit_test(test_quantiles), cmocka_unit_test(test_few),
		cmocka_unit_test(test_count_le), cmocka_unit_test(test_many_is_adding), cmocka_unit_test(test_sum_does_not_wrap),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
