/* SPDX-License-Identifier: Apache-2.0 */
/* ways: the addresses of a client, each with its transport. One is in use; when it fails, the next
 * one takes its place.
 *
 * Owns      A client owns its ways; each owns its transport's state, for the client's life.
 * Threads   The client's.
 * Errors    0 or -errno, with a text for mr_error.
 */
#ifndef MILLRACE_CLIENT_WAYS_H
#define MILLRACE_CLIENT_WAYS_H

#include "client/core/state.h"

/* Parses a list of addresses and resolves hosts; NULL or empty: the default bus. A host that cannot
 * be resolved is left out if there are other addresses. The first way is in use afterwards. */
int mr_ways_open(struct mr_client *c, const char *address);
void mr_ways_close(struct mr_client *c);

/* Uses the next way. There must be no session and no attach exchange. False: the round is over, and
 * the first way of a new round is in use. */
bool mr_ways_next(struct mr_client *c);

/* Starts a round with the way in use. */
void mr_ways_round(struct mr_client *c);

/* Sums up a counter over the ways that go over UDP. */
void mr_ways_stats(const struct mr_client *c, struct mr_client_stats *out);

#endif
