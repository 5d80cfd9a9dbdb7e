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

/*
 * A walk in the midst, under the task that walks: its record, where it is, and
 * the fields that lead on.  It lies in a table so that a step can be a function
 * of its own, which the verifier walks through once and not once for each step.
 */
struct path_walk {
	__u64 node, mnt, root;	/* before the first step where the first two lie; mnt 0: a cgroup */
	__u32 up_at, name_at;	/* up_at 0: before the first step */
	struct pl_path_rec rec;
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, PL_WALKS_MAX);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, __u64);	/* struct task_struct: not every program may ask for the pid */
	__type(value, struct path_walk);
} walks SEC(".maps");

/* No part of the skeleton, which knows no such type. */
static const struct path_walk no_walk = {};
static const __u8 yes = 1;

static __always_inline __u64 path_word(__u64 at)
{
	__u64 word = 0;

	bpf_probe_read_kernel(&word, sizeof(word), (void *)at);
	return word;
}

/* Appends one name; false when the record is full. */
static __always_inline bool path_append(struct pl_path_rec *r, __u64 name)
{
	__u32 off = r->len;
	long n;

	if (off > PL_PATH_MAX - PATH_NAME_MAX)
		return false;
	n = bpf_probe_read_kernel_str(&r->data[off], PATH_NAME_MAX, (void *)name);
	if (n <= 0)
		return false;
	r->len = off + n;
	return true;
}

/* Whether the reader was told of it. */
__noinline int path_told(__u64 id, __u64 proc_start, __u64 tgid)
{
	struct told_key key = { .id = id, .proc_start = proc_start, .tgid = tgid };

	return bpf_map_lookup_elem(&told, &key) != NULL;
}

/* Begins a walk at the node whose pointer lies `at`; `mnt_at`: where that of its mount lies, 0: a kernfs node. */
__noinline int path_begin(__u64 id, __u64 proc_start, __u64 tgid, __u64 at, __u64 mnt_at)
{
	__u64 who = bpf_get_current_task();
	struct path_walk *w;

	bpf_map_update_elem(&walks, &who, &no_walk, BPF_ANY);
	w = bpf_map_lookup_elem(&walks, &who);
	if (!w)
		return 0;
	w->rec.id = id;
	w->rec.proc_start = proc_start;
	w->rec.tgid = tgid;
	w->rec.what = mnt_at ? PL_PATH_EXE : PL_PATH_CGROUP;
	w->rec.cut = 1;
	w->node = at;
	w->mnt = mnt_at;
	return 1;
}

static __always_inline void path_first_step(struct path_walk *w)
{
	w->node = path_word(w->node);
	if (w->mnt) {
		w->mnt = path_word(w->mnt) - bpf_core_field_offset(struct mount, mnt);
		w->root = path_word(w->mnt + bpf_core_field_offset(struct mount, mnt.mnt_root));
		w->up_at = bpf_core_field_offset(struct dentry, d_parent);
		w->name_at = bpf_core_field_offset(struct dentry, d_name.name);
	} else {
		w->up_at = compat_kernfs_parent_at();
		w->name_at = bpf_core_field_offset(struct kernfs_node, name);
	}
}

/*
 * One step up, as d_path(): to the parent, or where a mount's root is reached to
 * the mount above.  1: there is more to come.
 */
__noinline int path_step(void)
{
	__u64 who = bpf_get_current_task(), up, mnt;
	struct path_walk *w = bpf_map_lookup_elem(&walks, &who);

	if (!w)
		return 0;
	if (!w->up_at)
		path_first_step(w);
	mnt = w->mnt;
	if (mnt && w->node == w->root) {
		up = path_word(mnt + bpf_core_field_offset(struct mount, mnt_parent));
		if (up == mnt) {
			w->rec.cut = 0;
			return 0;
		}
		w->node = path_word(mnt + bpf_core_field_offset(struct mount, mnt_mountpoint));
		w->mnt = up;
		w->root = path_word(up + bpf_core_field_offset(struct mount, mnt.mnt_root));
		return 1;
	}
	up = path_word(w->node + w->up_at);
	/* The root of the tree, or one that no mount covers: memfd, or detached. */
	if (!up || up == w->node) {
		w->rec.cut = 0;
		return 0;
	}
	if (!path_append(&w->rec, path_word(w->node + w->name_at)))
		return 0;
	w->node = up;
	return 1;
}

/* Tells what the walk has found; 0: it could not be told. */
__noinline int path_send(void)
{
	__u64 who = bpf_get_current_task();
	struct path_walk *w = bpf_map_lookup_elem(&walks, &who);

	if (!w)
		return 0;
	w->rec.hdr.ts = bpf_ktime_get_boot_ns();
	w->rec.hdr.size = sizeof(w->rec);
	w->rec.hdr.kind = PL_REC_PATH;
	return !bpf_ringbuf_output(&events, &w->rec, sizeof(w->rec), emit_flags(0));
}

/* Ends the walk; `sent`: the reader was told. */
__noinline int path_end(__u64 sent)
{
	__u64 who = bpf_get_current_task();
	struct path_walk *w = bpf_map_lookup_elem(&walks, &who);

	if (w && sent) {
		struct told_key key = { .id = w->rec.id, .proc_start = w->rec.proc_start, .tgid = w->rec.tgid };

		bpf_map_update_elem(&told, &key, &yes, BPF_ANY);
	}
	bpf_map_delete_elem(&walks, &who);
	return sent;
}

/*
 * Tells the name of an executable or a cgroup, unless it was told before; see
 * path_begin().  0: it could not be told.  Small functions side by side, because
 * old kernels give a chain of calls 512 bytes of stack.
 */
__noinline int path_tell_once(__u64 id, __u64 proc_start, __u64 tgid, __u64 at, __u64 mnt_at)
{
	if (path_told(id, proc_start, tgid))
		return 1;
	if (path_begin(id, proc_start, tgid, at, mnt_at))
		for (int i = 0; i < PATH_DEPTH; i++)
			if (!path_step())
				break;
	if (path_end(path_send()))
		return 1;
	count(PL_STAT_RING(PL_REC_PATH));
	return 0;
}

static __always_inline struct recent *path_recent(__u64 tgid)
{
	__u32 slot = tgid % RECENT_SLOTS;

	return bpf_map_lookup_elem(&recents, &slot);
}

/*
 * Tells the names of executable and cgroup of `task`, whose ids are given, where
 * this CPU was not the last to tell them or to see that they were told.
 *
 * An interrupt may write the same slot in our midst.  That makes no harm: what
 * it wrote was told as well, and a mixture names no process that exists.
 */
__noinline int path_tell_origin(__u64 task, __u64 tgid, __u64 proc_start, __u64 exe, __u64 cgroup)
{
	struct recent *r = path_recent(tgid);
	struct task_struct *t = (void *)task;
	__u64 at;

	if (r && r->tgid == tgid && r->proc_start == proc_start && r->exe == exe && r->cgroup == cgroup)
		return 0;
	at = (__u64)BPF_CORE_READ(t, mm, exe_file) + bpf_core_field_offset(struct file, f_path);
	if (exe && !path_tell_once(exe, proc_start, tgid, at + bpf_core_field_offset(struct path, dentry),
				   at + bpf_core_field_offset(struct path, mnt)))
		return 0;
	at = (__u64)BPF_CORE_READ(t, cgroups, dfl_cgrp) + bpf_core_field_offset(struct cgroup, kn);
	if (cgroup && !path_tell_once(cgroup, 0, 0, at, 0))
		return 0;
	r = path_recent(tgid);	/* anew, for old kernels give a chain of calls little stack */
	if (!r)
		return 0;
	r->tgid = tgid;
	r->proc_start = proc_start;
	r->exe = exe;
	r->cgroup = cgroup;
	return 0;
}

#endif
