/* SPDX-License-Identifier: Apache-2.0 */
/* flow_rig: a worker with one client over UDP that uses the reliable flow, and one on a channel.
 * The common part of test_flows.c and test_flow_end.c.
 *
 * Owns      Its one rig: open_both or open_speaking opens it, close_both closes it.
 * Errors    Anything unexpected fails the test.
 */
#ifndef MILLRACE_TESTS_UNIT_WORKER_FLOW_RIG_H
#define MILLRACE_TESTS_UNIT_WORKER_FLOW_RIG_H

#include <unistd.h>

#include "tests/unit/worker/cmocka_all.h"

#include "dataplane/worker/backpressure.h"
#include "dataplane/worker/flows.h"
#include "tests/support/net/rig.h"

static struct mr_rig r;
static struct mr_rig_frame f;
static struct mr_rig_client client;
static struct mr_rig_local local;
static struct mr_session *s;

/* Opens a client over UDP, and one on a channel that subscribes to "a". */
static inline void open_both(void)
{
	struct mrf_network_path path = mr_rig_path(false, 4001);

	mr_rig_open(&r, 1);
	s = mr_rig_remote(&r, 0, 6, &path, MR_RIG_FRAME_BYTES, &client);
	mr_rig_attach(&r, 0, 0, &local);
	mr_rig_subscribe(&r, local.session, 9, "a");
}

static inline void close_both(void)
{
	close(local.liveness_fd);
	mr_rig_close(&r);
}

static inline struct mrf_worker_stats *stats(void)
{
	return &r.stats[0];
}

static inline void send_now(void)
{
	mr_rig_send(&r, 0, &client.path, &f);
}

/* Sends a frame of the reliable flow with one publish, its number. */
static inline void send_number(uint32_t sequence, uint32_t number)
{
	mr_rig_begin(&f, client.session, sequence);
	mr_rig_add(&f, MRF_MESSAGE_KIND_PUBLISH, 0, "a", &number, sizeof(number));
	mr_frame_write_reliable(f.at);
	send_now();
}

/* Sends only an ack. */
static inline void send_ack(uint32_t ack, uint32_t credit, const uint64_t *came, uint32_t words)
{
	mr_rig_begin(&f, client.session, 0);
	if (words > 0)
		mr_rig_add(&f, MRF_MESSAGE_KIND_ACK, 0, NULL, came, words * 8);
	mr_frame_write_ack(f.at, ack, credit);
	send_now();
}

static inline void expect_numbers(uint32_t from, uint32_t to)
{
	struct mr_message_view m;

	for (uint32_t i = from; i <= to; i++) {
		uint32_t number = 0;

		assert_true(mr_rig_next(&local, &m));
		memcpy(&number, m.payload, sizeof(number));
		assert_int_equal(number, i);
	}
	assert_false(mr_rig_next(&local, &m));
}

static inline void rounds(unsigned count)
{
	while (count-- > 0)
		mr_rig_round(&r, 0);
}

/* Sends messages of that many bytes to the client, in its reliable flow. */
static inline uint32_t send_messages(uint32_t from, uint32_t count, uint32_t bytes)
{
	uint8_t payload[2048] = {0};

	for (uint32_t i = 0; i < count; i++) {
		uint32_t number = from + i;
		struct mr_message_plan plan =
			mr_message_plan(MRF_MESSAGE_KIND_DELIVER, NULL, NULL, 0, payload, 0, bytes);
		void *to = mr_worker_flow_claim(r.workers[0], s, plan.stride);

		if (to == NULL)
			return i;
		memcpy(payload, &number, sizeof(number));
		mr_message_write(to, &plan, 7);
		mr_worker_flow_push(r.workers[0], s, plan.stride);
	}
	return count;
}

/* Expects a frame of the reliable flow, with that many messages from that number on. */
static inline void expect_messages(uint32_t sequence, uint32_t from, uint32_t count)
{
	struct mr_message_view m;
	uint32_t at = 0;

	assert_true(mr_rig_receive(&r, 0, &f, NULL));
	assert_int_equal(f.header.flags, MRF_FRAME_FLAG_RELIABLE | MRF_FRAME_FLAG_ACK);
	assert_int_equal(f.header.sequence, sequence);
	for (uint32_t i = 0; i < count; i++) {
		uint32_t number = 0;

		assert_true(mr_rig_message(&f, &at, &m));
		assert_int_equal(m.header.target, 7);
		memcpy(&number, m.payload, sizeof(number));
		assert_int_equal(number, from + i);
	}
	assert_false(mr_rig_message(&f, &at, &m));
}

static inline void open_with_flow(uint32_t credit)
{
	open_both();
	send_ack(1, credit, NULL, 0);
	rounds(1);
	assert_true(mr_session_knows_flow(s));
	assert_false(mr_rig_receive(&r, 0, &f, NULL));
}

static struct mr_full_flag full_flag;

/* Fills a receiver of the client's publishes. */
static inline void stall(void)
{
	atomic_store(&full_flag.session, 1);
	s->paused_by = &full_flag;
	s->paused_by_generation = 1;
}

#endif
