/* SPDX-License-Identifier: Apache-2.0 */
/* handoff_rx: handles records from control: answers, Welcomes, refusals, commands for queues. */
#include "dataplane/worker/deliver.h"
#include "dataplane/worker/fan.h"
#include "dataplane/worker/flows.h"
#include "dataplane/worker/promise.h"
#include "dataplane/worker/queues.h"

static struct mr_session *find_own(struct mr_worker *w, uint64_t id)
{
	if (mr_session_worker(id) != w->index)
		return NULL;
	return mr_directory_find(&w->directory, mr_session_slot(id), mr_session_generation(id));
}

static void deliver_answer(struct mr_worker *w, uint64_t session, const struct mr_message_view *m)
{
	struct mr_message_plan plan = mr_message_plan(
		MRF_MESSAGE_KIND_CONTROL, NULL, NULL, 0, m->payload, 0, m->payload_bytes);
	struct mr_session *s = find_own(w, session);

	if (s == NULL)
		mr_count(w->stats->drop_session_gone, 1);
	else if (mr_session_knows_flow(s))
		(void)mr_worker_promise(w, s, &plan, m->header.target); /* if lost, counted there */
	else if (!mr_worker_copy(w, s, &plan, m->header.target))
		mr_worker_no_room(w, s, plan.stride, &w->stats->drop_control_full);
}

/* Sends the Welcome alone in a frame of the session's largest size: its arrival proves that the
 * path carries such frames. */
static void send_welcome(struct mr_worker *w, uint64_t session, const struct mr_message_view *m)
{
	struct mr_message_plan plan = mr_message_plan(
		MRF_MESSAGE_KIND_CONTROL, NULL, NULL, 0, m->payload, 0, m->payload_bytes);
	struct mr_session *s = find_own(w, session);

	if (s == NULL || s->remote == NULL)
		mr_count(w->stats->drop_session_gone, 1);
	else if (!mr_worker_send_alone(w, s, &plan, m->header.target, true))
		mr_worker_no_room(w, s, plan.stride, &w->stats->drop_control_full);
}

static void send_refusal(
	struct mr_worker *w, const struct mrf_network_path *path, const struct mr_message_view *m)
{
	struct mr_message_plan plan = mr_message_plan(
		MRF_MESSAGE_KIND_CONTROL, NULL, NULL, 0, m->payload, 0, m->payload_bytes);

	if (path->port >= w->ports_count || plan.stride > MR_FRAME_ROOM(MR_FRAME_BYTES_MIN))
		mr_count(w->stats->drop_bad_handoff, 1);
	else if (!mr_worker_send_apart(w, path, 0, &plan, m->header.target))
		mr_count(w->stats->drop_no_buffer, 1);
}

/* Handles the message behind a record's header and, if it has one, its path. */
static void take_message(struct mr_worker *w, const struct mrf_handoff_header *h,
	const struct mrf_network_path *path, const uint8_t *at, size_t bytes)
{
	struct mrf_message_header header;
	struct mr_message_view m;

	header = mr_message_header_load(at);
	if (!mr_message_fits(&header, bytes) || header.kind != MRF_MESSAGE_KIND_CONTROL ||
		!mr_message_parse(at, header, &m))
		mr_count(w->stats->drop_bad_handoff, 1);
	else if (path != NULL)
		send_refusal(w, path, &m);
	else if (h->reason == MRF_HANDOFF_REASON_WELCOME)
		send_welcome(w, h->session, &m);
	else if (h->reason == MRF_HANDOFF_REASON_QUEUE)
		mr_worker_queues_command(w, h->session, &m);
	else
		deliver_answer(w, h->session, &m);
}

/* Handles one record; returns its stride, or 0 if its length is malformed. */
static uint32_t take_record(struct mr_worker *w, const uint8_t *at, size_t ready)
{
	struct mrf_network_path path;
	struct mrf_handoff_header h;
	size_t prefix = sizeof(h);
	bool refuse;
	uint32_t stride;

	if (ready < sizeof(h) + sizeof(struct mrf_message_header))
		return 0;
	memcpy(&h, at, sizeof(h));
	stride = mr_message_stride(h.bytes);
	if (h.bytes < sizeof(h) + sizeof(struct mrf_message_header) || h.bytes > ready ||
		stride > ready)
		return 0;
	refuse = h.reason == MRF_HANDOFF_REASON_REFUSE;
	if (refuse)
		prefix += sizeof(path);
	if (h.bytes < prefix + sizeof(struct mrf_message_header)) {
		mr_count(w->stats->drop_bad_handoff, 1);
		return stride;
	}
	if (refuse)
		memcpy(&path, at + sizeof(h), sizeof(path));
	take_message(w, &h, refuse ? &path : NULL, at + prefix, stride - prefix);
	return stride;
}

/* True if this worker has handled all that other workers sent before control sent this, and has
 * ended the fan-outs that it had begun. A record of control may depend on them: the end of a
 * consumer on its last acks, the end of a subscription on its last delivery. */
static bool mesh_is_handled(struct mr_worker *w, size_t *ready)
{
	struct mr_handoff_ring *h = &w->handoff;

	if (h->awaits_others && h->control_until == h->from_control.head)
		h->awaits_others = false;
	if (!h->awaits_others) {
		for (unsigned from = 0; from < w->workers; from++)
			if (from != w->index)
				h->mesh_until[from] = mr_spsc_tail(w->mesh_in[from]);
		h->fans_until = w->fans->number;
		h->control_until = h->from_control.head + *ready;
	}
	h->awaits_others = true;
	*ready = h->control_until - h->from_control.head;
	for (unsigned from = 0; from < w->workers; from++)
		if (from != w->index && !mr_spsc_is_done(w->mesh_in[from], h->mesh_until[from])) {
			w->moved = true;
			return false;
		}
	/* If another worker stands still, so do the fan-outs to it. Records of control are handled
	 * all the same. */
	return !mr_fan_is_older(w, h->fans_until) || !mr_worker_mesh_ready(w);
}

static void __attribute__((noinline)) take_records(struct mr_worker *w, size_t ready)
{
	struct mr_bytes_consumer *ring = &w->handoff.from_control;

	if (ready != MR_BYTES_CORRUPT && !mesh_is_handled(w, &ready))
		return;
	if (ready == MR_BYTES_CORRUPT) {
		/* Only control writes here: continue at its tail, aligned down.
		 * [bytes.data] */
		ring->tail_seen = atomic_load_explicit(&ring->shared->tail, memory_order_acquire) &
				  ~(uint64_t)(MR_BYTES_ALIGN - 1);
		ring->head = ring->tail_seen;
		w->handoff.awaits_others = false;
		mr_count(w->stats->drop_bad_handoff, 1);
		ready = 0;
	}
	for (uint32_t i = 0; i < MR_HANDOFF_BURST && ready > 0; i++) {
		uint32_t stride = take_record(w, mr_bytes_peek(ring), ready);

		if (stride == 0) {
			mr_count(w->stats->drop_bad_handoff, 1);
			stride = (uint32_t)ready; /* skip the rest */
		} else {
			mr_count(w->stats->handoff_rx, 1);
		}
		mr_bytes_skip(ring, stride);
		ready -= stride;
	}
	w->handoff_consumed = true;
	w->moved = true;
}

void mr_worker_handoff_rx(struct mr_worker *w)
{
	size_t ready = mr_bytes_readable(&w->handoff.from_control);

	if (mr_unlikely(ready != 0))
		take_records(w, ready);
}
