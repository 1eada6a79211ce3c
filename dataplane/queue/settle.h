/* SPDX-License-Identifier: Apache-2.0 */
/* settle: how deliveries end (settle.c).
 *
 * Owns      Nothing. The delivery is free afterwards, and its entry gone or back in its queue.
 * Threads   One: the home worker.
 */
#ifndef MILLRACE_QUEUE_SETTLE_H
#define MILLRACE_QUEUE_SETTLE_H

#include "dataplane/queue/engine.h"

void mr_settle_done(struct mr_queues *q, struct mr_queue_delivery *d);
void mr_settle_back(struct mr_queues *q, struct mr_queue_delivery *d, enum mr_queue_back why,
	uint32_t delay_ms);
/* Acks a delivery. The ack of a call is its final reply: without one the caller is told that there
 * is none. */
void mr_settle_acknowledge(struct mr_queues *q, struct mr_queue_delivery *d);

#endif
