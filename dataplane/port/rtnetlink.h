/* SPDX-License-Identifier: Apache-2.0 */
/* rtnetlink: sets up a network interface through the kernel's routing socket (rtnetlink(7)).
 *
 * Threads   Any; each call opens a socket of its own.
 * Errors    0 or -errno, as the kernel says: -EPERM without CAP_NET_ADMIN.
 */
#ifndef MILLRACE_PORT_RTNETLINK_H
#define MILLRACE_PORT_RTNETLINK_H

#include <stddef.h>
#include <stdint.h>

#define MR_RTNETLINK_ALIAS_BYTES 256 /* IFALIASZ */

struct mr_rtnetlink_link {
	unsigned index;
	const uint8_t *mac; /* 6 bytes */
	uint32_t mtu;
	const char *alias; /* a text that `ip link` shows */
};

/* Sets the interface's MAC, MTU and alias, and brings it up. */
int mr_rtnetlink_set(const struct mr_rtnetlink_link *l);
/* Adds an address, or leaves it if it is there. `address`: 16 bytes, IPv4 mapped into IPv6;
 * `prefix_bits` counts in 128. */
int mr_rtnetlink_address(unsigned index, const uint8_t *address, uint8_t prefix_bits);
/* Reads the interface's alias; an empty text if it has none. */
int mr_rtnetlink_alias(const char *name, char out[static MR_RTNETLINK_ALIAS_BYTES]);

#endif
