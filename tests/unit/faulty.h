/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Makes calls of the C library and of SQLite fail, one place after the other.
 *
 * A program that includes this has malloc(), openat(), pwrite(), sqlite3_step() and so on of its own, which do what they always
 * do and remember from where they were called: a place is the stack of calls within the program.  A scenario is run once to
 * learn its places, then once for each place and manner (fail the first time, fail always), and after each run what must hold is
 * looked at.  So an error path is run if there is any call whose failure leads to it.  With FAULTY_SQLITE defined SQLite's calls
 * fail, too.  FAULTY_ALL=1 in the environment runs each place in both manners, else every fourth
 * place in one of them.
 */
#ifndef TESTS_UNIT_FAULTY_H
#define TESTS_UNIT_FAULTY_H

#include <dlfcn.h>
#include <errno.h>
#include <execinfo.h>
#include <fcntl.h>
#include <pthread.h>
#ifdef FAULTY_SQLITE
#include <sqlite3.h>
#endif
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <dirent.h>
#include <time.h>
#include <unistd.h>

#define FAULTY_PLACES 4096
#define FAULTY_DEPTH 24
#define FAULTY_STACK 6

enum faulty_manner { FAULTY_OFF, FAULTY_LEARN, FAULTY_FIRST, FAULTY_ALWAYS };

struct faulty_place {
	uint64_t key;
	const char *call;
	uint32_t stack[FAULTY_STACK];	/* offsets into the program, for addr2line */
};

static struct {
	pthread_mutex_t lock;
	enum faulty_manner manner, last;
	struct faulty_place places[FAULTY_PLACES];
	unsigned int n_places, fired;
	uint64_t victim;	/* key of the place that fails */
	const char *victim_call;
	int code;		/* of SQLite */
	void *below;		/* who runs the scenario is not part of a place */
} faulty = { .lock = PTHREAD_MUTEX_INITIALIZER };
static __thread bool faulty_inside;
#ifdef FAULTY_SQLITE
static __thread int faulty_sql;		/* the code that was injected, until SQLite is called again */
#endif

extern char __executable_start, etext;
extern void *__libc_malloc(size_t), *__libc_calloc(size_t, size_t), *__libc_realloc(void *, size_t);

/* The calls within the program that lead here, and what is called. */
static inline uint64_t faulty_key(const char *call, uint32_t offsets[FAULTY_STACK])
{
	void *stack[FAULTY_DEPTH];
	int n = backtrace(stack, FAULTY_DEPTH), depth = 0;
	uint64_t key = 1469598103934665603ULL;

	for (const char *c = call; *c; c++)
		key = (key ^ (unsigned char)*c) * 1099511628211ULL;
	for (int i = 2; i < n && depth < FAULTY_STACK && stack[i] != faulty.below; i++) {
		if ((char *)stack[i] < &__executable_start || (char *)stack[i] >= &etext)
			continue;
		offsets[depth] = (uint32_t)((char *)stack[i] - &__executable_start);
		key = (key ^ offsets[depth++]) * 1099511628211ULL;
	}
	return depth ? key : 0;
}

static inline void faulty_add(uint64_t key, const char *call, const uint32_t stack[FAULTY_STACK])
{
	struct faulty_place *p = &faulty.places[faulty.n_places];

	for (unsigned int i = 0; i < faulty.n_places; i++)
		if (faulty.places[i].key == key)
			return;
	if (faulty.n_places == FAULTY_PLACES)
		return;
	*p = (struct faulty_place){ .key = key, .call = call };
	memcpy(p->stack, stack, sizeof(p->stack));
	faulty.n_places++;
}

/* Must this call fail? */
static __attribute__((noinline)) bool faulty_here(const char *call)
{
	uint32_t stack[FAULTY_STACK] = { 0 };
	bool fail = false;
	uint64_t key;

	if (faulty.manner == FAULTY_OFF || faulty_inside)
		return false;
	/* A look at the stack costs more than all else here. */
	if (faulty.manner != FAULTY_LEARN && (call != faulty.victim_call || (faulty.manner == FAULTY_FIRST && faulty.fired)))
		return false;
	faulty_inside = true;
	key = faulty_key(call, stack);
	pthread_mutex_lock(&faulty.lock);
	if (key && faulty.manner == FAULTY_LEARN)
		faulty_add(key, call, stack);
	if (key && key == faulty.victim && (faulty.manner == FAULTY_ALWAYS || (faulty.manner == FAULTY_FIRST && !faulty.fired))) {
		faulty.fired++;
		fail = true;
	}
	pthread_mutex_unlock(&faulty.lock);
	faulty_inside = false;
	return fail;
}

#define FAULTY_REAL(ret, name, ...) \
	static ret (*real)(__VA_ARGS__); \
	if (!real) { \
		bool was = faulty_inside; \
		faulty_inside = true; \
		real = (ret (*)(__VA_ARGS__))dlsym(RTLD_NEXT, #name); \
		faulty_inside = was; \
	}
#define FAULTY_FAIL(name, err, value) \
	static const char called[] = #name; \
	if (faulty_here(called)) { \
		errno = err; \
		return value; \
	}

/* What the program itself calls: how SQLite takes a failure within it is tested by those who make it. */
#define FAULTY_OURS ((char *)__builtin_return_address(0) >= &__executable_start && (char *)__builtin_return_address(0) < &etext)
#define FAULTY_MEMORY(name) \
	if (FAULTY_OURS) { \
		FAULTY_FAIL(name, ENOMEM, NULL) \
	}

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wmissing-prototypes"
char *strdup(const char *text)
{
	char *copy = malloc(strlen(text) + 1);

	return copy ? strcpy(copy, text) : NULL;
}

void *malloc(size_t n)
{
	FAULTY_MEMORY(malloc)
	return __libc_malloc(n);
}

void *calloc(size_t n, size_t size)
{
	FAULTY_MEMORY(calloc)
	return __libc_calloc(n, size);
}

void *realloc(void *p, size_t n)
{
	FAULTY_MEMORY(realloc)
	return __libc_realloc(p, n);
}

#define FAULTY_CALL(ret, name, err, value, params, args, ...) \
	ret name params \
	{ \
		FAULTY_REAL(ret, name, __VA_ARGS__) \
		FAULTY_FAIL(name, err, value) \
		return real args; \
	}

#define FAULTY_OPEN(name, params, args, ...) \
	int name params \
	{ \
		va_list ap; \
		unsigned int mode; \
		FAULTY_REAL(int, name, __VA_ARGS__) \
		va_start(ap, flags); \
		mode = flags & O_CREAT ? va_arg(ap, unsigned int) : 0; \
		va_end(ap); \
		FAULTY_FAIL(name, EMFILE, -1) \
		return real args; \
	}
FAULTY_OPEN(open, (const char *path, int flags, ...), (path, flags, mode), const char *, int, ...)
FAULTY_OPEN(open64, (const char *path, int flags, ...), (path, flags, mode), const char *, int, ...)
FAULTY_OPEN(openat, (int at, const char *path, int flags, ...), (at, path, flags, mode), int, const char *, int, ...)
FAULTY_CALL(ssize_t, pwrite, ENOSPC, -1, (int fd, const void *b, size_t n, off_t at), (fd, b, n, at), int, const void *, size_t, off_t)
FAULTY_CALL(ssize_t, pwrite64, ENOSPC, -1, (int fd, const void *b, size_t n, off_t at), (fd, b, n, at), int, const void *, size_t, off_t)
FAULTY_CALL(ssize_t, pread, EIO, -1, (int fd, void *b, size_t n, off_t at), (fd, b, n, at), int, void *, size_t, off_t)
FAULTY_CALL(ssize_t, pread64, EIO, -1, (int fd, void *b, size_t n, off_t at), (fd, b, n, at), int, void *, size_t, off_t)
FAULTY_CALL(int, ftruncate64, ENOSPC, -1, (int fd, off_t n), (fd, n), int, off_t)
FAULTY_CALL(int, fstat, EIO, -1, (int fd, struct stat *st), (fd, st), int, struct stat *)
FAULTY_CALL(int, fstatvfs, EIO, -1, (int fd, struct statvfs *fs), (fd, fs), int, struct statvfs *)
FAULTY_CALL(int, fchmod, EPERM, -1, (int fd, mode_t mode), (fd, mode), int, mode_t)
FAULTY_CALL(int, mkdir, EACCES, -1, (const char *path, mode_t mode), (path, mode), const char *, mode_t)
FAULTY_CALL(int, unlinkat, EROFS, -1, (int fd, const char *path, int flags), (fd, path, flags), int, const char *, int)
FAULTY_CALL(int, renameat, EIO, -1, (int a, const char *f, int b, const char *t), (a, f, b, t), int, const char *, int, const char *)
FAULTY_CALL(DIR *, fdopendir, ENOMEM, NULL, (int fd), (fd), int)
FAULTY_CALL(int, pthread_create, EAGAIN, EAGAIN, (pthread_t *t, const pthread_attr_t *a, void *(*f)(void *), void *arg), (t, a, f, arg),
	    pthread_t *, const pthread_attr_t *, void *(*)(void *), void *)

/* No power is lost here. */
int fsync(int fd)
{
	FAULTY_FAIL(fsync, EIO, -1)
	return 0;
}

int fdatasync(int fd)
{
	FAULTY_FAIL(fdatasync, EIO, -1)
	return 0;
}

/* Nobody waits for the disk to get better here. */
int nanosleep(const struct timespec *t, struct timespec *left)
{
	return usleep(1000);
}

#ifdef FAULTY_SQLITE
#define FAULTY_SQL(name, params, args, ...) \
	int name params \
	{ \
		FAULTY_REAL(int, name, __VA_ARGS__) \
		static const char called[] = #name; \
		faulty_sql = SQLITE_OK; \
		if (FAULTY_OURS && faulty_here(called)) \
			return faulty_sql = faulty.code; \
		return real args; \
	}
FAULTY_SQL(sqlite3_step, (sqlite3_stmt *s), (s), sqlite3_stmt *)
FAULTY_SQL(sqlite3_prepare_v3, (sqlite3 *db, const char *sql, int n, unsigned int flags, sqlite3_stmt **ret, const char **tail),
	   (db, sql, n, flags, ret, tail), sqlite3 *, const char *, int, unsigned int, sqlite3_stmt **, const char **)
FAULTY_SQL(sqlite3_exec, (sqlite3 *db, const char *sql, int (*f)(void *, int, char **, char **), void *arg, char **why),
	   (db, sql, f, arg, why), sqlite3 *, const char *, int (*)(void *, int, char **, char **), void *, char **)
FAULTY_SQL(sqlite3_open_v2, (const char *name, sqlite3 **ret, int flags, const char *vfs), (name, ret, flags, vfs), const char *,
	   sqlite3 **, int, const char *)

int sqlite3_errcode(sqlite3 *db)
{
	FAULTY_REAL(int, sqlite3_errcode, sqlite3 *)
	return faulty_sql ? faulty_sql & 255 : real(db);
}

int sqlite3_extended_errcode(sqlite3 *db)
{
	FAULTY_REAL(int, sqlite3_extended_errcode, sqlite3 *)
	return faulty_sql ? faulty_sql : real(db);
}

int sqlite3_system_errno(sqlite3 *db)
{
	FAULTY_REAL(int, sqlite3_system_errno, sqlite3 *)
	return faulty_sql ? EIO : real(db);
}
#endif
#pragma GCC diagnostic pop

static __attribute__((noinline)) void faulty_go(enum faulty_manner manner, void (*scenario)(void))
{
	faulty.below = __builtin_return_address(0);
	faulty.manner = manner;
	scenario();
	faulty.manner = FAULTY_OFF;
}

/* Runs `scenario` and remembers its places; so often that threads have taken the ways they may take. */
static inline void faulty_learn(void (*scenario)(void))
{
	void *stack[2];

	backtrace(stack, 2);	/* it loads a library once */
	faulty.n_places = 0;
	faulty_go(FAULTY_LEARN, scenario);
}

/* Place number `i` fails in `manner` while `scenario` runs.  Whether it did. */
static inline bool faulty_run(unsigned int i, enum faulty_manner manner, int code, void (*scenario)(void))
{
	faulty.fired = 0;
	faulty.victim = faulty.places[i].key;
	faulty.victim_call = faulty.places[i].call;
	faulty.code = code;
	faulty.last = manner;
	faulty_go(manner, scenario);
	return faulty.fired;
}

/*
 * All of `scenario` with the fault at each place in turn: `before` prepares, `judge` looks at what is left.  SQLite fails with each of
 * `codes`, ended by 0, in turn.  Asserts that the faults did happen: a scenario that never comes by again tests nothing.
 */
static unsigned int faulty_at;
static inline void faulty_each(void (*before)(void), void (*scenario)(void), void (*judge)(void), const int *codes)
{
	unsigned int runs = 0, fired = 0, n = 0;
	bool all = getenv("FAULTY_ALL");

	while (codes[n])
		n++;
	before();
	faulty_learn(scenario);
	for (faulty_at = 0; faulty_at < faulty.n_places; faulty_at++)
		for (enum faulty_manner m = FAULTY_FIRST; m <= FAULTY_ALWAYS; m++) {
			if (!all && (faulty_at % 4 || m != FAULTY_FIRST + (faulty_at / 4 & 1)))
				continue;
			before();
			fired += faulty_run(faulty_at, m, n ? codes[(faulty_at + m) % n] : 0, scenario);
			judge();
			runs++;
		}
	print_message("%u places, %u runs, %u with the fault\n", faulty.n_places, runs, fired);
	assert_true(fired > runs / 2);
}

/* Which call failed, from where: for addr2line -pife PROGRAM. */
static inline const char *faulty_name(void)
{
	const struct faulty_place *p = &faulty.places[faulty_at];
	static char text[160];
	int n = snprintf(text, sizeof(text), "%s %s (%d) at", faulty.last == FAULTY_FIRST ? "the first" : "every", p->call, faulty.code);

	for (unsigned int k = 0; k < FAULTY_STACK && p->stack[k]; k++)
		n += snprintf(text + n, sizeof(text) - (size_t)n, " 0x%x", p->stack[k] - 1);
	return text;
}

/* Says which fault it was. */
#define faulty_check(cond) \
	do { \
		if (!(cond)) \
			fail_msg("%s: after %s", #cond, faulty_name()); \
	} while (0)

#endif
