/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Metrics for who asks: GET /metrics over HTTP, and the file for the textfile
 * collector.  Each has a thread of its own.
 *
 * The thread that drains never waits here: it looks whether a sample is wanted
 * (one atomic read) and hands one over (one atomic exchange).  Connections,
 * their memory and their time are bounded; who comes beyond that is turned away.
 */
#ifndef PORTLIFE_OUT_PROM_SERVER_H
#define PORTLIFE_OUT_PROM_SERVER_H

#include <stdbool.h>
#include "out/prom.h"

#define PROM_LISTEN_MAX 4

struct prom_server;

/* Takes the listening sockets over.  0 or a negative errno; -ELIBACC, the library is not there, is said. */
int prom_server_open(const int *fds, unsigned int n, struct prom_server **ret);
/* Ends connections and thread.  NULL is fine. */
void prom_server_close(struct prom_server *s);

/* Whether somebody waits for a newer sample. */
bool prom_server_wants(const struct prom_server *s);
/* Takes `sample` over, made with malloc(3). */
void prom_server_give(struct prom_server *s, struct prom_sample *sample);

struct prom_textfile;

/* 0 or a negative errno; the first write tells whether the path is any good. */
int prom_textfile_open(const char *path, struct prom_textfile **ret);
/* Writes what was given last, waiting at most `ms`.  NULL is fine. */
void prom_textfile_close(struct prom_textfile *t, int ms);
/* As prom_server_give(); a failure is said once, until it works again. */
void prom_textfile_give(struct prom_textfile *t, struct prom_sample *sample);
/* How often the file could not be written.  NULL is fine. */
uint64_t prom_textfile_failed(const struct prom_textfile *t);

#endif
