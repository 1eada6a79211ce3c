/* SPDX-License-Identifier: Apache-2.0 */
/* Reconnecting: what is restored, and what fails meanwhile. */
#include <limits.h>
#include <poll.h>

#include "tests/unit/client/fixture.h"

static void missing_bus_refuses_the_connection_with_a_text(void **state)
{
	struct mr_client *c = (void *)1;
	char longest[200];

	(void)state;
	assert_int_equal(mr_connect("shm:/nonexistent/attach.sock", NULL, &c), -ECONNREFUSED);
	assert_null(c);
	assert_non_null(strstr(mr_error(NULL), "/nonexistent/attach.sock"));
	assert_int_equal(mr_connect("tcp://localhost", NULL, &c), -EINVAL);
	memset(longest, 'a', sizeof(longest));
	memcpy(longest, "shm:", 4);
	longest[199] = '\0';
	assert_int_equal(mr_connect(longest, NULL, &c), -EINVAL);
}

static void address_may_come_from_the_environment(void **state)
{
	struct fixture *f = *state;
	struct mr_client *c;

	setenv("MILLRACE_SERVER", f->bus.address, 1);
	assert_int_equal(mr_connect(NULL, NULL, &c), 0);
	unsetenv("MILLRACE_SERVER");
	mr_close(c);
}

static void refusal_to_attach_comes_with_its_text(void **state)
{
	const struct mr_options brief = {.connect_timeout_ms = 50};
#ifdef FIXTURE_UDP
	const char *text = "control does not answer";
#else
	const char *text = "closed the connection";
#endif
	struct fixture *f = *state;
	uint64_t give_up_ms = now_ms() + PATIENCE_MS;
	struct mr_client *c;

	bus_lock(&f->bus);
	f->bus.refuse_attach = -EACCES;
	bus_unlock(&f->bus);
	assert_int_equal(mr_connect(f->bus.address, NULL, &c), -EACCES);
	assert_non_null(strstr(mr_error(NULL), "go away"));
	bus_lock(&f->bus);
	f->bus.refuse_attach = 0;
	f->bus.ignore_attach = true;
	bus_unlock(&f->bus);
	/* A control that hangs up may be stopping: the client retries until the time is up. The
	 * text differs if the last try was not answered in time. */
	do {
		assert_true(now_ms() < give_up_ms);
		assert_int_equal(mr_connect(f->bus.address, &brief, &c), -ETIMEDOUT);
	} while (strstr(mr_error(NULL), text) == NULL);
}

static void note(struct mr_client *c, const struct mr_message *reply, int error, void *arg)
{
	(void)c;
	assert_null(reply);
	*(int *)arg = error;
}

static void ignore(struct mr_client *c, const struct mr_message *m, void *arg)
{
	(void)c;
	(void)m;
	(void)arg;
}

static void death_of_the_bus_fails_calls_clearly(void **state)
{
	struct fixture *f = *state;
	struct mr_client_stats stats;
	struct mr_publisher *p;
	struct mr_message m;
	int error = 0;
	void *payload;

	assert_int_equal(mr_publisher_open(f->client, "a", &p), 0);
	assert_int_equal(mr_subscribe(f->client, "deaf", NULL, ignore, NULL, NULL), 0);
	assert_int_equal(mr_request_async(f->client, "deaf", "x", 1, -1, note, &error), 0);
	bus_kill(&f->bus, "expelled: wrote garbage");
	PROCESS_UNTIL(f->client, f->downs == 1);
	assert_string_equal(f->why, "expelled: wrote garbage");
	assert_int_equal(error, -ENOTCONN);
	assert_false(mr_connected(f->client));
	assert_int_equal(mr_publisher_claim(p, 1, &payload), -ENOTCONN);
	assert_non_null(strstr(mr_error(f->client), "expelled: wrote garbage"));
	assert_int_equal(mr_publish(f->client, "a", "x", 1), 0);
	assert_int_equal(mr_publisher_send(p, "x", 1), 0);
	assert_int_equal(mr_request(f->client, "a", "x", 1, -1, &m), -ENOTCONN);
	assert_int_equal(mr_subscribe(f->client, "a", NULL, NULL, NULL, NULL), -ENOTCONN);
	assert_int_equal(mr_process(f->client, 1), -ENOTCONN);
	assert_int_equal(mr_wait(f->client, 1), -ENOTCONN);
	assert_int_equal(mr_receive(f->client, &m, 1), -ENOTCONN);
	assert_int_equal(mr_drain(f->client, 1), -ENOTCONN);
	mr_client_stats(f->client, &stats);
	assert_int_equal(stats.session, 0);
	assert_int_equal(stats.kept, 2);
}

static void waiting_request_fails_when_the_bus_dies(void **state)
{
	struct fixture *f = *state;
	struct mr_message m;

	assert_int_equal(mr_subscribe(f->client, "deaf", NULL, ignore, NULL, NULL), 0);
	bus_kill(&f->bus, NULL);
	/* The loss is not noticed yet: the request itself finds out. */
	assert_int_equal(mr_request(f->client, "deaf", "x", 1, -1, &m), -ENOTCONN);
	assert_int_equal(f->downs, 1);
}

static void busy_polling_notices_death(void **state)
{
	struct fixture *f = *state;
	uint64_t give_up = now_ms() + PATIENCE_MS;

	bus_kill(&f->bus, NULL);
	while (mr_process(f->client, 16) == 0)
		assert_true(now_ms() < give_up);
	assert_int_equal(f->downs, 1);
}

static void messages_left_by_the_dead_bus_are_still_handed_out(void **state)
{
	struct fixture *f = *state;
	struct inbox in = {0};
	struct mr_message m;

	assert_int_equal(mr_subscribe(f->client, "push", NULL, keep_message, &in, NULL), 0);
	assert_int_equal(mr_subscribe(f->client, "pull", NULL, NULL, NULL, NULL), 0);
	for (unsigned i = 0; i < 100; i++)
		assert_int_equal(mr_publish(f->client, i % 2 ? "push" : "pull", &i, sizeof(i)), 0);
	assert_true(bus_took_all(f));
	bus_kill(&f->bus, NULL);
	PROCESS_UNTIL(f->client, f->downs == 1);
	for (unsigned i = 0; i < 50; i++) {
		unsigned number = 2 * i;

		assert_int_equal(mr_receive(f->client, &m, 0), 0);
		assert_memory_equal(m.payload, &number, sizeof(number));
	}
	assert_int_equal(mr_receive(f->client, &m, 0), -ENOTCONN);
	assert_int_equal(in.count, 50);
}

static void everything_is_in_place_again_after_a_reconnect(void **state)
{
	struct fixture *f = *state;
	struct mr_client_stats stats;
	struct inbox in[100] = {0};
	struct mr_publisher *p;
	char subject[32];

	for (unsigned i = 0; i < 100; i++) {
		snprintf(subject, sizeof(subject), "s.%u", i);
		assert_int_equal(
			mr_subscribe(f->client, subject, NULL, keep_message, &in[i], NULL), 0);
	}
	assert_int_equal(mr_publisher_open(f->client, "s.7", &p), 0);
	bus_kill(&f->bus, NULL);
	PROCESS_UNTIL(f->client, f->downs == 1);
	bus_lock(&f->bus);
	/* The new bus gives other numbers, and does not answer once. */
	snprintf(f->bus.aliases[0], sizeof(f->bus.aliases[0]), "taken");
	f->bus.ignore_control = 1;
	bus_unlock(&f->bus);
	bus_revive(&f->bus);
	PROCESS_UNTIL(f->client, f->ups == 1);
	assert_true(mr_connected(f->client));
	for (unsigned i = 0; i < 100; i++) {
		snprintf(subject, sizeof(subject), "s.%u", i);
		assert_int_equal(mr_publish(f->client, subject, "x", 1), 0);
	}
	assert_int_equal(mr_publisher_send(p, "y", 1), 0);
	PROCESS_UNTIL(f->client, in[7].count == 2);
	for (unsigned i = 0; i < 100; i++)
		assert_int_equal(in[i].count, i == 7 ? 2 : 1);
	assert_string_equal(in[7].last, "y");
	mr_client_stats(f->client, &stats);
	assert_int_equal(stats.reconnects, 1);
	assert_int_not_equal(stats.session, 0);
	assert_int_equal(f->downs, 1);
}

/* Returns the requests of control that the fake bus has seen. */
static uint64_t requests_seen(struct bus *b)
{
	uint64_t n;

	bus_lock(b);
	n = b->control_requests;
	bus_unlock(b);
	return n;
}

static void bus_that_dies_while_all_is_being_restored_is_survived(void **state)
{
	struct fixture *f = *state;
	struct mr_client *c = f->client;
	uint64_t before;

	assert_int_equal(mr_subscribe(c, "again", NULL, ignore, NULL, NULL), 0);
	bus_kill(&f->bus, NULL);
	bus_lock(&f->bus);
	f->bus.ignore_control = UINT_MAX;
	bus_unlock(&f->bus);
	before = requests_seen(&f->bus);
	bus_revive(&f->bus);
	/* Attached again, and asking; the answer never comes, as the bus dies once more. */
	PROCESS_UNTIL(c, requests_seen(&f->bus) != before);
	bus_kill(&f->bus, NULL);
	for (int i = 0; i < 20; i++)
		mr_wait(c, 1);
	assert_false(mr_connected(c));
	bus_lock(&f->bus);
	f->bus.ignore_control = 0;
	bus_unlock(&f->bus);
	bus_revive(&f->bus);
	PROCESS_UNTIL(c, mr_connected(c));
}

static void event_loop_reconnects_by_the_descriptor_alone(void **state)
{
	struct fixture *f = *state;
	struct pollfd p = {.fd = mr_fd(f->client), .events = POLLIN};
	uint64_t give_up = now_ms() + PATIENCE_MS;
	struct inbox in = {0};

	assert_int_equal(mr_subscribe(f->client, "a", NULL, keep_message, &in, NULL), 0);
	bus_kill(&f->bus, NULL);
	while (f->downs == 0 && now_ms() < give_up) {
		assert_int_equal(poll(&p, 1, PATIENCE_MS), 1);
		while (mr_process(f->client, 16) > 0)
			continue;
	}
	bus_revive(&f->bus);
	while (f->ups == 0 && now_ms() < give_up) {
		assert_int_equal(poll(&p, 1, PATIENCE_MS), 1);
		while (mr_process(f->client, 16) > 0)
			continue;
	}
	assert_int_equal(f->ups, 1);
	assert_int_equal(mr_publish(f->client, "a", "x", 1), 0);
	while (in.count == 0 && now_ms() < give_up) {
		assert_int_equal(poll(&p, 1, PATIENCE_MS), 1);
		while (mr_process(f->client, 16) > 0)
			continue;
	}
	assert_int_equal(in.count, 1);
}

static void subscriptions_given_up_meanwhile_stay_given_up(void **state)
{
	struct fixture *f = *state;
	struct inbox gone = {0}, in = {0};
	struct mr_subscription *s;

	assert_int_equal(mr_subscribe(f->client, "a", NULL, keep_message, &gone, &s), 0);
	assert_int_equal(mr_subscribe(f->client, "a", NULL, keep_message, &in, NULL), 0);
	bus_kill(&f->bus, NULL);
	PROCESS_UNTIL(f->client, f->downs == 1);
	assert_int_equal(mr_unsubscribe(s), 0);
	bus_revive(&f->bus);
	PROCESS_UNTIL(f->client, f->ups == 1);
	assert_int_equal(mr_publish(f->client, "a", "x", 1), 0);
	PROCESS_UNTIL(f->client, in.count == 1);
	assert_int_equal(gone.count, 0);
}

static void expect_blocking(struct fixture *f, uint8_t when_full, uint8_t high_water)
{
	bool found = false;

	bus_lock(&f->bus);
	for (unsigned i = 0; i < BUS_SESSIONS_MAX; i++) {
		const struct bus_subscription *s = &f->bus.sessions[i].subscriptions[0];

		if (!f->bus.sessions[i].open || s->id == 0)
			continue;
		assert_int_equal(s->when_full, when_full);
		assert_int_equal(s->high_water, high_water);
		found = true;
	}
	bus_unlock(&f->bus);
	assert_true(found);
}

static void a_promise_holds_publishers_up_in_the_next_connection_too(void **state)
{
	struct mr_subscribe_options options = {.promise = MR_AT_LEAST_ONCE, .high_water = 75};
	struct fixture *f = *state;
	struct inbox in = {0};

	assert_int_equal(mr_subscribe(f->client, "a", &options, keep_message, &in, NULL), 0);
	expect_blocking(f, MRF_WHEN_FULL_BLOCK, 75);
	bus_kill(&f->bus, NULL);
	PROCESS_UNTIL(f->client, f->downs == 1);
	bus_revive(&f->bus);
	PROCESS_UNTIL(f->client, f->ups == 1);
	expect_blocking(f, MRF_WHEN_FULL_BLOCK, 75);
	options.high_water = 101;
	assert_int_equal(mr_subscribe(f->client, "a", &options, keep_message, &in, NULL), -EINVAL);
	assert_non_null(strstr(mr_error(f->client), "high_water"));
	options.high_water = 0;
	options.promise = MR_EXACTLY_ONCE + 1;
	assert_int_equal(mr_subscribe(f->client, "a", &options, keep_message, &in, NULL), -EINVAL);
}

static void client_that_shall_not_reconnect_stays_away(void **state)
{
	struct fixture *f = *state;
	struct mr_options options = {.no_reconnect = true};
	struct mr_client *c;

	assert_int_equal(mr_connect(f->bus.address, &options, &c), 0);
	bus_kill(&f->bus, NULL);
	assert_int_equal(mr_wait(c, PATIENCE_MS), -ENOTCONN);
	bus_revive(&f->bus);
	PROCESS_UNTIL(f->client, f->ups == 1);
	assert_int_equal(mr_wait(c, -1), -ENOTCONN);
	assert_false(mr_connected(c));
	mr_close(c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(missing_bus_refuses_the_connection_with_a_text),
		TEST(address_may_come_from_the_environment),
		TEST(refusal_to_attach_comes_with_its_text),
		TEST(death_of_the_bus_fails_calls_clearly),
		TEST(waiting_request_fails_when_the_bus_dies),
		TEST(busy_polling_notices_death),
		TEST(messages_left_by_the_dead_bus_are_still_handed_out),
		TEST(everything_is_in_place_again_after_a_reconnect),
		TEST(bus_that_dies_while_all_is_being_restored_is_survived),
		TEST(event_loop_reconnects_by_the_descriptor_alone),
		TEST(subscriptions_given_up_meanwhile_stay_given_up),
		TEST(a_promise_holds_publishers_up_in_the_next_connection_too),
		TEST(client_that_shall_not_reconnect_stays_away),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
