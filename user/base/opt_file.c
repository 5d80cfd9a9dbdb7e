// SPDX-License-Identifier: GPL-2.0
/* A configuration file onto the option table; see opt.h. */
#include "base/opt.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"

#define FILE_MAX (256 * 1024)

/* The whole file, ended by NUL.  Only a regular file is read: a pipe could hang. */
static int file_load(int fd, char **ret, size_t *len)
{
	struct stat st;
	ssize_t n = 0;

	if (fstat(fd, &st))
		return -errno;
	if (!S_ISREG(st.st_mode))
		return S_ISDIR(st.st_mode) ? -EISDIR : -EINVAL;
	if (st.st_size > FILE_MAX)
		return -EFBIG;
	*ret = malloc(FILE_MAX + 1);
	if (!*ret)
		return -ENOMEM;
	for (*len = 0; *len < FILE_MAX; *len += (size_t)n) {
		n = read(fd, *ret + *len, FILE_MAX - *len);
		if (n <= 0)
			break;
	}
	(*ret)[*len] = '\0';
	return n < 0 ? -errno : 0;
}

static char *trim(char *s)
{
	size_t len;

	s += strspn(s, " \t\r");
	for (len = strlen(s); len && strchr(" \t\r", s[len - 1]); len--)
		s[len - 1] = '\0';
	return s;
}

static int file_line(const struct opt_cmd *cmd, const char *path, unsigned int number, char *line)
{
	char *equals, *key = trim(line), *value, why[OPT_WHY_LEN];
	int err;

	if (!*key || *key == '#' || *key == ';')
		return 0;
	equals = strchr(key, '=');
	if (!equals) {
		log_err("%s:%u: no '=' in '%.64s'", path, number, key);
		return -EINVAL;
	}
	*equals = '\0';
	key = trim(key);
	value = trim(equals + 1);
	err = strcmp(key, "config") ? opt_set_value(cmd, key, value, why) : -ENOENT;
	if (err == -ENOENT)
		log_err("%s:%u: unknown key '%.64s'", path, number, key);
	else if (err)
		log_err("%s:%u: key '%s': %s", path, number, key, why);
	return err ? -EINVAL : 0;
}

static int file_lines(const struct opt_cmd *cmd, const char *path, char *text, size_t len)
{
	unsigned int number = 0;
	int err = 0;

	if (strlen(text) != len) {
		log_err("%s: holds a NUL byte: not a configuration file", path);
		return -EINVAL;
	}
	for (char *line = text, *next; !err && line; line = next) {
		next = strchr(line, '\n');
		if (next)
			*next++ = '\0';
		err = file_line(cmd, path, ++number, line);
	}
	return err;
}

int opt_read_file(const struct opt_cmd *cmd, const char *path, char **text)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY), err;
	size_t len = 0;

	*text = NULL;
	if (fd < 0 && errno == ENOENT)
		return -ENOENT;
	err = fd < 0 ? -errno : file_load(fd, text, &len);
	if (fd >= 0)
		close(fd);
	if (err || !*text)
		log_err("cannot read the configuration '%s': %s", path, strerror(-err));
	else
		err = file_lines(cmd, path, *text, len);
	if (err) {
		free(*text);
		*text = NULL;
	}
	return err;
}
