/* SPDX-License-Identifier: Apache-2.0 */
/* human: numbers in a few characters, for tables; and numbers with units, as people type them.
 *
 * Threads   Any.
 */
#ifndef MILLRACE_CLI_HUMAN_H
#define MILLRACE_CLI_HUMAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Units of a table's column. */
enum mr_cli_unit {
	MR_CLI_UNIT_NONE,    /* a number that is shown as it is */
	MR_CLI_UNIT_COUNT,   /* shortened to k, M, G, T where room is scarce */
	MR_CLI_UNIT_BYTES,   /* in powers of 1024: KiB, MiB, GiB, TiB */
	MR_CLI_UNIT_MS,      /* milliseconds, as ms, s, m, h or d */
	MR_CLI_UNIT_SECONDS, /* seconds, likewise */
};

#define MR_CLI_HUMAN_BYTES 32

/* Formats "512B", "1.5KiB", "20GiB". */
void mr_cli_human_bytes(char out[MR_CLI_HUMAN_BYTES], double bytes);
/* Formats "99999", "123k", "4.5M". */
void mr_cli_human_count(char out[MR_CLI_HUMAN_BYTES], double count);
/* Formats "250ms", "5.2s", "5m12s", "3h05m", "12d03h". */
void mr_cli_human_ms(char out[MR_CLI_HUMAN_BYTES], double ms);

/* Parses a number in the column's unit. It may end in a unit of lib/base/units.h: of sizes, which
 * also count what is no size, and for times of durations. False: not such a number. */
bool mr_cli_human_parse(const char *text, enum mr_cli_unit unit, double *value);

#endif
