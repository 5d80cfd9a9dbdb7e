// SPDX-License-Identifier: GPL-2.0
/* Strict readers of numbers and sizes; see parse.h. */
#include "base/parse.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>

/* Digits at the start of `text`; moves `*end` behind them.  -EINVAL: there are none. */
static int parse_digits(const char *text, const char **end, uint64_t *ret)
{
	const char *p = text;
	uint64_t v = 0;
	int err = 0;

	for (; *p >= '0' && *p <= '9'; p++)
		if (__builtin_mul_overflow(v, 10, &v) || __builtin_add_overflow(v, (uint64_t)(*p - '0'), &v))
			err = -ERANGE;
	if (p == text)
		return -EINVAL;
	*end = p;
	*ret = v;
	return err;
}

int parse_u64(const char *text, uint64_t lo, uint64_t hi, uint64_t *ret)
{
	const char *end = text;
	uint64_t v = 0;
	int err = parse_digits(text, &end, &v);

	if (err == -EINVAL || *end)
		return -EINVAL;
	if (err || v < lo || v > hi)
		return -ERANGE;
	*ret = v;
	return 0;
}

int parse_u32(const char *text, uint32_t lo, uint32_t hi, uint32_t *ret)
{
	uint64_t v;
	int err = parse_u64(text, lo, hi, &v);

	if (!err)
		*ret = (uint32_t)v;
	return err;
}

int parse_size(const char *text, uint64_t *ret)
{
	static const char suffixes[] = "KMGT";
	const char *end = text, *suffix;
	uint64_t v = 0, unit = 1;
	int err = parse_digits(text, &end, &v);

	if (err == -EINVAL)
		return err;
	if (*end) {
		suffix = strchr(suffixes, *end >= 'a' ? *end - ('a' - 'A') : *end);
		if (!suffix || end[1])
			return -EINVAL;
		unit = 1ULL << (10 * (suffix - suffixes + 1));
	}
	if (err || __builtin_mul_overflow(v, unit, &v))
		return -ERANGE;
	*ret = v;
	return 0;
}
