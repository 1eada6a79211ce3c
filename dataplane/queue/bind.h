/* SPDX-License-Identifier: Apache-2.0 */
/* bind: queues that are bound to subjects: plain publishes go in (bind.c).
 *
 * Owns      Nothing. mr_bind_finish takes the entry.
 * Threads   One: the home worker. The table writer sets the bindings' numbers and counts.
 */
#ifndef MILLRACE_QUEUE_BIND_H
#define MILLRACE_QUEUE_BIND_H

#include "dataplane/queue/push.h"

/* 0, or -1: no memory. */
int mr_bind_init(struct mr_queues *q);
void mr_bind_fini(struct mr_queues *q);
/* True if the queue once had all bindings that were asked for, also if it was unbound since. */
bool mr_bind_was_bound(const struct mr_queues *q, const struct mr_queue *queue);
/* Returns how many bindings the queue has. */
uint32_t mr_bind_count(const struct mr_queues *q, const struct mr_queue *queue);
/* Sets and clears flags by what is used now; once a run. */
void mr_bind_run(struct mr_queues *q);
/* Clears the queue's flag. */
void mr_bind_removed(struct mr_queues *q, struct mr_queue *queue);
/* For a publish in fragments: as mr_push_check, _known, _refuse and _finish for a push. */
uint32_t mr_bind_check(struct mr_queues *q, uint64_t session, struct mr_queue *queue,
	const struct mr_message_view *m, uint64_t body_bytes, struct mr_push_facts *facts);
/* True for a promised publish, which goes in whatever the queue holds. */
static inline bool mr_bind_is_promised(const struct mr_message_view *m)
{
	return (m->header.flags & (MRF_MESSAGE_FLAG_ORIGIN | MRF_MESSAGE_FLAG_LOW)) ==
	       MRF_MESSAGE_FLAG_ORIGIN;
}
void mr_bind_known(struct mr_queues *q, struct mr_queue *queue);
void mr_bind_refuse(struct mr_queues *q, struct mr_queue *queue, uint32_t status);
void mr_bind_finish(struct mr_queues *q, struct mr_queue *queue, struct mr_queue_entry *e,
	const struct mr_message_view *m);

#endif
