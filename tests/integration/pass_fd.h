/* SPDX-License-Identifier: GPL-2.0 */
#ifndef PORTLIFE_TESTS_PASS_FD_H
#define PORTLIFE_TESTS_PASS_FD_H

#include <string.h>
#include <sys/socket.h>

/* Sends `fd`, which stays open here, through the unix socket `to`.  As sendmsg(2), see unix(7). */
static inline ssize_t pass_fd(int to, int fd)
{
	char control[CMSG_SPACE(sizeof(int))] = { 0 }, byte = 0;
	struct iovec iov = { .iov_base = &byte, .iov_len = 1 };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof(control) };
	struct cmsghdr *c = CMSG_FIRSTHDR(&msg);

	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(c), &fd, sizeof(fd));
	return sendmsg(to, &msg, 0);
}

#endif
