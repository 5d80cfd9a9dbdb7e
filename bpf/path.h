/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Executable and cgroup paths, told once, from the kernel's own trees, while
 * the process is certainly alive: a process that lives for a millisecond is
 * gone before anybody could read its /proc entry.
 */
#ifndef PORTLIFE_BPF_PATH_H
#define PORTLIFE_BPF_PATH_H

#define PATH_NAME_MAX	256	/* NAME_MAX and its NUL */
#define PATH_DEPTH	32

/* Appends one name; false when the record is full. */
static __always_inline bool path_append(struct pl_path_rec *r, const void *name)
{
	__u32 off = r->len;
	long n;

	if (off > PL_PATH_MAX - PATH_NAME_MAX)
		return false;
	n = bpf_probe_read_kernel_str(&r->data[off], PATH_NAME_MAX, name);
	if (n <= 0)
		return false;
	r->len = off + n;
	return true;
}

#define PATH_READ(word, at) (bpf_probe_read_kernel(&(word), sizeof(word), (void *)(at)), word)

static __always_inline __u64 path_word(__u64 at)
{
	__u64 word = 0;

	bpf_probe_read_kernel(&word, sizeof(word), (void *)at);
	return word;
}

/*
 * Tells the path of `node`: a dentry, of the executable `id` of the process, if
 * `mnt` is its mount; else the kernfs node of the cgroup `id`.  As d_path():
 * climbs, and goes over to the mount above where a mount's root is reached.
 *
 * A global function, because the verifier walks through one only once a program,
 * whatever calls it; and one walk for both trees.  This loop was nine tenths of
 * the time that portlife took to start.  Old verifiers lose track of a
 * reservation that is tested for NULL twice, so it is tested once, where it is made.
 */
__noinline int path_tell(__u64 id, __u64 proc_start, __u64 tgid, __u64 node, __u64 mnt)
{
	struct pl_path_rec *r = bpf_ringbuf_reserve(&events, sizeof(*r), 0);
	__u32 up_at = mnt ? bpf_core_field_offset(struct dentry, d_parent) : compat_kernfs_parent_at();
	__u32 name_at = mnt ? bpf_core_field_offset(struct dentry, d_name.name) : bpf_core_field_offset(struct kernfs_node, name);
	__u64 at = up_at | (__u64)name_at << 32;
	__u64 word = 0, up, root = 0;	/* one word that all reads share: stack is scarce */
	int i;

	if (!r) {
		count(PL_STAT_RING(PL_REC_PATH));
		return -1;
	}
	barrier_var(at);
	r->hdr.ts = bpf_ktime_get_boot_ns();
	r->hdr.size = sizeof(*r);
	r->hdr.kind = PL_REC_PATH;
	r->hdr.reason = 0;
	r->hdr.err = 0;
	r->id = id;
	r->proc_start = proc_start;
	r->tgid = tgid;
	r->len = 0;
	r->what = mnt ? PL_PATH_EXE : PL_PATH_CGROUP;
	r->cut = 1;
	if (mnt)
		root = PATH_READ(word, mnt + bpf_core_field_offset(struct mount, mnt.mnt_root));
#pragma unroll
	for (i = 0; i < PATH_DEPTH; i++) {
		if (mnt && node == root) {
			node = PATH_READ(word, mnt + bpf_core_field_offset(struct mount, mnt_mountpoint));
			PATH_READ(word, mnt + bpf_core_field_offset(struct mount, mnt_parent));
			if (word == mnt) {
				r->cut = 0;
				break;
			}
			mnt = word;
			root = PATH_READ(word, mnt + bpf_core_field_offset(struct mount, mnt.mnt_root));
			continue;
		}
		PATH_READ(word, node + (__u32)at);
		/* The root of the tree, or one that no mount covers: memfd, or detached. */
		if (!word || word == node) {
			r->cut = 0;
			break;
		}
		up = word;
		barrier_var(r);	/* or the compiler keeps the addresses of its fields on the stack */
		if (!path_append(r, (void *)PATH_READ(word, node + (at >> 32))))
			break;
		node = up;
	}
	bpf_ringbuf_submit(r, emit_flags());
	return 0;
}

/* Told now or before; false: it did not fit the ring. */
static __always_inline bool path_tell_once(__u64 id, __u64 proc_start, __u64 tgid, __u64 node, __u64 mnt)
{
	struct told_key key = { .id = id, .proc_start = proc_start, .tgid = tgid };
	__u8 one = 1;

	if (bpf_map_lookup_elem(&told, &key))
		return true;
	if (path_tell(id, proc_start, tgid, node, mnt))
		return false;
	bpf_map_update_elem(&told, &key, &one, BPF_ANY);
	return true;
}

/* Whether this CPU was the last to tell both names, or to see that they were told. */
static __always_inline bool path_recent(const struct pl_lease *l)
{
	__u32 slot = l->tgid % RECENT_SLOTS;
	struct recent *r = bpf_map_lookup_elem(&recents, &slot);

	return r && r->tgid == l->tgid && r->proc_start == l->proc_start && r->exe == l->exe && r->cgroup == l->cgroup;
}

/*
 * An interrupt may write the same slot in our midst.  That makes no harm: what
 * it wrote was told as well, and a mixture names no process that exists.
 */
static __always_inline void path_set_recent(const struct pl_lease *l)
{
	__u32 slot = l->tgid % RECENT_SLOTS;
	struct recent *r = bpf_map_lookup_elem(&recents, &slot);

	if (!r)
		return;
	r->tgid = l->tgid;
	r->proc_start = l->proc_start;
	r->exe = l->exe;
	r->cgroup = l->cgroup;
}

/*
 * `exe` is the struct file of the executable or NULL.  What goes to path_tell()
 * is read anew: it takes numbers, not pointers that the verifier knows.
 */
static __always_inline void path_tell_origin(const struct pl_lease *l, struct file *exe, struct cgroup *cgroup)
{
	bool told_exe = true, told_cgroup = true;

	if (exe) {
		__u64 mnt = path_word((__u64)exe + bpf_core_field_offset(struct file, f_path.mnt));
		__u64 dentry = path_word((__u64)exe + bpf_core_field_offset(struct file, f_path.dentry));

		mnt -= bpf_core_field_offset(struct mount, mnt);
		told_exe = path_tell_once(l->exe, l->proc_start, l->tgid, dentry, mnt);
	}
	if (l->cgroup) {
		__u64 kn = path_word((__u64)cgroup + bpf_core_field_offset(struct cgroup, kn));

		told_cgroup = path_tell_once(l->cgroup, 0, 0, kn, 0);
	}
	if (told_exe && told_cgroup)
		path_set_recent(l);
}

#endif
