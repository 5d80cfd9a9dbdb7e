// SPDX-License-Identifier: GPL-2.0
/* The metrics as text: both formats, names that nobody should have given, the file, and what an event says in a log. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include <dirent.h>
#include <errno.h>
#include <math.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/str.h"
#include "out/facts.h"
#include "out/log_text.h"
#include "out/prom.h"
#include "unit/events.h"

static struct prom_sample sample(void)
{
	struct prom_sample s = {
		.version = "1.0", .tier = "c", .live = 5, .n_netns = 2, .with_workloads = true, .n_workloads = 2,
		.store_bytes = 4096, .store_oldest = EVENTS_T0,
		.netns = { { .use = events_netns[0], .exhaustion = { 12.5, INFINITY, INFINITY } },
			   { .exhaustion = { INFINITY, INFINITY, INFINITY } } },
		.workloads = { { .name = "a\"b\\c\n\x1b\xff\xe2\x80\xae", .ports = 3 }, { .name = "other", .ports = 1 } },
	};

	s.n_counts = 2;
	s.counts[0] = (struct prom_counts){ .netns = 4026531840u, .counts = { .allocs = { 9, 8 }, .releases = { 0, 7 }, .fails = { 0, 0, 6 } } };
	s.counts[1] = (struct prom_counts){ .counts = { .allocs = { UINT64_MAX } } };
	s.stats[PL_STAT_ALLOC(PL_IX_TCP, 1, PL_KIND_CONNECT)] = 7;
	s.stats[PL_STAT_FAIL(PL_IX_UDP, PL_IX_EAGAIN)] = 2;
	hist_add(&s.lifetimes, 2000000);
	hist_add(&s.lifetimes, 90000000000000);
	return s;
}

static void check_has(const struct strbuf *text, const char *line)
{
	if (!strstr(strbuf_str(text), line))
		fail_msg("no '%s' in:\n%s", line, strbuf_str(text));
}

static void test_text(void **state)
{
	struct prom_sample s = sample();
	struct strbuf out = STRBUF_INIT;

	prom_render(&out, &s, false);
	check_has(&out, "# TYPE portlife_allocations_total counter\n");
	check_has(&out, "portlife_allocations_total{proto=\"tcp\",family=\"ipv6\",kind=\"connect\"} 7\n");
	check_has(&out, "portlife_failures_total{proto=\"udp\",errno=\"EAGAIN\"} 2\n");
	check_has(&out, "# TYPE portlife_netns_allocations_total counter\n");
	check_has(&out, "portlife_netns_allocations_total{netns=\"4026531840\",proto=\"udp\"} 8\n");
	check_has(&out, "portlife_netns_allocations_total{netns=\"other\",proto=\"tcp\"} 18446744073709551615\n");
	check_has(&out, "portlife_netns_releases_total{netns=\"4026531840\",proto=\"udp\"} 7\n");
	check_has(&out, "portlife_netns_failures_total{netns=\"4026531840\",proto=\"udplite\"} 6\n");
	check_has(&out, "portlife_port_range_size{netns=\"4026531840\"} 28232\n");
	check_has(&out, "portlife_ports_in_use{netns=\"other\",proto=\"tcp\"} 0\n");
	check_has(&out, "portlife_exhaustion_seconds{netns=\"4026531840\",proto=\"tcp\"} 12.5\n");
	check_has(&out, "portlife_exhaustion_seconds{netns=\"other\",proto=\"udp\"} +Inf\n");
	check_has(&out, "portlife_lease_duration_seconds_bucket{le=\"0.001\"} 0\n");
	check_has(&out, "portlife_lease_duration_seconds_bucket{le=\"0.005\"} 1\n");
	check_has(&out, "portlife_lease_duration_seconds_bucket{le=\"+Inf\"} 2\n");
	check_has(&out, "portlife_build_info{version=\"1.0\",tier=\"c\"} 1\n");
	assert_null(strstr(out.data, "portlife_port_range_size{netns=\"other\"}"));	/* not known: not 0 */
	assert_null(strstr(out.data, "# EOF"));
	strbuf_free(&out);
}

/* The whole text, each number its own.  UPDATE_GOLDEN=1 writes it anew: read the difference. */
static void test_golden(void **state)
{
	struct prom_sample s = sample();
	struct strbuf out = STRBUF_INIT;
	char cmd[256], path[] = "/tmp/portlife-prom-XXXXXX";
	int fd = mkstemp(path);

	for (size_t i = 0; i < PL_STATS; i++)
		s.stats[i] = 1000 + i;
	for (size_t i = 0; i < GAP_CAUSES; i++)
		s.gaps[i] = 2000 + i;
	for (size_t p = 0; p < PL_PROTOS; p++)
		s.destination_ratio[p] = 0.25 * (double)(p + 1);
	hist_add(&s.reuse, 3000000000);
	s.time_wait = 3001;
	s.store_write_errors = 3002;
	s.store_lost = 3003;
	s.log_dropped = 3004;
	s.metrics_failed = 3005;
	s.netns[0].use.time_wait = 3006;
	s.netns[0].use.in_use[PL_IX_UDP] = 3007;
	prom_render(&out, &s, false);
	assert_int_equal(write(fd, out.data, out.len), out.len);
	close(fd);
	snprintf(cmd, sizeof(cmd), getenv("UPDATE_GOLDEN") ? "cp %s tests/golden/metrics.text" : "diff %s tests/golden/metrics.text >&2", path);
	assert_int_equal(system(cmd), 0);
	unlink(path);
	strbuf_free(&out);
}

static void test_hostile_label(void **state)
{
	struct prom_sample s = sample();
	struct strbuf out = STRBUF_INIT;

	prom_render(&out, &s, false);
	check_has(&out, "portlife_workload_ports_in_use{workload=\"a\\\"b\\\\c\\\\x0a\\\\x1b\\\\xff\\\\u{202e}\"} 3\n");
	for (const char *p = out.data; *p; p++)
		assert_true(*p == '\n' || (unsigned char)*p >= 32);
	strbuf_free(&out);
}

static void test_open_metrics(void **state)
{
	struct prom_sample s = sample();
	struct strbuf out = STRBUF_INIT;

	prom_render(&out, &s, true);
	check_has(&out, "# TYPE portlife_allocations counter\n");
	check_has(&out, "portlife_allocations_total{");
	check_has(&out, "# TYPE portlife_build info\n");
	assert_string_equal(out.data + out.len - 6, "# EOF\n");
	strbuf_free(&out);
}

static void test_file(void **state)
{
	char dir[] = "/tmp/portlife-prom-XXXXXX", path[64];
	struct prom_sample s = sample();
	struct stat st;

	assert_non_null(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/p.prom", dir);
	assert_int_equal(prom_write_file(path, &s), 0);
	assert_int_equal(prom_write_file(path, &s), 0);
	assert_int_equal(stat(path, &st), 0);
	assert_true(st.st_size > 4000);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(rmdir(dir), 0);	/* nothing else lies there */
	assert_int_equal(prom_write_file(path, &s), -ENOENT);
}

static void take_field(void *ctx, const char *name, const char *value)
{
	strbuf_printf(ctx, "%s=%s;", name, value);
}

static void test_log_lines(void **state)
{
	struct event ev = events_base(EV_SUMMARY, 3);
	struct strbuf json = STRBUF_INIT, out = STRBUF_INIT;

	ev.summary = &events_summary;
	facts_json(&json, &ev);
	log_text_fields(json.data, take_field, &out);
	check_has(&out, "event=port.summary;");
	check_has(&out, "allocs_connect=200;");
	check_has(&out, "fails_by_udp_EAGAIN=6;");
	check_has(&out, "netns_0_range_1=60999;");
	check_has(&out, "top_taken_0_comm=a\\x0ab\\x1b\"\\\\xff;");
	strbuf_reset(&out);
	log_text_line(&out, LOG_FORM_LOGFMT, LOG_LEVEL_INFO, EVENTS_T0, "x\ny", json.data);
	check_has(&out, "time=2026-11-21T04:10:00.123456789Z level=info msg=\"x\\\\x0ay\" v=1 event=port.summary ");
	assert_ptr_equal(strchr(out.data, '\n'), out.data + out.len - 1);
	strbuf_reset(&out);
	log_text_line(&out, LOG_FORM_JSON, LOG_LEVEL_WARN, EVENTS_T0, "x", json.data);
	check_has(&out, ",\"level\":\"warning\",\"msg\":\"x\",\"v\":1,\"event\":\"port.summary\",");
	assert_string_equal(out.data + out.len - 2, "}\n");
	strbuf_free(&json);
	strbuf_free(&out);
}

static void test_log_text(void **state)
{
	struct event ev = events_base(EV_FAIL, 1);
	struct strbuf out = STRBUF_INIT;

	events_address(&ev, "10.0.0.5", 8080, NULL, 0);
	events_owner(&ev, 4711, "nginx", PL_OWNER_PROCESS);
	ev.lease.kind = PL_KIND_BIND;
	ev.err = EADDRINUSE;
	log_text_event(&out, &ev);
	assert_non_null(strstr(out.data, "refused with EADDRINUSE: bind of tcp 10.0.0.5:8080 by nginx (pid 4711"));
	strbuf_reset(&out);
	events_owner(&ev, 4711, "x (pid 1)", PL_OWNER_PROCESS);
	ev.where.unit = "a.service), b";
	log_text_event(&out, &ev);
	check_has(&out, " by \"x (pid 1)\" (pid 4711, \"a.service), b\")");
	strbuf_reset(&out);
	ev = events_base(EV_SUMMARY, 3);
	ev.summary = &events_summary;
	log_text_event(&out, &ev);
	check_has(&out, "60 s: allocs 280 (connect 200, bind0 3,");
	check_has(&out, "releases 250, fails 30 (EADDRINUSE 9,");
	check_has(&out, "live 42 (peak 51), time_wait 17, lost 12");
	check_has(&out, "netns 4026531840: 103 of 28230 ports of 32768-60999 in use (odd 100, even 3)");
	check_has(&out, "; most held: \"a\nb");
	strbuf_free(&out);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_text), cmocka_unit_test(test_golden), cmocka_unit_test(test_hostile_label), cmocka_unit_test(test_open_metrics),
		cmocka_unit_test(test_file), cmocka_unit_test(test_log_lines), cmocka_unit_test(test_log_text),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
