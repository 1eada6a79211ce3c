/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/sim/bus.h"

#include <stdlib.h>
#include <string.h>

#include "flatbuf/wire.h"
#include "tests/sim/bus_bind.h"
#include "tests/sim/bus_far.h"
#include "tests/sim/cover.h"
#include "tests/sim/net.h"
#include "tests/sim/world.h"

#define HEAD_BYTES   sizeof(struct mrf_frame_header)
#define HEARTBEAT_NS (BUS_HEARTBEAT_MS * WORLD_MS)
#define COOKIE       0xc00c1ull
#define SOON_NS      5000u

struct bus bus;

uint64_t bus_now_ms(void)
{
	return world_now_ns() / WORLD_MS;
}

uint64_t bus_queues_ms(void)
{
	return bus_now_ms() - mr_queues_lost_ms(bus.queues);
}

uint64_t bus_unix_ms(void)
{
	return WORLD_UNIX_MS + bus_now_ms() + (uint64_t)bus.clock_ms;
}

struct bus_session *bus_session_of(uint64_t id)
{
	struct bus_session *s = &bus.sessions[mr_session_slot(id) % BUS_SESSIONS_MAX];

	return s->open && s->id == id ? s : NULL;
}

static uint8_t *log_of(struct bus_session *s, uint32_t sequence)
{
	return s->memory + (size_t)(sequence % BUS_FRAMES) * BUS_FRAME_BYTES;
}

static uint8_t *slot_of(struct bus_session *s, uint32_t sequence)
{
	return log_of(s, sequence) + (size_t)BUS_FRAMES * BUS_FRAME_BYTES;
}

static void drain(struct bus_session *s);

/* Takes what it has acknowledged first. */
static void end_session(struct bus_session *s)
{
	if (s->ends)
		return;
	s->ends = true;
	world_trace("bus: session %u ends", mr_session_slot(s->id));
	drain(s);
	while (s->first != NULL) {
		struct bus_message *m = s->first;

		s->first = m->next;
		free(m);
	}
	free(s->memory);
	*s = (struct bus_session){0};
}

static void transmit(struct bus_session *s, const void *frame, size_t bytes)
{
	s->sent_ns = world_now_ns();
	net_send_to(s->port, frame, bytes);
}

/* Sends a frame with one message of control, padded to `fill` bytes if that is not 0. */
static void send_control(uint16_t port, uint64_t session, uint32_t sequence,
	enum mrf_message_kind kind, const void *payload, uint32_t bytes, uint32_t fill)
{
	alignas(8) uint8_t frame[BUS_FRAME_BYTES] = {0};
	struct mrf_message_header padding = {.kind = MRF_MESSAGE_KIND_PADDING};
	uint32_t at = HEAD_BYTES + mr_message_stride(mr_message_bytes(false, 0, 0, bytes));
	uint8_t *to = mr_message_begin(frame + HEAD_BYTES, kind, 0, NULL, 0, 0, bytes);

	if (bytes > 0)
		memcpy(to, payload, bytes);
	if (at + 8 <= fill) {
		padding.bytes = (uint16_t)(fill - at);
		memcpy(frame + at, &padding, sizeof(padding));
	}
	mr_frame_write(frame, session, sequence, at + 8 <= fill ? 2 : 1);
	net_send_to(port, frame, at + 8 <= fill ? fill : at);
}

static void welcome(const struct bus_session *s)
{
	const struct mrf_welcome w = {
		.nonce = s->nonce,
		.session = s->id,
		.secret = 1,
		.frame_bytes = BUS_FRAME_BYTES,
		.heartbeat_ms = BUS_HEARTBEAT_MS,
		.missed_max = BUS_MISSED_MAX,
		.server_version = mrf_str("sim"),
		.credit = 8,
		.message_bytes_max = 1u << 20,
	};
	uint64_t memory[64];
	struct mrf_builder b;
	struct mrf_client_message m = {.body_type = MRF_CLIENT_BODY_WELCOME};
	const void *data;
	size_t bytes;

	mrf_builder_init(&b, memory, sizeof(memory));
	m.body = mrf_welcome_write(&b, &w);
	if (mrf_builder_finish(&b, mrf_client_message_write(&b, &m), &data, &bytes) != 0)
		world_fail("welcome");
	send_control(s->port, s->id, s->sequence, MRF_MESSAGE_KIND_CONTROL, data, (uint32_t)bytes,
		BUS_FRAME_BYTES);
}

static struct bus_session *by_port(uint16_t port)
{
	for (unsigned i = 0; i < BUS_SESSIONS_MAX; i++)
		if (bus.sessions[i].open && bus.sessions[i].port == port)
			return &bus.sessions[i];
	return NULL;
}

static struct bus_session *new_session(uint16_t port, uint64_t nonce)
{
	unsigned i = 0;
	struct bus_session *s;

	while (i < BUS_SESSIONS_MAX && bus.sessions[i].open)
		i++;
	if (i == BUS_SESSIONS_MAX)
		return NULL;
	s = &bus.sessions[i];
	*s = (struct bus_session){
		.open = true, .port = port, .nonce = nonce, .heard_ns = world_now_ns()};
	s->id = mr_session_id(0, i, ++bus.generation);
	s->end = &s->first;
	s->window = mr_frame_window_first();
	s->memory = malloc(2 * (size_t)BUS_FRAMES * BUS_FRAME_BYTES);
	if (s->memory == NULL)
		world_fail("no memory");
	mr_reliable_tx_init(&s->tx, s->frames, BUS_FRAMES, 0);
	mr_reliable_rx_init(&s->rx, BUS_FRAMES, 8);
	world_trace("bus: session %u opens", i);
	return s;
}

static void hello(uint16_t port, const uint8_t *at, size_t bytes)
{
	struct mrf_message_header h = mr_message_header_load(at + HEAD_BYTES);
	struct mrf_hello_head head;
	struct mrf_hello_retry retry;
	struct bus_session *s = by_port(port);

	if (h.kind != MRF_MESSAGE_KIND_HELLO || bytes < HEAD_BYTES + sizeof(h) + sizeof(head))
		world_fail("a frame of session 0 without a hello");
	head = mrf_hello_head_read(at + HEAD_BYTES + sizeof(h));
	retry = (struct mrf_hello_retry){head.nonce, COOKIE};
	if (head.cookie != COOKIE) {
		send_control(
			port, 0, 0, MRF_MESSAGE_KIND_RETRY, &retry, (uint32_t)sizeof(retry), 0);
		return;
	}
	if (s != NULL && s->nonce != head.nonce) {
		end_session(s);
		s = NULL;
	}
	if (s == NULL)
		s = new_session(port, head.nonce);
	if (s == NULL)
		return;
	s->sequence++;
	welcome(s);
}

/* True: the session goes on, and all messages from *taken_to on were taken. False otherwise; then
 * *taken_to is where it goes on, if the session does. */
static bool take_messages(
	struct bus_session *s, const uint8_t *from, uint32_t bytes, uint32_t *taken_to)
{
	uint64_t id = s->id;
	const uint8_t *at = from + *taken_to, *end = from + bytes;

	while (at < end) {
		struct mrf_message_header h = mr_message_header_load(at);
		struct mr_message_view m;

		*taken_to = (uint32_t)(at - from);
		if (!mr_message_fits(&h, (size_t)(end - at)) || !mr_message_parse(at, h, &m))
			world_fail("a client sent a message that makes no sense");
		if (h.kind == MRF_MESSAGE_KIND_CLOSE) {
			end_session(s);
			return false;
		}
		if (h.kind != MRF_MESSAGE_KIND_PADDING && !bus_take(s, &m))
			return false;
		if (bus_session_of(id) == NULL)
			return false;
		at += mr_message_stride(h.bytes);
	}
	*taken_to = 0;
	return true;
}

static void drain(struct bus_session *s)
{
	while (mr_reliable_rx_waits(&s->rx)) {
		uint32_t sequence = s->rx.taken;

		uint64_t id = s->id;

		if (!take_messages(s, slot_of(s, sequence), s->kept_bytes[sequence % BUS_FRAMES],
			    &s->taken_to)) {
			if (bus_session_of(id) != NULL)
				s->waits = true;
			return;
		}
		s->waits = false;
		mr_reliable_rx_let_go(&s->rx);
	}
}

static void take_ack(struct bus_session *s, const uint8_t *at, size_t bytes,
	const struct mrf_frame_header *frame)
{
	uint64_t came[MR_RELIABLE_SACK_WORDS];
	int words = 0;

	if (frame->sequence == 0)
		words = mr_reliable_selective_ack(
			frame, at + HEAD_BYTES, (uint32_t)(bytes - HEAD_BYTES), came);
	if (words < 0 ||
		mr_reliable_tx_ack(&s->tx, frame->ack, frame->credit,
			frame->sequence == 0 ? came : NULL, (uint32_t)words, world_now_ns()) < 0)
		world_fail("a client acknowledged what was never sent");
	s->speaks = true;
}

static void keep(struct bus_session *s, const uint8_t *at, size_t bytes, uint32_t sequence)
{
	enum mr_reliable_order order = mr_reliable_rx_take(&s->rx, sequence);

	if (order == MR_RELIABLE_WINDOW)
		world_fail("a client sent a frame that it has no credit for");
	if (order == MR_RELIABLE_DUPLICATE)
		return;
	memcpy(slot_of(s, sequence), at + HEAD_BYTES, bytes - HEAD_BYTES);
	s->kept_bytes[sequence % BUS_FRAMES] = (uint32_t)(bytes - HEAD_BYTES);
	drain(s);
}

/* Nothing in it is promised, so nothing waits. */
static void take_unreliable(struct bus_session *s, const uint8_t *at, uint32_t bytes)
{
	uint64_t id = s->id;
	uint32_t taken_to = 0;

	if (!take_messages(s, at, bytes, &taken_to) && bus_session_of(id) != NULL && !s->ends)
		world_fail("a promised publish in the datagram flow");
}

static void take_frame(struct bus_session *s, const uint8_t *at, size_t bytes,
	const struct mrf_frame_header *frame)
{
	int64_t lost;

	s->heard_ns = world_now_ns();
	if (frame->flags & MRF_FRAME_FLAG_ACK)
		take_ack(s, at, bytes, frame);
	if (frame->flags & MRF_FRAME_FLAG_RELIABLE)
		keep(s, at, bytes, frame->sequence);
	else if (frame->sequence != 0 &&
		 mr_frame_take(&s->window, frame->sequence, &lost) != MR_FRAME_DUPLICATE)
		take_unreliable(s, at + HEAD_BYTES, (uint32_t)(bytes - HEAD_BYTES));
}

static void receive(uint16_t port, const uint8_t *at, size_t bytes)
{
	struct mrf_frame_header frame;
	struct bus_session *s;

	if (world_now_ns() < bus.frozen_until_ns)
		/* Its buffers are full of frames of others. */
		return;
	if (mr_frame_parse(at, bytes, &frame) != MR_FRAME_OK)
		world_fail("a client sent a frame that makes no sense");
	if (frame.session == 0) {
		hello(port, at, bytes);
	} else {
		s = bus_session_of(frame.session);
		if (s != NULL)
			take_frame(s, at, bytes, &frame);
		else
			send_control(port, frame.session, 0, MRF_MESSAGE_KIND_CLOSE, NULL, 0, 0);
	}
	bus_poke();
}

void bus_put(struct bus_session *s, const struct mr_message_plan *plan, uint32_t target)
{
	struct bus_message *m = calloc(1, sizeof(*m) + plan->stride);

	if (m == NULL)
		world_fail("no memory");
	mr_message_write(m->at, plan, target);
	m->bytes = plan->stride;
	s->waiting_bytes += m->bytes;
	*s->end = m;
	s->end = &m->next;
}

/* Fills a frame with as many messages as fit. */
static uint32_t fill(struct bus_session *s, uint8_t *frame, uint16_t *messages)
{
	uint32_t at = HEAD_BYTES;

	*messages = 0;
	while (s->first != NULL && at + s->first->bytes <= BUS_FRAME_BYTES) {
		struct bus_message *m = s->first;

		memcpy(frame + at, m->at, m->bytes);
		at += m->bytes;
		++*messages;
		s->waiting_bytes -= m->bytes;
		s->first = m->next;
		free(m);
	}
	if (s->first == NULL)
		s->end = &s->first;
	return at;
}

static void flush(struct bus_session *s)
{
	while (s->speaks && s->first != NULL && mr_reliable_tx_room(&s->tx) > 0) {
		uint8_t *frame = log_of(s, s->tx.next);
		uint16_t messages;
		uint32_t bytes = fill(s, frame, &messages), ack, credit, sequence;

		if (messages == 0)
			world_fail("a message of %u bytes for a frame", s->first->bytes);
		sequence = mr_reliable_tx_sent(&s->tx, 0, bytes, messages, world_now_ns());
		mr_reliable_rx_ack(&s->rx, BUS_FRAMES, &ack, &credit, NULL);
		mr_frame_write(frame, s->id, sequence, messages);
		mr_frame_write_reliable(frame);
		mr_frame_write_ack(frame, ack, credit);
		transmit(s, frame, bytes);
	}
}

static void acknowledge(struct bus_session *s)
{
	alignas(8) uint8_t frame[HEAD_BYTES + 8 + 8 * MR_RELIABLE_SACK_WORDS];
	uint64_t came[MR_RELIABLE_SACK_WORDS];
	uint32_t ack, credit, bytes = HEAD_BYTES;
	uint32_t words = mr_reliable_rx_ack(&s->rx, BUS_FRAMES, &ack, &credit, came);

	mr_frame_write(frame, s->id, 0, words > 0);
	mr_frame_write_ack(frame, ack, credit);
	if (words > 0) {
		memcpy(mr_message_begin(
			       frame + bytes, MRF_MESSAGE_KIND_ACK, 0, NULL, 0, 0, 8 * words),
			came, 8 * words);
		bytes += 8 + 8 * words;
	}
	transmit(s, frame, bytes);
}

static void retransmit(struct bus_session *s)
{
	const struct mr_reliable_frame *f;
	struct mrf_frame_header head;
	uint32_t sequence;
	bool timed_out;

	while ((f = mr_reliable_tx_retransmit(&s->tx, world_now_ns(), &sequence, &timed_out)) !=
		NULL)
		transmit(s, log_of(s, sequence), f->bytes);
	if (mr_reliable_tx_probe(&s->tx, world_now_ns(), &sequence)) {
		mr_frame_write(&head, s->id, sequence, 0);
		mr_frame_write_reliable(&head);
		transmit(s, &head, sizeof(head));
	}
}

static uint64_t earlier(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

/* Returns the time when it must run again. */
static uint64_t turn(struct bus_session *s)
{
	uint64_t now_ns = world_now_ns();
	struct mrf_frame_header head;

	if (now_ns - s->heard_ns >= BUS_MISSED_MAX * HEARTBEAT_NS) {
		end_session(s);
		return UINT64_MAX;
	}
	retransmit(s);
	flush(s);
	if (mr_reliable_rx_ack_due(&s->rx, 1))
		acknowledge(s);
	if (now_ns - s->sent_ns >= HEARTBEAT_NS) {
		mr_frame_write(&head, s->id, ++s->sequence, 0);
		transmit(s, &head, sizeof(head));
	}
	return earlier(mr_reliable_tx_due_ns(&s->tx), s->sent_ns + HEARTBEAT_NS);
}

/* Takes publishes that had to wait. */
static void take_waiting(void)
{
	for (unsigned i = 0; i < BUS_SESSIONS_MAX; i++)
		if (bus.sessions[i].open && bus.sessions[i].waits)
			drain(&bus.sessions[i]);
	bus_bind_watch();
}

static void kick(struct bus_session *s)
{
	send_control(s->port, s->id, ++s->sequence, MRF_MESSAGE_KIND_CLOSE, NULL, 0, 0);
	end_session(s);
}

static void round_of(void *arg, uint64_t at_ns);

static void plan(uint64_t at_ns)
{
	uint64_t runs_ns = earlier(bus.frozen_until_ns, bus.far_frozen_until_ns);

	at_ns = at_ns > runs_ns ? at_ns : runs_ns;
	if (at_ns <= world_now_ns())
		at_ns = world_now_ns() + 1;
	if (at_ns >= bus.round_ns)
		return;
	bus.round_ns = at_ns;
	world_at(at_ns, round_of, NULL, at_ns);
}

static uint64_t ns_of(uint64_t due_ms)
{
	return due_ms < UINT64_MAX / WORLD_MS ? due_ms * WORLD_MS : UINT64_MAX;
}

/* Does a round of the second worker; returns the time of its next one. */
static uint64_t far_round(void)
{
	bool more;

	if (!bus_far_runs())
		return bus.far_frozen_until_ns;
	bus_far_take_kept();
	more = bus_queues_round_far();
	return more ? world_now_ns() + SOON_NS
		    : earlier(ns_of(bus_queues_far_due_ms()), world_now_ns() + 50 * WORLD_MS);
}

static void round_of(void *arg, uint64_t at_ns)
{
	uint64_t due_ns, far_ns;
	bool more;

	(void)arg;
	if (at_ns != bus.round_ns || bus.queues == NULL)
		/* An earlier round is planned. */
		return;
	bus.round_ns = UINT64_MAX;
	far_ns = far_round();
	if (world_now_ns() < bus.frozen_until_ns) {
		plan(earlier(bus.frozen_until_ns, far_ns));
		return;
	}
	bus.rounds++;
	if (bus_session_of(bus.kick) != NULL)
		kick(bus_session_of(bus.kick));
	bus.kick = 0;
	more = bus_queues_round();
	take_waiting();
	due_ns = earlier(ns_of(bus_queues_due_ms()), far_ns);
	for (unsigned i = 0; i < BUS_SESSIONS_MAX; i++)
		if (bus.sessions[i].open)
			due_ns = earlier(due_ns, turn(&bus.sessions[i]));
	plan(more ? world_now_ns() + SOON_NS : earlier(due_ns, world_now_ns() + 50 * WORLD_MS));
}

void bus_poke(void)
{
	plan(world_now_ns() + SOON_NS);
}

void bus_open(const struct bus_settings *s)
{
	bus = (struct bus){.round_ns = UINT64_MAX};
	bus_bind_open();
	bus_far_open();
	bus_queues_open(s);
	net_to_bus = receive;
	bus_poke();
}

void bus_close(void)
{
	net_to_bus = NULL;
	for (unsigned i = 0; i < BUS_SESSIONS_MAX; i++)
		if (bus.sessions[i].open)
			end_session(&bus.sessions[i]);
	bus_far_close();
	bus_queues_close();
}

/* While the first worker stands still, no client can be heard. */
void bus_freeze_near(uint64_t until_ns)
{
	uint64_t ns = until_ns - world_now_ns();

	world_trace("bus: stands still for %u ms", (unsigned)(ns / WORLD_MS));
	bus.frozen_until_ns = until_ns;
	for (unsigned i = 0; i < BUS_SESSIONS_MAX; i++)
		bus.sessions[i].heard_ns += ns;
	plan(until_ns);
}

void bus_freeze_far(uint64_t until_ns)
{
	world_trace("bus: its second worker stands still for %u ms",
		(unsigned)((until_ns - world_now_ns()) / WORLD_MS));
	bus.far_frozen_until_ns = until_ns;
	plan(until_ns);
}

void bus_freeze(uint64_t until_ns)
{
	bus_freeze_near(until_ns);
	bus_freeze_far(until_ns);
}

void bus_kill_control(uint64_t until_ns)
{
	world_trace("bus: control is killed");
	bus.control_dead_until_ns = until_ns;
}

void bus_kick(uint32_t index)
{
	for (unsigned i = 0; i < BUS_SESSIONS_MAX; i++) {
		struct bus_session *s = &bus.sessions[i];

		if (!s->open || index-- > 0)
			continue;
		kick(s);
		return;
	}
}
