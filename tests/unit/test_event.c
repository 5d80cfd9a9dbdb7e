// SPDX-License-Identifier: GPL-2.0
/* Names that come back as numbers, and records that become events. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>

#include "model/event.h"

#define OFFSET 1700000000000000000LL

static void check_names(const char *(*name)(unsigned int), int (*from)(const char *), unsigned int first, unsigned int count)
{
	for (unsigned int i = first; i < count; i++) {
		assert_non_null(name(i));
		assert_int_equal(from(name(i)), i);
	}
	assert_int_equal(from(""), -1);
	assert_int_equal(from("nonsense"), -1);
}

static const char *name_event(unsigned int i)
{
	return event_name((enum event_kind)i);
}

static const char *name_evidence(unsigned int i)
{
	return event_evidence_name((enum evidence)i);
}

static const char *name_gap(unsigned int i)
{
	return event_gap_name((enum gap_cause)i);
}

static void test_names(void **state)
{
	check_names(name_event, event_from_name, 0, EV_GAP + 1);
	check_names(event_kind_name, event_kind_from_name, 0, PL_KINDS);
	check_names(event_reason_name, event_reason_from_name, 1, PL_REASONS);
	check_names(name_evidence, event_evidence_from_name, 0, EVIDENCE_RESYNC + 1);
	check_names(name_gap, event_gap_from_name, 0, GAP_MISSED + 1);
	check_names(event_owner_name, event_owner_from_name, 1, PL_OWNER_SNAPSHOT + 1);
}

static void test_wire_names(void **state)
{
	assert_string_equal(event_name(EV_TIMEWAIT), "port.timewait");
	assert_string_equal(event_name(EV_GAP), "recorder.gap");
	assert_string_equal(event_kind_name(PL_KIND_BIND0), "bind0");
	assert_string_equal(event_kind_name(200), "unknown");
	assert_null(event_reason_name(PL_REASON_NONE));
	assert_null(event_reason_name(200));
	assert_null(event_owner_name(PL_OWNER_UNKNOWN));
	assert_null(event_owner_name(200));
	assert_string_equal(event_proto_name(IPPROTO_UDPLITE), "udplite");
	assert_string_equal(event_proto_name(132), "unknown");
	assert_int_equal(event_proto_from_name("udp"), IPPROTO_UDP);
	assert_int_equal(event_proto_from_name("unknown"), -1);
	assert_string_equal(event_family_name(AF_INET6), "ipv6");
	assert_string_equal(event_family_name(0), "unknown");
	assert_string_equal(event_errno_name(EADDRINUSE), "EADDRINUSE");
	assert_string_equal(event_errno_name(4095), "unknown");
	assert_string_equal(event_errno_name(0), "unknown");
	assert_int_equal(event_errno_from_name("EADDRNOTAVAIL"), EADDRNOTAVAIL);
	assert_int_equal(event_errno_from_name("unknown"), -1);
}

static void test_addresses(void **state)
{
	uint32_t addr[4] = { 0 };
	char buf[INET6_ADDRSTRLEN];
	struct event ev = { .lease.family = AF_INET };

	assert_string_equal(event_addr(AF_INET, addr, buf), "0.0.0.0");
	assert_string_equal(event_addr(AF_INET6, addr, buf), "::");
	inet_pton(AF_INET6, "::ffff:10.0.0.5", addr);
	assert_string_equal(event_addr(AF_INET6, addr, buf), "::ffff:10.0.0.5");
	memset(addr, 0xff, sizeof(addr));
	assert_string_equal(event_addr(AF_INET6, addr, buf), "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff");
	assert_false(event_has_remote(&ev));
	ev.lease.raddr[3] = 1;
	assert_false(event_has_remote(&ev));	/* no part of an IPv4 address */
	ev.lease.family = AF_INET6;
	assert_true(event_has_remote(&ev));
	ev.lease.raddr[3] = 0;
	ev.lease.rport = 53;
	assert_true(event_has_remote(&ev));
}

static struct pl_rec make_rec(unsigned int kind)
{
	struct pl_rec rec = {
		.hdr = { .ts = 5000, .size = sizeof(rec), .kind = (uint8_t)kind, .reason = PL_REASON_CLOSE, .err = EADDRINUSE },
		.lease = { .id = 9, .start = 1000, .proc_start = 10, .lport = 80 },
	};

	return rec;
}

static void test_decode_life(void **state)
{
	struct pl_rec rec = make_rec(PL_REC_ALLOC);
	struct event ev;

	memset(rec.lease.comm, 'x', sizeof(rec.lease.comm));
	assert_int_equal(event_decode(&rec, OFFSET, &ev), 0);
	assert_int_equal(ev.kind, EV_ALLOC);
	assert_int_equal(ev.evidence, EVIDENCE_EVENT);
	assert_true(ev.ts == OFFSET + 5000 && ev.start == OFFSET + 1000 && ev.proc_start == OFFSET + 10);
	assert_true(ev.end == 0 && ev.closed == 0 && ev.err == 0 && ev.reason == PL_REASON_NONE);
	assert_int_equal(strlen(ev.lease.comm), PL_COMM_LEN - 1);
	assert_true(!ev.exe && !ev.host && !ev.where.cgroup && !ev.gap && !ev.summary && !ev.seq);

	rec.hdr.kind = PL_REC_TIMEWAIT;
	assert_int_equal(event_decode(&rec, OFFSET, &ev), 0);
	assert_true(ev.closed == ev.ts && ev.end == 0);
	rec.lease.closed = 4000;
	rec.hdr.kind = PL_REC_RELEASE;
	assert_int_equal(event_decode(&rec, OFFSET, &ev), 0);
	assert_true(ev.closed == OFFSET + 4000 && ev.end == ev.ts && ev.reason == PL_REASON_CLOSE && ev.err == 0);
	rec.hdr.kind = PL_REC_OWNER;
	assert_int_equal(event_decode(&rec, OFFSET, &ev), 0);
	assert_int_equal(ev.kind, EV_OWNER);
}

static void test_decode_unknown(void **state)
{
	struct pl_rec rec = make_rec(PL_REC_FAIL);
	struct event ev;

	assert_int_equal(event_decode(&rec, OFFSET, &ev), 0);
	assert_true(ev.kind == EV_FAIL && ev.err == EADDRINUSE && ev.start == 0 && ev.reason == PL_REASON_NONE);
	rec = make_rec(PL_REC_OPEN);
	rec.lease.flags = PL_F_SNAPSHOT;
	rec.lease.proc_start = 0;
	assert_int_equal(event_decode(&rec, OFFSET, &ev), 0);
	assert_true(ev.kind == EV_OPEN && ev.evidence == EVIDENCE_SNAPSHOT && ev.start == 0 && ev.proc_start == 0);
	rec.lease.flags = 0;	/* a look at what is open, of which we saw the beginning */
	assert_int_equal(event_decode(&rec, OFFSET, &ev), 0);
	assert_true(ev.evidence == EVIDENCE_EVENT && ev.start != 0);
	rec = make_rec(PL_REC_RELEASE);
	rec.lease.flags = PL_F_SNAPSHOT;
	assert_int_equal(event_decode(&rec, OFFSET, &ev), 0);
	assert_int_equal(ev.evidence, EVIDENCE_SNAPSHOT);
	rec.hdr.reason = PL_REASON_LOST;
	assert_int_equal(event_decode(&rec, OFFSET, &ev), 0);
	assert_int_equal(ev.evidence, EVIDENCE_RESYNC);
	rec.hdr.reason = 99;
	assert_int_equal(event_decode(&rec, OFFSET, &ev), 0);
	assert_int_equal(ev.reason, PL_REASON_NONE);
}

static void test_decode_refuses(void **state)
{
	struct event ev;

	for (unsigned int kind = 0; kind < 256; kind++) {
		struct pl_rec rec = make_rec(kind);
		bool good = (kind >= PL_REC_ALLOC && kind <= PL_REC_FAIL) || kind == PL_REC_OPEN;

		assert_int_equal(event_decode(&rec, OFFSET, &ev), good ? 0 : -EINVAL);
		rec.hdr.size--;
		assert_int_equal(event_decode(&rec, OFFSET, &ev), -EINVAL);
	}
}

/* Random bytes of the right size never do harm. */
static void test_decode_random(void **state)
{
	struct pl_rec rec;
	struct event ev;

	srand(7);
	for (int i = 0; i < 20000; i++) {
		for (size_t b = 0; b < sizeof(rec); b++)
			((unsigned char *)&rec)[b] = (unsigned char)rand();
		rec.hdr.size = sizeof(rec);
		rec.hdr.kind = (uint8_t)(rand() % PL_REC_KINDS);
		if (event_decode(&rec, (int64_t)rec.hdr.ts, &ev))
			continue;
		assert_true(strlen(ev.lease.comm) < PL_COMM_LEN && ev.lease.kind < PL_KINDS);
		assert_true(ev.err >= 0 && ev.ts >= 0 && ev.start >= 0 && ev.end >= 0 && ev.closed >= 0 && ev.proc_start >= 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_names),	      cmocka_unit_test(test_wire_names),     cmocka_unit_test(test_addresses),
		cmocka_unit_test(test_decode_life),   cmocka_unit_test(test_decode_unknown), cmocka_unit_test(test_decode_refuses),
		cmocka_unit_test(test_decode_random),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
