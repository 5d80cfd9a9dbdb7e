/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What `who` is asked: a port, a range, or an address and a port; and what the
 * number alone tells.  Pure.
 */
#ifndef PORTLIFE_MODEL_ASK_H
#define PORTLIFE_MODEL_ASK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct ask {
	uint16_t lo, hi;	/* inclusive, 1-65535 */
	bool by_addr;
	uint8_t family;		/* AF_INET, AF_INET6, with by_addr */
	uint32_t addr[4];	/* as in struct pl_lease */
};

/*
 * "60303", "60000-60999", "10.0.0.5:60303", "[::1]:60303".  Returns 0, or
 * -EINVAL with a complaint that names what is wrong in `why`.
 */
int ask_parse(const char *text, struct ask *ret, char *why, size_t why_size);

/*
 * Whether a socket bound to `laddr` holds its port at the address `addr`; an IPv4
 * address is also its v4-mapped form.  `sock`: its PL_S_*; [::] serves IPv4 too,
 * unless it is known to be IPV6_V6ONLY.
 */
bool ask_meets(uint8_t family, const uint32_t addr[4], uint8_t sock_family, const uint32_t laddr[4], uint8_t sock);

/* "well-known", "registered", "dynamic", as RFC 6335 section 6 divides them. */
const char *ask_class(uint16_t port);
/* "0-1023", "1024-49151", "49152-65535" */
const char *ask_class_range(uint16_t port);

#endif
