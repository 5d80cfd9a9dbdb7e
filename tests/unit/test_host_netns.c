/* SPDX-License-Identifier: GPL-2.0 */
/* What another namespace says of its ports: found by inode number, followed at run time, gone when it is gone. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "kern/host.h"

static void put(const char *name, const char *text)
{
	char path[128];
	FILE *f;

	snprintf(path, sizeof(path), "/proc/sys/net/ipv4/%s", name);
	f = fopen(path, "we");
	if (!f || fputs(text, f) < 0 || fclose(f))
		_exit(3);
}

/* A process in a namespace of its own that obeys: one byte, one change. */
static pid_t start(int orders[2], int done[2])
{
	char c;
	pid_t pid;

	if (pipe(orders) || pipe(done))
		return -1;
	pid = fork();
	if (pid)
		return pid;
	close(orders[1]);
	if (unshare(CLONE_NEWNET))
		_exit(2);
	put("ip_local_port_range", "41000 41099");
	put("ip_local_reserved_ports", "8080,41010-41019");
	put("ip_unprivileged_port_start", "80");
	if (write(done[1], "1", 1) != 1)
		_exit(1);
	while (read(orders[0], &c, 1) == 1) {
		put("ip_local_port_range", "42000 42001");
		put("ip_local_reserved_ports", "\n");
		if (write(done[1], "2", 1) != 1)
			_exit(1);
	}
	_exit(0);
}

static void test_other(void **state)
{
	struct host_ports own, got;
	int orders[2], done[2], status;
	char path[64], c;
	struct stat st;
	uint32_t netns, home = host_netns();
	pid_t pid = start(orders, done);

	assert_true(pid > 0);
	close(done[1]);
	close(orders[0]);
	if (read(done[0], &c, 1) != 1) {
		print_message("skipped: no namespace of our own without CAP_SYS_ADMIN\n");
		skip();
	}
	snprintf(path, sizeof(path), "/proc/%d/ns/net", (int)pid);
	assert_int_equal(stat(path, &st), 0);
	netns = (uint32_t)st.st_ino;
	assert_int_equal(host_netns_ports(0, &own), 0);
	assert_int_equal(host_netns_ports(netns, &got), 0);
	assert_int_equal(got.lo, 41000);
	assert_int_equal(got.hi, 41099);
	assert_int_equal(got.reserved.count, 11);
	assert_true(ports_has(&got.reserved, 8080) && ports_has(&got.reserved, 41019) && !ports_has(&got.reserved, 41020));
	assert_int_equal(got.unprivileged, 80);
	assert_int_equal(host_netns(), home);
	assert_int_equal(write(orders[1], "x", 1), 1);
	assert_int_equal(read(done[0], &c, 1), 1);
	assert_int_equal(host_netns_ports(netns, &got), 0);
	assert_int_equal(got.lo, 42000);
	assert_int_equal(got.reserved.count, 0);
	close(orders[1]);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(host_netns_ports(netns, &got), -ENOENT);
	assert_int_equal(got.lo, 42000);	/* left as it was */
	close(done[0]);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_other) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
