/* SPDX-License-Identifier: Apache-2.0 */
/* terminal: the size of the terminal behind standard output.
 *
 * Threads   Any.
 */
#ifndef MILLRACE_CLI_TERMINAL_H
#define MILLRACE_CLI_TERMINAL_H

#include <stdbool.h>
#include <stddef.h>

struct mr_cli_size {
	size_t columns; /* 0: unlimited */
	size_t rows;    /* 0: unlimited */
};

/* Returns the size that the terminal reports. COLUMNS in the environment wins over its columns, and
 * counts also where standard output is no terminal; otherwise that is unlimited. */
struct mr_cli_size mr_cli_terminal_size(void);

/* True if standard output is a terminal whose lines can be written over. */
bool mr_cli_terminal_is_screen(void);

#endif
