/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/client/fake_reliable.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "tests/unit/client/fake_bus.h"

static uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static uint8_t *log_of(struct fake_reliable *r, uint32_t sequence)
{
	return r->memory + (size_t)(sequence % FAKE_RELIABLE_FRAMES) * MR_FRAME_BYTES_MAX;
}

static uint8_t *slot_of(struct fake_reliable *r, uint32_t sequence)
{
	return log_of(r, sequence) + (size_t)FAKE_RELIABLE_FRAMES * MR_FRAME_BYTES_MAX;
}

void fake_reliable_open(struct bus_session *s, uint32_t credit)
{
	struct fake_reliable *r = &s->udp.reliable;

	r->on = false;
	if (r->memory == NULL && credit > 0)
		r->memory = malloc(2 * (size_t)FAKE_RELIABLE_FRAMES * MR_FRAME_BYTES_MAX);
	mr_reliable_tx_init(&r->tx, r->frames, FAKE_RELIABLE_FRAMES, 0);
	mr_reliable_rx_init(&r->rx, FAKE_RELIABLE_FRAMES, credit);
}

void fake_reliable_close(struct bus_session *s)
{
	free(s->udp.reliable.memory);
	s->udp.reliable.memory = NULL;
	s->udp.reliable.on = false;
}

bool fake_reliable_has_room(const struct bus_session *s)
{
	return mr_reliable_tx_room(&s->udp.reliable.tx) > 0;
}

bool fake_reliable_is_out(const struct bus_session *s)
{
	return s->udp.reliable.on && !mr_reliable_tx_drained(&s->udp.reliable.tx);
}

static uint32_t slots_of(const struct bus *b, const struct fake_reliable *r)
{
	return b->udp.hold_reliable ? 0 : r->rx.slots;
}

void fake_reliable_send(
	struct bus *b, struct bus_session *s, uint8_t *frame, uint32_t bytes, uint16_t messages)
{
	struct fake_reliable *r = &s->udp.reliable;
	uint32_t ack, credit;
	uint32_t sequence = mr_reliable_tx_sent(&r->tx, 0, bytes, messages, now_ns());

	mr_reliable_rx_ack(&r->rx, slots_of(b, r), &ack, &credit, NULL);
	mr_frame_write(frame, s->id, sequence, messages);
	mr_frame_write_reliable(frame);
	mr_frame_write_ack(frame, ack, credit);
	memcpy(log_of(r, sequence), frame, bytes);
	fake_udp_send(b, s, frame, bytes);
}

static void take_acks(struct bus *b, struct fake_reliable *r, const uint8_t *at,
	const struct mrf_frame_header *frame)
{
	struct mrf_message_header h = {0};
	uint64_t came[MR_RELIABLE_SACK_WORDS];
	uint32_t words = 0;

	if (frame->messages > 0)
		h = mr_message_header_load(at + sizeof(*frame));
	if (h.kind == MRF_MESSAGE_KIND_ACK) {
		words = (uint32_t)((h.bytes - sizeof(h)) / sizeof(came[0]));
		memcpy(came, at + sizeof(*frame) + sizeof(h), words * sizeof(came[0]));
		b->udp.acks_selective++;
	}
	if (mr_reliable_tx_ack(&r->tx, frame->ack, frame->credit,
		    frame->sequence == 0 ? came : NULL, words, now_ns()) < 0)
		b->bad++;
	r->on = true;
}

static void drain(struct bus *b, struct bus_session *s)
{
	struct fake_reliable *r = &s->udp.reliable;

	while (!b->udp.hold_reliable && mr_reliable_rx_waits(&r->rx)) {
		uint32_t bytes = r->kept_bytes[r->rx.taken % FAKE_RELIABLE_FRAMES];

		if (mr_bytes_room(&s->udp.in, bytes) < bytes)
			return;
		fake_udp_messages(b, s, slot_of(r, r->rx.taken), bytes);
		mr_reliable_rx_let_go(&r->rx);
	}
}

static void take_reliable(struct bus *b, struct bus_session *s, const uint8_t *at, size_t bytes,
	const struct mrf_frame_header *frame)
{
	struct fake_reliable *r = &s->udp.reliable;

	switch (mr_reliable_rx_take(&r->rx, frame->sequence)) {
	case MR_RELIABLE_NEXT:
	case MR_RELIABLE_EARLY:
		memcpy(slot_of(r, frame->sequence), at, bytes);
		r->kept_bytes[frame->sequence % FAKE_RELIABLE_FRAMES] = (uint32_t)bytes;
		b->udp.reliable_frames++;
		drain(b, s);
		break;
	case MR_RELIABLE_DUPLICATE: b->udp.duplicates++; break;
	default: b->bad++;
	}
}

void fake_reliable_take(struct bus *b, struct bus_session *s, const uint8_t *at, size_t bytes,
	const struct mrf_frame_header *frame)
{
	if (s->udp.reliable.memory == NULL) {
		b->bad++;
		return;
	}
	if (frame->flags & MRF_FRAME_FLAG_ACK)
		take_acks(b, &s->udp.reliable, at, frame);
	if (frame->flags & MRF_FRAME_FLAG_RELIABLE)
		take_reliable(b, s, at, bytes, frame);
}

static void send_ack(struct bus *b, struct bus_session *s)
{
	struct fake_reliable *r = &s->udp.reliable;
	alignas(8) uint8_t frame[sizeof(struct mrf_frame_header) + 8 + 8 * MR_RELIABLE_SACK_WORDS];
	uint64_t came[MR_RELIABLE_SACK_WORDS];
	uint32_t ack, credit, bytes = sizeof(struct mrf_frame_header);
	uint32_t words = mr_reliable_rx_ack(&r->rx, slots_of(b, r), &ack, &credit, came);

	mr_frame_write(frame, s->id, 0, words > 0);
	mr_frame_write_ack(frame, ack, credit);
	if (words > 0) {
		memcpy(mr_message_begin(
			       frame + bytes, MRF_MESSAGE_KIND_ACK, 0, NULL, 0, 0, 8 * words),
			came, 8 * words);
		bytes += 8 + 8 * words;
	}
	fake_udp_send(b, s, frame, bytes);
}

void fake_reliable_turn(struct bus *b, struct bus_session *s)
{
	struct fake_reliable *r = &s->udp.reliable;
	const struct mr_reliable_frame *f;
	uint32_t sequence;
	bool timed_out;

	if (r->memory == NULL)
		return;
	drain(b, s);
	while ((f = mr_reliable_tx_retransmit(&r->tx, now_ns(), &sequence, &timed_out)) != NULL) {
		b->udp.retransmits++;
		fake_udp_send(b, s, log_of(r, sequence), f->bytes);
	}
	if (mr_reliable_tx_probe(&r->tx, now_ns(), &sequence)) {
		struct mrf_frame_header probe;

		mr_frame_write(&probe, s->id, sequence, 0);
		mr_frame_write_reliable(&probe);
		fake_udp_send(b, s, &probe, sizeof(probe));
	}
	if (mr_reliable_rx_ack_due(&r->rx, 1))
		send_ack(b, s);
}
