/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Times and spans as people write and read them.
 *
 * A time is unix nanoseconds, 1970 to 2262; a span is nanoseconds.  "now" and
 * the choice between UTC and the local zone come from the caller, so nothing
 * here reads a clock and every answer can be tested.
 */
#ifndef PORTLIFE_BASE_TIMEX_H
#define PORTLIFE_BASE_TIMEX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define TIMEX_NS_PER_US 1000LL
#define TIMEX_NS_PER_MS 1000000LL
#define TIMEX_NS_PER_SEC 1000000000LL

#define TIMEX_BUF 48	/* room for every formatted time or span below */

/*
 * Reads a time: "2026-11-21 04:10:00.5", "2026-11-21 04:10", "2026-11-21",
 * "04:10:00", "04:10" (today), RFC 3339 with Z or an offset (blank or 'T'), a
 * trailing " UTC", "@1795234567.25", "now", "today", "yesterday", "tomorrow",
 * "-15min", "15min ago", "+5s", "5s left".  Without a zone it is UTC when
 * `utc`, else local.  Fractions have 1-9 digits.
 * Returns 0, -EINVAL (no such form, no such date), -ERANGE (outside 1970-2262).
 */
int timex_parse(const char *text, int64_t now, bool utc, int64_t *ret);

/* RFC 3339 alone, the zone required, as the event format writes it.  Same errors. */
int timex_parse_rfc3339(const char *text, int64_t *ret);

/*
 * Reads a span as in systemd.time(7): "2h 30min", "1500ms", "5" (seconds),
 * "1.5s", units ns to years, a month being 30.44 and a year 365.25 days.
 * Returns 0, -EINVAL or -ERANGE (above 292 years).  No "infinity".
 */
int timex_parse_span(const char *text, int64_t *ret);

/* All of these write at most TIMEX_BUF bytes, NUL included, and return `buf`. */
const char *timex_rfc3339(int64_t ns, char *buf);		/* 2026-11-21T04:10:00.123456789Z */
size_t timex_put_rfc3339(int64_t ns, char *buf);		/* the same, for its length without the NUL */
const char *timex_stamp(int64_t ns, bool utc, char *buf);	/* 2026-11-21 12:34:56.902 */
const char *timex_date(int64_t ns, bool utc, char *buf);	/* 2026-11-21 */
const char *timex_clock(int64_t ns, bool utc, char *buf);	/* 12:34:56.902 */
const char *timex_offset(int64_t ns, bool utc, char *buf);	/* +00:00, the zone's offset at that time */
/* Two units at most, cut, not rounded: 850 us, 211 ms, 1.2 s, 42 s, 4 min, 3 h 5 min, 2 d 3 h. */
const char *timex_span(int64_t ns, char *buf);

#endif
