/* SPDX-License-Identifier: Apache-2.0 */
/* port: one way onto a network, polled by the workers: an AF_XDP interface, a memif, a tap.
 *
 * A port has one queue pair a worker. What DPDK offers as one device or as several (AF_XDP on veth: one
 * a queue) is one port here: a worker finds its device and queue in `queues`.
 *
 * Owns      The table writer opens and closes ports; workers borrow them while they run. Each port has
 *           a pool of buffers of its own, in one chunk of memory.
 * Threads   open, close, look: the table writer. All else is read-only while workers run, but for
 *           link_up.
 * Ordering  [port.link] release of link_up in look -> acquire in the worker's round: the device is
 *           started. Down, and after grace, nobody is in it.
 * Errors    0 or -errno; what is wrong is logged once, with the port's name.
 */
#ifndef MILLRACE_PORT_PORT_H
#define MILLRACE_PORT_PORT_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "lib/config/config.h"
#include "lib/base/compiler.h"
#include "dataplane/port/packet_pool.h"
#include "flatbuf/stats.h"

struct rte_mempool;
struct mr_port_driver;

#define MR_PORTS_MAX          8
#define MR_PORT_ADDRESSES_MAX 8
#define MR_PORT_NAME_BYTES    32
#define MR_PORT_WORKERS_MAX   32
#define MR_ETHER_BYTES        6

/* IPv4 is mapped into IPv6: ::ffff:a.b.c.d. */
struct mr_address {
	uint8_t bytes[16]; /* network order */
};

struct mr_port_address {
	struct mr_address address;
	uint8_t prefix_bits; /* of 128 */
};

struct mr_port_queue {
	uint16_t device; /* DPDK's number */
	uint16_t queue;  /* receive and transmit */
};

struct mr_port {
	/* read-only while workers run */
	uint16_t index; /* in the configuration */
	uint16_t udp_port;
	uint16_t mtu; /* largest IP packet */
	uint16_t headroom;
	bool checks_ip; /* the device verified checksums, and says so in each mbuf */
	bool checks_udp;
	bool computes_ip; /* the device fills checksums in that mbufs ask for */
	bool computes_udp;
	uint8_t mac[MR_ETHER_BYTES];
	uint16_t addresses_count;
	uint16_t queues_count; /* == workers */
	struct mr_port_address addresses[MR_PORT_ADDRESSES_MAX];
	struct mr_port_queue queues[MR_PORT_WORKERS_MAX];
	struct rte_mempool *pool;
	struct mrf_port_stats *stats[MR_PORT_WORKERS_MAX]; /* w: that worker, r: control */
	/* shared-out */
	_Atomic bool
		link_up; /* w: table writer, r: workers, which let a port alone while it is down */
	/* table writer's */
	char name[MR_PORT_NAME_BYTES];
	const struct mr_config_port *config;
	struct mrf_port_state *state;
	const struct mr_port_driver *driver;
	struct {
		uint16_t id; /* DPDK's number */
		bool started;
	} devices[MR_PORT_WORKERS_MAX]; /* in order of opening */
	uint16_t devices_count;
	struct mr_packet_pool buffers;
	uint32_t rx_entries;  /* of each queue's receive ring */
	unsigned ifindex;     /* of the kernel's interface, or 0 */
	uint32_t xdp_program; /* attached for the port, or 0 */
	const char *run_dir;  /* for notes to whoever comes after a crash */
};

/* Opens the device or devices, the pool and one queue pair a worker, and starts them. */
int mr_port_open(struct mr_port *p, const struct mr_config_port *config, const char *run_dir,
	uint16_t index, unsigned workers);
/* The workers have stopped. Leaves nothing behind: no XDP program, socket file or interface. */
void mr_port_close(struct mr_port *p);
/* Reads link and driver counters into state; logs a change of the link. About once a second. `let_alone`:
 * the link has been down for long enough that no worker is in the port any more. */
void mr_port_look(struct mr_port *p, bool let_alone);

/* The address of the port that these bytes are, or -1. */
static inline int mr_port_find_address(const struct mr_port *p, const struct mr_address *a)
{
	for (int i = 0; i < p->addresses_count; i++)
		if (memcmp(&p->addresses[i].address, a, sizeof(*a)) == 0)
			return i;
	return -1;
}

#endif
