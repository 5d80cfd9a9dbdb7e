// SPDX-License-Identifier: GPL-2.0
/*
 * The list of facts: names and order of the format, the length of a line at its
 * worst, and that JSON and CSV tell the same.
 */
#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include <cjson/cJSON.h>

#include "base/json.h"
#include "base/str.h"
#include "out/facts.h"
#include "unit/events.h"

/* The example of the format, by hand: what others read must not change. */
static const char *const lease_fields[] = {
	"v", "event", "lease", "ts", "host", "boot_id", "seq", "proto", "family", "laddr", "port", "raddr", "rport", "kind",
	"ephemeral", "start", "end", "duration_us", "closed", "time_wait_us", "pid", "tid", "ppid", "uid", "comm", "exe",
	"proc_start", "cgroup", "unit", "container_id", "pod_uid", "netns", "cookie", "reason", "errno", "evidence",
	"owner_src", "in_range", "cmdline", "flags",
};

static cJSON *to_json(const struct event *ev)
{
	struct strbuf sb = STRBUF_INIT;
	cJSON *root;

	facts_json(&sb, ev);
	assert_true(sb.len < FACTS_LINE_MAX);
	root = cJSON_Parse(strbuf_str(&sb));
	if (!cJSON_IsObject(root))
		fail_msg("no JSON object: %s", strbuf_str(&sb));
	strbuf_free(&sb);
	return root;
}

static const cJSON *get(const cJSON *root, const char *name)
{
	const cJSON *item = cJSON_GetObjectItemCaseSensitive(root, name);

	if (!item)
		fail_msg("'%s' is missing", name);
	return item;
}

static void check_order(const struct event *ev, const char *const *names, size_t count)
{
	cJSON *root = to_json(ev), *item = root->child;

	for (size_t i = 0; i < count; i++, item = item->next) {
		assert_non_null(item);
		assert_string_equal(item->string, names[i]);
	}
	assert_null(item);
	cJSON_Delete(root);
}

static void test_names_and_order(void **state)
{
	static const char *const gap[] = { "v", "event", "ts", "host", "boot_id", "seq", "lost", "from", "to", "cause", "flooded_by" };
	static const char *const summary[] = { "v", "event", "ts", "host", "boot_id", "seq", "allocs", "releases", "fails", "live",
					       "time_wait", "lost", "netns", "netns_omitted", "span_us", "peak",
					       "allocs_by", "releases_by", "fails_by", "fails_kind", "lives", "p50_us", "p99_us",
					       "top_taken", "top_held" };
	struct event e[EVENTS_MAX];
	size_t n = events_make(e);

	for (size_t i = 0; i < n; i++) {
		if (e[i].kind == EV_GAP)
			check_order(&e[i], gap, sizeof(gap) / sizeof(gap[0]));
		else if (e[i].kind == EV_SUMMARY)
			check_order(&e[i], summary, sizeof(summary) / sizeof(summary[0]));
		else
			check_order(&e[i], lease_fields, sizeof(lease_fields) / sizeof(lease_fields[0]));
	}
}

static void check_nulls(const cJSON *root, const char *const *names)
{
	for (; *names; names++)
		if (!cJSON_IsNull(get(root, *names)))
			fail_msg("'%s' is not null", *names);
}

static void test_unknown_is_null(void **state)
{
	static const char *const nothing[] = { "ts", "host", "boot_id", "seq", "proto", "family", "laddr", "port", "raddr", "rport",
		"start", "end", "duration_us", "closed", "time_wait_us", "pid", "tid", "ppid", "uid", "comm", "exe", "proc_start",
		"cgroup", "unit", "container_id", "pod_uid", "netns", "cookie", "reason", "errno", "owner_src", NULL };
	static const char *const no_start[] = { "start", "duration_us", NULL };
	static const char *const no_owner[] = { "pid", "tid", "ppid", "uid", "comm", "proc_start", NULL };
	struct event ev = { .kind = EV_ALLOC };
	cJSON *root;

	root = to_json(&ev);
	check_nulls(root, nothing);
	cJSON_Delete(root);
	ev = events_nginx(EV_RELEASE, 1);
	ev.end = ev.ts;
	ev.lease.flags |= PL_F_SNAPSHOT;
	root = to_json(&ev);
	check_nulls(root, no_start);
	cJSON_Delete(root);
	ev = events_nginx(EV_RELEASE, 1);
	ev.lease.tgid = 0;
	root = to_json(&ev);
	check_nulls(root, no_owner);
	cJSON_Delete(root);
}

static void test_durations(void **state)
{
	struct event ev = events_nginx(EV_RELEASE, 0);
	cJSON *root;

	ev.end = ev.ts;
	ev.closed = ev.ts - 60000123999LL;
	root = to_json(&ev);
	assert_true(get(root, "duration_us")->valuedouble == 61003456);
	assert_true(get(root, "time_wait_us")->valuedouble == 60000123);
	cJSON_Delete(root);
	ev.closed = ev.end + 1;	/* never a negative span, whatever clocks do */
	root = to_json(&ev);
	assert_true(cJSON_IsNull(get(root, "time_wait_us")));
	cJSON_Delete(root);
}

static void test_parents(void **state)
{
	struct event ev = events_nginx(EV_ALLOC, 1);
	cJSON *root;

	ev.lease.ppid = 0;
	ev.lease.uid = 0;
	root = to_json(&ev);
	assert_true(cJSON_IsNull(get(root, "ppid")));
	assert_true(cJSON_IsNumber(get(root, "uid")));
	cJSON_Delete(root);
	ev.lease.tgid = 1;
	root = to_json(&ev);
	assert_true(cJSON_IsNumber(get(root, "ppid")));
	cJSON_Delete(root);
}

/* Every text as long as can be, of the byte that needs most room. */
static void test_longest_line(void **state)
{
	static const char bytes[] = { 'a', '\xff', '\x1b', '"', '\\' };
	struct event ev = events_nginx(EV_RELEASE, 1);
	struct strbuf sb = STRBUF_INIT;
	char text[8192];

	ev.seq = 9007199254740992ULL;
	memset(&ev.lease, 0xff, sizeof(ev.lease));
	ev.lease.family = AF_INET6;
	ev.lease.proto = IPPROTO_UDPLITE;
	ev.lease.kind = PL_KIND_CONNECT;
	ev.lease.flags = 0xff & ~PL_F_SNAPSHOT;
	ev.lease.owner_src = PL_OWNER_SNAPSHOT;
	ev.ts = ev.end = INT64_MAX;
	ev.start = ev.closed = 1;
	ev.reason = PL_REASON_DISCONNECT;
	ev.err = EPROTONOSUPPORT;
	ev.evidence = EVIDENCE_SNAPSHOT;
	ev.host = ev.boot_id = ev.exe = text;
	ev.where = (struct workload){ text, text, text, text };
	for (size_t i = 0; i < sizeof(bytes); i++) {
		memset(text, bytes[i], sizeof(text) - 1);
		text[sizeof(text) - 1] = '\0';
		memset(ev.lease.comm, bytes[i], sizeof(ev.lease.comm) - 1);
		ev.lease.comm[sizeof(ev.lease.comm) - 1] = '\0';
		strbuf_reset(&sb);
		facts_json(&sb, &ev);
		print_message("longest line of 0x%02x: %zu\n", (unsigned char)bytes[i], sb.len + 1);
		assert_true(sb.len > 3000 && sb.len < FACTS_LINE_MAX);
		cJSON_Delete(to_json(&ev));
	}
	strbuf_free(&sb);
}

static void test_longest_summary(void **state)
{
	struct summary_netns netns[64];
	struct summary s = { .netns = netns, .n_netns = 64 };
	struct event ev = events_base(EV_SUMMARY, UINT32_MAX);
	cJSON *root;
	char text[8192];

	memset(text, '\xff', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	memset(netns, 0xff, sizeof(netns));
	memset(s.allocs, 0x7f, sizeof(s.allocs));
	memset(s.fails, 0x7f, sizeof(s.fails));
	s.releases = s.live = s.time_wait = s.lost = s.peak = s.lives = INT64_MAX;
	s.span = s.p50_us = s.p99_us = INT64_MAX;
	memset(s.allocs_by, 0x7f, sizeof(s.allocs_by));
	memset(s.releases_by, 0x7f, sizeof(s.releases_by));
	memset(s.fails_by, 0x7f, sizeof(s.fails_by));
	memset(s.fails_kind, 0x7f, sizeof(s.fails_kind));
	for (int i = 0; i < SUMMARY_TOP; i++) {
		s.taken[i] = (struct summary_proc){ .ports = UINT64_MAX, .pid = UINT32_MAX };
		memset(s.taken[i].comm, 0xff, PL_COMM_LEN - 1);
		s.held[i] = s.taken[i];
	}
	ev.summary = &s;
	ev.host = ev.boot_id = text;
	root = to_json(&ev);
	assert_int_equal(cJSON_GetArraySize(get(root, "netns")), FACTS_NETNS_MAX);
	assert_true(get(root, "netns_omitted")->valuedouble == 64 - FACTS_NETNS_MAX);
	cJSON_Delete(root);
}

/* Splits one line of CSV in place, RFC 4180; returns the number of cells. */
static size_t split_csv(char *line, char **cells, size_t max)
{
	size_t n = 0;
	char *in = line, *out;

	for (;; in++) {
		bool quoted = *in == '"';

		assert_true(n < max);
		cells[n++] = out = in + quoted;
		in += quoted;
		for (; *in && (quoted || (*in != ',' && *in != '\n')); in++) {
			if (quoted && *in == '"' && *++in != '"')
				break;
			*out++ = *in;
		}
		if (*in != ',') {
			assert_true(*in == '\n' && !in[1]);
			*out = '\0';
			return n;
		}
		*out = '\0';
	}
}

static void check_csv_cell(const char *name, const char *cell, const cJSON *item)
{
	char *json = NULL;

	if (!item || cJSON_IsNull(item)) {
		assert_string_equal(cell, "");
		return;
	}
	if (cJSON_IsString(item)) {
		struct strbuf want = STRBUF_INIT;

		json_unescape(item->valuestring);
		str_escape_str(&want, item->valuestring);
		if (strcmp(cell, strbuf_str(&want)) && strncmp(cell, "\\x", 2))
			fail_msg("'%s': CSV '%s', JSON '%s'", name, cell, strbuf_str(&want));
		if (*cell && strchr("=+-@", *cell))
			fail_msg("'%s' begins a formula: '%s'", name, cell);
		strbuf_free(&want);
		return;
	}
	json = cJSON_PrintUnformatted(item);
	assert_string_equal(cell, json);
	free(json);
}

static void test_csv_tells_the_same(void **state)
{
	struct strbuf head = STRBUF_INIT, row = STRBUF_INIT;
	char *names[64], *cells[64];
	struct event e[EVENTS_MAX];
	size_t n = events_make(e), columns;

	facts_csv_header(&head);
	columns = split_csv(head.data, names, 64);
	for (size_t i = 0; i < sizeof(lease_fields) / sizeof(lease_fields[0]); i++)
		assert_string_equal(names[i], lease_fields[i]);
	for (size_t i = 0; i < columns; i++)
		for (size_t k = 0; k < i; k++)
			assert_string_not_equal(names[i], names[k]);
	for (size_t i = 0; i < n; i++) {
		cJSON *root = to_json(&e[i]);

		strbuf_reset(&row);
		facts_csv(&row, &e[i]);
		assert_int_equal(split_csv(row.data, cells, 64), columns);
		for (size_t k = 0; k < columns; k++)
			check_csv_cell(names[k], cells[k], cJSON_GetObjectItemCaseSensitive(root, names[k]));
		cJSON_Delete(root);
	}
	strbuf_free(&head);
	strbuf_free(&row);
}

static char *line_of(const struct event *ev)
{
	struct strbuf sb = STRBUF_INIT;

	facts_json(&sb, ev);
	assert_int_equal(strbuf_err(&sb), 0);
	return sb.data;
}

static void *first_line(void *ev)
{
	return line_of(ev);
}

/* A new thread has written nothing before. */
static char *line_anew(struct event *ev)
{
	pthread_t thread;
	void *line;

	assert_int_equal(pthread_create(&thread, NULL, first_line, ev), 0);
	assert_int_equal(pthread_join(thread, &line), 0);
	return line;
}

/* Whatever a line of JSON is made of: after a line that differs in nothing else it is what it would be without that. */
static void test_lines_before_do_not_matter(void **state)
{
	static char exe[] = "/usr/bin/a", cgroup[] = "/a.slice/a.service", unit[] = "a.service", box[] = "abcdef", pod[] = "a-b",
		    host[] = "a", boot[] = "b", args[] = "a b";
	struct event first = events_nginx(EV_ALLOC, 1), ev;
	const struct {
		void *at;	/* a number of `size` bytes in `ev`, or a text of its own */
		size_t size;
	} inputs[] = {
		{ &ev.lease.tgid, 4 }, { &ev.lease.ppid, 4 }, { &ev.lease.uid, 4 }, { ev.lease.comm, 1 }, { ev.lease.comm + 9, 1 },
		{ &ev.proc_start, 8 }, { &ev.err, 4 }, { &ev.lease.owner_src, 1 }, { exe, 1 }, { cgroup + 1, 1 }, { unit, 1 },
		{ box, 1 }, { pod, 1 }, { host, 1 }, { boot, 1 }, { args, 1 },
	};
	const char **texts[] = {
		&ev.exe, &ev.where.cgroup, &ev.where.unit, &ev.where.container_id, &ev.where.pod_uid, &ev.host, &ev.boot_id, &ev.cmdline,
	};
	char *before, *kept, *anew;

	first.exe = exe;
	first.where = (struct workload){ .cgroup = cgroup, .unit = unit, .container_id = box, .pod_uid = pod };
	first.host = host;
	first.boot_id = boot;
	first.cmdline = args;
	first.err = EADDRINUSE - 1;
	memcpy(first.lease.comm, "abcdefghijklmn", 15);
	for (size_t i = 0; i < 32 + sizeof(inputs) / sizeof(inputs[0]) + sizeof(texts) / sizeof(texts[0]); i++) {
		size_t input = i - 32, text = input - sizeof(inputs) / sizeof(inputs[0]);

		ev = first;
		before = line_of(&ev);
		if (i < 8)
			ev.lease.flags ^= (uint8_t)(1U << i);
		else if (i < 16)
			ev.lease.tid += (uint32_t)(i - 7);
		else if (i < 24)
			ev.reason = (enum pl_reason)((i - 16) % PL_REASONS);
		else if (i < 32)
			ev.evidence = (enum evidence)(i % 3);
		else if (input < sizeof(inputs) / sizeof(inputs[0]))
			++*(unsigned char *)inputs[input].at;
		else
			*texts[text] = NULL;
		kept = line_of(&ev);
		anew = line_anew(&ev);
		assert_string_equal(kept, anew);
		if (i >= 32)	/* a test that changes nothing proves nothing */
			assert_string_not_equal(kept, before);
		if (i >= 32 && input < sizeof(inputs) / sizeof(inputs[0]))
			--*(unsigned char *)inputs[input].at;
		free(before);
		free(kept);
		free(anew);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_names_and_order), cmocka_unit_test(test_unknown_is_null), cmocka_unit_test(test_durations),
		cmocka_unit_test(test_parents),		cmocka_unit_test(test_longest_line),	cmocka_unit_test(test_longest_summary),
		cmocka_unit_test(test_csv_tells_the_same), cmocka_unit_test(test_lines_before_do_not_matter),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
