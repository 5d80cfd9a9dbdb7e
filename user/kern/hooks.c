/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The table of hooks.  Which functions see what, and why these, is told where
 * the programs are: bpf/trampoline.h, bpf/kprobe.h, bpf/tracepoint.h.
 */
#include "kern/hooks.h"

#define A(prog_, target_, need_, lost_) { prog_, TIER_A, HOOK_BPF, target_, need_, lost_ }
#define B(prog_, target_, need_, lost_) { prog_, TIER_B, HOOK_BPF, target_, need_, lost_ }
#define C(prog_, how_, target_, need_, lost_) { prog_, TIER_C, how_, target_, need_, lost_ }

#define L_BIND "TCP ports of bind and listen"
#define L_CONNECT "TCP ports of connect"
#define L_CHILD "ports of accepted connections"
#define L_PUT "the end of TCP leases"
#define L_TW "TIME_WAIT"
#define L_TW_END "the end of TIME_WAIT"
#define L_UDP "UDP ports"
#define L_UDP_END "the end of UDP leases"
#define L_UDP_OFF "UDP ports given back by connect(AF_UNSPEC)"
#define L_ACCEPT "who accepted a connection"
#define L_WHY "why bind was refused"
#define L_UDP_ASK "whether a UDP port was taken by bind, connect or send"

/*
 * In the order in which they are attached: the ends before the beginnings, so that no lease is put on record whose end was
 * not yet to be seen; what comes back from a call before what goes into it; but before what makes a lease of it, in tier c,
 * what was asked for.
 */
const struct hook hooks[] = {
	A("a_put_port", "inet_put_port", "tcp release", L_PUT),
	A("a_hashdance_schedule", "inet_twsk_hashdance_schedule", "time_wait", L_TW),
	A("a_hashdance", "inet_twsk_hashdance", "time_wait", L_TW),
	A("a_tw_unhash", "inet_twsk_bind_unhash", "time_wait end", L_TW_END),
	A("a_udp_unhash", "udp_lib_unhash", "udp release", L_UDP_END),
	A("a_udp_disconnect", "__udp_disconnect", "udp disconnect", L_UDP_OFF),
	A("a_udp_disconnect_enter", "__udp_disconnect", NULL, "whether a UDP port was closed or disconnected"),
	A("a_graft", "security_sock_graft", NULL, L_ACCEPT),
	A("a_get_port", "inet_csk_get_port", "tcp bind", L_BIND),
	A("a_hash_connect", "inet_hash_connect", "tcp connect", L_CONNECT),
	A("a_hash_connect6", "inet6_hash_connect", NULL, "IPv6 " L_CONNECT),
	A("a_udp_get_port", "udp_lib_get_port", "udp bind", L_UDP),
	A("a_inherit", "__inet_inherit_port", "tcp child", L_CHILD),
	A("a_bind", "inet_bind", NULL, L_WHY),
	A("a_bind6", "inet6_bind", NULL, "IPv6: " L_WHY),
	A("a_bind_enter", "inet_bind", NULL, L_UDP_ASK),
	A("a_bind6_enter", "inet6_bind", NULL, "IPv6: " L_UDP_ASK),
	A("a_dgram_connect", "inet_dgram_connect", NULL, L_UDP_ASK),

	B("b_put_port", "inet_put_port", "tcp release", L_PUT),
	B("b_hashdance_schedule", "inet_twsk_hashdance_schedule", "time_wait", L_TW),
	B("b_hashdance", "inet_twsk_hashdance", "time_wait", L_TW),
	B("b_tw_unhash", "inet_twsk_bind_unhash", "time_wait end", L_TW_END),
	B("b_udp_unhash", "udp_lib_unhash", "udp release", L_UDP_END),
	B("b_udp_disconnect", "__udp_disconnect", "udp disconnect", L_UDP_OFF),
	B("b_udp_disconnect_enter", "__udp_disconnect", "udp disconnect entry", L_UDP_OFF),
	B("b_graft", "security_sock_graft", NULL, L_ACCEPT),
	B("b_get_port", "inet_csk_get_port", "tcp bind", L_BIND),
	B("b_get_port_enter", "inet_csk_get_port", "tcp bind entry", L_BIND),
	B("b_hash_connect", "inet_hash_connect", "tcp connect", L_CONNECT),
	B("b_hash_connect_enter", "inet_hash_connect", "tcp connect entry", L_CONNECT),
	B("b_hash_connect6", "inet6_hash_connect", NULL, "IPv6 " L_CONNECT),
	B("b_hash_connect6_enter", "inet6_hash_connect", NULL, "IPv6 " L_CONNECT),
	B("b_inherit", "__inet_inherit_port", "tcp child", L_CHILD),
	B("b_inherit_enter", "__inet_inherit_port", "tcp child entry", L_CHILD),
	B("b_udp_get_port", "udp_lib_get_port", "udp bind", L_UDP),
	B("b_udp_get_port_enter", "udp_lib_get_port", "udp bind entry", L_UDP),
	B("b_bind", "inet_bind", NULL, L_WHY),
	B("b_bind6", "inet6_bind", NULL, "IPv6: " L_WHY),
	B("b_bind_enter", "inet_bind", NULL, L_UDP_ASK),
	B("b_bind6_enter", "inet6_bind", NULL, "IPv6: " L_UDP_ASK),
	B("b_dgram_connect", "inet_dgram_connect", NULL, L_UDP_ASK),

	C("c_set_state", HOOK_BPF, "sock:inet_sock_set_state", "tcp release", L_PUT),
	C("c_destroy_sock", HOOK_BPF, "tcp:tcp_destroy_sock", "tcp destroy", L_PUT),
	C("c_timer_start", HOOK_BPF, "timer:timer_start", "time_wait", L_TW),
	C("c_timer_cancel", HOOK_BPF, "timer:timer_cancel", "time_wait cancel", L_TW_END),
	C("c_timer_expire", HOOK_BPF, "timer:timer_expire_entry", "time_wait end", L_TW_END),
	C("c_sock_release", HOOK_CGROUP, "cgroup/sock_release", "udp release", L_UDP_END),
	C("c_exit", HOOK_SYSCALL, "syscalls/sys_exit_connect", "udp connect end", "UDP ports of connect"),
	C("c_exit", HOOK_SYSCALL, "syscalls/sys_exit_accept", NULL, L_ACCEPT),
	C("c_exit", HOOK_SYSCALL, "syscalls/sys_exit_accept4", NULL, L_ACCEPT),
	C("c_exit", HOOK_SYSCALL, "syscalls/sys_exit_bind", NULL, L_WHY),
	C("c_exit", HOOK_SYSCALL, "syscalls/sys_exit_listen", NULL, "why listen was refused"),
	C("c_bind4", HOOK_CGROUP, "cgroup/bind4", "bind intent", L_WHY),
	C("c_bind6", HOOK_CGROUP, "cgroup/bind6", NULL, "IPv6: " L_WHY),
	C("c_post_bind4", HOOK_CGROUP, "cgroup/post_bind4", "bind", "ports of bind"),
	C("c_post_bind6", HOOK_CGROUP, "cgroup/post_bind6", NULL, "IPv6 ports of bind"),
	C("c_sockops", HOOK_CGROUP, "sockops", "tcp connect", "TCP ports of connect and of listen without bind"),
	C("c_sendmsg4", HOOK_CGROUP, "cgroup/sendmsg4", "udp send", "UDP ports of the first send"),
	C("c_sendmsg6", HOOK_CGROUP, "cgroup/sendmsg6", NULL, "IPv6 UDP ports of the first send"),
	C("c_connect4", HOOK_CGROUP, "cgroup/connect4", "udp connect", "UDP ports of connect"),
	C("c_connect6", HOOK_CGROUP, "cgroup/connect6", NULL, "IPv6 UDP ports of connect"),

	{ "i_task_file", TIER_NONE, HOOK_ITER, "iter/task_file", "snapshot", "ports bound before the start, and owners" },
	{ "i_tcp", TIER_NONE, HOOK_ITER, "iter/tcp", "snapshot tcp", "TIME_WAIT and orphans from before the start" },
	{ "i_udp", TIER_NONE, HOOK_ITER, "iter/udp", NULL, "kernel UDP sockets from before the start" },
	{ "i_check", TIER_NONE, HOOK_ITER, "iter/bpf_map_elem", NULL, "the second look at held ports" },
	{ "i_pending", TIER_C, HOOK_ITER, "iter/bpf_map_elem", NULL, "UDP connect through io_uring" },
};
const size_t hooks_count = sizeof(hooks) / sizeof(hooks[0]);

const char *tier_name(enum tier t)
{
	static const char *const names[] = { "none", "a", "b", "c" };

	return names[t];
}

const char *tier_about(enum tier t)
{
	static const char *const about[] = {
		"no hooks",
		"fentry and fexit on the kernel's port allocator",
		"kprobes on the kernel's port allocator",
		"BTF tracepoints, cgroup programs and system call exits",
	};

	return about[t];
}

const char *hook_state_name(enum hook_state s)
{
	static const char *const names[] = { "unused", "live", "fallback", "missing" };

	return names[s];
}

const char *const *tier_misses(enum tier t)
{
	static const char *const none[] = { NULL };
	static const char *const c[] = {
		"accept through io_uring: the lease is seen, its owner is not",
		"bind and connect through io_uring: a refusal is not seen",
		"UDP send that got no port (EAGAIN): not seen",
		"UDP connect through io_uring: seen by a sweep, up to 2 s late",
		"UDP sockets closed by the kernel or by SOCK_DESTROY: their end is seen by a sweep, up to 2 s late",
		"listener of a connection that nobody accepted yet: not known",
		NULL,
	};

	return t == TIER_C ? c : none;
}
