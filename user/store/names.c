// SPDX-License-Identifier: GPL-2.0
/*
 * The names in the state directory, both ways, and the list of them; dir.h.
 *
 * A name is believed only in its one canonical spelling: it is parsed, written
 * again and compared.
 */
#include "store/dir.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define NS_PER_SEC 1000000000LL
#define SEQ_MAX 4000000000U

static void format_time(int64_t sec, char buf[20])
{
	time_t t = sec < 0 ? 0 : sec > 253402300799 ? 253402300799 : sec;
	struct tm tm;

	gmtime_r(&t, &tm);
	strftime(buf, 20, "%Y%m%dT%H%M%SZ", &tm);
}

static bool parse_time(const char *text, int64_t *ret)
{
	struct tm tm = { 0 };
	char again[20];
	time_t t;

	if (sscanf(text, "%4d%2d%2dT%2d%2d%2dZ", &tm.tm_year, &tm.tm_mon, &tm.tm_mday, &tm.tm_hour, &tm.tm_min,
		   &tm.tm_sec) != 6)
		return false;
	tm.tm_year -= 1900;
	tm.tm_mon -= 1;
	t = timegm(&tm);
	format_time(t, again);
	if (strncmp(text, again, 16) || t > INT64_MAX / NS_PER_SEC)
		return false;
	*ret = t * NS_PER_SEC;
	return true;
}

void dir_name_hot(uint32_t seq, char name[DIR_NAME_MAX])
{
	snprintf(name, DIR_NAME_MAX, "hot-%06u.db", seq);
}

void dir_name_sealed(uint32_t seq, int64_t from, int64_t to, char name[DIR_NAME_MAX])
{
	char a[20], b[20];

	format_time(from / NS_PER_SEC, a);
	format_time(to / NS_PER_SEC + (to % NS_PER_SEC != 0), b);
	snprintf(name, DIR_NAME_MAX, "lease-%06u-%s-%s.db", seq, a, b);
}

/* Digits only, because "%u" takes signs and blanks too. */
static const char *parse_seq(const char *p, uint32_t *ret)
{
	uint64_t n = 0;

	for (; *p >= '0' && *p <= '9'; p++)
		if ((n = n * 10 + (uint64_t)(*p - '0')) > SEQ_MAX)
			return NULL;
	*ret = (uint32_t)n;
	return p;
}

bool dir_name_parse(const char *name, struct dir_file *ret)
{
	const char *p = NULL;

	memset(ret, 0, sizeof(*ret));
	if (!strncmp(name, "hot-", 4) && (p = parse_seq(name + 4, &ret->seq))) {
		ret->kind = DIR_HOT;
		ret->to = INT64_MAX;
		dir_name_hot(ret->seq, ret->name);
	} else if (!strncmp(name, "lease-", 6) && (p = parse_seq(name + 6, &ret->seq)) && strlen(p) == 37 &&
		   parse_time(p + 1, &ret->from) && parse_time(p + 18, &ret->to)) {
		ret->kind = DIR_SEALED;
		dir_name_sealed(ret->seq, ret->from, ret->to, ret->name);
	} else if (!strncmp(name, "minutes-", 8) && (p = parse_seq(name + 8, &ret->seq))) {
		ret->kind = DIR_MINUTES;
		snprintf(ret->name, sizeof(ret->name), "minutes-%04u.db", ret->seq);
	}
	return p && !strcmp(name, ret->name);
}

static int compare_files(const void *a, const void *b)
{
	const struct dir_file *x = a, *y = b;

	if ((x->kind == DIR_MINUTES) != (y->kind == DIR_MINUTES))
		return x->kind == DIR_MINUTES ? 1 : -1;
	if (x->seq != y->seq)
		return x->seq < y->seq ? -1 : 1;
	return (int)y->kind - (int)x->kind;	/* sealed first */
}

static int list_add(struct dir_list *list, size_t *cap, const struct dir_file *file)
{
	if (list->count == *cap) {
		size_t more = *cap ? *cap * 2 : 64;
		struct dir_file *files = realloc(list->files, more * sizeof(*files));

		if (!files)
			return -ENOMEM;
		list->files = files;
		*cap = more;
	}
	list->files[list->count++] = *file;
	return 0;
}

/* Its own descriptor: readdir moves the position that all users of one share. */
static DIR *list_open(const struct store_dir *dir)
{
	int fd = openat(dir->fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = fd < 0 ? NULL : fdopendir(fd);

	if (!d && fd >= 0)
		close(fd);
	return d;
}

static uint64_t size_of(const struct store_dir *dir, const char *name)
{
	char wal[DIR_NAME_MAX + 8];
	uint64_t bytes = 0, more = 0;

	if (dir_check(dir, name, &bytes))
		return 0;
	snprintf(wal, sizeof(wal), "%s-wal", name);
	return dir_check(dir, wal, &more) ? bytes : bytes + more;
}

static void list_drop_sealed_hot(struct dir_list *list)
{
	size_t kept = 0;

	for (size_t i = 0; i < list->count; i++) {
		if (kept && list->files[i].kind == DIR_HOT && list->files[kept - 1].kind == DIR_SEALED &&
		    list->files[kept - 1].seq == list->files[i].seq)
			continue;
		list->files[kept++] = list->files[i];
	}
	list->count = kept;
}

int dir_list(const struct store_dir *dir, struct dir_list *ret)
{
	DIR *d = list_open(dir);
	struct dirent *entry;
	size_t cap = 0;
	int err = d ? 0 : -errno;

	memset(ret, 0, sizeof(*ret));
	while (!err && (entry = readdir(d))) {
		struct dir_file file;

		if (!dir_name_parse(entry->d_name, &file))
			continue;
		file.bytes = size_of(dir, file.name);
		err = list_add(ret, &cap, &file);
	}
	if (d)
		closedir(d);
	if (err) {
		dir_list_free(ret);
		return err;
	}
	if (ret->count)
		qsort(ret->files, ret->count, sizeof(*ret->files), compare_files);
	list_drop_sealed_hot(ret);
	return 0;
}

void dir_list_free(struct dir_list *list)
{
	free(list->files);
	memset(list, 0, sizeof(*list));
}

uint32_t dir_last_seq(const struct store_dir *dir)
{
	DIR *d = list_open(dir);
	struct dirent *entry;
	uint32_t last = 0;

	while (d && (entry = readdir(d))) {
		const char *dash = strchr(entry->d_name, '-');
		uint32_t seq;

		if (strncmp(entry->d_name, "hot-", 4) && strncmp(entry->d_name, "lease-", 6))
			continue;
		if (parse_seq(dash + 1, &seq) && seq > last)
			last = seq;
	}
	if (d)
		closedir(d);
	return last;
}

void dir_sweep(const struct store_dir *dir)
{
	DIR *d = list_open(dir);
	struct dirent *entry;

	while (d && (entry = readdir(d))) {
		size_t len = strlen(entry->d_name);

		if (!strncmp(entry->d_name, ".tmp-", 5) && len < DIR_NAME_MAX)
			dir_unlink(dir, entry->d_name);
	}
	if (d)
		closedir(d);
}
