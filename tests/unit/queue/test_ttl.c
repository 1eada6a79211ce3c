/* SPDX-License-Identifier: Apache-2.0 */
/* A message's time to live ends exactly, wherever the message stands. */
#include <stdio.h>

#include "tests/unit/queue/rig_work.h"

/* Pushes a message with a time to live; 0: one without. */
static void push(const char *text, uint32_t ttl_ms)
{
	const struct mrf_push_options options = {.ttl_ms = ttl_ms};

	rig_push_run(&r, q, 1, text, ttl_ms != 0 ? &options : NULL);
}

static uint64_t depth(void)
{
	struct mrf_table work = row();

	return mrf_queue_row_ready(work) + mrf_queue_row_delayed(work) +
	       mrf_queue_row_outstanding(work);
}

static void assert_ended(uint64_t count)
{
	assert_int_equal(r.stats.drop_expired, count);
	assert_int_equal(mrf_queue_row_expired(row()), count);
}

/* Makes the queue send messages whose time is over to the dead letters. */
static void keep_expired(void)
{
	r.options.when_expired = MRF_QUEUE_EXPIRED_DEAD_LETTER;
	edit(MRF_QUEUE_OPTION_WHEN_EXPIRED);
}

static void message_behind_others_ends(void **state)
{
	(void)state;
	push("a", 0);
	push("b", 500);
	push("c", 100);
	push("d", 0);
	rig_pass(&r, 99);
	assert_int_equal(depth(), 4);
	rig_pass(&r, 1);
	assert_int_equal(depth(), 3);
	assert_ended(1);
	rig_consume(&r, "work", 2, 10);
	rig_run(&r);
	rig_expect(&r, 2, "a");
	rig_expect(&r, 2, "b");
	rig_expect(&r, 2, "d");
	rig_expect_none(&r, 2);
}

static void message_is_not_delivered_after_its_time(void **state)
{
	(void)state;
	push("a", 100);
	push("b", 0);
	rig_consume(&r, "work", 2, 10);
	r.now_ms += 100; /* no tick before the round that delivers */
	mr_queues_run(r.queues, r.now_ms);
	rig_expect(&r, 2, "b");
	rig_expect_none(&r, 2);
	assert_ended(1);
}

static void message_in_hand_is_taken_back(void **state)
{
	uint64_t tag;

	(void)state;
	rig_consume(&r, "work", 2, 1);
	push("a", 100);
	push("b", 0);
	tag = rig_expect(&r, 2, "a");
	rig_pass(&r, 99);
	assert_int_equal(rig_count(&r, 2, MRF_MESSAGE_KIND_RECALL), 0);
	rig_pass(&r, 1);
	assert_non_null(rig_take(&r, 2, MRF_MESSAGE_KIND_RECALL));
	assert_ended(1);
	rig_expect_none(&r, 2); /* not heard yet: no credit in its place */
	settle(tag, MRF_SETTLE_VERB_ACK, 0);
	assert_int_equal(r.stats.bad_tags, 1);
	rig_expect(&r, 2, "b");
	assert_int_equal(depth(), 1);
}

static void acknowledged_message_does_not_end(void **state)
{
	(void)state;
	rig_consume(&r, "work", 2, 1);
	push("a", 100);
	settle(rig_expect(&r, 2, "a"), MRF_SETTLE_VERB_ACK, 0);
	rig_pass(&r, 200);
	assert_ended(0);
	assert_int_equal(rig_count(&r, 2, MRF_MESSAGE_KIND_RECALL), 0);
}

static void delayed_message_ends(void **state)
{
	(void)state;
	rig_consume(&r, "work", 2, 1);
	push("a", 100);
	settle(rig_expect(&r, 2, "a"), MRF_SETTLE_VERB_REQUEUE, 900);
	rig_pass(&r, 99);
	assert_int_equal(depth(), 1);
	rig_pass(&r, 1);
	assert_int_equal(depth(), 0);
	assert_ended(1);
}

static void message_returned_after_its_time_is_not_delayed(void **state)
{
	uint64_t tag;

	(void)state;
	rig_consume(&r, "work", 2, 1);
	push("a", 100);
	tag = rig_expect(&r, 2, "a");
	r.now_ms += 100; /* no tick before the settlement */
	settle(tag, MRF_SETTLE_VERB_REQUEUE, 900);
	rig_pass(&r, 1);
	assert_int_equal(depth(), 0);
	assert_ended(1);
	rig_expect_none(&r, 2);
}

static void returned_messages_end_in_any_order(void **state)
{
	static const uint32_t ttl[] = {400, 100, 300, 200};
	uint64_t tags[4];
	char text[2] = "a";

	(void)state;
	rig_consume(&r, "work", 2, 4);
	for (unsigned i = 0; i < 4; i++, text[0]++) {
		push(text, ttl[i]);
		tags[i] = rig_expect(&r, 2, text);
	}
	rig_command(&r, MRF_QUEUE_VERB_PAUSE, MRF_QUEUE_KIND_QUEUE, "work", 0, 0, 0);
	for (unsigned i = 4; i-- > 0;)
		settle(tags[i], MRF_SETTLE_VERB_REQUEUE, 0);
	push("e", 0);
	rig_pass(&r, 150);
	assert_ended(1);
	rig_pass(&r, 100);
	assert_ended(2);
	rig_command(&r, MRF_QUEUE_VERB_RESUME, MRF_QUEUE_KIND_QUEUE, "work", 0, 0, 0);
	rig_run(&r);
	rig_expect(&r, 2, "a");
	rig_expect(&r, 2, "c");
	rig_expect(&r, 2, "e");
	rig_expect_none(&r, 2);
}

static void age_decides_the_order_with_and_without_a_time(void **state)
{
	char text[2] = "a";

	(void)state;
	for (unsigned i = 0; i < 8; i++, text[0]++)
		push(text, i % 3 == 1 ? 5000 : 0);
	rig_command(&r, MRF_QUEUE_VERB_PEEK, MRF_QUEUE_KIND_QUEUE, "work", 0, 0, 16);
	assert_int_equal(mrf_queue_answer_messages_count(r.table), 8);
	for (unsigned i = 0; i < 8; i++)
		assert_int_equal(
			mrf_queue_message_row_payload(mrf_queue_answer_messages_at(r.table, i))
				.data[0],
			'a' + (int)i);
	rig_consume(&r, "work", 2, 10);
	rig_run(&r);
	for (text[0] = 'a'; text[0] < 'i'; text[0]++)
		rig_expect(&r, 2, text);
}

static void high_goes_before_normal_with_a_time(void **state)
{
	const struct mrf_push_options options = {.ttl_ms = 1000};

	(void)state;
	push("a", 1000);
	rig_push(&r, &(struct rig_push){.queue = q,
			     .client = 1,
			     .text = "b",
			     .flags = MRF_MESSAGE_FLAG_HIGH,
			     .options = &options});
	rig_consume(&r, "work", 2, 10);
	rig_run(&r);
	rig_expect(&r, 2, "b");
	rig_expect(&r, 2, "a");
}

static void queue_may_keep_expired_messages_as_dead_letters(void **state)
{
	struct rig_sent *s;

	(void)state;
	keep_expired();
	push("a", 100);
	rig_pass(&r, 100);
	assert_int_equal(r.stats.drop_expired, 0);
	assert_int_equal(r.stats.queue_dead, 1);
	rig_pass(&r, 5000); /* a dead letter has no end */
	rig_consume(&r, "work.dead", 3, 1);
	rig_run(&r);
	s = rig_take(&r, 3, MRF_MESSAGE_KIND_DELIVER);
	assert_non_null(s);
	assert_non_null(strstr((char *)s->body, "Millrace-Dead-Reason: expired\r\n"));
}

static void message_of_a_redrive_has_no_end(void **state)
{
	(void)state;
	keep_expired();
	push("a", 100);
	rig_pass(&r, 100);
	rig_command(&r, MRF_QUEUE_VERB_REDRIVE, MRF_QUEUE_KIND_QUEUE, "work", 0, 0, 0);
	rig_pass(&r, 5000);
	rig_consume(&r, "work", 2, 1);
	rig_run(&r);
	rig_expect(&r, 2, "a");
}

static void purge_takes_messages_with_a_time(void **state)
{
	uint64_t before;

	(void)state;
	push("first", 100);
	rig_pass(&r, 100);
	before = r.stats.store_bytes; /* with the wheel */
	for (unsigned i = 0; i < 100; i++)
		push("a", 100 + i);
	assert_int_equal(
		rig_command(&r, MRF_QUEUE_VERB_PURGE, MRF_QUEUE_KIND_QUEUE, "work", 0, 0, 0), 0);
	assert_int_equal(r.count, 100);
	rig_run(&r);
	assert_int_equal(r.stats.store_bytes, before);
	push("b", 50);
	rig_pass(&r, 500);
	assert_ended(2);
	assert_int_equal(r.stats.store_bytes, before);
}

static void deleted_queue_gives_its_memory_back(void **state)
{
	uint64_t before = 0;

	(void)state;
	for (unsigned turn = 0; turn < 2; turn++) {
		q = rig_make(&r, "work");
		push("a", 100);
		push("b", 100);
		rig_command(&r, MRF_QUEUE_VERB_DELETE, MRF_QUEUE_KIND_QUEUE, "work", 0, 0, 0);
		rig_pass(&r, 200);
		assert_true(turn == 0 || r.stats.store_bytes == before);
		before = r.stats.store_bytes;
	}
}

static void messages_that_end_together_leave_in_slices(void **state)
{
	enum { MANY = 20000 };
	uint64_t most = 0, ended = 0;

	(void)state;
	for (unsigned i = 0; i < MANY; i++)
		push("a", 1000);
	r.now_ms += 1000;
	for (unsigned i = 0; i < MANY && ended < MANY; i++, r.now_ms++) {
		mr_queues_tick(r.queues, r.now_ms);
		rig_run(&r);
		most = r.stats.drop_expired - ended > most ? r.stats.drop_expired - ended : most;
		ended = r.stats.drop_expired;
	}
	assert_int_equal(ended, MANY);
	assert_true(most <= 512);
}

static void message_in_fragments_ends(void **state)
{
	const struct mrf_push_options options = {.ttl_ms = 100};
	char part[513] = "";

	(void)state;
	memset(part, 'x', 512);
	for (unsigned turn = 0; turn < 2; turn++) {
		for (unsigned i = 0; i < 3; i++)
			rig_push(&r, &(struct rig_push){.queue = q,
					     .client = 1,
					     .text = part + (i == 0 ? 32 : 224 * (i == 2)),
					     .flags = MRF_MESSAGE_FLAG_FRAGMENT,
					     .fragment = {.session = rig_session(1),
						     .message = turn,
						     .total_bytes = 1280,
						     .offset = i == 0 ? 0 : 512 * i - 32},
					     .options = &options});
		rig_run(&r);
		assert_int_equal(depth(), 1);
		assert_int_equal(mrf_queue_row_bytes(row()), 1280);
		if (turn == 0)
			rig_pass(&r, 100);
	}
	assert_ended(1);
	rig_consume(&r, "work", 2, 1);
	rig_run(&r);
	assert_int_equal(rig_count(&r, 2, MRF_MESSAGE_KIND_DELIVER), 3);
	rig_pass(&r, 100);
	assert_ended(2);
}

static void expect_refused(const struct rig_push *p, enum mrf_status_code status)
{
	rig_push(&r, p);
	rig_run(&r);
	rig_expect_accepted(&r, 1, p->id, 1, status);
	rig_sent_forget(&r);
}

static void malformed_options_are_refused(void **state)
{
	const struct mrf_push_options good = {.ttl_ms = 5}, unknown = {.ttl_ms = 5, .repeat = 9};
	uint32_t service = rig_make_service(&r, "service");
	struct mr_message_view m = {
		.header = {.kind = MRF_MESSAGE_KIND_PUSH_OPTIONS,
			.target = q,
			.flags = MRF_MESSAGE_FLAG_ORIGIN},
		.extra = {.flags = MRF_MESSAGE_FLAG_ORIGIN, .origin = {0, 9}},
		.headers = (const uint8_t *)&good,
		.payload = (const uint8_t *)&good,
		.payload_bytes = sizeof(good), /* the payload, not a part before it */
	};

	(void)state;
	expect_refused(
		&(struct rig_push){
			.queue = q, .client = 1, .text = "a", .id = 1, .options = &unknown},
		MRF_STATUS_CODE_BAD);
	expect_refused(
		&(struct rig_push){
			.queue = service, .client = 1, .text = "a", .id = 2, .options = &good},
		MRF_STATUS_CODE_BAD);
	expect_refused(
		&(struct rig_push){
			.queue = q + 50, .client = 1, .text = "a", .id = 3, .options = &good},
		MRF_STATUS_CODE_NOT_FOUND);
	mr_queues_push_with(r.queues, rig_session(1), &m, r.now_ms);
	rig_run(&r);
	rig_expect_accepted(&r, 1, 9, 1, MRF_STATUS_CODE_BAD);
	assert_int_equal(depth(), 0);
}

static void duplicate_does_not_live_longer(void **state)
{
	const struct mrf_push_options options = {.ttl_ms = 100};
	const struct rig_push p = {
		.queue = q, .client = 1, .text = "a", .publisher = 5, .id = 1, .options = &options};

	(void)state;
	rig_push(&r, &p);
	rig_pass(&r, 60);
	rig_push(&r, &p);
	rig_pass(&r, 40);
	assert_int_equal(depth(), 0);
	assert_ended(1);
}

static uint32_t random_below(uint32_t n)
{
	static uint64_t state = 88172645463325252ull;

	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return (uint32_t)(state >> 33) % n;
}

/* The state of each message, as the test expects it. */
static struct known {
	uint64_t ends_ms;
	bool acked;
} known[4096];

/* Takes a delivery, checks that its time is not over, and acks it or gives it back. */
static bool take_one(void)
{
	struct rig_sent *s = rig_take(&r, 2, MRF_MESSAGE_KIND_DELIVER);
	uint64_t tag;
	unsigned i;

	if (s == NULL)
		return false;
	tag = s->view.extra.delivery.tag;
	i = (unsigned)strtoul((char *)s->body, NULL, 10);
	if (random_below(4) == 0)
		rig_pass(&r, random_below(30));
	if (r.now_ms >= known[i].ends_ms)
		return true; /* recalled meanwhile */
	if (random_below(3) == 0) {
		rig_settle(&r, 2, q, tag, MRF_SETTLE_VERB_RETURNED, random_below(3) * 20);
		return true;
	}
	rig_settle(&r, 2, q, tag, MRF_SETTLE_VERB_ACK, 0);
	assert_false(known[i].acked);
	known[i].acked = true;
	return true;
}

static void every_message_is_acked_or_ends(void **state)
{
	uint64_t acked = 0;
	char text[32];

	(void)state;
	rig_consume(&r, "work", 2, 6);
	for (unsigned i = 0; i < MR_ARRAY_COUNT(known); i++) {
		uint32_t ttl = random_below(2) ? 1 + random_below(200) : 0;

		snprintf(text, sizeof(text), "%u ", i);
		known[i] = (struct known){.ends_ms = ttl ? r.now_ms + ttl : UINT64_MAX};
		push(text, ttl);
		if (random_below(3) == 0)
			rig_pass(&r, random_below(20));
		for (unsigned n = random_below(3); n > 0; n--)
			(void)take_one();
		settle(0, MRF_SETTLE_VERB_RELEASED, 0);
		if (i % 256 == 0)
			rig_sent_forget(&r);
	}
	while (depth() > 0) {
		(void)take_one();
		rig_settle(&r, 2, q, 0, MRF_SETTLE_VERB_RELEASED, 0);
		rig_pass(&r, 1);
	}
	for (unsigned i = 0; i < MR_ARRAY_COUNT(known); i++)
		acked += known[i].acked;
	assert_int_equal(acked + r.stats.drop_expired, MR_ARRAY_COUNT(known));
	assert_true(acked > 500 && r.stats.drop_expired > 500);
	assert_int_equal(mrf_queue_row_bytes(row()), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		RIG_TEST(message_behind_others_ends),
		RIG_TEST(message_is_not_delivered_after_its_time),
		RIG_TEST(message_in_hand_is_taken_back),
		RIG_TEST(acknowledged_message_does_not_end),
		RIG_TEST(delayed_message_ends),
		RIG_TEST(message_returned_after_its_time_is_not_delayed),
		RIG_TEST(returned_messages_end_in_any_order),
		RIG_TEST(age_decides_the_order_with_and_without_a_time),
		RIG_TEST(high_goes_before_normal_with_a_time),
		RIG_TEST(queue_may_keep_expired_messages_as_dead_letters),
		RIG_TEST(message_of_a_redrive_has_no_end),
		RIG_TEST(purge_takes_messages_with_a_time),
		RIG_TEST(deleted_queue_gives_its_memory_back),
		RIG_TEST(messages_that_end_together_leave_in_slices),
		RIG_TEST(message_in_fragments_ends),
		RIG_TEST(malformed_options_are_refused),
		RIG_TEST(duplicate_does_not_live_longer),
		RIG_TEST(every_message_is_acked_or_ends),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
