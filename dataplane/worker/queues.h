/* SPDX-License-Identifier: Apache-2.0 */
/* queues: the queues that this worker owns, and the way to those that another worker owns. Private
 * to the worker.
 *
 *   session ──▶ its worker ──▶ home: engine (dataplane/queue) ──▶ consumer's worker ──▶ consumer
 *                   └── mesh: from which session ──▶┘      └── mesh: to which session ──▶┘
 *   control ──hand-off──▶ home: command ──hand-off──▶ control
 *
 * A queue's number contains its home worker, so the client's worker needs to know nothing else of
 * the queue. It checks the message's form and adds the sender's session; the home worker checks the
 * rest.
 *
 * Owns      The engine, and the memory of its messages.
 * Threads   The worker's lcore. It reads the directories of other workers to learn whether a
 *           session lives. Sessions are freed only after this worker, too, has reported quiescence.
 * Hot path  All but commands; no allocation but from the slab.
 */
#ifndef MILLRACE_WORKER_QUEUES_H
#define MILLRACE_WORKER_QUEUES_H

#include "dataplane/worker/stages.h"

int mr_worker_queues_new(struct mr_worker *w, const struct mr_worker_config *c);
void mr_worker_queues_free(struct mr_worker *w);

/* Handles a message of a session of this worker: one of the kinds below, or a Reply to a call. */
void mr_worker_queues_entry(struct mr_worker *w, const struct mr_burst_entry *e);
/* Handles a message for a queue of this worker, from a session of any worker. */
void mr_worker_queues_take(struct mr_worker *w, uint64_t session, const struct mr_message_view *m);
/* Takes a publish that goes into a bound queue of this worker: a Push with a subject. */
void mr_worker_queues_publish(
	struct mr_worker *w, uint64_t session, const struct mr_message_view *m);
/* Takes back a delivery that another worker returned: its session had no room. */
void mr_worker_queues_undelivered(struct mr_worker *w, uint64_t session, uint64_t tag);
/* Handles a Control message with a command, and sends the answer. */
void mr_worker_queues_command(
	struct mr_worker *w, uint64_t session, const struct mr_message_view *m);

/* Runs the engine once a round, if anything has come or a millisecond has passed. */
void mr_worker_queues_run(struct mr_worker *w);
/* Runs the engine before a sleep, whatever the clock says. False: it has more to do. */
bool mr_worker_queues_calm(struct mr_worker *w);
/* Returns how long the worker may sleep, in nanoseconds; -1: for ever. */
int64_t mr_worker_queues_sleep_ns(struct mr_worker *w);

#define MR_KIND_BIT(kind) (1u << MRF_MESSAGE_KIND_##kind)
#define MR_KINDS_OF_QUEUES                                                                         \
	(MR_KIND_BIT(PUSH) | MR_KIND_BIT(SETTLE) | MR_KIND_BIT(PART) | MR_KIND_BIT(CREDIT) |       \
		MR_KIND_BIT(REPLY) | MR_KIND_BIT(PUSH_OPTIONS))

/* True if the message is for a queue of any worker. A Reply is if it has a target. */
static inline bool mr_worker_is_for_queue(const struct mrf_message_header *h)
{
	return h->kind < 32 && (MR_KINDS_OF_QUEUES >> h->kind & 1) != 0 &&
	       (mr_likely(h->kind != MRF_MESSAGE_KIND_REPLY) || h->target != 0);
}

#endif
