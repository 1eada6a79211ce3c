/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MILLRACE_H
#error "include millrace.h: it includes this file"
#endif
#ifndef MILLRACE_CALL_H
#define MILLRACE_CALL_H

/** @file call.h
 * Calling services, streaming requests. */

/** @defgroup call Calling services
 * Calls of services and streaming requests. Manual page: mr_call(3).
 *
 * The outcome of a call is a final reply, or one of these errors:
 *
 * | code          | meaning                                                                   |
 * |---------------|---------------------------------------------------------------------------|
 * | -EHOSTUNREACH | no worker serves it, or none took the call in time                        |
 * | -ETIMEDOUT    | no reply in time, after all retries                                       |
 * | -EBUSY        | too many calls wait already, after all retries                            |
 * | -ENOBUFS      | the memory of all queues is full, after all retries                       |
 * | -EDQUOT       | the share of this host or user in it is used up, after all retries        |
 * | -EREMOTEIO    | the worker gave the call up, or died and no other may have it             |
 * | -ECONNABORTED | the circuit breaker is open, in this client or in the bus                 |
 * | -ENOTCONN     | the connection was lost: calls are not made again by themselves           |
 * | -ENOENT       | the service was removed during the call                                   |
 * | -EINVAL       | malformed name or headers; -EMSGSIZE: too large; -EACCES: refused name    |
 * | -ENOSPC       | too many calls are open, or services called; -ENOMEM: no memory           |
 * @{ */

/** For mr_call_options::retries: no retries. */
#define MR_NO_RETRIES UINT32_MAX

/** Options of a call. A field that is 0 has its default. */
struct mr_call_options {
	/** Limit of each attempt, and of the silence after a partial reply, ms; <= 0:
	 * `request_timeout_ms`. */
	int timeout_ms;
	/** Retries after a time-out and after -EBUSY, -ENOBUFS or -EDQUOT; 0: 2; MR_NO_RETRIES:
	 * none. A stream, and a call that got a partial reply, are not retried. */
	unsigned retries;
	/** Time before the first retry, ms; default 100. Exponential back-off: doubled for each
	 * further retry, up to a minute, times a random factor of 0.5 to 1.5. */
	unsigned backoff_ms;
	/** True: wait for a worker as long as for a reply, if there is none now. False:
	 * -EHOSTUNREACH at once. */
	bool wait;
	const char *headers; /**< NATS/1.0 header block, copied; NULL: none */
	size_t header_bytes; /**< 0 without a block */
	/** Number passed to the callback with each reply; 0: made up. */
	uint64_t correlation;
	/** Circuit breaker of this client for the service: consecutive failed attempts, of all
	 * calls, that open it; 0: 5; UINT32_MAX: never. While it is open, calls fail at once with
	 * -ECONNABORTED. */
	unsigned breaker_failures;
	/** Time that it stays open, ms; default 10,000. Then one call is let through as a test. */
	unsigned breaker_reset_ms;
};

/** Calls a service and waits for the final reply. Skips partial replies. Serves callbacks
 * meanwhile.
 *
 * The bus knows the limit of each attempt: it gives no expired attempt to a worker, and recalls
 * one from its worker. So two attempts of a call do not run at once, but an earlier attempt may
 * have run in part or in whole.
 *
 * The bus itself answers names that begin with "mmi." (ZeroMQ RFC 8); the payload is the name of
 * a service. `mmi.service` replies "200" if it has workers, else "404"; `mmi.workers` replies
 * their number; `mmi.heartbeat` the heartbeat interval, ms; any other name "501".
 *
 * @param c        the client
 * @param service  1 to MR_SUBJECT_BYTES bytes, as a subject
 * @param payload  copied; NULL with `bytes` 0
 * @param bytes    0 to mr_message_bytes_max()
 * @param options  NULL: all defaults
 * @param reply    the final reply; valid until the next call that processes, or within a callback
 *                 until the callback returns; may be NULL
 * @return 0 or a negative errno value, see above; -EINTR: a signal handler ran; -EDEADLK: a
 *         claim is open */
MR_API int mr_call(struct mr_client *c, const char *service, const void *payload, size_t bytes,
	const struct mr_call_options *options, struct mr_message *reply);

/** Receives the replies to an asynchronous call: partial ones with `more` true, and once the
 * outcome with `more` false.
 *
 * @param c            the client
 * @param correlation  `correlation` of the options
 * @param reply        valid until the callback returns; NULL with an error
 * @param more         true: a partial reply, others follow
 * @param error        0 or a negative errno value, see above, which mr_error() describes
 * @param arg          as given to mr_call_async() or mr_stream_open() */
typedef void mr_call_fn(struct mr_client *c, uint64_t correlation, const struct mr_message *reply,
	bool more, int error, void *arg);

/** Calls a service and returns at once.
 *
 * @param c         the client
 * @param service   1 to MR_SUBJECT_BYTES bytes, as a subject
 * @param payload   copied; NULL with `bytes` 0
 * @param bytes     0 to mr_message_bytes_max()
 * @param options   NULL: all defaults
 * @param callback  receives the replies, within later calls that process; not NULL
 * @param arg       passed to the callback
 * @return 0: the callback will be called with the outcome, unless the client is closed before;
 *         -EAGAIN: the ring is full; or a negative errno value, see above: the callback will not
 *         be called */
MR_API int mr_call_async(struct mr_client *c, const char *service, const void *payload,
	size_t bytes, const struct mr_call_options *options, mr_call_fn *callback, void *arg);

/** A streaming request: a call whose request has any number of parts. */
struct mr_stream;

/** Opens a streaming request. Its time-out counts from the last message of either side.
 *
 * @param c         the client
 * @param service   1 to MR_SUBJECT_BYTES bytes, as a subject; not beginning with "mmi."
 * @param payload   first part, copied; NULL with `bytes` 0
 * @param bytes     0 to mr_message_bytes_max()
 * @param options   NULL: all defaults; `retries` has no effect
 * @param callback  receives the replies, also before the request has ended; not NULL
 * @param arg       passed to the callback
 * @param out       the stream; NULL after a failure. Close it with mr_stream_close().
 * @return 0 or a negative errno value as from mr_call_async() */
MR_API int mr_stream_open(struct mr_client *c, const char *service, const void *payload,
	size_t bytes, const struct mr_call_options *options, mr_call_fn *callback, void *arg,
	struct mr_stream **out);

/** Sends the next part. Does not wait.
 *
 * @param s        the stream
 * @param payload  copied; NULL with `bytes` 0
 * @param bytes    0 to mr_message_bytes_max()
 * @param more     false: the last part, the request has ended
 * @retval 0          sent
 * @retval -EAGAIN    the worker has granted no room, or has not begun (mr_wait() returns when it
 *                    does); or the ring is full
 * @retval -ENOENT    the call has ended
 * @retval -EINVAL    the request has ended
 * @retval -EMSGSIZE  too large
 * @retval -ENOTCONN  no connection
 * @retval -EDEADLK   a claim is open */
MR_API int mr_stream_send(struct mr_stream *s, const void *payload, size_t bytes, bool more);

/** Frees a stream. If the call has not ended it is given up: the callback is not called any more.
 * @param s  must not be used afterwards */
MR_API void mr_stream_close(struct mr_stream *s);

/** @} */

#endif
