/* SPDX-License-Identifier: Apache-2.0 */
/* Calls of services: outcomes, time-outs, circuit breaker, forged replies. */
#include "tests/unit/client/fixture.h"

static struct mr_service *echo_service; /* the service of the running test */

static void echo(struct mr_client *c, const struct mr_work *work, void *arg)
{
	const struct mr_message *m = &work->delivery.message;
	unsigned *count = arg;

	(void)c;
	if (count != NULL)
		++*count;
	assert_int_equal(mr_respond_with(echo_service, work->delivery.tag, false, m->headers,
				 m->header_bytes, m->payload, m->payload_bytes),
		0);
}

static void serve_echo(struct fixture *f, const char *name, unsigned *count)
{
	assert_int_equal(mr_serve(f->client, name, NULL, echo, count, &echo_service), 0);
}

static void assert_payload(const struct mr_message *m, const char *text)
{
	assert_int_equal(m->payload_bytes, strlen(text));
	assert_memory_equal(m->payload, text, strlen(text));
}

static unsigned calls_seen(struct fixture *f)
{
	unsigned calls;

	bus_lock(&f->bus);
	calls = f->bus.services.calls;
	bus_unlock(&f->bus);
	return calls;
}

static void refuse_next(struct fixture *f, unsigned count, uint32_t status)
{
	bus_lock(&f->bus);
	f->bus.services.refuse = count;
	f->bus.services.refuse_status = status;
	bus_unlock(&f->bus);
}

/* Makes the client ask for the service's number: later calls spend none of their time on it.
 * Returns the calls that the bus has seen. */
static unsigned know(struct fixture *f, const char *name)
{
	const struct mr_call_options o = {.retries = MR_NO_RETRIES, .breaker_failures = UINT32_MAX};

	refuse_next(f, 1, MRF_STATUS_CODE_FAILED);
	assert_int_equal(mr_call(f->client, name, "", 0, &o, NULL), -EREMOTEIO);
	return calls_seen(f);
}

static void expect_calls(struct fixture *f, unsigned count)
{
	PROCESS_UNTIL(f->client, calls_seen(f) >= count);
	assert_int_equal(calls_seen(f), count);
}

static void a_call_returns_the_reply(void **state)
{
	struct fixture *f = *state;
	struct mr_message reply;
	unsigned count = 0;

	serve_echo(f, "echo", &count);
	for (unsigned i = 0; i < 3; i++) {
		assert_int_equal(mr_call(f->client, "echo", "hello", 5, NULL, &reply), 0);
		assert_payload(&reply, "hello");
	}
	assert_int_equal(count, 3);
	assert_int_equal(mr_call(f->client, "echo", NULL, 0, NULL, NULL), 0);
	/* The client asked for the number once, and sent READY once. */
	bus_lock(&f->bus);
	assert_int_equal(f->bus.services.opens, 2);
	bus_unlock(&f->bus);
}

static void headers_come_along_both_ways(void **state)
{
	struct fixture *f = *state;
	char memory[128];
	struct mr_headers h;
	struct mr_header found;
	struct mr_message reply;
	struct mr_call_options o = {0};

	serve_echo(f, "echo", NULL);
	mr_headers_init(&h, memory, sizeof(memory));
	assert_int_equal(mr_headers_add(&h, "Trace", "abc"), 0);
	o.headers = h.data;
	o.header_bytes = h.bytes;
	assert_int_equal(mr_call(f->client, "echo", "x", 1, &o, &reply), 0);
	assert_true(mr_headers_find(reply.headers, reply.header_bytes, "trace", &found));
	assert_memory_equal(found.value, "abc", 3);
	assert_payload(&reply, "x");
}

struct outcome {
	unsigned calls;
	unsigned partial;
	uint64_t correlation;
	int error;
	char last[64];
};

static void note(struct mr_client *c, uint64_t correlation, const struct mr_message *reply,
	bool more, int error, void *arg)
{
	struct outcome *o = arg;

	(void)c;
	o->calls += !more;
	o->partial += more;
	o->correlation = correlation;
	o->error = error;
	if (reply != NULL)
		snprintf(o->last, sizeof(o->last), "%.*s", (int)reply->payload_bytes,
			(const char *)reply->payload);
}

static void many_at_once_each_get_their_own(void **state)
{
	enum { MANY = 200 };
	struct fixture *f = *state;
	static struct outcome outcomes[MANY];
	struct mr_call_options o = {0};
	unsigned done = 0;

	memset(outcomes, 0, sizeof(outcomes));
	serve_echo(f, "echo", NULL);
	for (unsigned i = 0; i < MANY; i++) {
		char text[16];

		snprintf(text, sizeof(text), "%u", i);
		o.correlation = 1000 + i;
		assert_int_equal(mr_call_async(f->client, "echo", text, strlen(text), &o, note,
					 &outcomes[i]),
			0);
	}
	PROCESS_UNTIL(f->client, ({
		done = 0;
		for (unsigned i = 0; i < MANY; i++)
			done += outcomes[i].calls;
		done == MANY;
	}));
	for (unsigned i = 0; i < MANY; i++) {
		char text[16];

		snprintf(text, sizeof(text), "%u", i);
		assert_string_equal(outcomes[i].last, text);
		assert_int_equal(outcomes[i].error, 0);
		assert_true(outcomes[i].correlation == 1000 + i);
	}
}

static void a_time_out_is_tried_again(void **state)
{
	struct fixture *f = *state;
	/* It is repeated until a busy machine answers in time. */
	struct mr_call_options o = {
		.timeout_ms = 30, .retries = 200, .backoff_ms = 1, .breaker_failures = UINT32_MAX};
	struct mr_message reply;

	serve_echo(f, "echo", NULL);
	bus_lock(&f->bus);
	f->bus.services.swallow = 2;
	bus_unlock(&f->bus);
	assert_int_equal(mr_call(f->client, "echo", "again", 5, &o, &reply), 0);
	assert_payload(&reply, "again");
	assert_true(calls_seen(f) >= 3);
}

static void without_tries_left_it_has_timed_out(void **state)
{
	struct fixture *f = *state;
	struct mr_call_options o = {.timeout_ms = 20, .retries = 1, .backoff_ms = 1};
	unsigned before = know(f, "slow");

	bus_lock(&f->bus);
	f->bus.services.swallow = 100;
	bus_unlock(&f->bus);
	assert_int_equal(mr_call(f->client, "slow", "x", 1, &o, NULL), -ETIMEDOUT);
	expect_calls(f, before + 2);
	o.retries = MR_NO_RETRIES;
	assert_int_equal(mr_call(f->client, "slow", "x", 1, &o, NULL), -ETIMEDOUT);
	expect_calls(f, before + 3);
}

static void without_waiting_the_same(void **state)
{
	struct fixture *f = *state;
	struct mr_call_options o = {.timeout_ms = 20, .retries = 1, .backoff_ms = 1};
	struct outcome out = {0};
	unsigned before = know(f, "slow");

	bus_lock(&f->bus);
	f->bus.services.swallow = 100;
	bus_unlock(&f->bus);
	assert_int_equal(mr_call_async(f->client, "slow", "x", 1, &o, note, &out), 0);
	PROCESS_UNTIL(f->client, out.calls > 0);
	assert_int_equal(out.error, -ETIMEDOUT);
	expect_calls(f, before + 2);
	bus_lock(&f->bus);
	f->bus.services.swallow = 0;
	bus_unlock(&f->bus);
	serve_echo(f, "slow", NULL);
	assert_int_equal(mr_call_async(f->client, "slow", "y", 1, NULL, note, &out), 0);
	PROCESS_UNTIL(f->client, out.calls > 1);
	assert_string_equal(out.last, "y");
}

static void verdicts_of_the_bus_are_errors(void **state)
{
	static const struct {
		uint32_t status;
		int error;
	} verdicts[] = {
		{MRF_STATUS_CODE_BAD, -EINVAL},
		{MRF_STATUS_CODE_FAILED, -EREMOTEIO},
		{MRF_STATUS_CODE_WORKER_LOST, -EREMOTEIO},
		{MRF_STATUS_CODE_EXPIRED, -EHOSTUNREACH},
		{MRF_STATUS_CODE_CIRCUIT_OPEN, -ECONNABORTED},
		{MRF_STATUS_CODE_OVERLOADED, -EBUSY},
		{12345, -EPROTO},
	};
	struct mr_call_options o = {.retries = MR_NO_RETRIES, .breaker_failures = UINT32_MAX};
	struct fixture *f = *state;

	for (unsigned i = 0; i < sizeof(verdicts) / sizeof(verdicts[0]); i++) {
		struct outcome out = {0};

		refuse_next(f, 2, verdicts[i].status);
		/* The text is that of the call, not of another one. */
		assert_int_equal(mr_publish(f->client, "..", "x", 1), -EINVAL);
		assert_int_equal(mr_call(f->client, "echo", "x", 1, &o, NULL), verdicts[i].error);
		assert_null(strstr(mr_error(f->client), "subject: "));
		assert_int_equal(mr_publish(f->client, "..", "x", 1), -EINVAL);
		assert_int_equal(mr_call_async(f->client, "echo", "x", 1, &o, note, &out), 0);
		PROCESS_UNTIL(f->client, out.calls > 0);
		assert_int_equal(out.error, verdicts[i].error);
		assert_null(strstr(mr_error(f->client), "subject: "));
	}
}

static void overload_is_tried_again(void **state)
{
	struct mr_call_options o = {.backoff_ms = 1};
	struct fixture *f = *state;

	serve_echo(f, "echo", NULL);
	refuse_next(f, 2, MRF_STATUS_CODE_OVERLOADED);
	assert_int_equal(mr_call(f->client, "echo", "x", 1, &o, NULL), 0);
	assert_int_equal(calls_seen(f), 3);
}

static void a_number_that_is_invalid_is_requested_again(void **state)
{
	struct fixture *f = *state;
	struct mr_message reply;

	serve_echo(f, "echo", NULL);
	assert_int_equal(mr_call(f->client, "echo", "1", 1, NULL, NULL), 0);
	bus_lock(&f->bus);
	fake_service_disconnect(&f->bus, "echo");
	fake_service_forget(&f->bus, "echo");
	bus_unlock(&f->bus);
	assert_int_equal(mr_call(f->client, "echo", "2", 1, NULL, &reply), 0);
	assert_payload(&reply, "2");
}

static void service_that_cannot_be_opened_fails(void **state)
{
	struct fixture *f = *state;
	struct outcome out = {0};

	bus_lock(&f->bus);
	f->bus.services.open_code = -EACCES;
	bus_unlock(&f->bus);
	assert_int_equal(mr_call(f->client, "secret", "x", 1, NULL, NULL), -EACCES);
	assert_non_null(strstr(mr_error(f->client), "secret"));
	assert_int_equal(mr_call_async(f->client, "secret", "x", 1, NULL, note, &out), 0);
	PROCESS_UNTIL(f->client, out.calls > 0);
	assert_int_equal(out.error, -EACCES);
	assert_int_equal(calls_seen(f), 0);
}

static void many_services_are_distinguished(void **state)
{
	struct fixture *f = *state;
	struct mr_message reply;
	char name[32];

	bus_lock(&f->bus);
	f->bus.services.open_code = -EACCES;
	bus_unlock(&f->bus);
	/* More than the initial size of the table of names. */
	for (unsigned i = 0; i < 300; i++) {
		snprintf(name, sizeof(name), "service.%u", i % 150);
		assert_int_equal(mr_call(f->client, name, "x", 1, NULL, NULL), -EACCES);
	}
	bus_lock(&f->bus);
	f->bus.services.open_code = 0;
	bus_unlock(&f->bus);
	serve_echo(f, "service.77", NULL);
	assert_int_equal(mr_call(f->client, "service.77", "x", 1, NULL, &reply), 0);
	assert_payload(&reply, "x");
}

static void malformed_calls_are_refused(void **state)
{
	struct fixture *f = *state;
	struct mr_call_options o = {.headers = "nonsense", .header_bytes = 8};
	char name[MR_SUBJECT_BYTES + 2];

	memset(name, 'n', sizeof(name));
	name[sizeof(name) - 1] = '\0';
	assert_int_equal(mr_call(f->client, "", "x", 1, NULL, NULL), -EINVAL);
	assert_int_equal(mr_call(f->client, "a..b", "x", 1, NULL, NULL), -EINVAL);
	assert_int_equal(mr_call(f->client, "a.*", "x", 1, NULL, NULL), -EINVAL);
	assert_int_equal(mr_call(f->client, name, "x", 1, NULL, NULL), -EINVAL);
	assert_int_equal(mr_call(f->client, "echo", "x", 1, &o, NULL), -EINVAL);
	assert_int_equal(mr_call(f->client, "echo", NULL, 1, NULL, NULL), -EINVAL);
	assert_int_equal(mr_call_async(f->client, "echo", "x", 1, NULL, NULL, NULL), -EINVAL);
	assert_int_equal(calls_seen(f), 0);
}

static void the_breaker_fails_fast_and_recovers(void **state)
{
	struct mr_call_options o = {
		.retries = MR_NO_RETRIES, .breaker_failures = 3, .breaker_reset_ms = 1000};
	struct fixture *f = *state;
	uint64_t start = now_ms();

	serve_echo(f, "echo", NULL);
	refuse_next(f, 3, MRF_STATUS_CODE_FAILED);
	for (unsigned i = 0; i < 3; i++)
		assert_int_equal(mr_call(f->client, "echo", "x", 1, &o, NULL), -EREMOTEIO);
	/* Refused at once, and the bus gets no message. */
	assert_int_equal(mr_call(f->client, "echo", "x", 1, &o, NULL), -ECONNABORTED);
	assert_int_equal(calls_seen(f), 3);
	/* Another service is not affected. */
	refuse_next(f, 1, MRF_STATUS_CODE_EXPIRED);
	assert_int_equal(mr_call(f->client, "other", "x", 1, &o, NULL), -EHOSTUNREACH);
	while (mr_call(f->client, "echo", "x", 1, &o, NULL) == -ECONNABORTED)
		assert_true(now_ms() < start + PATIENCE_MS);
	/* The clock of calls with a long time-out may be 10 ms ahead. */
	assert_true(now_ms() >= start + o.breaker_reset_ms - 10);
	assert_int_equal(mr_call(f->client, "echo", "x", 1, &o, NULL), 0);
}

/* A probe that fails must not keep others from probing. */
static void a_probe_that_comes_to_nothing_leaves_the_next(void **state)
{
	struct mr_call_options o = {.retries = MR_NO_RETRIES,
		.breaker_failures = 3,
		.breaker_reset_ms = 50,
		.timeout_ms = PATIENCE_MS};
	struct fixture *f = *state;
	uint64_t until;

	serve_echo(f, "echo", NULL);
	refuse_next(f, 3, MRF_STATUS_CODE_FAILED);
	for (unsigned i = 0; i < 3; i++)
		assert_int_equal(mr_call(f->client, "echo", "x", 1, &o, NULL), -EREMOTEIO);
	bus_kill(&f->bus, NULL);
	PROCESS_UNTIL(f->client, f->downs == 1);
	bus_revive(&f->bus);
	PROCESS_UNTIL(f->client, f->ups == 1);
	/* Control does not answer in time where the service is now. */
	bus_lock(&f->bus);
	f->bus.ignore_control = UINT32_MAX;
	bus_unlock(&f->bus);
	o.retries = 2;
	o.backoff_ms = 1;
	o.timeout_ms = 100;
	until = now_ms() + PATIENCE_MS;
	while (mr_call(f->client, "echo", "x", 1, &o, NULL) != -ETIMEDOUT)
		assert_true(now_ms() < until);
	bus_lock(&f->bus);
	f->bus.ignore_control = 0;
	bus_unlock(&f->bus);
	o.timeout_ms = 1000;
	while (mr_call(f->client, "echo", "x", 1, &o, NULL) != 0)
		assert_true(now_ms() < until);
}

static void replies_of_another_worker_are_not_mixed_in(void **state)
{
	struct fixture *f = *state;
	struct outcome out = {0};
	struct mr_client_stats stats;
	struct mrf_reply_token token;
	uint64_t caller, correlation;

	bus_lock(&f->bus);
	f->bus.services.swallow = 1;
	bus_unlock(&f->bus);
	assert_int_equal(mr_call_async(f->client, "echo", "x", 1, NULL, note, &out), 0);
	PROCESS_UNTIL(f->client, calls_seen(f) > 0);
	bus_lock(&f->bus);
	caller = f->bus.services.last_caller;
	correlation = f->bus.services.last_correlation;
	fake_service_reply(&f->bus, caller, correlation, 77, true, "one");
	fake_service_reply(&f->bus, caller, correlation, 78, true, "strange");
	fake_service_reply(&f->bus, caller, correlation, 78, false, "strange");
	/* Replies to calls that never existed, or are done, change nothing either. */
	fake_service_reply(&f->bus, caller, correlation + 1, 77, false, "strange");
	fake_service_reply(&f->bus, caller, correlation + (1 << 24), 77, false, "strange");
	/* Nor does one that any client could have sent. */
	token = (struct mrf_reply_token){.session = caller, .correlation = correlation};
	bus_send(&f->bus, MRF_MESSAGE_KIND_REPLY, 0, &token, "", "strange", 7);
	fake_service_reply(&f->bus, caller, correlation, 77, false, "two");
	fake_service_reply(&f->bus, caller, correlation, 77, false, "strange");
	fake_service_status(&f->bus, caller, correlation, MRF_STATUS_CODE_FAILED);
	bus_unlock(&f->bus);
	PROCESS_UNTIL(f->client, ({
		mr_client_stats(f->client, &stats);
		stats.unmatched == 7;
	}));
	assert_int_equal(out.partial, 1);
	assert_int_equal(out.calls, 1);
	assert_string_equal(out.last, "two");
}

static void a_late_reply_to_an_earlier_try_is_one(void **state)
{
	struct fixture *f = *state;
	struct mr_call_options o = {.timeout_ms = 20, .retries = 1, .backoff_ms = 60000};
	struct outcome out = {0};
	uint64_t give_up = now_ms() + PATIENCE_MS;
	unsigned before = know(f, "echo");

	bus_lock(&f->bus);
	f->bus.services.swallow = 1;
	bus_unlock(&f->bus);
	assert_int_equal(mr_call_async(f->client, "echo", "x", 1, &o, note, &out), 0);
	PROCESS_UNTIL(f->client, calls_seen(f) > before);
	/* The client waits before the next try, which is far away. */
	for (uint64_t until = now_ms() + 60; now_ms() < until && now_ms() < give_up;)
		mr_wait(f->client, 5);
	bus_lock(&f->bus);
	fake_service_reply(&f->bus, f->bus.services.last_caller, f->bus.services.last_correlation,
		5, false, "late");
	bus_unlock(&f->bus);
	PROCESS_UNTIL(f->client, out.calls > 0);
	assert_string_equal(out.last, "late");
	assert_int_equal(out.error, 0);
}

static void calls_fail_with_the_connection_and_work_again_after(void **state)
{
	struct fixture *f = *state;
	struct outcome out = {0};
	struct mr_message reply;

	serve_echo(f, "echo", NULL);
	bus_lock(&f->bus);
	f->bus.services.swallow = 1;
	bus_unlock(&f->bus);
	assert_int_equal(mr_call_async(f->client, "echo", "x", 1, NULL, note, &out), 0);
	PROCESS_UNTIL(f->client, calls_seen(f) > 0);
	bus_kill(&f->bus, "restarting");
	PROCESS_UNTIL(f->client, out.calls > 0);
	assert_int_equal(out.error, -ENOTCONN);
	bus_lock(&f->bus);
	fake_service_forget(&f->bus, "echo");
	bus_unlock(&f->bus);
	bus_revive(&f->bus);
	PROCESS_UNTIL(f->client, f->ups > 0);
	assert_int_equal(mr_call(f->client, "echo", "back", 4, NULL, &reply), 0);
	assert_payload(&reply, "back");
}

static void call_within(struct mr_client *c, const struct mr_message *m, void *arg)
{
	struct mr_message reply;

	(void)m;
	assert_int_equal(mr_call(c, "mmi.service", "echo", 4, NULL, &reply), 0);
	assert_payload(&reply, "200");
	*(bool *)arg = true;
}

static void the_bus_answers_for_its_services(void **state)
{
	struct fixture *f = *state;
	struct mr_message reply;
	struct outcome out = {0};
	bool called = false;

	assert_int_equal(mr_call(f->client, "mmi.service", "echo", 4, NULL, &reply), 0);
	assert_payload(&reply, "404");
	serve_echo(f, "echo", NULL);
	assert_int_equal(mr_call(f->client, "mmi.service", "echo", 4, NULL, &reply), 0);
	assert_payload(&reply, "200");
	assert_int_equal(mr_call(f->client, "mmi.workers", "echo", 4, NULL, &reply), 0);
	assert_payload(&reply, "1");
	assert_int_equal(mr_call(f->client, "mmi.nonsense", "", 0, NULL, &reply), 0);
	assert_payload(&reply, "501");
	assert_int_equal(mr_call_async(f->client, "mmi.workers", "none", 4, NULL, note, &out), 0);
	PROCESS_UNTIL(f->client, out.calls > 0);
	assert_string_equal(out.last, "0");
	assert_int_equal(mr_subscribe(f->client, "go", NULL, call_within, &called, NULL), 0);
	assert_int_equal(mr_publish(f->client, "go", "", 0), 0);
	PROCESS_UNTIL(f->client, called);
}

static void failures_within_a_callback_are_reported_later(void **state)
{
	struct fixture *f = *state;
	struct mr_call_options o = {.timeout_ms = 20, .retries = MR_NO_RETRIES};
	struct outcome out = {0};
	bool called = false;

	serve_echo(f, "echo", NULL);
	bus_lock(&f->bus);
	f->bus.services.swallow = 1;
	bus_unlock(&f->bus);
	assert_int_equal(mr_call_async(f->client, "lost", "x", 1, &o, note, &out), 0);
	assert_int_equal(mr_subscribe(f->client, "go", NULL, call_within, &called, NULL), 0);
	assert_int_equal(mr_publish(f->client, "go", "", 0), 0);
	PROCESS_UNTIL(f->client, called && out.calls > 0);
	assert_int_equal(out.error, -ETIMEDOUT);
	assert_int_equal(out.calls, 1);
}

static void closing_with_calls_under_way_is_harmless(void **state)
{
	struct fixture *f = *state;
	struct outcome out = {0};

	bus_lock(&f->bus);
	f->bus.services.swallow = 100;
	bus_unlock(&f->bus);
	for (unsigned i = 0; i < 100; i++)
		assert_int_equal(mr_call_async(f->client, "echo", "x", 1, NULL, note, &out), 0);
	mr_close(f->client);
	f->client = NULL;
	assert_int_equal(out.calls, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_call_returns_the_reply),
		TEST(headers_come_along_both_ways),
		TEST(many_at_once_each_get_their_own),
		TEST(a_time_out_is_tried_again),
		TEST(without_tries_left_it_has_timed_out),
		TEST(without_waiting_the_same),
		TEST(verdicts_of_the_bus_are_errors),
		TEST(overload_is_tried_again),
		TEST(a_number_that_is_invalid_is_requested_again),
		TEST(service_that_cannot_be_opened_fails),
		TEST(many_services_are_distinguished),
		TEST(malformed_calls_are_refused),
		TEST(the_breaker_fails_fast_and_recovers),
		TEST(a_probe_that_comes_to_nothing_leaves_the_next),
		TEST(replies_of_another_worker_are_not_mixed_in),
		TEST(a_late_reply_to_an_earlier_try_is_one),
		TEST(calls_fail_with_the_connection_and_work_again_after),
		TEST(the_bus_answers_for_its_services),
		TEST(failures_within_a_callback_are_reported_later),
		TEST(closing_with_calls_under_way_is_harmless),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
