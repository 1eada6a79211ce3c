/* SPDX-License-Identifier: Apache-2.0 */
/* input: a payload from the command line, or all of standard input where it says "-".
 *
 * Owns      take gives memory of its own or points to the word; free releases either.
 * Errors    -EMSGSIZE: more than any bus takes; what this one takes the library says. -errno of read.
 */
#ifndef MILLRACE_CLI_INPUT_H
#define MILLRACE_CLI_INPUT_H

#include <stddef.h>

#define MR_CLI_INPUT_BYTES_MAX (64u << 20)

struct mr_cli_input {
	const char *data;
	size_t bytes;
	char *memory; /* NULL: not ours */
};

int mr_cli_input_take(struct mr_cli_input *in, const char *word);
void mr_cli_input_free(struct mr_cli_input *in);

#endif
