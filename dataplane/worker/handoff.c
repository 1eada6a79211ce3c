/* SPDX-License-Identifier: Apache-2.0 */
/* handoff: passes messages to control. */
#include "dataplane/worker/stages.h"

#define HANDOFF_SHARES      64u /* of the ring, for one session while it is crowded */
#define HANDOFF_PEER_SHARES 8u  /* for one peer */
#define HANDOFF_PEERS       1024u

_Static_assert(sizeof(struct mrf_handoff_header) == 16, "shared between processes");

int mr_worker_handoff_init(struct mr_worker *w)
{
	return mr_shares_init(&w->handoff_peers, HANDOFF_PEERS, HANDOFF_PEERS);
}

/* The ring has room again: everybody has the whole share. */
static void calm(struct mr_worker *w)
{
	w->handoff_calm++;
	if (w->handoff_peers.used > 0)
		mr_shares_clear(&w->handoff_peers);
}

/* While the ring to control is more than half full, each session and each peer may use a small
 * share of it. A client that floods it loses its own requests, not those of others. */
static bool has_share(struct mr_worker *w, struct mr_session *s, uint32_t bytes)
{
	struct mr_bytes_producer *ring = &w->handoff.to_control;

	if (mr_likely(ring->tail - ring->head_seen <= ring->capacity / 2))
		return true;
	if (mr_bytes_backlog(ring) <= ring->capacity / 2) {
		calm(w);
		return true;
	}
	if (s->handoff_calm != w->handoff_calm) {
		s->handoff_calm = w->handoff_calm;
		s->handoff_bytes = 0;
	}
	if (s->handoff_bytes >= ring->capacity / HANDOFF_SHARES ||
		mr_share_take(&w->handoff_peers, s->peer, 0, bytes,
			ring->capacity / HANDOFF_PEER_SHARES) != 0)
		return false;
	s->handoff_bytes += bytes;
	return true;
}

/* Rebuilds the message from its checked parts: the client may have changed its memory since. */
void mr_worker_handoff(struct mr_worker *w, struct mr_session *from,
	const struct mr_message_view *m, enum mrf_handoff_reason reason)
{
	struct mr_message_plan plan = mr_message_replan(m, (enum mrf_message_kind)m->header.kind);
	bool says_peer = atomic_load_explicit(&w->handoff.control_takes_peer, memory_order_relaxed);
	uint32_t prefix = says_peer ? (uint32_t)sizeof(from->peer) : 0;
	struct mrf_handoff_header h = {
		.bytes = (uint32_t)sizeof(h) + prefix + plan.bytes,
		.reason = (uint8_t)reason,
		.flags = says_peer ? MRF_HANDOFF_FLAG_PEER : 0,
		.worker = (uint16_t)w->index,
		.session = from->id,
	};
	uint32_t stride = (uint32_t)sizeof(h) + prefix + plan.stride;
	uint8_t *to = NULL;

	if (mr_likely(has_share(w, from, stride)))
		to = mr_bytes_claim(&w->handoff.to_control, stride);

	if (mr_unlikely(to == NULL)) {
		mr_count(w->stats->drop_handoff_full, 1);
		return;
	}
	memcpy(to, &h, sizeof(h));
	memcpy(to + sizeof(h), &from->peer, prefix);
	mr_message_write(to + sizeof(h) + prefix, &plan, m->header.target);
	mr_bytes_push(&w->handoff.to_control, h.bytes);
	w->handoff_dirty = true;
	mr_count(w->stats->handoff_tx, 1);
}

/* Hellos use at most half of the ring: the rest is for clients that have a session. */
bool mr_worker_handoff_hello(
	struct mr_worker *w, const struct mrf_network_path *path, const struct mr_message_view *m)
{
	struct mr_message_plan plan = mr_message_plan(
		MRF_MESSAGE_KIND_HELLO, NULL, NULL, 0, m->payload, 0, m->payload_bytes);
	struct mr_bytes_producer *ring = &w->handoff.to_control;
	struct mrf_handoff_header h = {
		.bytes = (uint32_t)(sizeof(h) + sizeof(*path)) + plan.bytes,
		.reason = MRF_HANDOFF_REASON_HELLO,
		.worker = (uint16_t)w->index,
	};
	uint8_t *to = NULL;

	if (mr_bytes_backlog(ring) <= ring->capacity / 2)
		to = mr_bytes_claim(ring, h.bytes + MR_BYTES_ALIGN);
	if (mr_unlikely(to == NULL)) {
		mr_count(w->stats->drop_handoff_full, 1);
		return false;
	}
	memcpy(to, &h, sizeof(h));
	memcpy(to + sizeof(h), path, sizeof(*path));
	mr_message_write(to + sizeof(h) + sizeof(*path), &plan, m->header.target);
	mr_bytes_push(ring, h.bytes);
	w->handoff_dirty = true;
	mr_count(w->stats->handoff_tx, 1);
	return true;
}

/* Sends an answer to a command. If it is lost, control repeats the command. */
void mr_worker_handoff_answer(
	struct mr_worker *w, uint64_t session, uint32_t target, const void *data, uint32_t bytes)
{
	struct mr_message_plan plan =
		mr_message_plan(MRF_MESSAGE_KIND_CONTROL, NULL, NULL, 0, data, 0, bytes);
	struct mrf_handoff_header h = {
		.bytes = (uint32_t)sizeof(h) + plan.bytes,
		.reason = MRF_HANDOFF_REASON_QUEUE,
		.worker = (uint16_t)w->index,
		.session = session,
	};
	uint8_t *to = mr_bytes_claim(&w->handoff.to_control, sizeof(h) + plan.stride);

	if (mr_unlikely(to == NULL)) {
		mr_count(w->stats->drop_handoff_full, 1);
		return;
	}
	memcpy(to, &h, sizeof(h));
	mr_message_write(to + sizeof(h), &plan, target);
	mr_bytes_push(&w->handoff.to_control, h.bytes);
	w->handoff_dirty = true;
	mr_count(w->stats->handoff_tx, 1);
}
