/* SPDX-License-Identifier: Apache-2.0 */
/* stats: what the statistics memory (flatbuf/schemas/stats.fbs) begins with.
 *
 * It changes with the layout: who maps the memory of another version must not read counters there.
 */
#ifndef MILLRACE_BASE_STATS_H
#define MILLRACE_BASE_STATS_H

/* Of full_since_ns of a session: see there. */
#define MR_FULL_OVER   (1ull << 63)
#define MR_STATS_MAGIC 0x363054415453524dull /* "MRSTAT06" */

#endif
