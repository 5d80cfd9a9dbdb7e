/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The event as user space knows it: one struct event a line of output.
 *
 * Captured form (struct pl_rec, CLOCK_BOOTTIME) and this form are two types:
 * here every time is unix nanoseconds, 0 meaning unknown.  Pure data: nothing
 * here does I/O.  Pointers borrow; an event lives until the handler returns.
 */
#ifndef PORTLIFE_MODEL_EVENT_H
#define PORTLIFE_MODEL_EVENT_H

#include <linux/types.h>
#include <stdbool.h>
#include <stdint.h>
#include <portlife/event.h>

/* The eight events of the format; event_name() gives the wire name. */
enum event_kind {
	EV_ALLOC,
	EV_OWNER,
	EV_TIMEWAIT,
	EV_RELEASE,
	EV_FAIL,
	EV_OPEN,
	EV_SUMMARY,
	EV_GAP,
};

enum evidence { EVIDENCE_EVENT, EVIDENCE_SNAPSHOT, EVIDENCE_RESYNC };

enum gap_cause { GAP_RING, GAP_TABLE, GAP_STOPPED, GAP_CRASH, GAP_BOOT, GAP_STORE, GAP_MISSED, GAP_DETACHED };
#define GAP_CAUSES (GAP_DETACHED + 1)

/* Where a process runs.  Every string may be NULL: unknown. */
struct workload {
	const char *cgroup;		/* path below the cgroup root, "/system.slice/x.service" */
	const char *unit;		/* systemd unit, "x.service" */
	const char *container_id;	/* hexadecimal id as the runtime writes it */
	const char *pod_uid;		/* with dashes */
};

struct gap {
	int64_t lost;			/* events, -1: not known */
	int64_t from, to;		/* unix ns */
	enum gap_cause cause;
	/* Of a full ring: the cgroup that lost most, and one of its processes. */
	uint64_t flood_lost;		/* 0: not known */
	const char *flood_cgroup;	/* NULL: its name is not known */
	uint32_t flood_pid;		/* 0: not known */
	const char *flood_comm;		/* NULL: not known */
};

/* What happened in one network namespace, by protocol (PL_IX_*). */
struct netns_counts {
	uint64_t allocs[PL_PROTOS], releases[PL_PROTOS], fails[PL_PROTOS];
};

/* One network namespace in a summary. */
struct summary_netns {
	uint32_t netns;
	uint32_t range_lo, range_hi;	/* inclusive */
	uint32_t reserved;		/* ports of the range that are reserved */
	uint32_t used_odd, used_even;	/* ports of the range held, per parity, any protocol */
	uint32_t in_use[PL_PROTOS];	/* ports held, in the range or not */
	uint32_t time_wait;		/* leases */
};

/* A process that stands out in a summary. */
struct summary_proc {
	uint64_t ports;
	uint32_t pid;
	char comm[PL_COMM_LEN];
};

#define SUMMARY_TOP 4		/* processes that a summary names */
#define SUMMARY_NETNS_MAX 32	/* network namespaces that it lists */

struct summary {
	uint64_t allocs[PL_KINDS];
	uint64_t releases;
	uint64_t fails[PL_ERRNOS];
	uint64_t live, time_wait, lost;
	const struct summary_netns *netns;	/* most used first */
	unsigned int n_netns, netns_more;	/* listed; known beside them */
	int64_t span;			/* ns that the counts cover, 0: not known */
	uint64_t allocs_by[PL_PROTOS], releases_by[PL_PROTOS], fails_by[PL_PROTOS][PL_ERRNOS];
	uint64_t fails_kind[PL_KINDS];	/* fails that were told, by what was asked for: without those of `lost` */
	uint64_t peak;			/* most leases at once */
	uint64_t lives;			/* ended leases whose start is known; 0: no percentiles */
	int64_t p50_us, p99_us;		/* of their lifetimes */
	struct summary_proc taken[SUMMARY_TOP], held[SUMMARY_TOP];	/* most first; ports 0 ends */
};

struct event {
	enum event_kind kind;
	enum evidence evidence;
	enum pl_reason reason;		/* of a release */
	int err;			/* positive errno of a fail, else 0 */
	uint64_t seq;			/* of this recorder's output, from 1 */
	int64_t ts;			/* unix ns: when it happened */
	int64_t start, end, closed;	/* unix ns of the lease; 0: unknown or not yet */
	int64_t not_before;		/* of an unknown start in the history: when it can have been at the earliest; 0: not known */
	int64_t proc_start;		/* unix ns, 0: unknown */
	struct pl_lease lease;		/* boot-clock times inside are the kernel's own */
	const char *exe;		/* NULL: unknown */
	/* Of the process when it was first seen, arguments separated by a blank; NULL: not asked for or unknown. */
	const char *cmdline;
	struct workload where;
	const char *host, *boot_id;
	const struct gap *gap;		/* EV_GAP only */
	const struct summary *summary;	/* EV_SUMMARY only */
};

/* Wire names; never NULL, never shared with another value of the same enum. */
const char *event_name(enum event_kind kind);
const char *event_kind_name(unsigned int pl_kind);	/* "connect", …, "unknown" */
const char *event_reason_name(unsigned int pl_reason);	/* NULL for PL_REASON_NONE */
const char *event_evidence_name(enum evidence e);
const char *event_gap_name(enum gap_cause c);
const char *event_owner_name(unsigned int pl_owner_src);	/* "process", "accept", "listener", "msk", "kernel", "snapshot", NULL unknown */
const char *event_proto_name(unsigned int proto);	/* "tcp", "udp", "udplite", "unknown" */
const char *event_family_name(unsigned int family);	/* "ipv4", "ipv6", "unknown" */
const char *event_errno_name(int err);			/* "EADDRINUSE"; "unknown" for one we do not know */

/* Inverses; -1 when `name` is none of them. */
int event_from_name(const char *name);
int event_kind_from_name(const char *name);
int event_reason_from_name(const char *name);
int event_evidence_from_name(const char *name);
int event_gap_from_name(const char *name);
int event_owner_from_name(const char *name);
int event_proto_from_name(const char *name);
int event_family_from_name(const char *name);
int event_errno_from_name(const char *name);

/*
 * The address in text (inet_ntop(3)) into `buf` of at least INET6_ADDRSTRLEN
 * bytes; returns buf.  An address of all zeros is "0.0.0.0" or "::".
 */
const char *event_addr(unsigned int family, const uint32_t addr[4], char *buf);
bool event_has_remote(const struct event *ev);

/*
 * Fills everything of `ev` that follows from the record and from the offset of
 * the wall clock to CLOCK_BOOTTIME (unix ns = boot ns + offset): kind, ts,
 * start, end, closed, proc_start, reason, err, evidence, lease.  The pointers
 * and seq are left to the caller (set to NULL and 0).
 * Returns 0, or -EINVAL for a record of a kind that is no event or of a wrong size.
 */
int event_decode(const struct pl_rec *rec, int64_t boot_to_unix, struct event *ev);

#endif
