/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Other network namespaces: found by inode number, entered by a thread that
 * ends there, so that nothing can leave us in the wrong one.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "kern/host.h"

/* Where the namespaces asked for last were found: looked at first, and never trusted. */
#define SEEN_MAX 64

struct seen {
	uint32_t netns;
	char path[64];
};
static struct seen seen[SEEN_MAX];
static unsigned int seen_next;
static pthread_mutex_t seen_lock = PTHREAD_MUTEX_INITIALIZER;

static int netns_try(const char *path, uint32_t netns)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct stat st;

	if (fd < 0)
		return -errno;
	if (!fstat(fd, &st) && (uint32_t)st.st_ino == netns)
		return fd;
	close(fd);
	return -ENOENT;
}

static int netns_seen(uint32_t netns)
{
	char path[sizeof(seen[0].path)] = "";

	pthread_mutex_lock(&seen_lock);
	for (size_t i = 0; i < SEEN_MAX; i++)
		if (seen[i].netns == netns)
			memcpy(path, seen[i].path, sizeof(path));
	pthread_mutex_unlock(&seen_lock);
	return *path ? netns_try(path, netns) : -ENOENT;
}

static void netns_remember(uint32_t netns, const char *path)
{
	size_t at;

	if (strlen(path) >= sizeof(seen[0].path))
		return;
	pthread_mutex_lock(&seen_lock);
	for (at = 0; at < SEEN_MAX && seen[at].netns != netns; at++)
		;
	if (at == SEEN_MAX)
		at = seen_next++ % SEEN_MAX;
	seen[at].netns = netns;
	memcpy(seen[at].path, path, strlen(path) + 1);
	pthread_mutex_unlock(&seen_lock);
}

/* stat() alone: an open of each process's namespace would cost more, and would need more rights. */
static int netns_search(const char *dirname, const char *suffix, uint32_t netns)
{
	DIR *dir = opendir(dirname);
	struct dirent *d;
	char path[512];
	int fd = -ENOENT;

	if (!dir)
		return -ENOENT;
	while (fd == -ENOENT && (d = readdir(dir))) {
		struct stat st;

		if (d->d_name[0] == '.' || (*suffix && (d->d_name[0] < '1' || d->d_name[0] > '9')))
			continue;
		snprintf(path, sizeof(path), "%s/%s%s", dirname, d->d_name, suffix);
		if (!stat(path, &st) && (uint32_t)st.st_ino == netns)
			fd = netns_try(path, netns);
	}
	closedir(dir);
	if (fd >= 0)
		netns_remember(netns, path);
	return fd;
}

int host_netns_open(uint32_t netns)
{
	int fd = netns_seen(netns);

	if (fd < 0)
		fd = netns_search("/run/netns", "", netns);
	if (fd == -ENOENT)
		fd = netns_search("/proc", "/ns/net", netns);
	return fd;
}

struct call {
	int fd;
	int (*fn)(void *ctx);
	void *ctx;
	int ret;
};

static void *netns_thread(void *arg)
{
	struct call *c = arg;

	c->ret = setns(c->fd, CLONE_NEWNET) ? -errno : c->fn(c->ctx);
	return NULL;
}

int host_netns_call(int fd, int (*fn)(void *ctx), void *ctx)
{
	struct call c = { .fd = fd, .fn = fn, .ctx = ctx };
	pthread_t thread;
	int err = pthread_create(&thread, NULL, netns_thread, &c);

	if (err)
		return -err;
	pthread_join(thread, NULL);
	return c.ret;
}

static int ports_read(void *ctx)
{
	return host_own_ports(ctx);
}

int host_netns_ports(uint32_t netns, struct host_ports *ret)
{
	struct host_ports got;
	int fd, err;

	if (!netns || netns == host_netns()) {
		err = host_own_ports(&got);
	} else {
		fd = host_netns_open(netns);
		if (fd < 0)
			return fd;
		err = host_netns_call(fd, ports_read, &got);
		close(fd);
	}
	if (!err)
		*ret = got;
	return err;
}
