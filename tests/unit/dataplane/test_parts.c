/* SPDX-License-Identifier: Apache-2.0 */
/* Parts of a message beside subject and body: origins and fragments. */
#include "tests/unit/dataplane/plane.h"

static struct mr_test_plane p;
static struct mr_test_session publisher, subscriber[3];

static void publish_with(struct mr_test_session *s, const struct mr_message_extra *extra)
{
	struct mr_message_plan plan =
		mr_message_plan(MRF_MESSAGE_KIND_PUBLISH, NULL, "p.x", 3, "12345678", 0, 8);

	mr_message_plan_extra(&plan, extra);
	mr_test_push(s, &plan, 0);
	mr_test_flush(s);
}

static struct mr_message_extra piece(uint32_t message, uint32_t total_bytes, uint32_t offset)
{
	return (struct mr_message_extra){
		.flags = MRF_MESSAGE_FLAG_FRAGMENT,
		.fragment = {.session = publisher.id,
			.message = message,
			.total_bytes = total_bytes,
			.offset = offset},
	};
}

/* The publisher and the subscribers belong to different workers, and to the same. */
static void open_plane(void)
{
	static const char *const sets[] = {"workers.count=2", NULL};

	start(&p, sets);
	mr_test_session_open(&p, &publisher, "publisher");
	for (int i = 0; i < 3; i++)
		mr_test_session_open(&p, &subscriber[i], "subscriber");
	assert_int_not_equal(subscriber[0].worker, subscriber[1].worker);
}

static void close_plane(void)
{
	mr_test_session_close(&publisher);
	for (int i = 0; i < 3; i++)
		mr_test_session_close(&subscriber[i]);
	mr_test_plane_stop(&p);
}

static void origin_of_a_named_publisher_goes_to_subscribers(void **state)
{
	struct mr_message_extra extra = {
		.flags = MRF_MESSAGE_FLAG_ORIGIN, .origin = {.publisher = 5, .id = 6}};

	(void)state;
	open_plane();
	for (unsigned i = 0; i < 2; i++)
		subscribe(&p, &subscriber[i], 1, "p.>", NULL);
	publish_with(&publisher, &extra);
	extra.origin.publisher = 0;
	publish_with(&publisher, &extra);
	for (unsigned i = 0; i < 2; i++) {
		struct mr_message_view m = mr_test_next(&subscriber[i]);

		assert_int_equal(m.header.flags & MR_MESSAGE_FLAGS_EXTRA, MRF_MESSAGE_FLAG_ORIGIN);
		assert_int_equal(m.extra.origin.publisher, 5);
		assert_int_equal(m.extra.origin.id, 6);
		assert_memory_equal(m.payload, "12345678", 8);
		m = mr_test_next(&subscriber[i]);
		assert_int_equal(m.header.flags & MR_MESSAGE_FLAGS_EXTRA, 0);
		assert_memory_equal(m.payload, "12345678", 8);
	}
	close_plane();
}

static void fragments_of_a_message_go_to_one_member_of_a_group(void **state)
{
	enum { MESSAGES = 32, PIECES = 4 };
	unsigned members_used = 0;

	(void)state;
	open_plane();
	for (unsigned i = 0; i < 3; i++)
		subscribe(&p, &subscriber[i], 1, "p.>", "g");
	for (uint32_t i = 0; i < MESSAGES * PIECES; i++) {
		struct mr_message_extra extra = piece(i / PIECES, 8 * PIECES, i % PIECES * 8);

		publish_with(&publisher, &extra);
	}
	for (unsigned i = 0, total = 0; total < MESSAGES * PIECES; i = (i + 1) % 3) {
		if (mr_bytes_readable(&subscriber[i].down) == 0)
			continue;
		for (uint32_t at = 0, message = 0; at < PIECES; at++, total++) {
			struct mr_message_view m = mr_test_next(&subscriber[i]);

			if (at == 0)
				message = m.extra.fragment.message;
			assert_int_equal(m.extra.fragment.session, publisher.id);
			assert_int_equal(m.extra.fragment.message, message);
			assert_int_equal(m.extra.fragment.offset, at * 8);
		}
		members_used |= 1u << i;
	}
	assert_int_equal(members_used, 7);
	close_plane();
}

static void fragments_that_cannot_be_are_refused(void **state)
{
	const struct mrf_worker_stats *stats;
	struct mr_message_extra extra;

	(void)state;
	open_plane();
	stats = mr_test_worker_stats(&p, publisher.worker);
	subscribe(&p, &subscriber[0], 1, "p.>", NULL);
	extra = piece(1, 16, 0);
	extra.fragment.session = subscriber[0].id;
	publish_with(&publisher, &extra);
	extra = piece(1, 4, 0); /* shorter than the fragment */
	publish_with(&publisher, &extra);
	extra = piece(1, 16, 9); /* ends behind the message */
	publish_with(&publisher, &extra);
	extra = piece(1, 16, UINT32_MAX);
	publish_with(&publisher, &extra);
	extra = piece(1, UINT32_MAX, 0); /* longer than allowed */
	publish_with(&publisher, &extra);
	mr_test_wait_count(&stats->drop_bad_fragment, 5, "refused fragments");
	assert_int_equal(mr_test_session_stats(&p, &publisher)->rejected, 5);
	extra = piece(1, 16, 8);
	publish_with(&publisher, &extra);
	assert_int_equal(mr_test_next(&subscriber[0]).extra.fragment.offset, 8);
	close_plane();
}

static void fragments_of_a_reply_reach_the_requester(void **state)
{
	const uint64_t correlation = 99;
	struct mr_message_extra extra = {.flags = MRF_MESSAGE_FLAG_FRAGMENT};

	(void)state;
	open_plane();
	for (unsigned i = 0; i < 2; i++) {
		struct mr_message_plan plan;
		struct mr_message_view m;

		subscribe(&p, &subscriber[i], 1, "q.x", NULL);
		mr_test_publish(&publisher, 0, "q.x", &correlation, NULL, "?");
		mr_test_flush(&publisher);
		m = mr_test_next(&subscriber[i]);
		extra.fragment = (struct mrf_message_fragment){
			.session = subscriber[i].id, .message = 3, .total_bytes = 8, .offset = 4};
		plan = mr_message_plan(MRF_MESSAGE_KIND_REPLY, &m.token, NULL, 0, "tail", 0, 4);
		mr_message_plan_extra(&plan, &extra);
		mr_test_push(&subscriber[i], &plan, 0);
		mr_test_flush(&subscriber[i]);
		m = mr_test_next(&publisher);
		assert_int_equal(m.header.kind, MRF_MESSAGE_KIND_REPLY);
		assert_int_equal(m.token.correlation, correlation);
		assert_int_equal(m.extra.fragment.offset, 4);
		assert_memory_equal(m.payload, "tail", 4);
		assert_int_equal(mr_test_unsubscribe(&p, &subscriber[i], 1), 0);
	}
	close_plane();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(origin_of_a_named_publisher_goes_to_subscribers),
		cmocka_unit_test(fragments_of_a_message_go_to_one_member_of_a_group),
		cmocka_unit_test(fragments_that_cannot_be_are_refused),
		cmocka_unit_test(fragments_of_a_reply_reach_the_requester),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
