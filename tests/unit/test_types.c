/* SPDX-License-Identifier: GPL-2.0 */
/* Of the kernel's types those that the programs name: the same as in the whole, as libbpf reads both. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/btf.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <bpf/btf.h>
#include <portlife/event.h>
#include "kern/types.h"
#include "portlife.skel.h"

static struct btf *open_picked(int fd)
{
	char path[40];

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	return btf__parse(path, NULL);
}

/* Where a member lies, in bits, by its name; -1: there is none. */
static long member_at(const struct btf *btf, const struct btf_type *t, const char *name)
{
	const struct btf_member *m = btf_members(t);

	for (int i = 0; i < btf_vlen(t); i++)
		if (!strcmp(btf__name_by_offset(btf, m[i].name_off), name))
			return (long)btf_member_bit_offset(t, (__u32)i) << 8 | btf_member_bitfield_size(t, (__u32)i);
	return -1;
}

static void assert_same(const struct btf *all, const struct btf *picked, const struct btf_type *t)
{
	const char *name = btf__name_by_offset(picked, t->name_off);
	int id = btf__find_by_name_kind(all, name, btf_kind(t));
	const struct btf_type *whole = btf__type_by_id(all, (__u32)id);
	const struct btf_member *m = btf_members(t);

	assert_true(id > 0);
	assert_int_equal(btf_vlen(t), btf_vlen(whole));
	assert_int_equal(t->size, whole->size);
	for (int i = 0; i < btf_vlen(t); i++) {
		const char *member = btf__name_by_offset(picked, m[i].name_off);

		if (*member)
			assert_int_equal(member_at(picked, t, member), member_at(all, whole, member));
		/* What is held by value has its type, and thus its size. */
		assert_true(btf__resolve_size(picked, m[i].type) == btf__resolve_size(all, btf_members(whole)[i].type));
	}
}

static struct types_ask asks[] = {
	{ .name = "btf_trace_inet_sock_set_state", .kind = BTF_KIND_TYPEDEF },
	{ .name = "bpf_iter_task_file", .kind = BTF_KIND_FUNC },
	{ .name = "inet_put_port", .kind = BTF_KIND_FUNC },
	{ .name = "no_kernel_has_such_a_function", .kind = BTF_KIND_FUNC },
	{ .name = "", .kind = BTF_KIND_FUNC },
};

static void test_same_as_the_whole(void **state)
{
	static const char *const needed[] = { "task_struct", "sock", "net", "inet_timewait_sock", "mount", "kernfs_node", "timer_list" };
	struct btf *all = btf__load_vmlinux_btf(), *picked;
	size_t size, n = sizeof(asks) / sizeof(asks[0]);
	const void *elf = portlife_bpf__elf_bytes(&size);
	int fd, structs = 0;

	if (!all) {
		print_message("[  SKIPPED ] this kernel shows no BTF\n");
		skip();
	}
	fd = types_open(elf, size, asks, n);
	assert_true(fd >= 0);
	picked = open_picked(fd);
	close(fd);
	assert_non_null(picked);
	for (__u32 id = 1; id < btf__type_cnt(picked); id++) {
		const struct btf_type *t = btf__type_by_id(picked, id);

		if (!btf_is_struct(t) || !t->name_off)
			continue;
		assert_same(all, picked, t);
		structs++;
	}
	assert_true(structs > 100);
	for (size_t i = 0; i < sizeof(needed) / sizeof(needed[0]); i++)
		assert_true(btf__find_by_name_kind(picked, needed[i], BTF_KIND_STRUCT) > 0);
	for (size_t i = 0; i < n; i++) {
		int id = btf__find_by_name_kind(all, asks[i].name, asks[i].kind);

		assert_int_equal(asks[i].id, id > 0 && asks[i].name[0] ? id : 0);
	}
	assert_int_equal(asks[3].id, 0);
	btf__free(picked);
	btf__free(all);
}

/* Types that are cut off or changed are refused or read, and never read beyond. */
static void test_damaged(void **state)
{
	size_t size, len = 0;
	const char *elf = portlife_bpf__elf_bytes(&size);
	struct btf *small = btf__new_empty();
	const char *raw;
	__u32 raw_len;
	char *copy;
	int fd;

	assert_non_null(small);
	assert_true(btf__add_int(small, "int", 4, BTF_INT_SIGNED) > 0);
	assert_true(btf__add_struct(small, "qstr", 8) > 0);
	assert_int_equal(btf__add_field(small, "hash", 1, 0, 0), 0);
	assert_int_equal(btf__add_field(small, "len", 1, 32, 0), 0);
	raw = btf__raw_data(small, &raw_len);
	assert_non_null(raw);
	fd = types_pick(raw, raw_len, elf, size, NULL, 0);
	assert_true(fd >= 0);
	close(fd);
	for (len = 0; len < raw_len; len++) {
		copy = malloc(len ? len : 1);
		memcpy(copy, raw, len);
		assert_int_equal(types_pick(copy, len, elf, size, NULL, 0), -EINVAL);
		free(copy);
	}
	for (size_t at = 0; at < raw_len * 8; at++) {
		copy = malloc(raw_len);
		memcpy(copy, raw, raw_len);
		copy[at / 8] ^= (char)(1 << at % 8);
		fd = types_pick(copy, raw_len, elf, size, NULL, 0);
		assert_true(fd >= 0 || fd == -EINVAL);
		if (fd >= 0)
			close(fd);
		free(copy);
	}
	btf__free(small);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_same_as_the_whole),
		cmocka_unit_test(test_damaged),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
