// SPDX-License-Identifier: GPL-2.0
/* The table of open leases: 200 thousand of them, churn against a plain model, memory. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include <errno.h>

#include "model/lease.h"

#define MANY 200000

static struct lease_table *make_table(void)
{
	struct lease_table *t;

	assert_int_equal(lease_table_new(&t), 0);
	return t;
}

static void put(struct lease_table *t, uint64_t id, uint16_t port)
{
	struct pl_lease l = { .id = id, .lport = port };

	assert_int_equal(lease_table_put(t, &l, NULL), 0);
}

static void test_basics(void **state)
{
	struct lease_table *t = make_table();
	struct lease_entry *e, gone;
	struct pl_lease l = { .id = 7, .lport = 80 };

	assert_null(lease_table_find(t, 7));
	assert_int_equal(lease_table_del(t, 7, NULL), -ENOENT);
	assert_int_equal(lease_table_put(t, &l, &e), 0);
	assert_true(e->user == NULL && e->where == 0 && e->mark == 0);
	e->mark = 5;
	l.lport = 81;
	assert_int_equal(lease_table_put(t, &l, &e), 0);
	assert_int_equal(e->mark, 5);	/* replaced, the user's fields stay */
	assert_int_equal(lease_table_count(t), 1);
	assert_int_equal(lease_table_find(t, 7)->lease.lport, 81);
	assert_ptr_equal(lease_table_at(t, 0), lease_table_find(t, 7));
	assert_null(lease_table_at(t, 1));
	assert_int_equal(lease_table_del(t, 7, &gone), 0);
	assert_int_equal(gone.lease.lport, 81);
	assert_int_equal(gone.mark, 5);
	assert_int_equal(lease_table_count(t), 0);
	l.id = 0;
	assert_int_equal(lease_table_put(t, &l, NULL), -EINVAL);
	assert_null(lease_table_find(t, 0));
	lease_table_free(t);
	lease_table_free(NULL);
}

static void test_many(void **state)
{
	struct lease_table *t = make_table();
	size_t empty = lease_table_bytes(t), worst = 0;

	for (uint64_t id = 1; id <= MANY; id++) {
		put(t, id, (uint16_t)id);
		if (id >= 4096 && lease_table_bytes(t) / id > worst)
			worst = lease_table_bytes(t) / id;
	}
	print_message("at most %zu bytes a lease while growing\n", worst);
	assert_true(worst <= 200);
	assert_int_equal(lease_table_count(t), MANY);
	for (uint64_t id = 1; id <= MANY; id++)
		if (lease_table_find(t, id)->lease.lport != (uint16_t)id)
			fail_msg("lease %zu is another", (size_t)id);
	for (uint64_t id = 1; id <= MANY; id++) {
		assert_int_equal(lease_table_del(t, id, NULL), 0);
		if (lease_table_count(t) >= 4096 && lease_table_bytes(t) / lease_table_count(t) > 220)
			fail_msg("%zu bytes for %zu leases", lease_table_bytes(t), lease_table_count(t));
	}
	assert_true(lease_table_bytes(t) < empty + 100000);
	lease_table_free(t);
}

/* Ids that a kernel would make, and ids that meet in one slot of a bad hash. */
static void check_churn(uint64_t (*make_id)(unsigned int n), unsigned int seed)
{
	enum { IDS = 3000, STEPS = 300000 };
	struct lease_table *t = make_table();
	uint16_t *model = calloc(IDS, sizeof(*model));
	size_t live = 0;

	assert_non_null(model);
	srand(seed);
	for (int step = 0; step < STEPS; step++) {
		unsigned int n = (unsigned int)rand() % IDS;
		bool grow = step / 50000 % 2 == 0 ? rand() % 3 : !(rand() % 3);
		struct lease_entry *e = lease_table_find(t, make_id(n));

		if (!e != !model[n] || (e && e->lease.lport != model[n]))
			fail_msg("step %d: id %u is not what it was", step, n);
		if (grow) {
			live += !model[n];
			model[n] = (uint16_t)(step | 1);
			put(t, make_id(n), model[n]);
		} else {
			live -= !!model[n];
			assert_int_equal(lease_table_del(t, make_id(n), NULL), model[n] ? 0 : -ENOENT);
			model[n] = 0;
		}
		assert_int_equal(lease_table_count(t), live);
	}
	free(model);
	lease_table_free(t);
}

static uint64_t id_counter(unsigned int n)
{
	return n + 1;
}

static uint64_t id_sparse(unsigned int n)
{
	return ((uint64_t)n + 1) << 44 | 1;
}

static void test_churn(void **state)
{
	check_churn(id_counter, 5);
	check_churn(id_sparse, 6);
}

static void test_delete_while_visiting(void **state)
{
	struct lease_table *t = make_table();
	struct lease_entry *e;
	size_t seen = 0;

	for (uint64_t id = 1; id <= 5000; id++)
		put(t, id, 1);
	lease_table_for_each(t, i, e) {
		seen++;
		assert_int_equal(e->mark, 0);	/* nobody is visited twice */
		e->mark = 1;
		if (e->lease.id % 3)
			assert_int_equal(lease_table_del(t, e->lease.id, NULL), 0);
	}
	assert_int_equal(seen, 5000);
	assert_int_equal(lease_table_count(t), 5000 / 3);
	for (uint64_t id = 1; id <= 5000; id++)
		assert_true(!lease_table_find(t, id) == !!(id % 3));
	lease_table_free(t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_basics), cmocka_unit_test(test_many), cmocka_unit_test(test_churn),
		cmocka_unit_test(test_delete_while_visiting),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
