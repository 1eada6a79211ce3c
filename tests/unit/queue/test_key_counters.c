/* SPDX-License-Identifier: Apache-2.0 */
/* The worker counts keys in use, held, moved and refused. */
#include "tests/unit/queue/rig.h"

static struct rig r;
static uint32_t queue;

static void open_with(uint64_t store_bytes)
{
	rig_open_store(&r, store_bytes, NULL);
	r.options.policy = MRF_QUEUE_POLICY_KEY_SHARED;
	queue = rig_make(&r, "keyed");
}

static int setup(void **state)
{
	(void)state;
	open_with(64u << 20);
	return 0;
}

static int setup_small(void **state)
{
	(void)state;
	open_with(4u << 20);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	rig_close(&r);
	return 0;
}

static void push(uint64_t key, const char *text)
{
	rig_push_run(&r, queue, 1, text, &(struct mrf_push_options){.key = key});
}

static void keys_in_use_are_counted_until_they_are_empty(void **state)
{
	(void)state;
	push(1, "a");
	push(1, "b");
	push(2, "c");
	rig_pass(&r, 1);
	assert_int_equal(r.stats.queue_keys, 2);
	rig_consume(&r, "keyed", 2, 10);
	rig_run(&r);
	rig_ack(&r, 2, queue, "a");
	rig_ack(&r, 2, queue, "c");
	rig_pass(&r, 1);
	assert_int_equal(r.stats.queue_keys, 1);
	rig_ack(&r, 2, queue, "b");
	rig_pass(&r, 1);
	assert_int_equal(r.stats.queue_keys, 0);
}

static void key_that_waits_for_its_unsettled_message_is_counted(void **state)
{
	(void)state;
	rig_consume(&r, "keyed", 2, 10);
	push(1, "a");
	push(2, "x");
	assert_int_equal(r.stats.queue_keys_held, 0);
	push(1, "b");
	assert_int_equal(r.stats.queue_keys_held, 1);
	rig_ack(&r, 2, queue, "a");
	rig_expect(&r, 2, "x");
	rig_expect(&r, 2, "b");
	assert_int_equal(r.stats.queue_keys_held, 1);
	assert_int_equal(r.stats.queue_keys_refused, 0);
}

static void keys_that_change_their_consumer_are_counted(void **state)
{
	(void)state;
	rig_consume(&r, "keyed", 2, 10);
	for (uint64_t key = 1; key <= 20; key++)
		push(key, "a");
	for (uint64_t key = 1; key <= 20; key++)
		push(key, "b");
	assert_int_equal(r.stats.queue_keys_moved, 0);
	rig_consume(&r, "keyed", 3, 40);
	assert_int_equal(
		rig_command(&r, MRF_QUEUE_VERB_CANCEL, MRF_QUEUE_KIND_QUEUE, "keyed", 2, 7, 0), 0);
	rig_pass(&r, 10);
	assert_int_equal(r.stats.queue_keys_moved, 20);
	assert_int_equal(rig_count(&r, 3, MRF_MESSAGE_KIND_DELIVER), 20);
}

/* A delayed message gets the record of its key when it is due. */
static void key_without_memory_is_counted(void **state)
{
	struct mrf_push_options options = {.delay_ms = 1000};

	(void)state;
	for (options.key = 1; r.stats.refused_push_memory == 0; options.key++) {
		assert_true(options.key < 200000);
		rig_push(&r, &(struct rig_push){.queue = queue,
				     .client = 1,
				     .text = "a",
				     .id = options.key,
				     .options = &options});
		rig_run(&r);
	}
	assert_int_equal(r.stats.queue_keys_refused, 0);
	rig_pass(&r, 1000);
	assert_true(r.stats.queue_keys_refused > 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		RIG_TEST(keys_in_use_are_counted_until_they_are_empty),
		RIG_TEST(key_that_waits_for_its_unsettled_message_is_counted),
		RIG_TEST(keys_that_change_their_consumer_are_counted),
		cmocka_unit_test_setup_teardown(
			key_without_memory_is_counted, setup_small, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
