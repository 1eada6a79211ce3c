/* SPDX-License-Identifier: Apache-2.0 */
/* lines: reads standard input by lines, without blocking for an incomplete line.
 *
 * Threads   One.
 * Errors    A line longer than MR_CLI_LINE_BYTES is cut there. -EPIPE: end of input.
 */
#ifndef MILLRACE_CLI_LINES_H
#define MILLRACE_CLI_LINES_H

#include <stddef.h>

#define MR_CLI_LINE_BYTES 255

struct mr_cli_lines {
	char text[MR_CLI_LINE_BYTES + 1];
	size_t bytes;
};

typedef void mr_cli_line_fn(const char *line, void *arg);

/* Sleeps until there is input, `fd` is readable or a signal comes, at most `timeout_ms`. Gives each
 * complete line to `each`. Returns 0 or -EPIPE. */
int mr_cli_lines_wait(
	struct mr_cli_lines *l, int fd, int timeout_ms, mr_cli_line_fn *each, void *arg);

#endif
