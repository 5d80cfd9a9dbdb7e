/* SPDX-License-Identifier: GPL-2.0 */
/*
 * why --live: each refusal explained when it comes, from the leases that are
 * open at that point of the stream.  One that is like another of less than a
 * second ago is only counted.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "cmd/cmd.h"
#include "cmd/why.h"
#include "kern/identity.h"
#include "kern/recorder.h"

#define AGAIN_NS 1000000000LL
#define RECENT 64
#define READING_NS 1000000000LL

struct recent {
	struct event ev;	/* without strings */
	int64_t at;		/* boot clock of its explanation, 0: free */
};

struct live {
	const struct why_opts *o;
	struct recorder *r;
	struct why_spaces spaces;
	struct why_sink sink;
	struct why_explain x;	/* the one at work */
	struct recent recent[RECENT];
	int64_t began, reading;	/* boot clock; time spent on reading the kernel's table */
	uint64_t alike;		/* counted only */
	uint64_t lost;		/* events */
	bool gap;
};

/* True: explained less than a second ago. */
static bool live_again(struct live *w, const struct event *ev)
{
	int64_t now = clock_boot_ns();
	size_t oldest = 0;

	for (size_t i = 0; i < RECENT; i++) {
		struct recent *r = &w->recent[i];

		if (r->at && now - r->at < AGAIN_NS && why_same_refusal(&r->ev, ev))
			return true;
		if (r->at < w->recent[oldest].at)
			oldest = i;
	}
	w->recent[oldest] = (struct recent){ .ev = *ev, .at = now };
	return false;
}

static int live_lease(struct live *w, const struct pl_lease *l, bool fresh)
{
	struct pl_rec rec = { .hdr = { .ts = l->start, .size = sizeof(rec), .kind = PL_REC_OPEN }, .lease = *l };
	struct event ev;
	int err = event_decode(&rec, tracker_offset(recorder_tracker(w->r)), &ev);

	if (err)
		return err;
	identity_fill(source_identity(recorder_source(w->r)), &ev);
	return fresh ? why_explain_fresh(&w->x, &ev) : why_explain_lease(&w->x, &ev);
}

static bool live_concerns(const struct live *w, const struct pl_lease *l)
{
	const struct why_refusal *r = &w->x.r;
	const struct pl_lease *fail = &r->ev.lease;

	if (l->netns != fail->netns || l->proto != fail->proto)
		return false;
	return r->cause == WHY_EXHAUSTED ? l->lport >= r->ns.lo && l->lport <= r->ns.hi : l->lport == fail->lport;
}

static int live_tracked(struct live *w)
{
	const struct lease_table *leases = tracker_leases(recorder_tracker(w->r));
	const struct lease_entry *e;
	int err = 0;

	lease_table_for_each(leases, i, e) {
		if (!err && live_concerns(w, &e->lease))
			err = live_lease(w, &e->lease, false);
	}
	return err;
}

/* Only those that the stream knows as open: the table may be ahead of it. */
static int live_refresh(void *ctx, const struct pl_lease *l)
{
	struct live *w = ctx;

	if (!live_concerns(w, l) || !lease_table_find(tracker_leases(recorder_tracker(w->r)), l->id))
		return 0;
	return live_lease(w, l, true);
}

/* Reading the whole table takes time in proportion to it: in the long run a fifth of ours at most. */
static int live_refresh_all(struct live *w)
{
	int64_t begin = clock_boot_ns();
	int err;

	if (w->reading > READING_NS + (begin - w->began) / 5)
		return 0;
	err = source_holders(recorder_source(w->r), live_refresh, w);
	w->reading += clock_boot_ns() - begin;
	return err;
}

static int live_explain(struct live *w, const struct event *fail)
{
	struct why_netns ns;
	int err;

	why_spaces_get(&w->spaces, fail->lease.netns, why_cause(fail) != WHY_EXHAUSTED, &ns);
	err = why_explain_begin(&w->x, fail, &ns);
	w->x.r.live = true;
	w->x.r.unsure = w->gap;
	if (!err && w->x.r.cause != WHY_ACCESS && w->x.r.cause != WHY_ADDRESS)
		err = live_tracked(w);
	/* Whether a bound socket listens or is connected, only the kernel's table knows. */
	if (!err && w->x.holders.n)
		err = live_refresh_all(w);
	if (!err) {
		why_explain_end(&w->x);
		err = why_sink_put(&w->sink, &w->x.r);
	}
	why_explain_free(&w->x);
	return err;
}

static int live_event(void *ctx, struct event *ev)
{
	struct live *w = ctx;

	if (ev->kind == EV_GAP) {
		w->gap = true;
		w->lost += ev->gap->lost > 0 ? (uint64_t)ev->gap->lost : 0;
	}
	if (ev->kind != EV_FAIL || (w->o->proto && ev->lease.proto != w->o->proto) ||
	    (w->o->netns && ev->lease.netns != w->o->netns))
		return 0;
	if (live_again(w, ev)) {
		w->alike++;
		return 0;
	}
	return live_explain(w, ev);
}

static int live_run(struct live *w)
{
	int64_t deadline = w->o->duration ? clock_boot_ns() + w->o->duration : 0;
	int stop_fd = cmd_signals(), stop = 0, err = stop_fd < 0 ? -errno : 0;

	while (!err && !stop && !(deadline && clock_boot_ns() >= deadline)) {
		stop = recorder_wait(w->r, stop_fd, deadline);
		err = recorder_drain(w->r);
	}
	if (!err)
		err = recorder_finish(w->r);
	if (stop_fd >= 0)
		close(stop_fd);
	return err;
}

static int live_conclude(struct live *w)
{
	bool incomplete = w->gap || w->sink.unsure;
	int err = why_sink_end(&w->sink, incomplete ? "incomplete" : w->sink.told ? "found" : "nothing", NULL, 0);

	if (w->alike)
		log_info("%llu more refusals were like one of less than a second before", (unsigned long long)w->alike);
	if (incomplete)
		log_info("events were lost meanwhile: there may have been more");
	return err ? err : incomplete ? EXIT_INCOMPLETE : w->sink.told ? EXIT_OK : EXIT_NOTHING;
}

int why_live(const struct why_opts *o)
{
	struct source_opts so = { .tier = o->tier, .scope_all = o->scope_all, .ring_size = o->ring_size };
	struct live *w = calloc(1, sizeof(*w));
	int err;

	if (!w)
		return -ENOMEM;
	w->o = o;
	w->began = clock_boot_ns();
	w->sink.common = &o->common;
	err = recorder_open(&so, live_event, w, &w->r);
	if (err) {
		err = cmd_open_exit(err);
	} else {
		err = why_sink_begin(&w->sink);
		if (!err)
			err = recorder_snapshot(w->r);
		if (!err) {
			log_info("watching; the first refusal that comes is explained at once");
			err = live_run(w);
		}
		if (!err)
			err = live_conclude(w);
		err = cmd_recorder_exit(w->r, err);
	}
	recorder_close(w->r);
	why_spaces_free(&w->spaces);
	free(w);
	return err;
}
