/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The facts of an event, each with its one name and its one getter, in the
 * order of the format (README, "One event").  JSON and CSV are two faces of
 * this list; a fact is added here and nowhere else.
 *
 * Pure: appends to a strbuf, no I/O.
 */
#ifndef PORTLIFE_OUT_FACTS_H
#define PORTLIFE_OUT_FACTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "model/event.h"
#include "out/facts_kept.h"

struct json;
struct strbuf;

#define FACTS_LINE_MAX 4096	/* bytes of one line of JSON, newline included */
#define FACTS_NETNS_MAX 7	/* namespaces that a summary names; the number of the others is "netns_omitted" */

enum fact_type {
	FACT_NULL,	/* unknown */
	FACT_EMPTY,	/* an array of nothing */
	FACT_WORD,	/* one of our own words */
	FACT_TEXT,	/* bytes of other people, at most fact.max of them when encoded */
	FACT_INT,
	FACT_ID,	/* 64 bits */
	FACT_BOOL,
	FACT_TIME,	/* unix ns */
	FACT_TREE,	/* an object or an array: `tree` writes it */
};

struct fact_value {
	enum fact_type type;
	union {
		const char *text;
		int64_t num;	/* FACT_INT, FACT_BOOL, FACT_TIME */
		uint64_t id;
		void (*tree)(struct json *j, const struct event *ev);
	};
	char buf[48];		/* an address in text, where `text` points then */
};

/* In which events a fact stands. */
#define FACT_IN_LEASE 0x1	/* every port.* but the summary */
#define FACT_IN_GAP 0x2
#define FACT_IN_SUMMARY 0x4

struct fact {
	const char *name;	/* one name may stand twice, for different events */
	char member[24];	/* the name as a JSON key, comma, quotes and colon included */
	size_t member_len;
	unsigned int in;
	size_t max;	/* FACT_TEXT: longest encoded form; such that a line stays within FACTS_LINE_MAX */
	void (*get)(const struct event *ev, struct fact_value *v);
	enum facts_run run;	/* what this fact and its neighbours of the same run are made of */
	bool twin;	/* an earlier fact has this name too, and the column of CSV */
};

/* The list; `*count` gets its length. */
const struct fact *facts_list(size_t *count);
/* Which facts stand in this event: one of FACT_IN_*. */
unsigned int facts_in(const struct event *ev);
/* Whether the fact stands in this event. */
bool facts_apply(const struct fact *fact, const struct event *ev);

/* The words of the array "flags", by PL_F_* bit; NULL ends.  Bits that have a field of their own are not here. */
struct fact_flag {
	const char *name;
	unsigned int bit;
};
extern const struct fact_flag facts_flags[];

/* "name":value, ... into the object that is open in `j`. */
void facts_json_fields(struct json *j, const struct event *ev);
/* One whole object, no newline. */
void facts_json(struct strbuf *out, const struct event *ev);
/* A gap as an answer lists it: lost, from, to (null: it lasts) and cause. */
void facts_json_gap(struct json *j, const struct gap *g);

/*
 * RFC 4180, ended by "\n": all facts, empty where one is unknown or does not
 * stand in the event; trees as JSON text.  Text is escaped as by str_escape();
 * a first character = + - @ becomes \xNN, so that no spreadsheet runs it.
 */
/* One cell of other people's bytes; NULL: empty. */
void facts_csv_text(struct strbuf *out, const char *text);
void facts_csv_header(struct strbuf *out);
void facts_csv(struct strbuf *out, const struct event *ev);

#endif
