/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Less privilege once the hooks are attached.
 *
 * Capabilities and, as used here, user ids belong to threads: the threads that
 * write files and talk to others are started with none and as the user, the one
 * that drains keeps what reading the tables and looking into other network
 * namespaces needs.
 */
#ifndef PORTLIFE_KERN_PRIVILEGE_H
#define PORTLIFE_KERN_PRIVILEGE_H

#include <stdbool.h>
#include <sys/types.h>

struct privilege_user {
	const char *name;	/* NULL: stay who we are */
	uid_t uid;
	gid_t gid;
	bool made_dir;		/* by privilege_user_dir() */
};

/* 0 or a negative errno, said.  `name` may be NULL. */
int privilege_user_find(const char *name, struct privilege_user *ret);

/* Makes a directory of that user, 0750, if its last part is missing.  0 or a negative errno, said. */
int privilege_user_dir(struct privilege_user *u, const char *dir);
/* Takes it away again if that made it and nobody has used it. */
void privilege_user_dir_leave(const struct privilege_user *u, const char *dir);

/*
 * Runs fn(arg) in a thread of its own that is that user and has no capability,
 * and waits for it; threads and files that it makes are such too.  Returns what
 * fn returned, or a negative errno, said.
 */
int privilege_run(const struct privilege_user *u, int (*fn)(void *), void *arg);

/*
 * The calling thread becomes that user and keeps of its capabilities only what
 * an attached recorder needs; none can come back.  0 or a negative errno, said.
 */
int privilege_drop(const struct privilege_user *u);

#endif
