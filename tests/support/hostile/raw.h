/* SPDX-License-Identifier: Apache-2.0 */
/* raw: a client without a library: attaches for real and then does with the channel what it likes.
 *
 * Owns      struct mr_raw owns its channel, page mapping and liveness socket.
 * Threads   One a client, where not said otherwise.
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

/* Connects to a unix socket of that type. A descriptor or -errno. */
int mr_raw_connect(const char *path, int type);

/* Attaches. A refusal's code is returned and its text printed. */
int mr_raw_attach(struct mr_raw *c, const char *path, const char *name);
void mr_raw_close(struct mr_raw *c);

/* Space for a record, waiting until the worker has taken enough; NULL if it never does, or has shut
 * the session. */
uint8_t *mr_raw_claim(struct mr_raw *c, size_t bytes);
/* Shows what was pushed, ringing the bell if the worker sleeps. */
void mr_raw_show(struct mr_raw *c);
/* Waits until the worker has taken all that was shown. */
int mr_raw_drain(struct mr_raw *c);

/* Pushes a message with any kind, target and payload; does not show it. */
int mr_raw_send(struct mr_raw *c, unsigned kind, uint32_t target,
	const struct mrf_reply_token *token, const char *subject, size_t subject_bytes,
	const void *payload, size_t payload_bytes);

/* Subscribes; the code that control answered with. Skips other messages that come meanwhile. */
int mr_raw_subscribe(struct mr_raw *c, uint32_t id, const char *pattern);
/* The same with an alias for `subject`, which is put into *alias. */
int mr_raw_alias(struct mr_raw *c, const char *subject, uint32_t *alias);

/* Opens a queue or service, and consumes or serves it; the code that was answered, and its number. */
int mr_raw_open(
	struct mr_raw *c, unsigned kind, const char *name, unsigned when_full, uint32_t *queue);
int mr_raw_consume(struct mr_raw *c, unsigned kind, const char *name, uint32_t id,
	uint32_t prefetch, uint32_t *queue);
/* The next message of this kind, valid until the next call; others are dropped. */
int mr_raw_next(struct mr_raw *c, unsigned kind, struct mr_message_view *m);
/* Pushes a message; does not show it. */
int mr_raw_send_plan(struct mr_raw *c, const struct mr_message_plan *plan, uint32_t target);

/* Waits for the bus to shut the session; prints what it said. */
int mr_raw_wait_expelled(struct mr_raw *c);

/* Not for keeping secrets; the same numbers every time, so that what was found can be found again. */
uint64_t mr_raw_random(void);
void mr_raw_random_fill(void *to, size_t bytes);

#endif
