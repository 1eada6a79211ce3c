/* SPDX-License-Identifier: Apache-2.0 */
/* PurgeOlder discards ready messages by their age, some with each command. Details tells ages. */
#include <errno.h>

#include "tests/unit/queue/rig.h"

static struct rig r;
static uint32_t queue;

static int setup(void **state)
{
	(void)state;
	rig_open_store(&r, 64u << 20, NULL);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	rig_close(&r);
	return 0;
}

static uint64_t ready(void)
{
	return mrf_queue_row_ready(rig_show(&r, MRF_QUEUE_KIND_QUEUE, "work"));
}

/* Executes one command from *cursor on; returns how many messages it discarded. */
static uint64_t purge(uint64_t older_ms, uint32_t *cursor)
{
	r.match.older_ms = older_ms;
	assert_int_equal(rig_command(&r, MRF_QUEUE_VERB_PURGE_OLDER, MRF_QUEUE_KIND_QUEUE, "work",
				 0, 0, *cursor),
		0);
	*cursor = mrf_queue_answer_looked(r.table);
	return r.count;
}

static uint64_t purge_all(uint64_t older_ms)
{
	uint64_t count = 0;
	uint32_t cursor = 0;

	for (unsigned i = 0; i < 1000; i++) {
		count += purge(older_ms, &cursor);
		if (cursor == 0)
			return count;
		rig_run(&r);
	}
	fail_msg("it does not end");
	return 0;
}

static void push(const struct mrf_push_options *options)
{
	rig_push_run(&r, queue, 1, "x", options);
}

static void old_ones_of_each_priority_go(void **state)
{
	(void)state;
	queue = rig_make(&r, "work");
	rig_push(&r, &(struct rig_push){.queue = queue, .client = 1, .text = "in hand"});
	rig_push(&r, &(struct rig_push){.queue = queue, .client = 1, .text = "came back"});
	rig_consume(&r, "work", 2, 2);
	rig_run(&r);
	(void)rig_expect(&r, 2, "in hand");
	rig_command(&r, MRF_QUEUE_VERB_PAUSE, MRF_QUEUE_KIND_QUEUE, "work", 0, 0, 0);
	rig_settle_run(&r, 2, queue, rig_expect(&r, 2, "came back"), MRF_SETTLE_VERB_REQUEUE, 0);
	for (uint8_t level = 1; level <= 10; level++)
		push(&(struct mrf_push_options){.priority = level});
	push(&(struct mrf_push_options){.ttl_ms = 60000});
	push(NULL);
	rig_pass(&r, 100);
	push(NULL);
	push(&(struct mrf_push_options){.ttl_ms = 60000});
	assert_int_equal(purge_all(5000), 0);
	assert_int_equal(purge_all(100), 13);
	assert_int_equal(ready(), 2);
	assert_int_equal(mrf_queue_row_outstanding(rig_show(&r, MRF_QUEUE_KIND_QUEUE, "work")), 1);
}

static void old_ones_of_each_key_go(void **state)
{
	(void)state;
	r.options.policy = MRF_QUEUE_POLICY_KEY_SHARED;
	queue = rig_make(&r, "work");
	for (uint64_t i = 0; i < 3000; i++)
		push(&(struct mrf_push_options){.key = 1 + i % 700});
	rig_pass(&r, 100);
	for (uint64_t i = 0; i < 10; i++)
		push(&(struct mrf_push_options){.key = 1 + i});
	assert_int_equal(purge_all(100), 3000);
	assert_int_equal(ready(), 10);
	assert_int_equal(mrf_queue_row_keys(rig_show(&r, MRF_QUEUE_KIND_QUEUE, "work")), 10);
}

static void many_take_more_than_one_command(void **state)
{
	uint32_t cursor = 0;

	(void)state;
	queue = rig_make(&r, "work");
	rig_push_run(&r, queue, 5000, "x", NULL);
	rig_pass(&r, 10);
	assert_in_range(purge(10, &cursor), 1, 4999);
	assert_int_not_equal(cursor, 0);
	rig_run(&r);
	(void)purge_all(10);
	assert_int_equal(ready(), 0);
}

static void other_queues_are_refused(void **state)
{
	(void)state;
	(void)rig_make_service(&r, "serve");
	assert_int_equal(
		rig_command(&r, MRF_QUEUE_VERB_PURGE_OLDER, MRF_QUEUE_KIND_QUEUE, "none", 0, 0, 0),
		-ENOENT);
	assert_int_equal(rig_command(&r, MRF_QUEUE_VERB_PURGE_OLDER, MRF_QUEUE_KIND_SERVICE,
				 "serve", 0, 0, 0),
		-EINVAL);
}

static void details_tell_ages_if_asked(void **state)
{
	uint64_t tag;

	(void)state;
	queue = rig_make(&r, "work");
	rig_push(&r, &(struct rig_push){.queue = queue, .client = 1, .text = "x"});
	rig_pass(&r, 100);
	rig_consume(&r, "work", 2, 2);
	rig_run(&r);
	tag = rig_expect(&r, 2, "x");
	r.tag = tag;
	assert_int_equal(
		rig_command(&r, MRF_QUEUE_VERB_DETAILS, MRF_QUEUE_KIND_QUEUE, "work", 0, 0, 0), 0);
	assert_int_equal(mrf_queue_answer_messages_count(r.table), 0);
	r.tag = tag;
	r.match.older_ms = 1;
	assert_int_equal(
		rig_command(&r, MRF_QUEUE_VERB_DETAILS, MRF_QUEUE_KIND_QUEUE, "work", 0, 0, 0), 0);
	assert_int_equal(mrf_queue_answer_messages_count(r.table), 1);
	assert_in_range(
		mrf_queue_message_row_age_ms(mrf_queue_answer_messages_at(r.table, 0)), 100, 110);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		RIG_TEST(old_ones_of_each_priority_go),
		RIG_TEST(old_ones_of_each_key_go),
		RIG_TEST(many_take_more_than_one_command),
		RIG_TEST(other_queues_are_refused),
		RIG_TEST(details_tell_ages_if_asked),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
