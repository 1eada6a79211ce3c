/* SPDX-License-Identifier: Apache-2.0 */
/* The ring to control: what a record says, and who may fill it while control does not read. */
#include <unistd.h>

#include "tests/unit/worker/cmocka_all.h"

#include "flatbuf/link.h"
#include "tests/support/net/rig.h"

#define PEER  (UINT64_C(0x20010db8) << 32 | 7)
#define OTHER (UINT64_C(0x20010db8) << 32 | 8)
/* A record with the message of ask. */
#define RECORD_BYTES 128u

static struct mr_rig r;
static struct mr_rig_local client, other;

static void open_all(void)
{
	mr_rig_open(&r, 1);
	mr_rig_attach(&r, 0, 0, &client);
	mr_rig_attach(&r, 0, 1, &other);
	client.session->peer = PEER;
	other.session->peer = OTHER;
}

static void close_all(void)
{
	close(client.liveness_fd);
	close(other.liveness_fd);
	mr_rig_close(&r);
}

/* Sends a Control message of 100 bytes. The worker does not look into it. */
static void ask(struct mr_rig_local *from, uint32_t target)
{
	static const uint8_t body[100] = "asked";
	const struct mr_message_plan plan =
		mr_message_plan(MRF_MESSAGE_KIND_CONTROL, NULL, NULL, 0, body, 0, sizeof(body));

	mr_rig_push(from, &plan, target);
	mr_rig_round(&r, 0);
}

/* Takes the next record. Returns the peer that it says; 0: none. */
static uint64_t take(struct mr_message_view *m)
{
	struct mr_bytes_consumer *ring = &r.to_control[0];
	struct mrf_handoff_header h;
	size_t prefix = sizeof(h);
	uint64_t peer = 0;
	const uint8_t *at;

	assert_true(mr_bytes_readable(ring) >= sizeof(h));
	at = mr_bytes_peek(ring);
	memcpy(&h, at, sizeof(h));
	assert_int_equal(h.reason, MRF_HANDOFF_REASON_CONTROL);
	assert_int_equal(h.session, client.session->id);
	if ((h.flags & MRF_HANDOFF_FLAG_PEER) != 0) {
		memcpy(&peer, at + prefix, sizeof(peer));
		prefix += sizeof(peer);
	}
	assert_true(mr_message_parse(at + prefix, mr_message_header_load(at + prefix), m));
	assert_int_equal(h.bytes, prefix + m->header.bytes);
	mr_bytes_skip(ring, h.bytes);
	(void)mr_bytes_release(ring);
	return peer;
}

static void a_record_says_the_peer_to_a_control_that_takes_it(void **state)
{
	struct mr_message_view m;

	(void)state;
	open_all();
	ask(&client, 7);
	assert_int_equal(take(&m), 0);
	atomic_store(&r.workers[0]->handoff.control_takes_peer, true);
	ask(&client, 8);
	assert_true(take(&m) == PEER);
	assert_int_equal(m.header.target, 8);
	assert_int_equal(m.payload_bytes, 100);
	assert_string_equal(m.payload, "asked");
	close_all();
}

/* Sends requests until one is dropped; at most 100,000. Returns the bytes that the ring took. */
static uint64_t flood(struct mr_rig_local *from)
{
	uint64_t dropped = r.stats[0].drop_handoff_full, passed = r.stats[0].handoff_tx;

	for (unsigned i = 0; i < 100000 && r.stats[0].drop_handoff_full == dropped; i++)
		ask(from, 1);
	assert_int_equal(r.stats[0].drop_handoff_full, dropped + 1);
	return (r.stats[0].handoff_tx - passed) * RECORD_BYTES;
}

/* Behaves like a new session of the same peer. */
static void reconnect(struct mr_rig_local *c)
{
	c->session->handoff_bytes = 0;
}

static void many_sessions_of_one_peer_leave_room_to_another(void **state)
{
	uint64_t ring, sum, more;
	uint64_t one;

	(void)state;
	open_all();
	ring = r.to_control[0].capacity;
	sum = flood(&client);
	assert_true(sum >= ring / 2 && sum <= ring / 2 + ring / 64 + 512);
	for (unsigned i = 0; i < 64; i++) {
		reconnect(&client);
		more = flood(&client);
		assert_true(more <= ring / 64 + 512);
		sum += more;
	}
	assert_true(sum <= ring / 2 + ring / 8 + 512);
	one = flood(&other);
	assert_true(one >= ring / 64);
	/* Control reads: everybody has room again. */
	mr_bytes_skip(&r.to_control[0], mr_bytes_readable(&r.to_control[0]));
	mr_bytes_skip(&r.to_control[0], mr_bytes_readable(&r.to_control[0]));
	(void)mr_bytes_release(&r.to_control[0]);
	reconnect(&client);
	assert_true(flood(&client) >= ring / 2);
	close_all();
}

/* The bus's own user is limited as a session, and not as a peer. */
static void the_own_user_has_no_share_as_a_peer(void **state)
{
	uint64_t ring, sum = 0;

	(void)state;
	open_all();
	ring = r.to_control[0].capacity;
	client.session->peer = MR_PEER_OWN;
	for (unsigned i = 0; i < 64; i++) {
		reconnect(&client);
		sum += flood(&client);
	}
	assert_true(sum > ring / 2 + ring / 4);
	close_all();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_record_says_the_peer_to_a_control_that_takes_it),
		cmocka_unit_test(many_sessions_of_one_peer_leave_room_to_another),
		cmocka_unit_test(the_own_user_has_no_share_as_a_peer),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
