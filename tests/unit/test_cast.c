/* SPDX-License-Identifier: GPL-2.0 */
/* The mark in the programs' object becomes a call of the kernel's function, or a move where there is none. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <linux/bpf.h>
#include <stdlib.h>
#include <string.h>

#include <portlife/config.h>
#include <portlife/event.h>
#include "kern/cast.h"
#include "portlife.skel.h"

static size_t count(const char *object, size_t size, const void *what)
{
	size_t n = 0;

	for (size_t at = 0; at + 8 <= size; at += 8)
		n += !memcmp(object + at, what, 8);
	return n;
}

/* In the object as it is built: all marks, and nothing else, are replaced. */
static void test_object(void **state)
{
	const struct bpf_insn call = { .code = BPF_JMP | BPF_CALL, .src_reg = 2, .imm = 123456 };
	const uint64_t mark = PL_CAST_MARK;
	size_t size, marks, differ = 0;
	const char *elf = portlife_bpf__elf_bytes(&size);
	char *copy = cast_object(elf, size, 123456);

	marks = count(elf, size, &mark);
	assert_true(marks > 0);
	assert_int_equal(count(copy, size, &mark), 0);
	assert_int_equal(count(copy, size, &call), marks);
	for (size_t at = 0; at + 8 <= size; at += 8)
		differ += !!memcmp(elf + at, copy + at, 8);
	assert_int_equal(differ, marks);
	assert_memory_equal(elf + size / 8 * 8, copy + size / 8 * 8, size % 8);
	free(copy);
}

static void test_without(void **state)
{
	const struct bpf_insn move = { .code = BPF_ALU64 | BPF_MOV | BPF_X, .dst_reg = 0, .src_reg = 1 };
	const uint64_t object[3] = { 1, PL_CAST_MARK, PL_CAST_MARK + 1 };
	uint64_t *copy = cast_object(object, sizeof(object), 0);

	assert_int_equal(copy[0], 1);
	assert_memory_equal(&copy[1], &move, sizeof(move));
	assert_int_equal(copy[2], PL_CAST_MARK + 1);
	free(copy);
}

/* A kernel that lacks the function or one of the types is not asked. */
static void test_missing(void **state)
{
	struct types_ask asks[CAST_ASKS];

	for (int missing = 0; missing < CAST_ASKS; missing++) {
		cast_ask(asks);
		for (int i = 0; i < CAST_ASKS; i++) {
			assert_true(asks[i].name[0]);
			asks[i].id = i == missing ? 0 : 1;
		}
		assert_false(cast_works(asks));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_object),
		cmocka_unit_test(test_without),
		cmocka_unit_test(test_missing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
