/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What this machine is and allows, apart from the hooks: for `doctor`, and for
 * a clear word when something is missing.
 */
#ifndef PORTLIFE_KERN_HOST_H
#define PORTLIFE_KERN_HOST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include "base/ports.h"

struct host {
	char release[65], machine[65];	/* uname(2) */
	char lockdown[32];		/* "none", "integrity", "confidentiality", "unknown" */
	bool btf, kprobes, tracefs, cgroup2;
};

/* Fills in what can be found out; what cannot is false or "unknown". */
void host_look(struct host *h);

/* A capability that portlife uses, and whether this process has it in effect. */
struct host_cap {
	const char *name;	/* "CAP_BPF" */
	const char *why;	/* what it is for */
	bool have;
};
extern const size_t host_caps_count;
/* Fills `caps`, host_caps_count entries. */
void host_caps(struct host_cap *caps);
/*
 * "needs CAP_BPF, CAP_PERFMON": what we lack to load programs, those of cgroups
 * included or not; "" when it cannot be for want of a capability.
 */
void host_lacks_to_load(bool cgroup_programs, char *out, size_t size);
/* Why this kernel refuses every program, ": " before it; "" when lockdown does not forbid them. */
const char *host_locked(void);
/* Whether we have CAP_NET_BIND_SERVICE in effect. */
bool host_may_bind_low(void);
/* Whether we have CAP_SYS_PTRACE in effect. */
bool host_may_trace(void);

/*
 * The ephemeral range of the current network namespace, both ends inclusive,
 * and whether `port` is reserved in it.  0 or a negative errno.
 */
int host_port_range(uint16_t *lo, uint16_t *hi);
/* Inode number of the current network namespace, 0 when it cannot be told. */
uint32_t host_netns(void);
int host_port_reserved(uint16_t port, bool *reserved);

/* What a network namespace says of its ports, as it is now. */
struct host_ports {
	uint16_t lo, hi;		/* ephemeral range, both ends inclusive */
	struct ports reserved;		/* of all ports, also outside the range */
	uint32_t unprivileged;		/* first port that needs no CAP_NET_BIND_SERVICE, 0-65536 */
};

/* Those of the calling thread's namespace: 0 or a negative errno. */
int host_own_ports(struct host_ports *ret);

/*
 * A live network namespace by inode number, as a descriptor (O_CLOEXEC) that
 * the caller closes soon: it keeps the namespace alive.  Found when a process
 * or a name under /run/netns shows it; else -ENOENT.
 */
int host_netns_open(uint32_t netns);
/*
 * Calls `fn` in a thread of its own that has entered the namespace, and waits
 * for it; the caller's namespace is never left.  What `fn` returned, or a
 * negative errno: -EPERM without CAP_SYS_ADMIN.
 */
int host_netns_call(int fd, int (*fn)(void *ctx), void *ctx);
/*
 * Reads them anew; `netns` 0 or our own needs no privilege.  0, -ENOENT (no such
 * namespace), -EPERM, or another negative errno, with `*ret` unchanged.
 */
int host_netns_ports(uint32_t netns, struct host_ports *ret);

#endif
