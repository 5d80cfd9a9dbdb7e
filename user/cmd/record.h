/* SPDX-License-Identifier: GPL-2.0 */
/* The parts of portlife record; nobody else includes this. */
#ifndef PORTLIFE_CMD_RECORD_H
#define PORTLIFE_CMD_RECORD_H

#include <stdbool.h>
#include <stdint.h>
#include "base/opt.h"
#include "kern/privilege.h"
#include "kern/recorder.h"
#include "model/meter.h"
#include "model/pressure.h"
#include "out/log_sink.h"
#include "out/prom_server.h"
#include "out/stream.h"
#include "store/store.h"

/* ---- record_conf.c: options and the configuration file ---- */

struct record_conf {
	struct common_opts common;
	struct source_opts source;
	const char *config, *log_file, *textfile, *listen, *user;
	int64_t retain_age, interval, duration, metrics_interval, warn_exhaustion;
	uint64_t retain_size, ring_size;
	uint32_t table_size;
	int scope, log_format;		/* enum log_form, -1: not said */
	bool print, log_leases, remote, workloads;
	char *text;			/* of the configuration file: strings above may point into it */
};

/*
 * Defaults, then the file, then the command line.  0, OPT_HELPED, or a negative
 * errno, said, with nothing to free.
 */
int record_conf_read(int argc, char **argv, struct record_conf *ret);
void record_conf_free(struct record_conf *c);

/*
 * Reads again what record_conf_read() read and puts what can change at run time
 * into `c`; `old` is handed what must be freed once nobody uses the old strings.
 * Says what cannot change.  A bad file changes nothing: -EINVAL.
 */
int record_conf_reload(struct record_conf *c, int argc, char **argv, struct record_conf *old);

/* ---- record_log.c: what goes to the log by itself ---- */

struct record_log {
	struct log_sink *sink;
	int64_t window;			/* boot clock at which the present span of fails began */
	unsigned int fails;		/* logged in it */
	uint64_t suppressed;		/* in it, for want of room */
	struct record_alarm *alarms;	/* by network namespace */
	size_t n_alarms;
};

int record_log_open(struct record_log *l, const struct record_conf *c);
void record_log_close(struct record_log *l);
/* Opens the log anew; `changed`: in the form and file of `c`. */
void record_log_reopen(struct record_log *l, const struct record_conf *c, bool changed);
void record_log_event(struct record_log *l, const struct record_conf *c, const struct event *ev);
/* Tells what was suppressed, when its span is over (or at the end). */
void record_log_tick(struct record_log *l, int64_t now, bool end);
/* Thresholds of the ranges. */
void record_log_pressure(struct record_log *l, const struct record_conf *c, const struct prom_sample *s);

/* ---- record_metrics.c ---- */

struct record_metrics {
	struct prom_server *server;
	struct prom_textfile *textfile;
	uint32_t named[PROM_NETNS_MAX];	/* namespaces that have a label of their own, 0: free */
	int64_t file_at, look_at;	/* boot clock of the next */
	int64_t again_at;		/* and not before, after a failure */
	uint64_t failed;		/* samples that could not be made */
	bool failing;
};

/* Binds, and starts the threads.  0 or a negative errno, said. */
int record_metrics_open(struct record_metrics *m, const struct record_conf *c);
void record_metrics_close(struct record_metrics *m, const struct record_conf *c);

/* ---- record_ranges.c: the ephemeral range of each network namespace ---- */

struct record_ranges {
	struct range_known *known;	/* by namespace */
	size_t n;
	uint32_t own;
	int64_t ask_at;			/* boot clock before which no other namespace is asked */
};

/* Asks what is due, our own namespace always, and tells `p`. */
void record_ranges_look(struct record_ranges *g, struct pressure *p, int64_t now);
/* Fits tally_opts.range: from memory. */
void record_ranges_get(void *g, struct summary_netns *n);
void record_ranges_free(struct record_ranges *g);

/* ---- record_netns.c: the kernel's counters of each network namespace ---- */

struct record_netns {
	struct netns_account *accounts;	/* as many as the kernel counts apart */
	size_t n, named;
	struct netns_counts others;	/* of all that have no name */
};

/* Adds what happened since the last look; `held` tells who still holds ports, and keeps its name. */
int record_netns_look(struct record_netns *a, struct source *s, const struct tally *held);
/* The named ones, and the others together last; how many that are. */
size_t record_netns_get(const struct record_netns *a, struct prom_counts to[PROM_NETNS_MAX + 1]);
void record_netns_free(struct record_netns *a);

/* ---- record.c ---- */

struct record {
	struct record_conf conf;
	int argc;
	char **argv;
	char *text;			/* the first configuration's: what cannot change points into it */
	struct recorder *recorder;
	struct store *store;
	struct stream *stream;		/* NULL: nothing is printed, or stdout is gone */
	struct meter *meter;
	struct pressure *pressure;
	struct record_ranges ranges;
	struct record_netns netns;
	struct record_log log;
	struct record_metrics metrics;
	int64_t deadline, summary_at;	/* boot clock */
	int64_t watchdog, watchdog_at;	/* ns, 0: none */
	uint64_t most;			/* leases open at once, since memory was given back */
	unsigned int give_back;		/* summaries that still do so */
	int signals;			/* descriptor */
	bool stdout_failed, no_summary;
};

/* What is held now; to be freed with tally_free().  0 or -ENOMEM. */
int record_tally(struct record *r, bool workloads, struct tally *ret);
/* Does what is due for metrics and thresholds; what cannot be done is said once, counted, and ends nothing. */
void record_metrics_tick(struct record *r, int64_t now);

#endif
