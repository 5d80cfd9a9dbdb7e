/* SPDX-License-Identifier: GPL-2.0 */
/* Why somebody got no port then. */
#include <netinet/in.h>
#include <string.h>

#include "base/json.h"
#include "base/str.h"
#include "base/timex.h"
#include "out/facts.h"
#include "out/why_answer.h"

#define WIDE_RANGE 60000u	/* a range this wide is not worth widening */

static void say_what(struct strbuf *out, const struct why_refusal *r)
{
	const struct pl_lease *l = &r->ev.lease;
	char from[INET6_ADDRSTRLEN];

	if (r->cause == WHY_HELD || r->cause == WHY_ADDRESS || r->cause == WHY_ACCESS) {
		strbuf_puts(out, " was refused ");
		why_say_end(out, l->family, l->laddr, l->lport);
	} else if (l->kind == PL_KIND_BIND0) {
		strbuf_puts(out, " got no port from bind to port 0");
	} else if (l->kind == PL_KIND_LISTEN) {
		strbuf_puts(out, " got no port from listen");
	} else {
		strbuf_puts(out, l->kind == PL_KIND_SEND ? " got no port for a first send" : " got no port for a connection");
		if (l->laddr[0] | l->laddr[1] | l->laddr[2] | l->laddr[3])
			strbuf_printf(out, " from %s", event_addr(l->family, l->laddr, from));
		if (l->rport) {
			strbuf_puts(out, " to ");
			why_say_end(out, l->family, l->raddr, l->rport);
		}
	}
	strbuf_printf(out, " (%s): %s", event_proto_name(l->proto), event_errno_name(r->ev.err));
	if (l->netns != r->netns_now)
		strbuf_printf(out, ", in network namespace %u", l->netns);
}

static void say_headline(struct strbuf *out, const struct why_refusal *r, bool utc)
{
	char stamp[TIMEX_BUF];

	strbuf_printf(out, "%s ", timex_stamp(r->ev.ts, utc, stamp));
	why_say_owner(out, &r->ev);
	say_what(out, r);
	if (r->count > 1)
		strbuf_printf(out, ", %llu times since %s", (unsigned long long)r->count, timex_stamp(r->first, utc, stamp));
	strbuf_putc(out, '\n');
}

static void say_state(struct strbuf *out, const struct why_refusal *r, const struct why_holder *h)
{
	const struct event *ev = &h->ev;
	char span[TIMEX_BUF];

	if (h->role == WHY_TIME_WAIT && h->tw_left >= 0)
		strbuf_printf(out, ", for %s more", timex_span(h->tw_left, span));
	else if (h->role == WHY_TIME_WAIT && ev->closed)
		strbuf_printf(out, ", for %s already", timex_span(r->ev.ts - ev->closed, span));
}

static void say_since(struct strbuf *out, const struct why_refusal *r, const struct event *ev, bool utc)
{
	char stamp[TIMEX_BUF], span[TIMEX_BUF];

	if (ev->lease.flags & PL_F_SNAPSHOT || !ev->start)
		strbuf_puts(out, ", since before recording began");
	else
		strbuf_printf(out, " since %s (%s)", timex_stamp(ev->start, utc, stamp), timex_span(r->ev.ts - ev->start, span));
	if (ev->end)
		strbuf_printf(out, ", until %s", timex_stamp(ev->end, utc, stamp));
}

static void say_holder(struct strbuf *out, const struct why_refusal *r, const struct why_holder *h, bool utc)
{
	strbuf_printf(out, "  %s held it: ", why_role_text(h));
	why_say_holder(out, h);
	say_state(out, r, h);
	say_since(out, r, &h->ev, utc);
	strbuf_putc(out, '\n');
}

static void say_nobody(struct strbuf *out, const struct why_refusal *r)
{
	const struct pl_lease *l = &r->ev.lease;

	if (r->unread) {
		strbuf_puts(out, "  nobody in the history held it, but the recorder that runs may not be asked by this\n"
				 "  user: it alone knows, for up to two minutes, a lease that is still open\n");
		return;
	}
	strbuf_puts(out, "  nobody on record held it: ");
	if (r->unsure)
		strbuf_puts(out, "events of that time were lost, or nobody recorded\n");
	else if (l->proto == IPPROTO_TCP && !(l->flags & PL_F_IN_RANGE) && !r->live)
		strbuf_puts(out, "an accepted connection whose listener has gone, perhaps; outside the ephemeral\n"
				 "  range those are recorded only with --scope all; why PORT finds one that is there still\n");
	else
		strbuf_puts(out, "it was given back at that very moment, or held by what the recorder cannot see (see doctor)\n");
}

static void say_use(struct strbuf *out, const struct why_refusal *r)
{
	const struct why_use *u = &r->use;
	uint32_t cap = u->capacity[0] + u->capacity[1], taken = u->taken[0] + u->taken[1];

	if (!u->known) {
		strbuf_puts(out, "  the ephemeral range of its network namespace is not known: the namespace is gone,\n  and no summary of the recorder tells of it\n");
		return;
	}
	strbuf_printf(out, "  the ephemeral range %u-%u%s", u->lo, u->hi, u->clipped ? ", cut by the socket's own IP_LOCAL_PORT_RANGE," : "");
	if (u->reserved)
		strbuf_printf(out, " less %u reserved", u->reserved);
	strbuf_printf(out, " has %u ports: %u taken%s\n    even %u of %u, odd %u of %u", cap, taken,
		      r->ev.lease.rport && r->ev.lease.proto == IPPROTO_TCP ? " for this source and destination" : "", u->taken[0],
		      u->capacity[0], u->taken[1], u->capacity[1]);
	if (u->here[0] + u->here[1])
		strbuf_printf(out, "; %u of them connected to this very destination", u->here[0] + u->here[1]);
	strbuf_putc(out, '\n');
	if (!r->ns.reserved && r->ns.reserved_then)
		strbuf_printf(out, "    %u of them were reserved, which ones is not known any more\n", r->ns.reserved_then);
	else if (taken < cap)
		strbuf_puts(out, r->unsure ? "    those left were taken too, by what was not recorded\n"
					   : "    those left were taken at that instant by what was not seen, or given back just then\n");
}

static void say_tops(struct strbuf *out, const struct why_refusal *r)
{
	for (size_t i = 0; i < r->n_tops; i++) {
		strbuf_puts(out, i ? "               " : "  held most by ");
		why_say_owner(out, &r->tops[i].ev);
		strbuf_printf(out, ": %u", r->tops[i].ports);
		if (r->tops[i].time_wait)
			strbuf_printf(out, ", %u in TIME_WAIT", r->tops[i].time_wait);
		strbuf_putc(out, '\n');
	}
}

static void say_access(struct strbuf *out, const struct why_refusal *r)
{
	if (r->ns.unprivileged_known && r->ev.lease.lport < r->ns.unprivileged)
		strbuf_printf(out, "  ports below %u need CAP_NET_BIND_SERVICE in its network namespace\n", r->ns.unprivileged);
	else if (r->ns.unprivileged_known)
		strbuf_printf(out, "  its namespace asks for privilege below port %u only: a security module or a cgroup program refused it\n",
			      r->ns.unprivileged);
	else
		strbuf_puts(out, "  its network namespace is gone, and with it the first port that needs no privilege\n");
}

static bool range_action(struct strbuf *out, const struct why_refusal *r)
{
	const struct why_use *u = &r->use;
	uint32_t waiting = 0, held = 0;

	for (size_t i = 0; i < r->n_tops; i++) {
		waiting += r->tops[i].time_wait;
		held += r->tops[i].ports;
	}
	if (!u->known)
		return false;
	if (u->clipped)
		strbuf_puts(out, "to get more: widen the IP_LOCAL_PORT_RANGE that the program sets on its socket");
	else if (waiting * 2 > held && r->ev.lease.kind == PL_KIND_CONNECT)
		strbuf_puts(out, "to get more: sysctl net.ipv4.tcp_tw_reuse=1 lets connect() take ports in TIME_WAIT after a second");
	else if ((uint32_t)(u->hi - u->lo) < WIDE_RANGE)
		strbuf_puts(out, "to get more: sysctl net.ipv4.ip_local_port_range=\"1024 65535\"");
	else
		strbuf_puts(out, "to get more: keep connections open and use them again, or add source addresses");
	if (!u->clipped && r->ev.lease.netns != r->netns_now)
		strbuf_printf(out, ", in network namespace %u", r->ev.lease.netns);
	return true;
}

bool why_refusal_action(struct strbuf *out, const struct why_refusal *r)
{
	if (r->cause == WHY_ACCESS && r->ns.unprivileged_known && r->ev.lease.lport < r->ns.unprivileged) {
		strbuf_printf(out, "to allow it: setcap cap_net_bind_service+ep on the program, or "
			      "sysctl net.ipv4.ip_unprivileged_port_start=%u", r->ev.lease.lport);
		return true;
	}
	if (r->cause == WHY_EXHAUSTED)
		return range_action(out, r);
	if (r->cause == WHY_ADDRESS) {
		strbuf_puts(out, "to allow it: add the address, or sysctl net.ipv4.ip_nonlocal_bind=1");
		return true;
	}
	return r->in_the_way && why_holder_action(out, &r->holders[0], &r->ns, r->live);
}

static void say_conflict(struct strbuf *out, const struct why_refusal *r, bool utc)
{
	struct strbuf line = STRBUF_INIT;

	for (size_t i = 0; i < r->in_the_way && i < 5; i++)
		say_holder(out, r, &r->holders[i], utc);
	if (r->in_the_way > 5)
		strbuf_printf(out, "  and %llu more\n", (unsigned long long)r->more + r->in_the_way - 5);
	if (!r->in_the_way)
		say_nobody(out, r);
	else if (r->holders[0].role != WHY_TIME_WAIT && r->cause == WHY_HELD && why_say_remedies(&line, &r->holders[0]))
		strbuf_printf(out, "  %s\n", strbuf_str(&line));
	strbuf_free(&line);
}

void why_refusal_text(struct strbuf *out, const struct why_refusal *r, bool utc)
{
	struct strbuf line = STRBUF_INIT;

	say_headline(out, r, utc);
	if (r->cause == WHY_ACCESS) {
		say_access(out, r);
	} else if (r->cause == WHY_ADDRESS) {
		strbuf_puts(out, "  that is no address of its network namespace\n");
	} else if (r->cause == WHY_EXHAUSTED) {
		say_use(out, r);
		say_tops(out, r);
	} else {
		if (r->cause == WHY_SAME)
			strbuf_puts(out, "  it asked for a connection between two ends that are connected already\n");
		say_conflict(out, r, utc);
	}
	if (why_refusal_action(&line, r))
		strbuf_printf(out, "  %s\n", strbuf_str(&line));
	strbuf_free(&line);
}

/* ---- JSON ---- */

static void json_pair(struct json *j, const char *key, const uint32_t v[2])
{
	json_key(j, key);
	json_object(j);
	json_key(j, "even");
	json_uint(j, v[0]);
	json_key(j, "odd");
	json_uint(j, v[1]);
	json_object_end(j);
}

static void json_use(struct json *j, const struct why_refusal *r)
{
	const struct why_use *u = &r->use;

	json_key(j, "use");
	if (r->cause != WHY_EXHAUSTED || !u->known) {
		json_null(j);
		return;
	}
	json_object(j);
	json_key(j, "range");
	json_array(j);
	json_uint(j, u->lo);
	json_uint(j, u->hi);
	json_array_end(j);
	json_key(j, "socket_range");
	json_bool(j, u->clipped);
	json_key(j, "reserved");
	json_uint(j, u->reserved);
	json_pair(j, "capacity", u->capacity);
	json_pair(j, "taken", u->taken);
	json_pair(j, "to_destination", u->here);
	json_object_end(j);
}

static void json_tops(struct json *j, const struct why_refusal *r)
{
	json_key(j, "top_holders");
	json_array(j);
	for (size_t i = 0; i < r->n_tops; i++) {
		const struct event *ev = &r->tops[i].ev;

		json_object(j);
		json_key(j, "pid");
		if (ev->lease.tgid)
			json_uint(j, ev->lease.tgid);
		else
			json_null(j);
		json_key(j, "comm");
		json_str(j, ev->lease.tgid ? ev->lease.comm : NULL);
		json_key(j, "exe");
		json_str(j, ev->exe);
		json_key(j, "unit");
		json_str(j, ev->where.unit);
		json_key(j, "container_id");
		json_str(j, ev->where.container_id);
		json_key(j, "ports");
		json_uint(j, r->tops[i].ports);
		json_key(j, "time_wait");
		json_uint(j, r->tops[i].time_wait);
		json_object_end(j);
	}
	json_array_end(j);
}

static const char *cause_name(const struct why_refusal *r)
{
	static const char *const names[] = { [WHY_HELD] = "held", [WHY_EXHAUSTED] = "exhausted", [WHY_ADDRESS] = "address",
					     [WHY_SAME] = "connected", [WHY_ACCESS] = "privilege" };

	if (r->cause == WHY_ACCESS && r->ns.unprivileged_known && r->ev.lease.lport >= r->ns.unprivileged)
		return "denied";
	return names[r->cause];
}

void why_refusal_json(struct strbuf *out, const struct why_refusal *r)
{
	struct strbuf action = STRBUF_INIT;
	struct json j;

	json_init(&j, out);
	json_object(&j);
	facts_json_fields(&j, &r->ev);
	json_key(&j, "count");
	json_uint(&j, r->count);
	json_key(&j, "first");
	json_time(&j, r->first);
	json_key(&j, "cause");
	json_str(&j, cause_name(r));
	why_holders_json(&j, "in_the_way", r->holders, r->in_the_way);
	json_key(&j, "in_the_way_omitted");
	json_uint(&j, r->more);
	json_use(&j, r);
	json_tops(&j, r);
	why_netns_json(&j, &r->ns);
	json_key(&j, "incomplete");
	json_bool(&j, r->unsure);
	json_key(&j, "action");
	json_str(&j, why_refusal_action(&action, r) ? strbuf_str(&action) : NULL);
	json_object_end(&j);
	strbuf_free(&action);
}
