/* SPDX-License-Identifier: Apache-2.0 */
/* sleep: lets an idle worker sleep until there is work. */
#include "dataplane/worker/backpressure.h"
#include "dataplane/worker/queues.h"
#include "dataplane/worker/sleep_ports.h"

#include <sys/epoll.h>
#include <time.h>

#define EVENTS_MAX  16
#define NS_OF_MS    1000000
#define NS_OF_S     1000000000
#define GAP_LOOK_NS (10 * NS_OF_MS)

/* Looks for work a last time before a sleep; all loads here are seq_cst. [worker.sleep] */
static bool work_waits(struct mr_worker *w)
{
	const struct mr_poll_list *list =
		atomic_load_explicit(&w->directory.poll, memory_order_seq_cst);

	if (atomic_load_explicit(&w->stopping, memory_order_seq_cst) || w->passed_count > 0 ||
		w->mesh.queued != NULL)
		return true;
	if (!mr_bytes_empty(&w->handoff.from_control)) /* [worker.sleep] */
		return true;
	if (w->exception.open && !mr_bytes_empty(&w->exception.from_control)) /* [worker.sleep] */
		return true;
	for (unsigned from = 0; from < w->workers; from++)
		if (from != w->index && !mr_spsc_empty(w->mesh_in[from]))
			return true;
	for (uint32_t i = 0; i < list->count; i++) {
		struct mr_session *s = list->sessions[i];

		if (atomic_load_explicit(&s->corrupt, memory_order_relaxed))
			continue;
		if (mr_session_stays_paused(s) ? mr_bytes_grew(&s->up) : !mr_bytes_empty(&s->up))
			return true;
	}
	return false;
}

/* Returns the lesser of two times; -1 is for ever. */
static int64_t earlier(int64_t a, int64_t b)
{
	return a < 0 || (b >= 0 && b < a) ? b : a;
}

/* Returns how long the worker may sleep, in nanoseconds; -1: for ever. Clients that are full, or
 * have a gap pending, are asked to notify the worker when they have made room. They may miss that
 * request, so with such a client the sleep is bounded. It is also bounded while a publisher is
 * paused, because that publisher has to check its receivers again. */
static int64_t sleep_ns_max(struct mr_worker *w)
{
	int64_t queues = mr_worker_queues_sleep_ns(w);
	const struct mr_poll_list *list =
		atomic_load_explicit(&w->directory.poll, memory_order_acquire); /* [session.poll] */
	int64_t ns = mr_worker_ports_sleep_ns(w);

	for (uint32_t i = 0; i < list->count; i++) {
		struct mr_session *s = list->sessions[i];
		bool full = s->missed_unreported > 0 || s->slow != NULL;

		if (full)
			mr_bytes_want_bell(&s->down, true);
		if (full || s->paused)
			ns = earlier(ns, GAP_LOOK_NS);
	}
	/* Sessions over UDP have no doorbell, and are not in the list. */
	if (w->slow.count > 0 || w->late.count > 0)
		ns = earlier(ns, GAP_LOOK_NS);
	return earlier(ns, queues);
}

void mr_worker_sleep(struct mr_worker *w)
{
	struct epoll_event events[EVENTS_MAX];
	int64_t ns = sleep_ns_max(w);
	struct timespec time = {.tv_sec = ns / NS_OF_S, .tv_nsec = ns % NS_OF_S};

	atomic_store_explicit(&w->page->asleep, 1, memory_order_seq_cst); /* [worker.sleep] */
	if (!mr_worker_ports_arm(w) && !work_waits(w)) {
		mr_count(w->stats->sleeps, 1);
		atomic_store_explicit(&w->sleeping, true, memory_order_relaxed);
		mr_router_offline(w->router);
		/* Doorbells are edge-triggered: each write wakes, and none has to be read. The
		 * descriptors of ports are level-triggered (sleep_ports.c). */
		(void)epoll_pwait2(w->epoll_fd, events, EVENTS_MAX, ns < 0 ? NULL : &time, NULL);
		mr_router_online(w->router);
		atomic_store_explicit(&w->sleeping, false, memory_order_relaxed);
	}
	mr_worker_ports_disarm(w);
	atomic_store_explicit(&w->page->asleep, 0, memory_order_relaxed);
}
