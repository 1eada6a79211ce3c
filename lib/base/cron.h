/* SPDX-License-Identifier: Apache-2.0 */
/* cron: times that repeat, as five fields: minute, hour, day of the month, month, day of the week.
 *
 *   0 8 * * 1-5             at 08:00 UTC from Monday to Friday
 *   0,30 9-17 * * * +0100   each half hour from 9 to 17:30, one hour ahead of UTC
 *   0 8 * * * CET-1CEST,M3.5.0,M10.5.0/3 Europe/Berlin   at 08:00 of Berlin
 *
 * A field is a list of `*`, N, N-M, each with /STEP if wanted; months and days of the week have
 * English names of three letters too, and Sunday is 0 or 7. If both the day of the month and that
 * of the week are restricted, either suffices, as crontab(5) says. A sixth field is the time zone:
 * UTC, an offset +HHMM, or a rule (zone.h), behind which the zone's name may stand as a seventh.
 *
 * Where the zone's clock steps, for summer time, an hour field that begins with `*` goes by the
 * time that passes: nothing is made up for or left out. With other hours, a time that does not
 * exist comes at the step, and one that comes twice counts the first time.
 *
 * Owns      Nothing.
 * Threads   Any.
 * Units     Milliseconds since 1970 UTC.
 */
#ifndef MILLRACE_BASE_CRON_H
#define MILLRACE_BASE_CRON_H

#include <stddef.h>
#include <stdint.h>

#include "lib/base/zone.h"

#define MR_CRON_BYTES_MAX 255u
#define MR_CRON_NEVER     UINT64_MAX

struct mr_cron {
	uint64_t minutes; /* a bit for each value, of the other fields too */
	uint32_t hours;
	uint32_t days;
	uint16_t months;
	uint8_t week_days;
	uint8_t either; /* a day of the month or of the week suffices */
	bool each_hour; /* the hour field begins with `*` */
	struct mr_zone zone;
};

/* Reads the text. NULL, or what is wrong with it: also if its time never comes. */
const char *mr_cron_parse(const char *text, size_t bytes, struct mr_cron *out);
/* Returns the first time after `now_ms`; MR_CRON_NEVER: there is none within 41 years. */
uint64_t mr_cron_next(const struct mr_cron *c, uint64_t now_ms);

#endif
