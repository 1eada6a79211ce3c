/* SPDX-License-Identifier: Apache-2.0 */
#include "dataplane/worker/stages.h"

#include <sys/epoll.h>

#define EVENTS_MAX 16

static bool ring_waits(struct mr_bytes_consumer *c)
{
	/* [worker.sleep] */
	return atomic_load_explicit(&c->shared->tail, memory_order_seq_cst) != c->head;
}

/* The last look at all that could be work; everything loaded here is seq_cst. */
static bool work_waits(struct mr_worker *w)
{
	const struct mr_poll_list *list =
		atomic_load_explicit(&w->directory.poll, memory_order_seq_cst);

	if (atomic_load_explicit(&w->stopping, memory_order_seq_cst))
		return true;
	if (ring_waits(&w->handoff.from_control))
		return true;
	for (unsigned from = 0; from < w->workers; from++)
		if (from != w->index && !mr_spsc_empty(w->mesh_in[from]))
			return true;
	for (uint32_t i = 0; i < list->count; i++) {
		struct mr_session *s = list->sessions[i];

		if (!atomic_load_explicit(&s->corrupt, memory_order_relaxed) && ring_waits(&s->up))
			return true;
	}
	return false;
}

/* A client that has yet to be told of a gap must ring when it has made room. */
static void ask_for_room(struct mr_worker *w)
{
	const struct mr_poll_list *list =
		atomic_load_explicit(&w->directory.poll, memory_order_acquire);

	for (uint32_t i = 0; i < list->count; i++)
		if (list->sessions[i]->missed_untold > 0)
			atomic_store_explicit(&list->sessions[i]->down.shared->wants_bell, 1,
				memory_order_relaxed);
}

void mr_worker_sleep(struct mr_worker *w)
{
	struct epoll_event events[EVENTS_MAX];

	ask_for_room(w);
	atomic_store_explicit(&w->page->asleep, 1, memory_order_seq_cst); /* [worker.sleep] */
	if (!work_waits(w)) {
		mr_count(w->stats->sleeps, 1);
		atomic_store_explicit(&w->sleeping, true, memory_order_relaxed);
		mr_router_offline(w->router);
		/* Bells are edge-triggered: every ring wakes, none has to be read. */
		(void)epoll_wait(w->epoll_fd, events, EVENTS_MAX, -1);
		mr_router_online(w->router);
		atomic_store_explicit(&w->sleeping, false, memory_order_relaxed);
	}
	atomic_store_explicit(&w->page->asleep, 0, memory_order_relaxed);
}
