/* SPDX-License-Identifier: GPL-2.0 */
/*
 * An existing mount is preferred; a detached one changes nothing on the host
 * and goes with its descriptor.
 */
#include "kern/mounts.h"

#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <linux/magic.h>
#include <linux/mount.h>
#include <sys/mount.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <unistd.h>

static int mounts_private(const char *type)
{
	int fs = (int)syscall(SYS_fsopen, type, FSOPEN_CLOEXEC);
	int mnt = -1;

	if (fs < 0)
		return -errno;
	if (!syscall(SYS_fsconfig, fs, FSCONFIG_CMD_CREATE, NULL, NULL, 0))
		mnt = (int)syscall(SYS_fsmount, fs, FSMOUNT_CLOEXEC, 0);
	mnt = mnt < 0 ? -errno : mnt;
	close(fs);
	return mnt;
}

static int mounts_find(const char *const *paths, long magic, const char *type)
{
	struct statfs st;

	for (; *paths; paths++) {
		int fd = open(*paths, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

		if (fd < 0)
			continue;
		if (!fstatfs(fd, &st) && (long)st.f_type == magic)
			return fd;
		close(fd);
	}
	return mounts_private(type);
}

int mounts_open_tracefs(void)
{
	static const char *const paths[] = { "/sys/kernel/tracing", "/sys/kernel/debug/tracing", NULL };

	return mounts_find(paths, TRACEFS_MAGIC, "tracefs");
}

int mounts_open_cgroup2(void)
{
	static const char *const paths[] = { "/sys/fs/cgroup", "/sys/fs/cgroup/unified", NULL };

	return mounts_find(paths, CGROUP2_SUPER_MAGIC, "cgroup2");
}
