/* SPDX-License-Identifier: Apache-2.0 */
/* The exception path of a worker: what goes to control, what comes from there, and the limits. */
#include "tests/unit/worker/cmocka_all.h"

#include <arpa/inet.h>
#include <net/ethernet.h>

#include "dataplane/worker/exception.h"
#include "tests/support/net/rig.h"

#define PACKET_BYTES   100u
#define HEADER_BYTES   ((uint32_t)sizeof(struct mrf_exception_header))
#define ETHER_HEADER   14u
#define IP_PROTOCOL_AT (ETHER_HEADER + 9)

static struct mr_rig r;
static struct mr_bytes_consumer to_control;
static struct mr_bytes_producer from_control;
static uint8_t packet[4096];

static struct mr_worker *worker(void)
{
	return r.workers[0];
}

static void open_with_tap(uint64_t packets_per_second, uint64_t bytes_per_second)
{
	const struct mr_exception_limit limit = {packets_per_second, bytes_per_second, 0, 0};
	const struct mr_channel *ch;

	mr_rig_open(&r, 1);
	r.port.exception_in = r.port.exception_out = limit;
	r.port.has_tap = true;
	assert_int_equal(mr_worker_exceptions_open(worker()), 0);
	ch = &worker()->exception.channel;
	mr_bytes_consumer_init(&to_control, ch->up_shared, ch->up_map, ch->up_bytes);
	mr_bytes_producer_init(&from_control, ch->down_shared, ch->down_map, ch->down_bytes);
}

/* Begins a packet to the port's MAC. */
static void begin(uint16_t type)
{
	uint16_t be = htons(type);

	for (uint32_t i = 0; i < sizeof(packet); i++)
		packet[i] = (uint8_t)i;
	memcpy(packet, r.port.mac, MR_ETHER_BYTES);
	memcpy(packet + MR_ETHER_BYTES, "\x02\0\0\0\0\x07", MR_ETHER_BYTES);
	memcpy(packet + 2 * MR_ETHER_BYTES, &be, sizeof(be));
}

static void receive(uint32_t bytes)
{
	mr_rig_inject(&r, 0, packet, bytes);
	mr_rig_round(&r, 0);
}

/* True if `packet` is the next one in the ring to control, unchanged. */
static bool handed_over(uint32_t bytes)
{
	struct mrf_exception_header h;
	size_t ready = mr_bytes_readable(&to_control);
	const uint8_t *at = mr_bytes_peek(&to_control);
	bool same;

	if (ready == 0)
		return false;
	memcpy(&h, at, sizeof(h));
	assert_int_equal(h.bytes, bytes);
	assert_int_equal(h.port, 0);
	same = memcmp(at + sizeof(h), packet, bytes) == 0;
	mr_bytes_skip(&to_control, sizeof(h) + bytes);
	(void)mr_bytes_release(&to_control);
	return same;
}

static void give(uint32_t says_bytes, uint16_t port, uint32_t bytes)
{
	const struct mrf_exception_header h = {.bytes = says_bytes, .port = port};
	uint8_t *to = mr_bytes_claim(&from_control, HEADER_BYTES + mr_align_up(bytes, 8));

	assert_non_null(to);
	/* For compilers that do not know the meaning of an assertion. */
	if (to == NULL)
		return;
	memcpy(to, &h, sizeof(h));
	memcpy(to + sizeof(h), packet, bytes);
	mr_bytes_push(&from_control, HEADER_BYTES + bytes);
	(void)mr_bytes_publish(&from_control);
}

static uint64_t discarded(void)
{
	return r.port_stats[0].rx_discarded;
}

static void other_protocols_go_to_control_unchanged(void **state)
{
	static const uint16_t types[] = {
		ETHERTYPE_ARP, ETHERTYPE_IP, ETHERTYPE_IPV6, ETHERTYPE_VLAN, 0x88cc};

	(void)state;
	open_with_tap(1000000, 1000000000);
	for (uint32_t i = 0; i < MR_ARRAY_COUNT(types); i++) {
		begin(types[i]);
		receive(PACKET_BYTES + i);
		assert_true(handed_over(PACKET_BYTES + i));
	}
	assert_int_equal(r.port_stats[0].exception_in, MR_ARRAY_COUNT(types));
	assert_int_equal(r.port_stats[0].exception_in_bytes, 5 * PACKET_BYTES + 10);
	assert_int_equal(discarded(), 0);
	mr_rig_close(&r);
}

/* Makes an ARP request for 10.77.0.1, or a TCP or UDP packet to it. */
static void make_arp(void)
{
	static const uint8_t body[] = {0, 1, 8, 0, 6, 4, 0, 1, 2, 0, 0, 0, 0, 7, 10, 77, 0, 2, 0, 0,
		0, 0, 0, 0, 10, 77, 0, 1};

	begin(ETHERTYPE_ARP);
	memset(packet, 0xff, MR_ETHER_BYTES);
	memcpy(packet + ETHER_HEADER, body, sizeof(body));
}

static void worker_does_not_answer_for_the_kernel(void **state)
{
	(void)state;
	open_with_tap(1000000, 1000000000);
	make_arp();
	receive(60);
	assert_true(handed_over(60));
	assert_int_equal(mr_rig_collect(&r, 0, packet, sizeof(packet)), 0);
	assert_int_equal(r.stats[0].neighbours_answered, 0);
	mr_rig_close(&r);
}

static void without_a_device_the_worker_answers(void **state)
{
	(void)state;
	mr_rig_open(&r, 1);
	make_arp();
	receive(60);
	assert_true(mr_rig_collect(&r, 0, packet, sizeof(packet)) > 0);
	assert_int_equal(r.stats[0].neighbours_answered, 1);
	mr_rig_close(&r);
}

static void frames_stay_with_the_bus(void **state)
{
	static struct mr_rig_frame f;
	struct mr_rig_client c;
	struct mrf_network_path path;

	(void)state;
	open_with_tap(1000000, 1000000000);
	path = mr_rig_path(false, 4001);
	(void)mr_rig_remote(&r, 0, 5, &path, MR_RIG_FRAME_BYTES, &c);
	mr_rig_publish(&c, &f, "a.b", "hello");
	mr_rig_send(&r, 0, &c.path, &f);
	mr_rig_round(&r, 0);
	assert_int_equal(r.stats[0].published, 1);
	assert_int_equal(r.port_stats[0].exception_in, 0);
	mr_rig_close(&r);
}

/* The same frame with a wrong UDP checksum is the bus's, too, and malformed. As TCP it is the
 * kernel's. */
static void only_the_udp_port_is_the_buss(void **state)
{
	static struct mr_rig_frame f;
	struct mrf_network_path path;
	uint32_t bytes;

	(void)state;
	open_with_tap(1000000, 1000000000);
	path = mr_rig_path(false, 4001);
	mr_rig_begin(&f, 0, 1);
	bytes = mr_rig_packet(&path, &f, packet, sizeof(packet));
	packet[bytes - 1] ^= 1;
	receive(bytes);
	assert_false(handed_over(bytes));
	assert_int_equal(r.stats[0].drop_bad_udp, 1);
	assert_int_equal(discarded(), 1);
	packet[IP_PROTOCOL_AT] = 6;
	receive(bytes);
	assert_true(handed_over(bytes));
	mr_rig_close(&r);
}

static void packets_for_another_mac_are_dropped(void **state)
{
	(void)state;
	open_with_tap(1000000, 1000000000);
	begin(ETHERTYPE_IP);
	packet[5] ^= 1;
	receive(PACKET_BYTES);
	assert_false(handed_over(PACKET_BYTES));
	assert_int_equal(r.stats[0].drop_not_ip, 1);
	assert_int_equal(discarded(), 1);
	mr_rig_close(&r);
}

/* 100 packets a second: a burst of 10. */
static void packets_above_the_limit_are_dropped_and_counted(void **state)
{
	(void)state;
	open_with_tap(100, 1000000000);
	begin(ETHERTYPE_ARP);
	for (int i = 0; i < 15; i++)
		receive(PACKET_BYTES);
	assert_int_equal(r.port_stats[0].exception_in, 10);
	assert_int_equal(r.port_stats[0].drop_exception_rate, 5);
	assert_int_equal(discarded(), 5);
	mr_rig_wait_ms(&r, 50);
	for (int i = 0; i < 15; i++)
		receive(PACKET_BYTES);
	assert_int_equal(r.port_stats[0].exception_in, 15);
	mr_rig_close(&r);
}

/* 100,000 bytes a second: 10,000 at once. */
static void bytes_above_the_limit_are_dropped_and_counted(void **state)
{
	(void)state;
	open_with_tap(1000000, 100000);
	begin(ETHERTYPE_ARP);
	for (int i = 0; i < 15; i++)
		receive(1000);
	assert_int_equal(r.port_stats[0].exception_in, 10);
	assert_int_equal(r.port_stats[0].drop_exception_rate, 5);
	for (int i = 0; i < 15; i++) {
		give(1000, 0, 1000);
		mr_rig_round(&r, 0);
	}
	assert_int_equal(r.port_stats[0].exception_out, 10);
	assert_int_equal(r.port_stats[0].drop_exception_out_rate, 5);
	mr_rig_close(&r);
}

static void control_that_does_not_read_costs_only_its_packets(void **state)
{
	static struct mr_rig_frame f;
	struct mr_rig_client c;
	struct mrf_network_path path;
	uint64_t fit;

	(void)state;
	open_with_tap(1000000, 1000000000);
	path = mr_rig_path(false, 4001);
	(void)mr_rig_remote(&r, 0, 5, &path, MR_RIG_FRAME_BYTES, &c);
	fit = to_control.capacity / (HEADER_BYTES + 1400);
	for (uint64_t i = 0; i < fit + 20; i++) {
		begin(ETHERTYPE_ARP);
		receive(1400);
	}
	assert_int_equal(r.port_stats[0].exception_in, fit);
	assert_int_equal(r.port_stats[0].drop_exception_full, 20);
	mr_rig_publish(&c, &f, "a.b", "hello");
	mr_rig_send(&r, 0, &c.path, &f);
	mr_rig_round(&r, 0);
	assert_int_equal(r.stats[0].published, 1);
	begin(ETHERTYPE_ARP);
	for (uint64_t i = 0; i < fit; i++)
		assert_true(handed_over(1400));
	receive(1400);
	assert_true(handed_over(1400));
	mr_rig_close(&r);
}

static void packets_of_control_are_sent(void **state)
{
	static uint8_t sent[4096];

	(void)state;
	open_with_tap(1000000, 1000000000);
	for (uint32_t i = 0; i < 100; i++) {
		begin(ETHERTYPE_IP);
		packet[50] = (uint8_t)(i ^ 0x5a);
		give(PACKET_BYTES + i, 0, PACKET_BYTES + i);
	}
	for (uint32_t i = 0; i < 100; i++) {
		if (i % 32 == 0) /* a round sends no more */
			mr_rig_round(&r, 0);
		begin(ETHERTYPE_IP);
		packet[50] = (uint8_t)(i ^ 0x5a);
		assert_int_equal(mr_rig_collect(&r, 0, sent, sizeof(sent)), PACKET_BYTES + i);
		assert_memory_equal(sent, packet, PACKET_BYTES + i);
	}
	assert_int_equal(r.port_stats[0].exception_out, 100);
	assert_int_equal(r.port_stats[0].tx_packets, 100);
	mr_rig_close(&r);
}

static void without_buffers_packets_of_control_are_dropped_and_counted(void **state)
{
	(void)state;
	open_with_tap(1000000, 1000000000);
	begin(ETHERTYPE_IP);
	give(PACKET_BYTES, 0, PACKET_BYTES);
	mr_rig_starve(&r, 0);
	mr_rig_round(&r, 0);
	mr_rig_feed(&r);
	assert_int_equal(r.port_stats[0].drop_exception_out_buffer, 1);
	assert_int_equal(r.port_stats[0].exception_out, 0);
	mr_rig_close(&r);
}

/* A record that cannot be read ends the ring's content; later records are read again. */
static void malformed_records_are_skipped_and_counted(void **state)
{
	static const struct {
		uint32_t says_bytes;
		uint16_t port;
	} bad[] = {{13, 0}, {0, 0}, {PACKET_BYTES + 500, 0}, {UINT32_MAX, 0}, {UINT32_MAX - 7, 0},
		{PACKET_BYTES, 1}, {PACKET_BYTES, UINT16_MAX}};

	(void)state;
	open_with_tap(1000000, 1000000000);
	begin(ETHERTYPE_IP);
	for (uint32_t i = 0; i < MR_ARRAY_COUNT(bad); i++) {
		give(bad[i].says_bytes, bad[i].port, PACKET_BYTES);
		mr_rig_round(&r, 0);
		assert_int_equal(r.stats[0].drop_bad_handoff, i + 1);
		give(PACKET_BYTES, 0, PACKET_BYTES);
		mr_rig_round(&r, 0);
		assert_int_equal(r.port_stats[0].exception_out, i + 1);
	}
	mr_rig_close(&r);
}

static void packets_above_the_mtu_are_dropped_and_counted(void **state)
{
	(void)state;
	open_with_tap(1000000, 1000000000);
	begin(ETHERTYPE_IP);
	give(r.port.mtu + 18u, 0, r.port.mtu + 18u);
	mr_rig_round(&r, 0);
	assert_int_equal(r.port_stats[0].exception_out, 1);
	give(r.port.mtu + 19u, 0, r.port.mtu + 19u);
	/* Those behind it are sent. */
	give(PACKET_BYTES, 0, PACKET_BYTES);
	mr_rig_round(&r, 0);
	assert_int_equal(r.port_stats[0].exception_out, 2);
	assert_int_equal(r.port_stats[0].drop_exception_out_size, 1);
	assert_int_equal(r.stats[0].drop_bad_handoff, 0);
	mr_rig_close(&r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(other_protocols_go_to_control_unchanged),
		cmocka_unit_test(worker_does_not_answer_for_the_kernel),
		cmocka_unit_test(without_a_device_the_worker_answers),
		cmocka_unit_test(frames_stay_with_the_bus),
		cmocka_unit_test(only_the_udp_port_is_the_buss),
		cmocka_unit_test(packets_for_another_mac_are_dropped),
		cmocka_unit_test(packets_above_the_limit_are_dropped_and_counted),
		cmocka_unit_test(bytes_above_the_limit_are_dropped_and_counted),
		cmocka_unit_test(control_that_does_not_read_costs_only_its_packets),
		cmocka_unit_test(packets_of_control_are_sent),
		cmocka_unit_test(without_buffers_packets_of_control_are_dropped_and_counted),
		cmocka_unit_test(malformed_records_are_skipped_and_counted),
		cmocka_unit_test(packets_above_the_mtu_are_dropped_and_counted),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
