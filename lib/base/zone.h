/* SPDX-License-Identifier: Apache-2.0 */
/* zone: clocks of time zones, by rules as POSIX writes them in TZ (IEEE Std 1003.1, chapter 8.3):
 *
 *   CET-1CEST,M3.5.0,M10.5.0/3   one hour ahead of UTC, and two from the last Sunday of March
 *   <+0530>-5:30                 always 5:30 hours ahead
 *
 * The system's files of time zones (tzfile(5)) end with the rule that holds from now on. So a zone
 * is found by its name where the files are, and its rule goes to the bus, which reads none.
 *
 * Owns      Nothing.
 * Threads   Any.
 * Units     Seconds since 1970 UTC.
 */
#ifndef MILLRACE_BASE_ZONE_H
#define MILLRACE_BASE_ZONE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define MR_ZONE_RULE_BYTES_MAX 100u
#define MR_ZONE_NEVER          INT64_MAX

/* Names a time of each year, by the clock that it ends. */
struct mr_zone_change {
	char form;       /* M: a day of the week; J: 1 to 365 without 29 February; 0: 0 to 365 */
	uint8_t month;   /* M: 1 to 12 */
	uint8_t week;    /* M: 1 to 5; 5: the last */
	uint16_t day;    /* M: 0 to 6, Sunday first */
	int32_t clock_s; /* from midnight; may be of another day */
};

struct mr_zone {
	int32_t standard_s; /* ahead of UTC */
	int32_t summer_s;
	bool has_summer;
	struct mr_zone_change begins; /* summer time */
	struct mr_zone_change ends;
};

/* Reads a rule. False: it is none. */
bool mr_zone_parse(const char *text, size_t bytes, struct mr_zone *out);
/* Returns how far the zone's clock is ahead of UTC. */
int32_t mr_zone_offset_s(const struct mr_zone *z, int64_t at_s);
/* Returns the next time after `at_s` at which it steps; MR_ZONE_NEVER: it does not. */
int64_t mr_zone_next_step_s(const struct mr_zone *z, int64_t at_s);

/* Writes the rule of a zone by its name, such as Europe/Berlin, from the system's files: TZDIR, or
 * /usr/share/zoneinfo. -ENOENT: there is none of that name; -EINVAL: it has no rule; or another
 * -errno. */
int mr_zone_find(const char *name, char rule[MR_ZONE_RULE_BYTES_MAX + 1]);

#endif
