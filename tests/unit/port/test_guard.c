/* SPDX-License-Identifier: Apache-2.0 */
/* Limits and prefixes of the XDP program in the kernel (BPF_PROG_TEST_RUN). No queue has a socket,
 * so a packet that may pass to the bus goes to the kernel and counts as such. */
#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <bpf/bpf.h>
#include <linux/bpf.h>

#include "tests/unit/worker/cmocka_all.h"

#include "lib/config/port_rule.h"
#include "dataplane/port/xdp/guard.h"
#include "dataplane/port/xdp/steer.h"

#define PORT      7400
#define PASSED    MR_XDP_NO_SOCKET
#define SECOND_NS 1000000000ull

static struct mr_steer *steer;

/* ---- packets */

static uint8_t packet[128];
static uint32_t used;

static void add(const void *bytes, size_t count)
{
	memcpy(packet + used, bytes, count);
	used += (uint32_t)count;
}

static void add_udp(void)
{
	static const uint8_t udp[16] = {0x0f, 0xa1, PORT >> 8, PORT & 255, 0, 16};

	add(udp, sizeof(udp));
}

static void make4(const char *from)
{
	static const uint8_t ethernet[14] = {2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 8, 0};
	static const uint8_t to[4] = {10, 77, 0, 1};
	uint8_t ip[16] = {0x45, 0, 0, 36, 0, 1, 0, 0, 64, IPPROTO_UDP};

	used = 0;
	add(ethernet, sizeof(ethernet));
	assert_int_equal(inet_pton(AF_INET, from, ip + 12), 1);
	add(ip, sizeof(ip));
	add(to, sizeof(to));
	add_udp();
}

static void make6(const char *from)
{
	static const uint8_t ethernet[14] = {2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 0x86, 0xdd};
	static const uint8_t to[16] = {0xfd, 0x77, [15] = 1};
	uint8_t ip[24] = {0x60, 0, 0, 0, 0, 16, IPPROTO_UDP, 64};

	used = 0;
	add(ethernet, sizeof(ethernet));
	assert_int_equal(inet_pton(AF_INET6, from, ip + 8), 1);
	add(ip, sizeof(ip));
	add(to, sizeof(to));
	add_udp();
}

/* Runs the packet `times`. Returns how many ended in the verdict, and expects the others in
 * `other`. */
static unsigned run(unsigned times, enum mr_xdp_verdict verdict, enum mr_xdp_verdict other)
{
	struct mr_xdp_counts before, after;
	uint64_t first, second;
	LIBBPF_OPTS(bpf_test_run_opts, o, .data_in = packet, .data_size_in = used,
		.repeat = (int)times);

	assert_int_equal(mr_steer_counts(steer, 0, &before), 0);
	assert_int_equal(bpf_prog_test_run_opts(mr_steer_program_fd(steer), &o), 0);
	assert_int_equal(mr_steer_counts(steer, 0, &after), 0);
	first = after.packets[verdict] - before.packets[verdict];
	second = after.packets[other] - before.packets[other];
	assert_int_equal(verdict == other ? first : first + second, times);
	return (unsigned)first;
}

static void expect(enum mr_xdp_verdict verdict)
{
	struct mr_xdp_counts before, after;
	LIBBPF_OPTS(bpf_test_run_opts, o, .data_in = packet, .data_size_in = used, .repeat = 1);

	assert_int_equal(mr_steer_counts(steer, 0, &before), 0);
	assert_int_equal(bpf_prog_test_run_opts(mr_steer_program_fd(steer), &o), 0);
	assert_int_equal(mr_steer_counts(steer, 0, &after), 0);
	for (unsigned v = 0; v < MR_XDP_VERDICTS_COUNT; v++)
		assert_int_equal(after.packets[v] - before.packets[v], v == verdict);
	assert_int_equal(o.retval, verdict >= MR_XDP_DENIED ? XDP_DROP : XDP_PASS);
}

static void expect4(const char *from, enum mr_xdp_verdict verdict)
{
	make4(from);
	expect(verdict);
}

static void expect6(const char *from, enum mr_xdp_verdict verdict)
{
	make6(from);
	expect(verdict);
}

/* ---- rules */

static struct mr_config_rule rule(enum mrf_port_rule_kind kind, const char *network)
{
	struct mr_config_rule r = {.kind = kind, .rate = 1, .burst = 1};
	const char *expected;

	if (network != NULL)
		assert_int_equal(mr_config_rule_network(network, &r, &expected), 0);
	return r;
}

static int access_rule(enum mrf_port_rule_kind kind, const char *network)
{
	struct mr_config_rule r = rule(kind, network);

	return mr_steer_rule_set(steer, &r);
}

static void limit(enum mrf_port_rule_kind kind, const char *network, uint32_t rate, uint32_t burst)
{
	struct mr_config_rule r = rule(kind, network);

	r.rate = rate;
	r.burst = burst;
	assert_int_equal(mr_steer_rule_set(steer, &r), 0);
}

static int remove_rule(enum mrf_port_rule_kind kind, const char *network)
{
	struct mr_config_rule r = rule(kind, network);

	return mr_steer_rule_remove(steer, &r);
}

static struct mr_xdp_settings settings(void)
{
	static const uint8_t mac[6] = {2, 0, 0, 0, 0, 1}, ip4[4] = {10, 77, 0, 1};
	static const uint8_t ip6[16] = {0xfd, 0x77, [15] = 1};
	struct mr_xdp_settings s = {.udp_port = htons(PORT), .ip4_count = 1, .ip6_count = 1};

	memcpy(s.mac, mac, sizeof(mac));
	memcpy(&s.ip4[0], ip4, sizeof(ip4));
	memcpy(&s.ip6[0], ip6, sizeof(ip6));
	return s;
}

static int open_steer(void **state)
{
	struct mr_xdp_settings s = settings();

	(void)state;
	return mr_steer_open(&s, &steer);
}

static int close_steer(void **state)
{
	(void)state;
	mr_steer_close(steer);
	return 0;
}

/* ---- tests */

static void a_bucket_gives_its_burst_and_then_its_rate(void **state)
{
	const struct mr_xdp_rate rate = {.interval_ns = 1000, .burst_ns = 9000};
	__u64 due = 0, now = 5000000;
	int taken = 0;

	(void)state;
	for (int i = 0; i < 100; i++)
		taken += mr_xdp_take(&due, &rate, now);
	assert_int_equal(taken, 10);
	for (int i = 0; i < 100; i++)
		taken += mr_xdp_take(&due, &rate, now += 500);
	assert_int_equal(taken, 60);
	now += SECOND_NS;
	for (int i = 0; i < 100; i++)
		taken += mr_xdp_take(&due, &rate, now);
	assert_int_equal(taken, 70);
}

static void a_bucket_follows_a_rate_that_is_raised(void **state)
{
	const struct mr_xdp_rate slow = {.interval_ns = SECOND_NS, .burst_ns = 1000 * SECOND_NS};
	const struct mr_xdp_rate fast = {.interval_ns = 1000, .burst_ns = 9000};
	__u64 due = 0, now = 5000000;
	int taken = 0;

	(void)state;
	while (mr_xdp_take(&due, &slow, now))
		taken++;
	assert_int_equal(taken, 1001);
	assert_int_equal(mr_xdp_take(&due, &fast, now), 1);
	assert_int_equal(mr_xdp_take(&due, &fast, now), 0);
	assert_int_equal(mr_xdp_take(&due, &fast, now + 1000), 1);
}

/* Neighbouring addresses come into different sets: of 4,096 in a row, at most 16 into one. */
static void neighbouring_sources_spread_over_the_sets(void **state)
{
	static uint8_t sources[1 << MR_XDP_SETS_BITS];
	struct mr_xdp_guard g = {.seeds = {0x0123456789abcdef, 0x9e3779b97f4a7c15}};

	(void)state;
	for (unsigned family = 4; family <= 6; family += 2) {
		memset(sources, 0, sizeof(sources));
		for (uint32_t i = 0; i < 4096; i++) {
			struct mr_xdp_prefix p = {.family = family};
			uint32_t set;

			p.address[family == 4 ? 0 : 1] = htonl(0x0a4d0000 + i);
			set = mr_xdp_set_of(&g, mr_xdp_source_key(&p));
			assert_in_range(++sources[set], 1, 16);
		}
	}
}

static void a_source_replaces_the_one_that_is_longest_silent(void **state)
{
	struct mr_xdp_set set = {0};

	(void)state;
	for (uint32_t i = 0; i < MR_XDP_WAYS; i++)
		mr_xdp_remember(&set, 100 + i, 1000 + i);
	set.due_ns[mr_xdp_find(&set, 100)] = 2000;
	mr_xdp_remember(&set, 200, 2001);
	assert_int_equal(mr_xdp_find(&set, 101), MR_XDP_WAYS);
	for (uint32_t i = 0; i < MR_XDP_WAYS; i++)
		if (i != 1)
			assert_in_range(mr_xdp_find(&set, 100 + i), 0, MR_XDP_WAYS - 1);
	assert_in_range(mr_xdp_find(&set, 200), 0, MR_XDP_WAYS - 1);
}

static void without_rules_everybody_passes(void **state)
{
	(void)state;
	make4("10.77.0.2");
	assert_int_equal(run(10000, PASSED, PASSED), 10000);
}

static void a_source_passes_its_burst(void **state)
{
	unsigned passed;

	(void)state;
	limit(MRF_PORT_RULE_KIND_SOURCES, NULL, 1, 50);
	make4("10.77.0.2");
	passed = run(5000, PASSED, MR_XDP_LIMITED);
	assert_in_range(passed, 50, 70);
	/* Another source has a bucket of its own. */
	make4("10.77.0.3");
	assert_in_range(run(5000, PASSED, MR_XDP_LIMITED), 50, 70);
	make4("10.77.0.2");
	assert_in_range(run(100, PASSED, MR_XDP_LIMITED), 0, 20);
	assert_int_equal(remove_rule(MRF_PORT_RULE_KIND_SOURCES, NULL), 0);
	assert_int_equal(run(100, PASSED, PASSED), 100);
	assert_int_equal(remove_rule(MRF_PORT_RULE_KIND_SOURCES, NULL), -ENOENT);
}

static void the_addresses_of_a_64_share_a_bucket(void **state)
{
	(void)state;
	limit(MRF_PORT_RULE_KIND_SOURCES, NULL, 1, 50);
	make6("fd77::2");
	assert_in_range(run(100, PASSED, MR_XDP_LIMITED), 50, 70);
	make6("fd77::3");
	assert_in_range(run(100, PASSED, MR_XDP_LIMITED), 0, 20);
	make6("fd77:0:0:1::3");
	assert_in_range(run(100, PASSED, MR_XDP_LIMITED), 50, 70);
}

static void known_sources_pass_while_new_ones_flood(void **state)
{
	unsigned admitted = 0;
	char from[32];

	(void)state;
	limit(MRF_PORT_RULE_KIND_NEW, NULL, 1, 20);
	make4("10.77.0.2");
	assert_int_equal(run(1, PASSED, MR_XDP_LIMITED_NEW), 1);
	for (unsigned i = 0; i < 2000; i++) {
		snprintf(from, sizeof(from), "172.16.%u.%u", i / 250, i % 250 + 1);
		make4(from);
		admitted += run(1, PASSED, MR_XDP_LIMITED_NEW);
		if (i % 100 == 0) {
			make4("10.77.0.2");
			assert_int_equal(run(10, PASSED, MR_XDP_LIMITED_NEW), 10);
		}
	}
	assert_in_range(admitted, 19, 60);
	make4("172.16.0.1");
	assert_int_equal(run(10, PASSED, MR_XDP_LIMITED_NEW), 10);
}

static void the_longest_prefix_has_the_limit(void **state)
{
	(void)state;
	limit(MRF_PORT_RULE_KIND_PREFIX, "10.0.0.0/8", 1, 30);
	limit(MRF_PORT_RULE_KIND_PREFIX, "10.77.0.0/16", 1, 100);
	make4("10.77.0.2");
	assert_in_range(run(1000, PASSED, MR_XDP_LIMITED_PREFIX), 100, 120);
	make4("10.77.9.9");
	assert_in_range(run(1000, PASSED, MR_XDP_LIMITED_PREFIX), 0, 20);
	make4("10.1.0.2");
	assert_in_range(run(1000, PASSED, MR_XDP_LIMITED_PREFIX), 30, 50);
	make4("11.1.0.2");
	assert_int_equal(run(1000, PASSED, MR_XDP_LIMITED_PREFIX), 1000);
	make6("fd77::2");
	assert_int_equal(run(1000, PASSED, MR_XDP_LIMITED_PREFIX), 1000);
}

static void the_longest_prefix_allows_or_denies(void **state)
{
	(void)state;
	assert_int_equal(access_rule(MRF_PORT_RULE_KIND_DENY, "10.0.0.0/8"), 0);
	assert_int_equal(access_rule(MRF_PORT_RULE_KIND_DENY, "fd77:1::/32"), 0);
	expect4("10.77.0.2", MR_XDP_DENIED);
	expect4("11.77.0.2", PASSED);
	expect6("fd77:1::2", MR_XDP_DENIED);
	expect6("fd77::2", PASSED);
	assert_int_equal(access_rule(MRF_PORT_RULE_KIND_ALLOW, "10.77.0.0/24"), 0);
	expect4("10.77.0.2", PASSED);
	expect4("10.77.1.2", MR_XDP_DENIED);
	expect4("11.77.0.2", MR_XDP_NOT_ALLOWED);
	expect6("fd77::2", MR_XDP_NOT_ALLOWED);
	assert_int_equal(remove_rule(MRF_PORT_RULE_KIND_DENY, "10.77.0.0/24"), -ENOENT);
	assert_int_equal(remove_rule(MRF_PORT_RULE_KIND_ALLOW, "10.77.0.0/24"), 0);
	expect4("11.77.0.2", PASSED);
}

static void all_of_one_family_leaves_the_other(void **state)
{
	(void)state;
	assert_int_equal(access_rule(MRF_PORT_RULE_KIND_DENY, "::/0"), 0);
	expect4("10.77.0.2", PASSED);
	expect6("fd77::2", MR_XDP_DENIED);
	assert_int_equal(access_rule(MRF_PORT_RULE_KIND_DENY, "0.0.0.0/0"), 0);
	expect4("10.77.0.2", MR_XDP_DENIED);
	assert_int_equal(remove_rule(MRF_PORT_RULE_KIND_DENY, "::/0"), 0);
	expect6("fd77::2", PASSED);
}

static void packets_for_the_kernel_are_never_dropped(void **state)
{
	(void)state;
	assert_int_equal(access_rule(MRF_PORT_RULE_KIND_DENY, "0.0.0.0/0"), 0);
	limit(MRF_PORT_RULE_KIND_SOURCES, NULL, 1, 1);
	make4("10.77.0.2");
	packet[36] = 0; /* another UDP port */
	assert_int_equal(run(1000, MR_XDP_OTHER, MR_XDP_OTHER), 1000);
	packet[23] = IPPROTO_TCP;
	assert_int_equal(run(1000, MR_XDP_OTHER, MR_XDP_OTHER), 1000);
}

static void options_do_not_hide_the_source(void **state)
{
	(void)state;
	assert_int_equal(access_rule(MRF_PORT_RULE_KIND_DENY, "10.77.0.0/16"), 0);
	make4("10.77.0.2");
	memmove(packet + 38, packet + 34, used - 34);
	memset(packet + 34, 1, 4);
	packet[14] = 0x46;
	used += 4;
	expect(MR_XDP_DENIED);
	assert_int_equal(access_rule(MRF_PORT_RULE_KIND_DENY, "fd77::/16"), 0);
	make6("fd77::2");
	memmove(packet + 62, packet + 54, used - 54);
	memset(packet + 54, 0, 8);
	packet[54] = IPPROTO_UDP;
	packet[20] = IPPROTO_DSTOPTS;
	used += 8;
	expect(MR_XDP_DENIED);
}

static void new_settings_keep_the_rules(void **state)
{
	struct mr_xdp_settings s = settings();
	uint32_t count;

	(void)state;
	assert_int_equal(access_rule(MRF_PORT_RULE_KIND_DENY, "10.0.0.0/8"), 0);
	assert_int_equal(mr_steer_set(steer, &s), 0);
	expect4("10.77.0.2", MR_XDP_DENIED);
	assert_int_equal(access_rule(MRF_PORT_RULE_KIND_ALLOW, "10.0.0.0/8"), 0);
	assert_int_equal(mr_steer_rules(steer, &count)->kind, MRF_PORT_RULE_KIND_ALLOW);
	assert_int_equal(count, 1);
	expect4("10.77.0.2", PASSED);
}

static void a_full_table_refuses_and_stays_as_it_was(void **state)
{
	char network[32];
	uint32_t count;

	(void)state;
	for (unsigned i = 0; i < MR_XDP_PREFIXES_MAX; i++) {
		snprintf(network, sizeof(network), "172.%u.%u.0/24", 16 + i / 256, i % 256);
		assert_int_equal(access_rule(MRF_PORT_RULE_KIND_DENY, network), 0);
	}
	assert_int_equal(access_rule(MRF_PORT_RULE_KIND_DENY, "10.0.0.0/8"), -ENOSPC);
	(void)mr_steer_rules(steer, &count);
	assert_int_equal(count, MR_XDP_PREFIXES_MAX);
	expect4("10.77.0.2", PASSED);
	expect4("172.31.255.9", MR_XDP_DENIED);
}

#define ON_STEER(test) cmocka_unit_test_setup_teardown(test, open_steer, close_steer)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_bucket_gives_its_burst_and_then_its_rate),
		cmocka_unit_test(a_bucket_follows_a_rate_that_is_raised),
		cmocka_unit_test(neighbouring_sources_spread_over_the_sets),
		cmocka_unit_test(a_source_replaces_the_one_that_is_longest_silent),
		ON_STEER(without_rules_everybody_passes),
		ON_STEER(a_source_passes_its_burst),
		ON_STEER(the_addresses_of_a_64_share_a_bucket),
		ON_STEER(known_sources_pass_while_new_ones_flood),
		ON_STEER(the_longest_prefix_has_the_limit),
		ON_STEER(the_longest_prefix_allows_or_denies),
		ON_STEER(all_of_one_family_leaves_the_other),
		ON_STEER(packets_for_the_kernel_are_never_dropped),
		ON_STEER(options_do_not_hide_the_source),
		ON_STEER(new_settings_keep_the_rules),
		ON_STEER(a_full_table_refuses_and_stays_as_it_was),
	};
	int error = open_steer(NULL);

	if (error == -EPERM || error == -ENOSYS) {
		printf("skipped: BPF is not permitted here: %s\n", strerror(-error));
		return 77;
	}
	if (error == 0)
		mr_steer_close(steer);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
