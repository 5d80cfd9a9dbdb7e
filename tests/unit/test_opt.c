// SPDX-License-Identifier: GPL-2.0
/*
 * The option table as parser, help and dump: every type, every refusal with
 * the name of what is wrong, and exact names only.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/opt.h"

struct values {
	struct common_opts common;
	bool fails, snapshot;
	const char *comm;
	uint32_t pid;
	struct ports ports;
	int64_t duration, since, until;
	uint64_t ring;
	int tier;
	char called[32];
	int argc;
	char *argv[24];
	char err[512], out[8192];
};

static int call_word(const char *arg, void *value, char *why, size_t why_size)
{
	if (!strcmp(arg, "bad")) {
		snprintf(why, why_size, "'%s' is bad", arg);
		return -EINVAL;
	}
	if (!strcmp(arg, "mute"))
		return -EINVAL;
	snprintf(value, 32, "%s", arg);
	return 0;
}

static const struct opt_word tiers[] = { { "auto", 0 }, { "a", 1 }, { "b", 2 }, { NULL, 0 } };

static int run_table(struct values *v, int min, int max, int (*use)(const struct opt_cmd *, struct values *))
{
	const struct opt opts[] = {
		OPT_FLAG("fails", &v->fails, "only failures"),
		OPT_FLAG("snapshot", &v->snapshot, "list what is held [on]"),
		OPT_UNSET("no-snapshot", &v->snapshot, "do not"),
		OPT_STR("comm", "NAME", &v->comm, "only this command"),
		OPT_U32("pid", "PID", &v->pid, 1, 4194304, "only this process"),
		OPT_PORTS("port", &v->ports, "only these ports"),
		OPT_SPAN_SOME("duration", &v->duration, "stop by itself"),
		OPT_TIME("since", &v->since, "from then on"),
		OPT_TIME("until", &v->until, "up to then"),
		OPT_SIZE("ring-size", &v->ring, "size of the ring buffer [4M]"),
		OPT_WORD("tier", &v->tier, tiers, "which hooks, a very long explanation that has to be broken somewhere before the edge [auto]"),
		OPT_CALL("call", "THING", call_word, v->called, "calls"),
		OPT_COMMON(&v->common),
		OPT_END,
	};
	const struct opt_cmd cmd = {
		.name = "test", .args = max ? "PORT" : NULL, .about = "tests options", .more = "more help\n",
		.opts = opts, .min_args = min, .max_args = max,
	};

	return use(&cmd, v);
}

static int use_parse(const struct opt_cmd *cmd, struct values *v)
{
	return opt_parse(cmd, &v->argc, v->argv);
}

static FILE *redirect(int fd, int *saved)
{
	FILE *file = tmpfile();

	assert_non_null(file);
	fflush(stdout);
	*saved = dup(fd);
	dup2(fileno(file), fd);
	return file;
}

static void restore(FILE *file, int fd, int saved, char *buf, size_t size)
{
	size_t n;

	fflush(stdout);
	dup2(saved, fd);
	close(saved);
	rewind(file);
	n = fread(buf, 1, size - 1, file);
	buf[n] = '\0';
	fclose(file);
}

/* Parses `line`, split at '|', with min and max operands; outputs land in v. */
static int parse_n(struct values *v, int min, int max, const char *line)
{
	static char copy[1024];	/* strings of the values borrow from it */
	int saved_out, saved_err, ret;
	FILE *out, *err;

	memset(v, 0, sizeof(*v));
	v->common = (struct common_opts)COMMON_OPTS_INIT;
	v->snapshot = true;
	v->argv[v->argc++] = strcpy(copy, "test");
	snprintf(copy + 8, sizeof(copy) - 8, "%s", line);
	for (char *p = copy + 8; *line && p; ) {
		v->argv[v->argc++] = strsep(&p, "|");
		assert_true(v->argc < 23);
	}
	out = redirect(STDOUT_FILENO, &saved_out);
	err = redirect(STDERR_FILENO, &saved_err);
	ret = run_table(v, min, max, use_parse);
	restore(err, STDERR_FILENO, saved_err, v->err, sizeof(v->err));
	restore(out, STDOUT_FILENO, saved_out, v->out, sizeof(v->out));
	return ret;
}

static int parse(struct values *v, const char *line)
{
	return parse_n(v, 0, -1, line);
}

static void test_all_types(void **state)
{
	struct values v;

	assert_int_equal(parse(&v, "--fails|--no-snapshot|--comm|nginx|--pid=12|--port|80,443|--port=1-3|--duration|2min|--ring-size|16M|"
				   "--tier|b|--call|x=y|-o|jsonl|--no-header|--utc|--state-dir=/tmp/x"), 0);
	assert_true(v.fails && !v.snapshot && !v.common.header && v.common.utc);
	assert_string_equal(v.comm, "nginx");
	assert_string_equal(v.common.state_dir, "/tmp/x");
	assert_string_equal(v.called, "x=y");
	assert_int_equal(v.pid, 12);
	assert_int_equal(v.ports.count, 5);
	assert_true(v.duration == 120000000000);
	assert_int_equal(v.ring, 16777216);
	assert_int_equal(v.tier, 2);
	assert_int_equal(v.common.output, OUT_JSONL);
	assert_int_equal(v.argc, 1);
	assert_string_equal(v.err, "");
}

static void test_defaults_stay(void **state)
{
	struct values v;

	assert_int_equal(parse(&v, ""), 0);
	assert_true(!v.fails && v.snapshot && v.common.header && !v.common.utc);
	assert_int_equal(v.common.output, OUT_TABLE);
	assert_int_equal(v.common.color, COLOR_AUTO);
	assert_string_equal(v.common.state_dir, "/var/lib/portlife");
}

static void test_forms(void **state)
{
	struct values v;

	assert_int_equal(parse(&v, "-ocsv"), 0);
	assert_int_equal(v.common.output, OUT_CSV);
	assert_int_equal(parse(&v, "--comm|--fails"), 0);	/* a value may look like an option */
	assert_string_equal(v.comm, "--fails");
	assert_false(v.fails);
	assert_int_equal(parse(&v, "--comm=a=b"), 0);
	assert_string_equal(v.comm, "a=b");
	assert_int_equal(parse(&v, "--no-snapshot|--snapshot"), 0);
	assert_true(v.snapshot);
}

static void test_operands(void **state)
{
	struct values v;

	assert_int_equal(parse(&v, "60303|--fails|b|--|--fails|-"), 0);
	assert_int_equal(v.argc, 5);
	assert_string_equal(v.argv[1], "60303");
	assert_string_equal(v.argv[2], "b");
	assert_string_equal(v.argv[3], "--fails");
	assert_string_equal(v.argv[4], "-");
	assert_int_equal(parse_n(&v, 1, 1, "--fails"), -EINVAL);
	assert_string_equal(v.err, "portlife: PORT is missing; see 'portlife test --help'\n");
	assert_int_equal(parse_n(&v, 1, 1, "a|b"), -EINVAL);
	assert_string_equal(v.err, "portlife: unexpected argument 'b'; see 'portlife test --help'\n");
	assert_int_equal(parse_n(&v, 0, 0, "a"), -EINVAL);
}

/* Times depend on --utc wherever it stands. */
static void test_times(void **state)
{
	struct values v;
	int64_t ago;

	setenv("TZ", "XXX-2", 1);
	assert_int_equal(parse(&v, "--since|2026-11-21 04:10:00|--utc|--until|-15min"), 0);
	assert_true(v.since == 1795234200000000000);
	ago = clock_unix_ns() - v.until;
	assert_true(ago >= 900000000000 && ago < 960000000000);
	assert_int_equal(parse(&v, "--since|2026-11-21 04:10:00"), 0);
	assert_true(v.since == 1795227000000000000);
	assert_int_equal(parse(&v, "--since|@0|--until|1970-01-01|--utc"), 0);
	assert_true(v.since == 1 && v.until == 1);	/* given: not what stands for none */
	unsetenv("TZ");
}

static void check_refused(const char *line, const char *want)
{
	struct values v;

	assert_int_equal(parse(&v, line), -EINVAL);
	if (!strstr(v.err, want) || strncmp(v.err, "portlife: ", 10))
		fail_msg("'%s' is refused with '%s', which does not say '%s'", line, v.err, want);
	assert_ptr_equal(strchr(v.err, '\n'), v.err + strlen(v.err) - 1);
	assert_string_equal(v.out, "");
}

static void test_refusals(void **state)
{
	check_refused("--foo", "unknown option '--foo'");
	check_refused("--fail", "unknown option '--fail'");	/* no prefixes */
	check_refused("--failsx", "unknown option '--failsx'");
	check_refused("-x", "unknown option '-x'");
	check_refused("-5", "unknown option '-5'");
	check_refused("--comm", "option '--comm' needs a value; see");
	check_refused("-o", "option '--output' needs a value; see");
	check_refused("--fails=yes", "option '--fails' takes no value");
	check_refused("--comm=", "option '--comm' needs a value");
	check_refused("--pid|x", "option '--pid': 'x' is not a number from 1 to 4194304");
	check_refused("--pid|0", "'0' is not a number from 1");
	check_refused("--port|70000", "option '--port': port '70000' is above 65535");
	check_refused("--duration|0", "option '--duration': '0' is no time at all");
	check_refused("--duration|soon", "option '--duration': 'soon' is not a span");
	check_refused("--duration|999y", "'999y' is out of range for a span");
	check_refused("--since|whenever", "option '--since': 'whenever' is not a time");
	check_refused("--ring-size|big", "option '--ring-size': 'big' is not a size");
	check_refused("--tier|z", "option '--tier': 'z' is none of auto, a, b");
	check_refused("-o|xml", "option '--output': 'xml' is none of table, jsonl, csv, json");
	check_refused("--call|bad", "option '--call': 'bad' is bad");
	check_refused("--call|mute", "option '--call': 'mute' is not a THING");
	check_refused("--comm\x1b[2J", "unknown option '--comm\\x1b[2J'");
}

static void test_help(void **state)
{
	struct values v;

	assert_int_equal(parse_n(&v, 1, 1, "-h"), OPT_HELPED);
	assert_int_equal(parse_n(&v, 1, 1, "--help"), OPT_HELPED);
	assert_string_equal(v.err, "");
	assert_ptr_equal(strstr(v.out, "usage: portlife test [OPTION...] PORT\ntests options\n"), v.out);
	assert_non_null(strstr(v.out, "\n      --no-snapshot "));
	assert_non_null(strstr(v.out, "\n  -o, --output table|jsonl|csv|json\n"));
	assert_non_null(strstr(v.out, "\nmore help\n"));
	for (char *line = strtok(v.out, "\n"); line; line = strtok(NULL, "\n"))
		assert_true(strlen(line) <= 80);
}

static int use_help_full(const struct opt_cmd *cmd, struct values *v)
{
	FILE *full = fopen("/dev/full", "w");
	int err = opt_help(cmd, full);

	fclose(full);
	return err;
}

static void test_help_on_full_disk(void **state)
{
	struct values v = { 0 };

	assert_int_equal(run_table(&v, 0, 0, use_help_full), -EIO);
}

static void test_dump(void **state)
{
	struct values v;

	assert_int_equal(parse_n(&v, 0, 1, "--dump-options"), OPT_HELPED);
	assert_ptr_equal(strstr(v.out, "command\ttest\tPORT\ttests options\noption\tfails\t\tflag\t\t\tonly failures\n"), v.out);
	assert_non_null(strstr(v.out, "option\tpid\t\tnumber\tPID\t\tonly this process\n"));
	assert_non_null(strstr(v.out, "option\toutput\to\tword\tFORMAT\ttable|jsonl|csv|json\tformat of the answer [table]\n"));
	assert_non_null(strstr(v.out, "option\thelp\th\tflag\t\t\tshow this help\n"));
}

static void test_color(void **state)
{
	struct common_opts c = COMMON_OPTS_INIT;
	FILE *file = tmpfile();

	setenv("TERM", "xterm", 1);
	unsetenv("NO_COLOR");
	assert_false(opt_use_color(&c, file));	/* no terminal */
	c.color = COLOR_ALWAYS;
	assert_true(opt_use_color(&c, file));
	setenv("NO_COLOR", "1", 1);
	assert_true(opt_use_color(&c, file));	/* the command line is nearer */
	c.color = COLOR_NEVER;
	assert_false(opt_use_color(&c, file));
	unsetenv("NO_COLOR");
	fclose(file);
}

/* On a terminal of our own: auto colours it, NO_COLOR and a dumb one do not. */
static void test_color_on_terminal(void **state)
{
	struct common_opts c = COMMON_OPTS_INIT;
	int master = posix_openpt(O_RDWR | O_NOCTTY);
	FILE *tty;

	if (master < 0 || grantpt(master) || unlockpt(master)) {
		print_message("SKIP: no pseudo terminal\n");
		skip();
	}
	tty = fopen(ptsname(master), "w");
	assert_non_null(tty);
	setenv("TERM", "xterm", 1);
	assert_true(opt_use_color(&c, tty));
	setenv("NO_COLOR", "", 1);	/* empty counts as not set, no-color.org */
	assert_true(opt_use_color(&c, tty));
	setenv("NO_COLOR", "1", 1);
	assert_false(opt_use_color(&c, tty));
	unsetenv("NO_COLOR");
	setenv("TERM", "dumb", 1);
	assert_false(opt_use_color(&c, tty));
	fclose(tty);
	close(master);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_all_types), cmocka_unit_test(test_defaults_stay), cmocka_unit_test(test_forms),
		cmocka_unit_test(test_operands),  cmocka_unit_test(test_times),		cmocka_unit_test(test_refusals),
		cmocka_unit_test(test_help),	  cmocka_unit_test(test_help_on_full_disk), cmocka_unit_test(test_dump),
		cmocka_unit_test(test_color),	  cmocka_unit_test(test_color_on_terminal),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
