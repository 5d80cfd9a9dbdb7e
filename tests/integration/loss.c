// SPDX-License-Identifier: GPL-2.0
/*
 * The identity under loss: a recorder in this process, whose reader stands still
 * (as under SIGSTOP) while a child in a namespace of its own takes and frees
 * ports far beyond what the ring or the table holds.
 *
 *   loss [--tier a|b|c]
 *
 * Held to, to the last unit and for the whole host: beginnings, ends and
 * refusals that the kernel counted = told + counted as lost.  Of the child's
 * leases: what it still holds is told to begin, once, and by its true owner;
 * nothing begins or ends twice; and in the end the list of what is held is the
 * kernel's own.
 */
#include <errno.h>
#include <liburing.h>
#include <net/if.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/log.h"
#include "integration/check.h"
#include "integration/netlink.h"
#include "integration/pass_fd.h"
#include "integration/udp.h"
#include "kern/recorder.h"
#include "kern/source_priv.h"

#define HELD 150
#define CHURN 4000
#define RING_SMALL (64 * 1024)
#define TABLE_SMALL 256
#define HELD_MANY 1000
#define HELD_LAST 64		/* of a load that churns: its youngest ports */
#define TAKEN 16			/* TIME_WAIT taken over */
#define SERVER 4500		/* no number that bind(0) may choose */
#define CLIENT 4510
#define FOUND_BOUND 4520
#define FOUND_CONNECTS 4521
#define FOUND_LISTENS 4522
#define FOUND_ANEW 4523
#define BOUND 8
#define REFUSED 4000
#define LONGEST_WAIT_US 40000	/* of recorder_wait() */

static unsigned int skipped;

static void pause_ms(long ms)
{
	struct timespec ts = { .tv_nsec = ms * 1000000 };

	nanosleep(&ts, NULL);
}

/* --- the child that knows the truth ------------------------------------------- */

struct load {
	pid_t pid;
	uint32_t netns;
	int order, done;	/* pipes: a byte there begins the next step, one here ends it */
};

static void step(int order, int done)
{
	char c = 0;

	if (write(done, &c, 1) != 1 || read(order, &c, 1) != 1)
		_exit(1);
}

/* Holds `held` ports, then takes and frees CHURN, each tenth also refused; then frees all. */
__attribute__((noreturn))
static void load_main(int held, int order, int done)
{
	int fds[HELD_MANY];

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	step(order, done);
	for (int i = 0; i < held; i++)
		fds[i] = udp_bind(0);
	for (int i = 0; i < CHURN; i++) {
		int fd = udp_bind(7);

		if (i % 10 == 0 && udp_bind(7) >= 0)
			_exit(2);
		close(fd);
	}
	step(order, done);
	for (int i = 0; i < held; i++)
		close(fds[i]);
	step(order, done);
	_exit(0);
}

/* Holds `held` ports and, from the first step to the next, takes one after the other and keeps the last HELD_LAST. */
__attribute__((noreturn))
static void load_churn(int held, int order, int done)
{
	struct pollfd ordered = { .fd = order, .events = POLLIN };
	int last[HELD_LAST];

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	step(order, done);
	for (int i = 0; i < held + HELD_LAST; i++)
		last[i % HELD_LAST] = udp_bind(0);
	step(order, done);
	if (write(done, "", 1) != 1)
		_exit(1);
	for (unsigned int i = 0; !poll(&ordered, 1, 0); i++) {
		close(last[i % HELD_LAST]);
		last[i % HELD_LAST] = udp_bind(0);
		usleep(20);	/* not so fast that the ring overflows: that is another test's business */
	}
	if (read(order, &(char){ 0 }, 1) != 1)
		_exit(1);
	step(order, done);
	_exit(0);
}

#define MUST(cond) do { if (!(cond)) _exit(4); } while (0)

static void loopback_up(void)
{
	struct ifreq ifr = { .ifr_name = "lo" };
	int fd = socket(AF_INET, SOCK_DGRAM, 0);

	MUST(fd >= 0 && !ioctl(fd, SIOCGIFFLAGS, &ifr));
	ifr.ifr_flags |= IFF_UP;
	MUST(!ioctl(fd, SIOCSIFFLAGS, &ifr) && !close(fd));
}

static int tcp_bind(uint16_t port)
{
	struct sockaddr_in at = { .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int fd = socket(AF_INET, SOCK_STREAM, 0), one = 1;

	MUST(fd >= 0 && !setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)) && !bind(fd, (struct sockaddr *)&at, sizeof(at)));
	return fd;
}

static int tcp_server(uint16_t port)
{
	int fd = tcp_bind(port);

	MUST(!listen(fd, 4));
	return fd;
}

/*
 * Connections of the same two ends, one after the other.  The server closes first, so that its port is in TIME_WAIT, which
 * the next one ends; its own TIME_WAIT is then given the memory of the one before.
 */
__attribute__((noreturn))
static void load_time_wait(int taken, int order, int done)
{
	struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons(SERVER), .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int server, client, child;
	char c;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	loopback_up();
	server = tcp_server(SERVER);
	step(order, done);
	for (int i = 0; i < taken; i++) {
		client = tcp_bind(CLIENT);
		MUST(!connect(client, (struct sockaddr *)&to, sizeof(to)));
		child = accept(server, NULL, NULL);
		MUST(child >= 0 && !close(child) && !read(client, &c, 1) && !close(client));
	}
	step(order, done);
	_exit(0);
}

/*
 * Sockets bound to a number, each with two connections, one after the other, whose TIME_WAIT last longer than its file is
 * open: that has the number as well.
 */
__attribute__((noreturn))
static void load_bound(int n, int order, int done)
{
	struct sockaddr_in to = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	const struct sockaddr off = { .sa_family = AF_UNSPEC };
	int servers[2], bound[BOUND], child;
	char c;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	loopback_up();
	for (int i = 0; i < 2; i++)
		servers[i] = tcp_server((uint16_t)(SERVER + i));
	step(order, done);
	for (int i = 0; i < n; i++) {
		bound[i] = tcp_bind((uint16_t)(CLIENT + i));
		for (int j = 0; j < 2; j++) {
			to.sin_port = htons((uint16_t)(SERVER + j));
			MUST(!connect(bound[i], (struct sockaddr *)&to, sizeof(to)));
			child = accept(servers[j], NULL, NULL);
			MUST(child >= 0 && !shutdown(bound[i], SHUT_WR) && !read(child, &c, 1) && !close(child) &&
			     !read(bound[i], &c, 1) && !connect(bound[i], &off, sizeof(off)));
		}
	}
	step(order, done);
	for (int i = 0; i < n; i++)
		close(bound[i]);
	step(order, done);
	_exit(0);
}

/* Connections that are refused: the port is given back within the call. */
__attribute__((noreturn))
static void load_refused(int n, int order, int done)
{
	struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons(SERVER), .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	loopback_up();
	step(order, done);
	for (int i = 0; i < n; i++) {
		int fd = socket(AF_INET, SOCK_STREAM, 0);

		MUST(fd >= 0 && connect(fd, (struct sockaddr *)&to, sizeof(to)) && errno == ECONNREFUSED && !close(fd));
	}
	_exit(0);
}

/* Bound sockets whose connection went into TIME_WAIT, which is killed first.  Before 6.1 none is: there both live on. */
__attribute__((noreturn))
static void load_outlives(int n, int order, int done)
{
	struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons(SERVER), .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int server, bound[BOUND], child;
	char c;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	loopback_up();
	server = tcp_server(SERVER);
	step(order, done);
	for (int i = 0; i < n; i++) {
		bound[i] = tcp_bind((uint16_t)(CLIENT + i));
		MUST(!connect(bound[i], (struct sockaddr *)&to, sizeof(to)));
		child = accept(server, NULL, NULL);
		MUST(child >= 0 && !shutdown(bound[i], SHUT_WR) && !read(child, &c, 1) && !close(child) && !read(bound[i], &c, 1));
	}
	for (int i = 0; i < n; i++) {
		int err = sock_destroy(IPPROTO_TCP, (uint16_t)(CLIENT + i), "127.0.0.1", SERVER);

		MUST(!err || err == -EOPNOTSUPP);
	}
	step(order, done);
	for (int i = 0; i < n; i++)
		close(bound[i]);
	step(order, done);
	_exit(0);
}

/* A port by bind, one by connect and one by the first send. */
__attribute__((noreturn))
static void load_asks(int nothing, int order, int done)
{
	struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons(SERVER), .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int bound, connected, sends;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	loopback_up();
	step(order, done);
	bound = udp_bind(0);
	connected = socket(AF_INET, SOCK_DGRAM, 0);
	sends = socket(AF_INET, SOCK_DGRAM, 0);
	MUST(bound >= 0 && !connect(connected, (struct sockaddr *)&to, sizeof(to)) &&
	     sendto(sends, "", 1, 0, (struct sockaddr *)&to, sizeof(to)) == 1);
	step(order, done);
	_exit(0);
}

/* Three UDP sockets connect through io_uring, one at a step. */
__attribute__((noreturn))
static void load_uring(int nothing, int order, int done)
{
	struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons(SERVER), .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	struct io_uring_cqe *cqe;
	struct io_uring ring;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	loopback_up();
	MUST(!io_uring_queue_init(8, &ring, 0));
	step(order, done);
	for (int i = 0; i < 3; i++) {
		io_uring_prep_connect(io_uring_get_sqe(&ring), socket(AF_INET, SOCK_DGRAM, 0), (struct sockaddr *)&to, sizeof(to));
		MUST(io_uring_submit(&ring) == 1 && !io_uring_wait_cqe(&ring, &cqe) && !cqe->res);
		io_uring_cqe_seen(&ring, cqe);
		step(order, done);
	}
	_exit(0);
}

/* One connects that was bound before, one that was not, one listens that was bound before, and one is bound anew. */
__attribute__((noreturn))
static void load_found(int nothing, int order, int done)
{
	struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons(SERVER), .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	struct sockaddr_in at = { .sin_family = AF_INET, .sin_port = htons(FOUND_ANEW) };
	const struct sockaddr off = { .sa_family = AF_UNSPEC };
	int server, bound, connects, listens, anew;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	loopback_up();
	step(order, done);
	server = tcp_bind(SERVER);
	bound = tcp_bind(FOUND_BOUND);
	connects = tcp_bind(FOUND_CONNECTS);
	listens = tcp_bind(FOUND_LISTENS);
	anew = udp_bind(0);
	MUST(anew >= 0 && !listen(server, 4));
	step(order, done);
	MUST(!connect(anew, &off, sizeof(off)));
	step(order, done);
	MUST(!connect(bound, (struct sockaddr *)&to, sizeof(to)) && !connect(connects, (struct sockaddr *)&to, sizeof(to)) &&
	     !listen(listens, 4) && !bind(anew, (struct sockaddr *)&at, sizeof(at)));
	step(order, done);
	_exit(0);
}

/* A port that no process holds: its socket lies in a message that nobody has taken. */
__attribute__((noreturn))
static void load_mailed(int nothing, int order, int done)
{
	int fd = udp_bind(SERVER), pair[2];

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	MUST(fd >= 0 && !socketpair(AF_UNIX, SOCK_DGRAM, 0, pair) && pass_fd(pair[0], fd) == 1 && !close(fd));
	step(order, done);
	_exit(0);
}

static void load_wait(const struct load *l)
{
	char c;

	if (read(l->done, &c, 1) != 1) {
		printf("not ok - the load died\n");
		exit(1);
	}
}

static void load_next(const struct load *l)
{
	char c = 0;

	if (write(l->order, &c, 1) == 1)
		load_wait(l);
}

/* Fills its connection, which nobody reads, and lingers in close(): it has its port, and nobody has it open. */
__attribute__((noreturn))
static void linger(int told)
{
	struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons(SERVER), .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	const struct linger minute = { 1, 60 };
	static char much[65536];
	int fd = tcp_bind(CLIENT);

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	MUST(!setsockopt(fd, SOL_SOCKET, SO_LINGER, &minute, sizeof(minute)) && !connect(fd, (struct sockaddr *)&to, sizeof(to)));
	while (send(fd, much, sizeof(much), MSG_DONTWAIT) > 0)
		;
	MUST(write(told, "", 1) == 1);
	close(fd);
	_exit(0);
}

__attribute__((noreturn))
static void load_lingers(int nothing, int order, int done)
{
	int server, told[2];
	char c;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	loopback_up();
	server = tcp_bind(SERVER);
	MUST(!listen(server, 4) && !pipe(told));
	if (!fork())
		linger(told[1]);
	MUST(read(told[0], &c, 1) == 1);
	pause_ms(200);
	step(order, done);
	_exit(0);
}

static uint32_t netns_of(pid_t pid)
{
	char path[64];
	struct stat st;

	snprintf(path, sizeof(path), "/proc/%d/ns/net", (int)pid);
	return stat(path, &st) ? 0 : (uint32_t)st.st_ino;
}

static void load_start_as(struct load *l, int held, void (*as)(int held, int order, int done))
{
	int order[2], done[2];

	if (pipe(order) || pipe(done))
		exit(1);
	l->pid = fork();
	if (l->pid == 0) {
		close(order[1]);	/* its end must reach us */
		close(done[0]);
		if (unshare(CLONE_NEWNET))
			_exit(3);
		as(held, order[0], done[1]);
	}
	close(order[0]);
	close(done[1]);
	l->order = order[1];
	l->done = done[0];
	load_wait(l);
	l->netns = netns_of(l->pid);
}

static void load_start(struct load *l, int held)
{
	load_start_as(l, held, load_main);
}

static void load_end(struct load *l)
{
	close(l->order);
	close(l->done);
	waitpid(l->pid, NULL, 0);
}

/* --- what the recorder tells ---------------------------------------------------- */

struct told {
	uint64_t begun, ended, fails, opens;	/* of the whole host, told by the kernel's side */
	uint64_t inferred;			/* ends told during a repair: by it, or some by the kernel's side */
	uint64_t lost[GAP_DETACHED + 1];	/* by gap */
	unsigned int gaps[GAP_DETACHED + 1];
	uint32_t netns;				/* of the load */
	pid_t pid;
	unsigned int begins[65536];		/* of the load's leases that live now, by port */
	unsigned int twice, strangers, live;
	struct pl_lease stranger;		/* the last one */
	unsigned int kinds[PL_KINDS];		/* how the load's ports were asked for */
	unsigned int late[PL_KINDS];		/* the same, of those that were told it after their beginning */
	unsigned int ended_server;		/* leases of the load's server */
	unsigned int begun_bound, ended_bound;	/* and of the ports that it binds */
	unsigned int ended_lost;		/* ends that no hook told of */
	struct lease_table *ever, *held;	/* the load's leases by id, NULL: not wanted */
};

static void told_owner(struct told *t, const struct pl_lease *l)
{
	if (l->tgid == (uint32_t)t->pid)
		return;
	t->strangers++;
	t->stranger = *l;
}

static void check_told(const struct told *t, const char *name)
{
	const struct pl_lease *l = &t->stranger;

	check(!t->twice && !t->strangers, name, "%u begun twice; %u with another owner, the last: port %u, pid %u (%s) by %u, kind %u, flags %x",
	      t->twice, t->strangers, l->lport, l->tgid, l->comm, l->owner_src, l->kind, l->flags);
}

/* What a look found just before its hook told of it may have its owner told after it. */
static void told_late(struct told *t, const struct pl_lease *l)
{
	struct lease_entry *told = lease_table_find(t->ever, l->id);

	if (!told || told->lease.tgid == l->tgid || l->tgid != (uint32_t)t->pid)
		return;
	told->lease.tgid = l->tgid;
	t->strangers--;
}

/* What a look found held may be told after its port has its next lease: so by id, not by port. */
static void told_by_id(struct told *t, const struct event *ev)
{
	const struct pl_lease *l = &ev->lease;

	if (ev->kind == EV_OWNER || ev->kind == EV_RELEASE)
		told_late(t, l);
	if (ev->kind == EV_RELEASE) {
		lease_table_del(t->held, l->id, NULL);
	} else if (ev->kind == EV_ALLOC || ev->kind == EV_OPEN) {
		t->twice += lease_table_find(t->ever, l->id) != NULL;
		told_owner(t, l);
		if (lease_table_put(t->ever, l, NULL) || lease_table_put(t->held, l, NULL))
			exit(2);
	}
}

static void told_of_load(struct told *t, const struct event *ev)
{
	const struct pl_lease *l = &ev->lease;
	unsigned int *n = &t->begins[l->lport];

	if (ev->kind == EV_ALLOC)
		t->kinds[l->kind]++;
	if (ev->kind == EV_OWNER)
		t->late[l->kind]++;
	t->ended_server += ev->kind == EV_RELEASE && l->lport == SERVER;
	t->ended_bound += ev->kind == EV_RELEASE && l->lport >= CLIENT && l->lport < CLIENT + BOUND;
	t->begun_bound += (ev->kind == EV_ALLOC || ev->kind == EV_OPEN) && l->lport >= CLIENT && l->lport < CLIENT + BOUND;
	if (t->ever) {
		told_by_id(t, ev);
		return;
	}
	if (ev->kind == EV_ALLOC || ev->kind == EV_OPEN) {
		t->twice += *n > 0;
		t->live += !*n;
		*n = 1;
		told_owner(t, l);
	} else if (ev->kind == EV_RELEASE && *n) {
		*n = 0;
		t->live--;
	}
}

static bool repairing;	/* from the gap of a ring on, until the drain that tells it ends */

static int drain(struct recorder *r)
{
	int err = recorder_drain(r);

	repairing = false;
	return err;
}

static int on_event(void *ctx, struct event *ev)
{
	struct told *t = ctx;

	if (ev->kind == EV_GAP) {
		repairing |= ev->gap->cause == GAP_RING;
		t->lost[ev->gap->cause] += ev->gap->lost > 0 ? (uint64_t)ev->gap->lost : 0;
		t->gaps[ev->gap->cause]++;
		return 0;
	}
	/* What a repair infers is not owed; an end that the kernel's side infers (another socket lies where it lay) is. */
	t->inferred += repairing && ev->evidence == EVIDENCE_RESYNC && ev->kind == EV_RELEASE;
	if (ev->evidence != EVIDENCE_RESYNC || (!repairing && ev->kind == EV_RELEASE)) {
		t->begun += ev->kind == EV_ALLOC;
		t->ended += ev->kind == EV_RELEASE;
		t->fails += ev->kind == EV_FAIL;
		t->opens += ev->kind == EV_OPEN;
	}
	if (t->netns && ev->lease.netns == t->netns && ev->kind != EV_FAIL)
		told_of_load(t, ev);
	t->ended_lost += t->netns && ev->lease.netns == t->netns && ev->kind == EV_RELEASE && ev->reason == PL_REASON_LOST;
	return 0;
}

struct sums {
	uint64_t begun, ended, fails, opens;
};

/* What the kernel counted, less what it counted as not fitting the ring. */
static struct sums owed(struct recorder *r)
{
	struct recorder_totals n;
	uint64_t s[PL_STATS];

	if (recorder_stats(r, s) || recorder_totals(r, &n))
		return (struct sums){ 0 };
	return (struct sums){
		.begun = n.allocs - s[PL_STAT_RING(PL_REC_ALLOC)] - tracker_repeated(recorder_tracker(r), EV_ALLOC),
		.ended = n.releases - s[PL_STAT_RING(PL_REC_RELEASE)] - tracker_repeated(recorder_tracker(r), EV_RELEASE),
		.fails = n.fails - s[PL_STAT_RING(PL_REC_FAIL)],
		.opens = n.opens - s[PL_STAT_RING(PL_REC_OPEN)],
	};
}

static bool sums_agree(const struct sums *o, const struct told *t)
{
	return o->begun == t->begun && o->ended >= t->ended && o->ended - t->ended <= t->inferred && o->fails == t->fails &&
	       o->opens == t->opens;
}

/* Others on this host go on meanwhile: the counters are read between two events sooner or later. */
static void check_identity(struct recorder *r, const struct told *t, const char *name)
{
	struct sums o = owed(r);

	for (int i = 0; i < 500 && !sums_agree(&o, t); i++) {
		pause_ms(10);
		drain(r);
		o = owed(r);
	}
	check(sums_agree(&o, t), name, "owed %llu begun %llu ended %llu fails %llu opens, told %llu %llu (%llu more inferred) %llu %llu",
	      (unsigned long long)o.begun, (unsigned long long)o.ended, (unsigned long long)o.fails, (unsigned long long)o.opens,
	      (unsigned long long)t->begun, (unsigned long long)t->ended, (unsigned long long)t->inferred, (unsigned long long)t->fails,
	      (unsigned long long)t->opens);
}

static int count_unknown(void *ctx, const struct pl_lease *l)
{
	void **args = ctx;

	*(unsigned int *)args[1] += !lease_table_find(tracker_leases(args[0]), l->id);
	*(unsigned int *)args[2] += 1;
	return 0;
}

/* The same leases in the kernel's table and in ours. */
static void check_held(struct recorder *r, const char *name)
{
	const struct tracker *tracker = recorder_tracker(r);
	unsigned int unknown = 1, n = 0;

	for (int i = 0; i < 500 && (unknown || n != tracker_live(tracker)); i++) {
		void *args[3] = { (void *)tracker, &unknown, &n };

		unknown = n = 0;
		drain(r);
		if (source_holders(recorder_source(r), count_unknown, args))
			break;
		if (unknown || n != tracker_live(tracker))
			pause_ms(10);
	}
	check(!unknown && n == tracker_live(tracker), name, "the kernel holds %u, %u of them unknown here, where %zu are held", n,
	      unknown, tracker_live(tracker));
}

static int64_t clock_us(clockid_t id)
{
	struct timespec ts;

	clock_gettime(id, &ts);
	return ts.tv_sec * 1000000LL + ts.tv_nsec / 1000;
}

/*
 * As a reader does.  Returns ms of the reader's own time: what it worked, and slept of its own will; what others on this
 * host took from it is not its fault.
 */
static int64_t drain_until_told(struct recorder *r, const struct told *t, enum gap_cause cause)
{
	int64_t own = -clock_us(CLOCK_THREAD_CPUTIME_ID);

	for (int i = 0; i < 3000 && !t->lost[cause]; i++) {
		int64_t slept;

		drain(r);
		if (t->lost[cause])
			break;
		slept = -clock_us(CLOCK_MONOTONIC);
		recorder_wait(r, -1, 0);
		slept += clock_us(CLOCK_MONOTONIC);
		own += slept < LONGEST_WAIT_US ? slept : LONGEST_WAIT_US;
	}
	return (own + clock_us(CLOCK_THREAD_CPUTIME_ID)) / 1000;
}

/* The gaps tell what was counted as lost; others may lose more between the two looks. */
static void check_gaps(struct recorder *r, const struct told *t, enum gap_cause cause, const char *name)
{
	struct recorder_totals n = { 0 };
	uint64_t counted = UINT64_MAX;

	for (int i = 0; i < 500 && t->lost[cause] != counted; i++) {
		if (recorder_totals(r, &n))
			break;
		counted = cause == GAP_RING ? n.lost_ring : n.lost_table;
		if (t->lost[cause] == counted)
			break;
		pause_ms(10);
		drain(r);
	}
	check(t->lost[cause] == counted, name, "told %llu, counted %llu", (unsigned long long)t->lost[cause],
	      (unsigned long long)counted);
}

static struct recorder *start(const struct source_opts *opts, struct told *t)
{
	const struct told fresh = { .netns = t->netns, .pid = t->pid };
	const bool by_id = t->ever;
	struct recorder *r = NULL;
	struct recorder_totals n;

	for (int i = 0; i < 20; i++) {
		lease_table_free(t->ever);
		lease_table_free(t->held);
		*t = fresh;
		if (by_id && (lease_table_new(&t->ever) || lease_table_new(&t->held)))
			exit(2);
		if (recorder_open(opts, on_event, t, &r))
			return NULL;
		if (recorder_snapshot(r) < 0 || drain(r) < 0 || recorder_totals(r, &n))
			break;
		/* What the self-test lost would be owed for ever. */
		if (!n.lost_ring)
			return r;
		recorder_close(r);
		r = NULL;
	}
	recorder_close(r);
	return NULL;
}

/* --- held before the start, more than one read of an iterator returns -------------- */

static void begins_late(enum tier tier, struct told *t)
{
	struct source_opts opts = { .tier = tier };
	struct recorder *r;
	struct load load;

	load_start(&load, HELD_MANY);
	load_next(&load);
	r = start(&opts, t);
	if (!r) {
		check(false, "start: the recorder starts", "see above");
	} else {
		check_identity(r, t, "start: what the kernel counted = told + lost");
		check(t->opens >= HELD_MANY, "start: each that is held is told", "%llu of %d", (unsigned long long)t->opens, HELD_MANY);
		check_held(r, "start: the kernel's table and ours agree");
	}
	load_next(&load);
	load_end(&load);
	recorder_close(r);
}

/* The tables show it, and no process has it open. */
static void begins_nowhere(enum tier tier, struct told *t)
{
	struct source_opts opts = { .tier = tier };
	struct recorder *r;
	struct load load;

	load_start_as(&load, 0, load_mailed);
	t->netns = load.netns;
	t->pid = load.pid;
	r = start(&opts, t);
	check(r && t->live == 1 && t->begins[SERVER] == 1 && !t->stranger.tgid, "start: what lies in a message is told, and nobody has it",
	      "%u told, by pid %u", t->live, t->stranger.tgid);
	if (r)
		check_held(r, "start: the tables agree on that");
	load_end(&load);
	recorder_close(r);
	t->netns = 0;
}

static void begins_lingering(enum tier tier, struct told *t)
{
	struct source_opts opts = { .tier = tier };
	struct recorder *r;
	struct load load;

	load_start_as(&load, 0, load_lingers);
	t->netns = load.netns;
	t->pid = load.pid;
	r = start(&opts, t);
	check(r && t->begun_bound == 1, "start: what lingers in close() is told", "%u told", t->begun_bound);
	load_end(&load);
	recorder_close(r);
	t->netns = 0;
}

struct look {
	pid_t passed;		/* a process that the look through the files comes to late */
	int fd;			/* opened then, in our namespace */
	uint32_t netns;
	uint16_t port;
	unsigned int told;
	uint32_t by;
};

static int on_look(void *ctx, const struct pl_rec *rec)
{
	struct look *k = ctx;
	struct sockaddr_in at;
	socklen_t len = sizeof(at);

	if (k->fd < 0 && rec->lease.tgid == (uint32_t)k->passed) {
		k->fd = udp_bind(0);
		if (k->fd < 0 || getsockname(k->fd, (struct sockaddr *)&at, &len))
			return -errno;
		k->port = ntohs(at.sin_port);
	} else if (k->fd >= 0 && rec->lease.lport == k->port && rec->lease.proto == IPPROTO_UDP && rec->lease.netns == k->netns) {
		k->told++;
		k->by = rec->lease.tgid;
	}
	return 0;
}

/* Files are looked through by pid: what is opened by one that was passed the tables alone show. */
static void begins_behind(void)
{
	struct look k = { .fd = -1, .netns = netns_of(getpid()) };
	struct source *s = NULL;
	struct load load;
	int err;

	load_start_as(&load, HELD_MANY, load_churn);
	load_next(&load);
	k.passed = load.pid;
	if (load.pid < getpid()) {
		printf("skip - behind: the load's pid is below ours\n");
		skipped++;
	} else {
		err = source_open_look(0, 65535, on_look, &k, &s);
		if (!err)
			err = source_snapshot(s);
		check(!err && k.fd >= 0 && k.told == 1 && k.by == (uint32_t)getpid(), "behind: what begins behind the look has its owner",
		      "error %d, %u told, by pid %u", err, k.told, k.by);
		source_close(s);
		close(k.fd);
	}
	load_end(&load);
}

/* --- what a look finds in the midst of the call that gives the port ------------------------ */

struct entry {
	uint64_t key;
	struct pl_lease lease;
};

/* The entry of the kernel's table for that port of the load, or for any of its UDP ports: 0. */
static bool entry_find(struct recorder *r, const struct told *t, uint16_t port, struct entry *e)
{
	int map = bpf_map__fd(recorder_source(r)->skel->maps.holders);
	uint64_t *at = NULL;

	while (!bpf_map_get_next_key(map, at, &e->key)) {
		at = &e->key;
		if (!bpf_map_lookup_elem(map, &e->key, &e->lease) && e->lease.netns == t->netns &&
		    (port ? e->lease.lport == port : e->lease.proto == IPPROTO_UDP))
			return true;
	}
	return false;
}

/* As if a look had found it a moment ago, in that state, among the files of another process. */
static bool entry_put_found(struct recorder *r, struct entry *e, uint16_t port, uint8_t state)
{
	e->lease.start = (uint64_t)clock_us(CLOCK_BOOTTIME) * 1000;
	e->lease.flags |= PL_F_SNAPSHOT;
	e->lease.kind = PL_KIND_UNKNOWN;
	e->lease.owner_src = PL_OWNER_SNAPSHOT;
	e->lease.tgid = 1;
	e->lease.state = state;
	e->lease.lport = port;
	return !bpf_map_update_elem(bpf_map__fd(recorder_source(r)->skel->maps.holders), &e->key, &e->lease, BPF_ANY);
}

static bool entry_found(struct recorder *r, const struct told *t, uint16_t port, uint8_t state)
{
	struct entry e;

	return entry_find(r, t, port, &e) && entry_put_found(r, &e, port, state);
}

static void check_found(struct recorder *r, const struct told *t, uint16_t port, uint8_t kind, const char *name)
{
	bool asked = kind != PL_KIND_UNKNOWN;
	struct entry e = { 0 };
	bool there = entry_find(r, t, port, &e);

	check(there && e.lease.kind == kind && e.lease.tgid == (asked ? (uint32_t)t->pid : 1) &&
	      e.lease.owner_src == (asked ? PL_OWNER_PROCESS : PL_OWNER_SNAPSHOT), name, "%s, kind %u, pid %u by %u",
	      there ? "there" : "not there", e.lease.kind, e.lease.tgid, e.lease.owner_src);
}

/* The moment cannot be held open, but what it leaves in the table can be put there. */
static void begins_found(enum tier tier, struct told *t)
{
	struct source_opts opts = { .tier = tier, .scope_all = true };
	struct recorder *r = start(&opts, t);
	struct entry anew;
	struct load load;

	if (!r) {
		check(false, "found: the recorder starts", "see above");
		return;
	}
	load_start_as(&load, 0, load_found);
	t->netns = load.netns;
	t->pid = load.pid;
	load_next(&load);
	check(entry_find(r, t, 0, &anew), "found: what will be bound anew is on record", "no UDP port");
	load_next(&load);
	drain(r);
	memset(t->late, 0, sizeof(t->late));
	check(entry_found(r, t, FOUND_BOUND, TCP_CLOSE) && entry_found(r, t, FOUND_CONNECTS, TCP_SYN_SENT) &&
	      entry_found(r, t, FOUND_LISTENS, TCP_CLOSE) && entry_put_found(r, &anew, FOUND_ANEW, TCP_CLOSE),
	      "found: just now", "%s", strerror(errno));
	load_next(&load);
	check_found(r, t, FOUND_CONNECTS, PL_KIND_CONNECT, "found: in connect(), which gave the port");
	check_found(r, t, FOUND_ANEW, PL_KIND_BIND, "found: in bind(), which gave the port");
	check_found(r, t, FOUND_BOUND, PL_KIND_UNKNOWN, "found: bound, before it connects");
	check_found(r, t, FOUND_LISTENS, PL_KIND_UNKNOWN, "found: bound, before it listens");
	drain(r);
	check(t->late[PL_KIND_CONNECT] == 1, "found: the owner is told", "%u times", t->late[PL_KIND_CONNECT]);
	load_end(&load);
	recorder_close(r);
}

/* Attached first, then looked: what begins or ends between the two is seen by both, and told once. */
static void begins_in_churn(enum tier tier, struct told *t)
{
	struct source_opts opts = { .tier = tier };
	uint64_t missed = 0;
	struct recorder *r;
	struct load load;

	load_start_as(&load, HELD_MANY, load_churn);
	memset(t, 0, sizeof(*t));
	t->netns = load.netns;
	t->pid = load.pid;
	if (lease_table_new(&t->ever) || lease_table_new(&t->held))
		exit(2);
	load_next(&load);
	load_next(&load);
	pause_ms(50);
	r = start(&opts, t);
	for (int i = 0; r && i < 500 && t->begun <= HELD_LAST; i++) {	/* a slow machine */
		pause_ms(10);
		drain(r);
	}
	load_next(&load);
	if (!r) {
		check(false, "churn: the recorder starts", "see above");
	} else {
		check_identity(r, t, "churn: what the kernel counted = told + lost");
		check(lease_table_count(t->held) == HELD_MANY + HELD_LAST, "churn: each that is held is told", "%zu of %d",
		      lease_table_count(t->held), HELD_MANY + HELD_LAST);
		check_told(t, "churn: and once, with its owner");
		check(!source_missed(recorder_source(r), &missed) && (missed || !t->gaps[GAP_MISSED]),
		      "churn: no gap tells of hooks that were passed over if none was", "%u gaps", t->gaps[GAP_MISSED]);
		check(t->begun > HELD_LAST, "churn: there was some", "%llu beginnings", (unsigned long long)t->begun);
		check_held(r, "churn: the kernel's table and ours agree");
	}
	load_end(&load);
	recorder_close(r);
	lease_table_free(t->ever);
	lease_table_free(t->held);
	memset(t, 0, sizeof(*t));
}

/* --- the two losses --------------------------------------------------------------- */

static void ring_overflows(enum tier tier, struct told *t)
{
	struct source_opts opts = { .tier = tier, .ring_size = RING_SMALL };
	struct recorder *r = start(&opts, t);
	struct load load;
	int64_t own_ms;

	if (!r) {
		check(false, "ring: the recorder starts", "see above");
		return;
	}
	load_start(&load, HELD);
	t->netns = load.netns;
	t->pid = load.pid;
	load_next(&load);
	own_ms = drain_until_told(r, t, GAP_RING);
	check(t->lost[GAP_RING] > 0, "ring: a gap tells the loss though nothing more happens", "no gap");
	check(own_ms <= 1000, "ring: within a second of the reader's time", "%lld ms", (long long)own_ms);
	check_identity(r, t, "ring: what the kernel counted = told + lost");
	check_gaps(r, t, GAP_RING, "ring: the gaps tell the exact number");
	check(t->live == HELD, "ring: what is still held is known", "%u of %d", t->live, HELD);
	check_held(r, "ring: the kernel's table and ours agree");
	load_next(&load);
	check_identity(r, t, "ring: and again after the ends");
	check_held(r, "ring: the tables agree again");
	check(!t->live, "ring: each lease ends", "%u not ended", t->live);
	check_told(t, "ring: each begins once, by its owner");
	load_end(&load);
	recorder_close(r);
}

/* A table with little room beside what this host holds already. */
static struct recorder *start_small(enum tier tier, struct told *t, uint32_t *size)
{
	struct source_opts opts = { .tier = tier };
	struct recorder *r = start(&opts, t);

	*size = TABLE_SMALL + (r ? (uint32_t)tracker_live(recorder_tracker(r)) : 0);
	recorder_close(r);
	opts.table_size = *size;
	return r ? start(&opts, t) : NULL;
}

static void table_overflows(enum tier tier, struct told *t)
{
	uint32_t size;
	struct recorder *r = start_small(tier, t, &size);
	struct recorder_totals n;
	struct load load;

	if (!r) {
		check(false, "table: the recorder starts", "see above");
		return;
	}
	load_start(&load, HELD_MANY);
	t->netns = load.netns;
	t->pid = load.pid;
	load_next(&load);
	drain_until_told(r, t, GAP_TABLE);
	check_identity(r, t, "table: what the kernel counted = told + lost");
	check_gaps(r, t, GAP_TABLE, "table: the gaps tell the exact number");
	recorder_totals(r, &n);
	check(t->live + n.lost_table >= HELD_MANY, "table: what is not known is counted", "%u known, %llu lost of %d", t->live,
	      (unsigned long long)n.lost_table, HELD_MANY);
	check(t->live > 0 && t->live <= size, "table: it is full and no more", "%u", t->live);
	check_held(r, "table: the kernel's table and ours agree");
	load_next(&load);
	check_identity(r, t, "table: and again after the ends");
	check(!t->live && !t->twice, "table: each lease that is known begins and ends once", "%u not ended, %u begun twice", t->live,
	      t->twice);
	load_end(&load);
	recorder_close(r);
}

/* A socket that the table has no room for is lost once, however often it sends or listens. */
static void no_room_counts_once(enum tier tier, struct told *t)
{
	struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons(SERVER), .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	struct recorder_totals before = { 0 }, after = { 0 };
	int fds[2 * TABLE_SMALL];
	uint32_t size;
	struct recorder *r = start_small(tier, t, &size);

	if (!r) {
		check(false, "no room: the recorder starts", "see above");
		return;
	}
	for (int i = 0; i < 2 * TABLE_SMALL; i++)
		fds[i] = udp_bind(0);
	recorder_totals(r, &before);
	check(before.lost_table > 0, "no room: there is none", "%llu lost", (unsigned long long)before.lost_table);
	for (int i = 0; i < 4000; i++)
		sendto(fds[2 * TABLE_SMALL - 1], "", 1, MSG_DONTWAIT, (struct sockaddr *)&to, sizeof(to));
	recorder_totals(r, &after);
	/* Others on this host are at work, too. */
	check(after.lost_table - before.lost_table < 2000, "no room: 4000 datagrams of one socket are not as many losses", "%llu lost",
	      (unsigned long long)(after.lost_table - before.lost_table));
	for (int i = 0; i < 2 * TABLE_SMALL; i++)
		close(fds[i]);
	recorder_close(r);
}

/* --- ends that no hook saw ---------------------------------------------------------- */

/* As a hook that the kernel passes over; the tier goes before the name of its program. */
static void take_away(struct recorder *r, const char *name)
{
	struct source *s = recorder_source(r);

	for (size_t i = 0; i < hooks_count; i++)
		if (s->links[i] && !strcmp(hooks[i].prog + 2, name)) {
			bpf_link__destroy(s->links[i]);
			s->links[i] = NULL;
		}
}

/* Of a TIME_WAIT socket whose memory is another's by now, and of one whose memory nobody took. */
static void ends_unseen(enum tier tier, struct told *t)
{
	struct source_opts opts = { .tier = tier, .scope_all = true };
	struct recorder *r = start(&opts, t);
	struct recorder_totals n = { 0 };
	uint64_t held = 0;
	struct load load;

	if (!r) {
		check(false, "unseen: the recorder starts", "see above");
		return;
	}
	/* Before the fork, for a child would keep it. */
	take_away(r, "tw_unhash");
	take_away(r, "timer_cancel");
	load_start_as(&load, TAKEN, load_time_wait);
	t->netns = load.netns;
	t->pid = load.pid;
	pause_ms(500);	/* the kernel takes it away at leisure */
	load_next(&load);
	/* What a TIME_WAIT socket leaves in its memory is not looked at sooner than a second after it began. */
	for (int i = 0; i < 300 && (n.live != held || t->ended_server != TAKEN - 1); i++) {
		pause_ms(10);
		if (source_check(recorder_source(r)) || drain(r) || recorder_totals(r, &n) || recorder_held(r, &held))
			break;
	}
	check(n.live == held, "unseen: beginnings - ends = the entries of the kernel's table", "%llu, but %llu of them",
	      (unsigned long long)n.live, (unsigned long long)held);
	check(t->ended_server == TAKEN - 1, "unseen: each end is told", "%u of %d", t->ended_server, TAKEN - 1);
	check(source_tier(recorder_source(r)) == TIER_C || n.stale >= TAKEN - 1, "unseen: as one that was not seen", "%llu", (unsigned long long)n.stale);
	check_identity(r, t, "unseen: what the kernel counted = told + lost");
	check_held(r, "unseen: the kernel's table and ours agree");
	load_end(&load);
	recorder_close(r);
}

/* --- what two hold -------------------------------------------------------------------- */

/* Nobody who is to share a lease finds room for its token. */
static bool tokens_fill(struct recorder *r)
{
	int map = bpf_map__fd(recorder_source(r)->skel->maps.shared), err = 0;
	uint8_t one = 1;

	for (uint64_t id = 1; !err; id++)
		err = bpf_map_update_elem(map, &id, &one, BPF_NOEXIST);
	return err == -E2BIG;
}

static void check_balance(struct recorder *r, const struct told *t, const char *name)
{
	struct recorder_totals n = { 0 };
	uint64_t held = 1;

	for (int i = 0; i < 500 && (n.live != held || t->begun_bound != t->ended_bound); i++) {
		pause_ms(10);
		if (drain(r) || recorder_totals(r, &n) || recorder_held(r, &held))
			break;
	}
	check(n.live == held && t->begun_bound == t->ended_bound, name, "%llu live, %llu in the table; %u begun, %u ended",
	      (unsigned long long)n.live, (unsigned long long)held, t->begun_bound, t->ended_bound);
}

/* A bound socket and its TIME_WAIT, and its next. */
static void held_by_two(enum tier tier, struct told *t, bool full)
{
	struct source_opts opts = { .tier = tier, .scope_all = true };
	struct recorder *r = start(&opts, t);
	struct recorder_totals n = { 0 };
	struct load load;

	if (!r) {
		check(false, "two: the recorder starts", "see above");
		return;
	}
	if (full)
		check(tokens_fill(r), "two, no room: there is none", "%s", strerror(errno));
	load_start_as(&load, BOUND, load_bound);
	t->netns = load.netns;
	t->pid = load.pid;
	load_next(&load);
	check_held(r, full ? "two, no room: the kernel's table and ours agree" : "two: the kernel's table and ours agree");
	check(t->begun_bound >= 2 * BOUND, "two: each is told to begin", "%u of %d", t->begun_bound, 2 * BOUND);
	load_next(&load);
	load_end(&load);	/* and its namespace, with what is in TIME_WAIT there */
	check_balance(r, t, full ? "two, no room: each ends once" : "two: each ends once");
	recorder_totals(r, &n);
	check(full == (n.lost_table > 0), full ? "two, no room: the loss is counted" : "two: nothing is lost", "%llu lost",
	      (unsigned long long)n.lost_table);
	recorder_close(r);
}

/* A bound socket whose TIME_WAIT ends before it: it holds the port alone again. */
static void outlives(enum tier tier, struct told *t)
{
	struct source_opts opts = { .tier = tier };
	struct recorder *r = start(&opts, t);
	struct recorder_totals n = { 0 };
	struct load load;
	uint64_t held = 0;

	if (!r) {
		check(false, "outlives: the recorder starts", "see above");
		return;
	}
	load_start_as(&load, BOUND, load_outlives);
	t->netns = load.netns;
	t->pid = load.pid;
	load_next(&load);
	drain(r);
	pause_ms(100);	/* tier c: a timer that was stopped is looked at again a little later */
	check_held(r, "outlives: the kernel's table and ours agree");
	/* Others on this host are at work, too. */
	for (int i = 0; i < 100 && (!i || n.live != held); i++)
		if (recorder_totals(r, &n) || recorder_held(r, &held))
			break;
	check(n.live && n.live == held, "outlives: beginnings - ends = the entries of the kernel's table", "%llu, but %llu of them",
	      (unsigned long long)n.live, (unsigned long long)held);
	load_next(&load);
	load_end(&load);
	check_balance(r, t, "outlives: each ends once");
	recorder_close(r);
}

/* The second look at the table, again and again while ports are given back: their ends are told by their hooks. */
static void looks_at_ends(enum tier tier, struct told *t)
{
	uint32_t size;
	struct recorder *r = start_small(tier, t, &size);	/* looked through in no time */
	struct load load;
	int status = -1;

	if (!r) {
		check(false, "ends: the recorder starts", "see above");
		return;
	}
	load_start_as(&load, REFUSED, load_refused);
	t->netns = load.netns;
	t->pid = load.pid;
	if (write(load.order, "", 1) != 1)
		exit(2);
	for (int err = 0; !err && waitpid(load.pid, &status, WNOHANG) != load.pid; drain(r))
		err = source_check(recorder_source(r));
	check(!status, "ends: the load ends well", "%d", status);
	check_balance(r, t, "ends: each ends once");
	check(!t->ended_lost, "ends: none is taken for one that no hook saw", "%u of %d", t->ended_lost, REFUSED);
	load_end(&load);
	recorder_close(r);
}

/* A look at the sockets that finds nothing new takes its time all the same: the ring is read meanwhile. */
static void looks_and_drains(enum tier tier, struct told *t)
{
	struct source_opts opts = { .tier = tier };
	struct recorder *r = start(&opts, t);
	uint64_t begun;
	int fd;

	if (!r) {
		check(false, "looks: the recorder starts", "see above");
		return;
	}
	drain(r);
	begun = t->begun;
	fd = udp_bind(0);
	check(fd >= 0 && !recorder_snapshot(r) && t->begun > begun, "looks: what the ring has meanwhile is told", "it is not");
	close(fd);
	recorder_close(r);
}

/* --- what was asked for ----------------------------------------------------------------- */

/* The table `intents`. */
struct place {
	uint64_t who, sk;
	uint32_t addr[4], since;
	uint8_t rest[4];
};
struct places {
	struct place way[4];
};

/* Other threads, inside bind() for as long as this test is: none of the places is free.  The time is that of one of ours. */
static bool places_fill(struct recorder *r)
{
	const struct bpf_map *map = recorder_source(r)->skel->maps.intents;
	uint32_t sets = bpf_map__max_entries(map), mine = (uint32_t)getpid() % sets, since = 0;
	struct places p;
	int err = 0;

	if (bpf_map__value_size(map) != sizeof(p) || close(udp_bind(0)) || bpf_map_lookup_elem(bpf_map__fd(map), &mine, &p))
		return false;
	for (int i = 0; i < 4; i++)
		if ((uint32_t)p.way[i].who == (uint32_t)getpid())
			since = p.way[i].since;
	for (int i = 0; i < 4; i++)
		p.way[i] = (struct place){ .who = UINT64_MAX, .sk = 1, .since = since };
	for (uint32_t set = 0; !err && set < sets; set++)
		err = bpf_map_update_elem(bpf_map__fd(map), &set, &p, BPF_ANY);
	return since && !err;
}

/* What this thread asked for and has not been given: the socket, or 0. */
static uint64_t place_left(struct recorder *r)
{
	const struct bpf_map *map = recorder_source(r)->skel->maps.intents;
	uint32_t mine = (uint32_t)getpid() % bpf_map__max_entries(map);
	struct places p = { 0 };
	uint64_t left = 0;

	if (bpf_map_lookup_elem(bpf_map__fd(map), &mine, &p))
		return UINT64_MAX;
	for (int i = 0; i < 4; i++)
		if ((uint32_t)p.way[i].who == (uint32_t)getpid())
			left |= p.way[i].sk;
	return left;
}

/* A bind() that gives no port yet is over when it returns. */
static void binds_without_port(enum tier tier, struct told *t)
{
	struct sockaddr_in at = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	struct source_opts opts = { .tier = tier };
	struct recorder *r = start(&opts, t);
	int fd = socket(AF_INET, SOCK_STREAM, 0), one = 1;

	if (!r || fd < 0 || setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &one, sizeof(one)) ||
	    bind(fd, (struct sockaddr *)&at, sizeof(at)))
		check(false, "no port: bound", "%s", strerror(errno));
	else
		check(!place_left(r), "no port: nothing is waited for once bind() is over", "%#llx", (unsigned long long)place_left(r));
	close(fd);
	recorder_close(r);
}

static void asks(struct recorder *r, struct told *t)
{
	struct load load;

	load_start_as(&load, 0, load_asks);
	drain(r);	/* of an earlier namespace with that number */
	t->netns = load.netns;
	t->pid = load.pid;
	t->live = 0;
	memset(t->begins, 0, sizeof(t->begins));
	memset(t->kinds, 0, sizeof(t->kinds));
	load_next(&load);
	for (int i = 0; i < 500 && t->live < 3; i++) {
		pause_ms(10);
		drain(r);
	}
	load_end(&load);
}

/* Where two ask at a time and there is room for one, the other is not known: nobody guesses. */
static void asked_in_vain(enum tier tier, struct told *t)
{
	static const char *const enters[] = { "bind_enter", "dgram_connect", "bind4", "connect4" };
	struct source_opts opts = { .tier = tier };
	struct recorder *r = start(&opts, t);
	uint64_t before[PL_STATS], after[PL_STATS];
	unsigned int gaps;

	if (!r) {
		check(false, "asked: the recorder starts", "see above");
		return;
	}
	check(places_fill(r), "asked: there is no room for another", "%s", strerror(errno));
	gaps = t->gaps[GAP_MISSED];
	recorder_stats(r, before);
	asks(r, t);
	recorder_stats(r, after);
	check(after[PL_STAT_INTENT] > before[PL_STAT_INTENT], "asked: who makes room for himself is counted", "%llu",
	      (unsigned long long)after[PL_STAT_INTENT]);
	check(t->kinds[PL_KIND_BIND0] == 1 && t->kinds[PL_KIND_CONNECT] == 1 && t->kinds[PL_KIND_SEND] == 1,
	      "asked: and known", "%u bind0, %u connect, %u send", t->kinds[PL_KIND_BIND0], t->kinds[PL_KIND_CONNECT],
	      t->kinds[PL_KIND_SEND]);
	for (int i = 0; i < 100 && t->gaps[GAP_MISSED] == gaps; i++) {
		pause_ms(10);
		drain(r);
	}
	check(t->gaps[GAP_MISSED] > gaps, "asked: a gap says that somebody's is lost", "no gap");
	/* And he for whom there is no room any more. */
	for (size_t i = 0; i < sizeof(enters) / sizeof(enters[0]); i++)
		take_away(r, enters[i]);
	pause_ms(500);
	asks(r, t);
	check(t->kinds[PL_KIND_UNKNOWN] >= (source_tier(recorder_source(r)) == TIER_C ? 1 : 3) && !t->kinds[PL_KIND_BIND0] &&
	      !t->kinds[PL_KIND_BIND] && !t->kinds[PL_KIND_CONNECT], "asked: without a guess",
	      "%u unknown, %u bind0, %u bind, %u connect, %u send", t->kinds[PL_KIND_UNKNOWN], t->kinds[PL_KIND_BIND0],
	      t->kinds[PL_KIND_BIND], t->kinds[PL_KIND_CONNECT], t->kinds[PL_KIND_SEND]);
	recorder_close(r);
}

/* One whose intent was passed over is known by the system call that it is in, where a program may ask for that. */
static void asked_unheard(enum tier tier, struct told *t)
{
	struct source_opts opts = { .tier = tier };
	struct recorder *r = start(&opts, t);

	if (!r || source_tier(recorder_source(r)) == TIER_C || !recorder_source(r)->typed) {
		printf("skip - unheard: %s\n", r ? "not this tier, or no kernel that tells the system call" : "no recorder");
		skipped++;
		recorder_close(r);
		return;
	}
	take_away(r, "bind_enter");
	take_away(r, "dgram_connect");
	pause_ms(500);
	asks(r, t);
	check(t->kinds[PL_KIND_BIND0] == 1 && t->kinds[PL_KIND_CONNECT] == 1 && t->kinds[PL_KIND_SEND] == 1,
	      "unheard: how each was asked for", "%u bind0, %u connect, %u send", t->kinds[PL_KIND_BIND0], t->kinds[PL_KIND_CONNECT],
	      t->kinds[PL_KIND_SEND]);
	recorder_close(r);
}

/* Makes old what waits in `calls`; how much that is. */
static unsigned int calls_old(struct recorder *r)
{
	int map = bpf_map__fd(recorder_source(r)->skel->maps.calls);
	uint64_t key[2], next[2];
	struct pl_call call;
	unsigned int n = 0;

	for (bool more = !bpf_map_get_next_key(map, NULL, key); more; n++) {
		if (!bpf_map_lookup_elem(map, key, &call)) {
			call.since = 1;
			bpf_map_update_elem(map, key, &call, BPF_EXIST);
		}
		more = !bpf_map_get_next_key(map, key, next);
		memcpy(key, next, sizeof(key));
	}
	return n;
}

/* Tier b: the return of a call is passed over where too many are under way.  The next of the same thread knows. */
static void returns_unseen(enum tier tier, struct told *t)
{
	struct source_opts opts = { .tier = tier };
	struct recorder *r = start(&opts, t);
	unsigned int gaps;

	if (!r || source_tier(recorder_source(r)) != TIER_B) {
		printf("skip - returns: %s\n", r ? "not this tier" : "no recorder");
		skipped++;
		recorder_close(r);
		return;
	}
	gaps = t->gaps[GAP_MISSED];
	take_away(r, "udp_get_port");
	pause_ms(500);
	asks(r, t);
	for (int i = 0; i < 100 && t->gaps[GAP_MISSED] == gaps; i++) {
		pause_ms(10);
		drain(r);
	}
	check(t->gaps[GAP_MISSED] > gaps, "returns: a gap says that one was not seen", "no gap");
	check(calls_old(r) && !source_sweep(recorder_source(r)) && !calls_old(r), "returns: one that nobody calls after is swept out", "it is not");
	gaps = t->gaps[GAP_MISSED];
	for (int i = 0; i < 100 && t->gaps[GAP_MISSED] == gaps; i++) {
		pause_ms(10);
		drain(r);
	}
	check(t->gaps[GAP_MISSED] > gaps, "returns: and told in a gap", "no gap");
	recorder_close(r);
}

static bool uring_here(void)
{
	struct io_uring ring;
	int err = io_uring_queue_init(8, &ring, 0);

	if (!err)
		io_uring_queue_exit(&ring);
	return !err;
}

/* Connects at no socket's address, put there at `start`.  How many there was room for. */
static unsigned int pendings_fill(struct recorder *r, uint64_t start, uint64_t flags)
{
	int map = bpf_map__fd(recorder_source(r)->skel->maps.pendings);
	const struct pl_lease l = { .start = start };
	uint64_t key = 1;

	while (!bpf_map_update_elem(map, &key, &l, flags))
		key++;
	return (unsigned int)key - 1;
}

/* Tier c: what waits for the sweep to find its port has room, or is counted; and what never comes to one is forgotten. */
static void waits_in_vain(enum tier tier, struct told *t)
{
	struct source_opts opts = { .tier = tier };
	struct recorder *r = start(&opts, t);
	uint64_t before[PL_STATS], after[PL_STATS];
	unsigned int n, again;
	struct load load;

	if (!r || source_tier(recorder_source(r)) != TIER_C || !uring_here()) {
		printf("skip - waiting: %s\n", r ? "not this tier, or no io_uring here" : "no recorder");
		skipped++;
		recorder_close(r);
		return;
	}
	load_start_as(&load, 0, load_uring);
	t->netns = load.netns;
	t->pid = load.pid;
	n = pendings_fill(r, (uint64_t)clock_us(CLOCK_BOOTTIME) * 1000, BPF_NOEXIST);
	check(n > PL_PENDINGS_MAX / 2 && !source_sweep(recorder_source(r)), "waiting: the table is full", "%u", n);
	recorder_stats(r, before);
	load_next(&load);
	recorder_stats(r, after);
	check(after[PL_STAT_INTENT] > before[PL_STAT_INTENT], "waiting: who finds no room is counted", "%llu",
	      (unsigned long long)after[PL_STAT_INTENT]);
	again = pendings_fill(r, 1, BPF_EXIST);
	check(again >= n && !source_sweep(recorder_source(r)), "waiting: what is young is not forgotten", "%u of %u", again, n);
	load_next(&load);
	recorder_stats(r, before);
	check(after[PL_STAT_INTENT] == before[PL_STAT_INTENT], "waiting: what is old is", "%llu more",
	      (unsigned long long)(before[PL_STAT_INTENT] - after[PL_STAT_INTENT]));
	source_sweep(recorder_source(r));
	drain(r);
	check(t->kinds[PL_KIND_CONNECT] >= 1, "waiting: its port is told", "no connect");
	load_next(&load);
	recorder_snapshot(r);
	source_sweep(recorder_source(r));
	drain(r);
	check(t->late[PL_KIND_CONNECT] == 1, "waiting: and how what a look found was asked for", "%u late", t->late[PL_KIND_CONNECT]);
	load_end(&load);
	recorder_close(r);
}

int main(int argc, char **argv)
{
	struct rlimit files = { HELD_MANY + 200, HELD_MANY + 200 };
	struct told *t = calloc(1, sizeof(*t));
	enum tier tier = TIER_NONE;

	if (argc == 3 && !strcmp(argv[1], "--tier") && strlen(argv[2]) == 1 && strchr("abc", *argv[2]))
		tier = *argv[2] == 'a' ? TIER_A : *argv[2] == 'b' ? TIER_B : TIER_C;
	else if (argc != 1) {
		fprintf(stderr, "usage: loss [--tier a|b|c]\n");
		return 2;
	}
	if (!t || setrlimit(RLIMIT_NOFILE, &files))
		return 2;
	signal(SIGPIPE, SIG_IGN);
	begins_late(tier, t);
	begins_nowhere(tier, t);
	begins_lingering(tier, t);
	begins_behind();
	begins_found(tier, t);
	begins_in_churn(tier, t);
	ring_overflows(tier, t);
	table_overflows(tier, t);
	no_room_counts_once(tier, t);
	ends_unseen(tier, t);
	held_by_two(tier, t, false);
	held_by_two(tier, t, true);
	outlives(tier, t);
	looks_and_drains(tier, t);
	looks_at_ends(tier, t);
	binds_without_port(tier, t);
	asked_in_vain(tier, t);
	asked_unheard(tier, t);
	returns_unseen(tier, t);
	waits_in_vain(tier, t);
	free(t);
	printf("%u passed, %u failed, %u skipped\n", passed, failed, skipped);
	return failed ? 1 : 0;
}
