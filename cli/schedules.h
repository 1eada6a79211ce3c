/* SPDX-License-Identifier: Apache-2.0 */
/* schedules: lists what a queue repeats, and cancels messages that wait. */
#ifndef MILLRACE_CLI_SCHEDULES_H
#define MILLRACE_CLI_SCHEDULES_H

#include "cli/cli.h"
#include "cli/view.h"

/* Both return an exit code. `ticket`: as typed. schedules: `queue` NULL: of all queues. */
int mr_cli_cancel(const struct mr_cli *cli, const char *queue, const char *ticket, bool json);
int mr_cli_schedules(const struct mr_cli *cli, const char *queue, const struct mr_cli_view *view);

#endif
