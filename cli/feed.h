/* SPDX-License-Identifier: Apache-2.0 */
/* feed: reads standard input line by line, and serves a client meanwhile. So a lost connection is
 * noticed and made again, and messages are received, even if no line comes for long.
 *
 * Owns      The line, until the next call.
 * Threads   One.
 * Errors    -errno of read, -ENOMEM.
 */
#ifndef MILLRACE_CLI_FEED_H
#define MILLRACE_CLI_FEED_H

#include <stdbool.h>
#include <stddef.h>

#include "client/millrace.h"

struct mr_cli_feed {
	struct mr_client *client;
	const bool *stop; /* stop reading when true; NULL: never */
	char *data;
	size_t begin; /* start of the next line */
	size_t seen;  /* no newline before this position */
	size_t end;
	size_t capacity;
	bool ended; /* end of input */
};

/* Returns 1 and the next line, of any length, without its newline. Returns 0 at the end of input,
 * after an interrupt, or if *stop is true. */
int mr_cli_feed_line(struct mr_cli_feed *f, const char **line, size_t *bytes);
void mr_cli_feed_free(struct mr_cli_feed *f);

#endif
