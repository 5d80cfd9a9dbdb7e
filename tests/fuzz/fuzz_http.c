// SPDX-License-Identifier: GPL-2.0
/*
 * Requests of any bytes at the metrics server as it runs: its own thread, a unix socket, one connection an input. The first byte
 * says how many bytes come at once (0: all). What comes back is an answer of HTTP that a strict reader takes, or nothing; 200 only for a
 * GET or HEAD, OpenMetrics only for who asked for it; and the next one is served as well.
 */
#include "fuzz/fuzz.h"

#include <errno.h>
#include <poll.h>
#include <stdbool.h>
#include <strings.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "out/prom_server.h"

#define ANSWER_MAX (256 * 1024)

static struct prom_server *server;
static struct sockaddr_un addr = { .sun_family = AF_UNIX };
static socklen_t addr_len;

static void give(void)
{
	struct prom_sample *s = calloc(1, sizeof(*s));

	claim(s);
	s->version = "1.0";
	s->tier = "c";
	prom_server_give(server, s);
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	fuzz_quiet();
	addr_len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 +
			       (size_t)snprintf(addr.sun_path + 1, sizeof(addr.sun_path) - 1, "portlife_fuzz.%d", (int)getpid()));
	claim(fd >= 0 && !bind(fd, (struct sockaddr *)&addr, addr_len) && !listen(fd, 32));
	claim(!prom_server_open(&fd, 1, &server));
	return 0;
}

/* Until it has answered and closed. */
static size_t listen_to(int fd, char *answer)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	size_t len = 0;
	ssize_t n = 1;

	while (n > 0 || (n < 0 && errno == EAGAIN)) {
		if (prom_server_wants(server))
			give();
		poll(&p, 1, 5);
		n = recv(fd, answer + len, ANSWER_MAX - len, MSG_DONTWAIT);
		len += n > 0 ? (size_t)n : 0;
		claim(len < ANSWER_MAX);
	}
	answer[len] = '\0';
	return len;
}

static size_t ask(const void *request, size_t size, size_t at_once, char *answer)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	const char *at = request;
	size_t len, n;

	claim(fd >= 0 && !connect(fd, (struct sockaddr *)&addr, addr_len));
	/* It may answer and close before it has read all. */
	for (; size; size -= n, at += n) {
		n = at_once && at_once < size ? at_once : size;
		if (send(fd, at, n, MSG_NOSIGNAL) != (ssize_t)n)
			break;
	}
	shutdown(fd, SHUT_WR);
	len = listen_to(fd, answer);
	close(fd);
	return len;
}

static bool has(const uint8_t *data, size_t size, const char *word)
{
	size_t len = strlen(word);

	for (size_t i = 0; i + len <= size; i++)
		if (!strncasecmp((const char *)data + i, word, len))
			return true;
	return false;
}

/* One header's value, NULL: not there; no name twice. */
static const char *header(const char *head, const char *end, const char *name)
{
	const char *found = NULL;
	size_t len = strlen(name);

	for (const char *line = strstr(head, "\r\n") + 2; line < end; line = strstr(line, "\r\n") + 2)
		if (!strncasecmp(line, name, len) && line[len] == ':') {
			claim(!found);
			found = line + len + 2;
		}
	return found;
}

/* The status; the answer is well formed, and nothing of the request is in it. */
static int judge(const char *answer, size_t len, bool head_only)
{
	static const char go_on[] = "HTTP/1.1 100 Continue\r\n\r\n";
	const char *end, *size;
	int status = 0, n = 0;

	if (!strncmp(answer, go_on, sizeof(go_on) - 1)) {
		answer += sizeof(go_on) - 1;
		len -= sizeof(go_on) - 1;
	}
	end = strstr(answer, "\r\n\r\n");
	if (!len)
		return 0;	/* it was told to go on, and went */
	claim(end && strlen(answer) == len);
	claim(sscanf(answer, "HTTP/1.%*1[01] %3d %*[A-Za-z -]%n", &status, &n) == 1 && n && answer[n] == '\r' && answer[n + 1] == '\n');
	for (const char *p = answer; *p; p++)
		claim(*p == '\n' || *p == '\r' || (*p >= 0x20 && *p < 0x7f));
	for (const char *p = answer; p < end; p++)
		claim((*p == '\r') == (p[1] == '\n') || p == end);
	/* libmicrohttpd 0.9.75 answers some malformed requests with the head twice: its own answers are not judged. */
	if (status != 200 && status != 404 && status != 405 && status != 503)
		return status;
	size = header(answer, end, "Content-Length");
	claim(size);
	claim(head_only || (size_t)atol(size) == len - (size_t)(end + 4 - answer));
	return status;
}

static void check_alive(char *answer)
{
	static const char request[] = "GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n";
	size_t len = ask(request, sizeof(request) - 1, 0, answer);

	claim(judge(answer, len, false) == 200);
	claim(strstr(answer, "\nportlife_allocations_total"));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static char answer[ANSWER_MAX + 1];
	static unsigned int n;
	size_t len;
	int status;

	if (!size)
		return 0;
	len = ask(data + 1, size - 1, data[0], answer);
	if (len) {
		bool head = has(data, size, "HEAD");

		status = judge(answer, len, head);
		claim(!status || status == 200 || (status >= 400 && status <= 505));
		claim(status != 200 || head || has(data, size, "GET"));	/* the library ends the method at a NUL */
		claim(!strstr(answer, "openmetrics-text") || has(data, size, "application/openmetrics-text"));
	}
	if (++n % 64 == 0)
		check_alive(answer);
	return 0;
}
