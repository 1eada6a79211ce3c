/* SPDX-License-Identifier: Apache-2.0 */
/* Promised messages on their way to full receivers: queued, bounded, in order, over both
 * transports; and the back-pressure on their publishers meanwhile. */
#include <unistd.h>

#include "tests/unit/worker/cmocka_all.h"

#include "dataplane/worker/flows.h"
#include "dataplane/worker/backpressure.h"
#include "dataplane/worker/turns.h"
#include "tests/support/net/rig.h"

static struct mr_rig r;
static struct mr_rig_frame f;
static struct mr_rig_client client;
static struct mr_rig_local pub, local;
static struct mr_session *s;

static struct mrf_worker_stats *stats(void)
{
	return &r.stats[0];
}

static void rounds(unsigned count)
{
	while (count-- > 0)
		mr_rig_round(&r, 0);
}

static void block(const struct mr_session *session, uint32_t id, uint8_t water)
{
	struct mr_owner owner = {0, session->slot, session->generation};

	assert_int_equal(mr_table_high_water(r.table, &owner, id, water), 0);
}

/* Opens a publisher on a channel, and two subscribers that block: one over UDP, one on a
 * channel. */
static void open_all(void)
{
	struct mrf_network_path path = mr_rig_path(false, 4001);

	mr_rig_open(&r, 1);
	mr_rig_attach(&r, 0, 0, &pub);
	mr_rig_attach(&r, 0, 1, &local);
	s = mr_rig_remote(&r, 0, 6, &path, MR_RIG_FRAME_BYTES, &client);
	mr_rig_subscribe(&r, s, 5, "far");
	block(s, 5, 50);
	mr_rig_subscribe(&r, local.session, 6, "near");
	block(local.session, 6, 50);
}

static void close_all(void)
{
	/* The last frame is taken. */
	rounds(1);
	while (mr_rig_receive(&r, 0, &f, NULL))
		;
	close(pub.liveness_fd);
	if (local.session != NULL)
		close(local.liveness_fd);
	mr_rig_close(&r);
}

/* Promises a publish with a number at its beginning. False: no room in the publisher's ring. */
static bool promise(const char *subject, uint32_t number, uint32_t bytes)
{
	static uint8_t payload[MR_BODY_BYTES_MAX];
	const struct mr_message_extra extra = {
		.flags = MRF_MESSAGE_FLAG_ORIGIN, .origin.id = number};
	struct mr_message_plan plan = mr_message_plan(MRF_MESSAGE_KIND_PUBLISH, NULL, subject,
		(uint32_t)strlen(subject), payload, 0, bytes);

	memcpy(payload, &number, sizeof(number));
	mr_message_plan_extra(&plan, &extra);
	if (mr_bytes_room(&pub.up, plan.stride) < plan.stride)
		return false;
	mr_rig_push(&pub, &plan, 0);
	return true;
}

static bool publisher_waits(void)
{
	return pub.session->paused && !mr_bytes_empty(&pub.session->up);
}

/* Promises until the publisher is paused; returns how many were pushed. */
static uint32_t promise_until_held_up(const char *subject, uint32_t bytes)
{
	uint32_t number = 0;

	while (!publisher_waits()) {
		assert_true(number < 100000);
		assert_true(promise(subject, number + 1, bytes));
		number++;
		rounds(1);
		while (mr_rig_receive(&r, 0, &f, NULL))
			/* Lost, as it is not acknowledged. */
			;
	}
	return number;
}

static void send_ack(uint32_t ack, uint32_t credit)
{
	mr_rig_begin(&f, client.session, 0);
	mr_frame_write_ack(f.at, ack, credit);
	mr_rig_send(&r, 0, &client.path, &f);
}

/* Reads in order and acknowledges; returns the last number. */
static uint32_t read_far(uint32_t *sequence, uint32_t number)
{
	while (mr_rig_receive(&r, 0, &f, NULL)) {
		struct mr_message_view m;
		uint32_t at = 0, got;

		if (f.header.sequence != *sequence)
			continue;
		(*sequence)++;
		while (mr_rig_message(&f, &at, &m)) {
			memcpy(&got, m.payload, sizeof(got));
			assert_int_equal(m.header.kind, MRF_MESSAGE_KIND_DELIVER);
			assert_int_equal(got, ++number);
		}
	}
	send_ack(*sequence, 64);
	return number;
}

static void a_client_that_acknowledges_nothing_holds_its_publisher_up(void **state)
{
	uint32_t sequence = 1, number = 0, sent;

	(void)state;
	open_all();
	send_ack(1, 64);
	rounds(1);
	sent = promise_until_held_up("far", 200);
	assert_true(s->stats->full_since_ns != 0);
	assert_true(pub.session->stats->blocked_since_ns != 0);
	assert_true(mr_worker_underway(s) + s->stats->held_bytes > mr_worker_capacity(s) / 2);
	/* Nothing more is taken, however many rounds pass. */
	rounds(100);
	assert_int_equal(stats()->published, sent - 1);
	for (unsigned i = 0; i < 2000 && number < sent; i++) {
		mr_rig_wait_ms(&r, 20); /* lost frames are retransmitted */
		rounds(1);
		number = read_far(&sequence, number);
	}
	assert_int_equal(number, sent);
	rounds(2);
	assert_int_equal(s->stats->full_since_ns, 0);
	assert_int_equal(s->stats->held_messages, 0);
	assert_int_equal(pub.session->stats->blocked_since_ns, 0);
	assert_int_equal(s->stats->missed, 0);
	close_all();
}

/* The client's window is closed from the first frame on: all messages are queued. */
static void messages_beyond_a_closed_window_are_queued_in_order(void **state)
{
	uint32_t sequence = 1, number = 0;

	(void)state;
	open_all();
	send_ack(1, 0);
	rounds(1);
	for (uint32_t i = 1; i <= 20; i++)
		assert_true(promise("far", i, 1000));
	rounds(1);
	assert_true(s->stats->held_messages > 0);
	assert_int_equal(stats()->held, s->stats->held_messages);
	for (unsigned i = 0; i < 200 && number < 20; i++) {
		mr_rig_wait_ms(&r, 20);
		rounds(1);
		number = read_far(&sequence, number);
	}
	assert_int_equal(number, 20);
	assert_int_equal(s->stats->held_messages, 0);
	assert_null(r.workers[0]->slow.first);
	close_all();
}

/* Sends promised publishes of the client itself, by alias and alike, so that they are handled as
 * runs. */
static void send_run(uint32_t sequence, uint32_t alias, uint32_t from, uint32_t to)
{
	mr_rig_begin(&f, client.session, sequence);
	for (uint32_t number = from; number < to; number++) {
		uint32_t payload[25] = {number};
		struct mr_message_plan plan = mr_message_plan(
			MRF_MESSAGE_KIND_PUBLISH, NULL, NULL, 0, payload, 0, sizeof(payload));

		plan.header |= (uint64_t)MRF_MESSAGE_FLAG_HIGH << 24;
		mr_rig_add_plan(&f, &plan, alias);
	}
	mr_frame_write_reliable(f.at);
	mr_rig_send(&r, 0, &client.path, &f);
}

/* The client takes one frame; the run fills it, and goes on in order behind the queued messages. */
static void a_run_goes_into_frames_as_far_as_there_is_room(void **state)
{
	uint32_t alias, sequence = 1, number = 0;
	uint64_t held;

	(void)state;
	open_all();
	alias = mr_rig_alias(&r, s, "far");
	send_ack(1, 1);
	rounds(1);
	for (uint32_t i = 0; i < 3; i++)
		send_run(1 + i, alias, 1 + 12 * i, 13 + 12 * i);
	rounds(1);
	assert_int_equal(stats()->reliable_tx, 1);
	assert_true(s->stats->held_messages > 0);
	assert_int_equal(stats()->tx_messages + s->stats->held_messages, 36);
	for (unsigned i = 0; i < 200 && number < 36; i++) {
		mr_rig_wait_ms(&r, 20);
		rounds(1);
		number = read_far(&sequence, number);
	}
	assert_int_equal(number, 36);
	assert_int_equal(s->stats->held_messages, 0);
	assert_int_equal(s->stats->missed, 0);
	/* With room for all of it nothing is queued. */
	held = stats()->held;
	rounds(1);
	send_run(4, alias, 37, 49);
	send_run(5, alias, 49, 61);
	rounds(1);
	assert_int_equal(stats()->held, held);
	assert_int_equal(read_far(&sequence, number), 60);
	close_all();
}

static void messages_queued_for_a_closed_session_are_freed(void **state)
{
	struct mr_worker *w;
	uint64_t bytes;

	(void)state;
	open_all();
	w = r.workers[0];
	bytes = mr_slab_bytes(w->store);
	send_ack(1, 0);
	rounds(1);
	(void)promise_until_held_up("far", 1000);
	assert_true(mr_slab_bytes(w->store) > bytes);
	assert_int_equal(w->slow.count, 1);
	mr_worker_remote_end(s, MR_REMOTE_CLOSED);
	rounds(20);
	assert_int_equal(mr_slab_bytes(w->store), bytes);
	assert_int_equal(w->slow.count, 0);
	assert_false(publisher_waits());
	assert_true(stats()->drop_session_gone > 0);
	close_all();
}

static void a_local_receiver_that_dies_full_resumes_its_publishers(void **state)
{
	(void)state;
	open_all();
	(void)promise_until_held_up("near", 1000);
	mr_rig_detach(&r, &local);
	local.session = NULL;
	rounds(2);
	assert_false(publisher_waits());
	assert_int_equal(r.workers[0]->slow.count, 0);
	close_all();
}

/* Full above the mark, until half of it is left. */
static void a_receiver_is_full_until_half_of_its_mark(void **state)
{
	uint32_t capacity, open_below;
	struct mr_message_view m;

	(void)state;
	open_all();
	capacity = (uint32_t)local.session->down.capacity;
	(void)promise_until_held_up("near", 100);
	assert_true(mr_bytes_readable(&local.down) > capacity / 2);
	assert_true(mr_bytes_readable(&local.down) < capacity / 2 + 1024);
	open_below = capacity / 4;
	for (;;) {
		assert_true(mr_rig_next(&local, &m));
		/* Releases the read part: the low-water mark counts released bytes. */
		(void)mr_bytes_release(&local.down);
		if (local.session->down.tail - local.down.head <= open_below)
			break;
		rounds(1);
		assert_true(publisher_waits());
	}
	rounds(2);
	assert_false(publisher_waits());
	assert_int_equal(local.session->stats->full_since_ns, 0);
	close_all();
}

/* An unpromised publish does not wait, and a Gap tells the receiver what it missed, and where. */
static void an_unpromised_message_does_not_overtake_queued_ones(void **state)
{
	const struct mr_message_plan plain =
		mr_message_plan(MRF_MESSAGE_KIND_PUBLISH, NULL, "near", 4, NULL, 0, 0);
	struct mr_message_view m;
	uint32_t number = 0, gap_at = 0;
	struct mrf_gap gap;

	(void)state;
	open_all();
	block(local.session, 6, 100);
	while (local.session->stats->held_messages == 0) {
		assert_true(promise("near", ++number, 1000));
		rounds(1);
	}
	mr_rig_push(&pub, &plain, 0);
	rounds(1);
	assert_int_equal(local.session->stats->missed, 1);
	assert_true(promise("near", ++number, 1000)); /* from the paused publisher: later */
	for (uint32_t got = 0; got < number;) {
		if (!mr_rig_next(&local, &m)) {
			(void)mr_bytes_release(&local.down);
			rounds(1);
			continue;
		}
		if (m.header.kind == MRF_MESSAGE_KIND_GAP) {
			memcpy(&gap, m.payload, sizeof(gap));
			assert_int_equal(gap.missed, 1);
			gap_at = got;
		} else {
			uint32_t n;

			assert_true(m.payload_bytes > 0);
			memcpy(&n, m.payload, sizeof(n));
			assert_int_equal(n, ++got);
		}
	}
	assert_int_equal(gap_at, number - 1);
	close_all();
}

/* A frame with a promise of a client over UDP stays in its slot while its receiver is full. */
static void a_publisher_over_udp_is_paused_and_resumed(void **state)
{
	const uint8_t payload[1000] = {0};
	const struct mr_message_extra extra = {.flags = MRF_MESSAGE_FLAG_ORIGIN};
	struct mr_message_plan plan = mr_message_plan(
		MRF_MESSAGE_KIND_PUBLISH, NULL, "near", 4, payload, 0, sizeof(payload));
	uint64_t published, got = 0;
	struct mr_message_view m;

	(void)state;
	open_all();
	(void)promise_until_held_up("near", 1000);
	published = stats()->published;
	mr_message_plan_extra(&plan, &extra);
	mr_rig_begin(&f, client.session, 1);
	mr_message_write(f.at + f.bytes, &plan, 0);
	f.bytes += plan.stride;
	f.header.messages = 1;
	mr_frame_write(f.at, client.session, 1, 1);
	mr_frame_write_reliable(f.at);
	mr_rig_send(&r, 0, &client.path, &f);
	rounds(10);
	assert_int_equal(stats()->published, published);
	assert_true(s->paused);
	assert_int_equal(stats()->frames_held, 1);
	assert_true(s->stats->blocked_since_ns != 0);
	for (unsigned i = 0; i < 10; i++) {
		while (mr_rig_next(&local, &m))
			got++;
		(void)mr_bytes_release(&local.down);
		rounds(2);
	}
	assert_false(s->paused);
	assert_int_equal(stats()->published, published + 2);
	assert_int_equal(got, published + 2);
	assert_int_equal(s->stats->blocked_since_ns, 0);
	close_all();
}

/* A message of the datagram flow cannot wait: it counts as not promised. */
static void a_promise_in_the_datagram_flow_is_none(void **state)
{
	const uint8_t payload[1000] = {0};
	const uint8_t flags[] = {MRF_MESSAGE_FLAG_ORIGIN, MRF_MESSAGE_FLAG_HIGH};
	uint64_t published, held;

	(void)state;
	open_all();
	block(local.session, 6, 100);
	(void)promise_until_held_up("near", 1000);
	published = stats()->published;
	held = stats()->held;
	for (unsigned i = 0; i < 2; i++) {
		const struct mr_message_extra extra = {.flags = flags[i], .origin = {7, i}};
		struct mr_message_plan plan = mr_message_plan(
			MRF_MESSAGE_KIND_PUBLISH, NULL, "near", 4, payload, 0, sizeof(payload));

		mr_message_plan_extra(&plan, &extra);
		mr_rig_begin(&f, client.session, 1 + i);
		mr_message_write(f.at + f.bytes, &plan, 0);
		f.bytes += plan.stride;
		mr_frame_write(f.at, client.session, 1 + i, 1);
		mr_rig_send(&r, 0, &client.path, &f);
	}
	rounds(2);
	assert_int_equal(stats()->published, published + 2);
	assert_int_equal(stats()->held, held);
	assert_int_equal(local.session->stats->missed, 2);
	assert_int_equal(stats()->drop_bad_message, 0);
	close_all();
}

static void set_turn(uint32_t turn)
{
	const struct mr_route *route = mr_worker_subject(r.workers[0], "all", 3);

	*mr_turns_of(r.workers[0]->turns, route->hash, route->groups[0].group) = turn;
}

/* One member is full, the other is closed while its subscription still exists: whichever has the
 * turn. */
static void a_promise_to_a_group_is_not_lost_with_a_member_that_is_over(uint32_t turn)
{
	enum { MESSAGES = 60 };
	struct mr_message_view m;
	uint32_t number, got = 0;

	open_all();
	mr_rig_join(&r, local.session, 7, "all", "g");
	block(local.session, 7, 50);
	mr_rig_join(&r, s, 8, "all", "g");
	block(s, 8, 50);
	mr_worker_remote_end(s, MR_REMOTE_CLOSED);
	for (number = 1; number <= MESSAGES; number++) {
		assert_true(promise("all", number, 4000));
		set_turn(turn);
		rounds(1);
	}
	assert_true(local.session->stats->full_since_ns != 0);
	assert_int_equal(stats()->drop_group_full, 0);
	for (unsigned i = 0; i < 100 && got < MESSAGES; i++) {
		while (mr_rig_next(&local, &m)) {
			memcpy(&number, m.payload, sizeof(number));
			assert_int_equal(number, ++got);
		}
		(void)mr_bytes_release(&local.down);
		rounds(1);
	}
	assert_int_equal(got, MESSAGES);
	close_all();
}

static void a_promise_to_a_group_goes_to_the_full_member_if_the_other_is_closed(void **state)
{
	(void)state;
	a_promise_to_a_group_is_not_lost_with_a_member_that_is_over(0);
	a_promise_to_a_group_is_not_lost_with_a_member_that_is_over(1);
}

static uint64_t hold_until_lost(struct mr_session *session, enum mrf_message_kind kind)
{
	static uint8_t payload[32768];
	struct mr_message_plan plan =
		mr_message_plan(kind, NULL, NULL, 0, payload, 0, sizeof(payload));
	uint64_t held = stats()->held;

	while (mr_worker_promise(r.workers[0], session, &plan, 1) != MR_PROMISE_LOST)
		assert_true(stats()->held < 100000);
	return stats()->held - held;
}

static void receiver_that_never_reads_leaves_memory_to_others(void **state)
{
	uint64_t first, second;

	(void)state;
	open_all();
	r.workers[0]->held_bytes_max = UINT32_MAX;
	first = hold_until_lost(local.session, MRF_MESSAGE_KIND_DELIVER);
	second = hold_until_lost(pub.session, MRF_MESSAGE_KIND_DELIVER);
	assert_true(first > 0 && second > first / 3);
	r.workers[0]->held_bytes_max = 1u << 20;
	close_all();
}

static void answers_of_one_peer_have_a_share(void **state)
{
	struct mr_rig_local other;
	struct mr_answers *a;

	(void)state;
	open_all();
	a = &r.workers[0]->answers;
	a->bound = mr_share_bound(mr_slab_bytes_max(a->store), 1);
	local.session->peer = pub.session->peer = 77;
	assert_in_range(hold_until_lost(local.session, MRF_MESSAGE_KIND_REPLY), 1, 20);
	assert_int_equal(hold_until_lost(pub.session, MRF_MESSAGE_KIND_REPLY), 0);
	mr_rig_attach(&r, 0, 2, &other);
	other.session->peer = 78;
	assert_in_range(hold_until_lost(other.session, MRF_MESSAGE_KIND_REPLY), 1, 20);
	/* The share comes back with the session. */
	rounds(1);
	assert_true(mr_share_count(&a->shares, 77, 0) > 0);
	mr_rig_detach(&r, &local);
	local.session = NULL;
	rounds(20);
	assert_int_equal(mr_share_count(&a->shares, 77, 0), 0);
	close(other.liveness_fd);
	close_all();
}

/* Sessions that take the memory of all answers do not pause publishers. */
static void answers_take_no_memory_of_publishes(void **state)
{
	(void)state;
	open_all();
	r.workers[0]->held_bytes_max = UINT32_MAX;
	(void)hold_until_lost(pub.session, MRF_MESSAGE_KIND_REPLY);
	assert_true(mr_slab_bytes(r.workers[0]->answers.store) >= 32u << 20);
	assert_int_equal(mr_slab_bytes(r.workers[0]->store) >> 20, 0);
	assert_true(promise("near", 1, 100));
	rounds(2);
	assert_false(publisher_waits());
	r.workers[0]->held_bytes_max = 1u << 20;
	close_all();
}

/* Unread answers of a session do not reduce its room for queued publishes. */
static void answers_cost_a_session_no_publishes(void **state)
{
	uint64_t half, held;

	(void)state;
	open_all();
	half = mr_slab_bytes_max(r.workers[0]->store) / 2;
	r.workers[0]->held_bytes_max = UINT32_MAX;
	(void)hold_until_lost(local.session, MRF_MESSAGE_KIND_REPLY);
	held = hold_until_lost(local.session, MRF_MESSAGE_KIND_DELIVER);
	assert_true(held * 32768 >= half - half / 4);
	r.workers[0]->held_bytes_max = 1u << 20;
	close_all();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_client_that_acknowledges_nothing_holds_its_publisher_up),
		cmocka_unit_test(messages_beyond_a_closed_window_are_queued_in_order),
		cmocka_unit_test(a_run_goes_into_frames_as_far_as_there_is_room),
		cmocka_unit_test(messages_queued_for_a_closed_session_are_freed),
		cmocka_unit_test(a_local_receiver_that_dies_full_resumes_its_publishers),
		cmocka_unit_test(a_receiver_is_full_until_half_of_its_mark),
		cmocka_unit_test(an_unpromised_message_does_not_overtake_queued_ones),
		cmocka_unit_test(a_publisher_over_udp_is_paused_and_resumed),
		cmocka_unit_test(a_promise_in_the_datagram_flow_is_none),
		cmocka_unit_test(
			a_promise_to_a_group_goes_to_the_full_member_if_the_other_is_closed),
		cmocka_unit_test(receiver_that_never_reads_leaves_memory_to_others),
		cmocka_unit_test(answers_of_one_peer_have_a_share),
		cmocka_unit_test(answers_take_no_memory_of_publishes),
		cmocka_unit_test(answers_cost_a_session_no_publishes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
