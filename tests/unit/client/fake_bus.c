/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/client/fake_bus.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "lib/channel/packet.h"
#include "flatbuf/attach.h"

#define ROUND_MESSAGES_MAX 4096

static void must(bool ok, const char *what)
{
	if (!ok) {
		perror(what);
		abort();
	}
}

static void ring_client(struct bus_session *s)
{
	if (!mr_bytes_publish(&s->down))
		return;
	atomic_store_explicit(&s->channel.down_shared->asleep, 0, memory_order_relaxed);
	mr_peer_bell_ring(s->channel.peer_bell_fd);
}

static bool put_plan(struct bus_session *s, const struct mr_message_plan *plan, uint32_t target)
{
	uint8_t *to = mr_bytes_claim(&s->down, plan->stride);

	if (to == NULL)
		return false;
	mr_message_write(to, plan, target);
	mr_bytes_push(&s->down, plan->bytes);
	return true;
}

bool bus_send_plan(struct bus_session *s, const struct mr_message_plan *plan, uint32_t target)
{
	bool sent = put_plan(s, plan, target);

	ring_client(s);
	return sent;
}

static bool send_to(struct bus_session *s, enum mrf_message_kind kind, uint32_t target,
	const struct mrf_reply_token *token, const struct mr_message_view *m)
{
	uint8_t body[MR_BODY_BYTES_MAX];
	struct mr_message_plan plan;

	memcpy(body, m->headers, m->header_bytes);
	memcpy(body + m->header_bytes, m->payload, m->payload_bytes);
	plan = mr_message_plan(
		kind, token, m->subject, m->subject_bytes, body, m->header_bytes, m->payload_bytes);
	if (m->header.flags & MR_MESSAGE_FLAGS_EXTRA)
		mr_message_plan_extra(&plan, &m->extra);
	return put_plan(s, &plan, target);
}

static struct mr_message_view payload_view(const void *payload, size_t bytes)
{
	return (struct mr_message_view){.subject = (const uint8_t *)"",
		.headers = (const uint8_t *)"",
		.payload = payload,
		.payload_bytes = (uint32_t)bytes};
}

static void send_gap(struct bus_session *s)
{
	struct mrf_gap gap = {.missed = s->missed, .missed_total = s->missed_total};
	struct mr_message_view m = payload_view(&gap, sizeof(gap));

	if (s->missed > 0 && send_to(s, MRF_MESSAGE_KIND_GAP, 0, NULL, &m)) {
		s->missed = 0;
		ring_client(s);
	}
}

static bool matches(const struct bus_subscription *sub, const char *subject, size_t bytes)
{
	size_t length = strlen(sub->pattern);

	if (sub->prefix)
		return bytes >= length && memcmp(subject, sub->pattern, length) == 0;
	/* Supports wildcards only at the end, and treats both alike: enough for tests of the
	 * client. */
	if (length > 0 && strchr("*>", sub->pattern[length - 1]) != NULL)
		return bytes >= length && memcmp(subject, sub->pattern, length - 1) == 0;
	return bytes == length && memcmp(subject, sub->pattern, length) == 0;
}

static unsigned deliver(struct bus_session *s, const struct mr_message_view *m, bool *full)
{
	const struct mrf_reply_token *token =
		(m->header.flags & MRF_MESSAGE_FLAG_TOKEN) != 0 ? &m->token : NULL;
	unsigned count = 0;

	for (unsigned i = 0; i < BUS_SUBSCRIPTIONS_MAX; i++) {
		struct bus_subscription *sub = &s->subscriptions[i];

		if (sub->id == 0 || !matches(sub, (const char *)m->subject, m->subject_bytes))
			continue;
		if (send_to(s, MRF_MESSAGE_KIND_DELIVER, sub->id, token, m)) {
			count++;
			continue;
		}
		*full = true;
		s->missed++;
		s->missed_total++;
	}
	if (count > 0)
		ring_client(s);
	return count;
}

static void status(struct bus_session *s, uint64_t correlation, uint32_t code)
{
	struct mrf_reply_token token = {.session = s->id, .correlation = correlation};
	struct mr_message_view m = payload_view("", 0);

	send_to(s, MRF_MESSAGE_KIND_STATUS, code, &token, &m);
	ring_client(s);
}

static void publish(struct bus *b, struct bus_session *from, struct mr_message_view *m)
{
	unsigned count = 0;
	bool full = false;

	if (m->header.target != 0) {
		if (m->header.target > BUS_ALIASES_MAX ||
			b->aliases[m->header.target - 1][0] == '\0') {
			b->bad++;
			return;
		}
		m->subject = (const uint8_t *)b->aliases[m->header.target - 1];
		m->subject_bytes = (uint32_t)strlen((const char *)m->subject);
	}
	b->published++;
	m->token.session = from->id;
	/* A message promised without an Origin is delivered like any other. */
	m->header.flags &= (uint8_t)~MRF_MESSAGE_FLAG_HIGH;
	if (m->header.flags & MR_MESSAGE_FLAGS_EXTRA)
		m->extra.flags &= (uint8_t)~MRF_MESSAGE_FLAG_HIGH;
	if (b->overloaded && (m->header.flags & MRF_MESSAGE_FLAG_TOKEN) != 0) {
		status(from, m->token.correlation, MRF_STATUS_CODE_OVERLOADED);
		return;
	}
	for (unsigned i = 0; i < BUS_SESSIONS_MAX; i++) {
		if (b->sessions[i].open)
			count += deliver(&b->sessions[i], m, &full);
	}
	if (count == 0 && !full && (m->header.flags & MRF_MESSAGE_FLAG_TOKEN) != 0)
		status(from, m->token.correlation, MRF_STATUS_CODE_NO_RESPONDERS);
}

static void reply(struct bus *b, const struct mr_message_view *m)
{
	for (unsigned i = 0; i < BUS_SESSIONS_MAX; i++) {
		struct bus_session *s = &b->sessions[i];

		if (!s->open || s->id != m->token.session)
			continue;
		if (b->hold_replies > 0 && b->held_count < 16) {
			b->hold_replies--;
			b->held[b->held_count].session = m->token.session;
			b->held[b->held_count++].correlation = m->token.correlation;
			return;
		}
		send_to(s, MRF_MESSAGE_KIND_REPLY, 0, &m->token, m);
		ring_client(s);
		return;
	}
	b->bad++;
}

static uint32_t subscribe(struct bus_session *s, struct mrf_table t)
{
	uint32_t id = mrf_subscribe_request_subscription(t);
	struct bus_subscription *free_one = NULL;

	for (unsigned i = 0; i < BUS_SUBSCRIPTIONS_MAX; i++) {
		if (s->subscriptions[i].id == id)
			return 0;
		if (s->subscriptions[i].id == 0 && free_one == NULL)
			free_one = &s->subscriptions[i];
	}
	if (free_one == NULL)
		return ENOSPC;
	free_one->id = id;
	free_one->prefix = mrf_subscribe_request_kind(t) == MRF_SUBSCRIPTION_KIND_PREFIX;
	free_one->when_full = (uint8_t)mrf_subscribe_request_when_full(t);
	free_one->high_water = mrf_subscribe_request_high_water(t);
	snprintf(free_one->pattern, sizeof(free_one->pattern), "%s",
		mrf_subscribe_request_pattern(t).data);
	snprintf(free_one->group, sizeof(free_one->group), "%s",
		mrf_subscribe_request_group(t).data);
	return 0;
}

static uint32_t unsubscribe(struct bus *b, struct bus_session *s, uint32_t id)
{
	b->unsubscribes++;
	for (unsigned i = 0; i < BUS_SUBSCRIPTIONS_MAX; i++) {
		if (s->subscriptions[i].id == id) {
			s->subscriptions[i].id = 0;
			return 0;
		}
	}
	return ENOENT;
}

static uint32_t alias_of(struct bus *b, const char *subject)
{
	for (uint32_t i = 0; i < BUS_ALIASES_MAX; i++) {
		if (b->aliases[i][0] == '\0')
			snprintf(b->aliases[i], sizeof(b->aliases[i]), "%s", subject);
		if (strcmp(b->aliases[i], subject) == 0)
			return i + 1;
	}
	return 0;
}

static uint32_t result(struct mrf_builder *out, int code, const char *text)
{
	return mrf_result_write(out, &(struct mrf_result){.code = code, .text = mrf_str(text)});
}

static uint32_t act(struct bus *b, struct bus_session *s, struct mrf_table t,
	struct mrf_builder *out, uint8_t *type)
{
	struct mrf_table body = mrf_client_message_body(t);
	uint32_t made;

	*type = MRF_CLIENT_BODY_RESULT;
	if (b->refuse_control != 0)
		return result(out, b->refuse_control, "not\033[2J today");
	if (fake_service_act(b, s, t, out, type, &made))
		return made;
	switch (mrf_client_message_body_type(t)) {
	case MRF_CLIENT_BODY_SUBSCRIBE_REQUEST: return result(out, -(int)subscribe(s, body), NULL);
	case MRF_CLIENT_BODY_QUEUE_REQUEST:
	case MRF_CLIENT_BODY_CONSUME_REQUEST:
		return fake_queue_open(b, s, body,
			mrf_client_message_body_type(t) == MRF_CLIENT_BODY_CONSUME_REQUEST, out,
			type);
	case MRF_CLIENT_BODY_UNSUBSCRIBE_REQUEST:
		if (mrf_unsubscribe_request_queue(body) != 0)
			return result(out,
				fake_queue_cancel(b, s, mrf_unsubscribe_request_subscription(body))
					? 0
					: -ENOENT,
				NULL);
		return result(out,
			-(int)unsubscribe(b, s, mrf_unsubscribe_request_subscription(body)), NULL);
	case MRF_CLIENT_BODY_ALIAS_RELEASE: b->releases++; return result(out, 0, NULL);
	case MRF_CLIENT_BODY_ALIAS_REQUEST:
		*type = MRF_CLIENT_BODY_ALIAS_RESPONSE;
		return mrf_alias_response_write(
			out, &(struct mrf_alias_response){
				     .alias = alias_of(b, mrf_alias_request_subject(body).data)});
	case MRF_CLIENT_BODY_PING:
		*type = MRF_CLIENT_BODY_PONG;
		return mrf_pong_write(out, &(struct mrf_pong){.sent_ns = mrf_ping_sent_ns(body),
						   .handled_ns = mrf_ping_sent_ns(body) + 1});
	default: b->bad++; return result(out, -EPROTO, "what?");
	}
}

static void control(struct bus *b, struct bus_session *s, const struct mr_message_view *m)
{
	uint8_t memory[512];
	struct mrf_client_message answer;
	struct mr_message_view out;
	struct mrf_builder builder;
	struct mrf_table t;
	const void *data;
	size_t bytes;

	b->control_requests++;
	if (b->ignore_control > 0) {
		b->ignore_control--;
		return;
	}
	if (mrf_client_message_parse(m->payload, m->payload_bytes, &t) != 0) {
		b->bad++;
		return;
	}
	mrf_builder_init(&builder, memory, sizeof(memory));
	answer.body = act(b, s, t, &builder, &answer.body_type);
	must(mrf_builder_finish(
		     &builder, mrf_client_message_write(&builder, &answer), &data, &bytes) == 0,
		"answer");
	out = payload_view(data, bytes);
	send_to(s, MRF_MESSAGE_KIND_CONTROL, m->header.target, NULL, &out);
	ring_client(s);
}

static void handle(struct bus *b, struct bus_session *s, struct mr_message_view *m)
{
	if (fake_service_handle(b, s, m))
		return;
	switch (m->header.kind) {
	case MRF_MESSAGE_KIND_PUBLISH: publish(b, s, m); break;
	case MRF_MESSAGE_KIND_REPLY: reply(b, m); break;
	case MRF_MESSAGE_KIND_CONTROL: control(b, s, m); break;
	case MRF_MESSAGE_KIND_PUSH: fake_queue_push(b, s, m); break;
	case MRF_MESSAGE_KIND_PUSH_OPTIONS: fake_queue_push_options(b, s, m); break;
	case MRF_MESSAGE_KIND_SETTLE: fake_queue_settle(b, s, m); break;
	default: b->bad++;
	}
}

/* True if something moved. */
static bool read_up(struct bus *b, struct bus_session *s)
{
	unsigned count = 0;

	while (count < ROUND_MESSAGES_MAX) {
		size_t ready = mr_bytes_readable(&s->up);
		struct mr_message_view m;

		if (ready == 0)
			break;
		m.header = mr_message_header_load(mr_bytes_peek(&s->up));
		must(ready != MR_BYTES_CORRUPT && mr_message_fits(&m.header, ready), "up ring");
		if (mr_message_parse(mr_bytes_peek(&s->up), m.header, &m))
			handle(b, s, &m);
		else
			b->bad++;
		mr_bytes_skip(&s->up, m.header.bytes);
		count++;
	}
	send_gap(s);
	if (count > 0 && mr_bytes_release(&s->up))
		mr_peer_bell_ring(s->channel.peer_bell_fd);
	return count > 0;
}

void bus_session_close(struct bus_session *s)
{
	s->open = false;
	if (s->liveness_fd >= 0) {
		atomic_store_explicit(&s->channel.up_shared->closed, 1, memory_order_relaxed);
		close(s->liveness_fd);
	}
	mr_channel_close(&s->channel);
	fake_reliable_close(s);
}

struct bus_session *bus_session_new(struct bus *b)
{
	struct bus_session *s = NULL;

	for (unsigned i = 0; i < BUS_SESSIONS_MAX && s == NULL; i++) {
		if (!b->sessions[i].open)
			s = &b->sessions[i];
	}
	must(s != NULL, "sessions");
	memset(s, 0, sizeof(*s));
	s->open = true;
	s->id = mr_session_id(0, (uint32_t)(s - b->sessions), ++b->generation);
	return s;
}

static struct bus_session *session_open(struct bus *b, int *peer_liveness_fd)
{
	struct bus_session *s = bus_session_new(b);
	int pair[2];

	must(mr_channel_new(&s->channel, "fake", b->up_bytes, b->down_bytes) == 0, "channel");
	must(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) == 0, "socketpair");
	s->liveness_fd = pair[0];
	*peer_liveness_fd = pair[1];
	mr_channel_worker_side(&s->channel, &s->up, &s->down);
	return s;
}

static void respond(int fd, const struct mrf_attach_response *r, const int *fds)
{
	uint8_t memory[512];
	struct mrf_builder builder;
	const void *data;
	size_t bytes;

	mrf_builder_init(&builder, memory, sizeof(memory));
	must(mrf_builder_finish(&builder, mrf_attach_response_write(&builder, r), &data, &bytes) ==
			0,
		"response");
	mr_packet_send(fd, data, bytes, fds, fds != NULL ? MR_CHANNEL_FDS : 0);
}

static void attach(struct bus *b)
{
	int fd = accept4(b->listen_fd, NULL, NULL, SOCK_CLOEXEC);
	struct mrf_attach_response r = {.code = b->refuse_attach, .text = mrf_str("go away")};
	struct bus_session *s;
	alignas(8) uint8_t packet[512];
	struct mrf_table t;
	int liveness_fd;
	ssize_t n;

	if (fd < 0)
		return;
	n = recv(fd, packet, sizeof(packet), 0);
	if (n <= 0 || b->ignore_attach || mrf_attach_request_parse(packet, (size_t)n, &t) != 0) {
		close(fd);
		return;
	}
	snprintf(b->last_name, sizeof(b->last_name), "%s", mrf_attach_request_name(t).data);
	if (r.code != 0) {
		respond(fd, &r, NULL);
	} else {
		s = session_open(b, &liveness_fd);
		r.session = s->id;
		r.whole_bytes_max = b->whole_bytes_max;
		r.text = mrf_str(NULL);
		respond(fd, &r,
			(const int[]){s->channel.memory_fd, b->page_fd, s->channel.worker_bell_fd,
				s->channel.peer_bell_far_fd, liveness_fd});
		close(liveness_fd);
	}
	close(fd);
}

static void let_replies(struct bus *b)
{
	while (b->held_count > 0) {
		struct mrf_reply_token token = {.session = b->held[b->held_count - 1].session,
			.correlation = b->held[b->held_count - 1].correlation};
		struct mr_message_view m = payload_view("late", 4);

		b->held_count--;
		m.token = token;
		reply(b, &m);
	}
	b->let_replies = false;
}

static bool turn(struct bus *b)
{
	bool moved = !b->stalled && fake_udp_turn(b);

	if (b->let_replies)
		let_replies(b);
	for (unsigned i = 0; i < BUS_SESSIONS_MAX; i++) {
		if (b->sessions[i].open && !b->stalled)
			moved |= read_up(b, &b->sessions[i]);
		if (b->sessions[i].open && b->sessions[i].udp.ended)
			bus_session_close(&b->sessions[i]);
	}
	if (!b->stalled)
		moved |= fake_queues_run(b);
	fake_udp_flush(b);
	return moved;
}

static bool nothing_there(struct bus *b)
{
	for (unsigned i = 0; i < BUS_SESSIONS_MAX; i++) {
		struct bus_session *s = &b->sessions[i];

		/* [bytes.sleep] */
		if (s->open && atomic_load_explicit(&s->channel.up_shared->tail,
				       memory_order_seq_cst) != s->up.head)
			return false;
	}
	return true;
}

/* Sleeps on everything that may bring work. */
static void sleep_on(struct bus *b)
{
	struct pollfd fds[3 + 2 * BUS_SESSIONS_MAX] = {
		{.fd = b->wake_fd, .events = POLLIN},
		{.fd = b->listen_fd, .events = POLLIN},
	};
	int timeout_ms;

	for (unsigned i = 0; i < BUS_SESSIONS_MAX; i++) {
		struct bus_session *s = &b->sessions[i];

		fds[2 + 2 * i].fd = s->open ? s->channel.worker_bell_fd : -1;
		fds[2 + 2 * i].events = POLLIN;
		fds[3 + 2 * i].fd = s->open ? s->liveness_fd : -1;
		fds[3 + 2 * i].events = POLLIN;
	}
	fds[2 + 2 * BUS_SESSIONS_MAX] =
		(struct pollfd){.fd = b->stalled ? -1 : b->udp.fd, .events = POLLIN};
	timeout_ms = b->udp.fd >= 0 ? fake_udp_due_ms(b) : 1000;
	pthread_mutex_unlock(&b->lock);
	poll(fds, 3 + 2 * BUS_SESSIONS_MAX, timeout_ms);
	pthread_mutex_lock(&b->lock);
	mr_bell_clear(b->wake_fd);
	if (fds[1].revents != 0 && b->listen_fd == fds[1].fd && b->listen_fd >= 0)
		attach(b);
	for (unsigned i = 0; i < BUS_SESSIONS_MAX; i++) {
		struct bus_session *s = &b->sessions[i];

		if (!s->open || s->over_udp || s->channel.worker_bell_fd != fds[2 + 2 * i].fd)
			continue;
		if (fds[2 + 2 * i].revents != 0)
			mr_bell_clear(s->channel.worker_bell_fd);
		if (fds[3 + 2 * i].revents != 0) {
			read_up(b, s);
			bus_session_close(s);
		}
	}
}

static void *run(void *arg)
{
	struct bus *b = arg;

	pthread_mutex_lock(&b->lock);
	while (!b->stop) {
		if (turn(b)) {
			pthread_mutex_unlock(&b->lock);
			pthread_mutex_lock(&b->lock);
			continue;
		}
		/* [bytes.sleep] */
		atomic_store_explicit(&b->page->asleep, 1, memory_order_seq_cst);
		if (b->stalled || nothing_there(b))
			sleep_on(b);
		atomic_store_explicit(&b->page->asleep, 0, memory_order_relaxed);
	}
	pthread_mutex_unlock(&b->lock);
	return NULL;
}

static void start_listening(struct bus *b)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};

	snprintf(address.sun_path, sizeof(address.sun_path), "%s/attach.sock", b->dir);
	unlink(address.sun_path);
	b->listen_fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	must(b->listen_fd >= 0, "socket");
	must(bind(b->listen_fd, (struct sockaddr *)&address, sizeof(address)) == 0, "bind");
	must(listen(b->listen_fd, 16) == 0, "listen");
}

static void start(struct bus *b)
{
	must(pthread_create(&b->thread, NULL, run, b) == 0, "thread");
}

static void init(struct bus *b)
{
	memset(b, 0, sizeof(*b));
	snprintf(b->dir, sizeof(b->dir), "/tmp/millrace-client-XXXXXX");
	must(mkdtemp(b->dir) != NULL, "mkdtemp");
	snprintf(b->address, sizeof(b->address), "shm:%s/attach.sock", b->dir);
	b->up_bytes = MR_CHANNEL_RING_BYTES_MIN;
	b->down_bytes = MR_CHANNEL_RING_BYTES_MIN;
	b->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	must(b->wake_fd >= 0, "eventfd");
	must(mr_worker_page_new(&b->page_fd, &b->page) == 0, "worker page");
	pthread_mutex_init(&b->lock, NULL);
	b->listen_fd = -1;
	b->udp.fd = -1;
	fake_queues_init(&b->queues);
}

void bus_init(struct bus *b)
{
	init(b);
	start_listening(b);
	start(b);
}

void bus_init_udp(struct bus *b)
{
	init(b);
	b->down_bytes = 4 * MR_CHANNEL_RING_BYTES_MIN;
	b->udp.frame_bytes_max = MR_FRAME_BYTES_MAX;
	/* Long enough that a test that is kept from the processor is not taken for dead. */
	b->udp.heartbeat_ms = 400;
	b->udp.missed_max = 3;
	b->udp.host = 0x7f4d0000u | ((uint32_t)getpid() & 0xffff);
	fake_udp_listen(b);
	snprintf(b->address, sizeof(b->address), "udp://127.77.%u.%u:%u", b->udp.host >> 8 & 255,
		b->udp.host & 255, b->udp.port);
	start(b);
}

/* The bus that this thread has locked. */
static _Thread_local struct bus *locked;

void bus_lock(struct bus *b)
{
	pthread_mutex_lock(&b->lock);
	locked = b;
}

void bus_unlock(struct bus *b)
{
	locked = NULL;
	pthread_mutex_unlock(&b->lock);
	mr_bell_ring(b->wake_fd);
}

void bus_let_go(struct bus *b)
{
	if (locked == b)
		bus_unlock(b);
}

static void notice(struct bus_session *s, const char *text)
{
	struct mrf_session_notice n = {.code = -ECONNRESET, .text = mrf_str(text)};
	uint8_t memory[256];
	struct mrf_builder builder;
	const void *data;
	size_t bytes;

	mrf_builder_init(&builder, memory, sizeof(memory));
	must(mrf_builder_finish(&builder, mrf_session_notice_write(&builder, &n), &data, &bytes) ==
			0,
		"notice");
	send(s->liveness_fd, data, bytes, MSG_NOSIGNAL);
}

void bus_kill(struct bus *b, const char *text)
{
	bus_lock(b);
	if (b->listen_fd >= 0)
		close(b->listen_fd);
	b->listen_fd = -1;
	for (unsigned i = 0; i < BUS_SESSIONS_MAX; i++) {
		if (!b->sessions[i].open)
			continue;
		if (text != NULL && b->sessions[i].over_udp)
			fake_udp_close(b, &b->sessions[i], text);
		else if (text != NULL)
			notice(&b->sessions[i], text);
		bus_session_close(&b->sessions[i]);
	}
	if (b->udp.fd >= 0)
		close(b->udp.fd);
	b->udp.fd = -1;
	memset(b->aliases, 0, sizeof(b->aliases));
	bus_unlock(b);
}

void bus_revive(struct bus *b)
{
	bus_lock(b);
	if (b->udp.port != 0)
		fake_udp_listen(b);
	else
		start_listening(b);
	bus_unlock(b);
}

void bus_fini(struct bus *b)
{
	char path[128];

	bus_let_go(b);
	bus_lock(b);
	b->stop = true;
	bus_unlock(b);
	pthread_join(b->thread, NULL);
	for (unsigned i = 0; i < BUS_SESSIONS_MAX; i++) {
		if (b->sessions[i].open)
			bus_session_close(&b->sessions[i]);
	}
	if (b->udp.fd >= 0)
		close(b->udp.fd);
	if (b->listen_fd >= 0)
		close(b->listen_fd);
	close(b->wake_fd);
	close(b->page_fd);
	mr_worker_page_unmap(b->page);
	fake_services_fini(&b->services);
	fake_queues_fini(&b->queues);
	snprintf(path, sizeof(path), "%s/attach.sock", b->dir);
	unlink(path);
	rmdir(b->dir);
	pthread_mutex_destroy(&b->lock);
}

void bus_inject(struct bus *b, const void *bytes, size_t count)
{
	struct bus_session *s = &b->sessions[0];
	uint8_t *to = mr_bytes_claim(&s->down, mr_align_up(count, 8));

	must(to != NULL, "inject");
	memcpy(to, bytes, count);
	mr_bytes_push(&s->down, count);
	ring_client(s);
}

void bus_send(struct bus *b, enum mrf_message_kind kind, uint32_t target,
	const struct mrf_reply_token *token, const char *subject, const void *payload,
	uint32_t payload_bytes)
{
	struct mr_message_view m = payload_view(payload, payload_bytes);

	m.subject = (const uint8_t *)subject;
	m.subject_bytes = (uint32_t)strlen(subject);
	must(send_to(&b->sessions[0], kind, target, token, &m), "send");
	ring_client(&b->sessions[0]);
}
