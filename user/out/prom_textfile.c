// SPDX-License-Identifier: GPL-2.0
/* The thread that writes the file: a slow disk holds up nobody else; see prom_server.h. */
#include "out/prom_server.h"

#include <errno.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/log.h"
#include "out/beside.h"

struct prom_textfile {
	char *path;
	struct prom_sample *next;	/* atomic; NULL: none */
	bool stop;			/* atomic */
	uint64_t failed;		/* atomic */
	bool failing;
	sem_t wake;
	pthread_t thread;
};

static void textfile_write(struct prom_textfile *t)
{
	struct prom_sample *s = __atomic_exchange_n(&t->next, NULL, __ATOMIC_ACQ_REL);
	int err;

	if (!s)
		return;
	err = prom_write_file(t->path, s);
	free(s);
	if (err && !t->failing)
		log_err("cannot write the metrics to '%s': %s", t->path, beside_why(err));
	else if (!err && t->failing)
		log_info("the metrics are written to '%s' again", t->path);
	t->failing = err;
	__atomic_add_fetch(&t->failed, err != 0, __ATOMIC_RELAXED);
}

uint64_t prom_textfile_failed(const struct prom_textfile *t)
{
	return t ? __atomic_load_n(&t->failed, __ATOMIC_RELAXED) : 0;
}

static void *textfile_thread(void *arg)
{
	struct prom_textfile *t = arg;

	while (!__atomic_load_n(&t->stop, __ATOMIC_ACQUIRE)) {
		while (sem_wait(&t->wake))
			;
		textfile_write(t);
	}
	textfile_write(t);
	return NULL;
}

int prom_textfile_open(const char *path, struct prom_textfile **ret)
{
	struct prom_textfile *t = calloc(1, sizeof(*t));
	sigset_t all, old;
	int err;

	if (!t)
		return -ENOMEM;
	t->path = strdup(path);
	sem_init(&t->wake, 0, 0);
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	err = t->path ? -pthread_create(&t->thread, NULL, textfile_thread, t) : -ENOMEM;
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	if (err) {
		free(t->path);
		free(t);
		return err;
	}
	*ret = t;
	return 0;
}

void prom_textfile_give(struct prom_textfile *t, struct prom_sample *sample)
{
	free(__atomic_exchange_n(&t->next, sample, __ATOMIC_ACQ_REL));	/* one that was not written in time */
	sem_post(&t->wake);
}

void prom_textfile_close(struct prom_textfile *t, int ms)
{
	struct timespec until;

	if (!t)
		return;
	__atomic_store_n(&t->stop, true, __ATOMIC_RELEASE);
	sem_post(&t->wake);
	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += ms / 1000;
	if (pthread_timedjoin_np(t->thread, NULL, &until))
		return;	/* stuck in the disk: it ends with the process */
	free(t->next);
	sem_destroy(&t->wake);
	free(t->path);
	free(t);
}
