/* SPDX-License-Identifier: Apache-2.0 */
/* send: packs messages of the up ring into frames, in place. A frame holds one stretch of the ring;
 * the system call puts a header in front of it. Consecutive frames have one size, and are padded
 * where little is missing, so that the kernel can segment them from one datagram. A stretch goes
 * back to the ring when the socket has taken it; in the reliable flow, when the bus has
 * acknowledged it. So nothing is lost here, and nothing is copied. */
#include <netinet/in.h>
#include <netinet/udp.h>
#include <string.h>

#include "client/core/wait.h"
#include "client/transport/udp/udp.h"

#define SEGMENTS_MAX    64u
#define CALL_BYTES_MAX  65000u /* one segmented datagram, less than IP allows */
#define HEADER_BYTES    ((uint32_t)sizeof(struct mrf_frame_header))
#define ERRORS_MAX      4u
#define LOOK_NS         (100 * MR_NS_PER_MS)
#define LOOK_OUT_NS     200000u /* while acknowledgements are outstanding */
#define LOOK_BLOCKED_NS 10000u  /* while nothing can be sent without them */
/* A frame is padded if at most half of its size is missing. */
#define FILL_SHARE 2u

/* Never written. Not const, as const zeros would take space in the file. */
static uint8_t zeros[MR_FRAME_BYTES_MAX / FILL_SHARE];

/* Returns the bytes of the messages from `at` on that fit into `room`. */
static uint32_t messages_that_fit(
	const uint8_t *at, uint64_t ready, uint32_t room, uint32_t *messages)
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

static struct iovec *put_part(struct iovec *part, const void *at, size_t bytes)
{
	*part = (struct iovec){.iov_base = (void *)(uintptr_t)at, .iov_len = bytes};
	return part + 1;
}

/* `fill`: bytes of padding behind the messages, 0 or at least a header's. */
static struct iovec *put_frame(struct iovec *part, struct mr_udp_frame *frame, const uint8_t *at,
	uint32_t bytes, uint32_t fill)
{
	part = put_part(part, &frame->header, sizeof(frame->header));
	part = put_part(part, at, bytes);
	if (fill == 0)
		return part;
	frame->header.messages++;
	frame->padding = (struct mrf_message_header){
		.bytes = (uint16_t)fill, .kind = MRF_MESSAGE_KIND_PADDING};
	part = put_part(part, &frame->padding, sizeof(frame->padding));
	if (fill > sizeof(frame->padding))
		part = put_part(part, zeros, fill - sizeof(frame->padding));
	return part;
}

/* Returns the part of the header that all frames sent now have in common. */
static struct mrf_frame_header frame_header(const struct mr_client *c, enum mr_udp_flow flow)
{
	struct mr_udp_reliable *r = &c->udp->reliable;
	struct mrf_frame_header head;

	mr_frame_write(&head, c->session, 0, 0);
	if (r->on) {
		uint32_t ack, credit;

		mr_reliable_rx_ack(&r->rx, r->rx.slots, &ack, &credit, NULL);
		mr_frame_write_ack(&head, ack, credit);
	}
	if (flow == MR_UDP_RELIABLE)
		mr_frame_write_reliable(&head);
	return head;
}

/* State of packing. */
struct packing {
	struct mr_udp *u;
	struct mrf_frame_header head;
	const uint8_t *data; /* the ring */
	uint64_t mask;
	uint64_t at;
	uint64_t to;
	uint32_t number; /* number of the frame before the first */
	uint32_t frames;
	uint32_t frames_max;
	struct iovec *part;
};

/* Adds a frame of at most `size` bytes and returns its length; 0: the next message does not fit.
 * `exact`: frames of this size precede it, so it is padded if more will follow. */
static uint32_t pack_frame(struct packing *p, uint32_t size, bool exact)
{
	struct mr_udp_frame *frame = &p->u->batch.frames[p->frames];
	const uint8_t *from = p->data + (p->at & p->mask);
	uint32_t messages, fill = 0;
	uint32_t bytes = messages_that_fit(from, p->to - p->at, size - HEADER_BYTES, &messages);

	if (bytes == 0)
		return 0;
	if (exact && bytes < p->to - p->at && size - HEADER_BYTES - bytes <= size / FILL_SHARE)
		fill = size - HEADER_BYTES - bytes;
	p->frames++;
	frame->header = p->head;
	frame->header.sequence = mr_udp_number(p->number, p->frames);
	frame->header.messages = (uint16_t)messages;
	frame->bytes = bytes;
	frame->messages = messages;
	p->part = put_frame(p->part, frame, from, bytes, fill);
	p->at += bytes;
	return HEADER_BYTES + bytes + fill;
}

/* Asks the kernel to segment the datagram every `bytes` (UDP_SEGMENT). */
static void set_segment_bytes(struct msghdr *m, uint8_t *control, uint32_t bytes)
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

/* Packs frames of one size, and one at the end that may be shorter. False: nothing fits. */
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
		p->frames < p->frames_max && total + size <= CALL_BYTES_MAX && p->at < p->to) {
		bytes = pack_frame(p, size, true);
		total += bytes;
		segments += bytes > 0;
	}
	m->msg_iovlen = (size_t)(p->part - m->msg_iov);
	if (segments > 1)
		set_segment_bytes(m, b->of[index].control, size);
	b->of[index].messages_bytes = (uint32_t)(p->at - first);
	b->of[index].frames = p->frames - first_frame;
	b->of[index].frame_bytes = size;
	return true;
}

static uint32_t least(uint32_t a, uint32_t b)
{
	return a < b ? a : b;
}

static struct packing packing_of(struct mr_client *c, enum mr_udp_flow flow)
{
	struct mr_udp *u = c->udp;
	const struct mr_udp_reliable *r = &u->reliable;
	struct packing p = {.u = u, .head = frame_header(c, flow), .part = u->batch.parts};

	if (flow == MR_UDP_DATAGRAM) {
		p.data = u->out.data;
		p.mask = u->out.capacity - 1;
		p.at = u->out.head;
		p.to = c->up.tail;
		p.number = u->sequence;
		p.frames_max = MR_UDP_FRAMES_MAX;
	} else {
		p.data = r->log.data;
		p.mask = r->log.capacity - 1;
		p.at = r->sent;
		p.to = r->up.tail;
		p.number = r->tx.next - 1;
		p.frames_max = least(mr_reliable_tx_room(&r->tx), MR_UDP_FRAMES_MAX);
	}
	return p;
}

/* Packs pushed messages into the batch. Returns how many datagrams; 0: the first message fits no
 * frame. */
static unsigned pack_batch(struct mr_client *c, enum mr_udp_flow flow)
{
	struct packing p = packing_of(c, flow);
	unsigned count = 0;

	while (count < MR_UDP_CALLS_MAX && p.frames < p.frames_max && p.at < p.to &&
		pack_call(&p, count))
		count++;
	return count;
}

static void taken_datagram(struct mr_udp *u, unsigned index)
{
	mr_bytes_skip(&u->out, u->batch.of[index].messages_bytes);
	u->sequence = mr_udp_number(u->sequence, u->batch.of[index].frames);
}

static void taken_reliable(struct mr_udp *u, unsigned index, uint32_t first, uint64_t now_ns)
{
	struct mr_udp_reliable *r = &u->reliable;

	for (uint32_t i = first; i < first + u->batch.of[index].frames; i++) {
		const struct mr_udp_frame *f = &u->batch.frames[i];

		mr_reliable_tx_sent(&r->tx, r->sent, f->bytes, f->messages, now_ns);
		r->sent += f->bytes;
		r->frames_sent++;
	}
}

static void batch_taken(struct mr_udp *u, enum mr_udp_flow flow, unsigned count)
{
	uint64_t now_ns = mr_now_ns();
	uint32_t frames = 0;

	for (unsigned i = 0; i < count; i++) {
		if (flow == MR_UDP_DATAGRAM)
			taken_datagram(u, i);
		else
			taken_reliable(u, i, frames, now_ns);
		frames += u->batch.of[i].frames;
	}
	u->frames_sent += frames;
	if (frames > 0)
		u->heartbeat_tx_ns = now_ns;
}

/* Reacts to a narrower path, or to a device that does not segment. False: there is nothing to
 * reduce. */
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

/* The promised messages cannot be sent in this session; the next one fragments them again. */
static void too_large(struct mr_client *c)
{
	mr_state_eof(c, "the path does not take frames of this size any more");
}

/* Handles an error of the batch's first datagram. True: it may be sent now. */
static bool recover_from_error(
	struct mr_client *c, enum mr_udp_flow flow, int error, unsigned errors)
{
	struct mr_udp *u = c->udp;
	/* Some kernels report EINVAL for a datagram that is to be segmented. */
	bool large = error == EMSGSIZE || (error == EINVAL && u->segments);

	if (error == EAGAIN || error == ENOBUFS || error == ENOMEM || errors >= ERRORS_MAX)
		return false;
	/* A late ICMP error about larger frames; it is reported once. */
	if (large && errors == 1 && mr_udp_path_bytes(u->fd) >= u->frame_bytes)
		return true;
	if (large) {
		/* Too large even for the smallest frame: dropped, as the path would do. */
		if (make_smaller(c))
			return true;
		if (flow == MR_UDP_RELIABLE)
			too_large(c);
		else
			batch_taken(u, flow, 1);
		return !c->eof;
	}
	if ((error == EIO || error == EOPNOTSUPP) && u->segments) {
		u->segments = false;
		return true;
	}
	/* An ICMP error about earlier frames; this datagram was not sent. */
	if (error != EINTR)
		u->error = error;
	return true;
}

/* Drops a message that was pushed when frames were larger. */
static void drop_first(struct mr_udp *u)
{
	const uint8_t *at = u->out.data + (u->out.head & (u->out.capacity - 1));

	mr_bytes_skip(&u->out, mr_message_header_load(at).bytes);
	u->unsent++;
}

static bool send_some(struct mr_client *c, enum mr_udp_flow flow, unsigned *errors)
{
	struct mr_udp *u = c->udp;
	unsigned count = pack_batch(c, flow);
	int n;

	if (count == 0) {
		if (flow == MR_UDP_RELIABLE)
			too_large(c);
		else
			drop_first(u);
		return !c->eof;
	}
	n = sendmmsg(u->fd, u->batch.calls, count, MSG_DONTWAIT | MSG_NOSIGNAL);
	u->full = n < 0 && errno == EAGAIN;
	if (n >= 0) {
		batch_taken(u, flow, (unsigned)n);
		return true;
	}
	/* The ack that the frames would have carried is still due. */
	u->reliable.rx.ack_due = u->reliable.on;
	return recover_from_error(c, flow, errno, ++*errors);
}

/* True: something is left that the socket does not take now. */
static bool send_flow(struct mr_client *c, enum mr_udp_flow flow)
{
	const struct mr_udp *u = c->udp;
	const struct mr_udp_reliable *r = &u->reliable;
	unsigned errors = 0;
	bool going = !c->eof;

	if (flow == MR_UDP_DATAGRAM) {
		while (going && u->out.head != c->up.tail)
			going = send_some(c, flow, &errors);
		return u->out.head != c->up.tail;
	}
	while (going && r->on && r->sent != r->up.tail && mr_reliable_tx_room(&r->tx) > 0)
		going = send_some(c, flow, &errors);
	return !going && !c->eof;
}

/* Looks for frames between the calls that process. The socket would have told an event loop of
 * them, but is empty now. */
static void look_between_calls(struct mr_client *c)
{
	mr_udp_check_bus(c);
	if (c->depth == 0 && (c->eof || mr_bytes_readable(&c->down) != 0))
		mr_nudge(c);
}

static uint64_t look_pause_ns(const struct mr_udp *u)
{
	if (!mr_udp_reliable_is_out(u))
		return LOOK_NS;
	return u->reliable.sent != u->reliable.up.tail ? LOOK_BLOCKED_NS : LOOK_OUT_NS;
}

static void look_if_due(struct mr_client *c)
{
	struct mr_udp *u = c->udp;
	uint64_t by_ns = u->last_tx_ns + look_pause_ns(u);

	if (by_ns < u->look_ns)
		u->look_ns = by_ns;
	if (mr_likely(u->last_tx_ns < u->look_ns) || u->looking)
		return;
	u->look_ns = by_ns;
	u->looking = true;
	look_between_calls(c);
	u->looking = false;
}

void mr_udp_send(struct mr_client *c)
{
	struct mr_udp *u = c->udp;

	u->stuck = send_flow(c, MR_UDP_RELIABLE);
	u->stuck |= send_flow(c, MR_UDP_DATAGRAM);
	mr_bytes_release(&u->out);
	/* Bytes that the socket did not take count as not published, so that waiting callers
	 * publish them again. */
	c->up.tail_out = u->out.head;
	u->last_tx_ns = mr_now_ns();
	if (mr_unlikely(u->stuck))
		mr_timer_by(c, u->last_tx_ns + MR_NS_PER_MS);
	if (u->reliable.tx.due_ns != 0)
		mr_timer_by(c, u->reliable.tx.due_ns);
	look_if_due(c);
}

/* Adds a frame to the batch as it was sent before. */
static void pack_retransmit(struct mr_udp *u, unsigned index, const struct mr_reliable_frame *f,
	uint32_t sequence, const struct mrf_frame_header *head)
{
	struct mr_udp_frame *frame = &u->batch.frames[index];
	struct iovec *parts = &u->batch.parts[2 * index];
	const struct mr_bytes_consumer *log = &u->reliable.log;

	frame->header = *head;
	frame->header.sequence = sequence;
	frame->header.messages = (uint16_t)f->messages;
	put_part(parts, &frame->header, sizeof(frame->header));
	put_part(parts + 1, log->data + (f->at & (log->capacity - 1)), f->bytes);
	u->batch.calls[index].msg_hdr = (struct msghdr){.msg_iov = parts, .msg_iovlen = 2};
}

/* Frames that the socket does not take are lost, as on the path. */
static void send_batch(struct mr_client *c, unsigned count)
{
	struct mr_udp *u = c->udp;
	unsigned done = 0, errors = 0;

	while (done < count && errors < ERRORS_MAX) {
		int n = sendmmsg(
			u->fd, u->batch.calls + done, count - done, MSG_DONTWAIT | MSG_NOSIGNAL);

		if (n >= 0) {
			done += (unsigned)n;
			continue;
		}
		errors++;
		if (errno == EMSGSIZE && errors == ERRORS_MAX)
			too_large(c);
		if (errno == EAGAIN || errno == ENOBUFS)
			break;
	}
	u->frames_sent += done;
	u->reliable.retransmits += done;
}

static void retransmit(struct mr_client *c, uint64_t now_ns)
{
	struct mr_udp *u = c->udp;
	struct mr_udp_reliable *r = &u->reliable;
	const struct mrf_frame_header head = frame_header(c, MR_UDP_RELIABLE);
	const struct mr_reliable_frame *f;
	uint32_t sequence;
	bool timed_out;
	unsigned count = 0;

	while (!c->eof &&
		(f = mr_reliable_tx_retransmit(&r->tx, now_ns, &sequence, &timed_out)) != NULL) {
		r->timeouts += timed_out;
		pack_retransmit(u, count++, f, sequence, &head);
		if (count < MR_UDP_CALLS_MAX)
			continue;
		send_batch(c, count);
		count = 0;
	}
	send_batch(c, count);
}

/* Sends a single frame. If the socket does not take it, it is not tried again. */
static bool send_small(struct mr_client *c, const void *frame, size_t bytes)
{
	struct mr_udp *u = c->udp;

	for (unsigned i = 0; i < ERRORS_MAX; i++) {
		if (send(u->fd, frame, bytes, MSG_DONTWAIT | MSG_NOSIGNAL) >= 0) {
			u->frames_sent++;
			return true;
		}
		if (errno == EAGAIN || errno == ENOBUFS)
			break;
		u->error = errno;
	}
	return false;
}

void mr_udp_send_reliable(struct mr_client *c, uint64_t now_ns)
{
	struct mr_reliable_tx *tx = &c->udp->reliable.tx;
	struct mrf_frame_header probe;

	if (tx->lost > 0 || (tx->due_ns != 0 && now_ns >= tx->due_ns))
		retransmit(c, now_ns);
	if (mr_reliable_tx_probe(tx, now_ns, &probe.sequence)) {
		uint32_t sequence = probe.sequence;

		probe = frame_header(c, MR_UDP_RELIABLE);
		probe.sequence = sequence;
		send_small(c, &probe, sizeof(probe));
	}
	c->udp->stuck |= send_flow(c, MR_UDP_RELIABLE);
}

bool mr_udp_send_alone(struct mr_client *c, const void *message, uint32_t bytes)
{
	struct mr_udp *u = c->udp;
	uint8_t frame[HEADER_BYTES + MR_UDP_ALONE_BYTES_MAX];
	struct mrf_frame_header head = frame_header(c, MR_UDP_DATAGRAM);

	head.sequence = mr_udp_number(u->sequence, 1);
	head.messages = bytes > 0;
	memcpy(frame, &head, sizeof(head));
	if (bytes > 0)
		memcpy(frame + HEADER_BYTES, message, bytes);
	if (!send_small(c, frame, HEADER_BYTES + bytes))
		return false;
	u->sequence = head.sequence;
	u->last_tx_ns = u->heartbeat_tx_ns = mr_now_ns();
	return true;
}

void mr_udp_send_ack(struct mr_client *c)
{
	struct mr_udp_reliable *r = &c->udp->reliable;
	uint64_t received[MR_RELIABLE_SACK_WORDS];
	uint8_t frame[HEADER_BYTES + sizeof(struct mrf_message_header) + sizeof(received)];
	uint32_t ack, credit, bytes = HEADER_BYTES;
	uint32_t words = mr_reliable_rx_ack(&r->rx, r->rx.slots, &ack, &credit, received);
	uint32_t said = words * (uint32_t)sizeof(received[0]);

	mr_frame_write(frame, c->session, 0, words > 0);
	mr_frame_write_ack(frame, ack, credit);
	if (words > 0) {
		memcpy(mr_message_begin(frame + bytes, MRF_MESSAGE_KIND_ACK, 0, NULL, 0, 0, said),
			received, said);
		bytes += (uint32_t)sizeof(struct mrf_message_header) + said;
	}
	/* Else it is sent when all messages are handed out. */
	if (send_small(c, frame, bytes))
		c->udp->heartbeat_tx_ns = mr_now_ns();
	else
		r->rx.ack_due = true;
}
