/* SPDX-License-Identifier: Apache-2.0 */
/* dispatch: takes messages out of the down ring, checks them, and gives each to the module or
 * callback that waits for it. Private to the top of client/.
 *
 * Threads   The client's.
 */
#ifndef MILLRACE_CLIENT_DISPATCH_H
#define MILLRACE_CLIENT_DISPATCH_H

#include "client/core/state.h"

/* Implement mr_receive_some and mr_receive_rest of core/part.h. */
unsigned mr_dispatch_some(struct mr_client *c, unsigned max, bool defer);
void mr_dispatch_rest(struct mr_client *c);

#endif
