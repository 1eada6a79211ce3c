/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MILLRACE_H
#error "include millrace.h: it includes this file"
#endif
#ifndef MILLRACE_REQUEST_H
#define MILLRACE_REQUEST_H

/** @file request.h
 * Requests to a subject, and replies. */

/** @defgroup request Requests and replies
 * Requests to subjects and replies to them. Manual page: mr_request(3).
 *
 * A request is a message that wants a reply. The first reply answers it; later ones count as
 * unmatched. mr_request_many() gathers them instead. Requests are not sent again after a lost
 * connection: they fail with -ENOTCONN.
 * Requests with queues, retries and acknowledgement: @ref call "calls of services".
 * @{ */

/** Sends a request and waits for the first reply. Serves callbacks meanwhile.
 *
 * @param c           the client
 * @param subject     1 to MR_SUBJECT_BYTES bytes, no wildcards
 * @param payload     copied; NULL with `bytes` 0
 * @param bytes       0 to mr_message_bytes_max()
 * @param timeout_ms  limit for the reply, ms; < 0: `request_timeout_ms`
 * @param reply       the reply; valid until the next call that processes, or within a callback
 *                    until the callback returns; may be NULL
 * @retval 0              replied
 * @retval -EHOSTUNREACH  nobody subscribes to the subject
 * @retval -EBUSY         the ring of every responder is full
 * @retval -EDEADLK       a claim is open
 * @retval -ETIMEDOUT     no reply in time, or no room in the ring within `request_timeout_ms`
 * @retval -EINTR         a signal handler ran
 * @retval -ENOTCONN      no connection, or it was lost before the reply
 * @retval -ENOSPC        1,048,576 requests of this client are open already
 * @retval -EINVAL        malformed subject
 * @retval -EMSGSIZE      too large
 * @retval -ENOMEM        no memory */
MR_API int mr_request(struct mr_client *c, const char *subject, const void *payload, size_t bytes,
	int timeout_ms, struct mr_message *reply);

/** Sends a request with a header block. Otherwise as mr_request().
 *
 * @param c             the client
 * @param subject       1 to MR_SUBJECT_BYTES bytes, no wildcards
 * @param headers       NATS/1.0 header block, copied; NULL: none
 * @param header_bytes  0 without a block
 * @param payload       copied; NULL with `bytes` 0
 * @param bytes         with `header_bytes` at most mr_message_bytes_max()
 * @param timeout_ms    limit for the reply, ms; < 0: `request_timeout_ms`
 * @param reply         as in mr_request()
 * @return as mr_request() */
MR_API int mr_request_with(struct mr_client *c, const char *subject, const char *headers,
	size_t header_bytes, const void *payload, size_t bytes, int timeout_ms,
	struct mr_message *reply);

/** Receives the outcome of an asynchronous request, once. Not called after mr_close().
 *
 * @param c      the client
 * @param reply  the first reply, valid until the callback returns; NULL with an error
 * @param error  0, or a negative errno value as from mr_request(), which mr_error() describes
 * @param arg    as given to mr_request_async() */
typedef void mr_reply_fn(struct mr_client *c, const struct mr_message *reply, int error, void *arg);

/** Sends a request and returns. Waits only for room, up to `request_timeout_ms`.
 *
 * @param c           the client
 * @param subject     1 to MR_SUBJECT_BYTES bytes, no wildcards
 * @param payload     copied; NULL with `bytes` 0
 * @param bytes       0 to mr_message_bytes_max()
 * @param timeout_ms  limit for the reply, ms; < 0: `request_timeout_ms`
 * @param callback    receives the outcome, within a later call that serves callbacks; not NULL
 * @param arg         passed to the callback
 * @return 0: sent, the callback will be called; or a negative errno value as from mr_request():
 *         the callback will not be called */
MR_API int mr_request_async(struct mr_client *c, const char *subject, const void *payload,
	size_t bytes, int timeout_ms, mr_reply_fn *callback, void *arg);

/** Options of mr_request_many(). Zeros mean the defaults. */
struct mr_request_many_options {
	/** Replies after which the request ends; default 0: any number, the times below end it. */
	unsigned replies_max;
	/** Limit for all replies, ms, up to 2,147,483,647; default 0: `request_timeout_ms`. */
	unsigned timeout_ms;
	/** Limit from one reply to the next, ms, within `timeout_ms`; default 0: none. */
	unsigned stall_ms;
	unsigned reserved32; /**< 0 */
	const char *headers; /**< NATS/1.0 header block, copied; NULL: none */
	size_t header_bytes; /**< 0 without a block */
};

/** Sends a request and gathers the replies of several responders. Waits for them, and serves
 * callbacks meanwhile. Not allowed within a callback.
 *
 * The request ends after `replies_max` replies, or by `timeout_ms` or `stall_ms`. If a reply came
 * the end is no error. Replies that come later count as unmatched. The bus does not tell how many
 * responders got the request.
 *
 * @param c         the client
 * @param subject   1 to MR_SUBJECT_BYTES bytes, no wildcards
 * @param payload   copied; NULL with `bytes` 0
 * @param bytes     0 to mr_message_bytes_max()
 * @param options   NULL: all defaults
 * @param callback  gets each reply, with error 0, before this function returns; not NULL
 * @param arg       passed to the callback
 * @return number of replies, at least 1
 * @retval -EHOSTUNREACH  nobody subscribes to the subject
 * @retval -ETIMEDOUT     no reply in time
 * @retval -ENOTCONN      the connection was lost; replies until then were given to the callback
 * @retval -EDEADLK       within a callback, or a claim is open
 * @return otherwise as mr_request() */
MR_API int mr_request_many(struct mr_client *c, const char *subject, const void *payload,
	size_t bytes, const struct mr_request_many_options *options, mr_reply_fn *callback,
	void *arg);

/** Sends a request that gathers the replies of several responders, and returns.
 *
 * @param c         the client
 * @param subject   1 to MR_SUBJECT_BYTES bytes, no wildcards
 * @param payload   copied; NULL with `bytes` 0
 * @param bytes     0 to mr_message_bytes_max()
 * @param options   NULL: all defaults
 * @param callback  gets each reply, with error 0, within later calls that process. At the end it
 *                  gets NULL, once: with error 0 if a reply came, or with an error as of
 *                  mr_request_many(). Not NULL
 * @param arg       passed to the callback
 * @return 0: sent, the callback will be called; or a negative errno value as from
 *         mr_request_async(): the callback will not be called */
MR_API int mr_request_many_async(struct mr_client *c, const char *subject, const void *payload,
	size_t bytes, const struct mr_request_many_options *options, mr_reply_fn *callback,
	void *arg);

/** Sends a request through a publisher. Does not wait for room.
 *
 * @param p           the publisher; its promise does not apply
 * @param payload     copied; NULL with `bytes` 0
 * @param bytes       0 to mr_message_bytes_max()
 * @param timeout_ms  limit for the reply, ms; < 0: `request_timeout_ms`
 * @param callback    receives the outcome; not NULL
 * @param arg         passed to the callback
 * @return 0; -EAGAIN while the ring is full; or as mr_request_async() */
MR_API int mr_publisher_request(struct mr_publisher *p, const void *payload, size_t bytes,
	int timeout_ms, mr_reply_fn *callback, void *arg);

/** Replies to a message that wants a reply, at once or later. Waits for room up to
 * `request_timeout_ms`.
 *
 * @param c            the client
 * @param reply_token  `reply_token` of the message; a copy of it may be used after the message is
 *                     gone
 * @param payload      copied; NULL with `bytes` 0
 * @param bytes        0 to mr_message_bytes_max()
 * @return 0: sent, whether or not the requester still waits; or a negative errno value as from
 *         mr_publish(). Replies are not kept while the bus is away: -ENOTCONN. */
MR_API int mr_reply(
	struct mr_client *c, const uint64_t reply_token[2], const void *payload, size_t bytes);

/** Replies with a header block. Otherwise as mr_reply().
 *
 * @param c             the client
 * @param reply_token   `reply_token` of the message
 * @param headers       NATS/1.0 header block, copied; NULL: none
 * @param header_bytes  0 without a block
 * @param payload       copied; NULL with `bytes` 0
 * @param bytes         with `header_bytes` at most mr_message_bytes_max()
 * @return as mr_reply() */
MR_API int mr_reply_with(struct mr_client *c, const uint64_t reply_token[2], const char *headers,
	size_t header_bytes, const void *payload, size_t bytes);

/** @} */

#endif
