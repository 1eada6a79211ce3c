/* SPDX-License-Identifier: Apache-2.0 */
/* attach: the exchange over the attach socket, one packet each way, without blocking. It ends with
 * the channel mapped and the socket closed. */
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "client/core/error.h"
#include "client/core/limits.h"
#include "client/core/wait.h"
#include "client/transport/shm/shm.h"
#include "flatbuf/attach.h"
#include "lib/channel/packet.h"

#define ATTACH_VERSION   1u
#define PACKET_BYTES_MAX 4096u

static int send_request(struct mr_client *c)
{
	struct mrf_attach_request request = {.version = ATTACH_VERSION, .name = mrf_str(c->name)};
	uint8_t memory[256];
	struct mrf_builder b;
	const void *out;
	ssize_t sent;
	size_t bytes;
	int error;

	mrf_builder_init(&b, memory, sizeof(memory));
	error = mrf_builder_finish(&b, mrf_attach_request_write(&b, &request), &out, &bytes);
	if (error != 0)
		return error;
	sent = mr_packet_send(c->attach_fd, out, bytes, NULL, 0);
	return sent < 0 ? (int)sent : 0;
}

void mr_attach_end(struct mr_client *c)
{
	if (c->attach_fd < 0)
		return;
	mr_wait_unwatch(c, c->attach_fd);
	close(c->attach_fd);
	c->attach_fd = -1;
}

/* Translates an error of connect into one for the library's callers. */
static int connect_failed(struct mr_client *c, int error)
{
	if (error == -EAGAIN)
		return mr_failf(c, error, "%s: too many wait to attach", c->path);
	if (error == -ENOENT || error == -ECONNREFUSED || error == -ENOTDIR)
		return mr_failf(c, -ECONNREFUSED, "%s: no bus listens there (%s)", c->path,
			strerrordesc_np(-error));
	if (error == -EACCES || error == -EPERM)
		return mr_failf(c, -EACCES, "%s: not permitted for this user", c->path);
	return mr_failf(c, error, "%s: %s", c->path, strerrordesc_np(-error));
}

int mr_attach_begin(struct mr_client *c)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int error = 0;

	c->attach_fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (c->attach_fd < 0)
		return connect_failed(c, -errno);
	memcpy(address.sun_path, c->path, strlen(c->path) + 1);
	if (connect(c->attach_fd, (struct sockaddr *)&address, sizeof(address)) < 0)
		error = -errno;
	if (error == 0)
		error = send_request(c);
	if (error != 0) {
		close(c->attach_fd);
		c->attach_fd = -1;
		return connect_failed(c, error);
	}
	c->attach_deadline_ns = mr_now_ns() + c->attach_ms * MR_NS_PER_MS;
	c->attach_due_ns = c->attach_deadline_ns;
	mr_wait_watch(c, c->attach_fd);
	return 0;
}

struct packet {
	alignas(8) uint8_t data[PACKET_BYTES_MAX];
	size_t bytes;
	int fds[MR_CHANNEL_FDS];
	unsigned fds_count;
};

static void fds_close(struct packet *p)
{
	for (unsigned i = 0; i < p->fds_count; i++)
		close(p->fds[i]);
	p->fds_count = 0;
}

static int receive(int fd, struct packet *p)
{
	ssize_t n;

	p->fds_count = MR_CHANNEL_FDS;
	n = mr_packet_receive(fd, p->data, sizeof(p->data), p->fds, &p->fds_count);
	if (n < 0) {
		p->fds_count = 0;
		return n == -EINTR ? -EAGAIN : (int)n;
	}
	p->bytes = (size_t)n;
	return 0;
}

/* Takes over the descriptors of the packet. */
static int install(struct mr_client *c, struct packet *p)
{
	int *fds = p->fds;
	int error = mr_worker_page_map(fds[MR_CHANNEL_FD_WORKER_PAGE], &c->page);

	if (error != 0) {
		fds_close(p);
		return error;
	}
	close(fds[MR_CHANNEL_FD_WORKER_PAGE]);
	error = mr_channel_map(&c->channel, fds[MR_CHANNEL_FD_MEMORY],
		fds[MR_CHANNEL_FD_WORKER_BELL], fds[MR_CHANNEL_FD_PEER_BELL]);
	if (error != 0) {
		close(fds[MR_CHANNEL_FD_LIVENESS]);
		mr_worker_page_unmap(c->page);
		c->page = NULL;
		return error;
	}
	c->liveness_fd = fds[MR_CHANNEL_FD_LIVENESS];
	c->attached_by = getpid();
	c->worker_bell_fd = c->channel.worker_bell_fd;
	mr_channel_peer_side(&c->channel, c->page, &c->up, &c->down);
	c->watched = c->page;
	mr_client_limits(c, MR_BODY_BYTES, false);
	c->record_bytes_max = UINT32_MAX;
	mr_wait_watch(c, c->channel.peer_bell_fd);
	mr_wait_watch(c, c->liveness_fd);
	return 0;
}

static int refused(struct mr_client *c, struct mrf_table t)
{
	int code = mrf_attach_response_code(t);

	if (code > 0 || code < -4095)
		return mr_fail(c, -EPROTO, NULL);
	return mr_failf(c, code, "%s: the bus refuses: %s", c->path,
		mrf_attach_response_text(t).bytes > 0 ? mrf_attach_response_text(t).data
						      : mr_error_text(code));
}

static int accept_response(struct mr_client *c, struct packet *p)
{
	struct mrf_table t;
	int error;

	if (mrf_attach_response_parse(p->data, p->bytes, &t) != 0)
		return mr_fail(c, -EPROTO, "attach: the answer is malformed");
	if (mrf_attach_response_code(t) != 0)
		return refused(c, t);
	if (p->fds_count != MR_CHANNEL_FDS)
		return mr_fail(c, -EPROTO, "attach: descriptors are missing");
	c->whole_bytes_max = mrf_attach_response_whole_bytes_max(t);
	error = install(c, p);
	p->fds_count = 0;
	if (error == -EBADMSG)
		return mr_failf(c, -EPROTO,
			"%s: bus %.32s has another layout of channels than this library, %s",
			c->path, mrf_attach_response_server_version(t).data, MR_VERSION);
	if (error != 0)
		return mr_failf(c, error, "%s: the channel cannot be mapped: %s", c->path,
			strerrordesc_np(-error));
	c->session = mrf_attach_response_session(t);
	c->worker = mrf_attach_response_worker(t);
	return 0;
}

int mr_attach_step(struct mr_client *c)
{
	struct packet p = {.fds_count = 0};
	int error = receive(c->attach_fd, &p);

	if (error == -EAGAIN) {
		if (mr_now_ns() < c->attach_deadline_ns)
			return -EAGAIN;
		error = mr_failf(c, -ETIMEDOUT, "%s: control does not answer", c->path);
	} else if (error == -EMSGSIZE) {
		error = mr_fail(c, -EMFILE,
			"attach: descriptors were lost; perhaps too many files are open");
	} else if (error == 0 && p.bytes == 0) {
		error = mr_failf(c, -ECONNRESET, "%s: control closed the connection", c->path);
	} else if (error == 0) {
		error = accept_response(c, &p);
		fds_close(&p);
		/* -EAGAIN means "not yet" in the exchange; from the bus it is a refusal. */
		if (error == -EAGAIN)
			error = -ECONNREFUSED;
	} else {
		error = connect_failed(c, error);
	}
	mr_attach_end(c);
	return error;
}
