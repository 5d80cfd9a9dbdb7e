/* SPDX-License-Identifier: GPL-2.0 */
/*
 * From records to events, and the repair after a loss.
 *
 * The tracker keeps the leases that it told of as open, so that after a loss it
 * can say which of them ended unseen and which began unseen, by comparing with
 * the kernel's own table.  Pure: records in, events out through a callback; the
 * caller adds names, host and sequence number.
 */
#ifndef PORTLIFE_MODEL_TRACKER_H
#define PORTLIFE_MODEL_TRACKER_H

#include <stdint.h>
#include "model/event.h"
#include "model/lease.h"

struct tracker;

/* `ev` lives until the call returns; a negative return is passed on. */
typedef int (*tracker_fn)(void *ctx, struct event *ev);

/* 0 or -ENOMEM. */
int tracker_new(tracker_fn fn, void *ctx, struct tracker **ret);
void tracker_free(struct tracker *t);

/* The offset from the boot clock to the wall clock, used from now on (clock_boot_to_unix). */
void tracker_set_offset(struct tracker *t, int64_t boot_to_unix);
int64_t tracker_offset(const struct tracker *t);

/* 0, or what the callback returned, or -ENOMEM, or -EINVAL for a record that is none. */
int tracker_record(struct tracker *t, const struct pl_rec *rec);

/* Records not told because a repair had told the same before: beginnings (EV_ALLOC) or ends (EV_RELEASE). */
uint64_t tracker_repeated(const struct tracker *t, enum event_kind kind);

/*
 * To be called before each snapshot, and after it, also when it failed half-way:
 * what comes between, of leases whose PL_REC_OPEN is still to come, waits for that.
 * What ended while it never came is told at the end, beginning and end.  Returns
 * as tracker_record().
 */
void tracker_snapshot_begin(struct tracker *t);
int tracker_snapshot_end(struct tracker *t);

/* Open leases as told so far. */
size_t tracker_live(const struct tracker *t);
const struct lease_table *tracker_leases(const struct tracker *t);

/*
 * Repair, in this order: begin; hand over every lease of the kernel's table;
 * drain what came meanwhile through tracker_record; end.  `boot_now` is the boot
 * clock before the table was read.  Leases that began unseen are told as
 * EV_ALLOC, those that ended unseen as EV_RELEASE with PL_REASON_LOST and that
 * time as their end, both with EVIDENCE_RESYNC.
 */
int tracker_repair_begin(struct tracker *t, uint64_t boot_now);
int tracker_repair_held(struct tracker *t, const struct pl_lease *l);
int tracker_repair_end(struct tracker *t);

#endif
