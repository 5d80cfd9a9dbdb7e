// SPDX-License-Identifier: GPL-2.0
/*
 * A report as one page that needs nothing but itself: the document of
 * report_json() inside, and what draws it.
 *
 * The data cannot end its element: '<', '>' and '&' are written as \uXXXX,
 * which in JSON is the same.
 */
#include "out/report.h"

#include "base/json.h"
#include "base/log.h"
#include "base/str.h"
#include "out/beside.h"
#include "out/report_page.h"

static void put_island(struct strbuf *out, const char *json, size_t len)
{
	while (len) {
		size_t n = 0;

		while (n < len && json[n] != '<' && json[n] != '>' && json[n] != '&')
			n++;
		strbuf_put(out, json, n);
		if (n < len)
			strbuf_printf(out, "\\u%04x", (unsigned char)json[n++]);
		json += n;
		len -= n;
	}
}

void report_html(struct strbuf *out, const struct report_view *v)
{
	struct strbuf data = STRBUF_INIT;
	struct json j;

	json_init(&j, &data);
	json_object(&j);
	report_json_fields(&j, v, REPORT_HTML_ROWS);
	json_object_end(&j);
	strbuf_puts(out, report_page_head);
	put_island(out, strbuf_str(&data), data.len);
	strbuf_puts(out, report_page_tail);
	if (data.err && !out->err)
		out->err = data.err;
	strbuf_free(&data);
}

int report_html_write(const char *path, const struct strbuf *page)
{
	int err = beside_write(path, page);

	if (err)
		log_err("cannot write '%s': %s", path, beside_why(err));
	return err;
}
