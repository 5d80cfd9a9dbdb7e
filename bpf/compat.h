/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Every difference between kernels that the programs must know, each asked of
 * the running kernel's BTF; no version is ever compared.
 */
#ifndef PORTLIFE_BPF_COMPAT_H
#define PORTLIFE_BPF_COMPAT_H

/*
 * The verifier of old kernels takes only numbers as arguments of a global
 * function.  This is `ptr` as a number, also where the verifier knows it as a
 * pointer to something.
 */
static __always_inline __u64 plain(const void *ptr)
{
	const void *in = ptr;
	__u64 out = 0;

	bpf_probe_read_kernel(&out, sizeof(out), &in);
	return out;
}

/* d9f28735af87 ("tcp/dccp: lockless inet_csk_get_port...", 6.8): int[2] became one u32, hi << 16 | lo. */
struct local_ports___u32 {
	__u32 range;
} __attribute__((preserve_access_index));
struct netns_ipv4___u32 {
	struct local_ports___u32 ip_local_ports;
} __attribute__((preserve_access_index));
struct net___u32 {
	struct netns_ipv4___u32 ipv4;
} __attribute__((preserve_access_index));

/* 633488947ef6 ("kernfs: Use RCU to access kernfs_node::parent", 6.15): renamed. */
struct kernfs_node___rcu {
	struct kernfs_node *__parent;
} __attribute__((preserve_access_index));

static __always_inline __u64 compat_kernfs_parent_at(void)
{
	if (bpf_core_field_exists(struct kernfs_node___rcu, __parent))
		return bpf_core_field_offset(struct kernfs_node___rcu, __parent);
	return bpf_core_field_offset(struct kernfs_node, parent);
}

/* dd6e10fbd9fb ("bpf: Add bpf_task_pt_regs() helper", 5.15). */
enum bpf_func_id___regs {
	BPF_FUNC_task_pt_regs___regs = 175,
};

/*
 * The registers with which `current` entered its system call, in a tracepoint
 * program.  Older kernels leave their address in front of the program's context;
 * newer ones put those of the tracepoint there, but have the helper.
 */
static __always_inline struct pt_regs *compat_syscall_regs(void *ctx)
{
	struct pt_regs *regs = NULL;

	if (bpf_core_enum_value_exists(enum bpf_func_id___regs, BPF_FUNC_task_pt_regs___regs))
		return (void *)bpf_task_pt_regs(bpf_get_current_task_btf());
	bpf_probe_read_kernel(&regs, sizeof(regs), ctx);
	return regs;
}

/* The range is stored as two ints or as one word: the size of local_ports.range tells. */
static __always_inline void compat_port_range(struct net *net, __u16 *lo, __u16 *hi)
{
	struct net___u32 *word = (void *)net;

	if (bpf_core_field_exists(word->ipv4.ip_local_ports.range)) {
		__u32 range = BPF_CORE_READ(word, ipv4.ip_local_ports.range);

		*lo = range & 0xffff;
		*hi = range >> 16;
	} else {
		int range[2] = {};

		bpf_core_read(range, sizeof(range), &net->ipv4.ip_local_ports.range);
		*lo = range[0];
		*hi = range[1];
	}
}

/* 91d0b78c5177 ("inet: Add IP_LOCAL_PORT_RANGE socket option", 6.3): two halves, one word since 6.8. */
struct inet_sock___halves {
	struct { __u16 lo, hi; } local_port_range;
} __attribute__((preserve_access_index));
struct inet_sock___word {
	__u32 local_port_range;
} __attribute__((preserve_access_index));

/* The socket's own range, hi << 16 | lo; 0: none, or a kernel without. */
static __always_inline __u32 compat_sock_range(void *sk)
{
	struct inet_sock___halves *halves = sk;
	struct inet_sock___word *word = sk;

	if (bpf_core_field_exists(word->local_port_range))
		return BPF_CORE_READ(word, local_port_range);
	if (bpf_core_field_exists(halves->local_port_range))
		return (__u32)BPF_CORE_READ(halves, local_port_range.hi) << 16 | BPF_CORE_READ(halves, local_port_range.lo);
	return 0;
}

#endif
