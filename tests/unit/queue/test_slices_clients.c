/* SPDX-License-Identifier: Apache-2.0 */
/* One message of a client, or one event of one, makes no round long: what it asks for too much of
 * is done in slices. */
#include <stdio.h>

#include "tests/unit/queue/slices.h"

#define CONSUMERS 2048u
#ifdef SANITIZED
#define BOUND     64u
#define SCHEDULES 500u
#define LARGE     100u
#define CONSUMING 200u
#else
#define BOUND     1000u
#define SCHEDULES 4096u
#define LARGE     2000u
#define CONSUMING CONSUMERS
#endif
#define LARGE_BYTES 60000u
#define SETTLEMENTS (MR_BODY_BYTES_MAX / sizeof(struct mrf_settlement))

static uint64_t tags[PREFETCH];
static uint32_t tags_count;

static bool take_tag(void *arg, uint64_t session, const struct mr_message_plan *plan,
	uint32_t target, bool final)
{
	static uint8_t copy[MR_MESSAGE_BYTES_MAX];
	struct mr_message_view m;

	(void)arg, (void)session;
	mr_message_write(copy, plan, target);
	if (!final && mr_message_parse(copy, mr_message_header_load(copy), &m) &&
		(m.header.flags & MRF_MESSAGE_FLAG_DELIVERY) && tags_count < PREFETCH)
		tags[tags_count++] = m.extra.delivery.tag;
	delivered += !final;
	return true;
}

static bool at_once(void)
{
	return true;
}

static uint64_t outstanding(const char *name)
{
	return mrf_queue_row_outstanding(rig_show(&r, MRF_QUEUE_KIND_QUEUE, name));
}

/* One consumer has as many as it may have, or `most`. */
static void hand_out(uint32_t most)
{
	tags_count = 0;
	slices_ops.send = take_tag;
	rig_consume(&r, "work", 2, PREFETCH);
	run_all();
	slices_ops.send = take;
	assert_int_equal(tags_count, most < PREFETCH ? most : PREFETCH);
	must(MRF_QUEUE_VERB_PAUSE, "work");
}

static void prepare_in_hand(void)
{
	queue = rig_make(&r, "work");
	fill(queue, messages < PREFETCH ? messages : PREFETCH, NULL);
	hand_out(messages);
}

/* Sends one Settle with as many settlements as it may have. */
static void settle_many(enum mrf_settle_verb verb, uint32_t delay_ms)
{
	static struct mrf_settlement all[SETTLEMENTS];
	uint32_t count = tags_count < SETTLEMENTS ? tags_count : SETTLEMENTS;
	struct mr_message_view m = {
		.header = {.kind = MRF_MESSAGE_KIND_SETTLE, .target = queue},
		.payload = (const uint8_t *)all,
		.payload_bytes = count * (uint32_t)sizeof(all[0]),
	};

	for (uint32_t i = 0; i < count; i++)
		all[i] = (struct mrf_settlement){.tag = tags[tags_count - 1 - i],
			.delay_ms = delay_ms,
			.verb = (uint8_t)verb};
	mr_queues_settle(r.queues, rig_session(2), &m, r.now_ms);
	tags_count -= count;
}

static void ack_all(void)
{
	rig_settle(&r, 2, queue, tags[tags_count - 1], MRF_SETTLE_VERB_ACK_UP_TO, 0);
}

static bool all_are_acked(void)
{
	return r.stats.queue_acked == tags_count;
}

static void ack_of_all_in_hand_takes_slices(void **state)
{
	(void)state;
	measure(&(struct operation){"AckUpTo of 65,535", prepare_in_hand, ack_all, all_are_acked});
}

static void reject_many(void)
{
	settle_many(MRF_SETTLE_VERB_REJECT, 0);
}

static bool rest_is_out(void)
{
	return outstanding("work") == tags_count;
}

static void rejects_of_one_message_take_slices(void **state)
{
	(void)state;
	measure(&(struct operation){
		"4,032 rejects in one message", prepare_in_hand, reject_many, rest_is_out});
}

static void prepare_large_in_hand(void)
{
	static char body[LARGE_BYTES];

	queue = rig_make(&r, "work");
	memset(body, 'x', sizeof(body) - 1);
	for (uint32_t i = 0; i < LARGE; i++)
		rig_push(&r, &(struct rig_push){.queue = queue, .client = 1, .text = body});
	hand_out(LARGE);
}

static void rejects_of_large_messages_take_slices(void **state)
{
	(void)state;
	measure(&(struct operation){
		"rejects of 60,000 bytes each", prepare_large_in_hand, reject_many, rest_is_out});
}

static void requeue_many(void)
{
	settle_many(MRF_SETTLE_VERB_REQUEUE, 0);
}

static void requeues_of_one_message_take_slices(void **state)
{
	(void)state;
	measure(&(struct operation){
		"4,032 requeues in one message", prepare_in_hand, requeue_many, rest_is_out});
}

static void delay_many(void)
{
	settle_many(MRF_SETTLE_VERB_REQUEUE, 100000);
}

static void delays_of_one_message_take_slices(void **state)
{
	(void)state;
	measure(&(struct operation){"4,032 requeues with a delay in one message", prepare_in_hand,
		delay_many, rest_is_out});
}

/* One active consumer, and as many others as there may be. */
static void prepare_standby(void)
{
	r.options.single_active = MRF_SINGLE_ACTIVE_YES;
	queue = rig_make(&r, "work");
	for (uint32_t i = 0; i < CONSUMING; i++)
		assert_int_equal(rig_command(&r, MRF_QUEUE_VERB_CONSUME, MRF_QUEUE_KIND_QUEUE,
					 "work", 2, 1 + i, 10),
			0);
	run_all();
}

static void lose_session(void)
{
	r.gone[2] = true;
	r.now_ms += 100;
}

static bool none_consumes(void)
{
	return mrf_queue_row_consumers(rig_show(&r, MRF_QUEUE_KIND_QUEUE, "work")) == 0;
}

static void loss_of_all_that_stand_by_takes_slices(void **state)
{
	(void)state;
	measure(&(struct operation){"loss of 2,048 consumers of a single-active queue",
		prepare_standby, lose_session, none_consumes});
}

static void prepare_keyed_consumers(void)
{
	r.options.policy = MRF_QUEUE_POLICY_KEY_SHARED;
	queue = rig_make(&r, "work");
	for (uint32_t i = 0; i < CONSUMING; i++)
		assert_int_equal(rig_command(&r, MRF_QUEUE_VERB_CONSUME, MRF_QUEUE_KIND_QUEUE,
					 "work", 2, 1 + i, 10),
			0);
	run_all();
}

static void loss_of_all_consumers_by_keys_takes_slices(void **state)
{
	(void)state;
	measure(&(struct operation){"loss of 2,048 consumers by keys", prepare_keyed_consumers,
		lose_session, none_consumes});
}

/* An operator pauses all consumers of a session, in the order in which they came. */
static void pause_session(void)
{
	assert_int_equal(rig_command(&r, MRF_QUEUE_VERB_PAUSE_CONSUMER, MRF_QUEUE_KIND_QUEUE,
				 "work", 2, 0, 0),
		0);
	assert_int_equal(r.count, CONSUMING);
}

static void pause_of_all_that_stand_by_takes_no_long_round(void **state)
{
	(void)state;
	measure(&(struct operation){"pause of 2,048 consumers of a single-active queue",
		prepare_standby, pause_session, at_once});
}

static void pause_of_all_consumers_by_keys_takes_no_long_round(void **state)
{
	(void)state;
	measure(&(struct operation){"pause of 2,048 consumers by keys", prepare_keyed_consumers,
		pause_session, at_once});
}

static void prepare_plain_consumers(void)
{
	queue = rig_make(&r, "work");
	for (uint32_t i = 0; i < CONSUMING; i++)
		assert_int_equal(rig_command(&r, MRF_QUEUE_VERB_CONSUME, MRF_QUEUE_KIND_QUEUE,
					 "work", 2, 1 + i, 10),
			0);
	run_all();
}

static void begin_keys(void)
{
	r.options.policy = MRF_QUEUE_POLICY_KEY_SHARED;
	r.edits = MRF_QUEUE_OPTION_POLICY;
	must(MRF_QUEUE_VERB_EDIT, "work");
}

static void policy_of_a_queue_with_many_consumers_takes_no_long_round(void **state)
{
	(void)state;
	measure(&(struct operation){"policy key-shared for 2,048 consumers",
		prepare_plain_consumers, begin_keys, at_once});
}

static void begin_single(void)
{
	r.options.single_active = MRF_SINGLE_ACTIVE_YES;
	r.edits = MRF_QUEUE_OPTION_SINGLE_ACTIVE;
	must(MRF_QUEUE_VERB_EDIT, "work");
}

static void single_active_of_many_consumers_takes_no_long_round(void **state)
{
	(void)state;
	measure(&(struct operation){"single_active for 2,048 consumers", prepare_plain_consumers,
		begin_single, at_once});
}

/* A publish in fragments is reassembled once for each bound queue. */
static uint32_t bound[BOUND];
static uint32_t fragment_at, fragment_message = 1;

static void prepare_bound(void)
{
	for (uint32_t i = 0; i < BOUND; i++) {
		bound[i] = rig_make(&r, numbered("bound", i));
		mr_queues_bind(r.queues, bound[i], 1);
	}
	fragment_at = 0;
}

static void publish_fragment(void)
{
	static const uint8_t body[512] = {'x'};
	struct mr_message_view m = {
		.header = {.kind = MRF_MESSAGE_KIND_PUSH, .flags = MRF_MESSAGE_FLAG_FRAGMENT},
		.subject = (const uint8_t *)"a",
		.subject_bytes = 1,
		.headers = body,
		.payload = body,
		.payload_bytes = sizeof(body),
		.extra = {.flags = MRF_MESSAGE_FLAG_FRAGMENT,
			.fragment = {.session = rig_session(1),
				.message = fragment_message,
				.total_bytes = 1u << 20,
				.offset = fragment_at}},
	};

	for (uint32_t i = 0; i < BOUND; i++) {
		m.header.target = bound[i];
		mr_queues_publish(r.queues, rig_session(1), &m, r.now_ms);
	}
	fragment_at += (uint32_t)sizeof(body);
}

static void prepare_begun(void)
{
	prepare_bound();
	publish_fragment();
}

static void fragment_for_many_bound_queues_takes_no_long_round(void **state)
{
	(void)state;
	measure(&(struct operation){
		"a fragment for 1,000 bound queues", prepare_begun, publish_fragment, at_once});
}

/* A session ends with 16 messages for each queue that are not complete. */
static void prepare_many_begun(void)
{
	prepare_bound();
	for (fragment_message = 1; fragment_message <= 16; fragment_message++) {
		fragment_at = 0;
		publish_fragment();
	}
	fragment_message = 1;
}

static void lose_publisher(void)
{
	r.gone[1] = true;
	r.now_ms += 100;
}

static void end_of_a_session_with_many_reassemblies_takes_slices(void **state)
{
	(void)state;
	measure(&(struct operation){"end of a session with 16,000 reassemblies", prepare_many_begun,
		lose_publisher, store_is_empty});
}

/* Schedules: what is the same for each, and is no round of its own. */
static void prepare_schedules(void)
{
	queue = rig_make(&r, "work");
	for (uint32_t i = 0; i < SCHEDULES; i++)
		rig_push(&r, &(struct rig_push){.queue = queue,
				     .client = 1,
				     .text = "x",
				     .options = &(struct mrf_push_options){.delay_ms = 3600000,
					     .repeat = MRF_PUSH_REPEAT_EVERY,
					     .ticket_low = 1 + i}});
	must(MRF_QUEUE_VERB_SCHEDULES, "work");
	assert_int_equal(r.count, SCHEDULES);
}

static void purge(void)
{
	must(MRF_QUEUE_VERB_PURGE, "work");
}

static void delete (void)
{
	must(MRF_QUEUE_VERB_DELETE, "work");
}

static void purge_with_schedules_takes_slices(void **state)
{
	(void)state;
	measure(&(struct operation){
		"purge with 4,096 schedules", prepare_schedules, purge, at_once});
}

static void delete_with_schedules_takes_slices(void **state)
{
	(void)state;
	measure(&(struct operation){
		"delete with 4,096 schedules", prepare_schedules, delete, store_is_empty});
}

/* Waiting messages with tickets. */
static void prepare_tickets(void)
{
	queue = rig_make(&r, "work");
	for (uint32_t i = 0; i < messages; i++)
		rig_push(&r, &(struct rig_push){.queue = queue,
				     .client = 1,
				     .text = "x",
				     .options = &(struct mrf_push_options){
					     .delay_ms = 3600000, .ticket_low = 1 + i}});
}

static void purge_with_tickets_takes_slices(void **state)
{
	(void)state;
	measure(&(struct operation){
		"purge of waiting ones with tickets", prepare_tickets, purge, store_is_empty});
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(ack_of_all_in_hand_takes_slices),
		cmocka_unit_test(rejects_of_one_message_take_slices),
		cmocka_unit_test(rejects_of_large_messages_take_slices),
		cmocka_unit_test(requeues_of_one_message_take_slices),
		cmocka_unit_test(delays_of_one_message_take_slices),
		cmocka_unit_test(loss_of_all_that_stand_by_takes_slices),
		cmocka_unit_test(loss_of_all_consumers_by_keys_takes_slices),
		cmocka_unit_test(pause_of_all_that_stand_by_takes_no_long_round),
		cmocka_unit_test(pause_of_all_consumers_by_keys_takes_no_long_round),
		cmocka_unit_test(policy_of_a_queue_with_many_consumers_takes_no_long_round),
		cmocka_unit_test(single_active_of_many_consumers_takes_no_long_round),
		cmocka_unit_test(end_of_a_session_with_many_reassemblies_takes_slices),
		cmocka_unit_test(fragment_for_many_bound_queues_takes_no_long_round),
		cmocka_unit_test(purge_with_schedules_takes_slices),
		cmocka_unit_test(delete_with_schedules_takes_slices),
		cmocka_unit_test(purge_with_tickets_takes_slices),
	};

	slices_begin();
	return cmocka_run_group_tests_name("queue-slices-clients", tests, NULL, NULL);
}
