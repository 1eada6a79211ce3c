/* SPDX-License-Identifier: Apache-2.0 */
/* subscribe: subscriptions, and their ids. An id is the index of a table, so a delivery finds its
 * subscription with one load.
 *
 * Owns      The client owns the table and the subscriptions.
 * Threads   The client's.
 */
#ifndef MILLRACE_CLIENT_SUBSCRIBE_SUBSCRIBE_H
#define MILLRACE_CLIENT_SUBSCRIBE_SUBSCRIBE_H

#include "client/core/part.h"
#include "client/core/state.h"

/* 0 or -ENOMEM. */
int mr_subscription_id_take(struct mr_client *c, uint32_t *id);
void mr_subscription_id_give_back(struct mr_client *c, uint32_t id);
/* Removes it from the table and unsubscribes; `queue`: the number of the queue that it consumes, or
 * 0. */
int mr_subscription_end(struct mr_client *c, uint32_t id, uint32_t queue);
uint32_t mr_subscription_encode(const struct mr_subscription *s, uint8_t *to, uint32_t room);
/* `queue` as above. */
uint32_t mr_unsubscribe_encode(uint32_t id, uint32_t queue, uint8_t *to, uint32_t room);
/* Frees a subscription that consumes no queue. */
void mr_subscription_free(struct mr_subscription *s);

extern const struct mr_part mr_subscription_part;

#endif
