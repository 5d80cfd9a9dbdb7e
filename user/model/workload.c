// SPDX-License-Identifier: GPL-2.0
/*
 * Names out of cgroup paths; see workload.h.
 *
 * A path is walked once, component by component, each a span of bytes that
 * stays inside the caller's buffer.  What lies deeper wins for containers and
 * pods (a container in a container runs the process), what lies higher wins
 * for units (below a unit its owner may make any directories it likes).
 */
#include "model/workload.h"

#include <stdbool.h>
#include <string.h>

struct span {
	const char *s;
	size_t len;
};

#define LIT(text) (text), sizeof(text) - 1

static bool span_is(struct span a, const char *text, size_t len)
{
	return a.len == len && !memcmp(a.s, text, len);
}

static bool span_take_prefix(struct span *a, const char *text, size_t len)
{
	if (a->len < len || memcmp(a->s, text, len))
		return false;
	a->s += len;
	a->len -= len;
	return true;
}

static bool span_take_suffix(struct span *a, const char *text, size_t len)
{
	if (a->len < len || memcmp(a->s + a->len - len, text, len))
		return false;
	a->len -= len;
	return true;
}

/* The part behind the last occurrence of `text`, if there is one. */
static bool span_take_behind(struct span *a, const char *text, size_t len)
{
	for (size_t i = a->len; i-- > 0;) {
		struct span rest = { a->s + i, a->len - i };

		if (span_take_prefix(&rest, text, len)) {
			*a = rest;
			return true;
		}
	}
	return false;
}

/* The next component of `path`; false at its end. */
static bool span_next(struct span *path, struct span *ret)
{
	const char *end;

	while (path->len && *path->s == '/')
		span_take_prefix(path, LIT("/"));
	if (!path->len)
		return false;
	end = memchr(path->s, '/', path->len);
	ret->s = path->s;
	ret->len = end ? (size_t)(end - path->s) : path->len;
	path->s += ret->len;
	path->len -= ret->len;
	return true;
}

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static bool is_hex(char c)
{
	return is_digit(c) || (c >= 'a' && c <= 'f');
}

static bool is_alnum(char c)
{
	return is_digit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static bool span_all_hex(struct span a)
{
	for (size_t i = 0; i < a.len; i++)
		if (!is_hex(a.s[i]))
			return false;
	return a.len > 0;
}

/* Every byte a letter, a digit or one of `more`; so nothing here can harm a sink. */
static bool span_all_of(struct span a, const char *more)
{
	for (size_t i = 0; i < a.len; i++)
		if (!is_alnum(a.s[i]) && (!a.s[i] || !strchr(more, a.s[i])))
			return false;
	return a.len > 0;
}

static bool copy(char *to, size_t size, struct span a)
{
	if (a.len >= size)
		return false;
	memcpy(to, a.s, a.len);
	to[a.len] = '\0';
	return true;
}

/* ---- units ---- */

enum unit_type { UNIT_NONE, UNIT_SLICE, UNIT_OTHER };

static enum unit_type unit_type(struct span name)
{
	static const char *const others[] = { ".service", ".scope", ".socket", ".mount", ".swap" };
	struct span stem = name;

	if (name.len >= WORKLOAD_UNIT_MAX || !span_all_of(name, ":-_.\\@"))
		return UNIT_NONE;
	if (span_take_suffix(&stem, LIT(".slice")))
		return stem.len ? UNIT_SLICE : UNIT_NONE;
	for (size_t i = 0; i < sizeof(others) / sizeof(*others); i++)
		if (span_take_suffix(&stem, others[i], strlen(others[i])))
			return stem.len ? UNIT_OTHER : UNIT_NONE;
	return UNIT_NONE;
}

/* user@1000.service: a manager of its own, whose units lie below. */
static bool unit_is_manager(struct span name)
{
	if (!span_take_prefix(&name, LIT("user@")) || !span_take_suffix(&name, LIT(".service")))
		return false;
	for (size_t i = 0; i < name.len; i++)
		if (!is_digit(name.s[i]))
			return false;
	return name.len > 0;
}

/*
 * Slices may nest, then comes one unit; only a user's manager has units below
 * it again.  Anything else in between is not systemd's, and ends the search.
 */
static void find_unit(struct span path, struct workload_text *text, struct workload *ret)
{
	struct span name;
	bool user = false, found = false;

	while (!found && span_next(&path, &name)) {
		enum unit_type type;

		if (!user && span_is(name, LIT("..")))
			continue;	/* seen from inside a cgroup namespace */
		if (name.len > 1 && *name.s == '_')
			span_take_prefix(&name, LIT("_"));	/* systemd's escape */
		type = unit_type(name);
		if (type == UNIT_NONE)
			return;
		if (type == UNIT_SLICE && user)
			continue;	/* app.slice: the manager says more */
		if (copy(text->unit, sizeof(text->unit), name))
			ret->unit = text->unit;
		found = type == UNIT_OTHER && (user || !unit_is_manager(name));
		user = type == UNIT_OTHER;
	}
}

/* ---- containers and pods ---- */

/* 8-4-4-4-12 hexadecimal digits, with '-' or, in the name of a slice, '_'. */
static bool is_uuid(struct span a)
{
	if (a.len != 36)
		return false;
	for (size_t i = 0; i < a.len; i++) {
		bool dash = i == 8 || i == 13 || i == 18 || i == 23;

		if (dash ? a.s[i] != '-' && a.s[i] != '_' : !is_hex(a.s[i]))
			return false;
	}
	return true;
}

static void set_pod(struct span uid, struct workload_text *text, struct workload *ret)
{
	if (!copy(text->pod_uid, sizeof(text->pod_uid), uid))
		return;
	for (char *p = text->pod_uid; *p; p++)
		if (*p == '_')
			*p = '-';
	ret->pod_uid = text->pod_uid;
}

/* pod<uid>, kubepods[-qos]-pod<uid>.slice, [machine-]libpod_pod_<id>[.slice] */
static void find_pod(struct span name, struct workload_text *text, struct workload *ret)
{
	struct span uid = name;

	span_take_suffix(&uid, LIT(".slice"));
	if (span_take_behind(&uid, LIT("libpod_pod_"))) {
		if (uid.len == 64 && span_all_hex(uid))
			set_pod(uid, text, ret);
		return;
	}
	if (!span_take_prefix(&uid, LIT("pod")) && !span_take_behind(&uid, LIT("-pod")))
		return;
	/* A static pod is named by 32 digits, the hash of its manifest. */
	if (is_uuid(uid) || (uid.len == 32 && span_all_hex(uid)))
		set_pod(uid, text, ret);
}

static bool take_runtime_prefix(struct span *id)
{
	static const char *const runtimes[] = { "docker-", "cri-containerd-", "crio-", "libpod-", "nerdctl-" };

	for (size_t i = 0; i < sizeof(runtimes) / sizeof(*runtimes); i++)
		if (span_take_prefix(id, runtimes[i], strlen(runtimes[i])))
			return true;
	return false;
}

static void set_container(struct span id, struct workload_text *text, struct workload *ret)
{
	if (copy(text->container_id, sizeof(text->container_id), id))
		ret->container_id = text->container_id;
}

/*
 * <runtime>-<id>[.scope]; a bare id of 64 digits below any parent (docker,
 * k8s.io, a pod); <slice>:cri-containerd:<id>, which containerd leaves when
 * the two of them disagree about the driver.
 */
static void find_container(struct span parent, struct span name, struct workload_text *text, struct workload *ret)
{
	struct span id = name, slice = name;

	if (span_take_behind(&id, LIT(":cri-containerd:"))) {
		slice.len -= id.len + sizeof(":cri-containerd:") - 1;
		find_pod(slice, text, ret);
	} else if (take_runtime_prefix(&id)) {
		span_take_suffix(&id, LIT(".scope"));
	} else if (span_take_prefix(&id, LIT("lxc.payload.")) || span_is(parent, LIT("lxc")) ||
		   span_is(parent, LIT("lxc.payload"))) {
		if (span_all_of(id, "-_.:"))
			set_container(id, text, ret);
		return;
	}
	if (id.len == 64 && span_all_hex(id))
		set_container(id, text, ret);
}

void workload_parse(const char *path, size_t len, struct workload_text *text, struct workload *ret)
{
	struct span rest = { path, path ? len : 0 }, parent = { "", 0 }, name;

	ret->unit = ret->container_id = ret->pod_uid = NULL;
	span_take_suffix(&rest, LIT(" (deleted)"));
	find_unit(rest, text, ret);
	while (span_next(&rest, &name)) {
		find_pod(name, text, ret);
		find_container(parent, name, text, ret);
		parent = name;
	}
}

/* ---- /proc/PID/cgroup ---- */

/* "hierarchy:controllers:path" */
static bool split_line(struct span line, struct span *hierarchy, struct span *controllers, struct span *path)
{
	const char *a = memchr(line.s, ':', line.len), *b;

	if (!a)
		return false;
	b = memchr(a + 1, ':', line.len - (size_t)(a + 1 - line.s));
	if (!b)
		return false;
	*hierarchy = (struct span){ line.s, (size_t)(a - line.s) };
	*controllers = (struct span){ a + 1, (size_t)(b - a - 1) };
	*path = (struct span){ b + 1, line.len - (size_t)(b + 1 - line.s) };
	return path->len && *path->s == '/';
}

/* How much a line is worth; 0: nothing. */
static int rank(struct span hierarchy, struct span controllers, struct span path)
{
	bool root = path.len == 1;

	if (span_is(hierarchy, LIT("0")) && !controllers.len)
		return root ? 3 : 6;
	if (span_is(controllers, LIT("name=systemd")))
		return root ? 2 : 5;
	return root ? 1 : 4;
}

const char *workload_pick(const char *file, size_t len, size_t *ret_len)
{
	struct span rest = { file, file ? len : 0 }, best = { NULL, 0 };
	int best_rank = 0;

	while (rest.len) {
		const char *end = memchr(rest.s, '\n', rest.len);
		struct span line = { rest.s, end ? (size_t)(end - rest.s) : rest.len };
		struct span hierarchy, controllers, path;

		if (split_line(line, &hierarchy, &controllers, &path) && rank(hierarchy, controllers, path) > best_rank) {
			best_rank = rank(hierarchy, controllers, path);
			best = path;
		}
		rest.s += line.len + (end != NULL);
		rest.len -= line.len + (end != NULL);
	}
	*ret_len = best.len;
	return best.s;
}
