/* SPDX-License-Identifier: Apache-2.0 */
/* raw: a client without the library: attaches correctly and then does anything with the channel.
 *
 * Owns      struct mr_raw owns its channel, page mapping and liveness socket.
 * Threads   One for each client, unless said otherwise.
 * Errors    0 or -errno. Waits are bounded by MR_RAW_WAIT_MS: -ETIMEDOUT.
 */
#ifndef MILLRACE_TESTS_HOSTILE_RAW_H
#define MILLRACE_TESTS_HOSTILE_RAW_H

#include "lib/channel/channel.h"
#include "lib/wire/message.h"

#define MR_RAW_WAIT_MS 20000

struct mr_raw {
	struct mr_channel channel;
	const struct mr_worker_page *page;
	struct mr_bytes_producer up;
	struct mr_bytes_consumer down;
	int liveness_fd;
	uint64_t session;
	uint32_t correlation;
};

/* Connects to a unix socket of that type. Returns a descriptor or -errno. */
int mr_raw_connect(const char *path, int type);

/* Attaches. Returns the code of a refusal and prints its text. */
int mr_raw_attach(struct mr_raw *c, const char *path, const char *name);
void mr_raw_close(struct mr_raw *c);

/* Claims space for a record; waits until the worker has taken enough. NULL if it never does, or if
 * the bus has closed the session. */
uint8_t *mr_raw_claim(struct mr_raw *c, size_t bytes);
/* Publishes the tail, and wakes the worker if it sleeps. */
void mr_raw_show(struct mr_raw *c);
/* Waits until the worker has taken all that was published. */
int mr_raw_drain(struct mr_raw *c);

/* Pushes a message with any kind, target and payload; does not publish the tail. */
int mr_raw_send(struct mr_raw *c, unsigned kind, uint32_t target,
	const struct mrf_reply_token *token, const char *subject, size_t subject_bytes,
	const void *payload, size_t payload_bytes);

/* Subscribes; returns the code of control's answer. Skips other messages. */
int mr_raw_subscribe(struct mr_raw *c, uint32_t id, const char *pattern);
/* Asks for an alias of `subject` and stores it in *alias; returns the code. */
int mr_raw_alias(struct mr_raw *c, const char *subject, uint32_t *alias);

/* Opens a queue or service, and consumes or serves it; returns the answer's code, and its
 * number. */
int mr_raw_open(
	struct mr_raw *c, unsigned kind, const char *name, unsigned when_full, uint32_t *queue);
int mr_raw_consume(struct mr_raw *c, unsigned kind, const char *name, uint32_t id,
	uint32_t prefetch, uint32_t *queue);
/* Returns the next message of this kind, valid until the next call; drops others. */
int mr_raw_next(struct mr_raw *c, unsigned kind, struct mr_message_view *m);
/* Pushes a message; does not publish the tail. */
int mr_raw_send_plan(struct mr_raw *c, const struct mr_message_plan *plan, uint32_t target);

/* Waits for the bus to expel the session; prints its notice. */
int mr_raw_wait_expelled(struct mr_raw *c);

/* Returns a random number, the same sequence every time, so that a fault can be repeated. Not for
 * secrets. */
uint64_t mr_raw_random(void);
void mr_raw_random_fill(void *to, size_t bytes);

#endif
