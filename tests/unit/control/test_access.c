/* SPDX-License-Identifier: Apache-2.0 */
/* Addresses that may open sessions over UDP. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "lib/config/address.h"
#include "control/session/access.h"

static struct mr_config config;
static struct mr_access_networks networks;

static int set_up(void **state)
{
	struct mr_config_port *p = config.ports.open;

	(void)state;
	mr_config_default(&config);
	config.ports.open_count = 2;
	p[0].addresses_count = 2;
	assert_int_equal(mr_config_network_parse("10.77.0.1/24", &p[0].addresses[0]), 0);
	assert_int_equal(mr_config_network_parse("fd77::1/61", &p[0].addresses[1]), 0);
	p[1].addresses_count = 1;
	assert_int_equal(mr_config_network_parse("192.168.5.1/32", &p[1].addresses[0]), 0);
	return 0;
}

/* `peer` is an address with a prefix of any length. */
static bool allowed(const char *peer, uint16_t port)
{
	struct mrf_network_path path = {.port = port};
	struct mr_config_network n;

	assert_int_equal(mr_config_network_parse(peer, &n), 0);
	memcpy(&path.peer_0, n.address, sizeof(n.address));
	return mr_access_network(&config, &networks, 1, &path);
}

static void name(uint32_t index, const char *network)
{
	assert_int_equal(mr_config_network_parse(network, &config.access.networks[index]), 0);
	config.access.networks_count = index + 1;
}

static void without_networks_the_ports_own_are_allowed(void **state)
{
	(void)state;
	assert_true(allowed("10.77.0.200/0", 0));
	assert_false(allowed("10.77.1.200/0", 0));
	assert_false(allowed("192.168.5.1/0", 0));
	assert_true(allowed("192.168.5.1/0", 1));
	assert_false(allowed("10.77.0.200/0", 1));
	assert_true(allowed("fd77:0:0:7::9/0", 0));
	assert_false(allowed("fd77:0:0:8::9/0", 0));
	assert_false(allowed("fd77::9/0", 1));
	assert_false(allowed("10.77.0.200/0", 2));
}

static void named_networks_stand_in_place_of_the_ports_own(void **state)
{
	(void)state;
	name(0, "172.16.0.0/12");
	assert_true(allowed("172.31.255.255/0", 0));
	assert_false(allowed("172.32.0.0/0", 0));
	assert_false(allowed("10.77.0.200/0", 0));
	name(1, "fd00::/8");
	assert_true(allowed("fd12::1/0", 1));
	assert_false(allowed("fe80::1/0", 1));
}

static void a_prefix_of_nothing_is_everybody_of_its_kind(void **state)
{
	(void)state;
	name(0, "0.0.0.0/0");
	assert_true(allowed("8.8.8.8/0", 0));
	assert_false(allowed("fd12::1/0", 0));
	name(0, "::/0");
	assert_true(allowed("fd12::1/0", 0));
	assert_true(allowed("8.8.8.8/0", 0));
}

static void names_are_short_and_printable(void **state)
{
	char longest[MR_ACCESS_NAME_MAX + 1];

	(void)state;
	memset(longest, 'x', sizeof(longest));
	assert_true(mr_access_name_valid("", 0));
	assert_true(mr_access_name_valid(longest, MR_ACCESS_NAME_MAX));
	assert_false(mr_access_name_valid(longest, MR_ACCESS_NAME_MAX + 1));
	assert_false(mr_access_name_valid("a\nb", 3));
	assert_false(mr_access_name_valid("a\177", 2));
	assert_false(mr_access_name_valid("a\0b", 3));
	assert_true(mr_access_name_valid("\xc3\xa4", 2));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(without_networks_the_ports_own_are_allowed, set_up),
		cmocka_unit_test_setup(named_networks_stand_in_place_of_the_ports_own, set_up),
		cmocka_unit_test_setup(a_prefix_of_nothing_is_everybody_of_its_kind, set_up),
		cmocka_unit_test(names_are_short_and_printable),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
