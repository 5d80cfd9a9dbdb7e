// SPDX-License-Identifier: GPL-2.0
/*
 * What the option table looks like to a reader: --help, and the dump with
 * which tests/check/manual compares the manual pages; see opt.h.
 */
#include "base/opt.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/str.h"

#define HELP_COLUMN 28
#define HELP_WIDTH 80

const struct opt_word opt_words_output[] = {
	{ "table", OUT_TABLE }, { "jsonl", OUT_JSONL }, { "csv", OUT_CSV }, { "json", OUT_JSON }, { NULL, 0 },
};

const struct opt_word opt_words_color[] = {
	{ "auto", COLOR_AUTO }, { "always", COLOR_ALWAYS }, { "never", COLOR_NEVER }, { NULL, 0 },
};

static void put_words(struct strbuf *out, const struct opt *o)
{
	for (const struct opt_word *w = o->words; w && w->name; w++) {
		if (w != o->words)
			strbuf_putc(out, '|');
		strbuf_puts(out, w->name);
	}
}

/* "  -o, --output table|jsonl" */
static void put_option(struct strbuf *out, const struct opt *o)
{
	if (o->letter)
		strbuf_printf(out, "  -%c, --%s", o->letter, o->name);
	else
		strbuf_printf(out, "      --%s", o->name);
	if (!o->arg)
		return;
	strbuf_putc(out, ' ');
	if (o->words)
		put_words(out, o);
	else
		strbuf_puts(out, o->arg);
}

/* `text` in the right column, broken at blanks. */
static void put_wrapped(struct strbuf *out, const char *text)
{
	size_t column = HELP_COLUMN;

	while (*text) {
		size_t word = strcspn(text, " ");

		if (column > HELP_COLUMN && column + 1 + word > HELP_WIDTH) {
			strbuf_putc(out, '\n');
			strbuf_pad(out, ' ', HELP_COLUMN);
			column = HELP_COLUMN;
		} else if (column > HELP_COLUMN) {
			strbuf_putc(out, ' ');
			column++;
		}
		strbuf_put(out, text, word);
		column += word;
		text += word;
		text += strspn(text, " ");
	}
	strbuf_putc(out, '\n');
}

static void put_help(struct strbuf *out, const struct opt *o)
{
	size_t start = out->len, used;

	put_option(out, o);
	used = out->len - start;
	if (used + 2 > HELP_COLUMN) {
		strbuf_putc(out, '\n');
		used = 0;
	}
	strbuf_pad(out, ' ', HELP_COLUMN - used);
	put_wrapped(out, o->help);
}

/* Writes all of it or says that it could not. */
static int put_file(struct strbuf *text, FILE *to)
{
	int err = strbuf_err(text);

	if (!err && (fwrite(strbuf_str(text), 1, text->len, to) != text->len || fflush(to)))
		err = -EIO;
	strbuf_free(text);
	return err;
}

int opt_help(const struct opt_cmd *cmd, FILE *to)
{
	struct strbuf out = STRBUF_INIT;

	strbuf_printf(&out, "usage: portlife %s [OPTION...]%s%s\n%s\n", cmd->name, cmd->args ? " " : "",
		      cmd->args ? cmd->args : "", cmd->about);
	strbuf_puts(&out, "\noptions:\n");
	for (const struct opt *o = cmd->opts; o->type != OPT_TYPE_END; o++)
		put_help(&out, o);
	if (cmd->more)
		strbuf_printf(&out, "\n%s", cmd->more);
	return put_file(&out, to);
}

static const char *type_name(enum opt_type type)
{
	static const char *const names[] = {
		[OPT_TYPE_FLAG] = "flag", [OPT_TYPE_UNSET] = "flag", [OPT_TYPE_STR] = "string",
		[OPT_TYPE_U32] = "number", [OPT_TYPE_PORTS] = "ports", [OPT_TYPE_SPAN] = "span",
		[OPT_TYPE_TIME] = "time", [OPT_TYPE_SIZE] = "size", [OPT_TYPE_WORD] = "word",
		[OPT_TYPE_CALL] = "value", [OPT_TYPE_HELP] = "flag",
	};

	return names[type];
}

int opt_dump(const struct opt_cmd *cmd, FILE *to)
{
	struct strbuf out = STRBUF_INIT;

	strbuf_printf(&out, "command\t%s\t%s\t%s\n", cmd->name, cmd->args ? cmd->args : "", cmd->about);
	for (const struct opt *o = cmd->opts; o->type != OPT_TYPE_END; o++) {
		char letter[2] = { o->letter, '\0' };

		strbuf_printf(&out, "option\t%s\t%s\t%s\t%s\t", o->name, letter, type_name(o->type), o->arg ? o->arg : "");
		put_words(&out, o);
		strbuf_printf(&out, "\t%s\n", o->help);
	}
	return put_file(&out, to);
}

unsigned int opt_width(FILE *to)
{
	struct winsize size;

	return ioctl(fileno(to), TIOCGWINSZ, &size) ? 0 : size.ws_col;
}

bool opt_use_color(const struct common_opts *c, FILE *to)
{
	const char *no = getenv("NO_COLOR"), *term = getenv("TERM");

	if (c->color != COLOR_AUTO)
		return c->color == COLOR_ALWAYS;
	if (no && *no)
		return false;
	return isatty(fileno(to)) && term && strcmp(term, "dumb") != 0;
}
