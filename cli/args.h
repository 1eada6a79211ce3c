/* SPDX-License-Identifier: Apache-2.0 */
/* args: parses command-line words into a struct of settings, by a table of options.
 *
 * Options may stand before, between and after operands; `--` ends them. `--name value`,
 * `--name=value`, `-n value` and `-nvalue` are equal. The last one given counts.
 *
 * Owns      Nothing: texts point into argv.
 * Errors    -EINVAL, and a text that names the option, the found value and the expected one.
 */
#ifndef MILLRACE_CLI_ARGS_H
#define MILLRACE_CLI_ARGS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define MR_CLI_WORDS_MAX 64

struct mr_cli_words {
	const char *at[MR_CLI_WORDS_MAX];
	unsigned count;
};

enum mr_cli_type {
	MR_CLI_FLAG,  /* bool, set to true */
	MR_CLI_TEXT,  /* const char * */
	MR_CLI_COUNT, /* uint64_t from min to max; k, M and G multiply by thousands */
	MR_CLI_REAL,  /* double from min to max; also with k, M and G */
	MR_CLI_WORDS, /* struct mr_cli_words: may be repeated */
	MR_CLI_MS,    /* uint64_t, ms: "1500" or with a unit, "1.5s"; min and max in ms */
	MR_CLI_S,     /* double, seconds: "5" or with a unit, "500ms"; min and max in seconds */
	MR_CLI_BYTES, /* uint64_t, bytes: "64" or with a unit, "16KiB" */
};

struct mr_cli_option {
	const char *name; /* without the dashes */
	char letter;      /* 0: none */
	enum mr_cli_type type;
	const char *value; /* name of the value in the help; NULL for flags */
	size_t offset;     /* offset of the setting */
	double min;
	double max;
	const char *choices; /* allowed texts, separated by |; NULL: any */
	const char *help;
};

/* Parses argv[0 .. argc) with the options of `own` and `common`. Either may be NULL; both end with
 * an entry without a name. `own` writes to `settings`, `common` to `common_settings`. */
int mr_cli_args_parse(int argc, char *const *argv, const struct mr_cli_option *own, void *settings,
	const struct mr_cli_option *common, void *common_settings, struct mr_cli_words *operands,
	char *error, size_t error_bytes);

/* Returns the entry of this name, or NULL. `options` may be NULL. */
const struct mr_cli_option *mr_cli_option_find(
	const struct mr_cli_option *options, const char *name);

/* Parses "0,2-4" into at most `max` CPU numbers. Returns their number, or -EINVAL. */
int mr_cli_args_cpus(const char *text, int *cpus, unsigned max);

#endif
