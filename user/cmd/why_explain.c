/* SPDX-License-Identifier: GPL-2.0 */
/* A refusal and the leases of its instant, brought together; where they come from is the callers' affair. */
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/str.h"
#include "cmd/why.h"
#include "model/event_list.h"

#define SPACES_MAX 64
#define HOLDERS_MAX 256		/* of one refusal; more are counted */
#define SAME_START_NS 10000000
#define SPACE_FRESH_NS 1000000000LL

/* ---- holders ---- */

int why_holders_add(struct why_holders *list, const struct event *ev)
{
	struct why_holder *h;

	if (list->n == list->cap) {
		size_t cap = list->cap ? list->cap * 2 : 8;

		h = realloc(list->at, cap * sizeof(*h));
		if (!h)
			return -ENOMEM;
		list->at = h;
		list->cap = cap;
	}
	h = &list->at[list->n];
	memset(h, 0, sizeof(*h));
	h->tw_left = -1;
	if (event_copy(ev, &h->ev))
		return -ENOMEM;
	list->n++;
	return 0;
}

void why_holders_free(struct why_holders *list)
{
	for (size_t i = 0; i < list->n; i++)
		event_strings_free(&list->at[i].ev);
	free(list->at);
	memset(list, 0, sizeof(*list));
}

static int in_the_way_first(const void *a, const void *b)
{
	const struct why_holder *x = a, *y = b;

	if (x->in_the_way != y->in_the_way)
		return x->in_the_way ? -1 : 1;
	if (x->role != y->role)
		return x->role < y->role ? -1 : 1;
	return x->ev.start < y->ev.start ? -1 : x->ev.start > y->ev.start;
}

size_t why_holders_sort(struct why_holders *list)
{
	size_t n = 0;

	if (list->n)
		qsort(list->at, list->n, sizeof(*list->at), in_the_way_first);
	while (n < list->n && list->at[n].in_the_way)
		n++;
	return n;
}

int why_write(struct strbuf *out)
{
	int err = strbuf_err(out);

	errno = 0;
	if (!err && (fwrite(strbuf_str(out), 1, out->len, stdout) != out->len || fflush(stdout)))
		err = errno ? -errno : -EIO;
	return err;
}

/* ---- namespaces ---- */

struct why_space {
	uint32_t netns;
	int64_t read;		/* boot clock */
	bool known;
	struct host_ports ports;
};

static struct why_space *space_slot(struct why_spaces *s, uint32_t netns)
{
	size_t oldest = 0;

	if (!s->at)
		s->at = calloc(SPACES_MAX, sizeof(*s->at));
	if (!s->at)
		return NULL;
	for (size_t i = 0; i < s->n; i++) {
		if (s->at[i].netns == netns)
			return &s->at[i];
		if (s->at[i].read < s->at[oldest].read)
			oldest = i;
	}
	if (s->n < SPACES_MAX)
		oldest = s->n++;
	memset(&s->at[oldest], 0, sizeof(s->at[oldest]));
	s->at[oldest].netns = netns;
	return &s->at[oldest];
}

void why_spaces_get(struct why_spaces *s, uint32_t netns, bool cached, struct why_netns *ret)
{
	struct why_space *sp = space_slot(s, netns);
	int64_t now = clock_boot_ns();

	memset(ret, 0, sizeof(*ret));
	if (!sp)
		return;
	if (!sp->read || !cached || now - sp->read > SPACE_FRESH_NS) {
		/* One that has gone meanwhile keeps what it last said. */
		sp->known |= !host_netns_ports(netns, &sp->ports);
		sp->read = now;
	}
	*ret = (struct why_netns){ .known = sp->known, .lo = sp->ports.lo, .hi = sp->ports.hi, .unprivileged_known = sp->known,
				   .unprivileged = sp->ports.unprivileged, .reserved = sp->known ? &sp->ports.reserved : NULL };
}

void why_spaces_free(struct why_spaces *s)
{
	free(s->at);
	memset(s, 0, sizeof(*s));
}

/* ---- one refusal ---- */

bool why_same_refusal(const struct event *a, const struct event *b)
{
	const struct pl_lease *x = &a->lease, *y = &b->lease;

	return a->err == b->err && x->netns == y->netns && x->proto == y->proto && x->family == y->family && x->kind == y->kind &&
	       x->lport == y->lport && x->rport == y->rport && x->tgid == y->tgid && x->proc_start == y->proc_start &&
	       !memcmp(x->laddr, y->laddr, sizeof(x->laddr)) && !memcmp(x->raddr, y->raddr, sizeof(x->raddr));
}

int why_explain_begin(struct why_explain *x, const struct event *fail, const struct why_netns *ns)
{
	int err;

	memset(x, 0, sizeof(*x));
	err = event_copy(fail, &x->r.ev);
	if (err)
		return err;
	x->r.count = 1;
	x->r.first = fail->ts;
	x->r.cause = why_cause(fail);
	why_sock_asking(fail, &x->want);
	x->r.ns = *ns;
	x->r.netns_now = host_netns();
	if (x->r.cause == WHY_EXHAUSTED)
		err = why_range_new(&x->r.ev, x->r.ns.lo, x->r.ns.hi, x->r.ns.reserved, &x->range);
	return err;
}

static bool same_ends(const struct pl_lease *a, const struct pl_lease *b)
{
	return a->family == b->family && a->rport == b->rport && !memcmp(a->raddr, b->raddr, sizeof(a->raddr)) &&
	       !memcmp(a->laddr, b->laddr, sizeof(a->laddr));
}

/*
 * Two recorders know one life under ids of their own, a few microseconds apart; one that was started later found it, and
 * never before it began.
 */
static bool same_life(const struct pl_lease *a, const struct pl_lease *b)
{
	const bool a_found = a->flags & PL_F_SNAPSHOT, b_found = b->flags & PL_F_SNAPSHOT;
	int64_t apart = (int64_t)(a->start - b->start);

	if (a->id == b->id)
		return true;
	if (!same_ends(a, b) || (a->cookie && b->cookie && a->cookie != b->cookie))
		return false;
	if (a_found && b_found)
		return !a->tgid || !b->tgid || a->tgid == b->tgid;
	return (a_found || apart < SAME_START_NS) && (b_found || apart > -SAME_START_NS);
}

static struct why_holder *explained(struct why_explain *x, const struct event *lease)
{
	for (size_t i = 0; i < x->holders.n; i++)
		if (same_life(&x->holders.at[i].ev.lease, &lease->lease))
			return &x->holders.at[i];
	return NULL;
}

static void explain_judge(struct why_explain *x, struct why_holder *h)
{
	why_judge(h, &x->want, x->r.ev.ts);
	if (x->r.cause == WHY_SAME)
		h->in_the_way = same_ends(&h->ev.lease, &x->r.ev.lease);
	if (h->role == WHY_TIME_WAIT && h->ev.end > x->r.ev.ts)
		h->tw_left = h->ev.end - x->r.ev.ts;
}

/* Flags and ends that the kernel learned after the beginning: listening, connected. */
static void refresh(struct why_holder *h, const struct pl_lease *now)
{
	struct pl_lease *l = &h->ev.lease;

	h->fresh = true;
	l->flags |= now->flags & PL_F_LISTEN;
	l->rport = now->rport;
	memcpy(l->laddr, now->laddr, sizeof(l->laddr));
	memcpy(l->raddr, now->raddr, sizeof(l->raddr));
}

int why_explain_fresh(struct why_explain *x, const struct event *lease)
{
	struct why_holder *h;

	if (x->range)
		return why_range_add(x->range, lease, x->r.ev.ts);
	for (size_t i = 0; i < x->holders.n; i++) {
		h = &x->holders.at[i];
		if (h->ev.lease.id != lease->lease.id)
			continue;
		refresh(h, &lease->lease);
		explain_judge(x, h);
		return 0;
	}
	return why_explain_lease(x, lease);
}

/* Another recorder saw the beginning. */
static int explain_begun(struct why_explain *x, struct why_holder *h, const struct event *lease)
{
	const uint8_t listens = h->ev.lease.flags & PL_F_LISTEN;
	struct event begun;

	if (event_copy(lease, &begun))
		return -ENOMEM;
	event_strings_free(&h->ev);
	h->ev = begun;
	h->ev.lease.flags |= listens;
	explain_judge(x, h);
	return 0;
}

int why_explain_lease(struct why_explain *x, const struct event *lease)
{
	const struct pl_lease *l = &lease->lease, *fail = &x->r.ev.lease;
	struct why_holder *h;
	int err;

	if (x->range)
		return why_range_add(x->range, lease, x->r.ev.ts);
	if (x->r.cause != WHY_HELD && x->r.cause != WHY_SAME)
		return 0;
	if (l->netns != fail->netns || l->proto != fail->proto || l->lport != fail->lport)
		return 0;
	h = explained(x, lease);
	if (h)
		return (h->ev.lease.flags & PL_F_SNAPSHOT) && !(l->flags & PL_F_SNAPSHOT) ? explain_begun(x, h, lease) : 0;
	if (x->holders.n == HOLDERS_MAX) {
		x->r.more++;
		return 0;
	}
	err = why_holders_add(&x->holders, lease);
	if (err)
		return err;
	explain_judge(x, &x->holders.at[x->holders.n - 1]);
	return 0;
}

void why_explain_end(struct why_explain *x)
{
	x->r.in_the_way = why_holders_sort(&x->holders);
	x->r.holders = x->holders.at;
	x->r.n = x->holders.n;
	if (!x->range)
		return;
	why_range_use(x->range, &x->r.use);
	x->r.n_tops = why_range_tops(x->range, x->tops);
	x->r.tops = x->tops;
}

void why_explain_free(struct why_explain *x)
{
	event_strings_free(&x->r.ev);
	why_holders_free(&x->holders);
	why_range_free(x->range);
	memset(x, 0, sizeof(*x));
}
