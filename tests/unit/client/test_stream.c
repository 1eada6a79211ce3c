/* SPDX-License-Identifier: Apache-2.0 */
/* Streaming calls: parts both ways, credit, early ends. */
#include "tests/unit/client/fixture.h"

/* A worker that adds the numbers of a streaming request. */
struct adder {
	struct mr_service *service;
	uint64_t tag;
	unsigned begun;
	unsigned parts;
	unsigned sum;
	bool echo;       /* answers each part with a partial reply */
	unsigned answer; /* answers at this part, before the request has ended; 0: at its end */
};

static void on_begin(struct mr_client *c, const struct mr_work *work, void *arg)
{
	struct adder *a = arg;

	(void)c;
	a->begun++;
	a->tag = work->delivery.tag;
	a->parts = a->sum = 0;
	if (!work->more)
		assert_int_equal(mr_respond(a->service, a->tag, "no stream", 9), 0);
}

static void on_part(
	struct mr_client *c, uint64_t tag, const struct mr_message *part, bool more, void *arg)
{
	struct adder *a = arg;
	char text[32];

	(void)c;
	assert_true(tag == a->tag);
	snprintf(text, sizeof(text), "%.*s", (int)part->payload_bytes, (const char *)part->payload);
	a->sum += (unsigned)atoi(text);
	a->parts++;
	if (a->echo)
		mr_respond_with(a->service, tag, true, NULL, 0, part->payload, part->payload_bytes);
	snprintf(text, sizeof(text), "%u", a->sum);
	if (!more || a->parts == a->answer)
		assert_int_equal(mr_respond(a->service, tag, text, strlen(text)), 0);
}

struct outcome {
	unsigned calls;
	unsigned partial;
	int error;
	char last[64];
	struct mr_stream *close; /* stream that the callback closes */
};

static void note(struct mr_client *c, uint64_t correlation, const struct mr_message *reply,
	bool more, int error, void *arg)
{
	struct outcome *o = arg;

	(void)c, (void)correlation;
	o->calls += !more;
	o->partial += more;
	o->error = error;
	if (reply != NULL)
		snprintf(o->last, sizeof(o->last), "%.*s", (int)reply->payload_bytes,
			(const char *)reply->payload);
	if (o->close != NULL)
		mr_stream_close(o->close);
	o->close = NULL;
}

static void serve(struct fixture *f, struct adder *a, unsigned window)
{
	struct mr_serve_options o = {.on_part = on_part, .window = window};

	assert_int_equal(mr_serve(f->client, "sum", &o, on_begin, a, &a->service), 0);
}

static struct mr_stream *open_stream(struct fixture *f, struct outcome *out)
{
	struct mr_stream *s;

	assert_int_equal(mr_stream_open(f->client, "sum", "begin", 5, NULL, note, out, &s), 0);
	return s;
}

/* Sends as a program would: waits if there is no room. */
static void send_part(struct fixture *f, struct mr_stream *s, unsigned number, bool more)
{
	uint64_t give_up_ms = now_ms() + PATIENCE_MS;
	char text[16];
	int error;

	snprintf(text, sizeof(text), "%u", number);
	while ((error = mr_stream_send(s, text, strlen(text), more)) == -EAGAIN) {
		assert_true(now_ms() < give_up_ms);
		mr_wait(f->client, PATIENCE_MS);
	}
	assert_int_equal(error, 0);
}

static void parts_come_in_order_and_are_answered_at_the_end(void **state)
{
	struct fixture *f = *state;
	struct outcome out = {0};
	struct adder a = {0};
	struct mr_stream *s;

	serve(f, &a, 0);
	s = open_stream(f, &out);
	/* No credit is granted before a worker has the call. */
	assert_int_equal(mr_stream_send(s, "1", 1, true), -EAGAIN);
	for (unsigned i = 1; i <= 500; i++)
		send_part(f, s, i, i < 500);
	PROCESS_UNTIL(f->client, out.calls == 1);
	assert_string_equal(out.last, "125250");
	assert_int_equal(a.parts, 500);
	mr_stream_close(s);
}

static void no_more_is_sent_than_was_granted(void **state)
{
	struct fixture *f = *state;
	struct outcome out = {0};
	struct adder a = {0};
	struct mr_stream *s;
	unsigned sent = 0;

	serve(f, &a, 8);
	s = open_stream(f, &out);
	PROCESS_UNTIL(f->client, a.begun == 1);
	/* The grant comes after it. */
	send_part(f, s, 1, true);
	while (mr_stream_send(s, "1", 1, true) == 0)
		sent++;
	assert_int_equal(sent, 7);
	PROCESS_UNTIL(f->client, a.parts == 8);
	send_part(f, s, 1, false);
	PROCESS_UNTIL(f->client, out.calls == 1);
	assert_string_equal(out.last, "9");
	assert_int_equal(mr_stream_send(s, "1", 1, true), -ENOENT);
	mr_stream_close(s);
}

static void both_ways_at_once(void **state)
{
	struct fixture *f = *state;
	struct mr_options options = fixture_options(f);
	struct mr_serve_options o = {.on_part = on_part};
	struct outcome out = {0};
	struct adder a = {.echo = true};
	struct mr_client *worker;
	struct mr_stream *s;
	unsigned sent = 0;

	/* A client of its own, so that the fake bus can tell whose credit it is. */
	assert_int_equal(mr_connect(f->bus.address, &options, &worker), 0);
	assert_int_equal(mr_serve(worker, "sum", &o, on_begin, &a, &a.service), 0);
	s = open_stream(f, &out);
	PROCESS_UNTIL(worker, ({
		while (sent < 300 && mr_stream_send(s, "1", 1, sent < 299) == 0)
			sent++;
		mr_process(f->client, 1000);
		out.calls == 1;
	}));
	mr_close(worker);
	assert_string_equal(out.last, "300");
	assert_int_equal(out.partial, 300);
	mr_stream_close(s);
}

static void an_early_answer_ends_it(void **state)
{
	struct fixture *f = *state;
	struct outcome out = {0};
	struct adder a = {.answer = 2};
	struct mr_stream *s;

	serve(f, &a, 0);
	s = open_stream(f, &out);
	send_part(f, s, 20, true);
	send_part(f, s, 22, true);
	PROCESS_UNTIL(f->client, out.calls == 1);
	assert_string_equal(out.last, "42");
	assert_int_equal(mr_stream_send(s, "1", 1, true), -ENOENT);
	mr_stream_close(s);
}

static void after_the_end_nothing_may_be_sent(void **state)
{
	struct fixture *f = *state;
	struct outcome out = {0};
	struct adder a = {0};
	struct mr_stream *s;

	serve(f, &a, 0);
	s = open_stream(f, &out);
	send_part(f, s, 1, false);
	assert_int_equal(mr_stream_send(s, "1", 1, true), -EINVAL);
	PROCESS_UNTIL(f->client, out.calls == 1);
	mr_stream_close(s);
}

static void it_may_be_closed_from_its_callback_and_before_its_end(void **state)
{
	struct fixture *f = *state;
	struct outcome out = {0};
	struct adder a = {0};
	struct mr_stream *s;

	serve(f, &a, 0);
	s = open_stream(f, &out);
	out.close = s;
	send_part(f, s, 7, false);
	PROCESS_UNTIL(f->client, out.calls == 1);
	assert_string_equal(out.last, "7");
	s = open_stream(f, &out);
	PROCESS_UNTIL(f->client, a.begun == 2);
	mr_stream_close(s);
	/* The worker still answers, and the answer goes nowhere. */
	assert_int_equal(mr_respond(a.service, a.tag, "x", 1), 0);
	assert_true(bus_took_all(f));
	mr_wait(f->client, 10);
	assert_int_equal(out.calls, 1);
}

static void a_worker_that_takes_no_streams_refuses_them(void **state)
{
	struct fixture *f = *state;
	struct outcome out = {0};
	struct adder a = {0};
	struct mr_stream *s;

	assert_int_equal(mr_serve(f->client, "sum", NULL, on_begin, &a, &a.service), 0);
	s = open_stream(f, &out);
	PROCESS_UNTIL(f->client, out.calls == 1);
	assert_int_equal(out.error, -EREMOTEIO);
	assert_int_equal(a.begun, 0);
	mr_stream_close(s);
}

static void send_credit(struct fixture *f, uint32_t target, uint64_t correlation, uint64_t tag,
	uint32_t parts, unsigned times)
{
	struct mrf_stream_credit credit = {.parts = parts};
	struct mrf_reply_token token = {.session = tag, .correlation = correlation};
	struct mr_message_extra extra = {
		.flags = MRF_MESSAGE_FLAG_DELIVERY, .delivery = {.tag = tag, .queue = 1}};
	struct mr_message_plan plan =
		mr_message_plan(MRF_MESSAGE_KIND_CREDIT, &token, "", 0, &credit, 0, sizeof(credit));

	mr_message_plan_extra(&plan, &extra);
	for (unsigned i = 0; i < times; i++)
		bus_send_plan(&f->bus.sessions[0], &plan, target);
}

static void credits_do_not_overflow(void **state)
{
	struct fixture *f = *state;
	struct outcome out = {0};
	struct adder a = {0};
	uint64_t correlation, tag;
	uint32_t subscription;
	struct mr_stream *s;

	serve(f, &a, 0);
	s = open_stream(f, &out);
	PROCESS_UNTIL(f->client, a.begun == 1);
	send_part(f, s, 1, true);
	bus_lock(&f->bus);
	correlation = f->bus.services.last_correlation;
	tag = f->bus.services.last_tag;
	subscription = f->bus.services.services[0].target.consumers[0].subscription;
	send_credit(f, 0, correlation, tag, UINT32_MAX, 5);
	send_credit(f, 0, correlation, tag, 1, 1);
	send_credit(f, subscription, correlation, tag, UINT32_MAX, 5);
	/* For another delivery, and for no delivery. */
	send_credit(f, 0, correlation, tag + 1, UINT32_MAX, 1);
	send_credit(f, 0, correlation + 1, tag, UINT32_MAX, 1);
	bus_unlock(&f->bus);
	PROCESS_UNTIL(f->client, mr_respond_room(a.service, a.tag) > 64);
	assert_int_equal(mr_respond_room(a.service, a.tag), 1u << 30);
	send_part(f, s, 2, false);
	PROCESS_UNTIL(f->client, out.calls == 1);
	assert_string_equal(out.last, "3");
	mr_stream_close(s);
}

static unsigned calls_seen(struct fixture *f)
{
	unsigned calls;

	bus_lock(&f->bus);
	calls = f->bus.services.calls;
	bus_unlock(&f->bus);
	return calls;
}

static void unanswered_stream_times_out_and_is_not_retried(void **state)
{
	struct mr_call_options o = {.timeout_ms = 20};
	struct fixture *f = *state;
	struct outcome out = {0};
	struct mr_stream *s;

	/* Makes the client ask for the service's number, which takes time, too. */
	bus_lock(&f->bus);
	f->bus.services.refuse = 1;
	f->bus.services.refuse_status = MRF_STATUS_CODE_BAD;
	bus_unlock(&f->bus);
	assert_int_equal(mr_call(f->client, "sum", "", 0, NULL, NULL), -EINVAL);
	bus_lock(&f->bus);
	f->bus.services.swallow = 5;
	bus_unlock(&f->bus);
	assert_int_equal(mr_stream_open(f->client, "sum", "x", 1, &o, note, &out, &s), 0);
	PROCESS_UNTIL(f->client, out.calls == 1);
	assert_int_equal(out.error, -ETIMEDOUT);
	PROCESS_UNTIL(f->client, calls_seen(f) >= 2);
	assert_int_equal(calls_seen(f), 2);
	mr_stream_close(s);
}

static void streams_that_stay_open_are_freed_with_the_client(void **state)
{
	struct fixture *f = *state;
	struct outcome out = {0};
	struct adder a = {0};

	serve(f, &a, 0);
	for (unsigned i = 0; i < 3; i++)
		open_stream(f, &out);
	PROCESS_UNTIL(f->client, a.begun == 1);
	mr_close(f->client);
	f->client = NULL;
	assert_int_equal(out.calls, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(parts_come_in_order_and_are_answered_at_the_end),
		TEST(no_more_is_sent_than_was_granted),
		TEST(both_ways_at_once),
		TEST(an_early_answer_ends_it),
		TEST(after_the_end_nothing_may_be_sent),
		TEST(it_may_be_closed_from_its_callback_and_before_its_end),
		TEST(a_worker_that_takes_no_streams_refuses_them),
		TEST(credits_do_not_overflow),
		TEST(unanswered_stream_times_out_and_is_not_retried),
		TEST(streams_that_stay_open_are_freed_with_the_client),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
