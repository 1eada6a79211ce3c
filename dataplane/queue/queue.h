/* SPDX-License-Identifier: Apache-2.0 */
/* queue: queues and services of one home worker: every message goes to exactly one consumer.
 *
 *   push ─▶ ready (three priorities) ─▶ chosen consumer ─▶ outstanding ─▶ acked
 *              ▲        delayed ◀────── nack, consumer lost, ack time-out ──┘ └▶ dead letters
 *
 * A service is a queue with least-recently-used choice and one delivery at a time by default,
 * whose ack is the final reply; it keeps who asked with each call. Nothing here knows rings,
 * frames or the mesh: what is to be sent goes through struct mr_queue_ops, and time is what the
 * caller says, so tests step it.
 *
 * Owns      Everything in a struct mr_queues, in a store of a fixed size.
 * Threads   One: the home worker.
 * Units     Times in milliseconds of a monotonic clock (now_ms), sizes in bytes.
 * Errors    Status codes of the protocol for what clients did; -errno for commands of the
 *           operator.
 * Hot path  push, settle, reply, run: no lock, log or system call; allocation from the store
 *           alone.
 */
#ifndef MILLRACE_QUEUE_QUEUE_H
#define MILLRACE_QUEUE_QUEUE_H

#include <stdbool.h>

#include "lib/base/slab.h"
#include "lib/wire/message.h"
#include "lib/wire/queue_name.h"
#include "flatbuf/link.h"

struct mr_queues;

/* What the engine asks of its owner. All are given `arg` of the configuration. */
struct mr_queue_ops {
	/* Sends to a session; `target` is the message's. False: the session cannot take it now:
	 * nothing was sent, and run will try again. Only of deliveries; all else must be held and
	 * not refused. `final`: nobody will ask again. */
	bool (*send)(void *arg, uint64_t session, const struct mr_message_plan *plan,
		uint32_t target, bool final);
	/* False: the session is gone, or going. */
	bool (*lives)(void *arg, uint64_t session);
	/* When something was last heard of a session, in milliseconds; for services. */
	uint64_t (*heard_ms)(void *arg, uint64_t session);
	/* Bytes of the largest message that the session can be sent at all. What is larger goes in pieces. */
	uint32_t (*room)(void *arg, uint64_t session);
	/* Whose session it is: see base/share.h. NULL: all are MR_PEER_OWN. */
	uint64_t (*peer)(void *arg, uint64_t session);
};

struct mr_queues_config {
	unsigned worker;
	uint32_t queues_max;
	uint32_t per_client_max;
	uint32_t window;
	uint32_t publishers_max;
	uint32_t peer_percent; /* of each table for one peer; 0: all of it */
	uint32_t idle_ms;
	uint32_t message_bytes_max;       /* of all fragments */
	struct mrf_queue_options queue;   /* defaults, complete */
	struct mrf_queue_options service; /* the same; max_deliver: retries + 1 */
	uint32_t prefetch;
	uint32_t heartbeat_ms;
	uint32_t missed_max;
	uint64_t seed; /* of Random, and of what must not be guessed */
	const struct mr_queue_ops *ops;
	void *arg;
	struct mrf_worker_stats *stats;
};

/* The store is the caller's, and may serve others too. -ENOMEM. */
int mr_queues_new(const struct mr_queues_config *c, struct mr_slab *store, struct mr_queues **out);
/* What is in the store stays there: the store is to be freed next. */
void mr_queues_free(struct mr_queues *q);

/* A Push for a queue of this worker, from `session`. The outcome goes back by itself: as an
 * Accepted, with others of the same round, if there is an origin, and as a Status if it is a call
 * and refused. */
void mr_queues_push(
	struct mr_queues *q, uint64_t session, const struct mr_message_view *m, uint64_t now_ms);
/* A Settle: all of its settlements. */
void mr_queues_settle(
	struct mr_queues *q, uint64_t session, const struct mr_message_view *m, uint64_t now_ms);
/* A Reply whose target is not 0: to a call; final without More. */
void mr_queues_reply(
	struct mr_queues *q, uint64_t session, const struct mr_message_view *m, uint64_t now_ms);
/* A Part or Credit, of a caller or of a worker. */
void mr_queues_part(
	struct mr_queues *q, uint64_t session, const struct mr_message_view *m, uint64_t now_ms);
/* A delivery that was sent could not be given to its session after all: as if it had not been. */
void mr_queues_undelivered(struct mr_queues *q, uint64_t tag, uint64_t now_ms);

/* Delivers what can be, and says what was accepted: once a round, when anything was called since,
 * when the last run said so, or when it is due. Bounded. True: there is more to do at once. */
bool mr_queues_run(struct mr_queues *q, uint64_t now_ms);
/* Time-outs, delays, ages, consumers whose session is gone or silent, idle queues: every
 * millisecond or so. Bounded: goes on where it stopped. */
void mr_queues_tick(struct mr_queues *q, uint64_t now_ms);
/* When tick has something to do that cannot wait, or UINT64_MAX. */
uint64_t mr_queues_due_ms(const struct mr_queues *q);
/* Time of the caller's clock in which nobody ran, which counts for no time-out: the caller came more than half a second
 * after it was due. */
uint64_t mr_queues_lost_ms(const struct mr_queues *q);

/* A command of control; writes the answer, a table of `b`, and returns it. */
uint32_t mr_queues_command(
	struct mr_queues *q, struct mrf_table command, struct mrf_builder *b, uint64_t now_ms);

#endif
