// SPDX-License-Identifier: GPL-2.0
/* Sets of ports, and that every complaint names the piece that is wrong. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include <errno.h>

#include "base/ports.h"

static void test_sets(void **state)
{
	struct ports set = { 0 };

	assert_int_equal(ports_parse("60303", &set, NULL, 0), 0);
	assert_int_equal(set.count, 1);
	assert_true(ports_has(&set, 60303));
	assert_false(ports_has(&set, 60302));
	assert_int_equal(ports_parse("53,60000-60999,53", &set, NULL, 0), 0);
	assert_int_equal(set.count, 1001);	/* 60303 lies inside */
	assert_true(ports_has(&set, 60000) && ports_has(&set, 60999) && !ports_has(&set, 61000));
	assert_int_equal(ports_parse("1-65535", &set, NULL, 0), 0);
	assert_int_equal(set.count, 65535);
	assert_true(ports_has(&set, 65535) && ports_has(&set, 1) && !ports_has(&set, 0));
	assert_int_equal(ports_parse("7-7", &set, NULL, 0), 0);
}

static void check_refused(const char *text, const char *want)
{
	char why[PORTS_WHY_LEN] = "";
	struct ports set = { .count = 0 }, before = set;

	assert_int_equal(ports_parse(text, &set, why, sizeof(why)), -EINVAL);
	if (!strstr(why, want))
		fail_msg("'%s' is refused with '%s', which does not say '%s'", text, why, want);
	assert_memory_equal(&set, &before, sizeof(set));
	assert_int_equal(ports_parse(text, &set, NULL, 0), -EINVAL);
}

static void test_refuses(void **state)
{
	check_refused("0", "'0' is not a port");
	check_refused("70000", "'70000' is above 65535");
	check_refused("99999999999999999999", "is above 65535");
	check_refused("60303x", "'60303x' is not a number");
	check_refused("60999-60000", "'60999-60000' is a range that runs backwards");
	check_refused("", "is empty");
	check_refused("80,", "is empty");
	check_refused(",80", "is empty");
	check_refused("80-", "is empty");
	check_refused("-80", "is empty");
	check_refused("1-2-3", "'2-3' is not a number");
	check_refused("80, 81", "' 81' is not a number");
	check_refused("22,80,0-9", "'0' is not a port");
	check_refused("\x1b[2J", "\\x1b[2J");
	check_refused("1234567890123456789012345678901234567890", "12345678901234567890123456789012...");
}

static void test_why_is_bounded(void **state)
{
	struct ports set = { 0 };
	char why[8] = "", worst[64];

	memset(worst, '\x1b', sizeof(worst) - 1);
	worst[sizeof(worst) - 1] = '\0';
	assert_int_equal(ports_parse(worst, &set, why, sizeof(why)), -EINVAL);
	assert_int_equal(strlen(why), sizeof(why) - 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_sets), cmocka_unit_test(test_refuses), cmocka_unit_test(test_why_is_bounded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
