/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/human.h"

#include <ctype.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/units.h"

/* Prints a value with at most three digits before its unit, which are T at most. */
static void scaled(
	char out[MR_CLI_HUMAN_BYTES], double value, double base, const char *const *units)
{
	unsigned unit = 0;

	while (value >= base - 0.5 && units[unit + 1]) {
		value /= base;
		unit++;
	}
	snprintf(out, MR_CLI_HUMAN_BYTES, unit > 0 && value < 9.95 ? "%.1f%s" : "%.0f%s", value,
		units[unit]);
}

void mr_cli_human_bytes(char out[MR_CLI_HUMAN_BYTES], double bytes)
{
	static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB", NULL};

	scaled(out, bytes, 1024, units);
}

void mr_cli_human_count(char out[MR_CLI_HUMAN_BYTES], double count)
{
	static const char *const units[] = {"", "k", "M", "G", "T", NULL};

	if (count < 99999.5)
		snprintf(out, MR_CLI_HUMAN_BYTES, "%.0f", count);
	else
		scaled(out, count, 1000, units);
}

void mr_cli_human_ms(char out[MR_CLI_HUMAN_BYTES], double ms)
{
	uint64_t s = ms < 1e18 ? (uint64_t)(ms / 1000) : UINT64_MAX / 1000;

	if (ms < 999.5)
		snprintf(out, MR_CLI_HUMAN_BYTES, "%.0fms", ms);
	else if (ms < 59950)
		snprintf(out, MR_CLI_HUMAN_BYTES, "%.1fs", ms / 1000);
	else if (s < 3600)
		snprintf(out, MR_CLI_HUMAN_BYTES, "%um%02us", (unsigned)(s / 60),
			(unsigned)(s % 60));
	else if (s < 86400)
		snprintf(out, MR_CLI_HUMAN_BYTES, "%uh%02um", (unsigned)(s / 3600),
			(unsigned)(s / 60 % 60));
	else
		snprintf(out, MR_CLI_HUMAN_BYTES, "%llud%02uh", (unsigned long long)(s / 86400),
			(unsigned)(s / 3600 % 24));
}

/* Returns what a unit multiplies a number by, in the unit of the column. 0: no such unit. */
static double factor_of(const char *name, enum mr_cli_unit unit)
{
	double time = 0;

	if (unit == MR_CLI_UNIT_MS)
		time = (double)mr_units_duration_factor(name) / MR_UNITS_MS;
	else if (unit == MR_CLI_UNIT_SECONDS)
		time = (double)mr_units_duration_factor(name) / MR_UNITS_S;
	return time > 0 ? time : (double)mr_units_size_factor(name);
}

bool mr_cli_human_parse(const char *text, enum mr_cli_unit unit, double *value)
{
	double factor;
	char *end;

	if (!isdigit((unsigned char)*text) && *text != '.')
		return false; /* "inf", "nan", "0x" and signs are no numbers here */
	if (*text == '0' && (text[1] == 'x' || text[1] == 'X'))
		return false;
	*value = strtod(text, &end);
	if (end == text)
		return false;
	factor = *end ? factor_of(end, unit) : 1;
	*value *= factor;
	return factor > 0 && isfinite(*value);
}
