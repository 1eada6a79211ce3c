/* SPDX-License-Identifier: Apache-2.0 */
#include "bench/e2e/frames/load.h"

#include <errno.h>

#include <rte_mbuf.h>

#include "bench/micro/support/bench.h"

#define ROUNDS_A_LOOK 8u /* between looks at the clock */
#define TAKE_BURSTS   2u /* for each that is sent: deliveries may be many */
#define PATTERN       0xa5

static int open_buffers(struct gen_load *l)
{
	for (uint32_t i = 0; i < GEN_BURST; i++) {
		l->buffers[i] = gen_port_new(&l->g->port);
		if (l->buffers[i] == NULL)
			return -ENOMEM;
	}
	l->stamped_from = GEN_BURST;
	return 0;
}

/* ---- frames */

static void fill(struct gen_load *l, uint32_t i, const struct mr_message_plan *plan, uint32_t pack)
{
	const struct gen_headers *h = &l->g->headers;
	uint8_t *payload = gen_port_payload(l->buffers[i], h->count);
	struct gen_frame *f = &l->frames[i];
	uint32_t bytes;

	gen_frame_open(f, payload, l->g->frame_bytes);
	while ((pack == 0 || f->messages < pack) && gen_frame_add(f, plan, 0))
		;
	bytes = gen_frame_close(f, h);
	gen_port_set(l->buffers[i], payload - h->count, bytes);
	l->per_frame = f->messages;
	l->packet_bytes = bytes;
}

int gen_load_init(struct gen_load *l, struct gen *g, uint32_t size, uint32_t pack, uint32_t first,
	uint32_t publishers, uint32_t subscribers)
{
	static uint8_t payload[MR_FRAME_BYTES_MAX];
	struct mr_message_plan plan;
	int error;

	*l = (struct gen_load){
		.g = g,
		.publisher_first = first,
		.publishers = publishers,
		.subscribers = subscribers,
	};
	if (size + sizeof(struct mrf_message_header) > MR_FRAME_ROOM(g->frame_bytes))
		return -EMSGSIZE;
	memset(payload, PATTERN, size);
	plan = mr_message_plan(MRF_MESSAGE_KIND_PUBLISH, NULL, NULL, 0, payload, 0, size);
	error = open_buffers(l);
	for (uint32_t i = 0; error == 0 && i < GEN_BURST; i++)
		fill(l, i, &plan, pack);
	return error == 0 && pack > l->per_frame ? -EMSGSIZE : error;
}

/* The messages of a frame go to one alias, which seldom changes: the bus knows a subject by one. */
static void retarget(struct gen_load *l, uint32_t i, uint32_t alias)
{
	struct gen_frame *f = &l->frames[i];
	uint32_t stride = (f->bytes - (uint32_t)sizeof(struct mrf_frame_header)) / f->messages;
	uint8_t *at = f->payload + sizeof(struct mrf_frame_header);

	for (uint32_t n = 0; n < f->messages; n++, at += stride)
		memcpy(at + offsetof(struct mrf_message_header, target), &alias, sizeof(alias));
	(void)gen_frame_close(f, &l->g->headers);
	l->aliases[i] = alias;
}

/* The next that is open. */
static struct gen_session *next_publisher(struct gen_load *l)
{
	for (uint32_t n = 0; n < l->publishers; n++) {
		struct gen_session *s = &l->g->sessions[l->publisher_first + l->turn];

		l->turn = l->turn + 1 == l->publishers ? 0 : l->turn + 1;
		if (mr_likely(s->id != 0))
			return s;
	}
	bench_check(-ECONNRESET, "every publisher");
	return NULL;
}

static void stamp_frames(struct gen_load *l, uint64_t now)
{
	for (uint32_t i = 0; i < GEN_BURST; i++) {
		struct gen_session *s = next_publisher(l);

		if (mr_unlikely(s->alias != l->aliases[i]))
			retarget(l, i, s->alias);
		gen_frame_stamp(&l->frames[i], gen_udp_port(l->g, s), s->id, gen_next_sequence(s));
		s->last_tx = now;
	}
}

/* ---- blast */

int gen_load_blast(struct gen_load *l, struct gen *g, uint32_t size)
{
	uint32_t bytes = size - g->headers.count;
	int error;

	*l = (struct gen_load){.g = g, .per_frame = 1, .packet_bytes = size};
	error = open_buffers(l);
	for (uint32_t i = 0; error == 0 && i < GEN_BURST; i++) {
		uint8_t *payload = gen_port_payload(l->buffers[i], g->headers.count);

		memset(payload, PATTERN, bytes);
		gen_datagram_stamp(payload, (uint16_t)(GEN_UDP_PORT_FIRST + i),
			gen_datagram_close(payload, bytes, &g->headers));
		gen_port_set(l->buffers[i], payload - g->headers.count, size);
	}
	return error;
}

static uint32_t take_back(struct gen_load *l)
{
	struct rte_mbuf *burst[GEN_BURST];
	uint32_t n = gen_port_receive(&l->g->port, burst);

	for (uint32_t i = 0; i < n; i++)
		l->back_wrong += burst[i]->pkt_len != l->packet_bytes;
	l->back += n;
	gen_port_free(burst, n);
	return n;
}

/* ---- both */

void gen_load_pace(struct gen_load *l, double rate, uint64_t window)
{
	l->pace = gen_pace_first(rate / 1e9 / l->g->cycles_per_ns, window,
		gen_cycles_ms(l->g, GEN_PATIENCE_MS), bench_cycles());
}

static uint32_t take(struct gen_load *l)
{
	return l->publishers > 0 ? gen_receive(l->g) : take_back(l);
}

/* Messages, or packets, that came back, for each one sent. */
static uint64_t back(const struct gen_load *l)
{
	if (l->publishers == 0)
		return l->back;
	return l->subscribers > 1 ? l->g->counts.messages / l->subscribers : l->g->counts.messages;
}

static void send_stamped(struct gen_load *l)
{
	uint32_t sent = gen_port_send(
		&l->g->port, &l->buffers[l->stamped_from], GEN_BURST - l->stamped_from);

	l->stamped_from += sent;
	l->frames_sent += sent;
	l->pace.sent += (uint64_t)sent * l->per_frame;
}

static void send(struct gen_load *l, uint64_t now)
{
	uint32_t wanted = l->stamped_from == GEN_BURST ? GEN_BURST : GEN_BURST - l->stamped_from;

	if (!gen_pace_allows(&l->pace, (uint64_t)wanted * l->per_frame, back(l), now))
		return;
	if (l->stamped_from == GEN_BURST) {
		if (l->publishers > 0)
			stamp_frames(l, now);
		l->stamped_from = 0;
	}
	send_stamped(l);
}

void gen_load_run(struct gen_load *l, uint64_t until)
{
	uint64_t now;

	do {
		now = bench_cycles();
		for (uint32_t i = 0; i < ROUNDS_A_LOOK; i++) {
			send(l, now);
			for (uint32_t n = 0; n < TAKE_BURSTS; n++)
				if (take(l) < GEN_BURST)
					break;
		}
		if (l->publishers > 0)
			gen_look(l->g, now);
	} while (now < until);
}

void gen_load_drain(struct gen_load *l, uint64_t ms)
{
	uint64_t end = bench_cycles() + gen_cycles_ms(l->g, ms);

	while (bench_cycles() < end) {
		if (l->stamped_from < GEN_BURST)
			send_stamped(l);
		(void)take(l);
	}
}
