/* SPDX-License-Identifier: Apache-2.0 */
/* Chooses CPUs on machines that the tests describe, and reads descriptions from directories. */
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "dataplane/machine.h"
#include "dataplane/port/interface.h"

/* Two sockets of four cores with two threads each: the siblings are CPU n and CPU n + 8. CPUs 0 to
 * 3 and 8 to 11 are on node 0. */
static void two_sockets(struct mr_machine *m)
{
	memset(m, 0, sizeof(*m));
	m->nic_node = -1;
	for (unsigned i = 0; i < MR_MACHINE_CPUS_MAX; i++)
		m->cpus[i].core = (uint16_t)i;
	for (unsigned i = 0; i < 16; i++)
		m->cpus[i] = (struct mr_machine_cpu){
			.allowed = true, .node = i % 8 / 4, .core = (uint16_t)(i % 8)};
}

static void isolate(struct mr_machine *m, unsigned first, unsigned last)
{
	for (unsigned i = first; i <= last; i++)
		m->cpus[i].isolated = true;
}

static void choose(const struct mr_machine *m, unsigned workers, enum mr_config_pin pin,
	struct mr_placement *out)
{
	const struct mr_placement_wish wish = {.workers = workers, .pin = pin};

	mr_placement_choose(m, &wish, out);
}

static void expect_cpus(const struct mr_placement *p, unsigned workers, const int *cpus)
{
	assert_true(p->pinned);
	for (unsigned i = 0; i < workers; i++)
		assert_int_equal(p->cpus[i], cpus[i]);
}

#define EXPECT_CPUS(p, ...)                                                                        \
	expect_cpus(p, sizeof((int[]){__VA_ARGS__}) / sizeof(int), (int[]){__VA_ARGS__})

static unsigned count_on(const struct mr_placement *p)
{
	unsigned count = 0;

	assert_false(p->pinned);
	for (unsigned i = 0; i < MR_MACHINE_CPUS_MAX; i++)
		count += p->on[i];
	return count;
}

static void each_worker_has_a_core_and_cpu_0_comes_last(void **state)
{
	struct mr_placement p;
	struct mr_machine m;

	(void)state;
	two_sockets(&m);
	choose(&m, 8, MR_CONFIG_PIN_ALWAYS, &p);
	EXPECT_CPUS(&p, 1, 2, 3, 4, 5, 6, 7, 0);
	assert_false(p.shares_core);
}

static void more_workers_than_cores_share_them(void **state)
{
	struct mr_placement p;
	struct mr_machine m;

	(void)state;
	two_sockets(&m);
	choose(&m, 10, MR_CONFIG_PIN_ALWAYS, &p);
	EXPECT_CPUS(&p, 1, 2, 3, 4, 5, 6, 7, 0, 9, 10);
	assert_true(p.shares_core);
	for (unsigned i = 1; i < 16; i++)
		m.cpus[i].allowed = false;
	choose(&m, 2, MR_CONFIG_PIN_ALWAYS, &p);
	EXPECT_CPUS(&p, 0, 0);
	assert_true(p.shares_core);
}

static void the_cards_node_comes_first(void **state)
{
	struct mr_placement p;
	struct mr_machine m;

	(void)state;
	two_sockets(&m);
	m.nic_node = 1;
	choose(&m, 5, MR_CONFIG_PIN_ALWAYS, &p);
	EXPECT_CPUS(&p, 4, 5, 6, 7, 1);
}

static void isolated_cpus_come_before_the_cards_node(void **state)
{
	struct mr_placement p;
	struct mr_machine m;

	(void)state;
	two_sockets(&m);
	m.nic_node = 1;
	isolate(&m, 2, 4);
	choose(&m, 4, MR_CONFIG_PIN_ALWAYS, &p);
	EXPECT_CPUS(&p, 4, 2, 3, 5);
}

static void cpus_with_interrupts_of_the_card_are_avoided(void **state)
{
	struct mr_placement p;
	struct mr_machine m;

	(void)state;
	two_sockets(&m);
	m.nic_node = 0;
	m.cpus[1].interrupts = m.cpus[2].interrupts = true;
	choose(&m, 3, MR_CONFIG_PIN_ALWAYS, &p);
	EXPECT_CPUS(&p, 3, 0, 9);
	assert_false(p.on_interrupts);
	for (unsigned i = 0; i < 16; i++)
		m.cpus[i].interrupts = true;
	choose(&m, 1, MR_CONFIG_PIN_ALWAYS, &p);
	EXPECT_CPUS(&p, 1);
	assert_true(p.on_interrupts);
}

static void auto_pins_to_isolated_cpus_alone(void **state)
{
	struct mr_placement p;
	struct mr_machine m;

	(void)state;
	two_sockets(&m);
	choose(&m, 2, MR_CONFIG_PIN_AUTO, &p);
	assert_int_equal(count_on(&p), 16);
	isolate(&m, 6, 7);
	choose(&m, 2, MR_CONFIG_PIN_AUTO, &p);
	EXPECT_CPUS(&p, 6, 7);
	choose(&m, 3, MR_CONFIG_PIN_AUTO, &p);
	assert_int_equal(count_on(&p), 14);
	assert_false(p.on[6]);
	choose(&m, 2, MR_CONFIG_PIN_NEVER, &p);
	assert_int_equal(count_on(&p), 14);
}

static void floating_workers_stay_on_the_node_while_it_has_cores(void **state)
{
	struct mr_placement p;
	struct mr_machine m;

	(void)state;
	two_sockets(&m);
	m.nic_node = 1;
	m.cpus[4].interrupts = m.cpus[12].interrupts = true;
	choose(&m, 3, MR_CONFIG_PIN_NEVER, &p);
	assert_int_equal(count_on(&p), 6);
	assert_false(p.on[4]);
	choose(&m, 4, MR_CONFIG_PIN_NEVER, &p);
	assert_int_equal(count_on(&p), 14);
	choose(&m, 8, MR_CONFIG_PIN_NEVER, &p);
	assert_int_equal(count_on(&p), 16);
	assert_false(p.shares_core);
	choose(&m, 9, MR_CONFIG_PIN_NEVER, &p);
	assert_true(p.shares_core);
}

static void configured_cpus_are_taken_as_they_are(void **state)
{
	const int siblings[] = {3, 11}, cores[] = {0, 4};
	struct mr_placement p;
	struct mr_machine m;

	(void)state;
	two_sockets(&m);
	m.cpus[3].interrupts = true;
	mr_placement_choose(&m, &(struct mr_placement_wish){.workers = 2, .cpus = siblings}, &p);
	EXPECT_CPUS(&p, 3, 11);
	assert_true(p.shares_core);
	mr_placement_choose(&m, &(struct mr_placement_wish){.workers = 2, .cpus = cores}, &p);
	EXPECT_CPUS(&p, 0, 4);
	assert_false(p.shares_core);
}

/* ---- descriptions in a directory */

static char root[64];

/* Writes a file below the root, and makes its directories. */
static void put(const char *name, const char *text)
{
	char path[PATH_MAX];
	FILE *f;

	snprintf(path, sizeof(path), "%s%s", root, name);
	for (char *at = path + strlen(root) + 1; (at = strchr(at, '/')) != NULL; at++) {
		*at = '\0';
		(void)mkdir(path, 0700);
		*at = '/';
	}
	f = fopen(path, "w");
	assert_non_null(f);
	fputs(text, f);
	fclose(f);
}

static int make_root(void **state)
{
	(void)state;
	snprintf(root, sizeof(root), "/tmp/mr-placement.XXXXXX");
	return mkdtemp(root) == NULL ? -1 : 0;
}

static int remove_root(void **state)
{
	char command[128];

	(void)state;
	snprintf(command, sizeof(command), "rm -r '%s'", root);
	return system(command);
}

/* Four CPUs, two cores; CPU 3 is isolated; a card on node 1 with an interrupt on CPU 1. */
static void put_machine(void)
{
	put("/sys/devices/system/cpu/online", "0-3\n");
	put("/sys/devices/system/cpu/isolated", "3\n");
	for (unsigned i = 0; i < 4; i++) {
		char name[96];

		snprintf(name, sizeof(name),
			"/sys/devices/system/cpu/cpu%u/topology/thread_siblings_list", i);
		put(name, i < 2 ? "0-1\n" : "2,3\n");
	}
	put("/sys/devices/system/node/node0/cpulist", "0-1\n");
	put("/sys/devices/system/node/node1/cpulist", "2-3\n");
	put("/sys/class/net/eth7/device/numa_node", "1\n");
	put("/sys/class/net/eth7/device/msi_irqs/42", "msix\n");
	put("/proc/irq/42/effective_affinity_list", "1\n");
	put("/sys/bus/pci/devices/0000:03:00.0/numa_node", "0\n");
}

static cpu_set_t cpus(unsigned first, unsigned last)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	for (unsigned i = first; i <= last; i++)
		CPU_SET(i, &set);
	return set;
}

static void a_machine_is_read(void **state)
{
	const char *nics[] = {"eth7"};
	cpu_set_t set = cpus(0, 2);
	struct mr_machine m;

	(void)state;
	put_machine();
	mr_machine_read(root, &set, nics, 1, &m);
	assert_int_equal(m.nic_node, 1);
	assert_int_equal(m.cpus[1].core, 0);
	assert_int_equal(m.cpus[3].core, 2);
	assert_int_equal(m.cpus[3].node, 1);
	assert_true(m.cpus[1].interrupts);
	assert_false(m.cpus[0].interrupts);
	/* The mask has all CPUs but the isolated one, so nobody chose it. */
	assert_true(m.cpus[3].allowed && m.cpus[3].isolated);
	assert_false(m.cpus[4].allowed);
	assert_int_equal(mr_interface_node(root, "0000:03:00.0"), 0);
	assert_int_equal(mr_interface_node(root, "veth0"), -1);
}

static void an_affinity_that_somebody_chose_is_kept(void **state)
{
	cpu_set_t set = cpus(0, 1);
	struct mr_machine m;

	(void)state;
	put_machine();
	mr_machine_read(root, &set, NULL, 0, &m);
	assert_true(m.cpus[0].allowed && m.cpus[1].allowed);
	assert_false(m.cpus[2].allowed || m.cpus[3].allowed);
	assert_int_equal(m.nic_node, -1);
}

static void missing_and_broken_files_say_nothing(void **state)
{
	const char *nics[] = {"eth7"};
	cpu_set_t set = cpus(0, 1);
	struct mr_machine m;

	(void)state;
	put("/sys/devices/system/cpu/isolated", "\n");
	put("/sys/devices/system/node/node0/cpulist", "5-x,9999999999999999999999\n");
	put("/sys/class/net/eth7/device/msi_irqs/../numa_node", "-1\n");
	mr_machine_read(root, &set, nics, 1, &m);
	assert_int_equal(m.nic_node, -1);
	assert_true(m.cpus[0].allowed && m.cpus[1].allowed);
	assert_false(m.cpus[2].allowed);
	for (unsigned i = 0; i < MR_MACHINE_CPUS_MAX; i++)
		assert_int_equal(m.cpus[i].core, i);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_worker_has_a_core_and_cpu_0_comes_last),
		cmocka_unit_test(more_workers_than_cores_share_them),
		cmocka_unit_test(the_cards_node_comes_first),
		cmocka_unit_test(isolated_cpus_come_before_the_cards_node),
		cmocka_unit_test(cpus_with_interrupts_of_the_card_are_avoided),
		cmocka_unit_test(auto_pins_to_isolated_cpus_alone),
		cmocka_unit_test(floating_workers_stay_on_the_node_while_it_has_cores),
		cmocka_unit_test(configured_cpus_are_taken_as_they_are),
		cmocka_unit_test_setup_teardown(a_machine_is_read, make_root, remove_root),
		cmocka_unit_test_setup_teardown(
			an_affinity_that_somebody_chose_is_kept, make_root, remove_root),
		cmocka_unit_test_setup_teardown(
			missing_and_broken_files_say_nothing, make_root, remove_root),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
