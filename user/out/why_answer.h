/* SPDX-License-Identifier: GPL-2.0 */
/*
 * How `why` reads: two answers, each with two faces.  Sentences for people,
 * led by the reason, ended by the one action that helps; or JSON.  Names of
 * other people are escaped before they reach a terminal.
 */
#ifndef PORTLIFE_OUT_WHY_ANSWER_H
#define PORTLIFE_OUT_WHY_ANSWER_H

#include "model/why.h"

struct strbuf;
struct json;

/* What the namespace says of its ports. */
struct why_netns {
	bool known;			/* lo and hi are */
	uint16_t lo, hi;
	bool unprivileged_known;
	uint32_t unprivileged;		/* first port that needs no privilege */
	const struct ports *reserved;	/* NULL: not known */
	uint32_t reserved_then;		/* with `reserved` NULL: how many ports of the range were, by the record */
};

/* "Could I bind this now?" */
struct why_port {
	uint16_t port;
	struct why_sock want;
	uint32_t netns;			/* asked about */
	bool own;			/* that is our own namespace */
	struct why_netns ns;
	bool may_low;			/* we have CAP_NET_BIND_SERVICE */
	const struct why_holder *holders;	/* of the port, protocol and namespace; those in the way first */
	size_t n, in_the_way;
	const struct why_holder *others;	/* the same port elsewhere: another namespace or protocol */
	size_t n_others;
	int expected;			/* errno by the rules, 0: none */
	bool tried;
	int trial;			/* what the kernel said, errno or 0; negative: it could not be asked */
	int64_t now;
};

/* The errno that counts: the kernel's word where it was asked. */
int why_port_errno(const struct why_port *p);

/* One or more refusals of the same kind, explained at the last of them. */
struct why_refusal {
	struct event ev;		/* EV_FAIL, the last one */
	uint64_t count;
	int64_t first;			/* unix ns of the first */
	const struct why_holder *holders;	/* of a port that was asked for; those in the way first */
	size_t n, in_the_way;
	uint64_t more;			/* holders that were not kept */
	enum why_cause cause;
	struct why_use use;		/* WHY_EXHAUSTED only */
	const struct why_top *tops;
	size_t n_tops;
	uint32_t netns_now;		/* our own namespace: no sysctl of another is named without it */
	struct why_netns ns;		/* as it is now */
	bool unsure;			/* a gap or what was never recorded could change it */
	bool unread;			/* unsure, and because a recorder that runs could not be asked */
	bool live;			/* seen as it happened */
};

/* Times local unless `utc`. */
void why_port_text(struct strbuf *out, const struct why_port *p, bool utc);
void why_refusal_text(struct strbuf *out, const struct why_refusal *r, bool utc);
/* One object, no newline. */
void why_port_json(struct strbuf *out, const struct why_port *p);
void why_refusal_json(struct strbuf *out, const struct why_refusal *r);

/* ---- for the files why_*.c of this folder alone ---- */

/* "10.0.0.5:8080", "[::1]:8080" */
void why_say_end(struct strbuf *out, unsigned int family, const uint32_t addr[4], unsigned int port);
/* Its owner and its ends, "dig (pid 4711) 10.0.0.5:8080 -> 10.0.1.9:443". */
void why_say_holder(struct strbuf *out, const struct why_holder *h);
/* "curl (pid 4711, /usr/bin/curl, session-3.scope)" */
void why_say_owner(struct strbuf *out, const struct event *ev);
/* "an outgoing connection", "a listening socket" */
const char *why_role_text(const struct why_holder *h);
/* One sentence each, appended without a newline; false: nothing to say. */
bool why_say_remedies(struct strbuf *out, const struct why_holder *h);
bool why_port_action(struct strbuf *out, const struct why_port *p);
bool why_refusal_action(struct strbuf *out, const struct why_refusal *r);
void why_holder_json(struct json *j, const struct why_holder *h);
void why_holders_json(struct json *j, const char *key, const struct why_holder *h, size_t n);
void why_netns_json(struct json *j, const struct why_netns *ns);
bool why_holder_action(struct strbuf *out, const struct why_holder *h, const struct why_netns *ns, bool now);

#endif
