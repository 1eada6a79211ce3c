/* SPDX-License-Identifier: Apache-2.0 */
/* timers: timers of the program on the client's loop.
 *
 * Owns      The client owns its timers and the wheel, which the first timer makes.
 * Threads   The client's.
 * Units     Nanoseconds of CLOCK_MONOTONIC inside, milliseconds at the interface.
 */
#ifndef MILLRACE_CLIENT_CORE_TIMERS_H
#define MILLRACE_CLIENT_CORE_TIMERS_H

#include "client/core/part.h"

extern const struct mr_part mr_timers_part;

void mr_timers_free(struct mr_client *c);

#endif
