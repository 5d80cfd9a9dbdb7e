/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What a case may claim about the recorder's table.
 *
 * Every claim first passes a fence: an own socket is bound and seen in the
 * table, so that all events of what the case did before have been taken.  Then
 * the claim is polled up to a deadline.  A claim fails only by not coming true
 * at all; no wall-clock time is judged.
 *
 *   HELD(...)     so many live leases, all of this kind, are on the port
 *   FREE(...)     the port has been held and no longer is
 *   ENDED(...)    all leases that the port ever had: one alloc, one release each
 *   NOTHING(...)  no lease ever matched
 *   EMPTY()       the namespace saw neither a lease nor a failure
 *   REFUSED(...)  so many port.fail events
 */
#ifndef PORTLIFE_TEST_EXPECT_H
#define PORTLIFE_TEST_EXPECT_H

#include "world.h"

#define FENCE_PORT 9
#define NOBODY (-2)		/* pid: must be null */
#define NULL_STRING "null"	/* a string field: must be null */
#define YES 1
#define NO 2

/* A field left 0 is not asked for. */
struct want {
	const char *proto;
	const char *family, *kind, *owner_src, *laddr, *raddr, *reason, *evidence, *comm, *err;
	uint32_t netns;		/* 0: the case's own */
	int n;			/* how many, 0: one */
	int total;		/* leases on the port whatever they are, 0: `n` */
	int pid, tid, uid;
	int ephemeral, time_wait, accepted;	/* YES or NO */
	int patience_s;		/* at least; for what only a sweep finds */
	uint16_t port;		/* 0: any */
	uint16_t rport;
};

#define TCP .proto = "tcp"
#define UDP .proto = "udp"
#define MINE .pid = getpid()

#define HELD(...) expect_held(__LINE__, &(const struct want){ __VA_ARGS__ })
#define FREE(...) expect_free(__LINE__, &(const struct want){ __VA_ARGS__ })
#define ENDED(...) expect_ended(__LINE__, &(const struct want){ __VA_ARGS__ })
#define NOTHING(...) expect_nothing(__LINE__, &(const struct want){ __VA_ARGS__ })
#define EMPTY() expect_nothing(__LINE__, &(const struct want){ 0 })
#define REFUSED(...) expect_refused(__LINE__, &(const struct want){ __VA_ARGS__ })
#define LEASE(...) find_lease(__LINE__, &(const struct want){ __VA_ARGS__ })

/* Counts an assertion that is no claim about the table. */
#define CHECK(cond, fmt, ...) do { \
	self.result->line = __LINE__; \
	self.result->asserts++; \
	if (!(cond)) \
		fail(fmt __VA_OPT__(,) __VA_ARGS__); \
} while (0)

static inline bool str_is(const char *want, const char *have)
{
	return !want || !strcmp(strcmp(want, NULL_STRING) ? want : "", have);
}

static inline bool flag_is(int want, bool have)
{
	return !want || (want == YES) == have;
}

static inline bool on_port(const struct want *w, const struct lease *l)
{
	return str_is(w->proto, l->proto) && (!w->port || w->port == l->port) &&
	       (w->port == FENCE_PORT || l->port != FENCE_PORT || strcmp(l->proto, "udp"));
}

static inline bool lease_is(const struct want *w, const struct lease *l)
{
	return str_is(w->family, l->family) && str_is(w->kind, l->kind) && str_is(w->owner_src, l->owner_src) &&
	       str_is(w->laddr, l->laddr) && str_is(w->raddr, l->raddr) && str_is(w->reason, l->reason) &&
	       str_is(w->evidence, l->evidence) && (!w->comm || !strcmp(w->comm, l->comm)) &&
	       (!w->pid || (w->pid == NOBODY ? l->pid == UNKNOWN_ID : l->pid == w->pid)) &&
	       (!w->tid || l->tid == w->tid) && (!w->uid || l->uid == w->uid) &&
	       (!w->rport || l->rport == w->rport) && flag_is(w->ephemeral, l->ephemeral == 1) &&
	       flag_is(w->time_wait, l->closed != 0) && flag_is(w->accepted, l->owners == 1);
}

static inline bool lease_whole(const struct lease *l)
{
	return l->allocs + l->opens == 1 && l->releases == 1;
}

struct count {
	int live, live_match, all, all_match, whole;
};

#define for_each_lease(l, inum) \
	for (const struct watched_netns *ns_ = watch_find_netns(inum); ns_; ns_ = NULL) \
		for (uint32_t i_ = ns_->first; i_ != NO_ROW; i_ = (l)->next) \
			if ((l) = &watch->leases[i_], i_ >= self.first_row)

static inline uint32_t want_netns(const struct want *w)
{
	return w->netns ? w->netns : self.netns;
}

static inline struct count count_leases(const struct want *w)
{
	struct count c = { 0 };
	const struct lease *l;

	watch_lock();
	for_each_lease(l, want_netns(w)) {
		bool match = on_port(w, l) && lease_is(w, l);

		/* Without a port there is nothing that all must agree on. */
		if (!on_port(w, l) || (!w->port && !match))
			continue;
		c.all++;
		c.all_match += match;
		c.whole += lease_whole(l);
		if (!l->releases) {
			c.live++;
			c.live_match += match;
		}
	}
	watch_unlock();
	return c;
}

static inline int count_fails(const struct want *w)
{
	int n = 0;

	watch_lock();
	for (uint32_t i = self.first_fail; i < watch->n_fails; i++) {
		const struct failure *f = &watch->fails[i];

		n += f->netns == want_netns(w) && str_is(w->proto, f->proto) && str_is(w->kind, f->kind) &&
		     str_is(w->err, f->err) && (!w->pid || w->pid == f->pid) && (!w->port || w->port == f->port);
	}
	watch_unlock();
	return n;
}

/* --- what a failure prints ------------------------------------------------ */

struct text {
	size_t len;
	char buf[3000];
};

__attribute__((format(printf, 2, 3)))
static inline void text_add(struct text *t, const char *fmt, ...)
{
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(t->buf + t->len, sizeof(t->buf) - t->len, fmt, ap);
	va_end(ap);
	if (n > 0)
		t->len += (size_t)n < sizeof(t->buf) - t->len ? (size_t)n : sizeof(t->buf) - t->len - 1;
}

static inline void text_want(struct text *t, const struct want *w)
{
	const struct { const char *name, *value; } strings[] = {
		{ "family", w->family }, { "kind", w->kind }, { "owner_src", w->owner_src }, { "laddr", w->laddr },
		{ "raddr", w->raddr }, { "reason", w->reason }, { "evidence", w->evidence }, { "comm", w->comm },
		{ "errno", w->err },
	};
	const struct { const char *name; int value; } numbers[] = {
		{ "pid", w->pid }, { "tid", w->tid }, { "uid", w->uid }, { "rport", w->rport }, { "total", w->total },
	};
	const struct { const char *name; int value; } flags[] = {
		{ "ephemeral", w->ephemeral }, { "time_wait", w->time_wait }, { "accepted", w->accepted },
	};

	text_add(t, "%d of %s/%d", w->n ? w->n : 1, w->proto ? w->proto : "any", w->port);
	for (size_t i = 0; i < sizeof(strings) / sizeof(*strings); i++) {
		if (strings[i].value)
			text_add(t, " %s=%s", strings[i].name, strings[i].value);
	}
	for (size_t i = 0; i < sizeof(numbers) / sizeof(*numbers); i++) {
		if (numbers[i].value)
			text_add(t, " %s=%d", numbers[i].name, numbers[i].value);
	}
	for (size_t i = 0; i < sizeof(flags) / sizeof(*flags); i++) {
		if (flags[i].value)
			text_add(t, " %s=%s", flags[i].name, flags[i].value == YES ? "yes" : "no");
	}
}

static inline void text_lease(struct text *t, const struct lease *l)
{
	text_add(t, "\n#   lease %llu %s %s/%u %s", (unsigned long long)l->id, l->releases ? "ended" : "live", l->proto, l->port, l->laddr);
	if (l->rport)
		text_add(t, " -> %s:%u", l->raddr, l->rport);
	text_add(t, " kind=%s%s pid=%d tid=%d uid=%d owner_src=%s alloc=%u open=%u owner=%u timewait=%u release=%u", l->kind,
		 l->ephemeral == 1 ? " ephemeral" : "", l->pid, l->tid, l->uid, l->owner_src[0] ? l->owner_src : "null",
		 l->allocs, l->opens, l->owners, l->timewaits, l->releases);
	if (l->closed)
		text_add(t, " closed+%lldms", (long long)(l->closed - l->start) / 1000000);
	if (l->releases)
		text_add(t, " reason=%s evidence=%s after %lldus", l->reason, l->evidence, (long long)l->duration_us);
}

/* Everything on the asked port, or in the namespace; first what is not as it was asked for. */
static inline void text_table(struct text *t, const struct want *w)
{
	const struct lease *l;
	int shown = 0, left = 0;

	watch_lock();
	for (int as_asked = 0; as_asked < 2; as_asked++) {
		for_each_lease(l, want_netns(w)) {
			if (!on_port(w, l) || (lease_is(w, l) && lease_whole(l)) != as_asked)
				continue;
			if (shown++ < 8)
				text_lease(t, l);
			else
				left++;
		}
	}
	for (uint32_t i = self.first_fail; i < watch->n_fails; i++) {
		const struct failure *f = &watch->fails[i];

		if (f->netns == want_netns(w) && shown++ < 12)
			text_add(t, "\n#   fail %s %s/%u kind=%s pid=%d", f->err, f->proto, f->port, f->kind, f->pid);
	}
	watch_unlock();
	if (left)
		text_add(t, "\n#   and %d more", left);
	if (!shown)
		text_add(t, "\n#   nothing");
}

__attribute__((noreturn))
static inline void fail_want(int line, const char *claim, const struct want *w)
{
	struct text t = { 0 };

	text_want(&t, w);
	text_add(&t, " (this process is %d, netns %u), the table holds:", getpid(), want_netns(w));
	text_table(&t, w);
	finish(FAILED_, "line %d: expected %s %s", line, claim, t.buf);
}

/* --- claims --------------------------------------------------------------- */

static inline int64_t deadline_of(const struct want *w)
{
	int64_t ms = w->patience_s * 1000LL;

	return now_ns(CLOCK_MONOTONIC) + (ms > self.patience_ms ? ms : self.patience_ms) * 1000000;
}

static inline bool passed_by(int64_t deadline)
{
	if (now_ns(CLOCK_MONOTONIC) > deadline)
		return true;
	sleep_ms(5);
	return false;
}

/* When it returns, every event that came before the call has been taken. */
static inline void fence(int line)
{
	const struct want w = { .proto = "udp", .port = FENCE_PORT, .n = (int)++self.fences };
	int64_t deadline = deadline_of(&w);
	int fd = udp4();

	self.result->line = line;
	MUST(try_bind(fd, LO, FENCE_PORT));
	while (count_leases(&w).all < w.n) {
		if (passed_by(deadline))
			fail_want(line, "the recorder to see the fence:", &w);
	}
	close(fd);
}

static inline void expect_held(int line, const struct want *w)
{
	int n = w->n ? w->n : 1, total = w->total ? w->total : n;
	int64_t deadline = deadline_of(w);
	struct count c;

	fence(line);
	while (c = count_leases(w), c.live != total || c.live_match != n) {
		if (passed_by(deadline))
			fail_want(line, "to be held:", w);
	}
	self.result->asserts++;
}

static inline void expect_free(int line, const struct want *w)
{
	int64_t deadline = deadline_of(w);
	struct count c;

	fence(line);
	while (c = count_leases(w), c.live || !c.all) {
		if (passed_by(deadline))
			fail_want(line, "to have been held and be free:", w);
	}
	self.result->asserts++;
}

static inline void expect_ended(int line, const struct want *w)
{
	int n = w->n ? w->n : 1, total = w->total ? w->total : n;
	int64_t deadline = deadline_of(w);
	struct count c;

	fence(line);
	while (c = count_leases(w), c.all != total || c.all_match != n || c.whole != total) {
		if (passed_by(deadline))
			fail_want(line, "in all, begun once and ended once:", w);
	}
	self.result->asserts++;
}

static inline void expect_nothing(int line, const struct want *w)
{
	fence(line);
	if (count_leases(w).all_match || (!w->port && !w->proto && count_fails(w)))
		fail_want(line, "nothing, not", w);
	self.result->asserts++;
}

static inline void expect_refused(int line, const struct want *w)
{
	int64_t deadline = deadline_of(w);

	fence(line);
	while (count_fails(w) != (w->n ? w->n : 1)) {
		if (passed_by(deadline))
			fail_want(line, "to be refused:", w);
	}
	self.result->asserts++;
}

/* A copy of the one lease, live or ended, that matches. */
static inline struct lease find_lease(int line, const struct want *w)
{
	int64_t deadline = deadline_of(w);
	struct lease found = { 0 };
	const struct lease *l;
	int n;

	fence(line);
	do {
		n = 0;
		watch_lock();
		for_each_lease(l, want_netns(w)) {
			if (on_port(w, l) && lease_is(w, l)) {
				found = *l;
				n++;
			}
		}
		watch_unlock();
	} while (n != 1 && !passed_by(deadline));
	if (n != 1)
		fail_want(line, "exactly one lease:", w);
	return found;
}

/* Where the tier is known to see less: `.owner_src = for_tier('c', "null", "listener")`. */
static inline const char *for_tier(char tier, const char *there, const char *elsewhere)
{
	return self.tier == tier ? there : elsewhere;
}

/* An early case stops here, its sockets made, until the recorder runs. */
static inline void recorder_runs(void)
{
	atomic_store(&self.result->set_up, 1);
	while (!atomic_load(&watch->ready))
		sleep_ms(20);
}

#endif
