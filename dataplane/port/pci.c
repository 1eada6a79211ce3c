/* SPDX-License-Identifier: Apache-2.0 */
/* pci: a network card that DPDK's driver has to itself, through vfio-pci.
 *
 * EAL probes the cards of the configuration, and no others, when it starts. The IOMMU lets a card
 * reach the port's buffers at their virtual addresses. */
#include "dataplane/port/pci.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <rte_dev.h>
#include <rte_ethdev.h>
#include <rte_flow.h>
#include <rte_vfio.h>

#include "lib/base/compiler.h"
#include "lib/base/log.h"
#include "dataplane/port/card.h"
#include "dataplane/port/driver.h"

#define KEY_BYTES_MAX  52u
#define GROUPS_MAX     (MR_PCI_REDIRECTION_MAX / RTE_ETH_RETA_GROUP_SIZE)
#define MULTICASTS_MAX (MR_PORT_ADDRESSES_MAX + 1)
#define EXTENDED_MAX   1024
#define MTU_DEFAULT    1500

/* Key of the Toeplitz hash: random, so that flows spread; fixed, so that a flow keeps its worker
 * when the bus starts again. */
static uint8_t key[KEY_BYTES_MAX] = {
	0x9b,
	0x4e,
	0x21,
	0xf6,
	0x5d,
	0xc8,
	0x73,
	0x0a,
	0xe4,
	0x97,
	0x3c,
	0xb1,
	0x68,
	0x2f,
	0xd5,
	0x80,
	0x17,
	0xea,
	0x46,
	0x9d,
	0xf3,
	0x54,
	0x0b,
	0xc6,
	0x7a,
	0xa9,
	0x32,
	0xed,
	0x81,
	0x5e,
	0xb4,
	0x2b,
	0xd0,
	0x6f,
	0x98,
	0x13,
	0xc7,
	0x7c,
	0xe5,
	0x3a,
	0xa1,
	0x4f,
	0x86,
	0xdb,
	0x29,
	0x70,
	0xbe,
	0x1d,
	0xf8,
	0x62,
	0x95,
	0x4b,
};

#define RSS_TYPES                                                                                  \
	(RTE_ETH_RSS_NONFRAG_IPV4_UDP | RTE_ETH_RSS_NONFRAG_IPV6_UDP | RTE_ETH_RSS_IPV6_UDP_EX)

static const struct {
	uint64_t flag;
	const char *name;
} rx_names[] =
	{
		{RTE_ETH_RX_OFFLOAD_IPV4_CKSUM, "rx_ip_checksum"},
		{RTE_ETH_RX_OFFLOAD_UDP_CKSUM, "rx_udp_checksum"},
		{RTE_ETH_RX_OFFLOAD_RSS_HASH, "rx_hash"},
},
  tx_names[] = {
	  {RTE_ETH_TX_OFFLOAD_IPV4_CKSUM, "tx_ip_checksum"},
	  {RTE_ETH_TX_OFFLOAD_UDP_CKSUM, "tx_udp_checksum"},
	  {RTE_ETH_TX_OFFLOAD_MBUF_FAST_FREE, "tx_fast_free"},
	  {RTE_ETH_TX_OFFLOAD_MULTI_SEGS, "tx_multi_segment"},
};

/* ---- before EAL */

int mr_pci_check(const struct mr_config *config)
{
	for (uint32_t i = 0; i < config->ports.open_count; i++) {
		const struct mr_config_port *p = &config->ports.open[i];
		struct mr_card_fault f;
		int error;

		if (p->driver != MR_CONFIG_DRIVER_PCI)
			continue;
		error = mr_card_check("", p->device, &f);
		if (error == 0)
			continue;
		mr_log(MR_LOG_ERROR, "a port cannot be opened", MR_LOG_STR("port", p->name),
			MR_LOG_STR("device", p->device), MR_LOG_STR("why", f.why),
			MR_LOG_ERR(error), MR_LOG_STR("hint", f.hint));
		return error;
	}
	return 0;
}

/* ---- opening */

static int choose_mtu(struct mr_port *p, uint16_t id, const struct rte_eth_dev_info *info)
{
	uint16_t own = MTU_DEFAULT;
	char hint[64];

	(void)rte_eth_dev_get_mtu(id, &own);
	p->mtu = p->config->mtu != 0 ? p->config->mtu : own;
	if (p->mtu <= info->max_mtu)
		return 0;
	snprintf(hint, sizeof(hint), "set mtu=%u or less for this port in ports.open",
		info->max_mtu);
	return mr_port_refuse(p, -EINVAL, "mtu is above the limit of the card", hint);
}

static unsigned least(unsigned a, unsigned b)
{
	return a < b ? a : b;
}

/* Uses as many queues as the card has. Workers beyond them serve channels and the mesh: the card
 * sends packets to configured queues only. */
static void choose_queues(struct mr_port *p, const struct rte_eth_dev_info *info, unsigned workers)
{
	unsigned queues = least(info->max_rx_queues, info->max_tx_queues);

	p->queues_count = (uint16_t)least(queues, workers);
	if (queues < workers)
		mr_log(MR_LOG_WARN, "the card has fewer queues than there are workers",
			MR_LOG_STR("port", p->name), MR_LOG_U64("queues", queues),
			MR_LOG_U64("workers", workers));
}

static int prepare(struct mr_port *p, unsigned workers)
{
	struct rte_eth_dev_info info;
	struct rte_ether_addr mac;
	uint16_t id;
	int error = rte_eth_dev_get_port_by_name(p->config->device, &id);

	if (error != 0)
		return mr_port_refuse(
			p, -ENODEV, "no driver of DPDK takes the card", p->driver->needs);
	p->devices[p->devices_count++].id = id;
	error = rte_eth_dev_info_get(id, &info);
	if (error == 0)
		error = rte_eth_macaddr_get(id, &mac);
	if (error != 0)
		return mr_port_refuse(p, error, "the card cannot be read", p->driver->needs);
	memcpy(p->mac, mac.addr_bytes, sizeof(p->mac));
	p->pci = calloc(1, sizeof(*p->pci));
	if (p->pci == NULL)
		return mr_port_refuse(p, -ENOMEM, "no memory", "allow more memory");
	snprintf(p->pci->driver, sizeof(p->pci->driver), "%s", info.driver_name);
	p->pci->numa_node = rte_eth_dev_socket_id(id);
	choose_queues(p, &info, workers);
	return choose_mtu(p, id, &info);
}

/* Lets the card reach the port's buffers. The kernel pins the memory. */
static int map_buffers(struct mr_port *p)
{
	uint64_t start = (uint64_t)(uintptr_t)p->buffers.map;
	int error = rte_vfio_container_dma_map(
		RTE_VFIO_DEFAULT_CONTAINER_FD, start, start, p->buffers.map_bytes);

	p->pci->mapped = error == 0;
	return error == 0
		       ? 0
		       : mr_port_refuse(p, -ENOMEM, "the card cannot be given the port's buffers",
				 "allow the memory to be locked (LimitMEMLOCK=infinity of the "
				 "service, ulimit -l unlimited), or start the data plane as root");
}

static void configure_rss(
	const struct mr_port *p, const struct rte_eth_dev_info *info, struct rte_eth_conf *conf)
{
	uint64_t types = RSS_TYPES & info->flow_type_rss_offloads;

	if (p->queues_count < 2 || types == 0)
		return;
	p->pci->steering = MR_PCI_STEERING_RSS;
	conf->rxmode.mq_mode = RTE_ETH_MQ_RX_RSS;
	conf->rx_adv_conf.rss_conf.rss_hf = types;
	if (info->hash_key_size != 0 && info->hash_key_size <= KEY_BYTES_MAX) {
		conf->rx_adv_conf.rss_conf.rss_key = key;
		conf->rx_adv_conf.rss_conf.rss_key_len = info->hash_key_size;
	}
}

/* Takes the offloads that the worker makes use of, as far as the card has them. */
static void configure_offloads(
	struct mr_port *p, const struct rte_eth_dev_info *info, struct rte_eth_conf *conf)
{
	uint64_t rx = info->rx_offload_capa &
		      (RTE_ETH_RX_OFFLOAD_IPV4_CKSUM | RTE_ETH_RX_OFFLOAD_UDP_CKSUM);
	uint64_t tx = info->tx_offload_capa &
		      (RTE_ETH_TX_OFFLOAD_IPV4_CKSUM | RTE_ETH_TX_OFFLOAD_UDP_CKSUM |
			      RTE_ETH_TX_OFFLOAD_MBUF_FAST_FREE);

	conf->rxmode.offloads = p->pci->rx_offloads = rx;
	conf->txmode.offloads = p->pci->tx_offloads = tx;
	p->checks_ip = (rx & RTE_ETH_RX_OFFLOAD_IPV4_CKSUM) != 0;
	p->checks_udp = (rx & RTE_ETH_RX_OFFLOAD_UDP_CKSUM) != 0;
	p->computes_ip = (tx & RTE_ETH_TX_OFFLOAD_IPV4_CKSUM) != 0;
	p->computes_udp = (tx & RTE_ETH_TX_OFFLOAD_UDP_CKSUM) != 0;
}

static int configure(struct mr_port *p, uint16_t id, struct rte_eth_conf *conf)
{
	struct rte_eth_dev_info info;
	int error = map_buffers(p);

	if (error == 0)
		error = rte_eth_dev_info_get(id, &info);
	if (error != 0)
		return error;
	conf->rxmode.mtu = p->mtu;
	configure_rss(p, &info, conf);
	configure_offloads(p, &info, conf);
	return 0;
}

/* ---- started */

/* Spreads the entries of the redirection table over the queues. A card that refuses has its own
 * table; what it has is read back. */
static void set_redirection(struct mr_port *p, uint16_t id)
{
	struct rte_eth_rss_reta_entry64 groups[GROUPS_MAX];
	struct rte_eth_dev_info info;
	uint16_t count;

	if (p->pci->steering == MR_PCI_STEERING_NONE || rte_eth_dev_info_get(id, &info) != 0)
		return;
	count = info.reta_size <= MR_PCI_REDIRECTION_MAX ? info.reta_size : 0;
	for (uint16_t i = 0; i < count; i++) {
		groups[i / RTE_ETH_RETA_GROUP_SIZE].mask = UINT64_MAX;
		groups[i / RTE_ETH_RETA_GROUP_SIZE].reta[i % RTE_ETH_RETA_GROUP_SIZE] =
			i % p->queues_count;
	}
	if (count == 0 || (rte_eth_dev_rss_reta_update(id, groups, count) != 0 &&
				  rte_eth_dev_rss_reta_query(id, groups, count) != 0))
		return;
	p->pci->redirection_count = count;
	for (uint16_t i = 0; i < count; i++)
		p->pci->redirection[i] =
			groups[i / RTE_ETH_RETA_GROUP_SIZE].reta[i % RTE_ETH_RETA_GROUP_SIZE];
}

/* Asks the card to spread packets for the message port over the queues by a rule. Returns NULL
 * where its driver has no such rules. */
static void *make_flow(const struct mr_port *p, uint16_t id, bool ip4)
{
	uint16_t queues[MR_PORT_WORKERS_MAX];
	const struct rte_flow_attr attr = {.ingress = 1};
	const struct rte_flow_item_udp udp = {.hdr.dst_port = rte_cpu_to_be_16(p->udp_port)};
	const struct rte_flow_item_udp mask = {.hdr.dst_port = UINT16_MAX};
	const struct rte_flow_item pattern[] = {
		{.type = RTE_FLOW_ITEM_TYPE_ETH},
		{.type = ip4 ? RTE_FLOW_ITEM_TYPE_IPV4 : RTE_FLOW_ITEM_TYPE_IPV6},
		{.type = RTE_FLOW_ITEM_TYPE_UDP, .spec = &udp, .mask = &mask},
		{.type = RTE_FLOW_ITEM_TYPE_END},
	};
	const struct rte_flow_action_rss rss = {
		.types = ip4 ? RTE_ETH_RSS_NONFRAG_IPV4_UDP : RTE_ETH_RSS_NONFRAG_IPV6_UDP,
		.queue_num = p->queues_count,
		.queue = queues,
	};
	const struct rte_flow_action actions[] = {
		{.type = RTE_FLOW_ACTION_TYPE_RSS, .conf = &rss},
		{.type = RTE_FLOW_ACTION_TYPE_END},
	};
	struct rte_flow_error why;

	for (uint16_t i = 0; i < p->queues_count; i++)
		queues[i] = i;
	if (rte_flow_validate(id, &attr, pattern, actions, &why) != 0)
		return NULL;
	return rte_flow_create(id, &attr, pattern, actions, &why);
}

static void make_flows(struct mr_port *p, uint16_t id)
{
	if (p->queues_count < 2)
		return;
	p->pci->flows[0] = make_flow(p, id, true);
	p->pci->flows[1] = make_flow(p, id, false);
	if (p->pci->flows[0] != NULL && p->pci->flows[1] != NULL)
		p->pci->steering = MR_PCI_STEERING_FLOW;
}

/* Writes the Ethernet groups at which neighbours solicit the port's IPv6 addresses (RFC 4291
 * §2.7.1, RFC 2464 §7), and the group of all nodes. */
static uint32_t list_groups(const struct mr_port *p, struct rte_ether_addr out[MULTICASTS_MAX])
{
	static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};
	uint32_t count = 0;

	for (uint32_t i = 0; i < p->addresses_count; i++) {
		const uint8_t *a = p->addresses[i].address.bytes;

		if (memcmp(a, mapped, sizeof(mapped)) == 0)
			continue;
		out[count++] = (struct rte_ether_addr){{0x33, 0x33, 0xff, a[13], a[14], a[15]}};
	}
	if (count > 0)
		out[count++] = (struct rte_ether_addr){{0x33, 0x33, 0, 0, 0, 1}};
	return count;
}

/* Receives the port's groups, or all where the driver has no list of them. The kernel joins groups
 * of its own behind a TAP device, so it gets all. */
static void join_groups(const struct mr_port *p, uint16_t id)
{
	struct rte_ether_addr groups[MULTICASTS_MAX];
	uint32_t count = list_groups(p, groups);

	(void)rte_eth_promiscuous_disable(id);
	if (!p->has_tap && (count == 0 || rte_eth_dev_set_mc_addr_list(id, groups, count) == 0))
		return;
	if (rte_eth_allmulticast_enable(id) != 0)
		mr_log(MR_LOG_WARN,
			"the card receives no multicast: neighbours may not find the port's IPv6 "
			"addresses",
			MR_LOG_STR("port", p->name));
}

static int start(struct mr_port *p, unsigned device)
{
	uint16_t id = p->devices[device].id;
	int error = mr_port_start_device(p, device);

	if (error != 0)
		return error;
	set_redirection(p, id);
	make_flows(p, id);
	join_groups(p, id);
	return 0;
}

static void opened(struct mr_port *p)
{
	mr_log(MR_LOG_INFO, "the card is in use", MR_LOG_STR("port", p->name),
		MR_LOG_STR("driver", p->pci->driver),
		MR_LOG_STR("steering", mr_pci_steering_name(p)));
}

/* Takes the buffers from the stopped card while the IOMMU still knows them. */
static void unmap_buffers(struct mr_port *p)
{
	uint64_t start = (uint64_t)(uintptr_t)p->buffers.map;

	if (p->devices[0].started)
		(void)rte_eth_dev_stop(p->devices[0].id);
	p->devices[0].started = false;
	if (p->pci->mapped)
		(void)rte_vfio_container_dma_unmap(
			RTE_VFIO_DEFAULT_CONTAINER_FD, start, start, p->buffers.map_bytes);
	p->pci->mapped = false;
}

static void closing(struct mr_port *p)
{
	struct rte_flow_error why;

	if (p->pci == NULL)
		return;
	for (unsigned i = 0; i < MR_ARRAY_COUNT(p->pci->flows); i++)
		if (p->pci->flows[i] != NULL)
			(void)rte_flow_destroy(p->devices[0].id, p->pci->flows[i], &why);
	unmap_buffers(p);
}

static void closed(struct mr_port *p)
{
	free(p->pci);
	p->pci = NULL;
}

/* ---- shown */

const char *mr_pci_steering_name(const struct mr_port *p)
{
	static const char *const names[] = {
		[MR_PCI_STEERING_NONE] = "none",
		[MR_PCI_STEERING_RSS] = "rss",
		[MR_PCI_STEERING_FLOW] = "flow",
	};

	return names[p->pci->steering];
}

static size_t add_text(char *out, size_t bytes, size_t used, const char *text)
{
	if (used + strlen(text) + 2 > bytes)
		return used;
	return used + (size_t)snprintf(out + used, bytes - used, "%s%s", used > 0 ? "," : "", text);
}

void mr_pci_offloads_text(const struct mr_port *p, char out[MR_PCI_TEXT_BYTES])
{
	size_t used = 0;

	out[0] = '\0';
	for (size_t i = 0; i < MR_ARRAY_COUNT(rx_names); i++)
		if ((p->pci->rx_offloads & rx_names[i].flag) != 0)
			used = add_text(out, MR_PCI_TEXT_BYTES, used, rx_names[i].name);
	for (size_t i = 0; i < MR_ARRAY_COUNT(tx_names); i++)
		if ((p->pci->tx_offloads & tx_names[i].flag) != 0)
			used = add_text(out, MR_PCI_TEXT_BYTES, used, tx_names[i].name);
}

void mr_pci_redirection_text(const struct mr_port *p, char out[MR_PCI_TEXT_BYTES])
{
	unsigned counts[MR_PORT_WORKERS_MAX] = {0};
	char text[32];
	size_t used = 0;

	out[0] = '\0';
	for (unsigned i = 0; i < p->pci->redirection_count; i++)
		counts[p->pci->redirection[i] % MR_PORT_WORKERS_MAX]++;
	for (unsigned i = 0; p->pci->redirection_count > 0 && i < p->queues_count; i++) {
		snprintf(text, sizeof(text), "%u=%u", i, counts[i]);
		used = add_text(out, MR_PCI_TEXT_BYTES, used, text);
	}
}

static int read_extended(uint16_t id, struct rte_eth_xstat_name names[EXTENDED_MAX],
	struct rte_eth_xstat values[EXTENDED_MAX])
{
	int count = rte_eth_xstats_get_names(id, names, EXTENDED_MAX);

	if (count < 0 || count > EXTENDED_MAX ||
		rte_eth_xstats_get(id, values, (unsigned)count) != count)
		return 0;
	return count;
}

void mr_pci_extended_text(const struct mr_port *p, char out[MR_PCI_EXTENDED_BYTES])
{
	static struct rte_eth_xstat_name names[EXTENDED_MAX];
	static struct rte_eth_xstat values[EXTENDED_MAX];
	char text[RTE_ETH_XSTATS_NAME_SIZE + 32];
	size_t used = 0;
	int count;

	out[0] = '\0';
	count = read_extended(p->devices[0].id, names, values);
	for (int i = 0; i < count; i++) {
		if (values[i].value == 0 || values[i].id >= (uint64_t)count)
			continue;
		snprintf(text, sizeof(text), "%s=%llu", names[values[i].id].name,
			(unsigned long long)values[i].value);
		used = add_text(out, MR_PCI_EXTENDED_BYTES, used, text);
	}
}

uint32_t mr_pci_speed(const struct mr_port *p)
{
	struct rte_eth_link link;

	if (rte_eth_link_get_nowait(p->devices[0].id, &link) != 0 ||
		link.link_speed == RTE_ETH_SPEED_NUM_UNKNOWN)
		return 0;
	return link.link_speed;
}

const struct mr_port_driver mr_port_pci = {
	.bus = "pci",
	.needs = "see the messages of DPDK above; its driver for the card must be installed (the "
		 "packages librte-net-... of Debian), and log.level=debug shows more",
	.held_buffers = 2, /* receive and transmit ring */
	.prepare = prepare,
	.configure = configure,
	.start = start,
	.opened = opened,
	.link_up = mr_port_devices_up,
	.closing = closing,
	.closed = closed,
};
