/* SPDX-License-Identifier: Apache-2.0 */
/* hello: admits clients over UDP. Control checks the hello, the data plane opens the session, and
 * the worker carries the answer to the client.
 *
 * Workers only hand over hellos with a valid cookie, which proves the sender's address. Control
 * keeps nothing of a hello but its open question to the data plane. If a message is lost, the
 * client repeats its hello and gets the same answer.
 *
 * Owns      Its open questions, a bounded number.
 * Threads   The loop's.
 * Errors    Go to the client as code and text of a Refusal, and into counters. A question that
 *           cannot be sent now is dropped and counted.
 */
#ifndef MILLRACE_CONTROL_HELLO_H
#define MILLRACE_CONTROL_HELLO_H

#include "lib/config/config.h"
#include "control/link/link.h"
#include "control/session/access.h"

struct mr_handoff;

/* Number of open questions. Each has its place in one set of MR_HELLO_SET. One host has at most
 * peers.share_percent of them. */
#define MR_HELLO_QUESTIONS_MAX 1024u
#define MR_HELLO_SET           4u

struct mr_hello_question {
	struct mr_hello *hello;
	uint64_t nonce; /* 0: free */
	struct mrf_network_path path;
};

struct mr_hello {
	struct mr_in_flight in_flight; /* questions by host */
	struct mr_link *link;
	struct mr_handoff *handoff;
	const struct mr_config *config;
	struct mr_control_counters *counters;
	struct mr_access_networks networks;
	uint64_t seed; /* makes places unpredictable */
	struct mr_hello_question questions[MR_HELLO_QUESTIONS_MAX];
};

/* -ENOMEM, -EIO. */
int mr_hello_init(struct mr_hello *h, struct mr_link *link, struct mr_handoff *handoff,
	const struct mr_config *config, struct mr_control_counters *counters);
void mr_hello_fini(struct mr_hello *h);
/* Handles the part of a record behind its header: a NetworkPath and a message, within `bytes`. */
void mr_hello_take(struct mr_hello *h, unsigned worker, const uint8_t *at, size_t bytes);

#endif
