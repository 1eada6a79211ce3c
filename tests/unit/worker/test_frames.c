/* SPDX-License-Identifier: Apache-2.0 */
/* Frames of sessions: from the port to local and remote subscribers, and from both into frames. */
#include "tests/unit/worker/cmocka_all.h"

#include "tests/support/net/rig.h"

static struct mr_rig r;
static struct mr_rig_frame f;
static struct mr_rig_client pub, sub;
static struct mr_rig_local local;

/* A publisher and a subscriber to "a.b", both over UDP. */
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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(published_over_ip4_reaches_local_and_remote),
		cmocka_unit_test(published_over_ip6_reaches_local_and_remote),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
