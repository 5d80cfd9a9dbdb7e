/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Leases by process, executable, destination and so on, in bounded memory.
 *
 * A set that is full drops the smaller half of its groups (Misra-Gries): what
 * stays has counts that lack at most `missed`, and every group with more
 * leases than `missed` is there.  Internal to model/report.
 */
#ifndef PORTLIFE_MODEL_REPORT_GROUP_H
#define PORTLIFE_MODEL_REPORT_GROUP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "model/event.h"

#define REPORT_GROUPS 8192
#define REPORT_TREND 8		/* instants at which the ports of a group are counted */

enum report_by {
	REPORT_PROCESS,
	REPORT_EXE,
	REPORT_UNIT,
	REPORT_CONTAINER,
	REPORT_PORT,		/* never dropped: there are 65535 of each protocol */
	REPORT_DEST,
	REPORT_REFUSED,		/* errno, port and process name of a fail */
	REPORT_BYS,
};

/* Times by bucket pairs of base/hist.h, only those in use. */
struct report_sparse {
	struct report_bucket {
		uint32_t index, count;
	} *at;			/* ascending */
	uint32_t n, cap;
	uint64_t count;
	int64_t min, max;
	double sum_s;
};

struct report_group {
	uint64_t hash;
	size_t key_len;
	const char *label;		/* as read; NULL: unknown, or there is none */
	uint32_t tgid;			/* of REPORT_PROCESS */
	int64_t proc_start;		/* of REPORT_PROCESS, unix ns, 0: unknown */
	uint16_t port;			/* of REPORT_PORT, REPORT_REFUSED; of REPORT_DEST the remote one */
	uint8_t proto;			/* of the same */
	int err;			/* of REPORT_REFUSED */
	uint64_t leases, open, fails;
	uint64_t missed;		/* what the counts may lack: the group came late */
	double held_s;			/* port-seconds within the span */
	int64_t last;			/* unix ns of the last start or fail */
	struct report_sparse active, time_wait;
	uint32_t trend[REPORT_TREND];	/* ports held then */
	char key[];			/* then the label */
};

struct report_groups {
	enum report_by by;
	bool wanted;
	uint64_t seed;
	struct report_group **slots;	/* open addressing */
	size_t cap, n, max;
	uint64_t missed, dropped;	/* groups dropped, ever */
	struct report_group **sorted;	/* after report_groups_sort(): most leases (fails) first */
};

void report_groups_init(struct report_groups *g, enum report_by by, bool wanted, uint64_t seed);
void report_groups_free(struct report_groups *g);
/* The group of this event, made when it is new; NULL without memory. */
struct report_group *report_groups_get(struct report_groups *g, const struct event *ev);
int report_groups_sort(struct report_groups *g);

int report_sparse_add(struct report_sparse *s, int64_t ns);
/* As hist_quantile(); off by at most 3.1 %. */
int64_t report_sparse_quantile(const struct report_sparse *s, double q);

#endif
