/* SPDX-License-Identifier: Apache-2.0 */
/* queue: the life of messages in a queue (dataplane/queue/queue.h): two consumers that settle, refuse, are
 * slow, or die and come back, and a time-out that may race all of that.
 *
 *   ready ──▶ outstanding ──ack──▶ acked
 *     ▲            └── nack, time-out, consumer gone ──▶ ready again, or dead after MAX_DELIVER
 *
 * Found would be: an ack that counts twice, or for a delivery that is not the last one or not the sender's;
 * a message that comes back after it was acked; one delivered more often than it may be.
 */
#define MESSAGES    2
#define CONSUMERS   2
#define MAX_DELIVER 2
#define DEATHS      1
#define TIMEOUTS    1

mtype = { ready, outstanding, acked, dead };

mtype state[MESSAGES];
byte serial[MESSAGES];  /* of the delivery; a tag is message and serial */
byte holder[MESSAGES];  /* consumer of the delivery that is out */
byte times[MESSAGES];   /* delivered */
byte settled[MESSAGES]; /* acks that counted */
byte life[CONSUMERS];   /* which session of this consumer it is */
byte deaths = DEATHS, timeouts = TIMEOUTS;

/* message, serial, life of the consumer that it was delivered to */
chan deliveries[CONSUMERS] = [MESSAGES] of { byte, byte, byte };
/* message, serial, consumer, its life, done */
chan settlements = [2] of { byte, byte, byte, byte, bool };

inline again(m)
{
	if
	:: times[m] >= MAX_DELIVER -> state[m] = dead
	:: else -> state[m] = ready
	fi
}

active proctype queue()
{
	byte m, c, n, s, l;
	bool done;

	d_step {
		do
		:: m < MESSAGES -> state[m] = ready; m++
		:: else -> break
		od;
		m = 0
	}
end:	do
	/* Deliver to whoever has credit: one at a time each. */
	:: atomic {
		select(m : 0 .. MESSAGES - 1);
		select(c : 0 .. CONSUMERS - 1);
		if
		:: state[m] == ready && len(deliveries[c]) == 0 ->
			serial[m]++;
			times[m]++;
			state[m] = outstanding;
			holder[m] = c;
			deliveries[c] ! m, serial[m], life[c]
		:: else
		fi
	   }
	/* A settlement counts if its tag is that of the delivery that is out, and its sender the holder. */
	:: atomic {
		settlements ? n, s, c, l, done ->
		if
		:: state[n] == outstanding && serial[n] == s && holder[n] == c && life[c] == l ->
			assert(serial[n] == s && life[c] == l);
			if
			:: done -> state[n] = acked; settled[n]++
			:: else -> again(n)
			fi
		:: else /* bad_tags */
		fi;
		n = 0; s = 0; l = 0; done = false
	   }
	:: atomic {
		timeouts > 0 ->
		select(m : 0 .. MESSAGES - 1);
		if
		:: state[m] == outstanding -> timeouts--; again(m)
		:: else
		fi
	   }
	od
}

/* A consumer's session ends: what it held goes to others, what was on the way to it is lost. */
active proctype reaper()
{
	byte c, m;

	do
	:: atomic {
		deaths > 0 ->
		deaths--;
		select(c : 0 .. CONSUMERS - 1);
		life[c]++;
		do
		:: nempty(deliveries[c]) -> deliveries[c] ? _, _, _
		:: empty(deliveries[c]) -> break
		od;
		m = 0;
		do
		:: m < MESSAGES && state[m] == outstanding && holder[m] == c -> again(m); m++
		:: m < MESSAGES && !(state[m] == outstanding && holder[m] == c) -> m++
		:: m >= MESSAGES -> break
		od;
		m = 0; c = 0
	   }
	:: deaths == 0 -> break
	od
}

active [CONSUMERS] proctype consumer()
{
	byte me = _pid - 2;
	byte m, s, l;

end:	do
	:: atomic {
		deliveries[me] ? m, s, l ->
		/* Done, refused, settled twice, or never: the time-out is there for that. */
		if
		:: nfull(settlements) -> settlements ! m, s, me, l, true
		:: nfull(settlements) -> settlements ! m, s, me, l, false
		:: len(settlements) == 0 -> settlements ! m, s, me, l, true; settlements ! m, s, me, l, true
		fi;
		m = 0; s = 0; l = 0
	   }
	od
}

#define OVER(m)    (state[m] == acked || state[m] == dead)
#define ONCE(m)    (settled[m] <= 1 && (state[m] != acked || settled[m] == 1))
#define BOUNDED(m) (times[m] <= MAX_DELIVER)

ltl kept { [] (ONCE(0) && ONCE(1) && BOUNDED(0) && BOUNDED(1)) }
ltl final { [] (state[0] == acked -> [] (state[0] == acked)) }
