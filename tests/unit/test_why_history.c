/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The command over a history made here, against tests/golden/why.*.
 * UPDATE_GOLDEN=1 writes them anew: read the difference.  To be run from the
 * top of the tree.
 */
#include "unit/store_fixture.h"

#include "cmd/cmd.h"

/* 2026-11-21T04:10:00Z, on every host; the namespaces are none of this host's. */
#define T0 1795234200000000000LL
#define NS 42u

static int64_t now_then;

static int64_t then(void)
{
	return __atomic_load_n(&now_then, __ATOMIC_RELAXED);
}

static void clock_to(int64_t t)
{
	__atomic_store_n(&now_then, t, __ATOMIC_RELAXED);
}

static struct event owned(uint64_t id, uint16_t port, int64_t start, int64_t end, uint32_t pid, const char *comm)
{
	struct event ev = lease_of(id, port, start, end);

	ev.lease.netns = NS;
	ev.lease.uid = 0;
	ev.lease.tgid = ev.lease.tid = pid;
	ev.lease.proc_start = pid;
	ev.proc_start = T0 - SEC;
	ev.lease.exe = pid;
	ev.lease.sock = PL_S_KNOWN;
	ev.exe = pid == 4711 ? "/usr/bin/curl" : NULL;
	if (pid != 4711)
		memset(&ev.where, 0, sizeof(ev.where));
	snprintf(ev.lease.comm, sizeof(ev.lease.comm), "%s", comm);
	return ev;
}

static void held(struct store *st, struct event ev)
{
	assert_int_equal(store_lease(st, &ev), 0);
}

static void refused(struct store *st, struct event ev, int64_t ts, int err)
{
	ev.kind = EV_FAIL;
	ev.ts = ts;
	ev.start = ev.end = 0;
	ev.err = err;
	assert_int_equal(store_fail(st, &ev), 0);
}

/* What "nginx", pid 900, is refused. */
static struct event asked(unsigned int kind, uint16_t port)
{
	struct event ev = owned(0, port, T0, 0, 900, "nginx");

	ev.lease.kind = (uint8_t)kind;
	ev.lease.flags = 0;
	memset(ev.lease.laddr, 0, sizeof(ev.lease.laddr));
	if (kind != PL_KIND_CONNECT) {
		ev.lease.rport = 0;
		memset(ev.lease.raddr, 0, sizeof(ev.lease.raddr));
	}
	return ev;
}

static void put_conflicts(struct store *st)
{
	struct event ev = owned(1 << 10, 8080, T0 + SEC, T0 + 300 * SEC, 4711, "curl");

	held(st, ev);	/* an outgoing connection */
	refused(st, asked(PL_KIND_BIND, 8080), T0 + 10 * SEC, EADDRINUSE);
	refused(st, asked(PL_KIND_BIND, 8080), T0 + 11 * SEC, EADDRINUSE);
	ev = owned(2 << 10, 8081, T0 + SEC, T0 + 75 * SEC, 4712, "old\x1b[2Jserver");
	ev.closed = T0 + 15 * SEC;
	ev.lease.kind = PL_KIND_ACCEPT;
	ev.lease.flags = PL_F_TIME_WAIT;
	ev.lease.sock |= PL_S_REUSEADDR;
	held(st, ev);
	refused(st, asked(PL_KIND_BIND, 8081), T0 + 20 * SEC, EADDRINUSE);
	ev = owned(3 << 10, 8082, T0 + SEC, T0 + 90 * SEC, 4713, "bound");
	ev.lease.kind = PL_KIND_BIND;
	ev.lease.flags = ev.lease.sock = 0;	/* by a recorder that did not know of options */
	ev.lease.rport = 0;
	memset(ev.lease.raddr, 0, sizeof(ev.lease.raddr));
	held(st, ev);
	ev.lease.id = 4 << 10;
	ev.lease.lport = 8083;
	ev.lease.netns = 43;		/* of another namespace: not in the way */
	held(st, ev);
	refused(st, asked(PL_KIND_BIND, 8082), T0 + 21 * SEC, EADDRINUSE);
	refused(st, asked(PL_KIND_BIND, 8083), T0 + 22 * SEC, EADDRINUSE);
}

static void put_exhaustion(struct store *st)
{
	static const struct summary_netns range = { .netns = NS, .range_lo = 40000, .range_hi = 40003, .used_odd = 2, .used_even = 2 };
	const struct summary sum = { .netns = &range, .n_netns = 1 };
	struct event minute = { .kind = EV_SUMMARY, .ts = T0 + 60 * SEC, .summary = &sum };
	struct event ev = asked(PL_KIND_CONNECT, 0);

	for (unsigned int i = 0; i < 3; i++)
		held(st, owned((10 + i) << 10, (uint16_t)(40000 + i), T0 + SEC, T0 + 50 * SEC, 4711, "curl"));
	ev = owned(20 << 10, 40003, T0 + SEC, T0 + 95 * SEC, 900, "nginx");
	ev.closed = T0 + 25 * SEC;
	ev.lease.flags |= PL_F_TIME_WAIT;
	held(st, ev);
	assert_int_equal(store_minute(st, &minute), 0);
	ev = asked(PL_KIND_CONNECT, 0);
	ev.lease.laddr[0] = ip("10.0.0.5");
	refused(st, ev, T0 + 30 * SEC, EADDRNOTAVAIL);
	refused(st, asked(PL_KIND_BIND0, 0), T0 + 31 * SEC, EADDRINUSE);
	ev = asked(PL_KIND_BIND0, 0);
	ev.lease.netns = 44;	/* no summary tells of it */
	refused(st, ev, T0 + 32 * SEC, EADDRINUSE);
}

static void put_others(struct store *st)
{
	struct event ev = asked(PL_KIND_BIND, 80);

	refused(st, ev, T0 + 40 * SEC, EACCES);
	ev.lease.laddr[0] = ip("198.51.100.1");
	refused(st, ev, T0 + 41 * SEC, EADDRNOTAVAIL);
}

static void make_history(void)
{
	struct store_opts opts = { .dir = dir, .host = "web-1", .boot_id = BOOT_A, .version = "test", .unix_now = then };
	struct store *st = NULL;

	clock_to(T0 - 10 * SEC);
	assert_int_equal(store_open_writer(&opts, &st), 0);
	clock_to(T0 + 400 * SEC);
	put_conflicts(st);
	put_exhaustion(st);
	put_others(st);
	assert_int_equal(store_flush(st, WAIT_MS), 0);
	store_close(st);
}

/* Runs the command with stdout in `path`; its exit code. */
static int run(const char *path, const char *const *more)
{
	const char *argv[16] = { "why", "--utc", "--state-dir", dir };
	int argc = 4, keep = dup(1), fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0644), code;

	while (*more)
		argv[argc++] = *more++;
	fflush(stdout);
	dup2(fd, 1);
	close(fd);
	code = cmd_why(argc, (char **)argv);
	fflush(stdout);
	dup2(keep, 1);
	close(keep);
	return code;
}

static void check_golden(const char *name, const char *const *args)
{
	char got[160], cmd[512];

	snprintf(got, sizeof(got), "%s.out", dir);
	assert_int_equal(run(got, args), EXIT_OK);
	snprintf(cmd, sizeof(cmd), getenv("UPDATE_GOLDEN") ? "cp %s tests/golden/why.%s" : "diff %s tests/golden/why.%s >&2", got, name);
	assert_int_equal(system(cmd), 0);
	unlink(got);
}

static void test_golden(void **state)
{
	make_history();
	check_golden("table", (const char *[]){ NULL });
	check_golden("jsonl", (const char *[]){ "-o", "jsonl", NULL });
	check_golden("json", (const char *[]){ "-o", "json", "--at", "@1795234230", NULL });
}

static void test_codes(void **state)
{
	char out[160];

	make_history();
	snprintf(out, sizeof(out), "%s.out", dir);
	assert_int_equal(run(out, (const char *[]){ "--at", "@1795234230", NULL }), EXIT_OK);
	/* Seen whole, and nothing there. */
	assert_int_equal(run(out, (const char *[]){ "--at", "@1795234205", NULL }), EXIT_NOTHING);
	assert_int_equal(run(out, (const char *[]){ "--proto", "udp", NULL }), EXIT_NOTHING);
	/* The recorder stopped within the span asked for; and before it began. */
	assert_int_equal(run(out, (const char *[]){ "--since", "@1795234200", NULL }), EXIT_INCOMPLETE);
	assert_int_equal(run(out, (const char *[]){ "--at", "@1795230000", NULL }), EXIT_INCOMPLETE);
	unlink(out);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_golden, setup, teardown),
		cmocka_unit_test_setup_teardown(test_codes, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
