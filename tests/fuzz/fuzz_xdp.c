/* SPDX-License-Identifier: Apache-2.0 */
/* fuzz_xdp: a frame through the XDP program, in user space under the sanitizers and, where BPF is
 * permitted, in the kernel (BPF_PROG_TEST_RUN). Both must agree. A frame to the port's Ethernet
 * address that a worker would take goes to the bus. One to a group's address need not.
 *
 * Sources in 10.98.0.0/16 and fd98::/16 are denied, and each has a limit that no input reaches.
 *
 * The first byte selects the settings: bit 0 says that IPv4 is the bus's alone, bit 1 IPv6. The
 * frame ends where its allocation ends.
 */
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include <bpf/bpf.h>
#include <linux/bpf.h>

#include "dataplane/port/packet.h"
#include "dataplane/port/xdp/guard.h"
#include "dataplane/port/xdp/steer.h"
#include "lib/config/port_rule.h"

/* The kernel takes no shorter frames, and no longer ones than a page with its headroom. */
#define KERNEL_BYTES_MIN 14u
#define KERNEL_BYTES_MAX 3000u

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct mr_port port = {
	.udp_port = 7400,
	.mac = {2, 0, 0, 0, 0, 1},
	.addresses_count = 2,
	.addresses =
		{
			{{{[10] = 0xff, [11] = 0xff, 10, 77, 0, 1}}, 120},
			{{{0xfd, 0x77, [15] = 1}}, 64},
		},
};

static struct mr_steer *steer; /* NULL: not permitted */

static void expect(bool ok)
{
	if (!ok)
		abort();
}

static struct mr_xdp_settings make_settings(uint8_t own)
{
	struct mr_xdp_settings s = {
		.udp_port = __builtin_bswap16(7400),
		.ip4_count = 1,
		.ip6_count = 1,
		.own4 = own & 1,
		.own6 = own >> 1 & 1,
	};

	memcpy(s.mac, port.mac, sizeof(s.mac));
	memcpy(&s.ip4[0], &port.addresses[0].address.bytes[12], sizeof(s.ip4[0]));
	memcpy(&s.ip6[0], &port.addresses[1].address, sizeof(s.ip6[0]));
	return s;
}

static uint64_t counted(enum mr_xdp_verdict v)
{
	struct mr_xdp_counts c;

	expect(mr_steer_counts(steer, 0, &c) == 0);
	return c.packets[v];
}

/* Returns the end of a packet for the bus. No queue has a socket, so the kernel keeps it, unless
 * its source is denied. */
static enum mr_xdp_verdict guarded(const uint8_t *at, uint32_t bytes)
{
	struct mr_xdp_guard g = {.seeds = {1, 3}};
	struct mr_xdp_set set = {0};
	struct mr_xdp_prefix p;
	uint64_t key;

	if (!mr_xdp_source(at, at + bytes, &p))
		return MR_XDP_NO_SOCKET;
	key = mr_xdp_source_key(&p);
	expect(mr_xdp_set_of(&g, key) < 1u << MR_XDP_SETS_BITS);
	expect(mr_xdp_find(&set, key) == MR_XDP_WAYS);
	mr_xdp_remember(&set, key, 1);
	expect(mr_xdp_find(&set, key) < MR_XDP_WAYS);
	return memcmp(p.address, p.family == 4 ? "\x0a\x62" : "\xfd\x98", 2) == 0
		       ? MR_XDP_DENIED
		       : MR_XDP_NO_SOCKET;
}

static void run_in_kernel(const uint8_t *at, uint32_t bytes, enum mr_xdp_verdict v)
{
	enum mr_xdp_verdict wanted = v == MR_XDP_BUS ? guarded(at, bytes) : v;
	uint64_t before = counted(wanted);
	uint8_t after[KERNEL_BYTES_MAX];
	LIBBPF_OPTS(bpf_test_run_opts, o, .data_in = at, .data_size_in = bytes, .data_out = after,
		.data_size_out = sizeof(after), .repeat = 1);

	expect(bpf_prog_test_run_opts(mr_steer_program_fd(steer), &o) == 0);
	expect(o.retval == (wanted == MR_XDP_DENIED ? XDP_DROP : XDP_PASS));
	expect(o.data_size_out == bytes);
	expect(memcmp(at, after, bytes) == 0);
	expect(counted(wanted) == before + 1);
}

static void deny(const char *network)
{
	struct mr_config_rule r = {.kind = MRF_PORT_RULE_KIND_DENY};
	const char *expected;

	expect(mr_config_rule_network(network, &r, &expected) == 0);
	expect(mr_steer_rule_set(steer, &r) == 0);
}

static void start(void)
{
	static bool started;
	const struct mr_config_rule limit = {.kind = MRF_PORT_RULE_KIND_SOURCES,
		.rate = MR_CONFIG_RATE_MAX,
		.burst = 10 * MR_CONFIG_RATE_MAX};
	struct mr_xdp_settings s = make_settings(0);

	if (started)
		return;
	started = true;
	if (mr_steer_open(&s, &steer) != 0) {
		steer = NULL;
		return;
	}
	deny("10.98.0.0/16");
	deny("fd98::/16");
	expect(mr_steer_rule_set(steer, &limit) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct mr_xdp_settings s;
	enum mr_xdp_verdict v;
	struct mr_packet k;
	uint8_t *at;
	uint32_t bytes;

	if (size < 1)
		return 0;
	start();
	bytes = (uint32_t)size - 1;
	s = make_settings(data[0]);
	at = malloc(bytes > 0 ? bytes : 1);
	expect(at != NULL);
	memcpy(at, data + 1, bytes);
	v = mr_xdp_classify(&s, at, at + bytes);
	expect(v < MR_XDP_VERDICTS_COUNT && v != MR_XDP_NO_SOCKET);
	if (mr_packet_parse(&port, at, bytes, MR_PACKET_IP_CHECKED | MR_PACKET_UDP_CHECKED, &k) ==
			MR_PACKET_OK &&
		k.kind == MR_PACKET_FRAME && memcmp(at, port.mac, sizeof(port.mac)) == 0)
		expect(v == MR_XDP_BUS);
	if (steer != NULL && bytes >= KERNEL_BYTES_MIN && bytes <= KERNEL_BYTES_MAX) {
		expect(mr_steer_set(steer, &s) == 0);
		run_in_kernel(at, bytes, v);
	}
	free(at);
	return 0;
}
