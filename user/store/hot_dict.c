// SPDX-License-Identifier: GPL-2.0
/*
 * The dictionaries of the hot file; see hot.h.
 *
 * A lease is one row of small integers.  What repeats is a dictionary row and
 * its number: the process, the peer, and the "shape", which is everything else
 * of few values together (namespace, protocol, local address, kind, flags).
 */
#include "store/hot_priv.h"

#include <arpa/inet.h>
#include <string.h>

static int put_row(struct hot *h, int statement, int id, int dict, const void *key, uint32_t *ret)
{
	int err;

	sqlite3_bind_int64(h->stmts[statement], 1, h->ids[id] + 1);
	err = db_run(h->db, h->stmts[statement]);
	if (err)
		return err;
	*ret = ++h->ids[id];
	dict_put(h->dicts[dict], key, *ret);
	return 0;
}

static int put_exe(struct hot *h, const struct msg_owner *o, uint32_t *ret)
{
	const char *path = owner_get_text(o, OWNER_EXE);
	struct text_key key = { o->key.exe, path ? dict_hash(1, path, o->len[OWNER_EXE]) : 0 };
	sqlite3_stmt *stmt = h->stmts[ST_EXE];

	*ret = 0;
	if ((!key.id && !path) || (*ret = dict_get(h->dicts[DICT_EXE], &key)))
		return 0;
	db_bind_known(stmt, 2, (int64_t)key.id);
	db_bind_text(stmt, 3, path);
	return put_row(h, ST_EXE, ID_EXE, DICT_EXE, &key, ret);
}

static int put_workload(struct hot *h, const struct msg_owner *o, uint32_t *ret)
{
	struct text_key key = { o->key.cgroup, 0 };
	sqlite3_stmt *stmt = h->stmts[ST_WORKLOAD];
	bool any = key.id;

	for (int i = OWNER_CGROUP; i <= OWNER_POD; i++) {
		const char *text = owner_get_text(o, i);

		any |= text != NULL;
		key.hash = dict_hash(key.hash + (uint64_t)i, text ?: "", o->len[i]);
	}
	*ret = 0;
	if (!any || (*ret = dict_get(h->dicts[DICT_WORKLOAD], &key)))
		return 0;
	db_bind_known(stmt, 2, (int64_t)key.id);
	for (int i = OWNER_CGROUP; i <= OWNER_POD; i++)
		db_bind_text(stmt, 2 + i, owner_get_text(o, i));
	return put_row(h, ST_WORKLOAD, ID_WORKLOAD, DICT_WORKLOAD, &key, ret);
}

int hot_put_owner(struct hot *h, const struct msg_owner *o, uint32_t *ret)
{
	sqlite3_stmt *stmt = h->stmts[ST_OWNER];
	uint32_t exe, workload;
	int err;

	if ((*ret = dict_get(h->dicts[DICT_OWNER], &o->key)))
		return 0;
	err = put_exe(h, o, &exe);
	if (!err)
		err = put_workload(h, o, &workload);
	if (err)
		return err;
	db_bind_known(stmt, 2, o->key.tgid);
	db_bind_known(stmt, 3, o->key.tid);
	db_bind_known(stmt, 4, o->key.ppid);
	sqlite3_bind_int64(stmt, 5, o->key.uid);
	sqlite3_bind_text(stmt, 6, o->key.comm, (int)strnlen(o->key.comm, sizeof(o->key.comm)), SQLITE_STATIC);
	db_bind_known(stmt, 7, o->start);
	db_bind_known(stmt, 8, (int64_t)o->key.boot_start);
	db_bind_known(stmt, 9, exe);
	db_bind_known(stmt, 10, workload);
	if (h->version >= 2)
		db_bind_text(stmt, 11, owner_get_text(o, OWNER_CMDLINE));
	return put_row(h, ST_OWNER, ID_OWNER, DICT_OWNER, &o->key, ret);
}

int hot_put_shape(struct hot *h, const struct row *r, uint32_t *ret)
{
	struct shape_key key = { .netns = r->netns, .proto = r->proto, .family = r->family, .kind = r->kind,
				 .flags = r->flags, .owner_src = r->owner_src, .reason = r->reason, .evidence = r->evidence,
				 .sock = r->sock };
	sqlite3_stmt *stmt = h->stmts[ST_SHAPE];
	char addr[INET6_ADDRSTRLEN];

	memcpy(key.laddr, r->laddr, sizeof(key.laddr));
	if ((*ret = dict_get(h->dicts[DICT_SHAPE], &key)))
		return 0;
	sqlite3_bind_int64(stmt, 2, r->netns);
	db_bind_text(stmt, 3, event_proto_name(r->proto));
	db_bind_text(stmt, 4, event_family_name(r->family));
	db_bind_text(stmt, 5, event_addr(r->family, r->laddr, addr));
	db_bind_text(stmt, 6, event_kind_name(r->kind));
	sqlite3_bind_int(stmt, 7, r->flags | r->sock << 8);
	db_bind_text(stmt, 8, event_owner_name(r->owner_src));
	db_bind_text(stmt, 9, event_reason_name(r->reason));
	db_bind_text(stmt, 10, event_evidence_name(r->evidence));
	return put_row(h, ST_SHAPE, ID_SHAPE, DICT_SHAPE, &key, ret);
}

int hot_put_peer(struct hot *h, const struct row *r, uint32_t *ret)
{
	struct peer_key key = { .rport = r->rport, .family = r->family };
	sqlite3_stmt *stmt = h->stmts[ST_PEER];
	char addr[INET6_ADDRSTRLEN];

	*ret = 0;
	memcpy(key.raddr, r->raddr, sizeof(key.raddr));
	if (!r->rport && !(r->raddr[0] | r->raddr[1] | r->raddr[2] | r->raddr[3]))
		return 0;
	if ((*ret = dict_get(h->dicts[DICT_PEER], &key)))
		return 0;
	db_bind_text(stmt, 2, event_addr(r->family, r->raddr, addr));
	db_bind_known(stmt, 3, r->rport);
	return put_row(h, ST_PEER, ID_PEER, DICT_PEER, &key, ret);
}
