/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the readers of several files share; see history.h.
 */
#ifndef PORTLIFE_STORE_HISTORY_PRIV_H
#define PORTLIFE_STORE_HISTORY_PRIV_H

#include "store/dict.h"
#include "store/file.h"
#include "store/history.h"

#define HISTORY_LATE_NS 60000000000LL	/* how late a row may reach the file */

struct slot {
	struct dir_file name;
	struct hfile *file;	/* opened when first needed */
	bool bad;		/* said already */
	bool partial;		/* the same, of one whose newest rows cannot be read */
	struct gap *gaps;	/* all of the file, once they were needed */
	size_t n_gaps;
	bool gaps_known;
};

struct history {
	struct store_dir *dir;
	struct slot *slots;	/* hot and sealed, oldest first */
	size_t count;
	struct dir_file *minutes;
	size_t n_minutes;
	struct history_info info;
	struct dir_pulse pulse;
	int64_t now, clock;	/* unix ns, and what to add to boot ns for it, of the last look at the directory */
	bool crashed;		/* the last session did not end as it should */
};

struct hit {
	int64_t end;		/* INT64_MAX: open */
	struct lease_row row;
};

/* For qsort(3): open ones first, then by end. */
int hit_newest_first(const void *a, const void *b);

/* Opens the file of a slot if it is not open; says nothing, and may run for several slots at once. */
int history_open_slot(struct history *h, struct slot *s);

/* The same, or says once why not; NULL then. */
struct hfile *history_file(struct history *h, size_t i);
/* Damaged after all: said once, closed, never read again. */
void history_spoil(struct history *h, size_t i, int err);
/* What the file answers for. */
void history_span(struct history *h, size_t i, int64_t *since, int64_t *until);
static inline bool span_overlaps(int64_t a, int64_t b, int64_t since, int64_t until)
{
	return a <= until && b >= since;
}

/*
 * Calls `fn` for each file that can be read and overlaps the span, for several at once: what it writes must be a
 * place of its own for each `i`.  Errors as those of reading are said and are no errors here.
 */
typedef int (*visit_fn)(void *arg, struct hfile *f, size_t i);
int history_visit(struct history *h, int64_t since, int64_t until, visit_fn fn, void *arg);

bool history_match(const struct history_query *q, const struct file_shape *s);
int history_cover(struct history *h, int64_t since, int64_t until, struct history_coverage *ret);
/* Errors of a file, as opposed to those of ours. */
bool history_is_damage(int err);

#endif
