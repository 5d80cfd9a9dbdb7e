/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Strict readers of numbers and sizes: the whole text or nothing.
 *
 * No sign, no blank, no leading '+', no 0x, no wrap around.  Never touches
 * `*ret` on failure.  Prints nothing: the caller knows the option's name.
 */
#ifndef PORTLIFE_BASE_PARSE_H
#define PORTLIFE_BASE_PARSE_H

#include <stdint.h>

/* Returns 0, -EINVAL (no decimal number) or -ERANGE (outside lo..hi, inclusive). */
int parse_u64(const char *text, uint64_t lo, uint64_t hi, uint64_t *ret);
int parse_u32(const char *text, uint32_t lo, uint32_t hi, uint32_t *ret);

/* Bytes, with an optional suffix K, M, G or T (times 1024; case ignored). */
int parse_size(const char *text, uint64_t *ret);

#endif
