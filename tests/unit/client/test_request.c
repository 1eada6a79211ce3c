/* SPDX-License-Identifier: Apache-2.0 */
/* Requests: replies, time-outs, status codes, nested requests. */
#include <limits.h>

#include "tests/unit/client/fixture.h"

static void echo(struct mr_client *c, const struct mr_message *m, void *arg)
{
	assert_true(m->wants_reply);
	assert_int_equal(mr_reply_with(c, m->reply_token, m->headers, m->header_bytes, m->payload,
				 m->payload_bytes),
		0);
	++*(unsigned *)arg;
}

struct replies {
	unsigned good;
	unsigned failed;
	int error;
	char why[128]; /* text of the last error */
	char last[64];
	struct mr_publisher *next; /* the callback sends one more message through it */
};

static void note(struct mr_client *c, const struct mr_message *reply, int error, void *arg)
{
	struct replies *r = arg;

	r->error = error;
	snprintf(r->why, sizeof(r->why), "%s", mr_error(c));
	if (reply == NULL) {
		assert_true(error < 0);
		r->failed++;
		return;
	}
	assert_int_equal(error, 0);
	snprintf(r->last, sizeof(r->last), "%.*s", (int)reply->payload_bytes,
		(char *)reply->payload);
	r->good++;
	if (r->next != NULL && r->good < 1000)
		assert_int_equal(mr_publisher_request(r->next, "x", 1, -1, note, r), 0);
}

static void request_returns_the_reply(void **state)
{
	struct fixture *f = *state;
	struct mr_message m;
	struct mr_headers h;
	char memory[64];
	unsigned served = 0;

	mr_headers_init(&h, memory, sizeof(memory));
	assert_int_equal(mr_headers_add(&h, "a", "b"), 0);
	assert_int_equal(mr_subscribe(f->client, "echo", NULL, echo, &served, NULL), 0);
	for (unsigned i = 0; i < 300; i++) {
		assert_int_equal(
			mr_request_with(f->client, "echo", h.data, h.bytes, &i, sizeof(i), -1, &m),
			0);
		assert_memory_equal(m.payload, &i, sizeof(i));
		assert_int_equal(m.header_bytes, h.bytes);
		assert_null(m.subscription);
		assert_int_equal(m.subject_bytes, 0);
		assert_false(m.wants_reply);
	}
	assert_int_equal(served, 300);
	assert_int_equal(mr_request(f->client, "echo", "x", 1, -1, NULL), 0);
}

static void request_without_responder_fails_at_once(void **state)
{
	struct fixture *f = *state;
	struct replies r = {0};
	struct mr_message m;

	assert_int_equal(mr_request(f->client, "nobody", "x", 1, -1, &m), -EHOSTUNREACH);
	assert_string_equal(mr_error(f->client), mr_error_text(-EHOSTUNREACH));
	assert_int_equal(mr_publish(f->client, "..", "x", 1), -EINVAL);
	assert_int_equal(mr_request_async(f->client, "nobody", "x", 1, -1, note, &r), 0);
	PROCESS_UNTIL(f->client, r.failed == 1);
	assert_int_equal(r.error, -EHOSTUNREACH);
	assert_string_equal(r.why, mr_error_text(-EHOSTUNREACH));
	bus_lock(&f->bus);
	f->bus.overloaded = true;
	bus_unlock(&f->bus);
	assert_int_equal(mr_request(f->client, "nobody", "x", 1, -1, &m), -EBUSY);
}

static void request_times_out_and_its_late_reply_is_counted(void **state)
{
	struct fixture *f = *state;
	struct mr_client_stats stats;
	struct replies r = {0};
	struct mr_message m;
	unsigned served = 0;

	assert_int_equal(mr_subscribe(f->client, "echo", NULL, echo, &served, NULL), 0);
	bus_lock(&f->bus);
	f->bus.hold_replies = 2;
	bus_unlock(&f->bus);
	assert_int_equal(mr_request(f->client, "echo", "x", 1, 30, &m), -ETIMEDOUT);
	assert_int_equal(mr_request_async(f->client, "echo", "x", 1, 30, note, &r), 0);
	PROCESS_UNTIL(f->client, r.failed == 1);
	assert_int_equal(r.error, -ETIMEDOUT);
	PROCESS_UNTIL(f->client, served == 2);
	assert_int_equal(mr_drain(f->client, PATIENCE_MS), 0);
	bus_lock(&f->bus);
	assert_int_equal(f->bus.held_count, 2);
	f->bus.let_replies = true;
	bus_unlock(&f->bus);
	/* This reply comes after the late ones. */
	assert_int_equal(mr_request(f->client, "echo", "y", 1, -1, &m), 0);
	assert_memory_equal(m.payload, "y", 1);
	mr_client_stats(f->client, &stats);
	assert_int_equal(stats.unmatched, 2);
	assert_int_equal(r.good, 0);
}

static void busy_polling_notices_timeouts(void **state)
{
	struct fixture *f = *state;
	struct replies r = {0};
	uint64_t give_up = now_ms() + PATIENCE_MS;
	unsigned served = 0;

	assert_int_equal(mr_subscribe(f->client, "echo", NULL, echo, &served, NULL), 0);
	bus_lock(&f->bus);
	f->bus.hold_replies = 1;
	bus_unlock(&f->bus);
	assert_int_equal(mr_request_async(f->client, "echo", "x", 1, 10, note, &r), 0);
	while (r.failed == 0 && now_ms() < give_up)
		assert_true(mr_process(f->client, 16) >= 0);
	assert_int_equal(r.error, -ETIMEDOUT);
}

static void many_requests_are_under_way_at_once(void **state)
{
	struct fixture *f = *state;
	struct mr_publisher *p;
	struct replies r = {0};
	unsigned served = 0;

	assert_int_equal(mr_subscribe(f->client, "echo", NULL, echo, &served, NULL), 0);
	assert_int_equal(mr_publisher_open(f->client, "echo", &p), 0);
	for (unsigned i = 0; i < 500; i++) {
		/* Time-outs in no order: the nearest one must be found. */
		int timeout_ms = PATIENCE_MS + (int)(i * 7919 % 1000);

		assert_int_equal(mr_publisher_request(p, "x", 1, timeout_ms, note, &r), 0);
	}
	PROCESS_UNTIL(f->client, r.good == 500);
	assert_int_equal(r.failed, 0);
	assert_int_equal(served, 500);
}

struct expiry {
	int order[3];
	unsigned count;
};

static struct expiry expiry;

static void expired(struct mr_client *c, const struct mr_message *reply, int error, void *arg)
{
	(void)c;
	assert_null(reply);
	assert_int_equal(error, -ETIMEDOUT);
	expiry.order[expiry.count++] = (int)(intptr_t)arg;
}

static void ignore(struct mr_client *c, const struct mr_message *m, void *arg)
{
	(void)c;
	(void)m;
	(void)arg;
}

/* Returns how long sending three requests took, all of which expire. */
static uint64_t expire_three(struct fixture *f)
{
	static const int timeouts_ms[] = {90, 30, 60};
	uint64_t took_ms, start_ms = now_ms();

	expiry = (struct expiry){0};
	for (intptr_t i = 0; i < 3; i++)
		assert_int_equal(mr_request_async(f->client, "deaf", "x", 1, timeouts_ms[i],
					 expired, (void *)i),
			0);
	took_ms = now_ms() - start_ms;
	PROCESS_UNTIL(f->client, expiry.count == 3);
	return took_ms;
}

static void timeouts_expire_by_deadline_not_by_order_of_sending(void **state)
{
	struct fixture *f = *state;
	uint64_t give_up_ms = now_ms() + PATIENCE_MS;

	assert_int_equal(mr_subscribe(f->client, "deaf", NULL, ignore, NULL, NULL), 0);
	/* The deadlines have that order only if no pause came between the requests. */
	while (expire_three(f) >= 25)
		assert_true(now_ms() < give_up_ms);
	assert_int_equal(expiry.order[0], 1);
	assert_int_equal(expiry.order[1], 2);
	assert_int_equal(expiry.order[2], 0);
}

static void callback_of_a_reply_may_send_the_next_request(void **state)
{
	struct fixture *f = *state;
	struct replies r = {0};
	unsigned served = 0;

	assert_int_equal(mr_subscribe(f->client, "echo", NULL, echo, &served, NULL), 0);
	assert_int_equal(mr_publisher_open(f->client, "echo", &r.next), 0);
	assert_int_equal(mr_publisher_request(r.next, "x", 1, -1, note, &r), 0);
	PROCESS_UNTIL(f->client, r.good == 1000);
	assert_int_equal(served, 1000);
}

/* Replies three times, with numbers, so that one responder stands for three. */
static void reply_three_times(struct mr_client *c, const struct mr_message *m, void *arg)
{
	unsigned *served = arg;

	for (unsigned i = 0; i < 3; i++) {
		char text[2] = {(char)('1' + *served), 0};

		assert_int_equal(mr_reply(c, m->reply_token, text, 1), 0);
		++*served;
	}
}

struct gathered {
	unsigned replies;
	unsigned ends;
	int error;
	char text[16];
};

static void gather(struct mr_client *c, const struct mr_message *reply, int error, void *arg)
{
	struct gathered *g = arg;

	(void)c;
	if (reply == NULL) {
		g->ends++;
		g->error = error;
		return;
	}
	assert_int_equal(error, 0);
	assert_int_equal(reply->payload_bytes, 1);
	assert_true(g->replies < sizeof(g->text) - 1);
	g->text[g->replies++] = *(const char *)reply->payload;
}

static void many_replies_are_gathered_until_the_wanted_number(void **state)
{
	const struct mr_request_many_options options = {.replies_max = 2};
	struct fixture *f = *state;
	struct mr_client_stats stats;
	struct gathered g = {0};
	unsigned served = 0;

	assert_int_equal(mr_subscribe(f->client, "all", NULL, reply_three_times, &served, NULL), 0);
	assert_int_equal(mr_request_many(f->client, "all", "x", 1, &options, gather, &g), 2);
	assert_string_equal(g.text, "12");
	assert_int_equal(g.ends, 0);
	assert_int_equal(mr_ping(f->client, -1, NULL, NULL), 0);
	mr_client_stats(f->client, &stats);
	assert_int_equal(stats.unmatched, 1);
}

/* Asks until all three replies came within the time, as they do when the bus gets the processor. */
static void gather_three_in_time(struct fixture *f, const struct mr_request_many_options *options)
{
	uint64_t give_up_ms = now_ms() + PATIENCE_MS;
	struct gathered g;
	int count;

	do {
		assert_true(now_ms() < give_up_ms);
		g = (struct gathered){0};
		count = mr_request_many(f->client, "all", "x", 1, options, gather, &g);
		assert_true(count == -ETIMEDOUT || (count > 0 && count <= 3));
		assert_int_equal(g.replies, count > 0 ? count : 0);
		for (unsigned i = 1; i < g.replies; i++)
			assert_int_equal(g.text[i], g.text[0] + (char)i);
	} while (count != 3);
}

static void many_replies_end_by_time(void **state)
{
	const struct mr_request_many_options timeout = {.timeout_ms = 50};
	const struct mr_request_many_options stall = {.timeout_ms = 600000, .stall_ms = 20};
	struct fixture *f = *state;
	unsigned served = 0;

	assert_int_equal(mr_subscribe(f->client, "all", NULL, reply_three_times, &served, NULL), 0);
	gather_three_in_time(f, &timeout);
	gather_three_in_time(f, &stall);
}

static void many_replies_without_any_are_an_error(void **state)
{
	const struct mr_request_many_options options = {.timeout_ms = 20, .stall_ms = 600000};
	const struct mr_request_many_options too_long = {.timeout_ms = UINT32_MAX};
	struct fixture *f = *state;
	struct gathered g = {0};
	struct mr_client *c = f->client;

	assert_int_equal(mr_request_many(c, "nobody", "x", 1, NULL, gather, &g), -EHOSTUNREACH);
	assert_int_equal(mr_subscribe(c, "deaf", NULL, ignore, NULL, NULL), 0);
	assert_int_equal(mr_request_many(c, "deaf", "x", 1, &options, gather, &g), -ETIMEDOUT);
	assert_int_equal(mr_request_many(c, "deaf", "x", 1, &too_long, gather, &g), -EINVAL);
	assert_int_equal(mr_request_many(c, "deaf", "x", 1, NULL, NULL, NULL), -EINVAL);
	assert_int_equal(mr_request_many(c, NULL, "x", 1, NULL, gather, &g), -EINVAL);
	assert_int_equal(g.replies + g.ends, 0);
}

static void many_replies_of_an_asynchronous_request_have_one_end(void **state)
{
	const struct mr_request_many_options three = {.replies_max = 3};
	const struct mr_request_many_options stall = {.stall_ms = 20};
	const struct mr_request_many_options brief = {.timeout_ms = 20};
	struct fixture *f = *state;
	struct gathered a = {0}, b = {0}, d = {0};
	uint64_t give_up_ms = now_ms() + PATIENCE_MS;
	unsigned served = 0;

	assert_int_equal(mr_subscribe(f->client, "all", NULL, reply_three_times, &served, NULL), 0);
	assert_int_equal(mr_subscribe(f->client, "deaf", NULL, ignore, NULL, NULL), 0);
	assert_int_equal(mr_request_many_async(f->client, "all", "x", 1, &three, gather, &a), 0);
	assert_int_equal(mr_request_many_async(f->client, "deaf", "x", 1, &brief, gather, &d), 0);
	PROCESS_UNTIL(f->client, a.ends + d.ends == 2);
	assert_string_equal(a.text, "123");
	assert_int_equal(a.error, 0);
	assert_int_equal(d.error, -ETIMEDOUT);
	/* A pause between two replies ends it early. */
	do {
		assert_true(now_ms() < give_up_ms);
		b = (struct gathered){0};
		assert_int_equal(
			mr_request_many_async(f->client, "all", "x", 1, &stall, gather, &b), 0);
		PROCESS_UNTIL(f->client, b.ends > 0);
		assert_int_equal(b.ends, 1);
		assert_int_equal(b.error, 0);
	} while (b.replies < 3);
	assert_int_equal(b.replies, 3);
}

/* Begins requests with each reply, so that the table grows while a reply is handed out. */
static void gather_and_ask(
	struct mr_client *c, const struct mr_message *reply, int error, void *arg)
{
	const struct mr_request_many_options options = {.replies_max = 1};
	struct gathered *g = arg;

	(void)error;
	if (reply == NULL) {
		g->ends++;
		return;
	}
	assert_int_equal(mr_request_many(c, "all", "x", 1, NULL, gather, g), -EDEADLK);
	for (unsigned i = 0; i < 50 && g->replies < 200; i++, g->replies++)
		assert_int_equal(
			mr_request_many_async(c, "all", "x", 1, &options, gather_and_ask, g), 0);
}

static void callback_of_many_replies_may_send_requests(void **state)
{
	const struct mr_request_many_options options = {.replies_max = 1};
	struct fixture *f = *state;
	struct gathered g = {0};
	unsigned served = 0;

	assert_int_equal(mr_subscribe(f->client, "all", NULL, reply_three_times, &served, NULL), 0);
	assert_int_equal(
		mr_request_many_async(f->client, "all", "x", 1, &options, gather_and_ask, &g), 0);
	PROCESS_UNTIL(f->client, g.ends == 201);
	/* Left open: freed with the client, and no callback runs. */
	assert_int_equal(mr_subscribe(f->client, "deaf", NULL, ignore, NULL, NULL), 0);
	assert_int_equal(
		mr_request_many_async(f->client, "deaf", "x", 1, NULL, gather_and_ask, &g), 0);
}

static void forged_replies_hit_nothing(void **state)
{
	struct fixture *f = *state;
	struct mr_client_stats stats;
	struct replies r = {0};

	assert_int_equal(mr_subscribe(f->client, "deaf", NULL, ignore, NULL, NULL), 0);
	for (unsigned i = 0; i < 8; i++)
		assert_int_equal(mr_request_async(f->client, "deaf", "x", 1, -1, note, &r), 0);
	bus_lock(&f->bus);
	for (uint64_t i = 0; i < 100; i++)
		bus_send(&f->bus, MRF_MESSAGE_KIND_REPLY, 0,
			&(struct mrf_reply_token){f->bus.sessions[0].id, i}, "", "forged", 6);
	bus_unlock(&f->bus);
	assert_int_equal(mr_ping(f->client, -1, NULL, NULL), 0);
	mr_client_stats(f->client, &stats);
	assert_int_equal(stats.unmatched, 100);
	assert_int_equal(r.good, 0);
}

struct nested {
	unsigned asked;
	unsigned passed;
	uint32_t seen;
};

/* Asks another service of the same client before it answers: its own callback cannot run then, so
 * another client serves it. */
static void ask_within(struct mr_client *c, const struct mr_message *m, void *arg)
{
	struct nested *n = arg;
	struct mr_message reply;

	n->asked++;
	assert_int_equal(mr_request(c, "inner", m->payload, m->payload_bytes, -1, &reply), 0);
	assert_int_equal(reply.payload_bytes, m->payload_bytes);
	assert_memory_equal(reply.payload, m->payload, m->payload_bytes);
	n->passed++;
}

static void in_sequence(struct mr_client *c, const struct mr_message *m, void *arg)
{
	struct nested *n = arg;
	uint32_t number;

	(void)c;
	memcpy(&number, m->payload, sizeof(number));
	assert_int_equal(number, n->seen);
	n->seen++;
}

struct responder {
	struct bus *bus;
	_Atomic bool stop;
	_Atomic bool ready;
	unsigned served;
};

static void *respond(void *arg)
{
	struct responder *r = arg;
	struct mr_client *c;

	if (mr_connect(r->bus->address, NULL, &c) != 0 ||
		mr_subscribe(c, "inner", NULL, echo, &r->served, NULL) != 0)
		return NULL;
	atomic_store(&r->ready, true);
	while (!atomic_load(&r->stop))
		mr_wait(c, 10);
	mr_close(c);
	return NULL;
}

static void callback_may_wait_for_a_request_and_order_stays(void **state)
{
	struct fixture *f = *state;
	struct responder r = {.bus = &f->bus};
	uint64_t give_up = now_ms() + PATIENCE_MS;
	struct nested n = {0};
	pthread_t thread;

	assert_int_equal(pthread_create(&thread, NULL, respond, &r), 0);
	while (!atomic_load(&r.ready) && now_ms() < give_up)
		mr_wait(f->client, 5);
	assert_true(atomic_load(&r.ready));
	assert_int_equal(mr_subscribe(f->client, "outer", NULL, ask_within, &n, NULL), 0);
	assert_int_equal(mr_subscribe(f->client, "numbers", NULL, in_sequence, &n, NULL), 0);
	for (uint32_t i = 0; i < 200; i++) {
		assert_int_equal(mr_publish(f->client, "numbers", &i, sizeof(i)), 0);
		if (i % 10 == 0)
			assert_int_equal(mr_publish(f->client, "outer", &i, sizeof(i)), 0);
	}
	PROCESS_UNTIL(f->client, n.seen == 200 && n.passed == 20);
	assert_int_equal(n.asked, 20);
	atomic_store(&r.stop, true);
	pthread_join(thread, NULL);
}

static uint64_t cpu_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

struct overdue {
	struct replies first; /* the overdue request's */
	unsigned asked;
	uint64_t cpu_ms; /* used within the callback */
};

/* Nobody answers: this client serves "quiet" itself, but not within its callback. */
static void ask_with_one_overdue(struct mr_client *c, const struct mr_message *m, void *arg)
{
	struct overdue *o = arg;
	struct mr_message reply;
	uint64_t start_ms;

	(void)m;
	assert_int_equal(mr_request_async(c, "quiet", NULL, 0, 1, note, &o->first), 0);
	start_ms = cpu_ms();
	assert_int_equal(mr_request(c, "quiet", NULL, 0, 400, &reply), -ETIMEDOUT);
	o->cpu_ms = cpu_ms() - start_ms;
	assert_int_equal(o->first.failed, 0);
	o->asked++;
}

static void nested_request_sleeps_although_another_is_overdue(void **state)
{
	struct fixture *f = *state;
	struct overdue o = {0};

	assert_int_equal(mr_subscribe(f->client, "quiet", NULL, ignore, NULL, NULL), 0);
	assert_int_equal(mr_subscribe(f->client, "outer", NULL, ask_with_one_overdue, &o, NULL), 0);
	assert_int_equal(mr_publish(f->client, "outer", NULL, 0), 0);
	PROCESS_UNTIL(f->client, o.first.failed == 1);
	assert_int_equal(o.first.error, -ETIMEDOUT);
	assert_int_equal(o.asked, 1);
	assert_in_range(o.cpu_ms, 0, 200);
}

static void a_request_leaves_messages_for_receive_alone(void **state)
{
	struct fixture *f = *state;
	struct mr_message m;
	unsigned served = 0;

	assert_int_equal(mr_subscribe(f->client, "pull", NULL, NULL, NULL, NULL), 0);
	assert_int_equal(mr_subscribe(f->client, "echo", NULL, echo, &served, NULL), 0);
	for (unsigned i = 0; i < 10; i++) {
		assert_int_equal(mr_publish(f->client, "pull", &i, sizeof(i)), 0);
		assert_int_equal(mr_request(f->client, "echo", &i, sizeof(i), -1, &m), 0);
		assert_memory_equal(m.payload, &i, sizeof(i));
	}
	for (unsigned i = 0; i < 10; i++) {
		assert_int_equal(mr_receive(f->client, &m, PATIENCE_MS), 0);
		assert_memory_equal(m.payload, &i, sizeof(i));
	}
}

static void control_that_was_killed_is_asked_again(void **state)
{
	struct fixture *f = *state;
	struct inbox in = {0};

	bus_lock(&f->bus);
	f->bus.ignore_control = 1;
	bus_unlock(&f->bus);
	assert_int_equal(mr_subscribe(f->client, "a", NULL, keep_message, &in, NULL), 0);
	bus_lock(&f->bus);
	assert_int_equal(f->bus.control_requests, 2);
	bus_unlock(&f->bus);
	assert_int_equal(mr_publish(f->client, "a", "x", 1), 0);
	PROCESS_UNTIL(f->client, in.count == 1);
}

static void set_ignore_control(struct fixture *f, unsigned count)
{
	bus_lock(&f->bus);
	f->bus.ignore_control = count;
	bus_unlock(&f->bus);
}

static uint64_t unsubscribes(struct fixture *f)
{
	uint64_t n;

	bus_lock(&f->bus);
	n = f->bus.unsubscribes;
	bus_unlock(&f->bus);
	return n;
}

static void silent_control_ends_in_a_timeout(void **state)
{
	struct fixture *f = *state;
	struct mr_options options = {.request_timeout_ms = 50};
	uint64_t before, give_up_ms = now_ms() + PATIENCE_MS;
	struct mr_subscription *s;
	struct inbox in = {0};
	struct mr_client *c;
	int error;

	assert_int_equal(mr_connect(f->bus.address, &options, &c), 0);
	/* Control may be slower than that. */
	while ((error = mr_subscribe(c, "a", NULL, keep_message, &in, &s)) == -ETIMEDOUT)
		assert_true(now_ms() < give_up_ms);
	assert_int_equal(error, 0);
	set_ignore_control(f, UINT_MAX);
	assert_int_equal(mr_ping(c, 10, NULL, NULL), -ETIMEDOUT);
	assert_int_equal(mr_subscribe(c, "b", NULL, NULL, NULL, NULL), -ETIMEDOUT);
	assert_string_equal(mr_error(c), "control does not answer");
	/* The client keeps asking the bus until it has forgotten the subscription. */
	assert_int_equal(mr_unsubscribe(s), -ETIMEDOUT);
	before = unsubscribes(f);
	set_ignore_control(f, 0);
	PROCESS_UNTIL(c, unsubscribes(f) > before);
	mr_close(c);
}

static void ping_tells_both_times(void **state)
{
	struct fixture *f = *state;
	uint64_t handled = 0, round = 0;

	assert_int_equal(mr_ping(f->client, -1, &handled, &round), 0);
	assert_int_equal(handled, 1);
	assert_true(round > 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(request_returns_the_reply),
		TEST(request_without_responder_fails_at_once),
		TEST(request_times_out_and_its_late_reply_is_counted),
		TEST(busy_polling_notices_timeouts),
		TEST(many_requests_are_under_way_at_once),
		TEST(timeouts_expire_by_deadline_not_by_order_of_sending),
		TEST(callback_of_a_reply_may_send_the_next_request),
		TEST(many_replies_are_gathered_until_the_wanted_number),
		TEST(many_replies_end_by_time),
		TEST(many_replies_without_any_are_an_error),
		TEST(many_replies_of_an_asynchronous_request_have_one_end),
		TEST(callback_of_many_replies_may_send_requests),
		TEST(forged_replies_hit_nothing),
		TEST(callback_may_wait_for_a_request_and_order_stays),
		TEST(nested_request_sleeps_although_another_is_overdue),
		TEST(a_request_leaves_messages_for_receive_alone),
		TEST(control_that_was_killed_is_asked_again),
		TEST(silent_control_ends_in_a_timeout),
		TEST(ping_tells_both_times),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
