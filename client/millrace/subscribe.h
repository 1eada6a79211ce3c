/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MILLRACE_H
#error "include millrace.h: it includes this file"
#endif
#ifndef MILLRACE_SUBSCRIBE_H
#define MILLRACE_SUBSCRIBE_H

/** @file subscribe.h
 * Subscribing to subjects. */

/** @defgroup subscribe Subscribing
 * Subscriptions to subjects. Manual page: mr_subscribe(3).
 *
 * The calls that process give messages to the callback of a subscription, one by one or many at a
 * time. A subscription without a callback leaves its messages to mr_receive().
 *
 * A slow client does not slow the bus down: when its ring is full, the bus drops new messages for
 * it and reports their number (mr_options::on_gap). Promised messages are the exception.
 * @{ */

/** Receives one message.
 * @param c    the client
 * @param m    valid until the callback returns
 * @param arg  as given to mr_subscribe() */
typedef void mr_message_fn(struct mr_client *c, const struct mr_message *m, void *arg);

/** Receives consecutive messages that have equal sizes: the fastest way to receive.
 *
 * Subject, headers and payload of message i, 0 <= i < count, start `i * stride` bytes after those
 * of `first`; their content may differ. A message that wants a reply comes alone. All messages
 * count as handed out when the callback is called: none is delivered again if the callback
 * unsubscribes.
 *
 * @param c       the client
 * @param first   the first message; all are valid until the callback returns
 * @param count   number of messages, at least 1
 * @param stride  distance from one message to the next, bytes
 * @param arg     as given to mr_subscribe() */
typedef void mr_messages_fn(struct mr_client *c, const struct mr_message *first, unsigned count,
	size_t stride, void *arg);

/** Options of mr_subscribe(). */
struct mr_subscribe_options {
	/** Queue group, 1 to 63 bytes: of all subscriptions with this pattern and group, one gets
	 * each message. NULL: no group. */
	const char *group;
	/** True: `pattern` is a byte prefix, not tokens with wildcards. */
	bool prefix;
	/** MR_AT_LEAST_ONCE, MR_EXACTLY_ONCE: while this client is full, promised messages hold
	 * their publishers back instead of being missed. With MR_EXACTLY_ONCE the library also
	 * drops duplicates from publishers that promise exactly once. */
	enum mr_promise_kind promise;
	/** High-water mark, percent of the ring (over UDP: of the log), 1 to 100. The client
	 * counts as full for this subscription above it. 0: the default of the bus. */
	unsigned high_water;
	/** Callback for many messages, in place of `callback`, which must then be NULL. */
	mr_messages_fn *batch;
	/** True: messages say when the bus took them, see mr_message_time_ns(). */
	bool time;
	/** True: messages name their sender, see mr_message_sender(). A bus whose configuration
	 * does not show senders refuses the subscription with -EPERM. */
	bool sender;
	/** True: over UDP, receive from a multicast group where the bus has one for this pattern
	 * (`multicast.ranges`) and the network brings its frames here; otherwise copies of its own,
	 * as without. Waits up to a second for the first frame. Not with `group` or a promise. */
	bool multicast;
	/** With `multicast`: name of the interface on which to join. NULL: that of the session's
	 * route. */
	const char *interface;
};

/** Subscribes to subjects. Waits for the bus and serves callbacks meanwhile.
 *
 * Every message published after the return is delivered. A subscription is made anew after each
 * reconnection; messages published between the two are lost for it.
 *
 * @param c         the client
 * @param pattern   tokens separated by dots, 1 to MR_SUBJECT_BYTES bytes; `*` matches one token,
 *                  `>` at the end one or more
 * @param options   copied; NULL: none
 * @param callback  receives the messages; NULL: mr_receive() does, or `options->batch`
 * @param arg       passed to the callback
 * @param out       the subscription; NULL after a failure. `out` may be NULL: the subscription
 *                  then lives as long as the client.
 * @retval 0           subscribed
 * @retval -EINVAL     malformed pattern, group or option
 * @retval -EACCES     the bus refuses this pattern
 * @retval -EPERM      `sender`: the bus does not show senders
 * @retval -ENOSPC     the table of subscriptions is full
 * @retval -EDQUOT     this host's or user's share is used up
 * @retval -ETIMEDOUT  no answer within `request_timeout_ms`
 * @retval -ENOTCONN   no connection
 * @retval -EAGAIN     64 requests to control are under way
 * @retval -EDEADLK    a claim is open
 * @retval -ENOMEM     no memory */
MR_API int mr_subscribe(struct mr_client *c, const char *pattern,
	const struct mr_subscribe_options *options, mr_message_fn *callback, void *arg,
	struct mr_subscription **out);

/** Ends a subscription. Serves callbacks meanwhile; messages that arrive before the bus answers
 * are still handed out.
 *
 * @param s  must not be used afterwards, except after -EDEADLK
 * @return 0; -ETIMEDOUT: ended here, and the library keeps asking the bus in the background, also
 *         when 64 requests to control are under way; -EDEADLK: a claim is open, and nothing has
 *         ended; or another negative errno value: ended here */
MR_API int mr_unsubscribe(struct mr_subscription *s);

/** @name Subscriptions that end by themselves
 * Such a subscription hands out no message after its end. Its handle stays valid: the program
 * passes it to mr_unsubscribe(), which then only frees it, or leaves it to mr_close().
 * @{ */

/** Called when a subscription has ended, as other callbacks: never within another callback.
 * @param c    the client
 * @param s    the subscription; the callback may pass it to mr_unsubscribe()
 * @param arg  as given to mr_subscription_on_end() */
typedef void mr_subscription_fn(struct mr_client *c, struct mr_subscription *s, void *arg);

/** Ends a subscription after a number of messages. Does not wait.
 *
 * The number is exact: it counts the messages handed out since mr_subscribe(), as
 * mr_subscription_count() does, over all reconnections. In a queue group, messages that the bus
 * gave to this member beyond the number are lost for the group.
 *
 * @param s         the subscription
 * @param messages  it ends when so many were handed out; at once if they were
 * @retval 0        set
 * @retval -EINVAL  NULL
 * @retval -ENOENT  it is ending already, or has ended */
MR_API int mr_unsubscribe_after(struct mr_subscription *s, uint64_t messages);

/** Drains a subscription: asks the bus for no more messages, and ends when those that the bus has
 * given were handed out. Does not wait; the calls that process do the rest.
 *
 * Messages for mr_receive() must be received before the subscription ends. When the connection is
 * lost, the messages received before are handed out, and the subscription ends.
 *
 * @param s  the subscription; one that is ending or has ended is left alone
 * @retval 0        begun
 * @retval -EINVAL  NULL */
MR_API int mr_subscription_drain(struct mr_subscription *s);

/** Sets the callback for the end by mr_unsubscribe_after(), mr_subscription_drain() or
 * mr_client_drain(). mr_unsubscribe() and mr_close() do not call it.
 * @param s         the subscription; NULL is ignored
 * @param callback  NULL: none
 * @param arg       passed to it */
MR_API void mr_subscription_on_end(
	struct mr_subscription *s, mr_subscription_fn *callback, void *arg);

/** Returns true when a subscription hands out no more messages.
 * @param s  the subscription; true for NULL
 * @return false for one that is drained but has not ended */
MR_API bool mr_subscription_ended(const struct mr_subscription *s);

/** @} */

/** Returns true while a subscription receives from a multicast group.
 * @param s  the subscription; false for NULL
 * @return false while it gets copies of its own */
MR_API bool mr_subscription_is_multicast(const struct mr_subscription *s);

/** Returns the pattern of a subscription.
 * @param s  the subscription
 * @return text, valid as long as the subscription */
MR_API const char *mr_subscription_pattern(const struct mr_subscription *s);

/** Counts the messages handed out for a subscription so far.
 * @param s  the subscription
 * @return messages */
MR_API uint64_t mr_subscription_count(const struct mr_subscription *s);

/** @} */

#endif
