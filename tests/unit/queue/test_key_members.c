/* SPDX-License-Identifier: Apache-2.0 */
/* The consumers of a queue that goes by keys: which one a key goes to, and when it moves. */
#include <stdio.h>

#include "tests/unit/queue/rig_keys.h"

#define MANY 100000u

static void a_key_keeps_its_consumer(void **state)
{
	unsigned first[8] = {0}, used[8] = {0};
	uint64_t tag;
	char text[16];

	(void)state;
	for (unsigned client = 2; client < 6; client++)
		rig_consume(&r, "keyed", client, 10);
	for (unsigned i = 0; i < 80; i++) {
		unsigned client;

		sprintf(text, "%u", i);
		push(1 + i % 8, text);
		client = taker(4, text, &tag);
		ack(client, tag);
		if (first[i % 8] == 0)
			first[i % 8] = client;
		assert_int_equal(first[i % 8], client);
		used[client]++;
	}
	/* The keys are spread. */
	assert_true((used[2] > 0) + (used[3] > 0) + (used[4] > 0) + (used[5] > 0) >= 2);
	assert_int_equal(mrf_queue_row_keys_moved(row()), 0);
}

static void keys_are_spread_evenly(void **state)
{
	unsigned count[6] = {0};
	char text[16];

	(void)state;
	for (unsigned client = 2; client < 6; client++)
		rig_consume(&r, "keyed", client, 1000);
	for (unsigned i = 0; i < 2000; i++) {
		sprintf(text, "%u", i);
		push(1000 + i, text);
	}
	for (unsigned client = 2; client < 6; client++) {
		count[client] = rig_count(&r, client, MRF_MESSAGE_KIND_DELIVER);
		assert_in_range(count[client], 400, 600);
	}
}

static void a_key_without_credit_goes_elsewhere_in_a_while(void **state)
{
	unsigned client, other;
	uint64_t tag, begin_ms = r.now_ms;

	(void)state;
	rig_consume(&r, "keyed", 2, 1);
	rig_consume(&r, "keyed", 3, 1);
	push(1, "stuck");
	client = taker(2, "stuck", &tag);
	other = client == 2 ? 3 : 2;
	/* Some of these have their home at the consumer that takes nothing more. */
	for (uint64_t key = 2; key < 42; key++)
		push(key, "free");
	for (unsigned done = 0; done < 40;) {
		struct rig_sent *s = rig_take(&r, other, MRF_MESSAGE_KIND_DELIVER);

		if (s != NULL) {
			ack(other, s->view.extra.delivery.tag);
			done++;
			continue;
		}
		assert_true(r.now_ms < begin_ms + 10000);
		rig_pass(&r, 10);
	}
	rig_expect_none(&r, client);
	assert_true(r.now_ms < begin_ms + 4000);
	/* The consumer settles: its keys come back to it. */
	ack(client, tag);
	for (uint64_t key = 2; key < 42; key++)
		push(key, "again");
	rig_expect(&r, client, "again");
}

static void a_lost_consumers_key_moves_with_its_order(void **state)
{
	unsigned client, other;
	uint64_t tag;

	(void)state;
	rig_consume(&r, "keyed", 2, 10);
	rig_consume(&r, "keyed", 3, 10);
	push(1, "a");
	push(1, "b");
	client = taker(2, "a", &tag);
	other = client == 2 ? 3 : 2;
	rig_expect_none(&r, other);
	r.gone[client] = true;
	rig_pass(&r, 100);
	ack(other, rig_expect(&r, other, "a"));
	ack(other, rig_expect(&r, other, "b"));
}

static void a_joining_consumer_gets_no_key_with_unsettled_messages(void **state)
{
	uint64_t tags[64];
	unsigned moved = 0;
	char text[16];

	(void)state;
	rig_consume(&r, "keyed", 2, 1000);
	for (unsigned i = 0; i < 64; i++) {
		sprintf(text, "%u first", i);
		push(1 + i, text);
		tags[i] = rig_expect(&r, 2, text);
		sprintf(text, "%u second", i);
		push(1 + i, text);
	}
	rig_consume(&r, "keyed", 3, 1000);
	rig_pass(&r, 10);
	rig_expect_none(&r, 3);
	for (unsigned i = 0; i < 64; i++)
		ack(2, tags[i]);
	moved = rig_count(&r, 3, MRF_MESSAGE_KIND_DELIVER);
	assert_in_range(moved, 16, 48);
	assert_int_equal(rig_count(&r, 2, MRF_MESSAGE_KIND_DELIVER), 64 - moved);
}

static void waiting_keys_follow_consumers_that_come_and_go(void **state)
{
	unsigned got = 0;

	(void)state;
	for (uint64_t key = 1; key <= 5000; key++)
		push(key, "x");
	assert_int_equal(mrf_queue_row_keys(row()), 5000);
	rig_consume(&r, "keyed", 2, 100);
	rig_consume(&r, "keyed", 3, 100);
	rig_run(&r);
	leave(2);
	leave(3);
	rig_sent_forget(&r);
	rig_consume(&r, "keyed", 4, 6000);
	rig_consume(&r, "keyed", 5, 6000);
	rig_run(&r);
	got = rig_count(&r, 4, MRF_MESSAGE_KIND_DELIVER) +
	      rig_count(&r, 5, MRF_MESSAGE_KIND_DELIVER);
	assert_int_equal(got, 5000);
}

static void several_in_flight_stay_with_one_consumer(void **state)
{
	unsigned client, other;
	uint64_t tag[3];

	(void)state;
	assert_int_equal(
		rig_command(&r, MRF_QUEUE_VERB_DELETE, MRF_QUEUE_KIND_QUEUE, "keyed", 0, 0, 0), 0);
	make(NULL, 3);
	rig_consume(&r, "keyed", 2, 10);
	rig_consume(&r, "keyed", 3, 10);
	for (char c = 'a'; c <= 'e'; c++)
		push(1, (char[]){c, '\0'});
	client = taker(2, "a", &tag[0]);
	other = client == 2 ? 3 : 2;
	tag[1] = rig_expect(&r, client, "b");
	tag[2] = rig_expect(&r, client, "c");
	rig_expect_none(&r, client);
	rig_expect_none(&r, other);
	/* Its home is no longer there, but two are unsettled still. */
	settle(client, tag[1], MRF_SETTLE_VERB_REQUEUE, 0);
	tag[1] = rig_expect(&r, client, "b");
	ack(client, tag[0]);
	rig_expect(&r, client, "d");
	rig_expect_none(&r, other);
}

static void a_message_ends_whose_keys_last_consumer_is_gone(void **state)
{
	(void)state;
	assert_int_equal(
		rig_command(&r, MRF_QUEUE_VERB_DELETE, MRF_QUEUE_KIND_QUEUE, "keyed", 0, 0, 0), 0);
	make(NULL, 3);
	rig_consume(&r, "keyed", 2, 1);
	push(1, "a");
	push_with((struct mrf_push_options){.key = 1, .ttl_ms = 100}, "short", 0);
	push(1, "b");
	rig_expect(&r, 2, "a");
	leave(2);
	rig_pass(&r, 101);
	assert_int_equal(r.stats.drop_expired, 1);
	rig_consume(&r, "keyed", 3, 10);
	rig_run(&r);
	ack(3, rig_expect(&r, 3, "a"));
	ack(3, rig_expect(&r, 3, "b"));
	assert_int_equal(mrf_queue_row_keys(row()), 0);
}

static void many_keys_take_memory_only_while_in_use(void **state)
{
	uint64_t before, full;

	(void)state;
	rig_run(&r);
	before = mr_slab_bytes(r.store);
	for (uint64_t key = 1; key <= MANY; key++)
		push_with((struct mrf_push_options){.key = key * 0x9e3779b97f4a7c15u}, "x", 0);
	assert_int_equal(mrf_queue_row_keys(row()), MANY);
	full = mr_slab_bytes(r.store);
	/* An entry takes 96 bytes; its key 64, and 4 or so in the table. */
	assert_true(full - before < MANY * (96u + 64 + 8 + 16));
	rig_consume(&r, "keyed", 2, 1000);
	for (unsigned done = 0; done < MANY;) {
		struct rig_sent *s;

		rig_run(&r);
		while ((s = rig_take(&r, 2, MRF_MESSAGE_KIND_DELIVER)) != NULL) {
			rig_settle(
				&r, 2, queue, s->view.extra.delivery.tag, MRF_SETTLE_VERB_ACK, 0);
			done++;
		}
		rig_sent_forget(&r);
	}
	assert_int_equal(mrf_queue_row_keys(row()), 0);
	leave(2);
	/* A slab of each size may remain with the queue and its client. */
	assert_true(mr_slab_bytes(r.store) <= before + 4 * (128u << 10));
	/* Purged, in slices. */
	for (uint64_t key = 1; key <= MANY; key++)
		push_with((struct mrf_push_options){.key = key}, "x", 0);
	rig_command(&r, MRF_QUEUE_VERB_PURGE, MRF_QUEUE_KIND_QUEUE, "keyed", 0, 0, 0);
	assert_int_equal(r.count, MANY);
	rig_run(&r);
	assert_true(mr_slab_bytes(r.store) <= before + 4 * (128u << 10));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		RIG_TEST(a_key_keeps_its_consumer),
		RIG_TEST(keys_are_spread_evenly),
		RIG_TEST(a_key_without_credit_goes_elsewhere_in_a_while),
		RIG_TEST(a_lost_consumers_key_moves_with_its_order),
		RIG_TEST(a_joining_consumer_gets_no_key_with_unsettled_messages),
		RIG_TEST(waiting_keys_follow_consumers_that_come_and_go),
		RIG_TEST(several_in_flight_stay_with_one_consumer),
		RIG_TEST(a_message_ends_whose_keys_last_consumer_is_gone),
		RIG_TEST(many_keys_take_memory_only_while_in_use),
	};

	return cmocka_run_group_tests_name("queue-key-members", tests, NULL, NULL);
}
