// SPDX-License-Identifier: GPL-2.0
/* Sets of ports; see ports.h. */
#include "base/ports.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/parse.h"
#include "base/str.h"

#define PIECE_MAX 32	/* of a complaint; what is longer is no port anyway */

bool ports_has(const struct ports *set, uint16_t port)
{
	return set->bits[port / 64] >> (port % 64) & 1;
}

void ports_add(struct ports *set, uint16_t lo, uint16_t hi)
{
	for (uint32_t p = lo; p <= hi; p++) {
		if (!ports_has(set, (uint16_t)p))
			set->count++;
		set->bits[p / 64] |= 1ULL << (p % 64);
	}
}

/* Says `what` is wrong with the piece and returns -EINVAL. */
static int ports_refuse(char *why, size_t size, const char *what, const char *piece, size_t len)
{
	struct strbuf shown = STRBUF_INIT;

	if (!why || !size)
		return -EINVAL;
	str_escape(&shown, piece, len < PIECE_MAX ? len : PIECE_MAX);
	if (len > PIECE_MAX)
		strbuf_puts(&shown, "...");
	snprintf(why, size, "port '%s' %s", strbuf_str(&shown), what);
	strbuf_free(&shown);
	return -EINVAL;
}

static int parse_port(const char *piece, size_t len, uint16_t *ret, char *why, size_t size)
{
	char text[PIECE_MAX];
	uint32_t port = 0;
	int err;

	if (!len)
		return ports_refuse(why, size, "is empty: a number 1-65535 belongs here", piece, len);
	if (len >= sizeof(text))
		return ports_refuse(why, size, "is not a number", piece, len);
	memcpy(text, piece, len);
	text[len] = '\0';
	err = parse_u32(text, 0, 65535, &port);
	if (err == -ERANGE)
		return ports_refuse(why, size, "is above 65535", piece, len);
	if (err)
		return ports_refuse(why, size, "is not a number", piece, len);
	if (!port)
		return ports_refuse(why, size, "is not a port: ports begin at 1", piece, len);
	*ret = (uint16_t)port;
	return 0;
}

static int parse_range(const char *piece, size_t len, struct ports *set, char *why, size_t size)
{
	const char *dash = memchr(piece, '-', len);
	size_t first = dash ? (size_t)(dash - piece) : len;
	uint16_t lo, hi;
	int err;

	err = parse_port(piece, first, &lo, why, size);
	if (err)
		return err;
	hi = lo;
	if (dash)
		err = parse_port(dash + 1, len - first - 1, &hi, why, size);
	if (err)
		return err;
	if (hi < lo)
		return ports_refuse(why, size, "is a range that runs backwards", piece, len);
	ports_add(set, lo, hi);
	return 0;
}

int ports_parse(const char *text, struct ports *set, char *why, size_t why_size)
{
	struct ports sum = *set;
	int err;

	for (const char *p = text;; p++) {
		size_t len = strcspn(p, ",");

		err = parse_range(p, len, &sum, why, why_size);
		if (err)
			return err;
		p += len;
		if (!*p)
			break;
	}
	*set = sum;
	return 0;
}
