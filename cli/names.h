/* SPDX-License-Identifier: Apache-2.0 */
/* names: names of what is on the bus at the moment, for the completion of shells.
 *
 * A shell waits for them after each Tab. So the names come within MR_CLI_NAMES_MS or not at all,
 * and without any message: no bus, no names.
 *
 * Only names of letters, digits and a few other characters are printed: a shell would have to quote
 * the others, and a name is somebody else's text.
 */
#ifndef MILLRACE_CLI_NAMES_H
#define MILLRACE_CLI_NAMES_H

#include "cli/cli.h"

#define MR_CLI_NAMES_MS  200
#define MR_CLI_NAMES_MAX 2000

/* Kinds of names: queues, services, subjects, sessions, keys (of the configuration), contexts,
 * queue-options, service-options (of edit).
 * Prints the names of a kind, one on a line, sorted. Ends the program when the time is over. */
int mr_cli_names(const struct mr_cli *cli, const char *kind);

/* Returns the kind of an operand's or option's value, or NULL. `value` is its word in the usage
 * line, such as QUEUE; `option` the option's name or NULL. */
const char *mr_cli_names_kind(
	const struct mr_cli_verb *verb, const char *value, const char *option);

#endif
