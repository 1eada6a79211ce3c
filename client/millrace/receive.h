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
 * @return messages handled; 0 on time-out and after a signal; -EDEADLK as from mr_process();
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
 * @retval -EINTR      a signal handler ran
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

/** @} */

#endif
