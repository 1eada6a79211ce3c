/* SPDX-License-Identifier: Apache-2.0 */
/* Both ends of the reliable flow, and between them a network that drops, repeats, delays and
 * reorders, by a seed. All values arrive once and in order, in both directions, with bounded memory
 * and in bounded time. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>

#include "lib/wire/reliable.h"

#define STEP_NS  10000u
#define SLOTS    64u
#define LOG      128u
#define UNDERWAY 4096u

struct packet {
	uint64_t due_ns; /* 0: free */
	unsigned to;
	uint32_t sequence; /* 0: only an ack */
	uint64_t value;
	uint32_t ack, credit, words;
	uint64_t came[MR_RELIABLE_SACK_WORDS];
};

struct end {
	struct mr_reliable_tx tx;
	struct mr_reliable_rx rx;
	struct mr_reliable_frame log[LOG];
	uint64_t slots[SLOTS];
	uint64_t sent, taken; /* values, from 0 on */
	uint64_t again;
	uint64_t awake_ns; /* takes nothing before then */
};

struct weather {
	unsigned drop, repeat; /* percent */
	uint64_t delay_ns, jitter_ns;
	unsigned stall; /* thousandths of steps after which an end takes nothing for a while */
	uint32_t start; /* first sequence */
};

static struct packet underway[UNDERWAY];
static struct end ends[2];
static struct weather weather;
static uint64_t now, seed;

static uint32_t roll(uint32_t below)
{
	seed = seed * 6364136223846793005ull + 1442695040888963407ull;
	return (uint32_t)(seed >> 33) % below;
}

static void put(const struct packet *p)
{
	for (unsigned i = 0; i < UNDERWAY; i++) {
		if (underway[i].due_ns != 0)
			continue;
		underway[i] = *p;
		underway[i].due_ns = now + weather.delay_ns;
		if (weather.jitter_ns > 0)
			underway[i].due_ns += roll((uint32_t)weather.jitter_ns);
		return;
	}
}

static void give_to_network(const struct packet *p)
{
	if (roll(100) >= weather.drop)
		put(p);
	if (roll(100) < weather.repeat)
		put(p);
}

/* Sends a frame, or with sequence 0 only an ack. */
static void emit(unsigned from, uint32_t sequence, uint64_t value)
{
	struct packet p = {.to = 1 - from, .sequence = sequence, .value = value};

	p.words = mr_reliable_rx_ack(
		&ends[from].rx, SLOTS, &p.ack, &p.credit, sequence == 0 ? p.came : NULL);
	give_to_network(&p);
}

static void take_waiting(struct end *e)
{
	while (now >= e->awake_ns && mr_reliable_rx_waits(&e->rx)) {
		assert_int_equal(e->slots[mr_reliable_slot(&e->rx, e->rx.taken)], e->taken);
		e->taken++;
		mr_reliable_rx_let_go(&e->rx);
	}
}

static void arrive(const struct packet *p)
{
	struct end *e = &ends[p->to];
	const uint64_t *came = p->sequence == 0 ? p->came : NULL;
	enum mr_reliable_order order;

	assert_true(mr_reliable_tx_ack(&e->tx, p->ack, p->credit, came, p->words, now) >= 0);
	if (p->sequence == 0)
		return;
	order = mr_reliable_rx_take(&e->rx, p->sequence);
	assert_true(order != MR_RELIABLE_WINDOW);
	if (order == MR_RELIABLE_NEXT || order == MR_RELIABLE_EARLY)
		e->slots[mr_reliable_slot(&e->rx, p->sequence)] = p->value;
	assert_in_range(e->rx.next - e->rx.taken, 0, SLOTS + 1);
	take_waiting(e);
}

static void send_new(unsigned who, uint64_t values)
{
	struct end *e = &ends[who];
	uint32_t burst = roll(8);

	while (burst-- > 0 && e->sent < values && mr_reliable_tx_room(&e->tx) > 0) {
		uint32_t sequence = mr_reliable_tx_sent(&e->tx, e->sent, 100, 1, now);

		emit(who, sequence, e->sent++);
	}
	assert_in_range(e->tx.next - e->tx.first, 0, LOG + 1);
}

static void send_again(unsigned who)
{
	struct mr_reliable_frame *f;
	struct end *e = &ends[who];
	uint32_t sequence;
	bool timed_out;

	while ((f = mr_reliable_tx_retransmit(&e->tx, now, &sequence, &timed_out)) != NULL) {
		e->again++;
		emit(who, sequence, f->at);
	}
	if (mr_reliable_tx_probe(&e->tx, now, &sequence))
		emit(who, sequence, UINT64_MAX);
}

static void step_end(unsigned who, uint64_t values)
{
	struct end *e = &ends[who];

	if (roll(1000) < weather.stall)
		e->awake_ns = now + roll(20000000);
	take_waiting(e);
	send_again(who);
	send_new(who, values);
	if (mr_reliable_rx_ack_due(&e->rx, 1 + roll(4)))
		emit(who, 0, 0);
}

static void step(uint64_t values)
{
	now += STEP_NS;
	for (unsigned i = 0; i < UNDERWAY; i++)
		if (underway[i].due_ns != 0 && underway[i].due_ns <= now) {
			struct packet p = underway[i];

			underway[i].due_ns = 0;
			arrive(&p);
		}
	step_end(0, values);
	step_end(1, values);
}

static void open_end(struct end *e, uint32_t start)
{
	memset(e, 0, sizeof(*e));
	mr_reliable_tx_init(&e->tx, e->log, LOG, 8);
	mr_reliable_rx_init(&e->rx, SLOTS, 8);
	e->tx.first = e->tx.next = e->tx.round = start;
	e->rx.next = e->rx.taken = start;
	e->tx.limit = e->rx.granted = start + 8;
}

static bool done(uint64_t values)
{
	for (unsigned i = 0; i < 2; i++)
		if (ends[i].taken < values || !mr_reliable_tx_drained(&ends[i].tx))
			return false;
	return true;
}

static void begin(struct weather w, uint64_t from_seed)
{
	memset(underway, 0, sizeof(underway));
	weather = w;
	seed = from_seed;
	now = 1000000000;
	open_end(&ends[0], w.start);
	open_end(&ends[1], w.start);
}

/* Returns the milliseconds that it took. */
static double run(struct weather w, uint64_t values, uint64_t from_seed, uint64_t ms_max)
{
	begin(w, from_seed);
	while (!done(values)) {
		step(values);
		assert_true(now - 1000000000 < ms_max * 1000000);
	}
	assert_int_equal(ends[0].taken, values);
	assert_int_equal(ends[1].taken, values);
	return (double)(now - 1000000000) / 1e6;
}

static void clean_path_sends_nothing_twice(void **state)
{
	(void)state;
	run((struct weather){.delay_ns = 50000, .start = 1}, 20000, 1, 2000);
	assert_int_equal(ends[0].again + ends[1].again, 0);
}

static void all_comes_once_and_in_order(void **state)
{
	static const unsigned loss[] = {1, 5, 10, 20, 30};

	(void)state;
	for (unsigned i = 0; i < MR_ARRAY_COUNT(loss); i++)
		for (uint64_t s = 1; s <= 20; s++) {
			struct weather w = {
				.drop = loss[i],
				.repeat = loss[i],
				.delay_ns = 30000,
				.jitter_ns = s % 2 != 0 ? 200000 : 0,
				.start = UINT32_MAX - (uint32_t)s * 5,
			};

			run(w, 1000, s * 7919, 60000);
		}
}

static void stalled_ends_go_on(void **state)
{
	(void)state;
	for (uint64_t s = 1; s <= 30; s++) {
		struct weather w = {
			.drop = (unsigned)s,
			.repeat = 5,
			.delay_ns = 100000,
			.jitter_ns = 50000,
			.stall = 20,
			.start = 1,
		};

		run(w, 1000, s, 60000);
	}
}

/* One percent of loss costs half of the rate; at ten percent it goes on steadily. */
static void loss_costs_little_of_the_rate(void **state)
{
	struct weather w = {.delay_ns = 50000, .start = 1};
	double clean, one, ten;

	(void)state;
	clean = run(w, 20000, 3, 60000);
	w.drop = 1;
	one = run(w, 20000, 3, 60000);
	w.drop = 10;
	ten = run(w, 20000, 3, 60000);
	printf("milliseconds for 20,000 frames each way: %.1f, at 1%% of loss %.1f, at 10%% %.1f\n",
		clean, one, ten);
	assert_true(one < 2 * clean);
	assert_true(ten < 10 * clean);
}

static void path_that_changes_the_order_is_not_held_for_one_that_loses(void **state)
{
	struct weather w = {.delay_ns = 500000, .jitter_ns = 400000, .start = 1};

	(void)state;
	run(w, 20000, 5, 60000);
	printf("of 40,000 frames out of order %u were sent again\n",
		(unsigned)(ends[0].again + ends[1].again));
	assert_true(ends[0].again + ends[1].again < 4000);
}

/* Time-outs must not feed on lost acks: a bad path goes on at its pace, also with few frames. */
static void bad_path_goes_on_steadily(void **state)
{
	struct weather w = {.drop = 30, .repeat = 5, .delay_ns = 50000, .start = 1};

	(void)state;
	assert_true(run(w, 20000, 3, 60000) < 2000);
	w.drop = 10;
	for (uint64_t s = 1; s <= 10; s++) {
		begin(w, s);
		for (uint64_t sent = 0; sent < 200; sent++) {
			uint64_t due = now + 2000000;

			do
				step(sent + 1);
			while (now < due || !done(sent + 1));
			assert_true(now - due < 200000000);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(clean_path_sends_nothing_twice),
		cmocka_unit_test(all_comes_once_and_in_order),
		cmocka_unit_test(stalled_ends_go_on),
		cmocka_unit_test(loss_costs_little_of_the_rate),
		cmocka_unit_test(path_that_changes_the_order_is_not_held_for_one_that_loses),
		cmocka_unit_test(bad_path_goes_on_steadily),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
