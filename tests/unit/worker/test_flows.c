/* SPDX-License-Identifier: Apache-2.0 */
/* The reliable flow of a session over UDP, at the bus: frames taken, queued, acknowledged and
 * retransmitted, and the harmless lies of a peer. */
#include "tests/unit/worker/flow_rig.h"

/* Expects the next frame to be only this ack. */
static void expect_ack(uint32_t ack, uint64_t came)
{
	struct mr_message_view m;
	uint32_t at = 0;
	uint64_t word = 0;

	assert_true(mr_rig_receive(&r, 0, &f, NULL));
	assert_int_equal(f.header.flags, MRF_FRAME_FLAG_ACK);
	assert_int_equal(f.header.sequence, 0);
	assert_int_equal(f.header.ack, ack);
	assert_int_equal(f.header.messages, came != 0);
	if (came != 0) {
		assert_true(mr_rig_message(&f, &at, &m));
		assert_int_equal(m.header.kind, MRF_MESSAGE_KIND_ACK);
		assert_int_equal(m.payload_bytes, sizeof(word));
		memcpy(&word, m.payload, sizeof(word));
	}
	assert_true(word == came);
}

static void frames_in_order_are_taken_and_acknowledged_once(void **state)
{
	(void)state;
	open_both();
	for (uint32_t i = 1; i <= 5; i++)
		send_number(i, i);
	rounds(1);
	expect_numbers(1, 5);
	expect_ack(6, 0); /* little was left of the first grant */
	assert_true(f.header.credit > MR_FLOW_CREDIT_FIRST);
	for (uint32_t i = 6; i <= 8; i++)
		send_number(i, i);
	rounds(1);
	expect_numbers(6, 8);
	assert_false(mr_rig_receive(&r, 0, &f, NULL)); /* more frames might come */
	rounds(3);
	expect_ack(9, 0);
	assert_false(mr_rig_receive(&r, 0, &f, NULL));
	assert_int_equal(stats()->reliable_rx, 8);
	assert_int_equal(s->stats->reliable_rx, 8);
	assert_int_equal(stats()->frames_held, 0);
	assert_int_equal(r.workers[0]->flows.count, 0);
	close_both();
}

static void frames_out_of_order_are_kept_for_their_turn(void **state)
{
	(void)state;
	open_both();
	send_number(3, 3);
	send_number(2, 2);
	rounds(1);
	expect_numbers(1, 0);
	expect_ack(1, 0x3);
	send_number(5, 5);
	send_number(1, 1);
	rounds(2);
	expect_numbers(1, 3);
	expect_ack(4, 0x1);
	send_number(4, 4);
	rounds(2);
	expect_numbers(4, 5);
	expect_ack(6, 0);
	assert_int_equal(stats()->frames_held, 3);
	assert_int_equal(stats()->reliable_rx, 5);
	close_both();
}

/* An honest peer would not notice: frames without room are retransmitted like lost ones. */
static void frames_ahead_are_kept_as_far_as_their_peer_has_room(void **state)
{
	struct mr_early *early;
	uint64_t used;

	(void)state;
	open_both();
	early = &r.workers[0]->early;
	s->peer = 77;
	assert_non_null(mr_early_take(early, &s->remote->flow, s->peer));
	used = mr_share_count(&early->shares, s->peer, 0);
	early->share_bytes = 3 * used; /* two are left */
	send_number(3, 3);
	send_number(4, 4);
	send_number(2, 2);
	rounds(1);
	expect_ack(1, 0x6);
	/* Is not taken back. */
	assert_int_equal(f.header.credit, MR_FLOW_CREDIT_FIRST);
	assert_int_equal(stats()->drop_early_full, 1);
	send_number(3, 3);
	rounds(2);
	assert_int_equal(stats()->drop_early_full, 1);
	assert_int_equal(stats()->drop_reliable_again, 1);
	send_number(1, 1);
	rounds(2);
	expect_numbers(1, 1);
	send_number(2, 2);
	rounds(2);
	expect_numbers(2, 4);
	while (mr_rig_receive(&r, 0, &f, NULL))
		;
	assert_int_equal(f.header.ack, 5);
	assert_int_equal(mr_share_count(&early->shares, s->peer, 0), used);
	close_both();
}

static void credit_shrinks_as_the_room_for_early_frames_is_used(void **state)
{
	struct mr_early *early;

	(void)state;
	open_both();
	early = &r.workers[0]->early;
	s->peer = 77;
	assert_non_null(mr_early_take(early, &s->remote->flow, s->peer));
	early->share_bytes = 4 * mr_share_count(&early->shares, s->peer, 0);
	for (uint32_t i = 1; i <= 5; i++)
		send_number(i, i);
	rounds(1);
	expect_numbers(1, 5);
	expect_ack(6, 0);
	assert_int_equal(f.header.credit, MR_FLOW_CREDIT_FIRST - 5); /* not more than before */
	close_both();
}

static void early_frames_of_a_session_free_their_room_for_others(void **state)
{
	struct mr_early *early;
	struct mr_flow *flow;
	uint64_t bytes;

	(void)state;
	open_both();
	early = &r.workers[0]->early;
	s->peer = 77;
	flow = &s->remote->flow;
	send_number(3, 3);
	send_number(5, 5);
	rounds(1);
	bytes = mr_share_count(&early->shares, 77, 0);
	assert_true(bytes > 0);
	/* The table writer does this for a closed session. */
	mr_early_return(early, flow);
	memset(flow->kept, 0, flow->rx.slots * sizeof(flow->kept[0]));
	assert_int_equal(mr_share_count(&early->shares, 77, 0), bytes);
	early->share_bytes = bytes / 2;
	assert_non_null(mr_early_take(early, flow, 77));
	assert_int_equal(mr_share_count(&early->shares, 77, 0), bytes / 2);
	assert_null(mr_early_take(early, flow, 77));
	assert_non_null(mr_early_take(early, flow, 78));
	close_both();
}

static void all_peers_together_are_bounded(void **state)
{
	struct mr_early *early;
	uint64_t count = 0;

	(void)state;
	open_both();
	early = &r.workers[0]->early;
	while (mr_early_take(early, &s->remote->flow, 1 + count % 4) != NULL)
		count++;
	assert_true(mr_slab_bytes(early->store) <= early->bytes_max);
	assert_in_range(count, early->bytes_max / 2 / s->remote->flow.slot_bytes,
		early->bytes_max / s->remote->flow.slot_bytes);
	/* In its turn a frame needs no such room. */
	send_number(1, 1);
	rounds(1);
	expect_numbers(1, 1);
	close_both();
}

/* Replayed, and outside of the grant: each has its counter, and no message is delivered twice. */
static void duplicates_and_frames_beyond_the_grant_are_discarded(void **state)
{
	(void)state;
	open_both();
	for (unsigned i = 0; i < 3; i++) {
		send_number(1, 1);
		send_number(4, 4);
	}
	send_number(1 + MR_FLOW_CREDIT_FIRST, 0);
	send_number(UINT32_MAX, 0);
	send_number(1u << 30, 0);
	rounds(1);
	expect_numbers(1, 1);
	assert_int_equal(stats()->drop_reliable_again, 5);
	assert_int_equal(stats()->drop_reliable_window, 2);
	assert_int_equal(stats()->reliable_rx, 2);
	expect_ack(2, 0x2); /* one answer to all of them */
	assert_false(mr_rig_receive(&r, 0, &f, NULL));
	close_both();
}

static void frames_that_lie_are_discarded(void **state)
{
	static const uint8_t zero[2048];

	(void)state;
	open_both();
	/* Larger than agreed. */
	mr_rig_begin(&f, client.session, 1);
	mr_rig_add(&f, MRF_MESSAGE_KIND_PUBLISH, 0, "a", zero, MR_RIG_FRAME_BYTES + 64);
	mr_frame_write_reliable(f.at);
	send_now();
	rounds(1);
	assert_int_equal(stats()->drop_bad_frame_length + stats()->drop_bad_ip, 1);
	assert_int_equal(stats()->reliable_rx, 0);
	/* Outside of the flow. */
	send_number(0, 0);
	rounds(1);
	assert_int_equal(stats()->drop_bad_frame, 1);
	/* From another address: neither frames nor acks are used. */
	client.path.peer_udp_port++;
	send_number(1, 1);
	send_ack(1, 64, NULL, 0);
	rounds(1);
	assert_int_equal(stats()->drop_wrong_path, 2);
	assert_false(mr_session_knows_flow(s));
	expect_numbers(1, 0);
	close_both();
}

/* A client that never acknowledged anything does not know the flow. */
static void client_that_does_not_speak_gets_no_such_frame(void **state)
{
	(void)state;
	open_both();
	assert_int_equal(send_messages(1, 1, 8), 0);
	mr_rig_wait_ms(&r, 1500);
	rounds(1);
	assert_true(mr_rig_receive(&r, 0, &f, NULL));
	assert_int_equal(f.header.flags, 0);
	close_both();
}

static void messages_are_sent_until_they_are_acknowledged(void **state)
{
	(void)state;
	open_with_flow(64);
	assert_int_equal(send_messages(1, 3, 8), 3);
	assert_int_equal(send_messages(4, 1, 1400), 1);
	rounds(1);
	expect_messages(1, 1, 3);
	expect_messages(2, 4, 1);
	assert_false(mr_rig_receive(&r, 0, &f, NULL));
	assert_true(mr_flow_backlog(&s->remote->flow) > 1400);
	mr_rig_wait_ms(&r, 9);
	rounds(1);
	assert_false(mr_rig_receive(&r, 0, &f, NULL));
	mr_rig_wait_ms(&r, 2);
	rounds(1);
	expect_messages(1, 1, 3);
	assert_false(mr_rig_receive(&r, 0, &f, NULL));
	send_ack(2, 64, NULL, 0);
	rounds(1);
	expect_messages(2, 4, 1);
	send_ack(3, 64, NULL, 0);
	rounds(1);
	assert_int_equal(mr_flow_backlog(&s->remote->flow), 0);
	assert_true(mr_worker_flow_drained(s));
	mr_rig_wait_ms(&r, 100);
	rounds(2);
	assert_false(mr_rig_receive(&r, 0, &f, NULL));
	assert_int_equal(stats()->reliable_tx, 2);
	assert_int_equal(stats()->retransmits, 2);
	assert_int_equal(stats()->retransmit_timeouts, 1);
	assert_int_equal(s->stats->retransmits, 2);
	assert_int_equal(s->stats->tx_messages, 4);
	assert_int_equal(r.workers[0]->flows.count, 0);
	close_both();
}

static void reported_gap_is_filled_at_once(void **state)
{
	uint64_t came = 0xe; /* 3, 4 and 5 of 1 .. 5; then 2 is missing, too */

	(void)state;
	open_with_flow(64);
	for (uint32_t i = 1; i <= 5; i++) {
		assert_int_equal(send_messages(i, 1, 8), 1);
		rounds(1);
		expect_messages(i, i, 1);
	}
	send_ack(1, 64, &came, 1);
	rounds(1);
	expect_messages(1, 1, 1);
	expect_messages(2, 2, 1);
	assert_false(mr_rig_receive(&r, 0, &f, NULL));
	assert_int_equal(stats()->retransmit_timeouts, 0);
	close_both();
}

static void full_log_is_no_room(void **state)
{
	uint32_t told = 0, frames = 0;

	(void)state;
	open_with_flow(512);
	for (unsigned i = 0; i < 1000; i++) {
		uint32_t now = send_messages(told + 1, 1, 1400);

		told += now;
		rounds(1);
		while (mr_rig_receive(&r, 0, &f, NULL))
			frames++;
		if (now == 0)
			break;
	}
	assert_in_range(told, 32, MR_RIG_LOG_BYTES / 1400);
	assert_int_equal(frames, told);
	assert_true(mr_flow_backlog(&s->remote->flow) <= mr_flow_capacity(&s->remote->flow));
	/* Many times round the log: acknowledged frames make room. */
	for (uint32_t i = 1; i <= 500; i++) {
		send_ack(i + 1, 512, NULL, 0);
		rounds(1);
		assert_int_equal(send_messages(told + 1, 1, 600 + i), 1);
		told++;
		rounds(1);
		expect_messages(told, told, 1);
	}
	close_both();
}

static void client_without_credit_is_asked_for_it(void **state)
{
	(void)state;
	open_with_flow(2);
	for (uint32_t i = 1; i <= 2; i++) {
		assert_int_equal(send_messages(i, 1, 8), 1);
		rounds(1);
		expect_messages(i, i, 1);
	}
	assert_int_equal(send_messages(3, 1, 8), 0);
	send_ack(3, 0, NULL, 0);
	rounds(1);
	assert_int_equal(send_messages(3, 1, 8), 0);
	mr_rig_wait_ms(&r, 20);
	rounds(1);
	/* The client has that one. */
	expect_messages(2, 0, 0);
	send_ack(3, 1, NULL, 0);
	rounds(1);
	assert_int_equal(send_messages(3, 1, 8), 1);
	rounds(1);
	expect_messages(3, 3, 1);
	close_both();
}

static void acks_that_lie_are_counted_and_ignored(void **state)
{
	uint64_t came[9] = {1ull << 40};

	(void)state;
	open_with_flow(64);
	assert_int_equal(send_messages(1, 1, 8), 1);
	rounds(1);
	expect_messages(1, 1, 1);
	send_ack(3, 64, NULL, 0);         /* never sent */
	send_ack(1u << 31, 64, NULL, 0);  /* never sent either */
	send_ack(0, 64, NULL, 0);         /* no sequence */
	send_ack(2, UINT32_MAX, NULL, 0); /* credit that wraps */
	send_ack(1, 64, came, 1);         /* reported as received, but never sent */
	send_ack(1, 64, came, 9);         /* more words than there are */
	rounds(1);
	assert_int_equal(stats()->bad_acks, 6);
	/* Half a word; two messages; another kind. */
	mr_rig_begin(&f, client.session, 0);
	mr_rig_add(&f, MRF_MESSAGE_KIND_ACK, 0, NULL, came, 12);
	mr_frame_write_ack(f.at, 2, 64);
	send_now();
	mr_rig_begin(&f, client.session, 0);
	mr_rig_add(&f, MRF_MESSAGE_KIND_ACK, 0, NULL, came, 8);
	mr_rig_add(&f, MRF_MESSAGE_KIND_PUBLISH, 0, "a", came, 8);
	mr_frame_write_ack(f.at, 2, 64);
	send_now();
	mr_rig_begin(&f, client.session, 0);
	mr_rig_add(&f, MRF_MESSAGE_KIND_PUBLISH, 0, "a", came, 8);
	mr_frame_write_ack(f.at, 2, 64);
	send_now();
	rounds(1);
	assert_int_equal(stats()->bad_acks, 9);
	expect_numbers(1, 0);
	assert_false(mr_worker_flow_drained(s));
	/* Outside of both flows and no ack: refused as always. */
	mr_rig_begin(&f, client.session, 0);
	mr_rig_add(&f, MRF_MESSAGE_KIND_PUBLISH, 0, "a", came, 8);
	send_now();
	rounds(1);
	assert_int_equal(stats()->drop_duplicate_frame, 1);
	/* In a frame of a flow an Ack message has no meaning. */
	mr_rig_begin(&f, client.session, ++client.sequence);
	mr_rig_add(&f, MRF_MESSAGE_KIND_ACK, 0, NULL, came, 8);
	send_now();
	rounds(1);
	assert_int_equal(stats()->drop_bad_message, 1);
	assert_int_equal(atomic_load(&s->remote->end), MR_REMOTE_LIVES);
	send_ack(2, 64, NULL, 0);
	rounds(1);
	assert_true(mr_worker_flow_drained(s));
	close_both();
}

/* Any frame carries the pending ack; a frame only for it is then not needed. */
static void acks_go_with_what_goes(void **state)
{
	(void)state;
	open_with_flow(64);
	send_number(1, 1);
	rounds(1);
	expect_ack(2, 0);
	send_number(2, 2);
	rounds(1);
	assert_int_equal(send_messages(1, 1, 8), 1);
	rounds(1);
	expect_messages(1, 1, 1);
	assert_int_equal(f.header.ack, 3);
	rounds(3);
	assert_false(mr_rig_receive(&r, 0, &f, NULL));
	/* The ack of any frame is used. */
	mr_rig_begin(&f, client.session, ++client.sequence);
	mr_frame_write_ack(f.at, 2, 64);
	send_now();
	rounds(1);
	assert_true(mr_worker_flow_drained(s));
	close_both();
}

/* Each active session has its part of the receive ring, at least two frames. */
static void grants_of_all_fit_the_ring(void **state)
{
	enum { SESSIONS = MR_RIG_SLOTS - MR_RIG_LOCALS };
	struct mr_rig_client clients[SESSIONS];
	uint32_t sum = 0;

	(void)state;
	mr_rig_open(&r, 1);
	for (unsigned i = 0; i < SESSIONS; i++) {
		struct mrf_network_path path = mr_rig_path(false, (uint16_t)(5000 + i));

		mr_rig_remote(&r, 0, MR_RIG_LOCALS + i, &path, MR_RIG_FRAME_BYTES, &clients[i]);
	}
	r.workers[0]->ports[0].rx_entries = 64;
	for (uint32_t n = 1; n <= 4; n++) {
		for (unsigned i = 0; i < SESSIONS; i++) {
			mr_rig_begin(&f, clients[i].session, n);
			mr_frame_write_reliable(f.at);
			mr_rig_send(&r, 0, &clients[i].path, &f);
		}
		sum = 0;
		rounds(3);
		for (unsigned i = 0; i < SESSIONS; i++) {
			assert_true(mr_rig_receive(&r, 0, &f, NULL));
			sum += f.header.credit;
		}
		mr_rig_wait_ms(&r, 11);
	}
	/* The first grants are used up. */
	assert_in_range(sum, 2 * SESSIONS, 64 + SESSIONS);
	mr_rig_close(&r);
}

/* The log goes to the client's new address; no message in flight is lost. */
static void change_of_address_loses_nothing(void **state)
{
	struct mrf_path_proof proof = {.secret = MR_RIG_SECRET};
	struct mr_message_view m;
	uint32_t at = 0;

	(void)state;
	open_with_flow(64);
	client.path.peer_udp_port++;
	assert_int_equal(send_messages(1, 1, 8), 1);
	send_number(1, 1);
	rounds(1);
	/* The challenge, and the frame, which goes to the old address. */
	do
		assert_true(mr_rig_receive(&r, 0, &f, NULL));
	while (f.header.sequence != 0);
	assert_true(mr_rig_message(&f, &at, &m));
	assert_int_equal(m.header.kind, MRF_MESSAGE_KIND_PATH);
	memcpy(&proof.nonce, m.payload, sizeof(proof.nonce));
	while (mr_rig_receive(&r, 0, &f, NULL))
		;
	mr_rig_begin(&f, client.session, ++client.sequence);
	mr_rig_add(&f, MRF_MESSAGE_KIND_PATH, 0, NULL, &proof, sizeof(proof));
	send_now();
	rounds(1);
	assert_int_equal(s->stats->paths_changed, 1);
	send_number(1, 1);
	mr_rig_wait_ms(&r, 11);
	rounds(1);
	expect_numbers(1, 1);
	expect_messages(1, 1, 1);
	assert_int_equal(f.header.ack, 2);
	close_both();
}

static void stalled_session_keeps_its_frames_and_gets_no_credit(void **state)
{
	uint32_t sequence = 0, slots;

	(void)state;
	open_both();
	r.workers[0]->ports[0].rx_entries = 4096;
	slots = s->remote->flow.rx.slots;
	assert_in_range(slots, MR_RIG_LOG_BYTES / 512, MR_RIG_LOG_BYTES / 256);
	stall();
	while (sequence < slots) {
		uint32_t until = s->remote->flow.rx.granted - 1;

		if (until > sequence + 64)
			/* The device holds no more. */
			until = sequence + 64;
		while (sequence < until && sequence < slots) {
			sequence++;
			send_number(sequence, sequence);
		}
		rounds(8);
		while (mr_rig_receive(&r, 0, &f, NULL))
			;
	}
	expect_numbers(1, 0);
	assert_int_equal(f.header.ack, slots + 1);
	assert_int_equal(f.header.credit, 0);
	assert_int_equal(stats()->frames_held, slots);
	assert_true(stats()->publisher_blocks > 0);
	send_number(slots + 1, slots + 1);
	rounds(1);
	assert_int_equal(stats()->drop_reliable_window, 1);
	atomic_store(&full_flag.session, 0);
	rounds(slots / 4);
	expect_numbers(1, slots);
	while (mr_rig_receive(&r, 0, &f, NULL))
		;
	assert_int_equal(f.header.ack, slots + 1);
	assert_in_range(f.header.credit, slots / 4, slots);
	close_both();
}

static void without_buffers_frames_go_later(void **state)
{
	(void)state;
	open_with_flow(64);
	mr_rig_starve(&r, 0);
	assert_int_equal(send_messages(1, 1, 8), 1);
	rounds(1);
	mr_rig_feed(&r);
	mr_rig_wait_ms(&r, 11);
	rounds(1);
	expect_messages(1, 1, 1);
	assert_int_equal(stats()->drop_no_buffer, 0);
	close_both();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(frames_in_order_are_taken_and_acknowledged_once),
		cmocka_unit_test(frames_out_of_order_are_kept_for_their_turn),
		cmocka_unit_test(frames_ahead_are_kept_as_far_as_their_peer_has_room),
		cmocka_unit_test(credit_shrinks_as_the_room_for_early_frames_is_used),
		cmocka_unit_test(early_frames_of_a_session_free_their_room_for_others),
		cmocka_unit_test(all_peers_together_are_bounded),
		cmocka_unit_test(duplicates_and_frames_beyond_the_grant_are_discarded),
		cmocka_unit_test(frames_that_lie_are_discarded),
		cmocka_unit_test(client_that_does_not_speak_gets_no_such_frame),
		cmocka_unit_test(messages_are_sent_until_they_are_acknowledged),
		cmocka_unit_test(reported_gap_is_filled_at_once),
		cmocka_unit_test(full_log_is_no_room),
		cmocka_unit_test(client_without_credit_is_asked_for_it),
		cmocka_unit_test(acks_that_lie_are_counted_and_ignored),
		cmocka_unit_test(acks_go_with_what_goes),
		cmocka_unit_test(grants_of_all_fit_the_ring),
		cmocka_unit_test(change_of_address_loses_nothing),
		cmocka_unit_test(stalled_session_keeps_its_frames_and_gets_no_credit),
		cmocka_unit_test(without_buffers_frames_go_later),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
