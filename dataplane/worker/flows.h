/* SPDX-License-Identifier: Apache-2.0 */
/* flows: the reliable flows of a worker's sessions over UDP. Private to the worker.
 *
 *   frame ─take─▶ in its turn: burst        ahead, or behind a stalled one: slot ─▶ burst, in its
 * turn
 *   message ─claim─▶ open frame in the log ─seal─▶ buffer ─▶ port ... again, until acknowledged
 *
 * Sessions that have something out, owe an ack or have frames waiting are on a list that is gone
 * through each round; others cost nothing. An ack goes with whatever frame goes; by itself it goes
 * when a round has passed without a further frame of the session, or after some frames.
 *
 * What all active sessions are granted together fits the receive ring: each has its share of it.
 *
 * Owns      The list: slots and generations, so that a session that is gone is found to be so.
 * Threads   The worker's lcore.
 * Hot path  All of it.
 */
#ifndef MILLRACE_WORKER_FLOWS_H
#define MILLRACE_WORKER_FLOWS_H

#include "dataplane/worker/frames.h"

/* flow_rx.c: a frame with flags of a session that was found, from its path. True: it is one of the
 * datagram flow, to be looked at further; false: it was taken, or discarded and counted. */
bool mr_worker_flow_frame(struct mr_worker *w, struct mr_session *s, const struct mr_frame *f);
/* Frames that wait in slots, once their session is stalled no more; some of each session. */
void mr_worker_flows_take(struct mr_worker *w);
/* What waits of a session that ends, whoever is full: it was acknowledged. Leaves the burst routed. */
void mr_worker_flow_finish(struct mr_worker *w, struct mr_session *s);

/* flow_tx.c: room for a message of `bytes` (its stride) at the end of the session's open frame of
 * the reliable flow, or of a new one, the full one being sent. NULL: the session has no such flow,
 * the message is too large for a frame, or log, path or client have no room now. */
static inline void *mr_worker_flow_claim(struct mr_worker *w, struct mr_session *s, uint32_t bytes);
/* Takes the room that was claimed. */
static inline void mr_worker_flow_push(struct mr_worker *w, struct mr_session *s, uint32_t bytes);
/* Copies of a run (deliver.h) into frames of a session that speaks the flow, and for which nothing is held;
 * returns how many there was room for. */
uint32_t mr_worker_flow_copy_run(struct mr_worker *w, struct mr_session *s,
	const struct mr_route *r, const struct mr_burst_entry *e, uint32_t count, uint32_t target);
/* Room in a new frame. */
void *mr_worker_flow_claim_new(struct mr_worker *w, struct mr_session *s, uint32_t bytes);
/* Sends the open frame, if there is one. */
void mr_worker_flow_seal(struct mr_worker *w, struct mr_session *s);
/* Sends a frame of the log, new or again. Without a buffer it counts as sent and lost. */
void mr_worker_flow_send_frame(struct mr_worker *w, struct mr_session *s, uint32_t sequence,
	const struct mr_reliable_frame *frame);
/* flow_run.c: acks, what is to be sent again, and the list; at the end of a round. */
void mr_worker_flows_run(struct mr_worker *w);
/* flow_ack.c: writes ack and credit into a frame header; `came`, if not NULL, gets the `*words` words that say
 * what came out of order. */
void mr_worker_flow_write_ack(struct mr_worker *w, struct mr_session *s, uint8_t *header,
	uint64_t came[MR_RELIABLE_SACK_WORDS], uint32_t *words);
/* Adds to a frame at `header` that goes to the session what there is to say of the other way. */
void mr_worker_flow_add_ack(struct mr_worker *w, struct mr_session *s, uint8_t *header);
/* Puts the session on the list. */
void mr_worker_flow_list(struct mr_worker *w, struct mr_session *s);
/* True if nothing that was sent waits for its ack. */
static inline bool mr_worker_flow_drained(const struct mr_session *s)
{
	const struct mr_flow *f = &s->remote->flow;

	return f->memory == NULL || (mr_reliable_tx_drained(&f->tx) && f->open_room == 0);
}

/* True of a session that can be spoken to in this flow: the client has shown that it knows it. */
static inline bool mr_session_speaks_reliably(const struct mr_session *s)
{
	return s->remote != NULL && s->remote->flow.speaks;
}

/* Nanoseconds of the round's clock. */
static inline uint64_t mr_worker_flow_ns(const struct mr_worker *w)
{
	return (uint64_t)((unsigned __int128)mr_worker_clock(w) * w->flows.ns_a_cycle >> 32);
}

static inline void *mr_worker_flow_claim(struct mr_worker *w, struct mr_session *s, uint32_t bytes)
{
	const struct mr_flow *flow = &s->remote->flow;
	uint8_t *to = flow->log + flow->head + flow->open_used;

	/* Without an open frame there is no room in it. */
	if (mr_unlikely(flow->open_room == 0 || bytes > flow->open_room - flow->open_used)) {
		to = mr_worker_flow_claim_new(w, s, bytes);
		if (to == NULL)
			return NULL;
	}
	/* What pads the message is nothing of what stood here before. */
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
