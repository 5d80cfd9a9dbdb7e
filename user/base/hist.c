// SPDX-License-Identifier: GPL-2.0
/* A log-linear histogram; see hist.h. */
#include "base/hist.h"

#define SUB_BITS 5			/* 32 buckets to a doubling */
#define SUB (1u << SUB_BITS)
#define LINEAR (2 * SUB)		/* values below are buckets of their own */
#define NS_PER_SEC 1000000000ULL

_Static_assert(HIST_BUCKETS == LINEAR + (62 - SUB_BITS) * SUB, "up to 2^63 - 1");

size_t hist_index(int64_t ns)
{
	unsigned int log2;

	if (ns < (int64_t)LINEAR)
		return ns < 0 ? 0 : (size_t)ns;
	log2 = 63 - (unsigned int)__builtin_clzll((unsigned long long)ns);
	return LINEAR + (log2 - SUB_BITS - 1) * SUB + ((size_t)(ns >> (log2 - SUB_BITS)) & (SUB - 1));
}

/* Of a bucket above the linear ones, its width as a power of two. */
static unsigned int width_bits(size_t index)
{
	return (unsigned int)((index - LINEAR) / SUB) + 1;
}

int64_t hist_lower(size_t index)
{
	if (index < LINEAR)
		return (int64_t)index;
	return (int64_t)(SUB + (index - LINEAR) % SUB) << width_bits(index);
}

int64_t hist_upper(size_t index)
{
	return index < LINEAR ? (int64_t)index : hist_lower(index) + ((1LL << width_bits(index)) - 1);
}

int64_t hist_middle(size_t index)
{
	return index < LINEAR ? (int64_t)index : hist_lower(index) + (1LL << (width_bits(index) - 1));
}

static void add_sum(struct hist *h, uint64_t sec, uint64_t ns)
{
	h->sum_sec += sec + (h->sum_ns + ns) / NS_PER_SEC;
	h->sum_ns = (h->sum_ns + ns) % NS_PER_SEC;
}

static void add_ends(struct hist *h, int64_t min, int64_t max)
{
	if (!h->count || min < h->min)
		h->min = min;
	if (!h->count || max > h->max)
		h->max = max;
}

void hist_add(struct hist *h, int64_t ns)
{
	hist_add_many(h, ns, 1);
}

void hist_add_many(struct hist *h, int64_t ns, uint64_t times)
{
	if (!times)
		return;
	if (ns < 0)
		ns = 0;
	add_ends(h, ns, ns);
	h->count += times;
	h->buckets[hist_index(ns)] += times;
	if (times == 1)
		add_sum(h, (uint64_t)ns / NS_PER_SEC, (uint64_t)ns % NS_PER_SEC);
	else
		add_sum(h, (uint64_t)ns / NS_PER_SEC * times + (uint64_t)ns % NS_PER_SEC * times / NS_PER_SEC,
			(uint64_t)ns % NS_PER_SEC * times % NS_PER_SEC);
}

double hist_sum_seconds(const struct hist *h)
{
	return (double)h->sum_sec + (double)h->sum_ns / (double)NS_PER_SEC;
}

int64_t hist_mean(const struct hist *h)
{
	if (!h->count)
		return 0;
	return (int64_t)(h->sum_sec / h->count * NS_PER_SEC) +
	       (int64_t)(((double)(h->sum_sec % h->count) * (double)NS_PER_SEC + (double)h->sum_ns) / (double)h->count);
}

/* The smallest rank, from 1, that covers the share. */
static uint64_t rank_of(uint64_t count, double q)
{
	double exact = q * (double)count;
	uint64_t rank;

	if (!(exact > 1))
		return 1;
	if (exact >= (double)count)
		return count;
	rank = (uint64_t)exact;
	/* 0.9 * 10 is 9.000000000000002 to the machine, and is 9. */
	return exact - (double)rank > 1e-9 * exact ? rank + 1 : rank;
}

int64_t hist_quantile(const struct hist *h, double q)
{
	uint64_t rank, seen = 0;

	if (!h->count)
		return -1;
	rank = rank_of(h->count, q);
	if (rank == 1)
		return h->min;
	if (rank == h->count)
		return h->max;
	for (size_t i = 0; i < HIST_BUCKETS; i++) {
		seen += h->buckets[i];
		if (seen >= rank) {
			int64_t v = hist_middle(i);

			return v < h->min ? h->min : v > h->max ? h->max : v;
		}
	}
	return h->max;
}

uint64_t hist_count_le(const struct hist *h, int64_t bound)
{
	uint64_t n = 0;

	if (bound < 0)
		return 0;
	if (bound >= h->max)
		return h->count;
	for (size_t i = 0; i < HIST_BUCKETS && hist_upper(i) <= bound; i++)
		n += h->buckets[i];
	return n;
}

