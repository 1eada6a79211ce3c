/* SPDX-License-Identifier: Apache-2.0 */
/* reliable: one end of a session's reliable flow: what to send, what to send again, what to take.
 *
 * A state machine without sockets, clocks and buffers of its own, so that the data plane, the
 * client library and the tests run the same one. Frames are numbered from 1 on, as in the datagram
 * flow, and 0 is left out when the number wraps. The two directions of a session have one machine
 * each way on each side; what they say of each other travels in every frame's header (ack, credit)
 * and in SelectiveAck.
 *
 *   tx  frames sent and not acknowledged, in a log that holds for each where its bytes are
 *   rx  frames that came out of order, or that nobody could take yet, in slots
 *
 * A frame is held for lost when three that were sent after it have come, or one that was sent a
 * round trip after it; by the order of sending, so that one that was sent again may be lost again.
 * How many make it so grows where frames came that were held for lost: the path changes their order.
 * When no ack comes in time the oldest goes again, and what its ack says decides on the others.
 *
 * All windows count the left-out 0 as a frame that came, so that a sequence is its own place in log
 * and slots: the one window that spans the wrap is smaller by one.
 *
 * Owns      Nothing: log and slots are memory of the caller's, which outlives the machine.
 * Threads   One at a time.
 * Units     Times in nanoseconds of any monotonic clock; sequences modulo 2^32.
 * Errors    What a hostile peer says (acks of what was never sent, credit that wraps, frames outside
 *           of the window) changes nothing and is named in what the call returns.
 * Hot path  No call into the system, no allocation, no lock.
 */
#ifndef MILLRACE_WIRE_RELIABLE_H
#define MILLRACE_WIRE_RELIABLE_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/wire/frame.h"

#define MR_RELIABLE_SACK_WORDS 8u /* in a SelectiveAck */
#define MR_RELIABLE_WINDOW_MAX (64u * MR_RELIABLE_SACK_WORDS)
#define MR_RELIABLE_RTO_NS     10000000u /* before anything was measured */
#define MR_RELIABLE_RTO_NS_MIN 500000u
#define MR_RELIABLE_RTO_NS_MAX 1000000000u /* after doubling */

/* Sequences leave out 0. */
static inline uint32_t mr_reliable_after(uint32_t sequence)
{
	return sequence == UINT32_MAX ? 1 : sequence + 1;
}

static inline uint32_t mr_reliable_before(uint32_t sequence)
{
	return sequence == 1 ? UINT32_MAX : sequence - 1;
}

/* Sending. */

/* A frame in the log: where its bytes are is the owner's to say and to know. */
struct mr_reliable_frame {
	uint64_t at;
	uint64_t sent_ns; /* last */
	uint32_t bytes;
	uint32_t messages;
	uint32_t order; /* of sending, counted over all frames and all times */
	uint8_t sends;  /* saturates */
	bool received;  /* as a selective ack says */
	bool lost;      /* held for lost, to be sent again */
	uint8_t reserved;
};

struct mr_reliable_tx {
	struct mr_reliable_frame *frames; /* `frames_count` of them, a power of two */
	uint32_t frames_count;
	uint32_t first;         /* oldest not acknowledged */
	uint32_t next;          /* to be sent for the first time */
	uint32_t limit;         /* first that the peer has not granted */
	uint32_t window;        /* frames that the path takes, by its delay */
	uint32_t received;      /* frames in the log marked so */
	uint32_t lost;          /* likewise */
	uint32_t order;         /* of the last frame sent, new or again */
	uint32_t newest;        /* order of the frame sent last of those that came */
	uint64_t newest_ns;     /* when it was */
	uint32_t later;         /* frames that must come after one that is held for lost */
	uint32_t backoff;       /* time-outs in a row; each second one doubles the next */
	uint32_t window_before; /* the first time-out in a row; 0: none */
	uint32_t round;         /* the round trip ends when this one is acknowledged */
	bool filled;            /* in this round trip the window was used up */
	uint64_t rtt_ns;        /* smoothed; 0: not measured */
	uint64_t rtt_var_ns;
	uint64_t rtt_round_ns; /* least of this round trip; UINT64_MAX: not measured */
	uint64_t rtt_least_ns; /* of the last while: the path without queues */
	uint64_t rtt_least_since_ns;
	uint64_t due_ns; /* the time-out; 0: nothing is waited for */
};

/* `frames`: memory of frames_count entries, a power of two up to MR_RELIABLE_WINDOW_MAX. `credit`:
 * what the peer grants before its first ack; 0: it will say. */
void mr_reliable_tx_init(struct mr_reliable_tx *t, struct mr_reliable_frame *frames,
	uint32_t frames_count, uint32_t credit);
/* How many new frames may be sent now, 0 .. : the least of what the peer granted, what the path
 * takes and what the log has entries for. */
uint32_t mr_reliable_tx_room(const struct mr_reliable_tx *t);
/* A new frame goes out, for which there was room: enters it and returns its sequence. */
uint32_t mr_reliable_tx_sent(
	struct mr_reliable_tx *t, uint64_t at, uint32_t bytes, uint32_t messages, uint64_t now_ns);
/* What a frame of the peer says. `came`: words of a SelectiveAck, 0 .. MR_RELIABLE_SACK_WORDS;
 * their count is the caller's to have checked against the payload. NULL: the frame does not say
 * what came out of order; otherwise nothing but what the words say did. Returns how many frames are
 * out of the log now, oldest first: their memory is free. -EPROTO: of what was never sent; nothing
 * is changed. */
int mr_reliable_tx_ack(struct mr_reliable_tx *t, uint32_t ack, uint32_t credit,
	const uint64_t *received, uint32_t words, uint64_t now_ns);
/* The words of a SelectiveAck that is alone in a frame of that header, whose messages are `bytes` at
 * `at`; -1: there is something else in it. */
int mr_reliable_selective_ack(const struct mrf_frame_header *frame, const uint8_t *at,
	uint32_t bytes, uint64_t received[MR_RELIABLE_SACK_WORDS]);
/* The next frame that is to be sent again now, marked as sent; NULL: none. *sequence: its number.
 * To be asked after acks, and when due. *timed_out: no ack had come in time. */
struct mr_reliable_frame *mr_reliable_tx_retransmit(
	struct mr_reliable_tx *t, uint64_t now_ns, uint32_t *sequence, bool *timed_out);
/* True: the peer has granted nothing for too long, and what it said since may be lost. A frame
 * without messages and with this sequence, which came before, makes it say so again. To be asked
 * when due. */
bool mr_reliable_tx_probe(struct mr_reliable_tx *t, uint64_t now_ns, uint32_t *sequence);

/* When to ask again, or UINT64_MAX. */
static inline uint64_t mr_reliable_tx_due_ns(const struct mr_reliable_tx *t)
{
	return t->due_ns != 0 ? t->due_ns : UINT64_MAX;
}

/* True if all that was sent is acknowledged. */
static inline bool mr_reliable_tx_drained(const struct mr_reliable_tx *t)
{
	return t->first == t->next;
}

static inline struct mr_reliable_frame *mr_reliable_tx_frame(
	const struct mr_reliable_tx *t, uint32_t sequence)
{
	return &t->frames[sequence & (t->frames_count - 1)];
}

/* Receiving. */

enum mr_reliable_order {
	MR_RELIABLE_NEXT,  /* the one expected: to be taken, or put into its slot and taken later */
	MR_RELIABLE_EARLY, /* to be kept in its slot */
	MR_RELIABLE_DUPLICATE, /* came before: the ack was lost, say it again */
	MR_RELIABLE_WINDOW,    /* outside of what was granted */
};

struct mr_reliable_rx {
	uint32_t next;    /* the first that did not come: what acks say */
	uint32_t taken;   /* the first that its owner has not let go of; never behind next */
	uint32_t slots;   /* power of two up to MR_RELIABLE_WINDOW_MAX: frames that can be kept */
	uint32_t granted; /* first that was not granted: never goes back */
	uint64_t received[MR_RELIABLE_SACK_WORDS]; /* bit i: next + 1 + i came */
	uint32_t ahead;                            /* of them */
	uint32_t ack_pending;                      /* frames since the last ack went out */
	uint32_t most;                             /* granted ahead of `taken`, as was last said */
	bool ack_due; /* a gap, one that came again, or new credit: the peer waits for word */
};

/* `credit`: what the peer was granted before the first ack, up to `slots`. */
void mr_reliable_rx_init(struct mr_reliable_rx *r, uint32_t slots, uint32_t credit);
/* What rx_take will say, without changing anything. */
enum mr_reliable_order mr_reliable_rx_look(const struct mr_reliable_rx *r, uint32_t sequence);
/* What to do with a frame of that sequence. NEXT and AHEAD are entered: the caller must take or
 * keep them. */
enum mr_reliable_order mr_reliable_rx_take(struct mr_reliable_rx *r, uint32_t sequence);
/* The owner is done with the frame `taken`, which has come: its slot is free. */
void mr_reliable_rx_let_go(struct mr_reliable_rx *r);
/* What the next frame to the peer is to say: fills ack, credit and `came`; returns how many words
 * of it are worth saying, 0: none came out of order. NULL: the frame has no room for them. `most`:
 * frames from `taken` on that the owner can take now; what was granted before is not taken back. */
uint32_t mr_reliable_rx_ack(struct mr_reliable_rx *r, uint32_t most, uint32_t *ack,
	uint32_t *credit, uint64_t received[MR_RELIABLE_SACK_WORDS]);

/* True if the frame `taken` has come and waits in its slot, or is the one just taken as NEXT. */
static inline bool mr_reliable_rx_waits(const struct mr_reliable_rx *r)
{
	return r->taken != r->next;
}

/* Where a frame that is kept stands. */
static inline uint32_t mr_reliable_slot(const struct mr_reliable_rx *r, uint32_t sequence)
{
	return sequence & (r->slots - 1);
}

/* True if an ack should go out by itself when no frame goes anyway. `frames`: after so many
 * without. */
static inline bool mr_reliable_rx_ack_due(const struct mr_reliable_rx *r, uint32_t frames)
{
	return r->ack_due || r->ack_pending >= frames;
}

#endif
