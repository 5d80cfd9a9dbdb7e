// SPDX-License-Identifier: GPL-2.0
/* Columns: widths, cuts, hostile cells, unfinished rows, a full disk. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "base/tab.h"

static const struct tab_col cols[] = { { .title = "NAME", .max = 8 }, { .title = "N", .width = 4, .right = true }, { .title = "WHY" } };

static struct tab *make_tab(void)
{
	struct tab *t;

	assert_int_equal(tab_new(cols, 3, &t), 0);
	return t;
}

static void check_print(struct tab *t, bool header, const char *want)
{
	char *text = NULL;
	size_t size;
	FILE *to = open_memstream(&text, &size);

	assert_int_equal(tab_print(t, header, to), 0);
	fclose(to);
	assert_string_equal(text, want);
	free(text);
	tab_free(t);
}

static void test_columns(void **state)
{
	struct tab *t = make_tab();

	tab_cell(t, "curl");
	tab_cellf(t, "%d", 7);
	tab_cell(t, "because");
	tab_cell(t, "\xe4\xb8\xad\xe6\x96\x87");
	tab_cellf(t, "%d", 123456);
	tab_cell(t, NULL);
	tab_cell(t, "");
	check_print(t, true,
		    "NAME       N  WHY\n"
		    "curl       7  because\n"
		    "\xe4\xb8\xad\xe6\x96\x87  123456  -\n"
		    "-          -  -\n");
}

static void test_cut_and_escape(void **state)
{
	struct tab *t = make_tab();

	tab_cell(t, "0123456789");
	tab_cell(t, "1");
	tab_cell(t, "\x1b[2J\n");
	tab_cell(t, "\xe4\xb8\xad\xe6\x96\x87\xe4\xb8\xad\xe6\x96\x87\xe4\xb8\xad");
	tab_cell(t, "1");
	tab_cell(t, "x");
	check_print(t, false,
		    "0123456\xe2\x80\xa6     1  \\x1b[2J\\x0a\n"
		    "\xe4\xb8\xad\xe6\x96\x87\xe4\xb8\xad\xe2\x80\xa6      1  x\n");
}

static void test_empty(void **state)
{
	check_print(make_tab(), true, "NAME     N  WHY\n");
	check_print(make_tab(), false, "");
	tab_free(NULL);
}

static void test_full_disk(void **state)
{
	FILE *full = fopen("/dev/full", "w");
	struct tab *t = make_tab();

	assert_non_null(full);
	setvbuf(full, NULL, _IONBF, 0);
	tab_cell(t, "x");
	assert_true(tab_print(t, true, full) < 0);
	fclose(full);
	tab_free(t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_columns), cmocka_unit_test(test_cut_and_escape),
		cmocka_unit_test(test_empty), cmocka_unit_test(test_full_disk),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
