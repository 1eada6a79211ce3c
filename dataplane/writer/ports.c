/* SPDX-License-Identifier: Apache-2.0 */
/* Opens the configured ports, reads their links once a second, and lists them. */
#include "dataplane/writer/writer.h"

#include <errno.h>
#include <stdio.h>
#include <sys/epoll.h>

#include <rte_rcu_qsbr.h>

#include "lib/config/address.h"
#include "lib/config/ports.h"
#include "dataplane/port/pci.h"

#define LOOK_NS   1000000000ull
#define MAC_BYTES 18

_Static_assert(
	sizeof(struct mrf_port_stats) % MR_CACHE_LINE == 0, "lines of its own for each worker");
_Static_assert(sizeof(struct mrf_port_state) <= sizeof(struct mrf_port_stats),
	"stats_at uses one stride for both");

/* Returns entry `index` of the ports' statistics: a PortStats for each port and worker, then a
 * PortState for each port. */
static void *stats_at(const struct mr_writer *wr, uint32_t index)
{
	const struct mrf_stats_header *h = wr->stats_map;

	return (char *)wr->stats_map + h->port_offset + (size_t)index * h->port_stride;
}

static void point_to_stats(struct mr_writer *wr, struct mr_port *p, uint32_t index)
{
	for (uint32_t i = 0; i < wr->workers_count; i++)
		p->stats[i] = stats_at(wr, index * wr->workers_count + i);
	p->state = stats_at(wr, wr->config->ports.open_count * wr->workers_count + index);
}

static int watch_events(struct mr_writer *wr, struct mr_port *p)
{
	struct epoll_event e = {.events = EPOLLIN, .data.ptr = p};

	if (p->events_fd < 0 || epoll_ctl(wr->epoll_fd, EPOLL_CTL_ADD, p->events_fd, &e) == 0)
		return 0;
	mr_port_close(p);
	return -errno;
}

int mr_writer_ports_open(struct mr_writer *wr)
{
	for (uint32_t i = 0; i < wr->config->ports.open_count; i++) {
		struct mr_port *p = &wr->ports[i];
		int error;

		point_to_stats(wr, p, i);
		error = mr_port_open(p, &wr->config->ports.open[i], (uint16_t)i, wr->workers_count);
		if (error == 0)
			error = watch_events(wr, p);
		if (error != 0)
			return error;
		wr->ports_count++;
	}
	return 0;
}

/* True if a grace period has passed since the link went down. Workers stop using the port when they
 * see that; until then one may still be inside the driver. */
static bool is_unused(struct mr_writer *wr, unsigned port)
{
	uint64_t *since = &wr->ports_down_since[port];

	if (atomic_load_explicit(&wr->ports[port].link_up, memory_order_relaxed)) {
		*since = 0;
		return false;
	}
	if (*since == 0)
		*since = rte_rcu_qsbr_start(wr->qsbr); /* [table.grace] */
	return rte_rcu_qsbr_check(wr->qsbr, *since, false) == 1;
}

bool mr_writer_ports_serve(struct mr_writer *wr, void *port)
{
	for (unsigned i = 0; i < wr->ports_count; i++) {
		if (port != &wr->ports[i])
			continue;
		mr_port_serve(&wr->ports[i]);
		wr->ports_looked_ns = 0; /* the link may have changed: look at once */
		return true;
	}
	return false;
}

void mr_writer_ports_look(struct mr_writer *wr)
{
	uint64_t now = mr_writer_now_ns();
	bool changed = false;

	if (wr->ports_count == 0 || now - wr->ports_looked_ns < LOOK_NS)
		return;
	wr->ports_looked_ns = now;
	for (unsigned i = 0; i < wr->ports_count; i++)
		changed |= mr_port_look(&wr->ports[i], is_unused(wr, i));
	/* A sleeping worker does not see that a link is up. */
	for (unsigned i = 0; changed && i < wr->workers_count; i++)
		mr_worker_wake(wr->workers[i]);
}

void mr_writer_ports_close(struct mr_writer *wr)
{
	while (wr->ports_count > 0)
		mr_port_close(&wr->ports[--wr->ports_count]);
}

/* ---- the listing */

static void mac_text(const struct mr_port *p, char *out, size_t bytes)
{
	const uint8_t *m = p->mac;

	snprintf(out, bytes, "%02x:%02x:%02x:%02x:%02x:%02x", m[0], m[1], m[2], m[3], m[4], m[5]);
}

static void address_text(const struct mr_port_address *a, char *out, size_t bytes)
{
	struct mr_config_network n = {.prefix_bits = a->prefix_bits};

	memcpy(n.address, &a->address, sizeof(n.address));
	mr_config_network_text(&n, out, bytes);
}

struct card_texts {
	char offloads[MR_PCI_TEXT_BYTES], redirection[MR_PCI_TEXT_BYTES];
	char extended[MR_PCI_EXTENDED_BYTES];
};

static void list_card(const struct mr_port *p, struct card_texts *t, struct mrf_port_row *row)
{
	row->numa_node = -1;
	if (p->pci == NULL)
		return;
	mr_pci_offloads_text(p, t->offloads);
	mr_pci_redirection_text(p, t->redirection);
	mr_pci_extended_text(p, t->extended);
	row->card_driver = mrf_str(p->pci->driver);
	row->numa_node = p->pci->numa_node;
	row->link_speed = mr_pci_speed(p);
	row->steering = mrf_str(mr_pci_steering_name(p));
	row->offloads = mrf_str(t->offloads);
	row->redirection = mrf_str(t->redirection);
	row->extended = mrf_str(t->extended);
}

static uint32_t list_port(struct mrf_builder *b, const struct mr_port *p)
{
	char texts[MR_PORT_ADDRESSES_MAX][MR_CONFIG_NETWORK_TEXT_BYTES], mac[MAC_BYTES];
	struct mrf_string addresses[MR_PORT_ADDRESSES_MAX];
	struct mrf_port_xdp xdp[MR_PORT_XDP_MAX];
	static struct card_texts card;
	struct mrf_port_row row = {
		.name = mrf_str(p->name),
		.driver = mrf_str(mr_config_driver_name(p->config->driver)),
		.device = mrf_str(p->config->device),
		.addresses = addresses,
		.addresses_count = p->addresses_count,
		.udp_port = p->udp_port,
		.queues = p->queues_count,
		.mtu = mr_port_mtu(p),
		.tap = mrf_str(p->config->tap),
		.xdp_program = mr_port_xdp_program(p),
		.xdp = xdp,
	};

	for (uint32_t i = 0; i < p->addresses_count; i++) {
		address_text(&p->addresses[i], texts[i], sizeof(texts[i]));
		addresses[i] = mrf_str(texts[i]);
	}
	mac_text(p, mac, sizeof(mac));
	row.mac = mrf_str(mac);
	row.xdp_count = mr_port_xdp(p, xdp);
	if (row.xdp_program != 0)
		row.xdp_mode = mrf_str(p->xdp_native ? "native" : "generic");
	list_card(p, &card, &row);
	return mrf_port_row_write(b, &row);
}

void mr_writer_ports_list(struct mr_writer *wr, uint64_t id)
{
	static uint64_t memory[MR_WRITER_LINK_BYTES_MAX / sizeof(uint64_t)];
	uint32_t rows[MR_PORTS_MAX];
	struct mrf_link_ports v = {.rows = rows, .rows_count = wr->ports_count};
	struct mrf_builder b;

	mrf_builder_init(&b, memory, sizeof(memory));
	for (unsigned i = 0; i < wr->ports_count; i++)
		rows[i] = list_port(&b, &wr->ports[i]);
	mr_writer_link_send(
		wr, &b, id, MRF_LINK_BODY_LINK_PORTS, mrf_link_ports_write(&b, &v), NULL, 0);
}
