/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The life of a lease: the one set of handlers that every tier calls.  They say
 * what happened to a port; which hook saw it is the tier's business.
 *
 * Rules: the table first, the event second, so that a full ring can lose a
 * report but never a fact; whoever succeeds in deleting an entry reports its
 * end, so that no end is reported twice.
 *
 * What is large here is a global function, which the verifier walks through
 * once a program whoever calls it; arguments are therefore numbers.
 */
#ifndef PORTLIFE_BPF_LEASE_H
#define PORTLIFE_BPF_LEASE_H

#define LINUX_EEXIST 17

/* PL_IX_* of 6, 17, 136; and whether a family, 2 or 10, is the latter.  Each branch saved halves what the verifier walks. */
static __always_inline __u64 proto_ix(__u8 proto)
{
	return (proto >> 4 & 1) | proto >> 7 << 1;
}

static __always_inline __u64 family_ix(__u8 family)
{
	return family >> 3 & 1;
}

/* Unique within a boot: no CPU reads the same nanosecond twice between two allocations. */
static __always_inline __u64 lease_id(__u64 ts)
{
	return ts << 10 | (bpf_get_smp_processor_id() & 1023);
}

static __always_inline void lease_count_end(__u8 proto, __u8 family, __u32 netns)
{
	count(PL_STAT_RELEASE(proto_ix(proto), family_ix(family)));
	total(netns, PL_TOTAL_RELEASE, proto_ix(proto));
}

/* Takes the entry out of the table; 0: it was there, and was the last one of its lease. */
static __always_inline long lease_take(__u64 key, __u64 id, __u8 flags)
{
	if (bpf_map_delete_elem(&holders, &key))
		return -1;
	/* Another holds the port as well: the one that finds no token is the last. */
	return flags & PL_F_SHARED ? !bpf_map_delete_elem(&shared, &id) : 0;
}

static __always_inline __u64 *no_room_place(__u64 key)
{
	__u32 at = key >> 6 & (PL_NO_ROOM_MAX - 1);

	return bpf_map_lookup_elem(&no_room, &at);
}

__noinline int no_room_note(__u64 key, __u64 port)
{
	__u64 *place = no_room_place(key);

	if (place)
		*place = key << 16 | port;
	return 0;
}

__noinline int no_room_noted(__u64 key, __u64 port)
{
	__u64 *place = no_room_place(key);

	return place && *place == (key << 16 | port);
}

/* The socket has given its port back: whoever comes to its address is another. */
__noinline int no_room_forget(__u64 key)
{
	__u64 *place = no_room_place(key);

	if (place && *place >> 16 == key << 16 >> 16)
		*place = 0;
	return 0;
}

/* The ring is full: the end is counted, and the reader learns from the table.  1: it was ours to tell. */
static __always_inline int lease_end_untold(__u64 key, struct pl_lease *held)
{
	__u8 proto = held->proto, family = held->family;
	__u64 cgroup = held->cgroup;
	__u32 netns = held->netns;

	if (lease_take(key, held->id, held->flags))
		return 0;
	lease_count_end(proto, family, netns);
	count(PL_STAT_RING(PL_REC_RELEASE));
	flood(cgroup, 0, 0, 0);
	return 1;
}

/*
 * Ends the lease under `key`; `sk` may be 0 where the object says nothing new.
 * PL_REASON_NONE: ask the socket.  `ts` 0: now.  `id` not 0: that lease and no later one there.
 * 1: it has ended by that.
 */
static __always_inline int lease_finish(__u64 key, __u64 sk, __u8 reason, __u64 ts, __u64 id)
{
	struct pl_lease *held = bpf_map_lookup_elem(&holders, &key);
	struct sock_head head;
	struct pl_rec *r;

	if (!held)
		no_room_forget(key);
	if (!held || closing || (id && held->id != id))
		return 0;
	r = bpf_ringbuf_reserve(&events, sizeof(*r), 0);
	if (!r)
		return lease_end_untold(key, held);
	__builtin_memcpy(&r->lease, held, sizeof(r->lease));
	if (lease_take(key, r->lease.id, r->lease.flags)) {
		bpf_ringbuf_discard(r, BPF_RB_NO_WAKEUP);
		return 0;
	}
	if (sk) {
		sock_look(&head, (struct sock *)sk);
		sock_refresh(&r->lease, &head);
		if (!reason)
			reason = sock_reason(&head);
	}
	r->lease.flags &= ~PL_F_LEAVING;
	/* The kernel disconnects what a closed listener leaves unaccepted: the peer gets a reset. */
	if (reason == PL_REASON_DISCONNECT && r->lease.kind == PL_KIND_ACCEPT && r->lease.owner_src != PL_OWNER_ACCEPT)
		reason = PL_REASON_RESET;
	lease_count_end(r->lease.proto, r->lease.family, r->lease.netns);
	emit_filled(r, PL_REC_RELEASE, ts ? ts : bpf_ktime_get_boot_ns(), reason, 0);
	return 1;
}

/* Two, because old kernels let a chain of calls have 512 bytes of stack, and the first needs little. */
__noinline int lease_end(__u64 key, __u64 reason, __u64 ts, __u64 id)
{
	return lease_finish(key, 0, reason, ts, id);
}

__noinline int lease_end_sock(__u64 sk, __u64 reason)
{
	return lease_finish(sk, sk, reason, 0, 0);
}

static __always_inline void lease_release(struct sock *sk, __u8 reason)
{
	lease_end_sock((__u64)sk, reason);
}

/* UDP: the release function is the same for close() and for disconnect(); the way into it is not. */
static __always_inline void lease_leaving(struct sock *sk)
{
	__u64 key = (__u64)sk;
	struct pl_lease *held = bpf_map_lookup_elem(&holders, &key);

	if (held)
		held->flags |= PL_F_LEAVING;
}

static __always_inline void lease_udp_unhash(struct sock *sk)
{
	__u64 key = (__u64)sk;
	struct pl_lease *held = bpf_map_lookup_elem(&holders, &key);

	if (held && sock_num(sk))
		lease_release(sk, held->flags & PL_F_LEAVING ? PL_REASON_DISCONNECT : PL_REASON_CLOSE);
}

/* Some compilers let __udp_disconnect reach udp_lib_unhash past its entry: look at the result. */
static __always_inline void lease_left(struct sock *sk)
{
	__u64 key = (__u64)sk;
	struct pl_lease *held = bpf_map_lookup_elem(&holders, &key);

	if (held && sock_num(sk))
		held->flags &= ~PL_F_LEAVING;	/* bound to a number: it stays */
	else if (held)
		lease_release(sk, PL_REASON_DISCONNECT);
}

/* An entry of another life under the same address: its end was not seen. */
static __always_inline void lease_drop_stale(__u64 key)
{
	if (lease_end(key, PL_REASON_LOST, 0, 0))
		count(PL_STAT_STALE);
}

/*
 * A snapshot may find a socket between its getting the port and the hook that tells of it.  Nothing else is that young: an
 * entry of another life would have been found just before that ended unseen, and its number been given anew.
 */
#define LEASE_YOUNG_NS 1000000000ULL

static __always_inline bool lease_just_found(const struct pl_lease *held)
{
	return held->flags & PL_F_SNAPSHOT && bpf_ktime_get_boot_ns() - held->start < LEASE_YOUNG_NS;
}

static __always_inline bool lease_found(__u64 key, __u16 lport)
{
	struct pl_lease *held = bpf_map_lookup_elem(&holders, &key);

	return held && held->lport == lport && lease_just_found(held);
}

/*
 * Did the very call of which a hook tells give the port of what a snapshot found a moment ago?  `state`: that of the socket
 * now.  A state that only this call sets, found with the port, means yes; what had its port before keeps what was found.
 */
static __always_inline bool lease_gave(const struct pl_lease *held, __u8 proto, __u8 kind, __u8 state)
{
	switch (kind) {
	case PL_KIND_CONNECT:
		return proto == IPPROTO_UDP || held->state == TCP_SYN_SENT;	/* of UDP only what had no port is told */
	case PL_KIND_LISTEN:
		return held->state == TCP_LISTEN;
	case PL_KIND_BIND:
	case PL_KIND_BIND0:
		return state != TCP_LISTEN;	/* listen() asks once more for the port that it has */
	}
	return false;
}

/* Files and tables do not tell how a port was asked for: that is to be had from a hook. */
static __always_inline bool lease_unasked(const struct pl_lease *held)
{
	return held->kind == PL_KIND_UNKNOWN && lease_just_found(held);
}

/* A snapshot was faster: it is told what it could not know. */
static __always_inline void lease_adopt(__u64 key, struct pl_lease *l)
{
	struct pl_lease *held = bpf_map_lookup_elem(&holders, &key);

	if (!held || !lease_unasked(held))
		return;
	owner_copy(held, l);
	held->owner_src = l->owner_src;
	held->kind = l->kind;
	held->flags |= l->flags & PL_F_CHOSEN;
	l->id = held->id;
	l->start = held->start;
	l->flags = held->flags;
	emit(l, PL_REC_OWNER, bpf_ktime_get_boot_ns(), 0, 0);
}

/*
 * Is the port of `sk` on record, and how it was asked for?  Then listen() after
 * bind() and connect() after bind() only add what they know.
 */
static __always_inline bool lease_held(__u64 key, const struct sock_head *head, __u8 proto, __u8 kind)
{
	struct pl_lease *held = bpf_map_lookup_elem(&holders, &key);

	if (!held)
		return false;
	if (held->lport == HEAD(head, skc_num) && held->proto == proto) {
		if (HEAD(head, skc_state) == TCP_LISTEN)
			held->flags |= PL_F_LISTEN;
		sock_refresh(held, head);
		return !lease_unasked(held) || !lease_gave(held, proto, kind, HEAD(head, skc_state));
	}
	lease_drop_stale(key);
	return false;
}

/* -EEXIST: a snapshot was faster, which is no loss, or an end was not seen; else the table is full, which is one. */
static __always_inline int lease_put(__u64 key, const struct pl_lease *l, bool known_lost)
{
	/* An int: 5.10 leaves the upper half of the register open. */
	int err = bpf_map_update_elem(&holders, &key, l, BPF_NOEXIST);

	if (err && err != -LINUX_EEXIST && !known_lost) {
		count(PL_STAT_TABLE);
		no_room_note(plain((void *)key), l->lport);
	}
	return err;
}

/* On record, and counted; an error says why not.  `fresh`: see lease_insert(). */
static __always_inline int lease_begin_counted(__u64 key, const struct pl_lease *l, bool fresh)
{
	int err = lease_put(key, l, false);

	if (err == -LINUX_EEXIST && fresh && !lease_found(key, l->lport)) {
		lease_drop_stale(key);
		err = lease_put(key, l, false);
	}
	if (err)
		return err;
	count(PL_STAT_ALLOC(proto_ix(l->proto), family_ix(l->family), l->kind));
	total(l->netns, PL_TOTAL_ALLOC, proto_ix(l->proto));
	return 0;
}

/*
 * Puts a filled lease on record and reports it.  `fresh`: the caller knows that
 * the socket had no port before, so an entry in its place is of another life.
 *
 * The place in the ring is taken before the entry can be seen: whoever ends the
 * lease on another CPU comes after it.  0 or why it is not on record anew.
 */
static __always_inline int lease_insert(struct sock *sk, struct pl_lease *l, bool fresh)
{
	struct pl_rec *r;
	int err;

	if (closing)
		return 0;
	l->start = bpf_ktime_get_boot_ns();
	l->id = lease_id(l->start);
	r = bpf_ringbuf_reserve(&events, sizeof(*r), 0);
	if (!r) {
		err = lease_begin_counted((__u64)sk, l, fresh);
		if (!err)
			count_lost(PL_REC_ALLOC, l);
		return err;
	}
	err = lease_begin_counted((__u64)sk, l, fresh);
	if (err) {
		bpf_ringbuf_discard(r, BPF_RB_NO_WAKEUP);
		return err;
	}
	__builtin_memcpy(&r->lease, l, sizeof(*l));
	emit_filled(r, PL_REC_ALLOC, l->start, 0, 0);
	return 0;
}

#define ALLOC_FRESH	(1ULL << 16)
#define ALLOC_PORT	32

/*
 * `what`: protocol, kind << 8, ALLOC_FRESH, the destination's port << ALLOC_PORT; see lease_alloc().
 * `cgroup`: that of `current` where the program may ask for it, which is quicker than to look for it; else 0.
 */
__noinline int lease_begin(__u64 sk, __u64 what, __u64 to, __u64 to_high, __u64 cgroup)
{
	bool fresh = what & ALLOC_FRESH;
	struct pl_lease l = { .kind = what >> 8, .cgroup = cgroup };
	struct sock_head head;

	sock_look(&head, (struct sock *)sk);
	if (!HEAD(&head, skc_num) ||
	    (!fresh && (lease_held(sk, &head, what, l.kind) || no_room_noted(sk, HEAD(&head, skc_num)))))
		return 0;
	if (l.kind != PL_KIND_BIND && l.kind != PL_KIND_UNKNOWN)
		l.flags = PL_F_CHOSEN;
	if (HEAD(&head, skc_state) == TCP_LISTEN)
		l.flags |= PL_F_LISTEN;
	sock_fill(&l, &head, what);
	if (!l.rport && what >> ALLOC_PORT) {
		l.rport = what >> ALLOC_PORT;
		sock_unpack(l.raddr, to, to_high);
	}
	owner_fill_current(&l, (struct sock *)sk, &head);
	if (lease_insert((struct sock *)sk, &l, fresh) == -LINUX_EEXIST)
		lease_adopt(sk, &l);
	return 0;
}

/* `current` got a port for `sk`.  `to`: destination the socket does not know yet, may be NULL. */
static __always_inline void lease_alloc(struct sock *sk, __u8 proto, __u8 kind, bool fresh, const struct intent *to)
{
	__u64 what = proto | kind << 8 | (fresh ? ALLOC_FRESH : 0);

	if (to)
		lease_begin((__u64)sk, what | (__u64)to->port << ALLOC_PORT, sock_pack(to->addr), sock_pack(to->addr + 2),
			    bpf_get_current_cgroup_id());
	else
		lease_begin((__u64)sk, what, 0, 0, bpf_get_current_cgroup_id());
}

/*
 * A child inherits the port of its listener, in softirq: `current` is a
 * stranger.  `listener` may be 0 where the hook does not know it.
 */
__noinline int lease_inherit(__u64 listener, __u64 child)
{
	struct pl_lease *from = listener ? bpf_map_lookup_elem(&holders, &listener) : NULL;
	struct pl_lease l = { .kind = PL_KIND_ACCEPT };
	struct sock_head head;

	if (closing)
		return 0;
	sock_look(&head, (struct sock *)child);
	if (!cfg_scope_all && !sock_in_range(HEAD(&head, skc_net.net), HEAD(&head, skc_num))) {
		count(PL_STAT_SKIPPED);
		return 0;
	}
	if (lease_held(child, &head, IPPROTO_TCP, PL_KIND_ACCEPT))
		return 0;
	sock_fill(&l, &head, IPPROTO_TCP);
	if (from) {
		owner_copy(&l, from);
		l.owner_src = from->tgid ? PL_OWNER_LISTENER : PL_OWNER_UNKNOWN;
		l.flags |= from->flags & PL_F_CHOSEN;
	}
	lease_insert((struct sock *)child, &l, false);
	return 0;
}

/* accept() gave the child to `current`; for MPTCP the socket is the connection, its first subflow the child. */
__noinline int lease_accept(__u64 sk, __u64 cgroup)
{
	struct pl_lease *held, l;
	char room[TASK_IDS] __attribute__((aligned(8)));
	__u64 key = sk;

	if (READ(typed_sock(sk), sk_protocol) == IPPROTO_MPTCP && bpf_core_type_exists(struct mptcp_sock))
		key = (__u64)BPF_CORE_READ((struct mptcp_sock *)sk, first);
	held = bpf_map_lookup_elem(&holders, &key);
	if (!held || closing || (held->owner_src != PL_OWNER_LISTENER && held->owner_src != PL_OWNER_UNKNOWN))
		return 0;
	__builtin_memcpy(&l, held, sizeof(l));
	l.cgroup = cgroup;
	owner_fill_current(&l, (struct sock *)key, room);
	if (l.owner_src == PL_OWNER_PROCESS)
		l.owner_src = PL_OWNER_ACCEPT;
	/* A reset may have ended it meanwhile, and what `held` points to be another's. */
	held = bpf_map_lookup_elem(&holders, &key);
	if (!held || held->id != l.id)
		return 0;
	owner_copy(held, &l);
	held->owner_src = l.owner_src;
	emit(&l, PL_REC_OWNER, bpf_ktime_get_boot_ns(), 0, 0);
	return 0;
}

/*
 * A socket that is bound to a number keeps it while its file is open, also beside its TIME_WAIT: then both hold the port.
 * False: the TIME_WAIT socket takes over.
 */
static __always_inline bool lease_share(struct sock *sk, struct pl_lease *held, struct pl_lease *l)
{
	if (!sock_port_locked(sk))
		return false;
	if (bpf_map_update_elem(&shared, &l->id, &token, BPF_ANY)) {
		count(PL_STAT_TABLE);	/* without a token only one of the two can be known */
		return false;
	}
	l->flags |= PL_F_SHARED;
	held->flags |= PL_F_SHARED;
	held->closed = l->closed;
	return true;
}

/* Another TIME_WAIT of a socket that shares its lease with one already: a lease of its own. */
static __always_inline bool lease_shared(const struct pl_lease *held, struct pl_lease *l)
{
	return held->flags & PL_F_SHARED && bpf_map_lookup_elem(&shared, &l->id);
}

/* The lease goes on under `tw`; an error says why not. */
static __always_inline int lease_hand_on(__u64 tw, __u64 sk, struct pl_lease *held, struct pl_lease *l)
{
	int err;

	if (!lease_share((struct sock *)sk, held, l) && bpf_map_delete_elem(&holders, &sk))
		return -1;
	err = lease_put(tw, l, false);
	if (err && l->flags & PL_F_SHARED) {
		bpf_map_delete_elem(&shared, &l->id);
	} else if (err) {
		lease_count_end(l->proto, l->family, l->netns);
		emit(l, PL_REC_RELEASE, l->closed, PL_REASON_LOST, 0);
	}
	return err;
}

/* The port goes on in TIME_WAIT (or as a FIN_WAIT2 orphan).  The caller has made sure that there is nothing under `tw`. */
__noinline int lease_timewait(__u64 tw, __u64 sk, __u64 ts)
{
	struct pl_lease *held = bpf_map_lookup_elem(&holders, &sk);
	struct sock_head head;
	struct pl_lease l;

	if (!held || closing)
		return 0;
	__builtin_memcpy(&l, held, sizeof(l));
	l.flags &= ~PL_F_SHARED;
	l.flags |= PL_F_TIME_WAIT;
	l.closed = ts;
	sock_look(&head, (struct sock *)sk);
	sock_refresh(&l, &head);
	if (lease_shared(held, &l))
		lease_insert((struct sock *)tw, &l, false);
	else if (lease_hand_on(tw, sk, held, &l))
		return 0;
	emit(&l, PL_REC_TIMEWAIT, ts, 0, 0);
	return 0;
}

/* inet_twsk_hashdance(), before: an entry under the address of what begins here is of another life. */
static __always_inline void on_timewait(__u64 tw, __u64 sk)
{
	if (bpf_map_lookup_elem(&holders, &tw))
		lease_drop_stale(tw);
	lease_timewait(tw, sk, bpf_ktime_get_boot_ns());
}

#endif
