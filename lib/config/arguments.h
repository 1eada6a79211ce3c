/* SPDX-License-Identifier: Apache-2.0 */
/* arguments: the command line that both processes share, down to the checked configuration. */
#ifndef MILLRACE_CONTROL_CONFIG_ARGUMENTS_H
#define MILLRACE_CONTROL_CONFIG_ARGUMENTS_H

#include "lib/config/config.h"

/* Parses --config, --run-dir, --set, --help and --version, and loads the configuration. Returns 0 to
 * go on; else the program has said what there is to say and exits with *status: 0, or 2 for wrong
 * usage or configuration. `purpose` is what --help says the program is for. */
int mr_arguments_load(int argc, char **argv, const char *program, const char *purpose,
	struct mr_config *config, int *status);

#endif
