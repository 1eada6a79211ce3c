/* SPDX-License-Identifier: Apache-2.0 */
/* arguments: the command line of the daemons, parsed down to the checked configuration. */
#ifndef MILLRACE_LIB_CONFIG_ARGUMENTS_H
#define MILLRACE_LIB_CONFIG_ARGUMENTS_H

#include "lib/config/config.h"

/* Parses --config, --run-dir, --set, --help and --version, and loads the configuration. Returns 0
 * to go on. Otherwise it has printed everything, and the program exits with *status: 0, or 2 for
 * wrong usage or configuration. --help prints `purpose`. */
int mr_arguments_load(int argc, char **argv, const char *program, const char *purpose,
	struct mr_config *config, int *status);

#endif
