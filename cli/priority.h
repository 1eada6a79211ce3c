/* SPDX-License-Identifier: Apache-2.0 */
/* priority: priorities of messages as people write them: 0 to 9, or low (1), normal (4), high (7).
 *
 * Owns      Nothing.
 * Threads   Any.
 */
#ifndef MILLRACE_CLI_PRIORITY_H
#define MILLRACE_CLI_PRIORITY_H

#include <stdbool.h>

#include <jansson.h>

#include "client/millrace.h"
#include "flatbuf/admin.h"

#define MR_CLI_PRIORITY_CHOICES "0|1|2|3|4|5|6|7|8|9|low|normal|high"

/* Returns the level's name, or its digit. */
const char *mr_cli_priority_text(unsigned level);
/* False: the text is no priority. */
bool mr_cli_priority_parse(const char *text, enum mr_priority *out);
/* Returns the priority with which the delivery was pushed. */
enum mr_priority mr_cli_priority_of(const struct mr_delivery *d);
/* Prints the ready messages of each priority of a QueueRow, if any but normal is used. */
void mr_cli_priority_counts_print(struct mrf_table row);
/* Returns them as an object of those that are not 0, by level. */
json_t *mr_cli_priority_counts_json(struct mrf_table row);

#endif
