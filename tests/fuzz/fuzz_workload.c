// SPDX-License-Identifier: GPL-2.0
/* Paths of cgroups and files of /proc/PID/cgroup, neither ended by NUL. */
#include "fuzz/fuzz.h"

#include "model/workload.h"

static void parse(const char *path, size_t len)
{
	struct workload_text text;
	struct workload w = { .cgroup = NULL };

	workload_parse(path, len, &text, &w);
	claim(!w.cgroup);
	claim(!w.unit || (w.unit == text.unit && *w.unit && strnlen(w.unit, sizeof(text.unit)) < sizeof(text.unit)));
	claim(!w.container_id || strnlen(w.container_id, sizeof(text.container_id)) < sizeof(text.container_id));
	claim(!w.pod_uid || strnlen(w.pod_uid, sizeof(text.pod_uid)) < sizeof(text.pod_uid));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *exact = malloc(size ? size : 1);
	size_t len = 0;
	const char *path;

	claim(exact);
	memcpy(exact, data, size);
	parse(exact, size);
	path = workload_pick(exact, size, &len);
	if (path) {
		claim(path >= exact && path + len <= exact + size);
		parse(path, len);
	}
	free(exact);
	return 0;
}
