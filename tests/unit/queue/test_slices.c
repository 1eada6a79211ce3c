/* SPDX-License-Identifier: Apache-2.0 */
/* However much falls due at once, it is handled in slices: the longest round stays below a
 * millisecond.
 *
 *   MILLRACE_SLICES_MESSAGES=10000000 build/tests/unit/queue/test_queue_slices
 */
#include "tests/unit/queue/slices.h"

/* Purge and delete. */

static void prepare_full(void)
{
	queue = rig_make(&r, "work");
	fill(queue, messages, NULL);
}

static void purge(void)
{
	must(MRF_QUEUE_VERB_PURGE, "work");
	assert_int_equal(r.count, messages);
}

static void purge_one(void)
{
	must(MRF_QUEUE_VERB_PURGE, "work");
	assert_int_equal(r.count, 1);
}

static void purge_older(void)
{
	r.match.older_ms = 1;
	assert_int_equal(rig_command(&r, MRF_QUEUE_VERB_PURGE_OLDER, MRF_QUEUE_KIND_QUEUE, "work",
				 0, 0, r.edits),
		0);
	r.edits = mrf_queue_answer_looked(r.table);
}

static void prepare_old(void)
{
	prepare_full();
	r.now_ms += 10;
}

static void prepare_old_keys(void)
{
	r.options.policy = MRF_QUEUE_POLICY_KEY_SHARED;
	queue = rig_make(&r, "work");
	for (uint32_t i = 0; i < messages; i++)
		fill(queue, 1, &(struct mrf_push_options){.key = 1 + i % 10000});
	r.now_ms += 10;
}

static bool nothing_is_older(void)
{
	return r.edits == 0 && ready("work") == 0;
}

static void purge_of_old_messages_takes_slices(void **state)
{
	(void)state;
	measure(&(struct operation){"purge of old ones", prepare_old, purge_older, nothing_is_older,
		.again = purge_older});
	measure(&(struct operation){"purge of old ones of 10,000 keys", prepare_old_keys,
		purge_older, nothing_is_older, .again = purge_older});
}

static void delete (void)
{
	must(MRF_QUEUE_VERB_DELETE, "work");
}

static void purge_takes_slices(void **state)
{
	(void)state;
	measure(&(struct operation){"purge", prepare_full, purge, store_is_empty});
}

static void delete_takes_slices(void **state)
{
	(void)state;
	measure(&(struct operation){"delete", prepare_full, delete, store_is_empty});
}

/* Each message has a key of its own. */
static void prepare_keys(void)
{
	r.options.policy = MRF_QUEUE_POLICY_KEY_SHARED;
	queue = rig_make(&r, "work");
	for (uint64_t key = 1; key <= messages; key++)
		fill(queue, 1, &(struct mrf_push_options){.key = key * 0x9e3779b97f4a7c15u});
	assert_int_equal(mrf_queue_row_keys(rig_show(&r, MRF_QUEUE_KIND_QUEUE, "work")), messages);
}

static void purge_of_many_keys_takes_slices(void **state)
{
	(void)state;
	measure(&(struct operation){
		"purge, a key for each message", prepare_keys, purge, store_is_empty});
}

static void delete_with_many_keys_takes_slices(void **state)
{
	(void)state;
	measure(&(struct operation){
		"delete, a key for each message", prepare_keys, delete, store_is_empty});
}

/* A message of as many fragments as there may be. */
static void prepare_fragments(void)
{
	static char body[257];

	queue = rig_make(&r, "work");
	memset(body, 'x', sizeof(body) - 1);
	for (uint32_t at = 0; at < FRAGMENTED_BYTES; at += sizeof(body) - 1)
		rig_push(&r, &(struct rig_push){.queue = queue,
				     .client = 1,
				     .text = body,
				     .flags = MRF_MESSAGE_FLAG_FRAGMENT,
				     .fragment = {.session = rig_session(1),
					     .message = 1,
					     .total_bytes = FRAGMENTED_BYTES,
					     .offset = at}});
	run_all();
	assert_int_equal(ready("work"), 1);
}

static void purge_of_a_message_of_many_fragments_takes_slices(void **state)
{
	(void)state;
	measure(&(struct operation){
		"purge of 131,072 fragments", prepare_fragments, purge_one, store_is_empty});
}

/* Has messages delivered to consumers of many sessions; returns how many. */
static uint32_t hand_out(uint32_t consumers)
{
	for (uint32_t i = 0; i < consumers; i++)
		rig_consume(&r, "work", 2 + i, PREFETCH);
	run_all();
	return mrf_queue_row_outstanding(rig_show(&r, MRF_QUEUE_KIND_QUEUE, "work"));
}

static uint64_t tags[PREFETCH];
static uint32_t tags_count;

static bool take_tag(void *arg, uint64_t session, const struct mr_message_plan *plan,
	uint32_t target, bool final)
{
	static uint8_t copy[MR_MESSAGE_BYTES_MAX];
	struct mr_message_view m;

	(void)arg, (void)session;
	mr_message_write(copy, plan, target);
	if (!final && mr_message_parse(copy, mr_message_header_load(copy), &m))
		tags[tags_count++] = m.extra.delivery.tag;
	return true;
}

static void settle_all(enum mrf_settle_verb verb, uint32_t delay_ms)
{
	for (uint32_t i = 0; i < tags_count; i++)
		rig_settle(&r, 2, queue, tags[i], verb, delay_ms);
}

/* Delays as many as one consumer may have. */
static void prepare_delayed(void)
{
	queue = rig_make(&r, "work");
	fill(queue, messages < PREFETCH ? messages : PREFETCH, NULL);
	tags_count = 0;
	slices_ops.send = take_tag;
	(void)hand_out(1);
	slices_ops.send = take;
	must(MRF_QUEUE_VERB_PAUSE, "work");
	settle_all(MRF_SETTLE_VERB_RETURNED, 300);
	run_all();
}

static void purge_delayed(void)
{
	must(MRF_QUEUE_VERB_PURGE, "work");
	assert_int_equal(r.count, tags_count);
}

static void purge_of_delayed_messages_takes_slices(void **state)
{
	(void)state;
	measure(&(struct operation){
		"purge of delayed ones", prepare_delayed, purge_delayed, store_is_empty});
}

static void let_delays_end(void)
{
	r.now_ms += 400;
}

static bool all_are_ready(void)
{
	return ready("work") == tags_count;
}

static void delays_that_end_together_take_slices(void **state)
{
	(void)state;
	measure(&(struct operation){
		"delays that end together", prepare_delayed, let_delays_end, all_are_ready});
}

static void prepare_returned(void)
{
	prepare_delayed();
	r.now_ms += 400;
	for (uint32_t i = 0; i < 2000 && !all_are_ready(); i++)
		(void)(r.now_ms++, round_ns(NULL));
	assert_true(all_are_ready());
}

static void purge_of_returned_messages_takes_slices(void **state)
{
	(void)state;
	measure(&(struct operation){
		"purge of returned ones", prepare_returned, purge_delayed, store_is_empty});
}

static void prepare_calls(void)
{
	queue = rig_make_service(&r, "serve");
	for (uint32_t i = 0; i < messages; i++)
		rig_push(&r,
			&(struct rig_push){
				.queue = queue, .client = 1, .text = "x", .correlation = 1 + i});
}

static void delete_service(void)
{
	assert_int_equal(
		rig_command(&r, MRF_QUEUE_VERB_DELETE, MRF_QUEUE_KIND_SERVICE, "serve", 0, 0, 0),
		0);
}

static void delete_of_a_service_with_calls_takes_slices(void **state)
{
	(void)state;
	measure(&(struct operation){
		"delete of a service with calls", prepare_calls, delete_service, store_is_empty});
}

/* Expiry. */

static void prepare_queues_with(const struct mrf_push_options *options)
{
	for (uint32_t i = 0; i < QUEUES; i++) {
		r.options.age_max_ms = options == NULL ? 300 : 0;
		fill(rig_make(&r, numbered("work", i)), messages / QUEUES, options);
	}
}

static void prepare_aged(void)
{
	prepare_queues_with(NULL);
}

static bool all_are_dead(void)
{
	for (uint32_t i = 0; i < QUEUES; i++)
		if (ready(numbered("work", i)) > 0)
			return false;
	assert_int_equal(r.stats.queue_dead, messages / QUEUES * QUEUES);
	return true;
}

static void age_limit_takes_slices(void **state)
{
	(void)state;
	measure(&(struct operation){
		"age limit in 16 queues", prepare_aged, let_delays_end, all_are_dead});
}

static void prepare_mortal(void)
{
	prepare_queues_with(&(struct mrf_push_options){.ttl_ms = 300});
}

static bool all_are_gone(void)
{
	for (uint32_t i = 0; i < QUEUES; i++)
		if (ready(numbered("work", i)) > 0)
			return false;
	assert_int_equal(r.stats.drop_expired, messages / QUEUES * QUEUES);
	return true;
}

static void time_to_live_takes_slices(void **state)
{
	(void)state;
	measure(&(struct operation){
		"time to live in 16 queues", prepare_mortal, let_delays_end, all_are_gone});
}

static void lower_age(void)
{
	r.now_ms += 400;
	r.options.age_max_ms = 100;
	r.edits = MRF_QUEUE_OPTION_AGE_MAX;
	must(MRF_QUEUE_VERB_EDIT, "work");
}

static bool work_is_dead(void)
{
	return r.stats.queue_dead == messages;
}

static void lowered_age_limit_takes_slices(void **state)
{
	(void)state;
	measure(&(struct operation){"lowered age limit", prepare_full, lower_age, work_is_dead});
}

/* Redrive. */

static void prepare_dead(void)
{
	prepare_full();
	lower_age();
	while (r.stats.queue_dead < messages)
		(void)(r.now_ms++, round_ns(NULL));
	r.options.age_max_ms = 0;
	r.edits = MRF_QUEUE_OPTION_AGE_MAX;
	must(MRF_QUEUE_VERB_EDIT, "work");
}

static void redrive(void)
{
	must(MRF_QUEUE_VERB_REDRIVE, "work");
	assert_int_equal(r.count, messages);
}

static bool all_are_back(void)
{
	return ready("work") == messages;
}

static void redrive_takes_slices(void **state)
{
	(void)state;
	measure(&(struct operation){"redrive", prepare_dead, redrive, all_are_back});
}

/* Limits. */

static void lower_limit(void)
{
	r.options.messages_max = 10;
	r.edits = MRF_QUEUE_OPTION_MESSAGES_MAX;
	must(MRF_QUEUE_VERB_EDIT, "work");
}

static bool at_once(void)
{
	return true;
}

static void lowered_limit_takes_no_time(void **state)
{
	(void)state;
	measure(&(struct operation){"lowered limit", prepare_full, lower_limit, at_once});
}

/* Pushes that wait, in ranges that do not join. */
static void prepare_withheld(void)
{
	r.options.messages_max = 2 * PREFETCH;
	queue = rig_make(&r, "work");
	for (uint32_t i = 0; i < 3 * PREFETCH; i++)
		rig_push(&r,
			&(struct rig_push){
				.queue = queue, .client = 1 + i % 8, .text = "x", .id = 1 + i / 8});
	run_all();
	assert_true(r.stats.pushes_waiting > 10000);
}

static void raise_limit(void)
{
	r.options.messages_max = 1u << 30;
	r.edits = MRF_QUEUE_OPTION_MESSAGES_MAX;
	must(MRF_QUEUE_VERB_EDIT, "work");
}

static bool none_waits(void)
{
	return r.stats.pushes_waiting == 0;
}

static void raised_limit_accepts_in_slices(void **state)
{
	(void)state;
	measure(&(struct operation){
		"withheld pushes accepted", prepare_withheld, raise_limit, none_waits});
}

static void delete_with_waiting_pushes_takes_slices(void **state)
{
	(void)state;
	measure(&(struct operation){
		"delete with withheld pushes", prepare_withheld, delete, none_waits});
}

/* Consumers. */

static void prepare_in_hand(void)
{
	queue = rig_make(&r, "work");
	fill(queue, messages < PREFETCH ? messages : PREFETCH, NULL);
	tags_count = hand_out(1);
	assert_true(tags_count > 10000);
	must(MRF_QUEUE_VERB_PAUSE, "work");
}

static void cancel(void)
{
	assert_int_equal(
		rig_command(&r, MRF_QUEUE_VERB_CANCEL, MRF_QUEUE_KIND_QUEUE, "work", 2, 7, 0), 0);
}

static bool all_came_back(void)
{
	return all_are_ready() && mrf_queue_row_consumers(r.row) == 0;
}

static void cancelled_consumer_gives_back_in_slices(void **state)
{
	(void)state;
	measure(&(struct operation){
		"cancel with 65,535 in hand", prepare_in_hand, cancel, all_came_back});
}

static void lose_session(void)
{
	r.gone[2] = true;
	r.now_ms += 100;
}

static void lost_consumer_gives_back_in_slices(void **state)
{
	(void)state;
	measure(&(struct operation){
		"loss with 65,535 in hand", prepare_in_hand, lose_session, all_came_back});
}

static void pass_timeout(void)
{
	r.now_ms += 400;
}

static void prepare_in_hand_of_many(void)
{
	queue = rig_make(&r, "work");
	fill(queue, messages, NULL);
	tags_count = hand_out(40);
	must(MRF_QUEUE_VERB_PAUSE, "work");
}

static bool all_timed_out(void)
{
	return mrf_queue_row_outstanding(rig_show(&r, MRF_QUEUE_KIND_QUEUE, "work")) == 0;
}

static void ack_timeouts_take_slices(void **state)
{
	(void)state;
	measure(&(struct operation){"ack time-outs of 40 consumers", prepare_in_hand_of_many,
		pass_timeout, all_timed_out});
}

static void lose_all_sessions(void)
{
	for (unsigned i = 2; i < 42; i++)
		r.gone[i] = true;
	r.now_ms += 100;
}

static void lost_consumers_give_back_in_slices(void **state)
{
	(void)state;
	measure(&(struct operation){
		"loss of 40 consumers", prepare_in_hand_of_many, lose_all_sessions, all_timed_out});
}

/* A key for each message, and none is settled: all keys that are out move at once, first to other
 * consumers and then to none. */
static void prepare_keys_in_hand(void)
{
	prepare_keys();
	(void)hand_out(40);
	must(MRF_QUEUE_VERB_PAUSE, "work");
}

static void timeouts_of_many_keys_take_slices(void **state)
{
	(void)state;
	measure(&(struct operation){"ack time-outs, a key for each message", prepare_keys_in_hand,
		pass_timeout, all_timed_out});
}

static void loss_of_consumers_of_many_keys_takes_slices(void **state)
{
	(void)state;
	measure(&(struct operation){"loss of 40 consumers, a key for each message",
		prepare_keys_in_hand, lose_all_sessions, all_timed_out});
}

static void join(void)
{
	rig_consume(&r, "work", 50, 1);
}

static uint32_t rounds_left;

static bool rounds_passed(void)
{
	return rounds_left-- == 0;
}

static void prepare_keys_that_wait(void)
{
	prepare_keys();
	for (unsigned i = 0; i < 8; i++)
		rig_consume(&r, "work", 2 + i, 1);
	run_all();
	rounds_left = 250;
}

static void a_consumer_that_joins_many_keys_takes_slices(void **state)
{
	(void)state;
	measure(&(struct operation){"a consumer joins, a key for each message",
		prepare_keys_that_wait, join, rounds_passed});
}

/* Sessions and queues. */

static void prepare_rich_session(void)
{
	for (uint32_t i = 0; i < MANY; i++) {
		const char *name = numbered("of.one", i);

		assert_int_equal(
			rig_command(&r, MRF_QUEUE_VERB_OPEN, MRF_QUEUE_KIND_QUEUE, name, 2, 0, 0),
			0);
		rig_push(&r, &(struct rig_push){.queue = r.queue,
				     .client = 2,
				     .text = "x",
				     .publisher = 1 + i,
				     .id = 1});
		assert_int_equal(rig_command(&r, MRF_QUEUE_VERB_CONSUME, MRF_QUEUE_KIND_QUEUE, name,
					 2, 1 + i, 10),
			0);
	}
	run_all();
}

static bool session_is_over(void)
{
	return r.stats.consumers_gone == MANY && !mr_queues_run(r.queues, r.now_ms);
}

static void end_of_a_session_with_many_queues_takes_slices(void **state)
{
	(void)state;
	measure(&(struct operation){"end of a session with many queues", prepare_rich_session,
		lose_session, session_is_over});
}

static void prepare_idle(void)
{
	for (uint32_t i = 0; i < MANY; i++)
		(void)rig_make(&r, numbered("idle", i));
}

static void pass_idle_time(void)
{
	r.now_ms += 480;
}

static bool none_is_left(void)
{
	return command(MRF_QUEUE_VERB_LIST, "") == 0 && mrf_queue_answer_rows_count(r.table) == 0 &&
	       r.count == 0;
}

static void idle_queues_go_in_slices(void **state)
{
	(void)state;
	measure(&(struct operation){
		"many idle queues", prepare_idle, pass_idle_time, none_is_left});
}

static void prepare_windows(void)
{
	queue = rig_make(&r, "work");
	for (uint32_t i = 0; i < 12000; i++)
		rig_push(&r, &(struct rig_push){.queue = queue,
				     .client = 1,
				     .text = "x",
				     .publisher = 1 + i,
				     .id = 1});
	run_all();
}

static void delete_with_many_publishers_takes_slices(void **state)
{
	(void)state;
	measure(&(struct operation){
		"delete with 12,000 publishers", prepare_windows, delete, store_is_empty});
}

/* Deliveries. */

static void prepare_export(void)
{
	prepare_full();
	for (uint32_t i = 0; i < 40; i++)
		rig_consume(&r, "work", 2 + i, PREFETCH);
}

static bool all_are_delivered(void)
{
	return delivered >= (messages < 40 * PREFETCH ? messages : 40 * PREFETCH / 4);
}

static void deliveries_take_slices(void **state)
{
	(void)state;
	measure(&(struct operation){"delivery", prepare_export, NULL, all_are_delivered});
}

#define LARGE 2000u

static void prepare_large(void)
{
	static char body[60000];
	uint32_t large = rig_make(&r, "work");

	memset(body, 'x', sizeof(body) - 1);
	for (uint32_t i = 0; i < LARGE; i++)
		rig_push(&r, &(struct rig_push){.queue = large, .client = 1, .text = body});
	rig_consume(&r, "work", 2, PREFETCH);
}

static bool large_are_delivered(void)
{
	return delivered >= LARGE;
}

static void large_deliveries_take_slices(void **state)
{
	(void)state;
	measure(&(struct operation){
		"delivery of 60,000 bytes each", prepare_large, NULL, large_are_delivered});
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(purge_takes_slices),
		cmocka_unit_test(purge_of_many_keys_takes_slices),
		cmocka_unit_test(purge_of_old_messages_takes_slices),
		cmocka_unit_test(purge_of_delayed_messages_takes_slices),
		cmocka_unit_test(purge_of_returned_messages_takes_slices),
		cmocka_unit_test(purge_of_a_message_of_many_fragments_takes_slices),
		cmocka_unit_test(delete_takes_slices),
		cmocka_unit_test(delete_with_many_keys_takes_slices),
		cmocka_unit_test(delete_of_a_service_with_calls_takes_slices),
		cmocka_unit_test(delete_with_waiting_pushes_takes_slices),
		cmocka_unit_test(delete_with_many_publishers_takes_slices),
		cmocka_unit_test(age_limit_takes_slices),
		cmocka_unit_test(lowered_age_limit_takes_slices),
		cmocka_unit_test(time_to_live_takes_slices),
		cmocka_unit_test(delays_that_end_together_take_slices),
		cmocka_unit_test(redrive_takes_slices),
		cmocka_unit_test(lowered_limit_takes_no_time),
		cmocka_unit_test(raised_limit_accepts_in_slices),
		cmocka_unit_test(cancelled_consumer_gives_back_in_slices),
		cmocka_unit_test(lost_consumer_gives_back_in_slices),
		cmocka_unit_test(lost_consumers_give_back_in_slices),
		cmocka_unit_test(ack_timeouts_take_slices),
		cmocka_unit_test(timeouts_of_many_keys_take_slices),
		cmocka_unit_test(loss_of_consumers_of_many_keys_takes_slices),
		cmocka_unit_test(a_consumer_that_joins_many_keys_takes_slices),
		cmocka_unit_test(end_of_a_session_with_many_queues_takes_slices),
		cmocka_unit_test(idle_queues_go_in_slices),
		cmocka_unit_test(deliveries_take_slices),
		cmocka_unit_test(large_deliveries_take_slices),
	};

	slices_begin();
	return cmocka_run_group_tests_name("queue-slices", tests, NULL, NULL);
}
