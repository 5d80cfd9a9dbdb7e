/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What hot.c (life, rows) and hot_dict.c (dictionaries) share; see hot.h.
 */
#ifndef PORTLIFE_STORE_HOT_PRIV_H
#define PORTLIFE_STORE_HOT_PRIV_H

#include "store/dict.h"
#include "store/hot.h"

enum { ST_LEASE, ST_RUN, ST_OWNER, ST_EXE, ST_WORKLOAD, ST_SHAPE, ST_PEER, ST_FAIL, ST_GAP, ST_STEP, ST_MINUTE,
       ST_MINUTE_NETNS, STATEMENTS };
enum { ID_LEASE, ID_OWNER, ID_EXE, ID_WORKLOAD, ID_SHAPE, ID_PEER, IDS };
enum { DICT_OWNER, DICT_EXE, DICT_WORKLOAD, DICT_SHAPE, DICT_PEER, DICTS };

struct shape_key {
	uint32_t netns, laddr[4];
	uint8_t proto, family, kind, flags, owner_src, reason, evidence, sock;
};

struct peer_key {
	uint32_t raddr[4];
	uint16_t rport;
	uint8_t family, pad;
};

struct text_key {
	uint64_t id, hash;
};

struct hot {
	sqlite3 *db;
	sqlite3_stmt *stmts[STATEMENTS];
	struct dict *dicts[DICTS];
	uint32_t ids[IDS], ids_before[IDS];	/* last used, and at hot_begin() */
	uint32_t run_first;
	uint16_t *run;		/* ports of the rows of this transaction */
	size_t run_len, run_cap;
	char name[DIR_NAME_MAX];
	uint32_t seq;
	int version;		/* of its tables */
	int64_t base, clock, since, recorded_since;
	char boot_id[40];
};

/* The number of the dictionary row, through `ret`; a peer has none (0) if it is unknown. */
int hot_put_shape(struct hot *h, const struct row *row, uint32_t *ret);
int hot_put_peer(struct hot *h, const struct row *row, uint32_t *ret);

#endif
