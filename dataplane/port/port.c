/* SPDX-License-Identifier: Apache-2.0 */
#include "dataplane/port/port.h"

#include <errno.h>
#include <stdio.h>

#include <rte_dev.h>
#include <rte_errno.h>
#include <rte_ethdev.h>
#include <rte_mbuf.h>

#include "lib/base/log.h"
#include "dataplane/port/driver.h"
#include "dataplane/port/exception.h"
#include "dataplane/port/interface.h"

/* Buffers in use by one worker, beside those that the driver keeps. */
#define WORKER_BUFFERS  4096u
#define CACHE_BUFFERS   256u
#define KERNEL_HEADROOM 256u /* XDP_PACKET_HEADROOM, before each AF_XDP packet */
#define ETHER_BYTES     18u  /* Ethernet header with a VLAN tag */
#define DATA_BYTES_MIN  2048u

_Static_assert(MR_PORTS_MAX == MR_CONFIG_PORTS_MAX, "the limit of the configuration");
_Static_assert(
	MR_PORT_ADDRESSES_MAX == MR_CONFIG_PORT_ADDRESSES_MAX, "the limit of the configuration");
_Static_assert(MR_PORT_WORKERS_MAX == MR_CONFIG_WORKERS_MAX, "one queue pair for each worker");

static const struct mr_port_driver *const drivers[] = {
	[MR_CONFIG_DRIVER_AF_XDP] = &mr_port_af_xdp,
	[MR_CONFIG_DRIVER_MEMIF] = &mr_port_memif,
	[MR_CONFIG_DRIVER_TAP] = &mr_port_tap,
	[MR_CONFIG_DRIVER_PCI] = &mr_port_pci,
};

int mr_port_refuse(const struct mr_port *p, int error, const char *why, const char *hint)
{
	mr_log(MR_LOG_ERROR, "a port cannot be opened", MR_LOG_STR("port", p->name),
		MR_LOG_STR("device", p->config->device), MR_LOG_STR("why", why), MR_LOG_ERR(error),
		MR_LOG_STR("hint", hint));
	return error;
}

/* Reports an error of DPDK, with what the driver needs. */
static int refuse_device(const struct mr_port *p, int error, const char *why)
{
	return mr_port_refuse(p, error, why, p->driver->needs);
}

void mr_port_choose_mac(struct mr_port *p)
{
	static const uint8_t none[MR_ETHER_BYTES];

	if (memcmp(p->config->mac, none, sizeof(none)) != 0)
		memcpy(p->mac, p->config->mac, sizeof(p->mac));
	else if (!mr_exception_left_mac(p->config, p->mac))
		rte_eth_random_addr(p->mac);
}

/* ---- devices */

static void device_name(const struct mr_port *p, unsigned device, char *out, size_t bytes)
{
	if (p->driver->bus != NULL)
		snprintf(out, bytes, "%.*s", (int)bytes - 1, p->config->device);
	else
		snprintf(out, bytes, "%s_millrace_%u_%u", p->driver->vdev, p->index, device);
}

/* Enables no offloads but those of `configure`: frames are never chained, and the other drivers
 * have no hardware for checksums. */
static int set_up_device(struct mr_port *p, uint16_t id, uint16_t queues)
{
	struct rte_eth_conf conf = {.intr_conf.rxq = p->driver->interrupts};
	uint16_t rx_entries = (uint16_t)p->config->queue_entries, tx_entries = rx_entries;
	int error = p->driver->configure != NULL ? p->driver->configure(p, id, &conf) : 0;

	if (error == 0)
		error = rte_eth_dev_configure(id, queues, queues, &conf);
	if (error == 0)
		error = rte_eth_dev_adjust_nb_rx_tx_desc(id, &rx_entries, &tx_entries);
	p->rx_entries = rx_entries;
	for (uint16_t q = 0; error == 0 && q < queues; q++) {
		error = rte_eth_rx_queue_setup(id, q, rx_entries, SOCKET_ID_ANY, NULL, p->pool);
		if (error == 0)
			error = rte_eth_tx_queue_setup(id, q, tx_entries, SOCKET_ID_ANY, NULL);
	}
	return error;
}

static int make_device(struct mr_port *p, unsigned device)
{
	char name[RTE_ETH_NAME_MAX_LEN], arguments[MR_PORT_ARGUMENTS_BYTES];
	uint16_t id;
	int error;

	device_name(p, device, name, sizeof(name));
	p->driver->arguments(p, device, arguments, sizeof(arguments));
	error = rte_eal_hotplug_add("vdev", name, arguments);
	if (error != 0)
		return refuse_device(p, error, "the driver refuses the device");
	error = rte_eth_dev_get_port_by_name(name, &id);
	if (error != 0)
		return refuse_device(p, error, "the driver made no device");
	p->devices[p->devices_count++].id = id;
	return 0;
}

static int open_device(struct mr_port *p, unsigned device, uint16_t queues)
{
	int error = p->driver->bus == NULL ? make_device(p, device) : 0;

	if (error != 0)
		return error;
	error = set_up_device(p, p->devices[device].id, queues);
	if (error != 0)
		return refuse_device(p, error, "the queues of the device cannot be set up");
	error = p->driver->start(p, device);
	return error == 0 ? 0 : refuse_device(p, error, "the device cannot be started");
}

int mr_port_start_device(struct mr_port *p, unsigned device)
{
	int error = rte_eth_dev_start(p->devices[device].id);

	p->devices[device].started = error == 0;
	return error;
}

static void close_device(struct mr_port *p, unsigned device)
{
	char name[RTE_ETH_NAME_MAX_LEN];
	uint16_t id = p->devices[device].id;

	if (p->devices[device].started)
		(void)rte_eth_dev_stop(id);
	(void)rte_eth_dev_close(id);
	device_name(p, device, name, sizeof(name));
	(void)rte_eal_hotplug_remove(p->driver->bus != NULL ? p->driver->bus : "vdev", name);
}

static void find_wake_fd(struct mr_port *p, unsigned queue)
{
	p->queues[queue].wake_fd = p->driver->wake_fd != NULL ? p->driver->wake_fd(p, queue) : -1;
}

static void set_queue(struct mr_port *p, unsigned index, unsigned device, uint16_t queue)
{
	p->queues[index] = (struct mr_port_queue){.device = p->devices[device].id, .queue = queue};
	find_wake_fd(p, index);
}

static int open_devices(struct mr_port *p, unsigned queues)
{
	unsigned devices = p->driver->device_per_queue ? queues : 1;
	unsigned each = queues / devices;
	int error = 0;

	if (p->driver->open_queues != NULL) {
		error = p->driver->open_queues(p);
		for (unsigned q = 0; error == 0 && q < queues; q++)
			find_wake_fd(p, q);
		return error;
	}
	for (unsigned i = 0; error == 0 && i < devices; i++) {
		error = open_device(p, i, (uint16_t)each);
		for (unsigned q = 0; error == 0 && q < each; q++)
			set_queue(p, i * each + q, i, (uint16_t)q);
	}
	return error;
}

/* ---- sleep */

int mr_port_interrupt_fd(const struct mr_port *p, unsigned queue)
{
	int fd = rte_eth_dev_rx_intr_ctl_q_get_fd(p->queues[queue].device, p->queues[queue].queue);

	return fd >= 0 ? fd : -1;
}

void mr_port_arm(const struct mr_port *p, unsigned queue)
{
	if (p->driver->arm != NULL)
		p->driver->arm(p, queue);
}

void mr_port_disarm(const struct mr_port *p, unsigned queue)
{
	if (p->driver->disarm != NULL)
		p->driver->disarm(p, queue);
}

/* ---- open, close */

static void set_link(struct mr_port *p, bool up)
{
	mr_gauge(p->state->link_up, up);
	atomic_store_explicit(&p->link_up, up, memory_order_release); /* [port.link] */
}

int mr_port_node(const struct mr_port *p)
{
	return p->config->driver == MR_CONFIG_DRIVER_MEMIF ||
			       p->config->driver == MR_CONFIG_DRIVER_TAP
		       ? -1
		       : mr_interface_node("", p->config->device);
}

static int open_pool(struct mr_port *p, unsigned queues)
{
	uint32_t room = RTE_PKTMBUF_HEADROOM + KERNEL_HEADROOM + ETHER_BYTES + mr_port_mtu(p);
	uint32_t least = RTE_PKTMBUF_HEADROOM + DATA_BYTES_MIN;
	uint32_t count =
		queues * (p->driver->held_buffers * p->config->queue_entries + WORKER_BUFFERS);
	char name[RTE_MEMPOOL_NAMESIZE];
	int error;

	snprintf(name, sizeof(name), "millrace-port-%u", p->index);
	error = mr_packet_pool_open(&p->buffers, name, count,
		(uint16_t)mr_align_up(room > least ? room : least, 8), CACHE_BUFFERS,
		mr_port_node(p));
	if (error != 0)
		return mr_port_refuse(p, error, "no memory for the port's buffers",
			"lower queue_entries or mtu of the port, or allow more memory");
	p->pool = p->buffers.buffers;
	return 0;
}

static void describe(struct mr_port *p, const struct mr_config_port *config)
{
	p->config = config;
	p->driver = drivers[config->driver];
	p->udp_port = config->udp_port;
	p->events_fd = -1;
	p->headroom = RTE_PKTMBUF_HEADROOM;
	snprintf(p->name, sizeof(p->name), "%s", config->name);
	p->addresses_count = (uint16_t)config->addresses_count;
	for (uint32_t i = 0; i < config->addresses_count; i++) {
		memcpy(&p->addresses[i].address, config->addresses[i].address,
			sizeof(struct mr_address));
		p->addresses[i].prefix_bits = config->addresses[i].prefix_bits;
	}
}

int mr_port_open(
	struct mr_port *p, const struct mr_config_port *config, uint16_t index, unsigned workers)
{
	int error;

	p->index = index;
	p->queues_count = (uint16_t)workers;
	describe(p, config);
	error = p->driver->prepare(p, workers);
	if (error == 0)
		error = mr_exception_open(p);
	if (error == 0)
		error = open_pool(p, p->queues_count);
	if (error == 0)
		error = open_devices(p, p->queues_count);
	if (error == 0 && p->driver->opened != NULL)
		p->driver->opened(p);
	if (error != 0) {
		mr_port_close(p);
		return error;
	}
	p->mtu_max = mr_port_mtu(p);
	set_link(p, p->driver->link_up(p));
	mr_gauge(p->state->mtu, mr_port_mtu(p));
	mr_log(MR_LOG_INFO, "port is open", MR_LOG_STR("port", p->name),
		MR_LOG_STR("device", config->device), MR_LOG_U64("queues", p->queues_count),
		MR_LOG_U64("mtu", mr_port_mtu(p)));
	return 0;
}

void mr_port_close(struct mr_port *p)
{
	atomic_store_explicit(&p->link_up, false, memory_order_release); /* [port.link] */
	if (p->driver->closing != NULL)
		p->driver->closing(p);
	for (unsigned i = p->devices_count; i > 0; i--)
		close_device(p, i - 1);
	if (p->driver->closed != NULL)
		p->driver->closed(p);
	mr_exception_close(p);
	p->devices_count = 0;
	mr_packet_pool_close(&p->buffers);
	p->pool = NULL;
}

/* ---- once a second: link and counters */

bool mr_port_devices_up(const struct mr_port *p)
{
	struct rte_eth_link link;

	for (unsigned i = 0; i < p->devices_count; i++)
		if (!p->devices[i].started ||
			rte_eth_link_get_nowait(p->devices[i].id, &link) != 0 ||
			link.link_status != RTE_ETH_LINK_UP)
			return false;
	return p->devices_count > 0;
}

bool mr_port_interface_up(const struct mr_port *p)
{
	struct mr_interface i;

	return mr_interface_look(p->config->device, &i) == 0 && i.index == p->ifindex && i.up;
}

static void add_device_counters(uint16_t id, struct rte_eth_stats *sum)
{
	struct rte_eth_stats s;

	if (rte_eth_stats_get(id, &s) != 0)
		return;
	sum->imissed += s.imissed;
	sum->ierrors += s.ierrors;
	sum->rx_nombuf += s.rx_nombuf;
	sum->oerrors += s.oerrors;
}

static void update_counters(struct mr_port *p)
{
	struct rte_eth_stats sum = {0};

	for (unsigned i = 0; i < p->devices_count; i++)
		add_device_counters(p->devices[i].id, &sum);
	if (p->driver->add_counters != NULL)
		p->driver->add_counters(p, &sum);
	mr_gauge(p->state->rx_missed, sum.imissed);
	mr_gauge(p->state->rx_errors, sum.ierrors);
	mr_gauge(p->state->rx_no_buffer, sum.rx_nombuf);
	mr_gauge(p->state->tx_errors, sum.oerrors);
}

static void report_link(struct mr_port *p, bool up)
{
	mr_count(p->state->link_changes, 1);
	mr_log_limited(MR_LOG_WARN, up ? "link is up" : "link is down", MR_LOG_STR("port", p->name),
		MR_LOG_STR("device", p->config->device));
}

/* Keeps packets within the MTU of the kernel's interface when that changes. Buffers were made for
 * the MTU at the start, so it is the largest. */
static void follow_mtu(struct mr_port *p)
{
	struct mr_interface i;
	uint32_t mtu;

	if (p->ifindex == 0 || mr_interface_look(p->config->device, &i) != 0 ||
		i.index != p->ifindex || i.mtu == p->interface_mtu)
		return;
	mtu = i.mtu < p->mtu_max ? i.mtu : p->mtu_max;
	if (p->interface_mtu != 0 && mtu != mr_port_mtu(p)) {
		atomic_store_explicit(&p->mtu, (uint16_t)mtu, memory_order_relaxed);
		mr_gauge(p->state->mtu, mtu);
		mr_log_limited(MR_LOG_WARN, "the MTU of the interface has changed",
			MR_LOG_STR("port", p->name), MR_LOG_U64("interface_mtu", i.mtu),
			MR_LOG_U64("mtu", mtu));
	}
	p->interface_mtu = i.mtu;
}

/* Reports, once, that the kernel's interface was removed. The port does not recover: a new
 * interface of the same name is another one. */
static void report_removed(struct mr_port *p)
{
	struct mr_interface i;

	if (p->ifindex == 0 || p->state->gone != 0 ||
		(mr_interface_look(p->config->device, &i) == 0 && i.index == p->ifindex))
		return;
	mr_gauge(p->state->gone, 1);
	mr_log(MR_LOG_ERROR,
		"the port's interface was removed; after making it again, restart the data plane",
		MR_LOG_STR("port", p->name), MR_LOG_STR("interface", p->config->device));
}

void mr_port_serve(struct mr_port *p)
{
	if (p->driver->served != NULL)
		p->driver->served(p);
}

bool mr_port_look(struct mr_port *p, bool unused)
{
	bool was_up = atomic_load_explicit(&p->link_up, memory_order_relaxed);
	bool up;

	if (!was_up && unused && p->driver->revive != NULL)
		p->driver->revive(p);
	up = p->driver->link_up(p);
	if (up != was_up)
		report_link(p, up);
	set_link(p, up);
	follow_mtu(p);
	report_removed(p);
	if (p->driver->looked != NULL)
		p->driver->looked(p);
	update_counters(p);
	return up != was_up;
}
