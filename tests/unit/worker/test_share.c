/* SPDX-License-Identifier: Apache-2.0 */
/* Expensive actions of a client cost only itself, and its delayed messages keep order and
 * completeness. */
#include <unistd.h>

#include "tests/unit/worker/cmocka_all.h"

#include "dataplane/worker/share.h"
#include "tests/support/net/rig.h"

static struct mr_rig r;
static struct mr_rig_local hog, honest, many, one;

/* `many` has that many subscriptions to "big", `one` has one to "small". */
static void open_all(uint32_t sinks)
{
	mr_rig_open(&r, 1);
	mr_rig_attach(&r, 0, 0, &hog);
	mr_rig_attach(&r, 0, 1, &honest);
	mr_rig_attach(&r, 0, 2, &many);
	mr_rig_attach(&r, 0, 3, &one);
	for (uint32_t id = 1; id <= sinks; id++)
		mr_rig_subscribe(&r, many.session, id, "big");
	mr_rig_subscribe(&r, one.session, 1, "small");
}

static void close_all(void)
{
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

static uint32_t take(struct mr_rig_local *c, void (*look)(const struct mr_message_view *m))
{
	struct mr_message_view m;
	uint32_t count = 0;

	for (; mr_rig_next(c, &m); count++)
		if (look != NULL)
			look(&m);
	(void)mr_bytes_release(&c->down);
	return count;
}

/* Both publish in each round. A message of the one makes 1,000 copies, so that one burst of the
 * other costs less than one of its messages. */
static void publishers_share_by_cost_and_not_by_count(void **state)
{
	enum { ROUNDS = 400, BURST = 32, SINKS = 1000 };
	uint64_t dear = 0, cheap = 0, before;

	(void)state;
	open_all(SINKS);
	for (uint32_t i = 0, said = 0, asked = 0; i < ROUNDS; i++) {
		for (; said < hog.session->stats->rx_messages + BURST; said++)
			publish(&hog, "big", said);
		for (; asked < honest.session->stats->rx_messages + BURST; asked++)
			publish(&honest, "small", asked);
		mr_rig_round(&r, 0);
		cheap += take(&one, NULL);
		dear += take(&many, NULL) / SINKS;
	}
	assert_true(dear > 0);
	assert_true(cheap > 8 * dear);
	/* When the other is idle it has the worker for itself. */
	before = dear;
	for (uint32_t i = 0; i < 16; i++) {
		mr_rig_round(&r, 0);
		(void)take(&one, NULL);
		dear += take(&many, NULL) / SINKS;
	}
	assert_true(dear >= before + 8);
	close(hog.liveness_fd);
	close_all();
}

static uint32_t last[4001];

static void look_for_the_next(const struct mr_message_view *m)
{
	uint32_t number;

	assert_int_equal(m->header.kind, MRF_MESSAGE_KIND_DELIVER);
	memcpy(&number, m->payload, sizeof(number));
	assert_int_equal(number, ++last[m->header.target]);
}

static void late_messages_are_whole_and_in_order(void **state)
{
	enum { SINKS = 200, MESSAGES = 32 };
	uint32_t got = 0;

	(void)state;
	open_all(SINKS);
	memset(last, 0, sizeof(last));
	for (uint32_t number = 1; number <= MESSAGES; number++)
		publish(&hog, "big", number);
	publish(&honest, "small", 1);
	mr_rig_round(&r, 0);
	assert_int_equal(take(&one, NULL), 1);
	got = take(&many, look_for_the_next);
	/* A turn's work is bounded, and nothing counts as taken while a part of it is late. */
	assert_in_range(got, SINKS, 2 * (MR_TURN_WORK + SINKS));
	assert_int_equal(hog.session->stats->rx_messages, MESSAGES);
	assert_true(r.stats[0].late > 0);
	assert_false(mr_session_drained(hog.session));
	for (uint32_t i = 0; i < 200 && got < SINKS * MESSAGES; i++) {
		mr_rig_round(&r, 0);
		got += take(&many, look_for_the_next);
	}
	assert_int_equal(got, SINKS * MESSAGES);
	mr_rig_round(&r, 0);
	assert_true(mr_session_drained(hog.session));
	assert_null(hog.session->late);
	assert_int_equal(mr_slab_bytes(r.workers[0]->store), 0);
	assert_int_equal(r.stats[0].published, MESSAGES + 1);
	close(hog.liveness_fd);
	close_all();
}

/* Messages that the bus refuses stand between those that are left in the ring and read again. */
static void what_is_left_in_the_ring_counts_once(void **state)
{
	enum { SINKS = 200, MESSAGES = 20 };
	struct mr_message_plan malformed =
		mr_message_plan(MRF_MESSAGE_KIND_PUBLISH, NULL, "small", 5, NULL, 0, 0);
	const struct mrf_session_stats *stats;
	uint64_t bytes = 0;

	(void)state;
	open_all(SINKS);
	stats = hog.session->stats;
	malformed.sections |= 1 << 8; /* a stamp, which only the bus may write */
	for (uint32_t number = 1; number <= MESSAGES; number++) {
		publish(&hog, "big", number);
		mr_rig_push(&hog, &malformed, 0);
	}
	bytes = mr_bytes_backlog(&hog.up);
	mr_rig_round(&r, 0);
	assert_true(r.stats[0].late > 0);
	for (uint32_t i = 0; i < 200 && r.stats[0].published < MESSAGES; i++) {
		(void)take(&many, NULL);
		mr_rig_round(&r, 0);
	}
	mr_rig_round(&r, 0);
	assert_int_equal(r.stats[0].published, MESSAGES);
	assert_int_equal(r.stats[0].drop_bad_message, MESSAGES);
	assert_int_equal(stats->rejected, MESSAGES);
	assert_int_equal(stats->rx_messages, 2 * MESSAGES);
	assert_int_equal(stats->rx_bytes, bytes);
	assert_int_equal(r.stats[0].rx_bytes, bytes);
	assert_false(hog.session->looked_beyond);
	close(hog.liveness_fd);
	close_all();
}

/* Its begun message is completed, and the rest of its messages are dropped. */
static void a_fan_out_outlives_its_session(void **state)
{
	enum { SINKS = 4000, MESSAGES = 32 };
	uint32_t got = 0;

	(void)state;
	open_all(SINKS);
	memset(last, 0, sizeof(last));
	for (uint32_t number = 1; number <= MESSAGES; number++)
		publish(&hog, "big", number);
	mr_rig_round(&r, 0);
	assert_int_equal(r.workers[0]->late.count, 1);
	mr_rig_detach(&r, &hog);
	for (uint32_t i = 0; i < 100 && r.workers[0]->late.count > 0; i++) {
		mr_rig_round(&r, 0);
		got += take(&many, look_for_the_next);
	}
	assert_int_equal(got, SINKS);
	assert_int_equal(r.workers[0]->late.count, 0);
	assert_int_equal(mr_slab_bytes(r.workers[0]->store), 0);
	close_all();
}

/* A frame cannot wait in place: the rest of it is stored, and later messages wait behind it. */
static void late_messages_of_a_frame_are_whole_and_in_order(void **state)
{
	enum { SINKS = 300, FRAMES = 3, EACH = 16 };
	const struct mrf_network_path path = mr_rig_path(false, 4001);
	struct mr_rig_client client;
	struct mr_rig_frame f;
	uint32_t number = 0, got = 0;

	(void)state;
	open_all(SINKS);
	memset(last, 0, sizeof(last));
	(void)mr_rig_remote(&r, 0, 6, &path, MR_RIG_FRAME_BYTES, &client);
	for (uint32_t i = 0; i < FRAMES; i++) {
		mr_rig_begin(&f, client.session, ++client.sequence);
		for (uint32_t k = 0; k < EACH; k++) {
			number++;
			mr_rig_add(&f, MRF_MESSAGE_KIND_PUBLISH, 0, "big", &number, sizeof(number));
		}
		mr_rig_send(&r, 0, &path, &f);
	}
	mr_rig_round(&r, 0);
	assert_true(r.stats[0].late > 0);
	for (uint32_t i = 0; i < 200 && got < SINKS * number; i++) {
		got += take(&many, look_for_the_next);
		mr_rig_round(&r, 0);
	}
	assert_int_equal(got, SINKS * number);
	assert_int_equal(mr_slab_bytes(r.workers[0]->store), 0);
	close(hog.liveness_fd);
	close_all();
}

/* Sends a frame of publishes that are late, because the subject has many subscriptions. */
static void send_late(const struct mrf_network_path *path, struct mr_rig_client *client)
{
	struct mr_rig_frame f;

	mr_rig_begin(&f, client->session, ++client->sequence);
	for (uint32_t i = 0; i < 16; i++)
		mr_rig_add(&f, MRF_MESSAGE_KIND_PUBLISH, 0, "big", &i, sizeof(i));
	mr_rig_send(&r, 0, path, &f);
}

/* Two sessions of one host have one share; a session of another host finds room. */
static void late_datagrams_of_a_host_have_a_share(void **state)
{
	enum { SINKS = 4000, FRAMES = 20 };
	struct mrf_network_path path[3];
	struct mr_rig_client client[3];
	uint64_t dropped;
	uint32_t room;

	(void)state;
	open_all(SINKS);
	r.workers[0]->late.share_bytes = 4096;
	room = r.workers[0]->late.shares.room;
	for (uint32_t i = 0; i < 3; i++) {
		path[i] = mr_rig_path(false, (uint16_t)(4001 + i));
		mr_rig_remote(&r, 0, 6 + i, &path[i], MR_RIG_FRAME_BYTES, &client[i])->peer =
			i < 2 ? 77 : 78;
	}
	for (uint32_t i = 0; i < FRAMES; i++) {
		send_late(&path[i % 2], &client[i % 2]);
		mr_rig_round(&r, 0);
		(void)take(&many, NULL);
	}
	assert_true(r.workers[0]->late.bytes <= 4096 + 256);
	dropped = r.stats[0].drop_late_full;
	assert_true(dropped > 0);
	send_late(&path[2], &client[2]);
	mr_rig_round(&r, 0);
	assert_int_equal(r.stats[0].drop_late_full, dropped);
	assert_int_equal(r.workers[0]->late.shares.used, 2);
	assert_int_equal(r.workers[0]->late.shares.room, room); /* nothing was allocated */
	close(hog.liveness_fd);
	close_all();
}

/* The session is checked once for all its copies. */
static void a_full_session_misses_all_of_its_copies(void **state)
{
	enum { SINKS = 100 };
	uint64_t missed;

	(void)state;
	open_all(SINKS);
	for (uint32_t number = 1; many.session->stats->missed == 0; number++) {
		publish(&hog, "big", number);
		mr_rig_round(&r, 0);
	}
	missed = many.session->stats->missed;
	publish(&hog, "big", 0);
	mr_rig_round(&r, 0);
	mr_rig_round(&r, 0);
	assert_int_equal(many.session->stats->missed, missed + SINKS);
	assert_int_equal(r.stats[0].drop_receiver_full, missed + SINKS);
	close(hog.liveness_fd);
	close_all();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(publishers_share_by_cost_and_not_by_count),
		cmocka_unit_test(late_messages_are_whole_and_in_order),
		cmocka_unit_test(what_is_left_in_the_ring_counts_once),
		cmocka_unit_test(a_fan_out_outlives_its_session),
		cmocka_unit_test(late_messages_of_a_frame_are_whole_and_in_order),
		cmocka_unit_test(late_datagrams_of_a_host_have_a_share),
		cmocka_unit_test(a_full_session_misses_all_of_its_copies),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
