// SPDX-License-Identifier: GPL-2.0
/*
 * Loads that know the truth about themselves, for the fault scripts:
 *
 *   crowd procs COUNT PORT [PIDS]	short-lived processes, each with a name of its own and one UDP port from PORT on;
 *					with PIDS they take turns at so few process ids (clone3(2) with a chosen one)
 *   crowd netns COUNT [PAUSE_MS]		short-lived processes, each with one UDP port in a network namespace of its own;
 *					in a pause the kernel does away with one, and gives its number again
 *   crowd hold COUNT SPACES		holds UDP ports, spread over so many network namespaces of its own: says
 *					"held COUNT INODE..."; a line on stdin: frees them, says "freed"; the end of stdin: ends
 *   crowd churn COUNT [PAUSE_US]	one UDP port after the other, 0: until SIGTERM; at the end says how many it had
 *   crowd take REFUSED			all UDP ports that bind(0) gives here, by as many processes as may hold so many files:
 *					says of each its pid and ports, of the last also the errnos of REFUSED attempts that
 *					got none; then as hold
 *
 * A line of truth of the first two: port, pid, start of the process in clock ticks, name, namespace.  When they cannot
 * do their work they say why and end with 1; with 77 when this kernel or these rights do not allow it.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/sched.h>
#include <netinet/in.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define PIDS_MAX 256
#define SPACES_MAX 64
#define PORT_FIRST 2000

__attribute__((noreturn))
static void die(const char *what)
{
	fprintf(stderr, "crowd: %s: %s\n", what, strerror(errno));
	_exit(errno == EPERM || errno == ENOSYS ? 77 : 1);
}

static int udp_bind(uint16_t port)
{
	struct sockaddr_in any = { .sin_family = AF_INET, .sin_port = htons(port) };
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), err;

	if (fd < 0 || !bind(fd, (struct sockaddr *)&any, sizeof(any)))
		return fd;
	err = errno;
	close(fd);
	errno = err;
	return -1;
}

static unsigned int port_of(int fd)
{
	struct sockaddr_in at;
	socklen_t len = sizeof(at);

	if (getsockname(fd, (struct sockaddr *)&at, &len))
		die("getsockname");
	return ntohs(at.sin_port);
}

static unsigned long netns_inode(void)
{
	struct stat st;

	if (stat("/proc/self/ns/net", &st))
		die("/proc/self/ns/net");
	return st.st_ino;
}

static unsigned long long start_ticks(void)
{
	char stat[1024], *at;
	int fd = open("/proc/self/stat", O_RDONLY);
	ssize_t n = fd < 0 ? -1 : read(fd, stat, sizeof(stat) - 1);
	unsigned long long ticks;

	if (n <= 0)
		die("/proc/self/stat");
	stat[n] = '\0';
	close(fd);
	at = strrchr(stat, ')');
	if (!at || sscanf(at + 1, " %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %*u %*u %*d %*d %*d %*d %*d %*d %llu", &ticks) != 1)
		die("/proc/self/stat");
	return ticks;
}

/* What one short-lived process does: one port, one line. */
__attribute__((noreturn))
static void live(unsigned int n, uint16_t port)
{
	char name[16], line[128];
	int fd, len;

	snprintf(name, sizeof(name), "p%05u", n);
	prctl(PR_SET_NAME, name);
	fd = udp_bind(port);
	if (fd < 0)
		die("bind");
	len = snprintf(line, sizeof(line), "%u %d %llu %s %lu\n", port_of(fd), (int)getpid(), start_ticks(), name, netns_inode());
	if (write(STDOUT_FILENO, line, (size_t)len) != len)
		die("write");
	_exit(0);
}

/* fork(2) with a process id of our choice, 0: any. */
static pid_t fork_as(pid_t pid)
{
	struct clone_args args = { .exit_signal = SIGCHLD };

	if (!pid)
		return fork();
	args.set_tid = (uint64_t)(uintptr_t)&pid;
	args.set_tid_size = 1;
	return (pid_t)syscall(SYS_clone3, &args, sizeof(args));
}

static void reap(pid_t pid)
{
	int status;

	if (waitpid(pid, &status, 0) != pid || status)
		exit(WIFEXITED(status) ? WEXITSTATUS(status) : 1);
}

static int procs(unsigned int count, unsigned int port, unsigned int pids)
{
	pid_t own[PIDS_MAX] = { 0 };

	if (pids > PIDS_MAX || port + count > 65536)
		return 2;
	for (unsigned int n = 0; n < count; n++) {
		pid_t *turn = pids ? &own[n % pids] : NULL, pid;

		while ((pid = fork_as(turn ? *turn : 0)) < 0 && errno == EEXIST)
			*turn = 0;	/* somebody else took it: another one from now on */
		if (pid < 0)
			die("clone3");
		if (!pid)
			live(n, (uint16_t)(port + n));
		if (turn)
			*turn = pid;
		reap(pid);
	}
	return 0;
}

static int spaces(unsigned int count, unsigned int pause_ms)
{
	for (unsigned int n = 0; n < count; n++) {
		pid_t pid = fork();

		if (pid < 0)
			die("fork");
		if (!pid) {
			if (unshare(CLONE_NEWNET))
				die("unshare");
			live(n, 0);
		}
		reap(pid);
		usleep(pause_ms * 1000);
	}
	return 0;
}

static void raise_files(void)
{
	struct rlimit files = { 100000, 100000 };

	if (!setrlimit(RLIMIT_NOFILE, &files))
		return;
	if (getrlimit(RLIMIT_NOFILE, &files))
		die("getrlimit");
	files.rlim_cur = files.rlim_max;
	setrlimit(RLIMIT_NOFILE, &files);
}

/* Waits for a line; the end of the input ends all. */
static void await(int fd)
{
	char c;

	while (read(fd, &c, 1) == 1)
		if (c == '\n')
			return;
	_exit(0);
}

static void say(int fd, const char *text)
{
	if (write(fd, text, strlen(text)) != (ssize_t)strlen(text))
		_exit(0);
}

/* One namespace of hold(): tells its number when it holds all. */
__attribute__((noreturn))
static void hold_one(unsigned int count, int order, int done)
{
	int *fds = calloc(count, sizeof(*fds));
	char text[32];

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (!fds)
		die("memory");
	if (unshare(CLONE_NEWNET))
		die("unshare");
	for (unsigned int i = 0; i < count; i++) {
		fds[i] = udp_bind((uint16_t)(PORT_FIRST + i));
		if (fds[i] < 0)
			die("bind");
	}
	snprintf(text, sizeof(text), " %lu\n", netns_inode());
	say(done, text);
	await(order);
	for (unsigned int i = 0; i < count; i++)
		close(fds[i]);
	say(done, "freed\n");
	await(order);
	_exit(0);
}

static void collect(int fd, char *line, size_t size)
{
	size_t n = 0;

	while (n < size - 1 && read(fd, line + n, 1) == 1 && line[n] != '\n')
		n++;
	line[n] = '\0';
	if (!n)
		exit(1);	/* it has said why */
}

static int hold(unsigned int count, unsigned int n_spaces)
{
	int orders[SPACES_MAX], done[SPACES_MAX][2], order[2];
	char line[64];

	if (!n_spaces || n_spaces > SPACES_MAX || count / n_spaces + PORT_FIRST + n_spaces > 65535)
		return 2;
	raise_files();
	for (unsigned int i = 0; i < n_spaces; i++) {
		if (pipe2(order, O_CLOEXEC) || pipe2(done[i], O_CLOEXEC))
			die("pipe");
		orders[i] = order[1];
		if (!fork())
			hold_one(count / n_spaces + (i < count % n_spaces), order[0], done[i][1]);
		close(order[0]);
		close(done[i][1]);
	}
	printf("held %u", count);
	for (unsigned int i = 0; i < n_spaces; i++) {
		collect(done[i][0], line, sizeof(line));
		fputs(line, stdout);
	}
	puts("");
	fflush(stdout);
	await(STDIN_FILENO);
	for (unsigned int i = 0; i < n_spaces; i++)
		say(orders[i], "\n");
	for (unsigned int i = 0; i < n_spaces; i++)
		collect(done[i][0], line, sizeof(line));
	puts("freed");
	fflush(stdout);
	await(STDIN_FILENO);
	return 0;
}

static volatile sig_atomic_t stop;

static void on_term(int sig)
{
	stop = 1;
}

static int churn(unsigned long count, unsigned int pause_us)
{
	unsigned long had = 0;

	signal(SIGTERM, on_term);
	while (!stop && (!count || had < count)) {
		int fd = udp_bind(0);

		if (fd < 0)
			die("bind");
		close(fd);
		had++;
		if (pause_us)
			usleep(pause_us);
	}
	printf("%lu\n", had);
	return fflush(stdout) ? 1 : 0;
}

/* One process of take(): as many ports as it may have files, and when there are no more ports, all its refusals. */
__attribute__((noreturn))
static void take_one(unsigned int refused, int order, int done)
{
	int *fds = calloc(65536, sizeof(*fds)), n = 0;
	char text[256];
	size_t len;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	while (fds && n < 65535 && (fds[n] = udp_bind(0)) >= 0)
		n++;
	len = (size_t)snprintf(text, sizeof(text), "%d %d", (int)getpid(), n);
	for (unsigned int i = 0; errno != EMFILE && i < refused && len < sizeof(text) - 32; i++) {
		len += (size_t)snprintf(text + len, sizeof(text) - len, " %s", strerrorname_np(errno));
		if (i + 1 < refused && udp_bind(0) >= 0)
			_exit(1);
	}
	say(done, strcat(text, "\n"));
	await(order);
	while (n)
		close(fds[--n]);
	say(done, "freed\n");
	await(order);
	_exit(0);
}

static int take(unsigned int refused)
{
	int orders[SPACES_MAX], done[SPACES_MAX][2], order[2], n = 0;
	char line[256];

	raise_files();
	do {
		if (n == SPACES_MAX || pipe2(order, O_CLOEXEC) || pipe2(done[n], O_CLOEXEC))
			die("pipe");
		orders[n] = order[1];
		if (!fork())
			take_one(refused, order[0], done[n][1]);
		close(order[0]);
		close(done[n][1]);
		collect(done[n++][0], line, sizeof(line));
		puts(line);
	} while (!strchr(line, 'E'));
	fflush(stdout);
	await(STDIN_FILENO);
	for (int i = 0; i < n; i++)
		say(orders[i], "\n");
	for (int i = 0; i < n; i++)
		collect(done[i][0], line, sizeof(line));
	puts("freed");
	fflush(stdout);
	await(STDIN_FILENO);
	return 0;
}

static unsigned long number(char **argv, int argc, int at)
{
	return at < argc ? strtoul(argv[at], NULL, 10) : 0;
}

int main(int argc, char **argv)
{
	unsigned int a = (unsigned int)number(argv, argc, 2), b = (unsigned int)number(argv, argc, 3);
	const char *mode = argc > 2 ? argv[1] : "";

	if (!strcmp(mode, "procs") && b)
		return procs(a, b, (unsigned int)number(argv, argc, 4));
	if (!strcmp(mode, "netns"))
		return spaces(a, b);
	if (!strcmp(mode, "hold"))
		return hold(a, b);
	if (!strcmp(mode, "churn"))
		return churn(number(argv, argc, 2), b);
	if (!strcmp(mode, "take"))
		return take(a);
	fprintf(stderr, "usage: crowd procs COUNT PORT [PIDS] | netns COUNT [PAUSE_MS] | hold COUNT SPACES | churn COUNT [PAUSE_US] | take REFUSED\n");
	return 2;
}
