/* SPDX-License-Identifier: Apache-2.0 */
/* hello: how clients over UDP join: checked here, opened by the data plane, answered through the worker.
 *
 * Workers hand over hellos whose cookie is good, so their senders are where they say. Nothing is kept
 * of them but the questions that the data plane has not answered yet; whatever is lost, a client says
 * hello again, and is answered the same.
 *
 * Owns      Its questions, a bounded number.
 * Threads   The loop's.
 * Errors    Go to the client, as code and text of a Refusal, and into counters. What cannot be asked
 *           now is dropped and counted.
 */
#ifndef MILLRACE_CONTROL_HELLO_H
#define MILLRACE_CONTROL_HELLO_H

#include "lib/config/config.h"
#include "control/link/link.h"

struct mr_handoff;

/* Questions open at once; each has its place in one set of so many. */
#define MR_HELLO_QUESTIONS_MAX 1024u
#define MR_HELLO_SET           4u

struct mr_hello_question {
	struct mr_hello *hello;
	uint64_t nonce; /* 0: free */
	struct mrf_network_path path;
};

struct mr_hello {
	struct mr_link *link;
	struct mr_handoff *handoff;
	const struct mr_config *config;
	struct mr_control_counters *counters;
	uint64_t seed; /* spreads the questions */
	struct mr_hello_question questions[MR_HELLO_QUESTIONS_MAX];
};

void mr_hello_init(struct mr_hello *h, struct mr_link *link, struct mr_handoff *handoff,
	const struct mr_config *config, struct mr_control_counters *counters);
/* A record's rest behind its header: a NetworkPath and a message, within `bytes`. */
void mr_hello_take(struct mr_hello *h, unsigned worker, const uint8_t *at, size_t bytes);

#endif
