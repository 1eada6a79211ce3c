/* SPDX-License-Identifier: Apache-2.0 */
/* bound_give: publishes on their way into bound queues. Apart from the flags (bound.c), which
 * back-pressure reads, as this file calls the engine. */
#include "dataplane/worker/bound.h"
#include "dataplane/worker/deliver.h"
#include "dataplane/worker/fan.h"
#include "dataplane/worker/queues.h"

/* Makes a Push of the publish. Origin says that it is promised. */
static void make_push(struct mr_message_view *v, const struct mr_route *r, uint8_t ends)
{
	const uint8_t kept = MRF_MESSAGE_FLAG_ORIGIN | MRF_MESSAGE_FLAG_FRAGMENT;
	bool promised = mr_message_is_promised(v->header.flags);
	uint8_t flags = v->header.flags & kept;

	if (promised && !(flags & MRF_MESSAGE_FLAG_ORIGIN))
		v->extra.origin = (struct mrf_message_origin){0};
	if (promised)
		flags |= MRF_MESSAGE_FLAG_ORIGIN | ends;
	v->extra.flags = flags;
	v->header.flags = flags | MRF_MESSAGE_FLAG_SECTIONS;
	v->header.kind = MRF_MESSAGE_KIND_PUSH;
	v->subject = (const uint8_t *)r->subject;
	v->subject_bytes = r->bytes;
}

static void send_far(struct mr_worker *w, unsigned home, uint64_t from, bool promised,
	const struct mr_message_view *v)
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

void mr_worker_bound_give(struct mr_worker *w, uint64_t from, uint8_t ends,
	const struct mr_route *r, uint32_t g, const struct mr_message_view *m)
{
	struct mr_message_view v = *m;
	struct mr_member member;

	if (!mr_bound_find(r, g, &member))
		return;
	make_push(&v, r, ends);
	v.header.target = member.generation;
	w->round.delivered++;
	if (mr_unlikely(m->header.bytes >= MR_FAN_BYTES_SMALL))
		w->share.turn_work += m->header.bytes >> MR_FAN_BYTES_SHIFT;
	if (member.worker == w->index)
		mr_worker_queues_take(w, from, &v);
	else
		send_far(w, member.worker, from, v.header.flags & MRF_MESSAGE_FLAG_ORIGIN, &v);
}

void mr_worker_bound_take(struct mr_worker *w, uint64_t from, const struct mr_message_view *m)
{
	mr_worker_queues_take(w, from, m);
	if (m->header.flags & MRF_MESSAGE_FLAG_ORIGIN)
		mr_worker_window_taken(w, m->header_bytes + m->payload_bytes);
}
