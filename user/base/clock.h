/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The two clocks of an event and the way from one to the other.
 *
 * The kernel stamps with CLOCK_BOOTTIME, which never steps; people ask in wall
 * clock time, which does.  Nothing here caches: a caller that wants a stable
 * mapping keeps the offset it was given.
 */
#ifndef PORTLIFE_BASE_CLOCK_H
#define PORTLIFE_BASE_CLOCK_H

#include <stdint.h>

#define CLOCK_BOOT_ID_LEN 37	/* 36 characters and a NUL */

/* Nanoseconds of CLOCK_BOOTTIME and of CLOCK_REALTIME; they cannot fail on Linux. */
int64_t clock_boot_ns(void);
int64_t clock_unix_ns(void);

/*
 * unix ns - boot ns, now: of several reads of the wall clock, each between two
 * of the boot clock, the one with the tightest bracket.
 */
int64_t clock_boot_to_unix(void);

/*
 * The id of this boot, as in /proc/sys/kernel/random/boot_id, with dashes.
 * Returns 0, or a negative errno with `buf` empty.
 */
int clock_boot_id(char buf[CLOCK_BOOT_ID_LEN]);

#endif
