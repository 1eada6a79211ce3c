/* SPDX-License-Identifier: Apache-2.0 */
/* driver: the interface of a kind of port: AF_XDP, memif, tap, PCI. port.c does all that they have
 * in common.
 *
 * Threads   The table writer.
 * Errors    0 or -errno, logged with the port's name.
 */
#ifndef MILLRACE_PORT_DRIVER_H
#define MILLRACE_PORT_DRIVER_H

#include "dataplane/port/port.h"

struct rte_eth_stats;

/* Room for a device's DPDK arguments: the path of a socket and some numbers. */
#define MR_PORT_ARGUMENTS_BYTES 512

struct rte_eth_conf;

struct mr_port_driver {
	const char *bus;       /* "pci": EAL has opened the device; NULL: DPDK makes it */
	const char *vdev;      /* DPDK's name of the driver */
	bool device_per_queue; /* false: one device with all queue pairs */
	const char *needs;     /* next step when DPDK refuses the device */
	uint32_t held_buffers; /* buffers that the driver keeps for each entry of a ring */
	bool interrupts;       /* the devices are configured with receive interrupts */
	/* Checks that the device can be opened; fills mac, mtu and ifindex, and lowers queues_count
	 * from one for each worker to what the device has. */
	int (*prepare)(struct mr_port *p, unsigned workers);
	/* Writes the DPDK arguments of a device. */
	void (*arguments)(const struct mr_port *p, unsigned device, char *out, size_t bytes);
	/* Sets what the device is to do. Called before its queues are set up. May be NULL. */
	int (*configure)(struct mr_port *p, uint16_t id, struct rte_eth_conf *conf);
	/* Starts a device that is not started. */
	int (*start)(struct mr_port *p, unsigned device);
	/* Opens the queues without devices of DPDK; fills queues and rx_entries. NULL: the port has
	 * devices, for which vdev, needs, arguments and start are needed. */
	int (*open_queues)(struct mr_port *p);
	/* Called when all devices are open. May be NULL. */
	void (*opened)(struct mr_port *p);
	bool (*link_up)(const struct mr_port *p);
	/* Called when events_fd is readable. NULL: the port has none. */
	void (*served)(struct mr_port *p);
	/* Tries to bring up a link that is down and that no worker uses. May be NULL. */
	void (*revive)(struct mr_port *p);
	/* Called once a second. May be NULL. */
	void (*looked)(struct mr_port *p);
	/* Adds the counters of queues without devices. May be NULL. */
	void (*add_counters)(const struct mr_port *p, struct rte_eth_stats *sum);
	/* Called before the devices are closed. May be NULL. */
	void (*closing)(struct mr_port *p);
	/* Sleep. A worker sleeps in an epoll set, in which the descriptors of its queues are while
	 * the link is up. It calls arm, looks for packets once more, sleeps, and calls disarm.
	 *
	 * wake_fd: called once for each queue, right after its device was opened. Returns a
	 * descriptor that is valid until the device is closed; -1: none. May be NULL.
	 * arm: without it, the descriptor must be readable whenever packets wait. With it, it must
	 * become readable if packets come after the call. Called by the queue's worker, as is
	 * disarm, and only while the link is up. Both may be NULL. */
	int (*wake_fd)(const struct mr_port *p, unsigned queue);
	void (*arm)(const struct mr_port *p, unsigned queue);
	void (*disarm)(const struct mr_port *p, unsigned queue);
	/* Removes what the driver leaves behind. Called after the devices are closed, also if
	 * opening failed. May be NULL. */
	void (*closed)(struct mr_port *p);
};

extern const struct mr_port_driver mr_port_af_xdp;
extern const struct mr_port_driver mr_port_memif;
extern const struct mr_port_driver mr_port_tap;
extern const struct mr_port_driver mr_port_pci;

/* Functions that the drivers share: */
int mr_port_start_device(struct mr_port *p, unsigned device);
/* True if DPDK reports the links of all devices as up. */
bool mr_port_devices_up(const struct mr_port *p);
/* True if the kernel reports the port's interface as up; false if its name is another interface's
 * now. */
bool mr_port_interface_up(const struct mr_port *p);
/* Returns the descriptor of DPDK's receive interrupt of a queue, or -1. */
int mr_port_interrupt_fd(const struct mr_port *p, unsigned queue);
/* Sets the MAC from the configuration, or a random one. */
void mr_port_choose_mac(struct mr_port *p);
/* Logs why the port cannot be opened, and the next step; returns `error`. */
int mr_port_refuse(const struct mr_port *p, int error, const char *why, const char *hint);

#endif
