/* SPDX-License-Identifier: Apache-2.0 */
/* The messages about PCI cards that cannot be opened, with a sysfs made of files. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <errno.h>

#include "tests/unit/worker/cmocka_all.h"

#include "dataplane/port/card.h"

#define CARD    "0000:03:00.0"
#define SIBLING "0000:03:00.1"

static char root[64];
static struct mr_card_fault fault;

static void shell(const char *commands)
{
	char text[2048];

	snprintf(text, sizeof(text), "set -e; cd %s; %s", root, commands);
	assert_int_equal(system(text), 0);
}

/* Makes a card that can be opened. */
static int set_up(void **state)
{
	(void)state;
	snprintf(root, sizeof(root), "/tmp/mr-card.XXXXXX");
	if (mkdtemp(root) == NULL)
		return -1;
	shell("mkdir -p sys/devices/" CARD " sys/devices/" SIBLING
	      " sys/bus/pci/devices sys/drivers/vfio-pci sys/drivers/ixgbe dev/vfio "
	      "sys/groups/7/devices;"
	      "ln -s ../../../devices/" CARD " sys/bus/pci/devices/" CARD ";"
	      "ln -s ../../../devices/" SIBLING " sys/bus/pci/devices/" SIBLING ";"
	      "echo 0x020000 >sys/devices/" CARD "/class;"
	      "ln -s ../../drivers/vfio-pci sys/devices/" CARD "/driver;"
	      "ln -s ../../groups/7 sys/devices/" CARD "/iommu_group;"
	      "ln -s ../../../devices/" CARD " sys/groups/7/devices/" CARD ";"
	      "touch dev/vfio/7");
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	shell("rm -rf sys dev");
	return rmdir(root);
}

static void refuse(int error, const char *why, const char *hint)
{
	memset(&fault, 0, sizeof(fault));
	assert_int_equal(mr_card_check(root, CARD, &fault), error);
	assert_string_equal(fault.why, why);
	if (strstr(fault.hint, hint) == NULL)
		fail_msg("\"%s\" is not in \"%s\"", hint, fault.hint);
}

static void card_of_vfio_can_be_opened(void **state)
{
	(void)state;
	assert_int_equal(mr_card_check(root, CARD, &fault), 0);
}

static void absent_card_is_refused(void **state)
{
	(void)state;
	shell("rm sys/bus/pci/devices/" CARD);
	refuse(-ENODEV, "there is no such PCI device", "lspci -D");
}

static void device_that_is_no_network_card_is_refused(void **state)
{
	(void)state;
	shell("echo 0x010802 >sys/devices/" CARD "/class");
	refuse(-ENODEV, "this PCI device is not a network card", "lspci -D -d ::0200");
}

static void card_without_an_iommu_is_refused(void **state)
{
	(void)state;
	shell("rm sys/devices/" CARD "/iommu_group");
	refuse(-ENOTSUP, "the card is not behind an IOMMU", "intel_iommu=on");
}

static void card_of_the_kernel_is_refused_with_its_interface(void **state)
{
	(void)state;
	shell("ln -sfn ../../drivers/ixgbe sys/devices/" CARD "/driver;"
	      "mkdir -p sys/devices/" CARD "/net/eth1");
	refuse(-EBUSY, "the kernel's driver ixgbe has the card, as interface eth1",
		"driverctl set-override " CARD " vfio-pci");
	assert_non_null(strstr(fault.hint, ">driver/unbind"));
	assert_non_null(strstr(fault.hint, "echo " CARD " >/sys/bus/pci/drivers_probe"));
}

static void card_without_a_driver_is_refused(void **state)
{
	(void)state;
	shell("rm sys/devices/" CARD "/driver");
	refuse(-EBUSY, "the card is not bound to vfio-pci", "driver_override");
	assert_null(strstr(fault.hint, "unbind"));
}

static void group_that_the_kernel_uses_is_refused(void **state)
{
	(void)state;
	shell("ln -s ../../../devices/" SIBLING " sys/groups/7/devices/" SIBLING);
	assert_int_equal(mr_card_check(root, CARD, &fault), 0);
	shell("ln -s ../../drivers/pcieport sys/devices/" SIBLING "/driver");
	assert_int_equal(mr_card_check(root, CARD, &fault), 0);
	shell("ln -sfn ../../drivers/ixgbe sys/devices/" SIBLING "/driver");
	refuse(-EBUSY, "the kernel uses another device of the card's IOMMU group",
		"bind " SIBLING " to vfio-pci, too (its driver is ixgbe)");
}

static void group_without_a_file_is_refused(void **state)
{
	(void)state;
	shell("rm dev/vfio/7");
	refuse(-ENOENT, "the kernel offers no file for the card's IOMMU group",
		"modprobe vfio-pci");
}

static void group_of_another_user_is_refused(void **state)
{
	(void)state;
	if (geteuid() == 0)
		shell("rm dev/vfio/7; mkdir dev/vfio/7"); /* root may open all files */
	else
		shell("chmod 0 dev/vfio/7");
	refuse(geteuid() == 0 ? -EISDIR : -EACCES, "the card's IOMMU group cannot be opened",
		"chown USER");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(card_of_vfio_can_be_opened, set_up, tear_down),
		cmocka_unit_test_setup_teardown(absent_card_is_refused, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			device_that_is_no_network_card_is_refused, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			card_without_an_iommu_is_refused, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			card_of_the_kernel_is_refused_with_its_interface, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			card_without_a_driver_is_refused, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			group_that_the_kernel_uses_is_refused, set_up, tear_down),
		cmocka_unit_test_setup_teardown(group_without_a_file_is_refused, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			group_of_another_user_is_refused, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
