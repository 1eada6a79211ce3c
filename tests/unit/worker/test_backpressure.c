/* SPDX-License-Identifier: Apache-2.0 */
/* Receivers that stand still: every message that could reach one waits before its room is used up,
 * whatever its subject and publisher. It waits as long as the bus waits for the receiver, and no
 * longer. */
#include <stdio.h>
#include <unistd.h>

#include "tests/unit/worker/cmocka_all.h"

#include "lib/base/stats.h"
#include "dataplane/worker/backpressure.h"
#include "tests/support/net/rig.h"

#define BYTES 4000u

static struct mr_rig r;
static struct mr_rig_local pub, second, slow, reader;

static void block(const struct mr_session *session, uint32_t id, const char *pattern)
{
	struct mr_owner owner = {
		(uint16_t)mr_session_worker(session->id), session->slot, session->generation};

	mr_rig_subscribe(&r, session, id, pattern);
	assert_int_equal(mr_table_high_water(r.table, &owner, id, 50), 0);
}

static void join(const struct mr_session *session, uint32_t id, const char *group)
{
	struct mr_owner owner = {
		(uint16_t)mr_session_worker(session->id), session->slot, session->generation};

	mr_rig_join(&r, session, id, "a.b", group);
	assert_int_equal(mr_table_high_water(r.table, &owner, id, 50), 0);
}

/* Opens two publishers on worker 0; the receivers are on the last worker. */
static void open_all(unsigned workers)
{
	mr_rig_open(&r, workers);
	mr_rig_attach(&r, 0, 0, &pub);
	mr_rig_attach(&r, 0, 1, &second);
	mr_rig_attach(&r, workers - 1, 2, &slow);
	mr_rig_attach(&r, workers - 1, 3, &reader);
}

static void close_all(void)
{
	for (unsigned i = 0; i < r.workers_count; i++)
		mr_rig_round(&r, i);
	close(pub.liveness_fd);
	close(second.liveness_fd);
	close(slow.liveness_fd);
	close(reader.liveness_fd);
	mr_rig_close(&r);
}

static void rounds(unsigned count)
{
	while (count-- > 0)
		for (unsigned i = 0; i < r.workers_count; i++)
			mr_rig_round(&r, i);
}

/* False: no room in the publisher's ring. */
static bool promise(struct mr_rig_local *from, const char *subject, uint32_t number)
{
	static uint8_t payload[BYTES];
	const struct mr_message_extra extra = {
		.flags = MRF_MESSAGE_FLAG_ORIGIN, .origin.id = number};
	struct mr_message_plan plan = mr_message_plan(MRF_MESSAGE_KIND_PUBLISH, NULL, subject,
		(uint32_t)strlen(subject), payload, 0, sizeof(payload));

	memcpy(payload, &number, sizeof(number));
	mr_message_plan_extra(&plan, &extra);
	if (mr_bytes_room(&from->up, plan.stride) < plan.stride)
		return false;
	mr_rig_push(from, &plan, 0);
	return true;
}

/* Promises to one subject each, until nothing more is taken; returns how many were pushed. */
static uint32_t promise_to_many(unsigned steps_of_receiver)
{
	uint32_t number = 0, vain = 0;
	char subject[32];

	while (vain < 20) {
		snprintf(subject, sizeof(subject), "a.%u", number + 1);
		if (promise(number % 2 != 0 ? &second : &pub, subject, number + 1)) {
			number++;
			vain = 0;
		} else {
			vain++;
		}
		mr_rig_round(&r, 0);
		if (number % 64 < steps_of_receiver || vain > 10)
			rounds(1);
		assert_true(number < 4000);
	}
	return number;
}

static uint64_t lost(void)
{
	uint64_t n = 0;

	for (unsigned i = 0; i < r.workers_count; i++)
		n += r.stats[i].drop_held_full + r.stats[i].drop_mesh_full +
		     r.stats[i].drop_group_full + r.stats[i].drop_receiver_full;
	return n;
}

/* Reads until nothing more arrives; returns how many, and checks the order of both publishers'
 * messages. */
static uint32_t read_all(struct mr_rig_local *from)
{
	uint32_t got = 0, number, last[2] = {0, 0};
	struct mr_message_view m;

	for (unsigned vain = 0; vain < 20; vain++) {
		while (mr_rig_next(from, &m)) {
			assert_int_equal(m.header.kind, MRF_MESSAGE_KIND_DELIVER);
			memcpy(&number, m.payload, sizeof(number));
			assert_true(number > last[number % 2]);
			last[number % 2] = number;
			got++;
			vain = 0;
		}
		(void)mr_bytes_release(&from->down);
		rounds(1);
	}
	return got;
}

static void all_subjects_of_a_full_receiver_wait(unsigned workers, unsigned steps_of_receiver)
{
	uint32_t sent;

	open_all(workers);
	block(slow.session, 1, "a.>");
	block(reader.session, 1, "b.>");
	sent = promise_to_many(steps_of_receiver);
	assert_true(pub.session->paused && second.session->paused);
	assert_true(slow.session->stats->full_since_ns != 0);
	assert_true(slow.session->stats->held_bytes <= mr_underway_bytes(workers));
	assert_int_equal(pub.session->stats->blocked_by, slow.session->id);
	assert_int_equal(lost(), 0);
	assert_int_equal(read_all(&slow), sent);
	assert_int_equal(slow.session->stats->missed, 0);
	assert_false(pub.session->paused || second.session->paused);
	assert_int_equal(r.workers[workers - 1]->full->count, 0);
	close_all();
}

static void all_subjects_of_a_receiver_of_the_same_worker_wait(void **state)
{
	(void)state;
	all_subjects_of_a_full_receiver_wait(1, 64);
}

static void all_subjects_of_a_receiver_of_another_worker_wait(void **state)
{
	(void)state;
	all_subjects_of_a_full_receiver_wait(2, 64);
}

static void a_worker_that_seldom_runs_gets_no_more_than_its_window(void **state)
{
	(void)state;
	all_subjects_of_a_full_receiver_wait(3, 1);
}

/* Only the window holds the publishers up while the receiver's worker does not run at all. */
static void messages_in_flight_to_a_worker_are_bounded(void **state)
{
	uint32_t number = 0;

	(void)state;
	open_all(2);
	block(slow.session, 1, "a.>");
	for (unsigned i = 0; i < 400; i++) {
		for (unsigned k = 0; k < 8; k++)
			if (promise(&pub, "a.b", number + 1))
				number++;
		mr_rig_round(&r, 0);
	}
	assert_true(r.stats[0].published * BYTES >= MR_UNDERWAY_WINDOW_BYTES / 2);
	assert_true(r.stats[0].published * BYTES <= mr_underway_bytes(2));
	assert_true(r.stats[0].mesh_stalls > 0);
	assert_int_equal(r.stats[0].publisher_blocks, 0);
	rounds(1);
	for (uint32_t got = 0, n; got < number; rounds(1)) {
		struct mr_message_view m;

		while (mr_rig_next(&slow, &m)) {
			memcpy(&n, m.payload, sizeof(n));
			assert_int_equal(n, ++got);
		}
		(void)mr_bytes_release(&slow.down);
	}
	close_all();
}

/* Messages for the other receivers of that worker go on meanwhile. */
static void publishers_wait_for_no_other_receiver_of_the_worker(void **state)
{
	struct mr_message_view m;
	uint32_t got = 0;

	(void)state;
	open_all(2);
	block(slow.session, 1, "a.>");
	block(reader.session, 1, "b.*");
	for (uint32_t i = 1; !pub.session->paused; i++) {
		assert_true(i < 1000);
		(void)promise(&pub, "a.b", i);
		rounds(1);
	}
	for (uint32_t i = 1; i <= 200; i++) {
		assert_true(promise(&second, "b.c", i));
		rounds(2);
		while (mr_rig_next(&reader, &m))
			got++;
		(void)mr_bytes_release(&reader.down);
		assert_int_equal(got, i);
	}
	assert_true(pub.session->paused);
	/* One walk for the subject, not one for each message. */
	assert_true(mr_router_counters(r.workers[0]->router)->cache_misses <= 3);
	close_all();
}

/* Publishes of one burst alternate between a receiver that is full and one that is not. */
static void each_subject_of_a_burst_is_looked_at(void **state)
{
	struct mr_message_view m;
	uint32_t got = 0, number;

	(void)state;
	open_all(1);
	block(slow.session, 1, "a.>");
	block(reader.session, 1, "b.*");
	for (uint32_t i = 1; !pub.session->paused; i++) {
		assert_true(i < 1000);
		(void)promise(&pub, "a.b", i);
		rounds(1);
	}
	assert_true(promise(&second, "b.b", 1));
	assert_true(promise(&second, "b.b", 2));
	assert_true(promise(&second, "a.b", 3));
	assert_true(promise(&second, "b.b", 4));
	rounds(3);
	while (mr_rig_next(&reader, &m)) {
		memcpy(&number, m.payload, sizeof(number));
		assert_int_equal(number, ++got);
	}
	assert_int_equal(got, 2);
	assert_true(second.session->paused);
	(void)mr_bytes_release(&reader.down);
	while (second.session->paused) {
		while (mr_rig_next(&slow, &m))
			;
		(void)mr_bytes_release(&slow.down);
		rounds(1);
	}
	rounds(1);
	assert_true(mr_rig_next(&reader, &m));
	memcpy(&number, m.payload, sizeof(number));
	assert_int_equal(number, 4);
	close_all();
}

/* One message makes many copies for one session, and all of them find room. */
static void overlapping_subscriptions_of_one_session_are_counted(void **state)
{
	static const char *const patterns[] = {
		"a.>", "a.*", ">", "*.>", "*.*", "a.1", "a.2", "a.3", "a.4", "a.5"};
	uint32_t sent = 0;
	char subject[32];

	(void)state;
	open_all(2);
	for (uint32_t i = 0; i < MR_ARRAY_COUNT(patterns); i++)
		block(slow.session, 1 + i, patterns[i]);
	for (unsigned i = 0; i < 600; i++) {
		snprintf(subject, sizeof(subject), "a.%u", 10 + i);
		if (promise(&pub, subject, 2 * (sent + 1)))
			sent++;
		mr_rig_round(&r, 0);
		if (i % 20 == 0)
			rounds(1);
	}
	rounds(10);
	assert_true(pub.session->paused);
	assert_int_equal(lost(), 0);
	for (uint32_t got = 0, vain = 0; vain < 20; vain++) {
		struct mr_message_view m;

		while (mr_rig_next(&slow, &m)) {
			got++;
			vain = 0;
		}
		(void)mr_bytes_release(&slow.down);
		rounds(1);
		if (vain == 19)
			assert_int_equal(got, sent * 5);
	}
	assert_int_equal(lost(), 0);
	close_all();
}

/* All blocking publishers wait when memory is short, before a message is dropped. */
static void little_memory_holds_all_publishers_up(void **state)
{
	struct mr_worker *w;
	void *taken[1024];
	uint32_t count = 0;

	(void)state;
	open_all(1);
	w = r.workers[0];
	block(slow.session, 1, "a.>");
	while (mr_slab_bytes(w->store) < mr_slab_bytes_max(w->store) / 5 * 4) {
		taken[count] = mr_slab_alloc(w->store, MR_SLAB_CHUNK_BYTES_MAX);
		assert_non_null(taken[count]);
		assert_true(++count < MR_ARRAY_COUNT(taken));
	}
	mr_worker_check_store(w);
	assert_true(promise(&pub, "a.b", 1));
	assert_true(promise(&second, "b.c", 1)); /* has no subscriber that blocks */
	rounds(3);
	assert_true(pub.session->paused);
	assert_int_equal(pub.session->stats->blocked_by, 0);
	assert_int_equal(r.stats[0].published, 1);
	while (count > 0)
		mr_slab_release(w->store, taken[--count], MR_SLAB_CHUNK_BYTES_MAX);
	mr_worker_check_store(w);
	rounds(2);
	assert_false(pub.session->paused);
	assert_int_equal(read_all(&slow), 1);
	close_all();
}

/* Time passes in rounds, as it does for workers that run. */
static void stand_still_ms(unsigned ms)
{
	for (; ms > 0; ms -= 100) {
		mr_rig_wait_ms(&r, 100);
		rounds(1);
	}
}

static void fill(struct mr_rig_local *from, const char *subject)
{
	for (uint32_t i = 1; !from->session->paused; i++) {
		assert_true(i < 1000);
		(void)promise(from, subject, i);
		rounds(1);
	}
}

static void wait_for_at_most(uint32_t ms, bool expels)
{
	for (unsigned i = 0; i < r.workers_count; i++) {
		r.workers[i]->block_cycles_max = r.workers[i]->tsc_hz / 1000 * ms;
		r.workers[i]->block_expels = expels;
	}
}

static void receiver_that_does_not_read_is_passed_over_until_it_has_caught_up(void **state)
{
	const struct mrf_worker_stats *stats;
	struct mr_message_view m;
	uint64_t missed = 0, got = 0;
	struct mrf_gap gap;

	(void)state;
	open_all(2);
	stats = &r.stats[1];
	block(slow.session, 1, "a.>");
	block(reader.session, 1, "a.b");
	wait_for_at_most(1000, false);
	fill(&pub, "a.b");
	(void)read_all(&reader);
	stand_still_ms(800);
	assert_true(pub.session->paused);
	stand_still_ms(400);
	assert_false(pub.session->paused);
	assert_true(slow.session->passed_over);
	assert_int_equal(stats->blocks_over, 1);
	assert_true((slow.session->stats->full_since_ns & MR_FULL_PASSED_OVER) != 0);
	for (uint32_t i = 0; i < 100; i++) {
		assert_true(promise(&pub, "a.b", 1001 + i));
		rounds(2);
		(void)read_all(&reader);
	}
	assert_true(stats->drop_block_over > 0);
	assert_int_equal(slow.session->stats->missed, stats->drop_block_over);
	/* The receiver reads: a Gap tells what it missed, and publishers wait for it again. */
	for (unsigned vain = 0; vain < 20; vain++) {
		while (mr_rig_next(&slow, &m)) {
			if (m.header.kind == MRF_MESSAGE_KIND_GAP) {
				memcpy(&gap, m.payload, sizeof(gap));
				missed += gap.missed;
			} else {
				got++;
			}
		}
		(void)mr_bytes_release(&slow.down);
		rounds(1);
	}
	assert_int_equal(missed, stats->drop_block_over);
	assert_int_equal(got + missed, r.stats[0].published);
	assert_false(slow.session->passed_over);
	assert_int_equal(slow.session->stats->full_since_ns, 0);
	assert_int_equal(r.workers[1]->full->count, 0);
	fill(&pub, "a.c");
	assert_int_equal(pub.session->stats->blocked_by, slow.session->id);
	close_all();
}

static void publishers_wait_for_a_receiver_that_reads_a_little(void **state)
{
	struct mr_message_view m;

	(void)state;
	open_all(1);
	block(slow.session, 1, "a.b");
	wait_for_at_most(1000, false);
	fill(&pub, "a.b");
	for (unsigned i = 0; i < 10; i++) {
		stand_still_ms(800);
		assert_true(mr_rig_next(&slow, &m));
		(void)mr_bytes_release(&slow.down);
	}
	assert_true(pub.session->paused);
	assert_int_equal(r.stats[0].blocks_over, 0);
	/* Time in which the whole bus stood still does not count against it either. */
	mr_rig_wait_ms(&r, 60000);
	rounds(3);
	assert_true(pub.session->paused);
	assert_int_equal(r.stats[0].blocks_over, 0);
	close_all();
}

static void a_receiver_that_unsubscribes_while_it_is_full_is_not_waited_for(void **state)
{
	struct mr_owner owner;

	(void)state;
	open_all(2);
	owner = (struct mr_owner){(uint16_t)mr_session_worker(slow.session->id), slow.session->slot,
		slow.session->generation};
	block(slow.session, 1, "a.b");
	block(slow.session, 2, "a.c");
	fill(&pub, "a.b");
	fill(&second, "a.c");
	assert_int_equal(mr_table_unsubscribe(r.table, &owner, 1), 0);
	mr_rig_wait_ms(&r, 5);
	rounds(3);
	assert_false(pub.session->paused);
	assert_true(second.session->paused);
	assert_int_equal(second.session->stats->blocked_by, slow.session->id);
	close_all();
}

static void receiver_that_does_not_read_is_expelled_if_configured(void **state)
{
	(void)state;
	open_all(1);
	block(slow.session, 1, "a.b");
	wait_for_at_most(1000, true);
	fill(&pub, "a.b");
	stand_still_ms(1200);
	assert_false(pub.session->paused);
	assert_true(atomic_load(&slow.session->full_too_long));
	close_all();
}

/* The group's others get the messages of the member that is passed over; none counts as missed. */
static void a_group_does_without_the_member_that_is_passed_over(void **state)
{
	uint32_t before;

	(void)state;
	open_all(2);
	block(slow.session, 9, "c");
	join(slow.session, 1, "g");
	join(reader.session, 1, "g");
	wait_for_at_most(1000, false);
	fill(&pub, "c");
	stand_still_ms(1200);
	assert_true(slow.session->passed_over);
	before = (uint32_t)slow.session->stats->tx_messages;
	for (uint32_t i = 1; i <= 50; i++) {
		assert_true(promise(&second, "a.b", 2 * i));
		rounds(2);
		assert_int_equal(read_all(&reader), 1);
	}
	assert_int_equal(slow.session->stats->tx_messages, before);
	assert_int_equal(lost(), 0);
	close_all();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(all_subjects_of_a_receiver_of_the_same_worker_wait),
		cmocka_unit_test(all_subjects_of_a_receiver_of_another_worker_wait),
		cmocka_unit_test(a_worker_that_seldom_runs_gets_no_more_than_its_window),
		cmocka_unit_test(messages_in_flight_to_a_worker_are_bounded),
		cmocka_unit_test(publishers_wait_for_no_other_receiver_of_the_worker),
		cmocka_unit_test(each_subject_of_a_burst_is_looked_at),
		cmocka_unit_test(overlapping_subscriptions_of_one_session_are_counted),
		cmocka_unit_test(little_memory_holds_all_publishers_up),
		cmocka_unit_test(receiver_that_does_not_read_is_passed_over_until_it_has_caught_up),
		cmocka_unit_test(publishers_wait_for_a_receiver_that_reads_a_little),
		cmocka_unit_test(a_receiver_that_unsubscribes_while_it_is_full_is_not_waited_for),
		cmocka_unit_test(receiver_that_does_not_read_is_expelled_if_configured),
		cmocka_unit_test(a_group_does_without_the_member_that_is_passed_over),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
