/* SPDX-License-Identifier: GPL-2.0 */
/* The words that both answers share: who, what, what would have allowed it, what to do. */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <pwd.h>
#include <string.h>

#include "base/str.h"
#include "base/timex.h"
#include "out/why_answer.h"

void why_say_end(struct strbuf *out, unsigned int family, const uint32_t addr[4], unsigned int port)
{
	char text[INET6_ADDRSTRLEN];

	strbuf_printf(out, family == AF_INET6 ? "[%s]:%u" : "%s:%u", event_addr(family, addr, text), port);
}

static void say_detail(struct strbuf *out, const char *text)
{
	strbuf_puts(out, ", ");
	str_name(out, text);
}

void why_say_owner(struct strbuf *out, const struct event *ev)
{
	const struct pl_lease *l = &ev->lease;
	struct passwd *pw;

	if (!l->tgid) {
		strbuf_puts(out, l->owner_src == PL_OWNER_KERNEL ? "the kernel" : "an unknown owner");
		return;
	}
	if (l->owner_src == PL_OWNER_KERNEL)
		strbuf_puts(out, "the kernel, for ");
	str_name(out, l->comm);
	strbuf_printf(out, " (pid %u", l->tgid);
	if (ev->exe)
		say_detail(out, ev->exe);
	if (l->uid) {
		pw = getpwuid(l->uid);
		if (pw)
			say_detail(out, pw->pw_name);
		else
			strbuf_printf(out, ", uid %u", l->uid);
	}
	if (ev->where.unit)
		say_detail(out, ev->where.unit);
	if (ev->where.container_id) {	/* out of a history it may be any text */
		strbuf_puts(out, ", container ");
		str_escape(out, ev->where.container_id, strnlen(ev->where.container_id, 12));
	}
	strbuf_putc(out, ')');
}

const char *why_role_text(const struct why_holder *h)
{
	static const char *const texts[] = {
		[WHY_LISTENING] = "a listening socket",
		[WHY_BOUND] = "a bound socket that neither listens nor is connected",
		[WHY_OUTGOING] = "an outgoing connection",
		[WHY_ACCEPTED] = "an accepted connection",
		[WHY_UNACCEPTED] = "a connection that its listener has not accepted yet",
		[WHY_CONNECTED] = "a connection",
		[WHY_CLOSING] = "a connection that its process has closed and the kernel is finishing",
		[WHY_TIME_WAIT] = "a connection in TIME_WAIT",
		[WHY_UDP] = "a UDP socket",
		[WHY_KERNEL] = "a socket of the kernel itself",
	};

	/* Of one that is open still, only its beginning may be known. */
	if (h->role == WHY_BOUND && !h->fresh && !h->ev.end)
		return "a bound socket";
	return texts[h->role];
}

static const char *opts_text(uint8_t sock)
{
	switch (sock & (PL_S_REUSEADDR | PL_S_REUSEPORT)) {
	case PL_S_REUSEADDR:
		return "has SO_REUSEADDR set";
	case PL_S_REUSEPORT:
		return "has SO_REUSEPORT set";
	case PL_S_REUSEADDR | PL_S_REUSEPORT:
		return "has SO_REUSEADDR and SO_REUSEPORT set";
	default:
		return "has neither SO_REUSEADDR nor SO_REUSEPORT set";
	}
}

bool why_say_remedies(struct strbuf *out, const struct why_holder *h)
{
	unsigned int r = h->remedies;

	if (!h->in_the_way)
		return false;
	if (!h->opts_known) {
		strbuf_puts(out, "whether SO_REUSEADDR or SO_REUSEPORT would have allowed it is not known");
		return true;
	}
	if (r & (WHY_WANT_REUSEADDR | WHY_WANT_REUSEPORT))
		strbuf_printf(out, "it %s: with %s the asking socket could share the port", opts_text(h->ev.lease.sock),
			      r & WHY_WANT_REUSEADDR ? "SO_REUSEADDR" : "SO_REUSEPORT");
	else if (r & (WHY_BOTH_REUSEADDR | WHY_BOTH_REUSEPORT))
		strbuf_printf(out, "it %s: sharing needs %s on both sockets, set before bind", opts_text(h->ev.lease.sock),
			      r & WHY_BOTH_REUSEADDR ? "SO_REUSEADDR" : "SO_REUSEPORT");
	else
		strbuf_printf(out, "it %s, and belongs to another user: no option would have allowed it",
			      opts_text(h->ev.lease.sock));
	if (r & WHY_WANT_V6ONLY)
		strbuf_puts(out, "; so would IPV6_V6ONLY, without IPv4");
	return true;
}

/* ---- what to do ---- */

static bool kernel_chose(const struct pl_lease *l)
{
	return (l->flags & PL_F_CHOSEN) || l->kind == PL_KIND_CONNECT || (l->sock & PL_S_CONNECT) ||
	       (!(l->sock & PL_S_LOCKED) && (l->flags & PL_F_IN_RANGE) && l->kind == PL_KIND_UNKNOWN);
}

/* The list of reserved ports as the sysctl wants it, with `more`: it replaces the old one. */
static void say_reserved(struct strbuf *out, const struct ports *set, uint16_t more)
{
	struct ports all = { .count = 0 };
	const char *comma = "";

	if (set)
		all = *set;
	ports_add(&all, more, more);
	for (uint32_t p = 1, last; p <= 65535; p = last + 1) {
		last = p;
		if (!ports_has(&all, (uint16_t)p))
			continue;
		while (last < 65535 && ports_has(&all, (uint16_t)(last + 1)))
			last++;
		strbuf_printf(out, last > p ? "%s%u-%u" : "%s%u", comma, p, last);
		comma = ",";
	}
}

/* Of the system's manager: below a user's own one its owner may call a unit as he likes, sshd.service too. */
static bool system_unit(const struct workload *w)
{
	return w->unit && strstr(w->unit, ".service") && !(w->cgroup && strstr(w->cgroup, "/user@"));
}

static void say_stop(struct strbuf *out, const struct event *ev)
{
	if (system_unit(&ev->where)) {
		strbuf_puts(out, "systemctl stop ");
		str_escape_str(out, ev->where.unit);
	} else {
		strbuf_printf(out, "kill %u", ev->lease.tgid);
	}
}

/* ss -K: kills the connection, not the process. */
static void say_kill_connection(struct strbuf *out, const struct pl_lease *l)
{
	strbuf_puts(out, "ss -K src ");
	why_say_end(out, l->family, l->laddr, l->lport);
	if (!l->rport)
		return;
	strbuf_puts(out, " dst ");
	why_say_end(out, l->family, l->raddr, l->rport);
}

static void time_wait_action(struct strbuf *out, const struct why_holder *h, bool now)
{
	char span[TIMEX_BUF];

	if (h->tw_left >= 0)
		strbuf_printf(out, now ? "it frees itself in %s" : "it freed itself %s later", timex_span(h->tw_left, span));
	else
		strbuf_puts(out, "it frees itself within a minute");
	if (h->remedies & WHY_WANT_REUSEADDR)
		strbuf_puts(out, "; a server that sets SO_REUSEADDR before bind need not wait");
	else if (h->opts_known)
		strbuf_puts(out, "; had both set SO_REUSEADDR, nobody would need to wait");
}

bool why_holder_action(struct strbuf *out, const struct why_holder *h, const struct why_netns *ns, bool now)
{
	const struct pl_lease *l = &h->ev.lease;

	switch (h->role) {
	case WHY_TIME_WAIT:
		time_wait_action(out, h, now);
		return true;
	case WHY_KERNEL:
		strbuf_puts(out, "to free it: remove what the kernel keeps it for (a tunnel: ip -d link; an NFS or RPC mount)");
		return true;
	case WHY_OUTGOING:
	case WHY_CONNECTED:
		if (!kernel_chose(l) || !ns->known || l->lport < ns->lo || l->lport > ns->hi ||
		    (ns->reserved && ports_has(ns->reserved, l->lport)))
			break;
		strbuf_puts(out, "to keep it for a server: sysctl net.ipv4.ip_local_reserved_ports=");
		say_reserved(out, ns->reserved, l->lport);
		return true;
	default:
		break;
	}
	if (!now)
		return false;
	strbuf_puts(out, "to free it: ");
	if (h->role == WHY_CLOSING || h->role == WHY_ACCEPTED || h->role == WHY_OUTGOING || !l->tgid)
		say_kill_connection(out, l);
	else
		say_stop(out, &h->ev);
	return true;
}

void why_say_holder(struct strbuf *out, const struct why_holder *h)
{
	const struct pl_lease *l = &h->ev.lease;

	why_say_owner(out, &h->ev);
	strbuf_putc(out, ' ');
	why_say_end(out, l->family, l->laddr, l->lport);
	if (l->rport && h->role != WHY_LISTENING && h->role != WHY_BOUND) {
		strbuf_puts(out, " -> ");
		why_say_end(out, l->family, l->raddr, l->rport);
	}
}
