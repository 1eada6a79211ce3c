/* SPDX-License-Identifier: Apache-2.0 */
/* loop: one io_uring, on which everything that control waits for is an operation.
 *
 * An operation is a struct mr_op inside of whatever waits: it is started by a prepared submission and
 * ends with one call of `done`. Submissions go to the kernel together, with the next wait.
 *
 *   ring.c    set-up, submission, waiting, dispatch
 *   timer.c   deadlines, run by the wait itself
 *   accept.c  listening sockets
 *   conn.c    connections: packets or streams, with a bounded queue out
 *   bell.c    doorbells and other descriptors of which only the ring counts
 *
 * Owns      The ring. Operations and timers belong to their users, and must live until they are done.
 * Threads   One.
 * Errors    0 or -errno; -EPERM and -ENOSYS from open: the host does not allow io_uring.
 */
#ifndef MILLRACE_LIB_LOOP_H
#define MILLRACE_LIB_LOOP_H

#include <stdbool.h>
#include <stdint.h>

#include <liburing.h>

#define MR_NS_PER_MS 1000000ull

struct mr_op {
	void (*done)(struct mr_op *op, int result);
	bool pending;
};

struct mr_loop_timer {
	void (*fire)(struct mr_loop_timer *t);
	uint64_t at_ns; /* CLOCK_MONOTONIC; 0: not started */
	struct mr_loop_timer *next;
	struct mr_loop_timer *previous;
};

struct mr_loop {
	struct io_uring ring;
	struct mr_loop_timer *timers;
	uint64_t next_ns; /* no timer is due before; UINT64_MAX: there is none */
	bool stopping;
};

int mr_loop_open(struct mr_loop *l, unsigned entries);
void mr_loop_close(struct mr_loop *l);
/* Submits, and handles what is done and due without waiting. Returns how much that was. */
unsigned mr_loop_poll(struct mr_loop *l);
/* The same, but waits until there is something. */
unsigned mr_loop_wait(struct mr_loop *l);

/* An empty submission for `op`, which is pending from now on. Never NULL: a full queue is submitted. */
struct io_uring_sqe *mr_loop_start(struct mr_loop *l, struct mr_op *op);
/* Asks the kernel to end a pending operation soon; it still ends with `done`. */
void mr_loop_cancel(struct mr_loop *l, struct mr_op *op);

uint64_t mr_loop_now_ns(void);

/* Starting anew what runs already moves its deadline. A timer that fires is stopped before. */
void mr_loop_timer_start(struct mr_loop *l, struct mr_loop_timer *t, uint64_t after_ns);
void mr_loop_timer_stop(struct mr_loop *l, struct mr_loop_timer *t);
/* For the ring: runs what is due; returns how many. */
unsigned mr_loop_timers_run(struct mr_loop *l, uint64_t now_ns);

#endif
