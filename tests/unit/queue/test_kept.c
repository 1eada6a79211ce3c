/* SPDX-License-Identifier: Apache-2.0 */
/* An operator's settings persist, and limits hold on every way into a queue. */
#include <errno.h>

#include "tests/unit/queue/rig.h"

#define IDLE_MS 10001u

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

static int verb(enum mrf_queue_verb verb, const char *name)
{
	return rig_command(&r, verb, MRF_QUEUE_KIND_QUEUE, name, 0, 0, 0);
}

static struct mrf_table show(const char *name)
{
	return rig_show(&r, MRF_QUEUE_KIND_QUEUE, name);
}

static void push(uint32_t q, unsigned client, const char *text, unsigned count)
{
	for (unsigned i = 0; i < count; i++) {
		rig_push(&r, &(struct rig_push){.queue = q, .client = client, .text = text});
		if (i % 64 == 0)
			rig_run(&r);
	}
	rig_run(&r);
}

static void paused_queue_is_kept_until_it_is_resumed(void **state)
{
	uint32_t q = rig_make(&r, "work");

	(void)state;
	assert_int_equal(verb(MRF_QUEUE_VERB_PAUSE, "work"), 0);
	rig_pass(&r, 3 * IDLE_MS);
	assert_int_equal(rig_make(&r, "work"), q);
	assert_true(mrf_queue_row_paused(show("work")));
	assert_int_equal(verb(MRF_QUEUE_VERB_RESUME, "work"), 0);
	rig_pass(&r, 3 * IDLE_MS);
	assert_int_equal(verb(MRF_QUEUE_VERB_SHOW, "work"), -ENOENT);
}

static void kept_queue_that_is_idle_wakes_nobody(void **state)
{
	(void)state;
	r.options.messages_max = 100;
	rig_make(&r, "with.options");
	rig_make(&r, "paused");
	assert_int_equal(verb(MRF_QUEUE_VERB_PAUSE, "paused"), 0);
	rig_pass(&r, 3 * IDLE_MS);
	assert_int_equal(mr_queues_due_ms(r.queues), UINT64_MAX);
}

static void queue_with_options_is_kept_until_it_is_deleted(void **state)
{
	(void)state;
	r.options.messages_max = 5;
	r.options.when_full = MRF_QUEUE_FULL_REFUSE;
	rig_make(&r, "work");
	rig_pass(&r, 3 * IDLE_MS);
	assert_int_equal(mrf_queue_options_messages_max(mrf_queue_row_options(show("work"))), 5);
	assert_int_equal(verb(MRF_QUEUE_VERB_DELETE, "work"), 0);
	assert_int_equal(verb(MRF_QUEUE_VERB_SHOW, "work"), -ENOENT);
}

static void dead_letters_can_be_paused_before_there_are_any(void **state)
{
	uint32_t q = rig_make(&r, "work");

	(void)state;
	assert_int_equal(verb(MRF_QUEUE_VERB_PAUSE, "work.dead"), 0);
	assert_int_equal(verb(MRF_QUEUE_VERB_PAUSE, "other.dead"), -ENOENT);
	rig_pass(&r, 3 * IDLE_MS);
	assert_true(mrf_queue_row_paused(show("work.dead")));
	q = rig_make(&r, "work");
	rig_consume(&r, "work", 2, 1);
	push(q, 1, "a", 1);
	rig_settle(&r, 2, q, rig_expect(&r, 2, "a"), MRF_SETTLE_VERB_REJECT, 0);
	rig_consume(&r, "work.dead", 3, 1);
	rig_run(&r);
	rig_expect_none(&r, 3);
}

/* All of them become dead letters at once. */
static uint32_t fill_dead(const char *text, unsigned count)
{
	uint32_t q;

	r.options.age_max_ms = 10;
	q = rig_make(&r, "poison");
	for (unsigned i = 0; i < count; i += 500) {
		push(q, 1, text, 500);
		rig_pass(&r, 20);
	}
	return q;
}

static void check_room_for_others(const char *text)
{
	uint32_t other = rig_make(&r, "other");

	assert_true(mr_slab_bytes(r.store) < mr_slab_bytes_max(r.store) / 8 * 7);
	for (unsigned i = 0; i < 50; i++)
		rig_push(&r,
			&(struct rig_push){.queue = other, .client = 3, .text = text, .id = 1 + i});
	rig_run(&r);
	rig_expect_accepted(&r, 3, 1, 50, MRF_STATUS_CODE_OK);
}

static void dead_letters_leave_room_for_others(void **state)
{
	char text[1001] = {0};

	(void)state;
	teardown(NULL);
	rig_open_store(&r, 8u << 20, NULL);
	memset(text, 'x', 1000);
	fill_dead(text, 12000);
	assert_true(r.stats.refused_push_memory > 0);
	check_room_for_others(text);
}

/* The lines with the reason are longer than the letters. */
static void small_dead_letters_leave_room_for_others(void **state)
{
	(void)state;
	teardown(NULL);
	rig_open_store(&r, 8u << 20, NULL);
	fill_dead("x", 100000);
	check_room_for_others("x");
	assert_int_equal(r.stats.queue_dead, r.stats.pushed - 50);
}

static void redrive_keeps_to_the_limit_and_goes_on_when_there_is_room(void **state)
{
	uint32_t q;

	(void)state;
	r.options.messages_max = 5;
	r.options.when_full = MRF_QUEUE_FULL_REFUSE;
	q = rig_make(&r, "work");
	rig_consume(&r, "work", 2, 20);
	for (unsigned i = 0; i < 12; i++) {
		push(q, 1, "a", 1);
		rig_settle(&r, 2, q, rig_expect(&r, 2, "a"), MRF_SETTLE_VERB_REJECT, 0);
	}
	verb(MRF_QUEUE_VERB_REDRIVE, "work");
	assert_int_equal(r.count, 12);
	rig_run(&r);
	assert_int_equal(mrf_queue_row_outstanding(show("work")), 5);
	assert_int_equal(mrf_queue_row_dead_ready(show("work")), 7);
	for (unsigned i = 0; i < 12; i++) {
		rig_settle(&r, 2, q, rig_expect(&r, 2, "a"), MRF_SETTLE_VERB_ACK, 0);
		rig_run(&r);
	}
	assert_int_equal(mrf_queue_row_acked(show("work")), 12);
	assert_int_equal(mrf_queue_row_dead_ready(show("work")), 0);
}

/* No worker takes the probe: it must not hold up all calls for ever. */
static void probe_that_is_not_decided_makes_room_for_another(void **state)
{
	uint32_t q;

	(void)state;
	r.options.breaker_failures = 1;
	r.options.breaker_reset_ms = 100;
	r.options.breaker_probes = 1;
	q = rig_make_service(&r, "echo");
	rig_serve(&r, "echo", 2, 1);
	rig_push(&r, &(struct rig_push){.queue = q, .client = 1, .text = "a", .correlation = 1});
	rig_run(&r);
	rig_settle(&r, 2, q, rig_expect(&r, 2, "a"), MRF_SETTLE_VERB_REJECT, 0);
	rig_command(&r, MRF_QUEUE_VERB_CANCEL, MRF_QUEUE_KIND_SERVICE, "echo", 2, 7, 0);
	rig_pass(&r, 100);
	for (unsigned i = 0; i < 3; i++) {
		uint64_t refused = r.stats.refused_circuit;

		rig_push(&r, &(struct rig_push){
				     .queue = q, .client = 1, .text = "b", .correlation = 2 + i});
		assert_int_equal(r.stats.refused_circuit, refused);
		rig_push(&r, &(struct rig_push){
				     .queue = q, .client = 1, .text = "c", .correlation = 12 + i});
		assert_int_equal(r.stats.refused_circuit, refused + 1);
		rig_pass(&r, 100);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		RIG_TEST(kept_queue_that_is_idle_wakes_nobody),
		RIG_TEST(paused_queue_is_kept_until_it_is_resumed),
		RIG_TEST(queue_with_options_is_kept_until_it_is_deleted),
		RIG_TEST(dead_letters_can_be_paused_before_there_are_any),
		RIG_TEST(dead_letters_leave_room_for_others),
		RIG_TEST(small_dead_letters_leave_room_for_others),
		RIG_TEST(redrive_keeps_to_the_limit_and_goes_on_when_there_is_room),
		RIG_TEST(probe_that_is_not_decided_makes_room_for_another),
	};

	return cmocka_run_group_tests_name("queue-kept", tests, NULL, NULL);
}
