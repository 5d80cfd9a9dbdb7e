/* SPDX-License-Identifier: GPL-2.0 */
/*
 * How long a port stays free until somebody takes it again.
 *
 * Remembers the last release of at most REUSE_PORTS_MAX ports; beyond that the
 * ports of the namespace that was seen first are forgotten, so that with very
 * many namespaces the intervals are a sample.  Times are the boot clock.
 */
#ifndef PORTLIFE_MODEL_REUSE_H
#define PORTLIFE_MODEL_REUSE_H

#include <stdint.h>

#define REUSE_PORTS_MAX (256 * 1024)

struct reuse;

/* 0 or -ENOMEM. */
int reuse_new(struct reuse **ret);
void reuse_free(struct reuse *r);

/* Short of memory it forgets. */
void reuse_released(struct reuse *r, uint32_t netns, unsigned int proto, uint16_t port, uint64_t at);
/* Nanoseconds since the release, or -1 when that is not known; then forgets it. */
int64_t reuse_taken(struct reuse *r, uint32_t netns, unsigned int proto, uint16_t port, uint64_t at);

#endif
