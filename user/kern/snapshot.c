/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Running the iterators: over all files of all tasks for owners, and over the
 * TCP and UDP tables of each network namespace for what no file holds.
 *
 * The socket iterators see the namespace of the thread that opens them, so this
 * thread enters each namespace in turn and always comes back to its own.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "kern/host.h"
#include "kern/source_priv.h"

#define ITER_CHUNK (256 * 1024)

/* Where all is on record already an iterator gives nothing for a long time, while the ring fills. */
static int iterate_drain(struct source *s)
{
	int n = source_drain(s);

	return n < 0 ? n : 0;
}

int source_iterate(struct source *s, struct bpf_program *prog, int map_fd, iter_fn fn)
{
	struct bpf_iter_attach_opts opts;
	union bpf_iter_link_info info;
	struct bpf_link *link;
	char *chunk = malloc(ITER_CHUNK);
	int fd = -1, err = 0;
	ssize_t n = -1;

	/* Padding is looked at, too, and an initializer need not clear it. */
	memset(&info, 0, sizeof(info));
	memset(&opts, 0, sizeof(opts));
	info.map.map_fd = (uint32_t)map_fd;
	opts.sz = sizeof(opts);
	opts.link_info = &info;
	opts.link_info_len = sizeof(info);
	link = bpf_program__attach_iter(prog, map_fd >= 0 ? &opts : NULL);
	if (!link || !chunk) {
		err = chunk ? -errno : -ENOMEM;
		goto out;
	}
	fd = bpf_iter_create(bpf_link__fd(link));
	if (fd < 0) {
		err = -errno;
		goto out;
	}
	/* EAGAIN: a million objects without output; the next read goes on. */
	while (!err && ((n = read(fd, chunk, ITER_CHUNK)) > 0 || (n < 0 && (errno == EAGAIN || errno == EINTR))))
		err = n > 0 && fn ? fn(s, chunk, n) : iterate_drain(s);
	if (!err && n < 0)
		err = -errno;
	if (!err)
		err = iterate_drain(s);
out:
	if (fd >= 0)
		close(fd);
	bpf_link__destroy(link);
	free(chunk);
	return err;
}

/*
 * Of a look: the first that tells of a socket knows its owner; whoever tells of it
 * again is passed over.  1: news.
 */
static int look_news(struct source *s, uint64_t key, const struct pl_lease *l)
{
	struct pl_lease told = *l;

	if (lease_table_find(s->seen, key))
		return 0;
	if (l->filed && s->look_leaves) {
		s->look_left = true;
		return 0;
	}
	told.id = key;
	told.cancelled = l->id;
	return lease_table_put(s->seen, &told, NULL) ? -ENOMEM : 1;
}

static int snapshot_record(struct source *s, struct pl_rec *rec)
{
	uint64_t key = rec->lease.cancelled;
	int news = 1;

	rec->lease.cancelled = 0;
	if (s->seen)
		news = look_news(s, key, &rec->lease);
	rec->lease.filed = 0;
	if (news <= 0 || (s->test_netns && rec->lease.netns == s->test_netns))
		return news;
	s->fn_err = s->fn(s->ctx, rec);
	return s->fn_err;
}

/* Names come through the ring: take them first, then the records that refer to them. */
static int snapshot_chunk(struct source *s, const void *bytes, size_t len)
{
	const char *at = bytes;
	struct pl_sock_rec more;
	struct pl_hdr hdr;
	struct pl_rec rec;
	int err = source_drain(s);

	for (; err >= 0 && len >= sizeof(hdr); at += hdr.size, len -= hdr.size) {
		memcpy(&hdr, at, sizeof(hdr));
		if (hdr.size < sizeof(hdr) || hdr.size > len)
			return -EIO;
		if (hdr.kind == PL_REC_SOCK && hdr.size == sizeof(more)) {
			memcpy(&more, at, sizeof(more));
			err = s->more(s->ctx, &more);
		} else if (hdr.size == sizeof(rec)) {
			memcpy(&rec, at, sizeof(rec));
			err = snapshot_record(s, &rec);
		}
	}
	return err < 0 ? err : 0;
}

/* Namespaces already visited, by inode. */
struct visited {
	ino_t *inos;
	size_t n, cap;
	bool left;		/* we are no longer where we began */
	bool not_seen, not_entered;
};

/* 1: it is new, 0: it is not, or -ENOMEM. */
static int visited_add(struct visited *v, ino_t ino)
{
	for (size_t i = 0; i < v->n; i++)
		if (v->inos[i] == ino)
			return 0;
	if (v->n == v->cap) {
		size_t cap = v->cap ? v->cap * 2 : 16;
		ino_t *grown = realloc(v->inos, cap * sizeof(*grown));

		if (!grown)
			return -ENOMEM;
		v->inos = grown;
		v->cap = cap;
	}
	v->inos[v->n++] = ino;
	return 1;
}

/* Sockets in the tables of a network namespace; TCP with those in TIME_WAIT. */
struct tables {
	uint64_t tcp, udp;
	bool unknown;		/* it does not say */
};

/* Adds those of one family, as told by /proc.  `name`: sockstat or sockstat6. */
static void tables_count(struct tables *t, const char *name)
{
	char path[48], line[160];
	FILE *f;

	snprintf(path, sizeof(path), "/proc/thread-self/net/%s", name);
	f = fopen(path, "re");
	if (!f)
		t->unknown |= errno != ENOENT || !strcmp(name, "sockstat");	/* else a kernel without IPv6 */
	while (f && fgets(line, sizeof(line), f)) {
		bool tcp = !strncmp(line, "TCP", 3);
		char *at = strstr(line, ": inuse ");
		uint64_t inuse, tw = 0;

		if (!tcp && strncmp(line, "UDP", 3))
			continue;
		t->unknown |= !at || sscanf(at, ": inuse %" SCNu64, &inuse) != 1;
		at = strstr(line, " tw ");
		t->unknown |= at && sscanf(at, " tw %" SCNu64, &tw) != 1;
		if (!t->unknown)
			*(tcp ? &t->tcp : &t->udp) += inuse + tw;
	}
	if (f)
		fclose(f);
}

static struct tables tables_look(void)
{
	struct tables t = { 0 };

	tables_count(&t, "sockstat");
	tables_count(&t, "sockstat6");
	return t;
}

/*
 * Whether all UDP sockets of this thread's namespace are on record already: then
 * there is nothing to look for.  The kernel walks through those of the whole host
 * for each namespace.  What had begun without its end having been seen would hide
 * one of the others: source_snapshot() looks for that.
 */
static bool udp_on_record(struct source *s, uint32_t netns)
{
	uint64_t live, moved, moved_since;
	struct tables t;

	if (s->tier == TIER_NONE || totals_udp(s, netns, &live, &moved))
		return false;
	t = tables_look();
	return !t.unknown && t.udp == live && !totals_udp(s, netns, &live, &moved_since) && moved == moved_since;
}

static int snapshot_tables(struct source *s, uint32_t netns)
{
	struct tables t = tables_look();
	int err = 0;

	if (t.tcp || t.unknown)
		err = source_iterate(s, source_prog(s, "i_tcp"), -1, snapshot_chunk);
	if (err || !(t.udp || t.unknown))
		return err;
	if (!s->snapshot_all && udp_on_record(s, netns)) {
		s->snapshot_passed = true;
		return 0;
	}
	return source_iterate(s, source_prog(s, "i_udp"), -1, snapshot_chunk);
}

/* Whether the namespace at `fd` is one that this thread is in now and has not looked at. */
static int snapshot_go(int fd, struct visited *v, uint32_t *netns)
{
	struct stat st;
	int news = fstat(fd, &st) ? -errno : visited_add(v, st.st_ino);

	if (news <= 0)
		return news;
	*netns = (uint32_t)st.st_ino;
	if (!setns(fd, CLONE_NEWNET)) {
		v->left = true;
		return 1;
	}
	v->not_entered |= errno == EPERM;
	return errno == EPERM || errno == EINVAL ? 0 : -errno;	/* EINVAL: a file that is no namespace */
}

/* A namespace that vanished is passed over, one that we may not enter noted; its sockets with files are known already. */
static int snapshot_enter(struct source *s, int dir, const char *path, struct visited *v)
{
	int fd = openat(dir, path, O_RDONLY | O_CLOEXEC), err;
	uint32_t netns;

	if (fd < 0) {
		v->not_seen |= errno == EACCES || errno == EPERM;
		return errno == EMFILE || errno == ENFILE || errno == ENOMEM ? -errno : 0;
	}
	err = snapshot_go(fd, v, &netns);
	if (err > 0)
		err = snapshot_tables(s, netns);
	close(fd);
	return err;
}

static int snapshot_each(struct source *s, const char *dirname, const char *suffix, struct visited *v)
{
	DIR *dir = opendir(dirname);
	struct dirent *d;
	char path[300];
	int err = 0;

	if (!dir) {
		v->not_seen |= errno == EACCES || errno == EPERM;
		return errno == EMFILE || errno == ENFILE || errno == ENOMEM ? -errno : 0;
	}
	while (!err && (d = readdir(dir))) {
		if (d->d_name[0] == '.' || (*suffix && (d->d_name[0] < '1' || d->d_name[0] > '9')))
			continue;
		snprintf(path, sizeof(path), "%s%s", d->d_name, suffix);
		err = snapshot_enter(s, dirfd(dir), path, v);
	}
	closedir(dir);
	return err;
}

/* What is not looked at for want of privilege is said, once.  A process that has just ended is not to be seen either. */
static void snapshot_say(struct source *s, struct visited *v)
{
	v->not_seen = v->not_seen && !host_may_trace();
	if (s->snapshot_said || (!v->not_seen && !v->not_entered))
		return;
	s->snapshot_said = true;
	log_warn("network namespaces that we may not enter are not searched for TIME_WAIT and orphaned sockets: needs %s",
		 !v->not_seen ? "CAP_SYS_ADMIN" : !v->not_entered ? "CAP_SYS_PTRACE" : "CAP_SYS_ADMIN and CAP_SYS_PTRACE");
}

static int snapshot_namespaces(struct source *s)
{
	int home = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC), err;
	struct visited v = { 0 };
	struct stat st;

	if (home < 0)
		return -errno;
	err = fstat(home, &st) ? -errno : snapshot_tables(s, (uint32_t)st.st_ino);
	if (!err)
		err = visited_add(&v, st.st_ino);
	if (err >= 0)
		err = snapshot_each(s, "/proc", "/ns/net", &v);
	if (!err)
		err = snapshot_each(s, "/run/netns", "", &v);
	if (v.left && setns(home, CLONE_NEWNET))
		err = -errno;
	snapshot_say(s, &v);
	free(v.inos);
	close(home);
	return err;
}

/* How many leases ended without their end having been seen. */
static int snapshot_stale(struct source *s, uint64_t *stale)
{
	uint64_t stats[PL_STATS];
	int err = source_stats(s, stats);

	*stale = stats[PL_STAT_STALE];
	return err;
}

/* What no file holds, and the second look at all. */
static int snapshot_rest(struct source *s)
{
	int err = snapshot_namespaces(s);

	return !err && s->tier != TIER_NONE ? source_check(s) : err;
}

static int snapshot_once(struct source *s)
{
	uint64_t stale = 0, stale_since = 0;
	int err;

	s->snapshot_all = s->snapshot_passed = false;
	err = source_iterate(s, source_prog(s, "i_task_file"), -1, snapshot_chunk);
	if (!err)
		err = snapshot_stale(s, &stale);
	if (!err)
		err = snapshot_rest(s);
	if (!err && s->snapshot_passed)
		err = snapshot_stale(s, &stale_since);
	if (!err && s->snapshot_passed && stale != stale_since) {
		s->snapshot_all = true;
		err = snapshot_rest(s);
	}
	return err;
}

/*
 * What is opened behind the back of the look through the files, or handed from a process that it had still to come to to one
 * that it had seen, the tables alone show.  A recorder has hooks for that; a look looks once more.
 */
static int snapshot_look(struct source *s)
{
	int err;

	s->look_leaves = true;
	s->look_left = false;
	err = snapshot_once(s);
	s->look_leaves = false;
	return err || !s->look_left ? err : snapshot_once(s);
}

bool source_snapshot_left(const struct source *s)
{
	return s->skel->bss->snapshot_left;
}

int source_snapshot(struct source *s)
{
	int err;

	s->fn_err = 0;
	s->skel->bss->snapshot_left = 0;
	err = s->seen ? snapshot_look(s) : snapshot_once(s);
	if (!err)
		s->skel->bss->snapshot_again = 1;
	if (err && s->fn_err >= 0)	/* else who takes the records says what is wrong */
		log_err("the snapshot of held ports failed: %s", strerror(-err));
	return err;
}
