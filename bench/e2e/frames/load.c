/* SPDX-License-Identifier: Apache-2.0 */
#include "bench/e2e/frames/load.h"

#include <errno.h>

#include <rte_mbuf.h>

#include "bench/micro/support/bench.h"

#define ROUNDS_A_LOOK 8u /* rounds between two looks at the clock */
#define TAKE_BURSTS   2u /* receive bursts for each one sent: deliveries may be many */
#define PATTERN       0xa5

static int open_buffers(struct gen_load *l)
{
	for (uint32_t i = 0; i < GEN_BURST; i++) {
		l->buffers[i] = gen_port_new(&l->g->port);
		if (l->buffers[i] == NULL)
			return -ENOMEM;
	}
	return 0;
}

/* ---- frames */

static void fill(struct gen *g, struct gen_frame *f, struct rte_mbuf *buffer,
	const struct mr_message_plan *plan, uint32_t pack)
{
	const struct gen_headers *h = &g->headers;
	uint8_t *payload = gen_port_payload(buffer, h->count);

	gen_frame_open(f, payload, g->frame_bytes);
	while ((pack == 0 || f->messages < pack) && gen_frame_add(f, plan, 0))
		;
	gen_port_set(buffer, payload - h->count, gen_frame_close(f, h));
}

/* Fills all frames: those of the burst and the one to retransmit. */
static int fill_all(struct gen_load *l, const struct mr_message_plan *plan, uint32_t pack)
{
	struct gen *g = l->g;
	int error = open_buffers(l);

	g->again_buffer = gen_port_new(&g->port);
	if (error != 0 || g->again_buffer == NULL)
		return -ENOMEM;
	for (uint32_t i = 0; i < GEN_BURST; i++)
		fill(g, &l->frames[i], l->buffers[i], plan, pack);
	fill(g, &g->again, g->again_buffer, plan, pack);
	l->per_frame = g->again.messages;
	l->packet_bytes = g->headers.count + g->again.bytes;
	return pack > l->per_frame ? -EMSGSIZE : 0;
}

int gen_load_init(struct gen_load *l, struct gen *g, uint32_t size, uint32_t pack, uint32_t first,
	uint32_t publishers, uint32_t subscribers)
{
	static uint8_t payload[MR_FRAME_BYTES_MAX];
	struct mr_message_plan plan;

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
	if (g->flows.all != NULL)
		plan.header |= (uint64_t)MRF_MESSAGE_FLAG_HIGH << 24; /* promised at least once */
	return fill_all(l, &plan, pack);
}

/* Returns the next publisher that is open and has room; NULL: none has. */
static struct gen_session *next_publisher(struct gen_load *l)
{
	bool any = false;

	for (uint32_t n = 0; n < l->publishers; n++) {
		struct gen_session *s = &l->g->sessions[l->publisher_first + l->turn];

		l->turn = l->turn + 1 == l->publishers ? 0 : l->turn + 1;
		any |= s->id != 0;
		if (mr_likely(s->id != 0 && gen_flow_has_room(s)))
			return s;
	}
	bench_check(any ? 0 : -ECONNRESET, "every publisher");
	return NULL;
}

static void stamp_frames(struct gen_load *l, uint64_t now)
{
	struct gen *g = l->g;
	uint32_t i;

	for (i = 0; i < GEN_BURST; i++) {
		struct gen_session *s = next_publisher(l);
		struct mrf_frame_header h;

		if (s == NULL)
			break;
		/* Seldom true: the bus knows a subject by one alias. */
		if (mr_unlikely(s->alias != l->frames[i].target))
			gen_frame_aim(&l->frames[i], s->alias, &g->headers);
		h = gen_flow_head(g, s, true);
		gen_frame_stamp(&l->frames[i], gen_udp_port(g, s), &h);
		s->last_tx = now;
	}
	l->stamped_to = i;
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

/* Messages, or packets, that should come back for each one sent. */
static uint64_t back(const struct gen_load *l)
{
	if (l->publishers == 0)
		return l->back;
	return l->subscribers > 1 ? l->g->counts.messages / l->subscribers : l->g->counts.messages;
}

static void send_stamped(struct gen_load *l)
{
	uint32_t sent = gen_port_send(
		&l->g->port, &l->buffers[l->stamped_from], l->stamped_to - l->stamped_from);

	l->stamped_from += sent;
	l->frames_sent += sent;
	l->pace.sent += (uint64_t)sent * l->per_frame;
}

static void send(struct gen_load *l, uint64_t now)
{
	uint32_t left = l->stamped_to - l->stamped_from;
	uint32_t wanted = left > 0 ? left : GEN_BURST;

	if (!gen_pace_allows(&l->pace, (uint64_t)wanted * l->per_frame, back(l), now))
		return;
	if (left == 0) {
		l->stamped_from = 0;
		l->stamped_to = GEN_BURST;
		if (l->publishers > 0)
			stamp_frames(l, now);
	}
	if (l->stamped_from < l->stamped_to)
		send_stamped(l);
}

void gen_load_run(struct gen_load *l, uint64_t until)
{
	uint64_t now;

	do {
		now = bench_cycles();
		for (uint32_t i = 0; i < ROUNDS_A_LOOK; i++) {
			send(l, now);
			for (uint32_t n = 0; n < TAKE_BURSTS; n++) {
				uint32_t taken = take(l);

				gen_flows_run(l->g);
				if (taken < GEN_BURST)
					break;
			}
		}
		if (l->publishers > 0)
			gen_look(l->g, now);
	} while (now < until);
}

uint64_t gen_load_missing(const struct gen_load *l)
{
	uint64_t all = l->frames_sent * l->per_frame * l->subscribers;
	uint64_t came = l->g->counts.messages;

	return all > came ? all - came : came - all;
}

static bool is_settled(const struct gen_load *l)
{
	return l->g->flows.all != NULL && l->stamped_from == l->stamped_to &&
	       gen_load_missing(l) == 0 && gen_flows_drained(l->g);
}

void gen_load_drain(struct gen_load *l, uint64_t ms)
{
	uint64_t now = bench_cycles(), end = now + gen_cycles_ms(l->g, ms);
	uint64_t missing = gen_load_missing(l);

	for (; now < end && !is_settled(l); now = bench_cycles()) {
		if (l->stamped_from < l->stamped_to)
			send_stamped(l);
		(void)take(l);
		gen_flows_run(l->g);
		if (l->g->flows.all != NULL && gen_load_missing(l) != missing) {
			missing = gen_load_missing(l);
			end = now + gen_cycles_ms(l->g, ms);
		}
		if (l->publishers > 0)
			gen_look(l->g, now);
	}
}
