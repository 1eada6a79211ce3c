/* SPDX-License-Identifier: Apache-2.0 */
/* session: the reliable flow one way (lib/wire/reliable.h), on a network that loses, doubles and
 * reorders, towards a receiver whose owner takes frames when it likes.
 *
 * The faults of a run are bounded, so every run must come to its end: all frames taken, once and in
 * order, all acknowledged. Whoever stands still before that is found as an invalid end state. What is
 * modelled of time is only that a time-out comes at the latest when nothing else can happen, and that it
 * may come too early.
 */
#define FRAMES  5 /* to be sent, numbered from 1 */
#define SLOTS   2 /* that the receiver can keep; so much credit at first */
#define LOSSES  2
#define DOUBLES 1
#define EARLY   1 /* time-outs that come though nothing was lost */

#define AT(set, n)  ((set >> (n)) & 1)

/* Room for what may be under way at once; what does not fit is lost, which the bound does not count. */
chan data = [3] of { byte };             /* sequence */
chan acks = [3] of { byte, byte, byte }; /* ack, limit (first not granted), which came beyond ack */

byte losses = LOSSES, doubles = DOUBLES, early = EARLY;

/* sender */
byte first = 1, next = 1, limit = 1 + SLOTS;
byte came; /* bit n: frame n came, as a selective ack says */
/* receiver */
byte expected = 1; /* the first that did not come */
byte taken = 1;    /* the first that its owner did not take */
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

/* Again: the oldest that is not known to have come; and, with nothing out and no credit, the number of one
 * that came, since that is answered with the credit, word of which may have been lost. */
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
		:: else -> assert(!at_last) /* it would come again and again, and nothing else */
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
		:: sequence < expected || AT(kept, sequence) -> say() /* the ack was lost, or a probe */
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
	/* Its owner takes the next: once and in order, as it is the only one that it looks at. */
	:: atomic {
		taken < expected ->
		assert(AT(kept, taken));
		kept = kept & ~(1 << taken);
		taken++;
		say() /* there is credit again */
	   }
	od
}

/* Never more kept than there are slots, and never an acknowledgement of what did not come. */
active proctype bounds()
{
	assert(expected - taken <= SLOTS && first <= expected && expected <= next + 1)
}
