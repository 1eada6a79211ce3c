/* SPDX-License-Identifier: Apache-2.0 */
/* lines: the lines of the bus in the header blocks of entries that are in no list.
 *
 * Names that begin with "Millrace-Dead-" or "Millrace-Error" are the bus's. Producers may write
 * such lines too. MR_ENTRY_TOLD says that the lines of an entry are the bus's; each function that
 * writes some removes those of the producer first.
 *
 * Owns      Nothing. A function that changes an entry may replace it: *e is the new one.
 * Threads   One: the home worker.
 * Errors    False: no room in a message, or no memory; the entry is as it was.
 */
#ifndef MILLRACE_QUEUE_LINES_H
#define MILLRACE_QUEUE_LINES_H

#include "dataplane/queue/engine.h"

#define MR_LINE_DEAD  "Millrace-Dead-"
#define MR_LINE_ERROR "Millrace-Error"

/* Longest text of an error; longer ones are cut. */
#define MR_ERROR_BYTES_MAX 256u

/* Replaces the lines that begin with "Millrace-Dead-". `lines`: whole lines with their CR LF. */
bool mr_lines_dead(
	struct mr_queues *q, struct mr_queue_entry **e, const char *lines, uint32_t bytes);
/* Replaces the line Millrace-Error. The text is cut to MR_ERROR_BYTES_MAX, and what is no
 * printable UTF-8 in it is replaced by '?'. */
bool mr_lines_error(
	struct mr_queues *q, struct mr_queue_entry **e, const uint8_t *text, uint32_t bytes);
/* Removes all lines of the bus. */
bool mr_lines_take(struct mr_queues *q, struct mr_queue_entry **e);
/* Renames the producer's lines that look like the bus's: a letter without lines of the bus must not
 * have forged ones. Takes no memory. */
void mr_lines_rename_forged(struct mr_queue_entry *e);
/* Returns the value of the first line `name` of a header block; {NULL}: there is none. */
struct mrf_string mr_lines_value(const char *block, uint32_t bytes, const char *name);
/* Returns the header block of an entry. */
char *mr_lines_of(struct mr_queue_entry *e);

/* Adds a line, CR LF included, as the first header of an entry that is in no list. Returns the
 * entry; unchanged if its block is malformed, or if there is no room or memory. */
struct mr_queue_entry *mr_entry_add_line(
	struct mr_queues *q, struct mr_queue_entry *e, const char *line, uint32_t bytes);

#endif
