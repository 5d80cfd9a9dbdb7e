/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Where the messages of the daemon go: stderr, a file, or the journal with its
 * own fields.
 *
 * A thread writes; whoever logs only puts into a bounded queue and never waits.
 * What finds no room, or what the sink does not take, is counted, and told as
 * soon as lines get through again.  Messages and events may come from any
 * thread.
 */
#ifndef PORTLIFE_OUT_LOG_SINK_H
#define PORTLIFE_OUT_LOG_SINK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/log.h"
#include "model/event.h"

struct log_sink;

struct log_sink_opts {
	enum log_form form;
	bool form_given;	/* by the user: then not the journal's own fields */
	const char *file;	/* NULL: stderr, or the journal behind it; there lines for people begin with the time */
	bool utc;		/* in which such times are told */
	size_t queue_bytes;	/* 0: 256 KiB */
};

/*
 * The journal is behind stderr when $JOURNAL_STREAM names its device and inode
 * (systemd.exec(5)).  Lines to it carry the priority as "<N>".
 * 0, -ENOMEM, or, said, why the file cannot be opened.
 */
int log_sink_open(const struct log_sink_opts *opts, struct log_sink **ret);

/* Waits at most `ms` until all is written, then gives up on what is left. */
void log_sink_close(struct log_sink *s, int ms);

/* A message for people; fits log_set_sink(). */
void log_sink_text(void *s, enum log_level level, const char *text);
/* The event with all its fields. */
void log_sink_event(struct log_sink *s, enum log_level level, const struct event *ev);

/*
 * Before the next line: opens the file anew, for logrotate, or with `opts` goes
 * on in another form or file.  What cannot be opened is said in the old one.
 * -ENOMEM changes nothing.
 */
int log_sink_reopen(struct log_sink *s, const struct log_sink_opts *opts);

/* Lines lost so far. */
uint64_t log_sink_dropped(const struct log_sink *s);
#endif
