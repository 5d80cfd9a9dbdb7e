/* SPDX-License-Identifier: GPL-2.0 */
/*
 * One pass over all types notes where each begins and which have a wanted name;
 * these and what they hold by value are then written anew with numbers of their
 * own.  The format: Documentation/bpf/btf.rst of the kernel.
 */
#include "kern/types.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/btf.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define KERNEL_TYPES "/sys/kernel/btf/vmlinux"
#define WANTED_SLOTS 1024	/* names; an object has about a hundred */
#define KIND_ENUM64 19		/* headers of older systems end before */

#define KINDS(k) (1U << (k))
#define KINDS_WANTED (KINDS(BTF_KIND_STRUCT) | KINDS(BTF_KIND_UNION) | KINDS(BTF_KIND_ENUM) | KINDS(KIND_ENUM64) | KINDS(BTF_KIND_TYPEDEF))

/* BTF in memory. */
struct src {
	const char *types, *strs;
	uint32_t types_len, strs_len;
};

struct buf {
	char *at;
	size_t len, cap;
	bool failed;
};

struct pick {
	struct src k;
	uint32_t *offsets;	/* of each type, by number, in k.types */
	uint32_t n;		/* types; number 0 is void */
	uint32_t *new_ids;	/* 0: not wanted so far */
	uint32_t *todo;		/* numbers, in the order of their new ones */
	uint32_t n_todo;
	struct buf types, strs;

	const char *wanted[WANTED_SLOTS];	/* names, by their hash */
	size_t wanted_len[WANTED_SLOTS];
	uint32_t wanted_at[WANTED_SLOTS];	/* where such a name begins in k.strs, by the hash of that; 0: free */
	uint64_t lens[256];			/* by its first byte: lengths that a wanted name has, see len_bit() */
};

static int src_open(struct src *s, const void *data, size_t size)
{
	const struct btf_header *h = data;

	if (size < sizeof(*h) || h->magic != BTF_MAGIC || h->hdr_len > size || h->type_off > size - h->hdr_len ||
	    h->type_len > size - h->hdr_len - h->type_off || h->str_off > size - h->hdr_len ||
	    h->str_len > size - h->hdr_len - h->str_off || !h->str_len || (h->hdr_len | h->type_off) % 4)
		return -EINVAL;
	s->types = (const char *)data + h->hdr_len + h->type_off;
	s->types_len = h->type_len;
	s->strs = (const char *)data + h->hdr_len + h->str_off;
	s->strs_len = h->str_len;
	return s->strs[s->strs_len - 1] ? -EINVAL : 0;
}

static const char *src_str(const struct src *s, uint32_t off)
{
	return off < s->strs_len ? s->strs + off : "";
}

/* What follows struct btf_type, in bytes; UINT32_MAX: of a kind that we do not know. */
static uint32_t type_tail(const struct btf_type *t)
{
	uint32_t vlen = BTF_INFO_VLEN(t->info);

	switch (BTF_INFO_KIND(t->info)) {
	case BTF_KIND_INT:
	case BTF_KIND_VAR:
	case BTF_KIND_DECL_TAG:
		return 4;
	case BTF_KIND_ARRAY:
		return sizeof(struct btf_array);
	case BTF_KIND_STRUCT:
	case BTF_KIND_UNION:
		return vlen * sizeof(struct btf_member);
	case BTF_KIND_ENUM:
		return vlen * sizeof(struct btf_enum);
	case KIND_ENUM64:
		return vlen * 12;
	case BTF_KIND_FUNC_PROTO:
		return vlen * sizeof(struct btf_param);
	case BTF_KIND_DATASEC:
		return vlen * sizeof(struct btf_var_secinfo);
	case BTF_KIND_PTR:
	case BTF_KIND_FWD:
	case BTF_KIND_TYPEDEF:
	case BTF_KIND_VOLATILE:
	case BTF_KIND_CONST:
	case BTF_KIND_RESTRICT:
	case BTF_KIND_FUNC:
	case BTF_KIND_FLOAT:
	case BTF_KIND_TYPE_TAG:
		return 0;
	}
	return UINT32_MAX;
}

/* The type at `off` if all of it is there, else NULL; `next`: where the one behind begins. */
static const struct btf_type *type_at(const struct src *s, uint32_t off, uint32_t *next)
{
	const struct btf_type *t = (const void *)(s->types + off);
	uint32_t tail;

	if (s->types_len - off < sizeof(*t))
		return NULL;
	tail = type_tail(t);
	if (tail > s->types_len - off - sizeof(*t))
		return NULL;
	*next = off + (uint32_t)sizeof(*t) + tail;
	return t;
}

/* ---- which names are wanted ---- */

static uint32_t name_hash(const char *name, size_t len)
{
	uint32_t h = 2166136261U;

	for (size_t i = 0; i < len; i++)
		h = (h ^ (unsigned char)name[i]) * 16777619U;
	return h % WANTED_SLOTS;
}

/* The slot of the name, or the free one where it belongs; WANTED_SLOTS: the table is full. */
static uint32_t wanted_slot(const struct pick *p, const char *name, size_t len)
{
	uint32_t h = name_hash(name, len);

	for (uint32_t i = 0; i < WANTED_SLOTS; i++, h = (h + 1) % WANTED_SLOTS)
		if (!p->wanted[h] || (p->wanted_len[h] == len && !memcmp(p->wanted[h], name, len)))
			return h;
	return WANTED_SLOTS;
}

/* Tells most names of the kernel from those that are wanted, without a look at all their bytes. */
static uint64_t len_bit(size_t len)
{
	return 1ULL << (len < 63 ? len : 63);
}

static int want(struct pick *p, const char *name, size_t len)
{
	uint32_t slot = wanted_slot(p, name, len);

	if (!len)
		return 0;
	if (slot == WANTED_SLOTS)
		return -E2BIG;
	p->wanted[slot] = name;
	p->wanted_len[slot] = len;
	p->lens[(unsigned char)*name] |= len_bit(len);
	return 0;
}

/* The section .BTF of a 64-bit object of this machine. */
static int elf_btf(const char *elf, size_t size, struct src *ret)
{
	const Elf64_Ehdr *h = (const void *)elf;
	const Elf64_Shdr *s, *names;

	if (size < sizeof(*h) || memcmp(h->e_ident, ELFMAG, SELFMAG) || h->e_shoff > size || h->e_shnum > (size - h->e_shoff) / sizeof(*s) ||
	    h->e_shstrndx >= h->e_shnum)
		return -EINVAL;
	s = (const void *)(elf + h->e_shoff);
	names = &s[h->e_shstrndx];
	for (unsigned int i = 0; i < h->e_shnum; i++)
		if (names->sh_offset < size && s[i].sh_name < size - names->sh_offset && s[i].sh_offset < size &&
		    s[i].sh_size <= size - s[i].sh_offset && !strcmp(elf + names->sh_offset + s[i].sh_name, ".BTF"))
			return src_open(ret, elf + s[i].sh_offset, s[i].sh_size);
	return -EINVAL;
}

static int want_local(struct pick *p, const void *elf, size_t size)
{
	const struct btf_type *t;
	struct src local;
	uint32_t off = 0;
	int err = elf_btf(elf, size, &local);

	while (!err && off < local.types_len) {
		const char *name, *flavour;

		t = type_at(&local, off, &off);
		if (!t)
			return -EINVAL;
		if (!(KINDS(BTF_INFO_KIND(t->info)) & KINDS_WANTED))
			continue;
		name = src_str(&local, t->name_off);
		flavour = strstr(name, "___");
		err = want(p, name, flavour ? (size_t)(flavour - name) : strlen(name));
	}
	return err;
}

static uint32_t at_slot(const struct pick *p, uint32_t off)
{
	uint32_t h = off * 2654435761U >> 22;	/* WANTED_SLOTS is 1 << 10 */

	while (p->wanted_at[h] && p->wanted_at[h] != off)
		h = (h + 1) % WANTED_SLOTS;
	return h;
}

/* Where the wanted names stand in the kernel's strings: each is there once. */
static void find_names(struct pick *p)
{
	const char *end = p->k.strs + p->k.strs_len, *next;

	for (const char *name = p->k.strs; name < end; name = next + 1) {
		size_t len;
		uint32_t slot;

		next = memchr(name, '\0', (size_t)(end - name));
		len = (size_t)(next - name);
		if (!(p->lens[(unsigned char)*name] & len_bit(len)))
			continue;
		slot = wanted_slot(p, name, len);
		if (len && slot < WANTED_SLOTS && p->wanted[slot])
			p->wanted_at[at_slot(p, (uint32_t)(name - p->k.strs))] = (uint32_t)(name - p->k.strs);
	}
}

/* ---- what is kept ---- */

/* The new number of a type; what is seen for the first time is put in the queue. */
static uint32_t keep(struct pick *p, uint32_t id)
{
	if (!id || id >= p->n)
		return 0;
	if (!p->new_ids[id]) {
		p->todo[p->n_todo++] = id;
		p->new_ids[id] = p->n_todo;
	}
	return p->new_ids[id];
}

static void answer(const struct pick *p, const struct btf_type *t, uint32_t id, struct types_ask *asks, size_t n_asks)
{
	const char *name = src_str(&p->k, t->name_off);

	for (size_t i = 0; i < n_asks; i++)
		if (!asks[i].id && asks[i].kind == BTF_INFO_KIND(t->info) && !strcmp(asks[i].name, name))
			asks[i].id = id;
}

static int find_types(struct pick *p, struct types_ask *asks, size_t n_asks)
{
	uint32_t max = p->k.types_len / (uint32_t)sizeof(struct btf_type) + 1, off = 0, id;

	p->offsets = malloc(max * sizeof(*p->offsets));
	p->new_ids = calloc(max, sizeof(*p->new_ids));
	p->todo = malloc(max * sizeof(*p->todo));
	if (!p->offsets || !p->new_ids || !p->todo)
		return -ENOMEM;
	p->n = max;
	for (id = 1; off < p->k.types_len; id++) {
		uint32_t at = off;
		const struct btf_type *t = type_at(&p->k, at, &off);

		if (!t)		/* what is left is less than a type: there is no place for it */
			return -EINVAL;
		p->offsets[id] = at;
		if (!t->name_off || !p->wanted_at[at_slot(p, t->name_off)])
			continue;
		answer(p, t, id, asks, n_asks);
		if (KINDS(BTF_INFO_KIND(t->info)) & KINDS_WANTED)
			keep(p, id);
	}
	p->n = id;	/* what names a type beyond the last names none */
	return 0;
}

static void put(struct buf *b, const void *data, size_t len)
{
	if (b->len + len > b->cap && !b->failed) {
		size_t cap = (b->len + len) * 2;
		char *grown = realloc(b->at, cap);

		b->failed = !grown;
		if (grown) {
			b->at = grown;
			b->cap = cap;
		}
	}
	if (b->failed)
		return;
	memcpy(b->at + b->len, data, len);
	b->len += len;
}

static uint32_t put_name(struct pick *p, uint32_t off)
{
	const char *name = src_str(&p->k, off);
	uint32_t at = (uint32_t)p->strs.len;

	if (!*name)
		return 0;
	put(&p->strs, name, strlen(name) + 1);
	return at;
}

static void put_members(struct pick *p, const struct btf_type *t)
{
	const struct btf_member *m = (const void *)(t + 1);

	for (uint32_t i = 0; i < BTF_INFO_VLEN(t->info); i++) {
		struct btf_member to = { put_name(p, m[i].name_off), keep(p, m[i].type), m[i].offset };

		put(&p->types, &to, sizeof(to));
	}
}

/* Values of an enum begin with their name, whatever their width. */
static void put_values(struct pick *p, const struct btf_type *t, size_t size)
{
	const char *from = (const void *)(t + 1);

	for (uint32_t i = 0; i < BTF_INFO_VLEN(t->info); i++, from += size) {
		uint32_t words[3];

		memcpy(words, from, size);
		words[0] = put_name(p, words[0]);
		put(&p->types, words, size);
	}
}

static void put_array(struct pick *p, const struct btf_type *t)
{
	struct btf_array a = *(const struct btf_array *)(t + 1);

	a.type = keep(p, a.type);
	a.index_type = keep(p, a.index_type);
	put(&p->types, &a, sizeof(a));
}

/* Writes one type; those that it holds by value are queued. */
static void put_type(struct pick *p, const struct btf_type *t)
{
	struct btf_type to = { put_name(p, t->name_off), t->info, { t->type } };

	switch (BTF_INFO_KIND(t->info)) {
	case BTF_KIND_TYPEDEF:
	case BTF_KIND_VOLATILE:
	case BTF_KIND_CONST:
	case BTF_KIND_RESTRICT:
	case BTF_KIND_TYPE_TAG:
		to.type = keep(p, t->type);
		break;
	case BTF_KIND_PTR:
		to.type = 0;
		break;
	case BTF_KIND_FUNC_PROTO:	/* behind a typedef */
		to = (struct btf_type){ 0, BTF_KIND_PTR << 24, { 0 } };
		break;
	}
	put(&p->types, &to, sizeof(to));
	switch (BTF_INFO_KIND(to.info)) {
	case BTF_KIND_INT:
		put(&p->types, t + 1, 4);
		break;
	case BTF_KIND_ARRAY:
		put_array(p, t);
		break;
	case BTF_KIND_STRUCT:
	case BTF_KIND_UNION:
		put_members(p, t);
		break;
	case BTF_KIND_ENUM:
		put_values(p, t, sizeof(struct btf_enum));
		break;
	case KIND_ENUM64:
		put_values(p, t, 12);
		break;
	}
}

static int put_all(struct pick *p)
{
	put(&p->strs, "", 1);
	for (uint32_t i = 0; i < p->n_todo; i++)
		put_type(p, (const void *)(p->k.types + p->offsets[p->todo[i]]));
	return p->types.failed || p->strs.failed ? -ENOMEM : 0;
}

static int write_all(int fd, const void *data, size_t len)
{
	const char *at = data;
	ssize_t n;

	for (; len; at += n, len -= (size_t)n) {
		n = write(fd, at, len);
		if (n <= 0)
			return n ? -errno : -EIO;
	}
	return 0;
}

/* The descriptor of a file that holds it all, or a negative errno. */
static int pick_file(const struct pick *p)
{
	const struct btf_header h = {
		.magic = BTF_MAGIC, .version = BTF_VERSION, .hdr_len = sizeof(h), .type_len = (uint32_t)p->types.len,
		.str_off = (uint32_t)p->types.len, .str_len = (uint32_t)p->strs.len,
	};
	int fd = memfd_create("portlife-types", MFD_CLOEXEC), err;

	if (fd < 0)
		return -errno;
	err = write_all(fd, &h, sizeof(h));
	if (!err)
		err = write_all(fd, p->types.at, p->types.len);
	if (!err)
		err = write_all(fd, p->strs.at, p->strs.len);
	if (err)
		close(fd);
	return err ? err : fd;
}

int types_pick(const void *btf, size_t btf_size, const void *elf, size_t size, struct types_ask *asks, size_t n_asks)
{
	struct pick *p = calloc(1, sizeof(*p));
	int err = p ? src_open(&p->k, btf, btf_size) : -ENOMEM;

	if (!err)
		err = want_local(p, elf, size);
	for (size_t i = 0; !err && i < n_asks; i++) {
		asks[i].id = 0;
		err = want(p, asks[i].name, strlen(asks[i].name));
	}
	if (!err) {
		find_names(p);
		err = find_types(p, asks, n_asks);
	}
	if (!err)
		err = put_all(p);
	if (!err)
		err = pick_file(p);
	if (p) {
		free(p->offsets);
		free(p->new_ids);
		free(p->todo);
		free(p->types.at);
		free(p->strs.at);
	}
	free(p);
	return err;
}

/* Mapped where the kernel can (6.16), else read: a page at a time, whatever is asked for. */
int types_open(const void *elf, size_t size, struct types_ask *asks, size_t n_asks)
{
	int fd = open(KERNEL_TYPES, O_RDONLY | O_CLOEXEC), err = 0;
	char *data = MAP_FAILED, *copy = NULL;
	size_t have = 0, all = 0;
	struct stat st;
	ssize_t n = 1;

	if (fd < 0 || fstat(fd, &st))
		err = -errno;
	if (!err) {
		all = (size_t)st.st_size;
		data = mmap(NULL, all, PROT_READ, MAP_PRIVATE, fd, 0);
	}
	if (!err && data == MAP_FAILED) {
		copy = malloc(all);
		while (copy && n > 0 && have < all && (n = read(fd, copy + have, all - have)) > 0)
			have += (size_t)n;
		err = !copy ? -ENOMEM : n < 0 ? -errno : 0;
	}
	if (!err)
		err = copy ? types_pick(copy, have, elf, size, asks, n_asks) : types_pick(data, all, elf, size, asks, n_asks);
	if (data != MAP_FAILED)
		munmap(data, all);
	if (fd >= 0)
		close(fd);
	free(copy);
	return err;
}
