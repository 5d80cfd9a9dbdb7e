// SPDX-License-Identifier: GPL-2.0
/*
 * From the rows of a history file back to events; see file.h.
 *
 * Names and addresses are read as text, and what cannot be read is unknown.
 * Some processes and peers are kept at hand, the shapes all.
 */
#include "store/file_priv.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define SHAPES_MAX (1u << 20)

void file_owner_clear(struct file_owner *o)
{
	for (size_t i = 0; i < sizeof(o->texts) / sizeof(*o->texts); i++)
		free(o->texts[i]);
	memset(o, 0, sizeof(*o));
}

/* ---- dictionaries ---- */

static int name_to(int value, int otherwise)
{
	return value < 0 ? otherwise : value;
}

static void parse_addr(sqlite3_stmt *stmt, int column, uint8_t family, uint32_t addr[4])
{
	const char *text = (const char *)sqlite3_column_text(stmt, column);
	unsigned char bytes[16] = { 0 };

	if (text && inet_pton(family, text, bytes) != 1)
		memset(bytes, 0, sizeof(bytes));
	memcpy(addr, bytes, sizeof(bytes));
}

static const char *column_name(sqlite3_stmt *stmt, int column)
{
	return (const char *)sqlite3_column_text(stmt, column) ?: "";
}

static void read_shape(sqlite3_stmt *stmt, struct file_shape *s)
{
	s->netns = (uint32_t)sqlite3_column_int64(stmt, 1);
	s->proto = (uint8_t)name_to(event_proto_from_name(column_name(stmt, 2)), 0);
	s->family = (uint8_t)name_to(event_family_from_name(column_name(stmt, 3)), 0);
	parse_addr(stmt, 4, s->family, s->laddr);
	s->kind = (uint8_t)name_to(event_kind_from_name(column_name(stmt, 5)), PL_KIND_UNKNOWN);
	s->flags = (uint8_t)sqlite3_column_int(stmt, 6);
	s->sock = (uint8_t)(sqlite3_column_int(stmt, 6) >> 8);
	s->owner_src = (uint8_t)name_to(event_owner_from_name(column_name(stmt, 7)), PL_OWNER_UNKNOWN);
	s->reason = (uint8_t)name_to(event_reason_from_name(column_name(stmt, 8)), PL_REASON_NONE);
	s->evidence = (uint8_t)name_to(event_evidence_from_name(column_name(stmt, 9)), EVIDENCE_RESYNC);
}

/* All at once: they are few, and every row needs one. */
static int load_shapes(struct hfile *f)
{
	int64_t max = db_int(f->db, "SELECT max(id) FROM shape", 0);
	sqlite3_stmt *stmt;
	struct file_shape *shapes;
	int err;

	if (max < 0 || max > SHAPES_MAX)
		return -EBADMSG;
	shapes = calloc((size_t)max + 1, sizeof(*shapes));
	if (!shapes)
		return -ENOMEM;
	free(f->shapes);
	f->shapes = shapes;
	f->n_shapes = (uint32_t)max;
	stmt = file_stmt(f, FQ_SHAPE, &err);
	while (!err && (err = db_step(f->db, stmt)) > 0) {
		int64_t id = sqlite3_column_int64(stmt, 0);

		if (id > 0 && id <= max)
			read_shape(stmt, &shapes[id]);
		err = 0;
	}
	sqlite3_reset(stmt);
	return err;
}

const struct file_shape *file_get_shape(struct hfile *f, uint32_t id)
{
	/* A live file may have grown since they were read. */
	if ((!f->shapes || id > f->n_shapes) && load_shapes(f))
		return NULL;
	return id && id <= f->n_shapes ? &f->shapes[id] : NULL;
}

static char *dup_column(sqlite3_stmt *stmt, int column)
{
	const unsigned char *text = sqlite3_column_text(stmt, column);

	return text ? strdup((const char *)text) : NULL;
}

static void read_owner(sqlite3_stmt *stmt, struct file_owner *o)
{
	const unsigned char *comm = sqlite3_column_text(stmt, 4);

	o->lease.tgid = (uint32_t)sqlite3_column_int64(stmt, 0);
	o->lease.tid = (uint32_t)sqlite3_column_int64(stmt, 1);
	o->lease.ppid = (uint32_t)sqlite3_column_int64(stmt, 2);
	o->lease.uid = (uint32_t)sqlite3_column_int64(stmt, 3);
	if (comm)
		memcpy(o->lease.comm, comm, strnlen((const char *)comm, PL_COMM_LEN - 1));
	o->start = time_told(sqlite3_column_int64(stmt, 5));
	o->lease.proc_start = (uint64_t)sqlite3_column_int64(stmt, 6);
	o->lease.exe = (uint64_t)sqlite3_column_int64(stmt, 7);
	o->lease.cgroup = (uint64_t)sqlite3_column_int64(stmt, 8);
	for (int i = 0; i < 6; i++)
		o->texts[i] = dup_column(stmt, 9 + i);
}

static const struct file_owner *get_owner(struct hfile *f, uint32_t id, int *err)
{
	struct file_owner *o;
	sqlite3_stmt *stmt;

	*err = 0;
	if (!id)
		return NULL;
	if (!f->owners)
		f->owners = calloc(FILE_OWNERS, sizeof(*f->owners));
	if (!f->owners) {
		*err = -ENOMEM;
		return NULL;
	}
	o = &f->owners[id % FILE_OWNERS];
	if (o->id == id)
		return o;
	stmt = file_stmt(f, FQ_OWNER, err);
	if (!stmt)
		return NULL;
	file_owner_clear(o);
	sqlite3_bind_int64(stmt, 1, id);
	*err = db_step(f->db, stmt);
	if (*err > 0) {
		read_owner(stmt, o);
		o->id = id;
		*err = 0;
	}
	sqlite3_reset(stmt);
	return o->id ? o : NULL;
}

static const struct file_peer *get_peer(struct hfile *f, uint32_t id, uint8_t family, int *err)
{
	struct file_peer *p;
	sqlite3_stmt *stmt;

	*err = 0;
	if (!id)
		return NULL;
	if (!f->peers)
		f->peers = calloc(FILE_PEERS, sizeof(*f->peers));
	if (!f->peers) {
		*err = -ENOMEM;
		return NULL;
	}
	p = &f->peers[id % FILE_PEERS];
	if (p->id == id)
		return p;
	stmt = file_stmt(f, FQ_PEER, err);
	if (!stmt)
		return NULL;
	p->id = 0;
	sqlite3_bind_int64(stmt, 1, id);
	*err = db_step(f->db, stmt);
	if (*err > 0) {
		parse_addr(stmt, 0, family, p->raddr);
		p->rport = (uint16_t)sqlite3_column_int(stmt, 1);
		p->id = id;
		*err = 0;
	}
	sqlite3_reset(stmt);
	return p->id ? p : NULL;
}

/* ---- rows ---- */

void file_read_row(struct hfile *f, sqlite3_stmt *stmt, struct lease_row *r)
{
	int64_t duration = sqlite3_column_int64(stmt, 4);

	memset(r, 0, sizeof(*r));
	r->rowid = sqlite3_column_int64(stmt, 0);
	r->port = (uint16_t)sqlite3_column_int(stmt, 1);
	r->start = time_add(f->meta.base, sqlite3_column_int64(stmt, 3));
	r->id = ((uint64_t)time_sub(r->start, f->meta.clock) << 10) + (uint64_t)sqlite3_column_int64(stmt, 2);
	r->open = sqlite3_column_type(stmt, 4) == SQLITE_NULL;
	if (!r->open)
		r->end = duration > 0 ? time_add(r->start, duration) : r->start;
	if (sqlite3_column_type(stmt, 5) != SQLITE_NULL)
		r->closed = time_add(r->start, sqlite3_column_int64(stmt, 5));
	r->process = (uint32_t)sqlite3_column_int64(stmt, 6);
	r->shape = (uint32_t)sqlite3_column_int64(stmt, 7);
	r->peer = (uint32_t)sqlite3_column_int64(stmt, 8);
	r->cookie = (uint64_t)sqlite3_column_int64(stmt, 9);
}

int file_get_row(struct hfile *f, int64_t rowid, uint16_t port, struct lease_row *ret)
{
	int err;
	sqlite3_stmt *stmt = file_stmt(f, FQ_ROW, &err);

	if (!stmt)
		return err;
	sqlite3_bind_int64(stmt, 1, rowid);
	if (f->kind == DIR_SEALED)
		sqlite3_bind_int(stmt, 2, port);
	err = db_step(f->db, stmt);
	if (err > 0)
		file_read_row(f, stmt, ret);
	sqlite3_reset(stmt);
	return err;
}

static void event_frame(struct hfile *f, struct event *ev)
{
	memset(ev, 0, sizeof(*ev));
	ev->host = f->meta.host[0] ? f->meta.host : NULL;
	ev->boot_id = f->meta.boot_id[0] ? f->meta.boot_id : NULL;
}

static void event_owner(const struct file_owner *o, struct event *ev)
{
	struct pl_lease *l = &ev->lease;

	l->tgid = o->lease.tgid;
	l->tid = o->lease.tid;
	l->ppid = o->lease.ppid;
	l->uid = o->lease.uid;
	l->proc_start = o->lease.proc_start;
	l->exe = o->lease.exe;
	l->cgroup = o->lease.cgroup;
	memcpy(l->comm, o->lease.comm, sizeof(l->comm));
	ev->proc_start = o->start;
	ev->exe = o->texts[0];
	ev->where = (struct workload){ o->texts[1], o->texts[2], o->texts[3], o->texts[4] };
	ev->cmdline = o->texts[5];
}

static void event_shape(const struct file_shape *s, struct event *ev)
{
	struct pl_lease *l = &ev->lease;

	l->netns = s->netns;
	l->proto = s->proto;
	l->family = s->family;
	l->kind = s->kind;
	l->flags = s->flags;
	l->sock = s->sock;
	l->owner_src = s->owner_src;
	memcpy(l->laddr, s->laddr, sizeof(l->laddr));
	ev->reason = s->reason;
	ev->evidence = s->evidence;
}

static int event_dictionaries(struct hfile *f, uint32_t process, uint32_t shape, uint32_t peer, struct event *ev)
{
	const struct file_shape *s = file_get_shape(f, shape);
	const struct file_owner *o;
	const struct file_peer *p;
	int err;

	if (!s)
		return -EBADMSG;
	event_shape(s, ev);
	o = get_owner(f, process, &err);
	if (o)
		event_owner(o, ev);
	if (err)
		return err;
	p = get_peer(f, peer, s->family, &err);
	if (p) {
		memcpy(ev->lease.raddr, p->raddr, sizeof(p->raddr));
		ev->lease.rport = p->rport;
	}
	return err;
}

int file_event(struct hfile *f, const struct lease_row *r, struct event *ev)
{
	struct pl_lease *l = &ev->lease;
	int err;

	event_frame(f, ev);
	ev->kind = r->open ? EV_OPEN : EV_RELEASE;
	ev->start = time_told(r->start);
	ev->end = r->open ? 0 : time_told(r->end);
	ev->closed = time_told(r->closed);
	ev->ts = r->open ? ev->start : ev->end;
	l->id = r->id;
	l->cookie = r->cookie;
	l->lport = r->port;
	l->start = (uint64_t)time_sub(r->start, f->meta.clock);
	l->closed = r->closed ? (uint64_t)time_sub(r->closed, f->meta.clock) : 0;
	err = event_dictionaries(f, r->process, r->shape, r->peer, ev);
	/* Found held: the row says since when it may have been, not since when it was. */
	if (l->flags & PL_F_SNAPSHOT) {
		ev->not_before = ev->start;
		ev->start = 0;
	}
	return err;
}

/* ---- fails and gaps ---- */

static int fail_event(struct hfile *f, sqlite3_stmt *stmt, struct event *ev)
{
	int err = name_to(event_errno_from_name(column_name(stmt, 2)), 0);

	event_frame(f, ev);
	ev->kind = EV_FAIL;
	ev->ts = time_told(time_add(f->meta.base, sqlite3_column_int64(stmt, 0)));
	ev->err = err;
	ev->lease.lport = (uint16_t)sqlite3_column_int(stmt, 1);
	return event_dictionaries(f, (uint32_t)sqlite3_column_int64(stmt, 3), (uint32_t)sqlite3_column_int64(stmt, 4),
				  (uint32_t)sqlite3_column_int64(stmt, 5), ev);
}

int file_each_fail(struct hfile *f, int64_t since, int64_t until, file_event_fn fn, void *arg)
{
	struct event ev;
	int err;
	sqlite3_stmt *stmt = file_stmt(f, FQ_FAIL, &err);

	while (!err && (err = db_step(f->db, stmt)) > 0) {
		int64_t at = time_add(f->meta.base, sqlite3_column_int64(stmt, 0));

		err = at < since || at > until ? 0 : fail_event(f, stmt, &ev);
		if (!err && at >= since && at <= until)
			err = fn(arg, &ev);
	}
	sqlite3_reset(stmt);
	return err;
}

int file_each_gap(struct hfile *f, int64_t since, int64_t until, int (*fn)(void *arg, const struct gap *gap), void *arg)
{
	int err;
	sqlite3_stmt *stmt = file_stmt(f, FQ_GAP, &err);

	if (stmt) {
		sqlite3_bind_int64(stmt, 1, since);
		sqlite3_bind_int64(stmt, 2, until);
	}
	while (!err && (err = db_step(f->db, stmt)) > 0) {
		struct gap gap = {
			.from = time_told(sqlite3_column_int64(stmt, 0)), .to = time_told(sqlite3_column_int64(stmt, 1)),
			.lost = sqlite3_column_type(stmt, 2) == SQLITE_NULL ? -1 : sqlite3_column_int64(stmt, 2),
			.cause = (enum gap_cause)name_to(event_gap_from_name(column_name(stmt, 3)), GAP_STORE),
		};

		if (gap.lost < 0)
			gap.lost = -1;
		err = fn(arg, &gap);
	}
	sqlite3_reset(stmt);
	return err;
}
