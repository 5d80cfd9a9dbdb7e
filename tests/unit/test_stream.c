// SPDX-License-Identifier: GPL-2.0
/*
 * The stream in all its forms against tests/golden/stream.*, and files that
 * fail.  UPDATE_GOLDEN=1 writes the golden files anew: read the difference.
 * To be run from the top of the tree.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include <cjson/cJSON.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <time.h>
#include <unistd.h>

#include "out/facts.h"
#include "out/stream.h"
#include "unit/events.h"

/* All events through a stream of these options; the text is the caller's. */
static char *render(struct stream_opts opts, size_t skip, size_t *size)
{
	struct event e[EVENTS_MAX];
	struct stream *s;
	size_t n = events_make(e);
	char *text = NULL;

	opts.file = open_memstream(&text, size);
	assert_non_null(opts.file);
	assert_int_equal(stream_new(&opts, &s), 0);
	for (size_t i = skip; i < n; i++) {
		assert_int_equal(stream_event(s, &e[i]), 0);
		if (i % 3 == 0)
			assert_int_equal(stream_flush(s), 0);
	}
	assert_int_equal(stream_finish(s), 0);
	stream_free(s);
	fclose(opts.file);
	return text;
}

static void write_file(const char *path, const char *text, size_t size)
{
	FILE *file = fopen(path, "w");

	assert_non_null(file);
	assert_int_equal(fwrite(text, 1, size, file), size);
	assert_int_equal(fclose(file), 0);
}

static char *read_file(const char *path, size_t *size)
{
	FILE *file = fopen(path, "r");
	char *text;

	if (!file)
		fail_msg("%s: %s (run from the top of the tree)", path, strerror(errno));
	fseek(file, 0, SEEK_END);
	*size = (size_t)ftell(file);
	rewind(file);
	text = calloc(1, *size + 1);
	assert_int_equal(fread(text, 1, *size, file), *size);
	fclose(file);
	return text;
}

static void check_golden(const char *name, struct stream_opts opts)
{
	char path[128], *got, *want;
	size_t got_size, want_size;

	snprintf(path, sizeof(path), "tests/golden/stream.%s", name);
	got = render(opts, 0, &got_size);
	if (getenv("UPDATE_GOLDEN"))
		write_file(path, got, got_size);
	want = read_file(path, &want_size);
	if (got_size != want_size || memcmp(got, want, got_size)) {
		size_t at = 0, line = 1, start = 0;

		for (; at < got_size && at < want_size && got[at] == want[at]; at++) {
			line += got[at] == '\n';
			start = got[at] == '\n' ? at + 1 : start;
		}
		fail_msg("%s differs in line %zu:\nwant %.*s\ngot  %.*s", path, line, (int)strcspn(want + start, "\n"),
			 want + start, (int)strcspn(got + start, "\n"), got + start);
	}
	free(want);
	free(got);
}

static void test_golden(void **state)
{
	check_golden("table", (struct stream_opts){ .format = OUT_TABLE, .header = true, .utc = true });
	check_golden("color", (struct stream_opts){ .format = OUT_TABLE, .utc = true, .color = true });
	check_golden("leases", (struct stream_opts){ .format = OUT_TABLE, .header = true, .utc = true, .leases = true });
	check_golden("narrow", (struct stream_opts){ .format = OUT_TABLE, .header = true, .utc = true, .width = 80 });
	check_golden("jsonl", (struct stream_opts){ .format = OUT_JSONL });
	check_golden("json", (struct stream_opts){ .format = OUT_JSON });
	check_golden("csv", (struct stream_opts){ .format = OUT_CSV, .header = true });
}

/* Columns never carry a raw escape, whatever the names are; with colours only ours. */
static void test_table_is_safe(void **state)
{
	size_t size;
	char *text = render((struct stream_opts){ .format = OUT_TABLE, .utc = true }, 0, &size);

	for (size_t i = 0; i < size; i++)
		if ((unsigned char)text[i] < 0x20 && text[i] != '\n')
			fail_msg("byte %zu is a control character", i);
	assert_null(strstr(text, "\xe2\x80\xae"));
	free(text);
}

static void test_json_is_one_array(void **state)
{
	struct event e[EVENTS_MAX];
	size_t size, n = events_make(e);
	char *text = render((struct stream_opts){ .format = OUT_JSON }, 0, &size);
	cJSON *root = cJSON_Parse(text);

	assert_true(cJSON_IsArray(root));
	assert_int_equal(cJSON_GetArraySize(root), n);
	cJSON_Delete(root);
	free(text);
	text = render((struct stream_opts){ .format = OUT_JSON }, n, &size);
	assert_string_equal(text, "[]\n");
	free(text);
}

static void test_leases_only(void **state)
{
	struct event e[EVENTS_MAX];
	size_t size, n = events_make(e), want = 0, got = 0;
	char *text = render((struct stream_opts){ .format = OUT_JSONL, .leases = true }, 0, &size);

	for (size_t i = 0; i < n; i++)
		want += e[i].kind == EV_RELEASE || e[i].kind == EV_GAP;
	for (char *line = strtok(text, "\n"); line; line = strtok(NULL, "\n"), got++)
		assert_true(strstr(line, "\"port.release\"") || strstr(line, "\"recorder.gap\""));
	assert_int_equal(got, want);
	free(text);
}

/* What the caller wrote to the file before comes first, what it writes after comes after. */
static void test_order_with_caller(void **state)
{
	struct event ev = events_nginx(EV_ALLOC, 1);
	struct stream_opts opts = { .file = tmpfile(), .format = OUT_JSONL };
	struct stream *s;
	char buf[8192] = "";

	assert_non_null(opts.file);
	fputs("before\n", opts.file);
	assert_int_equal(stream_new(&opts, &s), 0);
	assert_int_equal(stream_event(s, &ev), 0);
	assert_int_equal(stream_finish(s), 0);
	stream_free(s);
	fseek(opts.file, 0, SEEK_END);
	fputs("after\n", opts.file);
	rewind(opts.file);
	assert_true(fread(buf, 1, sizeof(buf) - 1, opts.file) > 20);
	assert_memory_equal(buf, "before\n{", 8);
	assert_non_null(strstr(buf, "}\nafter\n"));
	fclose(opts.file);
}

/* Events into `file` until it complains; the complaint stays. */
static int fill(FILE *file)
{
	struct event ev = events_nginx(EV_ALLOC, 1);
	struct stream_opts opts = { .file = file, .format = OUT_JSONL };
	struct stream *s;
	int err = 0;

	assert_int_equal(stream_new(&opts, &s), 0);
	for (int i = 0; i < 1000 && !err; i++)
		err = stream_event(s, &ev);
	assert_true(err < 0);
	assert_int_equal(stream_event(s, &ev), err);
	assert_int_equal(stream_flush(s), err);
	assert_int_equal(stream_finish(s), err);
	stream_free(s);
	return err;
}

static void test_full_disk(void **state)
{
	FILE *full = fopen("/dev/full", "w");

	assert_non_null(full);
	assert_int_equal(fill(full), -ENOSPC);
	fclose(full);
}

static void test_closed_pipe(void **state)
{
	int ends[2];
	FILE *file;

	signal(SIGPIPE, SIG_IGN);
	assert_int_equal(pipe(ends), 0);
	close(ends[0]);
	file = fdopen(ends[1], "w");
	assert_int_equal(fill(file), -EPIPE);
	fclose(file);
}

static void test_closed_file(void **state)
{
	FILE *file = fopen("/dev/null", "r");

	assert_int_equal(fill(file), -EBADF);
	fclose(file);
}

/* A pipe that does not block and a slow reader: everything arrives, once. */
static void test_slow_reader(void **state)
{
	enum { COUNT = 2000 };
	struct stream_opts opts = { .format = OUT_JSONL };
	struct event ev = events_nginx(EV_ALLOC, 1);
	struct stream *s;
	int ends[2], lines = 0;
	char buf[4096];
	ssize_t n;
	pid_t child;

	assert_int_equal(pipe(ends), 0);
	child = fork();
	if (!child) {
		close(ends[0]);
		fcntl(ends[1], F_SETFL, O_NONBLOCK);
		opts.file = fdopen(ends[1], "w");
		if (stream_new(&opts, &s))
			_exit(1);
		for (int i = 0; i < COUNT; i++)
			stream_event(s, &ev);
		_exit(stream_finish(s) ? 1 : 0);
	}
	close(ends[1]);
	while ((n = read(ends[0], buf, sizeof(buf))) > 0)
		for (ssize_t i = 0; i < n; i++)
			lines += buf[i] == '\n';
	close(ends[0]);
	assert_int_equal(lines, COUNT);
}

/* Sends `n` events more, numbered on. */
static void send_some(struct stream *s, uint64_t *seq, int n)
{
	struct event ev = events_nginx(EV_ALLOC, 1);

	for (int i = 0; i < n; i++) {
		ev.seq = ++*seq;
		assert_int_equal(stream_event(s, &ev), 0);
		if (i % 1000 == 999)
			assert_int_equal(stream_flush(s), 0);
	}
	assert_int_equal(stream_flush(s), 0);
}

/* Reads whole lines to the end; 0 and the number of lines, or -1 for one that is torn or out of order. */
static int read_lines(FILE *in, uint64_t *last)
{
	char line[4096], *at;
	int n = 0;

	*last = 0;
	while (fgets(line, sizeof(line), in)) {
		unsigned long long seq;

		at = strstr(line, "\"seq\":");
		if (strncmp(line, "{\"v\":1,", 7) || !strstr(line, "}\n") || !at || sscanf(at, "\"seq\":%llu", &seq) != 1 || seq <= *last)
			return -1;
		*last = seq;
		n++;
	}
	return n;
}

/* A live stream whose reader stands still goes on, leaves out whole events and counts them; then all arrives again. */
static void test_live_reader_stops(void **state)
{
	struct stream_opts opts = { .format = OUT_JSONL, .live = true };
	int ends[2], go[2], got[2], lines[2];
	uint64_t seq = 0, last, left;
	struct stream *s;
	char c = 0;

	assert_true(!pipe(ends) && !pipe(go) && !pipe(got));
	if (!fork()) {
		close(ends[1]);
		close(go[1]);	/* where a check above it fails, nobody writes there: then it ends */
		if (read(go[0], &c, 1) != 1)
			_exit(1);
		lines[0] = read_lines(fdopen(ends[0], "r"), &last);
		lines[1] = (int)last;
		_exit(write(got[1], lines, sizeof(lines)) != sizeof(lines));
	}
	close(ends[0]);
	opts.file = fdopen(ends[1], "w");
	assert_int_equal(stream_new(&opts, &s), 0);
	send_some(s, &seq, 60000);
	left = stream_unwritten(s);
	assert_true(left > 1000 && left < 60000);
	assert_int_equal(write(go[1], &c, 1), 1);
	for (int i = 0; i < 1000; i++)
		assert_int_equal(stream_flush(s), 0);
	send_some(s, &seq, 100);
	assert_int_equal(stream_unwritten(s), left);
	assert_int_equal(stream_finish(s), 0);
	assert_int_equal(stream_unwritten(s), left);
	stream_free(s);
	fclose(opts.file);
	assert_int_equal(read(got[0], lines, sizeof(lines)), sizeof(lines));
	assert_int_equal((uint64_t)lines[0] + left, seq);
	assert_int_equal(lines[1], seq);
}

/* And one whose reader never comes ends as well; an event is whole with its last brace. */
static void reader_never_comes(enum out_format format)
{
	struct stream_opts opts = { .format = format, .live = true };
	uint64_t seq = 0, whole = 0;
	struct stream *s;
	char buf[65536];
	ssize_t n;
	int ends[2];

	assert_int_equal(pipe(ends), 0);
	opts.file = fdopen(ends[1], "w");
	assert_int_equal(stream_new(&opts, &s), 0);
	send_some(s, &seq, 30000);
	assert_int_equal(stream_finish(s), 0);
	fclose(opts.file);
	while ((n = read(ends[0], buf, sizeof(buf))) > 0)
		for (ssize_t i = 0; i < n; i++)
			whole += buf[i] == '}';
	assert_true(whole > 10);
	assert_int_equal(whole + stream_unwritten(s), seq);
	stream_free(s);
	close(ends[0]);
}

static void test_live_reader_never_comes(void **state)
{
	reader_never_comes(OUT_JSONL);
	reader_never_comes(OUT_JSON);
}

/* Of one that never took a byte: what is no event, a title, a day, a bracket, does not count. */
static void test_live_reader_takes_nothing(void **state)
{
	static const enum out_format formats[] = { OUT_TABLE, OUT_CSV, OUT_JSONL, OUT_JSON };
	char full[4096] = "";
	int ends[2];

	for (size_t i = 0; i < sizeof(formats) / sizeof(*formats); i++) {
		struct stream_opts opts = { .format = formats[i], .live = true, .header = true };
		struct stream *s;
		uint64_t seq = 0;

		assert_int_equal(pipe2(ends, O_NONBLOCK), 0);
		while (write(ends[1], full, sizeof(full)) > 0)
			;
		opts.file = fdopen(ends[1], "w");
		assert_int_equal(stream_new(&opts, &s), 0);
		send_some(s, &seq, 3);
		assert_int_equal(stream_finish(s), 0);
		assert_int_equal(stream_unwritten(s), 3);
		stream_free(s);
		fclose(opts.file);
		close(ends[0]);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_golden),	     cmocka_unit_test(test_table_is_safe), cmocka_unit_test(test_json_is_one_array),
		cmocka_unit_test(test_leases_only),  cmocka_unit_test(test_order_with_caller), cmocka_unit_test(test_full_disk),
		cmocka_unit_test(test_closed_pipe),  cmocka_unit_test(test_closed_file),   cmocka_unit_test(test_slow_reader),
		cmocka_unit_test(test_live_reader_stops), cmocka_unit_test(test_live_reader_never_comes),
		cmocka_unit_test(test_live_reader_takes_nothing),
	};

	setenv("TZ", "UTC", 1);
	tzset();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
