/* SPDX-License-Identifier: Apache-2.0 */
/* interface: what the kernel says of a network interface.
 *
 * Errors    -ENODEV: there is none of that name in this network namespace.
 */
#ifndef MILLRACE_PORT_INTERFACE_H
#define MILLRACE_PORT_INTERFACE_H

#include <stdbool.h>
#include <stdint.h>

struct mr_interface {
	unsigned index;
	uint32_t mtu;
	bool up; /* administratively, and with a carrier */
	uint8_t mac[6];
	unsigned rx_queues; /* 1 if it does not say */
	unsigned tx_queues;
	bool combined; /* a queue is one for both directions */
};

int mr_interface_look(const char *name, struct mr_interface *out);

#endif
