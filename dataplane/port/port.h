/* SPDX-License-Identifier: Apache-2.0 */
/* port: a network port that the workers poll: an AF_XDP interface, a memif, a tap or a
 * PCI card.
 *
 * A port has one queue pair for each worker, or fewer: then the last workers have none, and serve
 * channels and the mesh alone. DPDK offers it as one device or as several (AF_XDP on veth: one for
 * each queue). A worker finds its device and queue in `queues`.
 *
 * Owns      The table writer opens and closes ports; workers use them while they run. Each port has
 *           its own pool of buffers, in one mapping.
 * Threads   open, close, look: the table writer. All fields but link_up are read-only while workers
 *           run.
 * Ordering  [port.link] release of link_up in look -> acquire in the worker's round: the device is
 *           started. Once link_up is false and a grace period has passed, no worker uses the
 *           device.
 * Errors    0 or -errno; an error is logged once, with the port's name.
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
#include "flatbuf/link.h"
#include "flatbuf/stats.h"

struct mr_pci;
struct rte_mempool;
struct mr_port_driver;
struct mr_steer;
struct mr_memif;
struct mr_memif_queue;

#define MR_PORTS_MAX          8
#define MR_PORT_ADDRESSES_MAX 8
#define MR_PORT_NAME_BYTES    32
#define MR_PORT_WORKERS_MAX   32
#define MR_PORT_XDP_MAX       64 /* receive queues whose packets are counted */
#define MR_ETHER_BYTES        6

/* IPv6, or IPv4 mapped into it: ::ffff:a.b.c.d. */
struct mr_address {
	uint8_t bytes[16]; /* network order */
};

struct mr_port_address {
	struct mr_address address;
	uint8_t prefix_bits; /* 0 to 128 */
};

struct mr_port_queue {
	uint16_t device;              /* DPDK's port id */
	uint16_t queue;               /* index of the receive and of the transmit queue */
	struct mr_memif_queue *memif; /* in place of DPDK's device; NULL: none */
	/* Readable while packets wait, of drivers with `arm` once it was called. Valid until the
	 * port is closed. -1: none, so a worker with this queue sleeps for a short time only. */
	int wake_fd;
};

/* A limit of the exception path, shared by the workers: token bucket of 100 ms, kept as the time up
 * to which the tokens are used up. */
struct mr_exception_limit {
	uint64_t packets_per_second;
	uint64_t bytes_per_second;
	_Atomic uint64_t packets_until; /* cycles; w, r: workers */
	_Atomic uint64_t bytes_until;   /* cycles; w, r: workers */
};

struct mr_port {
	/* read-only while workers run */
	uint16_t index; /* in the configuration */
	uint16_t udp_port;
	uint16_t mtu_max; /* buffers are made for it, bytes */
	uint16_t headroom;
	bool checks_ip; /* the device verifies checksums; each mbuf's flags tell the result */
	bool checks_udp;
	bool computes_ip; /* the device computes the checksums that an mbuf's flags ask for */
	bool computes_udp;
	uint8_t mac[MR_ETHER_BYTES];
	uint16_t addresses_count;
	uint16_t queues_count; /* at most one for each worker */
	struct mr_port_address addresses[MR_PORT_ADDRESSES_MAX];
	struct mr_port_queue queues[MR_PORT_WORKERS_MAX];
	struct rte_mempool *pool;
	struct mrf_port_stats *stats[MR_PORT_WORKERS_MAX]; /* w: that worker, r: control */
	bool has_tap; /* packets that are not for the bus go to a TAP device (exception.h) */
	/* shared-out */
	/* w: table writer, r: workers, which do not use a port while it is down. [port.link] */
	_Atomic bool link_up;
	/* Largest IP packet, bytes; follows the interface up to mtu_max. w: table writer, r: all */
	_Atomic uint16_t mtu;
	/* table writer's */
	char name[MR_PORT_NAME_BYTES];
	const struct mr_config_port *config;
	struct mrf_port_state *state;
	const struct mr_port_driver *driver;
	struct {
		uint16_t id; /* DPDK's port id */
		bool started;
	} devices[MR_PORT_WORKERS_MAX]; /* in order of opening */
	uint16_t devices_count;
	struct mr_pci *pci; /* the card of a PCI port, or NULL */
	struct mr_packet_pool buffers;
	uint32_t rx_entries;    /* each queue's receive ring */
	uint32_t interface_mtu; /* the kernel's, as last seen; 0: not yet */
	unsigned ifindex;       /* the kernel's interface, or 0 */
	int events_fd;          /* readable: call mr_port_serve; -1: none */
	struct mr_memif *memif; /* the driver's, or NULL */
	struct mr_steer *steer; /* the XDP program attached for the port, or NULL */
	bool xdp_native;        /* the program runs in the interface's driver */
	uint32_t rx_queues;     /* the interface's */
	int tap_fd;             /* the TAP device, only if has_tap */
	/* shared by the workers */
	struct mr_exception_limit exception_in; /* from the port to the TAP device */
	struct mr_exception_limit exception_out;
};

/* Opens the devices, the pool and a queue pair for each worker, as far as the device has them, and
 * starts them. */
int mr_port_open(
	struct mr_port *p, const struct mr_config_port *config, uint16_t index, unsigned workers);
/* Closes the port after the workers have stopped. Removes the XDP program, the socket file and the
 * interface that it made. */
void mr_port_close(struct mr_port *p);
/* Returns the NUMA node of the port's network card, or -1: it has none. */
int mr_port_node(const struct mr_port *p);
/* Handles what happened on events_fd. */
void mr_port_serve(struct mr_port *p);
/* Reads the link's state and the driver's counters into `state`; logs a change of the link. Called
 * about once a second. `unused`: a grace period has passed since the link went down, so no
 * worker uses the port. True: the link has changed. */
bool mr_port_look(struct mr_port *p, bool unused);

/* Asks the queue's driver to make wake_fd readable by packets that come from now on. Only the
 * worker of the queue, while the link is up; it looks for packets afterwards, before it sleeps. */
void mr_port_arm(const struct mr_port *p, unsigned queue);
/* Ends that. Only the worker of the queue, while the link is up. */
void mr_port_disarm(const struct mr_port *p, unsigned queue);

/* Reads what the XDP program has counted for each receive queue of the interface; makes system
 * calls. Returns the number of queues, 0 for ports without the program. */
uint32_t mr_port_xdp(const struct mr_port *p, struct mrf_port_xdp out[static MR_PORT_XDP_MAX]);
/* Returns the id of the XDP program, or 0. */
uint32_t mr_port_xdp_program(const struct mr_port *p);

/* rules.c: limits and prefixes of the XDP program. Each makes system calls. -EOPNOTSUPP: the port
 * has no such program. */
int mr_port_rule_set(struct mr_port *p, const struct mr_config_rule *rule);
int mr_port_rule_remove(struct mr_port *p, const struct mr_config_rule *rule);
/* Returns the limits and prefixes, valid until the next change. */
const struct mr_config_rule *mr_port_rules(const struct mr_port *p, uint32_t *count);
/* Sets those of the configuration. Logs an error. */
int mr_port_rules_configure(struct mr_port *p);

static inline uint16_t mr_port_mtu(const struct mr_port *p)
{
	return atomic_load_explicit(&p->mtu, memory_order_relaxed);
}

/* Returns the index of the port's address that equals `a`, or -1. */
static inline int mr_port_find_address(const struct mr_port *p, const struct mr_address *a)
{
	for (int i = 0; i < p->addresses_count; i++)
		if (memcmp(&p->addresses[i].address, a, sizeof(*a)) == 0)
			return i;
	return -1;
}

#endif
