// SPDX-License-Identifier: GPL-2.0
/*
 * Cgroup paths as systemd, the container runtimes and kubelet write them, and
 * paths that only look like it.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "model/workload.h"

#define ID64 "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
#define ID64B "fedcba9876543210fedcba9876543210fedcba9876543210fedcba9876543210"
#define UID_DASH "3c4e8d0a-9f1b-4b7e-8a55-0d2f6c9e7b11"
#define UID_UNDER "3c4e8d0a_9f1b_4b7e_8a55_0d2f6c9e7b11"
#define HASH32 "9d1b0c4f8e7a6d5c4b3a291807f6e5d4"

static const struct {
	const char *path, *unit, *container, *pod;
} cases[] = {
	/* systemd */
	{ "/system.slice/nginx.service", "nginx.service", NULL, NULL },
	{ "/system.slice/system-getty.slice/getty@tty1.service", "getty@tty1.service", NULL, NULL },
	{ "/system.slice/ssh.socket", "ssh.socket", NULL, NULL },
	{ "/system.slice/dev-hugepages.mount", "dev-hugepages.mount", NULL, NULL },
	{ "/system.slice/dev-x\\x2dy.swap", "dev-x\\x2dy.swap", NULL, NULL },
	{ "/user.slice/user-1000.slice/session-3.scope", "session-3.scope", NULL, NULL },
	{ "/user.slice/user-1000.slice/user@1000.service/app.slice/foo.service", "foo.service", NULL, NULL },
	{ "/user.slice/user-1000.slice/user@1000.service/app.slice/app-a.slice/b.scope", "b.scope", NULL, NULL },
	{ "/user.slice/user-1000.slice/user@1000.service/init.scope", "init.scope", NULL, NULL },
	{ "/user.slice/user-1000.slice/user@1000.service/app.slice", "user@1000.service", NULL, NULL },
	{ "/user.slice/user-1000.slice/user@1000.service", "user@1000.service", NULL, NULL },
	{ "/user.slice/user-1000.slice/user@x.service/foo.service", "user@x.service", NULL, NULL },
	{ "/user.slice/user-1000.slice", "user-1000.slice", NULL, NULL },
	{ "/system.slice", "system.slice", NULL, NULL },
	{ "/init.scope", "init.scope", NULL, NULL },
	{ "/system.slice/delegated.service/sub/x.service", "delegated.service", NULL, NULL },
	{ "/system.slice/_cpu.service", "cpu.service", NULL, NULL },
	{ "/system.slice/nginx.service (deleted)", "nginx.service", NULL, NULL },
	{ "/../../system.slice/nginx.service", "nginx.service", NULL, NULL },
	{ "//system.slice//nginx.service/", "nginx.service", NULL, NULL },
	{ "system.slice/nginx.service", "nginx.service", NULL, NULL },
	/* docker */
	{ "/docker/" ID64, NULL, ID64, NULL },
	{ "/docker/" ID64 "/init", NULL, ID64, NULL },
	{ "/docker/" ID64 "/docker/" ID64B, NULL, ID64B, NULL },
	{ "/system.slice/docker-" ID64 ".scope", "docker-" ID64 ".scope", ID64, NULL },
	{ "/system.slice/docker-" ID64 ".scope/system.slice/a.service", "docker-" ID64 ".scope", ID64, NULL },
	{ "/system.slice/docker.service", "docker.service", NULL, NULL },
	/* containerd, cri-o, podman, nerdctl */
	{ "/k8s.io/" ID64, NULL, ID64, NULL },
	{ "/system.slice/cri-containerd-" ID64 ".scope", "cri-containerd-" ID64 ".scope", ID64, NULL },
	{ "/system.slice/crio-" ID64 ".scope", "crio-" ID64 ".scope", ID64, NULL },
	{ "/system.slice/crio-conmon-" ID64 ".scope", "crio-conmon-" ID64 ".scope", NULL, NULL },
	{ "/machine.slice/libpod-" ID64 ".scope/container", "libpod-" ID64 ".scope", ID64, NULL },
	{ "/machine.slice/libpod-conmon-" ID64 ".scope", "libpod-conmon-" ID64 ".scope", NULL, NULL },
	{ "/libpod_parent/libpod-" ID64, NULL, ID64, NULL },
	{ "/libpod_parent/libpod_pod_" ID64B "/libpod-" ID64, NULL, ID64, ID64B },
	{ "/machine.slice/machine-libpod_pod_" ID64B ".slice/libpod-" ID64 ".scope", "libpod-" ID64 ".scope", ID64, ID64B },
	{ "/user.slice/user-1000.slice/user@1000.service/user.slice/libpod-" ID64 ".scope", "libpod-" ID64 ".scope", ID64, NULL },
	{ "/system.slice/nerdctl-" ID64 ".scope", "nerdctl-" ID64 ".scope", ID64, NULL },
	/* Kubernetes: cgroupfs, systemd, static pods, kind, disagreeing drivers */
	{ "/kubepods/burstable/pod" UID_DASH "/" ID64, NULL, ID64, UID_DASH },
	{ "/kubepods/pod" UID_DASH "/" ID64, NULL, ID64, UID_DASH },
	{ "/kubepods/besteffort/pod" UID_DASH, NULL, NULL, UID_DASH },
	{ "/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod" UID_UNDER ".slice/cri-containerd-" ID64 ".scope",
	  "cri-containerd-" ID64 ".scope", ID64, UID_DASH },
	{ "/kubepods.slice/kubepods-pod" UID_UNDER ".slice/crio-" ID64 ".scope", "crio-" ID64 ".scope", ID64, UID_DASH },
	{ "/kubepods/burstable/pod" HASH32 "/" ID64, NULL, ID64, HASH32 },
	{ "/docker/" ID64B "/kubelet/kubepods/burstable/pod" UID_DASH "/" ID64, NULL, ID64, UID_DASH },
	{ "/system.slice/containerd.service/kubepods-burstable-pod" UID_UNDER ".slice:cri-containerd:" ID64,
	  "containerd.service", ID64, UID_DASH },
	/* LXC */
	{ "/lxc/web1", NULL, "web1", NULL },
	{ "/lxc.payload.web1/system.slice/nginx.service", NULL, "web1", NULL },
	{ "/lxc.payload/web1", NULL, "web1", NULL },
	{ "/lxc.monitor.web1", NULL, NULL, NULL },
	{ "/lxc/we\033b", NULL, NULL, NULL },
	/* nothing that we know */
	{ "/", NULL, NULL, NULL },
	{ "", NULL, NULL, NULL },
	{ "/a/b/c", NULL, NULL, NULL },
	{ "/.service", NULL, NULL, NULL },
	{ "/.slice", NULL, NULL, NULL },
	{ "/system.slice/.service", "system.slice", NULL, NULL },
	{ "/system.slice/x\n.service", "system.slice", NULL, NULL },
	{ "/docker/0123456789ABCDEF0123456789ABCDEF0123456789ABCDEF0123456789ABCDEF", NULL, NULL, NULL },
	{ "/docker/" ID64 "0", NULL, NULL, NULL },
	{ "/docker/0123", NULL, NULL, NULL },
	{ "/podium", NULL, NULL, NULL },
	{ "/pod" "3c4e8d0a-9f1b-4b7e-8a55-0d2f6c9e7b1", NULL, NULL, NULL },
};

static void assert_same(const char *got, const char *want)
{
	if (!got || !want)
		assert_ptr_equal(got, want);
	else
		assert_string_equal(got, want);
}

/* Parses a copy that ends where the bytes end, so that a sanitizer sees any step beyond. */
static void parse_exact(const char *path, size_t len, struct workload_text *text, struct workload *ret)
{
	char *bytes = malloc(len ? len : 1);

	assert_non_null(bytes);
	memcpy(bytes, path, len);
	workload_parse(bytes, len, text, ret);
	free(bytes);
}

static void test_paths(void **state)
{
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct workload_text text;
		struct workload w;

		parse_exact(cases[i].path, strlen(cases[i].path), &text, &w);
		assert_same(w.unit, cases[i].unit);
		assert_same(w.container_id, cases[i].container);
		assert_same(w.pod_uid, cases[i].pod);
	}
}

static void test_every_cut(void **state)
{
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++)
		for (size_t len = 0; len <= strlen(cases[i].path); len++) {
			struct workload_text text;
			struct workload w;

			parse_exact(cases[i].path, len, &text, &w);
		}
}

static void test_long_and_odd_bytes(void **state)
{
	static char path[8192];
	struct workload_text text;
	struct workload w;

	memset(path, 'a', sizeof(path));
	memcpy(path, "/", 1);
	memcpy(path + sizeof(path) - 8, ".service", 8);
	parse_exact(path, sizeof(path), &text, &w);
	assert_null(w.unit);

	memset(path, 'a', sizeof(path));
	memcpy(path, "/lxc/", 5);
	parse_exact(path, sizeof(path), &text, &w);
	assert_null(w.container_id);

	memset(path, 0, sizeof(path));
	parse_exact(path, sizeof(path), &text, &w);
	assert_null(w.unit);
	parse_exact("/lxc/a\0b", 8, &text, &w);
	assert_null(w.container_id);
	workload_parse(NULL, 0, &text, &w);
	assert_null(w.unit);
}

static void assert_pick(const char *file, const char *want)
{
	size_t len = strlen(file), n = 99;
	char *bytes = malloc(len ? len : 1);
	const char *got;

	assert_non_null(bytes);
	memcpy(bytes, file, len);
	got = workload_pick(bytes, len, &n);
	if (want) {
		assert_non_null(got);
		assert_int_equal(n, strlen(want));
		assert_memory_equal(got, want, n);
	} else {
		assert_null(got);
		assert_int_equal(n, 0);
	}
	free(bytes);
}

static void test_pick(void **state)
{
	assert_pick("0::/system.slice/a.service\n", "/system.slice/a.service");
	assert_pick("0::/system.slice/a.service", "/system.slice/a.service");
	assert_pick("9:name=systemd:/b.service\n0::/\n", "/b.service");
	assert_pick("9:name=systemd:/b.service\n0::/a.service\n", "/a.service");
	assert_pick("9:name=systemd:/\n4:memory:/docker/x\n0::/\n", "/docker/x");
	assert_pick("9:name=systemd:/\n4:memory:/\n0::/\n", "/");
	assert_pick("12:pids:/docker/x\n1:name=systemd:/docker/y\n", "/docker/y");
	assert_pick("4:cpu,cpuacct:/a:b:c\n", "/a:b:c");
	assert_pick("", NULL);
	assert_pick("\n\n", NULL);
	assert_pick("0:", NULL);
	assert_pick("0::", NULL);
	assert_pick("0::x", NULL);
	assert_pick("garbage\n0::/ok\n", "/ok");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_paths),
		cmocka_unit_test(test_every_cut),
		cmocka_unit_test(test_long_and_odd_bytes),
		cmocka_unit_test(test_pick),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
