// SPDX-License-Identifier: GPL-2.0
/*
 * A process under a name of its choice that holds a port and is refused it once more: holder PORT COMM. Says "held" and waits for
 * its end.  Small, so that it can be copied to where nobody would look for a program.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

static int held(const struct sockaddr_in *at)
{
	int fd = socket(AF_INET, SOCK_DGRAM, 0);

	return fd >= 0 && !bind(fd, (const struct sockaddr *)at, sizeof(*at)) ? 0 : -errno;
}

int main(int argc, char **argv)
{
	struct sockaddr_in at = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };

	if (argc != 3)
		return 2;
	at.sin_port = htons((uint16_t)atoi(argv[1]));
	if (prctl(PR_SET_NAME, argv[2], 0, 0, 0) || held(&at) || held(&at) != -EADDRINUSE)
		return 1;
	puts("held");
	fflush(stdout);
	pause();
	return 0;
}
