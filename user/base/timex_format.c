// SPDX-License-Identifier: GPL-2.0
/* Writing times, in UTC for machines and in either zone for people; see timex.h. */
#include "base/timex.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/str.h"

/*
 * gmtime_r(3) without its lock: the calendar of a day, after Howard Hinnant's
 * civil_from_days.  Years run from March, so that the leap day comes last.
 */
static void utc_calendar(int64_t sec, struct tm *tm)
{
	int64_t day = sec / 86400 - (sec % 86400 < 0);
	int in_day = (int)(sec - day * 86400);
	int64_t from_march = day + 719468, era = (from_march < 0 ? from_march - 146096 : from_march) / 146097;
	int in_era = (int)(from_march - era * 146097);
	int year = (in_era - in_era / 1460 + in_era / 36524 - in_era / 146096) / 365;
	int in_year = in_era - (365 * year + year / 4 - year / 100), month = (5 * in_year + 2) / 153;

	tm->tm_mday = in_year - (153 * month + 2) / 5 + 1;
	tm->tm_mon = month < 10 ? month + 2 : month - 10;
	tm->tm_year = (int)(era * 400) + year + (tm->tm_mon < 2) - 1900;
	tm->tm_hour = in_day / 3600;
	tm->tm_min = in_day / 60 % 60;
	tm->tm_sec = in_day % 60;
}

/* Splits into the calendar and the nanoseconds of the second, also before 1970. */
static int64_t split(int64_t ns, bool utc, struct tm *tm)
{
	int64_t rest = ns % TIMEX_NS_PER_SEC;
	time_t sec = (time_t)(ns / TIMEX_NS_PER_SEC);

	if (rest < 0) {
		rest += TIMEX_NS_PER_SEC;
		sec--;
	}
	if (utc)
		utc_calendar(sec, tm);
	else
		localtime_r(&sec, tm);
	return rest;
}

/* By hand: strftime(3) and snprintf(3) were half the cost of a line of JSON. */
static size_t put_digits(char *buf, size_t at, int number, unsigned int digits)
{
	unsigned int left = (unsigned int)number, i = digits;

	for (; i > 1; left /= 100)
		memcpy(buf + at + (i -= 2), &str_pairs[left % 100 * 2], 2);
	if (i)
		buf[at] = (char)('0' + left % 10);
	return at + digits;
}

static size_t put_date(char *buf, const struct tm *tm)
{
	size_t n = put_digits(buf, 0, tm->tm_year + 1900, 4);

	buf[n++] = '-';
	n = put_digits(buf, n, tm->tm_mon + 1, 2);
	buf[n++] = '-';
	n = put_digits(buf, n, tm->tm_mday, 2);
	buf[n] = '\0';
	return n;
}

/* With a fraction of the second of that many digits. */
static size_t put_clock(char *buf, size_t n, const struct tm *tm, int fraction, unsigned int digits)
{
	n = put_digits(buf, n, tm->tm_hour, 2);
	buf[n++] = ':';
	n = put_digits(buf, n, tm->tm_min, 2);
	buf[n++] = ':';
	n = put_digits(buf, n, tm->tm_sec, 2);
	buf[n++] = '.';
	n = put_digits(buf, n, fraction, digits);
	buf[n] = '\0';
	return n;
}

#define SECONDS_KEPT 8

/* Times come in swarms: nearly always a second that was there just before. */
size_t timex_put_rfc3339(int64_t ns, char *buf)
{
	static _Thread_local struct second { int64_t sec; size_t len; char text[TIMEX_BUF]; } kept[SECONDS_KEPT];
	int64_t sec = ns / TIMEX_NS_PER_SEC, rest = ns % TIMEX_NS_PER_SEC;
	struct second *last;
	struct tm tm;

	if (rest < 0) {
		rest += TIMEX_NS_PER_SEC;
		sec--;
	}
	last = &kept[(uint64_t)sec % SECONDS_KEPT];
	if (!last->len || sec != last->sec) {
		split(ns, true, &tm);
		last->len = put_date(last->text, &tm);
		last->text[last->len++] = 'T';
		last->len = put_clock(last->text, last->len, &tm, 0, 1) - 1;
		last->sec = sec;
	}
	memcpy(buf, last->text, TIMEX_BUF);
	put_digits(buf, last->len, (int)rest, 9);
	memcpy(buf + last->len + 9, "Z", 2);
	return last->len + 10;
}

const char *timex_rfc3339(int64_t ns, char *buf)
{
	timex_put_rfc3339(ns, buf);
	return buf;
}

const char *timex_stamp(int64_t ns, bool utc, char *buf)
{
	struct tm tm;
	int64_t rest = split(ns, utc, &tm);
	size_t n = put_date(buf, &tm);

	buf[n++] = ' ';
	put_clock(buf, n, &tm, (int)(rest / TIMEX_NS_PER_MS), 3);
	return buf;
}

const char *timex_date(int64_t ns, bool utc, char *buf)
{
	struct tm tm;

	split(ns, utc, &tm);
	put_date(buf, &tm);
	return buf;
}

const char *timex_clock(int64_t ns, bool utc, char *buf)
{
	struct tm tm;
	int64_t rest = split(ns, utc, &tm);

	put_clock(buf, 0, &tm, (int)(rest / TIMEX_NS_PER_MS), 3);
	return buf;
}

const char *timex_offset(int64_t ns, bool utc, char *buf)
{
	struct tm tm;
	long east;

	split(ns, utc, &tm);
	east = utc ? 0 : tm.tm_gmtoff;
	snprintf(buf, TIMEX_BUF, "%c%02ld:%02ld", east < 0 ? '-' : '+', labs(east) / 3600, labs(east) / 60 % 60);
	return buf;
}
