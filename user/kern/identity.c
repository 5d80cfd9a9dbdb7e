/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Two bounded dictionaries.  A process is known by pid, start and executable,
 * since exec(2) changes the last; a cgroup by its id.
 */
#include "kern/identity.h"

#include <errno.h>
#include <stdint.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <fcntl.h>
#include <unistd.h>

#include "model/workload.h"

#define IDENTITY_PROBES 8

struct name {
	uint64_t id, start;
	uint32_t tgid;
	uint32_t age;		/* larger: younger; 0: empty */
	char *text;
	/* Of a cgroup, and of a process whose cgroup v2 path tells nothing (hybrid hosts). */
	char *cgroup;
	struct workload_text *names;
	struct workload where;
	bool asked;			/* /proc was asked for this process */
	char *cmdline;
	bool asked_cmdline;
};

struct identity {
	struct name *exes, *cgroups;
	size_t slots;			/* of each, a power of two */
	uint32_t clock;
	bool with_cmdline;
	bool hybrid;			/* systemd keeps its tree in a v1 hierarchy */
};

/* /proc/PID/NAME, ended by NUL; the number of bytes, 0 when it cannot be read. */
static size_t proc_read(const char *pid, const char *name, char *buf, size_t size)
{
	char path[40];
	ssize_t n;
	int fd;

	snprintf(path, sizeof(path), "/proc/%s/%s", pid, name);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return 0;
	n = read(fd, buf, size - 1);
	close(fd);
	buf[n > 0 ? n : 0] = '\0';
	return n > 0 ? (size_t)n : 0;
}

static bool proc_cgroup_has(const char *pid, const char *what)
{
	char file[8192];

	return proc_read(pid, "cgroup", file, sizeof(file)) && strstr(file, what);
}

/* Whether the pid is still the process that began at `start` (field 22 of proc(5) stat, in clock ticks). */
static bool proc_start_matches(uint32_t tgid, uint64_t start)
{
	unsigned long long ticks;
	char pid[16], stat[1024];
	const char *at;

	snprintf(pid, sizeof(pid), "%u", tgid);
	at = proc_read(pid, "stat", stat, sizeof(stat)) ? strrchr(stat, ')') : NULL;
	if (!at || sscanf(at + 1, " %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %*u %*u %*d %*d %*d %*d %*d %*d %llu", &ticks) != 1)
		return false;
	return start / (1000000000ULL / sysconf(_SC_CLK_TCK)) == ticks;
}

int identity_new(size_t slots, bool with_cmdline, struct identity **ret)
{
	struct identity *id = calloc(1, sizeof(*id));

	if (!id)
		return -ENOMEM;
	id->slots = slots;
	id->exes = calloc(slots, sizeof(*id->exes));
	id->cgroups = calloc(slots, sizeof(*id->cgroups));
	if (!id->exes || !id->cgroups) {
		identity_free(id);
		return -ENOMEM;
	}
	id->with_cmdline = with_cmdline;
	id->hybrid = proc_cgroup_has("self", "name=systemd:/");
	*ret = id;
	return 0;
}

static void name_clear(struct name *n)
{
	free(n->text);
	free(n->cgroup);
	free(n->names);
	free(n->cmdline);
}

static void names_free(struct name *names, size_t slots)
{
	for (size_t i = 0; names && i < slots; i++)
		name_clear(&names[i]);
	free(names);
}

void identity_free(struct identity *id)
{
	if (!id)
		return;
	names_free(id->exes, id->slots);
	names_free(id->cgroups, id->slots);
	free(id);
}

static size_t name_hash(uint64_t id, uint64_t start, uint32_t tgid)
{
	uint64_t h = (id ^ start * 0x9e3779b97f4a7c15ULL ^ tgid) * 0xff51afd7ed558ccdULL;

	return h >> 40;
}

static struct name *name_find(const struct identity *in, struct name *names, uint64_t id, uint64_t start, uint32_t tgid)
{
	size_t h = name_hash(id, start, tgid);

	for (size_t i = 0; i < IDENTITY_PROBES; i++) {
		struct name *n = &names[(h + i) & (in->slots - 1)];

		if (n->age && n->id == id && n->start == start && n->tgid == tgid)
			return n;
	}
	return NULL;
}

/* The slot of the key; else an empty one of its neighbours, else the oldest of them, emptied. */
static struct name *name_slot(struct identity *id, struct name *names, uint64_t key, uint64_t start, uint32_t tgid)
{
	size_t h = name_hash(key, start, tgid);
	struct name *best = name_find(id, names, key, start, tgid);

	if (!best) {
		best = &names[h & (id->slots - 1)];
		for (size_t i = 1; i < IDENTITY_PROBES; i++) {
			struct name *n = &names[(h + i) & (id->slots - 1)];

			if (n->age < best->age)
				best = n;
		}
	}
	name_clear(best);
	*best = (struct name){ .id = key, .start = start, .tgid = tgid, .age = ++id->clock };
	return best;
}

/* "a\0b\0c\0" from the leaf up becomes "/c/b/a"; "..." in front of what was cut off. */
static char *name_join(const struct pl_path_rec *rec)
{
	char *text = malloc(rec->len + 5), *at = text;
	size_t end = rec->len;

	if (!text)
		return NULL;
	if (rec->cut)
		at = stpcpy(at, "...");
	if (!rec->len)
		at = stpcpy(at, "/");
	while (end) {
		size_t from = end - 1;

		while (from && rec->data[from - 1])
			from--;
		*at++ = '/';
		memcpy(at, rec->data + from, end - 1 - from);
		at += end - 1 - from;
		end = from;
	}
	*at = '\0';
	return text;
}

/* Takes over `path`. */
static int name_set_cgroup(struct name *n, char *path)
{
	n->cgroup = path;
	n->names = path ? calloc(1, sizeof(*n->names)) : NULL;
	if (!n->names)
		return -ENOMEM;
	workload_parse(path, strlen(path), n->names, &n->where);
	n->where.cgroup = path;
	return 0;
}

int identity_learn(struct identity *id, const struct pl_path_rec *rec)
{
	bool exe = rec->what == PL_PATH_EXE;
	struct name *n;
	char *text;

	if ((!exe && rec->what != PL_PATH_CGROUP) || rec->len > PL_PATH_MAX || (rec->len && rec->data[rec->len - 1]))
		return -EINVAL;
	text = name_join(rec);
	if (!text)
		return -ENOMEM;
	n = exe ? name_slot(id, id->exes, rec->id, rec->proc_start, rec->tgid) : name_slot(id, id->cgroups, rec->id, 0, 0);
	if (!exe)
		return name_set_cgroup(n, text);
	n->text = text;
	return 0;
}

/*
 * On a hybrid host the v2 path is "/" for all: the process's own file tells
 * more, while it lives.  Once a process.
 */
static void name_ask_proc(struct name *n)
{
	char file[8192], pid[16];
	const char *path;
	size_t len;

	n->asked = true;
	snprintf(pid, sizeof(pid), "%u", n->tgid);
	len = proc_read(pid, "cgroup", file, sizeof(file));
	path = len && proc_start_matches(n->tgid, n->start) ? workload_pick(file, len, &len) : NULL;
	if (path)
		name_set_cgroup(n, strndup(path, len));
}

/* Once a process, while it lives: arguments are in its own memory, which the kernel side does not read. */
static void name_ask_cmdline(struct name *n)
{
	char text[1024], pid[16];
	size_t len;

	n->asked_cmdline = true;
	snprintf(pid, sizeof(pid), "%u", n->tgid);
	len = proc_read(pid, "cmdline", text, sizeof(text));
	if (!len || !proc_start_matches(n->tgid, n->start))
		return;
	for (size_t i = 0; i + 1 < len; i++)
		if (!text[i])
			text[i] = ' ';
	n->cmdline = strdup(text);
}

void identity_fill(struct identity *id, struct event *ev)
{
	const struct pl_lease *l = &ev->lease;
	struct name *exe = l->exe ? name_find(id, id->exes, l->exe, l->proc_start, l->tgid) : NULL;
	struct name *cg = l->cgroup ? name_find(id, id->cgroups, l->cgroup, 0, 0) : NULL;

	ev->exe = exe ? exe->text : NULL;
	if (exe && id->with_cmdline && !exe->asked_cmdline)
		name_ask_cmdline(exe);
	ev->cmdline = exe ? exe->cmdline : NULL;
	memset(&ev->where, 0, sizeof(ev->where));
	if (cg)
		ev->where = cg->where;
	if (!id->hybrid || !exe || (cg && strcmp(cg->cgroup, "/")))
		return;
	if (!exe->asked)
		name_ask_proc(exe);
	if (exe->cgroup)
		ev->where = exe->where;
}

const char *identity_cgroup(struct identity *id, uint64_t cgroup)
{
	const struct name *n = cgroup ? name_find(id, id->cgroups, cgroup, 0, 0) : NULL;

	return n ? n->cgroup : NULL;
}
