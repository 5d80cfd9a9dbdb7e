// SPDX-License-Identifier: GPL-2.0
/*
 * The growing string, UTF-8 with all the ways to be wrong, and escaping: what
 * reaches a terminal, what stays, and that no two names become one.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include <errno.h>

#include "base/str.h"

static void test_strbuf_grows(void **state)
{
	struct strbuf sb = STRBUF_INIT;

	assert_string_equal(strbuf_str(&sb), "");
	for (int i = 0; i < 1000; i++)
		strbuf_printf(&sb, "%03d,", i);
	assert_int_equal(sb.len, 4000);
	assert_memory_equal(sb.data, "000,001,", 8);
	assert_memory_equal(sb.data + 3992, "998,999,", 9);
	strbuf_truncate(&sb, 4);
	strbuf_truncate(&sb, 400);
	strbuf_pad(&sb, '.', 3);
	strbuf_putc(&sb, 'x');
	assert_string_equal(strbuf_str(&sb), "000,...x");
	strbuf_reset(&sb);
	assert_string_equal(strbuf_str(&sb), "");
	strbuf_free(&sb);
	strbuf_free(&sb);
	strbuf_free(NULL);
}

/* Writes the 1-4 bytes of a valid code point; returns their number. */
static size_t encode_utf8(uint32_t cp, char buf[4])
{
	size_t n = cp < 0x80 ? 1 : cp < 0x800 ? 2 : cp < 0x10000 ? 3 : 4;

	if (n == 1) {
		buf[0] = (char)cp;
		return 1;
	}
	for (size_t i = n; i-- > 1; cp >>= 6)
		buf[i] = (char)(0x80 | (cp & 0x3f));
	buf[0] = (char)((0xf00u >> n & 0xf0) | cp);
	return n;
}

static void test_strbuf_keeps_failure(void **state)
{
	struct strbuf sb = STRBUF_INIT;

	strbuf_puts(&sb, "ab");
	strbuf_pad(&sb, 'x', SIZE_MAX / 2);
	strbuf_puts(&sb, "cd");
	assert_int_equal(strbuf_err(&sb), -ENOMEM);
	assert_string_equal(strbuf_str(&sb), "ab");
	strbuf_reset(&sb);
	strbuf_puts(&sb, "cd");
	assert_int_equal(strbuf_err(&sb), 0);
	assert_string_equal(strbuf_str(&sb), "cd");
	strbuf_free(&sb);
}

static void test_utf8_all_code_points(void **state)
{
	for (uint32_t cp = 0; cp <= 0x10ffff; cp++) {
		uint32_t back = 0xffffffff;
		char buf[4];
		size_t n;

		if (cp >= 0xd800 && cp <= 0xdfff)
			continue;
		n = encode_utf8(cp, buf);
		if (str_decode_utf8(buf, n, &back) != n || back != cp)
			fail_msg("U+%04X came back as U+%04X", cp, back);
		if (n > 1 && str_decode_utf8(buf, n - 1, &back))
			fail_msg("U+%04X is taken when cut", cp);
	}
}

static void test_utf8_refuses(void **state)
{
	static const char *const wrong[] = {
		"\x80", "\xbf", "\xc0\x80", "\xc1\xbf", "\xe0\x80\x80", "\xe0\x9f\xbf", "\xf0\x80\x80\x80",
		"\xed\xa0\x80", "\xed\xbf\xbf", "\xf4\x90\x80\x80", "\xf5\x80\x80\x80", "\xff", "\xe2\x28\xa1",
		"\xe2\x82", "\xc3",
	};
	uint32_t cp;

	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
		if (str_decode_utf8(wrong[i], strlen(wrong[i]), &cp))
			fail_msg("case %zu is taken as U+%04X", i, cp);
}

static void check_escape(const char *in, const char *want)
{
	struct strbuf sb = STRBUF_INIT;

	str_escape_str(&sb, in);
	assert_string_equal(strbuf_str(&sb), want);
	strbuf_free(&sb);
}

static void test_escape(void **state)
{
	check_escape("nginx: worker", "nginx: worker");
	check_escape("caf\xc3\xa9 \xe4\xb8\xad", "caf\xc3\xa9 \xe4\xb8\xad");
	check_escape("\x1b[31mred\x07\n\r\t", "\\x1b[31mred\\x07\\x0a\\x0d\\x09");
	check_escape("\x7f", "\\x7f");
	check_escape("\xc2\x9b" "31m", "\\u{009b}31m");	/* C1 CSI */
	check_escape("a\xffz\xe2\x82", "a\\xffz\\xe2\\x82");
	check_escape("\xe2\x80\xae" "cod.exe", "\\u{202e}cod.exe");
	check_escape("\xe2\x81\xa6\xe2\x81\xa9", "\\u{2066}\\u{2069}");
	check_escape("\xe2\x80\x8b\xe2\x80\x8d\xef\xbb\xbf", "\\u{200b}\\u{200d}\\u{feff}");
	check_escape("\xe2\x80\xa8\xe2\x80\xa9", "\\u{2028}\\u{2029}");
	check_escape("\xf3\xa0\x81\x81", "\\u{e0041}");	/* a tag */
	check_escape("\xef\xbf\xbf", "\\u{ffff}");
	check_escape("\xc2\xad", "\\u{00ad}");
	check_escape(NULL, "");
}

/* A name cannot pass for the words beside it. */
static void test_name(void **state)
{
	static const struct { const char *name, *raw, *safe; } names[] = {
		{ "", "", "" }, { "nginx", "nginx", "nginx" }, { "kworker/0:1-ev", "kworker/0:1-ev", "kworker/0:1-ev" },
		{ "Web Content", "\"Web Content\"", "\"Web Content\"" },
		{ "x (pid 1) 5", "\"x (pid 1) 5\"", "\"x (pid 1) 5\"" },
		{ "x\" (pid 1", "\"x\\x22 (pid 1\"", "\"x\\x22 (pid 1\"" },
		{ "\"", "\"\\x22\"", "\"\\x22\"" }, { "\"\"a\"", "\"\\x22\\x22a\\x22\"", "\"\\x22\\x22a\\x22\"" },
		{ "a,b", "\"a,b\"", "\"a,b\"" }, { "a\nb\x1b", "\"a\nb\x1b\"", "\"a\\x0ab\\x1b\"" }, { "\xff", "\xff", "\\xff" },
		/* What looks like a blank, a comma or a parenthesis. */
		{ "x\u00a0y", "\"x\u00a0y\"", "\"x\u00a0y\"" }, { "x\u2007y", "\"x\u2007y\"", "\"x\u2007y\"" },
		{ "x\u3000y", "\"x\u3000y\"", "\"x\u3000y\"" }, { "x\uff08y", "\"x\uff08y\"", "\"x\uff08y\"" },
		{ "x\uff0cy", "\"x\uff0cy\"", "\"x\uff0cy\"" }, { "\u00e9t\u00e9", "\u00e9t\u00e9", "\u00e9t\u00e9" },
	};
	struct strbuf raw = STRBUF_INIT, safe = STRBUF_INIT;

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		strbuf_reset(&raw);
		strbuf_reset(&safe);
		str_quote(&raw, names[i].name);
		str_name(&safe, names[i].name);
		assert_string_equal(strbuf_str(&raw), names[i].raw);
		assert_string_equal(strbuf_str(&safe), names[i].safe);
	}
	strbuf_free(&raw);
	strbuf_free(&safe);
}

static void test_escape_tells_apart(void **state)
{
	check_escape("dev-x\\x2dy", "dev-x\\x2dy");	/* systemd's own, left readable */
	check_escape("a\\b", "a\\b");
	check_escape("\\xff", "\\x5cxff");
	check_escape("\\x1b", "\\x5cx1b");
	check_escape("\\x5cxff", "\\x5cx5cxff");
	check_escape("\\u{202e}", "\\x5cu{202e}");
	check_escape("\\\xff", "\\\\xff");
	check_escape("\\xf", "\\xf");
	check_escape("\\xFF", "\\xFF");
}

/* Every string of up to three of these pieces, all different when escaped. */
static void test_escape_is_injective(void **state)
{
	static const char *const pieces[] = { "", "\\", "x", "\xff", "ff", "1b", "\x1b", "5c", "\\x", "u{", "\xe2\x80\xae", "202e}" };
	enum { N = sizeof(pieces) / sizeof(pieces[0]), ALL = N * N * N };
	struct strbuf *out = calloc(ALL, sizeof(*out));
	char (*in)[16] = calloc(ALL, sizeof(*in));

	assert_true(out && in);
	for (int i = 0; i < ALL; i++) {
		snprintf(in[i], sizeof(in[i]), "%s%s%s", pieces[i % N], pieces[i / N % N], pieces[i / N / N]);
		str_escape_str(&out[i], in[i]);
		for (int k = 0; k < i; k++)
			if (!strcmp(strbuf_str(&out[i]), strbuf_str(&out[k])) && strcmp(in[i], in[k]))
				fail_msg("two strings become '%s'", strbuf_str(&out[i]));
	}
	for (int i = 0; i < ALL; i++)
		strbuf_free(&out[i]);
	free(out);
	free(in);
}

/* Whatever the bytes are, nothing below a blank and no invalid UTF-8 comes out. */
static void test_escape_random(void **state)
{
	struct strbuf sb = STRBUF_INIT;
	char bytes[64];
	uint32_t cp;

	srand(1);
	for (int round = 0; round < 20000; round++) {
		for (size_t i = 0; i < sizeof(bytes); i++)
			bytes[i] = (char)rand();
		strbuf_reset(&sb);
		str_escape(&sb, bytes, sizeof(bytes));
		for (size_t i = 0, n; i < sb.len; i += n) {
			n = str_decode_utf8(sb.data + i, sb.len - i, &cp);
			if (!n || str_is_unsafe(cp))
				fail_msg("round %d: byte %zu is not safe", round, i);
		}
	}
	strbuf_free(&sb);
}

static void test_width(void **state)
{
	assert_int_equal(str_width("abc", 3), 3);
	assert_int_equal(str_width("caf\xc3\xa9", 5), 4);
	assert_int_equal(str_width("e\xcc\x81", 3), 1);
	assert_int_equal(str_width("\xe4\xb8\xad\xe6\x96\x87", 6), 4);
	assert_int_equal(str_width("\xf0\x9f\x98\x80", 4), 2);
	assert_int_equal(str_width("\xe2\x80\xa6", 3), 1);
	assert_int_equal(str_width("", 0), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_strbuf_grows),	 cmocka_unit_test(test_strbuf_keeps_failure),
		cmocka_unit_test(test_utf8_all_code_points), cmocka_unit_test(test_utf8_refuses),
		cmocka_unit_test(test_escape),		 cmocka_unit_test(test_escape_tells_apart),
		cmocka_unit_test(test_name), cmocka_unit_test(test_escape_is_injective), cmocka_unit_test(test_escape_random),
		cmocka_unit_test(test_width),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
