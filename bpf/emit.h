/* SPDX-License-Identifier: GPL-2.0 */
/*
 * How a record reaches the reader: reserved, filled, submitted without a
 * wake-up.  A wake-up costs ten times the record; the reader drains on a timer
 * and is woken early only once, when the ring has become half full.  What does
 * not fit is counted per kind and never waited for.
 */
#ifndef PORTLIFE_BPF_EMIT_H
#define PORTLIFE_BPF_EMIT_H

/* In a large ring every eighth record looks whether it is half full. */
static __always_inline __u64 emit_flags(__u64 ts)
{
	if (ts & cfg_wake_mask || reader_woken || bpf_ringbuf_query(&events, BPF_RB_AVAIL_DATA) < cfg_ring_half)
		return BPF_RB_NO_WAKEUP;
	reader_woken = 1;
	return BPF_RB_FORCE_WAKEUP;
}

/* Sends a record whose lease is filled in. */
static __always_inline void emit_filled(struct pl_rec *r, __u8 kind, __u64 ts, __u8 reason, int err)
{
	r->hdr.ts = ts;
	r->hdr.size = sizeof(*r);
	r->hdr.kind = kind;
	r->hdr.reason = reason;
	r->hdr.err = err;
	bpf_ringbuf_submit(r, emit_flags(ts));
}

static __always_inline void emit(const struct pl_lease *l, __u8 kind, __u64 ts, __u8 reason, int err)
{
	struct pl_rec *r = bpf_ringbuf_reserve(&events, sizeof(*r), 0);

	if (!r) {
		count_lost(kind, l);
		return;
	}
	__builtin_memcpy(&r->lease, l, sizeof(*l));
	emit_filled(r, kind, ts, reason, err);
}

#endif
