/* SPDX-License-Identifier: Apache-2.0 */
/* flow: the reliable flow of the generator's sessions, both ways, on lib/wire/reliable.
 *
 *   out  All frames are alike but for their numbers. So the log holds no bytes; a retransmitted
 *        frame is stamped again, in a buffer kept for that.
 *   in   The next frame is taken from its receive buffer. An early frame keeps its buffer until its
 *        turn.
 *
 * Only promised messages use the flow: the publishes. Requests go in the datagram flow and are
 * repeated; the bus's answers may use either. Each frame of a session carries an ack. Sessions that
 * only subscribe send acks in frames of their own.
 *
 * Owns      Memory of all machines; buffers that are kept.
 * Threads   The generator's.
 * Units     Times are nanoseconds of the round's clock, gen.now_ns.
 * Hot path  All but open and close: no allocation, no system call but the driver's.
 */
#ifndef MILLRACE_BENCH_E2E_FRAMES_FLOW_H
#define MILLRACE_BENCH_E2E_FRAMES_FLOW_H

#include "lib/wire/reliable.h"

struct gen;
struct gen_session;
struct rte_mbuf;

/* A frame that arrived early. */
struct gen_kept {
	struct rte_mbuf *buffer;
	const uint8_t *messages; /* in the buffer */
	uint32_t bytes;          /* length of messages */
};

struct gen_flow {
	struct mr_reliable_tx tx;
	struct mr_reliable_rx rx;
	struct mr_reliable_frame *frames; /* MR_RELIABLE_WINDOW_MAX */
	struct gen_kept *kept;            /* rx.slots of them */
	uint32_t ack_pending_seen;        /* acks pending one round ago */
	bool listed;                      /* in the list that each round visits */
};

/* All flows of a generator. */
struct gen_flows {
	struct gen_flow *all; /* one for each session, in their order; NULL: datagrams only */
	struct mr_reliable_frame *frames;
	struct gen_kept *kept;
	uint32_t slots; /* slots of each flow */
	uint32_t listed_count;
	struct gen_session **listed;
};

/* Makes a flow for each session. 0 or -ENOMEM. */
int gen_flows_open(struct gen *g);
void gen_flows_close(struct gen *g);
/* Begins the flow of an open session; `credit` is the grant of the Welcome. */
void gen_flow_begin(struct gen *g, struct gen_session *s, uint32_t credit);

/* Returns the header of the session's next frame: in the reliable flow if it has one and
 * `promised`. */
struct mrf_frame_header gen_flow_head(struct gen *g, struct gen_session *s, bool promised);
/* True if there is room for a promised frame. */
bool gen_flow_has_room(const struct gen_session *s);

/* Handles the ack and credit of a frame with flag Ack. */
void gen_flow_ack(struct gen *g, struct gen_session *s, const struct mrf_frame_header *h,
	const uint8_t *messages, uint32_t bytes);
/* Takes a frame of the flow, with its messages in `buffer`. */
void gen_flow_take(struct gen *g, struct gen_session *s, uint32_t sequence, struct rte_mbuf *buffer,
	const uint8_t *messages, uint32_t bytes);
/* Sends acks that are due and retransmits; call it once a round. */
void gen_flows_run(struct gen *g);
/* True if no published frame waits for its ack. */
bool gen_flows_drained(const struct gen *g);

#endif
