/* SPDX-License-Identifier: GPL-2.0 */
/* Where metrics are served: an address in words becomes a listening socket. Internal to cmd and out/. */
#ifndef PORTLIFE_OUT_PROM_LISTEN_H
#define PORTLIFE_OUT_PROM_LISTEN_H

#include <stdbool.h>

/*
 * Listens on "unix:PATH", "127.0.0.1:PORT" or "[::1]:PORT"; a unix socket gets
 * mode 0660, and a stale one is replaced.  What is not a loopback address is
 * refused unless `remote`.  The descriptor, or a negative errno, said.
 */
int prom_listen(const char *where, bool remote);

/* Whether a socket that was passed to us may be used; says why not. */
bool prom_listen_allowed(int fd, bool remote);

/* Removes the unix socket that prom_listen() made. */
void prom_unlisten(const char *where);

#endif
