/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Plain columns for answers that are complete before they are shown (doctor,
 * who, report).  Live output has its own writer in out/.
 *
 * Every cell is escaped for a terminal and measured in columns of it.  Numbers
 * and words come formatted; nothing is coloured here.
 */
#ifndef PORTLIFE_BASE_TAB_H
#define PORTLIFE_BASE_TAB_H

#include <stdbool.h>
#include <stdio.h>

struct tab;

struct tab_col {
	const char *title;
	unsigned int width;	/* at least this wide; it grows to its widest cell */
	unsigned int max;	/* cut longer cells, the cut shown by "…"; 0: never */
	bool right;
};

/* The columns are borrowed for the life of the table.  Returns 0 or -ENOMEM. */
int tab_new(const struct tab_col *cols, unsigned int n_cols, struct tab **ret);
void tab_free(struct tab *t);

/*
 * Adds the next cell, left to right; after the last column a new row begins.
 * NULL and "" are shown as "-".  Failures are kept and returned by tab_print().
 */
void tab_cell(struct tab *t, const char *text);
void tab_cellf(struct tab *t, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* Writes all rows (an unfinished one is filled with "-"), unflushed.  0 or a negative errno. */
int tab_print(struct tab *t, bool header, FILE *to);

#endif
