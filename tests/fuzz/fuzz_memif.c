/* SPDX-License-Identifier: Apache-2.0 */
/* fuzz_memif: the rings of a memif whose peer writes anything into the shared memory, at any time
 * between two bursts.
 *
 * The first bytes say which role the port has, and where the peer of a server says its rings are.
 * Then come steps of three bytes, operation, place and length, and the bytes that they need:
 *   0  the peer writes LENGTH bytes at PLACE times 16
 *   1  the port receives LENGTH packets
 *   2  the port sends LENGTH packets of PLACE times 8 bytes
 *   3  the peer moves the head (bit 0 of PLACE) or tail of a ring (bit 1) by LENGTH
 */
#include <stdlib.h>

#include <rte_mbuf.h>

#include "dataplane/port/memif_ring.h"
#include "tests/support/net/rig.h"

#define LOG2         4u
#define BUFFER_BYTES 128u
#define BURST        32u

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
const char *__lsan_default_suppressions(void);

/* DPDK keeps some of its start-up allocations until the process ends. */
const char *__lsan_default_suppressions(void)
{
	return "leak:librte_\nleak:rte_eal_init\n";
}

struct input {
	const uint8_t *at;
	size_t left;
};

static struct mr_rig r;
static struct mr_memif_queue q;

static uint8_t take_byte(struct input *in)
{
	if (in->left == 0)
		return 0;
	in->left--;
	return *in->at++;
}

static void peer_writes(struct input *in, uint8_t place, uint8_t length)
{
	uint64_t at = place * 16u, bytes = length;

	if (bytes > in->left)
		bytes = in->left;
	if (at >= q.regions[0].bytes)
		return;
	if (bytes > q.regions[0].bytes - at)
		bytes = q.regions[0].bytes - at;
	memcpy(q.regions[0].at + at, in->at, bytes);
	in->at += bytes;
	in->left -= bytes;
}

/* A received packet is one buffer, and all of it is readable. */
static void receive(uint8_t count)
{
	struct rte_mbuf *m[BURST];
	uint16_t got = mr_memif_rx(&q, m, count % (BURST + 1));
	unsigned sum = 0;

	for (uint16_t i = 0; i < got; i++) {
		if (m[i]->nb_segs != 1 || m[i]->data_len == 0 || m[i]->pkt_len != m[i]->data_len)
			abort();
		for (uint16_t k = 0; k < m[i]->data_len; k++)
			sum += *rte_pktmbuf_mtod_offset(m[i], uint8_t *, k);
		rte_pktmbuf_free(m[i]);
	}
	if (sum == 1 && got == BURST)
		abort(); /* impossible: 32 packets have a byte each; keeps the reads */
}

static void transmit(uint8_t place, uint8_t count)
{
	struct rte_mbuf *m[BURST];
	uint16_t wanted = count % (BURST + 1), sent;

	if (wanted == 0 || rte_pktmbuf_alloc_bulk(r.port.pool, m, wanted) != 0)
		return;
	for (uint16_t i = 0; i < wanted; i++) {
		uint16_t bytes = (uint16_t)(14 + place * 8);

		if (bytes > rte_pktmbuf_tailroom(m[i]))
			bytes = rte_pktmbuf_tailroom(m[i]);
		memset(rte_pktmbuf_mtod(m[i], void *), place, bytes);
		m[i]->data_len = bytes;
		m[i]->pkt_len = bytes;
	}
	sent = mr_memif_tx(&q, m, wanted);
	if (sent > wanted)
		abort();
	rte_pktmbuf_free_bulk(&m[sent], (unsigned)(wanted - sent));
}

static void peer_moves(uint8_t place, uint8_t by)
{
	struct mr_memif_shared *s = (place & 2) != 0 ? q.tx.shared : q.rx.shared;

	if ((place & 1) != 0)
		s->head += by;
	else
		s->tail += by;
}

/* Sets up the queue; false: the peer's rings are refused. */
static bool open_queue(struct input *in)
{
	struct mr_memif_region *region = &q.regions[0];
	uint8_t role = take_byte(in);
	uint32_t rx_at = take_byte(in) * 16u, tx_at = take_byte(in) * 16u;

	memset(&q, 0, sizeof(q));
	q.pool = r.port.pool;
	region->bytes = mr_memif_layout_bytes(LOG2, BUFFER_BYTES);
	region->at = aligned_alloc(64, region->bytes);
	memset(region->at, 0, region->bytes);
	/* Makes the rings of both roles. */
	mr_memif_layout(&q, LOG2, BUFFER_BYTES);
	if ((role & 1) != 0) {
		mr_memif_post_all(&q);
		return true;
	}
	q.client = false;
	q.buffer_bytes = 0;
	if ((role & 2) != 0) { /* the honest places */
		rx_at = 0;
		tx_at = (uint32_t)mr_memif_ring_bytes(LOG2);
	}
	return mr_memif_find_ring(region, rx_at, role >> 4 & 7, &q.rx) &&
	       mr_memif_find_ring(region, tx_at, LOG2, &q.tx);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input in = {data, size};
	bool open;

	if (r.port.pool == NULL)
		mr_rig_open(&r, 1);
	open = open_queue(&in);
	while (open && in.left > 0) {
		uint8_t operation = take_byte(&in), place = take_byte(&in);
		uint8_t length = take_byte(&in);

		switch (operation & 3) {
		case 0: peer_writes(&in, place, length); break;
		case 1: receive(length); break;
		case 2: transmit(place, length); break;
		case 3: peer_moves(place, length); break;
		}
	}
	free(q.regions[0].at);
	return 0;
}
