/* SPDX-License-Identifier: Apache-2.0 */
/* reliable: one end of a session's reliable flow: decides what to send, retransmit, acknowledge and
 * accept.
 *
 * A state machine without sockets, clocks and buffers of its own, so that the data plane, the
 * client library and the tests run the same one. Frames are numbered from 1, as in the datagram
 * flow, and the number 0 is skipped when it wraps. Each side of a session has one machine a
 * direction. Acks and credit travel in every frame's header (ack, credit) and in SelectiveAck.
 *
 *   tx  the log of frames sent and not acknowledged, with the place of each frame's bytes
 *   rx  slots for frames that came early or cannot be consumed yet
 *
 * Loss detection (RFC 8985, RFC 9002 §6.1): a frame counts as lost when a frame was received that
 * was sent three frames later, or more than a round trip later. Frames are compared by the order of
 * sending, so a retransmitted frame can be lost again. The threshold of three grows when a frame
 * taken for lost turns out to be received: the path reorders. If no ack comes in time the oldest
 * frame is retransmitted, and its ack decides about the others.
 *
 * All windows count the skipped 0 as a received frame, so that a sequence is its own place in log
 * and slots. The one window that spans the wrap is smaller by one.
 *
 * Owns      Nothing: log and slots are the caller's memory, which outlives the machine.
 * Threads   One at a time.
 * Units     Times in nanoseconds of any monotonic clock; sequences modulo 2^32.
 * Errors    Malformed input from a hostile peer (acks of frames never sent, credit that wraps,
 *           frames outside of the window) changes nothing; the return value names it.
 * Hot path  No system call, allocation or lock.
 */
#ifndef MILLRACE_WIRE_RELIABLE_H
#define MILLRACE_WIRE_RELIABLE_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/wire/frame.h"

#define MR_RELIABLE_SACK_WORDS 8u /* words of a SelectiveAck */
#define MR_RELIABLE_WINDOW_MAX (64u * MR_RELIABLE_SACK_WORDS)
#define MR_RELIABLE_RTO_NS     10000000u /* before the first measurement */
#define MR_RELIABLE_RTO_NS_MIN 500000u
#define MR_RELIABLE_RTO_NS_MAX 1000000000u /* limit of the exponential back-off */

/* Sequences skip 0. */
static inline uint32_t mr_reliable_after(uint32_t sequence)
{
	return sequence == UINT32_MAX ? 1 : sequence + 1;
}

static inline uint32_t mr_reliable_before(uint32_t sequence)
{
	return sequence == 1 ? UINT32_MAX : sequence - 1;
}

/* Sending. */

/* A frame in the log. `at` and `bytes` say where its bytes are; only the owner reads them. */
struct mr_reliable_frame {
	uint64_t at;
	uint64_t sent_ns; /* time of the last transmission */
	uint32_t bytes;
	uint32_t messages;
	uint32_t order; /* number of the last transmission, counted over all frames */
	uint8_t sends;  /* transmissions; saturates */
	bool received;  /* a selective ack named it */
	bool lost;      /* taken for lost, to be retransmitted */
	uint8_t reserved;
};

struct mr_reliable_tx {
	struct mr_reliable_frame *frames; /* `frames_count` of them, a power of two */
	uint32_t frames_count;
	uint32_t first;         /* oldest unacknowledged frame */
	uint32_t next;          /* next new sequence */
	uint32_t limit;         /* first sequence that the peer has not granted */
	uint32_t window;        /* congestion window in frames, from the path's delay */
	uint32_t received;      /* frames of the log that are marked received */
	uint32_t lost;          /* frames of the log that are marked lost */
	uint32_t order;         /* number of the last transmission */
	uint32_t newest;        /* highest order among the received frames */
	uint64_t newest_ns;     /* when that frame was sent */
	uint32_t later;         /* reordering threshold of loss detection, in frames */
	uint32_t backoff;       /* time-outs in a row; every second one doubles the next */
	uint32_t window_before; /* window before the first of them; 0: none */
	uint32_t round;         /* the round trip ends when this sequence is acknowledged */
	bool filled;            /* the window was used up in this round trip */
	uint64_t rtt_ns;        /* smoothed; 0: not measured */
	uint64_t rtt_var_ns;
	uint64_t rtt_round_ns; /* least of this round trip; UINT64_MAX: not measured */
	uint64_t rtt_least_ns; /* least of the last RTT_LEAST_NS: the path without queues */
	uint64_t rtt_least_since_ns;
	uint64_t due_ns; /* the time-out; 0: not armed */
};

/* `frames`: memory for frames_count entries, a power of two up to MR_RELIABLE_WINDOW_MAX. `credit`:
 * the grant of the peer before its first ack; 0: none yet. */
void mr_reliable_tx_init(struct mr_reliable_tx *t, struct mr_reliable_frame *frames,
	uint32_t frames_count, uint32_t credit);
/* Returns how many new frames may be sent now: the least of the peer's grant, the congestion window
 * and the free entries of the log. */
uint32_t mr_reliable_tx_room(const struct mr_reliable_tx *t);
/* Enters a new frame, for which there was room, and returns its sequence. */
uint32_t mr_reliable_tx_sent(
	struct mr_reliable_tx *t, uint64_t at, uint32_t bytes, uint32_t messages, uint64_t now_ns);
/* Processes an ack of the peer. `received`: words of a SelectiveAck, 0 .. MR_RELIABLE_SACK_WORDS;
 * the caller has checked their count against the payload. NULL: the frame says nothing about frames
 * out of order; otherwise exactly the frames named by the words were received. Returns how many
 * frames left the log, oldest first: their memory is free. -EPROTO: an ack of a frame never sent;
 * nothing changes.
 */
int mr_reliable_tx_ack(struct mr_reliable_tx *t, uint32_t ack, uint32_t credit,
	const uint64_t *received, uint32_t words, uint64_t now_ns);
/* Reads the words of a SelectiveAck that is alone in a frame with that header; its messages are
 * `bytes` at `at`. Returns the number of words; -1: anything else. */
int mr_reliable_selective_ack(const struct mrf_frame_header *frame, const uint8_t *at,
	uint32_t bytes, uint64_t received[MR_RELIABLE_SACK_WORDS]);
/* Returns the next frame to retransmit now, and marks it sent; NULL: none. *sequence: its number.
 * Call it after acks, and when due. *timed_out: no ack came in time. */
struct mr_reliable_frame *mr_reliable_tx_retransmit(
	struct mr_reliable_tx *t, uint64_t now_ns, uint32_t *sequence, bool *timed_out);
/* True: the peer has granted no credit for too long, and its last grant may be lost. Send a frame
 * without messages that has this sequence, which the peer has received before; it makes the peer
 * repeat the grant. Call it when due. */
bool mr_reliable_tx_probe(struct mr_reliable_tx *t, uint64_t now_ns, uint32_t *sequence);

/* Returns the time of the next call, or UINT64_MAX. */
static inline uint64_t mr_reliable_tx_due_ns(const struct mr_reliable_tx *t)
{
	return t->due_ns != 0 ? t->due_ns : UINT64_MAX;
}

/* True if all sent frames are acknowledged. */
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
	MR_RELIABLE_NEXT,      /* the expected frame: consume it, or put it into its slot */
	MR_RELIABLE_EARLY,     /* before its turn: put it into its slot */
	MR_RELIABLE_DUPLICATE, /* received before: the ack was lost, send it again */
	MR_RELIABLE_WINDOW,    /* outside of the granted window */
};

struct mr_reliable_rx {
	uint32_t next;    /* first not received: the cumulative ack */
	uint32_t taken;   /* first that the owner has not released; never behind `next` */
	uint32_t slots;   /* storable frames; power of two, MR_RELIABLE_WINDOW_MAX at most */
	uint32_t granted; /* first not granted; never decreases */
	uint64_t received[MR_RELIABLE_SACK_WORDS]; /* bit i: next + 1 + i was received */
	uint32_t ahead;                            /* number of those bits */
	uint32_t ack_pending;                      /* frames received since the last ack */
	uint32_t most;                             /* last grant ahead of `taken` */
	bool ack_due; /* a gap, a duplicate or new credit: the peer waits for an ack */
};

/* `credit`: the grant to the peer before the first ack, up to `slots`. */
void mr_reliable_rx_init(struct mr_reliable_rx *r, uint32_t slots, uint32_t credit);
/* Returns the result that rx_take would have, and changes nothing. */
enum mr_reliable_order mr_reliable_rx_look(const struct mr_reliable_rx *r, uint32_t sequence);
/* Classifies a frame of that sequence. NEXT and EARLY are entered: the caller must consume or store
 * them. */
enum mr_reliable_order mr_reliable_rx_take(struct mr_reliable_rx *r, uint32_t sequence);
/* Releases the frame `taken`, which was received: its slot is free. */
void mr_reliable_rx_let_go(struct mr_reliable_rx *r);
/* Fills the next ack to the peer: ack, credit and the words of `received`. Returns how many words
 * are in use; 0: nothing came early. NULL: the frame has no room for them. `most`: frames from
 * `taken` on that the owner can accept now; an earlier grant is not withdrawn. */
uint32_t mr_reliable_rx_ack(struct mr_reliable_rx *r, uint32_t most, uint32_t *ack,
	uint32_t *credit, uint64_t received[MR_RELIABLE_SACK_WORDS]);

/* True if the frame `taken` waits in its slot, or is the one just taken as NEXT. */
static inline bool mr_reliable_rx_waits(const struct mr_reliable_rx *r)
{
	return r->taken != r->next;
}

/* Returns the slot of a stored frame. */
static inline uint32_t mr_reliable_slot(const struct mr_reliable_rx *r, uint32_t sequence)
{
	return sequence & (r->slots - 1);
}

/* True if an ack should be sent on its own when no frame goes to the peer anyway: it is due, or
 * `frames` frames are unacknowledged (delayed ack, RFC 1122 §4.2.3.2). */
static inline bool mr_reliable_rx_ack_due(const struct mr_reliable_rx *r, uint32_t frames)
{
	return r->ack_due || r->ack_pending >= frames;
}

#endif
