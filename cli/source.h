/* SPDX-License-Identifier: Apache-2.0 */
/* source: takes the messages of a queue with all that they are: first those that are ready, then
 * those that are not due yet.
 *
 * It is a consumer of the queue, with a tag by which the bus finds it. What a delivery does not say
 * (the rest of a time to live, of a delay) it asks the bus for.
 *
 * Owns      The consumer, and a connection to the admin socket.
 * Threads   The main one.
 * Errors    Exit codes: errors have been reported. -errno of `next`: they have not.
 */
#ifndef MILLRACE_CLI_SOURCE_H
#define MILLRACE_CLI_SOURCE_H

#include "client/millrace.h"
#include "cli/admin.h"

#define MR_CLI_SOURCE_BATCH 16u

struct mr_cli_source {
	const struct mr_cli *cli;
	struct mr_client *client;
	const char *queue;
	struct mr_consumer *consumer;
	struct mr_cli_admin admin; /* open while there is a consumer */
	char tag[48];
	bool ready_only; /* leaves those that are not due */
	struct mr_delivery batch[MR_CLI_SOURCE_BATCH];
	struct mr_message *kept[MR_CLI_SOURCE_BATCH]; /* copies of their messages */
	struct mr_push pushes[MR_CLI_SOURCE_BATCH];
	unsigned count, next;
};

/* Asks the bus about the queue: how many messages are ready, and for how long deliveries may be
 * held, ms. Fails if there is no such queue, or if it is paused. */
int mr_cli_source_ask(
	const struct mr_cli *cli, const char *queue, uint64_t *ready, uint64_t *hold_ms);
/* Begins to consume. `prefetch`: how many deliveries may be unsettled. */
int mr_cli_source_open(struct mr_cli_source *s, unsigned prefetch);
/* Ends the consumer: what is not settled goes back. */
void mr_cli_source_close(struct mr_cli_source *s);
/* Takes the next message; both are valid until the next call. 0; -ENODATA: there is none, or the
 * command was interrupted, or `code` has the exit code of a failure that was reported; or
 * -errno. */
int mr_cli_source_next(struct mr_cli_source *s, const struct mr_delivery **d,
	const struct mr_push **push, int *code);

#endif
