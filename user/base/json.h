/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A streaming JSON writer onto a strbuf: compact, no tree, no allocation of
 * its own.  The caller keeps begin and end in pairs; commas are put here.
 *
 * Strings hold bytes of other people and JSON holds only UTF-8, so:
 *  - valid UTF-8 is written as it is, except the quote, the backslash, controls
 *    and what str_is_unsafe() names (U+2028, bidi, ...), which become \uXXXX;
 *  - a byte 0xNN that is no UTF-8 becomes the four characters \xNN (in the file
 *    "\\xNN", lower case), and a backslash which would read as such an escape,
 *    that is one before "x80".."xff" or "x5c", becomes the characters \x5c.
 * So decoding is: parse as JSON, then replace \x80-\xff and \x5c by that byte.
 * No two byte strings give the same text; json_unescape() undoes it.
 */
#ifndef PORTLIFE_BASE_JSON_H
#define PORTLIFE_BASE_JSON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct strbuf;

#define JSON_CUT "\xe2\x80\xa6"		/* stands where a string was cut: U+2026 */

struct json {
	struct strbuf *out;	/* borrowed */
	bool comma;		/* the next value or key needs one before it */
};

void json_init(struct json *j, struct strbuf *out);

void json_object(struct json *j);
void json_object_end(struct json *j);
void json_array(struct json *j);
void json_array_end(struct json *j);
/* A key is ours, ASCII, and written as it is. */
void json_key(struct json *j, const char *key);

void json_null(struct json *j);
void json_bool(struct json *j, bool v);
void json_int(struct json *j, int64_t v);
void json_uint(struct json *j, uint64_t v);
/* A 64-bit id: a decimal string, because a double would round it. */
void json_id(struct json *j, uint64_t v);
/* Fixed digits after the point; not finite: null. */
void json_real(struct json *j, double v, int digits);
/* RFC 3339 UTC with 9 digits; 0: null. */
void json_time(struct json *j, int64_t unix_ns);
/* One of our own words: nothing in it needs an escape. */
void json_plain(struct json *j, const char *s);
/* NULL: null. */
void json_str(struct json *j, const char *s);
/*
 * As json_str, but at most `max` bytes between the quotes: a longer string is
 * cut at a character (never inside an escape) and ends in JSON_CUT.
 */
void json_str_max(struct json *j, const char *s, size_t max);

/* Bytes at the start of `bytes` that a JSON string holds as they are: most strings are nothing else. */
size_t json_plain_run(const char *bytes, size_t len);

/* Undoes the \xNN of a string that a JSON parser returned, in place; the new length. */
size_t json_unescape(char *s);

#endif
