/* SPDX-License-Identifier: Apache-2.0 */
/* Packets of the frame generator, read by the data plane's own parsers. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "bench/e2e/frames/frame.h"
#include "bench/e2e/frames/pace.h"

#define HEADROOM 64u
#define BYTES    1400u
#define UDP_PORT 7400u

static const uint8_t bus_mac[MR_ETHER_BYTES] = {2, 0, 0, 0, 0, 1};
static const uint8_t our_mac[MR_ETHER_BYTES] = {2, 0, 0, 0, 0, 2};

static alignas(8) uint8_t memory[HEADROOM + 2048];
static uint8_t *const payload = memory + HEADROOM;

struct ends {
	struct mr_port bus;
	struct gen_headers headers;
};

static struct mr_address address(bool ip6, uint8_t last)
{
	struct mr_address a = {{[10] = 0xff, [11] = 0xff, [12] = 10, [13] = 77, [15] = last}};

	if (ip6)
		a = (struct mr_address){{0xfd, 0x77, [15] = last}};
	return a;
}

static void make_ends(struct ends *e, bool ip6)
{
	struct mr_address bus = address(ip6, 1), us = address(ip6, 2);
	struct mrf_network_path path = {.peer_udp_port = UDP_PORT, .local_udp_port = 99};

	memset(e, 0, sizeof(*e));
	e->bus.udp_port = UDP_PORT;
	e->bus.addresses_count = 1;
	e->bus.addresses[0].address = bus;
	memcpy(e->bus.mac, bus_mac, sizeof(bus_mac));
	memcpy(&path.peer_0, &bus, sizeof(bus));
	memcpy(&path.local_0, &us, sizeof(us));
	memcpy(&path.peer_mac, bus_mac, sizeof(bus_mac));
	gen_headers_make(&e->headers, &path, our_mac);
	memset(memory, 0x5a, sizeof(memory));
}

static struct mr_message_plan publish(void)
{
	static const uint8_t body[61] = {1, 2, 3, [60] = 255};

	return mr_message_plan(MRF_MESSAGE_KIND_PUBLISH, NULL, NULL, 0, body, 0, sizeof(body));
}

/* Checks everything, including checksums. */
static struct mr_packet accepted(const struct ends *e, uint32_t bytes)
{
	struct mr_packet k;

	assert_int_equal(
		mr_packet_parse(&e->bus, payload - e->headers.count, bytes, 0, &k), MR_PACKET_OK);
	assert_int_equal(k.kind, MR_PACKET_FRAME);
	assert_int_equal(k.payload_offset, e->headers.count);
	return k;
}

static void stamped_frame_is_accepted(bool ip6)
{
	struct mr_message_plan plan = publish();
	struct mrf_frame_header h, as = {0};
	struct gen_frame f;
	struct mr_packet k;
	struct ends e;
	uint32_t bytes;

	make_ends(&e, ip6);
	gen_frame_open(&f, payload, BYTES);
	while (gen_frame_add(&f, &plan, 7))
		;
	bytes = gen_frame_close(&f, &e.headers);
	assert_int_equal(f.messages, (BYTES - 24) / plan.stride);
	for (uint32_t i = 0; i < 70000; i += 7) {
		uint64_t session = i * 0x9e3779b97f4a7c15ull;

		as.session = session;
		as.sequence = UINT32_MAX - i;
		as.flags = i & MR_FRAME_FLAGS;
		as.ack = i * 65537;
		as.credit = ~i;
		gen_frame_stamp(&f, (uint16_t)(1 + i % 65535), &as);
		k = accepted(&e, bytes);
		assert_int_equal(k.path.peer_udp_port, 1 + i % 65535);
		assert_int_equal(mr_frame_parse(payload, k.payload_bytes, &h), MR_FRAME_OK);
		assert_true(h.session == session);
		assert_int_equal(h.sequence, UINT32_MAX - i);
		assert_int_equal(h.flags, as.flags);
		assert_int_equal(h.ack, as.ack);
		assert_int_equal(h.credit, as.credit);
		assert_int_equal(h.messages, f.messages);
	}
}

static void frame_stamped_again_and_again_is_accepted(void **state)
{
	(void)state;
	stamped_frame_is_accepted(false);
}

static void frame_over_ip6_is_accepted(void **state)
{
	(void)state;
	stamped_frame_is_accepted(true);
}

static void messages_stand_as_they_were_added(void **state)
{
	struct mr_message_plan plan = publish();
	const uint8_t *at = payload + sizeof(struct mrf_frame_header);
	struct gen_frame f;
	struct ends e;

	(void)state;
	make_ends(&e, false);
	gen_frame_open(&f, payload, BYTES);
	for (uint32_t i = 0; i < 3; i++)
		assert_true(gen_frame_add(&f, &plan, i));
	(void)gen_frame_close(&f, &e.headers);
	for (uint32_t i = 0; i < 3; i++, at += plan.stride) {
		struct mrf_message_header h = mr_message_header_load(at);
		struct mr_message_view m = {0};

		assert_true(mr_message_fits(&h, plan.stride));
		assert_true(mr_message_parse(at, h, &m));
		assert_int_equal(m.header.target, i);
		assert_int_equal(m.payload_bytes, 61);
		assert_int_equal(m.payload[60], 255);
	}
}

static void frame_that_is_aimed_has_other_targets_and_is_accepted(void **state)
{
	const uint8_t *at = payload + sizeof(struct mrf_frame_header);
	struct mr_message_plan plan = publish();
	struct gen_frame f;
	struct ends e;
	uint32_t bytes;

	(void)state;
	make_ends(&e, false);
	gen_frame_open(&f, payload, BYTES);
	while (gen_frame_add(&f, &plan, 0))
		;
	bytes = gen_frame_close(&f, &e.headers);
	gen_frame_aim(&f, 0x12345, &e.headers);
	assert_int_equal(f.target, 0x12345);
	gen_frame_stamp(&f, 5, &(struct mrf_frame_header){.session = 77, .sequence = 1});
	(void)accepted(&e, bytes);
	for (uint32_t i = 0; i < f.messages; i++)
		assert_int_equal(mr_message_header_load(at + i * plan.stride).target, 0x12345);
}

static void padded_frame_is_as_large_as_asked_for(void **state)
{
	struct mr_message_plan plan = publish();
	struct mrf_message_header h;
	struct gen_frame f;
	struct mr_packet k;
	struct ends e;

	(void)state;
	make_ends(&e, false);
	gen_frame_open(&f, payload, BYTES);
	assert_true(gen_frame_add(&f, &plan, 0));
	gen_frame_pad(&f);
	assert_int_equal(gen_frame_close(&f, &e.headers), BYTES + e.headers.count);
	gen_frame_stamp(&f, 5, &(struct mrf_frame_header){0});
	k = accepted(&e, BYTES + e.headers.count);
	assert_int_equal(k.payload_bytes, BYTES);
	h = mr_message_header_load(payload + sizeof(struct mrf_frame_header) + plan.stride);
	assert_int_equal(h.kind, MRF_MESSAGE_KIND_PADDING);
	assert_int_equal(h.bytes, BYTES - sizeof(struct mrf_frame_header) - plan.stride);
}

static void heartbeat_is_a_frame_without_messages(void **state)
{
	struct mrf_frame_header h;
	struct gen_frame f;
	struct ends e;
	uint32_t bytes;

	(void)state;
	make_ends(&e, false);
	gen_frame_open(&f, payload, BYTES);
	bytes = gen_frame_close(&f, &e.headers);
	gen_frame_stamp(&f, 5, &(struct mrf_frame_header){.session = 77, .sequence = 1});
	assert_int_equal(
		mr_frame_parse(payload, accepted(&e, bytes).payload_bytes, &h), MR_FRAME_OK);
	assert_int_equal(h.messages, 0);
}

/* A checksum of 0 is sent as 0xffff, because 0 means that there is none (RFC 768). */
static void checksum_is_never_absent(void **state)
{
	uint16_t checksum;
	struct ends e;
	uint64_t sum;

	(void)state;
	make_ends(&e, false);
	for (uint32_t port = 1; port < 65536; port++) {
		memset(payload, 0, 8);
		sum = gen_datagram_close(payload, 8, &e.headers);
		gen_datagram_stamp(payload, (uint16_t)port, sum);
		memcpy(&checksum, payload - 2, sizeof(checksum));
		assert_int_not_equal(checksum, 0);
		(void)accepted(&e, 8 + e.headers.count);
	}
}

/* ---- pace */

static void window_shuts_until_something_comes_back(void **state)
{
	struct gen_pace p = gen_pace_first(0, 100, 1000, 0);

	(void)state;
	assert_true(gen_pace_allows(&p, 60, 0, 1));
	p.sent = 60;
	assert_false(gen_pace_allows(&p, 60, 0, 2));
	assert_false(gen_pace_allows(&p, 60, 19, 3));
	assert_true(gen_pace_allows(&p, 60, 20, 4));
}

static void lost_messages_are_written_off(void **state)
{
	struct gen_pace p = gen_pace_first(0, 90, 1000, 0);

	(void)state;
	p.sent = 100;
	assert_false(gen_pace_allows(&p, 1, 10, 5));
	assert_false(gen_pace_allows(&p, 1, 10, 1004));
	assert_true(gen_pace_allows(&p, 1, 10, 1005));
	p.sent = 200;
	assert_false(gen_pace_allows(&p, 1, 10, 1006));
	/* 90 were written off; they arrive late, and count once. */
	assert_true(gen_pace_allows(&p, 1, 111, 1007));
	assert_true(gen_pace_allows(&p, 90, 200, 1008));
	assert_false(gen_pace_allows(&p, 91, 200, 1009));
}

static void rate_is_kept(void **state)
{
	struct gen_pace p = gen_pace_first(0.5, 0, 1000, 0);

	(void)state;
	assert_false(gen_pace_allows(&p, 10, 0, 19));
	assert_true(gen_pace_allows(&p, 10, 0, 20));
	p.sent = 10;
	assert_false(gen_pace_allows(&p, 10, 0, 39));
	assert_true(gen_pace_allows(&p, 10, 0, 40));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(frame_stamped_again_and_again_is_accepted),
		cmocka_unit_test(frame_over_ip6_is_accepted),
		cmocka_unit_test(messages_stand_as_they_were_added),
		cmocka_unit_test(frame_that_is_aimed_has_other_targets_and_is_accepted),
		cmocka_unit_test(padded_frame_is_as_large_as_asked_for),
		cmocka_unit_test(heartbeat_is_a_frame_without_messages),
		cmocka_unit_test(checksum_is_never_absent),
		cmocka_unit_test(window_shuts_until_something_comes_back),
		cmocka_unit_test(lost_messages_are_written_off),
		cmocka_unit_test(rate_is_kept),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
