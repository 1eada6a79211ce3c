/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/support/net/rig.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <rte_cycles.h>
#include <rte_eal.h>
#include <rte_eth_ring.h>
#include <rte_ethdev.h>
#include <rte_mbuf.h>
#include <rte_rcu_qsbr.h>
#include <rte_ring.h>

#include "lib/wire/checksum.h"

#define BUFFERS       512u
#define BUFFER_BYTES  2304u
#define CACHE_BUFFERS 128u
#define BLOCKS        64u
#define RING_ENTRIES  256u

/* DPDK is initialised once for the process, and its objects stay. */
static struct {
	bool open;
	struct rte_mempool *pool;
	struct rte_mempool *blocks;
	struct rte_ring *rx[MR_RIG_WORKERS];
	struct rte_ring *tx[MR_RIG_WORKERS];
	uint16_t devices[MR_RIG_WORKERS];
	struct rte_mbuf *starved[BUFFERS];
	unsigned starved_count;
} dpdk;

static const uint8_t port_mac[6] = {0x02, 0, 0, 0, 0, 0x01};
static const uint8_t peer_mac[6] = {0x02, 0, 0, 0, 0, 0x02};

static void check(bool ok, const char *what)
{
	if (ok)
		return;
	fprintf(stderr, "rig: %s (errno %d, rte_errno %d)\n", what, errno, rte_errno);
	abort();
}

static void open_device(unsigned i)
{
	struct rte_eth_conf conf = {0};
	char name[32];
	int device;

	snprintf(name, sizeof(name), "rig_rx%u", i);
	dpdk.rx[i] = rte_ring_create(name, RING_ENTRIES, SOCKET_ID_ANY, 0);
	snprintf(name, sizeof(name), "rig_tx%u", i);
	dpdk.tx[i] = rte_ring_create(name, RING_ENTRIES, SOCKET_ID_ANY, 0);
	check(dpdk.rx[i] != NULL && dpdk.tx[i] != NULL, "rings");
	snprintf(name, sizeof(name), "rig%u", i);
	device = rte_eth_from_rings(name, &dpdk.rx[i], 1, &dpdk.tx[i], 1, 0);
	check(device >= 0, "device");
	dpdk.devices[i] = (uint16_t)device;
	check(rte_eth_dev_configure(dpdk.devices[i], 1, 1, &conf) == 0, "configure");
	check(rte_eth_rx_queue_setup(dpdk.devices[i], 0, RING_ENTRIES, 0, NULL, dpdk.pool) == 0,
		"rx queue");
	check(rte_eth_tx_queue_setup(dpdk.devices[i], 0, RING_ENTRIES, 0, NULL) == 0, "tx queue");
	check(rte_eth_dev_start(dpdk.devices[i]) == 0, "start");
}

static void open_dpdk(void)
{
	char prefix[32];
	char *argv[] = {"rig", "--no-huge", "-m", "64", "--no-pci", "--no-telemetry", "--no-shconf",
		"--file-prefix", prefix, "--lcores", "0@(0-1)", "--log-level", "*:error", NULL};

	if (dpdk.open)
		return;
	snprintf(prefix, sizeof(prefix), "rig-%d", (int)getpid());
	check(rte_eal_init((int)MR_ARRAY_COUNT(argv) - 1, argv) >= 0, "EAL");
	rmdir(rte_eal_get_runtime_dir());
	dpdk.pool =
		rte_pktmbuf_pool_create("rig_frames", BUFFERS, CACHE_BUFFERS, 0, BUFFER_BYTES, 0);
	dpdk.blocks = rte_pktmbuf_pool_create(
		"rig_blocks", BLOCKS, 0, 0, MR_BLOCK_BYTES + RTE_PKTMBUF_HEADROOM, 0);
	check(dpdk.pool != NULL && dpdk.blocks != NULL, "pools");
	for (unsigned i = 0; i < MR_RIG_WORKERS; i++)
		open_device(i);
	dpdk.open = true;
}

static void open_port(struct mr_rig *r)
{
	struct mr_port *p = &r->port;

	p->udp_port = MR_RIG_UDP_PORT;
	p->mtu = 1500;
	p->rx_entries = RING_ENTRIES;
	memcpy(p->mac, port_mac, sizeof(p->mac));
	p->addresses_count = 2;
	p->addresses[0] =
		(struct mr_port_address){{{[10] = 0xff, [11] = 0xff, 10, 77, 0, 1}}, 96 + 24};
	p->addresses[1] = (struct mr_port_address){{{0xfd, 0x77, [15] = 1}}, 64};
	p->queues_count = (uint16_t)r->workers_count;
	p->pool = dpdk.pool;
	atomic_store(&p->link_up, true);
	for (unsigned i = 0; i < r->workers_count; i++) {
		p->queues[i] = (struct mr_port_queue){.device = dpdk.devices[i], .wake_fd = -1};
		p->stats[i] = &r->port_stats[i];
		check(mr_worker_port_add(r->workers[i], p) == 0, "port");
	}
}

static struct mr_queues_config queues_config(void)
{
	return (struct mr_queues_config){
		.queues_max = 64,
		.per_client_max = 16,
		.window = 1024,
		.publishers_max = 16,
		.idle_ms = 60000,
		.prefetch = 10,
		.heartbeat_ms = 1000,
		.missed_max = 3,
		.queue =
			{
				.policy = MRF_QUEUE_POLICY_ROUND_ROBIN,
				.when_full = MRF_QUEUE_FULL_WAIT,
				.messages_max = UINT32_MAX,
				.ack_timeout_ms = MR_RIG_ACK_TIMEOUT_MS,
				.max_deliver = 5,
			},
		.service =
			{
				.policy = MRF_QUEUE_POLICY_LEAST_RECENTLY_USED,
				.when_full = MRF_QUEUE_FULL_REFUSE,
				.messages_max = UINT32_MAX,
				.age_max_ms = 30000,
				.ack_timeout_ms = MR_RIG_ACK_TIMEOUT_MS,
				.max_deliver = 3,
				.breaker_failures = UINT16_MAX,
				.breaker_reset_ms = 1000,
				.breaker_probes = 1,
			},
	};
}

static void open_worker(struct mr_rig *r, unsigned i)
{
	struct mr_worker_config c = {
		.index = i,
		.workers = r->workers_count,
		.slots = MR_RIG_SLOTS,
		.remote_first = MR_RIG_LOCALS,
		.heartbeat_ms = 1000,
		.missed_max = 3,
		.hellos_per_second = 1000,
		.cookie_key = "0123456789abcde",
		.handoff_ring_bytes = MR_CHANNEL_RING_BYTES_MIN,
		.message_bytes_max = MR_RIG_MESSAGE_BYTES_MAX,
		.store_bytes = 64u << 20,
		.held_bytes_max = 1u << 20,
		.queue_bytes_max = 16u << 20,
		.queues = queues_config(),
		.writer_bell_fd = r->writer_bell_fd,
		.busy = true,
	};
	struct mr_worker *w;

	check(mr_worker_new(&c, r->table, &r->stats[i], &r->workers[i]) == 0, "worker");
	w = r->workers[i];
	w->blocks = dpdk.blocks;
	w->round_start = w->scan.since = r->clock;
	mr_bytes_consumer_init(&r->to_control[i], w->handoff.channel.up_shared,
		w->handoff.channel.up_map, w->handoff.channel.up_bytes);
	mr_bytes_producer_init(&r->from_control[i], w->handoff.channel.down_shared,
		w->handoff.channel.down_map, w->handoff.channel.down_bytes);
	mr_router_online(w->router);
}

static void open_mesh(struct mr_rig *r)
{
	for (unsigned from = 0; from < r->workers_count; from++)
		for (unsigned to = 0; to < r->workers_count; to++) {
			if (from == to)
				continue;
			check(mr_spsc_init(&r->mesh[from][to], 64, 0) == 0, "mesh");
			r->workers[from]->mesh_out[to] = &r->mesh[from][to];
			r->workers[to]->mesh_in[from] = &r->mesh[from][to];
			r->workers[from]->peers[to] = r->workers[to];
		}
}

uint32_t mr_rig_copies_max;

void mr_rig_open(struct mr_rig *r, unsigned workers)
{
	struct mr_table_limits limits = {.workers = workers,
		.subscriptions_max = 65536,
		.copies_max = mr_rig_copies_max,
		.aliases_max = 64};
	size_t bytes = mr_align_up(rte_rcu_qsbr_get_memsize(workers), MR_CACHE_LINE);

	open_dpdk();
	memset(r, 0, sizeof(*r));
	r->workers_count = workers;
	r->clock = rte_rdtsc();
	r->writer_bell_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	r->qsbr = aligned_alloc(MR_CACHE_LINE, bytes);
	check(r->qsbr != NULL && rte_rcu_qsbr_init(r->qsbr, workers) == 0, "qsbr");
	check(mr_table_new(&limits, r->qsbr, &r->table) == 0, "table");
	for (unsigned i = 0; i < workers; i++)
		open_worker(r, i);
	open_mesh(r);
	open_port(r);
}

static void close_sessions(struct mr_worker *w)
{
	for (uint32_t slot = 0; slot < MR_RIG_SLOTS; slot++) {
		struct mr_session *s = atomic_load(&w->directory.slots[slot]);

		atomic_store(&w->directory.slots[slot], NULL);
		if (s != NULL)
			mr_session_free(s);
	}
}

void mr_rig_close(struct mr_rig *r)
{
	uint8_t packet[4096];

	for (unsigned i = 0; i < r->workers_count; i++) {
		struct mr_worker *w = r->workers[i];

		mr_router_offline(w->router);
		mr_worker_ports_fini(w);
		mr_worker_mesh_fini(w);
		close_sessions(w);
		while (mr_rig_collect(r, i, packet, sizeof(packet)) > 0)
			;
	}
	for (unsigned i = 0; i < r->workers_count; i++)
		mr_worker_free(r->workers[i]);
	for (unsigned from = 0; from < r->workers_count; from++)
		for (unsigned to = 0; to < r->workers_count; to++)
			if (from != to)
				mr_spsc_fini(&r->mesh[from][to]);
	mr_rig_feed(r);
	mr_table_free(r->table);
	free(r->qsbr);
	close(r->writer_bell_fd);
	check(rte_mempool_in_use_count(dpdk.pool) == 0, "buffers are left over");
	check(rte_mempool_in_use_count(dpdk.blocks) == 0, "blocks are left over");
}

void mr_rig_round(struct mr_rig *r, unsigned worker)
{
	struct mr_worker *w = r->workers[worker];

	w->round_start = r->clock;
	mr_worker_round(w);
	mr_worker_housekeep(w);
	check(w->mesh.wanted_by == 0, "quiescent, and others not told");
	mr_router_quiescent(w->router);
}

void mr_rig_wait_ms(struct mr_rig *r, uint64_t ms)
{
	r->clock += rte_get_tsc_hz() / 1000 * ms;
}

struct mr_owner mr_rig_attach(
	struct mr_rig *r, unsigned worker, uint32_t slot, struct mr_rig_local *out)
{
	const struct mr_session_limits limits = {
		MR_CHANNEL_RING_BYTES_MIN, MR_CHANNEL_RING_BYTES_MIN, 64};
	uint64_t id = mr_session_id(worker, slot, 1);
	struct mr_worker *w = r->workers[worker];
	struct mr_poll_list *retired;

	check(mr_session_new(id, &limits, &r->session_stats[worker][slot], &out->session,
		      &out->liveness_fd) == 0,
		"session");
	check(mr_directory_add(&w->directory, out->session, &retired) == 0, "directory");
	free(retired);
	mr_channel_peer_side(&out->session->channel, w->page, &out->up, &out->down);
	return (struct mr_owner){(uint16_t)worker, slot, 1};
}

void mr_rig_subscribe(
	struct mr_rig *r, const struct mr_session *s, uint32_t id, const char *subject)
{
	mr_rig_join(r, s, id, subject, "");
}

void mr_rig_join(struct mr_rig *r, const struct mr_session *s, uint32_t id, const char *subject,
	const char *group)
{
	struct mr_owner owner = {(uint16_t)mr_session_worker(s->id), s->slot, s->generation};

	check(mr_table_subscribe(r->table, &owner, id, MR_SUB_PATTERN, subject, strlen(subject),
		      group, strlen(group)) == 0,
		"subscribe");
}

void mr_rig_hand_over(struct mr_rig *r, unsigned worker, const void *data, uint32_t bytes)
{
	struct mr_message_plan plan =
		mr_message_plan(MRF_MESSAGE_KIND_CONTROL, NULL, NULL, 0, data, 0, bytes);
	struct mrf_handoff_header h = {
		.bytes = (uint32_t)sizeof(h) + plan.bytes, .reason = MRF_HANDOFF_REASON_QUEUE};
	uint8_t *to = mr_bytes_claim(&r->from_control[worker], sizeof(h) + plan.stride);

	check(to != NULL, "room in the ring from control");
	memcpy(to, &h, sizeof(h));
	mr_message_write(to + sizeof(h), &plan, 77);
	mr_bytes_push(&r->from_control[worker], h.bytes);
	mr_bytes_publish_quiet(&r->from_control[worker]);
}

/* Stays in place until the worker's next round but one. */
static struct mrf_table take_answer(struct mr_rig *r, unsigned worker)
{
	struct mr_bytes_consumer *ring = &r->to_control[worker];
	size_t ready = mr_bytes_readable(ring);
	const uint8_t *at = mr_bytes_peek(ring);
	struct mrf_handoff_header h;
	struct mr_message_view m;
	struct mrf_table answer;

	check(ready > sizeof(h), "answer");
	memcpy(&h, at, sizeof(h));
	check(h.reason == MRF_HANDOFF_REASON_QUEUE && mr_message_stride(h.bytes) == ready,
		"one answer and nothing else");
	check(mr_message_parse(at + sizeof(h), mr_message_header_load(at + sizeof(h)), &m) &&
			m.header.target == 77,
		"answer");
	check(mrf_queue_message_parse(m.payload, m.payload_bytes, &answer) == 0 &&
			mrf_queue_message_body_type(answer) == MRF_QUEUE_BODY_QUEUE_ANSWER,
		"answer");
	mr_bytes_skip(ring, (uint32_t)ready);
	return mrf_queue_message_body(answer);
}

void mr_rig_push(struct mr_rig_local *c, const struct mr_message_plan *plan, uint32_t target)
{
	void *to = mr_bytes_claim(&c->up, plan->stride);

	check(to != NULL, "room in a client's ring");
	mr_message_write(to, plan, target);
	mr_bytes_push(&c->up, plan->bytes);
	mr_bytes_publish_quiet(&c->up);
}

void mr_rig_detach(struct mr_rig *r, struct mr_rig_local *c)
{
	struct mr_session *s = c->session;
	struct mr_poll_list *retired;

	check(mr_directory_remove(&r->workers[s->worker]->directory, s, &retired) == 0,
		"directory");
	free(retired);
	mr_session_free(s);
	close(c->liveness_fd);
}

struct mrf_table mr_rig_command(
	struct mr_rig *r, unsigned worker, const struct mrf_queue_command *command)
{
	struct mrf_queue_message message = {.body_type = MRF_QUEUE_BODY_QUEUE_COMMAND};
	uint64_t memory[256];
	struct mrf_builder b;
	const void *data;
	size_t bytes;

	mrf_builder_init(&b, memory, sizeof(memory));
	message.body = mrf_queue_command_write(&b, command);
	check(mrf_builder_finish(&b, mrf_queue_message_write(&b, &message), &data, &bytes) == 0,
		"command");
	mr_rig_hand_over(r, worker, data, (uint32_t)bytes);
	mr_rig_round(r, worker);
	return take_answer(r, worker);
}

bool mr_rig_next(struct mr_rig_local *c, struct mr_message_view *m)
{
	size_t ready = mr_bytes_readable(&c->down);
	const uint8_t *at = mr_bytes_peek(&c->down);
	struct mrf_message_header h;

	if (ready == 0)
		return false;
	h = mr_message_header_load(at);
	check(mr_message_fits(&h, ready) && mr_message_parse(at, h, m), "bad message");
	mr_bytes_skip(&c->down, h.bytes);
	return true;
}

struct mrf_network_path mr_rig_path(bool ip6, uint16_t udp_port)
{
	static const uint8_t addresses[2][2][16] = {
		{{[10] = 0xff, [11] = 0xff, 10, 77, 0, 2},
			{[10] = 0xff, [11] = 0xff, 10, 77, 0, 1}},
		{{0xfd, 0x77, [15] = 2}, {0xfd, 0x77, [15] = 1}},
	};
	struct mrf_network_path path = {
		.peer_udp_port = udp_port, .local_udp_port = MR_RIG_UDP_PORT};

	memcpy(&path, addresses[ip6], sizeof(addresses[0]));
	memcpy(&path.peer_mac, peer_mac, sizeof(peer_mac));
	return path;
}

struct mr_session *mr_rig_remote(struct mr_rig *r, unsigned worker, uint32_t slot,
	const struct mrf_network_path *path, uint32_t frame_bytes, struct mr_rig_client *c)
{
	uint64_t id = mr_session_id(worker, slot, 7);
	struct mr_session *s;

	check(mr_remote_new(id, path, port_mac, frame_bytes, MR_RIG_LOG_BYTES,
		      &r->session_stats[worker][slot], &s) == 0,
		"remote session");
	s->remote->last_rx = s->remote->last_tx = r->clock;
	s->remote->nonce = 99;
	s->remote->secret = MR_RIG_SECRET;
	atomic_store(&r->workers[worker]->directory.slots[slot], s);
	*c = (struct mr_rig_client){.path = *path, .session = id};
	return s;
}

uint32_t mr_rig_alias(struct mr_rig *r, struct mr_session *s, const char *subject)
{
	struct mr_owner owner = {(uint16_t)s->worker, s->slot, s->generation};
	struct mr_alias_set *set = calloc(1, sizeof(*set) + sizeof(set->slots[0]));
	uint32_t alias = 0;

	check(set != NULL && mr_table_alias_acquire(
				     r->table, &owner, subject, strlen(subject), &alias) == 0,
		"alias");
	atomic_store(&set->slots[0], alias);
	atomic_store(&s->remote->aliases, set);
	return alias;
}

void mr_rig_begin(struct mr_rig_frame *f, uint64_t session, uint32_t sequence)
{
	f->header = (struct mrf_frame_header){
		.version = MR_FRAME_VERSION, .sequence = sequence, .session = session};
	f->bytes = sizeof(f->header);
	memcpy(f->at, &f->header, sizeof(f->header));
}

void mr_rig_add_plan(struct mr_rig_frame *f, const struct mr_message_plan *plan, uint32_t target)
{
	check(f->bytes + plan->stride <= sizeof(f->at), "frame too large");
	mr_message_write(f->at + f->bytes, plan, target);
	f->bytes += plan->stride;
	f->header.messages++;
	memcpy(f->at, &f->header, sizeof(f->header));
}

void mr_rig_add(struct mr_rig_frame *f, enum mrf_message_kind kind, uint32_t target,
	const char *subject, const void *payload, uint32_t bytes)
{
	uint32_t subject_bytes = subject != NULL ? (uint32_t)strlen(subject) : 0;
	struct mr_message_plan plan =
		mr_message_plan(kind, NULL, subject, subject_bytes, payload, 0, bytes);

	mr_rig_add_plan(f, &plan, target);
}

void mr_rig_pad(struct mr_rig_frame *f, uint32_t bytes)
{
	static const uint8_t zero[4096];

	if (f->bytes < bytes)
		mr_rig_add(f, MRF_MESSAGE_KIND_PADDING, 0, NULL, zero,
			bytes - f->bytes - (uint32_t)sizeof(struct mrf_message_header));
}

void mr_rig_publish(
	struct mr_rig_client *c, struct mr_rig_frame *f, const char *subject, const char *text)
{
	mr_rig_begin(f, c->session, ++c->sequence);
	mr_rig_add(f, MRF_MESSAGE_KIND_PUBLISH, 0, subject, text, (uint32_t)strlen(text));
}

/* Returns the path as the client's packets have it: with both ends exchanged. */
static struct mrf_network_path reversed(const struct mrf_network_path *path)
{
	struct mrf_network_path t = *path;

	t.peer_0 = path->local_0;
	t.peer_1 = path->local_1;
	t.local_0 = path->peer_0;
	t.local_1 = path->peer_1;
	t.peer_udp_port = path->local_udp_port;
	t.local_udp_port = path->peer_udp_port;
	t.peer_mac = 0;
	memcpy(&t.peer_mac, port_mac, sizeof(port_mac));
	return t;
}

/* Computes lengths and checksums anew, in another way than the worker. */
static void finish_packet(uint8_t *at, uint32_t headers_bytes, uint32_t bytes)
{
	bool ip6 = headers_bytes == MR_REMOTE_HEADERS_MAX;
	uint8_t *ip = at + 14, *udp = at + headers_bytes - 8;
	uint16_t udp_bytes = rte_cpu_to_be_16((uint16_t)(bytes - headers_bytes + 8));
	uint16_t ip_bytes = rte_cpu_to_be_16((uint16_t)(bytes - 14));
	uint64_t sum = udp_bytes + (uint64_t)rte_cpu_to_be_16(17);
	uint16_t zero = 0, checksum;

	memcpy(udp + 4, &udp_bytes, 2);
	memcpy(udp + 6, &zero, 2);
	sum += ip6 ? mr_checksum_sum(ip + 8, 32) : mr_checksum_sum(ip + 12, 8);
	checksum = mr_checksum_finish(sum + mr_checksum_sum(udp, bytes - headers_bytes + 8));
	memcpy(udp + 6, &checksum, 2);
	if (ip6) {
		memcpy(ip + 4, &udp_bytes, 2);
		return;
	}
	memcpy(ip + 2, &ip_bytes, 2);
	memcpy(ip + 10, &zero, 2);
	checksum = mr_checksum_finish(mr_checksum_sum(ip, 20));
	memcpy(ip + 10, &checksum, 2);
}

uint32_t mr_rig_packet(const struct mrf_network_path *path, const struct mr_rig_frame *f,
	uint8_t *out, uint32_t capacity)
{
	struct mrf_network_path back = reversed(path);
	uint8_t mac[6], headers[MR_REMOTE_HEADERS_MAX];
	uint32_t headers_bytes;

	memcpy(mac, &path->peer_mac, sizeof(mac));
	headers_bytes = mr_headers_write(headers, &back, mac);
	check(headers_bytes + f->bytes <= capacity, "packet too large");
	memcpy(out, headers, headers_bytes);
	memcpy(out + headers_bytes, f->at, f->bytes);
	finish_packet(out, headers_bytes, headers_bytes + f->bytes);
	return headers_bytes + f->bytes;
}

void mr_rig_inject(struct mr_rig *r, unsigned worker, const void *packet, uint32_t bytes)
{
	struct rte_mbuf *m = rte_pktmbuf_alloc(dpdk.pool);

	(void)r;
	check(m != NULL && rte_pktmbuf_tailroom(m) >= bytes, "no buffer");
	memcpy(rte_pktmbuf_append(m, (uint16_t)bytes), packet, bytes);
	check(rte_ring_enqueue(dpdk.rx[worker], m) == 0, "receive ring is full");
}

void mr_rig_send(struct mr_rig *r, unsigned worker, const struct mrf_network_path *path,
	const struct mr_rig_frame *f)
{
	alignas(8) uint8_t packet[4096];

	mr_rig_inject(r, worker, packet, mr_rig_packet(path, f, packet, sizeof(packet)));
}

uint32_t mr_rig_collect(struct mr_rig *r, unsigned worker, uint8_t *out, uint32_t capacity)
{
	struct rte_mbuf *m;
	uint32_t bytes;

	(void)r;
	if (rte_ring_dequeue(dpdk.tx[worker], (void **)&m) != 0)
		return 0;
	bytes = m->pkt_len;
	check(bytes == m->data_len && bytes <= capacity, "packet too large");
	memcpy(out, rte_pktmbuf_mtod(m, uint8_t *), bytes);
	rte_pktmbuf_free(m);
	return bytes;
}

/* Makes the client's stack: a port that has the peer's addresses. */
static void be_peer(struct mr_port *p, const uint8_t *packet, uint32_t bytes)
{
	memset(p, 0, sizeof(*p));
	memcpy(p->mac, packet, sizeof(p->mac));
	p->addresses_count = 2;
	p->addresses[0].address = (struct mr_address){{[10] = 0xff, [11] = 0xff, 10, 77, 0, 2}};
	p->addresses[1].address = (struct mr_address){{0xfd, 0x77, [15] = 2}};
	if (bytes > 62) {
		const uint8_t *udp = packet + (packet[12] == 0x08 ? 34 : 54);

		p->udp_port = (uint16_t)(udp[2] << 8 | udp[3]);
	}
}

bool mr_rig_parse(const uint8_t *packet, uint32_t bytes, struct mr_rig_frame *f,
	struct mrf_network_path *path)
{
	struct mr_packet k;
	struct mr_port peer;

	be_peer(&peer, packet, bytes);
	if (mr_packet_parse(&peer, packet, bytes, 0, &k) != MR_PACKET_OK ||
		k.kind != MR_PACKET_FRAME) {
		check(bytes < 24 || packet[23] != 17, "a bad packet was sent");
		return false;
	}
	check(k.bytes == bytes, "a packet of a wrong length was sent");
	f->bytes = k.payload_bytes;
	memcpy(f->at, packet + k.payload_offset, f->bytes);
	check(mr_frame_parse(f->at, f->bytes, &f->header) == MR_FRAME_OK, "a bad frame was sent");
	if (path != NULL) {
		*path = reversed(&k.path);
		path->peer_mac = 0;
		memcpy(&path->peer_mac, packet, sizeof(peer.mac));
	}
	return true;
}

bool mr_rig_receive(
	struct mr_rig *r, unsigned worker, struct mr_rig_frame *f, struct mrf_network_path *path)
{
	alignas(8) uint8_t packet[4096];
	uint32_t bytes = mr_rig_collect(r, worker, packet, sizeof(packet));

	if (bytes == 0)
		return false;
	check(mr_rig_parse(packet, bytes, f, path), "what was sent is no frame");
	return true;
}

bool mr_rig_message(const struct mr_rig_frame *f, uint32_t *at, struct mr_message_view *m)
{
	struct mrf_message_header h;

	if (*at == 0)
		*at = sizeof(f->header);
	if (*at == f->bytes)
		return false;
	h = mr_message_header_load(f->at + *at);
	check(mr_message_fits(&h, f->bytes - *at) && mr_message_parse(f->at + *at, h, m),
		"a bad message was sent");
	*at += mr_message_stride(h.bytes);
	return true;
}

void mr_rig_starve(struct mr_rig *r, unsigned leave)
{
	(void)r;
	while (rte_mempool_avail_count(dpdk.pool) > leave)
		dpdk.starved[dpdk.starved_count++] = rte_pktmbuf_alloc(dpdk.pool);
}

void mr_rig_feed(struct mr_rig *r)
{
	(void)r;
	while (dpdk.starved_count > 0)
		rte_pktmbuf_free(dpdk.starved[--dpdk.starved_count]);
}
