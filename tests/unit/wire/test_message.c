/* SPDX-License-Identifier: Apache-2.0 */
/* Messages: parsing, composing, the bytes on the wire, flags by kind. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "lib/wire/message.h"

#define TOKEN    MRF_MESSAGE_FLAG_TOKEN
#define SECTIONS MRF_MESSAGE_FLAG_SECTIONS

static alignas(8) uint8_t memory[1 << 16];

static const struct mrf_reply_token asker = {.session = 0x0102030405060708, .correlation = 42};

/* The parts of a composed message; each is filled with a byte of its own. */
struct parts {
	bool token;
	uint32_t subject_bytes;
	uint32_t header_bytes;
	uint32_t payload_bytes;
};

static uint32_t compose(const struct parts *p)
{
	uint8_t *at = mr_message_begin(memory, MRF_MESSAGE_KIND_PUBLISH, 7,
		p->token ? &asker : NULL, p->subject_bytes, p->header_bytes, p->payload_bytes);

	memset(at, 's', p->subject_bytes);
	memset(at + p->subject_bytes, 'h', p->header_bytes);
	memset(at + p->subject_bytes + p->header_bytes, 'p', p->payload_bytes);
	return mr_message_bytes(p->token, p->subject_bytes, p->header_bytes, p->payload_bytes);
}

/* Returns a raw message: a header with these flags and this length, then zeros. */
static struct mrf_message_header raw(uint32_t bytes, uint8_t flags)
{
	struct mrf_message_header h = {
		.bytes = (uint16_t)bytes, .kind = MRF_MESSAGE_KIND_PUBLISH, .flags = flags};

	memset(memory, 0, sizeof(memory));
	memcpy(memory, &h, sizeof(h));
	return mr_message_header_load(memory);
}

static void set_sections(uint32_t offset, uint8_t subject, uint8_t reserved, uint16_t headers)
{
	memory[offset] = subject;
	memory[offset + 1] = reserved;
	memory[offset + 2] = (uint8_t)headers;
	memory[offset + 3] = (uint8_t)(headers >> 8);
}

static bool parses(struct mrf_message_header h)
{
	struct mr_message_view m = {0};

	return mr_message_parse(memory, h, &m);
}

static void expect_fill(const uint8_t *at, uint32_t bytes, uint8_t fill)
{
	for (uint32_t i = 0; i < bytes; i++)
		assert_int_equal(at[i], fill);
}

static void expect_round_trip(const struct parts *p)
{
	uint32_t bytes = compose(p);
	struct mrf_message_header h = mr_message_header_load(memory);
	struct mr_message_view m = {0};

	assert_int_equal(h.bytes, bytes);
	assert_true(mr_message_fits(&h, mr_message_stride(bytes)));
	assert_true(mr_message_parse(memory, h, &m));
	assert_int_equal(m.header.kind, MRF_MESSAGE_KIND_PUBLISH);
	assert_int_equal(m.header.target, 7);
	assert_true(m.token.session == (p->token ? asker.session : 0));
	assert_true(m.token.correlation == (p->token ? asker.correlation : 0));
	assert_int_equal(m.subject_bytes, p->subject_bytes);
	assert_int_equal(m.header_bytes, p->header_bytes);
	assert_int_equal(m.payload_bytes, p->payload_bytes);
	expect_fill(m.subject, m.subject_bytes, 's');
	expect_fill(m.headers, m.header_bytes, 'h');
	expect_fill(m.payload, m.payload_bytes, 'p');
	assert_ptr_equal(m.payload + m.payload_bytes, memory + bytes);
}

static void every_combination_of_parts_comes_back(void **state)
{
	static const uint32_t subjects[] = {0, 1, 7, 254, 255};
	static const uint32_t headers[] = {0, 1, 12, 4096, 32767};
	static const uint32_t payloads[] = {0, 1, 63, 64, 31745};

	(void)state;
	for (unsigned token = 0; token < 2; token++)
		for (size_t s = 0; s < MR_ARRAY_COUNT(subjects); s++)
			for (size_t h = 0; h < MR_ARRAY_COUNT(headers); h++)
				for (size_t p = 0; p < MR_ARRAY_COUNT(payloads); p++)
					expect_round_trip(&(struct parts){
						token, subjects[s], headers[h], payloads[p]});
}

static void every_payload_length_comes_back(void **state)
{
	(void)state;
	for (uint32_t n = 0; n <= 600; n++)
		expect_round_trip(&(struct parts){.payload_bytes = n});
	for (uint32_t n = MR_BODY_BYTES_MAX - 20; n <= MR_BODY_BYTES_MAX; n++)
		expect_round_trip(&(struct parts){.payload_bytes = n});
}

static void largest_message_fits_the_stated_maximum(void **state)
{
	const struct parts largest = {true, MR_SUBJECT_BYTES_MAX, 1000, MR_BODY_BYTES_MAX - 1000};

	(void)state;
	expect_round_trip(&largest);
	assert_true(mr_message_stride(compose(&largest)) <= MR_MESSAGE_BYTES_MAX);
}

static void layout_on_the_wire_is_as_written_down(void **state)
{
	static const uint8_t want[] = {
		0x23,
		0x00,
		0x01,
		0x03,
		0x07,
		0x00,
		0x00,
		0x00, /* bytes, kind, flags, target */
		0x08,
		0x07,
		0x06,
		0x05,
		0x04,
		0x03,
		0x02,
		0x01, /* session */
		0x2a,
		0x00,
		0x00,
		0x00,
		0x00,
		0x00,
		0x00,
		0x00, /* correlation */
		0x02,
		0x00,
		0x03,
		0x00, /* sections */
		's',
		's',
		'h',
		'h',
		'h',
		'p',
		'p',
	};

	(void)state;
	assert_int_equal(compose(&(struct parts){true, 2, 3, 2}), sizeof(want));
	assert_memory_equal(memory, want, sizeof(want));
}

static void length_below_the_header_fits_nowhere(void **state)
{
	(void)state;
	for (uint32_t bytes = 0; bytes < sizeof(struct mrf_message_header); bytes++) {
		struct mrf_message_header h = raw(bytes, 0);

		assert_false(mr_message_fits(&h, sizeof(memory)));
	}
}

static void message_fits_only_with_its_padding(void **state)
{
	(void)state;
	for (uint32_t bytes = 8; bytes <= UINT16_MAX; bytes++) {
		struct mrf_message_header h = {.bytes = (uint16_t)bytes};

		assert_true(mr_message_fits(&h, (bytes + 7) / 8 * 8));
		assert_false(mr_message_fits(&h, (bytes + 7) / 8 * 8 - 8));
	}
}

/* The flags that a client may set depend on the kind; none may be one that only the bus sets. */
static void clients_set_no_flag_that_is_the_buss(void **state)
{
	(void)state;
	for (unsigned kind = 0; kind <= UINT8_MAX; kind++)
		assert_int_equal(
			mr_message_client_flags((uint8_t)kind) & MRF_MESSAGE_FLAG_DELIVERY, 0);
	assert_int_equal(
		mr_message_client_flags(MRF_MESSAGE_KIND_REPLY) & MRF_MESSAGE_FLAG_ORIGIN, 0);
	assert_int_equal(
		mr_message_client_flags(MRF_MESSAGE_KIND_PUBLISH) & MRF_MESSAGE_FLAG_MORE, 0);
}

static void message_too_short_for_its_parts_is_refused(void **state)
{
	(void)state;
	for (uint32_t bytes = 8; bytes < 64; bytes++) {
		assert_int_equal(parses(raw(bytes, TOKEN)), bytes >= 24);
		assert_int_equal(parses(raw(bytes, SECTIONS)), bytes >= 12);
		assert_int_equal(parses(raw(bytes, TOKEN | SECTIONS)), bytes >= 28);
	}
}

static void sections_that_reach_beyond_the_message_are_refused(void **state)
{
	struct mrf_message_header h = raw(112, SECTIONS);

	(void)state;
	set_sections(8, 100, 0, 0);
	assert_true(parses(h));
	set_sections(8, 101, 0, 0);
	assert_false(parses(h));
	set_sections(8, 0, 0, 100);
	assert_true(parses(h));
	set_sections(8, 0, 0, 101);
	assert_false(parses(h));
	set_sections(8, 50, 0, 51);
	assert_false(parses(h));
	set_sections(8, 255, 0, UINT16_MAX);
	assert_false(parses(h));
}

static void sections_with_the_reserved_byte_set_are_refused(void **state)
{
	struct mrf_message_header h = raw(64, SECTIONS);

	(void)state;
	for (unsigned reserved = 0; reserved <= UINT8_MAX; reserved++) {
		set_sections(8, 4, (uint8_t)reserved, 4);
		assert_int_equal(parses(h), reserved == 0);
	}
}

static void body_over_the_limit_is_refused(void **state)
{
	struct mrf_message_header h;

	(void)state;
	assert_true(parses(raw(8 + MR_BODY_BYTES_MAX, 0)));
	assert_false(parses(raw(8 + MR_BODY_BYTES_MAX + 1, 0)));
	assert_false(parses(raw(UINT16_MAX, 0)));
	/* The subject is no part of the body, the header block is. */
	h = raw(12 + 255 + MR_BODY_BYTES_MAX, SECTIONS);
	set_sections(8, 255, 0, 100);
	assert_true(parses(h));
	h = raw(12 + 255 + MR_BODY_BYTES_MAX, SECTIONS);
	set_sections(8, 254, 0, 101);
	assert_false(parses(h));
}

static void parts_stay_as_checked_when_the_memory_changes_afterwards(void **state)
{
	struct mr_message_view m = {0};

	(void)state;
	compose(&(struct parts){true, 5, 6, 7});
	assert_true(mr_message_parse(memory, mr_message_header_load(memory), &m));
	memset(memory, 0xff, 64);
	assert_int_equal(m.header.bytes, 8 + 16 + 4 + 18);
	assert_true(m.token.session == asker.session);
	assert_int_equal(m.subject_bytes, 5);
	assert_int_equal(m.header_bytes, 6);
	assert_int_equal(m.payload_bytes, 7);
}

static void session_id_gives_back_its_parts(void **state)
{
	static const struct {
		unsigned worker;
		uint32_t slot, generation;
	} ids[] = {{0, 0, 0}, {0, 0, 1}, {255, 0xffffff, UINT32_MAX}, {1, 0x800000, 0x80000000}};

	(void)state;
	for (size_t i = 0; i < MR_ARRAY_COUNT(ids); i++) {
		uint64_t id = mr_session_id(ids[i].worker, ids[i].slot, ids[i].generation);

		assert_int_equal(mr_session_worker(id), ids[i].worker);
		assert_int_equal(mr_session_slot(id), ids[i].slot);
		assert_int_equal(mr_session_generation(id), ids[i].generation);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_combination_of_parts_comes_back),
		cmocka_unit_test(every_payload_length_comes_back),
		cmocka_unit_test(largest_message_fits_the_stated_maximum),
		cmocka_unit_test(layout_on_the_wire_is_as_written_down),
		cmocka_unit_test(length_below_the_header_fits_nowhere),
		cmocka_unit_test(message_fits_only_with_its_padding),
		cmocka_unit_test(clients_set_no_flag_that_is_the_buss),
		cmocka_unit_test(message_too_short_for_its_parts_is_refused),
		cmocka_unit_test(sections_that_reach_beyond_the_message_are_refused),
		cmocka_unit_test(sections_with_the_reserved_byte_set_are_refused),
		cmocka_unit_test(body_over_the_limit_is_refused),
		cmocka_unit_test(parts_stay_as_checked_when_the_memory_changes_afterwards),
		cmocka_unit_test(session_id_gives_back_its_parts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
