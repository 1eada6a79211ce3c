/* SPDX-License-Identifier: Apache-2.0 */
/* log: the program's hook for events of the library. Without a hook nothing is formatted.
 *
 * Threads   The client's. Only calls on the client log, so no signal handler does.
 * Errors    Each event passes MR_EVENT_BURST lines a second; the next line tells how many were left
 *           out.
 */
#ifndef MILLRACE_CLIENT_CORE_LOG_H
#define MILLRACE_CLIENT_CORE_LOG_H

#include "client/core/part.h"

#define MR_EVENT_BURST 5u

extern const struct mr_part mr_log_part;

void mr_event_write(struct mr_client *c, enum mr_severity severity, enum mr_event event,
	const char *format, ...) __attribute__((format(printf, 4, 5)));

/* Arguments are evaluated only if the hook wants the severity. */
#define mr_event_log(c, how, ...)                                                                  \
	do {                                                                                       \
		if (mr_unlikely((c)->log.hook != NULL && (how) <= (c)->log.severity))              \
			mr_event_write(c, how, __VA_ARGS__);                                       \
	} while (0)

#endif
