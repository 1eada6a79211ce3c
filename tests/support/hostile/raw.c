/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/support/hostile/raw.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "flatbuf/attach.h"

static uint64_t now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

int mr_raw_connect(const char *path, int type)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, type | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return -errno;
	snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
	if (connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0) {
		int error = -errno;

		close(fd);
		return error;
	}
	return fd;
}

static int send_request(int fd, const char *name)
{
	uint8_t memory[512];
	struct mrf_builder b;
	const void *request;
	size_t bytes;
	int error;

	mrf_builder_init(&b, memory, sizeof(memory));
	error = mrf_builder_finish(&b,
		mrf_attach_request_write(
			&b, &(struct mrf_attach_request){.version = 1, .name = mrf_str(name)}),
		&request, &bytes);
	if (error != 0)
		return error;
	return send(fd, request, bytes, MSG_NOSIGNAL) < 0 ? -errno : 0;
}

/* Receives the answer and its descriptors; returns their number. */
static int receive_answer(int fd, uint8_t *answer, size_t *bytes, int fds[MR_CHANNEL_FDS])
{
	alignas(struct cmsghdr) char control[CMSG_SPACE(sizeof(int) * MR_CHANNEL_FDS)];
	struct iovec part = {.iov_base = answer, .iov_len = *bytes};
	struct msghdr message = {.msg_iov = &part,
		.msg_iovlen = 1,
		.msg_control = control,
		.msg_controllen = sizeof(control)};
	struct pollfd wait = {.fd = fd, .events = POLLIN};
	struct cmsghdr *c;
	ssize_t n;

	if (poll(&wait, 1, MR_RAW_WAIT_MS) <= 0)
		return -ETIMEDOUT;
	n = recvmsg(fd, &message, MSG_CMSG_CLOEXEC);
	if (n <= 0)
		return n < 0 ? -errno : -ECONNRESET;
	*bytes = (size_t)n;
	c = CMSG_FIRSTHDR(&message);
	if (c == NULL || c->cmsg_type != SCM_RIGHTS)
		return 0;
	memcpy(fds, CMSG_DATA(c), c->cmsg_len - CMSG_LEN(0));
	return (int)((c->cmsg_len - CMSG_LEN(0)) / sizeof(int));
}

static int take_channel(struct mr_raw *c, const int fds[MR_CHANNEL_FDS])
{
	int error = mr_worker_page_map(fds[MR_CHANNEL_FD_WORKER_PAGE], &c->page);

	if (error != 0)
		return error;
	close(fds[MR_CHANNEL_FD_WORKER_PAGE]);
	c->liveness_fd = fds[MR_CHANNEL_FD_LIVENESS];
	error = mr_channel_map(&c->channel, fds[MR_CHANNEL_FD_MEMORY],
		fds[MR_CHANNEL_FD_WORKER_BELL], fds[MR_CHANNEL_FD_PEER_BELL]);
	if (error != 0)
		return error;
	mr_channel_peer_side(&c->channel, c->page, &c->up, &c->down);
	return 0;
}

int mr_raw_attach(struct mr_raw *c, const char *path, const char *name)
{
	uint8_t answer[4096];
	size_t bytes = sizeof(answer);
	int fds[MR_CHANNEL_FDS];
	struct mrf_table t;
	int fd = mr_raw_connect(path, SOCK_SEQPACKET);
	int error;
	int n;

	*c = (struct mr_raw){.liveness_fd = -1, .channel = mr_channel_none()};
	if (fd < 0)
		return fd;
	error = send_request(fd, name);
	n = error != 0 ? error : receive_answer(fd, answer, &bytes, fds);
	close(fd);
	if (n < 0)
		return n;
	error = mrf_attach_response_parse(answer, bytes, &t);
	if (error != 0)
		return error;
	if (mrf_attach_response_code(t) != 0) {
		printf("refused: %d %s\n", mrf_attach_response_code(t),
			mrf_attach_response_text(t).data);
		return mrf_attach_response_code(t);
	}
	if (n != MR_CHANNEL_FDS)
		return -EBADMSG;
	c->session = mrf_attach_response_session(t);
	return take_channel(c, fds);
}

void mr_raw_close(struct mr_raw *c)
{
	mr_channel_close(&c->channel);
	mr_worker_page_unmap(c->page);
	c->page = NULL;
	if (c->liveness_fd >= 0)
		close(c->liveness_fd);
	c->liveness_fd = -1;
}

static bool expelled(const struct mr_raw *c)
{
	struct pollfd wait = {.fd = c->liveness_fd, .events = 0};

	return poll(&wait, 1, 0) > 0 && (wait.revents & (POLLHUP | POLLERR)) != 0;
}

/* Waits a moment for the worker. False if the bus has closed the session or `deadline_ms` has
 * passed. */
static bool patient(struct mr_raw *c, uint64_t deadline_ms)
{
	struct timespec moment = {.tv_nsec = 50000};

	mr_raw_show(c);
	nanosleep(&moment, NULL);
	return !expelled(c) && now_ms() < deadline_ms;
}

uint8_t *mr_raw_claim(struct mr_raw *c, size_t bytes)
{
	uint64_t deadline_ms = 0;
	uint8_t *to;

	while ((to = mr_bytes_claim(&c->up, mr_message_stride((uint32_t)bytes))) == NULL) {
		if (deadline_ms == 0)
			deadline_ms = now_ms() + MR_RAW_WAIT_MS;
		if (!patient(c, deadline_ms))
			return NULL;
	}
	return to;
}

void mr_raw_show(struct mr_raw *c)
{
	if (mr_bytes_publish(&c->up))
		mr_bell_ring(c->channel.worker_bell_fd);
}

int mr_raw_drain(struct mr_raw *c)
{
	uint64_t deadline_ms = now_ms() + MR_RAW_WAIT_MS;

	mr_raw_show(c);
	while (mr_bytes_backlog(&c->up) > 0) {
		if (!patient(c, deadline_ms))
			return expelled(c) ? -ENOTCONN : -ETIMEDOUT;
	}
	return 0;
}

int mr_raw_send(struct mr_raw *c, unsigned kind, uint32_t target,
	const struct mrf_reply_token *token, const char *subject, size_t subject_bytes,
	const void *payload, size_t payload_bytes)
{
	uint32_t bytes = mr_message_bytes(
		token != NULL, (uint32_t)subject_bytes, 0, (uint32_t)payload_bytes);
	uint8_t *to = mr_raw_claim(c, bytes);

	if (to == NULL)
		return -ENOTCONN;
	to = mr_message_begin(to, (enum mrf_message_kind)kind, target, token,
		(uint32_t)subject_bytes, 0, (uint32_t)payload_bytes);
	if (subject_bytes > 0)
		memcpy(to, subject, subject_bytes);
	if (payload_bytes > 0)
		memcpy(to + subject_bytes, payload, payload_bytes);
	mr_bytes_push(&c->up, bytes);
	return 0;
}

/* Waits for control's answer to `correlation`; drops other messages. The table points into
 * `memory`. */
static int await_answer(
	struct mr_raw *c, uint32_t correlation, uint8_t memory[4096], struct mrf_table *out)
{
	uint64_t deadline_ms = now_ms() + MR_RAW_WAIT_MS;

	for (;;) {
		size_t ready = mr_bytes_readable(&c->down);

		while (ready == 0) {
			if (!patient(c, deadline_ms))
				return expelled(c) ? -ENOTCONN : -ETIMEDOUT;
			ready = mr_bytes_readable(&c->down);
		}
		const uint8_t *at = mr_bytes_peek(&c->down);
		struct mrf_message_header h = mr_message_header_load(at);
		struct mr_message_view m;
		bool match = h.kind == MRF_MESSAGE_KIND_CONTROL && h.target == correlation &&
			     mr_message_parse(at, h, &m) && m.payload_bytes <= 4096;

		if (match)
			memcpy(memory, m.payload, m.payload_bytes);
		mr_bytes_skip(&c->down, h.bytes);
		mr_bytes_release(&c->down);
		if (match)
			return mrf_client_message_parse(memory, m.payload_bytes, out);
	}
}

/* Finishes a ClientMessage around `body`, sends it and waits for the answer. */
static int ask(struct mr_raw *c, struct mrf_builder *b, enum mrf_client_body type, uint32_t body,
	uint8_t memory[4096], struct mrf_table *answer)
{
	const void *request;
	size_t bytes;
	int error = mrf_builder_finish(b,
		mrf_client_message_write(
			b, &(struct mrf_client_message){.body_type = (uint8_t)type, .body = body}),
		&request, &bytes);

	if (error == 0)
		error = mr_raw_send(c, MRF_MESSAGE_KIND_CONTROL, ++c->correlation, NULL, NULL, 0,
			request, bytes);
	return error != 0 ? error : await_answer(c, c->correlation, memory, answer);
}

static int answer_code(struct mrf_table answer)
{
	struct mrf_table result = mrf_client_message_body_as_result(answer);

	if (mrf_client_message_body_type(answer) != MRF_CLIENT_BODY_RESULT)
		return -EPROTO;
	if (mrf_result_code(result) != 0)
		printf("refused: %d %s\n", mrf_result_code(result), mrf_result_text(result).data);
	return mrf_result_code(result);
}

int mr_raw_subscribe(struct mr_raw *c, uint32_t id, const char *pattern)
{
	uint8_t memory[4096];
	uint8_t answer_memory[4096];
	struct mrf_table answer;
	struct mrf_builder b;
	uint32_t body;
	int error;

	mrf_builder_init(&b, memory, sizeof(memory));
	body = mrf_subscribe_request_write(&b, &(struct mrf_subscribe_request){
						       .subscription = id,
						       .pattern = mrf_str(pattern),
					       });
	error = ask(c, &b, MRF_CLIENT_BODY_SUBSCRIBE_REQUEST, body, answer_memory, &answer);
	return error != 0 ? error : answer_code(answer);
}

int mr_raw_alias(struct mr_raw *c, const char *subject, uint32_t *alias)
{
	uint8_t memory[4096];
	uint8_t answer_memory[4096];
	struct mrf_table answer;
	struct mrf_builder b;
	uint32_t body;
	int error;

	mrf_builder_init(&b, memory, sizeof(memory));
	body = mrf_alias_request_write(
		&b, &(struct mrf_alias_request){.subject = mrf_str(subject)});
	error = ask(c, &b, MRF_CLIENT_BODY_ALIAS_REQUEST, body, answer_memory, &answer);
	if (error != 0)
		return error;
	if (mrf_client_message_body_type(answer) != MRF_CLIENT_BODY_ALIAS_RESPONSE)
		return answer_code(answer);
	*alias = mrf_alias_response_alias(mrf_client_message_body_as_alias_response(answer));
	return 0;
}

/* Returns the code of an answer that carries a number on success. */
static int queue_of(struct mrf_table answer, uint32_t *queue)
{
	if (mrf_client_message_body_type(answer) != MRF_CLIENT_BODY_QUEUE_RESPONSE)
		return answer_code(answer);
	*queue = mrf_queue_response_queue(mrf_client_message_body_as_queue_response(answer));
	return 0;
}

int mr_raw_open(
	struct mr_raw *c, unsigned kind, const char *name, unsigned when_full, uint32_t *queue)
{
	uint8_t memory[4096];
	uint8_t answer_memory[4096];
	struct mrf_table answer;
	struct mrf_builder b;
	uint32_t body;
	int error;

	mrf_builder_init(&b, memory, sizeof(memory));
	body = mrf_queue_options_write(
		&b, &(struct mrf_queue_options){.when_full = (uint8_t)when_full});
	body = mrf_queue_request_write(
		&b, &(struct mrf_queue_request){
			    .kind = (uint8_t)kind, .name = mrf_str(name), .options = body});
	error = ask(c, &b, MRF_CLIENT_BODY_QUEUE_REQUEST, body, answer_memory, &answer);
	return error != 0 ? error : queue_of(answer, queue);
}

int mr_raw_consume(struct mr_raw *c, unsigned kind, const char *name, uint32_t id,
	uint32_t prefetch, uint32_t *queue)
{
	uint8_t memory[4096];
	uint8_t answer_memory[4096];
	struct mrf_table answer;
	struct mrf_builder b;
	uint32_t body;
	int error;

	mrf_builder_init(&b, memory, sizeof(memory));
	body = mrf_consume_request_write(&b, &(struct mrf_consume_request){
						     .subscription = id,
						     .kind = (uint8_t)kind,
						     .name = mrf_str(name),
						     .prefetch = prefetch,
					     });
	error = ask(c, &b, MRF_CLIENT_BODY_CONSUME_REQUEST, body, answer_memory, &answer);
	return error != 0 ? error : queue_of(answer, queue);
}

int mr_raw_next(struct mr_raw *c, unsigned kind, struct mr_message_view *m)
{
	uint64_t deadline_ms = now_ms() + MR_RAW_WAIT_MS;

	for (;;) {
		const uint8_t *at = mr_bytes_peek(&c->down);
		struct mrf_message_header h;

		if (mr_bytes_readable(&c->down) == 0) {
			if (!patient(c, deadline_ms))
				return expelled(c) ? -ENOTCONN : -ETIMEDOUT;
			continue;
		}
		h = mr_message_header_load(at);
		if (!mr_message_parse(at, h, m))
			return -EBADMSG;
		/* The message stays intact until the next call publishes that it was read. */
		mr_bytes_release(&c->down);
		mr_bytes_skip(&c->down, h.bytes);
		if (h.kind == kind)
			return 0;
	}
}

int mr_raw_send_plan(struct mr_raw *c, const struct mr_message_plan *plan, uint32_t target)
{
	uint8_t *to = mr_raw_claim(c, plan->bytes);

	if (to == NULL)
		return -ENOTCONN;
	mr_message_write(to, plan, target);
	mr_bytes_push(&c->up, plan->bytes);
	return 0;
}

int mr_raw_wait_expelled(struct mr_raw *c)
{
	struct pollfd wait = {.fd = c->liveness_fd, .events = POLLIN};
	uint8_t notice[2048];
	struct mrf_table t;
	ssize_t n;

	while (poll(&wait, 1, MR_RAW_WAIT_MS) > 0) {
		n = recv(c->liveness_fd, notice, sizeof(notice), 0);
		if (n <= 0)
			return 0;
		if (mrf_session_notice_parse(notice, (size_t)n, &t) == 0)
			printf("expelled: %d %s\n", mrf_session_notice_code(t),
				mrf_session_notice_text(t).data);
	}
	return -ETIMEDOUT;
}

uint64_t mr_raw_random(void)
{
	static _Thread_local uint64_t state = 0x9e3779b97f4a7c15;

	/* xorshift64* (Vigna, "An experimental exploration of Marsaglia's xorshift generators"). */
	state ^= state >> 12;
	state ^= state << 25;
	state ^= state >> 27;
	return state * 0x2545f4914f6cdd1d;
}

void mr_raw_random_fill(void *to, size_t bytes)
{
	uint8_t *p = to;

	for (size_t i = 0; i < bytes; i++)
		p[i] = (uint8_t)(mr_raw_random() >> 32);
}
