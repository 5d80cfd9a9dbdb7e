// SPDX-License-Identifier: GPL-2.0
/*
 * The lifecycle matrix: makes every kind of allocation, refusal and release
 * that the kernel knows, each in a network namespace of its own, and holds the
 * recorder's events against what it did.
 *
 *   lifecycle [--portlife PATH] [--tier a|b|c] [--list] [--only NAME] [--no-slow] [--jobs N] [--emulated]
 *
 * Runs as root.  Prints one line a case and at the end the counts; exits 0 only
 * if no case failed.  A case that cannot run here is skipped with its reason,
 * never passed.
 */
#include "cases_early.h"
#include "cases_kernel.h"
#include "cases_owner.h"
#include "cases_tcp.h"
#include "cases_tw.h"
#include "cases_udp.h"

#define SLOW 1		/* lives through timers: started first, apart from the job limit */
#define EARLY 2		/* makes its sockets before the recorder starts */
/* For emulated CPUs on a busy host, too: a deadline too long costs nothing unless a case fails. */
#define PATIENCE_MS 20000
#define TRIES 5		/* of a case that cannot be decided, see undecided() */

struct test {
	const char *name;
	void (*run)(void);
	int flags;
	/* the runner's */
	pid_t pid;
	int tries;
	bool failed_once;	/* what was undecided is not counted */
	int netns[TRIES];	/* one a try, kept open: no number is used twice */
	uint32_t inum;
	uint32_t missed;	/* gaps of that cause when the try began */
	struct result *result;
};

#define T(fn, how) { .name = #fn, .run = fn, .flags = how }

static struct test tests[] = {
	T(early_udp, EARLY), T(early_udp_no_file, EARLY), T(early_mptcp, EARLY), T(early_tcp_idle, EARLY), T(early_tcp_connection, EARLY), T(early_v6, EARLY),
	T(early_time_wait, EARLY), T(early_time_wait_minute, EARLY | SLOW), T(early_shared_socket, EARLY),
	T(early_then_again, EARLY), T(early_blocked_accept, EARLY), T(early_backlog, EARLY), T(early_no_ports, EARLY),

	T(tw_client_minute, SLOW), T(tw_server_minute, SLOW), T(tw_named_port_minute, SLOW), T(fin_wait2_rearmed, SLOW),
	T(tw_named_port_open, 0), T(tw_owner_outlives_process, 0), T(tw_v6, 0), T(fin_wait2_expires, 0), T(tw_reuse, 0), T(tw_reuse_same_memory, 0),
	T(tw_reset, 0), T(tw_memory_reused, 0), T(tw_netns_purge, 0),

	T(tcp_connect, 0), T(tcp_connect_refused, 0), T(tcp_reset_by_peer, 0), T(tcp_syn_sent_close, 0),
	T(tcp_nonblocking_connect, 0), T(tcp_bind0, 0), T(tcp_bind_port, 0), T(tcp_bind0_connect, 0), T(tcp_bind_refused, 0),
	T(tcp_bind_no_port, 0), T(tcp_bind_no_port_close, 0), T(tcp_listen_after_bind, 0), T(tcp_listen_unbound, 0),
	T(tcp_listen_shutdown, 0), T(tcp_unaccepted_child, 0), T(tcp_child_outlives_listener, 0), T(tcp_defer_accept, 0),
	T(tcp_reuseport, 0), T(tcp_shared_ephemeral, 0), T(tcp_address_sharing, 0), T(tcp_four_tuple_clash, 0),
	T(tcp_disconnect_unspec, 0), T(tcp_close_wait, 0), T(tcp_close_unread, 0), T(tcp_self_connect, 0), T(tcp_v6, 0),
	T(tcp_v4_mapped, 0), T(tcp_dual_stack, 0), T(tcp_v6only_beside_v4, 0), T(tcp_fast_open, 0), T(tcp_thousand_sockets, 0),
	T(tcp_local_port_range, 0), T(tcp_times, 0),

	T(udp_bind0, 0), T(udp_bind_port, 0), T(udp_connect, 0), T(udp_sendto, 0), T(udp_v6, 0), T(udp_v4_mapped, 0),
	T(udp_dual_stack, 0), T(udp_reuse, 0), T(udp_lite, 0), T(udp_disconnect_bind0, 0), T(udp_disconnect_connect, 0),
	T(udp_disconnect_bind_port, 0), T(udp_disconnect_v6, 0), T(udp_thousand_sockets, 0), T(udp_unused, 0), T(udp_asked_before, 0),
	T(no_ports_at_all, 0),

	T(fail_connect_range_full, 0), T(fail_connect_range_full_v6, 0), T(fail_bind_in_use, 0), T(fail_bind0_range_full, 0),
	T(fail_udp_connect_eagain, 0), T(fail_udp_sendto_eagain, 0), T(fail_listen_range_full, 0), T(fail_listen_in_use, 0),
	T(fail_privileged_port, 0), T(fail_many, 0), T(fail_for_other_reasons, 0),

	T(owner_accept_worker, 0), T(owner_accepted_late, 0), T(owner_accept_threads, 0), T(owner_fork_close, 0), T(owner_exec, 0),
	T(owner_is_who_binds, 0), T(owner_sigkill, 0), T(owner_scm_rights, 0), T(owner_dup, 0), T(owner_thread, 0),
	T(owner_uid, 0), T(owner_hostile_comm, 0), T(owner_changes_hands, 0), T(netns_setns, 0), T(netns_same_port, 0),

	T(uring_connect, 0), T(uring_connect_async, 0), T(uring_connect_refused, 0), T(uring_bind, 0), T(uring_bind_refused, 0),
	T(uring_accept, 0), T(uring_udp_connect, 0), T(mptcp_first_subflow, 0), T(mptcp_bind0, 0), T(mptcp_second_subflow, 0),
	T(kernel_vxlan, 0), T(destroy_udp, 0), T(destroy_tcp, 0), T(destroy_time_wait, 0),
};
#define N_TESTS (sizeof(tests) / sizeof(*tests))
#define for_each_test(t) for (struct test *t = tests; t < tests + N_TESTS; t++)

static struct {
	const char *portlife, *only;
	bool no_slow;
	bool emulated;		/* a case that fails once and then passes is told, and passes */
	int jobs;
} opt = { .portlife = "build/portlife", .jobs = 6 };

static struct recorder recorder;
static int home;			/* the namespace that we were started in */
static unsigned int passed, failed, skipped, tried_again, second_chances;

/* --- running one case ------------------------------------------------------ */

__attribute__((noreturn))
static void case_main(struct test *t)
{
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	prctl(PR_SET_NAME, "lifecycle");
	alarm((unsigned int)(self.patience_ms / 1000 * 4 + (t->flags & SLOW ? 200 : 60)));
	self.result = t->result;
	self.runs_cases = false;
	self.netns = t->inum;
	watch_lock();
	self.first_row = watch->n_leases;
	self.first_fail = watch->n_fails;
	watch_unlock();
	t->run();
	finish(PASSED, "%s", "");
}

static uint32_t count_missed(void)
{
	uint32_t n;

	watch_lock();
	n = watch->n_missed;
	watch_unlock();
	return n;
}

static void case_start(struct test *t)
{
	t->netns[t->tries++] = netns_enter_new(&t->inum);
	t->missed = count_missed();
	*t->result = (struct result){ .state = RUNNING };
	t->pid = (pid_t)MUST(fork());
	if (t->pid == 0)
		case_main(t);
	MUST(setns(home, CLONE_NEWNET));
}

static bool is_chosen(const struct test *t)
{
	return !opt.only || !strncmp(t->name, opt.only, strlen(opt.only));
}

static void report(const char *name, int state, unsigned int asserts, const char *why)
{
	if (state == PASSED) {
		printf("ok - %s (%u assertions)\n", name, asserts);
		passed++;
	} else if (state == SKIPPED) {
		printf("skip - %s: %s\n", name, why);
		skipped++;
	} else {
		printf("not ok - %s: %s\n", name, why);
		failed++;
	}
	fflush(stdout);
}

/*
 * The recorder itself said that a hook was passed over while the case ran:
 * events may lack, so that a failure proves nothing.  Such a case is run again.
 */
static bool undecided(const struct test *t)
{
	sleep_ms(500);	/* the recorder looks four times a second */
	return count_missed() != t->missed;
}

/*
 * Three recorders on two emulated CPUs: timers and interrupts come at moments
 * that no machine has.  A case gets one more try there, and its first is shown.
 */
static bool second_chance(struct test *t)
{
	if (!opt.emulated || t->flags & EARLY || t->failed_once || t->tries == TRIES)
		return false;
	t->failed_once = true;
	second_chances++;
	printf("# %s: failed once under emulation: %s\n", t->name, t->result->why);
	case_start(t);
	return true;
}

static void case_ended(struct test *t, int status)
{
	struct result *r = t->result;

	if (r->state == RUNNING) {
		r->state = FAILED_;
		if (WIFSIGNALED(status) && WTERMSIG(status) == SIGALRM)
			snprintf(r->why, sizeof(r->why), "hangs after line %d", r->line);
		else
			snprintf(r->why, sizeof(r->why), "died with wait status %#x after line %d", status, r->line);
	}
	t->pid = 0;
	if (r->state == FAILED_ && undecided(t)) {
		printf("# %s: a hook was passed over, as a gap told, so this proves nothing: %s\n", t->name, r->why);
		if (t->tries < TRIES && !(t->flags & EARLY)) {
			tried_again++;
			case_start(t);
			return;
		}
		atomic_store(&r->state, SKIPPED);
		snprintf(r->why, sizeof(r->why), "undecided: hooks were passed over in each of %d tries", t->tries);
	} else if (r->state == FAILED_ && second_chance(t)) {
		return;
	}
	report(t->name, r->state, r->asserts, r->why);
}

/* Takes in what ended; false when the recorder did. */
static bool reap(void)
{
	int status;
	pid_t pid;

	while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
		if (pid == recorder.pid) {
			recorder.pid = 0;
			printf("# the recorder ended by itself, wait status %#x\n", status);
			return false;
		}
		for_each_test(t) {
			if (t->pid == pid)
				case_ended(t, status);
		}
	}
	return true;
}

static int running(int flags)
{
	int n = 0;

	for_each_test(t)
		n += t->pid && !(t->flags & flags);
	return n;
}

static void kill_cases(void)
{
	for_each_test(t) {
		if (t->pid)
			kill(t->pid, SIGKILL);
	}
}

/* --- all of them ------------------------------------------------------------ */

static void start_early_cases(void)
{
	for_each_test(t) {
		if (t->flags & EARLY && is_chosen(t) && !(opt.no_slow && t->flags & SLOW))
			case_start(t);
	}
	for_each_test(t) {
		while (t->pid && !atomic_load(&t->result->set_up) && t->result->state == RUNNING)
			sleep_ms(5);
	}
}

/* The recorder is ready when it sees what we do. */
static bool wait_ready(void)
{
	int64_t deadline = now_ns(CLOCK_MONOTONIC) + 30 * 1000000000LL;
	const struct want w = { .proto = "udp", .port = FENCE_PORT };
	bool ready = false;

	netns_enter_new(&self.netns);	/* it stays, or its number would become another's */
	while (!ready && now_ns(CLOCK_MONOTONIC) < deadline && !atomic_load(&watch->ended)) {
		int fd = udp4();

		MUST(try_bind(fd, LO, FENCE_PORT));
		sleep_ms(100);
		close(fd);
		ready = count_leases(&w).all > 0;
	}
	MUST(setns(home, CLONE_NEWNET));
	atomic_store(&watch->ready, ready);
	return ready;
}

static bool run_cases(void)
{
	for_each_test(t) {
		if (!is_chosen(t) || t->flags & EARLY)
			continue;
		if (t->flags & SLOW && !opt.no_slow)
			case_start(t);
	}
	for_each_test(t) {
		if (!is_chosen(t) || t->flags & (EARLY | SLOW))
			continue;
		while (running(SLOW) >= opt.jobs) {
			if (!reap())
				return false;
			sleep_ms(2);
		}
		case_start(t);
	}
	while (running(0)) {
		if (!reap())
			return false;
		sleep_ms(5);
	}
	for_each_test(t) {
		if (is_chosen(t) && opt.no_slow && t->flags & SLOW)
			report(t->name, SKIPPED, 0, "slow, left out by --no-slow");
	}
	return true;
}

/* --- what must hold for the run as a whole ----------------------------------- */

/* One alloc, one release each, once all namespaces are gone.  Returns how many leases are not whole. */
static unsigned int count_loose(struct text *t)
{
	unsigned int loose = 0;

	watch_lock();
	for (uint32_t i = 0; i < watch->n_leases; i++) {
		const struct lease *l = &watch->leases[i];

		if (l->allocs + l->opens == 1 && l->releases == 1)
			continue;
		if (t && loose < 10)
			text_lease(t, l);
		loose++;
	}
	watch_unlock();
	return loose;
}

static void check_leftovers(void)
{
	struct text t = { 0 };
	int64_t deadline;
	unsigned int loose;
	char why[3200];

	for_each_test(test) {
		while (test->tries)
			close(test->netns[--test->tries]);
	}
	deadline = now_ns(CLOCK_MONOTONIC) + (self.patience_ms + 15000) * 1000000;
	while (count_loose(NULL) && !passed_by(deadline))
		;
	loose = count_loose(&t);
	snprintf(why, sizeof(why), "%u of %u leases without exactly one begin and one end, their namespaces being gone:%s", loose,
		 watch->n_leases, t.buf);
	report("every_lease_begins_and_ends_once", loose ? FAILED_ : PASSED, watch->n_leases, why);
}

static void check_stream(void)
{
	struct text t = { 0 };

	text_add(&t, "%u complaints", watch->n_complaints);
	for (uint32_t i = 0; i < MAX_COMPLAINTS && watch->complaints[i][0]; i++)
		text_add(&t, "\n#   %s", watch->complaints[i]);
	report("every_line_is_well_formed", watch->n_complaints || !watch->n_lines ? FAILED_ : PASSED, (unsigned int)watch->n_lines,
	       watch->n_lines ? t.buf : "not one line");
}

static void check_exit(int status)
{
	char why[64];

	snprintf(why, sizeof(why), "wait status %#x", status);
	report("the_recorder_stops_cleanly", status ? FAILED_ : PASSED, 1, why);
}

static int usage(int code)
{
	fprintf(code ? stderr : stdout,
		"usage: lifecycle [--portlife PATH] [--tier a|b|c] [--list] [--only NAME] [--no-slow] [--jobs N] [--emulated]\n");
	return code;
}

static void list_cases(void)
{
	for_each_test(t)
		printf("%s%s%s\n", t->name, t->flags & SLOW ? " (slow)" : "", t->flags & EARLY ? " (early)" : "");
}

/* 0, or what the program is to exit with; -1: go on. */
static int parse_args(int argc, char **argv)
{
	self.tier = 'c';
	for (int i = 1; i < argc; i++) {
		const char *value = i + 1 < argc ? argv[i + 1] : NULL;

		if (!strcmp(argv[i], "--help"))
			return usage(0);
		if (!strcmp(argv[i], "--list")) {
			list_cases();
			return 0;
		}
		if (!strcmp(argv[i], "--no-slow")) {
			opt.no_slow = true;
			continue;
		}
		if (!strcmp(argv[i], "--emulated")) {
			opt.emulated = true;
			continue;
		}
		if (!value)
			return usage(2);
		i++;
		if (!strcmp(argv[i - 1], "--portlife"))
			opt.portlife = value;
		else if (!strcmp(argv[i - 1], "--only"))
			opt.only = value;
		else if (!strcmp(argv[i - 1], "--jobs") && atoi(value) > 0)
			opt.jobs = atoi(value);
		else if (!strcmp(argv[i - 1], "--tier") && strlen(value) == 1 && strchr("abc", *value))
			self.tier = *value;
		else
			return usage(2);
	}
	return -1;
}

/* Results live in shared memory; the last one is the runner's own. */
static void init_results(void)
{
	struct result *r = mmap(NULL, sizeof(*r) * (N_TESTS + 1), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	if (r == MAP_FAILED)
		abort();
	for_each_test(t)
		t->result = r++;
	self.result = r;
	self.runs_cases = true;
	r->state = RUNNING;
}

int main(int argc, char **argv)
{
	const char *tier;
	int code = parse_args(argc, argv), status = -1;

	if (code >= 0)
		return code;
	if (geteuid()) {
		fprintf(stderr, "lifecycle: must be root\n");
		return 2;
	}
	tier = (const char []){ self.tier, 0 };
	watch_init();
	watch->allow_missed = true;	/* an emulated machine is slow enough to be interrupted in a program */
	init_results();
	self.patience_ms = PATIENCE_MS;
	home = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
	start_early_cases();
	if (recorder_start(&recorder, opt.portlife, tier) || !recorder_ready(&recorder, 180) || !wait_ready()) {
		printf("not ok - start: the recorder shows nothing\n");
		failed++;
	} else if (!run_cases()) {
		printf("not ok - run: cut short\n");
		failed++;
	} else {
		check_leftovers();
	}
	kill_cases();
	if (recorder.pid > 0) {
		status = recorder_stop(&recorder);
		check_exit(status);
		check_stream();
	}
	if (failed)
		recorder_show_stderr(&recorder);
	if (watch->n_missed)
		printf("# gaps because a hook was passed over: %u; cases run again for it: %u\n", watch->n_missed, tried_again);
	if (second_chances)
		printf("# cases that failed once under emulation: %u\n", second_chances);
	printf("%u passed, %u failed, %u skipped\n", passed, failed, skipped);
	return failed ? 1 : 0;
}
