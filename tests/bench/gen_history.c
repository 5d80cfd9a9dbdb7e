// SPDX-License-Identifier: GPL-2.0
/*
 * Makes a history of N leases through the store itself, in past time, and says
 * what that cost: CPU, bytes written, bytes kept.  Then asks it a few things.
 *
 *   gen_history DIR LEASES [RATE [ROUNDS]]
 *
 * RATE (default 1000/s) is the pretended rate of leases; the history ends now.
 * One line a figure on stdout, "name value unit".  It asserts nothing.
 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>

#include "base/clock.h"
#include "store/history.h"
#include "store/store.h"

#define SEC 1000000000LL

static atomic_llong now_ns;

static int64_t pretended_now(void)
{
	return atomic_load(&now_ns);
}

static uint64_t rnd(void)
{
	static uint64_t x = 88172645463325252ULL;

	x ^= x << 13;
	x ^= x >> 7;
	return x ^= x << 17;
}

/* 200 processes, 300 peers; two thirds TCP with TIME_WAIT, one third UDP look-ups. */
static void make_event(struct event *ev, uint64_t i, int64_t end)
{
	static const char *const units[] = { "nginx.service", "ssh.service", "php-fpm.service", "postfix.service" };
	uint64_t r = rnd();
	uint32_t proc = (uint32_t)(r % 200);
	bool tcp = i % 3;
	int64_t active = (int64_t)(1000000 + (r >> 20) % 200000000);

	memset(ev, 0, sizeof(*ev));
	ev->kind = EV_RELEASE;
	ev->evidence = EVIDENCE_EVENT;
	ev->reason = tcp ? PL_REASON_TIME_WAIT : PL_REASON_CLOSE;
	ev->ts = ev->end = end;
	ev->start = end - active - (tcp ? 60 * SEC + (int64_t)(r % 8000000) : 0);
	ev->closed = tcp ? ev->start + active : 0;
	ev->proc_start = end - 86400 * SEC + proc;
	ev->exe = "/usr/sbin/server";
	ev->where = (struct workload){ "/system.slice/x.service", units[proc % 4], NULL, NULL };
	ev->lease.lport = (uint16_t)(32768 + (r >> 33) % 28232);
	ev->lease.rport = tcp ? 443 : 53;
	ev->lease.proto = tcp ? IPPROTO_TCP : IPPROTO_UDP;
	ev->lease.family = AF_INET;
	ev->lease.kind = PL_KIND_CONNECT;
	ev->lease.flags = PL_F_CHOSEN | PL_F_IN_RANGE | (tcp ? PL_F_TIME_WAIT : 0);
	ev->lease.owner_src = PL_OWNER_PROCESS;
	ev->lease.netns = 4026531840;
	ev->lease.tgid = ev->lease.tid = 1000 + proc;
	ev->lease.uid = 33;
	ev->lease.proc_start = 1000 + proc;
	ev->lease.exe = 77;
	ev->lease.cgroup = 100 + proc % 4;
	ev->lease.laddr[0] = htonl(0x0a000005);
	ev->lease.raddr[0] = htonl(0x0a010000 + (uint32_t)(r >> 50) % 300);
	memcpy(ev->lease.comm, "server", 6);
}

static int64_t clock_offset;

static double cpu_seconds(void)
{
	struct rusage u;

	getrusage(RUSAGE_SELF, &u);
	return (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) + 1e-6 * (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec);
}

static double wall_seconds(void)
{
	return (double)clock_boot_ns() / 1e9;
}

/* Bytes that this process made the kernel write. */
static double written_bytes(void)
{
	FILE *f = fopen("/proc/self/io", "r");
	char line[128];
	double wrote = 0;

	while (f && fgets(line, sizeof(line), f))
		sscanf(line, "wchar: %lf", &wrote);
	if (f)
		fclose(f);
	return wrote;
}

static long peak_kib(void)
{
	struct rusage u;

	getrusage(RUSAGE_SELF, &u);
	return u.ru_maxrss;
}

static void feed(struct store *st, uint64_t leases, int64_t first, int64_t step)
{
	struct event ev;

	for (uint64_t i = 0; i < leases; i++) {
		int64_t end = first + (int64_t)i * step;

		make_event(&ev, i, end);
		ev.lease.id = (uint64_t)(ev.start - clock_offset) << 10 | (i & 1);
		if (!st)
			continue;
		if (i % 256 == 0) {
			atomic_store(&now_ns, end);
			store_tick(st);
			/* Faster than any host: wait for the disk now and then, as time would. */
			if (i % 65536 == 0)
				store_flush(st, -1);
		}
		store_lease(st, &ev);
	}
}

static int count_row(void *arg, const struct event *ev)
{
	++*(uint64_t *)arg;
	return 0;
}

static int compare_double(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return x < y ? -1 : x > y;
}

/* Each round opens the directory anew, as a process would. */
static void ask(const char *what, const char *dir, uint64_t leases, int64_t step, int rounds, bool lives)
{
	double *took = calloc((size_t)rounds, sizeof(*took));
	uint64_t rows = 0;

	for (int i = 0; i < rounds; i++) {
		int64_t at = clock_unix_ns() - (int64_t)(rnd() % leases) * step - 120 * SEC;
		uint16_t port = (uint16_t)(32768 + rnd() % 28232);
		struct history_query q = { .port_lo = port, .port_hi = port, .since = at, .until = at };
		struct history_coverage c;
		struct history_lives l;
		struct history *h;
		double t = wall_seconds();

		if (history_open(dir, &h))
			exit(1);
		history_leases(h, &q, count_row, &rows, &c);
		if (lives)
			history_lives(h, &q, &l, count_row, &rows);
		history_close(h);
		took[i] = (wall_seconds() - t) * 1e6;
	}
	qsort(took, (size_t)rounds, sizeof(*took), compare_double);
	printf("%s median %.0f us max %.0f us rows %llu rounds %d\n", what, took[rounds / 2],
	       took[rounds - 1], (unsigned long long)rows, rounds);
	free(took);
}

static int write_history(const char *dir, uint64_t leases, int64_t step, int rounds)
{
	struct store_opts opts = { .dir = dir, .host = "bench", .boot_id = "boot", .version = "bench", .unix_now = pretended_now,
				   .retain_bytes = 1ULL << 40, .retain_age = -1 };
	int64_t first = clock_unix_ns() - (int64_t)leases * step;
	double cpu, wall, wrote = written_bytes();
	struct store_stats stats;
	struct store *st;

	clock_offset = clock_boot_to_unix();
	cpu = cpu_seconds();
	feed(NULL, leases / 10, first, step);
	cpu = -10 * (cpu_seconds() - cpu);	/* what making the events costs */
	atomic_store(&now_ns, first);
	if (store_open_writer(&opts, &st))
		return 1;
	cpu -= cpu_seconds();
	wall = wall_seconds();
	feed(st, leases, first, step);
	store_flush(st, -1);
	cpu += cpu_seconds();
	store_settle(st, 600000);
	ask("who_at_with_the_last_file_hot", dir, leases, step, rounds, false);
	cpu -= cpu_seconds();
	store_rotate(st);
	store_settle(st, 600000);
	cpu += cpu_seconds();
	wall = wall_seconds() - wall;
	store_stats(st, &stats);
	store_close(st);
	printf("leases %llu\nlost %llu\nsealed_files %llu\n", (unsigned long long)stats.leases, (unsigned long long)stats.lost,
	       (unsigned long long)stats.sealed);
	printf("cpu_written_and_sealed %.3f us/lease\n", cpu * 1e6 / (double)leases);
	printf("wall %.3f us/lease\n", wall * 1e6 / (double)leases);
	printf("written %.1f bytes/lease\n", (written_bytes() - wrote) / (double)leases);
	printf("kept %.1f bytes/lease\n", (double)stats.bytes / (double)leases);
	printf("peak_rss %ld KiB\n", peak_kib());
	return 0;
}

int main(int argc, char **argv)
{
	uint64_t leases = argc > 2 ? strtoull(argv[2], NULL, 10) : 0;
	int64_t step = SEC / (argc > 3 ? atoll(argv[3]) : 1000);
	int rounds = argc > 4 ? atoi(argv[4]) : 101;

	if (!leases || step <= 0) {
		fprintf(stderr, "usage: gen_history DIR LEASES [RATE [ROUNDS]]\n");
		return 2;
	}
	if (write_history(argv[1], leases, step, rounds))
		return 1;
	ask("who_at", argv[1], leases, step, rounds, false);
	ask("who_at_and_lives", argv[1], leases, step, rounds, true);
	return 0;
}
