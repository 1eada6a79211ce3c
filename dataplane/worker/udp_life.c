/* SPDX-License-Identifier: Apache-2.0 */
/* udp_life: the life of a session over UDP: frames that count as heartbeats, and its end. */
#include "dataplane/worker/flows.h"
#include "dataplane/worker/frame_messages.h"

/* Updates the peer's MAC address: its router or network card has changed, but not the path. */
static void follow_mac(struct mr_remote *r, const struct mr_frame *f)
{
	struct mrf_network_path path = r->path;

	path.peer_mac = f->path.peer_mac;
	mr_remote_headers(r, &path, f->port->port->mac);
}

void mr_worker_note_frame(struct mr_worker *w, struct mr_session *s, const struct mr_frame *f)
{
	struct mr_remote *r = s->remote;

	mr_worker_note_life(w, s);
	if (mr_unlikely(r->path.peer_mac != f->path.peer_mac))
		follow_mac(r, f);
	mr_count(w->stats->frames_rx, 1);
	mr_count(s->stats->frames_rx, 1);
}

struct mr_message_plan mr_worker_close_plan(int32_t code, uint64_t memory[MR_CLOSE_WORDS])
{
	struct mrf_result result = {.code = code};
	struct mrf_client_message message = {.body_type = MRF_CLIENT_BODY_RESULT};
	struct mrf_builder b;
	const void *data = NULL;
	size_t bytes = 0;

	mrf_builder_init(&b, memory, MR_CLOSE_WORDS * sizeof(memory[0]));
	message.body = mrf_result_write(&b, &result);
	if (mrf_builder_finish(&b, mrf_client_message_write(&b, &message), &data, &bytes) != 0)
		bytes = 0; /* a Close without a reason is valid */
	return mr_message_plan(MRF_MESSAGE_KIND_CLOSE, NULL, NULL, 0, data, 0, (uint32_t)bytes);
}

void mr_worker_remote_end(struct mr_session *s, enum mr_remote_end why)
{
	struct mr_remote *r = s->remote;

	if (atomic_load_explicit(&r->end, memory_order_relaxed) != MR_REMOTE_LIVES)
		return;
	r->why = (uint8_t)why;
	atomic_store_explicit(&r->end, MR_REMOTE_LEAVES, memory_order_relaxed);
}

void mr_worker_remote_close(struct mr_worker *w, struct mr_session *s)
{
	struct mr_remote *r = s->remote;

	if (atomic_load_explicit(&r->end, memory_order_relaxed) != MR_REMOTE_LEAVES)
		return;
	atomic_store_explicit(&r->end, r->why, memory_order_release); /* [remote.end] */
	mr_bell_ring(w->writer_bell_fd);
}

void __attribute__((noinline))
mr_worker_take_special(struct mr_session *s, struct mrf_message_header h)
{
	switch (h.kind) {
	case MRF_MESSAGE_KIND_PADDING:
	case MRF_MESSAGE_KIND_PATH: break; /* the path was validated before */
	case MRF_MESSAGE_KIND_CLOSE: mr_worker_remote_end(s, MR_REMOTE_CLOSED); break;
	default: break;
	}
}
