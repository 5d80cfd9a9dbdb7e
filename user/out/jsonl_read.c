// SPDX-License-Identifier: GPL-2.0
/*
 * One line of the event format back into an event; see jsonl_read.h.
 *
 * Readers of fields keep the first complaint and do nothing after it, so that
 * a list of fields reads as a list.  What cJSON lets pass and the format does
 * not (invalid UTF-8, \u0000, a field twice, text behind the end) is checked
 * around it.
 */
#include "out/jsonl_read.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "base/str.h"
#include "out/facts.h"
#include "out/jsonl_field.h"
#include "out/jsonl_summary.h"

#define OMITTED_MAX 65536
#define NETNS_READ_MAX 64	/* an older recorder listed more than FACTS_NETNS_MAX */

struct jsonl_read {
	cJSON *root;		/* owns all strings of the event */
	struct event ev;
	struct gap gap;
	struct summary summary;
	struct summary_netns *netns;
	struct fields f;
};

int jsonl_read_new(struct jsonl_read **ret)
{
	struct jsonl_read *r = calloc(1, sizeof(*r));

	if (!r)
		return -ENOMEM;
	*ret = r;
	return 0;
}

static void jsonl_read_reset(struct jsonl_read *r)
{
	cJSON_Delete(r->root);
	free(r->netns);
	*r = (struct jsonl_read){ 0 };
}

void jsonl_read_free(struct jsonl_read *r)
{
	if (!r)
		return;
	jsonl_read_reset(r);
	free(r);
}

const char *jsonl_read_error(const struct jsonl_read *r)
{
	return r->f.why;
}

static uint64_t count(struct jsonl_read *r, const cJSON *in, const char *name)
{
	return (uint64_t)field_whole(&r->f, in, name, 0, FIELD_WHOLE_MAX, 0);
}

static uint32_t number32(struct jsonl_read *r, const cJSON *in, const char *name, uint32_t lo)
{
	return (uint32_t)field_whole(&r->f, in, name, lo, UINT32_MAX, 0);
}

static const char *text(struct jsonl_read *r, const char *name)
{
	return field_text(&r->f, r->root, name, true);
}

static void read_address(struct jsonl_read *r, const char *name, __u32 addr[4])
{
	const char *s = text(r, name);

	if (!s)
		return;
	if (!r->ev.lease.family)
		field_refuse(&r->f, "field 'family': null beside an address");
	else if (inet_pton(r->ev.lease.family, s, addr) != 1)
		field_refuse_value(&r->f, name, s, "is no address of that family");
}

/* Derived, so only looked at. */
static void read_duration(struct jsonl_read *r, const char *name)
{
	field_whole(&r->f, r->root, name, 0, FIELD_WHOLE_MAX, 0);
}

static void read_flags(struct jsonl_read *r)
{
	const cJSON *list = field_member(&r->f, r->root, "flags", false), *item;

	if (list && !cJSON_IsArray(list))
		field_refuse(&r->f, "field 'flags': not an array");
	cJSON_ArrayForEach(item, list) {
		if (!cJSON_IsString(item)) {
			field_refuse(&r->f, "field 'flags': not an array of strings");
			break;
		}
		for (const struct fact_flag *f = facts_flags; f->name; f++)
			if (!strcmp(f->name, item->valuestring))
				r->ev.lease.flags |= f->bit;
	}
}

static void read_socket(struct jsonl_read *r)
{
	struct pl_lease *l = &r->ev.lease;

	l->id = field_id(&r->f, r->root, "lease", UINT64_MAX);
	l->proto = (__u8)field_word(&r->f, r->root, "proto", true, event_proto_from_name, 0);
	l->family = (__u8)field_word(&r->f, r->root, "family", true, event_family_from_name, 0);
	read_address(r, "laddr", l->laddr);
	l->lport = (__u16)field_whole(&r->f, r->root, "port", 1, 65535, 0);
	read_address(r, "raddr", l->raddr);
	l->rport = (__u16)field_whole(&r->f, r->root, "rport", 1, 65535, 0);
	l->kind = (__u8)field_word(&r->f, r->root, "kind", true, event_kind_from_name, PL_KIND_UNKNOWN);
	l->netns = (__u32)field_id(&r->f, r->root, "netns", UINT32_MAX);
	l->cookie = field_id(&r->f, r->root, "cookie", UINT64_MAX);
	read_flags(r);
	if (field_bool(&r->f, r->root, "ephemeral", true))
		l->flags |= PL_F_CHOSEN;
	if (field_bool(&r->f, r->root, "in_range", false))
		l->flags |= PL_F_IN_RANGE;
}

static void read_life(struct jsonl_read *r)
{
	r->ev.start = field_time(&r->f, r->root, "start");
	r->ev.end = field_time(&r->f, r->root, "end");
	r->ev.closed = field_time(&r->f, r->root, "closed");
	read_duration(r, "duration_us");
	read_duration(r, "time_wait_us");
	r->ev.reason = (enum pl_reason)field_word(&r->f, r->root, "reason", true, event_reason_from_name, PL_REASON_NONE);
	r->ev.err = field_word(&r->f, r->root, "errno", true, event_errno_from_name, 0);
	r->ev.evidence = (enum evidence)field_word(&r->f, r->root, "evidence", true, event_evidence_from_name, EVIDENCE_EVENT);
}

static void read_owner(struct jsonl_read *r)
{
	struct pl_lease *l = &r->ev.lease;
	const char *comm;

	l->tgid = number32(r, r->root, "pid", 1);
	l->tid = number32(r, r->root, "tid", 1);
	l->ppid = number32(r, r->root, "ppid", 0);
	l->uid = number32(r, r->root, "uid", 0);
	l->owner_src = (__u8)field_word(&r->f, r->root, "owner_src", false, event_owner_from_name, PL_OWNER_UNKNOWN);
	comm = text(r, "comm");
	if (comm && strlen(comm) >= sizeof(l->comm))
		field_refuse(&r->f, "field 'comm': longer than %d bytes", PL_COMM_LEN - 1);
	else if (comm)
		memcpy(l->comm, comm, strlen(comm));
	r->ev.proc_start = field_time(&r->f, r->root, "proc_start");
	r->ev.exe = text(r, "exe");
	r->ev.cmdline = field_text(&r->f, r->root, "cmdline", false);
	r->ev.where.cgroup = text(r, "cgroup");
	r->ev.where.unit = text(r, "unit");
	r->ev.where.container_id = text(r, "container_id");
	r->ev.where.pod_uid = text(r, "pod_uid");
}

/* Recordings of before it was told have none. */
static void read_flooder(struct jsonl_read *r)
{
	const cJSON *by = field_member(&r->f, r->root, "flooded_by", false);

	if (!by)
		return;
	if (!cJSON_IsObject(by)) {
		field_refuse(&r->f, "field 'flooded_by': no object");
		return;
	}
	r->gap.flood_lost = (uint64_t)field_whole(&r->f, by, "lost", 1, FIELD_WHOLE_MAX, 0);
	r->gap.flood_cgroup = field_text(&r->f, by, "cgroup", false);
	r->gap.flood_pid = (uint32_t)field_whole(&r->f, by, "pid", 1, UINT32_MAX, 0);
	r->gap.flood_comm = field_text(&r->f, by, "comm", false);
}

static void read_gap(struct jsonl_read *r)
{
	int cause;

	r->gap.lost = field_whole(&r->f, r->root, "lost", 0, FIELD_WHOLE_MAX, -1);
	r->gap.from = field_time(&r->f, r->root, "from");
	r->gap.to = field_time(&r->f, r->root, "to");
	cause = field_word(&r->f, r->root, "cause", true, event_gap_from_name, -1);
	if (cause < 0)
		field_refuse(&r->f, "field 'cause': null");
	else
		r->gap.cause = (enum gap_cause)cause;
	read_flooder(r);
	r->ev.gap = &r->gap;
}

/* An object that has to be there: a complaint and NULL, when it is none. */
static const cJSON *object(struct jsonl_read *r, const char *name)
{
	const cJSON *item = field_member(&r->f, r->root, name, true);

	if (item && cJSON_IsObject(item))
		return item;
	field_refuse(&r->f, "field '%s': not an object", name);
	return NULL;
}

static bool is_port_number(const cJSON *item)
{
	return cJSON_IsNumber(item) && item->valuedouble >= 0 && item->valuedouble <= 65535 &&
	       item->valuedouble == item->valueint;
}

static void read_netns(struct jsonl_read *r, const cJSON *item, struct summary_netns *n)
{
	const cJSON *range = field_member(&r->f, item, "range", true);
	const cJSON *lo = cJSON_GetArrayItem(range, 0), *hi = cJSON_GetArrayItem(range, 1);

	if (!cJSON_IsArray(range) || cJSON_GetArraySize(range) != 2 || !is_port_number(lo) || !is_port_number(hi)) {
		field_refuse(&r->f, "field 'netns': 'range' is not two ports");
		return;
	}
	n->range_lo = (uint32_t)lo->valueint;
	n->range_hi = (uint32_t)hi->valueint;
	n->netns = (uint32_t)field_id(&r->f, item, "netns", UINT32_MAX);
	n->reserved = number32(r, item, "reserved", 0);
	n->used_odd = number32(r, item, "used_odd", 0);
	n->used_even = number32(r, item, "used_even", 0);
	jsonl_summary_netns_added(&r->f, item, n);
}

static void read_netns_list(struct jsonl_read *r)
{
	const cJSON *list = field_member(&r->f, r->root, "netns", true), *item;
	size_t shown, omitted = (size_t)field_whole(&r->f, r->root, "netns_omitted", 0, OMITTED_MAX, 0);
	struct summary_netns *next;

	if (!cJSON_IsArray(list)) {
		field_refuse(&r->f, "field 'netns': not an array");
		return;
	}
	shown = (size_t)cJSON_GetArraySize(list);
	if (shown > NETNS_READ_MAX || (omitted && shown < FACTS_NETNS_MAX)) {
		field_refuse(&r->f, "field 'netns': %zu of them, and 'netns_omitted' is %zu", shown, omitted);
		return;
	}
	if (r->f.err)
		return;
	r->netns = calloc(shown + 1, sizeof(*r->netns));
	if (!r->netns) {
		r->f.err = -ENOMEM;
		return;
	}
	next = r->netns;
	cJSON_ArrayForEach(item, list)
		read_netns(r, item, next++);
	r->summary.netns = r->netns;
	r->summary.n_netns = (unsigned int)shown;
	r->summary.netns_more = (unsigned int)omitted;
}

static void read_summary(struct jsonl_read *r)
{
	const cJSON *allocs = object(r, "allocs"), *fails = object(r, "fails");
	static const int errnos[PL_ERRNOS] = {
		[PL_IX_EADDRINUSE] = EADDRINUSE, [PL_IX_EADDRNOTAVAIL] = EADDRNOTAVAIL,
		[PL_IX_EACCES] = EACCES, [PL_IX_EAGAIN] = EAGAIN,
	};

	if (r->f.err)
		return;
	for (unsigned int i = 0; i < PL_KINDS; i++)
		r->summary.allocs[i] = count(r, allocs, event_kind_name(i));
	for (unsigned int i = 0; i < PL_ERRNOS; i++)
		r->summary.fails[i] = count(r, fails, event_errno_name(errnos[i]));
	r->summary.releases = count(r, r->root, "releases");
	r->summary.live = count(r, r->root, "live");
	r->summary.time_wait = count(r, r->root, "time_wait");
	r->summary.lost = count(r, r->root, "lost");
	read_netns_list(r);
	jsonl_summary_added(&r->f, r->root, &r->summary);
	r->ev.summary = &r->summary;
}

static void read_event(struct jsonl_read *r)
{
	int kind = field_word(&r->f, r->root, "event", true, event_from_name, -1);

	if (field_whole(&r->f, r->root, "v", 1, 1, 0) != 1)
		field_refuse(&r->f, "field 'v': null");
	if (kind < 0)
		field_refuse(&r->f, "field 'event': null");
	if (r->f.err)
		return;
	r->ev.kind = (enum event_kind)kind;
	r->ev.ts = field_time(&r->f, r->root, "ts");
	r->ev.host = text(r, "host");
	r->ev.boot_id = text(r, "boot_id");
	r->ev.seq = (uint64_t)field_whole(&r->f, r->root, "seq", 1, FIELD_WHOLE_MAX, 0);
	if (kind == EV_GAP) {
		read_gap(r);
	} else if (kind == EV_SUMMARY) {
		read_summary(r);
	} else {
		read_socket(r);
		read_life(r);
		read_owner(r);
	}
}

/* What cJSON would let pass or end at: raw controls, invalid UTF-8, \u0000. */
static void check_bytes(struct jsonl_read *r, const char *line, size_t len)
{
	uint32_t cp;
	size_t n;

	for (size_t i = 0; i < len && !r->f.err; i += n) {
		n = str_decode_utf8(line + i, len - i, &cp);
		if (!n || cp < 0x20) {
			field_refuse(&r->f, "byte %zu: %s", i + 1, n ? "a raw control character" : "not UTF-8");
			return;
		}
		if (cp != '\\' || i + 1 >= len)
			continue;
		n = 2;
		if (len - i >= 6 && !memcmp(line + i, "\\u0000", 6))
			field_refuse(&r->f, "byte %zu: a NUL in a string", i + 1);
		if ((unsigned char)line[i + 1] >= 0x80)
			n = 1;
	}
}

static void refuse_twice(struct jsonl_read *r, const char *name)
{
	struct strbuf shown = STRBUF_INIT;

	str_escape(&shown, name, strnlen(name, 40));
	field_refuse(&r->f, "field '%s' stands there twice", strbuf_str(&shown));
	strbuf_free(&shown);
}

static void check_twice(struct jsonl_read *r)
{
	const cJSON *item, *other;

	cJSON_ArrayForEach(item, r->root)
		for (other = item->next; other && !r->f.err; other = other->next)
			if (!strcmp(item->string, other->string))
				refuse_twice(r, item->string);
}

static void parse_json(struct jsonl_read *r, const char *line, size_t len)
{
	const char *end = line;

	r->root = cJSON_ParseWithLengthOpts(line, len, &end, false);
	if (!r->root) {
		field_refuse(&r->f, "byte %zu: not JSON", (size_t)(end - line) + 1);
		return;
	}
	for (; end < line + len; end++)
		if (*end != ' ')
			field_refuse(&r->f, "byte %zu: text after the event", (size_t)(end - line) + 1);
	if (!cJSON_IsObject(r->root))
		field_refuse(&r->f, "not an object");
	else
		check_twice(r);
}

int jsonl_read_line(struct jsonl_read *r, const char *line, size_t len, const struct event **ret)
{
	jsonl_read_reset(r);
	if (len && line[len - 1] == '\n')
		len--;
	if (!len)
		field_refuse(&r->f, "an empty line");
	if (len >= FACTS_LINE_MAX)
		field_refuse(&r->f, "longer than %d bytes", FACTS_LINE_MAX);
	check_bytes(r, line, len);
	if (!r->f.err)
		parse_json(r, line, len);
	if (!r->f.err)
		read_event(r);
	if (!r->f.err)
		*ret = &r->ev;
	return r->f.err;
}
