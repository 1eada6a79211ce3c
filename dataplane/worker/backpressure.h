/* SPDX-License-Identifier: Apache-2.0 */
/* backpressure: pauses the publishers of promised messages while a receiver is full. Private to the
 * worker.
 *
 *   a receiver goes above its high-water mark ──▶ its worker sets the session's full flag
 *   promised publish at the head of a ring or frame ──▶ its worker reads the full flags of all
 *                   receivers: one is set ──▶ the publisher is paused
 *   the receiver reaches its low-water mark, or is closed ──▶ the flag is cleared, and sleeping
 *                   workers are woken ──▶ the publisher is resumed
 *   each millisecond a paused publisher checks its receivers again: they may have unsubscribed
 *
 * Each session has its own flag in its worker's table. So all subjects that a full session
 * subscribes to wait from the first message on, and nothing else does. A route names the
 * subscribers of this worker only. Those of another worker are looked up in the table, and only
 * while that worker has a flag set. A message to a queue group waits only if all members that are
 * looked at are full.
 *
 * Bound     After its flag was set a session can still get a burst of its own worker and, from each
 *           other worker, a window of promised bytes and a burst (lib/wire/underway.h). The
 *           high-water mark is at least this much below the session's room, times the copies that
 *           one message makes for it. A worker with little memory left for queued messages sets a
 *           flag for all of its sessions.
 *
 * A session that was full for block_ms_max without reading is *passed over*. Plain publishes no
 * longer wait for it, and it misses messages that find no room. A queue group picks it only if no
 * other member can take the message. This ends when the session has caught up.
 *
 * Threads   The worker's lcore changes its own flags; all workers read them.
 * Ordering  [worker.sleep] the receiver's worker clears a flag, then loads page->asleep; the
 *           publisher's worker stores page->asleep, then loads the flag; all seq_cst.
 *           [backpressure.count] release of full->sets -> acquire in the publisher's worker: a
 *           worker that sees the new count sees the flag set.
 * Hot path  All of it.
 */
#ifndef MILLRACE_WORKER_BACKPRESSURE_H
#define MILLRACE_WORKER_BACKPRESSURE_H

#include "lib/wire/underway.h"
#include "dataplane/worker/promise.h"

struct mr_full_flag {
	_Atomic uint64_t session; /* the full one, or | MR_FULL_FLAG_PASSED_OVER; 0: none */
};

/* The session is passed over: only queue groups heed the flag. No session id has this bit. */
#define MR_FULL_FLAG_PASSED_OVER (UINT64_C(1) << 63)

/* The full flags of one worker. w: the worker, r: all workers */
struct mr_full_flags {
	alignas(MR_CACHE_LINE) _Atomic uint32_t count; /* flags that are set, `all` included */
	_Atomic uint64_t sets;                         /* times that a flag was set */
	struct mr_full_flag all; /* for all blocking receivers: little memory is left */
	alignas(MR_CACHE_LINE) struct mr_full_flag of[]; /* by slot */
};

/* Returns NULL if there is no memory. */
struct mr_full_flags *mr_full_flags_new(uint32_t slots);

/* True if no receiver of the promised Publish `m` of `s` is full. False: it must be routed later,
 * and no later publish of `s` before it. The session is paused until then, unless only a window of
 * bytes to another worker is used up. */
bool mr_worker_may_publish(
	struct mr_worker *w, struct mr_session *s, const struct mr_message_view *m);

/* Takes a promised Publish, whose header was read and fits, into the burst. False: it must wait. */
bool mr_worker_take_promised(
	struct mr_worker *w, struct mr_session *s, const uint8_t *at, uint64_t word);

/* Takes any message into the burst, which has room. False: it is a promised Publish that must
 * wait. */
MR_ALWAYS_INLINE bool mr_worker_take(
	struct mr_worker *w, struct mr_session *s, const uint8_t *at, uint64_t word)
{
	struct mrf_message_header h = mr_message_header_of(word);

	/* One check is enough for all messages of one alias in a burst. */
	if (mr_unlikely(mr_message_is_promised(h.flags)) && h.kind == MRF_MESSAGE_KIND_PUBLISH &&
		!(w->had_room.from == s && w->had_room.target == h.target &&
			!(h.flags & MRF_MESSAGE_FLAG_FRAGMENT)))
		return mr_worker_take_promised(w, s, at, word);
	mr_worker_keep_word(w, s, at, word);
	return true;
}

/* Takes a promised publish of the datagram flow into the burst as best effort: nothing can wait
 * there. */
void mr_worker_keep_unpromised(
	struct mr_worker *w, struct mr_session *s, const uint8_t *at, struct mrf_message_header h);

static inline bool mr_full_flag_is(const struct mr_full_flag *flag, uint64_t session)
{
	return atomic_load_explicit(&flag->session, memory_order_seq_cst) ==
	       session; /* [worker.sleep] */
}

/* True while the session of that generation is full and not passed over. */
static inline bool mr_full_flag_pauses(const struct mr_full_flag *flag, uint32_t generation)
{
	uint64_t now =
		atomic_load_explicit(&flag->session, memory_order_seq_cst); /* [worker.sleep] */

	return now != 0 && (now & MR_FULL_FLAG_PASSED_OVER) == 0 && (uint32_t)now == generation;
}

/* True while the receiver that paused the session is full. False if no single receiver paused it:
 * then mr_worker_take checks again. Messages of a closed client do not wait. */
static inline bool mr_session_stays_paused(const struct mr_session *s)
{
	return s->paused_by != NULL && mr_full_flag_pauses(s->paused_by, s->paused_by_generation) &&
	       !atomic_load_explicit(&s->ends, memory_order_seq_cst); /* [worker.sleep] */
}

/* Counts a round in which a paused session was not read. */
void mr_worker_count_pause(struct mr_worker *w, struct mr_session *s);

/* True if the member would make a promised message wait, or would miss it. */
bool mr_worker_member_full(struct mr_worker *w, const struct mr_member *member);
/* True if the member is passed over. */
bool mr_worker_member_passed_over(struct mr_worker *w, const struct mr_member *member);

/* Wakes the workers that may have paused publishers. */
void mr_worker_wake_peers(struct mr_worker *w);
/* True if the window of promised bytes to that worker is used up. */
bool mr_worker_window_full(struct mr_worker *w, unsigned to);

/* Windows of promised bytes between workers: a message of `body_bytes` was put on the mesh for
 * `workers`, or taken from it. */
void mr_worker_window_sent(struct mr_worker *w, uint64_t workers, uint32_t body_bytes);
static inline void mr_worker_window_taken(struct mr_worker *w, uint32_t body_bytes)
{
	w->window.taken += body_bytes + MR_UNDERWAY_EACH_BYTES;
}
/* Publishes to worker `from` how many of its promised bytes were taken. */
void mr_worker_window_tell(struct mr_worker *w, unsigned from);

/* Marks a session full, until no more than `low` bytes wait for it. */
void mr_worker_full(struct mr_worker *w, struct mr_session *s, struct mr_slow_session *x,
	const struct mr_route *r, uint64_t low);
/* Clears the flag of a session that is no longer full, is passed over, or is closed (`s` NULL). */
void mr_worker_not_full(struct mr_worker *w, struct mr_session *s, struct mr_slow_session *x);
/* Sets or clears the flag of all sessions by how much memory the store has left. */
void mr_worker_check_store(struct mr_worker *w);
/* True while the flag of all sessions is set: the store is short of memory. */
static inline bool mr_worker_store_is_short(const struct mr_worker *w)
{
	return atomic_load_explicit(&w->full->all.session, memory_order_relaxed) != 0;
}

#endif
