// SPDX-License-Identifier: GPL-2.0
/*
 * A growing string and display-safe text; see str.h.
 *
 * The tables of character ranges below are deliberately coarse: a range that
 * hides one harmless character costs a \u{...}, a missing one costs a terminal.
 */
#include "base/str.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void strbuf_free(struct strbuf *sb)
{
	if (!sb)
		return;
	free(sb->data);
	*sb = (struct strbuf)STRBUF_INIT;
}

void strbuf_reset(struct strbuf *sb)
{
	sb->err = 0;
	sb->len = 0;
	if (sb->data)
		sb->data[0] = '\0';
}

void strbuf_truncate(struct strbuf *sb, size_t len)
{
	if (len >= sb->len)
		return;
	sb->len = len;
	sb->data[len] = '\0';
}

bool strbuf_grow(struct strbuf *sb, size_t more)
{
	size_t cap = sb->cap ? sb->cap : 64;
	char *data;

	if (sb->err)
		return false;
	if (more > SIZE_MAX / 4 || sb->len > SIZE_MAX / 4)
		goto fail;
	while (cap < sb->len + more + 1)
		cap *= 2;
	if (cap == sb->cap)
		return true;
	data = realloc(sb->data, cap);
	if (!data)
		goto fail;
	sb->data = data;
	sb->cap = cap;
	return true;
fail:
	sb->err = -ENOMEM;
	return false;
}

const char str_pairs[] = "00010203040506070809101112131415161718192021222324252627282930313233343536373839"
			 "40414243444546474849505152535455565758596061626364656667686970717273747576777879"
			 "8081828384858687888990919293949596979899";

static unsigned int digits_of(uint64_t v)
{
	static const uint64_t tens[] = {
		0, 10, 100, 1000, 10000, 100000, 1000000, 10000000, 100000000, 1000000000, 10000000000, 100000000000, 1000000000000,
		10000000000000, 100000000000000, 1000000000000000, 10000000000000000, 100000000000000000, 1000000000000000000,
		10000000000000000000ULL,
	};
	unsigned int bits = 64 - (unsigned int)__builtin_clzll(v | 1), n = bits * 1233 >> 12;	/* log10(2) */

	return n + (v >= tens[n]);
}

/* Two digits a step; printf(3) took most of the time of a line of JSON. */
char *str_put_uint(char *to, uint64_t v)
{
	char *end = to + digits_of(v), *at = end;

	for (; v >= 100; v /= 100)
		memcpy(at -= 2, &str_pairs[v % 100 * 2], 2);
	if (v >= 10)
		memcpy(at - 2, &str_pairs[v * 2], 2);
	else
		at[-1] = (char)('0' + v);
	return end;
}

void strbuf_put_uint(struct strbuf *sb, uint64_t v)
{
	char digits[20] = "";

	strbuf_put(sb, digits, (size_t)(str_put_uint(digits, v) - digits));
}

void strbuf_put_int(struct strbuf *sb, int64_t v)
{
	if (v < 0)
		strbuf_putc(sb, '-');
	strbuf_put_uint(sb, v < 0 ? 0 - (uint64_t)v : (uint64_t)v);
}

void strbuf_pad(struct strbuf *sb, char c, size_t count)
{
	if (!count || !strbuf_reserve(sb, count))
		return;
	memset(sb->data + sb->len, c, count);
	sb->len += count;
	sb->data[sb->len] = '\0';
}

void strbuf_vprintf(struct strbuf *sb, const char *fmt, va_list ap)
{
	va_list again;
	int need;

	va_copy(again, ap);
	need = vsnprintf(NULL, 0, fmt, again);
	va_end(again);
	if (need < 0) {
		sb->err = sb->err ? sb->err : -EINVAL;
		return;
	}
	if (!strbuf_reserve(sb, (size_t)need))
		return;
	vsnprintf(sb->data + sb->len, (size_t)need + 1, fmt, ap);
	sb->len += (size_t)need;
}

void strbuf_printf(struct strbuf *sb, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	strbuf_vprintf(sb, fmt, ap);
	va_end(ap);
}

const char *strbuf_str(const struct strbuf *sb)
{
	return sb->data ? sb->data : "";
}

int strbuf_err(const struct strbuf *sb)
{
	return sb->err;
}

static bool cp_is_valid(uint32_t cp, size_t n)
{
	static const uint32_t least[] = { 0, 0, 0x80, 0x800, 0x10000 };

	return cp >= least[n] && cp <= 0x10ffff && !(cp >= 0xd800 && cp <= 0xdfff);
}

size_t str_decode_utf8(const char *bytes, size_t len, uint32_t *cp)
{
	const unsigned char *b = (const unsigned char *)bytes;
	size_t n = b[0] < 0x80 ? 1 : b[0] < 0xc2 ? 0 : b[0] < 0xe0 ? 2 : b[0] < 0xf0 ? 3 : b[0] < 0xf5 ? 4 : 0;
	uint32_t v;

	if (!n || n > len)
		return 0;
	v = n == 1 ? b[0] : b[0] & (0x7fu >> n);
	for (size_t i = 1; i < n; i++) {
		if ((b[i] & 0xc0) != 0x80)
			return 0;
		v = v << 6 | (b[i] & 0x3f);
	}
	if (!cp_is_valid(v, n))
		return 0;
	*cp = v;
	return n;
}

struct range {
	uint32_t lo, hi;
};

static bool in_ranges(const struct range *r, size_t n, uint32_t cp)
{
	for (size_t i = 0; i < n && cp >= r[i].lo; i++)
		if (cp <= r[i].hi)
			return true;
	return false;
}

#define IN_RANGES(table, cp) in_ranges(table, sizeof(table) / sizeof((table)[0]), cp)

bool str_is_unsafe(uint32_t cp)
{
	/* Controls, category Cf, U+2028/9, fillers that show as nothing, noncharacters. */
	static const struct range unsafe[] = {
		{ 0x00, 0x1f }, { 0x7f, 0x9f }, { 0xad, 0xad }, { 0x34f, 0x34f }, { 0x600, 0x605 }, { 0x61c, 0x61c },
		{ 0x6dd, 0x6dd }, { 0x70f, 0x70f }, { 0x890, 0x891 }, { 0x8e2, 0x8e2 }, { 0x115f, 0x1160 },
		{ 0x17b4, 0x17b5 }, { 0x180b, 0x180f }, { 0x200b, 0x200f }, { 0x2028, 0x202e }, { 0x2060, 0x206f },
		{ 0x3164, 0x3164 }, { 0xfdd0, 0xfdef }, { 0xfeff, 0xfeff }, { 0xffa0, 0xffa0 }, { 0xfff0, 0xfffb },
		{ 0x110bd, 0x110bd }, { 0x110cd, 0x110cd }, { 0x13430, 0x1343f }, { 0x1bca0, 0x1bca3 },
		{ 0x1d173, 0x1d17a }, { 0xe0000, 0xe0fff },
	};

	return (cp & 0xfffe) == 0xfffe || IN_RANGES(unsafe, cp);
}

static int hex_digit(char c)
{
	return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

bool str_is_escape(const char *rest, size_t len, bool display)
{
	int hi, lo, byte;

	if (display && len >= 2 && rest[0] == 'u' && rest[1] == '{')
		return true;
	if (len < 3 || rest[0] != 'x')
		return false;
	hi = hex_digit(rest[1]);
	lo = hex_digit(rest[2]);
	if (hi < 0 || lo < 0)
		return false;
	byte = hi * 16 + lo;
	return byte >= 0x80 || byte == '\\' || (display && (byte < 0x20 || byte == 0x7f));
}

/* Bytes at the start that stand for themselves: most text is nothing else. */
static size_t plain_run(const char *bytes, size_t len)
{
	size_t n = 0;

	while (n < len && bytes[n] >= ' ' && bytes[n] < 0x7f && bytes[n] != '\\')
		n++;
	return n;
}

void str_escape(struct strbuf *out, const char *bytes, size_t len)
{
	uint32_t cp;
	size_t n;

	for (size_t i = 0; i < len; i += n ? n : 1) {
		n = plain_run(bytes + i, len - i);
		if (n) {
			strbuf_put(out, bytes + i, n);
			continue;
		}
		n = str_decode_utf8(bytes + i, len - i, &cp);
		if (!n || cp < 0x20 || cp == 0x7f)
			strbuf_printf(out, "\\x%02x", (unsigned char)bytes[i]);
		else if (cp == '\\' && str_is_escape(bytes + i + 1, len - i - 1, true))
			strbuf_puts(out, "\\x5c");
		else if (str_is_unsafe(cp))
			strbuf_printf(out, "\\u{%04x}", cp);
		else
			strbuf_put(out, bytes + i, n);
	}
}

void str_escape_str(struct strbuf *out, const char *s)
{
	if (s)
		str_escape(out, s, strlen(s));
}

/* A blank, or one of our own signs, or what looks like it. */
static bool cp_is_between(uint32_t cp)
{
	static const struct range between[] = {
		{ '\t', '\n' }, { ' ', ' ' }, { '"', '"' }, { '(', ')' }, { ',', ',' }, { 0xa0, 0xa0 }, { 0x1680, 0x1680 },
		{ 0x2000, 0x200a }, { 0x202f, 0x202f }, { 0x205f, 0x205f }, { 0x3000, 0x3000 }, { 0xff02, 0xff02 },
		{ 0xff08, 0xff09 }, { 0xff0c, 0xff0c },
	};

	return IN_RANGES(between, cp);
}

static bool needs_quotes(const char *name, size_t len)
{
	uint32_t cp;
	size_t n;

	for (size_t i = 0; i < len; i += n ? n : 1) {
		n = str_decode_utf8(name + i, len - i, &cp);
		if (n && cp_is_between(cp))
			return true;
	}
	return false;
}

static void put_quoted(struct strbuf *out, const char *name, size_t len, bool escape)
{
	const char *end = name + len, *quote;
	bool quotes = needs_quotes(name, len);

	if (quotes)
		strbuf_putc(out, '"');
	for (; name < end; name = quote + 1) {
		quote = memchr(name, '"', (size_t)(end - name));
		if (escape)
			str_escape(out, name, (size_t)((quote ? quote : end) - name));
		else
			strbuf_put(out, name, (size_t)((quote ? quote : end) - name));
		if (!quote)
			break;
		strbuf_puts(out, "\\x22");
	}
	if (quotes)
		strbuf_putc(out, '"');
}

void str_quote(struct strbuf *out, const char *name)
{
	put_quoted(out, name, strlen(name), false);
}

void str_name(struct strbuf *out, const char *name)
{
	put_quoted(out, name, strlen(name), true);
}

static size_t cp_width(uint32_t cp)
{
	static const struct range none[] = {
		{ 0x300, 0x36f }, { 0x483, 0x489 }, { 0x591, 0x5bd }, { 0x610, 0x61a }, { 0x64b, 0x65f },
		{ 0x1ab0, 0x1aff }, { 0x1dc0, 0x1dff }, { 0x20d0, 0x20ff }, { 0xfe00, 0xfe0f }, { 0xfe20, 0xfe2f },
	};
	static const struct range wide[] = {
		{ 0x1100, 0x115f }, { 0x2e80, 0x303e }, { 0x3041, 0xa4cf }, { 0xa960, 0xa97f }, { 0xac00, 0xd7a3 },
		{ 0xf900, 0xfaff }, { 0xfe30, 0xfe6f }, { 0xff00, 0xff60 }, { 0xffe0, 0xffe6 }, { 0x1f300, 0x1f64f },
		{ 0x1f680, 0x1f6ff }, { 0x1f900, 0x1faff }, { 0x20000, 0x3fffd },
	};

	return IN_RANGES(none, cp) ? 0 : IN_RANGES(wide, cp) ? 2 : 1;
}

size_t str_width(const char *bytes, size_t len)
{
	size_t width = 0, n;
	uint32_t cp;

	for (size_t i = 0; i < len; i += n ? n : 1) {
		n = str_decode_utf8(bytes + i, len - i, &cp);
		width += n ? cp_width(cp) : 1;
	}
	return width;
}
