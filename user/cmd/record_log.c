/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What goes to the log by itself: summaries, refusals at a bounded rate, gaps,
 * and ranges that fill up.
 */
#include "cmd/record.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/timex.h"

#define FAILS_MAX 10		/* logged one by one in each span */
#define FAILS_SPAN (10 * 1000000000LL)
#define CLOSE_MS 2000

static struct log_sink_opts sink_opts(const struct record_conf *c)
{
	return (struct log_sink_opts){
		.form = c->log_format < 0 ? LOG_FORM_HUMAN : (enum log_form)c->log_format,
		.form_given = c->log_format >= 0, .file = c->log_file, .utc = c->common.utc,
	};
}

int record_log_open(struct record_log *l, const struct record_conf *c)
{
	const struct log_sink_opts opts = sink_opts(c);
	int err = log_sink_open(&opts, &l->sink);

	if (!err)
		log_set_sink(log_sink_text, l->sink);
	return err;
}

void record_log_close(struct record_log *l)
{
	log_set_sink(NULL, NULL);
	log_sink_close(l->sink, CLOSE_MS);
	l->sink = NULL;
	free(l->alarms);
	l->alarms = NULL;
}

void record_log_reopen(struct record_log *l, const struct record_conf *c, bool changed)
{
	const struct log_sink_opts opts = sink_opts(c);

	if (log_sink_reopen(l->sink, changed ? &opts : NULL))
		log_err("out of memory: the log stays as it was");
}

/* ---- events ---- */

static void log_fail(struct record_log *l, const struct event *ev)
{
	if (l->fails == FAILS_MAX) {
		l->suppressed++;
		return;
	}
	l->fails++;
	log_sink_event(l->sink, LOG_LEVEL_WARN, ev);
}

void record_log_event(struct record_log *l, const struct record_conf *c, const struct event *ev)
{
	if (ev->kind == EV_FAIL)
		log_fail(l, ev);
	else if (ev->kind == EV_GAP)
		log_sink_event(l->sink, LOG_LEVEL_WARN, ev);
	else if (ev->kind == EV_SUMMARY || (ev->kind == EV_RELEASE && c->log_leases))
		log_sink_event(l->sink, LOG_LEVEL_INFO, ev);
}

void record_log_tick(struct record_log *l, int64_t now, bool end)
{
	if (!end && now - l->window < FAILS_SPAN)
		return;
	if (l->suppressed)
		log_warn("%llu more refusals within %lld s were not logged one by one", (unsigned long long)l->suppressed,
			 (long long)((now - l->window) / 1000000000));
	l->window = now;
	l->suppressed = 0;
	l->fails = 0;
}

/* ---- ranges that fill up ---- */

/* What has been warned of; again only after it was over. */
struct record_alarm {
	uint32_t netns;
	bool half, most, soon, seen;
};

static struct record_alarm *alarm_of(struct record_log *l, uint32_t netns)
{
	struct record_alarm *grown;

	for (size_t i = 0; i < l->n_alarms; i++)
		if (l->alarms[i].netns == netns)
			return &l->alarms[i];
	grown = realloc(l->alarms, (l->n_alarms + 1) * sizeof(*grown));
	if (!grown)
		return NULL;
	l->alarms = grown;
	l->alarms[l->n_alarms] = (struct record_alarm){ .netns = netns };
	return &l->alarms[l->n_alarms++];
}

static void alarm_say(const struct summary_netns *n, uint32_t size, const char *what)
{
	log_warn("netns %u: %s: %u of %u ports of %u-%u in use (odd %u, even %u)", n->netns, what, n->used_odd + n->used_even,
		 size, n->range_lo, n->range_hi, n->used_odd, n->used_even);
}

/* With some slack on the way back, so that use around a mark does not repeat itself. */
static bool alarm_crossed(bool *on, bool above, bool below)
{
	bool news = above && !*on;

	*on = above || (*on && !below);
	return news;
}

static void alarm_range(struct record_alarm *a, const struct summary_netns *n)
{
	uint32_t size = n->range_hi ? n->range_hi - n->range_lo + 1 - n->reserved : 0, used = n->used_odd + n->used_even;
	uint32_t fuller = n->used_odd > n->used_even ? n->used_odd : n->used_even;

	if (!size)
		return;
	/* The kernel's search slows down a thousandfold once the half that it prefers is gone. */
	if (alarm_crossed(&a->half, used * 100ULL >= size * 50ULL || fuller * 200ULL >= size * 95ULL,
			  used * 100ULL < size * 45ULL && fuller * 200ULL < size * 90ULL))
		alarm_say(n, size, used * 2ULL >= size ? "half of the ephemeral range is in use" :
							 "nearly all odd or all even ports of the ephemeral range are in use");
	if (alarm_crossed(&a->most, used * 100ULL >= size * 90ULL, used * 100ULL < size * 85ULL))
		alarm_say(n, size, "90 % of the ephemeral range is in use");
}

static void alarm_soon(struct record_alarm *a, const struct record_conf *c, const struct prom_netns *n)
{
	double least = INFINITY, warn = (double)c->warn_exhaustion / 1e9;
	char span[TIMEX_BUF];

	for (int proto = 0; proto < PL_PROTOS; proto++)
		if (n->exhaustion[proto] < least)
			least = n->exhaustion[proto];
	if (alarm_crossed(&a->soon, least <= warn, least > 2 * warn))
		log_warn("netns %u: at this rate the ephemeral range will be used up in %s", n->use.netns,
			 timex_span((int64_t)(least * 1e9), span));
}

/* Namespaces that are gone are forgotten. */
static void alarms_sweep(struct record_log *l)
{
	size_t kept = 0;

	for (size_t i = 0; i < l->n_alarms; i++) {
		if (!l->alarms[i].seen)
			continue;
		l->alarms[kept] = l->alarms[i];
		l->alarms[kept++].seen = false;
	}
	l->n_alarms = kept;
}

void record_log_pressure(struct record_log *l, const struct record_conf *c, const struct prom_sample *s)
{
	for (size_t i = 0; i < s->n_netns; i++) {
		struct record_alarm *a = s->netns[i].use.netns ? alarm_of(l, s->netns[i].use.netns) : NULL;

		if (!a)
			continue;
		a->seen = true;
		alarm_range(a, &s->netns[i].use);
		alarm_soon(a, c, &s->netns[i]);
	}
	alarms_sweep(l);
}
