// SPDX-License-Identifier: GPL-2.0
/* Filters one by one and together; unknown never passes, a gap always does. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include <netinet/in.h>

#include "model/filter.h"

static struct event make_event(void)
{
	struct event ev = {
		.kind = EV_ALLOC,
		.lease = { .lport = 60303, .tgid = 4711, .tid = 4712, .netns = 99, .proto = IPPROTO_TCP, .flags = PL_F_CHOSEN,
			   .comm = "nginx" },
		.where = { .cgroup = "/system.slice/nginx.service/worker", .unit = "nginx.service" },
	};

	return ev;
}

#define PASSES(...) assert_true(filter_match(&(struct filter){ __VA_ARGS__ }, &ev))
#define STOPS(...) assert_false(filter_match(&(struct filter){ __VA_ARGS__ }, &ev))

static void test_empty(void **state)
{
	struct event ev = { .kind = EV_RELEASE };
	struct filter none = { 0 };

	assert_true(filter_match(&none, &ev));
}

static void test_numbers(void **state)
{
	struct event ev = make_event();
	struct filter f = { 0 };

	ports_add(&f.ports, 60000, 60999);
	assert_true(filter_match(&f, &ev));
	ev.lease.lport = 61000;
	assert_false(filter_match(&f, &ev));
	ev.lease.lport = 0;
	assert_false(filter_match(&f, &ev));
	PASSES(.pid = 4711);
	STOPS(.pid = 4712);	/* a thread is no process */
	PASSES(.proto = IPPROTO_TCP);
	STOPS(.proto = IPPROTO_UDP);
	PASSES(.netns = 99);
	STOPS(.netns = 98);
	PASSES(.ephemeral = true);
	ev.lease.flags = PL_F_IN_RANGE;
	STOPS(.ephemeral = true);
	STOPS(.fails = true);
	ev.kind = EV_FAIL;
	PASSES(.fails = true);
}

static void test_names(void **state)
{
	struct event ev = make_event();

	PASSES(.comm = "nginx");
	STOPS(.comm = "ngin");
	STOPS(.comm = "nginx ");
	PASSES(.comm = "ng*");
	PASSES(.comm = "n?inx");
	PASSES(.comm = "[a-n]ginx");
	STOPS(.comm = "*apache");
	strcpy(ev.lease.comm, "[odd");
	PASSES(.comm = "[odd");	/* itself before it is a pattern */
	strcpy(ev.lease.comm, "\xff\x1b");
	PASSES(.comm = "\xff\x1b");
	strcpy(ev.lease.comm, "x\\x2dy");
	PASSES(.comm = "x\\x2d*");	/* a backslash is one, as in the names that systemd makes */
}

static void test_cgroups(void **state)
{
	struct event ev = make_event();

	PASSES(.cgroup = "/system.slice");
	PASSES(.cgroup = "system.slice");
	PASSES(.cgroup = "/system.slice/");
	PASSES(.cgroup = "/system.slice/nginx.service");
	PASSES(.cgroup = "/system.slice/nginx.service/worker");
	PASSES(.cgroup = "/");
	STOPS(.cgroup = "/system.slice/nginx");
	STOPS(.cgroup = "/system");
	STOPS(.cgroup = "/nginx.service");
	STOPS(.cgroup = "/system.slice/nginx.service/worker/x");
	PASSES(.cgroup = "/system.slice/ng*.service");
	PASSES(.cgroup = "*/nginx.service");
	PASSES(.cgroup = "/*/worker");
	STOPS(.cgroup = "*/apache*");
}

static void test_unknown_stops(void **state)
{
	struct event ev = { .kind = EV_ALLOC };

	STOPS(.pid = 1);
	STOPS(.comm = "nginx");
	STOPS(.comm = "*");
	STOPS(.cgroup = "/");
	STOPS(.netns = 1);
	STOPS(.proto = IPPROTO_TCP);
	strcpy(ev.lease.comm, "x");
	STOPS(.comm = "x");	/* no owner, so no name */
}

static void test_all_must_hold(void **state)
{
	struct event ev = make_event();

	PASSES(.pid = 4711, .comm = "nginx", .netns = 99, .ephemeral = true);
	STOPS(.pid = 4711, .comm = "nginx", .netns = 98, .ephemeral = true);
	STOPS(.pid = 4711, .comm = "curl", .netns = 99, .ephemeral = true);
}

static void test_gaps_pass(void **state)
{
	struct event ev = { .kind = EV_GAP };

	PASSES(.pid = 1, .comm = "x", .fails = true, .ephemeral = true);
	ev.kind = EV_SUMMARY;
	PASSES(.pid = 1, .comm = "x", .fails = true, .ephemeral = true);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_empty),	      cmocka_unit_test(test_numbers),	    cmocka_unit_test(test_names),
		cmocka_unit_test(test_cgroups),	      cmocka_unit_test(test_unknown_stops), cmocka_unit_test(test_all_must_hold),
		cmocka_unit_test(test_gaps_pass),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
