/* SPDX-License-Identifier: Apache-2.0 */
/* flow: the reliable flow of a session over UDP, as its worker has it: the machine of both
 * directions, the log of what was sent, and the slots of what came out of order.
 *
 *   open frame ──▶ log ──▶ acknowledged: out of the log, oldest first
 *   frame ahead of its turn, or that cannot be taken yet ──▶ slot ──▶ taken in its turn
 *
 * A session has memory of its own for one frame that waits: the one that could not be taken whole. Those
 * that came ahead of their turn are kept in pieces of their worker's store (worker/early.h), which is
 * bounded for all; the flow knows where.
 *
 * Frames stand in the log one behind the other, whole as they are sent; one that does not fit
 * before the log's end starts at its beginning. An empty log starts at its beginning too, so that a
 * session that sends little touches little. One mapping has entries, log and slots; it is memory
 * from when it is touched.
 *
 * Owns      Its mapping. Part of its session, with the same life.
 * Threads   open, close: the table writer. All else: the session's worker.
 * Units     Bytes of the UDP payload.
 * Errors    No room: NULL.
 * Hot path  All but open and close: no call into the system, no allocation, no lock.
 */
#ifndef MILLRACE_SESSION_FLOW_H
#define MILLRACE_SESSION_FLOW_H

#include "lib/wire/reliable.h"

/* Granted before anything is known of a session: few, as all who do nothing have them too. */
#define MR_FLOW_CREDIT_FIRST 8u

/* A frame that is kept; its messages follow. */
struct mr_flow_slot {
	uint32_t bytes;    /* left of its messages */
	uint32_t offset;   /* of the first that is left, from the first of all */
	uint16_t messages; /* left; a frame may have none */
	bool waits;
	uint8_t reserved[5];
};

struct mr_flow {
	struct mr_reliable_tx tx;
	struct mr_reliable_rx rx;
	/* read-only after open */
	uint8_t *memory; /* NULL: the session has no such flow */
	uint8_t *log;
	struct mr_flow_slot **kept; /* where the frame of each place is; NULL: none */
	uint64_t memory_bytes;
	uint32_t log_bytes;
	uint32_t slot_bytes; /* of a kept frame, whatever its length */
	/* the open frame; 0 bytes of room: there is none */
	uint32_t head;      /* where it is, or the next one will be */
	uint32_t open_room; /* header included */
	uint32_t open_used; /* header included */
	uint32_t open_messages;
	/* the worker's notes */
	uint32_t ack_pending_seen; /* acks pending a round ago */
	uint32_t season;           /* in which it last took a frame */
	uint64_t
		leaving; /* cycles when it was to be closed, for what is in the log to go; 0: it is not */
	bool speaks; /* the client has acknowledged something: it knows the flow */
	bool listed; /* the worker looks at it each round */
};

_Static_assert(sizeof(struct mr_flow) <= 512, "memory of a session besides its log");
_Static_assert(sizeof(struct mr_flow_slot) == 16, "no more than the frame's header was");

/* `log_bytes` each way, for frames of at most frame_bytes; 0: none. -ENOMEM. */
int mr_flow_open(struct mr_flow *f, uint32_t log_bytes, uint32_t frame_bytes);
void mr_flow_close(struct mr_flow *f);

/* Room for a frame of at most `bytes` at the log's head; NULL: there is none now. Nothing is
 * taken. */
uint8_t *mr_flow_claim(struct mr_flow *f, uint32_t bytes);
/* Takes `bytes` at the head, as a frame that is sent now; returns its sequence. */
uint32_t mr_flow_push(struct mr_flow *f, uint32_t bytes, uint32_t messages, uint64_t now_ns);

/* Bytes of the log that are taken, and that there are. */
uint32_t mr_flow_backlog(const struct mr_flow *f);
static inline uint32_t mr_flow_capacity(const struct mr_flow *f)
{
	return f->log_bytes;
}

/* What the client was granted at the beginning; read-only after open. */
static inline uint32_t mr_flow_credit_first(const struct mr_flow *f)
{
	if (f->memory == NULL)
		return 0;
	return f->rx.slots < MR_FLOW_CREDIT_FIRST ? f->rx.slots : MR_FLOW_CREDIT_FIRST;
}

static inline struct mr_flow_slot *mr_flow_slot(const struct mr_flow *f, uint32_t sequence)
{
	return f->kept[mr_reliable_slot(&f->rx, sequence)];
}

/* The session's own memory for one frame. */
static inline struct mr_flow_slot *mr_flow_own(const struct mr_flow *f)
{
	return (struct mr_flow_slot *)(void *)(f->log + f->log_bytes);
}

/* True if there is no frame in it. */
static inline bool mr_flow_own_free(const struct mr_flow *f)
{
	return !mr_flow_own(f)->waits;
}

/* Copies what is left of a frame to `slot`, which has room for slot_bytes: `offset` bytes of its messages
 * are taken. */
void mr_flow_keep(struct mr_flow *f, struct mr_flow_slot *slot, uint32_t sequence,
	const uint8_t *messages_at, uint32_t offset, uint32_t bytes, uint32_t messages);
/* The frame is kept no more; returns the slot if it is not the session's own. */
struct mr_flow_slot *mr_flow_let_go(struct mr_flow *f, uint32_t sequence);

#endif
