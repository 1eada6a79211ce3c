/* SPDX-License-Identifier: Apache-2.0 */
/* flow: the reliable flow of the generator's sessions, both ways, as lib/wire/reliable.h has it.
 *
 *   out  frames that are alike but for their numbers: the log holds no bytes, and a frame that is
 *        sent again is stamped again, in a buffer kept for that
 *   in   the next frame is taken from the buffer in which it came; one that is ahead keeps its
 *        buffer until it is the next
 *
 * Only what is promised goes in it, that is what is published. Requests go in the datagram flow, and are repeated
 * anyway; what the bus answers may come in either. Each frame of a session says what came, and its subscriptions'
 * sessions, which send nothing else, say it in frames of their own.
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

/* A frame that came ahead of others. */
struct gen_kept {
	struct rte_mbuf *buffer;
	const uint8_t *messages; /* in it */
	uint32_t bytes;          /* of them */
};

struct gen_flow {
	struct mr_reliable_tx tx;
	struct mr_reliable_rx rx;
	struct mr_reliable_frame *frames; /* MR_RELIABLE_WINDOW_MAX */
	struct gen_kept *kept;            /* rx.slots */
	uint32_t ack_pending_seen;        /* acks pending a round ago */
	bool listed;                      /* it is looked at each round */
};

/* All flows of a generator. */
struct gen_flows {
	struct gen_flow *all; /* one a session, in their order; NULL: datagrams alone */
	struct mr_reliable_frame *frames;
	struct gen_kept *kept;
	uint32_t slots; /* of each */
	uint32_t listed_count;
	struct gen_session **listed;
};

/* For as many sessions as there are. -ENOMEM. */
int gen_flows_open(struct gen *g);
void gen_flows_close(struct gen *g);
/* The session is open; `credit`: what the Welcome grants. */
void gen_flow_begin(struct gen *g, struct gen_session *s, uint32_t credit);

/* The header of the next frame of the session: in the reliable flow, if it has one and `promised`. */
struct mrf_frame_header gen_flow_head(struct gen *g, struct gen_session *s, bool promised);
/* True if there is room for a promised frame. */
bool gen_flow_has_room(const struct gen_session *s);

/* What a frame of the session with flag Ack says. */
void gen_flow_heed(struct gen *g, struct gen_session *s, const struct mrf_frame_header *h,
	const uint8_t *messages, uint32_t bytes);
/* A frame of the flow, with its messages in `buffer`. */
void gen_flow_take(struct gen *g, struct gen_session *s, uint32_t sequence, struct rte_mbuf *buffer,
	const uint8_t *messages, uint32_t bytes);
/* Acks that are owed, and what is to be sent again: once a round. */
void gen_flows_run(struct gen *g);
/* True if nothing that was published waits for its ack. */
bool gen_flows_drained(const struct gen *g);

#endif
