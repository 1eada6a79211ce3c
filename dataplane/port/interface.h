/* SPDX-License-Identifier: Apache-2.0 */
/* interface: the state of a network interface, read from the kernel.
 *
 * Errors    -ENODEV: this network namespace has no interface of that name.
 */
#ifndef MILLRACE_PORT_INTERFACE_H
#define MILLRACE_PORT_INTERFACE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct mr_interface {
	unsigned index;
	uint32_t mtu;
	bool up; /* administratively up, and with a carrier */
	uint8_t mac[6];
	unsigned rx_queues; /* 1 if the interface does not report its queues */
	unsigned tx_queues;
	bool combined; /* each queue serves both directions */
};

/* Reads the state of the interface called `name`. */
int mr_interface_look(const char *name, struct mr_interface *out);

/* Returns the NUMA node of a network card, or -1: it has none, or is no hardware. `root`: directory
 * of the machine's files, "" for this machine. `nic`: an interface, or a PCI address. */
int mr_interface_node(const char *root, const char *nic);
/* Writes the directory of a network card's device. */
void mr_interface_device(const char *root, const char *nic, char *out, size_t bytes);

#endif
