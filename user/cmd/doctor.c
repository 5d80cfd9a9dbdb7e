/* SPDX-License-Identifier: GPL-2.0 */
/*
 * portlife doctor: what this kernel allows, hook by hook, and with --verify
 * whether the counts agree with the kernel's own sockets.
 *
 * Gathers everything first, then shows it: one set of facts, two faces.
 */
#include <errno.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/json.h"
#include "base/log.h"
#include "base/opt.h"
#include "base/str.h"
#include "base/tab.h"
#include "cmd/cmd.h"
#include "kern/host.h"
#include "kern/recorder.h"
#include "out/facts.h"

#define TIERS 3

struct tier_report {
	struct hook_status *hooks;
	char why[256];
	int err;
};

struct verify {
	struct recorder_totals totals;
	uint64_t table, told;		/* leases in the kernel's table, and in the reader's */
	uint64_t missed;		/* found by a second look, seen by no hook */
	uint64_t stale;			/* on record, but held no more */
	int64_t span;			/* 0: it did not come to that */
	bool agrees;
};

struct doctor {
	struct common_opts common;
	struct host host;
	struct host_cap *caps;
	struct tier_report tiers[TIERS];
	enum tier used, asked;
	bool want_verify;
	struct verify verify;
	int64_t duration;
	char state[128];		/* the state directory, in words */
};

static void doctor_state_dir(struct doctor *d)
{
	const char *dir = d->common.state_dir;
	struct stat st;

	if (lstat(dir, &st))
		snprintf(d->state, sizeof(d->state), "%s", errno == ENOENT ? "does not exist yet" : strerror(errno));
	else if (!S_ISDIR(st.st_mode))
		snprintf(d->state, sizeof(d->state), "is not a directory");
	else
		snprintf(d->state, sizeof(d->state), "mode %04o, uid %u, %s", st.st_mode & 07777, st.st_uid,
			 access(dir, W_OK) ? "not writable" : "writable");
}

static int doctor_tiers(struct doctor *d)
{
	for (int i = 0; i < TIERS; i++) {
		struct tier_report *t = &d->tiers[i];

		t->hooks = calloc(hooks_count, sizeof(*t->hooks));
		if (!t->hooks)
			return -ENOMEM;
		t->err = source_probe(TIER_A + i, t->hooks, t->why, sizeof(t->why));
		if (!t->err && d->used == TIER_NONE && (d->asked == TIER_NONE || (int)d->asked == TIER_A + i))
			d->used = TIER_A + i;
	}
	return 0;
}

static int verify_event(void *ctx, struct event *ev)
{
	return 0;
}

static int verify_held(void *ctx, const struct pl_lease *l)
{
	++*(uint64_t *)ctx;
	return 0;
}

/* Reads all counts; other programs go on meanwhile, so they may differ by what happened in between. */
static int verify_read(struct recorder *r, struct verify *v)
{
	uint64_t table = 0;
	int err = recorder_finish(r);

	if (!err)
		err = source_holders(recorder_source(r), verify_held, &table);
	v->table = table;
	if (!err)
		err = recorder_totals(r, &v->totals);
	v->told = tracker_live(recorder_tracker(r));
	return err;
}

static bool verify_agrees(const struct verify *v)
{
	return v->totals.live == v->table && v->told == v->table;
}

/* What a second look at the kernel's sockets finds that the hooks did not tell. */
static int verify_look_again(struct recorder *r, struct verify *v)
{
	struct recorder_totals before, after;
	int err = recorder_totals(r, &before);

	if (!err)
		err = recorder_snapshot(r);
	if (!err)
		err = recorder_totals(r, &after);
	if (err)
		return err;
	v->missed = after.opens - before.opens;
	v->stale = after.stale - before.stale;
	return 0;
}

static int doctor_verify(struct doctor *d)
{
	struct source_opts opts = { .tier = d->asked };
	struct verify *v = &d->verify;
	struct recorder *r = NULL;
	int64_t until;
	int err = recorder_open(&opts, verify_event, NULL, &r);

	if (err)
		return err;
	err = recorder_snapshot(r);
	for (until = clock_boot_ns() + d->duration; !err && clock_boot_ns() < until;) {
		recorder_wait(r, -1, until);
		err = recorder_drain(r);
	}
	v->span = d->duration;
	/* While the hooks are at work: afterwards what begins and ends on a busy host would seem to be their fault. */
	if (!err)
		err = verify_look_again(r, v);
	/* On a busy host the counts move while they are read: a few tries to catch them still. */
	for (int i = 0; !err && i < 20 && !v->agrees; i++) {
		err = verify_read(r, v);
		v->agrees = !err && verify_agrees(v);
	}
	recorder_close(r);
	return err;
}

/* Why it is missing; NULL: it is not. */
static const char *hook_reason(const struct hook_status *st)
{
	return st->state != HOOK_MISSING ? NULL : st->err ? strerror(-st->err) : "not in this kernel";
}

/* What works but is not used: another tier has its place. */
static void doctor_fallbacks(struct doctor *d)
{
	for (int t = 0; t < TIERS; t++)
		for (size_t i = 0; i < hooks_count; i++)
			if ((int)d->used != TIER_A + t && d->tiers[t].hooks[i].state == HOOK_LIVE)
				d->tiers[t].hooks[i].state = HOOK_FALLBACK;
}

/* What all tiers share, the iterators, is told once: of the one in use. */
static bool doctor_tells(const struct doctor *d, int t, size_t i)
{
	return d->tiers[t].hooks[i].state != HOOK_UNUSED && (hooks[i].tier != TIER_NONE || (int)d->used == TIER_A + t);
}

/* ---- text ---- */

static int text_hooks(const struct doctor *d)
{
	static const struct tab_col cols[] = {
		{ "TIER", 4, 0, false }, { "STATE", 8, 0, false }, { "HOOK", 28, 0, false }, { "REASON", 0, 0, false },
	};
	struct tab *tab;
	int err = tab_new(cols, 4, &tab);

	if (err)
		return err;
	for (int t = 0; t < TIERS; t++)
		for (size_t i = 0; i < hooks_count; i++) {
			const struct hook_status *st = &d->tiers[t].hooks[i];

			if (!doctor_tells(d, t, i))
				continue;
			tab_cell(tab, tier_name(TIER_A + t));
			tab_cell(tab, hook_state_name(st->state));
			tab_cell(tab, hooks[i].target);
			if (st->state == HOOK_MISSING && !d->tiers[t].err)
				tab_cellf(tab, "%s; lost: %s", hook_reason(st), hooks[i].lost);
			else	/* of a tier that does not work nothing is lost: another has its place, or the whole answer says so */
				tab_cell(tab, st->state == HOOK_MISSING ? hook_reason(st) : "");
		}
	err = tab_print(tab, d->common.header, stdout);
	tab_free(tab);
	return err;
}

static const char *yes(bool b)
{
	return b ? "yes" : "no";
}

static void text_verify(const struct verify *v)
{
	const struct recorder_totals *n = &v->totals;

	printf("\nverify, %.1f s: %s\n", (double)v->span / 1e9, v->agrees && !n->lost ? "the counts agree" : "the counts DO NOT agree");
	printf("  allocs %llu + held before %llu - releases %llu = live %llu; kernel table %llu, reader %llu, lost %llu\n",
	       (unsigned long long)n->allocs, (unsigned long long)n->opens, (unsigned long long)n->releases,
	       (unsigned long long)n->live, (unsigned long long)v->table, (unsigned long long)v->told,
	       (unsigned long long)n->lost);
	printf("  a second look at the kernel's sockets found %llu that no hook told, and %llu told that are gone\n",
	       (unsigned long long)v->missed, (unsigned long long)v->stale);
}

static int doctor_text(const struct doctor *d)
{
	const struct host *h = &d->host;
	struct strbuf dir = STRBUF_INIT;
	int err;

	printf("portlife %s on %s %s\n", PORTLIFE_VERSION, h->release, h->machine);
	printf("BTF %s, lockdown %s, kprobes %s, tracefs %s, cgroup v2 %s\n", yes(h->btf), h->lockdown, yes(h->kprobes),
	       yes(h->tracefs), yes(h->cgroup2));
	for (size_t i = 0; i < host_caps_count; i++)
		if (!d->caps[i].have)
			printf("missing %s: %s\n", d->caps[i].name, d->caps[i].why);
	str_escape_str(&dir, d->common.state_dir);
	printf("state directory %s: %s\n\n", strbuf_str(&dir), d->state);
	strbuf_free(&dir);
	for (int t = 0; t < TIERS; t++)
		printf("tier %s (%s): %s%s\n", tier_name(TIER_A + t), tier_about(TIER_A + t), d->tiers[t].err ? "no; " : "works",
		       d->tiers[t].why);
	printf("in use: tier %s\n", tier_name(d->used));
	for (const char *const *m = tier_misses(d->used); *m; m++)
		printf("  not seen: %s\n", *m);
	putchar('\n');
	err = text_hooks(d);
	if (d->verify.span)
		text_verify(&d->verify);
	return err;
}

/* ---- CSV: the hooks ---- */

static int doctor_csv(const struct doctor *d)
{
	struct strbuf out = STRBUF_INIT;
	int err;

	if (d->common.header)
		strbuf_puts(&out, "tier,hook,program,state,reason,lost\n");
	for (int t = 0; t < TIERS; t++)
		for (size_t i = 0; i < hooks_count; i++) {
			const struct hook_status *st = &d->tiers[t].hooks[i];
			const char *fields[] = { tier_name(TIER_A + t), hooks[i].target, hooks[i].prog, hook_state_name(st->state),
						 hook_reason(st), st->state == HOOK_MISSING ? hooks[i].lost : NULL };

			if (!doctor_tells(d, t, i))
				continue;
			for (size_t f = 0; f < sizeof(fields) / sizeof(fields[0]); f++) {
				if (f)
					strbuf_putc(&out, ',');
				facts_csv_text(&out, fields[f]);
			}
			strbuf_putc(&out, '\n');
		}
	err = strbuf_err(&out);
	if (!err)
		fputs(strbuf_str(&out), stdout);
	strbuf_free(&out);
	return err;
}

/* ---- JSON ---- */

static void json_flag(struct json *j, const char *key, bool v)
{
	json_key(j, key);
	json_bool(j, v);
}

static void json_text(struct json *j, const char *key, const char *v)
{
	json_key(j, key);
	json_str(j, v);
}

static void json_count(struct json *j, const char *key, uint64_t v)
{
	json_key(j, key);
	json_uint(j, v);
}

static void json_hook(struct json *j, enum tier t, const struct hook *h, const struct hook_status *st)
{
	json_object(j);
	json_text(j, "tier", tier_name(t));
	json_text(j, "hook", h->target);
	json_text(j, "program", h->prog);
	json_text(j, "state", hook_state_name(st->state));
	json_text(j, "reason", hook_reason(st));
	json_text(j, "lost", st->state == HOOK_MISSING ? h->lost : NULL);
	json_object_end(j);
}

static void json_tiers(struct json *j, const struct doctor *d)
{
	json_key(j, "tiers");
	json_array(j);
	for (int t = 0; t < TIERS; t++) {
		json_object(j);
		json_text(j, "tier", tier_name(TIER_A + t));
		json_text(j, "about", tier_about(TIER_A + t));
		json_flag(j, "works", !d->tiers[t].err);
		json_text(j, "reason", d->tiers[t].err ? d->tiers[t].why : NULL);
		json_object_end(j);
	}
	json_array_end(j);
	json_key(j, "hooks");
	json_array(j);
	for (int t = 0; t < TIERS; t++)
		for (size_t i = 0; i < hooks_count; i++)
			if (doctor_tells(d, t, i))
				json_hook(j, TIER_A + t, &hooks[i], &d->tiers[t].hooks[i]);
	json_array_end(j);
	json_key(j, "not_seen");
	json_array(j);
	for (const char *const *m = tier_misses(d->used); *m; m++)
		json_str(j, *m);
	json_array_end(j);
}

static void json_verify(struct json *j, const struct doctor *d)
{
	const struct verify *v = &d->verify;

	json_key(j, "verify");
	if (!d->verify.span) {
		json_null(j);
		return;
	}
	json_object(j);
	json_flag(j, "agrees", v->agrees);
	json_count(j, "allocs", v->totals.allocs);
	json_count(j, "held_before", v->totals.opens);
	json_count(j, "releases", v->totals.releases);
	json_count(j, "live", v->totals.live);
	json_count(j, "lost", v->totals.lost);
	json_count(j, "table", v->table);
	json_count(j, "told", v->told);
	json_count(j, "missed", v->missed);
	json_count(j, "stale", v->stale);
	json_object_end(j);
}

static int doctor_json(const struct doctor *d)
{
	struct strbuf out = STRBUF_INIT;
	struct json j;
	int err;

	json_init(&j, &out);
	json_object(&j);
	json_text(&j, "version", PORTLIFE_VERSION);
	json_text(&j, "kernel", d->host.release);
	json_text(&j, "machine", d->host.machine);
	json_flag(&j, "btf", d->host.btf);
	json_text(&j, "lockdown", d->host.lockdown);
	json_flag(&j, "kprobes", d->host.kprobes);
	json_flag(&j, "tracefs", d->host.tracefs);
	json_flag(&j, "cgroup2", d->host.cgroup2);
	json_key(&j, "capabilities");
	json_object(&j);
	for (size_t i = 0; i < host_caps_count; i++)
		json_flag(&j, d->caps[i].name, d->caps[i].have);
	json_object_end(&j);
	json_text(&j, "state_dir", d->common.state_dir);
	json_text(&j, "state_dir_status", d->state);
	json_text(&j, "tier", d->used == TIER_NONE ? NULL : tier_name(d->used));
	json_tiers(&j, d);
	json_verify(&j, d);
	json_object_end(&j);
	err = strbuf_err(&out);
	if (!err)
		puts(strbuf_str(&out));
	strbuf_free(&out);
	return err;
}

/* `err` of the work, `out` of the output so far */
static int doctor_exit(const struct doctor *d, int err, int out)
{
	bool agree = !d->want_verify || (d->verify.agrees && !d->verify.totals.lost);

	if (!out && fflush(stdout))
		out = -errno;
	if (out && out != -EPIPE) {
		log_err("output failed: %s", strerror(-out));
		return EXIT_STORE;
	}
	if (d->used == TIER_NONE || err == -EPERM || err == -EOPNOTSUPP)
		return EXIT_PRIVILEGE;
	if (err)
		return EXIT_STORE;
	return agree ? EXIT_OK : EXIT_INCOMPLETE;
}

int cmd_doctor(int argc, char **argv)
{
	static char whole[1 << 17];	/* stdout's, until the process ends */
	struct doctor d = { .common = COMMON_OPTS_INIT, .duration = 3000000000LL };
	const struct opt opts[] = {
		OPT_FLAG("verify", &d.want_verify, "record for a while and compare the counts with the kernel's sockets"),
		OPT_SPAN_SOME("duration", &d.duration, "how long --verify records [3s]"),
		OPT_WORD("tier", &d.asked, cmd_words_tier, "hooks to use [auto]"),
		OPT_COMMON(&d.common),
		OPT_END
	};
	const struct opt_cmd cmd = {
		.name = "doctor", .about = "what this kernel allows, and whether the counts agree", .opts = opts,
	};
	int err = opt_parse(&cmd, &argc, argv), out = 0;

	if (err)
		return cmd_opt_exit(err);
	/* One write at the end: its error is the error. */
	setvbuf(stdout, whole, _IOFBF, sizeof(whole));
	d.caps = calloc(host_caps_count, sizeof(*d.caps));
	if (!d.caps)
		return EXIT_STORE;
	host_look(&d.host);
	host_caps(d.caps);
	doctor_state_dir(&d);
	err = doctor_tiers(&d);
	if (!err)
		doctor_fallbacks(&d);
	if (!err && d.want_verify && d.used != TIER_NONE)
		err = doctor_verify(&d);
	if (d.tiers[TIERS - 1].hooks)
		out = d.common.output == OUT_TABLE ? doctor_text(&d) : d.common.output == OUT_CSV ? doctor_csv(&d) : doctor_json(&d);
	for (int i = 0; i < TIERS; i++)
		free(d.tiers[i].hooks);
	free(d.caps);
	return doctor_exit(&d, err, out);
}
