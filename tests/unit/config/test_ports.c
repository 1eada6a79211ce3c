/* SPDX-License-Identifier: Apache-2.0 */
/* The texts of ports: parsed values, refused ones, and the texts of refusals. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "lib/config/address.h"
#include "lib/config/ports.h"

static struct mr_config config;
static struct mr_config_port port;
static struct mr_config_fault fault;

static void parse(const char *text)
{
	memset(&fault, 0, sizeof(fault));
	if (mr_config_port_parse(text, 3, &port, &fault) != 0)
		fail_msg("%s: found %s; expected %s", text, fault.found, fault.expected);
}

static void refuse(const char *text, const char *found, const char *expected)
{
	memset(&fault, 0, sizeof(fault));
	assert_int_equal(mr_config_port_parse(text, 0, &port, &fault), -EINVAL);
	assert_string_equal(fault.found, found);
	if (strstr(fault.expected, expected) == NULL)
		fail_msg("%s: expected \"%s\", which is not in \"%s\"", text, expected,
			fault.expected);
}

static void expect_address(uint32_t i, const char *wanted)
{
	char text[MR_CONFIG_NETWORK_TEXT_BYTES];

	assert_true(i < port.addresses_count);
	mr_config_network_text(&port.addresses[i], text, sizeof(text));
	assert_string_equal(text, wanted);
}

static void shortest_text_gets_the_defaults(void **state)
{
	(void)state;
	parse("af_xdp,interface=mr0");
	assert_int_equal(port.addresses_count, 0);
	parse("af_xdp,interface=mr0,address=10.77.0.1/24");
	assert_int_equal(port.driver, MR_CONFIG_DRIVER_AF_XDP);
	assert_string_equal(port.name, "af_xdp3");
	assert_string_equal(port.device, "mr0");
	assert_int_equal(port.addresses_count, 1);
	assert_int_equal(port.udp_port, 7400);
	assert_int_equal(port.mtu, 0);
	assert_int_equal(port.queue_entries, 2048);
	assert_false(port.memif_trusted);
}

static void every_key_is_taken(void **state)
{
	const uint8_t mac[] = {0x02, 0, 0, 0xab, 0xCD, 0x01};

	(void)state;
	parse("memif,socket=/run/x.sock,role=server,id=7,address=10.77.0.1/24,address=fd77::1/64,"
	      "name=out,udp_port=7401,mtu=9000,mac=02:00:00:ab:CD:01,queue_entries=512,"
	      "trusted=yes");
	assert_int_equal(port.driver, MR_CONFIG_DRIVER_MEMIF);
	assert_string_equal(port.name, "out");
	assert_string_equal(port.device, "/run/x.sock");
	assert_true(port.memif_server);
	assert_int_equal(port.memif_id, 7);
	assert_true(port.memif_trusted);
	assert_int_equal(port.udp_port, 7401);
	assert_int_equal(port.mtu, 9000);
	assert_memory_equal(port.mac, mac, sizeof(mac));
	assert_int_equal(port.queue_entries, 512);
	assert_int_equal(port.addresses_count, 2);
	expect_address(0, "10.77.0.1/24");
	expect_address(1, "fd77::1/64");
}

static void addresses_are_in_network_order_and_mapped(void **state)
{
	static const uint8_t ip4[16] = {[10] = 0xff, [11] = 0xff, 10, 77, 0, 1};
	static const uint8_t ip6[16] = {0xfd, 0x77, [15] = 1};

	(void)state;
	parse("tap,interface=mr0,address=10.77.0.1/24,address=fd77::1/128");
	assert_memory_equal(port.addresses[0].address, ip4, 16);
	assert_int_equal(port.addresses[0].prefix_bits, 96 + 24);
	assert_memory_equal(port.addresses[1].address, ip6, 16);
	assert_int_equal(port.addresses[1].prefix_bits, 128);
}

static void address_of_a_pci_port_without_prefix_names_the_card(void **state)
{
	(void)state;
	parse("pci,address=0000:03:00.0,address=10.77.0.1/24,address=fd77::1/64");
	assert_int_equal(port.driver, MR_CONFIG_DRIVER_PCI);
	assert_string_equal(port.device, "0000:03:00.0");
	assert_string_equal(port.name, "pci3");
	assert_int_equal(port.addresses_count, 2);
	expect_address(1, "fd77::1/64");
	parse("pci,address=10.77.0.1/24,address=3:1F.7");
	assert_string_equal(port.device, "0000:03:1f.7");
}

static void refuse_card(const char *option)
{
	char text[160];

	snprintf(text, sizeof(text), "pci,%s", option);
	refuse(text, option, "a PCI address such as 0000:03:00.0");
}

static void bad_cards_are_refused(void **state)
{
	static const char *const bad[] = {"", "03:00", "03:00.8", "03:20.0", "03:00.0x",
		"0000:03:00.0.1", "10000:03:00.0", "eth1", "fd77::1"};
	char text[128];

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		snprintf(text, sizeof(text), "address=%s", bad[i]);
		refuse_card(text);
	}
	refuse("pci,address=10.0.0.1/24", "pci,address=10.0.0.1/24", "address=PCI-ADDRESS");
	refuse("pci,address=03:00.0", "pci,address=03:00.0", "address=ADDRESS/PREFIX");
	refuse("pci,address=03:00.0,address=04:00.0", "address=04:00.0", "one PCI address");
	refuse("pci,interface=eth1", "interface=eth1", "one of the keys of pci: address=");
}

static void bad_texts_are_refused_by_the_part_that_is_wrong(void **state)
{
	(void)state;
	refuse("", "nothing", "a driver first");
	refuse("dpdk,interface=x", "dpdk", "af_xdp, memif, tap or pci");
	refuse("tap", "tap", "interface=NAME");
	refuse("tap,interface=mr0", "tap,interface=mr0", "address=ADDRESS/PREFIX");
	refuse("memif,address=1.2.3.4/8", "memif,address=1.2.3.4/8", "socket=PATH");
	refuse("tap,", "nothing", "one of the keys of tap: interface= address=");
	refuse("tap,interface", "interface", "one of the keys of tap");
	refuse("tap,socket=/x", "socket=/x", "one of the keys of tap");
	refuse("af_xdp,mac=02:00:00:00:00:01", "mac=02:00:00:00:00:01",
		"one of the keys of af_xdp");
	refuse("tap,interface=a,interface=b", "interface=b", "once");
	refuse("tap,interface=", "interface=", "name of an interface");
	refuse("tap,interface=0123456789abcdef", "interface=0123456789abcdef", "at most 15 bytes");
	refuse("tap,interface=a/b", "interface=a/b", "name of an interface");
	refuse("memif,socket=x.sock", "socket=x.sock", "full path");
	refuse("memif,role=both", "role=both", "server or client");
	refuse("memif,trusted=maybe", "trusted=maybe", "yes or no");
	refuse("tap,trusted=yes", "trusted=yes", "one of the keys of tap");
	refuse("memif,id=-1", "id=-1", "a number from 0 to 65535");
	refuse("tap,udp_port=0", "udp_port=0", "a number from 1 to 65535");
	refuse("tap,udp_port=65536", "udp_port=65536", "a number from 1 to 65535");
	refuse("tap,udp_port=99999999999999999999", "udp_port=99999999999999999999", "a number");
	refuse("tap,mtu=1279", "mtu=1279", "a number from 1280 to 9216");
	refuse("tap,mtu=1500x", "mtu=1500x", "a number");
	refuse("tap,queue_entries=1000", "queue_entries=1000", "a power of two");
	refuse("tap,name=", "name=", "a name of 1 to 31 bytes");
}

static void bad_addresses_are_refused(void **state)
{
	static const char *const texts[] = {"10.0.0.1", "10.0.0.1/33", "10.0.0.1/", "10.0.0/24",
		"fd00::1/129", "fd00:::1/64", "/24", "10.0.0.1/2 4", "10.0.0.1/24/24",
		"0000:0000:0000:0000:0000:0000:0000:0000:0000:0000/64", "0.0.0.0/0", "127.0.0.1/8",
		"224.0.0.1/24", "255.255.255.255/32", "::/0", "::1/128", "ff02::1/64",
		"::ffff:10.0.0.1/64"};
	static const char *const macs[] = {"", "2:0:0:0:0:1", "02:00:00:00:00", "01:00:00:00:00:01",
		"00:00:00:00:00:00", "02:00:00:00:00:0g", "02:00:00:00:00:01:02"};
	char text[256], found[160];

	(void)state;
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		snprintf(found, sizeof(found), "address=%s", texts[i]);
		snprintf(text, sizeof(text), "tap,interface=mr0,%s", found);
		refuse(text, found, "such as 10.0.0.1/24");
	}
	for (size_t i = 0; i < sizeof(macs) / sizeof(macs[0]); i++) {
		snprintf(found, sizeof(found), "mac=%s", macs[i]);
		snprintf(text, sizeof(text), "tap,interface=mr0,%s", found);
		refuse(text, found, "such as 02:00:00:00:00:01");
	}
	refuse("tap,address=10.0.0.1/8,address=10.0.0.2/8,address=10.0.0.3/8,address=10.0.0.4/8,"
	       "address=10.0.0.5/8,address=10.0.0.6/8,address=10.0.0.7/8,address=10.0.0.8/8,"
	       "address=10.0.0.9/8",
		"address=10.0.0.9/8", "at most 8 addresses");
}

static int load_set(const char *set, char *error, size_t error_bytes)
{
	return mr_config_load(&config, NULL, &set, 1, error, error_bytes);
}

static void set_takes_ports_parted_by_semicolons(void **state)
{
	char error[512];

	(void)state;
	assert_int_equal(load_set("ports.open=tap,interface=a,address=10.0.0.1/24;"
				  "memif,socket=/run/x,address=10.0.1.1/24",
				 error, sizeof(error)),
		0);
	assert_int_equal(config.ports.open_count, 2);
	assert_string_equal(config.ports.open[0].name, "tap0");
	assert_string_equal(config.ports.open[1].name, "memif1");
	assert_int_equal(config.workers.poll, MR_CONFIG_POLL_ADAPTIVE);
}

static void tap_has_a_name_and_limits(void **state)
{
	(void)state;
	parse("memif,socket=/x,address=10.0.0.1/24");
	assert_string_equal(port.tap, "");
	parse("memif,socket=/x,address=10.0.0.1/24,tap=host0");
	assert_string_equal(port.tap, "host0");
	assert_int_equal(port.tap_packets_per_second, 250000);
	assert_int_equal(port.tap_bytes_per_second, 250000000);
	parse("tap,interface=a,address=10.0.0.1/24,tap=b,tap_packets_per_second=7,"
	      "tap_bytes_per_second=4294967295");
	assert_int_equal(port.tap_packets_per_second, 7);
	assert_int_equal(port.tap_bytes_per_second, UINT32_MAX);
	refuse("memif,tap=0123456789abcdef", "tap=0123456789abcdef", "at most 15 bytes");
	refuse("memif,tap=", "tap=", "the name of a TAP device");
	refuse("memif,tap=a%d", "tap=a%d", "the name of a TAP device");
	refuse("memif,tap_packets_per_second=0", "tap_packets_per_second=0", "from 1 to");
	refuse("memif,tap_bytes_per_second=99999", "tap_bytes_per_second=99999", "from 100000 to");
	refuse("af_xdp,tap=x", "tap=x", "one of the keys of af_xdp");
	refuse("tap,interface=a,address=10.0.0.1/24,tap=a",
		"tap,interface=a,address=10.0.0.1/24,tap=a", "another name for tap=");
}

static void taps_that_are_shared_are_refused(void **state)
{
	char error[512];

	(void)state;
	assert_int_equal(load_set("ports.open=memif,socket=/a,address=10.0.0.1/24,tap=x;"
				  "memif,socket=/b,address=10.0.1.1/24,tap=x",
				 error, sizeof(error)),
		-EINVAL);
	assert_non_null(strstr(error, "found x twice; expected a TAP device of its own"));
	assert_int_equal(load_set("ports.open=memif,socket=/a,address=10.0.0.1/24,tap=x;"
				  "tap,interface=x,address=10.0.1.1/24",
				 error, sizeof(error)),
		-EINVAL);
	assert_non_null(strstr(error, "found x twice; expected a TAP device of its own"));
}

static void ports_that_share_are_refused(void **state)
{
	char error[512];

	(void)state;
	assert_int_equal(load_set("ports.open=tap,interface=a,address=10.0.0.1/24;"
				  "af_xdp,interface=a,address=10.0.1.1/24",
				 error, sizeof(error)),
		-EINVAL);
	assert_string_equal(error,
		"--set: ports.open: found a twice; expected a PCI address, an interface, or a "
		"socket and ids (one for each worker), of its own for each port; see tap0 "
		"and af_xdp1");
	assert_int_equal(load_set("ports.open=tap,interface=a,address=10.0.0.1/24;"
				  "tap,interface=b,address=10.0.0.1/16",
				 error, sizeof(error)),
		-EINVAL);
	assert_non_null(strstr(error, "found 10.0.0.1/16 twice; expected addresses of its own"));
	assert_int_equal(load_set("ports.open=tap,interface=a,address=10.0.0.1/24,name=x;"
				  "tap,interface=b,address=10.0.1.1/16,name=x",
				 error, sizeof(error)),
		-EINVAL);
	assert_non_null(strstr(error, "a name of its own"));
}

static void memifs_on_one_socket_need_ids_for_all_workers(void **state)
{
	const char *sets[] = {"ports.open=memif,socket=/run/x,id=0,address=10.0.0.1/24;"
			      "memif,socket=/run/x,id=2,address=10.0.1.1/24",
		"workers.count=2"};
	char error[512];

	(void)state;
	assert_int_equal(mr_config_load(&config, NULL, sets, 2, error, sizeof(error)), 0);
	sets[1] = "workers.count=3";
	assert_int_equal(mr_config_load(&config, NULL, sets, 2, error, sizeof(error)), -EINVAL);
}

static void more_ports_than_there_may_be_are_refused(void **state)
{
	char set[1024] = "ports.open=", error[512];

	(void)state;
	for (unsigned i = 0; i < MR_CONFIG_PORTS_MAX + 1; i++)
		snprintf(set + strlen(set), sizeof(set) - strlen(set),
			"tap,interface=t%u,address=10.0.%u.1/24;", i, i);
	assert_int_equal(load_set(set, error, sizeof(error)), -EINVAL);
	assert_string_equal(error, "--set: ports.open: found 9 entries; expected at most 8");
}

static void limits_and_prefixes_are_taken(void **state)
{
	const struct mr_config_port *p = &config.ports.open[0];
	char error[512];

	(void)state;
	assert_int_equal(load_set("ports.open=af_xdp,interface=a,limit=sources=1000,"
				  "limit=new=100:500,limit=fd77::1/64=5000,allow=10.1.2.3/8,"
				  "deny=10.9.0.0/16",
				 error, sizeof(error)),
		0);
	assert_int_equal(p->rules_count, 5);
	assert_int_equal(p->rules[0].kind, MRF_PORT_RULE_KIND_SOURCES);
	assert_int_equal(p->rules[0].rate, 1000);
	assert_int_equal(p->rules[0].burst, 100);
	assert_int_equal(p->rules[1].kind, MRF_PORT_RULE_KIND_NEW);
	assert_int_equal(p->rules[1].burst, 500);
	assert_int_equal(p->rules[2].kind, MRF_PORT_RULE_KIND_PREFIX);
	assert_int_equal(p->rules[2].network.prefix_bits, 64);
	assert_int_equal(p->rules[2].network.address[15], 0);
	assert_int_equal(p->rules[3].kind, MRF_PORT_RULE_KIND_ALLOW);
	assert_int_equal(p->rules[3].network.prefix_bits, 104);
	assert_int_equal(p->rules[3].network.address[13], 0);
	assert_int_equal(p->rules[4].kind, MRF_PORT_RULE_KIND_DENY);
}

static void bad_limits_are_refused(void **state)
{
	static const struct {
		const char *text;
		const char *expected;
	} bad[] = {
		{"limit=1000", "sources, new or a network"},
		{"limit=sources=", "sources, new or a network"},
		{"limit=sources=1000:", "sources, new or a network"},
		{"limit=sources=1000:0", "sources, new or a network"},
		{"limit=sources=1x", "sources, new or a network"},
		{"limit=other=1", "a network such as"},
		{"limit=10.0.0.0=1", "a network such as"},
		{"limit=sources=0", "a rate from 1 to 10000000"},
		{"limit=sources=10000001", "a rate from 1 to 10000000"},
		{"limit=sources=100000:999", "a burst of at least 10 ms"},
		{"limit=sources=1,limit=sources=2", "each limit and prefix of a port once"},
		{"allow=10.0.0.0/8,deny=10.1.0.0/8", "each limit and prefix of a port once"},
		{"allow=10.0.0.0", "a network such as"},
	};
	char set[256], error[512];

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		snprintf(set, sizeof(set), "ports.open=af_xdp,interface=a,%s", bad[i].text);
		assert_int_equal(load_set(set, error, sizeof(error)), -EINVAL);
		if (strstr(error, bad[i].expected) == NULL)
			fail_msg("%s: %s", bad[i].text, error);
	}
	assert_int_equal(load_set("ports.open=tap,interface=a,address=10.0.0.1/8,limit=new=1",
				 error, sizeof(error)),
		-EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(shortest_text_gets_the_defaults),
		cmocka_unit_test(every_key_is_taken),
		cmocka_unit_test(addresses_are_in_network_order_and_mapped),
		cmocka_unit_test(address_of_a_pci_port_without_prefix_names_the_card),
		cmocka_unit_test(bad_cards_are_refused),
		cmocka_unit_test(bad_texts_are_refused_by_the_part_that_is_wrong),
		cmocka_unit_test(bad_addresses_are_refused),
		cmocka_unit_test(set_takes_ports_parted_by_semicolons),
		cmocka_unit_test(tap_has_a_name_and_limits),
		cmocka_unit_test(taps_that_are_shared_are_refused),
		cmocka_unit_test(ports_that_share_are_refused),
		cmocka_unit_test(memifs_on_one_socket_need_ids_for_all_workers),
		cmocka_unit_test(more_ports_than_there_may_be_are_refused),
		cmocka_unit_test(limits_and_prefixes_are_taken),
		cmocka_unit_test(bad_limits_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
