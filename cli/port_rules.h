/* SPDX-License-Identifier: Apache-2.0 */
/* port_rules: limits of a port, and prefixes that it allows or denies.
 *
 * Errors    Exit codes; errors have been reported.
 */
#ifndef MILLRACE_CLI_PORT_RULES_H
#define MILLRACE_CLI_PORT_RULES_H

#include "cli/cli.h"
#include "cli/view.h"

struct mr_cli_port_rules {
	const struct mr_cli *cli;
	const struct mr_cli_view *view;
	const struct mr_cli_words *words; /* from the action on */
	uint64_t burst;                   /* 0: the bus's default */
	bool remove;
};

/* Each changes what the words say, then lists what the port has of the kind. */
int mr_cli_port_limit(const struct mr_cli_port_rules *r);
int mr_cli_port_allow(const struct mr_cli_port_rules *r);
int mr_cli_port_deny(const struct mr_cli_port_rules *r);

#endif
