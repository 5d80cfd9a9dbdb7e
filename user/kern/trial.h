/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The kernel's own answer to "could I bind this": a socket that tries and is
 * closed at once, without listening.
 */
#ifndef PORTLIFE_KERN_TRIAL_H
#define PORTLIFE_KERN_TRIAL_H

#include <stdbool.h>
#include <stdint.h>

struct trial {
	uint32_t netns;		/* 0: our own */
	uint8_t proto, family;	/* IPPROTO_*, AF_* */
	uint32_t addr[4];	/* as in struct pl_lease */
	uint16_t port;
	bool reuseaddr, reuseport, v6only;
};

/* 0: bound and given back; a positive errno: refused; negative: it could not be tried. */
int trial_bind(const struct trial *t);

#endif
