/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Sealing: a hot file that is written no more becomes one ordered by (port,
 * start), built beside, synced and renamed; then the hot one goes.
 * Retention: whole sealed files go, oldest first; their minutes are kept.
 *
 * Private to store/, used by the sealing thread (and, on a full disk, by the
 * writing one).  Stateless: what is to do follows from the names there are.
 */
#ifndef PORTLIFE_STORE_SEAL_H
#define PORTLIFE_STORE_SEAL_H

#include "store/file.h"

/* Takes 16 bytes of memory a lease.  -EBADMSG: the hot file was damaged and is set aside. */
int seal_file(const struct store_dir *dir, const struct dir_file *hot, char name[DIR_NAME_MAX]);

struct retain_opts {
	uint64_t bytes;
	int64_t age;		/* ns, negative: for ever */
};

struct retain_result {
	uint64_t bytes;		/* left on disk */
	int64_t oldest;		/* start of the oldest file, 0: none */
	unsigned int evicted;
	int err;		/* that kept one which is due, 0: none; the next look tries again */
};

/* `now` must be a wall clock that can be trusted, or 0: then age does not count. */
int retain_run(const struct store_dir *dir, const struct retain_opts *opts, int64_t now, struct retain_result *ret);
/* The disk is full: removes the oldest sealed file.  -ENOENT: there is none that can go. */
int retain_one(const struct store_dir *dir);

#endif
