/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The drain's rhythm: 10 ms while events come, slower up to 40 ms while none
 * do, early only when the ring is half full.  A poll on the ring itself would
 * return for every event, so the ring's descriptor is watched edge-triggered
 * and fires only for the wake-up that the kernel side sends on purpose.
 */
#include "kern/recorder.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/timex.h"
#include "kern/host.h"
#include "kern/identity.h"

#define MS 1000000LL
#define STEP_NS (1000 * MS)		/* of the wall clock; what is less is not worth a word */
#define WAIT_BUSY_MS 10
#define WAIT_IDLE_MS 40
#define LOOK_EVERY (250 * MS)		/* for losses and the wall clock */
#define SWEEP_EVERY (2000 * MS)		/* tier c, where it finds what no hook sees */
#define SWEEP_SELDOM (10000 * MS)	/* elsewhere: before 6.7 nobody tells of kprobes that were passed over */
#define REFILL_EVERY (5000 * MS)	/* snapshots after the table was full, or has room again, a hook was passed over or detached */
#define REFILL_SHARE 20			/* and no more than such a part of the time for them */

struct recorder {
	struct source *source;
	struct tracker *tracker;
	tracker_fn fn;
	void *ctx;
	char host[65], boot_id[CLOCK_BOOT_ID_LEN];
	uint64_t seq;
	int epoll, watched;		/* watched: the caller's descriptor in epoll, -1 none */
	int wait_ms;
	int64_t look_at, sweep_at, refill_at;	/* boot clock of the next */
	int64_t last_look, hooks_seen;	/* unix ns: all was well then */
	int64_t hooks_at;		/* boot clock: not before, one of them cannot be put back */
	uint64_t ring_lost, table_lost, missed;	/* told so far */
	bool refill;			/* a snapshot is due */
	bool finished;			/* nothing more is put on record */
	uint64_t no_room;		/* 1 + ends by the last snapshot, if that found more than the table has room for; else 0 */
	recorder_clock_fn clock_fn;
	void *clock_ctx;
	int record_err, fn_err;		/* what recorder_record() and the caller's function returned below 0 */
	bool said;			/* why nothing goes on */
};

/* Of the caller's own failures it says what is to be said. */
static int recorder_end(struct recorder *r, const char *what, int err)
{
	if (err < 0 && r->fn_err >= 0 && !r->said) {
		log_err("%s: %s", what, strerror(-err));
		r->said = true;
	}
	return err;
}

void recorder_name(struct recorder *r, struct event *ev)
{
	ev->host = r->host;
	ev->boot_id = r->boot_id;
	if (ev->kind != EV_GAP && ev->kind != EV_SUMMARY)
		identity_fill(source_identity(r->source), ev);
}

static int recorder_event(void *ctx, struct event *ev)
{
	struct recorder *r = ctx;

	ev->seq = ++r->seq;
	recorder_name(r, ev);
	return r->fn_err = r->fn(r->ctx, ev);
}

static int recorder_record(void *ctx, const struct pl_rec *rec)
{
	struct recorder *r = ctx;

	return r->record_err = tracker_record(r->tracker, rec);
}

static int recorder_watch_ring(struct recorder *r)
{
	struct epoll_event ev = { .events = EPOLLIN | EPOLLET };

	r->epoll = epoll_create1(EPOLL_CLOEXEC);
	if (r->epoll < 0 || epoll_ctl(r->epoll, EPOLL_CTL_ADD, source_fd(r->source), &ev))
		return -errno;
	return 0;
}

int recorder_open(const struct source_opts *opts, tracker_fn fn, void *ctx, struct recorder **ret)
{
	struct recorder *r = calloc(1, sizeof(*r));
	int err;

	if (!r) {
		log_err("no memory to record with");
		return -ENOMEM;
	}
	r->fn = fn;
	r->ctx = ctx;
	r->epoll = r->watched = -1;
	r->wait_ms = WAIT_BUSY_MS;
	gethostname(r->host, sizeof(r->host) - 1);
	clock_boot_id(r->boot_id);
	err = tracker_new(recorder_event, r, &r->tracker);
	if (!err) {
		tracker_set_offset(r->tracker, clock_boot_to_unix());
		err = source_open(opts, recorder_record, r, &r->source);
		r->said = err && r->record_err >= 0;
	}
	if (!err)
		err = recorder_watch_ring(r);
	if (err) {
		recorder_end(r, "the recorder cannot be set up", err);
		recorder_close(r);
		return err;
	}
	r->sweep_at = clock_boot_ns() + SWEEP_EVERY;
	r->last_look = r->hooks_seen = clock_unix_ns();
	*ret = r;
	return 0;
}

void recorder_close(struct recorder *r)
{
	if (!r)
		return;
	source_close(r->source);
	tracker_free(r->tracker);
	if (r->epoll >= 0)
		close(r->epoll);
	free(r);
}

bool recorder_failed(const struct recorder *r)
{
	return r->said;
}

int recorder_snapshot(struct recorder *r)
{
	int err, told;

	tracker_snapshot_begin(r->tracker);
	err = source_snapshot(r->source);
	r->said |= err < 0 && r->record_err >= 0;
	told = err ? 0 : tracker_snapshot_end(r->tracker);
	return recorder_end(r, "the ports held already cannot be taken up", err ? err : told);
}

static void recorder_watch(struct recorder *r, int fd)
{
	struct epoll_event ev = { .events = EPOLLIN, .data.u32 = 1 };

	if (fd == r->watched)
		return;
	if (r->watched >= 0)
		epoll_ctl(r->epoll, EPOLL_CTL_DEL, r->watched, NULL);
	r->watched = fd >= 0 && !epoll_ctl(r->epoll, EPOLL_CTL_ADD, fd, &ev) ? fd : -1;
}

int recorder_wait(struct recorder *r, int fd, int64_t deadline)
{
	struct epoll_event got[2];
	int64_t left = deadline ? (deadline - clock_boot_ns() + MS - 1) / MS : r->wait_ms;
	int timeout = left < 0 ? 0 : left < r->wait_ms ? (int)left : r->wait_ms;
	int n;

	recorder_watch(r, fd);
	n = epoll_wait(r->epoll, got, 2, timeout);
	for (int i = 0; i < n; i++)
		if (got[i].data.u32)
			return 1;
	return 0;
}

static int recorder_gap(struct recorder *r, int64_t from, int64_t lost, enum gap_cause cause, int64_t to)
{
	struct gap gap = { .lost = lost, .from = from, .to = to, .cause = cause };
	struct event ev = { .kind = EV_GAP, .ts = to, .gap = &gap };
	struct source_flooder top = { 0 };
	int err = cause == GAP_RING ? source_flooder(r->source, &top) : 0;

	if (err)
		return err;
	gap.flood_lost = top.lost;
	gap.flood_cgroup = identity_cgroup(source_identity(r->source), top.cgroup);
	gap.flood_pid = top.tgid;
	gap.flood_comm = top.comm[0] ? top.comm : NULL;
	return recorder_event(r, &ev);
}

static int repair_held(void *ctx, const struct pl_lease *l)
{
	return tracker_repair_held(ctx, l);
}

/* After a loss: what the kernel's table holds is true. */
static int recorder_repair(struct recorder *r)
{
	int err = source_drain(r->source);

	if (err >= 0)
		err = tracker_repair_begin(r->tracker, clock_boot_ns());
	if (!err)
		err = source_holders(r->source, repair_held, r->tracker);
	if (!err)
		err = source_drain(r->source);
	return err < 0 ? err : tracker_repair_end(r->tracker);
}

/*
 * Only a step, or what slewing has added up to: otherwise the start of a lease
 * would be told differently at its two ends.
 */
static void recorder_follow_clock(struct recorder *r)
{
	int64_t offset = clock_boot_to_unix(), drift = offset - tracker_offset(r->tracker);
	char span[TIMEX_BUF];

	if (drift <= MS && drift >= -MS)
		return;
	if (drift >= STEP_NS || drift <= -STEP_NS)
		log_warn("the wall clock was set %s by %s; lifetimes do not depend on it", drift < 0 ? "back" : "forward",
			 timex_span((llabs(drift) + STEP_NS / 2) / STEP_NS * STEP_NS, span));
	if (r->clock_fn)
		r->clock_fn(r->clock_ctx, offset);
	tracker_set_offset(r->tracker, offset);
}

void recorder_on_clock(struct recorder *r, recorder_clock_fn fn, void *ctx)
{
	r->clock_fn = fn;
	r->clock_ctx = ctx;
}

/* A hook that was taken away: what it would have seen meanwhile, the sockets themselves tell. */
static int recorder_look_hooks(struct recorder *r, int64_t now, int64_t unix_now)
{
	unsigned int gone, still;
	int err = 0;

	if (now < r->hooks_at)
		return 0;
	source_watch_hooks(r->source, &gone, &still);
	if (gone) {
		err = recorder_gap(r, r->hooks_seen, -1, GAP_DETACHED, unix_now);
		r->refill = true;
	}
	r->hooks_seen = unix_now;
	r->hooks_at = still ? now + REFILL_EVERY : 0;
	return err;
}

static uint64_t ends_of(const uint64_t stats[PL_STATS])
{
	uint64_t ends = 0;

	for (int i = PL_STAT_RELEASE_0; i < PL_STAT_FAIL_0; i++)
		ends += stats[i];
	return ends;
}

/* What the table had no room for is found once there is some, which only ends make. */
static int recorder_refill(struct recorder *r, int64_t now, const uint64_t stats[PL_STATS])
{
	int64_t rest;
	int err;

	r->refill |= r->no_room && ends_of(stats) + 1 != r->no_room;
	if (!r->refill || r->finished || now < r->refill_at)
		return 0;
	err = recorder_snapshot(r);
	rest = REFILL_SHARE * (clock_boot_ns() - now);
	r->refill_at = now + (rest > REFILL_EVERY ? rest : REFILL_EVERY);
	r->refill = false;
	r->no_room = source_snapshot_left(r->source) ? ends_of(stats) + 1 : 0;
	return err;
}

static int recorder_look(struct recorder *r, int64_t now)
{
	uint64_t stats[PL_STATS], ring, table, missed = 0;
	int64_t unix_now = clock_unix_ns();
	int err = source_stats(r->source, stats);

	if (!err)
		err = source_missed(r->source, &missed);

	if (err)
		return err;
	recorder_follow_clock(r);
	ring = source_ring_lost(stats);
	table = stats[PL_STAT_TABLE];
	if (ring > r->ring_lost) {
		err = recorder_gap(r, r->last_look, (int64_t)(ring - r->ring_lost), GAP_RING, unix_now);
		r->ring_lost = ring;
		if (!err)
			err = recorder_repair(r);
	}
	if (!err && table > r->table_lost) {
		err = recorder_gap(r, r->last_look, (int64_t)(table - r->table_lost), GAP_TABLE, unix_now);
		r->table_lost = table;
		r->refill = true;
	}
	/* Where every end has a hook, one that only the sweep found was missed too. */
	if (source_tier(r->source) != TIER_C)
		missed += stats[PL_STAT_STALE] - stats[PL_STAT_GONE];
	missed += stats[PL_STAT_INTENT];	/* a kind or a refusal that is not known */
	if (!err && missed > r->missed) {
		err = recorder_gap(r, r->last_look, -1, GAP_MISSED, unix_now);
		r->missed = missed;
		r->refill = true;
	}
	if (!err)
		err = recorder_look_hooks(r, now, unix_now);
	r->last_look = unix_now;
	return err ? err : recorder_refill(r, now, stats);
}

int recorder_drain(struct recorder *r)
{
	int64_t now = clock_boot_ns();
	int n = source_drain(r->source), err = n < 0 ? n : 0;

	if (n > 0)
		r->wait_ms = WAIT_BUSY_MS;
	else if (r->wait_ms < WAIT_IDLE_MS)
		r->wait_ms *= 2;
	if (!err && now >= r->sweep_at) {
		err = source_sweep(r->source);
		r->sweep_at = now + (source_tier(r->source) == TIER_C ? SWEEP_EVERY : SWEEP_SELDOM);
	}
	if (!err && now >= r->look_at) {
		err = recorder_look(r, now);
		r->look_at = now + LOOK_EVERY;
	}
	return recorder_end(r, "what the kernel tells cannot be taken up", err);
}

int recorder_finish(struct recorder *r)
{
	int err = source_sweep(r->source);

	if (!err) {
		source_freeze(r->source);
		r->finished = true;
		err = source_drain(r->source);
	}
	if (err >= 0)
		err = recorder_look(r, clock_boot_ns());
	return recorder_end(r, "what the kernel tells cannot be taken up", err);
}

static int held_count(void *ctx, const struct pl_lease *l)
{
	++*(uint64_t *)ctx;
	return 0;
}

int recorder_held(struct recorder *r, uint64_t *held)
{
	*held = 0;
	return recorder_end(r, "the kernel's table of held ports cannot be read", source_holders(r->source, held_count, held));
}

int recorder_stats(struct recorder *r, uint64_t stats[PL_STATS])
{
	return recorder_end(r, "the kernel's counts cannot be read", source_stats(r->source, stats));
}

int recorder_totals(struct recorder *r, struct recorder_totals *t)
{
	uint64_t s[PL_STATS];
	int err = recorder_stats(r, s);

	if (err)
		return err;
	*t = (struct recorder_totals){
		.opens = s[PL_STAT_OPEN], .lost_ring = source_ring_lost(s), .lost_table = s[PL_STAT_TABLE],
		.skipped = s[PL_STAT_SKIPPED], .stale = s[PL_STAT_STALE],
	};
	for (int i = 0; i < PL_STAT_RELEASE_0; i++)
		t->allocs += s[i];
	t->releases = ends_of(s);
	for (int i = PL_STAT_FAIL_0; i < PL_STAT_RING_0; i++)
		t->fails += s[i];
	t->live = t->allocs + t->opens - t->releases;
	t->lost = t->lost_ring + t->lost_table;
	return 0;
}

int recorder_each_open(struct recorder *r, tracker_fn fn, void *ctx)
{
	const struct lease_table *live = tracker_leases(r->tracker);
	struct lease_entry *e;
	int err = 0;

	lease_table_for_each(live, i, e) {
		struct pl_rec rec = {
			.hdr = { .ts = e->lease.start, .size = sizeof(rec), .kind = PL_REC_OPEN }, .lease = e->lease,
		};
		struct event ev;

		err = event_decode(&rec, tracker_offset(r->tracker), &ev);
		if (!err) {
			recorder_name(r, &ev);
			err = fn(ctx, &ev);
		}
		if (err < 0)
			break;
	}
	return err < 0 ? err : 0;
}

void recorder_sign(struct recorder *r, struct event *ev)
{
	recorder_name(r, ev);
	ev->seq = ++r->seq;
}

struct source *recorder_source(struct recorder *r)
{
	return r->source;
}

const struct tracker *recorder_tracker(const struct recorder *r)
{
	return r->tracker;
}
