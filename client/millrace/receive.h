/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MILLRACE_H
#error "include millrace.h: it includes this file"
#endif
#ifndef MILLRACE_RECEIVE_H
#define MILLRACE_RECEIVE_H

/** @file receive.h
 * Processing, waiting, receiving, event loops. */

/** @defgroup receive Processing and waiting
 * The calls that hand out messages, and the descriptor for event loops. Manual page: mr_wait(3).
 *
 * Each of them also serves time-outs, heartbeats and reconnection. Within a callback they return
 * -EDEADLK.
 * @{ */

/** Handles the messages that are there, without waiting: callbacks, gaps, time-outs, reconnection.
 *
 * A message for a subscription without a callback waits for mr_receive(). Callbacks for messages
 * behind it are called all the same: 0 means that none is left, unless the list of deferred
 * messages is full (millrace.h). The order within a subscription stays.
 *
 * @param c    the client
 * @param max  limit of messages to handle
 * @return messages handled, 0 to `max`; -ENOTCONN when none was handled and the bus is away;
 *         -EDEADLK within a callback or while a claim is open */
MR_API int mr_process(struct mr_client *c, unsigned max);

/** Waits for the first message, and handles the messages that are there.
 *
 * A message for mr_receive() ends the wait and counts as one. So does an acknowledgement of the
 * bus for pushed messages.
 *
 * @param c           the client
 * @param timeout_ms  limit, ms; < 0: no limit
 * @return messages handled; 0 on time-out, after a signal and after mr_client_wake();
 *         -EDEADLK as from mr_process();
 *         -ENOTCONN at once when the connection is lost. Called while there is no connection, it
 *         waits for the reconnection, and returns -ENOTCONN on time-out. */
MR_API int mr_wait(struct mr_client *c, int timeout_ms);

/** Returns the next message of a subscription without a callback, in order of arrival. Serves the
 * callbacks of other subscriptions meanwhile.
 *
 * @param c           the client
 * @param out         the message; valid until the next call that processes
 * @param timeout_ms  limit, ms; < 0: no limit
 * @retval 0           received
 * @retval -ETIMEDOUT  no message in time
 * @retval -ENOTCONN   the connection was lost; the next call waits for the reconnection
 * @retval -EINTR      a signal handler ran, or mr_client_wake() was called
 * @retval -EDEADLK    within a callback, or a claim is open */
MR_API int mr_receive(struct mr_client *c, struct mr_message *out, int timeout_ms);

/** Returns a descriptor for poll(), epoll or any event loop.
 *
 * The descriptor is readable when mr_process() has work: a message, a time-out, a lost or
 * restored connection. From the first mr_fd() on, the calls that process arm the doorbell when
 * they leave nothing unread. So call mr_process() until it returns 0, and mr_receive() (if used)
 * until -ETIMEDOUT, before you return to the event loop. Do not read from the descriptor, and do
 * not close it.
 *
 * @param c  the client
 * @return the same descriptor for the client's whole life, or -EMFILE, -ENFILE, -ENOMEM */
MR_API int mr_fd(struct mr_client *c);

/** @name Other threads
 * The two calls on a client that a thread may make while another one uses it. The client must live
 * until they return.
 * @{ */

/** Ends a wait of another thread, or the next one.
 *
 * mr_wait() then returns the messages handled so far, mr_receive() and mr_pull() return -EINTR,
 * the descriptor of mr_fd() becomes readable, and mr_process() takes the wake-up. Calls that wait
 * for an answer go on; the wake-up stays for the next call. Many wake-ups before the client looks
 * count as one. Rarely a wake-up ends one call more than needed. May be called by any thread and by
 * signal handlers.
 *
 * @param c  the client; NULL is ignored */
MR_API void mr_client_wake(struct mr_client *c);

/** A function that runs in the thread that processes a client, as a callback does.
 * @param c    the client
 * @param arg  as given to mr_client_post() */
typedef void mr_post_fn(struct mr_client *c, void *arg);

/** Posts a function to the thread that processes the client, and wakes it.
 *
 * mr_process(), mr_wait(), mr_receive() and mr_pull() run posted functions in their order, each as
 * a callback; mr_process() and mr_wait() count each as a message. At most 1024 wait. mr_close()
 * drops those that wait. May be called by any thread and within callbacks, but not by signal
 * handlers.
 *
 * @param c    the client
 * @param run  the function
 * @param arg  passed to it
 * @retval 0        posted
 * @retval -EAGAIN  1024 functions wait: the client's thread does not process
 * @retval -EINVAL  NULL
 * @retval -ENOMEM  no memory */
MR_API int mr_client_post(struct mr_client *c, mr_post_fn *run, void *arg);

/** @} */

/** @} */

#endif
