/* SPDX-License-Identifier: Apache-2.0 */
/* further: the receivers of a publish beside this worker's subscribers: queue groups, bound queues
 * and other workers. Private to the worker.
 *
 *   route.c ──▶ further.c ──▶ member of a group ──▶ session of this worker, or mesh
 *                        └──▶ bound queue, mesh
 *
 * Owns      Nothing.
 * Threads   The worker's lcore.
 * Hot path  All of it. Out of line, so that a publish to few subscribers stays in registers.
 */
#ifndef MILLRACE_WORKER_FURTHER_H
#define MILLRACE_WORKER_FURTHER_H

#include "dataplane/worker/fan.h"
#include "dataplane/worker/stages.h"

/* Delivers to groups and other workers, and handles a publish without receivers. `delivered`: the
 * copies made so far. `token` NULL: it is not a request. */
void mr_worker_publish_further(struct mr_worker *w, struct mr_session *from,
	const struct mr_message_view *m, const struct mr_route *r,
	const struct mrf_reply_token *token, uint32_t delivered);
/* Continues a fan-out (fan.h), with all its receivers. False: the turn's work is used up. */
bool mr_worker_fan_out(struct mr_worker *w, const struct mr_route *r, const struct mr_fan_load *l,
	struct mr_fan_at *at, bool whole);

/* Returns the flag for promised publishes into bound queues, see mr_worker_bound_give. What came
 * over UDP was acknowledged, so it is accepted. What stands in a ring is not. */
static inline uint8_t mr_worker_end_flag(const struct mr_session *from)
{
	if (mr_likely(from != NULL && !atomic_load_explicit(&from->ends, memory_order_relaxed)))
		return 0;
	return from == NULL || from->remote != NULL ? MRF_MESSAGE_FLAG_HIGH : MRF_MESSAGE_FLAG_LOW;
}

#endif
