/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The metrics as text, in Prometheus' format or OpenMetrics.
 *
 * A sample is a copy of all that the text needs, made by the thread that
 * drains, and rendered by whoever has it.  Labels never hold a port, a pid, an
 * address or a raw cgroup id; namespaces are bounded in number, so are
 * workloads.  Pure but for prom_write_file().
 */
#ifndef PORTLIFE_OUT_PROM_H
#define PORTLIFE_OUT_PROM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/hist.h"
#include "model/event.h"

struct strbuf;

#define PROM_NETNS_MAX 32
#define PROM_WORKLOADS_MAX 50
#define PROM_NAME_MAX 128	/* of a workload, cut beyond */

struct prom_netns {
	struct summary_netns use;	/* use.netns 0: all others together */
	double exhaustion[PL_PROTOS];	/* seconds, infinite when not approaching */
};

struct prom_counts {
	uint32_t netns;			/* 0: all others together */
	struct netns_counts counts;	/* never less than before under the same name */
};

struct prom_workload {
	char name[PROM_NAME_MAX];	/* "other" last; any bytes */
	uint64_t ports;
};

struct prom_sample {
	const char *version, *tier;	/* static strings */
	uint64_t stats[PL_STATS];
	uint64_t live, time_wait;
	uint64_t gaps[GAP_CAUSES];
	struct prom_netns netns[PROM_NETNS_MAX + 1];
	size_t n_netns;
	struct prom_counts counts[PROM_NETNS_MAX + 1];
	size_t n_counts;
	struct prom_workload workloads[PROM_WORKLOADS_MAX + 1];
	size_t n_workloads;
	bool with_workloads;
	double destination_ratio[PL_PROTOS];	/* of the worst single destination, 0..1 */
	struct hist lifetimes, reuse;
	uint64_t store_bytes, store_write_errors, store_lost;
	int64_t store_oldest;			/* unix ns, 0: nothing stored */
	uint64_t log_dropped, metrics_failed;
};

/* Appends the whole text; `open_metrics` chooses the format. */
void prom_render(struct strbuf *out, const struct prom_sample *s, bool open_metrics);

/* So that a reader sees one whole sample (out/beside.h, whose errno it returns). */
int prom_write_file(const char *path, const struct prom_sample *s);

#define PROM_TYPE_TEXT "text/plain; version=0.0.4; charset=utf-8"
#define PROM_TYPE_OPEN "application/openmetrics-text; version=1.0.0; charset=utf-8"

#endif
