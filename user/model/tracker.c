/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A lease's record is whole in itself, so nothing is paired here; the table
 * serves the live count and the repair only.
 */
#include "model/tracker.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define MAX_ENDED 65536	/* far more than can be under way */

struct tracker {
	struct lease_table *live;
	struct lease_table *kernel;	/* during a repair: what the kernel's table held */
	struct lease_table *ended;	/* whose other record may still come, see early_end() */
	tracker_fn fn;
	void *ctx;
	int64_t boot_to_unix;
	uint64_t repair_at;		/* boot clock, 0: no repair under way */
	uint64_t begun_again, ended_again;	/* tracker_repeated() */
	bool in_snapshot;
	struct pl_rec *waiting;		/* what befell that which a snapshot found, see wait_for_open() */
	size_t n_waiting, cap_waiting;
};

int tracker_new(tracker_fn fn, void *ctx, struct tracker **ret)
{
	struct tracker *t = calloc(1, sizeof(*t));
	int err = t ? lease_table_new(&t->live) : -ENOMEM;

	if (!err)
		err = lease_table_new(&t->ended);
	if (err) {
		tracker_free(t);
		return err;
	}
	t->fn = fn;
	t->ctx = ctx;
	*ret = t;
	return 0;
}

void tracker_free(struct tracker *t)
{
	if (!t)
		return;
	lease_table_free(t->live);
	lease_table_free(t->kernel);
	lease_table_free(t->ended);
	free(t->waiting);
	free(t);
}

void tracker_set_offset(struct tracker *t, int64_t boot_to_unix)
{
	t->boot_to_unix = boot_to_unix;
}

int64_t tracker_offset(const struct tracker *t)
{
	return t->boot_to_unix;
}

uint64_t tracker_repeated(const struct tracker *t, enum event_kind kind)
{
	return kind == EV_RELEASE ? t->ended_again : t->begun_again;
}

size_t tracker_live(const struct tracker *t)
{
	return lease_table_count(t->live);
}

const struct lease_table *tracker_leases(const struct tracker *t)
{
	return t->live;
}

/*
 * Two CPUs may bring the two ends of a lease in the wrong order, and a repair may
 * have told the end of a lease that was just about to tell it: what comes second
 * must neither open the lease for ever nor end it twice.
 */
static int early_end(struct tracker *t, const struct pl_lease *l)
{
	struct lease_table *fresh;

	if (lease_table_count(t->ended) >= MAX_ENDED) {
		if (lease_table_new(&fresh))
			return -ENOMEM;
		lease_table_free(t->ended);
		t->ended = fresh;
	}
	return lease_table_put(t->ended, l, NULL);
}

/*
 * What a snapshot finds comes through an iterator, its owner, its TIME_WAIT and its
 * end through the ring, which may be faster: they are told once the beginning was.
 */
static int wait_for_open(struct tracker *t, const struct pl_rec *rec)
{
	if (t->n_waiting == t->cap_waiting) {
		size_t cap = t->cap_waiting ? t->cap_waiting * 2 : 16;
		struct pl_rec *grown = realloc(t->waiting, cap * sizeof(*grown));

		if (!grown)
			return -ENOMEM;
		t->waiting = grown;
		t->cap_waiting = cap;
	}
	t->waiting[t->n_waiting++] = *rec;
	return 0;
}

/* Takes out the first that waits for the lease. */
static bool take_waiting(struct tracker *t, uint64_t id, struct pl_rec *ret)
{
	for (size_t i = 0; i < t->n_waiting; i++) {
		if (t->waiting[i].lease.id != id)
			continue;
		*ret = t->waiting[i];
		memmove(&t->waiting[i], &t->waiting[i + 1], (--t->n_waiting - i) * sizeof(*t->waiting));
		return true;
	}
	return false;
}

static int tracker_begin(struct tracker *t, const struct pl_rec *rec, bool *news)
{
	if (!lease_table_del(t->ended, rec->lease.id, NULL))
		return 0;
	*news = !lease_table_find(t->live, rec->lease.id);
	t->begun_again += !*news;
	return lease_table_put(t->live, &rec->lease, NULL);
}

static int tracker_end(struct tracker *t, const struct pl_rec *rec, bool *news)
{
	if (t->kernel)
		lease_table_del(t->kernel, rec->lease.id, NULL);
	*news = lease_table_del(t->ended, rec->lease.id, NULL) != 0;
	t->ended_again += !*news;
	if (!*news || !lease_table_del(t->live, rec->lease.id, NULL))
		return 0;
	if (!(rec->lease.flags & PL_F_SNAPSHOT))
		return early_end(t, &rec->lease);
	*news = false;
	return wait_for_open(t, rec);
}

/*
 * Of one that has ended: the end, on another CPU, was faster.  Of one whose beginning was lost: the repair tells.  At the
 * change to TIME_WAIT an entry moves within the kernel's table, past whoever is just reading that.
 */
static int tracker_change(struct tracker *t, const struct pl_rec *rec, bool *news)
{
	int err;

	*news = lease_table_find(t->live, rec->lease.id);
	if (!*news)
		return t->in_snapshot && rec->lease.flags & PL_F_SNAPSHOT ? wait_for_open(t, rec) : 0;
	err = lease_table_put(t->live, &rec->lease, NULL);
	return err || !t->kernel ? err : lease_table_put(t->kernel, &rec->lease, NULL);
}

/* What the record does to the table of open leases; false: it tells nothing new. */
static int tracker_apply(struct tracker *t, const struct pl_rec *rec, bool *news)
{
	*news = true;
	switch (rec->hdr.kind) {
	case PL_REC_ALLOC:
	case PL_REC_OPEN:
		return tracker_begin(t, rec, news);
	case PL_REC_OWNER:
	case PL_REC_TIMEWAIT:
		return tracker_change(t, rec, news);
	case PL_REC_RELEASE:
		return tracker_end(t, rec, news);
	}
	return 0;
}

static int tracker_tell(struct tracker *t, const struct pl_rec *rec, bool resync)
{
	struct event ev;
	int err = event_decode(rec, t->boot_to_unix, &ev);

	if (err)
		return err;
	if (resync)
		ev.evidence = EVIDENCE_RESYNC;
	return t->fn(t->ctx, &ev);
}

int tracker_record(struct tracker *t, const struct pl_rec *rec)
{
	struct pl_rec next;
	bool news;
	int err = tracker_apply(t, rec, &news);

	if (!err && news)
		err = tracker_tell(t, rec, false);
	while (!err && rec->hdr.kind == PL_REC_OPEN && take_waiting(t, rec->lease.id, &next))
		if (lease_table_find(t->live, next.lease.id))
			err = tracker_record(t, &next);
	return err;
}

/* A change alone is of one whose end, on another CPU, was faster: nothing more will come of it. */
static void forget_changes(struct tracker *t)
{
	size_t kept = 0;

	for (size_t i = 0; i < t->n_waiting; i++)
		if (t->waiting[i].hdr.kind == PL_REC_RELEASE)
			t->waiting[kept++] = t->waiting[i];
	t->n_waiting = kept;
}

void tracker_snapshot_begin(struct tracker *t)
{
	t->in_snapshot = true;
}

int tracker_snapshot_end(struct tracker *t)
{
	int err = 0;

	t->in_snapshot = false;
	forget_changes(t);
	while (!err && t->n_waiting) {
		struct pl_rec open = t->waiting[t->n_waiting - 1];

		open.hdr.kind = PL_REC_OPEN;
		open.hdr.reason = PL_REASON_NONE;
		err = tracker_record(t, &open);
	}
	return err;
}

int tracker_repair_begin(struct tracker *t, uint64_t boot_now)
{
	lease_table_free(t->kernel);
	t->kernel = NULL;
	t->repair_at = boot_now;
	return lease_table_new(&t->kernel);
}

int tracker_repair_held(struct tracker *t, const struct pl_lease *l)
{
	return lease_table_put(t->kernel, l, NULL);
}

static int repair_begun(struct tracker *t, const struct pl_lease *l)
{
	struct pl_rec rec = { .hdr = { .ts = l->start, .size = sizeof(rec), .kind = PL_REC_ALLOC }, .lease = *l };
	int err = lease_table_put(t->live, l, NULL);

	lease_table_del(t->ended, l->id, NULL);	/* that was told in error */
	return err ? err : tracker_tell(t, &rec, true);
}

static int repair_ended(struct tracker *t, const struct pl_lease *l)
{
	struct pl_rec rec = {
		.hdr = { .ts = t->repair_at, .size = sizeof(rec), .kind = PL_REC_RELEASE, .reason = PL_REASON_LOST },
		.lease = *l,
	};
	int err = early_end(t, l);

	lease_table_del(t->live, l->id, NULL);
	return err ? err : tracker_tell(t, &rec, true);
}

int tracker_repair_end(struct tracker *t)
{
	struct lease_entry *e;
	int err = 0;

	lease_table_for_each(t->kernel, i, e) {
		struct lease_entry *known = lease_table_find(t->live, e->lease.id);
		struct pl_lease l = e->lease;

		if (known)	/* what was lost may have told its owner or its TIME_WAIT */
			known->lease = l;
		else if (!err)
			err = repair_begun(t, &l);
	}
	lease_table_for_each(t->live, j, e) {
		struct pl_lease l = e->lease;

		if (!err && l.start < t->repair_at && !lease_table_find(t->kernel, l.id))
			err = repair_ended(t, &l);
	}
	lease_table_free(t->kernel);
	t->kernel = NULL;
	t->repair_at = 0;
	return err;
}
