/* SPDX-License-Identifier: Apache-2.0 */
/* bind: binds a queue to subjects, and unbinds it, for the verb `queue`.
 *
 * Errors    Reported; the functions return exit codes.
 */
#ifndef MILLRACE_CLI_BIND_H
#define MILLRACE_CLI_BIND_H

#include <jansson.h>

#include "cli/cli.h"
#include "flatbuf/admin.h"

struct mr_cli_bind {
	const struct mr_cli *cli;
	const char *queue;
	const char *const *patterns;
	unsigned count;
	bool all; /* unbind: from all subjects */
	bool json;
};

int mr_cli_bind(const struct mr_cli_bind *b);
int mr_cli_unbind(const struct mr_cli_bind *b);

/* Returns the subjects that a queue is bound to, sorted and escaped; NULL: this was reported. */
json_t *mr_cli_bind_subjects(const struct mr_cli *cli, const char *queue);

#endif
