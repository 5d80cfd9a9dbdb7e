/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Bars, sparklines, cells and short times of a text report.  Internal to out/.
 */
#ifndef PORTLIFE_OUT_REPORT_DRAW_H
#define PORTLIFE_OUT_REPORT_DRAW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct strbuf;

#define DRAW_SPAN 16

/* One unit, two or three digits, at most 7 columns: "211 ms", "1.2 s", "4.1 min".  Returns buf. */
const char *draw_span(int64_t ns, char *buf);
/* `n` of `most` as a bar in `width` columns, filled up with blanks; what is not 0 shows. */
void draw_bar(struct strbuf *out, uint64_t n, uint64_t most, unsigned int width, bool ascii);
/* The highest of each stretch of `n` values, in `width` columns. */
void draw_spark(struct strbuf *out, const uint64_t *values, size_t n, size_t width, bool ascii);
/* Escaped, cut to `width` columns and filled up; 0: neither. */
void draw_cell(struct strbuf *out, const char *text, size_t width, bool ascii);
/*
 * The same of somebody's name, in quotes where it needs them (str_name()), with
 * words of ours behind it, " (4711)", which are never cut.  Of a path the end is
 * kept: that is where paths differ.
 */
void draw_name(struct strbuf *out, const char *name, const char *after, size_t width, bool ascii);
/* A name at the end of a row: cut, but not filled up. */
void draw_last(struct strbuf *out, const char *name, size_t width, bool ascii);

#endif
