/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Reading one history file, hot or sealed.
 *
 * Private to store/.  The file may come from anywhere: whatever its numbers
 * say, nothing here overflows, loops or trusts them as an index.  Refuses to
 * know more than one file; history.c puts them together.
 */
#ifndef PORTLIFE_STORE_FILE_H
#define PORTLIFE_STORE_FILE_H

#include "model/event.h"
#include "store/db.h"

/* A damaged file may hold any number: these wrap, or stop at the ends. */
static inline int64_t time_add(int64_t a, int64_t b)
{
	return (int64_t)((uint64_t)a + (uint64_t)b);
}

static inline int64_t time_sub(int64_t a, int64_t b)
{
	return (int64_t)((uint64_t)a - (uint64_t)b);
}

/* What is told to others is a time after 1970 or unknown: two of them can be taken apart. */
static inline int64_t time_told(int64_t at)
{
	return at < 0 ? 0 : at;
}

static inline int64_t time_sub_sat(int64_t a, int64_t b)
{
	int64_t r;

	return __builtin_sub_overflow(a, b, &r) ? (b > 0 ? INT64_MIN : INT64_MAX) : r;
}

static inline int64_t time_add_sat(int64_t a, int64_t b)
{
	int64_t r;

	return __builtin_add_overflow(a, b, &r) ? (b > 0 ? INT64_MAX : INT64_MIN) : r;
}

struct hfile;

struct file_meta {
	char host[256], boot_id[64];	/* "" when unknown */
	int64_t base, clock;
	int64_t since, until;		/* unix ns; until 0: not ended */
	int64_t recorded_since;
};

/* One row as it is stored, with real times. */
struct lease_row {
	int64_t rowid;
	uint64_t id, cookie;
	int64_t start, end, closed;	/* unix ns; end only unless `open` */
	uint32_t process, shape, peer;	/* 0: none */
	uint16_t port;
	bool open;
};

struct file_shape {
	uint32_t netns, laddr[4];
	uint8_t proto, family, kind, flags, owner_src, reason, evidence, sock;
};

/* Ports lo..hi, leases held at any time of since..until. */
struct file_span {
	uint16_t lo, hi;
	int64_t since, until;
};

/* Returns 0 to go on, else it is returned by the iteration. */
typedef int (*file_row_fn)(void *arg, struct hfile *f, const struct lease_row *row);

/* Says nothing.  -EBADMSG, -EPROTO, or what dir_check() says. */
int file_open(const struct store_dir *dir, const struct dir_file *name, struct hfile **ret);
void file_close(struct hfile *f);
const struct file_meta *file_meta(const struct hfile *f);
enum dir_kind file_kind(const struct hfile *f);
/* Its -wal could not be read: the newest rows are missing. */
bool file_is_partial(const struct hfile *f);
sqlite3 *file_db(struct hfile *f);

/* Each lease once (an open row that a later row ends is passed over), in no order. */
int file_each_row(struct hfile *f, const struct file_span *span, file_row_fn fn, void *arg);
int file_each_open(struct hfile *f, file_row_fn fn, void *arg);
/* The row that ends the lease; 1: found, 0: not in this file. */
int file_find_end(struct hfile *f, uint16_t port, uint64_t id, int64_t start, struct lease_row *ret);
/* The row of this number; 1, 0 or a negative errno.  `port` is used for sealed files. */
int file_get_row(struct hfile *f, int64_t rowid, uint16_t port, struct lease_row *ret);

/* NULL: the file does not say, or is damaged. */
const struct file_shape *file_get_shape(struct hfile *f, uint32_t id);
/* EV_RELEASE or EV_OPEN.  Strings live until the next call. */
int file_event(struct hfile *f, const struct lease_row *row, struct event *ev);

typedef int (*file_event_fn)(void *arg, const struct event *ev);
/* EV_FAIL, oldest first within a sealed file. */
int file_each_fail(struct hfile *f, int64_t since, int64_t until, file_event_fn fn, void *arg);
int file_each_gap(struct hfile *f, int64_t since, int64_t until, int (*fn)(void *arg, const struct gap *gap), void *arg);

/* Sealed files only: the rows of these ports, which lie together; `port` of the rows that they give is not known. */
int file_ports(struct hfile *f, uint16_t lo, uint16_t hi, int64_t *first, int64_t *count);

#endif
