/* SPDX-License-Identifier: Apache-2.0 */
/* receive: takes frames from the socket and puts their messages into the down ring. The ring must
 * have room for all that a system call can bring before it is made, unless the caller presses for
 * acknowledgements. */
#include <netinet/in.h>
#include <netinet/udp.h>
#include <string.h>

#include "client/transport/udp/udp.h"

#define CONTROL_BYTES_MAX 2048u
#define CALLS_MAX         16u

bool mr_udp_frame_is_filled(const uint8_t *at, size_t bytes, unsigned messages)
{
	const uint8_t *end = at + bytes;

	at += sizeof(struct mrf_frame_header);
	for (; messages > 0 && at < end; messages--) {
		struct mrf_message_header h = mr_message_header_load(at);

		if (!mr_message_fits(&h, (size_t)(end - at)))
			return false;
		at += mr_message_stride(h.bytes);
	}
	return messages == 0 && at == end;
}

/* Ends the session, with the bus's reason. */
static void take_close(struct mr_client *c, const struct mr_message_view *m)
{
	alignas(8) uint8_t body[CONTROL_BYTES_MAX];
	const char *why = "the bus closed the session";
	struct mrf_table message, result;

	if (m->payload_bytes > 0 && m->payload_bytes <= sizeof(body)) {
		memcpy(body, m->payload, m->payload_bytes);
		if (mrf_client_message_parse(body, m->payload_bytes, &message) == 0 &&
			mrf_client_message_body_type(message) == MRF_CLIENT_BODY_RESULT) {
			result = mrf_client_message_body(message);
			if (mrf_result_text(result).bytes > 0)
				why = mrf_result_text(result).data;
		}
	}
	c->udp->closed = true;
	mr_state_eof(c, why);
}

/* Answers a path challenge: the bus sees this session at another address, as after a NAT
 * rebinding. */
static void take_challenge(struct mr_client *c, const struct mr_message_view *m)
{
	alignas(8)
		uint8_t message[sizeof(struct mrf_message_header) + sizeof(struct mrf_path_proof)];
	struct mrf_path_proof proof;
	uint8_t *p;

	if (m->payload_bytes < sizeof(proof)) {
		c->malformed++;
		return;
	}
	proof = mrf_path_proof_read(m->payload);
	proof.secret = c->udp->secret;
	p = mr_message_begin(message, MRF_MESSAGE_KIND_PATH, 0, NULL, 0, 0, sizeof(proof));
	memcpy(p, &proof, sizeof(proof));
	mr_udp_send_alone(c, message, sizeof(message));
}

/* Handles messages that are not for the ring. False: it is for the ring. */
static bool take_own(struct mr_client *c, const uint8_t *at, struct mrf_message_header h)
{
	struct mr_message_view m;

	switch (h.kind) {
	case MRF_MESSAGE_KIND_PADDING:
	case MRF_MESSAGE_KIND_ACK: return true;
	case MRF_MESSAGE_KIND_CLOSE:
	case MRF_MESSAGE_KIND_PATH:
		if (!mr_message_parse(at, h, &m))
			c->malformed++;
		else if (h.kind == MRF_MESSAGE_KIND_CLOSE)
			take_close(c, &m);
		else
			take_challenge(c, &m);
		return true;
	default: return false;
	}
}

/* Copies messages in stretches between those that are not for the ring. */
void mr_udp_messages_take(struct mr_client *c, const uint8_t *at, size_t bytes)
{
	struct mr_bytes_producer *in = &c->udp->in;
	const uint8_t *from = at, *end = at + bytes;

	while (at < end) {
		struct mrf_message_header h = mr_message_header_load(at);
		const uint8_t *next = at + mr_message_stride(h.bytes);

		if (mr_unlikely(take_own(c, at, h))) {
			memcpy(mr_bytes_claim(in, 0), from, (size_t)(at - from));
			mr_bytes_push(in, (size_t)(at - from));
			from = next;
		}
		at = next;
	}
	memcpy(mr_bytes_claim(in, 0), from, (size_t)(end - from));
	mr_bytes_push(in, (size_t)(end - from));
}

/* True for a frame with number 0 outside of the flow: from a worker that does not know the session
 * any more, or not at this address. */
static bool stands_outside(const struct mrf_frame_header *frame, const uint8_t *at)
{
	uint8_t kind;

	if (frame->sequence != 0 || frame->messages != 1)
		return false;
	kind = mr_message_header_load(at + sizeof(*frame)).kind;
	return kind == MRF_MESSAGE_KIND_CLOSE || kind == MRF_MESSAGE_KIND_PATH;
}

/* True if the frame is new. Number 0 is not given to the window: late in a long session it would be
 * half of all numbers ahead. */
static bool take_number(struct mr_udp *u, const struct mrf_frame_header *frame, const uint8_t *at)
{
	int64_t lost;

	if (stands_outside(frame, at))
		return true;
	if (frame->sequence == 0 ||
		mr_frame_take(&u->window, frame->sequence, &lost) == MR_FRAME_DUPLICATE) {
		u->frames_duplicate++;
		return false;
	}
	u->frames_received++;
	u->frames_lost += (uint64_t)lost;
	return true;
}

/* Takes a best-effort frame. Without room its messages are lost, and counted. */
static bool take_datagrams(
	struct mr_client *c, const struct mrf_frame_header *frame, const uint8_t *at, size_t bytes)
{
	if (!take_number(c->udp, frame, at))
		return false;
	if (mr_unlikely(mr_bytes_room(&c->udp->in, bytes) < bytes))
		c->missed += frame->messages;
	else
		mr_udp_messages_take(c, at + sizeof(*frame), bytes - sizeof(*frame));
	return true;
}

bool mr_udp_frame_take(struct mr_client *c, const uint8_t *at, size_t bytes)
{
	struct mrf_frame_header frame;

	if (mr_frame_parse(at, bytes, &frame) != MR_FRAME_OK ||
		(frame.flags != 0 && !c->udp->reliable.on)) {
		c->malformed++;
		return false;
	}
	/* The frame belongs to an old session, or is a late answer to an attempt that another one
	 * has overtaken. */
	if (frame.session != c->session) {
		c->udp->frames_strange++;
		return false;
	}
	if (!mr_udp_frame_is_filled(at, bytes, frame.messages)) {
		c->malformed++;
		return false;
	}
	if ((frame.flags & MRF_FRAME_FLAG_ACK) != 0)
		mr_udp_reliable_acked(c, at, &frame);
	if ((frame.flags & MRF_FRAME_FLAG_RELIABLE) != 0)
		return mr_udp_reliable_take(c, at, bytes, &frame);
	/* The frame carries only an ack of the reliable flow. */
	if (frame.sequence == 0 && (frame.flags & MRF_FRAME_FLAG_ACK) != 0 &&
		!stands_outside(&frame, at))
		return true;
	return take_datagrams(c, &frame, at, bytes);
}

/* Returns the size of the frames that the kernel has coalesced (UDP_GRO); 0: a single frame. */
static size_t segment_bytes(struct msghdr *m)
{
	int bytes = 0;

	for (struct cmsghdr *c = CMSG_FIRSTHDR(m); c != NULL; c = CMSG_NXTHDR(m, c)) {
		if (c->cmsg_level == SOL_UDP && c->cmsg_type == UDP_GRO)
			memcpy(&bytes, CMSG_DATA(c), sizeof(bytes));
	}
	return bytes > 0 ? (size_t)bytes : 0;
}

static bool take_datagram(struct mr_client *c, const uint8_t *at, size_t bytes, size_t segment)
{
	bool taken = false;

	/* No frame has such a length, and the next frame would not be aligned. */
	if (segment == 0 || segment >= bytes || segment % MR_MESSAGE_ALIGN != 0)
		segment = bytes;
	for (size_t done = 0; done < bytes; done += segment) {
		size_t left = bytes - done;

		taken |= mr_udp_frame_take(c, at + done, left < segment ? left : segment);
	}
	return taken;
}

/* Makes one system call. Returns how many datagrams it brought; more may be there if that is
 * `count`. */
static unsigned receive_some(struct mr_client *c, unsigned count)
{
	alignas(struct cmsghdr) uint8_t control[MR_UDP_RECEIVES][CMSG_SPACE(sizeof(int))];
	struct mmsghdr calls[MR_UDP_RECEIVES];
	struct iovec parts[MR_UDP_RECEIVES];
	struct mr_udp *u = c->udp;
	bool taken = false;
	int n;

	for (unsigned i = 0; i < count; i++) {
		parts[i] = (struct iovec){u->buffers + i * MR_UDP_BUFFER, MR_UDP_BUFFER};
		calls[i].msg_hdr = (struct msghdr){.msg_iov = &parts[i],
			.msg_iovlen = 1,
			.msg_control = control[i],
			.msg_controllen = sizeof(control[i])};
	}
	n = recvmmsg(u->fd, calls, count, MSG_DONTWAIT, NULL);
	if (n < 0 && errno != EAGAIN && errno != EINTR) {
		/* An ICMP error about earlier frames, reported once; datagrams may stand behind
		 * it. */
		u->error = errno;
		return count;
	}
	for (int i = 0; i < n; i++) {
		u->reserved = (uint64_t)(n - i) * MR_UDP_BUFFER;
		taken |= take_datagram(
			c, parts[i].iov_base, calls[i].msg_len, segment_bytes(&calls[i].msg_hdr));
	}
	u->reserved = 0;
	if (taken) {
		mr_bytes_publish_quiet(&u->in);
		u->last_rx_ns = mr_now_ns();
	}
	return n > 0 ? (unsigned)n : 0;
}

static unsigned receives_max(struct mr_udp *u, bool press)
{
	uint64_t room = mr_bytes_room(&u->in, MR_UDP_RECEIVES * MR_UDP_BUFFER);

	if (press || room >= MR_UDP_RECEIVES * MR_UDP_BUFFER)
		return MR_UDP_RECEIVES;
	return (unsigned)(room / MR_UDP_BUFFER);
}

/* Sends frames that the received acks allow, and the ack that the bus waits for. */
static void send_answers(struct mr_client *c)
{
	struct mr_udp_reliable *r = &c->udp->reliable;

	if (!r->on || c->eof)
		return;
	if (mr_udp_reliable_is_out(c->udp))
		mr_udp_send_reliable(c, mr_now_ns());
	if (mr_reliable_rx_ack_due(&r->rx, MR_UDP_ACK_FRAMES))
		mr_udp_send_ack(c);
}

bool mr_udp_receive(struct mr_client *c, bool press)
{
	unsigned count, n;

	mr_udp_reliable_drain(c);
	for (unsigned i = 0; i < CALLS_MAX; i++) {
		count = receives_max(c->udp, press);
		if (count == 0)
			return false;
		n = receive_some(c, count);
		if (n > 0)
			send_answers(c);
		if (n < count)
			return true;
	}
	return false;
}
