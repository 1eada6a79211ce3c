/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/loop/doorbell.h"

#include <errno.h>
#include <fcntl.h>

#include "lib/base/compiler.h"

static void read_on(struct mr_doorbell *b)
{
	struct io_uring_sqe *e = mr_loop_start(b->loop, &b->op);

	io_uring_prep_read(e, b->fd, b->data, sizeof(b->data), (uint64_t)-1);
}

static void done(struct mr_op *op, int result)
{
	struct mr_doorbell *b = mr_container_of(op, struct mr_doorbell, op);

	if (b->stopping || result == 0 || (result < 0 && result != -EINTR && result != -EAGAIN)) {
		b->stopped(b, b->stopping ? 0 : result == 0 ? -EPIPE : result);
		return;
	}
	read_on(b);
	if (result > 0)
		b->received(b, (size_t)result);
}

int mr_doorbell_start(struct mr_doorbell *b, struct mr_loop *l, int fd)
{
	int flags = fcntl(fd, F_GETFL);

	/* io_uring waits on a blocking descriptor, but returns -EAGAIN for a non-blocking one. */
	if (flags < 0 || fcntl(fd, F_SETFL, flags & ~O_NONBLOCK) < 0)
		return -errno;
	b->op = (struct mr_op){.done = done};
	b->loop = l;
	b->fd = fd;
	b->stopping = false;
	read_on(b);
	return 0;
}

void mr_doorbell_stop(struct mr_doorbell *b)
{
	b->stopping = true;
	mr_loop_cancel(b->loop, &b->op);
}
