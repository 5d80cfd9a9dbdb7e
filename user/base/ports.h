/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A set of ports, 1-65535, as people write it: "60303", "60000-60999",
 * "53,8080,60000-60999".
 *
 * Plain data of 8 KiB: no allocation, copied by assignment.
 */
#ifndef PORTLIFE_BASE_PORTS_H
#define PORTLIFE_BASE_PORTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PORTS_WHY_LEN 128	/* room that any complaint fits */

struct ports {
	uint64_t bits[1024];	/* bit p % 64 of word p / 64 */
	uint32_t count;		/* ports in the set; 0: empty */
};

/*
 * Adds the ports of `text` to the set.  Returns 0, or -EINVAL with `*set`
 * unchanged and, when `why` is not NULL, a complaint of at most `why_size`
 * bytes that names the offending piece (escaped): "port '70000' is above 65535".
 */
int ports_parse(const char *text, struct ports *set, char *why, size_t why_size);
void ports_add(struct ports *set, uint16_t lo, uint16_t hi);
bool ports_has(const struct ports *set, uint16_t port);

#endif
