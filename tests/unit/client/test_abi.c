/* SPDX-License-Identifier: Apache-2.0 */
/* Structs of programs that are older or newer than the library. Names in parentheses are the
 * symbols of release 0.1.0. */
#include <sys/mman.h>
#include <unistd.h>

#include "tests/unit/client/fixture.h"

#define PAGE 4096u

/* Memory that ends where a page begins that nobody may touch. */
struct edge {
	uint8_t *pages;
	uint8_t *end;
};

static struct edge edge_new(void)
{
	struct edge e = {.pages = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE,
				 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)};

	assert_ptr_not_equal(e.pages, MAP_FAILED);
	assert_int_equal(mprotect(e.pages + PAGE, PAGE, PROT_NONE), 0);
	e.end = e.pages + PAGE;
	memset(e.pages, 0xee, PAGE);
	return e;
}

static void edge_free(struct edge e)
{
	munmap(e.pages, 2 * PAGE);
}

/* A copy of `bytes` at the edge. */
static void *at_edge(struct edge e, const void *from, size_t bytes)
{
	return memcpy(e.end - bytes, from, bytes);
}

static void ignore(struct mr_client *c, const struct mr_message *m, void *arg)
{
	(void)c;
	(void)m;
	(void)arg;
}

static void symbols_of_release_0_1_read_and_write_the_structs_of_then(void **state)
{
	/* Sizes of release 0.1.0, as numbers. */
	enum { OPTIONS = 64, SUBSCRIBE = 32, STATS = 184, MESSAGE = 80 };
	struct mr_subscribe_options how = {.prefix = true, .high_water = 50};
	struct fixture *f = *state;
	struct mr_options options = fixture_options(f);
	struct mr_client_stats *stats;
	struct edge e = edge_new();
	struct mr_message *m;
	struct mr_client *c;

	assert_int_equal((mr_connect)(f->bus.address, at_edge(e, &options, OPTIONS), &c), 0);
	assert_int_equal((mr_subscribe)(c, "a", at_edge(e, &how, SUBSCRIBE), NULL, NULL, NULL), 0);
	assert_int_equal(mr_publish(c, "a", "x", 1), 0);
	m = (struct mr_message *)(e.end - MESSAGE);
	assert_int_equal((mr_receive)(c, m, PATIENCE_MS), 0);
	assert_int_equal(m->payload_bytes, 1);
	stats = (struct mr_client_stats *)(e.end - STATS);
	(mr_client_stats)(c, stats);
	assert_int_equal(stats->published, 1);
	assert_int_equal(stats->kept, 0);
	mr_close(c);
	edge_free(e);
}

static void padding_of_release_0_1_may_have_any_content(void **state)
{
	struct fixture *f = *state;
	struct mr_push_options push;
	struct mr_queue *q;

	memset(&push, 0xee, sizeof(push));
	push.promise = MR_AT_LEAST_ONCE;
	push.publisher = NULL;
	push.next_id = 0;
	push.queue.policy = MR_POLICY_DEFAULT;
	push.queue.when_full = MR_QUEUE_FULL_DEFAULT;
	push.queue.not_idempotent = false;
	push.on_outcome = NULL;
	assert_int_equal((mr_queue_open)(f->client, "q", &push, &q), 0);
	mr_queue_close(q);
	/* A program of today has set these fields. */
	push.key_from = NULL;
	push.queue.when_expired = 0;
	push.queue.single_active = 0;
	assert_int_equal(mr_queue_open(f->client, "q", &push, &q), -EINVAL);
	assert_non_null(strstr(mr_error(f->client), "reserved"));
}

static void fields_that_a_shorter_struct_lacks_are_zero(void **state)
{
	struct mr_subscribe_options how = {.high_water = 200};
	struct fixture *f = *state;
	struct edge e = edge_new();
	size_t bytes = offsetof(struct mr_subscribe_options, high_water);
	struct mr_client *c = f->client;

	/* With the field it would be refused, and so it would with what stands at its place. */
	assert_int_equal(mr_subscribe(c, "a", &how, ignore, NULL, NULL), -EINVAL);
	assert_int_equal(
		mr_subscribe_sized(c, "a", at_edge(e, &how, bytes), ignore, NULL, NULL, bytes), 0);
	assert_int_equal(mr_subscribe_sized(c, "a", (void *)e.end, ignore, NULL, NULL, 0), 0);
	edge_free(e);
}

static void longer_struct_is_taken_if_the_rest_is_zero(void **state)
{
	struct {
		struct mr_subscribe_options known;
		uint64_t unknown;
	} how = {.known.high_water = 50};
	struct fixture *f = *state;
	struct mr_client *c = f->client;

	assert_int_equal(
		mr_subscribe_sized(c, "a", &how.known, ignore, NULL, NULL, sizeof(how)), 0);
	how.unknown = 1ull << 63;
	assert_int_equal(
		mr_subscribe_sized(c, "a", &how.known, ignore, NULL, NULL, sizeof(how)), -E2BIG);
	assert_non_null(strstr(mr_error(c), "mr_subscribe: "));
	assert_non_null(strstr(mr_error(c), "older than the program"));
	/* An absurd size is not read through. */
	assert_int_equal(
		mr_subscribe_sized(c, "a", &how.known, ignore, NULL, NULL, SIZE_MAX), -E2BIG);
}

/* Each function that reads a struct, with one that is 8 bytes longer and not zero there. */
static void every_function_refuses_what_it_does_not_know(void **state)
{
	static uint8_t longer[512];
	struct fixture *f = *state;
	struct mr_client *c = f->client, *other;
	struct mr_publisher *p;
	struct mr_consumer *k;
	struct mr_service *s;
	struct mr_stream *stream;
	struct mr_queue *q, *open;
	const void *o = longer;

#define LONGER(type) (memset(longer, 0, sizeof(longer)), longer[sizeof(type)] = 1, sizeof(type) + 8)
	assert_int_equal(
		mr_connect_sized(f->bus.address, o, &other, LONGER(struct mr_options)), -E2BIG);
	assert_null(other);
	assert_non_null(strstr(mr_error(NULL), "mr_connect: "));
	assert_int_equal(
		mr_publisher_open_with_sized(c, "a", o, &p, LONGER(struct mr_publisher_options)),
		-E2BIG);
	assert_int_equal(
		mr_queue_open_sized(c, "q", o, &q, LONGER(struct mr_push_options)), -E2BIG);
	assert_int_equal(
		mr_consume_sized(c, "q", o, NULL, NULL, &k, LONGER(struct mr_consume_options)),
		-E2BIG);
	assert_int_equal(mr_serve_sized(c, "s", o, (mr_work_fn *)(void *)ignore, NULL, &s,
				 LONGER(struct mr_serve_options)),
		-E2BIG);
	assert_int_equal(mr_call_sized(c, "s", NULL, 0, o, NULL, LONGER(struct mr_call_options),
				 sizeof(struct mr_message)),
		-E2BIG);
	assert_int_equal(mr_call_async_sized(c, "s", NULL, 0, o, (mr_call_fn *)(void *)ignore, NULL,
				 LONGER(struct mr_call_options)),
		-E2BIG);
	assert_int_equal(mr_stream_open_sized(c, "s", NULL, 0, o, (mr_call_fn *)(void *)ignore,
				 NULL, &stream, LONGER(struct mr_call_options)),
		-E2BIG);
	assert_int_equal(mr_queue_open(c, "q", NULL, &open), 0);
	assert_int_equal(mr_push_with_sized(open, o, NULL, LONGER(struct mr_push)), -E2BIG);
	mr_queue_close(open);
#undef LONGER
}

static void results_fit_the_room_of_the_caller(void **state)
{
	struct {
		struct mr_client_stats known;
		uint64_t unknown;
	} longer;
	struct fixture *f = *state;
	struct edge e = edge_new();
	size_t bytes = offsetof(struct mr_client_stats, missed);
	struct mr_client_stats *shorter = (struct mr_client_stats *)(e.end - bytes);
	struct mr_message m;

	assert_int_equal(mr_subscribe(f->client, "a", NULL, NULL, NULL, NULL), 0);
	assert_int_equal(mr_publish(f->client, "a", "x", 1), 0);
	memset(&longer, 0xee, sizeof(longer));
	mr_client_stats_sized(f->client, &longer.known, sizeof(longer));
	assert_int_equal(longer.known.published, 1);
	assert_int_equal(longer.unknown, 0);
	mr_client_stats_sized(f->client, shorter, bytes);
	assert_int_equal(shorter->published, 1);
	/* A message too: the first fields, and nothing behind them. */
	memset(&m, 0xee, sizeof(m));
	bytes = offsetof(struct mr_message, payload);
	assert_int_equal(mr_receive_sized(f->client, &m, PATIENCE_MS, bytes), 0);
	assert_int_equal(m.subject_bytes, 1);
	assert_int_equal(((uint8_t *)&m)[bytes], 0xee);
	edge_free(e);
}

static void initialisers_mean_what_null_means(void **state)
{
	struct mr_push_options push = MR_PUSH_OPTIONS_INIT;
	struct mr_options options = MR_OPTIONS_INIT;
	struct fixture *f = *state;
	struct mr_client *c;

	assert_int_equal(push.promise, MR_AT_LEAST_ONCE);
	assert_int_equal(push.queue.messages_max, 0);
	assert_int_equal(mr_connect(f->bus.address, &options, &c), 0);
	mr_close(c);
	/* The macros take compound literals, and leave the names usable. */
	assert_int_equal(
		mr_connect(f->bus.address, &(struct mr_options){.name = "x", .spin_us = 1}, &c), 0);
	mr_close(c);
	assert_true(&mr_connect != NULL);
}

static void copy_of_a_message_outlives_it(void **state)
{
	struct fixture *f = *state;
	char memory[64];
	struct mr_headers h;
	struct mr_message m, *copy;

	mr_headers_init(&h, memory, sizeof(memory));
	assert_int_equal(mr_headers_add(&h, "A", "1"), 0);
	assert_int_equal(mr_subscribe(f->client, "a", NULL, NULL, NULL, NULL), 0);
	assert_int_equal(mr_publish_with(f->client, "a", h.data, h.bytes, "payload", 7), 0);
	assert_int_equal(mr_receive(f->client, &m, PATIENCE_MS), 0);
	copy = mr_message_dup(&m);
	assert_non_null(copy);
	assert_int_equal(mr_process(f->client, 1), 0);
	assert_string_equal(copy->subject, "a");
	assert_string_equal(copy->payload, "payload");
	assert_int_equal(copy->payload_bytes, 7);
	assert_int_equal(copy->header_bytes, h.bytes);
	assert_memory_equal(copy->headers, h.data, h.bytes);
	assert_int_equal(copy->headers[h.bytes], 0);
	assert_ptr_equal(copy->subscription, m.subscription);
	mr_message_free(copy);
	m = (struct mr_message){.wants_reply = true, .reply_token = {1, 2}};
	copy = mr_message_dup(&m);
	assert_null(copy->headers);
	assert_string_equal(copy->payload, "");
	assert_int_equal(copy->reply_token[1], 2);
	mr_message_free(copy);
	mr_message_free(NULL);
	assert_null(mr_message_dup(NULL));
}

static void versions_agree_and_are_compared(void **state)
{
	char text[32];

	(void)state;
	snprintf(text, sizeof(text), "%d.%d.%d", MR_VERSION_MAJOR, MR_VERSION_MINOR,
		MR_VERSION_PATCH);
	assert_string_equal(mr_version(), text);
	assert_int_equal(mr_version_number(), MR_VERSION_NUMBER);
	assert_int_equal(mr_version_check(MR_VERSION_NUMBER), 0);
	assert_int_equal(mr_version_check(MR_VERSION_MAKE(MR_VERSION_MAJOR, 0, 1)), 0);
	assert_int_equal(mr_version_check(MR_VERSION_MAKE(MR_VERSION_MAJOR, 99, 7)), -EPROTO);
	assert_non_null(strstr(mr_error(NULL), "0.99.7"));
	assert_non_null(strstr(mr_error(NULL), text));
	assert_int_equal(mr_version_check(MR_VERSION_MAKE(MR_VERSION_MAJOR + 1, 0, 0)), -EPROTO);
}

static void within(struct mr_client *c, const struct mr_message *m, void *arg)
{
	(void)m;
	*(int *)arg = mr_process(c, 1);
}

static void errors_are_those_of_the_release_that_connected(void **state)
{
	struct fixture *f = *state;
	int old_code = 0, code = 0;
	struct mr_publisher *p;
	struct mr_client *old;
	void *at;

	assert_int_equal((mr_connect)(f->bus.address, NULL, &old), 0);
	assert_int_equal(mr_subscribe(old, "a", NULL, within, &old_code, NULL), 0);
	assert_int_equal(mr_subscribe(f->client, "a", NULL, within, &code, NULL), 0);
	assert_int_equal(mr_publish(old, "a", "x", 1), 0);
	PROCESS_UNTIL(old, old_code != 0);
	PROCESS_UNTIL(f->client, code != 0);
	assert_int_equal(old_code, -EBUSY);
	assert_int_equal(code, -EDEADLK);
	assert_int_equal(mr_publisher_open(old, "a", &p), 0);
	assert_int_equal(mr_publisher_claim(p, 1, &at), 0);
	assert_int_equal(mr_publish(old, "a", "x", 1), -EBUSY);
	mr_publisher_abort(p);
	mr_close(old);
}

/* Takes all places of requests to control, with calls whose answer does not come. */
static unsigned fill_requests(struct mr_client *c)
{
	unsigned taken = 0;
	int error;

	while ((error = mr_call_async(
			c, "mmi.workers", "x", 1, NULL, (mr_call_fn *)(void *)ignore, NULL)) == 0)
		taken++;
	assert_int_equal(error, -EAGAIN);
	return taken;
}

static void requests_to_control_without_room_are_again(void **state)
{
	struct fixture *f = *state;
	struct mr_subscription *s;

	bus_lock(&f->bus);
	f->bus.ignore_control = UINT32_MAX;
	bus_unlock(&f->bus);
	assert_int_equal(fill_requests(f->client), 64);
	assert_int_equal(mr_subscribe(f->client, "a", NULL, ignore, NULL, &s), -EAGAIN);
	assert_null(s);
	assert_non_null(strstr(mr_error(f->client), "64 requests"));
	assert_int_equal(mr_ping(f->client, 0, NULL, NULL), -EAGAIN);
}

static uint64_t unsubscribes(struct fixture *f)
{
	uint64_t n;

	bus_lock(&f->bus);
	n = f->bus.unsubscribes;
	bus_unlock(&f->bus);
	return n;
}

/* The bus still delivers to the id of the old subscription: no new one may get it. */
static void unsubscribe_without_room_tells_the_bus_later(void **state)
{
	struct mr_subscription *s[80];
	struct fixture *f = *state;
	struct mr_client_stats stats;
	struct inbox in = {0};

	/* More than the ids that rest before they are used again. */
	for (unsigned i = 0; i < 80; i++)
		assert_int_equal(mr_subscribe(f->client, "old", NULL, ignore, NULL, &s[i]), 0);
	bus_lock(&f->bus);
	f->bus.ignore_control = UINT32_MAX;
	bus_unlock(&f->bus);
	fill_requests(f->client);
	for (unsigned i = 0; i < 80; i++)
		assert_int_equal(mr_unsubscribe(s[i]), -ETIMEDOUT);
	assert_int_equal(unsubscribes(f), 0);
	bus_lock(&f->bus);
	f->bus.ignore_control = 0;
	bus_unlock(&f->bus);
	PROCESS_UNTIL(
		f->client, mr_subscribe(f->client, "new", NULL, keep_message, &in, NULL) == 0);
	assert_int_equal(mr_publish(f->client, "old", "x", 1), 0);
	assert_int_equal(mr_publish(f->client, "new", "y", 1), 0);
	PROCESS_UNTIL(f->client, in.count > 0);
	assert_string_equal(in.last, "y");
	assert_int_equal(in.count, 1);
	PROCESS_UNTIL(f->client, unsubscribes(f) == 80);
	assert_int_equal(mr_publish(f->client, "old", "x", 1), 0);
	assert_int_equal(mr_publish(f->client, "new", "z", 1), 0);
	mr_client_stats(f->client, &stats);
	PROCESS_UNTIL(f->client, in.count == 2);
	assert_string_equal(in.last, "z");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(symbols_of_release_0_1_read_and_write_the_structs_of_then),
		TEST(padding_of_release_0_1_may_have_any_content),
		TEST(fields_that_a_shorter_struct_lacks_are_zero),
		TEST(longer_struct_is_taken_if_the_rest_is_zero),
		TEST(every_function_refuses_what_it_does_not_know),
		TEST(results_fit_the_room_of_the_caller),
		TEST(initialisers_mean_what_null_means),
		TEST(copy_of_a_message_outlives_it),
		TEST(versions_agree_and_are_compared),
		TEST(errors_are_those_of_the_release_that_connected),
		TEST(requests_to_control_without_room_are_again),
		TEST(unsubscribe_without_room_tells_the_bus_later),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
