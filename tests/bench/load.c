// SPDX-License-Identifier: GPL-2.0
/*
 * The load of the benchmark: allocates and frees ports as fast as it can and
 * says what it did, so that what a recorder saw can be held against it.
 *
 *   load WORK [--ops N] [--threads N] [--hold N] [--pause US] [--here]
 *
 * Works in a network namespace of its own (--here: in the one it is in), so
 * that its events can be told from the rest of the host.  --hold keeps N idle
 * sockets bound meanwhile; --pause sleeps between two operations, --ops 0 goes
 * on until it is killed.  Prints one line of JSON: what was asked, operations
 * done, ports allocated (by connect, bind and send, and accepted inside the
 * ephemeral range), wall and CPU nanoseconds, its namespace.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <getopt.h>
#include <net/if.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <sched.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define PORT_OUT_OF_RANGE 8080	/* accepted there: counted, not recorded */
#define PORT_IN_RANGE 45000
#define SOURCES 250		/* addresses that take turns where TIME_WAIT would fill the range */

struct worker {
	pthread_t thread;
	unsigned int number;
	uint64_t ops;		/* to do; 0: no end */
	uint64_t done;
	int listener;
	int pair[2];		/* timers: the two ends */
};

struct work {
	const char *name;
	void (*begin)(struct worker *w);	/* may be NULL */
	void (*op)(struct worker *w);
	unsigned int allocs;			/* ports that one operation allocates, in scope */
	unsigned int fixed;			/* and once a thread */
};

static struct {
	const struct work *work;
	uint64_t ops;
	unsigned int threads, hold, pause_us;
	bool here;
} opt = { .ops = 20000, .threads = 1 };

__attribute__((noreturn))
static void die(const char *what)
{
	fprintf(stderr, "load: %s: %s\n", what, strerror(errno));
	exit(1);
}

static int must(int ret, const char *what)
{
	if (ret < 0)
		die(what);
	return ret;
}

/* 127.N.0.A: each thread has a network of its own. */
static struct sockaddr_in local(const struct worker *w, unsigned int address, uint16_t port)
{
	struct sockaddr_in sin = { .sin_family = AF_INET, .sin_port = htons(port) };

	sin.sin_addr.s_addr = htonl(0x7f000000 | w->number << 16 | address);
	return sin;
}

static int sock(int type)
{
	return must(socket(AF_INET, type | SOCK_CLOEXEC, 0), "socket");
}

static void listen_at(struct worker *w, uint16_t port)
{
	struct sockaddr_in sin = local(w, 1, port);
	int one = 1;

	w->listener = sock(SOCK_STREAM);
	setsockopt(w->listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	must(bind(w->listener, (struct sockaddr *)&sin, sizeof(sin)), "bind a listener");
	must(listen(w->listener, 128), "listen");
}

static void begin_server(struct worker *w)
{
	listen_at(w, PORT_OUT_OF_RANGE);
}

static void begin_server_in_range(struct worker *w)
{
	listen_at(w, PORT_IN_RANGE);
}

/* One connection, both ends. */
static void connection(struct worker *w, uint16_t port, bool reset)
{
	struct linger now = { .l_onoff = 1 };
	struct sockaddr_in to = local(w, 1, port), from = local(w, 2 + w->done % SOURCES, 0);
	int client = sock(SOCK_STREAM), child, one = 1;

	if (reset) {
		setsockopt(client, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
	} else {
		setsockopt(client, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &one, sizeof(one));
		must(bind(client, (struct sockaddr *)&from, sizeof(from)), "bind a source address");
	}
	must(connect(client, (struct sockaddr *)&to, sizeof(to)), "connect");
	child = must(accept4(w->listener, NULL, NULL, SOCK_CLOEXEC), "accept");
	close(client);
	close(child);
}

static void op_connect_rst(struct worker *w)
{
	connection(w, PORT_OUT_OF_RANGE, true);
}

static void op_connect_fin(struct worker *w)
{
	connection(w, PORT_OUT_OF_RANGE, false);
}

static void op_accept(struct worker *w)
{
	connection(w, PORT_IN_RANGE, true);
}

static void bind0(struct worker *w, int type)
{
	struct sockaddr_in sin = local(w, 1, 0);
	int fd = sock(type);

	must(bind(fd, (struct sockaddr *)&sin, sizeof(sin)), "bind");
	close(fd);
}

static void op_bind0(struct worker *w)
{
	bind0(w, SOCK_STREAM);
}

static void op_udp_bind0(struct worker *w)
{
	bind0(w, SOCK_DGRAM);
}

static void op_udp_connect(struct worker *w)
{
	struct sockaddr_in sin = local(w, 1, 9);
	int fd = sock(SOCK_DGRAM);

	must(connect(fd, (struct sockaddr *)&sin, sizeof(sin)), "connect");
	close(fd);
}

static void op_udp_send(struct worker *w)
{
	struct sockaddr_in sin = local(w, 1, PORT_IN_RANGE);
	int fd = sock(SOCK_DGRAM);

	must((int)sendto(fd, "x", 1, MSG_DONTWAIT, (struct sockaddr *)&sin, sizeof(sin)), "sendto");
	close(fd);
}

/* Each receive that waits starts and stops a kernel timer; no port comes or goes. */
static void *echo(void *ctx)
{
	int fd = *(int *)ctx;
	char c;

	while (recv(fd, &c, 1, 0) == 1 && send(fd, &c, 1, 0) == 1)
		;
	return NULL;
}

static void begin_timers(struct worker *w)
{
	struct timeval second = { .tv_sec = 1 };
	static pthread_t threads[64];

	must(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, w->pair), "socketpair");
	setsockopt(w->pair[0], SOL_SOCKET, SO_RCVTIMEO, &second, sizeof(second));
	setsockopt(w->pair[1], SOL_SOCKET, SO_RCVTIMEO, &second, sizeof(second));
	pthread_create(&threads[w->number % 64], NULL, echo, &w->pair[1]);
}

static void op_timers(struct worker *w)
{
	char c = 'x';

	must((int)send(w->pair[0], &c, 1, 0), "send");
	must((int)recv(w->pair[0], &c, 1, 0), "recv");
}

/* As a server does that answers: data both ways on one connection. */
static void begin_stream(struct worker *w)
{
	struct sockaddr_in to = local(w, 1, PORT_OUT_OF_RANGE);
	int one = 1;

	listen_at(w, PORT_OUT_OF_RANGE);
	w->pair[0] = sock(SOCK_STREAM);
	must(connect(w->pair[0], (struct sockaddr *)&to, sizeof(to)), "connect");
	w->pair[1] = must(accept(w->listener, NULL, NULL), "accept");
	for (int i = 0; i < 2; i++)
		setsockopt(w->pair[i], IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
}

static void op_stream(struct worker *w)
{
	char c = 'x';

	for (int i = 0; i < 2; i++) {
		must((int)send(w->pair[i], &c, 1, 0), "send");
		must((int)recv(w->pair[!i], &c, 1, 0), "recv");
	}
}

static const struct work works[] = {
	{ "connect-rst", begin_server, op_connect_rst, 1, 1 },
	{ "connect-fin", begin_server, op_connect_fin, 1, 1 },
	{ "accept", begin_server_in_range, op_accept, 2, 1 },
	{ "bind0", NULL, op_bind0, 1, 0 },
	{ "udp-bind0", NULL, op_udp_bind0, 1, 0 },
	{ "udp-connect", NULL, op_udp_connect, 1, 0 },
	{ "udp-send", NULL, op_udp_send, 1, 0 },
	{ "timers", begin_timers, op_timers, 0, 0 },
	{ "stream", begin_stream, op_stream, 0, 2 },
	{ NULL, NULL, NULL, 0, 0 },
};

static void *worker_run(void *ctx)
{
	struct worker *w = ctx;

	while (!w->ops || w->done < w->ops) {
		opt.work->op(w);
		w->done++;
		if (opt.pause_us)
			usleep(opt.pause_us);
	}
	return NULL;
}

static void enter_netns(void)
{
	struct ifreq ifr = { .ifr_name = "lo", .ifr_flags = IFF_UP | IFF_RUNNING };
	int fd;

	must(unshare(CLONE_NEWNET), "a network namespace");
	fd = sock(SOCK_DGRAM);
	must(ioctl(fd, SIOCSIFFLAGS, &ifr), "lo up");
	close(fd);
}

/* Idle sockets, on addresses of their own; 20000 to an address. */
static void hold_sockets(unsigned int count)
{
	struct rlimit most = { count + 1024, count + 1024 };
	struct worker nobody = { .number = 200 };

	if (count)
		must(setrlimit(RLIMIT_NOFILE, &most), "open files");
	for (unsigned int i = 0; i < count; i++) {
		struct sockaddr_in sin = local(&nobody, 1 + i / 20000, 0);

		must(bind(sock(SOCK_DGRAM), (struct sockaddr *)&sin, sizeof(sin)), "bind an idle socket");
	}
}

static uint64_t now_ns(clockid_t clock)
{
	struct timespec ts;

	clock_gettime(clock, &ts);
	return (uint64_t)ts.tv_sec * 1000000000 + (uint64_t)ts.tv_nsec;
}

static void run(struct worker *workers)
{
	uint64_t wall, cpu, done = 0;
	struct stat st = { 0 };

	for (unsigned int i = 0; i < opt.threads; i++) {
		workers[i].number = i + 1;
		workers[i].ops = opt.ops / opt.threads;
		if (opt.work->begin)
			opt.work->begin(&workers[i]);
	}
	stat("/proc/self/ns/net", &st);
	wall = now_ns(CLOCK_MONOTONIC);
	cpu = now_ns(CLOCK_PROCESS_CPUTIME_ID);
	for (unsigned int i = 0; i < opt.threads; i++)
		pthread_create(&workers[i].thread, NULL, worker_run, &workers[i]);
	for (unsigned int i = 0; i < opt.threads; i++) {
		pthread_join(workers[i].thread, NULL);
		done += workers[i].done;
	}
	wall = now_ns(CLOCK_MONOTONIC) - wall;
	cpu = now_ns(CLOCK_PROCESS_CPUTIME_ID) - cpu;
	printf("{\"work\":\"%s\",\"threads\":%u,\"hold\":%u,\"ops\":%llu,\"allocs\":%llu,\"wall_ns\":%llu,\"cpu_ns\":%llu,\"netns\":\"%llu\"}\n",
	       opt.work->name, opt.threads, opt.hold, (unsigned long long)done,
	       (unsigned long long)(done * opt.work->allocs + opt.threads * opt.work->fixed + opt.hold),
	       (unsigned long long)wall, (unsigned long long)cpu, (unsigned long long)st.st_ino);
}

static unsigned long number(const char *text, unsigned long most)
{
	char *end;
	unsigned long n = strtoul(text, &end, 10);

	if (*end || n > most) {
		fprintf(stderr, "load: '%s' is no number up to %lu\n", text, most);
		exit(2);
	}
	return n;
}

static void usage(void)
{
	fprintf(stderr, "usage: load WORK [--ops N] [--threads N] [--hold N] [--pause US] [--here]\nWORK:");
	for (const struct work *w = works; w->name; w++)
		fprintf(stderr, " %s", w->name);
	fprintf(stderr, "\n");
	exit(2);
}

static void options(int argc, char **argv)
{
	static const struct option longs[] = {
		{ "ops", 1, NULL, 'o' }, { "threads", 1, NULL, 't' }, { "hold", 1, NULL, 'h' },
		{ "pause", 1, NULL, 'p' }, { "here", 0, NULL, 'n' }, { NULL, 0, NULL, 0 },
	};

	for (int c; (c = getopt_long(argc, argv, "", longs, NULL)) != -1;) {
		switch (c) {
		case 'o': opt.ops = number(optarg, 1UL << 40); break;
		case 't': opt.threads = (unsigned int)number(optarg, 64); break;
		case 'h': opt.hold = (unsigned int)number(optarg, 1000000); break;
		case 'p': opt.pause_us = (unsigned int)number(optarg, 10000000); break;
		case 'n': opt.here = true; break;
		default: usage();
		}
	}
	if (optind + 1 != argc || !opt.threads)
		usage();
	for (opt.work = works; opt.work->name && strcmp(opt.work->name, argv[optind]); opt.work++)
		;
	if (!opt.work->name)
		usage();
}

int main(int argc, char **argv)
{
	struct worker *workers;

	options(argc, argv);
	workers = calloc(opt.threads, sizeof(*workers));
	if (!workers)
		die("memory");
	if (!opt.here)
		enter_netns();
	hold_sockets(opt.hold);
	run(workers);
	fflush(stdout);
	_exit(0);	/* the kernel closes what is held faster than we could */
}
