/* SPDX-License-Identifier: Apache-2.0 */
/* view: how a list is shown. The options are the same for all lists, and all lists are shown here.
 *
 * Threads   The main one.
 * Errors    An exit code; errors have been reported.
 */
#ifndef MILLRACE_CLI_VIEW_H
#define MILLRACE_CLI_VIEW_H

#include "cli/cli.h"
#include "cli/layout.h"

#define MR_CLI_FILTERS_MAX 16

struct mr_cli_view {
	bool json;
	bool wide;
	bool no_headers;
	bool raw;
	const char *columns;
	const char *sort;
	const char *colour;
	uint64_t limit; /* 0: all rows */
	struct mr_cli_words filters;
};

/* Entries of a table of options, for a verb whose settings have a `struct mr_cli_view view`. */
#define MR_CLI_VIEW_FLAG(name_, field_, help_)                                                     \
	{                                                                                          \
		.name = name_, .type = MR_CLI_FLAG,                                                \
		.offset = offsetof(struct settings, view.field_), .help = help_                    \
	}
#define MR_CLI_VIEW_TEXT(name_, value_, field_, choices_, help_)                                   \
	{                                                                                          \
		.name = name_, .type = MR_CLI_TEXT, .value = value_,                               \
		.offset = offsetof(struct settings, view.field_), .choices = choices_,             \
		.help = help_                                                                      \
	}
#define MR_CLI_COLOUR_OPTION                                                                       \
	MR_CLI_VIEW_TEXT("color", "WHEN", colour, "auto|always|never",                             \
		"mark what is wrong: auto (default: on a terminal, unless NO_COLOR is set), "      \
		"always or never")
#define MR_CLI_WIDE_OPTION                                                                         \
	MR_CLI_VIEW_FLAG("wide", wide, "show everything, also what does not fit the terminal")
/* clang-format off */
#define MR_CLI_VIEW_OPTIONS MR_CLI_VIEW_OPTIONS_JSON("print a JSON array of objects")
/* The same, with the explanation of --json. */
#define MR_CLI_VIEW_OPTIONS_JSON(json_help_)                                                       \
	{.name = "json", .letter = 'j', .type = MR_CLI_FLAG,                                       \
		.offset = offsetof(struct settings, view.json), .help = json_help_},               \
	MR_CLI_WIDE_OPTION,                                                                        \
	MR_CLI_VIEW_TEXT("columns", "KEYS", columns, NULL,                                         \
		"show these columns: keys of --json or titles, with commas between them"),         \
	MR_CLI_VIEW_TEXT("sort", "KEYS", sort, NULL,                                               \
		"sort the rows by these columns; -KEY: the largest first"),                        \
	{.name = "filter", .type = MR_CLI_WORDS, .value = "EXPR",                   \
		.offset = offsetof(struct settings, view.filters),                                 \
		.help = "only rows with KEY=VALUE, KEY!=VALUE, KEY~REGEX, KEY!~REGEX, KEY>N, "     \
			"KEY<N, KEY>=N or KEY<=N; may be repeated: all must hold"},                \
	{.name = "limit", .type = MR_CLI_COUNT, .value = "N",                                      \
		.offset = offsetof(struct settings, view.limit), .min = 1, .max = 1e9,             \
		.help = "at most N rows (default: all)"},                                          \
	MR_CLI_VIEW_FLAG("no-headers", no_headers, "no line of titles"),                           \
	MR_CLI_VIEW_FLAG("bytes", raw, "plain numbers of bytes and times, without units"),         \
	MR_CLI_COLOUR_OPTION
/* clang-format on */

/* True if output has colours, after --color. */
bool mr_cli_view_colour(const struct mr_cli *cli, const struct mr_cli_view *view);

/* Filters, sorts and limits the rows. */
int mr_cli_view_select(
	const struct mr_cli *cli, const struct mr_cli_view *view, struct mr_cli_table *t);

/* Prints the rows `from` to `to` (without `to`) on standard output, without selecting. */
int mr_cli_view_print(const struct mr_cli *cli, const struct mr_cli_view *view,
	const struct mr_cli_table *t, size_t from, size_t to);

/* Selects the rows, prints them on standard output, as JSON if asked, and frees the table. */
int mr_cli_view_show(
	const struct mr_cli *cli, const struct mr_cli_view *view, struct mr_cli_table *t);

#endif
