/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The tables shared by every tier, and what the loader sets.
 *
 * `holders` is the truth: an entry exists exactly while a socket, or the
 * TIME_WAIT socket that took over from it, holds a port.  Its key is the kernel
 * address of that socket, exact because both ends of a lease are taken inside
 * the object's life.  The ring only reports what happened to the table.
 */
#ifndef PORTLIFE_BPF_MAPS_H
#define PORTLIFE_BPF_MAPS_H

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, PL_HOLDERS_DEFAULT);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, __u64);
	__type(value, struct pl_lease);
} holders SEC(".maps");

/*
 * One token for each lease that a bound socket and a TIME_WAIT socket hold
 * together.  Deleting succeeds for exactly one of the two: that one was first,
 * the other ends the lease.  (No fetching atomics before 5.12.)
 */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, PL_SHARED_MAX);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, __u64);
	__type(value, __u8);
} shared SEC(".maps");

/*
 * What a thread that is inside bind() or connect() asked for.  A thread keeps its place for
 * the next time, until another needs it: of those whose numbers end alike INTENT_WAYS find
 * room at once.  No table of the kernel that drops what it deems old would tell us that it did.
 */
struct intent {
	__u64 who;		/* pid_tgid */
	__u64 sk;		/* 0: nothing */
	__u32 addr[4];
	__u32 since;		/* jiffies */
	__u16 port;
	__u8 kind;		/* PL_KIND_BIND, PL_KIND_CONNECT */
	__u8 family;
};

#define INTENT_WAYS 4
#define INTENT_SETS (PL_INTENTS_MAX / INTENT_WAYS)

struct intent_set {
	struct intent way[INTENT_WAYS];
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, INTENT_SETS);
	__type(key, __u32);	/* thread, modulo INTENT_SETS */
	__type(value, struct intent_set);
} intents SEC(".maps");

/*
 * Sockets that the table had no room for, by their address, so that each counts as lost once and not with each call that
 * tells of it; one that comes to the same place displaces another, which may be counted once more.
 */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, PL_NO_ROOM_MAX);
	__type(key, __u32);
	__type(value, __u64);	/* address << 16 | port */
} no_room SEC(".maps");

/* When the last one was dropped that may have been in use; jiffies, 0: never. */
__u64 intent_dropped = 0;

/* Executables and cgroups that the reader has been told of. */
struct told_key {
	__u64 id;
	__u64 proc_start;	/* 0 for a cgroup */
	__u64 tgid;
};

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, PL_PROCS_MAX);
	__type(key, struct told_key);
	__type(value, __u8);
} told SEC(".maps");

/* The same for the processes that allocate now: looked at first, because it costs a tenth. */
#define RECENT_SLOTS 64

struct recent {
	__u64 tgid, proc_start, exe, cgroup;
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, RECENT_SLOTS);
	__type(key, __u32);
	__type(value, struct recent);
} recents SEC(".maps");

/* Owner of an MPTCP connection, for the subflows that are added; `cancelled`: the socket of the first one. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 4096);
	__type(key, __u64);
	__type(value, struct pl_lease);
} msks SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, PL_RING_DEFAULT);
} events SEC(".maps");

struct stats {
	__u64 c[PL_STATS];
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct stats);
} stats SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_HASH);
	__uint(max_entries, PL_TOTALS_MAX);
	__type(key, __u32);	/* network namespace; the reader makes the entry 0 */
	__type(value, struct pl_total);
} totals SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_HASH);
	__uint(max_entries, PL_FLOODS_MAX);
	__type(key, __u64);	/* cgroup; the reader makes the entry 0 */
	__type(value, struct pl_flood);
} floods SEC(".maps");

const __u8 token = 1;
const struct pl_total no_total = {};
const struct pl_flood no_flood = {};

const volatile bool cfg_scope_all = false;
const volatile __u64 cfg_ring_half = PL_RING_DEFAULT / 2;
const volatile __u64 cfg_wake_mask = 0;

/* Whether the verifier casts a number to a pointer, and the numbers of the types: see typed(). */
const volatile bool cfg_typed = false;
const volatile __u32 cfg_type_sock = 0;
const volatile __u32 cfg_type_tcp_sock = 0;
const volatile __u32 cfg_type_task = 0;
const volatile __u32 cfg_type_file = 0;
const volatile __u32 cfg_type_socket = 0;

/* Only these local ports are looked for by the snapshot: `who` asks for few. */
const volatile __u16 cfg_port_lo = 0;
const volatile __u16 cfg_port_hi = 65535;
/* Nothing is put on record: what is found is told, also twice, with its key in `cancelled`. */
const volatile bool cfg_look = false;
/* Also tell what decides whether a port can be shared: `why` asks. */
const volatile bool cfg_details = false;

/*
 * Set by the reader after its first snapshot: what a later one finds and cannot
 * put on record was counted as lost when it began, or by the one before.
 */
__u32 snapshot_again = 0;

/* Set here when i_check saw for the first time that a socket seems to be gone, cleared by the reader. */
__u32 suspects = 0;

/* Set here when a snapshot found what the table had no room for, cleared by the reader. */
__u32 snapshot_left = 0;

/* Address of tw_timer_handler, tier C: set by the reader before it attaches, for finding it takes a while. */
__u64 tw_timer = 0;

/*
 * Set by the reader at its end: from then on nothing is put on record, told or
 * counted, so that its last drain and its last look at the counters agree.
 */
__u32 closing = 0;

/* Set here when the reader was woken early, cleared by the reader. */
__u32 reader_woken = 0;

/* Counts one of PL_STAT_*. */
__noinline int count(__u64 index)
{
	__u32 zero = 0;
	struct stats *s = bpf_map_lookup_elem(&stats, &zero);

	/* Atomic although per CPU: a softirq may come between load and store. */
	if (s && index < PL_STATS)
		__sync_fetch_and_add(&s->c[index], 1);
	return 0;
}

/* Counts one of PL_TOTAL_* of the namespace. */
__noinline int total(__u64 netns, __u64 what, __u64 proto)
{
	__u32 key = netns;
	struct pl_total *t = bpf_map_lookup_elem(&totals, &key);

	if (!t) {
		bpf_map_update_elem(&totals, &key, &no_total, BPF_NOEXIST);
		t = bpf_map_lookup_elem(&totals, &key);
	}
	if (!t) {
		key = 0;
		t = bpf_map_lookup_elem(&totals, &key);
	}
	if (t && what < PL_TOTALS && proto < PL_PROTOS)
		__sync_fetch_and_add(&t->c[what][proto], 1);
	return 0;
}

/* A record of the cgroup did not fit the ring.  `name`, `name_high`: comm of the process; `tgid` 0: not at hand. */
__noinline int flood(__u64 cgroup, __u64 tgid, __u64 name, __u64 name_high)
{
	struct pl_flood *f = bpf_map_lookup_elem(&floods, &cgroup);

	if (!f) {
		bpf_map_update_elem(&floods, &cgroup, &no_flood, BPF_NOEXIST);
		f = bpf_map_lookup_elem(&floods, &cgroup);
	}
	if (!f) {
		cgroup = 0;
		f = bpf_map_lookup_elem(&floods, &cgroup);
	}
	if (!f)
		return 0;
	__sync_fetch_and_add(&f->lost, 1);
	if (!tgid)
		return 0;
	f->tgid = tgid;
	((__u64 *)f->comm)[0] = name;
	((__u64 *)f->comm)[1] = name_high;
	return 0;
}

static __always_inline void count_lost(__u8 kind, const struct pl_lease *l)
{
	const __u64 *name = (const void *)l->comm;

	count(PL_STAT_RING(kind));
	flood(l->cgroup, l->tgid, name[0], name[1]);
}

#endif
