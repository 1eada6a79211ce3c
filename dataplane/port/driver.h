/* SPDX-License-Identifier: Apache-2.0 */
/* driver: what sets one kind of port apart from the others; port.c does the rest.
 *
 * Threads   The table writer.
 * Errors    0 or -errno, logged with the port's name.
 */
#ifndef MILLRACE_PORT_DRIVER_H
#define MILLRACE_PORT_DRIVER_H

#include "dataplane/port/port.h"

/* Of a driver's arguments: the path of a socket and some numbers. */
#define MR_PORT_ARGUMENTS_BYTES 512

struct mr_port_driver {
	const char *vdev;       /* DPDK's name */
	bool device_per_worker; /* else one device with a queue pair a worker */
	uint32_t held_buffers;  /* by the driver, for each entry of a ring */
	/* A thread of DPDK's is at work on the devices until the process ends, and closing them under
	 * it has crashed: they and their buffers are left to the end of the process. */
	bool closed_by_exit;
	/* Looks whether the device can be had; fills mac, mtu and ifindex. */
	int (*prepare)(struct mr_port *p, unsigned workers);
	/* What DPDK is told of the device of a worker. */
	void (*arguments)(const struct mr_port *p, unsigned worker, char *out, size_t bytes);
	/* Starts a device that is not started. -EAGAIN: its peer is not there yet. */
	int (*start)(struct mr_port *p, unsigned device);
	/* All devices are open. May be NULL. */
	void (*opened)(struct mr_port *p);
	bool (*link_up)(const struct mr_port *p);
	/* Works on a link that is down and that no worker uses. May be NULL. */
	void (*revive)(struct mr_port *p);
	/* Devices are closed, if they were opened: what the driver left behind. May be NULL. */
	void (*closed)(struct mr_port *p);
};

extern const struct mr_port_driver mr_port_af_xdp;
extern const struct mr_port_driver mr_port_memif;
extern const struct mr_port_driver mr_port_tap;

/* What drivers share: */
int mr_port_start_device(struct mr_port *p, unsigned device);
/* As DPDK sees the links of all devices. */
bool mr_port_devices_up(const struct mr_port *p);
/* As the kernel sees the port's interface; false for another of the same name. */
bool mr_port_interface_up(const struct mr_port *p);
/* The MAC of the configuration, or one made up. */
void mr_port_choose_mac(struct mr_port *p);
/* Logs what is wrong and returns `error`. */
int mr_port_refuse(const struct mr_port *p, int error, const char *why);

#endif
