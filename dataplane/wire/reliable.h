/* SPDX-License-Identifier: Apache-2.0 */
/* reliable: one end of the reliable flow of a session: what to send, what to send again, what to take.
 *
 * A state machine without sockets, clocks and buffers of its own, so that the data plane, the client
 * library and the tests run the same one. Frames are numbered from 1 on, as in the datagram flow, and 0
 * is left out when the number wraps. The two directions of a session have one machine each way on each
 * side; what they say of each other travels in every frame's header (ack, credit) and in SelectiveAck.
 *
 *   tx  frames sent and not acknowledged, in a log that holds for each where its bytes are
 *   rx  frames that came out of order, or that nobody could take yet, in slots
 *
 * Owns      Nothing: log and slots are memory of the caller's, which outlives the machine.
 * Threads   One at a time.
 * Units     Times in nanoseconds of any monotonic clock; sequences modulo 2^32.
 * Errors    What a hostile peer says (acks of what was never sent, credit that wraps, frames outside of
 *           the window) changes nothing and is named in what the call returns.
 * Hot path  No call into the system, no allocation, no lock.
 */
#ifndef MILLRACE_WIRE_RELIABLE_H
#define MILLRACE_WIRE_RELIABLE_H

#include <stdbool.h>
#include <stdint.h>

#include "dataplane/wire/frame.h"

#define MR_RELIABLE_SACK_WORDS 8u /* in a SelectiveAck */
#define MR_RELIABLE_WINDOW_MAX (64u * MR_RELIABLE_SACK_WORDS)
#define MR_RELIABLE_RTO_NS     10000000u /* before anything was measured */
#define MR_RELIABLE_RTO_NS_MIN 500000u
#define MR_RELIABLE_RTO_NS_MAX 1000000000u /* after doubling */

/* Sending. */

/* A frame in the log: where its bytes are is the owner's to say and to know. */
struct mr_reliable_frame {
	uint64_t at;
	uint32_t bytes;
	uint32_t messages;
	uint64_t sent_ns; /* last */
	uint8_t sends;    /* saturates */
	bool came;        /* as a selective ack says */
	bool lost;        /* held for lost, to be sent again */
	uint8_t reserved;
};

struct mr_reliable_tx {
	struct mr_reliable_frame *frames; /* `frames_count` of them, a power of two */
	uint32_t frames_count;
	uint32_t first; /* oldest not acknowledged */
	uint32_t next;  /* to be sent for the first time */
	uint32_t limit; /* first that the peer has not granted */
	/* further members are the machine's own: see reliable.c */
	uint32_t window;   /* frames that the path takes, by its delay */
	uint32_t lost;     /* frames marked so */
	uint32_t recovery; /* until this one is acknowledged, a loss is part of the last */
	uint32_t backoff;  /* doublings of the time-out */
	uint64_t rtt_ns;   /* smoothed; 0: not measured */
	uint64_t rtt_var_ns;
	uint64_t rtt_least_ns; /* of the last while: the path without queues */
	uint64_t rtt_least_since_ns;
	uint64_t due_ns; /* time-out of the oldest; 0: nothing is out */
	uint64_t acked_ns;
	uint32_t round; /* sequence that ends this round trip, for the window */
	uint32_t grown;
};

/* `frames`: memory of frames_count entries, a power of two up to MR_RELIABLE_WINDOW_MAX. `credit`: what
 * the peer grants before its first ack. */
void mr_reliable_tx_init(struct mr_reliable_tx *t, struct mr_reliable_frame *frames,
	uint32_t frames_count, uint32_t credit);
/* How many new frames may be sent now, 0 .. : the least of what the peer granted, what the path takes and
 * what the log has entries for. */
uint32_t mr_reliable_tx_room(const struct mr_reliable_tx *t);
/* A new frame goes out, for which there was room: enters it and returns its sequence. */
uint32_t mr_reliable_tx_sent(
	struct mr_reliable_tx *t, uint64_t at, uint32_t bytes, uint32_t messages, uint64_t now_ns);
/* What a frame of the peer says. `came`: words of a SelectiveAck, 0 .. MR_RELIABLE_SACK_WORDS; their
 * count is the caller's to have checked against the payload. Returns how many frames are out of the log
 * now, oldest first: their memory is free. -EPROTO: of what was never sent; nothing is changed. */
int mr_reliable_tx_ack(struct mr_reliable_tx *t, uint32_t ack, uint32_t credit,
	const uint64_t *came, uint32_t words, uint64_t now_ns);
/* The next frame that is to be sent again now, marked as sent; NULL: none. *sequence: its number. To be
 * asked after acks, and when due. *timed_out: no ack had come in time. */
struct mr_reliable_frame *mr_reliable_tx_again(
	struct mr_reliable_tx *t, uint64_t now_ns, uint32_t *sequence, bool *timed_out);
/* When to ask again, or UINT64_MAX. */
uint64_t mr_reliable_tx_due_ns(const struct mr_reliable_tx *t);

/* Receiving. */

enum mr_reliable_order {
	MR_RELIABLE_NEXT,  /* the one expected: to be taken, or put into its slot and taken later */
	MR_RELIABLE_AHEAD, /* to be kept in its slot */
	MR_RELIABLE_AGAIN, /* came before: the ack was lost, say it again */
	MR_RELIABLE_WINDOW, /* outside of what was granted */
};

struct mr_reliable_rx {
	uint32_t next;    /* the first that did not come: what acks say */
	uint32_t taken;   /* the first that its owner has not let go of; taken <= next */
	uint32_t slots;   /* power of two up to MR_RELIABLE_WINDOW_MAX: frames that can be kept */
	uint32_t granted; /* first that was not granted: never goes back */
	uint64_t came[MR_RELIABLE_SACK_WORDS]; /* bit i: next + 1 + i came */
	uint32_t unsaid;                       /* frames since the last ack went out */
	bool say_now; /* a gap, or one that came again: the peer waits for word */
};

void mr_reliable_rx_init(struct mr_reliable_rx *r, uint32_t slots, uint32_t credit);
/* What to do with a frame of that sequence (not 0). NEXT and AHEAD are entered: the caller must take or
 * keep them. The slot of a sequence is mr_reliable_slot. */
enum mr_reliable_order mr_reliable_rx_take(struct mr_reliable_rx *r, uint32_t sequence);
/* The owner is done with the frame `taken`, which has come: its slot is free. */
void mr_reliable_rx_let_go(struct mr_reliable_rx *r);
/* True if the frame `taken` has come and waits in its slot, or is the one just taken as NEXT. */
bool mr_reliable_rx_waits(const struct mr_reliable_rx *r);
/* What the next frame to the peer is to say: fills ack and credit, and `came` (MR_RELIABLE_SACK_WORDS);
 * returns how many words of it are worth saying, 0: none came out of order. `most`: frames beyond `taken`
 * that the owner can take now; what was granted before is not taken back. */
uint32_t mr_reliable_rx_say(struct mr_reliable_rx *r, uint32_t most, uint32_t *ack,
	uint32_t *credit, uint64_t came[MR_RELIABLE_SACK_WORDS]);
/* True if an ack should go out by itself when no frame goes anyway. `frames`: after so many without. */
static inline bool mr_reliable_rx_owes(const struct mr_reliable_rx *r, uint32_t frames)
{
	return r->say_now || r->unsaid >= frames;
}

/* Sequences leave out 0: the number behind, and how far it is from one to another. */
static inline uint32_t mr_reliable_after(uint32_t sequence)
{
	return sequence == UINT32_MAX ? 1 : sequence + 1;
}

#endif
