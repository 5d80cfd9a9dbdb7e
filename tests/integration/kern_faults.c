// SPDX-License-Identifier: GPL-2.0
/*
 * Each call on which the recorder stands fails, one after the other: every command of bpf(2) from every place that gives it, memory,
 * descriptors, namespaces, epoll.  A real recorder of this process watches a child in a namespace of its own, which holds ports,
 * leaves some in TIME_WAIT, floods the ring, and lets connections take TIME_WAIT over.
 *
 *   kern_faults [--tier a|b|c] [--short]
 *
 * Held to after each fault: no crash, nothing left open, this thread is where it was; and either the recorder refuses with a
 * message that says why, or the identity holds: allocations + found held - releases = the entries of the kernel's table, told +
 * lost = counted, gaps tell the loss, and of the child's ports each that is held is known, or it is said that not all was looked at.
 */
#define FAULTY_KERNEL
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include "unit/faulty.h"

#include <net/if.h>
#include <netinet/in.h>
#include <sched.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include "base/log.h"
#include "integration/udp.h"
#include "kern/recorder.h"
#include "kern/source_priv.h"

#define HELD 40
#define CHURN 600		/* far more than the ring takes */
#define TAKEN 3			/* TIME_WAIT taken over */
#define PHASES 4
#define RING (64 * 1024)
#define SERVER 4500		/* no number that bind(0) may choose */
#define CLIENT 4501
#define MS 1000000LL
#define SHORT_EVERY "61"	/* no multiple of 4: not always the same kinds of call */

static enum tier tier;
static int64_t ahead;		/* by which the clocks run ahead: nobody waits for the next look here */
static int64_t step;		/* by which the wall clock was set */

int clock_gettime(clockid_t id, struct timespec *t)
{
	int err = (int)syscall(SYS_clock_gettime, id, t);
	int64_t ns = t->tv_nsec;

	if (id == CLOCK_BOOTTIME || id == CLOCK_REALTIME)
		ns += ahead;
	if (id == CLOCK_REALTIME)
		ns += step;
	t->tv_sec += ns / 1000000000;
	t->tv_nsec = ns % 1000000000;
	return err;
}

/* ---- the child ---- */

static struct {
	pid_t pid;
	int order, done;
	unsigned int phase;	/* 0: holds what is held before the start */
	uint32_t netns;
} load;

static void child_fail(int line)
{
	fprintf(stderr, "the load failed in line %d: %s\n", line, strerror(errno));
	_exit(1);
}
#define MUST(cond) do { if (!(cond)) child_fail(__LINE__); } while (0)

static int tcp(uint16_t port)
{
	struct sockaddr_in at = { .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int fd = socket(AF_INET, SOCK_STREAM, 0), one = 1;

	MUST(fd >= 0 && !setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)) && !bind(fd, (struct sockaddr *)&at, sizeof(at)));
	return fd;
}

/* A recorder that looks through open files may hold what was just closed until its read() returns. */
static int udp_when_free(uint16_t port)
{
	int fd = udp_bind(port);

	for (int i = 0; fd < 0 && i < 10000; i++) {
		usleep(1000);
		fd = udp_bind(port);
	}
	return fd;
}

/* The server closes first, so the accepted child's port is in TIME_WAIT; the next connection of the same ends takes it over. */
static void disconnect(const int ends[2])
{
	char c;

	MUST(!close(ends[1]) && !read(ends[0], &c, 1) && !close(ends[0]));
}

static void connect_once(int server, int ends[2])
{
	struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons(SERVER), .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };

	ends[0] = tcp(CLIENT);
	MUST(!connect(ends[0], (struct sockaddr *)&to, sizeof(to)));
	ends[1] = accept(server, NULL, NULL);
	MUST(ends[1] >= 0);
}

static void child_step(int order, int done)
{
	char c = 0;

	if (write(done, &c, 1) != 1 || read(order, &c, 1) != 1)
		_exit(0);
}

static void child_netns(void)
{
	struct ifreq ifr = { .ifr_name = "lo" };
	int fd;

	MUST(!unshare(CLONE_NEWNET));
	fd = socket(AF_INET, SOCK_DGRAM, 0);
	MUST(!ioctl(fd, SIOCGIFFLAGS, &ifr));
	ifr.ifr_flags |= IFF_UP;
	MUST(!ioctl(fd, SIOCSIFFLAGS, &ifr));
	close(fd);
}

/* A child does not outlive the test, also where that ends before the child has run at all. */
static void child_mortal(pid_t parent)
{
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent)
		_exit(0);
}

/* Time and again, each time in another namespace. */
__attribute__((noreturn))
static void child_main(int order, int done)
{
	int fds[HELD], ends[2], server;

	for (;;) {
		child_netns();
		server = tcp(SERVER);
		MUST(!listen(server, 4));
		for (int i = 0; i < HELD / 2; i++)
			MUST((fds[i] = udp_bind(0)) >= 0);
		connect_once(server, ends);
		disconnect(ends);
		child_step(order, done);	/* held before the start, one in TIME_WAIT */
		for (int i = HELD / 2; i < HELD; i++)
			MUST((fds[i] = udp_bind(0)) >= 0);
		/* The next TIME_WAIT gets the memory of the one before; the last one is taken over for good. */
		for (int i = 0; i < TAKEN; i++) {
			if (i)
				disconnect(ends);
			connect_once(server, ends);
		}
		child_step(order, done);	/* told */
		for (int i = 0; i < CHURN; i++) {
			int fd = udp_when_free(7);

			MUST(fd >= 0 && (i % 10 || udp_bind(7) < 0));
			close(fd);
		}
		child_step(order, done);	/* lost */
		for (int i = 0; i < HELD; i++)
			close(fds[i]);
		close(server);
		disconnect(ends);
		child_step(order, done);	/* ended, but for TIME_WAIT */
	}
}

static void load_wait(void)
{
	char path[64], c;
	struct stat st;

	assert_int_equal(read(load.done, &c, 1), 1);
	snprintf(path, sizeof(path), "/proc/%d/ns/net", (int)load.pid);
	load.netns = stat(path, &st) ? 0 : (uint32_t)st.st_ino;
}

static void load_start(void)
{
	pid_t parent = getpid();
	int order[2], done[2];

	assert_true(!pipe(order) && !pipe(done));
	load.pid = fork();
	assert_true(load.pid >= 0);
	if (!load.pid) {
		child_mortal(parent);
		close(order[1]);
		close(done[0]);
		child_main(order[0], done[1]);
	}
	close(order[0]);
	close(done[1]);
	load.order = order[1];
	load.done = done[0];
	load_wait();
}

/* The child is no part of what fails. */
static void load_next(void)
{
	enum faulty_manner manner = faulty.manner;
	char c = 0;

	faulty.manner = FAULTY_OFF;
	assert_int_equal(write(load.order, &c, 1), 1);
	load_wait();
	load.phase = (load.phase + 1) % PHASES;
	faulty.manner = manner;
}

/* ---- what is told ---- */

static struct {
	uint64_t begun, ended, fails, opens;	/* of the whole host, seen by hook */
	uint64_t lost[GAP_DETACHED + 1];
	unsigned int gaps[GAP_DETACHED + 1];
	unsigned char held[65536];		/* of the child's ports */
	unsigned int live;
	unsigned int ended_server;		/* leases of its server's port */
} told;

static void told_port(uint16_t port, bool begins)
{
	if (begins) {
		told.live += !told.held[port];
		told.held[port]++;
	} else if (told.held[port]) {
		told.held[port]--;
		told.live -= !told.held[port];
	}
}

static int on_event(void *ctx, struct event *ev)
{
	if (ev->kind == EV_GAP) {
		told.lost[ev->gap->cause] += ev->gap->lost > 0 ? (uint64_t)ev->gap->lost : 0;
		told.gaps[ev->gap->cause]++;
		return 0;
	}
	if (ev->evidence != EVIDENCE_RESYNC) {
		told.begun += ev->kind == EV_ALLOC;
		told.ended += ev->kind == EV_RELEASE;
		told.fails += ev->kind == EV_FAIL;
		told.opens += ev->kind == EV_OPEN;
	}
	told.ended_server += ev->lease.netns == load.netns && ev->lease.lport == SERVER && ev->kind == EV_RELEASE;
	if (ev->lease.netns == load.netns && (ev->kind == EV_ALLOC || ev->kind == EV_OPEN || ev->kind == EV_RELEASE))
		told_port(ev->lease.lport, ev->kind != EV_RELEASE);
	return 0;
}

/* ---- what is said ---- */

static struct {
	unsigned int errors, warnings;
	bool empty;		/* one of them says that something failed and not why */
	char last[512];
} said;

static void on_log(void *ctx, enum log_level level, const char *text)
{
	size_t len = strlen(text);

	said.errors += level == LOG_LEVEL_ERR;
	said.warnings += level == LOG_LEVEL_WARN;
	said.empty |= len < 3 || !strcmp(text + len - 2, ": ") || strstr(text, "Success");
	snprintf(said.last, sizeof(said.last), "%s", text);
}

/* ---- the scenario ---- */

static struct recorder *rec;
static int err;
static unsigned int found_live, found_server;	/* ports of the child that were known after the first look */
static unsigned int flood_live;			/* and after the flood */
static bool netns_seen;
static int netns_err;
static const char *at;		/* what was done last */
static ino_t home;
static int home_fd;

static ino_t own_netns(void)
{
	struct stat st;

	return stat("/proc/thread-self/ns/net", &st) ? 0 : st.st_ino;
}

static void look(const char *what)
{
	static unsigned int n;

	if (err)
		return;
	at = what;
	ahead += 300 * MS;
	recorder_wait(rec, n++ % 2 ? load.done : -1, 1);
	err = recorder_drain(rec);
}

/* As `bpftool link detach` of somebody else does. */
static void detach_one(void)
{
	const struct source *s = recorder_source(rec);

	for (size_t i = 0; !err && i < hooks_count; i++)
		if (hooks[i].how == HOOK_CGROUP && s->links[i]) {
			bpf_link_detach(bpf_link__fd(s->links[i]));
			return;
		}
}

static int see_netns(void *ctx, const struct source_netns *n)
{
	netns_seen |= n->netns == load.netns;
	return 0;
}

static int see_open(void *ctx, struct event *ev)
{
	return 0;
}

/* What a caller asks for at the end. */
static void look_back(void)
{
	struct recorder_totals n;
	uint64_t held;

	at = "finish";
	err = recorder_finish(rec);
	if (!err)
		err = recorder_totals(rec, &n);
	if (!err)
		err = recorder_held(rec, &held);
	if (!err)
		err = recorder_each_open(rec, see_open, NULL);
	if (!err)
		netns_err = source_netns_each(recorder_source(rec), see_netns, NULL);
}

static void record(void)
{
	struct source_opts opts = { .tier = tier, .ring_size = RING, .scope_all = true };

	at = "open";
	err = recorder_open(&opts, on_event, NULL, &rec);
	if (err)
		return;
	at = "snapshot";
	err = recorder_snapshot(rec);
	look("the first look");
	found_live = told.live;
	found_server = told.held[SERVER];
	load_next();
	look("the second look");
	look("the second look again");	/* TIME_WAIT taken over is settled */
	load_next();			/* the ring overflows */
	look("after the flood");
	flood_live = told.live;
	detach_one();
	ahead += 6000 * MS;
	look("a hook is gone");
	look("and not yet tried again");
	ahead += 6000 * MS;
	look("and back");
	load_next();			/* all ends but TIME_WAIT */
	look("all is closed");
	if (!err)
		look_back();
}

static void before(void)
{
	while (load.phase)
		load_next();
	memset(&told, 0, sizeof(told));
	memset(&said, 0, sizeof(said));
	netns_seen = false;
	netns_err = 0;
	rec = NULL;
}

static unsigned int broken;
static char counted[256];

#define MUST_HOLD(cond) \
	do { \
		if (!(cond)) { \
			print_message("not so: %s: after %s; %s returned %d; said: %s; %s\n", #cond, faulty_name(), at, err, said.last, \
				      counted); \
			broken++; \
		} \
	} while (0)

static void judge_counts(void)
{
	const struct tracker *t = recorder_tracker(rec);
	uint64_t s[PL_STATS] = { 0 }, held = 0, ended;
	struct recorder_totals n = { 0 };

	counted[0] = '\0';
	MUST_HOLD(!recorder_totals(rec, &n) && !recorder_stats(rec, s) && !recorder_held(rec, &held));
	snprintf(counted, sizeof(counted), "counted %d live, %d lost, %d stale, table %d; known of the child %u, %u and %u after the flood",
		 (int)n.live, (int)n.lost, (int)n.stale, (int)held, found_live, found_server, flood_live);
	MUST_HOLD(n.live == held);
	MUST_HOLD(told.begun == n.allocs - s[PL_STAT_RING(PL_REC_ALLOC)] - tracker_repeated(t, EV_ALLOC));
	/* What the sweep found is told as inferred, like the ends of a repair, which the kernel has not counted. */
	ended = n.releases - s[PL_STAT_RING(PL_REC_RELEASE)] - tracker_repeated(t, EV_RELEASE);
	MUST_HOLD(told.ended <= ended && told.ended + n.stale >= ended);
	MUST_HOLD(told.fails == n.fails - s[PL_STAT_RING(PL_REC_FAIL)]);
	MUST_HOLD(told.lost[GAP_RING] == n.lost_ring);
	MUST_HOLD(told.opens == n.opens - s[PL_STAT_RING(PL_REC_OPEN)]);
	MUST_HOLD(n.lost_ring > 0);
	/* Only looking can find what is in TIME_WAIT since before the start. */
	MUST_HOLD(found_live == HELD / 2 + 1 && found_server == 2);
	MUST_HOLD(flood_live == HELD + 2);
	MUST_HOLD(netns_err < 0 || netns_seen);
}

static void judge(void)
{
	MUST_HOLD(err <= 0);
	if (own_netns() != home) {
		MUST_HOLD(err && said.errors);
		assert_int_equal(setns(home_fd, CLONE_NEWNET), 0);
	}
	MUST_HOLD(!said.empty);
	MUST_HOLD(!err || said.errors);
	if (!err)
		judge_counts();
	recorder_close(rec);
	rec = NULL;
}

static void test_recorder(void **state)
{
	const int codes[] = { ENOMEM, EPERM, EINVAL, EMFILE, 0 };

	faulty_each(before, record, judge, codes);
	assert_int_equal(broken, 0);
}

/* ---- answers that the kernel gives now and then ---- */

static unsigned int answered;

static void start(void)
{
	struct source_opts opts = { .tier = tier, .ring_size = PL_RING_DEFAULT, .scope_all = true };

	before();
	err = recorder_open(&opts, on_event, NULL, &rec);
	assert_int_equal(err, 0);
	assert_int_equal(recorder_snapshot(rec), 0);
	look("the first look");
	assert_int_equal(err, 0);
}

static void stop(void)
{
	struct recorder_totals n;
	uint64_t held;

	faulty_answer = NULL;
	assert_int_equal(recorder_finish(rec), 0);
	assert_int_equal(recorder_totals(rec, &n), 0);
	assert_int_equal(recorder_held(rec, &held), 0);
	assert_int_equal(n.live, held);
	recorder_close(rec);
	rec = NULL;
}

/* It passed over a program that an interrupt called while it ran. */
static void answer_missed(long cmd, union bpf_attr *attr)
{
	struct bpf_prog_info *info = (void *)(uintptr_t)attr->info.info;

	if (cmd == BPF_OBJ_GET_INFO_BY_FD && attr->info.info_len == sizeof(*info) && !answered) {
		info->recursion_misses++;
		answered++;
	}
}

/* The same of a kprobe: kernels since 6.7 tell with its link, which some before have. */
struct kprobe_info {
	uint32_t type, id, prog, pad, how, pad_how;
	uint64_t rest[3], missed;
};

static bool kprobes_tell(void)
{
	const struct source *s = recorder_source(rec);
	struct kprobe_info info = { 0 };
	uint32_t len = sizeof(info);

	return s->links[load_find("b_put_port")] &&
	       !bpf_obj_get_info_by_fd(bpf_link__fd(s->links[load_find("b_put_port")]), (void *)&info, &len) && info.how;
}

static void answer_kprobe_missed(long cmd, union bpf_attr *attr)
{
	struct kprobe_info *info = (void *)(uintptr_t)attr->info.info;

	if (cmd != BPF_OBJ_GET_INFO_BY_FD || attr->info.info_len != sizeof(*info) || info->how < 3 || info->how > 4)
		return;
	info->missed++;
	answered++;
}

static void test_kprobe_missed(void **state)
{
	if (tier != TIER_B)
		skip();
	start();
	answered = 0;
	faulty_answer = answer_kprobe_missed;
	look("kprobes were passed over");
	assert_int_equal(answered > 0, kprobes_tell());
	assert_int_equal(told.gaps[GAP_MISSED], answered ? 1 : 0);
	look("and no more");
	assert_int_equal(told.gaps[GAP_MISSED], answered ? 1 : 0);
	stop();
}

static int refuse_open(void *ctx, struct event *ev)
{
	return -ENOSPC;
}

static void test_missed(void **state)
{
	start();
	load_next();
	look("the second look");
	assert_int_equal(told.gaps[GAP_MISSED], 0);
	answered = 0;
	faulty_answer = answer_missed;
	look("a hook was passed over");
	assert_int_equal(answered, 1);
	assert_int_equal(told.gaps[GAP_MISSED], 1);
	look("and no more");
	assert_int_equal(told.gaps[GAP_MISSED], 1);
	assert_int_equal(told.live, HELD + 2);
	assert_int_equal(recorder_each_open(rec, refuse_open, NULL), -ENOSPC);
	assert_false(recorder_failed(rec));	/* it is the caller's to say */
	stop();
}

/* Between the look at the entry of a lease in TIME_WAIT and its removal its timer was started again. */
static void answer_restarted(long cmd, union bpf_attr *attr)
{
	struct pl_lease *l = (void *)(uintptr_t)attr->value;

	if (cmd == BPF_MAP_LOOKUP_AND_DELETE_ELEM && l->netns == load.netns && l->lport == SERVER) {
		l->cancelled++;
		answered++;
	}
}

static void test_timer_started_again(void **state)
{
	unsigned int server;

	if (tier != TIER_C)
		skip();
	start();
	server = told.held[SERVER];
	answered = 0;
	faulty_answer = answer_restarted;
	load_next();
	look("TIME_WAIT is taken over");
	look("and settled");
	if (!answered)	/* a kernel whose hash tables cannot do it */
		skip();
	/* Usually one: the others' memory was given to the TIME_WAIT that followed, unless somebody else was faster. */
	assert_int_equal(told.held[SERVER], server + answered);
	stop();
}

/* Hash tables before 5.14 cannot look up and delete at once. */
static void test_older_kernel(void **state)
{
	unsigned int n = 0;

	for (faulty_at = 0; faulty_at < faulty.n_places; faulty_at++)
		if (!strcmp(faulty.places[faulty_at].call, "BPF_MAP_LOOKUP_AND_DELETE_ELEM")) {
			before();
			n += faulty_run(faulty_at, FAULTY_ALWAYS, EINVAL, record);
			MUST_HOLD(!err && told.ended_server >= TAKEN);
			judge();
		}
	assert_int_equal(broken, 0);
	if (!n) {
		print_message("skipped: no TIME_WAIT was left to the reader, each gave its memory to the next\n");
		skip();
	}
}

static void see_clock(void *ctx, int64_t boot_to_unix)
{
	*(int64_t *)ctx = boot_to_unix;
}

static void test_clock_is_set(void **state)
{
	int64_t offset, seen = 0;

	start();
	recorder_on_clock(rec, see_clock, &seen);
	offset = tracker_offset(recorder_tracker(rec));
	step += 3600LL * 1000000000;
	look("an hour later");
	assert_true(tracker_offset(recorder_tracker(rec)) - offset >= 3599LL * 1000000000);
	assert_int_equal(tracker_offset(recorder_tracker(rec)), seen);
	assert_int_equal(said.warnings, 1);
	stop();
}

/* Others fill the ring while the self-test runs: what that has lost is no lease of anybody. */
static void test_selftest_in_a_flood(void **state)
{
	struct source_opts opts = { .tier = tier, .ring_size = 4096, .scope_all = true };
	struct recorder_totals n;
	uint64_t held, lost = 0;
	pid_t parent = getpid(), flood = fork();

	assert_true(flood >= 0);
	if (!flood) {
		child_mortal(parent);
		child_netns();
		/* More at once than the ring takes, and not so many that others on this host suffer. */
		for (;; usleep(1000))
			for (int i = 0; i < 30; i++)
				close(udp_bind(7));
	}
	for (int i = 0; i < 20; i++) {
		before();
		assert_int_equal(recorder_open(&opts, on_event, NULL, &rec), 0);
		source_freeze(recorder_source(rec));
		assert_int_equal(recorder_totals(rec, &n), 0);
		assert_int_equal(recorder_held(rec, &held), 0);
		assert_int_equal(n.live, held);
		lost += n.lost_ring;
		recorder_close(rec);
		rec = NULL;
	}
	kill(flood, SIGKILL);
	waitpid(flood, NULL, 0);
	assert_true(lost > 0);
}

static int set_up(void **state)
{
	log_set_sink(on_log, NULL);
	home = own_netns();
	home_fd = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
	load_start();
	return home_fd < 0;
}

int main(int argc, char **argv)
{
	const struct CMUnitTest few[] = {
		cmocka_unit_test(test_recorder), cmocka_unit_test(test_kprobe_missed),
	};
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_recorder), cmocka_unit_test(test_kprobe_missed), cmocka_unit_test(test_missed), cmocka_unit_test(test_timer_started_again),
		cmocka_unit_test(test_older_kernel), cmocka_unit_test(test_clock_is_set), cmocka_unit_test(test_selftest_in_a_flood),

	};
	int failed, n = sizeof(tests) / sizeof(*tests);
	bool brief;

	tier = TIER_C;
	if (argc >= 3 && !strcmp(argv[1], "--tier") && strlen(argv[2]) == 1 && strchr("abc", *argv[2])) {
		tier = *argv[2] == 'a' ? TIER_A : *argv[2] == 'b' ? TIER_B : TIER_C;
		argc -= 2;
		argv += 2;
	}
	brief = argc == 2 && !strcmp(argv[1], "--short");
	if (brief) {	/* for a slow machine: some of the places, and little else */
		setenv("FAULTY_EVERY", SHORT_EVERY, 0);
		n = sizeof(few) / sizeof(*few);
	} else if (argc != 1) {
		fprintf(stderr, "usage: kern_faults [--tier a|b|c] [--short]\n");
		return 2;
	}
	signal(SIGPIPE, SIG_IGN);
	failed = brief ? cmocka_run_group_tests(few, set_up, NULL) : cmocka_run_group_tests(tests, set_up, NULL);
	printf("%d passed, %d failed, 0 skipped\n", n - failed, failed);
	return failed ? 1 : 0;
}
