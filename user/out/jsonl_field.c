// SPDX-License-Identifier: GPL-2.0
/* Strict readers of one member of a JSON object; see jsonl_field.h. */
#include "out/jsonl_field.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/json.h"
#include "base/parse.h"
#include "base/str.h"
#include "base/timex.h"

void field_refuse(struct fields *f, const char *fmt, ...)
{
	va_list ap;

	if (f->err)
		return;
	va_start(ap, fmt);
	vsnprintf(f->why, sizeof(f->why), fmt, ap);
	va_end(ap);
	f->err = -EINVAL;
}

void field_refuse_value(struct fields *f, const char *name, const char *value, const char *what)
{
	struct strbuf shown = STRBUF_INIT;

	str_escape(&shown, value, strnlen(value, 40));
	field_refuse(f, "field '%s': '%s' %s", name, strbuf_str(&shown), what);
	strbuf_free(&shown);
}

cJSON *field_member(struct fields *f, const cJSON *in, const char *name, bool need)
{
	cJSON *item = cJSON_GetObjectItemCaseSensitive(in, name);

	if (!item && need)
		field_refuse(f, "field '%s' is missing", name);
	return item && !cJSON_IsNull(item) ? item : NULL;
}

int64_t field_whole(struct fields *f, const cJSON *in, const char *name, int64_t lo, int64_t hi, int64_t unknown)
{
	const cJSON *item = field_member(f, in, name, true);
	double v;

	if (!item)
		return unknown;
	if (!cJSON_IsNumber(item)) {
		field_refuse(f, "field '%s': not a number", name);
		return unknown;
	}
	v = item->valuedouble;
	if (!(fabs(v) <= (double)FIELD_WHOLE_MAX) || v != floor(v)) {
		field_refuse(f, "field '%s': not a whole number", name);
		return unknown;
	}
	if (v < (double)lo || v > (double)hi) {
		field_refuse(f, "field '%s': %.0f is not within %" PRId64 " to %" PRId64, name, v, lo, hi);
		return unknown;
	}
	return (int64_t)v;
}

const char *field_text(struct fields *f, const cJSON *in, const char *name, bool need)
{
	cJSON *item = field_member(f, in, name, need);

	if (!item)
		return NULL;
	if (!cJSON_IsString(item)) {
		field_refuse(f, "field '%s': not a string", name);
		return NULL;
	}
	json_unescape(item->valuestring);
	return item->valuestring;
}

uint64_t field_id(struct fields *f, const cJSON *in, const char *name, uint64_t hi)
{
	const char *s = field_text(f, in, name, true);
	uint64_t v = 0;

	if (s && parse_u64(s, 1, hi, &v))
		field_refuse_value(f, name, s, "is no id");
	return v;
}

int64_t field_time(struct fields *f, const cJSON *in, const char *name)
{
	const char *s = field_text(f, in, name, true);
	int64_t ns = 0;

	if (s && timex_parse_rfc3339(s, &ns))
		field_refuse_value(f, name, s, "is no time of RFC 3339");
	return ns;
}

bool field_bool(struct fields *f, const cJSON *in, const char *name, bool need)
{
	const cJSON *item = field_member(f, in, name, need);

	if (item && !cJSON_IsBool(item) && !cJSON_IsNull(item))
		field_refuse(f, "field '%s': not true or false", name);
	return item && cJSON_IsTrue(item);
}

int field_word(struct fields *f, const cJSON *in, const char *name, bool need,
	       int (*from_name)(const char *), int unknown)
{
	const char *s = field_text(f, in, name, need);
	int v = s ? from_name(s) : unknown;

	if (s && v < 0)
		field_refuse_value(f, name, s, "is not a value that is known");
	return v < 0 ? unknown : v;
}
