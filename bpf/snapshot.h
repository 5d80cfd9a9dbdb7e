/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What is held already, and what is held no more.
 *
 * The hooks are attached first, then these iterators put on record what the
 * hooks could not see begin; an entry that a hook made in between is left as it
 * is, so nothing is missed and nothing counted twice.  Records go to the reader
 * through the iterator, not through the ring, which they could overflow.
 *
 * A release may slip between reading a socket and recording it.  i_check looks
 * at every entry again and ends those whose socket has twice been seen without
 * that port; it also finds the few ends that tier C's hooks do not see.
 */

#define SNAP_CANCEL_NS 1000000000ULL

/* A listener's child outside the ephemeral range is out of scope; anything bound or listening is not. */
static __always_inline bool snap_in_scope(struct sock *sk, __u8 state, bool in_range)
{
	if (cfg_scope_all || in_range || state == TCP_LISTEN)
		return true;
	return state != TCP_TIME_WAIT && sock_port_locked(sk);
}

/* What is written for one socket: both, or the first alone. */
struct snap_out {
	struct pl_rec rec;
	struct pl_sock_rec more;
};

/* What only someone who asks about one port wants to know. */
static __always_inline void snap_details(struct pl_sock_rec *r, struct sock *sk, const struct pl_lease *l)
{
	r->hdr.ts = l->start;
	r->hdr.size = sizeof(*r);
	r->hdr.kind = PL_REC_SOCK;
	r->lease = l->id;
	r->dev = BPF_CORE_READ(sk, __sk_common.skc_bound_dev_if);
	if (l->state == TCP_TIME_WAIT) {
		r->tw_expires = BPF_CORE_READ((struct inet_timewait_sock *)sk, tw_timer.expires);
		r->jiffies = bpf_jiffies64();
	} else {
		r->uid = BPF_CORE_READ(sk, sk_uid.val);
	}
}

/* As above, for what fits the lease. */
static __always_inline __u8 snap_sock_bits(struct sock *sk, __u8 state)
{
	__u8 locks, bits = 0;

	if (state == TCP_TIME_WAIT)
		return 0;
	locks = BPF_CORE_READ_BITFIELD_PROBED(sk, sk_userlocks);
	if (locks & SOCK_BINDPORT_LOCK)
		bits |= PL_S_LOCKED;
	if (locks & SOCK_CONNECT_BIND)
		bits |= PL_S_CONNECT;
	if (BPF_CORE_READ(sk, __sk_common.skc_flags) & (1UL << SOCK_DEAD_BIT))
		bits |= PL_S_ORPHAN;
	else if (!BPF_CORE_READ(sk, sk_socket))
		bits |= PL_S_QUEUED;
	return bits;
}

/* False when it is on record already, or cannot be put there. */
static __always_inline bool snap_record(struct seq_file *seq, __u64 key, struct snap_out *out, __u32 size)
{
	struct pl_lease *l = &out->rec.lease;
	int err;

	/* The chunk is full: this write makes the kernel end it and come back to the same object with the next. */
	if (BPF_CORE_READ(seq, count) + size >= BPF_CORE_READ(seq, size)) {
		bpf_seq_write(seq, out, size);
		return false;
	}
	err = lease_put(key, l, snapshot_again);
	if (err && err != -LINUX_EEXIST)
		snapshot_left = 1;
	if (err)
		return false;
	count(PL_STAT_OPEN);
	total(l->netns, PL_TOTAL_OPEN, proto_ix(l->proto));
	return true;
}

static __always_inline void snap_put(struct seq_file *seq, struct sock *sk, struct snap_out *out, bool filed)
{
	__u32 size = cfg_details ? sizeof(struct snap_out) : sizeof(struct pl_rec);
	struct pl_lease *l = &out->rec.lease;
	__u64 key = (__u64)sk;

	l->start = bpf_ktime_get_boot_ns();
	l->id = lease_id(l->start);
	l->flags |= PL_F_SNAPSHOT;
	if (!cfg_look && !snap_record(seq, key, out, size))
		return;
	l->cancelled = key;
	l->filed = filed;
	if (cfg_details) {
		l->sock |= snap_sock_bits(sk, l->state);
		snap_details(&out->more, sk, l);
	}
	out->rec.hdr.ts = l->start;
	out->rec.hdr.size = sizeof(out->rec);
	out->rec.hdr.kind = PL_REC_OPEN;
	bpf_seq_write(seq, out, size);
}

static __always_inline bool snap_wanted(const struct sock_head *head)
{
	__u16 num = HEAD(head, skc_num);

	return num >= cfg_port_lo && num <= cfg_port_hi;
}

/* The tables have mostly what files had; of files few are met twice. */
static __always_inline bool snap_known(struct sock *sk, struct task_struct *t)
{
	__u64 key = (__u64)sk;

	return !t && !cfg_look && bpf_map_lookup_elem(&holders, &key);
}

/* Of a socket in a table: a process has it open, or it lies in a message or a ring of io_uring. */
static __always_inline struct file *snap_filed(struct sock *sk)
{
	struct socket *sock = BPF_CORE_READ(sk, sk_socket);

	return sock ? BPF_CORE_READ(sock, file) : NULL;
}

/* `head` is that of `sk`; it is overwritten. */
static __always_inline void snap_sock(struct seq_file *seq, struct sock *sk, struct sock_head *head, __u8 proto, struct task_struct *t)
{
	struct snap_out out = {};
	struct pl_lease *l = &out.rec.lease;
	struct file *file = NULL;

	if (!HEAD(head, skc_num) || !snap_wanted(head) || snap_known(sk, t))
		return;
	l->state = HEAD(head, skc_state);
	sock_fill(l, head, proto);
	if (proto == IPPROTO_TCP && !snap_in_scope(sk, l->state, l->flags & PL_F_IN_RANGE))
		return;
	if (l->state == TCP_TIME_WAIT)
		l->flags |= PL_F_TIME_WAIT;
	else if (l->state == TCP_LISTEN)
		l->flags |= PL_F_LISTEN;
	/* A connected TCP socket may also have inherited its number: there the origin stays open. */
	if ((sock_is_udp(proto) || l->state == TCP_LISTEN) && !sock_port_locked(sk))
		l->flags |= PL_F_CHOSEN;
	if (t) {
		owner_load(l, t);
		owner_name(l, t);
		l->owner_src = PL_OWNER_SNAPSHOT;
	} else if (l->state != TCP_TIME_WAIT && BPF_CORE_READ_BITFIELD_PROBED(sk, sk_kern_sock)) {
		l->owner_src = PL_OWNER_KERNEL;
	} else if (l->state != TCP_TIME_WAIT) {
		file = snap_filed(sk);
		/*
		 * UDP gives the port back before it leaves the table: its end has been told, and will not be again.  TCP may
		 * linger in close(), with its port.
		 */
		if (file && proto != IPPROTO_TCP && compat_file_closing(file))
			return;
	}
	snap_put(seq, sk, &out, file);
}

/* As file_sock(), by plain loads where the verifier knows the pointer; most files are told apart without a call. */
static __always_inline struct sock *snap_file_sock(struct file *file)
{
	struct socket *sock;

	if ((file->f_inode->i_mode & S_IFMT) != S_IFSOCK)
		return NULL;
	sock = file->private_data;
	return sock ? BPF_CORE_READ(sock, sk) : NULL;
}

/*
 * Who asks for one port reads no more of all other sockets than their first lines.
 * An MPTCP connection has the number of its first subflow, or none yet.
 */
SEC("iter/task_file")
int i_task_file(struct bpf_iter__task_file *ctx)
{
	struct task_struct *t = ctx->task;
	struct file *file = ctx->file;
	struct sock_head head;
	struct sock *sk;
	__u8 proto;

	if (!t || !file)
		return 0;
	sk = snap_file_sock(file);
	if (!sk)
		return 0;
	sock_look(&head, sk);
	if ((HEAD(&head, skc_num) && !snap_wanted(&head)) || !sock_has_ports(HEAD(&head, skc_family), BPF_CORE_READ(sk, sk_type)))
		return 0;
	if (BPF_CORE_READ(sk, sk_protocol) == IPPROTO_MPTCP && bpf_core_type_exists(struct mptcp_sock)) {
		sk = BPF_CORE_READ((struct mptcp_sock *)sk, first);
		if (!sk)
			return 0;
		sock_look(&head, sk);
	}
	proto = sock_port_proto(sk);
	if (proto)
		snap_sock(ctx->meta->seq, sk, &head, proto, t);
	return 0;
}

SEC("iter/tcp")
int i_tcp(struct bpf_iter__tcp *ctx)
{
	struct sock *sk = (struct sock *)ctx->sk_common;
	struct sock_head head;

	if (!sk)
		return 0;
	sock_look(&head, sk);
	if (HEAD(&head, skc_state) != TCP_NEW_SYN_RECV)
		snap_sock(ctx->meta->seq, sk, &head, IPPROTO_TCP, NULL);
	return 0;
}

SEC("iter/udp")
int i_udp(struct bpf_iter__udp *ctx)
{
	struct sock *sk = (struct sock *)ctx->udp_sk;
	struct sock_head head;
	__u8 proto;

	if (!sk)
		return 0;
	sock_look(&head, sk);
	proto = sock_port_proto(sk);
	if (proto)
		snap_sock(ctx->meta->seq, sk, &head, proto, NULL);
	return 0;
}

/* What a TIME_WAIT socket leaves in its memory is its number, but not its place at the port: inet_twsk_bind_unhash(). */
static __always_inline bool snap_tw_gone(const struct pl_lease *held, __u64 tw)
{
	return held->flags & PL_F_TIME_WAIT && !BPF_CORE_READ((struct inet_timewait_sock *)tw, tw_tb) &&
	       bpf_ktime_get_boot_ns() - held->closed > SNAP_CANCEL_NS;	/* it is not there at once */
}

/*
 * Not the first time that it is seen so: a socket gives its port back a moment before the hook that tells of it, and that
 * hook knows more.  The reader looks a second time as soon as something is suspected.
 */
static __always_inline bool snap_suspected(struct pl_lease *held)
{
	bool known = held->filed;

	held->filed = 1;
	suspects |= !known;
	return known;
}

SEC("iter/bpf_map_elem")
int i_check(struct bpf_iter__bpf_map_elem *ctx)
{
	struct pl_lease *held = ctx->value;
	__u64 *key = ctx->key;
	bool just_found;
	__u64 addr;

	if (!key || !held)
		return 0;
	addr = *key;
	/* Stopped at the very moment of its expiry: neither the expiry nor a second look follows. */
	if (held->cancelled && bpf_ktime_get_boot_ns() - held->cancelled > SNAP_CANCEL_NS) {
		lease_end(addr, PL_REASON_TIME_WAIT, held->cancelled, held->id);
		return 0;
	}
	if (sock_num((struct sock *)addr) == held->lport && !snap_tw_gone(held, addr) &&
	    BPF_CORE_READ((struct sock *)addr, __sk_common.skc_net.net, ns.inum) == held->netns)
		return 0;
	just_found = lease_just_found(held);
	if (!snap_suspected(held) || !lease_end(addr, PL_REASON_LOST, 0, held->id))
		return 0;
	count(PL_STAT_STALE);
	if (just_found)
		count(PL_STAT_GONE);
	return 0;
}

/* Far longer than a connect() may wait between the hook and the port. */
#define SNAP_PENDING_NS 60000000000ULL

/* Tier C: UDP connects through io_uring, which no system call's return resolved, and those that never came to a port. */
SEC("iter/bpf_map_elem")
int i_pending(struct bpf_iter__bpf_map_elem *ctx)
{
	struct pl_lease *asked = ctx->value;
	__u64 *key = ctx->key;
	__u64 addr;

	if (!key || !asked)
		return 0;
	addr = *key;
	if (sock_num((struct sock *)addr))
		c_pending_done(addr, 0);
	else if (bpf_ktime_get_boot_ns() - asked->start > SNAP_PENDING_NS)
		bpf_map_delete_elem(&pendings, &addr);
	return 0;
}
