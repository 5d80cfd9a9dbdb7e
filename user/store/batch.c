// SPDX-License-Identifier: GPL-2.0
/*
 * Batches and their queue; see batch.h.
 */
#include "store/batch.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

struct batch *batch_new(size_t bytes)
{
	struct batch *b = malloc(sizeof(*b) + bytes);

	if (!b)
		return NULL;
	memset(b, 0, sizeof(*b));
	b->cap = bytes;
	return b;
}

size_t batch_room(const struct batch *b)
{
	return b->cap - b->len;
}

void *batch_add(struct batch *b, enum msg_kind kind, size_t size)
{
	size_t padded = (size + 7) & ~(size_t)7;
	struct msg *m = (struct msg *)(b->data + b->len);

	memset(m, 0, padded);
	m->kind = kind;
	m->size = (uint32_t)padded;
	b->len += padded;
	return m;
}

const struct msg *batch_next(const struct batch *b, const struct msg *m)
{
	const char *at = m ? (const char *)m + m->size : b->data;

	return at < b->data + b->len ? (const struct msg *)at : NULL;
}

size_t owner_size(const char *const *texts)
{
	size_t size = sizeof(struct msg_owner) + 8;

	for (int i = 0; i < OWNER_TEXTS; i++)
		size += texts[i] ? strnlen(texts[i], UINT16_MAX - 1) + 1 : 0;
	return size;
}

void owner_fill(struct msg_owner *m, const struct owner_key *key, int64_t start, const char *const *texts)
{
	char *at = m->text;

	m->key = *key;
	m->start = start;
	for (int i = 0; i < OWNER_TEXTS; i++) {
		size_t len = texts[i] ? strnlen(texts[i], UINT16_MAX - 1) + 1 : 0;

		m->len[i] = (uint16_t)len;
		if (!len)
			continue;
		memcpy(at, texts[i], len - 1);
		at[len - 1] = '\0';
		at += len;
	}
}

const char *owner_get_text(const struct msg_owner *m, enum owner_text which)
{
	const char *at = m->text;

	if (!m->len[which])
		return NULL;
	for (int i = 0; i < (int)which; i++)
		at += m->len[i];
	return at;
}

bool owner_from_event(const struct event *ev, struct owner_key *key, const char *texts[OWNER_TEXTS])
{
	const struct pl_lease *l = &ev->lease;

	texts[OWNER_EXE] = ev->exe;
	texts[OWNER_CGROUP] = ev->where.cgroup;
	texts[OWNER_UNIT] = ev->where.unit;
	texts[OWNER_CONTAINER] = ev->where.container_id;
	texts[OWNER_POD] = ev->where.pod_uid;
	texts[OWNER_CMDLINE] = ev->cmdline;
	if (!l->tgid && !l->comm[0] && !ev->exe && !l->exe && !l->cgroup && !ev->where.cgroup)
		return false;
	*key = (struct owner_key){ .boot_start = l->proc_start, .exe = l->exe, .cgroup = l->cgroup, .tgid = l->tgid,
				   .tid = l->tid, .ppid = l->ppid, .uid = l->uid };
	memcpy(key->comm, l->comm, strnlen(l->comm, sizeof(l->comm)));
	for (int i = 0; i < OWNER_TEXTS; i++)
		key->known |= (uint32_t)(texts[i] != NULL) << i;
	return true;
}

void row_from_event(const struct event *ev, struct row *row)
{
	const struct pl_lease *l = &ev->lease;
	bool fail = ev->kind == EV_FAIL;

	*row = (struct row){
		.id = l->id, .cookie = l->cookie, .start = fail ? ev->ts : ev->start, .end = ev->end, .closed = ev->closed,
		.netns = l->netns, .lport = l->lport, .rport = l->rport, .proto = l->proto, .family = l->family,
		.kind = l->kind, .flags = l->flags, .owner_src = l->owner_src, .reason = (uint8_t)ev->reason,
		.evidence = (uint8_t)ev->evidence, .sock = l->sock, .err = ev->err,
	};
	memcpy(row->laddr, l->laddr, sizeof(row->laddr));
	memcpy(row->raddr, l->raddr, sizeof(row->raddr));
}

/* ---- the queue ---- */

int queue_init(struct queue *q, size_t limit)
{
	pthread_condattr_t attr;

	memset(q, 0, sizeof(*q));
	q->limit = limit;
	q->tail = &q->head;
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_mutex_init(&q->lock, NULL);
	pthread_cond_init(&q->more, &attr);
	pthread_cond_init(&q->done, &attr);
	pthread_condattr_destroy(&attr);
	return 0;
}

void queue_destroy(struct queue *q)
{
	for (struct batch *b = q->head, *next; b; b = next) {
		next = b->next;
		free(b);
	}
	pthread_cond_destroy(&q->more);
	pthread_cond_destroy(&q->done);
	pthread_mutex_destroy(&q->lock);
}

bool queue_put(struct queue *q, struct batch *b)
{
	bool fits;

	pthread_mutex_lock(&q->lock);
	/* A single batch always fits, so that a small limit cannot stop all. */
	fits = !q->head || q->bytes + b->cap <= q->limit;
	if (fits) {
		b->next = NULL;
		*q->tail = b;
		q->tail = &b->next;
		q->bytes += b->cap;
		q->put++;
		q->told = b->drained > q->told ? b->drained : q->told;
		pthread_cond_signal(&q->more);
	}
	pthread_mutex_unlock(&q->lock);
	return fits;
}

static struct timespec deadline(int ms)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	t.tv_sec += ms / 1000;
	t.tv_nsec += ms % 1000 * 1000000L;
	if (t.tv_nsec >= 1000000000L) {
		t.tv_sec++;
		t.tv_nsec -= 1000000000L;
	}
	return t;
}

struct batch *queue_peek(struct queue *q, int ms, bool *stop)
{
	struct timespec until = deadline(ms);
	struct batch *b;

	pthread_mutex_lock(&q->lock);
	while (!q->head && !q->stop && !pthread_cond_timedwait(&q->more, &q->lock, &until))
		;
	b = q->head;
	*stop = q->stop;
	pthread_mutex_unlock(&q->lock);
	return b;
}

void queue_commit(struct queue *q)
{
	pthread_mutex_lock(&q->lock);
	if (!q->head->next)
		q->written = q->told;
	else if (q->head->drained)
		q->written = q->head->drained;
	pthread_mutex_unlock(&q->lock);
}

void queue_drop(struct queue *q)
{
	struct batch *b;

	pthread_mutex_lock(&q->lock);
	b = q->head;
	q->head = b->next;
	if (!q->head)
		q->tail = &q->head;
	q->bytes -= b->cap;
	q->taken++;
	pthread_cond_broadcast(&q->done);
	pthread_mutex_unlock(&q->lock);
	free(b);
}

void queue_reach(struct queue *q, int64_t drained)
{
	pthread_mutex_lock(&q->lock);
	q->told = drained;
	if (!q->head)
		q->written = drained;
	pthread_mutex_unlock(&q->lock);
}

int64_t queue_written(struct queue *q)
{
	int64_t written;

	pthread_mutex_lock(&q->lock);
	written = q->written;
	pthread_mutex_unlock(&q->lock);
	return written;
}

bool queue_wait(struct queue *q, int ms)
{
	struct timespec until = deadline(ms < 0 ? 0 : ms);
	uint64_t target;
	bool done;
	int rc = 0;

	pthread_mutex_lock(&q->lock);
	target = q->put;
	while (q->taken < target && !rc)
		rc = ms < 0 ? pthread_cond_wait(&q->done, &q->lock) : pthread_cond_timedwait(&q->done, &q->lock, &until);
	done = q->taken >= target;
	pthread_mutex_unlock(&q->lock);
	return done;
}

void queue_stop(struct queue *q)
{
	pthread_mutex_lock(&q->lock);
	q->stop = true;
	pthread_cond_broadcast(&q->more);
	pthread_mutex_unlock(&q->lock);
}

size_t queue_bytes(struct queue *q)
{
	size_t bytes;

	pthread_mutex_lock(&q->lock);
	bytes = q->bytes;
	pthread_mutex_unlock(&q->lock);
	return bytes;
}
