/* SPDX-License-Identifier: Apache-2.0 */
/* The generator's own addresses and the bus's: parses them, asks for the bus by ARP. */
#include "bench/e2e/frames/generator.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include <rte_arp.h>
#include <rte_ether.h>
#include <rte_mbuf.h>

#include "bench/micro/support/bench.h"

#define UDP_PORT_DEFAULT 7400u
#define ASK_EVERY_MS     100u
#define ASK_MS_MAX       30000u

struct arp_packet {
	struct rte_ether_hdr ethernet;
	struct rte_arp_hdr arp;
} __attribute__((packed, aligned(2)));

static int parse_address(const char *text, struct mr_address *out)
{
	*out = (struct mr_address){{[10] = 0xff, [11] = 0xff}};
	return inet_pton(AF_INET, text, &out->bytes[12]) == 1 ? 0 : -EINVAL;
}

static int parse_port(const char *colon, uint16_t *out)
{
	unsigned long port;
	char *end;

	*out = UDP_PORT_DEFAULT;
	if (*colon == '\0')
		return 0;
	port = strtoul(colon + 1, &end, 10);
	*out = (uint16_t)port;
	return end != colon + 1 && *end == '\0' && port > 0 && port <= UINT16_MAX ? 0 : -EINVAL;
}

int gen_end_init(struct gen *g, const char *address, const char *bus)
{
	size_t host_bytes = strcspn(bus, ":");
	struct mr_address peer, local;
	char host[64];

	snprintf(host, sizeof(host), "%.*s", (int)host_bytes, bus);
	if (parse_address(address, &local) != 0 || parse_address(host, &peer) != 0 ||
		parse_port(bus + host_bytes, &g->path.peer_udp_port) != 0)
		return -EINVAL;
	memcpy(&g->path.peer_0, &peer, sizeof(peer));
	memcpy(&g->path.local_0, &local, sizeof(local));
	g->end.addresses[0] = (struct mr_port_address){local, 128};
	g->end.addresses_count = 1;
	memcpy(g->end.mac, g->port.mac, sizeof(g->end.mac));
	return 0;
}

void gen_end_set(struct gen *g, const uint8_t mac[MR_ETHER_BYTES])
{
	g->path.peer_mac = 0;
	memcpy(&g->path.peer_mac, mac, MR_ETHER_BYTES);
	gen_headers_make(&g->headers, &g->path, g->port.mac);
}

/* Returns the IPv4 address in a mapped one. */
static uint32_t ip4_of(const uint64_t *mapped)
{
	uint32_t raw;

	memcpy(&raw, (const uint8_t *)mapped + 12, sizeof(raw));
	return raw;
}

static void send_request(struct gen *g)
{
	struct arp_packet a = {
		.ethernet.ether_type = rte_cpu_to_be_16(RTE_ETHER_TYPE_ARP),
		.arp.arp_hardware = rte_cpu_to_be_16(RTE_ARP_HRD_ETHER),
		.arp.arp_protocol = rte_cpu_to_be_16(RTE_ETHER_TYPE_IPV4),
		.arp.arp_hlen = MR_ETHER_BYTES,
		.arp.arp_plen = sizeof(uint32_t),
		.arp.arp_opcode = rte_cpu_to_be_16(RTE_ARP_OP_REQUEST),
		.arp.arp_data.arp_sip = ip4_of(&g->path.local_0),
		.arp.arp_data.arp_tip = ip4_of(&g->path.peer_0),
	};
	uint8_t *at = gen_port_payload(g->single, 0);

	memset(&a.ethernet.dst_addr, 0xff, MR_ETHER_BYTES);
	memcpy(&a.ethernet.src_addr, g->port.mac, MR_ETHER_BYTES);
	memcpy(&a.arp.arp_data.arp_sha, g->port.mac, MR_ETHER_BYTES);
	memcpy(at, &a, sizeof(a));
	gen_port_set(g->single, at, sizeof(a));
	/* If it is lost, another one follows. */
	(void)gen_port_send(&g->port, &g->single, 1);
}

/* True for the reply; takes the address from it. */
static bool take_reply(struct gen *g, const struct rte_mbuf *m)
{
	struct arp_packet a;

	if (m->data_len < sizeof(a))
		return false;
	memcpy(&a, rte_pktmbuf_mtod(m, const void *), sizeof(a));
	if (a.ethernet.ether_type != rte_cpu_to_be_16(RTE_ETHER_TYPE_ARP) ||
		a.arp.arp_opcode != rte_cpu_to_be_16(RTE_ARP_OP_REPLY) ||
		a.arp.arp_data.arp_sip != ip4_of(&g->path.peer_0))
		return false;
	gen_end_set(g, a.arp.arp_data.arp_sha.addr_bytes);
	return true;
}

static bool receive_reply(struct gen *g)
{
	struct rte_mbuf *burst[GEN_BURST];
	uint32_t n = gen_port_receive(&g->port, burst);
	bool found = false;

	for (uint32_t i = 0; i < n; i++)
		found = take_reply(g, burst[i]) || found;
	gen_port_free(burst, n);
	return found;
}

void gen_end_resolve(struct gen *g)
{
	uint64_t start = bench_ns(), asked = 0;

	do {
		uint64_t ms = (bench_ns() - start) / 1000000;

		bench_check(ms < ASK_MS_MAX ? 0 : -EHOSTUNREACH, "the bus's Ethernet address");
		if (ms >= asked * ASK_EVERY_MS) {
			send_request(g);
			asked++;
		}
	} while (!receive_reply(g));
}
