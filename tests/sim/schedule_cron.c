/* SPDX-License-Identifier: Apache-2.0 */
/* The times of some expressions of cron, day by day and minute by minute: slow, and not by the code
 * under test. */
#include <string.h>
#include <time.h>

#include "lib/base/compiler.h"
#include "tests/sim/schedule_model.h"

#define DAY_S    86400
#define HOUR_S   3600
#define DAYS_MAX (42 * 366)

#define BIT(n)    (1ull << (n))
#define EACH(n)   (BIT(n) - 1)
#define EACH_DAY  (EACH(32) - 1)
#define EACH_YEAR (EACH(13) - 1)

enum zone {
	ZONE_UTC,
	ZONE_PLUS_1,
	ZONE_BERLIN,
};

static const struct expression {
	const char *text;
	uint64_t minutes;
	uint64_t hours;
	uint64_t days;      /* from 1 */
	uint64_t months;    /* from 1 */
	uint64_t week_days; /* from Sunday */
	bool either;        /* a day of the month or of the week suffices */
	enum zone zone;
} expressions[] = {
	{"* * * * *", EACH(60), EACH(24), EACH_DAY, EACH_YEAR, EACH(7), false, ZONE_UTC},
	{"*/30 * * * *", BIT(0) | BIT(30), EACH(24), EACH_DAY, EACH_YEAR, EACH(7), false, ZONE_UTC},
	{"0 * * * *", BIT(0), EACH(24), EACH_DAY, EACH_YEAR, EACH(7), false, ZONE_UTC},
	{"15,45 16-18 * * *", BIT(15) | BIT(45), BIT(16) | BIT(17) | BIT(18), EACH_DAY, EACH_YEAR,
		EACH(7), false, ZONE_UTC},
	{"30 8 * * mon-fri +0100", BIT(30), BIT(8), EACH_DAY, EACH_YEAR, EACH(6) - 1, false,
		ZONE_PLUS_1},
	{"30 2 * * * CET-1CEST,M3.5.0,M10.5.0/3", BIT(30), BIT(2), EACH_DAY, EACH_YEAR, EACH(7),
		false, ZONE_BERLIN},
	{"0 0 13 * fri", BIT(0), BIT(0), BIT(13), EACH_YEAR, BIT(5), true, ZONE_UTC},
	{"0 12 29 2 */7", BIT(0), BIT(12), BIT(29), BIT(2), BIT(0), false, ZONE_UTC},
	{"0 12 1 */3 *", BIT(0), BIT(12), BIT(1), BIT(1) | BIT(4) | BIT(7) | BIT(10), EACH(7),
		false, ZONE_UTC},
};

unsigned schedule_crons(void)
{
	return MR_ARRAY_COUNT(expressions);
}

const char *schedule_cron_text(unsigned cron)
{
	return expressions[cron].text;
}

static struct tm date_of(int64_t day)
{
	time_t s = (time_t)(day * DAY_S);
	struct tm date;

	gmtime_r(&s, &date);
	return date;
}

static bool fits_day(const struct expression *e, int64_t day)
{
	struct tm date = date_of(day);
	bool in_month = (e->days & BIT(date.tm_mday)) != 0;
	bool in_week = (e->week_days & BIT(date.tm_wday)) != 0;

	return (e->months & BIT(date.tm_mon + 1)) != 0 &&
	       (e->either ? in_month || in_week : in_month && in_week);
}

/* Returns 01:00 UTC of the last Sunday of the month, 0 to 11, in the year of that day. Both months
 * that matter have 31 days. */
static int64_t last_sunday_s(int64_t day, int month)
{
	struct tm date = date_of(day);

	day -= date.tm_yday;
	while (date_of(day).tm_mon != month)
		day++;
	day += 30;
	return (day - date_of(day).tm_wday) * DAY_S + HOUR_S;
}

static bool is_summer(int64_t s)
{
	return s >= last_sunday_s(s / DAY_S, 2) && s < last_sunday_s(s / DAY_S, 9);
}

/* Returns the first time at which the zone's clock shows the time `wall_s`; if it never does, that
 * at which it steps over it. */
static int64_t time_of(enum zone zone, int64_t wall_s)
{
	if (zone == ZONE_UTC)
		return wall_s;
	if (zone == ZONE_BERLIN && is_summer(wall_s - 2 * HOUR_S))
		return wall_s - 2 * HOUR_S;
	if (zone == ZONE_BERLIN && is_summer(wall_s - HOUR_S))
		return last_sunday_s(wall_s / DAY_S, 2);
	return wall_s - HOUR_S;
}

/* Returns the first time of the day after now_s, or -1. */
static int64_t next_of_day(const struct expression *e, int64_t day, int64_t now_s)
{
	for (int64_t minute = 0; minute < DAY_S / 60; minute++) {
		int64_t s;

		if (!(e->hours & BIT(minute / 60)) || !(e->minutes & BIT(minute % 60)))
			continue;
		s = time_of(e->zone, day * DAY_S + minute * 60);
		if (s > now_s)
			return s;
	}
	return -1;
}

uint64_t schedule_cron_next(unsigned cron, uint64_t unix_ms)
{
	const struct expression *e = &expressions[cron];
	int64_t now_s = (int64_t)(unix_ms / 1000), first = now_s / DAY_S;

	for (int64_t day = first; day < first + DAYS_MAX; day++) {
		int64_t s = fits_day(e, day) ? next_of_day(e, day, now_s) : -1;

		if (s >= 0)
			return (uint64_t)s * 1000;
	}
	return UINT64_MAX;
}
