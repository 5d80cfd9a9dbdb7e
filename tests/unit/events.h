/* SPDX-License-Identifier: GPL-2.0 */
/*
 * One fixed list of events that shows every kind of event, every field known
 * and unknown, and names that nobody should have given.  The golden files are
 * made of it: add at the end, and look at the difference.
 */
#ifndef TESTS_UNIT_EVENTS_H
#define TESTS_UNIT_EVENTS_H

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "model/event.h"

#define EVENTS_MAX 24
#define EVENTS_T0 1795234200123456789LL		/* 2026-11-21T04:10:00.123456789Z */
#define EVENTS_S 1000000000LL

static const struct gap events_gap = {
	.lost = 12, .from = EVENTS_T0 - 3 * EVENTS_S, .to = EVENTS_T0 - 2 * EVENTS_S, .cause = GAP_RING,
	.flood_lost = 9, .flood_cgroup = "/system.slice/flood.service", .flood_pid = 815, .flood_comm = "fl\x1bood",
};
static const struct gap events_gap_unknown = { .lost = -1, .to = EVENTS_T0, .cause = GAP_CRASH };

static const struct summary_netns events_netns[] = {
	{ .netns = 4026531840u, .range_lo = 32768, .range_hi = 60999, .reserved = 2, .used_odd = 100, .used_even = 3,
	  .in_use = { 90, 20 }, .time_wait = 17 },
	{ .netns = 4026532201u, .range_lo = 1024, .range_hi = 65535 },
};
static const struct summary events_summary = {
	.allocs = { 1, 200, 3, 4, 5, 60, 7 }, .releases = 250, .fails = { 9, 8, 7, 6 }, .live = 42, .time_wait = 17, .lost = 12,
	.netns = events_netns, .n_netns = 2, .span = 60 * EVENTS_S, .peak = 51, .allocs_by = { 219, 60, 1 },
	.releases_by = { 200, 50, 0 }, .fails_by = { { 9, 8, 7, 0 }, { 0, 0, 0, 6 } },
	.fails_kind = { [PL_KIND_BIND] = 16, [PL_KIND_CONNECT] = 14 }, .lives = 248, .p50_us = 1203, .p99_us = 60000123,
	.taken = { { 150, 4711, "a\nb\x1b\"\\\xff" }, { 7, 33, "dig" } }, .held = { { 40, 4711, "a\nb\x1b\"\\\xff" } },
};

static inline struct event events_base(enum event_kind kind, uint64_t seq)
{
	struct event ev = {
		.kind = kind, .seq = seq, .ts = EVENTS_T0 + (int64_t)seq * EVENTS_S / 4,
		.host = "web-1", .boot_id = "6f3f7c5e-2f5b-4d0c-9b0e-0a1b2c3d4e5f",
		.lease = { .family = AF_INET, .proto = IPPROTO_TCP, .netns = 4026531840u },
	};

	return ev;
}

static inline void events_address(struct event *ev, const char *local, uint16_t lport, const char *remote, uint16_t rport)
{
	ev->lease.family = strchr(local, ':') ? AF_INET6 : AF_INET;
	inet_pton(ev->lease.family, local, ev->lease.laddr);
	if (remote)
		inet_pton(ev->lease.family, remote, ev->lease.raddr);
	ev->lease.lport = lport;
	ev->lease.rport = rport;
}

static inline void events_owner(struct event *ev, uint32_t pid, const char *comm, unsigned int src)
{
	ev->lease.tgid = pid;
	ev->lease.tid = pid + 1;
	ev->lease.ppid = 1;
	ev->lease.uid = 33;
	ev->lease.owner_src = (uint8_t)src;
	snprintf(ev->lease.comm, sizeof(ev->lease.comm), "%s", comm);
	ev->proc_start = EVENTS_T0 - 3600 * EVENTS_S;
}

/* A connection of nginx, as of some event of its life. */
static inline struct event events_nginx(enum event_kind kind, uint64_t seq)
{
	struct event ev = events_base(kind, seq);

	events_address(&ev, "10.0.0.5", 60303, "10.0.1.9", 443);
	events_owner(&ev, 4711, "nginx", PL_OWNER_PROCESS);
	ev.lease.id = 93842;
	ev.lease.cookie = 8412;
	ev.lease.kind = PL_KIND_CONNECT;
	ev.lease.flags = PL_F_CHOSEN | PL_F_IN_RANGE;
	ev.start = EVENTS_T0 - 61003456000LL;
	ev.exe = "/usr/sbin/nginx";
	ev.where.cgroup = "/system.slice/nginx.service";
	ev.where.unit = "nginx.service";
	return ev;
}

static inline size_t events_life(struct event *e, size_t n)
{
	e[n] = events_nginx(EV_ALLOC, n + 1);
	n++;
	e[n] = events_nginx(EV_TIMEWAIT, n + 1);
	e[n].closed = EVENTS_T0 - 60000123000LL;
	e[n].lease.flags |= PL_F_TIME_WAIT;
	n++;
	e[n] = events_nginx(EV_RELEASE, n + 1);
	e[n].closed = EVENTS_T0 - 60000123000LL;
	e[n].end = EVENTS_T0;
	e[n].reason = PL_REASON_TIME_WAIT;
	e[n].lease.flags |= PL_F_TIME_WAIT | PL_F_SHARED;
	n++;
	e[n] = events_base(EV_OWNER, n + 1);
	events_address(&e[n], "2001:db8::5", 40000, "2001:db8::1:9", 51000);
	events_owner(&e[n], 815, "postgres", PL_OWNER_ACCEPT);
	e[n].lease.id = UINT64_MAX;
	e[n].lease.cookie = UINT64_MAX - 1;
	e[n].lease.kind = PL_KIND_ACCEPT;
	e[n].start = e[n].ts;
	e[n].where = (struct workload){
		.cgroup = "/kubepods.slice/kubepods-pod3c4e8d0a_9f1b_4b7e_8a55_0d2f6c9e7b11.slice/cri-containerd-0123.scope",
		.unit = "cri-containerd-0123.scope", .container_id = "0123456789abcdef", .pod_uid = "3c4e8d0a-9f1b-4b7e-8a55-0d2f6c9e7b11",
	};
	return n + 1;
}

static inline size_t events_unknowns(struct event *e, size_t n)
{
	e[n] = events_base(EV_OPEN, n + 1);
	events_address(&e[n], "0.0.0.0", 22, NULL, 0);
	events_owner(&e[n], 601, "sshd", PL_OWNER_SNAPSHOT);
	e[n].lease.id = 3;
	e[n].lease.tid = 0;
	e[n].lease.uid = 0;
	e[n].lease.flags = PL_F_SNAPSHOT | PL_F_LISTEN;
	e[n].start = EVENTS_T0;		/* when it was found: must not be shown */
	e[n].evidence = EVIDENCE_SNAPSHOT;
	n++;
	e[n] = events_base(EV_RELEASE, n + 1);
	events_address(&e[n], "::", 5353, NULL, 0);
	e[n].lease.id = 4;
	e[n].lease.proto = IPPROTO_UDP;
	e[n].lease.flags = PL_F_SNAPSHOT;
	e[n].end = e[n].ts;
	e[n].reason = PL_REASON_CLOSE;
	e[n].evidence = EVIDENCE_SNAPSHOT;
	n++;
	e[n] = events_base(EV_RELEASE, n + 1);
	events_address(&e[n], "127.0.0.1", 33000, "127.0.0.53", 53);
	events_owner(&e[n], 5120, "curl", PL_OWNER_PROCESS);
	e[n].lease.id = 5;
	e[n].lease.proto = IPPROTO_UDP;
	e[n].lease.kind = PL_KIND_SEND;
	e[n].lease.flags = PL_F_CHOSEN;
	e[n].start = e[n].ts - 211 * 1000000LL;
	e[n].end = e[n].ts;
	e[n].reason = PL_REASON_LOST;
	e[n].evidence = EVIDENCE_RESYNC;
	n++;
	e[n] = events_base(EV_ALLOC, n + 1);
	e[n].lease = (struct pl_lease){ .id = 6 };	/* nothing is known, not even the protocol */
	e[n].ts = 0;
	e[n].seq = 0;
	e[n].host = e[n].boot_id = NULL;
	return n + 1;
}

static inline size_t events_failures(struct event *e, size_t n)
{
	e[n] = events_base(EV_FAIL, n + 1);
	events_address(&e[n], "0.0.0.0", 8080, NULL, 0);
	events_owner(&e[n], 999, "java", PL_OWNER_PROCESS);
	e[n].lease.kind = PL_KIND_BIND;
	e[n].err = EADDRINUSE;
	n++;
	e[n] = events_base(EV_FAIL, n + 1);
	events_address(&e[n], "10.0.0.5", 0, "10.0.1.9", 443);
	events_owner(&e[n], 999, "java", PL_OWNER_PROCESS);
	e[n].lease.kind = PL_KIND_CONNECT;
	e[n].err = EADDRNOTAVAIL;
	n++;
	e[n] = events_base(EV_FAIL, n + 1);
	events_address(&e[n], "::1", 80, NULL, 0);
	events_owner(&e[n], 1, "init", PL_OWNER_KERNEL);
	e[n].lease.ppid = 0;
	e[n].lease.kind = PL_KIND_BIND;
	e[n].lease.proto = IPPROTO_UDPLITE;
	e[n].err = 4095;	/* no errno has that number */
	return n + 1;
}

static inline size_t events_hostile(struct event *e, size_t n)
{
	e[n] = events_nginx(EV_ALLOC, n + 1);
	events_owner(&e[n], 666, "\x1b]0;pwn\x07\xff\"", PL_OWNER_PROCESS);
	e[n].host = "a,b\"c\n";
	e[n].exe = "/tmp/\xe2\x80\xae" "cod.exe\xe2\x82 (deleted)\\xff";
	e[n].where = (struct workload){
		.cgroup = "/system.slice/dev-x\\x2dy.swap/\xf3\xa0\x81\x81", .unit = "=cmd|' /C calc'!A0", .container_id = "\\x3d1",
		.pod_uid = "\xe2\x80\xa8",
	};
	n++;
	e[n] = events_nginx(EV_RELEASE, n + 1);
	events_owner(&e[n], 667, "\\x1b\\u{1}", PL_OWNER_KERNEL);
	e[n].end = e[n].ts;
	e[n].reason = PL_REASON_RESET;
	e[n].exe = "@SUM(A1)";
	e[n].where.cgroup = "-1+1";
	e[n].where.unit = "";
	return n + 1;
}

static inline size_t events_counts(struct event *e, size_t n)
{
	e[n] = events_base(EV_SUMMARY, n + 1);
	e[n].summary = &events_summary;
	n++;
	e[n] = events_base(EV_GAP, n + 1);
	e[n].gap = &events_gap;
	n++;
	e[n] = events_base(EV_GAP, n + 1);
	e[n].gap = &events_gap_unknown;
	n++;
	e[n] = events_nginx(EV_RELEASE, n + 1);
	e[n].ts += 86400 * EVENTS_S;
	e[n].end = e[n].ts;
	e[n].reason = PL_REASON_DISCONNECT;
	return n + 1;
}

/* Fills `e` of EVENTS_MAX; returns how many. */
static inline size_t events_make(struct event *e)
{
	size_t n = events_life(e, 0);

	n = events_unknowns(e, n);
	n = events_failures(e, n);
	n = events_hostile(e, n);
	return events_counts(e, n);
}

#endif
