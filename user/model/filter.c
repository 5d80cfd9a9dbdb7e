// SPDX-License-Identifier: GPL-2.0
/* Which events pass; see filter.h. */
#include "model/filter.h"

#include <fnmatch.h>
#include <string.h>

static bool is_pattern(const char *text)
{
	return strpbrk(text, "*?[") != NULL;
}

/* systemd puts backslashes into names, so they are never an escape here. */
static bool match_name(const char *want, const char *name)
{
	if (!name || !*name)
		return false;
	return !strcmp(want, name) || (is_pattern(want) && !fnmatch(want, name, FNM_NOESCAPE));
}

static bool match_below(const char *want, const char *path)
{
	size_t len = strlen(want);

	while (len && want[len - 1] == '/')
		len--;
	return !len || (!strncmp(want, path, len) && (!path[len] || path[len] == '/'));
}

static bool match_cgroup(const char *want, const char *path)
{
	if (!path)
		return false;
	want += *want == '/';
	path += *path == '/';
	if (match_below(want, path))
		return true;
	return is_pattern(want) && !fnmatch(want, path, FNM_NOESCAPE | FNM_LEADING_DIR);
}

static bool match_process(const struct filter *f, const struct event *ev)
{
	const struct pl_lease *l = &ev->lease;

	if (f->pid && l->tgid != f->pid)
		return false;
	if (f->comm && !(l->tgid && match_name(f->comm, l->comm)))
		return false;
	return !f->cgroup || match_cgroup(f->cgroup, ev->where.cgroup);
}

bool filter_match(const struct filter *f, const struct event *ev)
{
	const struct pl_lease *l = &ev->lease;

	if (ev->kind == EV_GAP || ev->kind == EV_SUMMARY)
		return true;
	if (f->fails && ev->kind != EV_FAIL)
		return false;
	if (f->ports.count && !ports_has(&f->ports, l->lport))
		return false;
	if (f->ephemeral && !(l->flags & PL_F_CHOSEN))
		return false;
	if (f->proto && l->proto != f->proto)
		return false;
	if (f->netns && l->netns != f->netns)
		return false;
	return match_process(f, ev);
}
