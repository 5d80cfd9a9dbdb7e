/* SPDX-License-Identifier: GPL-2.0 */
/* Looks, never changes anything. */
#include "kern/host.h"

#include <cap-ng.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "kern/mounts.h"
#include "model/event.h"

static const struct {
	unsigned int cap;
	const char *name, *why;
} caps_used[] = {
	{ CAP_BPF, "CAP_BPF", "load programs and tables" },
	{ CAP_PERFMON, "CAP_PERFMON", "attach to the kernel's functions and tracepoints" },
	{ CAP_NET_ADMIN, "CAP_NET_ADMIN", "tier c: load the cgroup programs; the self-test's loopback" },
	{ CAP_SYS_ADMIN, "CAP_SYS_ADMIN", "self-test, other network namespaces, tracefs and cgroup v2 where they are not mounted" },
	{ CAP_SYS_PTRACE, "CAP_SYS_PTRACE", "reach the network namespaces of other users' processes" },
	{ CAP_SYSLOG, "CAP_SYSLOG", "tier c: the address of the TIME_WAIT timer in /proc/kallsyms" },
};
const size_t host_caps_count = sizeof(caps_used) / sizeof(caps_used[0]);

void host_caps(struct host_cap *caps)
{
	bool known = !capng_get_caps_process();

	for (size_t i = 0; i < host_caps_count; i++)
		caps[i] = (struct host_cap){
			.name = caps_used[i].name,
			.why = caps_used[i].why,
			.have = known && capng_have_capability(CAPNG_EFFECTIVE, caps_used[i].cap),
		};
}

static bool host_has(unsigned int cap)
{
	return !capng_get_caps_process() && capng_have_capability(CAPNG_EFFECTIVE, cap);
}

void host_lacks_to_load(bool cgroup_programs, char *out, size_t size)
{
	size_t at = 0;

	out[0] = '\0';
	if (host_has(CAP_SYS_ADMIN))
		return;		/* it stands for each of them */
	for (size_t i = 0; i < host_caps_count && at < size; i++) {
		unsigned int cap = caps_used[i].cap;

		if ((cap == CAP_BPF || cap == CAP_PERFMON || (cap == CAP_NET_ADMIN && cgroup_programs)) && !host_has(cap))
			at += (size_t)snprintf(out + at, size - at, "%s%s", at ? ", " : "needs ", caps_used[i].name);
	}
}

bool host_may_bind_low(void)
{
	return host_has(CAP_NET_BIND_SERVICE);
}

bool host_may_trace(void)
{
	return host_has(CAP_SYS_PTRACE);
}

static int host_read(const char *path, char *buf, size_t size)
{
	FILE *f = fopen(path, "re");
	size_t n;

	if (!f)
		return -errno;
	n = fread(buf, 1, size - 1, f);
	buf[n] = '\0';
	fclose(f);
	return 0;
}

/* "none [integrity] confidentiality": the bracketed word is in force. */
static void host_lockdown(struct host *h)
{
	char text[128], *from, *to;

	snprintf(h->lockdown, sizeof(h->lockdown), "unknown");
	if (host_read("/sys/kernel/security/lockdown", text, sizeof(text)))
		return;
	from = strchr(text, '[');
	to = from ? strchr(from, ']') : NULL;
	if (to)
		snprintf(h->lockdown, sizeof(h->lockdown), "%.*s", (int)(to - from - 1), from + 1);
}

/* The milder "integrity" leaves them all that we use. */
const char *host_locked(void)
{
	struct host h;

	host_lockdown(&h);
	return strcmp(h.lockdown, "confidentiality") ? "" :
		": the kernel is under lockdown (confidentiality), where no program may read its memory";
}

static bool host_opens(int fd)
{
	if (fd >= 0)
		close(fd);
	return fd >= 0;
}

void host_look(struct host *h)
{
	struct utsname u;

	memset(h, 0, sizeof(*h));
	if (!uname(&u)) {
		snprintf(h->release, sizeof(h->release), "%s", u.release);
		snprintf(h->machine, sizeof(h->machine), "%s", u.machine);
	}
	host_lockdown(h);
	h->btf = !access("/sys/kernel/btf/vmlinux", R_OK);
	h->kprobes = !access("/sys/bus/event_source/devices/kprobe", F_OK);
	h->tracefs = host_opens(mounts_open_tracefs());
	h->cgroup2 = host_opens(mounts_open_cgroup2());
}

int host_port_range(uint16_t *lo, uint16_t *hi)
{
	unsigned int a, b;
	char text[64];
	int err = host_read("/proc/sys/net/ipv4/ip_local_port_range", text, sizeof(text));

	if (err)
		return err;
	if (sscanf(text, "%u %u", &a, &b) != 2 || a > b || b > 65535)
		return -EIO;
	*lo = a;
	*hi = b;
	return 0;
}

/* The list of reserved ports, "8080,9000-9010", as a set. */
static int host_reserved(struct ports *set)
{
	static const char path[] = "/proc/sys/net/ipv4/ip_local_reserved_ports";
	size_t size = 512 * 1024;	/* every other port, in decimal, fits */
	char *text = calloc(1, size), *at, *end;
	int err = text ? host_read(path, text, size) : -ENOMEM;

	memset(set, 0, sizeof(*set));
	for (at = text; !err && at && *at; at = *end ? end + 1 : NULL) {
		unsigned long from = strtoul(at, &end, 10), to = from;

		if (end == at)
			break;
		if (*end == '-')
			to = strtoul(end + 1, &end, 10);
		if (from <= to && to <= 65535)
			ports_add(set, from, to);
	}
	free(text);
	return err;
}

int host_port_reserved(uint16_t port, bool *reserved)
{
	struct ports set;
	int err = host_reserved(&set);

	*reserved = ports_has(&set, port);
	return err;
}

uint32_t host_netns(void)
{
	struct stat st;

	return stat("/proc/thread-self/ns/net", &st) ? 0 : (uint32_t)st.st_ino;
}

int host_own_ports(struct host_ports *ret)
{
	char text[32];
	int err = host_port_range(&ret->lo, &ret->hi);

	if (!err)
		err = host_reserved(&ret->reserved);
	if (err)
		return err;
	/* Since 4.11; a kernel that does not show it has the classic limit. */
	ret->unprivileged = 1024;
	if (!host_read("/proc/sys/net/ipv4/ip_unprivileged_port_start", text, sizeof(text)))
		ret->unprivileged = (uint32_t)strtoul(text, NULL, 10);
	return 0;
}
