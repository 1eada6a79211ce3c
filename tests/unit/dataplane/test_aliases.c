/* SPDX-License-Identifier: Apache-2.0 */
/* Aliases released while messages by them are in flight: the table writer in this process, and its
 * workers stepped by hand. */
#include "tests/unit/dataplane/inside.h"

#include <sys/socket.h>

#include <rte_cycles.h>

#include "dataplane/worker/stages.h"

#define MESSAGES 500u

/* A client of worker 0 that publishes, and one of worker 1 that reads. */
static struct client {
	struct mr_session *session;
	int liveness_fd;
	struct mr_bytes_producer up;
	struct mr_bytes_consumer down;
} pub, sub;

static void open_client(struct client *c)
{
	const struct mrf_link_open_session v = {.name = mrf_str("somebody")};
	struct mrf_builder b;
	uint64_t memory[64];

	mrf_builder_init(&b, memory, sizeof(memory));
	assert_int_equal(mr_writer_session_open(&writer,
				 inside_request(&b, MRF_LINK_BODY_LINK_OPEN_SESSION,
					 mrf_link_open_session_write(&b, &v)),
				 -1, &c->session, &c->liveness_fd),
		0);
	mr_channel_peer_side(
		&c->session->channel, writer.workers[c->session->worker]->page, &c->up, &c->down);
}

static int set_up(void **state)
{
	struct mr_owner owner;

	(void)state;
	config.tables.aliases_per_client_max = 2;
	assert_int_equal(mr_writer_open(&writer, &config), 0);
	open_client(&pub);
	open_client(&sub);
	assert_int_equal(pub.session->worker, 0);
	assert_int_equal(sub.session->worker, 1);
	owner = mr_writer_owner(sub.session);
	assert_int_equal(
		mr_table_subscribe(writer.table, &owner, 9, MR_SUB_PATTERN, "a", 1, NULL, 0), 0);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	mr_writer_close(&writer);
	close(pub.liveness_fd);
	close(sub.liveness_fd);
	return 0;
}

static void online(bool on)
{
	for (unsigned i = 0; i < WORKERS; i++)
		if (on)
			mr_router_online(writer.workers[i]->router);
		else
			mr_router_offline(writer.workers[i]->router);
}

static void step(unsigned worker)
{
	struct mr_worker *w = writer.workers[worker];

	w->round_start = rte_rdtsc();
	mr_worker_round(w);
	mr_router_quiescent(w->router);
}

static int give(const char *subject, uint32_t *alias)
{
	bool at_limit = false;
	int error = mr_writer_alias_give(&writer, pub.session, mrf_str(subject), alias, &at_limit);

	assert_int_equal(at_limit, error == -ENOSPC);
	return error;
}

static uint32_t aliases(void)
{
	struct mr_table_stats t;

	mr_table_stats_get(writer.table, &t);
	return t.aliases;
}

static uint32_t payload_bytes = sizeof(uint32_t);

static void publish(uint32_t alias, uint32_t number)
{
	static uint8_t payload[MR_BODY_BYTES_MAX];
	struct mr_message_plan plan =
		mr_message_plan(MRF_MESSAGE_KIND_PUBLISH, NULL, NULL, 0, payload, 0, payload_bytes);
	uint8_t *to = mr_bytes_claim(&pub.up, plan.stride);

	plan.header |= (uint64_t)MRF_MESSAGE_FLAG_HIGH << 24; /* promised at least once */
	assert_non_null(to);
	memcpy(payload, &number, sizeof(number));
	mr_message_write(to, &plan, alias);
	mr_bytes_push(&pub.up, plan.bytes);
	mr_bytes_publish_quiet(&pub.up);
}

/* Returns how many have arrived so far. */
static uint32_t read_all(uint32_t number)
{
	while (mr_bytes_readable(&sub.down) > 0) {
		const uint8_t *at = mr_bytes_peek(&sub.down);
		struct mrf_message_header h = mr_message_header_load(at);
		struct mr_message_view m;
		uint32_t got;

		assert_true(mr_message_parse(at, h, &m));
		memcpy(&got, m.payload, sizeof(got));
		assert_int_equal(got, number++);
		mr_bytes_skip(&sub.down, h.bytes);
	}
	mr_bytes_release(&sub.down);
	return number;
}

/* Worker 1 is behind by more than it takes in a round, and by more than the release takes. */
static void messages_in_the_mesh_arrive_though_their_alias_was_released(void **state)
{
	uint32_t alias, got = 0;

	(void)state;
	assert_int_equal(give("a", &alias), 0);
	online(true);
	for (uint32_t i = 0; i < MESSAGES; i++) {
		publish(alias, i);
		step(0);
	}
	assert_true(mr_session_drained(pub.session));
	assert_int_equal(mr_writer_alias_take(&writer, pub.session, alias), 0);
	assert_false(mr_session_holds(pub.session, alias));
	for (unsigned i = 0; i < 200; i++) {
		assert_true(mr_writer_sessions_tick(&writer));
		step(0);
	}
	while (mr_writer_sessions_tick(&writer)) {
		step(0);
		step(1);
		got = read_all(got);
	}
	assert_int_equal(got, MESSAGES);
	assert_int_equal(writer.workers[1]->stats->drop_bad_alias, 0);
	assert_int_equal(aliases(), 0);
	assert_int_equal(pub.session->aliases_count, 0);
	online(false);
}

static void an_alias_given_back_is_to_be_had_again_at_once(void **state)
{
	uint32_t alias, again;

	(void)state;
	assert_int_equal(give("a", &alias), 0);
	assert_int_equal(give("b", &again), 0);
	/* No worker reports. */
	online(true);
	for (unsigned i = 0; i < 1000; i++) {
		assert_int_equal(mr_writer_alias_take(&writer, pub.session, alias), 0);
		assert_false(mr_session_holds(pub.session, alias));
		(void)mr_writer_sessions_tick(&writer);
		assert_int_equal(give("a", &again), 0);
		assert_int_equal(again, alias);
		assert_true(mr_session_holds(pub.session, alias));
	}
	assert_int_equal(pub.session->aliases_count, 2);
	assert_true(writer.releases.slots_count <= 64);
	online(false);
	while (mr_writer_sessions_tick(&writer))
		;
	assert_int_equal(aliases(), 2);
	assert_true(mr_session_holds(pub.session, alias));
}

/* A message enters the mesh only when there is room. */
static void an_alias_given_back_is_kept_while_a_worker_holds_something_for_the_mesh(void **state)
{
	uint32_t alias;

	(void)state;
	assert_int_equal(give("a", &alias), 0);
	assert_int_equal(mr_writer_alias_take(&writer, pub.session, alias), 0);
	atomic_store(&writer.workers[0]->mesh.queued_in, 2);
	atomic_store(&writer.workers[0]->mesh.queued_out, 1);
	for (unsigned i = 0; i < 1000; i++)
		assert_true(mr_writer_sessions_tick(&writer));
	assert_int_equal(aliases(), 1);
	/* Messages that are queued later are not waited for. */
	atomic_store(&writer.workers[0]->mesh.queued_in, 3);
	atomic_store(&writer.workers[0]->mesh.queued_out, 2);
	while (mr_writer_sessions_tick(&writer))
		;
	assert_int_equal(aliases(), 0);
}

static void one_given_back_again_is_kept_for_as_long_again(void **state)
{
	uint32_t alias;

	(void)state;
	assert_int_equal(give("a", &alias), 0);
	online(true);
	for (unsigned i = 0; i < 10; i++) {
		uint64_t first;

		assert_int_equal(mr_writer_alias_take(&writer, pub.session, alias), 0);
		first = writer.passage.wanted;
		assert_true(mr_writer_sessions_tick(&writer));
		/* Its passage has begun. */
		assert_int_equal(give("a", &alias), 0);
		assert_int_equal(mr_writer_alias_take(&writer, pub.session, alias), 0);
		while (!mr_writer_passage_over(&writer, first)) {
			step(0);
			step(1);
			assert_true(mr_writer_sessions_tick(&writer));
		}
		assert_int_equal(aliases(), 1);
		assert_int_equal(give("a", &alias), 0);
		while (mr_writer_passages_tick(&writer)) {
			step(0);
			step(1);
		}
	}
	online(false);
}

static void released_alias_counts_until_nothing_is_in_flight(void **state)
{
	uint32_t alias, other;

	(void)state;
	assert_int_equal(give("a", &alias), 0);
	assert_int_equal(give("b", &other), 0);
	online(true);
	for (unsigned i = 0; i < 10; i++) {
		assert_int_equal(give("c", &other), -ENOSPC);
		(void)mr_writer_alias_take(&writer, pub.session, alias);
		(void)mr_writer_sessions_tick(&writer);
	}
	assert_int_equal(mr_writer_alias_take(&writer, pub.session, alias), -ENOENT);
	assert_int_equal(mr_writer_alias_take(&writer, pub.session, 12345678), -ENOENT);
	online(false);
	while (mr_writer_sessions_tick(&writer))
		;
	assert_int_equal(aliases(), 1);
	assert_int_equal(give("c", &other), 0);
	assert_int_equal(pub.session->aliases_count, 2);
}

static void a_session_that_ends_meanwhile_takes_its_aliases_along(void **state)
{
	uint32_t alias;

	(void)state;
	assert_int_equal(give("a", &alias), 0);
	assert_int_equal(give("b", &alias), 0);
	assert_int_equal(mr_writer_alias_take(&writer, pub.session, alias), 0);
	mr_writer_session_drop(&writer, pub.session, "gone");
	while (mr_writer_sessions_tick(&writer))
		;
	assert_int_equal(aliases(), 0);
	assert_int_equal(writer.releases.first, 0);
}

/* Worker 1 sleeps, and its thread does not run though there is work: for the grace period of the
 * tables it is absent. Worker 0 sleeps as well when it has sent all. */
static void publish_to_a_sleeper(uint32_t alias, uint32_t count)
{
	mr_router_online(writer.workers[0]->router);
	for (uint32_t i = 0; i < count; i++) {
		publish(alias, i);
		step(0);
	}
	mr_router_offline(writer.workers[0]->router);
	assert_true(mr_session_drained(pub.session));
}

/* One block a step, so that in some steps only a part has been read. */
static uint32_t wake_and_read(uint32_t got, uint32_t expected, uint32_t aliases_left)
{
	mr_router_online(writer.workers[1]->router);
	while (got < expected) {
		assert_int_equal(aliases(), aliases_left);
		assert_true(mr_writer_sessions_tick(&writer));
		step(1);
		got = read_all(got);
	}
	mr_router_offline(writer.workers[1]->router);
	return got;
}

static void a_sleeper_reads_what_was_published_before_the_release(void **state)
{
	uint32_t alias, other;

	(void)state;
	assert_int_equal(give("a", &alias), 0);
	publish_to_a_sleeper(alias, MESSAGES);
	assert_int_equal(mr_writer_alias_take(&writer, pub.session, alias), 0);
	for (unsigned i = 0; i < 1000; i++)
		assert_true(mr_writer_sessions_tick(&writer));
	assert_int_equal(give("b", &other), 0);
	assert_int_not_equal(other, alias);
	assert_int_equal(wake_and_read(0, MESSAGES, 2), MESSAGES);
	while (mr_writer_sessions_tick(&writer))
		;
	assert_int_equal(aliases(), 1);
	assert_int_equal(writer.workers[1]->stats->drop_bad_alias, 0);
}

/* Messages published between two releases of the same alias are read, too. */
static void a_sleeper_reads_what_came_after_an_earlier_release(void **state)
{
	uint32_t alias;

	(void)state;
	assert_int_equal(give("a", &alias), 0);
	publish_to_a_sleeper(alias, 1);
	assert_int_equal(mr_writer_alias_take(&writer, pub.session, alias), 0);
	assert_true(mr_writer_sessions_tick(&writer));
	assert_int_equal(give("a", &alias), 0);
	publish(alias, 1);
	mr_router_online(writer.workers[0]->router);
	step(0);
	mr_router_offline(writer.workers[0]->router);
	assert_int_equal(mr_writer_alias_take(&writer, pub.session, alias), 0);
	for (unsigned i = 0; i < 100; i++)
		assert_true(mr_writer_sessions_tick(&writer));
	assert_int_equal(wake_and_read(0, 2, 1), 2);
	while (mr_writer_sessions_tick(&writer))
		;
	assert_int_equal(aliases(), 0);
}

static void a_sleeper_reads_what_a_client_published_that_is_gone(void **state)
{
	uint32_t alias;

	(void)state;
	assert_int_equal(give("a", &alias), 0);
	publish_to_a_sleeper(alias, MESSAGES);
	mr_writer_session_close(&writer, pub.session, "client went away");
	for (unsigned i = 0; i < 1000; i++)
		assert_true(mr_writer_sessions_tick(&writer));
	/* A queue of worker 1 takes nothing from a session that does not exist. */
	assert_ptr_equal(mr_directory_find(&writer.workers[0]->directory, pub.session->slot,
				 pub.session->generation),
		pub.session);
	assert_int_equal(wake_and_read(0, MESSAGES, 1), MESSAGES);
	while (mr_writer_sessions_tick(&writer))
		;
	assert_int_equal(aliases(), 0);
}

/* The publisher's own worker does not run for longer than the drain time of a closed client. */
static void messages_of_a_closed_client_are_read_however_late(void **state)
{
	uint32_t alias, got = 0;

	(void)state;
	assert_int_equal(give("a", &alias), 0);
	for (uint32_t i = 0; i < MESSAGES; i++)
		publish(alias, i);
	mr_writer_session_close(&writer, pub.session, "client went away");
	pub.session->close_deadline_ns = 1;
	for (unsigned i = 0; i < 1000; i++)
		assert_true(mr_writer_sessions_tick(&writer));
	online(true);
	while (mr_writer_sessions_tick(&writer)) {
		step(0);
		step(1);
		got = read_all(got);
	}
	online(false);
	assert_int_equal(got, MESSAGES);
	assert_int_equal(aliases(), 0);
}

/* A receiver that blocks pauses its publishers: a closed publisher does not wait, and its promised
 * messages are queued for the receiver. */
static void messages_of_a_closed_paused_publisher_are_queued_for_the_receiver(void **state)
{
	enum { LARGE = 64 };
	struct mr_owner owner = mr_writer_owner(sub.session);
	uint32_t alias, got = 0;

	(void)state;
	payload_bytes = 60000;
	assert_int_equal(give("a", &alias), 0);
	assert_int_equal(mr_table_high_water(writer.table, &owner, 9, 1), 0);
	online(true);
	for (uint32_t i = 0; i < LARGE; i++) {
		if (pub.session->paused && mr_bytes_room(&pub.up, 65536) < 65536)
			break;
		publish(alias, i);
		got = i + 1;
		step(0);
		step(1);
	}
	assert_true(pub.session->paused);
	mr_writer_session_close(&writer, pub.session, "client went away");
	for (unsigned i = 0; i < 10; i++) {
		assert_true(mr_writer_sessions_tick(&writer));
		step(0);
		step(1);
	}
	assert_false(mr_session_drained(pub.session));
	pub.session->close_deadline_ns = 1;
	while (mr_writer_sessions_tick(&writer)) {
		step(0);
		step(1);
	}
	for (uint32_t i = 0, n = 0; n < got; i++) {
		assert_true(i < 1000);
		step(1);
		n = read_all(n);
	}
	assert_int_equal(sub.session->stats->missed, 0);
	online(false);
	payload_bytes = sizeof(uint32_t);
}

/* A process that still has its memory may go on writing: that does not keep the session. */
static void a_client_that_writes_after_its_end_is_let_go(void **state)
{
	uint32_t alias;

	(void)state;
	assert_int_equal(give("a", &alias), 0);
	publish(alias, 0);
	mr_writer_session_close(&writer, pub.session, "client went away");
	online(true);
	for (unsigned i = 0; mr_writer_sessions_tick(&writer); i++) {
		assert_true(i < 1000);
		if (!writer.retired)
			publish(alias, 1 + i);
		step(0);
		step(1);
		atomic_store(&sub.down.shared->head, sub.down.tail_seen);
	}
	online(false);
}

static bool answered(int link)
{
	char answer[1024];

	return recv(link, answer, sizeof(answer), MSG_DONTWAIT) > 0;
}

static void ask_to_unsubscribe(uint32_t id)
{
	const struct mrf_link_unsubscribe v = {.session = sub.session->id, .subscription = id};
	struct mrf_link_message m = {.id = 1, .body_type = MRF_LINK_BODY_LINK_UNSUBSCRIBE};
	struct mrf_builder b;
	uint64_t memory[64];
	const void *data;
	size_t bytes;
	struct mrf_table t;

	mrf_builder_init(&b, memory, sizeof(memory));
	m.body = mrf_link_unsubscribe_write(&b, &v);
	assert_int_equal(mrf_builder_finish(&b, mrf_link_message_write(&b, &m), &data, &bytes), 0);
	assert_int_equal(mrf_link_message_parse(data, bytes, &t), 0);
	mr_writer_request(&writer, t, -1);
}

/* Its worker may be in the middle of a round that uses it, and count in its statistics. */
static void a_slot_rests_until_its_worker_is_through_with_it(void **state)
{
	struct client next, third;
	uint32_t slot = pub.session->slot;

	(void)state;
	online(true);
	mr_writer_session_drop(&writer, pub.session, "gone");
	assert_true(mr_writer_sessions_tick(&writer));
	open_client(&next);
	assert_int_equal(next.session->worker, 0);
	assert_int_not_equal(next.session->slot, slot);
	while (mr_writer_sessions_tick(&writer)) {
		step(0);
		step(1);
	}
	mr_writer_session_drop(&writer, sub.session, "gone");
	mr_writer_session_drop(&writer, next.session, "gone");
	open_client(&third);
	assert_int_equal(third.session->worker, 0);
	assert_int_equal(third.session->slot, slot);
	online(false);
	close(next.liveness_fd);
	close(third.liveness_fd);
}

/* Its number may then be another subscription's, and members chosen before are in the mesh. */
static void member_that_leaves_is_answered_when_nothing_is_in_flight_for_it(void **state)
{
	struct mr_owner owner = mr_writer_owner(sub.session);
	uint32_t alias, got = 0;
	int link[2];

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK, 0, link), 0);
	writer.link_fd = link[0];
	assert_int_equal(mr_table_unsubscribe(writer.table, &owner, 9), 0);
	assert_int_equal(
		mr_table_subscribe(writer.table, &owner, 9, MR_SUB_PATTERN, "a", 1, "g", 1), 0);
	assert_int_equal(
		mr_table_subscribe(writer.table, &owner, 10, MR_SUB_PATTERN, "b", 1, NULL, 0), 0);
	sub.session->subscriptions = 2;
	assert_int_equal(give("a", &alias), 0);
	publish_to_a_sleeper(alias, MESSAGES);
	ask_to_unsubscribe(10);
	assert_true(answered(link[1]));
	ask_to_unsubscribe(9);
	for (unsigned i = 0; i < 100; i++)
		assert_true(mr_writer_sessions_tick(&writer));
	mr_router_online(writer.workers[1]->router);
	while (got < MESSAGES) {
		assert_false(answered(link[1]));
		step(1);
		got = read_all(got);
		assert_true(got == MESSAGES || mr_writer_sessions_tick(&writer));
	}
	mr_router_offline(writer.workers[1]->router);
	while (mr_writer_sessions_tick(&writer))
		;
	assert_true(answered(link[1]));
	close(link[1]);
}

/* A table of 8 aliases; a user may have two. */
static int set_up_small(void **state)
{
	config.tables.aliases_max = 8;
	return set_up(state);
}

static int tear_down_small(void **state)
{
	config.tables.aliases_max = 65536;
	return tear_down(state);
}

static void aliases_of_a_user_count_together_until_they_are_given_back(void **state)
{
	uint32_t one, two, three;

	(void)state;
	online(true);
	pub.session->peer = sub.session->peer = mr_peer_of_user(4242, 0);
	/* Counts them for that user. */
	assert_int_equal(mr_share_take(&writer.shares, pub.session->peer,
				 MR_SHARE_OF(MR_WRITER_LOCALS, 0), 2, UINT64_MAX),
		0);
	assert_int_equal(give("a", &one), 0);
	assert_int_equal(give("b", &two), 0);
	/* Its own limit is not the tested one. */
	pub.session->aliases_count = 1;
	assert_int_equal(give("c", &three), -EDQUOT);
	assert_non_null(strstr(mr_table_refusal(writer.table), "tables.aliases_max"));
	assert_int_equal(aliases(), 2);
	pub.session->aliases_count = 2;
	assert_int_equal(mr_writer_alias_take(&writer, pub.session, one), 0);
	while (mr_writer_sessions_tick(&writer))
		for (unsigned i = 0; i < WORKERS; i++)
			step(i);
	assert_int_equal(give("c", &three), 0);
	online(false);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(messages_in_the_mesh_arrive_though_their_alias_was_released),
		TEST(an_alias_given_back_is_to_be_had_again_at_once),
		TEST(an_alias_given_back_is_kept_while_a_worker_holds_something_for_the_mesh),
		TEST(one_given_back_again_is_kept_for_as_long_again),
		TEST(released_alias_counts_until_nothing_is_in_flight),
		TEST(a_session_that_ends_meanwhile_takes_its_aliases_along),
		TEST(a_sleeper_reads_what_was_published_before_the_release),
		TEST(a_sleeper_reads_what_came_after_an_earlier_release),
		TEST(a_sleeper_reads_what_a_client_published_that_is_gone),
		TEST(messages_of_a_closed_client_are_read_however_late),
		TEST(messages_of_a_closed_paused_publisher_are_queued_for_the_receiver),
		TEST(a_client_that_writes_after_its_end_is_let_go),
		TEST(a_slot_rests_until_its_worker_is_through_with_it),
		TEST(member_that_leaves_is_answered_when_nothing_is_in_flight_for_it),
		cmocka_unit_test_setup_teardown(
			aliases_of_a_user_count_together_until_they_are_given_back, set_up_small,
			tear_down_small),
	};
	int failed;

	if (!inside_open())
		return 1;
	failed = cmocka_run_group_tests(tests, NULL, NULL);
	inside_close();
	return failed;
}
