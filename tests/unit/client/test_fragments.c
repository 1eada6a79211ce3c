/* SPDX-License-Identifier: Apache-2.0 */
/* Fragments: large messages of publishers, and reassembly of what the bus sends. */
#include "tests/unit/client/fixture.h"

#define WHOLE_BYTES (1u << 20)

/* The fixture's client does not know fragments, so this connects one that does. */
static struct mr_client *connect_wide(struct fixture *f)
{
	struct mr_options options = fixture_options(f);
	struct mr_client *c;

	bus_lock(&f->bus);
	f->bus.whole_bytes_max = WHOLE_BYTES;
	/* A publisher receives nothing meanwhile. */
	f->bus.down_bytes = 2 * WHOLE_BYTES;
	bus_unlock(&f->bus);
	assert_int_equal(mr_connect(f->bus.address, &options, &c), 0);
	assert_int_equal(mr_message_bytes_max(c), WHOLE_BYTES);
	return c;
}

static uint8_t *pattern(size_t bytes)
{
	uint8_t *p = malloc(bytes + 1);

	assert_non_null(p);
	for (size_t i = 0; i < bytes; i++)
		p[i] = (uint8_t)(i * 7 + (i >> 8));
	return p;
}

struct large {
	unsigned count;
	size_t bytes;
	size_t header_bytes;
	bool same;
	uint64_t token[2];
};

static bool is_pattern(const uint8_t *at, size_t bytes)
{
	for (size_t i = 0; i < bytes; i++) {
		if (at[i] != (uint8_t)(i * 7 + (i >> 8)))
			return false;
	}
	return true;
}

static void on_large(struct mr_client *c, const struct mr_message *m, void *arg)
{
	struct large *l = arg;

	(void)c;
	l->count++;
	assert_int_equal(((const char *)m->payload)[m->payload_bytes], 0);
	assert_int_equal(m->subject[m->subject_bytes], 0);
	l->bytes = m->payload_bytes;
	l->header_bytes = m->header_bytes;
	l->same = is_pattern(m->payload, m->payload_bytes) && m->subject_bytes == 1 &&
		  m->subject[0] == 'a';
	memcpy(l->token, m->reply_token, sizeof(l->token));
}

static void large_messages_come_whole(void **state)
{
	static const size_t sizes[] = {64513, 65536, 98304, 100001, 300000};
	struct fixture *f = *state;
	struct mr_client *c = connect_wide(f);
	uint8_t *payload = pattern(WHOLE_BYTES);
	struct mr_publisher *p;
	struct large l = {0};
	char memory[128];
	struct mr_headers h;
	unsigned count = 0;

	mr_headers_init(&h, memory, sizeof(memory));
	assert_int_equal(mr_headers_add(&h, "Name", "value"), 0);
	assert_int_equal(mr_subscribe(c, "a", NULL, on_large, &l, NULL), 0);
	assert_int_equal(mr_publisher_open(c, "a", &p), 0);
	for (size_t i = 0; i < MR_ARRAY_COUNT(sizes); i++) {
		/* The fake bus's ring takes no more at once. */
		if (sizes[i] < 60000 * 2) {
			assert_int_equal(mr_publisher_send(p, payload, sizes[i]), 0);
			count++;
			PROCESS_UNTIL(c, l.count == count);
			assert_int_equal(l.bytes, sizes[i]);
			assert_true(l.same);
		}
		assert_int_equal(mr_publish_with(c, "a", h.data, h.bytes, payload, sizes[i]), 0);
		count++;
		PROCESS_UNTIL(c, l.count == count);
		assert_int_equal(l.bytes, sizes[i]);
		assert_int_equal(l.header_bytes, h.bytes);
		assert_true(l.same);
	}
	assert_int_equal(mr_publish(c, "a", payload, WHOLE_BYTES + 1), -EMSGSIZE);
	assert_int_equal(mr_publish(f->client, "a", payload, 64513), -EMSGSIZE);
	free(payload);
	mr_close(c);
}

static void large_pushes_come_whole_and_are_accepted_once(void **state)
{
	struct fixture *f = *state;
	struct mr_client *c = connect_wide(f);
	uint8_t *payload = pattern(WHOLE_BYTES);
	struct mr_push push = {.payload = payload, .bytes = 200000};
	struct mr_queue *q;

	assert_int_equal(mr_queue_open(c, "jobs", NULL, &q), 0);
	assert_int_equal(mr_push_with(q, &push, NULL), 0);
	assert_int_equal(mr_queue_unaccepted(q), 1);
	push.bytes = WHOLE_BYTES;
	assert_int_equal(mr_push_with(q, &push, NULL), 0);
	assert_int_equal(mr_settle(c, PATIENCE_MS), 0);
	bus_lock(&f->bus);
	/* The fake bus does not reassemble: it sees the fragments. */
	assert_int_equal(
		fake_queue_depth(&f->bus, "jobs"), (200000 + 32767) / 32768 + WHOLE_BYTES / 32768);
	assert_int_equal(f->bus.queues.ids[0] & 0xffff, 2);
	bus_unlock(&f->bus);
	free(payload);
	mr_close(c);
}

/* The first fragment is refused while others are still to be written; then all of it is sent
 * again. */
static void a_large_push_that_is_refused_at_its_first_fragment_is_retried(void **state)
{
	struct fixture *f = *state;
	struct mr_client *c = connect_wide(f);
	uint8_t *payload = pattern(WHOLE_BYTES);
	struct mr_push push = {.payload = payload, .bytes = WHOLE_BYTES};
	struct mr_queue *q;

	assert_int_equal(mr_queue_open(c, "jobs", NULL, &q), 0);
	bus_lock(&f->bus);
	f->bus.queues.refuse = 1;
	f->bus.queues.refuse_status = MRF_STATUS_CODE_OVERLOADED;
	bus_unlock(&f->bus);
	assert_int_equal(mr_push_with(q, &push, NULL), 0);
	assert_int_equal(mr_settle(c, PATIENCE_MS), 0);
	assert_int_equal(mr_queue_unaccepted(q), 0);
	free(payload);
	mr_close(c);
}

static void answer_large(struct mr_client *c, const struct mr_message *m, void *arg)
{
	uint8_t *payload = pattern(150000);

	(void)arg;
	assert_int_equal(mr_reply(c, m->reply_token, payload, 150000), 0);
	free(payload);
}

static void a_large_reply_reaches_its_requester(void **state)
{
	struct fixture *f = *state;
	struct mr_client *c = connect_wide(f);
	struct mr_message reply;

	assert_int_equal(mr_subscribe(c, "b", NULL, answer_large, NULL, NULL), 0);
	for (unsigned i = 0; i < 3; i++) {
		assert_int_equal(mr_request(c, "b", "?", 1, PATIENCE_MS, &reply), 0);
		assert_int_equal(reply.payload_bytes, 150000);
		assert_true(is_pattern(reply.payload, reply.payload_bytes));
	}
	mr_close(c);
}

/* After it comes one for mr_receive. */
static void a_large_message_can_be_received_and_deferred(void **state)
{
	struct fixture *f = *state;
	struct mr_client *c = connect_wide(f);
	uint8_t *payload = pattern(150002);
	struct mr_message m;

	assert_int_equal(mr_subscribe(c, "a", NULL, NULL, NULL, NULL), 0);
	for (unsigned i = 0; i < 3; i++)
		assert_int_equal(mr_publish(c, "a", payload, 150000 + i), 0);
	assert_int_equal(mr_ping(c, -1, NULL, NULL), 0);
	for (unsigned i = 0; i < 3; i++) {
		assert_int_equal(mr_receive(c, &m, PATIENCE_MS), 0);
		assert_int_equal(m.payload_bytes, 150000 + i);
		assert_true(is_pattern(m.payload, 150000));
	}
	free(payload);
	mr_close(c);
}

/* Sends a fragment of a message as the bus may send it. */
static void send_fragment(struct fixture *f, uint64_t session, uint32_t message, uint32_t total,
	uint32_t offset, uint32_t bytes)
{
	struct mr_message_extra extra = {
		.flags = MRF_MESSAGE_FLAG_FRAGMENT,
		.fragment = {.session = session,
			.message = message,
			.total_bytes = total,
			.offset = offset},
	};
	uint8_t *whole = pattern(4096);
	struct mr_message_plan plan = mr_message_plan(MRF_MESSAGE_KIND_DELIVER, NULL, "a", 1,
		offset + bytes <= 4096 ? whole + offset : whole, 0, bytes);

	mr_message_plan_extra(&plan, &extra);
	bus_lock(&f->bus);
	assert_true(bus_send_plan(&f->bus.sessions[0], &plan, 1));
	bus_unlock(&f->bus);
	free(whole);
}

static void fragments_that_do_not_fit_are_dropped_and_counted(void **state)
{
	struct fixture *f = *state;
	struct mr_client_stats stats;
	struct large l = {0};

	assert_int_equal(mr_subscribe(f->client, "a", NULL, on_large, &l, NULL), 0);
	/* In order; of two senders at once. */
	send_fragment(f, 1, 1, 24, 0, 8);
	send_fragment(f, 2, 1, 16, 0, 8);
	send_fragment(f, 1, 1, 24, 8, 8);
	send_fragment(f, 2, 1, 16, 8, 8);
	send_fragment(f, 1, 1, 24, 16, 8);
	PROCESS_UNTIL(f->client, l.count == 2);
	assert_true(l.same);
	/* One is missing; one overlaps; one gives another length; one is beyond the end. */
	send_fragment(f, 1, 2, 32, 0, 8);
	send_fragment(f, 1, 2, 32, 16, 8);
	send_fragment(f, 1, 3, 32, 0, 16);
	send_fragment(f, 1, 3, 32, 8, 16);
	send_fragment(f, 1, 4, 32, 0, 16);
	send_fragment(f, 1, 4, 40, 16, 16);
	send_fragment(f, 1, 5, 32, 0, 16);
	send_fragment(f, 1, 5, 32, 16, 24);
	/* A first fragment longer than the whole, and one larger than the bus takes. */
	send_fragment(f, 1, 6, 8, 0, 16);
	send_fragment(f, 1, 7, UINT32_MAX, 0, 16);
	/* The first fragment was missing; the message is sent again from the start. */
	send_fragment(f, 1, 8, 32, 16, 16);
	send_fragment(f, 1, 9, 32, 0, 16);
	send_fragment(f, 1, 9, 32, 0, 16);
	send_fragment(f, 1, 9, 32, 16, 16);
	PROCESS_UNTIL(f->client, l.count == 3);
	assert_true(l.same);
	mr_client_stats(f->client, &stats);
	assert_int_equal(stats.missed, 5);
	assert_int_equal(stats.malformed, 2);
	assert_int_equal(stats.unmatched, 1);
}

static void the_oldest_of_too_many_that_are_not_complete_is_dropped(void **state)
{
	struct fixture *f = *state;
	struct mr_client_stats stats;
	struct large l = {0};

	assert_int_equal(mr_subscribe(f->client, "a", NULL, on_large, &l, NULL), 0);
	for (uint32_t i = 0; i < 20; i++)
		send_fragment(f, 1, i, 32, 0, 16);
	for (uint32_t i = 0; i < 20; i++)
		send_fragment(f, 1, i, 32, 16, 16);
	PROCESS_UNTIL(f->client, l.count == 16);
	mr_client_stats(f->client, &stats);
	assert_int_equal(stats.missed, 4);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(large_messages_come_whole),
		TEST(large_pushes_come_whole_and_are_accepted_once),
		TEST(a_large_push_that_is_refused_at_its_first_fragment_is_retried),
		TEST(a_large_reply_reaches_its_requester),
		TEST(a_large_message_can_be_received_and_deferred),
		TEST(fragments_that_do_not_fit_are_dropped_and_counted),
		TEST(the_oldest_of_too_many_that_are_not_complete_is_dropped),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
