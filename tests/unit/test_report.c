// SPDX-License-Identifier: GPL-2.0
/*
 * The sums of a span against plain counting, and a report in all its forms
 * against tests/golden/report.*.  UPDATE_GOLDEN=1 writes the golden files anew:
 * read the difference.  To be run from the top of the tree.
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

#include "base/str.h"
#include "model/report.h"
#include "out/report.h"
#include "out/report_draw.h"
#include "unit/events.h"

#define T0 EVENTS_T0
#define MS 1000000LL

static uint64_t state;

static uint64_t rnd(void)
{
	state ^= state << 13;
	state ^= state >> 7;
	return state ^= state << 17;
}

static struct report *new_report(int64_t since, int64_t until, bool all)
{
	struct report_opts opts = { .since = since, .until = until, .map = all, .seed = 7, .idle = 60 * EVENTS_S };
	struct report *r;

	for (size_t i = 0; i < REPORT_BYS; i++)
		opts.by[i] = all;
	opts.by[REPORT_EXE] = opts.by[REPORT_PORT] = true;
	assert_int_equal(report_new(&opts, &r), 0);
	return r;
}

static struct event life(uint16_t port, int64_t start, int64_t end)
{
	struct event ev = events_nginx(end ? EV_RELEASE : EV_OPEN, 1);

	ev.lease.lport = port;
	ev.start = start;
	ev.end = end;
	ev.ts = end ? end : start;
	ev.reason = end ? PL_REASON_CLOSE : PL_REASON_NONE;
	return ev;
}

static void tell(struct report *r, struct event ev)
{
	assert_int_equal(report_lease(r, &ev), 0);
}

/* ---- reuse ---- */

#define LIVES 400

struct span {
	int64_t from, to;
};

static int by_from(const void *a, const void *b)
{
	const struct span *x = a, *y = b;

	return x->from < y->from ? -1 : x->from > y->from;
}

/* Lives of one port, in `files` files told newest first, each of them in order. */
static struct report *tell_files(const struct span *s, size_t n, size_t files)
{
	struct report *r = new_report(T0, T0 + 1000 * EVENTS_S, false);

	for (size_t f = files; f-- > 0;)
		for (size_t i = n * f / files; i < n * (f + 1) / files; i++)
			tell(r, life(40000, s[i].from, s[i].to));
	assert_int_equal(report_finish(r), 0);
	return r;
}

static void test_reuse_in_any_files(void **unused)
{
	struct span s[LIVES];
	int64_t at = T0, sum = 0;

	state = 5;
	for (size_t i = 0; i < LIVES; i++) {
		int64_t pause = 1 + (int64_t)(rnd() % (900 * MS));

		sum += i ? pause : 0;
		s[i].from = at + pause;
		s[i].to = at = s[i].from + (int64_t)(rnd() % (900 * MS));
	}
	for (size_t files = 1; files < 20; files += 3) {
		struct report *r = tell_files(s, LIVES, files);

		assert_int_equal(r->reuse.hist.count, LIVES - 1);
		assert_true(r->reuse.hist.sum_sec * 1000000000ULL + r->reuse.hist.sum_ns == (uint64_t)sum);
		report_free(r);
	}
}

/* Where lives overlap, only what was free between them counts. */
static void test_reuse_of_overlapping(void **unused)
{
	struct span s[LIVES];
	int64_t end = 0, sum = 0;
	uint64_t count = 0;
	struct report *r;

	state = 6;
	for (size_t i = 0; i < LIVES; i++) {
		s[i].from = T0 + (int64_t)(rnd() % (400 * (uint64_t)EVENTS_S));
		s[i].to = s[i].from + (int64_t)(rnd() % (3 * (uint64_t)EVENTS_S));
	}
	qsort(s, LIVES, sizeof(*s), by_from);
	for (size_t i = 0; i < LIVES; i++) {
		if (i && s[i].from >= end) {
			count++;
			sum += s[i].from - end;
		}
		end = s[i].to > end ? s[i].to : end;
	}
	r = tell_files(s, LIVES, 1);
	assert_true(count > 10);
	assert_int_equal(r->reuse.hist.count, count);
	assert_true(r->reuse.hist.sum_sec * 1000000000ULL + r->reuse.hist.sum_ns == (uint64_t)sum);
	report_free(r);
}

static void test_reuse_needs_both_ends(void **unused)
{
	struct report *r = new_report(T0, T0 + 100 * EVENTS_S, false);
	struct event found = life(1, T0 + 20 * EVENTS_S, T0 + 30 * EVENTS_S), udp = life(2, T0 + 20 * EVENTS_S, T0 + 21 * EVENTS_S);

	found.lease.flags |= PL_F_SNAPSHOT;
	tell(r, life(1, T0, T0 + EVENTS_S));
	tell(r, found);			/* it began nobody knows when */
	tell(r, life(1, T0 + 40 * EVENTS_S, 0));
	tell(r, life(2, T0, T0 + EVENTS_S));
	udp.lease.proto = IPPROTO_UDP;
	tell(r, udp);			/* another port, though of the same number */
	assert_int_equal(report_finish(r), 0);
	assert_int_equal(r->reuse.hist.count, 1);
	assert_int_equal(r->reuse.hist.max, 10 * EVENTS_S);
	assert_int_equal(r->ended, 4);
	assert_int_equal(r->unmeasured, 1);
	assert_int_equal(r->held.hist.count, 3);
	report_free(r);
}

/* ---- use over time ---- */

static void test_instants(void **unused)
{
	struct report *r = new_report(T0, T0 + 777 * EVENTS_S + 13, false);
	struct event lives[LIVES];
	const struct report_lane *lane;

	state = 9;
	for (size_t i = 0; i < LIVES; i++) {
		int64_t start = T0 - 50 * EVENTS_S + (int64_t)(rnd() % (900 * (uint64_t)EVENTS_S));

		lives[i] = life((uint16_t)(33000 + rnd() % 50), start, i % 50 ? start + (int64_t)(rnd() % (60 * (uint64_t)EVENTS_S)) : 0);
		tell(r, lives[i]);
	}
	assert_int_equal(report_finish(r), 0);
	lane = r->spaces.at[0].lanes[REPORT_TCP];
	for (size_t i = 0; i < REPORT_INSTANTS; i++) {
		int64_t at = report_grid_instant(&r->grid, i);
		uint32_t want[2] = { 0, 0 };
		bool held[65536] = { false };

		assert_true(at > T0 && at < r->opts.until);
		for (size_t k = 0; k < LIVES; k++)
			held[lives[k].lease.lport] |= lives[k].start <= at && (!lives[k].end || lives[k].end > at);
		for (uint32_t port = 0; port < 65536; port++)
			want[port & 1] += held[port];
		assert_int_equal(lane->held[i][0], want[0]);
		assert_int_equal(lane->held[i][1], want[1]);
	}
	report_free(r);
}

static void test_outside_the_span(void **unused)
{
	struct report *r = new_report(T0, T0 + 100 * EVENTS_S, false);

	tell(r, life(1, T0 - 9 * EVENTS_S, T0 - EVENTS_S));
	tell(r, life(1, T0 + 101 * EVENTS_S, T0 + 102 * EVENTS_S));
	assert_true(report_is_empty(r));
	tell(r, life(1, T0 - 9 * EVENTS_S, T0 + 500 * EVENTS_S));
	assert_int_equal(r->leases, 1);
	assert_int_equal(r->held.hist.max, 509 * EVENTS_S);	/* the whole life */
	assert_int_equal(report_finish(r), 0);
	assert_true(r->by[REPORT_EXE].sorted[0]->held_s == 100);	/* of the span */
	report_free(r);
}

static void tell_minute(struct report *r, int64_t at, uint32_t netns, uint32_t hi, uint32_t reserved)
{
	const struct summary_netns space = { .netns = netns, .range_lo = 40000, .range_hi = hi, .reserved = reserved };
	const struct summary sum = { .netns = &space, .n_netns = 1 };
	struct event ev = { .kind = EV_SUMMARY, .ts = at, .summary = &sum };

	assert_int_equal(report_minute(r, &ev), 0);
}

/* Of those equally full whoever has most leases comes first; a range that was set anew is said to have changed, in whatever order it is told. */
static void test_spaces(void **unused)
{
	struct report *r = new_report(T0, T0 + 1000 * EVENTS_S, false);
	struct event ev = life(40000, T0 + EVENTS_S, T0 + 2 * EVENTS_S);

	for (uint32_t netns = 1; netns <= 3; netns++)
		for (uint32_t n = 0; n < (netns == 2 ? 2 : 1); n++) {
			ev.lease.netns = netns;
			ev.lease.lport++;
			tell(r, ev);
		}
	for (int64_t m = 0; m < 3; m++) {
		tell_minute(r, T0 + (60 + m) * EVENTS_S, 1, 40009, 0);
		tell_minute(r, T0 + (60 - m) * EVENTS_S, 2, m ? 40019 : 40009, 0);
		tell_minute(r, T0 + (60 + m) * EVENTS_S, 3, 40009, m == 2);
	}
	assert_int_equal(report_finish(r), 0);
	assert_int_equal(r->spaces.n, 3);
	assert_true(r->spaces.at[0].netns == 2 && r->spaces.at[1].netns == 1 && r->spaces.at[2].netns == 3);
	assert_true(r->spaces.at[0].range_changed && !r->spaces.at[1].range_changed && r->spaces.at[2].range_changed);
	assert_int_equal(r->spaces.at[0].hi, 40009);	/* that of the latest minute */
	assert_int_equal(r->spaces.at[2].reserved, 1);
	report_free(r);
}

/* More namespaces than are kept apart: the fullest is there and comes first, whenever it was told. */
static void test_fullest_spaces(void **unused)
{
	struct report *r = new_report(T0, T0 + 1000 * EVENTS_S, false);
	struct event ev = life(40000, T0 + EVENTS_S, T0 + 200 * EVENTS_S);

	for (uint32_t netns = 1; netns <= 40; netns++) {
		const struct summary_netns space = { .netns = netns, .range_lo = 40000, .range_hi = 40999,
						     .used_even = netns == 33 ? 480 : netns };
		const struct summary sum = { .netns = &space, .n_netns = 1 };

		assert_int_equal(report_minute(r, &(struct event){ .kind = EV_SUMMARY, .ts = T0 + netns * EVENTS_S, .summary = &sum }), 0);
	}
	for (uint32_t netns = 1; netns <= 41; netns++) {
		ev.lease.netns = netns;
		tell(r, ev);
	}
	assert_int_equal(report_finish(r), 0);
	assert_int_equal(r->spaces.n, REPORT_SPACES);
	assert_int_equal(r->spaces.omitted, 41 - REPORT_SPACES);
	assert_int_equal(r->spaces.at[0].netns, 33);
	for (size_t i = 1; i < REPORT_SPACES; i++)
		assert_int_equal(r->spaces.at[i].netns, 41 - i - (i > 7));
	report_free(r);
}

/* ---- groups ---- */

/* Far more processes than fit: who had many leases is there, and the bound holds. */
static void test_groups_in_bounded_memory(void **unused)
{
	struct report *r = new_report(T0, T0 + 1000 * EVENTS_S, false);
	const struct report_groups *g = &r->by[REPORT_PROCESS];
	uint64_t heavy = 0;

	state = 11;
	for (uint32_t i = 0; i < 60000; i++) {
		struct event ev = life((uint16_t)(30000 + i % 1000), T0 + i, T0 + i + 5);

		ev.lease.tgid = i % 10 ? 100 + i : 7;
		ev.lease.proc_start = ev.lease.tgid;
		heavy += ev.lease.tgid == 7;
		tell(r, ev);
	}
	assert_int_equal(report_finish(r), 0);
	assert_true(g->n <= REPORT_GROUPS);
	assert_true(g->dropped + g->n >= 54001);
	assert_int_equal(g->sorted[0]->tgid, 7);
	assert_true(g->sorted[0]->leases <= heavy && g->sorted[0]->leases + g->missed >= heavy);
	assert_true(g->missed > 0 && g->missed < heavy / 2);
	report_free(r);
}

static void test_rising(void **unused)
{
	struct report *r = new_report(T0, T0 + 800 * EVENTS_S, false);

	for (uint32_t i = 0; i < 40; i++) {
		struct event leak = life((uint16_t)(1000 + i), T0 + (int64_t)i * 20 * EVENTS_S, 0), calm = leak;

		leak.lease.tgid = 1;
		calm.lease.tgid = 2;
		calm.lease.lport += 100;
		calm.kind = EV_RELEASE;
		calm.end = calm.start + 30 * EVENTS_S;
		tell(r, leak);
		tell(r, calm);
	}
	assert_int_equal(report_finish(r), 0);
	assert_int_equal(r->by[REPORT_PROCESS].n, 2);
	for (size_t i = 0; i < 2; i++)
		assert_int_equal(report_is_rising(r->by[REPORT_PROCESS].sorted[i]), r->by[REPORT_PROCESS].sorted[i]->tgid == 1);
	assert_int_equal(r->idle.seen, 0);	/* they talk to somebody */
	report_free(r);
}

static void test_idle(void **unused)
{
	struct report *r = new_report(T0, T0 + 800 * EVENTS_S, false);
	struct event ev = life(5000, T0 + EVENTS_S, 0);

	ev.lease.rport = 0;
	tell(r, ev);			/* the one */
	ev.lease.flags |= PL_F_LISTEN;
	tell(r, ev);
	ev.lease.flags = 0;
	ev.lease.proto = IPPROTO_UDP;
	tell(r, ev);			/* asked for its number: a server */
	ev = life(5001, T0 + 790 * EVENTS_S, 0);
	ev.lease.rport = 0;
	tell(r, ev);			/* young */
	assert_int_equal(r->idle.seen, 1);
	assert_int_equal(r->idle.at[0].lease.lport, 5000);
	report_free(r);
}

/* ---- faces ---- */

static struct report *golden_report(void)
{
	static const struct summary_netns space = { .netns = 4026531840u, .range_lo = 32768, .range_hi = 60999, .reserved = 2,
						    .used_odd = 100, .used_even = 3 };
	static const struct summary sum = { .netns = &space, .n_netns = 1 };
	struct event e[EVENTS_MAX], minute = { .kind = EV_SUMMARY, .ts = T0 - 60 * EVENTS_S, .summary = &sum };
	static const char names[2][PL_COMM_LEN] = { "<b>\xe2\x80\xae", "curl" };
	struct report *r = new_report(T0 - 3600 * EVENTS_S, T0 + 3600 * EVENTS_S, true);
	size_t n = events_make(e);

	for (size_t i = 0; i < n; i++) {
		if (e[i].kind == EV_GAP)
			report_gap(r, e[i].gap);
		assert_int_equal(report_fail(r, &e[i]), 0);
		tell(r, e[i]);
	}
	state = 3;
	for (size_t i = 0; i < 300; i++) {
		int64_t start = T0 - 1800 * EVENTS_S + (int64_t)(rnd() % (1800ULL * EVENTS_S));
		uint64_t most = 1000ULL << rnd() % 27;
		uint16_t port = (uint16_t)(40000 + rnd() % 90);
		struct event ev = life(port, start, start + (int64_t)(rnd() % most));

		if (i % 3 == 0) {
			ev.closed = ev.end;
			ev.end += 60 * EVENTS_S;
		}
		memset(ev.lease.comm, 0, sizeof(ev.lease.comm));
		events_owner(&ev, (uint32_t)(500 + i % 4), names[i % 4 != 0], PL_OWNER_PROCESS);
		tell(r, ev);
	}
	assert_int_equal(report_minute(r, &minute), 0);
	assert_int_equal(report_finish(r), 0);
	return r;
}

static struct report_view view_of(const struct report *r)
{
	return (struct report_view){ .r = r, .by = REPORT_PROCESS, .limit = 5, .utc = true, .host = "web-1", .version = "test",
				     .made = T0 + 3600 * EVENTS_S, .lost = 12, .recorded_since = T0 - 7200 * EVENTS_S };
}

static void check_golden(const char *name, const struct strbuf *got)
{
	char path[128];
	size_t size = 0;
	char *want;
	FILE *f;

	assert_int_equal(strbuf_err(got), 0);
	snprintf(path, sizeof(path), "tests/golden/report.%s", name);
	if (getenv("UPDATE_GOLDEN")) {
		f = fopen(path, "w");
		assert_non_null(f);
		assert_int_equal(fwrite(got->data, 1, got->len, f), got->len);
		fclose(f);
	}
	f = fopen(path, "r");
	if (!f)
		fail_msg("%s: %s (run from the top of the tree)", path, strerror(errno));
	want = calloc(1, got->len + 2);
	size = fread(want, 1, got->len + 1, f);
	fclose(f);
	for (size_t at = 0; at <= got->len; at++)
		if (size != got->len ? at == got->len || at >= size || want[at] != got->data[at] : at < size && want[at] != got->data[at])
			fail_msg("%s differs at byte %zu:\nwant %.200s\ngot  %.200s", path, at, want + at, got->data + at);
	free(want);
}

static void test_golden(void **unused)
{
	struct strbuf out = STRBUF_INIT;
	struct report *r = golden_report();
	struct report_view v = view_of(r);

	report_text(&out, &v);
	check_golden("text", &out);
	strbuf_reset(&out);
	v.ascii = true;
	report_text(&out, &v);
	check_golden("ascii", &out);
	strbuf_reset(&out);
	report_csv(&out, &v, true);
	check_golden("csv", &out);
	strbuf_reset(&out);
	report_json(&out, &v);
	check_golden("json", &out);
	strbuf_free(&out);
	report_free(r);
}

/* A name does not pass for the words and columns beside it, nor does one that is cut. */
static void test_names(void **unused)
{
	struct report *r = new_report(T0, T0 + 800 * EVENTS_S, false);
	struct event ev = life(5000, T0 + EVENTS_S, 0), fail;
	struct strbuf out = STRBUF_INIT;
	struct report_view v = view_of(r);

	snprintf(ev.lease.comm, sizeof(ev.lease.comm), "x (1) 5");
	ev.lease.tgid = 4711;
	tell(r, ev);
	fail = ev;
	fail.kind = EV_FAIL;
	fail.ts = ev.start;
	fail.err = EADDRINUSE;
	tell(r, fail);
	assert_int_equal(report_finish(r), 0);
	v.by = REPORT_PROCESS;
	report_text(&out, &v);
	assert_non_null(strstr(strbuf_str(&out), "  \"x (1) 5\" (4711)             "));
	assert_non_null(strstr(strbuf_str(&out), " \"x (1) 5\"\n"));
	assert_null(strstr(strbuf_str(&out), " x (1) 5"));
	strbuf_reset(&out);
	draw_name(&out, "a b c d e", " (7)", 11, true);
	assert_string_equal(strbuf_str(&out), "\"a b ~\" (7)");
	strbuf_reset(&out);
	draw_last(&out, "a (1) 5", 8, true);
	draw_last(&out, "a(1)", 8, true);
	assert_string_equal(strbuf_str(&out), "\"a (1)~\"\"a(1)\"");
	strbuf_reset(&out);
	draw_name(&out, "abcde", " (7)", 8, true);
	assert_string_equal(strbuf_str(&out), "abc~ (7)");
	strbuf_free(&out);
	report_free(r);
}

static void check_path(const char *path, size_t width, bool ascii, const char *want)
{
	struct strbuf out = STRBUF_INIT;

	draw_name(&out, path, "", width, ascii);
	assert_string_equal(strbuf_str(&out), want);
	strbuf_free(&out);
}

/* Long paths differ at their ends; a wide terminal shows them whole. */
static void test_paths(void **unused)
{
	static const char exe[] = "/srv/applications/releases/2026-11-01/bin/server";
	struct report *r = new_report(T0, T0 + 800 * EVENTS_S, false);
	struct event ev = life(5000, T0 + EVENTS_S, 0);
	struct strbuf out = STRBUF_INIT;
	struct report_view v = view_of(r);

	ev.exe = exe;
	tell(r, ev);
	assert_int_equal(report_finish(r), 0);
	v.by = REPORT_EXE;
	report_text(&out, &v);
	assert_non_null(strstr(strbuf_str(&out), "\n  \u2026eleases/2026-11-01/bin/server        1 "));
	strbuf_reset(&out);
	v.width = 100;
	report_text(&out, &v);
	assert_non_null(strstr(strbuf_str(&out), "\n  /srv/applications/releases/2026-11-01/bin/server          1 "));
	assert_non_null(strstr(strbuf_str(&out), "\nBY EXECUTABLE                                          LEASES "));
	check_path("/a/bcdef", 8, false, "/a/bcdef");
	check_path("/a/bcdef", 5, true, "~cdef");
	check_path("/a/b c d", 6, true, "\"~c d\"");
	check_path("/a/\u3042\u3044", 4, true, "~\u3044 ");
	check_path("/a/\xff/b", 4, true, "~f/b");
	strbuf_free(&out);
	report_free(r);
}

/* What the document says is what was counted, and it is one document. */
static void test_json_reads_back(void **unused)
{
	struct strbuf out = STRBUF_INIT;
	struct report *r = golden_report();
	struct report_view v = view_of(r);
	const cJSON *map;
	cJSON *root;

	report_json(&out, &v);
	root = cJSON_Parse(strbuf_str(&out));
	assert_non_null(root);
	assert_string_equal(cJSON_GetObjectItem(root, "status")->valuestring, "incomplete");
	assert_int_equal(cJSON_GetObjectItem(cJSON_GetObjectItem(root, "leases"), "count")->valueint, r->leases);
	map = cJSON_GetObjectItem(cJSON_GetArrayItem(cJSON_GetObjectItem(root, "netns"), 0), "map");
	assert_true(cJSON_GetArraySize(map) > 10);
	cJSON_Delete(root);
	strbuf_free(&out);
	report_free(r);
}

/* Whatever made a gap, the text names it. */
static void test_causes_of_gaps(void **unused)
{
	for (enum gap_cause c = 0; c < GAP_CAUSES; c++) {
		struct report *r = new_report(T0, T0 + 10 * EVENTS_S, false);
		struct report_view v = { .r = r, .limit = 5, .utc = true };
		const struct gap gap = { .from = T0, .to = T0 + EVENTS_S, .lost = -1, .cause = c };
		struct strbuf out = STRBUF_INIT;
		char want[32];

		report_gap(r, &gap);
		assert_int_equal(report_finish(r), 0);
		report_text(&out, &v);
		snprintf(want, sizeof(want), "(%s 1)", event_gap_name(c));
		assert_non_null(strstr(strbuf_str(&out), want));
		strbuf_free(&out);
		report_free(r);
	}
}

static void test_empty(void **unused)
{
	struct report *r = new_report(T0, T0 + 1, true);
	struct report_view v = { .r = r, .limit = 5, .utc = true };
	struct strbuf out = STRBUF_INIT;

	assert_int_equal(report_finish(r), 0);
	assert_true(report_is_empty(r) && !report_is_incomplete(&v));
	report_text(&out, &v);
	assert_non_null(strstr(strbuf_str(&out), "nothing was recorded"));
	strbuf_reset(&out);
	report_json(&out, &v);
	assert_non_null(strstr(strbuf_str(&out), "\"status\":\"nothing\""));
	strbuf_free(&out);
	report_free(r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_reuse_in_any_files), cmocka_unit_test(test_reuse_of_overlapping),
		cmocka_unit_test(test_reuse_needs_both_ends), cmocka_unit_test(test_instants), cmocka_unit_test(test_outside_the_span),
		cmocka_unit_test(test_spaces), cmocka_unit_test(test_fullest_spaces),
		cmocka_unit_test(test_groups_in_bounded_memory), cmocka_unit_test(test_rising), cmocka_unit_test(test_idle),
		cmocka_unit_test(test_golden), cmocka_unit_test(test_names), cmocka_unit_test(test_paths), cmocka_unit_test(test_json_reads_back),
		cmocka_unit_test(test_causes_of_gaps),
		cmocka_unit_test(test_empty),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
