/* SPDX-License-Identifier: Apache-2.0 */
#include "dataplane/worker/backpressure.h"
#include "dataplane/worker/queues.h"

#include <sys/epoll.h>
#include <time.h>

#define EVENTS_MAX  16
#define NS_OF_MS    1000000
#define NS_OF_S     1000000000
#define GAP_LOOK_NS (10 * NS_OF_MS)
/* Drivers give nothing to wait on. */
#define PORTS_LOOK_NS 500000

/* The last look at all that could be work; everything loaded here is seq_cst. [worker.sleep] */
static bool work_waits(struct mr_worker *w)
{
	const struct mr_poll_list *list =
		atomic_load_explicit(&w->directory.poll, memory_order_seq_cst);

	if (atomic_load_explicit(&w->stopping, memory_order_seq_cst) || w->passed_count > 0 ||
		w->mesh.held != NULL)
		return true;
	if (!mr_bytes_empty(&w->handoff.from_control)) /* [worker.sleep] */
		return true;
	for (unsigned from = 0; from < w->workers; from++)
		if (from != w->index && !mr_spsc_empty(w->mesh_in[from]))
			return true;
	for (uint32_t i = 0; i < list->count; i++) {
		struct mr_session *s = list->sessions[i];

		if (atomic_load_explicit(&s->corrupt, memory_order_relaxed))
			continue;
		if (mr_session_waits(s) ? mr_bytes_grew(&s->up) : !mr_bytes_empty(&s->up))
			return true;
	}
	return false;
}

/* Clients that have yet to be told of a gap, or are full, are asked to ring when they have made room. They
 * may miss that, so with one of them about, the worker sleeps for a bounded time only. -1: for ever. */
static int64_t sleep_ns_max(struct mr_worker *w)
{
	int64_t queues = mr_worker_queues_sleep_ns(w);
	const struct mr_poll_list *list =
		atomic_load_explicit(&w->directory.poll, memory_order_acquire); /* [session.poll] */
	int64_t ns = w->ports_count > 0 ? PORTS_LOOK_NS : -1;

	for (uint32_t i = 0; i < list->count; i++)
		if (list->sessions[i]->missed_untold > 0 || list->sessions[i]->waiting != NULL) {
			mr_bytes_want_bell(&list->sessions[i]->down, true);
			if (ns < 0)
				ns = GAP_LOOK_NS;
		}
	/* Those over UDP cannot ring. */
	if (w->waiting.count > 0 && ns < 0)
		ns = GAP_LOOK_NS;
	return ns < 0 || (queues >= 0 && queues < ns) ? queues : ns;
}

void mr_worker_sleep(struct mr_worker *w)
{
	struct epoll_event events[EVENTS_MAX];
	int64_t ns = sleep_ns_max(w);
	struct timespec time = {.tv_sec = ns / NS_OF_S, .tv_nsec = ns % NS_OF_S};

	atomic_store_explicit(&w->page->asleep, 1, memory_order_seq_cst); /* [worker.sleep] */
	if (!work_waits(w)) {
		mr_count(w->stats->sleeps, 1);
		atomic_store_explicit(&w->sleeping, true, memory_order_relaxed);
		mr_router_offline(w->router);
		/* Bells are edge-triggered: every ring wakes, none has to be read. */
		(void)epoll_pwait2(w->epoll_fd, events, EVENTS_MAX, ns < 0 ? NULL : &time, NULL);
		mr_router_online(w->router);
		atomic_store_explicit(&w->sleeping, false, memory_order_relaxed);
	}
	atomic_store_explicit(&w->page->asleep, 0, memory_order_relaxed);
}
