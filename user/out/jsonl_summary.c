// SPDX-License-Identifier: GPL-2.0
/* See jsonl_summary.h. */
#include "out/jsonl_summary.h"

#include <errno.h>
#include <string.h>

static const char *const protos[PL_PROTOS] = { [PL_IX_TCP] = "tcp", [PL_IX_UDP] = "udp", [PL_IX_UDPLITE] = "udplite" };

static int64_t whole(struct fields *f, const cJSON *in, const char *name, int64_t hi)
{
	return cJSON_GetObjectItemCaseSensitive(in, name) ? field_whole(f, in, name, 0, hi, 0) : 0;
}

static void by_proto(struct fields *f, const cJSON *root, const char *name, uint64_t counts[PL_PROTOS])
{
	const cJSON *in = field_member(f, root, name, false);

	for (unsigned int p = 0; in && p < PL_PROTOS; p++)
		counts[p] = (uint64_t)field_whole(f, in, protos[p], 0, FIELD_WHOLE_MAX, 0);
}

static void fails_by(struct fields *f, const cJSON *root, struct summary *s)
{
	static const int errnos[PL_ERRNOS] = {
		[PL_IX_EADDRINUSE] = EADDRINUSE, [PL_IX_EADDRNOTAVAIL] = EADDRNOTAVAIL,
		[PL_IX_EACCES] = EACCES, [PL_IX_EAGAIN] = EAGAIN,
	};
	const cJSON *in = field_member(f, root, "fails_by", false);

	for (unsigned int p = 0; in && p < PL_PROTOS; p++) {
		const cJSON *of = field_member(f, in, protos[p], true);

		for (unsigned int e = 0; of && e < PL_ERRNOS; e++)
			s->fails_by[p][e] = (uint64_t)field_whole(f, of, event_errno_name(errnos[e]), 0, FIELD_WHOLE_MAX, 0);
	}
}

static void by_kind(struct fields *f, const cJSON *root, const char *name, uint64_t counts[PL_KINDS])
{
	const cJSON *in = field_member(f, root, name, false);

	for (unsigned int k = 0; in && k < PL_KINDS; k++)
		counts[k] = (uint64_t)field_whole(f, in, event_kind_name(k), 0, FIELD_WHOLE_MAX, 0);
}

static void procs(struct fields *f, const cJSON *root, const char *name, struct summary_proc to[SUMMARY_TOP])
{
	const cJSON *list = field_member(f, root, name, false), *item;
	unsigned int n = 0;

	if (list && (!cJSON_IsArray(list) || cJSON_GetArraySize(list) > SUMMARY_TOP)) {
		field_refuse(f, "field '%s': not an array of at most %d", name, SUMMARY_TOP);
		return;
	}
	cJSON_ArrayForEach(item, list) {
		const char *comm = field_text(f, item, "comm", true);

		to[n].pid = (uint32_t)field_whole(f, item, "pid", 1, UINT32_MAX, 0);
		to[n].ports = (uint64_t)field_whole(f, item, "ports", 1, FIELD_WHOLE_MAX, 0);
		if (comm && strlen(comm) < sizeof(to[n].comm))
			memcpy(to[n].comm, comm, strlen(comm));
		else if (comm)
			field_refuse(f, "field 'comm': longer than %d bytes", PL_COMM_LEN - 1);
		n++;
	}
}

void jsonl_summary_added(struct fields *f, const cJSON *root, struct summary *s)
{
	s->span = whole(f, root, "span_us", INT64_MAX / 1000 < FIELD_WHOLE_MAX ? INT64_MAX / 1000 : FIELD_WHOLE_MAX) * 1000;
	s->peak = (uint64_t)whole(f, root, "peak", FIELD_WHOLE_MAX);
	s->lives = (uint64_t)whole(f, root, "lives", FIELD_WHOLE_MAX);
	s->p50_us = whole(f, root, "p50_us", FIELD_WHOLE_MAX);
	s->p99_us = whole(f, root, "p99_us", FIELD_WHOLE_MAX);
	by_proto(f, root, "allocs_by", s->allocs_by);
	by_proto(f, root, "releases_by", s->releases_by);
	fails_by(f, root, s);
	by_kind(f, root, "fails_kind", s->fails_kind);
	procs(f, root, "top_taken", s->taken);
	procs(f, root, "top_held", s->held);
}

void jsonl_summary_netns_added(struct fields *f, const cJSON *item, struct summary_netns *n)
{
	for (unsigned int p = 0; p < PL_PROTOS; p++)
		n->in_use[p] = (uint32_t)whole(f, item, protos[p], UINT32_MAX);
	n->time_wait = (uint32_t)whole(f, item, "time_wait", UINT32_MAX);
}
