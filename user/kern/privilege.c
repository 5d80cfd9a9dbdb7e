/* SPDX-License-Identifier: GPL-2.0 */
/*
 * See privilege.h.  The C library changes the ids of all threads at once and
 * ends the process when they do not agree, so the system calls are made bare.
 */
#include "kern/privilege.h"

#include <cap-ng.h>
#include <errno.h>
#include <grp.h>
#include <pthread.h>
#include <pwd.h>
#include <stdbool.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/log.h"

/* Of an attached recorder; portlife-record(8) says what for. */
static const unsigned int needed[] = { CAP_BPF, CAP_PERFMON, CAP_NET_ADMIN, CAP_SYS_ADMIN, CAP_SYS_PTRACE };

int privilege_user_find(const char *name, struct privilege_user *ret)
{
	const struct passwd *pw;

	*ret = (struct privilege_user){ .name = name };
	if (!name)
		return 0;
	errno = 0;
	pw = getpwnam(name);
	if (!pw) {
		log_err("no user '%s'%s%s", name, errno ? ": " : "", errno ? strerror(errno) : "");
		return -ENOENT;
	}
	ret->uid = pw->pw_uid;
	ret->gid = pw->pw_gid;
	if (geteuid() && geteuid() != ret->uid) {
		log_err("only root can become user '%s'", name);
		return -EPERM;
	}
	return 0;
}

int privilege_user_dir(struct privilege_user *u, const char *dir)
{
	struct stat st;

	if (!u->name || geteuid())
		return 0;
	u->made_dir = !mkdir(dir, 0750);
	if (u->made_dir) {
		if (!chown(dir, u->uid, u->gid))
			return 0;
		log_err("cannot give '%s' to user '%s': %s", dir, u->name, strerror(errno));
		return -EPERM;
	}
	if (errno == EEXIST && !lstat(dir, &st) && st.st_uid == u->uid)
		return 0;
	if (errno == EEXIST)
		log_err("'%s' does not belong to user '%s'", dir, u->name);
	else
		log_err("cannot make '%s': %s", dir, strerror(errno));
	return -EPERM;
}

void privilege_user_dir_leave(const struct privilege_user *u, const char *dir)
{
	if (u->made_dir)
		rmdir(dir);	/* fails where there is something in it, as it should */
}

static int become(const struct privilege_user *u)
{
	if (!u->name || geteuid() == u->uid)
		return 0;
	if (syscall(SYS_setgroups, 0, NULL) || syscall(SYS_setresgid, u->gid, u->gid, u->gid) ||
	    syscall(SYS_setresuid, u->uid, u->uid, u->uid))
		return -errno;
	return 0;
}

/* Keeps those of `caps` that the thread has. */
static int keep(const unsigned int *caps, size_t n)
{
	bool have[CAP_LAST_CAP + 1] = { false };

	if (capng_get_caps_process())
		return -EIO;
	for (size_t i = 0; i < n; i++)
		have[caps[i]] = capng_have_capability(CAPNG_PERMITTED, caps[i]);
	capng_clear(CAPNG_SELECT_CAPS);
	for (size_t i = 0; i < n; i++)
		if (have[caps[i]])
			capng_update(CAPNG_ADD, CAPNG_EFFECTIVE | CAPNG_PERMITTED, caps[i]);
	if (capng_apply(CAPNG_SELECT_CAPS))
		return -EPERM;
	prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);	/* EINVAL on kernels that have none */
	return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) ? -errno : 0;
}

struct run {
	const struct privilege_user *u;
	int (*fn)(void *);
	void *arg;
	int ret;
};

static void *run_thread(void *arg)
{
	struct run *run = arg;
	int err = become(run->u);

	if (!err)
		err = keep(NULL, 0);
	if (err)
		log_err("cannot give up privileges: %s", strerror(-err));
	run->ret = err ? err : run->fn(run->arg);
	return NULL;
}

int privilege_run(const struct privilege_user *u, int (*fn)(void *), void *arg)
{
	struct run run = { .u = u, .fn = fn, .arg = arg };
	pthread_t thread;
	int err = pthread_create(&thread, NULL, run_thread, &run);

	if (err) {
		log_err("cannot start a thread: %s", strerror(err));
		return -err;
	}
	pthread_join(thread, NULL);
	return run.ret;
}

int privilege_drop(const struct privilege_user *u)
{
	int err = prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0) ? -errno : become(u);

	if (!err)
		err = keep(needed, sizeof(needed) / sizeof(needed[0]));
	if (err)
		log_err("cannot give up privileges: %s", strerror(-err));
	return err;
}
