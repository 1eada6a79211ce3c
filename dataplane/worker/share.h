/* SPDX-License-Identifier: Apache-2.0 */
/* share: what each publisher may cost its worker, and what is left for later. Private to the worker.
 *
 * A *turn* is the messages of one session that stand side by side in a burst. Its cycles are charged to the
 * session: copies made or missed, look-ups, and the copies that other workers make of it.
 *
 *   share.now  virtual time: the cycles that each session that wanted some has had; goes on by the mean of
 *              a round's turns
 *   share_due  of a session: the virtual time up to which it has had its share
 *
 * A session that has burst after burst for itself is not charged: it could only be ahead of itself.
 *
 * A session that is ahead of virtual time by more than MR_SHARE_AHEAD is passed over until the others have
 * caught up. If nobody else wants the worker, virtual time goes to where the first of them is. This is
 * start-time fair queueing (Goyal, Vin, Cheng 1996) with the cost known after the fact.
 *
 * A turn ends when its work is used up, and the work of a round is bounded, too. A fan-out that takes more
 * than a turn is left in the middle, and resumed in the session's next turn (fan.h). What stands behind it
 * is *late*. A local session's messages stay in its ring, which is read again from there. Frames of a
 * reliable flow wait in their slots. What came in the same frame, and datagrams, are copied into the
 * worker's store; datagrams beyond MR_LATE_BYTES are dropped. A session of which something is late is not
 * read, and its ring is not released, so its order is kept and it feels the pressure.
 *
 * Units     Work: a sink looked at, 256 bytes copied, or a node visited in a look-up; some 32 cycles.
 * Owns      What is late: pieces of the worker's store, and a list of sessions by slot and generation.
 * Threads   The worker's lcore.
 * Hot path  All of it.
 */
#ifndef MILLRACE_WORKER_SHARE_H
#define MILLRACE_WORKER_SHARE_H

#include <rte_cycles.h>

#include "dataplane/worker/stages.h"

/* Cycles that a session may be ahead. */
#define MR_SHARE_AHEAD 131072
/* A copy that another worker makes, cycles. */
#define MR_SHARE_FAR 32u
/* As far ahead a session comes by what it receives. */
#define MR_SHARE_RECEIVER_AHEAD (8 * MR_SHARE_AHEAD)
/* A look at a gate, or at a sink of a session that is full, cycles. */
#define MR_SHARE_LOOK 8u
/* Messages, and copies, of a turn that may be charged without a look at the clock. */
#define MR_SHARE_SHORT 8u
#define MR_TURN_WORK   1024u
#define MR_ROUND_WORK  8192u
/* Turns that a round gives to other workers that have more. */
#define MR_MESH_TURNS 8u
/* Late messages of one session over UDP. What its reliable flow can bring behind a late one is less. */
#define MR_LATE_BYTES 131072u

struct mr_fan;
struct mr_fan_at;
struct mr_fan_load;
struct mr_late_message;

/* A session of which something is late. */
struct mr_late {
	struct mr_late *next; /* in the worker's list */
	struct mr_fan *fan;   /* that was left, and goes before the messages; NULL: none */
	uint32_t slot;
	uint32_t generation;
	uint32_t bytes;
	struct mr_late_message *first;
	struct mr_late_message *last;
};

/* late.c: copies an entry of a frame behind what is late of its session. Without memory for it a datagram is
 * dropped and counted; what came in a reliable flow is routed now, behind all that is late of it. */
void mr_worker_late_put(struct mr_worker *w, const struct mr_burst_entry *e);
/* Keeps a fan-out that was left. False: there is no memory for that. */
bool mr_worker_late_fan(struct mr_worker *w, struct mr_session *s, const struct mr_route *r,
	const struct mr_fan_load *l, const struct mr_fan_at *at);
/* Puts a session's record at the end of the list. */
void mr_worker_late_list(struct mr_worker *w, struct mr_late *x);
/* True if no receiver that became full meanwhile holds the first late message up. */
bool mr_worker_late_may_route_first(struct mr_worker *w, struct mr_session *s, struct mr_late *x);
/* Routes the first late message and drops it. False: it stays. */
bool mr_worker_late_route_first(struct mr_worker *w, struct mr_session *s, struct mr_late *x);
void mr_worker_late_drop_first(struct mr_worker *w, struct mr_late *x);
/* late_run.c: routes some of what is late, of sessions that have their share yet; once a round, behind all else. */
void mr_worker_late_run(struct mr_worker *w);

/* True of a session that has had its share. */
static inline bool mr_session_is_ahead(const struct mr_worker *w, const struct mr_session *s)
{
	return (int64_t)(s->share_due - w->share.now) > MR_SHARE_AHEAD;
}

/* True if what comes of this session is to wait: behind what is late of it, or because it is ahead of the
 * others, who want the worker too, and came by a port, which could not leave it lying. */
static inline bool mr_session_must_wait(const struct mr_worker *w, const struct mr_session *s)
{
	return s->late != NULL ||
	       (s->remote != NULL && mr_session_is_ahead(w, s) && w->share.last != s);
}

/* Ends a round: virtual time goes on by what the last one's turns took on average. */
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

/* True if the turn's work is used up, or the round's. */
static inline bool mr_worker_turn_is_over(const struct mr_worker *w)
{
	return w->share.turn_work + mr_worker_visits(w) - w->share.turn_visits >= MR_TURN_WORK;
}

/* True if the round has no work left for a route of many sinks. */
static inline bool mr_worker_round_is_over(const struct mr_worker *w)
{
	return w->share.work + w->share.turn_work >= MR_ROUND_WORK;
}

/* The work of the turn so far. */
static inline uint64_t mr_worker_turn_work(const struct mr_worker *w)
{
	return w->share.turn_work + mr_worker_visits(w) - w->share.turn_visits;
}

/* Ends a turn of so much work. What a message is worth of it is remembered for some turns. */
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

/* True if a turn is charged what the session's short turns took on average. To read the clock costs as much
 * as a message, so one short turn in eight is measured, chosen at random: no client can tell which. */
static inline bool mr_worker_turn_is_estimated(
	struct mr_worker *w, const struct mr_session *s, uint64_t work, uint32_t messages)
{
	if (work != 0 || messages - 1 >= MR_SHARE_SHORT || s->message_cycles == 0 ||
		w->round.delivered - w->share.turn_delivered > MR_SHARE_SHORT)
		return false;
	w->share.random = w->share.random * 6364136223846793005u + 1442695040888963407u;
	return w->share.random >> 61 != 0;
}

/* Remembers what the messages of a measured turn took on average. */
static inline void mr_worker_turn_measured(struct mr_session *s, uint32_t messages, uint64_t cycles)
{
	if (messages - 1 >= MR_SHARE_SHORT)
		return;
	cycles /= messages;
	s->message_cycles = s->message_cycles == 0
				    ? (uint32_t)cycles
				    : (uint32_t)((s->message_cycles * 3ull + cycles) / 4);
}

/* Most that a turn of that work and those bytes of messages is charged. */
static inline uint64_t mr_worker_most_cycles(uint64_t work, uint64_t bytes)
{
	return 4096 + bytes * 32 + work * 512;
}

/* Charges a turn. */
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

/* Charges a session for more copies of a message than its first, and for looks at it while it is full; who
 * publishes is charged as much less. Not without end, as it may publish nothing for long. */
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

/* Charges looks at the gates of receivers, which cost less than a turn's. */
static inline void mr_worker_charge_looks(struct mr_worker *w, struct mr_session *s, uint64_t looks)
{
	if ((int64_t)(s->share_due - w->share.now) < 0)
		s->share_due = w->share.now;
	s->share_due += looks * MR_SHARE_LOOK;
	w->share.work += looks * MR_SHARE_LOOK / MR_SHARE_FAR;
}

/* Messages that the session may give to a burst. */
static inline uint32_t mr_session_burst(const struct mr_session *s)
{
	if (mr_likely(s->message_work <= MR_TURN_WORK / MR_SESSION_BURST))
		return MR_SESSION_BURST;
	return s->message_work >= MR_TURN_WORK ? 1 : MR_TURN_WORK / s->message_work;
}

#endif
