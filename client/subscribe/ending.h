/* SPDX-License-Identifier: Apache-2.0 */
/* ending: subscriptions that end by themselves: after a number of messages, or drained.
 *
 *   live --n messages handed out--> filled --unsubscribe sent--------------------------> ended
 *     `--drain--> stop --sent--> asked --answer--> flush --ping--> flushing --pong--> drained
 *                                                      no message is deferred any more --> ended
 *
 * The ping follows the messages that were under way when the bus removed the subscription. A lost
 * session leads to drained at once: the next one does not subscribe again.
 *
 * Owns      The client owns the subscriptions in its two lists. An ended one stays for the program
 *           until mr_unsubscribe or mr_close.
 * Threads   The client's.
 */
#ifndef MILLRACE_CLIENT_SUBSCRIBE_ENDING_H
#define MILLRACE_CLIENT_SUBSCRIBE_ENDING_H

#include "client/core/part.h"

extern const struct mr_part mr_ending_part;

/* Ends a subscription that has handed out its last message. The handle stays. */
void mr_subscription_filled(struct mr_client *c, struct mr_subscription *s);
/* Takes it out of the lists. */
void mr_subscription_unlink(struct mr_client *c, struct mr_subscription *s);
/* Frees those that are not in the table of subscriptions. */
void mr_subscriptions_ended_free(struct mr_client *c);

/* Counts messages handed out; call it before the callback. */
static inline void mr_subscription_counted(
	struct mr_client *c, struct mr_subscription *s, unsigned count)
{
	s->count += count;
	c->received += count;
	if (mr_unlikely(s->count >= s->limit))
		mr_subscription_filled(c, s);
}

#endif
