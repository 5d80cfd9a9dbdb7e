// SPDX-License-Identifier: GPL-2.0
/*
 * The history after kill -9 at any moment (STORE_KILLS of them, 200), and while
 * the disk is full, and what a reader beside the writer finds.
 */
#include "unit/store_fixture.h"

/* Tells through a pipe how many leases are acknowledged; dies when it is told to. */
static void write_and_be_killed(int fd, uint64_t first)
{
	struct store_opts opts = { .dir = dir, .host = "web-1", .boot_id = BOOT_A, .rotate_leases = 1500 };
	struct store *st;

	log_set_level(LOG_LEVEL_ERR);
	if (store_open_writer(&opts, &st))
		_exit(1);
	store_merged(st);
	for (uint64_t id = first;; id++) {
		struct event ev = lease_of(id, (uint16_t)(id % 60000 + 1), clock_unix_ns(), clock_unix_ns() + MS);

		store_lease(st, &ev);
		if (id % 97)
			continue;
		store_tick(st);
		if (!store_flush(st, WAIT_MS) && write(fd, &id, sizeof(id)) < 0)
			_exit(1);
	}
}

struct seen {
	uint64_t max;
	unsigned char *ids;
	bool twice;
};

static int see(void *arg, const struct event *ev)
{
	struct seen *s = arg;

	if (ev->lease.id >= s->max)
		return 0;
	s->twice |= s->ids[ev->lease.id] != 0;
	s->ids[ev->lease.id] = 1;
	return 0;
}

static void check_all_there(uint64_t acked, const uint64_t *firsts, const uint64_t *lasts, unsigned int n)
{
	struct history_query q = { .port_hi = 65535, .until = INT64_MAX - 1 };
	struct seen s = { .max = acked + 100000, .ids = calloc(1, acked + 100000) };
	struct history *h = open_history();

	assert_int_equal(history_leases(h, &q, see, &s, NULL), 0);
	for (unsigned int i = 0; i < n; i++)
		for (uint64_t id = firsts[i]; id <= lasts[i]; id++)
			assert_int_equal(s.ids[id], 1);
	assert_false(s.twice);
	free(s.ids);
	history_close(h);
}

static void test_kill_9(void **state)
{
	const unsigned int rounds = getenv("STORE_KILLS") ? (unsigned int)atoi(getenv("STORE_KILLS")) : 200;
	uint64_t *firsts = calloc(rounds, 8), *lasts = calloc(rounds, 8), acked = 0;
	unsigned int gaps[8], seed = (unsigned int)getpid();

	for (unsigned int r = 0; r < rounds; r++) {
		struct timespec nap = { 0, (long)(rand_r(&seed) % 60000) * 1000 };
		uint64_t first = acked + 50000, got;
		int fds[2];
		pid_t pid;

		assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
		pid = fork();
		if (!pid)
			write_and_be_killed(fds[1], first);
		close(fds[1]);
		assert_int_equal(read(fds[0], &got, sizeof(got)), sizeof(got));
		nanosleep(&nap, NULL);
		kill(pid, SIGKILL);
		waitpid(pid, NULL, 0);
		firsts[r] = first;
		do
			lasts[r] = acked = got;
		while (read(fds[0], &got, sizeof(got)) == sizeof(got));
		close(fds[0]);
	}
	check_all_there(acked, firsts, lasts, rounds);
	count_gaps(gaps);
	/* One before each session but the first, and the one that lasts. */
	assert_int_equal(gaps[GAP_CRASH], rounds);
	assert_int_equal(files_with("", ".corrupt"), 0);
	free(firsts);
	free(lasts);
}

/* ---- what a crash may have cost ---- */

static int keep_crash(void *arg, const struct gap *gap)
{
	struct gap *kept = arg;

	if (gap->cause == GAP_CRASH && gap->to != INT64_MAX)
		*kept = *gap;
	return 0;
}

static void nothing_open(void *arg, struct store *st)
{
}

/* The last lease is not committed; what came before the last look is. */
static void look_and_be_killed(int fd)
{
	struct store_opts opts = { .dir = dir, .boot_id = BOOT_A, .each_open = nothing_open, .open_age = 20 * MS };
	int64_t start, since = clock_unix_ns();
	struct store *st;

	if (store_open_writer(&opts, &st))
		_exit(1);
	for (int i = 0; (start = clock_unix_ns()) < since + 400 * MS || i < 20; i++) {
		store_tick(st);
		store_flush(st, WAIT_MS);
		usleep(5000);
	}
	usleep(50000);
	put(st, 7, 7007, start, clock_unix_ns());
	sleep(2);	/* the recorder is alive, its pulse goes on, and its drain is stuck */
	if (write(fd, &start, sizeof(start)) == sizeof(start))
		pause();
	_exit(1);
}

static void test_crash_gap_reaches_back(void **state)
{
	int64_t start = 0, opened = clock_unix_ns();
	struct gap gap = { 0 };
	struct history *h;
	int fds[2];
	pid_t pid;

	assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
	pid = fork();
	if (!pid)
		look_and_be_killed(fds[1]);
	close(fds[1]);
	assert_int_equal(read(fds[0], &start, sizeof(start)), sizeof(start));
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	close(fds[0]);
	/* Nobody records: known already now. */
	h = open_history();
	assert_int_equal(history_gaps(h, start, start, keep_crash, &gap), 0);
	history_close(h);
	assert_int_equal(held_at(7007, start), 0);
	store_close(open_store());
	h = open_history();
	assert_int_equal(history_gaps(h, start, start, keep_crash, &gap), 0);
	history_close(h);
	assert_true(gap.from <= start);
	assert_true(gap.from > opened);
	assert_true(gap.to > start + SEC);
}

/* ---- a full disk ---- */

static void fill_disk(const char *path)
{
	static const char block[4096];
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);

	assert_true(fd >= 0);
	while (write(fd, block, sizeof(block)) > 0)
		;
	close(fd);
}

static void full_disk(const char *ballast)
{
	struct store_opts opts = { .dir = dir, .boot_id = BOOT_A, .queue_bytes = 2 << 20 };
	struct store_stats stats;
	unsigned int gaps[8];
	struct store *st;
	uint64_t id = 0;

	assert_int_equal(store_open_writer(&opts, &st), 0);
	for (; id < 1000; id++)
		put(st, id + 1, 9000, clock_unix_ns(), clock_unix_ns());
	assert_int_equal(store_flush(st, WAIT_MS), 0);
	fill_disk(ballast);
	for (; id < 60000; id++) {
		struct event ev = lease_of(id + 1, 9000, clock_unix_ns(), clock_unix_ns());

		store_lease(st, &ev);
	}
	assert_int_equal(store_flush(st, 2500), -ETIMEDOUT);
	store_stats(st, &stats);
	assert_int_equal(stats.last_error, -ENOSPC);
	assert_true(stats.write_errors > 0);
	assert_true(stats.lost > 0);
	assert_true(stats.queue_bytes <= 3 << 20);
	assert_int_equal(unlink(ballast), 0);
	for (; id < 61000; id++)
		put(st, id + 1, 9000, clock_unix_ns(), clock_unix_ns());
	assert_int_equal(store_flush(st, WAIT_MS), 0);
	store_stats(st, &stats);
	assert_int_equal(stats.last_error, 0);
	assert_int_equal(stats.leases + stats.lost, 61000);
	store_close(st);
	count_gaps(gaps);
	assert_int_equal(gaps[GAP_STORE], 1);
}

/* What a session that ended in order left: a sealed file, a hot one, a lease that is held. */
static void leave_a_session(unsigned int sealed)
{
	struct store *st = open_store();

	for (uint64_t id = 1; id <= 10000 * sealed; id++) {
		put(st, id, 9000, t0, t0 + MS);
		if (id % 10000)
			continue;
		assert_int_equal(store_rotate(st), 0);
		assert_int_equal(store_settle(st, WAIT_MS), 0);
	}
	put(st, 1000001, 9001, t0, 0);
	store_close(st);
}

/* Nothing that retention could remove: it starts in memory, and all is there once there is room. */
static void full_at_start(const char *ballast)
{
	struct event again = lease_of(1000777, 9001, clock_unix_ns(), 0);
	struct store_opts opts = { .dir = dir, .boot_id = BOOT_A };
	struct store_stats stats;
	unsigned int gaps[8];
	struct store *st;
	struct found f;

	again.lease.flags = PL_F_SNAPSHOT;
	leave_a_session(0);
	fill_disk(ballast);
	assert_int_equal(store_open_writer(&opts, &st), 0);
	assert_int_equal(store_open_lease(st, &again), 0);
	store_merged(st);
	for (uint64_t id = 1; id <= 1000; id++)
		put(st, 2000000 + id, 9002, clock_unix_ns(), clock_unix_ns());
	assert_int_equal(store_flush(st, 1500), -ETIMEDOUT);
	store_stats(st, &stats);
	assert_int_equal(stats.last_error, -ENOSPC);
	assert_int_equal(stats.leases + stats.lost, 0);
	assert_int_equal(unlink(ballast), 0);
	assert_int_equal(store_flush(st, WAIT_MS), 0);
	store_stats(st, &stats);
	assert_int_equal(stats.last_error, 0);
	assert_int_equal(stats.leases, 1000);
	store_close(st);
	count_gaps(gaps);
	/* The one between the sessions, and the one that lasts. */
	assert_int_equal(gaps[GAP_STOPPED], 2);
	assert_int_equal(gaps[GAP_STORE] + gaps[GAP_CRASH], 0);
	ask(9002, 0, INT64_MAX - 1, &f, NULL);
	assert_int_equal(f.count, 1000);
	ask(9001, 0, INT64_MAX - 1, &f, NULL);
	assert_int_equal(f.count, 1);
	assert_int_equal(f.ev[0].lease.id, 1000001);
	assert_int_equal(f.ev[0].kind, EV_OPEN);
}

/* Retention makes room: no gap but the stop, and the oldest files are gone. */
static void full_but_for_the_old(const char *ballast)
{
	struct store_opts opts = { .dir = dir, .boot_id = BOOT_A };
	struct store_stats stats;
	unsigned int before;
	struct store *st;

	leave_a_session(4);
	before = files_with("lease-", ".db");
	fill_disk(ballast);
	assert_int_equal(store_open_writer(&opts, &st), 0);
	put(st, 3000000, 9003, clock_unix_ns() - MS, clock_unix_ns());
	assert_int_equal(store_flush(st, WAIT_MS), 0);
	store_stats(st, &stats);
	assert_int_equal(stats.leases, 1);
	assert_int_equal(stats.lost, 0);
	store_close(st);
	assert_true(files_with("lease-", ".db") < before);
	assert_true(files_with("lease-", ".db") > 0);
}

/* It never gets room: the next session's gap must reach back to what could not be written. */
static void full_to_the_end(const char *ballast)
{
	struct store *st = open_store();
	unsigned int gaps[8];
	int64_t lost_at;
	struct found f;

	put(st, 1, 9001, t0, t0 + SEC);
	assert_int_equal(store_flush(st, WAIT_MS), 0);
	fill_disk(ballast);
	lost_at = clock_unix_ns();
	for (uint64_t id = 2; id < 20000; id++)
		put(st, id, 9002, lost_at, lost_at + MS);
	store_close(st);
	assert_int_equal(unlink(ballast), 0);
	store_close(open_store());
	count_gaps(gaps);
	assert_int_equal(gaps[GAP_CRASH], 1);
	assert_int_equal(ask(9002, lost_at, lost_at, &f, NULL), HISTORY_LOST);
	assert_int_equal(held_at(9001, t0), 1);
}

struct lost {
	int64_t rows;
};

static int add_lost(void *arg, const struct gap *gap)
{
	if (gap->cause == GAP_STORE)
		((struct lost *)arg)->rows += gap->lost;
	return 0;
}

/* There is room only just before the end, and more was lost than waits: the number is told even so. */
static void room_at_the_end(const char *ballast)
{
	struct store_opts opts = { .dir = dir, .boot_id = BOOT_A, .queue_bytes = 1 << 20 };
	struct lost lost = { 0 };
	struct history *h;
	struct store *st;
	struct found f;

	assert_int_equal(store_open_writer(&opts, &st), 0);
	fill_disk(ballast);
	for (uint64_t id = 1; id <= 30000; id++) {
		struct event ev = lease_of(id, 9002, clock_unix_ns(), clock_unix_ns());

		store_lease(st, &ev);
	}
	assert_int_equal(unlink(ballast), 0);
	store_close(st);
	h = open_history();
	assert_int_equal(history_gaps(h, 0, INT64_MAX - 1, add_lost, &lost), 0);
	history_close(h);
	ask(9002, 0, INT64_MAX - 1, &f, NULL);
	assert_true(f.count > 0 && lost.rows > 0);
	assert_int_equal(f.count + lost.rows, 30000);
}

static void on_small_disk(void (*test)(const char *ballast))
{
	char mnt[96], ballast[128];

	snprintf(mnt, sizeof(mnt), "%s", dir);
	snprintf(ballast, sizeof(ballast), "%s/ballast", dir);
	if (mount("tmpfs", mnt, "tmpfs", 0, "size=12m,mode=0750")) {
		print_message("SKIP: cannot mount a tmpfs: %s\n", strerror(errno));
		skip();
	}
	test(ballast);
	umount2(mnt, MNT_DETACH);
}

static void test_disk_full(void **state)
{
	on_small_disk(full_disk);
}

static void test_disk_full_to_the_end(void **state)
{
	on_small_disk(full_to_the_end);
}

static void test_room_at_the_end(void **state)
{
	on_small_disk(room_at_the_end);
}

static void test_disk_full_at_start(void **state)
{
	on_small_disk(full_at_start);
}

static void test_disk_full_of_history_at_start(void **state)
{
	on_small_disk(full_but_for_the_old);
}

static void test_read_only_at_start(void **state)
{
	struct store_opts opts = { .dir = dir, .boot_id = BOOT_A };
	struct store *st = NULL;
	char mnt[96];

	snprintf(mnt, sizeof(mnt), "%s", dir);
	if (mount("tmpfs", mnt, "tmpfs", MS_RDONLY, "size=1m,mode=0750")) {
		print_message("SKIP: cannot mount a tmpfs: %s\n", strerror(errno));
		skip();
	}
	assert_int_equal(store_open_writer(&opts, &st), -EROFS);
	assert_null(st);
	umount2(mnt, MNT_DETACH);
}

/* ---- a reader beside the writer ---- */

static int count_one(void *arg, const struct event *ev)
{
	++*(uint64_t *)arg;
	return 0;
}

/* What was acknowledged before the question must be in the answer, whatever is sealed meanwhile. */
static int read_beside(const volatile uint64_t *acked, uint64_t end)
{
	struct history_query q = { .port_hi = 65535, .until = INT64_MAX - 1, .unordered = true };
	uint64_t before = 0;

	while (before < end) {
		struct history_coverage c;
		struct history *h;
		uint64_t rows = 0;

		before = __atomic_load_n(acked, __ATOMIC_ACQUIRE);
		if (history_open(dir, &h))
			return 2;
		if (history_leases(h, &q, count_one, &rows, &c) || c.skipped || rows < before)
			return 3;
		history_close(h);
	}
	return 0;
}

static void test_reader_beside_writer(void **state)
{
	struct store_opts opts = { .dir = dir, .boot_id = BOOT_A, .rotate_leases = 700 };
	const uint64_t end = 40000;
	uint64_t *acked = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	struct store *st;
	int status;
	pid_t pid;

	/* Before the writer: a database that is open must not be carried over a fork, SQLite's locks do not come along. */
	pid = fork();
	if (!pid) {
		while (!__atomic_load_n(acked, __ATOMIC_ACQUIRE))
			usleep(1000);
		_exit(read_beside(acked, end));
	}
	assert_int_equal(store_open_writer(&opts, &st), 0);
	for (uint64_t id = 1; id <= end; id++) {
		put(st, id, (uint16_t)(id % 60000 + 1), clock_unix_ns(), clock_unix_ns());
		if (id % 100)
			continue;
		store_tick(st);
		assert_int_equal(store_flush(st, WAIT_MS), 0);
		__atomic_store_n(acked, id, __ATOMIC_RELEASE);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
	store_close(st);
	munmap(acked, 4096);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_kill_9), TEST(test_crash_gap_reaches_back), TEST(test_disk_full), TEST(test_disk_full_at_start), TEST(test_disk_full_to_the_end),
		TEST(test_room_at_the_end), TEST(test_disk_full_of_history_at_start),
		TEST(test_read_only_at_start), TEST(test_reader_beside_writer),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
