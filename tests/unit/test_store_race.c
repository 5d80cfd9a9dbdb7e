// SPDX-License-Identifier: GPL-2.0
/*
 * What happens between two calls: a file that is sealed or removed after it was listed, a disk that fails and loses the file as
 * well, damage that cannot be set aside, a writer that stands still until the queue is full.  The calls of the C library are this
 * program's own here and do what a test asks for when they come by.
 */
#include "unit/store_fixture.h"

#include <dlfcn.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdarg.h>
#include <stdatomic.h>

/* ---- calls that come by ---- */

static struct {
	const char *call, *name;	/* of a file; NULL: not armed */
	int nth;			/* the first one is 1 */
	bool prefix;			/* `name` is only the beginning */
	bool lasting;			/* and all that follow */
	void (*act)(void);		/* before it, or NULL */
	int err;			/* it fails with this, 0: it does what it does */
} trap;
static pthread_mutex_t trap_lock = PTHREAD_MUTEX_INITIALIZER;

static void trap_set(const char *call, const char *name, int nth, void (*act)(void), int err)
{
	pthread_mutex_lock(&trap_lock);
	trap.call = call;
	trap.name = name;
	trap.nth = nth;
	trap.act = act;
	trap.err = err;
	trap.prefix = trap.lasting = false;
	pthread_mutex_unlock(&trap_lock);
}

static void trap_last(void)
{
	trap.lasting = true;
}

static void trap_off(void)
{
	trap_set(NULL, NULL, 0, NULL, 0);
}

static int trap_sprung(const char *call, const char *path)
{
	const char *name = strrchr(path, '/') ? strrchr(path, '/') + 1 : path;
	void (*act)(void) = NULL;
	int err = 0;

	pthread_mutex_lock(&trap_lock);
	if (trap.call && !strcmp(trap.call, call) && !strncmp(name, trap.name, strlen(trap.name)) &&
	    (trap.prefix || !name[strlen(trap.name)]) && --trap.nth <= 0) {
		act = trap.act;
		err = trap.err;
		trap.act = NULL;
		if (!trap.lasting)
			trap.call = NULL;
	}
	pthread_mutex_unlock(&trap_lock);
	if (act)
		act();
	return err;
}

static int trap_sprung_fd(const char *call, int fd)
{
	char link[32], path[512];
	ssize_t n;

	if (!trap.call || strcmp(trap.call, call))
		return 0;
	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	n = readlink(link, path, sizeof(path) - 1);
	path[n > 0 ? n : 0] = '\0';
	return trap_sprung(call, path);
}

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wmissing-prototypes"
#define REAL(ret, name, ...) ((ret (*)(__VA_ARGS__))dlsym(RTLD_NEXT, #name))
#define SPRUNG(value) \
	if (err) { \
		errno = err; \
		return value; \
	}

int openat(int at, const char *path, int flags, ...)
{
	int err = trap_sprung("openat", path);
	unsigned int mode;
	va_list ap;

	va_start(ap, flags);
	mode = flags & O_CREAT ? va_arg(ap, unsigned int) : 0;
	va_end(ap);
	SPRUNG(-1)
	return REAL(int, openat, int, const char *, int, ...)(at, path, flags, mode);
}

int renameat(int a, const char *from, int b, const char *to)
{
	int err = trap_sprung("renameat", from);

	SPRUNG(-1)
	return REAL(int, renameat, int, const char *, int, const char *)(a, from, b, to);
}

int unlinkat(int at, const char *path, int flags)
{
	int err = trap_sprung("unlinkat", path);

	SPRUNG(-1)
	return REAL(int, unlinkat, int, const char *, int)(at, path, flags);
}

ssize_t pwrite64(int fd, const void *b, size_t n, off_t at)
{
	int err = trap_sprung_fd("pwrite", fd);

	SPRUNG(-1)
	return REAL(ssize_t, pwrite64, int, const void *, size_t, off_t)(fd, b, n, at);
}

ssize_t pwrite(int fd, const void *b, size_t n, off_t at)
{
	return pwrite64(fd, b, n, at);
}
#pragma GCC diagnostic pop

/* ---- between the list and the opening ---- */

static char hot_path[128], sealed_path[600], sealed_aside[128];

static void fill(struct store *st, int file)
{
	int64_t at = t0 + file * SEC;

	for (int k = 0; k < 300; k++)
		put(st, (uint64_t)(file * 1000 + k + 1), (uint16_t)(100 + file), at, at + SEC / 2);
}

static void copy_hot(const char *to)
{
	char cmd[600];

	snprintf(cmd, sizeof(cmd), "cp -p %s %s", hot_path, to);
	assert_int_equal(system(cmd), 0);
}

/* The first file is hot still; what it is to be sealed as lies aside. */
static void make_two(void)
{
	char copy[128];
	struct store *st = open_store();

	snprintf(hot_path, sizeof(hot_path), "%s/hot-000001.db", dir);
	snprintf(copy, sizeof(copy), "%s/copy", dir);
	snprintf(sealed_aside, sizeof(sealed_aside), "%s/aside", dir);
	fill(st, 0);
	store_close(st);
	copy_hot(copy);
	st = open_store();
	assert_int_equal(store_rotate(st), 0);
	assert_int_equal(store_settle(st, WAIT_MS), 0);
	fill(st, 1);
	store_close(st);
	snprintf(sealed_path, sizeof(sealed_path), "%s", first_file("lease-000001"));
	assert_int_equal(rename(sealed_path, sealed_aside), 0);
	assert_int_equal(rename(copy, hot_path), 0);
}

static void seal_it(void)
{
	assert_int_equal(rename(sealed_aside, sealed_path), 0);
	assert_int_equal(unlink(hot_path), 0);
}

static void remove_it(void)
{
	assert_int_equal(unlink(hot_path), 0);
}

static void remove_it_and_fail(void)
{
	remove_it();
	trap_set("openat", ".", 1, NULL, EMFILE);
}

static unsigned int rows(struct history_coverage *c)
{
	struct history_query q = { .port_lo = 100, .port_hi = 110, .until = INT64_MAX - 1 };
	struct found f = { 0 };
	struct history *h = open_history();
	struct history_info info;

	assert_int_equal(history_leases(h, &q, collect, &f, c), 0);
	history_info(h, &info);
	history_close(h);
	assert_int_equal(info.skipped, c->skipped);
	assert_null(trap.call);	/* it came by */
	return f.count;
}

/* It is looked at for its size, whether it is there, and to be opened. */
static void test_sealed_under_our_eyes(void **state)
{
	struct history_coverage c;

	for (int nth = 1; nth <= 3; nth++) {
		make_two();
		trap_set("openat", "hot-000001.db", nth, seal_it, 0);
		assert_int_equal(rows(&c), 600);
		assert_int_equal(c.skipped, 0);
		assert_int_equal(teardown(NULL), 0);
		assert_int_equal(setup(NULL), 0);
	}
}

static void test_removed_under_our_eyes(void **state)
{
	struct history_coverage c;

	make_two();
	trap_set("openat", "hot-000001.db", 3, remove_it, 0);
	assert_int_equal(rows(&c), 300);
	assert_true(history_incomplete(&c));
	assert_int_equal(c.skipped, 1);
}

/* And it cannot even be seen what became of it. */
static void test_removed_and_no_list(void **state)
{
	struct history_coverage c;

	make_two();
	trap_set("openat", "hot-000001.db", 3, remove_it_and_fail, 0);
	assert_int_equal(rows(&c), 300);
	assert_int_equal(c.skipped, 1);
}

/* ---- the failure of a failure ---- */

static void test_damage_that_cannot_be_set_aside(void **state)
{
	struct history_coverage c;
	unsigned int gaps[8];
	struct store *st = open_store();

	fill(st, 0);
	store_close(st);
	assert_int_equal(truncate(first_file("hot-"), 5000), 0);
	trap_set("renameat", "hot-000001.db", 1, NULL, EACCES);
	trap_last();
	st = open_store();
	fill(st, 1);
	assert_int_equal(store_settle(st, WAIT_MS), 0);
	trap_off();
	store_close(st);
	assert_int_equal(files_with("hot-000001", ".db"), 1);
	assert_int_equal(rows(&c), 300);
	assert_int_equal(c.skipped, 1);
	count_gaps(gaps);
	assert_int_equal(gaps[GAP_CRASH], 1);
}

/* The disk is full when a file is to be sealed: the oldest goes, and then it fits. */
static void test_sealing_makes_room(void **state)
{
	struct history_coverage c;
	struct store *st = open_store();
	struct found f;

	for (int i = 0; i < 3; i++) {
		fill(st, i);
		if (i == 1) {
			trap_set("pwrite", ".tmp-lease-000002.db", 1, NULL, ENOSPC);
			trap.prefix = true;
		}
		if (i < 2)
			assert_int_equal(store_rotate(st), 0);
		assert_int_equal(store_settle(st, WAIT_MS), 0);
	}
	store_close(st);
	assert_int_equal(files_with("lease-000001", ".db"), 0);
	assert_int_equal(files_with("lease-000002", ".db"), 1);
	assert_int_equal(rows(&c), 600);
	assert_int_not_equal(ask(100, t0, t0, &f, NULL), HISTORY_NOBODY);
}

static int64_t now_is;

static int64_t unix_now(void)
{
	return now_is;
}

/* Three files of 100 s each, the first of which stays hot beside its sealed twin; there is room for none that is sealed. */
static struct store *seal_and_keep_hot(bool lasting)
{
	struct store_opts opts = { .dir = dir, .host = "web-1", .boot_id = BOOT_A, .version = "test", .retain_bytes = 1,
				   .unix_now = unix_now };
	struct store *st;

	t0 -= 1000 * SEC;
	now_is = t0;
	assert_int_equal(store_open_writer(&opts, &st), 0);
	trap_set("unlinkat", "hot-000001.db", 1, NULL, EACCES);
	trap.lasting = lasting;
	for (int i = 0; i < 3; i++) {
		put(st, (uint64_t)(i + 1), (uint16_t)(100 + i), now_is + 10 * SEC, now_is + 20 * SEC);
		now_is += 100 * SEC;
		if (i < 2)
			assert_int_equal(store_rotate(st), 0);
		assert_int_equal(store_settle(st, WAIT_MS), 0);
		assert_int_equal(files_with("hot-000001", ".db"), lasting);
	}
	return st;
}

/* What is sealed does not come to light again when retention has removed it. */
static void test_hot_twin_of_an_evicted(void **state)
{
	struct store *st = seal_and_keep_hot(false);
	struct found f;

	assert_int_equal(files_with("hot-000001", ".db"), 0);
	assert_int_equal(files_with("lease-00000", ".db"), 0);
	assert_int_equal(ask(100, t0 + 15 * SEC, t0 + 15 * SEC, &f, NULL), HISTORY_EVICTED);
	assert_int_equal(ask(101, t0 + 115 * SEC, t0 + 115 * SEC, &f, NULL), HISTORY_EVICTED);
	store_close(st);
}

/* Nor does it hide what is missing behind it while it cannot be removed. */
static void test_hot_twin_that_stays(void **state)
{
	struct store *st = seal_and_keep_hot(true);
	struct found f;

	assert_int_equal(files_with("lease-000001", ".db"), 1);
	assert_int_equal(files_with("lease-000002", ".db"), 0);
	assert_int_equal(ask(100, t0 + 15 * SEC, t0 + 15 * SEC, &f, NULL), HISTORY_HELD);
	assert_int_equal(ask(101, t0 + 115 * SEC, t0 + 115 * SEC, &f, NULL), HISTORY_LOST);
	trap_off();
	assert_int_equal(store_rotate(st), 0);
	assert_int_equal(store_settle(st, WAIT_MS), 0);
	store_close(st);
	assert_int_equal(files_with("hot-000001", ".db"), 0);
	assert_int_equal(ask(101, t0 + 115 * SEC, t0 + 115 * SEC, &f, NULL), HISTORY_EVICTED);
}

static int count_minute(void *arg, const struct event *ev)
{
	++*(unsigned int *)arg;
	return 0;
}

static unsigned int minutes_told(void)
{
	struct history *h = open_history();
	unsigned int n = 0;

	assert_int_equal(history_minutes(h, 0, INT64_MAX - 1, count_minute, &n), 0);
	history_close(h);
	return n;
}

/* Two files of a minute each, and room for none that is sealed. */
static struct store *seal_minutes(void)
{
	struct store *st = open_with(BOOT_A, NULL, NULL, 1);
	struct summary sum = { .live = 3 };
	struct event ev = { .kind = EV_SUMMARY, .summary = &sum };

	for (int i = 0; i < 2; i++) {
		ev.ts = clock_unix_ns();
		assert_int_equal(store_minute(st, &ev), 0);
		fill(st, i);
		assert_int_equal(store_rotate(st), 0);
		assert_int_equal(store_settle(st, WAIT_MS), 0);
	}
	return st;
}

/* The disk takes nothing just now: no file goes whose minutes are not kept. */
static void test_minutes_that_cannot_be_kept(void **state)
{
	struct store *st;

	trap_set("pwrite", "minutes-", 1, NULL, EIO);
	trap.prefix = true;
	trap_last();
	st = seal_minutes();
	assert_int_equal(files_with("lease-00000", ".db"), 2);
	trap_off();
	assert_int_equal(store_rotate(st), 0);
	assert_int_equal(store_settle(st, WAIT_MS), 0);
	assert_int_equal(files_with("lease-00000", ".db"), 0);
	assert_int_equal(minutes_told(), 2);
	store_close(st);
}

static void test_damaged_minutes(void **state)
{
	time_t now = clock_unix_ns() / SEC;
	char name[128], year[8];
	struct store *st;
	FILE *file;

	strftime(year, sizeof(year), "%Y", gmtime(&now));
	snprintf(name, sizeof(name), "%s/minutes-%s.db", dir, year);
	file = fopen(name, "w");
	assert_non_null(file);
	fputs("these are no minutes", file);
	fclose(file);
	st = seal_minutes();
	assert_int_equal(files_with("lease-00000", ".db"), 0);
	assert_int_equal(files_with("minutes-", ".db.corrupt"), 1);
	assert_int_equal(minutes_told(), 2);
	store_close(st);
}

static void remove_it_when_opened(void)
{
	trap_set("openat", "hot-000001.db", 2, remove_it, 0);	/* after the look whether it is still there */
}

/* The write fails, and the file is gone: by then, or when it is to be opened anew. */
static void write_fails_and(void (*loses)(void))
{
	struct store *st = open_store();
	struct history_coverage c;
	unsigned int gaps[8];

	snprintf(hot_path, sizeof(hot_path), "%s/hot-000001.db", dir);
	fill(st, 0);
	assert_int_equal(store_flush(st, WAIT_MS), 0);
	trap_set("pwrite", "hot-000001.db-wal", 1, loses, EIO);
	fill(st, 1);
	assert_int_equal(store_flush(st, WAIT_MS), 0);
	store_close(st);
	assert_int_equal(rows(&c), 300);
	count_gaps(gaps);
	assert_int_equal(gaps[GAP_STORE], 1);
	assert_true(c.gap);
}

static void test_write_fails_and_the_file_is_gone(void **state)
{
	write_fails_and(remove_it);
}

static void test_write_fails_and_the_file_goes(void **state)
{
	write_fails_and(remove_it_when_opened);
}

/* The write that ends a file fails once: then it is ended all the same, and not gone on with. */
static void test_rotation_fails_once(void **state)
{
	struct store *st = open_store();
	struct history_coverage c;

	fill(st, 0);
	assert_int_equal(store_flush(st, WAIT_MS), 0);
	trap_set("pwrite", "hot-000001.db-wal", 1, NULL, EIO);
	assert_int_equal(store_rotate(st), 0);
	assert_int_equal(store_settle(st, WAIT_MS), 0);
	assert_int_equal(files_with("lease-000001", ".db"), 1);
	assert_int_equal(files_with("hot-000002", ".db"), 1);
	fill(st, 1);
	store_close(st);
	assert_int_equal(rows(&c), 600);
}

/* A full disk at the start, and nothing happens to be recorded when there is room again. */
static void test_begins_by_itself(void **state)
{
	struct store_stats stats = { .last_error = 1 };
	struct store *st;

	trap_set("pwrite", ".tmp-hot-000001.db", 1, NULL, ENOSPC);
	trap.prefix = true;
	trap_last();
	st = open_store();
	usleep(1500000);
	store_stats(st, &stats);
	assert_int_equal(stats.last_error, -ENOSPC);
	assert_int_equal(files_with("hot-", ".db"), 0);
	trap_off();
	for (int i = 0; i < 100 && stats.last_error; i++) {
		usleep(100000);
		store_stats(st, &stats);
	}
	assert_int_equal(stats.last_error, 0);
	assert_int_equal(files_with("hot-", ".db"), 1);
	store_close(st);
}

/* ---- a writer that stands still ---- */

static sem_t stands, goes_on;

static void stand_still(void)
{
	sem_post(&stands);
	sem_wait(&goes_on);
}

struct lost {
	int64_t rows;
	unsigned int ring;
};

static int add_lost(void *arg, const struct gap *gap)
{
	struct lost *l = arg;

	l->rows += gap->cause == GAP_STORE ? gap->lost : 0;
	l->ring += gap->cause == GAP_RING;
	return 0;
}

static int see_row(void *arg, int columns, char **values, char **names)
{
	++*(int *)arg;
	return 0;
}

static void test_full_queue(void **state)
{
	struct store_opts opts = { .dir = dir, .boot_id = BOOT_A, .queue_bytes = 1, .rotate_age = 3600 * SEC };
	struct gap gap = { .lost = 3, .from = t0, .to = t0 + 1, .cause = GAP_RING };
	struct lost lost = { 0 };
	struct history_coverage c;
	struct store_stats stats;
	unsigned int given = 0;
	sqlite3 *db = NULL;
	int steps = 0;
	struct history *h;
	struct store *st;
	struct event ev;
	struct found f;

	sem_init(&stands, 0, 0);
	sem_init(&goes_on, 0, 0);
	assert_int_equal(store_open_writer(&opts, &st), 0);
	store_merged(st);
	trap_set("pwrite", "hot-000001.db-wal", 1, stand_still, 0);
	ev = lease_of(++given, 100, t0, t0 + SEC);
	assert_int_equal(store_lease(st, &ev), 0);
	store_commit(st);
	sem_wait(&stands);
	/* It has one batch, and there is room for no other. */
	ev = lease_of(++given, 100, t0, t0 + SEC);
	assert_int_equal(store_lease(st, &ev), 0);
	ev = lease_of(900, 101, t0, 0);
	assert_int_equal(store_open_lease(st, &ev), 0);
	store_merged(st);
	assert_int_equal(store_gap(st, &gap), 0);
	store_clock(st, clock_boot_to_unix());	/* no step */
	store_clock(st, clock_boot_to_unix() + 3600 * SEC);
	store_commit(st);
	assert_int_equal(store_rotate(st), -ENOBUFS);
	store_stats(st, &stats);
	assert_int_equal(stats.lost, 2);
	sem_post(&goes_on);
	assert_int_equal(store_flush(st, WAIT_MS), 0);
	ev = lease_of(++given, 100, t0, t0 + SEC);
	assert_int_equal(store_lease(st, &ev), 0);
	ev = lease_of(900, 101, t0, 0);	/* what was open is told again */
	assert_int_equal(store_open_lease(st, &ev), 0);
	store_close(st);
	assert_int_equal(held_at(101, t0 + SEC), 1);
	h = open_history();
	assert_int_equal(history_gaps(h, 0, INT64_MAX - 1, add_lost, &lost), 0);
	history_close(h);
	ask(100, 0, INT64_MAX - 1, &f, &c);
	assert_int_equal(f.count, 2);
	assert_int_equal(sqlite3_open_v2(first_file("hot-"), &db, SQLITE_OPEN_READONLY, NULL), SQLITE_OK);
	assert_int_equal(sqlite3_exec(db, "SELECT * FROM step", see_row, &steps, NULL), SQLITE_OK);
	assert_int_equal(steps, 1);
	sqlite3_close(db);
	assert_int_equal(f.count + (unsigned int)lost.rows, given + 3 + 1);	/* the gap that had no room is in it, and the open lease */
	assert_true(c.gap);
}

/* A rotation that is due waits for room, and is not tried at each tick: each hands over what is at hand, and tells all that is open. */
static void test_rotation_waits_for_room(void **state)
{
	struct store_opts opts = { .dir = dir, .boot_id = BOOT_A, .queue_bytes = 1, .rotate_leases = 2, .commit_age = 3600 * SEC };
	struct store_stats stats;
	struct store *st;
	struct event ev;

	sem_init(&stands, 0, 0);
	sem_init(&goes_on, 0, 0);
	assert_int_equal(store_open_writer(&opts, &st), 0);
	trap_set("pwrite", "hot-000001.db-wal", 1, stand_still, 0);
	ev = lease_of(1, 100, t0, t0 + SEC);
	assert_int_equal(store_lease(st, &ev), 0);
	store_commit(st);
	sem_wait(&stands);
	ev = lease_of(2, 100, t0, t0 + SEC);
	assert_int_equal(store_lease(st, &ev), 0);
	store_tick(st);
	ev = lease_of(3, 100, t0, t0 + SEC);
	assert_int_equal(store_lease(st, &ev), 0);
	for (int i = 0; i < 5; i++)
		store_tick(st);
	store_stats(st, &stats);
	assert_int_equal(stats.lost, 1);
	sem_post(&goes_on);
	assert_int_equal(store_flush(st, WAIT_MS), 0);
	assert_int_equal(files_with("hot-000002", ".db"), 0);
	for (int i = 0; i < 300 && !files_with("hot-000002", ".db"); i++) {
		usleep(50000);
		store_tick(st);
	}
	assert_int_equal(store_settle(st, WAIT_MS), 0);
	assert_int_equal(files_with("hot-000002", ".db"), 1);
	store_close(st);
}

static void write_slowly(void)
{
	usleep(20000);
	trap_set("pwrite", "hot-000001.db-wal", 1, write_slowly, 0);
}

/* What waits for a slow disk at the end is not waited for until somebody kills us. */
static void test_slow_disk_at_the_end(void **state)
{
	struct store_opts opts = { .dir = dir, .boot_id = BOOT_A, .close_age = SEC };
	struct history_coverage c;
	unsigned int gaps[8];
	struct store *st;
	struct found f;
	int64_t closed;

	assert_int_equal(store_open_writer(&opts, &st), 0);
	trap_set("pwrite", "hot-000001.db-wal", 1, write_slowly, 0);
	for (uint64_t id = 1; id <= 60; id++) {
		put(st, id, 100, clock_unix_ns(), clock_unix_ns());
		store_commit(st);
	}
	closed = clock_unix_ns();
	assert_int_equal(store_close(st), -EIO);
	assert_in_range(clock_unix_ns() - closed, SEC / 2, 3 * SEC);
	trap_off();
	assert_int_equal(ask(100, 0, closed, &f, &c), HISTORY_HELD);
	assert_in_range(f.count, 1, 59);
	assert_true(c.gap);
	store_close(open_store());
	count_gaps(gaps);
	assert_int_equal(gaps[GAP_CRASH], 1);
}

/* Refused before it began: what was recorded meanwhile goes with it. */
static void test_closed_before_it_began(void **state)
{
	struct store_opts opts = { .dir = dir, .boot_id = BOOT_A, .begin_later = true };
	struct store *st;

	assert_int_equal(store_open_writer(&opts, &st), 0);
	for (uint64_t id = 1; id <= 12000; id++)
		put(st, id, 100, t0, t0 + SEC);
	store_close(st);
	assert_int_equal(files_with("hot-", ".db"), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_sealed_under_our_eyes), TEST(test_removed_under_our_eyes), TEST(test_removed_and_no_list),
		TEST(test_damage_that_cannot_be_set_aside), TEST(test_sealing_makes_room), TEST(test_hot_twin_of_an_evicted),
		TEST(test_hot_twin_that_stays), TEST(test_minutes_that_cannot_be_kept), TEST(test_damaged_minutes),
		TEST(test_write_fails_and_the_file_is_gone), TEST(test_write_fails_and_the_file_goes), TEST(test_rotation_fails_once),
		TEST(test_begins_by_itself), TEST(test_full_queue),
		TEST(test_rotation_waits_for_room), TEST(test_slow_disk_at_the_end), TEST(test_closed_before_it_began),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
