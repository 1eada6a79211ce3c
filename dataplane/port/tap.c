/* SPDX-License-Identifier: Apache-2.0 */
/* tap: a kernel interface that is made when the port opens and removed when it closes. */
#include <errno.h>
#include <stdio.h>
#include <unistd.h>

#include <rte_log.h>

#include "dataplane/port/driver.h"
#include "dataplane/port/interface.h"

/* DPDK's driver sends no larger packet, and cannot be told another MTU. */
#define MTU_MAX 1500

static int prepare(struct mr_port *p, unsigned workers)
{
	struct mr_interface i;

	(void)workers;
	if (mr_interface_look(p->config->device, &i) == 0)
		return mr_port_refuse(p, -EEXIST, "there is an interface of that name already",
			"choose a name that `ip link` does not list: interface= in ports.open");
	if (access("/dev/net/tun", R_OK | W_OK) != 0)
		return mr_port_refuse(p, -errno, "/dev/net/tun cannot be opened",
			"load its module (modprobe tun), and start the data plane as root");
	if (p->config->mtu > MTU_MAX)
		return mr_port_refuse(p, -EINVAL, "mtu is above what a tap port carries, 1,500",
			"lower mtu= of the port in ports.open, or use a memif");
	mr_port_choose_mac(p);
	/* The driver warns of flow rules that the kernel does not support; the port needs none. */
	(void)rte_log_set_level_pattern("pmd.net.tap", RTE_LOG_CRIT);
	p->mtu = p->config->mtu != 0 ? p->config->mtu : MTU_MAX;
	return 0;
}

/* Passes no MAC: the driver would give it to the kernel's side of the tap, too, which needs its
 * own. */
static void arguments(const struct mr_port *p, unsigned worker, char *out, size_t bytes)
{
	(void)worker;
	snprintf(out, bytes, "iface=%s", p->config->device);
}

static void opened(struct mr_port *p)
{
	struct mr_interface i;

	if (mr_interface_look(p->config->device, &i) == 0)
		p->ifindex = i.index;
}

const struct mr_port_driver mr_port_tap = {
	.vdev = "net_tap",
	.needs = "start the data plane as root, or with the capability CAP_NET_ADMIN",
	.held_buffers = 2,
	.interrupts = true,
	.prepare = prepare,
	.arguments = arguments,
	.start = mr_port_start_device,
	.opened = opened,
	.link_up = mr_port_interface_up,
	.wake_fd = mr_port_interrupt_fd, /* the tap's own, readable while packets wait */
};
