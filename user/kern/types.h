/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The few of the running kernel's types (BTF) that portlife's programs refer to.
 *
 * libbpf reads all of them, more than a hundred thousand, for each object that is
 * loaded, and searches through all for each type that a program names: half of
 * the time that `who` takes.  Here they are read once, in one pass, and libbpf
 * gets a file with those alone (btf_custom_path) in which pointers lead nowhere.
 */
#ifndef PORTLIFE_KERN_TYPES_H
#define PORTLIFE_KERN_TYPES_H

#include <stddef.h>
#include <stdint.h>

/* One type that is asked for by its name. */
struct types_ask {
	char name[64];
	uint32_t kind;		/* BTF_KIND_FUNC, BTF_KIND_TYPEDEF */
	uint32_t id;		/* its number in the kernel's BTF, 0: the kernel has none */
};

/*
 * `elf`: the object whose types are wanted, up to a "___flavour".  Returns a
 * descriptor of the file (O_CLOEXEC, the caller closes it) or a negative errno;
 * the `id` of each of `asks` is filled in.
 */
int types_open(const void *elf, size_t size, struct types_ask *asks, size_t n_asks);

/* As types_open(), from BTF in memory; tests have their own. */
int types_pick(const void *btf, size_t btf_size, const void *elf, size_t size, struct types_ask *asks, size_t n_asks);

#endif
