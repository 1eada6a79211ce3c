/* SPDX-License-Identifier: Apache-2.0 */
/* The io_uring: set-up, submission, waiting, dispatch. */
#include <assert.h>
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <time.h>

#include "lib/loop/loop.h"

/* Completions handled at once before timers and rings get their turn. */
#define BATCH 64u
/* From linux/io_uring.h of 6.15; the headers of the build may be older. */
#define ENTER_NO_IOWAIT (1u << 7)
#define FEAT_NO_IOWAIT  (1u << 17)

uint64_t mr_loop_now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000ull + (uint64_t)t.tv_nsec;
}

/* Restricts the ring to the operations in use, so that nobody who runs code in this process can use
 * it for others. */
static int restrict_and_enable(struct io_uring *ring)
{
	static const uint8_t allowed[] = {
		IORING_OP_NOP,
		IORING_OP_ACCEPT,
		IORING_OP_RECVMSG,
		IORING_OP_SENDMSG,
		IORING_OP_READ,
		IORING_OP_WRITE,
		IORING_OP_ASYNC_CANCEL,
	};
	struct io_uring_restriction r[sizeof(allowed)] = {0};
	int error;

	for (size_t i = 0; i < sizeof(allowed); i++) {
		r[i].opcode = IORING_RESTRICTION_SQE_OP;
		r[i].sqe_op = allowed[i];
	}
	/* liburing 2.3 declares functions for these two calls, but does not export them. */
	error = io_uring_register(
		(unsigned)ring->ring_fd, IORING_REGISTER_RESTRICTIONS, r, sizeof(allowed));
	if (error == 0)
		error = io_uring_register(
			(unsigned)ring->ring_fd, IORING_REGISTER_ENABLE_RINGS, NULL, 0);
	return error;
}

int mr_loop_open(struct mr_loop *l, unsigned entries)
{
	/* More completions than submissions may be pending: one for each connection. */
	struct io_uring_params p = {
		.flags = IORING_SETUP_CQSIZE | IORING_SETUP_CLAMP | IORING_SETUP_R_DISABLED,
		.cq_entries = entries * 8,
	};
	int error;

	memset(l, 0, sizeof(*l));
	l->next_ns = UINT64_MAX;
	error = io_uring_queue_init_params(entries, &l->ring, &p);
	if (error != 0)
		return error;
	if (!(p.features & IORING_FEAT_EXT_ARG) || !(p.features & IORING_FEAT_NODROP))
		error = -ENOSYS;
	if (error == 0)
		error = restrict_and_enable(&l->ring);
	if (error != 0) {
		io_uring_queue_exit(&l->ring);
		memset(&l->ring, 0, sizeof(l->ring));
	}
	return error;
}

void mr_loop_close(struct mr_loop *l)
{
	io_uring_queue_exit(&l->ring);
}

static struct io_uring_sqe *free_entry(struct mr_loop *l)
{
	struct io_uring_sqe *e = io_uring_get_sqe(&l->ring);

	while (e == NULL) {
		/* Submits all entries: there are fewer operations than completion entries. */
		(void)io_uring_submit(&l->ring);
		e = io_uring_get_sqe(&l->ring);
	}
	return e;
}

struct io_uring_sqe *mr_loop_start(struct mr_loop *l, struct mr_op *op)
{
	struct io_uring_sqe *e = free_entry(l);

	assert(!op->pending && op->done != NULL);
	op->pending = true;
	/* Preparing a submission overwrites everything but the user data. */
	io_uring_sqe_set_data(e, op);
	return e;
}

void mr_loop_cancel(struct mr_loop *l, struct mr_op *op)
{
	struct io_uring_sqe *e;

	if (!op->pending)
		return;
	e = free_entry(l);
	io_uring_prep_cancel(e, op, 0);
	io_uring_sqe_set_data(e, NULL);
}

/* Handles completions one by one: if one frees an object, later completions of that object must not
 * be in hand already. */
static unsigned dispatch(struct mr_loop *l)
{
	struct io_uring_cqe *c;
	unsigned count = 0;

	while (count < BATCH && io_uring_peek_cqe(&l->ring, &c) == 0) {
		struct mr_op *op = io_uring_cqe_get_data(c);
		int result = c->res;

		io_uring_cqe_seen(&l->ring, c);
		count++;
		if (op == NULL)
			continue;
		op->pending = false;
		op->done(op, result);
	}
	return count;
}

unsigned mr_loop_poll(struct mr_loop *l)
{
	unsigned count = 0;

	if (io_uring_sq_ready(&l->ring) > 0)
		(void)io_uring_submit(&l->ring);
	count += dispatch(l);
	if (l->next_ns != UINT64_MAX)
		count += mr_loop_timers_run(l, mr_loop_now_ns());
	return count;
}

/* Returns the time until the next timer; NULL: for ever. */
static struct timespec *time_left(const struct mr_loop *l, struct timespec *left)
{
	uint64_t now, ns;

	if (l->next_ns == UINT64_MAX)
		return NULL;
	now = mr_loop_now_ns();
	ns = l->next_ns > now ? l->next_ns - now : 0;
	left->tv_sec = (time_t)(ns / 1000000000ull);
	left->tv_nsec = (long)(ns % 1000000000ull);
	return left;
}

static void wait_inside(const struct mr_loop *l, const struct timespec *left)
{
	struct __kernel_timespec timeout;
	struct io_uring_getevents_arg arg = {0};

	if (left != NULL) {
		timeout = (struct __kernel_timespec){left->tv_sec, left->tv_nsec};
		arg.ts = (uint64_t)(uintptr_t)&timeout;
	}
	(void)io_uring_enter2((unsigned)l->ring.ring_fd, 0, 1,
		IORING_ENTER_GETEVENTS | IORING_ENTER_EXT_ARG | ENTER_NO_IOWAIT,
		(sigset_t *)(void *)&arg, sizeof(arg));
}

/* Waits for a completion or the next timer. A task that waits inside a ring with pending requests
 * counts as waiting for I/O: an idle bus would show an I/O pressure of 100 % (/proc/pressure/io).
 * Kernels from 6.15 on have a flag against this. With older ones we poll the ring's descriptor,
 * which takes a few microseconds more. */
static void wait_for_completion(const struct mr_loop *l)
{
	struct pollfd ring = {.fd = l->ring.ring_fd, .events = POLLIN};
	struct timespec left, *until = time_left(l, &left);

	if (l->ring.features & FEAT_NO_IOWAIT)
		wait_inside(l, until);
	else
		(void)ppoll(&ring, 1, until, NULL);
}

unsigned mr_loop_wait(struct mr_loop *l)
{
	if (io_uring_sq_ready(&l->ring) > 0)
		(void)io_uring_submit(&l->ring);
	if (io_uring_cq_ready(&l->ring) == 0)
		wait_for_completion(l);
	return mr_loop_poll(l);
}
