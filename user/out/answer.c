/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Sentences are built from the same struct as the document; names of other
 * people are escaped before they reach a terminal.
 */
#include "out/answer.h"

#include <arpa/inet.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>

#include "base/json.h"
#include "base/str.h"
#include "base/timex.h"
#include "out/facts.h"

#define GAPS_SAID 3

/* "dig (pid 4711, root, ssh.service)" */
static void say_owner(struct strbuf *out, const struct event *ev)
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
	strbuf_printf(out, " (pid %u, ", l->tgid);
	pw = getpwuid(l->uid);
	if (pw)
		str_name(out, pw->pw_name);
	else
		strbuf_printf(out, "uid %u", l->uid);
	if (ev->where.unit) {
		strbuf_puts(out, ", ");
		str_name(out, ev->where.unit);
	}
	if (ev->where.container_id) {	/* out of a history it may be any text */
		strbuf_puts(out, ", container ");
		str_escape(out, ev->where.container_id, strnlen(ev->where.container_id, 12));
	}
	strbuf_puts(out, ")");
	if (l->owner_src == PL_OWNER_LISTENER)
		strbuf_puts(out, ", the listener's owner: nobody accepted it yet");
}

static const char *say_kind(const struct pl_lease *l, bool seen)
{
	switch (l->kind) {
	case PL_KIND_CONNECT:
		return "chosen by the kernel at connect";
	case PL_KIND_BIND0:
		return "chosen by the kernel at bind to port 0";
	case PL_KIND_BIND:
		return "asked for by bind";
	case PL_KIND_LISTEN:
		return "chosen by the kernel at listen";
	case PL_KIND_SEND:
		return "chosen by the kernel at the first send";
	case PL_KIND_ACCEPT:
		return "inherited from its listener";
	}
	if (l->flags & PL_F_LISTEN)
		return "listening";
	return !seen ? "held before the recorder started" : l->rport ? "connected" : "bound";
}

/* Only there when it was asked for at recording time. */
static void say_cmdline(struct strbuf *out, const struct event *ev)
{
	if (!ev->cmdline)
		return;
	strbuf_puts(out, "    arguments: ");
	str_escape_str(out, ev->cmdline);
	strbuf_putc(out, '\n');
}

/* `seen`: from the kernel now; else from the history, where an open end means held when last seen. */
static void say_row(struct strbuf *out, const struct answer *a, const struct event *ev, bool seen, bool utc, int64_t now)
{
	const struct pl_lease *l = &ev->lease;
	int64_t start = l->flags & PL_F_SNAPSHOT ? 0 : ev->start;
	char from[TIMEX_BUF], to[TIMEX_BUF], span[TIMEX_BUF], addr[INET6_ADDRSTRLEN];

	strbuf_puts(out, "  ");
	if (start)
		strbuf_puts(out, timex_stamp(start, utc, from));
	else
		strbuf_puts(out, "beginning not recorded");
	strbuf_printf(out, " - %s", ev->end ? timex_stamp(ev->end, utc, to) : seen ? "now" : "held when last seen");
	if (start && (ev->end || seen))
		strbuf_printf(out, " (%s)", timex_span((ev->end ? ev->end : now) - start, span));
	strbuf_printf(out, ", %s", say_kind(l, seen));
	strbuf_printf(out, l->family == AF_INET6 ? ", on [%s]:%u" : ", on %s:%u", event_addr(l->family, l->laddr, addr), l->lport);
	if (event_has_remote(ev))
		strbuf_printf(out, l->family == AF_INET6 ? ", to [%s]:%u" : ", to %s:%u",
			      event_addr(l->family, l->raddr, addr), l->rport);
	if (a->own_netns && l->netns != a->own_netns)
		strbuf_printf(out, ", in network namespace %u", l->netns);
	if (ev->closed)
		strbuf_printf(out, ", in TIME_WAIT from %s", timex_clock(ev->closed, utc, from));
	else if (l->flags & PL_F_TIME_WAIT)
		strbuf_puts(out, ", in TIME_WAIT");
	strbuf_putc(out, '\n');
	say_cmdline(out, ev);
}

static void say_port(struct strbuf *out, const struct answer *a, const struct event *ev)
{
	strbuf_printf(out, "%u/%s", ev->lease.lport, event_proto_name(ev->lease.proto));
}

static void say_now(struct strbuf *out, const struct answer *a, bool utc, int64_t now)
{
	if (!a->now_known) {
		strbuf_puts(out, "who holds it now is not known: the kernel could not be looked at\n");
		return;
	}
	if (!a->n_now)
		strbuf_printf(out, "nobody holds %s now\n", a->asked);
	for (size_t i = 0; i < a->n_now; i++) {
		say_port(out, a, &a->now[i]);
		strbuf_puts(out, a->now[i].lease.flags & PL_F_TIME_WAIT ? " is held in TIME_WAIT, by " : " is held by ");
		say_owner(out, &a->now[i]);
		strbuf_putc(out, '\n');
		say_row(out, a, &a->now[i], true, utc, now);
	}
}

static void say_when(struct strbuf *out, const struct answer *a, bool utc)
{
	char from[TIMEX_BUF], to[TIMEX_BUF], zone[TIMEX_BUF];

	if (a->at)
		strbuf_printf(out, "at %s%s", timex_stamp(a->at, utc, from), timex_offset(a->at, utc, zone));
	else
		strbuf_printf(out, "from %s to %s%s", timex_stamp(a->since, utc, from), timex_stamp(a->until, utc, to),
			      timex_offset(a->until, utc, zone));
}

static void say_gap(struct strbuf *out, const struct gap *g, bool utc)
{
	static const char *const words[] = {
		[GAP_RING] = "the reader was too slow", [GAP_TABLE] = "more ports were held than the table has room for",
		[GAP_STOPPED] = "no recorder ran, it had been stopped", [GAP_CRASH] = "no recorder ran, it had been killed",
		[GAP_BOOT] = "the host was down, or no recorder ran yet", [GAP_STORE] = "not all that was recorded is in the history",
		[GAP_MISSED] = "the kernel passed over a hook", [GAP_DETACHED] = "somebody had taken hooks away",
	};
	char from[TIMEX_BUF], to[TIMEX_BUF];

	if (g->to == INT64_MAX)
		strbuf_printf(out, "  since %s: %s", timex_stamp(g->from, utc, from), words[g->cause]);
	else
		strbuf_printf(out, "  from %s to %s: %s", timex_stamp(g->from, utc, from), timex_stamp(g->to, utc, to), words[g->cause]);
	if (g->lost > 0)
		strbuf_printf(out, ", %lld event%s lost", (long long)g->lost, g->lost == 1 ? "" : "s");
	strbuf_putc(out, '\n');
}

/* What was not seen, the newest first; all of it is in the document. */
static void say_gaps(struct strbuf *out, const struct answer *a, bool utc)
{
	char when[TIMEX_BUF];

	for (size_t i = 0; i < a->n_gaps && i < GAPS_SAID; i++)
		say_gap(out, &a->gaps[i], utc);
	if (a->n_gaps > GAPS_SAID)
		strbuf_printf(out, "  and %zu more gap%s\n", a->n_gaps - GAPS_SAID, a->n_gaps == GAPS_SAID + 1 ? "" : "s");
	if (!a->asked_span)
		return;
	if (a->since < a->evicted_before)
		strbuf_printf(out, "  before %s: removed by retention\n", timex_stamp(a->evicted_before, utc, when));
	if (a->since < a->recorded_since)
		strbuf_printf(out, "  before %s: recording had not begun\n", timex_stamp(a->recorded_since, utc, when));
}

static void say_hole(struct strbuf *out, const struct answer *a, bool utc)
{
	char when[TIMEX_BUF];

	switch (a->hole) {
	case HOLE_NONE:
		return;
	case HOLE_NO_HISTORY:
		strbuf_puts(out, "there is no history to ask: portlife record keeps one\n");
		return;
	case HOLE_BEFORE:
		strbuf_printf(out, "that is before recording began%s%s\n", a->recorded_since ? ", " : "",
			      a->recorded_since ? timex_stamp(a->recorded_since, utc, when) : "");
		return;
	case HOLE_EVICTED:
		strbuf_puts(out, "that part of the history has been removed by retention\n");
		return;
	case HOLE_UNREAD:
		strbuf_puts(out, "the recorder that runs may not be asked by this user: a lease that is still open may be missing\n");
		break;
	case HOLE_GAP:
		if (a->lost > 0)
			strbuf_printf(out, "%lld events were lost in that time: the answer may not be complete\n", (long long)a->lost);
		else
			strbuf_puts(out, "events were lost, or nobody recorded, in part of that time: the answer may not be complete\n");
	}
	say_gaps(out, a, utc);
}

static void say_omitted(struct strbuf *out, const struct answer *a)
{
	if (a->omitted)
		strbuf_printf(out, "  and %s%llu more (--limit)\n", a->sampled && !a->asked_span ? "about " : "",
			      (unsigned long long)a->omitted);
}

/* Asked for a moment or a span: the sentence leads with it. */
static void say_then(struct strbuf *out, const struct answer *a, bool utc, int64_t now)
{
	if (!a->n_held && a->hole != HOLE_BEFORE && a->hole != HOLE_EVICTED && a->hole != HOLE_NO_HISTORY) {
		strbuf_printf(out, a->hole ? "nobody that was seen held %s " : "nobody held %s ", a->asked);
		say_when(out, a, utc);
		strbuf_putc(out, '\n');
	}
	for (size_t i = 0; i < a->n_held; i++) {
		say_port(out, a, &a->held[i]);
		strbuf_puts(out, " was held by ");
		say_owner(out, &a->held[i]);
		if (a->at) {
			strbuf_putc(out, ' ');
			say_when(out, a, utc);
		}
		strbuf_putc(out, '\n');
		say_row(out, a, &a->held[i], false, utc, now);
	}
	say_omitted(out, a);
	say_hole(out, a, utc);
}

static void say_before(struct strbuf *out, const struct answer *a, bool utc, int64_t now)
{
	if (!a->n_held)
		return;
	strbuf_puts(out, "in the history, newest first:\n");
	for (size_t i = 0; i < a->n_held; i++) {
		strbuf_puts(out, "  ");
		say_port(out, a, &a->held[i]);
		strbuf_putc(out, ' ');
		say_owner(out, &a->held[i]);
		strbuf_puts(out, "\n  ");
		say_row(out, a, &a->held[i], false, utc, now);
	}
	say_omitted(out, a);
}

static void say_facts(struct strbuf *out, const struct answer *a)
{
	if (a->ask.lo != a->ask.hi) {
		strbuf_printf(out, "ports %u-%u: ", a->ask.lo, a->ask.hi);
	} else {
		strbuf_printf(out, "port %u: %s (%s), ", a->ask.lo, ask_class(a->ask.lo), ask_class_range(a->ask.lo));
		if (a->service)
			strbuf_printf(out, "registered for %s, ", a->service);
		else
			strbuf_puts(out, a->no_services ? "names of services are not known here, " : "no registered service, ");
	}
	if (!a->range_known)
		strbuf_puts(out, "this host's ephemeral range is not known\n");
	else
		strbuf_printf(out, "%s this host's ephemeral range %u-%u%s\n",
			      a->ask.lo >= a->range_lo && a->ask.hi <= a->range_hi ? "inside" :
			      a->ask.hi < a->range_lo || a->ask.lo > a->range_hi ? "outside" : "partly inside",
			      a->range_lo, a->range_hi, a->reserved ? ", reserved there" : "");
}

static void say_lives(struct strbuf *out, const struct answer *a, bool utc, int64_t now)
{
	char day[TIMEX_BUF], span[TIMEX_BUF];

	if (!a->history)
		return;
	strbuf_puts(out, "recorded");
	if (a->recorded_since)
		strbuf_printf(out, " since %s", timex_stamp(a->recorded_since, utc, day));
	strbuf_printf(out, ": %s%llu %s", a->sampled ? "about " : "", (unsigned long long)a->lives, a->lives == 1 ? "life" : "lives");
	if (a->median_us >= 0)
		strbuf_printf(out, ", median %s", timex_span(a->median_us * 1000, span));
	if (a->last) {
		strbuf_puts(out, ", last held by ");
		say_owner(out, a->last);
		if (a->last->end)
			strbuf_printf(out, " %s ago", timex_span(now - a->last->end, span));
	}
	strbuf_putc(out, '\n');
}

void answer_text(struct strbuf *out, const struct answer *a, bool utc, int64_t now)
{
	if (a->asked_span) {
		say_then(out, a, utc, now);
	} else {
		say_now(out, a, utc, now);
		say_before(out, a, utc, now);
		say_hole(out, a, utc);
		if (a->n_gaps)
			strbuf_puts(out, "the history has gaps:\n");
		say_gaps(out, a, utc);
	}
	say_facts(out, a);
	say_lives(out, a, utc, now);
}

static void json_events(struct json *j, const struct event *ev, size_t n)
{
	json_array(j);
	for (size_t i = 0; i < n; i++) {
		json_object(j);
		facts_json_fields(j, &ev[i]);
		json_object_end(j);
	}
	json_array_end(j);
}

static void json_gaps(struct json *j, const struct answer *a)
{
	json_key(j, "gaps");
	json_array(j);
	for (size_t i = 0; i < a->n_gaps; i++)
		facts_json_gap(j, &a->gaps[i]);
	json_array_end(j);
}

static void json_port(struct json *j, const struct answer *a)
{
	json_key(j, "port");
	if (a->ask.lo == a->ask.hi) {
		json_uint(j, a->ask.lo);
	} else {
		json_array(j);
		json_uint(j, a->ask.lo);
		json_uint(j, a->ask.hi);
		json_array_end(j);
	}
	json_key(j, "class");
	json_str(j, ask_class(a->ask.lo) == ask_class(a->ask.hi) ? ask_class(a->ask.lo) : NULL);
	json_key(j, "service");
	json_str(j, a->service);
	json_key(j, "range");
	if (a->range_known) {
		json_array(j);
		json_uint(j, a->range_lo);
		json_uint(j, a->range_hi);
		json_array_end(j);
	} else {
		json_null(j);
	}
	json_key(j, "reserved");
	json_bool(j, a->reserved);
}

void answer_json(struct strbuf *out, const struct answer *a)
{
	static const char *const words[] = { "found", "nobody", "incomplete" };
	struct json j;

	json_init(&j, out);
	json_object(&j);
	json_port(&j, a);
	json_key(&j, "status");
	json_str(&j, words[a->status]);
	json_key(&j, "now");
	if (a->asked_now && !a->now_known)
		json_null(&j);
	else
		json_events(&j, a->now, a->n_now);
	json_key(&j, "held");
	json_events(&j, a->held, a->n_held);
	json_key(&j, "held_omitted");
	json_uint(&j, a->omitted);
	json_gaps(&j, a);
	json_key(&j, "lives");
	json_uint(&j, a->lives);
	json_key(&j, "sampled");
	json_bool(&j, a->sampled);
	json_key(&j, "median_us");
	if (a->median_us < 0)
		json_null(&j);
	else
		json_int(&j, a->median_us);
	json_key(&j, "recorded_since");
	json_time(&j, a->recorded_since);
	json_object_end(&j);
	strbuf_putc(out, '\n');
}
