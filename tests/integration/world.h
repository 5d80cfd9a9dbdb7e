/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What a test case stands on: its own network namespace, loopback sockets in
 * one line each, and helper processes ("kids") that talk with the case over a
 * socket pair.  A set-up call that fails ends the case: broken() says where.
 */
#ifndef PORTLIFE_TEST_WORLD_H
#define PORTLIFE_TEST_WORLD_H

#include <net/if.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <stddef.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include "pass_fd.h"
#include "watch.h"

#ifndef IP_BIND_ADDRESS_NO_PORT
#define IP_BIND_ADDRESS_NO_PORT 24
#endif
#ifndef IP_LOCAL_PORT_RANGE
#define IP_LOCAL_PORT_RANGE 51
#endif
#ifndef IPPROTO_MPTCP
#define IPPROTO_MPTCP 262
#endif

enum state { WAITING, RUNNING, PASSED, FAILED_, SKIPPED };

/* One a case, in shared memory: the case's processes write, the runner prints. */
struct result {
	atomic_int state;
	atomic_int set_up;	/* an early case is ready for the recorder to start */
	unsigned int asserts;
	int line;		/* of the assertion under way: where a time-out struck */
	char why[4096];
};

/* The case that this process belongs to. */
static struct {
	struct result *result;
	uint32_t netns;
	int64_t patience_ms;
	uint32_t first_row, first_fail;	/* what was in the table before the case */
	unsigned int fences;
	char tier;
	bool runs_cases;		/* not a case: nobody else would print what went wrong */
} self;

/* The first word counts: what follows from a failure is not told. */
__attribute__((format(printf, 2, 3), noreturn))
static inline void finish(int state, const char *fmt, ...)
{
	va_list ap;

	if (atomic_load(&self.result->state) == RUNNING) {
		va_start(ap, fmt);
		vsnprintf(self.result->why, sizeof(self.result->why), fmt, ap);
		va_end(ap);
		atomic_store(&self.result->state, state);
		if (self.runs_cases)
			fprintf(stderr, "%s\n", self.result->why);
	}
	_exit(1);
}

#define fail(fmt, ...) finish(FAILED_, "line %d: " fmt, __LINE__ __VA_OPT__(,) __VA_ARGS__)
#define skip(fmt, ...) finish(SKIPPED, fmt __VA_OPT__(,) __VA_ARGS__)
#define broken(what) finish(FAILED_, "%s:%d: cannot set up: %s: %s", __func__, __LINE__, what, strerror(errno))

/* Evaluates a call that gives a negative number on failure. */
#define MUST(call) must_((long)(call), #call, __func__, __LINE__)

static inline long must_(long ret, const char *what, const char *func, int line)
{
	if (ret < 0)
		finish(FAILED_, "%s:%d: cannot set up: %s: %s", func, line, what, strerror(errno));
	return ret;
}

/* The call must fail with this errno. */
#define MUST_FAIL(want, call) do { \
	if ((call) >= 0) \
		fail("%s went well, %s was to come", #call, #want); \
	if (errno != (want)) \
		fail("%s: %s, but %s was to come", #call, strerror(errno), #want); \
} while (0)

/* --- namespaces ---------------------------------------------------------- */

static inline void lo_up(void)
{
	struct ifreq ifr = { .ifr_name = "lo" };
	int fd = (int)MUST(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));

	MUST(ioctl(fd, SIOCGIFFLAGS, &ifr));
	ifr.ifr_flags |= IFF_UP;
	MUST(ioctl(fd, SIOCSIFFLAGS, &ifr));
	close(fd);
}

/* Moves this thread into a new namespace, loopback up, known to the table.  Returns a descriptor of it. */
static inline int netns_enter_new(uint32_t *inum)
{
	struct stat st;
	int fd;

	MUST(unshare(CLONE_NEWNET));
	fd = (int)MUST(open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC));
	MUST(fstat(fd, &st));
	watch_add_netns((uint32_t)st.st_ino);
	*inum = (uint32_t)st.st_ino;
	lo_up();
	return fd;
}

static inline bool sysctl_try(const char *name, const char *value)
{
	char path[256];
	ssize_t n;
	int fd;

	snprintf(path, sizeof(path), "/proc/sys/net/%s", name);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return false;
	n = write(fd, value, strlen(value));
	close(fd);
	return n == (ssize_t)strlen(value);
}

/* In the namespace of the caller. */
static inline void sysctl_set(const char *name, const char *value)
{
	if (!sysctl_try(name, value))
		finish(FAILED_, "cannot set up: sysctl %s=%s: %s", name, value, strerror(errno));
}

static inline void port_range(int lo, int hi)
{
	char value[32];

	snprintf(value, sizeof(value), "%d\t%d", lo, hi);
	sysctl_set("ipv4/ip_local_port_range", value);
}

/* --- sockets ------------------------------------------------------------- */

union addr {
	struct sockaddr sa;
	struct sockaddr_in v4;
	struct sockaddr_in6 v6;
};

#define LO "127.0.0.1"

/* From text; "" is the wildcard of the family. */
static inline union addr addr_of(int family, const char *ip, int port)
{
	union addr a = { .sa = { .sa_family = (sa_family_t)family } };

	if (family == AF_INET) {
		a.v4.sin_port = htons((uint16_t)port);
		if (*ip && inet_pton(AF_INET, ip, &a.v4.sin_addr) != 1)
			abort();
	} else {
		a.v6.sin6_port = htons((uint16_t)port);
		if (*ip && inet_pton(AF_INET6, ip, &a.v6.sin6_addr) != 1)
			abort();
	}
	return a;
}

static inline socklen_t addr_len(const union addr *a)
{
	return a->sa.sa_family == AF_INET ? sizeof(a->v4) : sizeof(a->v6);
}

static inline int family_of(const char *ip)
{
	return strchr(ip, ':') ? AF_INET6 : AF_INET;
}

static inline int try_bind(int fd, const char *ip, int port)
{
	union addr a = addr_of(family_of(ip), ip, port);

	return bind(fd, &a.sa, addr_len(&a));
}

static inline int try_connect(int fd, const char *ip, int port)
{
	union addr a = addr_of(family_of(ip), ip, port);

	return connect(fd, &a.sa, addr_len(&a));
}

static inline ssize_t try_sendto(int fd, const char *ip, int port, int flags)
{
	union addr a = addr_of(family_of(ip), ip, port);

	return sendto(fd, "x", 1, flags, &a.sa, addr_len(&a));
}

static inline int disconnect(int fd)
{
	struct sockaddr sa = { .sa_family = AF_UNSPEC };

	return connect(fd, &sa, sizeof(sa));
}

static inline int new_socket(int family, int type)
{
	return (int)MUST(socket(family, type | SOCK_CLOEXEC, 0));
}

#define tcp4() new_socket(AF_INET, SOCK_STREAM)
#define udp4() new_socket(AF_INET, SOCK_DGRAM)
#define tcp6() new_socket(AF_INET6, SOCK_STREAM)
#define udp6() new_socket(AF_INET6, SOCK_DGRAM)

static inline void set_opt(int fd, int level, int name, int value)
{
	MUST(setsockopt(fd, level, name, &value, sizeof(value)));
}

/* What the socket says; stale once the kernel took the port away. */
static inline uint16_t port_of(int fd)
{
	union addr a;
	socklen_t len = sizeof(a);

	MUST(getsockname(fd, &a.sa, &len));
	return ntohs(a.sa.sa_family == AF_INET ? a.v4.sin_port : a.v6.sin6_port);
}

static inline uint16_t bound(int fd, const char *ip, int port)
{
	MUST(try_bind(fd, ip, port));
	return port_of(fd);
}

static inline int listener_at(const char *ip, int port)
{
	int fd = new_socket(family_of(ip), SOCK_STREAM);

	set_opt(fd, SOL_SOCKET, SO_REUSEADDR, 1);
	MUST(try_bind(fd, ip, port));
	MUST(listen(fd, 512));
	return fd;
}

/* An unbound client, connected. */
static inline int client_to(const char *ip, int port)
{
	int fd = new_socket(family_of(ip), SOCK_STREAM);

	MUST(try_connect(fd, ip, port));
	return fd;
}

static inline int accept_one(int fd)
{
	return (int)MUST(accept4(fd, NULL, NULL, SOCK_CLOEXEC));
}

/* Leaves no TIME_WAIT behind. */
static inline void close_rst(int fd)
{
	struct linger l = { .l_onoff = 1 };

	MUST(setsockopt(fd, SOL_SOCKET, SO_LINGER, &l, sizeof(l)));
	close(fd);
}

static inline bool have_ipv6(void)
{
	int fd = socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	bool yes = fd >= 0;

	close(fd);
	return yes;
}

/* Until the peer's close arrived. */
static inline void read_eof(int fd)
{
	char c;

	while (MUST(read(fd, &c, 1)) > 0)
		;
}

/* --- kids ---------------------------------------------------------------- */

/* Either end of the channel between a case and a process that it started. */
struct kid {
	pid_t pid;
	int fd;
};

typedef void kid_fn(struct kid *up, void *arg);

static inline void close_all_but(int keep)
{
	for (int fd = 3; fd < 1024; fd++) {
		if (fd != keep)
			close(fd);
	}
}

static inline struct kid kid_start_(kid_fn *fn, void *arg, bool shares)
{
	int pair[2];
	struct kid k;

	MUST(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair));
	k.pid = (pid_t)MUST(fork());
	if (k.pid == 0) {
		struct kid up = { getppid(), pair[1] };

		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (shares)
			close(pair[0]);
		else
			close_all_but(pair[1]);
		fn(&up, arg);
		_exit(0);
	}
	close(pair[1]);
	k.fd = pair[0];
	return k;
}

/* A clean process; the other keeps the descriptors that the case has open. */
#define kid_start(fn, arg) kid_start_(fn, arg, false)
#define kid_start_sharing(fn, arg) kid_start_(fn, arg, true)

static inline void say(const struct kid *k, int value)
{
	MUST(send(k->fd, &value, sizeof(value), MSG_NOSIGNAL));
}

static inline int hear(const struct kid *k)
{
	int value = 0;
	ssize_t n = recv(k->fd, &value, sizeof(value), 0);

	if (n != sizeof(value))
		finish(FAILED_, "process %d ended in the middle of the case", k->pid);
	return value;
}

/* Waits until all its descriptors are closed. */
static inline void kid_wait(struct kid *k)
{
	int status = 0;

	MUST(waitpid(k->pid, &status, 0));
	close(k->fd);
}

static inline void kid_kill(struct kid *k)
{
	kill(k->pid, SIGKILL);
	kid_wait(k);
}

static inline void send_fd(const struct kid *to, int fd)
{
	MUST(pass_fd(to->fd, fd));
}

static inline int receive_fd(const struct kid *from)
{
	char control[CMSG_SPACE(sizeof(int))];
	char byte;
	struct iovec iov = { .iov_base = &byte, .iov_len = 1 };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof(control) };
	int fd = -1;

	MUST(recvmsg(from->fd, &msg, MSG_CMSG_CLOEXEC));
	if (CMSG_FIRSTHDR(&msg))
		memcpy(&fd, CMSG_DATA(CMSG_FIRSTHDR(&msg)), sizeof(fd));
	MUST(fd);
	return fd;
}

#endif
