/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Strict readers of one member of a JSON object.  Internal to out/: use
 * jsonl_read.h.
 *
 * The first complaint is kept and wins; a reader that complains returns its
 * value for null, so that a list of fields can be read as a list and checked
 * once.  `in` is the object that should have the member `name`.
 */
#ifndef PORTLIFE_OUT_JSONL_FIELD_H
#define PORTLIFE_OUT_JSONL_FIELD_H

#include <cjson/cJSON.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define FIELD_WHOLE_MAX 9007199254740992LL	/* 2^53: beyond it a double is no whole number any more */

struct fields {
	int err;	/* 0, -EINVAL or -ENOMEM */
	char why[192];	/* safe to print */
};

void field_refuse(struct fields *f, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* "field 'port': 'x' is no ...": the value is escaped and cut, the name is ours. */
void field_refuse_value(struct fields *f, const char *name, const char *value, const char *what);

/* NULL for null, and when it is missing: a complaint if `need`. */
cJSON *field_member(struct fields *f, const cJSON *in, const char *name, bool need);
/* A whole number lo..hi, both within +-FIELD_WHOLE_MAX; `unknown` for null. */
int64_t field_whole(struct fields *f, const cJSON *in, const char *name, int64_t lo, int64_t hi, int64_t unknown);
/* The bytes as they were before json_str(): once a field, it is undone in place. */
const char *field_text(struct fields *f, const cJSON *in, const char *name, bool need);
/* A decimal string 1..hi; 0 for null. */
uint64_t field_id(struct fields *f, const cJSON *in, const char *name, uint64_t hi);
/* unix ns, 0 for null. */
int64_t field_time(struct fields *f, const cJSON *in, const char *name);
/* false for null. */
bool field_bool(struct fields *f, const cJSON *in, const char *name, bool need);
/* The number of one of our words by its inverse (-1: none of them); `unknown` for null. */
int field_word(struct fields *f, const cJSON *in, const char *name, bool need,
	       int (*from_name)(const char *), int unknown);

#endif
