// SPDX-License-Identifier: GPL-2.0
/*
 * The wall clock is set under a running recorder, by an hour, to 1970, to 2040 and back, and the machine sleeps: end to
 * end, on a machine that nobody else uses.
 *
 *   clock --set-the-clock [--portlife PATH] [--tier a|b|c]
 *
 * The load knows of each of its lives when it began and ended by the boot clock, which nobody sets, and which moments of
 * the wall clock it saw.  Held to: each lifetime is the boot clock's; `who PORT --at T` names the life that was there at
 * T by the clock of that time, on both sides of each step, and nobody else; the history notes each step, the log says it;
 * the counts agree; `report` adds up.
 */
#include <cjson/cJSON.h>
#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <netinet/in.h>
#include <signal.h>
#include <sqlite3.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "integration/check.h"

#define SEC 1000000000LL
#define MS 1000000LL
#define SLACK_US 250000		/* an emulated machine with two recorders */
#define SHARED 21000		/* taken in each era by another life */
#define CROSSING 22000		/* + era: taken in one era, freed in the next */
#define HELD 23000		/* from the first era to the last */
#define STEP_SAID "wall clock was set"

enum target { AHEAD, BEHIND, YEAR_1970, YEAR_2040, ASLEEP, TRUE_TIME };

static const struct era {
	const char *name;
	enum target target;
} eras[] = {
	{ "an hour ahead", AHEAD },  { "an hour back", BEHIND },    { "another hour back", BEHIND }, { "to 1970", YEAR_1970 },
	{ "to 2040", YEAR_2040 },    { "the machine sleeps", ASLEEP }, { "back to what it is", TRUE_TIME },
};
#define STEPS (sizeof(eras) / sizeof(*eras))

/* One socket; `seen`: moments at which it was there, by the wall clock of that moment. */
static struct life {
	uint16_t port;
	int fd;
	int64_t began, ended;		/* boot clock */
	int64_t seen[STEPS + 2];
	int n_seen;
} lives[64];

/* Moments at which nobody had the port. */
static struct nobody {
	uint16_t port;
	int64_t at;
} nobodies[32];

static int n_lives, n_nobodies;
static const char *portlife = "build/portlife", *tier = "auto";
static char dir[] = "/tmp/clock.XXXXXX", state[64];

static void die(const char *what)
{
	printf("not ok - %s: %s\n", what, strerror(errno));
	exit(1);
}

static int64_t clock_ns(clockid_t id)
{
	struct timespec t;

	clock_gettime(id, &t);
	return t.tv_sec * SEC + t.tv_nsec;
}

static int64_t wall(void)
{
	return clock_ns(CLOCK_REALTIME);
}

static void pause_ms(int64_t ms)
{
	struct timespec t = { ms / 1000, ms % 1000 * MS };

	while (nanosleep(&t, &t) && errno == EINTR)
		;
}

/* --- the load ----------------------------------------------------------------- */

static struct life *life_begin(uint16_t port)
{
	struct sockaddr_in at = { .sin_family = AF_INET, .sin_port = htons(port) };
	struct life *l = &lives[n_lives++];

	*l = (struct life){ .port = port, .fd = socket(AF_INET, SOCK_DGRAM, 0) };
	if (l->fd < 0 || bind(l->fd, (struct sockaddr *)&at, sizeof(at)))
		die("a port of the load");
	l->began = clock_ns(CLOCK_BOOTTIME);
	return l;
}

static void life_seen(struct life *l)
{
	l->seen[l->n_seen++] = wall();
}

static void life_end(struct life *l)
{
	close(l->fd);
	l->fd = -1;
	l->ended = clock_ns(CLOCK_BOOTTIME);
}

static void nobody_has(uint16_t port)
{
	nobodies[n_nobodies++] = (struct nobody){ port, wall() };
}

/* --- the clock ---------------------------------------------------------------- */

static void write_file(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY);

	if (fd < 0 || write(fd, text, strlen(text)) != (ssize_t)strlen(text))
		die(path);
	close(fd);
}

/* S3: from s2idle the real-time clock does not wake a machine of QEMU's. */
static void fall_asleep(void)
{
	int64_t monotonic = clock_ns(CLOCK_MONOTONIC), boot = clock_ns(CLOCK_BOOTTIME), slept;

	write_file("/sys/class/rtc/rtc0/wakealarm", "+3");
	write_file("/sys/power/state", "mem");
	slept = clock_ns(CLOCK_BOOTTIME) - boot - (clock_ns(CLOCK_MONOTONIC) - monotonic);
	check(slept > SEC, "the machine slept", "for %lld ms", (long long)(slept / MS));
}

static void step(const struct era *era, int64_t true_offset)
{
	int64_t to = wall();
	struct timespec t;

	switch (era->target) {
	case AHEAD:
		to += 3600 * SEC;
		break;
	case BEHIND:
		to -= 3600 * SEC;
		break;
	case YEAR_1970:
		to = clock_ns(CLOCK_MONOTONIC) + 2 * SEC;	/* the kernel takes nothing before that */
		break;
	case YEAR_2040:
		to = 2208988800LL * SEC;
		break;
	case TRUE_TIME:
		to = clock_ns(CLOCK_BOOTTIME) + true_offset;
		break;
	case ASLEEP:
		fall_asleep();
		return;
	}
	t = (struct timespec){ to / SEC, to % SEC };
	if (clock_settime(CLOCK_REALTIME, &t))
		die(era->name);
}

/* --- what portlife says ------------------------------------------------------- */

/* Its pid; stdout and stderr go to DIR/NAME.out and .err. */
static pid_t run_begin(const char *name, const char *const *args)
{
	const char *argv[24] = { portlife };
	char out[96], err[96];
	pid_t pid;

	for (int i = 0; args[i]; i++)
		argv[i + 1] = args[i];
	snprintf(out, sizeof(out), "%s/%s.out", dir, name);
	snprintf(err, sizeof(err), "%s/%s.err", dir, name);
	fflush(stdout);
	pid = fork();
	if (pid)
		return pid;
	if (!freopen(out, "w", stdout) || !freopen(err, "w", stderr))
		_exit(126);
	execv(portlife, (char *const *)argv);
	_exit(127);
}

static int run_end(pid_t pid)
{
	int status;

	if (waitpid(pid, &status, 0) != pid)
		die("waitpid");
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

static char *text_of(const char *name)
{
	static char text[1 << 20];
	char path[96];
	FILE *f;
	size_t n;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	f = fopen(path, "r");
	n = f ? fread(text, 1, sizeof(text) - 1, f) : 0;
	if (f)
		fclose(f);
	text[n] = '\0';
	return text;
}

static int count_text(const char *text, const char *word)
{
	int n = 0;

	while ((text = strstr(text, word))) {
		text += strlen(word);
		n++;
	}
	return n;
}

/* Until it has said that so many times. */
static void wait_for(const char *name, const char *word, int times)
{
	int64_t until = clock_ns(CLOCK_BOOTTIME) + 60 * SEC;

	while (count_text(text_of(name), word) < times) {
		if (clock_ns(CLOCK_BOOTTIME) > until) {
			printf("not ok - '%s' does not say '%s' %d times: %s\n", name, word, times, text_of(name));
			exit(1);
		}
		pause_ms(50);
	}
}

static const char *at_text(int64_t at, char buf[40])
{
	snprintf(buf, 40, "@%lld.%09lld", (long long)(at / SEC), (long long)(at % SEC));
	return buf;
}

static double number(const cJSON *o, const char *key)
{
	const cJSON *v = cJSON_GetObjectItemCaseSensitive(o, key);

	return cJSON_IsNumber(v) ? v->valuedouble : -1;
}

static bool about(double us, int64_t ns)
{
	double off = us - (double)ns / 1000;

	return off > -SLACK_US && off < SLACK_US;
}

/* Whether the answer names exactly this life (NULL: nobody); `ended` says whether its end must be known. */
static bool right(const cJSON *answer, const struct life *l, bool ended)
{
	const cJSON *held = cJSON_GetObjectItemCaseSensitive(answer, "held");
	double us;

	if (!cJSON_IsArray(held) || cJSON_GetArraySize(held) != !!l)
		return false;
	if (!l)
		return true;
	us = number(cJSON_GetArrayItem(held, 0), "duration_us");
	return number(cJSON_GetArrayItem(held, 0), "pid") == getpid() && (ended ? about(us, l->ended - l->began) : us < 0);
}

static bool who_is(const char *when, const struct life *l, uint16_t port, int64_t at, bool ended)
{
	char number_text[8], at_buf[40];
	const char *args[] = { "who", number_text, "--at", at_text(at, at_buf), "-o", "json", "--state-dir", state, NULL };
	int status;
	cJSON *answer;
	bool good;

	snprintf(number_text, sizeof(number_text), "%u", port);
	status = run_end(run_begin("who", args));
	answer = cJSON_Parse(text_of("who.out"));
	good = (l ? status == 0 : status == 1 || status == 3) && right(answer, l, ended);
	if (!good) {
		printf("# %s: who %u --at %s, exit %d: %.1500s", when, port, at_buf, status, text_of("who.out"));
		printf("# %s", text_of("who.err"));
	}
	cJSON_Delete(answer);
	return good;
}

/* The moments seen so far, of all lives or of the last three and the one that is held. */
static void ask(const char *when, bool all)
{
	int wrong = 0, asked = 0;
	char name[96];

	for (int i = 0; i < n_lives; i++)
		for (int k = 0; k < lives[i].n_seen && (all || i == 0 || i > n_lives - 4); k++, asked++)
			wrong += !who_is(when, &lives[i], lives[i].port, lives[i].seen[k], lives[i].ended);
	for (int i = all ? 0 : n_nobodies - 3; i < n_nobodies; i++, asked++)
		wrong += !who_is(when, NULL, nobodies[i].port, nobodies[i].at, true);
	snprintf(name, sizeof(name), "%s: who PORT --at T of moments on both sides of each step", when);
	check(!wrong, name, "%d of %d answers are wrong", wrong, asked);
}

/* --- one era ------------------------------------------------------------------ */

static struct life *held, *crossing;

static void live_an_era(unsigned int era)
{
	struct life *l;

	if (crossing)
		life_seen(crossing);
	life_seen(held);
	nobody_has(SHARED);
	pause_ms(50);
	l = life_begin(SHARED);
	pause_ms(150);
	life_seen(l);
	pause_ms(50);
	life_end(l);
	pause_ms(50);
	nobody_has(SHARED);
	if (crossing)
		life_end(crossing);
	crossing = era < STEPS ? life_begin((uint16_t)(CROSSING + era)) : NULL;
	pause_ms(50);
	if (crossing)
		life_seen(crossing);
}

/* --- afterwards --------------------------------------------------------------- */

static const struct life *life_of(uint16_t port, double us)
{
	for (int i = 0; i < n_lives; i++)
		if (lives[i].port == port && about(us, lives[i].ended - lives[i].began))
			return &lives[i];
	return NULL;
}

static void check_trace(void)
{
	int released = 0, wrong = 0;

	for (char *line = strtok(text_of("trace.out"), "\n"); line; line = strtok(NULL, "\n")) {
		cJSON *ev = cJSON_Parse(line);
		const cJSON *kind = cJSON_GetObjectItemCaseSensitive(ev, "event");

		if (cJSON_IsString(kind) && !strcmp(kind->valuestring, "port.release") && number(ev, "pid") == getpid()) {
			released++;
			if (!life_of((uint16_t)number(ev, "port"), number(ev, "duration_us"))) {
				printf("# trace: %s\n", line);
				wrong++;
			}
		}
		cJSON_Delete(ev);
	}
	check(released == n_lives && !wrong, "trace tells each end once, with the lifetime of the boot clock",
	      "%d ends of %d lives, %d wrong", released, n_lives, wrong);
}

static void check_tally(const char *name)
{
	unsigned long long allocs = 0, releases = 0, fails = 0, live = 0, lost = 1, opens = 0;
	char file[32], title[80], *line;

	snprintf(file, sizeof(file), "%s.err", name);
	snprintf(title, sizeof(title), "%s: allocations + found held - releases = live, nothing lost", name);
	line = strstr(text_of(file), "\nportlife: allocs ");
	if (line)
		sscanf(line, "\nportlife: allocs %llu, releases %llu, fails %llu, live %llu, lost %llu (held before the start %llu", &allocs,
		       &releases, &fails, &live, &lost, &opens);
	check(!lost && allocs + opens == releases + live && allocs >= (unsigned int)n_lives, title, "%s", line ? line : "no tally");
}

static int count_row(void *arg, int n, char **values, char **names)
{
	int *sum = arg;

	*sum += values[0] ? atoi(values[0]) : 0;
	return 0;
}

/* The sum of what the query gives over all files. */
static int ask_sql(const char *sql)
{
	char pattern[96];
	glob_t files;
	int sum = 0;

	snprintf(pattern, sizeof(pattern), "%s/*.db", state);
	if (glob(pattern, 0, NULL, &files))
		die("no history");
	for (size_t i = 0; i < files.gl_pathc; i++) {
		char *why = NULL;
		sqlite3 *db;

		if (strstr(files.gl_pathv[i], "minutes"))
			continue;
		if (sqlite3_open_v2(files.gl_pathv[i], &db, SQLITE_OPEN_READONLY, NULL) || sqlite3_exec(db, sql, count_row, &sum, &why)) {
			printf("# %s: %s\n", files.gl_pathv[i], why ? why : sqlite3_errmsg(db));
			sum = -1000000;
		}
		sqlite3_free(why);
		sqlite3_close(db);
	}
	globfree(&files);
	return sum;
}

static void check_history(void)
{
	int wrong = 0, n;
	char sql[256];

	for (int i = 0; i < n_lives; i++) {
		int64_t us = (lives[i].ended - lives[i].began) / 1000;

		snprintf(sql, sizeof(sql),
			 "SELECT count(*) FROM leases WHERE ended IS NOT NULL AND pid=%d AND port=%u AND duration_us BETWEEN %lld AND %lld",
			 getpid(), lives[i].port, (long long)us - SLACK_US, (long long)us + SLACK_US);
		n = ask_sql(sql);
		wrong += lives[i].port == SHARED ? n < 1 : n != 1;
	}
	check(!wrong, "each life is in the history with the lifetime of the boot clock", "%d are not", wrong);
	snprintf(sql, sizeof(sql), "SELECT count(*) FROM leases WHERE ended IS NOT NULL AND pid=%d", getpid());
	n = ask_sql(sql);
	check(n == n_lives, "and each once", "%d of %d", n, n_lives);
	n = ask_sql("SELECT count(*) FROM leases WHERE duration_us<0 OR ended<start OR closed<start");
	check(!n, "none is negative", "%d are", n);
	n = ask_sql("SELECT count(*) FROM step");
	check(n == (int)STEPS - 1, "the history notes each step, and that sleeping is none", "%d of %d", n, (int)STEPS - 1);
	/* Where an interrupt fell into a program, the kernel passed over one: that has nothing to do with clocks. */
	n = ask_sql("SELECT count(*) FROM gap WHERE cause<>'missed'");
	check(!n, "and no gap", "%d: %s", n, text_of("record.err"));
}

static int negatives(const cJSON *v)
{
	int n = cJSON_IsNumber(v) && v->valuedouble < 0;

	for (const cJSON *c = v->child; c; c = c->next)
		n += negatives(c);
	return n;
}

static void check_report(void)
{
	const char *args[] = { "report", "--since", "@0.000000001", "--until", "@2209000000", "-o", "json", "--state-dir", state, NULL };
	int status = run_end(run_begin("report", args));
	cJSON *report = cJSON_Parse(text_of("report.out"));
	const cJSON *leases = cJSON_GetObjectItemCaseSensitive(report, "leases"), *longest = cJSON_GetObjectItemCaseSensitive(report, "held");

	check((status == 0 || status == 3) && report && !negatives(report), "report of all eras", "exit %d: %.600s %s", status,
	      text_of("report.out"), text_of("report.err"));
	check(number(leases, "ended") >= n_lives && about(number(longest, "max_us"), held->ended - held->began),
	      "its longest life is the one that crossed all, as long as it was", "%.0f ended, the longest %.0f us, not %lld",
	      number(leases, "ended"), number(longest, "max_us"), (long long)(held->ended - held->began) / 1000);
	cJSON_Delete(report);
	args[5] = NULL;
	status = run_end(run_begin("report", (const char *[]){ "report", "--since", "@0.000000001", "--until", "@2209000000",
							       "--state-dir", state, NULL }));
	check(status == 0 || status == 3, "and as a text", "exit %d: %s", status, text_of("report.err"));
}

static int usage(void)
{
	fprintf(stderr, "usage: clock --set-the-clock [--portlife PATH] [--tier a|b|c]\n");
	return 2;
}

int main(int argc, char **argv)
{
	int64_t true_offset = clock_ns(CLOCK_REALTIME) - clock_ns(CLOCK_BOOTTIME);
	pid_t record, trace;
	bool willing = false;
	int status, steps = 0;

	for (int i = 1; i < argc; i++) {
		if (!strcmp(argv[i], "--set-the-clock"))
			willing = true;
		else if (!strcmp(argv[i], "--portlife") && i + 1 < argc)
			portlife = argv[++i];
		else if (!strcmp(argv[i], "--tier") && i + 1 < argc)
			tier = argv[++i];
		else
			return usage();
	}
	if (!willing)
		return usage();
	setvbuf(stdout, NULL, _IOLBF, 0);
	if (!mkdtemp(dir))
		die(dir);
	snprintf(state, sizeof(state), "%s/state", dir);
	record = run_begin("record", (const char *[]){ "record", "--state-dir", state, "--tier", tier, NULL });
	trace = run_begin("trace", (const char *[]){ "trace", "-o", "jsonl", "--tier", tier, NULL });
	wait_for("record.err", "recording to", 1);
	wait_for("trace.err", "recording", 1);

	held = life_begin(HELD);
	live_an_era(0);
	for (unsigned int i = 0; i < STEPS; i++) {
		pause_ms(2000);	/* what has ended is in the history within a second */
		step(&eras[i], true_offset);
		steps += eras[i].target != ASLEEP;
		wait_for("record.err", STEP_SAID, steps);
		pause_ms(500);	/* the clock is looked at four times a second: trace has seen it, too */
		live_an_era(i + 1);
		if (eras[i].target == YEAR_2040) {
			pause_ms(2000);
			ask("in 2040", false);
		}
	}
	life_end(held);
	pause_ms(2000);
	kill(trace, SIGINT);
	kill(record, SIGTERM);
	status = run_end(trace);
	check(status == 0, "trace ends well", "%d: %s", status, text_of("trace.err"));
	status = run_end(record);
	check(status == 0, "record ends well", "%d: %s", status, text_of("record.err"));
	ask("with the recorder gone", true);
	check_trace();
	check_tally("trace");
	check_tally("record");
	check_history();
	check(count_text(text_of("record.err"), STEP_SAID) == (int)STEPS - 1, "the log says each step", "%s", text_of("record.err"));
	check_report();
	printf("%u passed, %u failed, 0 skipped\n", passed, failed);
	return failed != 0;
}
