// SPDX-License-Identifier: GPL-2.0
/*
 * Do the kernel's totals stay exact when the ring overflows, and is the one who
 * flooded it named?
 *
 *   totals LOAD [TIER]
 *
 * Opens a source with the smallest ring and does not read it while LOAD (the
 * program load) allocates ports in a namespace of its own; then holds the
 * totals of that namespace against what LOAD says that it did.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <portlife/config.h>
#include "kern/source.h"

#define OPS 20000ULL

static unsigned int passed, failed;

static void check(bool good, const char *name, unsigned long long got, unsigned long long want)
{
	if (good)
		printf("ok - %s\n", name);
	else
		printf("not ok - %s: %llu, not %llu\n", name, got, want);
	passed += good;
	failed += !good;
}

static int ignore(void *ctx, const struct pl_rec *rec)
{
	return 0;
}

struct sought {
	struct source_netns found;
	unsigned long long netns;
	struct source_netns before[PL_TOTALS_MAX + 1];
	size_t n_before;
};

/* The kernel gives the number of a namespace that is gone to the next one, and its counts go on. */
static int note(void *ctx, const struct source_netns *n)
{
	struct sought *s = ctx;

	if (s->n_before < sizeof(s->before) / sizeof(s->before[0]))
		s->before[s->n_before++] = *n;
	return 0;
}

static unsigned long long since(const struct sought *s, unsigned int proto, bool releases)
{
	unsigned long long now = releases ? s->found.counts.releases[proto] : s->found.counts.allocs[proto];

	for (size_t i = 0; i < s->n_before; i++)
		if (s->before[i].netns == s->found.netns)
			now -= releases ? s->before[i].counts.releases[proto] : s->before[i].counts.allocs[proto];
	return now;
}

static int look(void *ctx, const struct source_netns *n)
{
	struct sought *s = ctx;

	if (n->netns == s->netns)
		s->found = *n;
	return 0;
}

/* Runs the load; the number of its namespace, 0: it failed. */
static unsigned long long run_load(const char *load, const char *work)
{
	char command[512], line[512] = "";
	const char *at;
	FILE *f;

	snprintf(command, sizeof(command), "%s %s --ops %llu", load, work, OPS);
	f = popen(command, "r");
	if (!f || !fgets(line, sizeof(line), f) || pclose(f))
		return 0;
	at = strstr(line, "\"netns\":\"");
	return at ? strtoull(at + 9, NULL, 10) : 0;
}

static void judge(struct source *s, const char *load, const char *work, unsigned int proto, unsigned long long fixed)
{
	struct source_flooder top;
	static struct sought sought;
	unsigned long long allocs;

	sought = (struct sought){ 0 };
	source_flooder(s, &top);
	if (source_netns_each(s, note, &sought)) {
		check(false, "the totals can be read", 0, 1);
		return;
	}
	sought.netns = run_load(load, work);
	if (!sought.netns || source_netns_each(s, look, &sought)) {
		check(false, "the load runs and its totals can be read", sought.netns, 1);
		return;
	}
	allocs = since(&sought, proto, false);
	check(allocs == OPS + fixed, "allocations, exact", allocs, OPS + fixed);
	check(since(&sought, proto, true) == allocs, "releases, exact", since(&sought, proto, true), allocs);
	check(!source_flooder(s, &top) && top.lost > OPS, "the ring did overflow", top.lost, OPS);
	check(!strcmp(top.comm, "load") && top.tgid, "who flooded it is named", 0, 1);
}

int main(int argc, char **argv)
{
	enum tier tier = argc > 2 ? (enum tier)(argv[2][0] - 'a' + TIER_A) : TIER_NONE;
	struct source_opts opts = { .ring_size = PL_RING_MIN, .tier = tier };
	struct source *s = NULL;

	if (argc < 2) {
		fprintf(stderr, "usage: totals LOAD [TIER]\n");
		return 2;
	}
	if (source_open(&opts, ignore, NULL, &s))
		return 1;
	judge(s, argv[1], "udp-bind0", PL_IX_UDP, 0);
	judge(s, argv[1], "connect-rst", PL_IX_TCP, 1);
	source_close(s);
	printf("%u passed, %u failed, 0 skipped\n", passed, failed);
	return failed != 0;
}
