/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The only ABI between the BPF programs and the loader: what a lease is in the
 * kernel's table, and what travels through the ring buffer and the iterators.
 *
 * Data only, no functions.  Fixed widths, widest first, sizes asserted below.
 * Kind and flag numbers are written out and never reused.  A consumer checks
 * pl_hdr.size before it reads a field behind the header.
 *
 * Times are nanoseconds of CLOCK_BOOTTIME.  Addresses are in network order,
 * IPv4 in word 0.  Ports are in host order.
 */
#ifndef PORTLIFE_EVENT_H
#define PORTLIFE_EVENT_H

#define PL_COMM_LEN 16
#define PL_PATH_MAX 1280

enum pl_rec_kind {
	PL_REC_ALLOC = 1,	/* a port was given to a socket */
	PL_REC_OWNER = 2,	/* the owner became known: a child was accepted */
	PL_REC_TIMEWAIT = 3,	/* the lease went on as a TIME_WAIT socket */
	PL_REC_RELEASE = 4,	/* the port is free of this socket */
	PL_REC_FAIL = 5,	/* an attempt that got no port; pl_hdr.err says why */
	PL_REC_CANCEL = 6,	/* tier C: the TIME_WAIT timer was stopped; ends or is re-armed */
	PL_REC_PATH = 7,	/* struct pl_path_rec: an executable or a cgroup, by id */
	PL_REC_OPEN = 8,	/* snapshot: held when we looked */
	PL_REC_SOCK = 9,	/* struct pl_sock_rec: more of the lease before; iterators only */
};
#define PL_REC_KINDS 9	/* of those that the ring carries */

/* How the port was allocated; the wire names are those of the event format. */
enum pl_kind {
	PL_KIND_UNKNOWN = 0,
	PL_KIND_CONNECT = 1,
	PL_KIND_BIND0 = 2,
	PL_KIND_BIND = 3,
	PL_KIND_LISTEN = 4,
	PL_KIND_SEND = 5,
	PL_KIND_ACCEPT = 6,
};
#define PL_KINDS 7

enum pl_reason {
	PL_REASON_NONE = 0,
	PL_REASON_CLOSE = 1,
	PL_REASON_TIME_WAIT = 2,
	PL_REASON_RESET = 3,
	PL_REASON_DISCONNECT = 4,
	PL_REASON_LOST = 5,	/* the end was not seen, only inferred */
};
#define PL_REASONS 6

/* Where the owner fields come from. */
enum pl_owner_src {
	PL_OWNER_UNKNOWN = 0,
	PL_OWNER_PROCESS = 1,	/* the process that asked, in its own context */
	PL_OWNER_ACCEPT = 2,	/* the process that accepted the child */
	PL_OWNER_LISTENER = 3,	/* the listener's owner: not accepted yet */
	PL_OWNER_MSK = 4,	/* a further MPTCP subflow: the owner of the connection */
	PL_OWNER_KERNEL = 5,	/* a socket of the kernel; pid and comm name who caused it */
	PL_OWNER_SNAPSHOT = 6,	/* first process found with the socket open */
};

#define PL_F_CHOSEN	0x01	/* the kernel chose the number */
#define PL_F_IN_RANGE	0x02	/* the number lies in the netns's ephemeral range */
#define PL_F_SNAPSHOT	0x04	/* found by looking: the start is not known */
#define PL_F_SHARED	0x08	/* a TIME_WAIT socket and a bound socket hold it together */
#define PL_F_TIME_WAIT	0x10	/* held by a TIME_WAIT socket */
#define PL_F_LISTEN	0x40	/* is, or was, a listener */
#define PL_F_LEAVING	0x80	/* inside connect(AF_UNSPEC); only within the kernel's table */

/* Options of the socket, as they were when the lease began or the attempt failed. */
#define PL_S_KNOWN	0x01	/* they were read */
#define PL_S_REUSEADDR	0x02
#define PL_S_REUSEPORT	0x04
#define PL_S_V6ONLY	0x08
/* Only found by the snapshot: */
#define PL_S_LOCKED	0x10	/* bound to a number that was asked for */
#define PL_S_ORPHAN	0x20	/* closed by its process; the kernel finishes the connection */
#define PL_S_QUEUED	0x40	/* a child that nobody has accepted yet */
#define PL_S_CONNECT	0x80	/* the number was chosen at connect; kernels since 6.18 tell */

/* One lease.  The value of the table `holders` and the body of most records. */
struct pl_lease {
	__u64 id;		/* unique within a boot */
	__u64 start;		/* allocation; for PL_F_SNAPSHOT when it was found */
	__u64 closed;		/* TIME_WAIT began, 0: it did not */
	/*
	 * Tier C: TIME_WAIT timer stopped at, 0: it runs.  Of a fail: the socket's
	 * own IP_LOCAL_PORT_RANGE, hi << 16 | lo, 0: none.  Found by looking, only on
	 * its way to the loader: the key in `holders`, also where it is not put there.
	 */
	__u64 cancelled;
	__u64 proc_start;	/* start of the thread group leader, 0: unknown */
	__u64 exe;		/* inode number of the executable, 0: unknown */
	__u64 cgroup;		/* cgroup v2 id, 0: unknown */
	__u64 cookie;		/* SO_COOKIE if one was generated, else 0 */
	__u32 laddr[4];
	__u32 raddr[4];		/* all 0: none */
	__u32 netns;		/* inode number of the network namespace */
	__u32 tgid;		/* 0: owner unknown */
	__u32 tid;
	__u32 ppid;
	__u32 uid;
	__u16 lport;
	__u16 rport;		/* 0: none */
	__u8 proto;		/* IPPROTO_TCP, _UDP, _UDPLITE */
	__u8 family;		/* AF_INET, AF_INET6 */
	__u8 kind;		/* enum pl_kind */
	__u8 flags;		/* PL_F_* */
	__u8 owner_src;		/* enum pl_owner_src */
	__u8 state;		/* TCP state when found by the snapshot, else 0 */
	__u8 sock;		/* PL_S_* */
	/* Of PL_REC_OPEN: no process was found that has it open, but one has.  Only within the kernel's table: its socket seems to be gone. */
	__u8 filed;
	char comm[PL_COMM_LEN];	/* of the thread; NUL-terminated, any bytes */
};

struct pl_hdr {
	__u64 ts;		/* when it happened */
	__u16 size;		/* of the whole record */
	__u8 kind;		/* enum pl_rec_kind */
	__u8 reason;		/* enum pl_reason, of a release */
	__s32 err;		/* positive errno of a fail, else 0 */
};

/* Every kind but PL_REC_PATH. */
struct pl_rec {
	struct pl_hdr hdr;
	struct pl_lease lease;
};

/* What decides whether another socket may share the port, beyond the lease. */
struct pl_sock_rec {
	struct pl_hdr hdr;
	__u64 lease;		/* id of the PL_REC_OPEN before it */
	__u64 tw_expires, jiffies;	/* of TIME_WAIT, in jiffies; 0: not in it */
	__u32 dev;		/* interface that the socket is bound to, 0: none */
	__u32 uid;		/* of the socket */
};

enum pl_path_what {
	PL_PATH_EXE = 1,	/* key: tgid, start, exe inode */
	PL_PATH_CGROUP = 2,	/* key: cgroup id in `id` */
};

/*
 * Names from the leaf to the root, each ended by NUL.  Sent before the first
 * lease that refers to it.  `cut` tells that the root was not reached.
 */
struct pl_path_rec {
	struct pl_hdr hdr;
	__u64 id;		/* exe inode or cgroup id */
	__u64 proc_start;
	__u32 tgid;
	__u16 len;		/* bytes used of data */
	__u8 what;		/* enum pl_path_what */
	__u8 cut;
	char data[PL_PATH_MAX];
};

/* Tier b, only within the kernel: a call whose return is awaited.  Key: thread, function. */
struct pl_call {
	__u64 sk;
	__u64 arg;
	__u64 since;
};

/*
 * Counters, one u64 each, per CPU, exact whatever becomes of the ring.  Indexed
 * with the macros so that each counter has one place.
 */
enum pl_proto_ix { PL_IX_TCP = 0, PL_IX_UDP = 1, PL_IX_UDPLITE = 2 };
#define PL_PROTOS 3
enum pl_errno_ix { PL_IX_EADDRINUSE = 0, PL_IX_EADDRNOTAVAIL = 1, PL_IX_EACCES = 2, PL_IX_EAGAIN = 3 };
#define PL_ERRNOS 4

#define PL_STAT_ALLOC(proto, v6, kind)	(((proto) * 2 + (v6)) * PL_KINDS + (kind))
#define PL_STAT_RELEASE_0		(PL_PROTOS * 2 * PL_KINDS)
#define PL_STAT_RELEASE(proto, v6)	(PL_STAT_RELEASE_0 + (proto) * 2 + (v6))
#define PL_STAT_FAIL_0			(PL_STAT_RELEASE_0 + PL_PROTOS * 2)
#define PL_STAT_FAIL(proto, e)		(PL_STAT_FAIL_0 + (proto) * PL_ERRNOS + (e))
#define PL_STAT_RING_0			(PL_STAT_FAIL_0 + PL_PROTOS * PL_ERRNOS)
#define PL_STAT_RING(rec)		(PL_STAT_RING_0 + (rec))	/* records that did not fit the ring */
#define PL_STAT_TABLE			(PL_STAT_RING_0 + PL_REC_KINDS)	/* allocations that did not fit the table */
#define PL_STAT_SKIPPED			(PL_STAT_TABLE + 1)	/* out of scope: accepted, counted only */
#define PL_STAT_OPEN			(PL_STAT_TABLE + 2)	/* entries that a snapshot made */
#define PL_STAT_STALE			(PL_STAT_TABLE + 3)	/* entries found ended without a release */
#define PL_STAT_INTENT			(PL_STAT_TABLE + 4)	/* what was asked for, or a TIME_WAIT that begins, and did not fit its table, was dropped or not answered */
#define PL_STAT_GONE			(PL_STAT_TABLE + 5)	/* of PL_STAT_STALE those that a look had put there a moment before: no hook missed them */
#define PL_STATS			(PL_STAT_TABLE + 6)

/*
 * Totals of one network namespace, per CPU, exact whatever becomes of the ring.
 * Indexed by what happened and PL_IX_*.  Key 0: the namespaces that did not fit.
 */
enum pl_total_ix { PL_TOTAL_ALLOC = 0, PL_TOTAL_OPEN = 1, PL_TOTAL_RELEASE = 2, PL_TOTAL_FAIL = 3 };
#define PL_TOTALS 4

struct pl_total {
	__u64 c[PL_TOTALS][PL_PROTOS];
};

/* Records of one cgroup that did not fit the ring, per CPU.  Key 0: unknown, and the cgroups that did not fit. */
struct pl_flood {
	__u64 lost;
	__u32 tgid;		/* of the last one that was at hand */
	__u32 pad;
	char comm[PL_COMM_LEN];
};

_Static_assert(sizeof(struct pl_total) == 96, "pl_total is part of the ABI");
_Static_assert(sizeof(struct pl_flood) == 32, "pl_flood is part of the ABI");
_Static_assert(sizeof(struct pl_lease) == 144, "pl_lease is part of the ABI");
_Static_assert(sizeof(struct pl_hdr) == 16, "pl_hdr is part of the ABI");
_Static_assert(sizeof(struct pl_rec) == 160, "pl_rec is part of the ABI");
_Static_assert(sizeof(struct pl_sock_rec) == 48, "pl_sock_rec is part of the ABI");
_Static_assert(sizeof(struct pl_path_rec) == 16 + 16 + 8 + PL_PATH_MAX, "pl_path_rec is part of the ABI");

#endif
