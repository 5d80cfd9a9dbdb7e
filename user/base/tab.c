// SPDX-License-Identifier: GPL-2.0
/*
 * Columns; see tab.h.  Cells are kept escaped, one after the other, so that
 * widths are known before the first line is written.
 */
#include "base/tab.h"

#include <errno.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/str.h"

#define CUT "\xe2\x80\xa6"

struct tab {
	const struct tab_col *cols;
	unsigned int n_cols, next;	/* `next`: column of the next cell */
	struct strbuf cells;		/* each ended by NUL, row by row */
	unsigned int *widths;
};

int tab_new(const struct tab_col *cols, unsigned int n_cols, struct tab **ret)
{
	struct tab *t = calloc(1, sizeof(*t));

	if (!t)
		return -ENOMEM;
	t->cols = cols;
	t->n_cols = n_cols;
	t->widths = calloc(n_cols ? n_cols : 1, sizeof(*t->widths));
	if (!t->widths) {
		free(t);
		return -ENOMEM;
	}
	for (unsigned int i = 0; i < n_cols; i++)
		t->widths[i] = cols[i].width;
	*ret = t;
	return 0;
}

void tab_free(struct tab *t)
{
	if (!t)
		return;
	strbuf_free(&t->cells);
	free(t->widths);
	free(t);
}

/* Cuts what was appended since `start` to `max` columns, the cut included. */
static void tab_cut(struct strbuf *cells, size_t start, unsigned int max)
{
	size_t width = 0, at = start, n;
	uint32_t cp;

	if (cells->err || !max || str_width(cells->data + start, cells->len - start) <= max)
		return;
	while (at < cells->len) {
		n = str_decode_utf8(cells->data + at, cells->len - at, &cp);
		width += str_width(cells->data + at, n ? n : 1);
		if (width > max - 1)
			break;
		at += n ? n : 1;
	}
	strbuf_truncate(cells, at);
	strbuf_puts(cells, CUT);
}

static void tab_widen(struct tab *t, unsigned int col, const char *text)
{
	size_t width = str_width(text, strlen(text));

	if (width > t->widths[col])
		t->widths[col] = (unsigned int)width;
}

void tab_cell(struct tab *t, const char *text)
{
	size_t start = t->cells.len;
	unsigned int col = t->next;

	str_escape_str(&t->cells, text && *text ? text : "-");
	tab_cut(&t->cells, start, t->cols[col].max);
	if (!t->cells.err)
		tab_widen(t, col, t->cells.data + start);
	strbuf_putc(&t->cells, '\0');
	t->next = (col + 1) % t->n_cols;
}

void tab_cellf(struct tab *t, const char *fmt, ...)
{
	struct strbuf text = STRBUF_INIT;
	va_list ap;

	va_start(ap, fmt);
	strbuf_vprintf(&text, fmt, ap);
	va_end(ap);
	if (text.err && !t->cells.err)
		t->cells.err = text.err;
	tab_cell(t, strbuf_str(&text));
	strbuf_free(&text);
}

static void put_cell(struct strbuf *out, const struct tab *t, unsigned int col, const char *text)
{
	size_t width = str_width(text, strlen(text)), pad = t->widths[col] > width ? t->widths[col] - width : 0;
	bool last = col + 1 == t->n_cols;

	if (t->cols[col].right)
		strbuf_pad(out, ' ', pad);
	strbuf_puts(out, text);
	if (!t->cols[col].right && !last)
		strbuf_pad(out, ' ', pad);
	strbuf_puts(out, last ? "\n" : "  ");
}

int tab_print(struct tab *t, bool header, FILE *to)
{
	struct strbuf out = STRBUF_INIT;
	unsigned int col = 0;
	int err;

	while (t->next)
		tab_cell(t, NULL);
	for (unsigned int i = 0; header && i < t->n_cols; i++)
		tab_widen(t, i, t->cols[i].title);
	for (unsigned int i = 0; header && i < t->n_cols; i++)
		put_cell(&out, t, i, t->cols[i].title);
	for (size_t at = 0; at < t->cells.len; col = col + 1 < t->n_cols ? col + 1 : 0) {
		const char *text = t->cells.data + at;

		put_cell(&out, t, col, text);
		at += strlen(text) + 1;
	}
	err = t->cells.err ? t->cells.err : strbuf_err(&out);
	errno = 0;
	if (!err && fwrite(strbuf_str(&out), 1, out.len, to) != out.len)
		err = errno ? -errno : -EIO;
	strbuf_free(&out);
	return err;
}
