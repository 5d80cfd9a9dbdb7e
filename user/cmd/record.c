/* SPDX-License-Identifier: GPL-2.0 */
/*
 * portlife record: the daemon around the tracer.  Finished leases, refusals and
 * gaps go into the history, open ones once a minute; counts go to the log.
 *
 * The store never makes the drain wait; what it cannot write it counts.
 */
#include <errno.h>
#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "cmd/cmd.h"
#include "cmd/record.h"
#include "kern/host.h"

#define SUMMARY_AGAIN 1000000000LL	/* after a failure */
#define GIVE_BACK_MIN 20000		/* leases */
#define GIVE_BACK_TIMES 2

static int record_stored(struct record *r, const struct event *ev)
{
	switch (ev->kind) {
	case EV_RELEASE:
		return store_lease(r->store, ev);
	case EV_OPEN:
		return store_open_lease(r->store, ev);
	case EV_FAIL:
		return store_fail(r->store, ev);
	case EV_GAP:
		return store_gap(r->store, ev->gap);
	default:
		return 0;	/* an open lease is written when it ends, or with the next look at what is open */
	}
}

/* The printed stream is a sink of its own: it may fail while recording goes on. */
static void record_printed(struct record *r, const struct event *ev)
{
	int err = ev ? stream_event(r->stream, ev) : stream_flush(r->stream);

	if (!err)
		return;
	if (err != -EPIPE) {
		log_err("output failed: %s; recording goes on", strerror(-err));
		r->stdout_failed = true;
	}
	stream_free(r->stream);
	r->stream = NULL;
}

static int record_event(void *ctx, struct event *ev)
{
	struct record *r = ctx;
	int err = record_stored(r, ev);

	meter_event(r->meter, ev, r->recorder ? tracker_live(recorder_tracker(r->recorder)) : 0);
	pressure_event(r->pressure, ev);	/* what it has no room for it counts */
	record_log_event(&r->log, &r->conf, ev);
	if (r->stream)
		record_printed(r, ev);
	return err == -ENOBUFS ? 0 : err;	/* counted by the store as lost */
}

static int record_open(void *ctx, struct event *ev)
{
	struct record *r = ctx;
	int err = store_open_lease(r->store, ev);

	return err == -ENOBUFS ? 0 : err;
}

static void record_each_open(void *arg, struct store *store)
{
	struct record *r = arg;

	if (r->recorder)
		recorder_each_open(r->recorder, record_open, r);
}

static void record_clock(void *ctx, int64_t boot_to_unix)
{
	store_clock(((struct record *)ctx)->store, boot_to_unix);
}

int record_tally(struct record *r, bool workloads, struct tally *ret)
{
	const struct tally_opts opts = {
		.own = r->ranges.own, .workloads = workloads, .range = record_ranges_get, .ctx = &r->ranges,
	};

	return tally_look(&opts, tracker_leases(recorder_tracker(r->recorder)), ret);
}

/* Nothing is lost by that: the next one has the counts of this one, too. */
static int record_no_summary(struct record *r, int64_t now, int err)
{
	if (!r->no_summary)
		log_err("a summary cannot be made: %s; recording goes on, and the next one has its counts", strerror(-err));
	r->no_summary = true;
	r->summary_at = now + SUMMARY_AGAIN;
	return EXIT_STORE;
}

/*
 * What the host held at its most, malloc(3) would keep: it is given back once far less was held all the time since the
 * last summary, and again with the next, for what had ended may be on its way to the disk until then.  That takes some
 * 20 ms for 200 000 leases.
 */
static void record_give_back(struct record *r, uint64_t peak)
{
	if (peak > r->most)
		r->most = peak;
	if (r->most >= 2 * peak + GIVE_BACK_MIN) {
		r->most = peak;
		r->give_back = GIVE_BACK_TIMES;
	}
	if (!r->give_back)
		return;
	r->give_back--;
	malloc_trim(0);
}

/* The counts since the one before: to the history, the log and the printed stream. */
static int record_summary(struct record *r, int64_t now)
{
	struct event ev = { .kind = EV_SUMMARY, .ts = clock_unix_ns() };
	uint64_t stats[PL_STATS];
	struct summary sum;
	struct tally held;
	int err = recorder_stats(r->recorder, stats);

	if (err)
		return err;
	err = record_tally(r, false, &held);
	if (err)
		return record_no_summary(r, now, err);
	r->no_summary = false;
	meter_summary(r->meter, stats, &held, now, &sum);
	ev.summary = &sum;
	recorder_sign(r->recorder, &ev);
	err = store_minute(r->store, &ev);
	record_log_event(&r->log, &r->conf, &ev);
	if (r->stream && r->conf.common.output != OUT_TABLE)
		record_printed(r, &ev);
	tally_free(&held);
	record_give_back(r, sum.peak);
	return err == -ENOBUFS ? 0 : err;
}

static void record_watchdog(struct record *r, int64_t now)
{
	if (!r->watchdog || now < r->watchdog_at)
		return;
	sd_notify(0, "WATCHDOG=1");
	r->watchdog_at = now + r->watchdog;
}

static int record_due(struct record *r)
{
	int64_t now = clock_boot_ns();
	int err = 0;

	store_tick(r->store);
	record_log_tick(&r->log, now, false);
	record_watchdog(r, now);
	if (now >= r->summary_at) {
		r->summary_at = now + r->conf.interval;
		err = record_summary(r, now);
	}
	record_metrics_tick(r, now);
	return err < 0 ? err : 0;
}

/* ---- signals ---- */

static bool same_text(const char *a, const char *b)
{
	return a && b ? !strcmp(a, b) : a == b;
}

/* What the old configuration held is freed once nothing points into it. */
static void record_reload(struct record *r)
{
	struct record_conf old;
	bool changed;

	sd_notifyf(0, "RELOADING=1\nMONOTONIC_USEC=%lld", (long long)(clock_boot_ns() / 1000));
	if (record_conf_reload(&r->conf, r->argc, r->argv, &old)) {
		log_err("the configuration stays as it was");
		record_log_reopen(&r->log, &r->conf, false);
	} else {
		changed = old.log_format != r->conf.log_format || !same_text(old.log_file, r->conf.log_file);
		record_log_reopen(&r->log, &r->conf, changed);
		if (old.text != r->text)
			record_conf_free(&old);
		r->summary_at = clock_boot_ns() + r->conf.interval;
		log_info("the configuration was read again");
	}
	sd_notify(0, "READY=1");
}

/* True when it is time to stop. */
static bool record_signalled(struct record *r)
{
	struct signalfd_siginfo si;
	bool stop = false;

	while (!stop && read(r->signals, &si, sizeof(si)) == sizeof(si)) {
		if (si.ssi_signo == SIGHUP)
			record_reload(r);
		else
			stop = true;
	}
	return stop;
}

static int record_signals(void)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGHUP);
	sigprocmask(SIG_BLOCK, &set, NULL);
	return signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
}

/* ---- running ---- */

static int record_loop(struct record *r)
{
	bool stop = false;
	int err = 0;

	while (!err && !stop) {
		int signalled = recorder_wait(r->recorder, r->signals, r->deadline);

		err = recorder_drain(r->recorder);
		if (!err)
			err = record_due(r);
		if (r->stream)
			record_printed(r, NULL);
		stop = (signalled && record_signalled(r)) || (r->deadline && clock_boot_ns() >= r->deadline);
	}
	return err;
}

static void record_ready(struct record *r)
{
	struct recorder_totals n = { 0 };
	uint64_t usec = 0;

	recorder_totals(r->recorder, &n);
	log_info("recording to %s, tier %s: %llu ports held already", r->conf.common.state_dir,
		 tier_name(source_tier(recorder_source(r->recorder))), (unsigned long long)n.live);
	sd_notifyf(0, "READY=1\nSTATUS=recording, %llu ports held", (unsigned long long)n.live);
	if (sd_watchdog_enabled(0, &usec) > 0)
		r->watchdog = (int64_t)usec * 1000 / 3;
}

static int record_stop(struct record *r)
{
	int err, open;

	sd_notify(0, "STOPPING=1");
	err = recorder_finish(r->recorder);
	if (!err && r->stream)
		record_printed(r, NULL);	/* before the counts that tell of it */
	if (!err)
		err = record_summary(r, clock_boot_ns());
	record_log_tick(&r->log, clock_boot_ns(), true);
	r->metrics.file_at = r->metrics.again_at = 0;
	record_metrics_tick(r, clock_boot_ns());
	/* So that the next session can go on with what is open now. */
	open = err < 0 ? 0 : recorder_each_open(r->recorder, record_open, r);
	return open ? open : err;
}

static int record_run(struct record *r)
{
	int err = recorder_snapshot(r->recorder);

	if (err)
		return err;
	store_merged(r->store);
	record_ranges_look(&r->ranges, r->pressure, clock_boot_ns());
	record_ready(r);
	r->summary_at = clock_boot_ns() + r->conf.interval;
	if (r->conf.duration)
		r->deadline = clock_boot_ns() + r->conf.duration;
	err = record_loop(r);
	return err ? err : record_stop(r);
}

/* ---- starting ---- */

static int record_open_store(struct record *r)
{
	char host[65] = "", boot_id[CLOCK_BOOT_ID_LEN];
	struct store_opts opts = {
		.dir = r->conf.common.state_dir, .host = host, .boot_id = boot_id, .version = PORTLIFE_VERSION,
		.retain_bytes = r->conf.retain_size, .retain_age = r->conf.retain_age, .each_open = record_each_open,
		.each_open_arg = r, .begin_later = true,
	};

	gethostname(host, sizeof(host) - 1);
	clock_boot_id(boot_id);
	return store_open_writer(&opts, &r->store);
}

/* All that writes or talks to others; it needs no privilege, and its threads get none. */
static int record_open_sinks(void *arg)
{
	struct record *r = arg;
	int err = record_log_open(&r->log, &r->conf);

	if (!err)
		err = record_metrics_open(&r->metrics, &r->conf);
	if (err)
		return err == -EINVAL ? EXIT_USAGE : EXIT_STORE;
	return record_open_store(r) ? EXIT_STORE : 0;
}

static int record_begin_store(void *arg)
{
	struct record *r = arg;

	return store_begin(r->store);
}

static int record_attach(struct record *r, const struct privilege_user *user)
{
	int err = recorder_open(&r->conf.source, record_event, r, &r->recorder);

	if (err)
		return cmd_open_exit(err);
	recorder_on_clock(r->recorder, record_clock, r);
	if (privilege_drop(user))
		return EXIT_PRIVILEGE;
	return privilege_run(user, record_begin_store, r) ? EXIT_STORE : 0;
}

static int record_start_as(struct record *r, struct privilege_user *user)
{
	int err;

	if (privilege_user_dir(user, r->conf.common.state_dir))
		return EXIT_STORE;
	err = meter_new(clock_boot_ns(), &r->meter);
	if (!err)
		err = pressure_new(&(struct pressure_limits){ 0 }, &r->pressure);
	if (!err)
		err = privilege_run(user, record_open_sinks, r);
	if (err)
		return err < 0 ? EXIT_STORE : err;
	return record_attach(r, user);
}

/* One that is refused leaves no state directory behind that was not there. */
static int record_start(struct record *r)
{
	struct privilege_user user;
	int err = privilege_user_find(r->conf.user, &user);

	if (err)
		return err == -EPERM ? EXIT_PRIVILEGE : EXIT_USAGE;
	err = record_start_as(r, &user);
	if (err) {
		store_close(r->store);
		r->store = NULL;
		privilege_user_dir_leave(&user, r->conf.common.state_dir);
	}
	return err;
}

static int record_print_open(struct record *r)
{
	struct stream_opts so = {
		.file = stdout, .live = true, .format = r->conf.common.output, .header = r->conf.common.header, .utc = r->conf.common.utc,
		.color = opt_use_color(&r->conf.common, stdout), .width = opt_width(stdout),
	};

	return r->conf.print ? stream_new(&so, &r->stream) : 0;
}

/* 0, or what keeps the history from being whole. */
static int record_close(struct record *r)
{
	int err = store_close(r->store);

	record_metrics_close(&r->metrics, &r->conf);
	recorder_close(r->recorder);
	stream_free(r->stream);
	meter_free(r->meter);
	pressure_free(r->pressure);
	record_ranges_free(&r->ranges);
	record_netns_free(&r->netns);
	record_log_close(&r->log);
	if (r->conf.text != r->text)
		free(r->text);
	record_conf_free(&r->conf);
	if (r->signals >= 0)
		close(r->signals);
	return err;
}

int cmd_record(int argc, char **argv)
{
	struct record r = { .argc = argc, .argv = argv, .ranges = { .own = host_netns() } };
	int err = record_conf_read(argc, argv, &r.conf);

	if (err)
		return cmd_opt_exit(err);
	r.text = r.conf.text;
	r.signals = record_signals();
	err = record_print_open(&r);
	if (!err)
		err = record_start(&r);
	if (!err) {
		err = record_run(&r);
		if (!err && r.stream)
			err = stream_finish(r.stream);
		cmd_tally(r.recorder);
		err = cmd_recorder_exit(r.recorder, err);
	}
	err = !err && r.stdout_failed ? EXIT_STORE : cmd_exit(err);
	return record_close(&r) && !err ? EXIT_STORE : err;
}
