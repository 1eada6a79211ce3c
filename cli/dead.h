/* SPDX-License-Identifier: Apache-2.0 */
/* dead: lists the dead letters of a queue: those in NAME.dead, and its own in the queue that is
 * named for them. */
#ifndef MILLRACE_CLI_DEAD_H
#define MILLRACE_CLI_DEAD_H

#include "cli/cli.h"
#include "cli/view.h"

/* `count`: at most so many; 0: as many as the bus shows at once. Returns an exit code. */
int mr_cli_dead(const struct mr_cli *cli, const struct mr_cli_view *view, const char *queue,
	uint32_t count);

/* Returns how many stand in NAME.dead: those that go with the queue. 0 if that is not known. */
uint64_t mr_cli_dead_own(const struct mr_cli *cli, const char *queue);

#endif
