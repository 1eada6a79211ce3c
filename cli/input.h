/* SPDX-License-Identifier: Apache-2.0 */
/* input: a payload from the command line, or from standard input if the word is "-".
 *
 * Owns      take allocates memory or points to the word; free releases either.
 * Errors    -EMSGSIZE: larger than any bus allows (the library checks this bus's limit). -errno of
 *           read.
 */
#ifndef MILLRACE_CLI_INPUT_H
#define MILLRACE_CLI_INPUT_H

#include <stddef.h>

#define MR_CLI_INPUT_BYTES_MAX (64u << 20)

struct mr_cli_input {
	const char *data;
	size_t bytes;
	char *memory; /* NULL: nothing to free */
};

int mr_cli_input_take(struct mr_cli_input *in, const char *word);
void mr_cli_input_free(struct mr_cli_input *in);

#endif
