/* SPDX-License-Identifier: Apache-2.0 */
/* Policies: which consumer gets the next message. */
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

static uint32_t make(enum mrf_queue_policy policy, unsigned consumers, uint32_t prefetch)
{
	uint32_t q;

	r.options.policy = (uint8_t)policy;
	q = rig_make(&r, "work");
	for (unsigned i = 0; i < consumers; i++)
		rig_consume(&r, "work", 2 + i, prefetch);
	return q;
}

static void push(uint32_t queue, unsigned count)
{
	rig_push_run(&r, queue, count, "x", NULL);
}

static unsigned got(unsigned client)
{
	return rig_count(&r, client, MRF_MESSAGE_KIND_DELIVER);
}

static void round_robin_goes_round(void **state)
{
	uint32_t q = make(MRF_QUEUE_POLICY_ROUND_ROBIN, 3, 10);

	(void)state;
	for (unsigned i = 0; i < 9; i++) {
		push(q, 1);
		rig_expect(&r, 2 + i % 3, "x");
	}
}

static void round_robin_skips_consumers_without_credit(void **state)
{
	uint32_t q = make(MRF_QUEUE_POLICY_ROUND_ROBIN, 3, 2);
	uint64_t tag;

	(void)state;
	push(q, 6);
	rig_expect(&r, 2, "x");
	rig_expect(&r, 2, "x");
	tag = rig_expect(&r, 3, "x");
	rig_expect(&r, 3, "x");
	rig_settle(&r, 3, q, tag, MRF_SETTLE_VERB_ACK, 0);
	push(q, 1);
	rig_expect(&r, 3, "x");
}

static void least_recently_used_gets_the_next_message(void **state)
{
	uint32_t q = make(MRF_QUEUE_POLICY_LEAST_RECENTLY_USED, 3, 1);
	uint64_t tags[3];

	(void)state;
	push(q, 3);
	for (unsigned i = 0; i < 3; i++)
		tags[i] = rig_expect(&r, 2 + i, "x");
	rig_settle(&r, 4, q, tags[2], MRF_SETTLE_VERB_ACK, 0);
	rig_settle(&r, 2, q, tags[0], MRF_SETTLE_VERB_ACK, 0);
	push(q, 1);
	assert_int_equal(got(2), 1);
	push(q, 1);
	assert_int_equal(got(4), 1);
}

static void least_outstanding_is_preferred(void **state)
{
	uint32_t q = make(MRF_QUEUE_POLICY_LEAST_OUTSTANDING, 3, 10);

	(void)state;
	push(q, 9);
	for (unsigned i = 0; i < 3; i++)
		assert_int_equal(got(2 + i), 3);
	for (unsigned i = 0; i < 3; i++)
		rig_settle(&r, 3, q, rig_expect(&r, 3, "x"), MRF_SETTLE_VERB_ACK, 0);
	push(q, 3);
	assert_int_equal(got(3), 3);
}

static void weighted_goes_by_weight(void **state)
{
	uint32_t q;

	(void)state;
	r.options.policy = MRF_QUEUE_POLICY_WEIGHTED;
	q = rig_make(&r, "work");
	/* The rig's weight is the prefetch. */
	rig_consume(&r, "work", 2, 1000);
	rig_consume(&r, "work", 3, 3000);
	push(q, 400);
	assert_in_range(got(2), 99, 101);
	assert_in_range(got(3), 299, 301);
}

static void random_reaches_everybody_alike(void **state)
{
	uint32_t q = make(MRF_QUEUE_POLICY_RANDOM, 4, 2000);

	(void)state;
	push(q, 4000);
	for (unsigned i = 0; i < 4; i++)
		assert_in_range(got(2 + i), 850, 1150);
}

/* Consumers come and leave under all policies; each message is delivered as long as there is
 * credit. */
static void policies_keep_their_books_while_consumers_come_and_go(void **state)
{
	uint64_t seed = 3;

	(void)state;
	for (unsigned policy = MRF_QUEUE_POLICY_LEAST_RECENTLY_USED;
		policy <= MRF_QUEUE_POLICY_WEIGHTED; policy++) {
		bool there[40] = {0};
		unsigned count = 0, pushed = 0;
		uint32_t q;

		teardown(NULL);
		setup(NULL);
		q = make((enum mrf_queue_policy)policy, 0, 0);
		for (unsigned step = 0; step < 4000; step++) {
			unsigned client;

			seed = seed * 6364136223846793005u + 1442695040888963407u;
			client = 2 + (unsigned)(seed >> 40) % 40;
			if (there[client - 2]) {
				rig_command(&r, MRF_QUEUE_VERB_CANCEL, MRF_QUEUE_KIND_QUEUE, "work",
					client, 7, 0);
			} else {
				rig_consume(&r, "work", client, 1 + client % 5);
			}
			there[client - 2] = !there[client - 2];
			count += there[client - 2] ? 1u : -1u;
			rig_sent_forget(&r);
			push(q, 1);
			pushed++;
			if (count > 0) {
				struct mrf_table row;

				row = rig_show(&r, MRF_QUEUE_KIND_QUEUE, "work");
				assert_true(mrf_queue_row_ready(row) == 0 ||
					    mrf_queue_row_credit(row) == 0);
			}
		}
	}
}

/* The smallest number of deliveries of a consumer that has credit; UINT32_MAX: none has credit. */
static uint32_t least_out(struct mrf_table row)
{
	uint32_t least = UINT32_MAX;

	for (uint32_t i = 0; i < mrf_queue_row_consumer_rows_count(row); i++) {
		struct mrf_table c = mrf_queue_row_consumer_rows_at(row, i);
		uint32_t out = mrf_queue_consumer_row_outstanding(c);

		if (out < mrf_queue_consumer_row_prefetch(c) && out < least)
			least = out;
	}
	return least;
}

static uint32_t out_of(struct mrf_table row, unsigned client)
{
	for (uint32_t i = 0; i < mrf_queue_row_consumer_rows_count(row); i++) {
		struct mrf_table c = mrf_queue_row_consumer_rows_at(row, i);

		if (mrf_queue_consumer_row_session(c) == rig_session(client))
			return mrf_queue_consumer_row_outstanding(c);
	}
	return UINT32_MAX;
}

static void least_outstanding_is_so_while_all_settle_at_random(void **state)
{
	uint32_t q = make(MRF_QUEUE_POLICY_LEAST_OUTSTANDING, 20, 9);
	uint64_t tags[20][9] = {0};
	uint64_t seed = 11;

	(void)state;
	for (unsigned step = 0; step < 20000; step++) {
		uint32_t least = least_out(rig_show(&r, MRF_QUEUE_KIND_QUEUE, "work"));
		unsigned client, place;

		seed = seed * 6364136223846793005u + 1442695040888963407u;
		client = (unsigned)(seed >> 40) % 20;
		place = (unsigned)(seed >> 50) % 9;
		if (tags[client][place] != 0) {
			rig_settle(&r, 2 + client, q, tags[client][place], MRF_SETTLE_VERB_ACK, 0);
			tags[client][place] = 0;
			continue;
		}
		if (least == UINT32_MAX)
			continue;
		push(q, 1);
		for (client = 0; got(2 + client) == 0; client++)
			assert_true(client < 20);
		assert_int_equal(
			out_of(rig_show(&r, MRF_QUEUE_KIND_QUEUE, "work"), 2 + client), least + 1);
		for (place = 0; tags[client][place] != 0; place++)
			assert_true(place < 9);
		tags[client][place] = rig_expect(&r, 2 + client, "x");
		rig_sent_forget(&r);
	}
	assert_true(r.stats.queue_acked > 1000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		RIG_TEST(round_robin_goes_round),
		RIG_TEST(round_robin_skips_consumers_without_credit),
		RIG_TEST(least_recently_used_gets_the_next_message),
		RIG_TEST(least_outstanding_is_preferred),
		RIG_TEST(weighted_goes_by_weight),
		RIG_TEST(random_reaches_everybody_alike),
		RIG_TEST(least_outstanding_is_so_while_all_settle_at_random),
		RIG_TEST(policies_keep_their_books_while_consumers_come_and_go),
	};

	return cmocka_run_group_tests_name("queue-policy", tests, NULL, NULL);
}
