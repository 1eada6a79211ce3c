/* SPDX-License-Identifier: Apache-2.0 */
/* backpressure: how a publisher of promised messages learns that a receiver is full, on whatever worker.
 * Private to the worker.
 *
 *   receiver goes over its mark ──▶ its worker shuts the session's gate
 *   promised publish at the head of a ring or frame ──▶ its worker looks at the gates of all
 *                   sessions that it would go to: one is shut ──▶ the publisher is stalled
 *   receiver at its low mark, or gone ──▶ the gate opens ──▶ sleeping workers are rung
 *
 * Each session has a gate of its own, in its worker's table, so whatever a full session subscribes to
 * waits from the first message on, and nothing else does. A route names this worker's subscribers; those
 * of others are looked for in the table only while one of those workers has a gate that is shut. A
 * message to a queue group waits only if all members that are looked at are full.
 *
 * Bound     What can reach a session after its gate was shut: a burst of its own worker, and of each
 *           other worker a window of promised bytes and a burst (wire/underway.h). The mark is below
 *           what the session has room for by as much, times the copies that one message makes for it.
 *           A worker with little memory left to hold messages shuts a gate for all of its sessions.
 *
 * A session that stood full for block_ms_max without reading is *over*: its gate opens for plain
 * subscriptions, it drops what finds no room, and no queue group picks it while another can take the
 * message. That ends when it has caught up.
 *
 * Threads   The worker's lcore changes its own gates; all workers read them.
 * Ordering  [worker.sleep] a gate is opened, then page->asleep is loaded, by the receiver's worker;
 *           page->asleep is stored, then the gate is loaded, by the publisher's; all seq_cst.
 *           [backpressure.count] release of gates->shuts -> acquire in the publisher's worker: a worker
 *           that sees the new count sees the gate shut.
 * Hot path  All of it.
 */
#ifndef MILLRACE_WORKER_BACKPRESSURE_H
#define MILLRACE_WORKER_BACKPRESSURE_H

#include "lib/wire/underway.h"
#include "dataplane/worker/promise.h"

struct mr_gate {
	_Atomic uint64_t shut; /* by which session; 0: it is open */
};

/* The session is over: its gate is shut to queue groups alone. No worker's number is that large. */
#define MR_GATE_OVER (UINT64_C(1) << 63)

/* Of one worker. w: the worker, r: all workers */
struct mr_gates {
	alignas(MR_CACHE_LINE) _Atomic uint32_t count; /* that are shut, `all` included */
	_Atomic uint64_t shuts;                        /* times that one was shut */
	struct mr_gate all; /* of all sessions that block: there is little memory left */
	alignas(MR_CACHE_LINE) struct mr_gate of[]; /* by slot */
};

/* NULL: no memory. */
struct mr_gates *mr_gates_new(uint32_t slots);

/* True if no receiver of the promised Publish `m` of `s` is full. False: it has to be routed later, and
 * nothing behind it before it; until then the session is paused. */
bool mr_worker_may_publish(
	struct mr_worker *w, struct mr_session *s, const struct mr_message_view *m);

/* Takes a promised Publish, whose header was read and fits, into the burst. False: it has to wait. */
bool mr_worker_take_promised(
	struct mr_worker *w, struct mr_session *s, const uint8_t *at, uint64_t word);

/* Takes any message into the burst, which has room. False: it is a promised Publish that has to wait. */
MR_ALWAYS_INLINE bool mr_worker_take(
	struct mr_worker *w, struct mr_session *s, const uint8_t *at, uint64_t word)
{
	struct mrf_message_header h = mr_message_header(word);

	/* One look is enough for all messages of one alias in a burst. */
	if (mr_unlikely(mr_message_is_promised(h.flags)) && h.kind == MRF_MESSAGE_KIND_PUBLISH &&
		!(w->passed_gates.from == s && w->passed_gates.target == h.target &&
			!(h.flags & MRF_MESSAGE_FLAG_FRAGMENT)))
		return mr_worker_take_promised(w, s, at, word);
	mr_worker_keep_word(w, s, at, word);
	return true;
}

/* Keeps a promised publish that came where nothing can wait, in the datagram flow: as one that is
 * not promised. */
void mr_worker_keep_unpromised(
	struct mr_worker *w, struct mr_session *s, const uint8_t *at, struct mrf_message_header h);

static inline bool mr_gate_is_shut(const struct mr_gate *gate, uint64_t session)
{
	return atomic_load_explicit(&gate->shut, memory_order_seq_cst) ==
	       session; /* [worker.sleep] */
}

/* True while it is shut by the session of that generation, and not to groups alone. */
static inline bool mr_gate_holds(const struct mr_gate *gate, uint32_t generation)
{
	uint64_t now = atomic_load_explicit(&gate->shut, memory_order_seq_cst); /* [worker.sleep] */

	return now != 0 && (now & MR_GATE_OVER) == 0 && (uint32_t)now == generation;
}

/* True while the gate at which the session is stalled is shut. False of one that waits for no gate
 * alone: it is to be asked again by mr_worker_take. Of a client that is gone nothing waits for long. */
static inline bool mr_session_waits(const struct mr_session *s)
{
	return s->gate != NULL && mr_gate_holds(s->gate, s->gate_of) &&
	       !atomic_load_explicit(&s->ends, memory_order_seq_cst); /* [worker.sleep] */
}

/* Counts a round in which a stalled session was not read. */
void mr_worker_count_stall(struct mr_worker *w, struct mr_session *s);

/* True if a promised message for the member would have to wait, or would be missed by it. */
bool mr_worker_member_full(struct mr_worker *w, const struct mr_member *member);
/* True if it would miss it: it stood full for too long, and is not waited for. */
bool mr_worker_member_over(struct mr_worker *w, const struct mr_member *member);

/* Promised bytes between workers. Sent to, or taken from, the mesh: a message of `body_bytes`. */
void mr_worker_window_sent(struct mr_worker *w, uint64_t workers, uint32_t body_bytes);
static inline void mr_worker_window_taken(struct mr_worker *w, uint32_t body_bytes)
{
	w->window.taken += body_bytes + MR_UNDERWAY_EACH_BYTES;
}
/* Tells the worker `from` what was taken of it. */
void mr_worker_window_tell(struct mr_worker *w, unsigned from);

/* A session has become full: it stays so until no more than `low` bytes wait for it. */
void mr_worker_full(struct mr_worker *w, struct mr_session *s, struct mr_waiting *x,
	const struct mr_route *r, uint64_t low);
/* The session is full no more, or gone (NULL), or not waited for any longer: its gate opens. */
void mr_worker_not_full(struct mr_worker *w, struct mr_session *s, struct mr_waiting *x);
/* Shuts or opens the gate of all, by what the store has left. */
void mr_worker_look_at_store(struct mr_worker *w);
/* True: all who promise something to receivers that block here wait for room in it. */
static inline bool mr_worker_store_is_short(const struct mr_worker *w)
{
	return atomic_load_explicit(&w->gates->all.shut, memory_order_relaxed) != 0;
}

#endif
