// SPDX-License-Identifier: GPL-2.0
/*
 * What `who` says, word by word, against tests/golden/answer.*: every kind of
 * answer as text, and one as a document.  UPDATE_GOLDEN=1 writes the golden
 * files anew: read the difference.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "base/str.h"
#include "out/answer.h"

#define SEC 1000000000LL
#define T0 (1795000000 * SEC)
#define NOW (T0 + 3600 * SEC)

static struct event curl(void)
{
	struct event ev = {
		.kind = EV_RELEASE, .evidence = EVIDENCE_EVENT, .reason = PL_REASON_TIME_WAIT, .ts = T0 + 61 * SEC, .start = T0,
		.end = T0 + 61 * SEC, .closed = T0 + SEC, .proc_start = T0 - 5 * SEC, .exe = "/usr/bin/curl",
		.cmdline = "curl -s \033[2J", .where = { "/system.slice/ssh.service", "ssh.service", NULL, NULL },
		.host = "web-1", .boot_id = "aaaaaaaa-0000-4000-8000-000000000001",
		.lease = { .id = 77, .lport = 60303, .rport = 443, .proto = IPPROTO_TCP, .family = AF_INET,
			   .kind = PL_KIND_CONNECT, .owner_src = PL_OWNER_PROCESS, .netns = 4026531840, .tgid = 4711, .tid = 4711,
			   .ppid = 1, .uid = 0, .comm = "curl",
			   .flags = PL_F_CHOSEN | PL_F_IN_RANGE | PL_F_TIME_WAIT },
	};

	ev.lease.laddr[0] = inet_addr("10.0.0.5");
	ev.lease.raddr[0] = inet_addr("10.0.1.9");
	return ev;
}

/* Held when last seen, by a process of which only the number is known. */
static struct event found(void)
{
	struct event ev = curl();

	ev.kind = EV_OPEN;
	ev.evidence = EVIDENCE_SNAPSHOT;
	ev.reason = PL_REASON_NONE;
	ev.ts = T0;
	ev.start = ev.end = ev.closed = 0;
	ev.exe = ev.cmdline = NULL;
	ev.where = (struct workload){ NULL, NULL, "0123456789abcdef0123", NULL };
	ev.lease.flags = PL_F_SNAPSHOT | PL_F_LISTEN;
	ev.lease.kind = PL_KIND_UNKNOWN;
	ev.lease.rport = 0;
	ev.lease.raddr[0] = 0;
	ev.lease.uid = 4242424;
	return ev;
}

static struct answer asked(const char *port)
{
	struct answer a = {
		.asked = port, .range_known = true, .range_lo = 32768, .range_hi = 60999, .median_us = -1, .history = true,
		.recorded_since = T0 - 86400 * SEC, .until = NOW, .since = T0 - 86400 * SEC, .status = ANSWER_NOBODY,
	};
	char why[128];

	assert_int_equal(ask_parse(port, &a.ask, why, sizeof(why)), 0);
	return a;
}

static struct answer asked_at(const char *port, int64_t at)
{
	struct answer a = asked(port);

	a.asked_span = true;
	a.at = a.since = a.until = at;
	return a;
}

static void say(struct strbuf *out, const char *title, const struct answer *a)
{
	strbuf_printf(out, "== %s\n", title);
	answer_text(out, a, true, NOW);
}

static void say_holes(struct strbuf *out)
{
	struct answer a = asked_at("60303", T0);

	say(out, "nobody", &a);
	a.hole = HOLE_GAP;
	a.lost = -1;
	say(out, "nobody that was seen", &a);
	a.lost = 12;
	say(out, "nobody that was seen, events lost", &a);
	a.hole = HOLE_BEFORE;
	say(out, "before recording began", &a);
	a.hole = HOLE_EVICTED;
	say(out, "removed by retention", &a);
	a.hole = HOLE_UNREAD;
	say(out, "a recorder that may not be asked", &a);
	a.hole = HOLE_NO_HISTORY;
	a.history = false;
	say(out, "no history", &a);
}

static void say_held(struct strbuf *out, const struct event *ended, const struct event *open)
{
	struct answer a = asked_at("60303", T0 + SEC / 2);

	a.held = ended;
	a.n_held = 1;
	a.lives = 1203;
	a.median_us = 1200000;
	a.last = ended;
	a.omitted = 4;
	say(out, "held at a moment, by more", &a);
	a.omitted = 0;
	a.at = 0;
	a.until = NOW;
	a.hole = HOLE_GAP;
	a.lost = -1;
	a.held = open;
	a.lives = 1;
	a.reserved = true;
	say(out, "held in a span with a gap", &a);
}

static void say_gaps(struct strbuf *out)
{
	static const struct gap gaps[] = {
		{ .lost = -1, .from = T0 + 100 * SEC, .to = INT64_MAX, .cause = GAP_CRASH },
		{ .lost = 1, .from = T0, .to = T0 + SEC, .cause = GAP_RING },
		{ .lost = -1, .from = T0 - 9 * SEC, .to = T0 - 8 * SEC, .cause = GAP_STOPPED },
		{ .lost = -1, .from = T0 - 20 * SEC, .to = T0 - 10 * SEC, .cause = GAP_BOOT },
		{ .lost = 7, .from = T0 - 40 * SEC, .to = T0 - 30 * SEC, .cause = GAP_TABLE },
	};
	struct answer a = asked("60303");

	a.asked_span = true;
	a.since = a.recorded_since - SEC;
	a.evicted_before = a.recorded_since + SEC;
	a.hole = HOLE_GAP;
	a.status = ANSWER_INCOMPLETE;
	say(out, "a span that begins before recording, with what retention removed", &a);
	a.gaps = gaps;
	a.n_gaps = 5;
	a.evicted_before = 0;
	say(out, "and gaps", &a);
	a.asked_span = false;
	a.asked_now = a.now_known = true;
	a.hole = HOLE_NONE;
	a.n_gaps = 4;
	say(out, "now, and a history with gaps", &a);
}

static void say_now(struct strbuf *out, const struct event *ended, const struct event *open)
{
	struct answer a = asked("22");

	a.asked_now = a.now_known = true;
	a.service = "ssh";
	say(out, "nobody now", &a);
	a.now = open;
	a.n_now = 1;
	a.held = ended;
	a.n_held = 1;
	a.lives = 4000000;
	a.sampled = true;
	a.omitted = 3999999;
	a.median_us = 900;
	say(out, "now and before", &a);
	a.n_now = a.n_held = a.omitted = 0;
	a.now_known = false;
	say(out, "the kernel cannot be looked at", &a);
	a = asked("60000-61000");
	a.asked_now = a.now_known = true;
	a.range_known = false;
	say(out, "a range", &a);
}

static void check_golden(const char *path, const struct strbuf *got)
{
	static char want[65536];
	FILE *file;
	size_t n;

	assert_int_equal(strbuf_err(got), 0);
	if (getenv("UPDATE_GOLDEN")) {
		file = fopen(path, "w");
		assert_non_null(file);
		assert_int_equal(fwrite(got->data, 1, got->len, file), got->len);
		assert_int_equal(fclose(file), 0);
	}
	file = fopen(path, "r");
	if (!file)
		fail_msg("%s: %s (run from the top of the tree)", path, strerror(errno));
	n = fread(want, 1, sizeof(want) - 1, file);
	want[n] = '\0';
	fclose(file);
	assert_string_equal(got->data, want);
}

static void test_text(void **state)
{
	struct event ended = curl(), open = found();
	struct strbuf out = STRBUF_INIT;

	say_holes(&out);
	say_held(&out, &ended, &open);
	say_now(&out, &ended, &open);
	say_gaps(&out);
	check_golden("tests/golden/answer.text", &out);
	strbuf_free(&out);
}

static void test_document(void **state)
{
	struct gap gaps[] = {
		{ .lost = -1, .from = T0 + 100 * SEC, .to = INT64_MAX, .cause = GAP_CRASH },
		{ .lost = 7, .from = T0, .to = T0 + SEC, .cause = GAP_RING },
	};
	struct event ended = curl(), open = found();
	struct strbuf out = STRBUF_INIT;
	struct answer a = asked("60303");

	a.asked_now = a.now_known = true;
	a.status = ANSWER_FOUND;
	a.now = &open;
	a.n_now = 1;
	a.held = &ended;
	a.n_held = 1;
	a.gaps = gaps;
	a.n_gaps = 2;
	a.lives = 2;
	a.median_us = 61000000;
	answer_json(&out, &a);
	check_golden("tests/golden/answer.json", &out);
	strbuf_reset(&out);
	a.now_known = false;	/* nobody and not known are two */
	a.n_now = 0;
	answer_json(&out, &a);
	assert_non_null(strstr(strbuf_str(&out), "\"now\":null,\"held\":[{"));
	strbuf_free(&out);
}

/* Out of a history that somebody wrote to, each name may be any bytes. */
static void test_names_of_any_bytes(void **state)
{
	static const char evil[] = "\x1b]0;x\x07\n\xff\xe2\x80\xae";
	struct event ev = curl();
	struct strbuf out = STRBUF_INIT;
	struct answer a = asked("60303");

	snprintf(ev.lease.comm, sizeof(ev.lease.comm), "%s", evil);
	ev.exe = ev.cmdline = ev.where.unit = ev.where.container_id = ev.where.cgroup = ev.where.pod_uid = evil;
	a.status = ANSWER_FOUND;
	a.held = a.last = &ev;
	a.n_held = 1;
	a.lives = 1;
	say(&out, "held", &a);
	assert_non_null(strstr(strbuf_str(&out), ", container \\x1b]0;x"));
	for (size_t i = 0; i < out.len; i++)
		assert_true(out.data[i] == '\n' || (out.data[i] >= 0x20 && out.data[i] < 0x7f));
	strbuf_free(&out);
}

/* What a process calls itself does not pass for what the answer says of it. */
static void test_name_like_an_answer(void **state)
{
	struct event ev = curl();
	struct strbuf out = STRBUF_INIT;
	struct answer a = asked("60303");

	snprintf(ev.lease.comm, sizeof(ev.lease.comm), "sshd (pid 1, ");
	a.status = ANSWER_FOUND;
	a.held = a.last = &ev;
	a.n_held = 1;
	a.lives = 1;
	say(&out, "held", &a);
	assert_non_null(strstr(strbuf_str(&out), "held by \"sshd (pid 1, \" (pid 4711, "));
	strbuf_free(&out);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_text), cmocka_unit_test(test_document), cmocka_unit_test(test_names_of_any_bytes),
		cmocka_unit_test(test_name_like_an_answer),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
