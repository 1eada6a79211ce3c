/* SPDX-License-Identifier: Apache-2.0 */
/* keys: lists the keys of a queue with most messages, for the verb `queue`.
 *
 * Errors    Reported; the function returns an exit code.
 */
#ifndef MILLRACE_CLI_KEYS_H
#define MILLRACE_CLI_KEYS_H

#include "cli/cli.h"
#include "cli/view.h"

#define MR_CLI_KEYS_DEFAULT 16u

/* `count`: at most so many keys; 0: MR_CLI_KEYS_DEFAULT. */
int mr_cli_keys(const struct mr_cli *cli, const struct mr_cli_view *view, const char *queue,
	uint64_t count);

#endif
