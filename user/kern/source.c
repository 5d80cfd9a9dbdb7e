/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The life of a source: choose a tier, drain the ring, count.
 *
 * The kernel's table is the truth; what comes through the ring tells of it.
 * Counters are per CPU and exact whatever became of the ring.
 */
#include "kern/source.h"

#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <linux/membarrier.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "kern/identity.h"
#include "kern/source_priv.h"

/* A re-armed timer is started again within microseconds; this is ample. */
#define CANCEL_SETTLE_NS (20 * 1000 * 1000LL)

static int cancel_add(struct source *s, const struct pl_rec *rec)
{
	if (s->n_cancels == s->cap_cancels) {
		size_t cap = s->cap_cancels ? s->cap_cancels * 2 : 64;
		struct cancel *grown = realloc(s->cancels, cap * sizeof(*grown));

		if (!grown)
			return -ENOMEM;
		s->cancels = grown;
		s->cap_cancels = cap;
	}
	s->cancels[s->n_cancels++] = (struct cancel){ .key = rec->lease.cookie, .at = rec->hdr.ts };
	return 0;
}

#define LINUX_ENOTSUPP 524	/* what the kernel says where no errno of libc's would do */

/*
 * Takes the entry of a lease whose timer still stands out of the table.  In the
 * moment after the look at it the timer may be started again, or the memory
 * become the TIME_WAIT socket of another lease: what was taken then goes back.
 */
static bool cancel_take(int map, const struct cancel *c, struct pl_lease *l)
{
	int err;

	if (bpf_map_lookup_elem(map, &c->key, l) || l->cancelled != c->at)
		return false;
	err = bpf_map_lookup_and_delete_elem(map, &c->key, l);
	if (err == -LINUX_ENOTSUPP || err == -EINVAL || err == -EOPNOTSUPP)	/* hash tables since 5.14 */
		return !bpf_map_delete_elem(map, &c->key);
	if (!err && l->cancelled != c->at)
		bpf_map_update_elem(map, &c->key, l, BPF_NOEXIST);
	return !err && l->cancelled == c->at;
}

/* Ends the lease if its timer still stands: whoever deletes the entry tells. */
static int cancel_settle(struct source *s, const struct cancel *c)
{
	int map = bpf_map__fd(s->skel->maps.holders);
	struct pl_rec rec = { .hdr = { .size = sizeof(rec), .kind = PL_REC_RELEASE, .reason = PL_REASON_TIME_WAIT } };
	unsigned int proto;
	int err;

	if (!cancel_take(map, c, &rec.lease))
		return 0;
	if ((rec.lease.flags & PL_F_SHARED) && !bpf_map_delete_elem(bpf_map__fd(s->skel->maps.shared), &rec.lease.id))
		return 0;
	proto = rec.lease.proto == 6 ? PL_IX_TCP : rec.lease.proto == 17 ? PL_IX_UDP : PL_IX_UDPLITE;
	s->ended_here[PL_STAT_RELEASE(proto, rec.lease.family == 10)]++;
	rec.hdr.ts = c->at;
	err = totals_ended(s, rec.lease.netns, proto);
	return err ? err : s->fn(s->ctx, &rec);
}

static int cancels_settle(struct source *s)
{
	uint64_t due = clock_boot_ns() - CANCEL_SETTLE_NS;
	size_t done = 0;
	int err = 0;

	while (!err && done < s->n_cancels && s->cancels[done].at <= due)
		err = cancel_settle(s, &s->cancels[done++]);
	s->n_cancels -= done;
	memmove(s->cancels, s->cancels + done, s->n_cancels * sizeof(*s->cancels));
	return err;
}

static int source_record(void *ctx, void *data, size_t size)
{
	const struct pl_hdr *hdr = data;
	struct source *s = ctx;

	if (size < sizeof(*hdr) || hdr->size != size)
		return 0;	/* not ours: the ABI header is the same on both sides */
	if (hdr->kind == PL_REC_PATH && size == sizeof(struct pl_path_rec))
		s->own_err = identity_learn(s->identity, data);
	else if (size != sizeof(struct pl_rec))
		return 0;
	else if (s->test_netns && ((struct pl_rec *)data)->lease.netns == s->test_netns)
		source_selftest_record(s, data);
	else if (hdr->kind == PL_REC_CANCEL)
		s->own_err = cancel_add(s, data);
	else
		s->fn_err = s->fn(s->ctx, data);
	return s->fn_err < 0 ? s->fn_err : s->own_err;
}

/* One tier: loaded, attached and seen to work, or nothing left of it and s->why said. */
static int source_try(struct source *s, enum tier tier)
{
	int err;

	s->why[0] = '\0';
	err = source_load(s, tier);
	memset(s->ended_here, 0, sizeof(s->ended_here));
	if (err)
		return err;
	s->ring = ring_buffer__new(bpf_map__fd(s->skel->maps.events), source_record, s, NULL);
	err = s->ring ? totals_begin(s) : -errno;
	if (err)
		snprintf(s->why, sizeof(s->why), "the ring or the tables cannot be set up: %s", strerror(-err));
	else
		err = source_selftest(s);
	if (!err)
		return 0;
	ring_buffer__free(s->ring);
	s->ring = NULL;
	source_unload(s);
	return err;
}

/* The best tier that works; the refused ones are named only when none does. */
static int source_choose(struct source *s)
{
	enum tier first = s->opts.tier ? s->opts.tier : TIER_A, last = s->opts.tier ? s->opts.tier : TIER_C;
	char whys[4][sizeof(s->why)] = { "" };
	int err = -EOPNOTSUPP;

	for (enum tier t = first; t <= last; t++) {
		err = source_try(s, t);
		if (!err)
			return 0;
		if (s->fn_err < 0)
			return s->fn_err;	/* who takes the records is at fault, not the tier */
		memcpy(whys[t], s->why, sizeof(s->why));
	}
	for (enum tier t = first; t <= last; t++)
		log_err("tier %s: %s", tier_name(t), whys[t]);
	return err;
}

/* Everything but the hooks. */
static int source_new(const struct source_opts *opts, size_t names, struct source **ret)
{
	struct source *s = calloc(1, sizeof(*s));
	int cpus = libbpf_num_possible_cpus(), err = !s ? -ENOMEM : cpus < 0 ? cpus : 0;

	if (!err) {
		s->opts = *opts;
		s->cgroup_fd = -1;
		s->types_fd = -1;
		s->cpus = (unsigned int)cpus;
		err = identity_new(names, opts->with_cmdline, &s->identity);
	}
	if (err) {
		log_err("the kernel cannot be looked at: %s", strerror(-err));
		free(s);
		return err;
	}
	*ret = s;
	return 0;
}

static int probe_ignore(void *ctx, const struct pl_rec *rec)
{
	return 0;
}

int source_probe(enum tier tier, struct hook_status *status, char *why, size_t why_size)
{
	struct source_opts opts = { .tier = tier, .ring_size = 256 * 1024 };
	struct source *s = NULL;
	int err = source_new(&opts, IDENTITY_SLOTS, &s);

	why[0] = '\0';
	if (!err) {
		s->fn = probe_ignore;
		err = source_try(s, tier);
		memcpy(status, s->status, hooks_count * sizeof(*status));
		if (err)
			snprintf(why, why_size, "%s", s->why);
	}
	source_close(s);
	return err;
}

static int source_new_btf(const struct source_opts *opts, size_t names, struct source **ret)
{
	if (!access("/sys/kernel/btf/vmlinux", R_OK))
		return source_new(opts, names, ret);
	log_err("this kernel shows no BTF (/sys/kernel/btf/vmlinux): portlife needs CONFIG_DEBUG_INFO_BTF");
	return -EOPNOTSUPP;
}

int source_open(const struct source_opts *opts, source_fn fn, void *ctx, struct source **ret)
{
	struct source *s = NULL;
	int err = source_new_btf(opts, IDENTITY_SLOTS, &s);

	if (!err) {
		s->fn = fn;
		s->ctx = ctx;
		*ret = s;	/* other programs' records come before this returns */
		err = source_choose(s);
	}
	if (err) {
		source_close(s);
		*ret = NULL;
	}
	return err;
}

/*
 * The ring of a look carries names alone, and is drained for each chunk that an
 * iterator gives: 32 kB, some 200 sockets, each perhaps with two names of its own.
 */
#define LOOK_RING	(1U << 20)

int source_open_look(uint16_t lo, uint16_t hi, source_fn fn, void *ctx, struct source **ret)
{
	return source_open_look_more(lo, hi, fn, NULL, ctx, ret);
}

int source_open_look_more(uint16_t lo, uint16_t hi, source_fn fn, source_more_fn more, void *ctx, struct source **ret)
{
	struct source_opts opts = { .scope_all = true, .ring_size = LOOK_RING, .table_size = 1 };
	struct source *s = NULL;
	int err = source_new_btf(&opts, IDENTITY_SLOTS_LOOK, &s);

	if (!err) {
		s->fn = fn;
		s->more = more;
		s->ctx = ctx;
		*ret = s;
		err = lease_table_new(&s->seen);
	}
	if (!err)
		err = source_load_look(s, lo, hi);
	if (!err) {
		s->ring = ring_buffer__new(bpf_map__fd(s->skel->maps.events), source_record, s, NULL);
		err = s->ring ? 0 : -errno;
	}
	if (err) {
		if (s)
			log_err("cannot look at the kernel's sockets: %s", s->why[0] ? s->why : strerror(-err));
		source_close(s);
		*ret = NULL;
	}
	return err;
}

typedef int (*lease_fn)(void *ctx, const struct pl_lease *l);

#define BATCH 1024	/* entries; a bucket of the table never holds so many */

struct batch {
	uint64_t keys[BATCH];
	struct pl_lease leases[BATCH];
};

/*
 * Hands over each entry of a table of leases.  Whole buckets at a time: walking
 * key by key begins anew whenever the key at hand is deleted, and under churn
 * never ends.
 */
static int table_each(int map, lease_fn fn, void *ctx)
{
	struct batch *b = malloc(sizeof(*b));
	uint32_t at, n;
	bool first = true, last = false;
	int err = b ? 0 : -ENOMEM;

	while (!err && !last) {
		n = BATCH;
		err = bpf_map_lookup_batch(map, first ? NULL : &at, &at, b->keys, b->leases, &n, NULL);
		last = err == -ENOENT;
		if (last)
			err = 0;
		first = false;
		for (uint32_t i = 0; !err && i < n; i++)
			err = fn(ctx, &b->leases[i]);
	}
	free(b);
	return err;
}

struct peer_ctx {
	uint16_t lo, hi;
	lease_fn fn;
	void *ctx;
	bool found;	/* a table of leases */
};

static int peer_lease(void *ctx, const struct pl_lease *l)
{
	const struct peer_ctx *p = ctx;

	return l->lport >= p->lo && l->lport <= p->hi ? p->fn(p->ctx, l) : 0;
}

/* The table of leases with that number as a descriptor; -ENOENT: it is none. */
static int peer_open(uint32_t id)
{
	struct bpf_map_info info = { 0 };
	uint32_t len = sizeof(info);
	int fd = bpf_map_get_fd_by_id(id);

	if (fd < 0)
		return -errno;	/* gone meanwhile, or not for us to see */
	if (bpf_obj_get_info_by_fd(fd, &info, &len) || strcmp(info.name, "holders") || info.key_size != 8 ||
	    info.value_size != sizeof(struct pl_lease)) {
		close(fd);
		fd = -ENOENT;
	}
	return fd;
}

static int peer_map(uint32_t id, struct peer_ctx *peer)
{
	int fd = peer_open(id), err;

	if (fd < 0)
		return fd == -ENOENT ? 0 : fd;
	peer->found = true;
	err = table_each(fd, peer_lease, peer);
	close(fd);
	return err;
}

/* None at all is told, since where a recorder runs there is one. */
static int peer_result(const struct peer_ctx *peer, int err)
{
	if (err == -EACCES)
		return -EPERM;
	return err || peer->found ? err : -ENOENT;
}

int source_peers(uint16_t lo, uint16_t hi, int (*fn)(void *ctx, const struct pl_lease *l), void *ctx)
{
	struct peer_ctx peer = { .lo = lo, .hi = hi, .fn = fn, .ctx = ctx };
	uint32_t id = 0;
	int err = 0;

	while (!err) {
		if (bpf_map_get_next_id(id, &id))
			return peer_result(&peer, errno == ENOENT ? 0 : -errno);
		err = peer_map(id, &peer);
	}
	return peer_result(&peer, err);
}

static int peer_seen(struct source *s, int fd, source_peer_fn fn, void *ctx)
{
	struct lease_entry *e;
	struct pl_lease l;
	int err = 0;

	lease_table_for_each(s->seen, i, e)
		if (!err && !bpf_map_lookup_elem(fd, &e->lease.id, &l))
			err = fn(ctx, e->lease.cancelled, &l);
	return err;
}

int source_look_peers(struct source *s, source_peer_fn fn, void *ctx)
{
	uint32_t id = 0;
	int err = 0;

	while (!err && lease_table_count(s->seen) && !bpf_map_get_next_id(id, &id)) {
		int fd = peer_open(id);

		if (fd < 0)
			continue;
		err = peer_seen(s, fd, fn, ctx);
		close(fd);
	}
	return err;
}

/* The number of the map behind a descriptor of another process, 0: it is none. */
static uint32_t peer_map_id(int pid, const char *fd)
{
	char path[64], line[128];
	uint32_t id = 0;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/fdinfo/%.16s", pid, fd);
	f = fopen(path, "re");
	while (f && !id && fgets(line, sizeof(line), f))
		if (sscanf(line, "map_id: %" SCNu32, &id) != 1)
			id = 0;
	if (f)
		fclose(f);
	return id;
}

int source_peer(int pid, uint16_t lo, uint16_t hi, int (*fn)(void *ctx, const struct pl_lease *l), void *ctx)
{
	struct peer_ctx peer = { .lo = lo, .hi = hi, .fn = fn, .ctx = ctx };
	struct dirent *entry;
	char path[32];
	int err;
	DIR *dir;

	snprintf(path, sizeof(path), "/proc/%d/fdinfo", pid);
	dir = opendir(path);
	err = dir ? 0 : -errno;
	/* It has several descriptors of the one table. */
	while (dir && !err && !peer.found && (entry = readdir(dir))) {
		uint32_t id = entry->d_name[0] == '.' ? 0 : peer_map_id(pid, entry->d_name);

		if (id)
			err = peer_map(id, &peer);
	}
	if (dir)
		closedir(dir);
	return peer_result(&peer, err);
}

void source_close(struct source *s)
{
	if (!s)
		return;
	source_unload(s);
	ring_buffer__free(s->ring);
	if (s->types_fd >= 0)
		close(s->types_fd);
	free(s->elf);
	identity_free(s->identity);
	lease_table_free(s->seen);
	free(s->cancels);
	free(s->ended_netns);
	free(s->test_before);
	free(s);
}

enum tier source_tier(const struct source *s)
{
	return s->tier;
}

struct identity *source_identity(struct source *s)
{
	return s->identity;
}

int source_fd(const struct source *s)
{
	return bpf_map__fd(s->skel->maps.events);
}

int source_drain(struct source *s)
{
	int n, err;

	s->fn_err = s->own_err = 0;
	n = ring_buffer__consume(s->ring);
	s->skel->bss->reader_woken = 0;
	if (n < 0)
		return n;
	err = s->n_cancels ? cancels_settle(s) : 0;
	return err < 0 ? err : n;
}

void source_freeze(struct source *s)
{
	if (s->skel->bss->closing)
		return;
	s->skel->bss->closing = 1;
	/* This waits for a grace period, and programs run within one; short of it they need microseconds. */
	if (syscall(SYS_membarrier, MEMBARRIER_CMD_GLOBAL, 0, 0))
		usleep(20000);
}

/* Far longer than from a socket's giving back its port to the hook that tells of it. */
#define SUSPECT_US 2000

int source_check(struct source *s)
{
	struct bpf_program *check = source_prog(s, "i_check");
	int holders = bpf_map__fd(s->skel->maps.holders), err;

	s->skel->bss->suspects = 0;
	err = source_iterate(s, check, holders, NULL);
	if (err || !s->skel->bss->suspects)
		return err;
	usleep(SUSPECT_US);
	return source_iterate(s, check, holders, NULL);
}

/* No call takes so long: its return was not seen, and its thread has made no other since. */
#define CALL_OLD_NS 30000000000LL

/* Counts them, for what they did was not seen, and makes room. */
static void calls_sweep(struct source *s)
{
	int map = bpf_map__fd(s->skel->maps.calls);
	int64_t old = clock_boot_ns() - CALL_OLD_NS;
	uint64_t key[2], next[2];
	struct pl_call call;
	bool more = !bpf_map_get_next_key(map, NULL, key);

	for (unsigned int n = 0; more && n < PL_INTENTS_MAX; n++) {
		more = !bpf_map_get_next_key(map, key, next);
		if (!bpf_map_lookup_elem(map, key, &call) && (int64_t)call.since < old && !bpf_map_delete_elem(map, key))
			s->ended_here[PL_STAT_INTENT]++;
		memcpy(key, next, sizeof(key));
	}
}

int source_sweep(struct source *s)
{
	int err;

	if (s->tier == TIER_B)
		calls_sweep(s);
	if (s->tier != TIER_C)
		return source_check(s);
	err = source_iterate(s, source_prog(s, "i_pending"), bpf_map__fd(s->skel->maps.pendings), NULL);
	return err ? err : source_check(s);
}

int source_stats(struct source *s, uint64_t stats[PL_STATS])
{
	struct { uint64_t c[PL_STATS]; } *all = calloc(s->cpus, sizeof(*all));
	uint32_t zero = 0;
	int err;

	if (!all)
		return -ENOMEM;
	err = bpf_map_lookup_elem(bpf_map__fd(s->skel->maps.stats), &zero, all);
	for (size_t i = 0; !err && i < PL_STATS; i++) {
		stats[i] = s->ended_here[i];
		for (unsigned int cpu = 0; cpu < s->cpus; cpu++)
			stats[i] += all[cpu].c[i];
	}
	free(all);
	return err;
}

/* Of struct bpf_link_info, which headers younger than ours have: a kprobe's part of it. */
#define LINK_PERF_EVENT 7
#define PERF_KPROBE 3
#define PERF_KRETPROBE 4
struct kprobe_info {
	uint32_t type, id, prog, pad;
	uint32_t how, pad_how;
	uint64_t name;
	uint32_t name_len, offset;
	uint64_t addr, missed;
};

/* What a kprobe, or the return of one, has passed over: kernels since 6.7 tell. */
static int kprobe_missed(const struct source *s, size_t i, uint64_t *missed)
{
	struct kprobe_info info = { 0 };
	uint32_t len = sizeof(info);

	if (bpf_obj_get_info_by_fd(bpf_link__fd(s->links[i]), (void *)&info, &len))
		return errno == EINVAL ? 0 : -errno;	/* before 5.15 a kprobe has no link */
	if (info.type == LINK_PERF_EVENT && (info.how == PERF_KPROBE || info.how == PERF_KRETPROBE))
		*missed += info.missed;
	return 0;
}

int source_missed(struct source *s, uint64_t *missed)
{
	int err = 0;

	*missed = 0;
	for (size_t i = 0; i < hooks_count; i++) {
		struct bpf_prog_info info = { 0 };
		uint32_t len = sizeof(info);
		struct bpf_program *prog = source_prog(s, hooks[i].prog);

		/* One that serves several hooks is counted once. */
		if (!s->links[i] || (i && s->links[i - 1] && !strcmp(hooks[i - 1].prog, hooks[i].prog)))
			continue;
		if (bpf_obj_get_info_by_fd(bpf_program__fd(prog), &info, &len))
			return -errno;
		*missed += info.recursion_misses;
		if (!err && hooks[i].tier == TIER_B)
			err = kprobe_missed(s, i, missed);
	}
	return err;
}

uint64_t source_ring_lost(const uint64_t stats[PL_STATS])
{
	uint64_t lost = 0;

	/* A path that did not fit is told again with the process's next lease. */
	for (int kind = 0; kind < PL_REC_KINDS; kind++)
		if (kind != PL_REC_PATH)
			lost += stats[PL_STAT_RING(kind)];
	return lost;
}

static bool hook_detached(struct source *s, size_t i)
{
	struct bpf_link_info info = { 0 };
	uint32_t len = sizeof(info);

	return s->links[i] && hooks[i].how == HOOK_CGROUP &&
	       !bpf_obj_get_info_by_fd(bpf_link__fd(s->links[i]), &info, &len) && !info.cgroup.cgroup_id;
}

static int hook_put_back(struct source *s, size_t i)
{
	struct bpf_link *old = s->links[i];
	bool first = s->status[i].state == HOOK_LIVE;
	int err;

	s->links[i] = NULL;
	err = source_attach_hook(s, i);
	if (err)
		s->links[i] = old;	/* to be tried again */
	else
		bpf_link__destroy(old);
	s->status[i] = (struct hook_status){ .state = err ? HOOK_MISSING : HOOK_LIVE, .err = err };
	if (!err)
		log_warn("hook '%s' had been detached by somebody: attached again", hooks[i].target);
	else if (first)
		log_err("hook '%s' was detached by somebody and cannot be attached again: %s", hooks[i].target, strerror(-err));
	return err;
}

void source_watch_hooks(struct source *s, unsigned int *gone, unsigned int *still)
{
	*gone = *still = 0;
	for (size_t i = 0; i < hooks_count; i++) {
		if (!hook_detached(s, i))
			continue;
		++*gone;
		*still += hook_put_back(s, i) != 0;
	}
}

struct holders_ctx {
	int shared;
	lease_fn fn;
	void *ctx;
};

/*
 * Of the two entries of a shared lease the TIME_WAIT one is the later truth.  While there are two there is a token; without
 * one the TIME_WAIT has ended before the socket, which holds the port alone again.
 */
static int holders_lease(void *ctx, const struct pl_lease *l)
{
	const struct holders_ctx *h = ctx;
	struct pl_lease alone;
	uint8_t token;

	if (!(l->flags & PL_F_SHARED) || l->flags & PL_F_TIME_WAIT)
		return h->fn(h->ctx, l);
	if (!bpf_map_lookup_elem(h->shared, &l->id, &token))
		return 0;
	alone = *l;
	alone.flags &= (uint8_t)~PL_F_SHARED;
	return h->fn(h->ctx, &alone);
}

int source_holders(struct source *s, int (*fn)(void *ctx, const struct pl_lease *l), void *ctx)
{
	struct holders_ctx h = { bpf_map__fd(s->skel->maps.shared), fn, ctx };

	return table_each(bpf_map__fd(s->skel->maps.holders), holders_lease, &h);
}
