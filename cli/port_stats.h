/* SPDX-License-Identifier: Apache-2.0 */
/* port_stats: the packets of each receive queue of AF_XDP ports, by their end. */
#ifndef MILLRACE_CLI_PORT_STATS_H
#define MILLRACE_CLI_PORT_STATS_H

#include "cli/cli.h"
#include "cli/view.h"

/* `port`: its name; NULL: all ports. Returns an exit code. */
int mr_cli_port_stats(const struct mr_cli *cli, const struct mr_cli_view *view, const char *port);

#endif
