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
#include <linux/perf_event.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <bpf/btf.h>
#include <portlife/config.h>
#include "kern/host.h"
#include "kern/mounts.h"
#include "kern/source_priv.h"

#define KALLSYMS_PIECE (128 * 1024)

/* libbpf reports through a process-wide callback: the name of the program that failed to load. */
static char load_failed[64];

__attribute__((format(printf, 2, 0)))
static int load_print(enum libbpf_print_level level, const char *fmt, va_list ap)
{
	char line[256];
	const char *at;

	if (getenv("PORTLIFE_DEBUG_LIBBPF")) {
		vfprintf(stderr, fmt, ap);
		return 0;
	}
	vsnprintf(line, sizeof(line), fmt, ap);
	if (level == LIBBPF_WARN && (at = strstr(line, "prog '")) && strstr(line, "failed to load")) {
		snprintf(load_failed, sizeof(load_failed), "%s", at + 6);
		load_failed[strcspn(load_failed, "'")] = '\0';
	}
	return 0;
}

static bool hook_of_tier(const struct hook *h, enum tier tier)
{
	return h->tier == tier || h->tier == TIER_NONE;
}

/* Whether the kernel has what the program hangs on; asked of BTF where that tells. */
static bool hook_exists(const struct btf *btf, const struct hook *h)
{
	if (h->tier == TIER_A)
		return btf__find_by_name_kind(btf, h->target, BTF_KIND_FUNC) > 0;
	if (h->tier == TIER_C && h->how == HOOK_BPF) {
		char name[96];

		snprintf(name, sizeof(name), "btf_trace_%s", strchr(h->target, ':') + 1);
		return btf__find_by_name_kind(btf, name, BTF_KIND_TYPEDEF) > 0;
	}
	return true;
}

static struct bpf_program *hook_prog(struct source *s, size_t i)
{
	return bpf_object__find_program_by_name(s->skel->obj, hooks[i].prog);
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

/* Address of tw_timer_handler; 0 when the kernel does not tell.  A hundred thousand lines: read by large pieces. */
static uint64_t load_tw_timer(void)
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
static void load_maps(struct portlife_bpf *skel, enum tier tier)
{
	bpf_map__set_autocreate(skel->maps.pendings, tier == TIER_C);
	bpf_map__set_autocreate(skel->maps.tw_births, tier == TIER_C);
	bpf_map__set_autocreate(skel->maps.calls, tier == TIER_B);
	bpf_map__set_autocreate(skel->maps.inherits, tier == TIER_B);
	bpf_map__set_autocreate(skel->maps.intents, tier != TIER_NONE);
	bpf_map__set_autocreate(skel->maps.msks, tier != TIER_NONE);
}

static int load_configure(struct source *s, enum tier tier)
{
	struct portlife_bpf *skel = s->skel;
	uint64_t ring = s->opts.ring_size ? s->opts.ring_size : PL_RING_DEFAULT;
	uint64_t size = (uint64_t)sysconf(_SC_PAGESIZE);
	int err;

	while (size < ring)
		size *= 2;
	load_maps(skel, tier);
	skel->rodata->cfg_scope_all = s->opts.scope_all;
	skel->rodata->cfg_ring_half = size / 2;
	err = bpf_map__set_max_entries(skel->maps.events, size);
	if (!err && s->opts.table_size)
		err = bpf_map__set_max_entries(skel->maps.holders, s->opts.table_size);
	return err;
}

static int load_find(const char *prog)
{
	for (size_t i = 0; i < hooks_count; i++)
		if (!strcmp(hooks[i].prog, prog))
			return (int)i;
	return -1;
}

/* `drop`: programs that the verifier refused, by the first hook of each. */
static void load_choose(struct source *s, const struct btf *btf, enum tier tier, const bool *drop)
{
	for (size_t i = 0; i < hooks_count; i++)
		bpf_program__set_autoload(hook_prog(s, i), false);
	for (size_t i = 0; i < hooks_count; i++) {
		bool want = hook_of_tier(&hooks[i], tier), dropped = drop[load_find(hooks[i].prog)];

		s->status[i].state = HOOK_UNUSED;
		s->status[i].err = 0;
		if (want && (dropped || !hook_exists(btf, &hooks[i]))) {
			s->status[i].state = HOOK_MISSING;
			s->status[i].err = dropped ? -EINVAL : 0;
			want = false;
		}
		if (want)
			bpf_program__set_autoload(hook_prog(s, i), true);
	}
}

/*
 * Whether the kernel lets us have a trampoline at all, asked with the smallest
 * program: a refusal costs a millisecond instead of loading everything first.
 */
static int trial_trampoline(const struct btf *btf)
{
	struct bpf_insn insns[] = {
		{ .code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_0 },
		{ .code = BPF_JMP | BPF_EXIT },
	};
	LIBBPF_OPTS(bpf_prog_load_opts, opts, .expected_attach_type = BPF_TRACE_FENTRY);
	int prog, link, err = 0;

	opts.attach_btf_id = btf__find_by_name_kind(btf, "inet_put_port", BTF_KIND_FUNC);
	if ((int)opts.attach_btf_id <= 0)
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

static int load_trial(const struct btf *btf, enum tier tier)
{
	snprintf(load_failed, sizeof(load_failed), "%s", tier == TIER_A ? "a trampoline" : "");
	if (tier == TIER_A)
		return trial_trampoline(btf);
	if (tier == TIER_B && access("/sys/bus/event_source/devices/kprobe", F_OK)) {
		snprintf(load_failed, sizeof(load_failed), "kprobes");
		return -EOPNOTSUPP;
	}
	return 0;
}

/* Opens and loads; a program that the verifier refuses is left out, and said so in its status. */
static int load_object(struct source *s, enum tier tier)
{
	bool drop[SOURCE_MAX_HOOKS] = { false };
	int err, at;

	if (!s->btf)
		s->btf = btf__load_vmlinux_btf();
	err = s->btf ? load_trial(s->btf, tier) : -EOPNOTSUPP;
	while (!err) {
		load_failed[0] = '\0';
		s->skel = portlife_bpf__open();
		err = s->skel ? load_configure(s, tier) : -errno;
		if (err)
			break;
		load_choose(s, s->btf, tier, drop);
		err = portlife_bpf__load(s->skel);
		at = !err || err == -EPERM ? -1 : load_find(load_failed);
		if (at < 0 || drop[at])
			break;
		drop[at] = true;
		portlife_bpf__destroy(s->skel);
		s->skel = NULL;
		err = 0;
	}
	return err;
}

static void *tw_timer_thread(void *found)
{
	*(uint64_t *)found = load_tw_timer();
	return NULL;
}

/* The kernel writes its symbols out while another CPU verifies the programs. */
static int load_with_timer(struct source *s, enum tier tier)
{
	uint64_t timer = 0;
	pthread_t thread;
	bool apart = tier == TIER_C && !pthread_create(&thread, NULL, tw_timer_thread, &timer);
	int err = load_object(s, tier);

	if (apart)
		pthread_join(thread, NULL);
	else if (tier == TIER_C)
		timer = load_tw_timer();
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
	struct bpf_program *prog = hook_prog(s, i);
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
		link = bpf_program__attach(prog);
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
		snprintf(s->why, sizeof(s->why), "this kernel refuses %s: %s", load_failed[0] ? load_failed : "to load",
			 strerror(-err));
	return err == -EACCES ? -EPERM : err;
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
		snprintf(s->why, sizeof(s->why), "%s cannot be attached: %s; without it: no %s", h->target,
			 err ? strerror(-err) : "not in this kernel", h->lost);
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

int source_load_look(struct source *s, uint16_t lo, uint16_t hi)
{
	int err;

	libbpf_set_print(load_print);
	load_failed[0] = '\0';
	s->skel = portlife_bpf__open();
	err = s->skel ? load_configure(s, TIER_NONE) : -errno;
	if (!err) {
		s->skel->rodata->cfg_port_lo = lo;
		s->skel->rodata->cfg_port_hi = hi;
		s->skel->rodata->cfg_details = s->more != NULL;
		for (size_t i = 0; i < hooks_count; i++)
			bpf_program__set_autoload(hook_prog(s, i), hooks[i].how == HOOK_ITER && hooks[i].tier == TIER_NONE &&
						  strcmp(hooks[i].prog, "i_check"));
		err = portlife_bpf__load(s->skel);
	}
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
	portlife_bpf__destroy(s->skel);
	s->skel = NULL;
	s->tier = TIER_NONE;
}
