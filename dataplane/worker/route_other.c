/* SPDX-License-Identifier: Apache-2.0 */
/* Routes messages that are neither publishes nor for queues: replies, heartbeats, requests to
 * control, and those that a client may not send. */
#include "dataplane/worker/deliver.h"
#include "dataplane/worker/stages.h"

static void route_reply(
	struct mr_worker *w, struct mr_session *from, const struct mr_message_view *m)
{
	unsigned to = mr_session_worker(m->token.session);
	struct mr_mesh_record record = {0};
	struct mr_message_plan plan;

	if (!(m->header.flags & MRF_MESSAGE_FLAG_TOKEN) || m->subject_bytes != 0) {
		mr_count(w->stats->drop_bad_message, 1);
		mr_worker_count_rejected(from);
	} else if (to == w->index) {
		mr_worker_reply(w, m);
	} else if (to >= w->workers) {
		mr_count(w->stats->drop_stale_token, 1);
		mr_worker_count_rejected(from);
	} else {
		record.workers = 1ull << to;
		plan = mr_message_replan(m, MRF_MESSAGE_KIND_REPLY);
		if (!mr_worker_mesh_put(w, &record, NULL, &plan, 0))
			(void)mr_worker_mesh_queue(w, &record, NULL, &plan, 0);
	}
}

/* Answers a heartbeat with a heartbeat. Any message proves that its session lives. */
static void answer_heartbeat(struct mr_worker *w, struct mr_session *from)
{
	struct mr_message_plan plan =
		mr_message_plan(MRF_MESSAGE_KIND_BEAT, NULL, NULL, 0, NULL, 0, 0);

	if (!mr_worker_copy(w, from, &plan, 0))
		mr_worker_no_room(w, from, plan.stride, &w->stats->drop_reply_full);
}

void mr_worker_route_other(struct mr_worker *w, struct mr_session *from, struct mr_message_view m)
{
	switch (m.header.kind) {
	case MRF_MESSAGE_KIND_REPLY: route_reply(w, from, &m); break;
	case MRF_MESSAGE_KIND_BEAT: answer_heartbeat(w, from); break;
	case MRF_MESSAGE_KIND_CONTROL:
		mr_worker_handoff(w, from, &m, MRF_HANDOFF_REASON_CONTROL);
		break;
	case MRF_MESSAGE_KIND_DELIVER:
	case MRF_MESSAGE_KIND_STATUS:
	case MRF_MESSAGE_KIND_GAP:
	case MRF_MESSAGE_KIND_RETRY:
	case MRF_MESSAGE_KIND_ACCEPTED:
	case MRF_MESSAGE_KIND_RECALL:
		/* Only the bus may send these. */
	case MRF_MESSAGE_KIND_PADDING:
	case MRF_MESSAGE_KIND_CLOSE:
	case MRF_MESSAGE_KIND_PATH:
	case MRF_MESSAGE_KIND_HELLO:
	case MRF_MESSAGE_KIND_ACK:
		/* These do not belong in a channel or in a frame of a session. */
		mr_count(w->stats->drop_bad_message, 1);
		mr_worker_count_rejected(from);
		break;
	default: mr_worker_handoff(w, from, &m, MRF_HANDOFF_REASON_UNKNOWN_KIND); break;
	}
}
