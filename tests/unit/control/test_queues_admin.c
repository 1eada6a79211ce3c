/* SPDX-License-Identifier: Apache-2.0 */
/* Queues and services in the answers of the admin socket of a real millrace-control. */
#include "tests/unit/control/fake.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/wire/queue_name.h"

#define WORKERS 2u

static struct fake fake;
static int admin = -1;
static void *memory;

static int set_up(void **state)
{
	uint64_t session;
	uint32_t correlation;

	(void)state;
	fake_init(&fake);
	fake_control_start(&fake);
	fake_dataplane_open(&fake, WORKERS);
	fake_greet(&fake);
	fake_hand_ping(&fake, 0, 1, 1);
	(void)fake_take(&fake, 0, &session, &correlation); /* the welcome was seen */
	admin = fake_connect(&fake, "admin.sock", SOCK_STREAM);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	close(admin);
	fake_fini(&fake);
	free(memory);
	memory = NULL;
	return 0;
}

static struct mrf_table receive(void)
{
	free(memory);
	return fake_admin_receive(&fake, admin, &memory);
}

static void expect_result(int code, const char *text)
{
	struct mrf_table t = mrf_admin_response_body_as_admin_result(receive());

	assert_false(mrf_table_is_empty(t));
	assert_int_equal(mrf_admin_result_code(t), code);
	assert_non_null(strstr(mrf_admin_result_text(t).data, text));
}

static void send_list(enum mrf_queue_kind kind)
{
	fake_admin_send_queue(
		admin, MRF_ADMIN_VERB_QUEUES, &(struct mrf_queue_command){.kind = kind});
}

static void send_command(enum mrf_queue_verb verb, const char *name, uint32_t count)
{
	fake_admin_send_queue(admin, MRF_ADMIN_VERB_QUEUE,
		&(struct mrf_queue_command){.verb = verb, .name = mrf_str(name), .count = count});
}

/* Takes the next command of a listing, and answers with `count` rows named PREFIX and a number. */
static void answer_list(
	unsigned worker, uint32_t cursor, const char *prefix, uint32_t count, uint32_t next)
{
	struct mrf_queue_answer v = {.rows_count = count, .count = next};
	static uint64_t space[8000];
	struct mrf_builder b;
	uint32_t rows[64], id;
	struct mrf_table t = fake_take_command(&fake, worker, &id);
	uint8_t kind = mrf_queue_command_kind(t);

	assert_int_equal(mrf_queue_command_verb(t), MRF_QUEUE_VERB_LIST);
	assert_int_equal(mrf_queue_command_cursor(t), cursor);
	mrf_builder_init(&b, space, sizeof(space));
	for (uint32_t i = 0; i < count; i++) {
		char name[32];
		struct mrf_queue_row row = {.kind = kind, .worker = worker, .ready = i};

		snprintf(name, sizeof(name), "%s%u", prefix, i);
		row.name = mrf_str(name);
		rows[i] = mrf_queue_row_write(&b, &row);
	}
	v.rows = rows;
	fake_hand_answer(&fake, worker, id, &b, mrf_queue_answer_write(&b, &v));
}

static void answer(unsigned worker, uint32_t id, int code, const char *text, uint64_t count)
{
	struct mrf_queue_answer v = {.code = code, .text = mrf_str(text), .count = count};
	struct mrf_builder b;
	uint64_t space[128];

	mrf_builder_init(&b, space, sizeof(space));
	fake_hand_answer(&fake, worker, id, &b, mrf_queue_answer_write(&b, &v));
}

static unsigned home(const char *name)
{
	return mr_queue_home(MRF_QUEUE_KIND_QUEUE, name, strlen(name), WORKERS);
}

static void queues_of_all_workers_are_gathered_part_by_part(void **state)
{
	struct mrf_table t;

	(void)state;
	send_list(MRF_QUEUE_KIND_QUEUE);
	answer_list(0, 0, "a", 50, 50);
	answer_list(0, 50, "b", 10, 0);
	answer_list(1, 0, "c", 0, 0);
	t = mrf_admin_response_body_as_admin_queues(receive());
	assert_int_equal(mrf_admin_queues_rows_count(t), 60);
	assert_true(mrf_admin_queues_read_ns(t) > 0);
	assert_string_equal(mrf_queue_row_name(mrf_admin_queues_rows_at(t, 49)).data, "a49");
	t = mrf_admin_queues_rows_at(t, 59);
	assert_string_equal(mrf_queue_row_name(t).data, "b9");
	assert_int_equal(mrf_queue_row_ready(t), 9);
	send_list(MRF_QUEUE_KIND_SERVICE);
	answer_list(0, 0, "", 0, 0);
	answer_list(1, 0, "s", 1, 0);
	t = mrf_admin_response_body_as_admin_queues(receive());
	assert_int_equal(mrf_admin_queues_rows_count(t), 1);
}

static void a_listing_that_would_never_end_is_an_error(void **state)
{
	(void)state;
	send_list(MRF_QUEUE_KIND_QUEUE);
	answer_list(0, 0, "a", 1, 7);
	answer_list(0, 7, "b", 1, 7);
	expect_result(-EBADMSG, "");
}

static void a_listing_of_a_closed_connection_does_not_burden_the_next(void **state)
{
	(void)state;
	send_list(MRF_QUEUE_KIND_QUEUE);
	close(admin);
	answer_list(0, 0, "a", 5, 0);
	admin = fake_connect(&fake, "admin.sock", SOCK_STREAM);
	answer_list(1, 0, "b", 5, 0);
	send_list(MRF_QUEUE_KIND_QUEUE);
	answer_list(0, 0, "c", 1, 0);
	answer_list(1, 0, "d", 1, 0);
	assert_int_equal(
		mrf_admin_queues_rows_count(mrf_admin_response_body_as_admin_queues(receive())), 2);
}

static void a_listing_during_which_the_data_plane_dies_is_an_error(void **state)
{
	uint32_t id;

	(void)state;
	send_list(MRF_QUEUE_KIND_QUEUE);
	(void)fake_take_command(&fake, 0, &id);
	fake_dataplane_close(&fake);
	expect_result(-ENOTCONN, "data plane");
}

/* Every count of a row has its own value, so that none can be mistaken for another. */
static uint32_t write_full_row(struct mrf_builder *b)
{
	const struct mrf_queue_options options = {.messages_max = 21, .max_deliver = 22};
	const struct mrf_queue_consumer_row consumer = {.session = 31,
		.subscription = 32,
		.prefetch = 33,
		.weight = 34,
		.outstanding = 35,
		.delivered = 36,
		.acked = 37,
		.redelivered = 38};
	struct mrf_queue_row row = {.queue = 1,
		.name = mrf_str("jobs"),
		.worker = 1,
		.paused = true,
		.ready = 2,
		.delayed = 3,
		.outstanding = 4,
		.bytes = 5,
		.oldest_ms = 6,
		.consumers = 7,
		.credit = 8,
		.pushed = 9,
		.accepted = 10,
		.refused = 11,
		.duplicates = 12,
		.delivered = 13,
		.acked = 14,
		.redelivered = 15,
		.dead = 16,
		.expired = 17,
		.dead_ready = 18,
		.breaker = MRF_BREAKER_STATE_HALF_OPEN,
		.failures = 19,
		.replies = 20,
		.consumer_rows_count = 1};
	uint32_t consumers[1];

	row.options = mrf_queue_options_write(b, &options);
	consumers[0] = mrf_queue_consumer_row_write(b, &consumer);
	row.consumer_rows = consumers;
	return mrf_queue_row_write(b, &row);
}

static void expect_full_row(struct mrf_table t)
{
	struct mrf_table c = mrf_queue_row_consumer_rows_at(t, 0);

	assert_int_equal(mrf_queue_row_queue(t), 1);
	assert_true(mrf_queue_row_paused(t));
	assert_int_equal(mrf_queue_row_ready(t), 2);
	assert_int_equal(mrf_queue_row_delayed(t), 3);
	assert_int_equal(mrf_queue_row_outstanding(t), 4);
	assert_int_equal(mrf_queue_row_bytes(t), 5);
	assert_int_equal(mrf_queue_row_oldest_ms(t), 6);
	assert_int_equal(mrf_queue_row_consumers(t), 7);
	assert_int_equal(mrf_queue_row_credit(t), 8);
	assert_int_equal(mrf_queue_row_pushed(t), 9);
	assert_int_equal(mrf_queue_row_accepted(t), 10);
	assert_int_equal(mrf_queue_row_refused(t), 11);
	assert_int_equal(mrf_queue_row_duplicates(t), 12);
	assert_int_equal(mrf_queue_row_delivered(t), 13);
	assert_int_equal(mrf_queue_row_acked(t), 14);
	assert_int_equal(mrf_queue_row_redelivered(t), 15);
	assert_int_equal(mrf_queue_row_dead(t), 16);
	assert_int_equal(mrf_queue_row_expired(t), 17);
	assert_int_equal(mrf_queue_row_dead_ready(t), 18);
	assert_int_equal(mrf_queue_row_breaker(t), MRF_BREAKER_STATE_HALF_OPEN);
	assert_int_equal(mrf_queue_row_failures(t), 19);
	assert_int_equal(mrf_queue_row_replies(t), 20);
	assert_int_equal(mrf_queue_options_messages_max(mrf_queue_row_options(t)), 21);
	assert_int_equal(mrf_queue_options_max_deliver(mrf_queue_row_options(t)), 22);
	assert_int_equal(mrf_queue_row_consumer_rows_count(t), 1);
	assert_int_equal(mrf_queue_consumer_row_session(c), 31);
	assert_int_equal(mrf_queue_consumer_row_subscription(c), 32);
	assert_int_equal(mrf_queue_consumer_row_prefetch(c), 33);
	assert_int_equal(mrf_queue_consumer_row_weight(c), 34);
	assert_int_equal(mrf_queue_consumer_row_outstanding(c), 35);
	assert_int_equal(mrf_queue_consumer_row_delivered(c), 36);
	assert_int_equal(mrf_queue_consumer_row_acked(c), 37);
	assert_int_equal(mrf_queue_consumer_row_redelivered(c), 38);
}

static void showing_a_queue_tells_all_of_it(void **state)
{
	struct mrf_queue_answer v = {.rows_count = 1};
	struct mrf_builder b;
	uint64_t space[256];
	uint32_t rows[1], id;
	struct mrf_table t;

	(void)state;
	send_command(MRF_QUEUE_VERB_SHOW, "jobs", 0);
	t = fake_take_command(&fake, home("jobs"), &id);
	assert_int_equal(mrf_queue_command_verb(t), MRF_QUEUE_VERB_SHOW);
	assert_true(mrf_queue_command_lookup(t));
	mrf_builder_init(&b, space, sizeof(space));
	rows[0] = write_full_row(&b);
	v.rows = rows;
	fake_hand_answer(&fake, home("jobs"), id, &b, mrf_queue_answer_write(&b, &v));
	t = mrf_admin_response_body_as_admin_queues(receive());
	assert_int_equal(mrf_admin_queues_rows_count(t), 1);
	expect_full_row(mrf_admin_queues_rows_at(t, 0));
}

static void dead_letters_are_peeked_at(void **state)
{
	const uint8_t payload[] = {0, 1, 0xff};
	const struct mrf_queue_message_row row = {.age_ms = 1,
		.redelivered = 2,
		.priority = 1,
		.bytes = 3000,
		.headers = {(const uint8_t *)"H", 1},
		.payload = {payload, sizeof(payload)}};
	struct mrf_queue_answer v = {.messages_count = 1};
	struct mrf_builder b;
	uint64_t space[256];
	uint32_t messages[1], id;
	struct mrf_table t;

	(void)state;
	send_command(MRF_QUEUE_VERB_PEEK, "jobs.dead", 10);
	t = fake_take_command(&fake, home("jobs"), &id);
	assert_string_equal(mrf_queue_command_name(t).data, "jobs.dead");
	assert_int_equal(mrf_queue_command_count(t), 10);
	mrf_builder_init(&b, space, sizeof(space));
	messages[0] = mrf_queue_message_row_write(&b, &row);
	v.messages = messages;
	fake_hand_answer(&fake, home("jobs"), id, &b, mrf_queue_answer_write(&b, &v));
	t = mrf_admin_response_body_as_admin_messages(receive());
	assert_int_equal(mrf_admin_messages_messages_count(t), 1);
	t = mrf_admin_messages_messages_at(t, 0);
	assert_int_equal(mrf_queue_message_row_age_ms(t), 1);
	assert_int_equal(mrf_queue_message_row_redelivered(t), 2);
	assert_int_equal(mrf_queue_message_row_priority(t), 1);
	assert_int_equal(mrf_queue_message_row_bytes(t), 3000);
	assert_int_equal(mrf_queue_message_row_headers(t).bytes, 1);
	assert_memory_equal(mrf_queue_message_row_payload(t).data, payload, sizeof(payload));
}

static void commands_tell_how_many_or_why_not(void **state)
{
	static const enum mrf_queue_verb verbs[] = {MRF_QUEUE_VERB_PURGE, MRF_QUEUE_VERB_PAUSE,
		MRF_QUEUE_VERB_RESUME, MRF_QUEUE_VERB_REDRIVE, MRF_QUEUE_VERB_DELETE};
	uint32_t id;

	(void)state;
	for (unsigned i = 0; i < MR_ARRAY_COUNT(verbs); i++) {
		char text[16];

		send_command(verbs[i], "jobs", 100 + i);
		assert_int_equal(
			mrf_queue_command_verb(fake_take_command(&fake, home("jobs"), &id)),
			verbs[i]);
		answer(home("jobs"), id, 0, "", 1000 + i);
		snprintf(text, sizeof(text), "%u", 1000 + i);
		expect_result(0, text);
	}
	send_command(MRF_QUEUE_VERB_DELETE, "jobs", 0);
	(void)fake_take_command(&fake, home("jobs"), &id);
	answer(home("jobs"), id, -EBUSY, "it has consumers", 0);
	expect_result(-EBUSY, "it has consumers");
}

static void requests_that_are_not_an_operators_are_refused(void **state)
{
	(void)state;
	send_command(MRF_QUEUE_VERB_OPEN, "jobs", 0);
	expect_result(-ENOSYS, "");
	send_command(MRF_QUEUE_VERB_CONSUME, "jobs", 0);
	expect_result(-ENOSYS, "");
	send_command(MRF_QUEUE_VERB_CANCEL, "jobs", 0);
	expect_result(-ENOSYS, "");
	send_command(MRF_QUEUE_VERB_LIST, "jobs", 0);
	expect_result(-ENOSYS, "");
	send_command(200, "jobs", 0);
	expect_result(-ENOSYS, "");
	send_command(MRF_QUEUE_VERB_PURGE, "jobs.>", 0);
	expect_result(-EINVAL, "wildcard");
	fake_admin_send(admin, MRF_ADMIN_VERB_QUEUE, 0);
	expect_result(-ENOSYS, "");
	assert_int_equal(fake_counter(&fake, "control", "queue_commands"), 0);
}

static void without_a_data_plane_no_session_is_known(void **state)
{
	(void)state;
	fake_dataplane_close(&fake);
	while (fake_counter(&fake, "control", "link_losses") == 0)
		;
	send_list(MRF_QUEUE_KIND_QUEUE);
	expect_result(-ENOTCONN, "data plane");
	send_command(MRF_QUEUE_VERB_SHOW, "jobs", 0);
	expect_result(-ENOTCONN, "data plane");
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(queues_of_all_workers_are_gathered_part_by_part),
		TEST(a_listing_that_would_never_end_is_an_error),
		TEST(a_listing_of_a_closed_connection_does_not_burden_the_next),
		TEST(a_listing_during_which_the_data_plane_dies_is_an_error),
		TEST(showing_a_queue_tells_all_of_it),
		TEST(dead_letters_are_peeked_at),
		TEST(commands_tell_how_many_or_why_not),
		TEST(requests_that_are_not_an_operators_are_refused),
		TEST(without_a_data_plane_no_session_is_known),
	};

	signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
