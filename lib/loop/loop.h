/* SPDX-License-Identifier: Apache-2.0 */
/* loop: one io_uring, on which a program waits for all its operations.
 *
 * An operation is a struct mr_op inside of the object that waits. The user prepares its submission;
 * its end calls `done` once. Submissions go to the kernel together, at the next wait.
 *
 *   ring.c      set-up, submission, waiting, dispatch
 *   timer.c     deadlines, which the wait observes
 *   accept.c    listening sockets
 *   conn.c      connections: packets or streams, with a bounded queue out
 *   doorbell.c  descriptors that are only read: doorbells, signals
 *
 * Owns      The ring. Users own operations and timers, and keep them until they are done.
 * Threads   One.
 * Errors    0 or -errno; open: -EPERM or -ENOSYS if the host does not allow io_uring.
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
	uint64_t next_ns; /* earliest possible deadline; UINT64_MAX: no timer runs */
	bool stopping;
};

int mr_loop_open(struct mr_loop *l, unsigned entries);
void mr_loop_close(struct mr_loop *l);
/* Submits, and handles completions and due timers without waiting. Returns their number. */
unsigned mr_loop_poll(struct mr_loop *l);
/* Does the same, but waits until there is something to handle. */
unsigned mr_loop_wait(struct mr_loop *l);

/* Returns an empty submission for `op`, which is pending from now on. Never NULL: if the queue is
 * full, it is submitted first. */
struct io_uring_sqe *mr_loop_start(struct mr_loop *l, struct mr_op *op);
/* Asks the kernel to end a pending operation soon; `done` is still called. */
void mr_loop_cancel(struct mr_loop *l, struct mr_op *op);

uint64_t mr_loop_now_ns(void);

/* Starts a timer; a running one gets the new deadline. A timer is stopped before it fires. */
void mr_loop_timer_start(struct mr_loop *l, struct mr_loop_timer *t, uint64_t after_ns);
void mr_loop_timer_stop(struct mr_loop *l, struct mr_loop_timer *t);
/* Runs the due timers; called by ring.c. Returns their number. */
unsigned mr_loop_timers_run(struct mr_loop *l, uint64_t now_ns);

#endif
