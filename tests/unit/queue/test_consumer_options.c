/* SPDX-License-Identifier: Apache-2.0 */
/* Options of consumers: pauses, one active consumer, rates, bytes, tags. */
#include "tests/unit/queue/rig.h"

#include <errno.h>
#include <stdio.h>

static struct rig r;
static uint32_t work;

static int setup(void **state)
{
	(void)state;
	rig_open(&r, NULL);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	rig_close(&r);
	return 0;
}

static void push(unsigned count, const char *text)
{
	rig_push_run(&r, work, count, text, NULL);
}

static unsigned got(unsigned client)
{
	return rig_count(&r, client, MRF_MESSAGE_KIND_DELIVER);
}

static void begin(unsigned client, const char *tag, uint32_t prefetch)
{
	r.wish.tag = tag;
	rig_consume(&r, "work", client, prefetch);
	r.wish.tag = NULL;
	rig_run(&r);
}

static void make_single(void)
{
	r.options.single_active = MRF_SINGLE_ACTIVE_YES;
	work = rig_make(&r, "work");
}

static struct mrf_table row_of(unsigned client)
{
	struct mrf_table row = rig_show(&r, MRF_QUEUE_KIND_QUEUE, "work");

	for (uint32_t i = 0; i < mrf_queue_row_consumer_rows_count(row); i++) {
		struct mrf_table c = mrf_queue_row_consumer_rows_at(row, i);

		if (mrf_queue_consumer_row_session(c) == rig_session(client))
			return c;
	}
	fail();
	return row;
}

static uint8_t state_of(unsigned client)
{
	return mrf_queue_consumer_row_state(row_of(client));
}

static int operate(enum mrf_queue_verb verb, unsigned client, const char *tag)
{
	int code;

	r.wish.tag = tag;
	code = rig_command(&r, verb, MRF_QUEUE_KIND_QUEUE, "work", client, 0, 0);
	r.wish.tag = NULL;
	rig_run(&r);
	return code;
}

static int edit_single(uint8_t value)
{
	int code;

	r.options.single_active = value;
	r.edits = MRF_QUEUE_OPTION_SINGLE_ACTIVE;
	code = rig_command(&r, MRF_QUEUE_VERB_EDIT, MRF_QUEUE_KIND_QUEUE, "work", 0, 0, 0);
	r.edits = 0;
	rig_run(&r);
	return code;
}

static void cancel(unsigned client)
{
	rig_command(&r, MRF_QUEUE_VERB_CANCEL, MRF_QUEUE_KIND_QUEUE, "work", client, 7, 0);
	rig_run(&r);
}

/* Pauses and tags. */

static void operators_pause_stops_one_consumer_by_its_tag(void **state)
{
	(void)state;
	work = rig_make(&r, "work");
	begin(2, "left", 10);
	begin(3, "right", 10);
	assert_int_equal(operate(MRF_QUEUE_VERB_PAUSE_CONSUMER, 0, "left"), 0);
	assert_int_equal(r.count, 1);
	push(4, "x");
	assert_int_equal(got(2), 0);
	assert_int_equal(got(3), 4);
	assert_int_equal(state_of(2), MRF_CONSUMER_STATE_PAUSED);
	assert_int_equal(state_of(3), MRF_CONSUMER_STATE_ACTIVE);
	assert_int_equal(operate(MRF_QUEUE_VERB_RESUME_CONSUMER, 0, "left"), 0);
	push(6, "x");
	assert_int_equal(got(2), 3);
}

static void operators_pause_finds_all_of_a_session_and_says_how_many(void **state)
{
	(void)state;
	work = rig_make(&r, "work");
	begin(2, "a", 10);
	begin(3, "a", 10);
	assert_int_equal(operate(MRF_QUEUE_VERB_PAUSE_CONSUMER, 2, NULL), 0);
	assert_int_equal(r.count, 1);
	assert_int_equal(operate(MRF_QUEUE_VERB_PAUSE_CONSUMER, 2, "a"), 0);
	assert_int_equal(r.count, 2);
	assert_int_equal(operate(MRF_QUEUE_VERB_PAUSE_CONSUMER, 0, "b"), -ESRCH);
	assert_int_equal(operate(MRF_QUEUE_VERB_PAUSE_CONSUMER, 0, ""), -ESRCH);
	assert_int_equal(operate(MRF_QUEUE_VERB_RESUME_CONSUMER, 9, NULL), -ESRCH);
}

static void paused_consumer_keeps_what_it_has_and_may_settle_it(void **state)
{
	uint64_t tag;

	(void)state;
	work = rig_make(&r, "work");
	begin(2, "a", 1);
	push(2, "x");
	tag = rig_expect(&r, 2, "x");
	assert_int_equal(operate(MRF_QUEUE_VERB_PAUSE_CONSUMER, 0, "a"), 0);
	rig_settle_run(&r, 2, work, tag, MRF_SETTLE_VERB_ACK, 0);
	rig_expect_none(&r, 2);
	assert_int_equal(operate(MRF_QUEUE_VERB_RESUME_CONSUMER, 0, "a"), 0);
	rig_expect(&r, 2, "x");
}

static void programs_own_pause_does_not_end_an_operators(void **state)
{
	(void)state;
	work = rig_make(&r, "work");
	r.wish.paused = true;
	begin(2, "a", 10);
	push(1, "x");
	rig_expect_none(&r, 2);
	assert_int_equal(state_of(2), MRF_CONSUMER_STATE_PAUSED_ITSELF);
	assert_int_equal(operate(MRF_QUEUE_VERB_PAUSE_CONSUMER, 0, "a"), 0);
	r.wish.paused = false;
	begin(2, "a", 10); /* repeats the request, without the pause */
	rig_expect_none(&r, 2);
	assert_int_equal(state_of(2), MRF_CONSUMER_STATE_PAUSED);
	assert_int_equal(operate(MRF_QUEUE_VERB_RESUME_CONSUMER, 0, "a"), 0);
	rig_expect(&r, 2, "x");
}

static void repeated_request_changes_the_tag(void **state)
{
	struct mrf_string tag;

	(void)state;
	work = rig_make(&r, "work");
	begin(2, "first", 10);
	begin(2, "the second, which is longer", 10);
	tag = mrf_queue_consumer_row_tag(row_of(2));
	assert_string_equal(tag.data, "the second, which is longer");
	begin(2, NULL, 10);
	assert_int_equal(mrf_queue_consumer_row_tag(row_of(2)).bytes, 0);
	assert_int_equal(operate(MRF_QUEUE_VERB_PAUSE_CONSUMER, 0, "first"), -ESRCH);
}

static void consumer_that_left_gets_messages_when_it_asks_again(void **state)
{
	(void)state;
	work = rig_make(&r, "work");
	begin(2, NULL, 10);
	push(1, "x");
	rig_settle_run(&r, 2, work, rig_expect(&r, 2, "x"), MRF_SETTLE_VERB_LEAVE, 0);
	rig_expect_none(&r, 2);
	begin(2, NULL, 10);
	rig_expect(&r, 2, "x");
}

/* One active consumer. */

static void others_stand_by_and_take_over_in_the_order_of_their_arrival(void **state)
{
	(void)state;
	make_single();
	for (unsigned i = 2; i <= 5; i++)
		begin(i, NULL, 10);
	push(1, "x");
	assert_int_equal(got(2), 1);
	assert_int_equal(state_of(3), MRF_CONSUMER_STATE_STANDBY);
	cancel(3); /* the last in the table takes its place there, but does not overtake */
	for (unsigned i = 2; i <= 5; i++) {
		if (i == 3)
			continue;
		rig_sent_forget(&r);
		push(1, "y");
		assert_true(got(i) >= 1);
		for (unsigned other = i + 1; other <= 5; other++)
			assert_int_equal(got(other), 0);
		cancel(i);
	}
}

static void lost_active_consumer_loses_nothing_and_keeps_the_order(void **state)
{
	char text[8];

	(void)state;
	make_single();
	begin(2, NULL, 5);
	begin(3, NULL, 10);
	for (unsigned i = 0; i < 8; i++) {
		snprintf(text, sizeof(text), "m%u", i);
		push(1, text);
	}
	rig_ack(&r, 2, work, "m0");
	assert_int_equal(got(3), 0);
	r.gone[2] = true;
	rig_pass(&r, 50);
	for (unsigned i = 1; i < 8; i++) {
		snprintf(text, sizeof(text), "m%u", i);
		rig_settle(&r, 3, work, rig_expect(&r, 3, text), MRF_SETTLE_VERB_ACK, 0);
	}
	rig_run(&r);
	assert_int_equal(mrf_queue_row_acked(rig_show(&r, MRF_QUEUE_KIND_QUEUE, "work")), 8);
}

static void frozen_active_consumer_is_replaced_after_its_time_out(void **state)
{
	(void)state;
	r.options.ack_timeout_ms = 1000;
	make_single();
	begin(2, NULL, 10);
	begin(3, NULL, 10);
	push(2, "x");
	assert_int_equal(got(2), 2);
	rig_sent_forget(&r);
	rig_pass(&r, 1100);
	assert_int_equal(got(2), 0); /* not once more to the frozen one */
	assert_int_equal(got(3), 2);
	assert_int_equal(state_of(2), MRF_CONSUMER_STATE_STANDBY);
	assert_int_equal(state_of(3), MRF_CONSUMER_STATE_ACTIVE);
}

static void slow_active_consumer_that_is_heard_stays_the_active_one(void **state)
{
	uint64_t late, next;

	(void)state;
	r.options.ack_timeout_ms = 1000;
	make_single();
	begin(2, NULL, 2);
	begin(3, NULL, 10);
	push(1, "slow");
	late = rig_expect(&r, 2, "slow");
	rig_pass(&r, 500);
	push(1, "next");
	next = rig_expect(&r, 2, "next");
	rig_pass(&r, 600); /* the first times out, the second is still out */
	assert_int_equal(state_of(2), MRF_CONSUMER_STATE_STALLED);
	assert_int_equal(got(3), 0);
	rig_settle(&r, 2, work, late, MRF_SETTLE_VERB_RELEASED, 0);
	rig_settle_run(&r, 2, work, next, MRF_SETTLE_VERB_ACK, 0);
	rig_expect(&r, 2, "slow");
	assert_int_equal(got(3), 0);
}

static void pause_hands_over_when_nothing_is_out(void **state)
{
	uint64_t tag;

	(void)state;
	make_single();
	begin(2, "a", 10);
	begin(3, "b", 10);
	push(1, "one");
	tag = rig_expect(&r, 2, "one");
	assert_int_equal(operate(MRF_QUEUE_VERB_PAUSE_CONSUMER, 0, "a"), 0);
	push(1, "two");
	rig_expect_none(&r, 2);
	rig_expect_none(&r, 3); /* "one" could come back, and is first */
	rig_settle_run(&r, 2, work, tag, MRF_SETTLE_VERB_ACK, 0);
	rig_expect(&r, 3, "two");
	assert_int_equal(operate(MRF_QUEUE_VERB_RESUME_CONSUMER, 0, "a"), 0);
	push(1, "three");
	rig_expect(&r, 3, "three"); /* the other one keeps its part */
	assert_int_equal(state_of(2), MRF_CONSUMER_STATE_STANDBY);
}

static void all_paused_consumers_wait_and_the_first_resumed_is_active(void **state)
{
	(void)state;
	make_single();
	begin(2, "a", 10);
	begin(3, "b", 10);
	assert_int_equal(operate(MRF_QUEUE_VERB_PAUSE_CONSUMER, 0, "b"), 0);
	assert_int_equal(operate(MRF_QUEUE_VERB_PAUSE_CONSUMER, 0, "a"), 0);
	push(1, "x");
	rig_expect_none(&r, 2);
	rig_expect_none(&r, 3);
	assert_int_equal(operate(MRF_QUEUE_VERB_RESUME_CONSUMER, 0, "b"), 0);
	rig_expect(&r, 3, "x");
}

static void edit_makes_one_of_many_active_and_undoes_it(void **state)
{
	(void)state;
	work = rig_make(&r, "work");
	for (unsigned i = 2; i <= 4; i++)
		begin(i, NULL, 10);
	assert_int_equal(edit_single(MRF_SINGLE_ACTIVE_YES), 0);
	push(6, "x");
	assert_int_equal(got(2), 6);
	assert_int_equal(got(3) + got(4), 0);
	assert_int_equal(edit_single(MRF_SINGLE_ACTIVE_NO), 0);
	push(6, "x");
	assert_int_equal(got(2), 8);
	assert_int_equal(got(3), 2);
	assert_int_equal(edit_single(3), -EINVAL);
	assert_int_equal(edit_single(0), -EINVAL);
}

static void queue_with_many_active_consumers_is_not_one_with_a_single(void **state)
{
	(void)state;
	work = rig_make(&r, "work");
	r.options.single_active = MRF_SINGLE_ACTIVE_YES;
	assert_int_equal(
		rig_command(&r, MRF_QUEUE_VERB_CONSUME, MRF_QUEUE_KIND_QUEUE, "work", 2, 7, 10),
		-EEXIST);
	r.options.single_active = MRF_SINGLE_ACTIVE_NO;
	begin(2, NULL, 10);
}

/* Rates. */

static void rate_lets_through_so_many_messages_a_second(void **state)
{
	unsigned first, after;

	(void)state;
	work = rig_make(&r, "work");
	r.wish.rate = 50 * 1000;
	begin(2, NULL, 1000);
	push(500, "x");
	first = got(2);
	assert_int_equal(first, 5); /* the burst of 100 ms */
	assert_int_equal(state_of(2), MRF_CONSUMER_STATE_RATE);
	rig_pass(&r, 2000);
	after = got(2);
	assert_in_range(after - first, 99, 101);
}

static void rate_below_one_a_second_lets_single_messages_through(void **state)
{
	(void)state;
	work = rig_make(&r, "work");
	r.wish.rate = 100; /* one in 10 s */
	begin(2, NULL, 10);
	push(3, "x");
	assert_int_equal(got(2), 1);
	rig_pass(&r, 9990);
	assert_int_equal(got(2), 1);
	rig_pass(&r, 20);
	assert_int_equal(got(2), 2);
}

static void rate_of_one_consumer_leaves_the_rest_to_others(void **state)
{
	(void)state;
	work = rig_make(&r, "work");
	r.wish.rate = 1000;
	begin(2, NULL, 1000);
	r.wish.rate = 0;
	begin(3, NULL, 1000);
	push(100, "x");
	assert_int_equal(got(2), 1);
	assert_int_equal(got(3), 99);
}

static void rate_may_be_changed_and_taken_away(void **state)
{
	(void)state;
	work = rig_make(&r, "work");
	r.wish.rate = 1;
	begin(2, NULL, 1000);
	push(10, "x");
	assert_int_equal(got(2), 1);
	r.wish.rate = 0;
	begin(2, NULL, 1000);
	assert_int_equal(got(2), 10);
	assert_int_equal(mrf_queue_consumer_row_rate(row_of(2)), 0);
}

static void limited_consumer_still_times_out(void **state)
{
	(void)state;
	r.options.ack_timeout_ms = 1000;
	work = rig_make(&r, "work");
	r.wish.rate = 10 * 1000;
	begin(2, NULL, 1000);
	push(5, "x");
	rig_pass(&r, 1001);
	assert_int_equal(mrf_queue_row_redelivered(rig_show(&r, MRF_QUEUE_KIND_QUEUE, "work")), 1);
}

/* Bytes. */

static void bytes_stop_deliveries_until_some_are_settled(void **state)
{
	uint64_t tags[4];

	(void)state;
	work = rig_make(&r, "work");
	r.wish.prefetch_bytes = 25;
	begin(2, NULL, 1000);
	push(10, "ten bytes.");
	assert_int_equal(got(2), 3);
	assert_int_equal(state_of(2), MRF_CONSUMER_STATE_FULL);
	assert_int_equal(mrf_queue_consumer_row_outstanding_bytes(row_of(2)), 30);
	for (unsigned i = 0; i < 3; i++)
		tags[i] = rig_expect(&r, 2, "ten bytes.");
	rig_settle_run(&r, 2, work, tags[0], MRF_SETTLE_VERB_ACK, 0);
	tags[3] = rig_expect(&r, 2, "ten bytes.");
	rig_expect_none(&r, 2);
	rig_settle_run(&r, 2, work, tags[3], MRF_SETTLE_VERB_ACK_UP_TO, 0);
	assert_int_equal(got(2), 3);
}

static void message_beyond_the_limit_goes_alone(void **state)
{
	char text[200];

	(void)state;
	memset(text, 'x', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	work = rig_make(&r, "work");
	r.wish.prefetch_bytes = 1;
	begin(2, NULL, 1000);
	push(2, text);
	assert_int_equal(got(2), 1);
	rig_ack(&r, 2, work, text);
	rig_expect(&r, 2, text);
}

static void timed_out_bytes_count_until_the_consumer_is_heard(void **state)
{
	uint64_t tag;

	(void)state;
	r.options.ack_timeout_ms = 1000;
	work = rig_make(&r, "work");
	r.wish.prefetch_bytes = 10;
	begin(2, NULL, 1000);
	push(2, "ten bytes.");
	tag = rig_expect(&r, 2, "ten bytes.");
	rig_expect_none(&r, 2);
	rig_pass(&r, 1100);
	rig_expect_none(&r, 2);
	rig_settle_run(&r, 2, work, tag, MRF_SETTLE_VERB_RELEASED, 0);
	rig_expect(&r, 2, "ten bytes.");
	rig_expect_none(&r, 2);
}

/* Acks all deliveries of a client; most of them in time. */
static void settle_some(unsigned client)
{
	struct rig_sent *s;

	while ((s = rig_take(&r, client, MRF_MESSAGE_KIND_DELIVER)) != NULL)
		rig_settle(&r, client, work, s->view.extra.delivery.tag, MRF_SETTLE_VERB_ACK, 0);
	rig_run(&r);
}

/* Leases: Progress with a time. */

static void lease_outlasts_the_time_out_and_ends(void **state)
{
	uint64_t tag;

	(void)state;
	r.options.ack_timeout_ms = 1000;
	work = rig_make(&r, "work");
	begin(2, NULL, 10);
	push(1, "x");
	tag = rig_expect(&r, 2, "x");
	rig_pass(&r, 500);
	rig_settle(&r, 2, work, tag, MRF_SETTLE_VERB_PROGRESS, 5000);
	rig_pass(&r, 4990);
	assert_int_equal(got(2), 0);
	rig_pass(&r, 20);
	rig_expect(&r, 2, "x");
}

static void lease_of_one_delivery_does_not_hold_up_the_others(void **state)
{
	uint64_t tags[4];

	(void)state;
	r.options.ack_timeout_ms = 1000;
	work = rig_make(&r, "work");
	begin(2, NULL, 4);
	push(4, "x");
	for (unsigned i = 0; i < 4; i++)
		tags[i] = rig_expect(&r, 2, "x");
	begin(3, NULL, 4);
	rig_settle(&r, 2, work, tags[0], MRF_SETTLE_VERB_PROGRESS, 9000);
	rig_settle(&r, 2, work, tags[1], MRF_SETTLE_VERB_PROGRESS, 3000);
	rig_pass(&r, 500);
	rig_settle(&r, 2, work, tags[2], MRF_SETTLE_VERB_PROGRESS, 0);
	rig_pass(&r, 510);
	assert_int_equal(got(3), 1); /* the last, which was not renewed */
	settle_some(3);
	rig_pass(&r, 500);
	assert_int_equal(got(3), 1); /* the third, whose time began anew */
	settle_some(3);
	rig_pass(&r, 1500);
	assert_int_equal(got(3), 1);
	settle_some(3);
	rig_settle(&r, 2, work, tags[0], MRF_SETTLE_VERB_ACK, 0);
	assert_int_equal(mrf_queue_row_acked(rig_show(&r, MRF_QUEUE_KIND_QUEUE, "work")), 4);
}

static void leases_are_bounded_and_may_be_renewed(void **state)
{
	uint64_t tags[100];

	(void)state;
	r.options.ack_timeout_ms = 1000;
	work = rig_make(&r, "work");
	begin(2, NULL, 100);
	push(100, "x");
	for (unsigned i = 0; i < 100; i++)
		tags[i] = rig_expect(&r, 2, "x");
	for (unsigned again = 0; again < 2; again++)
		for (unsigned i = 0; i < 100; i++)
			rig_settle(&r, 2, work, tags[i], MRF_SETTLE_VERB_PROGRESS, 10000 - i);
	begin(3, NULL, 100);
	rig_pass(&r, 1100);
	assert_int_equal(got(3), 100 - 64);
	for (unsigned i = 0; i < 64; i++)
		rig_settle(&r, 2, work, tags[i], MRF_SETTLE_VERB_ACK, 0);
	assert_int_equal(mrf_queue_row_acked(rig_show(&r, MRF_QUEUE_KIND_QUEUE, "work")), 64);
}

static void ack_up_to_a_leased_delivery_restarts_the_others(void **state)
{
	uint64_t first, second;

	(void)state;
	r.options.ack_timeout_ms = 1000;
	work = rig_make(&r, "work");
	begin(2, NULL, 2);
	push(2, "x");
	first = rig_expect(&r, 2, "x");
	second = rig_expect(&r, 2, "x");
	rig_settle(&r, 2, work, first, MRF_SETTLE_VERB_PROGRESS, 60000);
	rig_pass(&r, 900);
	rig_settle(&r, 2, work, first, MRF_SETTLE_VERB_ACK_UP_TO, 0);
	rig_pass(&r, 900);
	rig_settle(&r, 2, work, second, MRF_SETTLE_VERB_ACK, 0);
	assert_int_equal(mrf_queue_row_acked(rig_show(&r, MRF_QUEUE_KIND_QUEUE, "work")), 2);
}

/* Consumers with all sorts of options come, settle and leave; in the end one plain consumer gets
 * all that is left, so nothing was lost. */
static void nothing_is_lost_whatever_consumers_wish(void **state)
{
	uint64_t seed = 5;
	bool there[12] = {0};
	uint32_t pushed = 0;
	struct mrf_table row;

	(void)state;
	r.options.ack_timeout_ms = 40;
	r.options.max_deliver = 60000;
	make_single();
	for (unsigned step = 0; step < 6000; step++) {
		unsigned client;

		seed = seed * 6364136223846793005u + 1442695040888963407u;
		client = 2 + (unsigned)(seed >> 40) % 12;
		r.wish.rate = seed >> 33 & 1 ? 100 * (uint32_t)(seed >> 50) : 0;
		r.wish.prefetch_bytes = seed >> 34 & 1 ? 1 + (uint32_t)(seed >> 35 & 63) : 0;
		r.wish.paused = (seed >> 36 & 7) == 0;
		switch (seed >> 60 & 7) {
		case 0:
			if (there[client - 2])
				cancel(client);
			there[client - 2] = false;
			break;
		case 1:
			edit_single(seed >> 37 & 1 ? MRF_SINGLE_ACTIVE_NO : MRF_SINGLE_ACTIVE_YES);
			break;
		case 2: (void)operate(MRF_QUEUE_VERB_PAUSE_CONSUMER, client, NULL); break;
		case 3: (void)operate(MRF_QUEUE_VERB_RESUME_CONSUMER, client, NULL); break;
		case 4: rig_pass(&r, seed >> 38 & 15); break;
		case 5:
			begin(client, "some", 1 + client);
			there[client - 2] = true;
			break;
		default:
			push(1, "message");
			pushed++;
			settle_some(2 + pushed % 12);
		}
	}
	for (unsigned client = 2; client < 14; client++)
		cancel(client);
	memset(&r.wish, 0, sizeof(r.wish));
	begin(20, NULL, 60000);
	rig_pass(&r, 20);
	row = rig_show(&r, MRF_QUEUE_KIND_QUEUE, "work");
	assert_int_equal(mrf_queue_row_ready(row) + mrf_queue_row_delayed(row), 0);
	assert_int_equal(mrf_queue_row_outstanding(row), pushed - mrf_queue_row_acked(row));
	assert_int_equal(
		mrf_queue_row_outstanding(row), mrf_queue_consumer_row_outstanding(row_of(20)));
	assert_true(mrf_queue_row_acked(row) > 500);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		RIG_TEST(operators_pause_stops_one_consumer_by_its_tag),
		RIG_TEST(operators_pause_finds_all_of_a_session_and_says_how_many),
		RIG_TEST(paused_consumer_keeps_what_it_has_and_may_settle_it),
		RIG_TEST(programs_own_pause_does_not_end_an_operators),
		RIG_TEST(repeated_request_changes_the_tag),
		RIG_TEST(consumer_that_left_gets_messages_when_it_asks_again),
		RIG_TEST(others_stand_by_and_take_over_in_the_order_of_their_arrival),
		RIG_TEST(lost_active_consumer_loses_nothing_and_keeps_the_order),
		RIG_TEST(frozen_active_consumer_is_replaced_after_its_time_out),
		RIG_TEST(slow_active_consumer_that_is_heard_stays_the_active_one),
		RIG_TEST(pause_hands_over_when_nothing_is_out),
		RIG_TEST(all_paused_consumers_wait_and_the_first_resumed_is_active),
		RIG_TEST(edit_makes_one_of_many_active_and_undoes_it),
		RIG_TEST(queue_with_many_active_consumers_is_not_one_with_a_single),
		RIG_TEST(rate_lets_through_so_many_messages_a_second),
		RIG_TEST(rate_below_one_a_second_lets_single_messages_through),
		RIG_TEST(rate_of_one_consumer_leaves_the_rest_to_others),
		RIG_TEST(rate_may_be_changed_and_taken_away),
		RIG_TEST(limited_consumer_still_times_out),
		RIG_TEST(bytes_stop_deliveries_until_some_are_settled),
		RIG_TEST(message_beyond_the_limit_goes_alone),
		RIG_TEST(timed_out_bytes_count_until_the_consumer_is_heard),
		RIG_TEST(lease_outlasts_the_time_out_and_ends),
		RIG_TEST(lease_of_one_delivery_does_not_hold_up_the_others),
		RIG_TEST(leases_are_bounded_and_may_be_renewed),
		RIG_TEST(ack_up_to_a_leased_delivery_restarts_the_others),
		RIG_TEST(nothing_is_lost_whatever_consumers_wish),
	};

	return cmocka_run_group_tests_name("consumer options", tests, NULL, NULL);
}
