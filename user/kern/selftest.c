/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Does this tier see what happens?  A few sockets are bound, connected and
 * closed on the loopback of a private network namespace, and every event of
 * theirs must come.  An inlined or bypassed kernel function shows here, not in
 * an incident review.  Their records never reach the caller.
 */
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/log.h"
#include "kern/source_priv.h"

enum {
	SEEN_UDP_BIND = 1 << 0,
	SEEN_UDP_OFF = 1 << 1,
	SEEN_UDP_CONNECT = 1 << 2,
	SEEN_UDP_CLOSE = 1 << 3,
	SEEN_TCP_BIND = 1 << 4,
	SEEN_TCP_CONNECT = 1 << 5,
	SEEN_TCP_CHILD = 1 << 6,
	SEEN_TCP_END = 1 << 7,
	SEEN_ALL = (1 << 8) - 1,
};

static const char *const seen_names[] = {
	"UDP bind", "UDP disconnect", "UDP connect", "UDP close", "TCP bind", "TCP connect", "TCP accept", "TCP release",
};

static uint64_t seen_bit(const struct pl_rec *rec)
{
	bool tcp = rec->lease.proto == IPPROTO_TCP;

	if (rec->hdr.kind == PL_REC_RELEASE)
		return tcp ? SEEN_TCP_END : rec->hdr.reason == PL_REASON_DISCONNECT ? SEEN_UDP_OFF : SEEN_UDP_CLOSE;
	if (rec->hdr.kind != PL_REC_ALLOC)
		return 0;
	switch (rec->lease.kind) {
	case PL_KIND_BIND0:
		return tcp ? SEEN_TCP_BIND : SEEN_UDP_BIND;
	case PL_KIND_CONNECT:
		return tcp ? SEEN_TCP_CONNECT : SEEN_UDP_CONNECT;
	case PL_KIND_ACCEPT:
		return SEEN_TCP_CHILD;
	}
	return 0;
}

void source_selftest_record(struct source *s, const struct pl_rec *rec)
{
	const struct pl_lease *l = &rec->lease;
	unsigned int proto = l->proto == IPPROTO_TCP ? PL_IX_TCP : PL_IX_UDP;

	s->test_seen |= seen_bit(rec);
	/* The kernel counted them; the totals that are shown are without them. */
	if (rec->hdr.kind == PL_REC_ALLOC) {
		s->ended_here[PL_STAT_ALLOC(proto, 0, l->kind)]--;
		s->test_told[0][proto]++;
		s->test_live++;
	} else if (rec->hdr.kind == PL_REC_RELEASE) {
		s->ended_here[PL_STAT_RELEASE(proto, 0)]--;
		s->test_told[1][proto]++;
		s->test_live--;
	}
}

/* One that did not fit the ring is no more of anybody than one that came. */
static void selftest_unlose(struct source *s, unsigned int stat, int kind)
{
	s->ended_here[stat]--;
	s->ended_here[PL_STAT_RING(kind)]--;
}

/* Each beginning has its bit: those not seen are the ones lost, as far as the kernel counted more than came. */
static void selftest_settle(struct source *s)
{
	static const struct { uint64_t bit; unsigned int proto, kind; } begins[] = {
		{ SEEN_UDP_BIND, PL_IX_UDP, PL_KIND_BIND0 }, { SEEN_UDP_CONNECT, PL_IX_UDP, PL_KIND_CONNECT },
		{ SEEN_TCP_BIND, PL_IX_TCP, PL_KIND_BIND0 }, { SEEN_TCP_CONNECT, PL_IX_TCP, PL_KIND_CONNECT },
		{ SEEN_TCP_CHILD, PL_IX_TCP, PL_KIND_ACCEPT },
	};
	struct netns_counts counted;
	int err = totals_put_back(s, s->test_netns, &counted);

	s->test_netns = 0;
	if (err)
		return;
	for (size_t i = 0; i < sizeof(begins) / sizeof(begins[0]); i++)
		if (!(s->test_seen & begins[i].bit) && counted.allocs[begins[i].proto] > s->test_told[0][begins[i].proto]) {
			selftest_unlose(s, PL_STAT_ALLOC(begins[i].proto, 0, begins[i].kind), PL_REC_ALLOC);
			s->test_told[0][begins[i].proto]++;
		}
	/* Each has one end; what else ended under this number was left of an earlier namespace. */
	for (unsigned int p = 0; p < PL_PROTOS; p++)
		for (; counted.releases[p] > s->test_told[1][p] && s->test_told[0][p] > s->test_told[1][p]; s->test_told[1][p]++)
			selftest_unlose(s, PL_STAT_RELEASE(p, 0), PL_REC_RELEASE);
}

static int loopback_up(int fd)
{
	struct ifreq ifr = { .ifr_name = "lo" };

	if (ioctl(fd, SIOCGIFFLAGS, &ifr))
		return -errno;
	ifr.ifr_flags |= IFF_UP;
	return ioctl(fd, SIOCSIFFLAGS, &ifr) ? -errno : 0;
}

static void work_udp(struct sockaddr_in *lo)
{
	struct sockaddr off = { .sa_family = AF_UNSPEC };
	struct sockaddr_in peer = *lo;
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	peer.sin_port = htons(9);
	if (!bind(fd, (struct sockaddr *)lo, sizeof(*lo)) && !connect(fd, (struct sockaddr *)&peer, sizeof(peer)))
		(void)connect(fd, &off, sizeof(off));
	close(fd);
	fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	(void)connect(fd, (struct sockaddr *)&peer, sizeof(peer));
	close(fd);
}

/* Resets on close: TIME_WAIT would outlive the namespace. */
static void work_tcp(struct sockaddr_in *lo)
{
	struct linger reset = { .l_onoff = 1 };
	int server = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int client = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), child = -1;
	struct sockaddr_in at = *lo;
	socklen_t len = sizeof(at);

	setsockopt(client, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
	if (!bind(server, (struct sockaddr *)lo, sizeof(*lo)) && !listen(server, 1) &&
	    !getsockname(server, (struct sockaddr *)&at, &len) && !connect(client, (struct sockaddr *)&at, len))
		child = accept4(server, NULL, NULL, SOCK_CLOEXEC);
	close(client);
	close(child);
	close(server);
}

/* In the new namespace: 0, or what kept the work from being done. */
static int selftest_work(struct source *s)
{
	struct sockaddr_in lo = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), err;
	struct stat st;

	if (fd < 0)
		return -errno;
	err = stat("/proc/thread-self/ns/net", &st) ? -errno : loopback_up(fd);
	close(fd);
	if (err)
		return err;
	err = totals_set_aside(s, (uint32_t)st.st_ino);
	if (err)
		return err;
	s->test_netns = st.st_ino;
	work_udp(&lo);
	err = source_drain(s);	/* the smallest ring does not hold all of it at once */
	if (err < 0)
		return err;
	work_tcp(&lo);
	return 0;
}

static int selftest_collect(struct source *s)
{
	struct timespec pause = { .tv_nsec = 2 * 1000 * 1000 };
	int err = 0;

	for (int i = 0; err >= 0 && i < 250 && (s->test_seen != SEEN_ALL || s->test_live); i++) {
		if (i)
			nanosleep(&pause, NULL);
		err = source_drain(s);
	}
	if (err < 0)
		snprintf(s->why, sizeof(s->why), "self-test: its events cannot be read: %s", strerror(-err));
	return err < 0 ? err : 0;
}

static int selftest_verdict(struct source *s)
{
	for (size_t i = 0; i < sizeof(seen_names) / sizeof(seen_names[0]); i++) {
		if (s->test_seen & 1U << i)
			continue;
		snprintf(s->why, sizeof(s->why), "self-test: %s was not seen", seen_names[i]);
		return -EOPNOTSUPP;
	}
	if (!s->test_live)
		return 0;
	snprintf(s->why, sizeof(s->why), "self-test: %d of its ports were not seen to end", s->test_live);
	return -EOPNOTSUPP;
}

static uint64_t selftest_lost(struct source *s)
{
	uint64_t stats[PL_STATS];

	return source_stats(s, stats) ? 0 : source_ring_lost(stats);
}

static int selftest_once(struct source *s)
{
	int home = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC), inside, err;
	uint64_t lost = selftest_lost(s);

	if (home < 0) {
		err = -errno;
		snprintf(s->why, sizeof(s->why), "self-test: its own network namespace cannot be opened: %s", strerror(-err));
		return err;
	}
	if (unshare(CLONE_NEWNET)) {
		log_warn("self-test skipped: a private network namespace needs CAP_SYS_ADMIN (%s)", strerror(errno));
		close(home);
		return 0;
	}
	s->test_seen = 0;
	s->test_live = 0;
	memset(s->test_told, 0, sizeof(s->test_told));
	/* Held open: its inode number must not pass to somebody else's namespace meanwhile. */
	inside = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);
	err = inside < 0 ? -errno : selftest_work(s);
	if (err && err != -EPERM)
		snprintf(s->why, sizeof(s->why), "self-test: its sockets could not be made: %s", strerror(-err));
	if (setns(home, CLONE_NEWNET)) {
		err = -errno;
		snprintf(s->why, sizeof(s->why), "self-test: no way back from its network namespace: %s", strerror(-err));
	} else if (err == -EPERM) {
		log_warn("self-test skipped: its loopback needs CAP_NET_ADMIN (%s)", strerror(-err));
		close(home);
		err = 0;
		goto out;
	}
	close(home);
	if (!err)
		err = selftest_collect(s);
	if (!err)
		err = selftest_verdict(s);
	/* What ended unseen must not stay behind as held. */
	if (s->test_live && !source_check(s))
		source_drain(s);
out:
	s->test_lost = selftest_lost(s) - lost;
	if (s->test_netns)
		selftest_settle(s);
	if (inside >= 0)
		close(inside);
	return err;
}

/*
 * An interrupt in the midst of a program can hide an event: a tier is refused when it fails again and again.
 * Where the records did not fit the ring beside those of a busy host, nothing is proved against the tier.
 */
int source_selftest(struct source *s)
{
	int err = -EOPNOTSUPP;

	for (int i = 0; i < 3 && err == -EOPNOTSUPP; i++)
		err = selftest_once(s);
	if (err == -EOPNOTSUPP && s->test_lost) {
		log_warn("%s: undecided, the ring was too small for what this host does meanwhile", s->why);
		s->why[0] = '\0';
		err = 0;
	}
	return err;
}
