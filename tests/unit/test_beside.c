// SPDX-License-Identifier: GPL-2.0
/* A file written beside its name: whole, without leftovers, and never in the place of what is no regular file. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/str.h"
#include "out/beside.h"

static char dir[] = "/tmp/portlife-beside-XXXXXX";
static char path[64], beside[80];

static int make_dir(void **state)
{
	if (!mkdtemp(dir))
		return -1;
	snprintf(path, sizeof(path), "%s/f", dir);
	snprintf(beside, sizeof(beside), "%s.%d", path, (int)getpid());
	return 0;
}

/* Fails where a test left something there. */
static int remove_dir(void **state)
{
	return rmdir(dir);
}

static int put(const char *text)
{
	struct strbuf buf = STRBUF_INIT;
	int err;

	strbuf_puts(&buf, text);
	err = beside_write(path, &buf);
	strbuf_free(&buf);
	return err;
}

static void check_file(const char *name, const char *want)
{
	char got[64] = "";
	FILE *f = fopen(name, "re");

	assert_non_null(f);
	assert_int_equal(fread(got, 1, sizeof(got) - 1, f), strlen(want));
	fclose(f);
	assert_string_equal(got, want);
}

static void test_replaces_a_file(void **state)
{
	assert_int_equal(put("one"), 0);
	assert_int_equal(put("two"), 0);
	check_file(path, "two");
	assert_int_equal(unlink(path), 0);
}

static void check_kept(mode_t type)
{
	struct stat st;

	assert_int_equal(lstat(path, &st), 0);
	assert_int_equal(st.st_mode & S_IFMT, type);
}

static void test_keeps_what_is_no_file(void **state)
{
	assert_int_equal(mkfifo(path, 0600), 0);
	assert_int_equal(put("x"), -EEXIST);
	check_kept(S_IFIFO);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(symlink("elsewhere", path), 0);
	assert_int_equal(put("x"), -EEXIST);
	check_kept(S_IFLNK);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(mkdir(path, 0700), 0);
	assert_int_equal(put("x"), -EISDIR);
	assert_int_equal(rmdir(path), 0);
}

/* Somebody who guesses the name beside it cannot have us write elsewhere. */
static void test_no_link_beside_is_followed(void **state)
{
	char target[80];
	FILE *f;

	snprintf(target, sizeof(target), "%s/target", dir);
	f = fopen(target, "we");
	assert_non_null(f);
	assert_true(fputs("before", f) >= 0);
	assert_int_equal(fclose(f), 0);
	assert_int_equal(symlink(target, beside), 0);
	assert_int_equal(put("new"), 0);
	check_file(path, "new");
	check_file(target, "before");
	assert_int_equal(unlink(path), 0);
	assert_int_equal(unlink(target), 0);
}

static void test_says_why(void **state)
{
	assert_int_equal(rmdir(dir), 0);
	assert_int_equal(put("x"), -ENOENT);
	assert_int_equal(mkdir(dir, 0700), 0);
	assert_string_equal(beside_why(-ENOENT), strerror(ENOENT));
	assert_string_not_equal(beside_why(-EEXIST), strerror(EEXIST));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_replaces_a_file),
		cmocka_unit_test(test_keeps_what_is_no_file),
		cmocka_unit_test(test_no_link_beside_is_followed),
		cmocka_unit_test(test_says_why),
	};

	return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
