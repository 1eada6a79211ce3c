/* SPDX-License-Identifier: Apache-2.0 */
/* Messages behind a promised publish that waits: all but publishes are taken, once, in order;
 * through a ring and over UDP. */
#include <unistd.h>

#include "tests/unit/worker/cmocka_all.h"

#include "dataplane/worker/beyond.h"
#include "dataplane/worker/backpressure.h"
#include "flatbuf/wire.h"
#include "tests/support/net/rig.h"

static struct mr_rig r;
static struct mr_rig_frame f;
static struct mr_rig_client client;
static struct mr_rig_local pub, slow, reader;
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

static void block(
	const struct mr_session *session, uint32_t id, const char *pattern, const char *group)
{
	struct mr_owner owner = {0, session->slot, session->generation};

	mr_rig_join(&r, session, id, pattern, group);
	assert_int_equal(mr_table_high_water(r.table, &owner, id, 50), 0);
}

static void open_all(const char *group)
{
	struct mrf_network_path path = mr_rig_path(false, 4001);

	mr_rig_open(&r, 1);
	mr_rig_attach(&r, 0, 0, &pub);
	mr_rig_attach(&r, 0, 1, &slow);
	mr_rig_attach(&r, 0, 2, &reader);
	s = mr_rig_remote(&r, 0, 6, &path, MR_RIG_FRAME_BYTES, &client);
	block(slow.session, 1, "full", group);
	mr_rig_subscribe(&r, reader.session, 1, "free");
}

static void close_all(void)
{
	rounds(1);
	while (mr_rig_receive(&r, 0, &f, NULL))
		;
	close(pub.liveness_fd);
	close(slow.liveness_fd);
	close(reader.liveness_fd);
	mr_rig_close(&r);
}

static struct mr_message_plan promised(const char *subject)
{
	static const uint8_t payload[1000];
	static const struct mr_message_extra extra = {.flags = MRF_MESSAGE_FLAG_ORIGIN};
	struct mr_message_plan plan = mr_message_plan(MRF_MESSAGE_KIND_PUBLISH, NULL, subject,
		(uint32_t)strlen(subject), payload, 0, sizeof(payload));

	mr_message_plan_extra(&plan, &extra);
	return plan;
}

static uint32_t fill(void)
{
	struct mr_message_plan plan = promised("full");
	uint32_t count = 0;

	for (; !pub.session->paused; count++) {
		assert_true(count < 10000);
		mr_rig_push(&pub, &plan, 0);
		rounds(1);
	}
	return count;
}

static struct mr_message_plan control(uint64_t memory[16], enum mrf_client_body type)
{
	struct mrf_client_message message = {.body_type = (uint8_t)type};
	struct mrf_builder b;
	const void *data;
	size_t bytes;

	mrf_builder_init(&b, memory, 16 * sizeof(memory[0]));
	if (type == MRF_CLIENT_BODY_ALIAS_RELEASE)
		message.body = mrf_alias_release_write(&b, &(struct mrf_alias_release){.alias = 1});
	else
		message.body = mrf_ping_write(&b, &(struct mrf_ping){.sent_ns = 1});
	assert_int_equal(
		mrf_builder_finish(&b, mrf_client_message_write(&b, &message), &data, &bytes), 0);
	memmove(memory, data, bytes);
	return mr_message_plan(MRF_MESSAGE_KIND_CONTROL, NULL, NULL, 0, memory, 0, (uint32_t)bytes);
}

static void ask(enum mrf_client_body type)
{
	uint64_t memory[16];
	struct mr_message_plan plan = control(memory, type);

	mr_rig_push(&pub, &plan, 7);
}

static uint32_t read_all(struct mr_rig_local *from)
{
	struct mr_message_view m;
	uint32_t got = 0;

	for (unsigned vain = 0; vain < 10; vain++) {
		while (mr_rig_next(from, &m)) {
			assert_int_equal(m.header.kind, MRF_MESSAGE_KIND_DELIVER);
			got++;
			vain = 0;
		}
		(void)mr_bytes_release(&from->down);
		rounds(1);
	}
	return got;
}

static void what_is_no_publish_is_taken_once(const char *group)
{
	const struct mr_message_plan plain =
		mr_message_plan(MRF_MESSAGE_KIND_PUBLISH, NULL, "free", 4, "x", 0, 1);
	const struct mr_message_plan beat =
		mr_message_plan(MRF_MESSAGE_KIND_BEAT, NULL, NULL, 0, NULL, 0, 0);
	struct mr_message_plan more = promised("full");
	struct mr_message_view m;
	uint32_t sent;

	open_all(group);
	sent = fill();
	mr_rig_push(&pub, &plain, 0);
	ask(MRF_CLIENT_BODY_PING);
	mr_rig_push(&pub, &more, 0);
	mr_rig_push(&pub, &beat, 0);
	ask(MRF_CLIENT_BODY_PING);
	rounds(20);
	assert_true(pub.session->paused);
	assert_int_equal(stats()->handoff_tx, 2);
	assert_true(mr_rig_next(&pub, &m));
	assert_int_equal(m.header.kind, MRF_MESSAGE_KIND_BEAT);
	assert_int_equal(read_all(&reader), 0); /* publishes stay, in their order */
	/* More messages, while it waits. */
	ask(MRF_CLIENT_BODY_PING);
	rounds(5);
	assert_int_equal(stats()->handoff_tx, 3);
	assert_int_equal(read_all(&slow), sent + 1);
	assert_int_equal(read_all(&reader), 1);
	assert_int_equal(stats()->handoff_tx, 3);
	assert_false(mr_rig_next(&pub, &m));
	assert_int_equal(pub.session->stats->rx_messages, sent + 6);
	assert_true(mr_bytes_empty(&pub.session->up));
	close_all();
}

static void behind_a_publish_to_a_receiver(void **state)
{
	(void)state;
	what_is_no_publish_is_taken_once("");
}

static void behind_a_publish_to_a_group(void **state)
{
	(void)state;
	what_is_no_publish_is_taken_once("g");
}

/* The waiting message may use that alias. */
static void the_release_of_an_alias_is_not_passed(void **state)
{
	(void)state;
	open_all("");
	(void)fill();
	ask(MRF_CLIENT_BODY_PING);
	ask(MRF_CLIENT_BODY_ALIAS_RELEASE);
	ask(MRF_CLIENT_BODY_PING);
	rounds(10);
	assert_int_equal(stats()->handoff_tx, 1);
	(void)read_all(&slow);
	assert_int_equal(stats()->handoff_tx, 3);
	close_all();
}

/* Far more than one round looks at, and more than a burst. */
static void much_behind_it_comes_by_and_by(void **state)
{
	enum { COUNT = 1000 };
	uint64_t before;

	(void)state;
	open_all("");
	(void)fill();
	for (unsigned i = 0; i < COUNT; i++)
		ask(MRF_CLIENT_BODY_PING);
	before = stats()->handoff_tx;
	rounds(1);
	assert_true(stats()->handoff_tx - before <= MR_BEYOND_LOOKS);
	rounds(COUNT / 16);
	assert_int_equal(stats()->handoff_tx + stats()->drop_handoff_full, COUNT);
	(void)read_all(&slow);
	assert_int_equal(stats()->handoff_tx + stats()->drop_handoff_full, COUNT);
	close_all();
}

static void begin(uint32_t sequence)
{
	mr_rig_begin(&f, client.session, sequence);
}

static void send_now(void)
{
	mr_frame_write_reliable(f.at);
	mr_rig_send(&r, 0, &client.path, &f);
	rounds(1);
}

/* Its frames wait in slots: one with more messages behind the publish, and others after it. */
static void behind_a_publish_over_udp(void **state)
{
	struct mr_message_plan plan = promised("full");
	uint64_t memory[16];
	struct mr_message_plan ping = control(memory, MRF_CLIENT_BODY_PING);
	uint32_t sent;

	(void)state;
	open_all("");
	sent = fill();
	begin(1);
	mr_rig_add_plan(&f, &ping, 7);
	mr_rig_add_plan(&f, &plan, 0);
	mr_rig_add_plan(&f, &ping, 7);
	send_now();
	assert_true(s->paused);
	begin(2);
	mr_rig_add_plan(&f, &plan, 0);
	mr_rig_add_plan(&f, &ping, 7);
	send_now();
	begin(4); /* early: nothing of it is taken */
	mr_rig_add_plan(&f, &ping, 7);
	send_now();
	rounds(5);
	assert_int_equal(stats()->handoff_tx, 3);
	begin(3);
	mr_rig_add_plan(&f, &ping, 7);
	send_now();
	rounds(5);
	assert_int_equal(stats()->handoff_tx, 5);
	assert_int_equal(read_all(&slow), sent + 2);
	assert_int_equal(stats()->handoff_tx, 5);
	assert_false(s->looked_beyond);
	assert_int_equal(s->stats->rx_messages, 7);
	begin(5);
	mr_rig_add_plan(&f, &ping, 7);
	send_now();
	assert_int_equal(stats()->handoff_tx, 6);
	close_all();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(behind_a_publish_to_a_receiver),
		cmocka_unit_test(behind_a_publish_to_a_group),
		cmocka_unit_test(the_release_of_an_alias_is_not_passed),
		cmocka_unit_test(much_behind_it_comes_by_and_by),
		cmocka_unit_test(behind_a_publish_over_udp),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
