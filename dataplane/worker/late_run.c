/* SPDX-License-Identifier: Apache-2.0 */
/* late_run: resumes unfinished fan-outs and routes late messages (share.h). */
#include "dataplane/worker/backpressure.h"
#include "dataplane/worker/deliver.h"
#include "dataplane/worker/fan.h"
#include "dataplane/worker/flows.h"
#include "dataplane/worker/share.h"

/* Sessions that a round looks at; it routes messages of at most MR_LATE_SERVES. */
#define LOOKS_MAX 16u

static struct mr_late *take_first(struct mr_worker *w)
{
	struct mr_late *x = w->late.first;

	w->late.first = x->next;
	x->next = NULL;
	w->late.count--;
	return x;
}

/* Ends the lateness of a session: its ring is released, and it is read again. */
static void catch_up(struct mr_worker *w, struct mr_session *s, struct mr_late *x)
{
	s->late = NULL;
	mr_slab_release(w->store, x, sizeof(*x));
	if (s->remote == NULL && !s->consumed) {
		s->consumed = true;
		w->consumed[w->consumed_count++] = s;
	}
	/* The end of a closing session waited for its late messages. */
	if (mr_worker_is_closed(s)) {
		w->burst_count = 0; /* the burst is routed already */
		mr_worker_flow_finish(w, s);
	}
}

static void drop_messages(struct mr_worker *w, struct mr_late *x)
{
	while (x->first != NULL) {
		mr_count(w->stats->drop_session_gone, 1);
		mr_worker_late_drop_first(w, x);
	}
}

/* Drops the late messages of a freed session, as nobody may publish them; resumes its fan-out.
 * False: nothing is left. */
static bool serve_freed(struct mr_worker *w, struct mr_late *x)
{
	drop_messages(w, x);
	if (x->fan != NULL && mr_worker_mesh_ready(w) && mr_worker_route_fan(w, NULL, x->fan))
		x->fan = NULL;
	return x->fan != NULL;
}

/* Gives a session a turn for its fan-out and late messages. False: nothing is left. */
static bool serve_session(struct mr_worker *w, struct mr_session *s, struct mr_late *x)
{
	uint64_t work = 0;

	atomic_store_explicit(&s->heard, mr_worker_clock(w), memory_order_relaxed);
	if (x->fan != NULL) {
		if (!mr_worker_mesh_ready(w) || !mr_worker_route_fan(w, s, x->fan))
			return true;
		x->fan = NULL;
		work = mr_worker_turn_work(w);
	}
	while (x->first != NULL && x->fan == NULL && work < MR_TURN_WORK &&
		mr_worker_mesh_ready(w) && mr_worker_late_may_route_first(w, s, x)) {
		if (!mr_worker_late_route_first(w, s, x))
			break;
		work += mr_worker_turn_work(w) + 1;
		/* Release the route of each late message at once: there may be many. */
		(void)mr_router_forget(w->router);
	}
	return x->first != NULL || x->fan != NULL;
}

/* Serves one session's record; false if the record is freed. */
static bool run_one(struct mr_worker *w, struct mr_late *x, uint32_t *serves)
{
	struct mr_session *s = mr_directory_find(&w->directory, x->slot, x->generation);

	if (s == NULL) {
		(*serves)++;
		if (serve_freed(w, x))
			return true;
		mr_slab_release(w->store, x, sizeof(*x));
		return false;
	}
	if (x->fan == NULL && mr_session_stays_paused(s) && !mr_worker_is_closed(s)) {
		mr_worker_count_pause(w, s);
		return true;
	}
	w->moved = true;
	if (w->share.turns > 0 && mr_session_is_ahead(w, s)) {
		w->share.last = NULL; /* end the current turn: this session waits for its charge */
		return true;
	}
	(*serves)++;
	if (serve_session(w, s, x))
		return true;
	catch_up(w, s, x);
	return false;
}

static void __attribute__((noinline)) run_some(struct mr_worker *w)
{
	uint32_t looks = w->late.count < LOOKS_MAX ? w->late.count : LOOKS_MAX;
	uint32_t serves = 0;

	for (; looks > 0 && serves < MR_LATE_SERVES && !mr_worker_round_is_over(w); looks--) {
		struct mr_late *x = take_first(w);

		if (run_one(w, x, &serves))
			mr_worker_late_list(w, x);
	}
	/* The worker does not sleep while fan-outs are unfinished. */
	if (w->fans->used != NULL || looks > 0)
		w->moved = true;
}

void mr_worker_late_run(struct mr_worker *w)
{
	if (mr_unlikely(w->late.count > 0 || w->fans->used != NULL))
		run_some(w);
}
