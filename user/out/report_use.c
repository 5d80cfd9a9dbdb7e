// SPDX-License-Identifier: GPL-2.0
/* How full a range was, and whether it is filling up. */
#include "out/report.h"

#include <math.h>

#define DAY_S 86400.0

static uint32_t sum(const uint32_t n[2])
{
	return n[0] + n[1];
}

/* Least squares over the last quarter: one busy instant at the end is no trend. */
static double slope_per_s(const struct report *r, const uint32_t (*held)[2])
{
	const size_t first = REPORT_INSTANTS * 3 / 4, n = REPORT_INSTANTS - first;
	double mean_x = ((double)n - 1) / 2, mean_y = 0, over = 0, under = 0;

	for (size_t i = 0; i < n; i++)
		mean_y += (double)sum(held[first + i]) / (double)n;
	for (size_t i = 0; i < n; i++) {
		over += ((double)i - mean_x) * ((double)sum(held[first + i]) - mean_y);
		under += ((double)i - mean_x) * ((double)i - mean_x);
	}
	return over / under / ((double)r->grid.width / 1e9);
}

void report_use_of(const struct report *r, const struct report_space *sp, const struct report_lane *lane, struct report_use *u)
{
	const uint32_t (*held)[2] = sp->range_at ? lane->in_range : lane->held;
	uint32_t size = sp->range_at ? sp->hi - sp->lo + 1 : 0;

	*u = (struct report_use){ .known = size > sp->reserved, .eta_s = INFINITY };
	if (u->known) {
		u->capacity[1] = size / 2 + (size & sp->lo & 1) - sp->reserved / 2;
		u->capacity[0] = size - sp->reserved - u->capacity[1];
	}
	for (size_t i = 0; i < REPORT_INSTANTS; i++)
		if (sum(held[i]) > sum(held[u->peak_i]))
			u->peak_i = i;
	for (size_t k = 0; k < 2; k++) {
		u->peak[k] = held[u->peak_i][k];
		u->now[k] = held[REPORT_INSTANTS - 1][k];
	}
	u->per_s = slope_per_s(r, held);
	/* Of what would take longer than a day nobody can say that it will come. */
	if (u->known && u->per_s > 0) {
		double left = (double)sum(u->capacity) - (double)sum(u->now), eta = left > 0 ? left / u->per_s : 0;

		if (eta <= DAY_S)
			u->eta_s = eta;
	}
}
