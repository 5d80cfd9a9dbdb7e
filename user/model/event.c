// SPDX-License-Identifier: GPL-2.0
/*
 * Names of the event format and the step from a captured record to an event;
 * see event.h.
 */
#include "model/event.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

static const char *const event_names[] = {
	[EV_ALLOC] = "port.alloc",	[EV_OWNER] = "port.owner", [EV_TIMEWAIT] = "port.timewait",
	[EV_RELEASE] = "port.release",	[EV_FAIL] = "port.fail",   [EV_OPEN] = "port.open",
	[EV_SUMMARY] = "port.summary",	[EV_GAP] = "recorder.gap",
};
static const char *const kind_names[PL_KINDS] = {
	[PL_KIND_UNKNOWN] = "unknown", [PL_KIND_CONNECT] = "connect", [PL_KIND_BIND0] = "bind0",
	[PL_KIND_BIND] = "bind",       [PL_KIND_LISTEN] = "listen",   [PL_KIND_SEND] = "send",
	[PL_KIND_ACCEPT] = "accept",
};
static const char *const reason_names[PL_REASONS] = {
	[PL_REASON_CLOSE] = "close", [PL_REASON_TIME_WAIT] = "time_wait",   [PL_REASON_RESET] = "reset",
	[PL_REASON_LOST] = "lost",   [PL_REASON_DISCONNECT] = "disconnect",
};
static const char *const evidence_names[] = {
	[EVIDENCE_EVENT] = "event", [EVIDENCE_SNAPSHOT] = "snapshot", [EVIDENCE_RESYNC] = "resync",
};
static const char *const gap_names[] = {
	[GAP_RING] = "ring",   [GAP_TABLE] = "table", [GAP_STOPPED] = "stopped",
	[GAP_CRASH] = "crash", [GAP_BOOT] = "boot",   [GAP_STORE] = "store",
	[GAP_MISSED] = "missed", [GAP_DETACHED] = "detached",
};
static const char *const owner_names[] = {
	[PL_OWNER_PROCESS] = "process", [PL_OWNER_ACCEPT] = "accept", [PL_OWNER_LISTENER] = "listener",
	[PL_OWNER_MSK] = "msk",		[PL_OWNER_KERNEL] = "kernel", [PL_OWNER_SNAPSHOT] = "snapshot",
};

struct number_name {
	int number;
	const char *name;
};

static const struct number_name protos[] = {
	{ IPPROTO_TCP, "tcp" }, { IPPROTO_UDP, "udp" }, { IPPROTO_UDPLITE, "udplite" },
};
static const struct number_name families[] = { { AF_INET, "ipv4" }, { AF_INET6, "ipv6" } };

/* What bind, connect and sendto can give; strerrorname_np(3) is younger than the oldest libc in use. */
#define ERRNO(e) { e, #e }
static const struct number_name errnos[] = {
	ERRNO(EADDRINUSE), ERRNO(EADDRNOTAVAIL), ERRNO(EACCES), ERRNO(EAGAIN), ERRNO(EPERM), ERRNO(EINVAL),
	ERRNO(ENOMEM), ERRNO(ENOBUFS), ERRNO(EINTR), ERRNO(EIO), ERRNO(EBADF), ERRNO(EFAULT), ERRNO(ENODEV),
	ERRNO(ENFILE), ERRNO(EMFILE), ERRNO(ENOTSOCK), ERRNO(EAFNOSUPPORT), ERRNO(EOPNOTSUPP),
	ERRNO(EPROTONOSUPPORT), ERRNO(EPROTOTYPE), ERRNO(EDESTADDRREQ), ERRNO(ENETDOWN), ERRNO(ENETUNREACH),
	ERRNO(EHOSTUNREACH), ERRNO(ECONNREFUSED), ERRNO(ECONNRESET), ERRNO(ECONNABORTED), ERRNO(ETIMEDOUT),
	ERRNO(EISCONN), ERRNO(ENOTCONN), ERRNO(EALREADY), ERRNO(EINPROGRESS), ERRNO(EMSGSIZE), ERRNO(ENOSPC),
};

static const char *name_at(const char *const *names, size_t count, unsigned int i)
{
	return i < count ? names[i] : NULL;
}

static int index_of(const char *const *names, size_t count, const char *name)
{
	for (size_t i = 0; i < count; i++)
		if (names[i] && !strcmp(names[i], name))
			return (int)i;
	return -1;
}

static const char *name_of(const struct number_name *list, size_t count, int number)
{
	for (size_t i = 0; i < count; i++)
		if (list[i].number == number)
			return list[i].name;
	return "unknown";
}

static int number_of(const struct number_name *list, size_t count, const char *name)
{
	for (size_t i = 0; i < count; i++)
		if (!strcmp(list[i].name, name))
			return list[i].number;
	return -1;
}

const char *event_name(enum event_kind kind)
{
	return event_names[kind];
}

const char *event_kind_name(unsigned int pl_kind)
{
	return kind_names[pl_kind < PL_KINDS ? pl_kind : PL_KIND_UNKNOWN];
}

const char *event_reason_name(unsigned int pl_reason)
{
	return name_at(reason_names, COUNT(reason_names), pl_reason);
}

const char *event_evidence_name(enum evidence e)
{
	return evidence_names[e];
}

const char *event_gap_name(enum gap_cause c)
{
	return gap_names[c];
}

const char *event_owner_name(unsigned int pl_owner_src)
{
	return name_at(owner_names, COUNT(owner_names), pl_owner_src);
}

const char *event_proto_name(unsigned int proto)
{
	return name_of(protos, COUNT(protos), (int)proto);
}

const char *event_family_name(unsigned int family)
{
	return name_of(families, COUNT(families), (int)family);
}

const char *event_errno_name(int err)
{
	return name_of(errnos, COUNT(errnos), err);
}

int event_from_name(const char *name)
{
	return index_of(event_names, COUNT(event_names), name);
}

int event_kind_from_name(const char *name)
{
	return index_of(kind_names, COUNT(kind_names), name);
}

int event_reason_from_name(const char *name)
{
	return index_of(reason_names, COUNT(reason_names), name);
}

int event_evidence_from_name(const char *name)
{
	return index_of(evidence_names, COUNT(evidence_names), name);
}

int event_gap_from_name(const char *name)
{
	return index_of(gap_names, COUNT(gap_names), name);
}

int event_owner_from_name(const char *name)
{
	return index_of(owner_names, COUNT(owner_names), name);
}

int event_proto_from_name(const char *name)
{
	return number_of(protos, COUNT(protos), name);
}

int event_family_from_name(const char *name)
{
	return number_of(families, COUNT(families), name);
}

int event_errno_from_name(const char *name)
{
	return number_of(errnos, COUNT(errnos), name);
}

/* inet_ntop(3) prints each byte with stdio. */
static void put_ipv4(const unsigned char *byte, char *buf)
{
	for (int i = 0; i < 4; i++) {
		if (byte[i] >= 100)
			*buf++ = (char)('0' + byte[i] / 100);
		if (byte[i] >= 10)
			*buf++ = (char)('0' + byte[i] / 10 % 10);
		*buf++ = (char)('0' + byte[i] % 10);
		*buf++ = i < 3 ? '.' : '\0';
	}
}

const char *event_addr(unsigned int family, const uint32_t addr[4], char *buf)
{
	if (family != AF_INET6)
		put_ipv4((const unsigned char *)addr, buf);
	else if (!inet_ntop(AF_INET6, addr, buf, INET6_ADDRSTRLEN))
		buf[0] = '\0';
	return buf;
}

bool event_has_remote(const struct event *ev)
{
	const __u32 *a = ev->lease.raddr;

	return ev->lease.rport || a[0] || (ev->lease.family != AF_INET && (a[1] || a[2] || a[3]));
}

static int decode_kind(unsigned int rec_kind, enum event_kind *ret)
{
	switch (rec_kind) {
	case PL_REC_ALLOC:
		*ret = EV_ALLOC;
		return 0;
	case PL_REC_OWNER:
		*ret = EV_OWNER;
		return 0;
	case PL_REC_TIMEWAIT:
		*ret = EV_TIMEWAIT;
		return 0;
	case PL_REC_RELEASE:
		*ret = EV_RELEASE;
		return 0;
	case PL_REC_FAIL:
		*ret = EV_FAIL;
		return 0;
	case PL_REC_OPEN:
		*ret = EV_OPEN;
		return 0;
	default:
		return -EINVAL;
	}
}

/* 0 stays 0: unknown, as is what no clock can say: whoever takes two times apart need not think of overflow. */
static int64_t to_unix(uint64_t boot, int64_t offset)
{
	int64_t at;

	return boot && !__builtin_add_overflow(boot, offset, &at) && at > 0 ? at : 0;
}

static void decode_times(const struct pl_rec *rec, int64_t offset, struct event *ev)
{
	const struct pl_lease *l = &rec->lease;

	ev->ts = to_unix(rec->hdr.ts, offset);
	ev->proc_start = to_unix(l->proc_start, offset);
	if (ev->kind == EV_FAIL)
		return;	/* there is no lease */
	ev->start = l->flags & PL_F_SNAPSHOT ? 0 : to_unix(l->start, offset);
	ev->closed = to_unix(l->closed, offset);
	if (ev->kind == EV_TIMEWAIT && !ev->closed)
		ev->closed = ev->ts;
	if (ev->kind == EV_RELEASE)
		ev->end = ev->ts;
}

static enum evidence decode_evidence(const struct event *ev)
{
	if (ev->reason == PL_REASON_LOST)
		return EVIDENCE_RESYNC;
	return ev->lease.flags & PL_F_SNAPSHOT ? EVIDENCE_SNAPSHOT : EVIDENCE_EVENT;
}

int event_decode(const struct pl_rec *rec, int64_t boot_to_unix, struct event *ev)
{
	enum event_kind kind;

	if (rec->hdr.size != sizeof(*rec) || decode_kind(rec->hdr.kind, &kind))
		return -EINVAL;
	*ev = (struct event){ .kind = kind, .lease = rec->lease };
	ev->lease.comm[PL_COMM_LEN - 1] = '\0';
	if (ev->lease.kind >= PL_KINDS)
		ev->lease.kind = PL_KIND_UNKNOWN;
	if (kind == EV_RELEASE && rec->hdr.reason < PL_REASONS)
		ev->reason = rec->hdr.reason;
	if (kind == EV_FAIL)
		ev->err = rec->hdr.err > 0 ? rec->hdr.err : 0;
	decode_times(rec, boot_to_unix, ev);
	ev->evidence = decode_evidence(ev);
	return 0;
}
