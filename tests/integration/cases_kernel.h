/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Ports that are asked for in unusual ways: through io_uring, by MPTCP and by
 * the kernel itself, and taken away from outside with SOCK_DESTROY.  What the
 * kernel at hand lacks is skipped with the kernel's own words.
 */
#ifndef PORTLIFE_TEST_CASES_KERNEL_H
#define PORTLIFE_TEST_CASES_KERNEL_H

#include <liburing.h>
#include "cases_owner.h"
#include "netlink.h"

#define SWEEP_PATIENCE 15	/* what tier c finds only by looking */
#define OP_BIND 56		/* IORING_OP_BIND, younger than many headers */

/* --- io_uring ------------------------------------------------------------- */

static struct io_uring ring_open(int op)
{
	struct io_uring ring;
	struct io_uring_probe *probe;
	int err = io_uring_queue_init(8, &ring, 0);

	if (err)
		skip("no io_uring: %s", strerror(-err));
	probe = io_uring_get_probe_ring(&ring);
	if (!probe || op > probe->last_op || !io_uring_opcode_supported(probe, op))
		skip("no io_uring operation %d", op);
	io_uring_free_probe(probe);
	return ring;
}

/* Submits what was prepared and returns its result. */
static int ring_run(struct io_uring *ring)
{
	struct io_uring_cqe *cqe;
	int res;

	if (io_uring_submit(ring) != 1 || io_uring_wait_cqe(ring, &cqe))
		broken("io_uring");
	res = cqe->res;
	io_uring_cqe_seen(ring, cqe);
	return res;
}

static int ring_connect(struct io_uring *ring, int fd, int port, unsigned int flags)
{
	union addr a = addr_of(AF_INET, LO, port);
	struct io_uring_sqe *sqe = io_uring_get_sqe(ring);

	io_uring_prep_connect(sqe, fd, &a.sa, sizeof(a.v4));
	io_uring_sqe_set_flags(sqe, flags);
	return ring_run(ring);
}

static void uring_connect_with(unsigned int flags)
{
	struct io_uring ring = ring_open(IORING_OP_CONNECT);
	int l = listener_at(LO, SERVER), c = tcp4(), err;
	uint16_t p;

	err = ring_connect(&ring, c, SERVER, flags);
	CHECK(!err, "connect: %s", strerror(-err));
	p = port_of(c);
	HELD(TCP, .port = p, MINE, .kind = "connect", .ephemeral = YES, .rport = SERVER);
	close_rst(c);
	ENDED(TCP, .port = p, MINE, .kind = "connect");
	close(l);
	io_uring_queue_exit(&ring);
}

static void uring_connect(void)
{
	uring_connect_with(0);
}

/* In a worker thread of the kernel's: the process that submitted it asked. */
static void uring_connect_async(void)
{
	uring_connect_with(IOSQE_ASYNC);
}

static void uring_connect_refused(void)
{
	struct io_uring ring = ring_open(IORING_OP_CONNECT);
	int c = tcp4();

	CHECK(ring_connect(&ring, c, NOBODY_LISTENS, 0) == -ECONNREFUSED, "connect was not refused");
	ENDED(TCP, .kind = "connect", .rport = NOBODY_LISTENS, MINE);
	close(c);
	io_uring_queue_exit(&ring);
}

static int ring_bind(struct io_uring *ring, int fd, int port)
{
	union addr a = addr_of(AF_INET, LO, port);

	io_uring_prep_rw(OP_BIND, io_uring_get_sqe(ring), fd, &a, 0, sizeof(a.v4));
	return ring_run(ring);
}

static void uring_bind(void)
{
	struct io_uring ring = ring_open(OP_BIND);
	int t = tcp4(), u = udp4();
	uint16_t p;

	CHECK(!ring_bind(&ring, t, 45501), "bind failed");
	CHECK(!ring_bind(&ring, u, 0), "bind failed");
	p = port_of(u);
	HELD(TCP, .port = 45501, MINE, .kind = "bind", .ephemeral = NO);
	HELD(UDP, .port = p, MINE, .kind = "bind0", .ephemeral = YES);
	close(t);
	close(u);
	ENDED(TCP, .port = 45501, MINE);
	ENDED(UDP, .port = p, MINE);
	io_uring_queue_exit(&ring);
}

static void uring_bind_refused(void)
{
	struct io_uring ring = ring_open(OP_BIND);
	int t = tcp4(), late = tcp4();

	bound(t, LO, 45502);
	CHECK(ring_bind(&ring, late, 45502) == -EADDRINUSE, "bind was not refused");
	if (self.tier == 'c') {
		fence(__LINE__);
		sleep_ms(500);
		if (!count_fails(&(const struct want){ TCP, .err = "EADDRINUSE" }))
			skip("known miss of tier c: the errno of a bind through io_uring");
	}
	REFUSED(TCP, .port = 45502, .err = "EADDRINUSE", .kind = "bind", MINE);
	close(t);
	close(late);
	ENDED(TCP, .port = 45502);
	io_uring_queue_exit(&ring);
}

static void uring_accepting(struct kid *up, void *arg)
{
	struct io_uring ring = ring_open(IORING_OP_ACCEPT);
	int l = receive_fd(up), s;

	io_uring_prep_accept(io_uring_get_sqe(&ring), l, NULL, NULL, 0);
	s = ring_run(&ring);
	if (s < 0)
		fail("accept: %s", strerror(-s));
	say(up, 0);
	hear(up);
	close_rst(s);
	io_uring_queue_exit(&ring);
}

static void uring_accept(void)
{
	struct kid k = kid_start(uring_accepting, NULL);
	int l = listener_at(LO, SERVER), c;

	send_fd(&k, l);
	c = client_to(LO, SERVER);
	hear(&k);
	HELD(TCP, .port = SERVER, .kind = "accept", .total = 2, .rport = port_of(c));
	if (self.tier == 'c' && !LEASE(TCP, .port = SERVER, .kind = "accept").owners) {
		CHECK(LEASE(TCP, .port = SERVER, .kind = "accept").pid != getpid(), "the client is not the owner");
		skip("known miss of tier c: who accepts through io_uring");
	}
	HELD(TCP, .port = SERVER, .kind = "accept", .total = 2, .pid = k.pid, .owner_src = "accept");
	say(&k, 0);
	kid_wait(&k);
	close(c);
	close(l);
	ENDED(TCP, .port = SERVER, .n = 2);
}

static void uring_udp_connect(void)
{
	struct io_uring ring = ring_open(IORING_OP_CONNECT);
	int u = udp4();
	uint16_t p;

	CHECK(!ring_connect(&ring, u, PEER, 0), "connect failed");
	p = port_of(u);
	if (self.tier == 'c')
		HELD(UDP, .port = p, .patience_s = SWEEP_PATIENCE);
	else
		HELD(UDP, .port = p, MINE, .kind = "connect", .ephemeral = YES);
	close(u);
	ENDED(UDP, .port = p, .patience_s = SWEEP_PATIENCE);
	io_uring_queue_exit(&ring);
}

/* --- MPTCP ---------------------------------------------------------------- */

static int mptcp_socket(void)
{
	int fd;

	sysctl_try("mptcp/enabled", "1");
	fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, IPPROTO_MPTCP);
	if (fd < 0)
		skip("no MPTCP: %s", strerror(errno));
	return fd;
}

static int mptcp_listener(void)
{
	int fd = mptcp_socket();

	bound(fd, LO, SERVER);
	MUST(listen(fd, 8));
	return fd;
}

/* The connection has no port of its own, its subflow has. */
static void mptcp_first_subflow(void)
{
	int l = mptcp_listener(), c = mptcp_socket(), s;
	uint16_t p;

	HELD(TCP, .port = SERVER, .kind = "bind", MINE);
	MUST(try_connect(c, LO, SERVER));
	p = port_of(c);
	HELD(TCP, .port = p, MINE, .kind = "connect", .ephemeral = YES, .rport = SERVER);
	s = accept_one(l);
	HELD(TCP, .port = SERVER, .kind = "accept", .total = 2, .rport = p);
	close_rst(c);
	close_rst(s);
	FREE(TCP, .port = p);
	close(l);
	ENDED(TCP, .port = SERVER, .n = 2);
	ENDED(TCP, .kind = "connect", MINE);
}

static void mptcp_bind0(void)
{
	int s = mptcp_socket();
	uint16_t p = bound(s, LO, 0);

	HELD(TCP, .port = p, MINE, .kind = "bind0", .ephemeral = YES);
	close(s);
	ENDED(TCP, .port = p, MINE);
}

/* Data in both directions makes the connection fully established. */
static void mptcp_establish(int c, int s)
{
	for (int i = 0; i < 4; i++) {
		char byte;

		MUST(send(c, "x", 1, 0));
		MUST(read(s, &byte, 1));
		MUST(send(s, "x", 1, 0));
		MUST(read(c, &byte, 1));
	}
}

/* Trap 22: a further subflow is bound by a worker thread of the kernel's. */
static void mptcp_subflow_later(bool early)
{
	const char *second = "10.99.0.2";
	int l = mptcp_socket(), c, s, err;

	err = add_loopback_addr(second);
	if (!err && !early)
		err = mptcp_add_subflow_addr(second);
	if (err)
		skip("cannot arrange a second subflow: %s", strerror(-err));
	bound(l, "0.0.0.0", SERVER);
	MUST(listen(l, 8));
	c = mptcp_socket();
	MUST(try_connect(c, LO, SERVER));
	s = accept_one(l);
	mptcp_establish(c, s);
	if (early) {
		recorder_runs();
		HELD(TCP, .port = port_of(c), .kind = "unknown", .owner_src = "snapshot", MINE);
		err = mptcp_add_subflow_addr(second);
		CHECK(!err, "cannot add a second subflow: %s", strerror(-err));
	}
	HELD(TCP, .laddr = second, .ephemeral = YES, MINE, .owner_src = "msk");
	if (!early)
		HELD(TCP, .port = SERVER, .kind = "accept", .n = 2, .total = 3);
	close_rst(c);
	close_rst(s);
	close(l);
	ENDED(TCP, .laddr = second, .rport = SERVER, MINE);
	if (!early)
		ENDED(TCP, .port = SERVER, .n = 3);
}

static void mptcp_second_subflow(void)
{
	mptcp_subflow_later(false);
}

/* Of a connection that there was before the recorder: what the worker did is not his. */
static void early_mptcp(void)
{
	mptcp_subflow_later(true);
}

/* --- kernel sockets --------------------------------------------------------- */

static void kernel_vxlan(void)
{
	int err = vxlan_add("vx0", 4789);

	if (err)
		skip("cannot make a vxlan link: %s", strerror(-err));
	HELD(UDP, .port = 4789, .kind = "bind", .owner_src = "kernel", .ephemeral = NO);
	err = link_del("vx0");
	CHECK(!err, "cannot delete the link: %s", strerror(-err));
	ENDED(UDP, .port = 4789, .patience_s = SWEEP_PATIENCE);
}

/* --- SOCK_DESTROY ----------------------------------------------------------- */

static void destroy_or_skip(int protocol, uint16_t port, const char *remote, uint16_t rport)
{
	int err = sock_destroy(protocol, port, remote, rport);

	if (err == -EOPNOTSUPP || err == -ENOENT || err == -EINVAL)
		skip("no SOCK_DESTROY: %s", strerror(-err));
	CHECK(!err, "SOCK_DESTROY: %s", strerror(-err));
}

static void destroy_udp(void)
{
	int chosen = udp4(), named = udp4();
	uint16_t p = bound(chosen, LO, 0);

	bound(named, LO, 45601);
	HELD(UDP, .port = p, MINE);
	destroy_or_skip(IPPROTO_UDP, p, "", 0);
	destroy_or_skip(IPPROTO_UDP, 45601, "", 0);
	ENDED(UDP, .port = p, MINE, .patience_s = SWEEP_PATIENCE);
	HELD(UDP, .port = 45601, MINE);
	close(named);
	close(chosen);
	ENDED(UDP, .port = 45601, MINE);
	ENDED(UDP, .port = p, MINE);
}

static void destroy_tcp(void)
{
	int l = listener_at(LO, SERVER), c = client_to(LO, SERVER), named = tcp4();
	uint16_t p = port_of(c);

	bound(named, LO, 45602);
	MUST(try_connect(named, LO, SERVER));
	HELD(TCP, .port = p, MINE);
	HELD(TCP, .port = 45602, MINE);
	destroy_or_skip(IPPROTO_TCP, p, LO, SERVER);
	destroy_or_skip(IPPROTO_TCP, 45602, LO, SERVER);
	ENDED(TCP, .port = p, MINE, .kind = "connect");
	HELD(TCP, .port = 45602, MINE, .kind = "bind");
	close(c);
	close(named);
	ENDED(TCP, .port = 45602, MINE);
	close(l);
}

static void destroy_time_wait(void)
{
	int l = listener_at(LO, SERVER), c = client_to(LO, SERVER), s = accept_one(l), err;
	uint16_t p = port_of(c);

	close(c);
	read_eof(s);
	close(s);
	HELD(TCP, .port = p, MINE, .time_wait = YES);
	err = sock_destroy(IPPROTO_TCP, p, LO, SERVER);
	if (err == -EOPNOTSUPP) {
		/* 5.10: refused, and so still held. */
		HELD(TCP, .port = p, MINE, .time_wait = YES);
		skip("no SOCK_DESTROY of TIME_WAIT: %s", strerror(-err));
	}
	CHECK(!err, "SOCK_DESTROY: %s", strerror(-err));
	ENDED(TCP, .port = p, MINE, .time_wait = YES);
	close(l);
}

#endif
