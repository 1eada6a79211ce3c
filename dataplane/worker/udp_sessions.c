/* SPDX-License-Identifier: Apache-2.0 */
/* udp_sessions: checks the sessions over UDP: heartbeats, liveness time-out, expulsion. */
#include "dataplane/worker/flows.h"

#include <errno.h>

#include <rte_cycles.h>
#include <rte_mbuf.h>

/* All sessions are checked this many times in a heartbeat interval. */
#define LOOKS 8u
/* The time that a closing session has to acknowledge its log. */
#define LEAVE_MS 1000u

static void send_close(struct mr_worker *w, struct mr_session *s, int32_t code)
{
	uint64_t memory[MR_CLOSE_WORDS];
	struct mr_message_plan plan = mr_worker_close_plan(code, memory);

	(void)mr_worker_send_alone(w, s, &plan, 0, false);
}

/* Ends a session. All that it has acknowledged is taken first. */
static void end_session(struct mr_worker *w, struct mr_session *s, enum mr_remote_end why)
{
	mr_worker_remote_end(s, why);
	w->burst_count = 0; /* the last round's burst is routed */
	mr_worker_flow_finish(w, s);
}

/* True if the session's log is acknowledged, or LEAVE_MS have passed. */
static bool may_leave(struct mr_worker *w, struct mr_session *s, uint64_t now)
{
	struct mr_flow *flow = &s->remote->flow;

	if (mr_worker_flow_drained(s))
		return true;
	if (flow->leaving_since == 0)
		flow->leaving_since = now;
	return now - flow->leaving_since >= w->tsc_hz / 1000 * LEAVE_MS;
}

/* Returns how long the client has been silent. Time in which this worker did not run does not
 * count. */
static int64_t silent_cycles(const struct mr_worker *w, const struct mr_remote *r, uint64_t now)
{
	int64_t since_rx = (int64_t)(now - r->last_rx);
	int64_t since_thaw = (int64_t)(now - w->scan.thawed);

	return since_rx < since_thaw ? since_rx : since_thaw;
}

/* Keeps the session's frames within the port's MTU, which may have been lowered. A path that cannot
 * carry the smallest frames gets these. */
static void follow_mtu(struct mr_worker *w, struct mr_session *s)
{
	struct mr_remote *r = s->remote;
	uint32_t most = mr_path_frame_bytes(&r->path, mr_port_mtu(w->ports[r->port].port));

	if (most == 0)
		most = MR_FRAME_BYTES_MIN;
	if (mr_likely(r->frame_bytes <= most))
		return;
	mr_worker_seal(w, s);
	__atomic_store_n(&r->frame_bytes, most, __ATOMIC_RELAXED);
}

static void check_session(struct mr_worker *w, struct mr_session *s, uint64_t now)
{
	struct mr_remote *r = s->remote;
	int32_t expel = atomic_load_explicit(&r->expel, memory_order_acquire); /* [remote.expel] */
	int64_t silent = silent_cycles(w, r, now);

	if (atomic_load_explicit(&r->end, memory_order_relaxed) != MR_REMOTE_LIVES)
		return;
	mr_gauge(s->stats->last_rx_ns,
		(int64_t)((double)r->last_rx * 1e9 / (double)w->tsc_hz) + w->scan.clock_delta);
	mr_worker_gauge(w, s);
	follow_mtu(w, s);
	if (expel != 0 && may_leave(w, s, now)) {
		send_close(w, s, expel);
		end_session(w, s, MR_REMOTE_CLOSED);
	} else if (atomic_load_explicit(&s->full_too_long, memory_order_relaxed)) {
		send_close(w, s, -ETIMEDOUT);
		end_session(w, s, MR_REMOTE_FULL_TOO_LONG);
	} else if (silent > 0 && (uint64_t)silent >= w->liveness_timeout && !r->is_group) {
		end_session(w, s, MR_REMOTE_EXPIRED);
	} else {
		if (s->missed_unreported > 0)
			(void)mr_worker_tell_gap(w, s, 0);
		/* One check early, as the next one would be late. */
		if ((int64_t)(now - r->last_tx) >= (int64_t)(w->heartbeat - w->heartbeat / LOOKS))
			(void)mr_worker_heartbeat(w, s);
	}
}

static struct mr_session *remote_at(const struct mr_worker *w, uint32_t index)
{
	/* [session.slot] */
	struct mr_session *s = atomic_load_explicit(
		&w->directory.slots[w->remote_first + index], memory_order_acquire);

	return s != NULL && s->remote != NULL ? s : NULL;
}

void mr_worker_udp_sessions_look(struct mr_worker *w)
{
	uint64_t now = mr_worker_clock(w);
	int64_t elapsed = (int64_t)(now - w->scan.since);
	uint32_t slots = w->directory.slots_count - w->remote_first;
	double interval = (double)w->heartbeat / ((double)slots * LOOKS);
	uint64_t due;

	if (w->ports_count == 0 || elapsed <= 0)
		return;
	/* With ports this is called about each millisecond: after half a second without, the worker
	 * stood still. */
	if (mr_unlikely(now - w->scan.looked > w->tsc_hz / 2))
		w->scan.thawed = now;
	w->scan.looked = now;
	due = (uint64_t)((double)elapsed / interval);
	if (due == 0)
		return;
	if (due > slots) {
		due = slots;
		w->scan.since = now;
	} else {
		w->scan.since += (uint64_t)((double)due * interval);
	}
	for (uint64_t i = 0; i < due; i++) {
		struct mr_session *s = remote_at(w, w->scan.next);

		if (s != NULL)
			check_session(w, s, now);
		if (++w->scan.next == slots)
			w->scan.next = 0;
	}
	mr_worker_publish_tails(w);
	mr_worker_ports_tx(w);
}

void mr_worker_udp_sessions_stop(struct mr_worker *w)
{
	uint32_t slots = w->directory.slots_count - w->remote_first;

	for (uint32_t i = 0; w->ports_count > 0 && i < slots; i++) {
		struct mr_session *s = remote_at(w, i);

		if (s != NULL)
			send_close(w, s, -ESHUTDOWN);
	}
	mr_worker_ports_tx(w);
}
