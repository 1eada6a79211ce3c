/* SPDX-License-Identifier: Apache-2.0 */
#include "dataplane/worker/flows.h"
#include "dataplane/worker/share.h"

/* The flag is taken back before the bell is rung: a reader that goes to sleep again in between has
 * the ring still coming. */
static void wake_reader(struct mr_worker *w, struct mr_bytes_shared *shared, int bell_fd)
{
	atomic_store_explicit(&shared->asleep, 0, memory_order_relaxed);
	mr_peer_bell_ring(bell_fd);
	mr_count(w->stats->bells, 1);
}

static inline void count_copies(struct mr_worker *w, struct mr_session *s)
{
	uint64_t bytes = s->down.tail - s->down.tail_out;

	mr_count(s->stats->tx_messages, s->down_messages);
	mr_count(s->stats->tx_bytes, bytes);
	mr_count(w->stats->tx_messages, s->down_messages);
	mr_count(w->stats->tx_bytes, bytes);
	s->down_messages = 0;
}

void mr_worker_count_copies(struct mr_worker *w, struct mr_session *s)
{
	count_copies(w, s);
}

void mr_worker_show(struct mr_worker *w)
{
	for (uint32_t i = 0; i < w->dirty_count; i++) {
		struct mr_session *s = w->dirty[i];

		s->dirty = false;
		if (s->remote != NULL) {
			mr_worker_seal(w, s);
			mr_worker_flow_seal(w, s);
			continue;
		}
		count_copies(w, s);
		if (mr_bytes_publish(&s->down)) /* [bytes.sleep] */
			wake_reader(w, s->down.shared, s->peer_bell_fd);
	}
	w->dirty_count = 0;
	/* What control says to another worker must not overtake what was said to that one before, nor what
	 * waits for room in its ring. */
	if (w->handoff_dirty && mr_likely(w->mesh.held == NULL)) {
		struct mr_handoff_ring *h = &w->handoff;

		mr_worker_mesh_flush(w);
		w->handoff_dirty = false;
		if (mr_bytes_publish(&h->to_control))
			wake_reader(w, h->to_control.shared, h->channel.peer_bell_fd);
	}
}

static void give_back(struct mr_worker *w)
{
	for (uint32_t i = 0; i < w->consumed_count; i++) {
		struct mr_session *s = w->consumed[i];

		s->consumed = false;
		/* What is late of it is not given back, or it would count as taken. */
		if (mr_unlikely(s->late != NULL))
			continue;
		if (mr_bytes_release(&s->up)) {
			/* The client waits for room. */
			atomic_store_explicit(&s->up.shared->wants_bell, 0, memory_order_relaxed);
			mr_peer_bell_ring(s->peer_bell_fd);
			mr_count(w->stats->bells, 1);
		}
	}
	w->consumed_count = 0;
	if (w->handoff_consumed) {
		w->handoff_consumed = false;
		if (mr_bytes_release(&w->handoff.from_control)) {
			atomic_store_explicit(&w->handoff.from_control.shared->wants_bell, 0,
				memory_order_relaxed);
			mr_peer_bell_ring(w->handoff.channel.peer_bell_fd);
			mr_count(w->stats->bells, 1);
		}
	}
}

void mr_worker_tx(struct mr_worker *w)
{
	mr_worker_mesh_flush(w);
	mr_worker_show(w);
	mr_count(w->stats->published, w->round.published);
	mr_count(w->stats->delivered, w->round.delivered);
	w->round.published = 0;
	w->round.delivered = 0;
	mr_worker_share_round(w);
	give_back(w);
	mr_worker_flows_run(w);
	mr_worker_ports_tx(w);
	mr_worker_mesh_ring(w);
}
