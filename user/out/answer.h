/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The answer to "who had this port": one struct, two faces, plain sentences
 * first and rows after, or one JSON document.
 */
#ifndef PORTLIFE_OUT_ANSWER_H
#define PORTLIFE_OUT_ANSWER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "model/ask.h"
#include "model/event.h"

struct strbuf;

enum answer_status { ANSWER_FOUND, ANSWER_NOBODY, ANSWER_INCOMPLETE };

/* Why an answer without rows is none, when it is incomplete. */
enum answer_hole { HOLE_NONE, HOLE_GAP, HOLE_BEFORE, HOLE_EVICTED, HOLE_NO_HISTORY, HOLE_UNREAD };

struct answer {
	struct ask ask;
	const char *asked;		/* as it was written */
	uint8_t proto;			/* 0: any */
	uint32_t own_netns;		/* of who asks, 0: unknown; others are named in the text */
	bool asked_now, asked_span;	/* was now looked at; was a time or a span asked for */
	int64_t at, since, until;	/* unix ns; at != 0: one moment */
	const char *service;		/* registered name, NULL: none */
	bool no_services;		/* this host knows no names of services at all */
	bool range_known;
	uint16_t range_lo, range_hi;
	bool reserved;
	enum answer_status status;
	enum answer_hole hole;
	bool now_known;			/* the kernel could be looked at */
	const struct event *now;	/* EV_OPEN */
	size_t n_now;
	const struct event *held;	/* EV_OPEN, EV_RELEASE, newest first */
	size_t n_held;
	uint64_t omitted;		/* rows of the history beyond these */
	const struct gap *gaps;
	size_t n_gaps;			/* newest first */
	int64_t lost;			/* in the asked span, -1: some */
	bool history;			/* there is one */
	int64_t recorded_since;		/* 0: unknown */
	int64_t evicted_before;		/* 0: nothing */
	uint64_t lives;
	bool sampled;			/* there were many: lives and median are estimates */
	int64_t median_us;		/* -1: none */
	const struct event *last;	/* NULL: none */
};

/* Text for people; times local unless `utc`. */
void answer_text(struct strbuf *out, const struct answer *a, bool utc, int64_t now);
/* One document and a newline. */
void answer_json(struct strbuf *out, const struct answer *a);

#endif
