/* SPDX-License-Identifier: GPL-2.0 */
/*
 * tracefs and the cgroup v2 root, whether or not this host has them mounted:
 * where it has not, a private mount that nobody else sees (fsmount(2)).
 */
#ifndef PORTLIFE_KERN_MOUNTS_H
#define PORTLIFE_KERN_MOUNTS_H

#include <stdbool.h>

/* A directory descriptor (O_CLOEXEC), the caller closes it; or a negative errno. */
int mounts_open_tracefs(void);
int mounts_open_cgroup2(void);

/* The cgroup as events name it, of a path that may begin where the tree is mounted; a part of `path`, or "/". */
const char *mounts_cgroup_name(const char *path);
/* Whether there is none of that name; false where nobody can tell. */
bool mounts_lack_cgroup(const char *name);

#endif
