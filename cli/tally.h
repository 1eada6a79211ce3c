/* SPDX-License-Identifier: Apache-2.0 */
/* tally: counts messages by their subjects, and keeps the last message of each.
 *
 * Owns      Copies of subjects and messages. At most MR_CLI_TALLY_SUBJECTS subjects have a row;
 *           messages of further ones are counted together in `others`.
 * Errors    A message that does not fit into memory is counted without a copy.
 */
#ifndef MILLRACE_CLI_TALLY_H
#define MILLRACE_CLI_TALLY_H

#include <stdbool.h>
#include <stdint.h>

#include "client/millrace.h"

#define MR_CLI_TALLY_SUBJECTS 4096u

struct mr_cli_tally_row {
	char *subject;
	uint64_t messages;
	uint64_t bytes;         /* of payloads */
	struct mr_message last; /* its texts are copies; with keep_last */
	char *memory;
};

struct mr_cli_tally {
	bool keep_last;
	uint64_t messages;
	uint64_t bytes;
	uint64_t others; /* messages without a row */
	uint32_t count;
	struct mr_cli_tally_row rows[MR_CLI_TALLY_SUBJECTS];
	uint32_t index[2 * MR_CLI_TALLY_SUBJECTS]; /* hash table of row numbers, from 1 */
};

/* Returns an empty tally, or NULL. */
struct mr_cli_tally *mr_cli_tally_new(bool keep_last);
void mr_cli_tally_free(struct mr_cli_tally *t);
void mr_cli_tally_add(struct mr_cli_tally *t, const struct mr_message *m);
/* Sorts the rows: the most messages first, equal ones by subject. */
void mr_cli_tally_sort(struct mr_cli_tally *t);

#endif
