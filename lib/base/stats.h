/* SPDX-License-Identifier: Apache-2.0 */
/* stats: magic number and flags of the statistics memory (flatbuf/schemas/stats.fbs).
 *
 * The magic number changes when a field moves or means something else, so that a reader never
 * takes one counter for another. It stays when fields are appended at the end of a struct: the
 * header says where the structs are and how far apart. A reader whose structs are longer takes the
 * missing counters as 0.
 */
#ifndef MILLRACE_BASE_STATS_H
#define MILLRACE_BASE_STATS_H

/* Topmost bit of a session's full_since_ns: see stats.fbs. */
#define MR_FULL_PASSED_OVER (1ull << 63)
#define MR_STATS_MAGIC      0x363054415453524dull /* "MRSTAT06" */

#endif
