/* SPDX-License-Identifier: Apache-2.0 */
/* queue: the life of messages in a queue (dataplane/queue/). Two consumers settle, refuse, settle
 * twice, fall silent, or die and come back. Time-outs, and the late notice of a death, race with
 * all of that.
 *
 *   ready ──▶ out ──ack──▶ acked
 *     ▲        └── requeue, time-out, consumer closed ▶ ready again, or dead after MAX_DELIVER
 *
 * A delivery has a place in a table, which is reused at once, and a serial; the two are the tag.
 * The model would show: a message at two consumers, in no place or in two; an ack that counts for
 * another message or twice; a message that comes back after its ack, or that waits for ever while
 * a consumer could take it.
 */
#define MESSAGES    2
#define CONSUMERS   2
#define PLACES      2
#define MAX_DELIVER 2
#define DEATHS      1

mtype = { ready, out, acked, dead };
mtype = { ack, requeue, reject };

/* The queue's knowledge. */
mtype state[MESSAGES];
byte times[MESSAGES];   /* deliveries */
byte counted[MESSAGES]; /* acks */
bool used[PLACES];
byte serial[PLACES];
byte what[PLACES];  /* message */
byte whose[PLACES]; /* consumer, */
byte which[PLACES]; /* and its session */
byte last_serial;
byte seen[CONSUMERS];    /* session known to the queue */
bool overdue[CONSUMERS]; /* timed out and silent since: gets no delivery */

/* The truth. */
byte life[CONSUMERS]; /* the consumer's session */
byte deaths = DEATHS;
bool started;

/* place, serial, message */
chan deliveries[CONSUMERS] = [1] of { byte, byte, byte };
/* place, serial, consumer, its session, intended message, verb */
chan settlements = [2] of { byte, byte, byte, byte, byte, mtype };

#define HOLDS(p, m)   (used[p] && what[p] == m)
#define BUSY(c)       ((used[0] && whose[0] == c) || (used[1] && whose[1] == c))
#define TAKES(c)      (!BUSY(c) && !overdue[c] && seen[c] == life[c] && empty(deliveries[c]))
#define FREE          (!used[0] || !used[1])
#define CAN(m, c)     (started && state[m] == ready && TAKES(c) && FREE)
#define OVER(m)       (state[m] == acked || state[m] == dead)

inline again(m)
{
	if
	:: times[m] >= MAX_DELIVER -> state[m] = dead
	:: else -> state[m] = ready
	fi
}

/* Uses the first free place, as the table uses the one freed last. */
inline deliver(m, c)
{
	p = (used[0] -> 1 : 0);
	assert(!HOLDS(0, m) && !HOLDS(1, m));
	used[p] = true;
	last_serial++;
	serial[p] = last_serial;
	what[p] = m;
	whose[p] = c;
	which[p] = seen[c];
	times[m]++;
	state[m] = out;
	deliveries[c] ! p, serial[p], m;
	p = 0
}

inline take_back(p)
{
	used[p] = false;
	again(what[p])
}

active proctype queue()
{
	byte p, n, c, l, m;
	mtype v;

	d_step {
		state[0] = ready;
		state[1] = ready;
		started = true
	}
end:	do
	:: atomic { CAN(0, 0) -> deliver(0, 0) }
	:: atomic { CAN(0, 1) -> deliver(0, 1) }
	:: atomic { CAN(1, 0) -> deliver(1, 0) }
	:: atomic { CAN(1, 1) -> deliver(1, 1) }
	/* A settlement counts if its tag is that of a current delivery, and its sender has that
	 * delivery. */
	:: atomic {
		settlements ? p, n, c, l, m, v ->
		if
		:: l == seen[c] -> overdue[c] = false
		:: else
		fi;
		if
		:: used[p] && serial[p] == n && whose[p] == c && which[p] == l ->
			assert(what[p] == m);
			assert(state[m] == out);
			if
			:: v == ack -> used[p] = false; state[m] = acked; counted[m]++
			:: v == reject -> used[p] = false; state[m] = dead
			:: v == requeue -> take_back(p)
			fi
		:: else /* bad_tags */
		fi;
		p = 0; n = 0; c = 0; l = 0; m = 0; v = 0
	   }
	/* The delivery timed out, or its session was found closed. */
	:: atomic { used[0] -> overdue[whose[0]] = true; take_back(0) }
	:: atomic { used[1] -> overdue[whose[1]] = true; take_back(1) }
	:: atomic {
		seen[0] != life[0] ->
		if :: used[0] && whose[0] == 0 -> take_back(0) :: else fi;
		if :: used[1] && whose[1] == 0 -> take_back(1) :: else fi;
		seen[0] = life[0]; overdue[0] = false
	   }
	:: atomic {
		seen[1] != life[1] ->
		if :: used[0] && whose[0] == 1 -> take_back(0) :: else fi;
		if :: used[1] && whose[1] == 1 -> take_back(1) :: else fi;
		seen[1] = life[1]; overdue[1] = false
	   }
	od
}

/* Deliveries on their way to a session that ends are lost with it; its settlements are not. */
active proctype reaper()
{
	byte c;

end:	do
	:: atomic {
		deaths > 0 ->
		if
		:: c = 0
		:: c = 1
		fi;
		deaths--;
		life[c]++;
		do
		:: nempty(deliveries[c]) -> deliveries[c] ? _, _, _
		:: empty(deliveries[c]) -> break
		od;
		c = 0
	   }
	od
}

active [CONSUMERS] proctype consumer()
{
	byte me = _pid - 2;
	byte p, n, m, l;

	assert(me < CONSUMERS);

end:	do
	:: atomic { deliveries[me] ? p, n, m -> l = life[me] }
		/* The consumer may die before it settles, and then settles nothing. */
		if
		:: atomic { l == life[me] && nfull(settlements) -> settlements ! p, n, me, l, m, ack }
		:: atomic { l == life[me] && nfull(settlements) -> settlements ! p, n, me, l, m, requeue }
		:: atomic { l == life[me] && nfull(settlements) -> settlements ! p, n, me, l, m, reject }
		:: atomic {
			l == life[me] && empty(settlements) ->
			settlements ! p, n, me, l, m, ack;
			settlements ! p, n, me, l, m, ack
		   }
		:: skip
		fi;
		p = 0; n = 0; m = 0; l = 0
	od
}

/* When nothing moves any more, only messages are left that no consumer takes. */
active proctype judge()
{
	timeout;
	assert(OVER(0) || (state[0] == ready && overdue[0] && overdue[1]));
	assert(OVER(1) || (state[1] == ready && overdue[0] && overdue[1]));
	assert(!used[0] && !used[1])
}

#define PLACED(m)  (!started || ((state[m] == out) == (HOLDS(0, m) != HOLDS(1, m)) && !(HOLDS(0, m) && HOLDS(1, m))))
#define ONCE(m)    (counted[m] <= 1 && (state[m] == acked) == (counted[m] == 1))
#define BOUNDED(m) (times[m] <= MAX_DELIVER)

ltl one_place { [] (PLACED(0) && PLACED(1)) }
ltl kept { [] (ONCE(0) && ONCE(1) && BOUNDED(0) && BOUNDED(1)) }
ltl final { [] (state[0] == acked -> [] (state[0] == acked)) }
