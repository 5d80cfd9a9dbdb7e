// SPDX-License-Identifier: GPL-2.0
/*
 * The JSON writer: its output is read by a foreign parser, bytes come back
 * through json_unescape(), and cuts never break a line.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include <cjson/cJSON.h>
#include <math.h>

#include "base/json.h"
#include "base/str.h"

static void test_shapes(void **state)
{
	struct strbuf sb = STRBUF_INIT;
	struct json j;

	json_init(&j, &sb);
	json_object(&j);
	json_key(&j, "a");
	json_array(&j);
	json_int(&j, -1);
	json_uint(&j, UINT64_MAX);
	json_object(&j);
	json_object_end(&j);
	json_array(&j);
	json_array_end(&j);
	json_null(&j);
	json_bool(&j, true);
	json_array_end(&j);
	json_key(&j, "id");
	json_id(&j, UINT64_MAX);
	json_key(&j, "t");
	json_time(&j, 1);
	json_key(&j, "no");
	json_time(&j, 0);
	json_key(&j, "r");
	json_real(&j, 0.125, 3);
	json_key(&j, "inf");
	json_real(&j, INFINITY, 3);
	json_key(&j, "s");
	json_str(&j, NULL);
	json_object_end(&j);
	assert_string_equal(strbuf_str(&sb),
			    "{\"a\":[-1,18446744073709551615,{},[],null,true],\"id\":\"18446744073709551615\","
			    "\"t\":\"1970-01-01T00:00:00.000000001Z\",\"no\":null,\"r\":0.125,\"inf\":null,\"s\":null}");
	strbuf_free(&sb);
}

static void check_string(const char *in, const char *want)
{
	struct strbuf sb = STRBUF_INIT;
	struct json j;

	json_init(&j, &sb);
	json_str(&j, in);
	assert_string_equal(strbuf_str(&sb), want);
	strbuf_free(&sb);
}

static void test_strings(void **state)
{
	check_string("", "\"\"");
	check_string("nginx", "\"nginx\"");
	check_string("caf\xc3\xa9", "\"caf\xc3\xa9\"");
	check_string("a\"b\\c/d", "\"a\\\"b\\\\c/d\"");
	check_string("\n\r\t\x1b\x01\x7f", "\"\\n\\r\\t\\u001b\\u0001\\u007f\"");
	check_string("\xe2\x80\xa8\xe2\x80\xa9\xe2\x80\xae\xe2\x81\xa6", "\"\\u2028\\u2029\\u202e\\u2066\"");
	check_string("\xf3\xa0\x81\x81", "\"\\udb40\\udc41\"");
	check_string("a\xffz\xe2\x82", "\"a\\\\xffz\\\\xe2\\\\x82\"");
	check_string("dev-x\\x2dy", "\"dev-x\\\\x2dy\"");
	check_string("\\xff", "\"\\\\x5cxff\"");
	check_string("\\x5c", "\"\\\\x5cx5c\"");
	check_string("\\x1b", "\"\\\\x1b\"");
	check_string("\\\xff", "\"\\\\\\\\xff\"");
}

/* JSON text of `in`, read by cJSON and undone; freed by the caller. */
static char *there_and_back(const char *in, size_t max)
{
	struct strbuf sb = STRBUF_INIT;
	struct json j;
	cJSON *item;
	char *text;
	size_t len;

	json_init(&j, &sb);
	json_str_max(&j, in, max);
	assert_true(max > sb.len || sb.len <= max + 2);
	item = cJSON_Parse(strbuf_str(&sb));
	if (!cJSON_IsString(item))
		fail_msg("not a JSON string: %s", strbuf_str(&sb));
	text = strdup(item->valuestring);
	len = json_unescape(text);
	assert_int_equal(len, strlen(text));
	cJSON_Delete(item);
	strbuf_free(&sb);
	return text;
}

/* Bytes that make trouble when they meet, at random. */
static void make_nasty(char *buf, size_t size)
{
	static const char *const pieces[] = { "\\", "x", "5c", "ff", "\xff", "\xe2", "\x80", "\xae", "\"", "\n", "u", "{", "a", "\xc3\xa9",
					      "\xf3\xa0\x81\x81", "\xe2\x80\xa6", "80", "\\x5c", "\\xff" };
	size_t len = 0;

	while (len + 5 < size && rand() % 40) {
		const char *piece = pieces[rand() % (int)(sizeof(pieces) / sizeof(pieces[0]))];

		memcpy(buf + len, piece, strlen(piece));
		len += strlen(piece);
	}
	buf[len] = '\0';
}

static void test_bytes_come_back(void **state)
{
	char in[128], *back;

	srand(3);
	for (int i = 0; i < 50000; i++) {
		make_nasty(in, sizeof(in));
		back = there_and_back(in, SIZE_MAX);
		assert_string_equal(back, in);
		free(back);
	}
}

static void encode(struct strbuf *sb, const char *in, size_t max)
{
	struct json j;

	strbuf_reset(sb);
	json_init(&j, sb);
	json_str_max(&j, in, max);
}

/* A cut string is a prefix and the mark; what was read and is written again is the same text. */
static void test_cuts(void **state)
{
	struct strbuf first = STRBUF_INIT, second = STRBUF_INIT;
	char in[256], *back;

	srand(4);
	for (int i = 0; i < 50000; i++) {
		size_t max = 8 + (size_t)rand() % 40, len;

		make_nasty(in, sizeof(in));
		back = there_and_back(in, max);
		len = strlen(back);
		if (strcmp(back, in)) {
			assert_true(len >= 3);
			assert_string_equal(back + len - 3, JSON_CUT);
			assert_memory_equal(back, in, len - 3);
		}
		encode(&first, in, max);
		encode(&second, back, max);
		assert_string_equal(strbuf_str(&second), strbuf_str(&first));
		free(back);
	}
	strbuf_free(&first);
	strbuf_free(&second);
}

static void test_cut_edge(void **state)
{
	struct strbuf sb = STRBUF_INIT;
	struct json j;

	json_init(&j, &sb);
	json_array(&j);
	json_str_max(&j, "1234567890", 10);
	json_str_max(&j, "12345678901", 10);
	json_str_max(&j, "1234567\xff", 10);
	json_str_max(&j, "\xff\xff\xff", 10);
	json_array_end(&j);
	assert_string_equal(strbuf_str(&sb),
			    "[\"1234567890\",\"1234567\xe2\x80\xa6\",\"1234567\xe2\x80\xa6\",\"\\\\xff\xe2\x80\xa6\"]");
	strbuf_free(&sb);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_shapes), cmocka_unit_test(test_strings),	cmocka_unit_test(test_bytes_come_back),
		cmocka_unit_test(test_cuts),   cmocka_unit_test(test_cut_edge),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
