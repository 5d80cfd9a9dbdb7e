/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What a socket says of itself: protocol, number, addresses, namespace, range.
 *
 * skc_num is the truth; inet_sport is for display and goes stale after release.
 * struct inet_timewait_sock begins with the same struct sock_common, so these
 * readers serve both.
 */
#ifndef PORTLIFE_BPF_SOCK_H
#define PORTLIFE_BPF_SOCK_H

#define SOCK_BINDPORT_LOCK	8
#define SOCK_CONNECT_BIND	16	/* since 6.18 */
#define SOCK_DEAD_BIT		0	/* enum sock_flags: SOCK_DEAD */
#define SOCK_LINGER_BIT		4	/* enum sock_flags: SOCK_LINGER */
#define LINUX_ECONNABORTED	103
#define LINUX_ECONNRESET	104
#define LINUX_ECONNREFUSED	111
#define LINUX_EPIPE		32

/*
 * A copy of the front of a socket, where nearly all lies that an event tells: where
 * no plain load is to be had, one read instead of ten.  The verifier holds each
 * kernel's offsets against the size.
 */
struct sock_head {
	__u64 words[12];
	struct sock *sk;	/* from typed_sock() */
};

#define HEAD(head, field) \
	(*(typeof(((struct sock_common *)0)->field) *)((char *)(head)->words + bpf_core_field_offset(struct sock_common, field)))
#define HEAD_LOAD(head, field) (HEAD(head, field) = (head)->sk->__sk_common.field)

/* Three bit fields share this byte of a socket. */
static __always_inline __u32 sock_options_at(void)
{
	return __CORE_RELO((struct sock_common *)0, skc_reuse, BYTE_OFFSET);
}

/* All that is asked of it, at once: each choice by itself would cost the kernel time when it loads the program. */
static __always_inline void sock_load(struct sock_head *head)
{
	HEAD_LOAD(head, skc_family);
	HEAD_LOAD(head, skc_state);
	HEAD_LOAD(head, skc_num);
	HEAD_LOAD(head, skc_dport);
	HEAD_LOAD(head, skc_daddr);
	HEAD_LOAD(head, skc_rcv_saddr);
	HEAD_LOAD(head, skc_net.net);
	HEAD_LOAD(head, skc_cookie.counter);
	HEAD_LOAD(head, skc_v6_daddr.in6_u.u6_addr32[0]);
	HEAD_LOAD(head, skc_v6_daddr.in6_u.u6_addr32[1]);
	HEAD_LOAD(head, skc_v6_daddr.in6_u.u6_addr32[2]);
	HEAD_LOAD(head, skc_v6_daddr.in6_u.u6_addr32[3]);
	HEAD_LOAD(head, skc_v6_rcv_saddr.in6_u.u6_addr32[0]);
	HEAD_LOAD(head, skc_v6_rcv_saddr.in6_u.u6_addr32[1]);
	HEAD_LOAD(head, skc_v6_rcv_saddr.in6_u.u6_addr32[2]);
	HEAD_LOAD(head, skc_v6_rcv_saddr.in6_u.u6_addr32[3]);
	*((__u8 *)head->words + sock_options_at()) = *((__u8 *)head->sk + sock_options_at());
}

static __always_inline void sock_look(struct sock_head *head, struct sock *sk)
{
	head->sk = typed_sock((__u64)sk);
	if (cfg_typed)
		sock_load(head);
	else
		bpf_probe_read_kernel(head->words, sizeof(head->words), sk);
}

static __always_inline __u16 sock_num(struct sock *sk)
{
	return READ(typed_sock((__u64)sk), __sk_common.skc_num);
}

/* The protocol, if it is one whose numbers are ports; else 0 (raw, ping, MPTCP itself). */
static __always_inline __u8 sock_port_proto(struct sock *sk)
{
	__u16 proto = READ(typed_sock((__u64)sk), sk_protocol);

	if (proto == IPPROTO_TCP || proto == IPPROTO_UDP || proto == IPPROTO_UDPLITE)
		return proto;
	return 0;
}

#define SOCK_STREAM 1
#define SOCK_DGRAM 2

/* A raw socket has no port: its number is that of its protocol. */
static __always_inline bool sock_has_ports(__u16 family, __u16 type)
{
	return (family == AF_INET || family == AF_INET6) && (type == SOCK_STREAM || type == SOCK_DGRAM);
}

static __always_inline bool sock_is_udp(__u32 proto)
{
	return proto == IPPROTO_UDP || proto == IPPROTO_UDPLITE;
}

static __always_inline bool sock_port_locked(struct sock *sk)
{
	struct sock *known = typed_sock((__u64)sk);

	return READ_BITS(known, sk_userlocks) & SOCK_BINDPORT_LOCK;
}

static __always_inline bool sock_in_range(struct net *net, __u16 port)
{
	__u16 lo, hi;

	compat_port_range(net, &lo, &hi);
	return !(((__s64)port - lo | (__s64)hi - port) >> 63);
}

static __always_inline struct net *sock_net(struct sock *sk)
{
	return BPF_CORE_READ(sk, __sk_common.skc_net.net);
}

#define SOCK_COPY_V6(to, head, field)                                        \
	({                                                                   \
		(to)[0] = HEAD(head, field.in6_u.u6_addr32[0]);              \
		(to)[1] = HEAD(head, field.in6_u.u6_addr32[1]);              \
		(to)[2] = HEAD(head, field.in6_u.u6_addr32[2]);              \
		(to)[3] = HEAD(head, field.in6_u.u6_addr32[3]);              \
	})

/* Half an address as a number, and back. */
static __always_inline __u64 sock_pack(const __u32 half[2])
{
	return half[0] | (__u64)half[1] << 32;
}

static __always_inline void sock_unpack(__u32 to[4], __u64 low, __u64 high)
{
	to[0] = low;
	to[1] = low >> 32;
	to[2] = high;
	to[3] = high >> 32;
}

/* Remote end, where there is one: later binds and connects may have set it. */
static __always_inline void sock_fill_remote(struct pl_lease *l, const struct sock_head *head)
{
	__u16 dport = __builtin_bswap16(HEAD(head, skc_dport));

	if (!dport)
		return;
	l->rport = dport;
	if (l->family == AF_INET6)
		SOCK_COPY_V6(l->raddr, head, skc_v6_daddr);
	else
		l->raddr[0] = HEAD(head, skc_daddr);
}

/* On release: what the lease was last, unless the kernel has wiped it already. */
static __always_inline void sock_refresh(struct pl_lease *l, const struct sock_head *head)
{
	__u32 now[4] = {};

	sock_fill_remote(l, head);
	if (l->family == AF_INET6)
		SOCK_COPY_V6(now, head, skc_v6_rcv_saddr);
	else
		now[0] = HEAD(head, skc_rcv_saddr);
	if (now[0] | now[1] | now[2] | now[3])
		__builtin_memcpy(l->laddr, now, sizeof(now));
}

#define SOCK_OPTION(byte, field) \
	((byte) << __CORE_RELO((struct sock_common *)0, field, LSHIFT_U64) >> __CORE_RELO((struct sock_common *)0, field, RSHIFT_U64))

/* Three bit fields that share a byte; TIME_WAIT sockets have them too. */
static __always_inline __u8 sock_options(const struct sock_head *head)
{
	__u64 byte = *((__u8 *)head->words + sock_options_at());

	/* skc_reuse has four bits, the others have one. */
	return PL_S_KNOWN | (SOCK_OPTION(byte, skc_reuse) + 15) >> 4 << 1 | SOCK_OPTION(byte, skc_reuseport) << 2 |
	       SOCK_OPTION(byte, skc_ipv6only) << 3;
}
_Static_assert(PL_S_REUSEADDR == 1 << 1 && PL_S_REUSEPORT == 1 << 2 && PL_S_V6ONLY == 1 << 3, "shifted above");

/* Into a lease that is all zeros but for its kind and flags. */
static __always_inline void sock_fill_port(struct pl_lease *l, const struct sock_head *head, __u8 proto, __u16 port)
{
	struct net *net = HEAD(head, skc_net.net);

	l->proto = proto;
	l->family = HEAD(head, skc_family);
	l->lport = port;
	l->netns = READ(net, ns.inum);
	l->cookie = HEAD(head, skc_cookie.counter);
	l->flags |= sock_in_range(net, port) * PL_F_IN_RANGE;
	l->sock = sock_options(head);
	sock_refresh(l, head);
}

static __always_inline void sock_fill(struct pl_lease *l, const struct sock_head *head, __u8 proto)
{
	sock_fill_port(l, head, proto, HEAD(head, skc_num));
}

/*
 * Why a TCP socket gives its port back, at the moment when it does.  close(2)
 * with SO_LINGER 0 resets before it sets sk_err, hence the look at the option;
 * connect(AF_UNSPEC) is the one way out that has neither an error nor a shutdown.
 */
static __always_inline __u8 sock_reason(const struct sock_head *head)
{
	int err = READ(head->sk, sk_err);
	__u8 state = HEAD(head, skc_state);
	__u8 shut = READ_BITS(head->sk, sk_shutdown);

	if (err == LINUX_ECONNRESET || err == LINUX_ECONNREFUSED || err == LINUX_ECONNABORTED || err == LINUX_EPIPE)
		return PL_REASON_RESET;
	if (state == TCP_ESTABLISHED || state == TCP_CLOSE_WAIT || state == TCP_FIN_WAIT1 || state == TCP_FIN_WAIT2) {
		if ((READ(head->sk, __sk_common.skc_flags) & (1UL << SOCK_LINGER_BIT)) && shut)
			return READ(head->sk, sk_lingertime) ? PL_REASON_CLOSE : PL_REASON_RESET;
		if (!shut)
			return PL_REASON_DISCONNECT;
	}
	return PL_REASON_CLOSE;
}

#endif
