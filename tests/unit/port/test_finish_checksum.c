/* SPDX-License-Identifier: Apache-2.0 */
/* Checksums that the host of a virtual card has left to the receiver. */
#include <netinet/in.h>
#include <string.h>

#include <rte_ip.h>
#include <rte_tcp.h>
#include <rte_udp.h>

#include "tests/unit/worker/cmocka_all.h"

#include "dataplane/port/exception.h"
#include "lib/wire/checksum.h"

#define ETHER_BYTES   14u
#define IP4_BYTES     20u
#define IP4_OPTIONS   24u
#define IP6_BYTES     40u
#define TCP_FIELD     16u
#define UDP_FIELD     6u
#define PADDING_BYTES 5u /* behind the IP packet, as in short Ethernet frames */

static uint8_t frame[512], before[512];

static void put16(uint32_t at, uint32_t value)
{
	frame[at] = (uint8_t)(value >> 8);
	frame[at + 1] = (uint8_t)value;
}

/* Sum of the pseudo-header (RFC 9293 §3.1, RFC 8200 §8.1), as DPDK computes it. */
static uint16_t pseudo(bool ip4)
{
	const void *ip = frame + ETHER_BYTES;

	return ip4 ? rte_ipv4_phdr_cksum(ip, 0) : rte_ipv6_phdr_cksum(ip, 0);
}

/* Makes a frame whose checksum is left open; returns where TCP or UDP begins. */
static uint32_t make(uint32_t ip_bytes, uint8_t protocol, uint32_t bytes)
{
	bool ip4 = ip_bytes != IP6_BYTES;
	uint32_t l4 = ETHER_BYTES + ip_bytes;
	uint16_t sum;

	for (uint32_t i = 0; i < sizeof(frame); i++)
		frame[i] = (uint8_t)(i * 7);
	put16(12, ip4 ? 0x0800 : 0x86dd);
	frame[ETHER_BYTES] = ip4 ? (uint8_t)(0x40 | ip_bytes / 4) : 0x60;
	if (ip4) {
		put16(ETHER_BYTES + 2, ip_bytes + bytes);
		put16(ETHER_BYTES + 6, 0x4000); /* do not fragment */
		frame[ETHER_BYTES + 9] = protocol;
	} else {
		put16(ETHER_BYTES + 4, bytes);
		frame[ETHER_BYTES + 6] = protocol;
	}
	sum = pseudo(ip4);
	memcpy(frame + l4 + (protocol == IPPROTO_TCP ? TCP_FIELD : UDP_FIELD), &sum, sizeof(sum));
	memcpy(before, frame, sizeof(frame));
	return l4;
}

static void expect_good(uint32_t ip_bytes, uint8_t protocol, uint32_t bytes)
{
	uint32_t l4 = make(ip_bytes, protocol, bytes);
	uint32_t field = l4 + (protocol == IPPROTO_TCP ? TCP_FIELD : UDP_FIELD);

	mr_exception_finish_checksum(frame, l4 + bytes + PADDING_BYTES);
	assert_int_equal(mr_checksum_fold((uint64_t)pseudo(ip_bytes != IP6_BYTES) +
					  mr_checksum_sum(frame + l4, bytes)),
		0xffff);
	memcpy(before + field, frame + field, 2);
	assert_memory_equal(frame, before, sizeof(frame));
}

static void expect_unchanged(uint32_t bytes)
{
	memcpy(before, frame, sizeof(frame));
	mr_exception_finish_checksum(frame, bytes);
	assert_memory_equal(frame, before, sizeof(frame));
}

static void sums_of_tcp_and_udp_are_completed(void **state)
{
	(void)state;
	for (uint32_t bytes = 20; bytes < 60; bytes++) {
		expect_good(IP4_BYTES, IPPROTO_TCP, bytes);
		expect_good(IP4_BYTES, IPPROTO_UDP, bytes);
		expect_good(IP4_OPTIONS, IPPROTO_TCP, bytes);
		expect_good(IP6_BYTES, IPPROTO_TCP, bytes);
		expect_good(IP6_BYTES, IPPROTO_UDP, bytes);
	}
}

static void udp_sum_of_zero_is_written_as_its_other_form(void **state)
{
	uint32_t l4 = make(IP4_BYTES, IPPROTO_UDP, 20), rest;

	(void)state;
	put16(l4 + 18, 0);
	rest = (uint16_t)~mr_checksum_fold(mr_checksum_sum(frame + l4, 20));
	memcpy(frame + l4 + 18, &rest, 2); /* now all sums up to 0xffff */
	mr_exception_finish_checksum(frame, l4 + 20);
	assert_int_equal(frame[l4 + UDP_FIELD], 0xff);
	assert_int_equal(frame[l4 + UDP_FIELD + 1], 0xff);
}

static void other_frames_stay_as_they_are(void **state)
{
	uint32_t l4 = make(IP4_BYTES, IPPROTO_ICMP, 40);

	(void)state;
	expect_unchanged(l4 + 40);
	l4 = make(IP4_BYTES, IPPROTO_TCP, 40);
	put16(ETHER_BYTES + 6, 0x2000); /* more fragments */
	expect_unchanged(l4 + 40);
	put16(ETHER_BYTES + 6, 0x0001); /* a later fragment */
	expect_unchanged(l4 + 40);
	make(IP4_BYTES, IPPROTO_TCP, 40);
	put16(12, 0x0806); /* ARP */
	expect_unchanged(l4 + 40);
}

static void frames_that_end_early_stay_as_they_are(void **state)
{
	uint32_t l4;

	(void)state;
	l4 = make(IP4_BYTES, IPPROTO_TCP, 40);
	for (uint32_t bytes = 0; bytes < l4 + 40; bytes++)
		expect_unchanged(bytes);
	l4 = make(IP6_BYTES, IPPROTO_UDP, 40);
	for (uint32_t bytes = 0; bytes < l4 + 40; bytes++)
		expect_unchanged(bytes);
	l4 = make(IP4_BYTES, IPPROTO_TCP, 19); /* less than a header */
	expect_unchanged(l4 + 19);
	l4 = make(IP6_BYTES, IPPROTO_UDP, 7);
	expect_unchanged(l4 + 7);
	l4 = make(IP4_BYTES, IPPROTO_TCP, 40);
	put16(ETHER_BYTES + 2, IP4_BYTES - 1); /* less than its header */
	expect_unchanged(l4 + 40);
	make(IP4_BYTES, IPPROTO_TCP, 40);
	frame[ETHER_BYTES] = 0x44; /* a header of 16 bytes */
	expect_unchanged(l4 + 40);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(sums_of_tcp_and_udp_are_completed),
		cmocka_unit_test(udp_sum_of_zero_is_written_as_its_other_form),
		cmocka_unit_test(other_frames_stay_as_they_are),
		cmocka_unit_test(frames_that_end_early_stay_as_they_are),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
