/* SPDX-License-Identifier: Apache-2.0 */
/* A fan-out that takes more than a turn is interrupted and resumed: it is whole and in order,
 * whatever changes meanwhile. */
#include <time.h>
#include <unistd.h>

#include "tests/unit/worker/cmocka_all.h"

#include <rte_rcu_qsbr.h>

#include "dataplane/worker/fan.h"
#include "tests/support/net/rig.h"

#define SINKS      20000u
#define ROUNDS_MAX 20000u

static struct mr_rig r;
static struct mr_rig_local hog, honest, many, one;
static uint32_t last[2 * SINKS + 1];

/* `many` has that many subscriptions to "big", `one` has one to "small"; both are on the last
 * worker. */
static void open_all(unsigned workers, uint32_t sinks)
{
	unsigned far = workers - 1;

	mr_rig_open(&r, workers);
	mr_rig_attach(&r, 0, 0, &hog);
	mr_rig_attach(&r, 0, 1, &honest);
	mr_rig_attach(&r, far, 2, &many);
	mr_rig_attach(&r, far, 3, &one);
	for (uint32_t id = 1; id <= sinks; id++)
		mr_rig_subscribe(&r, many.session, id, "big");
	mr_rig_subscribe(&r, one.session, 1, "small");
	memset(last, 0, sizeof(last));
}

static void close_all(void)
{
	close(hog.liveness_fd);
	close(honest.liveness_fd);
	close(many.liveness_fd);
	close(one.liveness_fd);
	mr_rig_close(&r);
}

static void publish(struct mr_rig_local *c, const char *subject, uint32_t number)
{
	struct mr_message_plan plan = mr_message_plan(MRF_MESSAGE_KIND_PUBLISH, NULL, subject,
		strlen(subject), &number, 0, sizeof(number));

	mr_rig_push(c, &plan, 0);
}

/* Takes arrived messages, in order for each subscription; returns how many. */
static uint32_t take(struct mr_rig_local *c)
{
	struct mr_message_view m;
	uint32_t count = 0, number;

	for (; mr_rig_next(c, &m); count++) {
		assert_int_equal(m.header.kind, MRF_MESSAGE_KIND_DELIVER);
		memcpy(&number, m.payload, sizeof(number));
		if (c == &many)
			assert_int_equal(number, ++last[m.header.target]);
	}
	(void)mr_bytes_release(&c->down);
	return count;
}

static void round_of_all(void)
{
	for (unsigned i = 0; i < r.workers_count; i++)
		mr_rig_round(&r, i);
}

/* Both publish one message. Returns the rounds until all copies of it are made; in each round the
 * other's message arrives. */
static unsigned fan_out_beside_another(uint32_t sinks, uint32_t number)
{
	uint32_t got = 0, came = 0, asked = 0;
	unsigned rounds = 0;

	publish(&hog, "big", number);
	for (; got < sinks && rounds < ROUNDS_MAX; rounds++) {
		uint32_t before = got;

		publish(&honest, "small", ++asked);
		round_of_all();
		came += take(&one);
		got += take(&many);
		assert_true(got - before <= 2 * MR_ROUND_WORK);
		/* Messages of another worker come after it. */
		assert_true(r.workers_count > 1 || came + 1 >= asked);
	}
	assert_int_equal(got, sinks);
	round_of_all();
	assert_int_equal(came + take(&one), asked);
	return rounds;
}

static void a_fan_out_is_left_and_resumed(unsigned workers)
{
	open_all(workers, SINKS);
	for (uint32_t number = 1; number <= 3; number++)
		assert_in_range(fan_out_beside_another(SINKS, number), 2, ROUNDS_MAX - 1);
	assert_true(mr_session_drained(hog.session));
	assert_null(hog.session->late);
	assert_null(r.workers[workers - 1]->fans->used);
	assert_int_equal(many.session->stats->missed, 0);
	close_all();
}

static void a_fan_out_is_left_and_resumed_here(void **state)
{
	(void)state;
	a_fan_out_is_left_and_resumed(1);
}

static void a_fan_out_is_left_and_resumed_at_another_worker(void **state)
{
	(void)state;
	a_fan_out_is_left_and_resumed(2);
}

static void unsubscribe(uint32_t from, uint32_t until)
{
	struct mr_owner owner = {(uint16_t)mr_session_worker(many.session->id), many.session->slot,
		many.session->generation};

	for (uint32_t id = from; id <= until; id++)
		assert_int_equal(mr_table_unsubscribe(r.table, &owner, id), 0);
}

/* The sinks stay until the fan-out is done; then their memory is freed. */
static void the_table_may_change_meanwhile(unsigned workers)
{
	uint32_t got = 0;
	uint64_t token;

	open_all(workers, SINKS);
	publish(&hog, "big", 1);
	while (r.workers[workers - 1]->fans->used == NULL)
		round_of_all();
	got += take(&many);
	unsubscribe(SINKS / 4, SINKS);
	for (uint32_t id = SINKS + 1; id <= 2 * SINKS; id++)
		mr_rig_subscribe(&r, many.session, id, "big");
	token = rte_rcu_qsbr_start(r.qsbr);
	for (unsigned i = 0; i < workers; i++)
		mr_router_quiescent(r.workers[i]->router);
	assert_int_equal(rte_rcu_qsbr_check(r.qsbr, token, false), 1);
	assert_false(mr_table_passed(r.table, token));
	for (unsigned i = 0; i < ROUNDS_MAX && r.workers[workers - 1]->fans->used != NULL; i++) {
		(void)mr_table_reclaim(r.table);
		round_of_all();
		got += take(&many);
	}
	/* A subscriber that left may have got it, one that came later has not. */
	assert_in_range(got, SINKS / 4 - 1, SINKS);
	assert_int_equal(last[SINKS / 4 - 1], 1);
	assert_int_equal(last[SINKS + 1], 0);
	round_of_all();
	assert_true(mr_table_passed(r.table, token));
	assert_int_equal(mr_table_reclaim(r.table), 0);
	close_all();
}

static void the_table_may_change_meanwhile_here(void **state)
{
	(void)state;
	the_table_may_change_meanwhile(1);
}

static void the_table_may_change_meanwhile_at_another_worker(void **state)
{
	(void)state;
	the_table_may_change_meanwhile(2);
}

/* The messages behind it in the ring are read again, in order, and counted once. */
static void messages_behind_a_fan_out_keep_their_order(void **state)
{
	enum { EACH = 8, ALL = 4 * EACH };
	struct mr_message_plan beat =
		mr_message_plan(MRF_MESSAGE_KIND_BEAT, NULL, NULL, 0, NULL, 0, 0);
	uint32_t copies = 0, beats = 0, seen = 0;
	struct mr_message_view m;

	(void)state;
	open_all(1, SINKS / 10);
	mr_rig_subscribe(&r, one.session, 2, "big");
	for (uint32_t i = 0; i < EACH; i++) {
		publish(&hog, "small", 4 * i);
		publish(&hog, "big", 4 * i + 1);
		publish(&hog, "small", 4 * i + 2);
		publish(&hog, "big", 4 * i + 3);
		mr_rig_push(&hog, &beat, 0);
	}
	for (unsigned i = 0; i < ROUNDS_MAX && seen < ALL; i++) {
		mr_rig_round(&r, 0);
		while (mr_rig_next(&one, &m)) {
			uint32_t number;

			memcpy(&number, m.payload, sizeof(number));
			assert_int_equal(number, seen++);
		}
		(void)mr_bytes_release(&one.down);
		while (mr_rig_next(&many, &m))
			copies++;
		(void)mr_bytes_release(&many.down);
		while (mr_rig_next(&hog, &m))
			beats += m.header.kind == MRF_MESSAGE_KIND_BEAT;
	}
	assert_int_equal(seen, ALL);
	for (unsigned i = 0; i < ROUNDS_MAX && !mr_session_drained(hog.session); i++)
		mr_rig_round(&r, 0);
	while (mr_rig_next(&many, &m))
		copies++;
	while (mr_rig_next(&hog, &m))
		beats += m.header.kind == MRF_MESSAGE_KIND_BEAT;
	assert_int_equal(copies, 2 * EACH * (SINKS / 10));
	assert_int_equal(beats, EACH);
	assert_int_equal(hog.session->stats->rx_messages, 5 * EACH);
	assert_int_equal(r.stats[0].published, ALL);
	close_all();
}

/* A subscriber that leaves in the middle is skipped from there on. */
static void a_receiver_may_go_meanwhile(void **state)
{
	uint32_t got;

	(void)state;
	open_all(1, SINKS);
	publish(&hog, "big", 1);
	mr_rig_round(&r, 0);
	assert_non_null(r.workers[0]->fans->used);
	got = take(&many);
	mr_rig_detach(&r, &many);
	for (unsigned i = 0; i < ROUNDS_MAX && r.workers[0]->fans->used != NULL; i++)
		mr_rig_round(&r, 0);
	assert_null(r.workers[0]->fans->used);
	assert_int_equal(r.stats[0].drop_session_gone + got, SINKS);
	close(hog.liveness_fd);
	close(honest.liveness_fd);
	close(one.liveness_fd);
	mr_rig_close(&r);
}

/* All of it is for queue groups, on this worker and on another. */
static void groups_are_left_and_resumed(void **state)
{
	enum { GROUPS = 64, PATTERNS = 6 };
	static const char *const patterns[PATTERNS] = {
		"a.b.c", "*.b.c", "a.*.c", "a.b.*", ">", "a.>"};
	static uint8_t payload[8192];
	struct mr_message_plan plan = mr_message_plan(
		MRF_MESSAGE_KIND_PUBLISH, NULL, "a.b.c", 5, payload, 0, sizeof(payload));
	struct mr_message_view m;
	uint32_t got[2] = {0, 0};
	char group[16];

	(void)state;
	mr_rig_open(&r, 2);
	mr_rig_attach(&r, 0, 0, &hog);
	mr_rig_attach(&r, 0, 1, &many);
	mr_rig_attach(&r, 1, 2, &one);
	for (uint32_t p = 0; p < PATTERNS; p++)
		for (uint32_t g = 0; g < GROUPS; g++) {
			snprintf(group, sizeof(group), "g%u.%u", p, g);
			mr_rig_join(&r, g % 2 ? many.session : one.session, 1 + p * GROUPS + g,
				patterns[p], group);
		}
	for (unsigned i = 0; i < 4; i++)
		mr_rig_push(&hog, &plan, 0);
	for (unsigned i = 0; i < 400; i++) {
		round_of_all();
		while (mr_rig_next(&many, &m))
			got[0]++;
		(void)mr_bytes_release(&many.down);
		while (mr_rig_next(&one, &m))
			got[1]++;
		(void)mr_bytes_release(&one.down);
	}
	assert_int_equal(got[0] + r.stats[0].drop_group_full, 4 * GROUPS * PATTERNS / 2);
	assert_int_equal(got[1] + r.stats[1].drop_group_full, 4 * GROUPS * PATTERNS / 2);
	assert_true(got[0] > 0 && got[1] > 0);
	assert_int_equal(r.stats[0].published, 4);
	close(hog.liveness_fd);
	close(many.liveness_fd);
	close(one.liveness_fd);
	mr_rig_close(&r);
}

/* One client's many subscriptions get few copies; those left out are counted. */
static void a_client_gets_so_many_copies(unsigned workers)
{
	enum { MOST = 16, HAS = 100 };

	mr_rig_copies_max = MOST;
	open_all(workers, HAS);
	mr_rig_copies_max = 0;
	mr_rig_subscribe(&r, one.session, 2, "big");
	publish(&hog, "big", 1);
	publish(&hog, "small", 2);
	for (unsigned i = 0; i < 8; i++)
		round_of_all();
	assert_int_equal(take(&many), MOST);
	assert_int_equal(take(&one), 2);
	assert_int_equal(r.stats[workers - 1].drop_copies, HAS - MOST);
	assert_int_equal(many.session->stats->missed, 0);
	/* When some end, others take their place. */
	unsubscribe(1, HAS - 1);
	publish(&hog, "big", 1);
	for (unsigned i = 0; i < 8; i++)
		round_of_all();
	assert_int_equal(take(&many), 1);
	assert_int_equal(r.stats[workers - 1].drop_copies, HAS - MOST);
	close_all();
}

static void a_client_gets_so_many_copies_here(void **state)
{
	(void)state;
	a_client_gets_so_many_copies(1);
}

static void a_client_gets_so_many_copies_at_another_worker(void **state)
{
	(void)state;
	a_client_gets_so_many_copies(2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_fan_out_is_left_and_resumed_here),
		cmocka_unit_test(a_fan_out_is_left_and_resumed_at_another_worker),
		cmocka_unit_test(the_table_may_change_meanwhile_here),
		cmocka_unit_test(the_table_may_change_meanwhile_at_another_worker),
		cmocka_unit_test(messages_behind_a_fan_out_keep_their_order),
		cmocka_unit_test(a_receiver_may_go_meanwhile),
		cmocka_unit_test(groups_are_left_and_resumed),
		cmocka_unit_test(a_client_gets_so_many_copies_here),
		cmocka_unit_test(a_client_gets_so_many_copies_at_another_worker),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
