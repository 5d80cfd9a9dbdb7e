/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Makes calls of the C library and of SQLite fail, one place after the other.
 *
 * A program that includes this has malloc(), openat(), pwrite(), sqlite3_step() and so on of its own, which do what they always
 * do and remember from where they were called: a place is the stack of calls within the program.  A scenario is run once to
 * learn its places, then once for each place and manner (fail the first time, fail always), and after each run what must hold is
 * looked at, and that nothing is left: no memory of the program, no descriptor.  So an error path is run if there is any call
 * whose failure leads to it.  With FAULTY_SQLITE defined SQLite's calls fail, too; with FAULTY_KERNEL each command of bpf(2) and
 * what else the recorder asks of the kernel.  FAULTY_ALL=1 in the environment runs each place in both manners, else every fourth,
 * or FAULTY_EVERY=N every Nth, in one of them: which ones is left to chance and printed, FAULTY_FROM=N chooses the same again.
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
#include <time.h>
#include <unistd.h>

#include "unit/fds.h"

#ifdef FAULTY_KERNEL
#include <linux/bpf.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#endif

#define FAULTY_PLACES 4096
#define FAULTY_DEPTH 24
#ifndef FAULTY_STACK
#define FAULTY_STACK 6
#endif
#define FAULTY_BLOCKS (1u << 20)	/* of memory, held by the program at once */

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
	int code;		/* of SQLite, or errno of the kernel */
	pthread_t thread;	/* only its calls fail, 0: those of all */
	void *below;		/* who runs the scenario is not part of a place */
} faulty = { .lock = PTHREAD_MUTEX_INITIALIZER };
static __thread bool faulty_inside;
static struct {
	pthread_mutex_t lock;
	void *held[FAULTY_BLOCKS];	/* by address */
	long n;
} faulty_blocks = { .lock = PTHREAD_MUTEX_INITIALIZER };
#ifdef FAULTY_SQLITE
static __thread int faulty_sql;		/* the code that was injected, until SQLite is called again */
#endif

extern char __executable_start, etext;
extern void *__libc_malloc(size_t), *__libc_calloc(size_t, size_t), *__libc_realloc(void *, size_t);
extern void __libc_free(void *);

static inline size_t faulty_slot(const void *p)
{
	size_t at = ((uintptr_t)p >> 4) * 0x9e3779b97f4a7c15ULL >> 44;

	while (faulty_blocks.held[at] && faulty_blocks.held[at] != p)
		at = (at + 1) % FAULTY_BLOCKS;
	return at;
}

/* What the program itself asked for: it must give it back. */
static inline void *faulty_took(void *p)
{
	if (!p)
		return NULL;
	pthread_mutex_lock(&faulty_blocks.lock);
	if (faulty_blocks.n < FAULTY_BLOCKS / 2) {
		faulty_blocks.held[faulty_slot(p)] = p;
		faulty_blocks.n++;
	}
	pthread_mutex_unlock(&faulty_blocks.lock);
	return p;
}

/* Closes the gap: what was pushed on by this one moves up. */
static inline void faulty_gave(void *p)
{
	size_t at, next;

	if (!p)
		return;
	pthread_mutex_lock(&faulty_blocks.lock);
	at = faulty_slot(p);
	if (faulty_blocks.held[at]) {
		faulty_blocks.held[at] = NULL;
		faulty_blocks.n--;
		for (next = (at + 1) % FAULTY_BLOCKS; faulty_blocks.held[next]; next = (next + 1) % FAULTY_BLOCKS) {
			void *other = faulty_blocks.held[next];

			faulty_blocks.held[next] = NULL;
			faulty_blocks.held[faulty_slot(other)] = other;
		}
	}
	pthread_mutex_unlock(&faulty_blocks.lock);
}

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

	if (faulty.manner == FAULTY_OFF || faulty_inside || (faulty.thread && !pthread_equal(faulty.thread, pthread_self())))
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
#define FAULTY_MEMORY(name, p) \
	if (FAULTY_OURS) { \
		FAULTY_FAIL(name, ENOMEM, NULL) \
		return faulty_took(p); \
	} \
	return p;

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wmissing-prototypes"
char *strdup(const char *text)
{
	char *copy = malloc(strlen(text) + 1);

	return copy ? strcpy(copy, text) : NULL;
}

void *malloc(size_t n)
{
	FAULTY_MEMORY(malloc, __libc_malloc(n))
}

void *calloc(size_t n, size_t size)
{
	FAULTY_MEMORY(calloc, __libc_calloc(n, size))
}

void *realloc(void *p, size_t n)
{
	static const char called[] = "realloc";
	void *grown;

	if (FAULTY_OURS && faulty_here(called)) {
		errno = ENOMEM;
		return NULL;
	}
	grown = __libc_realloc(p, n);
	if (grown && FAULTY_OURS) {
		faulty_gave(p);
		faulty_took(grown);
	}
	return grown;
}

void free(void *p)
{
	faulty_gave(p);
	__libc_free(p);
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
FAULTY_CALL(ssize_t, readlink, EACCES, -1, (const char *path, char *to, size_t n), (path, to, n), const char *, char *, size_t)
FAULTY_CALL(DIR *, fdopendir, ENOMEM, NULL, (int fd), (fd), int)
FAULTY_CALL(int, pthread_create, EAGAIN, EAGAIN, (pthread_t *t, const pthread_attr_t *a, void *(*f)(void *), void *arg), (t, a, f, arg),
	    pthread_t *, const pthread_attr_t *, void *(*)(void *), void *)

#ifdef FAULTY_KERNEL
/* The commands that the recorder uses fail each by itself. */
static inline const char *faulty_bpf(long cmd)
{
	static const char *const names[] = {
		[BPF_MAP_CREATE] = "BPF_MAP_CREATE", [BPF_MAP_LOOKUP_ELEM] = "BPF_MAP_LOOKUP_ELEM",
		[BPF_MAP_UPDATE_ELEM] = "BPF_MAP_UPDATE_ELEM", [BPF_MAP_DELETE_ELEM] = "BPF_MAP_DELETE_ELEM",
		[BPF_MAP_GET_NEXT_KEY] = "BPF_MAP_GET_NEXT_KEY", [BPF_PROG_LOAD] = "BPF_PROG_LOAD",
		[BPF_PROG_TEST_RUN] = "BPF_PROG_TEST_RUN", [BPF_OBJ_GET_INFO_BY_FD] = "BPF_OBJ_GET_INFO_BY_FD",
		[BPF_RAW_TRACEPOINT_OPEN] = "BPF_RAW_TRACEPOINT_OPEN", [BPF_BTF_LOAD] = "BPF_BTF_LOAD",
		[BPF_MAP_LOOKUP_AND_DELETE_ELEM] = "BPF_MAP_LOOKUP_AND_DELETE_ELEM", [BPF_MAP_FREEZE] = "BPF_MAP_FREEZE",
		[BPF_MAP_LOOKUP_BATCH] = "BPF_MAP_LOOKUP_BATCH", [BPF_LINK_CREATE] = "BPF_LINK_CREATE",
		[BPF_ITER_CREATE] = "BPF_ITER_CREATE", [BPF_LINK_DETACH] = "BPF_LINK_DETACH",
	};

	return cmd >= 0 && cmd < (long)(sizeof(names) / sizeof(*names)) ? names[cmd] : NULL;
}

/* May change what the kernel answered to a command of bpf(2). */
static void (*faulty_answer)(long cmd, union bpf_attr *attr);

long syscall(long nr, ...)
{
	static long (*real)(long, ...);
	const char *called;
	long a[6], ret;
	va_list ap;

	if (!real)
		real = (long (*)(long, ...))dlsym(RTLD_NEXT, "syscall");
	va_start(ap, nr);
	for (int i = 0; i < 6; i++)
		a[i] = va_arg(ap, long);
	va_end(ap);
	called = nr == SYS_bpf ? faulty_bpf(a[0]) : nr == SYS_perf_event_open ? "perf_event_open" : nr == SYS_membarrier ? "membarrier" : NULL;
	if (called && faulty_here(called)) {
		errno = faulty.code;
		return -1;
	}
	ret = real(nr, a[0], a[1], a[2], a[3], a[4], a[5]);
	if (!ret && nr == SYS_bpf && faulty_answer)
		faulty_answer(a[0], (union bpf_attr *)a[1]);
	return ret;
}
FAULTY_CALL(int, epoll_create1, EMFILE, -1, (int flags), (flags), int)
FAULTY_CALL(int, epoll_ctl, ENOMEM, -1, (int fd, int op, int of, struct epoll_event *ev), (fd, op, of, ev), int, int, int, struct epoll_event *)
FAULTY_CALL(int, epoll_wait, EINTR, -1, (int fd, struct epoll_event *ev, int n, int ms), (fd, ev, n, ms), int, struct epoll_event *, int, int)
FAULTY_CALL(ssize_t, read, EIO, -1, (int fd, void *b, size_t n), (fd, b, n), int, void *, size_t)
FAULTY_CALL(void *, mmap, ENOMEM, MAP_FAILED, (void *at, size_t n, int prot, int flags, int fd, off_t off), (at, n, prot, flags, fd, off),
	    void *, size_t, int, int, int, off_t)
FAULTY_CALL(void *, mmap64, ENOMEM, MAP_FAILED, (void *at, size_t n, int prot, int flags, int fd, off_t off), (at, n, prot, flags, fd, off),
	    void *, size_t, int, int, int, off_t)
FAULTY_CALL(int, memfd_create, EMFILE, -1, (const char *name, unsigned int flags), (name, flags), const char *, unsigned int)
FAULTY_CALL(int, setns, ENOMEM, -1, (int fd, int type), (fd, type), int, int)
FAULTY_CALL(int, unshare, ENOSPC, -1, (int flags), (flags), int)
FAULTY_CALL(int, stat, ENOMEM, -1, (const char *path, struct stat *st), (path, st), const char *, struct stat *)
FAULTY_CALL(int, socket, EMFILE, -1, (int family, int type, int proto), (family, type, proto), int, int, int)
FAULTY_CALL(DIR *, opendir, EMFILE, NULL, (const char *path), (path), const char *)
FAULTY_CALL(FILE *, fopen, EMFILE, NULL, (const char *path, const char *mode), (path, mode), const char *, const char *)
FAULTY_CALL(FILE *, fopen64, EMFILE, NULL, (const char *path, const char *mode), (path, mode), const char *, const char *)
#endif

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

void *sqlite3_malloc(int n)
{
	FAULTY_REAL(void *, sqlite3_malloc, int)
	if (FAULTY_OURS) {
		FAULTY_FAIL(sqlite3_malloc, ENOMEM, NULL)
	}
	return real(n);
}

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

static unsigned int faulty_at, faulty_sample;

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
			fail_msg("%s: after %s, FAULTY_FROM=%u", #cond, faulty_name(), faulty_sample); \
	} while (0)

/* Which of the samples: chance covers them all in time. */
static inline unsigned int faulty_from(void)
{
	const char *choice = getenv("FAULTY_FROM");
	struct timespec now;

	if (choice)
		return (unsigned int)strtoul(choice, NULL, 10);
	clock_gettime(CLOCK_REALTIME, &now);
	return (unsigned int)(now.tv_nsec / 1000 ^ getpid()) % 1000;
}

/*
 * All of `scenario` with the fault at each place in turn: `before` prepares, `judge` looks at what is left.  SQLite fails with each of
 * `codes`, ended by 0, in turn.  Asserts that the faults did happen: a scenario that never comes by again tests nothing.
 */
static inline void faulty_each(void (*before)(void), void (*scenario)(void), void (*judge)(void), const int *codes)
{
	unsigned int runs = 0, fired = 0, n = 0, fds;
	const char *choice = getenv("FAULTY_EVERY");
	unsigned int every = choice && atoi(choice) > 0 ? (unsigned int)atoi(choice) : 4;
	bool all = getenv("FAULTY_ALL");
	long blocks;

	while (codes[n])
		n++;
	faulty_sample = faulty_from();
	before();
	faulty_learn(scenario);
	judge();
	for (faulty_at = 0; faulty_at < faulty.n_places; faulty_at++)
		for (enum faulty_manner m = FAULTY_FIRST; m <= FAULTY_ALWAYS; m++) {
			if (!all && ((faulty_at + faulty_sample) % every || m != FAULTY_FIRST + ((faulty_at + faulty_sample) / every & 1)))
				continue;
			fds = fds_open();
			blocks = faulty_blocks.n;
			before();
			fired += faulty_run(faulty_at, m, n ? codes[(faulty_at + m) % n] : 0, scenario);
			judge();
			faulty_check(fds_open() == fds);
			faulty_check(faulty_blocks.n == blocks);
			runs++;
		}
	print_message("%u places, %u runs (FAULTY_FROM=%u), %u with the fault\n", faulty.n_places, runs, faulty_sample, fired);
	assert_true(fired > runs / (runs < 8 ? 4 : 2));	/* of few, chance may take some that do not come by again */
}

#endif
