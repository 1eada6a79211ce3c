/* SPDX-License-Identifier: Apache-2.0 */
/* The configuration: accepted files, refused ones, and the texts of refusals. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/config/keys.h"
#include "lib/base/compiler.h"

static struct mr_config config;
static char error_text[512];
static char file[64];

static void write_file(const char *text, size_t bytes)
{
	FILE *f = fopen(file, "w");

	assert_non_null(f);
	assert_int_equal(fwrite(text, 1, bytes, f), bytes);
	assert_int_equal(fclose(f), 0);
}

static int load(const char *text, const char *set)
{
	error_text[0] = '\0';
	if (text != NULL)
		write_file(text, strlen(text));
	return mr_config_load(&config, text != NULL ? file : NULL, &set, set != NULL ? 1 : 0,
		error_text, sizeof(error_text));
}

static void expect_error(const char *text, const char *where)
{
	char full[600];

	assert_int_equal(load(text, NULL), -EINVAL);
	snprintf(full, sizeof(full), "%s:%s", file, where);
	assert_string_equal(error_text, full);
}

static void expect_set_error(const char *set, const char *text)
{
	assert_int_equal(load(NULL, set), -EINVAL);
	assert_string_equal(error_text, text);
}

static void without_a_file_everything_is_default(void **state)
{
	struct mr_config wanted;

	(void)state;
	mr_config_default(&wanted);
	assert_int_equal(load(NULL, NULL), 0);
	assert_memory_equal(&config, &wanted, sizeof(config));
}

static void the_annotated_file_says_every_key_and_its_default(void **state)
{
	struct mr_config wanted;
	char *text = calloc(1, 1 << 16);
	FILE *f = fopen(MR_TEST_YAML, "r");

	(void)state;
	assert_non_null(f);
	assert_true(fread(text, 1, (1 << 16) - 1, f) > 0);
	fclose(f);
	mr_config_default(&wanted);
	assert_int_equal(
		mr_config_load(&config, MR_TEST_YAML, NULL, 0, error_text, sizeof(error_text)), 0);
	memset(config.file, 0, sizeof(config.file));
	assert_memory_equal(&config, &wanted, sizeof(config));
	for (size_t i = 0; i < MR_CONFIG_KEYS_COUNT; i++) {
		const char *dot = strchr(mr_config_keys[i].name, '.');
		char line[64];

		snprintf(line, sizeof(line), "\n%s%s:", dot != NULL ? "  " : "",
			dot != NULL ? dot + 1 : mr_config_keys[i].name);
		if (strstr(text, line) == NULL)
			fail_msg("%s is not in %s", mr_config_keys[i].name, MR_TEST_YAML);
	}
	free(text);
}

static void multicast_ranges_are_groups(void **state)
{
	const char *bad[] = {"10.0.0.0/8", "224.0.0.0/24", "239.7.0.1/16", "ff01::/112",
		"fd00::/112", "239.7.0.0/16,hops=0", "239.7.0.0/16,prefix=a.*", "239.7.0.0/16,x=1",
		"239.7.0.0/16,hops=1x", "239.7.0.0"};
	char text[128];

	(void)state;
	assert_int_equal(load("multicast:\n  ranges:\n    - 239.7.0.0/16,prefix=market.,hops=4\n"
			      "    - ff15::/112\n",
				 NULL),
		0);
	assert_int_equal(config.multicast.ranges_count, 2);
	assert_int_equal(config.multicast.ranges[0].range.prefix_bits, 112);
	assert_string_equal(config.multicast.ranges[0].prefix, "market.");
	assert_int_equal(config.multicast.ranges[0].hops, 4);
	assert_int_equal(config.multicast.ranges[1].range.address[0], 0xff);
	assert_int_equal(config.multicast.ranges[1].hops, 1);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		snprintf(text, sizeof(text), "multicast: {ranges: ['%s']}\n", bad[i]);
		assert_int_equal(load(text, NULL), -EINVAL);
		assert_non_null(strstr(error_text, "a range of multicast groups"));
	}
}

static void a_file_goes_over_the_defaults(void **state)
{
	(void)state;
	assert_int_equal(
		load("workers:\n  count: 2\n  cpus: [3, 1]\n  poll: busy\n"
		     "channels: {up_ring_bytes: 256KiB, down_ring_bytes: 8388608}\n"
		     "access:\n  anyone: true\n  bind_mac: true\n  users: [root, 1234]\n  groups:\n"
		     "    - root\nlog: {level: debug, json: true}\nrun_dir: /tmp/x\n",
			NULL),
		0);
	assert_int_equal(config.workers.count, 2);
	assert_int_equal(config.workers.cpus_count, 2);
	assert_int_equal(config.workers.cpus[0], 3);
	assert_int_equal(config.workers.poll, MR_CONFIG_POLL_BUSY);
	assert_int_equal(config.channels.up_ring_bytes, 256 << 10);
	assert_int_equal(config.channels.down_ring_bytes, 8 << 20);
	assert_true(config.access.anyone);
	assert_true(config.access.bind_mac);
	assert_int_equal(config.access.users_count, 2);
	assert_int_equal(config.access.users[0], 0);
	assert_int_equal(config.access.users[1], 1234);
	assert_int_equal(config.access.groups_count, 1);
	assert_int_equal(config.log.level, 3);
	assert_true(config.log.json);
	assert_string_equal(config.run_dir, "/tmp/x");
	assert_string_equal(config.file, file);
	assert_int_equal(config.workers.spin_us, 20);
}

static void files_without_content_are_the_defaults(void **state)
{
	static const char *const empty[] = {"", "\n", "# nothing here\n", "---\n", "{}\n"};

	(void)state;
	for (size_t i = 0; i < MR_ARRAY_COUNT(empty); i++) {
		assert_int_equal(load(empty[i], NULL), 0);
		assert_int_equal(config.workers.count, 1);
	}
}

static void unknown_keys_are_refused_with_their_line(void **state)
{
	(void)state;
	expect_error("run_dir: /x\n\nwrokers:\n  count: 2\n",
		"3: wrokers: found an unknown key (did you mean workers?); "
		"expected one of run_dir, workers, channels, tables, mesh, ports, "
		"multicast, sessions, peers, messages, queues, services, access, log");
	expect_error("mesh:\n  blocks: 64\n  bricks: 1\n",
		"3: mesh.bricks: found an unknown key (did you mean mesh.blocks?); "
		"expected one of ring_entries, blocks");
	expect_error("mesh:\n  frobnicate: 1\n", "2: mesh.frobnicate: found an unknown key; "
						 "expected one of ring_entries, blocks");
	expect_error("mesh: {blocks: 64,\n bad\001key: 1}\n",
		"1: found a fault (control characters are not allowed); expected YAML");
	expect_error("'': 1\n",
		"1: nothing: found an unknown key; "
		"expected one of run_dir, workers, channels, tables, mesh, ports, "
		"multicast, sessions, peers, messages, queues, services, access, log");
}

static void bad_values_are_refused_with_what_was_expected(void **state)
{
	(void)state;
	expect_error("workers:\n  count: 33\n",
		"2: workers.count: found 33; expected a number from 1 to 32");
	expect_error("workers:\n  count: -1\n",
		"2: workers.count: found -1; expected a number from 1 to 32");
	expect_error("workers:\n  count:\n",
		"2: workers.count: found nothing; expected a number from 1 to 32");
	expect_error("workers:\n\n  poll: lazy\n",
		"3: workers.poll: found lazy; expected auto, adaptive, busy");
	expect_error(
		"workers:\n  pin: 3\n", "2: workers.pin: found 3; expected auto, always, never");
	expect_error("channels:\n  up_ring_bytes: 3 MiB\n",
		"2: channels.up_ring_bytes: found 3 MiB; "
		"expected a power of two from 256 KiB to 1 GiB, such as 1 MiB");
	expect_error("channels: {up_ring_bytes: 64KiB}\n",
		"1: channels.up_ring_bytes: found 64KiB; "
		"expected a power of two from 256 KiB to 1 GiB, such as 1 MiB");
	expect_error("channels: {up_ring_bytes: 99999999999999GiB}\n",
		"1: channels.up_ring_bytes: found 99999999999999GiB; "
		"expected a power of two from 256 KiB to 1 GiB, such as 1 MiB");
	expect_error("tables: {route_cache_entries: 100}\n",
		"1: tables.route_cache_entries: found 100; "
		"expected a power of two from 64 to 1048576");
	expect_error("access: {anyone: maybe}\n",
		"1: access.anyone: found maybe; expected true or false");
	expect_error("access:\n  users: [root, no such user]\n",
		"2: access.users: found no such user; "
		"expected the name or number of a user of this host");
	expect_error("workers: {cpus: [0, 0], count: 2}\n",
		"1: workers.cpus: found 0; expected different numbers of CPUs from 0 to 1023");
	expect_error("workers: {count: 4}\nsessions:\n  held_bytes_max: 1 MiB\n",
		"3: sessions.held_bytes_max: found 1024 KiB; expected at least 1280 KiB: "
		"promised messages of 4 workers on the way to one receiver");
	expect_error("workers:\n  count: 2\n  cpus: [0]\n",
		"3: workers.cpus: found 1 CPUs; "
		"expected none, or one for each of workers.count, which is 2");
	expect_error("log:\n  level: loud\n", "2: log.level: found loud; "
					      "expected error, warn, info, debug");
}

static void shapes_that_do_not_fit_are_refused(void **state)
{
	(void)state;
	expect_error("workers: 3\n", "1: workers: found 3; expected a section with keys");
	expect_error(
		"workers:\n  count: [1]\n", "2: workers.count: found a list; expected one value");
	expect_error("workers:\n  cpus: 1\n",
		"2: workers.cpus: found 1; expected a list, such as [1, 2]");
	expect_error("workers:\n  cpus: [[1]]\n",
		"2: found a list or a section in a list; expected plain values");
	expect_error("- workers\n", "1: found a list; expected a section with keys");
	expect_error("a b c\n", "1: found a b c; expected a section with keys");
	expect_error("run_dir: /a\nrun_dir: /b\n",
		"2: run_dir: found the key again, first on line 1; expected each key once");
	expect_error("run_dir: /a\n---\nrun_dir: /b\n", "2: found a second document; expected one");
	expect_error("run_dir: &a /a\nlog: *a\n", "2: found an alias; expected the value itself");
	expect_error(
		"? [a]\n: b\n", "1: found a key that is a list or a mapping; expected plain text");
	expect_error("a: {b: {c: {d: {e: {f: {g: 1}}}}}}\n",
		"1: found deep nesting; expected sections with keys");
	expect_error(
		"a: [1\n", "2: found a fault (did not find expected ',' or ']'); expected YAML");
}

static void a_fault_in_a_list_names_the_line_of_its_entry(void **state)
{
	(void)state;
	expect_error(
		"queues:\n  templates:\n    - 'a.*,max_deliver=3'\n\n    - 'b,max_deliver=x'\n",
		"5: queues.templates: found max_deliver=x; expected 1 to 65535");
	expect_error("workers:\n  cpus:\n  - 1\n  - x\n  - 2\n",
		"4: workers.cpus: found x; expected different numbers of CPUs from 0 to 1023");
	expect_error("workers: {cpus: [1,\n  x]}\n",
		"2: workers.cpus: found x; expected different numbers of CPUs from 0 to 1023");
	/* A fault that no entry has alone. */
	expect_error("workers:\n  count: 1\n  cpus:\n    - 1\n    - 2\n",
		"3: workers.cpus: found 2 CPUs; expected none, or one for each of workers.count, "
		"which is 1");
}

static void set_goes_over_the_file(void **state)
{
	(void)state;
	assert_int_equal(load("workers: {count: 2}\n", "workers.count=4"), 0);
	assert_int_equal(config.workers.count, 4);
	assert_int_equal(load(NULL, "run_dir=/a=b"), 0);
	assert_string_equal(config.run_dir, "/a=b");
	assert_int_equal(load("workers: {count: 2}\n", "workers.cpus=[1, 0]"), 0);
	assert_int_equal(config.workers.cpus[1], 0);
	assert_int_equal(load("workers: {count: 2, cpus: [0, 1]}\n", "workers.cpus=3,2"), 0);
	assert_int_equal(config.workers.cpus[0], 3);
	assert_int_equal(load("workers: {count: 1, cpus: [7]}\n", "workers.cpus="), 0);
	assert_int_equal(config.workers.cpus_count, 0);
}

static void bad_sets_are_refused(void **state)
{
	(void)state;
	expect_set_error("workers.count", "--set: workers.count: found no value; "
					  "expected KEY=VALUE");
	expect_set_error("workers=1",
		"--set: workers: found an unknown key "
		"(did you mean workers.count?); expected a key of the configuration file "
		"(man millrace.yaml)");
	expect_set_error(
		"workers.count=0", "--set: workers.count: found 0; expected a number from 1 to 32");
	expect_set_error("workers.cpus=1,2",
		"--set: workers.cpus: found 2 CPUs; "
		"expected none, or one for each of workers.count, which is 1");
	expect_set_error("workers.cpus=a",
		"--set: workers.cpus: found a; expected different numbers of CPUs from 0 to 1023");
	expect_set_error("log.level=\x1b[1m",
		"--set: log.level: found ?[1m; expected error, warn, info, debug");
}

static void networks_are_addresses_with_prefixes(void **state)
{
	static const uint8_t ip4[16] = {[10] = 0xff, [11] = 0xff, 10, 1}, ip6[16] = {0xfd, 0x77};

	(void)state;
	assert_int_equal(
		load("access: {networks: [10.1.0.0/16, 'fd77::/64', 0.0.0.0/0]}\n", NULL), 0);
	assert_int_equal(config.access.networks_count, 3);
	assert_memory_equal(config.access.networks[0].address, ip4, sizeof(ip4));
	assert_int_equal(config.access.networks[0].prefix_bits, 96 + 16);
	assert_memory_equal(config.access.networks[1].address, ip6, sizeof(ip6));
	assert_int_equal(config.access.networks[1].prefix_bits, 64);
	assert_int_equal(config.access.networks[2].prefix_bits, 96);
	assert_int_equal(load(NULL, "access.networks=::/0,10.0.0.1/32"), 0);
	assert_int_equal(config.access.networks_count, 2);
	assert_int_equal(config.access.networks[0].prefix_bits, 0);
	expect_error("access:\n  networks: [10.0.0.0/8, 10.0.0.0/33]\n",
		"2: access.networks: found 10.0.0.0/33; "
		"expected networks such as 10.0.0.0/8 or fd77::/64");
	expect_set_error("access.networks=10.0.0.0",
		"--set: access.networks: found 10.0.0.0; "
		"expected networks such as 10.0.0.0/8 or fd77::/64");
	expect_set_error("access.networks=nowhere/8",
		"--set: access.networks: found nowhere/8; "
		"expected networks such as 10.0.0.0/8 or fd77::/64");
	expect_set_error("access.networks=fd77::/129",
		"--set: access.networks: found fd77::/129; "
		"expected networks such as 10.0.0.0/8 or fd77::/64");
}

static void sessions_have_bounds(void **state)
{
	(void)state;
	assert_int_equal(
		load("sessions:\n  sessions_max: 10000\n  per_address_max: 7\n  heartbeat_ms: 500\n"
		     "  missed_max: 5\n  hellos_per_second: 100\n",
			NULL),
		0);
	assert_int_equal(config.sessions.sessions_max, 10000);
	assert_int_equal(config.sessions.per_address_max, 7);
	assert_int_equal(config.sessions.heartbeat_ms, 500);
	assert_int_equal(config.sessions.missed_max, 5);
	assert_int_equal(config.sessions.hellos_per_second, 100);
	expect_set_error("sessions.heartbeat_ms=99",
		"--set: sessions.heartbeat_ms: found 99; expected a number from 100 to 60000 "
		"(ms), or a time such as 500ms or 2s");
	expect_set_error("sessions.sessions_max=0",
		"--set: sessions.sessions_max: found 0; expected a number from 1 to 1048576");
}

static void values_take_units(void **state)
{
	(void)state;
	assert_int_equal(load(NULL, "sessions.heartbeat_ms=2s"), 0);
	assert_int_equal(config.sessions.heartbeat_ms, 2000);
	assert_int_equal(load(NULL, "sessions.block_ms_max=0.5m"), 0);
	assert_int_equal(config.sessions.block_ms_max, 30000);
	assert_int_equal(load(NULL, "workers.spin_us=1ms"), 0);
	assert_int_equal(config.workers.spin_us, 1000);
	assert_int_equal(load(NULL, "queues.memory_mib=2GiB"), 0);
	assert_int_equal(config.queues.memory_mib, 2048);
	assert_int_equal(load("channels:\n  up_ring_bytes: 512KiB\n", NULL), 0);
	assert_int_equal(config.channels.up_ring_bytes, 524288);
	assert_int_equal(load("queues:\n  idle_ms: 1 min\n", NULL), 0);
	assert_int_equal(config.queues.idle_ms, 60000);
}

static void units_that_do_not_fit_the_key_are_refused(void **state)
{
	(void)state;
	expect_set_error("workers.count=2s",
		"--set: workers.count: found 2s; expected a number from 1 to 32");
	expect_set_error("workers.spin_us=1KiB", "--set: workers.spin_us: found 1KiB; expected a "
						 "number from 0 to 1000000 (us), or a time such "
						 "as 50us or 1ms");
	expect_set_error("queues.memory_mib=1kB", "--set: queues.memory_mib: found 1kB; expected a "
						  "number from 1 to 1048576 (MiB), or a size such "
						  "as 64MiB or 1GiB");
	expect_set_error("sessions.heartbeat_ms=1500us",
		"--set: sessions.heartbeat_ms: found 1500us; expected a number from 100 to 60000 "
		"(ms), or a time such as 500ms or 2s");
}

static void unknown_keys_of_a_set_get_a_suggestion(void **state)
{
	(void)state;
	expect_set_error("workers.cuont=2",
		"--set: workers.cuont: found an unknown key (did you mean workers.count?); "
		"expected a key of the configuration file (man millrace.yaml)");
	expect_set_error("spin_us=2",
		"--set: spin_us: found an unknown key (did you mean workers.spin_us?); "
		"expected a key of the configuration file (man millrace.yaml)");
	expect_set_error("frobnicate=1",
		"--set: frobnicate: found an unknown key; "
		"expected a key of the configuration file (man millrace.yaml)");
}

static void a_path_too_long_for_sockets_is_refused(void **state)
{
	char set[128] = "run_dir=/";

	(void)state;
	memset(set + 9, 'x', 78);
	assert_int_equal(load(NULL, set), 0);
	set[9 + 78] = 'x';
	assert_int_equal(load(NULL, set), -EINVAL);
	assert_non_null(strstr(error_text, "expected a path of 1 to 79 bytes"));
	expect_set_error("run_dir=", "--set: run_dir: found nothing; "
				     "expected a path of 1 to 79 bytes");
}

static void a_file_that_cannot_be_read_is_named(void **state)
{
	(void)state;
	assert_int_equal(mr_config_load(&config, "/nonexistent/x.yaml", NULL, 0, error_text,
				 sizeof(error_text)),
		-ENOENT);
	assert_string_equal(error_text,
		"/nonexistent/x.yaml: cannot read it: No such file or directory; name a file that "
		"this user can read with --config");
}

static void long_lists_are_refused(void **state)
{
	char text[2048] = "access:\n  users: [0";

	(void)state;
	for (unsigned i = 1; i < 65; i++)
		strcat(text, ", 1");
	strcat(text, "]\n");
	expect_error(text, "2: access.users: found 65 entries; expected at most 64");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(without_a_file_everything_is_default),
		cmocka_unit_test(the_annotated_file_says_every_key_and_its_default),
		cmocka_unit_test(multicast_ranges_are_groups),
		cmocka_unit_test(a_file_goes_over_the_defaults),
		cmocka_unit_test(files_without_content_are_the_defaults),
		cmocka_unit_test(unknown_keys_are_refused_with_their_line),
		cmocka_unit_test(bad_values_are_refused_with_what_was_expected),
		cmocka_unit_test(shapes_that_do_not_fit_are_refused),
		cmocka_unit_test(a_fault_in_a_list_names_the_line_of_its_entry),
		cmocka_unit_test(set_goes_over_the_file),
		cmocka_unit_test(bad_sets_are_refused),
		cmocka_unit_test(networks_are_addresses_with_prefixes),
		cmocka_unit_test(sessions_have_bounds),
		cmocka_unit_test(values_take_units),
		cmocka_unit_test(units_that_do_not_fit_the_key_are_refused),
		cmocka_unit_test(unknown_keys_of_a_set_get_a_suggestion),
		cmocka_unit_test(a_path_too_long_for_sockets_is_refused),
		cmocka_unit_test(a_file_that_cannot_be_read_is_named),
		cmocka_unit_test(long_lists_are_refused),
	};
	int fd, failed;

	snprintf(file, sizeof(file), "/tmp/millrace-config-XXXXXX");
	fd = mkstemp(file);
	if (fd < 0)
		return 1;
	close(fd);
	failed = cmocka_run_group_tests(tests, NULL, NULL);
	unlink(file);
	return failed;
}
