/* SPDX-License-Identifier: Apache-2.0 */
/* later: settlements that are more work than is left until the next run.
 *
 *   AckUpTo ──▶ the consumer's ack_at: its deliveries up to that one are acked, some of them a run
 *   Reject, Requeue, Returned ──▶ list of the worker: each delivery is ended when its turn comes
 *
 * What was settled is settled: a tag of such a delivery names nothing any more, and no time-out,
 * end of time, or loss of the consumer changes its outcome. It counts as unsettled until it is
 * ended, so its consumer gets no other in its place.
 *
 * Owns      Nothing; a delivery in the list is still its consumer's.
 * Threads   One: the home worker.
 */
#ifndef MILLRACE_QUEUE_LATER_H
#define MILLRACE_QUEUE_LATER_H

#include "dataplane/queue/engine.h"

/* Ends the delivery later. */
void mr_later(struct mr_queues *q, struct mr_queue_delivery *d, enum mr_queue_back why,
	uint32_t delay_ms);
/* Ends those in the list, as far as the call's work reaches. */
void mr_later_run(struct mr_queues *q);

/* Acks the consumer's deliveries in order up to `last`: as far as the call's work reaches, the
 * others later. */
void mr_later_ack(struct mr_queues *q, struct mr_queue_delivery *last);
/* Goes on with it. False: there are more. */
bool mr_later_ack_run(struct mr_queues *q, struct mr_queue_consumer *c);
/* True if the delivery, whose consumer has MR_SPECIAL_ACKS, is acked and not ended yet. */
bool mr_later_is_acked(const struct mr_queues *q, const struct mr_queue_delivery *d);
/* The delivery, whose consumer has MR_SPECIAL_ACKS, leaves its place in order. */
void mr_later_ack_moves(struct mr_queues *q, const struct mr_queue_delivery *d);

#endif
