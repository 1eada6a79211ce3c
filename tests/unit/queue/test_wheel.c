/* SPDX-License-Identifier: Apache-2.0 */
/* The timing wheel of delayed entries, against a sorted list. */
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <stdlib.h>
#include <cmocka.h>

#include "dataplane/queue/wheel.h"

#define NODES 4096u

/* Stands for an entry: the node is not at its beginning. */
struct chunk {
	uint64_t serial; /* order in which it was added; 0: not in the wheel */
	uint64_t wanted_ms;
	struct mr_wheel_node node;
	uint64_t behind;
};
_Static_assert(sizeof(struct chunk) % 16 == 0, "as chunks of the store");

static struct chunk chunks[NODES] __attribute__((aligned(16)));
static struct mr_wheel w;
static uint64_t serial, random_state;

static uint64_t random_bits(void)
{
	random_state ^= random_state << 13;
	random_state ^= random_state >> 7;
	random_state ^= random_state << 17;
	return random_state;
}

static void begin(uint64_t now_ms)
{
	for (unsigned i = 0; i < NODES; i++)
		chunks[i] = (struct chunk){0};
	serial = 0;
	random_state = 88172645463325252ull;
	mr_wheel_init(&w, (uint8_t *)chunks, offsetof(struct chunk, node), now_ms);
}

static void add(unsigned i, uint64_t due_ms)
{
	chunks[i].serial = ++serial;
	chunks[i].wanted_ms = due_ms;
	mr_wheel_add(&w, &chunks[i].node, due_ms);
}

static struct chunk *chunk_of(struct mr_wheel_node *n)
{
	return n == NULL ? NULL : (struct chunk *)((uint8_t *)n - offsetof(struct chunk, node));
}

static struct chunk *pop(uint64_t now_ms)
{
	uint32_t budget = UINT32_MAX;
	struct chunk *c = chunk_of(mr_wheel_pop(&w, now_ms, &budget));

	if (c != NULL) {
		assert_false(mr_wheel_has(&c->node));
		c->serial = 0;
	}
	return c;
}

static void a_node_leaves_at_its_time_and_not_before(void **state)
{
	static const uint64_t delays[] = {0, 1, 63, 64, 65, 4095, 4096, 262143, 262144, 1ull << 36};

	(void)state;
	for (unsigned i = 0; i < sizeof(delays) / sizeof(delays[0]); i++) {
		begin(1234567);
		add(0, 1234567 + delays[i]);
		if (delays[i] > 0) {
			assert_null(pop(1234567 + delays[i] - 1));
			assert_true(mr_wheel_due_ms(&w) <= 1234567 + delays[i]);
		}
		assert_ptr_equal(pop(1234567 + delays[i]), &chunks[0]);
		assert_int_equal(mr_wheel_due_ms(&w), UINT64_MAX);
	}
}

static void a_time_in_the_past_is_now_and_one_behind_the_last_waits(void **state)
{
	(void)state;
	begin(1000);
	add(0, 10);
	add(1, UINT64_MAX);
	assert_ptr_equal(pop(1000), &chunks[0]);
	assert_null(pop(MR_WHEEL_LAST_MS - 1));
	assert_ptr_equal(pop(MR_WHEEL_LAST_MS), &chunks[1]);
}

static void what_has_passed_leaves_also_when_the_clock_has_stepped_back(void **state)
{
	(void)state;
	begin(1000000);
	add(0, 900000);
	add(1, 1000001);
	assert_ptr_equal(pop(950000), &chunks[0]);
	assert_null(pop(950000));
	assert_null(pop(1000000));
	assert_ptr_equal(pop(1000001), &chunks[1]);
}

static void nodes_with_one_time_leave_in_the_order_of_adding(void **state)
{
	(void)state;
	begin(0);
	for (unsigned i = 0; i < 1000; i++)
		add(i, 5000);
	for (unsigned i = 0; i < 1000; i++)
		assert_ptr_equal(pop(5000), &chunks[i]);
	assert_null(pop(5000));
}

/* Returns the index of the chunk that must leave first; NODES: none is due. */
static unsigned expected(uint64_t now_ms)
{
	unsigned best = NODES;

	for (unsigned i = 0; i < NODES; i++) {
		const struct chunk *c = &chunks[i];

		if (c->serial == 0 || c->node.due_ms > now_ms)
			continue;
		if (best == NODES || c->node.due_ms < chunks[best].node.due_ms)
			best = i;
	}
	return best;
}

/* The order of nodes with one time is tested above; here the times must be right. */
static void pop_all_due(uint64_t now_ms)
{
	unsigned first;
	struct chunk *c;

	while ((first = expected(now_ms)) != NODES) {
		uint64_t due_ms = chunks[first].node.due_ms;

		assert_true(mr_wheel_due_ms(&w) <= due_ms);
		c = pop(now_ms);
		assert_non_null(c);
		assert_int_equal(c->node.due_ms, due_ms);
	}
	assert_null(pop(now_ms));
}

static void random_step(uint64_t *now_ms)
{
	unsigned i = (unsigned)(random_bits() % NODES);

	if (chunks[i].serial == 0) {
		add(i, *now_ms + (random_bits() >> (random_bits() % 30 + 34)));
	} else if (random_bits() % 2 == 0) {
		mr_wheel_remove(&w, &chunks[i].node);
		assert_false(mr_wheel_has(&chunks[i].node));
		chunks[i].serial = 0;
	}
	if (random_bits() % 64 == 0) {
		*now_ms += random_bits() >> (random_bits() % 30 + 34);
		pop_all_due(*now_ms);
	}
}

static void random_adds_and_removes_agree_with_a_list(void **state)
{
	uint64_t now_ms = 77;

	(void)state;
	begin(now_ms);
	for (unsigned i = 0; i < 60000; i++)
		random_step(&now_ms);
	pop_all_due(MR_WHEEL_LAST_MS);
	assert_int_equal(w.count, 0);
}

static void a_small_budget_only_delays(void **state)
{
	uint64_t left = 1000;
	unsigned steps = 0;

	(void)state;
	begin(0);
	for (unsigned i = 0; i < 1000; i++)
		add(i, 300000 + i % 7);
	while (left > 0) {
		uint32_t budget = 3;

		assert_true(mr_wheel_due_ms(&w) <= 300006);
		if (mr_wheel_pop(&w, 300006, &budget) != NULL)
			left--;
		assert_true(++steps < 10000);
	}
	assert_int_equal(w.count, 0);
}

static void nodes_that_are_added_while_a_slot_moves_leave_in_time(void **state)
{
	(void)state;
	begin(0);
	for (unsigned i = 0; i < 100; i++)
		add(i, 4096 + i);
	for (unsigned step = 0; step < 50; step++) {
		uint32_t budget = 1;

		assert_null(mr_wheel_pop(&w, 4096, &budget));
		add(100 + step, 4096 + 200);
	}
	pop_all_due(4096 + 199);
	assert_int_equal(w.count, 50);
	pop_all_due(4096 + 200);
	assert_int_equal(w.count, 0);
}

static void all_leave_in_one_chain(void **state)
{
	uint32_t number;
	unsigned count = 0;

	(void)state;
	begin(0);
	for (unsigned i = 0; i < 300; i++)
		add(i, random_bits() >> 30);
	number = mr_wheel_take_all(&w, 0, 7);
	for (unsigned i = 300; i < 500; i++)
		add(i, random_bits() >> 30);
	number = mr_wheel_take_all(&w, number, 9);
	assert_int_equal(w.count, 0);
	assert_int_equal(mr_wheel_due_ms(&w), UINT64_MAX);
	for (uint32_t next = number; next != 0; count++) {
		struct mr_wheel_node *n = &chunks[(next - 1) / (sizeof(chunks[0]) / 16)].node;

		number = next;
		next = n->next == number ? 0 : n->next;
		n->next = 0;
	}
	assert_int_equal(count, 500);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_node_leaves_at_its_time_and_not_before),
		cmocka_unit_test(a_time_in_the_past_is_now_and_one_behind_the_last_waits),
		cmocka_unit_test(what_has_passed_leaves_also_when_the_clock_has_stepped_back),
		cmocka_unit_test(nodes_with_one_time_leave_in_the_order_of_adding),
		cmocka_unit_test(random_adds_and_removes_agree_with_a_list),
		cmocka_unit_test(a_small_budget_only_delays),
		cmocka_unit_test(nodes_that_are_added_while_a_slot_moves_leave_in_time),
		cmocka_unit_test(all_leave_in_one_chain),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
