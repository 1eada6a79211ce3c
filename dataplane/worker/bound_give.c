/* SPDX-License-Identifier: Apache-2.0 */
/* bound_give: publishes on their way into bound queues. Apart from the flags (bound.c), which
 * back-pressure reads, as this file calls the engine. */
#include "dataplane/worker/bound.h"
#include "dataplane/worker/deliver.h"
#include "dataplane/worker/fan.h"
#include "dataplane/worker/queues.h"

/* Makes a Push of the publish, without its target. Origin says that it is promised. Written field
 * by field: most messages have none of the large parts. */
static inline void make_push(struct mr_message_view *v, const struct mr_message_view *m,
	const struct mr_route *r, uint8_t ends)
{
	const uint8_t kept = MRF_MESSAGE_FLAG_ORIGIN | MRF_MESSAGE_FLAG_FRAGMENT;
	uint8_t flags = m->header.flags & kept;

	if (mr_unlikely((flags & MRF_MESSAGE_FLAG_FRAGMENT) != 0))
		v->extra.fragment = m->extra.fragment;
	if (mr_message_is_promised(m->header.flags)) {
		v->extra.origin = flags & MRF_MESSAGE_FLAG_ORIGIN ? m->extra.origin
								  : (struct mrf_message_origin){0};
		flags |= MRF_MESSAGE_FLAG_ORIGIN | ends;
	}
	v->extra.flags = flags;
	v->header = (struct mrf_message_header){.bytes = m->header.bytes,
		.kind = MRF_MESSAGE_KIND_PUSH,
		.flags = flags | MRF_MESSAGE_FLAG_SECTIONS};
	v->token = (struct mrf_reply_token){0};
	v->subject = (const uint8_t *)r->subject;
	v->subject_bytes = r->bytes;
	v->headers = m->headers;
	v->header_bytes = m->header_bytes;
	v->payload = m->payload;
	v->payload_bytes = m->payload_bytes;
}

static void __attribute__((noinline)) send_far(struct mr_worker *w, unsigned home, uint64_t from,
	bool promised, const struct mr_message_view *v)
{
	struct mr_mesh_record record = {
		.workers = 1ull << home, .session = from, .what = MR_MESH_BOUND};
	struct mr_message_plan plan = mr_message_replan(v, MRF_MESSAGE_KIND_PUSH);

	w->share.turn_far++;
	if ((mr_likely(mr_worker_mesh_put(w, &record, NULL, &plan, v->header.target)) ||
		    mr_worker_mesh_queue(w, &record, NULL, &plan, v->header.target)) &&
		promised)
		mr_worker_window_sent(w, record.workers, v->header_bytes + v->payload_bytes);
}

static inline void give(struct mr_worker *w, uint64_t from, const struct mr_route *r, uint32_t g,
	struct mr_message_view *push)
{
	struct mr_member member;

	if (mr_unlikely(!mr_bound_find(r, g, &member)))
		return;
	push->header.target = member.generation;
	w->round.delivered++;
	if (mr_unlikely(push->header.bytes >= MR_FAN_BYTES_SMALL))
		w->share.turn_work += push->header.bytes >> MR_FAN_BYTES_SHIFT;
	if (member.worker == w->index)
		mr_worker_queues_publish(w, from, push);
	else
		send_far(
			w, member.worker, from, push->header.flags & MRF_MESSAGE_FLAG_ORIGIN, push);
}

void mr_worker_bound_give(struct mr_worker *w, uint64_t from, uint8_t ends,
	const struct mr_route *r, uint32_t g, const struct mr_message_view *m)
{
	struct mr_message_view push;

	make_push(&push, m, r, ends);
	give(w, from, r, g, &push);
}

void mr_worker_bound_give_all(struct mr_worker *w, uint64_t from, uint8_t ends,
	const struct mr_route *r, const struct mr_message_view *m)
{
	struct mr_message_view push;

	make_push(&push, m, r, ends);
	give(w, from, r, 0, &push);
	for (uint32_t g = 1; mr_unlikely(g < r->group_count); g++)
		give(w, from, r, g, &push);
}

void mr_worker_bound_take(struct mr_worker *w, uint64_t from, const struct mr_message_view *m)
{
	mr_worker_queues_take(w, from, m);
	if (m->header.flags & MRF_MESSAGE_FLAG_ORIGIN)
		mr_worker_window_taken(w, m->header_bytes + m->payload_bytes);
}
