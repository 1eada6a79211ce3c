/* SPDX-License-Identifier: Apache-2.0 */
/* fuzz_receive: two workers with a port, sessions and subscribers, and any packets from the
 * network.
 *
 * The input is a program of steps: a byte of operation, a byte of argument, and for some a byte of
 * length, times 8, and that many bytes:
 *   0  a packet; bit 0 of ARGUMENT: to the port's Ethernet address; bit 1: with correct checksums
 *   1  a UDP payload from path ARGUMENT; bit 7: 1,472 bytes of it; bit 6: with a valid cookie in a
 *      Hello
 *   2  messages in the next frame of session ARGUMENT, with a correct header
 *   3  the same with the bytes as header and messages, but for the session
 *   4  time passes, ARGUMENT times 20 ms
 *   5  buffers run out, or are there again
 *   6  a record of control for session ARGUMENT; with bit 6 of the operation, a packet of control
 *      for the port
 *   7  session ARGUMENT sends from another address, as 2; bit 6: with a valid proof of it
 * Bit 7 of the operation: the other worker receives it.
 */
#include <stdlib.h>
#include <unistd.h>

#include <rte_ether.h>
#include <rte_ip.h>
#include <rte_mbuf.h>
#include <rte_udp.h>

#include "dataplane/worker/exception.h"
#include "tests/support/net/rig.h"

#define SESSIONS 4u
#define PATHS    8u

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
const char *__lsan_default_suppressions(void);

/* DPDK keeps some of its start-up allocations until the process ends. */
const char *__lsan_default_suppressions(void)
{
	return "leak:librte_\nleak:rte_eal_init\n";
}

static struct mr_rig r;
static struct mr_rig_client clients[SESSIONS];
static struct mr_rig_local local;

struct input {
	const uint8_t *at;
	size_t left;
};

static void expect(bool ok)
{
	if (!ok)
		abort();
}

static uint8_t take_byte(struct input *in)
{
	if (in->left == 0)
		return 0;
	in->left--;
	return *in->at++;
}

/* Copies a block of bytes to memory that ends where the block ends. */
static uint32_t take_block(struct input *in, uint8_t *to, uint32_t capacity)
{
	uint32_t bytes = take_byte(in) * 8u;

	if (bytes > capacity)
		bytes = capacity;
	if (bytes > in->left)
		bytes = (uint32_t)in->left;
	memcpy(to, in->at, bytes);
	in->at += bytes;
	in->left -= bytes;
	return bytes;
}

static struct mrf_network_path path_of(uint8_t n)
{
	return mr_rig_path(n & 1, (uint16_t)(4001 + n % PATHS));
}

/* Half of the inputs have a port with a TAP device. */
static void open_exceptions(void)
{
	const struct mr_exception_limit limit = {1000, 1000000, 0, 0};

	r.port.exception_in = r.port.exception_out = limit;
	r.port.has_tap = true;
	for (unsigned i = 0; i < 2; i++)
		expect(mr_worker_exceptions_open(r.workers[i]) == 0);
}

static void open_all(void)
{
	mr_rig_open(&r, 2);
	for (uint32_t i = 0; i < SESSIONS; i++) {
		struct mrf_network_path path = path_of((uint8_t)i);
		struct mr_session *s = mr_rig_remote(&r, i % 2, MR_RIG_LOCALS + i, &path,
			i == 0 ? MR_FRAME_BYTES_MIN : MR_RIG_FRAME_BYTES, &clients[i]);

		mr_rig_subscribe(&r, s, i + 1, i < 2 ? "a.b" : "a.>");
		expect(mr_rig_alias(&r, s, "a.b") == 1);
	}
	mr_rig_attach(&r, 0, 0, &local);
	mr_rig_subscribe(&r, local.session, 9, ">");
}

/* Sent frames are well-formed, whatever their source was. */
static void drain(unsigned worker)
{
	static struct mr_rig_frame f;
	struct mr_message_view m;
	uint8_t packet[4096];
	uint32_t bytes;

	while ((bytes = mr_rig_collect(&r, worker, packet, sizeof(packet))) > 0) {
		uint32_t at = 0, count = 0;

		if (!mr_rig_parse(packet, bytes, &f, NULL))
			/* An answer to a neighbour. */
			continue;
		while (mr_rig_message(&f, &at, &m))
			count++;
		expect(count == f.header.messages);
	}
	while (mr_rig_next(&local, &m))
		;
	(void)mr_bytes_release(&local.down);
	(void)mr_bytes_readable(&r.to_control[worker]);
	mr_bytes_skip(
		&r.to_control[worker], r.to_control[worker].tail_seen - r.to_control[worker].head);
	(void)mr_bytes_release(&r.to_control[worker]);
}

static void rounds(void)
{
	for (unsigned i = 0; i < 2; i++)
		for (unsigned worker = 0; worker < 2; worker++) {
			mr_rig_round(&r, worker);
			drain(worker);
		}
}

/* Corrects UDP's or ICMPv6's checksum of `bytes` at `at`; `sum` is that with the pseudo-header. */
static void put_sum(uint8_t *at, uint32_t bytes, uint8_t protocol, uint16_t sum)
{
	if (protocol == IPPROTO_UDP && bytes >= sizeof(struct rte_udp_hdr))
		memcpy(at + offsetof(struct rte_udp_hdr, dgram_cksum), &sum, sizeof(sum));
	else if (protocol == IPPROTO_ICMPV6 && bytes >= 4)
		memcpy(at + 2, &sum, sizeof(sum));
}

static void correct_ip4(uint8_t *at, uint32_t bytes)
{
	struct rte_ipv4_hdr ip;
	uint32_t head, all;

	if (bytes < sizeof(ip))
		return;
	memcpy(&ip, at, sizeof(ip));
	head = (ip.version_ihl & 15u) * 4;
	all = rte_be_to_cpu_16(ip.total_length);
	if (head < sizeof(ip) || head > all || all > bytes)
		return;
	memset(at + 10, 0, 2);
	put_sum(at + head, all - head, ip.next_proto_id, 0);
	if (ip.next_proto_id == IPPROTO_UDP)
		put_sum(at + head, all - head, IPPROTO_UDP,
			rte_ipv4_udptcp_cksum((void *)at, at + head));
	if (ip.next_proto_id == IPPROTO_ICMP && all - head >= 4) {
		uint16_t sum;

		memset(at + head + 2, 0, 2);
		sum = (uint16_t)~rte_raw_cksum(at + head, all - head);
		memcpy(at + head + 2, &sum, sizeof(sum));
	}
	ip.hdr_checksum = (uint16_t)~rte_raw_cksum(at, head);
	memcpy(at + 10, &ip.hdr_checksum, 2);
}

static void correct_ip6(uint8_t *at, uint32_t bytes)
{
	struct rte_ipv6_hdr ip;
	uint32_t payload;

	if (bytes < sizeof(ip))
		return;
	memcpy(&ip, at, sizeof(ip));
	payload = rte_be_to_cpu_16(ip.payload_len);
	if (payload > bytes - sizeof(ip))
		return;
	put_sum(at + sizeof(ip), payload, ip.proto, 0);
	put_sum(at + sizeof(ip), payload, ip.proto,
		rte_ipv6_udptcp_cksum((void *)at, at + sizeof(ip)));
}

/* No fuzzer guesses checksums, so they are corrected. */
static void correct(uint8_t *packet, uint32_t bytes)
{
	struct rte_ether_hdr e;

	if (bytes < sizeof(e))
		return;
	memcpy(&e, packet, sizeof(e));
	if (e.ether_type == rte_cpu_to_be_16(RTE_ETHER_TYPE_IPV4))
		correct_ip4(packet + sizeof(e), bytes - (uint32_t)sizeof(e));
	else if (e.ether_type == rte_cpu_to_be_16(RTE_ETHER_TYPE_IPV6))
		correct_ip6(packet + sizeof(e), bytes - (uint32_t)sizeof(e));
}

static void send_raw(struct input *in, unsigned worker, uint8_t argument)
{
	uint8_t packet[2048];
	uint32_t bytes = take_block(in, packet, sizeof(packet));

	if (argument & 1 && bytes >= sizeof(r.port.mac))
		memcpy(packet, r.port.mac, sizeof(r.port.mac));
	if (argument & 2)
		correct(packet, bytes);
	mr_rig_inject(&r, worker, packet, bytes);
}

/* No fuzzer can guess a keyed hash, so the cookie is filled in. */
static void bake_cookie(
	struct mr_rig_frame *f, unsigned worker, const struct mrf_network_path *path)
{
	const struct mr_worker *w = r.workers[worker];
	struct mrf_hello_head head;
	uint8_t *at = f->at + sizeof(struct mrf_frame_header) + sizeof(struct mrf_message_header);

	memcpy(&head, at, sizeof(head));
	head.cookie = mr_worker_cookie(w, path, head.nonce, r.clock / (w->tsc_hz * 16));
	memcpy(at, &head, sizeof(head));
}

static void send_payload(struct input *in, unsigned worker, uint8_t argument)
{
	static struct mr_rig_frame f;
	struct mrf_network_path path = path_of(argument);

	memset(f.at, 0, 1472);
	f.bytes = take_block(in, f.at, 1472);
	if (argument & 0x80)
		f.bytes = 1472; /* zeros follow */
	if (argument & 0x40)
		bake_cookie(&f, worker, &path);
	mr_rig_send(&r, worker, &path, &f);
}

static void make_proof(struct mr_rig_frame *f, unsigned worker, const struct mrf_network_path *path,
	const struct mr_rig_client *c)
{
	struct mrf_path_proof proof = {.secret = MR_RIG_SECRET};

	proof.nonce = mr_worker_cookie(r.workers[worker], path, c->session, proof.secret);
	mr_rig_add(f, MRF_MESSAGE_KIND_PATH, 0, NULL, &proof, sizeof(proof));
}

static void send_frame(
	struct input *in, unsigned worker, uint8_t argument, bool header, bool elsewhere)
{
	static struct mr_rig_frame f;
	struct mr_rig_client *c = &clients[argument % SESSIONS];
	struct mrf_network_path path = elsewhere ? path_of((uint8_t)(argument + 5)) : c->path;
	uint32_t from = 0;

	mr_rig_begin(&f, c->session, ++c->sequence);
	if (elsewhere && argument & 0x40)
		make_proof(&f, worker, &path, c);
	if (!header)
		from = f.bytes;
	f.bytes = from + take_block(in, f.at + from, 1400);
	if (header) {
		memcpy(f.at + offsetof(struct mrf_frame_header, session), &c->session,
			sizeof(c->session));
	} else {
		/* Appends as many messages as the bytes make. */
		uint32_t at = from;

		f.bytes &= ~7u;
		while (at < f.bytes) {
			struct mrf_message_header h = mr_message_header_load(f.at + at);

			f.header.messages++;
			if (!mr_message_fits(&h, f.bytes - at))
				break;
			at += mr_message_stride(h.bytes);
		}
		memcpy(f.at, &f.header, sizeof(f.header));
	}
	mr_rig_send(&r, worker, &path, &f);
}

/* Control gives the address of a refusal and is trusted but for the port: any other value would be
 * used. */
static void aim(const struct mrf_handoff_header *h, uint8_t *block, uint32_t bytes)
{
	struct mrf_network_path path;

	if (h->reason != MRF_HANDOFF_REASON_REFUSE || bytes < sizeof(path))
		return;
	memcpy(&path, block, sizeof(path));
	if (path.port == 0)
		path = path_of((uint8_t)path.peer_0);
	memcpy(block, &path, sizeof(path));
}

static void send_control(struct input *in, unsigned worker, uint8_t argument)
{
	struct mr_bytes_producer *ring = &r.from_control[worker];
	struct mrf_handoff_header h = {
		.reason = (uint8_t)(argument >> 4 & 7),
		.session = clients[argument % SESSIONS].session,
	};
	uint8_t block[512];
	uint32_t bytes = take_block(in, block, sizeof(block));
	uint8_t *to = mr_bytes_claim(ring, sizeof(h) + bytes);

	if (to == NULL)
		return;
	h.bytes = (uint32_t)sizeof(h) + bytes;
	if (argument & 0x80 && bytes >= sizeof(h))
		memcpy(&h, block, sizeof(h));
	aim(&h, block, bytes);
	memcpy(to, &h, sizeof(h));
	memcpy(to + sizeof(h), block, bytes);
	mr_bytes_push(ring, sizeof(h) + bytes);
	(void)mr_bytes_publish(ring);
}

/* Control's packets for the port, whose records are not trusted. */
static void send_exception(struct input *in, unsigned worker, uint8_t argument)
{
	struct mr_exception_ring *x = &r.workers[worker]->exception;
	struct mr_bytes_producer ring;
	uint8_t block[512];
	uint32_t bytes = take_block(in, block, sizeof(block));
	struct mrf_exception_header h = {.bytes = bytes};
	uint8_t *to;

	if (!x->open)
		return;
	mr_bytes_producer_init(
		&ring, x->channel.down_shared, x->channel.down_map, x->channel.down_bytes);
	to = mr_bytes_claim(&ring, sizeof(h) + bytes);
	if (to == NULL)
		return;
	if (argument & 0x40 && bytes >= sizeof(h))
		memcpy(&h, block, sizeof(h));
	memcpy(to, &h, sizeof(h));
	memcpy(to + sizeof(h), block, bytes);
	mr_bytes_push(&ring, sizeof(h) + bytes);
	(void)mr_bytes_publish(&ring);
}

static void step(struct input *in, bool *starved)
{
	uint8_t operation = take_byte(in), argument = take_byte(in);
	unsigned worker = operation >> 7;

	/* The test's own packets need buffers, too. */
	if (*starved && (operation & 7) != 4)
		mr_rig_feed(&r);
	switch (operation & 7) {
	case 0: send_raw(in, worker, argument); break;
	case 1: send_payload(in, worker, argument); break;
	case 2: send_frame(in, worker, argument, false, false); break;
	case 3: send_frame(in, worker, argument, true, false); break;
	case 4: mr_rig_wait_ms(&r, argument * 20u); break;
	case 5: *starved = !*starved; break;
	case 6:
		if (operation & 0x40)
			send_exception(in, worker, argument);
		else
			send_control(in, worker, argument);
		break;
	case 7: send_frame(in, worker, argument, false, true); break;
	}
	if (*starved)
		mr_rig_starve(&r, 0);
	rounds();
}

/* Every packet is in at least one counter. */
static void check_counts(void)
{
	uint64_t packets = 0, counted = 0;

	for (unsigned i = 0; i < 2; i++) {
		const struct mrf_worker_stats *s = &r.stats[i];

		packets += r.port_stats[i].rx_packets;
		counted +=
			s->frames_rx + s->neighbours_answered + s->echoes_answered +
			s->hellos_retried + s->hellos_taken + s->closes_sent + s->drop_not_ip +
			s->drop_bad_ip + s->drop_ip_options + s->drop_not_ours + s->drop_bad_udp +
			s->drop_bad_frame + s->drop_bad_frame_length + s->drop_no_session +
			s->drop_wrong_path + s->drop_wrong_mac + s->drop_duplicate_frame +
			s->drop_pass_full + s->drop_bad_hello + s->drop_hello_again + s->drop_rate +
			s->drop_no_buffer + s->drop_handoff_full + s->drop_reliable_again +
			s->drop_reliable_window + s->bad_acks + r.port_stats[i].exception_in +
			r.port_stats[i].drop_exception_rate + r.port_stats[i].drop_exception_full;
	}
	expect(counted >= packets);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input in = {data, size};
	bool starved = false;

	open_all();
	if (size % 2 != 0)
		open_exceptions();
	while (in.left > 0)
		step(&in, &starved);
	check_counts();
	for (unsigned worker = 0; worker < 2; worker++) {
		mr_worker_udp_sessions_stop(r.workers[worker]);
		drain(worker);
	}
	close(local.liveness_fd);
	mr_rig_close(&r);
	return 0;
}
