/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A growing string, and the way in which bytes of other people are made safe
 * to show.
 *
 * A strbuf keeps its first failure (-ENOMEM) and ignores every later write, so
 * a writer of many pieces checks once, at the end: strbuf_err().
 * Refuses to know any format: JSON is json.h, columns are tab.h.
 */
#ifndef PORTLIFE_BASE_STR_H
#define PORTLIFE_BASE_STR_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct strbuf {
	char *data;	/* NUL-terminated once anything was written, else NULL */
	size_t len;	/* without the NUL */
	size_t cap;
	int err;	/* 0 or the first negative errno */
};

#define STRBUF_INIT { NULL, 0, 0, 0 }

/* Frees the memory and leaves an empty, usable buffer.  NULL is fine. */
void strbuf_free(struct strbuf *sb);
/* Empties it and forgets the failure, keeping the memory. */
void strbuf_reset(struct strbuf *sb);
/* Cuts back to `len` bytes; no effect when it is shorter already. */
void strbuf_truncate(struct strbuf *sb, size_t len);

bool strbuf_grow(struct strbuf *sb, size_t more);

/* Room for `more` bytes and the NUL; false after a failure. */
static inline bool strbuf_reserve(struct strbuf *sb, size_t more)
{
	return (sb->len + more < sb->cap && !sb->err) || strbuf_grow(sb, more);
}

/* Inline: a line of JSON is made of a hundred of these. */
static inline void strbuf_put(struct strbuf *sb, const void *bytes, size_t len)
{
	if (!len || !strbuf_reserve(sb, len))
		return;
	memcpy(sb->data + sb->len, bytes, len);
	sb->len += len;
	sb->data[sb->len] = '\0';
}

static inline void strbuf_puts(struct strbuf *sb, const char *s)
{
	strbuf_put(sb, s, strlen(s));
}

static inline void strbuf_putc(struct strbuf *sb, char c)
{
	strbuf_put(sb, &c, 1);
}

/* "00" to "99", one behind the other. */
extern const char str_pairs[];
/* In decimal: at most 20 bytes, no NUL; returns where they end. */
char *str_put_uint(char *to, uint64_t v);
void strbuf_put_uint(struct strbuf *sb, uint64_t v);
void strbuf_put_int(struct strbuf *sb, int64_t v);
void strbuf_pad(struct strbuf *sb, char c, size_t count);
void strbuf_printf(struct strbuf *sb, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void strbuf_vprintf(struct strbuf *sb, const char *fmt, va_list ap) __attribute__((format(printf, 2, 0)));

/* The text, never NULL: "" for an empty buffer.  Borrowed until the next write. */
const char *strbuf_str(const struct strbuf *sb);
int strbuf_err(const struct strbuf *sb);

/*
 * Decodes the first character of `len` > 0 bytes into `*cp` and returns its
 * length in bytes, 1-4; 0 when the first byte starts no valid UTF-8 (overlong
 * forms, surrogates and values above U+10FFFF are invalid).
 */
size_t str_decode_utf8(const char *bytes, size_t len, uint32_t *cp);

/*
 * Whether a character can do harm where it is shown: C0 and C1 controls, DEL,
 * line and paragraph separators, bidi controls and all other format characters
 * (Unicode category Cf), tags and noncharacters.
 */
bool str_is_unsafe(uint32_t cp);

/*
 * Whether a backslash followed by `rest` (of `len` bytes) would read as one of
 * our own escapes \x80-\xff or \x5c, or, with `display`, as \x00-\x1f, \x7f or
 * \u{.  Such a backslash is written as \x5c, any other as it is: text such as
 * systemd's "dev-x\x2dy" stays what it was and no two strings become one.
 */
bool str_is_escape(const char *rest, size_t len, bool display);

/*
 * Appends `bytes` so that a terminal or a log can take them: a control byte or
 * a byte that is no UTF-8 becomes \xNN, an unsafe character \u{NNNN}, the rest
 * is unchanged.  The result is valid UTF-8 and can be undone (see above).
 */
void str_escape(struct strbuf *out, const char *bytes, size_t len);
void str_escape_str(struct strbuf *out, const char *s);	/* NULL: nothing */

/*
 * Appends a name that stands among other words: in double quotes, a quote of its
 * own as \x22, if it has a blank, a quote, a comma or a parenthesis in it, or what
 * looks like one, so that it cannot pass for its neighbours.  Not escaped otherwise.
 */
void str_quote(struct strbuf *out, const char *name);
/* The same, escaped. */
void str_name(struct strbuf *out, const char *name);

/* Columns that a terminal needs for text already escaped; never locale dependent. */
size_t str_width(const char *bytes, size_t len);

#endif
