// SPDX-License-Identifier: GPL-2.0
/* What people type: ports, times, spans, sizes, filters, options. The first byte chooses the reader. */
#include "fuzz/fuzz.h"

#include <errno.h>
#include <sys/socket.h>

#include "base/opt.h"
#include "base/parse.h"
#include "base/ports.h"
#include "base/str.h"
#include "base/timex.h"
#include "model/ask.h"
#include "model/filter.h"

#define NOW 1763700000000000000LL

static void ports(const char *text)
{
	struct ports set = { .count = 0 };
	char why[PORTS_WHY_LEN] = "";

	if (ports_parse(text, &set, why, sizeof(why))) {
		claim(!set.count && why[0]);
		fuzz_claim_tame(why, strlen(why));
	} else {
		claim(set.count >= 1 && set.count <= 65535 && !ports_has(&set, 0));
	}
}

static void times(const char *text)
{
	char buf[TIMEX_BUF];
	int64_t at, again;

	if (timex_parse(text, NOW, true, &at))
		return;
	claim(at >= 0);
	timex_parse(text, NOW, false, &again);
	timex_stamp(at, false, buf);
	claim(!timex_parse_rfc3339(timex_rfc3339(at, buf), &again) && again == at);
}

static void spans(const char *text)
{
	char buf[TIMEX_BUF];
	int64_t span;

	if (!timex_parse_span(text, &span))
		claim(span >= 0 && timex_span(span, buf)[0]);
}

static void numbers(const char *text)
{
	uint64_t n = 7;
	uint32_t m = 7;

	claim(!parse_size(text, &n) || n == 7);
	claim(!parse_u64(text, 3, 9, &n) ? n >= 3 && n <= 9 : true);
	claim(parse_u32(text, 3, 9, &m) ? m == 7 : m >= 3 && m <= 9);
}

static void filters(const char *text)
{
	struct filter f = { .comm = text, .cgroup = text };
	struct event ev = { .where = { .cgroup = "/system.slice/a.service" } };

	memcpy(ev.lease.comm, text, strnlen(text, PL_COMM_LEN - 1));
	filter_match(&f, &ev);
	f.comm = NULL;
	ev.where.cgroup = text;
	filter_match(&f, &ev);
}

static void options(const char *text)
{
	struct common_opts c = COMMON_OPTS_INIT;
	struct ports set = { .count = 0 };
	int64_t span = 0, at = 0;
	uint64_t size = 0;
	uint32_t n = 0;
	const struct opt opts[] = {
		OPT_COMMON(&c), OPT_PORTS("port", &set, "p"), OPT_SPAN("span", &span, "s"), OPT_TIME("at", &at, "t"),
		OPT_SIZE("size", &size, "z"), OPT_U32("n", "N", &n, 1, 9, "n"), OPT_END,
	};
	const struct opt_cmd cmd = { .name = "fuzz", .about = "f", .opts = opts, .max_args = -1 };
	char why[OPT_WHY_LEN] = "", name[16] = "";
	struct strbuf line = STRBUF_INIT;
	const char *colon = strchr(text, '=');
	size_t len = colon ? (size_t)(colon - text) : 0;

	if (!colon || len >= sizeof(name))
		return;
	memcpy(name, text, len);
	opt_set_value(&cmd, name, colon + 1, why);
	claim(memchr(why, 0, sizeof(why)));
	log_format_line(&line, LOG_FORM_HUMAN, LOG_LEVEL_ERR, 1, why);
	fuzz_claim_tame(strbuf_str(&line), line.len);
	strbuf_free(&line);
}

static void escapes(const char *text)
{
	struct strbuf out = STRBUF_INIT;

	str_escape(&out, text, strlen(text));
	fuzz_claim_tame(strbuf_str(&out), out.len);
	strbuf_free(&out);
}

/* What `who` and `why` are asked. */
static void asks(const char *text)
{
	char why[OPT_WHY_LEN] = "";
	struct ask ask;

	if (ask_parse(text, &ask, why, sizeof(why))) {
		claim(why[0] && memchr(why, 0, sizeof(why)));
		return;
	}
	claim(ask.lo >= 1 && ask.lo <= ask.hi);
	claim(!ask.by_addr || ask.family == AF_INET || ask.family == AF_INET6);
	claim(ask_class(ask.lo) && ask_class_range(ask.hi));
}

#define ARGS_MAX 12

/* A whole command line, one argument a line. */
static void arguments(const char *text)
{
	struct common_opts c = COMMON_OPTS_INIT;
	struct ports set = { .count = 0 };
	char program[] = "portlife", *argv[ARGS_MAX + 2] = { program }, *copy = fuzz_text((const uint8_t *)text, strlen(text)), *rest = copy;
	bool flag = false, off = true;
	const char *str = NULL;
	int64_t at = 0;
	uint32_t n = 1;
	int argc = 1, err;
	const struct opt opts[] = {
		OPT_FLAG("flag", &flag, "f"), OPT_UNSET("no-off", &off, "o"), OPT_PORTS("port", &set, "p"), OPT_TIME("at", &at, "t"),
		OPT_U32("n", "N", &n, 1, 9, "n"), OPT_STR("str", "S", &str, "s"), OPT_COMMON(&c), OPT_END,
	};
	const struct opt_cmd cmd = { .name = "fuzz", .args = "PORT", .about = "f", .opts = opts, .min_args = 1, .max_args = 3 };

	while (rest && argc <= ARGS_MAX)
		argv[argc++] = strsep(&rest, "\n");
	err = opt_parse(&cmd, &argc, argv);
	claim(err == 0 || err == OPT_HELPED || err == -EINVAL);
	claim(n >= 1 && n <= 9);
	if (!err) {
		claim(argc >= 2 && argc <= 4);
		for (int i = 1; i < argc; i++)
			claim(argv[i] >= copy && argv[i] <= copy + strlen(text));
	}
	free(copy);
}

/* Help goes to stdout. */
int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	claim(freopen("/dev/null", "w", stdout));
	return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static void (*const readers[])(const char *) = { ports, times, spans, numbers, filters, options, escapes, asks, arguments };
	char *text;

	fuzz_quiet();
	if (!size)
		return 0;
	text = fuzz_text(data + 1, size - 1);
	readers[data[0] % (sizeof(readers) / sizeof(*readers))](text);
	free(text);
	return 0;
}
