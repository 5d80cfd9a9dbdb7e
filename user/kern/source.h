/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The running recorder: hooks attached, records coming in.
 *
 * Only user/kern includes libbpf.  A source is used from one thread.  It never
 * waits for a workload and a workload never waits for it: what does not fit is
 * counted by the kernel side and told here.
 */
#ifndef PORTLIFE_KERN_SOURCE_H
#define PORTLIFE_KERN_SOURCE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <linux/types.h>
#include <portlife/event.h>
#include "kern/hooks.h"
#include "model/event.h"

struct source;
struct identity;

struct source_opts {
	enum tier tier;		/* TIER_NONE: the best that works */
	bool scope_all;
	uint64_t ring_size;	/* bytes, 0: default; rounded up to a power of two of pages */
	uint32_t table_size;	/* leases, 0: default */
	bool with_cmdline;	/* events carry the arguments of their process */
};

/*
 * Called for each record but PL_REC_PATH and PL_REC_CANCEL, in the order in
 * which the kernel made them.  `rec` lives until the call returns.  A negative
 * return stops the drain and is passed on.
 */
typedef int (*source_fn)(void *ctx, const struct pl_rec *rec);

/*
 * Chooses a tier, loads, attaches and tests it.  On failure nothing stays
 * attached, one line per reason has been said, and the result is -EPERM
 * (privilege), -EOPNOTSUPP (the kernel lacks what is needed) or another errno;
 * nothing has been said when it is what `fn` returned.
 * `fn` may be called before this returns; `*ret` is set by then.
 */
int source_open(const struct source_opts *opts, source_fn fn, void *ctx, struct source **ret);
void source_close(struct source *s);

/*
 * A source without hooks, to look once: source_snapshot() hands over what is
 * held now on the ports lo..hi, accepted connections included.  Errors as
 * source_open().
 */
int source_open_look(uint16_t lo, uint16_t hi, source_fn fn, void *ctx, struct source **ret);

/*
 * The same, and after each PL_REC_OPEN what decides whether its port can be
 * shared.  `more` may be NULL; its return is as that of `fn`.
 */
typedef int (*source_more_fn)(void *ctx, const struct pl_sock_rec *rec);
int source_open_look_more(uint16_t lo, uint16_t hi, source_fn fn, source_more_fn more, void *ctx, struct source **ret);

/*
 * What other recorders that run on this host have on record for the ports
 * lo..hi: they saw the beginning, so they know start and owner also of what is
 * in TIME_WAIT.  0; -ENOENT: there is none; -EPERM: they may not be looked at;
 * another errno, or what `fn` returned other than 0.
 */
int source_peers(uint16_t lo, uint16_t hi, int (*fn)(void *ctx, const struct pl_lease *l), void *ctx);
/* The same of one recorder; -ENOENT also when it is gone. */
int source_peer(int pid, uint16_t lo, uint16_t hi, int (*fn)(void *ctx, const struct pl_lease *l), void *ctx);

/*
 * What other recorders have on record for the sockets that this look has found:
 * `id` is that of the lease that the look handed over.  Quicker than
 * source_peers(), and nothing of sockets that the look has not found.
 */
typedef int (*source_peer_fn)(void *ctx, uint64_t id, const struct pl_lease *l);
int source_look_peers(struct source *s, source_peer_fn fn, void *ctx);

/*
 * Tries one tier without keeping it, for `doctor`: fills `status` (hooks_count
 * entries) and returns 0 when the tier works, else as source_open().  `why`
 * gets the reason in words, "" when it works.
 */
int source_probe(enum tier tier, struct hook_status *status, char *why, size_t why_size);

enum tier source_tier(const struct source *s);
/* Names behind ids; owned by the source. */
struct identity *source_identity(struct source *s);

/* Readable (edge-triggered: add it with EPOLLET) when the ring is half full. */
int source_fd(const struct source *s);

/* Hands over all that has come; the number of records or a negative errno. */
int source_drain(struct source *s);

/*
 * The end: from now on nothing that happens is put on record, told or counted,
 * so that what the next drain hands over, the counters and the kernel's table
 * agree to the last unit.  Waits until no program is in its midst; a second call
 * does nothing.
 */
void source_freeze(struct source *s);

/*
 * Puts on record what is held already, in every network namespace that a
 * process or a bind mount shows, and hands over each as PL_REC_OPEN.  Idempotent:
 * what is on record is not reported again.  The number found or a negative errno.
 */
int source_snapshot(struct source *s);
/* Whether the last one found sockets that the kernel's table had no room for. */
bool source_snapshot_left(const struct source *s);

/*
 * Looks at every entry of the kernel's table again and ends what is no longer
 * held; the ends arrive with the next drain, with PL_REASON_LOST.
 */
int source_check(struct source *s);

/* source_check(), and in tier C what io_uring left pending.  Call now and then, in tier C every two seconds. */
int source_sweep(struct source *s);

/* Sums over CPUs, indexed with PL_STAT_*, and the ends that the reader itself decided. */
int source_stats(struct source *s, uint64_t stats[PL_STATS]);

/*
 * What happened in one network namespace since the start, counted in the
 * kernel: exact whatever became of the ring.  live = allocs + opens - releases.
 * A namespace number that the kernel uses again goes on counting.
 */
struct source_netns {
	uint32_t netns;			/* 0: all that did not fit the table of PL_TOTALS_MAX */
	uint64_t opens[PL_PROTOS];	/* found held by a snapshot; indexed with PL_IX_* */
	struct netns_counts counts;
};

/* Calls `fn` for each namespace in which something happened; 0, a negative errno or what `fn` returned below 0. */
int source_netns_each(struct source *s, int (*fn)(void *ctx, const struct source_netns *n), void *ctx);

/* Who lost most of the records that did not fit the ring since the last call. */
struct source_flooder {
	uint64_t lost;		/* of that cgroup; 0: nothing was lost */
	uint64_t cgroup;	/* id, 0: unknown */
	uint32_t tgid;		/* of the last one lost, 0: unknown */
	char comm[PL_COMM_LEN];
};
int source_flooder(struct source *s, struct source_flooder *top);

/*
 * How often the kernel passed over one of the programs because it was running
 * already on that CPU (an interrupt in its midst): whether something was missed
 * then is not known.  Kernels before 5.12 do not skip, and do not count.
 */
int source_missed(struct source *s, uint64_t *missed);

/*
 * Looks whether every hook that can be taken away from outside (bpf_link_detach
 * of a cgroup link) is still where it was put, and puts back what is not; both
 * are said.  `gone` counts what was found detached, `still` what could not be
 * put back.
 */
void source_watch_hooks(struct source *s, unsigned int *gone, unsigned int *still);

/* Of the sums of source_stats(): records that did not fit the ring and that nobody tells again. */
uint64_t source_ring_lost(const uint64_t stats[PL_STATS]);

/* Calls `fn` for each lease of the kernel's table, once a lease. 0 or negative errno. */
int source_holders(struct source *s, int (*fn)(void *ctx, const struct pl_lease *l), void *ctx);

#endif
