// SPDX-License-Identifier: GPL-2.0
/*
 * Many leases that go on over a restart: each is found again among those whose
 * places in the table fall together, and none for another.
 */
#include "unit/store_fixture.h"

#define MANY 3000

static uint16_t port_of(unsigned int i)
{
	return (uint16_t)(20000 + i);
}

static void tell(struct store *st, unsigned int i, uint64_t id, int64_t start, uint8_t flags)
{
	struct event ev = lease_of(id, port_of(i), start, 0);

	ev.lease.flags |= flags;
	ev.evidence = flags & PL_F_SNAPSHOT ? EVIDENCE_SNAPSHOT : EVIDENCE_EVENT;
	assert_int_equal(store_open_lease(st, &ev), 0);
}

static void test_each_goes_on(void **state)
{
	struct store *st = open_store();
	struct found f;

	for (unsigned int i = 0; i < MANY; i++)
		tell(st, i, 1 + i, t0 + i, 0);
	assert_int_equal(store_flush(st, WAIT_MS), 0);
	store_close(st);
	/* Found in another order, under ids of the new session. */
	st = open_store();
	for (unsigned int i = MANY; i-- > 0;)
		tell(st, i, 100000 + i, t0 + 5 * SEC, PL_F_SNAPSHOT);
	store_merged(st);
	assert_int_equal(store_flush(st, WAIT_MS), 0);
	store_close(st);
	for (unsigned int i = 0; i < MANY; i += 7) {
		ask(port_of(i), t0, INT64_MAX - 1, &f, NULL);
		assert_int_equal(f.count, 1);
		assert_int_equal(f.ev[0].lease.id, 1 + i);
		assert_int_equal(f.ev[0].start, t0 + i);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = { TEST(test_each_goes_on) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
