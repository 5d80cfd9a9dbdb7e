// SPDX-License-Identifier: GPL-2.0
/*
 * Files of older versions (tests/golden/history-1-*.sql, as version 1 wrote
 * them) are read, taken up and sealed; files of a version to come are refused
 * and left as they are.  What a new version added is kept.
 */
#include "unit/store_fixture.h"

#define OLD_START (1700000000 * SEC)
#define OLD_SEALED "lease-000001-20231114T221320Z-20231114T221626Z.db"

static void make_old(const char *golden, const char *name)
{
	static char sql[65536];
	char path[512];
	FILE *f = fopen(golden, "r");
	size_t n = f ? fread(sql, 1, sizeof(sql) - 1, f) : 0;
	sqlite3 *db;

	assert_true(n > 0);
	fclose(f);
	sql[n] = '\0';
	snprintf(path, sizeof(path), "%s/%s", dir, name);
	assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
	assert_int_equal(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
	sqlite3_close(db);
}

static void make_both(void)
{
	make_old("tests/golden/history-1-sealed.sql", OLD_SEALED);
	make_old("tests/golden/history-1-hot.sql", "hot-000002.db");
}

/* As if the hot file's leases had begun half as long after the boot as now is: in a boot that is their own, none lies ahead. Returns its clock. */
static int64_t make_hot_of_this_boot(void)
{
	const int64_t clock = OLD_START - clock_boot_ns() / 2;
	char path[512], sql[256];
	sqlite3 *db;

	snprintf(path, sizeof(path), "%s/hot-000002.db", dir);
	/* An id is its mark and the nanoseconds from boot to start, shifted; see hot_put_lease(). */
	snprintf(sql, sizeof(sql), "UPDATE lease SET mark = mark + ((%lld - (SELECT clock FROM meta)) << 10); UPDATE meta SET clock = %lld",
		 (long long)clock, (long long)clock);
	assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
	assert_int_equal(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
	sqlite3_close(db);
	return clock;
}

static int version_of(const char *path)
{
	sqlite3_stmt *stmt;
	sqlite3 *db;
	int v;

	assert_int_equal(sqlite3_open_v2(path, &db, SQLITE_OPEN_READONLY, NULL), SQLITE_OK);
	assert_int_equal(sqlite3_prepare_v2(db, "PRAGMA user_version", -1, &stmt, NULL), SQLITE_OK);
	assert_int_equal(sqlite3_step(stmt), SQLITE_ROW);
	v = sqlite3_column_int(stmt, 0);
	sqlite3_finalize(stmt);
	sqlite3_close(db);
	return v;
}

static void check_old(bool open)
{
	struct history_coverage c;
	struct found f;

	for (uint16_t port = 60301; port <= 60302; port++) {
		ask(port, OLD_START, OLD_START, &f, &c);
		assert_int_equal(f.count, 1);
		assert_int_equal(c.skipped, 0);
		assert_int_equal(f.ev[0].lease.id, port - 60300);
		assert_int_equal(f.ev[0].lease.tgid, 4711);
		assert_int_equal(f.ev[0].end, OLD_START + SEC);
		assert_string_equal(f.exe, "/usr/bin/curl");
		assert_null(f.ev[0].cmdline);
	}
	ask(60303, OLD_START, OLD_START, &f, &c);
	assert_int_equal(f.count, 1);
	assert_int_equal(f.ev[0].kind, open ? EV_OPEN : EV_RELEASE);
}

static void test_old_files_are_read(void **state)
{
	make_both();
	check_old(true);
}

static void test_old_boot_is_ended_and_sealed(void **state)
{
	struct store *st;

	make_both();
	st = open_with(BOOT_B, NULL, NULL, 0);
	put(st, 1, 60310, clock_unix_ns() - SEC, clock_unix_ns());
	assert_int_equal(store_settle(st, WAIT_MS), 0);
	store_close(st);
	assert_int_equal(files_with("lease-", ".db"), 2);
	assert_int_equal(files_with("hot-", ".corrupt"), 0);
	assert_int_equal(version_of(first_file("hot-")), 2);
	check_old(false);
}

/* Of the same boot: its open lease goes on, in a file where all that is new has its place. */
static void test_old_session_goes_on(void **state)
{
	struct event ev = lease_of(1003, 60303, clock_unix_ns(), 0);
	struct store *st;
	struct found f;
	int64_t clock;

	make_both();
	clock = make_hot_of_this_boot();
	ev.lease.flags = PL_F_SNAPSHOT;
	ev.evidence = EVIDENCE_SNAPSHOT;
	st = open_store();
	assert_int_equal(store_open_lease(st, &ev), 0);
	store_merged(st);
	ev = lease_of(2000, 60310, clock_unix_ns() - SEC, clock_unix_ns());
	ev.cmdline = "curl -s http://example.org/";
	assert_int_equal(store_lease(st, &ev), 0);
	assert_int_equal(store_settle(st, WAIT_MS), 0);
	store_close(st);
	check_old(true);
	ask(60303, 0, INT64_MAX - 1, &f, NULL);
	assert_int_equal(f.count, 1);
	assert_int_equal(f.ev[0].lease.id, 3);
	/* That file is of another year: the clock was set since, and the start is told by the new one. */
	assert_true(llabs(f.ev[0].start - OLD_START - (clock_boot_to_unix() - clock)) < SEC);
	ask(60310, 0, INT64_MAX - 1, &f, NULL);
	assert_string_equal(f.cmdline, "curl -s http://example.org/");
	assert_int_equal(version_of(first_file("hot-")), 2);
}

static void test_cmdline_is_kept(void **state)
{
	static const char odd[] = "python3 -c \033[2J'; DROP TABLE process;-- \xff \xe2\x80\xae";
	struct store *st = open_store();
	struct event with = lease_of(1, 6001, t0, t0 + SEC), without = lease_of(2, 6002, t0, t0 + SEC);
	struct found f;

	with.cmdline = odd;
	/* The same process, before and after its arguments were known. */
	assert_int_equal(store_lease(st, &without), 0);
	assert_int_equal(store_lease(st, &with), 0);
	assert_int_equal(store_flush(st, WAIT_MS), 0);
	for (int sealed = 0; sealed < 2; sealed++) {
		ask(6001, t0, t0, &f, NULL);
		assert_string_equal(f.cmdline, odd);
		ask(6002, t0, t0, &f, NULL);
		assert_string_equal(f.cmdline, "");
		assert_int_equal(store_rotate(st), 0);
		assert_int_equal(store_settle(st, WAIT_MS), 0);
	}
	store_close(st);
}

static void set_version(const char *path, const char *sql)
{
	sqlite3 *db;

	assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
	assert_int_equal(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
	sqlite3_close(db);
}

static void test_version_to_come_is_left_alone(void **state)
{
	struct store *st = open_store();
	struct history_coverage c;
	char path[512];
	struct found f;

	put(st, 1, 6001, t0, t0 + SEC);
	store_close(st);
	snprintf(path, sizeof(path), "%s", first_file("hot-"));
	set_version(path, "PRAGMA user_version=99");
	ask(6001, t0, t0, &f, &c);
	assert_int_equal(f.count, 0);
	assert_int_equal(c.skipped, 1);
	st = open_store();
	put(st, 2, 6002, t0, t0 + SEC);
	assert_int_equal(store_settle(st, WAIT_MS), 0);
	store_close(st);
	assert_int_equal(version_of(path), 99);
	assert_int_equal(files_with("hot-", ".db"), 2);
	ask(6002, t0, t0, &f, NULL);
	assert_int_equal(f.count, 1);
}

/* The number alone is not believed: the tables must be those of the version. */
static void test_wrong_number(void **state)
{
	struct history_coverage c;
	struct found f;

	make_both();
	set_version(first_file("lease-"), "PRAGMA user_version=2");
	ask(60301, OLD_START, OLD_START, &f, &c);
	assert_int_equal(f.count, 0);
	assert_int_equal(c.skipped, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_old_files_are_read), TEST(test_old_boot_is_ended_and_sealed), TEST(test_old_session_goes_on),
		TEST(test_cmdline_is_kept), TEST(test_version_to_come_is_left_alone), TEST(test_wrong_number),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
