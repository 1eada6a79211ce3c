/* SPDX-License-Identifier: Apache-2.0 */
/* units: durations and sizes as people write them: "500ms", "1.5s", "2m", "16KiB", "1M".
 *
 * A text is decimal digits, at most one dot, and a unit, with one space between if wanted. Without
 * a unit the number counts the caller's base unit, so plain numbers keep their meaning.
 *
 * Units     durations: ns, us, ms, s, m or min, h, d. Sizes: B; k, M, G, T and kB, MB, GB, TB are
 *           thousands; Ki, Mi, Gi, Ti and KiB, MiB, GiB, TiB are powers of 1024. K is k.
 * Threads   Any.
 * Errors    -EINVAL: no number, or an unknown unit. -ERANGE: too large, or not a whole number of
 *           base units.
 */
#ifndef MILLRACE_BASE_UNITS_H
#define MILLRACE_BASE_UNITS_H

#include <stdint.h>

#define MR_UNITS_US 1000u
#define MR_UNITS_MS 1000000u
#define MR_UNITS_S  1000000000u

/* Parses a duration into a count of `base_ns`, such as MR_UNITS_MS. */
int mr_units_duration(const char *text, uint64_t base_ns, uint64_t *out);

/* Parses a size into a count of `base_bytes`. */
int mr_units_size(const char *text, uint64_t base_bytes, uint64_t *out);

/* Return the nanoseconds or bytes of a unit, or 0 if there is none of this name. */
uint64_t mr_units_duration_factor(const char *name);
uint64_t mr_units_size_factor(const char *name);

#endif
