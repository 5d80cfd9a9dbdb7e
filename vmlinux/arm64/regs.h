/* SPDX-License-Identifier: GPL-2.0 */
/* struct pt_regs on arm64 (arch/arm64/include/asm/ptrace.h): only what is read. */
struct user_pt_regs {
	__u64 regs[31];
	__u64 sp, pc, pstate;
};
struct pt_regs {
	union {
		struct user_pt_regs user_regs;
		struct {
			__u64 regs[31];
			__u64 sp, pc, pstate;
		};
	};
	__u64 orig_x0;
};
