/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A history of its own for each test of the store: a directory under /tmp, made
 * before and removed after, leases to put in, and questions to ask.
 */
#ifndef TESTS_UNIT_STORE_FIXTURE_H
#define TESTS_UNIT_STORE_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/clock.h"
#include "base/log.h"
#include "store/history.h"
#include "store/store.h"

#define SEC 1000000000LL
#define MS 1000000LL
#define BOOT_A "aaaaaaaa-0000-4000-8000-000000000001"
#define BOOT_B "bbbbbbbb-0000-4000-8000-000000000002"
#define WAIT_MS 20000

static char dir[96];
static int64_t t0;	/* a time shortly before now, so that spans are not in the future */

static inline int setup(void **state)
{
	snprintf(dir, sizeof(dir), "/tmp/test_store.XXXXXX");
	t0 = clock_unix_ns() - 10 * SEC;
	return mkdtemp(dir) ? 0 : -1;
}

static inline int teardown(void **state)
{
	char cmd[128];

	snprintf(cmd, sizeof(cmd), "rm -rf %s", dir);
	return system(cmd);
}

static inline uint32_t ip(const char *text)
{
	return inet_addr(text);
}

/* A TCP connection of curl; the caller changes what matters to it. */
static inline struct event lease_of(uint64_t id, uint16_t port, int64_t start, int64_t end)
{
	struct event ev = {
		.kind = end ? EV_RELEASE : EV_OPEN, .evidence = EVIDENCE_EVENT, .reason = end ? PL_REASON_CLOSE : 0,
		.ts = end ? end : start, .start = start, .end = end, .proc_start = t0 - 100 * SEC, .exe = "/usr/bin/curl",
		.where = { "/system.slice/ssh.service", "ssh.service", NULL, NULL }, .host = "web-1", .boot_id = BOOT_A,
		.lease = { .id = id, .lport = port, .rport = 443, .proto = IPPROTO_TCP, .family = AF_INET,
			   .kind = PL_KIND_CONNECT, .flags = PL_F_CHOSEN | PL_F_IN_RANGE, .owner_src = PL_OWNER_PROCESS,
			   .netns = 4026531840, .tgid = 4711, .tid = 4711, .ppid = 1, .uid = 33, .proc_start = 77,
			   .exe = 9, .cgroup = 10, .comm = "curl" },
	};

	ev.lease.laddr[0] = ip("10.0.0.5");
	ev.lease.raddr[0] = ip("10.0.1.9");
	return ev;
}

static inline struct store *open_with(const char *boot, void (*each)(void *, struct store *), void *arg, uint64_t bytes)
{
	struct store_opts opts = { .dir = dir, .host = "web-1", .boot_id = boot, .version = "test", .each_open = each,
				   .each_open_arg = arg, .retain_bytes = bytes };
	struct store *st = NULL;

	assert_int_equal(store_open_writer(&opts, &st), 0);
	return st;
}

static inline struct store *open_store(void)
{
	return open_with(BOOT_A, NULL, NULL, 0);
}

static inline void put(struct store *st, uint64_t id, uint16_t port, int64_t start, int64_t end)
{
	struct event ev = lease_of(id, port, start, end);

	assert_int_equal(end ? store_lease(st, &ev) : store_open_lease(st, &ev), 0);
}

/* ---- reading ---- */

struct found {
	unsigned int count;
	struct event ev[64];		/* the pointers only as text below */
	char exe[64], unit[64], cmdline[256];	/* of the last one */
};

static inline int collect(void *arg, const struct event *ev)
{
	struct found *f = arg;

	if (f->count < 64)
		f->ev[f->count] = *ev;
	f->count++;
	snprintf(f->exe, sizeof(f->exe), "%s", ev->exe ? ev->exe : "");
	snprintf(f->cmdline, sizeof(f->cmdline), "%s", ev->cmdline ? ev->cmdline : "");
	snprintf(f->unit, sizeof(f->unit), "%s", ev->where.unit ? ev->where.unit : "");
	return 0;
}

static inline struct history *open_history(void)
{
	struct history *h = NULL;

	assert_int_equal(history_open(dir, &h), 0);
	return h;
}

/* As a command waits for it; false where it has not come. */
static inline bool wait_written(int64_t at)
{
	struct history *h = open_history();
	struct history_info info;

	assert_int_equal(history_wait(h, at), 0);
	history_info(h, &info);
	history_close(h);
	return !info.behind;
}

static inline enum history_verdict ask(uint16_t port, int64_t since, int64_t until, struct found *f, struct history_coverage *c)
{
	struct history_query q = { .port_lo = port, .port_hi = port, .since = since, .until = until };
	struct history_coverage cover;
	struct history *h = open_history();

	memset(f, 0, sizeof(*f));
	assert_int_equal(history_leases(h, &q, collect, f, &cover), 0);
	history_close(h);
	if (c)
		*c = cover;
	return history_verdict(&cover, f->count);
}

static inline unsigned int held_at(uint16_t port, int64_t at)
{
	struct found f;

	ask(port, at, at, &f, NULL);
	return f.count;
}

static inline int count_gap(void *arg, const struct gap *gap)
{
	unsigned int *n = arg;

	n[gap->cause]++;
	return 0;
}

static inline void count_gaps(unsigned int n[8])
{
	struct history *h = open_history();

	memset(n, 0, 8 * sizeof(*n));
	assert_int_equal(history_gaps(h, 0, INT64_MAX - 1, count_gap, n), 0);
	history_close(h);
}

static inline unsigned int files_with(const char *prefix, const char *suffix)
{
	DIR *d = opendir(dir);
	struct dirent *e;
	unsigned int n = 0;

	while (d && (e = readdir(d))) {
		size_t len = strlen(e->d_name), end = strlen(suffix);

		n += !strncmp(e->d_name, prefix, strlen(prefix)) && len >= end && !strcmp(e->d_name + len - end, suffix);
	}
	closedir(d);
	return n;
}

static inline const char *first_file(const char *prefix)
{
	static char path[512];
	DIR *d = opendir(dir);
	struct dirent *e;

	path[0] = '\0';
	while (d && (e = readdir(d)))
		if (!strncmp(e->d_name, prefix, strlen(prefix)) && !strstr(e->d_name, "-wal") && !strstr(e->d_name, "-shm"))
			snprintf(path, sizeof(path), "%s/%s", dir, e->d_name);
	closedir(d);
	return path;
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

#endif
