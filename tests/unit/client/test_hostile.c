/* SPDX-License-Identifier: Apache-2.0 */
/* A bus that sends malformed messages and lies about its rings. */
#include "tests/unit/client/fixture.h"

static uint64_t malformed(const struct mr_client *c)
{
	struct mr_client_stats stats;

	mr_client_stats(c, &stats);
	return stats.malformed;
}

static struct mrf_message_header header(
	uint16_t bytes, uint8_t kind, uint8_t flags, uint32_t target)
{
	return (struct mrf_message_header){bytes, kind, flags, target};
}

static void bad_messages_are_counted_and_skipped(void **state)
{
	struct fixture *f = *state;
	struct inbox in = {0};
	struct {
		struct mrf_message_header header;
		uint8_t rest[24];
	} bad[] = {
		/* Unknown kind; kinds that only clients send; no content. */
		{.header = header(16, 99, 0, 1)},
		{.header = header(16, MRF_MESSAGE_KIND_PUBLISH, 0, 1)},
		{.header = header(16, MRF_MESSAGE_KIND_PADDING, 0, 1)},
		/* Flags of calls and queue deliveries, sent to a subscriber. */
		{.header = header(16, MRF_MESSAGE_KIND_DELIVER, MRF_MESSAGE_FLAG_LOW, 1)},
		{.header = header(16, MRF_MESSAGE_KIND_DELIVER, MRF_MESSAGE_FLAG_MORE, 1)},
		{.header = header(24, MRF_MESSAGE_KIND_DELIVER, MRF_MESSAGE_FLAG_DELIVERY, 1)},
		/* No room for the token, the parts or the sections that flags announce. */
		{.header = header(16, MRF_MESSAGE_KIND_DELIVER, MRF_MESSAGE_FLAG_ORIGIN, 1)},
		{.header = header(24, MRF_MESSAGE_KIND_DELIVER, MRF_MESSAGE_FLAG_FRAGMENT, 1)},
		{.header = header(16, MRF_MESSAGE_KIND_DELIVER, MRF_MESSAGE_FLAG_TOKEN, 1)},
		{.header = header(8, MRF_MESSAGE_KIND_DELIVER, MRF_MESSAGE_FLAG_SECTIONS, 1)},
		{.header = header(16, MRF_MESSAGE_KIND_DELIVER, MRF_MESSAGE_FLAG_SECTIONS, 1),
			.rest = {200}},
		/* Subscriptions that never existed. */
		{.header = header(16, MRF_MESSAGE_KIND_DELIVER, 0, 0)},
		{.header = header(16, MRF_MESSAGE_KIND_DELIVER, 0, 2)},
		{.header = header(16, MRF_MESSAGE_KIND_DELIVER, 0, UINT32_MAX)},
		/* Answers without a request, a gap that is too short. */
		{.header = header(16, MRF_MESSAGE_KIND_REPLY, 0, 0)},
		{.header = header(16, MRF_MESSAGE_KIND_STATUS, 0, 503)},
		{.header = header(16, MRF_MESSAGE_KIND_GAP, 0, 0)},
	};

	assert_int_equal(mr_subscribe(f->client, "a", NULL, keep_message, &in, NULL), 0);
	bus_lock(&f->bus);
	for (size_t i = 0; i < MR_ARRAY_COUNT(bad); i++)
		bus_inject(&f->bus, &bad[i], bad[i].header.bytes);
	bus_send(&f->bus, MRF_MESSAGE_KIND_DELIVER, 1, NULL, "a", "good", 4);
	bus_unlock(&f->bus);
	PROCESS_UNTIL(f->client, in.count == 1);
	assert_string_equal(in.last, "good");
	assert_int_equal(malformed(f->client), MR_ARRAY_COUNT(bad));
	assert_true(mr_connected(f->client));
}

static void malformed_control_answers_are_skipped(void **state)
{
	struct fixture *f = *state;
	uint8_t noise[2100];

	for (size_t i = 0; i < sizeof(noise); i++)
		noise[i] = (uint8_t)(i * 31 + 7);
	bus_lock(&f->bus);
	/* With the correlation of the next call; the valid answer follows them. */
	bus_send(&f->bus, MRF_MESSAGE_KIND_CONTROL, 1 << 6, NULL, "", noise, 64);
	bus_send(&f->bus, MRF_MESSAGE_KIND_CONTROL, 1 << 6, NULL, "", noise, sizeof(noise));
	bus_send(&f->bus, MRF_MESSAGE_KIND_CONTROL, 1 << 6, NULL, "", noise, 0);
	bus_unlock(&f->bus);
	assert_int_equal(mr_ping(f->client, -1, NULL, NULL), 0);
	assert_int_equal(malformed(f->client), 3);
}

/* The boundaries of records are lost: the session must end, and the next one works. */
static void broken_lengths_and_positions_end_the_session_and_it_is_replaced(void **state)
{
	struct fixture *f = *state;
	struct mrf_message_header none = header(0, MRF_MESSAGE_KIND_DELIVER, 0, 1);
	struct mrf_message_header beyond = header(60000, MRF_MESSAGE_KIND_DELIVER, 0, 1);

	for (unsigned i = 0; i < 4; i++) {
		bus_lock(&f->bus);
		if (i == 0)
			bus_inject(&f->bus, &none, sizeof(none));
		else if (i == 1)
			bus_inject(&f->bus, &beyond, sizeof(beyond));
		else
			/* Beyond the ring's length; between two records. */
			atomic_store(&f->bus.sessions[0].channel.down_shared->tail,
				i == 2 ? UINT64_C(1) << 40 : f->bus.sessions[0].down.tail + 4);
		bus_unlock(&f->bus);
		PROCESS_UNTIL(f->client, f->downs == i + 1);
		PROCESS_UNTIL(f->client, f->ups == i + 1);
	}
	assert_true(malformed(f->client) >= 4);
	assert_int_equal(mr_ping(f->client, -1, NULL, NULL), 0);
}

static uint64_t next_random(uint64_t *x)
{
	*x ^= *x << 13;
	*x ^= *x >> 7;
	*x ^= *x << 17;
	return *x;
}

struct sum {
	unsigned messages;
	unsigned bytes;
};

/* Reads all bytes of a message. */
static void sum_up(struct mr_client *c, const struct mr_message *first, unsigned count,
	size_t stride, void *arg)
{
	struct sum *s = arg;

	(void)c;
	s->messages += count;
	for (unsigned i = 0; i < count; i++) {
		for (size_t b = 0; b < first->subject_bytes; b++)
			s->bytes += (unsigned char)first->subject[i * stride + b];
		for (size_t b = 0; b < first->header_bytes; b++)
			s->bytes += (unsigned char)first->headers[i * stride + b];
		for (size_t b = 0; b < first->payload_bytes; b++)
			s->bytes += ((const unsigned char *)first->payload)[i * stride + b];
	}
}

/* Records of correct length with random content, so that every kind and flag occurs; some are
 * repeated, so that some are alike. */
static void random_records_never_break_the_client(void **state)
{
	struct fixture *f = *state;
	struct mr_subscribe_options options = {.batch = sum_up};
	uint64_t record[64], random = 88172645463325252u;
	struct inbox in = {0};
	struct sum sum = {0};

	assert_int_equal(mr_subscribe(f->client, "a", NULL, keep_message, &in, NULL), 0);
	assert_int_equal(mr_subscribe(f->client, "b", &options, NULL, &sum, NULL), 0);
	for (unsigned round = 0; round < 200; round++) {
		bus_lock(&f->bus);
		for (unsigned i = 0; i < 100; i++) {
			struct mrf_message_header h;

			for (unsigned w = 0; w < 64; w++)
				record[w] = next_random(&random);
			h = header((uint16_t)(8 + next_random(&random) % 500),
				(uint8_t)(next_random(&random) % 19),
				(uint8_t)(next_random(&random) % 256),
				(uint32_t)(next_random(&random) % 4));
			memcpy(record, &h, sizeof(h));
			for (unsigned n = next_random(&random) % 4; n < 4; n++)
				bus_inject(&f->bus, record, h.bytes);
		}
		bus_unlock(&f->bus);
		while (mr_process(f->client, 1000) > 0)
			continue;
	}
	assert_true(mr_connected(f->client));
	assert_true(in.count > 0);
	assert_true(sum.messages > 0);
	assert_int_equal(mr_ping(f->client, -1, NULL, NULL), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(bad_messages_are_counted_and_skipped),
		TEST(malformed_control_answers_are_skipped),
		TEST(broken_lengths_and_positions_end_the_session_and_it_is_replaced),
		TEST(random_records_never_break_the_client),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
