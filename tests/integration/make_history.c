// SPDX-License-Identifier: GPL-2.0
/*
 * Makes a history of many kinds of leases through the store itself, over the
 * two hours before now and over several files, for tests that compare what is
 * said of a history with the history.
 *
 *   make_history DIR LEASES [gaps]
 *
 * Each port has one lease at a time in its namespace and protocol.  With
 * `gaps` the recorder also lost events.  Some names are such as nobody should
 * have given.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "base/clock.h"
#include "store/store.h"

#define SEC 1000000000LL
#define SPAN (7200 * SEC)
#define SPACES 2
#define PORTS 2000

static atomic_llong now_ns;
static int64_t free_from[SPACES][2][PORTS];
static int64_t offset;
static uint64_t ids;

static int64_t pretended_now(void)
{
	return atomic_load(&now_ns);
}

static uint64_t rnd(void)
{
	static uint64_t x = 88172645463325252ULL;

	x ^= x << 13;
	x ^= x >> 7;
	return x ^= x << 17;
}

static const char *const comms[] = { "curl", "nginx", "dig", "java", "<img onerror>", ("\xe2\x80\xae" "cod"), "</script>", "a,b\"c" };
static const char *const exes[] = { "/usr/bin/curl", "/usr/sbin/nginx", "/usr/bin/dig", "/usr/lib/jvm/bin/java",
				    "/tmp/<img src=x onerror=alert(1)>", "/tmp/\xe2\x80\xae" "cod.exe", "/tmp/</script><b>", NULL };
static const char *const units[] = { "ssh.service", "nginx.service", NULL, "app.service" };

static void name(struct event *ev, unsigned int who)
{
	struct pl_lease *l = &ev->lease;

	l->tgid = l->tid = 1000 + who;
	l->ppid = 1;
	l->uid = 33;
	l->proc_start = 5000 + who;
	l->exe = 70 + who % 8;
	l->cgroup = 100 + who % 4;
	l->owner_src = PL_OWNER_PROCESS;
	snprintf(l->comm, sizeof(l->comm), "%s", comms[who % 8]);
	ev->proc_start = offset + 5000 + who;
	ev->exe = exes[who % 8];
	ev->where.cgroup = "/x";
	ev->where.unit = units[who % 4];
	ev->where.container_id = who % 4 == 3 ? "0123456789abcdef" : NULL;
	ev->host = "web-1";
}

/* Who, where and to whom; the times come later. */
static void make_lease(struct event *ev, uint16_t *slot, unsigned int *space)
{
	struct pl_lease *l = &ev->lease;
	uint64_t r = rnd();
	bool tcp = r % 3;

	memset(ev, 0, sizeof(*ev));
	ev->evidence = EVIDENCE_EVENT;
	name(ev, (unsigned int)(r >> 8) % 40);
	if (r % 97 == 0)
		l->tgid = l->tid = 0, l->owner_src = PL_OWNER_UNKNOWN, l->comm[0] = '\0', ev->exe = NULL;
	*space = (unsigned int)(r >> 16) % 5 == 0;
	*slot = (uint16_t)((r >> 20) % PORTS);
	l->netns = 4026531840u + *space;
	l->lport = (uint16_t)(33000 + *slot);
	l->proto = tcp ? IPPROTO_TCP : IPPROTO_UDP;
	l->family = (r >> 32) % 5 ? AF_INET : AF_INET6;
	l->kind = (uint8_t)(1 + (r >> 36) % 6);
	l->flags = PL_F_IN_RANGE | (l->kind == PL_KIND_BIND ? 0 : PL_F_CHOSEN);
	if (l->family == AF_INET6)
		inet_pton(AF_INET6, "2001:db8::5", l->laddr);
	else
		l->laddr[0] = htonl(0x0a000005);
	if (l->kind == PL_KIND_CONNECT) {
		l->rport = tcp ? 443 : 53;
		if (l->family == AF_INET6)
			inet_pton(AF_INET6, "2001:db8::9", l->raddr);
		else
			l->raddr[0] = htonl(0x0a010000u + (uint32_t)(r >> 50) % 30);
	}
}

/* From microseconds to minutes; a few are left open, found, or lost. */
static bool time_lease(struct event *ev, uint16_t slot, unsigned int space, int64_t at)
{
	int64_t *is_free = &free_from[space][ev->lease.proto == IPPROTO_TCP][slot];
	int64_t active = (int64_t)(rnd() % (1000ULL << rnd() % 28)), wait;
	uint64_t r = rnd();

	if (at <= *is_free)
		return false;
	ev->start = at;
	wait = ev->lease.proto == IPPROTO_TCP && r % 2 ? 60 * SEC + (int64_t)(r % 4000000) : 0;
	ev->closed = wait ? at + active : 0;
	ev->kind = r % 400 ? EV_RELEASE : EV_OPEN;
	ev->end = ev->kind == EV_RELEASE ? at + active + wait : 0;
	ev->ts = ev->end ? ev->end : at;
	ev->reason = ev->kind == EV_OPEN ? PL_REASON_NONE : r % 211 ? wait ? PL_REASON_TIME_WAIT : PL_REASON_CLOSE : PL_REASON_LOST;
	ev->evidence = ev->reason == PL_REASON_LOST ? EVIDENCE_RESYNC : EVIDENCE_EVENT;
	if (ev->kind == EV_RELEASE && r % 173 == 0) {
		ev->lease.flags |= PL_F_SNAPSHOT;
		ev->evidence = ev->reason == PL_REASON_LOST ? EVIDENCE_RESYNC : EVIDENCE_SNAPSHOT;
	}
	ev->lease.flags |= wait ? PL_F_TIME_WAIT : 0;
	ev->lease.id = (uint64_t)(at - offset) << 10 | (ids++ & 1023);
	ev->lease.start = (uint64_t)(at - offset);
	*is_free = ev->end ? ev->end : INT64_MAX;
	return true;
}

static int put_minute(struct store *st, int64_t at)
{
	struct summary_netns n[SPACES] = {
		{ .netns = 4026531840u, .range_lo = 32768, .range_hi = 60999, .reserved = 2, .used_odd = (uint32_t)(rnd() % 900), .used_even = 7 },
		{ .netns = 4026531841u, .range_lo = 33000, .range_hi = 33999, .used_odd = 3, .used_even = 4 },
	};
	struct summary sum = { .live = 10, .netns = n, .n_netns = SPACES };
	struct event ev = { .kind = EV_SUMMARY, .ts = at, .summary = &sum };

	return store_minute(st, &ev);
}

static int put_fail(struct store *st, int64_t at)
{
	static const int errs[] = { EADDRINUSE, EADDRNOTAVAIL, EACCES, EAGAIN };
	struct event ev;
	unsigned int space;
	uint16_t slot;
	uint64_t r = rnd();

	make_lease(&ev, &slot, &space);
	ev.kind = EV_FAIL;
	ev.ts = ev.start = at;
	ev.err = errs[r % 4];
	if (ev.err == EADDRNOTAVAIL || ev.err == EAGAIN)
		ev.lease.lport = 0;
	return store_fail(st, &ev);
}

/* A lease reaches the store when it ends: those that outlive a file are told in a later one. */
struct ending {
	struct event *at;
	size_t n, cap;
};

static void keep(struct ending *e, const struct event *ev)
{
	if (e->n == e->cap)
		e->at = realloc(e->at, (e->cap = e->cap ? 2 * e->cap : 1024) * sizeof(*e->at));
	if (!e->at)
		exit(5);
	e->at[e->n++] = *ev;
}

static int by_end(const void *a, const void *b)
{
	const struct event *x = a, *y = b;

	return x->ts < y->ts ? -1 : x->ts > y->ts;
}

static int write_all(struct store *st, struct ending *e, int64_t begin)
{
	int err = 0;

	qsort(e->at, e->n, sizeof(*e->at), by_end);
	for (size_t i = 0; !err && i < e->n; i++) {
		if (e->at[i].ts > begin + SPAN)
			break;
		atomic_store(&now_ns, e->at[i].ts);
		store_tick(st);
		err = e->at[i].kind == EV_RELEASE ? store_lease(st, &e->at[i]) : store_open_lease(st, &e->at[i]);
		if (!err && i % 50 == 0)
			err = put_fail(st, e->at[i].ts);
		if (!err && i % (e->n / 100 + 1) == 0)
			err = put_minute(st, e->at[i].ts);
		if (i % 1000 == 0)
			store_flush(st, -1);
		if (i && i % (e->n / 3) == 0) {
			store_rotate(st);
			store_settle(st, 60000);
		}
	}
	return err;
}

int main(int argc, char **argv)
{
	uint64_t leases = argc > 2 ? strtoull(argv[2], NULL, 10) : 0;
	struct store_opts opts = { .host = "web-1", .boot_id = "boot", .version = "test", .unix_now = pretended_now, .retain_age = -1 };
	int64_t begin = clock_unix_ns() - SPAN - 600 * SEC;
	struct ending all = { 0 };
	struct store *st;
	int err;

	if (!leases) {
		fprintf(stderr, "usage: make_history DIR LEASES [gaps]\n");
		return 2;
	}
	opts.dir = argv[1];
	offset = clock_boot_to_unix() - 100000 * SEC;
	for (uint64_t i = 0; i < leases; i++) {
		struct event ev;
		unsigned int space;
		uint16_t slot;

		make_lease(&ev, &slot, &space);
		if (time_lease(&ev, slot, space, begin + SEC + (int64_t)(i * (uint64_t)(SPAN / SEC - 2) / leases * SEC + rnd() % SEC)))
			keep(&all, &ev);
	}
	atomic_store(&now_ns, begin);
	if (store_open_writer(&opts, &st))
		return 5;
	err = write_all(st, &all, begin);
	if (!err && argc > 3)
		err = store_gap(st, &(struct gap){ .lost = 12, .from = begin + 60 * SEC, .to = begin + 61 * SEC, .cause = GAP_RING });
	atomic_store(&now_ns, begin + SPAN);
	store_flush(st, -1);
	store_settle(st, 60000);
	store_close(st);
	free(all.at);
	return err ? 5 : 0;
}
