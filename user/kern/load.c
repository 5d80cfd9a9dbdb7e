/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Loading and attaching one tier.  The kernel is asked, not its version: a
 * program whose function is not there is left out, one that does not load or
 * attach says why, and a tier stands when each of its needs has a live hook.
 * A program that loads may still not attach (arm64 before 6.4), so only an
 * attached one counts.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/btf.h>
#include <linux/perf_event.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <portlife/config.h>
#include "kern/cast.h"
#include "kern/host.h"
#include "kern/mounts.h"
#include "kern/source_priv.h"

#define KALLSYMS_PIECE (128 * 1024)
#define TOLD_LOOK 1024	/* names that a look tells once; more are told again */

/* libbpf reports through a process-wide callback: the name of the first program that failed to load. */
static char load_failed[64];
static pthread_mutex_t load_failed_lock = PTHREAD_MUTEX_INITIALIZER;

__attribute__((format(printf, 2, 0)))
static int load_print(enum libbpf_print_level level, const char *fmt, va_list ap)
{
	char line[256];
	const char *at;

	if (getenv("PORTLIFE_DEBUG_LIBBPF")) {
		vfprintf(stderr, fmt, ap);
		return 0;
	}
	if (level != LIBBPF_WARN)	/* thousands of lines, the text of which would cost a millisecond */
		return 0;
	vsnprintf(line, sizeof(line), fmt, ap);
	if ((at = strstr(line, "prog '")) && strstr(line, "failed to load")) {
		pthread_mutex_lock(&load_failed_lock);
		if (!load_failed[0])
			snprintf(load_failed, sizeof(load_failed), "%.*s", (int)strcspn(at + 6, "'"), at + 6);
		pthread_mutex_unlock(&load_failed_lock);
	}
	return 0;
}

static bool hook_of_tier(const struct hook *h, enum tier tier)
{
	return h->tier == tier || h->tier == TIER_NONE;
}

/* What the program hangs on, as a type of the kernel. */
static void hook_target(const struct hook *h, struct types_ask *ask)
{
	bool tracepoint = h->tier == TIER_C && h->how == HOOK_BPF;

	ask->name[0] = '\0';
	ask->kind = tracepoint ? BTF_KIND_TYPEDEF : BTF_KIND_FUNC;
	if (tracepoint)
		snprintf(ask->name, sizeof(ask->name), "btf_trace_%s", strchr(h->target, ':') + 1);
	else if (h->how == HOOK_ITER)
		snprintf(ask->name, sizeof(ask->name), "bpf_iter_%s", strchr(h->target, '/') + 1);
	else if (h->tier == TIER_A)
		snprintf(ask->name, sizeof(ask->name), "%s", h->target);
}

/* Whether the kernel has it; asked of BTF where that tells. */
static bool hook_exists(const struct source *s, size_t i)
{
	return !s->targets[i].name[0] || s->targets[i].id;
}

/*
 * libbpf would look the target up in all of the kernel's types.  It leaves that to
 * the handler of the section when the program is said to hang on another program:
 * so the number of the target is given in the place of that program's descriptor,
 * and put right when the program is loaded.
 */
static int target_prepare(struct bpf_program *prog, struct bpf_prog_load_opts *opts, long cookie)
{
	opts->attach_btf_id = opts->attach_prog_fd;
	opts->attach_prog_fd = 0;
	return opts->attach_btf_id ? 0 : -ENOENT;
}

/* Once a process, for handlers are libbpf's own. */
static int target_handlers(void)
{
	static const struct { const char *section; enum bpf_attach_type type; } handled[] = {
		{ "fentry/", BPF_TRACE_FENTRY }, { "fexit/", BPF_TRACE_FEXIT }, { "tp_btf/", BPF_TRACE_RAW_TP }, { "iter/", BPF_TRACE_ITER },
	};
	LIBBPF_OPTS(libbpf_prog_handler_opts, opts, .prog_prepare_load_fn = target_prepare);
	static bool done;
	int err = 0;

	for (size_t i = 0; !done && err >= 0 && i < sizeof(handled) / sizeof(handled[0]); i++)
		err = libbpf_register_prog_handler(handled[i].section, BPF_PROG_TYPE_TRACING, handled[i].type, &opts);
	done = done || err >= 0;
	return err < 0 ? err : 0;
}

/* The kernel's types, once a source; what is asked for does not depend on the tier. */
static int load_types(struct source *s)
{
	struct types_ask *casts = s->targets + hooks_count;
	const void *elf;
	size_t size;

	if (s->types_fd >= 0)
		return 0;
	for (size_t i = 0; i < hooks_count; i++)
		hook_target(&hooks[i], &s->targets[i]);
	cast_ask(casts);
	elf = portlife_bpf__elf_bytes(&size);
	s->types_fd = types_open(elf, size, s->targets, hooks_count + CAST_ASKS);
	if (s->types_fd < 0)
		return s->types_fd;
	s->typed = cast_works(casts);
	s->elf = cast_object(elf, size, s->typed ? casts[CAST_FUNC].id : 0);
	return s->elf ? target_handlers() : -ENOMEM;
}

/* As portlife_bpf__open_opts(), from our copy of the object and without its programs; NULL: errno says why. */
struct portlife_bpf *load_open(const struct source *s)
{
	struct portlife_bpf *skel = calloc(1, sizeof(*skel));
	char path[40];
	LIBBPF_OPTS(bpf_object_open_opts, opts, .btf_custom_path = path);
	struct bpf_program *prog;
	int err;

	snprintf(path, sizeof(path), "/proc/self/fd/%d", s->types_fd);
	err = skel ? portlife_bpf__create_skeleton(skel) : -ENOMEM;
	if (!err) {
		skel->skeleton->data = s->elf;
		err = bpf_object__open_skeleton(skel->skeleton, &opts);
	}
	if (err) {
		portlife_bpf__destroy(skel);
		errno = -err;
		return NULL;
	}
	bpf_object__for_each_program(prog, skel->obj)
		bpf_program__set_autoload(prog, false);
	return skel;
}

int load_autoload(const struct source *s, struct portlife_bpf *skel, size_t hook)
{
	struct bpf_program *prog = bpf_object__find_program_by_name(skel->obj, hooks[hook].prog);
	int err = bpf_program__set_autoload(prog, true);

	return !err && s->targets[hook].id ? bpf_program__set_attach_target(prog, (int)s->targets[hook].id, NULL) : err;
}

/* The address in the last line of `text` that names tw_timer_handler, or 0. */
static uint64_t tw_timer_in(const char *text)
{
	const char *at = strstr(text, " tw_timer_handler");

	if (!at || (at[17] != '\n' && at[17] != '\t'))
		return 0;
	while (at > text && at[-1] != '\n')
		at--;
	return strtoull(at, NULL, 16);
}

/*
 * The same asked of a program, which since 5.16 may ask for one symbol: a
 * millisecond instead of thirty.  By hand, because older kernels refuse an object
 * with such a program in it.  0: it cannot be asked, or is not told.
 */
static uint64_t tw_timer_asked(void)
{
	static const char name[24] = "tw_timer_handler";
	uint64_t words[3], found = 0;
	struct bpf_insn insns[] = {
		{ .code = BPF_ALU64 | BPF_MOV | BPF_X, .dst_reg = BPF_REG_6, .src_reg = BPF_REG_1 },
		{ .code = BPF_LD | BPF_DW | BPF_IMM, .dst_reg = BPF_REG_1 }, { 0 },
		{ .code = BPF_STX | BPF_MEM | BPF_DW, .dst_reg = BPF_REG_10, .src_reg = BPF_REG_1, .off = -24 },
		{ .code = BPF_LD | BPF_DW | BPF_IMM, .dst_reg = BPF_REG_1 }, { 0 },
		{ .code = BPF_STX | BPF_MEM | BPF_DW, .dst_reg = BPF_REG_10, .src_reg = BPF_REG_1, .off = -16 },
		{ .code = BPF_ST | BPF_MEM | BPF_DW, .dst_reg = BPF_REG_10, .off = -8 },
		{ .code = BPF_ST | BPF_MEM | BPF_DW, .dst_reg = BPF_REG_10, .off = -32 },
		{ .code = BPF_ALU64 | BPF_MOV | BPF_X, .dst_reg = BPF_REG_1, .src_reg = BPF_REG_10 },
		{ .code = BPF_ALU64 | BPF_ADD | BPF_K, .dst_reg = BPF_REG_1, .imm = -24 },
		{ .code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_2, .imm = sizeof("tw_timer_handler") },
		{ .code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_3 },
		{ .code = BPF_ALU64 | BPF_MOV | BPF_X, .dst_reg = BPF_REG_4, .src_reg = BPF_REG_10 },
		{ .code = BPF_ALU64 | BPF_ADD | BPF_K, .dst_reg = BPF_REG_4, .imm = -32 },
		{ .code = BPF_JMP | BPF_CALL, .imm = BPF_FUNC_kallsyms_lookup_name },
		{ .code = BPF_LDX | BPF_MEM | BPF_DW, .dst_reg = BPF_REG_1, .src_reg = BPF_REG_10, .off = -32 },
		{ .code = BPF_STX | BPF_MEM | BPF_DW, .dst_reg = BPF_REG_6, .src_reg = BPF_REG_1 },
		{ .code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_0 },
		{ .code = BPF_JMP | BPF_EXIT },
	};
	LIBBPF_OPTS(bpf_prog_load_opts, opts, .prog_flags = BPF_F_SLEEPABLE);
	LIBBPF_OPTS(bpf_test_run_opts, run, .ctx_in = &found, .ctx_size_in = sizeof(found));
	int prog;

	memcpy(words, name, sizeof(words));
	for (int i = 0; i < 2; i++) {
		insns[1 + 3 * i].imm = (int32_t)words[i];
		insns[2 + 3 * i].imm = (int32_t)(words[i] >> 32);
	}
	prog = bpf_prog_load(BPF_PROG_TYPE_SYSCALL, "portlife_symbol", "GPL", insns, sizeof(insns) / sizeof(insns[0]), &opts);
	if (prog < 0)
		return 0;
	if (bpf_prog_test_run_opts(prog, &run))
		found = 0;
	close(prog);
	return found;
}

/* Address of tw_timer_handler; 0 when the kernel does not tell.  A hundred thousand lines: read by large pieces. */
static uint64_t tw_timer_read(void)
{
	int fd = open("/proc/kallsyms", O_RDONLY | O_CLOEXEC);
	char *text = malloc(KALLSYMS_PIECE + 1);
	size_t have = 0, line;
	uint64_t found = 0;
	ssize_t n;

	while (fd >= 0 && text && !found && (n = read(fd, text + have, KALLSYMS_PIECE - have)) > 0) {
		have += (size_t)n;
		text[have] = '\0';
		found = tw_timer_in(text);
		/* The rest of a line that was cut goes before the next piece. */
		for (line = have; line && text[line - 1] != '\n'; line--)
			;
		have -= line;
		memmove(text, text + line, have);
	}
	if (fd >= 0)
		close(fd);
	free(text);
	return found;
}

/* Tables of programs that are not loaded; those with room from the start cost milliseconds and megabytes. */
static int load_maps(struct portlife_bpf *skel, enum tier tier)
{
	const struct { struct bpf_map *map; bool want; } maps[] = {
		{ skel->maps.pendings, tier == TIER_C }, { skel->maps.tw_births, tier == TIER_C },
		{ skel->maps.calls, tier == TIER_B }, { skel->maps.inherits, tier == TIER_B },
		{ skel->maps.intents, tier != TIER_NONE }, { skel->maps.msks, tier != TIER_NONE },
		{ skel->maps.shared, tier != TIER_NONE }, { skel->maps.floods, tier != TIER_NONE },
	};
	int err = 0;

	for (size_t i = 0; !err && i < sizeof(maps) / sizeof(maps[0]); i++)
		err = bpf_map__set_autocreate(maps[i].map, maps[i].want);
	if (!err && tier == TIER_NONE)
		err = bpf_map__set_max_entries(skel->maps.told, TOLD_LOOK);
	return !err && tier == TIER_NONE ? bpf_map__set_max_entries(skel->maps.totals, 1) : err;
}

int load_configure(const struct source *s, struct portlife_bpf *skel, enum tier tier)
{
	const struct types_ask *casts = s->targets + hooks_count;
	uint64_t ring = s->opts.ring_size ? s->opts.ring_size : PL_RING_DEFAULT;
	uint64_t size = (uint64_t)sysconf(_SC_PAGESIZE);
	int err;

	while (size < ring)
		size *= 2;
	err = load_maps(skel, tier);
	if (!err && tier == TIER_C && s->cpus * PL_BIRTHS_CPU > PL_BIRTHS_MIN)
		err = bpf_map__set_max_entries(skel->maps.tw_births, s->cpus * PL_BIRTHS_CPU);
	skel->rodata->cfg_typed = s->typed;
	skel->rodata->cfg_type_sock = casts[CAST_SOCK].id;
	skel->rodata->cfg_type_tcp_sock = casts[CAST_TCP_SOCK].id;
	skel->rodata->cfg_type_task = casts[CAST_TASK].id;
	skel->rodata->cfg_type_file = casts[CAST_FILE].id;
	skel->rodata->cfg_type_socket = casts[CAST_SOCKET].id;
	skel->rodata->cfg_scope_all = s->opts.scope_all;
	skel->rodata->cfg_ring_half = size / 2;
	skel->rodata->cfg_wake_mask = size >= 1 << 20 ? 7 : 0;
	if (!err)
		err = bpf_map__set_max_entries(skel->maps.events, size);
	if (!err && s->opts.table_size)
		err = bpf_map__set_max_entries(skel->maps.holders, s->opts.table_size);
	return err;
}

int load_find(const char *prog)
{
	for (size_t i = 0; i < hooks_count; i++)
		if (!strcmp(hooks[i].prog, prog))
			return (int)i;
	return -1;
}

/* `drop`: programs that the verifier refused, by the first hook of each; `wanted`: hooks whose programs to load. */
static void load_choose(struct source *s, enum tier tier, const bool *drop, bool *wanted)
{
	for (size_t i = 0; i < hooks_count; i++) {
		bool dropped = drop[load_find(hooks[i].prog)];

		wanted[i] = hook_of_tier(&hooks[i], tier);
		s->status[i] = (struct hook_status){ .state = HOOK_UNUSED };
		if (!wanted[i] || (!dropped && hook_exists(s, i)))
			continue;
		s->status[i] = (struct hook_status){ .state = HOOK_MISSING, .err = dropped ? -EINVAL : 0 };
		wanted[i] = false;
	}
}

/*
 * Whether the kernel lets us have a trampoline at all, asked with the smallest
 * program: a refusal costs a millisecond instead of loading everything first.
 */
static int trial_trampoline(const struct source *s)
{
	struct bpf_insn insns[] = {
		{ .code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_0 },
		{ .code = BPF_JMP | BPF_EXIT },
	};
	LIBBPF_OPTS(bpf_prog_load_opts, opts, .expected_attach_type = BPF_TRACE_FENTRY);
	int prog, link, err = 0;

	opts.attach_btf_id = s->targets[load_find("a_put_port")].id;
	if (!opts.attach_btf_id)
		return -EOPNOTSUPP;
	prog = bpf_prog_load(BPF_PROG_TYPE_TRACING, "portlife_trial", "GPL", insns, 2, &opts);
	if (prog < 0)
		return -errno;
	link = bpf_raw_tracepoint_open(NULL, prog);
	if (link < 0)
		err = -errno;
	else
		close(link);
	close(prog);
	return err;
}

static int load_trial(const struct source *s, enum tier tier)
{
	snprintf(load_failed, sizeof(load_failed), "%s", tier == TIER_A ? "a trampoline" : "");
	if (tier == TIER_A)
		return trial_trampoline(s);
	if (tier == TIER_B && access("/sys/bus/event_source/devices/kprobe", F_OK)) {
		snprintf(load_failed, sizeof(load_failed), "kprobes");
		return -EOPNOTSUPP;
	}
	return 0;
}

/* Opens and loads; a program that the verifier refuses is left out, and said so in its status. */
static int load_object(struct source *s, enum tier tier)
{
	bool drop[SOURCE_MAX_HOOKS] = { false }, wanted[SOURCE_MAX_HOOKS];
	int err = load_types(s), at;

	if (!err)
		err = load_trial(s, tier);
	while (!err) {
		load_failed[0] = '\0';
		load_choose(s, tier, drop, wanted);
		err = parts_load(s, tier, wanted);
		at = !err || err == -EPERM ? -1 : load_find(load_failed);
		if (at < 0 || drop[at])
			break;
		drop[at] = true;
		source_unload(s);
		err = 0;
	}
	return err;
}

static void *tw_timer_thread(void *found)
{
	*(uint64_t *)found = tw_timer_read();
	return NULL;
}

/* Where one symbol cannot be asked for, the kernel writes all out while another CPU verifies the programs. */
static int load_with_timer(struct source *s, enum tier tier)
{
	uint64_t timer = tier == TIER_C ? tw_timer_asked() : 0;
	bool read = tier == TIER_C && !timer, apart;
	pthread_t thread;
	int err;

	apart = read && !pthread_create(&thread, NULL, tw_timer_thread, &timer);
	err = load_object(s, tier);
	if (apart)
		pthread_join(thread, NULL);
	else if (read)
		timer = tw_timer_read();
	if (!err)
		s->skel->bss->tw_timer = timer;
	return err;
}

static struct bpf_link *attach_syscall(struct bpf_program *prog, const char *target, int tracefs)
{
	struct perf_event_attr attr = { .type = PERF_TYPE_TRACEPOINT, .size = sizeof(attr), .sample_period = 1 };
	char path[96], text[32] = "";
	struct bpf_link *link;
	int fd, pfd;
	ssize_t n;

	snprintf(path, sizeof(path), "events/%s/id", target);
	fd = openat(tracefs, path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return NULL;
	n = read(fd, text, sizeof(text) - 1);
	close(fd);
	if (n <= 0)
		return NULL;
	attr.config = strtoull(text, NULL, 10);
	pfd = (int)syscall(SYS_perf_event_open, &attr, -1, 0, -1, PERF_FLAG_FD_CLOEXEC);
	if (pfd < 0)
		return NULL;
	link = bpf_program__attach_perf_event(prog, pfd);
	if (!link)
		close(pfd);	/* the link owns it otherwise */
	return link;
}

static int attach_hook(struct source *s, size_t i, int tracefs)
{
	struct bpf_program *prog = source_prog(s, hooks[i].prog);
	struct bpf_link *link;

	errno = 0;
	switch (hooks[i].how) {
	case HOOK_ITER:
		return 0;
	case HOOK_CGROUP:
		if (s->cgroup_fd < 0)
			return s->cgroup_fd;
		link = bpf_program__attach_cgroup(prog, s->cgroup_fd);
		break;
	case HOOK_SYSCALL:
		if (tracefs < 0)
			return tracefs;
		link = attach_syscall(prog, hooks[i].target, tracefs);
		break;
	default:
		link = hooks[i].tier == TIER_B ? bpf_program__attach(prog) : bpf_program__attach_trace(prog);
	}
	if (!link)
		return errno ? -errno : -EOPNOTSUPP;
	s->links[i] = link;
	return 0;
}

int source_attach_hook(struct source *s, size_t i)
{
	return attach_hook(s, i, -EOPNOTSUPP);
}

/* 0, or why the hooks on system calls have no place to hang on. */
static int attach_all(struct source *s, enum tier tier)
{
	int tracefs = 0, err;

	if (tier == TIER_C) {
		s->cgroup_fd = mounts_open_cgroup2();
		tracefs = mounts_open_tracefs();
	}
	for (size_t i = 0; i < hooks_count; i++) {
		if (!hook_of_tier(&hooks[i], tier) || s->status[i].state == HOOK_MISSING)
			continue;
		err = attach_hook(s, i, tracefs);
		s->status[i].state = err ? HOOK_MISSING : HOOK_LIVE;
		s->status[i].err = err;
		/* Without the address the timer programs would match nothing. */
		if (!err && !strncmp(hooks[i].prog, "c_timer_", 8) && !s->skel->bss->tw_timer) {
			s->status[i].state = HOOK_MISSING;
			s->status[i].err = -EACCES;
		}
	}
	if (tracefs > 0)
		close(tracefs);
	return tracefs < 0 ? tracefs : 0;
}

static bool need_met(const struct source *s, const char *need, enum tier tier)
{
	for (size_t i = 0; i < hooks_count; i++)
		if (hook_of_tier(&hooks[i], tier) && hooks[i].need && !strcmp(hooks[i].need, need) &&
		    s->status[i].state == HOOK_LIVE)
			return true;
	return false;
}

/* The first need of the tier that no hook serves, or -1. */
static int need_unmet(const struct source *s, enum tier tier)
{
	for (size_t i = 0; i < hooks_count; i++)
		if (hook_of_tier(&hooks[i], tier) && hooks[i].need && !need_met(s, hooks[i].need, tier))
			return (int)i;
	return -1;
}

/* A missing hook whose need is served by a twin is no loss. */
static void mark_served(struct source *s, enum tier tier)
{
	for (size_t i = 0; i < hooks_count; i++)
		if (s->status[i].state == HOOK_MISSING && hooks[i].need && hook_of_tier(&hooks[i], tier) &&
		    need_met(s, hooks[i].need, tier))
			s->status[i].state = HOOK_UNUSED;
}

/* What the verifier or a missing privilege refused as a whole. */
static int load_refused(struct source *s, enum tier tier, int err)
{
	char lacks[96];

	for (size_t i = 0; i < hooks_count; i++)
		if (hook_of_tier(&hooks[i], tier))
			s->status[i] = (struct hook_status){ .state = HOOK_MISSING, .err = err };
	host_lacks_to_load(tier == TIER_C, lacks, sizeof(lacks));
	if (err == -EPERM)
		snprintf(s->why, sizeof(s->why), "loading %s is not permitted: %s", load_failed[0] ? load_failed : "a map",
			 lacks[0] ? lacks : "a locked-down kernel or a security module forbids it");
	else
		snprintf(s->why, sizeof(s->why), "this kernel refuses %s: %s%s", load_failed[0] ? load_failed : "to load",
			 strerror(-err), host_locked());
	return err == -EACCES ? -EPERM : err == -EINVAL ? -EOPNOTSUPP : err;
}

/* A hook that a need stands on; `tracefs`: what attach_all() returned. */
static void load_unmet(struct source *s, size_t i, int tracefs)
{
	const struct hook *h = &hooks[i];
	const char *place = h->how == HOOK_CGROUP && s->cgroup_fd < 0 ? "cgroup v2" : h->how == HOOK_SYSCALL && tracefs ? "tracefs" : NULL;
	int err = s->status[i].err;

	if (place)
		snprintf(s->why, sizeof(s->why), "%s is not mounted and cannot be: %s%s", place, strerror(-err),
			 err == -EPERM ? "; mounting needs CAP_SYS_ADMIN" : "");
	else if (err == -EACCES && h->tier == TIER_C && !s->skel->bss->tw_timer)
		snprintf(s->why, sizeof(s->why), "/proc/kallsyms hides the TIME_WAIT timer: needs CAP_SYSLOG");
	else
		snprintf(s->why, sizeof(s->why), "%s cannot be attached: %s%s; without it: no %s", h->target,
			 err ? strerror(-err) : "not in this kernel", host_locked(), h->lost);
}

int source_load(struct source *s, enum tier tier)
{
	int err, unmet, tracefs;

	libbpf_set_print(load_print);
	err = load_with_timer(s, tier);
	if (err) {
		err = load_refused(s, tier, err);
		source_unload(s);
		return err;
	}
	tracefs = attach_all(s, tier);
	unmet = need_unmet(s, tier);
	if (unmet >= 0) {
		err = s->status[unmet].err;
		load_unmet(s, unmet, tracefs);
		source_unload(s);
		return err == -EPERM || err == -EACCES ? -EPERM : -EOPNOTSUPP;
	}
	mark_served(s, tier);
	s->tier = tier;
	return 0;
}

/* Programs of the look: the iterators over what is held. */
static int look_choose(struct source *s)
{
	int err = 0;

	for (size_t i = 0; !err && i < hooks_count; i++)
		if (hooks[i].how == HOOK_ITER && hooks[i].tier == TIER_NONE && strcmp(hooks[i].prog, "i_check"))
			err = load_autoload(s, s->skel, i);
	return err;
}

int source_load_look(struct source *s, uint16_t lo, uint16_t hi)
{
	int err;

	libbpf_set_print(load_print);
	load_failed[0] = '\0';
	err = load_types(s);
	if (!err) {
		s->skel = load_open(s);
		err = s->skel ? load_configure(s, s->skel, TIER_NONE) : -errno;
	}
	if (!err) {
		s->skel->rodata->cfg_port_lo = lo;
		s->skel->rodata->cfg_port_hi = hi;
		s->skel->rodata->cfg_look = true;
		s->skel->rodata->cfg_details = s->more != NULL;
		err = look_choose(s);
	}
	if (!err)
		err = portlife_bpf__load(s->skel);
	if (err)
		err = load_refused(s, TIER_NONE, err);
	return err;
}

/* The status of the hooks is kept, for those who ask why. */
void source_unload(struct source *s)
{
	for (size_t i = 0; i < hooks_count; i++) {
		bpf_link__destroy(s->links[i]);
		s->links[i] = NULL;
	}
	if (s->cgroup_fd >= 0)
		close(s->cgroup_fd);
	s->cgroup_fd = -1;
	parts_unload(s);
	portlife_bpf__destroy(s->skel);
	s->skel = NULL;
	s->tier = TIER_NONE;
}
