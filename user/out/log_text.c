// SPDX-License-Identifier: GPL-2.0
/* What an event says to a person, and the forms of a message; see log_text.h. */
#include "out/log_text.h"

#include <cjson/cJSON.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

#include "base/json.h"
#include "base/str.h"
#include "base/timex.h"

int log_text_priority(enum log_level level)
{
	static const int priorities[] = {
		[LOG_LEVEL_ERR] = 3, [LOG_LEVEL_WARN] = 4, [LOG_LEVEL_INFO] = 6,
	};

	return priorities[level];
}

static void put_socket(struct strbuf *out, unsigned int family, const __u32 addr[4], unsigned int port)
{
	char buf[INET6_ADDRSTRLEN];

	event_addr(family, addr, buf);
	strbuf_printf(out, strchr(buf, ':') ? "[%s]:%u" : "%s:%u", buf, port);
}

static void put_owner(struct strbuf *out, const struct event *ev)
{
	if (!ev->lease.tgid) {
		strbuf_puts(out, "an unknown process");
		return;
	}
	str_quote(out, ev->lease.comm);
	strbuf_printf(out, " (pid %u", ev->lease.tgid);
	if (ev->where.unit) {
		strbuf_puts(out, ", ");
		str_quote(out, ev->where.unit);
	}
	strbuf_putc(out, ')');
}

/* "tcp 127.0.0.1:8080 -> 10.0.0.1:443"; no local port: the kernel should have chosen it. */
static void put_lease(struct strbuf *out, const struct event *ev)
{
	const struct pl_lease *l = &ev->lease;

	strbuf_printf(out, "%s ", event_proto_name(l->proto));
	put_socket(out, l->family, l->laddr, l->lport);
	if (!event_has_remote(ev))
		return;
	strbuf_puts(out, " -> ");
	put_socket(out, l->family, l->raddr, l->rport);
}

static void put_fail(struct strbuf *out, const struct event *ev)
{
	strbuf_printf(out, "refused with %s: %s of ", event_errno_name(ev->err), event_kind_name(ev->lease.kind));
	put_lease(out, ev);
	strbuf_puts(out, " by ");
	put_owner(out, ev);
}

static void put_release(struct strbuf *out, const struct event *ev)
{
	char span[TIMEX_BUF];

	strbuf_puts(out, "released: ");
	put_lease(out, ev);
	strbuf_printf(out, " (%s) by ", event_kind_name(ev->lease.kind));
	put_owner(out, ev);
	if (ev->start && ev->end >= ev->start && !(ev->lease.flags & PL_F_SNAPSHOT))
		strbuf_printf(out, " after %s", timex_span(ev->end - ev->start, span));
}

static void put_gap(struct strbuf *out, const struct gap *gap)
{
	char from[TIMEX_BUF], to[TIMEX_BUF];

	if (gap->lost >= 0)
		strbuf_printf(out, "gap: %" PRId64 " events lost", gap->lost);
	else
		strbuf_puts(out, "gap: events lost, how many is not known");
	strbuf_printf(out, " (%s)", event_gap_name(gap->cause));
	if (gap->from)
		strbuf_printf(out, ", from %s to %s", timex_rfc3339(gap->from, from), timex_rfc3339(gap->to, to));
}

static void put_counts(struct strbuf *out, const struct summary *s)
{
	uint64_t allocs = 0, fails = 0;

	for (int i = 0; i < PL_KINDS; i++)
		allocs += s->allocs[i];
	for (int i = 0; i < PL_ERRNOS; i++)
		fails += s->fails[i];
	strbuf_printf(out, "allocs %" PRIu64 " (connect %" PRIu64 ", bind0 %" PRIu64 ", bind %" PRIu64 ", listen %" PRIu64
		      ", send %" PRIu64 ", accept %" PRIu64 "), releases %" PRIu64, allocs, (uint64_t)s->allocs[PL_KIND_CONNECT],
		      s->allocs[PL_KIND_BIND0], s->allocs[PL_KIND_BIND], s->allocs[PL_KIND_LISTEN], s->allocs[PL_KIND_SEND],
		      s->allocs[PL_KIND_ACCEPT], s->releases);
	strbuf_printf(out, ", fails %" PRIu64 " (EADDRINUSE %" PRIu64 ", EADDRNOTAVAIL %" PRIu64 ", EACCES %" PRIu64
		      ", EAGAIN %" PRIu64 ")", fails, s->fails[PL_IX_EADDRINUSE], s->fails[PL_IX_EADDRNOTAVAIL],
		      s->fails[PL_IX_EACCES], s->fails[PL_IX_EAGAIN]);
	strbuf_printf(out, ", live %" PRIu64 " (peak %" PRIu64 "), time_wait %" PRIu64 ", lost %" PRIu64, s->live, s->peak,
		      s->time_wait, s->lost);
}

static void put_top(struct strbuf *out, const char *what, const struct summary_proc procs[SUMMARY_TOP])
{
	for (int i = 0; i < SUMMARY_TOP && procs[i].ports; i++) {
		strbuf_puts(out, i ? ", " : what);
		str_quote(out, procs[i].comm);
		strbuf_printf(out, " (pid %u) %" PRIu64, procs[i].pid, procs[i].ports);
	}
}

static void put_range(struct strbuf *out, const struct summary_netns *n)
{
	if (!n->range_hi)
		return;
	strbuf_printf(out, "; netns %u: %u of %u ports of %u-%u in use (odd %u, even %u)", n->netns, n->used_odd + n->used_even,
		      n->range_hi - n->range_lo + 1 - n->reserved, n->range_lo, n->range_hi, n->used_odd, n->used_even);
}

/* The namespaces that use most; the event's fields have all that are listed. */
static void put_summary(struct strbuf *out, const struct summary *s)
{
	char a[TIMEX_BUF], b[TIMEX_BUF];

	strbuf_printf(out, "%lld s: ", (long long)(s->span / TIMEX_NS_PER_SEC));
	put_counts(out, s);
	for (unsigned int i = 0; i < s->n_netns && i < 3; i++)
		put_range(out, &s->netns[i]);
	if (s->lives)
		strbuf_printf(out, "; lifetime p50 %s, p99 %s", timex_span(s->p50_us * 1000, a), timex_span(s->p99_us * 1000, b));
	put_top(out, "; most taken: ", s->taken);
	put_top(out, "; most held: ", s->held);
}

void log_text_event(struct strbuf *out, const struct event *ev)
{
	if (ev->kind == EV_SUMMARY && ev->summary)
		put_summary(out, ev->summary);
	else if (ev->kind == EV_GAP && ev->gap)
		put_gap(out, ev->gap);
	else if (ev->kind == EV_FAIL)
		put_fail(out, ev);
	else if (ev->kind == EV_RELEASE)
		put_release(out, ev);
	else
		strbuf_puts(out, event_name(ev->kind));
}

/* ---- fields ---- */

static void field_value(const cJSON *item, const char *name, log_field_fn fn, void *ctx)
{
	struct strbuf safe = STRBUF_INIT;
	char *json;

	if (cJSON_IsString(item)) {
		json_unescape(item->valuestring);
		str_escape_str(&safe, item->valuestring);
		fn(ctx, name, strbuf_str(&safe));
	} else if (!cJSON_IsNull(item)) {
		json = cJSON_PrintUnformatted(item);
		if (json)
			fn(ctx, name, json);
		cJSON_free(json);
	}
	strbuf_free(&safe);
}

static void field_tree(const cJSON *item, const char *name, log_field_fn fn, void *ctx)
{
	const cJSON *member;
	unsigned int index = 0;
	char joined[128];

	if (!cJSON_IsObject(item) && !cJSON_IsArray(item)) {
		field_value(item, name, fn, ctx);
		return;
	}
	cJSON_ArrayForEach(member, item) {
		if (cJSON_IsArray(item))
			snprintf(joined, sizeof(joined), "%s_%u", name, index++);
		else
			snprintf(joined, sizeof(joined), "%s%s%s", name, *name ? "_" : "", member->string);
		field_tree(member, joined, fn, ctx);
	}
}

void log_text_fields(const char *json, log_field_fn fn, void *ctx)
{
	cJSON *root = *json ? cJSON_Parse(json) : NULL;

	if (root)
		field_tree(root, "", fn, ctx);
	cJSON_Delete(root);
}

/* ---- lines ---- */

static void logfmt_field(void *ctx, const char *name, const char *value)
{
	struct strbuf *out = ctx;

	strbuf_printf(out, " %s=", name);
	if (*value && !strpbrk(value, " =\"\\")) {
		strbuf_puts(out, value);
		return;
	}
	strbuf_putc(out, '"');
	for (; *value; value++) {
		if (*value == '"' || *value == '\\')
			strbuf_putc(out, '\\');
		strbuf_putc(out, *value);
	}
	strbuf_putc(out, '"');
}

void log_text_line(struct strbuf *out, enum log_form form, enum log_level level, int64_t at, const char *text,
		   const char *json)
{
	log_format_line(out, form, level, at, text);
	if (!*json || form == LOG_FORM_HUMAN || !out->len)
		return;
	strbuf_truncate(out, out->len - (form == LOG_FORM_JSON ? 2 : 1));	/* "}\n", "\n" */
	if (form == LOG_FORM_JSON) {
		strbuf_putc(out, ',');
		strbuf_puts(out, json + 1);
	} else {
		log_text_fields(json, logfmt_field, out);
	}
	strbuf_putc(out, '\n');
}
