/* SPDX-License-Identifier: Apache-2.0 */
/* Frames of sessions: from the port to local and remote subscribers, and from both into frames. */
#include <unistd.h>

#include "tests/unit/worker/cmocka_all.h"

#include "lib/wire/checksum.h"
#include "lib/wire/path.h"
#include "tests/support/net/rig.h"

static struct mr_rig r;
static struct mr_rig_frame f;
static struct mr_rig_client pub, sub;
static struct mr_rig_local local;

/* Opens a publisher and a subscriber to "a.b", both over UDP. */
static struct mr_session *open_pair(bool ip6, struct mr_session **publisher)
{
	struct mrf_network_path path = mr_rig_path(ip6, 4001);
	struct mr_session *s;

	*publisher = mr_rig_remote(&r, 0, 5, &path, MR_RIG_FRAME_BYTES, &pub);
	path = mr_rig_path(ip6, 4002);
	s = mr_rig_remote(&r, 0, 6, &path, MR_RIG_FRAME_BYTES, &sub);
	mr_rig_subscribe(&r, s, 3, "a.b");
	return s;
}

static void expect_delivery(uint32_t *at, uint32_t id, const char *text)
{
	struct mr_message_view m;

	assert_true(mr_rig_message(&f, at, &m));
	assert_int_equal(m.header.kind, MRF_MESSAGE_KIND_DELIVER);
	assert_int_equal(m.header.target, id);
	assert_int_equal(m.payload_bytes, strlen(text));
	assert_memory_equal(m.payload, text, strlen(text));
}

static void publish_locally(const char *text)
{
	struct mr_message_plan plan = mr_message_plan(
		MRF_MESSAGE_KIND_PUBLISH, NULL, "a.b", 3, text, 0, (uint32_t)strlen(text));
	void *to = mr_bytes_claim(&local.up, plan.stride);

	assert_non_null(to);
	/* For compilers that do not know the meaning of an assertion. */
	if (to != NULL)
		mr_message_write(to, &plan, 0);
	mr_bytes_push(&local.up, plan.stride);
	mr_bytes_publish(&local.up);
}

static void published_in_a_frame_reaches_local_and_remote(bool ip6)
{
	struct mr_message_view m;
	struct mr_session *p, *s;
	uint32_t at = 0;

	mr_rig_open(&r, 1);
	s = open_pair(ip6, &p);
	mr_rig_attach(&r, 0, 0, &local);
	mr_rig_subscribe(&r, local.session, 9, "a.*");
	mr_rig_publish(&pub, &f, "a.b", "hello");
	mr_rig_send(&r, 0, &pub.path, &f);
	mr_rig_round(&r, 0);
	assert_true(mr_rig_next(&local, &m));
	assert_int_equal(m.header.target, 9);
	assert_memory_equal(m.payload, "hello", 5);
	assert_true(mr_rig_receive(&r, 0, &f, NULL));
	assert_int_equal(f.header.session, s->id);
	assert_int_equal(f.header.sequence, 1);
	assert_int_equal(f.header.messages, 1);
	expect_delivery(&at, 3, "hello");
	assert_false(mr_rig_receive(&r, 0, &f, NULL));
	assert_int_equal(r.stats[0].frames_rx, 1);
	assert_int_equal(r.stats[0].frames_tx, 1);
	assert_int_equal(r.stats[0].published, 1);
	assert_int_equal(r.stats[0].delivered, 2);
	assert_int_equal(p->stats->frames_rx, 1);
	assert_int_equal(s->stats->tx_messages, 1);
	close(local.liveness_fd);
	mr_rig_close(&r);
}

static void published_over_ip4_reaches_local_and_remote(void **state)
{
	(void)state;
	published_in_a_frame_reaches_local_and_remote(false);
}

static void published_over_ip6_reaches_local_and_remote(void **state)
{
	(void)state;
	published_in_a_frame_reaches_local_and_remote(true);
}

static void local_publisher_reaches_remote_subscriber(void **state)
{
	struct mr_session *p;
	uint32_t at = 0;

	(void)state;
	mr_rig_open(&r, 1);
	open_pair(false, &p);
	mr_rig_attach(&r, 0, 0, &local);
	publish_locally("from shm");
	mr_rig_round(&r, 0);
	assert_true(mr_rig_receive(&r, 0, &f, NULL));
	expect_delivery(&at, 3, "from shm");
	close(local.liveness_fd);
	mr_rig_close(&r);
}

/* The table writer does not know yet; its messages go to the other members. */
static void member_that_said_goodbye_gets_no_more(void **state)
{
	enum { MESSAGES = 8 };
	struct mr_session *p, *s;
	uint32_t at = 0;

	(void)state;
	mr_rig_open(&r, 1);
	s = open_pair(false, &p);
	mr_rig_join(&r, s, 4, "work", "crew");
	mr_rig_join(&r, p, 5, "work", "crew");
	mr_rig_begin(&f, sub.session, ++sub.sequence);
	mr_rig_add(&f, MRF_MESSAGE_KIND_CLOSE, 0, NULL, NULL, 0);
	mr_rig_send(&r, 0, &sub.path, &f);
	mr_rig_begin(&f, pub.session, ++pub.sequence);
	for (int i = 0; i < MESSAGES; i++)
		mr_rig_add(&f, MRF_MESSAGE_KIND_PUBLISH, 0, "work", "do", 2);
	mr_rig_send(&r, 0, &pub.path, &f);
	mr_rig_round(&r, 0);
	assert_true(mr_rig_receive(&r, 0, &f, NULL));
	assert_int_equal(f.header.session, pub.session);
	for (int i = 0; i < MESSAGES; i++)
		expect_delivery(&at, 5, "do");
	assert_false(mr_rig_receive(&r, 0, &f, NULL));
	mr_rig_close(&r);
}

/* A client that fills frames with the smallest messages does not delay clients on channels. */
static void small_messages_leave_time_to_others(void **state)
{
	enum { FRAMES = 32, EACH = 180 };
	struct mr_session *p;
	unsigned rounds = 0;
	uint32_t alias;

	(void)state;
	mr_rig_open(&r, 1);
	open_pair(false, &p);
	mr_rig_attach(&r, 0, 0, &local);
	alias = mr_rig_alias(&r, p, "nobody.listens");
	for (unsigned i = 0; i < FRAMES; i++) {
		mr_rig_begin(&f, pub.session, ++pub.sequence);
		for (unsigned k = 0; k < EACH; k++)
			mr_rig_add(&f, MRF_MESSAGE_KIND_PUBLISH, alias, NULL, NULL, 0);
		mr_rig_send(&r, 0, &pub.path, &f);
	}
	publish_locally("in time");
	mr_rig_round(&r, 0);
	assert_in_range(r.stats[0].published, MR_PORT_MESSAGES, MR_PORT_MESSAGES + EACH + 1);
	assert_int_equal(local.session->stats->rx_messages, 1);
	while (r.stats[0].published < FRAMES * EACH + 1 && rounds++ < FRAMES)
		mr_rig_round(&r, 0);
	assert_int_equal(r.stats[0].published, FRAMES * EACH + 1);
	assert_int_equal(r.stats[0].frames_rx, FRAMES);
	assert_int_equal(r.port_stats[0].rx_packets, FRAMES);
	assert_int_equal(p->stats->frames_lost, 0);
	close(local.liveness_fd);
	mr_rig_close(&r);
}

/* A run by alias, over several frames in and several out; order and completeness. */
static void runs_fill_frame_after_frame(void **state)
{
	enum { FRAMES = 8, EACH = 19, BYTES = 64 };
	uint32_t alias, next = 0, frames = 0;
	struct mr_session *p;

	(void)state;
	mr_rig_open(&r, 1);
	open_pair(false, &p);
	alias = mr_rig_alias(&r, p, "a.b");
	for (uint32_t n = 0; n < FRAMES; n++) {
		mr_rig_begin(&f, pub.session, ++pub.sequence);
		for (uint32_t i = 0; i < EACH; i++) {
			uint32_t payload[BYTES / 4] = {n * EACH + i};

			mr_rig_add(&f, MRF_MESSAGE_KIND_PUBLISH, alias, NULL, payload, BYTES);
		}
		mr_rig_send(&r, 0, &pub.path, &f);
	}
	mr_rig_round(&r, 0);
	while (mr_rig_receive(&r, 0, &f, NULL)) {
		struct mr_message_view m;
		uint32_t at = 0, number;

		assert_int_equal(f.header.sequence, ++frames);
		assert_true(f.bytes <= MR_RIG_FRAME_BYTES);
		while (mr_rig_message(&f, &at, &m)) {
			memcpy(&number, m.payload, sizeof(number));
			assert_int_equal(number, next++);
		}
	}
	assert_int_equal(next, FRAMES * EACH);
	/* Deliveries carry their subject: 19 of them do not fit a frame of 1,472 bytes. */
	assert_true(frames <= FRAMES * EACH / 16 + 1);
	assert_int_equal(r.stats[0].drop_bad_alias, 0);
	mr_rig_close(&r);
}

static void alias_that_is_not_held_is_refused(void **state)
{
	struct mr_owner owner = {0, 6, 7};
	struct mr_session *p;
	uint32_t alias;

	(void)state;
	mr_rig_open(&r, 1);
	open_pair(false, &p);
	assert_int_equal(mr_table_alias_acquire(r.table, &owner, "a.b", 3, &alias), 0);
	mr_rig_begin(&f, pub.session, 1);
	mr_rig_add(&f, MRF_MESSAGE_KIND_PUBLISH, alias, NULL, "x", 1);
	mr_rig_send(&r, 0, &pub.path, &f);
	mr_rig_round(&r, 0);
	assert_int_equal(r.stats[0].drop_bad_alias, 1);
	assert_int_equal(p->stats->rejected, 1);
	assert_false(mr_rig_receive(&r, 0, &f, NULL));
	mr_rig_close(&r);
}

static void frame_of_another_worker_is_passed_on(void **state)
{
	struct mr_session *p;
	uint32_t at = 0;

	(void)state;
	mr_rig_open(&r, 2);
	open_pair(false, &p);
	mr_rig_publish(&pub, &f, "a.b", "other way");
	mr_rig_send(&r, 1, &pub.path, &f);
	mr_rig_round(&r, 1);
	assert_int_equal(r.stats[1].frames_passed, 1);
	assert_int_equal(r.stats[1].frames_rx, 0);
	mr_rig_round(&r, 0);
	assert_int_equal(r.stats[0].frames_rx, 1);
	assert_true(mr_rig_receive(&r, 0, &f, NULL));
	expect_delivery(&at, 3, "other way");
	mr_rig_close(&r);
}

static void passed_frames_without_room_are_counted(void **state)
{
	uint32_t sent = 0;
	struct mr_session *p;

	(void)state;
	mr_rig_open(&r, 2);
	open_pair(false, &p);
	for (int i = 0; i < 3; i++) {
		for (int k = 0; k < 24; k++, sent++) {
			mr_rig_publish(&pub, &f, "a.b", "x");
			mr_rig_send(&r, 1, &pub.path, &f);
		}
		mr_rig_round(&r, 1);
	}
	/* Half of the ring stays for blocks, and no one waits for the other worker. */
	assert_int_equal(r.stats[1].frames_passed, 32);
	assert_int_equal(r.stats[1].drop_pass_full, sent - 32);
	assert_int_equal(r.stats[1].mesh_stalls, 0);
	assert_true(mr_spsc_room(&r.mesh[1][0], 64) >= 32);
	for (int i = 0; i < 8; i++)
		mr_rig_round(&r, 0);
	assert_int_equal(r.stats[0].frames_rx, 32);
	while (mr_rig_receive(&r, 0, &f, NULL))
		;
	mr_rig_round(&r, 1);
	mr_rig_close(&r);
}

static void delivery_crosses_the_mesh_into_a_frame(void **state)
{
	struct mrf_network_path path = mr_rig_path(true, 4002);
	struct mr_session *s;
	uint32_t at = 0;

	(void)state;
	mr_rig_open(&r, 2);
	s = mr_rig_remote(&r, 1, 6, &path, MR_RIG_FRAME_BYTES, &sub);
	mr_rig_subscribe(&r, s, 3, "a.b");
	path = mr_rig_path(false, 4001);
	mr_rig_remote(&r, 0, 5, &path, MR_RIG_FRAME_BYTES, &pub);
	mr_rig_publish(&pub, &f, "a.b", "across");
	mr_rig_send(&r, 0, &pub.path, &f);
	mr_rig_round(&r, 0);
	mr_rig_round(&r, 1);
	assert_true(mr_rig_receive(&r, 1, &f, NULL));
	expect_delivery(&at, 3, "across");
	mr_rig_close(&r);
}

static void duplicate_is_dropped_and_late_is_taken(void **state)
{
	static const uint32_t order[] = {1, 2, 2, 5, 3, 3, 1};
	struct mr_session *p;

	(void)state;
	mr_rig_open(&r, 1);
	open_pair(false, &p);
	for (unsigned i = 0; i < MR_ARRAY_COUNT(order); i++) {
		pub.sequence = order[i] - 1;
		mr_rig_publish(&pub, &f, "a.b", "x");
		mr_rig_send(&r, 0, &pub.path, &f);
	}
	mr_rig_round(&r, 0);
	assert_int_equal(r.stats[0].frames_rx, 4);
	assert_int_equal(r.stats[0].drop_duplicate_frame, 3);
	assert_int_equal(r.stats[0].frames_late, 1);
	assert_int_equal(r.stats[0].frames_lost, 1); /* the frame 4 */
	assert_int_equal(p->stats->frames_duplicate, 3);
	assert_int_equal(p->stats->frames_lost, 1);
	assert_int_equal(r.stats[0].published, 4);
	mr_rig_close(&r);
}

/* Each frame claims that two thousand million before it were lost. */
static void losses_that_cannot_be_are_not_counted(void **state)
{
	enum { FRAMES = 100 };
	struct mr_session *p;

	(void)state;
	mr_rig_open(&r, 1);
	open_pair(false, &p);
	pub.sequence = 0;
	for (unsigned i = 0; i < FRAMES; i++) {
		pub.sequence += 2000000000u;
		mr_rig_publish(&pub, &f, "a.b", "x");
		mr_rig_send(&r, 0, &pub.path, &f);
		mr_rig_round(&r, 0);
	}
	assert_int_equal(p->stats->frames_rx, FRAMES);
	assert_in_range(p->stats->frames_lost, 1, 65536 + 16 * FRAMES);
	assert_int_equal(r.stats[0].frames_lost, p->stats->frames_lost);
	mr_rig_close(&r);
}

static void message_that_does_not_fit_a_frame_is_missed_and_reported(void **state)
{
	static char text[1400];
	struct mrf_network_path path;
	struct mr_message_view m;
	struct mr_session *p, *small;
	struct mrf_gap gap;
	uint32_t at = 0;

	(void)state;
	memset(text, 't', sizeof(text) - 1);
	mr_rig_open(&r, 1);
	open_pair(false, &p);
	path = mr_rig_path(false, 4003);
	small = mr_rig_remote(&r, 0, 7, &path, MR_FRAME_BYTES_MIN, &sub);
	mr_rig_subscribe(&r, small, 4, "a.*");
	mr_rig_publish(&pub, &f, "a.b", text);
	mr_rig_send(&r, 0, &pub.path, &f);
	mr_rig_round(&r, 0);
	assert_int_equal(r.stats[0].drop_too_large, 1);
	assert_int_equal(r.stats[0].drop_receiver_full, 0);
	assert_int_equal(small->stats->missed, 1);
	/* The one that it fits. */
	assert_true(mr_rig_receive(&r, 0, &f, NULL));
	expect_delivery(&at, 3, text);
	mr_rig_publish(&pub, &f, "a.c", "small");
	mr_rig_send(&r, 0, &pub.path, &f);
	mr_rig_round(&r, 0);
	assert_true(mr_rig_receive(&r, 0, &f, NULL));
	at = 0;
	assert_true(mr_rig_message(&f, &at, &m));
	assert_int_equal(m.header.kind, MRF_MESSAGE_KIND_GAP);
	memcpy(&gap, m.payload, sizeof(gap));
	assert_int_equal(gap.missed, 1);
	expect_delivery(&at, 4, "small");
	mr_rig_close(&r);
}

static void no_buffer_is_counted_and_reported_later(void **state)
{
	struct mr_message_view m;
	struct mr_session *p, *s;
	uint32_t at = 0;

	(void)state;
	mr_rig_open(&r, 1);
	s = open_pair(false, &p);
	mr_rig_publish(&pub, &f, "a.b", "lost");
	mr_rig_send(&r, 0, &pub.path, &f);
	mr_rig_starve(&r, 0);
	mr_rig_round(&r, 0);
	assert_int_equal(r.stats[0].drop_no_buffer, 1);
	assert_int_equal(s->stats->missed, 1);
	mr_rig_feed(&r);
	/* The next look at all sessions, not yet a heartbeat. */
	mr_rig_wait_ms(&r, 200);
	mr_rig_round(&r, 0);
	assert_true(mr_rig_receive(&r, 0, &f, NULL));
	assert_true(mr_rig_message(&f, &at, &m));
	assert_int_equal(m.header.kind, MRF_MESSAGE_KIND_GAP);
	assert_false(mr_rig_receive(&r, 0, &f, NULL));
	mr_rig_close(&r);
}

/* The other end takes nothing: frames beyond its room are dropped and counted, nothing waits. */
static void full_transmit_ring_drops_and_counts(void **state)
{
	enum { FRAMES = 400 };
	uint32_t received = 0;
	struct mr_session *p;

	(void)state;
	mr_rig_open(&r, 1);
	open_pair(false, &p);
	for (uint32_t i = 0; i < FRAMES; i++) {
		mr_rig_publish(&pub, &f, "a.b", "x");
		mr_rig_send(&r, 0, &pub.path, &f);
		mr_rig_round(&r, 0);
	}
	while (mr_rig_receive(&r, 0, &f, NULL))
		received++;
	assert_true(received > 0 && received < FRAMES);
	assert_int_equal(r.stats[0].drop_tx_full, FRAMES - received);
	assert_int_equal(r.port_stats[0].tx_full, FRAMES - received);
	assert_int_equal(r.port_stats[0].tx_packets, received);
	mr_rig_close(&r);
}

static void port_without_link_is_let_alone(void **state)
{
	struct mr_session *p;
	uint32_t at = 0;

	(void)state;
	mr_rig_open(&r, 1);
	open_pair(false, &p);
	mr_rig_attach(&r, 0, 0, &local);
	atomic_store(&r.port.link_up, false);
	mr_rig_publish(&pub, &f, "a.b", "waits");
	mr_rig_send(&r, 0, &pub.path, &f);
	publish_locally("lost");
	mr_rig_round(&r, 0);
	assert_int_equal(r.stats[0].drop_tx_full, 1);
	assert_int_equal(r.stats[0].frames_rx, 0);
	assert_false(mr_rig_receive(&r, 0, &f, NULL));
	atomic_store(&r.port.link_up, true);
	mr_rig_round(&r, 0);
	assert_true(mr_rig_receive(&r, 0, &f, NULL));
	expect_delivery(&at, 3, "waits");
	close(local.liveness_fd);
	mr_rig_close(&r);
}

static void bad_frames_have_counters_of_their_own(void **state)
{
	struct mr_session *p;

	(void)state;
	mr_rig_open(&r, 1);
	open_pair(false, &p);
	mr_rig_publish(&pub, &f, "a.b", "x");
	f.at[0] = 2; /* version */
	mr_rig_send(&r, 0, &pub.path, &f);
	f.at[0] = 1;
	f.at[1] = MRF_FRAME_FLAG_SEALED; /* a flag for which nothing was agreed */
	mr_rig_send(&r, 0, &pub.path, &f);
	f.at[1] = 0;
	f.bytes = 23; /* truncated */
	mr_rig_send(&r, 0, &pub.path, &f);
	mr_rig_round(&r, 0);
	assert_int_equal(r.stats[0].drop_bad_frame, 3);
	mr_rig_publish(&pub, &f, "a.b", "x");
	f.bytes -= 4;
	mr_rig_send(&r, 0, &pub.path, &f);
	mr_rig_round(&r, 0);
	assert_int_equal(r.stats[0].drop_bad_frame_length, 1);
	assert_int_equal(r.stats[0].frames_rx, 0);
	mr_rig_publish(&pub, &f, "a.b", "x");
	f.at[2] = 2; /* one message more than there is */
	mr_rig_send(&r, 0, &pub.path, &f);
	mr_rig_round(&r, 0);
	assert_int_equal(r.stats[0].drop_bad_frame_length, 2);
	assert_int_equal(r.stats[0].published, 1);
	mr_rig_publish(&pub, &f, "a.b", "x");
	f.at[24] = 0xff; /* a message longer than the frame */
	f.at[25] = 0xff;
	mr_rig_send(&r, 0, &pub.path, &f);
	mr_rig_round(&r, 0);
	assert_int_equal(r.stats[0].drop_bad_frame_length, 3);
	while (mr_rig_receive(&r, 0, &f, NULL))
		;
	mr_rig_close(&r);
}

static void unknown_session_is_answered_with_a_close(void **state)
{
	struct mrf_network_path to;
	struct mr_message_view m;
	struct mrf_table root;
	uint32_t at = 0;

	(void)state;
	mr_rig_open(&r, 1);
	pub = (struct mr_rig_client){mr_rig_path(true, 4001), mr_session_id(0, 9, 123), 5};
	mr_rig_publish(&pub, &f, "a.b", "long enough for a reason to come back");
	mr_rig_send(&r, 0, &pub.path, &f);
	mr_rig_round(&r, 0);
	assert_true(mr_rig_receive(&r, 0, &f, &to));
	assert_true(mr_path_same(&to, &pub.path));
	assert_int_equal(f.header.session, pub.session);
	assert_int_equal(f.header.sequence, 0);
	assert_true(mr_rig_message(&f, &at, &m));
	assert_int_equal(m.header.kind, MRF_MESSAGE_KIND_CLOSE);
	assert_int_equal(mrf_client_message_parse(m.payload, m.payload_bytes, &root), 0);
	assert_int_equal(mrf_client_message_body_type(root), MRF_CLIENT_BODY_RESULT);
	assert_int_equal(r.stats[0].closes_sent, 1);
	assert_int_equal(r.stats[0].drop_no_session, 0);
	mr_rig_close(&r);
}

/* Its sender may be forged: a distant victim must not get more bytes than were sent. */
static void answer_to_a_heartbeat_is_short(void **state)
{
	struct mr_message_view m;
	uint32_t at = 0;

	(void)state;
	mr_rig_open(&r, 1);
	pub = (struct mr_rig_client){mr_rig_path(false, 4001), mr_session_id(0, 9, 123), 5};
	mr_rig_begin(&f, pub.session, 6);
	mr_rig_send(&r, 0, &pub.path, &f);
	mr_rig_round(&r, 0);
	assert_true(mr_rig_receive(&r, 0, &f, NULL));
	assert_int_equal(f.bytes, sizeof(f.header) + sizeof(struct mrf_message_header));
	assert_true(mr_rig_message(&f, &at, &m));
	assert_int_equal(m.header.kind, MRF_MESSAGE_KIND_CLOSE);
	mr_rig_close(&r);
}

/* Forged once to come from another bus, it would go back and forth for ever. */
static void close_of_another_bus_is_not_answered(void **state)
{
	struct mrf_network_path path = mr_rig_path(false, MR_RIG_UDP_PORT);

	(void)state;
	mr_rig_open(&r, 1);
	pub = (struct mr_rig_client){path, mr_session_id(0, 9, 123), 5};
	mr_rig_publish(&pub, &f, "a.b", "x");
	mr_rig_send(&r, 0, &path, &f);
	mr_rig_round(&r, 0);
	assert_true(mr_rig_receive(&r, 0, &f, NULL));
	mr_rig_send(&r, 0, &path, &f);
	mr_rig_round(&r, 0);
	assert_false(mr_rig_receive(&r, 0, &f, NULL));
	assert_int_equal(r.stats[0].closes_sent, 1);
	assert_int_equal(r.stats[0].drop_no_session, 1);
	mr_rig_close(&r);
}

static void answers_to_unknown_sessions_are_bounded(void **state)
{
	enum { FRAMES = 1500 };
	uint8_t packet[2048];

	(void)state;
	mr_rig_open(&r, 1);
	pub = (struct mr_rig_client){mr_rig_path(false, 4001), mr_session_id(7, 9, 123), 5};
	for (int i = 0; i < FRAMES; i++) {
		mr_rig_publish(&pub, &f, "a.b", "x");
		mr_rig_send(&r, 0, &pub.path, &f);
		mr_rig_round(&r, 0);
		while (mr_rig_collect(&r, 0, packet, sizeof(packet)) > 0)
			;
	}
	/* The burst of a tenth of a second, as no time passes. */
	assert_int_equal(r.stats[0].closes_sent, MR_ANSWERS_PER_SECOND / 10);
	assert_int_equal(r.stats[0].drop_no_session, FRAMES - MR_ANSWERS_PER_SECOND / 10);
	mr_rig_close(&r);
}

static const uint8_t echo_request[] = {2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 8, 0, /* */
	0x45, 0, 0, 33, 0, 1, 0, 0, 7, 1, 0, 0, 10, 77, 0, 2, 10, 77, 0, 1,      /* */
	8, 0, 0, 0, 0x12, 0x34, 0, 1, 'p', 'i', 'n', 'g', '!'};

static void pings_are_bounded(void **state)
{
	enum { PINGS = 1500, IP = 14, ICMP = 34 };
	enum { ECHOES = MR_ECHOES_PER_SECOND / MR_RATE_SHARE / 10 };
	uint8_t packet[2048], ping[sizeof(echo_request)];
	uint16_t sum;

	(void)state;
	mr_rig_open(&r, 1);
	memcpy(ping, echo_request, sizeof(ping));
	sum = mr_checksum_finish(mr_checksum_sum(&ping[IP], ICMP - IP));
	memcpy(&ping[IP + 10], &sum, sizeof(sum));
	sum = mr_checksum_finish(mr_checksum_sum(&ping[ICMP], sizeof(ping) - ICMP));
	memcpy(&ping[ICMP + 2], &sum, sizeof(sum));
	for (int i = 0; i < PINGS; i++) {
		mr_rig_inject(&r, 0, ping, sizeof(ping));
		mr_rig_round(&r, 0);
		while (mr_rig_collect(&r, 0, packet, sizeof(packet)) > 0)
			;
	}
	assert_int_equal(r.stats[0].echoes_answered, ECHOES);
	assert_int_equal(r.stats[0].drop_rate, PINGS - ECHOES);
	mr_rig_close(&r);
}

static void ask_who_has(uint8_t asks)
{
	const uint8_t arp[60] = {255, 255, 255, 255, 255, 255, 2, 0, 0, 0, 0, asks, 8, 6, 0, 1, 8,
		0, 6, 4, 0, 1, 2, 0, 0, 0, 0, asks, 10, 77, 0, asks, 0, 0, 0, 0, 0, 0, 10, 77, 0,
		1};
	uint8_t packet[2048];

	mr_rig_inject(&r, 0, arp, sizeof(arp));
	mr_rig_round(&r, 0);
	while (mr_rig_collect(&r, 0, packet, sizeof(packet)) > 0)
		;
}

static void arp_requests_are_bounded_by_source(void **state)
{
	enum { REQUESTS = 1000, ANSWERS = MR_NEIGHBOURS_PER_SECOND / MR_RATE_SHARE / 10 };

	(void)state;
	mr_rig_open(&r, 1);
	for (int i = 0; i < REQUESTS; i++)
		ask_who_has(2);
	assert_int_equal(r.stats[0].neighbours_answered, ANSWERS);
	assert_int_equal(r.stats[0].drop_rate, REQUESTS - ANSWERS);
	ask_who_has(9);
	assert_int_equal(r.stats[0].neighbours_answered, ANSWERS + 1);
	mr_rig_close(&r);
}

/* Buffers are reused; no session may see messages of others. */
static void padding_tells_nothing(void **state)
{
	static char text[512];
	struct mr_session *p;

	(void)state;
	memset(text, 0xaa, sizeof(text) - 1);
	mr_rig_open(&r, 1);
	open_pair(false, &p);
	for (int i = 0; i < 1200; i++) {
		mr_rig_publish(&pub, &f, "a.b", text);
		mr_rig_send(&r, 0, &pub.path, &f);
		mr_rig_round(&r, 0);
		while (mr_rig_receive(&r, 0, &f, NULL))
			;
	}
	for (uint32_t bytes = 0; bytes < 16; bytes++) {
		struct mr_message_view m;
		uint32_t at = 0;

		text[bytes] = 0;
		mr_rig_publish(&pub, &f, "a.b", text);
		text[bytes] = (char)0xaa;
		mr_rig_send(&r, 0, &pub.path, &f);
		mr_rig_round(&r, 0);
		assert_true(mr_rig_receive(&r, 0, &f, NULL));
		assert_true(mr_rig_message(&f, &at, &m));
		for (const uint8_t *pad = m.payload + m.payload_bytes; pad < f.at + f.bytes; pad++)
			assert_int_equal(*pad, 0);
	}
	mr_rig_close(&r);
}

/* Such a device needs the pseudo-header's sum in UDP's checksum, and 0 in IP's. */
static void device_that_computes_checksums_gets_what_it_wants(void **state)
{
	struct mr_session *p;
	uint8_t packet[2048], want[2];
	uint32_t bytes;
	uint64_t sum;
	uint16_t folded;

	(void)state;
	mr_rig_open(&r, 1);
	open_pair(false, &p);
	r.port.computes_ip = r.port.computes_udp = true;
	mr_rig_publish(&pub, &f, "a.b", "hello");
	mr_rig_send(&r, 0, &pub.path, &f);
	mr_rig_round(&r, 0);
	bytes = mr_rig_collect(&r, 0, packet, sizeof(packet));
	assert_true(bytes > 42);
	assert_int_equal(packet[24] | packet[25], 0);
	sum = mr_checksum_sum(packet + 26, 8) + mr_checksum_sum(packet + 38, 2) +
	      mr_checksum_sum("\0\x11", 2);
	folded = mr_checksum_fold(sum);
	memcpy(want, &folded, sizeof(want));
	assert_memory_equal(packet + 40, want, sizeof(want));
	mr_rig_close(&r);
}

/* Kinds that frames of a session may not carry. */
static void kinds_of_the_bus_are_rejected(void **state)
{
	static const enum mrf_message_kind kinds[] = {MRF_MESSAGE_KIND_DELIVER,
		MRF_MESSAGE_KIND_STATUS, MRF_MESSAGE_KIND_GAP, MRF_MESSAGE_KIND_HELLO,
		MRF_MESSAGE_KIND_RETRY};
	struct mr_session *p;

	(void)state;
	mr_rig_open(&r, 1);
	open_pair(false, &p);
	mr_rig_begin(&f, pub.session, 1);
	for (unsigned i = 0; i < MR_ARRAY_COUNT(kinds); i++)
		mr_rig_add(&f, kinds[i], 0, NULL, "x", 1);
	mr_rig_add(&f, MRF_MESSAGE_KIND_PADDING, 0, NULL, "x", 1);
	mr_rig_send(&r, 0, &pub.path, &f);
	mr_rig_round(&r, 0);
	assert_int_equal(r.stats[0].drop_bad_message, MR_ARRAY_COUNT(kinds));
	assert_int_equal(p->stats->rejected, MR_ARRAY_COUNT(kinds));
	mr_rig_close(&r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(published_over_ip4_reaches_local_and_remote),
		cmocka_unit_test(published_over_ip6_reaches_local_and_remote),
		cmocka_unit_test(local_publisher_reaches_remote_subscriber),
		cmocka_unit_test(member_that_said_goodbye_gets_no_more),
		cmocka_unit_test(small_messages_leave_time_to_others),
		cmocka_unit_test(runs_fill_frame_after_frame),
		cmocka_unit_test(alias_that_is_not_held_is_refused),
		cmocka_unit_test(frame_of_another_worker_is_passed_on),
		cmocka_unit_test(passed_frames_without_room_are_counted),
		cmocka_unit_test(delivery_crosses_the_mesh_into_a_frame),
		cmocka_unit_test(duplicate_is_dropped_and_late_is_taken),
		cmocka_unit_test(losses_that_cannot_be_are_not_counted),
		cmocka_unit_test(message_that_does_not_fit_a_frame_is_missed_and_reported),
		cmocka_unit_test(no_buffer_is_counted_and_reported_later),
		cmocka_unit_test(full_transmit_ring_drops_and_counts),
		cmocka_unit_test(port_without_link_is_let_alone),
		cmocka_unit_test(bad_frames_have_counters_of_their_own),
		cmocka_unit_test(unknown_session_is_answered_with_a_close),
		cmocka_unit_test(answer_to_a_heartbeat_is_short),
		cmocka_unit_test(close_of_another_bus_is_not_answered),
		cmocka_unit_test(answers_to_unknown_sessions_are_bounded),
		cmocka_unit_test(pings_are_bounded),
		cmocka_unit_test(arp_requests_are_bounded_by_source),
		cmocka_unit_test(padding_tells_nothing),
		cmocka_unit_test(device_that_computes_checksums_gets_what_it_wants),
		cmocka_unit_test(kinds_of_the_bus_are_rejected),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
