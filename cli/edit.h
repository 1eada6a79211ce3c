/* SPDX-License-Identifier: Apache-2.0 */
/* edit: options of a queue or service as people write them, KEY=VALUE.
 *
 * Owns      Nothing: texts point to the given words.
 * Threads   Any.
 */
#ifndef MILLRACE_CLI_EDIT_H
#define MILLRACE_CLI_EDIT_H

#include <stdio.h>

#include "cli/cli.h"
#include "flatbuf/link.h"

struct mr_cli_edit {
	uint32_t edits; /* enum mrf_queue_option */
	struct mrf_queue_options values;
	/* NULL: edits has not the option of that name */
	const char *dead_letter;
	const char *owner;
	const char *description;
};

/* Adds an option that is a text: "owner", "description"; a value of NULL adds none. Reports an
 * error and returns an exit code. */
int mr_cli_edit_text(
	const struct mr_cli *cli, const char *name, const char *value, struct mr_cli_edit *out);
/* Adds those of words such as "messages_max=10k". Reports an error, also if there is no option, and
 * returns an exit code. */
int mr_cli_edit_parse(const struct mr_cli *cli, enum mrf_queue_kind kind, const char *const *words,
	unsigned count, struct mr_cli_edit *out);

/* Prints a line for each edited option: what it is, and what it was. The tables are those of
 * QueueOptions. */
void mr_cli_edit_print(
	const struct mr_cli_edit *edit, struct mrf_table before, struct mrf_table after);

/* Writes the names of the options in `edited`, separated by commas. */
#define MR_CLI_EDIT_NAMES_BYTES 400
void mr_cli_edit_names(char out[MR_CLI_EDIT_NAMES_BYTES], uint32_t edited);

/* Calls `add` for each word that may begin an operand: "messages_max=", "when_full=wait". */
void mr_cli_edit_complete(
	enum mrf_queue_kind kind, void (*add)(void *arg, const char *word), void *arg);

#endif
