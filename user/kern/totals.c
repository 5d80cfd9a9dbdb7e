/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The kernel's totals per network namespace, and who flooded the ring.
 *
 * Both tables are bounded and per CPU; what does not fit is under key 0.  The
 * few ends that the reader itself decides are kept beside.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "kern/source_priv.h"

/* The value of one key on every CPU; NULL: no memory. */
static void *values_new(const struct source *s, size_t size)
{
	return calloc(s->cpus, size);
}

static int entry_new(const struct source *s, int map, size_t size)
{
	uint64_t zero = 0;
	void *values = values_new(s, size);
	int err = values ? 0 : -ENOMEM;

	if (!err && bpf_map_update_elem(map, &zero, values, BPF_ANY))
		err = -errno;
	free(values);
	return err;
}

int totals_begin(struct source *s)
{
	int err = entry_new(s, bpf_map__fd(s->skel->maps.totals), sizeof(struct pl_total));

	s->n_ended_netns = 0;
	s->n_floods = 0;
	return err ? err : entry_new(s, bpf_map__fd(s->skel->maps.floods), sizeof(struct pl_flood));
}

static struct source_netns *ended_find(struct source *s, uint32_t netns)
{
	for (size_t i = 0; i < s->n_ended_netns; i++)
		if (s->ended_netns[i].netns == netns)
			return &s->ended_netns[i];
	return NULL;
}

/* A namespace that the kernel counts under 0 is looked for there. */
static int netns_counted(struct source *s, uint32_t *netns)
{
	void *values = values_new(s, sizeof(struct pl_total));
	int err = values ? bpf_map_lookup_elem(bpf_map__fd(s->skel->maps.totals), netns, values) : -ENOMEM;

	free(values);
	if (err == -ENOENT)
		*netns = 0;
	return err == -ENOENT ? 0 : err;
}

int totals_ended(struct source *s, uint32_t netns, unsigned int proto)
{
	struct source_netns *n, *grown;
	int err = netns_counted(s, &netns);

	if (err)
		return err;
	n = ended_find(s, netns);
	if (!n) {
		grown = realloc(s->ended_netns, (s->n_ended_netns + 1) * sizeof(*grown));
		if (!grown)
			return -ENOMEM;
		s->ended_netns = grown;
		n = &grown[s->n_ended_netns++];
		*n = (struct source_netns){ .netns = netns };
	}
	n->counts.releases[proto]++;
	return 0;
}

static void netns_sum(struct source *s, struct source_netns *n, const struct pl_total *values)
{
	const struct source_netns *here = ended_find(s, n->netns);

	for (unsigned int p = 0; p < PL_PROTOS; p++) {
		for (unsigned int cpu = 0; cpu < s->cpus; cpu++) {
			n->counts.allocs[p] += values[cpu].c[PL_TOTAL_ALLOC][p];
			n->opens[p] += values[cpu].c[PL_TOTAL_OPEN][p];
			n->counts.releases[p] += values[cpu].c[PL_TOTAL_RELEASE][p];
			n->counts.fails[p] += values[cpu].c[PL_TOTAL_FAIL][p];
		}
		n->counts.releases[p] += here ? here->counts.releases[p] : 0;
	}
}

int totals_udp(struct source *s, uint32_t netns, uint64_t *live, uint64_t *moved)
{
	struct pl_total *values = values_new(s, sizeof(*values));
	struct source_netns n = { .netns = netns };
	int err = values ? bpf_map_lookup_elem(bpf_map__fd(s->skel->maps.totals), &netns, values) : -ENOMEM;

	if (!err)
		netns_sum(s, &n, values);
	*live = *moved = 0;
	for (unsigned int p = PL_IX_UDP; p <= PL_IX_UDPLITE; p++) {
		uint64_t begun = n.counts.allocs[p] + n.opens[p];

		*live += begun - n.counts.releases[p];
		*moved += begun + n.counts.releases[p];
	}
	free(values);
	return err;
}

int totals_set_aside(struct source *s, uint32_t netns)
{
	int err;

	s->test_before = values_new(s, sizeof(*s->test_before));
	if (!s->test_before)
		return -ENOMEM;
	err = bpf_map_lookup_elem(bpf_map__fd(s->skel->maps.totals), &netns, s->test_before);
	if (err) {
		free(s->test_before);
		s->test_before = NULL;
	}
	return err == -ENOENT ? 0 : err;
}

int totals_put_back(struct source *s, uint32_t netns, struct netns_counts *counted)
{
	struct pl_total *values = values_new(s, sizeof(*values));
	struct source_netns now = { .netns = netns }, before = now;
	int map = bpf_map__fd(s->skel->maps.totals);
	int err = values ? bpf_map_lookup_elem(map, &netns, values) : -ENOMEM;

	if (!err)
		netns_sum(s, &now, values);
	if (s->test_before)
		netns_sum(s, &before, s->test_before);
	for (unsigned int p = 0; p < PL_PROTOS; p++) {
		counted->allocs[p] = now.counts.allocs[p] - before.counts.allocs[p];
		counted->releases[p] = now.counts.releases[p] - before.counts.releases[p];
	}
	if (s->test_before)
		bpf_map_update_elem(map, &netns, s->test_before, BPF_ANY);
	else
		bpf_map_delete_elem(map, &netns);
	free(s->test_before);
	s->test_before = NULL;
	free(values);
	return err;
}

static bool netns_any(const struct source_netns *n)
{
	uint64_t any = 0;

	for (unsigned int p = 0; p < PL_PROTOS; p++)
		any |= n->counts.allocs[p] | n->opens[p] | n->counts.releases[p] | n->counts.fails[p];
	return any;
}

int source_netns_each(struct source *s, int (*fn)(void *ctx, const struct source_netns *n), void *ctx)
{
	struct pl_total *values = values_new(s, sizeof(*values));
	int map = bpf_map__fd(s->skel->maps.totals), err = values ? 0 : -ENOMEM;
	uint32_t key, next, *prev = NULL;

	while (err >= 0 && !(err = bpf_map_get_next_key(map, prev, &next))) {
		struct source_netns n = { .netns = next };

		key = next;
		prev = &key;
		err = bpf_map_lookup_elem(map, &key, values);
		if (!err)
			netns_sum(s, &n, values);
		if (!err && netns_any(&n))
			err = fn(ctx, &n);
		else if (err == -ENOENT)	/* gone meanwhile */
			err = 0;
	}
	free(values);
	return err == -ENOENT || err > 0 ? 0 : err;
}

/* What was lost of the cgroup until the last call; the entry is made. */
static uint64_t *flood_told(struct source *s, uint64_t cgroup)
{
	for (size_t i = 0; i < s->n_floods; i++)
		if (s->floods[i].cgroup == cgroup)
			return &s->floods[i].lost;
	s->floods[s->n_floods].cgroup = cgroup;
	s->floods[s->n_floods].lost = 0;
	return &s->floods[s->n_floods++].lost;
}

/* Entries are never deleted, so there are never more than the table holds. */
static void flood_look(struct source *s, uint64_t cgroup, const struct pl_flood *values, struct source_flooder *top)
{
	uint64_t *told = flood_told(s, cgroup), sum = 0, since;
	const struct pl_flood *last = values;

	for (unsigned int cpu = 0; cpu < s->cpus; cpu++) {
		sum += values[cpu].lost;
		if (values[cpu].lost > last->lost)
			last = &values[cpu];
	}
	since = sum - *told;
	*told = sum;
	if (since <= top->lost)
		return;
	*top = (struct source_flooder){ .lost = since, .cgroup = cgroup, .tgid = last->tgid };
	memcpy(top->comm, last->comm, sizeof(top->comm));
	top->comm[PL_COMM_LEN - 1] = '\0';
}

int source_flooder(struct source *s, struct source_flooder *top)
{
	struct pl_flood *values = values_new(s, sizeof(*values));
	int map = bpf_map__fd(s->skel->maps.floods);
	uint64_t key, next, *prev = NULL;
	int err = values ? 0 : -ENOMEM;

	memset(top, 0, sizeof(*top));
	while (!err && !(err = bpf_map_get_next_key(map, prev, &next))) {
		key = next;
		prev = &key;
		err = bpf_map_lookup_elem(map, &key, values);
		if (!err)
			flood_look(s, key, values, top);
	}
	free(values);
	return err == -ENOENT ? 0 : err;
}
