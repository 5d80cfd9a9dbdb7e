/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the walkers did, and its comparison with what the recorder told.
 *
 * A walker notes every port it got right after the call that gave it, asked of
 * getsockname(); the notes live in shared memory and outlive a killed walker.
 * Both sides are sorted and must agree entry by entry: nothing missing, nothing
 * extra, each with its owner, kind, and within the time of its call.
 */
#ifndef PORTLIFE_TEST_TRUTH_H
#define PORTLIFE_TEST_TRUTH_H

#include "expect.h"

#define CLOCK_SLACK_NS (200 * 1000000LL)	/* the wall clock may be slewed */
#define SHOWN 5					/* differences printed of one sort */

enum truth_type {
	TRUTH_OWN,	/* got a port */
	TRUTH_CHILD,	/* connected: there is a child on the listener's port */
	TRUTH_ACCEPT,	/* accepted that child */
	TRUTH_FAIL,	/* EADDRINUSE */
	TRUTH_TYPES,
};

struct truth {
	int64_t t0, t1;		/* around the call, unix ns */
	int64_t c0, c1;		/* around the call that gave the port back, 0: not known */
	uint32_t netns;
	int pid;
	uint16_t port, rport;
	uint8_t type;
	bool maybe;		/* the recorder may tell it, but need not */
	bool inferred;		/* told: its end was missed, as a gap says */
	char proto[8], kind[8];
};

/* A child on a listener's port is nobody's yet: the client knows it by both ports alone. */
static inline int truth_cmp_key(const struct truth *a, const struct truth *b)
{
	int c;

	if (a->netns != b->netns)
		return a->netns < b->netns ? -1 : 1;
	if (a->port != b->port)
		return a->port - b->port;
	if (a->rport != b->rport)
		return a->rport - b->rport;
	if (a->pid != b->pid)
		return a->pid - b->pid;
	c = strcmp(a->proto, b->proto);
	return c ? c : strcmp(a->kind, b->kind);
}

static inline int truth_cmp(const void *pa, const void *pb)
{
	const struct truth *a = pa, *b = pb;
	int c = truth_cmp_key(a, b);

	/* Of the same key, what must be told meets what was told first. */
	if (!c)
		c = a->maybe - b->maybe;
	return c ? c : a->t0 < b->t0 ? -1 : a->t0 > b->t0;
}

struct truths {
	struct truth *at;
	size_t n, size;
};

static inline void truths_add(struct truths *ts, const struct truth *t)
{
	if (ts->n == ts->size) {
		ts->size = ts->size ? ts->size * 2 : 4096;
		ts->at = realloc(ts->at, ts->size * sizeof(*t));
		if (!ts->at)
			abort();
	}
	ts->at[ts->n++] = *t;
}

/* One side of the comparison: the recorder's rows as notes of the given type. */
static inline struct truths truths_of_recorder(int type)
{
	struct truths ts = { 0 };

	watch_lock();
	for (uint32_t i = 0; type != TRUTH_FAIL && i < watch->n_leases; i++) {
		const struct lease *l = &watch->leases[i];
		struct truth t = { .t0 = l->start, .t1 = l->end, .netns = l->netns, .port = l->port };

		if (l->port == FENCE_PORT || (type == TRUTH_OWN) != !!strcmp(l->kind, "accept") ||
		    (type == TRUTH_ACCEPT && strcmp(l->owner_src, "accept")))
			continue;
		t.inferred = watch->n_missed && !strcmp(l->evidence, "resync");
		if (type != TRUTH_OWN)
			t.rport = l->rport;
		if (type != TRUTH_CHILD)
			t.pid = l->pid;
		snprintf(t.proto, sizeof(t.proto), "%s", l->proto);
		snprintf(t.kind, sizeof(t.kind), "%s", l->kind);
		truths_add(&ts, &t);
	}
	for (uint32_t i = 0; type == TRUTH_FAIL && i < watch->n_fails; i++) {
		const struct failure *f = &watch->fails[i];
		struct truth t = { .netns = f->netns, .port = f->port, .pid = f->pid };

		if (strcmp(f->err, "EADDRINUSE"))
			continue;
		snprintf(t.proto, sizeof(t.proto), "%s", f->proto);
		snprintf(t.kind, sizeof(t.kind), "%s", f->kind);
		truths_add(&ts, &t);
	}
	watch_unlock();
	qsort(ts.at, ts.n, sizeof(*ts.at), truth_cmp);
	return ts;
}

static inline void truth_print(struct text *out, const char *what, const struct truth *t)
{
	text_add(out, "\n#   %s: netns %u %s/%u", what, t->netns, t->proto, t->port);
	if (t->rport)
		text_add(out, " from port %u", t->rport);
	text_add(out, " kind=%s pid=%d at %lld.%06lld", t->kind, t->pid, (long long)(t->t0 / 1000000000),
		 (long long)(t->t0 / 1000 % 1000000));
}

static inline bool within(int64_t t, int64_t from, int64_t to)
{
	return t >= from - CLOCK_SLACK_NS && t <= to + CLOCK_SLACK_NS;
}

/* Number of differences; the first ones go to `out`.  `timed`: notes carry times. */
static inline unsigned int truths_compare(const struct truths *did, const struct truths *told, bool timed, struct text *out)
{
	unsigned int bad = 0;
	size_t i = 0, j = 0;

	while (i < did->n || j < told->n) {
		const struct truth *d = i < did->n ? &did->at[i] : NULL, *t = j < told->n ? &told->at[j] : NULL;
		int c = !d ? 1 : !t ? -1 : truth_cmp_key(d, t);
		const char *what = NULL;

		if (c < 0)
			what = d->maybe ? NULL : "done, not told";
		else if (c > 0)
			what = "told, not done";
		else if (timed && !within(t->t0, d->t0, d->t1))
			what = "begins at another time than told";
		else if (timed && d->c1 && !t->inferred && !within(t->t1, d->c0, d->c1))
			what = "ends at another time than told";
		if (what && bad++ < SHOWN)
			truth_print(out, what, c <= 0 ? d : t);
		i += c <= 0;
		j += c >= 0;
	}
	return bad;
}

#endif
