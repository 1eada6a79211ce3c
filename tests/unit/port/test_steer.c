/* SPDX-License-Identifier: Apache-2.0 */
/* The XDP program in the kernel, packet by packet (BPF_PROG_TEST_RUN). Each packet must have its
 * action, raise exactly its counter, and be left as it was. The same code compiled for user space
 * must agree. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <linux/if_xdp.h>
#include <net/if.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <linux/bpf.h>

#include "tests/unit/worker/cmocka_all.h"

#include "dataplane/port/xdp/classify.h"
#include "dataplane/port/xdp/steer.h"

#define QUEUES   4
#define UMEM     (16 * 4096)
#define PORT     7400
#define BUS_MAC  2, 0, 0, 0, 0, 1
#define PEER_MAC 2, 0, 0, 0, 0, 2
#define BUS4     10, 77, 0, 1
#define PEER4    10, 77, 0, 2
#define BUS6     0xfd, 0x77, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1
#define PEER6    0xfd, 0x77, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2

static struct mr_steer *steer;
static struct mr_xdp_settings settings;
static unsigned tap_index;

/* ---- packets */

static uint8_t packet[512];
static size_t used;

#define ADD(...)                                                                                   \
	do {                                                                                       \
		const uint8_t part_[] = {__VA_ARGS__};                                             \
		memcpy(packet + used, part_, sizeof(part_));                                       \
		used += sizeof(part_);                                                             \
	} while (0)

static void start(void)
{
	used = 0;
	ADD(BUS_MAC, PEER_MAC);
}

static void add_type(unsigned type)
{
	ADD((uint8_t)(type >> 8), (uint8_t)type);
}

/* `words`: of the header, with its options. The options are of the kind "no operation". */
static void add_ip4(unsigned words, unsigned protocol, unsigned fragment)
{
	add_type(0x0800);
	ADD((uint8_t)(0x40 | words), 0, 0, 44, 0, 1, (uint8_t)(fragment >> 8), (uint8_t)fragment,
		64, (uint8_t)protocol, 0, 0, PEER4, BUS4);
	for (unsigned i = 5; i < words; i++)
		ADD(1, 1, 1, 1);
}

static void add_ip6(unsigned next)
{
	add_type(0x86dd);
	ADD(0x60, 0, 0, 0, 0, 24, (uint8_t)next, 64, PEER6, BUS6);
}

/* An extension header of 8 * (words + 1) bytes. */
static void add_extension(unsigned next, unsigned words)
{
	ADD((uint8_t)next, (uint8_t)words, 0, 0, 0, 0, 0, 0);
	for (unsigned i = 0; i < words; i++)
		ADD(0, 0, 0, 0, 0, 0, 0, 0);
}

static void add_udp(unsigned to)
{
	ADD(0x0f, 0xa1, (uint8_t)(to >> 8), (uint8_t)to, 0, 16, 0, 0);
	ADD('p', 'a', 'y', 'l', 'o', 'a', 'd', '!');
}

static void add_arp(uint8_t last_of_target)
{
	add_type(0x0806);
	ADD(0, 1, 8, 0, 6, 4, 0, 1, PEER_MAC, PEER4, 0, 0, 0, 0, 0, 0, 10, 77, 0, last_of_target);
}

/* A solicitation to the solicited-node address of ...:1 that asks for fd77::`last`. */
static void make_solicitation(uint8_t last)
{
	used = 0;
	ADD(0x33, 0x33, 0xff, 0, 0, 1, PEER_MAC);
	add_type(0x86dd);
	ADD(0x60, 0, 0, 0, 0, 32, 58, 255, PEER6);
	ADD(0xff, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0xff, 0, 0, 1);
	ADD(135, 0, 0, 0, 0, 0, 0, 0, 0xfd, 0x77, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, last);
	ADD(1, 1, PEER_MAC);
}

static void make_udp4(void)
{
	start();
	add_ip4(5, IPPROTO_UDP, 0x4000);
	add_udp(PORT);
}

static void make_udp6(void)
{
	start();
	add_ip6(IPPROTO_UDP);
	add_udp(PORT);
}

/* ---- the program */

static struct mr_xdp_counts counts_of(uint32_t queue)
{
	struct mr_xdp_counts c;

	assert_int_equal(mr_steer_counts(steer, queue, &c), 0);
	return c;
}

static enum mr_xdp_verdict classify(size_t bytes)
{
	uint8_t *copy = malloc(bytes);
	enum mr_xdp_verdict v;

	assert_non_null(copy);
	memcpy(copy, packet, bytes);
	v = mr_xdp_classify(&settings, copy, copy + bytes);
	free(copy);
	return v;
}

/* Runs the program on the packet's first bytes as if they came on a queue of the tap. */
static uint32_t run(size_t bytes, uint32_t queue)
{
	struct xdp_md context = {.data_end = (uint32_t)bytes};
	uint8_t after[sizeof(packet)];
	LIBBPF_OPTS(bpf_test_run_opts, o, .data_in = packet, .data_size_in = (uint32_t)bytes,
		.data_out = after, .data_size_out = sizeof(after), .ctx_in = &context,
		.ctx_size_in = sizeof(context), .repeat = 1);

	context.ingress_ifindex = tap_index;
	context.rx_queue_index = queue;
	assert_int_equal(bpf_prog_test_run_opts(mr_steer_program_fd(steer), &o), 0);
	assert_int_equal(o.data_size_out, bytes);
	assert_memory_equal(after, packet, bytes);
	return o.retval;
}

/* Expects a verdict on the packet's first bytes, on a queue that has a socket or not. */
static void expect_on(size_t bytes, uint32_t queue, bool socket, enum mr_xdp_verdict wanted)
{
	struct mr_xdp_counts before = counts_of(queue), after;
	uint32_t action = run(bytes, queue);

	after = counts_of(queue);
	for (unsigned v = 0; v < MR_XDP_VERDICTS_COUNT; v++)
		if (after.packets[v] - before.packets[v] != (v == wanted))
			fail_msg("verdict %u counted %llu times instead of %u", v,
				(unsigned long long)(after.packets[v] - before.packets[v]),
				v == wanted);
	assert_int_equal(action, wanted == MR_XDP_BUS ? XDP_REDIRECT : XDP_PASS);
	if (socket)
		assert_int_equal(classify(bytes), wanted);
}

static void expect(enum mr_xdp_verdict wanted)
{
	expect_on(used, 0, true, wanted);
}

static void expect_bytes(size_t bytes, enum mr_xdp_verdict wanted)
{
	expect_on(bytes, 0, true, wanted);
}

static void set(bool own)
{
	static const uint8_t mac[6] = {BUS_MAC}, ip4[4] = {BUS4}, ip6[16] = {BUS6};

	settings = (struct mr_xdp_settings){
		.udp_port = htons(PORT),
		.ip4_count = 1,
		.ip6_count = 1,
		.own4 = own,
		.own6 = own,
	};
	memcpy(settings.mac, mac, sizeof(mac));
	memcpy(&settings.ip4[0], ip4, sizeof(ip4));
	memcpy(&settings.ip6[0], ip6, sizeof(ip6));
	assert_int_equal(mr_steer_set(steer, &settings), 0);
}

/* ---- a tap with queues, and sockets without an interface */

static void ring(int fd, int option)
{
	int entries = 64;

	assert_int_equal(setsockopt(fd, SOL_XDP, option, &entries, sizeof(entries)), 0);
}

/* Puts an AF_XDP socket into the program's map. It is never bound, and receives nothing. */
static void add_socket(uint32_t queue)
{
	struct xdp_umem_reg umem = {.len = UMEM, .chunk_size = 4096};
	void *memory = mmap(NULL, UMEM, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	int fd = socket(AF_XDP, SOCK_RAW, 0);

	assert_true(memory != MAP_FAILED && fd >= 0);
	umem.addr = (uint64_t)(uintptr_t)memory;
	assert_int_equal(setsockopt(fd, SOL_XDP, XDP_UMEM_REG, &umem, sizeof(umem)), 0);
	ring(fd, XDP_UMEM_FILL_RING);
	ring(fd, XDP_UMEM_COMPLETION_RING);
	ring(fd, XDP_RX_RING);
	assert_int_equal(bpf_map_update_elem(mr_steer_sockets_fd(steer), &queue, &fd, BPF_ANY), 0);
}

/* Makes an interface with QUEUES receive queues, in a network of this process alone. */
static int open_tap(void)
{
	struct ifreq r = {.ifr_flags = IFF_TAP | IFF_NO_PI | IFF_MULTI_QUEUE};

	if (unshare(CLONE_NEWNET) != 0)
		return -errno;
	snprintf(r.ifr_name, sizeof(r.ifr_name), "mrtest");
	for (unsigned i = 0; i < QUEUES; i++) {
		int fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC);

		if (fd < 0 || ioctl(fd, TUNSETIFF, &r) < 0)
			return -errno;
	}
	tap_index = if_nametoindex("mrtest");
	return 0;
}

/* ---- tests */

static void udp_to_the_bus_is_redirected(void **state)
{
	(void)state;
	for (int own = 0; own < 2; own++) {
		set(own != 0);
		make_udp4();
		expect(MR_XDP_BUS);
		make_udp6();
		expect(MR_XDP_BUS);
	}
}

static void each_address_of_the_port_is_known(void **state)
{
	static const uint8_t ip4[4] = {BUS4}, ip6[16] = {BUS6};

	(void)state;
	set(false);
	for (unsigned i = 0; i < MR_XDP_ADDRESSES_MAX; i++) {
		memset(settings.ip4, 9, sizeof(settings.ip4));
		memset(settings.ip6, 9, sizeof(settings.ip6));
		settings.ip4_count = settings.ip6_count = (uint16_t)(i + 1);
		memcpy(&settings.ip4[i], ip4, sizeof(ip4));
		memcpy(&settings.ip6[i], ip6, sizeof(ip6));
		assert_int_equal(mr_steer_set(steer, &settings), 0);
		make_udp4();
		expect(MR_XDP_BUS);
		make_udp6();
		expect(MR_XDP_BUS);
		settings.ip4_count = settings.ip6_count = (uint16_t)i;
		assert_int_equal(mr_steer_set(steer, &settings), 0);
		expect(MR_XDP_OTHER);
		make_udp4();
		expect(MR_XDP_OTHER);
	}
}

static void options_and_extension_headers_are_skipped(void **state)
{
	(void)state;
	set(false);
	for (unsigned words = 6; words <= 15; words++) {
		start();
		add_ip4(words, IPPROTO_UDP, 0);
		add_udp(PORT);
		expect(MR_XDP_BUS);
	}
	for (unsigned words = 0; words < 4; words++) {
		start();
		add_ip6(IPPROTO_HOPOPTS);
		add_extension(IPPROTO_ROUTING, words);
		add_extension(IPPROTO_DSTOPTS, 0);
		add_extension(IPPROTO_UDP, words);
		add_udp(PORT);
		expect(MR_XDP_BUS);
	}
	start();
	add_ip6(IPPROTO_AH);
	ADD(IPPROTO_UDP, 4, 0, 0, 0, 0, 0, 1, 0, 0, 0, 1); /* 24 bytes: (4 + 2) words of 4 */
	ADD(1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12);
	add_udp(PORT);
	expect(MR_XDP_BUS);
}

static void too_many_extension_headers_go_to_the_kernel(void **state)
{
	(void)state;
	set(false);
	for (int count = MR_XDP_EXTENSIONS_MAX; count <= MR_XDP_EXTENSIONS_MAX + 1; count++) {
		start();
		add_ip6(IPPROTO_DSTOPTS);
		for (int i = 1; i < count; i++)
			add_extension(IPPROTO_DSTOPTS, 0);
		add_extension(IPPROTO_UDP, 0);
		add_udp(PORT);
		expect(count > MR_XDP_EXTENSIONS_MAX ? MR_XDP_OTHER : MR_XDP_BUS);
	}
}

static void fragments_go_to_the_kernel(void **state)
{
	static const unsigned fragments[] = {0x2000, 0x0001, 0x1fff, 0x3fff, 0x6000};

	(void)state;
	set(false);
	for (size_t i = 0; i < sizeof(fragments) / sizeof(fragments[0]); i++) {
		start();
		add_ip4(5, IPPROTO_UDP, fragments[i]);
		add_udp(PORT);
		expect(MR_XDP_FRAGMENT);
	}
	start();
	add_ip6(IPPROTO_FRAGMENT);
	add_extension(IPPROTO_UDP, 0);
	add_udp(PORT);
	expect(MR_XDP_FRAGMENT);
	start();
	add_ip6(IPPROTO_HOPOPTS);
	add_extension(IPPROTO_FRAGMENT, 0);
	add_extension(IPPROTO_UDP, 0);
	add_udp(PORT);
	expect(MR_XDP_FRAGMENT);
}

static void everything_else_goes_to_the_kernel(void **state)
{
	static const unsigned protocols[] = {IPPROTO_TCP, IPPROTO_ICMP, IPPROTO_SCTP, 0};

	(void)state;
	set(false);
	start();
	add_ip4(5, IPPROTO_UDP, 0);
	add_udp(PORT + 1);
	expect(MR_XDP_OTHER);
	start();
	add_ip6(IPPROTO_UDP);
	add_udp(53);
	expect(MR_XDP_OTHER);
	for (size_t i = 0; i < sizeof(protocols) / sizeof(protocols[0]); i++) {
		start();
		add_ip4(5, protocols[i], 0);
		add_udp(PORT);
		expect(MR_XDP_OTHER);
	}
	start();
	add_ip6(IPPROTO_ICMPV6);
	add_udp(PORT);
	expect(MR_XDP_OTHER);
	start();
	add_ip6(IPPROTO_ESP);
	add_udp(PORT);
	expect(MR_XDP_OTHER);
	make_udp4();
	packet[33] ^= 1; /* another IPv4 address */
	expect(MR_XDP_OTHER);
	make_udp6();
	packet[53] ^= 2; /* another IPv6 address */
	expect(MR_XDP_OTHER);
	start();
	add_type(0x88cc);
	ADD(1, 2, 3, 4);
	expect(MR_XDP_NOT_IP);
}

static void the_kernel_keeps_arp_and_neighbour_discovery(void **state)
{
	(void)state;
	set(false);
	start();
	add_arp(1);
	expect(MR_XDP_NOT_IP);
	memset(packet, 0xff, 6);
	expect(MR_XDP_NOT_IP);
	make_solicitation(1);
	expect(MR_XDP_OTHER);
}

static void the_bus_has_all_for_an_address_of_its_own(void **state)
{
	(void)state;
	set(true);
	start();
	add_arp(1);
	expect(MR_XDP_BUS);
	memset(packet, 0xff, 6);
	expect(MR_XDP_BUS);
	start();
	add_arp(9);
	expect(MR_XDP_NOT_IP);
	make_solicitation(1);
	expect(MR_XDP_BUS);
	make_solicitation(9);
	expect(MR_XDP_OTHER);
	start();
	add_ip4(5, IPPROTO_TCP, 0);
	ADD(0, 80);
	expect(MR_XDP_BUS);
	start();
	add_ip4(5, IPPROTO_UDP, 0x2000);
	add_udp(PORT);
	expect(MR_XDP_BUS);
	start();
	add_ip6(IPPROTO_ICMPV6);
	ADD(128, 0, 0, 0);
	expect(MR_XDP_BUS);
}

/* The second address is the kernel's: the bus takes only its UDP port there. */
static void an_address_of_the_kernel_stands_beside_one_of_the_bus(void **state)
{
	(void)state;
	set(true);
	memcpy(&settings.ip4[1], (const uint8_t[]){10, 77, 0, 9}, 4);
	settings.ip6[1] = settings.ip6[0];
	((uint8_t *)&settings.ip6[1])[15] = 9;
	settings.ip4_count = settings.ip6_count = 2;
	assert_int_equal(mr_steer_set(steer, &settings), 0);
	start();
	add_arp(1);
	expect(MR_XDP_BUS);
	start();
	add_arp(9);
	expect(MR_XDP_NOT_IP);
	make_solicitation(9);
	expect(MR_XDP_OTHER);
	start();
	add_ip4(5, IPPROTO_TCP, 0);
	expect(MR_XDP_BUS);
	packet[33] = 9;
	expect(MR_XDP_OTHER);
	make_udp4();
	packet[33] = 9;
	expect(MR_XDP_BUS);
	make_udp6();
	packet[53] = 9;
	expect(MR_XDP_BUS);
}

static void other_ethernet_addresses_are_not_ours(void **state)
{
	(void)state;
	for (int own = 0; own < 2; own++) {
		set(own != 0);
		for (int byte = 0; byte < 6; byte++) {
			make_udp4();
			packet[byte] ^= 0x10;
			expect(MR_XDP_OTHER);
			make_udp6();
			packet[byte] ^= 0x11;
			expect(MR_XDP_OTHER);
		}
		make_udp4();
		memset(packet, 0xff, 6);
		expect(MR_XDP_OTHER);
		start();
		packet[5] = 9;
		add_arp(1);
		expect(MR_XDP_OTHER);
	}
}

static void tagged_packets_go_to_the_kernel(void **state)
{
	(void)state;
	set(false);
	start();
	add_type(0x8100);
	ADD(0, 5);
	add_ip4(5, IPPROTO_UDP, 0);
	add_udp(PORT);
	expect(MR_XDP_TAGGED);
	start();
	add_type(0x88a8);
	ADD(0, 5);
	add_type(0x8100);
	ADD(0, 6);
	add_ip6(IPPROTO_UDP);
	add_udp(PORT);
	expect(MR_XDP_TAGGED);
}

/* Cuts a packet everywhere: the program sees its end, and never reads behind it. */
static void packets_cut_short_are_malformed(void **state)
{
	(void)state;
	set(false);
	make_udp4();
	for (size_t bytes = 14; bytes < used; bytes++)
		expect_bytes(bytes, bytes < 14 + 20 + 8 ? MR_XDP_MALFORMED : MR_XDP_BUS);
	start();
	add_ip4(15, IPPROTO_UDP, 0);
	add_udp(PORT);
	for (size_t bytes = 14; bytes < used; bytes++)
		expect_bytes(bytes, bytes < 14 + 60 + 8 ? MR_XDP_MALFORMED : MR_XDP_BUS);
	start();
	add_ip6(IPPROTO_HOPOPTS);
	add_extension(IPPROTO_UDP, 2);
	add_udp(PORT);
	for (size_t bytes = 14; bytes < used; bytes++)
		expect_bytes(bytes, bytes < 14 + 40 + 24 + 8 ? MR_XDP_MALFORMED : MR_XDP_BUS);
	set(true);
	start();
	add_arp(1);
	for (size_t bytes = 14; bytes < used; bytes++)
		expect_bytes(bytes, MR_XDP_MALFORMED);
}

static void headers_that_contradict_are_malformed(void **state)
{
	(void)state;
	set(false);
	for (unsigned words = 0; words < 5; words++) {
		make_udp4();
		packet[14] = (uint8_t)(0x40 | words);
		expect(MR_XDP_MALFORMED);
	}
	make_udp4();
	packet[14] = 0x65;
	expect(MR_XDP_MALFORMED);
	make_udp6();
	packet[14] = 0x45;
	expect(MR_XDP_MALFORMED);
}

static void each_queue_has_its_socket_and_its_counters(void **state)
{
	(void)state;
	if (tap_index == 0) {
		print_message("no /dev/net/tun: queues are not tested\n");
		skip();
	}
	set(false);
	make_udp4();
	for (uint32_t queue = 0; queue < QUEUES; queue++)
		expect_on(used, queue, false, queue < 2 ? MR_XDP_BUS : MR_XDP_NO_SOCKET);
	assert_int_equal(counts_of(3).packets[MR_XDP_NO_SOCKET], 1);
	assert_int_equal(counts_of(3).packets[MR_XDP_BUS], 0);
}

static void random_frames_have_one_verdict(void **state)
{
	static const unsigned kinds[] = {0x0800, 0x86dd, 0x0806, 0x8100, 0x88cc};
	unsigned seed = 7;

	(void)state;
	for (int i = 0; i < 20000; i++) {
		struct mr_xdp_counts before = counts_of(0), after;
		size_t bytes = 14 + (size_t)(rand_r(&seed) % 200);
		uint64_t sum = 0;

		set(rand_r(&seed) % 2 != 0);
		rand_r(&seed) % 2 != 0 ? make_udp4() : make_udp6();
		for (size_t b = used; b < bytes; b++)
			packet[b] = (uint8_t)rand_r(&seed);
		for (int flips = rand_r(&seed) % 8; flips > 0; flips--)
			packet[(size_t)rand_r(&seed) % bytes] = (uint8_t)rand_r(&seed);
		if (rand_r(&seed) % 8 == 0) {
			used = 12;
			add_type(kinds[rand_r(&seed) % 5]);
		}
		expect_bytes(bytes, classify(bytes));
		after = counts_of(0);
		for (unsigned v = 0; v < MR_XDP_VERDICTS_COUNT; v++)
			sum += after.packets[v] - before.packets[v];
		assert_int_equal(sum, 1);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(udp_to_the_bus_is_redirected),
		cmocka_unit_test(each_address_of_the_port_is_known),
		cmocka_unit_test(options_and_extension_headers_are_skipped),
		cmocka_unit_test(too_many_extension_headers_go_to_the_kernel),
		cmocka_unit_test(fragments_go_to_the_kernel),
		cmocka_unit_test(everything_else_goes_to_the_kernel),
		cmocka_unit_test(the_kernel_keeps_arp_and_neighbour_discovery),
		cmocka_unit_test(the_bus_has_all_for_an_address_of_its_own),
		cmocka_unit_test(an_address_of_the_kernel_stands_beside_one_of_the_bus),
		cmocka_unit_test(other_ethernet_addresses_are_not_ours),
		cmocka_unit_test(tagged_packets_go_to_the_kernel),
		cmocka_unit_test(packets_cut_short_are_malformed),
		cmocka_unit_test(headers_that_contradict_are_malformed),
		cmocka_unit_test(each_queue_has_its_socket_and_its_counters),
		cmocka_unit_test(random_frames_have_one_verdict),
	};
	int error = mr_steer_open(&settings, &steer), failed;

	if (error == -EPERM || error == -ENOSYS) {
		printf("skipped: BPF is not permitted here: %s\n", strerror(-error));
		return 77;
	}
	if (error != 0) {
		printf("the program cannot be loaded: %s\n", strerror(-error));
		return 1;
	}
	if (open_tap() != 0)
		tap_index = 0;
	add_socket(0);
	add_socket(1);
	failed = cmocka_run_group_tests(tests, NULL, NULL);
	mr_steer_close(steer);
	return failed;
}
