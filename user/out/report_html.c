// SPDX-License-Identifier: GPL-2.0
/*
 * A report as one page that needs nothing but itself: the document of
 * report_json() inside, and what draws it.
 *
 * The data cannot end its element: '<', '>' and '&' are written as \uXXXX,
 * which in JSON is the same.
 */
#include "out/report.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/json.h"
#include "base/log.h"
#include "base/str.h"
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

/* ---- the file ---- */

static int write_all(int fd, const char *at, size_t len)
{
	while (len) {
		ssize_t n = write(fd, at, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n ? -errno : -EIO;
		at += n;
		len -= (size_t)n;
	}
	return 0;
}

int report_html_write(const char *path, const struct strbuf *page)
{
	struct strbuf tmp = STRBUF_INIT;
	int fd, err = 0;

	strbuf_printf(&tmp, "%s.tmp", path);
	if (strbuf_err(&tmp))
		return -ENOMEM;
	fd = open(strbuf_str(&tmp), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0644);
	if (fd < 0) {
		err = -errno;
		log_err("cannot make '%s': %s", strbuf_str(&tmp), strerror(errno));
		strbuf_free(&tmp);
		return err;
	}
	err = write_all(fd, page->data, page->len);
	if (!err && fsync(fd))
		err = -errno;
	if (close(fd) && !err)
		err = -errno;
	if (!err && rename(strbuf_str(&tmp), path))
		err = -errno;
	if (err) {
		log_err("cannot write '%s': %s", path, strerror(-err));
		unlink(strbuf_str(&tmp));
	}
	strbuf_free(&tmp);
	return err;
}
