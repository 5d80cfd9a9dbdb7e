/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A message to the journal with fields of its own: MESSAGE, PRIORITY,
 * SYSLOG_IDENTIFIER, and PORTLIFE_<NAME> for each field of the event behind it.
 * Internal to out/.
 */
#ifndef PORTLIFE_OUT_LOG_JOURNAL_H
#define PORTLIFE_OUT_LOG_JOURNAL_H

#include <stdbool.h>
#include "base/log.h"

/* Whether there is a journal: sending succeeds silently without one. */
bool log_journal_works(void);

/* May block.  0 or a negative errno. */
int log_journal_send(enum log_level level, const char *text, const char *json);

#endif
