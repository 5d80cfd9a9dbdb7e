/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Leases that the last session left open, and how they go on in this one.
 *
 * The kernel side starts anew with each session and numbers what it finds held
 * anew.  Here such a lease is recognised by its socket (cookie, else addresses
 * and process) and gets back its id, its start and the owner who asked for the
 * port.  Nothing is recognised across boots.  Private to store/, used by the
 * writing thread alone.
 */
#ifndef PORTLIFE_STORE_CARRY_H
#define PORTLIFE_STORE_CARRY_H

#include "store/batch.h"
#include "store/file.h"

struct carry;

struct carried {
	struct row row;			/* as the last session knew it; owner means nothing */
	struct msg_owner *owner;	/* NULL: unknown */
	uint64_t now_id;		/* its id in this session, 0: not found yet */
	uint32_t next_socket, next_id;
	bool gone;
};

int carry_new(struct carry **ret);
void carry_free(struct carry *c);

/* Takes up what is open at the end of `f`, and of `older` (may be NULL) as far as `f` does not tell its end. */
int carry_load(struct carry *c, struct hfile *f, struct hfile *older);
size_t carry_count(const struct carry *c);

/*
 * The lease that `row` (of `owner`, NULL: unknown) goes on with, or NULL.  Only with `snapshot` is one
 * looked for by its socket: a lease whose start we saw is a new one.
 */
const struct carried *carry_find(struct carry *c, const struct row *row, const struct owner_key *owner, bool snapshot);
/* Makes `row` the continuation of `old`. */
void carry_apply(const struct carried *old, struct row *row);

/* The wall clock was set by `moved` ns. */
void carry_shift(struct carry *c, int64_t moved);

/* Those that were not found, by number 0..; NULL: no more. */
const struct carried *carry_next_waiting(const struct carry *c, size_t *i);

/* Ended in the open transaction; forgotten when that is committed. */
void carry_end(struct carry *c, uint64_t now_id);
void carry_end_waiting(struct carry *c);
void carry_commit(struct carry *c);
void carry_rollback(struct carry *c);

#endif
