/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Which events a person wants to see.  Everything set must hold; a zeroed
 * filter lets all pass.
 *
 * An event that lacks what is asked for (no known pid, no cgroup) does not
 * pass: a guess would be worse.  Gaps and summaries always pass, because an
 * answer without its gaps is wrong.
 */
#ifndef PORTLIFE_MODEL_FILTER_H
#define PORTLIFE_MODEL_FILTER_H

#include <stdbool.h>
#include <stdint.h>
#include "base/ports.h"
#include "model/event.h"

struct filter {
	struct ports ports;	/* the local port; empty: any */
	bool ephemeral;		/* only ports that the kernel chose */
	bool fails;		/* only EV_FAIL */
	uint8_t proto;		/* IPPROTO_*, 0: any */
	uint32_t pid;		/* the process (tgid), 0: any */
	uint32_t netns;		/* inode number, 0: any */
	/* Borrowed, NULL: any.  With any of * ? [ a pattern of fnmatch(3), else exact. */
	const char *comm;
	/*
	 * A path below the cgroup root, with or without the first '/': matches that
	 * group and all below it.  With * ? [ a pattern for any leading part of the
	 * path that ends at a '/' or at its end; * crosses '/'.
	 */
	const char *cgroup;
};

bool filter_match(const struct filter *f, const struct event *ev);

#endif
