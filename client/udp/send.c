/* SPDX-License-Identifier: Apache-2.0 */
/* Packs the messages of the up ring into frames, in place: what a frame holds is one stretch of the
 * ring, with a header put in front of it by the system call. Frames that follow each other are of one
 * size, filled up with padding where little is missing, so that the kernel can cut them from one piece.
 * A stretch is given back to the ring when the socket has taken it, and not before: nothing is lost
 * here, and nothing is kept elsewhere. */
#include <netinet/in.h>
#include <netinet/udp.h>
#include <string.h>

#include "client/udp/udp.h"

#define SEGMENTS_MAX   64u
#define CALL_BYTES_MAX 65000u /* of one piece, less than IP allows */
#define HEADER_BYTES   ((uint32_t)sizeof(struct mrf_frame_header))
#define ERRORS_MAX     4u
#define LOOK_NS        (100 * MR_NS_PER_MS)
/* Worth filling up: a frame that lacks no more than half of what those before it have. */
#define FILL_SHARE 2u

/* Never written; were it const, it would be zeros in the file. */
static uint8_t zeros[MR_FRAME_BYTES_MAX / FILL_SHARE];

/* Messages from `at` on that fill up to `room` bytes. */
static uint32_t stretch(const uint8_t *at, uint64_t ready, uint32_t room, uint32_t *messages)
{
	uint32_t limit = ready < room ? (uint32_t)ready : room;
	uint32_t bytes = 0, count = 0;

	while (bytes < limit) {
		uint32_t stride = mr_message_stride(mr_message_header_load(at + bytes).bytes);

		if (stride > limit - bytes)
			break;
		bytes += stride;
		count++;
	}
	*messages = count;
	return bytes;
}

static struct iovec *put(struct iovec *part, const void *at, size_t bytes)
{
	*part = (struct iovec){.iov_base = (void *)(uintptr_t)at, .iov_len = bytes};
	return part + 1;
}

/* `fill`: bytes of padding behind the messages, 0 or at least a header's. */
static struct iovec *put_frame(struct iovec *part, struct mr_udp_frame *frame, const uint8_t *at,
	uint32_t bytes, uint32_t fill)
{
	part = put(part, &frame->header, sizeof(frame->header));
	part = put(part, at, bytes);
	if (fill == 0)
		return part;
	frame->header.messages++;
	frame->padding = (struct mrf_message_header){
		.bytes = (uint16_t)fill, .kind = MRF_MESSAGE_KIND_PADDING};
	part = put(part, &frame->padding, sizeof(frame->padding));
	if (fill > sizeof(frame->padding))
		part = put(part, zeros, fill - sizeof(frame->padding));
	return part;
}

/* Where packing stands. */
struct packing {
	struct mr_udp *u;
	uint64_t session;
	uint64_t at; /* of the ring */
	uint64_t to;
	uint32_t frames;
	struct iovec *part;
};

/* Adds a frame of at most `size` bytes; returns its length, 0 if the next message does not fit. `exact`:
 * others of that size stand before it, so it is filled up if more will follow. */
static uint32_t pack_frame(struct packing *p, uint32_t size, bool exact)
{
	struct mr_udp *u = p->u;
	struct mr_udp_frame *frame = &u->batch.frames[p->frames];
	const uint8_t *from = u->out.data + (p->at & (u->out.capacity - 1));
	uint32_t messages, fill = 0;
	uint32_t bytes = stretch(from, p->to - p->at, size - HEADER_BYTES, &messages);

	if (bytes == 0)
		return 0;
	if (exact && bytes < p->to - p->at && size - HEADER_BYTES - bytes <= size / FILL_SHARE)
		fill = size - HEADER_BYTES - bytes;
	p->frames++;
	mr_frame_write(&frame->header, p->session, mr_udp_number(u->sequence, p->frames),
		(uint16_t)messages);
	p->part = put_frame(p->part, frame, from, bytes, fill);
	p->at += bytes;
	return HEADER_BYTES + bytes + fill;
}

/* The kernel cuts the piece every `bytes`. */
static void cut(struct msghdr *m, uint8_t *control, uint32_t bytes)
{
	struct cmsghdr *c;
	uint16_t size = (uint16_t)bytes;

	m->msg_control = control;
	m->msg_controllen = CMSG_SPACE(sizeof(size));
	c = CMSG_FIRSTHDR(m);
	c->cmsg_level = SOL_UDP;
	c->cmsg_type = UDP_SEGMENT;
	c->cmsg_len = CMSG_LEN(sizeof(size));
	memcpy(CMSG_DATA(c), &size, sizeof(size));
}

/* Frames of one size, and one at the end that may be shorter. False: nothing fits. */
static bool pack_call(struct packing *p, unsigned index)
{
	struct mr_udp_batch *b = &p->u->batch;
	struct msghdr *m = &b->calls[index].msg_hdr;
	uint32_t first_frame = p->frames;
	uint64_t first = p->at;
	uint32_t segments = 1, size, bytes, total;

	*m = (struct msghdr){.msg_iov = p->part};
	total = size = pack_frame(p, p->u->frame_bytes, false);
	if (size == 0)
		return false;
	bytes = size;
	while (p->u->segments && bytes == size && segments < SEGMENTS_MAX &&
		p->frames < MR_UDP_FRAMES_MAX && total + size <= CALL_BYTES_MAX && p->at < p->to) {
		bytes = pack_frame(p, size, true);
		total += bytes;
		segments += bytes > 0;
	}
	m->msg_iovlen = (size_t)(p->part - m->msg_iov);
	if (segments > 1)
		cut(m, b->of[index].control, size);
	b->of[index].messages_bytes = (uint32_t)(p->at - first);
	b->of[index].frames = p->frames - first_frame;
	b->of[index].frame_bytes = size;
	return true;
}

unsigned mr_udp_pack(struct mr_udp *u, uint64_t session, uint64_t to)
{
	struct packing p = {
		.u = u, .session = session, .at = u->out.head, .to = to, .part = u->batch.parts};
	unsigned count = 0;

	while (count < MR_UDP_CALLS_MAX && p.frames < MR_UDP_FRAMES_MAX && p.at < to &&
		pack_call(&p, count))
		count++;
	return count;
}

static void taken(struct mr_udp *u, unsigned count)
{
	for (unsigned i = 0; i < count; i++) {
		mr_bytes_skip(&u->out, u->batch.of[i].messages_bytes);
		u->sequence = mr_udp_number(u->sequence, u->batch.of[i].frames);
		u->frames_sent += u->batch.of[i].frames;
	}
}

/* A path that has become narrower, or a device that does not cut. False: neither can be. */
static bool make_smaller(struct mr_client *c)
{
	struct mr_udp *u = c->udp;
	uint32_t frame_bytes = mr_udp_path_bytes(u->fd);

	if (frame_bytes >= u->frame_bytes && u->segments) {
		u->segments = false;
		return true;
	}
	if (frame_bytes >= u->frame_bytes)
		frame_bytes = MR_FRAME_BYTES_MIN;
	if (frame_bytes >= u->frame_bytes)
		return false;
	u->frame_bytes = frame_bytes;
	mr_udp_limits(c);
	return true;
}

/* What failed is the first of the batch. True: it may go now. */
static bool recover(struct mr_client *c, int error, unsigned errors)
{
	struct mr_udp *u = c->udp;
	/* Of a piece that is to be cut some kernels say so. */
	bool large = error == EMSGSIZE || (error == EINVAL && u->segments);

	if (error == EAGAIN || error == ENOBUFS || error == ENOMEM || errors >= ERRORS_MAX)
		return false;
	/* A router's late word of frames that were larger: said once, it is out of the way. */
	if (large && errors == 1 && mr_udp_path_bytes(u->fd) >= u->frame_bytes)
		return true;
	if (large) {
		/* Too large for the least of paths: gone, as the path would have it. */
		if (!make_smaller(c))
			taken(u, 1);
		return true;
	}
	if ((error == EIO || error == EOPNOTSUPP) && u->segments) {
		u->segments = false;
		return true;
	}
	/* Word from the network of what was sent before; this was not. */
	if (error != EINTR)
		u->error = error;
	return true;
}

/* A message that was pushed when frames were larger. */
static void drop_first(struct mr_udp *u)
{
	const uint8_t *at = u->out.data + (u->out.head & (u->out.capacity - 1));

	mr_bytes_skip(&u->out, mr_message_header_load(at).bytes);
	u->unsent++;
}

static bool send_some(struct mr_client *c, unsigned *errors)
{
	struct mr_udp *u = c->udp;
	unsigned count = mr_udp_pack(u, c->session, c->up.tail);
	int n;

	if (count == 0) {
		drop_first(u);
		return true;
	}
	n = sendmmsg(u->fd, u->batch.calls, count, MSG_DONTWAIT | MSG_NOSIGNAL);
	if (n < 0)
		return recover(c, errno, ++*errors);
	taken(u, (unsigned)n);
	return true;
}

/* Between the calls that process. An event loop would have heard of what has come by the socket, which is
 * empty now. */
static void look_aside(struct mr_client *c)
{
	mr_udp_look(c);
	if (c->depth == 0 && (c->eof || mr_bytes_readable(&c->down) != 0))
		mr_nudge(c);
}

void mr_udp_send(struct mr_client *c)
{
	struct mr_udp *u = c->udp;
	unsigned errors = 0;
	bool going = !c->eof;

	while (going && u->out.head != c->up.tail)
		going = send_some(c, &errors);
	mr_bytes_release(&u->out);
	/* What the socket did not take counts as not shown, so that whoever waits shows it again. */
	c->up.tail_out = u->out.head;
	u->stuck = u->out.head != c->up.tail;
	u->last_tx_ns = mr_now_ns();
	if (mr_unlikely(u->stuck))
		mr_timer_by(c, u->last_tx_ns + MR_NS_PER_MS);
	if (mr_unlikely(u->last_tx_ns >= u->look_ns)) {
		u->look_ns = u->last_tx_ns + LOOK_NS;
		look_aside(c);
	}
}

bool mr_udp_send_alone(struct mr_client *c, const void *message, uint32_t bytes)
{
	struct mr_udp *u = c->udp;
	uint8_t frame[HEADER_BYTES + MR_UDP_ALONE_BYTES_MAX];
	ssize_t n;

	mr_frame_write(frame, c->session, mr_udp_number(u->sequence, 1), bytes > 0);
	if (bytes > 0)
		memcpy(frame + HEADER_BYTES, message, bytes);
	for (unsigned i = 0; i < ERRORS_MAX; i++) {
		n = send(u->fd, frame, HEADER_BYTES + bytes, MSG_DONTWAIT | MSG_NOSIGNAL);
		if (n >= 0 || errno == EAGAIN || errno == ENOBUFS)
			break;
		u->error = errno;
	}
	if (n < 0)
		return false;
	u->sequence = mr_udp_number(u->sequence, 1);
	u->frames_sent++;
	u->last_tx_ns = mr_now_ns();
	return true;
}
