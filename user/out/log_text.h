/* SPDX-License-Identifier: GPL-2.0 */
/*
 * One message as a line or as fields.  Pure; internal to out/: use log_sink.h.
 *
 * `json` is the event behind the message as facts_json() wrote it, "" for none.
 */
#ifndef PORTLIFE_OUT_LOG_TEXT_H
#define PORTLIFE_OUT_LOG_TEXT_H

#include <stddef.h>
#include <stdint.h>
#include "base/log.h"
#include "model/event.h"

struct strbuf;

/* What a person reads of an event: one line, not escaped yet, no newline. */
void log_text_event(struct strbuf *out, const struct event *ev);

/* A whole line of that form, newline included. */
void log_text_line(struct strbuf *out, enum log_form form, enum log_level level, int64_t at, const char *text,
		   const char *json);

/*
 * Each field of the event that is known, trees and lists flattened with '_'
 * between the names ("allocs_connect", "top_held_0_pid"); values are escaped text.
 */
typedef void (*log_field_fn)(void *ctx, const char *name, const char *value);
void log_text_fields(const char *json, log_field_fn fn, void *ctx);

/* Of sd-daemon(3) and syslog(3). */
int log_text_priority(enum log_level level);

#endif
