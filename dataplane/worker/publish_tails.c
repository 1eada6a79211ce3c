/* SPDX-License-Identifier: Apache-2.0 */
/* publish_tails: publishes the tails of written rings, and sends the open frames of sessions over
 * UDP. */
#include "dataplane/worker/flows.h"

/* Wakes a reader that sleeps. The flag is cleared before the doorbell is written: a reader that
 * goes to sleep again in between is still woken. */
static void wake_reader(struct mr_worker *w, struct mr_bytes_shared *shared, int bell_fd)
{
	atomic_store_explicit(&shared->asleep, 0, memory_order_relaxed);
	mr_peer_bell_ring(bell_fd);
	mr_count(w->stats->bells, 1);
}

void mr_worker_publish_tails(struct mr_worker *w)
{
	for (uint32_t i = 0; i < w->dirty_count; i++) {
		struct mr_session *s = w->dirty[i];

		s->dirty = false;
		if (s->remote != NULL) {
			mr_worker_seal(w, s);
			mr_worker_flow_seal(w, s);
			continue;
		}
		mr_worker_count_copies(w, s);
		if (mr_bytes_publish(&s->down)) /* [bytes.sleep] */
			wake_reader(w, s->down.shared, s->peer_bell_fd);
	}
	w->dirty_count = 0;
	/* A command that control sends to another worker must not overtake messages that this
	 * worker sent there before. So the mesh is flushed first; while messages wait for room in
	 * it, control waits. */
	if (w->handoff_dirty && mr_likely(w->mesh.queued == NULL)) {
		struct mr_handoff_ring *h = &w->handoff;

		mr_worker_mesh_flush(w);
		w->handoff_dirty = false;
		if (mr_bytes_publish(&h->to_control))
			wake_reader(w, h->to_control.shared, h->channel.peer_bell_fd);
	}
}
