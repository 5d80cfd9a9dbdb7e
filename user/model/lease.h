/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The leases that are open now, by lease id: the user space twin of the
 * kernel's table.
 *
 * A dense array in chunks behind a hash index of 4-byte slots, so that a lease
 * costs about 175 bytes at most once there are some thousand, and memory is
 * given back when leases end.  Not thread safe.  Refuses to interpret: what a
 * record means is the caller's affair.
 */
#ifndef PORTLIFE_MODEL_LEASE_H
#define PORTLIFE_MODEL_LEASE_H

#include <linux/types.h>
#include <stddef.h>
#include <stdint.h>
#include <portlife/event.h>

struct lease_entry {
	struct pl_lease lease;
	/* The caller's, 0 in a new entry, kept when a lease is put again; never followed here. */
	void *user;
	uint32_t where;
	uint32_t mark;
};

struct lease_table;

/* 0 or -ENOMEM. */
int lease_table_new(struct lease_table **ret);
void lease_table_free(struct lease_table *t);

/*
 * Adds a lease or replaces the one of the same id.  The entry is returned
 * through `ret` when that is not NULL.  0, -EINVAL for id 0, or -ENOMEM or
 * -ENOSPC (2^32 leases) with the table unchanged.
 */
int lease_table_put(struct lease_table *t, const struct pl_lease *lease, struct lease_entry **ret);
/* NULL when there is none.  An entry stays where it is until the next put or del. */
struct lease_entry *lease_table_find(const struct lease_table *t, uint64_t id);
/* Copies the entry to `*ret` unless that is NULL.  0 or -ENOENT. */
int lease_table_del(struct lease_table *t, uint64_t id, struct lease_entry *ret);

size_t lease_table_count(const struct lease_table *t);
/* Entries 0..count-1, in no order that means anything; NULL beyond. */
struct lease_entry *lease_table_at(const struct lease_table *t, size_t i);
/* Bytes held, for tests and the metrics. */
size_t lease_table_bytes(const struct lease_table *t);

/* Visits all, `i` a new size_t; the entry being visited may be deleted, nothing may be put. */
#define lease_table_for_each(t, i, entry) \
	for (size_t i = lease_table_count(t); i-- > 0 && ((entry) = lease_table_at(t, i));)

#endif
