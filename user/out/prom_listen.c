// SPDX-License-Identifier: GPL-2.0
/* See prom_listen.h.  Addresses are numbers: nothing is resolved. */
#include "out/prom_listen.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/log.h"
#include "base/parse.h"

#define BACKLOG 64

static bool is_unix(const char *where)
{
	return !strncmp(where, "unix:", 5);
}

static bool addr_is_loopback(const struct sockaddr *sa)
{
	if (sa->sa_family == AF_UNIX)
		return true;
	if (sa->sa_family == AF_INET)
		return ntohl(((const struct sockaddr_in *)sa)->sin_addr.s_addr) >> 24 == 127;
	if (sa->sa_family == AF_INET6) {
		const struct in6_addr *a = &((const struct sockaddr_in6 *)sa)->sin6_addr;

		return IN6_IS_ADDR_LOOPBACK(a) || (IN6_IS_ADDR_V4MAPPED(a) && a->s6_addr[12] == 127);
	}
	return false;
}

static bool addr_allowed(const struct sockaddr *sa, const char *where, bool remote)
{
	if (remote || addr_is_loopback(sa))
		return true;
	log_err("metrics on '%s' could be read from other hosts; --metrics-allow-remote permits it", where);
	return false;
}

bool prom_listen_allowed(int fd, bool remote)
{
	struct sockaddr_storage sa = { 0 };
	socklen_t len = sizeof(sa);

	if (getsockname(fd, (struct sockaddr *)&sa, &len))
		return false;
	return addr_allowed((const struct sockaddr *)&sa, "the socket that was passed", remote);
}

/* A socket that nobody listens on any more is in the way. */
static int unlink_stale(const struct sockaddr_un *sun)
{
	struct stat st;
	int fd, err = 0;

	if (lstat(sun->sun_path, &st))
		return 0;
	if (!S_ISSOCK(st.st_mode))
		return -EEXIST;
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return -errno;
	if (!connect(fd, (const struct sockaddr *)sun, sizeof(*sun)) || errno == EAGAIN)
		err = -EADDRINUSE;
	else if (errno != ECONNREFUSED || unlink(sun->sun_path))
		err = -errno;
	close(fd);
	return err;
}

static int listen_on(const struct sockaddr *sa, socklen_t len)
{
	int fd = socket(sa->sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), one = 1, err = 0;

	if (fd < 0)
		return -errno;
	if (sa->sa_family != AF_UNIX)
		err = setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	else
		err = fchmod(fd, 0600);	/* from the first moment; what others may do comes below */
	if (!err)
		err = bind(fd, sa, len);
	if (!err && sa->sa_family == AF_UNIX)
		err = chmod(((const struct sockaddr_un *)sa)->sun_path, 0660);	/* whatever the umask */
	if (err || listen(fd, BACKLOG)) {
		err = -errno;
		close(fd);
		return err;
	}
	return fd;
}

static int listen_unix(const char *path)
{
	struct sockaddr_un sun = { .sun_family = AF_UNIX };
	int err;

	if (strlen(path) >= sizeof(sun.sun_path))
		return -ENAMETOOLONG;
	memcpy(sun.sun_path, path, strlen(path));
	err = unlink_stale(&sun);
	return err ? err : listen_on((const struct sockaddr *)&sun, sizeof(sun));
}

/* "HOST:PORT" or "[HOST]:PORT" in two. */
static int split(const char *where, char *host, size_t size, const char **port)
{
	const char *colon = strrchr(where, ':');
	size_t len = colon ? (size_t)(colon - where) : 0;
	uint32_t number;	/* getaddrinfo(3) would take 99999 modulo 65536 */
	bool bracket = len > 2 && where[0] == '[' && where[len - 1] == ']';

	if (!len || len >= size || (!bracket && memchr(where, ':', len)) || parse_u32(colon + 1, 1, 65535, &number))
		return -EINVAL;
	snprintf(host, size, "%.*s", (int)(bracket ? len - 2 : len), where + bracket);
	*port = colon + 1;
	return 0;
}

static int listen_inet(const char *where, bool remote)
{
	struct addrinfo hints = { .ai_flags = AI_NUMERICHOST | AI_NUMERICSERV | AI_PASSIVE, .ai_socktype = SOCK_STREAM };
	struct addrinfo *ai = NULL;
	const char *port;
	char host[64];
	int fd;

	if (split(where, host, sizeof(host), &port) || getaddrinfo(host, port, &hints, &ai)) {
		log_err("'%s' is neither unix:PATH nor ADDRESS:PORT", where);
		return -EINVAL;
	}
	fd = addr_allowed(ai->ai_addr, where, remote) ? listen_on(ai->ai_addr, ai->ai_addrlen) : -EINVAL;
	if (fd < 0 && fd != -EINVAL)
		log_err("cannot serve metrics on '%s': %s", where, strerror(-fd));
	freeaddrinfo(ai);
	return fd;
}

int prom_listen(const char *where, bool remote)
{
	int fd;

	if (!is_unix(where) || !where[5])
		return listen_inet(where, remote);
	fd = listen_unix(where + 5);
	if (fd < 0)
		log_err("cannot serve metrics on '%s': %s", where, fd == -EEXIST ? "that is no socket" : strerror(-fd));
	return fd;
}

void prom_unlisten(const char *where)
{
	if (is_unix(where))
		unlink(where + 5);
}
