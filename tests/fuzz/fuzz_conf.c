// SPDX-License-Identifier: GPL-2.0
/* A configuration file of any bytes: read, or refused with a message, never half trusted. */
#include "fuzz/fuzz.h"

#include <sys/mman.h>
#include <unistd.h>

#include "base/opt.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct opt_word words[] = { { "human", 1 }, { "json", 2 }, { NULL, 0 } };
	struct common_opts c = COMMON_OPTS_INIT;
	struct ports set = { .count = 0 };
	const char *name = NULL;
	int64_t span = 0;
	uint64_t bytes = 0;
	int word = 0, fd = memfd_create("conf", MFD_CLOEXEC);
	const struct opt opts[] = {
		OPT_COMMON(&c), OPT_PORTS("port", &set, "p"), OPT_SPAN("retain-age", &span, "s"),
		OPT_SIZE("retain-size", &bytes, "z"), OPT_WORD("log-format", &word, words, "w"),
		OPT_STR("metrics-listen", "WHERE", &name, "m"), OPT_END,
	};
	const struct opt_cmd cmd = { .name = "fuzz", .about = "f", .opts = opts };
	char path[64], *text = NULL;

	fuzz_quiet();
	claim(fd >= 0 && write(fd, data, size) == (ssize_t)size);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	if (!opt_read_file(&cmd, path, &text)) {
		claim(text && (!name || strlen(name) <= size));
		claim(word >= 0 && word <= 2);
	} else {
		claim(!text);
	}
	free(text);
	close(fd);
	return 0;
}
