/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A stream of events as text: columns for people, JSON lines, one JSON array,
 * or CSV.
 *
 * Keeps its own buffer and reports the first failure of the file at every
 * later call, so that a full disk is never silent.  Refuses to filter (model/
 * filter.h) and to decide on colour (base/opt.h); the caller ignores SIGPIPE.
 */
#ifndef PORTLIFE_OUT_STREAM_H
#define PORTLIFE_OUT_STREAM_H

#include <stdbool.h>
#include <stdio.h>
#include "base/opt.h"
#include "model/event.h"

struct stream;

struct stream_opts {
	FILE *file;		/* borrowed; nobody else writes to it meanwhile */
	enum out_format format;	/* OUT_JSON: one array, a line an event */
	bool header;		/* of columns and CSV */
	bool utc;		/* columns only; JSON and CSV are always UTC */
	bool color;		/* columns only */
	bool live;		/* do not wait for a slow reader, see below */
	unsigned int width;	/* of the terminal, in columns; 0: there is none */
	bool leases;		/* only finished leases (EV_RELEASE), one line each; gaps stay */
};

/*
 * All return 0 or a negative errno: -ENOMEM, and from the file -EPIPE (the
 * reader is gone: end quietly), -ENOSPC, -EIO, ...
 */
int stream_new(const struct stream_opts *opts, struct stream **ret);
int stream_event(struct stream *s, const struct event *ev);
/* Hands everything to the kernel: call at every drain. */
int stream_flush(struct stream *s);
/* Closes the JSON array, flushes and checks; no event may follow. */
int stream_finish(struct stream *s);
void stream_free(struct stream *s);

/*
 * A live stream into a pipe or a terminal keeps up to STREAM_HELD bytes for a
 * reader that is slow or stands still, and waits for it at most
 * STREAM_PATIENCE_MS a flush and STREAM_LAST_MS at the end, so that whoever
 * records can go on.  What it then has no room for it leaves out, whole events
 * only, counts here and says on stderr; their numbers (seq) are missing in the
 * stream.
 */
#define STREAM_HELD (8u << 20)
#define STREAM_PATIENCE_MS 20
#define STREAM_LAST_MS 2000
uint64_t stream_unwritten(const struct stream *s);

#endif
