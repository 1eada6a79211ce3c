/* SPDX-License-Identifier: Apache-2.0 */
/* headers: builds a header block from "name:value" words, and shows header blocks to people.
 *
 * Errors    -EINVAL: a word without a colon, or with a bad name or value. -ENOSPC: too many.
 */
#ifndef MILLRACE_CLI_HEADERS_H
#define MILLRACE_CLI_HEADERS_H

#include <jansson.h>
#include <stdio.h>

#include "client/millrace.h"
#include "cli/cli.h"

/* On failure *bad is the refused word. */
int mr_cli_headers_make(struct mr_headers *h, const struct mr_cli_words *words, const char **bad);

/* Builds the block for the option --header, in `memory` of `bytes`. Reports a failure. 0 or an exit
 * code. */
int mr_cli_headers_take(const struct mr_cli *cli, const struct mr_cli_words *words,
	struct mr_headers *h, char *memory, size_t bytes);

/* Prints "[name: value, name: value] ", or nothing without headers. */
void mr_cli_headers_print(FILE *out, const char *block, size_t bytes);
/* Returns {"name": "value"}; a repeated name gets an array of values. */
json_t *mr_cli_headers_json(const char *block, size_t bytes);
/* Sets object.headers to that; and, if the block is not UTF-8, headers_base64 to the block. */
void mr_cli_headers_set_json(json_t *object, const char *block, size_t bytes);

/* Prints a message on one line: subject, headers, payload; or as a JSON object. */
void mr_cli_message_print(const struct mr_message *m, bool colour);
void mr_cli_message_json(const struct mr_message *m);
/* Returns the JSON object of a message, for further members. */
json_t *mr_cli_message_object(const struct mr_message *m);

#endif
