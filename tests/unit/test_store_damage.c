// SPDX-License-Identifier: GPL-2.0
/*
 * Damage that SQLite does not see: files that are whole for it and say what no recorder writes.  Passed over or set aside, and
 * the answer says so; never a crash, never a wrong "nobody".
 */
#include "unit/fds.h"
#include "unit/store_fixture.h"

#define ROWS 300	/* on port 100 + i of file i */
#define OVER 7		/* a port held over the first two files */

static int see_nothing(void *arg, const struct event *ev)
{
	return 0;
}

static void put_over(void *arg, struct store *st)
{
	if (*(bool *)arg)
		put(st, 9000, OVER, t0 - SEC, 0);
}

/* Two sealed files and a hot one. */
static void make_three(void)
{
	bool over = true;
	struct store *st = open_with(BOOT_A, put_over, &over, 0);

	for (int i = 0; i < 3; i++) {
		struct event fail = lease_of(0, 80, t0 + i * SEC, 0);

		for (int k = 0; k < ROWS; k++)
			put(st, (uint64_t)(i * 1000 + k + 1), (uint16_t)(100 + i), t0 + i * SEC, t0 + i * SEC + SEC / 2);
		fail.kind = EV_FAIL;
		fail.err = EADDRINUSE;
		assert_int_equal(store_fail(st, &fail), 0);
		if (i == 1) {
			over = false;
			put(st, 9000, OVER, t0 - SEC, t0 + SEC + SEC / 2);
		}
		if (i < 2)
			assert_int_equal(store_rotate(st), 0);
		assert_int_equal(store_settle(st, WAIT_MS), 0);
	}
	store_close(st);
	assert_int_equal(files_with("lease-", ".db"), 2);
}

static void change(const char *prefix, const char *sql)
{
	sqlite3 *db = NULL;
	char *why = NULL;

	assert_int_equal(sqlite3_open_v2(first_file(prefix), &db, SQLITE_OPEN_READWRITE, NULL), SQLITE_OK);
	if (sqlite3_exec(db, sql, NULL, NULL, &why))
		fail_msg("%s: %s", sql, why);
	/* What follows is not what SQLite finds by itself. */
	assert_int_equal(sqlite3_exec(db, "PRAGMA integrity_check", NULL, NULL, NULL), SQLITE_OK);
	sqlite3_close(db);
}

static unsigned int rows_of_all(struct history_coverage *c)
{
	struct history_query q = { .port_hi = 65535, .until = INT64_MAX - 1 };
	struct found f = { 0 };
	struct history *h = open_history();
	struct history_lives lives;

	assert_int_equal(history_leases(h, &q, collect, &f, c), 0);
	history_close(h);
	/* The other questions must live with it too. */
	h = open_history();
	assert_int_equal(history_fails(h, &q, see_nothing, NULL, NULL), 0);
	history_close(h);
	h = open_history();
	assert_int_equal(history_minutes(h, 0, INT64_MAX - 1, see_nothing, NULL), 0);
	assert_int_equal(history_lives(h, &q, &lives, see_nothing, NULL), 0);
	history_close(h);
	return f.count;
}

/* How many files are said to be passed over once the leases of the span were asked for. */
static unsigned int passed_over(int64_t since, int64_t until)
{
	struct history_query q = { .port_hi = 65535, .since = since, .until = until };
	struct history *h = open_history();
	struct history_coverage c;
	struct history_info info;
	struct found f = { 0 };

	assert_int_equal(history_leases(h, &q, collect, &f, &c), 0);
	history_info(h, &info);
	history_close(h);
	return info.skipped;
}

/* One of the three files cannot be believed, as a whole. */
static void check_passed_over(const char *prefix, const char *sql)
{
	struct history_coverage c;
	struct found f;

	change(prefix, sql);
	assert_true(rows_of_all(&c) <= 3 * ROWS + 1);
	assert_int_equal(c.skipped, 1);
	assert_int_equal(ask(555, 0, INT64_MAX - 1, &f, &c), HISTORY_LOST);
	assert_int_equal(passed_over(0, INT64_MAX - 1), 1);
}

/* There is memory for so many, but no recorder writes them. */
static void test_too_many_shapes(void **state)
{
	make_three();
	check_passed_over("lease-000001", "INSERT INTO shape(id) VALUES(2000000)");
}

static void test_unknown_shape(void **state)
{
	struct history_query q = { .port_lo = 100, .port_hi = 100, .until = INT64_MAX - 1 };
	struct history_lives lives;
	struct history_info info;
	struct history *h;

	make_three();
	check_passed_over("lease-000001", "UPDATE lease SET shape=77;UPDATE fail SET shape=77");
	h = open_history();
	assert_int_equal(history_lives(h, &q, &lives, see_nothing, NULL), 0);
	assert_int_equal(lives.lives, 0);
	history_info(h, &info);
	assert_int_equal(info.skipped, 1);
	history_close(h);
}

static void test_ports_out_of_order(void **state)
{
	make_three();
	check_passed_over("lease-000001", "UPDATE port SET first=0-5 WHERE port=100");
}

/* Nobody writes a million gaps: memory is not spent on them. */
static void test_too_many_gaps(void **state)
{
	make_three();
	check_passed_over("lease-000001", "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM n WHERE i<1048577) "
			  "INSERT INTO gap SELECT NULL,0,1,1,'ring' FROM n");
}

static void test_address_that_is_none(void **state)
{
	struct history_coverage c;
	struct found f;

	make_three();
	change("lease-000001", "UPDATE shape SET laddr='2001:zz',proto='x',family='ipv4';UPDATE peer SET raddr='here'");
	assert_int_equal(rows_of_all(&c), 3 * ROWS + 1);
	assert_int_equal(c.skipped, 0);
	ask(100, t0, t0, &f, NULL);
	assert_int_equal(f.count, ROWS);
	assert_int_equal(f.ev[0].lease.laddr[0], 0);
	assert_int_equal(f.ev[0].lease.proto, 0);
}

/* The lease began in the first file; the second, which knows its end, is not asked for its own span and turns out bad. */
static void test_end_in_damage(void **state)
{
	struct found f;

	make_three();
	ask(OVER, t0 - SEC / 2, t0 - SEC / 2, &f, NULL);
	assert_int_equal(f.count, 1);
	assert_int_equal(f.ev[0].kind, EV_RELEASE);
	change("lease-000002", "UPDATE port SET first=0-5 WHERE port=7");
	ask(OVER, t0 - SEC / 2, t0 - SEC / 2, &f, NULL);
	assert_int_equal(f.count, 1);
	assert_int_equal(f.ev[0].kind, EV_OPEN);
	assert_int_equal(passed_over(t0 - SEC / 2, t0 - SEC / 2), 1);
}

/* What another boot tells is not the end of it. */
static void test_end_of_another_boot(void **state)
{
	struct found f;

	make_three();
	change("lease-000002", "UPDATE meta SET boot_id='" BOOT_B "'");
	ask(OVER, t0 - SEC / 2, t0 - SEC / 2, &f, NULL);
	assert_int_equal(f.count, 1);
	assert_int_equal(f.ev[0].kind, EV_OPEN);
}

/* Rows that cannot be: what is left by another boot is sealed, and cannot be. */
static void check_set_aside(const char *sql)
{
	struct store_stats stats;
	struct history_coverage c;
	struct store *st;

	make_three();
	change("hot-", sql);
	st = open_with(BOOT_B, NULL, NULL, 0);
	put(st, 5001, 200, clock_unix_ns(), clock_unix_ns());
	assert_int_equal(store_settle(st, WAIT_MS), 0);
	store_stats(st, &stats);
	assert_int_equal(stats.set_aside, 1);
	store_close(st);
	assert_int_equal(files_with("hot-000003", ".corrupt"), 1);
	assert_int_equal(rows_of_all(&c), 2 * ROWS + 2);
	assert_true(c.gap);
}

static void test_rows_that_cannot_be_sealed(void **state)
{
	check_set_aside("UPDATE lease SET id=id-100;UPDATE run SET first=first-100");
}

/* Two hot files, as a kill shortly after a rotation leaves them, and the younger one cannot be taken up: the older one is. */
static void test_younger_of_two(void **state)
{
	struct history_coverage c;
	char cmd[400], was[160];
	unsigned int before;
	struct store *st;

	make_three();
	snprintf(was, sizeof(was), "%s", first_file("hot-000003"));
	snprintf(cmd, sizeof(cmd), "cp -p %s %s/hot-000004.db", was, dir);
	assert_int_equal(system(cmd), 0);
	change("hot-000004", "UPDATE lease SET shape=77,duration=NULL");
	before = fds_open();
	st = open_store();
	assert_int_equal(store_settle(st, WAIT_MS), 0);
	store_close(st);
	assert_int_equal(fds_open(), before);
	assert_int_equal(files_with("hot-000004", ".corrupt"), 1);
	/* What is new does not go into the older one, which is sealed as it was. */
	assert_int_equal(files_with("lease-000003", ".db"), 1);
	assert_int_equal(files_with("hot-000005", ".db"), 1);
	assert_int_equal(rows_of_all(&c), 3 * ROWS + 1);
	assert_true(c.gap);
}

static int count_minute(void *arg, const struct event *ev)
{
	++*(unsigned int *)arg;
	return 0;
}

static void test_roll_ups(void **state)
{
	struct history_coverage c;
	unsigned int minutes = 0;
	char path[160], cmd[700];
	struct history *h;
	FILE *file;

	make_three();
	snprintf(path, sizeof(path), "%s/minutes-2020.db", dir);
	file = fopen(path, "w");
	assert_non_null(file);
	fputs("these are no minutes", file);
	fclose(file);
	assert_int_equal(rows_of_all(&c), 3 * ROWS + 1);
	assert_int_equal(c.skipped, 0);
	/* And a whole file under the wrong name: its minutes are told once, as its own. */
	snprintf(cmd, sizeof(cmd), "cp -p %s %s/minutes-2021.db", first_file("lease-000001"), dir);
	assert_int_equal(system(cmd), 0);
	change("minutes-2021", "INSERT INTO minute(id,at) VALUES(1,5)");
	h = open_history();
	assert_int_equal(history_minutes(h, 0, INT64_MAX - 1, count_minute, &minutes), 0);
	history_close(h);
	assert_int_equal(minutes, 0);
}

/* Only a name in its one spelling is ours. */
static void test_names(void **state)
{
	static const char *const names[] = {
		"hot-99999999999.db", "hot-+00004.db", "hot-4.db", "lease-000009-20201301T000000Z-20201302T000000Z.db",
		"lease-000009-2020x301T000000Z-20201302T000000Z.db", "lease-000009-20200101T000000Z.db", "minutes-20200.dbx",
	};
	struct history_info info;
	struct history_coverage c;
	struct history *h;

	make_three();
	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
		char path[200];

		snprintf(path, sizeof(path), "%s/%s", dir, names[i]);
		close(open(path, O_CREAT | O_WRONLY, 0640));
	}
	h = open_history();
	history_info(h, &info);
	history_close(h);
	assert_int_equal(info.files, 3);
	assert_int_equal(rows_of_all(&c), 3 * ROWS + 1);
	assert_int_equal(c.skipped, 0);
	store_close(open_store());
	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++)
		assert_int_equal(files_with(names[i], ""), 1);
}

/* The lock says who wrote last and when: where it says nothing, the files do. */
static void test_pulse(void **state)
{
	struct history_info info;
	struct history *h;
	char path[160];
	FILE *file;

	make_three();
	snprintf(path, sizeof(path), "%s/lock", dir);
	file = fopen(path, "w");
	assert_non_null(file);
	fputs("no numbers here\n", file);
	fclose(file);
	h = open_history();
	history_info(h, &info);
	assert_false(info.live);
	assert_true(info.recorded_until > t0);
	history_close(h);
}

/* The hot file is gone, and what was sealed last is no more than its name. */
static void test_nothing_to_go_on_from(void **state)
{
	struct history_coverage c;
	unsigned int gaps[8];
	struct store *st;

	make_three();
	assert_int_equal(unlink(first_file("hot-")), 0);
	assert_int_equal(truncate(first_file("lease-000002"), 20), 0);
	st = open_store();
	put(st, 5000, 200, clock_unix_ns(), clock_unix_ns());
	store_close(st);
	assert_int_equal(rows_of_all(&c), ROWS + 2);
	assert_int_equal(c.skipped, 1);
	count_gaps(gaps);
	assert_int_equal(gaps[GAP_CRASH], 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_too_many_shapes), TEST(test_unknown_shape), TEST(test_ports_out_of_order), TEST(test_too_many_gaps),
		TEST(test_address_that_is_none), TEST(test_end_in_damage), TEST(test_end_of_another_boot),
		TEST(test_rows_that_cannot_be_sealed), TEST(test_younger_of_two), TEST(test_roll_ups), TEST(test_names), TEST(test_pulse),
		TEST(test_nothing_to_go_on_from),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
