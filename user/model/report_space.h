/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Ports of one network namespace over time: which were held at each instant,
 * how soon they were used again, who lived where.  Internal to model/report.
 */
#ifndef PORTLIFE_MODEL_REPORT_SPACE_H
#define PORTLIFE_MODEL_REPORT_SPACE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "model/event.h"

#define REPORT_INSTANTS 240
#define REPORT_SPACES 16	/* namespaces that are kept apart; leases of others are counted */
#define REPORT_SPACES_SEEN 512	/* those of which minutes tell: the fullest are kept */
#define REPORT_ROW_PORTS 512	/* ports to a row of the map */
#define REPORT_ROWS (65536 / REPORT_ROW_PORTS)
#define REPORT_NAMES 1024	/* names of inhabitants; 0 is "unknown", the last one "others" */

enum report_lane_ix { REPORT_TCP, REPORT_UDP, REPORT_LANES };	/* UDP-Lite counts as UDP: the ports are apart, but rare */

/* The span in bins of equal width, with an instant in the middle of each. */
struct report_grid {
	int64_t since, until, width;	/* width: ns of a bin */
};

/*
 * What is known of one port's lives so far.  Rows come ascending within a file,
 * files come newest first: so there is a run that grows at its end, and behind
 * it the start of the one that was told before.
 */
struct report_run {
	int64_t first, last;	/* held from..to, 0: nothing yet; INT64_MAX: to the end */
	int64_t newer;		/* start of the newer run, 0: none that is known */
	bool first_found;	/* `first` is when it was found, not when it began */
};

struct report_lane {
	uint64_t leases;
	uint32_t held[REPORT_INSTANTS][2];	/* after report_spaces_finish(): ports held, even, odd */
	uint32_t in_range[REPORT_INSTANTS][2];	/* of those inside the ephemeral range, when that is known */
	unsigned char bits[65536][REPORT_INSTANTS / 8];
	struct report_run run[65536];
};

/* One place in the map: who held most of it, by majority vote, and how much of it was held. */
struct report_cell {
	double held, votes;	/* port-ns */
	uint16_t name;
};

struct report_map {
	struct report_cell cells[REPORT_ROWS][REPORT_INSTANTS];
};

struct report_minute {
	int64_t at;		/* unix ns of the fullest minute of the bin, 0: none */
	uint32_t used_even, used_odd;
};

struct report_space {
	uint32_t netns;
	uint64_t leases;
	struct report_lane *lanes[REPORT_LANES];	/* NULL: none */
	struct report_map *map;				/* NULL: not asked for */
	/* From the minutes: the latest range, whether it changed, the fullest minute. */
	int64_t range_at;				/* 0: not known */
	uint32_t lo, hi, reserved;
	bool range_changed;
	struct report_minute minutes[REPORT_INSTANTS];
	struct report_minute peak;
};

struct report_spaces {
	struct report_space *at;	/* after report_spaces_finish() the fullest first */
	size_t n;
	bool chosen;			/* leases come: there is room for REPORT_SPACES only */
	uint64_t omitted;		/* leases in namespaces that found no room */
	char (*names)[PL_COMM_LEN];
	size_t n_names;
};

int64_t report_grid_instant(const struct report_grid *g, size_t i);
/* The bin that a time of the span lies in. */
size_t report_grid_bin(const struct report_grid *g, int64_t at);
/* Instants from *first on, below *end, at which start <= t < end. */
void report_grid_covered(const struct report_grid *g, int64_t start, int64_t end, size_t *first, size_t *last);

int report_spaces_init(struct report_spaces *s);
void report_spaces_free(struct report_spaces *s);
/* To tell its minutes; NULL without room. */
struct report_space *report_space_get(struct report_spaces *s, uint32_t netns);
/* To tell its leases: with the first of them the fullest are chosen, by the minutes told so far. */
struct report_space *report_space_keep(struct report_spaces *s, uint32_t netns);

/* Tells `reuse` each interval between two lives of a port that becomes known. */
typedef void (*report_reuse_fn)(void *ctx, int64_t ns);
int report_space_lease(struct report_spaces *s, struct report_space *sp, const struct report_grid *g, const struct event *ev,
		       int64_t end, bool map, report_reuse_fn reuse, void *ctx);
void report_space_minute(struct report_space *sp, const struct report_grid *g, int64_t at, const struct summary_netns *n);
/* Counts what is held at each instant and closes the runs. */
void report_spaces_finish(struct report_spaces *s, report_reuse_fn reuse, void *ctx);

#endif
