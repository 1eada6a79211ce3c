/* SPDX-License-Identifier: Apache-2.0 */
/* Pushes: acceptance, refusal, windows, fairness among producers, memory. */
#include <inttypes.h>

#include "tests/unit/queue/rig.h"

static struct rig r;

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

static void push(uint32_t queue, uint64_t publisher, uint64_t id)
{
	rig_push(&r, &(struct rig_push){.queue = queue,
			     .client = 1,
			     .text = "x",
			     .publisher = publisher,
			     .id = id});
	rig_run(&r);
}

static void drain(uint32_t queue, unsigned count)
{
	for (unsigned i = 0; i < count; i++)
		rig_ack(&r, 2, queue, "x");
}

/* The window of the rig is 8, with 8 / 8 beyond. */
static void full_queue_takes_a_little_more_and_accepts_when_there_is_room(void **state)
{
	uint32_t q;

	(void)state;
	r.options.messages_max = 8;
	q = rig_make(&r, "work");
	for (uint64_t id = 1; id <= 8; id++) {
		push(q, 0, id);
		rig_expect_accepted(&r, 1, id, 1, MRF_STATUS_CODE_OK);
	}
	for (uint64_t id = 9; id <= 10; id++)
		push(q, 0, id);
	assert_int_equal(rig_count(&r, 1, MRF_MESSAGE_KIND_ACCEPTED), 0);
	push(q, 0, 11);
	rig_expect_accepted(&r, 1, 11, 1, MRF_STATUS_CODE_OVERLOADED);
	rig_consume(&r, "work", 2, 1);
	rig_run(&r);
	drain(q, 1);
	rig_expect_accepted(&r, 1, 9, 1, MRF_STATUS_CODE_OK);
	drain(q, 9);
	rig_expect_accepted(&r, 1, 10, 1, MRF_STATUS_CODE_OK);
	assert_int_equal(rig_count(&r, 1, MRF_MESSAGE_KIND_ACCEPTED), 0);
}

/* Producers of a full queue notice only back-pressure, however many they are. */
static void full_queue_takes_one_more_of_each_producer(void **state)
{
	uint32_t q;

	(void)state;
	r.options.messages_max = 8;
	q = rig_make(&r, "work");
	for (uint64_t id = 1; id <= 8; id++)
		push(q, 0, id);
	for (uint32_t client = 1; client <= 3; client++)
		rig_push(&r,
			&(struct rig_push){.queue = q, .client = client, .text = "x", .id = 101});
	rig_run(&r);
	assert_int_equal(r.stats.refused_push_full, 0);
	rig_sent_forget(&r);
	rig_command(&r, MRF_QUEUE_VERB_PURGE, MRF_QUEUE_KIND_QUEUE, "work", 0, 0, 0);
	rig_run(&r);
	for (uint32_t client = 1; client <= 3; client++)
		rig_expect_accepted(&r, client, 101, 1, MRF_STATUS_CODE_OK);
}

static void purge_accepts_all_that_waited(void **state)
{
	uint32_t q;

	(void)state;
	r.options.messages_max = 32;
	q = rig_make(&r, "work");
	for (uint64_t id = 1; id <= 37; id++)
		push(q, 0, id);
	for (unsigned i = 0; i < 32; i++)
		assert_non_null(rig_take(&r, 1, MRF_MESSAGE_KIND_ACCEPTED));
	rig_command(&r, MRF_QUEUE_VERB_PURGE, MRF_QUEUE_KIND_QUEUE, "work", 0, 0, 0);
	assert_int_equal(r.count, 37);
	rig_run(&r);
	rig_expect_accepted(&r, 1, 33, 5, MRF_STATUS_CODE_OK);
}

/* The pushes of all producers in flight fit the margin of a full queue. */
static void windows_of_all_producers_are_a_part_of_the_limit(void **state)
{
	uint64_t sum = 0;

	(void)state;
	for (unsigned client = 1; client <= 30; client++) {
		r.options.messages_max = 192;
		rig_command(&r, MRF_QUEUE_VERB_OPEN, MRF_QUEUE_KIND_QUEUE, "work", client, 0, 0);
		assert_int_equal(r.code, 0);
		sum += mrf_queue_answer_window(r.table);
		rig_push(&r, &(struct rig_push){
				     .queue = r.queue, .client = client, .text = "x", .id = 1});
	}
	assert_int_equal(sum, 30 * 8); /* no more than queues.window */
}

static void full_queue_that_refuses_does(void **state)
{
	uint32_t q;

	(void)state;
	r.options.messages_max = 2;
	r.options.when_full = MRF_QUEUE_FULL_REFUSE;
	q = rig_make(&r, "work");
	push(q, 0, 1);
	push(q, 0, 2);
	rig_sent_forget(&r);
	push(q, 0, 3);
	rig_expect_accepted(&r, 1, 3, 1, MRF_STATUS_CODE_OVERLOADED);
	assert_int_equal(r.stats.refused_push_full, 1);
}

static void bytes_are_limited_too(void **state)
{
	uint32_t q;

	(void)state;
	r.options.bytes_max = 2;
	r.options.when_full = MRF_QUEUE_FULL_REFUSE;
	q = rig_make(&r, "work");
	push(q, 0, 1);
	push(q, 0, 2);
	rig_sent_forget(&r);
	push(q, 0, 3);
	rig_expect_accepted(&r, 1, 3, 1, MRF_STATUS_CODE_OVERLOADED);
	rig_push(&r, &(struct rig_push){.queue = q, .client = 1, .text = "never", .id = 4});
	rig_run(&r);
	rig_expect_accepted(&r, 1, 4, 1, MRF_STATUS_CODE_BAD);
}

static void push_without_a_promise_is_dropped_at_the_limit(void **state)
{
	uint32_t q;

	(void)state;
	r.options.messages_max = 1;
	q = rig_make(&r, "work");
	push(q, 0, 0);
	push(q, 0, 0);
	assert_int_equal(r.stats.refused_push_full, 1);
	assert_int_equal(mrf_queue_row_ready(rig_show(&r, MRF_QUEUE_KIND_QUEUE, "work")), 1);
}

static void push_of_an_exactly_once_publisher_counts_once(void **state)
{
	uint32_t q = rig_make(&r, "work");
	struct rig_sent *s;

	(void)state;
	rig_consume(&r, "work", 2, 10);
	push(q, 7, 100);
	push(q, 7, 100);
	rig_expect_accepted(&r, 1, 100, 1, MRF_STATUS_CODE_OK);
	rig_expect_accepted(&r, 1, 100, 1, MRF_STATUS_CODE_OK);
	push(q, 8, 100); /* another session's */
	push(q, 7, 99);  /* late, and new */
	push(q, 7, 99);
	assert_int_equal(rig_count(&r, 2, MRF_MESSAGE_KIND_DELIVER), 3);
	assert_int_equal(r.stats.queue_duplicates, 2);
	s = rig_take(&r, 2, MRF_MESSAGE_KIND_DELIVER);
	assert_int_equal(s->view.extra.origin.publisher, 7);
	assert_int_equal(s->view.extra.origin.id, 100);
}

static void ids_skipped_long_ago_are_taken_and_unknown_ones_are_too_old(void **state)
{
	uint32_t q = rig_make(&r, "work");

	(void)state;
	for (uint64_t id = 1; id <= 300000; id++) {
		if (id % 100000 != 5)
			push(q, 7, id);
		rig_sent_forget(&r);
	}
	assert_int_equal(r.stats.pushed, 300000 - 3);
	for (uint64_t id = 5; id <= 300000; id += 100000) {
		push(q, 7, id);
		rig_expect_accepted(&r, 1, id, 1, MRF_STATUS_CODE_OK);
		push(q, 7, id);
		rig_expect_accepted(&r, 1, id, 1, MRF_STATUS_CODE_OK);
	}
	assert_int_equal(r.stats.pushed, 300000);
	assert_int_equal(r.stats.queue_duplicates, 3);
	push(q, 7, UINT64_MAX);
	rig_expect_accepted(&r, 1, UINT64_MAX, 1, MRF_STATUS_CODE_OK);
	push(q, 7, UINT64_MAX - 65535);
	rig_expect_accepted(&r, 1, UINT64_MAX - 65535, 1, MRF_STATUS_CODE_OK);
	push(q, 7, UINT64_MAX - 65600);
	rig_expect_accepted(&r, 1, UINT64_MAX - 65600, 1, MRF_STATUS_CODE_TOO_OLD);
	push(q, 7, 5);
	rig_expect_accepted(&r, 1, 5, 1, MRF_STATUS_CODE_TOO_OLD);
	assert_int_equal(r.stats.refused_push_old, 2);
}

static void publishers_at_work_are_not_forgotten_for_new_ones(void **state)
{
	uint32_t q = rig_make(&r, "work");

	(void)state;
	for (uint64_t publisher = 1; publisher <= 7; publisher++)
		push(q, publisher, 1);
	rig_push(&r,
		&(struct rig_push){.queue = q, .client = 3, .text = "x", .publisher = 8, .id = 1});
	rig_run(&r);
	assert_int_equal(r.stats.pushed, 8);
	rig_sent_forget(&r);
	push(q, 9, 1);
	rig_expect_accepted(&r, 1, 1, 1, MRF_STATUS_CODE_OVERLOADED);
	rig_pass(&r, 61000);
	push(q, 1, 1);
	assert_int_equal(r.stats.queue_duplicates, 1);
	rig_sent_forget(&r);
	push(q, 9, 1);
	rig_expect_accepted(&r, 1, 1, 1, MRF_STATUS_CODE_OK);
	push(q, 1, 1);
	assert_int_equal(r.stats.queue_duplicates, 2);
}

static void full_store_refuses_and_can_be_emptied(void **state)
{
	char text[1025] = {0};
	uint64_t accepted = 0;
	struct rig_sent *s;
	uint32_t q;

	(void)state;
	teardown(NULL);
	rig_open_store(&r, 4u << 20, NULL);
	q = rig_make(&r, "work");
	memset(text, 'x', 1024);
	for (uint64_t id = 1; id <= 5000; id++)
		rig_push(&r, &(struct rig_push){.queue = q, .client = 1, .text = text, .id = id});
	assert_true(r.stats.refused_push_memory > 0);
	accepted = r.stats.pushed;
	assert_true(accepted > 2000);
	assert_int_equal(accepted + r.stats.refused_push_memory, 5000);
	rig_consume(&r, "work", 2, 100);
	rig_run(&r);
	while ((s = rig_take(&r, 2, MRF_MESSAGE_KIND_DELIVER)) != NULL)
		rig_settle_run(&r, 2, q, s->view.extra.delivery.tag, MRF_SETTLE_VERB_ACK, 0);
	assert_int_equal(r.stats.queue_acked, accepted);
	push(q, 0, 6000);
	assert_int_equal(r.stats.pushed, accepted + 1);
}

#define PRODUCERS 50u
#define TINY      10u

struct producer {
	uint64_t id; /* id of the open push, or of the one to repeat */
	bool open;
	unsigned waits; /* messages taken from the queue meanwhile */
	unsigned accepted;
};

static struct producer producers[PRODUCERS];

static void push_of(unsigned i, uint32_t q)
{
	producers[i].open = true;
	rig_push(&r, &(struct rig_push){
			     .queue = q, .client = 2 + i, .text = "x", .id = producers[i].id});
}

/* Handles the bus's answer: pushes the next one, or the same again. */
static void handle_outcome(unsigned i)
{
	struct mrf_accepted_range range;
	struct rig_sent *s = rig_take(&r, 2 + i, MRF_MESSAGE_KIND_ACCEPTED);

	if (s == NULL)
		return;
	memcpy(&range, s->body, sizeof(range));
	producers[i].open = false;
	if (range.status != MRF_STATUS_CODE_OK)
		return;
	producers[i].id++;
	producers[i].accepted++;
	producers[i].waits = 0;
}

/* A consumer takes message by message from a full queue; each time `flood` more are pushed by a
 * producer that ignores refusals. Returns the longest wait of a producer, in messages. */
static unsigned longest_wait(unsigned flood, unsigned steps)
{
	uint32_t q;
	unsigned longest = 0;
	uint64_t id = 0, tag = 0;

	memset(producers, 0, sizeof(producers));
	for (unsigned i = 0; i < PRODUCERS; i++)
		producers[i].id = 1;
	r.options = (struct mrf_queue_options){.messages_max = TINY};
	q = rig_make(&r, "tiny");
	rig_consume(&r, "tiny", 1, 1);
	for (unsigned step = 0; step < steps; step++) {
		struct rig_sent *s;

		for (unsigned k = 0; k < flood; k++)
			rig_push(&r, &(struct rig_push){
					     .queue = q, .client = 60, .text = "y", .id = ++id});
		for (unsigned i = 0; i < PRODUCERS; i++) {
			if (!producers[i].open)
				push_of(i, q);
			producers[i].waits++;
			longest = producers[i].waits > longest ? producers[i].waits : longest;
		}
		if (tag != 0)
			rig_settle(&r, 1, q, tag, MRF_SETTLE_VERB_ACK, 0);
		rig_run(&r);
		s = rig_take(&r, 1, MRF_MESSAGE_KIND_DELIVER);
		tag = s != NULL ? s->view.extra.delivery.tag : 0;
		for (unsigned i = 0; i < PRODUCERS; i++)
			handle_outcome(i);
		rig_sent_forget(&r);
	}
	return longest;
}

static void producers_of_a_tiny_queue_take_turns(void **state)
{
	(void)state;
	assert_in_range(longest_wait(0, 2000), PRODUCERS / 2, PRODUCERS + 2 * TINY);
	for (unsigned i = 0; i < PRODUCERS; i++)
		assert_in_range(producers[i].accepted, 2000 / PRODUCERS - 2, 2000 / PRODUCERS + 2);
	assert_int_equal(r.stats.refused_push_full, 0);
}

/* The queue takes the pushes that were in flight at the refusal, and no more. */
static void producer_without_a_window_takes_no_turn_of_others(void **state)
{
	(void)state;
	assert_in_range(longest_wait(100, 2000), PRODUCERS / 2, PRODUCERS + 3 * TINY);
	for (unsigned i = 0; i < PRODUCERS; i++)
		assert_in_range(producers[i].accepted, 2000 / PRODUCERS - 4, 2000 / PRODUCERS + 2);
}

/* bench_queue has the figure for ten million. */
static void waiting_message_costs_no_more_than_64_bytes_beside_its_body(void **state)
{
	char text[65] = {0};
	uint32_t q;
	uint64_t before, bytes;

	(void)state;
	teardown(NULL);
	rig_open_store(&r, 256u << 20, NULL);
	memset(text, 'x', 64);
	q = rig_make(&r, "work");
	/* Without and with the part that exactly once needs. */
	for (unsigned kind = 0; kind < 2; kind++) {
		before = mr_slab_bytes(r.store);
		for (uint64_t id = 1; id <= 200000; id++)
			rig_push(&r, &(struct rig_push){.queue = q,
					     .client = 1,
					     .text = text,
					     .publisher = kind,
					     .id = id});
		bytes = mr_slab_bytes(r.store) - before;
		print_message("%" PRIu64 " bytes for a message of 64\n", bytes / 200000);
		assert_true(bytes <= 200000ull * (64 + 56) + (512u << 10));
	}
}

static void both_priorities_at_once_make_no_sense(void **state)
{
	uint32_t q = rig_make(&r, "work");

	(void)state;
	rig_push(&r, &(struct rig_push){.queue = q,
			     .client = 1,
			     .text = "x",
			     .id = 1,
			     .flags = MRF_MESSAGE_FLAG_HIGH | MRF_MESSAGE_FLAG_LOW});
	rig_run(&r);
	rig_expect_accepted(&r, 1, 1, 1, MRF_STATUS_CODE_BAD);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		RIG_TEST(producers_of_a_tiny_queue_take_turns),
		RIG_TEST(producer_without_a_window_takes_no_turn_of_others),
		RIG_TEST(full_queue_takes_a_little_more_and_accepts_when_there_is_room),
		RIG_TEST(full_queue_takes_one_more_of_each_producer),
		RIG_TEST(purge_accepts_all_that_waited),
		RIG_TEST(windows_of_all_producers_are_a_part_of_the_limit),
		RIG_TEST(full_queue_that_refuses_does),
		RIG_TEST(bytes_are_limited_too),
		RIG_TEST(push_without_a_promise_is_dropped_at_the_limit),
		RIG_TEST(push_of_an_exactly_once_publisher_counts_once),
		RIG_TEST(ids_skipped_long_ago_are_taken_and_unknown_ones_are_too_old),
		RIG_TEST(publishers_at_work_are_not_forgotten_for_new_ones),
		RIG_TEST(full_store_refuses_and_can_be_emptied),
		RIG_TEST(waiting_message_costs_no_more_than_64_bytes_beside_its_body),
		RIG_TEST(both_priorities_at_once_make_no_sense),
	};

	return cmocka_run_group_tests_name("queue-push", tests, NULL, NULL);
}
