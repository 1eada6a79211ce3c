/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/control/fake.h"

#include <dirent.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/base/stats.h"

#define WAIT_MS 10000

static struct sockaddr_un address(const struct fake *f, const char *name)
{
	struct sockaddr_un at = {.sun_family = AF_UNIX};

	snprintf(at.sun_path, sizeof(at.sun_path), "%s/%s", f->dir, name);
	return at;
}

void fake_wait_readable(int fd)
{
	struct pollfd p = {.fd = fd, .events = POLLIN};
	int n;

	do {
		n = poll(&p, 1, WAIT_MS);
	} while (n < 0 && errno == EINTR);
	assert_int_equal(n, 1);
}

void fake_expect_eof(int fd)
{
	char byte;
	ssize_t n;

	do {
		fake_wait_readable(fd);
		n = read(fd, &byte, 1);
	} while (n > 0);
	assert_true(n == 0 || errno == ECONNRESET);
}

void fake_init(struct fake *f)
{
	struct sockaddr_un at;

	memset(f, 0, sizeof(*f));
	f->control = -1;
	f->listen_fd = f->link_fd = f->stats_fd = -1;
	strcpy(f->dir, "/tmp/millrace-control-XXXXXX");
	assert_non_null(mkdtemp(f->dir));
	at = address(f, "notify");
	f->notify_fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(f->notify_fd, (struct sockaddr *)&at, sizeof(at)), 0);
}

static void expect_empty(const char *dir)
{
	DIR *d = opendir(dir);
	struct dirent *e;

	assert_non_null(d);
	while ((e = readdir(d)) != NULL) {
		if (e->d_name[0] != '.')
			fail_msg("%s is left", e->d_name);
	}
	closedir(d);
}

void fake_fini(struct fake *f)
{
	struct sockaddr_un at = address(f, "notify");

	if (f->control > 0)
		assert_int_equal(fake_control_end(f, SIGTERM), 0);
	fake_dataplane_close(f);
	close(f->notify_fd);
	unlink(at.sun_path);
	expect_empty(f->dir);
	rmdir(f->dir);
}

static void run_control(const struct fake *f, const char *set)
{
	char notify[128];
	const char *level =
		getenv("MR_TEST_VERBOSE") != NULL ? "log.level=debug" : "log.level=error";

	snprintf(notify, sizeof(notify), "%s/notify", f->dir);
	setenv("NOTIFY_SOCKET", notify, 1);
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	execl(MR_TEST_CONTROL, "millrace-control", "--run-dir", f->dir, "--set", level,
		set != NULL ? "--set" : NULL, set, NULL);
	_exit(127);
}

static void wait_ready(struct fake *f)
{
	char text[256];
	ssize_t n;

	do {
		fake_wait_readable(f->notify_fd);
		n = recv(f->notify_fd, text, sizeof(text) - 1, 0);
		assert_true(n > 0);
		text[n] = '\0';
	} while (strstr(text, "READY=1") == NULL);
}

void fake_control_start_with(struct fake *f, const char *set)
{
	f->control = fork();
	assert_true(f->control >= 0);
	if (f->control == 0)
		run_control(f, set);
	wait_ready(f);
}

void fake_control_start(struct fake *f)
{
	fake_control_start_with(f, NULL);
}

static int wait_end(pid_t pid)
{
	int status;

	assert_int_equal(waitpid(pid, &status, 0), pid);
	return WIFSIGNALED(status) ? -WTERMSIG(status) : WEXITSTATUS(status);
}

int fake_control_end(struct fake *f, int signal)
{
	pid_t pid = f->control;

	f->control = -1;
	kill(pid, signal);
	return wait_end(pid);
}

int fake_control_once(struct fake *f, const char *set)
{
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (pid == 0)
		run_control(f, set);
	return wait_end(pid);
}

static void make_stats(struct fake *f)
{
	struct mrf_stats_header h = {
		.magic = MR_STATS_MAGIC,
		.workers = f->workers_count,
		.slots = FAKE_SLOTS,
		.table_offset = FAKE_TABLE_OFFSET,
		.worker_offset = FAKE_WORKER_OFFSET,
		.worker_stride = FAKE_WORKER_STRIDE,
		.session_offset = FAKE_SESSION_OFFSET,
		.session_stride = FAKE_SESSION_STRIDE,
		.port_offset = FAKE_PORT_OFFSET,
		.port_stride = sizeof(struct mrf_port_stats),
		.tsc_hz = 1000000000,
	};

	f->stats_fd = memfd_create("stats", MFD_CLOEXEC);
	assert_int_equal(ftruncate(f->stats_fd, FAKE_STATS_BYTES), 0);
	f->stats = mmap(NULL, FAKE_STATS_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, f->stats_fd, 0);
	assert_ptr_not_equal(f->stats, MAP_FAILED);
	memcpy(f->stats, &h, sizeof(h));
}

static void make_worker(struct fake_worker *w)
{
	assert_int_equal(
		mr_channel_new(&w->channel, "handoff", FAKE_RING_BYTES, FAKE_RING_BYTES), 0);
	assert_int_equal(mr_worker_page_new(&w->page_fd, &w->page), 0);
	mr_bytes_producer_init(
		&w->to_control, w->channel.up_shared, w->channel.up_map, w->channel.up_bytes);
	mr_bytes_consumer_init(&w->from_control, w->channel.down_shared, w->channel.down_map,
		w->channel.down_bytes);
	atomic_store(&w->page->asleep, 1);
}

void fake_dataplane_open(struct fake *f, unsigned workers)
{
	struct sockaddr_un at = address(f, "dataplane.sock");

	f->workers_count = workers;
	make_stats(f);
	for (unsigned i = 0; i < workers; i++)
		make_worker(&f->workers[i]);
	f->listen_fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(f->listen_fd, (struct sockaddr *)&at, sizeof(at)), 0);
	assert_int_equal(listen(f->listen_fd, 4), 0);
}

void fake_dataplane_close(struct fake *f)
{
	struct sockaddr_un at = address(f, "dataplane.sock");

	if (f->listen_fd < 0)
		return;
	close(f->listen_fd);
	unlink(at.sun_path);
	f->listen_fd = -1;
	if (f->link_fd >= 0)
		close(f->link_fd);
	f->link_fd = -1;
	munmap(f->stats, FAKE_STATS_BYTES);
	close(f->stats_fd);
	for (unsigned i = 0; i < f->workers_count; i++) {
		mr_channel_close(&f->workers[i].channel);
		mr_worker_page_unmap(f->workers[i].page);
		close(f->workers[i].page_fd);
	}
}

struct mrf_table fake_next(struct fake *f)
{
	unsigned fds = 0;
	struct mrf_table t;
	ssize_t n;

	fake_wait_readable(f->link_fd);
	n = mr_packet_receive(f->link_fd, f->buffer, sizeof(f->buffer), NULL, &fds);
	assert_true(n > 0);
	assert_int_equal(mrf_link_message_parse(f->buffer, (size_t)n, &t), 0);
	return t;
}

void fake_answer(struct fake *f, uint64_t id, struct mrf_builder *b, enum mrf_link_body type,
	uint32_t body, const int *fds, unsigned fds_count)
{
	struct mrf_link_message m = {.id = id, .body_type = type, .body = body};
	const void *data;
	size_t bytes;

	assert_int_equal(mrf_builder_finish(b, mrf_link_message_write(b, &m), &data, &bytes), 0);
	assert_int_equal(mr_packet_send(f->link_fd, data, bytes, fds, fds_count), bytes);
}

void fake_answer_result(struct fake *f, uint64_t id, int code, const char *text)
{
	struct mrf_link_result r = {.code = code, .text = mrf_str(text)};
	struct mrf_builder b;
	uint64_t memory[128];

	mrf_builder_init(&b, memory, sizeof(memory));
	fake_answer(f, id, &b, MRF_LINK_BODY_LINK_RESULT, mrf_link_result_write(&b, &r), NULL, 0);
}

void fake_greet(struct fake *f)
{
	struct mrf_link_welcome v = {
		.version = 1,
		.pid = 4711,
		.workers = f->workers_count,
		.server_version = mrf_str("fake"),
		.started_ns = 12345,
		.message_bytes_max = MR_MESSAGE_BYTES_MAX,
	};
	int fds[1 + 4 * FAKE_WORKERS_MAX];
	unsigned count = 0;
	struct mrf_builder b;
	uint64_t memory[64];
	struct mrf_table hello;

	if (f->link_fd >= 0)
		close(f->link_fd);
	fake_wait_readable(f->listen_fd);
	f->link_fd = accept4(f->listen_fd, NULL, NULL, SOCK_CLOEXEC);
	assert_true(f->link_fd >= 0);
	hello = mrf_link_message_body_as_link_hello(fake_next(f));
	assert_int_equal(mrf_link_hello_version(hello), 1);
	assert_true(mrf_link_hello_takes_peer(hello));
	fds[count++] = f->stats_fd;
	for (unsigned i = 0; i < f->workers_count; i++) {
		fds[count++] = f->workers[i].channel.memory_fd;
		fds[count++] = f->workers[i].page_fd;
		fds[count++] = f->workers[i].channel.worker_bell_fd;
		fds[count++] = f->workers[i].channel.peer_bell_far_fd;
	}
	mrf_builder_init(&b, memory, sizeof(memory));
	fake_answer(
		f, 0, &b, MRF_LINK_BODY_LINK_WELCOME, mrf_link_welcome_write(&b, &v), fds, count);
}

void fake_expect_link_closed(struct fake *f)
{
	fake_expect_eof(f->link_fd);
	close(f->link_fd);
	f->link_fd = -1;
}

bool fake_hand(struct fake *f, unsigned worker, uint8_t reason, uint64_t session, uint8_t kind,
	uint32_t target, const void *payload, size_t bytes)
{
	struct mr_bytes_producer *p = &f->workers[worker].to_control;
	uint32_t prefix = f->says_peer ? (uint32_t)sizeof(f->peer) : 0;
	struct mrf_handoff_header h = {
		.bytes = (uint32_t)sizeof(h) + prefix +
			 mr_message_bytes(false, 0, 0, (uint32_t)bytes),
		.reason = reason,
		.flags = f->says_peer ? MRF_HANDOFF_FLAG_PEER : 0,
		.worker = (uint16_t)worker,
		.session = session,
	};
	uint8_t *to = mr_bytes_claim(p, mr_message_stride(h.bytes));

	if (to == NULL)
		return false;
	memcpy(to, &h, sizeof(h));
	memcpy(to + sizeof(h), &f->peer, prefix);
	to = mr_message_begin(to + sizeof(h) + prefix, (enum mrf_message_kind)kind, target, NULL, 0,
		0, (uint32_t)bytes);
	if (bytes > 0)
		memcpy(to, payload, bytes);
	mr_bytes_push(p, h.bytes);
	return true;
}

void fake_flush(struct fake *f, unsigned worker)
{
	struct fake_worker *w = &f->workers[worker];

	if (!mr_bytes_publish(&w->to_control))
		return;
	atomic_store(&w->to_control.shared->asleep, 0);
	mr_peer_bell_ring(w->channel.peer_bell_fd);
}

void fake_hand_client(struct fake *f, unsigned worker, uint64_t session, uint32_t correlation,
	struct mrf_builder *b, enum mrf_client_body type, uint32_t body)
{
	struct mrf_client_message m = {.body_type = type, .body = body};
	const void *data;
	size_t bytes;

	assert_int_equal(mrf_builder_finish(b, mrf_client_message_write(b, &m), &data, &bytes), 0);
	assert_true(fake_hand(f, worker, MRF_HANDOFF_REASON_CONTROL, session,
		MRF_MESSAGE_KIND_CONTROL, correlation, data, bytes));
	fake_flush(f, worker);
}

void fake_hand_ping(struct fake *f, unsigned worker, uint64_t session, uint32_t correlation)
{
	struct mrf_ping v = {.sent_ns = 77};
	struct mrf_builder b;
	uint64_t memory[32];

	mrf_builder_init(&b, memory, sizeof(memory));
	fake_hand_client(
		f, worker, session, correlation, &b, MRF_CLIENT_BODY_PING, mrf_ping_write(&b, &v));
}

bool fake_hand_hello_bytes(struct fake *f, unsigned worker, const struct mrf_network_path *path,
	uint8_t kind, const void *payload, size_t bytes)
{
	struct mr_bytes_producer *p = &f->workers[worker].to_control;
	struct mrf_handoff_header h = {
		.bytes = (uint32_t)(sizeof(h) + sizeof(*path)) +
			 mr_message_bytes(false, 0, 0, (uint32_t)bytes),
		.reason = MRF_HANDOFF_REASON_HELLO,
		.worker = (uint16_t)worker,
	};
	uint8_t *to = mr_bytes_claim(p, mr_message_stride(h.bytes));

	if (to == NULL)
		return false;
	memcpy(to, &h, sizeof(h));
	memcpy(to + sizeof(h), path, sizeof(*path));
	to = mr_message_begin(to + sizeof(h) + sizeof(*path), (enum mrf_message_kind)kind, 0, NULL,
		0, 0, (uint32_t)bytes);
	memcpy(to, payload, bytes);
	mr_bytes_push(p, h.bytes);
	return true;
}

bool fake_hand_hello(struct fake *f, unsigned worker, const struct fake_hello *hello)
{
	const struct mrf_hello_head head = {
		.nonce = hello->nonce, .cookie = 1, .frame_bytes = hello->frame_bytes};
	struct mrf_hello_request v = {.version = hello->version, .name = mrf_str(hello->name)};
	struct mrf_client_message m = {.body_type = MRF_CLIENT_BODY_HELLO_REQUEST};
	uint8_t payload[512];
	struct mrf_builder b;
	uint64_t memory[64];
	const void *data;
	size_t bytes;

	mrf_builder_init(&b, memory, sizeof(memory));
	m.body = mrf_hello_request_write(&b, &v);
	assert_int_equal(
		mrf_builder_finish(&b, mrf_client_message_write(&b, &m), &data, &bytes), 0);
	assert_true(sizeof(head) + bytes <= sizeof(payload));
	memcpy(payload, &head, sizeof(head));
	memcpy(payload + sizeof(head), data, bytes);
	return fake_hand_hello_bytes(
		f, worker, &hello->path, MRF_MESSAGE_KIND_HELLO, payload, sizeof(head) + bytes);
}

static void wait_answer(struct fake_worker *w)
{
	while (mr_bytes_readable(&w->from_control) == 0) {
		fake_wait_readable(w->channel.worker_bell_fd);
		(void)mr_bell_clear(w->channel.worker_bell_fd);
	}
}

/* Copies the next record; its header and path are in *out, the message in *m. */
static void take_record(
	struct fake *f, unsigned worker, struct fake_taken *out, struct mr_message_view *m)
{
	struct mr_bytes_consumer *c = &f->workers[worker].from_control;
	uint8_t *copy = (uint8_t *)f->buffer;
	struct mrf_message_header header;
	size_t bytes;

	wait_answer(&f->workers[worker]);
	memcpy(&out->header, mr_bytes_peek(c), sizeof(out->header));
	bytes = out->header.bytes;
	assert_true(bytes <= mr_bytes_readable(c) && bytes <= sizeof(f->buffer));
	memcpy(copy, mr_bytes_peek(c), bytes);
	mr_bytes_skip(c, (uint32_t)bytes);
	(void)mr_bytes_release(c);
	copy += sizeof(out->header);
	bytes -= sizeof(out->header);
	if (out->header.reason == MRF_HANDOFF_REASON_REFUSE) {
		memcpy(&out->path, copy, sizeof(out->path));
		copy += sizeof(out->path);
		bytes -= sizeof(out->path);
	}
	header = mr_message_header_load(copy);
	assert_int_equal(header.bytes, bytes);
	assert_int_equal(header.kind, MRF_MESSAGE_KIND_CONTROL);
	assert_true(mr_message_parse(copy, header, m));
	out->correlation = header.target;
}

void fake_take_any(struct fake *f, unsigned worker, struct fake_taken *out)
{
	struct mr_message_view m = {0};

	take_record(f, worker, out, &m);
	assert_int_equal(mrf_client_message_parse(m.payload, m.payload_bytes, &out->message), 0);
}

struct mrf_table fake_take_command(struct fake *f, unsigned worker, uint32_t *id)
{
	struct mr_message_view m = {0};
	struct fake_taken taken;
	struct mrf_table t;

	take_record(f, worker, &taken, &m);
	assert_int_equal(taken.header.reason, MRF_HANDOFF_REASON_QUEUE);
	assert_int_equal(taken.header.session, 0);
	assert_int_equal(mrf_queue_message_parse(m.payload, m.payload_bytes, &t), 0);
	t = mrf_queue_message_body_as_queue_command(t);
	assert_false(mrf_table_is_empty(t));
	*id = taken.correlation;
	return t;
}

void fake_hand_answer(
	struct fake *f, unsigned worker, uint32_t id, struct mrf_builder *b, uint32_t answer)
{
	struct mrf_queue_message m = {.body_type = MRF_QUEUE_BODY_QUEUE_ANSWER, .body = answer};
	const void *data;
	size_t bytes;

	assert_int_equal(mrf_builder_finish(b, mrf_queue_message_write(b, &m), &data, &bytes), 0);
	assert_true(fake_hand(
		f, worker, MRF_HANDOFF_REASON_QUEUE, 0, MRF_MESSAGE_KIND_CONTROL, id, data, bytes));
	fake_flush(f, worker);
}

struct mrf_table fake_take(
	struct fake *f, unsigned worker, uint64_t *session, uint32_t *correlation)
{
	struct fake_taken t;

	fake_take_any(f, worker, &t);
	assert_int_equal(t.header.reason, MRF_HANDOFF_REASON_CONTROL);
	*session = t.header.session;
	*correlation = t.correlation;
	return t.message;
}

struct mrf_table_stats *fake_table_stats(struct fake *f)
{
	return (void *)((uint8_t *)f->stats + FAKE_TABLE_OFFSET);
}

struct mrf_worker_stats *fake_worker_stats(struct fake *f, unsigned worker)
{
	return (void *)((uint8_t *)f->stats + FAKE_WORKER_OFFSET +
			(size_t)worker * FAKE_WORKER_STRIDE);
}

struct mrf_session_stats *fake_session_stats(struct fake *f, unsigned worker, unsigned slot)
{
	return (void *)((uint8_t *)f->stats + FAKE_SESSION_OFFSET +
			((size_t)worker * FAKE_SLOTS + slot) * FAKE_SESSION_STRIDE);
}

int fake_connect(struct fake *f, const char *name, int type)
{
	struct sockaddr_un at = address(f, name);
	int fd = socket(AF_UNIX, type | SOCK_CLOEXEC, 0);

	assert_true(fd >= 0);
	assert_int_equal(connect(fd, (struct sockaddr *)&at, sizeof(at)), 0);
	return fd;
}

void fake_attach_send(int fd, uint32_t version, const char *name)
{
	struct mrf_attach_request v = {.version = version, .name = mrf_str(name)};
	struct mrf_builder b;
	uint64_t memory[64];
	const void *data;
	size_t bytes;

	mrf_builder_init(&b, memory, sizeof(memory));
	assert_int_equal(
		mrf_builder_finish(&b, mrf_attach_request_write(&b, &v), &data, &bytes), 0);
	assert_int_equal(send(fd, data, bytes, MSG_NOSIGNAL), bytes);
}

struct mrf_table fake_attach_receive(struct fake *f, int fd, int *fds, unsigned *fds_count)
{
	struct mrf_table t;
	ssize_t n;

	*fds_count = MR_CHANNEL_FDS;
	fake_wait_readable(fd);
	n = mr_packet_receive(fd, f->buffer, sizeof(f->buffer), fds, fds_count);
	assert_true(n > 0);
	assert_int_equal(mrf_attach_response_parse(f->buffer, (size_t)n, &t), 0);
	return t;
}

static void send_admin(int fd, struct mrf_builder *b, const struct mrf_admin_request *v)
{
	uint8_t packet[1024];
	const void *data;
	uint32_t length;
	size_t bytes;

	assert_int_equal(mrf_builder_finish(b, mrf_admin_request_write(b, v), &data, &bytes), 0);
	length = (uint32_t)bytes;
	assert_true(sizeof(length) + bytes <= sizeof(packet));
	memcpy(packet, &length, sizeof(length));
	memcpy(packet + sizeof(length), data, bytes);
	bytes += sizeof(length);
	assert_int_equal(send(fd, packet, bytes, MSG_NOSIGNAL), bytes);
}

void fake_admin_send(int fd, enum mrf_admin_verb verb, uint64_t session)
{
	const struct mrf_admin_request v = {.verb = verb, .session = session};
	struct mrf_builder b;
	uint64_t memory[32];

	mrf_builder_init(&b, memory, sizeof(memory));
	send_admin(fd, &b, &v);
}

void fake_admin_send_queue(
	int fd, enum mrf_admin_verb verb, const struct mrf_queue_command *command)
{
	struct mrf_admin_request v = {.verb = verb};
	struct mrf_builder b;
	uint64_t memory[96];

	mrf_builder_init(&b, memory, sizeof(memory));
	v.queue = mrf_queue_command_write(&b, command);
	send_admin(fd, &b, &v);
}

static void read_all(int fd, void *to, size_t bytes)
{
	for (size_t done = 0; done < bytes;) {
		ssize_t n;

		fake_wait_readable(fd);
		n = read(fd, (uint8_t *)to + done, bytes - done);
		assert_true(n > 0);
		done += (size_t)n;
	}
}

struct mrf_table fake_admin_receive(struct fake *f, int fd, void **memory)
{
	struct mrf_table t;
	uint32_t length;

	(void)f;
	read_all(fd, &length, sizeof(length));
	assert_true(length <= 64u << 20);
	*memory = malloc(length);
	read_all(fd, *memory, length);
	assert_int_equal(mrf_admin_response_parse(*memory, length, &t), 0);
	return t;
}

uint64_t fake_counter(struct fake *f, const char *scope, const char *name)
{
	int fd = fake_connect(f, "admin.sock", SOCK_STREAM);
	struct mrf_table counters;
	uint64_t value = UINT64_MAX;
	void *memory;

	fake_admin_send(fd, MRF_ADMIN_VERB_COUNTERS, 0);
	counters = mrf_admin_response_body_as_admin_counters(fake_admin_receive(f, fd, &memory));
	for (uint32_t i = 0; i < mrf_admin_counters_rows_count(counters); i++) {
		struct mrf_table row = mrf_admin_counters_rows_at(counters, i);

		if (strcmp(mrf_admin_counter_scope(row).data, scope) == 0 &&
			strcmp(mrf_admin_counter_name(row).data, name) == 0 &&
			mrf_admin_counter_index(row) == 0)
			value = mrf_admin_counter_value(row);
	}
	free(memory);
	close(fd);
	assert_true(value != UINT64_MAX);
	return value;
}
