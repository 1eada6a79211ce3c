/* SPDX-License-Identifier: Apache-2.0 */
/* promise: messages that must not be lost on their way to a session. Private to the worker.
 *
 *   mr_worker_promise ──▶ ring, or open frame of the reliable flow
 *          └─ no room ──▶ held: a FIFO of the session in the worker's store
 *                            └──▶ ring or frame, as soon as there is room
 *
 * While anything is held nothing goes to the session before it: what is not promised is missed, and
 * the session is told where in the row that was. (Over UDP that is said of the reliable flow alone.)
 * Answers and deliveries of queues held for one session are bounded by held_bytes_max and by what the
 * store has left for all, so that whoever comes later finds some. Promised publishes are bounded
 * before they are taken: they may use all that is left.
 *
 * A session is *full* from where its ring or log, with what is held, goes over its mark until it is at
 * half of that again. The mark is the high water of its subscriptions, or less where what is under way
 * would find no room. Publishers of promised messages learn so by gates: see backpressure.h.
 *
 * Owns      What is held, and a record of each session that has something held or is full: pieces of
 *           the worker's store. Records know their session by slot and generation alone, so that one
 *           that is gone is found to be so in the next look.
 * Threads   The worker's lcore.
 * Hot path  All of it.
 */
#ifndef MILLRACE_WORKER_PROMISE_H
#define MILLRACE_WORKER_PROMISE_H

#include "dataplane/worker/stages.h"

enum mr_promise {
	MR_PROMISE_SENT,   /* in the ring or a frame */
	MR_PROMISE_QUEUED, /* will be */
	MR_PROMISE_LOST, /* its share of held messages is full: counted, and the session is told */
};

struct mr_queued;

/* A session that is full, or for which something is held. */
struct mr_slow_session {
	struct mr_slow_session *next; /* in the worker's list */
	uint32_t slot;
	uint32_t generation;
	struct mr_queued *first;
	struct mr_queued *last;
	uint64_t bytes; /* held, as they will be in ring or log */
	uint32_t messages;
	bool gone;           /* nobody is to get it any more */
	uint64_t open_below; /* bytes: full until no more are waiting; 0: not full */
	uint64_t level;      /* bytes that waited when it was last seen to read */
	uint64_t since;      /* cycles, when that was */
	uint64_t looked;     /* cycles, when it was last looked at */
};

/* A copy into a session's ring or reliable flow, behind what is held for it. */
enum mr_promise mr_worker_promise(struct mr_worker *w, struct mr_session *s,
	const struct mr_message_plan *plan, uint32_t target);
/* The same, but never held: false when there is no room, or when something is held before it. */
bool mr_worker_try(struct mr_worker *w, struct mr_session *s, const struct mr_message_plan *plan,
	uint32_t target);
/* To a session of any worker: by the mesh, if it is another's. Gone: counted. */
void mr_worker_promise_to(
	struct mr_worker *w, uint64_t session, const struct mr_message_plan *plan, uint32_t target);
/* Goes on with what is held, and opens gates; once a round. Bounded. */
void mr_worker_slow_sessions_run(struct mr_worker *w);

/* The session's record, made if there is none. NULL: no memory. */
struct mr_slow_session *mr_worker_slow_session(struct mr_worker *w, struct mr_session *s);
/* Bytes that are on their way to the session's reader, as far as was seen; and looked at anew. */
uint64_t mr_worker_underway(const struct mr_session *s);
uint64_t mr_worker_underway_now(struct mr_session *s);
/* What its ring or log holds at most. */
uint64_t mr_worker_capacity(const struct mr_session *s);

/* CLOCK_MONOTONIC nanoseconds, as of the beginning of the round. */
static inline uint64_t mr_worker_now_ns(const struct mr_worker *w)
{
	return (uint64_t)((int64_t)((double)w->round_start * 1e9 / (double)w->tsc_hz) +
			  w->scan.clock_delta);
}

#endif
