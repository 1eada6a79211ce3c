/* SPDX-License-Identifier: Apache-2.0 */
/* headers: "name:value" words of the command line to a header block, and a block to people.
 *
 * Errors    -EINVAL: a word without a colon or with a bad name or value. -ENOSPC: too many.
 */
#ifndef MILLRACE_CLI_HEADERS_H
#define MILLRACE_CLI_HEADERS_H

#include <jansson.h>
#include <stdio.h>

#include "client/millrace.h"
#include "cli/cli.h"

/* On failure *bad is the word that was refused. */
int mr_cli_headers_make(struct mr_headers *h, const struct mr_cli_words *words, const char **bad);

/* The same for the option --header, into `memory` of `bytes`; why not is told. 0 or an exit code. */
int mr_cli_headers_take(const struct mr_cli *cli, const struct mr_cli_words *words,
	struct mr_headers *h, char *memory, size_t bytes);

/* "[name: value, name: value] ", or nothing without headers. */
void mr_cli_headers_print(FILE *out, const char *block, size_t bytes);
/* {"name": "value"}; a name that comes again gets an array of its values. */
json_t *mr_cli_headers_json(const char *block, size_t bytes);

/* A message on one line: subject, headers, payload; or as a JSON object. */
void mr_cli_message_print(const struct mr_message *m, bool colour);
void mr_cli_message_json(const struct mr_message *m);
/* The object alone, to be added to. */
json_t *mr_cli_message_object(const struct mr_message *m);

#endif
