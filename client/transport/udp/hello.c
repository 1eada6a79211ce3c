/* SPDX-License-Identifier: Apache-2.0 */
/* hello: opens a session. The client sends Hello until the bus answers: first with a cookie to
 * repeat, then with a welcome or a refusal. Each message may be lost or arrive twice.
 *
 *   Hello ──▶             after 0, 100, 300, 700, 1500 ms, then each second
 *         ◀── Retry
 *   Hello ──▶             at once, with the cookie
 *         ◀── Welcome
 *
 * From the fourth Hello on every other one has a frame of 1,200 bytes, in case the path drops
 * larger ones. The two sizes are two attempts with a nonce each; the answer to one is as large as
 * its Hello. The later attempt closes the session of the earlier one, whose welcome may still
 * arrive. Such a welcome proves that its size passes, and only that size is tried from then on.
 */
#include <netinet/in.h>
#include <netinet/udp.h>
#include <string.h>
#include <unistd.h>

#include "client/core/control_request.h"
#include "client/core/error.h"
#include "client/core/random.h"
#include "client/core/wait.h"
#include "client/transport/udp/udp.h"

#define HELLO_VERSION 1u
/* Padding that fills a frame is a message, with the largest body of a message. */
#define FRAME_BYTES_MAX   MR_BODY_BYTES_MAX
#define FIRST_PAUSE_NS    (100 * MR_NS_PER_MS)
#define PAUSE_NS_MAX      (1000 * MR_NS_PER_MS)
#define FULL_SENDS        3u /* sends of the full size before a smaller one is tried */
#define REFUSALS_MAX      4u /* per address: a bus may be starting */
#define ANSWERS_MAX       16u
#define SOCKET_BYTES      (4 << 20)
#define SEND_TRIES        3u
#define REPLIES_MAX       64u /* handled in one step */
#define CONTROL_BYTES_MAX 2048u

uint32_t mr_udp_path_bytes(int fd)
{
	struct sockaddr_storage peer = {.ss_family = AF_UNSPEC};
	socklen_t bytes = sizeof(peer);
	uint32_t headers, frame_bytes;
	int mtu = 0, rc;

	getpeername(fd, (struct sockaddr *)&peer, &bytes);
	headers = peer.ss_family == AF_INET6 ? 40 + 8 : 20 + 8;
	bytes = sizeof(mtu);
	rc = peer.ss_family == AF_INET6 ? getsockopt(fd, IPPROTO_IPV6, IPV6_MTU, &mtu, &bytes)
					: getsockopt(fd, IPPROTO_IP, IP_MTU, &mtu, &bytes);
	if (rc < 0 || mtu < 0 || (uint32_t)mtu < MR_FRAME_BYTES_MIN + headers)
		return MR_FRAME_BYTES_MIN;
	frame_bytes = ((uint32_t)mtu - headers) & ~7u;
	return frame_bytes < FRAME_BYTES_MAX ? frame_bytes : FRAME_BYTES_MAX;
}

static void set_option(int fd, int level, int name, int value)
{
	setsockopt(fd, level, name, &value, sizeof(value));
}

/* Options that the kernel refuses are not essential. */
static void set_options(int fd, sa_family_t family)
{
	set_option(fd, SOL_SOCKET, SO_RCVBUF, SOCKET_BYTES);
	set_option(fd, SOL_SOCKET, SO_RCVBUFFORCE, SOCKET_BYTES);
	set_option(fd, SOL_SOCKET, SO_SNDBUF, SOCKET_BYTES);
	set_option(fd, SOL_SOCKET, SO_SNDBUFFORCE, SOCKET_BYTES);
	if (family == AF_INET6)
		set_option(fd, IPPROTO_IPV6, IPV6_MTU_DISCOVER, IPV6_PMTUDISC_DO);
	else
		set_option(fd, IPPROTO_IP, IP_MTU_DISCOVER, IP_PMTUDISC_DO);
}

static int failed(struct mr_client *c, int error)
{
	const char *text = c->udp->text;

	if (error == -ECONNREFUSED)
		return mr_failf(c, error, "%s: no bus listens there", text);
	/* -EAGAIN means "not yet" in the exchange. */
	return mr_failf(
		c, error == -EAGAIN ? -ENOBUFS : error, "%s: %s", text, strerrordesc_np(-error));
}

static uint64_t random_nonce(struct mr_client *c)
{
	return ((uint64_t)mr_random(c) << 32 | mr_random(c)) | 1;
}

/* Starts an attempt without knowledge of earlier ones. */
static void hello_anew(struct mr_client *c, struct mr_udp_hello *hello, uint32_t frame_bytes)
{
	*hello = (struct mr_udp_hello){.nonce = random_nonce(c), .frame_bytes = frame_bytes};
}

static void hellos_reset(struct mr_client *c, int fd)
{
	struct mr_udp *u = c->udp;

	hello_anew(c, &u->hellos[MR_UDP_FULL], mr_udp_path_bytes(fd));
	hello_anew(c, &u->hellos[MR_UDP_LEAST], MR_FRAME_BYTES_MIN);
	u->size = MR_UDP_SIZES;
}

void mr_udp_attach_end(struct mr_client *c)
{
	if (c->attach_fd < 0)
		return;
	mr_wait_unwatch(c, c->attach_fd);
	close(c->attach_fd);
	c->attach_fd = -1;
}

/* Opens a socket to the current address. */
static int open_socket(struct mr_client *c)
{
	struct mr_udp *u = c->udp;
	const struct mr_udp_address *a = &u->addresses[u->address];
	int fd = socket(a->at.ss_family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	int error;

	if (fd < 0)
		return -errno;
	set_options(fd, a->at.ss_family);
	if (connect(fd, (const struct sockaddr *)&a->at, a->bytes) < 0) {
		error = -errno;
		close(fd);
		return error;
	}
	c->attach_fd = fd;
	mr_wait_watch(c, fd);
	hellos_reset(c, fd);
	return 0;
}

/* Advances to the next address that can be reached. */
static int next_address(struct mr_client *c)
{
	struct mr_udp *u = c->udp;
	int error = -EADDRNOTAVAIL;

	mr_udp_attach_end(c);
	for (unsigned i = 0; i < u->addresses_count; i++) {
		u->address = (u->address + 1) % u->addresses_count;
		error = open_socket(c);
		if (error == 0)
			return 0;
	}
	return error;
}

int mr_udp_attach_begin(struct mr_client *c)
{
	struct mr_udp *u = c->udp;
	uint64_t now_ns = mr_now_ns();
	int error = open_socket(c);

	u->sends = u->answers = u->refusals = 0;
	u->heard = false;
	u->error = 0;
	if (error != 0 && u->addresses_count > 1)
		error = next_address(c);
	if (error != 0)
		return failed(c, error);
	u->hello_ns = now_ns;
	c->attach_deadline_ns = now_ns + c->attach_ms * MR_NS_PER_MS;
	c->attach_due_ns = now_ns;
	return 0;
}

static uint32_t encode_request(const struct mr_client *c, uint8_t *to, uint32_t room)
{
	struct mrf_hello_request request = {.version = HELLO_VERSION, .name = mrf_str(c->name)};
	uint8_t memory[256];
	struct mrf_builder b;

	mrf_builder_init(&b, memory, sizeof(memory));
	return mr_control_request_encode(
		&b, MRF_CLIENT_BODY_HELLO_REQUEST, mrf_hello_request_write(&b, &request), to, room);
}

/* Writes a Hello that fills its frame. `to` has room for frame_bytes. */
static void build(const struct mr_client *c, const struct mr_udp_hello *hello, uint8_t *to)
{
	const struct mrf_hello_head head = {
		.nonce = hello->nonce, .cookie = hello->cookie, .frame_bytes = hello->frame_bytes};
	/* May be longer than any message that has a body. */
	struct mrf_message_header padding = {.kind = MRF_MESSAGE_KIND_PADDING};
	uint8_t request[256];
	uint32_t request_bytes = encode_request(c, request, sizeof(request));
	uint32_t at = (uint32_t)sizeof(struct mrf_frame_header);
	uint8_t *p;

	memset(to, 0, hello->frame_bytes);
	mr_frame_write(to, 0, 0, 2);
	p = mr_message_begin(to + at, MRF_MESSAGE_KIND_HELLO, 0, NULL, 0, 0,
		(uint32_t)sizeof(head) + request_bytes);
	memcpy(p, &head, sizeof(head));
	memcpy(p + sizeof(head), request, request_bytes);
	at += mr_message_stride(
		mr_message_bytes(false, 0, 0, (uint32_t)sizeof(head) + request_bytes));
	padding.bytes = (uint16_t)(hello->frame_bytes - at);
	memcpy(to + at, &padding, sizeof(padding));
}

/* Asks the kernel for the path's MTU. True: it is smaller than the size tried. */
static bool learn_path(struct mr_client *c)
{
	struct mr_udp_hello *full = &c->udp->hellos[MR_UDP_FULL];
	uint32_t frame_bytes = mr_udp_path_bytes(c->attach_fd);

	if (frame_bytes >= full->frame_bytes)
		return false;
	hello_anew(c, full, frame_bytes);
	return true;
}

static void supersede_others(struct mr_udp *u, const struct mr_udp_hello *by)
{
	for (unsigned i = 0; i < MR_UDP_SIZES; i++)
		u->hellos[i].superseded |= &u->hellos[i] != by && u->hellos[i].cookie != 0;
}

/* Sends a Hello. 0, or an error that does not pass. */
static int send_hello(struct mr_client *c, enum mr_udp_size size)
{
	struct mr_udp *u = c->udp;
	struct mr_udp_hello *hello = &u->hellos[size];
	ssize_t n = -1;

	/* "Too large" may be about this frame, or a late ICMP error about an earlier one. */
	for (unsigned i = 0; i < SEND_TRIES; i++) {
		build(c, hello, u->buffers);
		n = send(c->attach_fd, u->buffers, hello->frame_bytes, MSG_DONTWAIT | MSG_NOSIGNAL);
		if (n >= 0 || errno != EMSGSIZE)
			break;
		learn_path(c);
		errno = EMSGSIZE;
	}
	if (hello->cookie != 0)
		supersede_others(u, hello);
	/* The attempt of the smallest size continues. */
	if (n < 0 && errno == EMSGSIZE && hello->frame_bytes > MR_FRAME_BYTES_MIN)
		return 0;
	return n < 0 && errno != EAGAIN && errno != ENOBUFS ? -errno : 0;
}

/* Handles an ICMP error: no bus at the address. -EAGAIN: another attempt follows. */
static int refused(struct mr_client *c, int error, uint64_t now_ns)
{
	struct mr_udp *u = c->udp;

	u->error = error;
	if (error == -EMSGSIZE)
		return mr_failf(c, error, "%s: the path takes no frames of %u bytes", u->text,
			MR_FRAME_BYTES_MIN);
	if (++u->refusals >= REFUSALS_MAX * u->addresses_count)
		return failed(c, error);
	if (u->addresses_count > 1) {
		error = next_address(c);
		if (error != 0)
			return failed(c, error);
		if (u->refusals < u->addresses_count)
			u->hello_ns = now_ns;
	}
	return -EAGAIN;
}

static int late(struct mr_client *c)
{
	const struct mr_udp *u = c->udp;

	if (u->error != 0)
		return mr_failf(
			c, -ETIMEDOUT, "%s: no answer (%s)", u->text, strerrordesc_np(-u->error));
	if (u->heard)
		return mr_failf(c, -ETIMEDOUT, "%s: control does not answer", u->text);
	return mr_failf(c, -ETIMEDOUT, "%s: no answer", u->text);
}

static enum mr_udp_size size_now(const struct mr_udp *u)
{
	if (u->size != MR_UDP_SIZES)
		return u->size;
	return u->sends < FULL_SENDS || u->sends % 2 == 0 ? MR_UDP_FULL : MR_UDP_LEAST;
}

/* Sends a Hello if it is time to. */
static int hello_by_clock(struct mr_client *c)
{
	struct mr_udp *u = c->udp;
	uint64_t now_ns = mr_now_ns();
	uint64_t pause_ns;
	int error = 0;

	if (now_ns >= c->attach_deadline_ns)
		return late(c);
	if (now_ns < u->hello_ns)
		return -EAGAIN;
	/* After this much silence another address of the host may answer. */
	if (u->addresses_count > 1 && u->sends > 0 && u->sends % 4 == 0)
		error = next_address(c);
	if (error != 0)
		return failed(c, error);
	pause_ns = u->sends < 4 ? FIRST_PAUSE_NS << u->sends : PAUSE_NS_MAX;
	u->hello_ns = now_ns + pause_ns;
	error = send_hello(c, size_now(u));
	u->sends++;
	return error != 0 ? refused(c, error, now_ns) : -EAGAIN;
}

static struct mr_udp_hello *hello_of(struct mr_udp *u, uint64_t nonce)
{
	for (unsigned i = 0; i < MR_UDP_SIZES; i++) {
		if (u->hellos[i].nonce == nonce)
			return &u->hellos[i];
	}
	return NULL;
}

/* Takes a cookie and repeats the Hello at once. A cookie that is known already is sent by the clock
 * alone. */
static void take_retry(struct mr_client *c, const struct mr_message_view *m)
{
	struct mr_udp *u = c->udp;
	struct mr_udp_hello *hello;
	struct mrf_hello_retry r;

	if (m->payload_bytes < sizeof(r))
		return;
	r = mrf_hello_retry_read(m->payload);
	hello = hello_of(u, r.nonce);
	if (hello == NULL || r.cookie == 0 || r.cookie == hello->cookie)
		return;
	hello->cookie = r.cookie;
	u->heard = true;
	if (u->answers++ < ANSWERS_MAX)
		send_hello(c, (enum mr_udp_size)(hello - u->hellos));
}

static int take_refusal(struct mr_client *c, struct mrf_table refusal)
{
	int code = mrf_refusal_code(refusal);
	const char *text = mrf_refusal_text(refusal).data;

	if (hello_of(c->udp, mrf_refusal_nonce(refusal)) == NULL)
		return -EAGAIN;
	if (code >= 0 || code < -4095)
		return mr_failf(c, -EPROTO, "%s: the answer is malformed", c->udp->text);
	mr_failf(c, code, "%s: the bus refuses: %s", c->udp->text,
		text[0] != '\0' ? text : mr_error_text(code));
	/* -EAGAIN means "not yet" in the exchange; from a bus it means "not now". */
	return code == -EAGAIN ? -EBUSY : code;
}

/* Settles on a size; answers to earlier attempts do not count any more. */
static void settle_size(struct mr_client *c, enum mr_udp_size size)
{
	struct mr_udp *u = c->udp;

	for (unsigned i = 0; i < MR_UDP_SIZES; i++)
		hello_anew(c, &u->hellos[i], u->hellos[i].frame_bytes);
	u->size = size;
	u->hello_ns = 0;
}

static int take_welcome(
	struct mr_client *c, struct mrf_table welcome, const struct mrf_frame_header *frame)
{
	const struct mr_udp_hello *hello = hello_of(c->udp, mrf_welcome_nonce(welcome));
	uint32_t frame_bytes = mrf_welcome_frame_bytes(welcome);

	if (hello == NULL || mrf_welcome_session(welcome) != frame->session)
		return -EAGAIN;
	if (frame_bytes < MR_FRAME_BYTES_MIN || frame_bytes > hello->frame_bytes ||
		mrf_welcome_heartbeat_ms(welcome) == 0 || mrf_welcome_missed_max(welcome) == 0)
		return mr_failf(c, -EPROTO, "%s: the answer is malformed", c->udp->text);
	if (hello->superseded) {
		settle_size(c, (enum mr_udp_size)(hello - c->udp->hellos));
		return -EAGAIN;
	}
	return mr_udp_open(c, welcome, frame->sequence);
}

static int take_control(
	struct mr_client *c, const struct mr_message_view *m, const struct mrf_frame_header *frame)
{
	alignas(8) uint8_t body[CONTROL_BYTES_MAX];
	struct mrf_table message;

	if (m->payload_bytes > sizeof(body))
		return -EAGAIN;
	memcpy(body, m->payload, m->payload_bytes);
	if (mrf_client_message_parse(body, m->payload_bytes, &message) != 0)
		return -EAGAIN;
	switch (mrf_client_message_body_type(message)) {
	case MRF_CLIENT_BODY_WELCOME:
		return take_welcome(c, mrf_client_message_body(message), frame);
	case MRF_CLIENT_BODY_REFUSAL:
		return frame->session == 0 ? take_refusal(c, mrf_client_message_body(message))
					   : -EAGAIN;
	default: return -EAGAIN;
	}
}

/* Handles a reply: its first message says all, the rest fills the frame. -EAGAIN: nothing to act
 * on. */
static int take_reply(struct mr_client *c, const uint8_t *at, size_t bytes)
{
	struct mrf_frame_header frame;
	struct mr_message_view m;

	if (mr_frame_parse(at, bytes, &frame) != MR_FRAME_OK || frame.messages == 0 ||
		!mr_udp_frame_is_filled(at, bytes, frame.messages))
		return -EAGAIN;
	at += sizeof(frame);
	if (!mr_message_parse(at, mr_message_header_load(at), &m))
		return -EAGAIN;
	if (m.header.kind == MRF_MESSAGE_KIND_RETRY && frame.session == 0)
		take_retry(c, &m);
	if (m.header.kind == MRF_MESSAGE_KIND_CONTROL)
		return take_control(c, &m, &frame);
	return -EAGAIN;
}

static int take_replies(struct mr_client *c)
{
	uint8_t *buffer = c->udp->buffers + MR_UDP_BUFFER;
	int error = -EAGAIN;

	for (unsigned i = 0; i < REPLIES_MAX && error == -EAGAIN && c->attach_fd >= 0; i++) {
		ssize_t n = recv(c->attach_fd, buffer, MR_UDP_BUFFER, MSG_DONTWAIT);

		if (n >= 0)
			error = take_reply(c, buffer, (size_t)n);
		else if (errno == EAGAIN || errno == EINTR)
			return -EAGAIN;
		else if (errno == EMSGSIZE)
			/* A late ICMP error about an earlier Hello; the next one goes at once. */
			c->udp->hello_ns = learn_path(c) ? 0 : c->udp->hello_ns;
		else
			error = refused(c, -errno, mr_now_ns());
	}
	return error;
}

int mr_udp_attach_step(struct mr_client *c)
{
	struct mr_udp *u = c->udp;
	int error = take_replies(c);

	if (error == -EAGAIN)
		error = hello_by_clock(c);
	if (error != -EAGAIN)
		mr_udp_attach_end(c);
	c->attach_due_ns =
		u->hello_ns < c->attach_deadline_ns ? u->hello_ns : c->attach_deadline_ns;
	return error;
}
