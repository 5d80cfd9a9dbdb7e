/* SPDX-License-Identifier: GPL-2.0 */
/* What the options and the endings of the commands share. */
#include "cmd/cmd.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/nsfs.h>
#include <netinet/in.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <unistd.h>

#include <portlife/config.h>
#include "base/clock.h"
#include "base/log.h"
#include "base/parse.h"
#include "kern/recorder.h"
#include "store/history.h"

const struct opt_word cmd_words_tier[] = {
	{ "auto", TIER_NONE }, { "a", TIER_A }, { "b", TIER_B }, { "c", TIER_C }, { NULL, 0 },
};
const struct opt_word cmd_words_scope[] = { { "default", false }, { "all", true }, { NULL, 0 } };
const struct opt_word cmd_words_proto[] = {
	{ "any", 0 }, { "tcp", IPPROTO_TCP }, { "udp", IPPROTO_UDP }, { "udplite", IPPROTO_UDPLITE }, { NULL, 0 },
};

int cmd_parse_netns(const char *arg, void *value, char *why, size_t why_size)
{
	char path[4096];
	struct stat st;
	int fd, err = -EINVAL;

	if (!parse_u32(arg, 1, UINT32_MAX, value))
		return 0;
	snprintf(path, sizeof(path), "%s%s", strchr(arg, '/') ? "" : "/run/netns/", arg);
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	/* Any other file has an inode number too, and nothing would ever match it. */
	if (fd >= 0 && ioctl(fd, NS_GET_NSTYPE) == CLONE_NEWNET && !fstat(fd, &st)) {
		*(uint32_t *)value = (uint32_t)st.st_ino;
		err = 0;
	} else {
		snprintf(why, why_size, "no network namespace '%s'", arg);
	}
	if (fd >= 0)
		close(fd);
	return err;
}

int cmd_check_ring(uint64_t size)
{
	if (size >= PL_RING_MIN && size <= PL_RING_MAX)
		return 0;
	log_err("--ring-size must lie between 4K and 1G");
	return -EINVAL;
}

int cmd_signals(void)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGTERM);
	sigprocmask(SIG_BLOCK, &set, NULL);
	return signalfd(-1, &set, SFD_CLOEXEC);
}

void cmd_tally(struct recorder *r)
{
	struct recorder_totals n;
	uint64_t held;

	source_freeze(recorder_source(r));	/* also where it did not come to recorder_finish() */
	if (recorder_totals(r, &n))
		return;
	if (!recorder_held(r, &held) && held != n.live)
		log_warn("the kernel's table holds %llu leases where its counts say %llu", (unsigned long long)held,
			 (unsigned long long)n.live);
	log_info("allocs %llu, releases %llu, fails %llu, live %llu, lost %llu (held before the start %llu, accepted out of scope %llu)",
		 (unsigned long long)n.allocs, (unsigned long long)n.releases, (unsigned long long)n.fails,
		 (unsigned long long)n.live, (unsigned long long)n.lost, (unsigned long long)n.opens,
		 (unsigned long long)n.skipped);
}

int cmd_check_time(const char *option, int64_t at, int64_t now, int64_t youngest)
{
	if (at <= now || at <= youngest)
		return 0;
	log_err("%s lies in the future", option);
	return EXIT_USAGE;
}

/* Once, not for each of the hundred thousand sockets of a busy host. */
static const char *here_host(void)
{
	static char host[65];

	if (!host[0] && gethostname(host, sizeof(host) - 1))
		return NULL;
	return host;
}

static const char *here_boot_id(void)
{
	static char boot_id[CLOCK_BOOT_ID_LEN];

	return boot_id[0] || !clock_boot_id(boot_id) ? boot_id : NULL;
}

static int own_string(const char **to, const char *from)
{
	if (*to || !from)
		return 0;
	*to = strdup(from);
	return *to ? 0 : -ENOMEM;
}

int cmd_here(struct event *ev)
{
	int err = own_string(&ev->host, here_host());

	return err ? err : own_string(&ev->boot_id, here_boot_id());
}

int cmd_history_open(const char *dir, struct history **ret)
{
	int err = access(dir, F_OK) && errno == ENOENT ? -ENOENT : history_open(dir, ret);

	if (err == -ENOENT || err == -ENODATA)
		return -ENODATA;
	return err ? EXIT_STORE : 0;
}

int cmd_history_none(const char *dir)
{
	log_err("there is no history in '%s': portlife record keeps one, and --live sees what happens now", dir);
	return EXIT_INCOMPLETE;
}

int cmd_opt_exit(int err)
{
	if (err == OPT_HELPED)
		return EXIT_OK;
	if (err != -EIO)
		return EXIT_USAGE;
	log_err("output failed");
	return EXIT_STORE;
}

int cmd_open_exit(int err)
{
	return err == -EPERM || err == -EOPNOTSUPP ? EXIT_PRIVILEGE : EXIT_STORE;
}

int cmd_recorder_exit(const struct recorder *r, int err)
{
	return err < 0 && recorder_failed(r) ? EXIT_STORE : err;
}

int cmd_exit(int err)
{
	if (err > 0)
		return err;
	if (!err || err == -EPIPE)
		return EXIT_OK;
	log_err("output failed: %s", strerror(-err));
	return EXIT_STORE;
}
