/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The order of a sealed file: one key of 16 bytes a row of the hot file, sorted
 * by (port, start), and a table in SQL that hands the rows out in that order.
 *
 * Private to sealing.  Refuses to hold whole rows: a million of them would be
 * more memory than all the rest of the recorder.
 */
#ifndef PORTLIFE_STORE_SEAL_KEYS_H
#define PORTLIFE_STORE_SEAL_KEYS_H

#include "store/file_priv.h"

struct seal_key {
	int64_t start;
	uint32_t rowid;
	uint16_t port;
	uint16_t bits;
};

#define KEY_DEAD 0x8000		/* an open row that a later row ends or repeats */
#define KEY_OPEN 0x4000
#define KEY_LONG 0x2000
#define KEY_DURATION 0x1fff	/* of the others, rounded up, in KEY_UNIT */
#define KEY_UNIT 20000000LL
_Static_assert(FILE_LONG_NS / KEY_UNIT < KEY_DURATION, "every duration that is not long has room");

struct seal_keys {
	struct seal_key *all;
	size_t count;			/* without the dead once they are sorted */
	int64_t since, until;		/* the ends of leases, widened by keys_read() */
	int64_t begun;			/* `since` as it was */
};

/* Reads and sorts.  `since` and `until` are set before.  -EBADMSG, -ENOMEM. */
int keys_read(struct seal_keys *k, struct hfile *hot);
void keys_free(struct seal_keys *k);

/* Makes the table `sorted(number, row)` known to `db`, which must be closed before `k` goes. */
int keys_attach(const struct seal_keys *k, sqlite3 *db);

#endif
