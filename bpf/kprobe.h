/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Tier B: kprobes and kretprobes on the same functions as tier A.  A return
 * probe sees no arguments, so the entry leaves them in `calls`, where the reader
 * sweeps out those whose thread never called again.  Return probes
 * stand only on functions that do not block (inet_bind waits for the socket's
 * lock at most); accept() is told by security_sock_graft.
 */
enum call_fn { CALL_GET_PORT = 1, CALL_CONNECT, CALL_UDP_GET_PORT, CALL_UDP_DISCONNECT, CALL_BIND };

struct call_key {
	__u64 who;
	__u64 fn;
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, PL_INTENTS_MAX);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct call_key);
	__type(value, struct pl_call);
} calls SEC(".maps");

/* __inet_inherit_port runs in softirq and is not interrupted by itself. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct pl_call);
} inherits SEC(".maps");

static __always_inline __u64 call_who(void)
{
	__u64 who = bpf_get_current_pid_tgid();

	/* The idle task is one per CPU, all with pid 0. */
	return who ? who : 1ULL << 63 | bpf_get_smp_processor_id();
}

static __always_inline void call_enter(__u64 fn, void *sk, __u64 arg)
{
	struct call_key key = { .who = call_who(), .fn = fn };
	struct pl_call c = { .sk = (__u64)sk, .arg = arg, .since = bpf_ktime_get_boot_ns() };

	if (!bpf_map_update_elem(&calls, &key, &c, BPF_NOEXIST))
		return;
	/* It is full, or the kernel had no room for the return of the call before: what that did was not seen. */
	count(PL_STAT_INTENT);
	bpf_map_update_elem(&calls, &key, &c, BPF_EXIST);
}

static __always_inline bool call_leave(__u64 fn, struct pl_call *c)
{
	struct call_key key = { .who = call_who(), .fn = fn };
	struct pl_call *found = bpf_map_lookup_elem(&calls, &key);

	if (!found)
		return false;
	*c = *found;
	bpf_map_delete_elem(&calls, &key);
	return true;
}

SEC("kprobe/inet_csk_get_port")
int BPF_KPROBE(b_get_port_enter, struct sock *sk, unsigned short snum)
{
	call_enter(CALL_GET_PORT, sk, snum);
	return 0;
}

SEC("kretprobe/inet_csk_get_port")
int BPF_KRETPROBE(b_get_port, int ret)
{
	struct pl_call c;

	if (call_leave(CALL_GET_PORT, &c))
		on_tcp_get_port((struct sock *)c.sk, c.arg, ret);
	return 0;
}

static __always_inline int b_connect_done(int ret)
{
	struct pl_call c;

	if (call_leave(CALL_CONNECT, &c))
		on_tcp_connect((struct sock *)c.sk, ret);
	return 0;
}

SEC("kprobe/inet_hash_connect")
int BPF_KPROBE(b_hash_connect_enter, void *dr, struct sock *sk)
{
	call_enter(CALL_CONNECT, sk, 0);
	return 0;
}

SEC("kretprobe/inet_hash_connect")
int BPF_KRETPROBE(b_hash_connect, int ret)
{
	return b_connect_done(ret);
}

SEC("kprobe/inet6_hash_connect")
int BPF_KPROBE(b_hash_connect6_enter, void *dr, struct sock *sk)
{
	call_enter(CALL_CONNECT, sk, 0);
	return 0;
}

SEC("kretprobe/inet6_hash_connect")
int BPF_KRETPROBE(b_hash_connect6, int ret)
{
	return b_connect_done(ret);
}

SEC("kprobe/__inet_inherit_port")
int BPF_KPROBE(b_inherit_enter, struct sock *sk, struct sock *child)
{
	__u32 zero = 0;
	struct pl_call *c = bpf_map_lookup_elem(&inherits, &zero);

	if (c) {
		c->sk = (__u64)sk;
		c->arg = (__u64)child;
	}
	return 0;
}

SEC("kretprobe/__inet_inherit_port")
int BPF_KRETPROBE(b_inherit, int ret)
{
	__u32 zero = 0;
	struct pl_call *c = bpf_map_lookup_elem(&inherits, &zero);

	if (c && c->sk && !ret)
		lease_inherit(c->sk, c->arg);
	if (c)
		c->sk = 0;
	return 0;
}

SEC("kprobe/inet_put_port")
int BPF_KPROBE(b_put_port, struct sock *sk)
{
	lease_release(sk, PL_REASON_NONE);
	return 0;
}

SEC("kprobe/inet_twsk_hashdance_schedule")
int BPF_KPROBE(b_hashdance_schedule, void *tw, struct sock *sk)
{
	on_timewait((__u64)tw, (__u64)sk);
	return 0;
}

SEC("kprobe/inet_twsk_hashdance")
int BPF_KPROBE(b_hashdance, void *tw, struct sock *sk)
{
	on_timewait((__u64)tw, (__u64)sk);
	return 0;
}

SEC("kprobe/inet_twsk_bind_unhash")
int BPF_KPROBE(b_tw_unhash, void *tw)
{
	lease_end((__u64)tw, PL_REASON_TIME_WAIT, 0, 0);
	return 0;
}

SEC("kprobe/udp_lib_get_port")
int BPF_KPROBE(b_udp_get_port_enter, struct sock *sk, unsigned short snum)
{
	call_enter(CALL_UDP_GET_PORT, sk, snum);
	return 0;
}

SEC("kretprobe/udp_lib_get_port")
int BPF_KRETPROBE(b_udp_get_port, int ret)
{
	struct pl_call c;

	if (call_leave(CALL_UDP_GET_PORT, &c))
		on_udp_get_port((struct sock *)c.sk, c.arg, ret);
	return 0;
}

SEC("kprobe/udp_lib_unhash")
int BPF_KPROBE(b_udp_unhash, struct sock *sk)
{
	lease_udp_unhash(sk);
	return 0;
}

SEC("kprobe/__udp_disconnect")
int BPF_KPROBE(b_udp_disconnect_enter, struct sock *sk)
{
	lease_leaving(sk);
	call_enter(CALL_UDP_DISCONNECT, sk, 0);
	return 0;
}

SEC("kretprobe/__udp_disconnect")
int BPF_KRETPROBE(b_udp_disconnect)
{
	struct pl_call c;

	if (call_leave(CALL_UDP_DISCONNECT, &c))
		lease_left((struct sock *)c.sk);
	return 0;
}

SEC("kprobe/security_sock_graft")
int BPF_KPROBE(b_graft, struct sock *sk)
{
	lease_accept((__u64)sk, bpf_get_current_cgroup_id());
	return 0;
}

static __always_inline int b_bind_begin(struct socket *sock, struct sockaddr *uaddr)
{
	struct sock *sk = BPF_CORE_READ(sock, sk);

	on_bind_enter(sk, uaddr);
	call_enter(CALL_BIND, sk, (__u64)uaddr);
	return 0;
}

static __always_inline int b_bind_done(int ret)
{
	struct pl_call c;

	if (call_leave(CALL_BIND, &c))
		intent_bind_done((struct sock *)c.sk, (struct sockaddr *)c.arg, ret);
	return 0;
}

SEC("kprobe/inet_bind")
int BPF_KPROBE(b_bind_enter, struct socket *sock, struct sockaddr *uaddr)
{
	return b_bind_begin(sock, uaddr);
}

SEC("kretprobe/inet_bind")
int BPF_KRETPROBE(b_bind, int ret)
{
	return b_bind_done(ret);
}

SEC("kprobe/inet6_bind")
int BPF_KPROBE(b_bind6_enter, struct socket *sock, struct sockaddr *uaddr)
{
	return b_bind_begin(sock, uaddr);
}

SEC("kretprobe/inet6_bind")
int BPF_KRETPROBE(b_bind6, int ret)
{
	return b_bind_done(ret);
}

SEC("kprobe/inet_dgram_connect")
int BPF_KPROBE(b_dgram_connect, struct socket *sock, struct sockaddr *uaddr)
{
	on_udp_connect_enter(BPF_CORE_READ(sock, sk), uaddr);
	return 0;
}
