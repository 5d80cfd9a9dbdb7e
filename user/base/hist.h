/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A histogram of spans (ns) of fixed size: 32 buckets to each doubling, so that
 * a value read back is off by at most 1.6 %; below 64 ns it is exact.
 *
 * Plain data of 15 KiB: zeroed is empty, copied by assignment, nothing to free.
 * count, min and max are exact, and so is the sum.  Negative values cannot be
 * spans and count as 0.
 */
#ifndef PORTLIFE_BASE_HIST_H
#define PORTLIFE_BASE_HIST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define HIST_BUCKETS 1888

struct hist {
	uint64_t count;
	int64_t min, max;		/* 0 while empty */
	uint64_t sum_sec, sum_ns;	/* sum_ns below 1 s: ns alone would overflow after 584 years in all */
	uint64_t buckets[HIST_BUCKETS];
};

void hist_add(struct hist *h, int64_t ns);
void hist_add_many(struct hist *h, int64_t ns, uint64_t times);

double hist_sum_seconds(const struct hist *h);
/* 0 while empty. */
int64_t hist_mean(const struct hist *h);

/*
 * The value that a share `q` (0..1) of all values does not exceed: the nearest
 * rank, 0 gives min and 1 gives max.  -1 while empty.
 */
int64_t hist_quantile(const struct hist *h, double q);

/*
 * How many values are <= `bound` (Prometheus: le).  Exact at the upper ends of
 * buckets and from max on; between them the bucket that `bound` cuts is left
 * out, so the answer is that of a bound up to 3.1 % lower.  Never falls with
 * `bound`.
 */
uint64_t hist_count_le(const struct hist *h, int64_t bound);

/* ---- for others who count by the same buckets ---- */

size_t hist_index(int64_t ns);
int64_t hist_lower(size_t index);
int64_t hist_upper(size_t index);	/* inclusive */
/* What stands for the values of a bucket. */
int64_t hist_middle(size_t index);

#endif
