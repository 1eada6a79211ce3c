/* SPDX-License-Identifier: Apache-2.0 */
/* promise_deliver: delivers promised messages to this worker's subscribers and group members.
 * Private to the worker.
 *
 * A copy goes into the session's ring or reliable flow, or is queued for the session (promise.h).
 * After each copy the session's fill is compared with its high-water mark; a session above the mark
 * becomes full, which pauses its publishers (backpressure.h).
 *
 * Units     `high_water`: percent of the ring's or log's capacity; 0: the subscription does not
 *           block.
 * Threads   The worker's lcore.
 * Hot path  All of it.
 */
#ifndef MILLRACE_WORKER_PROMISE_DELIVER_H
#define MILLRACE_WORKER_PROMISE_DELIVER_H

#include "dataplane/worker/promise.h"

/* Delivers a promised message to all plain subscribers of this worker; returns how many get it.
 * Blocking subscriptions do not miss it. */
uint32_t mr_worker_promise_own(
	struct mr_worker *w, const struct mr_route *r, const struct mr_message_plan *plan);
/* Delivers a run of messages (deliver.h) likewise. */
void mr_worker_promise_run_own(struct mr_worker *w, const struct mr_route *r,
	const struct mr_burst_entry *e, uint32_t count);
/* Delivers to one blocking sink, a message or a run. */
uint32_t mr_worker_promise_sink(struct mr_worker *w, struct mr_session *s, const struct mr_route *r,
	uint32_t high_water, const struct mr_message_plan *plan, uint32_t sub_id);
void mr_worker_promise_run_sink(struct mr_worker *w, struct mr_session *s, const struct mr_route *r,
	uint32_t high_water, const struct mr_burst_entry *e, uint32_t count, uint32_t sub_id);
/* Delivers to a queue group's member of this worker. False: it misses the message, which is not
 * counted if `high_water` is 0 or the session is passed over. */
bool mr_worker_promise_member(struct mr_worker *w, struct mr_session *s, const struct mr_route *r,
	uint32_t high_water, const struct mr_message_plan *plan, uint32_t sub_id);
#endif
