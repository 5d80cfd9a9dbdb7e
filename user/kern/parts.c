/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Programs loaded by two threads.  The verifier needs half of the time until the
 * first event, it checks one program at a time, and a program knows nothing of
 * another: so the object is opened three times, once for the tables and twice for
 * a half of the programs, which share these tables.
 */
#include <errno.h>
#include <pthread.h>
#include <string.h>

#include "kern/source_priv.h"

struct parts {
	struct source *s;
	enum tier tier;
	const bool *wanted;		/* by hook */
	int err[SOURCE_PARTS];
};

/*
 * Half of what the verifier walks through for tier c, as the kernel tells it (verified_insns in struct bpf_prog_info): c_exit
 * alone is a quarter of it.  In tier a neighbours among the hooks are twins of much the same size, in tier b pairs of them.
 */
static size_t part_of(size_t hook)
{
	static const char *const half[] = { "c_exit", "c_set_state", "c_post_bind4", "c_connect4", "i_task_file", "i_udp" };

	if (hooks[hook].tier == TIER_A || hooks[hook].tier == TIER_B)
		return (size_t)load_find(hooks[hook].prog) / (hooks[hook].tier == TIER_B ? 2 : 1) % SOURCE_PARTS;
	for (size_t i = 0; i < sizeof(half) / sizeof(half[0]); i++)
		if (!strcmp(hooks[hook].prog, half[i]))
			return 0;
	return 1;
}

static int part_open(const struct parts *p, size_t part)
{
	struct portlife_bpf *skel = p->s->parts[part] = load_open(p->s);
	int err = skel ? load_configure(p->s, skel, p->tier) : -errno;

	for (size_t i = 0; !err && i < hooks_count; i++)
		if (p->wanted[i] && part_of(i) == part)
			err = load_autoload(p->s, skel, i);
	return err;
}

static void *parts_open(void *ctx)
{
	struct parts *p = ctx;

	for (size_t part = 0; part < SOURCE_PARTS; part++)
		p->err[part] = part_open(p, part);
	return NULL;
}

static int part_load(const struct parts *p, size_t part)
{
	struct portlife_bpf *skel = p->s->parts[part];
	struct bpf_map *map, *made;
	int err = 0;

	bpf_object__for_each_map(map, skel->obj) {
		made = bpf_object__find_map_by_name(p->s->skel->obj, bpf_map__name(map));
		if (!err && made && bpf_map__fd(made) >= 0)
			err = bpf_map__reuse_fd(map, bpf_map__fd(made));
	}
	return err ? err : portlife_bpf__load(skel);
}

static void *part_load_other(void *ctx)
{
	struct parts *p = ctx;

	p->err[1] = part_load(p, 1);
	return NULL;
}

/* Without a second thread it takes longer. */
static bool apart(pthread_t *thread, void *(*fn)(void *), struct parts *p)
{
	if (!pthread_create(thread, NULL, fn, p))
		return true;
	fn(p);
	return false;
}

int parts_load(struct source *s, enum tier tier, const bool *wanted)
{
	struct parts p = { .s = s, .tier = tier, .wanted = wanted };
	pthread_t thread;
	bool joins;
	int err;

	joins = apart(&thread, parts_open, &p);
	s->skel = load_open(s);
	err = s->skel ? load_configure(s, s->skel, tier) : -errno;
	if (!err)
		err = portlife_bpf__load(s->skel);
	if (joins)
		pthread_join(thread, NULL);
	if (err || p.err[0] || p.err[1])
		return err ? err : p.err[0] ? p.err[0] : p.err[1];
	joins = apart(&thread, part_load_other, &p);
	p.err[0] = part_load(&p, 0);
	if (joins)
		pthread_join(thread, NULL);
	return p.err[0] ? p.err[0] : p.err[1];
}

void parts_unload(struct source *s)
{
	for (size_t part = 0; part < SOURCE_PARTS; part++) {
		portlife_bpf__destroy(s->parts[part]);
		s->parts[part] = NULL;
	}
}

struct bpf_program *source_prog(const struct source *s, const char *name)
{
	struct bpf_program *prog;

	for (size_t part = 0; part < SOURCE_PARTS; part++) {
		prog = s->parts[part] ? bpf_object__find_program_by_name(s->parts[part]->obj, name) : NULL;
		if (prog && bpf_program__fd(prog) >= 0)
			return prog;
	}
	return bpf_object__find_program_by_name(s->skel->obj, name);
}
