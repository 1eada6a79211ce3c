/* SPDX-License-Identifier: Apache-2.0 */
/* multicast: subscriptions that receive from a multicast group.
 *
 * The bus names a group in its answer. The library joins it, and asks for a probe in it until one
 * comes. Without a probe in time, and when a group falls silent later, it subscribes again for
 * copies of its own. A subscription has either the group or copies, never both.
 *
 * Owns      Nothing.
 * Threads   The client's.
 */
#ifndef MILLRACE_CLIENT_SUBSCRIBE_MULTICAST_H
#define MILLRACE_CLIENT_SUBSCRIBE_MULTICAST_H

#include "client/core/part.h"
#include "client/core/state.h"

struct mr_control_answer;

enum mr_multicast_state {
	MR_MULTICAST_NONE,    /* not wanted, or the bus has no group for it */
	MR_MULTICAST_WANTED,  /* the next subscription asks for it */
	MR_MULTICAST_PROBING, /* joined; no probe came yet */
	MR_MULTICAST_HEARD,   /* receives from the group */
	MR_MULTICAST_LEAVING, /* asks for copies of its own */
};

/* Handles the bus's answer to a subscription. */
void mr_multicast_answered(
	struct mr_client *c, struct mr_subscription *s, const struct mr_control_answer *a);
/* Waits until the subscription receives, in one way or the other. */
int mr_multicast_wait(struct mr_client *c, struct mr_subscription *s);
/* Leaves the group of an ending subscription. */
void mr_multicast_forget(struct mr_client *c, uint32_t id);

extern const struct mr_part mr_multicast_part;

#endif
