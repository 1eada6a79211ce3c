/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/base/cron.h"

#include <stdbool.h>
#include <string.h>
#include <strings.h>

#define MINUTE_S   60
#define HOUR_S     3600
#define DAY_S      86400
#define MS         1000
#define DAYS_MAX   (41 * 366) /* 29 February on one day of the week: at most 40 years apart */
#define NAME_BYTES 3u

struct field {
	unsigned min, max;
	const char *names; /* three letters for each value; NULL: none */
};

static const struct field fields[] = {
	{0, 59, NULL},
	{0, 23, NULL},
	{1, 31, NULL},
	{1, 12, "janfebmaraprmayjunjulaugsepoctnovdec"},
	{0, 7, "sunmontuewedthufrisat"},
};
#define FIELDS (sizeof(fields) / sizeof(fields[0]))

struct text {
	const char *at;
	const char *end;
};

static bool is_digit(const struct text *t)
{
	return t->at < t->end && *t->at >= '0' && *t->at <= '9';
}

static bool take(struct text *t, char c)
{
	if (t->at == t->end || *t->at != c)
		return false;
	t->at++;
	return true;
}

static bool take_number(struct text *t, unsigned *out)
{
	const char *start = t->at;

	*out = 0;
	while (is_digit(t) && t->at - start < 4)
		*out = *out * 10 + (unsigned)(*t->at++ - '0');
	return t->at > start;
}

static bool take_name(struct text *t, const struct field *f, unsigned *out)
{
	size_t count = f->names == NULL ? 0 : strlen(f->names) / NAME_BYTES;

	for (size_t i = 0; i < count && t->end - t->at >= (ptrdiff_t)NAME_BYTES; i++) {
		if (strncasecmp(t->at, f->names + i * NAME_BYTES, NAME_BYTES) != 0)
			continue;
		t->at += NAME_BYTES;
		*out = f->min + (unsigned)i;
		return true;
	}
	return false;
}

static bool take_value(struct text *t, const struct field *f, unsigned *out)
{
	return (take_number(t, out) || take_name(t, f, out)) && *out >= f->min && *out <= f->max;
}

/* Reads `*`, N or N-M, with a step or without, and sets the bits. */
static bool take_range(struct text *t, const struct field *f, uint64_t *bits)
{
	unsigned from = f->min, to = f->max, step = 1;
	bool all = take(t, '*');

	if (!all && !take_value(t, f, &from))
		return false;
	if (!all && take(t, '-')) {
		if (!take_value(t, f, &to) || to < from)
			return false;
	} else if (!all && (t->at == t->end || *t->at != '/')) {
		to = from;
	}
	if (take(t, '/') && (!take_number(t, &step) || step == 0))
		return false;
	for (unsigned i = from; i <= to; i += step)
		*bits |= UINT64_C(1) << i;
	return true;
}

static bool take_field(struct text *t, const struct field *f, uint64_t *bits)
{
	*bits = 0;
	do {
		if (!take_range(t, f, bits))
			return false;
	} while (take(t, ','));
	return t->at == t->end || *t->at == ' ' || *t->at == '\t';
}

static void skip_blanks(struct text *t)
{
	while (t->at < t->end && (*t->at == ' ' || *t->at == '\t'))
		t->at++;
}

/* Reads UTC, Z, or an offset: +0100, +01:00. */
static bool take_offset(struct text *t, int32_t *offset_s)
{
	size_t left = (size_t)(t->end - t->at);
	int sign = take(t, '-') ? -1 : take(t, '+') ? 1 : 0;
	unsigned digits[4], count = 0;

	*offset_s = 0;
	if (sign == 0)
		return (left == 3 && strncasecmp(t->at, "UTC", 3) == 0) ||
		       (left == 1 && (*t->at == 'Z' || *t->at == 'z'));
	for (; count < 4 && is_digit(t); count++) {
		digits[count] = (unsigned)(*t->at++ - '0');
		if (count == 1)
			(void)take(t, ':');
	}
	if (count != 4 || t->at != t->end || digits[2] > 5 || digits[0] * 10 + digits[1] > 14)
		return false;
	*offset_s = sign * (int32_t)((digits[0] * 10 + digits[1]) * HOUR_S +
				     (digits[2] * 10 + digits[3]) * MINUTE_S);
	return true;
}

/* Returns the word at the front; empty at the end. */
static struct text take_word(struct text *t)
{
	struct text word = {t->at, t->at};

	while (t->at < t->end && *t->at != ' ' && *t->at != '\t')
		t->at++;
	word.end = t->at;
	skip_blanks(t);
	return word;
}

static bool is_label(const struct text *t)
{
	for (const char *c = t->at; c < t->end; c++)
		if ((*c < 'a' || *c > 'z') && (*c < 'A' || *c > 'Z') && (*c < '0' || *c > '9') &&
			strchr("_+-/", *c) == NULL)
			return false;
	return true;
}

/* Reads a zone: an offset, or a rule with the name behind it or without. */
static bool take_zone(struct text *t, struct mr_zone *out)
{
	struct text word = take_word(t), label;

	if (mr_zone_parse(word.at, (size_t)(word.end - word.at), out)) {
		label = take_word(t);
		return t->at == t->end && is_label(&label);
	}
	*out = (struct mr_zone){0};
	return t->at == t->end && take_offset(&word, &out->standard_s);
}

static void keep(struct mr_cron *c, const uint64_t bits[FIELDS], bool days, bool week_days)
{
	c->minutes = bits[0];
	c->hours = (uint32_t)bits[1];
	c->days = (uint32_t)bits[2];
	c->months = (uint16_t)bits[3];
	c->week_days = (uint8_t)((bits[4] | bits[4] >> 7) & 0x7f);
	c->either = days && week_days;
}

const char *mr_cron_parse(const char *text, size_t bytes, struct mr_cron *out)
{
	static const char *const wrong[] = {"the minute is not 0-59", "the hour is not 0-23",
		"the day of the month is not 1-31", "the month is not 1-12 or jan-dec",
		"the day of the week is not 0-7 or sun-sat"};
	struct text t = {text, text + bytes};
	bool restricted[FIELDS];
	uint64_t bits[FIELDS];

	*out = (struct mr_cron){0};
	if (bytes > MR_CRON_BYTES_MAX)
		return "it is too long";
	for (unsigned i = 0; i < FIELDS; i++) {
		skip_blanks(&t);
		if (t.at == t.end)
			return "it needs five fields: minute, hour, day of the month, month, "
			       "day of the week";
		restricted[i] = *t.at != '*';
		if (!take_field(&t, &fields[i], &bits[i]))
			return wrong[i];
	}
	skip_blanks(&t);
	if (t.at < t.end && !take_zone(&t, &out->zone))
		return "the time zone is neither UTC nor an offset such as +0100 nor a rule such "
		       "as CET-1CEST,M3.5.0,M10.5.0/3";
	out->each_hour = !restricted[1];
	keep(out, bits, restricted[2], restricted[4]);
	return mr_cron_next(out, 0) == MR_CRON_NEVER ? "this day never comes" : NULL;
}

static bool is_leap(unsigned year)
{
	return (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
}

static unsigned days_of(unsigned year, unsigned month)
{
	static const uint8_t days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};

	return month == 2 && is_leap(year) ? 29 : days[month - 1];
}

struct day {
	unsigned year, month, day; /* month and day from 1 */
	uint64_t number;           /* since 1970 */
};

/* The day of the proleptic Gregorian calendar, by eras of 400 years from 1 March 0000. */
static struct day day_of(uint64_t number)
{
	uint64_t shifted = number + 719468, era = shifted / 146097, rest = shifted % 146097;
	uint64_t year = (rest - rest / 1460 + rest / 36524 - rest / 146096) / 365;
	uint64_t day = rest - (365 * year + year / 4 - year / 100), month = (5 * day + 2) / 153;
	struct day d = {.number = number};

	d.day = (unsigned)(day - (153 * month + 2) / 5 + 1);
	d.month = (unsigned)(month < 10 ? month + 3 : month - 9);
	d.year = (unsigned)(year + era * 400 + (d.month <= 2));
	return d;
}

static void next_month(struct day *d)
{
	d->number += days_of(d->year, d->month) - d->day + 1;
	d->day = 1;
	if (++d->month <= 12)
		return;
	d->month = 1;
	d->year++;
}

static bool month_fits(const struct mr_cron *c, const struct day *d)
{
	return (c->months >> d->month & 1) != 0;
}

/* Goes on to the next day that may fit. */
static void next_day(const struct mr_cron *c, struct day *d)
{
	if (!month_fits(c, d) || d->day == days_of(d->year, d->month)) {
		next_month(d);
		return;
	}
	d->day++;
	d->number++;
}

static bool day_fits(const struct mr_cron *c, const struct day *d)
{
	bool in_month = c->days >> d->day & 1;
	bool in_week = c->week_days >> ((d->number + 4) % 7) & 1; /* 1 January 1970: a Thursday */

	if (!month_fits(c, d))
		return false;
	return c->either ? in_month || in_week : in_month && in_week;
}

/* Returns the first second of the day, from `from` on, that fits; DAY_S: none. */
static unsigned second_of(const struct mr_cron *c, unsigned from)
{
	for (unsigned minute = from / MINUTE_S; minute < DAY_S / MINUTE_S; minute++) {
		if ((c->hours >> (minute / 60) & 1) == 0)
			minute = minute / 60 * 60 + 59;
		else if (c->minutes >> (minute % 60) & 1)
			return minute * MINUTE_S;
	}
	return DAY_S;
}

/* Returns the first time after `now_s`, and before `end_s`, that fits while the clock is
 * `offset_s` ahead; INT64_MAX: none. */
static int64_t next_by(const struct mr_cron *c, int64_t now_s, int64_t end_s, int32_t offset_s)
{
	int64_t local_s = now_s + offset_s;
	uint64_t start = local_s < 0 ? 0 : (uint64_t)local_s;
	struct day d;
	unsigned from;

	start = (start / MINUTE_S + 1) * MINUTE_S;
	d = day_of(start / DAY_S);
	from = (unsigned)(start % DAY_S);
	for (; (int64_t)(d.number * DAY_S) - offset_s < end_s; next_day(c, &d), from = 0) {
		unsigned second = day_fits(c, &d) ? second_of(c, from) : DAY_S;
		int64_t at_s = (int64_t)(d.number * DAY_S + second) - offset_s;

		if (second < DAY_S)
			return at_s < end_s ? at_s : INT64_MAX;
	}
	return INT64_MAX;
}

/* True if the zone's clock showed the same before it stepped back. */
static bool repeats(const struct mr_cron *c, int64_t at_s)
{
	const struct mr_zone *z = &c->zone;
	int32_t step_s = z->summer_s > z->standard_s ? z->summer_s - z->standard_s
						     : z->standard_s - z->summer_s;

	return z->has_summer && !c->each_hour &&
	       mr_zone_offset_s(z, at_s - step_s) - mr_zone_offset_s(z, at_s) == step_s;
}

/* True if the clock steps forward over a time that fits. */
static bool skips(const struct mr_cron *c, int64_t step_s)
{
	int32_t before = mr_zone_offset_s(&c->zone, step_s - 1);
	int64_t end_s = step_s + mr_zone_offset_s(&c->zone, step_s) - before;

	return !c->each_hour && next_by(c, step_s - 1, end_s, before) != INT64_MAX;
}

uint64_t mr_cron_next(const struct mr_cron *c, uint64_t now_ms)
{
	int64_t after_s = (int64_t)(now_ms / MS), last_s = after_s + (int64_t)DAYS_MAX * DAY_S;
	int64_t since_s = after_s; /* the clock has not stepped since */

	while (since_s < last_s) {
		int64_t step_s = mr_zone_next_step_s(&c->zone, since_s);
		int64_t end_s = step_s < last_s ? step_s : last_s;
		int64_t at_s = next_by(c, after_s, end_s, mr_zone_offset_s(&c->zone, since_s));

		if (at_s != INT64_MAX && !repeats(c, at_s))
			return (uint64_t)at_s * MS;
		if (at_s == INT64_MAX && end_s == step_s && skips(c, step_s))
			return (uint64_t)step_s * MS;
		after_s = at_s != INT64_MAX ? at_s : end_s - 1;
		since_s = at_s != INT64_MAX ? since_s : end_s;
	}
	return MR_CRON_NEVER;
}
