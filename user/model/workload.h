/* SPDX-License-Identifier: GPL-2.0 */
/*
 * From the path of a cgroup to what people call it: systemd unit, container,
 * pod.
 *
 * Pure text work on untrusted bytes: it looks nothing up, needs no NUL at the
 * end and accepts only the spellings that the runtimes write (docker,
 * containerd, cri-o, podman, LXC, kubelet with both cgroup drivers).  What it
 * does not recognise is unknown; it refuses to guess.
 */
#ifndef PORTLIFE_MODEL_WORKLOAD_H
#define PORTLIFE_MODEL_WORKLOAD_H

#include <stddef.h>
#include "model/event.h"

#define WORKLOAD_UNIT_MAX 256		/* systemd's own limit, with the NUL */
#define WORKLOAD_CONTAINER_MAX 129
#define WORKLOAD_POD_MAX 65

/* Where the names of a struct workload live. */
struct workload_text {
	char unit[WORKLOAD_UNIT_MAX];
	char container_id[WORKLOAD_CONTAINER_MAX];
	char pod_uid[WORKLOAD_POD_MAX];
};

/*
 * Parses `len` bytes of `path` (below the cgroup root, "/system.slice/x.service";
 * a trailing " (deleted)" is passed over).  The names are copied into `text`;
 * unit, container_id and pod_uid of `ret` point there or are NULL, and
 * ret->cgroup is left alone, because `path` need not end with a NUL.
 *
 * unit: what sd_pid_get_unit(3) would say, or sd_pid_get_user_unit(3) below
 * user@UID.service; below slices only, the innermost slice.
 * container_id: of the innermost container; for LXC its name.
 * pod_uid: of Kubernetes with dashes; of podman its 64 digits.
 */
void workload_parse(const char *path, size_t len, struct workload_text *text, struct workload *ret);

/*
 * Picks the line of /proc/PID/cgroup (`len` bytes) that tells most: the one of
 * the unified hierarchy, unless that says "/" and the hierarchy of systemd, or
 * failing that another one, says more.  Returns the path within `file` and its
 * length, or NULL when there is no well-formed line.
 */
const char *workload_pick(const char *file, size_t len, size_t *ret_len);

#endif
