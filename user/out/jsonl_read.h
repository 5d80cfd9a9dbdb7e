/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Reads one line of the event format back, for replay and for tests: what
 * stream.h wrote comes back such that writing it again gives the same bytes.
 *
 * Strict: a line of more than FACTS_LINE_MAX bytes, invalid UTF-8 or JSON, a
 * field given twice, missing or of the wrong type or value is refused with a
 * message that names it.  Fields that it does not know are ignored, as the
 * format promises to grow.  Durations are checked for type and derived anew.
 */
#ifndef PORTLIFE_OUT_JSONL_READ_H
#define PORTLIFE_OUT_JSONL_READ_H

#include <stddef.h>
#include "model/event.h"

struct jsonl_read;

/* 0 or -ENOMEM. */
int jsonl_read_new(struct jsonl_read **ret);
void jsonl_read_free(struct jsonl_read *r);

/*
 * `line` of `len` bytes, a newline at its end allowed.  On 0 `*ret` and all its
 * strings are the reader's, valid until the next call.  Boot clock times inside
 * ev->lease are 0.  -EINVAL: not an event, see jsonl_read_error(); -ENOMEM.
 */
int jsonl_read_line(struct jsonl_read *r, const char *line, size_t len, const struct event **ret);
/* Why the last call failed, safe to print: "field 'port': 70000 is no port". */
const char *jsonl_read_error(const struct jsonl_read *r);

#endif
