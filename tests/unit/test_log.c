// SPDX-License-Identifier: GPL-2.0
/* Messages: their three forms, and that a hostile name stays inside its line. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include <errno.h>
#include <unistd.h>

#include "base/log.h"
#include "base/str.h"

static void check_line(enum log_form form, const char *text, const char *want)
{
	struct strbuf out = STRBUF_INIT;

	log_format_line(&out, form, LOG_LEVEL_WARN, 1795234200123456789LL, text);
	if (!strstr(strbuf_str(&out), want))
		fail_msg("'%s' does not hold '%s'", strbuf_str(&out), want);
	assert_ptr_equal(strchr(strbuf_str(&out), '\n'), out.data + out.len - 1);
	assert_null(strchr(strbuf_str(&out), '\x1b'));
	strbuf_free(&out);
}

static void test_forms(void **state)
{
	check_line(LOG_FORM_HUMAN, "cannot open 'x'", "portlife: cannot open 'x'\n");
	check_line(LOG_FORM_HUMAN, "evil\nportlife: forged\x1b[2J", "portlife: evil\\x0aportlife: forged\\x1b[2J\n");
	check_line(LOG_FORM_LOGFMT, "say \"hi\"\n", " level=warning msg=\"say \\\"hi\\\"\\\\x0a\"\n");
	check_line(LOG_FORM_JSON, "say \"hi\"\n\x1b", ",\"level\":\"warning\",\"msg\":\"say \\\"hi\\\"\\n\\u001b\"}\n");
}

/* Runs `fn` with stderr in a file and returns what was written, in `buf`. */
static void catch_stderr(void (*fn)(void), char *buf, size_t size)
{
	FILE *file = tmpfile();
	int saved = dup(STDERR_FILENO);
	size_t n;

	assert_non_null(file);
	dup2(fileno(file), STDERR_FILENO);
	fn();
	dup2(saved, STDERR_FILENO);
	close(saved);
	rewind(file);
	n = fread(buf, 1, size - 1, file);
	buf[n] = '\0';
	fclose(file);
}

static void say_all(void)
{
	errno = 77;
	log_err("one %d", 1);
	log_warn("two");
	log_info("three %s", "\xff");
	assert_int_equal(errno, 77);
}

static void test_levels(void **state)
{
	char buf[512];

	catch_stderr(say_all, buf, sizeof(buf));
	assert_string_equal(buf, "portlife: one 1\nportlife: two\nportlife: three \\xff\n");
	log_set_level(LOG_LEVEL_ERR);
	catch_stderr(say_all, buf, sizeof(buf));
	assert_string_equal(buf, "portlife: one 1\n");
	log_set_level(LOG_LEVEL_INFO);
	log_set_form(LOG_FORM_LOGFMT);
	catch_stderr(say_all, buf, sizeof(buf));
	assert_non_null(strstr(buf, "level=warning msg=\"two\"\n"));
	log_set_form(LOG_FORM_HUMAN);
}

static void take_text(void *ctx, enum log_level level, const char *text)
{
	struct strbuf *got = ctx;

	strbuf_printf(got, "%s %s|", log_level_name(level), text);
}

static void test_sink(void **state)
{
	struct strbuf got = STRBUF_INIT;
	char buf[512];

	log_set_sink(take_text, &got);
	catch_stderr(say_all, buf, sizeof(buf));
	assert_string_equal(buf, "");
	assert_string_equal(strbuf_str(&got), "error one 1|warning two|info three \xff|");
	log_set_sink(NULL, NULL);
	catch_stderr(say_all, buf, sizeof(buf));
	assert_non_null(strstr(buf, "one 1"));
	strbuf_free(&got);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_forms), cmocka_unit_test(test_levels), cmocka_unit_test(test_sink),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
