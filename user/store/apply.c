// SPDX-License-Identifier: GPL-2.0
/*
 * One message of a batch becomes rows of the hot file; see writer.h.
 *
 * Here a lease that an earlier session began gets back its start and owner.
 */
#include "store/writer.h"

#include <errno.h>
#include <stdlib.h>

#include "base/clock.h"

#define TWO_LOOKS_NS 120000000000LL
#define SLACK_NS 1000000000LL

static int take_owner(struct writer *w, const struct msg_owner *m)
{
	if (w->n_owners == w->owners_cap) {
		uint32_t cap = w->owners_cap ? w->owners_cap * 2 : 256;
		const struct msg_owner **owners = realloc(w->owners, cap * sizeof(*owners));
		uint32_t *ids;

		if (!owners)
			return -ENOMEM;
		w->owners = owners;
		ids = realloc(w->owner_ids, cap * sizeof(*ids));
		if (!ids)
			return -ENOMEM;
		w->owner_ids = ids;
		w->owners_cap = cap;
	}
	w->owners[w->n_owners] = m;
	return hot_put_owner(w->hot, m, &w->owner_ids[w->n_owners++]);
}

/* When a lease was found, boot ns: its id has all but the upper bits of that, which a boot of 208 days needs. */
static int64_t id_boot_ns(uint64_t id)
{
	const int64_t wrap = 1LL << 54, now = clock_boot_ns();
	int64_t at = now / wrap * wrap + (int64_t)(id >> 10);

	return at > now + SLACK_NS ? at - wrap : at;
}

/*
 * Of one that was found held only this is known: it was not there when the session before ended, or, found later
 * (a loss was repaired), it had not been there at the look before the last.
 */
static int64_t earliest_start(const struct writer *w, const struct row *row)
{
	int64_t begun = w->prev_end && w->prev_end < w->pulse.session ? w->prev_end : w->pulse.session;
	int64_t found = id_boot_ns(row->id) + hot_clock(w->hot);

	return w->merged_at && found > w->merged_at && found - TWO_LOOKS_NS > begun ? found - TWO_LOOKS_NS : begun;
}

static int put_lease(struct writer *w, struct row *row, bool open)
{
	bool known = row->owner < w->n_owners;
	const struct carried *old = carry_find(w->carry, row, known ? &w->owners[row->owner]->key : NULL,
					       open && (row->flags & PL_F_SNAPSHOT));
	uint32_t owner = known ? w->owner_ids[row->owner] : 0;
	uint64_t now_id = row->id;
	int err = 0;

	if (!row->start)
		row->start = earliest_start(w, row);
	if (!open && row->start > row->end)
		row->start = row->end;	/* that bound is by a clock that was set */
	if (old) {
		carry_apply(old, row);
		if (old->owner)
			err = hot_put_owner(w->hot, old->owner, &owner);
		if (!open)
			carry_end(w->carry, now_id);
	}
	if (!err)
		err = hot_put_lease(w->hot, row, owner, open);
	if (open)
		w->batch.opens++;
	else
		w->batch.leases++;
	return err;
}

static int put_fail(struct writer *w, const struct row *row)
{
	w->batch.fails++;
	return hot_put_fail(w->hot, row, row->owner < w->n_owners ? w->owner_ids[row->owner] : 0);
}

int writer_end_waiting(struct hot *hot, struct carry *carry, int64_t end)
{
	const struct carried *e;
	size_t i = 0;
	int err = 0;

	while (!err && (e = carry_next_waiting(carry, &i))) {
		struct row row = e->row;
		uint32_t owner = 0;

		row.end = end > row.start ? end : row.start;
		row.reason = PL_REASON_LOST;
		row.evidence = EVIDENCE_RESYNC;
		if (e->owner)
			err = hot_put_owner(hot, e->owner, &owner);
		if (!err)
			err = hot_put_lease(hot, &row, owner, false);
	}
	if (!err)
		carry_end_waiting(carry);
	return err;
}

int writer_apply(struct writer *w, const struct msg *m)
{
	struct row row;

	switch (m->kind) {
	case MSG_OWNER:
		return take_owner(w, (const struct msg_owner *)m);
	case MSG_LEASE:
	case MSG_OPEN:
		row = ((const struct msg_row *)m)->row;
		return put_lease(w, &row, m->kind == MSG_OPEN);
	case MSG_FAIL:
		return put_fail(w, &((const struct msg_row *)m)->row);
	case MSG_GAP:
		w->batch.gaps++;
		return hot_put_gap(w->hot, &((const struct msg_gap *)m)->gap);
	case MSG_MINUTE:
		w->batch.minutes++;
		return hot_put_minute(w->hot, ((const struct msg_minute *)m)->at, &((const struct msg_minute *)m)->sum,
				      ((const struct msg_minute *)m)->netns);
	case MSG_STEP:
		return hot_put_step(w->hot, ((const struct msg_step *)m)->at, ((const struct msg_step *)m)->clock);
	case MSG_COMPLETE:
		w->batch_complete = ((const struct msg_complete *)m)->at;
		return hot_session_update(w->hot, w->batch_complete, SESSION_OPEN);
	case MSG_MERGED:
		w->merged_at = ((const struct msg_complete *)m)->at;
		return writer_end_waiting(w->hot, w->carry, w->prev_end);
	default:
		return 0;
	}
}
