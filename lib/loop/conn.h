/* SPDX-License-Identifier: Apache-2.0 */
/* conn: a connected socket, of packets or a stream, with a bounded queue of what is to be sent.
 *
 * Owns      The socket from open on; queued data and descriptors until they are sent. The receive
 *           buffer is the user's. Received descriptors are the receiver's.
 * Threads   The loop's.
 * Errors    send: -ENOBUFS when the queue is full, -ENOTCONN when it closes already.
 */
#ifndef MILLRACE_LIB_LOOP_CONN_H
#define MILLRACE_LIB_LOOP_CONN_H

#include <stddef.h>
#include <sys/socket.h>

#include "lib/loop/loop.h"

struct mr_conn;
struct mr_conn_out;

struct mr_conn_events {
	/* Data of one packet, or what the stream had. Descriptors only with `in_control` set. Returns
	 * false to receive no more until mr_conn_resume. */
	bool (*received)(struct mr_conn *c, size_t bytes, int *fds, unsigned fds_count);
	/* The queue is empty again. May be NULL. */
	void (*drained)(struct mr_conn *c);
	/* Last call, once, after which the memory may be used anew. 0: closed by us; -EPIPE: by the peer;
	 * -EMSGSIZE: a packet that was too large. */
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
	size_t in_bytes; /* kept by a stream's user in front of what comes next */
	size_t in_capacity;
	struct mr_conn_out *out_first;
	struct mr_conn_out **out_last;
	size_t out_bytes;
	size_t out_bytes_max;
	struct iovec in_iov;
	struct msghdr in_message;
	struct iovec out_iov;
	struct msghdr out_message;
	struct cmsghdr *in_control; /* of MR_CONN_CONTROL_BYTES; NULL without descriptors */
};

#define MR_CONN_FDS_MAX       253u
#define MR_CONN_CONTROL_BYTES CMSG_SPACE(MR_CONN_FDS_MAX * sizeof(int))

/* `events`, `in`, `in_capacity`, `out_bytes_max` and `in_control` are set; takes over `fd`. */
void mr_conn_open(struct mr_conn *c, struct mr_loop *l, int fd);
/* Queues a copy, sent in one packet with `fds`, which are taken over in any case. */
int mr_conn_send(
	struct mr_conn *c, const void *data, size_t bytes, const int *fds, unsigned fds_count);
void mr_conn_resume(struct mr_conn *c);
/* Closes at once, or when what is queued has been sent; `closed` is called from the loop. */
void mr_conn_close(struct mr_conn *c, int error);
void mr_conn_finish(struct mr_conn *c);

static inline bool mr_conn_in_use(const struct mr_conn *c)
{
	return c->events != NULL && c->fd >= 0;
}

#endif
