/* SPDX-License-Identifier: Apache-2.0 */
/* Queues seen by their users through workers: owned by the client's worker and by another. */
#include <stdio.h>

#include "tests/unit/worker/cmocka_all.h"

#include "dataplane/worker/queues.h"
#include "tests/support/net/rig.h"

#define SUBSCRIPTION 9u

static struct mr_rig r;
static struct mr_rig_local producer, consumer, other, near;

static void rounds(unsigned count)
{
	while (count-- > 0)
		for (unsigned i = 0; i < r.workers_count; i++)
			mr_rig_round(&r, i);
}

/* Returns a name whose home is that worker. */
static const char *name_at(enum mrf_queue_kind kind, unsigned home)
{
	static char name[16];

	for (unsigned i = 0;; i++) {
		snprintf(name, sizeof(name), "work.%u", i);
		if (mr_queue_home(kind, name, strlen(name), r.workers_count) == home)
			return name;
	}
}

static struct mrf_table command(struct mrf_queue_command c, unsigned home)
{
	c.name = mrf_str(name_at(c.kind, home));
	return mr_rig_command(&r, home, &c);
}

static uint32_t open_queue(enum mrf_queue_kind kind, unsigned home)
{
	struct mrf_table answer = command((struct mrf_queue_command){.verb = MRF_QUEUE_VERB_OPEN,
						  .kind = (uint8_t)kind,
						  .session = producer.session->id},
		home);

	assert_int_equal(mrf_queue_answer_code(answer), 0);
	assert_int_equal(mr_queue_worker(mrf_queue_answer_queue(answer)), home);
	return mrf_queue_answer_queue(answer);
}

static void consume(
	const struct mr_rig_local *c, enum mrf_queue_kind kind, unsigned home, uint32_t prefetch)
{
	struct mrf_table answer = command((struct mrf_queue_command){.verb = MRF_QUEUE_VERB_CONSUME,
						  .kind = (uint8_t)kind,
						  .session = c->session->id,
						  .subscription = SUBSCRIPTION,
						  .prefetch = prefetch},
		home);

	assert_int_equal(mrf_queue_answer_code(answer), 0);
}

static void push_from(struct mr_rig_local *c, uint32_t queue,
	const struct mrf_message_origin *origin, const char *text)
{
	struct mr_message_extra extra = {.flags = MRF_MESSAGE_FLAG_ORIGIN};
	struct mr_message_plan plan = mr_message_plan(
		MRF_MESSAGE_KIND_PUSH, NULL, NULL, 0, text, 0, (uint32_t)strlen(text));

	if (origin != NULL) {
		extra.origin = *origin;
		mr_message_plan_extra(&plan, &extra);
	}
	mr_rig_push(c, &plan, queue);
}

static void settle(struct mr_rig_local *c, uint32_t queue, uint64_t tag, enum mrf_settle_verb verb)
{
	struct mrf_settlement settlement = {.tag = tag, .verb = (uint8_t)verb};
	struct mr_message_plan plan = mr_message_plan(
		MRF_MESSAGE_KIND_SETTLE, NULL, NULL, 0, &settlement, 0, sizeof(settlement));

	mr_rig_push(c, &plan, queue);
}

static struct mr_message_view expect(
	struct mr_rig_local *c, enum mrf_message_kind kind, uint32_t target)
{
	struct mr_message_view m = {0};

	assert_true(mr_rig_next(c, &m));
	assert_int_equal(m.header.kind, kind);
	assert_int_equal(m.header.target, target);
	return m;
}

static void expect_nothing(struct mr_rig_local *c)
{
	struct mr_message_view m;

	assert_false(mr_rig_next(c, &m));
}

/* Expects a delivery with that text; returns its tag. */
static uint64_t expect_delivery(
	struct mr_rig_local *c, uint32_t queue, const char *text, unsigned redelivered)
{
	struct mr_message_view m = expect(c, MRF_MESSAGE_KIND_DELIVER, SUBSCRIPTION);

	assert_true((m.header.flags & MRF_MESSAGE_FLAG_DELIVERY) != 0);
	assert_int_equal(m.extra.delivery.queue, queue);
	assert_int_equal(m.extra.delivery.redelivered, redelivered);
	assert_int_equal(m.payload_bytes, strlen(text));
	assert_memory_equal(m.payload, text, strlen(text));
	return m.extra.delivery.tag;
}

static void expect_accepted(
	struct mr_rig_local *c, uint32_t queue, uint64_t first, uint32_t count, uint32_t status)
{
	struct mr_message_view m = expect(c, MRF_MESSAGE_KIND_ACCEPTED, queue);
	struct mrf_accepted_range range;

	assert_int_equal(m.payload_bytes, sizeof(range));
	memcpy(&range, m.payload, sizeof(range));
	assert_int_equal(range.first, first);
	assert_int_equal(range.count, count);
	assert_int_equal(range.status, status);
}

/* Opens a producer on the first worker, and two consumers on the last. */
static void open_rig(unsigned workers)
{
	mr_rig_open(&r, workers);
	(void)mr_rig_attach(&r, 0, 0, &producer);
	(void)mr_rig_attach(&r, workers - 1, 1, &consumer);
	(void)mr_rig_attach(&r, workers - 1, 2, &other);
}

static void push_is_accepted_delivered_and_acked(unsigned workers, unsigned home)
{
	struct mrf_message_origin origin = {.publisher = 0, .id = 41};
	const struct mrf_worker_stats *stats = &r.stats[home];
	uint32_t queue;
	uint64_t tag;

	open_rig(workers);
	queue = open_queue(MRF_QUEUE_KIND_QUEUE, home);
	consume(&consumer, MRF_QUEUE_KIND_QUEUE, home, 4);
	push_from(&producer, queue, &origin, "first");
	push_from(&producer, queue, NULL, "second");
	rounds(4);
	expect_accepted(&producer, queue, 41, 1, MRF_STATUS_CODE_OK);
	tag = expect_delivery(&consumer, queue, "first", 0);
	settle(&consumer, queue, tag, MRF_SETTLE_VERB_ACK);
	tag = expect_delivery(&consumer, queue, "second", 0);
	settle(&consumer, queue, tag, MRF_SETTLE_VERB_ACK);
	rounds(4);
	expect_nothing(&producer);
	expect_nothing(&consumer);
	assert_int_equal(stats->pushed, 2);
	assert_int_equal(stats->queue_delivered, 2);
	assert_int_equal(stats->queue_acked, 2);
	assert_int_equal(stats->bad_tags, 0);
	mr_rig_close(&r);
}

static void queue_of_the_only_worker(void **state)
{
	(void)state;
	push_is_accepted_delivered_and_acked(1, 0);
}

static void queue_owned_by_the_producers_worker(void **state)
{
	(void)state;
	push_is_accepted_delivered_and_acked(2, 0);
}

static void queue_owned_by_the_consumers_worker(void **state)
{
	(void)state;
	push_is_accepted_delivered_and_acked(2, 1);
}

static void delivery_of_a_consumer_that_died_goes_to_another(void **state)
{
	(void)state;
	for (unsigned home = 0; home < 2; home++) {
		uint32_t queue;

		open_rig(2);
		queue = open_queue(MRF_QUEUE_KIND_QUEUE, home);
		consume(&consumer, MRF_QUEUE_KIND_QUEUE, home, 4);
		push_from(&producer, queue, NULL, "work");
		rounds(4);
		(void)expect_delivery(&consumer, queue, "work", 0);
		consume(&other, MRF_QUEUE_KIND_QUEUE, home, 4);
		rounds(2);
		expect_nothing(&other);
		mr_rig_detach(&r, &consumer);
		mr_rig_wait_ms(&r, 100);
		rounds(4);
		(void)expect_delivery(&other, queue, "work", 1);
		assert_int_equal(r.stats[home].consumers_gone, 1);
		assert_int_equal(r.stats[home].queue_redelivered, 1);
		mr_rig_close(&r);
	}
}

static void delivery_that_is_not_settled_in_time_is_redelivered(void **state)
{
	uint32_t queue;
	uint64_t first, second;

	(void)state;
	open_rig(2);
	queue = open_queue(MRF_QUEUE_KIND_QUEUE, 0);
	consume(&consumer, MRF_QUEUE_KIND_QUEUE, 0, 4);
	push_from(&producer, queue, NULL, "slow");
	rounds(4);
	first = expect_delivery(&consumer, queue, "slow", 0);
	/* Stepped as a loop would: time in which a worker did not run does not count. */
	for (unsigned ms = 0; ms < MR_RIG_ACK_TIMEOUT_MS - 100; ms += 100) {
		mr_rig_wait_ms(&r, 100);
		rounds(1);
	}
	expect_nothing(&consumer);
	mr_rig_wait_ms(&r, 200);
	rounds(4);
	second = expect_delivery(&consumer, queue, "slow", 1);
	assert_int_not_equal(first, second);
	settle(&consumer, queue, first, MRF_SETTLE_VERB_ACK);
	rounds(2);
	assert_int_equal(r.stats[0].bad_tags, 1);
	assert_int_equal(r.stats[0].queue_acked, 0);
	settle(&consumer, queue, second, MRF_SETTLE_VERB_ACK);
	rounds(2);
	assert_int_equal(r.stats[0].queue_acked, 1);
	mr_rig_close(&r);
}

static void tags_of_others_and_forged_ones_settle_nothing(void **state)
{
	uint32_t queue;
	uint64_t tag;

	(void)state;
	open_rig(2);
	queue = open_queue(MRF_QUEUE_KIND_QUEUE, 0);
	consume(&consumer, MRF_QUEUE_KIND_QUEUE, 0, 4);
	push_from(&producer, queue, NULL, "mine");
	rounds(4);
	tag = expect_delivery(&consumer, queue, "mine", 0);
	settle(&other, queue, tag, MRF_SETTLE_VERB_ACK);    /* another consumer's */
	settle(&producer, queue, tag, MRF_SETTLE_VERB_ACK); /* the producer's own message */
	settle(&consumer, queue, tag ^ 1, MRF_SETTLE_VERB_ACK);
	settle(&consumer, queue, ~tag, MRF_SETTLE_VERB_ACK);
	settle(&consumer, queue ^ 1, tag, MRF_SETTLE_VERB_ACK);
	settle(&consumer, UINT32_MAX, tag, MRF_SETTLE_VERB_ACK); /* no such worker */
	rounds(4);
	assert_int_equal(r.stats[0].queue_acked, 0);
	assert_int_equal(r.stats[0].bad_tags + r.stats[1].bad_tags, 6);
	settle(&consumer, queue, tag, MRF_SETTLE_VERB_ACK);
	settle(&consumer, queue, tag, MRF_SETTLE_VERB_ACK);
	rounds(4);
	assert_int_equal(r.stats[0].queue_acked, 1);
	assert_int_equal(r.stats[0].bad_tags + r.stats[1].bad_tags, 7);
	mr_rig_close(&r);
}

/* The home worker answers, or, if the number names no worker, the client's own. */
static void push_to_what_is_no_queue_is_answered(void **state)
{
	struct mrf_message_origin origin = {.publisher = 0, .id = 5};

	(void)state;
	open_rig(2);
	push_from(&producer, 3, &origin, "x");              /* this worker's */
	push_from(&producer, (1u << 27) + 3, &origin, "x"); /* the other worker's */
	push_from(&producer, UINT32_MAX, &origin, "x");     /* no worker's */
	rounds(4);
	for (unsigned i = 0; i < 3; i++) {
		struct mr_message_view m;
		struct mrf_accepted_range range;

		assert_true(mr_rig_next(&producer, &m));
		assert_int_equal(m.header.kind, MRF_MESSAGE_KIND_ACCEPTED);
		memcpy(&range, m.payload, sizeof(range));
		assert_int_equal(range.first, 5);
		assert_int_equal(range.status, MRF_STATUS_CODE_NOT_FOUND);
	}
	assert_int_equal(r.stats[0].refused_push_unknown + r.stats[1].refused_push_unknown, 3);
	mr_rig_close(&r);
}

static void call(struct mr_rig_local *c, uint32_t service, uint64_t correlation, const char *text)
{
	struct mrf_reply_token token = {.correlation = correlation};
	struct mr_message_plan plan = mr_message_plan(
		MRF_MESSAGE_KIND_PUSH, &token, NULL, 0, text, 0, (uint32_t)strlen(text));

	mr_rig_push(c, &plan, service);
}

static void reply(struct mr_rig_local *c, uint32_t service, const struct mrf_reply_token *token,
	bool more, const char *text)
{
	struct mr_message_extra extra = {.flags = more ? MRF_MESSAGE_FLAG_MORE : 0};
	struct mr_message_plan plan = mr_message_plan(
		MRF_MESSAGE_KIND_REPLY, token, NULL, 0, text, 0, (uint32_t)strlen(text));

	mr_message_plan_extra(&plan, &extra);
	mr_rig_push(c, &plan, service);
}

static void call_is_answered_by_the_worker_that_got_it(void **state)
{
	(void)state;
	for (unsigned home = 0; home < 2; home++) {
		struct mr_message_view m;
		struct mrf_reply_token token;
		uint32_t service;

		open_rig(2);
		service = open_queue(MRF_QUEUE_KIND_SERVICE, home);
		consume(&consumer, MRF_QUEUE_KIND_SERVICE, home, 1);
		call(&producer, service, 1234, "question");
		rounds(4);
		m = expect(&consumer, MRF_MESSAGE_KIND_DELIVER, SUBSCRIPTION);
		assert_memory_equal(m.payload, "question", 8);
		assert_int_equal(m.token.session, m.extra.delivery.tag);
		assert_int_equal(m.token.correlation, 1234);
		token = m.token;
		reply(&other, service, &token, false, "forged");
		reply(&consumer, service, &token, true, "part");
		reply(&consumer, service, &token, false, "end");
		rounds(4);
		m = expect(&producer, MRF_MESSAGE_KIND_REPLY, 0);
		assert_int_equal(m.token.correlation, 1234);
		assert_true((m.header.flags & MRF_MESSAGE_FLAG_MORE) != 0);
		assert_memory_equal(m.payload, "part", 4);
		m = expect(&producer, MRF_MESSAGE_KIND_REPLY, 0);
		assert_int_equal(m.token.correlation, 1234);
		assert_true((m.header.flags & MRF_MESSAGE_FLAG_MORE) == 0);
		assert_memory_equal(m.payload, "end", 3);
		expect_nothing(&producer);
		assert_int_equal(r.stats[home].bad_tags, 1);
		mr_rig_close(&r);
	}
}

/* Returns the next message in the frames that a worker sent; false: none. */
static bool next_in_frames(unsigned worker, struct mr_message_view *m)
{
	static struct mr_rig_frame f;
	uint32_t at = 0;

	while (mr_rig_receive(&r, worker, &f, NULL))
		if (mr_rig_message(&f, &at, m))
			return true;
	return false;
}

static void client_over_udp_pushes_and_consumes(void **state)
{
	(void)state;
	for (unsigned home = 0; home < 2; home++) {
		struct mrf_network_path path = mr_rig_path(true, 4001);
		struct mrf_settlement settlement = {.verb = MRF_SETTLE_VERB_ACK};
		struct mr_rig_local as_consumer;
		struct mr_rig_client client;
		struct mr_message_view m;
		struct mr_rig_frame f;
		uint32_t queue;

		open_rig(2);
		as_consumer.session = mr_rig_remote(&r, 0, 6, &path, MR_RIG_FRAME_BYTES, &client);
		queue = open_queue(MRF_QUEUE_KIND_QUEUE, home);
		consume(&as_consumer, MRF_QUEUE_KIND_QUEUE, home, 4);
		mr_rig_begin(&f, client.session, ++client.sequence);
		mr_rig_add(&f, MRF_MESSAGE_KIND_PUSH, queue, NULL, "job", 3);
		mr_rig_send(&r, 0, &path, &f);
		rounds(4);
		assert_true(next_in_frames(0, &m));
		assert_int_equal(m.header.kind, MRF_MESSAGE_KIND_DELIVER);
		assert_int_equal(m.header.target, SUBSCRIPTION);
		assert_memory_equal(m.payload, "job", 3);
		settlement.tag = m.extra.delivery.tag;
		mr_rig_begin(&f, client.session, ++client.sequence);
		mr_rig_add(
			&f, MRF_MESSAGE_KIND_SETTLE, queue, NULL, &settlement, sizeof(settlement));
		mr_rig_send(&r, 0, &path, &f);
		rounds(4);
		assert_int_equal(r.stats[home].queue_acked, 1);
		assert_false(next_in_frames(0, &m));
		mr_rig_close(&r);
	}
}

static void command_that_makes_no_sense_is_counted(void **state)
{
	static const uint8_t zeros[8192];

	(void)state;
	open_rig(1);
	mr_rig_hand_over(&r, 0, zeros, 16);
	mr_rig_hand_over(&r, 0, zeros, sizeof(zeros));
	rounds(1);
	assert_int_equal(r.stats[0].drop_bad_handoff, 2);
	mr_rig_close(&r);
}

static void heartbeat_is_answered(void **state)
{
	struct mr_message_plan plan =
		mr_message_plan(MRF_MESSAGE_KIND_BEAT, NULL, NULL, 0, NULL, 0, 0);

	(void)state;
	open_rig(1);
	mr_rig_push(&producer, &plan, 0);
	rounds(1);
	(void)expect(&producer, MRF_MESSAGE_KIND_BEAT, 0);
	mr_rig_close(&r);
}

static void kinds_that_only_the_bus_sends_are_refused(void **state)
{
	static const uint8_t kinds[] = {MRF_MESSAGE_KIND_ACCEPTED, MRF_MESSAGE_KIND_ACK};
	struct mrf_accepted_range range = {.first = 1, .count = 1};

	(void)state;
	open_rig(1);
	for (unsigned i = 0; i < MR_ARRAY_COUNT(kinds); i++) {
		struct mr_message_plan plan = mr_message_plan(
			(enum mrf_message_kind)kinds[i], NULL, NULL, 0, &range, 0, sizeof(range));

		mr_rig_push(&producer, &plan, 0);
	}
	rounds(1);
	assert_int_equal(r.stats[0].drop_bad_message, MR_ARRAY_COUNT(kinds));
	assert_int_equal(r.session_stats[0][0].rejected, MR_ARRAY_COUNT(kinds));
	assert_int_equal(r.stats[0].handoff_tx, 0);
	mr_rig_close(&r);
}

static void queue_messages_have_no_subject(void **state)
{
	struct mr_message_plan plan =
		mr_message_plan(MRF_MESSAGE_KIND_PUSH, NULL, "a.b", 3, "x", 0, 1);

	(void)state;
	open_rig(1);
	mr_rig_push(&producer, &plan, open_queue(MRF_QUEUE_KIND_QUEUE, 0));
	rounds(1);
	assert_int_equal(r.stats[0].drop_bad_message, 1);
	assert_int_equal(r.stats[0].pushed, 0);
	mr_rig_close(&r);
}

/* Takes the message whose number is in the payload; it must be the first time. */
static void take_once(bool *came, uint32_t count, const struct mr_message_view *m)
{
	uint32_t number;

	assert_int_equal(m->header.kind, MRF_MESSAGE_KIND_DELIVER);
	memcpy(&number, m->payload, sizeof(number));
	assert_true(number < count);
	assert_false(came[number]);
	came[number] = true;
}

/* More than the mesh and its blocks hold, to a home worker that makes no rounds meanwhile, and back
 * to a worker that makes none: all arrive, once. */
static void nothing_is_lost_while_the_mesh_is_full(void **state)
{
	enum { MESSAGES = 3000, BYTES = 1000 };
	struct mr_message_extra extra = {.flags = MRF_MESSAGE_FLAG_ORIGIN};
	struct mr_message_plan plan;
	static char text[BYTES];
	static bool came[MESSAGES];
	uint32_t queue, pushed = 0, delivered = 0, accepted = 0;

	(void)state;
	open_rig(2);
	queue = open_queue(MRF_QUEUE_KIND_QUEUE, 1);
	(void)mr_rig_attach(&r, 0, 3, &near);
	consume(&near, MRF_QUEUE_KIND_QUEUE, 1, 65535);
	for (unsigned i = 0; i < 100000 && delivered < MESSAGES; i++) {
		struct mr_message_view m;

		for (; pushed < MESSAGES &&
			mr_bytes_backlog(&producer.up) + BYTES + 64 < producer.up.capacity;
			pushed++) {
			memcpy(text, &pushed, sizeof(pushed));
			extra.origin.id = pushed + 1;
			plan = mr_message_plan(
				MRF_MESSAGE_KIND_PUSH, NULL, NULL, 0, text, 0, BYTES);
			mr_message_plan_extra(&plan, &extra);
			mr_rig_push(&producer, &plan, queue);
		}
		/* One for a while, then the other. */
		mr_rig_round(&r, i / 50 % 2);
		mr_rig_wait_ms(&r, 1);
		while (mr_rig_next(&producer, &m)) {
			struct mrf_accepted_range range;

			assert_int_equal(m.header.kind, MRF_MESSAGE_KIND_ACCEPTED);
			for (uint32_t at = 0; at < m.payload_bytes; at += sizeof(range)) {
				memcpy(&range, m.payload + at, sizeof(range));
				assert_int_equal(range.status, MRF_STATUS_CODE_OK);
				accepted += range.count;
			}
		}
		while (mr_rig_next(&near, &m)) {
			take_once(came, MESSAGES, &m);
			delivered++;
		}
		(void)mr_bytes_release(&near.down);
		(void)mr_bytes_release(&producer.down);
	}
	assert_int_equal(delivered, MESSAGES);
	assert_int_equal(accepted, MESSAGES);
	assert_int_equal(r.stats[0].drop_mesh_full + r.stats[1].drop_mesh_full, 0);
	assert_int_equal(r.stats[1].pushed, MESSAGES);
	mr_rig_close(&r);
}

static void push_number(struct mr_rig_local *c, uint32_t queue, uint32_t number)
{
	const struct mr_message_plan plan =
		mr_message_plan(MRF_MESSAGE_KIND_PUSH, NULL, NULL, 0, &number, 0, sizeof(number));

	mr_rig_push(c, &plan, queue);
}

/* One descriptor a round, while the consumer's worker makes none: more than a ring holds. The
 * consumer must not acknowledge deliveries that it did not get together with those that it got. */
static void trickle_to_a_worker_that_stands_still_is_not_lost(void **state)
{
	enum { MESSAGES = 200 };
	static bool came[MESSAGES];
	uint32_t queue, number, count = 0;
	struct mr_message_view m;

	(void)state;
	memset(came, 0, sizeof(came));
	mr_rig_open(&r, 3);
	(void)mr_rig_attach(&r, 2, 0, &producer);
	(void)mr_rig_attach(&r, 1, 1, &consumer);
	queue = open_queue(MRF_QUEUE_KIND_QUEUE, 0);
	consume(&consumer, MRF_QUEUE_KIND_QUEUE, 0, 2 * MESSAGES);
	for (number = 0; number < MESSAGES; number++) {
		push_number(&producer, queue, number);
		mr_rig_round(&r, 2);
		mr_rig_round(&r, 0);
	}
	for (unsigned i = 0; i < 100 && count < MESSAGES; i++) {
		mr_rig_wait_ms(&r, 1);
		rounds(1);
		while (mr_rig_next(&consumer, &m)) {
			take_once(came, MESSAGES, &m);
			assert_int_equal(m.extra.delivery.redelivered, 0);
			count++;
		}
		settle(&consumer, queue, m.extra.delivery.tag, MRF_SETTLE_VERB_ACK_UP_TO);
	}
	assert_int_equal(count, MESSAGES);
	rounds(2);
	assert_int_equal(r.stats[0].queue_acked, MESSAGES);
	assert_int_equal(r.stats[0].drop_mesh_full + r.stats[2].drop_mesh_full, 0);
	mr_rig_close(&r);
}

/* The other way: the answers of a home worker to a worker that stands still. */
static void acceptances_for_a_worker_that_stands_still_are_not_lost(void **state)
{
	enum { MESSAGES = 200 };
	struct mr_message_extra extra = {.flags = MRF_MESSAGE_FLAG_ORIGIN};
	uint32_t queue, accepted = 0;
	struct mr_message_view m;

	(void)state;
	mr_rig_open(&r, 3);
	(void)mr_rig_attach(&r, 2, 0, &producer);
	queue = open_queue(MRF_QUEUE_KIND_QUEUE, 0);
	/* Pushed as if by the producer's worker, which handles none of the answers. */
	for (uint32_t i = 0; i < MESSAGES; i++) {
		struct mr_message_plan plan =
			mr_message_plan(MRF_MESSAGE_KIND_PUSH, NULL, NULL, 0, &i, 0, sizeof(i));
		struct mrf_message_header h;
		struct mr_message_view view;
		alignas(8) uint8_t at[64];

		extra.origin.id = i + 1;
		mr_message_plan_extra(&plan, &extra);
		mr_message_write(at, &plan, queue);
		h = mr_message_header_load(at);
		assert_true(mr_message_parse(at, h, &view));
		mr_worker_queues_take(r.workers[0], producer.session->id, &view);
		mr_rig_round(&r, 0);
	}
	for (unsigned i = 0; i < 100 && accepted < MESSAGES; i++) {
		rounds(1);
		while (mr_rig_next(&producer, &m))
			for (uint32_t at = 0; at < m.payload_bytes;
				at += sizeof(struct mrf_accepted_range)) {
				struct mrf_accepted_range range;

				memcpy(&range, m.payload + at, sizeof(range));
				accepted += range.count;
			}
		(void)mr_bytes_release(&producer.down);
	}
	assert_int_equal(accepted, MESSAGES);
	assert_int_equal(r.stats[0].drop_mesh_full, 0);
	mr_rig_close(&r);
}

/* Far more than its ring and its queued bytes, and it takes all of them at once. */
static void deliveries_beyond_a_slow_consumers_room_stay_in_the_queue(void **state)
{
	enum { MESSAGES = 2500, BYTES = 1000 };
	static char text[BYTES];
	static bool came[MESSAGES];
	uint32_t queue, number, count = 0;

	(void)state;
	memset(came, 0, sizeof(came));
	open_rig(2);
	queue = open_queue(MRF_QUEUE_KIND_QUEUE, 0);
	consume(&consumer, MRF_QUEUE_KIND_QUEUE, 0, 65535);
	for (number = 0; number < MESSAGES; number++) {
		struct mr_message_plan plan =
			mr_message_plan(MRF_MESSAGE_KIND_PUSH, NULL, NULL, 0, text, 0, BYTES);

		memcpy(text, &number, sizeof(number));
		mr_rig_push(&producer, &plan, queue);
		if (number % 32 == 31)
			rounds(1);
	}
	for (unsigned i = 0; i < 200; i++) {
		mr_rig_wait_ms(&r, 1);
		rounds(1);
	}
	assert_true(
		r.stats[0].queue_delivered < 2 * MESSAGES); /* not back and forth all the time */
	for (unsigned i = 0; i < 20000 && count < MESSAGES; i++) {
		struct mr_message_view m;

		mr_rig_wait_ms(&r, 1);
		rounds(1);
		while (mr_rig_next(&consumer, &m)) {
			take_once(came, MESSAGES, &m);
			count++;
		}
		(void)mr_bytes_release(&consumer.down);
	}
	assert_int_equal(count, MESSAGES);
	assert_int_equal(r.stats[1].drop_held_full, 0);
	mr_rig_close(&r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(queue_of_the_only_worker),
		cmocka_unit_test(queue_owned_by_the_producers_worker),
		cmocka_unit_test(queue_owned_by_the_consumers_worker),
		cmocka_unit_test(delivery_of_a_consumer_that_died_goes_to_another),
		cmocka_unit_test(delivery_that_is_not_settled_in_time_is_redelivered),
		cmocka_unit_test(tags_of_others_and_forged_ones_settle_nothing),
		cmocka_unit_test(push_to_what_is_no_queue_is_answered),
		cmocka_unit_test(call_is_answered_by_the_worker_that_got_it),
		cmocka_unit_test(client_over_udp_pushes_and_consumes),
		cmocka_unit_test(command_that_makes_no_sense_is_counted),
		cmocka_unit_test(heartbeat_is_answered),
		cmocka_unit_test(kinds_that_only_the_bus_sends_are_refused),
		cmocka_unit_test(queue_messages_have_no_subject),
		cmocka_unit_test(nothing_is_lost_while_the_mesh_is_full),
		cmocka_unit_test(trickle_to_a_worker_that_stands_still_is_not_lost),
		cmocka_unit_test(acceptances_for_a_worker_that_stands_still_are_not_lost),
		cmocka_unit_test(deliveries_beyond_a_slow_consumers_room_stay_in_the_queue),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
