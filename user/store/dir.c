// SPDX-License-Identifier: GPL-2.0
/*
 * The state directory; see dir.h.
 */
#include "store/dir.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "base/log.h"

const char *dir_strerror(int err)
{
	switch (-err) {
	case ELOOP:
		return "it is a symbolic link, which is not followed";
	case EPERM:
		return "it belongs to another user";
	case EINVAL:
		return "it is not a regular file";
	default:
		return strerror(-err);
	}
}

static int dir_make(const char *path, bool *made)
{
	*made = !mkdir(path, DIR_MODE);
	if (*made || errno == EEXIST)
		return 0;
	log_err("cannot make the state directory '%s': %s", path, strerror(errno));
	return -errno;
}

static int dir_say(const char *path, const char *what, int err)
{
	log_err("state directory '%s': %s", path, what);
	return err;
}

/* Whom we would believe: ourselves, root, and the user that the service runs as. */
static bool dir_trusted(uid_t uid)
{
	const struct passwd *service;

	if (uid == geteuid() || uid == 0)
		return true;
	service = getpwnam("portlife");
	return service && uid == service->pw_uid;
}

static int dir_check_self(const char *path, int fd, bool writer, uid_t *owner)
{
	struct stat st;

	if (fstat(fd, &st))
		return dir_say(path, strerror(errno), -errno);
	if (writer ? st.st_uid != geteuid() : !dir_trusted(st.st_uid))
		return dir_say(path, "it belongs to another user", -EPERM);
	if (writer && (st.st_mode & (S_IWGRP | S_IWOTH)))
		return dir_say(path, "others may write to it", -EPERM);
	*owner = st.st_uid;
	return 0;
}

/* The path that SQLite gets: it refuses any symbolic link on the way. */
static char *dir_real_path(int fd)
{
	char link[64], path[PATH_MAX];
	ssize_t n;

	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	n = readlink(link, path, sizeof(path) - 1);
	if (n <= 0)
		return NULL;
	path[n] = '\0';
	return strdup(path);
}

static int dir_open_fd(const char *path)
{
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	struct stat st;

	if (fd >= 0)
		return fd;
	if (errno == ENOTDIR && !lstat(path, &st) && S_ISLNK(st.st_mode))
		return dir_say(path, dir_strerror(-ELOOP), -ELOOP);
	return dir_say(path, strerror(errno), -errno);
}

int dir_open(const char *path, bool writer, struct store_dir **ret)
{
	struct store_dir *dir = calloc(1, sizeof(*dir));
	int err = -ENOMEM;

	if (!dir)
		return err;
	dir->fd = -1;
	err = writer ? dir_make(path, &dir->made) : 0;
	if (err)
		goto fail;
	err = dir->fd = dir_open_fd(path);
	if (err < 0)
		goto fail;
	err = dir_check_self(path, dir->fd, writer, &dir->owner);
	if (err)
		goto fail;
	dir->path = dir_real_path(dir->fd);
	err = dir->path ? 0 : -ENOMEM;
	if (err)
		goto fail;
	*ret = dir;
	return 0;
fail:
	dir_close(dir);
	return err;
}

void dir_close(struct store_dir *dir)
{
	if (!dir)
		return;
	if (dir->fd >= 0)
		close(dir->fd);
	free(dir->path);
	free(dir);
}

int dir_check(const struct store_dir *dir, const char *name, uint64_t *bytes)
{
	/* O_PATH: neither waits on a FIFO nor wakes its other end. */
	int fd = openat(dir->fd, name, O_PATH | O_NOFOLLOW | O_CLOEXEC), err = 0;
	struct stat st;

	if (fd < 0)
		return -errno;
	if (fstat(fd, &st))
		err = -errno;
	else if (S_ISLNK(st.st_mode))
		err = -ELOOP;
	else if (!S_ISREG(st.st_mode))
		err = -EINVAL;
	else if (!dir_trusted(st.st_uid) && st.st_uid != dir->owner)
		err = -EPERM;
	if (!err && bytes)
		*bytes = (uint64_t)st.st_size;
	close(fd);
	return err;
}

int dir_check_wal(const struct store_dir *dir, const char *name)
{
	char wal[DIR_NAME_MAX + 8];
	int err;

	snprintf(wal, sizeof(wal), "%s-wal", name);
	err = dir_check(dir, wal, NULL);
	return err == -ENOENT ? 0 : err;
}

bool dir_is_full(const struct store_dir *dir)
{
	struct statvfs fs;

	return !fstatvfs(dir->fd, &fs) && (!fs.f_bavail || (fs.f_files && !fs.f_favail));
}

int dir_unlink(const struct store_dir *dir, const char *name)
{
	char other[DIR_NAME_MAX + 8];
	int err = 0;

	if (unlinkat(dir->fd, name, 0) && errno != ENOENT)
		err = -errno;
	for (const char *const *end = (const char *const[]){ "-wal", "-shm", NULL }; *end; end++) {
		snprintf(other, sizeof(other), "%s%s", name, *end);
		if (unlinkat(dir->fd, other, 0) && errno != ENOENT)
			err = -errno;
	}
	return err;
}

int dir_set_aside(const struct store_dir *dir, const char *name)
{
	char from[DIR_NAME_MAX + 8], to[DIR_NAME_MAX + 16];

	/* The -wal goes along under the name where SQLite would look for it. */
	snprintf(from, sizeof(from), "%s-wal", name);
	snprintf(to, sizeof(to), "%s.corrupt-wal", name);
	renameat(dir->fd, from, dir->fd, to);
	snprintf(from, sizeof(from), "%s-shm", name);
	unlinkat(dir->fd, from, 0);
	snprintf(to, sizeof(to), "%s.corrupt", name);
	return renameat(dir->fd, name, dir->fd, to) ? -errno : 0;
}

int dir_create(const struct store_dir *dir, const char *name)
{
	int fd, err;

	err = dir_unlink(dir, name);
	if (err)
		return err;
	fd = openat(dir->fd, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, DIR_FILE_MODE);
	if (fd < 0)
		return -errno;
	/* The umask may only have taken rights away; give back what the contract says. */
	err = fchmod(fd, DIR_FILE_MODE) ? -errno : 0;
	close(fd);
	return err;
}

int dir_publish(const struct store_dir *dir, const char *tmp, const char *name)
{
	int fd = openat(dir->fd, tmp, O_RDONLY | O_NOFOLLOW | O_CLOEXEC), err = 0;

	if (fd < 0)
		return -errno;
	if (fsync(fd))
		err = -errno;
	close(fd);
	if (!err && renameat(dir->fd, tmp, dir->fd, name))
		err = -errno;
	if (!err && fsync(dir->fd))
		err = -errno;
	return err;
}

/* ---- the lock and the pulse ---- */

/*
 * A lock of the open file description, because a reader can ask whether it is
 * held without taking it, and so can never be in a writer's way.
 */
static int dir_lock_ask(int fd, int cmd, short type)
{
	struct flock lock = { .l_type = type, .l_whence = SEEK_SET };

	if (fcntl(fd, cmd, &lock))
		return -errno;
	return cmd == F_OFD_GETLK && lock.l_type != F_UNLCK;
}

static void dir_read_pulse(int fd, struct dir_pulse *ret)
{
	char text[128], *end;
	ssize_t n = pread(fd, text, sizeof(text) - 1, 0);
	long long session, alive;
	int at;

	memset(ret, 0, sizeof(*ret));
	if (n <= 0)
		return;
	text[n] = '\0';
	if (sscanf(text, "%9d %19lld %19lld%n", &ret->pid, &session, &alive, &at) != 3)
		return;
	ret->session = session;
	ret->alive = alive;
	if (text[at] != ' ')
		return;
	ret->beat = strtoll(text + at, &end, 10);
	if (*end == ' ')
		ret->written = strtoll(end, NULL, 10);
}

int dir_lock(const struct store_dir *dir, int *ret_fd)
{
	int fd = openat(dir->fd, "lock", O_RDWR | O_CREAT | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, DIR_FILE_MODE);
	struct dir_pulse pulse;
	int err = fd < 0 ? -errno : dir_check(dir, "lock", NULL);

	if (!err)
		err = dir_lock_ask(fd, F_OFD_SETLK, F_WRLCK);
	if (!err) {
		*ret_fd = fd;
		return 0;
	}
	if (fd >= 0 && (err == -EAGAIN || err == -EACCES)) {
		dir_read_pulse(fd, &pulse);
		log_err("state directory '%s' is in use by pid %d", dir->path, pulse.pid);
		err = -EBUSY;
	} else {
		log_err("cannot lock '%s/lock': %s", dir->path, dir_strerror(err));
	}
	if (fd >= 0)
		close(fd);
	return err;
}

void dir_leave_unused(const struct store_dir *dir, int lock_fd)
{
	struct stat st;

	if (fstat(lock_fd, &st) || st.st_size || unlinkat(dir->fd, "lock", 0))
		return;
	if (dir->made)
		rmdir(dir->path);	/* not when somebody put something there */
}

int dir_beat(int lock_fd, const struct dir_pulse *pulse)
{
	char text[96];
	/* Of one length, so that a beat never leaves the tail of another. */
	int n = snprintf(text, sizeof(text), "%9d %19lld %19lld %19lld %19lld\n", pulse->pid, (long long)pulse->session,
			 (long long)pulse->alive, (long long)pulse->beat, (long long)pulse->written);

	return pwrite(lock_fd, text, (size_t)n, 0) == n ? 0 : -EIO;
}

void dir_pulse(const struct store_dir *dir, struct dir_pulse *ret, bool *alive)
{
	int fd;

	memset(ret, 0, sizeof(*ret));
	*alive = false;
	if (dir_check(dir, "lock", NULL))
		return;
	fd = openat(dir->fd, "lock", O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	if (fd < 0)
		return;
	*alive = dir_lock_ask(fd, F_OFD_GETLK, F_RDLCK) > 0;
	dir_read_pulse(fd, ret);
	close(fd);
}
