/* SPDX-License-Identifier: GPL-2.0 */
/*
 * portlife why: why somebody could not have a port.  About one port now
 * (why_now.c), about the refusals in the history (why_past.c), or about those
 * that happen while it runs (why_live.c).
 */
#include <errno.h>

#include "base/clock.h"
#include "base/log.h"
#include "cmd/cmd.h"
#include "cmd/why.h"

/* Options that do not go together; -EINVAL, said. */
static int why_check(const struct why_opts *o, bool port)
{
	bool span = o->at || o->since || o->until;

	if (port && (o->live || span))
		log_err("why PORT asks about now: it goes with no time and no --live");
	else if (!port && (o->addr || o->reuseaddr || o->reuseport || o->v6only))
		log_err("--addr, --reuseaddr, --reuseport and --v6only go with a PORT");
	else if (o->live && span)
		log_err("--live sees what happens from now on; --duration ends it");
	else if (o->duration && !o->live)
		log_err("--duration goes with --live");
	else if (o->at && (o->since || o->until))
		log_err("--at is one moment; give it, or --since and --until");
	else if (o->until && o->since > o->until)
		log_err("--since lies after --until");
	else
		return 0;
	return -EINVAL;
}

int cmd_why(int argc, char **argv)
{
	struct why_opts o = { .common = COMMON_OPTS_INIT, .trial = true, .limit = 1000, .scope_all = true };
	const struct opt opts[] = {
		OPT_STR("addr", "ADDRESS", &o.addr, "to bind there, with PORT [0.0.0.0]"),
		OPT_WORD("proto", &o.proto, cmd_words_proto, "only this protocol [with PORT tcp, else any]"),
		OPT_CALL("netns", "NETNS", cmd_parse_netns, &o.netns, "this network namespace: inode number, name or path [with PORT ours, else any]"),
		OPT_FLAG("reuseaddr", &o.reuseaddr, "as a socket with SO_REUSEADDR, with PORT"),
		OPT_FLAG("reuseport", &o.reuseport, "as a socket with SO_REUSEPORT, with PORT"),
		OPT_FLAG("v6only", &o.v6only, "as a socket with IPV6_V6ONLY, with PORT"),
		OPT_UNSET("no-trial", &o.trial, "do not try the bind, only reason about it"),
		OPT_TIME("at", &o.at, "refusals within a second of this time"),
		OPT_TIME("since", &o.since, "refusals from this time on [all that is recorded]"),
		OPT_TIME("until", &o.until, "refusals up to this time [now]"),
		OPT_U32("limit", "N", &o.limit, 0, 1000000, "explain only the last N, 0: all [1000]"),
		OPT_FLAG("live", &o.live, "trace now, and explain refusals as they happen"),
		OPT_SPAN_SOME("duration", &o.duration, "stop --live by itself after this time"),
		OPT_WORD("tier", &o.tier, cmd_words_tier, "hooks to use with --live [auto]"),
		OPT_WORD("scope", &o.scope_all, cmd_words_scope, "of --live: all: also accepted connections outside the ephemeral range [all]"),
		OPT_SIZE("ring-size", &o.ring_size, "ring buffer of --live [8M]"),
		OPT_COMMON(&o.common),
		OPT_END
	};
	const struct opt_cmd cmd = {
		.name = "why", .args = "[PORT]", .about = "why somebody could not have a port", .opts = opts, .max_args = 1,
		.more = "PORT: 8080, 10.0.0.5:8080 or [::1]:8080; could I bind it now?  Exit 0: somebody is in the way, 1: nobody.\n"
			"Without PORT: every recorded refusal, and who held the port.\n",
	};
	int err = opt_parse(&cmd, &argc, argv);

	if (err)
		return cmd_opt_exit(err);
	o.now = clock_unix_ns();	/* after the options: "now" is not the future */
	if (why_check(&o, argc > 1) || (o.ring_size && cmd_check_ring(o.ring_size)))
		return EXIT_USAGE;
	return cmd_exit(argc > 1 ? why_now(&o, argv[1]) : o.live ? why_live(&o) : why_past(&o));
}
