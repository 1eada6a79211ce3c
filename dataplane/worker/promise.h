/* SPDX-License-Identifier: Apache-2.0 */
/* promise: messages that must not be lost on their way to a session. Private to the worker.
 *
 *   mr_worker_promise ──▶ ring, or open frame of the reliable flow
 *          └─ no room ──▶ held: a FIFO of the session in the worker's store ──▶ as soon as there is room
 *
 * A session is full from where its ring or log (with what is held) goes over the high water until it is
 * below half of that again. Publishers of promised messages learn so by gates, which every worker can read: one for
 * each bucket of subjects and worker, shut by the worker of the full receiver, and looked at before a
 * promised message is taken from its publisher. What was under way when a gate shut is held.
 *
 * Threads   The worker's lcore; gates are read by all workers.
 * Hot path  All of it.
 */
#ifndef MILLRACE_WORKER_PROMISE_H
#define MILLRACE_WORKER_PROMISE_H

#include "dataplane/worker/stages.h"

enum mr_promise {
	MR_PROMISE_SENT, /* in the ring or a frame */
	MR_PROMISE_HELD, /* will be */
	MR_PROMISE_LOST, /* its share of held messages is full: counted, and the session is told */
};

/* A copy into a session's ring or reliable flow, behind what is held for it. */
enum mr_promise mr_worker_promise(struct mr_worker *w, struct mr_session *s,
	const struct mr_message_plan *plan, uint32_t target);
/* The same, but never held: false when there is no room, or when something is held before it. */
bool mr_worker_try(struct mr_worker *w, struct mr_session *s, const struct mr_message_plan *plan,
	uint32_t target);
/* To a session of any worker: by the mesh, if it is another's. */
void mr_worker_promise_to(
	struct mr_worker *w, uint64_t session, const struct mr_message_plan *plan, uint32_t target);
/* Goes on with what is held, and opens gates; once a round. */
void mr_worker_held_run(struct mr_worker *w);

#endif
