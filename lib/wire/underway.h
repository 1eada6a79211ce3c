/* SPDX-License-Identifier: Apache-2.0 */
/* underway: how many bytes of promised messages can be under way to a receiver when it is found
 * full. The worker keeps to these limits, and the configuration is checked against them.
 *
 * Units     Bytes, as they will stand in a ring.
 */
#ifndef MILLRACE_WIRE_UNDERWAY_H
#define MILLRACE_WIRE_UNDERWAY_H

#include <stdint.h>

/* A burst taken from clients after back-pressure was last checked in the round. */
#define MR_UNDERWAY_BURST_BYTES (128u << 10)
/* From one worker to another. Publishers wait above it; one burst may exceed it. */
#define MR_UNDERWAY_WINDOW_BYTES (256u << 10)
/* Allowance for each message, beside its header block and payload. */
#define MR_UNDERWAY_EACH_BYTES 320u

/* Returns the bytes that may be under way to one subscription from `workers` workers. */
static inline uint64_t mr_underway_bytes(unsigned workers)
{
	return MR_UNDERWAY_BURST_BYTES +
	       (uint64_t)(workers - 1) * (MR_UNDERWAY_WINDOW_BYTES + MR_UNDERWAY_BURST_BYTES);
}

#endif
