/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A report and its faces: text for people, one JSON document, the rows of one
 * grouping as CSV or JSON lines, and a page that needs nothing but itself.
 *
 * All faces show the same sums; none computes what another does not have.
 */
#ifndef PORTLIFE_OUT_REPORT_H
#define PORTLIFE_OUT_REPORT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "model/pressure.h"
#include "model/report.h"

struct json;
struct strbuf;

#define REPORT_HTML_ROWS 500	/* of each grouping in the page */

/* A report as it is to be shown; what it is worth stands beside it. */
struct report_view {
	const struct report *r;		/* finished */
	enum report_by by;
	size_t limit;			/* rows of a table */
	unsigned int width;		/* columns of the terminal, 0: not known */
	bool utc, ascii;
	bool live;			/* traced, not read */
	bool partial;			/* ended by a signal before all was read */
	const char *host, *version;	/* may be NULL */
	int64_t made;			/* unix ns */
	bool before, evicted, skipped;	/* begins before recording did, in what retention removed; unreadable files */
	int64_t recorded_since;		/* 0: unknown */
	int64_t lost;			/* events, -1: some */
	/* Worst first, as of the end of the span. */
	const struct pressure_use *pressure;
	size_t n_pressure;
};

/* Whether gaps, losses or missing history could change the numbers. */
bool report_is_incomplete(const struct report_view *v);

void report_text(struct strbuf *out, const struct report_view *v);
/* One document and a newline. */
void report_json(struct strbuf *out, const struct report_view *v);
/* The rows of v->by. */
void report_csv(struct strbuf *out, const struct report_view *v, bool header);
void report_jsonl(struct strbuf *out, const struct report_view *v);
/* The whole page. */
void report_html(struct strbuf *out, const struct report_view *v);
/*
 * Complete under its name or not at all (out/beside.h).  0 or a negative errno,
 * said.
 */
int report_html_write(const char *path, const struct strbuf *page);

/* The document into the object open in `j`, with up to `rows` rows of each table. */
void report_json_fields(struct json *j, const struct report_view *v, size_t rows);

/* Held at the end of the span and at the fullest instant, of the whole lane; `in_range` when the range is known. */
struct report_use {
	bool known;			/* the range is, and the numbers are of its ports alone */
	uint32_t capacity[2];		/* even, odd; without the reserved, whose parity is not told: half each */
	size_t peak_i;
	uint32_t peak[2], now[2];
	double per_s;			/* growth over the last quarter of the span */
	double eta_s;			/* INFINITY: not approaching */
};
void report_use_of(const struct report *r, const struct report_space *sp, const struct report_lane *lane, struct report_use *ret);

#endif
