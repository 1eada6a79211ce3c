/* SPDX-License-Identifier: Apache-2.0 */
/* Back-off of failed attempts, and the error texts that consumers give with them. */
#include <stdio.h>

#include "tests/unit/queue/rig.h"

static struct rig r;

static struct mr_queue_ops own;
static uint64_t unix_now;

static uint64_t unix_ms(void *arg)
{
	(void)arg;
	return unix_now;
}

static void with_clock(struct mr_queues_config *c)
{
	own = *c->ops;
	own.unix_ms = unix_ms;
	c->ops = &own;
}

static int setup(void **state)
{
	(void)state;
	unix_now = 0;
	rig_open(&r, with_clock);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	rig_close(&r);
	r.says_handed = false;
	return 0;
}

static void push(uint32_t queue, const char *text)
{
	rig_push_run(&r, queue, 1, text, NULL);
}

/* Makes the queue with a back-off of 100 ms, doubled, at most 300 ms, and nearly no end. */
static uint32_t make(unsigned jitter)
{
	r.options.retry_min_ms = 100;
	r.options.retry_max_ms = 300;
	r.options.retry_factor = 200;
	r.options.retry_jitter = (uint8_t)jitter;
	r.options.max_deliver = 1000;
	return rig_make(&r, "work");
}

static struct mrf_table show(const char *name)
{
	return rig_show(&r, MRF_QUEUE_KIND_QUEUE, name);
}

static void nack(uint32_t q, uint32_t delay_ms)
{
	rig_settle_run(&r, 2, q, rig_expect(&r, 2, "a"), MRF_SETTLE_VERB_REQUEUE, delay_ms);
}

/* Expects that the message comes after that time and not a millisecond sooner. */
static void comes_after(uint64_t ms)
{
	if (ms > 0) {
		rig_pass(&r, ms - 1);
		rig_expect_none(&r, 2);
		rig_pass(&r, 1);
	}
	assert_int_equal(rig_count(&r, 2, MRF_MESSAGE_KIND_DELIVER), 1);
}

static void failed_attempts_come_back_later_each_time(void **state)
{
	static const uint64_t delays[] = {100, 200, 300, 300, 300};
	uint32_t q = make(0);

	(void)state;
	rig_consume(&r, "work", 2, 1);
	push(q, "a");
	for (unsigned i = 0; i < MR_ARRAY_COUNT(delays); i++) {
		nack(q, 0);
		assert_int_equal(mrf_queue_row_delayed(show("work")), 1);
		comes_after(delays[i]);
	}
}

static void nack_with_a_delay_of_its_own_has_that(void **state)
{
	uint32_t q = make(0);

	(void)state;
	rig_consume(&r, "work", 2, 1);
	push(q, "a");
	nack(q, 7);
	comes_after(7);
	nack(q, 0); /* the second attempt */
	comes_after(200);
}

static void nack_fallback(uint32_t q, uint32_t delay_ms)
{
	struct mrf_settlement s = {
		.tag = rig_expect(&r, 2, "a"),
		.delay_ms = delay_ms,
		.verb = MRF_SETTLE_VERB_REQUEUE,
		.fallback = 1,
	};

	rig_settle_with(&r, 2, q, &s, NULL);
	rig_run(&r);
}

static void fallback_delay_is_for_queues_without_a_back_off(void **state)
{
	uint32_t q = make(0);

	(void)state;
	rig_consume(&r, "work", 2, 1);
	push(q, "a");
	nack_fallback(q, 20);
	comes_after(100);
	r.edits = MRF_QUEUE_OPTION_RETRY_MIN;
	assert_int_equal(
		rig_command(&r, MRF_QUEUE_VERB_EDIT, MRF_QUEUE_KIND_QUEUE, "work", 0, 0, 0), 0);
	nack_fallback(q, 20);
	comes_after(20);
}

static void queue_without_a_back_off_delivers_at_once(void **state)
{
	uint32_t q = rig_make(&r, "work");

	(void)state;
	rig_consume(&r, "work", 2, 1);
	push(q, "a");
	nack(q, 0);
	comes_after(0);
}

static void attempt_that_timed_out_comes_back_later(void **state)
{
	uint32_t q = make(0);

	(void)state;
	r.says_handed = true;
	rig_consume(&r, "work", 2, 1);
	push(q, "a");
	rig_settle(&r, 2, q, rig_expect(&r, 2, "a"), MRF_SETTLE_VERB_HANDED, 0);
	rig_pass(&r, 1000);
	assert_int_equal(mrf_queue_row_delayed(show("work")), 1);
	rig_consume(&r, "work", 3, 1);
	rig_pass(&r, 99);
	rig_expect_none(&r, 3);
	rig_pass(&r, 1);
	rig_expect(&r, 3, "a");
}

static void attempt_whose_consumer_was_lost_comes_back_later(void **state)
{
	uint32_t q = make(0);

	(void)state;
	r.says_handed = true;
	rig_consume(&r, "work", 2, 1);
	push(q, "a");
	rig_settle(&r, 2, q, rig_expect(&r, 2, "a"), MRF_SETTLE_VERB_HANDED, 0);
	r.gone[2] = true;
	rig_pass(&r, 50);
	assert_int_equal(mrf_queue_row_delayed(show("work")), 1);
}

static void what_was_no_attempt_comes_back_at_once(void **state)
{
	uint32_t q = make(0);

	(void)state;
	r.says_handed = true;
	rig_consume(&r, "work", 2, 1);
	push(q, "a"); /* never handed out */
	rig_expect(&r, 2, "a");
	r.gone[2] = true;
	rig_pass(&r, 50);
	assert_int_equal(mrf_queue_row_ready(show("work")), 1);
	rig_consume(&r, "work", 3, 1);
	rig_run(&r);
	rig_settle(&r, 3, q, rig_expect(&r, 3, "a"), MRF_SETTLE_VERB_RETURNED, 0);
	assert_int_equal(mrf_queue_row_ready(show("work")), 1);
	assert_int_equal(mrf_queue_row_delayed(show("work")), 0);
}

static void jitter_makes_delays_shorter_and_different(void **state)
{
	uint32_t q = make(50);
	uint64_t least = UINT64_MAX, most = 0;

	(void)state;
	r.options = (struct mrf_queue_options){0};
	rig_consume(&r, "work", 2, 1);
	push(q, "a");
	nack(q, 0);
	rig_pass(&r, 100);
	nack(q, 0);
	rig_pass(&r, 200);
	for (unsigned i = 0; i < 100; i++) { /* each of 300 ms less up to 150 */
		uint64_t from = r.now_ms;

		nack(q, 0);
		while (rig_count(&r, 2, MRF_MESSAGE_KIND_DELIVER) == 0)
			rig_pass(&r, 1);
		least = r.now_ms - from < least ? r.now_ms - from : least;
		most = r.now_ms - from > most ? r.now_ms - from : most;
	}
	assert_in_range(least, 150, 180);
	assert_in_range(most, 270, 300);
}

static void no_number_of_attempts_is_too_large(void **state)
{
	uint32_t q;

	(void)state;
	r.options = (struct mrf_queue_options){.retry_min_ms = 1,
		.retry_max_ms = 50,
		.retry_factor = 10000,
		.max_deliver = UINT16_MAX};
	q = rig_make(&r, "work");
	rig_consume(&r, "work", 2, 1);
	push(q, "a");
	nack(q, 0);
	comes_after(1);
	for (unsigned i = 0; i < 3000; i++) {
		nack(q, 0);
		comes_after(50);
	}
}

static void refused_options_are_named(void **state)
{
	(void)state;
	r.options.retry_factor = 99;
	assert_int_equal(
		rig_command(&r, MRF_QUEUE_VERB_OPEN, MRF_QUEUE_KIND_QUEUE, "work", 0, 0, 0), -22);
	assert_string_equal(mrf_queue_answer_text(r.table).data, "retry_factor: expected 1 to 100");
	r.options.retry_jitter = 101;
	assert_int_equal(
		rig_command(&r, MRF_QUEUE_VERB_OPEN, MRF_QUEUE_KIND_QUEUE, "work", 0, 0, 0), -22);
	r.options.retry_min_ms = 86400001;
	assert_int_equal(
		rig_command(&r, MRF_QUEUE_VERB_OPEN, MRF_QUEUE_KIND_QUEUE, "work", 0, 0, 0), -22);
}

/* At most half of the deliveries are delayed. Those beyond come back at once, so that a consumer
 * that fails everything ends in the dead letters and holds nothing. */
static void delays_that_do_not_fit_are_skipped_and_counted(void **state)
{
	unsigned fitted;
	uint32_t q;

	(void)state;
	rig_close(&r);
	rig_open_store(&r, 4u << 20, with_clock); /* 16,384 deliveries */
	r.options = (struct mrf_queue_options){.retry_min_ms = 60000, .max_deliver = 2};
	q = rig_make(&r, "work");
	for (unsigned i = 0; i < 20000; i++)
		rig_push(&r, &(struct rig_push){.queue = q, .client = 1, .text = "a"});
	rig_consume(&r, "work", 2, 1000);
	for (unsigned i = 0; i < 40000; i++) {
		struct rig_sent *s;

		rig_run(&r);
		s = rig_take(&r, 2, MRF_MESSAGE_KIND_DELIVER);
		if (s == NULL)
			break;
		rig_settle(&r, 2, q, s->view.extra.delivery.tag, MRF_SETTLE_VERB_REQUEUE, 0);
	}
	fitted = (unsigned)mrf_queue_row_delayed(show("work"));
	assert_in_range(fitted, 6000, 8192);
	assert_int_equal(r.stats.queue_undelayed, 20000 - fitted);
	assert_int_equal(r.stats.queue_dead, 20000 - fitted);
}

static bool has(const struct rig_sent *s, const char *text)
{
	return memmem(s->view.headers, s->view.header_bytes, text, strlen(text)) != NULL;
}

static unsigned times(const struct rig_sent *s, const char *text)
{
	const char *at = (const char *)s->view.headers, *end = at + s->view.header_bytes;
	unsigned count = 0;

	while ((at = memmem(at, (size_t)(end - at), text, strlen(text))) != NULL) {
		at += strlen(text);
		count++;
	}
	return count;
}

static struct rig_sent *next(unsigned client)
{
	struct rig_sent *s;

	rig_run(&r);
	s = rig_take(&r, client, MRF_MESSAGE_KIND_DELIVER);
	assert_non_null(s);
	return s;
}

static void fail_with(
	uint32_t q, const struct rig_sent *s, enum mrf_settle_verb verb, const char *headers)
{
	struct mrf_settlement settlement = {
		.tag = s->view.extra.delivery.tag, .verb = (uint8_t)verb};

	rig_settle_with(&r, 2, q, &settlement, headers);
}

static void error_text_goes_to_the_next_consumer_and_the_dead_letter(void **state)
{
	uint32_t q = rig_make(&r, "work");
	struct rig_sent *s;

	(void)state;
	unix_now = 1798675200000; /* 2026-12-31 00:00 */
	rig_consume(&r, "work", 2, 1);
	rig_push(&r, &(struct rig_push){.queue = q,
			     .client = 1,
			     .text = "a",
			     .headers = "NATS/1.0\r\nColour: red\r\n\r\n"});
	fail_with(q, next(2), MRF_SETTLE_VERB_REQUEUE,
		"NATS/1.0\r\nMillrace-Error: no such host\r\n\r\n");
	s = next(2);
	assert_true(has(s, "NATS/1.0\r\nMillrace-Error: no such host\r\nColour: red\r\n\r\n"));
	fail_with(q, s, MRF_SETTLE_VERB_REQUEUE, "NATS/1.0\r\nMillrace-Error: again\r\n\r\n");
	s = next(2);
	assert_int_equal(times(s, "Millrace-Error"), 1);
	assert_true(has(s, "Millrace-Error: again\r\n"));
	/* The last attempt says nothing: the text before it stays. */
	fail_with(q, s, MRF_SETTLE_VERB_REQUEUE, NULL);
	rig_command(&r, MRF_QUEUE_VERB_CONSUME, MRF_QUEUE_KIND_QUEUE, "work.dead", 3, 7, 1);
	s = next(3);
	assert_true(has(s, "Millrace-Dead-Reason: max-deliver\r\n"));
	assert_true(has(s, "Millrace-Dead-Count: 3\r\n"));
	assert_true(has(s, "Millrace-Dead-Time: 2026-12-31T00:00:00.000Z\r\n"));
	assert_true(has(s, "Millrace-Error: again\r\n"));
	assert_true(has(s, "Colour: red\r\n\r\n"));
	assert_memory_equal(s->view.payload, "a", 1);
	assert_int_equal(r.stats.queue_errors_lost, 0);
	assert_int_equal(mrf_queue_row_bytes(show("work")), 0);
}

static struct rig_sent *rejected(uint32_t q, const char *headers)
{
	fail_with(q, next(2), MRF_SETTLE_VERB_REJECT, headers);
	return next(3);
}

static void consume_both(void)
{
	rig_consume(&r, "work", 2, 1);
	rig_command(&r, MRF_QUEUE_VERB_CONSUME, MRF_QUEUE_KIND_QUEUE, "work.dead", 3, 7, 10);
}

static void error_text_is_cut_and_made_safe(void **state)
{
	static char block[600], expected[300];
	uint32_t q = rig_make(&r, "work");
	struct rig_sent *s;

	(void)state;
	consume_both();
	push(q, "a");
	s = rejected(
		q, "NATS/1.0\r\nMillrace-Error:  a\x1b[31m \xc3\xa4 \xff\xe2\x80\xae.\r\n\r\n");
	assert_true(has(s, "Millrace-Error: a?[31m \xc3\xa4 ????.\r\n"));
	/* The character at the limit goes whole, or not at all. */
	strcpy(block, "NATS/1.0\r\nMillrace-Error: ");
	memset(block + strlen(block), 'x', 255);
	strcat(block, "\xc3\xa4 and more\r\n\r\n");
	strcpy(expected, "Millrace-Error: ");
	memset(expected + strlen(expected), 'x', 255);
	strcat(expected, "\r\n");
	push(q, "a");
	s = rejected(q, block);
	assert_true(s->view.header_bytes > 256);
	assert_memory_equal(s->body, "NATS/1.0\r\n", 10);
	assert_true(has(s, expected));
	assert_int_equal(s->view.header_bytes,
		sizeof("NATS/1.0\r\nMillrace-Dead-Reason: rejected\r\nMillrace-Dead-Queue: "
		       "work\r\nMillrace-Dead-Count: 1\r\n\r\n") -
			1 + strlen(expected));
}

static void malformed_error_blocks_give_no_text(void **state)
{
	static const char *const odd[] = {"NATS/1.0\r\n\r\n", "Millrace-Error",
		"Millrace-Error:", "Millrace-Error:\r\n", "NATS/1.0\r\nMillrace-Error:   \r\n\r\n",
		"NATS/1.0\r\nMillrace-Errors: x\r\n\r\n", "\r\n"};
	static char large[1100];
	uint32_t q = rig_make(&r, "work");

	(void)state;
	consume_both();
	for (unsigned i = 0; i < MR_ARRAY_COUNT(odd); i++) {
		push(q, "a");
		assert_int_equal(times(rejected(q, odd[i]), "Millrace-Error"), 0);
	}
	memset(large, ' ', sizeof(large) - 1);
	memcpy(large, "NATS/1.0\r\nMillrace-Error: x", 27);
	push(q, "a");
	assert_int_equal(times(rejected(q, large), "Millrace-Error"), 0);
}

static void producers_cannot_forge_an_error(void **state)
{
	uint32_t q = rig_make(&r, "work");
	struct rig_sent *s;

	(void)state;
	consume_both();
	for (unsigned told = 0; told < 2; told++) {
		rig_push(&r, &(struct rig_push){.queue = q,
				     .client = 1,
				     .text = "a",
				     .headers = "NATS/1.0\r\nmillrace-ERROR: forged\r\n"
						"Millrace-Dead-Queue: other\r\nA: 1\r\n\r\n"});
		s = rejected(q, told ? "NATS/1.0\r\nMillrace-Error: true\r\n\r\n" : NULL);
		assert_false(has(s, "forged"));
		assert_false(has(s, "other"));
		assert_int_equal(times(s, "Millrace-Error: true"), told);
		assert_true(has(s, "A: 1\r\n"));
	}
}

static void text_keeps_age_time_to_live_and_place(void **state)
{
	uint32_t q = rig_make(&r, "work");
	struct rig_sent *s;

	(void)state;
	rig_consume(&r, "work", 2, 2);
	rig_push(&r, &(struct rig_push){.queue = q,
			     .client = 1,
			     .text = "a",
			     .options = &(struct mrf_push_options){.ttl_ms = 500}});
	rig_run(&r);
	rig_pass(&r, 10);
	push(q, "b");
	s = next(2);
	rig_expect(&r, 2, "b");
	fail_with(q, s, MRF_SETTLE_VERB_REQUEUE, "NATS/1.0\r\nMillrace-Error: x\r\n\r\n");
	push(q, "c");
	s = next(2);
	assert_memory_equal(s->view.payload, "a", 1);
	rig_pass(&r, 480);
	assert_int_equal(r.stats.drop_expired, 0);
	rig_pass(&r, 10);
	assert_int_equal(r.stats.drop_expired, 1);
}

static void redrive_takes_the_error_away(void **state)
{
	uint32_t q = rig_make(&r, "work");
	struct rig_sent *s;

	(void)state;
	rig_consume(&r, "work", 2, 1);
	push(q, "a");
	fail_with(q, next(2), MRF_SETTLE_VERB_REJECT, "NATS/1.0\r\nMillrace-Error: x\r\n\r\n");
	rig_command(&r, MRF_QUEUE_VERB_REDRIVE, MRF_QUEUE_KIND_QUEUE, "work", 0, 0, 0);
	s = next(2);
	assert_int_equal(s->view.header_bytes, 0);
	assert_memory_equal(s->view.payload, "a", 1);
}

/* The lines of the bus and those forged in their place may have the same length: that is no sign
 * that the bus's are there. */
static void bare_letter_has_no_forged_lines_of_the_same_length(void **state)
{
	static const char forged[] = "NATS/1.0\r\nMillrace-Dead-Reason: max-dead\r\n"
				     "Millrace-Dead-Queue: ours\r\nMillrace-Dead-Count: 9\r\n\r\n";
	static char filler[4000];
	uint32_t q, other;
	struct rig_sent *s;
	uint64_t pushed;

	(void)state;
	rig_close(&r);
	rig_open_store(&r, 4u << 20, with_clock);
	q = rig_make(&r, "work");
	other = rig_make(&r, "other");
	consume_both();
	rig_push(&r, &(struct rig_push){.queue = q, .client = 1, .text = "a", .headers = forged});
	s = next(2);
	memset(filler, 'x', sizeof(filler) - 1);
	do { /* until the store is full; the share of a queue is computed in a run */
		pushed = r.stats.pushed;
		rig_push(&r, &(struct rig_push){.queue = other, .client = 1, .text = filler});
	} while (r.stats.pushed > pushed);
	do {
		pushed = r.stats.pushed;
		rig_push(&r, &(struct rig_push){.queue = other, .client = 1, .text = "x"});
	} while (r.stats.pushed > pushed);
	rig_settle(&r, 2, q, s->view.extra.delivery.tag, MRF_SETTLE_VERB_REJECT, 0);
	s = next(3);
	assert_int_equal(r.stats.queue_dead_bare, 1);
	assert_int_equal(times(s, "Millrace-"), 0);
	assert_int_equal(times(s, "Producer-Dead-"), 3);
}

/* Work is counted in deliveries: each queue has its turn, whatever comes back to another. */
static void consumer_that_fails_everything_for_ever_holds_up_nobody(void **state)
{
	uint32_t noisy, calm;
	unsigned rounds = 0;

	(void)state;
	r.options.max_deliver = UINT16_MAX;
	noisy = rig_make(&r, "noisy");
	calm = rig_make(&r, "calm");
	rig_consume(&r, "noisy", 2, 2000);
	rig_consume(&r, "calm", 3, 2000);
	for (unsigned i = 0; i < 2000; i++) {
		rig_push(&r, &(struct rig_push){.queue = noisy, .client = 1, .text = "n"});
		rig_push(&r, &(struct rig_push){.queue = calm, .client = 1, .text = "c"});
	}
	while (r.stats.queue_acked < 2000 && rounds < 100) {
		struct rig_sent *s;

		mr_queues_run(r.queues, r.now_ms);
		rounds++;
		while ((s = rig_take(&r, 2, MRF_MESSAGE_KIND_DELIVER)) != NULL)
			rig_settle(&r, 2, noisy, s->view.extra.delivery.tag,
				MRF_SETTLE_VERB_REQUEUE, 0);
		while ((s = rig_take(&r, 3, MRF_MESSAGE_KIND_DELIVER)) != NULL)
			rig_settle(&r, 3, calm, s->view.extra.delivery.tag, MRF_SETTLE_VERB_ACK, 0);
		rig_sent_forget(&r);
	}
	/* A run delivers 1,024 messages, half of them here. */
	assert_in_range(rounds, 2, 5);
	assert_int_equal(r.stats.queue_acked, 2000);
	assert_in_range(mrf_queue_row_delivered(show("noisy")), 1, rounds * 1024);
}

/* The other consumer gets its turns, and the queue empties. */
static void consumer_that_fails_everything_leaves_the_queue_to_others(void **state)
{
	unsigned nacked = 0;
	uint32_t q;

	(void)state;
	r.options.max_deliver = UINT16_MAX;
	q = rig_make(&r, "work");
	rig_consume(&r, "work", 2, 10);
	rig_consume(&r, "work", 3, 10);
	for (unsigned i = 0; i < 1000; i++)
		rig_push(&r, &(struct rig_push){.queue = q, .client = 1, .text = "a"});
	for (unsigned i = 0; i < 1000 && r.stats.queue_acked < 1000; i++) {
		struct rig_sent *s;

		rig_run(&r);
		while ((s = rig_take(&r, 2, MRF_MESSAGE_KIND_DELIVER)) != NULL) {
			rig_settle(
				&r, 2, q, s->view.extra.delivery.tag, MRF_SETTLE_VERB_REQUEUE, 0);
			nacked++;
		}
		while ((s = rig_take(&r, 3, MRF_MESSAGE_KIND_DELIVER)) != NULL)
			rig_settle(&r, 3, q, s->view.extra.delivery.tag, MRF_SETTLE_VERB_ACK, 0);
	}
	assert_int_equal(r.stats.queue_acked, 1000);
	assert_in_range(nacked, 1, 1100);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		RIG_TEST(failed_attempts_come_back_later_each_time),
		RIG_TEST(nack_with_a_delay_of_its_own_has_that),
		RIG_TEST(fallback_delay_is_for_queues_without_a_back_off),
		RIG_TEST(queue_without_a_back_off_delivers_at_once),
		RIG_TEST(attempt_that_timed_out_comes_back_later),
		RIG_TEST(attempt_whose_consumer_was_lost_comes_back_later),
		RIG_TEST(what_was_no_attempt_comes_back_at_once),
		RIG_TEST(jitter_makes_delays_shorter_and_different),
		RIG_TEST(no_number_of_attempts_is_too_large),
		RIG_TEST(refused_options_are_named),
		RIG_TEST(delays_that_do_not_fit_are_skipped_and_counted),
		RIG_TEST(error_text_goes_to_the_next_consumer_and_the_dead_letter),
		RIG_TEST(error_text_is_cut_and_made_safe),
		RIG_TEST(malformed_error_blocks_give_no_text),
		RIG_TEST(producers_cannot_forge_an_error),
		RIG_TEST(text_keeps_age_time_to_live_and_place),
		RIG_TEST(redrive_takes_the_error_away),
		RIG_TEST(bare_letter_has_no_forged_lines_of_the_same_length),
		RIG_TEST(consumer_that_fails_everything_for_ever_holds_up_nobody),
		RIG_TEST(consumer_that_fails_everything_leaves_the_queue_to_others),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
