/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/client/fake_udp.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "flatbuf/wire.h"
#include "tests/unit/client/fake_bus.h"

#define SECRET      0x5ec12e7ull
#define BIND_MS_MAX 10000u
#define HEAD_BYTES  sizeof(struct mrf_frame_header)

static void must(bool ok, const char *what)
{
	if (!ok) {
		perror(what);
		abort();
	}
}

static uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

/* Retries: the socket that a killed bus has closed keeps the port until the bus's thread has left
 * its poll. */
static bool bind_soon(int fd, const struct sockaddr_in *at)
{
	for (unsigned ms = 0; ms < BIND_MS_MAX; ms++) {
		if (bind(fd, (const struct sockaddr *)at, sizeof(*at)) == 0)
			return true;
		if (errno != EADDRINUSE)
			return false;
		poll(NULL, 0, 1);
	}
	return false;
}

void fake_udp_listen(struct bus *b)
{
	struct sockaddr_in at = {.sin_family = AF_INET,
		.sin_addr.s_addr = htonl(b->udp.host),
		.sin_port = htons(b->udp.port)};
	socklen_t bytes = sizeof(at);
	int room = 4 << 20;

	b->udp.fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	must(b->udp.fd >= 0, "socket");
	setsockopt(b->udp.fd, SOL_SOCKET, SO_RCVBUFFORCE, &room, sizeof(room));
	setsockopt(b->udp.fd, SOL_SOCKET, SO_SNDBUFFORCE, &room, sizeof(room));
	must(bind_soon(b->udp.fd, &at), "bind");
	must(getsockname(b->udp.fd, (struct sockaddr *)&at, &bytes) == 0, "getsockname");
	b->udp.port = ntohs(at.sin_port);
}

static bool swallowed(const struct bus *b, size_t bytes)
{
	return b->udp.swallow_above != 0 && bytes > b->udp.swallow_above;
}

static bool dropped(unsigned *left)
{
	if (*left == 0)
		return false;
	--*left;
	return true;
}

/* Uses splitmix64. */
static bool lost(struct bus *b)
{
	uint64_t z = b->udp.chance += 0x9e3779b97f4a7c15ull;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ull;
	z = (z ^ z >> 27) * 0x94d049bb133111ebull;
	return (z ^ z >> 31) % 100 < b->udp.loss;
}

static void send_to(struct bus *b, const struct sockaddr_in *peer, const void *frame, size_t bytes)
{
	if (b->udp.silent || swallowed(b, bytes) || b->udp.fd < 0)
		return;
	sendto(b->udp.fd, frame, bytes, 0, (const struct sockaddr *)peer, sizeof(*peer));
	if (b->udp.twice)
		sendto(b->udp.fd, frame, bytes, 0, (const struct sockaddr *)peer, sizeof(*peer));
}

void fake_udp_send(struct bus *b, struct bus_session *s, const void *frame, size_t bytes)
{
	if (!dropped(&b->udp.drop_frames_out) && !lost(b))
		send_to(b, &s->udp.peer, frame, bytes);
}

/* Sends a frame of one message, with padding up to `frame_bytes` if that is not 0. */
static void send_one(struct bus *b, const struct sockaddr_in *peer, uint64_t session,
	uint32_t sequence, enum mrf_message_kind kind, const void *payload, size_t bytes,
	uint32_t frame_bytes)
{
	alignas(8) static uint8_t frame[MR_FRAME_BYTES_MAX];
	struct mrf_message_header padding = {.kind = MRF_MESSAGE_KIND_PADDING};
	uint32_t at = HEAD_BYTES;
	uint16_t messages = 1;

	memset(frame, 0, sizeof(frame));
	if (bytes > 0)
		memcpy(mr_message_begin(frame + at, kind, 0, NULL, 0, 0, (uint32_t)bytes), payload,
			bytes);
	else
		mr_message_begin(frame + at, kind, 0, NULL, 0, 0, 0);
	at += mr_message_stride(mr_message_bytes(false, 0, 0, (uint32_t)bytes));
	if (at + 8 <= frame_bytes) {
		padding.bytes = (uint16_t)(frame_bytes - at);
		memcpy(frame + at, &padding, sizeof(padding));
		at = frame_bytes;
		messages++;
	}
	mr_frame_write(frame, session, sequence, messages);
	send_to(b, peer, frame, at);
}

static void send_client_message(struct bus *b, const struct sockaddr_in *peer, uint64_t session,
	uint32_t sequence, enum mrf_message_kind kind, struct mrf_builder *builder,
	enum mrf_client_body type, uint32_t body, uint32_t frame_bytes)
{
	struct mrf_client_message message = {.body_type = (uint8_t)type, .body = body};
	const void *data;
	size_t bytes;

	must(mrf_builder_finish(
		     builder, mrf_client_message_write(builder, &message), &data, &bytes) == 0,
		"message");
	send_one(b, peer, session, sequence, kind, data, bytes, frame_bytes);
}

void fake_udp_close(struct bus *b, struct bus_session *s, const char *text)
{
	uint8_t memory[512];
	struct mrf_builder builder;

	mrf_builder_init(&builder, memory, sizeof(memory));
	send_client_message(b, &s->udp.peer, s->id, ++s->udp.sequence, MRF_MESSAGE_KIND_CLOSE,
		&builder, MRF_CLIENT_BODY_RESULT,
		mrf_result_write(
			&builder, &(struct mrf_result){.code = -ECONNRESET, .text = mrf_str(text)}),
		0);
}

static void refuse(struct bus *b, const struct sockaddr_in *peer, uint64_t nonce)
{
	uint8_t memory[512];
	struct mrf_builder builder;

	mrf_builder_init(&builder, memory, sizeof(memory));
	send_client_message(b, peer, 0, 0, MRF_MESSAGE_KIND_CONTROL, &builder,
		MRF_CLIENT_BODY_REFUSAL,
		mrf_refusal_write(&builder, &(struct mrf_refusal){.nonce = nonce,
						    .code = b->refuse_attach,
						    .text = mrf_str("go away")}),
		0);
}

static void welcome(struct bus *b, struct bus_session *s)
{
	struct mrf_welcome w = {.nonce = s->udp.nonce,
		.session = s->id,
		.secret = SECRET,
		.frame_bytes = s->udp.frame_bytes,
		.heartbeat_ms = b->udp.heartbeat_ms,
		.missed_max = b->udp.missed_max,
		.credit = b->udp.credit,
		.message_bytes_max = (uint32_t)b->whole_bytes_max,
		.server_version = mrf_str("fake")};
	uint8_t memory[512];
	struct mrf_builder builder;

	mrf_builder_init(&builder, memory, sizeof(memory));
	s->udp.sequence++;
	if (dropped(&b->udp.drop_welcomes))
		return;
	b->udp.welcomes++;
	send_client_message(b, &s->udp.peer, s->id, s->udp.sequence, MRF_MESSAGE_KIND_CONTROL,
		&builder, MRF_CLIENT_BODY_WELCOME, mrf_welcome_write(&builder, &w),
		s->udp.frame_bytes);
}

static struct bus_session *find(struct bus *b, const struct sockaddr_in *peer)
{
	for (unsigned i = 0; i < BUS_SESSIONS_MAX; i++) {
		struct bus_session *s = &b->sessions[i];

		if (s->open && s->over_udp && s->udp.peer.sin_port == peer->sin_port)
			return s;
	}
	return NULL;
}

static struct bus_session *open_session(struct bus *b, const struct sockaddr_in *peer)
{
	struct bus_session *s = bus_session_new(b);

	must(mr_channel_new_private(&s->channel, b->up_bytes, b->down_bytes) == 0, "rings");
	s->over_udp = true;
	s->liveness_fd = -1;
	s->udp.peer = *peer;
	s->udp.window = mr_frame_window_first();
	fake_reliable_open(s, b->udp.credit);
	mr_channel_worker_side(&s->channel, &s->up, &s->down);
	mr_bytes_producer_init(&s->udp.in, s->channel.up_shared, s->channel.up_map, b->up_bytes);
	mr_bytes_consumer_init(
		&s->udp.out, s->channel.down_shared, s->channel.down_map, b->down_bytes);
	return s;
}

/* Opens a session or finds it; another nonce closes the earlier one. */
static void admit(struct bus *b, const struct fake_udp_hello *h)
{
	struct bus_session *s = find(b, &h->peer);

	if (s != NULL && s->udp.nonce != h->nonce) {
		bus_session_close(s);
		s = NULL;
	}
	if (s == NULL) {
		s = open_session(b, &h->peer);
		s->udp.nonce = h->nonce;
		s->udp.frame_bytes = h->frame_bytes < b->udp.frame_bytes_max
					     ? h->frame_bytes
					     : b->udp.frame_bytes_max;
	}
	welcome(b, s);
}

static void hello(struct bus *b, const struct sockaddr_in *peer, const uint8_t *payload,
	size_t payload_bytes, size_t bytes)
{
	struct mrf_hello_head head;
	struct mrf_hello_retry retry;
	struct mrf_table t;

	b->udp.hellos++;
	b->udp.hellos_least += bytes == MR_FRAME_BYTES_MIN;
	if (dropped(&b->udp.drop_hellos))
		return;
	must(payload_bytes > sizeof(head), "hello");
	head = mrf_hello_head_read(payload);
	retry = (struct mrf_hello_retry){head.nonce, (head.nonce ^ b->udp.salt) | 1};
	if (bytes != head.frame_bytes || bytes < MR_FRAME_BYTES_MIN ||
		mrf_client_message_parse(
			payload + sizeof(head), payload_bytes - sizeof(head), &t) != 0 ||
		mrf_client_message_body_type(t) != MRF_CLIENT_BODY_HELLO_REQUEST) {
		b->bad++;
		return;
	}
	if (head.cookie != retry.cookie) {
		if (!dropped(&b->udp.drop_retries))
			send_one(b, peer, 0, 0, MRF_MESSAGE_KIND_RETRY, &retry, sizeof(retry), 0);
		return;
	}
	if (b->ignore_attach)
		return;
	if (b->refuse_attach != 0) {
		refuse(b, peer, head.nonce);
		return;
	}
	must(b->udp.held_count < FAKE_UDP_HELD_MAX, "held");
	b->udp.held[b->udp.held_count++] =
		(struct fake_udp_hello){*peer, head.nonce, head.frame_bytes};
	if (b->udp.held_count < b->udp.hold_hellos)
		return;
	for (unsigned i = 0; i < b->udp.held_count; i++)
		admit(b, &b->udp.held[i]);
	b->udp.held_count = b->udp.hold_hellos = 0;
}

/* True if the message is for the ring. */
static bool note(
	struct bus *b, struct bus_session *s, const uint8_t *at, struct mrf_message_header h)
{
	struct mrf_path_proof proof;

	switch (h.kind) {
	case MRF_MESSAGE_KIND_PADDING: return false;
	case MRF_MESSAGE_KIND_CLOSE:
		b->udp.closes++;
		s->udp.ended = true;
		return false;
	case MRF_MESSAGE_KIND_PATH:
		proof = mrf_path_proof_read(at + sizeof(h));
		b->udp.proof_nonce = proof.nonce;
		b->udp.proof_secret = proof.secret;
		return false;
	default: b->udp.messages++; return true;
	}
}

void fake_udp_messages(struct bus *b, struct bus_session *s, const uint8_t *at, size_t bytes)
{
	const uint8_t *end = at + bytes;

	at += HEAD_BYTES;
	while (at < end) {
		struct mrf_message_header h = mr_message_header_load(at);
		uint8_t *to;

		must(mr_message_fits(&h, (size_t)(end - at)), "frame's messages");
		if (note(b, s, at, h)) {
			to = mr_bytes_claim(&s->udp.in, h.bytes);
			if (to != NULL) {
				memcpy(to, at, h.bytes);
				mr_bytes_push(&s->udp.in, h.bytes);
			}
		}
		at += mr_message_stride(h.bytes);
	}
	must(at == end, "frame's length");
	mr_bytes_publish_quiet(&s->udp.in);
}

static void take_frame(struct bus *b, struct bus_session *s, const uint8_t *at, size_t bytes,
	const struct mrf_frame_header *frame)
{
	int64_t missing;

	s->udp.frames++;
	if (bytes > s->udp.frame_bytes)
		b->bad++;
	if (frame->flags != 0)
		fake_reliable_take(b, s, at, bytes, frame);
	if (frame->sequence == 0 || (frame->flags & MRF_FRAME_FLAG_RELIABLE) != 0)
		return;
	if (mr_frame_take(&s->udp.window, frame->sequence, &missing) == MR_FRAME_DUPLICATE) {
		b->udp.duplicates++;
		return;
	}
	b->udp.lost += (uint64_t)missing;
	b->udp.frames++;
	b->udp.heartbeats += frame->messages == 0;
	fake_udp_messages(b, s, at, bytes);
}

static void take(struct bus *b, const struct sockaddr_in *peer, const uint8_t *at, size_t bytes)
{
	struct mrf_frame_header frame;
	struct mrf_message_header h;

	if (swallowed(b, bytes))
		return;
	must(mr_frame_parse(at, bytes, &frame) == MR_FRAME_OK, "frame");
	if (frame.session == 0) {
		h = mr_message_header_load(at + HEAD_BYTES);
		must(h.kind == MRF_MESSAGE_KIND_HELLO, "hello");
		hello(b, peer, at + HEAD_BYTES + sizeof(h), h.bytes - sizeof(h), bytes);
		return;
	}
	if (dropped(&b->udp.drop_frames_in) || lost(b))
		return;
	for (unsigned i = 0; i < BUS_SESSIONS_MAX; i++) {
		struct bus_session *s = &b->sessions[i];

		if (s->open && s->over_udp && s->id == frame.session) {
			take_frame(b, s, at, bytes, &frame);
			return;
		}
	}
	/* A restarted bus knows no sequence and sends 0. */
	send_one(b, peer, frame.session, 0, MRF_MESSAGE_KIND_CLOSE, NULL, 0, 0);
}

int fake_udp_due_ms(const struct bus *b)
{
	for (unsigned i = 0; i < BUS_SESSIONS_MAX; i++) {
		if (b->sessions[i].open && fake_reliable_is_out(&b->sessions[i]))
			return 1;
	}
	return (int)b->udp.heartbeat_ms / 4;
}

bool fake_udp_turn(struct bus *b)
{
	alignas(8) static uint8_t buffer[65536];
	struct sockaddr_in peer;
	unsigned count = 0;

	while (b->udp.fd >= 0 && count < 256) {
		socklen_t peer_bytes = sizeof(peer);
		ssize_t n = recvfrom(b->udp.fd, buffer, sizeof(buffer), 0, (struct sockaddr *)&peer,
			&peer_bytes);

		if (n < 0)
			break;
		take(b, &peer, buffer, (size_t)n);
		count++;
	}
	return count > 0;
}

/* Sends as many messages as fit a frame; an empty frame if nothing was sent for a while. */
static bool flush_frame(struct bus *b, struct bus_session *s)
{
	alignas(8) static uint8_t frame[MR_FRAME_BYTES_MAX];
	uint32_t at = HEAD_BYTES;
	uint16_t messages = 0;
	size_t ready;

	bool shut = s->udp.reliable.on && !fake_reliable_has_room(s);

	ready = shut ? 0 : mr_bytes_readable(&s->udp.out);
	for (; ready > 0; ready = mr_bytes_readable(&s->udp.out)) {
		struct mrf_message_header h = mr_message_header_load(mr_bytes_peek(&s->udp.out));
		/* The bytes of bus_inject may be anything: they are sent unchanged. */
		uint32_t stride =
			mr_message_fits(&h, ready) ? mr_message_stride(h.bytes) : (uint32_t)ready;

		if (at + stride > s->udp.frame_bytes)
			break;
		memcpy(frame + at, mr_bytes_peek(&s->udp.out), stride);
		at += stride;
		messages++;
		mr_bytes_skip(&s->udp.out, stride);
	}
	if (messages == 0 && ready > 0) {
		mr_bytes_skip(
			&s->udp.out, mr_message_header_load(mr_bytes_peek(&s->udp.out)).bytes);
		b->bad++;
		return true;
	}
	if (messages == 0 && now_ns() - s->udp.sent_ns < b->udp.heartbeat_ms * 500000ull)
		return false;
	mr_bytes_release(&s->udp.out);
	s->udp.sent_ns = now_ns();
	if (messages > 0 && s->udp.reliable.on) {
		fake_reliable_send(b, s, frame, at, messages);
		return true;
	}
	mr_frame_write(frame, s->id, ++s->udp.sequence, messages);
	fake_udp_send(b, s, frame, at);
	return messages > 0;
}

void fake_udp_flush(struct bus *b)
{
	for (unsigned i = 0; i < BUS_SESSIONS_MAX; i++) {
		struct bus_session *s = &b->sessions[i];

		while (s->open && s->over_udp && b->udp.fd >= 0 && flush_frame(b, s))
			continue;
		if (s->open && s->over_udp && b->udp.fd >= 0)
			fake_reliable_turn(b, s);
		if (s->open && s->over_udp && b->udp.challenge != 0) {
			struct mrf_path_proof proof = {.nonce = b->udp.challenge};

			b->udp.challenge = 0;
			send_one(b, &s->udp.peer, s->id, 0, MRF_MESSAGE_KIND_PATH, &proof,
				sizeof(proof), 0);
		}
	}
}

void fake_udp_raw(struct bus *b, const void *data, size_t bytes)
{
	for (unsigned i = 0; i < BUS_SESSIONS_MAX; i++) {
		if (b->sessions[i].open && b->sessions[i].over_udp) {
			send_to(b, &b->sessions[i].udp.peer, data, bytes);
			return;
		}
	}
}
