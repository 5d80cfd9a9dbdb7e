/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Two bounded dictionaries.  A process is known by pid, start and executable,
 * since exec(2) changes the last; a cgroup by its id.  They begin small and grow
 * with what they hold, so that memory tells how many processes there were, up to
 * a bound, and not how often a large table was touched for the first time.
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

#define IDENTITY_SLOTS_FIRST 256	/* a power of two */
#define IDENTITY_PROBES 8

struct name {
	uint64_t id, start;
	uint32_t tgid;
	uint32_t age;		/* larger: younger; 0: empty */
	char *text;
	/* Of a cgroup, and of a process whose cgroup v2 path tells nothing (hybrid hosts). */
	char *cgroup;
	char *names;			/* the texts of `where` but for the path */
	struct workload where;
	bool asked;			/* /proc was asked for this process */
	char *cmdline;
	bool asked_cmdline;
};

struct dict {
	struct name *slots;
	size_t size, most;
};

struct identity {
	struct dict exes, cgroups;
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

static int dict_new(size_t most, struct dict *d)
{
	d->most = most;
	d->slots = calloc(IDENTITY_SLOTS_FIRST, sizeof(*d->slots));
	d->size = d->slots ? IDENTITY_SLOTS_FIRST : 0;
	return d->slots ? 0 : -ENOMEM;
}

int identity_new(size_t slots, bool with_cmdline, struct identity **ret)
{
	struct identity *id = calloc(1, sizeof(*id));

	if (!id)
		return -ENOMEM;
	if (dict_new(slots, &id->exes) || dict_new(slots, &id->cgroups)) {
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

static void dict_free(struct dict *d)
{
	for (size_t i = 0; i < d->size; i++)
		name_clear(&d->slots[i]);
	free(d->slots);
}

void identity_free(struct identity *id)
{
	if (!id)
		return;
	dict_free(&id->exes);
	dict_free(&id->cgroups);
	free(id);
}

static size_t name_hash(uint64_t id, uint64_t start, uint32_t tgid)
{
	uint64_t h = (id ^ start * 0x9e3779b97f4a7c15ULL ^ tgid) * 0xff51afd7ed558ccdULL;

	return h >> 40;
}

static struct name *name_find(const struct dict *d, uint64_t id, uint64_t start, uint32_t tgid)
{
	size_t h = name_hash(id, start, tgid);

	for (size_t i = 0; i < IDENTITY_PROBES; i++) {
		struct name *n = &d->slots[(h + i) & (d->size - 1)];

		if (n->age && n->id == id && n->start == start && n->tgid == tgid)
			return n;
	}
	return NULL;
}

/* An empty slot among those where the key may stand, else the oldest of them. */
static struct name *dict_place(const struct dict *d, uint64_t key, uint64_t start, uint32_t tgid)
{
	size_t h = name_hash(key, start, tgid);
	struct name *best = &d->slots[h & (d->size - 1)];

	for (size_t i = 1; i < IDENTITY_PROBES; i++) {
		struct name *n = &d->slots[(h + i) & (d->size - 1)];

		if (n->age < best->age)
			best = n;
	}
	return best;
}

/* Without memory, or where it is as large as it may be, it stays as it is: then the oldest go. */
static bool dict_grow(struct dict *d)
{
	struct dict larger = { .size = d->size * 2, .most = d->most };

	if (larger.size > larger.most)
		return false;
	larger.slots = calloc(larger.size, sizeof(*larger.slots));
	if (!larger.slots)
		return false;
	for (size_t i = 0; i < d->size; i++) {
		struct name *n = &d->slots[i], *to;

		if (!n->age)
			continue;
		to = dict_place(&larger, n->id, n->start, n->tgid);
		name_clear(to);
		*to = *n;
	}
	free(d->slots);
	*d = larger;
	return true;
}

/* The slot of the key, emptied. */
static struct name *name_slot(struct identity *id, struct dict *d, uint64_t key, uint64_t start, uint32_t tgid)
{
	struct name *best = name_find(d, key, start, tgid);

	if (!best) {
		best = dict_place(d, key, start, tgid);
		while (best->age && dict_grow(d))
			best = dict_place(d, key, start, tgid);
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

static const char *name_keep(char **at, const char *text)
{
	char *kept = *at;

	if (!text)
		return NULL;
	*at = stpcpy(kept, text) + 1;
	return kept;
}

static size_t name_room(const char *text)
{
	return text ? strlen(text) + 1 : 0;
}

/* Takes over `path`. */
static int name_set_cgroup(struct name *n, char *path)
{
	struct workload_text text;
	struct workload where = { 0 };
	char *at;

	n->cgroup = path;
	if (!path)
		return -ENOMEM;
	workload_parse(path, strlen(path), &text, &where);
	n->names = at = malloc(name_room(where.unit) + name_room(where.container_id) + name_room(where.pod_uid) + 1);
	if (!at)
		return -ENOMEM;
	n->where.cgroup = path;
	n->where.unit = name_keep(&at, where.unit);
	n->where.container_id = name_keep(&at, where.container_id);
	n->where.pod_uid = name_keep(&at, where.pod_uid);
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
	n = exe ? name_slot(id, &id->exes, rec->id, rec->proc_start, rec->tgid) : name_slot(id, &id->cgroups, rec->id, 0, 0);
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
	struct name *exe = l->exe ? name_find(&id->exes, l->exe, l->proc_start, l->tgid) : NULL;
	struct name *cg = l->cgroup ? name_find(&id->cgroups, l->cgroup, 0, 0) : NULL;

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
	const struct name *n = cgroup ? name_find(&id->cgroups, cgroup, 0, 0) : NULL;

	return n ? n->cgroup : NULL;
}
