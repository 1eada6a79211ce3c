/* SPDX-License-Identifier: Apache-2.0 */
/* interface: the state of a network interface, read from the kernel.
 *
 * Errors    -ENODEV: this network namespace has no interface of that name.
 */
#ifndef MILLRACE_PORT_INTERFACE_H
#define MILLRACE_PORT_INTERFACE_H

#include <stdbool.h>
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

#endif
