/* SPDX-License-Identifier: Apache-2.0 */
#include "client/transport/shm/shm.h"

#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "client/core/wait.h"
#include "flatbuf/attach.h"

static void wake(struct mr_client *c)
{
	mr_bell_ring(c->worker_bell_fd);
}

/* Clears the doorbell first: a ring after that is for something not seen here. */
static bool arm(struct mr_client *c)
{
	mr_bell_clear(c->channel.peer_bell_fd);
	return mr_bytes_sleep(&c->down);
}

static unsigned sleep_on(const struct mr_client *c, struct pollfd fds[2])
{
	fds[0] = (struct pollfd){.fd = c->channel.peer_bell_fd, .events = POLLIN};
	fds[1] = (struct pollfd){.fd = c->liveness_fd, .events = POLLIN};
	return 2;
}

/* Reads the bus's reason for ending the session. */
static void read_notice(struct mr_client *c, const void *packet, size_t bytes)
{
	struct mrf_table t;

	if (mrf_session_notice_parse(packet, bytes, &t) != 0) {
		c->malformed++;
		return;
	}
	mr_state_eof(c, mrf_session_notice_text(t).data);
}

static void check_bus(struct mr_client *c)
{
	alignas(8) uint8_t packet[1024];
	ssize_t n;

	do {
		n = recv(c->liveness_fd, packet, sizeof(packet), MSG_DONTWAIT);
		if (n > 0)
			read_notice(c, packet, (size_t)n);
	} while (n > 0);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	mr_state_eof(c, "the data plane went away");
}

/* Sleeps for at most a millisecond: the worker may have missed that a wake-up is wanted. */
static void room_sleep(struct mr_client *c)
{
	struct pollfd fds[2];

	if (poll(fds, sleep_on(c, fds), 1) <= 0)
		return;
	if (fds[1].revents != 0)
		check_bus(c);
	if (fds[0].revents == 0)
		return;
	mr_bell_clear(c->channel.peer_bell_fd);
	/* The doorbell may have rung for a message: the event loop must learn of it. */
	mr_nudge(c);
}

/* The data plane holds a socket of this client, and needs no heartbeat. */
static uint64_t due_ns(const struct mr_client *c)
{
	(void)c;
	return MR_NEVER_NS;
}

/* A child process may have inherited the socket, so that close alone would not tell the bus. */
static void hang_up(struct mr_client *c)
{
	if (c->liveness_fd < 0)
		return;
	if (c->attached_by == getpid())
		shutdown(c->liveness_fd, SHUT_RDWR);
	close(c->liveness_fd);
	c->liveness_fd = -1;
}

static void unmap(struct mr_client *c)
{
	mr_wait_unwatch(c, c->channel.peer_bell_fd);
	mr_wait_unwatch(c, c->liveness_fd);
	hang_up(c);
	mr_channel_close(&c->channel);
	mr_worker_page_unmap(c->page);
	c->page = NULL;
	c->worker_bell_fd = -1;
}

static void fini(struct mr_client *c)
{
	(void)c;
}

const struct mr_transport mr_transport_shm = {
	.attach_begin = mr_attach_begin,
	.attach_step = mr_attach_step,
	.attach_end = mr_attach_end,
	.wake = wake,
	.arm = arm,
	.sleep_on = sleep_on,
	.room_sleep = room_sleep,
	.check_bus = check_bus,
	.due_ns = due_ns,
	.unmap = unmap,
	.fini = fini,
};
