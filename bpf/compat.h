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
 * pointer to something: of what is negated it no longer thinks that it is one.
 */
static __always_inline __u64 plain(const void *ptr)
{
	__u64 out = (__u64)ptr;

	asm volatile("%0 = -%0; %0 = -%0" : "+r"(out));
	return out;
}

/*
 * a35b9af4ec2c ("bpf: Add a kfunc for generic type cast", 6.2): a number becomes a
 * pointer to a struct that the verifier knows.  What it points to is then read by
 * a plain load, where a helper takes some 20 ns; a pointer that leads nowhere reads
 * as 0 either way.  The loader puts the number of the function in the place of the
 * mark, for libbpf would read all of the kernel's types to find it.
 */
static __always_inline void *typed(__u64 ptr, __u32 type)
{
	void *out = (void *)ptr;

	if (cfg_typed)
		asm volatile("r1 = %1; r2 = %2; .8byte %3; %0 = r0"
			     : "=r"(out) : "r"(ptr), "r"(type), "i"(PL_CAST_MARK) : "r0", "r1", "r2", "r3", "r4", "r5");
	return out;
}

static __always_inline struct sock *typed_sock(__u64 sk)
{
	return typed(sk, cfg_type_sock);
}

static __always_inline struct tcp_sock *typed_tcp(__u64 sk)
{
	return typed(sk, cfg_type_tcp_sock);
}

static __always_inline struct task_struct *typed_task(__u64 task)
{
	return typed(task, cfg_type_task);
}

static __always_inline struct file *typed_file(__u64 file)
{
	return typed(file, cfg_type_file);
}

static __always_inline struct socket *typed_socket(__u64 sock)
{
	return typed(sock, cfg_type_socket);
}

/* What lies behind a pointer that typed_*() gave, or behind one that was read through it. */
#define READ(ptr, ...)                                                       \
	({                                                                   \
		typeof(ptr) from = (ptr);                                    \
		___type(from, __VA_ARGS__) value;                            \
		if (cfg_typed)                                               \
			value = ___arrow(from, __VA_ARGS__);                 \
		else                                                         \
			value = BPF_CORE_READ(from, __VA_ARGS__);            \
		value;                                                       \
	})
#define READ_BITS(ptr, field)                                                                                             \
	({                                                                                                                \
		typeof(ptr) from = (ptr);                                                                                 \
		cfg_typed ? BPF_CORE_READ_BITFIELD(from, field) : BPF_CORE_READ_BITFIELD_PROBED(from, field);             \
	})

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
		__u32 range = READ(word, ipv4.ip_local_ports.range);

		*lo = range & 0xffff;
		*hi = range >> 16;
	} else {
		*lo = READ(net, ipv4.ip_local_ports.range[0]);
		*hi = READ(net, ipv4.ip_local_ports.range[1]);
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

/* 90ee6ed776c0 ("fs: port files to file_ref", 6.13): users without the first, below 0 when there is none; before, users. */
struct file___ref {
	struct { struct { long counter; } refcnt; } f_ref;
} __attribute__((preserve_access_index));
struct file___count {
	struct { long counter; } f_count;
} __attribute__((preserve_access_index));

/* Nobody has it open any more: it is being closed. */
static __always_inline bool compat_file_closing(void *file)
{
	struct file___count *count = file;
	struct file___ref *ref = file;

	if (bpf_core_field_exists(ref->f_ref))
		return BPF_CORE_READ(ref, f_ref.refcnt.counter) < 0;
	return bpf_core_field_exists(count->f_count) && !BPF_CORE_READ(count, f_count.counter);
}

#endif
