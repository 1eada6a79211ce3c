/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/args.h"

#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/suggest.h"
#include "lib/base/units.h"

struct parse {
	const struct mr_cli_option *tables[2];
	void *settings[2];
	struct mr_cli_words *operands;
	char *error;
	size_t error_bytes;
};

/* An option found on the command line. */
struct found {
	const struct mr_cli_option *option;
	void *setting;
	char shown[48];
};

const struct mr_cli_option *mr_cli_option_find(
	const struct mr_cli_option *options, const char *name)
{
	for (const struct mr_cli_option *o = options; o && o->name; o++) {
		if (strcmp(o->name, name) == 0)
			return o;
	}
	return NULL;
}

static int add_word(struct mr_cli_words *words, const char *word)
{
	if (words->count == MR_CLI_WORDS_MAX)
		return -EINVAL;
	words->at[words->count++] = word;
	return 0;
}

static bool choice_has(const char *choices, const char *value)
{
	size_t bytes = strlen(value);

	for (const char *at = choices; at; at = strchr(at, '|')) {
		at += *at == '|';
		if (strncmp(at, value, bytes) == 0 && (at[bytes] == '|' || at[bytes] == '\0'))
			return true;
	}
	return false;
}

static int parse_text(const struct mr_cli_option *option, const char *value, const char **out)
{
	if (option->choices && (*value == '\0' || !choice_has(option->choices, value)))
		return -EINVAL;
	*out = value;
	return 0;
}

/* Returns the factor of an ending k, M or G, 1 without an ending, 0 for any other text. */
static uint64_t suffix_factor(const char *end)
{
	if (*end == '\0')
		return 1;
	if (end[1] != '\0')
		return 0;
	return *end == 'k' ? 1000 : *end == 'M' ? 1000000 : *end == 'G' ? 1000000000 : 0;
}

static int parse_count(const struct mr_cli_option *option, const char *value, uint64_t *out)
{
	unsigned long long number;
	uint64_t factor;
	char *end;

	if (!isdigit((unsigned char)*value))
		return -EINVAL; /* strtoull would accept a sign and blanks */
	errno = 0;
	number = strtoull(value, &end, 10);
	factor = suffix_factor(end);
	if (errno || factor == 0 || __builtin_mul_overflow(number, factor, &number))
		return -EINVAL;
	if ((double)number < option->min || (double)number > option->max)
		return -EINVAL;
	*out = number;
	return 0;
}

static int parse_real(const struct mr_cli_option *option, const char *value, double *out)
{
	uint64_t factor;
	double number;
	char *end;

	if (!isdigit((unsigned char)*value) && *value != '.')
		return -EINVAL; /* "inf" and "nan" are no numbers here */
	number = strtod(value, &end);
	factor = suffix_factor(end);
	if (end == value || factor == 0)
		return -EINVAL;
	number *= (double)factor;
	if (!isfinite(number) || number < option->min || number > option->max)
		return -EINVAL;
	*out = number;
	return 0;
}

static int check_range(const struct mr_cli_option *option, double number)
{
	return number < option->min || number > option->max ? -EINVAL : 0;
}

static int parse_ms(const struct mr_cli_option *option, const char *value, uint64_t *out)
{
	uint64_t ms;

	if (mr_units_duration(value, MR_UNITS_MS, &ms) != 0 || check_range(option, (double)ms) != 0)
		return -EINVAL;
	*out = ms;
	return 0;
}

/* A plain number may have more digits than a duration in ns can take. */
static int parse_seconds(const struct mr_cli_option *option, const char *value, double *out)
{
	uint64_t ns;
	int rc = parse_real(option, value, out);

	if (rc == 0 || mr_units_duration(value, 1, &ns) != 0 ||
		check_range(option, (double)ns / MR_UNITS_S) != 0)
		return rc;
	*out = (double)ns / MR_UNITS_S;
	return 0;
}

static int parse_bytes(const struct mr_cli_option *option, const char *value, uint64_t *out)
{
	uint64_t bytes;

	if (mr_units_size(value, 1, &bytes) != 0 || check_range(option, (double)bytes) != 0)
		return -EINVAL;
	*out = bytes;
	return 0;
}

static int parse_value(const struct found *f, const char *value)
{
	switch (f->option->type) {
	case MR_CLI_FLAG: *(bool *)f->setting = true; return 0;
	case MR_CLI_TEXT: return parse_text(f->option, value, f->setting);
	case MR_CLI_COUNT: return parse_count(f->option, value, f->setting);
	case MR_CLI_REAL: return parse_real(f->option, value, f->setting);
	case MR_CLI_WORDS: return add_word(f->setting, value);
	case MR_CLI_MS: return parse_ms(f->option, value, f->setting);
	case MR_CLI_S: return parse_seconds(f->option, value, f->setting);
	case MR_CLI_BYTES: return parse_bytes(f->option, value, f->setting);
	}
	return -EINVAL;
}

/* Returns the choice that `value` probably means, as "; did you mean 'X'?", or "". */
static const char *near_choice(const char *choices, const char *value, char *out, size_t out_bytes)
{
	struct mr_suggest s = mr_suggest_begin(value, strlen(value));

	for (const char *at = choices; *at; at += strcspn(at, "|"), at += *at == '|')
		mr_suggest_try_as(&s, at, strcspn(at, "|"), at);
	*out = '\0';
	if (s.best)
		snprintf(out, out_bytes, "; did you mean '%.*s'?", (int)strcspn(s.best, "|"),
			s.best);
	return out;
}

/* Tells the expected range of a number, and how a unit is written. */
static void expect_number(const struct mr_cli_option *o, char *out, size_t out_bytes)
{
	if (o->type == MR_CLI_MS)
		snprintf(out, out_bytes, "%.16g to %.16g, in ms, or a time such as 500ms, 2s or 1m",
			o->min, o->max);
	else if (o->type == MR_CLI_S)
		snprintf(out, out_bytes,
			"%.16g to %.16g, in seconds, or a time such as 500ms or 1m", o->min,
			o->max);
	else if (o->type == MR_CLI_BYTES)
		snprintf(out, out_bytes, "%.16g to %.16g, in bytes, or a size such as 16KiB or 1M",
			o->min, o->max);
	else
		snprintf(out, out_bytes, "%.16g to %.16g", o->min, o->max);
}

static int refuse(const struct parse *p, const struct found *f, const char *value)
{
	const struct mr_cli_option *option = f->option;
	char text[96];

	if (option->choices) {
		near_choice(option->choices, value, text, sizeof(text));
		snprintf(p->error, p->error_bytes, "%s: '%s' is not one of %s%s", f->shown, value,
			option->choices, text);
	} else if (option->type == MR_CLI_WORDS) {
		snprintf(p->error, p->error_bytes, "%s: given more than %d times", f->shown,
			MR_CLI_WORDS_MAX);
	} else {
		expect_number(option, text, sizeof(text));
		snprintf(p->error, p->error_bytes, "%s: '%s' is not a number from %s", f->shown,
			value, text);
	}
	return -EINVAL;
}

static int take(const struct parse *p, const struct found *f, const char *value)
{
	return parse_value(f, value) == 0 ? 0 : refuse(p, f, value);
}

static bool find(
	const struct parse *p, const char *name, size_t bytes, char letter, struct found *f)
{
	for (unsigned t = 0; t < 2; t++) {
		for (const struct mr_cli_option *o = p->tables[t]; o && o->name; o++) {
			if (name ? strlen(o->name) != bytes || strncmp(o->name, name, bytes) != 0
				 : o->letter != letter)
				continue;
			f->option = o;
			f->setting = (char *)p->settings[t] + o->offset;
			if (name)
				snprintf(f->shown, sizeof(f->shown), "--%s", o->name);
			else
				snprintf(f->shown, sizeof(f->shown), "-%c", letter);
			return true;
		}
	}
	return false;
}

static int report(const struct parse *p, const char *format, const char *what)
{
	/* All formats are literals of this file. */
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
	snprintf(p->error, p->error_bytes, format, what);
#pragma GCC diagnostic pop
	return -EINVAL;
}

/* Reports an option that is not in the tables, with the one that was probably meant. `word` is the
 * text on the command line, `name` its part that should be the name. */
static int unknown(const struct parse *p, const char *word, const char *name, size_t bytes)
{
	struct mr_suggest s = mr_suggest_begin(name, bytes);

	for (unsigned t = 0; t < 2; t++) {
		for (const struct mr_cli_option *o = p->tables[t]; o && o->name; o++)
			mr_suggest_try(&s, o->name);
	}
	snprintf(p->error, p->error_bytes, "%.100s: no such option%s%s%s", word,
		s.best ? "; did you mean --" : "", s.best ? s.best : "", s.best ? "?" : "");
	return -EINVAL;
}

/* Returns the number of words that the option took, or -EINVAL. */
static int parse_long(const struct parse *p, int argc, char *const *argv)
{
	const char *name = argv[0] + 2;
	const char *equals = strchr(name, '=');
	struct found f;
	int rc;

	if (!find(p, name, equals ? (size_t)(equals - name) : strlen(name), 0, &f))
		return unknown(p, argv[0], name, equals ? (size_t)(equals - name) : strlen(name));
	if (f.option->type == MR_CLI_FLAG) {
		if (equals)
			return report(p, "%s: takes no value", f.shown);
		return take(p, &f, "") ?: 1;
	}
	if (equals)
		return take(p, &f, equals + 1) ?: 1;
	if (argc < 2)
		return report(p, "%s: the value is missing", f.shown);
	rc = take(p, &f, argv[1]);
	return rc ? rc : 2;
}

static int parse_short(const struct parse *p, int argc, char *const *argv)
{
	struct found f;
	int rc;

	/* One dash before a long name, as in -json, would be read as -j -s on. */
	if (argv[0][2] != '\0' && find(p, argv[0] + 1, strlen(argv[0] + 1), 0, &f))
		return unknown(p, argv[0], argv[0] + 1, strlen(argv[0] + 1));
	for (const char *at = argv[0] + 1; *at; at++) {
		char shown[3] = {'-', *at, '\0'};

		if (!find(p, NULL, 0, *at, &f))
			return report(p, "%s: no such option", shown);
		if (f.option->type != MR_CLI_FLAG) {
			if (at[1] != '\0')
				return take(p, &f, at + 1) ?: 1;
			if (argc < 2)
				return report(p, "%s: the value is missing", shown);
			rc = take(p, &f, argv[1]);
			return rc ? rc : 2;
		}
		rc = take(p, &f, "");
		if (rc)
			return rc;
	}
	return 1;
}

int mr_cli_args_parse(int argc, char *const *argv, const struct mr_cli_option *own, void *settings,
	const struct mr_cli_option *common, void *common_settings, struct mr_cli_words *operands,
	char *error, size_t error_bytes)
{
	struct parse p = {{own, common}, {settings, common_settings}, operands, error, error_bytes};
	bool options_over = false;

	operands->count = 0;
	for (int i = 0; i < argc;) {
		int taken = 1;

		if (!options_over && strcmp(argv[i], "--") == 0)
			options_over = true;
		else if (options_over || argv[i][0] != '-' || argv[i][1] == '\0')
			taken = add_word(operands, argv[i])
					? report(&p, "%s: too many words", argv[i])
					: 1;
		else if (argv[i][1] == '-')
			taken = parse_long(&p, argc - i, argv + i);
		else
			taken = parse_short(&p, argc - i, argv + i);
		if (taken < 0)
			return taken;
		i += taken;
	}
	return 0;
}

static bool parse_cpu(const char **at, int *cpu)
{
	char *end;
	long number;

	if (!isdigit((unsigned char)**at))
		return false;
	number = strtol(*at, &end, 10);
	if (number < 0 || number > 4095)
		return false;
	*cpu = (int)number;
	*at = end;
	return true;
}

int mr_cli_args_cpus(const char *text, int *cpus, unsigned max)
{
	unsigned count = 0;

	for (const char *at = text;; at++) {
		int first, last;

		if (!parse_cpu(&at, &first))
			return -EINVAL;
		last = first;
		if (*at == '-' && (at++, !parse_cpu(&at, &last)))
			return -EINVAL;
		for (int cpu = first; cpu <= last; cpu++) {
			if (count == max)
				return -EINVAL;
			cpus[count++] = cpu;
		}
		if (last < first || (*at != ',' && *at != '\0'))
			return -EINVAL;
		if (*at == '\0')
			return (int)count;
	}
}
