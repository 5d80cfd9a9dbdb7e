// SPDX-License-Identifier: GPL-2.0
/*
 * The draining side of the writer: packs events into batches and hands them
 * over; see store.h.  Nothing here touches the disk.
 */
#include "store/store.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "store/dict.h"
#include "store/writer.h"

#define NS_PER_SEC 1000000000LL
#define NS_PER_MS 1000000LL
#define BATCH_LEASES 5000
#define STEP_NS NS_PER_SEC
#define CLOSE_MS 5000
#define ROTATE_AGAIN (10 * NS_PER_SEC)
#define DRAIN_NS (50 * NS_PER_MS)	/* how long what happened may be on its way to us */

struct store {
	struct writer w;
	struct batch *cur;		/* being filled, NULL: none */
	int64_t cur_since;		/* boot ns of its first row */
	int64_t ticked, drained;	/* boot ns: of the last tick; what had happened by then was told to us */
	struct dict *owners;		/* in the batch at hand */
	struct idmap told;		/* open leases that this hot file knows */
	unsigned int epoch;
	uint64_t leases;		/* ended ones and fails, given to the hot file */
	int64_t file_since, opened_at, clock;	/* boot ns, boot ns, unix - boot */
	int64_t rotate_at;		/* boot ns: not before */
	int64_t looked;			/* unix ns: the last look at what is open */
	bool looking;			/* inside each_open */
	bool merged;			/* MSG_MERGED is still to be said */
	struct msg_step step;		/* of the wall clock, not yet noted; `at` 0: none */
	struct gap lost;		/* rows and gaps without room, not yet told of; `to` 0: none; lost -1: not known how many */
	atomic_ullong lost_total;
	struct store_opts opts;
};

#define LEASES_MOST 1000000
#define LEASES_LEAST 10000

static int64_t or_default(int64_t value, int64_t otherwise)
{
	return value ? value : otherwise;
}

/*
 * Retention removes sealed files alone: the hot one, which takes some 120 bytes a lease, must leave room for them.  A
 * file has its own dictionaries, so that there is a least size, too.
 */
static uint64_t leases_a_file(uint64_t retain_bytes)
{
	uint64_t quarter = retain_bytes / 4 / 120;

	return !retain_bytes || quarter > LEASES_MOST ? LEASES_MOST : quarter < LEASES_LEAST ? LEASES_LEAST : quarter;
}

static void set_defaults(struct store *st, const struct store_opts *opts)
{
	st->opts = *opts;
	st->opts.rotate_leases = opts->rotate_leases ? opts->rotate_leases : leases_a_file(opts->retain_bytes);
	st->opts.rotate_age = or_default(opts->rotate_age, 3600 * NS_PER_SEC);
	st->opts.commit_age = or_default(opts->commit_age, 750 * NS_PER_MS);
	st->opts.close_age = or_default(opts->close_age, 20 * NS_PER_SEC);
	st->opts.open_age = or_default(opts->open_age, 60 * NS_PER_SEC);
	st->opts.dir = st->opts.host = st->opts.boot_id = st->opts.version = NULL;
}

int store_open_writer(const struct store_opts *opts, struct store **ret)
{
	struct store *st = calloc(1, sizeof(*st));
	int err;

	if (!st)
		return -ENOMEM;
	set_defaults(st, opts);
	err = writer_open(&st->w, opts);
	if (!err)
		err = dict_new(sizeof(struct owner_key), 10, &st->owners);
	if (!err && !opts->begin_later)
		err = store_begin(st);
	if (err) {
		store_close(st);
		return err;
	}
	*ret = st;
	return 0;
}

/* A file taken up again has its age; one from a strange clock counts as new. */
int store_begin(struct store *st)
{
	int64_t now = clock_boot_ns(), age = st->w.hot ? st->w.unix_now() - hot_since(st->w.hot) : 0;

	st->file_since = age > 0 ? now - age : now;
	st->leases = st->w.hot ? hot_leases(st->w.hot) : 0;
	st->opened_at = st->ticked = st->drained = now;
	st->looked = st->w.unix_now();
	st->clock = clock_boot_to_unix();
	return writer_start(&st->w);
}

/* ---- batches ---- */

static void merge_lost(struct store *st, const struct gap *gap)
{
	if (!st->lost.to || gap->from < st->lost.from)
		st->lost.from = gap->from;
	st->lost.lost = gap->lost < 0 || st->lost.lost < 0 ? -1 : st->lost.lost + gap->lost;
	if (gap->to > st->lost.to)
		st->lost.to = gap->to;
	st->lost.cause = GAP_STORE;
}

static void note_lost(struct store *st, int64_t from, int64_t to, uint32_t rows)
{
	merge_lost(st, &(struct gap){ .lost = rows, .from = from, .to = to });
	atomic_fetch_add(&st->lost_total, rows);
}

/* Nobody takes it: its rows are lost, and what it says must be said by the next one. */
static void drop_batch(struct store *st)
{
	struct batch *b = st->cur;

	for (const struct msg *m = batch_next(b, NULL); m; m = batch_next(b, m)) {
		if (m->kind == MSG_GAP)
			merge_lost(st, &((const struct msg_gap *)m)->gap);
		if (m->kind == MSG_STEP)
			st->step = *(const struct msg_step *)m;
		st->merged |= m->kind == MSG_MERGED;
	}
	if (b->rows)
		note_lost(st, b->first, b->last, b->rows);
	idmap_clear(&st->told);
	free(b);
	st->cur = NULL;
}

static void hand_over(struct store *st)
{
	struct batch *b = st->cur, *small;

	if (!b)
		return;
	/* Half empty ones must not fill the queue's account. */
	small = b->len < b->cap / 2 ? realloc(b, sizeof(*b) + b->len) : NULL;
	if (small) {
		b = st->cur = small;
		b->cap = b->len;
	}
	b->drained = st->drained;
	if (queue_put(&st->w.queue, b))
		st->cur = NULL;
	else
		drop_batch(st);
}

static void add_merged(struct store *st)
{
	struct msg_complete *m = batch_add(st->cur, MSG_MERGED, sizeof(*m));

	m->at = st->w.unix_now();
}

static void add_step(struct store *st)
{
	struct msg_step *m = batch_add(st->cur, MSG_STEP, sizeof(*m));

	m->at = st->step.at;
	m->clock = st->step.clock;
	st->step.at = 0;
}

static int begin_batch(struct store *st)
{
	st->cur = batch_new(BATCH_BYTES);
	if (!st->cur)
		return -ENOBUFS;
	st->cur_since = clock_boot_ns();
	dict_clear(st->owners);
	if (st->lost.to) {
		struct msg_gap *m = batch_add(st->cur, MSG_GAP, sizeof(*m));

		m->gap = st->lost;
		memset(&st->lost, 0, sizeof(st->lost));
	}
	if (st->merged)
		add_merged(st);
	st->merged = false;
	if (st->step.at)
		add_step(st);
	return 0;
}

/* Room for `size` bytes, in a new batch if need be. */
static int make_room(struct store *st, size_t size)
{
	if (st->cur && batch_room(st->cur) < size)
		hand_over(st);
	return st->cur ? 0 : begin_batch(st);
}

static void note_time(struct batch *b, int64_t from, int64_t ts)
{
	if (!b->rows || from < b->first)
		b->first = from;
	if (!b->rows || ts > b->last)
		b->last = ts;
}

static uint32_t put_owner(struct store *st, const struct event *ev, const struct owner_key *key, const char *const *texts,
			  size_t size)
{
	uint32_t number = dict_get(st->owners, key);
	struct msg_owner *m;

	if (number)
		return number - 1;
	m = batch_add(st->cur, MSG_OWNER, size);
	owner_fill(m, key, ev->proc_start, texts);
	number = ++st->cur->owners;
	dict_put(st->owners, key, number);
	return number - 1;
}

/* Where its loss would leave a hole: what began before the last look is known to be open at least. */
static int64_t hole_from(const struct store *st, const struct event *ev)
{
	int64_t start = ev->kind == EV_FAIL || !ev->start ? ev->ts : ev->start;

	return start < st->looked && st->looked < ev->ts ? st->looked : start < ev->ts ? start : ev->ts;
}

static int put_row(struct store *st, enum msg_kind kind, const struct event *ev)
{
	const char *texts[OWNER_TEXTS];
	struct owner_key key;
	bool owned = owner_from_event(ev, &key, texts);
	size_t size = owned ? owner_size(texts) : 0;
	int err = make_room(st, size + sizeof(struct msg_row) + 16);
	uint32_t owner = UINT32_MAX;
	struct msg_row *m;

	if (err) {
		note_lost(st, hole_from(st, ev), ev->ts, 1);
		return err;
	}
	if (owned)
		owner = put_owner(st, ev, &key, texts, size);
	m = batch_add(st->cur, kind, sizeof(*m));
	row_from_event(ev, &m->row);
	m->row.owner = owner;
	note_time(st->cur, hole_from(st, ev), ev->ts);
	st->cur->rows++;
	/* What is open does not count: told anew in each file, it would soon make one after the other. */
	st->leases += kind != MSG_OPEN;
	if (++st->cur->leases >= BATCH_LEASES)
		hand_over(st);
	return 0;
}

/* ---- events ---- */

int store_lease(struct store *st, const struct event *ev)
{
	if (st->told.used)
		idmap_del(&st->told, ev->lease.id);
	return put_row(st, MSG_LEASE, ev);
}

int store_open_lease(struct store *st, const struct event *ev)
{
	unsigned int epoch = atomic_load(&st->w.epoch);
	int err;

	if (epoch != st->epoch) {
		idmap_clear(&st->told);
		st->epoch = epoch;
	}
	if (!ev->lease.id || idmap_get(&st->told, ev->lease.id))
		return 0;
	err = put_row(st, MSG_OPEN, ev);
	if (!err)
		idmap_put(&st->told, ev->lease.id, 1);	/* without room it is told again with the next look */
	return err;
}

int store_fail(struct store *st, const struct event *ev)
{
	return put_row(st, MSG_FAIL, ev);
}

void store_merged(struct store *st)
{
	if (make_room(st, sizeof(struct msg_complete)))
		st->merged = true;	/* the next batch says it */
	else
		add_merged(st);
}

int store_gap(struct store *st, const struct gap *gap)
{
	struct msg_gap *m;
	int err = make_room(st, sizeof(*m));

	if (err) {
		merge_lost(st, gap);
		return err;
	}
	m = batch_add(st->cur, MSG_GAP, sizeof(*m));
	m->gap = *gap;
	return 0;
}

int store_minute(struct store *st, const struct event *ev)
{
	const struct summary *s = ev->summary;
	struct msg_minute *m;
	size_t size;
	int err;

	if (!s || s->n_netns > 4096)
		return -EINVAL;
	size = sizeof(*m) + s->n_netns * sizeof(*s->netns);
	err = make_room(st, size + 8);
	if (err)
		return err;
	m = batch_add(st->cur, MSG_MINUTE, size);
	m->at = ev->ts;
	m->sum = *s;
	m->sum.netns = NULL;
	if (s->n_netns)
		memcpy(m->netns, s->netns, s->n_netns * sizeof(*s->netns));
	return 0;
}

/* ---- time ---- */

void store_commit(struct store *st)
{
	hand_over(st);
}

/* All that has been drained is told: a crash loses nothing that was before. */
static void say_complete(struct store *st, int64_t at)
{
	struct msg_complete *m;

	st->looked = at;
	if (make_room(st, sizeof(*m)))
		return;
	m = batch_add(st->cur, MSG_COMPLETE, sizeof(*m));
	m->at = at;
}

/* `now`: unix ns, by the clock that each_open tells times by. */
static void look_at_open(struct store *st, int64_t now)
{
	if (!st->opts.each_open || st->looking)
		return;
	st->looking = true;
	st->opened_at = clock_boot_ns();
	st->opts.each_open(st->opts.each_open_arg, st);
	st->looking = false;
	say_complete(st, now - DRAIN_NS);
}

/* The old file answers until `until`, the new one from `since` on: the same instant, by the clock of each. */
static int change_file(struct store *st, int64_t until, int64_t since)
{
	struct batch *b;

	/* Before, so that the old file answers for its span; after (the caller), so that a crash finds all in the new one. */
	look_at_open(st, until);
	hand_over(st);
	b = batch_new(0);
	if (!b)
		return -ENOMEM;
	b->rotate = true;
	b->first = until;
	b->last = since;
	if (!queue_put(&st->w.queue, b)) {
		free(b);
		return -ENOBUFS;
	}
	idmap_clear(&st->told);
	st->leases = 0;
	st->file_since = clock_boot_ns();
	return 0;
}

int store_rotate(struct store *st)
{
	int64_t now = st->w.unix_now();
	int err = change_file(st, now, now);

	if (err)
		return err;
	look_at_open(st, st->w.unix_now());
	hand_over(st);
	return 0;
}

void store_clock(struct store *st, int64_t clock)
{
	int64_t moved = clock - st->clock, now = st->w.unix_now();

	if (moved < STEP_NS && moved > -STEP_NS)
		return;
	/* Without room for it the step is noted in the file at hand: its times are of two clocks. */
	change_file(st, now - moved, now);
	st->clock = clock;
	st->looked = now;
	st->opened_at = clock_boot_ns() - st->opts.open_age;	/* the next tick, by the new clock */
	st->step = (struct msg_step){ .at = now, .clock = clock };
	make_room(st, sizeof(st->step));	/* a batch begins with it: this one, or where there is no room the next */
}

/* Nothing waits here: what was handed over is all that happened until then. */
static void note_drained(struct store *st, int64_t at)
{
	st->drained = at > st->drained ? at : st->drained;
	if (!st->cur && !st->lost.to && !st->merged && !st->step.at)
		queue_reach(&st->w.queue, st->drained);
}

void store_tick(struct store *st)
{
	int64_t now = clock_boot_ns();

	/* The drain of which this is the end began after the tick before, and may have taken its time. */
	note_drained(st, st->ticked - DRAIN_NS);
	st->ticked = now;
	if (st->cur && now - st->cur_since >= st->opts.commit_age)
		hand_over(st);
	if (now >= st->rotate_at && (st->leases >= st->opts.rotate_leases || now - st->file_since >= st->opts.rotate_age)) {
		/* A full queue: not now, and not at every tick, for each tells all that is open. */
		if (store_rotate(st))
			st->rotate_at = now + ROTATE_AGAIN;
	} else if (now - st->opened_at >= st->opts.open_age) {
		look_at_open(st, st->w.unix_now());
	}
}

int store_flush(struct store *st, int ms)
{
	note_drained(st, clock_boot_ns());
	hand_over(st);
	return queue_wait(&st->w.queue, ms) ? 0 : -ETIMEDOUT;
}

int store_settle(struct store *st, int ms)
{
	int err = store_flush(st, ms);

	return err ? err : sealer_wait(&st->w.sealer, ms) ? 0 : -ETIMEDOUT;
}

void store_stats(struct store *st, struct store_stats *ret)
{
	struct sealer_thread *s = &st->w.sealer;

	pthread_mutex_lock(&st->w.stats_lock);
	*ret = st->w.stats;
	pthread_mutex_unlock(&st->w.stats_lock);
	ret->lost += atomic_load(&st->lost_total);
	ret->queue_bytes = queue_bytes(&st->w.queue);
	pthread_mutex_lock(&s->lock);
	ret->sealed = s->sealed;
	ret->evicted = s->evicted;
	ret->write_errors += s->errors;
	ret->set_aside += s->set_aside;
	ret->bytes = s->bytes;
	if (s->oldest)
		ret->oldest = s->oldest;
	if (!ret->last_error)
		ret->last_error = s->last_error;
	pthread_mutex_unlock(&s->lock);
}

/* What had no room is told as lost, if the disk takes it by then. */
static void finish(struct store *st)
{
	hand_over(st);
	if (st->lost.to && queue_wait(&st->w.queue, CLOSE_MS) && !begin_batch(st))
		hand_over(st);
}

int store_close(struct store *st)
{
	int err;

	if (!st)
		return 0;
	st->w.give_up_at = clock_boot_ns() + st->opts.close_age;
	if (st->w.running)
		finish(st);
	free(st->cur);
	err = writer_close(&st->w, &st->lost);
	dict_free(st->owners);
	idmap_clear(&st->told);
	free(st);
	return err;
}
