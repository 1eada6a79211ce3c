/* SPDX-License-Identifier: Apache-2.0 */
/* promise: messages that must not be lost on their way to a session. Private to the worker.
 *
 *   mr_worker_promise ──▶ ring, or open frame of the reliable flow
 *          └─ no room ──▶ queued: a FIFO of the session in the worker's store
 *                            └──▶ ring or frame, as soon as there is room
 *
 * While messages are queued for a session nothing overtakes them. The session misses best-effort
 * messages meanwhile, and is told of each gap at its place in the order. (Over UDP this holds for
 * the reliable flow only.) Answers and deliveries of queues have memory of their own, w->answers.
 * Those that are queued for one session are bounded by held_bytes_max and by what is left for all;
 * those of one peer by its share. So clients that do not read leave room to others.
 * Promised publishes are bounded before they are taken: they may use all that w->store has left.
 *
 * A session is *full* from when its ring or log, with what is queued, goes above its high-water
 * mark until it is down to half of the mark. The mark is that of its subscriptions, or lower if
 * what may be under way would find no room. Publishers of promised messages are paused meanwhile
 * (backpressure.h).
 *
 * Owns      What is queued, and a record of each session that has something queued or is full:
 *           chunks of the worker's store. A record knows its session by slot and generation only,
 *           so the next check finds that a session is closed.
 * Threads   The worker's lcore.
 * Hot path  All of it.
 */
#ifndef MILLRACE_WORKER_PROMISE_H
#define MILLRACE_WORKER_PROMISE_H

#include "dataplane/worker/stages.h"

enum mr_promise {
	MR_PROMISE_SENT,   /* in the ring or a frame */
	MR_PROMISE_QUEUED, /* in the store, for the ring or a frame */
	MR_PROMISE_LOST,   /* no room in its share of the store: counted, and the session is told */
};

struct mr_queued;

/* A session that is full, or for which messages are queued. */
struct mr_slow_session {
	struct mr_slow_session *next; /* in the worker's list */
	uint32_t slot;
	uint32_t generation;
	uint64_t peer;
	struct mr_queued *first;
	struct mr_queued *last;
	uint64_t bytes;        /* queued, as they will be in ring or log */
	uint64_t answer_bytes; /* of them in w->answers */
	uint32_t messages;
	bool gone;           /* the session is closed: what is queued is dropped */
	uint64_t open_below; /* bytes: full until no more are waiting; 0: not full */
	uint64_t level;      /* bytes that waited when it was last seen to read */
	uint64_t since;      /* cycles, at that time */
	uint64_t looked;     /* cycles, at the last check */
};

/* `percent`: one peer's share of the bytes; 0: all. `peers_max`: the number of sessions. -ENOMEM,
 * -EIO. */
int mr_answers_init(struct mr_answers *a, uint64_t bytes_max, uint32_t percent, uint32_t peers_max);
void mr_answers_fini(struct mr_answers *a);

/* Copies a message into the session's ring or reliable flow, behind what is queued for it. */
enum mr_promise mr_worker_promise(struct mr_worker *w, struct mr_session *s,
	const struct mr_message_plan *plan, uint32_t target);
/* Copies a message, but never queues it. False: no room, or something is queued before it. */
bool mr_worker_try(struct mr_worker *w, struct mr_session *s, const struct mr_message_plan *plan,
	uint32_t target);
/* Promises a message to a session of any worker, through the mesh if needed. Counts it if the
 * session is closed. */
void mr_worker_promise_to(
	struct mr_worker *w, uint64_t session, const struct mr_message_plan *plan, uint32_t target);
/* Sends what is queued and clears full flags, of some sessions; once a round. */
void mr_worker_slow_sessions_run(struct mr_worker *w);

/* Returns the session's record, a new one if there is none. NULL: no memory. */
struct mr_slow_session *mr_worker_slow_session(struct mr_worker *w, struct mr_session *s);
/* Returns the bytes that the session's reader has not read yet: by the last known head; by a new
 * look. */
uint64_t mr_worker_underway(const struct mr_session *s);
uint64_t mr_worker_underway_now(struct mr_session *s);
/* Returns the capacity of its ring or log, bytes. */
uint64_t mr_worker_capacity(const struct mr_session *s);

/* Returns CLOCK_MONOTONIC nanoseconds at the start of the round. */
static inline uint64_t mr_worker_now_ns(const struct mr_worker *w)
{
	return (uint64_t)((int64_t)((double)w->round_start * 1e9 / (double)w->tsc_hz) +
			  w->scan.clock_delta);
}

#endif
