/* SPDX-License-Identifier: Apache-2.0 */
/* wait: how calls wait: they look into the ring, spin for a while, then sleep on the doorbell or
 * the socket. With mr_fd the caller's event loop sleeps instead.
 *
 * Threads   The client's.
 * Units     Nanoseconds of CLOCK_MONOTONIC, but for timeout_ms.
 */
#ifndef MILLRACE_CLIENT_CORE_WAIT_H
#define MILLRACE_CLIENT_CORE_WAIT_H

#include "client/core/state.h"

/* Messages that a waiting call handles in one turn. */
#define MR_WAIT_MESSAGES_MAX 1024u

/* How long a call waits, and how long of that it spins. */
struct mr_wait_limit {
	uint64_t deadline_ns;
	uint64_t spin_ns; /* 0 or the end of spinning */
	uint32_t rounds;
};

/* `timeout_ms` < 0: no time-out. */
void mr_wait_limit_init(struct mr_wait_limit *w, const struct mr_client *c, int64_t timeout_ms);
/* Handles messages until *done. 0, -ETIMEDOUT, -EINTR, -ENOTCONN. */
int mr_await(struct mr_client *c, const bool *done, struct mr_wait_limit *w);
/* Waits until there may be something to do. 0: look again; -ETIMEDOUT; -EINTR. */
int mr_pause(struct mr_client *c, struct mr_wait_limit *w);
/* Gives the bytes read back to the bus. Does nothing within callbacks. */
void mr_release_read(struct mr_client *c);
/* Opens each call that reads the ring. -EDEADLK while a claim is open and, unless `nested`,
 * within a callback. */
int mr_begin(struct mr_client *c, bool nested);
/* Closes such a call: sends gathered messages and releases read ones. */
void mr_end(struct mr_client *c);

/* Housekeeping: checks the bus, then runs the steps of all parts. */
void mr_housekeep(struct mr_client *c, uint64_t now_ns);
/* Returns the clock of housekeeping: a coarse one without an event loop. */
uint64_t mr_housekeep_now_ns(const struct mr_client *c);
static inline void mr_housekeep_by(struct mr_client *c, uint64_t due_ns)
{
	if (due_ns < c->housekeep_ns)
		c->housekeep_ns = due_ns;
}

/* Makes the caller's event loop call mr_process: at once, or by that time. */
void mr_nudge(struct mr_client *c);
void mr_timer_by(struct mr_client *c, uint64_t due_ns);
/* Adds a descriptor to the epoll set of mr_fd, if there is one, or removes it. */
void mr_wait_watch(struct mr_client *c, int fd);
/* Must precede each close: the bus has the same open file, which would stay in the epoll set. */
void mr_wait_unwatch(struct mr_client *c, int fd);

#endif
