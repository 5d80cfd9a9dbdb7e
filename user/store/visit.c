// SPDX-License-Identifier: GPL-2.0
/*
 * Asking many files the same thing: several at once, because opening a file
 * costs more than asking it, and a cold one waits for the disk; history_priv.h.
 */
#include "store/history_priv.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

#define THREADS_MAX 8
#define FILES_A_THREAD 4	/* fewer are not worth one */
#define KEEP_OPEN 32		/* files; more would be memory and descriptors */

struct visit {
	struct history *h;
	visit_fn fn;
	void *arg;
	int *errs;		/* by slot */
	size_t *wanted, n;	/* slots, the youngest first */
	atomic_size_t next;
};

static void visit_file(struct visit *v, size_t i)
{
	struct slot *s = &v->h->slots[i];
	bool kept = s->file || v->h->count <= KEEP_OPEN;

	v->errs[i] = history_open_slot(v->h, s);
	if (!v->errs[i])
		v->errs[i] = v->fn(v->arg, s->file, i);
	if (!kept) {
		file_close(s->file);
		s->file = NULL;
	}
}

static void *visit_some(void *arg)
{
	struct visit *v = arg;
	size_t n;

	while ((n = atomic_fetch_add(&v->next, 1)) < v->n)
		visit_file(v, v->wanted[n]);
	return NULL;
}

static void visit_all(struct visit *v)
{
	size_t want = v->n / FILES_A_THREAD, n = 0;
	pthread_t threads[THREADS_MAX];

	/* This one works too, and if need be alone. */
	while (n + 1 < want && n < THREADS_MAX && !pthread_create(&threads[n], NULL, visit_some, v))
		n++;
	visit_some(v);
	while (n)
		pthread_join(threads[--n], NULL);
}

static void visit_choose(struct visit *v, int64_t since, int64_t until)
{
	for (size_t i = v->h->count; i-- > 0;) {
		int64_t from, to;

		history_span(v->h, i, &from, &to);
		if (!v->h->slots[i].bad && span_overlaps(from, to, since, until))
			v->wanted[v->n++] = i;
	}
}

static int visit_errors(struct visit *v)
{
	struct history *h = v->h;
	int err = 0;

	for (size_t i = h->count; i-- > 0;) {
		if (history_is_damage(v->errs[i]))
			history_spoil(h, i, v->errs[i]);
		else if (v->errs[i])
			err = v->errs[i];
		else if (h->slots[i].file)
			history_file(h, i);	/* says what is to be said of it */
	}
	return err;
}

int history_visit(struct history *h, int64_t since, int64_t until, visit_fn fn, void *arg)
{
	struct visit v = { .h = h, .fn = fn, .arg = arg };
	int err = -ENOMEM;

	v.errs = calloc(h->count + 1, sizeof(*v.errs));
	v.wanted = calloc(h->count + 1, sizeof(*v.wanted));
	if (v.errs && v.wanted) {
		visit_choose(&v, since, until);
		visit_all(&v);
		err = visit_errors(&v);
	}
	free(v.errs);
	free(v.wanted);
	return err;
}
