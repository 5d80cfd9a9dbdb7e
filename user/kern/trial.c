/* SPDX-License-Identifier: GPL-2.0 */
#include "kern/trial.h"

#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "kern/host.h"

static int trial_address(int fd, const struct trial *t)
{
	struct sockaddr_in6 a6 = { .sin6_family = AF_INET6, .sin6_port = htons(t->port) };
	struct sockaddr_in a4 = { .sin_family = AF_INET, .sin_port = htons(t->port), .sin_addr.s_addr = t->addr[0] };

	memcpy(&a6.sin6_addr, t->addr, sizeof(a6.sin6_addr));
	if (t->family == AF_INET6 ? bind(fd, (void *)&a6, sizeof(a6)) : bind(fd, (void *)&a4, sizeof(a4)))
		return errno;
	return 0;
}

static int trial_option(int fd, int level, int name, bool on)
{
	int v = on;

	return setsockopt(fd, level, name, &v, sizeof(v)) ? -errno : 0;
}

static int trial_run(void *ctx)
{
	const struct trial *t = ctx;
	int fd = socket(t->family, (t->proto == IPPROTO_TCP ? SOCK_STREAM : SOCK_DGRAM) | SOCK_CLOEXEC, t->proto), err;

	if (fd < 0)
		return -errno;
	err = trial_option(fd, SOL_SOCKET, SO_REUSEADDR, t->reuseaddr);
	if (!err)
		err = trial_option(fd, SOL_SOCKET, SO_REUSEPORT, t->reuseport);
	if (!err && t->family == AF_INET6)
		err = trial_option(fd, IPPROTO_IPV6, IPV6_V6ONLY, t->v6only);
	if (!err)
		err = trial_address(fd, t);
	close(fd);
	return err;
}

int trial_bind(const struct trial *t)
{
	int fd, err;

	if (!t->netns || t->netns == host_netns())
		return trial_run((void *)t);
	fd = host_netns_open(t->netns);
	if (fd < 0)
		return fd;
	err = host_netns_call(fd, trial_run, (void *)t);
	close(fd);
	return err;
}
