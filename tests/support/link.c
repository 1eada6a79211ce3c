/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/support/link.h"

#include <errno.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "lib/channel/packet.h"

#define WAIT_NS 30000000000ull

static void die(const char *what, int error)
{
	fprintf(stderr, "tests/support/link: %s: %s\n", what, strerror(-error));
	exit(1);
}

static uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static void run(const struct mr_test_plane *p, const char *program, const char *const *sets)
{
	char run_dir[80];
	const char *argv[64] = {program, "--set", run_dir};
	unsigned argc = 3;

	snprintf(run_dir, sizeof(run_dir), "run_dir=%s", p->run_dir);
	for (; sets != NULL && *sets != NULL && argc < 60; sets++) {
		argv[argc++] = "--set";
		argv[argc++] = *sets;
	}
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	execv(program, (char *const *)(uintptr_t)argv);
	die(program, -errno);
}

void mr_test_plane_start(struct mr_test_plane *p, const char *program, const char *const *sets)
{
	memset(p, 0, sizeof(*p));
	p->link_fd = -1;
	snprintf(p->run_dir, sizeof(p->run_dir), "/tmp/millrace-test-XXXXXX");
	if (mkdtemp(p->run_dir) == NULL)
		die("mkdtemp", -errno);
	p->pid = fork();
	if (p->pid == 0)
		run(p, program, sets);
	mr_test_plane_join(p);
}

static int try_connect(struct mr_test_plane *p)
{
	struct sockaddr_un at = {.sun_family = AF_UNIX};

	snprintf(at.sun_path, sizeof(at.sun_path), "%s/dataplane.sock", p->run_dir);
	p->link_fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	if (connect(p->link_fd, (struct sockaddr *)&at, sizeof(at)) == 0)
		return 0;
	close(p->link_fd);
	p->link_fd = -1;
	return -errno;
}

/* Receives the next packet; answers come in order here, and events in between are skipped. */
static void receive(struct mr_test_plane *p, uint64_t id)
{
	struct pollfd ready = {.fd = p->link_fd, .events = POLLIN};
	struct mrf_table m;

	do {
		ssize_t n;

		if (poll(&ready, 1, (int)(WAIT_NS / 1000000)) != 1)
			die("no answer on the link", -ETIMEDOUT);
		p->fds_count = 253;
		n = mr_packet_receive(
			p->link_fd, p->packet, sizeof(p->packet), p->fds, &p->fds_count);
		if (n <= 0)
			die("link", n == 0 ? -EPIPE : (int)n);
		if (mrf_link_message_parse(p->packet, (size_t)n, &m) != 0)
			die("link message", -EBADMSG);
	} while (mrf_link_message_id(m) != id);
	p->body = mrf_link_message_body(m);
	p->type = mrf_link_message_body_type(m);
}

static void request(
	struct mr_test_plane *p, struct mrf_builder *b, enum mrf_link_body type, uint32_t body)
{
	struct mrf_link_message m = {.id = ++p->next_id, .body_type = type, .body = body};
	const void *data;
	size_t bytes;
	int error = mrf_builder_finish(b, mrf_link_message_write(b, &m), &data, &bytes);
	ssize_t n;

	if (error != 0)
		die("build", error);
	n = mr_packet_send(p->link_fd, data, bytes, NULL, 0);
	if (n < 0)
		die("send", (int)n);
	receive(p, p->next_id);
}

void mr_test_plane_join(struct mr_test_plane *p)
{
	struct mrf_link_hello hello = {.version = 1, .pid = (uint32_t)getpid()};
	uint64_t until = now_ns() + WAIT_NS;
	struct mrf_builder b;
	uint64_t memory[64];
	struct stat st;

	while (try_connect(p) != 0) {
		struct timespec pause = {.tv_nsec = 1000000};

		if (now_ns() > until)
			die("data plane does not listen", -ETIMEDOUT);
		nanosleep(&pause, NULL);
	}
	mrf_builder_init(&b, memory, sizeof(memory));
	request(p, &b, MRF_LINK_BODY_LINK_HELLO, mrf_link_hello_write(&b, &hello));
	if (p->type != MRF_LINK_BODY_LINK_WELCOME)
		die("no welcome", -EPROTO);
	p->workers = mrf_link_welcome_workers(p->body);
	if (fstat(p->fds[0], &st) < 0)
		die("stats", -errno);
	p->stats_bytes = (size_t)st.st_size;
	p->stats = mmap(NULL, p->stats_bytes, PROT_READ, MAP_SHARED, p->fds[0], 0);
	close(p->fds[0]);
	for (unsigned i = 0; i < p->workers; i++) {
		const int *fds = &p->fds[1 + 4 * i];

		if (mr_channel_map(&p->handoff[i].channel, fds[0], fds[2], fds[3]) != 0 ||
			mr_worker_page_map(fds[1], &p->handoff[i].page) != 0)
			die("hand-off", -EBADMSG);
		close(fds[1]);
		mr_bytes_consumer_init(&p->handoff[i].from_worker, p->handoff[i].channel.up_shared,
			p->handoff[i].channel.up_map, p->handoff[i].channel.up_bytes);
		mr_bytes_producer_init(&p->handoff[i].to_worker, p->handoff[i].channel.down_shared,
			p->handoff[i].channel.down_map, p->handoff[i].channel.down_bytes);
		p->handoff[i].to_worker.asleep = &p->handoff[i].page->asleep;
	}
}

void mr_test_plane_leave(struct mr_test_plane *p)
{
	for (unsigned i = 0; i < p->workers; i++) {
		mr_channel_close(&p->handoff[i].channel);
		mr_worker_page_unmap(p->handoff[i].page);
	}
	munmap((void *)(uintptr_t)p->stats, p->stats_bytes);
	close(p->link_fd);
	p->link_fd = -1;
}

void mr_test_plane_stop(struct mr_test_plane *p)
{
	int status = 0;

	if (p->link_fd >= 0)
		mr_test_plane_leave(p);
	kill(p->pid, SIGTERM);
	if (waitpid(p->pid, &status, 0) != p->pid || !WIFEXITED(status) || WEXITSTATUS(status) != 0)
		die("data plane did not end well", -ECANCELED);
	if (rmdir(p->run_dir) < 0)
		die("run directory is not empty", -errno);
}

int mr_test_session_try(struct mr_test_plane *p, struct mr_test_session *s, const char *name)
{
	struct mrf_link_open_session v = {.name = mrf_str(name), .pid = (uint32_t)getpid()};
	struct mrf_builder b;
	uint64_t memory[64];

	memset(s, 0, sizeof(*s));
	mrf_builder_init(&b, memory, sizeof(memory));
	request(p, &b, MRF_LINK_BODY_LINK_OPEN_SESSION, mrf_link_open_session_write(&b, &v));
	if (p->type == MRF_LINK_BODY_LINK_RESULT)
		return mrf_link_result_code(p->body);
	s->id = mrf_link_session_opened_session(p->body);
	s->worker = mrf_link_session_opened_worker(p->body);
	if (mr_channel_map(&s->channel, p->fds[MR_CHANNEL_FD_MEMORY],
		    p->fds[MR_CHANNEL_FD_WORKER_BELL], p->fds[MR_CHANNEL_FD_PEER_BELL]) != 0 ||
		mr_worker_page_map(p->fds[MR_CHANNEL_FD_WORKER_PAGE], &s->page) != 0)
		die("channel", -EBADMSG);
	close(p->fds[MR_CHANNEL_FD_WORKER_PAGE]);
	s->liveness_fd = p->fds[MR_CHANNEL_FD_LIVENESS];
	mr_channel_peer_side(&s->channel, s->page, &s->up, &s->down);
	return 0;
}

void mr_test_session_open(struct mr_test_plane *p, struct mr_test_session *s, const char *name)
{
	int error = mr_test_session_try(p, s, name);

	if (error != 0)
		die("session refused", error);
}

void mr_test_session_close(struct mr_test_session *s)
{
	close(s->liveness_fd);
	mr_channel_close(&s->channel);
	mr_worker_page_unmap(s->page);
}

static int subscribe(struct mr_test_plane *p, const struct mrf_link_subscribe *v)
{
	struct mrf_builder b;
	uint64_t memory[128];

	mrf_builder_init(&b, memory, sizeof(memory));
	request(p, &b, MRF_LINK_BODY_LINK_SUBSCRIBE, mrf_link_subscribe_write(&b, v));
	return mrf_link_result_code(p->body);
}

int mr_test_subscribe(struct mr_test_plane *p, const struct mr_test_session *s, uint32_t id,
	enum mrf_subscription_kind kind, const char *pattern, const char *group)
{
	const struct mrf_link_subscribe v = {
		.session = s->id,
		.subscription = id,
		.kind = kind,
		.pattern = mrf_str(pattern),
		.group = group != NULL ? mrf_str(group) : (struct mrf_string){0},
	};

	return subscribe(p, &v);
}

int mr_test_subscribe_block(struct mr_test_plane *p, const struct mr_test_session *s, uint32_t id,
	const char *pattern, const char *group, uint8_t high_water)
{
	const struct mrf_link_subscribe v = {
		.session = s->id,
		.subscription = id,
		.pattern = mrf_str(pattern),
		.group = group != NULL ? mrf_str(group) : (struct mrf_string){0},
		.when_full = MRF_WHEN_FULL_BLOCK,
		.high_water = high_water,
	};

	return subscribe(p, &v);
}

int mr_test_unsubscribe(struct mr_test_plane *p, const struct mr_test_session *s, uint32_t id)
{
	struct mrf_link_unsubscribe v = {.session = s->id, .subscription = id};
	struct mrf_builder b;
	uint64_t memory[64];

	mrf_builder_init(&b, memory, sizeof(memory));
	request(p, &b, MRF_LINK_BODY_LINK_UNSUBSCRIBE, mrf_link_unsubscribe_write(&b, &v));
	return mrf_link_result_code(p->body);
}

int mr_test_bind(struct mr_test_plane *p, uint32_t queue, const char *name, const char *pattern)
{
	struct mrf_link_bind v = {
		.queue = queue, .name = mrf_str(name), .pattern = mrf_str(pattern)};
	struct mrf_builder b;
	uint64_t memory[128];

	mrf_builder_init(&b, memory, sizeof(memory));
	request(p, &b, MRF_LINK_BODY_LINK_BIND, mrf_link_bind_write(&b, &v));
	return p->type == MRF_LINK_BODY_LINK_BOUND ? (int)mrf_link_bound_bindings(p->body)
						   : mrf_link_result_code(p->body);
}

int mr_test_unbind(struct mr_test_plane *p, const char *name, const char *pattern)
{
	struct mrf_link_unbind v = {.name = mrf_str(name), .pattern = mrf_str(pattern)};
	struct mrf_builder b;
	uint64_t memory[128];

	mrf_builder_init(&b, memory, sizeof(memory));
	request(p, &b, MRF_LINK_BODY_LINK_UNBIND, mrf_link_unbind_write(&b, &v));
	return p->type == MRF_LINK_BODY_LINK_BOUND ? (int)mrf_link_bound_bindings(p->body)
						   : mrf_link_result_code(p->body);
}

int mr_test_alias(struct mr_test_plane *p, const struct mr_test_session *s, const char *subject,
	uint32_t *alias)
{
	struct mrf_link_alias_acquire v = {.session = s->id, .subject = mrf_str(subject)};
	struct mrf_builder b;
	uint64_t memory[128];

	mrf_builder_init(&b, memory, sizeof(memory));
	request(p, &b, MRF_LINK_BODY_LINK_ALIAS_ACQUIRE, mrf_link_alias_acquire_write(&b, &v));
	if (p->type == MRF_LINK_BODY_LINK_RESULT)
		return mrf_link_result_code(p->body);
	*alias = mrf_link_alias_acquired_alias(p->body);
	return 0;
}

int mr_test_kick(struct mr_test_plane *p, uint64_t session, const char *reason)
{
	struct mrf_link_close_session v = {.session = session, .reason = mrf_str(reason)};
	struct mrf_builder b;
	uint64_t memory[64];

	mrf_builder_init(&b, memory, sizeof(memory));
	request(p, &b, MRF_LINK_BODY_LINK_CLOSE_SESSION, mrf_link_close_session_write(&b, &v));
	return mrf_link_result_code(p->body);
}

void mr_test_publish(struct mr_test_session *s, uint32_t alias, const char *subject,
	const uint64_t *correlation, const char *headers, const char *text)
{
	struct mrf_reply_token token = {.correlation = correlation != NULL ? *correlation : 0};
	uint32_t subject_bytes = alias == 0 ? (uint32_t)strlen(subject) : 0;
	uint32_t header_bytes = headers != NULL ? (uint32_t)strlen(headers) : 0;
	uint32_t payload_bytes = (uint32_t)strlen(text);
	uint32_t bytes =
		mr_message_bytes(correlation != NULL, subject_bytes, header_bytes, payload_bytes);
	uint64_t until = now_ns() + WAIT_NS;
	uint8_t *to;

	while ((to = mr_bytes_claim(&s->up, mr_message_stride(bytes))) == NULL) {
		mr_test_flush(s);
		sched_yield();
		if (now_ns() > until)
			die("the worker does not read", -ETIMEDOUT);
	}
	to = mr_message_begin(to, MRF_MESSAGE_KIND_PUBLISH, alias,
		correlation != NULL ? &token : NULL, subject_bytes, header_bytes, payload_bytes);
	if (subject_bytes > 0)
		memcpy(to, subject, subject_bytes);
	if (headers != NULL)
		memcpy(to + subject_bytes, headers, header_bytes);
	memcpy(to + subject_bytes + header_bytes, text, payload_bytes);
	mr_bytes_push(&s->up, bytes);
}

void mr_test_push(struct mr_test_session *s, const struct mr_message_plan *plan, uint32_t target)
{
	uint64_t until = now_ns() + WAIT_NS;
	void *to;

	while ((to = mr_bytes_claim(&s->up, plan->stride)) == NULL) {
		mr_test_flush(s);
		sched_yield();
		if (now_ns() > until)
			die("the worker does not read", -ETIMEDOUT);
	}
	mr_message_write(to, plan, target);
	mr_bytes_push(&s->up, plan->bytes);
}

static void hand_over(struct mr_test_plane *p, unsigned worker, const void *data, uint32_t bytes)
{
	struct mr_message_plan plan =
		mr_message_plan(MRF_MESSAGE_KIND_CONTROL, NULL, NULL, 0, data, 0, bytes);
	struct mrf_handoff_header h = {
		.bytes = (uint32_t)sizeof(h) + plan.bytes, .reason = MRF_HANDOFF_REASON_QUEUE};
	struct mr_bytes_producer *ring = &p->handoff[worker].to_worker;
	uint8_t *to = mr_bytes_claim(ring, sizeof(h) + plan.stride);

	if (to == NULL)
		die("hand-off ring", -ENOSPC);
	memcpy(to, &h, sizeof(h));
	mr_message_write(to + sizeof(h), &plan, 1);
	mr_bytes_push(ring, h.bytes);
	if (mr_bytes_publish(ring))
		mr_bell_ring(p->handoff[worker].channel.worker_bell_fd);
}

static struct mrf_table take_answer(struct mr_test_plane *p, unsigned worker)
{
	struct mr_bytes_consumer *ring = &p->handoff[worker].from_worker;
	uint64_t until = now_ns() + WAIT_NS;
	struct mrf_handoff_header h;
	struct mr_message_view m;
	struct mrf_table answer = {0};
	const uint8_t *at;

	(void)mr_bytes_release(ring);
	while (mr_bytes_readable(ring) == 0) {
		sched_yield();
		if (now_ns() > until)
			die("no answer of a worker", -ETIMEDOUT);
	}
	at = mr_bytes_peek(ring);
	memcpy(&h, at, sizeof(h));
	if (h.reason != MRF_HANDOFF_REASON_QUEUE ||
		!mr_message_parse(at + sizeof(h), mr_message_header_load(at + sizeof(h)), &m) ||
		mrf_queue_message_parse(m.payload, m.payload_bytes, &answer) != 0)
		die("answer of a worker", -EBADMSG);
	mr_bytes_skip(ring, h.bytes);
	return mrf_queue_message_body(answer);
}

struct mrf_table mr_test_command(
	struct mr_test_plane *p, unsigned worker, const struct mrf_queue_command *command)
{
	struct mrf_queue_message message = {.body_type = MRF_QUEUE_BODY_QUEUE_COMMAND};
	uint64_t memory[256];
	struct mrf_builder b;
	const void *data;
	size_t bytes;
	int error;

	mrf_builder_init(&b, memory, sizeof(memory));
	message.body = mrf_queue_command_write(&b, command);
	error = mrf_builder_finish(&b, mrf_queue_message_write(&b, &message), &data, &bytes);
	if (error != 0)
		die("build", error);
	hand_over(p, worker, data, (uint32_t)bytes);
	return take_answer(p, worker);
}

bool mr_test_promise(struct mr_test_session *s, const char *subject, uint64_t publisher,
	uint64_t id, const void *payload, uint32_t bytes)
{
	const struct mr_message_extra extra = {
		.flags = MRF_MESSAGE_FLAG_ORIGIN,
		.origin = {publisher, id},
	};
	struct mr_message_plan plan = mr_message_plan(MRF_MESSAGE_KIND_PUBLISH, NULL, subject,
		(uint32_t)strlen(subject), payload, 0, bytes);
	void *to;

	mr_message_plan_extra(&plan, &extra);
	to = mr_bytes_claim(&s->up, plan.stride);
	if (to == NULL)
		return false;
	mr_message_write(to, &plan, 0);
	mr_bytes_push(&s->up, plan.stride);
	return true;
}

void mr_test_flush(struct mr_test_session *s)
{
	if (mr_bytes_publish(&s->up))
		mr_bell_ring(s->channel.worker_bell_fd);
}

struct mr_message_view mr_test_next(struct mr_test_session *s)
{
	uint64_t until = now_ns() + WAIT_NS;
	struct mr_message_view m = {0};
	struct mrf_message_header h;
	const uint8_t *at;
	size_t ready;

	/* The worker may wait for room to send a Gap. */
	if (mr_bytes_release(&s->down))
		mr_bell_ring(s->channel.worker_bell_fd);
	while ((ready = mr_bytes_readable(&s->down)) == 0) {
		sched_yield();
		if (now_ns() > until)
			die("no message", -ETIMEDOUT);
	}
	at = mr_bytes_peek(&s->down);
	h = mr_message_header_load(at);
	if (ready == MR_BYTES_CORRUPT || !mr_message_fits(&h, ready) ||
		!mr_message_parse(at, h, &m))
		die("message from the worker", -EBADMSG);
	mr_bytes_skip(&s->down, h.bytes);
	return m;
}

bool mr_test_nothing(struct mr_test_plane *p, struct mr_test_session *s)
{
	/* A message to itself, which the worker takes after all earlier ones. */
	static const uint64_t correlation = 0x5eed;
	struct mr_message_view m;

	(void)p;
	mr_test_publish(s, 0, "nobody.listens.here", &correlation, NULL, "");
	mr_test_flush(s);
	m = mr_test_next(s);
	return m.header.kind == MRF_MESSAGE_KIND_STATUS && m.token.correlation == correlation;
}

static const struct mrf_stats_header *header_of(const struct mr_test_plane *p)
{
	return p->stats;
}

const struct mrf_worker_stats *mr_test_worker_stats(const struct mr_test_plane *p, unsigned worker)
{
	const struct mrf_stats_header *h = header_of(p);

	return (const void *)((const char *)p->stats + h->worker_offset +
			      worker * h->worker_stride);
}

const struct mrf_table_stats *mr_test_table_stats(const struct mr_test_plane *p)
{
	return (const void *)((const char *)p->stats + header_of(p)->table_offset);
}

const struct mrf_session_stats *mr_test_session_stats(
	const struct mr_test_plane *p, const struct mr_test_session *s)
{
	const struct mrf_stats_header *h = header_of(p);
	size_t index = (size_t)s->worker * h->slots + mr_session_slot(s->id);

	return (const void *)((const char *)p->stats + h->session_offset +
			      index * h->session_stride);
}

void mr_test_yield(uint64_t *until, const char *what)
{
	if (*until == 0)
		*until = now_ns() + WAIT_NS;
	else if (now_ns() > *until)
		die(what, -ETIMEDOUT);
	sched_yield();
}

void mr_test_wait_count(const uint64_t *counter, uint64_t least, const char *what)
{
	uint64_t until = now_ns() + WAIT_NS;

	while (__atomic_load_n(counter, __ATOMIC_RELAXED) < least) {
		sched_yield();
		if (now_ns() > until)
			die(what, -ETIMEDOUT);
	}
}
