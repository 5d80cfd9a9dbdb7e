// SPDX-License-Identifier: GPL-2.0
/* The JSON writer; the form of strings is explained in json.h. */
#include "base/json.h"

#include <math.h>
#include <string.h>

#include "base/str.h"
#include "base/timex.h"

void json_init(struct json *j, struct strbuf *out)
{
	*j = (struct json){ .out = out };
}

static void json_separate(struct json *j)
{
	if (j->comma)
		strbuf_putc(j->out, ',');
	j->comma = true;
}

static void json_open(struct json *j, char c)
{
	json_separate(j);
	strbuf_putc(j->out, c);
	j->comma = false;
}

static void json_close(struct json *j, char c)
{
	strbuf_putc(j->out, c);
	j->comma = true;
}

void json_object(struct json *j)
{
	json_open(j, '{');
}

void json_object_end(struct json *j)
{
	json_close(j, '}');
}

void json_array(struct json *j)
{
	json_open(j, '[');
}

void json_array_end(struct json *j)
{
	json_close(j, ']');
}

void json_key(struct json *j, const char *key)
{
	json_separate(j);
	strbuf_putc(j->out, '"');
	strbuf_puts(j->out, key);
	strbuf_puts(j->out, "\":");
	j->comma = false;
}

static void json_word(struct json *j, const char *word)
{
	json_separate(j);
	strbuf_puts(j->out, word);
}

void json_null(struct json *j)
{
	json_word(j, "null");
}

void json_bool(struct json *j, bool v)
{
	json_word(j, v ? "true" : "false");
}

void json_int(struct json *j, int64_t v)
{
	json_separate(j);
	strbuf_put_int(j->out, v);
}

void json_uint(struct json *j, uint64_t v)
{
	json_separate(j);
	strbuf_put_uint(j->out, v);
}

void json_id(struct json *j, uint64_t v)
{
	json_separate(j);
	strbuf_putc(j->out, '"');
	strbuf_put_uint(j->out, v);
	strbuf_putc(j->out, '"');
}

void json_real(struct json *j, double v, int digits)
{
	if (!isfinite(v)) {
		json_null(j);
		return;
	}
	json_separate(j);
	strbuf_printf(j->out, "%.*f", digits, v);
}

void json_plain(struct json *j, const char *s)
{
	size_t len = strlen(s);
	char *at;

	json_separate(j);
	if (!strbuf_reserve(j->out, len + 2))
		return;
	at = j->out->data + j->out->len;
	*at++ = '"';
	at = (char *)memcpy(at, s, len) + len;
	*at++ = '"';
	*at = '\0';
	j->out->len += len + 2;
}

void json_time(struct json *j, int64_t unix_ns)
{
	char buf[TIMEX_BUF];

	if (unix_ns)
		json_plain(j, timex_rfc3339(unix_ns, buf));
	else
		json_null(j);
}

static void put_u16(struct strbuf *out, uint32_t unit)
{
	strbuf_printf(out, "\\u%04x", unit);
}

static void put_unsafe(struct strbuf *out, uint32_t cp)
{
	if (cp == '\n' || cp == '\t' || cp == '\r') {
		strbuf_puts(out, cp == '\n' ? "\\n" : cp == '\t' ? "\\t" : "\\r");
	} else if (cp < 0x10000) {
		put_u16(out, cp);
	} else {
		put_u16(out, 0xd800 + ((cp - 0x10000) >> 10));
		put_u16(out, 0xdc00 + (cp & 0x3ff));
	}
}

#define EACH_BYTE(b) (0x0101010101010101ULL * (b))

/* The high bit of each byte of `w` that is 0; of one above such a byte perhaps too. */
static uint64_t zero_bytes(uint64_t w)
{
	return (w - EACH_BYTE(1)) & ~w & EACH_BYTE(0x80);
}

size_t json_plain_run(const char *bytes, size_t len)
{
	static const bool plain[256] = {
		[' '] = true, ['!'] = true, ['#' ... '['] = true, [']' ... '~'] = true,
	};
	size_t n = 0;
	uint64_t w;

	/* Eight at a time: controls, bytes above ASCII, the quote, the backslash, DEL. */
	for (; n + sizeof(w) <= len; n += sizeof(w)) {
		memcpy(&w, bytes + n, sizeof(w));
		if (((w | (w - EACH_BYTE(' '))) & EACH_BYTE(0x80)) | zero_bytes(w ^ EACH_BYTE('"')) | zero_bytes(w ^ EACH_BYTE('\\')) |
		    zero_bytes(w ^ EACH_BYTE(0x7f)))
			break;
	}
	while (n < len && plain[(unsigned char)bytes[n]])
		n++;
	return n;
}

/*
 * Appends the first character of `bytes`; returns the bytes used.  A backslash
 * that must be told from an escape takes along the three bytes that make it
 * one: parted from them by a cut it would be written in another way.
 */
static size_t json_put_char(struct strbuf *out, const char *bytes, size_t len)
{
	uint32_t cp;
	size_t n = str_decode_utf8(bytes, len, &cp);

	if (!n) {
		strbuf_printf(out, "\\\\x%02x", (unsigned char)bytes[0]);
		return 1;
	}
	if (cp == '\\' && str_is_escape(bytes + 1, len - 1, false)) {
		strbuf_puts(out, "\\\\x5c");
		strbuf_put(out, bytes + 1, 3);
		return 4;
	}
	if (cp == '"' || cp == '\\') {
		strbuf_putc(out, '\\');
		strbuf_putc(out, (char)cp);
	} else if (str_is_unsafe(cp)) {
		put_unsafe(out, cp);
	} else {
		strbuf_put(out, bytes, n);
	}
	return n;
}

static void json_put(struct json *j, const char *bytes, size_t len, size_t max)
{
	struct strbuf *out = j->out;
	size_t start, fit, plain = json_plain_run(bytes, len);

	json_separate(j);
	strbuf_putc(out, '"');
	start = out->len;
	if (plain + strlen(JSON_CUT) > max)
		plain = 0;
	strbuf_put(out, bytes, plain);
	fit = out->len;		/* where the marker still has room behind */
	for (size_t i = plain; i < len && !out->err;) {
		i += json_put_char(out, bytes + i, len - i);
		if (out->len - start > max) {
			strbuf_truncate(out, fit);
			strbuf_puts(out, JSON_CUT);
			break;
		}
		if (out->len - start + strlen(JSON_CUT) <= max)
			fit = out->len;
	}
	strbuf_putc(out, '"');
}

void json_str(struct json *j, const char *s)
{
	json_str_max(j, s, SIZE_MAX);
}

void json_str_max(struct json *j, const char *s, size_t max)
{
	if (s)
		json_put(j, s, strlen(s), max < SIZE_MAX / 2 ? max : SIZE_MAX / 2);
	else
		json_null(j);
}

static unsigned char hex_byte(const char *two)
{
	int hi = two[0] <= '9' ? two[0] - '0' : two[0] - 'a' + 10;
	int lo = two[1] <= '9' ? two[1] - '0' : two[1] - 'a' + 10;

	return (unsigned char)(hi * 16 + lo);
}

size_t json_unescape(char *s)
{
	size_t len = strlen(s), to = 0;

	for (size_t i = 0; i < len; to++) {
		if (s[i] == '\\' && str_is_escape(s + i + 1, len - i - 1, false)) {
			s[to] = (char)hex_byte(s + i + 2);
			i += 4;
		} else {
			s[to] = s[i++];
		}
	}
	s[to] = '\0';
	return to;
}
