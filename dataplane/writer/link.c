/* SPDX-License-Identifier: Apache-2.0 */
/* The link to control: a unix socket, one connection at a time, one message a packet. */
#include "dataplane/writer/writer.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "lib/base/log.h"
#include "lib/channel/packet.h"

/* Control that does not read for this time is taken for dead. */
#define SEND_WAIT_MS 500

static int socket_path(const struct mr_writer *wr, struct sockaddr_un *at)
{
	int n;

	memset(at, 0, sizeof(*at));
	at->sun_family = AF_UNIX;
	n = snprintf(at->sun_path, sizeof(at->sun_path), "%s/dataplane.sock", wr->config->run_dir);
	return n > 0 && (size_t)n < sizeof(at->sun_path) ? 0 : -ENAMETOOLONG;
}

int mr_writer_listen(struct mr_writer *wr)
{
	struct epoll_event e = {.events = EPOLLIN, .data.ptr = &wr->listen_fd};
	struct sockaddr_un at;
	int error = socket_path(wr, &at);

	if (error != 0)
		return error;
	wr->listen_fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (wr->listen_fd < 0)
		return -errno;
	/* We have the lock, so an existing socket is left over from a process that has ended. */
	unlink(at.sun_path);
	if (bind(wr->listen_fd, (struct sockaddr *)&at, sizeof(at)) < 0 ||
		chmod(at.sun_path, 0600) < 0 || listen(wr->listen_fd, 4) < 0 ||
		epoll_ctl(wr->epoll_fd, EPOLL_CTL_ADD, wr->listen_fd, &e) < 0)
		return -errno;
	return 0;
}

static bool peer_allowed(int fd)
{
	struct ucred peer;
	socklen_t bytes = sizeof(peer);

	return getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &bytes) == 0 &&
	       (peer.uid == 0 || peer.uid == geteuid());
}

void mr_writer_accept(struct mr_writer *wr)
{
	struct epoll_event e = {.events = EPOLLIN, .data.ptr = &wr->link_fd};
	int send_buffer_bytes = 1 << 20;
	int fd = accept4(wr->listen_fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

	if (fd < 0)
		return;
	if (!peer_allowed(fd)) {
		mr_count(wr->stats->bad_link_messages, 1);
		close(fd);
		return;
	}
	if (wr->link_fd >= 0)
		mr_writer_link_close(wr, "replaced by another control");
	/* Room for large packets of listings; with less they only wait longer. */
	(void)setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &send_buffer_bytes, sizeof(send_buffer_bytes));
	if (epoll_ctl(wr->epoll_fd, EPOLL_CTL_ADD, fd, &e) < 0) {
		close(fd);
		return;
	}
	wr->link_fd = fd;
	wr->link_welcomed = false;
	mr_count(wr->stats->control_connects, 1);
}

void mr_writer_link_close(struct mr_writer *wr, const char *why)
{
	if (wr->link_fd < 0)
		return;
	mr_log(MR_LOG_INFO, "control disconnected", MR_LOG_STR("why", why));
	close(wr->link_fd);
	wr->link_fd = -1;
	mr_writer_answers_forget(wr);
}

static bool wait_writable(int fd)
{
	struct pollfd p = {.fd = fd, .events = POLLOUT};

	return poll(&p, 1, SEND_WAIT_MS) == 1 && !(p.revents & (POLLHUP | POLLERR));
}

void mr_writer_link_send(struct mr_writer *wr, struct mrf_builder *b, uint64_t id,
	enum mrf_link_body type, uint32_t body, const int *fds, unsigned fds_count)
{
	struct mrf_link_message m = {.id = id, .body_type = type, .body = body};
	const void *data;
	size_t bytes;
	ssize_t n = mrf_builder_finish(b, mrf_link_message_write(b, &m), &data, &bytes);

	if (wr->link_fd < 0)
		return;
	if (n == 0) {
		n = mr_packet_send(wr->link_fd, data, bytes, fds, fds_count);
		if (n == -EAGAIN && wait_writable(wr->link_fd))
			n = mr_packet_send(wr->link_fd, data, bytes, fds, fds_count);
	}
	if (n == -ETOOMANYREFS && type == MRF_LINK_BODY_LINK_SESSION_OPENED) {
		/* Clients do not receive the descriptors that were sent to them: not control's
		 * fault. */
		mr_writer_link_result(wr, id, (int)n, "too many descriptors under way to clients");
		return;
	}
	if (n < 0) {
		mr_log(MR_LOG_WARN, "cannot send a packet to control", MR_LOG_ERR((int)n));
		mr_writer_link_close(wr, "it does not read");
	}
}

void mr_writer_link_result(struct mr_writer *wr, uint64_t id, int code, const char *text)
{
	struct mrf_link_result r = {.code = code, .text = mrf_str(text)};
	struct mrf_builder b;
	uint64_t memory[64];

	mrf_builder_init(&b, memory, sizeof(memory));
	mr_writer_link_send(
		wr, &b, id, MRF_LINK_BODY_LINK_RESULT, mrf_link_result_write(&b, &r), NULL, 0);
}

/* Has the workers tell this control what it knows to read. */
static void adapt_workers(struct mr_writer *wr, struct mrf_table hello)
{
	for (unsigned i = 0; i < wr->workers_count; i++)
		atomic_store_explicit(&wr->workers[i]->handoff.control_takes_peer,
			mrf_link_hello_takes_peer(hello), memory_order_relaxed);
}

static void send_welcome(struct mr_writer *wr, uint64_t id)
{
	struct mrf_link_welcome v = {
		.version = 1,
		.pid = (uint32_t)getpid(),
		.workers = wr->workers_count,
		.server_version = mrf_str(MR_VERSION),
		.started_ns = wr->started_ns,
		.message_bytes_max = MR_MESSAGE_BYTES_MAX,
		.takes_pidfd = true,
	};
	int fds[1 + 4 * MR_WORKERS_MAX];
	struct mrf_builder b;
	uint64_t memory[64];
	unsigned count = 0;

	fds[count++] = wr->stats_fd;
	for (unsigned i = 0; i < wr->workers_count; i++) {
		const struct mr_worker *w = wr->workers[i];

		fds[count++] = w->handoff.channel.memory_fd;
		fds[count++] = w->page_fd;
		fds[count++] = w->handoff.channel.worker_bell_fd;
		fds[count++] = w->handoff.channel.peer_bell_far_fd;
	}
	mrf_builder_init(&b, memory, sizeof(memory));
	mr_writer_link_send(
		wr, &b, id, MRF_LINK_BODY_LINK_WELCOME, mrf_link_welcome_write(&b, &v), fds, count);
	wr->link_welcomed = true;
	mr_log(MR_LOG_INFO, "control connected");
}

static void refuse_packet(struct mr_writer *wr, const char *why)
{
	mr_count(wr->stats->bad_link_messages, 1);
	mr_log(MR_LOG_WARN, "refused a packet from control", MR_LOG_STR("why", why));
	mr_writer_link_close(wr, "it sent a malformed packet");
}

/* Owns `fd`; -1: none. */
static void handle_packet(struct mr_writer *wr, const void *data, size_t bytes, int fd)
{
	struct mrf_table m;
	int error = mrf_link_message_parse(data, bytes, &m);

	if (error == 0 && wr->link_welcomed) {
		mr_writer_request(wr, m, fd);
		return;
	}
	if (fd >= 0)
		close(fd);
	if (error != 0) {
		refuse_packet(wr, "not a link message");
	} else if (mrf_link_message_body_type(m) != MRF_LINK_BODY_LINK_HELLO) {
		refuse_packet(wr, "the first packet is not a hello");
	} else if (mrf_link_hello_version(mrf_link_message_body(m)) != 1) {
		mr_writer_link_result(wr, mrf_link_message_id(m), -EPROTO,
			"data plane " MR_VERSION " speaks version 1 of the link");
		mr_writer_link_close(wr, "it speaks another version");
	} else {
		adapt_workers(wr, mrf_link_message_body(m));
		send_welcome(wr, mrf_link_message_id(m));
	}
}

void mr_writer_link_read(struct mr_writer *wr)
{
	static uint64_t buffer[MR_WRITER_LINK_BYTES_MAX / sizeof(uint64_t)];

	/* A bounded batch, so that dead sessions are handled in between. */
	for (unsigned i = 0; i < 64 && wr->link_fd >= 0; i++) {
		unsigned fds = 1;
		int fd = -1;
		ssize_t n = mr_packet_receive(wr->link_fd, buffer, sizeof(buffer), &fd, &fds);

		if (n == -EAGAIN)
			return;
		if (n == 0)
			mr_writer_link_close(wr, "it closed the link");
		else if (n < 0 && n != -EMSGSIZE)
			mr_writer_link_close(wr, mr_log_errno_text((int)n));
		else if (n < 0)
			refuse_packet(wr, "too large");
		else
			handle_packet(wr, buffer, (size_t)n, fds > 0 ? fd : -1);
	}
}
