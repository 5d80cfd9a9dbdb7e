/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Every refusal made on purpose, and what `portlife why` says of it:
 *
 *	why --portlife PATH [--tier auto|a|b|c]
 *
 * Each scene makes a holder, asks `why PORT` (whose rules must agree with the
 * kernel's own answer), is refused, and lets go; first without a recorder, then
 * while one and `why --live` run, and at the end both must have explained each
 * refusal.  All in
 * network namespaces of its own.  Needs nothing but a kernel: it also runs in
 * the test machines.  One line an assertion; ends with the count.
 */
#include <arpa/inet.h>
#include <cjson/cJSON.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "integration/pass_fd.h"

#define PATIENCE_S 60
#define BACKLOG 8

static const char *portlife, *tier = "auto";
static char dir[] = "/tmp/portlife-why-XXXXXX";
static unsigned int passed, failed, skipped;

__attribute__((format(printf, 2, 3)))
static bool expect(bool ok, const char *fmt, ...)
{
	va_list ap;

	printf(ok ? "ok - " : "not ok - ");
	va_start(ap, fmt);
	vprintf(fmt, ap);
	va_end(ap);
	putchar('\n');
	fflush(stdout);
	*(ok ? &passed : &failed) += 1;
	return ok;
}

__attribute__((noreturn))
static void broken(const char *what)
{
	printf("not ok - cannot set up: %s: %s\n%u passed, %u failed, %u skipped\n", what, strerror(errno), passed, failed + 1, skipped);
	exit(1);
}

#define MUST(call) must_((long)(call), #call)
static long must_(long ret, const char *what)
{
	if (ret < 0)
		broken(what);
	return ret;
}

static void nap(void)
{
	nanosleep(&(struct timespec){ .tv_nsec = 50000000 }, NULL);
}

/* ---- the world ---- */

static void sysctl(const char *name, const char *value)
{
	char path[128];
	int fd;

	snprintf(path, sizeof(path), "/proc/sys/net/ipv4/%s", name);
	fd = (int)MUST(open(path, O_WRONLY | O_CLOEXEC));
	MUST(write(fd, value, strlen(value)));
	close(fd);
}

static void world(void)
{
	struct ifreq lo = { .ifr_name = "lo", .ifr_flags = IFF_UP };
	int fd;

	MUST(unshare(CLONE_NEWNET));
	fd = (int)MUST(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
	MUST(ioctl(fd, SIOCSIFFLAGS, &lo));
	close(fd);
	sysctl("ip_local_port_range", "41000 49999");
}

static struct sockaddr_in at(const char *addr, uint16_t port)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_port = htons(port) };

	inet_pton(AF_INET, addr, &a.sin_addr);
	return a;
}

static int sock(int type, bool reuse)
{
	int fd = (int)MUST(socket(AF_INET, type | SOCK_CLOEXEC, 0)), one = 1;

	if (reuse)
		MUST(setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)));
	return fd;
}

static int bind_at(int fd, const char *addr, uint16_t port)
{
	struct sockaddr_in a = at(addr, port);

	return bind(fd, (void *)&a, sizeof(a)) ? errno : 0;
}

static int connect_to(int fd, uint16_t port)
{
	struct sockaddr_in a = at("127.0.0.1", port);

	return connect(fd, (void *)&a, sizeof(a)) ? errno : 0;
}

static int listener(uint16_t port, bool reuse)
{
	int fd = sock(SOCK_STREAM, reuse);

	if (bind_at(fd, "127.0.0.1", port) || listen(fd, BACKLOG))
		broken("a listener");
	return fd;
}

static uint16_t port_of(int fd)
{
	struct sockaddr_in a;
	socklen_t len = sizeof(a);

	MUST(getsockname(fd, (void *)&a, &len));
	return ntohs(a.sin_port);
}

static int connected(uint16_t port)
{
	int fd = sock(SOCK_STREAM, false);

	if (connect_to(fd, port))
		broken("a connection");
	return fd;
}

/* ---- portlife ---- */

/* Starts it with stdout and stderr in files; `args` ends with NULL. */
static pid_t start(const char *out, const char *err, const char *const *args)
{
	pid_t pid;

	close((int)MUST(creat(err, 0600)));	/* there before anybody looks into it */
	pid = (pid_t)MUST(fork());
	if (pid)
		return pid;
	if (!freopen("/dev/null", "r", stdin) || !freopen(out, "w", stdout) || !freopen(err, "w", stderr))
		_exit(127);
	execv(portlife, (char *const *)args);
	_exit(127);
}

static char *slurp(const char *path)
{
	FILE *f = fopen(path, "re");
	size_t cap = 4 << 20, n;
	char *text = calloc(1, cap);

	if (!f || !text)
		broken(path);
	n = fread(text, 1, cap - 1, f);
	text[n] = '\0';
	fclose(f);
	return text;
}

/* Runs it to its end; the JSON document (NULL: none) and its exit code. */
static cJSON *ask(int *status, const char *const *args)
{
	char out[64], err[64], *text;
	cJSON *doc;
	pid_t pid;

	snprintf(out, sizeof(out), "%s/ask.out", dir);
	snprintf(err, sizeof(err), "%s/ask.err", dir);
	pid = start(out, err, args);
	MUST(waitpid(pid, status, 0));
	*status = WIFEXITED(*status) ? WEXITSTATUS(*status) : -1;
	text = slurp(out);
	doc = cJSON_Parse(text);
	if (!doc) {
		char *said = slurp(err);

		printf("# why said: %s%s\n", text, said);
		free(said);
	}
	free(text);
	return doc;
}

static const char *word(const cJSON *o, const char *key)
{
	const cJSON *v = cJSON_GetObjectItemCaseSensitive(o, key);

	return cJSON_IsString(v) ? v->valuestring : "";
}

static int number(const cJSON *o, const char *key)
{
	const cJSON *v = cJSON_GetObjectItemCaseSensitive(o, key);

	return cJSON_IsNumber(v) ? v->valueint : -1;
}

static const cJSON *item(const cJSON *o, const char *key, int i)
{
	return cJSON_GetArrayItem(cJSON_GetObjectItemCaseSensitive(o, key), i);
}

static int items(const cJSON *o, const char *key)
{
	return cJSON_GetArraySize(cJSON_GetObjectItemCaseSensitive(o, key));
}

/* "a|b" lists what may stand there. */
static bool one_of(const char *got, const char *want)
{
	size_t len = strlen(got);

	for (const char *at = want; len && (at = strstr(at, got)); at++)
		if ((at == want || at[-1] == '|') && (at[len] == '|' || !at[len]))
			return true;
	return false;
}

static cJSON *ask_port(uint16_t port, const char *proto, const char *option, int *status)
{
	char text[8];
	const char *args[] = { "portlife", "why", text, "--proto", proto, "-o", "json", option, NULL };

	snprintf(text, sizeof(text), "%u", port);
	return ask(status, args);
}

/* The port is held, as `role`; who the first holder is; returns the document. */
static cJSON *held(const char *scene, uint16_t port, const char *proto, const char *role, pid_t pid)
{
	int status;
	cJSON *doc = ask_port(port, proto, NULL, &status);
	const cJSON *h = item(doc, "in_the_way", 0);

	expect(status == 0, "%s: exit code %d of why %u", scene, status, port);
	expect(!strcmp(word(doc, "rules_say"), "EADDRINUSE") && !strcmp(word(doc, "kernel_says"), "EADDRINUSE"),
	       "%s: rules say %s, the kernel %s", scene, word(doc, "rules_say"), word(doc, "kernel_says"));
	expect(one_of(word(h, "role"), role), "%s: held by one that is '%s'", scene, word(h, "role"));
	if (pid)
		expect(number(h, "pid") == pid, "%s: owner %d, is %d", scene, number(h, "pid"), pid);
	expect(*word(doc, "action"), "%s: %s", scene, word(doc, "action"));
	return doc;
}

static cJSON *is_free(const char *scene, uint16_t port, const char *proto, const char *option)
{
	int status;
	cJSON *doc = ask_port(port, proto, option, &status);

	expect(status == 1, "%s: exit code %d of why %u %s", scene, status, port, option ? option : "");
	expect(!strcmp(word(doc, "rules_say"), "OK") && !strcmp(word(doc, "kernel_says"), "OK"), "%s: rules say %s, the kernel %s", scene,
	       word(doc, "rules_say"), word(doc, "kernel_says"));
	return doc;
}

/* ---- refusals, and what must be said of them in the end ---- */

struct refusal {
	const char *scene, *err, *cause, *role;	/* role NULL: no holder to name */
	uint16_t port;				/* 0: none was asked for */
	const char *proto, *kind;
	pid_t asker, holder;			/* 0: not known */
};
static struct refusal refusals[32];
static size_t n_refusals;

static bool recording;

static void note(struct refusal r)
{
	if (!recording)
		return;
	refusals[n_refusals++] = r;
}

/* Binds where it must be refused. */
static void refused(const char *scene, uint16_t port, int type, const char *role, pid_t holder)
{
	int fd = sock(type, false), err = bind_at(fd, "127.0.0.1", port);

	close(fd);
	if (expect(err == EADDRINUSE, "%s: the kernel refuses %u: %s", scene, port, strerror(err)))
		note((struct refusal){ scene, "EADDRINUSE", "held", role, port, type == SOCK_STREAM ? "tcp" : "udp", "bind", getpid(), holder });
}

static bool matches(const cJSON *o, const struct refusal *r)
{
	return !strcmp(word(o, "errno"), r->err) && !strcmp(word(o, "proto"), r->proto) && number(o, "pid") == r->asker &&
	       one_of(word(o, "kind"), r->kind) && (number(o, "port") == r->port || (!r->port && number(o, "port") < 0));
}

static void check_use(const char *who, const struct refusal *r, const cJSON *o)
{
	const cJSON *use = cJSON_GetObjectItemCaseSensitive(o, "use");
	const cJSON *cap = cJSON_GetObjectItemCaseSensitive(use, "capacity"), *taken = cJSON_GetObjectItemCaseSensitive(use, "taken");
	const cJSON *first = item(o, "top_holders", 0), *second = item(o, "top_holders", 1);

	expect(number(cap, "even") == 2 && number(cap, "odd") == 2, "%s, %s: capacity %d even, %d odd", who, r->scene,
	       number(cap, "even"), number(cap, "odd"));
	expect(number(taken, "even") == 2 && number(taken, "odd") == 2, "%s, %s: taken %d even, %d odd", who, r->scene,
	       number(taken, "even"), number(taken, "odd"));
	expect(number(first, "ports") == 3 && number(second, "ports") == 1 && number(second, "pid") == r->asker,
	       "%s, %s: held by %d: %d, by %d: %d", who, r->scene, number(first, "pid"), number(first, "ports"),
	       number(second, "pid"), number(second, "ports"));
}

static void check_refusal(const char *who, const struct refusal *r, const cJSON *o)
{
	const cJSON *h = item(o, "in_the_way", 0);

	if (!expect(o != NULL, "%s, %s: %s is explained", who, r->scene, r->err))
		return;
	expect(one_of(word(o, "cause"), r->cause), "%s, %s: cause '%s'", who, r->scene, word(o, "cause"));
	if (!strcmp(r->cause, "exhausted"))
		check_use(who, r, o);
	if (!r->role)
		return;
	expect(one_of(word(h, "role"), r->role), "%s, %s: held by one that is '%s'", who, r->scene, word(h, "role"));
	if (r->holder)
		expect(number(h, "pid") == r->holder, "%s, %s: holder %d, is %d", who, r->scene, number(h, "pid"), r->holder);
}

/* The recorder may have missed something (another test's load, an interrupt in a hook): then it must say so. */
static bool told_of_loss(const cJSON *doc)
{
	const cJSON *gap;

	cJSON_ArrayForEach(gap, cJSON_GetObjectItemCaseSensitive(doc, "gaps"))
		if (!one_of(word(gap, "cause"), "stopped|boot"))
			return true;
	return false;
}

static void check_history(const char *state)
{
	const char *args[] = { "portlife", "why", "--state-dir", state, "-o", "json", NULL };
	int status;
	cJSON *doc = ask(&status, args);

	expect(status == (told_of_loss(doc) ? 3 : 0), "history: exit code %d", status);
	for (size_t i = 0; i < n_refusals; i++) {
		const cJSON *o, *found = NULL;

		cJSON_ArrayForEach(o, cJSON_GetObjectItemCaseSensitive(doc, "refusals"))
			if (matches(o, &refusals[i]))
				found = o;
		check_refusal("history", &refusals[i], found);
	}
	cJSON_Delete(doc);
}

static void check_live(const char *path)
{
	char *text = slurp(path), *save = NULL;
	cJSON *lines = cJSON_CreateArray();

	for (char *line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save))
		cJSON_AddItemToArray(lines, cJSON_Parse(line));
	for (size_t i = 0; i < n_refusals; i++) {
		const cJSON *o, *found = NULL;

		cJSON_ArrayForEach(o, lines)
			if (matches(o, &refusals[i]))
				found = o;
		check_refusal("live", &refusals[i], found);
	}
	cJSON_Delete(lines);
	free(text);
}

/* ---- scenes ---- */

static void scene_listening(void)
{
	int l = listener(8080, false);
	cJSON *doc = held("a listener", 8080, "tcp", "listening", getpid());

	expect(!strcmp(item(item(doc, "in_the_way", 0), "would_allow", 0) ? item(item(doc, "in_the_way", 0), "would_allow", 0)->valuestring : "",
		       "SO_REUSEPORT on both"), "a listener: SO_REUSEPORT on both would have allowed it");
	cJSON_Delete(doc);
	refused("a listener", 8080, SOCK_STREAM, "listening", getpid());
	cJSON_Delete(is_free("a listener", 8080, "udp", NULL));
	close(l);
	cJSON_Delete(is_free("a listener that has gone", 8080, "tcp", NULL));
}

static void scene_outgoing(void)
{
	int l = listener(8081, true), c = connected(8081), s = accept(l, NULL, NULL);
	uint16_t port = port_of(c);
	cJSON *doc = held("an outgoing connection", port, "tcp", "outgoing|connected", getpid());

	expect(strstr(word(doc, "action"), "ip_local_reserved_ports=") != NULL, "an outgoing connection: reserve the port");
	cJSON_Delete(doc);
	refused("an outgoing connection", port, SOCK_STREAM, "outgoing", getpid());
	close(c);
	close(s);
	close(l);
}

static void scene_bound(void)
{
	int fd = sock(SOCK_STREAM, false);

	MUST(-bind_at(fd, "127.0.0.1", 8082));
	cJSON_Delete(held("a bound socket", 8082, "tcp", "bound", getpid()));
	refused("a bound socket", 8082, SOCK_STREAM, "bound", getpid());
	close(fd);
}

/* The server's side closes first: its port waits. */
static void scene_time_wait(void)
{
	/* That of the first round may be waiting still. */
	const uint16_t port = recording ? 8083 : 8183;
	int l = listener(port, true), c = connected(port), s = (int)MUST(accept(l, NULL, NULL)), left;
	cJSON *doc;
	char b;

	close(s);
	MUST(read(c, &b, 1));
	close(c);
	close(l);
	doc = held("TIME_WAIT", port, "tcp", "time_wait", 0);
	left = number(item(doc, "in_the_way", 0), "time_wait_left_us") / 1000000;
	expect(left > 0 && left <= 60, "TIME_WAIT: %d s are left", left);
	cJSON_Delete(doc);
	cJSON_Delete(is_free("TIME_WAIT", port, "tcp", "--reuseaddr"));
	refused("TIME_WAIT", port, SOCK_STREAM, "time_wait", getpid());
}

static void scene_child(void)
{
	int l = listener(8084, false), c = connected(8084), s = (int)MUST(accept(l, NULL, NULL)), c2, l2;

	close(l);
	cJSON_Delete(held("a child whose listener died", 8084, "tcp", "accepted", getpid()));
	refused("a child whose listener died", 8084, SOCK_STREAM, "accepted", getpid());
	l2 = listener(8085, false);
	c2 = connected(8085);
	nap();
	cJSON_Delete(held("an unaccepted child", 8085, "tcp", "listening", getpid()));
	close(c2);
	close(l2);
	close(c);
	close(s);
}

/* Bound, and in no process's table: on its way through a unix socket. */
static void scene_in_flight(void)
{
	int fd = sock(SOCK_STREAM, false), pair[2], status;
	cJSON *doc;

	MUST(-bind_at(fd, "127.0.0.1", 8093));
	MUST(socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0, pair));
	MUST(pass_fd(pair[0], fd));
	close(fd);
	doc = ask_port(8093, "tcp", NULL, &status);
	expect(status == 0 && !strcmp(word(doc, "kernel_says"), "EADDRINUSE"), "in flight: the kernel says %s", word(doc, "kernel_says"));
	if (recording)
		expect(number(item(doc, "in_the_way", 0), "pid") == getpid(), "in flight: the recorder knows its owner");
	cJSON_Delete(doc);
	refused("in flight", 8093, SOCK_STREAM, "bound", getpid());
	close(pair[0]);
	close(pair[1]);
}

static void scene_unaccepted_seen(void)
{
	int l = listener(8092, false), c = connected(8092), status;
	cJSON *doc = ask_port(8092, "tcp", NULL, &status);

	expect(one_of(word(item(doc, "in_the_way", 1), "role"), "unaccepted"), "an unaccepted child: the second in the way is '%s'",
	       word(item(doc, "in_the_way", 1), "role"));
	cJSON_Delete(doc);
	close(c);
	close(l);
}

static void scene_elsewhere(void)
{
	int to[2], from[2];
	cJSON *doc;
	pid_t pid;
	char b;

	MUST(pipe2(to, O_CLOEXEC));
	MUST(pipe2(from, O_CLOEXEC));
	pid = (pid_t)MUST(fork());
	if (!pid) {
		world();
		listener(8086, false);
		if (write(from[1], "r", 1) != 1 || close(to[1]) || read(to[0], &b, 1))
			_exit(1);
		_exit(0);
	}
	MUST(read(from[0], &b, 1));
	doc = is_free("another namespace", 8086, "tcp", NULL);
	expect(items(doc, "elsewhere") == 1 && number(item(doc, "elsewhere", 0), "pid") == pid &&
	       strcmp(word(item(doc, "elsewhere", 0), "netns"), word(doc, "netns")), "another namespace: named as not in the way");
	cJSON_Delete(doc);
	close(to[1]);
	MUST(waitpid(pid, NULL, 0));
	close(to[0]);
	close(from[0]);
	close(from[1]);
}

/* A request of rtnetlink under construction; busybox's ip(8) cannot give a vxlan its port. */
struct request {
	struct nlmsghdr h;
	struct ifinfomsg link;
	char attrs[256];
};

static struct rtattr *attr(struct request *r, unsigned short type, const void *data, size_t len)
{
	struct rtattr *a = (void *)((char *)r + NLMSG_ALIGN(r->h.nlmsg_len));

	a->rta_type = type;
	a->rta_len = (unsigned short)RTA_LENGTH(len);
	if (len)
		memcpy(RTA_DATA(a), data, len);
	r->h.nlmsg_len = (uint32_t)(NLMSG_ALIGN(r->h.nlmsg_len) + RTA_ALIGN(a->rta_len));
	return a;
}

static void nest_end(const struct request *r, struct rtattr *nest)
{
	nest->rta_len = (unsigned short)((const char *)r + r->h.nlmsg_len - (char *)nest);
}

/* 0 or a negative errno, the kernel's own. */
static int vxlan(bool add)
{
	struct request r = { .h = { .nlmsg_len = NLMSG_LENGTH(sizeof(struct ifinfomsg)), .nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK,
				    .nlmsg_type = add ? RTM_NEWLINK : RTM_DELLINK } };
	struct { struct nlmsghdr h; struct nlmsgerr e; } reply = { .e.error = -EIO };
	uint16_t port = htons(4789);
	uint32_t id = 7;
	int fd = (int)MUST(socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE));

	attr(&r, IFLA_IFNAME, "why0", 5);
	if (add) {
		struct rtattr *info, *data;

		r.h.nlmsg_flags |= NLM_F_CREATE | NLM_F_EXCL;
		r.link.ifi_flags = r.link.ifi_change = IFF_UP;
		info = attr(&r, IFLA_LINKINFO, NULL, 0);
		attr(&r, IFLA_INFO_KIND, "vxlan", 6);
		data = attr(&r, IFLA_INFO_DATA, NULL, 0);
		attr(&r, IFLA_VXLAN_ID, &id, sizeof(id));
		attr(&r, IFLA_VXLAN_PORT, &port, sizeof(port));
		nest_end(&r, data);
		nest_end(&r, info);
	}
	MUST(send(fd, &r, r.h.nlmsg_len, 0));
	MUST(recv(fd, &reply, sizeof(reply), 0));
	close(fd);
	return reply.e.error;
}

static void scene_kernel(void)
{
	int err = vxlan(true);

	if (err) {
		printf("skip - a socket of the kernel: no vxlan here: %s\n", strerror(-err));
		skipped++;
		return;
	}
	cJSON_Delete(held("a socket of the kernel", 4789, "udp", "kernel", 0));
	refused("a socket of the kernel", 4789, SOCK_DGRAM, "kernel", 0);
	MUST(vxlan(false));
	cJSON_Delete(is_free("a socket of the kernel that has gone", 4789, "udp", NULL));
}

static void scene_dual_stack(void)
{
	struct sockaddr_in6 any = { .sin6_family = AF_INET6, .sin6_port = htons(8087) };
	int fd = (int)MUST(socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0)), one = 1;

	MUST(bind(fd, (void *)&any, sizeof(any)));
	cJSON_Delete(held("a dual-stack socket", 8087, "udp", "udp", getpid()));
	refused("a dual-stack socket", 8087, SOCK_DGRAM, "udp", getpid());
	close(fd);
	fd = (int)MUST(socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0));
	MUST(setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &one, sizeof(one)));
	any.sin6_port = htons(8088);
	MUST(bind(fd, (void *)&any, sizeof(any)));
	cJSON_Delete(is_free("an IPv6-only socket", 8088, "udp", NULL));
	close(fd);
}

static void scene_reserved(void)
{
	int status;
	cJSON *doc;

	sysctl("ip_local_reserved_ports", "45000");
	doc = ask_port(45000, "tcp", NULL, &status);
	expect(cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(doc, "reserved")) && status == 1, "a reserved port: said so, and free");
	cJSON_Delete(doc);
	sysctl("ip_local_reserved_ports", "\n");
}

static void scene_privilege(void)
{
	pid_t pid = (pid_t)MUST(fork());
	int status;

	if (!pid) {
		int fd = sock(SOCK_STREAM, false);

		if (setresuid(65534, 65534, 65534))
			_exit(2);
		_exit(bind_at(fd, "127.0.0.1", 80) == EACCES ? 0 : 1);
	}
	MUST(waitpid(pid, &status, 0));
	if (expect(!status, "privilege: the kernel refuses 80 to nobody"))
		note((struct refusal){ "privilege", "EACCES", "privilege", NULL, 80, "tcp", "bind", pid, 0 });
}

static void scene_foreign(void)
{
	int fd = sock(SOCK_STREAM, false);

	if (expect(bind_at(fd, "198.51.100.1", 8090) == EADDRNOTAVAIL, "a foreign address: refused"))
		note((struct refusal){ "a foreign address", "EADDRNOTAVAIL", "address", NULL, 8090, "tcp", "bind", getpid(), 0 });
	close(fd);
}

/* In the child: takes `n` ports of the kind, then waits. */
static pid_t taker(int kind, int n, int ready, int wait_fd)
{
	pid_t pid = (pid_t)MUST(fork());
	char b;

	if (pid)
		return pid;
	prctl(PR_SET_NAME, "taker");
	for (int i = 0; i < n; i++) {
		int fd = sock(kind == 'u' ? SOCK_DGRAM : SOCK_STREAM, false);

		if (kind == 'b' ? bind_at(fd, "127.0.0.1", 0) : connect_to(fd, 9000))
			_exit(1);
	}
	if (write(ready, "r", 1) != 1 || read(wait_fd, &b, 1))
		_exit(1);
	_exit(0);
}

/* Four ports: another process takes three, we take one and ask for another. */
static void exhaust(int kind, const char *scene, const char *err_name, int want, const char *kinds)
{
	int to[2], from[2], mine, more, err;
	int l = kind == 'c' ? listener(9000, true) : -1;
	pid_t pid;
	char b;

	MUST(pipe2(to, 0));
	MUST(pipe2(from, 0));
	sysctl("ip_local_port_range", "40000 40003");
	pid = taker(kind, 3, from[1], to[0]);
	MUST(read(from[0], &b, 1));
	mine = sock(kind == 'u' ? SOCK_DGRAM : SOCK_STREAM, false);
	more = sock(kind == 'u' ? SOCK_DGRAM : SOCK_STREAM, false);
	MUST(-(kind == 'b' ? bind_at(mine, "127.0.0.1", 0) : connect_to(mine, 9000)));
	err = kind == 'b' ? bind_at(more, "127.0.0.1", 0) : connect_to(more, 9000);
	if (expect(err == want, "%s: the kernel says %s", scene, strerror(err)))
		note((struct refusal){ scene, err_name, "exhausted", NULL, 0, kind == 'u' ? "udp" : "tcp", kinds, getpid(), 0 });
	nanosleep(&(struct timespec){ .tv_sec = 1, .tv_nsec = 500000000 }, NULL);	/* --live asks for the range meanwhile */
	kill(pid, SIGKILL);
	MUST(waitpid(pid, NULL, 0));
	close(mine);
	close(more);
	if (l >= 0)
		close(l);
	for (int i = 0; i < 2; i++) {
		close(to[i]);
		close(from[i]);
	}
}

/* ---- the run ---- */

static void scenes(void)
{
	scene_listening();
	scene_outgoing();
	scene_bound();
	scene_time_wait();
	scene_child();
	scene_unaccepted_seen();
	scene_in_flight();
	scene_elsewhere();
	scene_kernel();
	scene_dual_stack();
	scene_reserved();
	scene_privilege();
	scene_foreign();
}

static void wait_for(pid_t pid, const char *path, const char *text)
{
	for (int i = 0; i < PATIENCE_S * 20; i++, nap()) {
		char *said = slurp(path);
		bool there = strstr(said, text);

		free(said);
		if (there)
			return;
		if (waitpid(pid, NULL, WNOHANG) == pid)
			break;
	}
	errno = ETIME;
	broken(text);
}

static void stop(pid_t pid, const char *what, const char *err)
{
	char *said;
	int status;

	kill(pid, SIGTERM);
	MUST(waitpid(pid, &status, 0));
	said = slurp(err);
	expect(WIFEXITED(status) && WEXITSTATUS(status) == (strstr(said, "events were lost") ? 3 : 0), "%s ended well", what);
	free(said);
}

int main(int argc, char **argv)
{
	char state[64], rec_err[64], live_out[64], live_err[64], rec_out[64];
	const char *rec_args[] = { "portlife", "record", "--scope", "all", "--state-dir", state, "--tier", NULL, NULL };
	const char *live_args[] = { "portlife", "why", "--live", "-o", "jsonl", "--tier", NULL, NULL };
	pid_t recorder, live;

	for (int i = 1; i + 1 < argc; i += 2) {
		if (!strcmp(argv[i], "--portlife"))
			portlife = argv[i + 1];
		else if (!strcmp(argv[i], "--tier"))
			tier = argv[i + 1];
	}
	if (!portlife) {
		fprintf(stderr, "usage: why --portlife PATH [--tier auto|a|b|c]\n");
		return 2;
	}
	if (!mkdtemp(dir))
		broken("a scratch folder");
	snprintf(state, sizeof(state), "%s/state", dir);
	snprintf(rec_out, sizeof(rec_out), "%s/rec.out", dir);
	snprintf(rec_err, sizeof(rec_err), "%s/rec.err", dir);
	snprintf(live_out, sizeof(live_out), "%s/live.out", dir);
	snprintf(live_err, sizeof(live_err), "%s/live.err", dir);
	rec_args[7] = live_args[6] = tier;
	world();

	setvbuf(stdout, NULL, _IOLBF, 0);
	puts("# without a recorder of ours");
	scenes();
	puts("# with one");
	recording = true;
	recorder = start(rec_out, rec_err, rec_args);
	wait_for(recorder, rec_err, "recording to");
	live = start(live_out, live_err, live_args);
	wait_for(live, live_err, "watching");

	scenes();
	exhaust('b', "bind to port 0 in a range of four", "EADDRINUSE", EADDRINUSE, "bind0");
	exhaust('u', "UDP in a range of four", "EAGAIN", EAGAIN, "connect");
	exhaust('c', "connect in a range of four", "EADDRNOTAVAIL", EADDRNOTAVAIL, "connect");

	stop(live, "why --live", live_err);
	stop(recorder, "record", "/dev/null");
	check_live(live_out);
	check_history(state);
	printf("%u passed, %u failed, %u skipped\n", passed, failed, skipped);
	if (!failed) {
		snprintf(rec_out, sizeof(rec_out), "rm -rf '%s'", dir);
		if (system(rec_out))
			return 1;
	} else {
		printf("# left for a look: %s\n", dir);
	}
	return failed ? 1 : 0;
}
