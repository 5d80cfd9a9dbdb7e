// SPDX-License-Identifier: GPL-2.0
/* See prom.h. */
#include "out/prom.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/str.h"
#include "out/beside.h"

#define MS 1000000LL
#define SEC (1000 * MS)

struct prom {
	struct strbuf *out;
	const struct prom_sample *s;
	bool open_metrics;
};

static const char *const protos[PL_PROTOS] = { [PL_IX_TCP] = "tcp", [PL_IX_UDP] = "udp", [PL_IX_UDPLITE] = "udplite" };
static const char *const errnos[PL_ERRNOS] = {
	[PL_IX_EADDRINUSE] = "EADDRINUSE", [PL_IX_EADDRNOTAVAIL] = "EADDRNOTAVAIL",
	[PL_IX_EACCES] = "EACCES", [PL_IX_EAGAIN] = "EAGAIN",
};

/* `name` as its samples have it; OpenMetrics names the family without the suffix. */
static void put_head(struct prom *p, const char *name, const char *type, const char *help)
{
	size_t len = strlen(name);

	if (p->open_metrics && !strcmp(type, "counter"))
		len -= strlen("_total");
	if (p->open_metrics && !strcmp(type, "info"))
		len -= strlen("_info");
	else if (!strcmp(type, "info"))
		type = "gauge";
	strbuf_printf(p->out, "# HELP %.*s %s\n# TYPE %.*s %s\n", (int)len, name, help, (int)len, name, type);
}

/* A label's value: escaped as for a terminal first, so that it is UTF-8 and shows no control. */
static void put_label(struct prom *p, const char *value)
{
	struct strbuf safe = STRBUF_INIT;

	str_escape_str(&safe, value);
	for (const char *c = strbuf_str(&safe); *c; c++) {
		if (*c == '"' || *c == '\\')
			strbuf_putc(p->out, '\\');
		strbuf_putc(p->out, *c);
	}
	strbuf_free(&safe);
}

static void put_real(struct prom *p, double v)
{
	if (isinf(v))
		strbuf_puts(p->out, v > 0 ? "+Inf\n" : "-Inf\n");
	else
		strbuf_printf(p->out, "%.10g\n", v);
}

static void put_count(struct prom *p, uint64_t v)
{
	strbuf_printf(p->out, "%" PRIu64 "\n", v);
}

static void put_plain(struct prom *p, const char *name, const char *type, const char *help, uint64_t v)
{
	put_head(p, name, type, help);
	strbuf_printf(p->out, "%s %" PRIu64 "\n", name, v);
}

/* ---- counters ---- */

static void put_allocations(struct prom *p)
{
	put_head(p, "portlife_allocations_total", "counter", "Local ports given to a socket.");
	for (int proto = 0; proto < PL_PROTOS; proto++)
		for (int v6 = 0; v6 < 2; v6++)
			for (int kind = 0; kind < PL_KINDS; kind++)
				strbuf_printf(p->out, "portlife_allocations_total{proto=\"%s\",family=\"%s\",kind=\"%s\"} %" PRIu64 "\n",
					      protos[proto], v6 ? "ipv6" : "ipv4", event_kind_name(kind),
					      p->s->stats[PL_STAT_ALLOC(proto, v6, kind)]);
}

static void put_releases(struct prom *p)
{
	put_head(p, "portlife_releases_total", "counter", "Local ports that became free of a socket.");
	for (int proto = 0; proto < PL_PROTOS; proto++)
		for (int v6 = 0; v6 < 2; v6++)
			strbuf_printf(p->out, "portlife_releases_total{proto=\"%s\",family=\"%s\"} %" PRIu64 "\n", protos[proto],
				      v6 ? "ipv6" : "ipv4", p->s->stats[PL_STAT_RELEASE(proto, v6)]);
}

static void put_failures(struct prom *p)
{
	put_head(p, "portlife_failures_total", "counter", "Attempts that got no port.");
	for (int proto = 0; proto < PL_PROTOS; proto++)
		for (int e = 0; e < PL_ERRNOS; e++)
			strbuf_printf(p->out, "portlife_failures_total{proto=\"%s\",errno=\"%s\"} %" PRIu64 "\n", protos[proto],
				      errnos[e], p->s->stats[PL_STAT_FAIL(proto, e)]);
}

static void put_lost(struct prom *p)
{
	uint64_t ring = 0;

	for (int kind = 0; kind < PL_REC_KINDS; kind++)
		if (kind != PL_REC_PATH)
			ring += p->s->stats[PL_STAT_RING(kind)];
	put_head(p, "portlife_events_lost_total", "counter", "Events that did not reach the recorder or its history.");
	strbuf_printf(p->out, "portlife_events_lost_total{reason=\"ring\"} %" PRIu64 "\n", ring);
	strbuf_printf(p->out, "portlife_events_lost_total{reason=\"table\"} %" PRIu64 "\n", (uint64_t)p->s->stats[PL_STAT_TABLE]);
	strbuf_printf(p->out, "portlife_events_lost_total{reason=\"store\"} %" PRIu64 "\n", p->s->store_lost);
	put_head(p, "portlife_gaps_total", "counter", "Spans in which events were lost, by cause.");
	for (int cause = 0; cause < GAP_CAUSES; cause++)
		strbuf_printf(p->out, "portlife_gaps_total{cause=\"%s\"} %" PRIu64 "\n", event_gap_name(cause), p->s->gaps[cause]);
}

static void put_netns_name(struct prom *p, const char *name, uint32_t netns)
{
	if (netns)
		strbuf_printf(p->out, "%s{netns=\"%u\"", name, netns);
	else
		strbuf_printf(p->out, "%s{netns=\"other\"", name);
}

static const uint64_t *get_allocs(const struct netns_counts *c)
{
	return c->allocs;
}

static const uint64_t *get_releases(const struct netns_counts *c)
{
	return c->releases;
}

static const uint64_t *get_fails(const struct netns_counts *c)
{
	return c->fails;
}

static void put_counts(struct prom *p, const char *name, const char *help, const uint64_t *(*get)(const struct netns_counts *))
{
	put_head(p, name, "counter", help);
	for (size_t i = 0; i < p->s->n_counts; i++)
		for (int proto = 0; proto < PL_PROTOS; proto++) {
			put_netns_name(p, name, p->s->counts[i].netns);
			strbuf_printf(p->out, ",proto=\"%s\"} %" PRIu64 "\n", protos[proto], get(&p->s->counts[i].counts)[proto]);
		}
}

/* ---- what is held ---- */

/* One number a namespace; what follows from a range that is not known is left out. */
static void put_netns(struct prom *p, const char *name, const char *help, bool of_range,
		      uint32_t (*get)(const struct summary_netns *))
{
	put_head(p, name, "gauge", help);
	for (size_t i = 0; i < p->s->n_netns; i++) {
		if (of_range && !p->s->netns[i].use.range_hi)
			continue;
		put_netns_name(p, name, p->s->netns[i].use.netns);
		strbuf_puts(p->out, "} ");
		put_count(p, get(&p->s->netns[i].use));
	}
}

static uint32_t get_time_wait(const struct summary_netns *n)
{
	return n->time_wait;
}

/* Of the others together the sum stands in range_hi, with range_lo 1. */
static uint32_t get_size(const struct summary_netns *n)
{
	return n->range_hi ? n->range_hi - n->range_lo + 1 : 0;
}

static uint32_t get_reserved(const struct summary_netns *n)
{
	return n->reserved;
}

static void put_in_use(struct prom *p)
{
	put_head(p, "portlife_ports_in_use", "gauge", "Local ports held by at least one socket.");
	for (size_t i = 0; i < p->s->n_netns; i++)
		for (int proto = 0; proto < PL_PROTOS; proto++) {
			put_netns_name(p, "portlife_ports_in_use", p->s->netns[i].use.netns);
			strbuf_printf(p->out, ",proto=\"%s\"} %u\n", protos[proto], p->s->netns[i].use.in_use[proto]);
		}
}

static void put_range_use(struct prom *p)
{
	put_head(p, "portlife_port_range_in_use", "gauge",
		 "Ports of the ephemeral range held, whatever the protocol. TCP bind(0) takes odd ones first, connect even ones.");
	for (size_t i = 0; i < p->s->n_netns; i++)
		for (int odd = 0; odd < 2; odd++) {
			const struct summary_netns *n = &p->s->netns[i].use;

			if (!n->range_hi)
				continue;
			put_netns_name(p, "portlife_port_range_in_use", p->s->netns[i].use.netns);
			strbuf_printf(p->out, ",parity=\"%s\"} %u\n", odd ? "odd" : "even", odd ? n->used_odd : n->used_even);
		}
}

static void put_pressure(struct prom *p)
{
	put_head(p, "portlife_destination_ports_in_use_ratio_max", "gauge",
		 "Use of the range towards the single worst destination, 0 to 1.");
	for (int proto = 0; proto < PL_PROTOS; proto++) {
		strbuf_printf(p->out, "portlife_destination_ports_in_use_ratio_max{proto=\"%s\"} ", protos[proto]);
		put_real(p, p->s->destination_ratio[proto]);
	}
	put_head(p, "portlife_exhaustion_seconds", "gauge",
		 "Estimated time until the range is used up, +Inf when that is not approaching.");
	for (size_t i = 0; i < p->s->n_netns; i++)
		for (int proto = 0; proto < PL_PROTOS; proto++) {
			put_netns_name(p, "portlife_exhaustion_seconds", p->s->netns[i].use.netns);
			strbuf_printf(p->out, ",proto=\"%s\"} ", protos[proto]);
			put_real(p, p->s->netns[i].exhaustion[proto]);
		}
}

static void put_workloads(struct prom *p)
{
	if (!p->s->with_workloads)
		return;
	put_head(p, "portlife_workload_ports_in_use", "gauge", "Leases held, by systemd unit, pod or container.");
	for (size_t i = 0; i < p->s->n_workloads; i++) {
		strbuf_puts(p->out, "portlife_workload_ports_in_use{workload=\"");
		put_label(p, p->s->workloads[i].name);
		strbuf_puts(p->out, "\"} ");
		put_count(p, p->s->workloads[i].ports);
	}
}

/* 65 s: what ended with TIME_WAIT. */
static const int64_t bounds[] = {
	MS / 10, MS, 5 * MS, 25 * MS, 100 * MS, 500 * MS, SEC, 5 * SEC, 15 * SEC, 30 * SEC, 60 * SEC, 65 * SEC,
	120 * SEC, 300 * SEC, 900 * SEC, 3600 * SEC, 14400 * SEC, 86400 * SEC,
};

static void put_times(struct prom *p, const char *name, const char *help, const struct hist *h)
{
	put_head(p, name, "histogram", help);
	for (size_t i = 0; i < sizeof(bounds) / sizeof(bounds[0]); i++)
		strbuf_printf(p->out, "%s_bucket{le=\"%.10g\"} %" PRIu64 "\n", name, (double)bounds[i] / 1e9,
			      hist_count_le(h, bounds[i]));
	strbuf_printf(p->out, "%s_bucket{le=\"+Inf\"} %" PRIu64 "\n", name, h->count);
	strbuf_printf(p->out, "%s_sum %.9f\n%s_count %" PRIu64 "\n", name, hist_sum_seconds(h), name, h->count);
}

/* ---- the recorder itself ---- */

static void put_store(struct prom *p)
{
	put_plain(p, "portlife_store_bytes", "gauge", "Size of the history on disk.", p->s->store_bytes);
	if (p->s->store_oldest) {
		put_head(p, "portlife_store_oldest_timestamp_seconds", "gauge", "When the history begins.");
		strbuf_printf(p->out, "portlife_store_oldest_timestamp_seconds %.3f\n", (double)p->s->store_oldest / 1e9);
	}
	put_plain(p, "portlife_store_write_errors_total", "counter", "Failed attempts to write the history.",
		  p->s->store_write_errors);
}

static void put_self(struct prom *p)
{
	put_plain(p, "portlife_leases_open", "gauge", "Leases open now; a port may be held by several.", p->s->live);
	put_plain(p, "portlife_accepted_out_of_scope_total", "counter", "Accepted connections that were counted and not recorded.",
		  p->s->stats[PL_STAT_SKIPPED]);
	put_plain(p, "portlife_log_messages_dropped_total", "counter", "Log messages that the log did not take.", p->s->log_dropped);
	put_plain(p, "portlife_metrics_failures_total", "counter", "Times that these metrics could not be made or written to their file.",
		  p->s->metrics_failed);
	put_head(p, "portlife_build_info", "info", "Version of portlife and the tier of kernel hooks in use.");
	strbuf_puts(p->out, "portlife_build_info{version=\"");
	put_label(p, p->s->version);
	strbuf_puts(p->out, "\",tier=\"");
	put_label(p, p->s->tier);
	strbuf_puts(p->out, "\"} 1\n");
}

void prom_render(struct strbuf *out, const struct prom_sample *s, bool open_metrics)
{
	struct prom p = { .out = out, .s = s, .open_metrics = open_metrics };

	put_allocations(&p);
	put_releases(&p);
	put_failures(&p);
	put_counts(&p, "portlife_netns_allocations_total", "Local ports given to a socket, by network namespace.", get_allocs);
	put_counts(&p, "portlife_netns_releases_total", "Local ports that became free of a socket, by network namespace.", get_releases);
	put_counts(&p, "portlife_netns_failures_total", "Attempts that got no port, by network namespace.", get_fails);
	put_lost(&p);
	put_in_use(&p);
	put_netns(&p, "portlife_time_wait_ports", "Leases in TIME_WAIT.", false, get_time_wait);
	put_netns(&p, "portlife_port_range_size", "Ports in the ephemeral range.", true, get_size);
	put_netns(&p, "portlife_port_range_reserved", "Ports of the ephemeral range that are reserved.", true, get_reserved);
	put_range_use(&p);
	put_pressure(&p);
	put_times(&p, "portlife_lease_duration_seconds", "How long ports were held.", &s->lifetimes);
	put_times(&p, "portlife_port_reuse_interval_seconds", "How long ports stayed free until they were taken again.", &s->reuse);
	put_workloads(&p);
	put_store(&p);
	put_self(&p);
	if (open_metrics)
		strbuf_puts(out, "# EOF\n");
}

int prom_write_file(const char *path, const struct prom_sample *s)
{
	struct strbuf text = STRBUF_INIT;
	int err;

	prom_render(&text, s, false);
	err = strbuf_err(&text);
	if (!err)
		err = beside_write(path, &text);
	strbuf_free(&text);
	return err;
}
