/* SPDX-License-Identifier: GPL-2.0 */
/*
 * From the recorder's state to a sample of the metrics, when somebody wants one,
 * when the file is due, and now and then to watch how full the ranges are.
 */
#include "cmd/record.h"

#include <errno.h>
#include <math.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "out/prom_listen.h"

#define LOOK_EVERY (2 * 1000000000LL)
#define AGAIN 1000000000LL	/* after a failure */
#define CLOSE_MS 2000

/* ---- opening ---- */

/* Sockets that the service manager passed, or else the address of the option. */
static int metrics_sockets(const struct record_conf *c, int fds[PROM_LISTEN_MAX], unsigned int *n)
{
	int passed = sd_listen_fds(1);

	*n = 0;
	if (passed > PROM_LISTEN_MAX) {
		log_err("%d sockets were passed; at most %d can be served", passed, PROM_LISTEN_MAX);
		return -EINVAL;
	}
	for (int i = 0; i < passed; i++) {
		if (!prom_listen_allowed(SD_LISTEN_FDS_START + i, c->remote))
			return -EINVAL;
		fds[(*n)++] = SD_LISTEN_FDS_START + i;
	}
	if (passed > 0 || !c->listen)
		return passed < 0 ? passed : 0;
	fds[0] = prom_listen(c->listen, c->remote);
	*n = fds[0] >= 0;
	return fds[0] < 0 ? fds[0] : 0;
}

int record_metrics_open(struct record_metrics *m, const struct record_conf *c)
{
	int fds[PROM_LISTEN_MAX], err;
	unsigned int n;

	err = metrics_sockets(c, fds, &n);
	if (err)
		return err;
	if (n)
		err = prom_server_open(fds, n, &m->server);
	if (!err && c->textfile)
		err = prom_textfile_open(c->textfile, &m->textfile);
	if (err && err != -ELIBACC)	/* said, with the library's name */
		log_err("cannot serve metrics: %s", strerror(-err));
	return err;
}

void record_metrics_close(struct record_metrics *m, const struct record_conf *c)
{
	bool ours = m->server && c->listen && sd_listen_fds(0) <= 0;

	prom_server_close(m->server);
	if (ours)
		prom_unlisten(c->listen);
	prom_textfile_close(m->textfile, CLOSE_MS);
	m->server = NULL;
	m->textfile = NULL;
}

/* ---- namespaces ---- */

static bool held_now(const struct tally *t, uint32_t netns)
{
	for (size_t i = 0; i < t->n_netns; i++)
		if (t->netns[i].netns == netns)
			return true;
	return false;
}

/* Whether it has a label of its own; who has one keeps it, so that series do not jump. */
static bool is_named(const struct record_metrics *m, uint32_t netns)
{
	for (int i = 0; i < PROM_NETNS_MAX; i++)
		if (m->named[i] == netns)
			return true;
	return false;
}

static void give_names(struct record_metrics *m, const struct tally *t)
{
	size_t next = 0;

	for (int i = 0; i < PROM_NETNS_MAX; i++)
		if (m->named[i] && !held_now(t, m->named[i]))
			m->named[i] = 0;
	for (int i = 0; i < PROM_NETNS_MAX; i++) {
		if (m->named[i])
			continue;
		while (next < t->n_netns && is_named(m, t->netns[next].netns))
			next++;
		if (next == t->n_netns)
			return;
		m->named[i] = t->netns[next].netns;
	}
}

static void netns_add(struct prom_netns *to, const struct summary_netns *n)
{
	to->use.range_lo = 1;
	to->use.range_hi += n->range_hi ? n->range_hi - n->range_lo + 1 : 0;
	to->use.reserved += n->reserved;
	to->use.used_odd += n->used_odd;
	to->use.used_even += n->used_even;
	to->use.time_wait += n->time_wait;
	for (int p = 0; p < PL_PROTOS; p++)
		to->use.in_use[p] += n->in_use[p];
}

static void sample_netns(struct record_metrics *m, const struct tally *t, struct prom_sample *s)
{
	struct prom_netns other = { .exhaustion = { INFINITY, INFINITY, INFINITY } };
	bool any = false;

	give_names(m, t);
	for (size_t i = 0; i < t->n_netns; i++) {
		if (is_named(m, t->netns[i].netns)) {
			s->netns[s->n_netns] = (struct prom_netns){
				.use = t->netns[i], .exhaustion = { INFINITY, INFINITY, INFINITY },
			};
			s->n_netns++;
		} else {
			netns_add(&other, &t->netns[i]);
			any = true;
		}
	}
	if (any)
		s->netns[s->n_netns++] = other;
}

/* ---- workloads ---- */

static void workload_name(struct recorder *r, const struct pl_lease *l, char name[PROM_NAME_MAX])
{
	struct event ev = { .kind = EV_OPEN, .lease = *l };
	const char *is;

	recorder_name(r, &ev);
	is = ev.where.pod_uid ? ev.where.pod_uid : ev.where.container_id ? ev.where.container_id : ev.where.unit;
	if (!is)
		is = ev.where.cgroup ? ev.where.cgroup : "unknown";
	snprintf(name, PROM_NAME_MAX, "%s", is);
}

/* Of several cgroups that have one name there is one series. */
static struct prom_workload *workload_place(struct prom_sample *s, const char *name, size_t most)
{
	for (size_t i = 0; i < s->n_workloads; i++)
		if (!strcmp(s->workloads[i].name, name))
			return &s->workloads[i];
	if (s->n_workloads == most)
		return NULL;
	snprintf(s->workloads[s->n_workloads].name, PROM_NAME_MAX, "%s", name);
	return &s->workloads[s->n_workloads++];
}

static void sample_workloads(struct recorder *r, const struct tally *t, struct prom_sample *s)
{
	uint64_t others = 0;

	for (size_t i = 0; i < t->n_workloads; i++) {
		struct prom_workload *w = NULL;
		char name[PROM_NAME_MAX];

		if (s->n_workloads < PROM_WORKLOADS_MAX) {
			workload_name(r, &t->workloads[i].sample, name);
			w = workload_place(s, name, PROM_WORKLOADS_MAX);
		}
		*(w ? &w->ports : &others) += t->workloads[i].leases;
	}
	/* A container may be called so, too. */
	workload_place(s, "other", PROM_WORKLOADS_MAX + 1)->ports += others;
}

/* ---- how near the end is ---- */

static unsigned int proto_ix(unsigned int proto)
{
	return proto == IPPROTO_TCP ? PL_IX_TCP : proto == IPPROTO_UDP ? PL_IX_UDP : PL_IX_UDPLITE;
}

/* Of the others together the nearest counts. */
static int sample_space(void *ctx, const struct pressure_use *use)
{
	struct prom_sample *s = ctx;
	struct prom_netns *n = NULL;

	for (size_t i = 0; i < s->n_netns && !n; i++)
		if (s->netns[i].use.netns == use->netns || !s->netns[i].use.netns)
			n = &s->netns[i];	/* the others come last */
	if (n && use->eta_s < n->exhaustion[proto_ix(use->proto)])
		n->exhaustion[proto_ix(use->proto)] = use->eta_s;
	return 0;
}

/* A namespace is used up as well when one destination can no longer be reached from it. */
static void sample_pressure(struct pressure *p, struct prom_sample *s)
{
	static const uint8_t protos[PL_PROTOS] = {
		[PL_IX_TCP] = IPPROTO_TCP, [PL_IX_UDP] = IPPROTO_UDP, [PL_IX_UDPLITE] = IPPROTO_UDPLITE,
	};
	struct pressure_use worst;

	pressure_each_space(p, sample_space, s);
	for (int ix = 0; ix < PL_PROTOS; ix++) {
		if (!pressure_worst(p, protos[ix], &worst, 1))
			continue;
		s->destination_ratio[ix] = worst.ratio;
		sample_space(s, &worst);
	}
}

/* ---- a sample ---- */

static int sample_fill(struct record *r, struct prom_sample *s)
{
	struct store_stats store;
	struct tally t;
	int err = source_stats(recorder_source(r->recorder), s->stats);

	if (!err)
		err = record_tally(r, r->conf.workloads, &t);
	if (err)
		return err;
	s->version = PORTLIFE_VERSION;
	s->tier = tier_name(source_tier(recorder_source(r->recorder)));
	s->live = t.live;
	sample_netns(&r->metrics, &t, s);
	s->with_workloads = r->conf.workloads;
	if (s->with_workloads)
		sample_workloads(r->recorder, &t, s);
	err = record_netns_look(&r->netns, recorder_source(r->recorder), &t);
	s->n_counts = record_netns_get(&r->netns, s->counts);
	tally_free(&t);
	if (err)
		return err;
	sample_pressure(r->pressure, s);
	memcpy(s->gaps, meter_gaps(r->meter), sizeof(s->gaps));
	s->lifetimes = *meter_lifetimes(r->meter);
	s->reuse = *meter_reuse(r->meter);
	store_stats(r->store, &store);
	s->store_bytes = store.bytes;
	s->store_oldest = store.oldest;
	s->store_write_errors = store.write_errors;
	s->store_lost = store.lost;
	s->log_dropped = log_sink_dropped(r->log.sink);
	s->metrics_failed = r->metrics.failed + prom_textfile_failed(r->metrics.textfile);
	return 0;
}

static int sample_make(struct record *r, struct prom_sample **ret)
{
	struct prom_sample *s = calloc(1, sizeof(*s));
	int err = s ? sample_fill(r, s) : -ENOMEM;

	if (err)
		free(s);
	else
		*ret = s;
	return err;
}

static void sample_status(const struct prom_sample *s)
{
	sd_notifyf(0, "STATUS=recording: %llu leases open in %zu network namespaces, history of %llu MiB",
		   (unsigned long long)s->live, s->n_netns, (unsigned long long)(s->store_bytes >> 20));
}

/* Takes `s` over. */
static int sample_give(struct record_metrics *m, struct prom_sample *s, bool serve, bool file)
{
	struct prom_sample *copy = serve && file ? malloc(sizeof(*copy)) : NULL;
	int err = serve && file && !copy ? -ENOMEM : 0;

	if (copy)
		memcpy(copy, s, sizeof(*copy));
	else if (file && !serve)
		copy = s;
	if (copy)
		prom_textfile_give(m->textfile, copy);
	if (serve)
		prom_server_give(m->server, s);
	else if (!file)
		free(s);
	return err;
}

static int sample_tell(struct record *r, bool serve, bool file)
{
	struct prom_sample *s = NULL;
	int err = sample_make(r, &s);

	if (err)
		return err;
	record_log_pressure(&r->log, &r->conf, s);
	sample_status(s);
	return sample_give(&r->metrics, s, serve, file);
}

/* Who records does not stop for want of metrics. */
static void metrics_outcome(struct record_metrics *m, int64_t now, int err)
{
	if (err && !m->failing)
		log_err("the metrics cannot be made: %s; recording goes on", strerror(-err));
	else if (!err && m->failing)
		log_info("the metrics are made again");
	m->failing = err;
	m->failed += err != 0;
	m->again_at = err ? now + AGAIN : 0;
}

void record_metrics_tick(struct record *r, int64_t now)
{
	struct record_metrics *m = &r->metrics;
	bool serve = m->server && prom_server_wants(m->server), file = m->textfile && now >= m->file_at;

	if ((!serve && !file && now < m->look_at) || now < m->again_at)
		return;
	record_ranges_look(&r->ranges, r->pressure, now);
	pressure_tick(r->pressure, now, NULL, NULL);
	m->look_at = now + LOOK_EVERY;
	if (file)
		m->file_at = now + r->conf.metrics_interval;
	metrics_outcome(m, now, sample_tell(r, serve, file));
}
