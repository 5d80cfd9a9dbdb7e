/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What was left of a range for one who asked without a number.  connect() may
 * share a port with connections to elsewhere, never with a bound socket; bind
 * to port 0 and UDP need a number that nobody holds at their address.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include "model/event_list.h"
#include "model/why.h"

#define MOST_OWNERS 4096	/* processes told apart; more are counted, not named */

struct owner {
	uint32_t tgid;
	uint64_t proc_start;
	uint32_t ports, time_wait;
	struct event ev;	/* with strings of its own */
};

struct why_range {
	struct event fail;	/* without strings */
	struct why_use use;
	struct ports reserved, taken, here;
	struct owner *owners;
	size_t n_owners, cap_owners;
};

/* The socket's own range counts where it lies within the namespace's. */
static void clip(struct why_use *u, uint64_t own)
{
	uint16_t lo = own & 0xffff, hi = own >> 16 & 0xffff;

	if (lo && lo >= u->lo && lo <= u->hi) {
		u->lo = lo;
		u->clipped = true;
	}
	if (hi && hi >= u->lo && hi <= u->hi) {
		u->hi = hi;
		u->clipped = true;
	}
}

int why_range_new(const struct event *fail, uint16_t lo, uint16_t hi, const struct ports *reserved, struct why_range **ret)
{
	struct why_range *r = calloc(1, sizeof(*r));

	if (!r)
		return -ENOMEM;
	r->fail = *fail;
	r->use = (struct why_use){ .known = lo && lo <= hi, .lo = lo, .hi = hi };
	if (r->use.known)
		clip(&r->use, fail->lease.cancelled);
	if (reserved)
		r->reserved = *reserved;
	for (uint32_t p = r->use.lo; r->use.known && p <= r->use.hi; p++)
		++*(ports_has(&r->reserved, (uint16_t)p) ? &r->use.reserved : &r->use.capacity[p & 1]);
	*ret = r;
	return 0;
}

void why_range_free(struct why_range *r)
{
	for (size_t i = 0; r && i < r->n_owners; i++)
		event_strings_free(&r->owners[i].ev);
	if (r)
		free(r->owners);
	free(r);
}

static bool is_any(const uint32_t a[4])
{
	return !(a[0] | a[1] | a[2] | a[3]);
}

/* A mapped address is the IPv4 one: connect() of either family meets the other there. */
static void plain(uint32_t to[4], const uint32_t addr[4])
{
	bool mapped = !addr[0] && !addr[1] && addr[2] == htonl(0xffff);
	const uint32_t four[4] = { addr[3] };

	memcpy(to, mapped ? four : addr, 16);
}

static bool same_address(const uint32_t a[4], const uint32_t b[4])
{
	uint32_t x[4], y[4];

	plain(x, a);
	plain(y, b);
	return !memcmp(x, y, sizeof(x));
}

static bool same_destination(const struct pl_lease *a, const struct pl_lease *fail)
{
	return fail->rport && a->rport == fail->rport && same_address(a->raddr, fail->raddr) &&
	       (is_any(fail->laddr) || same_address(a->laddr, fail->laddr));
}

/* Would connect() share the port's bucket? */
static bool connects(const struct pl_lease *l)
{
	return l->kind == PL_KIND_CONNECT || (l->kind == PL_KIND_UNKNOWN && l->rport && !(l->flags & PL_F_LISTEN));
}

static bool takes(const struct why_range *r, const struct event *lease, int64_t at)
{
	const struct pl_lease *fail = &r->fail.lease;
	struct why_sock want, held;

	if (fail->proto == IPPROTO_TCP && fail->kind == PL_KIND_CONNECT)
		return !connects(&lease->lease) || same_destination(&lease->lease, fail);
	why_sock_asking(&r->fail, &want);
	why_sock_of(lease, at, &held);
	/* TCP's search for a free number does not share one, whatever the options. */
	if (fail->proto == IPPROTO_TCP)
		want.opts &= (uint8_t)~(PL_S_REUSEADDR | PL_S_REUSEPORT);
	/* UDP chooses the number before it knows its address. */
	if (fail->proto != IPPROTO_TCP && fail->kind != PL_KIND_BIND0)
		memset(want.addr, 0, sizeof(want.addr));
	return why_conflicts(&want, &held);
}

/* The entry of the lease's process; NULL: too many, or (with *err) no memory. */
static struct owner *owner_of(struct why_range *r, const struct event *lease, int *err)
{
	const struct pl_lease *l = &lease->lease;
	struct owner *o;

	for (size_t i = 0; i < r->n_owners; i++)
		if (r->owners[i].tgid == l->tgid && (!l->tgid || r->owners[i].proc_start == l->proc_start))
			return &r->owners[i];
	if (r->n_owners == MOST_OWNERS)
		return NULL;
	if (r->n_owners == r->cap_owners) {
		size_t cap = r->cap_owners ? r->cap_owners * 2 : 16;

		o = realloc(r->owners, cap * sizeof(*o));
		if (!o) {
			*err = -ENOMEM;
			return NULL;
		}
		r->owners = o;
		r->cap_owners = cap;
	}
	o = &r->owners[r->n_owners];
	memset(o, 0, sizeof(*o));
	o->tgid = l->tgid;
	o->proc_start = l->proc_start;
	*err = event_copy(lease, &o->ev);
	r->n_owners += !*err;
	return *err ? NULL : o;
}

int why_range_add(struct why_range *r, const struct event *lease, int64_t at)
{
	const struct pl_lease *l = &lease->lease, *fail = &r->fail.lease;
	struct owner *o;
	int err = 0;

	if (!r->use.known || l->netns != fail->netns || l->proto != fail->proto || l->lport < r->use.lo ||
	    l->lport > r->use.hi || ports_has(&r->reserved, l->lport) || !takes(r, lease, at))
		return 0;
	if (!ports_has(&r->taken, l->lport)) {
		r->use.taken[l->lport & 1]++;
		o = owner_of(r, lease, &err);
		if (o) {
			o->ports++;
			o->time_wait += why_role(lease, at) == WHY_TIME_WAIT;
		}
	}
	ports_add(&r->taken, l->lport, l->lport);
	if (same_destination(l, fail) && !ports_has(&r->here, l->lport)) {
		ports_add(&r->here, l->lport, l->lport);
		r->use.here[l->lport & 1]++;
	}
	return err;
}

void why_range_use(const struct why_range *r, struct why_use *ret)
{
	*ret = r->use;
}

static int most_first(const void *a, const void *b)
{
	const struct owner *x = a, *y = b;

	if (x->ports != y->ports)
		return x->ports < y->ports ? 1 : -1;
	return x->tgid < y->tgid ? -1 : x->tgid > y->tgid;
}

size_t why_range_tops(struct why_range *r, struct why_top ret[WHY_TOPS])
{
	size_t n = r->n_owners < WHY_TOPS ? r->n_owners : WHY_TOPS;

	if (r->n_owners)
		qsort(r->owners, r->n_owners, sizeof(*r->owners), most_first);
	for (size_t i = 0; i < n; i++)
		ret[i] = (struct why_top){ .ev = r->owners[i].ev, .ports = r->owners[i].ports,
					   .time_wait = r->owners[i].time_wait };
	return n;
}
