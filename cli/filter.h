/* SPDX-License-Identifier: Apache-2.0 */
/* filter: chooses messages of a queue by what is in them and where they stand.
 *
 * Owns      Nothing: texts point into argv.
 * Threads   The main one.
 * Errors    An exit code; errors have been reported.
 */
#ifndef MILLRACE_CLI_FILTER_H
#define MILLRACE_CLI_FILTER_H

#include "cli/args.h"
#include "cli/cli.h"
#include "cli/priority.h"

/* All that is given must hold. */
struct mr_cli_filter {
	struct mr_cli_words headers; /* NAME:VALUE */
	const char *priority;        /* NULL: any */
	const char *grep;            /* text in the payload; NULL: any */
	uint64_t older_ms;           /* age in the queue; 0: any */
	uint64_t first;              /* only the first so many messages; 0: all */
	uint64_t last;               /* only the last so many; 0: all */
};

#define MR_CLI_FILTER_FIELD(field_) offsetof(struct settings, filter.field_)
/* For a `struct settings` that has a `struct mr_cli_filter filter`. */
/* clang-format off */
#define MR_CLI_FILTER_OPTIONS                                                                      \
	{.name = "header", .letter = 'H', .type = MR_CLI_WORDS, .value = "NAME:VALUE",             \
		.offset = MR_CLI_FILTER_FIELD(headers),                                            \
		.help = "peek, move, copy, export, import: only messages with this header; may "   \
			"be repeated: all must hold"},                                             \
	{.name = "priority", .type = MR_CLI_TEXT, .value = "PRIORITY",                             \
		.offset = MR_CLI_FILTER_FIELD(priority), .choices = MR_CLI_PRIORITY_CHOICES,       \
		.help = "the same: only messages of this priority"},                               \
	{.name = "grep", .type = MR_CLI_TEXT, .value = "TEXT",                                     \
		.offset = MR_CLI_FILTER_FIELD(grep),                                               \
		.help = "the same: only messages with TEXT in the payload"},                       \
	{.name = "older", .type = MR_CLI_MS, .value = "TIME",                                      \
		.offset = MR_CLI_FILTER_FIELD(older_ms), .min = 1, .max = 1e15,                    \
		.help = "peek, move, copy, export, purge: only ready messages that have been in "  \
			"the queue for TIME"},                                                     \
	{.name = "first", .type = MR_CLI_COUNT, .value = "COUNT",                                  \
		.offset = MR_CLI_FILTER_FIELD(first), .min = 1, .max = 1e15,                       \
		.help = "peek, move, copy, export, import: look at the first COUNT messages " \
			"only"}, \
	{.name = "last", .type = MR_CLI_COUNT, .value = "COUNT",                                   \
		.offset = MR_CLI_FILTER_FIELD(last), .min = 1, .max = 1e15,                        \
		.help = "move, copy, export: look at the last COUNT messages only"}
/* clang-format on */

/* Checks the words of --header, and that there is one of --first and --last. */
int mr_cli_filter_check(const struct mr_cli *cli, const struct mr_cli_filter *f);
/* True if it chooses by what is in a message. */
bool mr_cli_filter_looks(const struct mr_cli_filter *f);
/* True if the message, given by its parts as in struct mr_push, is chosen by what is in it. */
bool mr_cli_filter_takes(const struct mr_cli_filter *f, const struct mr_push *m);

#endif
