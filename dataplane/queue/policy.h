/* SPDX-License-Identifier: Apache-2.0 */
/* policy: chooses among the ready consumers of a queue. Private to dataplane/queue.
 *
 * Threads   One: the home worker.
 * Errors    reserve alone can fail.
 */
#ifndef MILLRACE_QUEUE_POLICY_H
#define MILLRACE_QUEUE_POLICY_H

#include <stdint.h>

struct mr_queue;
struct mr_queue_consumer;
struct mr_queues;

/* Makes room for one more consumer: -ENOSPC, -ENOMEM. */
int mr_policy_reserve(struct mr_queues *q, struct mr_queue *queue);
void mr_policy_fini(struct mr_queues *q, struct mr_queue *queue);
void mr_policy_join(struct mr_queue *queue, struct mr_queue_consumer *c);
void mr_policy_leave(struct mr_queue *queue, struct mr_queue_consumer *c);
void mr_policy_add(struct mr_queue *queue, struct mr_queue_consumer *c);
void mr_policy_remove(struct mr_queue *queue, struct mr_queue_consumer *c);
struct mr_queue_consumer *mr_policy_choose(struct mr_queues *q, struct mr_queue *queue);
/* Notes that the consumer was given a delivery. */
void mr_policy_used(struct mr_queue *queue, struct mr_queue_consumer *c);
/* Replaces the queue's policy. */
void mr_policy_change(struct mr_queue *queue, uint8_t policy);
/* Notes that a ready consumer has one delivery less. */
void mr_policy_settled(struct mr_queue *queue, struct mr_queue_consumer *c);

#endif
