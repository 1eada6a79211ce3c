/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MILLRACE_H
#error "include millrace.h: it includes this file"
#endif
#ifndef MILLRACE_PUBLISH_H
#define MILLRACE_PUBLISH_H

/** @file publish.h
 * Publishing: single messages, publishers, batches, writing in place, promises. */

/** @defgroup publish Publishing
 * Publishing to subjects. Manual pages: mr_publish(3), mr_promise(3).
 *
 * A publish writes the message into the ring to the bus. The bus sees it when the ring's tail is
 * published: by the call itself, unless the client corks; by mr_flush(); by any call that
 * processes or waits; or when 64 KiB have gathered.
 *
 * All calls that send return these errors:
 *
 * | code       | meaning                                                                      |
 * |------------|------------------------------------------------------------------------------|
 * | -EINVAL    | malformed subject or headers, or a length without data                       |
 * | -EMSGSIZE  | larger than mr_message_bytes_max(); in batches and claims mr_body_bytes_max()|
 * | -EAGAIN    | the ring is full and the call does not wait                                  |
 * | -ETIMEDOUT | the ring stayed full for `request_timeout_ms` (calls that wait)              |
 * | -ENOTCONN  | the bus is away, and the message is not kept (enum mr_when_away)             |
 * | -EDEADLK   | a claim is open                                                              |
 * | -ENOMEM    | no memory to keep the message                                                |
 * @{ */

/** Turns corking on or off: with cork on, publishes and replies gather until mr_flush().
 *
 * Corking is the way to batch: fewer wake-ups on a local bus, many messages per frame over UDP.
 * Turning it off flushes.
 *
 * @param c   the client
 * @param on  true: cork */
MR_API void mr_cork(struct mr_client *c, bool on);

/** Publishes a message. Waits for room up to `request_timeout_ms`, without serving callbacks.
 *
 * @param c        the client
 * @param subject  1 to MR_SUBJECT_BYTES bytes, no wildcards
 * @param payload  copied; NULL with `bytes` 0
 * @param bytes    0 to mr_message_bytes_max()
 * @return 0: published, or kept while the bus is away; or a negative errno value, see above */
MR_API int mr_publish(struct mr_client *c, const char *subject, const void *payload, size_t bytes);

/** Publishes a message with a header block. Otherwise as mr_publish().
 *
 * @param c             the client
 * @param subject       1 to MR_SUBJECT_BYTES bytes, no wildcards
 * @param headers       NATS/1.0 header block, see mr_headers_add(); copied; NULL: none
 * @param header_bytes  0 without a block
 * @param payload       copied; NULL with `bytes` 0
 * @param bytes         with `header_bytes` at most mr_message_bytes_max()
 * @return 0 or a negative errno value, see above */
MR_API int mr_publish_with(struct mr_client *c, const char *subject, const char *headers,
	size_t header_bytes, const void *payload, size_t bytes);

/** @name Publishers
 * A publisher is a subject that the bus has resolved to a number: the bus routes its messages by
 * the number. Calls on a publisher do not wait for room.
 * @{ */

/** Opens a publisher without a promise. Waits for the bus and serves callbacks meanwhile.
 *
 * @param c        the client
 * @param subject  1 to MR_SUBJECT_BYTES bytes, no wildcards
 * @param out      the publisher; NULL after a failure. Lives until mr_publisher_close() or
 *                 mr_close().
 * @retval 0           open; it stays usable after reconnections
 * @retval -EINVAL     malformed subject
 * @retval -EACCES     the bus refuses this subject
 * @retval -ENOSPC     the table of subjects is full
 * @retval -EDQUOT     this host's or user's share is used up
 * @retval -ETIMEDOUT  no answer within `request_timeout_ms`
 * @retval -ENOTCONN   no connection
 * @retval -EAGAIN     64 requests to control are under way
 * @retval -EDEADLK    a claim is open
 * @retval -ENOMEM     no memory */
MR_API int mr_publisher_open(struct mr_client *c, const char *subject, struct mr_publisher **out);

/** Closes a publisher, and aborts its open claim. Promised messages that the bus has not taken are
 * not sent again after a lost connection: call mr_settle() first.
 *
 * @param p  must not be used afterwards; NULL is ignored */
MR_API void mr_publisher_close(struct mr_publisher *p);

/** Publishes one message. Does not wait.
 *
 * @param p        the publisher
 * @param payload  copied; NULL with `bytes` 0
 * @param bytes    0 to mr_message_bytes_max()
 * @return 0, -EAGAIN while the ring (or the window of a promise) is full, or another error, see
 *         above */
MR_API int mr_publisher_send(struct mr_publisher *p, const void *payload, size_t bytes);

/** One payload of a batch. */
struct mr_buffer {
	const void *data; /**< copied; NULL with `bytes` 0 */
	size_t bytes;     /**< 0 to mr_body_bytes_max() */
};

/** Publishes as many messages of a batch as there is room for. Does not wait.
 *
 * @param p        the publisher
 * @param buffers  the payloads, one per message
 * @param count    number of buffers, at most INT_MAX
 * @return messages taken, 0 to `count`, counted from the first; or, when none was taken, a
 *         negative errno value: -EMSGSIZE if the first is too large */
MR_API int mr_publisher_send_batch(
	struct mr_publisher *p, const struct mr_buffer *buffers, unsigned count);

/** Opens a claim: room in the ring, into which the caller writes the payload without a copy.
 *
 * Until mr_publisher_commit() or mr_publisher_abort() most calls on the client return -EDEADLK.
 *
 * @param p        the publisher
 * @param bytes    bytes wanted, 0 to mr_body_bytes_max(); 16 less if the publisher promises exactly
 *                 once
 * @param payload  place to write to; valid until commit or abort
 * @return 0; -EAGAIN while the ring is full; -ENOTCONN while the bus is away (a claim is never
 *         kept); or another error, see above */
MR_API int mr_publisher_claim(struct mr_publisher *p, size_t bytes, void **payload);

/** Publishes the claimed message.
 *
 * @param p      the publisher
 * @param bytes  length of the payload, 0 to the bytes claimed
 * @retval 0        published
 * @retval -EINVAL  no claim of one message is open, or `bytes` exceeds it: the claim stays open */
MR_API int mr_publisher_commit(struct mr_publisher *p, size_t bytes);

/** Gives up an open claim, of one message or of a batch. Does nothing without one.
 * @param p  the publisher */
MR_API void mr_publisher_abort(struct mr_publisher *p);

/** Opens a claim for many messages of one size: the fastest way to publish.
 *
 * Payload i goes to `*first + i * *stride`. The bytes between the payloads belong to the library.
 *
 * @param p       the publisher
 * @param bytes   payload of each message, as in mr_publisher_claim()
 * @param count   messages wanted
 * @param first   place of the first payload; valid until commit or abort
 * @param stride  distance from one payload to the next, bytes
 * @return messages that there is room for, 0 to `count`; after 0 no claim is open; or a negative
 *         errno value as from mr_publisher_claim() */
MR_API int mr_publisher_claim_batch(
	struct mr_publisher *p, size_t bytes, unsigned count, void **first, size_t *stride);

/** Publishes the first messages of a claimed batch, each with all bytes claimed.
 *
 * @param p      the publisher
 * @param count  0 to the messages claimed; the others are given up
 * @retval 0        published
 * @retval -EINVAL  no claim of a batch is open, or `count` exceeds it: the claim stays open */
MR_API int mr_publisher_commit_batch(struct mr_publisher *p, unsigned count);

/** @} */

/** Publishes the ring's tail: lets the bus see all messages written so far. Sends gathered
 * acknowledgements too.
 * @param c  the client
 * @return 0, -ENOTCONN, or -EDEADLK while a claim is open */
MR_API int mr_flush(struct mr_client *c);

/** Flushes, and waits until the bus has taken everything from the ring. Serves no callbacks.
 *
 * "Taken" means read by the bus, not received by subscribers. Over UDP: handed to the socket, and
 * promised messages acknowledged by the bus.
 *
 * @param c           the client
 * @param timeout_ms  limit, ms; also for the reconnection if the bus is away
 * @retval 0           taken
 * @retval -ETIMEDOUT  not all was taken in time
 * @retval -ENOTCONN   no connection
 * @retval -EDEADLK    a claim is open */
MR_API int mr_drain(struct mr_client *c, unsigned timeout_ms);

/** Ends the work of a client in order, before mr_close(). Serves callbacks meanwhile.
 *
 * 1. All subscriptions are drained, as by mr_subscription_drain(). Messages for mr_receive() stay
 *    for it.
 * 2. Settlements of consumers are sent. Consumers stay open; deliveries that are not settled go
 *    back to their queues with mr_close().
 * 3. Promised messages are accepted, as by mr_settle().
 * 4. The bus takes all messages from the ring, as by mr_drain().
 *
 * @param c           the client; it can be used afterwards, but for its subscriptions
 * @param timeout_ms  limit for all of it, ms
 * @retval 0           done
 * @retval -ETIMEDOUT  not done in time; subscriptions go on draining
 * @retval -EDEADLK    within a callback, or a claim is open
 * @retval -EINVAL     NULL
 * @return otherwise as from mr_settle() and mr_drain() */
MR_API int mr_client_drain(struct mr_client *c, unsigned timeout_ms);

/** @name Promised publishing
 * @{ */

/** Options of mr_publisher_open_with(). */
struct mr_publisher_options {
	/** Promise for all messages of the publisher, also in batches and claims. */
	enum mr_promise_kind promise;
	/** Exactly once: name of the publisher, or NULL.
	 *
	 * With `next_id` 0 each handle is a new publisher, named or not; its numbers hold over
	 * all reconnections of its client. A publisher that must be recognised after a restart of
	 * the program gives a name and counts its messages itself, with `next_id`. */
	const char *publisher;
	/** Exactly once: number of the next message, above all numbers used before under this
	 * name; 0: the numbers begin at 1. */
	uint64_t next_id;
};

/** Opens a publisher with a promise. Waits for the bus and serves callbacks meanwhile.
 *
 * Its messages stay in the ring until the bus has taken them. When the session is lost before
 * that, the client copies them and sends them again in the next session. At most 16,384 messages
 * of a publisher may be open; beyond that its calls return -EAGAIN. So they do while a subscriber
 * with the same promise is full (back-pressure).
 *
 * @param c        the client
 * @param subject  1 to MR_SUBJECT_BYTES bytes, no wildcards
 * @param options  copied; NULL: best effort, as mr_publisher_open()
 * @param out      the publisher; NULL after a failure
 * @return 0 or a negative errno value as from mr_publisher_open() */
MR_API int mr_publisher_open_with(struct mr_client *c, const char *subject,
	const struct mr_publisher_options *options, struct mr_publisher **out);

/** Publishes one message with a header block, under the promise of the publisher. Does not wait.
 *
 * @param p             the publisher
 * @param headers       NATS/1.0 header block, copied; NULL: none
 * @param header_bytes  0 without a block; must fit the first fragment
 * @param payload       copied; NULL with `bytes` 0
 * @param bytes         with `header_bytes` at most mr_message_bytes_max()
 * @return 0; -EAGAIN while the ring or the window is full: process, and try again; or another
 *         error, see above */
MR_API int mr_publisher_send_with(struct mr_publisher *p, const char *headers, size_t header_bytes,
	const void *payload, size_t bytes);

/** Waits until everything promised so far is accepted. Serves callbacks meanwhile, and reconnects.
 *
 * Covers all publishers and queue handles of the client.
 *
 * @param c           the client
 * @param timeout_ms  limit, ms
 * @retval 0           accepted, or refused and reported before
 * @retval -ETIMEDOUT  not all was accepted in time
 * @retval -ENOTCONN   the connection was lost and did not come back in time
 * @return any other negative errno value: the bus has refused a message for good since the last
 *         call; each refusal is returned at most once (codes: mr_push_options::on_outcome) */
MR_API int mr_settle(struct mr_client *c, unsigned timeout_ms);

/** @} */

/** @} */

#endif
