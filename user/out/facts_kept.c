// SPDX-License-Identifier: GPL-2.0
/*
 * See facts_kept.h.  A line is taken from here only if all that its facts are
 * made of is the same, texts compared by their bytes.
 */
#include "out/facts_kept.h"

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#define SLOTS 8			/* a power of two */
#define KEPT_BYTES 1024
#define KEPT_TEXT 512
#define NUMS 5
#define TEXTS 5

/* What the facts of a run are made of. */
struct made_of {
	uint64_t nums[NUMS];
	const char *texts[TEXTS];	/* NULL: unknown */
};

struct kept {
	struct made_of of;		/* its texts point into `text` */
	size_t len;			/* 0: empty */
	char bytes[KEPT_BYTES], text[KEPT_TEXT];
};

static struct made_of made_of(enum facts_run run, const struct event *ev)
{
	const struct pl_lease *l = &ev->lease;
	struct made_of of = {
		.nums = { (uint64_t)l->tgid << 32 | l->tid, (uint64_t)l->ppid << 32 | l->uid, (uint64_t)ev->proc_start },
		.texts = { ev->exe, ev->where.cgroup, ev->where.unit, ev->where.container_id, ev->where.pod_uid },
	};

	if (run == RUN_HOST)
		return (struct made_of){ .texts = { ev->host, ev->boot_id } };
	if (run == RUN_HOW)
		return (struct made_of){ .nums = { ev->reason, (uint64_t)ev->err, ev->evidence, l->owner_src, l->flags },
					 .texts = { ev->cmdline } };
	memcpy(&of.nums[3], l->comm, PL_COMM_LEN);
	return of;
}

static struct kept *kept_slot(enum facts_run run, const struct event *ev)
{
	static _Thread_local struct kept host, processes[SLOTS], hows[SLOTS];

	if (run == RUN_HOST)
		return &host;
	return run == RUN_HOW ? &hows[ev->kind % SLOTS] : &processes[ev->lease.tid % SLOTS];
}

static bool same_text(const char *a, const char *b)
{
	return a && b ? !strcmp(a, b) : a == b;
}

const char *facts_kept_find(enum facts_run run, const struct event *ev, size_t *len)
{
	const struct kept *k = kept_slot(run, ev);
	struct made_of of = made_of(run, ev);

	if (!k->len || memcmp(k->of.nums, of.nums, sizeof(of.nums)))
		return NULL;
	for (int i = 0; i < TEXTS; i++)
		if (!same_text(k->of.texts[i], of.texts[i]))
			return NULL;
	*len = k->len;
	return k->bytes;
}

void facts_kept_put(enum facts_run run, const struct event *ev, const char *bytes, size_t len)
{
	struct kept *k = kept_slot(run, ev);
	size_t at = 0;

	k->len = 0;
	k->of = made_of(run, ev);
	for (int i = 0; i < TEXTS; i++) {
		size_t size = k->of.texts[i] ? strlen(k->of.texts[i]) + 1 : 0;

		if (at + size > KEPT_TEXT)
			return;
		if (size)
			k->of.texts[i] = memcpy(k->text + at, k->of.texts[i], size);
		at += size;
	}
	if (len > KEPT_BYTES)
		return;
	memcpy(k->bytes, bytes, len);
	k->len = len;
}
_Static_assert(PL_COMM_LEN == 2 * sizeof(uint64_t), "a name fills two numbers");
