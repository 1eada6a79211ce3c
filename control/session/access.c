/* SPDX-License-Identifier: Apache-2.0 */
#include "control/session/access.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "lib/config/interface.h"

/* Linux 6.5; older headers lack it. */
#ifndef SO_PEERPIDFD
#define SO_PEERPIDFD 77
#endif

/* NGROUPS_MAX: the kernel's limit of a process's groups. */
#define GROUPS_MAX 65536u
#define READ_NS    1000000000ull

int mr_access_peer(int socket_fd, struct ucred *out)
{
	socklen_t bytes = sizeof(*out);

	return getsockopt(socket_fd, SOL_SOCKET, SO_PEERCRED, out, &bytes) == 0 ? 0 : -errno;
}

/* Kernels before 6.5 only give a pid, which another process may have by now. Then the process that
 * connected has exited, and the only harm is that its end is noticed late. The pid is 0 if the peer
 * is in another pid namespace. */
int mr_access_peer_pidfd(int socket_fd, const struct ucred *peer)
{
	int fd = -1;
	socklen_t bytes = sizeof(fd);

	if (getsockopt(socket_fd, SOL_SOCKET, SO_PEERPIDFD, &fd, &bytes) == 0)
		return fd;
	if (peer->pid <= 0)
		return -ESRCH;
	fd = (int)syscall(SYS_pidfd_open, peer->pid, 0);
	return fd >= 0 ? fd : -errno;
}

bool mr_access_admin(const struct ucred *peer)
{
	return peer->uid == 0 || peer->uid == geteuid();
}

static bool group_named(const struct mr_config *c, gid_t group)
{
	for (uint32_t i = 0; i < c->access.groups_count; i++) {
		if (c->access.groups[i] == group)
			return true;
	}
	return false;
}

static bool in_named_group(const struct mr_config *c, int socket_fd)
{
	static gid_t groups[GROUPS_MAX];
	socklen_t bytes = sizeof(groups);

	if (c->access.groups_count == 0 ||
		getsockopt(socket_fd, SOL_SOCKET, SO_PEERGROUPS, groups, &bytes) != 0)
		return false;
	for (size_t i = 0; i < bytes / sizeof(groups[0]); i++) {
		if (group_named(c, groups[i]))
			return true;
	}
	return false;
}

bool mr_access_attach(const struct mr_config *c, const struct ucred *peer, int socket_fd)
{
	if (c->access.anyone || mr_access_admin(peer) || group_named(c, peer->gid))
		return true;
	for (uint32_t i = 0; i < c->access.users_count; i++) {
		if (c->access.users[i] == peer->uid)
			return true;
	}
	return in_named_group(c, socket_fd);
}

static bool in_network(const struct mr_config_network *n, const uint8_t address[16])
{
	unsigned whole = n->prefix_bits / 8, rest = n->prefix_bits % 8;

	return memcmp(n->address, address, whole) == 0 &&
	       (rest == 0 || (n->address[whole] ^ address[whole]) >> (8 - rest) == 0);
}

/* Returns the networks of a port: its configured addresses, or those of its interface. */
static const struct mr_config_network *networks_of(const struct mr_config_port *p,
	struct mr_access_networks *of_ports, uint32_t port, uint64_t now_ns, uint32_t *count)
{
	struct mr_config_network *networks = of_ports->ports[port].networks;
	uint64_t *read_ns = &of_ports->ports[port].read_ns;

	*count = p->addresses_count;
	if (*count > 0)
		return p->addresses;
	if (*read_ns == 0 || now_ns - *read_ns >= READ_NS) {
		of_ports->ports[port].count =
			mr_interface_networks(p->device, networks, MR_CONFIG_PORT_ADDRESSES_MAX);
		*read_ns = now_ns;
	}
	*count = of_ports->ports[port].count;
	return networks;
}

bool mr_access_network(const struct mr_config *c, struct mr_access_networks *of_ports,
	uint64_t now_ns, const struct mrf_network_path *path)
{
	const struct mr_config_network *networks = c->access.networks;
	uint32_t count = c->access.networks_count;
	uint8_t peer[16];

	memcpy(peer, &path->peer_0, 8);
	memcpy(peer + 8, &path->peer_1, 8);
	if (count == 0 && path->port < c->ports.open_count)
		networks = networks_of(
			&c->ports.open[path->port], of_ports, path->port, now_ns, &count);
	for (uint32_t i = 0; i < count; i++) {
		if (in_network(&networks[i], peer))
			return true;
	}
	return false;
}

bool mr_access_name_valid(const char *name, size_t bytes)
{
	for (size_t i = 0; i < bytes; i++) {
		if ((unsigned char)name[i] < 0x20 || name[i] == 0x7f)
			return false;
	}
	return bytes <= MR_ACCESS_NAME_MAX;
}
