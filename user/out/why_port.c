/* SPDX-License-Identifier: GPL-2.0 */
/* "Could I bind this now, and if not, who is in the way?" */
#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>

#include "base/json.h"
#include "base/str.h"
#include "base/timex.h"
#include "out/facts.h"
#include "out/why_answer.h"

int why_port_errno(const struct why_port *p)
{
	return p->tried && p->trial >= 0 ? p->trial : p->expected;
}

static void say_port(struct strbuf *out, const struct why_port *p)
{
	strbuf_printf(out, "%u/%s", p->port, event_proto_name(p->want.proto));
}

static void say_address(struct strbuf *out, const struct why_port *p)
{
	char addr[INET6_ADDRSTRLEN];

	strbuf_printf(out, "on %s", event_addr(p->want.family, p->want.addr, addr));
	if (!p->own)
		strbuf_printf(out, " in network namespace %u", p->netns);
}

static bool disagree(const struct why_port *p)
{
	return p->tried && p->trial >= 0 && p->trial != p->expected && p->trial != EADDRNOTAVAIL;
}

static void say_headline(struct strbuf *out, const struct why_port *p)
{
	int err = why_port_errno(p);

	say_port(out, p);
	strbuf_puts(out, err ? " cannot be bound " : " can be bound ");
	say_address(out, p);
	if (err == EADDRINUSE && p->in_the_way)
		strbuf_printf(out, ": %s holds it", why_role_text(&p->holders[0]));
	else if (err == EADDRINUSE)
		strbuf_puts(out, ": somebody holds it who cannot be seen");
	else if (err == EACCES)
		strbuf_printf(out, ": ports below %u need CAP_NET_BIND_SERVICE here, which we lack", p->ns.unprivileged);
	else if (err == EADDRNOTAVAIL)
		strbuf_puts(out, ": that is no address of this namespace");
	else if (err)
		strbuf_printf(out, ": %s", strerror(err));
	strbuf_putc(out, '\n');
}

static void say_tcp_state(struct strbuf *out, const struct why_port *p, const struct why_holder *h)
{
	char span[TIMEX_BUF];

	if (h->role == WHY_TIME_WAIT && h->tw_left >= 0)
		strbuf_printf(out, ", TIME_WAIT for %s more", timex_span(h->tw_left, span));
	else if (h->role == WHY_TIME_WAIT)
		strbuf_puts(out, ", TIME_WAIT");
	if (h->dev)
		strbuf_printf(out, ", bound to interface %u", h->dev);
}

/* One line: who, both ends, since when. */
static void say_holder(struct strbuf *out, const struct why_port *p, const struct why_holder *h, bool utc)
{
	const struct pl_lease *l = &h->ev.lease;
	char stamp[TIMEX_BUF], span[TIMEX_BUF];

	strbuf_puts(out, "  ");
	why_say_holder(out, h);
	say_tcp_state(out, p, h);
	if (l->flags & PL_F_SNAPSHOT)
		strbuf_puts(out, ", beginning not recorded");
	else
		strbuf_printf(out, " since %s (%s)", timex_stamp(h->ev.start, utc, stamp),
			      timex_span(p->now - h->ev.start, span));
	strbuf_putc(out, '\n');
}

static bool in_range(const struct why_port *p)
{
	return p->ns.known && p->port >= p->ns.lo && p->port <= p->ns.hi;
}

static bool is_reserved(const struct why_port *p)
{
	return p->ns.reserved && ports_has(p->ns.reserved, p->port);
}

/* Why the number is where it is. */
static void say_range(struct strbuf *out, const struct why_port *p)
{
	const struct why_holder *h = p->in_the_way ? &p->holders[0] : NULL;
	bool chosen = h && (h->role == WHY_OUTGOING || h->role == WHY_CONNECTED) && in_range(p) && !(h->ev.lease.sock & PL_S_LOCKED) &&
		      h->ev.lease.kind != PL_KIND_BIND;

	if (is_reserved(p))
		strbuf_printf(out, "  %u is reserved here: no outgoing connection takes it by chance\n", p->port);
	else if (chosen)
		strbuf_printf(out, "  the kernel chose it: %u lies in this namespace's ephemeral range %u-%u\n", p->port, p->ns.lo, p->ns.hi);
	else if (in_range(p) && !why_port_errno(p))
		strbuf_printf(out, "  %u lies in this namespace's ephemeral range %u-%u: an outgoing connection may take it\n",
			      p->port, p->ns.lo, p->ns.hi);
}

static void say_elsewhere(struct strbuf *out, const struct why_port *p)
{
	for (size_t i = 0; i < p->n_others && i < 5; i++) {
		const struct event *ev = &p->others[i].ev;

		strbuf_puts(out, "  not in the way: ");
		why_say_owner(out, ev);
		strbuf_putc(out, ' ');
		why_say_end(out, ev->lease.family, ev->lease.laddr, ev->lease.lport);
		if (ev->lease.netns != p->netns)
			strbuf_printf(out, ", in network namespace %u", ev->lease.netns);
		else
			strbuf_printf(out, ", %s", event_proto_name(ev->lease.proto));
		strbuf_putc(out, '\n');
	}
	if (p->n_others > 5)
		strbuf_printf(out, "  not in the way: %zu more, of other namespaces or protocols\n", p->n_others - 5);
}

static void say_doubts(struct strbuf *out, const struct why_port *p)
{
	int err = why_port_errno(p);

	if (p->tried && p->trial < 0)
		strbuf_printf(out, "  it could not be tried: %s\n", strerror(-p->trial));
	if (err == EADDRINUSE && !p->in_the_way)
		strbuf_puts(out, "  the kernel refuses a bind, but no socket that can be seen is in the way: it may belong to io_uring\n"
				 "  alone, be on its way between two processes, or be bound in a VRF; a recorder that runs would know it\n");
	else if (disagree(p))
		strbuf_printf(out, "  a trial bind says otherwise than the rules do: the kernel said %s\n",
			      p->trial ? event_errno_name(p->trial) : "yes");
}

static bool low(const struct why_port *p)
{
	return p->ns.unprivileged_known && p->port < p->ns.unprivileged;
}

bool why_port_action(struct strbuf *out, const struct why_port *p)
{
	int err = why_port_errno(p);

	if (err == EADDRINUSE && p->in_the_way) {
		why_holder_action(out, &p->holders[0], &p->ns, true);
		if (!p->own && strstr(strbuf_str(out), "sysctl "))
			strbuf_printf(out, ", in network namespace %u", p->netns);
		return true;
	}
	if (err != EACCES)
		return false;
	strbuf_printf(out, "to allow it: setcap cap_net_bind_service+ep PROGRAM, or sysctl net.ipv4.ip_unprivileged_port_start=%u",
		      p->port);
	return true;
}

static void say_others_in_the_way(struct strbuf *out, const struct why_port *p, bool utc)
{
	for (size_t i = 1; i < p->in_the_way && i < 10; i++)
		say_holder(out, p, &p->holders[i], utc);
	if (p->in_the_way > 10)
		strbuf_printf(out, "  and %zu more\n", p->in_the_way - 10);
}

void why_port_text(struct strbuf *out, const struct why_port *p, bool utc)
{
	struct strbuf line = STRBUF_INIT;

	say_headline(out, p);
	if (p->in_the_way) {
		say_holder(out, p, &p->holders[0], utc);
		say_others_in_the_way(out, p, utc);
	}
	say_range(out, p);
	if (low(p) && why_port_errno(p) != EACCES)
		strbuf_printf(out, "  ports below %u need CAP_NET_BIND_SERVICE here\n", p->ns.unprivileged);
	if (p->in_the_way && p->holders[0].role != WHY_TIME_WAIT && why_say_remedies(&line, &p->holders[0]))
		strbuf_printf(out, "  %s\n", strbuf_str(&line));
	strbuf_reset(&line);
	if (why_port_action(&line, p))
		strbuf_printf(out, "  %s\n", strbuf_str(&line));
	strbuf_free(&line);
	for (size_t i = p->in_the_way; i < p->n && i < p->in_the_way + 5; i++) {
		strbuf_puts(out, "  beside it, not in the way:\n");
		say_holder(out, p, &p->holders[i], utc);
	}
	say_elsewhere(out, p);
	say_doubts(out, p);
}

/* ---- JSON ---- */

static void json_remedies(struct json *j, const struct why_holder *h)
{
	static const struct {
		unsigned int bit;
		const char *name;
	} words[] = {
		{ WHY_WANT_REUSEADDR, "SO_REUSEADDR" }, { WHY_WANT_REUSEPORT, "SO_REUSEPORT" }, { WHY_WANT_V6ONLY, "IPV6_V6ONLY" },
		{ WHY_BOTH_REUSEADDR, "SO_REUSEADDR on both" }, { WHY_BOTH_REUSEPORT, "SO_REUSEPORT on both" },
	};

	json_key(j, "would_allow");
	if (!h->opts_known) {
		json_null(j);
		return;
	}
	json_array(j);
	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		if (h->remedies & words[i].bit)
			json_str(j, words[i].name);
	json_array_end(j);
}

static void json_option(struct json *j, const char *key, const struct pl_lease *l, uint8_t bit)
{
	json_key(j, key);
	if (l->sock & PL_S_KNOWN)
		json_bool(j, l->sock & bit);
	else
		json_null(j);
}

void why_holder_json(struct json *j, const struct why_holder *h)
{
	json_object(j);
	facts_json_fields(j, &h->ev);
	json_key(j, "role");
	json_str(j, why_role_name(h->role));
	json_key(j, "role_certain");	/* of one that is open still, only its beginning may be known */
	json_bool(j, h->role != WHY_BOUND || h->fresh || h->ev.end);
	json_key(j, "in_the_way");
	json_bool(j, h->in_the_way);
	json_option(j, "reuseaddr", &h->ev.lease, PL_S_REUSEADDR);
	json_option(j, "reuseport", &h->ev.lease, PL_S_REUSEPORT);
	json_option(j, "v6only", &h->ev.lease, PL_S_V6ONLY);
	json_remedies(j, h);
	json_key(j, "time_wait_left_us");
	if (h->tw_left >= 0)
		json_int(j, h->tw_left / 1000);
	else
		json_null(j);
	json_object_end(j);
}

void why_holders_json(struct json *j, const char *key, const struct why_holder *h, size_t n)
{
	json_key(j, key);
	json_array(j);
	for (size_t i = 0; i < n; i++)
		why_holder_json(j, &h[i]);
	json_array_end(j);
}

void why_netns_json(struct json *j, const struct why_netns *ns)
{
	json_key(j, "range");
	if (ns->known) {
		json_array(j);
		json_uint(j, ns->lo);
		json_uint(j, ns->hi);
		json_array_end(j);
	} else {
		json_null(j);
	}
	json_key(j, "unprivileged_port_start");
	if (ns->unprivileged_known)
		json_uint(j, ns->unprivileged);
	else
		json_null(j);
}

static void json_errno(struct json *j, const char *key, bool known, int err)
{
	json_key(j, key);
	json_str(j, !known ? NULL : err ? event_errno_name(err) : "OK");
}

void why_port_json(struct strbuf *out, const struct why_port *p)
{
	struct strbuf action = STRBUF_INIT;
	char addr[INET6_ADDRSTRLEN];
	struct json j;

	json_init(&j, out);
	json_object(&j);
	json_key(&j, "port");
	json_uint(&j, p->port);
	json_key(&j, "proto");
	json_str(&j, event_proto_name(p->want.proto));
	json_key(&j, "laddr");
	json_str(&j, event_addr(p->want.family, p->want.addr, addr));
	json_key(&j, "netns");
	json_id(&j, p->netns);
	json_key(&j, "can_bind");
	json_bool(&j, !why_port_errno(p));
	json_errno(&j, "errno", why_port_errno(p), why_port_errno(p));
	json_errno(&j, "rules_say", true, p->expected);
	json_errno(&j, "kernel_says", p->tried && p->trial >= 0, p->trial);
	why_holders_json(&j, "in_the_way", p->holders, p->in_the_way);
	why_holders_json(&j, "not_in_the_way", p->n ? p->holders + p->in_the_way : NULL, p->n - p->in_the_way);
	why_holders_json(&j, "elsewhere", p->others, p->n_others);
	why_netns_json(&j, &p->ns);
	json_key(&j, "reserved");
	json_bool(&j, is_reserved(p));
	json_key(&j, "action");
	json_str(&j, why_port_action(&action, p) ? strbuf_str(&action) : NULL);
	json_object_end(&j);
	strbuf_free(&action);
}
