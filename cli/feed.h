/* SPDX-License-Identifier: Apache-2.0 */
/* feed: standard input line by line, while a client is served: it notices a lost connection, comes back and hears
 * what the bus says, however long no line comes.
 *
 * Owns      The line is the feed's, until the next call.
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
	const bool *stop; /* no more lines are wanted; NULL: never */
	char *data;
	size_t begin; /* of the next line */
	size_t seen;  /* no newline before */
	size_t end;
	size_t capacity;
	bool over; /* the input has ended */
};

/* The next line, of any length, without its newline. 1; 0: the input has ended, the user has interrupted, or
 * *stop. */
int mr_cli_feed_line(struct mr_cli_feed *f, const char **line, size_t *bytes);
void mr_cli_feed_free(struct mr_cli_feed *f);

#endif
