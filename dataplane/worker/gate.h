/* SPDX-License-Identifier: Apache-2.0 */
/* gate: how a publisher of promised messages learns that a receiver is full, on whatever worker.
 * Private to the worker.
 *
 *   receiver goes over the high water ──▶ its worker shuts the gate of the subject
 *   promised publish at the head of a ring or frame ──▶ its worker looks at the gates of all
 *                   workers with interest: one is shut ──▶ the session is stalled: not read
 *   receiver at half of the high water, or gone ──▶ gate opens ──▶ who sleeps is rung
 *
 * A worker has a gate for each bucket of subjects' hashes. Shut, it says by its tag for which
 * subject; one that is shut for two says "any", and other subjects of the bucket wait too. It opens
 * when the last of the full receivers that shut it is full no more. Members of queue groups have
 * gates of their own, each one: a message waits only if all that are looked at are full.
 *
 * What was on its way when a gate shut is delivered or held (promise.h): a burst of each worker, and
 * what lies in the mesh.
 *
 * Threads   The worker's lcore changes its own gates; all workers read them.
 * Ordering  [worker.sleep] a gate is opened, then page->asleep is loaded, by the receiver's worker;
 *           page->asleep is stored, then the gate is loaded, by the publisher's; all seq_cst.
 * Hot path  All of it.
 */
#ifndef MILLRACE_WORKER_GATE_H
#define MILLRACE_WORKER_GATE_H

#include "dataplane/worker/promise.h"

struct mr_gate {
	_Atomic uint32_t tag; /* 0: open */
	uint32_t holds;       /* of sessions that have a part in its being shut; the worker's own */
	_Atomic uint64_t by;  /* one of these sessions */
};

#define MR_GATE_ANY UINT32_MAX

/* False: the Publish of `s` at `at`, whose header was read and fits, is promised and somebody that
 * it is for is full: it is to be taken later, and nothing behind it before it. Until then the
 * session is stalled. */
bool mr_worker_gates_pass(
	struct mr_worker *w, struct mr_session *s, const uint8_t *at, struct mrf_message_header h);

/* The same of any message. */
static inline bool mr_worker_may_take(
	struct mr_worker *w, struct mr_session *s, const uint8_t *at, struct mrf_message_header h)
{
	if (mr_likely(!mr_message_is_promised(h.flags)) || h.kind != MRF_MESSAGE_KIND_PUBLISH)
		return true;
	/* A burst's messages of one subject need be asked for once. */
	if (w->passed_gates.from == s && w->passed_gates.target == h.target &&
		!(h.flags & MRF_MESSAGE_FLAG_FRAGMENT))
		return true;
	return mr_worker_gates_pass(w, s, at, h) ||
	       atomic_load_explicit(&s->ends, memory_order_relaxed);
}

/* Keeps a promised publish that came where nothing can wait, in the datagram flow: as one that is
 * not promised. */
void mr_worker_keep_unpromised(
	struct mr_worker *w, struct mr_session *s, const uint8_t *at, struct mrf_message_header h);

static inline bool mr_gate_is_shut(const struct mr_gate *gate, uint32_t tag)
{
	uint32_t now = atomic_load_explicit(&gate->tag, memory_order_seq_cst); /* [worker.sleep] */

	return now != 0 && (now == tag || now == MR_GATE_ANY);
}

/* True while the gate at which the session is stalled is shut. False of one that waits for no gate
 * alone: it is to be asked again by mr_worker_may_take. Of a client that is gone nothing waits for long. */
static inline bool mr_session_waits(const struct mr_session *s)
{
	return s->gate != NULL && mr_gate_is_shut(s->gate, s->gate_tag) &&
	       !atomic_load_explicit(&s->ends, memory_order_seq_cst); /* [worker.sleep] */
}

/* Counts a round in which a stalled session was not read. */
void mr_worker_count_stall(struct mr_worker *w, struct mr_session *s);

/* To all plain subscribers of this worker, none of which misses a promised message that it would
 * rather wait for; returns how many get it. */
uint32_t mr_worker_promise_own(
	struct mr_worker *w, const struct mr_route *r, const struct mr_message_plan *plan);
/* The same for a run (deliver.h). */
void mr_worker_promise_run_own(struct mr_worker *w, const struct mr_route *r,
	const struct mr_burst_entry *e, uint32_t count);
/* To a member of a queue group that is this worker's. False: it misses it, uncounted if `water` is
 * 0. */
bool mr_worker_promise_member(struct mr_worker *w, struct mr_session *s, const struct mr_route *r,
	uint32_t water, const struct mr_message_plan *plan, uint32_t sub_id);
/* True if a promised message for the member would have to wait. */
bool mr_worker_member_full(const struct mr_worker *w, const struct mr_member *member);

/* The session is full no more, or gone (NULL): gates that were shut for it alone open. */
void mr_worker_not_full(struct mr_worker *w, struct mr_session *s, struct mr_waiting *x);

#endif
