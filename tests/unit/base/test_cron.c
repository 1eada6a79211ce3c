/* SPDX-License-Identifier: Apache-2.0 */
/* Times that repeat, against times that were looked up in a calendar. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "lib/base/cron.h"

static uint64_t unix_ms(const char *text)
{
	struct tm t = {0};

	assert_non_null(strptime(text, "%Y-%m-%d %H:%M:%S", &t));
	return (uint64_t)timegm(&t) * 1000;
}

static void expect(const char *expression, const char *now, const char *next)
{
	struct mr_cron c;

	assert_null(mr_cron_parse(expression, strlen(expression), &c));
	assert_int_equal(mr_cron_next(&c, unix_ms(now)), unix_ms(next));
}

static void expect_wrong(const char *expression, const char *text)
{
	struct mr_cron c;
	const char *why = mr_cron_parse(expression, strlen(expression), &c);

	assert_non_null(why);
	assert_non_null(strstr(why, text));
}

static void next_time_is_the_first_that_fits(void **state)
{
	(void)state;
	expect("* * * * *", "2026-12-01 08:00:00", "2026-12-01 08:01:00");
	expect("* * * * *", "2026-12-31 23:59:59", "2027-01-01 00:00:00");
	expect("0 8 * * *", "2026-12-01 08:00:00", "2026-12-02 08:00:00");
	expect("0 8 * * *", "2026-12-01 07:59:59", "2026-12-01 08:00:00");
	expect("*/15 9-17 * * *", "2026-12-01 17:45:00", "2026-12-02 09:00:00");
	expect("5/20 * * * *", "2026-12-01 08:06:00", "2026-12-01 08:25:00");
	expect("30 6,18 1 * *", "2026-12-01 06:30:00", "2026-12-01 18:30:00");
	expect("0 0 31 * *", "2026-12-31 00:00:00", "2027-01-31 00:00:00");
	expect("0 0 31 * *", "2027-01-31 00:00:00", "2027-03-31 00:00:00");
	expect("0 0 1 jan *", "2026-12-01 00:00:00", "2027-01-01 00:00:00");
}

static void day_of_the_week_and_of_the_month(void **state)
{
	(void)state;
	/* 1 December 2026 is a Tuesday. */
	expect("0 8 * * 1-5", "2026-12-04 08:00:00", "2026-12-07 08:00:00");
	expect("0 8 * * mon-fri", "2026-12-04 08:00:00", "2026-12-07 08:00:00");
	expect("0 8 * * 7", "2026-12-01 00:00:00", "2026-12-06 08:00:00");
	expect("0 8 * * sun", "2026-12-01 00:00:00", "2026-12-06 08:00:00");
	/* Either suffices if both are restricted. */
	expect("0 8 13 * fri", "2026-12-05 00:00:00", "2026-12-11 08:00:00");
	expect("0 8 13 * fri", "2026-12-12 00:00:00", "2026-12-13 08:00:00");
}

static void leap_years_are_known(void **state)
{
	(void)state;
	expect("0 0 29 2 *", "2026-12-01 00:00:00", "2028-02-29 00:00:00");
	expect("0 0 29 2 *", "2096-02-29 00:00:00", "2104-02-29 00:00:00");
	/* A day of the week that begins with `*` must fit too: far apart around 2100. */
	expect("0 0 29 2 */8", "2088-02-29 00:00:00", "2128-02-29 00:00:00");
	expect("7 2 3 2 */8", "2097-01-01 00:00:00", "2097-02-03 02:07:00");
	expect("0 0 29 feb *", "1999-12-31 00:00:00", "2000-02-29 00:00:00");
}

static void zone_shifts_the_clock(void **state)
{
	(void)state;
	expect("0 8 * * * +0100", "2026-12-01 00:00:00", "2026-12-01 07:00:00");
	expect("0 0 1 * * +05:30", "2026-12-01 00:00:00", "2026-12-31 18:30:00");
	expect("0 20 * * mon -0800", "2026-12-01 00:00:00", "2026-12-01 04:00:00");
	expect("0 8 * * * UTC", "2026-12-01 00:00:00", "2026-12-01 08:00:00");
	expect("  0 8 * * *  Z ", "2026-12-01 00:00:00", "2026-12-01 08:00:00");
}

#define BERLIN " CET-1CEST,M3.5.0,M10.5.0/3 Europe/Berlin"

static void summer_time_moves_the_clock(void **state)
{
	(void)state;
	expect("0 8 * * *" BERLIN, "2026-12-01 00:00:00", "2026-12-01 07:00:00");
	expect("0 8 * * *" BERLIN, "2026-07-01 00:00:00", "2026-07-01 06:00:00");
	expect("0 8 * * *" BERLIN, "2026-03-28 07:00:00", "2026-03-29 06:00:00");
	expect("0 8 * * *" BERLIN, "2026-10-24 06:00:00", "2026-10-25 07:00:00");
	/* On the southern half summer ends in the same year before it begins. */
	expect("0 8 * * * AEST-10AEDT,M10.1.0,M4.1.0/3", "2026-01-01 00:00:00",
		"2026-01-01 21:00:00");
	expect("0 8 * * * AEST-10AEDT,M10.1.0,M4.1.0/3", "2026-07-01 00:00:00",
		"2026-07-01 22:00:00");
	/* In Dublin winter is the time that differs. */
	expect("0 8 * * * IST-1GMT0,M10.5.0,M3.5.0/1", "2026-07-01 00:00:00",
		"2026-07-01 07:00:00");
	expect("0 8 * * * IST-1GMT0,M10.5.0,M3.5.0/1", "2026-12-01 00:00:00",
		"2026-12-01 08:00:00");
	expect("0 8 * * * <+0530>-5:30", "2026-12-01 00:00:00", "2026-12-01 02:30:00");
	expect("0 0 29 2 *" BERLIN, "2026-12-01 00:00:00", "2028-02-28 23:00:00");
}

/* 29 March 2026: at 01:00 UTC the clock of Berlin steps from 02:00 to 03:00. */
static void time_that_does_not_exist_comes_at_the_step(void **state)
{
	(void)state;
	expect("30 2 * * *" BERLIN, "2026-03-28 01:30:00", "2026-03-29 01:00:00");
	expect("30 2 * * *" BERLIN, "2026-03-29 01:00:00", "2026-03-30 00:30:00");
	expect("0 2,3 * * *" BERLIN, "2026-03-29 00:00:00", "2026-03-29 01:00:00");
	expect("0 2,3 * * *" BERLIN, "2026-03-29 01:00:00", "2026-03-30 00:00:00");
	expect("0 3 * * *" BERLIN, "2026-03-29 00:00:00", "2026-03-29 01:00:00");
	expect("0 2 * * mon" BERLIN, "2026-03-29 00:00:00", "2026-03-30 00:00:00");
	/* An hourly schedule still fires each hour. */
	expect("30 * * * *" BERLIN, "2026-03-29 00:30:00", "2026-03-29 01:30:00");
	expect("*/20 * * * *" BERLIN, "2026-03-29 00:40:00", "2026-03-29 01:00:00");
}

/* 25 October 2026: at 01:00 UTC it steps from 03:00 back to 02:00. */
static void time_that_comes_twice_counts_once(void **state)
{
	(void)state;
	expect("30 2 * * *" BERLIN, "2026-10-24 12:00:00", "2026-10-25 00:30:00");
	expect("30 2 * * *" BERLIN, "2026-10-25 00:30:00", "2026-10-26 01:30:00");
	expect("30 2 * * *" BERLIN, "2026-10-25 01:10:00", "2026-10-26 01:30:00");
	expect("0 2 * * *" BERLIN, "2026-10-25 00:00:00", "2026-10-26 01:00:00");
	expect("* 2,3 * * *" BERLIN, "2026-10-25 00:59:00", "2026-10-25 02:00:00");
	expect("30 * * * *" BERLIN, "2026-10-25 00:30:00", "2026-10-25 01:30:00");
	expect("30 2 * * * IST-1GMT0,M10.5.0,M3.5.0/1", "2026-10-25 00:30:00",
		"2026-10-25 02:30:00");
	expect("30 1 * * * IST-1GMT0,M10.5.0,M3.5.0/1", "2026-10-25 00:30:00",
		"2026-10-26 01:30:00");
}

/* Compares the clocks of zones with those of the C library, around each step of twenty years. */
static void clocks_agree_with_the_library(void **state)
{
	static const char *const rules[] = {"CET-1CEST,M3.5.0,M10.5.0/3", "EST5EDT,M3.2.0,M11.1.0",
		"AEST-10AEDT,M10.1.0,M4.1.0/3", "IST-1GMT0,M10.5.0,M3.5.0/1",
		"<-02>2<-01>,M3.5.0/-1,M10.5.0/0", "IST-2IDT,M3.4.4/26,M10.5.0",
		"CET-1CEST,J60,300/3:30", "<+1030>-10:30<+11>-11,M10.1.0,M4.1.0"};

	(void)state;
	for (size_t i = 0; i < sizeof(rules) / sizeof(rules[0]); i++) {
		int64_t now = 1735689600 - 1, steps = 0; /* 2024-12-31 23:59:59 */
		struct mr_zone z;

		assert_true(mr_zone_parse(rules[i], strlen(rules[i]), &z));
		setenv("TZ", rules[i], 1);
		tzset();
		for (; steps < 40; steps++) {
			now = mr_zone_next_step_s(&z, now);
			for (int64_t at = now - 7200; at <= now + 7200; at += 300) {
				time_t t = (time_t)at;
				struct tm local;

				assert_non_null(localtime_r(&t, &local));
				assert_int_equal(mr_zone_offset_s(&z, at), local.tm_gmtoff);
			}
		}
	}
	unsetenv("TZ");
	tzset();
}

/* Each day of 40 years against the C library. */
static void days_agree_with_the_library(void **state)
{
	uint64_t now = unix_ms("1999-12-30 12:00:00");
	struct mr_cron c;

	(void)state;
	assert_null(mr_cron_parse("0 0 * * *", 9, &c));
	for (unsigned i = 0; i < 40 * 365; i++) {
		uint64_t next = mr_cron_next(&c, now);
		time_t seconds = (time_t)(next / 1000);
		char day[16], month[32];
		struct tm t;
		struct mr_cron same;

		assert_int_equal(next - now, i == 0 ? 43200000 : 86400000);
		assert_non_null(gmtime_r(&seconds, &t));
		assert_true(strftime(day, sizeof(day), "0 0 %d %m *", &t) > 0);
		assert_true(strftime(month, sizeof(month), "0 0 * %m %w", &t) > 0);
		assert_null(mr_cron_parse(day, strlen(day), &same));
		assert_int_equal(mr_cron_next(&same, next - 1), next);
		assert_null(mr_cron_parse(month, strlen(month), &same));
		assert_int_equal(mr_cron_next(&same, next - 1), next);
		now = next;
	}
}

static void what_is_wrong_is_said(void **state)
{
	(void)state;
	expect_wrong("", "five fields");
	expect_wrong("* * * *", "five fields");
	expect_wrong("60 * * * *", "minute");
	expect_wrong("-1 * * * *", "minute");
	expect_wrong("* 24 * * *", "hour");
	expect_wrong("* * 0 * *", "day of the month");
	expect_wrong("* * 32 * *", "day of the month");
	expect_wrong("* * * 13 *", "month");
	expect_wrong("* * * * 8", "week");
	expect_wrong("*/0 * * * *", "minute");
	expect_wrong("5-1 * * * *", "minute");
	expect_wrong("1,,2 * * * *", "minute");
	expect_wrong("1x * * * *", "minute");
	expect_wrong("0 8 * * * Europe/Berlin", "time zone");
	expect_wrong("0 8 * * * CET-1CEST", "time zone");
	expect_wrong("0 8 * * * CET-1CEST,M3.5.0", "time zone");
	expect_wrong("0 8 * * * CET-1CEST,M3.6.0,M10.5.0", "time zone");
	expect_wrong("0 8 * * * CET-1CEST,M13.5.0,M10.5.0", "time zone");
	expect_wrong("0 8 * * * CET-25", "time zone");
	expect_wrong("0 8 * * * CET-1 a;b", "time zone");
	expect_wrong("0 8 * * * CET-1 a b", "time zone");
	expect_wrong("0 8 * * * +0100 a", "time zone");
	expect_wrong("0 8 * * * +1500", "time zone");
	expect_wrong("0 8 * * * +0160", "time zone");
	expect_wrong("0 8 * * * * *", "time zone");
}

static void time_that_never_comes_is_refused(void **state)
{
	(void)state;
	expect_wrong("0 0 30 2 *", "never");
	expect_wrong("0 0 31 4,6,9,11 *", "never");
	/* Any Monday suffices. */
	expect("0 0 30 2 mon", "2026-12-01 00:00:00", "2027-02-01 00:00:00");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(next_time_is_the_first_that_fits),
		cmocka_unit_test(day_of_the_week_and_of_the_month),
		cmocka_unit_test(leap_years_are_known),
		cmocka_unit_test(zone_shifts_the_clock),
		cmocka_unit_test(summer_time_moves_the_clock),
		cmocka_unit_test(time_that_does_not_exist_comes_at_the_step),
		cmocka_unit_test(time_that_comes_twice_counts_once),
		cmocka_unit_test(clocks_agree_with_the_library),
		cmocka_unit_test(days_agree_with_the_library),
		cmocka_unit_test(what_is_wrong_is_said),
		cmocka_unit_test(time_that_never_comes_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
