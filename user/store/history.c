// SPDX-License-Identifier: GPL-2.0
/*
 * A directory of history files as one history; see history.h.
 *
 * Names carry spans, so only files that can hold an answer are opened.  A file
 * that vanishes between the list and its opening was sealed or evicted
 * meanwhile: then the list is read again.
 */
#include "store/history_priv.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "model/ask.h"
#include "store/hot.h"

#define ATTEMPTS 5
#define GAPS_MAX (1u << 20)	/* of one file: no recorder writes that many */
#define ROUNDED_NS 1000000000LL	/* names are rounded to seconds */
#define HOLE_NS (2 * ROUNDED_NS)
#define BEHIND_NS (10 * ROUNDED_NS)	/* a writer says once a second that it lives */
#define WAIT_NS (2 * ROUNDED_NS)	/* and by then has written what happened before */
#define WAIT_STEP_NS 20000000L
#define OLD_LATE_NS 1200000000LL	/* the same of an older version, which does not say what is written */

bool history_match(const struct history_query *q, const struct file_shape *s)
{
	if (q->proto && q->proto != s->proto)
		return false;
	if (q->netns && q->netns != s->netns)
		return false;
	return !q->by_addr || ask_meets(q->family, q->laddr, s->family, s->laddr, s->sock);
}

bool history_is_damage(int err)
{
	return err < 0 && err != -ENOMEM;
}

/* ---- files ---- */

void history_spoil(struct history *h, size_t i, int err)
{
	struct slot *s = &h->slots[i];

	if (!s->bad) {
		log_warn("history file '%s/%s' is passed over: %s", h->dir->path, s->name.name, db_strerror(err));
		h->info.skipped++;
	}
	file_close(s->file);
	s->file = NULL;
	s->bad = true;
}

/* Sealed since the directory was read: the same leases under another name. */
static int open_sealed(struct history *h, struct slot *s)
{
	struct dir_list list;
	int err = dir_list(h->dir, &list);

	if (err)
		return err;
	err = -ENOENT;
	for (size_t i = 0; err == -ENOENT && i < list.count; i++) {
		if (list.files[i].kind != DIR_SEALED || list.files[i].seq != s->name.seq)
			continue;
		s->name = list.files[i];
		err = file_open(h->dir, &s->name, &s->file);
	}
	dir_list_free(&list);
	return err;
}

int history_open_slot(struct history *h, struct slot *s)
{
	int err = s->file ? 0 : file_open(h->dir, &s->name, &s->file);

	return err == -ENOENT && s->name.kind == DIR_HOT ? open_sealed(h, s) : err;
}

static void note_partial(struct history *h, struct slot *s)
{
	if (s->partial)
		return;
	s->partial = true;
	h->info.skipped++;
	log_warn("history file '%s/%s': its -wal cannot be read, so its newest leases are missing", h->dir->path, s->name.name);
}

struct hfile *history_file(struct history *h, size_t i)
{
	struct slot *s = &h->slots[i];
	int err = s->bad ? 0 : history_open_slot(h, s);

	if (err)
		history_spoil(h, i, err);
	else if (s->file && file_is_partial(s->file))
		note_partial(h, s);
	return s->file;
}

void history_span(struct history *h, size_t i, int64_t *since, int64_t *until)
{
	const struct slot *s = &h->slots[i];

	*since = s->name.from;
	*until = s->name.to;
	if (s->name.kind == DIR_HOT) {
		*since = INT64_MIN;
		*until = INT64_MAX;
	}
}

static int compare_seq(const void *a, const void *b)
{
	const struct slot *x = a, *y = b;

	return x->name.seq < y->name.seq ? -1 : x->name.seq > y->name.seq;
}

static void free_slots(struct slot *slots, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		file_close(slots[i].file);
		free(slots[i].gaps);
	}
	free(slots);
}

static void drop_files(struct history *h)
{
	free_slots(h->slots, h->count);
	free(h->minutes);
	h->slots = NULL;
	h->minutes = NULL;
	h->count = h->n_minutes = 0;
}

/* What was said of a file is not said again. */
static void take_over(struct history *h, const struct slot *old, size_t n)
{
	for (size_t i = 0, k = 0; i < h->count; i++) {
		while (k < n && old[k].name.seq < h->slots[i].name.seq)
			k++;
		if (k == n || strcmp(old[k].name.name, h->slots[i].name.name))
			continue;
		h->slots[i].bad = old[k].bad;
		h->slots[i].partial = old[k].partial;
	}
}

static int list_files(struct history *h)
{
	struct slot *old = h->slots;
	size_t n_old = h->count;
	struct dir_list list;
	int err = dir_list(h->dir, &list);

	h->slots = NULL;
	h->count = 0;
	drop_files(h);
	h->info.bytes = 0;
	h->slots = calloc(list.count + 1, sizeof(*h->slots));
	h->minutes = calloc(list.count + 1, sizeof(*h->minutes));
	if (!err)
		err = h->slots && h->minutes ? 0 : -ENOMEM;
	for (size_t i = 0; !err && i < list.count; i++) {
		h->info.bytes += list.files[i].bytes;
		if (list.files[i].kind == DIR_MINUTES)
			h->minutes[h->n_minutes++] = list.files[i];
		else
			h->slots[h->count++].name = list.files[i];
	}
	dir_list_free(&list);
	if (!err && h->count)
		qsort(h->slots, h->count, sizeof(*h->slots), compare_seq);
	take_over(h, old, n_old);
	free_slots(old, n_old);
	h->info.files = (unsigned int)h->count;
	return err;
}

/* The hot files, of which there may be more than one for some seconds, and the youngest file of all. */
static int open_young(struct history *h)
{
	for (size_t i = h->count; i-- > 0;) {
		if (h->slots[i].name.kind != DIR_HOT && i + 1 < h->count)
			continue;
		if (dir_check(h->dir, h->slots[i].name.name, NULL) == -ENOENT)
			return -ENOENT;
		history_file(h, i);
	}
	return 0;
}

static bool has_hole(const struct history *h)
{
	for (size_t i = 1; i < h->count; i++)
		if (h->slots[i].name.seq != h->slots[i - 1].name.seq + 1)
			return true;
	return false;
}

/* ---- what is known of the whole ---- */

static int64_t session_end(struct history *h, struct hfile *f)
{
	int64_t until = db_int(file_db(f), "SELECT until FROM session ORDER BY id DESC LIMIT 1", 0);

	h->crashed = db_int(file_db(f), "SELECT ended FROM session ORDER BY id DESC LIMIT 1", 0) != SESSION_STOPPED;
	/* Killed between the birth of the file and its first commit: it begins where the one before ends. */
	return until ? until : file_meta(f)->since;
}

/* Too long ago; or of another boot, by a recorder that was not yet there. */
static bool is_stale(int64_t at)
{
	int64_t ago = time_sub_sat(clock_boot_ns(), at);

	return at && (ago < 0 || ago > BEHIND_NS);
}

/* A recorder that lives but does not write: its disk is full or slow, or hangs, or it was stopped, or has not begun. */
static bool pulse_behind(const struct dir_pulse *pulse)
{
	return !pulse->alive || is_stale(pulse->beat) || is_stale(pulse->written);
}

/* Before the files are looked at: what it says is written is in them then. */
static void read_pulse(struct history *h)
{
	dir_pulse(h->dir, &h->pulse, &h->info.live);
	h->info.pid = h->info.live ? h->pulse.pid : 0;
	h->info.behind = h->info.live && pulse_behind(&h->pulse);
}

/* What the name says of the oldest, and what any file remembers of the beginning. */
static void learn(struct history *h)
{
	int64_t oldest = 0;

	h->info.recorded_since = h->info.recorded_until = h->info.evicted_before = h->info.youngest = 0;
	for (size_t i = h->count; i-- > 0;) {
		struct hfile *f = h->slots[i].file ? h->slots[i].file : h->info.recorded_since ? NULL : history_file(h, i);

		if (f && !h->info.recorded_since) {
			h->info.recorded_since = file_meta(f)->recorded_since;
			h->info.recorded_until = file_kind(f) == DIR_HOT ? session_end(h, f) : h->slots[i].name.to;
		}
		if (h->slots[i].name.kind == DIR_SEALED && h->slots[i].name.to > h->info.youngest)
			h->info.youngest = h->slots[i].name.to;
		if (h->slots[i].name.kind == DIR_SEALED)
			oldest = h->slots[i].name.from;
		else if (f)
			oldest = file_meta(f)->since;
	}
	h->info.held_until = h->info.recorded_until;
	if (h->info.live && !h->info.behind)
		h->info.recorded_until = h->pulse.written ? time_add_sat(h->pulse.written, h->clock) : h->now;
	if (h->info.recorded_until > h->info.youngest)
		h->info.youngest = h->info.recorded_until;
	/* The first file begins where recording did; names are rounded outward to whole seconds. */
	if (oldest && h->info.recorded_since && oldest > h->info.recorded_since)
		h->info.evicted_before = oldest;
	else if (oldest && time_sub_sat(h->info.recorded_since, oldest) > ROUNDED_NS)
		h->info.recorded_since = oldest;	/* the clock has been set back since */
}

static int look(struct history *h)
{
	int err = 0;

	for (int attempt = 0; !err && attempt < ATTEMPTS; attempt++) {
		read_pulse(h);
		err = list_files(h);
		/* A number that is missing may have been renamed under our eyes; or it is set aside. */
		if (err || (!open_young(h) && (!has_hole(h) || attempt > 1)))
			break;
	}
	if (!err)
		learn(h);
	return err;
}

int history_open(const char *path, struct history **ret)
{
	struct history *h = calloc(1, sizeof(*h));
	int err = h ? dir_open(path, false, &h->dir) : -ENOMEM;

	if (!err) {
		h->now = clock_unix_ns();
		h->clock = clock_boot_to_unix();
		err = look(h);
	}
	if (!err && !h->count)
		err = -ENODATA;
	if (err) {
		history_close(h);
		return err;
	}
	*ret = h;
	return 0;
}

void history_close(struct history *h)
{
	if (!h)
		return;
	drop_files(h);
	dir_close(h->dir);
	free(h);
}

/* Until `at`, boot ns. */
static bool is_written(const struct dir_pulse *pulse, int64_t at)
{
	return (pulse->written ? pulse->written : clock_boot_ns() - OLD_LATE_NS) >= at;
}

int history_wait(struct history *h, int64_t at)
{
	int64_t now = clock_unix_ns(), begun = clock_boot_ns(), until;
	int err;

	h->now = at < now ? at : now;
	h->clock = clock_boot_to_unix();
	until = h->now - h->clock;
	for (read_pulse(h); h->info.live && !h->info.behind && !is_written(&h->pulse, until); read_pulse(h)) {
		if (clock_boot_ns() - begun > WAIT_NS)
			break;
		nanosleep(&(struct timespec){ .tv_nsec = WAIT_STEP_NS }, NULL);
	}
	err = look(h);
	if (!err && h->info.live && !h->info.behind && !is_written(&h->pulse, until)) {
		h->info.behind = true;
		h->info.recorded_until = h->info.held_until;
	}
	return err;
}

void history_info(const struct history *h, struct history_info *ret)
{
	*ret = h->info;
}

/* ---- gaps and coverage ---- */

/* Nobody records, or what is recorded is not written yet: a gap that has not ended. */
static int lasting_gap(struct history *h, int64_t since, int64_t until, int (*fn)(void *, const struct gap *), void *arg)
{
	struct gap gap = { .lost = -1, .from = h->info.recorded_until, .to = INT64_MAX,
			   .cause = h->info.live ? GAP_STORE : h->crashed ? GAP_CRASH : GAP_STOPPED };

	/* What is yet to come is no gap while a recorder waits for it. */
	if (h->info.live && !h->info.behind && until > h->now)
		until = h->now;
	if (!h->info.recorded_until || until <= gap.from)
		return 0;
	return fn(arg, &gap);
}

static int keep_gap(void *arg, const struct gap *gap)
{
	struct slot *s = arg;
	struct gap *gaps;

	if (s->n_gaps >= GAPS_MAX)
		return -EBADMSG;
	/* Doubled whenever it is a power of two. */
	gaps = s->n_gaps & (s->n_gaps - 1) ? s->gaps : realloc(s->gaps, (s->n_gaps ? 2 * s->n_gaps : 1) * sizeof(*gaps));
	if (!gaps)
		return -ENOMEM;
	s->gaps = gaps;
	s->gaps[s->n_gaps++] = *gap;
	return 0;
}

static int load_gaps(void *arg, struct hfile *f, size_t i)
{
	struct slot *s = &((struct history *)arg)->slots[i];

	if (s->gaps_known)
		return 0;
	s->gaps_known = true;
	return file_each_gap(f, INT64_MIN, INT64_MAX, keep_gap, s);
}

int history_gaps(struct history *h, int64_t since, int64_t until, int (*fn)(void *arg, const struct gap *gap), void *arg)
{
	int err = history_visit(h, since, until, load_gaps, h);

	if (!err)
		err = lasting_gap(h, since, until, fn, arg);
	for (size_t i = h->count; !err && i-- > 0;) {
		const struct slot *s = &h->slots[i];

		for (size_t n = 0; !err && n < s->n_gaps; n++)
			if (span_overlaps(s->gaps[n].from, s->gaps[n].to, since, until))
				err = fn(arg, &s->gaps[n]);
	}
	return err;
}

static int cover_gap(void *arg, const struct gap *gap)
{
	struct history_coverage *c = arg;

	c->gap = true;
	if (gap->lost < 0 || c->lost < 0)
		c->lost = -1;
	else
		c->lost = time_add_sat(c->lost, gap->lost);
	return 0;
}

/* As history_span(), but of a hot file only what it answers for. */
static void strict_span(struct history *h, size_t i, int64_t *since, int64_t *until)
{
	const struct slot *s = &h->slots[i];

	history_span(h, i, since, until);
	if (s->name.kind != DIR_HOT || !s->file)
		return;
	*since = file_meta(s->file)->since;
	if (i + 1 == h->count)
		*until = h->info.recorded_until;
}

/* Files follow each other without a break; where one is missing, so are its leases. */
static void cover_holes(struct history *h, int64_t since, int64_t until, struct history_coverage *c)
{
	int64_t end = 0, from, to;

	for (size_t i = 0; i < h->count; i++) {
		strict_span(h, i, &from, &to);
		if (end && from > time_add_sat(end, HOLE_NS) && span_overlaps(end, from, since, until))
			cover_gap(c, &(struct gap){ .lost = -1 });
		if (to > end)
			end = to;
	}
}

static void cover_span(struct history *h, int64_t since, int64_t until, struct history_coverage *c)
{
	for (size_t i = 0; i < h->count; i++) {
		int64_t from, to;

		strict_span(h, i, &from, &to);
		if (!span_overlaps(from, to, since, until))
			continue;
		c->skipped += h->slots[i].bad || h->slots[i].partial;
		if (h->slots[i].bad)
			continue;
		from = from < since ? since : from;
		to = to > until ? until : to;
		if (!c->seen_from || from < c->seen_from)
			c->seen_from = from;
		if (to > c->seen_to)
			c->seen_to = to;
	}
}

int history_cover(struct history *h, int64_t since, int64_t until, struct history_coverage *c)
{
	int err;

	memset(c, 0, sizeof(*c));
	c->evicted = h->info.evicted_before && since < h->info.evicted_before && until >= h->info.recorded_since;
	c->before = h->info.recorded_since && since < h->info.recorded_since;
	err = history_gaps(h, since, until, cover_gap, c);
	cover_holes(h, since, until, c);
	cover_span(h, since, until, c);
	return err;
}

bool history_incomplete(const struct history_coverage *c)
{
	return c->before || c->evicted || c->gap || c->skipped;
}

enum history_verdict history_verdict(const struct history_coverage *c, uint64_t rows)
{
	if (rows)
		return HISTORY_HELD;
	if (c->gap || c->skipped)
		return HISTORY_LOST;
	if (c->evicted)
		return HISTORY_EVICTED;
	return c->before ? HISTORY_BEFORE : HISTORY_NOBODY;
}
