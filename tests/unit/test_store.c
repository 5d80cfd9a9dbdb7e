// SPDX-License-Identifier: GPL-2.0
/*
 * The history: what is written is found, at its time and nowhere else, over
 * rotation, restart, reboot and clocks that are set.
 */
#include "unit/store_fixture.h"

#include <pthread.h>

static void test_round_trip(void **state)
{
	struct store *st = open_store();
	struct event ev = lease_of(5, 60303, t0, t0 + 211 * MS);
	struct found f;

	ev.closed = t0 + 100 * MS;
	ev.reason = PL_REASON_TIME_WAIT;
	ev.lease.flags |= PL_F_TIME_WAIT;
	ev.lease.cookie = 8412;
	assert_int_equal(store_lease(st, &ev), 0);
	assert_int_equal(store_flush(st, WAIT_MS), 0);
	/* Read while it is being written. */
	assert_int_equal(ask(60303, t0, t0 + SEC, &f, NULL), HISTORY_HELD);
	store_close(st);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(f.count, 1);
		assert_int_equal(f.ev[0].kind, EV_RELEASE);
		assert_int_equal(f.ev[0].start, ev.start);
		assert_int_equal(f.ev[0].end, ev.end);
		assert_int_equal(f.ev[0].closed, ev.closed);
		assert_int_equal(f.ev[0].reason, ev.reason);
		assert_int_equal(f.ev[0].evidence, ev.evidence);
		assert_int_equal(f.ev[0].proc_start, ev.proc_start);
		f.ev[0].lease.start = f.ev[0].lease.closed = 0;	/* boot clock: follows from the others */
		assert_memory_equal(&f.ev[0].lease, &ev.lease, sizeof(ev.lease));
		assert_string_equal(f.exe, "/usr/bin/curl");
		assert_string_equal(f.unit, "ssh.service");
		assert_int_equal(ask(60303, t0, t0, &f, NULL), HISTORY_HELD);
	}
}

static void test_unknown_stays_unknown(void **state)
{
	struct store *st = open_store();
	struct event ev = { .kind = EV_RELEASE, .start = t0, .end = t0 + SEC, .ts = t0 + SEC,
			    .lease = { .id = 9, .lport = 53, .proto = IPPROTO_UDP, .family = AF_INET6 } };
	struct found f;

	assert_int_equal(store_lease(st, &ev), 0);
	store_close(st);
	assert_int_equal(ask(53, t0, t0, &f, NULL), HISTORY_HELD);
	assert_int_equal(f.ev[0].lease.tgid, 0);
	assert_int_equal(f.ev[0].lease.rport, 0);
	assert_null(f.ev[0].exe);
	assert_null(f.ev[0].where.cgroup);
	assert_int_equal(f.ev[0].lease.family, AF_INET6);
}

static void test_edges_of_a_lease(void **state)
{
	struct store *st = open_store();

	put(st, 1, 60303, t0, t0 + SEC);
	store_close(st);
	assert_int_equal(held_at(60303, t0 - 1), 0);
	assert_int_equal(held_at(60303, t0), 1);
	assert_int_equal(held_at(60303, t0 + SEC - 1), 1);
	assert_int_equal(held_at(60303, t0 + SEC), 0);
	assert_int_equal(held_at(60304, t0), 0);
}

static void test_odd_bytes(void **state)
{
	struct store *st = open_store();
	struct event ev = lease_of(1, 1234, t0, t0 + 1);
	struct found f;

	memcpy(ev.lease.comm, "\033[2J\n\xff'\"", 9);
	ev.exe = "/tmp/\033]0;x\007'; DROP TABLE lease;--\xe2\x80\xae";
	assert_int_equal(store_lease(st, &ev), 0);
	store_close(st);
	ask(1234, t0, t0, &f, NULL);
	assert_memory_equal(f.ev[0].lease.comm, ev.lease.comm, sizeof(ev.lease.comm));
	assert_string_equal(f.exe, ev.exe);
}

/* Leases by a simple rule, so that every answer can be computed. */
#define MANY 20000
static uint16_t many_port(unsigned int i)
{
	return (uint16_t)(i % 7 ? 40000 + i % 501 : 8080);
}

static int64_t many_start(unsigned int i)
{
	return t0 - 4000 * SEC + (int64_t)i * 150 * MS;
}

static int64_t many_end(unsigned int i)
{
	return many_start(i) + (i % 997 ? (int64_t)(i % 13) * 700 * MS + 1 : 900 * SEC);
}

static void put_many(struct store *st)
{
	for (unsigned int i = 0; i < MANY; i++)
		put(st, i + 1, many_port(i), many_start(i), many_end(i));
}

static unsigned int many_held(uint16_t lo, uint16_t hi, int64_t since, int64_t until)
{
	unsigned int n = 0;

	for (unsigned int i = 0; i < MANY; i++)
		n += many_port(i) >= lo && many_port(i) <= hi && many_start(i) <= until &&
		     (many_end(i) > since || many_start(i) >= since);
	return n;
}

static unsigned int asked(struct history *h, uint16_t lo, uint16_t hi, int64_t since, int64_t until)
{
	struct history_query q = { .port_lo = lo, .port_hi = hi, .since = since, .until = until };
	struct found f = { 0 };

	assert_int_equal(history_leases(h, &q, collect, &f, NULL), 0);
	return f.count;
}

static int is_older(void *arg, const struct event *ev)
{
	int64_t *last = arg;

	assert_true(ev->end <= *last);
	*last = ev->end;
	return 0;
}

static void check_limit_and_order(struct history *h)
{
	struct history_query q = { .port_hi = 65535, .until = INT64_MAX - 1, .limit = 100 };
	int64_t last = INT64_MAX;
	struct found f = { 0 };

	assert_int_equal(history_leases(h, &q, is_older, &last, NULL), 0);
	q.limit = 0;
	q.unordered = true;
	assert_int_equal(history_leases(h, &q, collect, &f, NULL), 0);
	assert_int_equal(f.count, MANY);
}

static void check_many(void)
{
	struct history *h = open_history();

	for (int k = 0; k < 60; k++) {
		int64_t at = t0 - 4000 * SEC + k * 53 * SEC + 17;

		assert_int_equal(asked(h, 8080, 8080, at, at), many_held(8080, 8080, at, at));
		assert_int_equal(asked(h, 40007, 40007, at, at + 20 * SEC), many_held(40007, 40007, at, at + 20 * SEC));
	}
	assert_int_equal(asked(h, 40000, 40099, t0 - 3000 * SEC, t0 - 2990 * SEC),
			 many_held(40000, 40099, t0 - 3000 * SEC, t0 - 2990 * SEC));
	assert_int_equal(asked(h, 0, 65535, 0, INT64_MAX - 1), MANY);
	check_limit_and_order(h);
	history_close(h);
}

static void test_hot_and_sealed_agree(void **state)
{
	struct store *st = open_store();

	put_many(st);
	assert_int_equal(store_flush(st, WAIT_MS), 0);
	check_many();
	assert_int_equal(store_rotate(st), 0);
	assert_int_equal(store_settle(st, WAIT_MS), 0);
	assert_int_equal(files_with("lease-", ".db"), 1);
	assert_int_equal(files_with("hot-", ".db"), 1);
	check_many();
	store_close(st);
	check_many();
}

static void put_many_ticking(struct store *st)
{
	for (unsigned int i = 0; i < MANY; i++) {
		put(st, i + 1, many_port(i), many_start(i), many_end(i));
		if (i % 100 == 0)
			store_tick(st);
	}
	assert_int_equal(store_settle(st, WAIT_MS), 0);
}

static void test_rotation_by_count(void **state)
{
	struct store_opts opts = { .dir = dir, .boot_id = BOOT_A, .rotate_leases = 3000 };
	struct store_stats stats;
	struct store *st;

	assert_int_equal(store_open_writer(&opts, &st), 0);
	put_many_ticking(st);
	store_stats(st, &stats);
	assert_int_equal(stats.leases, MANY);
	assert_true(stats.sealed >= 6);
	assert_int_equal(stats.lost, 0);
	store_close(st);
	check_many();
}

/* The hot file, which retention cannot remove, takes no more than its part of the space. */
static void test_rotation_by_space(void **state)
{
	struct store_opts opts = { .dir = dir, .boot_id = BOOT_A, .retain_bytes = 6 << 20 };
	struct store *st;

	assert_int_equal(store_open_writer(&opts, &st), 0);
	put_many_ticking(st);
	assert_int_equal(files_with("lease-", ".db"), 1);
	store_close(st);
	check_many();
}

/* ---- open leases ---- */

struct live {
	struct event ev[8];
	unsigned int n;
};

static void tell_live(void *arg, struct store *st)
{
	struct live *l = arg;

	for (unsigned int i = 0; i < l->n; i++)
		assert_int_equal(store_open_lease(st, &l->ev[i]), 0);
}

static void test_open_over_rotation(void **state)
{
	struct live live = { .n = 1 };
	struct store *st = open_with(BOOT_A, tell_live, &live, 0);
	struct event end;
	struct found f;

	live.ev[0] = lease_of(77, 5000, t0, 0);
	for (int i = 0; i < 3; i++) {
		assert_int_equal(store_rotate(st), 0);
		assert_int_equal(store_settle(st, WAIT_MS), 0);
	}
	assert_int_equal(ask(5000, t0 + 1, t0 + 1, &f, NULL), HISTORY_HELD);
	assert_int_equal(f.count, 1);
	assert_int_equal(f.ev[0].kind, EV_OPEN);
	assert_int_equal(ask(5000, 0, INT64_MAX - 1, &f, NULL), HISTORY_HELD);
	assert_int_equal(f.count, 1);

	live.n = 0;
	end = lease_of(77, 5000, t0, clock_unix_ns());
	assert_int_equal(store_lease(st, &end), 0);
	assert_int_equal(store_rotate(st), 0);
	assert_int_equal(store_settle(st, WAIT_MS), 0);
	store_close(st);
	/* Asked for a file where it was open, the answer still knows the end. */
	assert_int_equal(ask(5000, t0 + 1, t0 + 1, &f, NULL), HISTORY_HELD);
	assert_int_equal(f.count, 1);
	assert_int_equal(f.ev[0].kind, EV_RELEASE);
	assert_int_equal(f.ev[0].end, end.end);
	assert_int_equal(ask(5000, 0, INT64_MAX - 1, &f, NULL), HISTORY_HELD);
	assert_int_equal(f.count, 1);
}

/* The same socket, as the snapshot of another session finds it. */
static struct event found_again(uint64_t id, uint16_t port)
{
	struct event ev = lease_of(id, port, clock_unix_ns(), 0);

	ev.lease.flags = PL_F_SNAPSHOT;
	ev.lease.kind = PL_KIND_UNKNOWN;
	ev.evidence = EVIDENCE_SNAPSHOT;
	ev.lease.owner_src = PL_OWNER_SNAPSHOT;
	return ev;
}

static void continue_after(bool crash)
{
	struct live live = { .n = 3 };
	struct store *st;
	struct event again;
	struct found f;
	unsigned int gaps[8];
	pid_t pid = fork();

	if (!pid) {
		st = open_with(BOOT_A, tell_live, &live, 0);
		live.ev[0] = lease_of(1, 6001, t0, 0);
		live.ev[1] = lease_of(2, 6002, t0, 0);
		live.ev[2] = lease_of(3, 6003, t0, 0);
		live.ev[2].lease.cookie = 99;
		tell_live(&live, st);
		store_flush(st, WAIT_MS);
		if (!crash)
			store_close(st);
		kill(getpid(), SIGKILL);
	}
	assert_int_equal(waitpid(pid, NULL, 0), pid);

	st = open_store();
	again = found_again(1001, 6001);
	assert_int_equal(store_open_lease(st, &again), 0);
	again = found_again(1003, 6003);	/* by cookie, in another process */
	again.lease.cookie = 99;
	again.lease.tgid = 5;
	assert_int_equal(store_open_lease(st, &again), 0);
	again = found_again(1004, 6004);	/* new to us */
	assert_int_equal(store_open_lease(st, &again), 0);
	store_merged(st);
	put(st, 1001, 6001, again.start, clock_unix_ns());
	assert_int_equal(store_flush(st, WAIT_MS), 0);

	assert_int_equal(ask(6001, 0, INT64_MAX - 1, &f, NULL), HISTORY_HELD);
	assert_int_equal(f.count, 1);
	assert_int_equal(f.ev[0].lease.id, 1);
	assert_int_equal(f.ev[0].start, t0);
	assert_int_equal(f.ev[0].kind, EV_RELEASE);
	assert_int_equal(f.ev[0].lease.kind, PL_KIND_CONNECT);
	assert_false(f.ev[0].lease.flags & PL_F_SNAPSHOT);

	ask(6002, 0, INT64_MAX - 1, &f, NULL);	/* gone meanwhile */
	assert_int_equal(f.count, 1);
	assert_int_equal(f.ev[0].kind, EV_RELEASE);
	assert_int_equal(f.ev[0].reason, PL_REASON_LOST);
	assert_int_equal(f.ev[0].evidence, EVIDENCE_RESYNC);
	assert_true(f.ev[0].end >= t0);

	ask(6003, 0, INT64_MAX - 1, &f, NULL);
	assert_int_equal(f.count, 1);
	assert_int_equal(f.ev[0].lease.id, 3);
	assert_int_equal(f.ev[0].lease.tgid, 4711);	/* who asked for it */
	assert_int_equal(f.ev[0].kind, EV_OPEN);

	ask(6004, 0, INT64_MAX - 1, &f, NULL);
	assert_int_equal(f.count, 1);
	assert_true(f.ev[0].lease.flags & PL_F_SNAPSHOT);
	count_gaps(gaps);
	assert_int_equal(gaps[GAP_STOPPED], !crash);
	assert_int_equal(gaps[GAP_CRASH], crash);
	store_close(st);
}

static void test_restart_continues(void **state)
{
	continue_after(false);
}

static void test_crash_continues(void **state)
{
	continue_after(true);
}

static void test_restart_after_rotation(void **state)
{
	struct live live = { .n = 1 };
	struct store *st = open_with(BOOT_A, tell_live, &live, 0);
	struct event again;
	struct found f;

	live.ev[0] = lease_of(1, 6001, t0, 0);
	tell_live(&live, st);
	assert_int_equal(store_rotate(st), 0);
	assert_int_equal(store_settle(st, WAIT_MS), 0);
	store_close(st);
	st = open_store();
	again = found_again(1001, 6001);
	assert_int_equal(store_open_lease(st, &again), 0);
	store_merged(st);
	assert_int_equal(store_rotate(st), 0);
	put(st, 1001, 6001, again.start, clock_unix_ns());
	assert_int_equal(store_settle(st, WAIT_MS), 0);
	store_close(st);
	ask(6001, 0, INT64_MAX - 1, &f, NULL);
	assert_int_equal(f.count, 1);
	assert_int_equal(f.ev[0].lease.id, 1);
	assert_int_equal(f.ev[0].start, t0);
}

/* Between the opening of the store and the attaching of the hooks nobody records. */
static void test_begin_later(void **state)
{
	struct store_opts opts = { .dir = dir, .boot_id = BOOT_A, .begin_later = true };
	int64_t opened, began;
	struct history_coverage c;
	struct store *st;
	struct found f;

	for (int first = 1; first >= 0; first--) {
		assert_int_equal(store_open_writer(&opts, &st), 0);
		opened = clock_unix_ns();
		usleep(20000);
		began = clock_unix_ns();
		assert_int_equal(store_begin(st), 0);
		put(st, 1 + (uint64_t)first, 6001, clock_unix_ns(), clock_unix_ns());
		store_close(st);
		assert_int_equal(ask(6009, opened, opened, &f, &c), first ? HISTORY_BEFORE : HISTORY_LOST);
		assert_int_equal(ask(6009, began, began, &f, &c), first ? HISTORY_BEFORE : HISTORY_LOST);
	}
	/* Never begun: as if it had not been there. */
	assert_int_equal(store_open_writer(&opts, &st), 0);
	store_close(st);
	ask(6001, 0, INT64_MAX - 1, &f, &c);
	assert_int_equal(f.count, 2);
}

/* A recorder that has the lock and does not record yet: what the one before said of itself is not believed of it. */
static void test_begins_after_a_crash(void **state)
{
	struct store_opts opts = { .dir = dir, .boot_id = BOOT_A, .begin_later = true };
	struct history_coverage c;
	struct store *st;
	struct found f;
	int64_t now;
	char lock[128];
	FILE *file;
	pid_t pid = fork();

	if (!pid) {
		st = open_store();
		store_flush(st, WAIT_MS);
		kill(getpid(), SIGKILL);
	}
	waitpid(pid, NULL, 0);
	now = clock_unix_ns();
	snprintf(lock, sizeof(lock), "%s/lock", dir);
	file = fopen(lock, "w");
	assert_non_null(file);
	fprintf(file, "%9d %19lld %19lld %19lld\n", pid, (long long)now, (long long)now, (long long)clock_boot_ns());
	fclose(file);
	assert_int_equal(store_open_writer(&opts, &st), 0);
	assert_int_equal(ask(6001, now, now, &f, &c), HISTORY_LOST);
	assert_int_equal(store_begin(st), 0);
	now = clock_unix_ns();
	assert_int_equal(store_flush(st, WAIT_MS), 0);
	assert_true(wait_written(now));
	assert_int_equal(ask(6001, now, now, &f, &c), HISTORY_NOBODY);
	store_close(st);
}

static void check_found_held(int64_t before, int64_t then, int64_t now)
{
	struct history_coverage c;
	struct found f;

	assert_int_equal(ask(6004, before, before, &f, &c), HISTORY_NOBODY);
	assert_int_equal(ask(6004, then, then, &f, &c), HISTORY_HELD);
	assert_int_equal(f.count, 1);
	assert_int_equal(f.ev[0].start, 0);
	assert_int_equal(ask(6004, 0, now, &f, &c), HISTORY_HELD);
	assert_int_equal(f.count, 1);
}

/* A session that recorded and did not see it is believed more than one that found it. */
static void test_found_held_is_no_claim_for_before(void **state)
{
	struct event found = found_again(1001, 6004);
	struct store *st = open_store();
	int64_t before = clock_unix_ns(), then;

	usleep(1000);
	store_close(st);
	st = open_store();
	found.start = 0;
	assert_int_equal(store_open_lease(st, &found), 0);
	store_merged(st);
	then = clock_unix_ns();
	assert_int_equal(store_flush(st, WAIT_MS), 0);
	check_found_held(before, then, then);
	found.kind = EV_RELEASE;
	found.ts = found.end = clock_unix_ns() + 1;
	assert_int_equal(store_lease(st, &found), 0);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(store_flush(st, WAIT_MS), 0);
		check_found_held(before, then, found.end);
		assert_int_equal(store_rotate(st), 0);
		assert_int_equal(store_settle(st, WAIT_MS), 0);
	}
	store_close(st);
}

static void test_reboot(void **state)
{
	struct live live = { .n = 1 };
	struct store *st = open_with(BOOT_A, tell_live, &live, 0);
	struct event again;
	unsigned int gaps[8];
	struct found f;

	live.ev[0] = lease_of(1, 6001, t0, 0);
	tell_live(&live, st);
	store_close(st);
	st = open_with(BOOT_B, NULL, NULL, 0);
	again = found_again(1001, 6001);
	assert_int_equal(store_open_lease(st, &again), 0);
	store_merged(st);
	assert_int_equal(store_settle(st, WAIT_MS), 0);
	store_close(st);
	assert_int_equal(files_with("lease-", ".db"), 1);
	ask(6001, 0, INT64_MAX - 1, &f, NULL);
	assert_int_equal(f.count, 2);
	assert_int_equal(f.ev[0].kind, EV_OPEN);
	assert_int_equal(f.ev[0].lease.id, 1001);
	assert_int_equal(f.ev[1].reason, PL_REASON_LOST);
	count_gaps(gaps);
	assert_int_equal(gaps[GAP_BOOT], 1);
}

/*
 * A life of a host in pretended time: events arrive late, files change every
 * few seconds, and at every instant the answer is what really was.
 */
#define LIFE 6000
#define LATENESS (300 * MS)
#define LIFE_STEP (20 * MS)

static struct life {
	int64_t now, t0;
	int64_t start[LIFE], end[LIFE];
} *life;

static int64_t life_now(void)
{
	return __atomic_load_n(&life->now, __ATOMIC_RELAXED);
}

static uint16_t life_port(unsigned int i)
{
	return (uint16_t)(500 + i % 40);
}

/* What a recorder knows at `now`: alloc and release come LATENESS after the fact. */
static bool life_is_live(unsigned int i, int64_t now)
{
	return life->start[i] + LATENESS <= now && life->end[i] + LATENESS > now;
}

static void life_each_open(void *arg, struct store *st)
{
	for (unsigned int i = 0; i < LIFE; i++)
		if (life_is_live(i, life->now + LIFE_STEP)) {
			struct event ev = lease_of(i + 1, life_port(i), life->start[i], 0);

			assert_int_equal(store_open_lease(st, &ev), 0);
		}
}

static void life_make(void)
{
	unsigned int seed = 11;

	life->t0 = life->now = clock_unix_ns() - 3600 * SEC;
	for (unsigned int i = 0; i < LIFE; i++) {
		int64_t length = rand_r(&seed) % 3 ? rand_r(&seed) % (50 * MS) : (rand_r(&seed) % 300) * SEC;

		life->start[i] = life->t0 + (int64_t)i * 100 * MS + rand_r(&seed) % MS;
		life->end[i] = life->start[i] + length + 1;
	}
}

static void life_live(struct store *st)
{
	for (int64_t end = life->t0 + LIFE * 100 * MS; life->now < end; __atomic_fetch_add(&life->now, LIFE_STEP, __ATOMIC_RELAXED)) {
		for (unsigned int i = 0; i < LIFE; i++)
			if (life->end[i] + LATENESS > life->now && life->end[i] + LATENESS <= life->now + LIFE_STEP)
				put(st, i + 1, life_port(i), life->start[i], life->end[i]);
		if (life->now / LIFE_STEP % 50 == 0)
			store_tick(st);
	}
}

static unsigned int life_held(uint16_t port, int64_t at)
{
	unsigned int n = 0;

	for (unsigned int i = 0; i < LIFE; i++)
		n += life_port(i) == port && life->start[i] <= at && life->end[i] > at;
	return n;
}

static void test_any_instant(void **state)
{
	struct store_opts opts = { .dir = dir, .boot_id = BOOT_A, .unix_now = life_now, .each_open = life_each_open,
				   .rotate_leases = 400, .retain_age = -1 };
	unsigned int seed = 5;
	struct history *h;
	struct store *st;

	life = calloc(1, sizeof(*life));
	life_make();
	assert_int_equal(store_open_writer(&opts, &st), 0);
	life_live(st);
	life_each_open(NULL, st);	/* the look of the last minute */
	assert_int_equal(store_settle(st, WAIT_MS), 0);
	assert_true(files_with("lease-", ".db") > 8);
	h = open_history();
	for (int k = 0; k < 2000; k++) {
		int64_t at = life->t0 + rand_r(&seed) % (LIFE / 10 - 2) * SEC + rand_r(&seed) % SEC;
		uint16_t port = life_port((unsigned int)rand_r(&seed));

		assert_int_equal(asked(h, port, port, at, at), life_held(port, at));
	}
	history_close(h);
	store_close(st);
	free(life);
}

/* ---- verdicts ---- */

static void test_verdicts(void **state)
{
	struct store *st = open_store();
	struct gap gap = { .lost = 12, .from = t0 + 2 * SEC, .to = t0 + 3 * SEC, .cause = GAP_RING };
	struct history_coverage c;
	int64_t now = clock_unix_ns();
	struct found f;

	gap.from = now + 10 * MS;
	gap.to = now + 20 * MS;
	assert_int_equal(store_gap(st, &gap), 0);
	usleep(60000);
	assert_int_equal(store_flush(st, WAIT_MS), 0);
	assert_int_equal(ask(7000, now + 5 * MS, now + 5 * MS, &f, &c), HISTORY_NOBODY);
	assert_false(history_incomplete(&c));
	assert_int_equal(ask(7000, now + 15 * MS, now + 15 * MS, &f, &c), HISTORY_LOST);
	assert_int_equal(c.lost, 12);
	assert_int_equal(ask(7000, now - 86400 * SEC, now - 86400 * SEC, &f, &c), HISTORY_BEFORE);
	store_close(st);
	/* Nobody records any more. */
	usleep(20000);
	now = clock_unix_ns();
	assert_int_equal(ask(7000, now, now, &f, &c), HISTORY_LOST);
	assert_int_equal(c.lost, -1);
}

/* Asks while the lock file says `text`, which the writer overwrites once a second. */
static enum history_verdict ask_beside(const char *text, struct history_coverage *c)
{
	int at = open(dir, O_RDONLY | O_DIRECTORY), fd = openat(at, "lock", O_RDWR);
	enum history_verdict v;
	struct found f;
	char still[128];
	ssize_t n;

	do {
		int64_t now = clock_unix_ns();

		assert_int_equal(ftruncate(fd, 0), 0);
		assert_int_equal(pwrite(fd, text, strlen(text), 0), strlen(text));
		usleep(3000);
		v = ask(7000, now, now, &f, c);
		n = pread(fd, still, sizeof(still), 0);
	} while (n != (ssize_t)strlen(text) || memcmp(still, text, (size_t)n));
	close(fd);
	close(at);
	return v;
}

/* A writer that lives and does not write: nobody can be said to have held nothing. */
static void test_writer_behind(void **state)
{
	struct store *st = open_store();
	long long now = clock_unix_ns(), beat = clock_boot_ns();
	struct history_coverage c;
	char text[96];

	assert_int_equal(store_flush(st, WAIT_MS), 0);
	snprintf(text, sizeof(text), "%9d %19lld %19lld %19lld\n", 1, now, now, beat);	/* of an older version */
	assert_int_equal(ask_beside(text, &c), HISTORY_NOBODY);
	snprintf(text, sizeof(text), "%9d %19lld %19lld\n", 1, now, now);	/* of a still older one */
	assert_int_equal(ask_beside(text, &c), HISTORY_NOBODY);
	snprintf(text, sizeof(text), "%9d %19lld %19lld %19lld %19lld\n", 1, now, now, beat, beat);	/* what came since is on its way */
	assert_int_equal(ask_beside(text, &c), HISTORY_LOST);
	snprintf(text, sizeof(text), "%9d %19lld %19lld %19lld\n", 1, now, 0LL, beat);	/* the disk does not take it */
	assert_int_equal(ask_beside(text, &c), HISTORY_LOST);
	assert_int_equal(c.lost, -1);
	snprintf(text, sizeof(text), "%9d %19lld %19lld %19lld\n", 1, now, now, beat - 11 * SEC);	/* it hangs */
	assert_int_equal(ask_beside(text, &c), HISTORY_LOST);
	snprintf(text, sizeof(text), "%9d %19lld %19lld %19lld\n", 1, now, now, beat + 3600 * SEC);	/* the boot before */
	assert_int_equal(ask_beside(text, &c), HISTORY_LOST);
	store_close(st);
}

static void *drain(void *arg)
{
	struct store *st = arg;

	for (int i = 0; i < 300; i++) {
		store_tick(st);
		usleep(10000);
	}
	return NULL;
}

/* What ended a moment ago is on its way to the disk: until it is there, nobody can be said to have held nothing. */
static void test_not_written_yet(void **state)
{
	struct store *st = open_store();
	struct history_coverage c;
	struct history_info info;
	struct history *h;
	pthread_t thread;
	struct found f;
	int64_t now;

	usleep(100000);
	now = clock_unix_ns();
	put(st, 1, 7007, now - 50 * MS, now);
	assert_int_equal(ask(7007, now - 20 * MS, now - 20 * MS, &f, &c), HISTORY_LOST);
	assert_int_equal(c.lost, -1);
	assert_int_equal(ask(7007, now - 90 * MS, INT64_MAX - 1, &f, &c), HISTORY_LOST);
	/* Nobody drains any more. */
	assert_false(wait_written(now));
	h = open_history();
	history_info(h, &info);
	assert_true(info.live && !info.behind && info.recorded_until < now);
	assert_int_equal(pthread_create(&thread, NULL, drain, st), 0);
	assert_int_equal(history_wait(h, now), 0);
	history_info(h, &info);
	assert_true(info.live && !info.behind && info.recorded_until >= now);
	assert_true(clock_unix_ns() - now < 5 * SEC);
	history_close(h);
	assert_int_equal(ask(7007, now - 20 * MS, now - 20 * MS, &f, &c), HISTORY_HELD);
	assert_int_equal(ask(7008, now - 20 * MS, now - 20 * MS, &f, &c), HISTORY_NOBODY);
	/* Where nothing comes, that is said too. */
	now = clock_unix_ns();
	assert_true(wait_written(now));
	assert_int_equal(ask(7008, now, now, &f, &c), HISTORY_NOBODY);
	pthread_join(thread, NULL);
	store_close(st);
}

static void test_filters(void **state)
{
	struct history_query q = { .port_lo = 1, .port_hi = 65535, .since = 0, .until = INT64_MAX - 1 };
	struct store *st = open_store();
	struct history *h;
	struct event ev;
	struct found f = { 0 };

	put(st, 1, 500, t0, t0 + SEC);
	ev = lease_of(2, 500, t0, t0 + 2 * SEC);
	ev.lease.proto = IPPROTO_UDP;
	ev.lease.laddr[0] = 0;
	store_lease(st, &ev);
	ev = lease_of(3, 501, t0, t0 + 3 * SEC);
	ev.lease.netns = 7;
	ev.lease.family = AF_INET6;
	inet_pton(AF_INET6, "::ffff:10.0.0.5", ev.lease.laddr);
	inet_pton(AF_INET6, "2001:db8::1", ev.lease.raddr);
	store_lease(st, &ev);
	store_close(st);

	h = open_history();
	assert_int_equal(history_leases(h, &q, collect, &f, NULL), 0);
	assert_int_equal(f.count, 3);
	assert_int_equal(f.ev[0].lease.id, 3);	/* newest first */
	assert_int_equal(f.ev[2].lease.id, 1);
	assert_memory_equal(f.ev[0].lease.raddr, ev.lease.raddr, 16);
	q.limit = 2;
	f.count = 0;
	history_leases(h, &q, collect, &f, NULL);
	assert_int_equal(f.count, 2);
	q.limit = 0;
	q.proto = IPPROTO_UDP;
	f.count = 0;
	history_leases(h, &q, collect, &f, NULL);
	assert_int_equal(f.count, 1);
	q.proto = 0;
	q.by_addr = true;
	q.family = AF_INET;
	q.laddr[0] = ip("10.0.0.5");
	f.count = 0;
	history_leases(h, &q, collect, &f, NULL);
	assert_int_equal(f.count, 3);
	q.laddr[0] = ip("10.0.0.6");
	f.count = 0;
	history_leases(h, &q, collect, &f, NULL);
	assert_int_equal(f.count, 1);	/* bound to all addresses */
	q.family = AF_INET6;
	inet_pton(AF_INET6, "2001:db8::5", q.laddr);
	f.count = 0;
	history_leases(h, &q, collect, &f, NULL);
	assert_int_equal(f.count, 0);	/* all addresses of IPv4 are none of IPv6 */
	q.by_addr = false;
	q.netns = 7;
	f.count = 0;
	history_leases(h, &q, collect, &f, NULL);
	assert_int_equal(f.count, 1);
	history_close(h);
}

static void test_lives(void **state)
{
	struct history_query q = { .port_lo = 8080, .port_hi = 8080 };
	struct history_lives lives;
	struct store *st = open_store();
	struct found f = { 0 };
	struct history *h;

	for (int i = 0; i < 9; i++)
		put(st, 10 + (uint64_t)i, 8080, t0 + i * SEC, t0 + i * SEC + (i + 1) * MS);
	assert_int_equal(store_rotate(st), 0);
	put(st, 30, 8080, t0 + 20 * SEC, 0);
	assert_int_equal(store_settle(st, WAIT_MS), 0);
	h = open_history();
	assert_int_equal(history_lives(h, &q, &lives, collect, &f), 0);
	assert_int_equal(lives.lives, 10);
	assert_int_equal(lives.median, 5 * MS);
	assert_int_equal(f.count, 1);
	assert_int_equal(f.ev[0].lease.id, 30);
	history_close(h);
	store_close(st);
}

/* More files than are kept open, each with a gap, read several at a time; and ranges, of which samples are read. */
#define FILES 40
static void test_many_files(void **state)
{
	struct history_query q = { .port_lo = 8000, .port_hi = 8000 };
	struct store *st = open_store();
	struct history_lives lives;
	struct history *h;
	unsigned int gaps[8] = { 0 };

	for (int i = 0; i < FILES; i++) {
		struct gap gap = { .lost = i, .from = t0, .to = t0 + SEC, .cause = GAP_RING };
		struct event ev;

		for (int k = 0; k < 200; k++)
			put(st, (uint64_t)(i * 1000 + k + 1), (uint16_t)(8000 + k), t0, t0 + (i + 1) * MS);
		ev = lease_of((uint64_t)i * 1000 + 900, 8000, t0, t0 + 500 * MS);
		ev.lease.proto = IPPROTO_UDP;
		assert_int_equal(store_lease(st, &ev), 0);
		assert_int_equal(store_gap(st, &gap), 0);
		assert_int_equal(store_rotate(st), 0);
	}
	assert_int_equal(store_settle(st, WAIT_MS), 0);
	assert_int_equal(files_with("lease-", ".db"), FILES);
	h = open_history();
	for (int round = 0; round < 2; round++) {
		struct found f = { 0 };

		q.proto = IPPROTO_TCP;
		q.port_hi = 8000;
		assert_int_equal(history_lives(h, &q, &lives, collect, &f), 0);
		assert_int_equal(lives.lives, FILES);
		assert_int_equal(lives.median, (FILES / 2 + 1) * MS);
		assert_false(lives.sampled);
		q.proto = 0;
		q.port_hi = 8099;
		f.count = 0;
		assert_int_equal(history_lives(h, &q, &lives, collect, &f), 0);
		assert_int_equal(lives.lives, FILES * 101);
		assert_int_equal(f.count, 1);
		assert_int_equal(f.ev[0].lease.id, (FILES - 1) * 1000 + 900);
		assert_int_equal(f.ev[0].lease.lport, 8000);
		assert_int_equal(history_gaps(h, 0, INT64_MAX - 1, count_gap, gaps), 0);
		assert_int_equal(gaps[GAP_RING], FILES * (round + 1));
	}
	assert_int_equal(asked(h, 8000, 8199, t0, t0), FILES * 201);
	history_close(h);
	store_close(st);
}

static void test_lives_of_a_range_are_sampled(void **state)
{
	struct history_query q = { .port_lo = 40000, .port_hi = 49999 };
	struct store *st = open_store();
	struct history_lives lives;
	struct found f = { 0 };
	struct history *h;

	for (int i = 0; i < 20000; i++)
		put(st, (uint64_t)i + 1, (uint16_t)(40000 + i % 10000), t0, t0 + (i + 1) * 1000);
	assert_int_equal(store_rotate(st), 0);
	assert_int_equal(store_settle(st, WAIT_MS), 0);
	h = open_history();
	assert_int_equal(history_lives(h, &q, &lives, collect, &f), 0);
	assert_true(lives.sampled);
	assert_in_range(lives.lives, 19000, 21000);
	assert_in_range(lives.median, 9 * MS, 11 * MS);
	/* The last one is exact. */
	assert_int_equal(f.ev[0].lease.id, 20000);
	assert_int_equal(f.ev[0].lease.lport, 49999);
	history_close(h);
	store_close(st);
}

static void test_fails_and_minutes(void **state)
{
	struct history_query q = { .port_hi = 65535, .since = t0, .until = t0 + SEC };
	struct summary_netns netns = {
		.netns = 4026531840, .range_lo = 32768, .range_hi = 60999, .reserved = 3, .used_odd = 10, .used_even = 20,
	};
	struct summary sum = { .allocs = { 0, 5 }, .releases = 4, .live = 1, .netns = &netns, .n_netns = 1 };
	struct event ev = lease_of(0, 8080, 0, 0), min = { .kind = EV_SUMMARY, .ts = t0, .summary = &sum };
	struct store *st = open_store();
	struct found f = { 0 };
	struct history *h;

	ev.kind = EV_FAIL;
	ev.ts = t0 + 5;
	ev.err = EADDRINUSE;
	assert_int_equal(store_fail(st, &ev), 0);
	ev.ts = t0 + 2 * SEC;
	assert_int_equal(store_fail(st, &ev), 0);
	assert_int_equal(store_minute(st, &min), 0);
	sum.n_netns = 5000;
	assert_int_equal(store_minute(st, &min), -EINVAL);
	assert_int_equal(store_rotate(st), 0);
	assert_int_equal(store_settle(st, WAIT_MS), 0);
	store_close(st);
	h = open_history();
	assert_int_equal(history_fails(h, &q, collect, &f, NULL), 0);
	assert_int_equal(f.count, 1);
	assert_int_equal(f.ev[0].err, EADDRINUSE);
	assert_int_equal(f.ev[0].ts, t0 + 5);
	assert_int_equal(f.ev[0].lease.tgid, 4711);
	f.count = 0;
	q.until = INT64_MAX - 1;
	q.limit = 1;
	assert_int_equal(history_fails(h, &q, collect, &f, NULL), 0);
	assert_int_equal(f.count, 1);
	f.count = 0;
	assert_int_equal(history_minutes(h, t0, t0, collect, &f), 0);
	assert_int_equal(f.count, 1);
	history_close(h);
}

/* ---- retention ---- */

static void test_retention_by_size(void **state)
{
	struct store *st = open_with(BOOT_A, NULL, NULL, 400 << 10);
	int64_t began = clock_unix_ns(), now;
	struct history_coverage c;
	struct store_stats stats;
	struct found f;

	for (unsigned int round = 0; round < 10; round++) {
		if (round == 1)
			usleep(2100000);	/* names of files tell whole seconds */
		for (unsigned int i = 0; i < 4000; i++)
			put(st, round * 4000 + i + 1, 9000, clock_unix_ns() - SEC, clock_unix_ns());
		assert_int_equal(store_rotate(st), 0);
		assert_int_equal(store_settle(st, WAIT_MS), 0);
	}
	store_stats(st, &stats);
	assert_true(stats.evicted >= 2);
	assert_true(stats.bytes <= 400 << 10);
	assert_int_equal(stats.leases, 40000);
	assert_int_equal(files_with("minutes-", ".db"), 1);
	/* What is gone is said of that time, and of no other. */
	assert_int_equal(ask(9001, began + MS, began + MS, &f, &c), HISTORY_EVICTED);
	now = clock_unix_ns();
	assert_int_equal(store_flush(st, WAIT_MS), 0);
	assert_true(wait_written(now));
	assert_int_equal(ask(9001, now, now, &f, &c), HISTORY_NOBODY);
	assert_false(history_incomplete(&c));
	store_close(st);
	assert_int_equal(ask(9000, t0 - 86400 * SEC, t0 - 86400 * SEC, &f, &c), HISTORY_BEFORE);
}

static int64_t clock_moved;

static int64_t moved_now(void)
{
	return clock_unix_ns() + __atomic_load_n(&clock_moved, __ATOMIC_RELAXED);
}

static void tell_moved(void *arg, struct store *st)
{
	struct live *l = arg;

	for (unsigned int i = 0; i < l->n; i++)
		assert_int_equal(store_open_lease(st, &l->ev[i]), 0);
}

/* What recorder_on_clock() tells; each_open goes over to the new clock afterwards. */
static void set_clock(struct store *st, struct live *live, int64_t by)
{
	__atomic_fetch_add(&clock_moved, by, __ATOMIC_RELAXED);
	store_clock(st, clock_boot_to_unix() + clock_moved);
	for (unsigned int i = 0; i < live->n; i++)
		live->ev[i].start += by;
	store_tick(st);
	assert_int_equal(store_settle(st, WAIT_MS), 0);
}

static void check_held(uint16_t port, int64_t at, int64_t lasted)
{
	struct found f;

	ask(port, at, at, &f, NULL);
	assert_int_equal(f.count, 1);
	if (!lasted) {
		assert_int_equal(f.ev[0].kind, EV_OPEN);
		return;
	}
	assert_int_equal(f.ev[0].end - f.ev[0].start, lasted);
	assert_int_equal(f.ev[0].closed - f.ev[0].start, SEC);
}

/* One lease goes on over the steps, one begins between them; each moment is asked for by the clock of that moment. */
static void test_clock_steps(void **state)
{
	/* Never ahead of the true clock, which the reader has. */
	static const int64_t steps[] = { -7200 * SEC, 3600 * SEC, -400000 * 3600LL * SEC };
	struct live live = { .n = 1 };
	struct store_opts opts = { .dir = dir, .boot_id = BOOT_A, .unix_now = moved_now, .each_open = tell_moved, .each_open_arg = &live };
	struct event end;
	int64_t at[4];
	struct store *st;

	clock_moved = 0;
	assert_int_equal(store_open_writer(&opts, &st), 0);
	live.ev[0] = lease_of((1000ULL * SEC) << 10, 4000, moved_now(), 0);
	at[0] = live.ev[0].start + 1;
	for (unsigned int i = 0; i < 3; i++) {
		set_clock(st, &live, steps[i]);
		at[i + 1] = moved_now();
		put(st, (2000ULL + i) << 40, 4001, at[i + 1], at[i + 1] + SEC);
		for (unsigned int k = 0; k <= i + 1; k++)
			check_held(4000, at[k], 0);
	}
	end = live.ev[0];
	end.kind = EV_RELEASE;
	end.ts = end.end = end.start + 60 * SEC;
	end.closed = end.start + SEC;	/* the rest was TIME_WAIT */
	assert_int_equal(store_lease(st, &end), 0);
	live.n = 0;
	for (int closed = 0; closed < 2; closed++) {
		assert_int_equal(store_settle(st, WAIT_MS), 0);
		for (unsigned int k = 0; k < 4; k++) {
			check_held(4000, at[k], 60 * SEC);
			assert_int_equal(held_at(4001, at[k]), k > 0);
			/* As long as it lasted by the clock of then. */
			assert_int_equal(held_at(4000, at[k] + 61 * SEC), 0);
		}
		if (!closed)
			assert_int_equal(store_rotate(st), 0);
	}
	store_close(st);
}

/* The roll-ups have a bound of their own: the oldest year goes, and never the last. */
static void test_retention_of_roll_ups(void **state)
{
	struct store *st = open_with(BOOT_A, NULL, NULL, 1 << 20);
	char path[128], year[20];
	struct store_stats stats;

	for (int y = 2001; y <= 2004; y++) {
		snprintf(path, sizeof(path), "%s/minutes-%d.db", dir, y);
		close(open(path, O_CREAT | O_WRONLY, 0640));
		assert_int_equal(truncate(path, 100 << 10), 0);
	}
	put(st, 1, 9000, t0, t0 + SEC);
	assert_int_equal(store_rotate(st), 0);
	assert_int_equal(store_settle(st, WAIT_MS), 0);
	store_stats(st, &stats);
	store_close(st);
	for (int y = 2001; y <= 2004; y++) {
		snprintf(year, sizeof(year), "minutes-%d", y);
		assert_int_equal(files_with(year, ".db"), y == 2004);
	}
	assert_int_equal(files_with("lease-", ".db"), 1);
	assert_true(stats.bytes >= 100 << 10 && stats.bytes < 300 << 10);
}

/* Told as open in the file in which it ends, after all that the file was said to hold. */
static void test_end_after_the_file(void **state)
{
	int64_t end = clock_unix_ns() + 100 * SEC;
	struct store *st = open_store();

	put(st, 1, 9000, t0, 0);
	put(st, 1, 9000, t0, end);
	assert_int_equal(store_rotate(st), 0);
	assert_int_equal(store_settle(st, WAIT_MS), 0);
	assert_int_equal(held_at(9000, end - 1), 1);
	assert_int_equal(held_at(9000, end + 1), 0);
	store_close(st);
}

/* Long texts fill a batch before many leases do. */
static void test_long_texts(void **state)
{
	static char text[40000];
	struct store *st = open_store();
	struct found f;

	memset(text, 'x', sizeof(text) - 1);
	for (uint32_t i = 1; i <= 60; i++) {
		struct event ev = lease_of(i, 9000, t0, t0 + SEC);

		ev.cmdline = text;
		ev.lease.tgid = i;
		assert_int_equal(store_lease(st, &ev), 0);
	}
	store_close(st);
	ask(9000, t0, t0, &f, NULL);
	assert_int_equal(f.count, 60);
	for (int i = 0; i < 60; i++)
		assert_int_equal(f.ev[i].lease.tgid, f.ev[i].lease.id);
}

/* Held over a restart, and ended when the clock had been set to before its beginning. */
static void test_end_before_the_beginning(void **state)
{
	struct store *st = open_store();
	struct event again;
	struct found f;

	put(st, 1, 6001, t0, 0);
	store_close(st);
	st = open_store();
	again = found_again(1001, 6001);
	assert_int_equal(store_open_lease(st, &again), 0);
	store_merged(st);
	put(st, 1001, 6001, t0 - 7200 * SEC, t0 - 3600 * SEC);
	store_close(st);
	ask(6001, 0, INT64_MAX - 1, &f, NULL);
	assert_int_equal(f.count, 1);
	assert_int_equal(f.ev[0].kind, EV_RELEASE);
	assert_int_equal(f.ev[0].start, t0);
	assert_int_equal(f.ev[0].end, t0);
}

static void test_clock_set_back(void **state)
{
	struct store *st = open_store();
	struct event ev = lease_of((1000ULL * SEC) << 10, 4000, t0, t0 + SEC);
	struct found f;

	/* As the events say it after the wall clock was set to 1970, and to 2040. */
	assert_int_equal(store_lease(st, &ev), 0);
	ev = lease_of((1001ULL * SEC) << 10, 4000, 5 * SEC, 6 * SEC);
	assert_int_equal(store_lease(st, &ev), 0);
	ev = lease_of((1002ULL * SEC) << 10, 4000, 2208988800LL * SEC, 2208988801LL * SEC);
	assert_int_equal(store_lease(st, &ev), 0);
	/* Its beginning is not known, and no bound for it is before its end. */
	ev = lease_of((1003ULL * SEC) << 10, 4002, 0, 7 * SEC);
	assert_int_equal(store_lease(st, &ev), 0);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(store_rotate(st), 0);
		assert_int_equal(store_settle(st, WAIT_MS), 0);
		ask(4002, 0, INT64_MAX - 1, &f, NULL);
		assert_true(f.count == 1 && f.ev[0].end == 7 * SEC && f.ev[0].start <= f.ev[0].end);
		ask(4000, 0, INT64_MAX - 1, &f, NULL);
		assert_int_equal(f.count, 3);
		for (unsigned int k = 0; k < 3; k++)
			assert_int_equal(f.ev[k].end - f.ev[k].start, SEC);
		assert_int_equal(held_at(4000, 5 * SEC), 1);
		assert_int_equal(held_at(4000, 2208988800LL * SEC + 1), 1);
	}
	store_close(st);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_round_trip), TEST(test_unknown_stays_unknown), TEST(test_edges_of_a_lease),
		TEST(test_odd_bytes), TEST(test_hot_and_sealed_agree), TEST(test_rotation_by_count), TEST(test_rotation_by_space),
		TEST(test_open_over_rotation), TEST(test_restart_continues), TEST(test_crash_continues),
		TEST(test_restart_after_rotation), TEST(test_begin_later), TEST(test_begins_after_a_crash), TEST(test_found_held_is_no_claim_for_before),
		TEST(test_reboot), TEST(test_any_instant), TEST(test_verdicts), TEST(test_writer_behind), TEST(test_not_written_yet), TEST(test_filters),
		TEST(test_lives), TEST(test_many_files), TEST(test_lives_of_a_range_are_sampled), TEST(test_fails_and_minutes), TEST(test_retention_by_size),
		TEST(test_retention_of_roll_ups), TEST(test_end_after_the_file), TEST(test_long_texts),
		TEST(test_end_before_the_beginning), TEST(test_clock_set_back), TEST(test_clock_steps),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
