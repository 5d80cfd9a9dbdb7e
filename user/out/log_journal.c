// SPDX-License-Identifier: GPL-2.0
/* See log_journal.h. */
#include "out/log_journal.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <systemd/sd-journal.h>
#include <unistd.h>

#include "base/str.h"
#include "out/log_text.h"

#define FIELDS_MAX 512

bool log_journal_works(void)
{
	return !access("/run/systemd/journal/socket", W_OK);
}

/* All fields in one buffer; where each ends. */
struct fields {
	struct strbuf text;
	size_t ends[FIELDS_MAX];
	int n;
};

static void field_end(struct fields *f)
{
	f->ends[f->n++] = f->text.len;
}

static void field_add(void *ctx, const char *name, const char *value)
{
	struct fields *f = ctx;

	if (f->n == FIELDS_MAX)
		return;
	strbuf_puts(&f->text, "PORTLIFE_");
	for (; *name; name++)
		strbuf_putc(&f->text, isalnum((unsigned char)*name) ? (char)toupper((unsigned char)*name) : '_');
	strbuf_putc(&f->text, '=');
	strbuf_puts(&f->text, value);
	field_end(f);
}

static int fields_send(const struct fields *f)
{
	struct iovec iov[FIELDS_MAX];
	size_t from = 0;

	for (int i = 0; i < f->n; i++) {
		iov[i] = (struct iovec){ .iov_base = f->text.data + from, .iov_len = f->ends[i] - from };
		from = f->ends[i];
	}
	return sd_journal_sendv(iov, f->n);
}

int log_journal_send(enum log_level level, const char *text, const char *json)
{
	struct fields *f = calloc(1, sizeof(*f));
	int err;

	if (!f)
		return -ENOMEM;
	strbuf_puts(&f->text, "MESSAGE=");
	str_escape_str(&f->text, text);
	field_end(f);
	strbuf_printf(&f->text, "PRIORITY=%d", log_text_priority(level));
	field_end(f);
	strbuf_puts(&f->text, "SYSLOG_IDENTIFIER=portlife");
	field_end(f);
	log_text_fields(json, field_add, f);
	err = strbuf_err(&f->text);
	if (!err)
		err = fields_send(f);
	strbuf_free(&f->text);
	free(f);
	return err;
}
