/* SPDX-License-Identifier: Apache-2.0 */
/* flow: the reliable flow of a session over UDP, on its home worker. It has the state machine of
 * both directions (lib/wire/reliable.h), the log of sent frames, and the slots of early frames.
 *
 *   open frame ──▶ log ──▶ acknowledged: leaves the log, oldest first
 *   early frame, or one that cannot be taken yet ──▶ slot ──▶ taken in its turn
 *
 * A session has memory of its own for one waiting frame: the one that could be taken in part only.
 * Early frames are kept in pieces of the worker's slab (worker/early.h), which is bounded for all
 * sessions; the flow points to them.
 *
 * Frames stand in the log one behind the other, as they are sent. A frame that does not fit before
 * the log's end starts at the log's beginning. An empty log restarts at its beginning, so a session
 * that sends little touches few pages. Entries, log and slots share one mapping; the kernel gives a
 * page memory at its first use.
 *
 * Owns      Its mapping. Part of its session, with the same life.
 * Threads   open, close: the table writer. All else: the session's worker.
 * Units     Bytes of the UDP payload.
 * Errors    claim: NULL if there is no room.
 * Hot path  All but open and close: no call into the system, no allocation, no lock.
 */
#ifndef MILLRACE_SESSION_FLOW_H
#define MILLRACE_SESSION_FLOW_H

#include "lib/wire/reliable.h"

/* Frames granted to a new session. Few: idle sessions have this credit, too. */
#define MR_FLOW_CREDIT_FIRST 8u

/* A waiting frame; its messages follow. */
struct mr_flow_slot {
	uint32_t bytes;    /* messages' bytes that are not taken yet */
	uint32_t offset;   /* first message not taken, from the frame's first message */
	uint16_t messages; /* not taken yet; a frame may have none */
	bool waits;        /* the slot holds a frame */
	uint8_t reserved[5];
};

struct mr_flow {
	struct mr_reliable_tx tx;
	struct mr_reliable_rx rx;
	/* read-only after open */
	uint8_t *memory; /* NULL: the session has no such flow */
	uint8_t *log;
	struct mr_flow_slot **kept; /* the waiting frame of each place in the window; NULL: none */
	uint64_t memory_bytes;
	uint32_t log_bytes;
	uint32_t slot_bytes; /* memory of a waiting frame, whatever its length */
	/* the open frame; open_room 0: there is none */
	uint32_t head;      /* offset of the open frame, or of the next one */
	uint32_t open_room; /* header included */
	uint32_t open_used; /* header included */
	uint32_t open_messages;
	/* the worker's state */
	uint32_t ack_pending_seen; /* acks pending a round ago */
	uint32_t activity_window;  /* the one in which a frame was last taken */
	/* Cycles when its close was asked for; the log then has a while to drain. 0: not asked */
	uint64_t leaving_since;
	bool knows_flow; /* the client has sent an ack: it knows the reliable flow */
	bool listed;     /* the worker looks at it each round */
};

_Static_assert(sizeof(struct mr_flow) <= 512, "memory of a session besides its log");
_Static_assert(sizeof(struct mr_flow_slot) == 16, "no more than the frame's header was");

/* Opens a flow with `log_bytes` for sent frames, for frames of at most frame_bytes. log_bytes 0:
 * the session has no reliable flow. 0 or -ENOMEM. */
int mr_flow_open(struct mr_flow *f, uint32_t log_bytes, uint32_t frame_bytes);
void mr_flow_close(struct mr_flow *f);

/* Returns room for a frame of at most `bytes` at the log's head, or NULL if there is none now.
 * Reserves nothing. */
uint8_t *mr_flow_claim(struct mr_flow *f, uint32_t bytes);
/* Enters the `bytes` at the head as a frame that is sent now; returns its sequence. */
uint32_t mr_flow_push(struct mr_flow *f, uint32_t bytes, uint32_t messages, uint64_t now_ns);

/* The log's bytes in use, the open frame included; the log's size. */
uint32_t mr_flow_backlog(const struct mr_flow *f);
static inline uint32_t mr_flow_capacity(const struct mr_flow *f)
{
	return f->log_bytes;
}

/* Returns the frames granted to the client at the start; read-only after open. */
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

/* Returns the session's own memory for one waiting frame. */
static inline struct mr_flow_slot *mr_flow_own(const struct mr_flow *f)
{
	return (struct mr_flow_slot *)(void *)(f->log + f->log_bytes);
}

/* True if no frame is in the session's own memory. */
static inline bool mr_flow_own_free(const struct mr_flow *f)
{
	return !mr_flow_own(f)->waits;
}

/* Copies the rest of a frame to `slot`, which has room for slot_bytes. The first `offset` bytes of
 * its messages were taken already. */
void mr_flow_keep(struct mr_flow *f, struct mr_flow_slot *slot, uint32_t sequence,
	const uint8_t *messages_at, uint32_t offset, uint32_t bytes, uint32_t messages);
/* Empties the frame's slot. Returns the slot for mr_early_give, or NULL if it is the session's own.
 * */
struct mr_flow_slot *mr_flow_let_go(struct mr_flow *f, uint32_t sequence);

#endif
