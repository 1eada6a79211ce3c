/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/human.h"

#include <ctype.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/compiler.h"

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

static bool time_factor(const char *suffix, double *ms)
{
	static const struct {
		const char *suffix;
		double ms;
	} times[] = {
		{"ms", 1}, {"s", 1e3}, {"m", 60e3}, {"min", 60e3}, {"h", 3600e3}, {"d", 86400e3}};

	for (size_t i = 0; i < MR_ARRAY_COUNT(times); i++) {
		if (strcmp(suffix, times[i].suffix) == 0) {
			*ms = times[i].ms;
			return true;
		}
	}
	return false;
}

static bool size_factor(const char *suffix, double *factor)
{
	static const char letters[] = "kMGT";
	const char *letter = *suffix ? strchr(letters, *suffix == 'K' ? 'k' : *suffix) : NULL;
	double base = letter && suffix[1] == 'i' ? 1024 : 1000;

	*factor = 1;
	for (const char *at = letters; letter && at <= letter; at++)
		*factor *= base;
	suffix += letter ? 1 + (suffix[1] == 'i') : 0;
	return *suffix == '\0' || strcmp(suffix, "B") == 0;
}

bool mr_cli_human_parse(const char *text, enum mr_cli_unit unit, double *value)
{
	bool time = unit == MR_CLI_UNIT_MS || unit == MR_CLI_UNIT_SECONDS;
	double factor = 1;
	char *end;

	if (!isdigit((unsigned char)*text) && *text != '.')
		return false; /* "inf", "nan", "0x" and signs are no numbers here */
	if (*text == '0' && (text[1] == 'x' || text[1] == 'X'))
		return false;
	*value = strtod(text, &end);
	if (end == text)
		return false;
	if (time && time_factor(end, &factor))
		factor /= unit == MR_CLI_UNIT_SECONDS ? 1000 : 1;
	else if (!size_factor(end, &factor))
		return false;
	*value *= factor;
	return isfinite(*value);
}
