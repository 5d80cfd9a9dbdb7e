/* SPDX-License-Identifier: GPL-2.0 */
/* The command table and its dispatch, nothing else. */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "cmd/cmd.h"

static const struct cmd cmds[] = {
	{ "trace", "live stream of port allocations and releases", cmd_trace },
	{ "record", "the daemon: keeps the history", cmd_record },
	{ "who", "who holds a port now, and who held it", cmd_who },
	{ "why", "why somebody could not have a port", cmd_why },
	{ "report", "lifetimes, reuse, use of the range and suspects over a span", cmd_report },
	{ "doctor", "what this kernel allows, and whether the counts agree", cmd_doctor },
};

static int usage(FILE *to)
{
	fprintf(to, "portlife %s: the flight recorder for local ports\n\nusage: portlife COMMAND [OPTION...]\n\n", PORTLIFE_VERSION);
	for (size_t i = 0; i < sizeof(cmds) / sizeof(cmds[0]); i++)
		fprintf(to, "  %-10s %s\n", cmds[i].name, cmds[i].about);
	fprintf(to, "\nportlife COMMAND --help tells more.\n");
	return fflush(to) ? EXIT_STORE : EXIT_OK;
}

static int run(int argc, char **argv)
{
	for (size_t i = 0; i < sizeof(cmds) / sizeof(cmds[0]); i++)
		if (!strcmp(argv[0], cmds[i].name))
			return cmds[i].run(argc, argv);
	log_err("no command '%s'; portlife --help lists them", argv[0]);
	return EXIT_USAGE;
}

/*
 * Where stdin, stdout or stderr is closed, the next file that is opened would
 * take its number, and what is meant for a reader go into it.  Writing to what
 * stands there now fails, as it should.
 */
static void keep_standard_files(void)
{
	int fd;

	do
		fd = open("/dev/null", O_RDONLY);
	while (fd >= 0 && fd <= STDERR_FILENO);
	if (fd > STDERR_FILENO)
		close(fd);
}

int main(int argc, char **argv)
{
	keep_standard_files();
	signal(SIGPIPE, SIG_IGN);
	if (argc < 2) {
		usage(stderr);
		return EXIT_USAGE;
	}
	if (!strcmp(argv[1], "help") && argc > 2)
		return run(2, (char *[]){ argv[2], (char []){ "--help" }, NULL });
	if (!strcmp(argv[1], "--help") || !strcmp(argv[1], "-h") || !strcmp(argv[1], "help"))
		return usage(stdout);
	if (!strcmp(argv[1], "--version")) {
		printf("portlife %s\n", PORTLIFE_VERSION);
		return fflush(stdout) ? EXIT_STORE : EXIT_OK;
	}
	return run(argc - 1, argv + 1);
}
