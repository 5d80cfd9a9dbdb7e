/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The reader's side of the integration tests: starts the recorder, parses every
 * line that it prints and keeps one row a lease in shared memory, so that test
 * processes in other network namespaces can ask what the recorder believes.
 *
 * Only namespaces that the test registered are kept; the form of every line is
 * checked.  What is wrong with a line, or with the order of lines, is a
 * complaint: it fails the run, never a single case.
 */
#ifndef PORTLIFE_TEST_WATCH_H
#define PORTLIFE_TEST_WATCH_H

#include <arpa/inet.h>
#include <cjson/cJSON.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define MAX_NETNS 512
#define MAX_LEASES (1u << 18)
#define ID_SLOTS (MAX_LEASES * 2)
#define MAX_FAILS (1u << 16)
#define MAX_COMPLAINTS 12
#define LINE_MAX_BYTES 4096
#define NO_ROW UINT32_MAX
#define UNKNOWN_ID (-1)		/* null in the event */

/* One lease as the events told it.  Absent strings are "", times unix ns or 0. */
struct lease {
	uint64_t id;
	int64_t start, end, closed;
	int64_t duration_us, time_wait_us;	/* as printed with the release, -1: null */
	uint32_t netns;
	uint32_t next;				/* next row of the same namespace */
	uint32_t allocs, opens, owners, timewaits, releases;
	int pid, tid, uid;
	uint16_t port, rport;
	int8_t ephemeral;			/* -1: null */
	char proto[8], family[5], kind[8];
	char laddr[INET6_ADDRSTRLEN], raddr[INET6_ADDRSTRLEN];
	char owner_src[10], reason[12], evidence[10];
	char comm[64];				/* unescaped, as the JSON string reads */
};

struct failure {
	uint32_t netns;
	int pid;
	uint16_t port;				/* 0: null */
	char proto[8], kind[8], err[16];
};

#define CLOCKS_AGREE_NS 5000000	/* the recorder's wall clock and ours */

struct watched_netns {
	uint32_t inum, first, last;		/* rows, NO_ROW: none */
	int64_t since;				/* wall clock: leases that began before are another's */
};

/* Shared by all processes of a test; written by the reader thread alone, under the lock. */
struct watch {
	pthread_mutex_t lock;
	atomic_int ready;
	atomic_int ended;			/* the recorder closed its stdout */
	bool allow_missed;			/* set by the test: see take_gap() */
	uint32_t n_netns, n_leases, n_fails, n_missed, n_complaints;
	uint64_t n_lines;
	uint64_t last_seq;
	char complaints[MAX_COMPLAINTS][1024];
	struct watched_netns netns[MAX_NETNS];
	struct failure fails[MAX_FAILS];
	uint32_t by_id[ID_SLOTS];		/* row + 1, 0: empty */
	struct lease leases[MAX_LEASES];
};

static struct watch *watch;

static inline int64_t now_ns(clockid_t clock)
{
	struct timespec ts;

	clock_gettime(clock, &ts);
	return ts.tv_sec * 1000000000LL + ts.tv_nsec;
}

static inline void sleep_ms(long ms)
{
	struct timespec ts = { ms / 1000, ms % 1000 * 1000000L };

	while (nanosleep(&ts, &ts) && errno == EINTR)
		;
}

static inline void watch_init(void)
{
	pthread_mutexattr_t attr;

	watch = mmap(NULL, sizeof(*watch), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (watch == MAP_FAILED) {
		perror("mmap");
		exit(2);
	}
	pthread_mutexattr_init(&attr);
	pthread_mutexattr_setpshared(&attr, PTHREAD_PROCESS_SHARED);
	pthread_mutexattr_setrobust(&attr, PTHREAD_MUTEX_ROBUST);
	pthread_mutex_init(&watch->lock, &attr);
}

/* A test process may have been killed inside: it only reads, so the table is whole. */
static inline void watch_lock(void)
{
	if (pthread_mutex_lock(&watch->lock) == EOWNERDEAD)
		pthread_mutex_consistent(&watch->lock);
}

static inline void watch_unlock(void)
{
	pthread_mutex_unlock(&watch->lock);
}

static inline struct watched_netns *watch_find_netns(uint32_t inum)
{
	for (uint32_t i = 0; i < watch->n_netns; i++) {
		if (watch->netns[i].inum == inum)
			return &watch->netns[i];
	}
	return NULL;
}

/* Before the first socket is made in it.  A number that the kernel uses again keeps its rows. */
static inline void watch_add_netns(uint32_t inum)
{
	watch_lock();
	if (!watch_find_netns(inum)) {
		if (watch->n_netns == MAX_NETNS) {
			fprintf(stderr, "more than %d network namespaces\n", MAX_NETNS);
			abort();
		}
		watch->netns[watch->n_netns++] = (struct watched_netns){ inum, NO_ROW, NO_ROW, now_ns(CLOCK_REALTIME) };
	}
	watch_unlock();
}

__attribute__((format(printf, 2, 3)))
static inline void complain(const char *line, const char *fmt, ...)
{
	char what[160];
	va_list ap;
	uint32_t n;

	watch->n_complaints++;
	va_start(ap, fmt);
	vsnprintf(what, sizeof(what), fmt, ap);
	va_end(ap);
	for (n = 0; n < MAX_COMPLAINTS && watch->complaints[n][0]; n++) {
		/* One line for each sort; the number of all is told. */
		if (!strncmp(watch->complaints[n], what, strlen(what)))
			return;
	}
	if (n < MAX_COMPLAINTS)
		snprintf(watch->complaints[n], sizeof(watch->complaints[n]), "%s: %s", what, line ? line : "");
}

/* --- one line ---------------------------------------------------------- */

/* Length of the UTF-8 sequence at `p`, 0 if it is none. */
static inline int utf8_len(const unsigned char *p)
{
	int n = p[0] < 0x80 ? 1 : p[0] >= 0xc2 && p[0] < 0xe0 ? 2 : (p[0] & 0xf0) == 0xe0 ? 3 : p[0] >= 0xf0 && p[0] < 0xf5 ? 4 : 0;

	for (int i = 1; i < n; i++) {
		if ((p[i] & 0xc0) != 0x80)
			return 0;
	}
	if (n == 3 && ((p[0] == 0xe0 && p[1] < 0xa0) || (p[0] == 0xed && p[1] >= 0xa0)))
		return 0;
	if (n == 4 && ((p[0] == 0xf0 && p[1] < 0x90) || (p[0] == 0xf4 && p[1] >= 0x90)))
		return 0;
	return n;
}

/* cJSON lets raw control bytes and bad UTF-8 pass; the format does not. */
static inline bool line_is_clean(const char *line)
{
	const unsigned char *p = (const unsigned char *)line;
	int n;

	for (; *p; p += n) {
		n = utf8_len(p);
		if (!n || *p < 0x20 || *p == 0x7f)
			return false;
	}
	return true;
}

struct line {
	const char *text;
	cJSON *root;
};

static inline const char *get_str(const struct line *l, const char *key)
{
	cJSON *item = cJSON_GetObjectItemCaseSensitive(l->root, key);

	if (!item) {
		complain(l->text, "no field \"%s\"", key);
		return NULL;
	}
	if (cJSON_IsNull(item))
		return NULL;
	if (!cJSON_IsString(item) || (!item->valuestring[0] && strcmp(key, "comm"))) {
		complain(l->text, "field \"%s\" is neither null nor a string that says something", key);
		return NULL;
	}
	return item->valuestring;
}

/* `dflt` for null. */
static inline int64_t get_int(const struct line *l, const char *key, int64_t dflt)
{
	cJSON *item = cJSON_GetObjectItemCaseSensitive(l->root, key);

	if (!item) {
		complain(l->text, "no field \"%s\"", key);
		return dflt;
	}
	if (cJSON_IsNull(item))
		return dflt;
	if (!cJSON_IsNumber(item) || item->valuedouble != (double)(int64_t)item->valuedouble || item->valuedouble < 0) {
		complain(l->text, "field \"%s\" is no whole number", key);
		return dflt;
	}
	return (int64_t)item->valuedouble;
}

/* A 64-bit id travels as a decimal string. */
static inline uint64_t get_id(const struct line *l, const char *key)
{
	const char *s = get_str(l, key);
	char *end;
	uint64_t v;

	if (!s)
		return 0;
	errno = 0;
	v = strtoull(s, &end, 10);
	if (errno || *end || *s < '0' || *s > '9')
		complain(l->text, "field \"%s\" is no decimal string", key);
	return v;
}

/* RFC 3339, UTC, nine digits, to unix ns; 0 for null. */
static inline int64_t get_time(const struct line *l, const char *key)
{
	const char *s = get_str(l, key);
	struct tm tm = { 0 };
	const char *rest;
	char *end;
	long ns;

	if (!s)
		return 0;
	rest = strptime(s, "%Y-%m-%dT%H:%M:%S", &tm);
	if (strlen(s) != 30 || rest != s + 19 || *rest != '.' || s[29] != 'Z')
		goto bad;
	ns = strtol(rest + 1, &end, 10);
	if (end != s + 29)
		goto bad;
	return (int64_t)timegm(&tm) * 1000000000LL + ns;
bad:
	complain(l->text, "field \"%s\" is no RFC 3339 time with nine digits", key);
	return 0;
}

static inline void get_text(const struct line *l, const char *key, char *to, size_t size)
{
	const char *s = get_str(l, key);

	if (s)
		snprintf(to, size, "%s", s);
}

static inline void get_pid(const struct line *l, const char *key, int *to)
{
	int64_t v = get_int(l, key, UNKNOWN_ID);

	if (v == 0)
		complain(l->text, "\"%s\" is 0, not null", key);
	*to = (int)v;
}

/* --- the table ---------------------------------------------------------- */

static inline uint32_t *id_slot(uint64_t id)
{
	uint32_t i = (uint32_t)((id * 0x9e3779b97f4a7c15ULL) >> 32) & (ID_SLOTS - 1);

	while (watch->by_id[i] && watch->leases[watch->by_id[i] - 1].id != id)
		i = (i + 1) & (ID_SLOTS - 1);
	return &watch->by_id[i];
}

static inline struct lease *lease_new(struct watched_netns *ns, uint64_t id, uint32_t *slot)
{
	struct lease *ls;
	uint32_t row = watch->n_leases;

	if (row == MAX_LEASES) {
		fprintf(stderr, "more than %u leases\n", MAX_LEASES);
		abort();
	}
	ls = &watch->leases[row];
	*ls = (struct lease){ .id = id, .netns = ns->inum, .next = NO_ROW, .pid = UNKNOWN_ID, .tid = UNKNOWN_ID,
			      .uid = UNKNOWN_ID, .ephemeral = -1, .duration_us = -1, .time_wait_us = -1 };
	if (ns->last == NO_ROW)
		ns->first = row;
	else
		watch->leases[ns->last].next = row;
	ns->last = row;
	*slot = row + 1;
	watch->n_leases++;
	return ls;
}

/* Owner fields are replaced as a whole: an owner that becomes known names all of them. */
static inline void lease_take_fields(struct lease *ls, const struct line *l)
{
	cJSON *eph = cJSON_GetObjectItemCaseSensitive(l->root, "ephemeral");
	int64_t closed = get_time(l, "closed");
	int64_t port = get_int(l, "port", 0);

	get_text(l, "proto", ls->proto, sizeof(ls->proto));
	get_text(l, "family", ls->family, sizeof(ls->family));
	get_text(l, "kind", ls->kind, sizeof(ls->kind));
	get_text(l, "laddr", ls->laddr, sizeof(ls->laddr));
	get_text(l, "raddr", ls->raddr, sizeof(ls->raddr));
	get_text(l, "evidence", ls->evidence, sizeof(ls->evidence));
	get_text(l, "comm", ls->comm, sizeof(ls->comm));
	ls->owner_src[0] = 0;
	get_text(l, "owner_src", ls->owner_src, sizeof(ls->owner_src));
	get_pid(l, "pid", &ls->pid);
	get_pid(l, "tid", &ls->tid);
	ls->uid = (int)get_int(l, "uid", UNKNOWN_ID);
	ls->rport = (uint16_t)get_int(l, "rport", ls->rport);
	ls->start = get_time(l, "start");
	ls->ephemeral = cJSON_IsBool(eph) ? cJSON_IsTrue(eph) : -1;
	if (closed)
		ls->closed = closed;
	if (port < 1 || port > 65535 || (ls->port && ls->port != port))
		complain(l->text, "port %lld where the lease has %u", (long long)port, ls->port);
	ls->port = (uint16_t)port;
}

static inline void lease_take_release(struct lease *ls, const struct line *l)
{
	get_text(l, "reason", ls->reason, sizeof(ls->reason));
	ls->end = get_time(l, "end");
	ls->duration_us = get_int(l, "duration_us", -1);
	ls->time_wait_us = get_int(l, "time_wait_us", -1);
	if (!ls->reason[0])
		complain(l->text, "a release without a reason");
	if (!ls->end || ls->end < ls->start)
		complain(l->text, "ends before it starts");
	if (!ls->start && !ls->opens)
		complain(l->text, "begun by an event and without a start");
	if (ls->duration_us != (ls->start ? (ls->end - ls->start) / 1000 : -1))
		complain(l->text, "duration_us is not end - start");
	if (ls->closed && (ls->closed < ls->start || ls->closed > ls->end))
		complain(l->text, "TIME_WAIT began outside the lease");
	if (ls->closed && ls->time_wait_us != (ls->end - ls->closed) / 1000)
		complain(l->text, "time_wait_us is not end - closed");
}

static inline void take_lease_event(const struct line *l, struct watched_netns *ns, const char *event)
{
	uint64_t id = get_id(l, "lease");
	uint32_t *slot = id_slot(id);
	bool begins = !strcmp(event, "port.alloc") || !strcmp(event, "port.open");
	struct lease *ls = *slot ? &watch->leases[*slot - 1] : NULL;

	if (!id)
		complain(l->text, "a lease without an id");
	if (!ls) {
		if (!begins)
			complain(l->text, "%s of a lease that never began", event);
		ls = lease_new(ns, id, slot);
	} else if (begins) {
		complain(l->text, "%s of a lease that has begun already", event);
	} else if (ls->releases) {
		complain(l->text, "%s after the release", event);
	}
	if (ls->netns != ns->inum)
		complain(l->text, "a lease that moved from netns %u", ls->netns);
	lease_take_fields(ls, l);
	if (!strcmp(event, "port.alloc"))
		ls->allocs++;
	else if (!strcmp(event, "port.open"))
		ls->opens++;
	else if (!strcmp(event, "port.owner"))
		ls->owners++;
	else if (!strcmp(event, "port.timewait"))
		ls->timewaits++;
	if (!strcmp(event, "port.timewait") && !ls->closed)
		complain(l->text, "port.timewait without \"closed\"");
	if (!strcmp(event, "port.release")) {
		ls->releases++;
		lease_take_release(ls, l);
	}
}

static inline void take_failure(const struct line *l, struct watched_netns *ns)
{
	struct failure *f = &watch->fails[watch->n_fails];

	if (watch->n_fails == MAX_FAILS) {
		complain(NULL, "more than %u failures", MAX_FAILS);
		return;
	}
	*f = (struct failure){ .netns = ns->inum, .port = (uint16_t)get_int(l, "port", 0) };
	get_pid(l, "pid", &f->pid);
	get_text(l, "proto", f->proto, sizeof(f->proto));
	get_text(l, "kind", f->kind, sizeof(f->kind));
	get_text(l, "errno", f->err, sizeof(f->err));
	if (!f->err[0])
		complain(l->text, "a failure without an errno");
	watch->n_fails++;
}

/* Of a lease or of a refusal, whatever is known of it. */
static inline void check_fields(const struct line *l)
{
	static const char *const names[] = {
		"lease", "ts", "host", "boot_id", "seq", "proto", "family", "laddr", "port", "raddr", "rport", "kind", "ephemeral",
		"start", "end", "duration_us", "closed", "time_wait_us", "pid", "tid", "ppid", "uid", "comm", "exe", "proc_start",
		"cgroup", "unit", "container_id", "pod_uid", "netns", "cookie", "reason", "errno", "evidence", "owner_src",
	};

	cJSON *item = l->root->child;

	/* In the usual order every field is found where the last one was left. */
	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
		item = item ? item->next : NULL;
		if (!item || strcmp(item->string, names[i]))
			item = cJSON_GetObjectItemCaseSensitive(l->root, names[i]);
		if (!item)
			complain(l->text, "no field \"%s\"", names[i]);
	}
}

/*
 * The kernel does not run a program that interrupts itself on one CPU, and
 * counts that; under heavy load the recorder says so and repairs.  A load that
 * provokes it may allow that, no other loss.
 */
static inline void take_gap(const struct line *l)
{
	const char *cause = get_str(l, "cause");

	if (watch->allow_missed && cause && !strcmp(cause, "missed"))
		watch->n_missed++;
	else
		complain(l->text, "the recorder lost events");
}

static inline void take_event(const struct line *l)
{
	static const char *const lease_events[] = { "port.alloc", "port.owner", "port.timewait", "port.release", "port.open" };
	const char *event = get_str(l, "event");
	struct watched_netns *ns;
	uint64_t seq;

	if (!event)
		return;
	if (get_int(l, "v", 0) != 1)
		complain(l->text, "not version 1");
	if (!get_time(l, "ts"))
		complain(l->text, "no time");
	seq = (uint64_t)get_int(l, "seq", 0);
	if (seq <= watch->last_seq)
		complain(l->text, "seq does not grow");
	watch->last_seq = seq;
	if (!strcmp(event, "recorder.gap")) {
		take_gap(l);
		return;
	}
	if (!strcmp(event, "port.summary"))
		return;
	check_fields(l);
	ns = watch_find_netns((uint32_t)get_id(l, "netns"));
	/*
	 * The number of a namespace of somebody else (the matrix runs a lifecycle
	 * for each tier at once) may have become ours while its TIME_WAIT ended.
	 */
	if (ns && get_time(l, "start") && get_time(l, "start") < ns->since - CLOCKS_AGREE_NS)
		ns = NULL;
	if (!strcmp(event, "port.fail")) {
		if (ns)
			take_failure(l, ns);
		return;
	}
	for (size_t i = 0; i < sizeof(lease_events) / sizeof(*lease_events); i++) {
		if (!strcmp(event, lease_events[i])) {
			if (ns)
				take_lease_event(l, ns, event);
			return;
		}
	}
	complain(l->text, "an unknown event");
}

/* `text` without its newline. */
static inline void take_line(const char *text)
{
	struct line l = { .text = text };
	const char *end = NULL;

	watch_lock();
	watch->n_lines++;
	if (strlen(text) > LINE_MAX_BYTES)
		complain(text, "a line of %zu bytes", strlen(text));
	if (!line_is_clean(text))
		complain(text, "control bytes or invalid UTF-8");
	l.root = cJSON_ParseWithOpts(text, &end, 1);
	if (cJSON_IsObject(l.root))
		take_event(&l);
	else
		complain(text, "not one JSON object");
	cJSON_Delete(l.root);
	watch_unlock();
}

/* --- the recorder ------------------------------------------------------- */

struct recorder {
	pid_t pid;
	int out;		/* its stdout */
	int err;		/* memory file of its stderr */
	pthread_t reader;
};

static inline void *read_lines(void *arg)
{
	struct recorder *r = arg;
	FILE *in = fdopen(r->out, "r");
	char *line = NULL;
	size_t size = 0;
	ssize_t n;

	while (in && (n = getline(&line, &size, in)) > 0) {
		if (line[n - 1] != '\n') {
			watch_lock();
			complain(line, "the last line has no end");
			watch_unlock();
		} else {
			line[n - 1] = 0;
		}
		take_line(line);
	}
	free(line);
	if (in)
		fclose(in);
	atomic_store(&watch->ended, 1);
	return NULL;
}

static inline int recorder_start(struct recorder *r, const char *path, const char *tier)
{
	int p[2];

	r->err = memfd_create("stderr", MFD_CLOEXEC);
	if (r->err < 0 || pipe2(p, O_CLOEXEC))
		return -errno;
	fcntl(p[0], F_SETPIPE_SZ, 1 << 20);
	r->pid = fork();
	if (r->pid < 0)
		return -errno;
	if (r->pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		dup2(p[1], STDOUT_FILENO);
		dup2(r->err, STDERR_FILENO);
		execl(path, path, "trace", "--tier", tier, "-o", "jsonl", "--scope", "all", (char *)NULL);
		fprintf(stderr, "cannot run \"%s\": %s\n", path, strerror(errno));
		_exit(127);
	}
	close(p[1]);
	r->out = p[0];
	return -pthread_create(&r->reader, NULL, read_lines, r);
}

/*
 * Waits for the line with which the recorder says that all it does not tell
 * from now on did not happen; false when it ended or `seconds` passed.  Loading
 * takes long on an emulated machine that starts three recorders at once.
 */
static inline bool recorder_ready(const struct recorder *r, int seconds)
{
	char text[4096];

	for (int i = 0; i < seconds * 20 && !atomic_load(&watch->ended); i++) {
		ssize_t n = pread(r->err, text, sizeof(text) - 1, 0);

		text[n > 0 ? n : 0] = '\0';
		if (strstr(text, "recording"))
			return true;
		sleep_ms(50);
	}
	return false;
}

/* Wait status of the recorder; everything that it printed has been taken. */
static inline int recorder_stop(struct recorder *r)
{
	int status = -1;

	kill(r->pid, SIGTERM);
	for (int i = 0; i < 3000 && waitpid(r->pid, &status, WNOHANG) == 0; i++) {
		if (i == 2000)
			kill(r->pid, SIGKILL);
		sleep_ms(10);
	}
	pthread_join(r->reader, NULL);
	return status;
}

/* What the recorder said on stderr, each line behind "# ". */
static inline void recorder_show_stderr(const struct recorder *r)
{
	int fd = dup(r->err);
	char line[1024];
	FILE *f;

	if (fd < 0 || lseek(fd, 0, SEEK_SET) < 0)
		return;
	f = fdopen(fd, "r");
	while (f && fgets(line, sizeof(line), f))
		printf("# recorder: %s%s", line, strchr(line, '\n') ? "" : "\n");
	if (f)
		fclose(f);
}

#endif
