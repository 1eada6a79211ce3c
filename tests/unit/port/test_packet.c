/* SPDX-License-Identifier: Apache-2.0 */
/* Packets from Ethernet up: accepted ones, every fault by its name, and the answers of a port. */
#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/worker/cmocka_all.h"

#include "dataplane/port/answer.h"
#include "lib/wire/checksum.h"
#include "lib/wire/path.h"

static const struct mr_port port = {
	.index = 2,
	.udp_port = 7400,
	.mac = {2, 0, 0, 0, 0, 1},
	.addresses_count = 2,
	.addresses =
		{
			{{{[10] = 0xff, [11] = 0xff, 10, 77, 0, 1}}, 120},
			{{{0xfd, 0x77, [15] = 1}}, 64},
		},
};

/* "payload!" from 10.77.0.2:4001, from fd77::2, and requests, as other stacks send them. Checksums
 * of IP, UDP and ICMP are 0 here; fresh() fills them in. */
static const uint8_t udp4[] = {2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 8, 0,         /* */
	0x45, 0, 0, 36, 0, 1, 0x40, 0, 64, 17, 0, 0, 10, 77, 0, 2, 10, 77, 0, 1, /* */
	0x0f, 0xa1, 0x1c, 0xe8, 0, 16, 0, 0, 'p', 'a', 'y', 'l', 'o', 'a', 'd', '!'};
static const uint8_t udp6[] = {2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 0x86, 0xdd, /* */
	0x60, 0, 0, 0, 0, 16, 17, 64,                                          /* */
	0xfd, 0x77, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2,                  /* */
	0xfd, 0x77, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1,                  /* */
	0x0f, 0xa1, 0x1c, 0xe8, 0, 16, 0, 0, 'p', 'a', 'y', 'l', 'o', 'a', 'd', '!'};
static const uint8_t arp[] = {255, 255, 255, 255, 255, 255, 2, 0, 0, 0, 0, 2, 8, 6, /* */
	0, 1, 8, 0, 6, 4, 0, 1, 2, 0, 0, 0, 0, 2, 10, 77, 0, 2, 0, 0, 0, 0, 0, 0, 10, 77, 0, 1};
static const uint8_t echo4[] = {2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 8, 0,   /* */
	0x45, 0, 0, 33, 0, 1, 0, 0, 7, 1, 0, 0, 10, 77, 0, 2, 10, 77, 0, 1, /* */
	8, 0, 0, 0, 0x12, 0x34, 0, 1, 'p', 'i', 'n', 'g', '!'};
static const uint8_t echo6[] = {2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 0x86, 0xdd, /* */
	0x60, 0, 0, 0, 0, 13, 58, 7,                                            /* */
	0xfd, 0x77, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2,                   /* */
	0xfd, 0x77, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1,                   /* */
	128, 0, 0, 0, 0x12, 0x34, 0, 1, 'p', 'i', 'n', 'g', '!'};
static const uint8_t solicit[] = {0x33, 0x33, 0xff, 0, 0, 1, 2, 0, 0, 0, 0, 2, 0x86, 0xdd, /* */
	0x60, 0, 0, 0, 0, 32, 58, 255,                                                     /* */
	0xfd, 0x77, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2,                              /* */
	0xff, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0xff, 0, 0, 1,                              /* */
	135, 0, 0, 0, 0, 0, 0, 0,                                                          /* */
	0xfd, 0x77, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1,                              /* */
	1, 1, 2, 0, 0, 0, 0, 2};

#define IP4  14
#define IP6  14
#define UDP4 34
#define UDP6 54

static alignas(8) uint8_t at[256];

static void put16(uint32_t offset, uint16_t value)
{
	memcpy(&at[offset], &value, sizeof(value));
}

/* Fills in checksums; `upper`: offset of that of UDP or ICMP. */
static void sum_up(uint32_t bytes)
{
	bool ip6 = at[12] == 0x86;
	uint32_t l4 = ip6 ? UDP6 : UDP4, length = bytes - l4;
	uint8_t protocol = ip6 ? at[IP6 + 6] : at[IP4 + 9];
	uint32_t upper = l4 + (protocol == 17 ? 6 : 2);
	uint64_t sum = protocol == 1 ? 0 : htons(protocol) + (uint64_t)htons((uint16_t)length);

	if (protocol != 1)
		sum += ip6 ? mr_checksum_sum(&at[IP6 + 8], 32) : mr_checksum_sum(&at[IP4 + 12], 8);
	put16(upper, 0);
	put16(upper, mr_checksum_finish(sum + mr_checksum_sum(&at[l4], length)));
	if (ip6)
		return;
	put16(IP4 + 10, 0);
	put16(IP4 + 10, mr_checksum_finish(mr_checksum_sum(&at[IP4], 20)));
}

static uint32_t fresh(const uint8_t *from, uint32_t bytes)
{
	memset(at, 0, sizeof(at));
	memcpy(at, from, bytes);
	if (from != arp)
		sum_up(bytes);
	return bytes;
}

#define FRESH(packet) fresh(packet, sizeof(packet))

static struct mr_packet k;

static enum mr_packet_fault parse(uint32_t bytes)
{
	return mr_packet_parse(&port, at, bytes, 0, &k);
}

static void datagram_is_found_with_both_ends(void **state)
{
	static const uint8_t peer4[16] = {[10] = 0xff, [11] = 0xff, 10, 77, 0, 2};
	static const uint8_t peer6[16] = {0xfd, 0x77, [15] = 2};

	(void)state;
	assert_int_equal(parse(FRESH(udp4)), MR_PACKET_OK);
	assert_int_equal(k.kind, MR_PACKET_FRAME);
	assert_int_equal(k.payload_bytes, 8);
	assert_memory_equal(at + k.payload_offset, "payload!", 8);
	assert_memory_equal(&k.path, peer4, sizeof(peer4));
	assert_memory_equal((uint8_t *)&k.path + 16, &port.addresses[0].address, 16);
	assert_int_equal(k.path.peer_udp_port, 4001);
	assert_int_equal(k.path.local_udp_port, 7400);
	assert_int_equal(k.path.port, 2);
	assert_memory_equal(&k.path.peer_mac, "\2\0\0\0\0\2\0\0", 8);
	assert_true(mr_path_is_ip4(&k.path));
	assert_int_equal(parse(FRESH(udp6)), MR_PACKET_OK);
	assert_int_equal(k.kind, MR_PACKET_FRAME);
	assert_memory_equal(at + k.payload_offset, "payload!", 8);
	assert_memory_equal(&k.path, peer6, sizeof(peer6));
	assert_false(mr_path_is_ip4(&k.path));
}

static void ethernet_padding_is_cut_off(void **state)
{
	(void)state;
	FRESH(udp4);
	assert_int_equal(parse(60), MR_PACKET_OK);
	assert_int_equal(k.payload_bytes, 8);
	assert_int_equal(k.bytes, sizeof(udp4));
}

/* Each truncation is in memory of exactly its size, so that a sanitizer sees a read too far. */
static void every_truncation_is_a_fault(void **state)
{
	static const struct {
		const uint8_t *packet;
		uint32_t bytes;
	} all[] = {{udp4, sizeof(udp4)}, {udp6, sizeof(udp6)}, {arp, sizeof(arp)},
		{echo4, sizeof(echo4)}, {echo6, sizeof(echo6)}, {solicit, sizeof(solicit)}};

	(void)state;
	for (unsigned i = 0; i < MR_ARRAY_COUNT(all); i++)
		for (uint32_t bytes = 0; bytes < all[i].bytes; bytes++) {
			uint8_t *exact = malloc(bytes + 1);
			enum mr_packet_fault fault;

			fresh(all[i].packet, all[i].bytes);
			memcpy(exact, at, bytes);
			fault = mr_packet_parse(&port, exact, bytes, 0, &k);
			assert_int_not_equal(fault, MR_PACKET_OK);
			assert_true(fault == MR_PACKET_NOT_IP ||
				    (bytes >= 14 && fault == MR_PACKET_BAD_IP));
			free(exact);
		}
}

static void every_flipped_bit_of_a_datagram_is_noticed(void **state)
{
	static const struct {
		const uint8_t *packet;
		uint32_t bytes, first;
	} all[] = {{udp4, sizeof(udp4), IP4}, {udp6, sizeof(udp6), IP6 + 4}};

	(void)state;
	for (unsigned i = 0; i < MR_ARRAY_COUNT(all); i++)
		for (uint32_t bit = all[i].first * 8; bit < all[i].bytes * 8; bit++) {
			fresh(all[i].packet, all[i].bytes);
			at[bit / 8] ^= (uint8_t)(1 << bit % 8);
			if (all[i].packet == udp6 && bit / 8 == IP6 + 7)
				/* No checksum covers IPv6's hop limit. */
				continue;
			assert_int_not_equal(parse(all[i].bytes), MR_PACKET_OK);
		}
}

static void device_that_has_checked_is_believed(void **state)
{
	uint32_t bytes = FRESH(udp4);

	(void)state;
	at[IP4 + 10] ^= 1;
	at[UDP4 + 6] ^= 1;
	assert_int_equal(parse(bytes), MR_PACKET_BAD_IP);
	assert_int_equal(
		mr_packet_parse(&port, at, bytes, MR_PACKET_IP_CHECKED, &k), MR_PACKET_BAD_UDP);
	assert_int_equal(
		mr_packet_parse(&port, at, bytes, MR_PACKET_IP_CHECKED | MR_PACKET_UDP_CHECKED, &k),
		MR_PACKET_OK);
}

/* RFC 768 allows none over IPv4, RFC 8200 §8.1 demands one over IPv6. */
static void absent_checksum_is_good_in_ip4_alone(void **state)
{
	uint32_t bytes = FRESH(udp4);

	(void)state;
	put16(UDP4 + 6, 0);
	assert_int_equal(parse(bytes), MR_PACKET_OK);
	bytes = FRESH(udp6);
	put16(UDP6 + 6, 0);
	assert_int_equal(parse(bytes), MR_PACKET_BAD_UDP);
}

/* Changes one byte, makes the checksums valid again, and returns the resulting fault. */
static enum mr_packet_fault with4(uint32_t offset, uint8_t value)
{
	uint32_t bytes = FRESH(udp4);

	at[offset] = value;
	sum_up(bytes);
	return parse(bytes);
}

static enum mr_packet_fault with6(uint32_t offset, uint8_t value)
{
	uint32_t bytes = FRESH(udp6);

	at[offset] = value;
	sum_up(bytes);
	return parse(bytes);
}

static void faults_of_ip4(void **state)
{
	(void)state;
	assert_int_equal(with4(5, 9), MR_PACKET_NOT_IP);      /* another Ethernet address */
	assert_int_equal(with4(6, 3), MR_PACKET_NOT_IP);      /* from a multicast address */
	assert_int_equal(with4(12, 0x81), MR_PACKET_NOT_IP);  /* VLAN */
	assert_int_equal(with4(IP4, 0x46), MR_PACKET_BAD_IP); /* 6 words of header, sum of 5 */
	assert_int_equal(with4(IP4, 0x44), MR_PACKET_BAD_IP);
	assert_int_equal(with4(IP4, 0x65), MR_PACKET_BAD_IP);
	assert_int_equal(with4(IP4 + 3, 19), MR_PACKET_BAD_IP);
	assert_int_equal(with4(IP4 + 3, 37), MR_PACKET_BAD_IP);
	assert_int_equal(with4(IP4 + 6, 0x20), MR_PACKET_IP_OPTIONS); /* more fragments */
	assert_int_equal(with4(IP4 + 7, 1), MR_PACKET_IP_OPTIONS);    /* the last fragment */
	assert_int_equal(with4(IP4 + 9, 6), MR_PACKET_NOT_OURS);      /* TCP */
	assert_int_equal(with4(IP4 + 12, 0), MR_PACKET_BAD_IP);       /* from 0.77.0.2 */
	assert_int_equal(with4(IP4 + 12, 127), MR_PACKET_BAD_IP);
	assert_int_equal(with4(IP4 + 12, 224), MR_PACKET_BAD_IP);
	assert_int_equal(with4(IP4 + 12, 255), MR_PACKET_BAD_IP);
	assert_int_equal(with4(IP4 + 19, 9), MR_PACKET_NOT_OURS);
}

static void faults_of_ip6(void **state)
{
	static const uint8_t extensions[] = {0, 43, 44, 50, 51, 60};

	(void)state;
	assert_int_equal(with6(IP6, 0x50), MR_PACKET_BAD_IP);
	assert_int_equal(with6(IP6 + 5, 17), MR_PACKET_BAD_IP);
	assert_int_equal(with6(IP6 + 8, 0xff), MR_PACKET_BAD_IP); /* from a multicast address */
	assert_int_equal(with6(IP6 + 39, 9), MR_PACKET_NOT_OURS);
	for (unsigned i = 0; i < sizeof(extensions); i++)
		assert_int_equal(with6(IP6 + 6, extensions[i]), MR_PACKET_IP_OPTIONS);
	assert_int_equal(with6(IP6 + 6, 6), MR_PACKET_NOT_OURS);
	/* A mapped IPv4 address would be taken for another peer. */
	FRESH(udp6);
	memcpy(&at[IP6 + 8], &(uint8_t[16]){[10] = 0xff, [11] = 0xff, 10, 77, 0, 2}, 16);
	sum_up(sizeof(udp6));
	assert_int_equal(parse(sizeof(udp6)), MR_PACKET_BAD_IP);
	/* The port's own IPv4 address, mapped, is no address of IPv6. */
	FRESH(udp6);
	memcpy(&at[IP6 + 24], &(uint8_t[16]){[10] = 0xff, [11] = 0xff, 10, 77, 0, 1}, 16);
	sum_up(sizeof(udp6));
	assert_int_equal(parse(sizeof(udp6)), MR_PACKET_NOT_OURS);
}

/* Makes udp4 with a header of `words`, whose options are of the kind "no operation". */
static uint32_t with_options(unsigned words)
{
	uint32_t more = (words - 5) * 4, bytes = FRESH(udp4);

	memmove(&at[UDP4 + more], &at[UDP4], bytes - UDP4);
	memset(&at[UDP4], 1, more);
	at[IP4] = (uint8_t)(0x40 | words);
	at[IP4 + 3] = (uint8_t)(36 + more);
	put16(IP4 + 10, 0);
	put16(IP4 + 10, mr_checksum_finish(mr_checksum_sum(&at[IP4], words * 4)));
	return bytes + more;
}

static void options_of_ip4_are_skipped(void **state)
{
	(void)state;
	for (unsigned words = 5; words <= 15; words++) {
		uint32_t bytes = with_options(words);

		assert_int_equal(parse(bytes), MR_PACKET_OK);
		assert_int_equal(k.kind, MR_PACKET_FRAME);
		assert_int_equal(k.bytes, bytes);
		assert_int_equal(k.payload_bytes, 8);
		assert_memory_equal(at + k.payload_offset, "payload!", 8);
		for (uint32_t i = 14; i < bytes; i++)
			assert_int_not_equal(parse(i), MR_PACKET_OK);
		at[UDP4 + 1] ^= words > 5 ? 2 : 0; /* the sum covers the options */
		assert_int_equal(parse(bytes), words > 5 ? MR_PACKET_BAD_IP : MR_PACKET_OK);
	}
	/* The header is longer than the packet. */
	with_options(15);
	at[IP4 + 3] = 59;
	put16(IP4 + 10, 0);
	put16(IP4 + 10, mr_checksum_finish(mr_checksum_sum(&at[IP4], 60)));
	assert_int_equal(parse(96), MR_PACKET_BAD_IP);
}

/* Makes udp6 behind the extension headers of these bytes. */
static uint32_t with_extensions(uint8_t next, const uint8_t *headers, uint32_t more)
{
	uint32_t bytes = FRESH(udp6);

	memmove(&at[UDP6 + more], &at[UDP6], bytes - UDP6);
	memcpy(&at[UDP6], headers, more);
	at[IP6 + 5] = (uint8_t)(16 + more);
	at[IP6 + 6] = next;
	return bytes + more;
}

static void extension_headers_are_skipped(void **state)
{
	/* Hop-by-hop options with PadN; destination options with Pad1 and an unknown option that
	 * may be skipped; a route that ends here; AH of 16 bytes. */
	static const uint8_t headers[] = {60, 0, 1, 4, 0, 0, 0, 0,  /* */
		43, 1, 0, 0x1e, 9, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, /* */
		51, 0, 4, 0, 0, 0, 0, 0,                            /* */
		17, 2, 0, 0, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 0};
	static const struct {
		uint8_t next;
		uint32_t from;
	} begins[] = {{0, 0}, {60, 8}, {43, 24}, {51, 32}};

	(void)state;
	for (unsigned i = 0; i < MR_ARRAY_COUNT(begins); i++) {
		uint32_t more = (uint32_t)sizeof(headers) - begins[i].from;
		uint32_t bytes = with_extensions(begins[i].next, headers + begins[i].from, more);

		assert_int_equal(parse(bytes), MR_PACKET_OK);
		assert_int_equal(k.bytes, bytes);
		assert_int_equal(k.payload_bytes, 8);
		assert_memory_equal(at + k.payload_offset, "payload!", 8);
		for (uint32_t j = 14; j < bytes; j++)
			assert_int_not_equal(parse(j), MR_PACKET_OK);
		at[bytes - 1] ^= 1;
		assert_int_equal(parse(bytes), MR_PACKET_BAD_UDP);
	}
}

static void extension_headers_that_may_not_be_skipped_are_faults(void **state)
{
	static const struct {
		uint8_t next;
		uint8_t header[8];
		enum mr_packet_fault fault;
	} all[] = {
		{60, {17, 0, 0x40, 4}, MR_PACKET_IP_OPTIONS}, /* discard if unknown */
		{0, {17, 0, 0xc2, 4}, MR_PACKET_IP_OPTIONS},  /* a jumbogram */
		{60, {17, 0, 1, 5}, MR_PACKET_IP_OPTIONS},    /* option beyond the header */
		{60, {17, 0, 1, 2, 0, 0, 0, 1}, MR_PACKET_IP_OPTIONS}, /* option without its end */
		{60, {17, 3, 1, 4}, MR_PACKET_IP_OPTIONS}, /* header beyond the packet */
		{43, {17, 0, 0, 1}, MR_PACKET_IP_OPTIONS}, /* the route goes on */
		{44, {17, 0, 0, 1}, MR_PACKET_IP_OPTIONS}, /* a fragment */
		{44, {17}, MR_PACKET_IP_OPTIONS},          /* a whole one */
		{50, {17}, MR_PACKET_IP_OPTIONS},          /* encrypted */
		{60, {0, 0, 1, 4}, MR_PACKET_IP_OPTIONS},  /* hop-by-hop is the first */
		{60, {58, 0, 1, 4}, MR_PACKET_NOT_OURS},   /* ICMPv6 */
		{60, {59, 0, 1, 4}, MR_PACKET_NOT_OURS},   /* nothing follows */
	};
	uint8_t many[56] = {0};
	uint32_t bytes;

	(void)state;
	for (unsigned i = 0; i < MR_ARRAY_COUNT(all); i++) {
		bytes = with_extensions(all[i].next, all[i].header, 8);
		assert_int_equal(parse(bytes), all[i].fault);
	}
	for (unsigned i = 0; i < 7; i++)
		memcpy(&many[i * 8], (uint8_t[]){i < 6 ? 60 : 17, 0, 1, 4, 0, 0, 0, 0}, 8);
	assert_int_equal(parse(with_extensions(60, many, 56)), MR_PACKET_IP_OPTIONS);
	assert_int_equal(parse(with_extensions(60, many + 8, 48)), MR_PACKET_OK);
}

static void faults_of_udp(void **state)
{
	(void)state;
	assert_int_equal(with4(UDP4 + 3, 0xe9), MR_PACKET_NOT_OURS); /* port 7401 */
	assert_int_equal(with4(UDP4 + 5, 15), MR_PACKET_BAD_UDP);
	assert_int_equal(with4(UDP4 + 5, 17), MR_PACKET_BAD_UDP);
	assert_int_equal(with6(UDP6 + 3, 0xe9), MR_PACKET_NOT_OURS);
	assert_int_equal(with6(UDP6 + 5, 7), MR_PACKET_BAD_UDP);
	FRESH(udp4);
	/* There is no source port to answer. */
	put16(UDP4, 0);
	sum_up(sizeof(udp4));
	assert_int_equal(parse(sizeof(udp4)), MR_PACKET_BAD_UDP);
}

static void arp_for_the_ports_address_is_answered(void **state)
{
	static const uint8_t want[] = {2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1, 8, 6, /* */
		0, 1, 8, 0, 6, 4, 0, 2, 2, 0, 0, 0, 0, 1, 10, 77, 0, 1,          /* */
		2, 0, 0, 0, 0, 2, 10, 77, 0, 2};

	(void)state;
	FRESH(arp);
	assert_int_equal(parse(60), MR_PACKET_OK);
	assert_int_equal(k.kind, MR_PACKET_ARP);
	assert_int_equal(mr_answer(&port, &k, at, sizeof(at)), sizeof(want));
	assert_memory_equal(at, want, sizeof(want));
}

static void other_arp_is_nothing_of_ours(void **state)
{
	static const uint8_t changes[][2] = {{15, 6}, {16, 9}, {18, 8}, {19, 16}, {21, 2}, {41, 9}};

	(void)state;
	for (unsigned i = 0; i < MR_ARRAY_COUNT(changes); i++) {
		FRESH(arp);
		at[changes[i][0]] = changes[i][1];
		assert_int_equal(parse(sizeof(arp)), MR_PACKET_NOT_IP);
	}
}

/* The bus's own address, and unassignable ones of its network, in every kind of packet. */
static void impossible_sources_get_no_answer(void **state)
{
	static const uint8_t bad4[][4] = {{10, 77, 0, 1}, {10, 77, 0, 255}, {10, 77, 0, 0},
		{255, 255, 255, 255}, {224, 0, 0, 1}, {127, 0, 0, 1}, {0, 0, 0, 1}};
	static const uint8_t bad6[][16] = {{0xfd, 0x77, [15] = 1}, {0xff, 2, [15] = 1}, {[15] = 1}};

	(void)state;
	for (unsigned i = 0; i < MR_ARRAY_COUNT(bad4); i++) {
		FRESH(udp4);
		memcpy(&at[IP4 + 12], bad4[i], 4);
		sum_up(sizeof(udp4));
		assert_int_equal(parse(sizeof(udp4)), MR_PACKET_BAD_IP);
		FRESH(echo4);
		memcpy(&at[IP4 + 12], bad4[i], 4);
		sum_up(sizeof(echo4));
		assert_int_equal(parse(sizeof(echo4)), MR_PACKET_BAD_IP);
		FRESH(arp);
		memcpy(&at[28], bad4[i], 4);
		assert_int_equal(parse(60), MR_PACKET_BAD_IP);
	}
	for (unsigned i = 0; i < MR_ARRAY_COUNT(bad6); i++) {
		FRESH(udp6);
		memcpy(&at[IP6 + 8], bad6[i], 16);
		sum_up(sizeof(udp6));
		assert_int_equal(parse(sizeof(udp6)), MR_PACKET_BAD_IP);
		FRESH(echo6);
		memcpy(&at[IP6 + 8], bad6[i], 16);
		sum_up(sizeof(echo6));
		assert_int_equal(parse(sizeof(echo6)), MR_PACKET_BAD_IP);
		FRESH(solicit);
		memcpy(&at[IP6 + 8], bad6[i], 16);
		sum_up(sizeof(solicit));
		assert_int_equal(parse(sizeof(solicit)), MR_PACKET_BAD_IP);
	}
	FRESH(arp); /* a broadcast Ethernet address as the sender's */
	memset(&at[22], 255, 6);
	assert_int_equal(parse(60), MR_PACKET_BAD_IP);
	FRESH(arp); /* A host without an address may ask whether one is taken (RFC 5227). */
	memset(&at[28], 0, 4);
	assert_int_equal(parse(60), MR_PACKET_OK);
}

/* Checks the advertisement as the asking host would. */
static void expect_advertisement(const uint8_t *to_mac, const uint8_t *to, uint32_t flags)
{
	uint32_t got;

	assert_memory_equal(at, to_mac, 6);
	assert_memory_equal(at + 6, port.mac, 6);
	assert_int_equal(at[IP6 + 7], 255);
	assert_memory_equal(at + IP6 + 8, &port.addresses[1].address, 16);
	assert_memory_equal(at + IP6 + 24, to, 16);
	assert_int_equal(at[54], 136);
	memcpy(&got, at + 58, sizeof(got));
	assert_int_equal(ntohl(got), flags);
	assert_memory_equal(at + 62, &port.addresses[1].address, 16);
	assert_memory_equal(at + 78, "\2\1\2\0\0\0\0\1", 8);
	got = htons(58) + htons(32);
	assert_int_equal(
		mr_checksum_fold(got + mr_checksum_sum(at + 22, 32) + mr_checksum_sum(at + 54, 32)),
		0xffff);
}

static void solicitation_is_answered_with_an_advertisement(void **state)
{
	static const uint8_t peer[16] = {0xfd, 0x77, [15] = 2};

	(void)state;
	assert_int_equal(parse(FRESH(solicit)), MR_PACKET_OK);
	assert_int_equal(k.kind, MR_PACKET_SOLICITATION);
	assert_int_equal(mr_answer(&port, &k, at, 85), 0); /* no room */
	assert_int_equal(mr_answer(&port, &k, at, sizeof(at)), 86);
	expect_advertisement((const uint8_t *)"\2\0\0\0\0\2", peer, 0x60000000);
}

/* RFC 4862 §5.4: another host wants our address; all nodes must hear that it is taken. */
static void duplicate_address_detection_hears_that_the_address_is_taken(void **state)
{
	static const uint8_t all_nodes[16] = {0xff, 2, [15] = 1};
	uint32_t bytes;

	(void)state;
	FRESH(solicit);
	memset(at + IP6 + 8, 0, 16);
	at[IP6 + 5] = 24; /* without an option */
	bytes = sizeof(solicit) - 8;
	sum_up(bytes);
	assert_int_equal(parse(bytes), MR_PACKET_OK);
	assert_int_equal(mr_answer(&port, &k, at, sizeof(at)), 86);
	expect_advertisement((const uint8_t *)"\x33\x33\0\0\0\1", all_nodes, 0x20000000);
}

static void bad_solicitations_are_not_answered(void **state)
{
	static const struct {
		uint8_t offset, value;
		enum mr_packet_fault fault;
	} changes[] = {
		{IP6 + 7, 254, MR_PACKET_BAD_IP},  /* forwarded by a router */
		{55, 1, MR_PACKET_BAD_IP},         /* code */
		{79, 0, MR_PACKET_BAD_IP},         /* an empty option */
		{79, 2, MR_PACKET_BAD_IP},         /* an option longer than the rest */
		{77, 9, MR_PACKET_NOT_OURS},       /* another target */
		{IP6 + 39, 9, MR_PACKET_NOT_OURS}, /* another group */
		{54, 134, MR_PACKET_NOT_OURS},     /* a router's advertisement */
	};

	(void)state;
	for (unsigned i = 0; i < MR_ARRAY_COUNT(changes); i++) {
		uint32_t bytes = FRESH(solicit);

		at[changes[i].offset] = changes[i].value;
		sum_up(bytes);
		assert_int_equal(parse(bytes), changes[i].fault);
	}
	FRESH(solicit);
	at[56] ^= 1;
	assert_int_equal(parse(sizeof(solicit)), MR_PACKET_BAD_IP);
}

static void echo_comes_back(void **state)
{
	(void)state;
	FRESH(echo4);
	assert_int_equal(parse(60), MR_PACKET_OK);
	assert_int_equal(k.kind, MR_PACKET_ECHO);
	assert_int_equal(mr_answer(&port, &k, at, sizeof(at)), sizeof(echo4));
	assert_memory_equal(at, "\2\0\0\0\0\2\2\0\0\0\0\1", 12);
	assert_memory_equal(at + IP4 + 12, "\12\115\0\1\12\115\0\2", 8);
	assert_int_equal(at[IP4 + 8], 64);
	assert_int_equal(at[34], 0);
	assert_memory_equal(at + 38, "\x12\x34\0\1ping!", 9);
	assert_int_equal(mr_checksum_fold(mr_checksum_sum(at + IP4, 20)), 0xffff);
	assert_int_equal(mr_checksum_fold(mr_checksum_sum(at + 34, 13)), 0xffff);
	assert_int_equal(parse(FRESH(echo6)), MR_PACKET_OK);
	assert_int_equal(k.kind, MR_PACKET_ECHO_6);
	assert_int_equal(mr_answer(&port, &k, at, sizeof(at)), sizeof(echo6));
	assert_int_equal(at[54], 129);
	assert_int_equal(at[IP6 + 7], 64);
	assert_memory_equal(at + 58, "\x12\x34\0\1ping!", 9);
	assert_int_equal(mr_checksum_fold(htons(58) + htons(13) + mr_checksum_sum(at + 22, 32) +
					  mr_checksum_sum(at + 54, 13)),
		0xffff);
}

static void other_icmp_is_not_answered(void **state)
{
	uint32_t bytes = FRESH(echo4);

	(void)state;
	at[34] = 13; /* timestamp */
	sum_up(bytes);
	assert_int_equal(parse(bytes), MR_PACKET_NOT_OURS);
	bytes = FRESH(echo4);
	at[36] ^= 1;
	assert_int_equal(parse(bytes), MR_PACKET_BAD_IP);
	bytes = FRESH(echo6);
	at[54] = 129; /* a reply */
	sum_up(bytes);
	assert_int_equal(parse(bytes), MR_PACKET_NOT_OURS);
}

/* The reference sums sixteen bits at a time, with all lengths and odd ends. */
static void checksum_is_the_plain_one(void **state)
{
	uint8_t bytes[67];

	(void)state;
	for (unsigned i = 0; i < sizeof(bytes); i++)
		bytes[i] = (uint8_t)(i * 151 + 200);
	for (uint32_t n = 0; n <= sizeof(bytes); n++) {
		uint32_t sum = 0;

		for (uint32_t i = 0; i < n; i++)
			sum += (uint32_t)bytes[i] << (i % 2 == 0 ? 8 : 0);
		while (sum >> 16 != 0)
			sum = (sum & 0xffff) + (sum >> 16);
		assert_int_equal(ntohs(mr_checksum_fold(mr_checksum_sum(bytes, n))), sum);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(datagram_is_found_with_both_ends),
		cmocka_unit_test(ethernet_padding_is_cut_off),
		cmocka_unit_test(every_truncation_is_a_fault),
		cmocka_unit_test(every_flipped_bit_of_a_datagram_is_noticed),
		cmocka_unit_test(device_that_has_checked_is_believed),
		cmocka_unit_test(absent_checksum_is_good_in_ip4_alone),
		cmocka_unit_test(faults_of_ip4),
		cmocka_unit_test(faults_of_ip6),
		cmocka_unit_test(options_of_ip4_are_skipped),
		cmocka_unit_test(extension_headers_are_skipped),
		cmocka_unit_test(extension_headers_that_may_not_be_skipped_are_faults),
		cmocka_unit_test(faults_of_udp),
		cmocka_unit_test(arp_for_the_ports_address_is_answered),
		cmocka_unit_test(other_arp_is_nothing_of_ours),
		cmocka_unit_test(impossible_sources_get_no_answer),
		cmocka_unit_test(solicitation_is_answered_with_an_advertisement),
		cmocka_unit_test(duplicate_address_detection_hears_that_the_address_is_taken),
		cmocka_unit_test(bad_solicitations_are_not_answered),
		cmocka_unit_test(echo_comes_back),
		cmocka_unit_test(other_icmp_is_not_answered),
		cmocka_unit_test(checksum_is_the_plain_one),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
