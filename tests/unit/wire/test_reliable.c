/* SPDX-License-Identifier: Apache-2.0 */
/* The machine of the reliable flow, each end by itself. For both together see
 * test_reliable_net.c. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "lib/wire/reliable.h"

#define MS 1000000ull
#define US 1000ull

static struct mr_reliable_frame frames[MR_RELIABLE_WINDOW_MAX];
static struct mr_reliable_tx t;
static struct mr_reliable_rx r;
static uint64_t now;

static void open_tx(uint32_t count, uint32_t credit)
{
	now = 1000 * MS;
	mr_reliable_tx_init(&t, frames, count, credit);
}

/* Opens a sender as if that many frames had passed. */
static void open_tx_at(uint32_t sequence, uint32_t count, uint32_t credit)
{
	open_tx(count, 0);
	t.first = t.next = t.round = sequence;
	t.limit = sequence + credit;
}

static void open_rx_at(uint32_t sequence, uint32_t slots, uint32_t credit)
{
	mr_reliable_rx_init(&r, slots, 0);
	r.next = r.taken = sequence;
	r.granted = sequence + credit;
}

static uint32_t send_frames(uint32_t count)
{
	uint32_t last = 0;

	while (count-- > 0) {
		assert_true(mr_reliable_tx_room(&t) > 0);
		last = mr_reliable_tx_sent(&t, 0, 100, 1, now);
	}
	return last;
}

static int ack(uint32_t next, uint32_t credit)
{
	return mr_reliable_tx_ack(&t, next, credit, NULL, 0, now);
}

static int ack_with(uint32_t next, uint32_t credit, uint64_t came)
{
	return mr_reliable_tx_ack(&t, next, credit, &came, 1, now);
}

static void expect_retransmit(uint32_t sequence, bool by_time)
{
	uint32_t got = 0;
	bool timed_out = false;

	assert_non_null(mr_reliable_tx_retransmit(&t, now, &got, &timed_out));
	assert_int_equal(got, sequence);
	assert_int_equal(timed_out, by_time);
}

static void expect_no_retransmit(void)
{
	uint32_t got;
	bool timed_out;

	assert_null(mr_reliable_tx_retransmit(&t, now, &got, &timed_out));
}

static void room_is_what_was_granted(void **state)
{
	(void)state;
	open_tx(512, 5);
	assert_int_equal(mr_reliable_tx_room(&t), 5);
	assert_int_equal(send_frames(5), 5);
	assert_int_equal(mr_reliable_tx_room(&t), 0);
	assert_int_equal(ack(3, 5), 2);
	assert_int_equal(mr_reliable_tx_room(&t), 2);
	/* Granted credit is not taken back, and an old ack changes nothing. */
	assert_int_equal(ack(4, 0), 1);
	assert_int_equal(ack(2, 1), 0);
	assert_int_equal(mr_reliable_tx_room(&t), 2);
}

static void room_is_what_the_log_holds(void **state)
{
	(void)state;
	open_tx(8, 100);
	assert_int_equal(mr_reliable_tx_room(&t), 8);
	send_frames(8);
	assert_int_equal(mr_reliable_tx_room(&t), 0);
	assert_int_equal(ack(2, 100), 1);
	assert_int_equal(mr_reliable_tx_room(&t), 1);
}

static void acked_frames_are_out_of_the_log(void **state)
{
	(void)state;
	open_tx(64, 64);
	send_frames(10);
	assert_false(mr_reliable_tx_drained(&t));
	assert_int_equal(ack(4, 64), 3);
	assert_int_equal(ack(4, 64), 0);
	assert_int_equal(ack(11, 64), 7);
	assert_true(mr_reliable_tx_drained(&t));
	assert_true(mr_reliable_tx_due_ns(&t) == UINT64_MAX);
}

static void acks_that_lie_change_nothing(void **state)
{
	uint64_t came[MR_RELIABLE_SACK_WORDS + 1] = {0};
	struct mr_reliable_tx before;

	(void)state;
	open_tx(64, 64);
	send_frames(10);
	assert_int_equal(ack_with(3, 64, 0x5), 2);
	before = t;
	assert_int_equal(ack(12, 64), -EPROTO);                /* never sent */
	assert_int_equal(ack(1u << 30, 64), -EPROTO);          /* far ahead */
	assert_int_equal(ack(0, 64), -EPROTO);                 /* no sequence */
	assert_int_equal(ack(3, 513), -EPROTO);                /* beyond any window */
	assert_int_equal(ack(3, UINT32_MAX), -EPROTO);         /* wraps */
	assert_int_equal(ack_with(3, 64, 1ull << 7), -EPROTO); /* 11 was never sent */
	assert_int_equal(ack_with(3, 64, 1ull << 63), -EPROTO);
	came[7] = 1;
	assert_int_equal(mr_reliable_tx_ack(&t, 3, 64, came, 8, now), -EPROTO);
	assert_int_equal(mr_reliable_tx_ack(&t, 3, 64, came, 9, now), -EPROTO);
	assert_memory_equal(&before, &t, sizeof(t));
	/* The last sent frame may be reported as received. */
	assert_int_equal(ack_with(3, 64, 1ull << 6), 0);
}

static void frame_that_three_later_ones_came_after_is_lost(void **state)
{
	(void)state;
	open_tx(64, 64);
	send_frames(6);
	now += 50 * US;
	assert_int_equal(ack_with(1, 64, 0x1), 0); /* 2 was received */
	expect_no_retransmit();
	assert_int_equal(ack_with(1, 64, 0x3), 0);
	expect_no_retransmit();
	assert_int_equal(ack_with(1, 64, 0x7), 0);
	expect_retransmit(1, false);
	expect_no_retransmit();
	assert_int_equal(ack(5, 64), 4);
	assert_int_equal(t.received, 0);
	assert_int_equal(t.lost, 0);
}

/* In order of sending: the later ones were sent after its retransmission. */
static void retransmitted_frame_may_be_lost_again(void **state)
{
	(void)state;
	open_tx(64, 64);
	send_frames(4);
	now += 50 * US;
	assert_int_equal(ack_with(1, 64, 0x7), 0);
	expect_retransmit(1, false);
	send_frames(3);
	now += 60 * US;
	assert_int_equal(ack_with(1, 64, 0x1f), 0);
	expect_no_retransmit();
	assert_int_equal(ack_with(1, 64, 0x3f), 0);
	expect_retransmit(1, false);
}

static void silence_retransmits_the_oldest_and_doubles_the_time_out(void **state)
{
	uint64_t wait = MR_RELIABLE_RTO_NS;

	(void)state;
	open_tx(64, 64);
	send_frames(3);
	for (int i = 1; i <= 24; i++) {
		assert_int_equal(mr_reliable_tx_due_ns(&t) - now, wait);
		now += wait - 1;
		expect_no_retransmit();
		now += 1;
		expect_retransmit(1, true);
		expect_no_retransmit();
		if (i % 2 == 0)
			wait = wait * 2 < MR_RELIABLE_RTO_NS_MAX ? wait * 2
								 : MR_RELIABLE_RTO_NS_MAX;
	}
	assert_int_equal(wait, MR_RELIABLE_RTO_NS_MAX);
	now += 50 * US;
	/* This one was missing, and the others are too. */
	assert_int_equal(mr_reliable_tx_ack(&t, 2, 64, &(uint64_t){0}, 0, now), 1);
	expect_retransmit(2, false);
	expect_retransmit(3, false);
	assert_int_equal(ack(4, 64), 2);
	/* Until a frame that was sent once is acknowledged. */
	send_frames(1);
	assert_int_equal(mr_reliable_tx_due_ns(&t) - now, MR_RELIABLE_RTO_NS_MAX);
	now += 50 * US;
	assert_int_equal(ack(5, 64), 1);
	send_frames(1);
	assert_true(mr_reliable_tx_due_ns(&t) - now <= MR_RELIABLE_RTO_NS);
}

static void time_out_follows_the_round_trip(void **state)
{
	(void)state;
	open_tx(64, 64);
	for (uint32_t i = 1; i < 200; i++) {
		send_frames(1);
		now += 20 * US;
		ack(i + 1, 64);
	}
	assert_in_range(t.rtt_ns, 19 * US, 21 * US);
	send_frames(1);
	assert_int_equal(mr_reliable_tx_due_ns(&t) - now, MR_RELIABLE_RTO_NS_MIN);
	ack(201, 64);
	for (uint32_t i = 201; i < 400; i++) {
		send_frames(1);
		now += 3 * MS;
		ack(i + 1, 64);
	}
	send_frames(1);
	assert_in_range(mr_reliable_tx_due_ns(&t) - now, 3 * MS, 4 * MS);
}

static void go_rounds(uint32_t rounds, uint64_t rtt)
{
	for (uint32_t i = 0; i < rounds; i++) {
		while (mr_reliable_tx_room(&t) > 0)
			mr_reliable_tx_sent(&t, 0, 100, 1, now);
		now += rtt;
		assert_true(ack(t.next, MR_RELIABLE_WINDOW_MAX) > 0);
	}
}

static void window_follows_the_delay(void **state)
{
	uint32_t grown;

	(void)state;
	open_tx(512, 512);
	assert_int_equal(t.window, 64);
	go_rounds(20, 50 * US);
	grown = t.window;
	assert_int_equal(grown, MR_RELIABLE_WINDOW_MAX);
	go_rounds(4, 2 * MS);
	assert_in_range(t.window, 4, grown / 4);
	go_rounds(20, 60 * US);
	assert_int_equal(t.window, MR_RELIABLE_WINDOW_MAX);
}

/* A busy peer answers late, however few frames are in flight. */
static void delay_that_a_small_window_does_not_end_is_the_paths(void **state)
{
	(void)state;
	open_tx(512, 512);
	go_rounds(20, 50 * US);
	go_rounds(8, 10 * MS);
	assert_in_range(t.window, 4, 24);
	go_rounds(30, 10 * MS);
	assert_int_equal(t.window, MR_RELIABLE_WINDOW_MAX);
}

/* Frames in flight stand in a queue, 20 us a frame. */
static void window_leaves_the_queue_short(void **state)
{
	(void)state;
	open_tx(512, 512);
	for (unsigned i = 0; i < 200; i++)
		go_rounds(1, 50 * US + t.window * 20 * US);
	assert_in_range(t.window, 8, 160);
}

/* A sender of few frames learns nothing about a large window. */
static void window_grows_where_it_is_used(void **state)
{
	(void)state;
	open_tx(512, 512);
	for (uint32_t i = 1; i < 100; i++) {
		send_frames(1);
		now += 20 * US;
		ack(i + 1, 512);
	}
	assert_int_equal(t.window, 64);
}

static void loss_alone_leaves_the_window(void **state)
{
	(void)state;
	open_tx(512, 512);
	send_frames(10);
	now += 50 * US;
	ack_with(1, 512, 0x1ff);
	expect_retransmit(1, false);
	assert_int_equal(t.window, 64);
	now += 10 * MS;
	expect_retransmit(1, true);
	assert_int_equal(t.window, 32);
}

/* Sends twenty frames, one at a time; returns the retransmissions of the last one. */
static uint32_t go_one_by_one(uint32_t next, uint64_t rtt)
{
	uint32_t again = 0, last;
	bool timed_out;

	for (uint32_t i = 0; i < 20; i++) {
		uint64_t back = now + rtt;

		send_frames(1);
		again = 0;
		while (now < back) {
			now += MS / 10;
			while (mr_reliable_tx_retransmit(&t, now, &last, &timed_out) != NULL)
				again++;
		}
		assert_int_equal(ack(next + i + 1, 64), 1);
	}
	return again;
}

/* Retransmitted before its ack can arrive, no round trip would ever be measured. */
static void round_trip_longer_than_the_time_out_is_found(void **state)
{
	(void)state;
	open_tx(64, 64);
	assert_int_equal(go_one_by_one(1, 50 * MS), 0);
	assert_in_range(t.rtt_ns, 49 * MS, 51 * MS);
}

/* The path was short, and suddenly is long. */
static void round_trip_that_grows_beyond_the_time_out_is_found(void **state)
{
	(void)state;
	open_tx(64, 64);
	assert_int_equal(go_one_by_one(1, MS), 0);
	assert_int_equal(go_one_by_one(21, 80 * MS), 0);
	assert_in_range(t.rtt_ns, 30 * MS, 81 * MS);
}

/* They arrived long ago, and the acks were lost: that says nothing about the path. */
static void late_ack_of_older_frames_is_no_round_trip(void **state)
{
	uint64_t known;

	(void)state;
	open_tx(64, 64);
	for (uint32_t i = 1; i < 50; i++) {
		send_frames(1);
		now += MS;
		ack(i + 1, 64);
	}
	known = t.rtt_ns;
	send_frames(4);
	now = mr_reliable_tx_due_ns(&t);
	expect_retransmit(50, true);
	now += MS;
	assert_int_equal(ack(51, 64), 1);
	now += 500 * MS;
	assert_int_equal(ack_with(51, 64, 0x1), 0); /* 52, one of those before */
	assert_int_equal(ack(54, 64), 3);
	assert_int_equal(t.rtt_ns, known);
}

/* A retransmitted frame whose ack takes the known time ends the back-off: the path is as before. */
static void prompt_ack_of_a_retransmission_ends_the_back_off(void **state)
{
	(void)state;
	open_tx(64, 64);
	for (uint32_t i = 1; i < 50; i++) {
		send_frames(1);
		now += MS;
		ack(i + 1, 64);
	}
	send_frames(2);
	for (int i = 0; i < 6; i++) {
		now = mr_reliable_tx_due_ns(&t);
		expect_retransmit(50, true);
	}
	assert_true(mr_reliable_tx_due_ns(&t) - now > 5 * MS);
	now += MS;
	assert_int_equal(ack(51, 64), 1);
	assert_in_range(mr_reliable_tx_due_ns(&t) - now, MS, 3 * MS);
}

/* The ack arrives sooner than any before, so it is of the first transmission: the time-out was
 * spurious, as in RFC 3522. */
static void time_out_for_nothing_is_taken_back(void **state)
{
	(void)state;
	open_tx(512, 512);
	for (uint32_t i = 1; i < 10; i++) {
		send_frames(1);
		now += 100 * US;
		ack(i + 1, 512);
	}
	send_frames(20);
	now = mr_reliable_tx_due_ns(&t);
	expect_retransmit(10, true);
	assert_int_equal(t.window, 32);
	now += 5 * US;
	assert_int_equal(ack(30, 512), 20);
	assert_in_range(t.window, 33, 64); /* by the delay that was seen */
	expect_no_retransmit();
}

static void peer_without_credit_is_probed(void **state)
{
	uint32_t sequence = 0;

	(void)state;
	open_tx(64, 2);
	assert_false(mr_reliable_tx_probe(&t, now + MS, &sequence));
	send_frames(2);
	now += 50 * US;
	assert_int_equal(ack(3, 0), 2);
	assert_int_equal(mr_reliable_tx_room(&t), 0);
	for (int i = 0; i < 5; i++) {
		expect_no_retransmit();
		assert_false(mr_reliable_tx_probe(&t, now, &sequence));
		now = mr_reliable_tx_due_ns(&t);
		expect_no_retransmit();
		assert_true(mr_reliable_tx_probe(&t, now, &sequence));
		assert_int_equal(sequence, 2);
		assert_true(mr_reliable_tx_due_ns(&t) >= now + MR_RELIABLE_RTO_NS_MIN);
	}
	assert_int_equal(ack(3, 4), 0);
	assert_int_equal(mr_reliable_tx_room(&t), 4);
	assert_true(mr_reliable_tx_due_ns(&t) == UINT64_MAX);
}

static void sender_without_a_first_grant_sends_no_probe(void **state)
{
	uint32_t sequence;

	(void)state;
	open_tx(64, 0);
	assert_int_equal(mr_reliable_tx_room(&t), 0);
	assert_int_equal(ack(1, 0), 0);
	assert_true(mr_reliable_tx_due_ns(&t) == UINT64_MAX);
	assert_false(mr_reliable_tx_probe(&t, now + 1000 * MS, &sequence));
	assert_int_equal(ack(1, 3), 0);
	assert_int_equal(mr_reliable_tx_room(&t), 3);
}

static void sending_leaves_out_zero(void **state)
{
	uint32_t sequence = UINT32_MAX - 2;

	(void)state;
	open_tx_at(sequence, 8, 8);
	assert_int_equal(mr_reliable_tx_room(&t), 7);
	for (uint32_t i = 0; i < 7; i++) {
		assert_int_equal(send_frames(1), sequence);
		sequence = mr_reliable_after(sequence);
	}
	assert_int_equal(sequence, 5);
	assert_int_equal(mr_reliable_tx_room(&t), 0);
	now += 50 * US;
	assert_int_equal(ack(UINT32_MAX, 8), 2);
	/* The last three of UINT32_MAX, (0), 1, 2, 3, 4 arrived. */
	assert_int_equal(ack_with(UINT32_MAX, 8, 0x1c), 0);
	expect_retransmit(UINT32_MAX, false);
	expect_retransmit(1, false);
	expect_no_retransmit();
	now += 50 * US;
	assert_int_equal(ack(1, 8), 1);
	expect_no_retransmit();
	assert_int_equal(ack(5, 8), 4);
	assert_int_equal(mr_reliable_tx_room(&t), 8);
}

static void in_order_frames_are_next(void **state)
{
	uint64_t came[MR_RELIABLE_SACK_WORDS];
	uint32_t next, credit;

	(void)state;
	mr_reliable_rx_init(&r, 16, 8);
	for (uint32_t i = 1; i <= 5; i++) {
		assert_int_equal(mr_reliable_rx_take(&r, i), MR_RELIABLE_NEXT);
		assert_true(mr_reliable_rx_waits(&r));
		mr_reliable_rx_let_go(&r);
		assert_false(mr_reliable_rx_waits(&r));
	}
	assert_true(mr_reliable_rx_ack_due(&r, 5));
	assert_int_equal(mr_reliable_rx_ack(&r, 16, &next, &credit, came), 0);
	assert_int_equal(next, 6);
	assert_int_equal(credit, 16);
	assert_false(mr_reliable_rx_ack_due(&r, 1));
}

static void gaps_are_reported_and_filled(void **state)
{
	uint64_t came[MR_RELIABLE_SACK_WORDS];
	uint32_t next, credit;

	(void)state;
	mr_reliable_rx_init(&r, 128, 128);
	assert_int_equal(mr_reliable_rx_take(&r, 3), MR_RELIABLE_EARLY);
	assert_int_equal(mr_reliable_rx_take(&r, 3), MR_RELIABLE_DUPLICATE);
	assert_int_equal(mr_reliable_rx_take(&r, 100), MR_RELIABLE_EARLY);
	assert_false(mr_reliable_rx_waits(&r));
	assert_true(mr_reliable_rx_ack_due(&r, 100));
	/* Without room for words they remain pending. */
	assert_int_equal(mr_reliable_rx_ack(&r, 128, &next, &credit, NULL), 0);
	assert_true(mr_reliable_rx_ack_due(&r, 100));
	assert_int_equal(mr_reliable_rx_ack(&r, 128, &next, &credit, came), 2);
	assert_int_equal(next, 1);
	assert_true(came[0] == 0x2 && came[1] == 1ull << 34);
	assert_false(mr_reliable_rx_ack_due(&r, 1));
	assert_int_equal(mr_reliable_rx_take(&r, 1), MR_RELIABLE_NEXT);
	assert_int_equal(r.next, 2);
	assert_int_equal(mr_reliable_rx_take(&r, 2), MR_RELIABLE_NEXT);
	assert_int_equal(r.next, 4);
	for (uint32_t i = 1; i <= 3; i++) {
		assert_true(mr_reliable_rx_waits(&r));
		mr_reliable_rx_let_go(&r);
	}
	assert_false(mr_reliable_rx_waits(&r));
	assert_int_equal(mr_reliable_rx_take(&r, 2), MR_RELIABLE_DUPLICATE);
	assert_int_equal(mr_reliable_rx_take(&r, UINT32_MAX), MR_RELIABLE_DUPLICATE);
}

static void frames_beyond_the_grant_are_refused(void **state)
{
	uint32_t next, credit;

	(void)state;
	mr_reliable_rx_init(&r, 8, 4);
	assert_int_equal(mr_reliable_rx_take(&r, 5), MR_RELIABLE_WINDOW);
	assert_int_equal(mr_reliable_rx_take(&r, 0), MR_RELIABLE_WINDOW);
	assert_int_equal(mr_reliable_rx_take(&r, 1u << 30), MR_RELIABLE_WINDOW);
	assert_int_equal(mr_reliable_rx_take(&r, 4), MR_RELIABLE_EARLY);
	for (uint32_t i = 1; i <= 3; i++)
		assert_int_equal(mr_reliable_rx_take(&r, i), MR_RELIABLE_NEXT);
	assert_int_equal(mr_reliable_rx_take(&r, 5), MR_RELIABLE_WINDOW);
	/* None was released: the slots are the limit, whatever the owner would take. */
	mr_reliable_rx_ack(&r, 100, &next, &credit, NULL);
	assert_int_equal(next, 5);
	assert_int_equal(credit, 4);
	mr_reliable_rx_ack(&r, 2, &next, &credit, NULL);
	assert_int_equal(credit, 4);
	for (uint32_t i = 5; i <= 8; i++)
		assert_int_equal(mr_reliable_rx_take(&r, i), MR_RELIABLE_NEXT);
	mr_reliable_rx_ack(&r, 8, &next, &credit, NULL);
	assert_int_equal(credit, 0);
	assert_false(mr_reliable_rx_ack_due(&r, 1));
	mr_reliable_rx_let_go(&r);
	assert_true(mr_reliable_rx_ack_due(&r, 1000));
	mr_reliable_rx_ack(&r, 8, &next, &credit, NULL);
	assert_int_equal(credit, 1);
}

/* Otherwise a peer that waits for credit would hear of each frame, and send them one by one. */
static void new_credit_is_told_a_few_frames_at_a_time(void **state)
{
	uint32_t next, credit;

	(void)state;
	mr_reliable_rx_init(&r, 128, 64);
	mr_reliable_rx_ack(&r, 64, &next, &credit, NULL);
	for (uint32_t i = 1; i <= 64; i++)
		assert_int_equal(mr_reliable_rx_take(&r, i), MR_RELIABLE_NEXT);
	mr_reliable_rx_ack(&r, 64, &next, &credit, NULL);
	assert_int_equal(credit, 0);
	for (uint32_t i = 1; i <= 3; i++) {
		mr_reliable_rx_let_go(&r);
		assert_false(mr_reliable_rx_ack_due(&r, 1));
	}
	mr_reliable_rx_let_go(&r);
	assert_true(mr_reliable_rx_ack_due(&r, 1));
	mr_reliable_rx_ack(&r, 64, &next, &credit, NULL);
	assert_int_equal(credit, 4);
}

/* Makes a frame with an Ack of that many payload bytes; returns the result of
 * mr_reliable_selective_ack. */
static int came_of(uint16_t messages, uint8_t kind, uint8_t flags, uint32_t payload, uint32_t bytes,
	uint64_t came[MR_RELIABLE_SACK_WORDS])
{
	const struct mrf_frame_header frame = {.messages = messages};
	const struct mrf_message_header h = {
		.bytes = (uint16_t)(sizeof(h) + payload), .kind = kind, .flags = flags};
	uint64_t at[2 + MR_RELIABLE_SACK_WORDS] = {0};

	memcpy(at, &h, sizeof(h));
	for (uint32_t i = 0; i <= MR_RELIABLE_SACK_WORDS; i++)
		at[1 + i] = 100 + i;
	return mr_reliable_selective_ack(&frame, (const uint8_t *)at, bytes, came);
}

static void words_are_those_of_an_ack_that_is_alone(void **state)
{
	const uint8_t ack = MRF_MESSAGE_KIND_ACK;
	uint64_t came[MR_RELIABLE_SACK_WORDS] = {0};

	(void)state;
	assert_int_equal(came_of(0, 0, 0, 0, 0, came), 0);
	assert_int_equal(came_of(1, ack, 0, 8, 16, came), 1);
	assert_int_equal(came[0], 100);
	assert_int_equal(came_of(1, ack, 0, 64, 72, came), MR_RELIABLE_SACK_WORDS);
	assert_int_equal(came[MR_RELIABLE_SACK_WORDS - 1], 100 + MR_RELIABLE_SACK_WORDS - 1);
	assert_int_equal(came_of(1, ack, 0, 72, 80, came), -1);
	assert_int_equal(came_of(1, ack, 0, 0, 8, came), -1);
	assert_int_equal(came_of(1, ack, 0, 4, 16, came), -1);
	assert_int_equal(came_of(1, ack, 0, 16, 16, came), -1);
	assert_int_equal(came_of(1, ack, MRF_MESSAGE_FLAG_TOKEN, 8, 16, came), -1);
	assert_int_equal(came_of(2, ack, 0, 8, 24, came), -1);
	assert_int_equal(came_of(1, MRF_MESSAGE_KIND_PADDING, 0, 8, 16, came), -1);
}

static void receiving_leaves_out_zero(void **state)
{
	uint64_t came[MR_RELIABLE_SACK_WORDS];
	uint32_t next, credit;

	(void)state;
	open_rx_at(UINT32_MAX - 1, 8, 8);
	assert_int_equal(mr_reliable_rx_take(&r, 0), MR_RELIABLE_WINDOW);
	assert_int_equal(mr_reliable_rx_take(&r, 1), MR_RELIABLE_EARLY);
	assert_int_equal(mr_reliable_rx_take(&r, UINT32_MAX), MR_RELIABLE_EARLY);
	assert_int_equal(mr_reliable_rx_take(&r, 5), MR_RELIABLE_EARLY);
	assert_int_equal(mr_reliable_rx_take(&r, 6), MR_RELIABLE_WINDOW);
	assert_int_equal(mr_reliable_rx_ack(&r, 8, &next, &credit, came), 1);
	assert_true(came[0] == (1u | 1u << 2 | 1u << 6));
	assert_int_equal(mr_reliable_rx_take(&r, UINT32_MAX - 1), MR_RELIABLE_NEXT);
	assert_int_equal(r.next, 2);
	for (uint32_t i = 0; i < 3; i++)
		mr_reliable_rx_let_go(&r);
	assert_int_equal(r.taken, 2);
	assert_int_equal(mr_reliable_rx_take(&r, 0), MR_RELIABLE_WINDOW);
	open_rx_at(UINT32_MAX, 8, 1);
	assert_int_equal(mr_reliable_rx_take(&r, UINT32_MAX), MR_RELIABLE_NEXT);
	assert_int_equal(mr_reliable_rx_take(&r, 1), MR_RELIABLE_WINDOW);
	mr_reliable_rx_let_go(&r);
	mr_reliable_rx_ack(&r, 2, &next, &credit, NULL);
	assert_int_equal(next, 1);
	assert_int_equal(credit, 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(room_is_what_was_granted),
		cmocka_unit_test(room_is_what_the_log_holds),
		cmocka_unit_test(acked_frames_are_out_of_the_log),
		cmocka_unit_test(acks_that_lie_change_nothing),
		cmocka_unit_test(frame_that_three_later_ones_came_after_is_lost),
		cmocka_unit_test(retransmitted_frame_may_be_lost_again),
		cmocka_unit_test(silence_retransmits_the_oldest_and_doubles_the_time_out),
		cmocka_unit_test(time_out_follows_the_round_trip),
		cmocka_unit_test(window_follows_the_delay),
		cmocka_unit_test(delay_that_a_small_window_does_not_end_is_the_paths),
		cmocka_unit_test(window_leaves_the_queue_short),
		cmocka_unit_test(window_grows_where_it_is_used),
		cmocka_unit_test(loss_alone_leaves_the_window),
		cmocka_unit_test(round_trip_longer_than_the_time_out_is_found),
		cmocka_unit_test(round_trip_that_grows_beyond_the_time_out_is_found),
		cmocka_unit_test(late_ack_of_older_frames_is_no_round_trip),
		cmocka_unit_test(prompt_ack_of_a_retransmission_ends_the_back_off),
		cmocka_unit_test(time_out_for_nothing_is_taken_back),
		cmocka_unit_test(peer_without_credit_is_probed),
		cmocka_unit_test(sender_without_a_first_grant_sends_no_probe),
		cmocka_unit_test(sending_leaves_out_zero),
		cmocka_unit_test(in_order_frames_are_next),
		cmocka_unit_test(gaps_are_reported_and_filled),
		cmocka_unit_test(frames_beyond_the_grant_are_refused),
		cmocka_unit_test(new_credit_is_told_a_few_frames_at_a_time),
		cmocka_unit_test(words_are_those_of_an_ack_that_is_alone),
		cmocka_unit_test(receiving_leaves_out_zero),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
