/* SPDX-License-Identifier: GPL-2.0 */
/*
 * why PORT: could I bind this now?  The rules are asked with what the kernel
 * shows of the port's sockets, and then the kernel itself, by a trial.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/str.h"
#include "cmd/cmd.h"
#include "cmd/why.h"
#include "kern/identity.h"
#include "kern/trial.h"
#include "model/ask.h"
#include "model/event_list.h"
#include "out/facts.h"

struct now {
	const struct why_opts *o;
	struct why_port p;
	struct why_holders held, others;
	struct why_spaces spaces;
	struct source *source;
	int64_t boot_to_unix;
	struct why_holder *last;	/* the one that details may follow for */
	int err;
};

/* ---- what is asked ---- */

static int ask_address(struct now *w, const char *text)
{
	struct why_sock *want = &w->p.want;

	want->family = strchr(text, ':') ? AF_INET6 : AF_INET;
	memset(want->addr, 0, sizeof(want->addr));
	if (inet_pton(want->family, text, want->addr) == 1)
		return 0;
	log_err("--addr wants an IPv4 or IPv6 address");
	return -EINVAL;
}

/* "8080", "10.0.0.5:8080", "[::1]:8080"; -EINVAL, said. */
static int ask_port(struct now *w, const char *text)
{
	char why[PORTS_WHY_LEN * 2];
	struct ask ask;

	if (ask_parse(text, &ask, why, sizeof(why))) {
		log_err("%s", why);
		return -EINVAL;
	}
	if (ask.lo != ask.hi) {
		log_err("one port can be asked about, '%s' is a range", text);
		return -EINVAL;
	}
	if (ask.by_addr && w->o->addr) {
		log_err("the address stands before the port or after --addr, not both");
		return -EINVAL;
	}
	w->p.port = ask.lo;
	w->p.want.family = ask.by_addr ? ask.family : AF_INET;
	if (ask.by_addr)
		memcpy(w->p.want.addr, ask.addr, sizeof(w->p.want.addr));
	return w->o->addr ? ask_address(w, w->o->addr) : 0;
}

static int ask_all(struct now *w, const char *port)
{
	const struct why_opts *o = w->o;
	struct why_sock *want = &w->p.want;
	int err = ask_port(w, port);

	if (err)
		return err;
	if (o->v6only && want->family != AF_INET6) {
		log_err("--v6only goes with an IPv6 address: --addr ::");
		return -EINVAL;
	}
	want->proto = o->proto ? (uint8_t)o->proto : IPPROTO_TCP;
	want->opts = PL_S_KNOWN | (o->reuseaddr ? PL_S_REUSEADDR : 0) | (o->reuseport ? PL_S_REUSEPORT : 0) |
		     (o->v6only ? PL_S_V6ONLY : 0);
	want->uid = geteuid();
	return 0;
}

/* ---- who holds it ---- */

static int now_record(void *ctx, const struct pl_rec *rec)
{
	struct now *w = ctx;
	struct why_holders *list;
	struct event ev;
	int err;

	w->last = NULL;
	if (rec->hdr.kind != PL_REC_OPEN || rec->lease.lport != w->p.port)
		return 0;
	err = event_decode(rec, w->boot_to_unix, &ev);
	if (err)
		return err;
	identity_fill(source_identity(w->source), &ev);
	list = rec->lease.netns == w->p.netns && rec->lease.proto == w->p.want.proto ? &w->held : &w->others;
	err = why_holders_add(list, &ev);
	if (err)
		return err;
	w->last = &list->at[list->n - 1];
	w->last->fresh = true;
	return 0;
}

static int64_t time_wait_left(const struct pl_sock_rec *rec)
{
	struct timespec mono;
	unsigned int hz;

	clock_gettime(CLOCK_MONOTONIC, &mono);
	hz = why_hz(rec->jiffies, (uint64_t)mono.tv_sec * 1000000000ULL + (uint64_t)mono.tv_nsec);
	if (!hz || !rec->tw_expires)
		return -1;
	return rec->tw_expires > rec->jiffies ? (int64_t)((rec->tw_expires - rec->jiffies) * 1000000000ULL / hz) : 0;
}

static int now_more(void *ctx, const struct pl_sock_rec *rec)
{
	struct now *w = ctx;
	struct why_holder *h = w->last;

	if (!h || h->ev.lease.id != rec->lease)
		return 0;
	h->dev = rec->dev;
	h->uid_known = !rec->tw_expires;
	h->uid = rec->uid;
	if (rec->tw_expires)
		h->tw_left = time_wait_left(rec);
	return 0;
}

static bool same_socket(const struct pl_lease *now, const struct pl_lease *told)
{
	static const uint32_t any[4];

	if (now->proto != told->proto || now->netns != told->netns || now->lport != told->lport || now->family != told->family)
		return false;
	if (now->cookie && told->cookie)
		return now->cookie == told->cookie;
	return (!told->rport || (now->rport == told->rport && !memcmp(now->raddr, told->raddr, sizeof(any)))) &&
	       (!memcmp(told->laddr, any, sizeof(any)) || !memcmp(now->laddr, told->laddr, sizeof(any)));
}

/* Start, kind and owner as the recorder saw them; what the socket is now stays. */
static void take_beginning(struct why_holder *h, const struct pl_lease *told, int64_t boot_to_unix)
{
	struct pl_lease *l = &h->ev.lease;
	const bool same_owner = l->tgid == told->tgid;

	h->ev.start = (int64_t)told->start + boot_to_unix;
	l->start = told->start;
	l->kind = told->kind;
	l->flags = (uint8_t)((l->flags & ~PL_F_SNAPSHOT) | (told->flags & PL_F_CHOSEN));
	if (!told->tgid || same_owner)
		return;
	l->tgid = told->tgid;
	l->tid = told->tid;
	l->ppid = told->ppid;
	l->uid = told->uid;
	l->proc_start = told->proc_start;
	h->ev.proc_start = told->proc_start ? (int64_t)told->proc_start + boot_to_unix : 0;
	l->owner_src = told->owner_src;
	memcpy(l->comm, told->comm, sizeof(l->comm));
	event_strings_free(&h->ev);	/* of another process */
}

/*
 * One that only a recorder knows: no process shows it.  The kernel's tables list
 * everything but TCP sockets that are bound and no more; of the rest, what we
 * have not seen has ended, and the recorder will learn of it.
 */
static int add_told(struct now *w, const struct pl_lease *told)
{
	bool listed = told->proto != IPPROTO_TCP || told->rport || (told->flags & (PL_F_TIME_WAIT | PL_F_LISTEN));
	struct pl_rec rec = { .hdr = { .ts = told->start, .size = sizeof(rec), .kind = PL_REC_OPEN }, .lease = *told };
	struct event ev;
	int err;

	if (listed)
		return 0;
	err = event_decode(&rec, w->boot_to_unix, &ev);
	return err ? err : why_holders_add(&w->held, &ev);
}

static int now_peer(void *ctx, const struct pl_lease *told)
{
	struct now *w = ctx;

	if (told->netns != w->p.netns || told->proto != w->p.want.proto)
		return 0;
	for (size_t i = 0; i < w->held.n; i++) {
		struct why_holder *h = &w->held.at[i];

		if (!same_socket(&h->ev.lease, told))
			continue;
		if ((h->ev.lease.flags & PL_F_SNAPSHOT) && !(told->flags & PL_F_SNAPSHOT))
			take_beginning(h, told, w->boot_to_unix);
		return 0;
	}
	return add_told(w, told);
}

/* Looks; 0 or an exit code, said. */
static int now_look(struct now *w)
{
	int err = source_open_look_more(w->p.port, w->p.port, now_record, now_more, w, &w->source);

	if (err)
		return cmd_open_exit(err);
	w->boot_to_unix = clock_boot_to_unix();
	err = source_snapshot(w->source);
	if (!err)
		err = source_peers(w->p.port, w->p.port, now_peer, w);
	if (err == -ENOENT || err == -EPERM)	/* what was seen is enough */
		err = 0;
	source_close(w->source);
	for (size_t i = 0; !err && i < w->held.n; i++)
		err = cmd_here(&w->held.at[i].ev);
	for (size_t i = 0; !err && i < w->others.n; i++)
		err = cmd_here(&w->others.at[i].ev);
	return err ? cmd_open_exit(err) : 0;
}

/* ---- the answer ---- */

static void now_try(struct now *w)
{
	struct why_port *p = &w->p;
	struct trial t = { .netns = p->netns, .proto = p->want.proto, .family = p->want.family, .port = p->port,
			   .reuseaddr = w->o->reuseaddr, .reuseport = w->o->reuseport, .v6only = w->o->v6only };

	memcpy(t.addr, p->want.addr, sizeof(t.addr));
	p->tried = true;
	p->trial = trial_bind(&t);
}

static void now_conclude(struct now *w)
{
	struct why_port *p = &w->p;

	for (size_t i = 0; i < w->held.n; i++)
		why_judge(&w->held.at[i], &p->want, 0);
	p->in_the_way = why_holders_sort(&w->held);
	p->holders = w->held.at;
	p->n = w->held.n;
	why_holders_sort(&w->others);
	p->others = w->others.at;
	p->n_others = w->others.n;
	p->may_low = host_may_bind_low();
	p->expected = p->in_the_way ? EADDRINUSE : 0;
	if (p->ns.unprivileged_known && p->port < p->ns.unprivileged && !p->may_low)
		p->expected = EACCES;
	p->now = clock_unix_ns();
}

static int now_print(const struct now *w)
{
	const struct common_opts *c = &w->o->common;
	struct strbuf out = STRBUF_INIT;
	int err;

	if (c->output == OUT_TABLE)
		why_port_text(&out, &w->p, c->utc);
	if (c->output == OUT_JSON) {
		why_port_json(&out, &w->p);
		strbuf_putc(&out, '\n');
	}
	if (c->output == OUT_CSV && c->header)
		facts_csv_header(&out);
	for (size_t i = 0; i < w->p.in_the_way; i++) {
		if (c->output == OUT_CSV)
			facts_csv(&out, &w->held.at[i].ev);
		if (c->output != OUT_JSONL)
			continue;
		facts_json(&out, &w->held.at[i].ev);
		strbuf_putc(&out, '\n');
	}
	err = why_write(&out);
	strbuf_free(&out);
	return err;
}

static bool now_held(const struct why_port *p)
{
	return why_port_errno(p) == EADDRINUSE;
}

int why_now(const struct why_opts *o, const char *port)
{
	struct now w = { .o = o };
	int err = ask_all(&w, port);

	if (err)
		return EXIT_USAGE;
	w.p.own = !o->netns || o->netns == host_netns();
	w.p.netns = o->netns ? o->netns : host_netns();
	why_spaces_get(&w.spaces, w.p.netns, false, &w.p.ns);
	if (!w.p.own && !w.p.ns.known) {
		log_err("network namespace %u cannot be entered: no process and no name under /run/netns shows it, or no CAP_SYS_ADMIN",
			w.p.netns);
		err = EXIT_PRIVILEGE;
	}
	if (!err)
		err = now_look(&w);
	if (!err && o->trial)
		now_try(&w);
	if (!err) {
		now_conclude(&w);
		err = now_print(&w);
	}
	if (!err)
		err = now_held(&w.p) ? EXIT_OK : EXIT_NOTHING;
	why_holders_free(&w.held);
	why_holders_free(&w.others);
	why_spaces_free(&w.spaces);
	return err;
}
