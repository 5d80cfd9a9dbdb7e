// SPDX-License-Identifier: GPL-2.0
/*
 * Spans of time as systemd.time(7) writes them, and as people read them; see
 * timex.h.
 */
#include "base/timex.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define NS_PER_MIN (60 * TIMEX_NS_PER_SEC)
#define NS_PER_HOUR (60 * NS_PER_MIN)
#define NS_PER_DAY (24 * NS_PER_HOUR)

static const struct unit {
	const char *name;
	int64_t ns;
} units[] = {
	{ "ns", 1 }, { "nsec", 1 },
	{ "us", TIMEX_NS_PER_US }, { "usec", TIMEX_NS_PER_US },
	{ "\xc2\xb5s", TIMEX_NS_PER_US }, { "\xce\xbcs", TIMEX_NS_PER_US },	/* micro sign, Greek mu */
	{ "ms", TIMEX_NS_PER_MS }, { "msec", TIMEX_NS_PER_MS },
	{ "s", TIMEX_NS_PER_SEC }, { "sec", TIMEX_NS_PER_SEC },
	{ "second", TIMEX_NS_PER_SEC }, { "seconds", TIMEX_NS_PER_SEC },
	{ "m", NS_PER_MIN }, { "min", NS_PER_MIN }, { "minute", NS_PER_MIN }, { "minutes", NS_PER_MIN },
	{ "h", NS_PER_HOUR }, { "hr", NS_PER_HOUR }, { "hour", NS_PER_HOUR }, { "hours", NS_PER_HOUR },
	{ "d", NS_PER_DAY }, { "day", NS_PER_DAY }, { "days", NS_PER_DAY },
	{ "w", 7 * NS_PER_DAY }, { "week", 7 * NS_PER_DAY }, { "weeks", 7 * NS_PER_DAY },
	{ "M", 2629800 * TIMEX_NS_PER_SEC }, { "month", 2629800 * TIMEX_NS_PER_SEC },
	{ "months", 2629800 * TIMEX_NS_PER_SEC },
	{ "y", 31557600 * TIMEX_NS_PER_SEC }, { "year", 31557600 * TIMEX_NS_PER_SEC },
	{ "years", 31557600 * TIMEX_NS_PER_SEC },
};

/* The unit at `p`, up to a digit, a blank or the end; none: seconds.  0: not a unit. */
static int64_t scan_unit(const char **p)
{
	size_t len = strcspn(*p, "0123456789. \t+-");

	if (!len)
		return TIMEX_NS_PER_SEC;
	for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
		if (strlen(units[i].name) != len || memcmp(units[i].name, *p, len))
			continue;
		*p += len;
		return units[i].ns;
	}
	return 0;
}

static void skip_blank(const char **p)
{
	*p += strspn(*p, " \t");
}

/* One "1.5h": a whole part and digits after a point, each times the unit. */
static int scan_term(const char **p, int64_t *ret)
{
	const char *whole = *p, *frac;
	size_t n_whole = strspn(whole, "0123456789"), n_frac = 0;
	int64_t unit, v = 0, step;

	*p += n_whole;
	frac = *p;
	if (*frac == '.') {
		n_frac = strspn(++frac, "0123456789");
		*p = frac + n_frac;
		if (!n_frac)
			return -EINVAL;
	}
	if (!n_whole && !n_frac)
		return -EINVAL;
	skip_blank(p);
	unit = scan_unit(p);
	if (!unit)
		return -EINVAL;
	for (size_t i = 0; i < n_whole; i++)
		if (__builtin_mul_overflow(v, 10, &v) || __builtin_add_overflow(v, whole[i] - '0', &v))
			return -ERANGE;
	if (__builtin_mul_overflow(v, unit, &v))
		return -ERANGE;
	step = unit;
	for (size_t i = 0; i < n_frac; i++) {
		/* Keeps 1/10 units whole for as long as they are; below a ns nothing counts. */
		step /= 10;
		if (__builtin_add_overflow(v, (frac[i] - '0') * step, &v))
			return -ERANGE;
	}
	*ret = v;
	return 0;
}

int timex_parse_span(const char *text, int64_t *ret)
{
	int64_t sum = 0, term;
	int err;

	skip_blank(&text);
	if (!*text)
		return -EINVAL;
	while (*text) {
		err = scan_term(&text, &term);
		if (err)
			return err;
		if (__builtin_add_overflow(sum, term, &sum))
			return -ERANGE;
		skip_blank(&text);
	}
	*ret = sum;
	return 0;
}

/* "3 h 5 min", or "3 h" when there are no minutes. */
static void format_pair(char *buf, int64_t ns, int64_t unit, const char *name, int64_t small, const char *small_name)
{
	int64_t rest = ns % unit / small;

	if (rest)
		snprintf(buf, TIMEX_BUF, "%lld %s %lld %s", (long long)(ns / unit), name, (long long)rest, small_name);
	else
		snprintf(buf, TIMEX_BUF, "%lld %s", (long long)(ns / unit), name);
}

const char *timex_span(int64_t ns, char *buf)
{
	long long v = ns < 0 ? 0 : ns;

	if (v < TIMEX_NS_PER_MS)
		snprintf(buf, TIMEX_BUF, "%lld us", v / TIMEX_NS_PER_US);
	else if (v < TIMEX_NS_PER_SEC)
		snprintf(buf, TIMEX_BUF, "%lld ms", v / TIMEX_NS_PER_MS);
	else if (v < 10 * TIMEX_NS_PER_SEC)
		snprintf(buf, TIMEX_BUF, "%lld.%lld s", v / TIMEX_NS_PER_SEC, v / (TIMEX_NS_PER_SEC / 10) % 10);
	else if (v < NS_PER_MIN)
		snprintf(buf, TIMEX_BUF, "%lld s", v / TIMEX_NS_PER_SEC);
	else if (v < NS_PER_HOUR)
		format_pair(buf, v, NS_PER_MIN, "min", TIMEX_NS_PER_SEC, "s");
	else if (v < NS_PER_DAY)
		format_pair(buf, v, NS_PER_HOUR, "h", NS_PER_MIN, "min");
	else
		format_pair(buf, v, NS_PER_DAY, "d", NS_PER_HOUR, "h");
	return buf;
}
