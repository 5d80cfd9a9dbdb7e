/* SPDX-License-Identifier: GPL-2.0 */
#include "kern/cast.h"

#include <bpf/bpf.h>
#include <linux/btf.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <portlife/config.h>

static struct bpf_insn cast_insn(uint32_t func)
{
	if (func)
		return (struct bpf_insn){ .code = BPF_JMP | BPF_CALL, .src_reg = BPF_PSEUDO_KFUNC_CALL, .imm = (int32_t)func };
	return (struct bpf_insn){ .code = BPF_ALU64 | BPF_MOV | BPF_X, .dst_reg = BPF_REG_0, .src_reg = BPF_REG_1 };
}

void cast_ask(struct types_ask asks[CAST_ASKS])
{
	static const char *const names[CAST_ASKS] = {
		[CAST_FUNC] = "bpf_rdonly_cast", [CAST_SOCK] = "sock",	   [CAST_TCP_SOCK] = "tcp_sock",
		[CAST_TASK] = "task_struct",	 [CAST_FILE] = "file",	   [CAST_SOCKET] = "socket",
	};

	for (int i = 0; i < CAST_ASKS; i++) {
		asks[i] = (struct types_ask){ .kind = i == CAST_FUNC ? BTF_KIND_FUNC : BTF_KIND_STRUCT };
		snprintf(asks[i].name, sizeof(asks[i].name), "%s", names[i]);
	}
}

bool cast_works(const struct types_ask asks[CAST_ASKS])
{
	struct bpf_insn insns[] = {
		{ .code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_1 },
		{ .code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_2, .imm = (int32_t)asks[CAST_SOCK].id },
		cast_insn(asks[CAST_FUNC].id),
		{ .code = BPF_LDX | BPF_MEM | BPF_W, .dst_reg = BPF_REG_0, .src_reg = BPF_REG_0 },
		{ .code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_0, .imm = 1 },
		{ .code = BPF_JMP | BPF_EXIT },
	};
	int prog;

	for (int i = 0; i < CAST_ASKS; i++)
		if (!asks[i].id)
			return false;
	prog = bpf_prog_load(BPF_PROG_TYPE_CGROUP_SOCK, "portlife_cast", "GPL", insns, sizeof(insns) / sizeof(insns[0]), NULL);
	if (prog < 0)
		return false;
	close(prog);
	return true;
}

void *cast_object(const void *elf, size_t size, uint32_t func)
{
	const struct bpf_insn insn = cast_insn(func);
	const uint64_t mark = PL_CAST_MARK;
	char *copy = malloc(size);

	if (!copy)
		return NULL;
	memcpy(copy, elf, size);
	for (size_t at = 0; at + sizeof(mark) <= size; at += sizeof(mark))
		if (!memcmp(copy + at, &mark, sizeof(mark)))
			memcpy(copy + at, &insn, sizeof(insn));
	return copy;
}
