/* SPDX-License-Identifier: Apache-2.0 */
/* underway: how much of what is promised can be on its way to a receiver at the moment in which it is
 * found full. The worker keeps to it, and the configuration is checked against it.
 *
 * Units     Bytes, as they will stand in a ring.
 */
#ifndef MILLRACE_WIRE_UNDERWAY_H
#define MILLRACE_WIRE_UNDERWAY_H

#include <stdint.h>

/* Taken from clients in a round that looked at the gates before. */
#define MR_UNDERWAY_BURST_BYTES (128u << 10)
/* From one worker to another. Publishers wait above it; a burst may go over it. */
#define MR_UNDERWAY_WINDOW_BYTES (256u << 10)
/* Of each message, beside its header block and payload. */
#define MR_UNDERWAY_EACH_BYTES 320u

/* To one subscription, from all of so many workers. */
static inline uint64_t mr_underway_bytes(unsigned workers)
{
	return MR_UNDERWAY_BURST_BYTES +
	       (uint64_t)(workers - 1) * (MR_UNDERWAY_WINDOW_BYTES + MR_UNDERWAY_BURST_BYTES);
}

#endif
