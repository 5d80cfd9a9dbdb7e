/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The options of portlife record and the configuration file, which has the same
 * names: the file first, then the command line over it.
 */
#include "cmd/record.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <portlife/config.h>
#include "base/log.h"
#include "cmd/cmd.h"

#define CONFIG_DEFAULT "/etc/portlife/portlife.conf"
#define SECOND_NS 1000000000LL
#define OPTS_MAX 48

static const struct opt_word words_form[] = {
	{ "human", LOG_FORM_HUMAN }, { "logfmt", LOG_FORM_LOGFMT }, { "json", LOG_FORM_JSON }, { NULL, 0 },
};

/* What a SIGHUP can change. */
static const char *const changeable[] = {
	"summary-interval", "log-format", "log-file", "log-leases", "warn-exhaustion", "metrics-interval", "metrics-workloads",
};

static void conf_init(struct record_conf *c)
{
	*c = (struct record_conf){
		.common = COMMON_OPTS_INIT, .ring_size = PL_RING_DEFAULT, .log_format = -1,
		.retain_size = 1ULL << 30, .retain_age = 30 * 86400 * SECOND_NS,
		.interval = 60 * SECOND_NS, .metrics_interval = 15 * SECOND_NS, .warn_exhaustion = 600 * SECOND_NS,
	};
}

static void conf_opts(struct record_conf *c, struct opt opts[OPTS_MAX])
{
	const struct opt list[] = {
		OPT_SIZE("retain-size", &c->retain_size, "remove the oldest files above this size [1G]"),
		OPT_SPAN("retain-age", &c->retain_age, "remove files older than this [30d]"),
		OPT_FLAG("with-cmdline", &c->source.with_cmdline, "record the arguments of processes too; they can hold secrets"),
		OPT_FLAG("print", &c->print, "also stream events to stdout"),
		OPT_SPAN("summary-interval", &c->interval, "how often counts go to the log [60s]"),
		OPT_WORD("log-format", &c->log_format, words_form, "form of log lines [human, or the journal's fields]"),
		OPT_STR("log-file", "FILE", &c->log_file, "log to this file, opened anew at SIGHUP, not to stderr"),
		OPT_FLAG("log-leases", &c->log_leases, "log each finished lease"),
		OPT_SPAN("warn-exhaustion", &c->warn_exhaustion, "warn when a range will be used up within this span [10min]"),
		OPT_STR("metrics-textfile", "FILE", &c->textfile, "keep the metrics in this file, for the textfile collector"),
		OPT_SPAN("metrics-interval", &c->metrics_interval, "how often that file is written [15s]"),
		OPT_STR("metrics-listen", "ADDRESS", &c->listen, "serve GET /metrics on unix:PATH, 127.0.0.1:PORT or [::1]:PORT"),
		OPT_FLAG("metrics-allow-remote", &c->remote, "permit an address that other hosts can reach"),
		OPT_FLAG("metrics-workloads", &c->workloads, "also tell the leases held by each of the top 50 workloads"),
		OPT_STR("user", "NAME", &c->user, "become this user once attached"),
		OPT_STR("config", "FILE", &c->config, "options, one 'key = value' a line [" CONFIG_DEFAULT "]"),
		OPT_SPAN_SOME("duration", &c->duration, "stop by itself after this span"),
		OPT_WORD("tier", &c->source.tier, cmd_words_tier, "hooks to use [auto]"),
		OPT_WORD("scope", &c->scope, cmd_words_scope, "all: also accepted connections outside the ephemeral range [default]"),
		OPT_SIZE("ring-size", &c->ring_size, "size of the ring buffer [8M]"),
		OPT_U32("table-size", "LEASES", &c->table_size, 16, 1u << 26, "most leases held at once [262144]"),
		OPT_COMMON(&c->common),
		OPT_END
	};

	_Static_assert(sizeof(list) <= OPTS_MAX * sizeof(list[0]), "OPTS_MAX is too small");
	memcpy(opts, list, sizeof(list));
}

/* The textfile collector passes over all other names without a word. */
static bool is_collected(const char *path)
{
	static const char end[] = ".prom";
	size_t len = strlen(path), tail = sizeof(end) - 1;

	return len >= tail && !strcmp(path + len - tail, end);
}

static int conf_check(const struct record_conf *c)
{
	if (cmd_check_ring(c->ring_size))
		return -EINVAL;
	if (c->interval < SECOND_NS || c->metrics_interval < SECOND_NS) {
		log_err("--%s must be at least 1s", c->interval < SECOND_NS ? "summary-interval" : "metrics-interval");
		return -EINVAL;
	}
	if (!c->retain_size || c->retain_age < SECOND_NS) {
		log_err("--%s: nothing would be kept", !c->retain_size ? "retain-size" : "retain-age");
		return -EINVAL;
	}
	if (c->textfile && !is_collected(c->textfile)) {
		log_err("--metrics-textfile: '%s' must end in .prom", c->textfile);
		return -EINVAL;
	}
	return 0;
}

/* The command line is read twice: it names the file, and wins over it. */
int record_conf_read(int argc, char **argv, struct record_conf *ret)
{
	struct opt opts[OPTS_MAX];
	const struct opt_cmd cmd = { .name = "record", .about = "the daemon: keeps the history", .opts = opts };
	int err, n = argc;
	const char *path;

	conf_init(ret);
	conf_opts(ret, opts);
	err = opt_parse(&cmd, &n, argv);
	if (err)
		return err;
	n = argc;
	path = ret->config;
	conf_init(ret);
	err = opt_read_file(&cmd, path ? path : CONFIG_DEFAULT, &ret->text);
	if (err == -ENOENT && path)
		log_err("no configuration file '%s'", path);
	if (err == -ENOENT && !path)
		err = 0;
	if (!err)
		err = opt_parse(&cmd, &n, argv);
	if (!err)
		err = conf_check(ret);
	if (err) {
		record_conf_free(ret);
		return -EINVAL;
	}
	ret->source.scope_all = ret->scope;
	ret->source.ring_size = ret->ring_size;
	ret->source.table_size = ret->table_size;
	return 0;
}

void record_conf_free(struct record_conf *c)
{
	free(c->text);
	c->text = NULL;
}

/* ---- again ---- */

static size_t value_size(enum opt_type type)
{
	switch (type) {
	case OPT_TYPE_FLAG:
	case OPT_TYPE_UNSET:
		return sizeof(bool);
	case OPT_TYPE_STR:
		return sizeof(char *);
	case OPT_TYPE_U32:
		return sizeof(uint32_t);
	case OPT_TYPE_SPAN:
	case OPT_TYPE_SIZE:
		return sizeof(int64_t);
	case OPT_TYPE_WORD:
		return sizeof(int);
	default:
		return 0;
	}
}

static bool value_same(const struct opt *a, const struct opt *b)
{
	const char *x, *y;

	if (a->type != OPT_TYPE_STR)
		return !memcmp(a->value, b->value, value_size(a->type));
	x = *(const char **)a->value;
	y = *(const char **)b->value;
	return x && y ? !strcmp(x, y) : x == y;
}

static bool can_change(const char *name)
{
	for (size_t i = 0; i < sizeof(changeable) / sizeof(changeable[0]); i++)
		if (!strcmp(changeable[i], name))
			return true;
	return false;
}

/*
 * What cannot change is put back into the new configuration, strings and all:
 * they lie in the first text, which is kept.
 */
static void keep_fixed(const struct opt *was, struct opt *now)
{
	for (; was->type != OPT_TYPE_END; was++, now++) {
		if (!value_size(was->type) || can_change(was->name))
			continue;
		if (!value_same(was, now))
			log_warn("'%s' has changed in the configuration; that takes effect with the next start", was->name);
		memcpy(now->value, was->value, value_size(was->type));
	}
}

int record_conf_reload(struct record_conf *c, int argc, char **argv, struct record_conf *old)
{
	struct opt was[OPTS_MAX], opts[OPTS_MAX];
	struct record_conf now;
	int err = record_conf_read(argc, argv, &now);

	if (err)
		return -EINVAL;
	conf_opts(c, was);
	conf_opts(&now, opts);
	keep_fixed(was, opts);
	*old = *c;
	*c = now;
	return 0;
}
