/* SPDX-License-Identifier: Apache-2.0 */
/* The life of a session over UDP: heartbeats, expiry, goodbyes, and moves to another address. */
#include <errno.h>
#include <unistd.h>

#include "tests/unit/worker/cmocka_all.h"

#include "tests/support/net/rig.h"
#include "lib/wire/path.h"

/* The configuration of the rig's workers. */
#define HEARTBEAT_MS 1000u
#define MISSED_MAX   3u

static struct mr_rig r;
static struct mr_rig_frame f;
static struct mr_rig_client client;

static struct mr_session *open_one(bool ip6)
{
	struct mrf_network_path path = mr_rig_path(ip6, 4001);

	mr_rig_open(&r, 1);
	return mr_rig_remote(&r, 0, 6, &path, MR_RIG_FRAME_BYTES, &client);
}

static bool writer_was_rung(void)
{
	uint64_t value;

	return read(r.writer_bell_fd, &value, sizeof(value)) == sizeof(value);
}

static uint8_t end_of(const struct mr_session *s)
{
	return atomic_load(&s->remote->end);
}

static void silence_is_broken_by_heartbeats(void **state)
{
	struct mr_message_view m;
	struct mr_session *s = open_one(true);
	uint32_t at = 0;

	(void)state;
	mr_rig_wait_ms(&r, HEARTBEAT_MS / 2);
	mr_rig_round(&r, 0);
	assert_false(mr_rig_receive(&r, 0, &f, NULL));
	mr_rig_wait_ms(&r, HEARTBEAT_MS / 2);
	mr_rig_round(&r, 0);
	assert_true(mr_rig_receive(&r, 0, &f, NULL));
	assert_int_equal(f.header.session, s->id);
	assert_int_equal(f.header.sequence, 1);
	assert_int_equal(f.header.messages, 0);
	assert_false(mr_rig_message(&f, &at, &m));
	assert_false(mr_rig_receive(&r, 0, &f, NULL));
	mr_rig_close(&r);
}

/* Stepped as a loop would: a client that sends stays open, and no heartbeat is late. */
static void heartbeats_keep_a_session_alive(void **state)
{
	struct mr_session *s = open_one(false);
	unsigned heard = 0;

	(void)state;
	for (unsigned ms = 0; ms < 10 * HEARTBEAT_MS; ms += 50) {
		mr_rig_wait_ms(&r, 50);
		if (ms % HEARTBEAT_MS == 0) {
			mr_rig_begin(&f, client.session, ++client.sequence);
			mr_rig_send(&r, 0, &client.path, &f);
		}
		mr_rig_round(&r, 0);
		while (mr_rig_receive(&r, 0, &f, NULL))
			heard++;
	}
	assert_int_equal(end_of(s), MR_REMOTE_LIVES);
	assert_true(heard >= 10 && heard <= 13);
	assert_int_equal(s->stats->frames_rx, 10);
	assert_int_not_equal(s->stats->last_rx_ns, 0);
	mr_rig_close(&r);
}

/* Steps as a loop would. */
static void pass_ms(unsigned ms)
{
	for (; ms > 0; ms -= 100) {
		mr_rig_wait_ms(&r, 100);
		mr_rig_round(&r, 0);
	}
}

/* A worker that did not run could not hear its clients. */
static void time_in_which_the_worker_did_not_run_ends_no_session(void **state)
{
	struct mr_session *s = open_one(false);

	(void)state;
	pass_ms(HEARTBEAT_MS);
	mr_rig_wait_ms(&r, 60 * HEARTBEAT_MS);
	mr_rig_round(&r, 0);
	pass_ms(MISSED_MAX * HEARTBEAT_MS - 200);
	assert_int_equal(end_of(s), MR_REMOTE_LIVES);
	pass_ms(500);
	assert_int_equal(end_of(s), MR_REMOTE_EXPIRED);
	mr_rig_close(&r);
}

/* A publisher without credit sends nothing else. */
static void probes_keep_a_session_alive(void **state)
{
	struct mr_session *s = open_one(false);

	(void)state;
	for (unsigned ms = 0; ms < 10 * HEARTBEAT_MS; ms += 50) {
		mr_rig_wait_ms(&r, 50);
		mr_rig_begin(&f, client.session, 1);
		mr_frame_write_reliable(f.at);
		mr_rig_send(&r, 0, &client.path, &f);
		mr_rig_round(&r, 0);
		while (mr_rig_receive(&r, 0, &f, NULL))
			;
	}
	assert_int_equal(end_of(s), MR_REMOTE_LIVES);
	assert_int_equal(s->stats->reliable_rx, 1);
	assert_true(r.stats[0].drop_reliable_again > 100);
	mr_rig_close(&r);
}

static void silent_client_expires(void **state)
{
	struct mr_session *s = open_one(false);

	(void)state;
	pass_ms(MISSED_MAX * HEARTBEAT_MS - 100);
	assert_int_equal(end_of(s), MR_REMOTE_LIVES);
	assert_false(writer_was_rung());
	pass_ms(300);
	assert_int_equal(end_of(s), MR_REMOTE_EXPIRED);
	assert_true(writer_was_rung());
	mr_rig_close(&r);
}

static void client_that_says_goodbye_is_closed(void **state)
{
	struct mr_session *s = open_one(false);

	(void)state;
	mr_rig_begin(&f, client.session, 1);
	mr_rig_add(&f, MRF_MESSAGE_KIND_PUBLISH, 0, "last.words", "x", 1);
	mr_rig_add(&f, MRF_MESSAGE_KIND_CLOSE, 0, NULL, NULL, 0);
	mr_rig_send(&r, 0, &client.path, &f);
	mr_rig_round(&r, 0);
	assert_int_equal(end_of(s), MR_REMOTE_CLOSED);
	assert_true(writer_was_rung());
	assert_int_equal(r.stats[0].published, 1);
	mr_rig_publish(&client, &f, "more", "x");
	mr_rig_send(&r, 0, &client.path, &f);
	mr_rig_round(&r, 0);
	assert_int_equal(r.stats[0].drop_no_session, 1);
	mr_rig_close(&r);
}

static int32_t received_code(void)
{
	struct mr_message_view m;
	struct mrf_table root, result;
	uint32_t at = 0;

	assert_true(mr_rig_receive(&r, 0, &f, NULL));
	assert_true(mr_rig_message(&f, &at, &m));
	assert_int_equal(m.header.kind, MRF_MESSAGE_KIND_CLOSE);
	assert_int_equal(mrf_client_message_parse(m.payload, m.payload_bytes, &root), 0);
	assert_int_equal(mrf_client_message_body_type(root), MRF_CLIENT_BODY_RESULT);
	result = mrf_client_message_body(root);
	return mrf_result_code(result);
}

static void expelled_client_gets_the_reason(void **state)
{
	struct mr_session *s = open_one(false);

	(void)state;
	atomic_store(&s->remote->expel, -EPERM);
	mr_rig_wait_ms(&r, 200);
	mr_rig_round(&r, 0);
	assert_int_equal(received_code(), -EPERM);
	assert_int_equal(end_of(s), MR_REMOTE_CLOSED);
	assert_true(writer_was_rung());
	mr_rig_close(&r);
}

static void stopping_bus_says_so(void **state)
{
	struct mr_session *s = open_one(false);

	(void)state;
	(void)s;
	mr_worker_udp_sessions_stop(r.workers[0]);
	assert_int_equal(received_code(), -ESHUTDOWN);
	mr_rig_close(&r);
}

/* The client sends from another address; returns the nonce of the challenge. */
static uint64_t speak_from(const struct mrf_network_path *path)
{
	struct mrf_network_path to;
	struct mr_message_view m;
	struct mrf_path_proof proof;
	uint32_t at = 0;

	mr_rig_publish(&client, &f, "a.b", "from elsewhere");
	mr_rig_send(&r, 0, path, &f);
	mr_rig_round(&r, 0);
	assert_true(mr_rig_receive(&r, 0, &f, &to));
	assert_true(mr_path_same(&to, path));
	assert_int_equal(f.header.session, client.session);
	assert_int_equal(f.header.sequence, 0);
	assert_true(mr_rig_message(&f, &at, &m));
	assert_int_equal(m.header.kind, MRF_MESSAGE_KIND_PATH);
	assert_int_equal(m.payload_bytes, sizeof(proof));
	memcpy(&proof, m.payload, sizeof(proof));
	assert_int_equal(proof.secret, 0);
	return proof.nonce;
}

static void prove_from(const struct mrf_network_path *path, uint64_t nonce, uint64_t secret)
{
	struct mrf_path_proof proof = {nonce, secret};

	mr_rig_begin(&f, client.session, ++client.sequence);
	mr_rig_add(&f, MRF_MESSAGE_KIND_PATH, 0, NULL, &proof, sizeof(proof));
	mr_rig_add(&f, MRF_MESSAGE_KIND_PUBLISH, 0, "a.b", "x", 1);
	mr_rig_send(&r, 0, path, &f);
	mr_rig_round(&r, 0);
}

static void proved_address_is_taken(bool from_ip6, bool to_ip6)
{
	struct mrf_network_path path = mr_rig_path(to_ip6, 5001), to;
	struct mr_session *s = open_one(from_ip6);
	uint64_t nonce = speak_from(&path);

	assert_int_equal(r.stats[0].drop_wrong_path, 1);
	assert_int_equal(r.stats[0].paths_asked, 1);
	assert_int_equal(r.stats[0].published, 0);
	prove_from(&path, nonce, s->remote->secret);
	assert_int_equal(r.stats[0].paths_changed, 1);
	assert_int_equal(s->stats->paths_changed, 1);
	assert_int_equal(r.stats[0].published, 1);
	mr_rig_wait_ms(&r, HEARTBEAT_MS);
	mr_rig_round(&r, 0);
	assert_true(mr_rig_receive(&r, 0, &f, &to));
	assert_true(mr_path_same(&to, &path));
	mr_rig_close(&r);
}

static void proved_port_is_taken(void **state)
{
	(void)state;
	proved_address_is_taken(false, false);
	proved_address_is_taken(true, true);
}

static void proved_address_of_the_other_family_is_taken(void **state)
{
	(void)state;
	proved_address_is_taken(false, true);
	proved_address_is_taken(true, false);
}

/* Offers messages of all sizes to a session; returns the largest packet sent to it. */
static uint32_t largest_sent(struct mr_session *s)
{
	static const uint8_t body[MR_RIG_FRAME_BYTES];
	uint32_t largest = 0, bytes;
	uint8_t packet[4096];

	for (uint32_t n = MR_RIG_FRAME_BYTES - 400; n < MR_RIG_FRAME_BYTES; n += 8) {
		struct mr_message_plan plan =
			mr_message_plan(MRF_MESSAGE_KIND_CONTROL, NULL, NULL, 0, body, 0, n);

		(void)mr_worker_send_alone(r.workers[0], s, &plan, 0, true);
	}
	mr_worker_ports_tx(r.workers[0]);
	while ((bytes = mr_rig_collect(&r, 0, packet, sizeof(packet))) > 0)
		if (bytes > largest)
			largest = bytes;
	return largest;
}

/* IPv6 headers are larger, and the MTU stays. */
static void frames_fit_the_path_that_was_taken(void **state)
{
	struct mrf_network_path path = mr_rig_path(true, 5001);
	struct mr_session *s = open_one(false);

	(void)state;
	assert_int_equal(largest_sent(s), 14 + 1500);
	prove_from(&path, speak_from(&path), s->remote->secret);
	assert_int_equal(r.stats[0].paths_changed, 1);
	assert_int_equal(largest_sent(s), 14 + 48 + 1448);
	mr_rig_close(&r);
}

/* Moves to another port, whose buffers may have another size too. */
static void frames_fit_the_port_that_was_moved_to(void **state)
{
	struct mrf_network_path path = mr_rig_path(false, 5001);
	struct mr_session *s = open_one(false);
	uint64_t nonce;

	(void)state;
	r.port.mtu = 1280;
	nonce = speak_from(&path);
	prove_from(&path, nonce, s->remote->secret);
	assert_int_equal(r.stats[0].paths_changed, 1);
	assert_int_equal(largest_sent(s), 14 + 28 + 1248);
	mr_rig_close(&r);
}

/* The operator lowers the MTU of the interface while sessions are open. */
static void frames_follow_the_mtu_of_the_port(void **state)
{
	struct mr_session *s = open_one(false);

	(void)state;
	assert_int_equal(largest_sent(s), 14 + 1500);
	atomic_store(&r.port.mtu, 1280);
	mr_rig_wait_ms(&r, HEARTBEAT_MS / 4);
	mr_rig_round(&r, 0);
	assert_int_equal(largest_sent(s), 14 + 28 + 1248);
	/* Wider again: the session keeps what it has. */
	atomic_store(&r.port.mtu, 1500);
	mr_rig_wait_ms(&r, HEARTBEAT_MS / 4);
	mr_rig_round(&r, 0);
	assert_int_equal(largest_sent(s), 14 + 28 + 1248);
	mr_rig_close(&r);
}

static void unproved_address_is_not_taken(void **state)
{
	struct mrf_network_path path = mr_rig_path(false, 5001), third = mr_rig_path(false, 5002);
	struct mr_session *s = open_one(false);
	uint64_t nonce = speak_from(&path);

	(void)state;
	prove_from(&path, nonce + 1, s->remote->secret);
	prove_from(&path, nonce, s->remote->secret + 1);
	prove_from(&third, nonce, s->remote->secret);
	assert_int_equal(r.stats[0].paths_changed, 0);
	assert_int_equal(r.stats[0].published, 0);
	assert_int_equal(r.stats[0].drop_wrong_path, 4);
	assert_true(mr_path_same(&s->remote->path, &client.path));
	mr_rig_close(&r);
}

/* Recorded by another host and replayed, after the client has moved on. */
static void proof_is_good_once(void **state)
{
	struct mrf_network_path path = mr_rig_path(false, 5001);
	struct mr_session *s = open_one(false);
	struct mrf_network_path home = client.path;
	static struct mr_rig_frame recorded;
	uint64_t nonce = speak_from(&path);

	(void)state;
	prove_from(&path, nonce, s->remote->secret);
	recorded = f;
	mr_rig_wait_ms(&r, 200);
	while (mr_rig_receive(&r, 0, &f, NULL))
		;
	nonce = speak_from(&home);
	prove_from(&home, nonce, s->remote->secret);
	assert_int_equal(r.stats[0].paths_changed, 2);
	mr_rig_send(&r, 0, &path, &recorded);
	mr_rig_round(&r, 0);
	assert_int_equal(r.stats[0].paths_changed, 2);
	assert_true(mr_path_same(&s->remote->path, &home));
	assert_int_equal(r.stats[0].drop_duplicate_frame, 1);
	mr_rig_close(&r);
}

static void strangers_make_the_bus_ask_little(void **state)
{
	struct mrf_network_path path = mr_rig_path(false, 5001);
	unsigned asked = 0;

	(void)state;
	open_one(false);
	for (unsigned i = 0; i < 30; i++) {
		mr_rig_publish(&client, &f, "a.b", "x");
		mr_rig_send(&r, 0, &path, &f);
		mr_rig_round(&r, 0);
		mr_rig_wait_ms(&r, 10);
	}
	while (mr_rig_receive(&r, 0, &f, NULL))
		asked++;
	assert_int_equal(r.stats[0].paths_asked, asked);
	assert_true(asked <= 4);
	assert_int_equal(r.stats[0].drop_wrong_path, 30);
	mr_rig_close(&r);
}

static void another_router_is_followed_at_once(void **state)
{
	struct mrf_network_path path, to;
	struct mr_session *s = open_one(false);

	(void)state;
	path = client.path;
	path.peer_mac ^= 0x0100000000;
	mr_rig_publish(&client, &f, "a.b", "x");
	mr_rig_send(&r, 0, &path, &f);
	mr_rig_round(&r, 0);
	assert_int_equal(s->stats->frames_rx, 1);
	mr_rig_wait_ms(&r, HEARTBEAT_MS);
	mr_rig_round(&r, 0);
	assert_true(mr_rig_receive(&r, 0, &f, &to));
	assert_int_equal(to.peer_mac, path.peer_mac);
	assert_int_equal(r.stats[0].drop_wrong_path, 0);
	mr_rig_close(&r);
}

static void speak_by(const struct mrf_network_path *path)
{
	mr_rig_publish(&client, &f, "a.b", "x");
	mr_rig_send(&r, 0, path, &f);
	mr_rig_round(&r, 0);
}

static void a_bound_session_takes_frames_of_its_own_mac_alone(void **state)
{
	struct mr_session *s = open_one(false);
	struct mrf_network_path other = client.path, moved = mr_rig_path(false, 5001);

	(void)state;
	r.workers[0]->bind_mac = true;
	other.peer_mac ^= 0x0100000000;
	moved.peer_mac = other.peer_mac;
	speak_by(&client.path);
	speak_by(&other);
	speak_by(&moved);
	assert_int_equal(s->stats->frames_rx, 1);
	assert_int_equal(r.stats[0].drop_wrong_mac, 2);
	assert_int_equal(r.stats[0].paths_asked, 0);
	assert_int_equal(s->remote->path.peer_mac, client.path.peer_mac);
	speak_by(&client.path);
	assert_int_equal(s->stats->frames_rx, 2);
	mr_rig_close(&r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(silence_is_broken_by_heartbeats),
		cmocka_unit_test(heartbeats_keep_a_session_alive),
		cmocka_unit_test(probes_keep_a_session_alive),
		cmocka_unit_test(silent_client_expires),
		cmocka_unit_test(time_in_which_the_worker_did_not_run_ends_no_session),
		cmocka_unit_test(client_that_says_goodbye_is_closed),
		cmocka_unit_test(expelled_client_gets_the_reason),
		cmocka_unit_test(stopping_bus_says_so),
		cmocka_unit_test(proved_port_is_taken),
		cmocka_unit_test(proved_address_of_the_other_family_is_taken),
		cmocka_unit_test(frames_fit_the_path_that_was_taken),
		cmocka_unit_test(frames_fit_the_port_that_was_moved_to),
		cmocka_unit_test(frames_follow_the_mtu_of_the_port),
		cmocka_unit_test(unproved_address_is_not_taken),
		cmocka_unit_test(proof_is_good_once),
		cmocka_unit_test(strangers_make_the_bus_ask_little),
		cmocka_unit_test(another_router_is_followed_at_once),
		cmocka_unit_test(a_bound_session_takes_frames_of_its_own_mac_alone),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
