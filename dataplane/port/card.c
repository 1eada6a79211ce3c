/* SPDX-License-Identifier: Apache-2.0 */
#include "dataplane/port/card.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define PATH_BYTES 512
#define NAME_BYTES 64
#define CLASS_NET  0x02 /* base class of network controllers */
#define VFIO       "vfio-pci"

struct card {
	const char *root;
	const char *address;
	char group[NAME_BYTES];
};

__attribute__((format(printf, 4, 5))) static int refuse(
	struct mr_card_fault *f, int error, const char *why, const char *hint, ...)
{
	va_list args;

	snprintf(f->why, sizeof(f->why), "%s", why);
	va_start(args, hint);
	vsnprintf(f->hint, sizeof(f->hint), hint, args);
	va_end(args);
	return error;
}

/* Writes the path of something in the sysfs directory of a card. */
static void device_path(
	const char *root, const char *address, const char *what, char out[PATH_BYTES])
{
	snprintf(out, PATH_BYTES, "%s/sys/bus/pci/devices/%s/%s", root, address, what);
}

/* Reads the last part of the path to which a link points. */
static bool read_link_name(const char *path, char out[NAME_BYTES])
{
	char target[PATH_BYTES], *slash;
	ssize_t bytes = readlink(path, target, sizeof(target) - 1);

	if (bytes < 0)
		return false;
	target[bytes] = '\0';
	slash = strrchr(target, '/');
	snprintf(out, NAME_BYTES, "%.63s", slash != NULL ? slash + 1 : target);
	return true;
}

static bool read_driver(const char *root, const char *address, char out[NAME_BYTES])
{
	char path[PATH_BYTES];

	device_path(root, address, "driver", path);
	return read_link_name(path, out);
}

static unsigned read_base_class(const struct card *c)
{
	char path[PATH_BYTES], text[NAME_BYTES] = "";
	FILE *f;

	device_path(c->root, c->address, "class", path);
	f = fopen(path, "re");
	if (f == NULL)
		return 0;
	if (fgets(text, sizeof(text), f) == NULL)
		text[0] = '\0';
	fclose(f);
	return (unsigned)(strtoul(text, NULL, 16) >> 16);
}

static int check_kind(const struct card *c, struct mr_card_fault *f)
{
	char path[PATH_BYTES];

	device_path(c->root, c->address, "", path);
	if (access(path, F_OK) != 0)
		return refuse(f, -ENODEV, "there is no such PCI device",
			"choose one that `lspci -D` lists: address= in ports.open");
	if (read_base_class(c) != CLASS_NET)
		return refuse(f, -ENODEV, "this PCI device is not a network card",
			"choose one that `lspci -D -d ::0200` lists: address= in ports.open");
	return 0;
}

static int check_iommu(struct card *c, struct mr_card_fault *f)
{
	char path[PATH_BYTES];

	device_path(c->root, c->address, "iommu_group", path);
	if (read_link_name(path, c->group))
		return 0;
	return refuse(f, -ENOTSUP, "the card is not behind an IOMMU",
		"turn the IOMMU on (VT-d or AMD-Vi) in the firmware, and for Intel on the "
		"kernel's command line: intel_iommu=on");
}

/* Writes the name of the kernel's interface of the card, or nothing. */
static void read_interface(const struct card *c, char out[NAME_BYTES])
{
	char path[PATH_BYTES];
	struct dirent *e;
	DIR *d;

	out[0] = '\0';
	device_path(c->root, c->address, "net", path);
	d = opendir(path);
	while (d != NULL && (e = readdir(d)) != NULL)
		if (e->d_name[0] != '.')
			snprintf(out, NAME_BYTES, "%.15s", e->d_name);
	if (d != NULL)
		closedir(d);
}

static int check_driver(const struct card *c, struct mr_card_fault *f)
{
	char driver[NAME_BYTES], interface[NAME_BYTES];
	bool bound = read_driver(c->root, c->address, driver);
	int error;

	if (bound && strcmp(driver, VFIO) == 0)
		return 0;
	read_interface(c, interface);
	error = refuse(f, -EBUSY, "the card is not bound to vfio-pci",
		"bind it: modprobe vfio-pci; then driverctl set-override %s vfio-pci, or "
		"dpdk-devbind.py -b vfio-pci %s, or: cd /sys/bus/pci/devices/%s; echo vfio-pci "
		">driver_override; %secho %s >/sys/bus/pci/drivers_probe",
		c->address, c->address, c->address,
		bound ? "echo $(basename $PWD) >driver/unbind; " : "", c->address);
	if (bound)
		snprintf(f->why, sizeof(f->why), "the kernel's driver %.31s has the card%s%s",
			driver, interface[0] != '\0' ? ", as interface " : "", interface);
	return error;
}

/* True for a device that vfio lets the kernel keep beside a card of its group. */
static bool is_harmless(const char *driver)
{
	return strcmp(driver, VFIO) == 0 || strcmp(driver, "pcieport") == 0 ||
	       strcmp(driver, "pci-stub") == 0;
}

static int check_group(const struct card *c, struct mr_card_fault *f)
{
	char path[PATH_BYTES], driver[NAME_BYTES];
	struct dirent *e;
	int error = 0;
	DIR *d;

	device_path(c->root, c->address, "iommu_group/devices", path);
	d = opendir(path);
	while (error == 0 && d != NULL && (e = readdir(d)) != NULL)
		if (e->d_name[0] != '.' && read_driver(c->root, e->d_name, driver) &&
			!is_harmless(driver))
			error = refuse(f, -EBUSY,
				"the kernel uses another device of the card's IOMMU group",
				"bind %.20s to vfio-pci, too (its driver is %.31s), or put the "
				"card into a slot with a group of its own",
				e->d_name, driver);
	if (d != NULL)
		closedir(d);
	return error;
}

/* Opens the group as DPDK will: the kernel lets one process have it. */
static int check_open(const struct card *c, struct mr_card_fault *f)
{
	char path[PATH_BYTES];
	int fd;

	snprintf(path, sizeof(path), "%s/dev/vfio/%s", c->root, c->group);
	fd = open(path, O_RDWR | O_CLOEXEC);
	if (fd >= 0) {
		close(fd);
		return 0;
	}
	if (errno == EBUSY)
		return refuse(f, -EBUSY, "another process uses the card",
			"stop it: `fuser -v %s` names it", path);
	if (errno == ENOENT)
		return refuse(f, -ENOENT, "the kernel offers no file for the card's IOMMU group",
			"load vfio with the IOMMU on: modprobe vfio-pci; vfio without IOMMU is not "
			"supported; the file would be %s",
			path);
	return refuse(f, -errno, "the card's IOMMU group cannot be opened",
		"start the data plane as root, or give its user the file: chown USER %s", path);
}

int mr_card_check(const char *root, const char *address, struct mr_card_fault *f)
{
	struct card c = {.root = root, .address = address};
	int error = check_kind(&c, f);

	if (error == 0)
		error = check_iommu(&c, f);
	if (error == 0)
		error = check_driver(&c, f);
	if (error == 0)
		error = check_group(&c, f);
	return error != 0 ? error : check_open(&c, f);
}
