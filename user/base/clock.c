// SPDX-License-Identifier: GPL-2.0
/* The two clocks; see clock.h. */
#include "base/clock.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define BRACKETS 16	/* one is preempted now and then, all are not */

static int64_t clock_read_ns(clockid_t id)
{
	struct timespec ts = { 0 };

	clock_gettime(id, &ts);
	return (int64_t)ts.tv_sec * 1000000000 + ts.tv_nsec;
}

int64_t clock_boot_ns(void)
{
	return clock_read_ns(CLOCK_BOOTTIME);
}

int64_t clock_unix_ns(void)
{
	return clock_read_ns(CLOCK_REALTIME);
}

int64_t clock_boot_to_unix(void)
{
	int64_t tightest = INT64_MAX, offset = 0;

	for (int i = 0; i < BRACKETS; i++) {
		int64_t before = clock_boot_ns();
		int64_t wall = clock_unix_ns();
		int64_t width = clock_boot_ns() - before;

		if (width < tightest) {
			tightest = width;
			offset = wall - (before + width / 2);
		}
	}
	return offset;
}

int clock_boot_id(char buf[CLOCK_BOOT_ID_LEN])
{
	int fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
	ssize_t n;
	int err = 0;

	buf[0] = '\0';
	if (fd < 0)
		return -errno;
	n = read(fd, buf, CLOCK_BOOT_ID_LEN - 1);
	if (n < 0)
		err = -errno;
	else if (n != CLOCK_BOOT_ID_LEN - 1)
		err = -EIO;
	buf[err ? 0 : n] = '\0';
	close(fd);
	return err;
}
