// SPDX-License-Identifier: GPL-2.0
/*
 * The questions to the history: who held, what failed; history.h.
 *
 * A lease that was open when a file ended is in each file that it crossed, and
 * in the one where it ended.  It is told once, as of the youngest of the files
 * asked; its end is looked for in those that follow.
 */
#include "store/history_priv.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct hits {
	struct hit *all;
	size_t count, cap;
	size_t keep;		/* more than this are not needed, 0: all */
	const struct history_query *q;
};

static void hits_sort(struct hits *hits)
{
	if (hits->count)
		qsort(hits->all, hits->count, sizeof(*hits->all), hit_newest_first);
	if (hits->keep && hits->count > hits->keep)
		hits->count = hits->keep;
}

/* 1: asked for, 0: not. */
static int matches(struct hfile *f, const struct lease_row *row, const struct history_query *q)
{
	const struct file_shape *shape = file_get_shape(f, row->shape);

	return shape ? history_match(q, shape) : -EBADMSG;
}

static int hits_add(void *arg, struct hfile *f, const struct lease_row *row)
{
	struct hits *hits = arg;
	int err = matches(f, row, hits->q);

	if (err <= 0)
		return err;
	if (hits->keep && hits->count >= 2 * hits->keep + 1024)
		hits_sort(hits);
	if (hits->count == hits->cap) {
		size_t cap = hits->cap ? hits->cap * 2 : 64;
		struct hit *all = realloc(hits->all, cap * sizeof(*all));

		if (!all)
			return -ENOMEM;
		hits->all = all;
		hits->cap = cap;
	}
	hits->all[hits->count++] = (struct hit){ .end = row->open ? INT64_MAX : row->end, .row = *row };
	return 0;
}

/* ---- leases ---- */

struct walk {
	struct history *h;
	const struct history_query *q;
	history_fn fn;
	void *arg;
	struct idmap told;	/* leases that older files may tell again */
	uint64_t rows;
};

static bool same_boot(struct hfile *a, struct hfile *b)
{
	return !strcmp(file_meta(a)->boot_id, file_meta(b)->boot_id);
}

/* Open at the end of file `i`: does a later file know how it ended?  1, 0 or a negative errno. */
static int find_end(struct history *h, size_t i, const struct lease_row *row, size_t *in, struct lease_row *ret)
{
	for (size_t j = i + 1; j < h->count; j++) {
		struct hfile *f = history_file(h, j);
		int err;

		if (!f)
			continue;
		if (!same_boot(f, h->slots[i].file))
			return 0;
		err = file_find_end(f, row->port, row->id, row->start, ret);
		*in = j;
		if (err > 0 && !ret->open)
			return 1;
		if (history_is_damage(err))
			history_spoil(h, j, err);
		else if (err < 0)
			return err;
		/* Neither open nor ended there: its end was lost with something. */
		else if (!err && file_kind(f) == DIR_SEALED)
			return 0;
	}
	return 0;
}

/* Held when last seen: nobody knows for how long after that. */
static bool is_beyond(struct history *h, size_t i, const struct hit *hit, int64_t since)
{
	return hit->row.open && i + 1 == h->count && since > h->info.recorded_until;
}

/* A hot file that a set clock began: what it says of the time before is by a clock that nobody had then. */
static bool is_stepped(struct history *h, size_t i)
{
	struct hfile *f = h->slots[i].name.kind == DIR_HOT ? h->slots[i].file : NULL;

	return f && db_int(file_db(f), "SELECT count(*) FROM step", 0) > 0;
}

/* The end of a lease in the clock of a row that knew it as open: the wall clock may have been set between the two. */
static void end_by_clock_of(const struct lease_row *open, struct lease_row *end)
{
	int64_t moved = time_sub(open->start, end->start);

	end->start = open->start;
	end->end = time_add(end->end, moved);
	if (end->closed)
		end->closed = time_add(end->closed, moved);
}

static int tell(struct walk *w, size_t i, const struct hit *hit)
{
	struct lease_row end;
	struct event ev;
	size_t in = i;
	int err = 0;

	if (hit->row.open && i + 1 < w->h->count)
		err = find_end(w->h, i, &hit->row, &in, &end);
	if (err < 0)
		return err;
	if (err > 0)
		end_by_clock_of(&hit->row, &end);
	if (err > 0 && end.end <= w->q->since && end.start < w->q->since)
		return 0;
	err = err > 0 ? file_event(w->h->slots[in].file, &end, &ev) : file_event(w->h->slots[i].file, &hit->row, &ev);
	if (err)
		return err;
	w->rows++;
	return w->fn(w->arg, &ev);
}

/* Unless it was told already, from a later file. */
static int tell_once(struct walk *w, size_t i, const struct hit *hit)
{
	int64_t since = file_meta(w->h->slots[i].file)->since;

	if (is_beyond(w->h, i, hit, w->q->since) || idmap_get(&w->told, hit->row.id))
		return 0;
	if (hit->row.id && hit->row.start <= time_add_sat(since, HISTORY_LATE_NS) && idmap_put(&w->told, hit->row.id, 1) < 0)
		return -ENOMEM;
	return tell(w, i, hit);
}

static bool is_enough(const struct walk *w)
{
	return w->q->limit && w->rows >= w->q->limit;
}

static int tell_hits(struct walk *w, size_t i, struct hits *hits)
{
	int err = 0;

	hits_sort(hits);
	for (size_t n = 0; !err && n < hits->count && !is_enough(w); n++)
		err = tell_once(w, i, &hits->all[n]);
	return err;
}

static int walk_ordered(struct walk *w, size_t i, struct hfile *f, const struct file_span *span)
{
	struct hits hits = { .q = w->q, .keep = w->q->limit ? w->q->limit + w->told.used : 0 };
	int err = file_each_row(f, span, hits_add, &hits), told = 0;

	/* What was found before the damage is as good as any. */
	if (!err || history_is_damage(err))
		told = tell_hits(w, i, &hits);
	free(hits.all);
	return told ? told : err;
}

struct passing {
	struct walk *w;
	size_t i;
};

static int pass_row(void *arg, struct hfile *f, const struct lease_row *row)
{
	struct hit hit = { .end = row->open ? INT64_MAX : row->end, .row = *row };
	struct passing *p = arg;
	int err = matches(f, row, p->w->q);

	return err <= 0 || is_enough(p->w) ? (err < 0 ? err : 0) : tell_once(p->w, p->i, &hit);
}

static int walk_file(struct walk *w, size_t i)
{
	struct file_span span = { w->q->port_lo, w->q->port_hi, w->q->since, w->q->until };
	struct passing passing = { w, i };
	struct hfile *f = history_file(w->h, i);

	if (!f)
		return 0;
	return w->q->unordered ? file_each_row(f, &span, pass_row, &passing) : walk_ordered(w, i, f, &span);
}

static int check_query(const struct history_query *q)
{
	return q->port_lo > q->port_hi || q->since > q->until ? -EINVAL : 0;
}

int history_leases(struct history *h, const struct history_query *q, history_fn fn, void *arg,
		   struct history_coverage *coverage)
{
	struct walk w = { .h = h, .q = q, .fn = fn, .arg = arg };
	int err = check_query(q);

	for (size_t i = h->count; !err && i-- > 0;) {
		int64_t from, to;

		if (is_enough(&w))
			break;
		history_span(h, i, &from, &to);
		from = is_stepped(h, i) ? time_sub_sat(file_meta(h->slots[i].file)->since, HISTORY_LATE_NS) : from;
		/* What the oldest file knows of the time before it is all there is. */
		if (!span_overlaps(i ? from : INT64_MIN, to, q->since, q->until))
			continue;
		err = walk_file(&w, i);
		if (err == -EBADMSG || err == -EIO) {
			history_spoil(h, i, err);
			err = 0;
		}
	}
	idmap_clear(&w.told);
	return !err && coverage ? history_cover(h, q->since, q->until, coverage) : err;
}

/* ---- fails ---- */

static int pass_fail(void *arg, const struct event *ev)
{
	struct walk *w = arg;
	struct file_shape s = { .netns = ev->lease.netns, .proto = ev->lease.proto, .family = ev->lease.family };

	memcpy(s.laddr, ev->lease.laddr, sizeof(s.laddr));
	if (ev->lease.lport < w->q->port_lo || ev->lease.lport > w->q->port_hi || !history_match(w->q, &s))
		return 0;
	if (w->q->limit && w->rows >= w->q->limit)
		return 0;
	w->rows++;
	return w->fn(w->arg, ev);
}

int history_fails(struct history *h, const struct history_query *q, history_fn fn, void *arg,
		  struct history_coverage *coverage)
{
	struct walk w = { .h = h, .q = q, .fn = fn, .arg = arg };
	int err = check_query(q);

	for (size_t i = h->count; !err && i-- > 0;) {
		int64_t from, to;
		struct hfile *f;

		history_span(h, i, &from, &to);
		if (!span_overlaps(time_sub_sat(from, HISTORY_LATE_NS), to, q->since, q->until) || !(f = history_file(h, i)))
			continue;
		err = file_each_fail(f, q->since, q->until, pass_fail, &w);
		if (err == -EBADMSG || err == -EIO) {
			history_spoil(h, i, err);
			err = 0;
		}
	}
	return !err && coverage ? history_cover(h, q->since, q->until, coverage) : err;
}
