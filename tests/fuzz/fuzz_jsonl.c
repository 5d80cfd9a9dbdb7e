// SPDX-License-Identifier: GPL-2.0
/* A recorded stream from anywhere: refused with a harmless message, or an event that can be written and read again. */
#include "fuzz/fuzz.h"

#include "out/jsonl_read.h"
#include "out/stream.h"

static char *render(const struct event *ev, enum out_format format, size_t *len)
{
	struct stream_opts opts = { .format = format, .utc = true };
	struct stream *s = NULL;
	char *text = NULL;

	opts.file = open_memstream(&text, len);
	claim(opts.file && !stream_new(&opts, &s));
	claim(!stream_event(s, ev) && !stream_finish(s));
	stream_free(s);
	fclose(opts.file);
	fuzz_claim_tame(text, *len);
	return text;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct jsonl_read *r;
	const struct event *ev = NULL;
	char *line, *exact = malloc(size ? size : 1);
	size_t len = 0;

	claim(exact && (r || !jsonl_read_new(&r)));
	memcpy(exact, data, size);
	if (jsonl_read_line(r, exact, size, &ev)) {
		const char *why = jsonl_read_error(r);

		claim(*why);
		fuzz_claim_tame(why, strlen(why));
		free(exact);
		return 0;
	}
	free(exact);
	free(render(ev, OUT_TABLE, &len));
	free(render(ev, OUT_CSV, &len));
	line = render(ev, OUT_JSONL, &len);
	if (jsonl_read_line(r, line, len, &ev)) {
		fprintf(stderr, "%s\n%.*s", jsonl_read_error(r), (int)len, line);
		claim(!"what was accepted is accepted again");
	}
	exact = render(ev, OUT_JSONL, &size);
	claim(size == len && !memcmp(exact, line, len));
	free(exact);
	free(line);
	return 0;
}
