/* SPDX-License-Identifier: Apache-2.0 */
/* The real data plane, with control played by the test: receivers that do not read, and publishers
 * of promised messages to them. */
#include "tests/unit/dataplane/plane.h"

/* Rings of the smallest size: they fill at once. */
#define RING "channels.down_ring_bytes=262144"

struct item {
	uint64_t number;
	uint8_t filler[248];
};

static void promise(struct mr_test_session *s, const char *subject, uint64_t number)
{
	struct item item = {.number = number};
	uint64_t until = 0;

	memset(item.filler, (int)number, sizeof(item.filler));
	while (!mr_test_promise(s, subject, 0, number, &item, sizeof(item))) {
		mr_test_flush(s);
		mr_test_yield(&until, "the worker does not read");
	}
	mr_test_flush(s);
}

/* Publishes until the publisher's ring is full, as nothing is taken. */
static uint64_t promise_until_stuck(
	struct mr_test_plane *p, struct mr_test_session *s, const char *subject, uint64_t first)
{
	const struct mrf_worker_stats *stats = mr_test_worker_stats(p, s->worker);
	uint64_t blocks = __atomic_load_n(&stats->publisher_blocks, __ATOMIC_RELAXED);
	uint64_t n = first, until;
	struct item item;

	for (;; n++) {
		item.number = n;
		memset(item.filler, (int)n, sizeof(item.filler));
		until = 0;
		while (!mr_test_promise(s, subject, 0, n, &item, sizeof(item))) {
			mr_test_flush(s);
			mr_test_yield(&until, "the publisher is not held up");
			if (__atomic_load_n(&stats->publisher_blocks, __ATOMIC_RELAXED) >
				blocks + 1000)
				return n;
		}
		mr_test_flush(s);
	}
}

static uint64_t next_item(struct mr_test_session *s)
{
	struct mr_message_view m = mr_test_next(s);
	struct item item;

	assert_int_equal(m.header.kind, MRF_MESSAGE_KIND_DELIVER);
	assert_int_equal(m.payload_bytes, sizeof(item));
	memcpy(&item, m.payload, sizeof(item));
	for (size_t i = 0; i < sizeof(item.filler); i++)
		assert_int_equal(item.filler[i], (uint8_t)item.number);
	return item.number;
}

static void expect_item(struct mr_test_session *s, uint64_t number)
{
	assert_int_equal(next_item(s), number);
}

/* Reads up to that item: the publisher's worker is done with those before it, but some may still be
 * on their way to another worker. */
static void expect_item_behind_others(struct mr_test_session *s, uint64_t number)
{
	uint64_t first = next_item(s);

	assert_true(first <= number);
	while (first < number)
		expect_item(s, ++first);
}

static void nothing_is_lost_behind_a_receiver_that_blocks(unsigned workers)
{
	const char *const sets[] = {
		workers == 2 ? "workers.count=2" : "workers.count=1", RING, NULL};
	static struct mr_test_plane p;
	static struct mr_test_session slow, pub, other, reader;
	uint64_t sent;

	start(&p, sets);
	mr_test_session_open(&p, &slow, "slow");
	mr_test_session_open(&p, &pub, "pub");
	mr_test_session_open(&p, &reader, "reader");
	mr_test_session_open(&p, &other, "other");
	assert_int_equal(mr_test_subscribe_block(&p, &slow, 1, "slow.>", NULL, 0), 0);
	assert_int_equal(mr_test_subscribe_block(&p, &reader, 1, "quick", NULL, 0), 0);
	sent = promise_until_stuck(&p, &pub, "slow.a", 1);
	assert_true(mr_test_session_stats(&p, &pub)->blocked_rounds > 0);
	assert_true(mr_test_session_stats(&p, &slow)->full_since_ns > 0);
	/* Another publisher's other subject is not delayed, nor is one from the same worker. */
	for (uint64_t i = 1; i <= 2000; i++) {
		promise(&other, "quick", i);
		expect_item(&reader, i);
	}
	for (uint64_t i = 1; i < sent; i++)
		expect_item(&slow, i);
	promise(&pub, "slow.a", sent);
	expect_item(&slow, sent);
	for (unsigned i = 0; i < workers; i++) {
		assert_int_equal(mr_test_worker_stats(&p, i)->drop_receiver_full, 0);
		assert_int_equal(mr_test_worker_stats(&p, i)->drop_held_full, 0);
	}
	assert_int_equal(mr_test_session_stats(&p, &slow)->missed, 0);
	assert_int_equal(mr_test_session_stats(&p, &slow)->full_since_ns, 0);
	assert_int_equal(mr_test_session_stats(&p, &slow)->held_bytes, 0);
	mr_test_session_close(&slow);
	mr_test_session_close(&pub);
	mr_test_session_close(&reader);
	mr_test_session_close(&other);
	mr_test_plane_stop(&p);
}

static void a_publisher_waits_for_a_receiver_that_blocks(void **state)
{
	(void)state;
	nothing_is_lost_behind_a_receiver_that_blocks(1);
}

static void a_publisher_waits_for_a_receiver_on_another_worker(void **state)
{
	(void)state;
	nothing_is_lost_behind_a_receiver_that_blocks(2);
}

static void a_full_receiver_that_dies_pauses_no_publisher(void **state)
{
	static const char *const sets[] = {"workers.count=2", RING, NULL};
	static struct mr_test_plane p;
	static struct mr_test_session slow, pub, reader;
	uint64_t sent;

	(void)state;
	start(&p, sets);
	mr_test_session_open(&p, &slow, "slow");
	mr_test_session_open(&p, &pub, "pub");
	assert_int_not_equal(slow.worker, pub.worker);
	assert_int_equal(mr_test_subscribe_block(&p, &slow, 1, "s", NULL, 0), 0);
	sent = promise_until_stuck(&p, &pub, "s", 1);
	mr_test_session_close(&slow);
	mr_test_wait_count(&mr_test_worker_stats(&p, pub.worker)->published, sent - 1,
		"the publisher's messages");
	mr_test_session_open(&p, &reader, "reader");
	assert_int_equal(mr_test_subscribe_block(&p, &reader, 1, "s", NULL, 0), 0);
	promise(&pub, "s", sent);
	expect_item_behind_others(&reader, sent);
	mr_test_session_close(&pub);
	mr_test_session_close(&reader);
	mr_test_plane_stop(&p);
}

/* A receiver that drops misses every message that finds it full, promised or not, and a Gap tells
 * it where. */
static void a_receiver_that_drops_pauses_no_publisher(void **state)
{
	enum { COUNT = 4000 };
	static const char *const sets[] = {RING, NULL};
	static struct mr_test_plane p;
	static struct mr_test_session slow, pub, reader;
	uint64_t next = 1, missed = 0;

	(void)state;
	start(&p, sets);
	mr_test_session_open(&p, &slow, "slow");
	mr_test_session_open(&p, &pub, "pub");
	mr_test_session_open(&p, &reader, "reader");
	subscribe(&p, &slow, 1, "s", NULL);
	assert_int_equal(mr_test_subscribe_block(&p, &reader, 1, "s", NULL, 0), 0);
	for (uint64_t i = 1; i <= COUNT; i++) {
		promise(&pub, "s", i);
		expect_item(&reader, i);
	}
	while (next <= COUNT) {
		struct mr_message_view m = mr_test_next(&slow);
		struct mrf_gap gap;
		struct item item;

		if (m.header.kind == MRF_MESSAGE_KIND_GAP) {
			memcpy(&gap, m.payload, sizeof(gap));
			missed += gap.missed;
			next += gap.missed;
			continue;
		}
		memcpy(&item, m.payload, sizeof(item));
		assert_int_equal(item.number, next);
		next++;
	}
	assert_true(missed > 0);
	assert_int_equal(missed, mr_test_worker_stats(&p, 0)->drop_receiver_full);
	mr_test_session_close(&slow);
	mr_test_session_close(&pub);
	mr_test_session_close(&reader);
	mr_test_plane_stop(&p);
}

/* All messages for its subscriptions wait, so that nothing is missed. */
static void all_subjects_of_a_full_receiver_wait(void **state)
{
	enum { SUBJECTS = 200, BYTES = 4000 };
	static const char *const sets[] = {RING, "sessions.held_bytes_max=131072", NULL};
	static struct mr_test_plane p;
	static struct mr_test_session slow, pub;
	const struct mrf_worker_stats *stats;
	uint8_t payload[BYTES] = {0};

	(void)state;
	start(&p, sets);
	mr_test_session_open(&p, &slow, "slow");
	mr_test_session_open(&p, &pub, "pub");
	assert_int_equal(mr_test_subscribe_block(&p, &slow, 1, ">", NULL, 100), 0);
	for (uint64_t i = 1; i <= SUBJECTS; i++) {
		char subject[32];

		snprintf(subject, sizeof(subject), "s.%u", (unsigned)i);
		memcpy(payload, &i, sizeof(i));
		assert_true(mr_test_promise(&pub, subject, 0, i, payload, BYTES));
		mr_test_flush(&pub);
	}
	stats = mr_test_worker_stats(&p, 0);
	mr_test_wait_count(&stats->publisher_blocks, 1, "rounds in which the publisher waits");
	for (uint64_t i = 1; i <= SUBJECTS; i++) {
		struct mr_message_view m = mr_test_next(&slow);
		uint64_t number;

		assert_int_equal(m.header.kind, MRF_MESSAGE_KIND_DELIVER);
		memcpy(&number, m.payload, sizeof(number));
		assert_int_equal(number, i);
	}
	assert_int_equal(stats->drop_held_full, 0);
	mr_test_session_close(&slow);
	mr_test_session_close(&pub);
	mr_test_plane_stop(&p);
}

/* Promises messages while a subscriber reads. */
static void promise_to_reader(struct mr_test_session *s, struct mr_test_session *reader,
	const char *subject, uint64_t number)
{
	struct item item = {.number = number};
	uint64_t until = 0;

	do {
		mr_test_flush(s);
		while (mr_bytes_readable(&reader->down) > 0)
			(void)mr_test_next(reader);
		mr_test_yield(&until, "the worker does not read");
	} while (!mr_test_promise(s, subject, 0, number, &item, sizeof(item)));
	mr_test_flush(s);
}

static void a_group_waits_only_when_all_of_its_members_are_full(void **state)
{
	static const char *const sets[] = {"workers.count=2", RING, NULL};
	static struct mr_test_plane p;
	static struct mr_test_session slow, pub, reader;
	const struct mrf_session_stats *stats;
	uint64_t sent = 1;

	(void)state;
	start(&p, sets);
	mr_test_session_open(&p, &slow, "slow");
	mr_test_session_open(&p, &pub, "pub");
	mr_test_session_open(&p, &reader, "reader");
	assert_int_equal(mr_test_subscribe_block(&p, &slow, 1, "s", "g", 0), 0);
	assert_int_equal(mr_test_subscribe_block(&p, &reader, 1, "s", "g", 0), 0);
	stats = mr_test_session_stats(&p, &slow);
	/* The first member fills, the second gets all messages from then on. */
	for (; __atomic_load_n(&stats->full_since_ns, __ATOMIC_RELAXED) == 0; sent++)
		promise_to_reader(&pub, &reader, "s", sent);
	for (unsigned i = 0; i < 3000; i++)
		promise_to_reader(&pub, &reader, "s", sent++);
	for (unsigned i = 0; i < 2; i++) {
		assert_int_equal(mr_test_worker_stats(&p, i)->drop_group_full, 0);
		assert_int_equal(mr_test_worker_stats(&p, i)->drop_held_full, 0);
	}
	sent = promise_until_stuck(&p, &pub, "s", sent);
	assert_true(mr_test_session_stats(&p, &reader)->full_since_ns > 0);
	mr_test_session_close(&slow);
	mr_test_session_close(&pub);
	mr_test_session_close(&reader);
	mr_test_plane_stop(&p);
}

/* Takes the messages that have arrived; their first filler byte names the publisher. */
static void take_in_order(struct mr_test_session *s, uint64_t next[2])
{
	while (mr_bytes_readable(&s->down) > 0) {
		struct mr_message_view m = mr_test_next(s);
		struct item item;

		assert_int_equal(m.header.kind, MRF_MESSAGE_KIND_DELIVER);
		memcpy(&item, m.payload, sizeof(item));
		assert_true(item.filler[0] < 2);
		assert_int_equal(item.number, ++next[item.filler[0]]);
	}
}

/* Again and again everything stops, and goes on when the receivers read. */
static void publishers_of_both_workers_go_on_whenever_receivers_read(void **state)
{
	enum { ROUNDS = 30 };
	static const char *const sets[] = {
		"workers.count=2", "channels.up_ring_bytes=262144", RING, NULL};
	static struct mr_test_plane p;
	static struct mr_test_session pub[2], reader[2];
	uint64_t sent[2] = {0}, got[2][2] = {0};

	(void)state;
	start(&p, sets);
	for (unsigned i = 0; i < 2; i++)
		mr_test_session_open(&p, &pub[i], "pub");
	for (unsigned i = 0; i < 2; i++) {
		mr_test_session_open(&p, &reader[i], "reader");
		assert_int_equal(mr_test_subscribe_block(&p, &reader[i], 1, "s", NULL, 0), 0);
	}
	assert_int_not_equal(pub[0].worker, pub[1].worker);
	assert_int_not_equal(reader[0].worker, reader[1].worker);
	for (unsigned round = 0; round < ROUNDS; round++) {
		for (unsigned i = 0; i < 2; i++) {
			struct item item = {.number = sent[i] + 1, .filler = {(uint8_t)i}};

			while (mr_test_promise(&pub[i], "s", 0, 0, &item, sizeof(item))) {
				sent[i]++;
				item.number++;
				mr_test_flush(&pub[i]);
			}
		}
		for (unsigned i = 0; i < 2; i++) {
			uint64_t until = 0;

			while (got[i][0] < sent[0] || got[i][1] < sent[1]) {
				take_in_order(&reader[0], got[0]);
				take_in_order(&reader[1], got[1]);
				mr_test_yield(&until, "what was promised does not come");
			}
		}
	}
	for (unsigned i = 0; i < 2; i++) {
		assert_int_equal(mr_test_session_stats(&p, &reader[i])->missed, 0);
		assert_int_equal(mr_test_worker_stats(&p, i)->drop_held_full, 0);
	}
	for (unsigned i = 0; i < 2; i++) {
		mr_test_session_close(&pub[i]);
		mr_test_session_close(&reader[i]);
	}
	mr_test_plane_stop(&p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_publisher_waits_for_a_receiver_that_blocks),
		cmocka_unit_test(a_publisher_waits_for_a_receiver_on_another_worker),
		cmocka_unit_test(a_full_receiver_that_dies_pauses_no_publisher),
		cmocka_unit_test(a_receiver_that_drops_pauses_no_publisher),
		cmocka_unit_test(all_subjects_of_a_full_receiver_wait),
		cmocka_unit_test(a_group_waits_only_when_all_of_its_members_are_full),
		cmocka_unit_test(publishers_of_both_workers_go_on_whenever_receivers_read),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
