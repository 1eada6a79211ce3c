/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/base/units.h"

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>

/* Digits of a number; with more a 64-bit product could overflow unseen. */
#define DIGITS_MAX 18

struct unit {
	const char *name;
	uint64_t factor;
};

static const struct unit durations[] = {
	{"ns", 1},
	{"us", MR_UNITS_US},
	{"ms", MR_UNITS_MS},
	{"s", MR_UNITS_S},
	{"m", 60ull * MR_UNITS_S},
	{"min", 60ull * MR_UNITS_S},
	{"h", 3600ull * MR_UNITS_S},
	{"d", 86400ull * MR_UNITS_S},
	{NULL, 0},
};

static const struct unit sizes[] = {
	{"B", 1},
	{"k", 1000},
	{"K", 1000},
	{"kB", 1000},
	{"KB", 1000},
	{"M", 1000000},
	{"MB", 1000000},
	{"G", 1000000000},
	{"GB", 1000000000},
	{"T", 1000000000000},
	{"TB", 1000000000000},
	{"Ki", 1u << 10},
	{"KiB", 1u << 10},
	{"Mi", 1u << 20},
	{"MiB", 1u << 20},
	{"Gi", 1u << 30},
	{"GiB", 1u << 30},
	{"Ti", 1ull << 40},
	{"TiB", 1ull << 40},
	{NULL, 0},
};

/* Parses "12.5": *digits 125, *divisor 10. Returns the rest of the text, or NULL if there is no
 * number. */
static const char *parse_number(const char *at, uint64_t *digits, uint64_t *divisor)
{
	bool after_dot = false;
	unsigned count = 0;

	*digits = 0;
	*divisor = 1;
	for (;; at++) {
		if (*at == '.' && !after_dot) {
			after_dot = true;
			continue;
		}
		if (*at < '0' || *at > '9')
			break;
		if (++count > DIGITS_MAX)
			return NULL;
		*digits = *digits * 10 + (uint64_t)(*at - '0');
		*divisor *= after_dot ? 10 : 1;
	}
	return count > 0 && at[-1] != '.' ? at : NULL;
}

static uint64_t factor_of(const struct unit *units, const char *name)
{
	while (units->name != NULL && strcmp(units->name, name) != 0)
		units++;
	return units->factor;
}

static int parse(const struct unit *units, const char *text, uint64_t base, uint64_t *out)
{
	uint64_t digits, divisor, factor, whole;
	const char *end = parse_number(text, &digits, &divisor);

	if (end == NULL)
		return -EINVAL;
	if (end[0] == ' ' && end[1] != '\0')
		end++;
	factor = *end == '\0' ? base : factor_of(units, end);
	if (factor == 0)
		return -EINVAL;
	if (__builtin_mul_overflow(digits, factor, &whole) || whole % divisor != 0)
		return -ERANGE;
	whole /= divisor;
	if (whole % base != 0)
		return -ERANGE;
	*out = whole / base;
	return 0;
}

uint64_t mr_units_duration_factor(const char *name)
{
	return factor_of(durations, name);
}

uint64_t mr_units_size_factor(const char *name)
{
	return factor_of(sizes, name);
}

int mr_units_duration(const char *text, uint64_t base_ns, uint64_t *out)
{
	return parse(durations, text, base_ns, out);
}

int mr_units_size(const char *text, uint64_t base_bytes, uint64_t *out)
{
	return parse(sizes, text, base_bytes, out);
}
