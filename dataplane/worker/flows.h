/* SPDX-License-Identifier: Apache-2.0 */
/* flows: the reliable flows of a worker's sessions over UDP. Private to the worker.
 *
 *   frame ─take─▶ in its turn:                        burst
 *                 early, or the session is paused:    slot ─▶ burst, in its turn
 *   message ─claim─▶ open frame in the log ─seal─▶ buffer ─▶ port; retransmitted until acknowledged
 *
 * A list has the sessions with unacknowledged frames, pending acks or waiting frames. The worker
 * goes through it each round; other sessions cost nothing. Each frame to a session carries an ack.
 * A frame with an ack alone goes when a round has passed without another frame of the session, or
 * after some frames.
 *
 * The credit of all active sessions together fits the receive ring: each has its share of it.
 *
 * Owns      The list. It names sessions by slot and generation, so closed sessions are recognised.
 * Threads   The worker's lcore.
 * Hot path  All of it.
 */
#ifndef MILLRACE_WORKER_FLOWS_H
#define MILLRACE_WORKER_FLOWS_H

#include "dataplane/worker/frames.h"

/* flow_rx.c: handles a frame with flags that came from its session's path. True: the frame belongs
 * to the datagram flow and is still to be taken. False: it was taken, or discarded and counted. */
bool mr_worker_flow_frame(struct mr_worker *w, struct mr_session *s, const struct mr_frame *f);
/* Takes waiting frames from the slots of sessions that are not paused any more, a few of each
 * session. */
void mr_worker_flows_take(struct mr_worker *w);
/* Takes the waiting frames of a closing session without regard to full receivers: they were
 * acknowledged. Leaves no burst unrouted. */
void mr_worker_flow_finish(struct mr_worker *w, struct mr_session *s);

/* flow_tx.c: returns room for a message of `bytes` (its stride) in the session's open frame of the
 * reliable flow; sends a full frame and opens a new one. NULL: the session has no such flow, the
 * message is too large for a frame, or log, congestion window or credit have no room now. */
static inline void *mr_worker_flow_claim(struct mr_worker *w, struct mr_session *s, uint32_t bytes);
/* Adds the message in the claimed room to the open frame. */
static inline void mr_worker_flow_push(struct mr_worker *w, struct mr_session *s, uint32_t bytes);
/* Copies a run (deliver.h) into frames of a session that knows the flow and has nothing queued.
 * Returns how many messages found room. */
uint32_t mr_worker_flow_copy_run(struct mr_worker *w, struct mr_session *s,
	const struct mr_route *r, const struct mr_burst_entry *e, uint32_t count, uint32_t target);
/* Sends the open frame, opens a new one and returns room in it; NULL as above. */
void *mr_worker_flow_claim_new(struct mr_worker *w, struct mr_session *s, uint32_t bytes);
/* Sends the open frame, if there is one. */
void mr_worker_flow_seal(struct mr_worker *w, struct mr_session *s);
/* Sends a frame of the log, new or retransmitted. Without a buffer it counts as sent and lost. */
void mr_worker_flow_send_frame(struct mr_worker *w, struct mr_session *s, uint32_t sequence,
	const struct mr_reliable_frame *frame);
/* flow_run.c: goes through the list at the end of a round. */
void mr_worker_flows_run(struct mr_worker *w);
/* flow_ack.c: writes ack and credit into a frame header. `came`, if not NULL, gets the `*words`
 * words of bits for early frames (SelectiveAck). */
void mr_worker_flow_write_ack(struct mr_worker *w, struct mr_session *s, uint8_t *header,
	uint64_t came[MR_RELIABLE_SACK_WORDS], uint32_t *words);
/* Writes ack and credit into a frame header, if the session has a reliable flow. */
void mr_worker_flow_add_ack(struct mr_worker *w, struct mr_session *s, uint8_t *header);
/* Puts the session on the list. */
void mr_worker_flow_list(struct mr_worker *w, struct mr_session *s);
/* True if the open frame is sent and all sent frames are acknowledged. */
static inline bool mr_worker_flow_drained(const struct mr_session *s)
{
	const struct mr_flow *f = &s->remote->flow;

	return f->memory == NULL || (mr_reliable_tx_drained(&f->tx) && f->open_room == 0);
}

/* True if the client has shown that it knows the reliable flow. */
static inline bool mr_session_knows_flow(const struct mr_session *s)
{
	return s->remote != NULL && s->remote->flow.knows_flow;
}

/* Returns the round's clock in nanoseconds. */
static inline uint64_t mr_worker_flow_ns(const struct mr_worker *w)
{
	return (uint64_t)((unsigned __int128)mr_worker_clock(w) * w->flows.ns_a_cycle >> 32);
}

static inline void *mr_worker_flow_claim(struct mr_worker *w, struct mr_session *s, uint32_t bytes)
{
	const struct mr_flow *flow = &s->remote->flow;
	uint8_t *to = flow->log + flow->head + flow->open_used;

	/* Without an open frame open_room is 0. */
	if (mr_unlikely(flow->open_room == 0 || bytes > flow->open_room - flow->open_used)) {
		to = mr_worker_flow_claim_new(w, s, bytes);
		if (to == NULL)
			return NULL;
	}
	/* Padding must not show older contents of the log. */
	memset(to + bytes - MR_MESSAGE_ALIGN, 0, MR_MESSAGE_ALIGN);
	return to;
}

static inline void mr_worker_flow_push(struct mr_worker *w, struct mr_session *s, uint32_t bytes)
{
	struct mr_flow *flow = &s->remote->flow;

	flow->open_used += bytes;
	flow->open_messages++;
	mr_worker_mark_dirty(w, s);
}

#endif
