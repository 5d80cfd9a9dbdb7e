/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Whose port it is: the process that asked, in its own context, whoever closes
 * it, holds a copy or happens to run when the kernel frees it.
 */
#ifndef PORTLIFE_TEST_CASES_OWNER_H
#define PORTLIFE_TEST_CASES_OWNER_H

#include "cases_fail.h"

#define THREADS 40

static pid_t tid_now(void)
{
	return (pid_t)syscall(SYS_gettid);
}

/* Accepts on the descriptor that it was sent, tells the process, ends when told. */
static void accepting_worker(struct kid *up, void *arg)
{
	int l = receive_fd(up), s;

	say(up, 0);
	s = accept_one(l);
	say(up, 0);
	hear(up);
	close_rst(s);
}

/* Trap 9: on loopback the client runs when the child is made. */
static void owner_accept_worker(void)
{
	struct kid k = kid_start(accepting_worker, NULL);
	int l = listener_at(LO, SERVER), c;

	send_fd(&k, l);
	hear(&k);
	c = client_to(LO, SERVER);
	hear(&k);
	HELD(TCP, .port = SERVER, .kind = "accept", .total = 2, .pid = k.pid, .owner_src = "accept", .accepted = YES,
	     .rport = port_of(c), .ephemeral = NO);
	HELD(TCP, .port = port_of(c), .kind = "connect", MINE);
	close(l);
	say(&k, 0);
	kid_wait(&k);
	ENDED(TCP, .port = SERVER, .n = 2);
	close(c);
}

/* First nobody's, then its acceptor's. */
static void owner_accepted_late(void)
{
	struct kid k = kid_start(accepting_worker, NULL);
	int l = listener_at(LO, SERVER), c = client_to(LO, SERVER);

	HELD(TCP, .port = SERVER, .kind = "accept", .total = 2, .accepted = NO, .owner_src = for_tier('c', "null", "listener"));
	send_fd(&k, l);
	hear(&k);
	hear(&k);
	HELD(TCP, .port = SERVER, .kind = "accept", .total = 2, .accepted = YES, .pid = k.pid, .owner_src = "accept");
	say(&k, 0);
	kid_wait(&k);
	close(c);
	close(l);
	ENDED(TCP, .port = SERVER, .n = 2);
}

struct accepted {
	pid_t tid;
	uint16_t rport;
	int fd, listener;
};

static void *accept_in_thread(void *arg)
{
	struct accepted *a = arg;
	union addr from;
	socklen_t len = sizeof(from);

	a->tid = tid_now();
	a->fd = accept4(a->listener, &from.sa, &len, SOCK_CLOEXEC);
	a->rport = ntohs(from.v4.sin_port);
	return NULL;
}

static void threaded_server(struct kid *up, void *arg)
{
	struct accepted a[THREADS];
	pthread_t t[THREADS];
	int l = receive_fd(up);

	for (int i = 0; i < THREADS; i++) {
		a[i].listener = l;
		if (pthread_create(&t[i], NULL, accept_in_thread, &a[i]))
			broken("pthread_create");
	}
	sleep_ms(300);
	say(up, 0);
	for (int i = 0; i < THREADS; i++)
		pthread_join(t[i], NULL);
	for (int i = 0; i < THREADS; i++) {
		say(up, a[i].tid);
		say(up, a[i].rport);
	}
	hear(up);
	for (int i = 0; i < THREADS; i++)
		close_rst(a[i].fd);
}

/* Trap 10: many threads blocked in accept() at once, each with its own child. */
static void owner_accept_threads(void)
{
	struct kid k = kid_start(threaded_server, NULL);
	int l = listener_at(LO, SERVER), c[THREADS];

	send_fd(&k, l);
	hear(&k);
	for (int i = 0; i < THREADS; i++)
		c[i] = client_to(LO, SERVER);
	for (int i = 0; i < THREADS; i++) {
		int tid = hear(&k), rport = hear(&k);

		HELD(TCP, .port = SERVER, .total = THREADS + 1, .kind = "accept", .pid = k.pid, .tid = tid, .rport = (uint16_t)rport,
		     .owner_src = "accept");
	}
	say(&k, 0);
	kid_wait(&k);
	close(l);
	ENDED(TCP, .port = SERVER, .n = THREADS + 1);
	for (int i = 0; i < THREADS; i++)
		close(c[i]);
}

static void hold_inherited(struct kid *up, void *arg)
{
	hear(up);
}

/* The descriptor lives on in a child: still the port of who asked for it. */
static void owner_fork_close(void)
{
	int t = tcp4(), u = udp4();
	uint16_t tp = bound(t, LO, 0), up = bound(u, LO, 0);
	struct kid k = kid_start_sharing(hold_inherited, NULL);

	close(t);
	close(u);
	HELD(TCP, .port = tp, MINE);
	HELD(UDP, .port = up, MINE);
	say(&k, 0);
	kid_wait(&k);
	ENDED(TCP, .port = tp, MINE);
	ENDED(UDP, .port = up, MINE);
}

static void bind_and_exec(struct kid *up, void *arg)
{
	int t = tcp4(), u = udp4();

	MUST(fcntl(t, F_SETFD, 0));
	MUST(fcntl(u, F_SETFD, 0));
	say(up, bound(t, LO, 0));
	say(up, bound(u, LO, 0));
	execl("/bin/sleep", "sleep", "1000", NULL);
}

/* Another program in the same process holds on to them: still the one lease each, of who asked. */
static void owner_exec(void)
{
	struct kid k = kid_start(bind_and_exec, NULL);
	uint16_t tp = (uint16_t)hear(&k), up = (uint16_t)hear(&k);
	char c;

	CHECK(recv(k.fd, &c, 1, 0) == 0, "the program begins, and our pipe ends with the one before");
	HELD(TCP, .port = tp, .pid = k.pid, .kind = "bind0");
	HELD(UDP, .port = up, .pid = k.pid, .kind = "bind0");
	kid_kill(&k);
	ENDED(TCP, .port = tp, .pid = k.pid);
	ENDED(UDP, .port = up, .pid = k.pid);
}

static void bind_inherited(struct kid *up, void *arg)
{
	say(up, bound(*(int *)arg, LO, 0));
	hear(up);
}

/* Who made the socket is not who asked for the port. */
static void owner_is_who_binds(void)
{
	int s = tcp4();
	struct kid k = kid_start_sharing(bind_inherited, &s);
	uint16_t p = (uint16_t)hear(&k);

	HELD(TCP, .port = p, .pid = k.pid, .kind = "bind0");
	say(&k, 0);
	kid_wait(&k);
	HELD(TCP, .port = p, .pid = k.pid);
	close(s);
	ENDED(TCP, .port = p, .pid = k.pid);
}

static void open_everything(struct kid *up, void *arg)
{
	int t = tcp4(), u = udp4(), l = tcp4(), c;
	struct linger hard = { .l_onoff = 1 };

	c = tcp4();
	MUST(setsockopt(c, SOL_SOCKET, SO_LINGER, &hard, sizeof(hard)));
	MUST(try_connect(c, LO, SERVER));
	MUST(listen(l, 4));
	say(up, bound(t, LO, 0));
	say(up, bound(u, LO, 0));
	say(up, port_of(l));
	say(up, port_of(c));
	hear(up);
}

static void owner_sigkill(void)
{
	int l = listener_at(LO, SERVER);
	struct kid k = kid_start(open_everything, NULL);
	uint16_t t = (uint16_t)hear(&k), u = (uint16_t)hear(&k), ls = (uint16_t)hear(&k), c = (uint16_t)hear(&k);

	HELD(TCP, .port = t, .pid = k.pid, .kind = "bind0");
	HELD(UDP, .port = u, .pid = k.pid, .kind = "bind0");
	HELD(TCP, .port = ls, .pid = k.pid, .kind = "listen");
	HELD(TCP, .port = c, .pid = k.pid, .kind = "connect");
	kid_kill(&k);
	ENDED(TCP, .pid = k.pid, .n = 3);
	ENDED(UDP, .pid = k.pid);
	close(l);
}

static void send_bound_sockets(struct kid *up, void *arg)
{
	int t = tcp4(), u = udp4();

	say(up, bound(t, LO, 0));
	say(up, bound(u, LO, 0));
	send_fd(up, t);
	send_fd(up, u);
}

static void owner_scm_rights(void)
{
	struct kid k = kid_start(send_bound_sockets, NULL);
	uint16_t tp = (uint16_t)hear(&k), up = (uint16_t)hear(&k);
	int t = receive_fd(&k), u = receive_fd(&k);

	kid_wait(&k);
	HELD(TCP, .port = tp, .pid = k.pid);
	HELD(UDP, .port = up, .pid = k.pid);
	close(t);
	close(u);
	ENDED(TCP, .port = tp, .pid = k.pid);
	ENDED(UDP, .port = up, .pid = k.pid);
}

static void owner_dup(void)
{
	int s = udp4(), copy;
	uint16_t p = bound(s, LO, 0);

	copy = (int)MUST(dup(s));
	close(s);
	HELD(UDP, .port = p, MINE);
	s = (int)MUST(fcntl(copy, F_DUPFD, 100));	/* not dup2(): `copy` itself may be 100 */
	close(copy);
	HELD(UDP, .port = p, MINE);
	close(s);
	ENDED(UDP, .port = p, MINE);
}

struct bound_by_thread {
	pid_t tid;
	int fd;
};

static void *bind_in_thread(void *arg)
{
	struct bound_by_thread *b = arg;

	b->tid = tid_now();
	prctl(PR_SET_NAME, "other name");
	bound(b->fd, LO, 0);
	return NULL;
}

static void owner_thread(void)
{
	struct bound_by_thread b = { .fd = tcp4() };
	pthread_t t;

	if (pthread_create(&t, NULL, bind_in_thread, &b))
		broken("pthread_create");
	pthread_join(t, NULL);
	CHECK(b.tid != getpid(), "the thread has the id of its process");
	HELD(TCP, .port = port_of(b.fd), MINE, .tid = b.tid, .comm = "other name");
	close(b.fd);
	ENDED(TCP, .kind = "bind0", .tid = b.tid);
}

static void bind_as_user(struct kid *up, void *arg)
{
	int t = tcp4(), u = udp4();

	drop_root(1234);
	say(up, bound(t, LO, 0));
	say(up, bound(u, LO, 0));
	hear(up);
}

static void owner_uid(void)
{
	struct kid k = kid_start(bind_as_user, NULL);
	uint16_t t = (uint16_t)hear(&k), u = (uint16_t)hear(&k);

	HELD(TCP, .port = t, .pid = k.pid, .uid = 1234);
	HELD(UDP, .port = u, .pid = k.pid, .uid = 1234);
	say(&k, 0);
	kid_wait(&k);
	ENDED(TCP, .port = t, .uid = 1234);
	ENDED(UDP, .port = u, .uid = 1234);
}

/* A byte that is no UTF-8 reads \\xNN, and so does a backslash that could be mistaken for one. */
static void decode_bytes(char *s)
{
	char *to = s;
	unsigned int byte;
	int n;

	while (*s) {
		if (sscanf(s, "\\x%2x%n", &byte, &n) == 1 && n == 4 && (byte >= 0x80 || byte == '\\')) {
			*to++ = (char)byte;
			s += 4;
		} else {
			*to++ = *s++;
		}
	}
	*to = 0;
}

/* The kernel lets a process call itself anything: it reads back byte by byte. */
static void owner_hostile_comm(void)
{
	static const char *const names[] = {
		"a\x1b[31m\"\\\n\r\tb", "\xe2\x80\xae" "desrever", "% s%n$(x)`y`'", "\x01\x02\x7f\x1f", "{\"pid\":1}", "\xf0\x9f\x98\x80!",
		"\xff\xfe\xc3(bad", "\xe2\x80", "\xc2\x9b" "31m", "\\x80\\u0041\\",
	};

	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
		int s = udp4();
		struct lease l;
		uint16_t p;

		prctl(PR_SET_NAME, names[i]);
		p = bound(s, LO, 0);
		HELD(UDP, .port = p, MINE);
		close(s);
		ENDED(UDP, .port = p, MINE);
		l = LEASE(UDP, .port = p);
		decode_bytes(l.comm);
		CHECK(!strcmp(l.comm, names[i]), "comm number %zu does not read back", i);
	}
}

/* A socket belongs to the namespace that it was made in, wherever its process went. */
static void netns_setns(void)
{
	int here = (int)MUST(open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC)), there;
	int before = tcp4(), after, u = udp4();
	uint32_t other;
	uint16_t p, q;

	there = netns_enter_new(&other);
	p = bound(before, LO, 0);
	after = tcp4();
	q = bound(after, LO, 0);
	MUST(try_connect(u, LO, PEER));
	MUST(setns(here, CLONE_NEWNET));
	HELD(TCP, .port = p, MINE, .kind = "bind0");
	HELD(TCP, .netns = other, .port = q, MINE, .kind = "bind0");
	HELD(UDP, .port = port_of(u), MINE, .kind = "connect");
	close(before);
	ENDED(TCP, .port = p, MINE);
	HELD(TCP, .netns = other, .port = q, MINE);
	close(after);
	close(u);
	ENDED(TCP, .netns = other, .port = q, MINE);
	ENDED(UDP, .kind = "connect", MINE);
	close(there);
}

/* The same number in two namespaces is two ports. */
static void netns_same_port(void)
{
	int here = (int)MUST(open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC)), there, a = tcp4(), b;
	uint32_t other;

	bound(a, LO, 45301);
	there = netns_enter_new(&other);
	b = tcp4();
	bound(b, LO, 45301);
	MUST(setns(here, CLONE_NEWNET));
	HELD(TCP, .port = 45301, MINE);
	HELD(TCP, .netns = other, .port = 45301, MINE);
	close(a);
	ENDED(TCP, .port = 45301);
	HELD(TCP, .netns = other, .port = 45301, MINE);
	close(b);
	ENDED(TCP, .netns = other, .port = 45301);
	close(there);
}

static void bind_and_leave(struct kid *up, void *arg)
{
	int s = tcp4();

	bound(s, LO, 45302);
	say(up, 0);
	hear(up);
}

/* One port, one process after the other: lives never merge. */
static void owner_changes_hands(void)
{
	pid_t pids[5];

	for (int i = 0; i < 5; i++) {
		struct kid k = kid_start(bind_and_leave, NULL);

		pids[i] = k.pid;
		hear(&k);
		HELD(TCP, .port = 45302, .pid = k.pid);
		say(&k, 0);
		kid_wait(&k);
		FREE(TCP, .port = 45302);
	}
	ENDED(TCP, .port = 45302, .n = 5);
	for (int i = 0; i < 5; i++)
		CHECK(LEASE(TCP, .port = 45302, .pid = pids[i]).releases == 1, "the lease of %d lives", pids[i]);
}

#endif
