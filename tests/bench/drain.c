// SPDX-License-Identifier: GPL-2.0
/*
 * How many events a second a recorder takes out of the ring.
 *
 *   drain LOAD [TIER]
 *
 * Lets LOAD (the program load) fill a large ring that nobody reads, then takes
 * all out in one go: decoded, paired and counted, and once more as lines of
 * JSON for nobody.  Prints "name value unit", the median of five rounds.  It
 * asserts nothing.
 */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "kern/recorder.h"
#include "out/stream.h"

#define OPS 100000	/* two events each */
#define RING (64U << 20)
#define ROUNDS 5

struct sink {
	struct stream *stream;	/* NULL: nothing is written */
	uint64_t n;
};

static int tell(void *ctx, struct event *ev)
{
	struct sink *s = ctx;

	s->n++;
	return s->stream ? stream_event(s->stream, ev) : 0;
}

static double cpu_s(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

static int by_value(const void *a, const void *b)
{
	return (*(const double *)a > *(const double *)b) - (*(const double *)a < *(const double *)b);
}

/* Events a second of one ring full; below 0: it failed. */
static double round_of(struct recorder *r, struct sink *s, const char *fill)
{
	double begin;
	uint64_t n;

	if (recorder_drain(r) < 0 || system(fill))
		return -1;
	n = s->n;
	begin = cpu_s();
	if (recorder_drain(r) < 0)
		return -1;
	return (double)(s->n - n) / (cpu_s() - begin);
}

static int measure(const char *name, struct recorder *r, struct sink *s, const char *load)
{
	double rates[ROUNDS];
	char fill[512];

	snprintf(fill, sizeof(fill), "%s udp-bind0 --ops %d >/dev/null", load, OPS);
	for (int i = 0; i < ROUNDS; i++) {
		rates[i] = round_of(r, s, fill);
		if (rates[i] < 0)
			return -1;
	}
	qsort(rates, ROUNDS, sizeof(*rates), by_value);
	printf("%s %.1f M/s\n", name, rates[ROUNDS / 2] / 1e6);
	return 0;
}

int main(int argc, char **argv)
{
	struct source_opts opts = { .ring_size = RING, .tier = argc > 2 ? (enum tier)(argv[2][0] - 'a' + TIER_A) : TIER_NONE };
	FILE *null = fopen("/dev/null", "w");
	struct stream_opts so = { .file = null, .format = OUT_JSONL, .utc = true };
	struct recorder_totals totals;
	struct recorder *r = NULL;
	struct sink s = { 0 };
	int err;

	if (argc < 2) {
		fprintf(stderr, "usage: drain LOAD [TIER]\n");
		return 2;
	}
	if (!null || recorder_open(&opts, tell, &s, &r))
		return 1;
	err = measure("drained", r, &s, argv[1]);
	if (!err)
		err = stream_new(&so, &s.stream);
	if (!err)
		err = measure("drained_jsonl", r, &s, argv[1]);
	if (!err && !recorder_totals(r, &totals))
		printf("lost %llu events\n", (unsigned long long)totals.lost);
	recorder_close(r);
	stream_free(s.stream);
	fclose(null);
	return err != 0;
}
