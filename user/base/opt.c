// SPDX-License-Identifier: GPL-2.0
/*
 * The option parser; see opt.h.
 *
 * Own rather than getopt_long(3), which keeps globals and takes any
 * unambiguous prefix: a script that says --net must not change its meaning when
 * an option is added.  Times wait for a second pass, as they depend on --utc.
 */
#include "base/opt.h"

#include <errno.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/parse.h"
#include "base/timex.h"

struct opt_state {
	const struct opt_cmd *cmd;
	char **argv;
	int argc;
	int at;			/* the argument to be read next */
	int operands;		/* moved so far to argv[1..] (second pass) */
	bool late;		/* second pass: times and operands only */
	bool utc;
	int64_t now;
};

static int opt_refuse(const struct opt_state *st, const char *what, const char *subject)
{
	log_err("%s '%s'; see 'portlife %s --help'", what, subject, st->cmd->name);
	return -EINVAL;
}

static int opt_refuse_value(const struct opt_state *st, const struct opt *o, const char *what)
{
	log_err("option '--%s' %s; see 'portlife %s --help'", o->name, what, st->cmd->name);
	return -EINVAL;
}

static const struct opt *opt_find(const struct opt_cmd *cmd, const char *name, size_t len)
{
	for (const struct opt *o = cmd->opts; o->type != OPT_TYPE_END; o++)
		if (strlen(o->name) == len && !memcmp(o->name, name, len))
			return o;
	return NULL;
}

static const struct opt *opt_find_letter(const struct opt_cmd *cmd, char letter)
{
	for (const struct opt *o = cmd->opts; o->type != OPT_TYPE_END; o++)
		if (o->letter == letter)
			return o;
	return NULL;
}

static int opt_set_word(const struct opt *o, const char *arg, char *why)
{
	size_t n = 0;

	for (const struct opt_word *w = o->words; w->name; w++) {
		if (arg && !strcmp(w->name, arg)) {
			memcpy(o->value, &w->value, sizeof(w->value));
			return 0;
		}
	}
	n = (size_t)snprintf(why, OPT_WHY_LEN, "is none of");
	for (const struct opt_word *w = o->words; w->name && n < OPT_WHY_LEN; w++)
		n += (size_t)snprintf(why + n, OPT_WHY_LEN - n, "%s %s", w == o->words ? "" : ",", w->name);
	return -EINVAL;
}

static int opt_set_u32(const struct opt *o, const char *arg, char *why)
{
	int err = parse_u32(arg, o->lo, o->hi, o->value);

	if (err)
		snprintf(why, OPT_WHY_LEN, "is not a number from %u to %u", o->lo, o->hi);
	return err;
}

/* Types whose reader says no more than right or wrong. */
static int opt_set_parsed(const struct opt_state *st, const struct opt *o, const char *arg, char *why)
{
	const char *form;
	int err;

	if (o->type == OPT_TYPE_SPAN) {
		err = timex_parse_span(arg, o->value);
		form = "a span of time such as 90s or 2h30min";
	} else if (o->type == OPT_TYPE_TIME) {
		err = timex_parse(arg, st->now, st->utc, o->value);
		*(int64_t *)o->value += !err && !*(int64_t *)o->value;	/* 0 says that none was given */
		form = "a time such as 2026-11-21 04:10:00, 04:10, @1795234567 or -15min";
	} else {
		err = parse_size(arg, o->value);
		form = "a size such as 65536, 256K or 16M";
	}
	if (err)
		snprintf(why, OPT_WHY_LEN, "is %s %s", err == -ERANGE ? "out of range for" : "not", form);
	if (!err && o->type == OPT_TYPE_SPAN && *(int64_t *)o->value < o->lo) {
		snprintf(why, OPT_WHY_LEN, "is no time at all");
		err = -ERANGE;
	}
	return err;
}

/* Non-zero with the reason in `why`, whose subject is the value. */
static int opt_set(const struct opt_state *st, const struct opt *o, const char *arg, char *why)
{
	switch (o->type) {
	case OPT_TYPE_FLAG:
	case OPT_TYPE_UNSET:
		*(bool *)o->value = o->type == OPT_TYPE_FLAG;
		return 0;
	case OPT_TYPE_STR:
		*(const char **)o->value = arg;
		return 0;
	case OPT_TYPE_U32:
		return opt_set_u32(o, arg, why);
	case OPT_TYPE_WORD:
		return opt_set_word(o, arg, why);
	default:
		return opt_set_parsed(st, o, arg, why);
	}
}

/* The two types that word their complaint themselves. */
static int opt_set_worded(const struct opt *o, const char *arg, char *why)
{
	int err = o->type == OPT_TYPE_PORTS ? ports_parse(arg, o->value, why, OPT_WHY_LEN) :
					      o->call(arg, o->value, why, OPT_WHY_LEN);

	if (err && !why[0])
		snprintf(why, OPT_WHY_LEN, "'%s' is not a %s", arg, o->arg);
	return err;
}

/* Non-zero with the whole complaint in `why`. */
static int opt_value(const struct opt_state *st, const struct opt *o, const char *arg, char *why)
{
	char reason[OPT_WHY_LEN] = "";
	int err;

	why[0] = '\0';
	if (arg && !arg[0]) {
		snprintf(why, OPT_WHY_LEN, "needs a value, not an empty one");
		return -EINVAL;
	}
	if (o->type == OPT_TYPE_PORTS || o->type == OPT_TYPE_CALL)
		return opt_set_worded(o, arg, why);
	err = opt_set(st, o, arg, reason);
	if (err)
		snprintf(why, OPT_WHY_LEN, "'%.64s' %.180s", arg, reason);
	return err;
}

static int opt_apply(const struct opt_state *st, const struct opt *o, const char *arg)
{
	char why[OPT_WHY_LEN];

	if (st->late != (o->type == OPT_TYPE_TIME))
		return 0;
	if (o->type == OPT_TYPE_HELP) {
		int err = opt_help(st->cmd, stdout);

		return err ? err : OPT_HELPED;
	}
	if (!opt_value(st, o, arg, why))
		return 0;
	log_err(arg && !arg[0] ? "option '--%s' %s" : "option '--%s': %s", o->name, why);
	return -EINVAL;
}

int opt_set_value(const struct opt_cmd *cmd, const char *name, const char *arg, char why[OPT_WHY_LEN])
{
	const struct opt_state st = { .cmd = cmd, .now = clock_unix_ns() };
	const struct opt *o = opt_find(cmd, name, strlen(name));

	why[0] = '\0';
	if (!o || o->type == OPT_TYPE_HELP)
		return -ENOENT;
	if (o->arg)
		return opt_value(&st, o, arg, why) ? -EINVAL : 0;
	/* A flag has words here: it may be said to be off. */
	if (!strcmp(arg, "yes") || !strcmp(arg, "true") || !strcmp(arg, "on") || !strcmp(arg, "1"))
		*(bool *)o->value = o->type == OPT_TYPE_FLAG;
	else if (!strcmp(arg, "no") || !strcmp(arg, "false") || !strcmp(arg, "off") || !strcmp(arg, "0"))
		*(bool *)o->value = o->type != OPT_TYPE_FLAG;
	else
		snprintf(why, OPT_WHY_LEN, "'%.64s' is neither yes nor no", arg);
	return why[0] ? -EINVAL : 0;
}

/* `value` is what stood in the same argument, or NULL. */
static int opt_take(struct opt_state *st, const struct opt *o, const char *value)
{
	if (!o->arg && value)
		return opt_refuse_value(st, o, "takes no value");
	if (o->arg && !value) {
		if (st->at >= st->argc)
			return opt_refuse_value(st, o, "needs a value");
		value = st->argv[st->at++];
	}
	return opt_apply(st, o, value);
}

static int opt_read_long(struct opt_state *st, const char *arg)
{
	const char *name = arg + 2, *equals = strchr(name, '=');
	const struct opt *o = opt_find(st->cmd, name, equals ? (size_t)(equals - name) : strlen(name));

	if (!o && !strcmp(name, "dump-options")) {
		int err = opt_dump(st->cmd, stdout);

		return err ? err : OPT_HELPED;
	}
	if (!o)
		return opt_refuse(st, "unknown option", arg);
	return opt_take(st, o, equals ? equals + 1 : NULL);
}

static int opt_read_short(struct opt_state *st, const char *arg)
{
	const struct opt *o = opt_find_letter(st->cmd, arg[1]);

	if (!o)
		return opt_refuse(st, "unknown option", arg);
	return opt_take(st, o, arg[2] ? arg + 2 : NULL);
}

static int opt_operand(struct opt_state *st, char *arg)
{
	const struct opt_cmd *cmd = st->cmd;

	st->operands++;
	if (cmd->max_args >= 0 && st->operands > cmd->max_args)
		return opt_refuse(st, "unexpected argument", arg);
	if (st->late)
		st->argv[st->operands] = arg;
	return 0;
}

static int opt_pass(struct opt_state *st)
{
	bool only_operands = false;
	int err = 0;

	st->at = 1;
	st->operands = 0;
	while (!err && st->at < st->argc) {
		char *arg = st->argv[st->at++];

		if (only_operands || arg[0] != '-' || !arg[1])
			err = opt_operand(st, arg);
		else if (!strcmp(arg, "--"))
			only_operands = true;
		else if (arg[1] == '-')
			err = opt_read_long(st, arg);
		else
			err = opt_read_short(st, arg);
	}
	return err;
}

static bool opt_wants_utc(const struct opt_cmd *cmd)
{
	const struct opt *o = opt_find(cmd, "utc", 3);

	return o && o->type == OPT_TYPE_FLAG && *(const bool *)o->value;
}

int opt_parse(const struct opt_cmd *cmd, int *argc, char **argv)
{
	struct opt_state st = { .cmd = cmd, .argv = argv, .argc = *argc, .now = clock_unix_ns() };
	int err = opt_pass(&st);

	if (err)
		return err;
	if (st.operands < cmd->min_args) {
		log_err("%s is missing; see 'portlife %s --help'", cmd->args, cmd->name);
		return -EINVAL;
	}
	st.utc = opt_wants_utc(cmd);
	st.late = true;
	err = opt_pass(&st);
	if (err)
		return err;
	*argc = st.operands + 1;
	return 0;
}
