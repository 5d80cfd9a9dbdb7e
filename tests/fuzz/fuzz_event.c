// SPDX-License-Identifier: GPL-2.0
/*
 * Records as the kernel sends them, of any bytes: decoded, filtered, written in every form, and the JSON line read back to
 * the same bytes.  The names of the process and its places are the rest of the input.
 */
#include "fuzz/fuzz.h"

#include "model/event.h"
#include "model/filter.h"
#include "out/jsonl_read.h"
#include "out/stream.h"

static char *render(const struct event *ev, enum out_format format, size_t *len)
{
	struct stream_opts opts = { .format = format, .header = true, .utc = true };
	struct stream *s = NULL;
	char *text = NULL;

	opts.file = open_memstream(&text, len);
	claim(opts.file && !stream_new(&opts, &s));
	claim(!stream_event(s, ev) && !stream_finish(s));
	stream_free(s);
	fclose(opts.file);
	return text;
}

static void read_back(const char *line, size_t len)
{
	const struct event *ev = NULL;
	struct jsonl_read *r = NULL;
	size_t again_len = 0;
	char *again;

	claim(!jsonl_read_new(&r));
	if (jsonl_read_line(r, line, len, &ev)) {
		fprintf(stderr, "%s\n%.*s", jsonl_read_error(r), (int)len, line);
		claim(!"a line of ours is read back");
	}
	again = render(ev, OUT_JSONL, &again_len);
	if (again_len != len || memcmp(again, line, len)) {
		fprintf(stderr, "%.*s%.*s", (int)len, line, (int)again_len, again);
		claim(!"a line is written again as it was");
	}
	free(again);
	jsonl_read_free(r);
}

/* What the recorder never passes on: it comes from the kernel's enums and clocks. */
static void restrain(struct pl_rec *rec)
{
	rec->hdr.size = sizeof(*rec);
	rec->lease.comm[PL_COMM_LEN - 1] = '\0';
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct filter filter = { .proto = 6, .comm = "c*", .cgroup = "/a*/[b-" };
	const enum out_format formats[] = { OUT_TABLE, OUT_CSV, OUT_JSON };
	struct pl_rec rec = { .hdr.kind = 0 };
	char *name, *line;
	struct event ev;
	size_t len = 0;

	memcpy(&rec, data, size < sizeof(rec) ? size : sizeof(rec));
	restrain(&rec);
	if (event_decode(&rec, 1700000000000000000LL, &ev))
		return 0;
	name = fuzz_text(data + (size < sizeof(rec) ? size : sizeof(rec)), size < sizeof(rec) ? 0 : size - sizeof(rec));
	ev.exe = ev.where.cgroup = ev.where.unit = ev.cmdline = name;
	ev.host = "web-1";
	ev.boot_id = "aaaaaaaa-0000-4000-8000-000000000001";
	ev.seq = 1;
	filter_match(&filter, &ev);
	for (unsigned int i = 0; i < sizeof(formats) / sizeof(*formats); i++) {
		line = render(&ev, formats[i], &len);
		fuzz_claim_tame(line, len);
		free(line);
	}
	line = render(&ev, OUT_JSONL, &len);
	fuzz_claim_tame(line, len);
	claim(len <= 4097);
	read_back(line, len);
	free(line);
	free(name);
	return 0;
}
