// SPDX-License-Identifier: GPL-2.0
/*
 * The list of facts and their getters; see facts.h.
 *
 * A getter says what is known and nothing about form; the faces are
 * facts_face.c.  Zero means unknown inside and null outside: the rules for it
 * are in the set_ helpers, and beside each getter that deviates.
 */
#include "out/facts.h"

#include <netinet/in.h>
#include <sys/socket.h>

#include "base/json.h"

#define FACTS_TOP_COMM 48	/* of a name in a summary, encoded */

static void set_word(struct fact_value *v, const char *word)
{
	v->type = word ? FACT_WORD : FACT_NULL;
	v->text = word;
}

static void set_text(struct fact_value *v, const char *text)
{
	v->type = text && *text ? FACT_TEXT : FACT_NULL;
	v->text = text;
}

static void set_int(struct fact_value *v, int64_t num)
{
	v->type = FACT_INT;
	v->num = num;
}

static void set_known_int(struct fact_value *v, int64_t num)
{
	v->type = num ? FACT_INT : FACT_NULL;
	v->num = num;
}

static void set_id(struct fact_value *v, uint64_t id)
{
	v->type = id ? FACT_ID : FACT_NULL;
	v->id = id;
}

static void set_bool(struct fact_value *v, bool set)
{
	v->type = FACT_BOOL;
	v->num = set;
}

static void set_time(struct fact_value *v, int64_t ns)
{
	v->type = ns > 0 ? FACT_TIME : FACT_NULL;
	v->num = ns;
}

/* Whole microseconds between two known times in order. */
static void set_duration(struct fact_value *v, int64_t from, int64_t to)
{
	bool known = from && to && from <= to;

	v->type = known ? FACT_INT : FACT_NULL;
	v->num = known ? (to - from) / 1000 : 0;
}

static void set_tree(struct fact_value *v, void (*tree)(struct json *, const struct event *))
{
	v->type = FACT_TREE;
	v->tree = tree;
}

static void set_null(struct fact_value *v)
{
	v->type = FACT_NULL;
}

#define GET(name) static void get_##name(const struct event *ev, struct fact_value *v)

GET(v)
{
	set_int(v, 1);
}

GET(event)
{
	set_word(v, event_name(ev->kind));
}

GET(lease)
{
	set_id(v, ev->lease.id);
}

GET(ts)
{
	set_time(v, ev->ts);
}

GET(host)
{
	set_text(v, ev->host);
}

GET(boot_id)
{
	set_text(v, ev->boot_id);
}

GET(seq)
{
	set_known_int(v, (int64_t)ev->seq);
}

GET(proto)
{
	bool known = ev->lease.proto == IPPROTO_TCP || ev->lease.proto == IPPROTO_UDP || ev->lease.proto == IPPROTO_UDPLITE;

	set_word(v, known ? event_proto_name(ev->lease.proto) : NULL);
}

static bool family_known(const struct event *ev)
{
	return ev->lease.family == AF_INET || ev->lease.family == AF_INET6;
}

GET(family)
{
	set_word(v, family_known(ev) ? event_family_name(ev->lease.family) : NULL);
}

GET(laddr)
{
	set_word(v, family_known(ev) ? event_addr(ev->lease.family, ev->lease.laddr, v->buf) : NULL);
}

GET(port)
{
	set_known_int(v, ev->lease.lport);
}

GET(raddr)
{
	bool known = family_known(ev) && event_has_remote(ev);

	set_word(v, known ? event_addr(ev->lease.family, ev->lease.raddr, v->buf) : NULL);
}

GET(rport)
{
	set_known_int(v, ev->lease.rport);
}

GET(kind)
{
	set_word(v, event_kind_name(ev->lease.kind));
}

/*
 * A connected TCP socket that a snapshot found may have chosen its number or
 * inherited it from a listener: not known.  Nor is it where what was asked for was lost.
 */
GET(ephemeral)
{
	const struct pl_lease *l = &ev->lease;

	if (l->kind == PL_KIND_UNKNOWN && !(l->flags & (PL_F_CHOSEN | PL_F_LISTEN)) &&
	    (l->proto == IPPROTO_TCP || !(l->flags & PL_F_SNAPSHOT)))
		v->type = FACT_NULL;
	else
		set_bool(v, l->flags & PL_F_CHOSEN);
}

/* When a snapshot found it is no start. */
static int64_t known_start(const struct event *ev)
{
	return ev->lease.flags & PL_F_SNAPSHOT ? 0 : ev->start;
}

GET(start)
{
	set_time(v, known_start(ev));
}

GET(end)
{
	set_time(v, ev->end);
}

GET(duration_us)
{
	set_duration(v, known_start(ev), ev->end);
}

GET(closed)
{
	set_time(v, ev->closed);
}

GET(time_wait_us)
{
	set_duration(v, ev->closed, ev->end);
}

GET(pid)
{
	set_known_int(v, ev->lease.tgid);
}

GET(tid)
{
	set_known_int(v, ev->lease.tgid ? ev->lease.tid : 0);
}

/* Only init and kthreadd have no parent; elsewhere 0 means that nobody looked. */
GET(ppid)
{
	if (ev->lease.tgid && ev->lease.tgid <= 2)
		set_int(v, ev->lease.ppid);
	else
		set_known_int(v, ev->lease.tgid ? ev->lease.ppid : 0);
}

GET(uid)
{
	if (ev->lease.tgid)
		set_int(v, ev->lease.uid);
	else
		set_null(v);
}

GET(comm)
{
	set_text(v, ev->lease.tgid ? ev->lease.comm : NULL);
}

GET(exe)
{
	set_text(v, ev->exe);
}

GET(proc_start)
{
	set_time(v, ev->lease.tgid ? ev->proc_start : 0);
}

GET(cgroup)
{
	set_text(v, ev->where.cgroup);
}

GET(unit)
{
	set_text(v, ev->where.unit);
}

GET(container_id)
{
	set_text(v, ev->where.container_id);
}

GET(pod_uid)
{
	set_text(v, ev->where.pod_uid);
}

GET(netns)
{
	set_id(v, ev->lease.netns);
}

GET(cookie)
{
	set_id(v, ev->lease.cookie);
}

GET(reason)
{
	set_word(v, event_reason_name(ev->reason));
}

GET(errno)
{
	const char *name = ev->err ? event_errno_name(ev->err) : NULL;

	set_word(v, name && event_errno_from_name(name) == ev->err ? name : NULL);
}

GET(evidence)
{
	set_word(v, event_evidence_name(ev->evidence));
}

GET(owner_src)
{
	set_word(v, event_owner_name(ev->lease.owner_src));
}

GET(cmdline)
{
	set_text(v, ev->cmdline);
}

GET(in_range)
{
	set_bool(v, ev->lease.flags & PL_F_IN_RANGE);
}

const struct fact_flag facts_flags[] = {
	{ "snapshot", PL_F_SNAPSHOT }, { "shared", PL_F_SHARED }, { "time_wait", PL_F_TIME_WAIT },
	{ "listen", PL_F_LISTEN }, { NULL, 0 },
};

static void tree_flags(struct json *j, const struct event *ev)
{
	json_array(j);
	for (const struct fact_flag *f = facts_flags; f->name; f++)
		if (ev->lease.flags & f->bit)
			json_str(j, f->name);
	json_array_end(j);
}

GET(flags)
{
	static const unsigned int any = PL_F_SNAPSHOT | PL_F_SHARED | PL_F_TIME_WAIT | PL_F_LISTEN;

	v->type = FACT_EMPTY;
	if (ev->lease.flags & any)
		set_tree(v, tree_flags);
}

static void put_by_kind(struct json *j, const uint64_t counts[PL_KINDS])
{
	json_object(j);
	for (unsigned int kind = 1; kind <= PL_KINDS; kind++) {	/* `unknown`, number 0, comes last */
		json_key(j, event_kind_name(kind % PL_KINDS));
		json_uint(j, counts[kind % PL_KINDS]);
	}
	json_object_end(j);
}

static void tree_allocs(struct json *j, const struct event *ev)
{
	put_by_kind(j, ev->summary->allocs);
}

static void tree_fails_kind(struct json *j, const struct event *ev)
{
	put_by_kind(j, ev->summary->fails_kind);
}

static void put_fails(struct json *j, const uint64_t fails[PL_ERRNOS])
{
	static const char *const names[PL_ERRNOS] = {
		[PL_IX_EADDRINUSE] = "EADDRINUSE", [PL_IX_EADDRNOTAVAIL] = "EADDRNOTAVAIL",
		[PL_IX_EACCES] = "EACCES", [PL_IX_EAGAIN] = "EAGAIN",
	};

	json_object(j);
	for (unsigned int i = 0; i < PL_ERRNOS; i++) {
		json_key(j, names[i]);
		json_uint(j, fails[i]);
	}
	json_object_end(j);
}

static void tree_fails(struct json *j, const struct event *ev)
{
	put_fails(j, ev->summary->fails);
}

static const char *const proto_names[PL_PROTOS] = {
	[PL_IX_TCP] = "tcp", [PL_IX_UDP] = "udp", [PL_IX_UDPLITE] = "udplite",
};

static void put_by_proto(struct json *j, const uint64_t counts[PL_PROTOS])
{
	json_object(j);
	for (unsigned int p = 0; p < PL_PROTOS; p++) {
		json_key(j, proto_names[p]);
		json_uint(j, counts[p]);
	}
	json_object_end(j);
}

static void tree_allocs_by(struct json *j, const struct event *ev)
{
	put_by_proto(j, ev->summary->allocs_by);
}

static void tree_releases_by(struct json *j, const struct event *ev)
{
	put_by_proto(j, ev->summary->releases_by);
}

static void tree_fails_by(struct json *j, const struct event *ev)
{
	json_object(j);
	for (unsigned int p = 0; p < PL_PROTOS; p++) {
		json_key(j, proto_names[p]);
		put_fails(j, ev->summary->fails_by[p]);
	}
	json_object_end(j);
}

static void put_procs(struct json *j, const struct summary_proc procs[SUMMARY_TOP])
{
	json_array(j);
	for (unsigned int i = 0; i < SUMMARY_TOP && procs[i].ports; i++) {
		json_object(j);
		json_key(j, "pid");
		if (procs[i].pid)
			json_uint(j, procs[i].pid);
		else
			json_null(j);
		json_key(j, "comm");
		json_str_max(j, procs[i].comm, FACTS_TOP_COMM);
		json_key(j, "ports");
		json_uint(j, procs[i].ports);
		json_object_end(j);
	}
	json_array_end(j);
}

static void tree_top_taken(struct json *j, const struct event *ev)
{
	put_procs(j, ev->summary->taken);
}

static void tree_top_held(struct json *j, const struct event *ev)
{
	put_procs(j, ev->summary->held);
}

static void put_netns(struct json *j, const struct summary_netns *n)
{
	json_object(j);
	json_key(j, "netns");
	json_id(j, n->netns);
	json_key(j, "range");
	json_array(j);
	json_uint(j, n->range_lo);
	json_uint(j, n->range_hi);
	json_array_end(j);
	json_key(j, "size");
	json_uint(j, n->range_hi >= n->range_lo && n->range_hi ? n->range_hi - n->range_lo + 1 : 0);
	json_key(j, "reserved");
	json_uint(j, n->reserved);
	json_key(j, "used_odd");
	json_uint(j, n->used_odd);
	json_key(j, "used_even");
	json_uint(j, n->used_even);
	for (unsigned int p = 0; p < PL_PROTOS; p++) {
		json_key(j, proto_names[p]);
		json_uint(j, n->in_use[p]);
	}
	json_key(j, "time_wait");
	json_uint(j, n->time_wait);
	json_object_end(j);
}

static unsigned int netns_shown(const struct event *ev)
{
	return ev->summary->n_netns < FACTS_NETNS_MAX ? ev->summary->n_netns : FACTS_NETNS_MAX;
}

static void tree_netns(struct json *j, const struct event *ev)
{
	json_array(j);
	for (unsigned int i = 0; i < netns_shown(ev); i++)
		put_netns(j, &ev->summary->netns[i]);
	json_array_end(j);
}

/* A summary without its body says nothing: all null. */
#define GET_SUMMARY(name, set)						\
	GET(name)							\
	{								\
		if (ev->summary)					\
			set;						\
		else							\
			set_null(v);					\
	}

GET_SUMMARY(allocs, set_tree(v, tree_allocs))
GET_SUMMARY(releases, set_int(v, (int64_t)ev->summary->releases))
GET_SUMMARY(fails, set_tree(v, tree_fails))
GET_SUMMARY(live, set_int(v, (int64_t)ev->summary->live))
GET_SUMMARY(time_wait, set_int(v, (int64_t)ev->summary->time_wait))
GET_SUMMARY(summary_netns, set_tree(v, tree_netns))
GET_SUMMARY(netns_omitted, set_int(v, ev->summary->n_netns - netns_shown(ev) + ev->summary->netns_more))
GET_SUMMARY(span_us, set_known_int(v, ev->summary->span / 1000))
GET_SUMMARY(peak, set_int(v, (int64_t)ev->summary->peak))
GET_SUMMARY(allocs_by, set_tree(v, tree_allocs_by))
GET_SUMMARY(releases_by, set_tree(v, tree_releases_by))
GET_SUMMARY(fails_by, set_tree(v, tree_fails_by))
GET_SUMMARY(fails_kind, set_tree(v, tree_fails_kind))
GET_SUMMARY(lives, set_int(v, (int64_t)ev->summary->lives))
GET_SUMMARY(top_taken, set_tree(v, tree_top_taken))
GET_SUMMARY(top_held, set_tree(v, tree_top_held))

/* Of no lives there is no median. */
static void set_percentile(const struct event *ev, struct fact_value *v, int64_t us)
{
	v->type = ev->summary->lives ? FACT_INT : FACT_NULL;
	v->num = us;
}

GET_SUMMARY(p50_us, set_percentile(ev, v, ev->summary->p50_us))
GET_SUMMARY(p99_us, set_percentile(ev, v, ev->summary->p99_us))

GET(lost)
{
	if (ev->kind == EV_SUMMARY && ev->summary)
		set_int(v, (int64_t)ev->summary->lost);
	else if (ev->kind == EV_GAP && ev->gap && ev->gap->lost >= 0)
		set_int(v, ev->gap->lost);
	else
		set_null(v);
}

GET(from)
{
	set_time(v, ev->gap ? ev->gap->from : 0);
}

GET(to)
{
	set_time(v, ev->gap ? ev->gap->to : 0);
}

GET(cause)
{
	set_word(v, ev->gap ? event_gap_name(ev->gap->cause) : NULL);
}

/* Limits such that the line stays within FACTS_LINE_MAX. */
static void tree_flooder(struct json *j, const struct event *ev)
{
	json_object(j);
	json_key(j, "cgroup");
	json_str_max(j, ev->gap->flood_cgroup, 1024);
	json_key(j, "lost");
	json_uint(j, ev->gap->flood_lost);
	json_key(j, "pid");
	if (ev->gap->flood_pid)
		json_uint(j, ev->gap->flood_pid);
	else
		json_null(j);
	json_key(j, "comm");
	json_str(j, ev->gap->flood_comm);
	json_object_end(j);
}

GET(flooded_by)
{
	if (ev->gap && ev->gap->flood_lost)
		set_tree(v, tree_flooder);
	else
		set_null(v);
}

#define IN_ALL (FACT_IN_LEASE | FACT_IN_GAP | FACT_IN_SUMMARY)
#define NAMED(name) name, ",\"" name "\":", sizeof(",\"" name "\":") - 1
#define ALL(name) { NAMED(#name), IN_ALL, 0, get_##name, .run = RUN_NONE }
#define LEASE(name) { NAMED(#name), FACT_IN_LEASE, 0, get_##name, .run = RUN_NONE }
#define PROCESS(name, max) { NAMED(#name), FACT_IN_LEASE, max, get_##name, .run = RUN_PROCESS }
#define HOW(name, max) { NAMED(#name), FACT_IN_LEASE, max, get_##name, .run = RUN_HOW }
#define SUMMARY(name) { NAMED(#name), FACT_IN_SUMMARY, 0, get_##name, .run = RUN_NONE }
#define GAP(name) { NAMED(#name), FACT_IN_GAP, 0, get_##name, .run = RUN_NONE }

/* The limits of texts add up to what FACTS_LINE_MAX leaves beside the other facts. */
static const struct fact facts[] = {
	ALL(v), ALL(event), LEASE(lease), ALL(ts),
	{ NAMED("host"), IN_ALL, 128, get_host, .run = RUN_HOST },
	{ NAMED("boot_id"), IN_ALL, 40, get_boot_id, .run = RUN_HOST },
	ALL(seq), LEASE(proto), LEASE(family), LEASE(laddr), LEASE(port), LEASE(raddr), LEASE(rport), LEASE(kind),
	LEASE(ephemeral), LEASE(start), LEASE(end), LEASE(duration_us), LEASE(closed), LEASE(time_wait_us),
	PROCESS(pid, 0), PROCESS(tid, 0), PROCESS(ppid, 0), PROCESS(uid, 0), PROCESS(comm, 6 * PL_COMM_LEN), PROCESS(exe, 1024),
	PROCESS(proc_start, 0), PROCESS(cgroup, 1024), PROCESS(unit, 288), PROCESS(container_id, 128), PROCESS(pod_uid, 64),
	LEASE(netns), LEASE(cookie), HOW(reason, 0), HOW(errno, 0), HOW(evidence, 0), HOW(owner_src, 0), HOW(in_range, 0),
	HOW(cmdline, 256), HOW(flags, 0),
	SUMMARY(allocs), SUMMARY(releases), SUMMARY(fails), SUMMARY(live), SUMMARY(time_wait),
	{ NAMED("lost"), FACT_IN_SUMMARY | FACT_IN_GAP, 0, get_lost, .run = RUN_NONE },
	GAP(from), GAP(to), GAP(cause), GAP(flooded_by),
	{ NAMED("netns"), FACT_IN_SUMMARY, 0, get_summary_netns, .twin = true },
	SUMMARY(netns_omitted), SUMMARY(span_us), SUMMARY(peak), SUMMARY(allocs_by), SUMMARY(releases_by), SUMMARY(fails_by),
	SUMMARY(fails_kind),
	SUMMARY(lives), SUMMARY(p50_us), SUMMARY(p99_us), SUMMARY(top_taken), SUMMARY(top_held),
};

const struct fact *facts_list(size_t *count)
{
	*count = sizeof(facts) / sizeof(facts[0]);
	return facts;
}

unsigned int facts_in(const struct event *ev)
{
	return ev->kind == EV_GAP ? FACT_IN_GAP : ev->kind == EV_SUMMARY ? FACT_IN_SUMMARY : FACT_IN_LEASE;
}

bool facts_apply(const struct fact *fact, const struct event *ev)
{
	return fact->in & facts_in(ev);
}
