/* SPDX-License-Identifier: Apache-2.0 */
/* access: identifies the peer of a unix socket or path, and checks it against the configuration.
 *
 * Threads   The loop's.
 */
#ifndef MILLRACE_CONTROL_ACCESS_H
#define MILLRACE_CONTROL_ACCESS_H

#include <sys/socket.h>

#include "lib/config/config.h"
#include "flatbuf/wire.h"

#define MR_ACCESS_NAME_MAX 63u

/* The networks of the ports that have the kernel's addresses. They are read again after a second:
 * addresses come and go. All zero at first. */
struct mr_access_networks {
	struct {
		uint64_t read_ns; /* 0: never */
		uint32_t count;
		struct mr_config_network networks[MR_CONFIG_PORT_ADDRESSES_MAX];
	} ports[MR_CONFIG_PORTS_MAX];
};

/* Reads the peer's identity at the time of its connect. Returns 0 or -errno. */
int mr_access_peer(int socket_fd, struct ucred *out);
/* Returns a pidfd of the process that connected, or -errno. */
int mr_access_peer_pidfd(int socket_fd, const struct ucred *peer);
/* True for root and the user that the bus runs as. */
bool mr_access_admin(const struct ucred *peer);
/* True for administrators, and for users and groups (primary or supplementary) in the
 * configuration. */
bool mr_access_attach(const struct mr_config *c, const struct ucred *peer, int socket_fd);
/* True if the peer is in a configured network, or, without configured networks, in one of the
 * port's own. `now_ns`: CLOCK_MONOTONIC. */
bool mr_access_network(const struct mr_config *c, struct mr_access_networks *of_ports,
	uint64_t now_ns, const struct mrf_network_path *path);
/* True for a name that can be printed: at most MR_ACCESS_NAME_MAX bytes, no control bytes. */
bool mr_access_name_valid(const char *name, size_t bytes);

#endif
