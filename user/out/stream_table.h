/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The columns of a live stream, for people.  Internal to out/: use stream.h.
 *
 * Nothing can be measured in advance, so columns begin narrow and widen, up to a
 * limit, for what comes by.  Unknown is "-".
 */
#ifndef PORTLIFE_OUT_STREAM_TABLE_H
#define PORTLIFE_OUT_STREAM_TABLE_H

#include <stdbool.h>
#include <stdint.h>
#include "model/event.h"

struct strbuf;

#define STREAM_TABLE_COLS 10

struct stream_table {
	bool utc, color, header;
	bool leases;				/* without the column EVENT */
	bool narrow;				/* without the column REMOTE and the milliseconds, for 80 columns */
	unsigned int widths[STREAM_TABLE_COLS];	/* grown so far */
	char day[16];				/* of the row before, "" at the start */
};

/* `t` filled with the switches. */
void stream_table_init(struct stream_table *t);
void stream_table_titles(struct stream_table *t, struct strbuf *out);
/* One row; before it the date on a line of its own when the day changed and there are titles. */
void stream_table_row(struct stream_table *t, struct strbuf *out, const struct event *ev);

#endif
