/* SPDX-License-Identifier: Apache-2.0 */
/* Settlements: acknowledge, requeue, reject, redelivery, dead letters. */
#include <errno.h>

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

static void push(uint32_t queue, const char *text)
{
	rig_push_run(&r, queue, 1, text, NULL);
}

static struct mrf_table show(const char *name)
{
	return rig_show(&r, MRF_QUEUE_KIND_QUEUE, name);
}

static bool has(const struct rig_sent *s, const char *text)
{
	return memmem(s->view.headers, s->view.header_bytes, text, strlen(text)) != NULL;
}

static bool begins(const struct rig_sent *s, const char *text)
{
	return s->view.header_bytes >= strlen(text) && memcmp(s->body, text, strlen(text)) == 0;
}

static void requeued_message_comes_again_first_and_is_counted(void **state)
{
	uint32_t q = rig_make(&r, "work");
	struct rig_sent *s;

	(void)state;
	rig_consume(&r, "work", 2, 1);
	push(q, "a");
	push(q, "b");
	rig_settle_run(&r, 2, q, rig_expect(&r, 2, "a"), MRF_SETTLE_VERB_REQUEUE, 0);
	s = rig_take(&r, 2, MRF_MESSAGE_KIND_DELIVER);
	assert_non_null(s);
	assert_memory_equal(s->view.payload, "a", 1);
	assert_int_equal(s->view.extra.delivery.redelivered, 1);
}

static void requeued_message_waits_for_its_delay(void **state)
{
	uint32_t q = rig_make(&r, "work");

	(void)state;
	rig_consume(&r, "work", 2, 1);
	push(q, "a");
	rig_settle(&r, 2, q, rig_expect(&r, 2, "a"), MRF_SETTLE_VERB_REQUEUE, 200);
	assert_int_equal(mrf_queue_row_delayed(show("work")), 1);
	rig_pass(&r, 199);
	rig_expect_none(&r, 2);
	rig_pass(&r, 1);
	rig_expect(&r, 2, "a");
	assert_int_equal(mrf_queue_row_delayed(show("work")), 0);
}

static void message_not_settled_in_time_goes_to_another(void **state)
{
	uint32_t q = rig_make(&r, "work");
	uint64_t tag;

	(void)state;
	rig_consume(&r, "work", 2, 1);
	push(q, "a");
	tag = rig_expect(&r, 2, "a");
	rig_consume(&r, "work", 3, 1);
	rig_pass(&r, 999);
	rig_expect_none(&r, 3);
	rig_pass(&r, 1);
	rig_expect(&r, 3, "a");
	rig_settle(&r, 2, q, tag, MRF_SETTLE_VERB_ACK, 0);
	assert_int_equal(r.stats.bad_tags, 1);
	assert_int_equal(r.stats.queue_acked, 0);
}

/* Otherwise it would move all messages, time-out by time-out, to the dead letters. */
static void consumer_that_never_acks_gets_no_more_than_its_prefetch(void **state)
{
	uint32_t q = rig_make(&r, "work");

	(void)state;
	rig_consume(&r, "work", 2, 2);
	for (unsigned i = 0; i < 10; i++)
		push(q, "x");
	rig_pass(&r, 10000);
	assert_int_equal(rig_count(&r, 2, MRF_MESSAGE_KIND_DELIVER), 2);
	assert_int_equal(r.stats.queue_dead, 0);
	/* The delivery arrives, though late. */
	rig_ack(&r, 2, q, "x");
	assert_int_equal(rig_count(&r, 2, MRF_MESSAGE_KIND_DELIVER), 3);
}

static void message_delivered_too_often_is_a_dead_letter(void **state)
{
	uint32_t q = rig_make(&r, "work");
	struct rig_sent *s;

	(void)state;
	rig_consume(&r, "work", 2, 1);
	push(q, "a");
	for (unsigned i = 0; i < 3; i++)
		rig_settle_run(&r, 2, q, rig_expect(&r, 2, "a"), MRF_SETTLE_VERB_REQUEUE, 0);
	rig_expect_none(&r, 2);
	assert_int_equal(mrf_queue_row_dead_ready(show("work")), 1);
	rig_consume(&r, "work.dead", 3, 1);
	rig_run(&r);
	s = rig_take(&r, 3, MRF_MESSAGE_KIND_DELIVER);
	assert_non_null(s);
	assert_true(has(s, "NATS/1.0\r\n"));
	assert_true(has(s, "Millrace-Dead-Reason: max-deliver\r\n"));
	assert_true(has(s, "Millrace-Dead-Queue: work\r\n"));
	assert_true(has(s, "Millrace-Dead-Count: 3\r\nMillrace-Dead-Time: "));
	assert_memory_equal(s->view.payload, "a", 1);
	assert_int_equal(r.stats.queue_dead, 1);
}

/* A consumer gets deliveries until its Leave arrives. Its settlements of those are no sign of a
 * broken client. */
static void deliveries_returned_after_leaving_are_late_and_not_bad(void **state)
{
	uint32_t q = rig_make(&r, "work");
	uint64_t tag;

	(void)state;
	rig_consume(&r, "work", 2, 1);
	push(q, "a");
	rig_run(&r);
	tag = rig_expect(&r, 2, "a");
	rig_settle(&r, 2, q, tag, MRF_SETTLE_VERB_REQUEUE, 60000);
	rig_settle(&r, 2, q, tag, MRF_SETTLE_VERB_HANDED, 0);
	rig_settle(&r, 2, q, tag, MRF_SETTLE_VERB_RETURNED, 0);
	assert_int_equal(r.stats.bad_tags, 0);
	assert_int_equal(r.stats.late_settlements, 2);
	rig_settle(&r, 2, q, tag, MRF_SETTLE_VERB_ACK, 0);
	assert_int_equal(r.stats.bad_tags, 1);
}

static void rejected_message_is_a_dead_letter_with_its_headers(void **state)
{
	uint32_t q = rig_make(&r, "work");
	struct rig_sent *s;

	(void)state;
	rig_consume(&r, "work", 2, 1);
	rig_push(&r, &(struct rig_push){.queue = q,
			     .client = 1,
			     .text = "a",
			     .headers = "NATS/1.0\r\nColour: red\r\n\r\n"});
	rig_run(&r);
	rig_settle(&r, 2, q, rig_expect(&r, 2, "a"), MRF_SETTLE_VERB_REJECT, 0);
	rig_consume(&r, "work.dead", 3, 1);
	rig_run(&r);
	s = rig_take(&r, 3, MRF_MESSAGE_KIND_DELIVER);
	assert_non_null(s);
	assert_true(begins(s,
		"NATS/1.0\r\nMillrace-Dead-Reason: rejected\r\nMillrace-Dead-Queue: work\r\n"
		"Millrace-Dead-Count: 1\r\nMillrace-Dead-Time: "));
	assert_true(has(s, "Z\r\nColour: red\r\n\r\n"));
}

/* Pushes a message with these headers, rejects it, and takes it from the dead letters. */
static struct rig_sent *rejected_with(const char *headers)
{
	uint32_t q = rig_make(&r, "work");
	struct rig_sent *s;

	rig_consume(&r, "work", 2, 1);
	rig_push(&r, &(struct rig_push){.queue = q, .client = 1, .text = "a", .headers = headers});
	rig_run(&r);
	s = rig_take(&r, 2, MRF_MESSAGE_KIND_DELIVER);
	assert_non_null(s);
	rig_settle(&r, 2, q, s->view.extra.delivery.tag, MRF_SETTLE_VERB_REJECT, 0);
	rig_consume(&r, "work.dead", 3, 1);
	rig_run(&r);
	return rig_take(&r, 3, MRF_MESSAGE_KIND_DELIVER);
}

static void headers_that_make_no_sense_do_not_hide_the_reason(void **state)
{
	static const char *const odd[] = {"\r\n\r", "x", "NATS/1.0", "NATS/1.0\r\nA: 1",
		"NATS/1.0\r\n\r\n\r\nA: 1\r\n", "NATS/1.0 A: 1", "NATS/1.0\r\n continued\r\n\r\n"};

	(void)state;
	for (unsigned i = 0; i < sizeof(odd) / sizeof(odd[0]); i++) {
		struct rig_sent *s = rejected_with(odd[i]);

		assert_non_null(s);
		assert_true(has(s, "\r\nMillrace-Dead-Reason: rejected\r\n"));
		assert_true(begins(s, "NATS/1.0"));
		/* The empty line is the last one. */
		assert_ptr_equal(memmem(s->body, s->view.header_bytes, "\r\n\r\n", 4),
			s->body + s->view.header_bytes - 4);
		assert_true(strstr(odd[i], "A: 1") == NULL || has(s, "A: 1"));
		rig_settle_run(&r, 3, s->view.extra.delivery.queue, s->view.extra.delivery.tag,
			MRF_SETTLE_VERB_ACK, 0);
	}
}

static void a_producer_cannot_forge_the_reason(void **state)
{
	struct rig_sent *s =
		rejected_with("NATS/1.0\r\nA: 1\r\nmillrace-dead-REASON: expired\r\n\r\n");

	(void)state;
	assert_non_null(s);
	assert_true(begins(s, "NATS/1.0\r\nMillrace-Dead-Reason: rejected\r\n"));
	assert_true(has(s, "A: 1\r\n"));
	assert_false(has(s, "expired"));
}

static void a_letter_without_reason_has_no_forged_one(void **state)
{
	static const char start[] = "NATS/1.0\r\nMILLRACE-Dead-Reason: expired\r\nA: ";
	static const char renamed[] = "NATS/1.0\r\nProducer-Dead-Reason: expired\r\nA: x";
	/* No room is left for the bus's lines. */
	static char block[MR_BODY_BYTES_MAX - 64 + 1];
	struct rig_sent *s;

	(void)state;
	memset(block, 'x', sizeof(block) - 1);
	memcpy(block, start, sizeof(start) - 1);
	memcpy(block + sizeof(block) - 5, "\r\n\r\n", 5);
	s = rejected_with(block);
	assert_non_null(s);
	assert_int_equal(r.stats.queue_dead_bare, 1);
	assert_int_equal(s->view.header_bytes, sizeof(block) - 1);
	assert_memory_equal(s->body, renamed, sizeof(renamed) - 1);
}

static void largest_message_has_its_reason_in_two_pieces(void **state)
{
	static char largest[MR_BODY_BYTES_MAX + 1];
	uint32_t q = rig_make(&r, "work"), came = 0, total = 1;
	struct rig_sent *s;

	(void)state;
	memset(largest, 'x', MR_BODY_BYTES_MAX);
	rig_consume(&r, "work", 2, 1);
	push(q, largest);
	rig_run(&r);
	s = rig_take(&r, 2, MRF_MESSAGE_KIND_DELIVER);
	assert_non_null(s);
	rig_settle(&r, 2, q, s->view.extra.delivery.tag, MRF_SETTLE_VERB_REJECT, 0);
	rig_consume(&r, "work.dead", 3, 1);
	rig_run(&r);
	for (; came < total; came += s->body_bytes) {
		s = rig_take(&r, 3, MRF_MESSAGE_KIND_DELIVER);
		assert_non_null(s);
		assert_int_equal(s->view.extra.fragment.offset, came);
		assert_true(
			came > 0 || strstr((char *)s->body, "Millrace-Dead-Reason: rejected\r\n"));
		total = s->view.extra.fragment.total_bytes;
	}
	assert_int_equal(came, total);
	assert_true(total > MR_BODY_BYTES_MAX);
}

static void old_message_is_a_dead_letter(void **state)
{
	uint32_t q;

	(void)state;
	r.options.age_max_ms = 500;
	q = rig_make(&r, "work");
	push(q, "a");
	rig_pass(&r, 250);
	push(q, "b");
	rig_pass(&r, 250);
	assert_int_equal(mrf_queue_row_ready(show("work")), 1);
	assert_int_equal(mrf_queue_row_expired(show("work")), 1);
	rig_pass(&r, 250);
	assert_int_equal(mrf_queue_row_dead_ready(show("work")), 2);
}

static void dead_letters_go_back_as_they_were(void **state)
{
	uint32_t q = rig_make(&r, "work");
	struct rig_sent *s;

	(void)state;
	rig_consume(&r, "work", 2, 1);
	push(q, "a");
	rig_settle(&r, 2, q, rig_expect(&r, 2, "a"), MRF_SETTLE_VERB_REJECT, 0);
	rig_command(&r, MRF_QUEUE_VERB_REDRIVE, MRF_QUEUE_KIND_QUEUE, "work", 0, 0, 0);
	assert_int_equal(r.code, 0);
	assert_int_equal(r.count, 1);
	rig_run(&r);
	s = rig_take(&r, 2, MRF_MESSAGE_KIND_DELIVER);
	assert_non_null(s);
	assert_int_equal(s->view.header_bytes, 0);
	assert_int_equal(s->view.extra.delivery.redelivered, 0);
	assert_int_equal(mrf_queue_row_ready(show("work.dead")), 0);
	assert_int_equal(mrf_queue_row_bytes(show("work.dead")), 0);
}

static void redrive_moves_no_more_than_asked_for(void **state)
{
	uint32_t q = rig_make(&r, "work");

	(void)state;
	rig_consume(&r, "work", 2, 1);
	for (unsigned i = 0; i < 5; i++) {
		push(q, "a");
		rig_settle_run(&r, 2, q, rig_expect(&r, 2, "a"), MRF_SETTLE_VERB_REJECT, 0);
	}
	rig_command(&r, MRF_QUEUE_VERB_CANCEL, MRF_QUEUE_KIND_QUEUE, "work", 2, 7, 0);
	rig_command(&r, MRF_QUEUE_VERB_REDRIVE, MRF_QUEUE_KIND_QUEUE, "work", 0, 0, 2);
	rig_run(&r);
	assert_int_equal(mrf_queue_row_ready(show("work")), 2);
	assert_int_equal(mrf_queue_row_ready(show("work.dead")), 3);
}

/* If they were bound to the queue of that name, their own queue would not know when they are
 * removed. */
static void dead_letters_have_none_to_go_back(void **state)
{
	uint32_t q = rig_make(&r, "work");

	(void)state;
	rig_consume(&r, "work", 2, 1);
	push(q, "a");
	rig_settle_run(&r, 2, q, rig_expect(&r, 2, "a"), MRF_SETTLE_VERB_REJECT, 0);
	push(rig_make(&r, "work.dead.dead"), "b");
	assert_int_equal(rig_command(&r, MRF_QUEUE_VERB_REDRIVE, MRF_QUEUE_KIND_QUEUE,
				 "work.dead.dead", 0, 0, 0),
		-EINVAL);
	rig_command(&r, MRF_QUEUE_VERB_DELETE, MRF_QUEUE_KIND_QUEUE, "work.dead", 0, 0, 0);
	assert_int_equal(r.code, 0);
	assert_int_equal(mrf_queue_row_dead_ready(show("work")), 0);
	push(q, "c");
	rig_settle_run(&r, 2, q, rig_expect(&r, 2, "c"), MRF_SETTLE_VERB_REJECT, 0);
	assert_int_equal(mrf_queue_row_dead_ready(show("work")), 1);
	assert_int_equal(mrf_queue_row_ready(show("work.dead.dead")), 1);
}

static void services_have_no_dead_letters_to_go_back(void **state)
{
	(void)state;
	rig_make_service(&r, "work");
	rig_make_service(&r, "work.dead");
	assert_int_equal(
		rig_command(&r, MRF_QUEUE_VERB_REDRIVE, MRF_QUEUE_KIND_SERVICE, "work", 0, 0, 0),
		-EINVAL);
}

static void dead_letter_in_turn_does_not_die(void **state)
{
	uint32_t q = rig_make(&r, "work");

	(void)state;
	rig_consume(&r, "work", 2, 1);
	push(q, "a");
	rig_settle(&r, 2, q, rig_expect(&r, 2, "a"), MRF_SETTLE_VERB_REJECT, 0);
	rig_consume(&r, "work.dead", 3, 1);
	rig_run(&r);
	q = mrf_queue_row_queue(show("work.dead"));
	for (unsigned i = 0; i < 10; i++)
		rig_settle_run(&r, 3, q, rig_expect(&r, 3, "a"), MRF_SETTLE_VERB_REQUEUE, 0);
	rig_settle(&r, 3, q, rig_expect(&r, 3, "a"), MRF_SETTLE_VERB_REJECT, 0);
	assert_int_equal(mrf_queue_row_ready(show("work.dead")), 0);
	assert_int_equal(r.stats.queue_dead, 1);
}

static void purged_queue_is_empty_and_gives_its_memory_back(void **state)
{
	uint32_t q = rig_make(&r, "work");
	uint64_t before = mr_slab_bytes(r.store);

	(void)state;
	rig_consume(&r, "work", 2, 1);
	for (unsigned i = 0; i < 5000; i++)
		push(q, "a");
	rig_command(&r, MRF_QUEUE_VERB_PURGE, MRF_QUEUE_KIND_QUEUE, "work", 0, 0, 0);
	assert_int_equal(r.count, 4999);
	assert_int_equal(mrf_queue_row_ready(show("work")), 0);
	rig_ack(&r, 2, q, "a");
	assert_int_equal(mrf_queue_row_bytes(show("work")), 0);
	assert_true(mr_slab_bytes(r.store) <= before + (512u << 10));
}

static void paused_queue_takes_and_does_not_give(void **state)
{
	uint32_t q = rig_make(&r, "work");

	(void)state;
	rig_consume(&r, "work", 2, 5);
	rig_command(&r, MRF_QUEUE_VERB_PAUSE, MRF_QUEUE_KIND_QUEUE, "work", 0, 0, 0);
	push(q, "a");
	rig_expect_none(&r, 2);
	assert_true(mrf_queue_row_paused(show("work")));
	rig_command(&r, MRF_QUEUE_VERB_RESUME, MRF_QUEUE_KIND_QUEUE, "work", 0, 0, 0);
	rig_run(&r);
	rig_expect(&r, 2, "a");
}

static void peek_shows_and_does_not_take(void **state)
{
	uint32_t q = rig_make(&r, "work");
	struct mrf_table row;

	(void)state;
	push(q, "a");
	push(q, "b");
	rig_command(&r, MRF_QUEUE_VERB_PEEK, MRF_QUEUE_KIND_QUEUE, "work", 0, 0, 1);
	assert_int_equal(mrf_queue_answer_messages_count(r.table), 1);
	row = mrf_queue_answer_messages_at(r.table, 0);
	assert_int_equal(mrf_queue_message_row_bytes(row), 1);
	assert_memory_equal(mrf_queue_message_row_payload(row).data, "a", 1);
	assert_int_equal(mrf_queue_row_ready(show("work")), 2);
	assert_int_equal(
		rig_command(&r, MRF_QUEUE_VERB_PEEK, MRF_QUEUE_KIND_QUEUE, "work.dead", 0, 0, 1),
		0);
	assert_int_equal(
		rig_command(&r, MRF_QUEUE_VERB_PEEK, MRF_QUEUE_KIND_QUEUE, "none", 0, 0, 1),
		-ENOENT);
}

static void queue_with_consumers_is_not_deleted(void **state)
{
	uint32_t q = rig_make(&r, "work");

	(void)state;
	rig_consume(&r, "work", 2, 5);
	push(q, "a");
	assert_int_equal(
		rig_command(&r, MRF_QUEUE_VERB_DELETE, MRF_QUEUE_KIND_QUEUE, "work", 0, 0, 0),
		-EBUSY);
	rig_command(&r, MRF_QUEUE_VERB_CANCEL, MRF_QUEUE_KIND_QUEUE, "work", 2, 7, 0);
	assert_int_equal(
		rig_command(&r, MRF_QUEUE_VERB_DELETE, MRF_QUEUE_KIND_QUEUE, "work", 0, 0, 0), 0);
	rig_run(&r);
	assert_int_equal(
		rig_command(&r, MRF_QUEUE_VERB_SHOW, MRF_QUEUE_KIND_QUEUE, "work", 0, 0, 0),
		-ENOENT);
	rig_make(&r, "work");
	assert_int_equal(mrf_queue_row_ready(show("work")), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		RIG_TEST(requeued_message_comes_again_first_and_is_counted),
		RIG_TEST(requeued_message_waits_for_its_delay),
		RIG_TEST(message_not_settled_in_time_goes_to_another),
		RIG_TEST(consumer_that_never_acks_gets_no_more_than_its_prefetch),
		RIG_TEST(message_delivered_too_often_is_a_dead_letter),
		RIG_TEST(deliveries_returned_after_leaving_are_late_and_not_bad),
		RIG_TEST(rejected_message_is_a_dead_letter_with_its_headers),
		RIG_TEST(headers_that_make_no_sense_do_not_hide_the_reason),
		RIG_TEST(a_producer_cannot_forge_the_reason),
		RIG_TEST(a_letter_without_reason_has_no_forged_one),
		RIG_TEST(largest_message_has_its_reason_in_two_pieces),
		RIG_TEST(old_message_is_a_dead_letter),
		RIG_TEST(dead_letters_go_back_as_they_were),
		RIG_TEST(redrive_moves_no_more_than_asked_for),
		RIG_TEST(dead_letters_have_none_to_go_back),
		RIG_TEST(services_have_no_dead_letters_to_go_back),
		RIG_TEST(dead_letter_in_turn_does_not_die),
		RIG_TEST(purged_queue_is_empty_and_gives_its_memory_back),
		RIG_TEST(paused_queue_takes_and_does_not_give),
		RIG_TEST(peek_shows_and_does_not_take),
		RIG_TEST(queue_with_consumers_is_not_deleted),
	};

	return cmocka_run_group_tests_name("queue-settle", tests, NULL, NULL);
}
