/* SPDX-License-Identifier: Apache-2.0 */
/* The real data plane, with control played by the test: which sessions get which messages. */
#include "tests/unit/dataplane/plane.h"

static void publish_reaches_every_matching_subscription_once(void **state)
{
	static struct mr_test_plane p;
	static struct mr_test_session a, b;

	(void)state;
	start(&p, NULL);
	mr_test_session_open(&p, &a, "a");
	mr_test_session_open(&p, &b, "b");
	subscribe(&p, &a, 1, "orders.eu.created", NULL);
	subscribe(&p, &a, 2, "orders.*.created", NULL);
	subscribe(&p, &a, 3, "orders.>", NULL);
	subscribe(&p, &a, 4, "invoices.>", NULL);
	assert_int_equal(
		mr_test_subscribe(&p, &a, 5, MRF_SUBSCRIPTION_KIND_PREFIX, "ord", NULL), 0);
	publish(&b, "orders.eu.created", "x");
	bool seen[6] = {false};

	for (int i = 0; i < 4; i++) {
		struct mr_message_view m = mr_test_next(&a);

		assert_int_equal(m.header.kind, MRF_MESSAGE_KIND_DELIVER);
		assert_true(m.header.target >= 1 && m.header.target <= 5);
		assert_false(seen[m.header.target]);
		seen[m.header.target] = true;
		assert_int_equal(m.payload_bytes, 1);
	}
	assert_false(seen[4]);
	assert_true(mr_test_nothing(&p, &a));
	mr_test_session_close(&a);
	mr_test_session_close(&b);
	mr_test_plane_stop(&p);
}

/* The largest message, to more queue groups of another worker than one record names, with the
 * fewest blocks that the configuration allows, again and again. */
static void largest_messages_cross_to_groups_of_another_worker(void **state)
{
	enum { GROUPS = 40, ROUNDS = 20 };
	static const char *const sets[] = {
		"workers.count=2", "mesh.blocks=16", "tables.identical_per_client_max=64", NULL};
	static char subject[MR_SUBJECT_BYTES_MAX + 1], text[MR_BODY_BYTES_MAX + 1];
	static struct mr_test_plane p;
	static struct mr_test_session a, b;
	const uint64_t correlation = 7;

	(void)state;
	memset(subject, 's', MR_SUBJECT_BYTES_MAX);
	memset(text, 't', MR_BODY_BYTES_MAX);
	start(&p, sets);
	mr_test_session_open(&p, &a, "a");
	mr_test_session_open(&p, &b, "b");
	assert_int_not_equal(a.worker, b.worker);
	for (uint32_t i = 0; i < GROUPS; i++) {
		char group[16];

		snprintf(group, sizeof(group), "g%u", i);
		subscribe(&p, &a, 1 + i, subject, group);
	}
	for (unsigned round = 0; round < ROUNDS; round++) {
		uint64_t seen = 0;

		mr_test_publish(&b, 0, subject, &correlation, NULL, text);
		mr_test_flush(&b);
		for (unsigned i = 0; i < GROUPS; i++) {
			struct mr_message_view m = mr_test_next(&a);

			assert_int_equal(m.header.kind, MRF_MESSAGE_KIND_DELIVER);
			assert_int_equal(m.payload_bytes, MR_BODY_BYTES_MAX);
			seen |= 1ull << m.header.target;
		}
		assert_int_equal(seen, ((1ull << GROUPS) - 1) << 1);
	}
	assert_int_equal(mr_test_worker_stats(&p, b.worker)->drop_mesh_full, 0);
	mr_test_session_close(&a);
	mr_test_session_close(&b);
	mr_test_plane_stop(&p);
}

static void headers_and_alias_pass_through(void **state)
{
	static const char headers[] = "NATS/1.0\r\ntrace: abc\r\n\r\n";
	static struct mr_test_plane p;
	static struct mr_test_session a, b;
	struct mr_message_view m;
	uint32_t alias = 0, again = 0;

	(void)state;
	start(&p, NULL);
	mr_test_session_open(&p, &a, "a");
	mr_test_session_open(&p, &b, "b");
	subscribe(&p, &a, 9, "t.>", NULL);
	assert_int_equal(mr_test_alias(&p, &b, "t.one", &alias), 0);
	assert_int_equal(mr_test_alias(&p, &a, "t.one", &again), 0);
	assert_int_equal(alias, again);
	mr_test_publish(&b, alias, "", NULL, headers, "body");
	mr_test_flush(&b);
	m = mr_test_next(&a);
	assert_int_equal(m.header.target, 9);
	assert_int_equal(m.header_bytes, strlen(headers));
	assert_memory_equal(m.headers, headers, strlen(headers));
	assert_memory_equal(m.subject, "t.one", 5);
	assert_memory_equal(m.payload, "body", 4);
	mr_test_session_close(&a);
	mr_test_session_close(&b);
	mr_test_plane_stop(&p);
}

static void one_member_of_a_group_gets_each_message(void **state)
{
	static const char *const sets[] = {"workers.count=2", NULL};
	static struct mr_test_plane p;
	static struct mr_test_session member[3], pub;
	unsigned got[3] = {0};

	(void)state;
	start(&p, sets);
	mr_test_session_open(&p, &pub, "pub");
	for (int i = 0; i < 3; i++) {
		mr_test_session_open(&p, &member[i], "member");
		subscribe(&p, &member[i], 1, i == 0 ? "work.*" : "work.>", "g");
	}
	for (int i = 0; i < 300; i++)
		mr_test_publish(&pub, 0, "work.x", NULL, NULL, "m");
	mr_test_flush(&pub);
	for (unsigned total = 0; total < 300; total++) {
		int i = 0;

		/* All 300 arrive, so one of the members has a message. */
		while (mr_bytes_readable(&member[i].down) == 0)
			i = (i + 1) % 3;
		expect(&member[i], MRF_MESSAGE_KIND_DELIVER, 1, "work.x", "m");
		got[i]++;
	}
	for (int i = 0; i < 3; i++) {
		assert_true(got[i] > 50);
		assert_true(mr_test_nothing(&p, &member[i]));
		mr_test_session_close(&member[i]);
	}
	mr_test_session_close(&pub);
	mr_test_plane_stop(&p);
}

static void reply_by(struct mr_test_session *s, const struct mr_message_view *m, const char *text)
{
	uint32_t bytes = mr_message_bytes(true, 0, 0, (uint32_t)strlen(text));
	uint8_t *to = mr_bytes_claim(&s->up, mr_message_stride(bytes));

	assert_non_null(to);
	to = mr_message_begin(
		to, MRF_MESSAGE_KIND_REPLY, 0, &m->token, 0, 0, (uint32_t)strlen(text));
	memcpy(to, text, strlen(text));
	mr_bytes_push(&s->up, bytes);
	mr_test_flush(s);
}

static void check_request_reply(const char *const *sets)
{
	static struct mr_test_plane p;
	static struct mr_test_session asks, answers;
	const uint64_t correlation = 0xfeedull << 40;
	struct mr_message_view m;

	start(&p, sets);
	mr_test_session_open(&p, &asks, "asks");
	mr_test_session_open(&p, &answers, "answers");
	subscribe(&p, &answers, 7, "svc.echo", NULL);
	mr_test_publish(&asks, 0, "svc.echo", &correlation, NULL, "ping");
	mr_test_flush(&asks);
	m = mr_test_next(&answers);
	assert_true(m.header.flags & MRF_MESSAGE_FLAG_TOKEN);
	assert_int_equal(m.token.session, asks.id);
	reply_by(&answers, &m, "pong");
	m = mr_test_next(&asks);
	assert_int_equal(m.header.kind, MRF_MESSAGE_KIND_REPLY);
	assert_int_equal(m.token.correlation, correlation);
	assert_memory_equal(m.payload, "pong", 4);
	/* There is no responder: the bus answers itself. */
	mr_test_publish(&asks, 0, "svc.none", &correlation, NULL, "");
	mr_test_flush(&asks);
	m = mr_test_next(&asks);
	assert_int_equal(m.header.kind, MRF_MESSAGE_KIND_STATUS);
	assert_int_equal(m.header.target, MRF_STATUS_CODE_NO_RESPONDERS);
	mr_test_session_close(&asks);
	mr_test_session_close(&answers);
	mr_test_plane_stop(&p);
}

static void reply_finds_the_requester(void **state)
{
	static const char *const two[] = {"workers.count=2", NULL};

	(void)state;
	check_request_reply(NULL);
	check_request_reply(two);
}

static void mesh_keeps_order_and_loses_nothing(void **state)
{
	static const char *const sets[] = {"workers.count=3", NULL};
	enum { MESSAGES = 20000, IN_FLIGHT = 4096 };
	static struct mr_test_plane p;
	static struct mr_test_session pub, sub[3];
	uint32_t alias, sent = 0, got[3] = {0};

	(void)state;
	start(&p, sets);
	mr_test_session_open(&p, &pub, "pub");
	for (uint32_t i = 0; i < 3; i++) {
		mr_test_session_open(&p, &sub[i], "sub");
		subscribe(&p, &sub[i], 1, "m.>", NULL);
	}
	assert_int_not_equal(sub[0].worker, sub[1].worker);
	assert_int_equal(mr_test_alias(&p, &pub, "m.x", &alias), 0);
	while (got[0] < MESSAGES || got[1] < MESSAGES || got[2] < MESSAGES) {
		char text[16];

		for (; sent < MESSAGES && sent - got[0] < IN_FLIGHT && sent - got[1] < IN_FLIGHT &&
			sent - got[2] < IN_FLIGHT;
			sent++) {
			snprintf(text, sizeof(text), "%u", sent);
			mr_test_publish(&pub, alias, "", NULL, NULL, text);
		}
		mr_test_flush(&pub);
		for (uint32_t i = 0; i < 3; i++)
			while (got[i] < sent) {
				snprintf(text, sizeof(text), "%u", got[i]++);
				expect(&sub[i], MRF_MESSAGE_KIND_DELIVER, 1, "m.x", text);
			}
	}
	for (uint32_t i = 0; i < 3; i++)
		mr_test_session_close(&sub[i]);
	mr_test_session_close(&pub);
	mr_test_plane_stop(&p);
}

static void large_messages_cross_the_mesh(void **state)
{
	static const char *const sets[] = {"workers.count=2", NULL};
	static char text[MR_BODY_BYTES_MAX + 1];
	static struct mr_test_plane p;
	static struct mr_test_session pub, sub;

	(void)state;
	memset(text, 'z', sizeof(text) - 1);
	start(&p, sets);
	mr_test_session_open(&p, &pub, "pub");
	mr_test_session_open(&p, &sub, "sub");
	assert_int_not_equal(pub.worker, sub.worker);
	subscribe(&p, &sub, 1, "big", NULL);
	for (int i = 0; i < 200; i++) {
		text[0] = (char)('a' + i % 26);
		publish(&pub, "big", text);
		expect(&sub, MRF_MESSAGE_KIND_DELIVER, 1, "big", text);
	}
	mr_test_session_close(&pub);
	mr_test_session_close(&sub);
	mr_test_plane_stop(&p);
}

static void unsubscribe_and_close_stop_deliveries(void **state)
{
	static struct mr_test_plane p;
	static struct mr_test_session a, b;

	(void)state;
	start(&p, NULL);
	mr_test_session_open(&p, &a, "a");
	mr_test_session_open(&p, &b, "b");
	subscribe(&p, &a, 1, "x", NULL);
	publish(&b, "x", "1");
	expect(&a, MRF_MESSAGE_KIND_DELIVER, 1, "x", "1");
	assert_int_equal(mr_test_unsubscribe(&p, &a, 1), 0);
	assert_int_equal(mr_test_unsubscribe(&p, &a, 1), -ENOENT);
	publish(&b, "x", "2");
	mr_test_wait_count(&mr_test_worker_stats(&p, 0)->drop_unrouted, 1, "unrouted");
	assert_true(mr_test_nothing(&p, &a));
	mr_test_session_close(&a);
	mr_test_session_close(&b);
	mr_test_plane_stop(&p);
}

static void subscribe_is_idempotent_and_refuses_what_differs(void **state)
{
	static struct mr_test_plane p;
	static struct mr_test_session a;

	(void)state;
	start(&p, NULL);
	mr_test_session_open(&p, &a, "a");
	subscribe(&p, &a, 1, "x.*", NULL);
	subscribe(&p, &a, 1, "x.*", NULL);
	assert_int_equal(
		mr_test_subscribe(&p, &a, 1, MRF_SUBSCRIPTION_KIND_PATTERN, "y", NULL), -EEXIST);
	assert_int_equal(
		mr_test_subscribe(&p, &a, 2, MRF_SUBSCRIPTION_KIND_PATTERN, "x..y", NULL), -EINVAL);
	publish(&a, "x.1", "once");
	expect(&a, MRF_MESSAGE_KIND_DELIVER, 1, "x.1", "once");
	assert_true(mr_test_nothing(&p, &a));
	mr_test_session_close(&a);
	mr_test_plane_stop(&p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(publish_reaches_every_matching_subscription_once),
		cmocka_unit_test(largest_messages_cross_to_groups_of_another_worker),
		cmocka_unit_test(headers_and_alias_pass_through),
		cmocka_unit_test(one_member_of_a_group_gets_each_message),
		cmocka_unit_test(reply_finds_the_requester),
		cmocka_unit_test(mesh_keeps_order_and_loses_nothing),
		cmocka_unit_test(large_messages_cross_the_mesh),
		cmocka_unit_test(unsubscribe_and_close_stop_deliveries),
		cmocka_unit_test(subscribe_is_idempotent_and_refuses_what_differs),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
