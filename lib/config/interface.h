/* SPDX-License-Identifier: Apache-2.0 */
/* interface: the addresses that the kernel has on an interface, with their prefixes.
 *
 * Owns      Nothing.
 * Threads   Any; makes system calls.
 */
#ifndef MILLRACE_CONFIG_INTERFACE_H
#define MILLRACE_CONFIG_INTERFACE_H

#include "lib/config/config.h"

/* Writes at most `max` addresses: IPv4 ones, then IPv6 ones, then link-local ones. Returns how
 * many, 0 on any error. */
uint32_t mr_interface_networks(const char *interface, struct mr_config_network *out, uint32_t max);

#endif
