/* SPDX-License-Identifier: Apache-2.0 */
/* bound: publishes that go into queues bound to their subject. Private to the worker.
 *
 *   publish ──▶ group of the queue in the route ──▶ own engine
 *                                              └──▶ mesh: from which session ──▶ home: engine
 *
 * A bound queue is the only member of a queue group (dataplane/subject/table.h), so it gets one
 * copy. The message becomes a Push with the subject. Its number may be that of a removed queue: the
 * engine compares generations.
 *
 * A promised publish waits at its publisher while a flag of the home worker is set: the queue is
 * full, the memory is short, or the publisher's peer has its share. What is under way by then goes
 * in; the window of promised bytes between two workers bounds it.
 *
 * Owns      The flags.
 * Threads   The worker's lcore changes its own flags; all workers read them.
 * Ordering  [worker.sleep] as for full flags: see backpressure.h.
 * Hot path  All of it.
 */
#ifndef MILLRACE_WORKER_BOUND_H
#define MILLRACE_WORKER_BOUND_H

#include "dataplane/worker/backpressure.h"

/* Set in the flags of queues, memory and peers; no session id has this bit. The low half of a flag
 * counts settings: a publisher does not wait for one that was cleared meanwhile. The rest of a
 * queue's flag is the high part of its number, without the worker. */
#define MR_BOUND_FLAG (UINT64_C(1) << 62)

/* The flags of one worker's queues. w: the worker, r: all workers */
struct mr_bound_flags {
	alignas(MR_CACHE_LINE) _Atomic uint32_t count; /* flags that are set */
	uint32_t mask;                                 /* read-only after init */
	uint32_t settings;                             /* worker's own */
	struct mr_full_flag memory;
	struct mr_full_flag peers[MR_QUEUE_HELD_PEERS];
	_Atomic uint64_t peer_of[MR_QUEUE_HELD_PEERS]; /* the peer of each flag above */
	struct mr_full_flag of[];                      /* by the low bits of a queue's number */
};

/* For queues with numbers of up to `slots` different low parts. NULL: no memory. */
struct mr_bound_flags *mr_bound_flags_new(uint32_t slots);
void mr_bound_flags_free(struct mr_bound_flags *f);
/* Sets or clears a flag: see struct mr_queue_ops. */
void mr_worker_bound_hold(
	struct mr_worker *w, enum mr_queue_held what, uint64_t index, uint64_t of);

/* Gives a publish of session `from` to the bound queue that is the route's group `g`. `ends`: 0,
 * or the flag of a promised publish that did not wait because its session ends: High if it was
 * accepted, else Low. */
void mr_worker_bound_give(struct mr_worker *w, uint64_t from, uint8_t ends,
	const struct mr_route *r, uint32_t g, const struct mr_message_view *m);
/* Gives it to all groups of a route that are bound queues. */
void mr_worker_bound_give_all(struct mr_worker *w, uint64_t from, uint8_t ends,
	const struct mr_route *r, const struct mr_message_view *m);
/* Takes such a publish that another worker sent. */
void mr_worker_bound_take(struct mr_worker *w, uint64_t from, const struct mr_message_view *m);

/* The outcome of mr_worker_bound_look. LATE: the window to the home worker is used up. */
enum mr_bound_state { MR_BOUND_OPEN, MR_BOUND_LATE, MR_BOUND_HELD };

/* Returns whether the queue that is the route's group `g` takes a promised publish of that peer
 * now. HELD: `*flag` says why not, until it is not `*value` any more. */
enum mr_bound_state mr_worker_bound_look(struct mr_worker *w, uint64_t peer,
	const struct mr_route *r, uint32_t g, const struct mr_full_flag **flag, uint64_t *value);

/* Finds the queue that is the route's group `g`: its worker, and its number as the generation.
 * False: it was unbound just now. */
static inline bool mr_bound_find(const struct mr_route *r, uint32_t g, struct mr_member *out)
{
	/* Mostly the first binding. */
	const struct mr_sink *sink = r->members[r->groups[g].span_first].sinks;
	uint32_t flags = atomic_load_explicit(&sink->flags, memory_order_relaxed);

	if (mr_unlikely((flags & MR_SINK_GONE) != 0))
		return mr_route_group_pick(r, g, 0, out);
	out->worker = (uint16_t)(flags >> MR_SINK_WORKER_SHIFT);
	out->generation = sink->generation;
	return true;
}
/* True if a group of the route is not a bound queue. */
bool mr_bound_has_members(const struct mr_route *r);

#endif
