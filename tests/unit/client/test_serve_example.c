/* SPDX-License-Identifier: Apache-2.0 */
/* The example serve: its replies wait while the caller takes none, and go out in order when it
 * does. The fake bus is real enough: credit for replies comes from the caller's library. */
#include "tests/unit/client/fixture.h"

int serve_main(int argc, char **argv);
#define main serve_main
#include "client/examples/serve.c"
#undef main

#define CREDIT 64u /* partial replies that a caller takes before it grants more */
#define WINDOW 2048u

struct replies {
	unsigned partial;
	unsigned ended;
	unsigned wrong; /* not in their order */
	int error;
	char last[32];
};

static void on_reply(struct mr_client *c, uint64_t correlation, const struct mr_message *reply,
	bool more, int error, void *arg)
{
	struct replies *r = arg;
	char expected[32];

	(void)c, (void)correlation;
	r->ended += !more;
	r->error = error;
	if (reply == NULL)
		return;
	snprintf(r->last, sizeof(r->last), "%.*s", (int)reply->payload_bytes,
		(const char *)reply->payload);
	snprintf(expected, sizeof(expected), "PART %u", r->partial);
	r->wrong += more && strcmp(r->last, expected) != 0;
	r->partial += more;
}

/* The worker of the example on the client of the fixture, and a caller. */
struct stage {
	struct worker worker;
	struct mr_client *caller;
	struct mr_stream *stream;
	struct replies replies;
};

static void open_stage(struct fixture *f, struct stage *s)
{
	struct mr_serve_options options = {.on_part = on_part, .window = WINDOW};
	struct mr_options caller = {.request_timeout_ms = PATIENCE_MS};

	*s = (struct stage){.worker = {.client = f->client}};
	s->worker.end = &s->worker.first;
	assert_int_equal(
		mr_serve(f->client, "capitals", &options, on_work, &s->worker, &s->worker.service),
		0);
	assert_int_equal(mr_connect(f->bus.address, &caller, &s->caller), 0);
	assert_int_equal(mr_stream_open(s->caller, "capitals", "", 0, NULL, on_reply, &s->replies,
				 &s->stream),
		0);
}

/* Sends parts, of which the last ends the request, and processes the worker alone: the caller does
 * not take the replies. */
static void send_parts(struct fixture *f, struct stage *s, unsigned count)
{
	for (unsigned sent = 0; sent < count;) {
		char text[32];
		int bytes = snprintf(text, sizeof(text), "part %u", sent);
		int error = mr_stream_send(s->stream, text, (size_t)bytes, sent + 1 < count);

		assert_true(error == 0 || error == -EAGAIN);
		sent += error == 0;
		mr_flush(s->caller);
		mr_wait(f->client, sent < count ? 0 : 20);
		/* Before the worker's grant no reply can come. */
		if (error == -EAGAIN && sent == 0)
			mr_wait(s->caller, 1);
	}
}

static void close_stage(struct stage *s)
{
	while (s->worker.first != NULL)
		drop_first(&s->worker);
	mr_stream_close(s->stream);
	mr_service_close(s->worker.service);
	mr_close(s->caller);
}

static void replies_that_the_caller_has_no_credit_for_wait_and_come_in_order(void **state)
{
	const unsigned parts = 4 * CREDIT;
	struct fixture *f = *state;
	struct stage s;

	open_stage(f, &s);
	send_parts(f, &s, parts);
	PROCESS_UNTIL(f->client, s.worker.parts == parts);
	assert_non_null(s.worker.first);
	/* mr_respond_with() said -EAGAIN: these wait, and the final one behind them. */
	assert_int_equal(mr_respond_room(s.worker.service, s.worker.first->tag), 0);
	assert_int_equal(s.worker.waiting, parts - CREDIT + 1);
	assert_int_equal(s.worker.served, 0);
	for (uint64_t until = now_ms() + PATIENCE_MS; s.replies.ended == 0;) {
		assert_true(now_ms() < until);
		mr_wait(s.caller, 1);
		mr_wait(f->client, 1);
		send_replies(&s.worker); /* as the loop of main() does */
	}
	assert_int_equal(s.replies.error, 0);
	assert_int_equal(s.replies.partial, parts);
	assert_int_equal(s.replies.wrong, 0);
	assert_string_equal(s.replies.last, "256 parts");
	assert_int_equal(s.worker.waiting, 0);
	assert_int_equal(s.worker.served, 1);
	close_stage(&s);
}

/* The reply that is one too many is that of the last part, or of one before it. */
static void give_up_after(struct fixture *f, unsigned parts)
{
	struct stage s;

	open_stage(f, &s);
	send_parts(f, &s, parts);
	PROCESS_UNTIL(f->client, s.worker.served > 0);
	assert_int_equal(s.worker.waiting, 0);
	PROCESS_UNTIL(s.caller, s.replies.ended == 1);
	assert_int_equal(s.replies.error, -EREMOTEIO);
	mr_wait(f->client, 20);
	assert_int_equal(s.worker.served, 1);
	assert_int_equal(s.worker.waiting, 0);
	close_stage(&s);
}

static void a_caller_that_takes_no_replies_is_given_up(void **state)
{
	give_up_after(*state, CREDIT + REPLIES_MAX + 1);
}

static void parts_after_that_are_not_answered(void **state)
{
	give_up_after(*state, CREDIT + REPLIES_MAX + 10);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(replies_that_the_caller_has_no_credit_for_wait_and_come_in_order),
		TEST(a_caller_that_takes_no_replies_is_given_up),
		TEST(parts_after_that_are_not_answered),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
