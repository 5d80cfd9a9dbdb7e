// SPDX-License-Identifier: GPL-2.0
/*
 * Times and spans: every form, every refusal, round trips, and the judgement
 * of systemd-analyze(1) where it is installed.
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
#include <inttypes.h>
#include <time.h>
#include <unistd.h>

#include "base/timex.h"

#define SEC TIMEX_NS_PER_SEC
#define NOW (1795234567 * SEC + 123456789)	/* 2026-11-21T04:16:07.123456789Z */
#define NOW_DAY (1795219200 * SEC)		/* that day in UTC */

static void set_zone(const char *tz)
{
	setenv("TZ", tz, 1);
	tzset();
}

static const struct {
	const char *text;
	int64_t want;
} times_utc[] = {
	{ "now", NOW }, { "today", NOW_DAY }, { "yesterday", NOW_DAY - 86400 * SEC }, { "tomorrow", NOW_DAY + 86400 * SEC },
	{ "2026-11-21", NOW_DAY },
	{ "2026-11-21 04:16:07", 1795234567 * SEC },
	{ "2026-11-21T04:16:07", 1795234567 * SEC },
	{ "2026-11-21 04:16:07.5", 1795234567 * SEC + SEC / 2 },
	{ "2026-11-21 04:16:07.123456789", NOW },
	{ "2026-11-21 04:16:07 UTC", 1795234567 * SEC },
	{ "2026-11-21 04:16", 1795234560 * SEC },
	{ "04:16:07.25", 1795234567 * SEC + SEC / 4 },
	{ "04:16", 1795234560 * SEC }, { "00:00", NOW_DAY },
	{ "2026-11-21T04:16:07Z", 1795234567 * SEC },
	{ "2026-11-21T04:16:07.123456789Z", NOW },
	{ "2026-11-21 04:16:07Z", 1795234567 * SEC },
	{ "2026-11-21T06:16:07+02:00", 1795234567 * SEC },
	{ "2026-11-20T22:46:07.123456789-05:30", NOW },
	{ "2026-11-21T06:16:07+0200", 1795234567 * SEC },
	{ "@1795234567", 1795234567 * SEC }, { "@1795234567.123456789", NOW }, { "@0", 0 }, { "@1.5", SEC + SEC / 2 },
	{ "-15min", NOW - 900 * SEC }, { "15min ago", NOW - 900 * SEC }, { "+5s", NOW + 5 * SEC }, { "5s left", NOW + 5 * SEC },
	{ "2h 30min ago", NOW - 9000 * SEC }, { "-1d", NOW - 86400 * SEC }, { "-1.5s", NOW - 1500000000 }, { "-0", NOW },
	{ "2024-02-29", 1709164800 * SEC }, { "1970-01-01", 0 }, { "2000-02-29 00:00", 951782400 * SEC },
};

static void test_times(void **state)
{
	for (size_t i = 0; i < sizeof(times_utc) / sizeof(times_utc[0]); i++) {
		int64_t ns = -1;
		int err = timex_parse(times_utc[i].text, NOW, true, &ns);

		if (err || ns != times_utc[i].want)
			fail_msg("'%s': %d, %" PRId64 " instead of %" PRId64, times_utc[i].text, err, ns, times_utc[i].want);
	}
}

static void test_times_refused(void **state)
{
	static const char *const wrong[] = {
		"", " ", "nonsense", "Now", "2026", "2026-11", "2026-13-01", "2026-00-10", "2026-11-31", "2026-02-29", "1900-02-29",
		"2026-1-1", "26-11-21", "2026-11-21 ", " 2026-11-21", "2026-11-21 24:00", "2026-11-21 04:60", "2026-11-21 04:10:60",
		"2026-11-21 4:10", "2026-11-21 04:10:00.", "2026-11-21 04:10:00.1234567890", "2026-11-21 04:10:00 CET",
		"2026-11-21T04:10:00+", "2026-11-21T04:10:00+02", "2026-11-21T04:10:00+24:00", "2026-11-21T04:10:00+02:60",
		"2026-11-21T04:10:00Zx", "2026-11-21 UTCx", "@", "@-1", "@1.", "@1x", "@x", "-", "+", "ago", " ago", "15 parsecs ago",
		"-15min ago", "15", "15min", "+-5s", "\xff", "04:10:00.5.5", "2026-11-2104:10",
	};
	static const char *const beyond[] = { "2263-01-01", "9999-12-31", "@9223372037", "@99999999999999999999", "1969-12-31", "-100y",
					      "+250y", "@999999999999999999999999999999" };
	int64_t ns = 42;

	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
		if (timex_parse(wrong[i], NOW, true, &ns) != -EINVAL)
			fail_msg("'%s' is taken", wrong[i]);
	for (size_t i = 0; i < sizeof(beyond) / sizeof(beyond[0]); i++)
		if (timex_parse(beyond[i], NOW, true, &ns) != -ERANGE)
			fail_msg("'%s' is not out of range", beyond[i]);
	assert_int_equal(ns, 42);
}

static void test_rfc3339_is_strict(void **state)
{
	static const char *const wrong[] = { "now", "2026-11-21", "2026-11-21T04:10:00", "2026-11-21 04:10:00 UTC", "@1", "-5s", "",
					     "2026-11-21T04:10Z", "2026-11-21T04:10:00.Z" };
	int64_t ns = 42;

	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
		assert_int_equal(timex_parse_rfc3339(wrong[i], &ns), -EINVAL);
	assert_int_equal(ns, 42);
	assert_int_equal(timex_parse_rfc3339("1970-01-01T00:00:00+02:00", &ns), -ERANGE);
}

/* Local time on both sides of a change, across midnight, and half hours. */
static void test_local(void **state)
{
	int64_t ns;
	char buf[TIMEX_BUF];

	set_zone("CET-1CEST,M3.5.0,M10.5.0/3");
	assert_int_equal(timex_parse("2026-07-01 12:00", NOW, false, &ns), 0);
	assert_true(ns == 1782900000 * SEC);
	assert_string_equal(timex_stamp(ns, false, buf), "2026-07-01 12:00:00.000");
	assert_string_equal(timex_stamp(ns, true, buf), "2026-07-01 10:00:00.000");
	assert_string_equal(timex_offset(ns, false, buf), "+02:00");
	assert_string_equal(timex_offset(ns, true, buf), "+00:00");
	assert_string_equal(timex_offset(NOW, false, buf), "+01:00");
	assert_int_equal(timex_parse("2026-12-01", NOW, false, &ns), 0);
	assert_true(ns == 1796079600 * SEC);
	assert_int_equal(timex_parse("2026-12-01 UTC", NOW, false, &ns), 0);
	assert_true(ns == 1796083200 * SEC);
	assert_int_equal(timex_parse("today", NOW_DAY + 86400 * SEC - 1, false, &ns), 0);
	assert_true(ns == NOW_DAY + 86400 * SEC - 3600 * SEC);	/* 00:59 local: already tomorrow */
	assert_int_equal(timex_parse("23:30 UTC", NOW_DAY + 86400 * SEC - 1, false, &ns), 0);
	assert_true(ns == NOW_DAY + 84600 * SEC);
	set_zone("IST-5:30");
	assert_string_equal(timex_offset(NOW, false, buf), "+05:30");
	assert_string_equal(timex_date(NOW_DAY + 20 * 3600 * SEC, false, buf), "2026-11-22");
	set_zone("NST3:30");
	assert_string_equal(timex_offset(NOW, false, buf), "-03:30");
	set_zone("UTC");
}

/* Yesterday of the day after a change of the clock is midnight, not 24 h ago. */
static void test_yesterday_across_change(void **state)
{
	int64_t ns;

	set_zone("CET-1CEST,M3.5.0,M10.5.0/3");
	assert_int_equal(timex_parse("yesterday", 1792969200 * SEC, false, &ns), 0);	/* 2026-10-26 00:00 CET */
	assert_true(ns == (1792969200 - 25 * 3600) * SEC);
	set_zone("UTC");
}

static const struct {
	const char *text;
	int64_t want;
} spans[] = {
	{ "2h 30min", 9000 * SEC }, { "2h30min", 9000 * SEC }, { "1500ms", 1500000000 }, { "5", 5 * SEC }, { "1.5s", 1500000000 },
	{ "0", 0 }, { ".5", SEC / 2 }, { "0.000000001", 1 }, { "0.0000000019", 1 }, { "1ns", 1 }, { "7nsec", 7 }, { "3us", 3000 },
	{ "3usec", 3000 }, { "3\xc2\xb5s", 3000 }, { "3\xce\xbcs", 3000 }, { "1msec", 1000000 }, { "1sec", SEC }, { "2 seconds", 2 * SEC },
	{ "1second", SEC }, { "1m", 60 * SEC }, { "1minute", 60 * SEC }, { "2minutes", 120 * SEC }, { "1hr", 3600 * SEC },
	{ "2hours", 7200 * SEC }, { "1d", 86400 * SEC }, { "2 days", 172800 * SEC }, { "1w", 604800 * SEC }, { "2weeks", 1209600 * SEC },
	{ "1M", 2629800 * SEC }, { "1month", 2629800 * SEC }, { "1y", 31557600 * SEC }, { "2years", 63115200 * SEC },
	{ " 1h\t2m ", 3720 * SEC }, { "1 2", 3 * SEC }, { "0.5h", 1800 * SEC }, { "1.", -1 },
};

static void test_spans(void **state)
{
	static const char *const wrong[] = { "", " ", "h", "-5s", "+5s", "5x", "5 s s", "1,5s", "1..5s", ".", "5S", "5Min", "infinity", "5s\n",
					     "0x5", "\xff", "1.s" };
	int64_t ns = 42;

	for (size_t i = 0; i < sizeof(spans) / sizeof(spans[0]); i++) {
		int err = timex_parse_span(spans[i].text, &ns);

		if (spans[i].want < 0 ? err != -EINVAL : (err || ns != spans[i].want))
			fail_msg("'%s': %d, %" PRId64, spans[i].text, err, ns);
	}
	ns = 42;
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
		if (timex_parse_span(wrong[i], &ns) != -EINVAL)
			fail_msg("'%s' is taken", wrong[i]);
	assert_int_equal(timex_parse_span("293y", &ns), -ERANGE);
	assert_int_equal(timex_parse_span("292y 200y", &ns), -ERANGE);
	assert_int_equal(timex_parse_span("9223372036854775808ns", &ns), -ERANGE);
	assert_int_equal(timex_parse_span("99999999999999999999999", &ns), -ERANGE);
	assert_int_equal(ns, 42);
}

static void test_formats(void **state)
{
	char buf[TIMEX_BUF];
	int64_t back;

	assert_string_equal(timex_rfc3339(NOW, buf), "2026-11-21T04:16:07.123456789Z");
	assert_int_equal(timex_parse_rfc3339(buf, &back), 0);
	assert_true(back == NOW);
	assert_string_equal(timex_rfc3339(0, buf), "1970-01-01T00:00:00.000000000Z");
	assert_string_equal(timex_rfc3339(-1, buf), "1969-12-31T23:59:59.999999999Z");
	assert_string_equal(timex_rfc3339(INT64_MAX, buf), "2262-04-11T23:47:16.854775807Z");
	assert_int_equal(timex_parse_rfc3339(buf, &back), 0);
	assert_true(back == INT64_MAX);
	assert_string_equal(timex_rfc3339(INT64_MIN, buf), "1677-09-21T00:12:43.145224192Z");
	assert_string_equal(timex_stamp(NOW, true, buf), "2026-11-21 04:16:07.123");
	assert_string_equal(timex_date(NOW, true, buf), "2026-11-21");
	assert_string_equal(timex_clock(NOW, true, buf), "04:16:07.123");
}

static void test_format_spans(void **state)
{
	static const struct { int64_t ns; const char *want; } cases[] = {
		{ 0, "0 us" }, { 850999, "850 us" }, { 211 * 1000000LL, "211 ms" }, { 999999999, "999 ms" }, { SEC, "1.0 s" },
		{ 1290000000, "1.2 s" }, { 9999999999, "9.9 s" }, { 10 * SEC, "10 s" }, { 59999999999, "59 s" }, { 60 * SEC, "1 min" },
		{ 61 * SEC, "1 min 1 s" }, { 240 * SEC, "4 min" }, { 3600 * SEC, "1 h" }, { 11100 * SEC, "3 h 5 min" },
		{ 86400 * SEC, "1 d" }, { 183600 * SEC, "2 d 3 h" }, { INT64_MAX, "106751 d 23 h" }, { -5, "0 us" },
	};
	char buf[TIMEX_BUF];

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		assert_string_equal(timex_span(cases[i].ns, buf), cases[i].want);
}

static void test_round_trip(void **state)
{
	char buf[TIMEX_BUF];
	int64_t back;

	srand(2);
	for (int i = 0; i < 20000; i++) {
		int64_t ns = (int64_t)(((uint64_t)rand() << 42 ^ (uint64_t)rand() << 21 ^ (uint64_t)rand()) >> 1);

		assert_int_equal(timex_parse_rfc3339(timex_rfc3339(ns, buf), &back), 0);
		assert_true(back == ns);
	}
}

/* The first line of `command` that begins with `label`, behind the label; "" for none. */
static void ask_systemd(const char *command, const char *label, char *ret, size_t size)
{
	FILE *pipe = popen(command, "r");
	char line[256];

	ret[0] = '\0';
	assert_non_null(pipe);
	while (fgets(line, sizeof(line), pipe)) {
		const char *at = strstr(line, label);

		if (!at || ret[0])
			continue;
		snprintf(ret, size, "%s", at + strlen(label));
		ret[strcspn(ret, "\n")] = '\0';
	}
	pclose(pipe);
}

static void check_with_systemd(const char *text, const char *zone)
{
	char command[160], answer[64];
	long sec = 0, usec = 0;
	int64_t ns;

	snprintf(command, sizeof(command), "TZ=%s systemd-analyze timestamp '%s' 2>&1", zone, text);
	ask_systemd(command, "UNIX seconds: @", answer, sizeof(answer));
	if (sscanf(answer, "%ld.%6ld", &sec, &usec) < 1)
		fail_msg("systemd-analyze does not take '%s'", text);
	set_zone(zone);
	assert_int_equal(timex_parse(text, (int64_t)time(NULL) * SEC, false, &ns), 0);
	if (ns / 1000 != (int64_t)sec * 1000000 + usec)
		fail_msg("'%s' in %s is %" PRId64 " us, systemd says %ld.%06ld", text, zone, ns / 1000, sec, usec);
	set_zone("UTC");
}

static void test_against_systemd(void **state)
{
	static const char *const texts[] = {
		"2026-11-21 04:10:00", "2026-11-21 04:10:00.250000", "2026-11-21 04:10", "2026-11-21", "04:10:30", "04:10", "today",
		"yesterday", "tomorrow", "2026-07-01 12:00:00", "2026-11-21 04:10:00 UTC", "2024-02-29", "@1795234567.250000",
	};
	static const char *const zones[] = { "UTC", "Europe/Berlin", "Asia/Kolkata", "America/St_Johns" };
	struct tm tm;
	time_t sec = time(NULL);

	if (system("systemd-analyze timestamp now >/dev/null 2>&1")) {
		print_message("SKIP: systemd-analyze is not there or too old for 'timestamp'\n");
		skip();
	}
	gmtime_r(&sec, &tm);
	if (tm.tm_min % 30 == 29 && tm.tm_sec > 50)
		sleep(15);	/* no midnight between the two answers */
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
		for (size_t z = 0; z < sizeof(zones) / sizeof(zones[0]); z++)
			check_with_systemd(texts[i], zones[z]);
}

static void test_spans_against_systemd(void **state)
{
	char command[160], answer[64], label[16];
	int64_t ns;

	snprintf(label, sizeof(label), "%s", "\xce\xbcs: ");
	if (system("systemd-analyze timespan 1s >/dev/null 2>&1")) {
		print_message("SKIP: systemd-analyze is not there\n");
		skip();
	}
	for (size_t i = 0; i < sizeof(spans) / sizeof(spans[0]); i++) {
		if (spans[i].want < 0 || spans[i].want % 1000 || strstr(spans[i].text, "ns") || strpbrk(spans[i].text, "\xc2\xce"))
			continue;
		snprintf(command, sizeof(command), "LC_ALL=C.UTF-8 systemd-analyze timespan '%s' 2>/dev/null", spans[i].text);
		ask_systemd(command, label, answer, sizeof(answer));
		assert_int_equal(timex_parse_span(spans[i].text, &ns), 0);
		if (!answer[0] || strtoll(answer, NULL, 10) != ns / 1000)
			fail_msg("'%s' is %" PRId64 " us, systemd says '%s'", spans[i].text, ns / 1000, answer);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_times),	     cmocka_unit_test(test_times_refused),
		cmocka_unit_test(test_rfc3339_is_strict), cmocka_unit_test(test_local),
		cmocka_unit_test(test_yesterday_across_change), cmocka_unit_test(test_spans),
		cmocka_unit_test(test_formats),	     cmocka_unit_test(test_format_spans),
		cmocka_unit_test(test_round_trip),   cmocka_unit_test(test_against_systemd),
		cmocka_unit_test(test_spans_against_systemd),
	};

	set_zone("UTC");
	return cmocka_run_group_tests(tests, NULL, NULL);
}
