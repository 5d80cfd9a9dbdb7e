/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The choice of hooks as data: every program of the object, the tier that it
 * belongs to, what it hangs on, and what is lost without it.  The loader and
 * `doctor` read the same table.
 */
#ifndef PORTLIFE_KERN_HOOKS_H
#define PORTLIFE_KERN_HOOKS_H

#include <stdbool.h>
#include <stddef.h>

enum tier { TIER_NONE, TIER_A, TIER_B, TIER_C };

/* How a program is attached. */
enum hook_how {
	HOOK_BPF,	/* fentry, fexit, kprobe, tp_btf: libbpf knows from the section */
	HOOK_CGROUP,	/* to the cgroup v2 root */
	HOOK_SYSCALL,	/* a tracepoint of tracefs, `target` its "group/name" */
	HOOK_ITER,	/* opened when a snapshot is taken */
};

struct hook {
	const char *prog;	/* name of the program in the object; one may serve several hooks */
	enum tier tier;		/* TIER_NONE: all tiers */
	enum hook_how how;
	const char *target;	/* kernel function, tracepoint or attach point */
	/*
	 * Programs of one tier with the same `need` serve the same need: at least
	 * one must live.  NULL: optional.
	 */
	const char *need;
	const char *lost;	/* what is not seen without it */
};

enum hook_state { HOOK_UNUSED, HOOK_LIVE, HOOK_FALLBACK, HOOK_MISSING };

struct hook_status {
	enum hook_state state;
	int err;		/* negative errno of a missing one, 0: not in this kernel */
};

extern const struct hook hooks[];
extern const size_t hooks_count;

/* "a", "b", "c", "none"; never NULL. */
const char *tier_name(enum tier t);
/* What the tier is, for people. */
const char *tier_about(enum tier t);
const char *hook_state_name(enum hook_state s);

/* What a tier cannot see although all its hooks live; NULL-terminated list. */
const char *const *tier_misses(enum tier t);

#endif
