// SPDX-License-Identifier: GPL-2.0
/* Drawing with characters; see report_draw.h. */
#include "out/report_draw.h"

#include <stdio.h>
#include <string.h>

#include "base/str.h"

#define CUT "\xe2\x80\xa6"

const char *draw_span(int64_t ns, char *buf)
{
	static const struct {
		double ns;
		const char *name;
	} units[] = { { 86400e9, "d" }, { 3600e9, "h" }, { 60e9, "min" }, { 1e9, "s" }, { 1e6, "ms" }, { 1e3, "us" }, { 1, "ns" } };
	size_t i = 0;
	double n;

	/* TIME_WAIT is 60 s to everybody, not a minute. */
	while (i + 1 < sizeof(units) / sizeof(units[0]) && (double)ns < units[i].ns * (i < 3 ? 1.995 : 0.9995))
		i++;
	n = (double)ns / units[i].ns;
	/* "60.0 s" is said as "60 s", and 1.0 as 1. */
	if (n < 9.95 && (int64_t)(n * 10 + 0.5) % 10)
		snprintf(buf, DRAW_SPAN, "%.1f %s", n, units[i].name);
	else
		snprintf(buf, DRAW_SPAN, "%.0f %s", n, units[i].name);
	return buf;
}

void draw_bar(struct strbuf *out, uint64_t n, uint64_t most, unsigned int width, bool ascii)
{
	static const char *const eighths[] = { "", "\u258f", "\u258e", "\u258d", "\u258c", "\u258b", "\u258a", "\u2589" };
	unsigned int steps = ascii ? 1 : 8, len, full;

	len = most ? (unsigned int)((double)n / (double)most * width * steps + 0.5) : 0;
	if (n && !len)
		len = 1;
	full = len / steps;
	for (unsigned int i = 0; i < full; i++)
		strbuf_puts(out, ascii ? "#" : "\u2588");
	if (len % steps) {
		strbuf_puts(out, eighths[len % steps]);
		full++;
	}
	strbuf_pad(out, ' ', width - full);
}

void draw_spark(struct strbuf *out, const uint64_t *values, size_t n, size_t width, bool ascii)
{
	static const char *const blocks[] = { "\u2581", "\u2582", "\u2583", "\u2584", "\u2585", "\u2586", "\u2587", "\u2588" };
	static const char chars[] = "_.:-=+*#";
	uint64_t most = 0;

	for (size_t i = 0; i < n; i++)
		most = values[i] > most ? values[i] : most;
	for (size_t c = 0; c < width; c++) {
		uint64_t high = 0;
		size_t level;

		for (size_t i = c * n / width; i < (c + 1) * n / width; i++)
			high = values[i] > high ? values[i] : high;
		/* An empty stretch is blank, the least use a low mark. */
		if (!high) {
			strbuf_putc(out, ' ');
			continue;
		}
		level = (size_t)((double)high / (double)most * 7 + 0.5);
		if (ascii)
			strbuf_putc(out, chars[level]);
		else
			strbuf_puts(out, blocks[level]);
	}
}

/* The longest beginning of `width` columns, whole characters. */
static size_t fitting(const char *text, size_t len, size_t width)
{
	size_t at = 0;
	uint32_t cp;

	while (at < len) {
		size_t n = str_decode_utf8(text + at, len - at, &cp);

		if (!n || str_width(text, at + n) > width)
			break;
		at += n;
	}
	return at;
}

/* Where the longest end of `width` columns begins. */
static size_t ending(const char *text, size_t len, size_t width)
{
	size_t cols = str_width(text, len), at = 0;
	uint32_t cp;

	while (at < len && cols > width) {
		size_t n = str_decode_utf8(text + at, len - at, &cp);

		n = n ? n : 1;
		cols -= str_width(text + at, n);
		at += n;
	}
	return at;
}

static void cut_path(struct strbuf *safe, const char *quote, size_t width, bool ascii)
{
	struct strbuf whole = *safe;
	size_t from = ending(strbuf_str(&whole), whole.len, width - 1 - strlen(quote));

	*safe = (struct strbuf)STRBUF_INIT;
	strbuf_puts(safe, quote);
	strbuf_puts(safe, ascii ? "~" : CUT);
	strbuf_put(safe, strbuf_str(&whole) + from, whole.len - from);
	safe->err = safe->err ? safe->err : whole.err;
	strbuf_free(&whole);
}

/* Cuts `safe`, which ends in `quote` (it may be none), so that `width` columns hold it with the sign of the cut. */
static void cut(struct strbuf *safe, const char *quote, size_t width, bool ascii)
{
	strbuf_truncate(safe, fitting(strbuf_str(safe), safe->len, width - 1 - strlen(quote)));
	strbuf_puts(safe, ascii ? "~" : CUT);
	strbuf_puts(safe, quote);
}

/* Puts and empties it. */
static void put_cell(struct strbuf *out, struct strbuf *safe, const char *after, size_t width)
{
	size_t cols;

	strbuf_puts(safe, after);
	cols = str_width(strbuf_str(safe), safe->len);
	strbuf_put(out, strbuf_str(safe), safe->len);
	if (cols < width)
		strbuf_pad(out, ' ', width - cols);
	if (safe->err && !out->err)
		out->err = safe->err;
	strbuf_free(safe);
}

void draw_cell(struct strbuf *out, const char *text, size_t width, bool ascii)
{
	struct strbuf safe = STRBUF_INIT;

	str_escape_str(&safe, text);
	if (width && str_width(strbuf_str(&safe), safe.len) > width)
		cut(&safe, "", width, ascii);
	put_cell(out, &safe, "", width);
}

static void fit_name(struct strbuf *safe, const char *name, size_t width, bool ascii)
{
	const char *quote;

	str_name(safe, name);
	quote = strbuf_str(safe)[0] == '"' ? "\"" : "";
	if (str_width(strbuf_str(safe), safe->len) > width)
		(name[0] == '/' ? cut_path : cut)(safe, quote, width, ascii);
}

void draw_name(struct strbuf *out, const char *name, const char *after, size_t width, bool ascii)
{
	struct strbuf safe = STRBUF_INIT;

	fit_name(&safe, name, width - strlen(after), ascii);
	put_cell(out, &safe, after, width);
}

void draw_last(struct strbuf *out, const char *name, size_t width, bool ascii)
{
	struct strbuf safe = STRBUF_INIT;

	fit_name(&safe, name, width, ascii);
	put_cell(out, &safe, "", 0);
}
