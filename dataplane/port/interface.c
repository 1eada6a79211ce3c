/* SPDX-License-Identifier: Apache-2.0 */
#include "dataplane/port/interface.h"

#include <errno.h>
#include <limits.h>
#include <linux/ethtool.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

static int ask(int fd, unsigned long what, struct ifreq *r)
{
	return ioctl(fd, what, r) < 0 ? -errno : 0;
}

static void look_queues(int fd, struct ifreq *r, struct mr_interface *out)
{
	struct ethtool_channels c = {.cmd = ETHTOOL_GCHANNELS};

	r->ifr_data = (void *)&c;
	out->rx_queues = out->tx_queues = 1;
	if (ask(fd, SIOCETHTOOL, r) != 0)
		return;
	out->rx_queues = c.rx_count + c.combined_count;
	out->tx_queues = c.tx_count + c.combined_count;
	out->combined = c.max_combined > 0;
}

static int look(int fd, struct ifreq *r, struct mr_interface *out)
{
	int error = ask(fd, SIOCGIFINDEX, r);

	out->index = (unsigned)r->ifr_ifindex;
	if (error == 0)
		error = ask(fd, SIOCGIFFLAGS, r);
	out->up = (r->ifr_flags & IFF_UP) != 0 && (r->ifr_flags & IFF_RUNNING) != 0;
	if (error == 0)
		error = ask(fd, SIOCGIFMTU, r);
	out->mtu = (uint32_t)r->ifr_mtu;
	if (error == 0)
		error = ask(fd, SIOCGIFHWADDR, r);
	memcpy(out->mac, r->ifr_hwaddr.sa_data, sizeof(out->mac));
	if (error == 0)
		look_queues(fd, r, out);
	return error;
}

int mr_interface_look(const char *name, struct mr_interface *out)
{
	struct ifreq r = {0};
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	int error;

	if (fd < 0)
		return -errno;
	memset(out, 0, sizeof(*out));
	snprintf(r.ifr_name, sizeof(r.ifr_name), "%s", name);
	error = look(fd, &r, out);
	close(fd);
	return error;
}

void mr_interface_device(const char *root, const char *nic, char *out, size_t bytes)
{
	if (strchr(nic, ':') != NULL)
		snprintf(out, bytes, "%s/sys/bus/pci/devices/%s", root, nic);
	else
		snprintf(out, bytes, "%s/sys/class/net/%s/device", root, nic);
}

/* The device of a virtio interface is a child of the PCI device, which has the node. */
static FILE *open_node(const char *root, const char *nic)
{
	char device[PATH_MAX / 2], path[PATH_MAX];
	FILE *f;

	mr_interface_device(root, nic, device, sizeof(device));
	snprintf(path, sizeof(path), "%s/numa_node", device);
	f = fopen(path, "re");
	if (f != NULL)
		return f;
	snprintf(path, sizeof(path), "%s/../numa_node", device);
	return fopen(path, "re");
}

int mr_interface_node(const char *root, const char *nic)
{
	FILE *f = open_node(root, nic);
	int node = -1;

	if (f == NULL)
		return -1;
	if (fscanf(f, "%d", &node) != 1 || node < 0)
		node = -1;
	fclose(f);
	return node;
}
