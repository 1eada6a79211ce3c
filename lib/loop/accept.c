/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/loop/accept.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/base/compiler.h"

#define BACKLOG        1024
#define RETRY_AFTER_NS (20 * MR_NS_PER_MS)

static void accept_on(struct mr_accept *a)
{
	struct io_uring_sqe *e;

	if (a->paused || a->stopping || a->op.pending)
		return;
	e = mr_loop_start(a->loop, &a->op);
	io_uring_prep_accept(e, a->fd, NULL, NULL, SOCK_CLOEXEC);
}

static void retry(struct mr_loop_timer *t)
{
	accept_on(mr_container_of(t, struct mr_accept, retry));
}

static void done(struct mr_op *op, int result)
{
	struct mr_accept *a = mr_container_of(op, struct mr_accept, op);

	if (a->stopping) {
		if (result >= 0)
			close(result);
		return;
	}
	if (result >= 0) {
		a->accepted(a, result);
		accept_on(a);
	} else if (result == -EINTR || result == -ECONNABORTED || result == -EAGAIN) {
		accept_on(a);
	} else {
		/* No descriptor or memory is left. Wait until others are freed; an immediate retry
		 * would spin. */
		mr_loop_timer_start(a->loop, &a->retry, RETRY_AFTER_NS);
	}
}

static int listen_at(struct mr_accept *a, int type, mode_t mode)
{
	struct stat st;

	if (lstat(a->at.sun_path, &st) == 0) {
		if (!S_ISSOCK(st.st_mode))
			return -EADDRINUSE;
		unlink(a->at.sun_path);
	}
	a->fd = socket(AF_UNIX, type | SOCK_CLOEXEC, 0);
	if (a->fd < 0)
		return -errno;
	/* Nobody can connect before listen, so setting the mode here is early enough. */
	if (bind(a->fd, (const struct sockaddr *)&a->at, sizeof(a->at)) < 0 ||
		chmod(a->at.sun_path, mode) < 0 || listen(a->fd, BACKLOG) < 0) {
		int error = -errno;

		close(a->fd);
		a->fd = -1;
		return error;
	}
	return 0;
}

int mr_accept_open(struct mr_accept *a, struct mr_loop *l, const char *path, int type, mode_t mode)
{
	int error;

	a->op = (struct mr_op){.done = done};
	a->retry = (struct mr_loop_timer){.fire = retry};
	a->loop = l;
	a->fd = -1;
	a->stopping = a->paused = false;
	a->at = (struct sockaddr_un){.sun_family = AF_UNIX};
	if (strlen(path) >= sizeof(a->at.sun_path))
		return -ENAMETOOLONG;
	strcpy(a->at.sun_path, path);
	error = listen_at(a, type, mode);
	if (error == 0)
		accept_on(a);
	return error;
}

void mr_accept_pause(struct mr_accept *a)
{
	a->paused = true;
}

void mr_accept_resume(struct mr_accept *a)
{
	a->paused = false;
	if (a->retry.at_ns == 0)
		accept_on(a);
}

void mr_accept_close(struct mr_accept *a)
{
	if (a->fd < 0)
		return;
	a->stopping = true;
	mr_loop_timer_stop(a->loop, &a->retry);
	mr_loop_cancel(a->loop, &a->op);
	unlink(a->at.sun_path);
	close(a->fd);
	a->fd = -1;
}
