/* SPDX-License-Identifier: Apache-2.0 */
#include "dataplane/worker/stamp.h"

#include <time.h>

_Static_assert(MR_STAMP_BYTES_MAX == sizeof(struct mrf_message_stamp) + MR_SESSION_NAME_BYTES - 1,
	"the longest name fits");

/* Returns CLOCK_REALTIME, read once in a round in which it is needed: it follows the steps of the
 * clock, and costs no system call (vDSO). */
static uint64_t time_ns(struct mr_worker *w)
{
	struct timespec t;

	if (w->stamps.round != w->round_start || w->stamps.time_ns == 0) {
		clock_gettime(CLOCK_REALTIME, &t);
		w->stamps.round = w->round_start;
		w->stamps.time_ns = (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
	}
	return w->stamps.time_ns;
}

static void put(struct mr_stamp *stamp, const struct mrf_message_stamp *head, const void *name,
	uint32_t name_bytes)
{
	stamp->bytes = (uint32_t)sizeof(*head) + name_bytes;
	memcpy(stamp->wire, head, sizeof(*head));
	memcpy(stamp->wire + sizeof(*head), name, name_bytes);
}

void mr_stamp_make(struct mr_stamp *stamp, struct mr_worker *w, const struct mr_session *from)
{
	struct mrf_message_stamp head = {.time_ns = time_ns(w), .sender = from->id};

	put(stamp, &head, from->name, (uint32_t)strnlen(from->name, MR_SESSION_NAME_BYTES - 1));
}

void mr_stamp_copy(struct mr_stamp *stamp, const void *wire, uint32_t bytes)
{
	assert(bytes <= sizeof(stamp->wire));
	stamp->bytes = bytes;
	memcpy(stamp->wire, wire, bytes);
}

void mr_stamp_add(struct mr_message_plan *plan, const struct mr_stamp *stamp, uint32_t asks,
	struct mr_message_stamp_room *room)
{
	struct mrf_message_stamp head;
	struct mr_stamp part;
	uint32_t name_bytes;

	if (stamp == NULL || (asks & MR_SINK_ASKS) == 0)
		return;
	memcpy(&head, stamp->wire, sizeof(head));
	name_bytes = stamp->bytes - (uint32_t)sizeof(head);
	if (!(asks & MR_SINK_TIME))
		head.time_ns = 0;
	if (!(asks & MR_SINK_SENDER)) {
		head.sender = 0;
		name_bytes = 0;
	}
	put(&part, &head, stamp->wire + sizeof(head), name_bytes);
	(void)mr_message_plan_stamp(plan, part.wire, part.bytes, room);
}
