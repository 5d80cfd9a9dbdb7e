/* SPDX-License-Identifier: GPL-2.0 */
/*
 * portlife who: who holds a port now, by looking at the kernel, and who held
 * it, from the history.  Either half may be missing; the answer says so.
 */
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/opt.h"
#include "base/str.h"
#include "cmd/cmd.h"
#include "kern/host.h"
#include "kern/identity.h"
#include "kern/source.h"
#include "model/ask.h"
#include "model/event_list.h"
#include "out/answer.h"
#include "out/facts.h"
#include "store/history.h"

struct who {
	struct common_opts common;
	struct answer answer;
	int64_t at, since, until, now;
	int proto;
	uint32_t netns, limit;
	struct event_list held_now, held, last;
	struct event_list known;	/* what the recorder that runs has on record */
	struct gap *gaps;
	size_t n_gaps, cap_gaps;
	struct source *source;
	uint64_t *ids;		/* of the leases in held_now, as the look gave them */
	uint64_t *open;		/* ids of all in the history without an end, where there are more than `limit` rows */
	size_t n_open;
	uint64_t rows;		/* of the history, also those beyond `limit` */
	int64_t boot_to_unix;
	char service[64];
};

static bool who_wants(const struct who *w, const struct pl_lease *l)
{
	const struct ask *ask = &w->answer.ask;

	if (l->lport < ask->lo || l->lport > ask->hi || (w->proto && l->proto != w->proto) || (w->netns && l->netns != w->netns))
		return false;
	return !ask->by_addr || ask_meets(ask->family, ask->addr, l->family, l->laddr, l->sock);
}

/* `told` may be older than the socket's last bind or connect: what it does not know yet is no difference. */
static bool same_socket(const struct pl_lease *now, const struct pl_lease *told)
{
	static const uint32_t any[4];

	return now->proto == told->proto && now->netns == told->netns && now->lport == told->lport &&
	       now->family == told->family &&
	       (!told->rport || (now->rport == told->rport && !memcmp(now->raddr, told->raddr, sizeof(any)))) &&
	       (!memcmp(told->laddr, any, sizeof(any)) || !memcmp(now->laddr, told->laddr, sizeof(any)));
}

/* ---- now ---- */

static int now_record(void *ctx, const struct pl_rec *rec)
{
	struct who *w = ctx;
	struct event ev;
	int err;

	if (rec->hdr.kind != PL_REC_OPEN || !who_wants(w, &rec->lease))
		return 0;
	err = event_decode(rec, w->boot_to_unix, &ev);
	if (err)
		return err;
	identity_fill(source_identity(w->source), &ev);
	return event_list_add(&w->held_now, &ev);
}

/* Both ends as they are now. */
static void sock_known(struct pl_lease *to, const struct pl_lease *now)
{
	memcpy(to->laddr, now->laddr, sizeof(to->laddr));
	memcpy(to->raddr, now->raddr, sizeof(to->raddr));
	to->rport = now->rport;
}

/* The one that the look told under this id; the look gives them in rising order. */
static struct event *now_find(const struct who *w, uint64_t id)
{
	size_t lo = 0, hi = w->held_now.n;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (w->ids[mid] == id)
			return &w->held_now.at[mid];
		if (w->ids[mid] < id)
			lo = mid + 1;
		else
			hi = mid;
	}
	return NULL;
}

/*
 * A recorder that runs saw the beginning: start, kind and owner are its.  One that is stuck may still have an earlier
 * life of the same port: the youngest is the one that is there.
 */
static int now_peer(void *ctx, uint64_t id, const struct pl_lease *l)
{
	struct pl_rec rec = { .hdr = { .ts = l->start, .size = sizeof(rec), .kind = PL_REC_OPEN }, .lease = *l };
	struct who *w = ctx;
	struct event *ev = now_find(w, id), full;

	if (!ev || (l->flags & PL_F_SNAPSHOT) || (!(ev->lease.flags & PL_F_SNAPSHOT) && ev->lease.start >= l->start) ||
	    !same_socket(&ev->lease, l) || event_decode(&rec, w->boot_to_unix, &full))
		return 0;
	sock_known(&full.lease, &ev->lease);
	if (ev->lease.tgid != l->tgid)	/* names of another process would be wrong */
		event_strings_free(ev);
	full.exe = ev->exe;
	full.cmdline = ev->cmdline;
	full.host = ev->host;
	full.boot_id = ev->boot_id;
	full.where = ev->where;
	*ev = full;
	return 0;
}

static int now_from_peers(struct who *w)
{
	int err;

	w->ids = calloc(w->held_now.n + 1, sizeof(*w->ids));
	for (size_t i = 0; w->ids && i < w->held_now.n; i++)
		w->ids[i] = w->held_now.at[i].lease.id;
	err = w->ids ? source_look_peers(w->source, now_peer, w) : -ENOMEM;
	free(w->ids);
	return err;
}

static int who_now(struct who *w)
{
	const struct ask *ask = &w->answer.ask;
	int err;

	w->boot_to_unix = clock_boot_to_unix();
	err = source_open_look(ask->lo, ask->hi, now_record, w, &w->source);
	if (!err)
		err = source_snapshot(w->source);
	if (!err) {
		w->answer.now_known = true;
		err = now_from_peers(w);
	}
	for (size_t i = 0; !err && i < w->held_now.n; i++)
		err = cmd_here(&w->held_now.at[i]);
	source_close(w->source);
	w->source = NULL;
	return err == -ENOMEM ? err : 0;
}

/* ---- then ---- */

/* One that was held before recording began says nothing of the time before that. */
static bool held_then(const struct who *w, const struct event *ev)
{
	const struct answer *a = &w->answer;

	return !a->asked_span || !(ev->lease.flags & PL_F_SNAPSHOT) || a->until >= a->recorded_since;
}

static int held_event(void *ctx, const struct event *ev)
{
	struct who *w = ctx;

	return held_then(w, ev) ? event_list_add(&w->held, ev) : 0;
}

static int held_count(void *ctx, const struct event *ev)
{
	struct who *w = ctx;
	uint64_t *open = w->open;

	if (!held_then(w, ev))
		return 0;
	w->rows++;
	if (ev->kind != EV_OPEN)
		return 0;
	/* Doubled whenever it is a power of two. */
	if (!(w->n_open & (w->n_open - 1)))
		open = realloc(open, (w->n_open ? 2 * w->n_open : 1) * sizeof(*open));
	if (!open)
		return -ENOMEM;
	w->open = open;
	w->open[w->n_open++] = ev->lease.id;
	return 0;
}

static int by_id(const void *a, const void *b)
{
	const uint64_t *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

/* How many rows there are: those of a span are counted, those of a whole history it knows itself. */
static int held_rows(struct who *w, struct history *h, struct history_query q, const struct history_lives *lives)
{
	int err;

	w->rows = w->held.n;
	if (w->held.n < w->limit)
		return 0;
	if (!w->answer.asked_span) {
		w->rows = lives->lives > w->rows ? lives->lives : w->rows;
		return 0;
	}
	w->rows = 0;
	q.limit = 0;
	q.unordered = true;
	err = history_leases(h, &q, held_count, w, NULL);
	if (w->n_open)
		qsort(w->open, w->n_open, sizeof(*w->open), by_id);
	return err;
}

/*
 * An open lease reaches the history within a minute; until then the recorder
 * that runs knows it, under the same id.
 */
static int known_peer(void *ctx, const struct pl_lease *l)
{
	struct pl_rec rec = { .hdr = { .ts = l->start, .size = sizeof(rec), .kind = PL_REC_OPEN }, .lease = *l };
	struct who *w = ctx;
	struct event ev;
	int err;

	if ((l->flags & PL_F_SNAPSHOT) || !who_wants(w, l) || event_decode(&rec, w->boot_to_unix, &ev) || ev.start > w->answer.until)
		return 0;
	err = event_list_add(&w->known, &ev);
	return err ? err : cmd_here(&w->known.at[w->known.n - 1]);
}

static int held_known(struct who *w, const struct event *ev)
{
	for (size_t i = 0; i < w->held.n; i++)
		if (w->held.at[i].lease.id == ev->lease.id)
			return 0;
	if (w->n_open && bsearch(&ev->lease.id, w->open, w->n_open, sizeof(*w->open), by_id))
		return 0;
	w->rows++;
	return w->held.n < w->limit ? event_list_add(&w->held, ev) : 0;
}

/*
 * A life that was over when the recorder was asked what it holds, and that it never told as open, is on its way to the
 * history for a second: then look again.  `asked`: when it was asked, unix ns.
 */
static int who_held(struct who *w, struct history *h, const struct history_query *q, int64_t asked, struct history_coverage *cover)
{
	struct history_info info;
	int err = history_leases(h, q, held_event, w, cover);

	history_info(h, &info);
	if (err || !w->answer.asked_span || !info.live || info.behind || q->until <= info.held_until ||
	    (w->at && (w->held.n || w->known.n)))
		return err;
	err = history_wait(h, asked);
	if (err)
		return err;
	event_list_free(&w->held);
	return history_leases(h, q, held_event, w, cover);
}

/* A recorder that was started again goes on with the life that its history knows; the kernel's table begins anew. */
static bool goes_on(const struct event *now, const struct event *told)
{
	return (now->lease.flags & PL_F_SNAPSHOT) && !(told->lease.flags & PL_F_SNAPSHOT) && told->kind == EV_OPEN &&
	       same_socket(&now->lease, &told->lease) && (!now->lease.tgid || now->lease.tgid == told->lease.tgid);
}

static int now_from_history(struct who *w)
{
	for (size_t i = 0; i < w->held_now.n; i++) {
		struct event *now = &w->held_now.at[i], full;
		size_t k = 0;

		while (k < w->held.n && !goes_on(now, &w->held.at[k]))
			k++;
		if (k == w->held.n)
			continue;
		if (event_copy(&w->held.at[k], &full))
			return -ENOMEM;
		sock_known(&full.lease, &now->lease);
		full.lease.state = now->lease.state;
		full.lease.flags |= now->lease.flags & (PL_F_TIME_WAIT | PL_F_LISTEN);
		event_strings_free(now);
		*now = full;
	}
	return 0;
}

static int last_event(void *ctx, const struct event *ev)
{
	return event_list_add(&((struct who *)ctx)->last, ev);
}

static int gap_seen(void *ctx, const struct gap *gap)
{
	struct who *w = ctx;

	if (w->n_gaps == w->cap_gaps) {
		size_t cap = w->cap_gaps ? w->cap_gaps * 2 : 8;
		struct gap *grown = realloc(w->gaps, cap * sizeof(*grown));

		if (!grown)
			return -ENOMEM;
		w->gaps = grown;
		w->cap_gaps = cap;
	}
	w->gaps[w->n_gaps++] = *gap;
	return 0;
}

/* A span that only begins in what was not recorded, or removed, is seen in part. */
static enum answer_hole who_hole(const struct answer *a, const struct history_coverage *c, size_t rows)
{
	switch (history_verdict(c, rows)) {
	case HISTORY_LOST:
		return HOLE_GAP;
	case HISTORY_BEFORE:
		return a->until < a->recorded_since ? HOLE_BEFORE : HOLE_GAP;
	case HISTORY_EVICTED:
		return a->until < a->evicted_before ? HOLE_EVICTED : HOLE_GAP;
	default:
		return history_incomplete(c) ? HOLE_GAP : HOLE_NONE;
	}
}

/* What the recorder that runs knows beyond the history; where it could not be asked (`peer`: why), the end of that is a gap. */
static int who_peer(struct who *w, int peer)
{
	struct answer *a = &w->answer;
	int64_t late = w->now - CMD_OPEN_LATE_NS;
	struct gap gap = { .lost = -1, .to = w->now, .cause = GAP_STORE };
	int err = 0;

	for (size_t i = 0; !err && i < w->known.n; i++)
		err = held_known(w, &w->known.at[i]);
	if (err || !peer)
		return err;
	gap.from = late > a->recorded_since ? late : a->recorded_since;
	if (a->until <= gap.from)
		return 0;
	if (a->hole == HOLE_NONE)
		a->hole = HOLE_UNREAD;
	return gap_seen(w, &gap);
}

static int who_history(struct who *w, struct history *h)
{
	struct answer *a = &w->answer;
	struct history_query q = {
		.port_lo = a->ask.lo, .port_hi = a->ask.hi, .proto = (uint8_t)w->proto, .netns = w->netns,
		.by_addr = a->ask.by_addr, .family = a->ask.family, .since = a->since, .until = a->until, .limit = w->limit,
	};
	struct history_coverage cover = { 0 };
	struct history_lives lives = { .median = -1 };
	struct history_info info;
	int err, peer = 0;

	memcpy(q.laddr, a->ask.addr, sizeof(q.laddr));
	history_info(h, &info);
	a->history = true;
	a->recorded_since = info.recorded_since;
	a->evicted_before = info.evicted_before;
	if (!a->asked_span)
		a->since = q.since = info.recorded_since ? info.recorded_since : 0;
	err = cmd_check_time(w->at ? "--at" : "--since", a->since, w->now, info.youngest);
	w->boot_to_unix = clock_boot_to_unix();
	/* Now is asked of the kernel, so that nothing need be waited for. */
	if (!a->asked_span && info.live && !info.behind && info.recorded_until > q.since)
		q.until = info.recorded_until;
	if (!err && a->asked_span && info.live && a->since <= w->now)
		peer = source_peer(info.pid, q.port_lo, q.port_hi, known_peer, w);
	if (!err)
		err = peer == -ENOMEM ? peer : who_held(w, h, &q, clock_unix_ns(), &cover);
	if (!err)
		err = history_lives(h, &q, &lives, last_event, w);
	if (!err)
		err = held_rows(w, h, q, &lives);
	if (!err)
		err = history_gaps(h, q.since, q.until, gap_seen, w);
	/* Without a time asked for, gaps are shown but only one's own question can be incomplete. */
	a->hole = a->asked_span ? who_hole(a, &cover, w->held.n) : HOLE_NONE;
	if (!err)
		err = who_peer(w, peer);
	if (!err && info.live)
		err = now_from_history(w);
	a->lives = lives.lives;
	a->sampled = lives.sampled;
	a->median_us = lives.median < 0 ? -1 : lives.median / 1000;
	a->lost = cover.lost;
	return err;
}

static int who_then(struct who *w)
{
	struct history *h = NULL;
	int err;

	/* None is no error: now can be asked without a recorder. */
	err = cmd_history_open(w->common.state_dir, &h);
	if (err == -ENODATA) {
		w->answer.hole = w->answer.asked_span ? HOLE_NO_HISTORY : HOLE_NONE;
		return cmd_check_time(w->at ? "--at" : "--since", w->answer.since, w->now, 0);
	}
	if (err)
		return err;
	err = who_history(w, h);
	history_close(h);
	return err;
}

/* ---- the whole ---- */

/* A small system has no services(5): that a port has no name there says nothing. */
static bool no_services(void)
{
	bool none;

	setservent(0);
	none = !getservent();
	endservent();
	return none;
}

static void who_facts(struct who *w)
{
	struct answer *a = &w->answer;
	struct servent *sv = NULL;

	if (a->ask.lo == a->ask.hi)
		sv = getservbyport(htons(a->ask.lo), w->proto == IPPROTO_TCP ? "tcp" : w->proto ? "udp" : NULL);
	if (sv) {
		snprintf(w->service, sizeof(w->service), "%s", sv->s_name);
		a->service = w->service;
	}
	a->no_services = !sv && no_services();
	a->range_known = !host_port_range(&a->range_lo, &a->range_hi);
	if (a->range_known && a->ask.lo == a->ask.hi)
		host_port_reserved(a->ask.lo, &a->reserved);
}

static int newest_first(const void *a, const void *b)
{
	const struct gap *x = a, *y = b;

	return x->from < y->from ? 1 : -(x->from > y->from);
}

static void who_conclude(struct who *w)
{
	struct answer *a = &w->answer;

	if (w->n_gaps)
		qsort(w->gaps, w->n_gaps, sizeof(*w->gaps), newest_first);
	a->now = w->held_now.at;
	a->n_now = w->held_now.n;
	a->held = w->held.at;
	a->n_held = w->held.n;
	a->omitted = w->rows > w->held.n ? w->rows - w->held.n : 0;
	a->gaps = w->gaps;
	a->n_gaps = w->n_gaps;
	a->last = w->last.n ? w->last.at : NULL;
	if (a->n_now || a->n_held)
		a->status = a->hole && !a->at ? ANSWER_INCOMPLETE : ANSWER_FOUND;
	else
		a->status = a->hole || (a->asked_now && !a->now_known) ? ANSWER_INCOMPLETE : ANSWER_NOBODY;
}

static int who_print(struct who *w)
{
	struct strbuf out = STRBUF_INIT;
	int err;

	if (w->common.output == OUT_JSON)
		answer_json(&out, &w->answer);
	else if (w->common.output == OUT_TABLE)
		answer_text(&out, &w->answer, w->common.utc, w->now);
	if (w->common.output == OUT_CSV && w->common.header)
		facts_csv_header(&out);
	for (size_t i = 0; w->common.output == OUT_CSV && i < w->held_now.n + w->held.n; i++)
		facts_csv(&out, i < w->held_now.n ? &w->held_now.at[i] : &w->held.at[i - w->held_now.n]);
	for (size_t i = 0; w->common.output == OUT_JSONL && i < w->held_now.n + w->held.n; i++) {
		facts_json(&out, i < w->held_now.n ? &w->held_now.at[i] : &w->held.at[i - w->held_now.n]);
		strbuf_putc(&out, '\n');
	}
	if (w->answer.omitted && (w->common.output == OUT_CSV || w->common.output == OUT_JSONL))
		log_info("%llu more rows are not shown; --limit shows them", (unsigned long long)w->answer.omitted);
	err = strbuf_err(&out);
	errno = 0;
	if (!err && (fwrite(strbuf_str(&out), 1, out.len, stdout) != out.len || fflush(stdout)))
		err = errno ? -errno : -EIO;
	strbuf_free(&out);
	return err;
}

static int who_exit(const struct who *w, int err)
{
	static const int codes[] = { [ANSWER_FOUND] = EXIT_OK, [ANSWER_NOBODY] = EXIT_NOTHING, [ANSWER_INCOMPLETE] = EXIT_INCOMPLETE };

	return err ? cmd_exit(err) : codes[w->answer.status];
}

/* Times asked for, or the whole history; -EINVAL, said. */
static int who_span(struct who *w)
{
	struct answer *a = &w->answer;

	if (w->at && (w->since || w->until)) {
		log_err("--at is one moment; give it, or --since and --until");
		return -EINVAL;
	}
	a->asked_span = w->at || w->since || w->until;
	a->at = w->at;
	a->since = w->at ? w->at : w->since;
	a->until = w->at ? w->at : w->until ? w->until : w->now;
	if (a->since > a->until) {
		log_err("--since lies after --until");
		return -EINVAL;
	}
	return 0;
}

int cmd_who(int argc, char **argv)
{
	struct who w = { .common = COMMON_OPTS_INIT, .limit = 10, .answer = { .median_us = -1 } };
	const struct opt opts[] = {
		OPT_TIME("at", &w.at, "who held it at this time"),
		OPT_TIME("since", &w.since, "who held it from this time on"),
		OPT_TIME("until", &w.until, "who held it up to this time [now]"),
		OPT_WORD("proto", &w.proto, cmd_words_proto, "only this protocol [any]"),
		OPT_CALL("netns", "NETNS", cmd_parse_netns, &w.netns, "only this network namespace: inode number, name or path"),
		OPT_U32("limit", "N", &w.limit, 1, 1000000, "most rows from the history [10]"),
		OPT_COMMON(&w.common),
		OPT_END
	};
	const struct opt_cmd cmd = {
		.name = "who", .args = "PORT", .about = "who holds a port now, and who held it", .opts = opts, .min_args = 1, .max_args = 1,
		.more = "PORT: 60303, 60000-60999, 10.0.0.5:60303 or [::1]:60303.\n",
	};
	char why[PORTS_WHY_LEN * 2];
	int err = opt_parse(&cmd, &argc, argv);

	if (err)
		return cmd_opt_exit(err);
	w.now = clock_unix_ns();	/* after the options: "now" is not the future */
	w.answer.asked = argv[1];
	if (ask_parse(argv[1], &w.answer.ask, why, sizeof(why))) {
		log_err("%s", why);
		return EXIT_USAGE;
	}
	if (who_span(&w))
		return EXIT_USAGE;
	w.answer.proto = (uint8_t)w.proto;
	w.answer.own_netns = host_netns();
	w.answer.asked_now = !w.answer.asked_span;
	who_facts(&w);
	if (w.answer.asked_now)
		err = who_now(&w);
	if (!err)
		err = who_then(&w);
	if (!err) {
		who_conclude(&w);
		err = who_print(&w);
	}
	event_list_free(&w.held_now);
	event_list_free(&w.held);
	event_list_free(&w.known);
	event_list_free(&w.last);
	free(w.gaps);
	free(w.open);
	return who_exit(&w, err);
}
