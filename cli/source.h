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
	uint64_t ages[MR_CLI_SOURCE_BATCH]; /* ms in the queue; 0: not asked for, or not known */
	uint64_t older_ms;                  /* not 0: ask for ages */
	uint64_t age_ms;                    /* that of the message that was taken last */
	unsigned count, next;
};

/* The state of a queue. */
struct mr_cli_source_state {
	uint64_t ready;   /* messages */
	uint64_t hold_ms; /* deliveries may be held for so long */
	bool in_order;    /* all come in the order of their ages */
};
/* Asks the bus about the queue. Fails if there is no such queue, or if it is paused. */
int mr_cli_source_ask(
	const struct mr_cli *cli, const char *queue, struct mr_cli_source_state *state);
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
