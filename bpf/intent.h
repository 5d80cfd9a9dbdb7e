/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What was asked, and what came back: the user's side of bind() and connect().
 *
 * inet_bind() tells whether a number was asked for, and the errno of a refusal,
 * also of one that never reached the allocator (EACCES).  For UDP it also tells
 * bind(0) from the autobind of connect() and of the first send, which look the
 * same to the allocator.  Addresses are read from the kernel's own copy, never
 * from user memory.
 */
#ifndef PORTLIFE_BPF_INTENT_H
#define PORTLIFE_BPF_INTENT_H

#define LINUX_EAGAIN		11
#define LINUX_EACCES		13
#define LINUX_EADDRINUSE	98
#define LINUX_EADDRNOTAVAIL	99

#if defined(__TARGET_ARCH_x86)
#define NR_CONNECT 42
#define NR_ACCEPT 43
#define NR_BIND 49
#define NR_ACCEPT4 288
#elif defined(__TARGET_ARCH_arm64)
#define NR_BIND 200
#define NR_ACCEPT 202
#define NR_CONNECT 203
#define NR_ACCEPT4 242
#else
#error "name the numbers of the system calls"
#endif

/* May a program of any kind ask which system call `current` is in?  Nor have older kernels the stack for it. */
static __always_inline bool call_known(void)
{
	return cfg_typed && bpf_core_enum_value_exists(enum bpf_func_id___regs, BPF_FUNC_task_pt_regs___regs);
}

/* Where call_known(). */
static __always_inline long call_nr(void)
{
	struct pt_regs *regs = (struct pt_regs *)bpf_task_pt_regs(bpf_get_current_task_btf());

#if defined(__TARGET_ARCH_x86)
	return regs->orig_ax;
#elif defined(__TARGET_ARCH_arm64)
	return regs->syscallno;
#endif
}

static __always_inline void intent_read(struct intent *in, struct sockaddr *sa)
{
	struct sockaddr_in6 *sa6 = (void *)sa;
	struct sockaddr_in *sa4 = (void *)sa;

	in->family = BPF_CORE_READ(sa, sa_family);
	if (in->family == AF_INET6) {
		in->port = __builtin_bswap16(BPF_CORE_READ(sa6, sin6_port));
		bpf_core_read(in->addr, sizeof(in->addr), &sa6->sin6_addr);
	} else {
		in->port = __builtin_bswap16(BPF_CORE_READ(sa4, sin_port));
		in->addr[0] = BPF_CORE_READ(sa4, sin_addr.s_addr);
	}
}

/* In jiffies, 15 s at least.  Nobody is inside bind() or connect() so long without having left it unseen. */
#define INTENT_OLD 15000

static __always_inline struct intent_set *intent_set_of(__u64 who)
{
	__u32 key = who % INTENT_SETS;

	return bpf_map_lookup_elem(&intents, &key);
}

/* The place of `who`, or NULL. */
static __always_inline struct intent *intent_of(__u64 who)
{
	struct intent_set *set = intent_set_of(who);

	if (!set)
		return NULL;
	for (int i = 0; i < INTENT_WAYS; i++)
		if (set->way[i].who == who)
			return &set->way[i];
	return NULL;
}

/*
 * A place for `who`, which has none.  Threads with the same set look at its places in different order, for nothing keeps
 * two from taking the same one at the same time.
 */
static __always_inline struct intent *intent_place(__u64 who, __u32 now)
{
	struct intent_set *set = intent_set_of(who);
	__u64 first = (__u32)who / INTENT_SETS;

	if (!set)
		return NULL;
	for (int i = 0; i < INTENT_WAYS; i++) {
		struct intent *way = &set->way[(first + i) % INTENT_WAYS];

		if (!way->sk || now - way->since > INTENT_OLD)
			return way;
	}
	count(PL_STAT_INTENT);
	intent_dropped = bpf_jiffies64();
	return &set->way[first % INTENT_WAYS];
}

/* What `current` asks for. */
static __always_inline void intent_put(struct intent *in)
{
	__u64 who = bpf_get_current_pid_tgid();
	struct intent *place = intent_of(who);

	in->who = who;
	in->since = bpf_jiffies64();
	if (!place)
		place = intent_place(who, in->since);
	if (place)
		*place = *in;
}

static __always_inline void intent_set(struct sock *sk, __u8 kind, struct sockaddr *sa)
{
	struct intent in = { .sk = (__u64)sk, .kind = kind };

	intent_read(&in, sa);
	intent_put(&in);
}

/* Takes the intent of `current` for `sk`; false: there is none. */
static __always_inline bool intent_take(struct sock *sk, struct intent *in)
{
	struct intent *place = intent_of(bpf_get_current_pid_tgid());

	if (!place || place->sk != (__u64)sk)
		return false;
	*in = *place;
	place->sk = 0;
	return true;
}

/* The call of `current` is over: with IP_BIND_ADDRESS_NO_PORT nobody has taken what it asked for. */
static __always_inline void intent_over(void)
{
	struct intent *place = intent_of(bpf_get_current_pid_tgid());

	if (place)
		place->sk = 0;
}

/* Where there is none: may it have been dropped, a moment ago? */
static __always_inline bool intent_lost(void)
{
	return intent_dropped && bpf_jiffies64() - intent_dropped < INTENT_OLD && !intent_of(bpf_get_current_pid_tgid());
}

__noinline int errno_ix(__u64 err)
{
	switch (err) {
	case LINUX_EADDRINUSE:
		return PL_IX_EADDRINUSE;
	case LINUX_EADDRNOTAVAIL:
		return PL_IX_EADDRNOTAVAIL;
	case LINUX_EACCES:
		return PL_IX_EACCES;
	case LINUX_EAGAIN:
		return PL_IX_EAGAIN;
	}
	return -1;
}

#define FAIL_ERR	16
#define FAIL_TOLD	(1ULL << 32)
#define FAIL_FAMILY	40
#define FAIL_PORT	48

/* Is `what` a refused bind, with the number that was asked for? */
static __always_inline bool fail_named(__u64 what)
{
	__u8 kind = what >> 8;

	return (what & FAIL_TOLD) && (kind == PL_KIND_BIND || kind == PL_KIND_BIND0);
}

static __always_inline void fail_add_asked(struct pl_lease *l, __u64 what, __u64 addr, __u64 addr_high)
{
	if (fail_named(what)) {
		if (l->family == (__u8)(what >> FAIL_FAMILY))
			sock_unpack(l->laddr, addr, addr_high);
	} else if ((what & FAIL_TOLD) && !l->rport) {
		l->rport = what >> FAIL_PORT;
		sock_unpack(l->raddr, addr, addr_high);
	}
}

/*
 * `what`: protocol, kind << 8, errno << FAIL_ERR; with FAIL_TOLD what was asked for; see intent_failed().
 * The barriers keep what is read off `what` from being kept on the stack, which is scarce.
 */
__noinline int intent_refused(__u64 sk, __u64 what, __u64 addr, __u64 addr_high)
{
	struct pl_lease l = { .kind = what >> 8 };
	struct sock_head head;

	if (closing || errno_ix((__u16)(what >> FAIL_ERR)) < 0)
		return 0;
	sock_look(&head, (struct sock *)sk);
	sock_fill_port(&l, &head, what, fail_named(what) ? what >> FAIL_PORT : HEAD(&head, skc_num));
	if (l.kind != PL_KIND_BIND && l.kind != PL_KIND_UNKNOWN)
		l.flags |= PL_F_CHOSEN;
	barrier_var(what);
	fail_add_asked(&l, what, addr, addr_high);
	owner_fill_current(&l, (struct sock *)sk, &head);
	l.cancelled = compat_sock_range((void *)sk);
	l.start = bpf_ktime_get_boot_ns();
	l.id = lease_id(l.start);
	barrier_var(what);
	count(PL_STAT_FAIL(proto_ix(l.proto), errno_ix((__u16)(what >> FAIL_ERR))));
	total(l.netns, PL_TOTAL_FAIL, proto_ix(l.proto));
	emit(&l, PL_REC_FAIL, l.start, 0, (__u16)(what >> FAIL_ERR));
	return 0;
}

/*
 * `current` got no port.  `in`: what it asked for, may be NULL; its port 0: any.
 * Errnos that are no refusals of a port are passed over.
 */
static __always_inline void intent_failed(struct sock *sk, __u8 proto, __u8 kind, int err, const struct intent *in)
{
	__u64 what = proto | kind << 8 | (__u64)(err & 0xffff) << FAIL_ERR;

	if (in)
		intent_refused((__u64)sk, what | FAIL_TOLD | (__u64)(in->family & 0xff) << FAIL_FAMILY | (__u64)in->port << FAIL_PORT,
			       sock_pack(in->addr), sock_pack(in->addr + 2));
	else
		intent_refused((__u64)sk, what, 0, 0);
}

/* bind() came back with `ret`. */
static __always_inline void intent_bind_done(struct sock *sk, struct sockaddr *sa, int ret)
{
	__u8 proto = sock_port_proto(sk);
	struct intent in = {};

	if (!proto)
		return;
	if (ret || sock_is_udp(proto))
		intent_take(sk, &in);	/* no port was asked for, or it was refused before */
	if (!ret)
		return;
	intent_read(&in, sa);
	intent_failed(sk, proto, in.port ? PL_KIND_BIND : PL_KIND_BIND0, -ret, &in);
}

/* inet_csk_get_port(): bind, listen, and the second call that listen makes for a bound socket. */
static __always_inline void on_tcp_get_port(struct sock *sk, __u16 snum, int ret)
{
	bool listening = BPF_CORE_READ(sk, __sk_common.skc_state) == TCP_LISTEN;
	__u8 kind = snum ? PL_KIND_BIND : listening ? PL_KIND_LISTEN : PL_KIND_BIND0;

	if (sock_port_proto(sk) != IPPROTO_TCP)
		return;
	if (!ret)
		lease_alloc(sk, IPPROTO_TCP, kind, false, NULL);
	else if (listening)	/* 5.10 returns 1; a refused bind is told by inet_bind */
		intent_failed(sk, IPPROTO_TCP, PL_KIND_LISTEN, LINUX_EADDRINUSE, NULL);
}

/* inet_hash_connect(), inet6_hash_connect(). */
static __always_inline void on_tcp_connect(struct sock *sk, int ret)
{
	if (sock_port_proto(sk) != IPPROTO_TCP)
		return;
	if (!ret)
		lease_alloc(sk, IPPROTO_TCP, PL_KIND_CONNECT, false, NULL);
	else
		intent_failed(sk, IPPROTO_TCP, PL_KIND_CONNECT, -ret, NULL);
}

/* What gives a port to a UDP socket that asks for no number and has left no intent: the other two do, unless their hook was passed over. */
static __always_inline __u8 intent_guess(void)
{
	long nr = call_known() ? call_nr() : -1;

	return nr == NR_CONNECT ? PL_KIND_CONNECT : nr == NR_BIND ? PL_KIND_BIND0 : PL_KIND_SEND;
}

/* udp_lib_get_port(): bind, or the autobind of connect or of the first send. */
static __always_inline void on_udp_get_port(struct sock *sk, __u16 snum, int ret)
{
	__u8 proto = sock_port_proto(sk);
	struct intent in = {};
	bool told = intent_take(sk, &in);
	__u8 kind;

	if (!sock_is_udp(proto))
		return;
	if (told && in.kind == PL_KIND_CONNECT)
		kind = PL_KIND_CONNECT;
	else if (snum || told)
		kind = snum ? PL_KIND_BIND : PL_KIND_BIND0;
	else if (intent_lost())
		kind = PL_KIND_UNKNOWN;
	else
		kind = intent_guess();
	if (!ret)
		lease_alloc(sk, proto, kind, true, told && kind == PL_KIND_CONNECT ? &in : NULL);
	else if (kind == PL_KIND_CONNECT || kind == PL_KIND_SEND)
		intent_failed(sk, proto, kind, LINUX_EAGAIN, told ? &in : NULL);
}

/* inet_bind(), before: only UDP needs to remember that it was a bind. */
static __always_inline void on_bind_enter(struct sock *sk, struct sockaddr *sa)
{
	if (sock_is_udp(sock_port_proto(sk)))
		intent_set(sk, PL_KIND_BIND, sa);
}

/* inet_dgram_connect(), before: the destination, and that an autobind would be connect's.  AF_UNSPEC: a disconnect. */
static __always_inline void on_udp_connect_enter(struct sock *sk, struct sockaddr *sa)
{
	if (sock_is_udp(sock_port_proto(sk)) && !sock_num(sk) && BPF_CORE_READ(sa, sa_family))
		intent_set(sk, PL_KIND_CONNECT, sa);
}

#endif
