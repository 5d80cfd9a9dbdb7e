// SPDX-License-Identifier: GPL-2.0
/* A file written beside its name; see beside.h. */
#include "out/beside.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/str.h"

static int write_all(int fd, const char *bytes, size_t len)
{
	while (len) {
		ssize_t n = write(fd, bytes, len);

		if (n < 0 && errno != EINTR)
			return -errno;
		bytes += n > 0 ? n : 0;
		len -= n > 0 ? (size_t)n : 0;
	}
	return 0;
}

static int write_new(const char *path, const struct strbuf *text)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0644), err;

	if (fd < 0)
		return -errno;
	err = write_all(fd, text->data, text->len);
	if (!err && fsync(fd))
		err = -errno;
	if (close(fd) && !err)
		err = -errno;
	return err;
}

/* The name beside is not one that node_exporter reads: those end in .prom. */
int beside_write(const char *path, const struct strbuf *text)
{
	struct strbuf beside = STRBUF_INIT;
	struct stat st;
	int err;

	if (!lstat(path, &st) && !S_ISREG(st.st_mode))
		return S_ISDIR(st.st_mode) ? -EISDIR : -EEXIST;
	strbuf_printf(&beside, "%s.%d", path, (int)getpid());
	err = strbuf_err(&beside);
	if (!err) {
		unlink(strbuf_str(&beside));
		err = write_new(strbuf_str(&beside), text);
		if (!err && rename(strbuf_str(&beside), path))
			err = -errno;
		if (err)
			unlink(strbuf_str(&beside));
	}
	strbuf_free(&beside);
	return err;
}

const char *beside_why(int err)
{
	return err == -EEXIST ? "what has that name is no regular file" : strerror(-err);
}
