/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Tier C: where neither trampolines nor kprobes are allowed.  BTF tracepoints
 * for TCP, cgroup programs for what happens in the caller's context, syscall
 * exits for what only the return value tells.
 *
 * The context of a cgroup program is, or begins with, the address of the
 * kernel's own struct: as a number it gives the same struct sock as in the other
 * tiers, and so the same key and the same handlers.
 */
static __always_inline struct sock *c_sock(void *ctx)
{
	return (struct sock *)plain(ctx);	/* BPF_CGROUP_RUN_SK_PROG passes the socket itself */
}

static __always_inline struct sock *c_addr_sock(void *ctx)
{
	return BPF_CORE_READ((struct bpf_sock_addr_kern *)plain(ctx), sk);
}

/* As sock_port_proto(), from what the context tells without a look at the socket. */
static __always_inline __u8 c_port_proto(__u32 protocol)
{
	return protocol == IPPROTO_TCP || protocol == IPPROTO_UDP || protocol == IPPROTO_UDPLITE ? protocol : 0;
}

/* The address that was given to a system call: the kernel's copy of it. */
static __always_inline void c_addr_read(struct intent *in, struct bpf_sock_addr *ctx, bool v6)
{
	in->family = ctx->user_family;
	in->port = __builtin_bswap16(ctx->user_port);
	if (v6) {
		in->addr[0] = ctx->user_ip6[0];
		in->addr[1] = ctx->user_ip6[1];
		in->addr[2] = ctx->user_ip6[2];
		in->addr[3] = ctx->user_ip6[3];
	} else {
		in->addr[0] = ctx->user_ip4;
	}
}

/* ---- bind ---- */

static __always_inline int c_bind_begin(struct bpf_sock_addr *ctx, bool v6)
{
	struct intent in = { .kind = PL_KIND_BIND };

	if (!c_port_proto(ctx->protocol))
		return 1;
	in.sk = (__u64)c_addr_sock(ctx);
	c_addr_read(&in, ctx, v6);
	intent_put(&in);
	return 1;
}

static __always_inline int c_bind_got(struct bpf_sock *ctx)
{
	__u8 proto = c_port_proto(ctx->protocol);
	struct sock *sk = c_sock(ctx);
	struct intent in = {};
	bool told = intent_take(sk, &in);

	if (!proto)
		return 1;
	if (!told)
		count(PL_STAT_INTENT);	/* dropped by the kernel, or asked for before we were there */
	lease_alloc(sk, proto, !told ? PL_KIND_UNKNOWN : in.port ? PL_KIND_BIND : PL_KIND_BIND0, true, NULL);
	return 1;
}

SEC("cgroup/bind4")
int c_bind4(struct bpf_sock_addr *ctx)
{
	return c_bind_begin(ctx, false);
}

SEC("cgroup/bind6")
int c_bind6(struct bpf_sock_addr *ctx)
{
	return c_bind_begin(ctx, true);
}

SEC("cgroup/post_bind4")
int c_post_bind4(struct bpf_sock *ctx)
{
	return c_bind_got(ctx);
}

SEC("cgroup/post_bind6")
int c_post_bind6(struct bpf_sock *ctx)
{
	return c_bind_got(ctx);
}

/* ---- TCP: connect, listen, children, release ---- */

SEC("sockops")
int c_sockops(struct bpf_sock_ops *ctx)
{
	struct sock *sk;

	if (ctx->op != BPF_SOCK_OPS_TCP_CONNECT_CB && ctx->op != BPF_SOCK_OPS_TCP_LISTEN_CB)
		return 1;
	sk = BPF_CORE_READ((struct bpf_sock_ops_kern *)plain(ctx), sk);
	if (sock_port_proto(sk) == IPPROTO_TCP)
		lease_begin((__u64)sk, IPPROTO_TCP | (ctx->op == BPF_SOCK_OPS_TCP_CONNECT_CB ? PL_KIND_CONNECT : PL_KIND_LISTEN) << 8,
			    0, 0, 0);
	return 1;
}

/*
 * A TIME_WAIT socket between the start of its timer and the moment its socket
 * closes.  Found by its addresses, which both have; nothing else ties the two.
 */
struct tw_birth_key {
	__u64 net;
	__u32 laddr[4];
	__u32 raddr[4];
	__u16 lport, rport;	/* network order */
	__u32 pad;
};

struct tw_birth {
	__u64 tw;
	__u64 ts;
};

/*
 * What a timer that is only started again leaves here nobody takes, so the kernel drops what is old: each CPU of its own, for
 * with lists shared by all, one that runs out of room takes what another has just put there.
 */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, PL_BIRTHS_MIN);	/* more where there are many CPUs */
	__uint(map_flags, BPF_F_NO_COMMON_LRU);
	__type(key, struct tw_birth_key);
	__type(value, struct tw_birth);
} tw_births SEC(".maps");

static __always_inline void tw_key_fill(struct tw_birth_key *k, __u64 sk, __be16 sport)
{
	struct sock_head head;

	sock_look(&head, (struct sock *)sk);
	k->net = plain(HEAD(&head, skc_net.net));
	k->lport = sport;
	k->rport = HEAD(&head, skc_dport);
	if (HEAD(&head, skc_family) == AF_INET6) {
		SOCK_COPY_V6(k->laddr, &head, skc_v6_rcv_saddr);
		SOCK_COPY_V6(k->raddr, &head, skc_v6_daddr);
	} else {
		k->laddr[0] = HEAD(&head, skc_rcv_saddr);
		k->raddr[0] = HEAD(&head, skc_daddr);
	}
}

/* Far longer than from the start of the timer to the end of the socket, which follows in the same softirq. */
#define TW_BIRTH_NS 1000000000ULL

/* A socket leaves for TIME_WAIT: its TIME_WAIT socket was armed just before. */
__noinline int c_timewait(__u64 sk)
{
	struct tw_birth_key key = {};
	struct tw_birth *found, b;

	tw_key_fill(&key, sk, BPF_CORE_READ((struct inet_sock *)sk, inet_sport));
	found = bpf_map_lookup_elem(&tw_births, &key);
	if (!found)
		return 0;
	b = *found;
	bpf_map_delete_elem(&tw_births, &key);
	if (bpf_ktime_get_boot_ns() - b.ts > TW_BIRTH_NS)
		return 0;	/* an old one was re-armed; this socket leaves no TIME_WAIT */
	/* What looked like the same one armed again was another at its address. */
	lease_end(b.tw, PL_REASON_TIME_WAIT, b.ts, 0);
	lease_timewait(b.tw, sk, b.ts);
	return 0;
}

/* connect() found no port: confirmed by the errno when the call comes back. */
__noinline int c_connect_gave_up(__u64 sk)
{
	struct intent in = { .sk = sk, .kind = PL_KIND_CONNECT };
	struct pl_lease to = {};
	struct sock_head head;

	sock_look(&head, (struct sock *)sk);
	to.family = HEAD(&head, skc_family);
	sock_fill_remote(&to, &head);
	in.family = to.family;
	in.port = to.rport;
	__builtin_memcpy(in.addr, to.raddr, sizeof(in.addr));
	intent_put(&in);
	return 0;
}

SEC("tp_btf/inet_sock_set_state")
int BPF_PROG(c_set_state, struct sock *known, int oldstate, int newstate)
{
	struct sock *sk;
	__u64 key;

	/* Plain loads, for the many changes of state that tell of no port. */
	if ((newstate != TCP_CLOSE && (oldstate != TCP_SYN_RECV || newstate != TCP_ESTABLISHED)) ||
	    known->sk_protocol != IPPROTO_TCP)
		return 0;
	key = plain(known);
	sk = (struct sock *)key;
	if (newstate != TCP_CLOSE) {
		/* The child has had its port since LISTEN -> SYN_RECV, but only now all its addresses. */
		lease_inherit(0, key);
		return 0;
	}
	if (oldstate == TCP_FIN_WAIT2 || oldstate == TCP_CLOSING)
		c_timewait(key);
	if (sock_num(sk))
		return 0;	/* bound to a number: held until it is destroyed */
	if (oldstate == TCP_SYN_SENT && !bpf_map_lookup_elem(&holders, &key))
		c_connect_gave_up(key);
	else
		lease_release(sk, PL_REASON_NONE);
	return 0;
}

SEC("tp_btf/tcp_destroy_sock")
int BPF_PROG(c_destroy_sock, struct sock *sk)
{
	lease_release((struct sock *)plain(sk), PL_REASON_NONE);
	return 0;
}

/* ---- TIME_WAIT: the life of its timer ---- */

static __always_inline struct inet_timewait_sock *c_tw_of(struct timer_list *timer)
{
	return (void *)plain(timer) - bpf_core_field_offset(struct inet_timewait_sock, tw_timer);
}

static __always_inline bool c_tw_timer(struct timer_list *timer)
{
	return (__u64)timer->function == tw_timer;
}

/* mod_timer() stops and starts within microseconds; an interrupt may fall between. */
#define TW_REARM_NS 5000000ULL

/* Is it the same TIME_WAIT socket that lives on?  So it seems: c_timewait() knows when a socket dies for another. */
static __always_inline bool c_tw_rearmed(const struct pl_lease *held, struct sock *tw, __u64 now)
{
	return held->cancelled && now - held->cancelled < TW_REARM_NS && held->lport == sock_num(tw) &&
	       held->rport == __builtin_bswap16(BPF_CORE_READ(tw, __sk_common.skc_dport)) &&
	       held->netns == BPF_CORE_READ(tw, __sk_common.skc_net.net, ns.inum);
}

SEC("tp_btf/timer_start")
int BPF_PROG(c_timer_start, struct timer_list *timer)
{
	struct tw_birth_key key = {};
	struct inet_timewait_sock *tw;
	struct pl_lease *held;
	struct tw_birth b;

	if (!c_tw_timer(timer))
		return 0;
	tw = c_tw_of(timer);
	b.tw = (__u64)tw;
	b.ts = bpf_ktime_get_boot_ns();
	held = bpf_map_lookup_elem(&holders, &b.tw);
	if (held && c_tw_rearmed(held, (struct sock *)tw, b.ts))
		held->cancelled = 0;
	else if (held)	/* the memory of one that was killed a moment ago, before the reader looked */
		lease_end(b.tw, PL_REASON_TIME_WAIT, held->cancelled ? held->cancelled : b.ts, 0);
	tw_key_fill(&key, b.tw, BPF_CORE_READ(tw, tw_sport));
	if (bpf_map_update_elem(&tw_births, &key, &b, BPF_ANY))
		count(PL_STAT_INTENT);
	return 0;
}

/*
 * Stopped before its time: re-armed within microseconds, or killed.  The reader
 * looks again a little later and ends the lease if nobody re-armed it.  At the
 * time of expiry the timer is stopped too, and timer_expire_entry follows.
 */
SEC("tp_btf/timer_cancel")
int BPF_PROG(c_timer_cancel, struct timer_list *timer)
{
	struct pl_lease *held, l;
	__u64 tw;

	if (!c_tw_timer(timer))
		return 0;
	tw = (__u64)c_tw_of(timer);
	held = bpf_map_lookup_elem(&holders, &tw);
	if (!held || !(held->flags & PL_F_TIME_WAIT))
		return 0;
	held->cancelled = bpf_ktime_get_boot_ns();
	/* jiffies, as the timer wheel compares them */
	if ((__s64)(bpf_jiffies64() - timer->expires) >= 0)
		return 0;
	__builtin_memcpy(&l, held, sizeof(l));
	l.cookie = tw;		/* the key, for the reader's second look */
	emit(&l, PL_REC_CANCEL, l.cancelled, 0, 0);
	return 0;
}

SEC("tp_btf/timer_expire_entry")
int BPF_PROG(c_timer_expire, struct timer_list *timer)
{
	if (c_tw_timer(timer))
		lease_end((__u64)c_tw_of(timer), PL_REASON_TIME_WAIT, 0, 0);
	return 0;
}

/* ---- UDP ---- */

/*
 * A UDP connect() that may autobind is an intent, resolved when the system call
 * returns.  io_uring has no system call to return from: there, and where a program
 * cannot ask which call it is in, it waits here and the sweep may resolve it.
 */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, PL_PENDINGS_MAX);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, __u64);
	__type(value, struct pl_lease);	/* its start: when it was put here */
} pendings SEC(".maps");

/* `what`: protocol, port << ALLOC_PORT. */
__noinline int c_pend(__u64 key, __u64 what, __u64 to, __u64 to_high, __u64 cgroup)
{
	struct pl_lease l = { .kind = PL_KIND_CONNECT, .flags = PL_F_CHOSEN, .cgroup = cgroup };
	char room[TASK_IDS] __attribute__((aligned(8)));

	l.start = bpf_ktime_get_boot_ns();
	l.proto = what;
	l.rport = what >> ALLOC_PORT;
	sock_unpack(l.raddr, to, to_high);
	owner_fill_current(&l, (struct sock *)key, room);
	if (bpf_map_update_elem(&pendings, &key, &l, BPF_ANY))
		count(PL_STAT_INTENT);
	return 0;
}

/* Is `current` in a connect() whose return will be seen? */
static __always_inline bool c_in_connect(void)
{
	return call_known() && call_nr() == NR_CONNECT;
}

static __always_inline int c_connect_begin(struct bpf_sock_addr *ctx, bool v6)
{
	struct intent in = { .kind = PL_KIND_CONNECT };
	struct sock *sk;

	if (!sock_is_udp(ctx->protocol))
		return 1;
	sk = c_addr_sock(ctx);
	if (sock_num(sk))
		return 1;
	in.sk = (__u64)sk;
	c_addr_read(&in, ctx, v6);
	if (c_in_connect())
		intent_put(&in);
	else
		c_pend((__u64)sk, ctx->protocol | (__u64)in.port << ALLOC_PORT, sock_pack(in.addr), sock_pack(in.addr + 2),
		       bpf_get_current_cgroup_id());
	return 1;
}

/* The socket has its port now, or was refused one. */
__noinline int c_pending_done(__u64 key, int ret)
{
	struct pl_lease *found = bpf_map_lookup_elem(&pendings, &key);
	struct sock_head head;
	struct pl_lease l;

	if (!found || closing)
		return 0;
	__builtin_memcpy(&l, found, sizeof(l));
	if (bpf_map_delete_elem(&pendings, &key))
		return 0;
	sock_look(&head, (struct sock *)key);
	sock_fill(&l, &head, l.proto);
	if (l.lport) {
		if (!lease_held(key, &head, l.proto, l.kind) && lease_insert((struct sock *)key, &l, false) == -LINUX_EEXIST)
			lease_adopt(key, &l);
	} else if (ret == -LINUX_EAGAIN) {
		l.cancelled = compat_sock_range((void *)key);
		l.start = bpf_ktime_get_boot_ns();
		l.id = lease_id(l.start);
		count(PL_STAT_FAIL(proto_ix(l.proto), PL_IX_EAGAIN));
		total(l.netns, PL_TOTAL_FAIL, proto_ix(l.proto));
		emit(&l, PL_REC_FAIL, l.start, 0, LINUX_EAGAIN);
	}
	return 0;
}

SEC("cgroup/connect4")
int c_connect4(struct bpf_sock_addr *ctx)
{
	return c_connect_begin(ctx, false);
}

SEC("cgroup/connect6")
int c_connect6(struct bpf_sock_addr *ctx)
{
	return c_connect_begin(ctx, true);
}

/* Every send to an address comes here; nearly all have nothing new to tell. */
static __always_inline bool c_send_known(struct sock *sk)
{
	__u64 key = (__u64)sk;
	struct pl_lease *held = bpf_map_lookup_elem(&holders, &key);
	__u16 num = sock_num(sk);

	return held ? held->lport == num : no_room_noted(key, num);
}

/* Runs after the autobind of an unconnected send. */
static __always_inline int c_send(struct bpf_sock_addr *ctx)
{
	struct sock *sk;

	if (!sock_is_udp(ctx->protocol))
		return 1;
	sk = c_addr_sock(ctx);
	if (!c_send_known(sk))
		lease_alloc(sk, ctx->protocol, PL_KIND_SEND, false, NULL);
	return 1;
}

SEC("cgroup/sendmsg4")
int c_sendmsg4(struct bpf_sock_addr *ctx)
{
	return c_send(ctx);
}

SEC("cgroup/sendmsg6")
int c_sendmsg6(struct bpf_sock_addr *ctx)
{
	return c_send(ctx);
}

SEC("cgroup/sock_release")
int c_sock_release(struct bpf_sock *ctx)
{
	if (sock_is_udp(ctx->protocol))
		lease_release(c_sock(ctx), PL_REASON_CLOSE);
	return 1;
}

/* ---- what only a system call's return tells ---- */

struct sys_exit {
	__u64 common;
	int nr;
	int hole;	/* of older kernels the upper half of nr */
	long ret;
};

#define S_IFMT 0170000
#define S_IFSOCK 0140000
/* The IPv4 or IPv6 socket behind an open file, or NULL. */
static __always_inline struct sock *file_sock(__u64 at)
{
	struct file *file = typed_file(at);
	struct socket *sock;
	struct sock *sk;

	if ((READ(file, f_inode, i_mode) & S_IFMT) != S_IFSOCK)
		return NULL;
	sock = typed_socket((__u64)READ(file, private_data));
	sk = READ(sock, sk);
	return sk && sock_has_ports(READ(sk, __sk_common.skc_family), READ(sk, sk_type)) ? (struct sock *)plain(sk) : NULL;
}

/* The socket behind a descriptor of `current`, or NULL. */
static __always_inline struct sock *fd_sock(__u32 fd)
{
	struct task_struct *t = typed_task(bpf_get_current_task());
	struct fdtable *fdt = READ(t, files, fdt);
	struct file **slots;
	__u64 file = 0;

	if (fd >= READ(fdt, max_fds))
		return NULL;
	slots = READ(fdt, fd);
	if (bpf_probe_read_kernel(&file, sizeof(file), (void *)(plain(slots) + fd * sizeof(file))) || !file)
		return NULL;
	return file_sock(file);
}

/* The first argument of the system call that is returning. */
static __always_inline __u32 sys_exit_fd(void *ctx)
{
	struct pt_regs *regs = compat_syscall_regs(ctx);

#if defined(__TARGET_ARCH_x86)
	return READ(regs, di);
#elif defined(__TARGET_ARCH_arm64)
	return READ(regs, orig_x0);
#endif
}

static __always_inline void c_bind_done(struct sock *sk, __u8 proto, long ret)
{
	struct intent in = {};

	if (!proto)
		return;
	if (intent_take(sk, &in))
		intent_failed(sk, proto, in.port ? PL_KIND_BIND : PL_KIND_BIND0, -ret, &in);
	else if (intent_lost())
		intent_failed(sk, proto, PL_KIND_UNKNOWN, -ret, NULL);
}

static __always_inline void c_connect_done(struct sock *sk, __u8 proto, long ret)
{
	struct intent in = {};

	if (sock_is_udp(proto)) {
		if (call_known() && intent_take(sk, &in) && in.kind == PL_KIND_CONNECT) {
			if (sock_num(sk))
				lease_alloc(sk, proto, PL_KIND_CONNECT, false, &in);
			else if (ret == -LINUX_EAGAIN)
				intent_failed(sk, proto, PL_KIND_CONNECT, LINUX_EAGAIN, &in);
		} else if (call_known() && sock_num(sk) && intent_lost()) {
			lease_alloc(sk, proto, PL_KIND_UNKNOWN, false, NULL);
		} else if (sock_num(sk) || ret) {
			c_pending_done((__u64)sk, ret);
		} else {
			lease_release(sk, PL_REASON_DISCONNECT);
		}
		/* UDP-Lite's connect runs no cgroup program. */
		if (proto == IPPROTO_UDPLITE)
			lease_alloc(sk, proto, PL_KIND_CONNECT, false, NULL);
	} else if (ret == -LINUX_EADDRNOTAVAIL && proto) {
		if (intent_take(sk, &in))
			intent_failed(sk, proto, PL_KIND_CONNECT, LINUX_EADDRNOTAVAIL, &in);
		else if (intent_lost())
			intent_failed(sk, proto, PL_KIND_CONNECT, LINUX_EADDRNOTAVAIL, NULL);
	}
}

static __always_inline void c_accepted(struct sock *sk, __u8 proto)
{
	/* TCP Fast Open: accepted before it is established. */
	if (BPF_CORE_READ(sk, __sk_common.skc_state) == TCP_SYN_RECV && proto == IPPROTO_TCP)
		lease_inherit(0, (__u64)sk);
	lease_accept((__u64)sk, bpf_get_current_cgroup_id());
}

/* One program for the five system calls, so that it is loaded and verified once. */
SEC("tracepoint/syscalls/sys_exit_bind")
int c_exit(struct sys_exit *ctx)
{
	bool accepts = ctx->nr == NR_ACCEPT || ctx->nr == NR_ACCEPT4;
	long ret = ctx->ret;
	struct sock *sk;
	__u8 proto;

	if (ctx->nr == NR_BIND && ret >= 0)
		intent_over();
	if (ctx->nr != NR_CONNECT && accepts != (ret >= 0))
		return 0;
	sk = fd_sock(accepts ? ret : sys_exit_fd(ctx));
	if (!sk)
		return 0;
	proto = sock_port_proto(sk);
	if (accepts)
		c_accepted(sk, proto);
	else if (ctx->nr == NR_CONNECT)
		c_connect_done(sk, proto, ret);
	else if (ctx->nr == NR_BIND)
		c_bind_done(sk, proto, ret);
	else if (proto == IPPROTO_TCP && ret == -LINUX_EADDRINUSE)
		intent_failed(sk, IPPROTO_TCP, PL_KIND_LISTEN, LINUX_EADDRINUSE, NULL);
	return 0;
}
