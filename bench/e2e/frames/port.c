/* SPDX-License-Identifier: Apache-2.0 */
#include "bench/e2e/frames/port.h"

#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <unistd.h>

#include <rte_eal.h>
#include <rte_errno.h>
#include <rte_ethdev.h>
#include <rte_mbuf.h>

#include "bench/micro/support/bench.h"

#define BUFFERS        16384u /* AF_XDP keeps four rings full of them */
#define BUFFERS_SENT   1024u
#define BUFFERS_CACHED 256u
#define DATA_BYTES     (RTE_PKTMBUF_HEADROOM + 2048u)
/* Bytes that the kernel needs before each packet of AF_XDP. */
#define KERNEL_HEADROOM 256u
#define LOOK_US         1000u

static void open_eal(const char *vdev)
{
	char prefix[32], lcores[16], device[512];
	char *argv[] = {"bench_frames", "--no-huge", "-m", "64", "--no-pci", "--no-telemetry",
		"--no-shconf", "--file-prefix", prefix, "--lcores", lcores, "--log-level",
		"lib.*:error", "--vdev", device, NULL};

	snprintf(prefix, sizeof(prefix), "bench-frames-%d", (int)getpid());
	snprintf(lcores, sizeof(lcores), "0@%d", sched_getcpu());
	snprintf(device, sizeof(device), "%s", vdev);
	if (rte_eal_init((int)MR_ARRAY_COUNT(argv) - 1, argv) < 0)
		bench_check(rte_errno != 0 ? -rte_errno : -EIO, "EAL");
	bench_check(rte_eth_dev_count_avail() == 1 ? 0 : -ENODEV, vdev);
}

static void open_device(struct gen_port *p)
{
	const struct rte_eth_conf conf = {0};
	struct rte_ether_addr mac;

	bench_check(rte_eth_dev_configure(p->device, 1, 1, &conf), "device");
	bench_check(rte_eth_rx_queue_setup(p->device, 0, GEN_RING_ENTRIES, SOCKET_ID_ANY, NULL,
			    p->received.buffers),
		"receive queue");
	bench_check(rte_eth_tx_queue_setup(p->device, 0, GEN_RING_ENTRIES, SOCKET_ID_ANY, NULL),
		"transmit queue");
	bench_check(rte_eth_dev_start(p->device), "device");
	bench_check(rte_eth_macaddr_get(p->device, &mac), "Ethernet address");
	memcpy(p->mac, &mac, sizeof(p->mac));
}

void gen_port_open(struct gen_port *p, const char *vdev, unsigned cpu_index)
{
	/* Reads the allowed CPUs before the thread is pinned. */
	(void)bench_cpus();
	*p = (struct gen_port){.device = 0};
	open_eal(vdev);
	bench_pin(cpu_index);
	bench_check(mr_packet_pool_open(&p->received, "bench-frames-rx", BUFFERS,
			    DATA_BYTES + KERNEL_HEADROOM, BUFFERS_CACHED, -1),
		"buffers");
	bench_check(
		mr_packet_pool_open(&p->sent, "bench-frames-tx", BUFFERS_SENT, DATA_BYTES, 0, -1),
		"buffers");
	open_device(p);
}

/* The driver of memif frees memory that EAL's interrupt thread may be using. The process is about
 * to end, and the kernel closes everything. */
static bool may_be_closed(const struct gen_port *p)
{
	struct rte_eth_dev_info info;

	return rte_eth_dev_info_get(p->device, &info) == 0 &&
	       strcmp(info.driver_name, "net_memif") != 0;
}

void gen_port_close(struct gen_port *p)
{
	if (!may_be_closed(p))
		return;
	(void)rte_eth_dev_stop(p->device);
	(void)rte_eth_dev_close(p->device);
	mr_packet_pool_close(&p->received);
	mr_packet_pool_close(&p->sent);
	rte_eal_cleanup();
}

static bool link_is_up(const struct gen_port *p)
{
	struct rte_eth_link link = {0};

	(void)rte_eth_link_get_nowait(p->device, &link);
	return link.link_status == RTE_ETH_LINK_UP;
}

void gen_port_wait(struct gen_port *p, uint64_t timeout_ms)
{
	uint64_t end = bench_ns() + timeout_ms * 1000000;

	while (!link_is_up(p)) {
		bench_check(bench_ns() < end ? 0 : -ETIMEDOUT, "nobody at the other end");
		usleep(LOOK_US);
	}
}

void gen_port_linger(struct gen_port *p, uint64_t timeout_ms)
{
	uint64_t end = bench_ns() + timeout_ms * 1000000;

	while (link_is_up(p) && bench_ns() < end)
		usleep(LOOK_US);
}

/* Sending frees a buffer; a second reference keeps it. */
struct rte_mbuf *gen_port_new(struct gen_port *p)
{
	struct rte_mbuf *m = rte_pktmbuf_alloc(p->sent.buffers);

	if (m != NULL)
		rte_mbuf_refcnt_set(m, 2);
	return m;
}

uint8_t *gen_port_payload(const struct rte_mbuf *m, uint32_t headers_bytes)
{
	uintptr_t at = (uintptr_t)m->buf_addr + RTE_PKTMBUF_HEADROOM + headers_bytes;

	return (uint8_t *)mr_align_up(at, 8);
}

void gen_port_set(struct rte_mbuf *m, const uint8_t *at, uint32_t bytes)
{
	m->data_off = (uint16_t)(at - (const uint8_t *)m->buf_addr);
	m->data_len = (uint16_t)bytes;
	m->pkt_len = bytes;
}

uint32_t gen_port_send(struct gen_port *p, struct rte_mbuf **buffers, uint32_t count)
{
	uint32_t sent = rte_eth_tx_burst(p->device, 0, buffers, (uint16_t)count);

	for (uint32_t i = 0; i < sent; i++) {
		bench_check(rte_mbuf_refcnt_read(buffers[i]) == 1 ? 0 : -EBUSY,
			"the driver keeps what was sent");
		rte_mbuf_refcnt_set(buffers[i], 2);
	}
	p->tx_packets += sent;
	return sent;
}

uint32_t gen_port_receive(struct gen_port *p, struct rte_mbuf **out)
{
	uint32_t n = rte_eth_rx_burst(p->device, 0, out, GEN_BURST);

	p->rx_packets += n;
	return n;
}

void gen_port_free(struct rte_mbuf **buffers, uint32_t count)
{
	rte_pktmbuf_free_bulk(buffers, count);
}
