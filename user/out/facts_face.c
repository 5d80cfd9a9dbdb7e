// SPDX-License-Identifier: GPL-2.0
/* The two faces of the list of facts: JSON and CSV; see facts.h. */
#include "out/facts.h"

#include <string.h>

#include "base/json.h"
#include "base/str.h"
#include "base/timex.h"

static void json_value(struct json *j, const struct fact *fact, const struct fact_value *v, const struct event *ev)
{
	switch (v->type) {
	case FACT_TEXT:
		json_str_max(j, v->text, fact->max);
		break;
	case FACT_WORD:
		json_plain(j, v->text);
		break;
	case FACT_TREE:
		v->tree(j, ev);
		break;
	default:
		break;	/* quick_value() writes all others */
	}
}

/* Room for a member and any value that quick_value() writes: a word, a number, a time. */
#define QUICK_ROOM 128

static inline char *quick_put(char *at, const char *bytes, size_t len)
{
	return (char *)memcpy(at, bytes, len) + len;
}

/* Mostly a few bytes: halves that overlap are quicker than a call. */
static inline char *quick_copy(char *at, const char *text, size_t len)
{
	if (len < 4 || len > 16)
		return quick_put(at, text, len);
	if (len >= 8) {
		memcpy(at, text, 8);
		memcpy(at + (len - 8), text + (len - 8), 8);
	} else {
		memcpy(at, text, 4);
		memcpy(at + (len - 4), text + (len - 4), 4);
	}
	return at + len;
}

static char *quick_quoted(char *at, const char *text, size_t len)
{
	*at++ = '"';
	at = quick_copy(at, text, len);
	*at++ = '"';
	return at;
}

/*
 * Writes the value where room for it is known to be, or returns NULL: it is of a
 * kind, or a text, for which the writer of json.h is needed.  Forty values make a
 * line, and asking for room and telling of each byte was most of what it cost.
 */
static char *quick_value(char *at, const struct fact *fact, const struct fact_value *v)
{
	size_t len;

	switch (v->type) {
	case FACT_NULL:
		return quick_put(at, "null", 4);
	case FACT_EMPTY:
		return quick_put(at, "[]", 2);
	case FACT_BOOL:
		return v->num ? quick_put(at, "true", 4) : quick_put(at, "false", 5);
	case FACT_INT:
		if (v->num < 0)
			*at++ = '-';
		return str_put_uint(at, v->num < 0 ? 0 - (uint64_t)v->num : (uint64_t)v->num);
	case FACT_ID:
		*at++ = '"';
		at = str_put_uint(at, v->id);
		*at++ = '"';
		return at;
	case FACT_TIME:
		*at++ = '"';
		at += timex_put_rfc3339(v->num, at);
		*at++ = '"';
		return at;
	case FACT_WORD:
	case FACT_TEXT:
		len = strlen(v->text);
		if (len > QUICK_ROOM - sizeof(fact->member) - 2)
			return NULL;
		if (v->type == FACT_TEXT && (len + strlen(JSON_CUT) > fact->max || json_plain_run(v->text, len) < len))
			return NULL;
		return quick_quoted(at, v->text, len);
	case FACT_TREE:
		break;
	}
	return NULL;
}

/* The place behind what is written; `at`: where that is now, NULL: where the buffer says.  NULL: no room. */
static char *quick_room(struct json *j, char *at)
{
	if (at)
		j->out->len = (size_t)(at - j->out->data);
	return strbuf_reserve(j->out, QUICK_ROOM) ? j->out->data + j->out->len : NULL;
}

static void quick_end(struct json *j, const char *at)
{
	j->out->len = (size_t)(at - j->out->data);
	j->out->data[j->out->len] = '\0';
}

/* Writes one fact; returns where the next may be written, NULL: where the buffer says. */
static char *json_fact(struct json *j, char *at, const struct fact *fact, const struct event *ev)
{
	struct fact_value v;
	char *end;

	fact->get(ev, &v);
	if (j->comma) {
		memcpy(at, fact->member, sizeof(fact->member));
		at += fact->member_len;
	} else {
		memcpy(at, fact->member + 1, sizeof(fact->member) - 1);
		at += fact->member_len - 1;
	}
	end = quick_value(at, fact, &v);
	j->comma = end;
	if (end)
		return end;
	quick_end(j, at);
	json_value(j, fact, &v, ev);
	return NULL;
}

/* One fact behind what is written; the same. */
static char *json_next(struct json *j, char *at, const struct fact *fact, const struct event *ev)
{
	if (!at || j->out->cap - (size_t)(at - j->out->data) <= QUICK_ROOM)
		at = quick_room(j, at);
	return at ? json_fact(j, at, fact, ev) : NULL;
}

/* A run of facts: as it was written before, or anew. */
static void json_run(struct json *j, const struct fact *run, size_t count, const struct event *ev)
{
	size_t begin = j->out->len, len;
	const char *kept = facts_kept_find(run->run, ev, &len);
	char *at = NULL;

	if (kept) {
		strbuf_put(j->out, kept, len);
		return;
	}
	for (size_t i = 0; i < count; i++)
		at = json_next(j, at, &run[i], ev);
	if (at)
		quick_end(j, at);
	if (!j->out->err)
		facts_kept_put(run->run, ev, j->out->data + begin, j->out->len - begin);
}

void facts_json_fields(struct json *j, const struct event *ev)
{
	size_t count, run;
	const struct fact *list = facts_list(&count);
	unsigned int in = facts_in(ev);
	char *at = NULL;

	for (size_t i = 0; i < count; i += run) {
		run = 1;
		if (!(list[i].in & in))
			continue;
		if (!list[i].run || !j->comma) {
			at = json_next(j, at, &list[i], ev);
			continue;
		}
		if (at)
			quick_end(j, at);
		at = NULL;
		while (i + run < count && list[i + run].run == list[i].run)
			run++;
		json_run(j, &list[i], run, ev);
	}
	if (at)
		quick_end(j, at);
}

void facts_json(struct strbuf *out, const struct event *ev)
{
	struct json j;

	json_init(&j, out);
	json_object(&j);
	facts_json_fields(&j, ev);
	json_object_end(&j);
}

/* Quotes what was appended since `start` when RFC 4180 wants it. */
static void csv_quote(struct strbuf *out, size_t start)
{
	struct strbuf plain = STRBUF_INIT;

	if (out->err || !strpbrk(strbuf_str(out) + start, ",\"\r\n"))
		return;
	strbuf_puts(&plain, out->data + start);
	strbuf_truncate(out, start);
	strbuf_putc(out, '"');
	for (const char *p = strbuf_str(&plain); *p; p++) {
		if (*p == '"')
			strbuf_putc(out, '"');
		strbuf_putc(out, *p);
	}
	strbuf_putc(out, '"');
	if (plain.err && !out->err)
		out->err = plain.err;
	strbuf_free(&plain);
}

static bool starts_formula(char c)
{
	return c && strchr("=+-@", c);
}

/* As str_escape(), and nothing at the start that a spreadsheet would run, nor what would read as its escape. */
static void csv_text(struct strbuf *out, const char *text)
{
	static const char *const escapes[] = { "\\x3d", "\\x2b", "\\x2d", "\\x40" };
	size_t i = 0;

	while (i < 4 && strncmp(text, escapes[i], 4))
		i++;
	if (starts_formula(*text) || i < 4)
		strbuf_printf(out, "\\x%02x", (unsigned char)*text++);
	str_escape_str(out, text);
}

void facts_csv_text(struct strbuf *out, const char *text)
{
	size_t start = out->len;

	if (text)
		csv_text(out, text);
	csv_quote(out, start);
}

static void csv_tree(struct strbuf *out, const struct fact_value *v, const struct event *ev)
{
	struct json j;

	json_init(&j, out);
	v->tree(&j, ev);
}

static void csv_value(struct strbuf *out, const struct fact_value *v, const struct event *ev)
{
	char buf[TIMEX_BUF];
	size_t start = out->len;

	switch (v->type) {
	case FACT_NULL:
		break;
	case FACT_EMPTY:
		strbuf_puts(out, "[]");
		break;
	case FACT_WORD:
		strbuf_puts(out, v->text);
		break;
	case FACT_TEXT:
		csv_text(out, v->text);
		break;
	case FACT_INT:
		strbuf_put_int(out, v->num);
		break;
	case FACT_ID:
		strbuf_put_uint(out, v->id);
		break;
	case FACT_BOOL:
		strbuf_puts(out, v->num ? "true" : "false");
		break;
	case FACT_TIME:
		strbuf_puts(out, timex_rfc3339(v->num, buf));
		break;
	case FACT_TREE:
		csv_tree(out, v, ev);
		break;
	}
	csv_quote(out, start);
}

void facts_csv_header(struct strbuf *out)
{
	size_t count;
	const struct fact *list = facts_list(&count);

	for (size_t i = 0; i < count; i++) {
		if (list[i].twin)
			continue;
		if (i)
			strbuf_putc(out, ',');
		strbuf_puts(out, list[i].name);
	}
	strbuf_putc(out, '\n');
}

/* The fact of the column of list[i] which stands in the event, or NULL. */
static const struct fact *fact_in_column(const struct fact *list, size_t count, size_t i, const struct event *ev)
{
	if (facts_apply(&list[i], ev))
		return &list[i];
	for (size_t k = i + 1; k < count; k++)
		if (list[k].twin && facts_apply(&list[k], ev) && !strcmp(list[k].name, list[i].name))
			return &list[k];
	return NULL;
}

void facts_csv(struct strbuf *out, const struct event *ev)
{
	struct fact_value v;
	size_t count;
	const struct fact *list = facts_list(&count), *fact;

	for (size_t i = 0; i < count; i++) {
		if (list[i].twin)
			continue;
		if (i)
			strbuf_putc(out, ',');
		fact = fact_in_column(list, count, i, ev);
		if (!fact)
			continue;
		fact->get(ev, &v);
		csv_value(out, &v, ev);
	}
	strbuf_putc(out, '\n');
}

void facts_json_gap(struct json *j, const struct gap *g)
{
	json_object(j);
	json_key(j, "lost");
	if (g->lost < 0)
		json_null(j);
	else
		json_int(j, g->lost);
	json_key(j, "from");
	json_time(j, g->from);
	json_key(j, "to");
	json_time(j, g->to == INT64_MAX ? 0 : g->to);
	json_key(j, "cause");
	json_str(j, event_gap_name(g->cause));
	json_object_end(j);
}
