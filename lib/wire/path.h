/* SPDX-License-Identifier: Apache-2.0 */
/* path: the network path of a session: addresses and UDP ports of both ends, and the bus's port.
 *
 * Threads   Pure functions.
 * Hot path  All of it.
 */
#ifndef MILLRACE_WIRE_PATH_H
#define MILLRACE_WIRE_PATH_H

#include <stdbool.h>
#include <string.h>

#include "flatbuf/wire.h"
#include "lib/base/share.h"

/* True if both are the same path. Ethernet addresses may differ. */
static inline bool mr_path_same(const struct mrf_network_path *a, const struct mrf_network_path *b)
{
	return ((a->peer_0 ^ b->peer_0) | (a->peer_1 ^ b->peer_1) | (a->local_0 ^ b->local_0) |
		       (a->local_1 ^ b->local_1) | (uint64_t)(a->peer_udp_port ^ b->peer_udp_port) |
		       (uint64_t)(a->local_udp_port ^ b->local_udp_port) |
		       (uint64_t)(a->port ^ b->port)) == 0;
}

/* True for an IPv4 address mapped into IPv6: ::ffff:0:0/96. */
static inline bool mr_path_is_ip4(const struct mrf_network_path *p)
{
	static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};

	return memcmp(&p->peer_0, mapped, sizeof(mapped)) == 0;
}

/* Returns the host as a peer of the bus's shares, see lib/base/share.h. */
static inline uint64_t mr_path_peer(const struct mrf_network_path *p, uint32_t ip6_bits)
{
	uint8_t address[16];

	memcpy(address, &p->peer_0, 8);
	memcpy(address + 8, &p->peer_1, 8);
	return mr_peer_of_address(address, ip6_bits);
}

#endif
