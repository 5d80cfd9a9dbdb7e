// SPDX-License-Identifier: GPL-2.0
/*
 * Continuing leases over a restart; see carry.h.
 */
#include "store/carry.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "store/dict.h"

#define BUCKETS 65536u
#define NONE UINT32_MAX

struct carry {
	struct carried *all;
	size_t count, cap, waiting, live;
	uint32_t by_socket[BUCKETS], by_id[BUCKETS];
	uint64_t *ended;	/* ids of this session, since the last commit */
	size_t n_ended, cap_ended;
	bool end_waiting;
	struct msg_owner **owners;
	size_t n_owners;
};

int carry_new(struct carry **ret)
{
	struct carry *c = calloc(1, sizeof(*c));

	if (!c)
		return -ENOMEM;
	memset(c->by_socket, 0xff, sizeof(c->by_socket));
	memset(c->by_id, 0xff, sizeof(c->by_id));
	*ret = c;
	return 0;
}

static void carry_empty(struct carry *c)
{
	for (size_t i = 0; i < c->n_owners; i++)
		free(c->owners[i]);
	free(c->owners);
	free(c->all);
	c->all = NULL;
	c->owners = NULL;
	c->count = c->cap = c->waiting = c->live = c->n_owners = 0;
	memset(c->by_socket, 0xff, sizeof(c->by_socket));
	memset(c->by_id, 0xff, sizeof(c->by_id));
}

void carry_free(struct carry *c)
{
	if (!c)
		return;
	carry_empty(c);
	free(c->ended);
	free(c);
}

size_t carry_count(const struct carry *c)
{
	return c->live;
}

/* ---- finding ---- */

/* How much of the addresses a look-up uses: a socket may have been connected meanwhile. */
enum depth { DEPTH_BOTH, DEPTH_LOCAL, DEPTH_PORT, DEPTHS };

static uint32_t bucket_of_socket(const struct row *r, enum depth depth)
{
	struct {
		uint32_t netns, laddr[4], raddr[4];
		uint16_t lport, rport;
		uint32_t proto;
	} key = { .netns = r->netns, .lport = r->lport, .proto = r->proto };

	if (depth <= DEPTH_LOCAL)
		memcpy(key.laddr, r->laddr, sizeof(key.laddr));
	if (depth == DEPTH_BOTH) {
		memcpy(key.raddr, r->raddr, sizeof(key.raddr));
		key.rport = r->rport;
	}
	return (uint32_t)dict_hash(2, &key, sizeof(key)) % BUCKETS;
}

static uint32_t bucket_of_id(uint64_t id)
{
	return (uint32_t)dict_hash(3, &id, sizeof(id)) % BUCKETS;
}

static bool same_port(const struct row *a, const struct row *b)
{
	return a->netns == b->netns && a->proto == b->proto && a->lport == b->lport;
}

static bool same_ends(const struct row *a, const struct row *b)
{
	return !memcmp(a->laddr, b->laddr, sizeof(a->laddr)) && !memcmp(a->raddr, b->raddr, sizeof(a->raddr)) &&
	       a->rport == b->rport;
}

/* The owner of `now` travels beside the row; 0: not known. */
static bool same_socket(const struct carried *old, const struct row *now, uint32_t tgid, uint64_t boot_start)
{
	const struct owner_key *key = old->owner ? &old->owner->key : NULL;

	if (!same_port(&old->row, now))
		return false;
	if (old->row.cookie && now->cookie)
		return old->row.cookie == now->cookie;
	if (!tgid)	/* an orphan or in TIME_WAIT: nobody has it open, so only its ends can tell */
		return now->rport && same_ends(&old->row, now);
	return key && key->tgid == tgid && key->boot_start == boot_start;
}

static struct carried *find_id(struct carry *c, uint64_t id)
{
	for (uint32_t i = c->by_id[bucket_of_id(id)]; i != NONE; i = c->all[i].next_id)
		if (c->all[i].now_id == id && !c->all[i].gone)
			return &c->all[i];
	return NULL;
}

static struct carried *find_socket(struct carry *c, const struct row *row, uint32_t tgid, uint64_t boot_start)
{
	for (enum depth depth = DEPTH_BOTH; depth < DEPTHS; depth++) {
		struct carried *e;

		for (uint32_t i = c->by_socket[bucket_of_socket(row, depth)]; i != NONE; i = e->next_socket) {
			e = &c->all[i];
			if (!e->now_id && !e->gone && same_socket(e, row, tgid, boot_start))
				return e;
		}
	}
	return NULL;
}

const struct carried *carry_find(struct carry *c, const struct row *row, const struct owner_key *owner, bool snapshot)
{
	struct carried *e;
	uint32_t *bucket;

	if (!c->live)
		return NULL;
	e = find_id(c, row->id);
	if (e || !snapshot || !c->waiting)
		return e;
	e = find_socket(c, row, owner ? owner->tgid : 0, owner ? owner->boot_start : 0);
	if (!e)
		return NULL;
	e->now_id = row->id;
	bucket = &c->by_id[bucket_of_id(row->id)];
	e->next_id = *bucket;
	*bucket = (uint32_t)(e - c->all);
	c->waiting--;
	return e;
}

void carry_apply(const struct carried *old, struct row *row)
{
	const uint8_t origin = PL_F_CHOSEN | PL_F_IN_RANGE | PL_F_SNAPSHOT;

	row->id = old->row.id;
	row->start = old->row.start;
	row->kind = old->row.kind;
	row->evidence = row->evidence == EVIDENCE_RESYNC ? row->evidence : old->row.evidence;
	row->flags = (uint8_t)((row->flags & ~origin) | (old->row.flags & origin));
	if (!row->closed)
		row->closed = old->row.closed;
	if (old->owner)
		row->owner_src = old->row.owner_src;
	/* The wall clock may have been set back since. */
	if (row->end && row->end < row->start)
		row->end = row->start;
}

void carry_shift(struct carry *c, int64_t moved)
{
	for (size_t i = 0; i < c->count; i++) {
		struct row *row = &c->all[i].row;

		row->start = time_add_sat(row->start, moved);
		row->closed = row->closed ? time_add_sat(row->closed, moved) : 0;
	}
}

const struct carried *carry_next_waiting(const struct carry *c, size_t *i)
{
	while (*i < c->count) {
		const struct carried *e = &c->all[(*i)++];

		if (!e->now_id && !e->gone)
			return e;
	}
	return NULL;
}

/* ---- ending ---- */

void carry_end(struct carry *c, uint64_t now_id)
{
	if (c->n_ended == c->cap_ended) {
		size_t cap = c->cap_ended ? c->cap_ended * 2 : 256;
		uint64_t *ended = realloc(c->ended, cap * sizeof(*ended));

		if (!ended)
			return;		/* it stays known: memory, no wrong answer */
		c->ended = ended;
		c->cap_ended = cap;
	}
	c->ended[c->n_ended++] = now_id;
}

void carry_end_waiting(struct carry *c)
{
	c->end_waiting = true;
}

void carry_rollback(struct carry *c)
{
	c->n_ended = 0;
	c->end_waiting = false;
}

void carry_commit(struct carry *c)
{
	for (size_t i = 0; i < c->n_ended; i++) {
		struct carried *e = find_id(c, c->ended[i]);

		if (e) {
			e->gone = true;
			c->live--;
		}
	}
	for (size_t i = 0; c->end_waiting && i < c->count; i++)
		if (!c->all[i].now_id && !c->all[i].gone) {
			c->all[i].gone = true;
			c->live--;
			c->waiting--;
		}
	carry_rollback(c);
	if (!c->live && c->count)
		carry_empty(c);
}

/* ---- taking up ---- */

static int carry_add(struct carry *c, const struct row *row, struct msg_owner *owner)
{
	uint32_t *bucket;

	if (c->count == c->cap) {
		size_t cap = c->cap ? c->cap * 2 : 256;
		struct carried *all = realloc(c->all, cap * sizeof(*all));

		if (!all)
			return -ENOMEM;
		c->all = all;
		c->cap = cap;
	}
	bucket = &c->by_socket[bucket_of_socket(row, DEPTH_BOTH)];
	c->all[c->count] = (struct carried){ .row = *row, .owner = owner, .next_socket = *bucket, .next_id = NONE };
	*bucket = (uint32_t)c->count++;
	c->waiting++;
	c->live++;
	return 0;
}

static int carry_keep_owner(struct carry *c, struct msg_owner *owner)
{
	struct msg_owner **owners = realloc(c->owners, (c->n_owners + 1) * sizeof(*owners));

	if (!owners)
		return -ENOMEM;
	c->owners = owners;
	c->owners[c->n_owners++] = owner;
	return 0;
}

struct taker {
	struct carry *c;
	struct idmap *seen;		/* leases that a later file tells of */
	struct msg_owner *last;		/* most rows follow one of the same owner */
};

static int take_owner(struct taker *t, const struct event *ev, struct msg_owner **ret)
{
	const char *texts[OWNER_TEXTS];
	struct owner_key key;

	*ret = NULL;
	if (!owner_from_event(ev, &key, texts))
		return 0;
	if (!t->last || memcmp(&t->last->key, &key, sizeof(key))) {
		struct msg_owner *m = calloc(1, owner_size(texts));
		int err;

		if (!m)
			return -ENOMEM;
		owner_fill(m, &key, ev->proc_start, texts);
		err = carry_keep_owner(t->c, m);
		if (err) {
			free(m);
			return err;
		}
		t->last = m;
	}
	*ret = t->last;
	return 0;
}

static int take_open(void *arg, struct hfile *f, const struct lease_row *lease)
{
	struct taker *t = arg;
	struct msg_owner *owner;
	struct event ev;
	struct row row;
	int err;

	if (idmap_get(t->seen, lease->id))
		return 0;
	err = file_event(f, lease, &ev);
	if (!err)
		err = take_owner(t, &ev, &owner);
	if (err)
		return err;
	row_from_event(&ev, &row);
	row.start = lease->start;	/* also where it is not known but bounded */
	return carry_add(t->c, &row, owner);
}

static int note_id(void *arg, struct hfile *f, const struct lease_row *lease)
{
	return lease->id && idmap_put(arg, lease->id, 1) < 0 ? -ENOMEM : 0;
}

/* `older` may be NULL.  What `f` tells of a lease is later than what `older` does. */
int carry_load(struct carry *c, struct hfile *f, struct hfile *older)
{
	struct idmap seen = { 0 };
	struct taker t = { .c = c, .seen = &seen };
	int err = file_each_open(f, take_open, &t);

	if (!err && older)
		err = file_each_row(f, &(struct file_span){ 0, UINT16_MAX, INT64_MIN, INT64_MAX }, note_id, &seen);
	if (!err && older)
		err = file_each_open(older, take_open, &t);
	idmap_clear(&seen);
	return err;
}
