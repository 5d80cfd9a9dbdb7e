/* SPDX-License-Identifier: GPL-2.0 */
#ifndef PORTLIFE_TESTS_UDP_H
#define PORTLIFE_TESTS_UDP_H

#include <netinet/in.h>
#include <stdint.h>
#include <sys/socket.h>
#include <unistd.h>

/* A UDP socket on that port of any address, 0: one that the kernel chooses; -1: errno says why not. */
static inline int udp_bind(uint16_t port)
{
	struct sockaddr_in any = { .sin_family = AF_INET, .sin_port = htons(port) };
	int fd = socket(AF_INET, SOCK_DGRAM, 0);

	if (fd >= 0 && !bind(fd, (struct sockaddr *)&any, sizeof(any)))
		return fd;
	close(fd);
	return -1;
}

#endif
