/* SPDX-License-Identifier: Apache-2.0 */
/* reassembly: messages that arrive in fragments.
 *
 * Owns      The client owns unfinished messages; a finished one belongs to the caller.
 * Threads   The client's.
 */
#ifndef MILLRACE_CLIENT_SUBSCRIBE_REASSEMBLY_H
#define MILLRACE_CLIENT_SUBSCRIBE_REASSEMBLY_H

#include "client/core/deferred.h"

struct mr_part;

/* Takes a fragment. Returns the whole message when it was the last one missing. NULL: more
 * fragments are to come, or the message was dropped and counted. `stamp_bytes`: see
 * mr_message_parse_stamped. */
struct mr_deferred *mr_reassemble(
	struct mr_client *c, const struct mr_message_view *m, uint32_t stamp_bytes);
void mr_reassembly_clear(struct mr_client *c);

extern const struct mr_part mr_reassembly_part;

#endif
