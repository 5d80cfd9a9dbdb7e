/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Messages for people, on stderr, one line each: "portlife: lower case text".
 *
 * Names and paths reach messages through "%s", so the whole text is escaped as
 * a unit before it is written: no message can move a cursor or forge a line.
 * Refuses to write data: that goes to stdout, through out/.
 *
 * The level, the form and the sink are the only state, set from one thread.
 */
#ifndef PORTLIFE_BASE_LOG_H
#define PORTLIFE_BASE_LOG_H

#include <stdarg.h>
#include <stdint.h>

struct strbuf;

enum log_level { LOG_LEVEL_ERR, LOG_LEVEL_WARN, LOG_LEVEL_INFO };

/* Human: "portlife: text".  The other two carry time, level and text. */
enum log_form { LOG_FORM_HUMAN, LOG_FORM_LOGFMT, LOG_FORM_JSON };

/* Messages above `level` are dropped; LOG_LEVEL_INFO at the start. */
void log_set_level(enum log_level level);
void log_set_form(enum log_form form);

/* errno is kept.  The text needs no newline at its end and no prefix. */
void log_err(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void log_warn(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void log_info(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void log_vwrite(enum log_level level, const char *fmt, va_list ap) __attribute__((format(printf, 2, 0)));

/*
 * From now on messages go to `fn` and not to stderr; it may be called from any
 * thread and gets the text not yet escaped.  NULL: stderr again.
 */
typedef void (*log_sink_fn)(void *ctx, enum log_level level, const char *text);
void log_set_sink(log_sink_fn fn, void *ctx);

const char *log_level_name(enum log_level level);
/* The line that `text` of the time `at` (unix ns) becomes, newline included, appended to `out`. */
void log_format_line(struct strbuf *out, enum log_form form, enum log_level level, int64_t at, const char *text);

#endif
