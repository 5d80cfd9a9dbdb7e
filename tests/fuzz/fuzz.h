/* SPDX-License-Identifier: GPL-2.0 */
/* What the fuzzers share: a claim that cannot be compiled out, pieces of the input, messages that go nowhere. */
#ifndef TESTS_FUZZ_FUZZ_H
#define TESTS_FUZZ_FUZZ_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/log.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerInitialize(int *argc, char ***argv);

#define claim(what) \
	do { \
		if (!(what)) { \
			fprintf(stderr, "%s:%d: claim failed: %s\n", __FILE__, __LINE__, #what); \
			abort(); \
		} \
	} while (0)

static inline void fuzz_drop(void *ctx, enum log_level level, const char *text)
{
}

static inline void fuzz_quiet(void)
{
	log_set_sink(fuzz_drop, NULL);
}

/* A copy ended by NUL, of its exact size so that the sanitizer sees a step beyond; to be freed. */
static inline char *fuzz_text(const uint8_t *data, size_t size)
{
	char *text = malloc(size + 1);

	claim(text);
	if (size)
		memcpy(text, data, size);
	text[size] = '\0';
	return text;
}

/* Bytes that a terminal could act on: none may ever be in a line of text. */
static inline void fuzz_claim_tame(const char *text, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		unsigned char c = (unsigned char)text[i];

		claim(c == '\n' || (c >= 0x20 && c != 0x7f));
		claim(c != 0xc2 || i + 1 >= len || (unsigned char)text[i + 1] >= 0xa0);
	}
}

#endif
