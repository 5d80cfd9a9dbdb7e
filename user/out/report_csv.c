// SPDX-License-Identifier: GPL-2.0
/* The rows of one grouping as CSV, as facts_csv() writes it. */
#include "out/report.h"

#include <inttypes.h>

#include "base/str.h"
#include "base/timex.h"
#include "out/facts.h"

static void put_times(struct strbuf *out, const struct report_sparse *s)
{
	if (!s->count) {
		strbuf_puts(out, ",0,,,,");
		return;
	}
	strbuf_printf(out, ",%" PRIu64 ",%" PRId64 ",%" PRId64 ",%" PRId64 ",%" PRId64, s->count,
		      report_sparse_quantile(s, 0.5) / 1000, report_sparse_quantile(s, 0.9) / 1000,
		      report_sparse_quantile(s, 0.99) / 1000, s->max / 1000);
}

static void put_row(struct strbuf *out, enum report_by by, const struct report_group *g)
{
	char last[TIMEX_BUF];

	facts_csv_text(out, g->label);
	strbuf_putc(out, ',');
	if (by == REPORT_PROCESS && g->tgid)
		strbuf_printf(out, "%" PRIu32, g->tgid);
	strbuf_putc(out, ',');
	if (by == REPORT_PORT || (by == REPORT_DEST && g->label))
		strbuf_puts(out, event_proto_name(g->proto));
	strbuf_printf(out, ",%" PRIu64 ",%" PRIu64 ",%.6f", g->leases, g->open, g->held_s);
	put_times(out, &g->active);
	put_times(out, &g->time_wait);
	strbuf_printf(out, ",%" PRIu64 ",%s,%" PRIu64 "\n", g->fails, timex_rfc3339(g->last, last), g->missed);
}

void report_csv(struct strbuf *out, const struct report_view *v, bool header)
{
	const struct report_groups *set = &v->r->by[v->by];

	if (header)
		strbuf_printf(out, "%s,pid,proto,leases,open,held_s,active_count,active_p50_us,active_p90_us,active_p99_us,"
			      "active_max_us,time_wait_count,time_wait_p50_us,time_wait_p90_us,time_wait_p99_us,time_wait_max_us,"
			      "fails,last,missed_at_most\n", report_by_name(v->by));
	for (size_t i = 0; i < set->n && i < v->limit; i++)
		put_row(out, v->by, set->sorted[i]);
}
