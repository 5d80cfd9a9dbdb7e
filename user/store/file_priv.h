/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What file.c (opening, decoding) and scan.c (finding rows) share; see file.h.
 */
#ifndef PORTLIFE_STORE_FILE_PRIV_H
#define PORTLIFE_STORE_FILE_PRIV_H

#include "store/file.h"

/* Leases held longer than this, or open, are also listed in `long`. */
#define FILE_LONG_NS 120000000000LL

enum { FQ_ROW, FQ_ROWS, FQ_START, FQ_PORT, FQ_PORTS, FQ_LONG, FQ_RUN, FQ_SHAPE, FQ_OWNER, FQ_PEER, FQ_FAIL, FQ_GAP, FILE_QUERIES };

struct file_owner {
	uint32_t id;
	struct pl_lease lease;	/* the owner's fields only */
	int64_t start;
	char *texts[6];		/* exe, cgroup, unit, container, pod, cmdline */
};

struct file_peer {
	uint32_t id, raddr[4];
	uint16_t rport;
};

/* At hand, by number: rows come sorted by port, so that each may be of another process and peer than the last. */
#define FILE_OWNERS 512
#define FILE_PEERS 4096

struct hfile {
	sqlite3 *db;
	enum dir_kind kind;
	int version;
	bool partial;
	struct file_meta meta;
	sqlite3_stmt *stmts[FILE_QUERIES];
	struct file_shape *shapes;	/* by id, from 1 */
	uint32_t n_shapes;
	struct file_owner *owners;	/* FILE_OWNERS; NULL: none asked for so far */
	struct file_peer *peers;	/* FILE_PEERS, as owners */
};

/* Prepared once a file; NULL with an error in *err.  Reset by the caller. */
sqlite3_stmt *file_stmt(struct hfile *f, int query, int *err);
void file_owner_clear(struct file_owner *o);
/* The columns port,mark,start,... of the statement's current row. */
void file_read_row(struct hfile *f, sqlite3_stmt *stmt, struct lease_row *ret);

#endif
