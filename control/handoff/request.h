/* SPDX-License-Identifier: Apache-2.0 */
/* request: one request of a client, shared by the handlers in client.c and queues.c.
 *
 * Owns      Nothing: a request lives for one call; session and correlation address the answer.
 * Threads   The loop's.
 * Errors    Go to the client as a Result.
 */
#ifndef MILLRACE_CONTROL_REQUEST_H
#define MILLRACE_CONTROL_REQUEST_H

#include "control/handoff/handoff.h"

struct mr_request {
	struct mr_handoff *handoff;
	uint64_t session;
	uint64_t peer;
	uint32_t correlation;
};

/* client.c */
void mr_request_result(const struct mr_request *q, int code, const char *text);
/* Refuses the request: counts it and answers "what: why". Returns true. */
bool mr_request_invalid(const struct mr_request *q, int code, const char *what, const char *why);
/* Refuses the request if there is a fault in a name. True if so. */
bool mr_request_fault(const struct mr_request *q, const char *what, enum mr_subject_fault fault);

/* queues.c; `t` is the request's own table. */
void mr_request_queue_open(const struct mr_request *q, struct mrf_table t);
void mr_request_queue_consume(const struct mr_request *q, struct mrf_table t);
void mr_request_queue_withdraw(const struct mr_request *q, struct mrf_table t);
void mr_request_queue_cancel(const struct mr_request *q, struct mrf_table t);
void mr_request_mmi(const struct mr_request *q, struct mrf_table t);

#endif
