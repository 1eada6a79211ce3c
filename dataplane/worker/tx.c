/* SPDX-License-Identifier: Apache-2.0 */
/* tx: the last stage of a round. Publishes the tails of written rings and releases the heads of
 * read ones. */
#include "dataplane/worker/exception.h"
#include "dataplane/worker/flows.h"
#include "dataplane/worker/share.h"

static void release_heads(struct mr_worker *w)
{
	for (uint32_t i = 0; i < w->consumed_count; i++) {
		struct mr_session *s = w->consumed[i];

		s->consumed = false;
		/* Late messages are not released: they would count as taken. */
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
	mr_worker_publish_tails(w);
	mr_count(w->stats->published, w->round.published);
	mr_count(w->stats->delivered, w->round.delivered);
	w->round.published = 0;
	w->round.delivered = 0;
	mr_worker_share_round(w);
	release_heads(w);
	mr_worker_flows_run(w);
	mr_worker_ports_tx(w);
	if (mr_unlikely(w->exception.open))
		mr_worker_exceptions(w);
	mr_worker_mesh_wake(w);
}
