/* SPDX-License-Identifier: Apache-2.0 */
/* conn: a connected socket (stream or packets) with a bounded queue of outgoing data.
 *
 * Owns      The socket from open on; queued data and descriptors until they are sent. The user owns
 *           the receive buffer and the descriptors that it receives.
 * Threads   The loop's.
 * Errors    send: -ENOBUFS if the queue is full, -ENOTCONN if the connection is closing, -ENOMEM.
 */
#ifndef MILLRACE_LIB_LOOP_CONN_H
#define MILLRACE_LIB_LOOP_CONN_H

#include <stddef.h>
#include <sys/socket.h>

#include "lib/loop/loop.h"

struct mr_conn;
struct mr_conn_out;

struct mr_conn_events {
	/* Called with the data of one packet, or with new data of a stream. Descriptors come only
	 * if `in_control` is set. Returns false to pause until mr_conn_resume. */
	bool (*received)(struct mr_conn *c, size_t bytes, int *fds, unsigned fds_count);
	/* Called when the queue is empty again. May be NULL. */
	void (*drained)(struct mr_conn *c);
	/* The last call, made once; then the memory may be reused. 0: closed by this side; -EPIPE:
	 * by the peer; -EMSGSIZE: a packet was too large. */
	void (*closed)(struct mr_conn *c, int error);
};

struct mr_conn {
	struct mr_op receive;
	struct mr_op send;
	struct mr_loop *loop;
	const struct mr_conn_events *events;
	int fd; /* -1: not in use */
	int error;
	bool closing;
	bool finishing; /* closes when the queue is empty */
	bool paused;
	uint8_t *in;
	size_t in_bytes; /* bytes that a stream's user keeps in front of the next data */
	size_t in_capacity;
	struct mr_conn_out *out_first;
	struct mr_conn_out **out_last;
	size_t out_bytes;
	size_t out_bytes_max;
	struct iovec in_iov;
	struct msghdr in_message;
	struct iovec out_iov;
	struct msghdr out_message;
	struct cmsghdr *in_control; /* MR_CONN_CONTROL_BYTES of memory; NULL: no descriptors */
};

#define MR_CONN_FDS_MAX       253u
#define MR_CONN_CONTROL_BYTES CMSG_SPACE(MR_CONN_FDS_MAX * sizeof(int))

/* Takes over `fd`. `events`, `in`, `in_capacity`, `out_bytes_max` and `in_control` must be set. */
void mr_conn_open(struct mr_conn *c, struct mr_loop *l, int fd);
/* Queues a copy of the data, sent as one packet with `fds`. Takes over `fds` in any case. */
int mr_conn_send(
	struct mr_conn *c, const void *data, size_t bytes, const int *fds, unsigned fds_count);
void mr_conn_resume(struct mr_conn *c);
/* close discards the queue, finish sends it first. The loop calls `closed` later. */
void mr_conn_close(struct mr_conn *c, int error);
void mr_conn_finish(struct mr_conn *c);

static inline bool mr_conn_in_use(const struct mr_conn *c)
{
	return c->events != NULL && c->fd >= 0;
}

#endif
