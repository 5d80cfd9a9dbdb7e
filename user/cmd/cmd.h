/* SPDX-License-Identifier: GPL-2.0 */
/* The commands, and what their options and endings share.  A command never calls another. */
#ifndef PORTLIFE_CMD_H
#define PORTLIFE_CMD_H

#include <stddef.h>
#include <stdint.h>
#include "base/opt.h"

struct event;
struct history;
struct recorder;

enum {
	EXIT_OK = 0,		/* done, or found */
	EXIT_NOTHING = 1,	/* asked and nothing found */
	EXIT_USAGE = 2,
	EXIT_INCOMPLETE = 3,	/* a gap, a loss or evicted history could change the answer */
	EXIT_PRIVILEGE = 4,	/* privilege or kernel support missing */
	EXIT_STORE = 5,		/* store or I/O error */
};

struct cmd {
	const char *name;
	const char *about;
	int (*run)(int argc, char **argv);	/* argv[0] is the name; returns an exit code */
};

/* Words of --tier, --scope and --proto; a namespace by inode number, by name under /run/netns, or by path. */
extern const struct opt_word cmd_words_tier[], cmd_words_scope[], cmd_words_proto[];
int cmd_parse_netns(const char *arg, void *value, char *why, size_t why_size);
/* -EINVAL, said, for a ring size that cannot be. */
int cmd_check_ring(uint64_t size);

/* So late may a lease that is still open reach the history: of a later time the recorder must be asked, too. */
#define CMD_OPEN_LATE_NS (120 * 1000000000LL)

/* SIGINT and SIGTERM become readable on the descriptor returned: the loop ends, drains and tallies. */
int cmd_signals(void);
/* The last line on stderr. */
void cmd_tally(struct recorder *r);

/* A time asked for that neither the clock nor the history (`youngest`, 0: none) has reached: EXIT_USAGE, said; else 0. */
int cmd_check_time(const char *option, int64_t at, int64_t now, int64_t youngest);

/* An event found by looking at the kernel, its strings its own (model/event_list.h), is of this host and boot.  0 or -ENOMEM. */
int cmd_here(struct event *ev);

/* The history in `dir`: 0; -ENODATA, unsaid, where there is none; EXIT_STORE, said. */
int cmd_history_open(const char *dir, struct history **ret);
/* Says that there is none, and what to do about it: EXIT_INCOMPLETE. */
int cmd_history_none(const char *dir);

/* Exit codes of what opt_parse(), recorder_open() and an output returned. */
int cmd_opt_exit(int err);
int cmd_open_exit(int err);
/* What came of a recorder that was open: its own failure has been said. */
int cmd_recorder_exit(const struct recorder *r, int err);
int cmd_exit(int err);	/* positive: an exit code already */

int cmd_trace(int argc, char **argv);
int cmd_record(int argc, char **argv);
int cmd_who(int argc, char **argv);
int cmd_why(int argc, char **argv);
int cmd_report(int argc, char **argv);
int cmd_doctor(int argc, char **argv);

#endif
