/* SPDX-License-Identifier: Apache-2.0 */
/* The end of a session over UDP with the reliable flow: acknowledged messages are still routed, and
 * its log is sent. */
#include "tests/unit/worker/flow_rig.h"

#include <errno.h>

/* The bus is responsible for acknowledged messages. */
static void end_session(bool by_itself)
{
	if (by_itself) {
		mr_rig_begin(&f, client.session, ++client.sequence);
		mr_rig_add(&f, MRF_MESSAGE_KIND_CLOSE, 0, NULL, NULL, 0);
		send_now();
	} else {
		/* Stepped as a loop would: a worker that did not run for long closes no session for
		 * that. */
		for (unsigned i = 0; i < 600 && atomic_load(&s->remote->end) == MR_REMOTE_LIVES;
			i++) {
			mr_rig_wait_ms(&r, 100);
			rounds(1);
		}
	}
	rounds(3);
	assert_int_not_equal(atomic_load(&s->remote->end), MR_REMOTE_LIVES);
}

static void waiting_frames_of_an_ended_session_are_taken(bool by_itself)
{
	open_both();
	stall();
	for (uint32_t i = 1; i <= 5; i++)
		send_number(i, i);
	rounds(2);
	expect_numbers(1, 0);
	end_session(by_itself);
	expect_numbers(1, 5);
	assert_int_equal(r.workers[0]->flows.count, 0);
	close_both();
}

/* A round takes a fixed number of slots; as many or fewer wait when the client leaves. */
static void a_session_is_closed_however_many_frames_wait(void **state)
{
	(void)state;
	for (uint32_t frames = 0; frames <= 8; frames++) {
		open_both();
		stall();
		for (uint32_t i = 1; i <= frames; i++)
			send_number(i, i);
		rounds(2);
		end_session(true);
		for (uint32_t i = 0; i < 8; i++)
			rounds(1);
		assert_int_equal(atomic_load(&s->remote->end), MR_REMOTE_CLOSED);
		if (frames > 0)
			expect_numbers(1, frames);
		close_both();
	}
}

static void frames_that_wait_when_their_client_leaves_are_taken(void **state)
{
	(void)state;
	waiting_frames_of_an_ended_session_are_taken(true);
}

static void frames_that_wait_when_their_client_dies_are_taken(void **state)
{
	(void)state;
	waiting_frames_of_an_ended_session_are_taken(false);
}

/* Sends a frame of the reliable flow with one promise of a named publisher, its number. */
static void send_promise(uint32_t number, uint32_t bytes)
{
	static uint8_t payload[MR_RIG_FRAME_BYTES];
	const struct mr_message_extra extra = {
		.flags = MRF_MESSAGE_FLAG_ORIGIN, .origin = {.publisher = 5, .id = number}};
	struct mr_message_plan plan =
		mr_message_plan(MRF_MESSAGE_KIND_PUBLISH, NULL, "a", 1, payload, 0, bytes);

	memcpy(payload, &number, sizeof(number));
	mr_message_plan_extra(&plan, &extra);
	mr_rig_begin(&f, client.session, number);
	mr_rig_add_plan(&f, &plan, 0);
	mr_frame_write_reliable(f.at);
	send_now();
}

static void expect_promise(const struct mr_message_view *m, uint32_t number)
{
	uint32_t got;

	assert_int_equal(m->header.kind, MRF_MESSAGE_KIND_DELIVER);
	assert_true((m->header.flags & MRF_MESSAGE_FLAG_ORIGIN) != 0);
	assert_int_equal(m->extra.origin.publisher, 5);
	assert_int_equal(m->extra.origin.id, number);
	memcpy(&got, m->payload, sizeof(got));
	assert_int_equal(got, number);
}

/* Returns the last promise that an ack confirmed, of those sent so far. */
static uint32_t last_acknowledged(uint32_t last)
{
	while (mr_rig_receive(&r, 0, &f, NULL))
		if (f.header.flags & MRF_FRAME_FLAG_ACK)
			last = f.header.ack - 1;
	return last;
}

/* Promises as many as the bus grants: more than the receiver has room for. */
static uint32_t promise_while_granted(uint32_t until)
{
	uint32_t sequence = 0, acknowledged = 0;

	for (unsigned i = 0; i < 100 && acknowledged < until; i++) {
		for (unsigned k = 0;
			k < 64 && sequence < until && sequence + 1 < s->remote->flow.rx.granted;
			k++)
			send_promise(++sequence, 1000);
		rounds(8);
		acknowledged = last_acknowledged(acknowledged);
	}
	return acknowledged;
}

/* A client may forget acknowledged messages: they reach a receiver that is full, unchanged. */
static void promises_that_wait_when_their_session_ends_are_kept(bool by_itself)
{
	struct mr_owner owner;
	uint32_t acknowledged, got = 0;
	struct mr_message_view m;

	open_both();
	owner = (struct mr_owner){0, local.session->slot, local.session->generation};
	assert_int_equal(mr_table_high_water(r.table, &owner, 9, 50), 0);
	r.workers[0]->ports[0].rx_entries = 4096;
	stall();
	acknowledged = promise_while_granted(400);
	assert_true(acknowledged * 1000 > local.session->down.capacity);
	end_session(by_itself);
	for (unsigned i = 0; i < 200 && got < acknowledged; i++) {
		while (mr_rig_next(&local, &m))
			expect_promise(&m, ++got);
		(void)mr_bytes_release(&local.down);
		rounds(1);
	}
	assert_int_equal(got, acknowledged);
	assert_int_equal(local.session->stats->missed, 0);
	close_both();
}

static void promises_that_wait_when_their_client_leaves_are_kept(void **state)
{
	(void)state;
	promises_that_wait_when_their_session_ends_are_kept(true);
}

static void promises_that_wait_when_their_client_dies_are_kept(void **state)
{
	(void)state;
	promises_that_wait_when_their_session_ends_are_kept(false);
}

static void session_is_closed_when_its_log_is_empty_or_after_a_while(void **state)
{
	(void)state;
	open_with_flow(64);
	assert_int_equal(send_messages(1, 1, 8), 1);
	rounds(1);
	expect_messages(1, 1, 1);
	atomic_store(&s->remote->expel, -EPERM);
	for (unsigned ms = 0; ms < 900; ms += 50) {
		mr_rig_wait_ms(&r, 50);
		rounds(1);
	}
	assert_int_equal(atomic_load(&s->remote->end), MR_REMOTE_LIVES);
	for (unsigned ms = 0; ms < 900; ms += 50) {
		mr_rig_wait_ms(&r, 50);
		rounds(1);
	}
	assert_int_equal(atomic_load(&s->remote->end), MR_REMOTE_CLOSED);
	close_both();
}

static void log_that_a_narrower_path_cannot_carry_ends_the_session(void **state)
{
	struct mr_message_view m;
	uint32_t at = 0;

	(void)state;
	open_with_flow(64);
	assert_int_equal(send_messages(1, 1, 1400), 1);
	rounds(1);
	expect_messages(1, 1, 1);
	r.port.mtu = 1280;
	mr_rig_wait_ms(&r, 11);
	rounds(1);
	assert_true(mr_rig_receive(&r, 0, &f, NULL));
	assert_true(mr_rig_message(&f, &at, &m));
	assert_int_equal(m.header.kind, MRF_MESSAGE_KIND_CLOSE);
	assert_int_equal(atomic_load(&s->remote->end), MR_REMOTE_CLOSED);
	close_both();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_session_is_closed_however_many_frames_wait),
		cmocka_unit_test(frames_that_wait_when_their_client_leaves_are_taken),
		cmocka_unit_test(frames_that_wait_when_their_client_dies_are_taken),
		cmocka_unit_test(promises_that_wait_when_their_client_leaves_are_kept),
		cmocka_unit_test(promises_that_wait_when_their_client_dies_are_kept),
		cmocka_unit_test(session_is_closed_when_its_log_is_empty_or_after_a_while),
		cmocka_unit_test(log_that_a_narrower_path_cannot_carry_ends_the_session),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
