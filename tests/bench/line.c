// SPDX-License-Identifier: GPL-2.0
/*
 * What one event costs behind the drain: decode, pair and count, then a line.
 *
 *   line [EVENTS [NAME]]
 *
 * Feeds made-up leases through the tracker into each renderer and prints
 * "name value unit", nanoseconds an event.  It asserts nothing.
 */
#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "model/tracker.h"
#include "out/stream.h"

#define BATCH 1024	/* records made at once: making them is not what is measured */

static uint64_t cpu_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &ts);
	return (uint64_t)ts.tv_sec * 1000000000 + (uint64_t)ts.tv_nsec;
}

struct sink {
	struct stream *stream;	/* NULL: nothing is written */
	uint64_t seq;
};

static int tell(void *ctx, struct event *ev)
{
	struct sink *s = ctx;

	ev->seq = ++s->seq;
	ev->host = "web-1.example.net";
	ev->boot_id = "0f6a3c1e-5d2b-4a61-9a51-3f0c6b7d8e90";
	ev->exe = "/usr/sbin/nginx";
	ev->where.cgroup = "/system.slice/nginx.service";
	ev->where.unit = "nginx.service";
	return s->stream ? stream_event(s->stream, ev) : 0;
}

static struct pl_rec record(uint64_t i)
{
	struct pl_rec r = { .hdr = { .size = sizeof(r), .ts = 1000000000000ULL + i * 1000 } };
	struct pl_lease *l = &r.lease;

	*l = (struct pl_lease){
		.id = (i / 2 + 1) * 4096 + 1, .start = r.hdr.ts - 500 * (i & 1), .exe = 1234567, .cgroup = 4242, .cookie = i + 1,
		.proc_start = 999000000000ULL, .netns = 4026531840u, .tgid = 4711, .tid = 4712, .ppid = 1, .uid = 33,
		.lport = (__u16)(32768 + i / 2 % 28000), .rport = 443, .proto = IPPROTO_TCP, .family = AF_INET,
		.kind = PL_KIND_CONNECT, .flags = PL_F_CHOSEN | PL_F_IN_RANGE, .owner_src = PL_OWNER_PROCESS, .comm = "nginx",
	};
	l->laddr[0] = htonl(0x0a000005);
	l->raddr[0] = htonl(0x0a000109);
	r.hdr.kind = i & 1 ? PL_REC_RELEASE : PL_REC_ALLOC;
	r.hdr.reason = i & 1 ? PL_REASON_CLOSE : PL_REASON_NONE;
	return r;
}

static void measure(const char *name, int format, uint64_t count)
{
	FILE *null = fopen("/dev/null", "w");
	struct stream_opts so = { .file = null, .format = format, .utc = true };
	struct tracker *t = NULL;
	static struct pl_rec batch[BATCH];
	uint64_t begin, spent = 0;
	struct sink s = { 0 };

	if (!null || tracker_new(tell, &s, &t) || (format >= 0 && stream_new(&so, &s.stream))) {
		fprintf(stderr, "line: out of memory\n");
		exit(1);
	}
	tracker_set_offset(t, 1763000000000000000LL);
	for (uint64_t i = 0; i < count; i += BATCH) {
		for (uint64_t k = 0; k < BATCH; k++)
			batch[k] = record(i + k);
		begin = cpu_ns();
		for (uint64_t k = 0; k < BATCH; k++)
			if (tracker_record(t, &batch[k]))
				exit(1);
		spent += cpu_ns() - begin;
	}
	begin = cpu_ns();
	if (s.stream)
		stream_finish(s.stream);
	printf("%s %.0f ns\n", name, (double)(spent + cpu_ns() - begin) / (double)((count + BATCH - 1) / BATCH * BATCH));
	stream_free(s.stream);
	tracker_free(t);
	fclose(null);
}

int main(int argc, char **argv)
{
	static const struct { const char *name; int format; } kinds[] = {
		{ "decoded_and_paired", -1 }, { "table", OUT_TABLE }, { "jsonl", OUT_JSONL }, { "csv", OUT_CSV },
	};
	uint64_t count = argc > 1 ? strtoull(argv[1], NULL, 10) : 400000;

	if (!count) {
		fprintf(stderr, "usage: line [EVENTS [NAME]]\n");
		return 2;
	}
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
		if (argc < 3 || !strcmp(argv[2], kinds[i].name))
			measure(kinds[i].name, kinds[i].format, count);
	return 0;
}
