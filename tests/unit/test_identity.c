/* SPDX-License-Identifier: GPL-2.0 */
/* The names behind ids: found again, bounded, and in memory no more than there are processes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <malloc.h>
#include <stdio.h>
#include <string.h>

#include "kern/identity.h"

#define MANY 200000u

static void learn(struct identity *id, int what, uint64_t key, uint32_t tgid, const char *name)
{
	struct pl_path_rec rec = { .id = key, .proc_start = tgid ? tgid * 1000ull : 0, .tgid = tgid, .what = what };

	rec.len = (uint16_t)(strlen(name) + 1);
	memcpy(rec.data, name, rec.len);
	assert_int_equal(identity_learn(id, &rec), 0);
}

/* What is told of process `tgid` in cgroup `cgroup`. */
static struct event told(struct identity *id, uint32_t tgid, uint64_t cgroup)
{
	struct event ev = { .lease = { .exe = 7, .tgid = tgid, .proc_start = tgid * 1000ull, .cgroup = cgroup } };

	identity_fill(id, &ev);
	return ev;
}

static size_t in_use(void)
{
	struct mallinfo2 m = mallinfo2();

	return m.uordblks + m.hblkhd;
}

static void test_found(void **state)
{
	struct identity *id;
	char name[32];

	assert_int_equal(identity_new(16384, false, &id), 0);
	for (uint32_t i = 1; i <= 5000; i++) {
		snprintf(name, sizeof(name), "p%u", i);
		learn(id, PL_PATH_EXE, 7, i, name);
		snprintf(name, sizeof(name), "unit%u.service", i);
		learn(id, PL_PATH_CGROUP, i, 0, name);
	}
	for (uint32_t i = 1; i <= 5000; i++) {
		struct event ev = told(id, i, i);

		snprintf(name, sizeof(name), "/p%u", i);
		assert_string_equal(ev.exe, name);
		snprintf(name, sizeof(name), "/unit%u.service", i);
		assert_string_equal(ev.where.cgroup, name);
		assert_string_equal(ev.where.unit, name + 1);
		assert_null(ev.where.pod_uid);
		assert_string_equal(identity_cgroup(id, i), name);
	}
	assert_null(told(id, 5001, 0).exe);
	learn(id, PL_PATH_EXE, 7, 1, "other");
	assert_string_equal(told(id, 1, 0).exe, "/other");
	identity_free(id);
}

/* As many processes as ever live: the latest are known, and memory has a bound. */
static void test_bounded(void **state)
{
	size_t before = in_use(), few;
	struct identity *id;
	uint32_t known = 0;

	assert_int_equal(identity_new(16384, false, &id), 0);
	for (uint32_t i = 1; i <= 1000; i++)
		learn(id, PL_PATH_EXE, 7, i, "short-lived");
	few = in_use() - before;
	assert_true(few < 1000 * 500);
	for (uint32_t i = 1001; i <= MANY; i++)
		learn(id, PL_PATH_EXE, 7, i, "short-lived");
	assert_true(in_use() - before < 4 << 20);
	for (uint32_t i = MANY - 999; i <= MANY; i++)
		known += told(id, i, 0).exe != NULL;
	assert_true(known >= 990);
	assert_null(told(id, 1, 0).exe);
	identity_free(id);
	assert_true(in_use() <= before + 4096);
}

static void test_malformed(void **state)
{
	struct pl_path_rec rec = { .what = PL_PATH_EXE, .len = 1, .data = "x" };
	struct identity *id;

	assert_int_equal(identity_new(16384, false, &id), 0);
	assert_true(identity_learn(id, &rec) < 0);
	rec.what = 99;
	rec.len = 0;
	assert_true(identity_learn(id, &rec) < 0);
	identity_free(id);
	identity_free(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_found), cmocka_unit_test(test_bounded), cmocka_unit_test(test_malformed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
