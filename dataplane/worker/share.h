/* SPDX-License-Identifier: Apache-2.0 */
/* share: divides a worker's cycles among publishers, and keeps their late messages. Private to the
 * worker.
 *
 * A *turn* is the messages of one session that stand side by side in a burst. Its cycles are
 * charged to the session: copies made or missed, look-ups, and the copies that other workers make
 * of its messages.
 *
 *   share.now     virtual time: the cycles that each session with messages has had; it advances by
 *                 the mean of a round's turns
 *   s->share_due  virtual time up to which the session has had its share
 *
 * A session that has several bursts in a row for itself is not charged: it could only be ahead of
 * itself.
 *
 * A session ahead of virtual time by more than MR_SHARE_AHEAD is skipped until the others have
 * caught up. If no other session has messages, virtual time advances to the first of those ahead.
 * This is start-time fair queueing (Goyal, Vin, Cheng 1996) with costs that are known only
 * afterwards.
 *
 * A turn ends when its work is used up, and the work of a round is bounded, too. A fan-out that
 * takes more than a turn is left unfinished, and resumed in the session's next turn (fan.h). The
 * messages behind it are *late*:
 *
 *   of a local session        stay in its ring, which is read again from there
 *   frames, reliable flow     wait in their slots
 *   of the same frame, and    are copied into the worker's store; datagrams beyond MR_LATE_BYTES
 *   datagrams                 are dropped
 *
 * A session with late messages is not read, and its ring is not released. So its order is kept, and
 * it feels back-pressure.
 *
 * Units     Work: a sink looked at, 256 bytes copied, or a node visited in a look-up; some 32
 *           cycles.
 * Owns      The late messages: chunks of the worker's store, and a list of sessions by slot and
 *           generation.
 * Threads   The worker's lcore.
 * Hot path  All of it.
 */
#ifndef MILLRACE_WORKER_SHARE_H
#define MILLRACE_WORKER_SHARE_H

#include <rte_cycles.h>

#include "dataplane/worker/stages.h"

/* Cycles that a session may be ahead of virtual time. */
#define MR_SHARE_AHEAD 131072
/* Charge for a copy that another worker makes, cycles. */
#define MR_SHARE_FAR 32u
/* Cycles that a session may get ahead by receiving. */
#define MR_SHARE_RECEIVER_AHEAD (8 * MR_SHARE_AHEAD)
/* Charge for a look at a session's full flag, or at a sink of a full session, cycles. */
#define MR_SHARE_LOOK 8u
/* A turn of at most this many messages and copies may be charged without reading the clock. */
#define MR_SHARE_SHORT 8u
#define MR_TURN_WORK   1024u
#define MR_ROUND_WORK  8192u
/* Turns in a round for other workers that have more messages. */
#define MR_MESH_TURNS 8u
/* Bytes of late messages of one session over UDP. Its reliable flow can bring less behind a late
 * message. */
#define MR_LATE_BYTES 131072u

struct mr_fan;
struct mr_fan_at;
struct mr_fan_load;
struct mr_late_message;

/* A session with late messages or an unfinished fan-out. */
struct mr_late {
	struct mr_late *next; /* in the worker's list */
	struct mr_fan *fan;   /* unfinished, goes before the messages; NULL: none */
	uint32_t slot;
	uint32_t generation;
	uint64_t peer;
	uint32_t bytes;
	struct mr_late_message *first;
	struct mr_late_message *last;
};

/* late.c: limits the late datagrams of one peer. -ENOMEM, -EIO. */
int mr_worker_late_init(struct mr_worker *w, uint32_t percent, uint32_t peers_max);
/* Appends a copy of a frame's message to the late messages of its session. Without memory a
 * datagram is dropped and counted; a message of the reliable flow is routed now, after all late
 * messages of the session. */
void mr_worker_late_put(struct mr_worker *w, const struct mr_burst_entry *e);
/* Keeps an unfinished fan-out. False: no memory. */
bool mr_worker_late_fan(struct mr_worker *w, struct mr_session *s, const struct mr_route *r,
	const struct mr_fan_load *l, const struct mr_fan_at *at);
/* Puts a session's record at the end of the list. */
void mr_worker_late_list(struct mr_worker *w, struct mr_late *x);
/* True if no full receiver blocks the first late message. */
bool mr_worker_late_may_route_first(struct mr_worker *w, struct mr_session *s, struct mr_late *x);
/* Routes the first late message and drops it. False: it stays. */
bool mr_worker_late_route_first(struct mr_worker *w, struct mr_session *s, struct mr_late *x);
void mr_worker_late_drop_first(struct mr_worker *w, struct mr_late *x);
/* late_run.c: routes some late messages of sessions that have a share left; once a round, after
 * other messages. */
void mr_worker_late_run(struct mr_worker *w);

/* True if the session has used up its share. */
static inline bool mr_session_is_ahead(const struct mr_worker *w, const struct mr_session *s)
{
	return (int64_t)(s->share_due - w->share.now) > MR_SHARE_AHEAD;
}

/* True if a new frame's messages of this session must wait: behind its late messages, or because
 * the session over UDP is ahead of the others. */
static inline bool mr_session_must_wait(const struct mr_worker *w, const struct mr_session *s)
{
	return s->late != NULL ||
	       (s->remote != NULL && mr_session_is_ahead(w, s) && w->share.last != s);
}

/* Ends a round: virtual time advances by the mean cost of its charged turns. */
static inline void mr_worker_share_round(struct mr_worker *w)
{
	if (mr_unlikely(w->share.charged > 0))
		w->share.now += w->share.spent / w->share.charged;
	w->share.spent = 0;
	w->share.charged = 0;
	w->share.turns = 0;
	w->share.work = 0;
}

static inline uint64_t mr_worker_visits(const struct mr_worker *w)
{
	return w->looked->visits;
}

static inline void mr_worker_turn_begin(struct mr_worker *w)
{
	w->share.turn_work = 0;
	w->share.turn_far = 0;
	w->share.turn_paid = 0;
	w->share.turn_visits = mr_worker_visits(w);
	w->share.turn_delivered = w->round.delivered;
}

/* True if the turn's work is used up. */
static inline bool mr_worker_turn_is_over(const struct mr_worker *w)
{
	return w->share.turn_work + mr_worker_visits(w) - w->share.turn_visits >= MR_TURN_WORK;
}

/* True if the round has no work left for a route of many sinks. */
static inline bool mr_worker_round_is_over(const struct mr_worker *w)
{
	return w->share.work + w->share.turn_work >= MR_ROUND_WORK;
}

/* Returns the work of the turn so far. */
static inline uint64_t mr_worker_turn_work(const struct mr_worker *w)
{
	return w->share.turn_work + mr_worker_visits(w) - w->share.turn_visits;
}

/* Ends a turn of `work`. The work of a message is remembered for some turns. */
static inline void mr_worker_turn_end(
	struct mr_worker *w, struct mr_session *s, uint64_t work, uint32_t messages)
{
	uint32_t each = (uint32_t)(work < UINT32_MAX ? work : UINT32_MAX);

	w->share.turns++;
	w->share.last = s;
	if (mr_likely(work == 0 && s->message_work == 0))
		return;
	w->share.work += work;
	if (messages > 1)
		each /= messages;
	s->message_work =
		each > s->message_work ? each : (uint32_t)((s->message_work * 7ull + each) / 8);
}

/* True if a turn is charged the mean of the session's short turns. Reading the clock costs as much
 * as a message, so only one short turn in eight is measured. It is chosen at random: no client can
 * tell which. */
static inline bool mr_worker_turn_is_estimated(
	struct mr_worker *w, const struct mr_session *s, uint64_t work, uint32_t messages)
{
	if (work != 0 || messages - 1 >= MR_SHARE_SHORT || s->message_cycles == 0 ||
		w->round.delivered - w->share.turn_delivered > MR_SHARE_SHORT)
		return false;
	w->share.random = w->share.random * 6364136223846793005u + 1442695040888963407u;
	return w->share.random >> 61 != 0;
}

/* Updates the mean cycles of a message from a measured turn. */
static inline void mr_worker_turn_measured(struct mr_session *s, uint32_t messages, uint64_t cycles)
{
	if (messages - 1 >= MR_SHARE_SHORT)
		return;
	cycles /= messages;
	s->message_cycles = s->message_cycles == 0
				    ? (uint32_t)cycles
				    : (uint32_t)((s->message_cycles * 3ull + cycles) / 4);
}

/* Returns the largest charge for a turn of that work and those bytes of messages. */
static inline uint64_t mr_worker_most_cycles(uint64_t work, uint64_t bytes)
{
	return 4096 + bytes * 32 + work * 512;
}

/* Charges a turn, less the cycles that receivers were charged. */
static inline void mr_worker_charge(struct mr_worker *w, struct mr_session *s, uint64_t cycles)
{
	cycles -= cycles < w->share.turn_paid ? cycles : w->share.turn_paid;
	cycles += w->share.turn_far * MR_SHARE_FAR;
	if ((int64_t)(s->share_due - w->share.now) < 0)
		s->share_due = w->share.now;
	s->share_due += cycles;
	w->share.spent += cycles;
	w->share.charged++;
}

/* Charges a receiver for the copies of a message beyond its first, and for looks at it while it is
 * full. The publisher is charged less by the same amount. The charge is bounded, as the receiver
 * may publish nothing for long. */
static inline void mr_worker_charge_receiver(
	struct mr_worker *w, struct mr_session *s, uint64_t cycles)
{
	int64_t ahead = (int64_t)(s->share_due - w->share.now);

	if (ahead < 0) {
		s->share_due = w->share.now;
		ahead = 0;
	}
	if (ahead >= MR_SHARE_RECEIVER_AHEAD)
		return;
	s->share_due += cycles;
	w->share.turn_paid += cycles;
}

/* Charges a publisher for looks at receivers' full flags, outside of a turn. */
static inline void mr_worker_charge_looks(struct mr_worker *w, struct mr_session *s, uint64_t looks)
{
	if ((int64_t)(s->share_due - w->share.now) < 0)
		s->share_due = w->share.now;
	s->share_due += looks * MR_SHARE_LOOK;
	w->share.work += looks * MR_SHARE_LOOK / MR_SHARE_FAR;
}

/* Returns how many messages the session may add to a burst. */
static inline uint32_t mr_session_burst(const struct mr_session *s)
{
	if (mr_likely(s->message_work <= MR_TURN_WORK / MR_SESSION_BURST))
		return MR_SESSION_BURST;
	return s->message_work >= MR_TURN_WORK ? 1 : MR_TURN_WORK / s->message_work;
}

#endif
