/* SPDX-License-Identifier: GPL-2.0 */
/* What the files of `portlife why` share: its options, and the list of holders. */
#ifndef PORTLIFE_CMD_WHY_H
#define PORTLIFE_CMD_WHY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/opt.h"
#include "kern/host.h"
#include "kern/source.h"
#include "model/why.h"
#include "out/why_answer.h"

struct why_opts {
	struct common_opts common;
	int proto;			/* 0: not asked */
	const char *addr;		/* NULL: the wildcard */
	uint32_t netns;			/* 0: our own; of refusals: any */
	bool reuseaddr, reuseport, v6only, trial;
	int64_t at, since, until, now;
	uint32_t limit;
	bool live;
	int scope_all;
	int64_t duration;
	enum tier tier;
	uint64_t ring_size;
};

/* Each returns an exit code, or a negative errno of the output. */
int why_now(const struct why_opts *o, const char *port);
int why_past(const struct why_opts *o);
int why_live(const struct why_opts *o);

/* A growing list; the strings of its events are its own. */
struct why_holders {
	struct why_holder *at;
	size_t n, cap;
};

/* Appends a zeroed holder with a copy of the event; 0 or -ENOMEM. */
int why_holders_add(struct why_holders *list, const struct event *ev);
void why_holders_free(struct why_holders *list);
/* Those in the way first, then by role and start; returns how many are in the way. */
size_t why_holders_sort(struct why_holders *list);

/* Writes and flushes; 0 or a negative errno. */
int why_write(struct strbuf *out);

/* The ports of namespaces, and what those that have gone said last. */
struct why_spaces {
	struct why_space *at;
	size_t n;
};
/*
 * Asks the kernel anew unless `cached`, which takes an answer of the last second
 * too.  Never fails: what cannot be known is not known.  The answer lives until
 * the next call.
 */
void why_spaces_get(struct why_spaces *s, uint32_t netns, bool cached, struct why_netns *ret);
void why_spaces_free(struct why_spaces *s);

/*
 * The fail explained by leases that were held at its instant: `each` calls
 * why_explain_lease() for every one it knows.
 */
struct why_explain {
	struct why_refusal r;
	struct why_sock want;
	struct why_holders holders;
	struct why_range *range;	/* NULL: a number was asked for */
	struct why_top tops[WHY_TOPS];
};
/* `ns`: as it was then, as far as that is known. */
int why_explain_begin(struct why_explain *x, const struct event *fail, const struct why_netns *ns);
int why_explain_lease(struct why_explain *x, const struct event *lease);
/* The same, from the kernel's own table: it knows what became of the lease since it began. */
int why_explain_fresh(struct why_explain *x, const struct event *lease);
void why_explain_end(struct why_explain *x);
void why_explain_free(struct why_explain *x);

/* How refusals go out, one after the other: sentences, lines, rows or one document. */
struct why_sink {
	const struct common_opts *common;
	uint64_t told;
	bool unsure;			/* one of them could be wrong */
};
int why_sink_begin(struct why_sink *s);
int why_sink_put(struct why_sink *s, const struct why_refusal *r);
/* `status` "found", "nothing" or "incomplete"; `gaps` may be NULL. */
int why_sink_end(struct why_sink *s, const char *status, const struct gap *gaps, size_t n_gaps);

/* Whether both are the same refusal, told twice. */
bool why_same_refusal(const struct event *a, const struct event *b);

#endif
