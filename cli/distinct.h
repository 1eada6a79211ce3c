/* SPDX-License-Identifier: Apache-2.0 */
/* distinct: cuts the texts of a column so that different texts stay different.
 *
 * Texts that would look alike, cut in the middle or at the end, are cut where they do not differ:
 * the sorted texts make a tree (a radix tree), and each text keeps some of each of its branches.
 *
 *   jobs.department-001.priority.overnight        jobs.dep…-001.…t
 *   jobs.department-002.priority.overnight   ->   jobs.dep…-002.…t
 *   jobs.department-110.priority.overnight        jobs.dep…t-110…t
 *
 * A text that has more branches than room ends with ~ and a number. So different texts stay
 * different in any width that holds an ellipsis, ~ and the number of texts; texts with an ellipsis
 * in them are excepted.
 *
 * Owns      Nothing of the caller's: the texts must live as long as the struct.
 * Threads   Any.
 * Errors    Out of memory ends the program.
 */
#ifndef MILLRACE_CLI_DISTINCT_H
#define MILLRACE_CLI_DISTINCT_H

#include <stddef.h>

struct mr_cli_distinct;

/* `texts` are printable UTF-8, as mr_cli_text_escape makes them, and may be equal. */
struct mr_cli_distinct *mr_cli_distinct_new(char *const *texts, size_t count);
void mr_cli_distinct_free(struct mr_cli_distinct *d);

/* Returns the least width in which every text shows its branches. */
size_t mr_cli_distinct_width(const struct mr_cli_distinct *d);

/* Writes the texts, each cut to `width` columns, to out[0 .. count): memory for free(). */
void mr_cli_distinct_cut(const struct mr_cli_distinct *d, size_t width, char **out);

#endif
