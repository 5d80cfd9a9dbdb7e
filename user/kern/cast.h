/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Numbers that programs turn into pointers to kernel structs, to read through
 * them by plain loads: typed() in bpf/compat.h.
 *
 * The kernel function that does it (bpf_rdonly_cast(), since 6.2) is called by its
 * number in the kernel's BTF.  libbpf would find that, but reads all of BTF for it.
 */
#ifndef PORTLIFE_KERN_CAST_H
#define PORTLIFE_KERN_CAST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "kern/types.h"

enum cast_ask { CAST_FUNC, CAST_SOCK, CAST_TCP_SOCK, CAST_TASK, CAST_FILE, CAST_SOCKET, CAST_ASKS };

/* Fills in what types_open() is to look for. */
void cast_ask(struct types_ask asks[CAST_ASKS]);

/* Whether a program can cast here: all were found and the kernel takes a program that does. */
bool cast_works(const struct types_ask asks[CAST_ASKS]);

/*
 * A copy of the object in which each PL_CAST_MARK calls the kernel function `func`,
 * 0: changes nothing.  The caller frees it; NULL: no memory.
 */
void *cast_object(const void *elf, size_t size, uint32_t func);

#endif
