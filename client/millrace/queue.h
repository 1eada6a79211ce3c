/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MILLRACE_H
#error "include millrace.h: it includes this file"
#endif
#ifndef MILLRACE_QUEUE_H
#define MILLRACE_QUEUE_H

/** @file queue.h
 * Queues: pushing, consuming, acknowledgement. */

/** @defgroup queue Queues
 * Queues: producers push, and each message goes to one consumer. Manual page: mr_queue(3).
 *
 * A queue keeps each message until a consumer has settled it. Queues are in the memory of the
 * bus. The first to name a queue makes it, with its options; to ask for other options later is
 * -EEXIST.
 * @{ */

/** Selects the consumer of the next message, among those with free prefetch. */
enum mr_policy {
	MR_POLICY_DEFAULT,             /**< queue: round robin; service: least recently used */
	MR_POLICY_LEAST_RECENTLY_USED, /**< the consumer that has waited longest */
	MR_POLICY_ROUND_ROBIN,         /**< each in turn */
	MR_POLICY_LEAST_OUTSTANDING,   /**< the consumer with the fewest unsettled deliveries */
	MR_POLICY_RANDOM,              /**< any */
	MR_POLICY_WEIGHTED,            /**< in proportion to mr_consume_options::weight */
	MR_POLICY_KEY_SHARED,          /**< queue: messages of one key (mr_push::key) go to one
					* consumer, in order; those without one round robin */
};

/** Selects the answer to a push that finds the queue full. */
enum mr_when_queue_full {
	MR_QUEUE_FULL_DEFAULT, /**< queue: wait; service: refuse */
	MR_QUEUE_FULL_WAIT,    /**< the push is accepted when there is room (back-pressure) */
	MR_QUEUE_FULL_REFUSE,  /**< the push is refused */
	/** queue: the oldest waiting message of the lowest priority is discarded, and counted */
	MR_QUEUE_FULL_DROP_OLDEST,
	/** queue: the oldest waiting message of the lowest priority becomes a dead letter */
	MR_QUEUE_FULL_DEAD_LETTER,
};

/** Priority of a message within its queue: one of ten levels, 0 to 9. A higher level goes first;
 * within a level the older message does. */
enum mr_priority {
	MR_PRIORITY_NORMAL,     /**< level 4, the default */
	MR_PRIORITY_HIGH,       /**< level 7 */
	MR_PRIORITY_LOW,        /**< level 1 */
	MR_PRIORITY_FIRST = 16, /**< level 0: see MR_PRIORITY() */
	MR_PRIORITY_LAST = 25,  /**< level 9 */
};

/** Makes an enum mr_priority of a level.
 * @param level  0 to 9; 1, 4 and 7 are the same as low, normal and high */
#define MR_PRIORITY(level) ((enum mr_priority)(MR_PRIORITY_FIRST + (level)))

/** Selects what becomes of a message whose time to live (mr_push::ttl_ms) is over. */
enum mr_when_expired {
	MR_EXPIRED_DEFAULT,     /**< discard */
	MR_EXPIRED_DISCARD,     /**< the bus discards and counts it */
	MR_EXPIRED_DEAD_LETTER, /**< it goes to the dead letters */
};

/** Selects whether a queue delivers to all its consumers. */
enum mr_single_active {
	MR_SINGLE_ACTIVE_DEFAULT, /**< no */
	MR_SINGLE_ACTIVE_NO,      /**< the policy chooses among all consumers */
	/** One consumer gets all messages. The others stand by, and take its place in the order of
	 * their arrival. */
	MR_SINGLE_ACTIVE_YES,
};

/** Options of a queue or a service, used by the client that makes it. A field that is 0 has the
 * default of the bus, and agrees with any value of an existing queue. Its size does not change:
 * other options contain it. */
struct mr_queue_options {
	enum mr_policy policy;             /**< choice of the consumer */
	enum mr_when_queue_full when_full; /**< answer to a push when it is full */
	uint64_t messages_max;             /**< limit of messages, to UINT64_MAX / 4 */
	uint64_t bytes_max;                /**< limit of headers and payloads, to UINT64_MAX / 4 */
	/** Age limit, ms, to INT32_MAX. Older messages go to the dead letters. Service: calls that
	 * no worker has begun fail with -EHOSTUNREACH. */
	uint32_t age_max_ms;
	/** Acknowledgement time-out, ms, to INT32_MAX: an unsettled delivery is given to another
	 * consumer after this time. */
	uint32_t ack_timeout_ms;
	uint16_t max_deliver;      /**< attempts before a message goes to the dead letters */
	bool not_idempotent;       /**< service: a call whose worker died goes to no other worker */
	uint8_t when_expired;      /**< queue: enum mr_when_expired */
	uint16_t breaker_failures; /**< service: consecutive failures that open its circuit breaker;
				    * 65535: never */
	uint16_t aging_s;          /**< queue: a waiting message counts as one level of priority
				    * higher for each such time, s; 0: it does not */
	uint32_t breaker_reset_ms; /**< service: time the circuit breaker stays open, ms */
	uint16_t breaker_probes;   /**< service: calls let through after that time, as a test */
	uint8_t single_active;     /**< queue: enum mr_single_active */
	uint8_t in_flight_per_key; /**< MR_POLICY_KEY_SHARED: messages of one key that may be
				    * unsettled at once, to 250; 0: 1 */
};

/** Back-off of a queue: failed attempts come back after a delay that grows. A field that is 0 has
 * the default of the bus, and agrees with any value of an existing queue.
 *
 * The delay of attempt n is min_ms * (factor / 100)^(n - 1), at most `max_ms`, less a random part
 * of up to `jitter` percent. An attempt fails by mr_nack() without a delay of its own, by the
 * acknowledgement time-out, or with its consumer. */
struct mr_queue_retry {
	uint32_t min_ms; /**< delay after the first failed attempt, to 86,400,000; 0: no back-off */
	uint32_t max_ms; /**< longest delay, to 86,400,000; 0: one hour */
	uint16_t factor; /**< growth with each attempt, hundredths, 100 to 10,000; 0: 200 */
	uint8_t jitter;  /**< random part, percent, to 100 */
	uint8_t reserved8; /**< 0 */
};

/** A queue opened for pushing, made by mr_queue_open(). */
struct mr_queue;

/** @name Pushing
 * @{ */

/** Options of mr_queue_open(). */
struct mr_push_options {
	/** Promise for the pushes of this handle. MR_BEST_EFFORT: a push to a full queue is lost,
	 * and the bus counts it. */
	enum mr_promise_kind promise;
	/** Exactly once: as mr_publisher_options::publisher. */
	const char *publisher;
	/** Exactly once: as mr_publisher_options::next_id. */
	uint64_t next_id;
	/** Options of the queue if this handle makes it. */
	struct mr_queue_options queue;
	/** Called once for the outcome of each promised push; may be NULL.
	 *
	 * `error` is 0 when the queue has accepted the message, else:
	 *
	 * | code      | meaning                                                              |
	 * |-----------|----------------------------------------------------------------------|
	 * | -EBUSY    | the queue stayed full, after retries (not with MR_QUEUE_FULL_WAIT)   |
	 * | -ENOBUFS  | the memory of all queues stayed full, after retries                  |
	 * | -EDQUOT   | the share of this host or user in it stayed used up, after retries   |
	 * | -ESTALE   | too old: the bus cannot tell whether it was pushed before            |
	 * | -ENOENT   | the queue was removed and cannot be made again                       |
	 * | -EMSGSIZE | too large for the bus connected to since                             |
	 * | -EOPNOTSUPP | the bus connected to since does not know an option of the push |
	 * | -EINVAL   | malformed, or over the queue's `bytes_max`; -EPROTO: unknown answer  |
	 *
	 * Runs within any call that processes or waits, also within another callback. It may
	 * push, and must not wait. */
	void (*on_outcome)(struct mr_client *c, uint64_t id, int error, void *arg);
	/** Passed to `on_outcome`. */
	void *arg;
	/** MR_POLICY_KEY_SHARED, if this handle makes the queue: the key of a message that is
	 * pushed without one, "header NAME" or "token N" (of the subject, from 1); NULL: none.
	 * At most 80 bytes, copied. */
	const char *key_from;
	/** Back-off of the queue if this handle makes it. */
	struct mr_queue_retry retry;
	/** Queue that gets the dead letters, if this handle makes the queue: one of the same
	 * worker, made if there is none; "none": they are discarded; "default": NAME.dead; NULL:
	 * the default of the bus, agrees with any. Copied. */
	const char *dead_letter;
};

/** Opens a queue for pushing, and makes it if there is none. Waits for the bus and serves
 * callbacks meanwhile. A queue may be opened several times.
 *
 * @param c        the client
 * @param name     1 to MR_SUBJECT_BYTES bytes, as a subject
 * @param options  copied; NULL: at least once, default options of the queue
 * @param out      the handle; NULL after a failure. Lives until mr_queue_close() or mr_close().
 * @retval 0           open; it stays usable after reconnections
 * @retval -EINVAL     malformed name or option; `dead_letter` is at another worker, and mr_error()
 *                     names a queue that is not
 * @retval -EEXIST     the queue exists with other options
 * @retval -EACCES     the bus refuses this name
 * @retval -ENOSPC     the table of queues is full
 * @retval -EDQUOT     this host's or user's share is used up
 * @retval -EOPNOTSUPP the bus is older and does not know `dead_letter`
 * @retval -ETIMEDOUT  no answer within `request_timeout_ms`
 * @retval -ENOTCONN   no connection
 * @retval -EAGAIN     64 requests to control are under way
 * @retval -EDEADLK    a claim is open
 * @retval -ENOMEM     no memory */
MR_API int mr_queue_open(struct mr_client *c, const char *name,
	const struct mr_push_options *options, struct mr_queue **out);

/** Closes a handle, and forgets its pushes that are not accepted yet: call mr_settle() first.
 *
 * May be called within callbacks, except within an `on_outcome` that mr_push() of this handle
 * serves.
 *
 * @param q  must not be used afterwards; NULL is ignored */
MR_API void mr_queue_close(struct mr_queue *q);

/** One push. */
struct mr_push {
	const char *headers;       /**< NATS/1.0 header block, copied; NULL: none */
	size_t header_bytes;       /**< 0 without a block */
	const void *payload;       /**< copied; NULL with `bytes` 0 */
	size_t bytes;              /**< with `header_bytes` at most mr_message_bytes_max() */
	enum mr_priority priority; /**< within the queue; also MR_PRIORITY() of a level */
	/** Exactly once: number of the message, 1 to 2^63 - 1; 0: the next one. Otherwise 0. */
	uint64_t id;
	/** Exactly once, with `id`: number of another publisher; 0: this handle. A stage of a
	 * pipeline passes on the `publisher` and `id` of its input here, so that its output is
	 * deduplicated by its input. */
	uint64_t publisher;
	/** Time to live, ms, from the receipt by the queue; 0: no limit. When it is over the queue
	 * takes the message back, wherever it stands, and mr_queue_options::when_expired says what
	 * becomes of it. */
	uint32_t ttl_ms;
	/** Time from the receipt by the queue before which the message is not delivered, ms; 0:
	 * now. */
	uint32_t delay_ms;
	/** Unix time before which the message is not delivered, ms; 0: now. Not with
	 * `delay_ms`. The clock of the bus counts; when it steps, the message follows it, but
	 * not with `ttl_ms`. */
	uint64_t at_ms;
	/** Key, 1 to 255 bytes without control characters, for a queue with MR_POLICY_KEY_SHARED;
	 * NULL: none. The message carries it in the header Millrace-Key. */
	const char *key;
	/** Number below 2^48 by which mr_queue_cancel() finds the message while it waits: one of
	 * mr_queue_ticket(), or the program's own; 0: none. */
	uint64_t ticket;
	/** Period, ms, at least 100: the queue gets a copy of the message each time, until the
	 * ticket, which is needed, is cancelled or the queue is deleted. A push with the same
	 * ticket takes the place of the former one. Not with `delay_ms`, `at_ms` or `cron`. */
	uint32_t every_ms;
	/** Failed attempts to deliver the message elsewhere, for one that is moved or restored:
	 * they count as if they had failed here. Not with `delay_ms`, `at_ms`, `ticket`,
	 * `every_ms` or `cron`. */
	uint32_t attempts;
	/** Like `every_ms`, at times of five fields as in crontab(5), `0 8 * * mon-fri`. A sixth is
	 * the zone: UTC (without it, too), an offset `+0100`, or a rule as POSIX writes it in TZ,
	 * `CET-1CEST,M3.5.0,M10.5.0/3`. NULL: none. Copies have it in the header
	 * `Millrace-Cron`. */
	const char *cron;
};

/** Pushes one message. Does not wait.
 *
 * @param q     the queue
 * @param push  the message
 * @param id    number of the push, for `on_outcome`; 0 with best effort; may be NULL
 * @retval 0          sent, or kept for a retry
 * @retval -EAGAIN    the ring or the window of open pushes is full: so a full queue holds its
 *                    producers back; or `push->id` is open in this queue already; or (best effort)
 *                    the bus has no number for the queue now
 * @retval -EINVAL    malformed headers, unknown priority, an `id` without exactly once, or `cron`
 *                    with a fault or a day that never comes
 * @retval -EMSGSIZE  too large; with `ttl_ms`, `delay_ms`, `at_ms`, `every_ms`, `cron`, `key`,
 *                      `attempts` or a priority without a name the limit is 32 bytes lower, with
 *                      `cron` and `key` also by their headers; `every_ms`, `cron`: larger than
 *                      one frame
 * @retval -EOPNOTSUPP  `ttl_ms`, `delay_ms`, `at_ms`, `ticket`, `every_ms`, `cron`, `key`,
 *                      `attempts`, a priority without a name: the bus is older and does not know it
 * @retval -ENOTCONN  no connection
 * @retval -EDEADLK   a claim is open
 * @retval -ENOMEM    no memory */
MR_API int mr_push_with(struct mr_queue *q, const struct mr_push *push, uint64_t *id);

/** Pushes one message. Waits for room up to `request_timeout_ms`; serves no callback but
 * `on_outcome` meanwhile, and defers messages that arrive.
 *
 * @param q        the queue
 * @param payload  copied; NULL with `bytes` 0
 * @param bytes    0 to mr_message_bytes_max()
 * @return 0; -ETIMEDOUT: the bus did not accept earlier pushes in time; or as mr_push_with() */
MR_API int mr_push(struct mr_queue *q, const void *payload, size_t bytes);

/** Returns a new ticket: a random number.
 * @param q  the queue
 * @return 1 to 2^48 - 1 */
MR_API uint64_t mr_queue_ticket(struct mr_queue *q);

/** Cancels the messages with a ticket that are not due yet, and the schedule with it. Waits for the
 * answer. A request that is repeated because an answer was lost ends with -ESRCH.
 *
 * @param c       the client: that which pushed them, or another of the same host or user; of root
 *                and the bus's own user: any
 * @param queue   its name
 * @param ticket  mr_push::ticket
 * @retval 0        cancelled: it is never delivered
 * @retval -ESRCH   no such message waits: it is due already, was cancelled, or never had the ticket
 * @retval -ENOENT  no such queue
 * @retval -EACCES  it is a message of another host or user
 * @retval -ENOSYS  the bus is older
 * @return or as mr_queue_open() */
MR_API int mr_queue_cancel(struct mr_client *c, const char *queue, uint64_t ticket);

/** Counts the pushes of a handle that are not accepted yet.
 * @param q  the queue
 * @return messages */
MR_API unsigned mr_queue_unaccepted(const struct mr_queue *q);

/** @} */

/** @name Consuming
 * @{ */

/** A consumer of a queue, made by mr_consume(). */
struct mr_consumer;

/** A message of a queue, delivered to a consumer. */
struct mr_delivery {
	struct mr_message message;    /**< its subject is empty */
	struct mr_consumer *consumer; /**< for mr_ack() and the like */
	uint64_t tag;                 /**< names the delivery to mr_ack() and the like */
	unsigned redelivered; /**< earlier deliveries; mr_delivery_attempts() counts attempts */
	enum mr_priority priority; /**< given by the push: normal, high or low. For another level
				    * the side of normal on which it is: mr_delivery_priority() */
	uint64_t publisher;        /**< number of a publisher that promised exactly once, or 0 */
	uint64_t id;               /**< its number for the message, or 0 */
};

/** Options of mr_consume(). */
struct mr_consume_options {
	/** Unsettled deliveries that this client holds at most, to 65,535; 0: the default of the
	 * bus. */
	unsigned prefetch;
	/** Share under MR_POLICY_WEIGHTED, 1 to 65,535; 0: 1. */
	unsigned weight;
	/** True: mr_ack(), mr_nack() or mr_give_back() settle each delivery, now or later. False:
	 * the library acknowledges a delivery when the callback returns (or at the next
	 * mr_pull()), unless the program has settled it by then. */
	bool manual;
	/** Options of the queue if this consumer makes it. */
	struct mr_queue_options queue;
	/** Name of the consumer in lists and for `millrace queue pause --consumer`, at most 64
	 * printable ASCII characters; copied; NULL: none. It need not be unique. */
	const char *tag;
	/** Limit of deliveries, messages per second, 0.001 to 1,000,000; 0: none. A burst has at
	 * most the messages of 100 ms, but at least one. */
	double rate;
	/** The bus sends no further delivery while the unsettled ones have this many bytes, headers
	 * and payloads, or more; 0: no limit. So one message always goes. */
	uint32_t prefetch_bytes;
	/** With `auto_renew`: the longest time for which a delivery may be worked on, ms, to
	 * 86,400,000; 0: 5 minutes. */
	uint32_t renew_max_ms;
	/** As MR_SINGLE_ACTIVE_YES in `queue`: the active consumer gets all messages, and this one
	 * waits until those that came before it have ended. */
	bool exclusive;
	/** A delivery that is handed out has `renew_max_ms` instead of the acknowledgement time-out
	 * of the queue, also while the callback does not return. */
	bool auto_renew;
	uint8_t reserved[6]; /**< 0 */
	/** As mr_push_options::key_from. */
	const char *key_from;
	/** Back-off of the queue if this consumer makes it. */
	struct mr_queue_retry retry;
	/** As mr_push_options::dead_letter. */
	const char *dead_letter;
};

/** Receives one delivery, within the calls that process.
 * @param c    the client
 * @param d    valid until the callback returns
 * @param arg  as given to mr_consume() */
typedef void mr_delivery_fn(struct mr_client *c, const struct mr_delivery *d, void *arg);

/** Makes the client a consumer of a queue, and makes the queue if there is none. Waits for the bus
 * and serves callbacks meanwhile, also the new one.
 *
 * @param c         the client
 * @param queue     1 to MR_SUBJECT_BYTES bytes, as a subject
 * @param options   copied; NULL: none
 * @param callback  receives the deliveries; NULL: mr_pull() returns them
 * @param arg       passed to the callback
 * @param out       the consumer; NULL after a failure. Lives until mr_consumer_close() or
 *                  mr_close().
 * @return 0 or a negative errno value as from mr_queue_open(); -EINVAL also for a `prefetch` or
 *         `weight` above 65,535 and for a malformed `tag` or `rate`; -EOPNOTSUPP: the bus is older
 *         and does not know `rate`, `prefetch_bytes`, `exclusive`, `auto_renew` or `dead_letter` */
MR_API int mr_consume(struct mr_client *c, const char *queue,
	const struct mr_consume_options *options, mr_delivery_fn *callback, void *arg,
	struct mr_consumer **out);

/** Ends the deliveries. Unsettled ones go to other consumers and do not count as attempts. Serves
 * callbacks meanwhile. May be called in the consumer's own callback.
 *
 * @param consumer  must not be used afterwards, except after -EDEADLK
 * @return 0, or a negative errno value as from mr_unsubscribe() */
MR_API int mr_consumer_close(struct mr_consumer *consumer);

/** Stops the deliveries to a consumer, until mr_consumer_resume(). Waits for the bus and serves
 * callbacks meanwhile. It keeps its place among the consumers and what it has: deliveries that the
 * bus has sent already, up to its prefetch, still come. The pause outlives reconnections. May be
 * called in callbacks.
 *
 * @param consumer  the consumer
 * @retval 0            paused; without a connection: as soon as there is one
 * @retval -EOPNOTSUPP  the bus is older and cannot pause it
 * @retval -ETIMEDOUT   no answer within `request_timeout_ms`; the request continues
 * @retval -ENOENT      a callback closed the consumer meanwhile
 * @retval -EAGAIN      64 requests to control are under way
 * @retval -EDEADLK     a claim is open */
MR_API int mr_consumer_pause(struct mr_consumer *consumer);

/** Ends a pause by mr_consumer_pause(), not one by an operator.
 *
 * @param consumer  the consumer
 * @return as mr_consumer_pause() */
MR_API int mr_consumer_resume(struct mr_consumer *consumer);

/** Returns the next delivery of a consumer without a callback. Without `manual` it acknowledges
 * the one before. Serves the callbacks of others meanwhile.
 *
 * @param consumer    the consumer
 * @param out         the delivery; its message is valid until the next call that processes
 * @param timeout_ms  limit, ms; < 0: no limit
 * @retval 0           delivered
 * @retval -ETIMEDOUT  no delivery in time
 * @retval -ENOTCONN   the connection was lost; the next call waits for the reconnection
 * @retval -EINTR      a signal handler ran
 * @retval -ENOENT     a callback closed the consumer
 * @retval -EINVAL     the consumer has a callback
 * @retval -EDEADLK    within a callback, or a claim is open */
MR_API int mr_pull(struct mr_consumer *consumer, struct mr_delivery *out, int timeout_ms);

/** Returns several deliveries of a consumer without a callback and with `manual`: as soon as there
 * are `max`, or those that came within `wait_ms`. Serves the callbacks of others meanwhile.
 *
 * @param consumer  the consumer
 * @param out       `max` deliveries; their messages are valid until the next mr_pull_batch() of the
 *                  consumer, or its end. Each is settled by its tag.
 * @param max       1 or more; more than `prefetch` unsettled ones never come
 * @param wait_ms   longest wait for all of them, ms; < 0: no limit
 * @retval > 0         so many deliveries
 * @retval -ETIMEDOUT  none came in time
 * @retval -ENOTCONN   the connection was lost, and with it those that had come
 * @retval -EINTR      a signal handler ran before the first came
 * @retval -ENOENT     a callback closed the consumer
 * @retval -EINVAL     the consumer has a callback or is not manual; `max` is 0
 * @retval -EDEADLK    within a callback, or a claim is open
 * @retval -ENOMEM     no memory */
MR_API int mr_pull_batch(
	struct mr_consumer *consumer, struct mr_delivery *out, unsigned max, int wait_ms);

/** Acknowledges a delivery: the queue removes the message.
 *
 * Settlements gather. They go out when processing ends, with mr_flush(), when half of the
 * prefetch is settled, and after 20 ms.
 *
 * @param consumer  the consumer
 * @param tag       `tag` of the delivery
 * @retval 0        will be sent
 * @retval -ENOENT  not to be settled: it was settled or recalled before, or delivered before the
 *                  connection was lost. In the last two cases the queue delivers it again. */
MR_API int mr_ack(struct mr_consumer *consumer, uint64_t tag);

/** Rejects a delivery: counts as an attempt. Sent as mr_ack().
 *
 * @param consumer  the consumer
 * @param tag       `tag` of the delivery
 * @param requeue   true: deliver again, to any consumer, up to `max_deliver` attempts; false: to
 *                  the dead letters, which are the queue NAME.dead
 * @param delay_ms  redelivery delay, ms; with `requeue`. 0: that of the queue's back-off
 *                  (mr_queue_retry), at once without one
 * @return as mr_ack() */
MR_API int mr_nack(struct mr_consumer *consumer, uint64_t tag, bool requeue, uint32_t delay_ms);

/** Rejects a delivery as mr_nack(), and says why. The queue keeps the text with the message: the
 * next consumer and the dead letter find it in the header Millrace-Error. An older bus drops it.
 *
 * @param consumer  the consumer
 * @param tag       `tag` of the delivery
 * @param requeue   as mr_nack()
 * @param delay_ms  as mr_nack()
 * @param text      UTF-8, one line; the bus keeps at most 256 bytes, and replaces what is not
 *                  printable; NULL: none
 * @return as mr_ack() */
MR_API int mr_nack_error(struct mr_consumer *consumer, uint64_t tag, bool requeue,
	uint32_t delay_ms, const char *text);

/** Sets the delay of rejected deliveries that have none of their own, for as long as the queue has
 * no back-off.
 *
 * @param consumer  the consumer
 * @param delay_ms  redelivery delay, ms; 0: at once, as at first */
MR_API void mr_consumer_retry_delay(struct mr_consumer *consumer, uint32_t delay_ms);

/** Gives back a delivery that was not worked on: not an attempt. Sent as mr_ack().
 *
 * @param consumer  the consumer
 * @param tag       `tag` of the delivery
 * @return as mr_ack() */
MR_API int mr_give_back(struct mr_consumer *consumer, uint64_t tag);

/** Counts the earlier attempts at a message: deliveries that were handed out and failed, which
 * count towards `max_deliver`.
 *
 * @param d  the delivery handed out last; for an older one the result is `redelivered`
 * @return attempts; `redelivered` if the bus does not tell */
MR_API unsigned mr_delivery_attempts(const struct mr_delivery *d);

/** Returns the number by which the bus knows a delivery that is not settled, for tools that ask the
 * bus about it.
 *
 * @param d  the delivery
 * @return the number; 0 if it is settled, or was recalled */
MR_API uint64_t mr_delivery_number(const struct mr_delivery *d);

/** Returns the level of priority that the push of a message gave.
 *
 * @param d  the delivery handed out last; for an older one the level is that of `priority`
 * @return 0 to 9; low is 1, normal 4, high 7 */
MR_API unsigned mr_delivery_priority(const struct mr_delivery *d);

/** @} */

/** @name Acknowledgement time-out
 * A delivery that is not settled within `ack_timeout_ms` goes to another consumer. The time runs
 * from the moment it is worked on. With `manual`, while the client is processed, the library renews
 * deliveries that wait here to be handed out, four times per time-out. Without, each
 * acknowledgement restarts the time of the deliveries after it. A program that works long on one
 * delivery calls mr_progress().
 * @{ */

/** Restarts the time of a delivery that is still worked on. Sent at once.
 *
 * @param consumer  the consumer
 * @param tag       `tag` of the delivery
 * @retval 0        sent
 * @retval -ENOENT  not to be settled any more: stop working on it */
MR_API int mr_progress(struct mr_consumer *consumer, uint64_t tag);

/** Turns automatic renewal on or off. With it on, the library also renews the deliveries that the
 * program holds, as long as the client is processed: for a program that hands work to others.
 * With `manual` only.
 *
 * @param consumer  the consumer
 * @param on        true: renew */
MR_API void mr_consumer_renew(struct mr_consumer *consumer, bool on);

/** Reports a delivery that the bus took back: its time ran out, or (service) its caller has
 * stopped waiting. Stop working on it; its tag is no longer valid.
 *
 * Runs within any call that processes or waits, also within a callback. Must not close anything.
 * The bus delivers nothing in its place until this returns.
 *
 * @param c    the client
 * @param tag  `tag` of the delivery
 * @param arg  as given to mr_consumer_on_recall() */
typedef void mr_recall_fn(struct mr_client *c, uint64_t tag, void *arg);

/** Sets the function for recalls. Without one, mr_ack() and the like report a recall by -ENOENT.
 * With `manual` only.
 *
 * @param consumer  the consumer
 * @param fn        the function; NULL: none
 * @param arg       passed to it */
MR_API void mr_consumer_on_recall(struct mr_consumer *consumer, mr_recall_fn *fn, void *arg);

/** Returns the acknowledgement time-out of the queue, no matter who made it.
 * @param consumer  the consumer
 * @return ms; 0: the bus does not tell */
MR_API unsigned mr_consumer_ack_timeout_ms(const struct mr_consumer *consumer);

/** Returns the limit of attempts of the queue, no matter who made it.
 * @param consumer  the consumer
 * @return attempts; 0: the bus does not tell, or no limit (dead letters) */
MR_API unsigned mr_consumer_max_deliver(const struct mr_consumer *consumer);

/** @} */

/** @} */

#endif
