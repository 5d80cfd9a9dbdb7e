// SPDX-License-Identifier: GPL-2.0
/*
 * GET /metrics with libmicrohttpd, run from one thread of ours; see
 * prom_server.h.
 *
 * A request that finds no fresh sample is suspended, the drain sees that one is
 * wanted, and the request goes on when it came.  The library ends connections
 * that are idle; who trickles bytes is ended here, by age.
 */
#include "out/prom_server.h"

#include <dlfcn.h>
#include <errno.h>
#include <microhttpd.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/eventfd.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/str.h"

#define CONNECTIONS_MAX 32		/* all sockets together */
#define CONNECTION_BYTES (16 * 1024)	/* for a request and its headers */
#define IDLE_S 5
#define LOOK_MS 500
#define LOOK_BUSY_MS 20	/* while somebody is connected: one that goes on is not always announced */
#define AGE_MAX_NS (10 * 1000000000LL)
#define WAIT_MAX_NS (3 * 1000000000LL)	/* for a sample */
#define FRESH_NS (1000000000LL)

/*
 * The library is loaded by who serves: it brings TLS with it, which would be half
 * of the time that every command takes to begin.
 */
#define MHD_LIBRARY "libmicrohttpd.so.12"
#define MHD_FUNCTIONS(X) \
	X(add_response_header) X(create_response_from_buffer) X(destroy_response) \
	X(get_connection_info) X(get_fdset2) X(get_timeout) \
	X(lookup_connection_value) X(queue_response) X(resume_connection) \
	X(run_from_select) X(start_daemon) X(stop_daemon) \
	X(suspend_connection)

#define MHD_MEMBER(name) __typeof__(MHD_##name) *name;
static struct { MHD_FUNCTIONS(MHD_MEMBER) } mhd;

static int mhd_load(void)
{
	void *library = dlopen(MHD_LIBRARY, RTLD_NOW | RTLD_LOCAL);
	const char *lacks = library ? NULL : MHD_LIBRARY;

#define MHD_FIND(fn)                                                  \
	if (!lacks) {                                                 \
		*(void **)&mhd.fn = dlsym(library, "MHD_" #fn);       \
		lacks = mhd.fn ? NULL : "MHD_" #fn;                   \
	}
	MHD_FUNCTIONS(MHD_FIND)
	if (!lacks)
		return 0;	/* never unloaded: others may serve as well */
	log_err("metrics cannot be served without the library libmicrohttpd: %s", dlerror());
	if (library)
		dlclose(library);
	return -ELIBACC;
}

struct request {
	struct MHD_Connection *connection;	/* NULL: free */
	int fd;
	int64_t began;
	bool waiting;
};

struct prom_server {
	struct MHD_Daemon *daemons[PROM_LISTEN_MAX];
	unsigned int n;
	int event;			/* readable when a sample was given */
	pthread_t thread;
	bool started;
	bool stop, wanted;			/* atomic */
	struct prom_sample *next;		/* atomic; NULL: none */
	/* The thread's own. */
	struct MHD_Response *responses[2];	/* plain, OpenMetrics */
	int64_t sampled;
	struct request requests[CONNECTIONS_MAX];
};

/* ---- what is answered ---- */

static enum MHD_Result answer_text(struct MHD_Connection *c, unsigned int status, const char *text)
{
	struct MHD_Response *r = mhd.create_response_from_buffer(strlen(text), (void *)text, MHD_RESPMEM_PERSISTENT);
	enum MHD_Result ret;

	if (!r)
		return MHD_NO;
	mhd.add_response_header(r, "Connection", "close");
	if (status == MHD_HTTP_METHOD_NOT_ALLOWED)
		mhd.add_response_header(r, "Allow", "GET, HEAD");
	ret = mhd.queue_response(c, status, r);
	mhd.destroy_response(r);
	return ret;
}

/* Listed, and not with a weight of nothing. */
static bool wants_open_metrics(struct MHD_Connection *c)
{
	const char *accept = mhd.lookup_connection_value(c, MHD_HEADER_KIND, "Accept"), *at, *end, *q;

	at = accept ? strcasestr(accept, "application/openmetrics-text") : NULL;
	if (!at)
		return false;
	end = at + strcspn(at, ",");
	q = strcasestr(at, "q=");
	return !q || q > end || strtod(q + 2, NULL) > 0;
}

static struct request *request_of(struct prom_server *s, const struct MHD_Connection *c)
{
	for (int i = 0; i < CONNECTIONS_MAX; i++)
		if (s->requests[i].connection == c)
			return &s->requests[i];
	return NULL;
}

static enum MHD_Result answer_metrics(struct prom_server *s, struct MHD_Connection *c)
{
	struct request *r = request_of(s, c);
	int64_t now = clock_boot_ns();

	if (s->responses[0] && now - s->sampled < FRESH_NS)
		return mhd.queue_response(c, MHD_HTTP_OK, s->responses[wants_open_metrics(c)]);
	if (!r || now - r->began > WAIT_MAX_NS)
		return answer_text(c, MHD_HTTP_SERVICE_UNAVAILABLE, "the recorder does not answer\n");
	r->waiting = true;
	__atomic_store_n(&s->wanted, true, __ATOMIC_RELEASE);
	mhd.suspend_connection(c);
	return MHD_YES;
}

static enum MHD_Result on_request(void *cls, struct MHD_Connection *c, const char *url, const char *method,
				  const char *version, const char *data, size_t *size, void **state)
{
	if (strcmp(method, "GET") && strcmp(method, "HEAD"))
		return answer_text(c, MHD_HTTP_METHOD_NOT_ALLOWED, "only GET is served here\n");
	if (!*state) {
		*state = cls;	/* the headers have come; the request is whole at the next call */
		return MHD_YES;
	}
	if (*size) {
		*size = 0;	/* a body means nothing here */
		return MHD_YES;
	}
	if (strcmp(url, "/metrics"))
		return answer_text(c, MHD_HTTP_NOT_FOUND, "metrics are at /metrics\n");
	return answer_metrics(cls, c);
}

static void on_connection(void *cls, struct MHD_Connection *c, void **context, enum MHD_ConnectionNotificationCode what)
{
	struct prom_server *s = cls;
	struct request *r = request_of(s, what == MHD_CONNECTION_NOTIFY_STARTED ? NULL : c);
	const union MHD_ConnectionInfo *info = mhd.get_connection_info(c, MHD_CONNECTION_INFO_CONNECTION_FD);

	if (r && what == MHD_CONNECTION_NOTIFY_STARTED)
		*r = (struct request){ .connection = c, .fd = info ? info->connect_fd : -1, .began = clock_boot_ns() };
	else if (r)
		*r = (struct request){ .fd = -1 };
}

/* ---- the thread ---- */

static struct MHD_Response *response_make(const struct prom_sample *sample, bool open_metrics)
{
	struct strbuf text = STRBUF_INIT;
	struct MHD_Response *r = NULL;

	prom_render(&text, sample, open_metrics);
	if (!strbuf_err(&text))
		r = mhd.create_response_from_buffer(text.len, text.data, MHD_RESPMEM_MUST_COPY);
	strbuf_free(&text);
	if (r) {
		mhd.add_response_header(r, "Content-Type", open_metrics ? PROM_TYPE_OPEN : PROM_TYPE_TEXT);
		mhd.add_response_header(r, "Connection", "close");
	}
	return r;
}

static void responses_drop(struct prom_server *s)
{
	for (int i = 0; i < 2; i++) {
		if (s->responses[i])
			mhd.destroy_response(s->responses[i]);
		s->responses[i] = NULL;
	}
}

static void sample_take(struct prom_server *s)
{
	struct prom_sample *sample = __atomic_exchange_n(&s->next, NULL, __ATOMIC_ACQ_REL);

	if (!sample)
		return;
	responses_drop(s);
	s->responses[0] = response_make(sample, false);
	s->responses[1] = response_make(sample, true);
	if (!s->responses[0] || !s->responses[1])
		responses_drop(s);
	s->sampled = clock_boot_ns();
	free(sample);
}

/* Lets those go on who waited for a sample, or waited too long; ends those who take too long altogether. */
static void requests_look(struct prom_server *s)
{
	int64_t now = clock_boot_ns();
	bool fresh = s->responses[0] && now - s->sampled < FRESH_NS;

	for (int i = 0; i < CONNECTIONS_MAX; i++) {
		struct request *r = &s->requests[i];

		if (!r->connection)
			continue;
		if (r->waiting && (fresh || now - r->began > WAIT_MAX_NS)) {
			r->waiting = false;
			mhd.resume_connection(r->connection);
		} else if (now - r->began > AGE_MAX_NS && r->fd >= 0) {
			shutdown(r->fd, SHUT_RDWR);
		}
	}
}

static bool requests_any(const struct prom_server *s)
{
	for (int i = 0; i < CONNECTIONS_MAX; i++)
		if (s->requests[i].connection)
			return true;
	return false;
}

/*
 * By select(2) and not by epoll: there the library (0.9.75) takes a short read
 * for the end of what is there, and misses that the client has gone.
 */
static void server_wait(struct prom_server *s)
{
	struct timeval tv = { .tv_usec = (requests_any(s) ? LOOK_BUSY_MS : LOOK_MS) * 1000 };
	MHD_UNSIGNED_LONG_LONG ms;
	fd_set in, out, except;
	int max = s->event;

	FD_ZERO(&in);
	FD_ZERO(&out);
	FD_ZERO(&except);
	FD_SET(s->event, &in);
	for (unsigned int i = 0; i < s->n; i++) {
		mhd.get_fdset2(s->daemons[i], &in, &out, &except, &max, FD_SETSIZE);
		if (mhd.get_timeout(s->daemons[i], &ms) == MHD_YES && ms < LOOK_MS && (suseconds_t)ms * 1000 < tv.tv_usec)
			tv.tv_usec = (suseconds_t)ms * 1000;
	}
	if (select(max + 1, &in, &out, &except, &tv) < 0) {
		FD_ZERO(&in);
		FD_ZERO(&out);
		FD_ZERO(&except);
	}
	for (unsigned int i = 0; i < s->n; i++)
		mhd.run_from_select(s->daemons[i], &in, &out, &except);
}

static void *server_thread(void *arg)
{
	struct prom_server *s = arg;
	uint64_t count;

	while (!__atomic_load_n(&s->stop, __ATOMIC_ACQUIRE)) {
		server_wait(s);
		if (read(s->event, &count, sizeof(count)) > 0)
			sample_take(s);
		requests_look(s);
	}
	return NULL;
}

/* ---- the side of the drain ---- */

bool prom_server_wants(const struct prom_server *s)
{
	return __atomic_load_n(&s->wanted, __ATOMIC_ACQUIRE);
}

void prom_server_give(struct prom_server *s, struct prom_sample *sample)
{
	uint64_t one = 1;

	__atomic_store_n(&s->wanted, false, __ATOMIC_RELEASE);
	free(__atomic_exchange_n(&s->next, sample, __ATOMIC_ACQ_REL));
	if (write(s->event, &one, sizeof(one)) < 0)
		return;	/* only a full counter refuses, and that wakes as well */
}

/* ---- life ---- */

static int server_listen(struct prom_server *s, int fd, unsigned int n)
{
	s->daemons[s->n] = mhd.start_daemon(MHD_ALLOW_SUSPEND_RESUME, 0, NULL, NULL, on_request, s,
					    MHD_OPTION_LISTEN_SOCKET, fd,
					    MHD_OPTION_CONNECTION_LIMIT, (unsigned int)(CONNECTIONS_MAX / n),
					    MHD_OPTION_CONNECTION_TIMEOUT, (unsigned int)IDLE_S,
					    MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)CONNECTION_BYTES,
					    MHD_OPTION_NOTIFY_CONNECTION, on_connection, s, MHD_OPTION_END);
	if (!s->daemons[s->n])
		return -ENOMEM;
	s->n++;
	return 0;
}

static int server_start(struct prom_server *s, const int *fds, unsigned int n)
{
	sigset_t all, old;
	int err = 0;

	s->event = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (s->event < 0)
		return -errno;
	for (unsigned int i = 0; !err && i < n && i < PROM_LISTEN_MAX; i++)
		err = server_listen(s, fds[i], n);
	if (err)
		return err;
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	err = -pthread_create(&s->thread, NULL, server_thread, s);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	s->started = !err;
	return err;
}

int prom_server_open(const int *fds, unsigned int n, struct prom_server **ret)
{
	struct prom_server *s = calloc(1, sizeof(*s));
	int err;

	if (!s)
		return -ENOMEM;
	s->event = -1;
	err = mhd_load();
	if (!err)
		err = server_start(s, fds, n);
	if (err)
		prom_server_close(s);
	else
		*ret = s;
	return err;
}

void prom_server_close(struct prom_server *s)
{
	uint64_t one = 1;

	if (!s)
		return;
	__atomic_store_n(&s->stop, true, __ATOMIC_RELEASE);
	if (s->started && write(s->event, &one, sizeof(one)) > 0)
		pthread_join(s->thread, NULL);
	/* The library refuses to end while somebody is suspended. */
	for (int i = 0; i < CONNECTIONS_MAX; i++)
		if (s->requests[i].connection && s->requests[i].waiting)
			mhd.resume_connection(s->requests[i].connection);
	for (unsigned int i = 0; i < s->n; i++)
		mhd.stop_daemon(s->daemons[i]);
	responses_drop(s);
	free(s->next);
	if (s->event >= 0)
		close(s->event);
	free(s);
}
