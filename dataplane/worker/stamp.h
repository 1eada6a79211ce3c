/* SPDX-License-Identifier: Apache-2.0 */
/* stamp: when the bus took a message, and from whom, for subscriptions that ask. Private to the
 * worker.
 *
 * The worker that takes a publish from its publisher makes the stamp, if the route asks. Copies for
 * other workers carry all of it; each subscriber gets the parts that it asked for. Routes that ask
 * are delivered by fan.c, so other routes do not pay.
 *
 * Units     Nanoseconds since 1970-01-01 UTC.
 * Threads   The worker's lcore.
 */
#ifndef MILLRACE_WORKER_STAMP_H
#define MILLRACE_WORKER_STAMP_H

#include "dataplane/worker/stages.h"

/* A MessageStamp and the name behind it. */
struct mr_stamp {
	uint32_t bytes;
	uint8_t wire[MR_STAMP_BYTES_MAX];
};

/* Makes the stamp of a message that is taken from this session now. */
void mr_stamp_make(struct mr_stamp *stamp, struct mr_worker *w, const struct mr_session *from);
/* Copies a stamp of another worker's message. */
void mr_stamp_copy(struct mr_stamp *stamp, const void *wire, uint32_t bytes);

/* Adds the parts of the stamp that `asks` (MR_SINK_ASKS) names. Does nothing if none is asked for,
 * `stamp` is NULL, or the message would exceed its largest size. `room` must live as long as the
 * plan. */
void mr_stamp_add(struct mr_message_plan *plan, const struct mr_stamp *stamp, uint32_t asks,
	struct mr_message_stamp_room *room);

/* True if a message can have a stamp: of a fragmented one the first fragment has it. */
static inline bool mr_stamp_may_have(const struct mr_message_view *m)
{
	return !(m->header.flags & MRF_MESSAGE_FLAG_FRAGMENT) || m->extra.fragment.offset == 0;
}

#endif
