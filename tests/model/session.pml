/* SPDX-License-Identifier: Apache-2.0 */
/* session: the reliable flow one way (lib/wire/reliable.h), on a network that loses, duplicates and
 * reorders, towards a receiver whose owner takes frames at any time.
 *
 * The faults of a run are bounded, so every run must end: all frames taken once and in order, all
 * acknowledged. A process that stands still before that is found as an invalid end state. Time is
 * modelled only by time-outs: one comes at the latest when nothing else can happen, and may come
 * too early.
 */
#define FRAMES  5 /* frames to send, numbered from 1 */
#define SLOTS   2 /* slots of the receiver, and the first credit */
#define LOSSES  2
#define DOUBLES 1
#define EARLY   1 /* time-outs although nothing was lost */

#define AT(set, n)  ((set >> (n)) & 1)

/* Room for the frames in flight. One that does not fit is lost, beyond the bound of losses. */
chan data = [3] of { byte };             /* sequence */
chan acks = [3] of { byte, byte, byte }; /* ack, limit (first not granted), received beyond ack */

byte losses = LOSSES, doubles = DOUBLES, early = EARLY;

/* sender */
byte first = 1, next = 1, limit = 1 + SLOTS;
byte came; /* bit n: a selective ack reported frame n */
/* receiver */
byte expected = 1; /* the first not received */
byte taken = 1;    /* the first not taken by its owner */
byte kept;         /* bit n: frame n is in its slot */

inline put(sequence)
{
	if
	:: full(data)
	:: nfull(data) -> data ! sequence
	:: losses > 0 -> losses--
	:: doubles > 0 && len(data) < 2 -> doubles--; data ! sequence; data ! sequence
	fi
}

inline say()
{
	if
	:: full(acks)
	:: nfull(acks) -> acks ! expected, taken + SLOTS, kept
	:: losses > 0 -> losses--
	fi
}

/* Retransmits the oldest frame that is not acknowledged. With no frame in flight and no credit it
 * sends an acknowledged number as a probe: the answer has the credit, which may have been lost. */
inline time_out(at_last)
{
	atomic {
		n = first;
		do
		:: n < next && AT(came, n) -> n++
		:: else -> break
		od;
		if
		:: n < next -> put(n)
		:: n >= next && next <= FRAMES && next >= limit -> put(first - 1)
		:: else -> assert(!at_last) /* the time-out would repeat for ever */
		fi
	}
}

active proctype sender()
{
	byte n, ack, granted, beyond;

	do
	:: atomic { next <= FRAMES && next < limit -> put(next); next++ }
	:: atomic {
		acks ?? ack, granted, beyond ->
		assert(ack <= next);
		if
		:: ack > first -> first = ack
		:: else
		fi;
		if
		:: granted > limit -> limit = granted
		:: else
		fi;
		came = came | beyond;
		ack = 0; granted = 0; beyond = 0
	   }
	:: atomic { early > 0 && first < next -> early-- }; time_out(false)
	:: timeout ->
		if
		:: first > FRAMES -> break
		:: else -> time_out(true)
		fi
	od;
	assert(first == FRAMES + 1 && taken == FRAMES + 1)
}

active proctype receiver()
{
	byte sequence;

end:	do
	:: atomic {
		data ?? sequence ->
		if
		:: sequence < expected || AT(kept, sequence) -> say() /* the ack was lost, or it is a probe */
		:: sequence >= taken + SLOTS -> say()                 /* not granted */
		:: else ->
			kept = kept | (1 << sequence);
			do
			:: AT(kept, expected) -> expected++
			:: else -> break
			od;
			say()
		fi;
		sequence = 0
	   }
	/* The owner takes the next frame. It looks at no other, so it takes each once and in order. */
	:: atomic {
		taken < expected ->
		assert(AT(kept, taken));
		kept = kept & ~(1 << taken);
		taken++;
		say() /* sends the new credit */
	   }
	od
}

/* The receiver never keeps more frames than slots, and never acknowledges one not received. */
active proctype bounds()
{
	assert(expected - taken <= SLOTS && first <= expected && expected <= next + 1)
}
