// SPDX-License-Identifier: GPL-2.0
/*
 * Messages on stderr; see log.h.
 *
 * A line leaves in one write(2), so that lines of several writers to one
 * journal do not mix, and so that no stdio state is shared with stdout.
 */
#include "base/log.h"

#include <errno.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/json.h"
#include "base/str.h"
#include "base/timex.h"

#define LOG_NO_MEMORY "no memory to say what is wrong"

static struct {
	enum log_level level;
	enum log_form form;
	log_sink_fn sink;
	void *sink_ctx;
} log_state = { .level = LOG_LEVEL_INFO, .form = LOG_FORM_HUMAN };

void log_set_level(enum log_level level)
{
	log_state.level = level;
}

void log_set_form(enum log_form form)
{
	log_state.form = form;
}

void log_set_sink(log_sink_fn fn, void *ctx)
{
	log_state.sink = fn;
	log_state.sink_ctx = ctx;
}

const char *log_level_name(enum log_level level)
{
	static const char *const names[] = { "error", "warning", "info" };

	return names[level];
}

static void format_logfmt(struct strbuf *out, enum log_level level, int64_t at, const char *text)
{
	struct strbuf safe = STRBUF_INIT;
	char time[TIMEX_BUF];

	strbuf_printf(out, "time=%s level=%s msg=\"", timex_rfc3339(at, time), log_level_name(level));
	str_escape_str(&safe, text);
	for (const char *p = strbuf_str(&safe); *p; p++) {
		if (*p == '"' || *p == '\\')
			strbuf_putc(out, '\\');
		strbuf_putc(out, *p);
	}
	strbuf_putc(out, '"');
	strbuf_free(&safe);
}

static void format_json(struct strbuf *out, enum log_level level, int64_t at, const char *text)
{
	struct json j;

	json_init(&j, out);
	json_object(&j);
	json_key(&j, "time");
	json_time(&j, at);
	json_key(&j, "level");
	json_str(&j, log_level_name(level));
	json_key(&j, "msg");
	json_str(&j, text);
	json_object_end(&j);
}

void log_format_line(struct strbuf *out, enum log_form form, enum log_level level, int64_t at, const char *text)
{
	switch (form) {
	case LOG_FORM_LOGFMT:
		format_logfmt(out, level, at, text);
		break;
	case LOG_FORM_JSON:
		format_json(out, level, at, text);
		break;
	default:
		strbuf_puts(out, "portlife: ");
		str_escape_str(out, text);
	}
	strbuf_putc(out, '\n');
}

static void log_put_line(const char *line, size_t len)
{
	ssize_t n;

	while (len) {
		n = write(STDERR_FILENO, line, len);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return;	/* there is nowhere left to say so */
		line += n;
		len -= (size_t)n;
	}
}

void log_vwrite(enum log_level level, const char *fmt, va_list ap)
{
	struct strbuf text = STRBUF_INIT, line = STRBUF_INIT;
	const char *what;
	int saved = errno;

	if (level > log_state.level)
		return;
	strbuf_vprintf(&text, fmt, ap);
	what = strbuf_err(&text) ? LOG_NO_MEMORY : strbuf_str(&text);
	if (log_state.sink)
		log_state.sink(log_state.sink_ctx, level, what);
	else
		log_format_line(&line, log_state.form, level, clock_unix_ns(), what);
	if (strbuf_err(&line))
		log_put_line("portlife: " LOG_NO_MEMORY "\n", sizeof("portlife: " LOG_NO_MEMORY "\n") - 1);
	else
		log_put_line(strbuf_str(&line), line.len);
	strbuf_free(&line);
	strbuf_free(&text);
	errno = saved;
}

#define LOG_FUNCTION(name, level)			\
	void name(const char *fmt, ...)			\
	{						\
		va_list ap;				\
							\
		va_start(ap, fmt);			\
		log_vwrite(level, fmt, ap);		\
		va_end(ap);				\
	}

LOG_FUNCTION(log_err, LOG_LEVEL_ERR)
LOG_FUNCTION(log_warn, LOG_LEVEL_WARN)
LOG_FUNCTION(log_info, LOG_LEVEL_INFO)
