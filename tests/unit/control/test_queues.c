/* SPDX-License-Identifier: Apache-2.0 */
/* Requests of clients about queues and services, through a real millrace-control. */
#include "tests/unit/control/fake.h"
#include "lib/base/share.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "lib/wire/queue_name.h"

#define WORKERS 2u
#define PLACES  2048u                 /* limit of open commands */
#define RESERVE (PLACES / 16)         /* the part for the bus's own user */
#define SHARE   (PLACES / 4)          /* for one peer */
#define SESSION 0x0000000300000009ull /* worker 0 */

static struct fake fake;

static int set_up(void **state)
{
	(void)state;
	fake_init(&fake);
	fake_control_start(&fake);
	fake_dataplane_open(&fake, WORKERS);
	fake_greet(&fake);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	fake_fini(&fake);
	return 0;
}

static unsigned home(enum mrf_queue_kind kind, const char *name)
{
	return mr_queue_home(kind, name, strlen(name), WORKERS);
}

/* Returns a name whose home worker is this one. */
static const char *name_at(unsigned worker)
{
	static char name[16];

	for (unsigned i = 0;; i++) {
		snprintf(name, sizeof(name), "q%u", i);
		if (home(MRF_QUEUE_KIND_QUEUE, name) == worker)
			return name;
	}
}

static void hand_open(uint64_t session, uint32_t correlation, unsigned kind, const char *name,
	const struct mrf_queue_options *options)
{
	struct mrf_queue_request v = {.kind = (uint8_t)kind, .name = mrf_str(name)};
	struct mrf_builder b;
	uint64_t memory[128];

	mrf_builder_init(&b, memory, sizeof(memory));
	if (options != NULL)
		v.options = mrf_queue_options_write(&b, options);
	fake_hand_client(&fake, mr_session_worker(session), session, correlation, &b,
		MRF_CLIENT_BODY_QUEUE_REQUEST, mrf_queue_request_write(&b, &v));
}

static void hand_consume(uint32_t correlation, struct mrf_consume_request v)
{
	struct mrf_builder b;
	uint64_t memory[128];

	mrf_builder_init(&b, memory, sizeof(memory));
	fake_hand_client(&fake, 0, SESSION, correlation, &b, MRF_CLIENT_BODY_CONSUME_REQUEST,
		mrf_consume_request_write(&b, &v));
}

static void hand_mmi(uint32_t correlation, const char *name, const char *body)
{
	struct mrf_mmi_request v = {.name = mrf_str(name), .body = mrf_str(body)};
	struct mrf_builder b;
	uint64_t memory[128];

	mrf_builder_init(&b, memory, sizeof(memory));
	fake_hand_client(&fake, 0, SESSION, correlation, &b, MRF_CLIENT_BODY_MMI_REQUEST,
		mrf_mmi_request_write(&b, &v));
}

static void answer(unsigned worker, uint32_t id, int code, const char *text, uint32_t queue)
{
	struct mrf_queue_answer v = {.code = code, .text = mrf_str(text), .queue = queue};
	struct mrf_builder b;
	uint64_t memory[128];

	mrf_builder_init(&b, memory, sizeof(memory));
	fake_hand_answer(&fake, worker, id, &b, mrf_queue_answer_write(&b, &v));
}

static struct mrf_table take(uint32_t correlation)
{
	uint64_t session;
	uint32_t target;
	struct mrf_table t = fake_take(&fake, 0, &session, &target);

	assert_int_equal(session, SESSION);
	assert_int_equal(target, correlation);
	return t;
}

static void expect_result(uint32_t correlation, int code, const char *text)
{
	struct mrf_table t = mrf_client_message_body_as_result(take(correlation));

	assert_false(mrf_table_is_empty(t));
	assert_int_equal(mrf_result_code(t), code);
	assert_non_null(strstr(mrf_result_text(t).data, text));
}

static void expect_queue(uint32_t correlation, uint32_t queue)
{
	struct mrf_table t = mrf_client_message_body_as_queue_response(take(correlation));

	assert_false(mrf_table_is_empty(t));
	assert_int_equal(mrf_queue_response_queue(t), queue);
	assert_int_equal(mrf_queue_response_window(t), 1024);
}

static void expect_mmi(uint32_t correlation, uint32_t status, const char *body)
{
	struct mrf_table t = mrf_client_message_body_as_mmi_response(take(correlation));

	assert_false(mrf_table_is_empty(t));
	assert_int_equal(mrf_mmi_response_status(t), status);
	assert_string_equal(mrf_mmi_response_body(t).data, body);
}

static void opening_goes_to_the_home_worker_and_back(void **state)
{
	const struct mrf_queue_options options = {.policy = MRF_QUEUE_POLICY_WEIGHTED,
		.when_full = MRF_QUEUE_FULL_REFUSE,
		.messages_max = 1ull << 40,
		.bytes_max = 2,
		.age_max_ms = 3,
		.ack_timeout_ms = 4,
		.max_deliver = 5,
		.not_idempotent = true,
		.breaker_failures = 6,
		.breaker_reset_ms = 7,
		.breaker_probes = 8};
	struct mrf_table t, o;
	uint32_t id;

	(void)state;
	for (unsigned worker = 0; worker < WORKERS; worker++) {
		const char *name = name_at(worker);

		hand_open(SESSION, 70 + worker, MRF_QUEUE_KIND_QUEUE, name, &options);
		t = fake_take_command(&fake, worker, &id);
		assert_int_equal(mrf_queue_command_verb(t), MRF_QUEUE_VERB_OPEN);
		assert_int_equal(mrf_queue_command_kind(t), MRF_QUEUE_KIND_QUEUE);
		assert_string_equal(mrf_queue_command_name(t).data, name);
		assert_int_equal(mrf_queue_command_session(t), SESSION);
		o = mrf_queue_command_options(t);
		assert_int_equal(mrf_queue_options_policy(o), MRF_QUEUE_POLICY_WEIGHTED);
		assert_int_equal(mrf_queue_options_when_full(o), MRF_QUEUE_FULL_REFUSE);
		assert_int_equal(mrf_queue_options_messages_max(o), 1ull << 40);
		assert_int_equal(mrf_queue_options_bytes_max(o), 2);
		assert_int_equal(mrf_queue_options_age_max_ms(o), 3);
		assert_int_equal(mrf_queue_options_ack_timeout_ms(o), 4);
		assert_int_equal(mrf_queue_options_max_deliver(o), 5);
		assert_true(mrf_queue_options_not_idempotent(o));
		assert_int_equal(mrf_queue_options_breaker_failures(o), 6);
		assert_int_equal(mrf_queue_options_breaker_reset_ms(o), 7);
		assert_int_equal(mrf_queue_options_breaker_probes(o), 8);
		answer(worker, id, 0, "", worker << 27 | 5);
		expect_queue(70 + worker, worker << 27 | 5);
	}
}

static void opening_a_service_tells_its_heartbeats(void **state)
{
	unsigned worker = home(MRF_QUEUE_KIND_SERVICE, "echo");
	struct mrf_table t;
	uint32_t id;

	(void)state;
	hand_open(SESSION, 1, MRF_QUEUE_KIND_SERVICE, "echo", NULL);
	t = fake_take_command(&fake, worker, &id);
	assert_int_equal(mrf_queue_command_kind(t), MRF_QUEUE_KIND_SERVICE);
	answer(worker, id, 0, "", 9);
	t = mrf_client_message_body_as_queue_response(take(1));
	assert_int_equal(mrf_queue_response_heartbeat_ms(t), 2500);
	assert_int_equal(mrf_queue_response_missed_max(t), 3);
}

static void consuming_passes_all_that_was_asked(void **state)
{
	unsigned worker = home(MRF_QUEUE_KIND_QUEUE, "jobs");
	struct mrf_table t;
	uint32_t id;

	(void)state;
	hand_consume(3,
		(struct mrf_consume_request){
			.subscription = 12, .name = mrf_str("jobs"), .prefetch = 64, .weight = 3});
	t = fake_take_command(&fake, worker, &id);
	assert_int_equal(mrf_queue_command_verb(t), MRF_QUEUE_VERB_CONSUME);
	assert_int_equal(mrf_queue_command_session(t), SESSION);
	assert_int_equal(mrf_queue_command_subscription(t), 12);
	assert_int_equal(mrf_queue_command_prefetch(t), 64);
	assert_int_equal(mrf_queue_command_weight(t), 3);
	answer(worker, id, 0, "", 44);
	expect_queue(3, 44);
}

static void dead_letters_are_consumed_where_their_queue_is_and_not_opened(void **state)
{
	uint32_t id;

	(void)state;
	hand_consume(
		3, (struct mrf_consume_request){.subscription = 12, .name = mrf_str("jobs.dead")});
	(void)fake_take_command(&fake, home(MRF_QUEUE_KIND_QUEUE, "jobs"), &id);
	answer(home(MRF_QUEUE_KIND_QUEUE, "jobs"), id, 0, "", 45);
	expect_queue(3, 45);
	hand_open(SESSION, 4, MRF_QUEUE_KIND_QUEUE, "jobs.dead", NULL);
	expect_result(4, -EINVAL, ".dead");
}

static void refusals_of_the_worker_reach_the_client(void **state)
{
	unsigned worker = home(MRF_QUEUE_KIND_QUEUE, "jobs");
	uint32_t id;

	(void)state;
	hand_open(SESSION, 5, MRF_QUEUE_KIND_QUEUE, "jobs", NULL);
	(void)fake_take_command(&fake, worker, &id);
	answer(worker, id, -EEXIST, "jobs: another policy", 0);
	expect_result(5, -EEXIST, "jobs: another policy");
}

static void requests_that_make_no_sense_are_refused_here(void **state)
{
	const struct mrf_queue_options policy = {.policy = 7}, full = {.when_full = 5};
	char name[253];

	(void)state;
	memset(name, 'q', sizeof(name));
	name[sizeof(name) - 1] = '\0';
	hand_open(SESSION, 1, MRF_QUEUE_KIND_QUEUE, "", NULL);
	expect_result(1, -EINVAL, "queue: empty");
	hand_open(SESSION, 2, MRF_QUEUE_KIND_SERVICE, "a.*", NULL);
	expect_result(2, -EINVAL, "service: wildcard");
	hand_open(SESSION, 3, MRF_QUEUE_KIND_QUEUE, name, NULL);
	expect_result(3, -EINVAL, "too long");
	hand_open(SESSION, 4, 2, "a", NULL);
	expect_result(4, -EINVAL, "kind");
	hand_open(SESSION, 5, MRF_QUEUE_KIND_QUEUE, "a", &policy);
	expect_result(5, -EINVAL, "policy");
	hand_open(SESSION, 6, MRF_QUEUE_KIND_QUEUE, "a", &full);
	expect_result(6, -EINVAL, "when full");
	hand_consume(7, (struct mrf_consume_request){.name = mrf_str("a")});
	expect_result(7, -EINVAL, "subscription");
	hand_consume(8, (struct mrf_consume_request){
				.subscription = 1, .name = mrf_str("a"), .prefetch = 65536});
	expect_result(8, -EINVAL, "prefetch");
	hand_consume(9, (struct mrf_consume_request){
				.subscription = 1, .name = mrf_str("a"), .weight = UINT32_MAX});
	expect_result(9, -EINVAL, "weight");
	assert_int_equal(fake_counter(&fake, "control", "handoff_invalid"), 9);
	assert_int_equal(fake_counter(&fake, "control", "queue_commands"), 0);
}

static void services_of_the_bus_itself_cannot_be_served(void **state)
{
	(void)state;
	hand_open(SESSION, 1, MRF_QUEUE_KIND_SERVICE, "mmi.echo", NULL);
	expect_result(1, -EACCES, "mmi.");
	hand_consume(2, (struct mrf_consume_request){.subscription = 1,
				.kind = MRF_QUEUE_KIND_SERVICE,
				.name = mrf_str("mmi.service")});
	expect_result(2, -EACCES, "mmi.");
}

static void hand_cancel(uint32_t correlation, uint32_t subscription, uint32_t queue)
{
	struct mrf_unsubscribe_request v = {.subscription = subscription, .queue = queue};
	struct mrf_builder b;
	uint64_t memory[64];

	mrf_builder_init(&b, memory, sizeof(memory));
	fake_hand_client(&fake, 0, SESSION, correlation, &b, MRF_CLIENT_BODY_UNSUBSCRIBE_REQUEST,
		mrf_unsubscribe_request_write(&b, &v));
}

static void unsubscribing_from_a_queue_goes_to_the_worker_in_its_number(void **state)
{
	struct mrf_table t;
	uint32_t id;

	(void)state;
	hand_cancel(1, 12, 1u << 27 | 6);
	t = fake_take_command(&fake, 1, &id);
	assert_int_equal(mrf_queue_command_verb(t), MRF_QUEUE_VERB_CANCEL);
	assert_int_equal(mrf_queue_command_session(t), SESSION);
	assert_int_equal(mrf_queue_command_subscription(t), 12);
	assert_int_equal(mrf_queue_command_queue(t), 1u << 27 | 6);
	answer(1, id, 0, "", 0);
	expect_result(1, 0, "");
	hand_cancel(2, 12, 31u << 27);
	expect_result(2, -ENOENT, "no such queue");
}

static void answer_workers(unsigned worker, uint32_t id, uint32_t consumers)
{
	const struct mrf_queue_answer v = {.count = consumers};
	struct mrf_builder b;
	uint64_t memory[64];

	mrf_builder_init(&b, memory, sizeof(memory));
	fake_hand_answer(&fake, worker, id, &b, mrf_queue_answer_write(&b, &v));
}

static void mmi_tells_whether_a_service_has_workers_and_how_many(void **state)
{
	unsigned worker = home(MRF_QUEUE_KIND_SERVICE, "echo");
	struct mrf_table t;
	uint32_t id;

	(void)state;
	hand_mmi(1, "mmi.service", "echo");
	t = fake_take_command(&fake, worker, &id);
	assert_int_equal(mrf_queue_command_verb(t), MRF_QUEUE_VERB_OPEN);
	assert_int_equal(mrf_queue_command_kind(t), MRF_QUEUE_KIND_SERVICE);
	assert_int_equal(mrf_queue_command_session(t), 0);
	assert_true(mrf_queue_command_lookup(t));
	answer_workers(worker, id, 2);
	expect_mmi(1, 200, "");
	hand_mmi(2, "mmi.service", "echo");
	(void)fake_take_command(&fake, worker, &id);
	answer_workers(worker, id, 0);
	expect_mmi(2, 404, "");
	hand_mmi(3, "mmi.service", "echo");
	(void)fake_take_command(&fake, worker, &id);
	answer(worker, id, -ENOENT, "no such service", 0);
	expect_mmi(3, 404, "");
	hand_mmi(4, "mmi.workers", "echo");
	(void)fake_take_command(&fake, worker, &id);
	answer_workers(worker, id, 3);
	expect_mmi(4, 200, "3");
	hand_mmi(5, "mmi.workers", "echo");
	(void)fake_take_command(&fake, worker, &id);
	answer(worker, id, -ENOENT, "no such service", 0);
	expect_mmi(5, 200, "0");
}

static void mmi_answers_itself_what_needs_no_worker(void **state)
{
	(void)state;
	hand_mmi(1, "mmi.heartbeat", "");
	expect_mmi(1, 200, "2500");
	hand_mmi(2, "mmi.unheard", "echo");
	expect_mmi(2, 501, "");
	hand_mmi(3, "", "");
	expect_mmi(3, 501, "");
	hand_mmi(4, "mmi.service", "not a name");
	expect_mmi(4, 404, "");
	hand_mmi(5, "mmi.service", "");
	expect_mmi(5, 404, "");
	assert_int_equal(fake_counter(&fake, "control", "queue_commands"), 0);
}

static void a_command_is_repeated_until_it_is_answered(void **state)
{
	unsigned worker = home(MRF_QUEUE_KIND_QUEUE, "jobs");
	uint32_t first, second;
	struct mrf_table t;

	(void)state;
	hand_open(SESSION, 5, MRF_QUEUE_KIND_QUEUE, "jobs", NULL);
	(void)fake_take_command(&fake, worker, &first);
	t = fake_take_command(&fake, worker, &second);
	assert_int_equal(first, second);
	assert_string_equal(mrf_queue_command_name(t).data, "jobs");
	answer(worker, second, 0, "", 5);
	expect_queue(5, 5);
	/* The answer to the other one finds no request. */
	answer(worker, first, 0, "", 5);
	while (fake_counter(&fake, "control", "queue_unmatched") == 0)
		;
	assert_int_equal(fake_counter(&fake, "control", "queue_commands_again"), 1);
	assert_int_equal(fake_counter(&fake, "control", "queue_commands"), 2);
	assert_int_equal(fake_counter(&fake, "control", "queue_answers"), 1);
}

static void a_worker_that_does_not_answer_is_given_up_after_five_seconds(void **state)
{
	unsigned worker = home(MRF_QUEUE_KIND_QUEUE, "jobs");
	uint32_t id;

	(void)state;
	hand_open(SESSION, 5, MRF_QUEUE_KIND_QUEUE, "jobs", NULL);
	for (unsigned i = 0; i < 5; i++)
		(void)fake_take_command(&fake, worker, &id);
	expect_result(5, -ETIMEDOUT, "does not answer");
	assert_int_equal(fake_counter(&fake, "control", "queue_unanswered"), 1);
	answer(worker, id, 0, "", 5);
	while (fake_counter(&fake, "control", "queue_unmatched") == 0)
		;
}

static void a_request_that_is_repeated_is_put_once(void **state)
{
	unsigned worker = home(MRF_QUEUE_KIND_QUEUE, "jobs");
	uint32_t id;

	(void)state;
	for (unsigned i = 0; i < 10; i++)
		hand_open(SESSION, 5, MRF_QUEUE_KIND_QUEUE, "jobs", NULL);
	(void)fake_take_command(&fake, worker, &id);
	while (fake_counter(&fake, "control", "handoff_control") < 10)
		;
	answer(worker, id, 0, "", 5);
	expect_queue(5, 5);
	assert_int_equal(fake_counter(&fake, "control", "queue_commands"), 1);
}

static void answers_of_others_and_garbage_are_not_taken(void **state)
{
	unsigned worker = home(MRF_QUEUE_KIND_QUEUE, "jobs");
	uint32_t id;

	(void)state;
	hand_open(SESSION, 5, MRF_QUEUE_KIND_QUEUE, "jobs", NULL);
	(void)fake_take_command(&fake, worker, &id);
	answer(1 - worker, id, 0, "", 666);
	answer(worker, id + 1, 0, "", 666);
	answer(worker, 0, 0, "", 666);
	assert_true(fake_hand(&fake, worker, MRF_HANDOFF_REASON_QUEUE, 0, MRF_MESSAGE_KIND_CONTROL,
		id, "garbage", 7));
	answer(worker, id, 0, "", 5);
	expect_queue(5, 5);
	while (fake_counter(&fake, "control", "queue_unmatched") < 3)
		;
	assert_int_equal(fake_counter(&fake, "control", "handoff_malformed"), 1);
}

/* Waits until control has seen all that was handed over. */
static void wait_control(uint64_t count)
{
	while (fake_counter(&fake, "control", "handoff_control") < count)
		;
}

static void a_client_that_floods_does_not_keep_others_out(void **state)
{
	unsigned worker = home(MRF_QUEUE_KIND_QUEUE, "jobs");
	uint64_t honest = mr_session_id(0, 77, 1);
	uint32_t id, target;
	uint64_t session;

	(void)state;
	for (uint32_t i = 0; i < 300; i++)
		hand_open(SESSION, 1 + i, MRF_QUEUE_KIND_QUEUE, "jobs", NULL);
	wait_control(300);
	assert_int_equal(fake_counter(&fake, "control", "queue_commands"), 128);
	assert_int_equal(fake_counter(&fake, "control", "queue_refused_busy"), 300 - 128);
	hand_open(honest, 1, MRF_QUEUE_KIND_QUEUE, "jobs", NULL);
	for (uint32_t i = 0; i <= 128; i++)
		(void)fake_take_command(&fake, worker, &id);
	answer(worker, id, 0, "", 8);
	(void)fake_take(&fake, 0, &session, &target);
	assert_int_equal(session, honest);
}

/* Takes commands of worker 1 until that many different ones have arrived; some are repeated. */
static void gather(uint32_t *ids, uint32_t *have, uint32_t wanted)
{
	while (*have < wanted) {
		uint32_t id;

		(void)fake_take_command(&fake, 1, &id);
		*have += ids[id % PLACES] == 0;
		ids[id % PLACES] = id;
	}
}

static void sessions_of_one_peer_leave_room_to_another(void **state)
{
	const char *name = name_at(1);
	uint32_t ids[PLACES] = {0}, have = 0, target;
	uint64_t session;

	(void)state;
	fake.says_peer = true;
	fake.peer = UINT64_C(2) << 32 | 1000;
	for (uint32_t i = 0; i < SHARE + 40; i++) {
		hand_open(mr_session_id(0, i / 100, 1), 1 + i, MRF_QUEUE_KIND_QUEUE, name, NULL);
		if (i % 100 == 99)
			gather(ids, &have, i + 1 < SHARE ? i + 1 : SHARE);
	}
	wait_control(SHARE + 40);
	assert_int_equal(fake_counter(&fake, "control", "queue_refused_share"), 40);
	assert_int_equal(fake_counter(&fake, "control", "queue_refused_busy"), 0);
	fake.peer = UINT64_C(2) << 32 | 1001;
	hand_open(mr_session_id(0, 50, 1), 1, MRF_QUEUE_KIND_QUEUE, name, NULL);
	gather(ids, &have, SHARE + 1);
	/* An answer gives the place back. */
	answer(1, ids[0], 0, "", 8);
	(void)fake_take(&fake, 0, &session, &target);
	fake.peer = UINT64_C(2) << 32 | 1000;
	hand_open(mr_session_id(0, 60, 1), 1, MRF_QUEUE_KIND_QUEUE, name, NULL);
	wait_control(SHARE + 42);
	assert_int_equal(fake_counter(&fake, "control", "queue_refused_share"), 40);
	fake.says_peer = false;
}

/* Takes the places that `count` requests of all peers but the bus's own user may have. The last
 * ones are refused. */
static void fill(uint32_t *ids, uint32_t *have, uint32_t count)
{
	const uint32_t most = PLACES - RESERVE;

	for (uint32_t i = 0; i < count; i++) {
		hand_open(mr_session_id(0, i / 100, 1), 1 + i, MRF_QUEUE_KIND_QUEUE, name_at(1),
			NULL);
		if (i % 100 == 99)
			gather(ids, have, i + 1 < most ? i + 1 : most);
	}
	wait_control(count);
	assert_int_equal(fake_counter(&fake, "control", "queue_refused_busy"), count - most);
}

static void all_places_taken_and_freed_again(void **state)
{
	const char *name = name_at(1);
	uint32_t ids[PLACES] = {0}, have = 0, target;
	struct mrf_table t;
	uint64_t session;

	(void)state;
	fill(ids, &have, PLACES - RESERVE + 52);
	/* The bus's own user has room. */
	fake.says_peer = true;
	fake.peer = MR_PEER_OWN;
	hand_open(mr_session_id(0, 70, 1), 1, MRF_QUEUE_KIND_QUEUE, name, NULL);
	gather(ids, &have, PLACES - RESERVE + 1);
	fake.says_peer = false;
	for (uint32_t i = 0; i < PLACES; i++) {
		if (ids[i] == 0)
			continue;
		answer(1, ids[i], 0, "", 8);
		(void)fake_take(&fake, 0, &session, &target);
	}
	hand_open(SESSION, 1, MRF_QUEUE_KIND_QUEUE, name, NULL);
	do {
		t = fake_take_command(&fake, 1, &target);
	} while (mrf_queue_command_session(t) != SESSION);
}

static void a_control_that_was_killed_is_asked_again(void **state)
{
	unsigned worker = home(MRF_QUEUE_KIND_QUEUE, "jobs");
	uint32_t old, id;

	(void)state;
	hand_open(SESSION, 5, MRF_QUEUE_KIND_QUEUE, "jobs", NULL);
	(void)fake_take_command(&fake, worker, &old);
	assert_int_equal(fake_control_end(&fake, SIGKILL), -SIGKILL);
	/* An answer for the closed session: the next one must not see it. */
	answer(worker, old, 0, "", 5);
	fake_control_start(&fake);
	fake_greet(&fake);
	while (fake_counter(&fake, "control", "queue_unmatched") == 0)
		;
	hand_open(SESSION, 5, MRF_QUEUE_KIND_QUEUE, "jobs", NULL);
	(void)fake_take_command(&fake, worker, &id);
	assert_int_not_equal(id, old);
	answer(worker, id, 0, "", 5);
	expect_queue(5, 5);
}

static void requests_to_a_dead_data_plane_are_forgotten(void **state)
{
	unsigned worker = home(MRF_QUEUE_KIND_QUEUE, "jobs");
	uint32_t id;

	(void)state;
	hand_open(SESSION, 5, MRF_QUEUE_KIND_QUEUE, "jobs", NULL);
	(void)fake_take_command(&fake, worker, &id);
	fake_dataplane_close(&fake);
	fake_dataplane_open(&fake, WORKERS);
	fake_greet(&fake);
	hand_open(SESSION, 6, MRF_QUEUE_KIND_QUEUE, "jobs", NULL);
	(void)fake_take_command(&fake, worker, &id);
	answer(worker, id, 0, "", 7);
	expect_queue(6, 7);
}

/* Answers the open of a queue that is to be bound to two subjects. */
static void answer_with_binds(unsigned worker, uint32_t id, uint32_t queue)
{
	const struct mrf_string binds[] = {mrf_str("a.*"), mrf_str("b.>")};
	struct mrf_queue_answer v = {.queue = queue,
		.name = mrf_str("jobs"),
		.binds = binds,
		.binds_count = MR_ARRAY_COUNT(binds)};
	struct mrf_builder b;
	uint64_t memory[128];

	mrf_builder_init(&b, memory, sizeof(memory));
	fake_hand_answer(&fake, worker, id, &b, mrf_queue_answer_write(&b, &v));
}

/* Opens the queue, and returns the number of the LinkBind that its answer leads to. No client has
 * an answer until then: that of another one, whose queue has no template, comes first. */
static uint64_t open_and_take_bind(void)
{
	unsigned worker = home(MRF_QUEUE_KIND_QUEUE, "jobs");
	uint32_t id, other;
	struct mrf_table t, bind;
	uint64_t number;

	hand_open(SESSION, 5, MRF_QUEUE_KIND_QUEUE, "jobs", NULL);
	(void)fake_take_command(&fake, worker, &id);
	answer_with_binds(worker, id, 9);
	t = fake_next(&fake);
	number = mrf_link_message_id(t);
	bind = mrf_link_message_body_as_link_bind(t);
	assert_false(mrf_table_is_empty(bind));
	assert_int_equal(mrf_link_bind_queue(bind), 9);
	assert_string_equal(mrf_link_bind_name(bind).data, "jobs");
	assert_int_equal(mrf_link_bind_patterns_count(bind), 2);
	assert_string_equal(mrf_link_bind_patterns_at(bind, 0).data, "a.*");
	assert_string_equal(mrf_link_bind_patterns_at(bind, 1).data, "b.>");
	hand_open(SESSION, 6, MRF_QUEUE_KIND_QUEUE, name_at(0), NULL);
	(void)fake_take_command(&fake, 0, &other);
	answer(0, other, 0, "", 11);
	expect_queue(6, 11);
	return number;
}

static void a_queue_is_bound_before_its_open_is_answered(void **state)
{
	uint64_t id = open_and_take_bind();
	struct mrf_link_bound bound = {.bindings = 2, .changed = 2};
	struct mrf_builder b;
	uint64_t memory[64];

	(void)state;
	mrf_builder_init(&b, memory, sizeof(memory));
	fake_answer(
		&fake, id, &b, MRF_LINK_BODY_LINK_BOUND, mrf_link_bound_write(&b, &bound), NULL, 0);
	expect_queue(5, 9);
}

static void an_open_fails_if_its_queue_cannot_be_bound(void **state)
{
	uint64_t id = open_and_take_bind();

	(void)state;
	fake_answer_result(&fake, id, -ENOSPC, "no room for patterns");
	expect_result(5, -ENOSPC, "bind of its template (queues.templates): no room for patterns");
}

static void a_bind_at_a_dead_data_plane_is_forgotten(void **state)
{
	(void)state;
	(void)open_and_take_bind();
	fake_dataplane_close(&fake);
	fake_dataplane_open(&fake, WORKERS);
	fake_greet(&fake);
	/* The client's session is gone with the link. A later one binds anew. */
	fake_answer_result(&fake, open_and_take_bind(), -ENOSPC, "full");
	expect_result(5, -ENOSPC, "full");
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(opening_goes_to_the_home_worker_and_back),
		TEST(opening_a_service_tells_its_heartbeats),
		TEST(consuming_passes_all_that_was_asked),
		TEST(dead_letters_are_consumed_where_their_queue_is_and_not_opened),
		TEST(refusals_of_the_worker_reach_the_client),
		TEST(requests_that_make_no_sense_are_refused_here),
		TEST(services_of_the_bus_itself_cannot_be_served),
		TEST(unsubscribing_from_a_queue_goes_to_the_worker_in_its_number),
		TEST(mmi_tells_whether_a_service_has_workers_and_how_many),
		TEST(mmi_answers_itself_what_needs_no_worker),
		TEST(a_command_is_repeated_until_it_is_answered),
		TEST(a_worker_that_does_not_answer_is_given_up_after_five_seconds),
		TEST(a_request_that_is_repeated_is_put_once),
		TEST(answers_of_others_and_garbage_are_not_taken),
		TEST(a_client_that_floods_does_not_keep_others_out),
		TEST(sessions_of_one_peer_leave_room_to_another),
		TEST(all_places_taken_and_freed_again),
		TEST(a_control_that_was_killed_is_asked_again),
		TEST(requests_to_a_dead_data_plane_are_forgotten),
		TEST(a_queue_is_bound_before_its_open_is_answered),
		TEST(an_open_fails_if_its_queue_cannot_be_bound),
		TEST(a_bind_at_a_dead_data_plane_is_forgotten),
	};

	signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
