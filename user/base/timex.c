// SPDX-License-Identifier: GPL-2.0
/*
 * Reading times; see timex.h.  Spans are timex_span.c, writing is
 * timex_format.c.
 *
 * A small scanner over the text: each scan_ function moves the cursor on
 * success and leaves it on failure, so that forms can be tried in turn.
 */
#include "base/timex.h"

#include <errno.h>
#include <string.h>
#include <time.h>

#include "base/parse.h"

#define FRACTION_DIGITS 9

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static bool scan_char(const char **p, char c)
{
	if (**p != c)
		return false;
	++*p;
	return true;
}

/* Exactly `digits` digits. */
static bool scan_digits(const char **p, int digits, int *ret)
{
	int v = 0;

	for (int i = 0; i < digits; i++) {
		if (!is_digit((*p)[i]))
			return false;
		v = v * 10 + ((*p)[i] - '0');
	}
	*p += digits;
	*ret = v;
	return true;
}

/* ".5" to nanoseconds; without a point: 0. */
static bool scan_fraction(const char **p, int64_t *ns)
{
	int digits = 0;
	int64_t v = 0;

	*ns = 0;
	if (!scan_char(p, '.'))
		return true;
	for (; is_digit(**p) && digits < FRACTION_DIGITS; ++*p, digits++)
		v = v * 10 + (**p - '0');
	if (!digits || is_digit(**p))
		return false;
	for (; digits < FRACTION_DIGITS; digits++)
		v *= 10;
	*ns = v;
	return true;
}

static int days_of_month(int year, int month)
{
	static const int days[] = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };
	bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;

	return days[month - 1] + (month == 2 && leap);
}

static bool scan_date(const char **p, struct tm *tm)
{
	const char *at = *p;
	int year, month, day;

	if (!scan_digits(&at, 4, &year) || !scan_char(&at, '-') || !scan_digits(&at, 2, &month) ||
	    !scan_char(&at, '-') || !scan_digits(&at, 2, &day))
		return false;
	if (month < 1 || month > 12 || day < 1 || day > days_of_month(year, month))
		return false;
	tm->tm_year = year - 1900;
	tm->tm_mon = month - 1;
	tm->tm_mday = day;
	*p = at;
	return true;
}

/* "04:10", and with `full` needed or present, ":00.5". */
static bool scan_clock(const char **p, bool full, struct tm *tm, int64_t *ns)
{
	const char *at = *p;
	int hour, min, sec = 0;

	*ns = 0;
	if (!scan_digits(&at, 2, &hour) || !scan_char(&at, ':') || !scan_digits(&at, 2, &min))
		return false;
	if (scan_char(&at, ':')) {
		if (!scan_digits(&at, 2, &sec) || !scan_fraction(&at, ns))
			return false;
	} else if (full) {
		return false;
	}
	if (hour > 23 || min > 59 || sec > 59)
		return false;
	tm->tm_hour = hour;
	tm->tm_min = min;
	tm->tm_sec = sec;
	*p = at;
	return true;
}

/* "Z", "+02:00", "-0530"; seconds east of UTC. */
static bool scan_zone(const char **p, int *east)
{
	const char *at = *p;
	int hour, min, sign = *at == '-' ? -1 : 1;

	if (scan_char(p, 'Z') || scan_char(p, 'z')) {
		*east = 0;
		return true;
	}
	if (!scan_char(&at, '+') && !scan_char(&at, '-'))
		return false;
	if (!scan_digits(&at, 2, &hour))
		return false;
	scan_char(&at, ':');
	if (!scan_digits(&at, 2, &min) || hour > 23 || min > 59)
		return false;
	*east = sign * (hour * 60 + min) * 60;
	*p = at;
	return true;
}

static int timex_from_sec(int64_t sec, int64_t ns, int64_t *ret)
{
	int64_t v;

	if (__builtin_mul_overflow(sec, TIMEX_NS_PER_SEC, &v) || __builtin_add_overflow(v, ns, &v) || v < 0)
		return -ERANGE;
	*ret = v;
	return 0;
}

static int timex_from_tm(struct tm *tm, int64_t ns, bool utc, int64_t *ret)
{
	tm->tm_isdst = -1;	/* of two equal wall times libc chooses; of none, the one after the jump */
	return timex_from_sec(utc ? timegm(tm) : mktime(tm), ns, ret);
}

/* The calendar day of `now`, moved by `days`, at midnight. */
static void timex_day(int64_t now, bool utc, int days, struct tm *tm)
{
	time_t sec = (time_t)(now / TIMEX_NS_PER_SEC);

	if (utc)
		gmtime_r(&sec, tm);
	else
		localtime_r(&sec, tm);
	tm->tm_mday += days;
	tm->tm_hour = tm->tm_min = tm->tm_sec = 0;
}

static int parse_epoch(const char *p, int64_t *ret)
{
	char digits[24];
	size_t n = strspn(p, "0123456789");
	uint64_t sec;
	int64_t ns;
	int err;

	if (n >= sizeof(digits))
		return -ERANGE;
	memcpy(digits, p, n);
	digits[n] = '\0';
	p += n;
	err = parse_u64(digits, 0, INT64_MAX, &sec);
	if (err)
		return err;
	if (!scan_fraction(&p, &ns) || *p)
		return -EINVAL;
	return timex_from_sec((int64_t)sec, ns, ret);
}

/* "-15min", "+5s", "15min ago", "5s left"; -EINVAL when it is none of them. */
static int parse_relative(const char *text, int64_t now, int64_t *ret)
{
	static const struct { const char *word; int sign; } tails[] = { { " ago", -1 }, { " left", 1 } };
	size_t len = strlen(text);
	int sign = text[0] == '-' ? -1 : text[0] == '+' ? 1 : 0;
	char span[128];
	int64_t ns, v;
	int err;

	if (sign) {
		text++;
		len--;
	}
	for (size_t i = 0; i < 2 && !sign; i++) {
		size_t tail = strlen(tails[i].word);

		if (len > tail && !strcmp(text + len - tail, tails[i].word)) {
			sign = tails[i].sign;
			len -= tail;
		}
	}
	if (!sign || len >= sizeof(span))
		return -EINVAL;
	memcpy(span, text, len);
	span[len] = '\0';
	err = timex_parse_span(span, &ns);
	if (err)
		return err;
	if (__builtin_add_overflow(now, sign * ns, &v) || v < 0)
		return -ERANGE;
	*ret = v;
	return 0;
}

static bool parse_word(const char *text, int64_t now, bool utc, int64_t *ret, int *err)
{
	static const struct { const char *word; int days; } words[] = {
		{ "yesterday", -1 }, { "today", 0 }, { "tomorrow", 1 },
	};
	struct tm tm;

	*err = 0;
	if (!strcmp(text, "now")) {
		*ret = now;
		return true;
	}
	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		if (strcmp(text, words[i].word))
			continue;
		timex_day(now, utc, words[i].days, &tm);
		*err = timex_from_tm(&tm, 0, utc, ret);
		return true;
	}
	return false;
}

int timex_parse_rfc3339(const char *text, int64_t *ret)
{
	struct tm tm = { 0 };
	int64_t ns, v;
	int east, err;

	if (!scan_date(&text, &tm) || !(scan_char(&text, 'T') || scan_char(&text, 't') || scan_char(&text, ' ')) ||
	    !scan_clock(&text, true, &tm, &ns) || !scan_zone(&text, &east) || *text)
		return -EINVAL;
	err = timex_from_sec((int64_t)timegm(&tm) - east, ns, &v);
	if (!err)
		*ret = v;
	return err;
}

/* Date, time of day, or both; in UTC when " UTC" follows. */
static int parse_calendar(const char *p, int64_t now, bool utc, int64_t *ret)
{
	struct tm tm = { 0 };
	int64_t ns = 0;

	if (scan_date(&p, &tm)) {
		if (is_digit(p[0]) || ((*p == ' ' || *p == 'T') && is_digit(p[1]))) {
			p++;
			if (!scan_clock(&p, false, &tm, &ns))
				return -EINVAL;
		}
	} else {
		struct tm at = { 0 };
		const char *start = p;

		if (!scan_clock(&p, false, &at, &ns))
			return -EINVAL;
		utc = utc || !strcmp(p, " UTC");	/* decides what day it is */
		timex_day(now, utc, 0, &tm);
		scan_clock(&start, false, &tm, &ns);
	}
	if (!strcmp(p, " UTC"))
		utc = true;
	else if (*p)
		return -EINVAL;
	return timex_from_tm(&tm, ns, utc, ret);
}

int timex_parse(const char *text, int64_t now, bool utc, int64_t *ret)
{
	int err;

	if (parse_word(text, now, utc, ret, &err))
		return err;
	if (text[0] == '@')
		return parse_epoch(text + 1, ret);
	err = parse_relative(text, now, ret);
	if (err != -EINVAL)
		return err;
	err = timex_parse_rfc3339(text, ret);
	if (err != -EINVAL)
		return err;
	return parse_calendar(text, now, utc, ret);
}
