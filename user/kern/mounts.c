/* SPDX-License-Identifier: GPL-2.0 */
/*
 * An existing mount is preferred; a detached one changes nothing on the host
 * and goes with its descriptor.
 */
#include "kern/mounts.h"

#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
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

static const char *const cgroup2_paths[] = { "/sys/fs/cgroup", "/sys/fs/cgroup/unified", NULL };

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
	return mounts_find(cgroup2_paths, CGROUP2_SUPER_MAGIC, "cgroup2");
}

/* NULL: it is mounted nowhere that we look. */
static const char *mounts_cgroup2(void)
{
	struct statfs st;

	for (const char *const *at = cgroup2_paths; *at; at++)
		if (!statfs(*at, &st) && (long)st.f_type == CGROUP2_SUPER_MAGIC)
			return *at;
	return NULL;
}

static const char *mounts_below(const char *path, const char *mount)
{
	size_t len = strlen(mount);

	if (strncmp(path, mount, len) || (path[len] && path[len] != '/'))
		return NULL;
	return path[len] ? path + len : "/";
}

const char *mounts_cgroup_name(const char *path)
{
	const char *mount = mounts_cgroup2(), *name = mount ? mounts_below(path, mount) : NULL;

	if (!name)
		name = mounts_below(path, "/sys/fs/cgroup");	/* of a stream that comes from another host */
	return name ? name : path;
}

bool mounts_lack_cgroup(const char *name)
{
	const char *mount = mounts_cgroup2();
	char path[4096];

	if (!mount)
		return false;
	snprintf(path, sizeof(path), "%s/%s", mount, name);
	if (!access(path, F_OK) || errno != ENOENT)
		return false;
	/* Hybrid hosts have the names of systemd beside it. */
	snprintf(path, sizeof(path), "/sys/fs/cgroup/systemd/%s", name);
	return access(path, F_OK) && errno == ENOENT;
}
