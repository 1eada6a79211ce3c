/* SPDX-License-Identifier: Apache-2.0 */
/* flow_tx: writes messages into the reliable flow's open frame, and sends frames of its log. */
#include <assert.h>

#include "dataplane/worker/deliver.h"
#include "dataplane/worker/flows.h"

#define HEADER_BYTES ((uint32_t)sizeof(struct mrf_frame_header))

void mr_worker_flow_list(struct mr_worker *w, struct mr_session *s)
{
	struct mr_flow *flow = &s->remote->flow;

	if (flow->listed)
		return;
	/* A closed session leaves the list in the next round, before its slot is reused. */
	assert(w->flows.count < w->directory.slots_count - w->remote_first);
	flow->listed = true;
	w->flows.list[w->flows.count++] = (struct mr_flow_entry){s->slot, s->generation};
}

void mr_worker_flow_send_frame(struct mr_worker *w, struct mr_session *s, uint32_t sequence,
	const struct mr_reliable_frame *frame)
{
	uint8_t *payload;
	struct rte_mbuf *m = mr_worker_packet_new(w, s, frame->bytes, &payload);

	if (mr_unlikely(m == NULL))
		return;
	memcpy(payload, s->remote->flow.log + frame->at, frame->bytes);
	mr_frame_write(payload, s->id, sequence, (uint16_t)frame->messages);
	mr_frame_write_reliable(payload);
	mr_worker_flow_add_ack(w, s, payload);
	mr_worker_packet_send(w, s, m, frame->bytes);
}

void mr_worker_flow_seal(struct mr_worker *w, struct mr_session *s)
{
	struct mr_flow *flow = &s->remote->flow;
	uint32_t messages = flow->open_messages;
	uint32_t bytes = flow->open_used - HEADER_BYTES;
	uint32_t sequence;

	if (flow->open_room == 0)
		return;
	flow->open_room = 0;
	sequence = mr_flow_push(flow, flow->open_used, messages, mr_worker_flow_ns(w));
	mr_count(s->stats->tx_messages, messages);
	mr_count(s->stats->tx_bytes, bytes);
	mr_count(w->stats->tx_messages, messages);
	mr_count(w->stats->tx_bytes, bytes);
	mr_count(w->stats->reliable_tx, 1);
	mr_count(s->stats->reliable_tx, 1);
	mr_worker_flow_send_frame(w, s, sequence, mr_reliable_tx_frame(&flow->tx, sequence));
	mr_worker_flow_list(w, s);
}

static bool open_frame(struct mr_worker *w, struct mr_session *s)
{
	struct mr_flow *flow = &s->remote->flow;
	uint32_t room = MR_FRAME_ROOM(s->remote->frame_bytes);

	mr_worker_flow_seal(w, s);
	if (mr_reliable_tx_room(&flow->tx) == 0 || mr_flow_claim(flow, HEADER_BYTES + room) == NULL)
		return false;
	flow->open_room = HEADER_BYTES + room;
	flow->open_used = HEADER_BYTES;
	flow->open_messages = 0;
	return true;
}

void *mr_worker_flow_claim_new(struct mr_worker *w, struct mr_session *s, uint32_t bytes)
{
	const struct mr_flow *flow = &s->remote->flow;

	if (mr_unlikely(!flow->knows_flow || bytes > MR_FRAME_ROOM(s->remote->frame_bytes)))
		return NULL;
	return open_frame(w, s) ? flow->log + flow->head + flow->open_used : NULL;
}

/* Copies messages of a run into the open frame; returns how many had room. */
static uint32_t fill_open(struct mr_flow *flow, const struct mr_route *r,
	const struct mr_burst_entry *e, uint32_t count, uint32_t target)
{
	/* Locals stay in registers: the compiler knows that the copies' stores do not change them.
	 * */
	uint8_t *to = flow->log + flow->head + flow->open_used;
	uint32_t room = flow->open_room == 0 ? 0 : flow->open_room - flow->open_used;
	uint32_t left = room, n;

	for (n = 0; n < count; n++) {
		struct mr_message_view m = mr_message_plain(e[n].at, e[n].header);
		struct mr_message_plan plan = mr_worker_delivery(r, &m, NULL);

		if (mr_unlikely(plan.stride > left))
			break;
		/* Padding must not show older contents of the log. */
		memset(to + plan.stride - MR_MESSAGE_ALIGN, 0, MR_MESSAGE_ALIGN);
		mr_message_write(to, &plan, target);
		to += plan.stride;
		left -= plan.stride;
	}
	flow->open_used += room - left;
	flow->open_messages += n;
	return n;
}

uint32_t mr_worker_flow_copy_run(struct mr_worker *w, struct mr_session *s,
	const struct mr_route *r, const struct mr_burst_entry *e, uint32_t count, uint32_t target)
{
	uint32_t done = 0;

	for (;;) {
		struct mr_message_view m;
		struct mr_message_plan next;

		done += fill_open(&s->remote->flow, r, e + done, count - done, target);
		if (done == count)
			break;
		m = mr_message_plain(e[done].at, e[done].header);
		next = mr_worker_delivery(r, &m, NULL);
		if (mr_worker_flow_claim_new(w, s, next.stride) == NULL)
			break;
	}
	if (done > 0)
		mr_worker_mark_dirty(w, s);
	return done;
}
