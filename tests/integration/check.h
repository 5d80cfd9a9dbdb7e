/* SPDX-License-Identifier: GPL-2.0 */
/* What a test of its own program says of each thing that it looks at, and how many there were. */
#ifndef PORTLIFE_TESTS_CHECK_H
#define PORTLIFE_TESTS_CHECK_H

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>

static unsigned int passed, failed;

__attribute__((format(printf, 3, 4)))
static void check(bool good, const char *name, const char *fmt, ...)
{
	va_list ap;

	if (good) {
		printf("ok - %s\n", name);
		passed++;
		return;
	}
	printf("not ok - %s: ", name);
	va_start(ap, fmt);
	vprintf(fmt, ap);
	va_end(ap);
	printf("\n");
	failed++;
}

#endif
