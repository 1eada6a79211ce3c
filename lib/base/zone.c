/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/base/zone.h"

#define HOUR_S     3600
#define DAY_S      86400
#define HOURS_MAX  167 /* a change is at most so late: RFC 8536 */
#define NAME_LEAST 3

struct text {
	const char *at;
	const char *end;
};

static bool take(struct text *t, char c)
{
	if (t->at == t->end || *t->at != c)
		return false;
	t->at++;
	return true;
}

static bool take_number(struct text *t, unsigned max, unsigned *out)
{
	const char *start = t->at;

	*out = 0;
	while (t->at < t->end && *t->at >= '0' && *t->at <= '9' && t->at - start < 4)
		*out = *out * 10 + (unsigned)(*t->at++ - '0');
	return t->at > start && *out <= max;
}

/* Reads hh[:mm], with a sign if there is one. No zone has seconds any more. */
static bool take_time(struct text *t, unsigned hours_max, int32_t *seconds)
{
	int32_t sign = take(t, '-') ? -1 : 1;
	unsigned hours, minutes = 0;

	if (sign == 1)
		(void)take(t, '+');
	if (!take_number(t, hours_max, &hours) || (take(t, ':') && !take_number(t, 59, &minutes)))
		return false;
	*seconds = sign * (int32_t)(hours * HOUR_S + minutes * 60);
	return true;
}

static bool is_letter(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

/* Passes over a name: letters, or what stands in < >. */
static bool take_name(struct text *t)
{
	bool quoted = take(t, '<');
	const char *start = t->at;

	while (t->at < t->end && (is_letter(*t->at) || (quoted && *t->at > ' ' && *t->at != '>')))
		t->at++;
	return t->at - start >= NAME_LEAST && (!quoted || take(t, '>'));
}

/* An offset of POSIX is how far the clock is behind. */
static bool take_offset(struct text *t, int32_t *ahead_s)
{
	if (!take_time(t, 24, ahead_s))
		return false;
	*ahead_s = -*ahead_s;
	return true;
}

static bool take_day(struct text *t, struct mr_zone_change *c)
{
	unsigned month, week, day;

	c->form = take(t, 'M') ? 'M' : take(t, 'J') ? 'J' : '0';
	if (c->form != 'M') {
		if (!take_number(t, 365, &day) || (c->form == 'J' && day == 0))
			return false;
		c->day = (uint16_t)day;
		return true;
	}
	if (!take_number(t, 12, &month) || month == 0 || !take(t, '.') ||
		!take_number(t, 5, &week) || week == 0 || !take(t, '.') || !take_number(t, 6, &day))
		return false;
	c->month = (uint8_t)month;
	c->week = (uint8_t)week;
	c->day = (uint16_t)day;
	return true;
}

static bool take_change(struct text *t, struct mr_zone_change *c)
{
	c->clock_s = 2 * HOUR_S;
	return take(t, ',') && take_day(t, c) &&
	       (!take(t, '/') || take_time(t, HOURS_MAX, &c->clock_s));
}

bool mr_zone_parse(const char *text, size_t bytes, struct mr_zone *out)
{
	struct text t = {text, text + bytes};

	*out = (struct mr_zone){0};
	if (bytes > MR_ZONE_RULE_BYTES_MAX || !take_name(&t) || !take_offset(&t, &out->standard_s))
		return false;
	if (t.at == t.end)
		return true;
	out->summer_s = out->standard_s + HOUR_S;
	if (!take_name(&t) || (t.at < t.end && *t.at != ',' && !take_offset(&t, &out->summer_s)) ||
		!take_change(&t, &out->begins) || !take_change(&t, &out->ends) || t.at < t.end)
		return false;
	out->has_summer = out->summer_s != out->standard_s;
	return true;
}

static bool is_leap(int64_t year)
{
	return (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
}

/* Returns the days from 1 January 1970 to that of the year. */
static int64_t days_to(int64_t year)
{
	int64_t before = year - 1;

	return 365 * (year - 1970) + before / 4 - before / 100 + before / 400 - 477;
}

/* Returns the day of the year, from 0, on which a month begins. */
static int64_t month_begins(int64_t year, unsigned month)
{
	static const uint16_t days[] = {0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334, 365};

	return days[month - 1] + (month > 2 && is_leap(year));
}

/* Returns the day of the year, from 0, of a day of the week. */
static int64_t day_of_week(int64_t year, const struct mr_zone_change *c)
{
	int64_t first = month_begins(year, c->month);
	int64_t length = c->month == 12 ? 31 : month_begins(year, c->month + 1u) - first;
	int64_t weekday = (days_to(year) + first + 4) % 7; /* 1 January 1970: a Thursday */
	int64_t day = (c->day - weekday + 7) % 7 + 7 * (c->week - 1);

	return first + (day < length ? day : day - 7);
}

/* Returns when the change comes in the year, by a clock that is `ahead_s` ahead of UTC. */
static int64_t change_s(int64_t year, const struct mr_zone_change *c, int32_t ahead_s)
{
	int64_t day = c->form == 'M'   ? day_of_week(year, c)
		      : c->form == 'J' ? c->day - 1 + (c->day > 59 && is_leap(year))
				       : c->day;

	return (days_to(year) + day) * DAY_S + c->clock_s - ahead_s;
}

/* Returns a year that is at most one off. */
static int64_t year_near(int64_t at_s)
{
	return 1970 + at_s / (365 * DAY_S + DAY_S / 4);
}

int32_t mr_zone_offset_s(const struct mr_zone *z, int64_t at_s)
{
	int64_t year = year_near(at_s), last = INT64_MIN;
	int32_t offset = z->standard_s;

	for (int64_t y = year - 2; z->has_summer && y <= year + 1; y++) {
		int64_t ends = change_s(y, &z->ends, z->summer_s);
		int64_t begins = change_s(y, &z->begins, z->standard_s);

		if (ends <= at_s && ends > last) {
			last = ends;
			offset = z->standard_s;
		}
		if (begins <= at_s && begins >= last) {
			last = begins;
			offset = z->summer_s;
		}
	}
	return offset;
}

int64_t mr_zone_next_step_s(const struct mr_zone *z, int64_t at_s)
{
	int64_t year = year_near(at_s), next = MR_ZONE_NEVER;

	for (int64_t y = year - 1; z->has_summer && y <= year + 2; y++) {
		const int64_t steps[] = {
			change_s(y, &z->ends, z->summer_s), change_s(y, &z->begins, z->standard_s)};

		for (unsigned i = 0; i < 2; i++)
			if (steps[i] > at_s && steps[i] < next)
				next = steps[i];
	}
	return next;
}
