/* SPDX-License-Identifier: GPL-2.0 */
/*
 * portlife trace: the live stream of events, or a recorded one (--replay).
 *
 * Options, wiring and the exit code; what an event is and how it looks is told
 * elsewhere.  The tally is the last line on stderr.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <portlife/config.h>
#include "base/clock.h"
#include "base/log.h"
#include "base/opt.h"
#include "cmd/cmd.h"
#include "kern/mounts.h"
#include "kern/recorder.h"
#include "model/filter.h"
#include "out/jsonl_read.h"
#include "out/stream.h"

struct trace {
	struct common_opts common;
	struct filter filter;
	struct source_opts source;
	enum tier tier;
	bool scope_all;
	bool leases;
	bool snapshot;
	int64_t duration;
	uint64_t ring_size, table_size;
	const char *replay;
	struct stream *stream;
	int output_err;		/* what the stream said to an event */
	int64_t deadline;	/* boot clock, 0: none */
	int stop_fd;
};

static int trace_event(void *ctx, struct event *ev)
{
	struct trace *t = ctx;

	t->output_err = filter_match(&t->filter, ev) ? stream_event(t->stream, ev) : 0;
	return t->output_err;
}

static int trace_loop(struct trace *t, struct recorder *r)
{
	int err = 0;

	while (!err) {
		int stop = recorder_wait(r, t->stop_fd, t->deadline);

		err = recorder_drain(r);
		if (!err)
			err = stream_flush(t->stream);
		if (stop || (t->deadline && clock_boot_ns() >= t->deadline))
			break;
	}
	return err;
}

/* From here on nothing that happens is missed, and all that was held is told. */
static int trace_ready(struct trace *t, struct recorder *r)
{
	struct recorder_totals n;
	int err = recorder_totals(r, &n);

	if (!err)
		err = stream_flush(t->stream);
	if (!err)
		log_info("recording, tier %s: %llu ports held already", tier_name(source_tier(recorder_source(r))),
			 (unsigned long long)n.live);
	return err;
}

static int trace_live(struct trace *t)
{
	struct recorder *r = NULL;
	int err = recorder_open(&t->source, trace_event, t, &r);

	if (err)
		return t->output_err ? t->output_err : cmd_open_exit(err);
	if (t->duration)
		t->deadline = clock_boot_ns() + t->duration;
	if (t->snapshot)
		err = recorder_snapshot(r);
	if (!err)
		err = trace_ready(t, r);
	if (!err)
		err = trace_loop(t, r);
	if (!err)
		err = recorder_finish(r);
	if (!err)
		err = stream_finish(t->stream);
	cmd_tally(r);
	err = cmd_recorder_exit(r, err);
	recorder_close(r);
	return err;
}

static int trace_replay(struct trace *t)
{
	FILE *f = !strcmp(t->replay, "-") ? stdin : fopen(t->replay, "re");
	struct jsonl_read *reader = NULL;
	const struct event *ev;
	unsigned long line_no = 0;
	char *line = NULL;
	size_t cap = 0;
	ssize_t len;
	int err;

	if (!f) {
		log_err("cannot open '%s': %s", t->replay, strerror(errno));
		return EXIT_STORE;
	}
	err = jsonl_read_new(&reader);
	while (!err && (len = getline(&line, &cap, f)) >= 0) {
		line_no++;
		err = jsonl_read_line(reader, line, len, &ev);
		if (err == -EINVAL) {
			log_err("'%s' line %lu: %s", t->replay, line_no, jsonl_read_error(reader));
			err = EXIT_STORE;
		} else if (!err && filter_match(&t->filter, ev)) {
			err = stream_event(t->stream, ev);
		}
	}
	if (!err && !feof(f)) {
		log_err("cannot read '%s': %s", t->replay, strerror(errno));
		err = EXIT_STORE;
	}
	if (err >= 0) {	/* what was read is shown, whatever came after */
		int flushed = stream_finish(t->stream);

		err = flushed ? flushed : err;
	}
	free(line);
	jsonl_read_free(reader);
	if (f != stdin)
		fclose(f);
	return err;
}

/* It may come later; but who mistyped it should not wait for it. */
static void trace_check_cgroup(const char *name)
{
	if (!strpbrk(name, "*?[") && mounts_lack_cgroup(name))
		log_warn("there is no cgroup '%s' now: until there is, nothing is told", name);
}

int cmd_trace(int argc, char **argv)
{
	struct trace t = { .common = COMMON_OPTS_INIT, .snapshot = true, .ring_size = PL_RING_DEFAULT, .stop_fd = -1 };
	struct filter *f = &t.filter;
	int proto = 0, scope = false, err;
	uint32_t table = 0;
	const struct opt opts[] = {
		OPT_PORTS("port", &f->ports, "only these local ports, as 60303, 60000-60999 or a list"),
		OPT_FLAG("ephemeral", &f->ephemeral, "only ports that the kernel chose"),
		OPT_U32("pid", "PID", &f->pid, 1, UINT32_MAX, "only this process"),
		OPT_STR("comm", "NAME", &f->comm, "only processes of this name, or pattern with * ? ["),
		OPT_WORD("proto", &proto, cmd_words_proto, "only this protocol [any]"),
		OPT_CALL("netns", "NETNS", cmd_parse_netns, &f->netns, "only this network namespace: inode number, name or path"),
		OPT_STR("cgroup", "PATH", &f->cgroup, "only this cgroup and those below it"),
		OPT_FLAG("fails", &f->fails, "only attempts that got no port"),
		OPT_FLAG("leases", &t.leases, "one line for each finished lease"),
		OPT_SPAN_SOME("duration", &t.duration, "stop by itself after this span"),
		OPT_FLAG("snapshot", &t.snapshot, "first list what is held already [on]"),
		OPT_UNSET("no-snapshot", &t.snapshot, "do not list what is held already"),
		OPT_WORD("tier", &t.tier, cmd_words_tier, "hooks to use [auto]"),
		OPT_WORD("scope", &scope, cmd_words_scope, "all: also accepted connections outside the ephemeral range [default]"),
		OPT_SIZE("ring-size", &t.ring_size, "size of the ring buffer [8M]"),
		OPT_U32("table-size", "LEASES", &table, 16, 1u << 26, "most leases held at once [262144]"),
		OPT_STR("replay", "FILE", &t.replay, "show a recorded stream of JSON lines instead, - for stdin"),
		OPT_COMMON(&t.common),
		OPT_END
	};
	const struct opt_cmd cmd = {
		.name = "trace", .about = "live stream of port allocations and releases", .opts = opts,
		.more = "Events: alloc, owner, timewait, release, fail, open (held before the start), gap.\n",
	};
	struct stream_opts so = { .file = stdout };

	err = opt_parse(&cmd, &argc, argv);
	if (err)
		return cmd_opt_exit(err);
	f->proto = proto;
	if (cmd_check_ring(t.ring_size))
		return EXIT_USAGE;
	if (f->cgroup)
		f->cgroup = mounts_cgroup_name(f->cgroup);
	if (f->cgroup && !t.replay)
		trace_check_cgroup(f->cgroup);
	t.source = (struct source_opts){ .tier = t.tier, .scope_all = scope, .ring_size = t.ring_size, .table_size = table };
	so.format = t.common.output;
	so.header = t.common.header;
	so.utc = t.common.utc;
	so.color = opt_use_color(&t.common, stdout);
	so.width = opt_width(stdout);
	so.leases = t.leases;
	so.live = !t.replay;
	err = stream_new(&so, &t.stream);
	if (!err) {
		t.stop_fd = t.replay ? -1 : cmd_signals();
		err = t.replay ? trace_replay(&t) : trace_live(&t);
	}
	stream_free(t.stream);
	if (t.stop_fd >= 0)
		close(t.stop_fd);
	return cmd_exit(err);
}
