/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MILLRACE_H
#error "include millrace.h: it includes this file"
#endif
#ifndef MILLRACE_MESSAGE_H
#define MILLRACE_MESSAGE_H

/** @file message.h
 * Messages and their limits. */

/** @defgroup message Messages
 * Messages, the promises made for them, and their sizes.
 *
 * Best effort is the default: a message that finds a full ring, a full frame or no room on its
 * way is lost and counted. A promised message is kept until the bus has accepted it, and is sent
 * again when the connection is lost before that.
 * @{ */

/** Longest subject, pattern and byte prefix, bytes. */
#define MR_SUBJECT_BYTES 255
/** Largest header block and payload together of a message that is not fragmented, bytes. */
#define MR_BODY_BYTES 64512

/** The promise (delivery guarantee) made for the messages of a publisher, a queue handle or a
 * subscription.
 *
 * To a queue, "accepted" (confirmed) means that the queue has the message. To subjects it means
 * that the bus has taken the message from the ring.
 *
 * Exactly once is deduplication by number. It holds over lost frames, lost acknowledgements and
 * reconnections. It has these limits:
 * - The bus and a subscription remember the last 65,536 numbers of a publisher, and the missing
 *   numbers before them as long as they are few. An older message fails with -ESTALE.
 * - A subscriber misses the messages that are published while it is not connected. It gets no
 *   message twice. Use a queue for messages that must wait for their receiver.
 * - The death of the bus ends it: queues are in the memory of the bus.
 * - A consumer that dies before it settles a message may have acted on it. The bus delivers the
 *   message again and counts that in `redelivered`. */
enum mr_promise_kind {
	/** None: the message may be lost, and the loss is counted. */
	MR_BEST_EFFORT,
	/** The client keeps the message until the bus has accepted it, and sends it again after a
	 * lost connection. A receiver may get it twice. */
	MR_AT_LEAST_ONCE,
	/** At least once, and numbered: the bus and the receivers drop duplicates. */
	MR_EXACTLY_ONCE,
};

/** A connection to a bus, made by mr_connect(). */
struct mr_client;
/** A subject resolved to a number, made by mr_publisher_open(). */
struct mr_publisher;
/** A subscription, made by mr_subscribe(). */
struct mr_subscription;

/** A received message. The section "Ownership and lifetime" of millrace.h says how long it is
 * valid. Its texts do not end with a zero byte; the exceptions stand there too. mr_message_dup()
 * copies it. Its size does not change: struct mr_delivery contains it. */
struct mr_message {
	const char *subject;  /**< empty for replies and deliveries of queues */
	size_t subject_bytes; /**< 0 to MR_SUBJECT_BYTES */
	const char *headers;  /**< NATS/1.0 header block, for mr_headers_next(); or NULL */
	size_t header_bytes;  /**< 0 without a header block */
	const void *payload;  /**< may have any alignment */
	size_t payload_bytes; /**< 0 to mr_message_bytes_max() */
	/** The subscription that it matched; NULL for replies and deliveries of queues. */
	struct mr_subscription *subscription;
	bool wants_reply;        /**< true: answer with mr_reply() */
	uint8_t reserved8[3];    /**< the library's; 0 in a message that a program makes */
	uint32_t reserved32;     /**< 0 */
	uint64_t reply_token[2]; /**< opaque, for mr_reply(); may be kept for later */
};

/** Returns when the bus took a message from its publisher.
 *
 * Only a subscription with mr_subscribe_options::time asks for it. The worker of the bus that took
 * the message read the clock of its host at that time, so the time does not depend on the
 * subscriber. It steps when that clock is set. Messages that wait at their publisher, because a
 * receiver is full, are taken after the wait.
 *
 * @param m  a message of a subscription, or a copy of it; NULL is allowed
 * @return nanoseconds since 1970-01-01 UTC; 0: the message does not say */
MR_API uint64_t mr_message_time_ns(const struct mr_message *m);

/** Returns the session that published a message, as the bus knows it: a publisher cannot forge it.
 *
 * Only a subscription with mr_subscribe_options::sender asks for it.
 *
 * @param m           a message of a subscription, or a copy of it; NULL is allowed
 * @param name        receives the publisher's name (mr_options::name), not terminated, valid as
 *                    long as the message; any bytes, perhaps none. NULL: not wanted.
 * @param name_bytes  receives its length, 0 to 63; NULL: not wanted
 * @return session number, as `millrace clients` shows; 0: the message does not say */
MR_API uint64_t mr_message_sender(
	const struct mr_message *m, const char **name, size_t *name_bytes);

/** Returns the largest header block and payload together of one unfragmented message.
 *
 * This is MR_BODY_BYTES on a local bus. Over UDP it is the room of one frame of this connection
 * less the subject, about 1,400 bytes on Ethernet. A reconnection may change it.
 *
 * @param c        the client
 * @param subject  subject of the message; NULL: for a reply
 * @return bytes. Batches and claims take no more; other calls fragment larger messages. */
MR_API size_t mr_body_bytes_max(const struct mr_client *c, const char *subject);

/** Returns the largest header block and payload together that the bus takes, in fragments.
 *
 * All calls that publish, request, reply, push, call and respond take messages up to this size,
 * except batches and claims. A message that the ring cannot hold as a whole waits for room, also
 * in calls that otherwise do not wait.
 *
 * @param c  the client
 * @return bytes, at least mr_body_bytes_max(). A reconnection may change it. */
MR_API size_t mr_message_bytes_max(const struct mr_client *c);

/** @} */

#endif
