/* SPDX-License-Identifier: Apache-2.0 */
/* reliable: the reliable flow of a session, both ways. It applies the decisions of
 * lib/wire/reliable.h to rings, slots and the socket. */
#include <stdlib.h>
#include <string.h>

#include "client/transport/udp/udp.h"

/* Upper bound of the socket-buffer memory that the kernel charges for a frame: at most twice its
 * size, as allocations are rounded up, and the kernel's own record. */
#define KERNEL_BYTES(frame_bytes) (2 * (frame_bytes) + 768)

static uint32_t power_of_two_below(uint32_t most)
{
	uint32_t n = MR_UDP_SLOTS_MIN;

	while (2 * n <= most && n < MR_RELIABLE_WINDOW_MAX)
		n *= 2;
	return n;
}

/* Returns how many frames this side takes without being looked at: as many as fit the socket's
 * buffer, up to a limit of our own. */
static uint32_t slots_count(const struct mr_udp *u, int fd)
{
	int buffer = 0;
	socklen_t bytes = sizeof(buffer);
	uint32_t ours = MR_UDP_SLOTS_BYTES_MAX / u->frame_bytes, kernels;

	getsockopt(fd, SOL_SOCKET, SO_RCVBUF, &buffer, &bytes);
	kernels = (uint32_t)buffer / KERNEL_BYTES(u->frame_bytes);
	return power_of_two_below(ours < kernels ? ours : kernels);
}

static int rings_open(struct mr_udp_reliable *r)
{
	static const struct mr_worker_page always = {.asleep = 1};
	struct mr_bytes_producer down_in;
	struct mr_bytes_consumer down_out;
	int error = 0;

	/* The other direction is not used. */
	if (r->ring.header_map == NULL)
		error = mr_channel_new_private(
			&r->ring, MR_UDP_LOG_BYTES, MR_CHANNEL_RING_BYTES_MIN);
	if (error != 0)
		return error;
	memset(r->ring.up_shared, 0, sizeof(*r->ring.up_shared));
	mr_channel_worker_side(&r->ring, &r->log, &down_in);
	mr_channel_peer_side(&r->ring, &always, &r->up, &down_out);
	r->sent = r->log.head;
	return 0;
}

static int slots_open(struct mr_udp *u, int fd)
{
	struct mr_udp_reliable *r = &u->reliable;
	uint32_t count = slots_count(u, fd);

	free(r->slots);
	r->slot_bytes = u->frame_bytes;
	r->slots = malloc((size_t)count * r->slot_bytes);
	if (r->slots == NULL)
		return -ENOMEM;
	mr_reliable_rx_init(&r->rx, count, 0);
	return 0;
}

int mr_udp_reliable_open(struct mr_client *c, int fd, uint32_t credit)
{
	struct mr_udp_reliable *r = &c->udp->reliable;
	int error;

	r->on = credit > 0;
	mr_reliable_tx_init(&r->tx, r->frames, MR_RELIABLE_WINDOW_MAX, credit);
	if (!r->on) {
		c->promised = &c->up;
		return 0;
	}
	error = rings_open(r);
	if (error == 0)
		error = slots_open(c->udp, fd);
	if (error == 0)
		c->promised = &r->up;
	return error;
}

void mr_udp_reliable_fini(struct mr_udp *u)
{
	mr_channel_close(&u->reliable.ring);
	free(u->reliable.slots);
}

/* To the bus. */

/* Returns the number of words of the SelectiveAck that may be the frame's first message; 0:
 * none. */
static uint32_t words_of(const uint8_t *at, const struct mrf_frame_header *frame,
	uint64_t received[MR_RELIABLE_SACK_WORDS])
{
	struct mr_message_view m;

	at += sizeof(*frame);
	if (frame->messages == 0 || mr_message_header_load(at).kind != MRF_MESSAGE_KIND_ACK ||
		!mr_message_parse(at, mr_message_header_load(at), &m) ||
		m.payload_bytes % sizeof(received[0]) != 0 ||
		m.payload_bytes > MR_RELIABLE_SACK_WORDS * sizeof(received[0]))
		return 0;
	memcpy(received, m.payload, m.payload_bytes);
	return m.payload_bytes / (uint32_t)sizeof(received[0]);
}

void mr_udp_reliable_acked(
	struct mr_client *c, const uint8_t *at, const struct mrf_frame_header *frame)
{
	struct mr_udp_reliable *r = &c->udp->reliable;
	uint64_t received[MR_RELIABLE_SACK_WORDS];
	uint32_t words = words_of(at, frame, received);
	bool alone = frame->sequence == 0 || words > 0;
	int gone = mr_reliable_tx_ack(
		&r->tx, frame->ack, frame->credit, alone ? received : NULL, words, mr_now_ns());

	if (gone < 0)
		c->malformed++;
	if (gone <= 0)
		return;
	r->log.head = mr_reliable_tx_drained(&r->tx)
			      ? r->sent
			      : mr_reliable_tx_frame(&r->tx, r->tx.first)->at;
	mr_bytes_release(&r->log);
}

/* From the bus. */

static bool take_now(struct mr_client *c, const uint8_t *at, size_t bytes, uint64_t reserved)
{
	if (mr_bytes_room(&c->udp->in, bytes + reserved) < bytes + reserved)
		return false;
	mr_udp_messages_take(
		c, at + sizeof(struct mrf_frame_header), bytes - sizeof(struct mrf_frame_header));
	mr_reliable_rx_let_go(&c->udp->reliable.rx);
	return true;
}

static void keep_in_slot(
	struct mr_udp_reliable *r, uint32_t sequence, const uint8_t *at, size_t bytes)
{
	uint32_t slot = mr_reliable_slot(&r->rx, sequence);

	memcpy(r->slots + (size_t)slot * r->slot_bytes, at, bytes);
	r->slot_used[slot] = (uint32_t)bytes;
	r->frames_held++;
}

static void drain_slots(struct mr_client *c)
{
	struct mr_udp_reliable *r = &c->udp->reliable;

	while (mr_reliable_rx_waits(&r->rx)) {
		uint32_t slot = mr_reliable_slot(&r->rx, r->rx.taken);

		if (!take_now(c, r->slots + (size_t)slot * r->slot_bytes, r->slot_used[slot],
			    c->udp->reserved))
			return;
	}
}

void mr_udp_reliable_drain(struct mr_client *c)
{
	if (!c->udp->reliable.on || !mr_reliable_rx_waits(&c->udp->reliable.rx))
		return;
	drain_slots(c);
	mr_bytes_publish_quiet(&c->udp->in);
}

bool mr_udp_reliable_take(
	struct mr_client *c, const uint8_t *at, size_t bytes, const struct mrf_frame_header *frame)
{
	struct mr_udp_reliable *r = &c->udp->reliable;

	/* Larger than the session's frames. */
	if (bytes > r->slot_bytes) {
		c->malformed++;
		return false;
	}
	switch (mr_reliable_rx_take(&r->rx, frame->sequence)) {
	case MR_RELIABLE_NEXT:
		if (r->rx.taken != frame->sequence || !take_now(c, at, bytes, 0))
			keep_in_slot(r, frame->sequence, at, bytes);
		else
			drain_slots(c);
		break;
	case MR_RELIABLE_EARLY: keep_in_slot(r, frame->sequence, at, bytes); break;
	case MR_RELIABLE_DUPLICATE: c->udp->frames_duplicate++; return true;
	default: c->malformed++; return false;
	}
	c->udp->frames_received++;
	r->frames_received++;
	return true;
}

void mr_udp_reliable_turn(struct mr_client *c)
{
	const struct mr_reliable_tx *tx = &c->udp->reliable.tx;
	uint64_t now_ns;

	if (mr_likely(tx->due_ns == 0) || c->eof)
		return;
	now_ns = mr_now_ns();
	if (now_ns >= tx->due_ns)
		mr_udp_send_reliable(c, now_ns);
}
