/* SPDX-License-Identifier: Apache-2.0 */
/* handover: an input and its outputs, in one step: outputs are pushed under numbers made from the
 * input's, and the input is acked when each is accepted.
 *
 *   mr_settle_and_push ──▶ queue.c ──▶ outbox ──▶ bus          the outputs
 *                                        │
 *   on the last one accepted ◀── on_output ◀── Accepted
 *        └──▶ consumer.c: Ack of the input ──▶ callback
 *
 * An output that is open already, because an earlier delivery of the same input pushed it, is not
 * pushed again: the handover waits for it, as the queue would drop the second as known.
 *
 *   handover.c       the table, and ends
 *   handover_call.c  the calls: numbers, checks, pushing
 *
 * Outcomes are told by run_ended alone, so that no callback runs while a list is walked.
 *
 * Owns      A client owns its handovers, from 0 of the call until the callback returns.
 * Threads   The client's.
 */
#ifndef MILLRACE_CLIENT_QUEUE_HANDOVER_H
#define MILLRACE_CLIENT_QUEUE_HANDOVER_H

#include "client/core/part.h"

struct mr_consumer;
struct mr_queue;

#define MR_HANDOVER_BUCKETS 1024u

struct mr_handover_output {
	struct mr_handover_output *hash_next;
	struct mr_handover *handover;
	struct mr_queue *queue;
	struct mrf_message_origin origin;
	bool open;
};

struct mr_handover {
	struct mr_handover *prev;
	struct mr_handover *next;
	struct mr_client *client;
	struct mr_consumer *consumer; /* NULL: gone, with the delivery */
	uint64_t tag;
	mr_settle_fn *callback;
	void *arg;
	struct mr_settle_options options;
	bool waits; /* a call waits for the end, and frees it */
	bool ended;
	int error;
	char *text; /* NULL: the text of the error; its own memory */
	uint32_t open;
	uint32_t count;
	struct mr_handover_output outputs[];
};

struct mr_handovers {
	struct mr_handover *first;
	struct mr_handover *ended; /* their outcomes are not told yet */
	struct mr_handover **ended_end;
	bool adding;
	struct mr_handover_output *hash[MR_HANDOVER_BUCKETS];
};

/* The queue has answered an output: 0, or why it was refused. */
void mr_handover_outcome(struct mr_queue *q, uint64_t publisher, uint64_t id, int error);
/* The consumer forgets its deliveries: ends the handovers of its inputs. */
void mr_handovers_consumer_gone(struct mr_consumer *k);
/* The queue is about to be freed: ends the handovers that wait for it. */
void mr_handovers_queue_gone(struct mr_queue *q);
/* Frees all of them without callbacks. */
void mr_handovers_free(struct mr_client *c);

extern const struct mr_part mr_handover_part;

/* For handover_call.c. */

void mr_handover_link(struct mr_handover *h);
/* Leaves the list, with all outputs. */
void mr_handover_unlink(struct mr_handover *h);
/* Enters an output that is open. */
void mr_handover_link_output(struct mr_handover_output *o);
void mr_handover_free(struct mr_handover *h);
/* Keeps the text of its error, unless there is one already. */
void mr_handover_say(struct mr_handover *h, const char *text);
/* Settles the input, by the handover's error. */
void mr_handover_settle(struct mr_handover *h);
/* Ends a handover and settles its input. Its outcome is told later, unless a call waits for it. */
void mr_handover_end(struct mr_handover *h, int error);

#endif
