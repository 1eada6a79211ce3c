/* SPDX-License-Identifier: Apache-2.0 */
/* memif: packets through memory shared with another process, which must be trusted.
 *
 * If the peer has made one queue only, the driver lets two queues of an interface share its ring.
 * So each worker has an interface of its own; ids count up from the configured one. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <rte_ethdev.h>
#include <rte_log.h>
#include <rte_mbuf.h>

#include "lib/base/log.h"
#include "dataplane/port/driver.h"

#define MTU_DEFAULT 1500

/* True if a process listens on the socket. Reads the kernel's list instead of connecting: a server
 * that uses the same driver panics when a client disconnects early. */
static bool is_served(const char *path)
{
	FILE *f = fopen("/proc/net/unix", "re");
	size_t path_bytes = strlen(path);
	char line[512];
	bool found = false;

	while (f != NULL && !found && fgets(line, sizeof(line), f) != NULL) {
		size_t bytes = strcspn(line, "\n");

		found = bytes > path_bytes && line[bytes - path_bytes - 1] == ' ' &&
			memcmp(line + bytes - path_bytes, path, path_bytes) == 0;
	}
	if (f != NULL)
		fclose(f);
	return found;
}

static bool is_socket(const char *path)
{
	struct stat st;

	return stat(path, &st) == 0 && S_ISSOCK(st.st_mode);
}

static int prepare_socket(struct mr_port *p)
{
	const char *path = p->config->device;

	if (is_served(path))
		return mr_port_refuse(p, -EADDRINUSE, "another process listens on this socket",
			"choose another path with socket= in ports.open, or role=client");
	if (is_socket(path) && unlink(path) == 0)
		mr_log(MR_LOG_WARN, "replaced the socket that an earlier run left behind",
			MR_LOG_STR("port", p->name), MR_LOG_STR("socket", path));
	return 0;
}

static int check_directory(struct mr_port *p)
{
	char directory[sizeof(p->config->device)];

	snprintf(directory, sizeof(directory), "%s", p->config->device);
	strrchr(directory, '/')[1] = '\0'; /* the configuration takes absolute paths only */
	return access(directory, R_OK | W_OK) == 0
		       ? 0
		       : mr_port_refuse(p, -errno, "the directory of the socket cannot be written",
				 "make the directory for this user, or choose another with socket= "
				 "in ports.open");
}

static int prepare(struct mr_port *p, unsigned workers)
{
	int error = check_directory(p);

	(void)workers;
	mr_port_choose_mac(p);
	p->mtu = p->config->mtu != 0 ? p->config->mtu : MTU_DEFAULT;
	/* The driver would log each attempt to connect to a peer that is not there yet. */
	(void)rte_log_set_level_pattern("pmd.net.memif", RTE_LOG_CRIT);
	return error == 0 && p->config->memif_server ? prepare_socket(p) : error;
}

static unsigned ring_log2(const struct mr_port *p)
{
	unsigned log2 = (unsigned)__builtin_ctz(p->config->queue_entries);

	return log2 > 14 ? 14 : log2;
}

static void arguments(const struct mr_port *p, unsigned worker, char *out, size_t bytes)
{
	const uint8_t *m = p->mac;

	snprintf(out, bytes,
		"role=%s,id=%u,bsize=%u,rsize=%u,socket=%s,socket-abstract=no,"
		"mac=%02x:%02x:%02x:%02x:%02x:%02x",
		p->config->memif_server ? "server" : "client", p->config->memif_id + worker,
		rte_pktmbuf_data_room_size(p->pool) - RTE_PKTMBUF_HEADROOM, ring_log2(p),
		p->config->device, m[0], m[1], m[2], m[3], m[4], m[5]);
}

static int start(struct mr_port *p, unsigned device)
{
	if (!p->config->memif_server && !is_socket(p->config->device))
		return -EAGAIN;
	return mr_port_start_device(p, device) == 0 ? 0 : -EAGAIN;
}

/* Stops and starts a client that has lost its server. A server just waits for the next client. */
static void revive(struct mr_port *p)
{
	struct rte_eth_link link;

	for (unsigned i = 0; i < p->devices_count && !p->config->memif_server; i++) {
		(void)rte_eth_link_get_nowait(p->devices[i].id, &link);
		if (p->devices[i].started && link.link_status == RTE_ETH_LINK_UP)
			continue;
		if (p->devices[i].started)
			(void)rte_eth_dev_stop(p->devices[i].id);
		p->devices[i].started = false;
		(void)start(p, i);
	}
}

static void closed(struct mr_port *p)
{
	if (p->config->memif_server && p->devices_count > 0)
		(void)unlink(p->config->device);
}

const struct mr_port_driver mr_port_memif = {
	.vdev = "net_memif",
	.needs = "choose another path with socket=, or another id=, in ports.open",
	.device_per_queue = true,
	.held_buffers = 2,
	.closed_by_exit = true,
	.prepare = prepare,
	.arguments = arguments,
	.start = start,
	.link_up = mr_port_devices_up,
	.revive = revive,
	.closed = closed,
};
