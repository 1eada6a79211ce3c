/* SPDX-License-Identifier: Apache-2.0 */
/* Queues with the policy KeyShared: one order for each key, and what holds a key holds no other.
 * test_key_members.c has the consumers; test_keys_random.c compares both with a model. */
#include <errno.h>

#include "tests/unit/queue/rig_keys.h"

static void messages_of_a_key_come_one_after_the_other(void **state)
{
	uint64_t tag;

	(void)state;
	rig_consume(&r, "keyed", 2, 10);
	push(1, "a");
	push(1, "b");
	push(1, "c");
	tag = rig_expect(&r, 2, "a");
	rig_expect_none(&r, 2);
	assert_int_equal(mrf_queue_row_keys(row()), 1);
	assert_int_equal(mrf_queue_row_keys_held(row()), 1);
	ack(2, tag);
	tag = rig_expect(&r, 2, "b");
	rig_expect_none(&r, 2);
	ack(2, tag);
	ack(2, rig_expect(&r, 2, "c"));
	assert_int_equal(mrf_queue_row_keys(row()), 0);
	assert_int_equal(mrf_queue_row_keys_held(row()), 0);
}

static void an_unsettled_key_stops_only_itself(void **state)
{
	(void)state;
	rig_consume(&r, "keyed", 2, 10);
	push(1, "stuck");
	push(1, "behind");
	rig_expect(&r, 2, "stuck");
	for (unsigned i = 0; i < 20; i++) {
		push(2 + i % 3, "free");
		ack(2, rig_expect(&r, 2, "free"));
	}
	rig_expect_none(&r, 2);
}

static void a_delayed_message_holds_its_key(void **state)
{
	uint64_t tag;

	(void)state;
	rig_consume(&r, "keyed", 2, 10);
	push(1, "a");
	push(1, "b");
	tag = rig_expect(&r, 2, "a");
	settle(2, tag, MRF_SETTLE_VERB_REQUEUE, 500);
	rig_expect_none(&r, 2);
	push(2, "other");
	ack(2, rig_expect(&r, 2, "other"));
	rig_pass(&r, 490);
	rig_expect_none(&r, 2);
	rig_pass(&r, 20);
	ack(2, rig_expect(&r, 2, "a"));
	ack(2, rig_expect(&r, 2, "b"));
	assert_int_equal(mrf_queue_row_keys(row()), 0);
}

static void a_delay_holds_the_key_with_more_in_flight_too(void **state)
{
	uint64_t a, b;

	(void)state;
	r.edits = MRF_QUEUE_OPTION_IN_FLIGHT_PER_KEY;
	r.options.in_flight_per_key = 2;
	assert_int_equal(
		rig_command(&r, MRF_QUEUE_VERB_EDIT, MRF_QUEUE_KIND_QUEUE, "keyed", 0, 0, 0), 0);
	rig_consume(&r, "keyed", 2, 10);
	push(1, "a");
	push(1, "b");
	push(1, "c");
	a = rig_expect(&r, 2, "a");
	b = rig_expect(&r, 2, "b");
	rig_expect_none(&r, 2);
	settle(2, a, MRF_SETTLE_VERB_REQUEUE, 100);
	ack(2, b);
	rig_expect_none(&r, 2);
	rig_pass(&r, 110);
	ack(2, rig_expect(&r, 2, "a"));
	ack(2, rig_expect(&r, 2, "c"));
}

static void a_message_that_is_always_refused_stops_no_other_key(void **state)
{
	unsigned others = 0;

	(void)state;
	r.edits = MRF_QUEUE_OPTION_MAX_DELIVER;
	r.options.max_deliver = UINT16_MAX;
	assert_int_equal(
		rig_command(&r, MRF_QUEUE_VERB_EDIT, MRF_QUEUE_KIND_QUEUE, "keyed", 0, 0, 0), 0);
	rig_consume(&r, "keyed", 2, 1);
	push(1, "bad");
	push(1, "behind");
	for (unsigned i = 0; i < 10; i++)
		push(2 + i, "good");
	for (unsigned i = 0; i < 40; i++) {
		struct rig_sent *s = rig_take(&r, 2, MRF_MESSAGE_KIND_DELIVER);
		bool bad;

		assert_non_null(s);
		bad = memcmp(s->view.payload, "bad", 3) == 0;
		assert_false(memcmp(s->view.payload, "behind", 6) == 0);
		others += !bad;
		settle(2, s->view.extra.delivery.tag,
			bad ? MRF_SETTLE_VERB_REQUEUE : MRF_SETTLE_VERB_ACK, 0);
	}
	assert_int_equal(others, 10);
}

static void a_refused_message_without_a_key_stops_no_key(void **state)
{
	unsigned others = 0;

	(void)state;
	rig_consume(&r, "keyed", 2, 1);
	push(0, "bad");
	for (unsigned i = 0; i < 10; i++)
		push(2 + i, "good");
	for (unsigned i = 0; i < 30 && others < 10; i++) {
		struct rig_sent *s = rig_take(&r, 2, MRF_MESSAGE_KIND_DELIVER);
		bool bad;

		assert_non_null(s);
		bad = memcmp(s->view.payload, "bad", 3) == 0;
		others += !bad;
		settle(2, s->view.extra.delivery.tag,
			bad ? MRF_SETTLE_VERB_RETURNED : MRF_SETTLE_VERB_ACK, 0);
	}
	assert_int_equal(others, 10);
}

static void a_timed_out_message_comes_first(void **state)
{
	(void)state;
	r.recalls = true;
	r.edits = MRF_QUEUE_OPTION_ACK_TIMEOUT;
	r.options.ack_timeout_ms = 200;
	assert_int_equal(
		rig_command(&r, MRF_QUEUE_VERB_EDIT, MRF_QUEUE_KIND_QUEUE, "keyed", 0, 0, 0), 0);
	rig_consume(&r, "keyed", 2, 10);
	push(1, "a");
	push(1, "b");
	rig_expect(&r, 2, "a");
	rig_pass(&r, 210);
	ack(2, rig_expect(&r, 2, "a"));
	ack(2, rig_expect(&r, 2, "b"));
}

static void a_purge_keeps_the_key_of_an_unsettled_message(void **state)
{
	uint64_t tag;

	(void)state;
	rig_consume(&r, "keyed", 2, 10);
	push(1, "a");
	push(1, "gone");
	push(2, "other");
	tag = rig_expect(&r, 2, "a");
	ack(2, rig_expect(&r, 2, "other"));
	assert_int_equal(
		rig_command(&r, MRF_QUEUE_VERB_PURGE, MRF_QUEUE_KIND_QUEUE, "keyed", 0, 0, 0), 0);
	assert_int_equal(r.count, 1);
	push(1, "b");
	rig_expect_none(&r, 2);
	assert_int_equal(mrf_queue_row_keys(row()), 1);
	ack(2, tag);
	ack(2, rig_expect(&r, 2, "b"));
	assert_int_equal(mrf_queue_row_keys(row()), 0);
}

static void a_time_to_live_ends_behind_others_of_its_key(void **state)
{
	uint64_t tag;

	(void)state;
	rig_consume(&r, "keyed", 2, 10);
	push(1, "a");
	push(1, "b");
	push_with((struct mrf_push_options){.key = 1, .ttl_ms = 100}, "short", 0);
	push(1, "c");
	tag = rig_expect(&r, 2, "a");
	rig_pass(&r, 99);
	assert_int_equal(mrf_queue_row_ready(row()), 3);
	rig_pass(&r, 2);
	assert_int_equal(mrf_queue_row_ready(row()), 2);
	assert_int_equal(r.stats.drop_expired, 1);
	ack(2, tag);
	ack(2, rig_expect(&r, 2, "b"));
	ack(2, rig_expect(&r, 2, "c"));
	assert_int_equal(mrf_queue_row_keys(row()), 0);
}

static void the_age_limit_ends_messages_of_held_keys(void **state)
{
	(void)state;
	r.edits = MRF_QUEUE_OPTION_AGE_MAX;
	r.options.age_max_ms = 100;
	assert_int_equal(
		rig_command(&r, MRF_QUEUE_VERB_EDIT, MRF_QUEUE_KIND_QUEUE, "keyed", 0, 0, 0), 0);
	rig_consume(&r, "keyed", 2, 10);
	push(1, "a");
	push(1, "b");
	push(2, "c");
	rig_expect(&r, 2, "a");
	rig_expect(&r, 2, "c");
	rig_pass(&r, 101);
	assert_int_equal(mrf_queue_row_expired(row()), 1);
	assert_int_equal(mrf_queue_row_dead_ready(row()), 1);
	assert_int_equal(mrf_queue_row_ready(row()), 0);
}

static void edit_age(uint32_t age_max_ms)
{
	r.edits = MRF_QUEUE_OPTION_AGE_MAX;
	r.options.age_max_ms = age_max_ms;
	assert_int_equal(
		rig_command(&r, MRF_QUEUE_VERB_EDIT, MRF_QUEUE_KIND_QUEUE, "keyed", 0, 0, 0), 0);
}

/* A waiting message was put where its former limit ends. With a shorter one it stays there, but is
 * never delivered: it ends when its turn comes, or with the former limit. */
static void a_shorter_age_limit_ends_messages_of_keys_at_their_turn(void **state)
{
	uint64_t tag;

	(void)state;
	edit_age(500);
	rig_consume(&r, "keyed", 2, 10);
	push(1, "a");
	push(1, "b");
	tag = rig_expect(&r, 2, "a");
	push(2, "c");
	(void)rig_expect(&r, 2, "c");
	push(2, "d");
	edit_age(50);
	rig_pass(&r, 100);
	assert_int_equal(mrf_queue_row_ready(row()), 2);
	ack(2, tag);
	rig_expect_none(&r, 2);
	assert_int_equal(mrf_queue_row_ready(row()), 1);
	assert_int_equal(mrf_queue_row_dead_ready(row()), 1);
	rig_pass(&r, 401);
	assert_int_equal(mrf_queue_row_ready(row()), 0);
	assert_int_equal(mrf_queue_row_dead_ready(row()), 2);
	/* Later messages end in time. */
	push(2, "e");
	rig_pass(&r, 51);
	assert_int_equal(mrf_queue_row_dead_ready(row()), 3);
}

static void dead_letters_go_back_by_their_keys(void **state)
{
	uint64_t tag;

	(void)state;
	rig_consume(&r, "keyed", 2, 10);
	push(1, "a");
	push(1, "b");
	settle(2, rig_expect(&r, 2, "a"), MRF_SETTLE_VERB_REJECT, 0);
	tag = rig_expect(&r, 2, "b");
	rig_command(&r, MRF_QUEUE_VERB_REDRIVE, MRF_QUEUE_KIND_QUEUE, "keyed", 0, 0, 0);
	rig_run(&r);
	rig_expect_none(&r, 2);
	ack(2, tag);
	ack(2, rig_expect(&r, 2, "a"));
}

static void a_delayed_push_counts_from_when_it_is_due(void **state)
{
	uint64_t tag;

	(void)state;
	rig_consume(&r, "keyed", 2, 10);
	push_with((struct mrf_push_options){.key = 1, .delay_ms = 100}, "late", 0);
	push(1, "a");
	ack(2, rig_expect(&r, 2, "a"));
	rig_pass(&r, 90);
	push(1, "b");
	tag = rig_expect(&r, 2, "b");
	rig_pass(&r, 20);
	rig_expect_none(&r, 2);
	push(1, "c");
	ack(2, tag);
	ack(2, rig_expect(&r, 2, "late"));
	ack(2, rig_expect(&r, 2, "c"));
}

static void a_key_is_as_urgent_as_its_next_message(void **state)
{
	uint64_t tag;

	(void)state;
	push_with((struct mrf_push_options){.key = 1}, "one", 0);
	push_with((struct mrf_push_options){.key = 1}, "one high", MRF_MESSAGE_FLAG_HIGH);
	push_with((struct mrf_push_options){.key = 2}, "two low", MRF_MESSAGE_FLAG_LOW);
	push_with((struct mrf_push_options){.key = 3}, "three high", MRF_MESSAGE_FLAG_HIGH);
	rig_consume(&r, "keyed", 2, 1);
	rig_run(&r);
	ack(2, rig_expect(&r, 2, "three high"));
	tag = rig_expect(&r, 2, "one");
	ack(2, tag);
	ack(2, rig_expect(&r, 2, "one high"));
	ack(2, rig_expect(&r, 2, "two low"));
}

static void a_header_may_be_the_key(void **state)
{
	uint64_t tag;

	(void)state;
	assert_int_equal(
		rig_command(&r, MRF_QUEUE_VERB_DELETE, MRF_QUEUE_KIND_QUEUE, "keyed", 0, 0, 0), 0);
	make("header Customer", 0);
	rig_consume(&r, "keyed", 2, 10);
	for (unsigned i = 0; i < 2; i++)
		rig_push(&r, &(struct rig_push){.queue = queue,
				     .client = 1,
				     .headers = "NATS/1.0\r\nA: b\r\ncustomer:  ann \r\n\r\n",
				     .text = i == 0 ? "1" : "2"});
	rig_push(&r, &(struct rig_push){.queue = queue,
			     .client = 1,
			     .headers = "NATS/1.0\r\nCustomer: bob\r\n\r\n",
			     .text = "3"});
	rig_push(&r, &(struct rig_push){.queue = queue, .client = 1, .text = "4"});
	rig_push(&r, &(struct rig_push){.queue = queue, .client = 1, .text = "5"});
	rig_run(&r);
	assert_int_equal(mrf_queue_row_keys(row()), 2);
	assert_int_equal(rig_count(&r, 2, MRF_MESSAGE_KIND_DELIVER), 4);
	rig_command(&r, MRF_QUEUE_VERB_KEYS, MRF_QUEUE_KIND_QUEUE, "keyed", 0, 0, 0);
	assert_int_equal(r.code, 0);
	assert_int_equal(mrf_queue_answer_keys_count(r.table), 2);
	assert_string_equal(
		mrf_queue_key_row_text(mrf_queue_answer_keys_at(r.table, 0)).data, "ann");
	assert_int_equal(mrf_queue_key_row_ready(mrf_queue_answer_keys_at(r.table, 0)), 1);
	assert_int_equal(
		mrf_queue_key_row_session(mrf_queue_answer_keys_at(r.table, 0)), rig_session(2));
	for (unsigned i = 0; i < 4; i++) {
		tag = rig_take(&r, 2, MRF_MESSAGE_KIND_DELIVER)->view.extra.delivery.tag;
		rig_settle(&r, 2, queue, tag, MRF_SETTLE_VERB_ACK, 0);
	}
	rig_run(&r);
	rig_expect(&r, 2, "2");
}

static void publish(const char *subject, const char *text)
{
	struct mr_message_view m = {
		.header = {.kind = MRF_MESSAGE_KIND_PUSH, .target = queue},
		.subject = (const uint8_t *)subject,
		.subject_bytes = (uint32_t)strlen(subject),
		.headers = (const uint8_t *)text,
		.payload = (const uint8_t *)text,
		.payload_bytes = (uint32_t)strlen(text),
	};

	mr_queues_publish(r.queues, rig_session(1), &m, r.now_ms);
	rig_run(&r);
}

static void a_token_of_the_subject_may_be_the_key(void **state)
{
	uint64_t tag;

	(void)state;
	assert_int_equal(
		rig_command(&r, MRF_QUEUE_VERB_DELETE, MRF_QUEUE_KIND_QUEUE, "keyed", 0, 0, 0), 0);
	make("token 2", 0);
	rig_consume(&r, "keyed", 2, 10);
	publish("orders.7.made", "1");
	publish("orders.7.paid", "2");
	publish("orders.8", "3");
	publish("orders", "4");
	publish("orders", "5");
	tag = rig_expect(&r, 2, "1");
	rig_expect(&r, 2, "3");
	rig_expect(&r, 2, "4");
	rig_expect(&r, 2, "5");
	rig_expect_none(&r, 2);
	ack(2, tag);
	rig_expect(&r, 2, "2");
}

static int edit(uint32_t edits, struct mrf_queue_options values)
{
	r.edits = edits;
	r.options = values;
	return rig_command(&r, MRF_QUEUE_VERB_EDIT, MRF_QUEUE_KIND_QUEUE, "keyed", 0, 0, 0);
}

static void the_policy_changes_only_while_the_queue_is_empty(void **state)
{
	const struct mrf_queue_options plain = {.policy = MRF_QUEUE_POLICY_ROUND_ROBIN};
	const struct mrf_queue_options keyed = {
		.policy = MRF_QUEUE_POLICY_KEY_SHARED, .key_from = mrf_str("header X")};

	(void)state;
	rig_consume(&r, "keyed", 2, 10);
	push(1, "a");
	assert_int_equal(edit(MRF_QUEUE_OPTION_POLICY, plain), -EINVAL);
	ack(2, rig_expect(&r, 2, "a"));
	assert_int_equal(edit(MRF_QUEUE_OPTION_POLICY, plain), 0);
	push(1, "b");
	push(1, "c");
	ack(2, rig_expect(&r, 2, "b"));
	assert_int_equal(edit(MRF_QUEUE_OPTION_POLICY | MRF_QUEUE_OPTION_KEY_FROM, keyed), -EINVAL);
	ack(2, rig_expect(&r, 2, "c"));
	assert_int_equal(edit(MRF_QUEUE_OPTION_KEY_FROM, keyed), -EINVAL);
	assert_int_equal(edit(MRF_QUEUE_OPTION_POLICY | MRF_QUEUE_OPTION_KEY_FROM, keyed), 0);
	assert_string_equal(
		mrf_queue_options_key_from(mrf_queue_row_options(row())).data, "header X");
	push(1, "d");
	push(1, "e");
	rig_expect(&r, 2, "d");
	rig_expect_none(&r, 2);
}

static void programs_may_ask_for_keys_that_an_edit_took_away(void **state)
{
	const struct mrf_queue_options plain = {.policy = MRF_QUEUE_POLICY_ROUND_ROBIN};

	(void)state;
	assert_int_equal(
		rig_command(&r, MRF_QUEUE_VERB_DELETE, MRF_QUEUE_KIND_QUEUE, "keyed", 0, 0, 0), 0);
	make("header X", 0);
	assert_int_equal(edit(MRF_QUEUE_OPTION_POLICY, plain), 0);
	make("header X", 0);
	assert_int_equal(
		mrf_queue_row_edited(row()), MRF_QUEUE_OPTION_POLICY | MRF_QUEUE_OPTION_KEY_FROM);
}

static void bad_options_are_refused(void **state)
{
	const char *bad[] = {"header", "header ", "header a:b", "token", "token 0", "token 65",
		"token 1x", "subject 1"};

	(void)state;
	for (unsigned i = 0; i < MR_ARRAY_COUNT(bad); i++) {
		r.options.policy = MRF_QUEUE_POLICY_KEY_SHARED;
		r.options.key_from = mrf_str(bad[i]);
		assert_int_equal(
			rig_command(&r, MRF_QUEUE_VERB_OPEN, MRF_QUEUE_KIND_QUEUE, "new", 0, 0, 0),
			-EINVAL);
	}
	r.options.key_from = mrf_str("token 1");
	assert_int_equal(rig_command(&r, MRF_QUEUE_VERB_OPEN, MRF_QUEUE_KIND_QUEUE, "new", 0, 0, 0),
		-EINVAL);
	r.options.policy = MRF_QUEUE_POLICY_KEY_SHARED;
	assert_int_equal(
		rig_command(&r, MRF_QUEUE_VERB_OPEN, MRF_QUEUE_KIND_SERVICE, "new", 0, 0, 0),
		-EINVAL);
	r.options.policy = MRF_QUEUE_POLICY_KEY_SHARED;
	r.options.in_flight_per_key = 251;
	assert_int_equal(rig_command(&r, MRF_QUEUE_VERB_OPEN, MRF_QUEUE_KIND_QUEUE, "new", 0, 0, 0),
		-EINVAL);
}

static void peek_shows_messages_of_keys(void **state)
{
	(void)state;
	rig_consume(&r, "keyed", 2, 10);
	push(1, "a");
	push(1, "b");
	push(1, "c");
	settle(2, rig_expect(&r, 2, "a"), MRF_SETTLE_VERB_REQUEUE, 1000);
	rig_pass(&r, 5);
	rig_command(&r, MRF_QUEUE_VERB_PEEK, MRF_QUEUE_KIND_QUEUE, "keyed", 0, 0, 10);
	assert_int_equal(mrf_queue_answer_messages_count(r.table), 2);
	assert_memory_equal(
		mrf_queue_message_row_payload(mrf_queue_answer_messages_at(r.table, 0)).data, "b",
		1);
	assert_int_equal(mrf_queue_row_oldest_ms(row()), 5);
}

#define BLOCK     "NATS/1.0\r\nX: a\r\n\r\n" /* 18 bytes */
#define FIRST     606u
#define MIDDLE    (sizeof(BLOCK) - 1 + FIRST) /* all fragments but the last have this size */
#define REST      100u
#define ALL_BYTES (2 * MIDDLE + REST)

static void push_fragment(uint32_t offset, uint32_t bytes, const char *headers)
{
	char part[MIDDLE + 1];

	memset(part, 'x', bytes);
	part[bytes] = '\0';
	rig_push(&r, &(struct rig_push){.queue = queue,
			     .client = 1,
			     .text = part,
			     .headers = headers,
			     .publisher = 5,
			     .id = 1,
			     .flags = MRF_MESSAGE_FLAG_FRAGMENT,
			     .fragment = {.session = rig_session(1),
				     .message = 1,
				     .total_bytes = (uint32_t)ALL_BYTES,
				     .offset = offset}});
	rig_run(&r);
}

static void a_push_in_fragments_has_the_key_of_its_header(void **state)
{
	(void)state;
	assert_int_equal(
		rig_command(&r, MRF_QUEUE_VERB_DELETE, MRF_QUEUE_KIND_QUEUE, "keyed", 0, 0, 0), 0);
	make("header X", 0);
	push_fragment(0, FIRST, BLOCK);
	assert_int_equal(r.stats.pushed, 0);
	push_fragment(MIDDLE, MIDDLE, NULL);
	push_fragment(2 * MIDDLE, REST, NULL);
	assert_int_equal(r.stats.pushed, 1);
	assert_int_equal(mrf_queue_row_keys(row()), 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		RIG_TEST(a_push_in_fragments_has_the_key_of_its_header),
		RIG_TEST(messages_of_a_key_come_one_after_the_other),
		RIG_TEST(an_unsettled_key_stops_only_itself),
		RIG_TEST(a_delayed_message_holds_its_key),
		RIG_TEST(a_delay_holds_the_key_with_more_in_flight_too),
		RIG_TEST(a_message_that_is_always_refused_stops_no_other_key),
		RIG_TEST(a_refused_message_without_a_key_stops_no_key),
		RIG_TEST(a_timed_out_message_comes_first),
		RIG_TEST(a_purge_keeps_the_key_of_an_unsettled_message),
		RIG_TEST(a_time_to_live_ends_behind_others_of_its_key),
		RIG_TEST(the_age_limit_ends_messages_of_held_keys),
		RIG_TEST(a_shorter_age_limit_ends_messages_of_keys_at_their_turn),
		RIG_TEST(dead_letters_go_back_by_their_keys),
		RIG_TEST(a_delayed_push_counts_from_when_it_is_due),
		RIG_TEST(a_key_is_as_urgent_as_its_next_message),
		RIG_TEST(a_header_may_be_the_key),
		RIG_TEST(a_token_of_the_subject_may_be_the_key),
		RIG_TEST(the_policy_changes_only_while_the_queue_is_empty),
		RIG_TEST(programs_may_ask_for_keys_that_an_edit_took_away),
		RIG_TEST(bad_options_are_refused),
		RIG_TEST(peek_shows_messages_of_keys),
	};

	return cmocka_run_group_tests_name("queue-keys", tests, NULL, NULL);
}
