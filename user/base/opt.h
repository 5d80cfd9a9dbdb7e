/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Options as data: one table a command drives the parser and --help, and is
 * what its manual page is held against.
 *
 * A table is an array on the command's stack whose entries point at the
 * variables to fill, made with the macros below, ended by OPT_END.  A variable
 * keeps its value when its option is not given: set the default first.  Long
 * options take exact names only, "--name value" or "--name=value"; the value
 * may begin with '-'.  Short ones: "-o value", "-ovalue".  "--" ends options.
 * Strings are borrowed from argv.
 */
#ifndef PORTLIFE_BASE_OPT_H
#define PORTLIFE_BASE_OPT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include "base/ports.h"

enum opt_type {
	OPT_TYPE_END,
	OPT_TYPE_FLAG,		/* bool: true when given */
	OPT_TYPE_UNSET,		/* bool: false when given */
	OPT_TYPE_STR,		/* const char * */
	OPT_TYPE_U32,		/* uint32_t, lo..hi */
	OPT_TYPE_PORTS,		/* struct ports; given twice they add up */
	OPT_TYPE_SPAN,		/* int64_t nanoseconds */
	OPT_TYPE_TIME,		/* int64_t unix ns, never 0, read after --utc is known */
	OPT_TYPE_SIZE,		/* uint64_t bytes, suffix K M G T */
	OPT_TYPE_WORD,		/* int or enum: the value of one of `words` */
	OPT_TYPE_CALL,		/* call(arg, value) */
	OPT_TYPE_HELP,
};

struct opt_word {
	const char *name;	/* NULL ends the list */
	int value;
};

/* 0, or a negative errno with the reason in `why` (or there left ""). */
typedef int (*opt_call)(const char *arg, void *value, char *why, size_t why_size);

struct opt {
	enum opt_type type;
	char letter;			/* 0: none */
	const char *name;		/* without dashes */
	const char *arg;		/* what the value is called in the help; NULL: takes none */
	const char *help;		/* one sentence, lower case, no full stop; the default in brackets */
	void *value;
	uint32_t lo, hi;		/* OPT_TYPE_U32; lo also of OPT_TYPE_SPAN */
	const struct opt_word *words;	/* OPT_TYPE_WORD */
	opt_call call;			/* OPT_TYPE_CALL */
};

#define OPT_IS(ptr, type) ((void *)(1 ? (ptr) : (type *)0))

#define OPT_FLAG(name_, ptr, help_) \
	{ .type = OPT_TYPE_FLAG, .name = name_, .value = OPT_IS(ptr, bool), .help = help_ }
#define OPT_UNSET(name_, ptr, help_) \
	{ .type = OPT_TYPE_UNSET, .name = name_, .value = OPT_IS(ptr, bool), .help = help_ }
#define OPT_STR(name_, arg_, ptr, help_) \
	{ .type = OPT_TYPE_STR, .name = name_, .arg = arg_, .value = OPT_IS(ptr, const char *), .help = help_ }
#define OPT_U32(name_, arg_, ptr, lo_, hi_, help_) \
	{ .type = OPT_TYPE_U32, .name = name_, .arg = arg_, .value = OPT_IS(ptr, uint32_t), .lo = lo_, .hi = hi_, \
	  .help = help_ }
#define OPT_PORTS(name_, ptr, help_) \
	{ .type = OPT_TYPE_PORTS, .name = name_, .arg = "PORTS", .value = OPT_IS(ptr, struct ports), .help = help_ }
#define OPT_SPAN(name_, ptr, help_) \
	{ .type = OPT_TYPE_SPAN, .name = name_, .arg = "SPAN", .value = OPT_IS(ptr, int64_t), .help = help_ }
/* At least a nanosecond: where no time at all would mean for ever, or something else. */
#define OPT_SPAN_SOME(name_, ptr, help_) \
	{ .type = OPT_TYPE_SPAN, .name = name_, .arg = "SPAN", .value = OPT_IS(ptr, int64_t), .lo = 1, .help = help_ }
#define OPT_TIME(name_, ptr, help_) \
	{ .type = OPT_TYPE_TIME, .name = name_, .arg = "TIME", .value = OPT_IS(ptr, int64_t), .help = help_ }
#define OPT_SIZE(name_, ptr, help_) \
	{ .type = OPT_TYPE_SIZE, .name = name_, .arg = "SIZE", .value = OPT_IS(ptr, uint64_t), .help = help_ }
/* `ptr` points at an int or an enum; the words are shown as a|b|c. */
#define OPT_WORD(name_, ptr, words_, help_) \
	{ .type = OPT_TYPE_WORD, .name = name_, .arg = "WORD", .words = words_, .help = help_, \
	  .value = (ptr) + 0 * sizeof(char[sizeof(*(ptr)) == sizeof(int) ? 1 : -1]) }
#define OPT_CALL(name_, arg_, call_, ptr, help_) \
	{ .type = OPT_TYPE_CALL, .name = name_, .arg = arg_, .call = call_, .value = ptr, .help = help_ }
#define OPT_END { .type = OPT_TYPE_END }

/* A command as its help shows it. */
struct opt_cmd {
	const char *name;	/* "who" */
	const char *args;	/* operands of the usage line, "PORT"; NULL: none */
	const char *about;	/* one line */
	const char *more;	/* further help, lines with newlines; or NULL */
	const struct opt *opts;
	int min_args, max_args;	/* operands; max_args -1: any number */
};

#define OPT_HELPED 1	/* help (or a dump) was printed to stdout: exit 0 */

/*
 * Reads argv[1..*argc-1].  Returns 0 with the operands moved to
 * argv[1..*argc-1] and *argc set; OPT_HELPED; or -EINVAL after one line on
 * stderr that names what is wrong: exit 2.  -EIO: the help could not be written.
 */
int opt_parse(const struct opt_cmd *cmd, int *argc, char **argv);

#define OPT_WHY_LEN 256

/*
 * Sets one option by name, as a configuration file does: a flag takes yes or
 * no.  -ENOENT: no such option (help is none); -EINVAL with the complaint, which
 * names the value, in `why`.
 */
int opt_set_value(const struct opt_cmd *cmd, const char *name, const char *arg, char why[OPT_WHY_LEN]);

/*
 * Reads a configuration file: lines "key = value", keys are names of options,
 * blank lines and those that begin with # or ; are passed over, the last of
 * equal keys counts.  The strings that were set lie in `*text`, to be freed
 * after them.  0; -ENOENT, not said; another errno, said with file and line.
 * On failure some options may be set already.
 */
int opt_read_file(const struct opt_cmd *cmd, const char *path, char **text);

/* 0 or -EIO. */
int opt_help(const struct opt_cmd *cmd, FILE *to);
/*
 * One line of tab separated fields for the command (command, name, args, about)
 * and one for each option (option, name, letter, type, arg, words joined by |,
 * help), empty where there is none; `--dump-options` does this in every command.
 */
int opt_dump(const struct opt_cmd *cmd, FILE *to);

enum out_format { OUT_TABLE, OUT_JSONL, OUT_CSV, OUT_JSON };
enum color_mode { COLOR_AUTO, COLOR_ALWAYS, COLOR_NEVER };

/* What every command takes. */
struct common_opts {
	enum out_format output;
	enum color_mode color;
	bool header;
	bool utc;
	const char *state_dir;
};

#define COMMON_OPTS_INIT { .output = OUT_TABLE, .color = COLOR_AUTO, .header = true, .state_dir = "/var/lib/portlife" }

extern const struct opt_word opt_words_output[];
extern const struct opt_word opt_words_color[];

/* The entries of `struct common_opts *c`, to stand before OPT_END. */
#define OPT_COMMON(c) \
	{ .type = OPT_TYPE_WORD, .letter = 'o', .name = "output", .arg = "FORMAT", .words = opt_words_output, \
	  .value = OPT_IS(&(c)->output, enum out_format), .help = "format of the answer [table]" }, \
	OPT_UNSET("no-header", &(c)->header, "leave out the line of column titles"), \
	{ .type = OPT_TYPE_WORD, .name = "color", .arg = "WHEN", .words = opt_words_color, \
	  .value = OPT_IS(&(c)->color, enum color_mode), .help = "colour a stream of events; NO_COLOR is honoured [auto]" }, \
	OPT_FLAG("utc", &(c)->utc, "read and show times in UTC, not in the local zone"), \
	OPT_STR("state-dir", "DIR", &(c)->state_dir, "where the history lies [/var/lib/portlife]"), \
	{ .type = OPT_TYPE_HELP, .letter = 'h', .name = "help", .help = "show this help" }

/* Whether to colour what goes to `to`: --color, else a terminal that is not dumb and no NO_COLOR. */
bool opt_use_color(const struct common_opts *c, FILE *to);

/* Columns of the terminal that `to` is, as ioctl_tty(2) tells; 0: it is none, or does not know. */
unsigned int opt_width(FILE *to);

#endif
