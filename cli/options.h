/* SPDX-License-Identifier: Apache-2.0 */
/* options: entries for option tables, for options that several verbs have. They have the same name,
 * letter, type and limits everywhere; only the explanation is the verb's own.
 *
 * Each entry writes to a field of `struct settings`, which the including file defines. The comment
 * at each entry names the field.
 */
#ifndef MILLRACE_CLI_OPTIONS_H
#define MILLRACE_CLI_OPTIONS_H

#include "cli/args.h"

/* Limit for repetitions and counts. */
#define MR_CLI_TIMES_MAX 1e15

/* bool json */
#define MR_CLI_JSON_OPTION(help_)                                                                  \
	{                                                                                          \
		.name = "json", .letter = 'j', .type = MR_CLI_FLAG,                                \
		.offset = offsetof(struct settings, json), .help = help_                           \
	}
/* bool raw */
#define MR_CLI_RAW_OPTION(help_)                                                                   \
	{                                                                                          \
		.name = "raw", .letter = 'r', .type = MR_CLI_FLAG,                                 \
		.offset = offsetof(struct settings, raw), .help = help_                            \
	}
/* bool verbose */
#define MR_CLI_VERBOSE_OPTION(help_)                                                               \
	{                                                                                          \
		.name = "verbose", .letter = 'v', .type = MR_CLI_FLAG,                             \
		.offset = offsetof(struct settings, verbose), .help = help_                        \
	}
/* bool echo */
#define MR_CLI_ECHO_OPTION(help_)                                                                  \
	{                                                                                          \
		.name = "echo", .type = MR_CLI_FLAG, .offset = offsetof(struct settings, echo),    \
		.help = help_                                                                      \
	}
/* bool stdin_lines */
#define MR_CLI_STDIN_LINES_OPTION(help_)                                                           \
	{                                                                                          \
		.name = "stdin-lines", .letter = 'l', .type = MR_CLI_FLAG,                         \
		.offset = offsetof(struct settings, stdin_lines), .help = help_                    \
	}
/* uint64_t count */
#define MR_CLI_COUNT_OPTION(min_, max_, help_)                                                     \
	{                                                                                          \
		.name = "count", .letter = 'n', .type = MR_CLI_COUNT, .value = "COUNT",            \
		.offset = offsetof(struct settings, count), .min = min_, .max = max_,              \
		.help = help_                                                                      \
	}
/* uint64_t timeout_ms */
#define MR_CLI_TIMEOUT_OPTION(help_)                                                               \
	{                                                                                          \
		.name = "timeout", .letter = 't', .type = MR_CLI_MS, .value = "TIME",              \
		.offset = offsetof(struct settings, timeout_ms), .min = 1, .max = 86400000,        \
		.help = help_                                                                      \
	}
/* uint64_t interval_ms */
#define MR_CLI_INTERVAL_OPTION(help_)                                                              \
	{                                                                                          \
		.name = "interval", .letter = 'i', .type = MR_CLI_MS, .value = "TIME",             \
		.offset = offsetof(struct settings, interval_ms), .min = 10, .max = 3600000,       \
		.help = help_                                                                      \
	}
/* bool watch */
#define MR_CLI_WATCH_OPTION(help_)                                                                 \
	{                                                                                          \
		.name = "watch", .letter = 'w', .type = MR_CLI_FLAG,                               \
		.offset = offsetof(struct settings, watch), .help = help_                          \
	}
/* uint64_t jobs */
#define MR_CLI_JOBS_OPTION(help_)                                                                  \
	{                                                                                          \
		.name = "jobs", .type = MR_CLI_COUNT, .value = "N",                                \
		.offset = offsetof(struct settings, jobs), .min = 1, .max = MR_CLI_JOBS_MAX,       \
		.help = help_                                                                      \
	}
/* uint64_t prefetch */
#define MR_CLI_PREFETCH_OPTION(help_)                                                              \
	{                                                                                          \
		.name = "prefetch", .type = MR_CLI_COUNT, .value = "N",                            \
		.offset = offsetof(struct settings, prefetch), .min = 1, .max = 65535,             \
		.help = help_                                                                      \
	}
/* const char *command */
#define MR_CLI_EXEC_OPTION(help_)                                                                  \
	{                                                                                          \
		.name = "exec", .letter = 'e', .type = MR_CLI_TEXT, .value = "COMMAND",            \
		.offset = offsetof(struct settings, command), .help = help_                        \
	}
/* const char *group */
#define MR_CLI_GROUP_OPTION(help_)                                                                 \
	{                                                                                          \
		.name = "group", .letter = 'g', .type = MR_CLI_TEXT, .value = "GROUP",             \
		.offset = offsetof(struct settings, group), .help = help_                          \
	}
/* const char *promise: for mr_cli_promise */
#define MR_CLI_PROMISE_OPTION(help_)                                                               \
	{                                                                                          \
		.name = "promise", .type = MR_CLI_TEXT, .value = "PROMISE",                        \
		.offset = offsetof(struct settings, promise),                                      \
		.choices = "best-effort|at-least-once|exactly-once", .help = help_                 \
	}
/* struct mr_cli_words headers: for mr_cli_headers_take */
#define MR_CLI_HEADER_OPTION(help_)                                                                \
	{                                                                                          \
		.name = "header", .letter = 'H', .type = MR_CLI_WORDS, .value = "NAME:VALUE",      \
		.offset = offsetof(struct settings, headers), .help = help_                        \
	}

#endif
