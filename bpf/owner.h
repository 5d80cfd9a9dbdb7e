/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Who asked: read from `current`, and only in hooks that run in the asking
 * task's context.  Read from the task by hand rather than by helpers, since the
 * helpers differ between program types and the fields do not.  Executable and
 * cgroup: by id in the lease, by name once in the ring.
 */
#ifndef PORTLIFE_BPF_OWNER_H
#define PORTLIFE_BPF_OWNER_H

/*
 * pid .. group_leader are neighbours in struct task_struct, on every kernel
 * since long before the oldest that portlife runs on: one read instead of four,
 * into the room of a socket's head, for stack is scarce.  The verifier holds the
 * offsets against the size.
 */
#define TASK_IDS 80

/* The distance is kept apart from the pointer: the verifier lets nothing be subtracted from one. */
#define TASK_ID(room, field)                                                                              \
	({                                                                                                \
		__u64 at = bpf_core_field_offset(struct task_struct, field) - bpf_core_field_offset(struct task_struct, pid); \
		barrier_var(at);                                                                          \
		*(typeof(((struct task_struct *)0)->field) *)((char *)(room) + at);                         \
	})

static __always_inline void owner_read_ids(struct pl_lease *l, struct task_struct *t, void *room)
{
	struct task_struct *parent, *leader;

	bpf_core_read(room, TASK_IDS, &t->pid);
	l->tid = TASK_ID(room, pid);
	l->tgid = TASK_ID(room, tgid);
	parent = TASK_ID(room, real_parent);
	leader = TASK_ID(room, group_leader);
	l->ppid = BPF_CORE_READ(parent, tgid);
	l->proc_start = BPF_CORE_READ(leader, start_boottime);
}

/* Through a helper: where the verifier does not know the pointer.  The cgroup may be known already. */
static __always_inline void owner_probe(struct pl_lease *l, struct task_struct *t, void *room)
{
	owner_read_ids(l, t, room);
	l->uid = BPF_CORE_READ(t, cred, uid.val);
	l->exe = BPF_CORE_READ(t, mm, exe_file, f_inode, i_ino);	/* 0 where there is none: what lies low is not read */
	if (!l->cgroup)
		l->cgroup = BPF_CORE_READ(t, cgroups, dfl_cgrp, kn, id);
}

/* The same by plain loads, which cost next to nothing. */
static __always_inline void owner_load(struct pl_lease *l, struct task_struct *t)
{
	struct file *exe = t->mm->exe_file;

	l->tid = t->pid;
	l->tgid = t->tgid;
	l->ppid = t->real_parent->tgid;
	l->proc_start = t->group_leader->start_boottime;
	l->uid = t->cred->uid.val;
	if (exe)
		l->exe = exe->f_inode->i_ino;
	l->cgroup = t->cgroups->dfl_cgrp->kn->id;
}

static __always_inline void owner_name(struct pl_lease *l, struct task_struct *t)
{
	__u64 *comm = (__u64 *)l->comm;

	if (cfg_typed) {	/* the kernel keeps it padded with NUL */
		comm[0] = *(__u64 *)&t->comm;
		comm[1] = *((__u64 *)&t->comm + 1);
	} else {
		bpf_probe_read_kernel_str(l->comm, sizeof(l->comm), &((struct task_struct *)plain(t))->comm);
	}
	path_tell_origin(plain(t), l->tgid, l->proc_start, l->exe, l->cgroup);
}

static __always_inline void owner_copy(struct pl_lease *to, const struct pl_lease *from)
{
	to->proc_start = from->proc_start;
	to->exe = from->exe;
	to->cgroup = from->cgroup;
	to->tgid = from->tgid;
	to->tid = from->tid;
	to->ppid = from->ppid;
	to->uid = from->uid;
	__builtin_memcpy(to->comm, from->comm, sizeof(to->comm));
}

/* The connection that an MPTCP subflow belongs to, or 0. */
__noinline __u64 owner_msk(__u64 sk)
{
	struct inet_connection_sock *icsk = (void *)sk;
	struct tcp_sock *tp = typed_tcp(sk);
	struct mptcp_subflow_context *ctx;

	if (!bpf_core_type_exists(struct mptcp_subflow_context) || !bpf_core_field_exists(tp->is_mptcp))
		return 0;
	if (!READ_BITS(tp, is_mptcp))
		return 0;
	ctx = BPF_CORE_READ(icsk, icsk_ulp_data);
	return ctx ? (__u64)BPF_CORE_READ(ctx, conn) : 0;
}

/* The first subflow is there before it has a port; it stays the first when it has none any more. */
static __always_inline __u64 owner_msk_first(__u64 msk)
{
	return bpf_core_type_exists(struct mptcp_sock) ? (__u64)BPF_CORE_READ((struct mptcp_sock *)msk, first) : 0;
}

/*
 * Further subflows are added by a worker of the kernel's, or on behalf of who set up another address: it is his who
 * connected.  Of a connection from before the start its first subflow tells, as long as it has a port; else nobody is known.
 */
static __always_inline void owner_of_msk(struct pl_lease *l, __u64 msk, __u64 first)
{
	struct pl_lease *known = bpf_map_lookup_elem(&holders, &first);

	if (!known) {
		known = bpf_map_lookup_elem(&msks, &msk);
		if (known && known->cancelled != first)
			known = NULL;	/* of another connection at this address */
	}
	l->cgroup = 0;
	if (!known || !known->tgid)
		return;
	owner_copy(l, known);
	l->owner_src = PL_OWNER_MSK;
}

/* `current` asked for the port of `sk`.  `room` is overwritten; the cgroup in `l` is its, or 0. */
static __always_inline void owner_fill_current(struct pl_lease *l, struct sock *sk, void *room)
{
	struct task_struct *t = typed_task(bpf_get_current_task());
	struct sock *known = typed_sock((__u64)sk);
	__u64 msk = l->proto == IPPROTO_TCP ? owner_msk((__u64)sk) : 0;
	__u64 first = msk ? owner_msk_first(msk) : 0;

	if (first && first != (__u64)sk) {
		owner_of_msk(l, msk, first);
		return;
	}
	if (cfg_typed)
		owner_load(l, t);
	else
		owner_probe(l, t, room);
	owner_name(l, t);
	l->owner_src = PL_OWNER_PROCESS;
	if (msk) {
		l->cancelled = first;
		bpf_map_update_elem(&msks, &msk, l, BPF_ANY);
		l->cancelled = 0;
	} else if (READ_BITS(known, sk_kern_sock)) {
		l->owner_src = PL_OWNER_KERNEL;
	}
}

#endif
