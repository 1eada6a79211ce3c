/* SPDX-License-Identifier: Apache-2.0 */
/* bench_xdp: measures the XDP program on one packet, in the kernel (BPF_PROG_TEST_RUN).
 *
 * The program runs over one packet many times in one system call. "empty" is a program that only
 * returns: what the kernel's loop costs. The kernel gives whole nanoseconds. No queue has a socket,
 * so the hand-over to a socket is not a part of the figures; the look-up of the socket is.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <bpf/bpf.h>
#include <linux/bpf.h>

#include "bench/micro/support/bench.h"
#include "dataplane/port/xdp/steer.h"
#include "lib/config/port_rule.h"

static uint64_t packets = 200000;

static const struct bench_option options[] = {
	{"packets", &packets, 1000, 10000000, "packets a round", NULL},
};

static const uint8_t packet4[] = {2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 8, 0,   /* */
	0x45, 0, 0, 36, 0, 1, 0, 0, 64, 17, 0, 0, 10, 77, 0, 2, 10, 77, 0, 1, /* */
	0x0f, 0xa1, 0x1c, 0xe8, 0, 16, 0, 0, 'p', 'a', 'y', 'l', 'o', 'a', 'd', '!'};
static const uint8_t packet6[] = {2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 0x86, 0xdd, /* */
	0x60, 0, 0, 0, 0, 16, 17, 64,                                             /* */
	0xfd, 0x77, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2,                     /* */
	0xfd, 0x77, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1,                     /* */
	0x0f, 0xa1, 0x1c, 0xe8, 0, 16, 0, 0, 'p', 'a', 'y', 'l', 'o', 'a', 'd', '!'};

struct work {
	int program_fd;
	const uint8_t *packet;
	uint32_t bytes;
	double cycles_per_ns;
};

static void need(int error, const char *what)
{
	if (error == 0)
		return;
	fprintf(stderr, "bench_xdp: %s: %s\n", what, strerror(-error));
	exit(2);
}

/* Returns the time that the kernel measures around the packets alone, in cycles. The call takes
 * some 30 ms beside that. */
static uint64_t run(void *context)
{
	const struct work *w = context;
	LIBBPF_OPTS(bpf_test_run_opts, o, .data_in = w->packet, .data_size_in = w->bytes,
		.repeat = (int)packets);

	need(bpf_prog_test_run_opts(w->program_fd, &o), "BPF_PROG_TEST_RUN");
	return (uint64_t)((double)o.duration * (double)packets * w->cycles_per_ns);
}

/* Loads a program that returns XDP_PASS. */
static int load_empty(void)
{
	const struct bpf_insn code[] = {
		{.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_0, .imm = XDP_PASS},
		{.code = BPF_JMP | BPF_EXIT},
	};
	int fd = bpf_prog_load(BPF_PROG_TYPE_XDP, "empty", "GPL", code, 2, NULL);

	need(fd < 0 ? fd : 0, "loading a program (it needs CAP_BPF and CAP_NET_ADMIN)");
	return fd;
}

static struct mr_steer *open_steer(void)
{
	struct mr_xdp_settings s = {.udp_port = htons(7400), .ip4_count = 1, .ip6_count = 1};
	struct mr_steer *steer;

	memcpy(s.mac, packet4, sizeof(s.mac));
	memcpy(&s.ip4[0], packet4 + 30, sizeof(s.ip4[0]));
	memcpy(&s.ip6[0], packet6 + 38, sizeof(s.ip6[0]));
	need(mr_steer_open(&s, &steer), "the XDP program");
	return steer;
}

static void set(struct mr_steer *steer, enum mrf_port_rule_kind kind, const char *network,
	uint32_t rate, uint32_t burst)
{
	struct mr_config_rule r = {.kind = kind, .rate = rate, .burst = burst};
	const char *expected = "";

	if (network != NULL)
		need(mr_config_rule_network(network, &r, &expected), expected);
	need(mr_steer_rule_set(steer, &r), "a rule");
}

/* Adds 1,000 networks to each table. */
static void set_many(struct mr_steer *steer, enum mrf_port_rule_kind kind)
{
	char network[32];

	for (unsigned i = 0; i < 1000; i++) {
		snprintf(network, sizeof(network), "10.%u.%u.0/24", i / 250, i % 250);
		set(steer, kind, network, 10000000, 10000000);
	}
}

static void measure(
	struct bench *b, const char *what, int fd, const uint8_t *packet, uint32_t bytes)
{
	struct work w = {
		.program_fd = fd,
		.packet = packet,
		.bytes = bytes,
		.cycles_per_ns = b->cycles_per_ns,
	};

	bench_measure(b, what, packets, run, &w);
}

static void measure_limits(struct bench *b, struct mr_steer *steer)
{
	int fd = mr_steer_program_fd(steer);

	set(steer, MRF_PORT_RULE_KIND_SOURCES, NULL, 10000000, 100000000);
	measure(b, "limit sources, IPv4", fd, packet4, sizeof(packet4));
	measure(b, "limit sources, IPv6", fd, packet6, sizeof(packet6));
	set(steer, MRF_PORT_RULE_KIND_NEW, NULL, 1, 1);
	measure(b, "limit sources and new, IPv4", fd, packet4, sizeof(packet4));
	set(steer, MRF_PORT_RULE_KIND_SOURCES, NULL, 1, 1);
	measure(b, "dropped: its source is limited", fd, packet4, sizeof(packet4));
	set(steer, MRF_PORT_RULE_KIND_SOURCES, NULL, 10000000, 100000000);
	set_many(steer, MRF_PORT_RULE_KIND_PREFIX);
	measure(b, "and 1,000 networks with limits, IPv4", fd, packet4, sizeof(packet4));
	set_many(steer, MRF_PORT_RULE_KIND_ALLOW);
	measure(b, "and 1,000 allowed networks, IPv4", fd, packet4, sizeof(packet4));
}

static void measure_unknown(struct bench *b)
{
	struct mr_steer *steer = open_steer();

	set(steer, MRF_PORT_RULE_KIND_NEW, NULL, 1, 1);
	measure(b, "limit new, of a source", mr_steer_program_fd(steer), packet4, sizeof(packet4));
	/* That source took the only token. */
	measure(b, "dropped: new sources are limited", mr_steer_program_fd(steer), packet6,
		sizeof(packet6));
	mr_steer_close(steer);
}

int main(int argc, char **argv)
{
	uint8_t other[sizeof(packet4)];
	struct mr_steer *steer;
	struct bench b;
	int fd;

	bench_open(&b, "xdp", argc, argv, options, MR_ARRAY_COUNT(options));
	steer = open_steer();
	fd = mr_steer_program_fd(steer);
	memcpy(other, packet4, sizeof(other));
	other[23] = IPPROTO_TCP;
	measure(&b, "empty program", load_empty(), packet4, sizeof(packet4));
	measure(&b, "for the kernel (TCP), IPv4", fd, other, sizeof(other));
	measure(&b, "for the bus, IPv4", fd, packet4, sizeof(packet4));
	measure(&b, "for the bus, IPv6", fd, packet6, sizeof(packet6));
	measure_limits(&b, steer);
	mr_steer_close(steer);
	measure_unknown(&b);
	bench_close(&b);
	return 0;
}
