// SPDX-License-Identifier: GPL-2.0
/*
 * Whoever records does not stop for want of metrics or of a summary: each call that makes them fails, one after the other, and
 * always, in a real `portlife record` within this process.
 *
 *   record_faults [--tier a|b|c]
 *
 * Held to after each: it ends well, what failed is said once and that it works again, the metrics count it, and no memory and no
 * descriptor is left.  The summaries add up although one of them could not be made.  Meanwhile its configuration is read again,
 * which also by itself must leave nothing behind, however often.
 */
#define FAULTY_STACK 16
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include "unit/faulty.h"

#include <signal.h>
#include <sys/epoll.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "cmd/cmd.h"
#include "cmd/record.h"
#include "integration/udp.h"

#define MS 1000000LL

static char *tier = (char *)"c";
static char dir[] = "/tmp/portlife-record-faults-XXXXXX";
static char state[64], prom[64], text[64], conf[64];
static int64_t ahead;	/* by which the clocks run ahead: a second takes no second here */
static enum faulty_manner manner;

int clock_gettime(clockid_t id, struct timespec *t)
{
	int err = (int)syscall(SYS_clock_gettime, id, t);
	int64_t ns = t->tv_nsec + (id == CLOCK_BOOTTIME || id == CLOCK_REALTIME ? ahead : 0);

	t->tv_sec += ns / 1000000000;
	t->tv_nsec = ns % 1000000000;
	return err;
}

static unsigned int turns;		/* of the recorder's loop */
static unsigned int turns_max, reload_every;
static bool both_forms;
static long blocks_at[3];		/* memory in use after so many times RELOADS_STEP of them */
static unsigned int fds_at[3];

#define RELOADS_STEP 200

/* Strings of another length each time, and perhaps another form of the log. */
static void conf_write(unsigned int turn)
{
	char line[128];
	int len = snprintf(line, sizeof(line), "log-format = %s\nwarn-exhaustion = %umin\n", both_forms && turn % 2 ? "json" : "logfmt",
			   turn * turn + 1);
	int fd = open(conf, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	faulty_check(fd >= 0 && write(fd, line, (size_t)len) == len && !close(fd));
}

int epoll_wait(int fd, struct epoll_event *ev, int n, int ms)
{
	ahead += 250 * MS;
	if (++turns % reload_every == 0) {
		conf_write(turns);
		kill(getpid(), SIGHUP);
	}
	if (turns == turns_max)
		kill(getpid(), SIGTERM);
	for (unsigned int i = 0; i < 3; i++)
		if (turns == (i + 1) * RELOADS_STEP) {
			blocks_at[i] = faulty_blocks.n;
			fds_at[i] = fds_open();
		}
	return (int)syscall(SYS_epoll_pwait, fd, ev, n, ms, NULL, 0);
}

/* Only in these calls something fails: the linker puts ours before those of the program (--wrap). */
void __real_record_metrics_tick(struct record *r, int64_t now);
void __wrap_record_metrics_tick(struct record *r, int64_t now);
int __real_tally_look(const struct tally_opts *opts, const struct lease_table *live, struct tally *ret);
int __wrap_tally_look(const struct tally_opts *opts, const struct lease_table *live, struct tally *ret);

void __wrap_record_metrics_tick(struct record *r, int64_t now)
{
	faulty.manner = manner;
	__real_record_metrics_tick(r, now);
	faulty.manner = FAULTY_OFF;
}

int __wrap_tally_look(const struct tally_opts *opts, const struct lease_table *live, struct tally *ret)
{
	enum faulty_manner before = faulty.manner;
	int err;

	faulty.manner = manner;
	err = __real_tally_look(opts, live, ret);
	faulty.manner = before;
	return err;
}

/* A process that has given up its rights records only once. */
int __wrap_privilege_drop(const struct privilege_user *user);
int __wrap_privilege_drop(const struct privilege_user *user)
{
	return 0;
}

static int status;

static void record_for(unsigned int so_many_turns)
{
	char *argv[] = { (char *)"record", (char *)"--tier", tier, (char *)"--state-dir", state, (char *)"--metrics-textfile", prom,
			 (char *)"--metrics-interval", (char *)"1s", (char *)"--summary-interval", (char *)"1s", (char *)"--log-file", text, (char *)"--config", conf, NULL };

	manner = faulty.manner;
	faulty.manner = FAULTY_OFF;
	faulty.thread = pthread_self();
	turns_max = so_many_turns;
	status = cmd_record((int)(sizeof(argv) / sizeof(*argv)) - 1, argv);
	manner = FAULTY_OFF;
}

static void record(void)
{
	record_for(14);
}

static void before(void)
{
	unlink(text);
	unlink(prom);
	turns = 0;
	reload_every = 5;
	both_forms = false;
	conf_write(0);
}

/* How often `word` stands in the file; the sum of the numbers behind it. */
static unsigned int count(const char *path, const char *word, uint64_t *sum)
{
	static char all[1 << 20];
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t len = fd < 0 ? -1 : read(fd, all, sizeof(all) - 1);
	unsigned int n = 0;

	faulty_check(len >= 0);
	all[len] = '\0';
	close(fd);
	*sum = 0;
	for (const char *at = all; (at = strstr(at, word)); n++) {
		at += strlen(word);
		*sum += strtoull(at, NULL, 10);
	}
	return n;
}

static unsigned int metrics_failed, summaries_failed, ends_failed, made_again;

static void judge(void)
{
	uint64_t failed, sum, released, none;
	unsigned int again;
	bool always = faulty.last == FAULTY_ALWAYS;
	unsigned int said = count(text, "the metrics cannot be made: ", &none), no_summary = count(text, "a summary cannot be made: ", &none);

	metrics_failed += said;
	summaries_failed += no_summary;
	faulty_check(said <= 1 && no_summary <= 1);
	faulty_check(count(text, "output failed", &none) == 0);
	faulty_check(status == 0 || (status == EXIT_STORE && no_summary));	/* then the last one is missing */
	ends_failed += status != 0;
	/* In the text of each summary, and in that of the totals. */
	faulty_check(count(text, " releases=", &sum) && count(text, ", releases ", &released) && (status || released == 2 * sum));
	if (always)
		return;
	again = count(text, "the metrics are made again", &none);
	faulty_check(again <= said);	/* not where those of the end fail */
	faulty_check(count(prom, "\nportlife_metrics_failures_total ", &failed) == 1 && failed == again);
	made_again += again;
}

static void test_without_memory(void **state_)
{
	const int codes[] = { 0 };

	setenv("FAULTY_ALL", "1", 1);
	faulty_each(before, record, judge, codes);
	assert_true(metrics_failed > 10 && made_again > 4 && summaries_failed > 4 && ends_failed > 0);
}

/* The log's thread opens its file when it comes to it, and what has come of events is at hand: not to the last block. */
static void test_reloads(void **state_)
{
	uint64_t none;

	before();
	reload_every = 1;
	both_forms = true;
	record_for(3 * RELOADS_STEP + 1);
	assert_int_equal(status, 0);
	assert_true(turns > 3 * RELOADS_STEP);
	assert_true(count(text, "the configuration was read again", &none) > 2 * RELOADS_STEP);
	print_message("blocks of memory %ld, %ld, %ld, descriptors %u, %u, %u\n", blocks_at[0], blocks_at[1], blocks_at[2], fds_at[0],
		      fds_at[1], fds_at[2]);
	assert_true(blocks_at[2] < blocks_at[1] + RELOADS_STEP / 2 && fds_at[2] <= fds_at[1] + 2);
}

static int set_up(void **state_)
{
	if (!mkdtemp(dir))
		return -1;
	snprintf(state, sizeof(state), "%s/state", dir);
	snprintf(prom, sizeof(prom), "%s/metrics.prom", dir);
	snprintf(text, sizeof(text), "%s/log", dir);
	snprintf(conf, sizeof(conf), "%s/conf", dir);
	return 0;
}

static int tear_down(void **state_)
{
	char *argv[] = { (char *)"rm", (char *)"-rf", dir, NULL };
	pid_t pid = fork();

	if (!pid) {
		execvp(*argv, argv);
		_exit(1);
	}
	return waitpid(pid, NULL, 0) != pid;
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_without_memory), cmocka_unit_test(test_reloads) };
	int failed;

	if (argc == 3 && !strcmp(argv[1], "--tier")) {
		tier = argv[2];
	} else if (argc != 1) {
		fprintf(stderr, "usage: record_faults [--tier a|b|c]\n");
		return 2;
	}
	signal(SIGPIPE, SIG_IGN);
	failed = cmocka_run_group_tests(tests, set_up, tear_down);
	printf("%d passed, %d failed, 0 skipped\n", (int)(sizeof(tests) / sizeof(*tests)) - failed, failed);
	return failed ? 1 : 0;
}
