/* SPDX-License-Identifier: Apache-2.0 */
/* group: multicast groups from which subscriptions of a session receive.
 *
 * A group has a socket of its own, bound to the group's address. Its frames are numbered by
 * themselves and name the group's session, which only the bus's answer to the subscription tells.
 *
 * Owns      The sockets, until the session ends or the last subscription leaves.
 * Threads   The client's.
 * Errors    A frame from another sender, or of another session, is dropped and counted
 *           (multicast_refused).
 */
#ifndef MILLRACE_CLIENT_TRANSPORT_UDP_GROUP_H
#define MILLRACE_CLIENT_TRANSPORT_UDP_GROUP_H

#include "client/transport/udp/udp.h"

int mr_udp_group_join(struct mr_client *c, const struct mr_group_offer *offer,
	uint32_t subscription, const char *interface);
void mr_udp_group_leave(struct mr_client *c, uint32_t subscription);
uint64_t mr_udp_group_heard_ns(const struct mr_client *c, uint32_t subscription);
/* Takes the frames that have come, as far as there is room. False: there may be more. */
bool mr_udp_groups_receive(struct mr_client *c);
/* Leaves all groups. */
void mr_udp_groups_end(struct mr_client *c);

#endif
