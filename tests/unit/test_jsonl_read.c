// SPDX-License-Identifier: GPL-2.0
/*
 * The reader of events: write, read, write gives the same bytes; what is wrong
 * is named; and no line, however broken, does harm.
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

#include "base/str.h"
#include "out/facts.h"
#include "out/jsonl_read.h"
#include "unit/events.h"

static struct jsonl_read *make_reader(void)
{
	struct jsonl_read *r;

	assert_int_equal(jsonl_read_new(&r), 0);
	return r;
}

/* Reads `line`; a refusal fails the test. */
static const struct event *read_line(struct jsonl_read *r, const char *line)
{
	const struct event *ev = NULL;

	if (jsonl_read_line(r, line, strlen(line), &ev))
		fail_msg("'%s' is refused: %s", line, jsonl_read_error(r));
	return ev;
}

static void check_round_trip(struct jsonl_read *r, const struct event *ev)
{
	struct strbuf first = STRBUF_INIT, second = STRBUF_INIT;

	facts_json(&first, ev);
	facts_json(&second, read_line(r, strbuf_str(&first)));
	assert_string_equal(strbuf_str(&second), strbuf_str(&first));
	strbuf_free(&first);
	strbuf_free(&second);
}

static void test_round_trip(void **state)
{
	struct jsonl_read *r = make_reader();
	struct event e[EVENTS_MAX];
	size_t n = events_make(e);

	for (size_t i = 0; i < n; i++)
		check_round_trip(r, &e[i]);
	jsonl_read_free(r);
	jsonl_read_free(NULL);
}

static void random_text(char *buf, size_t size)
{
	size_t len = (size_t)rand() % (rand() % 8 ? 20 : size);

	for (size_t i = 0; i < len; i++)
		buf[i] = rand() % 3 ? "\\xuf5c{8\""[rand() % 10] : (char)(1 + rand() % 255);
	buf[len] = '\0';
}

/* Leases of random content with texts up to twice what fits. */
static void test_round_trip_random(void **state)
{
	struct jsonl_read *r = make_reader();
	char texts[6][2400];

	srand(8);
	for (int i = 0; i < 20000; i++) {
		struct event ev = events_nginx((enum event_kind)(rand() % (EV_OPEN + 1)), 1 + (unsigned int)rand());

		for (size_t k = 0; k < 6; k++)
			random_text(texts[k], sizeof(texts[k]));
		ev.host = texts[0];
		ev.boot_id = texts[1];
		ev.exe = texts[2];
		ev.where = (struct workload){ texts[2], texts[3], texts[4], texts[5] };
		memcpy(ev.lease.comm, texts[0], PL_COMM_LEN - 1);
		ev.lease.flags = (uint8_t)(rand() & 0x7f);
		ev.lease.family = rand() % 2 ? AF_INET6 : AF_INET;
		ev.lease.raddr[0] = ev.lease.laddr[2] = ev.lease.family == AF_INET6 ? (uint32_t)rand() : 0;
		ev.lease.rport = (uint16_t)(rand() % 3);
		ev.lease.owner_src = (uint8_t)(rand() % 9);
		ev.reason = (enum pl_reason)(rand() % PL_REASONS);
		ev.err = rand() % 140;
		ev.closed = rand() % 2 ? ev.ts : 0;
		ev.end = rand() % 2 ? ev.ts + 1 : 0;
		check_round_trip(r, &ev);
	}
	jsonl_read_free(r);
}

static void test_values(void **state)
{
	struct event want = events_nginx(EV_RELEASE, 77);
	struct jsonl_read *r = make_reader();
	struct strbuf sb = STRBUF_INIT;
	const struct event *ev;

	want.end = want.ts;
	want.reason = PL_REASON_RESET;
	want.lease.flags |= PL_F_SHARED | PL_F_LISTEN;
	want.lease.id = UINT64_MAX;
	want.where.container_id = "\xff\\xff\\x2d";
	facts_json(&sb, &want);
	strbuf_putc(&sb, '\n');
	ev = read_line(r, strbuf_str(&sb));
	assert_true(ev->kind == EV_RELEASE && ev->seq == 77 && ev->ts == want.ts && ev->start == want.start && ev->end == want.end);
	assert_true(ev->reason == PL_REASON_RESET && ev->proc_start == want.proc_start && ev->closed == 0 && ev->err == 0);
	assert_memory_equal(&ev->lease, &want.lease, sizeof(want.lease));
	assert_string_equal(ev->where.container_id, want.where.container_id);
	assert_string_equal(ev->exe, want.exe);
	assert_null(ev->where.pod_uid);
	strbuf_free(&sb);
	jsonl_read_free(r);
}

/* The example of the format, which has none of the fields added later. */
static void test_foreign_line(void **state)
{
	static const char line[] =
		"{\"v\":1,\"event\":\"port.release\",\"lease\":\"93842\",\"ts\":\"2026-11-21T04:10:00.123456789Z\",\"host\":\"web-1\","
		"\"boot_id\":\"x\",\"seq\":184467, \"proto\":\"tcp\",\"family\":\"ipv4\",\"laddr\":\"10.0.0.5\",\"port\":60303,"
		"\"raddr\":\"10.0.1.9\",\"rport\":443,\"kind\":\"connect\",\"ephemeral\":true,\"start\":\"2026-11-21T04:09:00Z\","
		"\"end\":\"2026-11-21T05:10:00+01:00\",\"duration_us\":61003456,\"closed\":null,\"time_wait_us\":null,\"pid\":4711,"
		"\"tid\":4711,\"ppid\":1,\"uid\":33,\"comm\":\"nginx\",\"exe\":\"/usr/sbin/nginx\",\"proc_start\":null,"
		"\"cgroup\":\"/system.slice/nginx.service\",\"unit\":\"nginx.service\",\"container_id\":null,\"pod_uid\":null,"
		"\"netns\":\"4026531840\",\"cookie\":\"8412\",\"reason\":\"close\",\"errno\":null,\"evidence\":\"event\","
		"\"new_field\":{\"a\":[1]}} ";
	struct jsonl_read *r = make_reader();
	const struct event *ev = read_line(r, line);

	assert_true(ev->end - ev->start == 60000000000 && ev->lease.lport == 60303 && ev->lease.owner_src == PL_OWNER_UNKNOWN);
	jsonl_read_free(r);
}

static void test_netns_are_kept(void **state)
{
	struct summary_netns netns[FACTS_NETNS_MAX + 9] = { { .netns = 1, .range_lo = 5, .range_hi = 9, .used_odd = 3 } };
	struct summary s = { .netns = netns, .n_netns = FACTS_NETNS_MAX + 9 };
	struct event ev = events_base(EV_SUMMARY, 1);
	struct jsonl_read *r = make_reader();

	ev.summary = &s;
	for (size_t i = 1; i < FACTS_NETNS_MAX + 9; i++)
		netns[i].netns = (uint32_t)i + 1;
	check_round_trip(r, &ev);
	jsonl_read_free(r);
}

/* What is null comes back as null, not as the 0 that it is inside. */
static void test_unknown_process_of_a_summary(void **state)
{
	struct summary s = { .held = { { .pid = 0, .ports = 40, .comm = "gone" } } };
	struct event ev = events_base(EV_SUMMARY, 1);
	struct strbuf line = STRBUF_INIT;
	struct jsonl_read *r = make_reader();

	ev.summary = &s;
	facts_json(&line, &ev);
	assert_non_null(strstr(strbuf_str(&line), "\"top_held\":[{\"pid\":null,"));
	check_round_trip(r, &ev);
	strbuf_free(&line);
	jsonl_read_free(r);
}

/* `line` with the first `from` replaced by `to`. */
static void edit(struct strbuf *out, const char *line, const char *from, const char *to)
{
	const char *at = strstr(line, from);

	if (!at)
		fail_msg("'%s' is not in the line", from);
	strbuf_reset(out);
	strbuf_put(out, line, (size_t)(at - line));
	strbuf_puts(out, to);
	strbuf_puts(out, at + strlen(from));
}

static void check_refused(const struct event *good, const char *from, const char *to, const char *want)
{
	struct strbuf line = STRBUF_INIT, bad = STRBUF_INIT;
	struct jsonl_read *r = make_reader();
	const struct event *ev = NULL;

	facts_json(&line, good);
	edit(&bad, strbuf_str(&line), from, to);
	assert_int_equal(jsonl_read_line(r, strbuf_str(&bad), bad.len, &ev), -EINVAL);
	assert_null(ev);
	if (!strstr(jsonl_read_error(r), want))
		fail_msg("%s -> %s is refused with '%s', which does not say '%s'", from, to, jsonl_read_error(r), want);
	read_line(r, strbuf_str(&line));	/* a refusal leaves nothing behind */
	assert_string_equal(jsonl_read_error(r), "");
	strbuf_free(&line);
	strbuf_free(&bad);
	jsonl_read_free(r);
}

static void test_refuses_lease(void **state)
{
	static const struct { const char *from, *to, *want; } cases[] = {
		{ "\"v\":1", "\"v\":2", "field 'v': 2 is not within" }, { "\"v\":1,", "", "field 'v' is missing" },
		{ "\"v\":1", "\"v\":null", "field 'v': null" }, { "port.alloc", "port.lost", "field 'event': 'port.lost'" },
		{ "\"event\":\"port.alloc\"", "\"event\":null", "field 'event': null" }, { ":60303", ":70000", "field 'port': 70000" },
		{ ":60303", ":0", "field 'port': 0" }, { ":60303", ":\"60303\"", "field 'port': not a number" },
		{ ":60303", ":60303.5", "field 'port': not a whole number" }, { ":60303", ":1e400", "field 'port': not a whole number" },
		{ "\"port\":60303,", "", "field 'port' is missing" }, { "\"port\":", "\"port\":1,\"port\":", "field 'port' stands there twice" },
		{ "\"93842\"", "93842", "field 'lease': not a string" }, { "\"93842\"", "\"0\"", "field 'lease': '0' is no id" },
		{ "\"93842\"", "\"18446744073709551616\"", "field 'lease'" }, { "\"4026531840\"", "\"4294967296\"", "field 'netns'" },
		{ "\"8412\"", "\"-1\"", "field 'cookie': '-1' is no id" }, { "\"tcp\"", "\"sctp\"", "field 'proto': 'sctp'" },
		{ "\"ipv4\"", "null", "field 'family': null" }, { "\"ipv4\"", "\"ipv6\"", "field 'laddr': '10.0.0.5' is no address" },
		{ "10.0.1.9", "10.0.1.999", "field 'raddr'" }, { "\"connect\"", "\"conect\"", "field 'kind': 'conect'" },
		{ "\"ephemeral\":true", "\"ephemeral\":1", "field 'ephemeral': not true or false" },
		{ "\"ts\":\"2026", "\"ts\":\"x2026", "field 'ts': 'x2026" }, { "\"ts\":\"2026", "\"ts\":\"2300", "field 'ts'" },
		{ "\"seq\":1", "\"seq\":9007199254740994", "field 'seq'" }, { "\"seq\":1", "\"seq\":-1", "field 'seq'" },
		{ "\"pid\":4711", "\"pid\":0", "field 'pid': 0" }, { "\"uid\":33", "\"uid\":4294967296", "field 'uid'" },
		{ "\"comm\":\"nginx\"", "\"comm\":\"0123456789abcdef\"", "field 'comm': longer than 15 bytes" },
		{ "\"comm\":\"nginx\"", "\"comm\":7", "field 'comm': not a string" },
		{ "\"comm\":\"nginx\"", "\"comm\":\"a\\u0000b\"", "a NUL in a string" },
		{ "\"comm\":\"nginx\"", "\"comm\":\"\\ud800\"", "not JSON" }, { "\"comm\":\"nginx\"", "\"comm\":\"\xff\"", "not UTF-8" },
		{ "\"comm\":\"nginx\"", "\"comm\":\"\x1b\"", "a raw control character" },
		{ "\"reason\":null", "\"reason\":\"boredom\"", "field 'reason': 'boredom'" },
		{ "\"reason\":null", "\"reason\":\"\\u001b[2J\"", "field 'reason': '\\x1b[2J'" },
		{ "\"errno\":null", "\"errno\":\"EWHAT\"", "field 'errno': 'EWHAT'" }, { "\"evidence\":\"event\"", "\"evidence\":\"x\"", "'evidence'" },
		{ "\"duration_us\":null", "\"duration_us\":\"1\"", "field 'duration_us'" },
		{ "\"owner_src\":\"process\"", "\"owner_src\":\"guess\"", "field 'owner_src': 'guess'" },
		{ "\"flags\":[]", "\"flags\":1", "field 'flags'" }, { "\"flags\":[]", "\"flags\":[1]", "field 'flags'" },
		{ "\"flags\":[]}", "\"flags\":[]}x", "text after the event" }, { "\"flags\":[]}", "\"flags\":[]", "not JSON" },
		{ "{\"v\"", "[{\"v\"", "not JSON" },
	};
	struct event good = events_nginx(EV_ALLOC, 1);

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		check_refused(&good, cases[i].from, cases[i].to, cases[i].want);
}

static void test_refuses_counts(void **state)
{
	static const struct { const char *from, *to, *want; } gaps[] = {
		{ "\"ring\"", "\"rung\"", "field 'cause': 'rung'" }, { "\"ring\"", "null", "field 'cause': null" },
		{ "\"lost\":12", "\"lost\":-1", "field 'lost'" }, { "\"from\":", "\"form\":", "field 'from' is missing" },
	};
	static const struct { const char *from, *to, *want; } sums[] = {
		{ "\"allocs\":{", "\"allocs\":[{", "not JSON" }, { "\"connect\":200,", "", "field 'connect' is missing" },
		{ "\"EACCES\":7", "\"EACCES\":null", "" }, { "\"releases\":250", "\"releases\":1e99", "field 'releases'" },
		{ "[32768,60999]", "[32768]", "field 'netns'" }, { "[32768,60999]", "[1.5,2]", "field 'netns'" },
		{ "[32768,60999]", "[1,70000]", "field 'netns'" }, { "\"used_odd\":100", "\"used_odd\":\"x\"", "field 'used_odd'" },
		{ "\"netns_omitted\":0", "\"netns_omitted\":5", "field 'netns'" },
		{ "\"netns_omitted\":0", "\"netns_omitted\":99999999", "field 'netns_omitted'" },
	};
	struct event gap = events_base(EV_GAP, 1), sum = events_base(EV_SUMMARY, 1);

	gap.gap = &events_gap;
	sum.summary = &events_summary;
	for (size_t i = 0; i < sizeof(gaps) / sizeof(gaps[0]); i++)
		check_refused(&gap, gaps[i].from, gaps[i].to, gaps[i].want);
	for (size_t i = 0; i < sizeof(sums) / sizeof(sums[0]); i++)
		if (*sums[i].want)
			check_refused(&sum, sums[i].from, sums[i].to, sums[i].want);
}

static void test_refuses_lines(void **state)
{
	static const char *const lines[] = { "", "\n", " ", "null", "[]", "{}", "1", "\"x\"", "{\"v\":1}", "\xef\xbb\xbf{}", "{\"\xff\":1}" };
	struct jsonl_read *r = make_reader();
	const struct event *ev = NULL;
	char line[FACTS_LINE_MAX + 2];

	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++)
		assert_int_equal(jsonl_read_line(r, lines[i], strlen(lines[i]), &ev), -EINVAL);
	assert_int_equal(jsonl_read_line(r, "{\0}", 3, &ev), -EINVAL);
	memset(line, ' ', sizeof(line));
	assert_int_equal(jsonl_read_line(r, line, FACTS_LINE_MAX, &ev), -EINVAL);
	assert_non_null(strstr(jsonl_read_error(r), "longer than 4096 bytes"));
	memset(line, '[', sizeof(line));
	assert_int_equal(jsonl_read_line(r, line, FACTS_LINE_MAX - 1, &ev), -EINVAL);
	assert_null(ev);
	jsonl_read_free(r);
}

/* Good lines with bytes changed, cut out and doubled: refused, or an event that can be written. */
static void test_mutations(void **state)
{
	struct jsonl_read *r = make_reader();
	struct strbuf line = STRBUF_INIT, again = STRBUF_INIT;
	struct event e[EVENTS_MAX];
	size_t n = events_make(e), taken = 0;

	srand(9);
	for (int i = 0; i < 60000; i++) {
		const struct event *ev = NULL;
		size_t at;

		strbuf_reset(&line);
		facts_json(&line, &e[(size_t)rand() % n]);
		for (int k = rand() % 4; k >= 0 && line.len; k--) {
			at = (size_t)rand() % line.len;
			if (rand() % 3)
				line.data[at] = rand() % 2 ? (char)rand() : "\"\\{}[],:0123nulltruefalse"[rand() % 24];
			else
				strbuf_truncate(&line, at);
		}
		if (jsonl_read_line(r, strbuf_str(&line), line.len, &ev)) {
			assert_string_not_equal(jsonl_read_error(r), "");
			continue;
		}
		taken++;
		strbuf_reset(&again);
		facts_json(&again, ev);
		assert_true(again.len > 0 && again.len < FACTS_LINE_MAX);
	}
	assert_in_range(taken, 1, 59999);
	strbuf_free(&line);
	strbuf_free(&again);
	jsonl_read_free(r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_round_trip),    cmocka_unit_test(test_round_trip_random), cmocka_unit_test(test_values),
		cmocka_unit_test(test_foreign_line),  cmocka_unit_test(test_netns_are_kept),	cmocka_unit_test(test_refuses_lease),
		cmocka_unit_test(test_unknown_process_of_a_summary),
		cmocka_unit_test(test_refuses_counts), cmocka_unit_test(test_refuses_lines),	cmocka_unit_test(test_mutations),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
