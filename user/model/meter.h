/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What summaries and metrics tell beyond the kernel's counters: lifetimes, the
 * time until a port is used again, who took the most ports, the peak.
 *
 * Fed with every event, in order.  Pure, one thread, bounded memory.  What was
 * lost on the way is missing here; the counts themselves come from the kernel's
 * counters, which lose nothing.
 */
#ifndef PORTLIFE_MODEL_METER_H
#define PORTLIFE_MODEL_METER_H

#include <stdint.h>
#include "base/hist.h"
#include "model/event.h"
#include "model/tally.h"

struct meter;

/* Counting begins at the boot clock `boot_now`.  0 or -ENOMEM. */
int meter_new(int64_t boot_now, struct meter **ret);
void meter_free(struct meter *m);

/* `live`: leases open after the event.  Short of memory it measures less. */
void meter_event(struct meter *m, const struct event *ev, uint64_t live);

/*
 * The counts since the last call, and what `held` holds, as a summary that
 * borrows from `held`; `stats` are the kernel's counters now (PL_STATS long),
 * `boot_now` the boot clock.  Summaries add up: the sums of all of them are the
 * counters, to the last unit.
 */
void meter_summary(struct meter *m, const uint64_t *stats, const struct tally *held, int64_t boot_now,
		   struct summary *ret);

/* Since the start. */
const struct hist *meter_lifetimes(const struct meter *m);
const struct hist *meter_reuse(const struct meter *m);
/* Gaps told, by enum gap_cause, GAP_CAUSES long. */
const uint64_t *meter_gaps(const struct meter *m);

#endif
