/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/loop/conn.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/base/compiler.h"

#define OUT_FDS_MAX 8u

struct mr_conn_out {
	struct mr_conn_out *next;
	size_t bytes;
	size_t sent;
	/* the control message with the descriptors, filled when it is sent */
	alignas(struct cmsghdr) uint8_t control[CMSG_SPACE(OUT_FDS_MAX * sizeof(int))];
	unsigned fds_count;
	int fds[OUT_FDS_MAX];
	uint8_t data[];
};

static void close_fds(const int *fds, unsigned count)
{
	for (unsigned i = 0; i < count; i++)
		close(fds[i]);
}

static void drop_first(struct mr_conn *c)
{
	struct mr_conn_out *o = c->out_first;

	c->out_first = o->next;
	if (o->next == NULL)
		c->out_last = &c->out_first;
	c->out_bytes -= o->bytes;
	close_fds(o->fds, o->fds_count);
	free(o);
}

/* Closes the connection when no operation is pending any more: operations point into it. True if it
 * did. */
static bool ended(struct mr_conn *c)
{
	if (!c->closing || c->receive.pending || c->send.pending)
		return false;
	while (c->out_first != NULL)
		drop_first(c);
	close(c->fd);
	c->fd = -1;
	c->events->closed(c, c->error);
	return true;
}

static void receive_on(struct mr_conn *c)
{
	struct io_uring_sqe *e;

	if (c->closing || c->paused || c->receive.pending)
		return;
	assert(c->in_bytes < c->in_capacity);
	c->in_iov = (struct iovec){c->in + c->in_bytes, c->in_capacity - c->in_bytes};
	c->in_message = (struct msghdr){
		.msg_iov = &c->in_iov,
		.msg_iovlen = 1,
		.msg_control = c->in_control,
		.msg_controllen = c->in_control != NULL ? MR_CONN_CONTROL_BYTES : 0,
	};
	e = mr_loop_start(c->loop, &c->receive);
	io_uring_prep_recvmsg(e, c->fd, &c->in_message, MSG_CMSG_CLOEXEC);
}

static unsigned take_fds(struct mr_conn *c, int *fds)
{
	unsigned count = 0;

	if (c->in_control == NULL)
		return 0;
	for (struct cmsghdr *h = CMSG_FIRSTHDR(&c->in_message); h != NULL;
		h = CMSG_NXTHDR(&c->in_message, h)) {
		size_t bytes = h->cmsg_len - CMSG_LEN(0);

		if (h->cmsg_level != SOL_SOCKET || h->cmsg_type != SCM_RIGHTS)
			continue;
		memcpy(fds + count, CMSG_DATA(h), bytes);
		count += (unsigned)(bytes / sizeof(int));
	}
	return count;
}

static void received(struct mr_op *op, int result)
{
	struct mr_conn *c = mr_container_of(op, struct mr_conn, receive);
	int fds[MR_CONN_FDS_MAX];
	unsigned fds_count = result >= 0 ? take_fds(c, fds) : 0;
	/* A user without room for descriptors loses nothing: the kernel closes them. */
	int lost = MSG_TRUNC | (c->in_control != NULL ? MSG_CTRUNC : 0);
	bool more = true;

	if (c->closing) {
		close_fds(fds, fds_count);
		(void)ended(c);
		return;
	}
	if (result > 0 && (c->in_message.msg_flags & lost) != 0)
		result = -EMSGSIZE;
	if (result <= 0 && result != -EINTR && result != -EAGAIN) {
		close_fds(fds, fds_count);
		mr_conn_close(c, result == 0 ? -EPIPE : result);
		(void)ended(c);
		return;
	}
	if (result > 0)
		more = c->events->received(c, (size_t)result, fds, fds_count);
	c->paused = !more;
	if (!ended(c))
		receive_on(c);
}

/* Sends the first packet of the queue. The operation points into the connection and the queue; both
 * live until it ends. */
static void send_on(struct mr_conn *c)
{
	struct mr_conn_out *o = c->out_first;
	struct io_uring_sqe *e;

	if (c->closing || c->send.pending || o == NULL)
		return;
	c->out_iov = (struct iovec){o->data + o->sent, o->bytes - o->sent};
	c->out_message = (struct msghdr){.msg_iov = &c->out_iov, .msg_iovlen = 1};
	if (o->fds_count > 0 && o->sent == 0) {
		struct cmsghdr *h = (struct cmsghdr *)(void *)o->control;

		h->cmsg_level = SOL_SOCKET;
		h->cmsg_type = SCM_RIGHTS;
		h->cmsg_len = CMSG_LEN(o->fds_count * sizeof(int));
		memcpy(CMSG_DATA(h), o->fds, o->fds_count * sizeof(int));
		c->out_message.msg_control = h;
		c->out_message.msg_controllen = CMSG_SPACE(o->fds_count * sizeof(int));
	}
	e = mr_loop_start(c->loop, &c->send);
	io_uring_prep_sendmsg(e, c->fd, &c->out_message, MSG_NOSIGNAL);
}

static void sent(struct mr_op *op, int result)
{
	struct mr_conn *c = mr_container_of(op, struct mr_conn, send);

	if (!c->closing && result < 0 && result != -EINTR && result != -EAGAIN)
		mr_conn_close(c, result);
	if (ended(c) || c->closing)
		return;
	if (result > 0) {
		c->out_first->sent += (size_t)result;
		if (c->out_first->sent == c->out_first->bytes)
			drop_first(c);
	}
	if (c->out_first != NULL) {
		send_on(c);
		return;
	}
	if (c->finishing) {
		mr_conn_close(c, 0);
		(void)ended(c);
	} else if (c->events->drained != NULL) {
		c->events->drained(c);
	}
}

void mr_conn_open(struct mr_conn *c, struct mr_loop *l, int fd)
{
	c->loop = l;
	c->fd = fd;
	c->receive = (struct mr_op){.done = received};
	c->send = (struct mr_op){.done = sent};
	c->error = 0;
	c->closing = c->finishing = c->paused = false;
	c->in_bytes = 0;
	c->out_first = NULL;
	c->out_last = &c->out_first;
	c->out_bytes = 0;
	receive_on(c);
}

int mr_conn_send(
	struct mr_conn *c, const void *data, size_t bytes, const int *fds, unsigned fds_count)
{
	struct mr_conn_out *o = NULL;
	int error = 0;

	assert(bytes > 0 && fds_count <= OUT_FDS_MAX);
	if (c->fd < 0 || c->closing || c->finishing)
		error = -ENOTCONN;
	else if (c->out_bytes + bytes > c->out_bytes_max)
		error = -ENOBUFS;
	else
		o = malloc(sizeof(*o) + bytes);
	if (o == NULL) {
		close_fds(fds, fds_count);
		return error != 0 ? error : -ENOMEM;
	}
	o->next = NULL;
	o->bytes = bytes;
	o->sent = 0;
	o->fds_count = fds_count;
	if (fds_count > 0)
		memcpy(o->fds, fds, fds_count * sizeof(int));
	memcpy(o->data, data, bytes);
	*c->out_last = o;
	c->out_last = &o->next;
	c->out_bytes += bytes;
	send_on(c);
	return 0;
}

void mr_conn_resume(struct mr_conn *c)
{
	c->paused = false;
	receive_on(c);
}

/* Lets the loop end the connection if nothing is pending, by an operation that does nothing. */
static void end_later(struct mr_conn *c)
{
	struct io_uring_sqe *e;

	if (c->receive.pending || c->send.pending)
		return;
	e = mr_loop_start(c->loop, &c->receive);
	io_uring_prep_nop(e);
}

void mr_conn_close(struct mr_conn *c, int error)
{
	if (c->fd < 0 || c->closing)
		return;
	c->closing = true;
	c->error = error;
	mr_loop_cancel(c->loop, &c->receive);
	mr_loop_cancel(c->loop, &c->send);
	end_later(c);
}

void mr_conn_finish(struct mr_conn *c)
{
	if (c->fd < 0 || c->closing)
		return;
	c->finishing = true;
	if (c->out_first == NULL)
		mr_conn_close(c, 0);
}
