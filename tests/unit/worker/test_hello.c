/* SPDX-License-Identifier: Apache-2.0 */
/* Hellos up to control, and control's answers down to the client. */
#include "tests/unit/worker/cmocka_all.h"

#include "dataplane/worker/frames.h"
#include "tests/support/net/rig.h"
#include "lib/wire/path.h"

static struct mr_rig r;
static struct mr_rig_frame f;

struct record {
	struct mrf_handoff_header header;
	struct mrf_network_path path;
	struct mr_message_view message;
};

static void hello(uint64_t nonce, uint64_t cookie, uint32_t frame_bytes, uint32_t padded)
{
	struct {
		struct mrf_hello_head head;
		uint8_t request[24];
	} payload = {{nonce, cookie, frame_bytes, 0}, "what control will read"};

	mr_rig_begin(&f, 0, 0);
	mr_rig_add(&f, MRF_MESSAGE_KIND_HELLO, 0, NULL, &payload, sizeof(payload));
	mr_rig_pad(&f, padded);
}

/* Sends a hello and returns the cookie of the answer. */
static uint64_t ask_cookie(const struct mrf_network_path *path, uint64_t nonce)
{
	struct mrf_network_path to;
	struct mr_message_view m;
	struct mrf_hello_retry retry;
	uint32_t at = 0, asked;

	hello(nonce, 0, 1472, 1472);
	asked = f.bytes;
	mr_rig_send(&r, 0, path, &f);
	mr_rig_round(&r, 0);
	assert_true(mr_rig_receive(&r, 0, &f, &to));
	assert_true(mr_path_same(&to, path));
	assert_int_equal(to.peer_mac, path->peer_mac);
	assert_true(f.bytes <= asked);
	assert_int_equal(f.header.session, 0);
	assert_int_equal(f.header.sequence, 0);
	assert_true(mr_rig_message(&f, &at, &m));
	assert_int_equal(m.header.kind, MRF_MESSAGE_KIND_RETRY);
	assert_int_equal(m.payload_bytes, sizeof(retry));
	memcpy(&retry, m.payload, sizeof(retry));
	assert_int_equal(retry.nonce, nonce);
	assert_int_not_equal(retry.cookie, 0);
	return retry.cookie;
}

static bool next_record(unsigned worker, struct record *out)
{
	struct mr_bytes_consumer *c = &r.to_control[worker];
	size_t ready = mr_bytes_readable(c);
	const uint8_t *at = mr_bytes_peek(c);

	if (ready == 0)
		return false;
	memcpy(&out->header, at, sizeof(out->header));
	memcpy(&out->path, at + sizeof(out->header), sizeof(out->path));
	at += sizeof(out->header) + sizeof(out->path);
	assert_true(mr_message_parse(at, mr_message_header_load(at), &out->message));
	mr_bytes_skip(c, out->header.bytes);
	(void)mr_bytes_release(c);
	return true;
}

static void good_cookie_leads_to_control(bool ip6)
{
	struct mrf_network_path path = mr_rig_path(ip6, 4001);
	struct mrf_hello_head head;
	struct record record;
	uint64_t cookie;

	mr_rig_open(&r, 1);
	cookie = ask_cookie(&path, 77);
	assert_false(next_record(0, &record));
	hello(77, cookie, 1400, 1472);
	mr_rig_send(&r, 0, &path, &f);
	mr_rig_round(&r, 0);
	assert_true(next_record(0, &record));
	assert_int_equal(record.header.reason, MRF_HANDOFF_REASON_HELLO);
	assert_int_equal(record.header.session, 0);
	assert_true(mr_path_same(&record.path, &path));
	assert_int_equal(record.path.peer_mac, path.peer_mac);
	assert_int_equal(record.message.header.kind, MRF_MESSAGE_KIND_HELLO);
	memcpy(&head, record.message.payload, sizeof(head));
	assert_int_equal(head.nonce, 77);
	assert_int_equal(head.frame_bytes, 1400);
	assert_string_equal(
		(const char *)record.message.payload + sizeof(head), "what control will read");
	assert_false(mr_rig_receive(&r, 0, &f, NULL));
	assert_int_equal(r.stats[0].hellos_retried, 1);
	assert_int_equal(r.stats[0].hellos_taken, 1);
	mr_rig_close(&r);
}

static void good_cookie_leads_to_control_over_ip4(void **state)
{
	(void)state;
	good_cookie_leads_to_control(false);
}

static void good_cookie_leads_to_control_over_ip6(void **state)
{
	(void)state;
	good_cookie_leads_to_control(true);
}

/* With another address, port, nonce or time: the bus sends a new cookie. */
static void cookies_are_bound_to_address_and_time(void **state)
{
	struct mrf_network_path path = mr_rig_path(false, 4001), other = mr_rig_path(false, 4002);
	uint64_t cookie;

	(void)state;
	mr_rig_open(&r, 1);
	cookie = ask_cookie(&path, 77);
	hello(77, cookie, 1472, 1472);
	mr_rig_send(&r, 0, &other, &f);
	hello(78, cookie, 1472, 1472);
	mr_rig_send(&r, 0, &path, &f);
	hello(77, cookie + 1, 1472, 1472);
	mr_rig_send(&r, 0, &path, &f);
	mr_rig_round(&r, 0);
	assert_int_equal(r.stats[0].hellos_retried, 4);
	/* The previous epoch still counts. */
	mr_rig_wait_ms(&r, 16000);
	hello(77, cookie, 1472, 1472);
	mr_rig_send(&r, 0, &path, &f);
	mr_rig_round(&r, 0);
	assert_int_equal(r.stats[0].hellos_taken, 1);
	mr_rig_wait_ms(&r, 32000);
	mr_rig_send(&r, 0, &path, &f);
	mr_rig_round(&r, 0);
	assert_int_equal(r.stats[0].hellos_taken, 1);
	assert_int_equal(r.stats[0].hellos_retried, 5);
	mr_rig_close(&r);
}

static void small_or_odd_hellos_get_no_answer(void **state)
{
	struct mrf_network_path path = mr_rig_path(false, 4001);
	unsigned bad = 0;

	(void)state;
	mr_rig_open(&r, 1);
	/* The answer could one day be larger than the hello. */
	hello(77, 0, 1472, 1192);
	mr_rig_send(&r, 0, &path, &f);
	bad++;
	hello(0, 0, 1472, 1472); /* no nonce */
	mr_rig_send(&r, 0, &path, &f);
	bad++;
	/* Asks for larger frames than it shows to be possible. */
	hello(77, 0, 1480, 1472);
	mr_rig_send(&r, 0, &path, &f);
	bad++;
	hello(77, 0, 1000, 1472); /* asks for too small frames */
	mr_rig_send(&r, 0, &path, &f);
	bad++;
	mr_rig_begin(&f, 0, 0); /* another message */
	mr_rig_add(&f, MRF_MESSAGE_KIND_PUBLISH, 0, "a.b", "x", 1);
	mr_rig_pad(&f, 1472);
	mr_rig_send(&r, 0, &path, &f);
	bad++;
	mr_rig_begin(&f, 0, 0); /* no message */
	mr_rig_send(&r, 0, &path, &f);
	bad++;
	mr_rig_round(&r, 0);
	assert_int_equal(r.stats[0].drop_bad_hello, bad);
	assert_false(mr_rig_receive(&r, 0, &f, NULL));
	mr_rig_close(&r);
}

static void floods_are_bounded(void **state)
{
	enum { ASKED = 150 };
	struct mrf_network_path path = mr_rig_path(false, 4001);
	struct record record;
	unsigned taken = 0;
	uint64_t cookie;

	(void)state;
	mr_rig_open(&r, 1);
	for (unsigned i = 0; i < ASKED; i++) {
		cookie = ask_cookie(&path, 77 + i);
		hello(77 + i, cookie, 1472, 1472);
		mr_rig_send(&r, 0, &path, &f);
		mr_rig_round(&r, 0);
	}
	while (next_record(0, &record))
		taken++;
	assert_int_equal(taken, 25); /* a tenth of a second's worth of one source's quarter */
	assert_int_equal(r.stats[0].hellos_taken, taken);
	assert_int_equal(r.stats[0].drop_rate, ASKED - taken);
	/* Another source gets through. */
	path = mr_rig_path(true, 4001);
	cookie = ask_cookie(&path, 5);
	hello(5, cookie, 1472, 1472);
	mr_rig_send(&r, 0, &path, &f);
	mr_rig_round(&r, 0);
	assert_true(next_record(0, &record));
	mr_rig_close(&r);
}

static uint32_t source_of(bool ip6, unsigned byte, uint8_t flip)
{
	struct mrf_network_path path = mr_rig_path(ip6, 4001);

	((uint8_t *)&path.peer_0)[byte] ^= flip;
	return mr_worker_source(r.workers[0], &path);
}

/* An IPv6 network gets no more than a single IPv4 address. */
static void addresses_of_one_network_are_one_source(void **state)
{
	const uint8_t link_local = 0xfd ^ 0xfe;
	struct mrf_network_path a = mr_rig_path(true, 4001), b;

	(void)state;
	mr_rig_open(&r, 1);
	assert_int_equal(source_of(true, 15, 0), source_of(true, 15, 1));
	assert_int_equal(source_of(true, 15, 0), source_of(true, 8, 0x80));
	assert_int_not_equal(source_of(true, 15, 0), source_of(true, 7, 1));
	assert_int_not_equal(source_of(false, 15, 0), source_of(false, 15, 1));
	/* Neighbours are distinguished. */
	((uint8_t *)&a.peer_0)[0] ^= link_local;
	((uint8_t *)&a.peer_0)[1] = 0x80;
	b = a;
	((uint8_t *)&b.peer_0)[15] ^= 1;
	assert_int_not_equal(
		mr_worker_source(r.workers[0], &a), mr_worker_source(r.workers[0], &b));
	mr_rig_close(&r);
}

/* Replays take nothing from another's bucket; a client's own repetitions get through. */
static void replay_of_a_valid_hello_hinders_no_client(void **state)
{
	struct mrf_network_path path = mr_rig_path(false, 4001);
	struct record record;
	uint64_t cookie, other;

	(void)state;
	mr_rig_open(&r, 1);
	cookie = ask_cookie(&path, 77);
	for (unsigned i = 0; i < 1000; i++) {
		hello(77, cookie, 1472, 1472);
		mr_rig_send(&r, 0, &path, &f);
		mr_rig_round(&r, 0);
	}
	assert_int_equal(r.stats[0].hellos_taken, 1);
	assert_int_equal(r.stats[0].drop_hello_again, 999);
	assert_int_equal(r.stats[0].drop_rate, 0);
	assert_true(next_record(0, &record));
	other = ask_cookie(&path, 78);
	hello(78, other, 1472, 1472);
	mr_rig_send(&r, 0, &path, &f);
	mr_rig_round(&r, 0);
	assert_true(next_record(0, &record));
	mr_rig_wait_ms(&r, 100);
	hello(77, cookie, 1472, 1472);
	mr_rig_send(&r, 0, &path, &f);
	mr_rig_round(&r, 0);
	assert_true(next_record(0, &record));
	mr_rig_close(&r);
}

/* A flood of small frames is cheap; a client that opens or moves a session does not wait for its
 * end. */
static void flood_of_unknown_sessions_hinders_no_client(void **state)
{
	struct mrf_network_path path = mr_rig_path(false, 4001),
				elsewhere = mr_rig_path(false, 4003);
	struct mrf_network_path forged = mr_rig_path(false, 4002);
	struct mr_rig_client client;

	(void)state;
	mr_rig_open(&r, 1);
	(void)mr_rig_remote(&r, 0, 6, &path, MR_RIG_FRAME_BYTES, &client);
	for (unsigned i = 0; i < MR_ANSWERS_PER_SECOND / 5; i++) {
		mr_rig_begin(&f, mr_session_id(0, 9, 123), 1);
		mr_rig_send(&r, 0, &forged, &f);
		mr_rig_round(&r, 0);
		while (mr_rig_receive(&r, 0, &f, NULL))
			;
	}
	assert_true(r.stats[0].drop_no_session > 0);
	(void)ask_cookie(&forged, 77);
	mr_rig_begin(&f, client.session, 1);
	mr_rig_send(&r, 0, &elsewhere, &f);
	mr_rig_round(&r, 0);
	assert_int_equal(r.stats[0].paths_asked, 1);
	mr_rig_close(&r);
}

/* The rate is so low that a tenth of it is none. */
static void rate_of_one_lets_one_in(void **state)
{
	struct mrf_network_path path = mr_rig_path(false, 4001);
	uint64_t cookie;

	(void)state;
	mr_rig_open(&r, 1);
	mr_rate_shared_init(&r.workers[0]->hellos, r.workers[0]->tsc_hz, 1);
	cookie = ask_cookie(&path, 77);
	for (unsigned i = 0; i < 50; i++) {
		hello(77, cookie, 1472, 1472);
		mr_rig_send(&r, 0, &path, &f);
		mr_rig_round(&r, 0);
		mr_rig_wait_ms(&r, 100);
	}
	assert_true(r.stats[0].hellos_taken >= 5 && r.stats[0].hellos_taken <= 6);
	mr_rig_close(&r);
}

static void hellos_leave_room_to_control(void **state)
{
	struct mrf_network_path path = mr_rig_path(false, 4001);
	uint64_t cookie;

	(void)state;
	mr_rig_open(&r, 1);
	for (unsigned i = 0; i < 3000; i++) {
		cookie = ask_cookie(&path, 77 + i);
		hello(77 + i, cookie, 1472, 1472);
		mr_rig_send(&r, 0, &path, &f);
		mr_rig_round(&r, 0);
		mr_rig_wait_ms(&r, 5);
	}
	assert_true(r.stats[0].drop_handoff_full > 0);
	assert_int_equal(r.stats[0].drop_handoff_full + r.stats[0].hellos_taken, 3000);
	assert_true(mr_bytes_readable(&r.to_control[0]) <= MR_CHANNEL_RING_BYTES_MIN / 2 + 256);
	mr_rig_close(&r);
}

/* Writes a record as control does. */
static void send_control(enum mrf_handoff_reason reason, uint64_t session,
	const struct mrf_network_path *path, const char *text)
{
	struct mr_message_plan plan = mr_message_plan(
		MRF_MESSAGE_KIND_CONTROL, NULL, NULL, 0, text, 0, (uint32_t)strlen(text));
	struct mrf_handoff_header h = {
		.bytes = (uint32_t)(sizeof(h) + (path != NULL ? sizeof(*path) : 0)) + plan.bytes,
		.reason = (uint8_t)reason,
		.session = session,
	};
	uint8_t *to = mr_bytes_claim(&r.from_control[0], h.bytes + 8);

	assert_non_null(to);
	if (to == NULL)
		return;
	memcpy(to, &h, sizeof(h));
	to += sizeof(h);
	if (path != NULL) {
		memcpy(to, path, sizeof(*path));
		to += sizeof(*path);
	}
	mr_message_write(to, &plan, 21);
	mr_bytes_push(&r.from_control[0], h.bytes);
	(void)mr_bytes_publish(&r.from_control[0]);
}

static void welcome_fills_a_frame(void **state)
{
	struct mrf_network_path path = mr_rig_path(true, 4001);
	struct mr_rig_client c;
	struct mr_message_view m;
	struct mr_session *s;
	uint32_t at = 0;

	(void)state;
	mr_rig_open(&r, 1);
	s = mr_rig_remote(&r, 0, 6, &path, 1400, &c);
	send_control(MRF_HANDOFF_REASON_WELCOME, s->id, NULL, "welcome");
	mr_rig_round(&r, 0);
	assert_true(mr_rig_receive(&r, 0, &f, NULL));
	assert_int_equal(f.bytes, 1400);
	assert_int_equal(f.header.session, s->id);
	assert_int_equal(f.header.sequence, 1);
	assert_true(mr_rig_message(&f, &at, &m));
	assert_int_equal(m.header.kind, MRF_MESSAGE_KIND_CONTROL);
	assert_int_equal(m.header.target, 21);
	assert_memory_equal(m.payload, "welcome", 7);
	assert_true(mr_rig_message(&f, &at, &m));
	assert_int_equal(m.header.kind, MRF_MESSAGE_KIND_PADDING);
	for (uint32_t i = 0; i < m.payload_bytes; i++)
		assert_int_equal(m.payload[i], 0);
	assert_false(mr_rig_message(&f, &at, &m));
	mr_rig_close(&r);
}

static void refusal_goes_to_its_address(void **state)
{
	struct mrf_network_path path = mr_rig_path(false, 4001), to;
	struct mr_message_view m;
	uint32_t at = 0;

	(void)state;
	mr_rig_open(&r, 1);
	send_control(MRF_HANDOFF_REASON_REFUSE, 0, &path, "go away");
	mr_rig_round(&r, 0);
	assert_true(mr_rig_receive(&r, 0, &f, &to));
	assert_true(mr_path_same(&path, &to));
	assert_int_equal(f.header.session, 0);
	assert_true(mr_rig_message(&f, &at, &m));
	assert_memory_equal(m.payload, "go away", 7);
	path.port = 3; /* there is one port */
	send_control(MRF_HANDOFF_REASON_REFUSE, 0, &path, "go away");
	mr_rig_round(&r, 0);
	assert_int_equal(r.stats[0].drop_bad_handoff, 1);
	assert_false(mr_rig_receive(&r, 0, &f, NULL));
	mr_rig_close(&r);
}

static void answers_of_control_go_into_frames(void **state)
{
	struct mrf_network_path path = mr_rig_path(false, 4001);
	struct mr_rig_client c;
	struct mr_message_view m;
	struct mr_session *s;
	uint32_t at = 0;

	(void)state;
	mr_rig_open(&r, 1);
	s = mr_rig_remote(&r, 0, 6, &path, 1400, &c);
	send_control(MRF_HANDOFF_REASON_CONTROL, s->id, NULL, "subscribed");
	send_control(MRF_HANDOFF_REASON_CONTROL, s->id + 1, NULL, "nobody's");
	mr_rig_round(&r, 0);
	assert_true(mr_rig_receive(&r, 0, &f, NULL));
	assert_true(mr_rig_message(&f, &at, &m));
	assert_memory_equal(m.payload, "subscribed", 10);
	assert_false(mr_rig_message(&f, &at, &m));
	assert_int_equal(r.stats[0].drop_session_gone, 1);
	mr_rig_close(&r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(good_cookie_leads_to_control_over_ip4),
		cmocka_unit_test(good_cookie_leads_to_control_over_ip6),
		cmocka_unit_test(cookies_are_bound_to_address_and_time),
		cmocka_unit_test(small_or_odd_hellos_get_no_answer),
		cmocka_unit_test(floods_are_bounded),
		cmocka_unit_test(addresses_of_one_network_are_one_source),
		cmocka_unit_test(replay_of_a_valid_hello_hinders_no_client),
		cmocka_unit_test(flood_of_unknown_sessions_hinders_no_client),
		cmocka_unit_test(rate_of_one_lets_one_in),
		cmocka_unit_test(hellos_leave_room_to_control),
		cmocka_unit_test(welcome_fills_a_frame),
		cmocka_unit_test(refusal_goes_to_its_address),
		cmocka_unit_test(answers_of_control_go_into_frames),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
