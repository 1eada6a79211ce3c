/* SPDX-License-Identifier: Apache-2.0 */
/* queues: the queues that are at home with this worker, and the way to those that are with another.
 * Private to the worker.
 *
 *   session ──▶ its worker ──▶ home: engine (dataplane/queue) ──▶ consumer's worker ──▶ consumer
 *                   └── mesh: from which session ──▶┘      └── mesh: to which session ──▶┘
 *   control ──hand-off──▶ home: command ──hand-off──▶ control
 *
 * The number of a queue says where it is at home, so a client's worker needs to know nothing of it. It checks
 * the form of a message and says whose it is; the home checks all else.
 *
 * Owns      The engine, and the memory of what is in it.
 * Threads   The worker's lcore. Directories of the others are read to learn whether a session lives: what is in
 *           them is freed only after this worker, too, has reported quiescence.
 * Hot path  All but commands; no allocation but from the store.
 */
#ifndef MILLRACE_WORKER_QUEUES_H
#define MILLRACE_WORKER_QUEUES_H

#include "dataplane/worker/stages.h"

int mr_worker_queues_new(struct mr_worker *w, const struct mr_worker_config *c);
void mr_worker_queues_free(struct mr_worker *w);

/* A message of a session of this worker, of one of the kinds below or a Reply to a call. */
void mr_worker_queues_entry(struct mr_worker *w, const struct mr_burst_entry *e);
/* A message for a queue of this worker, from a session of any. */
void mr_worker_queues_take(struct mr_worker *w, uint64_t session, const struct mr_message_view *m);
/* A delivery of a queue of this worker came back from another: there is no room for it with the session. */
void mr_worker_queues_undelivered(struct mr_worker *w, uint64_t session, uint64_t tag);
/* A Control message with a command, which is answered. */
void mr_worker_queues_command(
	struct mr_worker *w, uint64_t session, const struct mr_message_view *m);

/* Delivers and accepts, if anything came; looks at the clock. Once a round. */
void mr_worker_queues_run(struct mr_worker *w);
/* Looks at the clock whatever it says: before a sleep. False: there is something to do. */
bool mr_worker_queues_calm(struct mr_worker *w);
/* So long at most it may sleep, in nanoseconds; -1: for ever. */
int64_t mr_worker_queues_sleep_ns(struct mr_worker *w);

#define MR_KIND_BIT(kind) (1u << MRF_MESSAGE_KIND_##kind)
#define MR_KINDS_OF_QUEUES                                                                         \
	(MR_KIND_BIT(PUSH) | MR_KIND_BIT(SETTLE) | MR_KIND_BIT(PART) | MR_KIND_BIT(CREDIT) |       \
		MR_KIND_BIT(REPLY))

/* True of the kinds that are for a queue, wherever it is; a Reply is if it has a target. */
static inline bool mr_worker_is_for_queue(const struct mrf_message_header *h)
{
	return h->kind < 32 && (MR_KINDS_OF_QUEUES >> h->kind & 1) != 0 &&
	       (mr_likely(h->kind != MRF_MESSAGE_KIND_REPLY) || h->target != 0);
}

#endif
