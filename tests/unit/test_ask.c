/* SPDX-License-Identifier: GPL-2.0 */
/* What `who` may be asked, and what it refuses. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <arpa/inet.h>
#include <string.h>
#include <sys/socket.h>

#include <linux/types.h>
#include <portlife/event.h>
#include "model/ask.h"

static void test_forms(void **state)
{
	struct ask a;
	char why[256];

	assert_int_equal(ask_parse("60303", &a, why, sizeof(why)), 0);
	assert_int_equal(a.lo, 60303);
	assert_int_equal(a.hi, 60303);
	assert_false(a.by_addr);
	assert_int_equal(ask_parse("60000-60999", &a, why, sizeof(why)), 0);
	assert_int_equal(a.lo, 60000);
	assert_int_equal(a.hi, 60999);
	assert_int_equal(ask_parse("1-65535", &a, why, sizeof(why)), 0);
	assert_int_equal(a.lo, 1);
	assert_int_equal(a.hi, 65535);
	assert_int_equal(ask_parse("10.0.0.5:60303", &a, why, sizeof(why)), 0);
	assert_true(a.by_addr);
	assert_int_equal(a.family, AF_INET);
	assert_int_equal(a.addr[0], inet_addr("10.0.0.5"));
	assert_int_equal(ask_parse("[::1]:80", &a, why, sizeof(why)), 0);
	assert_int_equal(a.family, AF_INET6);
	assert_int_equal(a.addr[3], htonl(1));
	assert_int_equal(a.lo, 80);
}

static void test_refused(void **state)
{
	static const char *const bad[] = {
		"", "0", "70000", "60303x", "9-3", "1,2", "1,3-5", ":80", "10.0.0:80", "[::1]", "::1:80", "[10.0.0.1]:80",
		"10.0.0.5:", "10.0.0.5:0", "[]:1", "[:1", "a:1", "-1", " 80",
		"1111111111111111111111111111111111111111111111111111111111111111:80",
	};
	struct ask a;
	char why[256];

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		why[0] = '\0';
		if (!ask_parse(bad[i], &a, why, sizeof(why)))
			fail_msg("'%s' was taken", bad[i]);
		assert_true(strlen(why) > 0);
	}
}

static void test_classes(void **state)
{
	assert_string_equal(ask_class(1023), "well-known");
	assert_string_equal(ask_class(1024), "registered");
	assert_string_equal(ask_class(49151), "registered");
	assert_string_equal(ask_class(49152), "dynamic");
	assert_string_equal(ask_class_range(49152), "49152-65535");
}

static void test_addresses(void **state)
{
	static const struct {
		const char *asked, *bound;
		uint8_t sock;
		bool meets;
	} cases[] = {
		{ "127.0.0.1", "127.0.0.1", 0, true }, { "127.0.0.1", "127.0.0.2", 0, false },
		{ "127.0.0.1", "0.0.0.0", 0, true }, { "::1", "0.0.0.0", 0, false },
		{ "::1", "::1", 0, true }, { "::1", "::2", 0, false }, { "::1", "::", 0, true },
		{ "::1", "::", PL_S_KNOWN | PL_S_V6ONLY, true }, { "127.0.0.1", "::", PL_S_KNOWN | PL_S_V6ONLY, false },
		{ "127.0.0.1", "::", PL_S_KNOWN, true }, { "127.0.0.1", "::", 0, true },
		{ "127.0.0.1", "::ffff:127.0.0.1", 0, true }, { "::ffff:127.0.0.1", "127.0.0.1", 0, true },
		{ "::ffff:127.0.0.1", "::", PL_S_KNOWN | PL_S_V6ONLY, false }, { "127.0.0.1", "::ffff:0.0.0.0", 0, true },
		{ "::1", "::ffff:0.0.0.0", 0, false }, { "127.0.0.1", "::1", 0, false }, { "::1", "127.0.0.1", 0, false },
		{ "0.0.0.0", "::", 0, true }, { "::", "0.0.0.0", 0, false },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		uint8_t family = strchr(cases[i].asked, ':') ? AF_INET6 : AF_INET, of = strchr(cases[i].bound, ':') ? AF_INET6 : AF_INET;
		uint32_t addr[4] = { 0 }, laddr[4] = { 0 };

		assert_int_equal(inet_pton(family, cases[i].asked, addr), 1);
		assert_int_equal(inet_pton(of, cases[i].bound, laddr), 1);
		if (ask_meets(family, addr, of, laddr, cases[i].sock) != cases[i].meets)
			fail_msg("%s asked, %s bound, options %#x", cases[i].asked, cases[i].bound, cases[i].sock);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_addresses),
		cmocka_unit_test(test_forms),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_classes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
