/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Tier A: fentry and fexit on the kernel's own allocator and release functions.
 * Thin wrappers; the meaning is in lease.h and intent.h.
 */
SEC("fexit/inet_csk_get_port")
int BPF_PROG(a_get_port, struct sock *sk, unsigned short snum, int ret)
{
	on_tcp_get_port((struct sock *)plain(sk), snum, ret);
	return 0;
}

SEC("fexit/inet_hash_connect")
int BPF_PROG(a_hash_connect, void *dr, struct sock *sk, int ret)
{
	on_tcp_connect((struct sock *)plain(sk), ret);
	return 0;
}

SEC("fexit/inet6_hash_connect")
int BPF_PROG(a_hash_connect6, void *dr, struct sock *sk, int ret)
{
	on_tcp_connect((struct sock *)plain(sk), ret);
	return 0;
}

SEC("fexit/__inet_inherit_port")
int BPF_PROG(a_inherit, struct sock *sk, struct sock *child, int ret)
{
	if (!ret)
		lease_inherit(plain(sk), plain(child));
	return 0;
}

SEC("fentry/inet_put_port")
int BPF_PROG(a_put_port, struct sock *sk)
{
	lease_release((struct sock *)plain(sk), PL_REASON_NONE);
	return 0;
}

/* Renamed with the fold of the timer's start into it (6.11): one of the two exists. */
SEC("fentry/inet_twsk_hashdance_schedule")
int BPF_PROG(a_hashdance_schedule, void *tw, struct sock *sk)
{
	on_timewait(plain(tw), plain(sk));
	return 0;
}

SEC("fentry/inet_twsk_hashdance")
int BPF_PROG(a_hashdance, void *tw, struct sock *sk)
{
	on_timewait(plain(tw), plain(sk));
	return 0;
}

SEC("fentry/inet_twsk_bind_unhash")
int BPF_PROG(a_tw_unhash, void *tw)
{
	lease_end(plain(tw), PL_REASON_TIME_WAIT, 0, 0);
	return 0;
}

SEC("fexit/udp_lib_get_port")
int BPF_PROG(a_udp_get_port, struct sock *sk, unsigned short snum, unsigned int hash2, int ret)
{
	on_udp_get_port((struct sock *)plain(sk), snum, ret);
	return 0;
}

SEC("fentry/udp_lib_unhash")
int BPF_PROG(a_udp_unhash, struct sock *sk)
{
	lease_udp_unhash((struct sock *)plain(sk));
	return 0;
}

SEC("fentry/__udp_disconnect")
int BPF_PROG(a_udp_disconnect_enter, struct sock *sk)
{
	lease_leaving((struct sock *)plain(sk));
	return 0;
}

SEC("fexit/__udp_disconnect")
int BPF_PROG(a_udp_disconnect, struct sock *sk, int flags, int ret)
{
	lease_left((struct sock *)plain(sk));
	return 0;
}

SEC("fentry/security_sock_graft")
int BPF_PROG(a_graft, struct sock *sk, struct socket *parent)
{
	lease_accept(plain(sk), bpf_get_current_cgroup_id());
	return 0;
}

SEC("fentry/inet_bind")
int BPF_PROG(a_bind_enter, struct socket *sock, struct sockaddr *uaddr)
{
	on_bind_enter(BPF_CORE_READ(sock, sk), uaddr);
	return 0;
}

SEC("fexit/inet_bind")
int BPF_PROG(a_bind, struct socket *sock, struct sockaddr *uaddr, int len, int ret)
{
	intent_bind_done(BPF_CORE_READ(sock, sk), uaddr, ret);
	return 0;
}

SEC("fentry/inet6_bind")
int BPF_PROG(a_bind6_enter, struct socket *sock, struct sockaddr *uaddr)
{
	on_bind_enter(BPF_CORE_READ(sock, sk), uaddr);
	return 0;
}

SEC("fexit/inet6_bind")
int BPF_PROG(a_bind6, struct socket *sock, struct sockaddr *uaddr, int len, int ret)
{
	intent_bind_done(BPF_CORE_READ(sock, sk), uaddr, ret);
	return 0;
}

SEC("fentry/inet_dgram_connect")
int BPF_PROG(a_dgram_connect, struct socket *sock, struct sockaddr *uaddr)
{
	on_udp_connect_enter(BPF_CORE_READ(sock, sk), uaddr);
	return 0;
}
