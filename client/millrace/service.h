/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MILLRACE_H
#error "include millrace.h: it includes this file"
#endif
#ifndef MILLRACE_SERVICE_H
#define MILLRACE_SERVICE_H

/** @file service.h
 * Serving a service. */

/** @defgroup service Serving services
 * Workers of services. Manual page: mr_service(3).
 *
 * A service is a queue of requests: each goes to one of many workers, the least recently used one
 * by default, and the final reply acknowledges it. When a worker dies, its requests go to
 * another. The semantics are those of the Majordomo protocol (ZeroMQ RFC 18).
 * @{ */

/** A worker of a service, made by mr_serve(). */
struct mr_service;

/** A request in hand: the worker has it and has not sent the final reply. */
struct mr_work {
	/** `message` is the request, `tag` names it to mr_respond(). */
	struct mr_delivery delivery;
	/** True: a streaming request, its parts follow. */
	bool more;
};

/** Receives one request, within the calls that process. Answer it now or later, in any order. A
 * request that is not answered goes to another worker after the acknowledgement time-out.
 *
 * @param c     the client
 * @param work  valid until the callback returns
 * @param arg   as given to mr_serve() */
typedef void mr_work_fn(struct mr_client *c, const struct mr_work *work, void *arg);

/** Receives one part of a streaming request.
 *
 * @param c     the client
 * @param tag   `tag` of the request
 * @param part  valid until the callback returns; its subject is empty
 * @param more  false: the last part
 * @param arg   as given to mr_serve() */
typedef void mr_part_fn(
	struct mr_client *c, uint64_t tag, const struct mr_message *part, bool more, void *arg);

/** Options of mr_serve(). */
struct mr_serve_options {
	unsigned prefetch;             /**< requests in hand at a time, to 65,535; 0: 1 */
	struct mr_queue_options queue; /**< options of the service if this worker makes it */
	mr_part_fn *on_part;           /**< NULL: streaming requests are refused */
	unsigned window;               /**< parts in flight per streaming request; 0: 64 */
	unsigned reserved;             /**< 0 */
};

/** Makes the client a worker of a service, and makes the service if there is none. Waits for the
 * bus and serves callbacks meanwhile, also the new one. A client may serve many services, each
 * once.
 *
 * The library sends heartbeats while the client is processed: process at least once per heartbeat
 * interval of the bus, 2.5 s by default. A worker that the bus removed for its silence is
 * registered again by itself, and after each reconnection; requests in hand by then go to others.
 *
 * @param c         the client
 * @param service   1 to MR_SUBJECT_BYTES bytes, as a subject; not beginning with "mmi."
 * @param options   copied; NULL: none
 * @param callback  receives the requests; not NULL
 * @param arg       passed to the callbacks
 * @param out       the worker; NULL after a failure. Lives until mr_service_close() or
 *                  mr_close().
 * @retval 0           serving
 * @retval -EINVAL     malformed name, no callback, or `prefetch` above 65,535
 * @retval -EEXIST     this client serves it already, or it exists with other options
 * @retval -EACCES     the bus refuses this name
 * @retval -ENOSPC     the table of services is full
 * @retval -EDQUOT     this host's or user's share is used up
 * @retval -ETIMEDOUT  no answer within `request_timeout_ms`
 * @retval -ENOTCONN   no connection
 * @retval -EAGAIN     64 requests to control are under way
 * @retval -EDEADLK    a claim is open
 * @retval -ENOMEM     no memory */
MR_API int mr_serve(struct mr_client *c, const char *service,
	const struct mr_serve_options *options, mr_work_fn *callback, void *arg,
	struct mr_service **out);

/** Stops serving. Requests in hand go to other workers.
 *
 * @param s  must not be used afterwards, except after -EDEADLK
 * @return 0, or a negative errno value as from mr_unsubscribe() */
MR_API int mr_service_close(struct mr_service *s);

/** Sends the final reply to a request, which acknowledges it. Waits for room up to
 * `request_timeout_ms`.
 *
 * @param s        the worker of the service
 * @param tag      `tag` of the request
 * @param payload  copied; NULL with `bytes` 0
 * @param bytes    0 to mr_message_bytes_max()
 * @retval 0           sent
 * @retval -ENOENT     not in hand any more: it timed out, was recalled, or the connection was
 *                     lost
 * @retval -EMSGSIZE   too large
 * @retval -ETIMEDOUT  the ring stayed full
 * @retval -ENOTCONN   no connection
 * @retval -EDEADLK    a claim is open
 * @retval -EINVAL     malformed headers */
MR_API int mr_respond(struct mr_service *s, uint64_t tag, const void *payload, size_t bytes);

/** Sends a partial or the final reply. Otherwise as mr_respond().
 *
 * @param s             the worker of the service
 * @param tag           `tag` of the request
 * @param more          true: a partial reply, the request stays in hand; false: the final reply
 * @param headers       NATS/1.0 header block, copied; NULL: none
 * @param header_bytes  0 without a block
 * @param payload       copied; NULL with `bytes` 0
 * @param bytes         with `header_bytes` at most mr_message_bytes_max()
 * @return as mr_respond(); -EAGAIN: the caller has granted no more partial replies, mr_wait()
 *         returns when it does */
MR_API int mr_respond_with(struct mr_service *s, uint64_t tag, bool more, const char *headers,
	size_t header_bytes, const void *payload, size_t bytes);

/** Returns the credit for partial replies, which the caller grants; 64 at first.
 *
 * @param s    the worker of the service
 * @param tag  `tag` of the request
 * @return partial replies that may be sent now; 0 also if the request is not in hand */
MR_API unsigned mr_respond_room(const struct mr_service *s, uint64_t tag);

/** Gives a request up.
 *
 * @param s      the worker of the service
 * @param tag    `tag` of the request
 * @param again  true: a worker gets it again, perhaps this one; false: the caller gets -EREMOTEIO
 * @retval 0        will be sent, as mr_ack()
 * @retval -ENOENT  not in hand any more */
MR_API int mr_respond_failed(struct mr_service *s, uint64_t tag, bool again);

/** Restarts the time of a request that is still worked on: see mr_progress().
 *
 * @param s    the worker of the service
 * @param tag  `tag` of the request
 * @return 0; -ENOENT: not in hand any more, stop working on it */
MR_API int mr_respond_progress(struct mr_service *s, uint64_t tag);

/** Turns automatic renewal of the requests in hand on or off: see mr_consumer_renew().
 *
 * @param s   the worker of the service
 * @param on  true: renew */
MR_API void mr_service_renew(struct mr_service *s, bool on);

/** Sets the function for recalled requests: see mr_consumer_on_recall(). A request is also
 * recalled when its caller has stopped waiting.
 *
 * @param s    the worker of the service
 * @param fn   the function; NULL: none
 * @param arg  passed to it */
MR_API void mr_service_on_recall(struct mr_service *s, mr_recall_fn *fn, void *arg);

/** @} */

#endif
