// SPDX-License-Identifier: GPL-2.0
/*
 * How often a port lived, for how long, and who had it last; history.h.
 *
 * Of ports with very many leases in one sealed file a sample is read: the rows
 * are numbered by port and start, so about every n-th one is fair.
 */
#include "store/history_priv.h"

#include <errno.h>
#include <stdlib.h>

#define SAMPLES 4096		/* rows read in one file */

int hit_newest_first(const void *a, const void *b)
{
	const struct hit *x = a, *y = b;

	if (x->end != y->end)
		return x->end < y->end ? 1 : -1;
	if (x->row.start != y->row.start)
		return x->row.start < y->row.start ? 1 : -1;
	return x->row.id < y->row.id ? 1 : x->row.id > y->row.id ? -1 : 0;
}

struct duration {
	int64_t ns;
	uint64_t weight;
};

struct durations {
	struct duration *all;
	size_t count, cap;
};

static int durations_add(struct durations *d, int64_t ns, uint64_t weight)
{
	if (d->count == d->cap) {
		size_t cap = d->cap ? d->cap * 2 : 64;
		struct duration *all = realloc(d->all, cap * sizeof(*all));

		if (!all)
			return -ENOMEM;
		d->all = all;
		d->cap = cap;
	}
	d->all[d->count++] = (struct duration){ ns, weight };
	return 0;
}

static int compare_duration(const void *a, const void *b)
{
	const struct duration *x = a, *y = b;

	return x->ns < y->ns ? -1 : x->ns > y->ns;
}

static int64_t durations_median(struct durations *d)
{
	uint64_t half = 0, sum = 0;

	for (size_t i = 0; i < d->count; i++)
		half += d->all[i].weight;
	half /= 2;
	if (d->count)
		qsort(d->all, d->count, sizeof(*d->all), compare_duration);
	for (size_t i = 0; i < d->count; i++)
		if ((sum += d->all[i].weight) > half)
			return d->all[i].ns;
	return -1;
}

/* ---- one file ---- */

struct life_scan {
	const struct history_query *q;
	bool youngest;		/* the last file: what is open there counts as a life */
	uint64_t stride;
	struct durations d;
	uint64_t lives;
	struct hit newest;
	bool any;
};

static int count_life(void *arg, struct hfile *f, const struct lease_row *row)
{
	struct life_scan *s = arg;
	const struct file_shape *shape = file_get_shape(f, row->shape);
	struct hit hit = { .end = row->open ? INT64_MAX : row->end, .row = *row };

	if (!shape)
		return -EBADMSG;
	if (!history_match(s->q, shape) || (row->open && !s->youngest))
		return 0;
	s->lives += s->stride;
	if (!s->any || hit_newest_first(&hit, &s->newest) < 0)
		s->newest = hit;
	s->any = true;
	/* Of what was held before recording began nobody knows how long it lived. */
	return row->open || (shape->flags & PL_F_SNAPSHOT) ? 0 :
	       durations_add(&s->d, time_sub_sat(row->end, row->start), s->stride);
}

/* One row of each stride, not always the same one: rows may come in a rhythm too. */
static int64_t jitter(int64_t n, uint64_t stride)
{
	return n ? (int64_t)(((uint64_t)n * 0x9e3779b97f4a7c15ULL >> 32) % stride) : 0;
}

/* Every stride-th row of the ports, about: in the order of start within a port, so a fair sample. */
static int sample_ports(struct hfile *f, struct life_scan *s)
{
	int64_t first, count;
	int err = file_ports(f, s->q->port_lo, s->q->port_hi, &first, &count);

	s->stride = count > SAMPLES ? (uint64_t)count / SAMPLES : 1;
	for (int64_t n = 0; !err && n < count; n += (int64_t)s->stride) {
		int64_t at = n + jitter(n, s->stride);
		struct lease_row row;

		/* From the end, so that the newest of one port is among them. */
		err = at < count ? file_get_row(f, first + count - 1 - at, s->q->port_lo, &row) : 0;
		if (err > 0)
			err = count_life(s, f, &row);
	}
	return err;
}

static int scan_lives(void *arg, struct hfile *f, size_t i)
{
	struct life_scan *s = &((struct life_scan *)arg)[i];
	struct file_span span = { s->q->port_lo, s->q->port_hi, INT64_MIN, INT64_MAX };

	s->stride = 1;
	return file_kind(f) == DIR_SEALED ? sample_ports(f, s) : file_each_row(f, &span, count_life, s);
}

/* ---- all ---- */

/* Of several ports the sample knows neither which one it was nor whether it was the last. */
static int find_newest(struct hfile *f, struct life_scan *s)
{
	struct life_scan exact = { .q = s->q, .youngest = s->youngest, .stride = 1 };
	struct file_span span = { s->q->port_lo, s->q->port_hi, INT64_MIN, INT64_MAX };
	int err;

	if (file_kind(f) != DIR_SEALED || span.lo == span.hi)
		return 0;
	err = file_each_row(f, &span, count_life, &exact);
	s->newest = exact.newest;
	free(exact.d.all);
	return err;
}

static int tell_newest(struct history *h, size_t i, struct life_scan *s, history_fn fn, void *arg)
{
	struct hfile *f = history_file(h, i);
	struct event ev;
	int err = f ? find_newest(f, s) : 0;

	if (f && !err)
		err = file_event(f, &s->newest.row, &ev);
	return !f || history_is_damage(err) ? 0 : err ? err : fn(arg, &ev);
}

static int add_up(struct life_scan *all, size_t count, struct history_lives *ret)
{
	struct durations d = { 0 };
	int err = 0;

	for (size_t i = 0; i < count; i++) {
		ret->lives += all[i].lives;
		ret->sampled |= all[i].stride > 1;
		for (size_t n = 0; !err && n < all[i].d.count; n++)
			err = durations_add(&d, all[i].d.all[n].ns, all[i].d.all[n].weight);
	}
	ret->median = durations_median(&d);
	free(d.all);
	return err;
}

int history_lives(struct history *h, const struct history_query *q, struct history_lives *ret, history_fn last, void *arg)
{
	struct life_scan *all = q->port_lo > q->port_hi ? NULL : calloc(h->count + 1, sizeof(*all));
	int err = q->port_lo > q->port_hi ? -EINVAL : all ? 0 : -ENOMEM;

	*ret = (struct history_lives){ .median = -1 };
	for (size_t i = 0; !err && i < h->count; i++)
		all[i] = (struct life_scan){ .q = q, .youngest = i + 1 == h->count };
	if (!err)
		err = history_visit(h, INT64_MIN, INT64_MAX, scan_lives, all);
	if (!err)
		err = add_up(all, h->count, ret);
	for (size_t i = h->count; !err && last && i-- > 0;)
		if (all[i].any) {
			err = tell_newest(h, i, &all[i], last, arg);
			break;
		}
	for (size_t i = 0; all && i < h->count; i++)
		free(all[i].d.all);
	free(all);
	return err;
}
