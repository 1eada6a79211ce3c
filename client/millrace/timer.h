/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MILLRACE_H
#error "include millrace.h: it includes this file"
#endif
#ifndef MILLRACE_TIMER_H
#define MILLRACE_TIMER_H

/** @file timer.h
 * Timers on the loop of a client. */

/** @defgroup timer Timers
 * Timers that the calls that process run, beside messages. Manual page: mr_timer(3).
 *
 * Times count on CLOCK_MONOTONIC: steps of the wall clock do not matter. A timer never runs early.
 * A sleeping mr_wait() runs it within about a millisecond; a client that is busy, or does not
 * process, runs it when it processes next.
 * @{ */

/** A timer of a client. */
struct mr_timer;

/** Runs when a timer has expired, as other callbacks: never within another callback.
 * @param c    the client
 * @param t    the timer; the callback may start, stop and close it
 * @param arg  as given to mr_timer_open() */
typedef void mr_timer_fn(struct mr_client *c, struct mr_timer *t, void *arg);

/** Opens a timer, which does not run yet.
 *
 * @param c         the client
 * @param callback  runs when the timer expires
 * @param arg       passed to it
 * @param out       the timer; NULL after a failure. Lives until mr_timer_close() or mr_close().
 * @retval 0        open
 * @retval -EINVAL  NULL
 * @retval -ENOSPC  the client has 4096 timers
 * @retval -ENOMEM  no memory */
MR_API int mr_timer_open(
	struct mr_client *c, mr_timer_fn *callback, void *arg, struct mr_timer **out);

/** Starts a timer. A timer that runs already is set anew.
 *
 * mr_wait() and mr_receive() sleep no longer than until the next timer. mr_process() and mr_wait()
 * count each timer as a message, so mr_wait() returns after it.
 *
 * @param t          the timer
 * @param delay_ms   time until it expires, ms; 0: at the next call that processes
 * @param period_ms  0: it expires once; else it expires again after each period, ms. Periods that
 *                   passed while the client did not process are left out.
 * @retval 0        started
 * @retval -EINVAL  NULL */
MR_API int mr_timer_start(struct mr_timer *t, unsigned delay_ms, unsigned period_ms);

/** Stops a timer. It can be started again.
 * @param t  the timer; one that does not run, and NULL, are ignored */
MR_API void mr_timer_stop(struct mr_timer *t);

/** Stops a timer and frees it.
 * @param t  must not be used afterwards; NULL is ignored */
MR_API void mr_timer_close(struct mr_timer *t);

/** @} */

#endif
