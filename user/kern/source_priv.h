/* SPDX-License-Identifier: GPL-2.0 */
/* The inside of a source, shared by the files of user/kern and nobody else. */
#ifndef PORTLIFE_KERN_SOURCE_PRIV_H
#define PORTLIFE_KERN_SOURCE_PRIV_H

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <portlife/config.h>
#include "kern/source.h"
#include "kern/types.h"
#include "model/lease.h"
#include "portlife.skel.h"

#define SOURCE_MAX_HOOKS 96
#define SOURCE_MAX_CANCELS 65536
#define SOURCE_PARTS 2

/* A TIME_WAIT timer that was stopped: ended, unless it was started again. */
struct cancel {
	uint64_t key;		/* in holders */
	uint64_t at;
};

struct source {
	struct source_opts opts;
	enum tier tier;
	struct portlife_bpf *skel;	/* the tables; of a look the programs, too */
	struct portlife_bpf *parts[SOURCE_PARTS];	/* the programs, NULL: of a look */
	struct ring_buffer *ring;
	int types_fd;			/* the kernel's types that the programs need, -1: not looked for yet */
	struct types_ask targets[SOURCE_MAX_HOOKS];	/* what each hook hangs on, where BTF tells; else the name is empty.  Behind them cast_ask()'s */
	bool typed;			/* cast_works() */
	void *elf;			/* cast_object() */
	struct hook_status status[SOURCE_MAX_HOOKS];
	struct bpf_link *links[SOURCE_MAX_HOOKS];
	int cgroup_fd;			/* -1: none */
	struct identity *identity;
	source_fn fn;
	source_more_fn more;		/* NULL: not asked for */
	struct lease_table *seen;	/* of a look: what was handed over, by its key; else NULL */
	void *ctx;
	int fn_err;			/* first negative return of fn in this drain */
	int own_err;			/* the same of what a record makes us do ourselves */
	unsigned int cpus;

	struct cancel *cancels;		/* waiting for their second look */
	size_t n_cancels, cap_cancels;
	struct source_netns *ended_netns;	/* the same by namespace: releases only */
	size_t n_ended_netns;
	struct { uint64_t cgroup, lost; } floods[PL_FLOODS_MAX];	/* told by source_flooder() */
	size_t n_floods;
	uint64_t ended_here[PL_STATS];	/* ends that the reader decided, by PL_STAT_RELEASE */

	char why[256];			/* the last reason why a tier was refused */

	bool look_leaves;		/* of a look: what no file was seen to have, but one has, waits for another look through all files */
	bool look_left;			/* there was some */
	bool snapshot_said;		/* that it could not look everywhere */
	bool snapshot_all;		/* look everywhere, also where all seems to be on record */
	bool snapshot_passed;		/* some namespace was passed over for that */

	uint32_t test_netns;		/* its records are the self-test's, 0: none */
	uint64_t test_seen;		/* bits of what the self-test saw */
	int test_live;			/* its ports that have not ended yet */
	uint64_t test_lost;		/* that did not fit the ring meanwhile, of anybody */
	struct pl_total *test_before;	/* what had been counted under the number of its namespace, NULL: nothing */
	uint64_t test_told[2][PL_PROTOS];	/* its beginnings and ends that came, by PL_IX_* */
};

/* totals.c: the entries 0 of the kernel's tables; 0 or a negative errno. */
int totals_begin(struct source *s);
/* A release that the reader decided. */
int totals_ended(struct source *s, uint32_t netns, unsigned int proto);
/*
 * UDP and UDP-Lite ports of the namespace that are on record, and how often that
 * has changed.  -ENOENT: the namespace is not counted apart.
 */
int totals_udp(struct source *s, uint32_t netns, uint64_t *live, uint64_t *moved);
/*
 * The self-test's namespace does not count.  Its number may have been that of another one, whose counts are kept; what
 * was counted in between is told.  0 or a negative errno.
 */
int totals_set_aside(struct source *s, uint32_t netns);
int totals_put_back(struct source *s, uint32_t netns, struct netns_counts *counted);

/* load.c: opens the object with the programs of one tier and attaches them. */
int source_load(struct source *s, enum tier tier);
void source_unload(struct source *s);
/* Attaches one cgroup hook again; its link is NULL.  0 or a negative errno. */
int source_attach_hook(struct source *s, size_t i);
/* Its pieces: opens the object without any program, ... */
struct portlife_bpf *load_open(const struct source *s);
/* ... says how large its tables are, ... */
int load_configure(const struct source *s, struct portlife_bpf *skel, enum tier tier);
/* ... and wants the program of a hook. */
int load_autoload(const struct source *s, struct portlife_bpf *skel, size_t hook);
/* The first hook of a program, or -1. */
int load_find(const char *prog);
/* parts.c: makes the tables and loads the programs of these hooks; NULL-safe undoing of that. */
int parts_load(struct source *s, enum tier tier, const bool *wanted);
void parts_unload(struct source *s);
/* The program of that name, from where it was loaded. */
struct bpf_program *source_prog(const struct source *s, const char *name);
/* The iterators alone, for ports lo..hi. */
int source_load_look(struct source *s, uint16_t lo, uint16_t hi);

/* selftest.c: 0 when every event of a small workload was seen. */
int source_selftest(struct source *s);
/* A record from the self-test's namespace. */
void source_selftest_record(struct source *s, const struct pl_rec *rec);

/* Reads an iterator to its end; `fn` gets each chunk, may be NULL. */
typedef int (*iter_fn)(struct source *s, const void *bytes, size_t len);
int source_iterate(struct source *s, struct bpf_program *prog, int map_fd, iter_fn fn);

#endif
