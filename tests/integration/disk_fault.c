// SPDX-License-Identifier: GPL-2.0
/*
 * A disk that fails, for a program that is started with this as LD_PRELOAD: while the file $DISK_FAULT_WHEN exists, every
 * write below $DISK_FAULT_DIR fails with the errno that it holds as a number, and with EROFS nothing there is opened for
 * writing either.  What is read goes on.
 */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <unistd.h>

/* The real function of that name. */
#define REAL(name) ((typeof(name) *)dlsym(RTLD_NEXT, #name))

/* The errno that writes fail with now, or 0. */
static int fault_now(void)
{
	const char *when = getenv("DISK_FAULT_WHEN");
	int saved = errno, fault = 0;
	FILE *f = when ? fopen(when, "re") : NULL;

	if (f && fscanf(f, "%d", &fault) != 1)
		fault = 0;
	if (f)
		fclose(f);
	errno = saved;
	return fault;
}

static bool below(const char *path)
{
	const char *dir = getenv("DISK_FAULT_DIR");

	return dir && !strncmp(path, dir, strlen(dir));
}

/* Whether the descriptor is of a file, or a directory, that fails. */
static bool fd_fails(int fd)
{
	char link[48], path[PATH_MAX];
	ssize_t n;

	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	n = readlink(link, path, sizeof(path) - 1);
	if (n < 0)
		return false;
	path[n] = '\0';
	return below(path);
}

/* True, and errno set: this write fails. */
static bool write_fails(int fd)
{
	int fault = fd_fails(fd) ? fault_now() : 0;

	if (fault)
		errno = fault;
	return fault;
}

static bool open_fails(int dir, const char *path, int flags)
{
	if ((flags & O_ACCMODE) == O_RDONLY || !(path[0] == '/' ? below(path) : fd_fails(dir)) || fault_now() != EROFS)
		return false;
	errno = EROFS;
	return true;
}

ssize_t write(int fd, const void *bytes, size_t n)
{
	return write_fails(fd) ? -1 : REAL(write)(fd, bytes, n);
}

ssize_t pwrite(int fd, const void *bytes, size_t n, off_t at)
{
	return write_fails(fd) ? -1 : REAL(pwrite)(fd, bytes, n, at);
}

ssize_t pwrite64(int fd, const void *bytes, size_t n, off64_t at)
{
	return write_fails(fd) ? -1 : REAL(pwrite64)(fd, bytes, n, at);
}

int fsync(int fd)
{
	return write_fails(fd) ? -1 : REAL(fsync)(fd);
}

int fdatasync(int fd)
{
	return write_fails(fd) ? -1 : REAL(fdatasync)(fd);
}

/* The mode is there only with the flags that ask for it, and what is passed needlessly does no harm. */
#define MODE(flags, mode)                                \
	do {                                             \
		va_list args;                            \
		va_start(args, flags);                   \
		mode = va_arg(args, mode_t);             \
		va_end(args);                            \
	} while (0)

int open(const char *path, int flags, ...)
{
	mode_t mode;

	MODE(flags, mode);
	return open_fails(AT_FDCWD, path, flags) ? -1 : REAL(open)(path, flags, mode);
}

int open64(const char *path, int flags, ...)
{
	mode_t mode;

	MODE(flags, mode);
	return open_fails(AT_FDCWD, path, flags) ? -1 : REAL(open64)(path, flags, mode);
}

int openat(int dir, const char *path, int flags, ...)
{
	mode_t mode;

	MODE(flags, mode);
	return open_fails(dir, path, flags) ? -1 : REAL(openat)(dir, path, flags, mode);
}

int openat64(int dir, const char *path, int flags, ...)
{
	mode_t mode;

	MODE(flags, mode);
	return open_fails(dir, path, flags) ? -1 : REAL(openat64)(dir, path, flags, mode);
}
