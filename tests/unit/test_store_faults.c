// SPDX-License-Identifier: GPL-2.0
/*
 * Each call on which the history stands fails, one after the other: memory, files, threads, SQLite.  Whatever the writer says of
 * it, and whatever it could not do: it does not crash, the directory opens again, and each lease is in the history once, or a gap
 * tells of it.
 */
#include "unit/store_fixture.h"
#define FAULTY_SQLITE
#include "unit/faulty.h"

#include <dirent.h>
#include <sys/syscall.h>

#define LEASES 12
#define OPEN_ID 900
#define BUSY 90

static int64_t clock_now;
static uint64_t retain_bytes;	/* 0: all is kept */
static int64_t clock_step;	/* by which the wall clock was set */
static int64_t given_since;
static unsigned int given;	/* leases handed to the store, taken or not */
static bool given_gap;
static struct summary_netns netns = { .netns = 4026531840, .range_lo = 32768, .range_hi = 60999, .in_use = { 9, 2 } };
static struct summary sum = { .live = 3, .netns = &netns, .n_netns = 1 };

int clock_gettime(clockid_t id, struct timespec *t)
{
	int err = (int)syscall(SYS_clock_gettime, id, t);

	if (id == CLOCK_REALTIME)
		t->tv_sec += __atomic_load_n(&clock_step, __ATOMIC_RELAXED) / SEC;
	return err;
}

/* What the writer says of what it was given: that it has it, or that it is counted as lost; nothing else ends a recording. */
static int odd;

static void took(int err)
{
	if (err && err != -ENOBUFS)
		odd = err;
}

/* Half a second each time it is looked at: names of files have whole seconds. */
static int64_t later(void)
{
	return __atomic_add_fetch(&clock_now, SEC / 2, __ATOMIC_RELAXED);
}

static void tell_open(void *arg, struct store *st)
{
	struct event ev = lease_of(OPEN_ID, 9900, t0 - 3600 * SEC, 0);

	took(store_open_lease(st, &ev));
}

static void give(struct store *st, uint64_t first)
{
	struct event ev = { .kind = EV_FAIL };
	static char exe[32];

	if (!given)
		given_since = later();
	for (uint64_t id = first; id < first + LEASES; id++) {
		int64_t now = later();

		ev = lease_of(id, (uint16_t)(1000 + id), now, now + 1);
		snprintf(exe, sizeof(exe), "/usr/bin/%u", (unsigned int)(id % 50));
		ev.exe = exe;
		ev.lease.tgid = (uint32_t)(100 + id % 50);
		took(store_lease(st, &ev));
		given++;
	}
	ev.kind = EV_FAIL;
	ev.err = EADDRINUSE;
	ev.lease.raddr[0] = ip("10.0.9.9");
	ev.lease.laddr[0] = ip("10.0.0.9");
	took(store_fail(st, &ev));
	ev = (struct event){ .kind = EV_SUMMARY, .ts = later(), .summary = &sum };
	took(store_minute(st, &ev));
}

/* Two sessions of one boot: files that are sealed and evicted, a lease that goes on, a gap. */
static void write_all(void)
{
	int patience = faulty.manner == FAULTY_LEARN ? WAIT_MS : 20;	/* ms; what does not mend need not be waited for */
	struct store_opts opts = { .dir = dir, .host = "web-1", .boot_id = BOOT_A, .version = "test", .each_open = tell_open,
				   .unix_now = later, .queue_bytes = 1 << 20, .commit_age = 1, .open_age = 1, .retain_bytes = retain_bytes };
	struct gap gap = { .lost = 3, .cause = GAP_RING };
	struct store *st = NULL;
	struct store_stats stats;
	struct event ev;

	for (int session = 0; session < 2; session++) {
		if (store_open_writer(&opts, &st))
			continue;
		if (session) {
			ev = lease_of(OPEN_ID + 1, 9900, t0 - 3600 * SEC, 0);
			ev.lease.flags |= PL_F_SNAPSHOT;
			took(store_open_lease(st, &ev));
			store_merged(st);
			ev = lease_of(OPEN_ID + 1, 9900, t0 - 3600 * SEC, later());
			took(store_lease(st, &ev));
			store_commit(st);
			ev = (struct event){ .kind = EV_SUMMARY, .ts = later(), .summary = &sum };
			took(store_minute(st, &ev));
		}
		give(st, (uint64_t)(session * 300 + 1));
		store_rotate(st);
		gap.from = later();
		gap.to = later();
		took(store_gap(st, &gap));
		given_gap = true;
		give(st, (uint64_t)(session * 300 + 101));
		clock_step += 10 * SEC;
		store_clock(st, clock_boot_to_unix());
		store_tick(st);
		store_tick(st);
		store_commit(st);
		store_flush(st, patience);
		store_rotate(st);
		store_settle(st, patience);
		store_stats(st, &stats);
		store_close(st);
	}
}

struct seen {
	unsigned int rows, twice, gaps, ring;
	int64_t lost;
	bool unknown;
	unsigned char ids[1024];
};

static int see(void *arg, const struct event *ev)
{
	struct seen *s = arg;

	if (ev->lease.id >= OPEN_ID)
		return 0;
	s->rows++;
	s->twice += s->ids[ev->lease.id & 1023]++;
	return 0;
}

static int see_nothing(void *arg, const struct event *ev)
{
	return 0;
}

static int see_gap(void *arg, const struct gap *gap)
{
	struct seen *s = arg;

	s->gaps++;
	s->ring += gap->cause == GAP_RING;
	if (gap->cause == GAP_STORE || gap->cause == GAP_CRASH) {
		s->unknown |= gap->lost < 0;
		s->lost += gap->lost > 0 ? gap->lost : 0;
	}
	return 0;
}

static int read_into(struct seen *s, struct history_coverage *c)
{
	struct history_query q = { .port_lo = 1, .port_hi = 65535, .since = given_since, .until = INT64_MAX - 1 }, one = q;
	struct history_lives lives;
	struct history *h = NULL;
	struct history_info info;
	int err = history_open(dir, &h);

	memset(s, 0, sizeof(*s));
	if (err)
		return err;
	one.port_lo = one.port_hi = 1007;
	one.limit = 3;
	err = history_leases(h, &q, see, s, c);
	if (!err)
		err = history_gaps(h, 0, INT64_MAX - 1, see_gap, s);
	if (!err)
		err = history_fails(h, &q, see_nothing, NULL, NULL);
	if (!err)
		err = history_leases(h, &one, see_nothing, NULL, NULL);
	if (!err)
		err = history_lives(h, &one, &lives, see_nothing, NULL);
	if (!err)
		err = history_minutes(h, 0, INT64_MAX - 1, see_nothing, NULL);
	one.unordered = true;
	if (!err)
		err = history_leases(h, &one, see_nothing, NULL, NULL);
	history_info(h, &info);
	history_close(h);
	return err;
}

static void empty_dir(void)
{
	DIR *d = opendir(dir);
	struct dirent *e;

	assert_non_null(d);
	while ((e = readdir(d)))
		unlinkat(dirfd(d), e->d_name, 0);
	closedir(d);
	clock_now = t0 - 3600 * SEC;
	given = 0;
	given_gap = false;
	clock_step = 0;
	odd = 0;
}

/* What a run with a fault in it left. */
static void judge_written(void)
{
	struct store_opts opts = { .dir = dir, .boot_id = BOOT_A, .unix_now = later, .retain_age = -1 };
	struct history_coverage c;
	struct store *st = NULL;
	struct seen s;

	faulty_check(!odd);
	faulty_check(!store_open_writer(&opts, &st));
	faulty_check(!store_settle(st, WAIT_MS));
	store_close(st);
	faulty_check(!read_into(&s, &c));
	faulty_check(!s.twice);
	if (retain_bytes)
		return;		/* what is removed is not counted here */
	faulty_check(c.evicted || c.skipped || c.before || s.unknown || s.rows + s.lost >= given);
	faulty_check(c.evicted || c.before || s.unknown || s.ring || s.lost >= 3 || !given_gap);
}

static const int codes[] = { SQLITE_FULL, SQLITE_CORRUPT, SQLITE_BUSY, SQLITE_NOMEM, SQLITE_IOERR_WRITE, SQLITE_READONLY, SQLITE_ERROR,
			     SQLITE_IOERR_SHORT_READ, SQLITE_CANTOPEN_SYMLINK, SQLITE_IOERR_NOMEM, 0 };

static void test_writer(void **state)
{
	log_set_level(LOG_LEVEL_ERR);
	faulty_each(empty_dir, write_all, judge_written, codes);
	log_set_level(LOG_LEVEL_INFO);
}

/* The same, while what is sealed is removed at once. */
static void test_retention(void **state)
{
	retain_bytes = 1;
	log_set_level(LOG_LEVEL_ERR);
	faulty_each(empty_dir, write_all, judge_written, codes);
	log_set_level(LOG_LEVEL_INFO);
	retain_bytes = 0;
}

/* ---- the end of what nobody found ---- */

static struct store *merging;

static void merge(void)
{
	store_merged(merging);
}

/* A session that leaves a lease open, and another that does not find it. */
static void leave_open(void)
{
	empty_dir();
	merging = open_store();
	put(merging, 1, 5000, t0 - 60 * SEC, 0);
	store_close(merging);
	merging = open_store();
}

/* Without memory for it at that moment it is said later: else the lease would be open for ever. */
static void test_merged(void **state)
{
	struct found f;

	leave_open();
	faulty_learn(merge);
	store_close(merging);
	assert_true(faulty.n_places > 0);
	for (faulty_at = 0; faulty_at < faulty.n_places; faulty_at++) {
		leave_open();
		faulty_check(faulty_run(faulty_at, FAULTY_FIRST, 0, merge));
		put(merging, 2, 5001, t0, t0 + SEC);
		store_close(merging);
		faulty_check(held_at(5001, t0) == 1);
		faulty_check(ask(5000, 0, INT64_MAX - 1, &f, NULL) == HISTORY_HELD && f.count == 1 && f.ev[0].kind == EV_RELEASE);
	}
}

/* ---- reading ---- */

static const int no_memory[] = { SQLITE_NOMEM, 0 };
static struct seen whole, part;
static struct history_coverage part_coverage;
static int part_err;

static void make_once(void)
{
	struct store_opts opts = { .dir = dir, .boot_id = BOOT_A, .unix_now = later, .host = "web-1" };
	struct history_coverage c;
	struct store *st;
	struct event ev;

	part_err = 0;
	if (whole.rows)
		return;
	empty_dir();
	write_all();
	assert_int_equal(store_open_writer(&opts, &st), 0);
	give(st, 701);
	/* So many of one port that they are searched for. */
	for (uint64_t id = 0; id < BUSY; id++) {
		int64_t now = later();

		ev = lease_of(800 + id, 1007, now, id ? now + 1 : now + 400 * SEC);
		store_lease(st, &ev);
		given++;
	}
	assert_int_equal(store_rotate(st), 0);
	assert_int_equal(store_settle(st, WAIT_MS), 0);
	store_close(st);
	assert_int_equal(read_into(&whole, &c), 0);
	assert_int_equal(whole.rows, given);
}

static void read_all(void)
{
	memset(&part_coverage, 0, sizeof(part_coverage));
	part_err = read_into(&part, &part_coverage);
}

/* Refused, or all is there, or it says that something is not. */
static void judge_read(void)
{
	faulty_check(part_err <= 0);
	faulty_check(part_err || part_coverage.skipped || part_coverage.gap || part.rows == whole.rows);
	faulty_check(!part.twice);
}

static void test_reader(void **state)
{
	log_set_level(LOG_LEVEL_ERR);
	retain_bytes = 0;
	whole.rows = 0;
	faulty_each(make_once, read_all, judge_read, codes);
	faulty_each(make_once, read_all, judge_read, no_memory);
	log_set_level(LOG_LEVEL_INFO);
}

int main(void)
{
	const struct CMUnitTest tests[] = { TEST(test_writer), TEST(test_retention), TEST(test_merged), TEST(test_reader) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
