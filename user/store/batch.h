/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What travels from the thread that drains to the thread that writes: batches
 * of messages, each batch complete in itself (it brings the processes that its
 * rows refer to), so that it can be written again after any failure, even into
 * another file.
 *
 * Private to store/.  The queue is bounded; who cannot add counts the loss.
 */
#ifndef PORTLIFE_STORE_BATCH_H
#define PORTLIFE_STORE_BATCH_H

#include <linux/types.h>
#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "model/event.h"

enum msg_kind {
	MSG_OWNER = 1,
	MSG_LEASE,	/* ended */
	MSG_OPEN,	/* held */
	MSG_FAIL,
	MSG_GAP,
	MSG_MINUTE,
	MSG_STEP,	/* the wall clock was set */
	MSG_MERGED,	/* what the last session left open and nobody found has ended; a struct msg_complete */
	MSG_COMPLETE,	/* all that was held or had ended by then has been told */
	MSG_ROTATE,	/* alone in its batch */
};

struct msg {
	uint32_t kind, size;
};

/* What makes two owners one dictionary row. */
struct owner_key {
	uint64_t boot_start;	/* of the process, boot clock */
	uint64_t exe, cgroup;
	uint32_t tgid, tid, ppid, uid;
	char comm[PL_COMM_LEN];
	uint32_t known;		/* which strings are there: they may come later than the rest */
	uint32_t pad;
};

enum owner_text { OWNER_EXE, OWNER_CGROUP, OWNER_UNIT, OWNER_CONTAINER, OWNER_POD, OWNER_CMDLINE, OWNER_TEXTS };

struct msg_owner {
	struct msg msg;
	struct owner_key key;
	int64_t start;		/* of the process, unix ns, 0: unknown */
	uint16_t len[OWNER_TEXTS];	/* with NUL; 0: unknown */
	char text[];
};

/* A lease, or a fail with `start` as its time. */
struct row {
	uint64_t id, cookie;
	int64_t start, end, closed;
	uint32_t laddr[4], raddr[4];
	uint32_t netns;
	uint32_t owner;		/* number of the MSG_OWNER in this batch, from 0 */
	uint16_t lport, rport;
	uint8_t proto, family, kind, flags, owner_src, reason, evidence, sock;
	int32_t err;
};

struct msg_row {
	struct msg msg;
	struct row row;
};

struct msg_gap {
	struct msg msg;
	struct gap gap;
};

struct msg_step {
	struct msg msg;
	int64_t at, clock;
};

struct msg_complete {
	struct msg msg;
	int64_t at;
};

struct msg_minute {
	struct msg msg;
	int64_t at;
	struct summary sum;	/* its netns pointer means nothing here */
	struct summary_netns netns[];
};

struct batch {
	struct batch *next;
	size_t len, cap;
	uint32_t owners, rows, leases;
	int64_t first, last;	/* unix ns, of what would be lost with it */
	int64_t drained;	/* boot ns: what had happened by then is in this one or before it, 0: not said */
	bool rotate;		/* the file ends at `first` and the next begins at `last` */
	_Alignas(8) char data[];
};

#define BATCH_BYTES (640u << 10)

/* NULL without memory. */
struct batch *batch_new(size_t bytes);
size_t batch_room(const struct batch *b);
/* A message of `size` bytes in all, zeroed but for its head; there must be room. */
void *batch_add(struct batch *b, enum msg_kind kind, size_t size);
/* `m` NULL: the first one.  NULL: no more. */
const struct msg *batch_next(const struct batch *b, const struct msg *m);

/* What a message of this owner takes. */
size_t owner_size(const char *const *texts);
void owner_fill(struct msg_owner *m, const struct owner_key *key, int64_t start, const char *const *texts);
const char *owner_get_text(const struct msg_owner *m, enum owner_text which);

/* False when nothing is known of the owner. */
bool owner_from_event(const struct event *ev, struct owner_key *key, const char *texts[OWNER_TEXTS]);
/* All but `owner`. */
void row_from_event(const struct event *ev, struct row *row);

struct queue {
	pthread_mutex_t lock;
	pthread_cond_t more, done;
	struct batch *head, **tail;
	size_t bytes, limit;
	uint64_t put, taken;	/* batches, ever */
	int64_t told, written;	/* boot ns: what had happened by then was put, is on disk */
	bool stop;
};

int queue_init(struct queue *q, size_t limit);
void queue_destroy(struct queue *q);
/* False when the bytes are above the limit: the batch stays the caller's. */
bool queue_put(struct queue *q, struct batch *b);
/* Waits up to `ms` for a batch to be there; it stays at the head until queue_drop(). */
struct batch *queue_peek(struct queue *q, int ms, bool *stop);
/* The head is on disk. */
void queue_commit(struct queue *q);
void queue_drop(struct queue *q);
/* Nothing but what was put happened until then. */
void queue_reach(struct queue *q, int64_t drained);
int64_t queue_written(struct queue *q);
/* Waits until all that was put is gone; false after `ms` (negative: for ever). */
bool queue_wait(struct queue *q, int ms);
void queue_stop(struct queue *q);
size_t queue_bytes(struct queue *q);

#endif
